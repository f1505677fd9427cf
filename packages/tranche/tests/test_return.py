"""Past the point of no return what would take users back stops the rollout, and a person decides."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from tranche.page import text_of_status
from tranche.ports import Arm, GateAnswer, Stage, Verdict
from tranche.progress import Progress, State
from tranche.record import markdown
from tranche.way_back import PastReturn

if TYPE_CHECKING:
    from conftest import Bed

POINT = "{name: half, weight: 50 %, dwell: 20s, point_of_no_return: old columns are dropped,"


@pytest.fixture
def past(make_bed: Callable[..., Bed]) -> Bed:
    text = make_bed().text.replace("{name: half, weight: 50 %, dwell: 20s,", POINT)
    assert POINT in text
    return make_bed(text)


def entered(name: str) -> Callable[[Progress], bool]:
    return lambda progress: (
        progress.stay.name == name
        and not progress.stay.internal_only
        and progress.stay.entered_at is not None
    )


def back(bed: Bed, **changes: Any) -> Any:
    parts = {"traffic": bed.traffic, "environment": bed.environment, "lock": bed.lock} | changes
    return bed.desk.roll_back(reason="a backup is restored", actor="ann", **parts)


TROUBLES = [
    (lambda bed: bed.errors.update({Arm.GREEN: 0.2}), "errors"),
    (lambda bed: bed.latency_ms.update({Arm.GREEN: 800.0}), "latency_p95"),
    (lambda bed: setattr(bed.environment, "restarts", 3), "restarts"),
    (lambda bed: setattr(bed.environment, "stage", Stage.FAILED), "failed"),
]


@pytest.mark.parametrize(("trouble", "cause"), TROUBLES, ids=[cause for _, cause in TROUBLES])
@pytest.mark.parametrize("phase", ["half", "all"])
def test_nothing_takes_users_back_and_the_rollout_stops_and_somebody_is_called(
    past: Bed, phase: str, trouble: Callable[[Bed], Any], cause: str
) -> None:
    controller = past.controller()
    past.until(controller, entered(phase))
    weight = past.weights[-1]
    trouble(past)
    past.step(controller, 19)

    assert past.weights[-1] == weight
    assert past.progress.rollback is None
    assert past.progress.state is State.PAUSED
    assert past.progress.paused_by == "controller"
    calls = [text for severity, _, text in past.notifier.told if severity == "critical"]
    assert any("going back is no remedy any more (old columns are dropped)" in text for text in calls)
    assert [event.type for event in past.log.read("small-1")].count("paused/1") == 1


def test_before_the_point_everything_is_taken_back_as_ever(past: Bed) -> None:
    controller = past.controller()
    past.until(controller, entered("few"))
    past.errors = {Arm.GREEN: 0.3}

    assert past.until(controller, lambda progress: progress.is_finished, ticks=40).state is State.ROLLED_BACK
    assert past.status["point_of_no_return"]["passed_at"] is None


def test_a_step_back_is_a_way_back_too(make_bed: Callable[..., Bed]) -> None:
    text = make_bed().text.replace("{name: half, weight: 50 %, dwell: 20s,", POINT)
    bed = make_bed(text.replace("30, answer: roll_back", "30, answer: step_back"))
    controller = bed.controller()
    bed.until(controller, entered("half"))
    bed.latency_ms = {Arm.GREEN: 800.0}
    bed.step(controller, 19)

    assert bed.progress.step_backs == 0
    assert bed.weights[-1] == 5000
    assert bed.progress.paused_by == "controller"


def test_a_gate_that_demands_a_rollback_stops_it_too(make_bed: Callable[..., Bed]) -> None:
    gates = "gates: [{name: g, kind: command, command: [x], on_fail: roll_back}],"
    text = make_bed().text.replace("{name: half, weight: 50 %, dwell: 20s,", f"{POINT} {gates}")
    bed = make_bed(text)
    controller = bed.controller()
    bed.until(controller, entered("few"))
    bed.step(controller, 21)
    bed.gates["command"].answer = GateAnswer(verdict=Verdict.PASS, reason="ok")
    bed.until(controller, lambda progress: "integrity" in progress.stay.gates or progress.stay.name == "half")
    bed.gates["command"].answer = GateAnswer(verdict=Verdict.FAIL, reason="a ledger is off by 3")
    bed.until(controller, entered("half"))
    bed.step(controller, 4)

    assert bed.progress.rollback is None
    assert bed.progress.paused_by == "controller"


def test_it_goes_on_only_when_a_person_says_so_even_when_the_trouble_is_over(past: Bed) -> None:
    controller = past.controller()
    past.until(controller, entered("half"))
    past.environment.stage = Stage.FAILED
    past.step(controller, 5)
    past.environment.stage = Stage.READY
    past.step(controller, 60)
    assert past.progress.stay.name == "half"
    assert past.progress.state is State.PAUSED
    past.desk.resume(reason="mended", actor="ann")

    assert past.until(controller, lambda progress: progress.is_finished).state is State.COMPLETED


def test_resuming_does_not_silence_the_cause_and_a_new_one_stops_it_anew(past: Bed) -> None:
    controller = past.controller()
    past.until(controller, entered("half"))
    past.environment.stage = Stage.FAILED
    past.step(controller, 3)
    past.desk.resume(reason="let it be", actor="ann")
    past.step(controller, 40)
    assert past.progress.stay.name == "half"
    assert past.progress.paused_by is None
    past.environment.stage, past.environment.restarts = Stage.READY, 9
    past.step(controller, 3)

    assert past.progress.paused_by == "controller"


def test_a_rollback_by_hand_is_refused_and_changes_nothing_unless_it_is_forced(past: Bed) -> None:
    controller = past.controller()
    past.until(controller, entered("half"))
    before, weights = past.log.read("small-1"), list(past.weights)
    with pytest.raises(PastReturn, match="'half' was the point of no return: old columns are dropped"):
        back(past)
    assert past.log.read("small-1") == before
    assert past.weights == weights
    past.control.is_held = False
    back(past, force=True)

    assert past.weights[-1] == 0
    assert past.progress.rollback is not None
    assert past.progress.rollback.numbers["forced_past"] == "half"
    assert past.progress.rollback.reason == "a backup is restored"


def test_a_completed_rollout_is_past_its_point_too(past: Bed) -> None:
    past.until(past.controller(), lambda progress: progress.is_finished)
    with pytest.raises(PastReturn):
        back(past)


def test_before_the_point_nothing_needs_to_be_forced(past: Bed) -> None:
    past.until(past.controller(), entered("few"))
    back(past)

    assert past.weights[-1] == 0
    assert past.progress.rollback is not None
    assert past.progress.rollback.numbers == {}


@pytest.mark.parametrize(("line", "refused"), [("", False), ("point_of_no_return: x\n", True)])
def test_a_plan_that_cannot_be_read_keeps_nobody_on_green_unless_it_names_such_a_point(
    make_bed: Callable[..., Bed], line: str, refused: bool
) -> None:
    bed = make_bed()
    bed.desk.start(bed.plan, text=f"a_key_of_tomorrow: 1\n{line}", file="p.yaml", version="2", actor="ann")
    bed.control.is_held = False
    if refused:
        with pytest.raises(PastReturn, match="cannot read the plan"):
            back(bed)
        back(bed, force=True)
    else:
        back(bed)

    assert bed.progress.state is State.ROLLED_BACK


def test_status_and_record_say_it_before_anything_else(past: Bed) -> None:
    past.until(past.controller(), entered("half"))
    lines = text_of_status(past.status).splitlines()
    notice = next(
        number for number, line in enumerate(lines) if line.startswith("! past the point of no return")
    )

    assert notice < next(number for number, line in enumerate(lines) if line.strip().startswith("phase"))
    assert "half" in lines[notice]
    assert "| past the point of no return |" in markdown(past.status, past.log.read("small-1"))
