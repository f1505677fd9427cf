"""What users met, as increases of cumulative counters over intervals.

Pure functions over scrapes. Counters only ever grow, except that they start anew with the data plane: when
any of them fell, all of them count from zero again. A scrape that is missing adds nothing and takes nothing
away; an arm that is missing from a scrape was not there. What was never seen is never guessed.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tranche.ports import Arm, ArmCounters, Colour, Scrape

GREEN_ARMS = (Arm.GREEN, Arm.INTERNAL)
BLUE_ARMS = (Arm.BLUE, Arm.CONTROL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many requests, how many of them failed, and how many were faster than each edge (ms)."""

    requests: int = 0
    errors: int = 0
    faster: Mapping[int, int] = field(default_factory=dict)

    def __add__(self, other: "Counts") -> "Counts":
        mine, others = self.faster, other.faster
        edges = mine if mine.keys() == others.keys() else sorted({*mine, *others})
        return Counts(
            requests=self.requests + other.requests,
            errors=self.errors + other.errors,
            faster={edge: mine.get(edge, 0) + others.get(edge, 0) for edge in edges},
        )

    @property
    def timed(self) -> int:
        """Requests whose latency is known: histograms lag behind counters, so it is counted by itself."""
        return max(self.faster.values(), default=0)

    def slower(self, edge_ms: int) -> int | None:
        """Requests that took `edge_ms` or longer; None where the data plane has no such edge."""
        at_edge = self.faster.get(edge_ms)
        return None if at_edge is None else max(0, self.timed - at_edge)

    def latency_ms(self, quantile: float) -> float | None:
        """A latency for the eye, interpolated between edges; what is judged is counted, not interpolated."""
        if not self.timed:
            return None
        wanted, below, lower = quantile * self.timed, 0, 0
        for edge, count in sorted(self.faster.items()):
            if count >= wanted:
                part = (wanted - below) / (count - below) if count > below else 1.0
                return lower + part * (edge - lower)
            below, lower = count, edge
        return float(lower)


NOTHING = Counts()


def counts_json(counts: Counts) -> dict[str, Any]:
    return {
        "requests": counts.requests,
        "errors": counts.errors,
        "faster": {str(edge): count for edge, count in sorted(counts.faster.items())},
    }


def counts_from_json(data: Mapping[str, Any]) -> Counts:
    return Counts(
        requests=int(data["requests"]),
        errors=int(data["errors"]),
        faster={int(edge): int(count) for edge, count in data["faster"].items()},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """What happened between two complete scrapes. `healthy_hosts` is how it was at the end."""

    start: datetime
    end: datetime
    arms: Mapping[Arm, Counts]
    healthy_hosts: Mapping[Colour, int]


def fell(earlier: ArmCounters, later: ArmCounters) -> bool:
    """Whether a counter went backwards, which happens only when the data plane was started anew."""
    return (
        later.requests < earlier.requests
        or later.errors < earlier.errors
        or any(later.latency_buckets.get(edge, 0) < count for edge, count in earlier.latency_buckets.items())
    )


def difference(earlier: ArmCounters, later: ArmCounters) -> Counts:
    return Counts(
        requests=later.requests - earlier.requests,
        errors=later.errors - earlier.errors,
        faster={
            edge: count - earlier.latency_buckets.get(edge, 0)
            for edge, count in later.latency_buckets.items()
        },
    )


def increase(earlier: Scrape, later: Scrape) -> Interval:
    """The increases from one scrape to the next.

    After a restart of the data plane its counters are the increase; what it counted between the last scrape
    and its end was never seen. Time that does not move forward gives no counts.
    """
    both = [arm for arm in later.arms if arm in earlier.arms]
    zero = ArmCounters(requests=0, errors=0)
    restarted = any(fell(earlier.arms[arm], later.arms[arm]) for arm in both)
    if later.at <= earlier.at:
        both = []
    return Interval(
        start=earlier.at,
        end=later.at,
        arms={
            arm: difference(zero if restarted else earlier.arms[arm], _positive(later.arms[arm]))
            for arm in both
        },
        healthy_hosts=later.healthy_hosts,
    )


def _positive(counters: ArmCounters) -> ArmCounters:
    """Counters as they must be: nothing below zero, whatever was read."""
    return ArmCounters(
        requests=max(0, counters.requests),
        errors=max(0, counters.errors),
        latency_buckets={edge: max(0, count) for edge, count in counters.latency_buckets.items()},
    )


def pooled(intervals: Iterable[Interval], arms: Iterable[Arm]) -> Counts:
    """Everything these arms met in these intervals; added up by column, as many are asked of at every tick."""
    wanted = tuple(arms)
    found = [interval.arms[arm] for interval in intervals for arm in wanted if arm in interval.arms]
    return Counts(
        requests=sum([counts.requests for counts in found]),
        errors=sum([counts.errors for counts in found]),
        faster=_summed([counts.faster for counts in found]),
    )


def _summed(many: Sequence[Mapping[int, int]]) -> dict[int, int]:
    """By edge. Nearly always all of them have the same edges, in one order."""
    edges = tuple(many[0]) if many else ()
    if all(tuple(one) == edges for one in many):
        columns = zip(*[one.values() for one in many], strict=True)
        return dict(sorted(zip(edges, map(sum, columns), strict=True)))
    total: dict[int, int] = {}
    for one in many:
        for edge, count in one.items():
            total[edge] = total.get(edge, 0) + count
    return dict(sorted(total.items()))


def observed_share_percent(totals: Mapping[Arm, Counts]) -> float | None:
    """Green's part of the requests of users who are not internal; None before there are any."""
    green = totals.get(Arm.GREEN, NOTHING).requests
    blue = sum(totals.get(arm, NOTHING).requests for arm in BLUE_ARMS)
    return 100 * green / (green + blue) if green + blue else None


Z_99 = 2.3263478740408408
"""The 99 % point of the standard normal distribution, one side."""


def wilson(bad: float, requests: float, z: float = Z_99) -> tuple[float, float]:
    """Lower and upper confidence bound of a share, 99 % each by itself.

    E. B. Wilson, Probable inference, the law of succession, and statistical inference, Journal of the
    American Statistical Association 22 (1927) 209-212. Less than one request - counts that fade - bounds nothing.
    """
    if requests < 1:
        return 0.0, 1.0
    share = min(max(bad / requests, 0.0), 1.0)
    spread = z * math.sqrt(share * (1 - share) / requests + z * z / (4 * requests * requests))
    middle = share + z * z / (2 * requests)
    scale = 1 + z * z / requests
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


def arms_json(arms: Mapping[Arm, Counts]) -> dict[str, Any]:
    return {arm.value: counts_json(counts) for arm, counts in arms.items()}


def arms_from_json(data: Mapping[str, Any]) -> dict[Arm, Counts]:
    known = {arm.value for arm in Arm}
    return {Arm(name): counts_from_json(counts) for name, counts in data.items() if name in known}
