"""What the operator asked for: phases, gates, limits, requirements. Values only.

`language.py` reads them from a file, and refuses what cannot work. Nothing of an installation stands in a
plan.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Final, Literal

from tranche.freeze import Freeze
from tranche.ports import TOTAL_WEIGHT

LATENCY_EDGES_MS: Final = (100, 300, 500)
"""Where a latency can be judged exactly: the data plane counts how many requests were faster than these."""

STAGING: Final = "staging"

OWN_VARIABLES: Final = ("rollout", "version", "phase", "gate")
"""What every gate may be told of what it is run for, on any site."""


class Metric(StrEnum):
    """What can be bounded. Errors and latencies are counted per request by the data plane."""

    ERRORS = "errors"
    LATENCY_P95 = "latency_p95"
    LATENCY_P99 = "latency_p99"
    CACHE_HITS = "cache_hits"
    UPTIME = "uptime"
    RESTARTS = "restarts"


UNITS: Final = {
    Metric.ERRORS: "%",
    Metric.LATENCY_P95: "ms",
    Metric.LATENCY_P99: "ms",
    Metric.CACHE_HITS: "%",
    Metric.UPTIME: "%",
    Metric.RESTARTS: "",
}
GOOD_WHEN_HIGH: Final = {Metric.CACHE_HITS, Metric.UPTIME}
TAIL_SHARE: Final = {Metric.LATENCY_P95: 0.05, Metric.LATENCY_P99: 0.01}
COUNTED: Final = {Metric.ERRORS, Metric.LATENCY_P95, Metric.LATENCY_P99}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """A metric, a side and a value, such as `errors < 0.5 %`. Percent, milliseconds, or a plain number.

    A latency is judged exactly, by counting: `latency_p95 < 300 ms` means that at most 5 % of the requests
    take 300 ms or longer.
    """

    metric: Metric
    relation: Literal["<", ">"]
    value: float

    def __str__(self) -> str:
        return f"{self.metric} {self.relation} {self.value:g} {UNITS[self.metric]}".rstrip()

    @property
    def is_counted(self) -> bool:
        """Whether it is about a share of requests."""
        return self.metric is Metric.ERRORS or self.metric in TAIL_SHARE

    @property
    def edge_ms(self) -> int | None:
        """The latency from which a request is bad; None when errors are what is bad."""
        return int(self.value) if self.metric in TAIL_SHARE else None

    @property
    def bad_share(self) -> float:
        """How large a share of bad requests stands on the line, 0 to 1. Only for counted metrics."""
        return TAIL_SHARE.get(self.metric, self.value / 100)


class Answer(StrEnum):
    """What a broken limit leads to."""

    ROLL_BACK = "roll_back"
    STEP_BACK = "step_back"
    HOLD = "hold"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A line that must not be crossed for long. What `sustained` means is defined in `limits.py`."""

    bound: Bound
    sustained_s: float
    minimum_requests: int
    answer: Answer
    line: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return f"{self.bound} for {duration(self.sustained_s)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """When green counts as dying.

    More `restarts` than this since it was started; so long without a healthy host while it has users; or not
    ready within so long after it was started.
    """

    ready_within_s: float = 120.0
    unhealthy_for_s: float = 30.0
    restarts: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """How sure the judge must be, as shares; and the odds ratios to blue that are tolerated.

    `false_rollback`: the probability that a good version is taken back at any time of the whole rollout.
    `false_safety`: the probability, per phase and question, that *safe* is said of what is not.
    """

    false_rollback: float = 0.01
    false_safety: float = 0.05
    tolerated_errors: float = 1.2
    tolerated_slow: float = 1.15


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedGate:
    """A check that must pass before its phase may end. `settings` belong to the kind."""

    name: str
    kind: str
    settings: Mapping[str, object]
    timeout_s: float
    retry_s: float
    at: Literal["start", "end"]
    on_fail: Literal["hold", "roll_back"]
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A stretch of the rollout at one weight.

    With `internal_users_first_s` the phase begins with nobody but the people of the company on green.
    `point_of_no_return` says why going back is no remedy any more once the phase has begun.
    A stay longer than `at_most_s` is overdue; None lets it last. `mirror_percent` is of staging alone.
    """

    name: str
    about: str
    weight_percent: float
    dwell_s: float
    minimum_requests: int
    internal_users_first_s: float = 0.0
    requirements: tuple[Bound, ...] = ()
    gates: tuple[PlannedGate, ...] = ()
    point_of_no_return: str = ""
    at_most_s: float | None = None
    overdue: Literal["hold", "roll_back"] = "hold"
    mirror_percent: float = 0.0
    line: int = field(default=0, compare=False)

    @property
    def green_weight(self) -> int:
        return round(self.weight_percent * TOTAL_WEIGHT / 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The whole request. `phases[0]` is staging: green runs, passes its gates, and has no users.

    `notify` names routes of the site that are told the news; none named: all of them are.

    The judge does not listen for `warm_up_s` after green has its first users: caches are cold, code is not compiled.
    `harm_budget` is how many failed requests green may cost in all; None sets no such bound.
    """

    name: str
    about: str
    tick_s: float
    stale_after_s: float
    retire_blue: Literal["never", "after"]
    share_tolerance_percent: float | None
    step_backs: int
    warm_up_s: float
    judge: Judging
    health: Health
    limits: tuple[Limit, ...]
    phases: tuple[Phase, ...]
    harm_budget: int | None = None
    freezes: tuple[Freeze, ...] = ()
    notify: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """sha256 of what the plan means, whatever its comments, order of keys and line breaks."""
        meaning = json.dumps(_meant(asdict(self)), sort_keys=True, separators=(",", ":"))
        return "sha256:" + hashlib.sha256(meaning.encode()).hexdigest()

    @property
    def last(self) -> int:
        """The number of the last phase."""
        return len(self.phases) - 1

    @property
    def point_of_no_return(self) -> int | None:
        """The number of the phase from which going back is no remedy."""
        return next((number for number, phase in enumerate(self.phases) if phase.point_of_no_return), None)


def _meant(value: object) -> object:
    """Without lines; and without a mirror that is not asked for: releases before knew none, and meant the same."""
    match value:
        case dict():
            skipped = {"line"} if value.get("mirror_percent") else {"line", "mirror_percent"}
            return {key: _meant(item) for key, item in value.items() if key not in skipped}
        case list() | tuple():
            return [_meant(item) for item in value]
        case _:
            return value


def duration(seconds: float) -> str:
    """The shortest way to say it in a plan: 48h, 5m, 40s, 1m 30s."""
    if seconds < 1:
        return f"{seconds * 1000:g}ms"
    parts = []
    for size, unit in ((3600, "h"), (60, "m")):
        if seconds >= size:
            parts.append(f"{int(seconds // size)}{unit}")
            seconds %= size
    if round(seconds, 1) or not parts:
        parts.append(f"{round(seconds, 1):g}s")
    return " ".join(parts)
