"""Another build in the middle of a rollout, and the end of blue: nobody meets what is being replaced."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tranche.approval import OwnRollout, asked
from tranche.controller import Controller
from tranche.desk import (
    BlueRetired,
    CannotRetarget,
    Ended,
    NotComplete,
    PastReturn,
    SameVersion,
    VersionRefused,
)
from tranche.events import (
    Attested,
    PhaseEntered,
    Retargeted,
    Stopped,
    VersionIdentified,
    WeightRequested,
    decode,
)
from tranche.ports import Arm, Colour, EnvironmentFault, LogFault, Stage, TrafficFault, Verdict
from tranche.progress import Progress, State
from tranche.status import status
from tranche.story import title_and_text

if TYPE_CHECKING:
    from conftest import Bed


def in_phase(name: str) -> Callable[[Progress], bool]:
    return lambda progress: progress.stay.name == name and progress.stay.entered_at is not None


def serves(version: str) -> Callable[[Progress], bool]:
    """Whether this version is in the phase the first one was in, with its users."""
    return lambda progress: progress.version == version and in_phase("half")(progress)


def retarget(bed: Bed, version: str = "1.2.0", actor: str = "ann") -> Progress:
    return bed.desk.retarget(version=version, reason="the fix", actor=actor)


@pytest.fixture
def half(bed: Bed) -> tuple[Bed, Controller]:
    """A rollout of 1.1.0 at 50 %, its users counted."""
    controller = bed.controller()
    bed.until(controller, in_phase("half"))
    bed.step(controller, 5)
    return bed, controller


def test_a_new_build_goes_through_staging_and_on_in_the_phase_the_old_one_was_in(
    half: tuple[Bed, Controller],
) -> None:
    bed, controller = half
    smoked, salt = len(bed.gates["http"].runs), bed.progress.salt
    asked_for = retarget(bed)
    assert (asked_for.state, asked_for.requested.green_weight, asked_for.version) == (
        State.STAGING,
        0,
        "1.2.0",
    )
    bed.until(controller, serves("1.2.0"))

    assert bed.environment.versions[Colour.GREEN] == "1.2.0"
    assert bed.weights[-2:] == [0, 5000], "users are on blue until the new build has passed staging"
    assert len(bed.gates["http"].runs) > smoked, "the gates of staging have seen the new build"
    assert bed.progress.salt == salt, "the same users meet it"
    ended = bed.until(controller, lambda progress: progress.is_finished, ticks=900)
    assert (ended.state, ended.version) == (State.COMPLETED, "1.2.0")


def test_no_user_is_on_green_when_it_stops(half: tuple[Bed, Controller]) -> None:
    bed, controller = half
    served: list[int] = []
    stop = bed.environment.retire

    def watched(colour: Colour) -> None:
        assert bed.traffic.split is not None
        served.append(bed.traffic.split.green_weight + bed.traffic.split.internal_to_green)
        stop(colour)

    bed.environment.retire = watched  # type: ignore[method-assign]
    retarget(bed)
    bed.until(controller, serves("1.2.0"))
    assert served == [0]


@pytest.mark.parametrize("at", ["apply", "serving"])
def test_green_is_not_replaced_before_the_data_plane_has_confirmed(
    half: tuple[Bed, Controller], at: str
) -> None:
    bed, controller = half
    retarget(bed)
    if at == "serving":
        bed.step(controller)  # the weight is taken over, and then the data plane falls silent
        bed.environment.versions[Colour.GREEN] = "1.1.0"
    bed.traffic.fault = "no answer"
    bed.step(controller, 20)
    assert bed.environment.versions == {Colour.GREEN: "1.1.0"}
    assert not bed.environment.retired[1:]
    bed.traffic.fault = None
    bed.until(controller, serves("1.2.0"))
    assert bed.environment.versions[Colour.GREEN] == "1.2.0"


def test_evidence_of_the_old_build_says_nothing_of_the_new_one(bed: Bed) -> None:
    """The old build restarts and fails requests; the new one would be taken back for it."""
    controller = bed.controller()
    bed.until(controller, in_phase("half"))
    bed.errors[Arm.GREEN] = 0.02
    bed.step(controller, 4)
    bed.environment.restarts, bed.environment.stage = 9, Stage.FAILED
    retarget(bed)
    bed.step(controller)
    assert bed.progress.rollback is None, "the version that is replaced is not judged any more"
    bed.errors[Arm.GREEN] = 0.0
    bed.environment.restarts, bed.environment.stage = 0, Stage.READY
    bed.until(controller, serves("1.2.0"))
    before = controller.seen.judgement
    assert before is not None
    assert controller.seen.arms.get(Arm.GREEN) is None or controller.seen.arms[Arm.GREEN].errors == 0
    ended = bed.until(controller, lambda progress: progress.is_finished, ticks=900)
    assert ended.state is State.COMPLETED
    row = status(bed.plan, ended, bed.memory, alive=True, now=bed.clock.now())["phases"][1]
    assert row["errors"] == 0, "the record shows what the version has done that came through"


def test_a_controller_that_comes_after_a_crash_forgets_the_old_build_too(
    half: tuple[Bed, Controller],
) -> None:
    bed, _ = half
    assert bed.memory is not None
    assert bed.memory["judgement"] is not None
    retarget(bed)
    second = bed.controller()

    assert second.seen.judgement is None
    bed.step(second)
    assert bed.environment.versions[Colour.GREEN] == "1.1.0", "to take over replaces nothing"
    bed.until(second, serves("1.2.0"))
    assert bed.environment.versions[Colour.GREEN] == "1.2.0"


def test_an_answer_of_a_gate_about_the_old_build_does_not_count_for_the_new_one(bed: Bed) -> None:
    controller = bed.controller()
    bed.gates["http"].answer = replace(bed.gates["http"].answer, verdict=Verdict.NOT_YET, reason="booting")
    bed.step(controller, 4)
    bed.gates["http"].answer = replace(bed.gates["http"].answer, verdict=Verdict.PASS, reason="old passed")
    ran = len(bed.gates["http"].runs)
    bed.until(controller, lambda _: len(bed.gates["http"].runs) > ran)  # and its answer is on its way
    retarget(bed)
    bed.gates["http"].answer = replace(bed.gates["http"].answer, verdict=Verdict.FAIL, reason="new fails")
    bed.step(controller, 20)

    assert bed.progress.stay.phase == 0
    assert {answered.reason for answered in bed.progress.stay.gates.values()} == {"new fails"}


def test_a_new_build_warms_up_before_it_is_judged(make_bed: Callable[..., Bed]) -> None:
    bed = make_bed(text=make_bed().text.replace("warm_up: 0s", "warm_up: 15s"))
    controller = bed.controller()
    bed.until(controller, in_phase("half"))
    retarget(bed)
    bed.until(controller, serves("1.2.0"))
    bed.errors[Arm.GREEN] = 0.9
    bed.step(controller, 5)
    assert bed.progress.rollback is None, "its caches are as cold as those of the first"
    ended = bed.until(controller, lambda progress: progress.is_finished)
    assert ended.state is State.ROLLED_BACK


def test_a_build_that_is_back_before_anybody_looked_begins_anew(half: tuple[Bed, Controller]) -> None:
    """Its name is the same: what was seen of it, and how long it had to get ready, was before it was replaced."""
    bed, controller = half
    bed.desk.pause(reason="", actor="ann")
    bed.step(controller, 31)
    retarget(bed)
    retarget(bed, "1.1.0")
    waiting = bed.controller()
    bed.environment.stage = Stage.STARTING
    bed.step(controller, 5)

    assert bed.progress.rollback is None, "it had five seconds to get ready, of thirty"
    assert (waiting.seen.judgement, waiting.seen.arms) == (None, {}), "nor does one that takes over know it"
    bed.environment.stage = Stage.READY
    bed.desk.resume(reason="", actor="ann")
    bed.until(controller, serves("1.1.0"))


def test_in_staging_a_new_build_takes_the_place_at_once(bed: Bed) -> None:
    controller = bed.controller()
    bed.step(controller, 2)
    retarget(bed)
    progress = bed.until(controller, serves("1.2.0"), ticks=900)
    entered = [event for each in bed.log.read("small-1") if isinstance(event := decode(each), PhaseEntered)]

    assert progress.version == "1.2.0"
    assert [(event.phase, event.internal_only) for event in entered[:2]] == [(1, True), (1, False)]


def test_a_build_may_be_replaced_while_it_is_still_in_staging_and_goes_where_the_first_was(
    half: tuple[Bed, Controller],
) -> None:
    bed, controller = half
    retarget(bed)
    bed.step(controller, 2)
    retarget(bed, "1.3.0")
    bed.until(controller, serves("1.3.0"))

    assert bed.environment.versions[Colour.GREEN] == "1.3.0"
    assert (bed.progress.version, bed.progress.returns_to, bed.progress.retargets) == ("1.3.0", 2, 2)


def test_a_new_build_that_is_never_ready_leaves_everybody_on_blue(half: tuple[Bed, Controller]) -> None:
    bed, controller = half
    bed.environment.stage = Stage.STARTING
    retarget(bed)
    ended = bed.until(controller, lambda progress: progress.is_finished)

    assert ended.state is State.ROLLED_BACK
    assert ended.rollback is not None
    assert ended.rollback.cause == "not-ready"
    assert bed.weights[-1] == 0


def test_an_old_green_that_does_not_stop_is_said_and_nothing_goes_on(half: tuple[Bed, Controller]) -> None:
    bed, controller = half

    def stubborn(colour: Colour) -> None:
        raise EnvironmentFault("its keeper is 4711")

    bed.environment.retire, stop = stubborn, bed.environment.retire  # type: ignore[method-assign]
    retarget(bed)
    bed.step(controller, 10)
    assert bed.progress.stay.phase == 0
    assert bed.environment.versions[Colour.GREEN] == "1.1.0"
    bed.environment.retire = stop  # type: ignore[method-assign]
    bed.until(controller, serves("1.2.0"))


def test_what_was_cut_off_when_green_was_replaced_is_in_the_record_and_told(
    half: tuple[Bed, Controller],
) -> None:
    bed, controller = half
    bed.environment.left = "3 requests were still under way after 20 s"
    retarget(bed)
    bed.until(controller, serves("1.2.0"))
    (stopped,) = [decode(event) for event in bed.log.read("small-1") if event.type == "stopped/1"]

    assert stopped == Stopped(colour="green", version="1.1.0", left=bed.environment.left)
    assert title_and_text(stopped) == ("stopped", f"green (1.1.0); {bed.environment.left}")
    assert ("warning", "small-1: requests were cut off", bed.environment.left) in bed.notifier.told


def test_what_was_cut_off_by_a_rollback_is_in_the_record(half: tuple[Bed, Controller]) -> None:
    bed, controller = half
    bed.environment.left = "1 requests were still under way after 20 s"
    bed.errors[Arm.GREEN] = 0.3
    bed.until(controller, lambda progress: progress.is_finished)
    assert bed.log.read("small-1")[-1].data == {"green": f"stopped; {bed.environment.left}"}


def test_a_person_takes_users_back_while_green_is_replaced(half: tuple[Bed, Controller]) -> None:
    bed, controller = half
    retarget(bed)
    bed.desk.roll_back(
        reason="enough", actor="bea", traffic=bed.traffic, environment=bed.environment, lock=bed.lock
    )
    ended = bed.until(controller, lambda progress: progress.is_finished)

    assert ended.state is State.ROLLED_BACK
    assert Colour.GREEN not in bed.environment.versions


def untouched(bed: Bed, refusal: type[Exception], ask: Callable[[], Any], told: str | None = None) -> None:
    before = bed.log.read("small-1")
    with pytest.raises(refusal, match=told):
        ask()
    assert bed.log.read("small-1") == before


def test_what_cannot_be_replaced_is_refused_and_says_why(half: tuple[Bed, Controller]) -> None:
    bed, controller = half
    untouched(bed, SameVersion, lambda: retarget(bed, "1.1.0"), "1.1.0 is rolled out already")
    bed.traffic.fault = "no answer"
    with pytest.raises(TrafficFault):
        bed.desk.roll_back(
            reason="x", actor="ann", traffic=bed.traffic, environment=bed.environment, lock=bed.lock
        )
    untouched(bed, CannotRetarget, lambda: retarget(bed))
    bed.traffic.fault = None
    bed.until(controller, lambda progress: progress.is_finished)
    untouched(bed, Ended, lambda: retarget(bed), "rolled_back")


@pytest.mark.parametrize("version", ["", "../../etc/passwd", "a b", "-rf", "1.0\n", "x" * 129])
def test_a_version_that_would_be_more_than_a_word_is_refused(
    half: tuple[Bed, Controller], version: str
) -> None:
    bed, _ = half
    untouched(bed, VersionRefused, lambda: retarget(bed, version))


def test_past_the_point_of_no_return_nobody_is_sent_to_blue(bed: Bed, make_bed: Callable[..., Bed]) -> None:
    text = bed.text.replace("{name: half,", "{name: half, point_of_no_return: columns are dropped,")
    made = make_bed(text=text)
    controller = made.controller()
    made.until(controller, in_phase("few"))
    made.until(controller, in_phase("half"))
    untouched(made, PastReturn, lambda: retarget(made), "columns are dropped")


def test_who_brings_a_build_in_does_not_approve_it(bed: Bed, make_bed: Callable[..., Bed]) -> None:
    text = bed.text.replace("staging:\n  gates: [", "staging:\n  gates: [{name: owner, kind: approval}, ")
    made = make_bed(text=text)
    controller = made.controller()
    made.step(controller, 3)
    retarget(made, actor="bea")
    made.step(controller, 3)
    assert [gate.name for gate in asked(made.plan.phases[0])] == ["owner"]
    (case,) = made.desk.case()
    yes = {"gate": None, "evidence": case["digest"], "reason": ""}

    assert case["not"] == "ann, bea"
    untouched(made, OwnRollout, lambda: made.desk.approve(actor="bea", **yes), "replaced the version")
    untouched(made, OwnRollout, lambda: made.desk.approve(actor="ann", **yes), "ann has started")
    made.desk.approve(actor="cem", **yes)


def test_a_rollback_that_could_not_be_recorded_is_not_that_of_the_build_which_came_meanwhile(
    half: tuple[Bed, Controller],
) -> None:
    bed, controller = half
    append = bed.log.append

    def full(*args: Any, **kwargs: Any) -> Any:
        raise LogFault("no space left on device")

    bed.environment.restarts = 9
    bed.step(controller)
    bed.log.append = full  # type: ignore[method-assign]
    bed.step(controller)
    assert bed.weights[-1] == 0, "users are on blue all the same"
    bed.log.append = append  # type: ignore[method-assign]
    bed.environment.restarts = 0
    retarget(bed)
    bed.until(controller, serves("1.2.0"))
    assert bed.progress.rollback is None


def test_the_log_says_what_was_seen_of_the_old_build_and_asks_for_blue_in_one_breath(
    half: tuple[Bed, Controller],
) -> None:
    bed, _ = half
    before = len(bed.log.read("small-1"))
    retarget(bed)
    entry, measured, retargeted, identified, asked_for = (
        decode(each) for each in bed.log.read("small-1", after=before)
    )

    assert measured.arms["green"]["requests"] > 0  # type: ignore[union-attr]
    assert retargeted == Retargeted(version="1.2.0", phase=2, reason="the fix")
    assert isinstance(entry, Attested)
    assert isinstance(identified, VersionIdentified)
    assert identified.version == "1.2.0"
    assert isinstance(asked_for, WeightRequested)
    assert (asked_for.green_weight, asked_for.internal_to_green) == (0, False)


def finished(bed: Bed) -> Progress:
    return bed.until(bed.controller(), lambda progress: progress.is_finished, ticks=900)


def retire(bed: Bed) -> Progress:
    return bed.desk.retire(reason="a week is over", actor="ann", environment=bed.environment)


def test_blue_is_retired_once_the_rollout_is_complete_and_not_gone_back_to(bed: Bed) -> None:
    assert finished(bed).retired == frozenset(), "the plan says never"
    bed.environment.versions[Colour.BLUE] = "1.0.0"
    assert retire(bed).retired == {"blue"}
    assert Colour.BLUE not in bed.environment.versions
    untouched(
        bed,
        BlueRetired,
        lambda: bed.desk.roll_back(
            reason="x", actor="ann", traffic=bed.traffic, environment=bed.environment, lock=bed.lock
        ),
    )


def test_blue_stays_while_users_may_have_to_go_back_to_it(half: tuple[Bed, Controller]) -> None:
    bed, controller = half
    untouched(bed, NotComplete, lambda: retire(bed), "until then users may have to go back")
    bed.errors[Arm.GREEN] = 0.3
    bed.until(controller, lambda progress: progress.is_finished)
    untouched(bed, Ended, lambda: retire(bed))
    assert Colour.BLUE not in bed.environment.retired


def test_a_blue_that_does_not_stop_is_a_fault_and_may_be_told_again(bed: Bed) -> None:
    finished(bed)
    bed.environment.fault = "its keeper is 4711"
    with pytest.raises(EnvironmentFault):
        retire(bed)
    recorded = len(bed.log.read("small-1"))
    assert bed.progress.retired == {"blue"}, (
        "recorded before it is done: nobody goes back to a blue that stops"
    )
    assert not bed.progress.is_over
    bed.environment.fault = None
    assert retire(bed).is_over
    retire(bed)
    assert len(bed.log.read("small-1")) == recorded + 1, "that it has stopped is recorded once"
    assert Colour.BLUE in bed.environment.retired
