"""What runs beside the loop: the look at green, and the gates. Nothing here decides or moves anything."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from tranche import approval
from tranche.decide import dwell_of
from tranche.gates import UnknownVariable, kept, substituted
from tranche.plan import OWN_VARIABLES, Phase, Plan, PlannedGate
from tranche.ports import (
    Clock,
    Colour,
    Environment,
    EnvironmentFault,
    Gate,
    GateAnswer,
    LeaseLost,
    Verdict,
)
from tranche.progress import Progress, Stay


class Workers(Protocol):
    """Runs what may be slow beside the loop, each key once at a time."""

    def start(self, key: str, job: Callable[[], object]) -> bool:
        """Begin; False when that key is under way."""

    def done(self) -> list[tuple[str, object]]:
        """What ended since the last call, with its results. A job never raises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRun:
    """A gate that ran to its end, in which phase and entry of it."""

    phase: int
    visit: int
    gate: PlannedGate
    answer: GateAnswer
    took_s: float

    def belongs_to(self, progress: Progress) -> bool:
        """Whether it was run for the phase the rollout is in now."""
        return (self.phase, self.visit) == (progress.stay.phase, progress.visit)


class GateBench:
    """Starts the gates of a phase when they are due."""

    def __init__(
        self, *, gates: Mapping[str, Gate], variables: Mapping[str, str], clock: Clock, workers: Workers
    ) -> None:
        self._gates, self._variables = gates, variables
        self._clock, self._workers = clock, workers
        self._ran_at: dict[tuple[int, int, str], datetime] = {}

    def start_due(self, plan: Plan, progress: Progress) -> None:
        """Start every gate of this phase that has not passed, is not waiting to be retried, and may run."""
        now, stay = self._clock.now(), progress.stay
        phase = plan.phases[stay.phase]
        for gate in phase.gates:
            if gate.kind == approval.KIND:
                continue  # a person answers it, in the log
            answered = stay.gates.get(gate.name)
            key = (stay.phase, progress.visit, gate.name)
            tried = self._ran_at.get(key)
            waits = tried is not None and now - tried < timedelta(seconds=gate.retry_s)
            passed = answered is not None and answered.verdict is Verdict.PASS
            if passed or waits or (gate.at == "end" and not dwelt(phase, stay, now)):
                continue
            if self._workers.start(f"gate {key}", self._job(gate, progress)):
                self._ran_at[key] = now

    def _job(self, gate: PlannedGate, progress: Progress) -> Callable[[], GateRun]:
        phase, visit = progress.stay.phase, progress.visit
        known = (progress.rollout, progress.version, progress.stay.name, gate.name)
        own = dict(zip(OWN_VARIABLES, known, strict=True))
        variables = {**self._variables, **own}

        def job() -> GateRun:
            started = self._clock.now()
            answer = run_gate(self._gates, gate, variables)
            took_s = round((self._clock.now() - started).total_seconds(), 3)
            return GateRun(phase=phase, visit=visit, gate=gate, answer=answer, took_s=took_s)

        return job


def dwelt(phase: Phase, stay: Stay, now: datetime) -> bool:
    """Whether the dwell of the phase's whole weight is over, or was ended by a person."""
    if stay.internal_only or stay.entered_at is None:
        return False
    return stay.dwell_waived_by is not None or now - stay.entered_at >= timedelta(
        seconds=dwell_of(phase, stay)
    )


def look_at_green(environment: Environment, clock: Clock) -> object:
    """Green's state and when it was asked, or the fault. It starts nothing: a rollback may be under way."""
    try:
        return environment.state(Colour.GREEN), clock.now()
    except EnvironmentFault as fault:
        return fault


@dataclass(frozen=True, slots=True)
class GreenStopped:
    """Green was told to stop, to make room: `trouble` says why it did not, `left` what was still under way.

    `version` is the one that was to go.
    """

    version: str | None
    trouble: str | None = None
    left: str = ""


def stop_green(environment: Environment, version: str | None) -> GreenStopped:
    """Let the old green, of this version, finish what is under way, and stop; not by who has lost the lease."""
    try:
        left = environment.retire(Colour.GREEN)
    except (EnvironmentFault, LeaseLost) as fault:
        return GreenStopped(version, trouble=str(fault))
    return GreenStopped(version, left=left)


def run_gate(gates: Mapping[str, Gate], gate: PlannedGate, variables: Mapping[str, str]) -> GateAnswer:
    """Run it with its variables filled in. What cannot be run cannot tell."""
    try:
        settings = substituted(gate.settings, variables)
    except UnknownVariable as error:
        return GateAnswer(verdict=Verdict.CANNOT_TELL, reason=str(error))
    if gate.kind not in gates or not isinstance(settings, Mapping):
        told = f"no gate of kind '{gate.kind}' is wired here"
        return GateAnswer(verdict=Verdict.CANNOT_TELL, reason=told)
    return kept(gates[gate.kind].run(settings, timeout_s=gate.timeout_s))
