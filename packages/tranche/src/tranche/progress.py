"""What happened in a rollout, folded from its events.

The log is the only truth, and weights change in no other way than by its events. `evolve` is total over
valid logs; an event that cannot follow is a fault of the log, not of the rollout.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, assert_never

from tranche.canonical import chained, digest
from tranche.events import (
    AdvanceRequested,
    ApprovalGiven,
    ApprovalRevoked,
    Attested,
    Completed,
    Countersigned,
    Event,
    GateAnswered,
    GreenReady,
    Held,
    HotfixDeclared,
    Json,
    Measured,
    MirrorRequested,
    Paused,
    PhaseEntered,
    Resumed,
    Retargeted,
    Retired,
    RollbackDecided,
    RolledBack,
    Started,
    SteppedBack,
    Stopped,
    TakenOver,
    VersionIdentified,
    WeightApplied,
    WeightRequested,
    WeightRestored,
    decode,
)
from tranche.ports import TOTAL_WEIGHT, Artifact, LogFault, Recorded, Split, Verdict

UNTOLD: Final = Artifact(unknown_because="the environment does not tell the digest of a version")
"""As of logs that were begun by a release that did not ask."""


class State(StrEnum):
    """Where a rollout stands, in one word."""

    STAGING = "staging"
    BAKING = "baking"
    PAUSED = "paused"
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"
    COMPLETED = "completed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The last answer of a gate in this stay."""

    verdict: Verdict
    reason: str
    at: datetime
    evidence: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A person's yes to the evidence of this digest; what it counts for is said in `approval.py`."""

    gate: str
    by: str
    digest: str
    given_at: datetime
    expires_at: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """One stretch at one weight of one version. A phase that is widened or entered again is stayed in twice.

    `entered_at` is when the data plane took the weight over; None until it did.
    """

    phase: int
    name: str
    weight_percent: float
    internal_only: bool
    identifier: str
    requested_at: datetime
    version: str = ""
    entered_at: datetime | None = None
    left_at: datetime | None = None
    gates: Mapping[str, Answered] = field(default_factory=dict)
    approvals: tuple[Approval, ...] = ()
    dwell_waived_by: str | None = None
    measured: Measured | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollback:
    """Why and when all users were taken back; `applied_at` is when the data plane had done it."""

    cause: str
    reason: str
    actor: str
    decided_at: datetime
    applied_at: datetime | None
    first_bad_at: datetime | None
    numbers: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightChange:
    """A split the data plane was seen to take over."""

    at: datetime
    green_weight: int
    internal_to_green: bool
    identifier: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Everything the log says about a rollout. `position` is the last event folded in.

    `log_digest` stands for all events so far; `last_entry` is the digest of the last of `entries` in the hash chain,
    `unsigned` are the number and digest of those that nobody has signed. `artifact` says what the version is.
    `returns_to` is the phase that follows staging: a later one than the first when the version was replaced there.
    `brought_by` are the people who brought a version in, and who therefore approve none.
    """

    rollout: str
    position: int
    plan_text: str
    plan_file: str
    plan_digest: str
    version: str
    salt: str
    started_at: datetime
    started_by: str
    last_at: datetime
    stays: tuple[Stay, ...]
    changes: tuple[WeightChange, ...] = ()
    requested: Split
    applied: str | None = None
    green_ready_at: datetime | None = None
    held: Held | None = None
    held_at: datetime | None = None
    paused_by: str | None = None
    resumed_at: datetime | None = None
    hotfix_by: str | None = None
    rollback: Rollback | None = None
    rolled_back_at: datetime | None = None
    completed_at: datetime | None = None
    step_backs: int = 0
    retargets: int = 0
    returns_to: int = 1
    brought_by: frozenset[str] = frozenset()
    retired: frozenset[str] = frozenset()
    stopped: frozenset[str] = frozenset()
    requests: int = 1
    log_digest: str = ""
    entries: int = 0
    last_entry: str | None = None
    unsigned: tuple[tuple[int, str], ...] = ()
    artifact: Artifact = UNTOLD

    @property
    def stay(self) -> Stay:
        """The present stay."""
        return self.stays[-1]

    @property
    def state(self) -> State:
        if self.rolled_back_at is not None:
            return State.ROLLED_BACK
        if self.rollback is not None:
            return State.ROLLING_BACK
        if self.completed_at is not None:
            return State.COMPLETED
        if self.paused_by is not None:
            return State.PAUSED
        return State.STAGING if self.stay.phase == 0 else State.BAKING

    @property
    def is_finished(self) -> bool:
        return self.state in {State.ROLLED_BACK, State.COMPLETED}

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to be done: it is finished, and what was retired has stopped."""
        return self.is_finished and self.retired <= self.stopped

    @property
    def has_users(self) -> bool:
        """Whether green may have users, by what the log asked of the data plane."""
        return self.requested.green_weight > 0 or self.requested.internal_to_green

    @property
    def visit(self) -> int:
        """Tells apart the times a phase is gone through: what was found in one says nothing of another."""
        return self.step_backs + self.retargets

    @property
    def is_confirmed(self) -> bool:
        """Whether the data plane was seen to serve what the log asks of it."""
        return self.applied == self.requested.identifier

    @property
    def next_identifier(self) -> str:
        return f"{self.rollout}/{self.requests}"


def percent_of(green_weight: int) -> float:
    return 100 * green_weight / TOTAL_WEIGHT


def evolve(progress: Progress | None, recorded: Recorded) -> Progress:
    """The state after one more event.

    Raises:
        LogFault: the event cannot follow; the log is damaged or from a newer release.
    """
    event = decode(recorded)
    at = recorded.at
    if progress is None:
        if not isinstance(event, Started) or recorded.position != 1:
            raise LogFault(f"rollout '{recorded.rollout}' begins with '{recorded.type}'; the log was cut")
        return _begin(event, recorded)
    if recorded.position != progress.position + 1:
        raise LogFault(
            f"entry {progress.position + 1} of rollout '{recorded.rollout}' is missing; the log was cut"
        )
    return replace(
        _fold(progress, event, at, recorded.actor),
        position=recorded.position,
        last_at=at,
        log_digest=chained(progress.log_digest, recorded),
    )


def fold(events: Iterable[Recorded], progress: Progress | None = None) -> Progress | None:
    """As `evolve`, over many."""
    for recorded in events:
        progress = evolve(progress, recorded)
    return progress


def whole(events: Iterable[Recorded]) -> Progress:
    """As `fold`, of a log from its beginning.

    Raises:
        LogFault: it is empty, or as `evolve`.
    """
    progress = fold(events)
    if progress is None:
        raise LogFault("the log is empty: it must begin with the event that started the rollout")
    return progress


def _begin(event: Started, recorded: Recorded) -> Progress:
    identifier = f"{recorded.rollout}/0"
    staging = Stay(
        phase=0,
        name="staging",
        weight_percent=0.0,
        internal_only=False,
        identifier=identifier,
        version=event.version,
        requested_at=recorded.at,
    )
    return Progress(
        rollout=recorded.rollout,
        position=recorded.position,
        plan_text=event.plan,
        plan_file=event.plan_file,
        plan_digest=event.plan_digest,
        version=event.version,
        salt=event.salt,
        started_at=recorded.at,
        started_by=recorded.actor,
        brought_by=frozenset({recorded.actor}),
        last_at=recorded.at,
        stays=(staging,),
        requested=Split(identifier=identifier, salt=event.salt, green_weight=0, internal_to_green=False),
        log_digest=chained("", recorded),
    )


def _fold(progress: Progress, event: Event, at: datetime, actor: str) -> Progress:
    match event:
        case Started():
            raise LogFault(f"rollout '{progress.rollout}' starts twice; the log is damaged")
        case TakenOver() | WeightRestored():
            return progress
        case VersionIdentified():
            told = Artifact(digest=event.digest, unknown_because=event.unknown_because)
            return replace(progress, artifact=told) if event.version == progress.version else progress
        case GreenReady():
            return replace(progress, green_ready_at=at)
        case PhaseEntered():
            return _enter(progress, event, at, internal_only=event.internal_only)
        case SteppedBack():
            entered = _enter(progress, event, at, internal_only=False)
            return replace(entered, step_backs=progress.step_backs + 1)
        case Measured():
            return _with_stay(progress, measured=event)
        case WeightRequested():
            return _request(progress, event)
        case MirrorRequested():
            return _mirror(progress, event)
        case WeightApplied():
            return _apply(progress, event, at)
        case GateAnswered():
            return _answer(progress, event, at)
        case Held():
            return replace(progress, held=event, held_at=at)
        case Paused():
            return replace(progress, paused_by=actor)
        case Resumed():
            return replace(progress, paused_by=None, resumed_at=at)
        case AdvanceRequested():
            waives = event.phase == progress.stay.phase
            return _with_stay(progress, dwell_waived_by=actor) if waives else progress
        case ApprovalGiven():
            return _approve(progress, event, at, actor)
        case ApprovalRevoked():
            kept = tuple(yes for yes in progress.stay.approvals if yes.gate != event.gate)
            is_here = event.stay == progress.stay.identifier
            return _with_stay(progress, approvals=kept) if is_here else progress
        case HotfixDeclared():
            return replace(progress, hotfix_by=actor)
        case Retargeted():
            return _retarget(progress, event, at, actor)
        case RollbackDecided():
            return _roll_back(progress, event, at, actor)
        case RolledBack():
            return replace(progress, rolled_back_at=at)
        case Completed():
            return replace(_with_stay(progress, left_at=at), completed_at=at, held=None)
        case Retired():
            return replace(progress, retired=progress.retired | {event.colour})
        case Stopped():
            return replace(progress, stopped=progress.stopped | {event.colour})
        case Attested() | Countersigned():
            return _chain(progress, event)
        case _:
            assert_never(event)


def _chain(progress: Progress, event: Attested | Countersigned) -> Progress:
    number, entry = progress.entries + 1, digest(str(event.envelope["payload"]))
    unsigned = progress.unsigned if isinstance(event, Attested) else ()
    if isinstance(event, Attested) and event.unsigned is not None:
        unsigned = (*unsigned, (number, entry))
    return replace(progress, entries=number, last_entry=entry, unsigned=unsigned)


def _with_stay(progress: Progress, **changes: Any) -> Progress:
    return replace(progress, stays=(*progress.stays[:-1], replace(progress.stay, **changes)))


def _enter(
    progress: Progress, event: PhaseEntered | SteppedBack, at: datetime, *, internal_only: bool
) -> Progress:
    left = _with_stay(progress, left_at=at)
    widened = progress.stay.phase == event.phase and progress.stay.internal_only
    stay = Stay(
        phase=event.phase,
        name=event.name,
        weight_percent=event.weight_percent,
        internal_only=internal_only,
        identifier=progress.next_identifier,
        version=progress.version,
        requested_at=at,
        gates=progress.stay.gates if widened else {},
    )
    return replace(left, stays=(*left.stays, stay), held=None, held_at=None)


def _retarget(progress: Progress, event: Retargeted, at: datetime, actor: str) -> Progress:
    """The new version begins where every version does, without users and unproven."""
    staging = Stay(
        phase=0,
        name="staging",
        weight_percent=0.0,
        internal_only=False,
        identifier=progress.next_identifier,
        version=event.version,
        requested_at=at,
    )
    left = _with_stay(progress, left_at=at)
    return replace(
        left,
        version=event.version,
        artifact=UNTOLD,
        stays=(*left.stays, staging),
        returns_to=event.phase,
        retargets=progress.retargets + 1,
        brought_by=progress.brought_by | {actor},
        green_ready_at=None,
        held=None,
        held_at=None,
    )


def _request(progress: Progress, event: WeightRequested) -> Progress:
    split = Split(
        identifier=event.identifier,
        salt=progress.salt,
        green_weight=event.green_weight,
        internal_to_green=event.internal_to_green,
    )
    return replace(progress, requested=split, requests=progress.requests + 1)


def _mirror(progress: Progress, event: MirrorRequested) -> Progress:
    split = Split(
        identifier=event.identifier,
        salt=progress.salt,
        green_weight=0,
        internal_to_green=False,
        mirror_percent=event.percent,
    )
    return replace(progress, requested=split, requests=progress.requests + 1)


def _apply(progress: Progress, event: WeightApplied, at: datetime) -> Progress:
    if event.identifier != progress.requested.identifier:
        return progress
    change = WeightChange(
        at=at,
        green_weight=progress.requested.green_weight,
        internal_to_green=progress.requested.internal_to_green,
        identifier=event.identifier,
    )
    progress = replace(progress, changes=(*progress.changes, change), applied=event.identifier)
    if progress.rollback is not None and not progress.has_users:
        return replace(progress, rollback=replace(progress.rollback, applied_at=at))
    if progress.stay.identifier == event.identifier:
        return _with_stay(progress, entered_at=at)
    return progress


def _answer(progress: Progress, event: GateAnswered, at: datetime) -> Progress:
    if event.phase != progress.stay.phase:
        return progress
    answered = Answered(verdict=Verdict(event.verdict), reason=event.reason, at=at, evidence=event.evidence)
    return _with_stay(progress, gates={**progress.stay.gates, event.gate: answered})


def _approve(progress: Progress, event: ApprovalGiven, at: datetime, actor: str) -> Progress:
    if event.stay != progress.stay.identifier:
        return progress
    yes = Approval(
        gate=event.gate,
        by=actor,
        digest=event.digest,
        given_at=at,
        expires_at=datetime.fromisoformat(event.expires_at),
        reason=event.reason,
    )
    return _with_stay(progress, approvals=(*progress.stay.approvals, yes))


def _roll_back(progress: Progress, event: RollbackDecided, at: datetime, actor: str) -> Progress:
    if progress.rollback is not None:
        return progress
    rollback = Rollback(
        cause=event.cause,
        reason=event.reason,
        actor=actor,
        decided_at=at,
        applied_at=None,
        first_bad_at=datetime.fromisoformat(event.first_bad_at) if event.first_bad_at else None,
        numbers=event.numbers,
    )
    return replace(_with_stay(progress, left_at=at), rollback=rollback, held=None, held_at=None)
