"""The laws of the decision, over anything that could be seen."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tranche import language
from tranche.decide import Advance, Complete, Hold, RollBack, StepBack, _harm, decide, past_return
from tranche.evidence import Evidence
from tranche.limits import LimitReading, Reading
from tranche.plan import Answer, Plan
from tranche.ports import Arm, ColourState, Split, Stage, Verdict
from tranche.progress import Answered, Progress, Rollback, Stay
from tranche.signals import Counts

NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)
TEXT = """
name: p
tick: 1s
stale_after: 10s
health: {ready_within: 60s, unhealthy_for: 5s, restarts: 2}
limits:
  - {limit: errors > 1 %, sustained: 8s, answer: roll_back}
  - {limit: latency_p95 > 500 ms, sustained: 8s, answer: step_back}
  - {limit: latency_p99 > 500 ms, sustained: 8s, answer: hold}
staging:
  gates: [{name: smoke, kind: http, url: "x"}]
phases:
  - name: few
    weight: 10 %
    internal_users_first: 5s
    dwell: 20s
    requirements: [errors < 0.5 %]
    gates: [{name: integrity, kind: command, command: [x], at: end, on_fail: roll_back}]
  - {name: half, weight: 50 %, dwell: 20s, requirements: [errors < 0.5 %]}
  - {name: all, weight: 100 %, dwell: 20s, requirements: [errors < 0.5 %]}
"""
PLAN: Plan = language.parse(TEXT, file="p.yaml")


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def progress(phase: int = 1, **changes: object) -> Progress:
    """A rollout in this phase with everything passed; the weight is applied for 30 s."""
    planned = PLAN.phases[phase]
    identifier = "p-1/3"
    stay = Stay(
        phase=phase,
        name=planned.name,
        weight_percent=planned.weight_percent,
        internal_only=False,
        identifier=identifier,
        requested_at=ago(31),
        entered_at=ago(30),
        gates={g.name: Answered(verdict=Verdict.PASS, reason="ok", at=ago(5)) for g in planned.gates},
    )
    stay = replace(stay, **changes.pop("stay", {}))
    parts = {
        "rollout": "p-1",
        "position": 9,
        "plan_text": TEXT,
        "plan_file": "p.yaml",
        "plan_digest": PLAN.digest,
        "version": "2",
        "salt": "s",
        "started_at": ago(90),
        "started_by": "ann",
        "last_at": ago(1),
        "stays": (stay,),
        "requested": Split(
            identifier=identifier, salt="s", green_weight=planned.green_weight, internal_to_green=phase > 0
        ),
        "applied": identifier,
        "green_ready_at": ago(60),
    }
    return Progress(**(parts | changes))


def evidence(phase: int = 1, **changes: object) -> Evidence:
    """Evidence with which a rollout in this phase would go on."""
    met = tuple(
        Reading(name=str(bound), verdict=Verdict.PASS, reason="met")
        for bound in PLAN.phases[phase].requirements
    )
    parts = {
        "watched_since": ago(90),
        "scraped_at": ago(0.1),
        "green": ColourState(stage=Stage.READY, version="2"),
        "green_at": ago(1),
        "healthy_green": 1,
        "arms": {Arm.GREEN: Counts(requests=500, faster={500: 500})},
        "requirements": met,
    }
    return Evidence(**(parts | changes))


def broken(number: int, *, blue_too: bool = False) -> LimitReading:
    limit = PLAN.limits[number]
    reading = Reading(name=str(limit), verdict=Verdict.FAIL, reason=f"{limit} is broken")
    return LimitReading(limit=limit, reading=reading, blue_too=blue_too, first_bad_at=ago(9))


def internal_only(counts: Counts) -> Hold | Advance:
    seen = evidence(1, arms={Arm.INTERNAL: counts})
    found = decide(PLAN, progress(1, stay={"internal_only": True}), seen, NOW)
    assert isinstance(found, Hold | Advance)
    return found


def test_others_wait_while_internal_users_meet_errors() -> None:
    found = internal_only(Counts(requests=13, errors=5, faster={500: 13}))
    assert isinstance(found, Hold)
    assert "internal users met 5 bad of 13 requests" in found.reason
    assert isinstance(internal_only(Counts(requests=13, faster={500: 13})), Advance)


def test_others_wait_until_an_internal_user_was_seen() -> None:
    found = internal_only(Counts())
    assert isinstance(found, Hold)
    assert "no internal user was seen on green" in found.reason


def test_with_everything_passed_it_goes_one_step_forward() -> None:
    assert decide(PLAN, progress(0), evidence(0), NOW) == Advance(
        phase=1, internal_only=True, reason="staging: every gate and requirement is met"
    )
    widened = decide(PLAN, progress(1, stay={"internal_only": True}), evidence(1), NOW)
    assert isinstance(widened, Advance)
    assert (widened.phase, widened.internal_only) == (1, False)
    onward = decide(PLAN, progress(1), evidence(1), NOW)
    assert isinstance(onward, Advance)
    assert (onward.phase, onward.internal_only) == (2, False)
    assert isinstance(decide(PLAN, progress(3), evidence(3), NOW), Complete)


def held(found: object) -> Hold:
    assert isinstance(found, Hold), found
    return found


def test_the_dwell_is_counted_from_the_confirmation() -> None:
    young = held(decide(PLAN, progress(2, stay={"entered_at": ago(19)}), evidence(2), NOW))

    assert young.verdict is Verdict.NOT_YET
    assert "19s of 20s have passed" in young.reason
    assert (
        held(decide(PLAN, progress(2, stay={"entered_at": None}), evidence(2), NOW)).verdict
        is Verdict.CANNOT_TELL
    )


def test_a_person_may_end_the_dwell_and_nothing_else() -> None:
    waived = {"entered_at": ago(3), "dwell_waived_by": "ann"}

    assert isinstance(decide(PLAN, progress(2, stay=waived), evidence(2), NOW), Advance)
    assert isinstance(decide(PLAN, progress(1, stay=waived | {"gates": {}}), evidence(1), NOW), Hold)
    assert isinstance(decide(PLAN, progress(2, stay=waived), evidence(2, scraped_at=ago(60)), NOW), Hold)


def test_a_gate_that_did_not_run_has_not_passed() -> None:
    found = held(decide(PLAN, progress(1, stay={"gates": {}}), evidence(1), NOW))

    assert found.verdict is Verdict.NOT_YET
    assert [reading.name for reading in found.lacking] == ["gate integrity"]


def test_a_requirement_nobody_measured_cannot_be_told() -> None:
    assert held(decide(PLAN, progress(2), evidence(2, requirements=()), NOW)).verdict is Verdict.CANNOT_TELL


def test_the_judge_must_pass_besides_the_requirement() -> None:
    doubt = Reading(name="errors < 0.5 %", verdict=Verdict.NOT_YET, reason="needs 300 more requests")
    found = held(decide(PLAN, progress(2), evidence(2, safety={"errors < 0.5 %": doubt}), NOW))

    assert "300 more requests" in found.reason


def test_a_hard_limit_rolls_back_even_when_paused() -> None:
    found = decide(PLAN, progress(2, paused_by="ann"), evidence(2, limits=(broken(0),)), NOW)

    assert isinstance(found, RollBack)
    assert found.first_bad_at == ago(9)


def test_a_step_back_goes_to_the_phase_before_and_from_the_first_one_home() -> None:
    slow = (broken(1),)

    back = decide(PLAN, progress(2), evidence(2, limits=slow), NOW)
    assert isinstance(back, StepBack)
    assert back.phase == 1
    assert isinstance(decide(PLAN, progress(1), evidence(1, limits=slow), NOW), RollBack)
    assert isinstance(decide(PLAN, progress(2, step_backs=2), evidence(2, limits=slow), NOW), RollBack)


def test_the_worst_answer_wins() -> None:
    found = decide(PLAN, progress(2), evidence(2, limits=(broken(2), broken(1), broken(0))), NOW)

    assert isinstance(found, RollBack)


def test_when_blue_breaks_it_too_people_are_called() -> None:
    found = held(decide(PLAN, progress(2), evidence(2, limits=(broken(0, blue_too=True),)), NOW))

    assert found.page
    assert "going back would not help" in found.reason


def test_what_only_green_breaks_outweighs_what_both_break() -> None:
    found = decide(PLAN, progress(2), evidence(2, limits=(broken(0, blue_too=True), broken(1))), NOW)

    assert isinstance(found, StepBack)


def test_a_limit_means_nothing_where_green_has_no_users() -> None:
    assert not isinstance(decide(PLAN, progress(0), evidence(0, limits=(broken(0),)), NOW), RollBack)


def test_a_dying_green_is_taken_back() -> None:
    restarted = ColourState(stage=Stage.READY, version="2", restarts=3, detail="exit 9")
    failed = ColourState(stage=Stage.FAILED, version="2")

    crashed = decide(PLAN, progress(2), evidence(2, green=restarted, trouble_since=ago(7)), NOW)
    assert isinstance(crashed, RollBack)
    assert crashed.reason == "green restarted 3 times, more than 2: exit 9"
    assert crashed.first_bad_at == ago(7)
    assert isinstance(decide(PLAN, progress(2), evidence(2, green=failed), NOW), RollBack)
    assert isinstance(decide(PLAN, progress(2), evidence(2, unhealthy_since=ago(5)), NOW), RollBack)
    assert isinstance(decide(PLAN, progress(2), evidence(2, unhealthy_since=ago(4)), NOW), Advance)


def test_a_green_that_never_becomes_ready_is_given_up_and_says_why() -> None:
    late = decide(
        PLAN, progress(0, green_ready_at=None), evidence(0, green=None, green_trouble="port 1 is busy"), NOW
    )

    assert isinstance(late, RollBack)
    assert late.reason == "green was not ready within 1m: port 1 is busy"
    fresh = evidence(0, green=None, watched_since=ago(59))
    assert isinstance(decide(PLAN, progress(0, green_ready_at=None), fresh, NOW), Hold)


def test_a_gate_may_demand_a_rollback() -> None:
    bad = {"integrity": Answered(verdict=Verdict.FAIL, reason="a ledger is off by 3", at=ago(1))}
    found = decide(PLAN, progress(1, stay={"gates": bad}), evidence(1), NOW)

    assert isinstance(found, RollBack)
    assert "a ledger is off by 3" in found.reason


def test_harm_shown_by_the_judge_rolls_back() -> None:
    harm = Reading(name="errors", verdict=Verdict.FAIL, reason="green fails nine times as often")

    assert isinstance(decide(PLAN, progress(2), evidence(2, harm=harm), NOW), RollBack)


# Anything that could be seen.

verdicts = st.sampled_from(Verdict)
times = st.one_of(st.none(), st.floats(-100, 100).map(ago))
reading = st.builds(
    Reading,
    name=st.sampled_from(["errors < 0.5 %", "x"]),
    verdict=verdicts,
    reason=st.just("r"),
    numbers=st.just({}),
)
limit_readings = st.builds(
    LimitReading,
    limit=st.sampled_from(PLAN.limits),
    reading=reading,
    blue_too=st.booleans(),
    first_bad_at=times,
)
green_states = st.builds(
    ColourState,
    stage=st.sampled_from(Stage),
    version=st.sampled_from([None, "1", "2"]),
    restarts=st.integers(-1, 9),
    detail=st.sampled_from(["", "d"]),
)
any_evidence = st.builds(
    Evidence,
    watched_since=st.floats(-100, 100).map(ago),
    scraped_at=times,
    scrape_trouble=st.sampled_from([None, "t"]),
    green=st.one_of(st.none(), green_states),
    green_at=times,
    green_trouble=st.sampled_from([None, "t"]),
    traffic_trouble=st.sampled_from([None, "t"]),
    healthy_green=st.sampled_from([None, 0, 1]),
    unhealthy_since=times,
    trouble_since=times,
    arms=st.dictionaries(
        st.sampled_from(Arm), st.builds(Counts, requests=st.integers(0, 9), errors=st.integers(0, 9))
    ),
    limits=st.lists(limit_readings, max_size=3).map(tuple),
    requirements=st.lists(reading, max_size=3).map(tuple),
    share=st.one_of(st.none(), reading),
    budget=st.one_of(st.none(), reading),
    harm=st.one_of(st.none(), reading),
    safety=st.dictionaries(st.sampled_from(["errors < 0.5 %"]), reading, max_size=1),
)
answers = st.builds(Answered, verdict=verdicts, reason=st.just("r"), at=st.just(NOW))
stays = st.builds(
    dict,
    phase=st.integers(-1, 9),
    internal_only=st.booleans(),
    entered_at=times,
    gates=st.dictionaries(st.sampled_from(["integrity", "smoke"]), answers),
    dwell_waived_by=st.sampled_from([None, "ann"]),
)


@st.composite
def any_progress(draw: st.DrawFn) -> Progress:
    phase = draw(st.integers(0, 3))
    changes: dict[str, object] = {"stay": draw(stays)} if draw(st.booleans()) else {}
    changes["paused_by"] = draw(st.sampled_from([None, "ann"]))
    changes["green_ready_at"] = draw(times)
    changes["applied"] = draw(st.sampled_from([None, "p-1/3", "p-1/2"]))
    changes["step_backs"] = draw(st.integers(0, 3))
    return progress(phase, **changes)


def may_advance(found: object) -> bool:
    return isinstance(found, Advance | Complete)


@given(any_progress(), any_evidence)
@settings(max_examples=150)
def test_it_never_raises_and_always_gives_a_reason(made: Progress, seen: Evidence) -> None:
    assert decide(PLAN, made, seen, NOW).reason


@given(any_progress(), any_evidence)
@settings(max_examples=150)
def test_it_never_advances_on_missing_or_stale_data(made: Progress, seen: Evidence) -> None:
    found = decide(PLAN, made, seen, NOW)

    if may_advance(found):
        assert seen.scraped_at is not None
        assert seen.green_at is not None
        assert 0 <= (NOW - seen.scraped_at).total_seconds() <= PLAN.stale_after_s
        assert 0 <= (NOW - seen.green_at).total_seconds() <= PLAN.stale_after_s
        assert seen.green is not None
        assert seen.green.stage is Stage.READY
        assert seen.green.version == made.version
        assert seen.healthy_green
        assert made.applied == made.requested.identifier
        assert seen.traffic_trouble is None
        assert made.paused_by is None


@given(any_progress(), any_evidence)
@settings(max_examples=150)
def test_it_never_advances_without_every_gate_and_requirement(made: Progress, seen: Evidence) -> None:
    found = decide(PLAN, made, seen, NOW)

    if may_advance(found) and not made.stay.internal_only:
        phase = PLAN.phases[made.stay.phase]
        assert all(made.stay.gates[gate.name].verdict is Verdict.PASS for gate in phase.gates)
        passed = {found.name for found in seen.requirements if found.verdict is Verdict.PASS}
        assert {str(bound) for bound in phase.requirements} <= passed


@given(any_progress(), any_evidence)
@settings(max_examples=150)
def test_it_goes_one_step_at_a_time(made: Progress, seen: Evidence) -> None:
    match decide(PLAN, made, seen, NOW):
        case Advance(phase=phase):
            assert phase == made.stay.phase + (0 if made.stay.internal_only else 1)
        case StepBack(phase=phase):
            assert phase == made.stay.phase - 1
            assert phase >= 1
        case Complete():
            assert made.stay.phase == PLAN.last


@given(any_progress(), any_evidence)
@settings(max_examples=150)
def test_a_broken_hard_limit_of_green_alone_always_takes_users_back(made: Progress, seen: Evidence) -> None:
    assume(made.has_users)
    limits = (*seen.limits, broken(0))

    assert isinstance(decide(PLAN, made, replace(seen, limits=limits), NOW), RollBack)


@given(any_progress(), any_evidence)
@settings(max_examples=100)
def test_a_decided_rollback_is_never_left(made: Progress, seen: Evidence) -> None:
    rollback = Rollback(
        cause="person",
        reason="no",
        actor="ann",
        decided_at=ago(1),
        applied_at=None,
        first_bad_at=None,
        numbers={},
    )

    assert isinstance(decide(PLAN, replace(made, rollback=rollback), seen, NOW), Hold)


POINT: Plan = language.parse(
    TEXT.replace("{name: half,", "{name: half, point_of_no_return: dropped,").replace(
        "staging:\n", 'freeze: [{from: "08:00", until: "09:00"}, {from: mon, until: tue}]\nstaging:\n'
    ),
    file="p.yaml",
)


@given(any_progress(), any_evidence)
@settings(max_examples=150)
def test_past_the_point_of_no_return_it_never_goes_back_and_before_it_as_ever(
    made: Progress, seen: Evidence
) -> None:
    found, plainly = decide(POINT, made, seen, NOW), decide(PLAN, made, seen, NOW)

    goes_back = isinstance(plainly, RollBack | StepBack)
    if goes_back and made.stay.phase >= 2:
        assert held(found).stops
        assert held(found).page
        assert plainly.reason in held(found).reason
    elif goes_back:
        assert found == plainly


def test_what_was_passed_once_stays_passed() -> None:
    half, few = progress(2).stay, progress(1).stay

    assert past_return(POINT, progress(1, stays=(half, few)))
    assert not past_return(POINT, progress(1))
    assert not past_return(PLAN, progress(3))


@given(any_progress(), any_evidence)
@settings(max_examples=150)
def test_in_a_freeze_it_goes_forward_only_as_a_hotfix(made: Progress, seen: Evidence) -> None:
    assert not may_advance(decide(POINT, made, seen, NOW))
    hotfix = decide(POINT, replace(made, hotfix_by="ann"), seen, NOW)
    assert may_advance(hotfix) == may_advance(decide(PLAN, made, seen, NOW))


LATE: Plan = language.parse(
    TEXT.replace("    dwell: 20s\n", "    dwell: 20s\n    at_most: 25s\n").replace(
        "{name: half, weight: 50 %, dwell: 20s,",
        "{name: half, weight: 50 %, dwell: 20s, at_most: 25s, overdue: roll_back,",
    ),
    file="p.yaml",
)


@given(any_progress(), any_evidence)
@settings(max_examples=150)
def test_a_phase_that_lasts_longer_than_it_may_calls_somebody_or_goes_back_and_all_else_stays_as_it_is(
    made: Progress, seen: Evidence
) -> None:
    found, plainly = decide(LATE, made, seen, NOW), decide(PLAN, made, seen, NOW)
    entered, phase = made.stay.entered_at, made.stay.phase
    is_late = entered is not None and (NOW - entered).total_seconds() > 25 and phase in {1, 2}
    stands = isinstance(plainly, Hold) and next(_harm(PLAN, made, seen, NOW), None) is None

    if not is_late or not stands or made.paused_by is not None:
        assert found == plainly
    elif phase == 2:
        assert isinstance(found, RollBack)
        assert plainly.reason in found.reason
    else:
        assert held(found).page
        assert plainly.reason in held(found).reason


def test_a_freeze_makes_no_phase_overdue() -> None:
    text = TEXT.replace(
        "{name: half, weight: 50 %, dwell: 20s,", "{name: half, weight: 50 %, dwell: 20s, at_most: 25s,"
    )
    frozen = text.replace("staging:\n", "freeze: [{from: mon, until: tue}]\nstaging:\n")

    assert (
        held(decide(language.parse(frozen, file="p"), progress(2), evidence(2), NOW)).key == "not yet: freeze"
    )
    waits = evidence(2, requirements=())
    assert held(decide(language.parse(frozen, file="p"), progress(2), waits, NOW)).key != "overdue"
    assert held(decide(language.parse(text, file="p"), progress(2), waits, NOW)).key == "overdue"


def test_an_overdue_phase_past_the_point_of_no_return_stops_instead() -> None:
    text = TEXT.replace(
        "{name: all, weight: 100 %, dwell: 20s,",
        "{name: all, weight: 100 %, dwell: 20s, at_most: 25s, overdue: roll_back, point_of_no_return: x,",
    )
    plan = language.parse(text, file="p.yaml")

    assert held(decide(plan, progress(3), evidence(3, scraped_at=None), NOW)).stops


def late(**changes: object) -> object:
    stay = {"entered_at": ago(26), "gates": {}} | changes
    return decide(
        language.parse(TEXT.replace("    dwell: 20s\n", "    dwell: 20s\n    at_most: 25s\n"), file="p.yaml"),
        progress(1, stay=stay),
        evidence(1),
        NOW,
    )


def test_an_overdue_phase_calls_somebody_once_and_says_what_it_lacks() -> None:
    found = held(late())

    assert found.page
    assert found.key == "overdue"
    assert "phase 'few' is overdue, it may last 25s: few at 10 %" in found.reason
    assert "gate 'integrity' runs once the dwell is over" in found.reason
    assert held(late(entered_at=ago(24))).key != "overdue"
    assert held(late(entered_at=None)).key != "overdue"


def test_a_spent_budget_rolls_back() -> None:
    spent = Reading(name="harm budget", verdict=Verdict.FAIL, reason="green failed 30 more")
    found = decide(PLAN, progress(2, paused_by="ann"), evidence(2, budget=spent), NOW)

    assert isinstance(found, RollBack)
    assert found.cause == "harm budget"


def test_the_answers_are_ordered_by_severity() -> None:
    assert list(Answer) == [Answer.ROLL_BACK, Answer.STEP_BACK, Answer.HOLD]
