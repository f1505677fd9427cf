"""When a limit is broken and a requirement met. What *sustained* means is defined here and nowhere else.

A limit such as `errors > 1 %` for 5 minutes is broken when, over the last five evaluations of green's requests,

1. all that time was watched, and at least `minimum_requests` were counted in it;
2. every evaluation was a breach. An evaluation is a fifth of the 5 minutes, or longer where a fifth has fewer
   requests than it takes to expect one bad one on the line; where requests are few, five evaluations last longer
   than the 5 minutes. So neither a burst nor one user who tries again and again is sustained, and a quiet hour is
   not acquitted because one of its minutes happened to be clean;
3. the lower 99 % confidence bound (Wilson) of the share over all five lies above the limit: chance alone does not
   take a good version back.

It is the backstop, and slow where there is little traffic; the judge is not.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from tranche.plan import Bound, Limit, Metric, Phase, duration
from tranche.ports import Verdict
from tranche.signals import BLUE_ARMS, GREEN_ARMS, NOTHING, Counts, Interval, pooled, wilson

EVALUATIONS: Final = 5

GROSSLY: Final = 2.0
"""Where blue breaks a limit, too, green's share is surely so many times blue's before going back is said to help: in a
bad hour failures come in clusters, and the confidence bounds of two counts, which know of none, lie apart by chance.
Whether green is a little worse than blue is the judge's to say.
"""

KEPT: Final = 6
"""How many times a limit's time is remembered, for the sake of a quiet service."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The last evaluations, newest first, each of one or more intervals; `is_full` when they are enough."""

    parts: tuple[tuple[Interval, ...], ...]
    span_s: float
    requests: int
    is_full: bool

    @property
    def intervals(self) -> tuple[Interval, ...]:
        """All of them, oldest first."""
        return tuple(reversed([interval for part in self.parts for interval in part]))


def least_requests(bound: Bound) -> int:
    """How many an evaluation needs to expect one bad request on the line."""
    return math.ceil(1 / bound.bad_share - 1e-9)


def window_of(limit: Limit, intervals: Sequence[Interval]) -> Window:
    """So many of the last intervals as make up EVALUATIONS evaluations, by time and by requests.

    A long interval with many requests may be several evaluations at once; then there are fewer parts.
    """
    fifth_s, least = limit.sustained_s / EVALUATIONS, least_requests(limit.bound)
    parts: list[tuple[Interval, ...]] = []
    part: list[Interval] = []
    reached, requests, span_s = 0, 0, 0.0
    for interval in reversed(intervals):
        part.append(interval)
        requests += _counted(limit.bound, interval)
        span_s += (interval.end - interval.start).total_seconds()
        now = min(int((span_s + 1e-6) / fifth_s), requests // least, EVALUATIONS)
        if now > reached:
            parts.append(tuple(part))
            part, reached = [], now
        if reached == EVALUATIONS:
            break
    if part:
        parts.append(tuple(part))
    return Window(parts=tuple(parts), span_s=span_s, requests=requests, is_full=reached == EVALUATIONS)


def _counted(bound: Bound, interval: Interval) -> int:
    """Green's requests that this bound is about. Asked of many intervals at every tick of a quiet service."""
    total, is_timed, arms = 0, bound.edge_ms is not None, interval.arms
    for arm in GREEN_ARMS:
        if arm in arms:
            total += arms[arm].timed if is_timed else arms[arm].requests
    return total


def read_limit(limit: Limit, intervals: Sequence[Interval]) -> LimitReading:
    """What this limit says of green over these intervals (oldest first, since green has had users)."""
    name = str(limit)
    window = window_of(limit, intervals)
    if window.span_s < limit.sustained_s - 1e-6:
        told = f"watched for {duration(round(window.span_s))} of {duration(limit.sustained_s)}"
        return LimitReading(limit=limit, reading=Reading(name=name, verdict=Verdict.NOT_YET, reason=told))
    parts = [pooled(part, GREEN_ARMS) for part in (window.parts if window.is_full else window.parts[:1])]
    found = bad(limit.bound, sum(parts, NOTHING))
    if found is None:
        told = f"the data plane does not count requests at {limit.bound.edge_ms} ms"
        return LimitReading(limit=limit, reading=Reading(name=name, verdict=Verdict.CANNOT_TELL, reason=told))
    requests, least = window.requests, max(limit.minimum_requests, EVALUATIONS * least_requests(limit.bound))
    if requests < least or not window.is_full:
        told = f"{requests} of at least {least} requests in {duration(round(window.span_s))}"
        numbers = {"requests": requests}
        reading = Reading(name=name, verdict=Verdict.NOT_YET, reason=told, numbers=numbers)
        return LimitReading(limit=limit, reading=reading)
    return _sustained(limit, intervals, window, [bad(limit.bound, part) or (0, 0) for part in parts], *found)


def _sustained(
    limit: Limit,
    intervals: Sequence[Interval],
    window: Window,
    parts: Sequence[tuple[int, int]],
    many: int,
    requests: int,
) -> LimitReading:
    """With `parts`, bad requests and all of them, by evaluation; `many` and `requests` over all of them."""
    lower, upper = wilson(many, requests)
    breaches = sum(breached(limit.bound, part) for part in parts)
    broken = breaches == len(parts) and lower > limit.bound.bad_share
    seen = window.intervals
    blue = bad(limit.bound, pooled(seen, BLUE_ARMS)) or (0, 0)
    blue_lower, blue_upper = wilson(*blue)
    blue_too = (
        broken
        and blue[1] >= limit.minimum_requests
        and blue_lower > limit.bound.bad_share
        and lower <= GROSSLY * blue_upper
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
        "window": {"start": seen[0].start.isoformat(), "end": seen[-1].end.isoformat()},
    }
    reading = Reading(
        name=str(limit),
        verdict=Verdict.FAIL if broken else Verdict.PASS,
        reason=sentence(limit.bound, many, requests, window.span_s, lower, broken=broken),
        numbers=numbers,
    )
    first = first_bad(limit.bound, intervals, len(seen)) if broken else None
    return LimitReading(limit=limit, reading=reading, blue_too=blue_too, first_bad_at=first)


def figure(evidence: float) -> str:
    """Evidence as people read it: two figures below ten, whole numbers above."""
    return f"{evidence:.2g}" if evidence < 10 else f"{evidence:,.0f}"


def percent(share: float) -> str:
    """A share as people read it: two significant figures below ten percent."""
    value = 100 * share
    return f"{value:.0f} %" if value >= 10 else f"{value:.2g} %"


def sentence(bound: Bound, many: int, requests: int, span_s: float, lower: float, *, broken: bool) -> str:
    """`green's errors are 7.3 % (41 of 562 requests in 5m), surely above 1 % (at least 5.1 %)`."""
    span = duration(round(span_s))
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
