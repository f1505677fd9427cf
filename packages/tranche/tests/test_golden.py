"""What people read, word for word: a change of it is a change on purpose (run with --golden to accept)."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from tranche import watch
from tranche.page import explanation, text_of_explanation, text_of_status
from tranche.ports import Arm
from tranche.record import markdown
from tranche.story import line, told

if TYPE_CHECKING:
    from conftest import Bed

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def same(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        text = "\n".join(each.rstrip() for each in text.splitlines()) + "\n"
        if request.config.getoption("--golden"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        assert text == path.read_text()

    return compare


def baking(bed: Bed) -> Bed:
    controller = bed.controller()
    bed.errors = {Arm.BLUE: 0.001}
    bed.until(controller, lambda progress: progress.stay.name == "half")
    bed.step(controller, 10)
    return bed


def rolled_back(bed: Bed) -> Bed:
    controller = bed.controller()
    bed.until(controller, lambda progress: progress.stay.name == "half")
    bed.step(controller, 4)
    bed.errors = {Arm.GREEN: 0.08}
    bed.until(controller, lambda progress: progress.is_finished)
    return bed


def completed(bed: Bed) -> Bed:
    bed.until(bed.controller(), lambda progress: progress.is_finished)
    return bed


SCENES = {"baking": baking, "rolled-back": rolled_back, "completed": completed}


@pytest.mark.parametrize("scene", SCENES)
def test_status_reads_as_it_did(bed: Bed, scene: str, same: Callable[[str, str], None]) -> None:
    same(f"status-{scene}.txt", text_of_status(SCENES[scene](bed).status))


@pytest.mark.parametrize("scene", SCENES)
def test_why_reads_as_it_did(bed: Bed, scene: str, same: Callable[[str, str], None]) -> None:
    SCENES[scene](bed)
    document = explanation(bed.status, bed.memory, bed.log.read("small-1"))

    same(f"why-{scene}.txt", text_of_explanation(document))


@pytest.mark.parametrize("scene", SCENES)
def test_the_record_reads_as_it_did(bed: Bed, scene: str, same: Callable[[str, str], None]) -> None:
    SCENES[scene](bed)

    same(f"record-{scene}.md", markdown(bed.status, bed.log.read("small-1")))


def test_the_history_reads_as_it_did(bed: Bed, same: Callable[[str, str], None]) -> None:
    same("history.txt", "\n".join(line(event) for event in told(rolled_back(bed).log.read("small-1"))))


def drawn(bed: Bed) -> str:
    output = io.StringIO()
    console = Console(file=output, width=120, force_terminal=True, color_system=None, legacy_windows=False)
    console.print(watch.page(bed.status, bed.log.read("small-1")))
    return output.getvalue()


@pytest.mark.parametrize("scene", SCENES)
def test_the_live_view_looks_as_it_did(bed: Bed, scene: str, same: Callable[[str, str], None]) -> None:
    same(f"watch-{scene}.txt", drawn(SCENES[scene](bed)))


def test_the_live_view_keeps_its_width_and_its_height_through_a_phase(bed: Bed) -> None:
    controller = bed.controller()
    bed.until(controller, lambda progress: progress.stay.name == "half")
    heights = set()
    for _ in range(15):
        bed.step(controller)
        lines = drawn(bed).splitlines()
        assert {len(each) for each in lines} == {watch.WIDTH}
        heights.add(len(lines))

    assert len(heights) == 1


class Theatre:
    """A rollout that goes on while somebody watches."""

    def __init__(self, bed: Bed) -> None:
        self.bed, self.controller, self.waits = bed, bed.controller(), 0
        bed.step(self.controller)

    def read(self) -> tuple[dict[str, object], list[object]]:
        return self.bed.status, self.bed.log.read("small-1")

    def wait(self, seconds: float) -> None:
        self.waits += 1
        self.bed.step(self.controller)


@pytest.mark.parametrize("is_terminal", [True, False])
def test_watching_ends_with_the_rollout(bed: Bed, is_terminal: bool) -> None:
    theatre, output = Theatre(bed), io.StringIO()
    console = Console(file=output, width=100, force_terminal=is_terminal, color_system=None)
    last = watch.watch(theatre.read, theatre.wait, console=console)

    assert last["state"] == "completed"
    assert 60 < theatre.waits < 100
    assert "small-1" in output.getvalue() or not is_terminal


def test_without_a_terminal_every_change_is_one_line(bed: Bed) -> None:
    theatre, output = Theatre(bed), io.StringIO()
    watch.watch(theatre.read, theatre.wait, console=Console(file=output, width=100))
    lines = output.getvalue().splitlines()

    assert any("weight applied" in each and "small-1/4" in each for each in lines)
    assert any("completed" in each for each in lines)
    assert len(lines) < 60
    assert not any("\x1b" in each for each in lines)


@pytest.mark.parametrize(
    ("share", "bar"),
    [(None, "·" * 8), (0.0, "·" * 8), (100.0, "█" * 8), (50.0, "████····"), (33.0, "██▋·····")],
)
def test_a_share_is_drawn_in_eighths(share: float | None, bar: str) -> None:
    assert watch.blocks(share) == bar
