"""When a limit is broken and a requirement met. What *sustained* means is defined here and nowhere else.

A limit such as `errors > 1 %` for 5 minutes is broken when, over the last 5 minutes of green's requests,

1. the whole window was watched, and at least `minimum_requests` were counted in it;
2. every evaluation in it was a breach. An evaluation is a fifth of the window, or more where a fifth has
   fewer requests than it takes to expect one bad one on the line: a short burst is not sustained, and a
   quiet hour is not acquitted because one of its minutes happened to be clean;
3. the lower 99 % confidence bound (Wilson) of the share over the whole window lies above the limit: chance
   alone does not take a good version back.

It is the backstop; small and relative harm is for a statistical judge, which `Evidence` has a place for.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from tranche.plan import Bound, Limit, Metric, Phase, duration
from tranche.ports import Arm, Verdict
from tranche.signals import BLUE_ARMS, GREEN_ARMS, Counts, Interval, pooled, wilson

EVALUATIONS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one check says: a verdict, a sentence for people, and the numbers it rests on (JSON)."""

    name: str
    verdict: Verdict
    reason: str
    numbers: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitReading:
    """What a limit says about green. FAIL: broken. `blue_too`: going back would not help its users.

    `first_bad_at` is the end of the first interval with a bad request in the unbroken run that led here.
    """

    limit: Limit
    reading: Reading
    blue_too: bool = False
    first_bad_at: datetime | None = None


def bad(bound: Bound, counts: Counts) -> tuple[int, int] | None:
    """Bad requests and all that count; None when the data plane does not tell them apart."""
    if bound.edge_ms is None:
        return counts.errors, counts.requests
    if not counts.timed:
        return 0, 0
    slower = counts.slower(bound.edge_ms)
    return None if slower is None else (slower, counts.timed)


def breached(bound: Bound, found: tuple[int, int] | None) -> bool:
    """Whether the plain share, of bad requests and all, is above the line; nothing counted is no breach."""
    return found is not None and found[1] > 0 and found[0] / found[1] > bound.bad_share


def within(intervals: Sequence[Interval], span_s: float) -> Sequence[Interval] | None:
    """The intervals that make up the last `span_s`; None while less than that was watched."""
    if not intervals:
        return None
    start = intervals[-1].end - timedelta(seconds=span_s)
    if intervals[0].start > start:
        return None
    return [interval for interval in intervals if interval.end > start]


def evaluations(bound: Bound, window: Sequence[Interval], arms: Sequence[Arm]) -> list[tuple[int, int]]:
    """Bad requests and all, over the window in at most five parts, newest first, each long and full enough."""
    least_s = (window[-1].end - window[0].start).total_seconds() / EVALUATIONS
    least_requests = math.ceil(1 / bound.bad_share)
    parts: list[tuple[int, int]] = []
    many, requests, seconds = 0, 0, 0.0
    for interval in reversed(window):
        found = bad(bound, pooled([interval], arms)) or (0, 0)
        many, requests = many + found[0], requests + found[1]
        seconds += (interval.end - interval.start).total_seconds()
        if seconds >= least_s - 1e-6 and requests >= least_requests:
            parts.append((many, requests))
            many, requests, seconds = 0, 0, 0.0
    if not parts:
        return [(many, requests)]
    parts[-1] = (parts[-1][0] + many, parts[-1][1] + requests)
    return parts


def read_limit(limit: Limit, intervals: Sequence[Interval]) -> LimitReading:
    """What this limit says of green over these intervals (oldest first, since green has had users)."""
    name = str(limit)
    window = within(intervals, limit.sustained_s)
    if window is None:
        span_s = (intervals[-1].end - intervals[0].start).total_seconds() if intervals else 0.0
        told = f"watched for {duration(round(span_s))} of {duration(limit.sustained_s)}"
        return LimitReading(limit=limit, reading=Reading(name=name, verdict=Verdict.NOT_YET, reason=told))
    counts = pooled(window, GREEN_ARMS)
    found = bad(limit.bound, counts)
    if found is None:
        told = f"the data plane does not count requests at {limit.bound.edge_ms} ms"
        return LimitReading(limit=limit, reading=Reading(name=name, verdict=Verdict.CANNOT_TELL, reason=told))
    many, requests = found
    if requests < limit.minimum_requests:
        told = f"{requests} of at least {limit.minimum_requests} requests in {duration(limit.sustained_s)}"
        numbers = {"bad": many, "requests": requests}
        reading = Reading(name=name, verdict=Verdict.NOT_YET, reason=told, numbers=numbers)
        return LimitReading(limit=limit, reading=reading)
    return _sustained(limit, intervals, window, many, requests)


def _sustained(
    limit: Limit, intervals: Sequence[Interval], window: Sequence[Interval], many: int, requests: int
) -> LimitReading:
    lower, upper = wilson(many, requests)
    parts = evaluations(limit.bound, window, GREEN_ARMS)
    breaches = sum(breached(limit.bound, part) for part in parts)
    broken = breaches == len(parts) and lower > limit.bound.bad_share
    blue = bad(limit.bound, pooled(window, BLUE_ARMS)) or (0, 0)
    blue_parts = evaluations(limit.bound, window, BLUE_ARMS)
    blue_lower, blue_upper = wilson(*blue)
    blue_too = (
        broken
        and blue[1] >= limit.minimum_requests
        and blue_lower > limit.bound.bad_share
        and all(breached(limit.bound, part) for part in blue_parts)
        and lower <= blue_upper
    )
    numbers = {
        "bad": many,
        "requests": requests,
        "share": many / requests,
        "lower": lower,
        "upper": upper,
        "limit": limit.bound.bad_share,
        "evaluations": len(parts),
        "breaches": breaches,
        "blue": {"bad": blue[0], "requests": blue[1]},
        "window": {"start": window[0].start.isoformat(), "end": window[-1].end.isoformat()},
    }
    reading = Reading(
        name=str(limit),
        verdict=Verdict.FAIL if broken else Verdict.PASS,
        reason=sentence(limit.bound, many, requests, limit.sustained_s, lower, broken=broken),
        numbers=numbers,
    )
    first = first_bad(limit.bound, intervals, len(window)) if broken else None
    return LimitReading(limit=limit, reading=reading, blue_too=blue_too, first_bad_at=first)


def percent(share: float) -> str:
    """A share as people read it: two significant figures below ten percent."""
    value = 100 * share
    return f"{value:.0f} %" if value >= 10 else f"{value:.2g} %"


def sentence(bound: Bound, many: int, requests: int, span_s: float, lower: float, *, broken: bool) -> str:
    """`green's errors are 7.3 % (41 of 562 requests in 5m), surely above 1 % (at least 5.1 %)`."""
    span = duration(span_s)
    if bound.edge_ms is None:
        what = f"green's errors are {percent(many / requests)} ({many} of {requests} requests in {span})"
    else:
        what = (
            f"{percent(many / requests)} of {requests} requests in {span} took {bound.edge_ms} ms or longer"
        )
    line = percent(bound.bad_share)
    if broken:
        return f"{what}, surely above {line} (at least {percent(lower)})"
    return f"{what}, where {line} is the line"


def first_bad(bound: Bound, intervals: Sequence[Interval], length: int) -> datetime:
    """The end of the first bad interval of the run that ends in the window: the last `length` intervals.

    The run is followed back beyond the window as long as no interval with requests was free of a breach.
    """
    start = len(intervals) - length
    while start > 0:
        earlier = bad(bound, pooled([intervals[start - 1]], GREEN_ARMS)) or (0, 0)
        if earlier[1] and not breached(bound, earlier):
            break
        start -= 1
    for interval in intervals[start:]:
        if (bad(bound, pooled([interval], GREEN_ARMS)) or (0, 0))[0]:
            return interval.end
    return intervals[-1].end


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseMeasure:
    """What was seen of green since the phase's weight was applied. Times in seconds."""

    green: Counts
    watched_s: float
    healthy_s: float
    restarts: int | None


def read_requirement(bound: Bound, phase: Phase, measure: PhaseMeasure) -> Reading:
    """Whether this phase has shown what it must show. Missing data is *cannot tell*, too little *not yet*."""
    name = str(bound)
    match bound.metric:
        case Metric.ERRORS | Metric.LATENCY_P95 | Metric.LATENCY_P99:
            return _read_counted(bound, phase, measure.green)
        case Metric.UPTIME:
            if measure.watched_s <= 0:
                return Reading(name=name, verdict=Verdict.NOT_YET, reason="green was not watched yet")
            share = 100 * measure.healthy_s / measure.watched_s
            told = f"green was healthy {share:.4g} % of {duration(round(measure.watched_s))}"
            verdict = Verdict.PASS if share > bound.value else Verdict.FAIL
            return Reading(name=name, verdict=verdict, reason=told, numbers={"uptime_percent": share})
        case Metric.RESTARTS:
            if measure.restarts is None:
                return Reading(name=name, verdict=Verdict.CANNOT_TELL, reason="green's restarts are unknown")
            told = f"green restarted {measure.restarts} times"
            verdict = Verdict.PASS if measure.restarts < bound.value else Verdict.FAIL
            return Reading(name=name, verdict=verdict, reason=told, numbers={"restarts": measure.restarts})
        case Metric.CACHE_HITS:
            told = "no source tells cache hits here; the plan stops at this until there is one"
            return Reading(name=name, verdict=Verdict.CANNOT_TELL, reason=told)


def _read_counted(bound: Bound, phase: Phase, counts: Counts) -> Reading:
    name = str(bound)
    found = bad(bound, counts)
    if found is None:
        told = f"the data plane does not count requests at {bound.edge_ms} ms"
        return Reading(name=name, verdict=Verdict.CANNOT_TELL, reason=told)
    many, requests = found
    least = max(phase.minimum_requests, 1)
    numbers: dict[str, object] = {"bad": many, "requests": requests}
    if requests < least:
        told = f"{requests} of at least {least} requests on green"
        return Reading(name=name, verdict=Verdict.NOT_YET, reason=told, numbers=numbers)
    lower, upper = wilson(many, requests)
    numbers |= {"share": many / requests, "lower": lower, "upper": upper, "line": bound.bad_share}
    what = "failed" if bound.edge_ms is None else f"took {bound.edge_ms} ms or longer"
    told = f"{percent(many / requests)} of {requests} requests {what} (line {percent(bound.bad_share)})"
    if many / requests <= bound.bad_share:
        return Reading(name=name, verdict=Verdict.PASS, reason=told, numbers=numbers)
    if lower > bound.bad_share:
        return Reading(name=name, verdict=Verdict.FAIL, reason=told, numbers=numbers)
    told = f"{told}; too few to tell whether that is chance"
    return Reading(name=name, verdict=Verdict.NOT_YET, reason=told, numbers=numbers)
