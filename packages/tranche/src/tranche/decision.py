"""What may be decided, and a rollback as events: all that taking users back needs of the rules.

Apart from `decide.py`, because who takes users back by hand waits for nothing else of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tranche.events import Event, RollbackDecided, WeightRequested
from tranche.ports import Verdict
from tranche.progress import Progress

if TYPE_CHECKING:
    from tranche.limits import Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Stay. `verdict` is the worst of what is lacking, `key` stays the same while only numbers change.

    `page` calls somebody; `stops` pauses the rollout besides, so that nothing goes forward until a person resumes it.
    """

    verdict: Verdict
    reason: str
    key: str
    page: bool = False
    stops: bool = False
    lacking: "tuple[Reading, ...]" = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Advance:
    """Go on: to the next phase, or from internal users to the phase's whole weight."""

    phase: int
    internal_only: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepBack:
    """Give green the weight of the phase before."""

    phase: int
    cause: str
    reason: str
    numbers: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RollBack:
    """Give blue everybody."""

    cause: str
    reason: str
    first_bad_at: datetime | None = None
    numbers: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Complete:
    """Green has everybody and has shown everything."""

    reason: str


Decision = Hold | Advance | StepBack | RollBack | Complete


def roll_back(decision: RollBack, progress: Progress) -> list[Event]:
    """The decision, and the weight it asks for: the two that must never be apart."""
    decided = RollbackDecided(
        cause=decision.cause,
        reason=decision.reason,
        first_bad_at=decision.first_bad_at.isoformat() if decision.first_bad_at else None,
        numbers=decision.numbers,
    )
    request = WeightRequested(identifier=progress.next_identifier, green_weight=0, internal_to_green=False)
    return [decided, request]
