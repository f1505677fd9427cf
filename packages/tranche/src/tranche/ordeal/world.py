"""A world that fails on purpose: every port in memory, each call of which the dice may turn into a fault.

All chance comes from one generator, in the order of the calls, so a seed is the whole of a trial. Which troubles a
trial knows, and how often they come, is diced first ("swarm testing", A. Groce et al., ISSTA 2012): a trial with all
of them at once would rarely get anywhere.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from datetime import datetime
from random import Random
from typing import Final, TypeVar

from tranche.adapters.memory import MemoryEnvironment, MemoryLog, MemorySignals, MemoryTraffic, VirtualClock
from tranche.ports import TOTAL_WEIGHT, Arm, Colour, ColourState, Stage

RATE: Final = 600.0
"""Requests a second of all users who are not internal."""
INTERNAL_RATE: Final = 20.0
SLOWEST_S: Final = 1.2
"""What a slow call takes at most."""
LEASE_S: Final = 1.5
STALLED_S: Final = 1.6
FIRST: Final = "1.1.0"
GREEN_ARMS: Final = (Arm.GREEN, Arm.INTERNAL)

Result = TypeVar("Result")


class Killed(BaseException):
    """The controller's process is gone. Nothing may catch this but the trial."""


def often(probability: float, about: str) -> float:
    """How probable a trouble is, and what it is, for whoever reads what was injected."""
    return field(default=probability, metadata={"about": about})


@dataclass(slots=True, kw_only=True)
class Troubles:
    """How probable each trouble is, a call or a step; 0 when this trial does not know it."""

    killed_before: float = often(0.02, "the controller is killed before a record or an act")
    killed_after: float = often(0.02, "the controller is killed after a record or an act")
    log_unwritable: float = often(0.03, "the log cannot be written")
    log_unconfirmed: float = often(0.03, "the log is written, and nobody is told")
    log_unreadable: float = often(0.02, "the log cannot be read")
    scrape_lost: float = often(0.15, "the counters cannot be read once")
    signals_down: float = often(0.05, "the counters cannot be read for seconds")
    counters_reset: float = often(0.02, "the counters begin anew")
    traffic_rejected: float = often(0.15, "the data plane rejects an update")
    traffic_unconfirmed: float = often(0.15, "the data plane takes an update and does not say so")
    traffic_silent: float = often(0.03, "the data plane does not say what it serves")
    traffic_tampered: float = often(0.03, "somebody else changes what is served")
    slow_call: float = often(0.1, "a call is slow")
    environment_fault: float = often(0.1, "a version cannot be started, asked or stopped")
    gate_slow: float = often(0.3, "a gate is slow")
    gate_fails: float = often(0.2, "a gate does not pass")
    desk: float = often(0.03, "somebody asks for something, also in the middle of a tick")
    answer_lost: float = often(0.2, "what somebody asked is done, and they are not told")
    clock_jumps: float = often(0.1, "the machine's clock is set")
    show_fails: float = often(0.03, "what was seen cannot be written down")
    memory_lost: float = often(0.3, "what was seen before is lost")
    stalled: float = often(0.03, "the controller is frozen, and a standby takes over")

    @classmethod
    def diced(cls, dice: Random) -> "Troubles":
        """Few of them, some or most, each as often as it says or five times as often."""
        share, known = dice.choice((0.15, 0.3, 0.6)), cls()
        times = {
            each.name: dice.choice((1.0, 1.0, 5.0)) if dice.random() < share else 0.0 for each in fields(cls)
        }
        return cls(**{name: min(0.5, getattr(known, name) * often) for name, often in times.items()})


ABOUT: Final = {each.name: str(each.metadata["about"]) for each in fields(Troubles)}
"""What each trouble is, by its name."""


@dataclass(slots=True, kw_only=True)
class Version:
    """How one version really is: `bad_from_s` after it was brought in it fails so often, or is so slow."""

    kind: str = "good"
    bad_from_s: float = 0.0
    errors: float = 0.0
    latency_ms: float = 40.0
    restarts: int = 0
    blue_too: bool = False
    starts_in_s: float = 2.0
    brought_at_s: float = 0.0

    @classmethod
    def diced(cls, dice: Random, *, at_s: float = 0.0) -> "Version":
        kind = dice.choice(
            (*("good",) * 22, *("errors",) * 4, "slow", "slow", "restarts", "dead", "never", "both", "both")
        )
        found = cls(kind=kind, starts_in_s=dice.choice((0.0, 2.0, 5.0)), brought_at_s=at_s)
        found.bad_from_s = dice.choice((0.0, 6.0, 10.0, 14.0, 20.0, 26.0))
        match kind:
            case "errors" | "both":
                found.errors, found.blue_too = 0.3, kind == "both"
            case "slow":
                found.latency_ms = 800.0
            case "restarts":
                found.restarts = 5
            case "never":
                found.starts_in_s = 1e9
        return found

    @property
    def bad_at_s(self) -> float:
        """From when on users suffer."""
        return 1e12 if self.kind in {"good", "never"} else self.brought_at_s + self.bad_from_s


@dataclass(slots=True, kw_only=True)
class Witness:
    """What really happened, by time that never jumps; the laws are judged by it and not by what was believed.

    `looked_at_s` is when counters were last asked for, in vain or not: what is decided is decided right after.
    `answered` holds requests and failed ones by version, split and arm.
    """

    elapsed_s: float = 0.0
    looked_at_s: float = -1e9
    scraped_at_s: float | None = None
    seen_green: tuple[float, ColourState] | None = None
    answered: dict[tuple[str, str, Arm], list[int]] = field(default_factory=dict)
    troubles: Counter[str] = field(default_factory=Counter)
    troubled: int = 0
    trace: list[str] = field(default_factory=list)

    def tell(self, what: str) -> None:
        self.trace.append(f"{self.elapsed_s:8.3f}  {what}")

    def of(self, version: str, split: str, arm: Arm) -> tuple[int, int]:
        """How many requests this version has answered on this split, and failed."""
        requests, errors = self.answered.get((version, split, arm), (0, 0))
        return requests, errors


class FaultyWorld:
    """The ports of one trial. `healed` ends every trouble; `interrupt` is somebody who comes in between."""

    def __init__(self, seed: int) -> None:
        self.dice = Random(seed)  # noqa: S311 - dice, not secrets
        self.troubles = Troubles.diced(self.dice)
        self.versions = {FIRST: Version.diced(self.dice)}
        self.witness = Witness()
        self.log = MemoryLog()
        self.traffic = MemoryTraffic()
        self.environment = MemoryEnvironment()
        self.started_at_s = 0.0
        self.skew_s = 0.0
        self.healed = False
        self.is_quiet = True
        self.interrupt: Callable[[], None] = lambda: None
        self.take_over: Callable[[], None] = lambda: None
        self._rests: dict[str, float] = {}

    def begin(self, at: datetime) -> None:
        """The clock on the wall shows this."""
        self.clock = VirtualClock(at)
        self.signals = MemorySignals(self.clock, edges=(100, 300, 500, 10_000))

    # Chance.

    def strikes(self, trouble: str) -> bool:
        """Whether it comes now. One throw per question, whatever the answer would lead to."""
        thrown = self.dice.random()
        if self.healed or self.is_quiet or thrown >= getattr(self.troubles, trouble):
            return False
        self.witness.troubled += 1
        self.witness.troubles[trouble] += 1
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
        version = self.version_of(self.running)
        is_green = arm in GREEN_ARMS
        hit = self.witness.elapsed_s >= version.bad_at_s and (is_green or version.blue_too)
        errors = min(requests, self._whole(f"{arm} errors", requests * version.errors)) if hit else 0
        self.signals.serve(arm, requests, errors=errors, latency_ms=version.latency_ms if hit else 40.0)
        if is_green and self.traffic.split is not None:
            key = (self.running, self.traffic.split.identifier, arm)
            counted = self.witness.answered.setdefault(key, [0, 0])
            counted[0] += requests
            counted[1] += errors

    def _whole(self, key: str, wanted: float) -> int:
        total = self._rests.get(key, 0.0) + wanted
        whole = int(total + 1e-9)
        self._rests[key] = total - whole
        return whole

    # Versions.

    def bring(self, name: str) -> None:
        """Somebody has built another version; what it is really like is diced when it is first heard of."""
        if name not in self.versions:
            self.versions[name] = Version.diced(self.dice, at_s=self.witness.elapsed_s)

    @property
    def running(self) -> str:
        """The version that runs as green; "" when none does."""
        return self.environment.versions.get(Colour.GREEN, "")

    def version_of(self, name: str) -> Version:
        return self.versions.get(name) or Version()

    def bad_for_s(self, name: str) -> float:
        """For how long this version has been bad; negative until it is."""
        return self.witness.elapsed_s - self.version_of(name).bad_at_s

    def start(self, colour: Colour, version: str) -> None:
        """Have it run. It is ready in its own time."""
        if colour is Colour.GREEN and version != self.running:
            self.started_at_s = self.witness.elapsed_s
        self.environment.ensure(colour, version)

    def green_state(self) -> ColourState:
        """What really runs as green."""
        state, version = self.environment.state(Colour.GREEN), self.version_of(self.running)
        if state.stage is Stage.ABSENT:
            return state
        if self.witness.elapsed_s < self.started_at_s + version.starts_in_s:
            return ColourState(stage=Stage.STARTING, version=state.version)
        restarts = version.restarts if self.witness.elapsed_s >= version.bad_at_s else 0
        return ColourState(stage=Stage.READY, version=state.version, restarts=restarts)

    @property
    def healthy_green(self) -> int:
        is_dead = self.version_of(self.running).kind == "dead" and self.bad_for_s(self.running) >= 0
        return int(self.green_state().stage is Stage.READY and not is_dead)
