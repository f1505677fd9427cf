"""What the engine asks of the world, and the faults the world may answer with.

Everything here is a value or a protocol. Adapters translate every failure of theirs into one of the faults
below, once; the core never sees an exception of a library. Adapters keep no opinion: what to do next is
decided in `decide.py` and nowhere else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

TOTAL_WEIGHT = 10_000
"""The constant sum of all weights: a changing sum would throw users back (Envoy takes hash % sum)."""

LEAST_CONTROL = 1_000
"""The control arm's weight while green has less: a tenth of blue, so that blue can be measured against itself."""


class Fault(Exception):
    """The world did not do what was asked: the network, a disk, another program."""


class TrafficFault(Fault):
    """The split of traffic could not be written, or could not be read back."""


class SignalsFault(Fault):
    """The counters could not be read, or not completely."""


class EnvironmentFault(Fault):
    """A version could not be started, asked or stopped."""


class LogFault(Fault):
    """The event log could not be read or written."""


class KeyFault(Fault):
    """The key that signs evidence could not be used."""


class NotTold(Fault):
    """A message did not reach people, as far as anybody can tell.

    `is_final`: sending it again would not help. `again_in_s`: when the receiver asks to be tried again.
    """

    def __init__(self, told: str, *, is_final: bool = False, again_in_s: float | None = None) -> None:
        super().__init__(told)
        self.is_final = is_final
        self.again_in_s = again_in_s


class Conflict(LogFault):
    """Somebody else appended since the log was read: read again and decide again."""


class LeaseLost(LogFault):
    """This controller does not hold the lease any more; another one may have it, and acts in its place."""

    def __init__(self) -> None:
        super().__init__(
            "the lease is lost: another controller may act; this one appends and moves nothing more"
        )


class Verdict(StrEnum):
    """The four answers of every check. Only PASS lets a rollout go on."""

    PASS = "pass"  # noqa: S105 - an answer, no secret
    FAIL = "fail"
    NOT_YET = "not yet"
    CANNOT_TELL = "cannot tell"


class Arm(StrEnum):
    """Where a request was routed. Internal users are counted apart, so that the share means the others."""

    GREEN = "green"
    BLUE = "blue"
    CONTROL = "blue_control"
    INTERNAL = "green_internal"
    MIRROR = "green_mirror"
    """Where copies of reads are sent, whose answers nobody gets."""


class Colour(StrEnum):
    """Blue is the version that serves today, green the one that wants to."""

    BLUE = "blue"
    GREEN = "green"


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """What the data plane is to serve.

    `green_weight` counts of TOTAL_WEIGHT. The control arm gets as much as green while there is room, from the
    other end of the hash line, and never less than LEAST_CONTROL: without green, blue is measured against itself.
    Of `mirror_percent` of blue's reads green is sent a copy, whose answer nobody gets; only while it has no users.
    `identifier` is unique per change (`<rollout>/<number>`), and is what the data plane shows when it has taken the
    split over.
    """

    identifier: str
    salt: str
    green_weight: int
    internal_to_green: bool
    mirror_percent: float = 0.0

    @property
    def control_weight(self) -> int:
        """As large as green, and never more than what green leaves."""
        return min(max(self.green_weight, LEAST_CONTROL), TOTAL_WEIGHT - self.green_weight)


class Traffic(Protocol):
    """Moves users between blue and green."""

    def apply(self, split: Split) -> None:
        """Make the data plane serve this split; returns when it does. Idempotent.

        Raises:
            TrafficFault: it was refused, or not confirmed in time; the split before it may still be served.
        """

    def serving(self) -> str | None:
        """The identifier of the split the data plane serves, or None when it has none of ours.

        Raises:
            TrafficFault: the data plane does not answer.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmCounters:
    """Cumulative counts of one arm since the data plane started; they may reset to zero.

    `latency_buckets` maps an upper edge in ms to how many requests were faster, cumulative and rising.
    """

    requests: int
    errors: int
    latency_buckets: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scrape:
    """One complete reading of the data plane. An arm that is missing was not there."""

    at: datetime
    arms: Mapping[Arm, ArmCounters]
    healthy_hosts: Mapping[Colour, int]


class Signals(Protocol):
    """Reads what users met."""

    def scrape(self) -> Scrape:
        """Read all counters at once.

        Raises:
            SignalsFault: no complete reading was possible. Never a partial one.
        """


class Stage(StrEnum):
    """What a colour is doing."""

    ABSENT = "absent"
    STARTING = "starting"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ColourState:
    """What runs under a colour. `restarts` counts since this version was started there."""

    stage: Stage
    version: str | None = None
    restarts: int = 0
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """What a version is: the digest (`sha256:...`) of what is started under its name, or why nobody can tell it.

    Where it `is_missing` there is nothing to be started under that name.
    """

    digest: str | None = None
    unknown_because: str | None = None
    is_missing: bool = False


class Environment(Protocol):
    """Starts, shows and retires the versions."""

    def identify(self, version: str) -> Artifact:
        """What would be started under this name now. Never raises: what cannot be told is unknown, with its reason."""

    def ensure(self, colour: Colour, version: str) -> None:
        """Have this version running under this colour, replacing another one. Returns at once; idempotent.

        Raises:
            EnvironmentFault: it cannot even be begun (a missing program, a busy port).
        """

    def state(self, colour: Colour) -> ColourState:
        """What runs there now.

        Raises:
            EnvironmentFault: it cannot be told.
        """

    def retire(self, colour: Colour) -> str:
        """Stop what runs there, letting requests under way finish. Idempotent.

        Answers what must not go unsaid: that the bound on waiting was reached, and what was under way then; or "".

        Raises:
            EnvironmentFault: it would not stop.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class GateAnswer:
    """What a gate found. `evidence` is small, JSON, and kept for ever in the event log."""

    verdict: Verdict
    reason: str
    evidence: Mapping[str, object] = field(default_factory=dict)


def cannot_tell(reason: str) -> GateAnswer:
    """The answer of a gate that has found nothing out."""
    return GateAnswer(verdict=Verdict.CANNOT_TELL, reason=reason)


class Gate(Protocol):
    """A check that must pass before a phase may end, such as a smoke test or a scan."""

    def run(self, settings: Mapping[str, object], *, timeout_s: float) -> GateAnswer:
        """Run once, to the end or the time-out. Never raises: what went wrong is CANNOT_TELL with a reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """One event of a rollout as the log keeps it. `data` is JSON; `position` counts from 1 without gaps."""

    rollout: str
    position: int
    type: str
    at: datetime
    actor: str
    data: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvent:
    """An event not yet in the log."""

    type: str
    at: datetime
    actor: str
    data: Mapping[str, object]


class EventLog(Protocol):
    """Append-only memory of every rollout."""

    def append(self, rollout: str, *, after: int, events: Sequence[NewEvent]) -> list[Recorded]:
        """Add events behind position `after` (0 for a new rollout), all or none, durable on return.

        Raises:
            Conflict: the log is already longer than `after`.
            LogFault: it could not be written (a full disk, a damaged file, a newer format).
        """

    def read(self, rollout: str, *, after: int = 0) -> list[Recorded]:
        """The events behind `after`, in order.

        Raises:
            LogFault: it could not be read.
        """

    def rollouts(self) -> list[str]:
        """All names, in the order they were started.

        Raises:
            LogFault: it could not be read.
        """


class Lease(Protocol):
    """The right to be the one controller of several; it ends by itself when its holder does not renew it."""

    def renew(self) -> None:
        """Keep it for another while.

        Raises:
            LeaseLost: it has ended, or somebody else has it.
            LogFault: that cannot be told; it is held for as long as it was.
        """

    def demand(self) -> None:
        """Raise LeaseLost if it is not surely held at this moment. Asks nobody."""


class Signer(Protocol):
    """Signs evidence with the key of this installation."""

    @property
    def key(self) -> str:
        """What the key goes by: its public half, so that anybody can check what it signed.

        Raises:
            KeyFault: it cannot be read.
        """

    def sign(self, message: bytes) -> bytes:
        """The signature.

        Raises:
            KeyFault: the key cannot be read.
        """


class Clock(Protocol):
    """The time, so that it can be a virtual one."""

    def now(self) -> datetime:
        """The present instant, in UTC."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class Notifier(Protocol):
    """Tells people. Never blocks the loop, never raises."""

    def tell(self, *, title: str, text: str, severity: str, key: str, recorded: bool = False) -> None:
        """Send a message; `key` is the same for messages about the same thing.

        What is `recorded` stands in the event log as well, for whoever tells the news from there.
        """
