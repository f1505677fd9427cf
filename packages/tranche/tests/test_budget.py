"""The harm budget: what a release may cost its users at all, beyond what the old version would have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tranche.budget import read_budget
from tranche.events import Measured
from tranche.observe import arms_json
from tranche.page import text_of_status
from tranche.ports import Arm, Split, TrafficFault, Verdict
from tranche.progress import Progress, State
from tranche.record import markdown
from tranche.signals import Counts

if TYPE_CHECKING:
    from conftest import Bed

TEXT = """
name: small
tick: 1s
stale_after: 5s
warm_up: 600s
harm_budget: 20 requests
phases:
  - {name: few, weight: 10 %, dwell: 30s}
  - {name: half, weight: 50 %, dwell: 30s}
  - {name: all, weight: 100 %, dwell: 30s}
"""

Arms = dict[Arm, Counts]


def in_phase(name: str) -> Callable[[Progress], bool]:
    return lambda progress: progress.stay.name == name and progress.stay.entered_at is not None


def counts(requests: int, errors: int) -> Counts:
    return Counts(requests=requests, errors=errors)


def arms(green: Counts, blue: Counts | None = None, **others: Counts) -> Arms:
    return {Arm.GREEN: green, **({Arm.BLUE: blue} if blue else {}), **{Arm(k): v for k, v in others.items()}}


@pytest.fixture
def half(make_bed: Callable[..., Bed]) -> Bed:
    bed = make_bed(TEXT.replace("warm_up: 600s", "warm_up: 0s"))
    bed.until(bed.controller(), in_phase("half"))
    return bed


def harm(bed: Bed, before: Arms, now: Arms) -> float | None:
    """What is spent when these were counted in the first phase, and these in the second."""
    progress = bed.progress
    staging, few, here = progress.stays
    measured = Measured(phase=1, arms=arms_json(before), checks={})
    progress = replace(progress, stays=(staging, replace(few, measured=measured), here))
    reading = read_budget(bed.plan, progress, now)
    assert reading is not None
    value = reading.numbers.get("harm")
    assert isinstance(value, float | int | None)
    return value


@pytest.mark.parametrize(
    ("before", "now", "spent"),
    [
        (arms(counts(100, 5), counts(900, 0)), arms(counts(500, 10), counts(500, 0)), 15),
        (arms(counts(100, 5), counts(900, 45)), arms(counts(500, 10), counts(500, 10)), 0),
        (arms(counts(100, 0), counts(900, 9)), arms(counts(500, 10), counts(500, 0)), 9),
        # an incident of both, with few on green: blue's rate of that stay is what excuses
        (arms(counts(100, 50), counts(900, 450)), arms(counts(500, 0), counts(500, 0)), 0),
        (
            arms(counts(100, 0), counts(900, 9)),
            arms(counts(1000, 12)),
            1,
        ),  # without blue: its rate before, 1 %
        (arms(counts(100, 3)), arms(counts(1000, 4)), 7),  # blue was never seen: nothing excuses
        (arms(counts(100, 0), green_internal=counts(10, 4)), arms(counts(0, 0)), 4),
        (arms(counts(100, 2), counts(400, 0), blue_control=counts(100, 10)), arms(counts(0, 0)), 0),
    ],
)
def test_harm_is_what_green_failed_beyond_blues_rate_in_each_stay(
    half: Bed, before: Arms, now: Arms, spent: float
) -> None:
    assert harm(half, before, now) == pytest.approx(spent)


def test_the_budget_may_be_spent_and_not_more(half: Bed) -> None:
    def verdict(errors: int) -> Verdict:
        found = read_budget(half.plan, half.progress, arms(counts(500, errors), counts(500, 0)))
        assert found is not None
        return found.verdict

    assert verdict(20) is Verdict.PASS
    assert verdict(21) is Verdict.FAIL
    nothing = read_budget(half.plan, replace(half.progress, stays=half.progress.stays[-1:]), {})
    assert nothing is not None
    assert nothing.verdict is Verdict.NOT_YET, "no data is never a pass"


def test_a_version_that_costs_more_than_its_budget_is_taken_back_whatever_else_is_said(
    make_bed: Callable[..., Bed],
) -> None:
    bed = make_bed(TEXT)  # the judge is silent: it warms up
    controller = bed.controller()
    bed.until(controller, in_phase("few"))
    bed.errors = {Arm.GREEN: 0.1, Arm.BLUE: 0.05, Arm.CONTROL: 0.05}
    progress = bed.until(controller, lambda progress: progress.is_finished, ticks=100)

    assert progress.state is State.ROLLED_BACK
    assert progress.rollback is not None
    assert progress.rollback.cause == "harm budget"
    assert "where blue would have failed 2" in progress.rollback.reason
    assert 20 < progress.rollback.numbers["harm"] < 22
    green = bed.status["phases"][0]["errors"]
    assert 38 <= green <= 46, "twice as many failed, and half of them blue would have failed, too"
    assert "| harm | 21 of at most 20 requests |" in markdown(bed.status, bed.log.read("small-1"))


def test_what_stays_before_have_cost_counts_and_is_counted_once(make_bed: Callable[..., Bed]) -> None:
    bed = make_bed(TEXT.replace("warm_up: 600s", "warm_up: 0s").replace("20 requests", "90 requests"))
    controller = bed.controller()
    bed.until(controller, in_phase("few"))
    bed.signals.serve(Arm.GREEN, 10, errors=10)
    bed.step(controller, 2)
    apply = bed.traffic.apply

    def refuse(split: Split) -> None:
        raise TrafficFault(f"{split.identifier} is refused")

    bed.traffic.apply = refuse  # type: ignore[method-assign]
    bed.until(controller, lambda progress: progress.stay.name == "half")
    bed.step(controller, 3)
    assert bed.progress.stay.entered_at is None, "asked for, and not served yet"
    budget = bed.snapshots[-1].evidence.budget
    assert budget is not None
    assert budget.numbers["harm"] == 10
    bed.traffic.apply = apply  # type: ignore[method-assign]
    bed.until(controller, in_phase("half"))
    bed.step(controller, 3)

    assert bed.status["harm_budget"] == {"requests": 90, "spent": 10}
    assert "! harm: 10 of 90 requests" in text_of_status(bed.status)


def test_a_controller_that_takes_over_knows_what_is_spent(make_bed: Callable[..., Bed]) -> None:
    bed = make_bed(TEXT)
    controller = bed.controller()
    bed.until(controller, in_phase("few"))
    bed.signals.serve(Arm.GREEN, 15, errors=15)
    bed.step(controller, 2)
    again = bed.controller()
    bed.step(again, 2)
    assert bed.status["harm_budget"]["spent"] == 15
    bed.signals.serve(Arm.GREEN, 6, errors=6)
    bed.step(again, 2)

    assert bed.progress.rollback is not None


def test_a_version_brought_in_before_the_first_request_does_not_wait_for_one_in_staging(
    make_bed: Callable[..., Bed],
) -> None:
    bed = make_bed(TEXT.replace("warm_up: 600s", "warm_up: 0s"))
    controller = bed.controller()
    bed.rate = bed.internal_rate = 0.0
    bed.until(controller, in_phase("few"))
    bed.desk.retarget(version="1.2.0", reason="the fix", actor="ann")
    bed.rate = 100.0
    progress = bed.until(controller, lambda progress: progress.is_finished)

    assert (progress.state, progress.version) == (State.COMPLETED, "1.2.0")


def test_a_plan_without_a_budget_says_nothing_of_it(bed: Bed) -> None:
    bed.until(bed.controller(), in_phase("half"))

    assert bed.status["harm_budget"] is None
    assert read_budget(bed.plan, bed.progress, {}) is None
