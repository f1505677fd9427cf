"""The events of a rollout, as the log keeps them.

The stored names carry a version; an event that changes its shape becomes a new one, and the old one stays
readable. Numbers of phases count from 0 (staging). Times are UTC and stand beside the events, not in them.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any, Final

from tranche.ports import LogFault, NewEvent, Recorded

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A rollout was asked for. The plan's text is kept, so that nothing outside is needed to go on."""

    plan: str
    plan_file: str
    plan_digest: str
    version: str
    salt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionIdentified:
    """What the version is that somebody brought in: the digest of its artifact, or why nobody can tell it."""

    version: str
    digest: str | None
    unknown_because: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenOver:
    """A controller began to work on the rollout."""

    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GreenReady:
    """The new version runs and answers."""

    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseEntered:
    """The rollout went forward. `internal_only`: nobody but internal users until the phase is widened."""

    phase: int
    name: str
    weight_percent: float
    internal_only: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What was seen in the stay that ends here: `arms` by name, and what every check said."""

    phase: int
    arms: Json
    checks: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightRequested:
    """What the data plane is to serve from now on."""

    identifier: str
    green_weight: int
    internal_to_green: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorRequested:
    """From now on green, which has no users, is sent a copy of this share of blue's reads."""

    identifier: str
    percent: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightApplied:
    """The data plane was seen to serve it. `took_ms` is None when it served it already."""

    identifier: str
    took_ms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightRestored:
    """The data plane served something else than the log says, and was put right."""

    identifier: str
    served: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GateAnswered:
    """A gate ran to its end."""

    phase: int
    gate: str
    verdict: str
    reason: str
    evidence: Json
    took_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The rollout stays where it is; recorded when the reason's `key` changes, not when its numbers do."""

    key: str
    verdict: str
    reason: str
    page: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Paused:
    """A person stopped the way forward; limits go on."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """A person opened the way forward again."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AdvanceRequested:
    """A person ended the dwell of this phase early. Gates and requirements stand."""

    phase: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalGiven:
    """A person said yes to the evidence of this digest, in this stay. `checks` is what else they could see."""

    phase: int
    gate: str
    stay: str
    digest: str
    evidence: Json
    checks: Json
    expires_at: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRevoked:
    """A person took back every yes to this gate in this stay."""

    phase: int
    gate: str
    stay: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HotfixDeclared:
    """A person lets this rollout go forward in times that the plan freezes."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Retargeted:
    """A person replaced the version that is rolled out. It goes through staging, then on with this phase, anew."""

    version: str
    phase: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SteppedBack:
    """Green got too much: the phase before is entered anew."""

    phase: int
    name: str
    weight_percent: float
    cause: str
    reason: str
    numbers: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackDecided:
    """All users go back to blue. `first_bad_at` is an ISO time, or None when a person decided."""

    cause: str
    reason: str
    first_bad_at: str | None
    numbers: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class RolledBack:
    """Blue serves everybody again, and green was told to stop."""

    green: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """Green serves everybody, and every gate and requirement of every phase was met."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Retired:
    """A colour was stopped for good; from here there is no going back to blue."""

    colour: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """A colour runs no more; `left` is what was still under way when the wait for it was over, or "".

    Of blue, what was retired has come to its end with this; of green only recorded where something was left.
    """

    colour: str
    version: str | None
    left: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attested:
    """An entry of the hash chain: it vouches for the events appended with it. `unsigned` is why it is not signed."""

    entry: int
    envelope: Json
    unsigned: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Countersigned:
    """An entry that is signed, and vouches for every entry before it that nobody had signed yet."""

    entry: int
    envelope: Json


Event = (
    Started
    | VersionIdentified
    | TakenOver
    | GreenReady
    | PhaseEntered
    | Measured
    | WeightRequested
    | MirrorRequested
    | WeightApplied
    | WeightRestored
    | GateAnswered
    | Held
    | Paused
    | Resumed
    | AdvanceRequested
    | ApprovalGiven
    | ApprovalRevoked
    | HotfixDeclared
    | Retargeted
    | SteppedBack
    | RollbackDecided
    | RolledBack
    | Completed
    | Retired
    | Stopped
    | Attested
    | Countersigned
)

TYPES: Final[Mapping[str, type[Event]]] = {
    "started/1": Started,
    "version-identified/1": VersionIdentified,
    "taken-over/1": TakenOver,
    "green-ready/1": GreenReady,
    "phase-entered/1": PhaseEntered,
    "measured/1": Measured,
    "weight-requested/1": WeightRequested,
    "mirror-requested/1": MirrorRequested,
    "weight-applied/1": WeightApplied,
    "weight-restored/1": WeightRestored,
    "gate-answered/1": GateAnswered,
    "held/1": Held,
    "paused/1": Paused,
    "resumed/1": Resumed,
    "advance-requested/1": AdvanceRequested,
    "approval-given/1": ApprovalGiven,
    "approval-revoked/1": ApprovalRevoked,
    "hotfix-declared/1": HotfixDeclared,
    "retargeted/1": Retargeted,
    "stepped-back/1": SteppedBack,
    "rollback-decided/1": RollbackDecided,
    "rolled-back/1": RolledBack,
    "completed/1": Completed,
    "retired/1": Retired,
    "stopped/1": Stopped,
    "attested/1": Attested,
    "countersigned/1": Countersigned,
}
NAMES: Final = {kind: name for name, kind in TYPES.items()}


def encode(event: Event, *, at: datetime, actor: str) -> NewEvent:
    return NewEvent(type=NAMES[type(event)], at=at, actor=actor, data=asdict(event))


def decode(recorded: Recorded) -> Event:
    """The event behind an entry of the log.

    Raises:
        LogFault: this release does not know it (a newer one wrote it), or it is damaged.
    """
    kind = TYPES.get(recorded.type)
    where = f"entry {recorded.position} of rollout '{recorded.rollout}'"
    if kind is None:
        raise LogFault(
            f"{where} is of the unknown type '{recorded.type}'; a newer tranche wrote it - update this one"
        )
    expected = {known.name for known in fields(kind)}
    if set(recorded.data) != expected:
        raise LogFault(
            f"{where} should hold {sorted(expected)} and holds {sorted(recorded.data)}; it is damaged"
        )
    data: dict[str, Any] = dict(recorded.data)
    return kind(**data)
