"""The loop, on a virtual clock with modelled users: forward, back, through faults, and killed anywhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from tranche.events import Held, decode
from tranche.ports import (
    Arm,
    Colour,
    GateAnswer,
    NewEvent,
    Recorded,
    Split,
    Stage,
    Verdict,
)
from tranche.progress import Progress, State

if TYPE_CHECKING:
    from conftest import Bed
from stay import entered


def finished(progress: Progress) -> bool:
    return progress.is_finished


def test_a_good_version_comes_to_everybody_phase_by_phase(bed: Bed) -> None:
    progress = bed.until(bed.controller(), finished)

    assert progress.state is State.COMPLETED
    assert bed.weights == [0, 0, 1000, 5000, 10_000]
    assert [split.internal_to_green for split in bed.traffic.history] == [False, True, True, True, True]
    assert len({split.salt for split in bed.traffic.history}) == 1
    assert bed.environment.retired == []


def test_blue_is_retired_only_when_the_plan_says_so_and_only_at_the_end(make_bed: Callable[..., Bed]) -> None:
    bed = make_bed(make_bed().text.replace("name: small", "name: small\nretire_blue: after", 1))
    controller = bed.controller()
    bed.until(controller, lambda progress: progress.stay.name == "all")
    assert bed.environment.retired == []
    bed.until(controller, finished)
    bed.step(controller)

    assert bed.environment.retired == [Colour.BLUE]
    assert bed.progress.retired == {"blue"}


@pytest.mark.parametrize(
    ("trouble", "cause"),
    [
        (lambda bed: bed.errors.update({Arm.GREEN: 0.05, Arm.INTERNAL: 0.05}), "errors"),
        (lambda bed: bed.latency_ms.update({Arm.GREEN: 800.0}), "latency_p95"),
        (lambda bed: setattr(bed.environment, "restarts", 3), "restarts"),
        (lambda bed: setattr(bed.environment, "stage", Stage.FAILED), "failed"),
        (lambda bed: bed.signals.healthy_hosts.update({Colour.GREEN: 0}), "health"),
    ],
)
@pytest.mark.parametrize("phase", ["few", "half", "all"])
def test_a_bad_version_is_taken_back_from_every_phase(
    bed: Bed, phase: str, trouble: Callable[[Bed], Any], cause: str
) -> None:
    controller = bed.controller()
    bed.until(controller, entered(phase))
    bed.step(controller, 9)
    began = bed.clock.now()
    trouble(bed)
    progress = bed.until(controller, finished, ticks=14)

    assert progress.state is State.ROLLED_BACK
    assert progress.rollback is not None
    assert cause in progress.rollback.cause
    assert progress.rollback.first_bad_at is not None
    assert progress.rollback.first_bad_at >= began
    assert bed.weights[-1] == 0
    assert not bed.traffic.history[-1].internal_to_green
    assert bed.environment.retired == [Colour.GREEN]
    assert [severity for severity, _, _ in bed.notifier.told].count("critical") >= 1


def test_a_rollback_is_decided_and_applied_in_the_same_tick(bed: Bed) -> None:
    controller = bed.controller()
    bed.until(controller, entered("half"))
    bed.step(controller, 9)
    bed.environment.restarts = 9
    bed.step(controller)
    assert not controller.is_done
    controller.tick()

    assert bed.weights[-1] == 0
    assert bed.progress.rollback is not None
    assert bed.progress.rollback.applied_at == bed.progress.rollback.decided_at


def test_a_green_that_is_never_ready_never_has_users(bed: Bed) -> None:
    bed.environment.stage = Stage.STARTING
    progress = bed.until(bed.controller(), finished)

    assert progress.state is State.ROLLED_BACK
    assert set(bed.weights) == {0}
    assert not any(split.internal_to_green for split in bed.traffic.history)


def test_an_environment_that_cannot_start_green_is_waited_for_then_named(bed: Bed) -> None:
    bed.environment.fault = "port 18102 is busy, see green.log"
    progress = bed.until(bed.controller(), finished)

    assert progress.rollback is not None
    assert progress.rollback.reason == "green was not ready within 30s: port 18102 is busy, see green.log"


@pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.NOT_YET, Verdict.CANNOT_TELL])
def test_a_gate_that_does_not_pass_stops_the_rollout(bed: Bed, verdict: Verdict) -> None:
    bed.gates["command"].answer = GateAnswer(verdict=verdict, reason="so it is")
    controller = bed.controller()
    bed.step(controller, 200)

    assert bed.progress.stay.name == "few"
    assert bed.weights[-1] == 1000
    assert len(bed.gates["command"].runs) > 10
    answers = [
        e for e in bed.log.read("small-1") if e.type == "gate-answered/1" and e.data["gate"] == "integrity"
    ]
    assert len(answers) == 1, "an answer that is no news is recorded once"
    bed.gates["command"].answer = GateAnswer(verdict=Verdict.PASS, reason="mended")
    assert bed.until(controller, finished).state is State.COMPLETED


def test_a_gate_gets_its_variables(bed: Bed) -> None:
    bed.until(bed.controller(), finished)

    assert bed.gates["command"].runs == [{"command": ["check", "1.1.0"], "environment": {}}]
    assert bed.gates["http"].runs[0]["url"] == "http://green/ready"


def test_a_variable_the_site_does_not_lend_cannot_be_told(bed: Bed) -> None:
    controller = bed.controller(variables={})
    bed.step(controller, 20)

    answered = bed.progress.stay.gates["smoke"]
    assert answered.verdict is Verdict.CANNOT_TELL
    assert "{green_url}" in answered.reason
    assert bed.gates["http"].runs == []


def test_without_signals_nothing_advances_and_nothing_ends(bed: Bed) -> None:
    controller = bed.controller()
    bed.until(controller, entered("few"))
    bed.signals.fault = "connection refused"
    bed.step(controller, 100)

    assert bed.progress.stay.name == "few"
    assert bed.snapshots[-1].decision.verdict is Verdict.CANNOT_TELL
    assert "connection refused" in bed.snapshots[-1].decision.reason
    bed.signals.fault = None
    assert bed.until(controller, finished).state is State.COMPLETED


def test_without_requests_nothing_advances(bed: Bed) -> None:
    controller = bed.controller()
    bed.until(controller, entered("few"))
    bed.rate = bed.internal_rate = 0.0
    bed.step(controller, 100)

    assert bed.progress.stay.name == "few"
    assert bed.snapshots[-1].decision.verdict is Verdict.NOT_YET


def test_a_share_that_is_not_the_set_one_stops_the_rollout(bed: Bed) -> None:
    controller = bed.controller()
    bed.until(controller, entered("half"))
    for _ in range(100):
        bed.signals.serve(Arm.BLUE, 90)
        bed.step(controller)

    assert bed.progress.stay.name == "half"
    assert "where 50 % was set" in bed.snapshots[-1].decision.reason


def test_a_data_plane_that_does_not_confirm_holds_the_rollout(bed: Bed) -> None:
    controller = bed.controller()
    bed.until(controller, entered("few"))
    bed.traffic.fault = "update rejected"
    bed.step(controller, 60)

    assert bed.progress.stay.name == "few"
    assert bed.weights[-1] == 1000
    assert any("update rejected" in text for _, _, text in bed.notifier.told)
    bed.traffic.fault = None
    assert bed.until(controller, finished).state is State.COMPLETED


def test_a_rollback_the_data_plane_does_not_take_is_tried_again_and_again(bed: Bed) -> None:
    controller = bed.controller()
    bed.until(controller, entered("half"))
    bed.step(controller, 9)
    bed.environment.restarts = 9
    bed.traffic.fault = "no answer"
    bed.step(controller, 10)
    assert bed.progress.state is State.ROLLING_BACK
    assert bed.environment.retired == []
    bed.traffic.fault = None
    bed.step(controller)

    assert bed.progress.state is State.ROLLED_BACK
    assert bed.weights[-1] == 0


def test_when_the_log_cannot_be_written_users_are_taken_back_all_the_same(bed: Bed) -> None:
    controller = bed.controller()
    bed.until(controller, entered("half"))
    bed.step(controller, 9)
    bed.environment.restarts = 9
    bed.step(controller)
    append = bed.log.append
    full = FullDisk(append)
    bed.log.append = full
    bed.step(controller, 3)
    assert bed.weights[-1] == 0
    assert bed.progress.rollback is None
    full.is_full = False
    bed.step(controller, 2)

    assert bed.progress.state is State.ROLLED_BACK
    assert bed.weights[-1] == 0


def test_a_rollback_that_could_not_be_recorded_is_not_decided_again_behind_a_person_s(bed: Bed) -> None:
    controller = bed.controller()
    bed.until(controller, entered("half"))
    bed.step(controller, 9)
    bed.environment.restarts = 9
    bed.step(controller)
    full = FullDisk(bed.log.append)
    whole, bed.log.append = bed.log.append, full  # type: ignore[method-assign]
    bed.step(controller, 2)
    bed.log.append = whole  # type: ignore[method-assign]
    bed.desk.roll_back(
        reason="no", actor="bob", traffic=bed.traffic, environment=bed.environment, lock=bed.lock
    )
    bed.step(controller, 2)

    decided = [event for event in bed.log.read("small-1") if event.type == "rollback-decided/1"]
    assert [event.actor for event in decided] == ["bob"]
    assert bed.progress.state is State.ROLLED_BACK


def test_a_rollback_that_is_recorded_later_has_what_was_measured_beside_it(bed: Bed) -> None:
    controller = bed.controller()
    bed.until(controller, entered("half"))
    bed.step(controller, 9)
    bed.environment.restarts = 9
    bed.step(controller)
    full = FullDisk(bed.log.append)
    whole, bed.log.append = bed.log.append, full  # type: ignore[method-assign]
    bed.step(controller, 2)
    bed.log.append = whole  # type: ignore[method-assign]
    bed.step(controller, 2)

    types = [event.type for event in bed.log.read("small-1")]
    at = types.index("rollback-decided/1")
    assert types[at - 1 : at + 3] == [
        "attested/1",
        "rollback-decided/1",
        "weight-requested/1",
        "measured/1",
    ]


class FullDisk:
    """An append that fails while the disk is full."""

    def __init__(self, append: Callable[..., list[Recorded]]) -> None:
        self._append = append
        self.is_full = True

    def __call__(self, rollout: str, *, after: int, events: Sequence[NewEvent]) -> list[Recorded]:
        if self.is_full:
            from tranche.ports import LogFault

            raise LogFault("no space left on device")
        return self._append(rollout, after=after, events=events)


def test_a_data_plane_that_serves_something_else_is_put_right(bed: Bed) -> None:
    controller = bed.controller()
    bed.until(controller, entered("half"))
    bed.traffic.split = Split(identifier="none/0", salt="x", green_weight=0, internal_to_green=False)
    bed.step(controller)

    assert bed.weights[-1] == 5000
    assert any(event.type == "weight-restored/1" for event in bed.log.read("small-1"))


def test_when_blue_is_as_bad_people_are_called_and_users_stay(bed: Bed) -> None:
    controller = bed.controller()
    bed.until(controller, entered("half"))
    bed.step(controller, 9)
    bed.errors = dict.fromkeys(Arm, 0.05)
    bed.step(controller, 40)

    assert bed.progress.state is State.BAKING
    assert bed.weights[-1] == 5000
    assert any("going back would not help" in text for _, _, text in bed.notifier.told)


def test_a_step_back_gives_green_the_weight_before_and_counts_anew(make_bed: Callable[..., Bed]) -> None:
    text = make_bed().text.replace(
        "sustained: 8s, minimum_requests: 30, answer: roll_back}\nstaging",
        "sustained: 8s, minimum_requests: 30, answer: step_back}\nstaging",
    )
    bed = make_bed(text)
    controller = bed.controller()
    bed.until(controller, entered("half"))
    bed.latency_ms[Arm.GREEN] = 800.0
    bed.until(controller, lambda progress: progress.step_backs == 1)
    assert bed.progress.stay.name == "few"
    assert bed.weights[-1] == 1000
    bed.latency_ms.clear()

    assert bed.until(controller, finished).state is State.COMPLETED
    assert bed.weights == [0, 0, 1000, 5000, 1000, 5000, 10_000]


def test_a_hold_is_recorded_once_while_only_its_numbers_change(bed: Bed) -> None:
    controller = bed.controller()
    bed.until(controller, entered("half"))
    bed.step(controller, 15)
    events = bed.log.read("small-1")
    last = max(event.position for event in events if event.type == "phase-entered/1")
    holds = [event for event in events[last:] if isinstance(decode(event), Held)]

    assert [event.data["key"] for event in holds] == ["not yet: dwell"]


def test_a_person_pauses_resumes_and_goes_on(bed: Bed) -> None:
    controller = bed.controller()
    bed.until(controller, entered("few"))
    bed.desk.pause(reason="lunch", actor="ann")
    bed.step(controller, 100)
    assert bed.progress.state is State.PAUSED
    assert bed.progress.stay.name == "few"
    bed.desk.resume(reason="back", actor="ann")

    assert bed.until(controller, finished).state is State.COMPLETED


def test_a_paused_rollout_still_rolls_back(bed: Bed) -> None:
    controller = bed.controller()
    bed.until(controller, entered("few"))
    bed.desk.pause(reason="lunch", actor="ann")
    bed.errors[Arm.GREEN] = 0.3

    assert bed.until(controller, finished, ticks=30).state is State.ROLLED_BACK


def test_a_person_ends_the_dwell_early(bed: Bed) -> None:
    controller = bed.controller()
    bed.until(controller, entered("half"))
    bed.step(controller, 4)
    bed.desk.advance(reason="enough", actor="ann")
    bed.step(controller, 2)

    assert bed.progress.stay.name == "all"


@pytest.mark.parametrize(("overdue", "state"), [("hold", State.BAKING), ("roll_back", State.ROLLED_BACK)])
def test_a_phase_that_does_not_come_to_its_end_is_overdue(
    make_bed: Callable[..., Bed], overdue: str, state: State
) -> None:
    bed = make_bed(
        make_bed().text.replace("dwell: 20s\n", f"dwell: 20s\n    at_most: 40s\n    overdue: {overdue}\n")
    )
    bed.gates["command"].answer = GateAnswer(verdict=Verdict.NOT_YET, reason="still looking")
    controller = bed.controller()
    bed.until(controller, entered("few"))
    bed.step(controller, 40)
    assert bed.progress.state is State.BAKING
    bed.desk.pause(reason="lunch", actor="ann")
    bed.step(controller, 20)
    assert bed.progress.state is State.PAUSED, "whoever paused it knows"
    bed.desk.resume(reason="back", actor="ann")
    bed.step(controller, 40)
    assert bed.progress.state is State.BAKING, "who lets it go on gives it its time anew"
    bed.step(controller, 10)

    assert bed.progress.state is state
    told = [text for severity, _, text in bed.notifier.told if severity == "critical"]
    assert len(told) == 1
    assert "phase 'few' is overdue, it may last 40s" in told[0]
    assert "still looking" in told[0]


def test_windows_begin_with_the_controller_and_totals_go_on(bed: Bed) -> None:
    first = bed.controller()
    bed.until(first, entered("half"))
    bed.step(first, 10)
    known = bed.status["phases"][1]["requests"]
    bed.clock.sleep(300)  # nobody looks, and users meet errors
    second = bed.controller()
    bed.step(second, 2)

    assert bed.status["phases"][1]["requests"] < known + 5 * 200
    limits = bed.snapshots[-1].evidence.limits
    assert {found.reading.verdict for found in limits} == {Verdict.NOT_YET}


def test_what_nobody_saw_does_not_roll_back(bed: Bed) -> None:
    first = bed.controller()
    bed.until(first, entered("half"))
    bed.errors[Arm.GREEN] = 0.5
    bed.clock.sleep(300)
    bed.errors.clear()

    assert bed.until(bed.controller(), finished).state is State.COMPLETED


def test_a_damaged_memory_is_as_good_as_none(bed: Bed) -> None:
    first = bed.controller()
    bed.until(first, entered("half"))
    bed.step(first, 5)
    assert bed.memory is not None
    bed.memory["arms"] = {"green": "many"}
    second = bed.controller()

    assert second.seen.arms == {}


def test_the_judge_takes_a_version_back_before_a_limit_would(make_bed: Callable[..., Bed]) -> None:
    bed = make_bed(
        make_bed().text.replace("sustained: 8s", "sustained: 60s").replace("dwell: 20s", "dwell: 200s")
    )
    controller = bed.controller()
    bed.until(controller, entered("half"))
    began = bed.clock.now()
    bed.errors = {Arm.GREEN: 0.03}
    progress = bed.until(controller, finished)

    assert progress.rollback is not None
    assert progress.rollback.cause.startswith("judge: errors")
    assert progress.rollback.first_bad_at is not None
    assert began <= progress.rollback.first_bad_at < progress.rollback.decided_at
    assert (progress.rollback.decided_at - began).total_seconds() < 30
    assert progress.rollback.numbers["evidence"] >= progress.rollback.numbers["line"]


def test_trouble_of_both_versions_is_held_and_somebody_is_called(make_bed: Callable[..., Bed]) -> None:
    bed = make_bed(make_bed().text.replace("errors > 1 %", "errors > 50 %"))
    controller = bed.controller()
    bed.until(controller, entered("half"))
    bed.errors = {Arm.GREEN: 0.2, Arm.BLUE: 0.2, Arm.CONTROL: 0.2}
    bed.step(controller, 120)

    assert not bed.progress.is_finished
    assert bed.progress.stay.name == "half"
    assert any("misses 'errors < 0.5 %' too" in text for _, _, text in bed.notifier.told)


def test_while_green_warms_up_the_judge_does_not_listen_and_nothing_goes_forward(
    make_bed: Callable[..., Bed],
) -> None:
    bed = make_bed(make_bed().text.replace("warm_up: 0s", "warm_up: 60s"))
    controller = bed.controller()
    bed.until(controller, lambda progress: progress.has_users)
    began = bed.clock.now()
    bed.until(controller, entered("few"))

    assert (bed.clock.now() - began).total_seconds() >= 60


def test_evidence_outlives_its_controller_and_a_change_of_weight(bed: Bed) -> None:
    controller = bed.controller()
    bed.until(controller, entered("few"))
    bed.errors = {Arm.GREEN: 0.003, Arm.BLUE: 0.002}
    bed.until(controller, entered("half"))
    bed.step(controller, 3)
    assert bed.snapshots[-1].evidence.harm is not None
    before = bed.snapshots[-1].seen.judgement
    again = bed.controller()

    assert before is not None
    assert again.seen.judgement is not None
    assert (again.seen.judgement.state.wealth == before.state.wealth).all()
    assert (again.seen.judgement.state.placed > 0.5).all()


def test_a_judge_whose_memory_is_damaged_begins_anew(bed: Bed) -> None:
    controller = bed.controller()
    bed.until(controller, entered("few"))
    assert bed.memory is not None
    bed.memory["judgement"]["state"]["wealth"] = [[[1.0]]]

    assert bed.controller().seen.judgement is None
