"""A decision as events: what is recorded before anything is done about it. Pure.

What was measured in the stay that ends stands beside the decision that ended it, in the same append.
"""

from datetime import datetime
from typing import assert_never

from tranche.decide import checks
from tranche.decision import Advance, Complete, Decision, Hold, RollBack, StepBack, roll_back
from tranche.events import (
    Completed,
    Event,
    Held,
    Measured,
    MirrorRequested,
    Paused,
    PhaseEntered,
    SteppedBack,
    WeightRequested,
)
from tranche.evidence import Evidence
from tranche.plan import Plan
from tranche.progress import Progress, State
from tranche.signals import arms_json


def events_of(
    decision: Decision, *, plan: Plan, progress: Progress, evidence: Evidence, now: datetime
) -> list[Event]:
    """What the log is to say; nothing for a hold that it says already."""
    match decision:
        case Hold():
            return _hold(decision, progress)
        case RollBack():
            return [*roll_back(decision, progress), measured(plan, progress, evidence, now)]
        case StepBack():
            phase = plan.phases[decision.phase]
            back = SteppedBack(
                phase=decision.phase,
                name=phase.name,
                weight_percent=phase.weight_percent,
                cause=decision.cause,
                reason=decision.reason,
                numbers=decision.numbers,
            )
            request = _request(plan, progress, phase.green_weight)
            return [measured(plan, progress, evidence, now), back, request]
        case Advance():
            phase = plan.phases[decision.phase]
            entered = PhaseEntered(
                phase=decision.phase,
                name=phase.name,
                weight_percent=0.0 if decision.internal_only else phase.weight_percent,
                internal_only=decision.internal_only,
                reason=decision.reason,
            )
            request = _request(plan, progress, 0 if decision.internal_only else phase.green_weight)
            return [measured(plan, progress, evidence, now), entered, request]
        case Complete():
            return [measured(plan, progress, evidence, now), Completed(reason=decision.reason)]
        case _:
            assert_never(decision)


def _hold(decision: Hold, progress: Progress) -> list[Event]:
    if progress.held is not None and progress.held.key == decision.key:
        return []
    held = Held(key=decision.key, verdict=decision.verdict.value, reason=decision.reason, page=decision.page)
    if decision.stops and progress.paused_by is None:
        return [held, Paused(reason=decision.reason)]
    return [held]


def _request(plan: Plan, progress: Progress, green_weight: int) -> WeightRequested:
    """A weight of the way forward; once internal users are on green, they stay there."""
    return WeightRequested(
        identifier=progress.next_identifier,
        green_weight=green_weight,
        internal_to_green=plan.phases[1].internal_users_first_s > 0,
    )


def mirror(plan: Plan, progress: Progress) -> list[Event]:
    """Copies of reads, from when green is ready in staging; nothing where they are on, or the plan asks for none."""
    percent = plan.phases[0].mirror_percent
    is_on = progress.requested.mirror_percent > 0
    may_be = (
        progress.state is State.STAGING and progress.green_ready_at is not None and not progress.has_users
    )
    if not percent or is_on or not may_be:
        return []
    return [MirrorRequested(identifier=progress.next_identifier, percent=percent)]


def measured(plan: Plan, progress: Progress, evidence: Evidence, now: datetime) -> Measured:
    """What was seen in this stay, and what every check and limit said."""
    found = [*checks(plan, progress, evidence, now), *(limit.reading for limit in evidence.limits)]
    return Measured(
        phase=progress.stay.phase,
        arms=arms_json(evidence.arms),
        checks={
            reading.name: {
                "verdict": reading.verdict.value,
                "reason": reading.reason,
                "numbers": dict(reading.numbers),
            }
            for reading in found
        },
    )
