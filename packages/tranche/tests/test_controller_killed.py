"""A controller killed at any record or act: the next one goes on where it was, and two never both write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from tranche.controller import Controller
from tranche.events import WeightRequested, decode
from tranche.ports import (
    Arm,
    Colour,
    Conflict,
    NewEvent,
    Recorded,
    Split,
)
from tranche.progress import State, fold

if TYPE_CHECKING:
    from conftest import Bed
from stay import entered


class Killed(BaseException):
    """The process is gone: nothing catches this."""


class Scene:
    """Counts every record and every act, and kills the controller before or after one of them."""

    def __init__(self, bed: Bed, kill_at: int | None = None, *, after: bool = False) -> None:
        self.bed, self.kill_at, self.after, self.count = bed, kill_at, after, 0
        self.log, self.traffic, self.environment = _Log(self), _Traffic(self), _Environment(self)

    def step(self, act: Callable[[], Any]) -> Any:
        self.count += 1
        if self.count == self.kill_at and not self.after:
            raise Killed
        result = act()
        if self.count == self.kill_at and self.after:
            raise Killed
        return result

    def controller(self) -> Controller:
        return self.bed.controller(log=self.log, traffic=self.traffic, environment=self.environment)


class _Log:
    def __init__(self, scene: Scene) -> None:
        self._scene, self._log = scene, scene.bed.log

    def append(self, rollout: str, *, after: int, events: Sequence[NewEvent]) -> list[Recorded]:
        return self._scene.step(lambda: self._log.append(rollout, after=after, events=events))

    def read(self, rollout: str, *, after: int = 0) -> list[Recorded]:
        return self._log.read(rollout, after=after)

    def rollouts(self) -> list[str]:
        return self._log.rollouts()


class _Traffic:
    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def apply(self, split: Split) -> None:
        bed = self._scene.bed
        asked = [decode(event) for event in bed.log.read("small-1") if event.type == "weight-requested/1"]
        known = ["small-1/0", *(event.identifier for event in asked if isinstance(event, WeightRequested))]
        assert split.identifier == known[-1], "traffic moves only to what the log says now"
        self._scene.step(lambda: bed.traffic.apply(split))

    def serving(self) -> str | None:
        return self._scene.bed.traffic.serving()


class _Environment:
    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def ensure(self, colour: Colour, version: str) -> None:
        self._scene.step(lambda: self._scene.bed.environment.ensure(colour, version))

    def state(self, colour: Colour) -> Any:
        return self._scene.bed.environment.state(colour)

    def retire(self, colour: Colour) -> str:
        return str(self._scene.step(lambda: self._scene.bed.environment.retire(colour)))


def survive(bed: Bed, kill_at: int, *, after: bool, bad: bool) -> bool:
    """Run until killed, then with a fresh controller to the end; False when there was nothing to kill."""
    scene = Scene(bed, kill_at, after=after)
    controller = scene.controller()
    try:
        run(bed, controller, bad=bad)
    except Killed:
        before = bed.traffic.split
        bed.clock.sleep(7)  # dead for a while: nothing moves
        assert bed.traffic.split == before
        run(bed, bed.controller(), bad=bad)
        return True
    return False


def run(bed: Bed, controller: Controller, *, bad: bool) -> None:
    for _ in range(300):
        if controller.is_done:
            return
        if bad and entered("half")(controller.progress):
            bed.errors = {Arm.GREEN: 0.2}
        bed.step(controller)
    raise AssertionError("it never ended")


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("bad", [False, True], ids=["good version", "bad version"])
def test_a_controller_killed_at_any_record_or_act_goes_on_where_it_was(
    make_bed: Callable[..., Bed], after: bool, bad: bool
) -> None:
    kills = 0
    text = make_bed().text.replace("tick: 1s", "tick: 1s\nretire_blue: after")
    for kill_at in range(1, 200):
        bed = make_bed(text)
        bed.environment.versions[Colour.BLUE] = "1.0.0"
        if not survive(bed, kill_at, after=after, bad=bad):
            break
        kills += 1
        progress = fold(bed.log.read("small-1"))
        assert progress is not None
        weights = bed.weights
        if bad:
            assert progress.state is State.ROLLED_BACK, kill_at
            assert weights[-1] == 0, kill_at
            assert weights[:-1] == sorted(weights[:-1]), kill_at
        else:
            assert progress.state is State.COMPLETED, kill_at
            assert weights == sorted(weights), f"kill {kill_at}: users were thrown back"
        assert (Colour.BLUE in bed.environment.versions) is bad, f"kill {kill_at}: blue"
        assert progress.is_over, kill_at
        assert set(weights) <= {0, 1000, 5000, 10_000}, kill_at
    assert kills > 25


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_past_the_point_of_no_return_a_controller_killed_anywhere_stops_and_never_goes_back(
    make_bed: Callable[..., Bed], after: bool
) -> None:
    text = make_bed().text.replace("{name: half,", "{name: half, point_of_no_return: dropped,")
    kills = 0
    for kill_at in range(1, 200):
        bed = make_bed(text)
        scene = Scene(bed, kill_at, after=after)
        try:
            run_until_stopped(bed, scene.controller())
        except Killed:
            kills += 1
            run_until_stopped(bed, bed.controller())
        if scene.count < kill_at:
            break
        assert bed.progress.rollback is None, kill_at
        assert bed.weights == sorted(bed.weights), kill_at
        assert bed.progress.paused_by == "controller", kill_at
        stops = [event for event in bed.log.read("small-1") if event.type == "paused/1"]
        assert len(stops) == 1, kill_at
    assert kills > 12


def run_until_stopped(bed: Bed, controller: Controller) -> None:
    for _ in range(300):
        if controller.progress.paused_by is not None:
            return
        if entered("half")(controller.progress):
            bed.errors = {Arm.GREEN: 0.2}
        bed.step(controller)
    raise AssertionError(f"it never stopped: {bed.snapshots[-1].decision}")


def test_two_writers_never_both_win(bed: Bed) -> None:
    controller = bed.controller()
    bed.until(controller, entered("few"))
    stale = bed.controller()
    bed.step(controller, 30)
    position = stale.progress.position

    with pytest.raises(Conflict):
        bed.log.append("small-1", after=position, events=[])
    stale.tick()

    assert stale.progress.position == bed.progress.position
