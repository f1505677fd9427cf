"""A load test as a value: what is sent, how often, and what its result means. Pure.

Open: requests begin when they are due, whether or not the ones before were answered, and every latency counts
from when the request was due. A generator that waits for answers sends less while a service hangs, and leaves
out just the time its users would have felt.
"""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tranche.plan import duration
from tranche.ports import GateAnswer, Verdict

LATE_MS: Final = 10.0
"""A generator whose own lateness exceeds this (at p99) cannot say that the service was slow."""

MOST_AT_ONCE: Final = 1000
"""Requests that may be under way; one that is due beyond that is dropped, which counts as an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What must be so. Times in ms, `errors` a share from 0 to 1; None asks nothing."""

    latency_p95: float | None = None
    latency_p99: float | None = None
    errors: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a run has shown. `errors` counts by kind, dropped requests among them.

    Latencies are of all that were due, in ms: what was dropped is infinitely slow.
    """

    due: int
    errors: Mapping[str, int] = field(default_factory=dict)
    latency_p50: float
    latency_p95: float
    latency_p99: float
    lateness_p99: float
    took_s: float


def due_times(rate: float, lasts_s: float, seed: int = 1) -> list[float]:
    """When requests are due, in seconds from the start: as many as the rate says, at times of chance.

    A Poisson process of a known number of arrivals is that many independent uniform times (Ross, Stochastic
    Processes, theorem 2.3.1). One seed, so that two runs are alike.
    """
    chance = random.Random(seed)  # noqa: S311 - arrivals, no secrets
    return sorted(chance.uniform(0, lasts_s) for _ in range(round(rate * lasts_s)))


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of these (in rising order, not none) do not exceed."""
    return ordered[max(0, math.ceil(share * len(ordered) - 1e-9) - 1)]


def result(
    latencies_ms: Sequence[float], lateness_ms: Sequence[float], errors: Mapping[str, int], took_s: float
) -> Result:
    """The result of a run; `latencies_ms` has one for each request that was due."""
    ordered, late = sorted(latencies_ms), sorted(lateness_ms)
    return Result(
        due=len(ordered),
        errors=dict(errors),
        latency_p50=percentile(ordered, 0.5),
        latency_p95=percentile(ordered, 0.95),
        latency_p99=percentile(ordered, 0.99),
        lateness_p99=percentile(late, 0.99) if late else 0.0,
        took_s=took_s,
    )


def verdict(bounds: Bounds, found: Result) -> GateAnswer:
    """What the run means.

    A busy generator makes latencies longer, never shorter. So its lateness excuses a latency that is out of
    bounds - then nothing can be told - and takes nothing from one within.
    """
    failed = sum(found.errors.values())
    share = failed / found.due
    told = f"{found.due} requests: {_errors(found)}, p95 {found.latency_p95:.0f} ms, p99 {found.latency_p99:.0f} ms"
    evidence = _evidence(found, share)
    if bounds.errors is not None and share > bounds.errors:
        told = f"{told}; at most {100 * bounds.errors:g} % errors were allowed"
        return GateAnswer(verdict=Verdict.FAIL, reason=told, evidence=evidence)
    for name, most, value in (
        ("p95", bounds.latency_p95, found.latency_p95),
        ("p99", bounds.latency_p99, found.latency_p99),
    ):
        if most is None or value < most:
            continue
        if found.lateness_p99 > LATE_MS:
            told = f"{told}; but the generator itself was {found.lateness_p99:.0f} ms late: too busy to tell"
            return GateAnswer(verdict=Verdict.CANNOT_TELL, reason=told, evidence=evidence)
        told = f"{told}; {name} must be under {duration(most / 1000)}"
        return GateAnswer(verdict=Verdict.FAIL, reason=told, evidence=evidence)
    return GateAnswer(verdict=Verdict.PASS, reason=told, evidence=evidence)


def _errors(found: Result) -> str:
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(found.errors.items()))
    return f"{sum(found.errors.values())} errors" + (f" ({kinds})" if kinds else "")


def _evidence(found: Result, share: float) -> dict[str, Any]:
    latencies = {"p50": found.latency_p50, "p95": found.latency_p95, "p99": found.latency_p99}
    return {
        "due": found.due,
        "errors": dict(found.errors),
        "error_share": round(share, 6),
        # Infinity is no JSON; None says that so many were dropped that there is no such latency.
        "latency_ms": {
            key: round(value, 3) if value != float("inf") else None for key, value in latencies.items()
        },
        "generator_late_ms_p99": round(found.lateness_p99, 3),
        "took_s": round(found.took_s, 3),
    }
