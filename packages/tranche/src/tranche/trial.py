"""A trial: which plan is tried on which service, and what came of it. Values; `simulate.py` takes it through."""

import math
from dataclasses import dataclass, replace
from typing import Final, Literal

from tranche.limits import EVALUATIONS
from tranche.plan import Limit, Plan
from tranche.service import Defect, Incident, Service
from tranche.signals import Counts

LONGEST_STEP_S: Final = 60.0
LOOKS_PER_DWELL: Final = 60
PATIENCE: Final = 2.0
"""How many times its planned time a rollout may take before it counts as waiting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What is tried: a plan without what cannot be modelled, what happens, how often, and how often is looked."""

    plan: Plan
    service: Service
    edges_ms: tuple[int, ...]
    runs: int
    seed: int
    defects: tuple[Defect, ...] = ()
    incidents: tuple[Incident, ...] = ()

    @property
    def step_s(self) -> float:
        return self.plan.tick_s

    @property
    def onset_s(self) -> float:
        """From when green is worse; infinite when it never is."""
        return min((defect.onset_s for defect in self.defects), default=math.inf)


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One stay of one rollout. Times in seconds since staging began."""

    phase: int
    internal_only: bool
    entered_s: float
    left_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How one rollout went. `ill` is what green's users met from the onset of the first defect until the end."""

    ending: Literal["completed", "rolled back", "waiting"]
    ended_s: float
    phase: int
    why: str
    visits: tuple[Visit, ...]
    ill: Counts


def tried(plan: Plan) -> Plan:
    """The plan with what a modelled service can tell, looked at as often as pays: at least LOOKS_PER_DWELL times in its
    shortest dwell, and at least every minute; never more often than it ticks.
    """
    step_s = _step_s(plan)
    phases = tuple(
        replace(
            phase, gates=(), requirements=tuple(bound for bound in phase.requirements if bound.is_counted)
        )
        for phase in plan.phases
    )
    limits = tuple(limit for limit in plan.limits if limit not in _too_short(plan, step_s))
    stale_after_s = 0.5 * step_s
    return replace(plan, phases=phases, limits=limits, freezes=(), tick_s=step_s, stale_after_s=stale_after_s)


def _too_short(plan: Plan, step_s: float) -> list[Limit]:
    """Limits that a look every `step_s` cannot tell apart from one bad look."""
    return [
        limit for limit in plan.limits if limit.sustained_s < EVALUATIONS * step_s and step_s > plan.tick_s
    ]


def _step_s(plan: Plan) -> float:
    dwell_s = min(phase.dwell_s for phase in plan.phases[1:])
    return max(plan.tick_s, min(LONGEST_STEP_S, dwell_s / LOOKS_PER_DWELL))


def left_out(plan: Plan) -> list[str]:
    """What a trial of this plan takes as passed or never broken, in words."""
    found = [f"limit: {limit}" for limit in _too_short(plan, _step_s(plan))]
    found += [f"freeze: {freeze}" for freeze in plan.freezes]
    for phase in plan.phases:
        found += [f"{phase.name}: gate {gate.name}" for gate in phase.gates]
        found += [f"{phase.name}: {bound}" for bound in phase.requirements if not bound.is_counted]
    return found


def planned_s(plan: Plan) -> float:
    """How long a rollout takes that never waits."""
    return sum(phase.dwell_s + phase.internal_users_first_s for phase in plan.phases)
