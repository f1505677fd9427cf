"""What people may ask, when, and what a rollback by hand does without a controller."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tranche.desk import (
    AlreadyPaused,
    BlueRetired,
    Ended,
    GreenInUse,
    NoRollout,
    NotPaused,
    PlanChanged,
    UnfinishedRollout,
)
from tranche.events import NAMES, Retired
from tranche.glance import CannotAdvance
from tranche.ports import Arm, Colour, GateAnswer, LogFault, NewEvent, Recorded, TrafficFault, Verdict
from tranche.progress import Progress, State
from tranche.refusal import Refused

if TYPE_CHECKING:
    from conftest import Bed


def in_phase(name: str) -> Callable[[Progress], bool]:
    return lambda progress: progress.stay.name == name and progress.stay.entered_at is not None


def back(bed: Bed, **changes: Any) -> Any:
    parts = {"traffic": bed.traffic, "environment": bed.environment, "lock": bed.lock} | changes
    return bed.desk.roll_back(reason="support says no", actor="ann", **parts)


def start(bed: Bed) -> Progress:
    return bed.desk.start(bed.plan, text=bed.text, file="small.yaml", version="1.2.0", actor="ann")


def refused_and_untouched(
    bed: Bed, refusal: type[Refused], ask: Callable[[], object], told: str | None = None
) -> None:
    before = bed.log.read(bed.desk.name()) if bed.log.rollouts() else []
    weights = list(bed.weights)
    with pytest.raises(refusal, match=told):
        ask()
    assert (bed.log.read(bed.desk.name()) if bed.log.rollouts() else []) == before
    assert bed.weights == weights


def test_without_a_rollout_nothing_can_be_asked(bed: Bed) -> None:
    for ask in (bed.desk.status, bed.desk.name, lambda: bed.desk.pause(reason="", actor="ann")):
        refused_and_untouched(bed, NoRollout, ask)


def test_one_rollout_after_the_other(bed: Bed) -> None:
    start(bed)

    refused_and_untouched(bed, UnfinishedRollout, lambda: start(bed), "'small-1' is staging")


def test_while_green_serves_everybody_no_new_rollout_replaces_it(bed: Bed) -> None:
    bed.until(bed.controller(), lambda progress: progress.is_finished)

    refused_and_untouched(bed, GreenInUse, lambda: start(bed))


def test_after_a_rollback_the_next_rollout_has_its_own_name_and_salt(bed: Bed) -> None:
    first = start(bed)
    bed.control.is_held = False
    back(bed)
    second = start(bed)

    assert (first.rollout, second.rollout) == ("small-1", "small-2")
    assert first.salt != second.salt
    assert bed.desk.name() == "small-2"
    assert bed.desk.name("small-1") == "small-1"
    refused_and_untouched(bed, NoRollout, lambda: bed.desk.name("small-3"), "there are: small-1, small-2")


def test_pausing_twice_and_resuming_what_runs_are_refused(bed: Bed) -> None:
    start(bed)

    refused_and_untouched(bed, NotPaused, lambda: bed.desk.resume(reason="", actor="ann"))
    bed.desk.pause(reason="lunch", actor="ann")
    refused_and_untouched(bed, AlreadyPaused, lambda: bed.desk.pause(reason="", actor="bob"), "by ann")
    bed.desk.resume(reason="", actor="bob")
    assert bed.progress.paused_by is None


def test_a_rollback_works_without_a_controller(bed: Bed) -> None:
    controller = bed.controller()
    bed.until(controller, in_phase("half"))
    bed.step(controller, 3)
    bed.control.is_held = False
    reversal = back(bed)

    assert reversal.finished
    assert bed.weights[-1] == 0
    assert bed.progress.state is State.ROLLED_BACK
    assert bed.progress.rollback is not None
    assert bed.progress.rollback.actor == "ann"
    assert bed.environment.retired
    assert bed.status["phases"][1]["requests"] > 0, "what the controller had seen is kept"


def test_a_rollback_beside_a_living_controller_is_ended_by_it(bed: Bed) -> None:
    controller = bed.controller()
    bed.until(controller, in_phase("half"))
    reversal = back(bed)

    assert not reversal.finished
    assert bed.weights[-1] == 0
    bed.step(controller)
    assert bed.progress.state is State.ROLLED_BACK
    assert bed.weights[-1] == 0
    assert controller.is_done


def test_a_rollback_wins_over_an_advance_decided_at_the_same_moment(bed: Bed) -> None:
    controller = bed.controller()
    bed.until(controller, in_phase("half"))
    apply = bed.traffic.apply

    def slow_apply(split: Any) -> None:
        bed.traffic.apply = apply
        if split.green_weight == 10_000:
            back(bed)  # a person, while the controller is at it
        apply(split)

    bed.traffic.apply = slow_apply
    bed.step(controller, 40)

    assert bed.traffic.split is not None
    assert bed.traffic.split.green_weight == 0
    assert bed.progress.state is State.ROLLED_BACK


def test_a_lock_somebody_keeps_does_not_stop_a_rollback(bed: Bed) -> None:
    controller = bed.controller()
    bed.until(controller, in_phase("half"))
    bed.lock.is_taken = True
    back(bed)

    assert bed.weights[-1] == 0


def test_a_rollback_that_is_not_confirmed_stands_in_the_log_and_may_be_repeated(bed: Bed) -> None:
    controller = bed.controller()
    bed.until(controller, in_phase("half"))
    bed.control.is_held = False
    bed.traffic.fault = "no answer"
    with pytest.raises(TrafficFault):
        back(bed)
    assert bed.progress.state is State.ROLLING_BACK
    bed.traffic.fault = None
    back(bed)

    assert bed.progress.state is State.ROLLED_BACK
    assert [event.type for event in bed.log.read("small-1")].count("rollback-decided/1") == 1


def test_a_finished_rollout_can_still_be_taken_back_while_blue_is_warm(bed: Bed) -> None:
    bed.until(bed.controller(), lambda progress: progress.is_finished)
    bed.control.is_held = False
    back(bed)

    assert bed.weights[-1] == 0
    assert bed.progress.state is State.ROLLED_BACK


def test_a_retired_blue_cannot_be_gone_back_to(make_bed: Callable[..., Bed]) -> None:
    bed = make_bed(make_bed().text.replace("name: small", "name: small\nretire_blue: after", 1))
    controller = bed.controller()
    bed.until(controller, lambda progress: progress.is_finished)
    bed.step(controller)

    refused_and_untouched(bed, BlueRetired, lambda: back(bed))


def test_who_goes_back_before_blue_is_retired_goes_back_to_a_blue_that_runs(
    make_bed: Callable[..., Bed], monkeypatch: pytest.MonkeyPatch
) -> None:
    bed = make_bed(make_bed().text.replace("name: small", "name: small\nretire_blue: after", 1))
    append, asked = bed.log.append, []

    def overtaken(rollout: str, *, after: int, events: Sequence[NewEvent]) -> list[Recorded]:
        if not asked and any(event.type == NAMES[Retired] for event in events):
            asked.append(back(bed))
        return append(rollout, after=after, events=events)

    monkeypatch.setattr(bed.log, "append", overtaken)
    controller = bed.controller()
    bed.until(controller, lambda progress: progress.state is State.ROLLED_BACK)

    assert asked
    assert bed.weights[-1] == 0
    assert bed.environment.retired == [Colour.GREEN]


def test_a_rolled_back_rollout_takes_no_more_commands(bed: Bed) -> None:
    start(bed)
    bed.control.is_held = False
    back(bed)

    for ask in (bed.desk.pause, bed.desk.resume, bed.desk.advance):
        refused_and_untouched(bed, Ended, lambda ask=ask: ask(reason="", actor="ann"))
    refused_and_untouched(bed, Ended, lambda: back(bed))


def advance(bed: Bed) -> Progress:
    return bed.desk.advance(reason="enough", actor="ann")


def test_the_dwell_cannot_be_ended_over_a_failed_gate(bed: Bed) -> None:
    bed.gates["http"].answer = GateAnswer(verdict=Verdict.FAIL, reason="no answer")
    bed.step(bed.controller(), 5)

    refused_and_untouched(bed, CannotAdvance, lambda: advance(bed), "gate smoke: fail")


def test_the_dwell_cannot_be_ended_over_missing_data(bed: Bed) -> None:
    controller = bed.controller()
    bed.until(controller, in_phase("half"))
    bed.signals.fault = "refused"
    bed.step(controller, 8)

    refused_and_untouched(bed, CannotAdvance, lambda: advance(bed), "signals: cannot tell")


def test_the_dwell_cannot_be_ended_when_nobody_is_looking(bed: Bed) -> None:
    controller = bed.controller()
    bed.until(controller, in_phase("half"))
    bed.step(controller, 2)
    bed.clock.sleep(30)
    refused_and_untouched(bed, CannotAdvance, lambda: advance(bed), "looked 3[01] s ago")
    bed.control.is_held = False

    refused_and_untouched(bed, CannotAdvance, lambda: advance(bed), "no controller is looking")


def test_the_dwell_can_be_ended_once(bed: Bed) -> None:
    controller = bed.controller()
    bed.until(controller, in_phase("half"))
    bed.step(controller, 2)
    advance(bed)

    refused_and_untouched(bed, CannotAdvance, lambda: advance(bed), "ann has ended this dwell")


def test_ending_the_dwell_does_not_make_a_requirement_met(bed: Bed) -> None:
    controller = bed.controller()
    bed.until(controller, in_phase("half"))
    before = bed.signals.scrape().arms[Arm.GREEN].requests
    bed.rate = 0.1
    bed.internal_rate = 0
    bed.step(controller, 2)
    advance(bed)
    bed.step(controller, 20)

    assert bed.progress.stay.name == "half"
    assert bed.signals.scrape().arms[Arm.GREEN].requests < before + 100


def test_a_paused_rollout_cannot_be_advanced(bed: Bed) -> None:
    controller = bed.controller()
    bed.until(controller, in_phase("half"))
    bed.step(controller, 2)
    bed.desk.pause(reason="", actor="bob")

    refused_and_untouched(bed, CannotAdvance, lambda: advance(bed), "paused by bob")


def test_a_plan_that_reads_differently_is_refused(bed: Bed) -> None:
    progress = start(bed)

    with pytest.raises(PlanChanged, match="the release it was started with"):
        bed.desk.plan(replace(progress, plan_digest="sha256:other"))


def test_a_log_that_cannot_be_read_is_a_fault_not_a_guess(bed: Bed) -> None:
    start(bed)
    bed.log.fault = "disk gone"

    with pytest.raises(LogFault):
        bed.desk.status()


def test_the_status_of_a_dead_controller_says_so_and_stays_true(bed: Bed) -> None:
    controller = bed.controller()
    bed.until(controller, in_phase("half"))
    bed.step(controller, 5)
    bed.control.is_held = False
    bed.clock.sleep(60)
    status = bed.desk.status()

    assert not status["controller"]["alive"]
    assert status["phase"]["name"] == "half"
    assert status["phases"][1]["requests"] > 0
    assert bed.clock.now() - bed.progress.started_at > timedelta(seconds=60)
