"""Every port in memory: for tests, for simulation, for trying things out. Fakes, not mocks: they behave."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from tranche.abort import Abort
from tranche.access import Tokens
from tranche.ports import (
    Arm,
    ArmCounters,
    Artifact,
    Colour,
    ColourState,
    Conflict,
    EnvironmentFault,
    GateAnswer,
    LeaseLost,
    LogFault,
    NewEvent,
    Recorded,
    Scrape,
    SignalsFault,
    Split,
    Stage,
    TrafficFault,
    Verdict,
)


class VirtualClock:
    """A clock that moves only when somebody sleeps; `on_sleep` is called for every sleep, after it."""

    def __init__(self, start: datetime | None = None) -> None:
        self._now = start or datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
        self.on_sleep: Callable[[float], None] = lambda _: None

    def now(self) -> datetime:
        return self._now

    def sleep(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)
        self.on_sleep(seconds)


class MemoryLog:
    """An event log that forgets with its process."""

    def __init__(self) -> None:
        self._rollouts: dict[str, list[Recorded]] = {}
        self.fault: str | None = None

    def append(self, rollout: str, *, after: int, events: Sequence[NewEvent]) -> list[Recorded]:
        self._answer()
        known = self._rollouts.get(rollout, [])
        if len(known) != after:
            raise Conflict(f"rollout '{rollout}' has {len(known)} events, not {after}; read again")
        recorded = [
            Recorded(
                rollout=rollout,
                position=after + number,
                type=event.type,
                at=event.at,
                actor=event.actor,
                data=json.loads(json.dumps(event.data, allow_nan=False)),
            )
            for number, event in enumerate(events, start=1)
        ]
        if recorded:
            self._rollouts[rollout] = [*known, *recorded]
        return recorded

    def read(self, rollout: str, *, after: int = 0) -> list[Recorded]:
        self._answer()
        return self._rollouts.get(rollout, [])[after:]

    def rollouts(self) -> list[str]:
        self._answer()
        return list(self._rollouts)

    def _answer(self) -> None:
        if self.fault:
            raise LogFault(self.fault)


class MemoryTraffic:
    """A data plane that takes every split at once, unless `fault` says why not."""

    def __init__(self) -> None:
        self.split: Split | None = None
        self.history: list[Split] = []
        self.fault: str | None = None

    def apply(self, split: Split) -> None:
        if self.fault:
            raise TrafficFault(self.fault)
        self.split = split
        self.history.append(split)

    def serving(self) -> str | None:
        if self.fault:
            raise TrafficFault(self.fault)
        return self.split.identifier if self.split else None


class MemorySignals:
    """Counters that grow by what `serve` is told; `fault` says why they cannot be read."""

    def __init__(
        self, clock: VirtualClock, edges: Sequence[int] = (50, 100, 200, 300, 500, 1000, 10_000)
    ) -> None:
        self._clock = clock
        self._edges = tuple(edges)
        self._arms = {arm: ArmCounters(requests=0, errors=0, latency_buckets={}) for arm in Arm}
        self.healthy_hosts = {Colour.BLUE: 1, Colour.GREEN: 1}
        self.fault: str | None = None

    def serve(self, arm: Arm, requests: int, *, errors: int = 0, latency_ms: float = 40.0) -> None:
        """This many more requests on an arm, all of the same latency."""
        known = self._arms[arm]
        self._arms[arm] = ArmCounters(
            requests=known.requests + requests,
            errors=known.errors + errors,
            latency_buckets={
                edge: known.latency_buckets.get(edge, 0) + (requests if latency_ms < edge else 0)
                for edge in self._edges
            },
        )

    def restart(self) -> None:
        """The data plane starts anew, and its counters with it."""
        self._arms = {arm: ArmCounters(requests=0, errors=0, latency_buckets={}) for arm in Arm}

    def scrape(self) -> Scrape:
        if self.fault:
            raise SignalsFault(self.fault)
        return Scrape(at=self._clock.now(), arms=dict(self._arms), healthy_hosts=dict(self.healthy_hosts))


class MemoryEnvironment:
    """Versions that are ready as soon as they are asked for, unless `stage` says otherwise."""

    def __init__(self) -> None:
        self.versions: dict[Colour, str] = {}
        self.stage = Stage.READY
        self.restarts = 0
        self.detail = ""
        self.fault: str | None = None
        self.retired: list[Colour] = []
        self.left = ""
        """What was under way when the wait for it was over."""
        self.artifacts: dict[str, str] = {}

    def identify(self, version: str) -> Artifact:
        if version not in self.artifacts:
            return Artifact(unknown_because="nobody has told this environment")
        return Artifact(digest=self.artifacts[version])

    def ensure(self, colour: Colour, version: str) -> None:
        self._answer()
        self.versions[colour] = version

    def state(self, colour: Colour) -> ColourState:
        self._answer()
        if colour not in self.versions:
            return ColourState(stage=Stage.ABSENT)
        return ColourState(
            stage=self.stage, version=self.versions[colour], restarts=self.restarts, detail=self.detail
        )

    def retire(self, colour: Colour) -> str:
        self._answer()
        self.versions.pop(colour, None)
        self.retired.append(colour)
        return self.left

    def _answer(self) -> None:
        if self.fault:
            raise EnvironmentFault(self.fault)


class MemoryGate:
    """A gate that answers what it is told to, and remembers with which settings it was run."""

    def __init__(self, verdict: Verdict = Verdict.PASS, reason: str = "as told") -> None:
        self.answer = GateAnswer(verdict=verdict, reason=reason)
        self.runs: list[Mapping[str, object]] = []

    def run(self, settings: Mapping[str, object], *, timeout_s: float) -> GateAnswer:  # noqa: ARG002 - the port
        self.runs.append(settings)
        return self.answer


class MemoryNotifier:
    """Keeps what people would have been told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, str]] = []

    def tell(self, *, title: str, text: str, severity: str, key: str, recorded: bool = False) -> None:  # noqa: ARG002 - the port
        self.told.append((severity, title, text))


class MemoryAborts:
    """An abort that is forgotten with its process; `fault` says why none can be written."""

    def __init__(self) -> None:
        self.abort: Abort | None = None
        self.fault: str | None = None

    def pending(self) -> Abort | None:
        return self.abort

    def write(self, abort: Abort) -> None:
        if self.fault:
            raise LogFault(self.fault)
        self.abort = abort

    def settle(self, abort: Abort) -> None:
        if self.abort == abort:
            self.abort = None


class InlineWorkers:
    """Runs every job at once, in the caller's own thread; the result is there at the next `done`."""

    def __init__(self) -> None:
        self._results: list[tuple[str, object]] = []

    def start(self, key: str, job: Callable[[], object]) -> bool:
        self._results.append((key, job()))
        return True

    def done(self) -> list[tuple[str, object]]:
        results, self._results = self._results, []
        return results


class MemoryLock:
    """A lock nobody else wants, unless `is_taken`."""

    def __init__(self) -> None:
        self.is_taken = False

    def acquire(self, *, wait_s: float) -> bool:  # noqa: ARG002 - the port
        return not self.is_taken

    def release(self) -> None:
        pass


class MemoryLease:
    """A lease as one controller has it; `MemoryLease.beside` makes another controller's of the same."""

    def __init__(self, now_s: Callable[[], float], *, length_s: float) -> None:
        self.length_s = length_s
        self._now_s = now_s
        self._held: list[tuple[object, float]] = []

    def beside(self) -> "MemoryLease":
        other = MemoryLease(self._now_s, length_s=self.length_s)
        other._held = self._held
        return other

    @property
    def is_held(self) -> bool:
        return bool(self._held) and self._held[0][0] is self and self._now_s() < self._held[0][1]

    def acquire(self, *, wait_s: float) -> bool:  # noqa: ARG002 - nobody else runs while we wait
        if self.is_held_elsewhere():
            return False
        self._held[:] = [(self, self._now_s() + self.length_s)]
        return True

    def renew(self) -> None:
        self.demand()
        self._held[:] = [(self, self._now_s() + self.length_s)]

    def demand(self) -> None:
        if not self.is_held:
            raise LeaseLost

    def release(self) -> None:
        if self.is_held:
            self._held.clear()

    def is_held_elsewhere(self) -> bool:
        return bool(self._held) and self._held[0][0] is not self and self._now_s() < self._held[0][1]


class MemoryTokens:
    """Tokens that are forgotten with their process."""

    def __init__(self) -> None:
        self._tokens: Tokens = ()

    def read(self) -> Tokens:
        return self._tokens

    def change(self, by: Callable[[Tokens], Tokens]) -> None:
        self._tokens = by(self._tokens)
