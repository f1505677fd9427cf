"""The case against green: who is compared with whom, what is not heard, and what is said of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tranche import judge, language
from tranche.judgement import (
    Case,
    Judgement,
    calibrate,
    case_of,
    from_json,
    harm,
    hear,
    opened,
    safety,
    shared_trouble,
    to_json,
    waited,
)
from tranche.ports import Arm, Verdict
from tranche.signals import Counts, Interval

PLAN = language.load(Path(__file__).resolve().parents[3] / "plans" / "finance.yaml")[0]
CASE: Case = case_of(PLAN)
WEEK_1, WEEK_2 = PLAN.phases[1], PLAN.phases[2]
START = datetime(2026, 1, 5, 9, tzinfo=UTC)


def counts(requests: int, errors: int = 0, slow: int = 0) -> Counts:
    """`slow` of the requests take 600 ms, the others 40 ms."""
    fast = requests - slow
    return Counts(
        requests=requests,
        errors=errors,
        faster={50: fast, 100: fast, 200: fast, 300: fast, 500: fast, 1000: requests},
    )


def interval(number: int, arms: Mapping[Arm, Counts], seconds: float = 15.0) -> Interval:
    start = START + timedelta(seconds=15 * number)
    return Interval(start=start, end=start + timedelta(seconds=seconds), arms=arms, healthy_hosts={})


def heard(
    arms: Mapping[Arm, Counts],
    times: int = 40,
    *,
    found: Judgement | None = None,
    stay: str = "finance-1/2",
    restarts: int | None = 0,
) -> Judgement:
    found = opened(CASE) if found is None else found
    for number in range(times):
        found = hear(CASE, found, interval(number, arms), stay=stay, phase=WEEK_1, restarts=restarts)
    return found


GOOD = {Arm.GREEN: counts(100), Arm.BLUE: counts(800, 1, 8), Arm.CONTROL: counts(100)}


def test_a_case_asks_of_errors_latency_every_objective_and_restarts_once() -> None:
    names = [one.name for one in CASE.asked]

    assert len(names) == len(set(names))
    assert {"errors against blue", "errors < 0.5 %", "latency_p95 < 300 ms", "restarts"} <= set(names)
    assert sum(CASE.design.weights) == pytest.approx(1.0)
    assert CASE.design.planned_s == sum(p.dwell_s + p.internal_users_first_s for p in PLAN.phases[1:])
    assert CASE.design.line == pytest.approx(1 / PLAN.judge.false_rollback)


def test_more_errors_than_blue_are_harm_and_are_named() -> None:
    found = heard({**GOOD, Arm.GREEN: counts(100, 4)})
    reading = harm(CASE, found)

    assert reading.verdict is Verdict.FAIL
    assert reading.name in {"errors against blue", "errors < 0.5 %"}
    assert "160" in reading.reason
    assert found.bad_since == START + timedelta(seconds=15)


def test_slower_than_blue_is_harm_although_every_objective_is_met() -> None:
    found = heard({**GOOD, Arm.GREEN: counts(100, 0, 4)})

    assert found.edges
    assert harm(CASE, found).verdict is Verdict.FAIL
    assert "against blue" in harm(CASE, found).name


def test_internal_users_are_not_compared_with_blue_but_count_against_objectives() -> None:
    few = heard({**GOOD, Arm.GREEN: counts(0), Arm.INTERNAL: counts(100, 0, 4)})
    many = heard({**GOOD, Arm.GREEN: counts(0), Arm.INTERNAL: counts(100, 4)})

    assert harm(CASE, few).verdict is Verdict.PASS
    assert harm(CASE, many).name == "errors < 0.5 %"


def test_without_blue_only_objectives_speak() -> None:
    found = heard({Arm.GREEN: counts(1000, 4)})

    assert harm(CASE, found).verdict is Verdict.PASS
    assert found.tally.trials[0] == 0


def test_an_objective_of_another_phase_is_not_asked() -> None:
    found = heard(GOOD)
    number = next(n for n, one in enumerate(CASE.asked) if one.name == "latency_p95 < 300 ms")

    assert found.tally.trials[number] == 0
    assert set(safety(CASE, found, WEEK_1)) == {"errors < 0.5 %", "latency_p95 < 500 ms"}


def test_trouble_of_both_is_named_and_is_not_evidence() -> None:
    found = heard({Arm.GREEN: counts(100, 3), Arm.BLUE: counts(800, 24), Arm.CONTROL: counts(100, 3)})
    reading = shared_trouble(CASE, found, WEEK_1)

    assert harm(CASE, found).verdict is Verdict.PASS
    assert reading is not None
    assert reading.verdict is Verdict.FAIL
    assert "going back would not help" in reading.reason
    assert shared_trouble(CASE, heard(GOOD), WEEK_1) is None


def test_a_few_bad_requests_of_blue_call_nobody() -> None:
    found = heard({Arm.GREEN: counts(10, 1), Arm.BLUE: counts(90, 1), Arm.CONTROL: counts(10)}, 2)

    assert found.state.blue_too(CASE.design.weights * 0 + 0.005)[0].any()
    assert shared_trouble(CASE, found, WEEK_1) is None


def test_safety_is_not_yet_with_a_time_then_passes() -> None:
    young, old = heard(GOOD, 3), heard(GOOD, 200)
    early, late = safety(CASE, young, WEEK_1)["errors < 0.5 %"], safety(CASE, old, WEEK_1)["errors < 0.5 %"]

    assert early.verdict is Verdict.NOT_YET
    assert "known in about" in early.reason
    assert late.verdict is Verdict.PASS
    assert "at most" in late.reason


def test_safety_against_a_rate_on_the_line_is_not_promised() -> None:
    found = heard({**GOOD, Arm.GREEN: counts(200, 1), Arm.BLUE: counts(800, 4)}, 300)

    assert "would not show it" in safety(CASE, found, WEEK_1)["errors < 0.5 %"].reason


def test_nothing_heard_is_not_a_pass() -> None:
    assert harm(CASE, opened(CASE)).verdict is Verdict.NOT_YET
    assert {one.verdict for one in safety(CASE, opened(CASE), WEEK_1).values()} == {Verdict.NOT_YET}


def test_counts_that_cannot_be_are_named_and_cannot_tell() -> None:
    found = heard({**GOOD, Arm.GREEN: counts(5, 12)}, 1)

    assert harm(CASE, found).verdict is Verdict.CANNOT_TELL
    assert "12 bad of 5" in harm(CASE, found).reason
    assert harm(CASE, heard(GOOD, 1, found=found)).verdict is Verdict.PASS


def test_suspicion_holds_before_it_takes_back() -> None:
    arms = {**GOOD, Arm.GREEN: counts(100, 2)}
    found = opened(CASE)
    seen = []
    for number in range(60):
        found = hear(CASE, found, interval(number, arms), stay="finance-1/2", phase=WEEK_1, restarts=0)
        seen.append(harm(CASE, found).verdict)

    assert seen.index(Verdict.NOT_YET) < seen.index(Verdict.FAIL)


def test_restarts_again_and_again_are_harm() -> None:
    found = opened(CASE)
    for number in range(12):
        arms = {**GOOD, Arm.GREEN: counts(100)}
        found = hear(CASE, found, interval(number, arms), stay="s", phase=WEEK_1, restarts=number)

    assert harm(CASE, found).name == "restarts"
    assert harm(CASE, found).verdict is Verdict.FAIL


def test_a_new_stay_keeps_the_evidence_and_begins_safety_anew() -> None:
    before = heard({**GOOD, Arm.GREEN: counts(100, 1)}, 10)
    after = hear(CASE, before, interval(11, GOOD), stay="finance-1/3", phase=WEEK_2, restarts=0)

    assert judge.evidence(CASE.design, after.state)[0] > 0.3 * judge.evidence(CASE.design, before.state)[0]
    assert after.heard_s == 15.0
    assert after.tally.bad[0] == 0


def test_blue_against_itself_replaces_the_assumption() -> None:
    found = opened(CASE)
    for number in range(400):
        arms = {Arm.BLUE: counts(900, number % 2, 9), Arm.CONTROL: counts(100, number % 10 == 0, 1)}
        found = calibrate(CASE, found, interval(number, arms))
    assert not found.trace
    assert not judge.evidence(CASE.design, found.state)[0]
    found = heard(GOOD, 1, found=found)

    assert found.is_calibrated
    assert found.state.spread.blocks[0, 0] == judge.CALIBRATION_BLOCKS
    assert found.state.spread.dispersion[0, 0] < judge.UNMEASURED


def test_while_green_warms_up_only_blue_is_remembered() -> None:
    found = waited(opened(CASE), interval(0, {**GOOD, Arm.GREEN: counts(100, 90)}))

    assert found.blue.requests == 900
    assert harm(CASE, found).verdict is Verdict.NOT_YET


def test_what_was_written_down_goes_on_exactly() -> None:
    before = heard({**GOOD, Arm.GREEN: counts(100, 1)}, 30)
    again = from_json(CASE, json.loads(json.dumps(to_json(before))))

    assert to_json(heard(GOOD, 5, found=again)) == to_json(heard(GOOD, 5, found=before))


def test_another_plans_case_is_not_believed() -> None:
    other = case_of(replace(PLAN, phases=PLAN.phases[:2]))

    with pytest.raises(ValueError, match="expected"):
        from_json(other, to_json(opened(CASE)))


def test_the_past_of_the_evidence_stays_short() -> None:
    found = heard(GOOD, 500)

    assert 20 <= len(found.trace) <= 60
    assert found.trace[0][0] < found.trace[-1][0]
