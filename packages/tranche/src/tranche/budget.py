"""What green has cost its users: failed requests beyond what blue would have failed. Pure.

In each stay green's failures are held against what blue's rate in the same stay gives for as many requests, so what
both versions suffer cancels. The sum over the rollout is the harm; a stay in which green was the better one pays some
of it back. It is a count, not a test: chance moves it by about the square root of green's failures. So a budget says
what a release may cost at all, and is set well above that.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from tranche.limits import Reading
from tranche.plan import Plan
from tranche.ports import Arm, Verdict
from tranche.progress import Progress
from tranche.signals import BLUE_ARMS, GREEN_ARMS, NOTHING, Counts, counts_from_json

NAME: Final = "harm budget"

Arms = Mapping[Arm, Counts]


def read_budget(plan: Plan, progress: Progress, arms: Arms) -> Reading | None:
    """What is spent of the plan's budget. `arms` is what was counted in the present stay so far.

    Stays before are read from the log. None where the plan has no budget, or green never had users; neither where it
    has none now and has answered nothing yet: a version that was brought in must not wait in staging for requests.
    """
    if plan.harm_budget is None or all(stay.phase == 0 for stay in progress.stays):
        return None
    before = [_arms(stay.measured.arms) for stay in progress.stays[:-1] if stay.measured is not None]
    stays = [*before, arms]
    green = [_sum(stay, GREEN_ARMS) for stay in stays]
    requests, errors = sum(each.requests for each in green), sum(each.errors for each in green)
    if not requests and not progress.has_users:
        return None
    if not requests:
        return Reading(name=NAME, verdict=Verdict.NOT_YET, reason="green has not answered a request yet")
    expected = sum(each.requests * rate for each, rate in zip(green, _rates(stays), strict=True))
    harm = errors - expected
    told = f"green failed {errors} of {requests} requests, where blue would have failed {expected:.0f}"
    numbers = {"harm": round(harm, 3), "budget": plan.harm_budget, "errors": errors, "requests": requests}
    if harm > plan.harm_budget:
        told += f"; the rollout may cost {plan.harm_budget} requests"
        return Reading(name=NAME, verdict=Verdict.FAIL, reason=told, numbers=numbers)
    return Reading(name=NAME, verdict=Verdict.PASS, reason=told, numbers=numbers)


def _rates(stays: Sequence[Arms]) -> list[float]:
    """Blue's share of failures in each stay; where blue has no users any more, that of the whole rollout before.

    Where blue never had a request nothing excuses green, and its rate is 0.
    """
    rates, so_far = [], NOTHING
    for stay in stays:
        blue = _sum(stay, BLUE_ARMS)
        so_far += blue
        known = blue if blue.requests else so_far
        rates.append(known.errors / known.requests if known.requests else 0.0)
    return rates


def _sum(arms: Arms, wanted: Sequence[Arm]) -> Counts:
    return sum((arms.get(arm, NOTHING) for arm in wanted), NOTHING)


def _arms(data: Mapping[str, object]) -> Arms:
    return {arm: counts_from_json(data[arm.value]) for arm in Arm if arm.value in data}  # type: ignore[arg-type]  # as the log has it
