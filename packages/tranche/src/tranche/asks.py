"""What people ask, as the log takes it: the events, and the entry that vouches for them, in one append. Pure.

1. Nothing that a person asks stands in the log without an entry that says who asked, and by what that is known.
2. The entry of a rollback is signed for when users are back: reading a key takes longer than taking them back may.
3. A log begins with two events that no entry can precede; the one behind them vouches for them by the log's digest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tranche.attestation import ASKED, NO_KEY, USERS_FIRST, Ask, Basis, MadeBy, attested
from tranche.decision import RollBack
from tranche.events import (
    Event,
    HotfixDeclared,
    RollbackDecided,
    Started,
    VersionIdentified,
    encode,
)
from tranche.person import Person
from tranche.ports import Artifact, NewEvent, Recorded, Signer
from tranche.progress import Progress, whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Who asks: `actor` is who is recorded, `person` how they are known if that was told, `signer` what they have."""

    actor: str
    person: Person | None
    signer: Signer | None
    at: datetime


def identified(version: str, found: Artifact) -> VersionIdentified:
    return VersionIdentified(version=version, digest=found.digest, unknown_because=found.unknown_because)


def begun(
    rollout: str, started: Started, found: Artifact, by: Asker, *, hotfix: str | None = None
) -> list[NewEvent]:
    """The beginning of a log."""
    first: list[Event] = [started, identified(started.version, found)]
    more: list[Event] = [HotfixDeclared(reason=hotfix)] if hotfix is not None else []
    begins = [encode(event, at=by.at, actor=by.actor) for event in first]
    progress = whole(
        Recorded(rollout=rollout, position=position, type=each.type, at=by.at, actor=by.actor, data=each.data)
        for position, each in enumerate(begins, start=1)
    )
    asked = (*enumerate(first, start=1), *enumerate(more, start=progress.position + 2))
    behind = [encode(event, at=by.at, actor=by.actor) for event in more]
    basis = Ask(asked=asked, person=by.person, at=by.at)
    entry = attested(basis, behind, progress=progress, actor=by.actor, signer=by.signer, at=by.at)
    return [*begins, *entry]


def written(asked: Sequence[Event], progress: Progress, by: Asker) -> list[NewEvent]:
    """What is asked of a rollout that stands so; facts that nobody asks for have no entry."""
    events = [encode(event, at=by.at, actor=by.actor) for event in asked]
    for decided in asked:
        if isinstance(decided, RollbackDecided):
            return _rollback(decided, events, progress, by)
    positions = enumerate(asked, start=progress.position + 2)
    asks = tuple((position, event) for position, event in positions if isinstance(event, ASKED))
    if not asks:
        return events
    basis = Ask(asked=asks, person=by.person, at=by.at)
    return attested(basis, events, progress=progress, actor=by.actor, signer=by.signer, at=by.at)


def _rollback(
    decided: RollbackDecided, events: Sequence[NewEvent], progress: Progress, by: Asker
) -> list[NewEvent]:
    basis = Basis(
        decision=RollBack(cause=decided.cause, reason=decided.reason, numbers=decided.numbers),
        made_by=MadeBy.PERSON,
        after=progress.position,
        at=by.at,
        person=by.person,
    )
    because = NO_KEY if by.signer is None else USERS_FIRST
    return attested(
        basis,
        events,
        progress=progress,
        actor=by.actor,
        signer=None,
        at=by.at,
        unsigned_because=because,
    )
