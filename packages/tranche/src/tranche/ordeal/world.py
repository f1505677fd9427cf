"""A world that fails on purpose: every port in memory, each call of which the dice may turn into a fault.

All chance comes from one generator, in the order of the calls, so a seed is the whole of a trial. Which troubles a
trial knows, and how often they come, is diced first ("swarm testing", A. Groce et al., ISSTA 2012): a trial with all
of them at once would rarely get anywhere.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final, TypeVar

from tranche.adapters.memory import MemoryEnvironment, MemoryLog, MemorySignals, MemoryTraffic, VirtualClock
from tranche.ports import (
    TOTAL_WEIGHT,
    Arm,
    Artifact,
    Clock,
    Colour,
    ColourState,
    EnvironmentFault,
    GateAnswer,
    Lease,
    LogFault,
    NewEvent,
    Recorded,
    Scrape,
    SignalsFault,
    Split,
    Stage,
    Traffic,
    TrafficFault,
    Verdict,
)

RATE: Final = 600.0
"""Requests a second of all users who are not internal."""
INTERNAL_RATE: Final = 20.0
SLOWEST_S: Final = 1.2
"""What a slow call takes at most."""
LEASE_S: Final = 1.5
STALLED_S: Final = 1.6
START: Final = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)

Result = TypeVar("Result")


class Killed(BaseException):
    """The controller's process is gone. Nothing may catch this but the trial."""


@dataclass(slots=True, kw_only=True)
class Troubles:
    """How probable each trouble is, a call or a step; 0 when this trial does not know it."""

    killed_before: float = 0.02
    killed_after: float = 0.02
    log_unwritable: float = 0.03
    log_unreadable: float = 0.02
    scrape_lost: float = 0.15
    signals_down: float = 0.05
    counters_reset: float = 0.02
    traffic_rejected: float = 0.15
    traffic_unconfirmed: float = 0.15
    traffic_silent: float = 0.03
    traffic_tampered: float = 0.03
    slow_call: float = 0.1
    environment_fault: float = 0.1
    gate_slow: float = 0.3
    gate_fails: float = 0.2
    desk: float = 0.04
    clock_jumps: float = 0.1
    show_fails: float = 0.03
    memory_lost: float = 0.3
    stalled: float = 0.03

    @classmethod
    def diced(cls, dice: Random) -> "Troubles":
        """Few of them, some or most, each as often as it says or five times as often."""
        share, known = dice.choice((0.15, 0.3, 0.6)), cls()
        often = {
            each.name: dice.choice((1.0, 1.0, 5.0)) if dice.random() < share else 0.0 for each in fields(cls)
        }
        return cls(**{name: min(0.5, getattr(known, name) * times) for name, times in often.items()})


@dataclass(slots=True, kw_only=True)
class Version:
    """How green really is: `bad_from_s` after the start it fails so often, or is so slow. None: it is good."""

    kind: str = "good"
    bad_from_s: float = 0.0
    errors: float = 0.0
    latency_ms: float = 40.0
    restarts: int = 0
    blue_too: bool = False
    starts_in_s: float = 2.0

    @classmethod
    def diced(cls, dice: Random) -> "Version":
        starts_in_s = dice.choice((0.0, 2.0, 5.0))
        from_s = dice.choice((0.0, 9.0, 16.0, 23.0))
        match dice.choice(("good", "good", "good", "errors", "slow", "restarts", "dead", "never", "both")):
            case "errors":
                return cls(kind="errors", bad_from_s=from_s, errors=0.3, starts_in_s=starts_in_s)
            case "slow":
                return cls(kind="slow", bad_from_s=from_s, latency_ms=800.0, starts_in_s=starts_in_s)
            case "restarts":
                return cls(kind="restarts", bad_from_s=from_s, restarts=5, starts_in_s=starts_in_s)
            case "dead":
                return cls(kind="dead", bad_from_s=from_s, starts_in_s=starts_in_s)
            case "never":
                return cls(kind="never", starts_in_s=1e9)
            case "both":
                return cls(kind="both", bad_from_s=from_s, errors=0.3, blue_too=True, starts_in_s=starts_in_s)
            case _:
                return cls(starts_in_s=starts_in_s)


@dataclass(slots=True, kw_only=True)
class Witness:
    """What really happened, by time that never jumps; the laws are judged by it and not by what was believed.

    `looked_at_s` is when counters were last asked for, in vain or not: what is decided is decided right after.
    """

    elapsed_s: float = 0.0
    looked_at_s: float = -1e9
    scraped_at_s: float | None = None
    seen_green: tuple[float, ColourState] | None = None
    troubled: int = 0
    trace: list[str] = field(default_factory=list)

    def tell(self, what: str) -> None:
        self.trace.append(f"{self.elapsed_s:8.3f}  {what}")


class FaultyWorld:
    """The ports of one trial. `healed` ends every trouble; `on_step` is called around each call of a controller."""

    def __init__(self, seed: int) -> None:
        self.dice = Random(seed)  # noqa: S311 - dice, not secrets
        self.troubles = Troubles.diced(self.dice)
        self.version = Version.diced(self.dice)
        self.witness = Witness()
        self.clock = VirtualClock(START)
        self.log = MemoryLog()
        self.traffic = MemoryTraffic()
        self.signals = MemorySignals(self.clock, edges=(100, 300, 500, 10_000))
        self.environment = MemoryEnvironment()
        self.started_at_s: float | None = None
        self.skew_s = 0.0
        self.healed = False
        self.is_quiet = True
        self.interrupt: Callable[[], None] = lambda: None
        self.take_over: Callable[[], None] = lambda: None
        self._rests: dict[str, float] = {}

    # Chance.

    def strikes(self, trouble: str) -> bool:
        """Whether it comes now. One throw per question, whatever the answer would lead to."""
        thrown = self.dice.random()
        if self.healed or self.is_quiet or thrown >= getattr(self.troubles, trouble):
            return False
        self.witness.troubled += 1
        self.witness.tell(f"! {trouble}")
        return True

    def call(
        self, what: str, act: Callable[[], Result], *, deadly: bool = False, acts: bool = False
    ) -> Result:
        """One call of a controller: the desk may come between, and before and after it the process may end.

        What moves something does so at once and is slow to say so.
        """
        if self.is_quiet:
            return act()
        if self.strikes("desk"):
            self.interrupt()
        if deadly and self.strikes("killed_before"):
            raise Killed(what)
        slow_s = self.dice.choice((0.05, 0.4, SLOWEST_S)) if self.strikes("slow_call") else 0.0
        if slow_s and not acts:
            self.elapse(slow_s)
        result = act()
        if slow_s and acts:
            self.elapse(slow_s)
        if deadly and self.strikes("killed_after"):
            raise Killed(what)
        return result

    def stall(self) -> None:
        """The process may be frozen for longer than its lease lasts, and go on as if nothing had been."""
        if not self.is_quiet and self.strikes("stalled"):
            self.elapse(STALLED_S)
            self.take_over()

    # Time and users.

    def elapse(self, seconds: float) -> None:
        """Time passes and users work."""
        self.clock.sleep(seconds)
        self.witness.elapsed_s += seconds
        self._serve(seconds)

    def jump(self) -> None:
        """Somebody sets the machine's clock; no time passes."""
        self.skew_s = self.dice.choice((-20.0, -5.0, -2.0, 0.0, 2.0, 20.0))

    @property
    def is_bad(self) -> bool:
        return self.version.kind != "good" and self.witness.elapsed_s >= self.version.bad_from_s

    def _serve(self, seconds: float) -> None:
        split = self.traffic.split
        green = split.green_weight / TOTAL_WEIGHT if split else 0.0
        control = split.control_weight / TOTAL_WEIGHT if split else 0.0
        to_green = split is not None and split.internal_to_green
        self._requests(Arm.GREEN, RATE * green * seconds)
        self._requests(Arm.CONTROL, RATE * control * seconds)
        self._requests(Arm.BLUE, RATE * (1 - green - control) * seconds)
        self._requests(Arm.INTERNAL if to_green else Arm.BLUE, INTERNAL_RATE * seconds)

    def _requests(self, arm: Arm, wanted: float) -> None:
        requests = self._whole(f"{arm} requests", wanted)
        if not requests:
            return
        is_green = arm in {Arm.GREEN, Arm.INTERNAL}
        hit = self.is_bad and (is_green or self.version.blue_too)
        errors = min(requests, self._whole(f"{arm} errors", requests * self.version.errors)) if hit else 0
        latency_ms = self.version.latency_ms if hit else 40.0
        self.signals.serve(arm, requests, errors=errors, latency_ms=latency_ms)

    def _whole(self, key: str, wanted: float) -> int:
        total = self._rests.get(key, 0.0) + wanted
        whole = int(total + 1e-9)
        self._rests[key] = total - whole
        return whole

    def green_state(self) -> ColourState:
        """What really runs as green."""
        state = self.environment.state(Colour.GREEN)
        if state.stage is Stage.ABSENT or self.started_at_s is None:
            return state
        if self.witness.elapsed_s < self.started_at_s + self.version.starts_in_s:
            return ColourState(stage=Stage.STARTING, version=state.version)
        restarts = self.version.restarts if self.is_bad else 0
        return ColourState(stage=Stage.READY, version=state.version, restarts=restarts)

    @property
    def healthy_green(self) -> int:
        is_up = self.green_state().stage is Stage.READY
        return int(is_up and not (self.is_bad and self.version.kind == "dead"))


class ProcessClock:
    """The time as one process tells it: wrong by as much as the machine's clock was when it began."""

    def __init__(self, world: FaultyWorld) -> None:
        self._world, self._skew = world, timedelta(seconds=world.skew_s)

    def now(self) -> datetime:
        return self._world.clock.now() + self._skew

    def sleep(self, seconds: float) -> None:
        self._world.elapse(seconds)


class FaultyLog:
    """The event log as one controller has it: appending renews the lease, or is refused with it, in one.

    `on_append` sees what was recorded, before anybody can be killed.
    """

    def __init__(
        self, world: FaultyWorld, on_append: Callable[[Sequence[Recorded]], None], lease: Lease | None = None
    ) -> None:
        self._world, self._on_append, self._lease = world, on_append, lease

    def append(self, rollout: str, *, after: int, events: Sequence[NewEvent]) -> list[Recorded]:
        world = self._world

        def act() -> list[Recorded]:
            if world.strikes("log_unwritable"):
                raise LogFault("no space left on device")
            if self._lease is not None:
                self._lease.renew()
            recorded = world.log.append(rollout, after=after, events=events)
            self._on_append(recorded)
            return recorded

        world.stall()
        return world.call("append", act, deadly=True)

    def read(self, rollout: str, *, after: int = 0) -> list[Recorded]:
        def act() -> list[Recorded]:
            if self._world.strikes("log_unreadable"):
                raise LogFault("input/output error")
            return self._world.log.read(rollout, after=after)

        return self._world.call("read", act)

    def rollouts(self) -> list[str]:
        return self._world.log.rollouts()


class FaultyTraffic:
    """The data plane as everybody has it. `on_apply` sees each split before and after it is served."""

    def __init__(self, world: FaultyWorld, on_apply: Callable[[Split], None]) -> None:
        self._world, self._on_apply = world, on_apply

    def apply(self, split: Split) -> None:
        world = self._world

        def act() -> None:
            if world.strikes("traffic_rejected"):
                raise TrafficFault("update rejected")
            self._on_apply(split)
            world.traffic.apply(split)
            world.witness.tell(f"serves {split.identifier} ({split.green_weight})")
            if world.strikes("traffic_unconfirmed"):
                raise TrafficFault("not confirmed in time")

        world.call(f"apply {split.identifier}", act, deadly=True, acts=True)

    def serving(self) -> str | None:
        def act() -> str | None:
            if self._world.strikes("traffic_silent"):
                raise TrafficFault("the data plane does not answer")
            return self._world.traffic.serving()

        return self._world.call("serving", act)


class StalledTraffic:
    """The data plane as a process has it that may be frozen right before it looks whether it still may act."""

    def __init__(self, world: FaultyWorld, traffic: Traffic) -> None:
        self._world, self._traffic = world, traffic

    def apply(self, split: Split) -> None:
        self._world.stall()
        self._traffic.apply(split)

    def serving(self) -> str | None:
        return self._traffic.serving()


class FaultySignals:
    """Counters that may be lost or start anew; told with the time of the process that reads them."""

    def __init__(self, world: FaultyWorld, clock: Clock) -> None:
        self._world, self._clock = world, clock
        self._down_until_s = 0.0

    def scrape(self) -> Scrape:
        world = self._world

        def act() -> Scrape:
            world.witness.looked_at_s = world.witness.elapsed_s
            if world.strikes("signals_down"):
                self._down_until_s = world.witness.elapsed_s + world.dice.choice((4.0, 8.0))
            if world.strikes("scrape_lost") or world.witness.elapsed_s < self._down_until_s:
                raise SignalsFault("connection refused")
            if world.strikes("counters_reset"):
                world.signals.restart()
            world.signals.healthy_hosts = {Colour.BLUE: 1, Colour.GREEN: world.healthy_green}
            world.witness.scraped_at_s = world.witness.elapsed_s
            return replace(world.signals.scrape(), at=self._clock.now())

        return world.call("scrape", act)


class FaultyEnvironment:
    """Versions that start in their own time. `on_retire` sees a colour before it stops."""

    def __init__(self, world: FaultyWorld, on_retire: Callable[[Colour], None]) -> None:
        self._world, self._on_retire = world, on_retire

    def identify(self, version: str) -> Artifact:
        return self._world.environment.identify(version)

    def ensure(self, colour: Colour, version: str) -> None:
        def act() -> None:
            self._fail()
            if self._world.started_at_s is None:
                self._world.started_at_s = self._world.witness.elapsed_s
            self._world.environment.ensure(colour, version)

        self._world.call("ensure", act, deadly=True, acts=True)

    def state(self, colour: Colour) -> ColourState:
        self._fail()
        state = self._world.green_state() if colour is Colour.GREEN else self._world.environment.state(colour)
        self._world.witness.seen_green = (self._world.witness.elapsed_s, state)
        return state

    def retire(self, colour: Colour) -> str:
        def act() -> str:
            self._fail()
            self._on_retire(colour)
            left = self._world.environment.retire(colour)
            self._world.witness.tell(f"{colour} stopped")
            return left

        return self._world.call(f"retire {colour}", act, deadly=True, acts=True)

    def _fail(self) -> None:
        if self._world.strikes("environment_fault"):
            raise EnvironmentFault("busy")


class FaultyGate:
    """A gate that may fail, each answer by the dice; what it answered last is witnessed."""

    def __init__(self, world: FaultyWorld) -> None:
        self._world = world

    def run(self, settings: Mapping[str, object], *, timeout_s: float) -> GateAnswer:  # noqa: ARG002 - the port
        verdict = Verdict.PASS
        if self._world.strikes("gate_fails"):
            verdict = self._world.dice.choice((Verdict.FAIL, Verdict.NOT_YET, Verdict.CANNOT_TELL))
        return GateAnswer(verdict=verdict, reason="as diced")


class SlowWorkers:
    """Jobs whose results come later, or never when the controller is killed before."""

    def __init__(self, world: FaultyWorld) -> None:
        self._world = world
        self._under_way: dict[str, tuple[float, object]] = {}

    def start(self, key: str, job: Callable[[], object]) -> bool:
        if key in self._under_way:
            return False
        slow = key.startswith("gate") and self._world.strikes("gate_slow")
        took_s = self._world.dice.choice((2.0, 7.0)) if slow else 0.0
        self._under_way[key] = (self._world.witness.elapsed_s + took_s, job())
        return True

    def done(self) -> list[tuple[str, object]]:
        now_s = self._world.witness.elapsed_s
        ended = [(key, result) for key, (due_s, result) in self._under_way.items() if due_s <= now_s]
        for key, _ in ended:
            del self._under_way[key]
        return ended


class OwnedLock:
    """A lock with owners, as the kernel keeps it: it is free when its owner's process ends."""

    def __init__(self) -> None:
        self.owner: object | None = None

    def of(self, owner: object) -> "LockHandle":
        return LockHandle(self, owner)


@dataclass(slots=True)
class LockHandle:
    """The lock as one process has it."""

    lock: OwnedLock
    owner: object

    def acquire(self, *, wait_s: float) -> bool:  # noqa: ARG002 - nobody else runs while we wait
        if self.lock.owner not in {None, self.owner}:
            return False
        self.lock.owner = self.owner
        return True

    def release(self) -> None:
        if self.lock.owner == self.owner:
            self.lock.owner = None

    def is_held_elsewhere(self) -> bool:
        return self.lock.owner not in {None, self.owner}


class Silence:
    """A notifier that tells nobody."""

    def tell(self, *, title: str, text: str, severity: str, key: str, recorded: bool = False) -> None:
        """Keep it to oneself."""
