"""Every port as one process has it: each call may be turned into a fault by the dice, and is witnessed.

What was appended, served or stopped is shown to the court right before or after it happens, and before anybody can be
killed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tranche.ordeal.world import FaultyWorld
from tranche.ports import (
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
    Traffic,
    TrafficFault,
    Verdict,
)


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
            if world.strikes("log_unconfirmed"):
                raise LogFault("the connection was lost")
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
            if world.witness.elapsed_s < self._down_until_s:
                world.witness.troubled += 1  # still the same trouble, and this tick has it
                raise SignalsFault("connection refused")
            if world.strikes("scrape_lost"):
                raise SignalsFault("connection refused")
            if world.strikes("counters_reset"):
                world.signals.restart()
            world.signals.healthy_hosts = {Colour.BLUE: 1, Colour.GREEN: world.healthy_green}
            world.witness.scraped_at_s = world.witness.elapsed_s
            return replace(world.signals.scrape(), at=self._clock.now())

        return world.call("scrape", act)


class FaultyEnvironment:
    """Versions that start in their own time. `on_stop` sees a colour before it stops, or another takes its place."""

    def __init__(self, world: FaultyWorld, on_stop: Callable[[Colour], None]) -> None:
        self._world, self._on_stop = world, on_stop

    def ensure(self, colour: Colour, version: str) -> None:
        def act() -> None:
            self._fail()
            if self._world.environment.versions.get(colour, version) != version:
                self._on_stop(colour)
            self._world.start(colour, version)
            self._world.witness.tell(f"{colour} starts {version}")

        self._world.call("ensure", act, deadly=True, acts=True)

    def state(self, colour: Colour) -> ColourState:
        self._fail()
        state = self._world.green_state() if colour is Colour.GREEN else self._world.environment.state(colour)
        self._world.witness.seen_green = (self._world.witness.elapsed_s, state)
        return state

    def retire(self, colour: Colour) -> None:
        def act() -> None:
            self._fail()
            self._on_stop(colour)
            self._world.environment.retire(colour)
            self._world.witness.tell(f"{colour} stopped")

        self._world.call(f"retire {colour}", act, deadly=True, acts=True)

    def _fail(self) -> None:
        if self._world.strikes("environment_fault"):
            raise EnvironmentFault("busy")


class FaultyGate:
    """A gate that may fail, each answer by the dice; it says which version it has seen."""

    def __init__(self, world: FaultyWorld) -> None:
        self._world = world

    def run(self, settings: Mapping[str, object], *, timeout_s: float) -> GateAnswer:  # noqa: ARG002 - the port
        verdict = Verdict.PASS
        if self._world.strikes("gate_fails"):
            verdict = self._world.dice.choice((Verdict.FAIL, Verdict.NOT_YET, Verdict.CANNOT_TELL))
        return GateAnswer(verdict=verdict, reason="as diced", evidence={"version": self._world.running})


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
