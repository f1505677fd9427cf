"""What this controller has seen, folded scrape by scrape, and the evidence it makes.

Windows begin with the controller: what happened while nobody looked is not in them. Totals of a stay survive
a restart through `remembered` and `recalled`, because they were seen.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from tranche.budget import read_budget
from tranche.evidence import Evidence
from tranche.judge import no_weight
from tranche.judgement import (
    Judgement,
    calibrate,
    case_of,
    from_json,
    harm,
    hear,
    no_tally,
    opened,
    safety,
    shared_trouble,
    to_json,
    waited,
)
from tranche.limits import PhaseMeasure, Reading, read_limit, read_requirement
from tranche.plan import Answer, Phase, Plan
from tranche.ports import Arm, Colour, ColourState, Scrape, Stage, Verdict
from tranche.progress import Progress
from tranche.signals import (
    BLUE_ARMS,
    GREEN_ARMS,
    NOTHING,
    Counts,
    Interval,
    arms_from_json,
    arms_json,
    increase,
    observed_share_percent,
)

LEAST_FOR_SHARE = 1000
"""Requests before the observed share is compared: users, not requests, are split, and a few may be busy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observations:
    """`stay` is the identifier of the split that `arms`, `watched_s` and `healthy_s` belong to.

    `version` is the one that all of this is about, and `retargets` how many were brought in until then: one that was
    replaced and is back begins anew. `latest` is what came since the scrape before, None when nothing
    did.
    """

    watched_since: datetime
    version: str = ""
    retargets: int = 0
    stay: str = ""
    last: Scrape | None = None
    scrape_trouble: str | None = None
    latest: Interval | None = None
    intervals: tuple[Interval, ...] = ()
    judgement: Judgement | None = None
    arms: Mapping[Arm, Counts] = field(default_factory=dict)
    watched_s: float = 0.0
    healthy_s: float = 0.0
    unhealthy_since: datetime | None = None
    trouble_since: datetime | None = None
    green: ColourState | None = None
    green_at: datetime | None = None
    green_trouble: str | None = None
    traffic_trouble: str | None = None


def see(seen: Observations, scrape: Scrape, *, has_users: bool, span_s: float) -> Observations:
    """One more complete scrape. Intervals that ended more than `span_s` ago are let go."""
    latest = None
    if seen.last is not None:
        latest = increase(seen.last, scrape)
        seen = _count(seen, latest, has_users=has_users, span_s=span_s)
    is_unhealthy = has_users and scrape.healthy_hosts.get(Colour.GREEN) == 0
    since = (seen.unhealthy_since or scrape.at) if is_unhealthy else None
    return replace(
        seen,
        last=scrape,
        latest=latest,
        scrape_trouble=None,
        unhealthy_since=since,
        trouble_since=seen.trouble_since or since,
    )


def _count(seen: Observations, interval: Interval, *, has_users: bool, span_s: float) -> Observations:
    if not has_users:
        return replace(seen, intervals=(), arms=_with_copies(seen.arms, interval))
    oldest = interval.end.timestamp() - span_s
    kept = [earlier for earlier in seen.intervals if earlier.end.timestamp() > oldest]
    lasted_s = max(0.0, (interval.end - interval.start).total_seconds())
    was_healthy = interval.healthy_hosts.get(Colour.GREEN, 0) > 0
    return replace(
        seen,
        intervals=(*kept, interval),
        arms={
            arm: seen.arms.get(arm, NOTHING) + interval.arms.get(arm, NOTHING)
            for arm in Arm
            if arm is not Arm.MIRROR and (arm in seen.arms or arm in interval.arms)
        },
        watched_s=seen.watched_s + lasted_s,
        healthy_s=seen.healthy_s + (lasted_s if was_healthy else 0.0),
    )


def _with_copies(arms: Mapping[Arm, Counts], interval: Interval) -> Mapping[Arm, Counts]:
    """What green has answered of the reads it was sent copies of: all it is asked before it has users."""
    copies = interval.arms.get(Arm.MIRROR, NOTHING)
    return {**arms, Arm.MIRROR: arms.get(Arm.MIRROR, NOTHING) + copies} if copies.requests else arms


def miss(seen: Observations, trouble: str) -> Observations:
    """A scrape that did not come: nothing is added, and the last one grows older."""
    return replace(seen, latest=None, scrape_trouble=trouble)


def judged(plan: Plan, progress: Progress, seen: Observations) -> Observations:
    """With what came since the last scrape put before the judge: green's counts once it has users and is warm,
    before that blue's, by which blue is measured against itself.
    """
    case = case_of(plan)
    found = seen.judgement or opened(case)
    stay, latest = progress.stay, seen.latest
    if latest is None:
        return replace(seen, judgement=found)
    since = users_since(progress)
    if not progress.has_users:
        return replace(seen, judgement=calibrate(case, found, latest))
    if since is None or stay.entered_at is None or latest.start < stay.entered_at:
        return replace(seen, judgement=found)
    if latest.start < since + timedelta(seconds=plan.warm_up_s):
        return replace(seen, judgement=waited(found, latest))
    restarts = seen.green.restarts if seen.green is not None else None
    phase = plan.phases[min(max(stay.phase, 0), plan.last)]
    heard = hear(case, found, latest, stay=stay.identifier, phase=phase, restarts=restarts)
    return replace(seen, judgement=heard)


def users_since(progress: Progress) -> datetime | None:
    """When this version got its first users."""
    stays = (stay for stay in progress.stays if stay.phase > 0 and stay.version == progress.version)
    return min((stay.entered_at for stay in stays if stay.entered_at is not None), default=None)


def see_green(seen: Observations, green: ColourState, at: datetime) -> Observations:
    """Green's state as the environment told it."""
    ails = green.restarts > 0 or green.stage is Stage.FAILED
    since = seen.trouble_since or (at if ails else None)
    return replace(seen, green=green, green_at=at, green_trouble=None, trouble_since=since)


def miss_green(seen: Observations, trouble: str) -> Observations:
    return replace(seen, green_trouble=trouble)


def begin_stay(seen: Observations, identifier: str, baseline: Scrape | None) -> Observations:
    """A new weight is applied; totals start from `baseline`, read right after (None: from the next one)."""
    return replace(seen, stay=identifier, last=baseline, arms={}, watched_s=0.0, healthy_s=0.0)


def is_about(seen: Observations, progress: Progress) -> bool:
    """Whether what was seen is of the version that is rolled out, and since it was brought in."""
    return (seen.version, seen.retargets) == (progress.version, progress.retargets)


def begin_version(seen: Observations, progress: Progress, now: datetime) -> Observations:
    """Another version is rolled out: everything begins anew, but for the last reading of the data plane."""
    return Observations(
        watched_since=now,
        version=progress.version,
        retargets=progress.retargets,
        last=seen.last,
        scrape_trouble=seen.scrape_trouble,
        traffic_trouble=seen.traffic_trouble,
    )


def measure_of(seen: Observations) -> PhaseMeasure:
    green = sum((seen.arms.get(arm, NOTHING) for arm in GREEN_ARMS), NOTHING)
    restarts = seen.green.restarts if seen.green is not None else None
    return PhaseMeasure(green=green, watched_s=seen.watched_s, healthy_s=seen.healthy_s, restarts=restarts)


def gather(plan: Plan, progress: Progress, seen: Observations) -> Evidence:
    """Everything the next decision may rest on. What was counted in another stay than the present one is not in it:
    until the data plane has taken a new weight over, nothing of it was seen yet.
    """
    if seen.stay != progress.stay.identifier:
        seen = replace(seen, arms={}, watched_s=0.0, healthy_s=0.0)
    entered = progress.stay.entered_at
    here = [found for found in seen.intervals if entered is not None and found.start >= entered]
    phase = plan.phases[min(max(progress.stay.phase, 0), plan.last)]
    measure = measure_of(seen)
    return Evidence(
        watched_since=seen.watched_since,
        scraped_at=seen.last.at if seen.last is not None else None,
        scrape_trouble=seen.scrape_trouble,
        green=seen.green,
        green_at=seen.green_at,
        green_trouble=seen.green_trouble,
        traffic_trouble=seen.traffic_trouble,
        healthy_green=seen.last.healthy_hosts.get(Colour.GREEN) if seen.last is not None else None,
        unhealthy_since=seen.unhealthy_since,
        trouble_since=seen.trouble_since,
        arms=seen.arms,
        # A step back is judged on the weight it would take back; the other limits on all green has done.
        limits=tuple(
            read_limit(limit, here if limit.answer is Answer.STEP_BACK else seen.intervals)
            for limit in plan.limits
        )
        if progress.has_users
        else (),
        requirements=tuple(read_requirement(bound, phase, measure) for bound in phase.requirements),
        share=read_share(plan, progress, seen.arms),
        budget=read_budget(plan, progress, seen.arms),
        **_found(plan, progress, seen, phase),
    )


def _found(plan: Plan, progress: Progress, seen: Observations, phase: Phase) -> dict[str, Any]:
    """What the judge says; nothing before there is anything to judge."""
    if not progress.has_users or progress.stay.entered_at is None:
        return {}
    case = case_of(plan)
    found = seen.judgement or opened(case)
    if found.stay != progress.stay.identifier:
        found = replace(found, heard_s=0.0, weighed=no_weight(case.design), tally=no_tally(case))
    return {
        "harm": harm(case, found),
        "harm_since": found.bad_since,
        "shared": shared_trouble(case, found, phase),
        "safety": safety(case, found, phase),
    }


def read_share(plan: Plan, progress: Progress, arms: Mapping[Arm, Counts]) -> Reading | None:
    """Whether users really meet what was set; None where the plan does not ask or nothing can be compared."""
    tolerance, wanted = plan.share_tolerance_percent, progress.stay.weight_percent
    if tolerance is None or progress.stay.internal_only or not 0 < wanted < 100:
        return None
    share = observed_share_percent(arms)
    green = arms.get(Arm.GREEN, NOTHING).requests
    blue = sum(arms.get(arm, NOTHING).requests for arm in BLUE_ARMS)
    numbers = {"set_percent": wanted, "observed_percent": share, "green": green, "blue": blue}
    if share is None or green + blue < LEAST_FOR_SHARE or abs(share - wanted) <= tolerance:
        told = "users meet what was set"
        return Reading(name="share", verdict=Verdict.PASS, reason=told, numbers=numbers)
    told = f"users on green made {share:.1f} % of the requests where {wanted:g} % was set"
    return Reading(name="share", verdict=Verdict.CANNOT_TELL, reason=told, numbers=numbers)


def remembered(seen: Observations) -> dict[str, Any]:
    """What a controller needs to go on counting after a restart, as JSON."""
    return {
        "version": seen.version,
        "retargets": seen.retargets,
        "stay": seen.stay,
        "arms": arms_json(seen.arms),
        "watched_s": round(seen.watched_s, 3),
        "healthy_s": round(seen.healthy_s, 3),
        "judgement": to_json(seen.judgement) if seen.judgement is not None else None,
    }


def recalled(
    data: Mapping[str, Any] | None, *, plan: Plan, progress: Progress, now: datetime
) -> Observations:
    """What an earlier controller of this rollout has counted; windows and states begin anew.

    The totals are kept if they are those of the present stay. What the judge heard is kept for the whole rollout: one
    bound holds over all of it, for one version. A file that is damaged is as good as none: fewer requests count,
    never more, and the judge begins anew - each such loss allows a good version to be taken back with probability
    alpha once more.
    """
    fresh = Observations(watched_since=now, version=progress.version, retargets=progress.retargets)
    about = (progress.rollout, progress.version, progress.retargets)
    if not data or (data.get("rollout"), data.get("version"), data.get("retargets", 0)) != about:
        return fresh
    try:
        judgement = from_json(case_of(plan), data["judgement"]) if data.get("judgement") else None
        if data.get("stay") != progress.stay.identifier:
            return replace(fresh, judgement=judgement)
        return replace(
            fresh,
            stay=progress.stay.identifier,
            arms=arms_from_json(data["arms"]),
            watched_s=float(data["watched_s"]),
            healthy_s=float(data["healthy_s"]),
            judgement=judgement,
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return fresh
