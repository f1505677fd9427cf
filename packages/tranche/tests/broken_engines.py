"""Engines that are broken on purpose, each with the law it breaks: what the ordeal must catch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tranche import approval, beside, controller, desk, moves, observe
from tranche import decide as deciding
from tranche import progress as progresses
from tranche.controller import Controller
from tranche.decide import Decision, Hold, RollBack, decide
from tranche.events import ApprovalRevoked, Event, Paused, WeightRequested
from tranche.evidence import Evidence
from tranche.freeze import covering
from tranche.limits import Reading
from tranche.observe import Observations
from tranche.ordeal.faulty import ProcessClock
from tranche.ordeal.scene import Asked, Scene
from tranche.ordeal.trial import Trial
from tranche.ordeal.world import FIRST, FaultyWorld, Version
from tranche.ports import Colour, NewEvent, Recorded, SignalsFault, Split, TrafficFault, Verdict
from tranche.progress import Approval, Progress


class ActsBeforeItRecords(Controller):
    def _record(self, decision: Decision, evidence: Evidence, *rest: Any) -> None:
        now = self.world.clock.now()
        told = moves.events_of(decision, plan=self.plan, progress=self.progress, evidence=evidence, now=now)
        for event in told:
            if isinstance(event, WeightRequested):
                split = Split(
                    identifier=event.identifier,
                    salt=self.progress.salt,
                    green_weight=event.green_weight,
                    internal_to_green=event.internal_to_green,
                )
                self.world.traffic.apply(split)
        super()._record(decision, evidence, *rest)


class WithoutConflicts(Controller):
    def __init__(self, **parts: Any) -> None:
        world = parts.pop("world")
        super().__init__(world=replace(world, log=Overwriting(world.log)), **parts)


class Overwriting:
    """A log that appends whatever was appended meanwhile."""

    def __init__(self, log: Any) -> None:
        self._log = log

    def append(self, rollout: str, *, after: int, events: Sequence[NewEvent]) -> list[Recorded]:
        world = self._log._world

        def act() -> list[Recorded]:
            if self._log._lease is not None:
                self._log._lease.renew()
            length = len(world.log.read(rollout))
            recorded = world.log.append(rollout, after=length, events=events)
            self._log._on_append(recorded)
            return [replace(each, position=after + number) for number, each in enumerate(recorded, start=1)]

        found: list[Recorded] = world.call("append", act, deadly=True)
        return found

    def read(self, rollout: str, *, after: int = 0) -> list[Recorded]:
        found: list[Recorded] = self._log.read(rollout, after=after)
        return found

    def rollouts(self) -> list[str]:
        found: list[str] = self._log.rollouts()
        return found


class TakesStaleForFresh(Controller):
    def _observe(self) -> None:
        super()._observe()
        if self.seen.scrape_trouble and self.seen.last is not None:
            last = replace(self.seen.last, at=self.world.clock.now())
            self.seen = replace(self.seen, last=last, scrape_trouble=None)


class WithTraffic(Controller):
    kind: Any = None

    def __init__(self, **parts: Any) -> None:
        world = parts.pop("world")
        super().__init__(world=replace(world, traffic=self.kind(world.traffic)), **parts)


class Remembered:
    """Does not read back what is served: it is what was applied last."""

    def __init__(self, traffic: Any) -> None:
        self._traffic, self._last = traffic, None

    def apply(self, split: Split) -> None:
        self._traffic.apply(split)
        self._last = split.identifier

    def serving(self) -> str | None:
        return self._last or self._traffic.serving()


class Hopeful(Remembered):
    """Takes a split that was not confirmed, or was rejected, for one that is served."""

    def apply(self, split: Split) -> None:
        with suppress(TrafficFault):
            self._traffic.apply(split)
        self._last = split.identifier


class NeverReadsBack(WithTraffic):
    kind = Remembered


class DoesNotConfirm(WithTraffic):
    kind = Hopeful


class RollsBackLater(Controller):
    def _finish_rollback(self) -> None:
        """Not in the tick that decided."""
        if self.progress.last_at != self.world.clock.now():
            super()._finish_rollback()

    def _act(self) -> None:
        if self.progress.rollback is None or self.progress.last_at != self.world.clock.now():
            super()._act()


class StopsGreenFirst(Controller):
    def _finish_rollback(self) -> None:
        self.world.environment.retire(Colour.GREEN)
        super()._finish_rollback()


class LeavesEntriesOut(Controller):
    def _append(self, *events: Any, basis: Any = None) -> list[Recorded]:
        return super()._append(*events)


class Raises(Controller):
    def _observe(self) -> None:
        try:
            self.world.signals.scrape()
        except SignalsFault as fault:
            raise ValueError from fault
        super()._observe()


class GoesOnAfterTheEnd(Controller):
    def _end(self) -> None:
        self._append(moves.measured(self.plan, self.progress, self.seen_evidence(), self.world.clock.now()))
        super()._end()

    def seen_evidence(self) -> Evidence:
        return controller.gather(self.plan, self.progress, self.seen)


class AppendsUnfenced(Controller):
    def __init__(self, **parts: Any) -> None:
        parts["world"].log._lease = None
        super().__init__(**parts)


class ActsUnfenced(Controller):
    def __init__(self, **parts: Any) -> None:
        stalled = parts["world"].traffic
        stalled._traffic = stalled._traffic._traffic
        super().__init__(**parts)


class JumpingClock(ProcessClock):
    """The machine's clock itself."""

    def __init__(self, world: FaultyWorld) -> None:
        super().__init__(world)
        self._machine = world

    def now(self) -> Any:
        return self._machine.clock.now() + timedelta(seconds=self._machine.skew_s)


def paused_first(plan: Any, progress: Progress, evidence: Evidence, now: Any) -> Decision:
    if progress.paused_by is not None and progress.rollback is None and progress.completed_at is None:
        return Hold(verdict=Verdict.NOT_YET, reason="paused", key="paused")
    return decide(plan, progress, evidence, now)


def hasty(plan: Any, progress: Progress, evidence: Evidence, now: Any) -> Decision:
    decision = decide(plan, progress, evidence, now)
    return replace(decision, reason="because") if isinstance(decision, RollBack) else decision


def blind(plan: Any, progress: Progress, evidence: Evidence, now: Any) -> Decision:
    passed = tuple(replace(each, verdict=Verdict.PASS) for each in evidence.requirements)
    kinder = replace(evidence, harm=None, shared=None, limits=(), safety={}, requirements=passed)
    return decide(plan, progress, kinder, now)


def idle(plan: Any, progress: Progress, evidence: Evidence, now: Any) -> Decision:
    decision = decide(plan, progress, evidence, now)
    if isinstance(decision, RollBack):
        return decision
    return Hold(verdict=Verdict.NOT_YET, reason="tomorrow", key="tomorrow")


def forgetful(plan: Any, progress: Progress, evidence: Evidence, now: Any) -> Decision:
    """Decides as if nobody had decided to go back: the tick is given no chance to finish the rollback either."""
    return decide(plan, replace(progress, rollback=None), evidence, now)


def internal_users_leave(plan: Any, progress: Progress, green_weight: int) -> WeightRequested:
    return WeightRequested(
        identifier=progress.next_identifier, green_weight=green_weight, internal_to_green=green_weight == 0
    )


class GoesForwardAgain(Controller):
    def _tick(self) -> None:
        self._drain()
        self.progress = controller.refreshed(self.world.log, self.progress)
        self._announce()
        self._round()

    def _finish_rollback(self) -> None:
        """Never."""


class ReplacesAtOnce(Controller):
    def _begin_version(self) -> None:
        """Whoever is on green."""
        if not observe.is_about(self.seen, self.progress):
            self._ensure_green()
        super()._begin_version()


def silent(plan: Any, progress: Progress, evidence: Evidence, now: Any) -> Decision:
    decision = decide(plan, progress, evidence, now)
    return replace(decision, page=False) if isinstance(decision, Hold) else decision


# What people ask.

counting, give, fold = approval.counting, approval.give, progresses._fold
begin_version = observe.begin_version
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOBODY: frozenset[str] = frozenset()


def expired_too(progress: Progress, phase: Any, stay: Any, gate: Any, now: Any) -> list[Approval]:
    return counting(progress, phase, stay, gate, EPOCH)


def one_s_own_too(progress: Progress, *rest: Any) -> list[Approval]:
    return counting(replace(progress, brought_by=NOBODY), *rest)


def given_by_anybody(progress: Progress, *rest: Any, **named: Any) -> Any:
    return give(replace(progress, brought_by=NOBODY), *rest, **named)


def of_other_evidence_too(progress: Progress, phase: Any, stay: Any, gate: Any, now: Any) -> list[Approval]:
    here = replace(
        stay,
        approvals=tuple(replace(yes, digest=_digest(progress, phase, stay, gate)) for yes in stay.approvals),
    )
    return counting(progress, phase, here, gate, now)


def _digest(progress: Progress, phase: Any, stay: Any, gate: Any) -> str:
    return approval.digest_of(approval.evidence_of(progress, phase, stay, gate))


def twice(*asked: Any) -> list[Approval]:
    return counting(*asked) * 2


def without_revocations(progress: Progress, event: Event, at: datetime, actor: str) -> Progress:
    return progress if isinstance(event, ApprovalRevoked) else fold(progress, event, at, actor)


def nothing(*_: Any) -> list[Reading]:
    return []


def in_utc(freezes: Any, now: datetime) -> Any:
    return covering(tuple(replace(freeze, zone="UTC") for freeze in freezes), now)


def counts_on(plan: Any, progress: Progress, seen: Observations) -> Evidence:
    """What was counted in the stay before goes on in the next."""
    return observe.gather(plan, progress, replace(seen, stay=progress.stay.identifier))


def impatient(seen: Observations, progress: Progress, now: datetime) -> Observations:
    """The time to get ready goes on with the version that is replaced."""
    return replace(begin_version(seen, progress, now), watched_since=seen.watched_since)


def of_any_version(ran: beside.GateRun, progress: Progress) -> bool:
    return True


def pause_again(self: desk.Desk, *, reason: str, actor: str) -> Progress:
    return self._ask(lambda _: [Paused(reason=reason)], actor)


def going_back_helps(*_: Any) -> bool:
    return False


# Scenes in which a fault shows that would be rare otherwise. All else is diced as ever.

QUIET: dict[str, Any] = {
    "asked": None,
    "frozen": None,
    "paused_at_s": None,
    "replaced_at_s": None,
    "no_return": None,
}


def turns(kind: str, at_s: float, **scene: Any) -> Callable[[Trial], None]:
    """The version turns out to be of this kind; nothing but what is said here stands in its way."""

    def arrange(trial: Trial) -> None:
        trial.world.versions[FIRST] = Version(
            kind=kind,
            bad_from_s=at_s,
            errors=0.3 if kind in {"errors", "both"} else 0.0,
            restarts=5 if kind == "restarts" else 0,
            blue_too=kind == "both",
        )
        trial.scene = replace(trial.scene, **(QUIET | {"is_attended": False} | scene))

    return arrange


def runs_out(trial: Trial) -> None:
    """Somebody agrees, and a freeze outlasts it."""
    trial.scene = replace(Scene.diced(trial.world.dice, runs_out=True), no_return=None)
    trial.world.versions[FIRST] = Version()


def is_replaced(trial: Trial) -> None:
    """The version is replaced while its gates, which are slow, run in staging."""
    trial.scene = replace(trial.scene, **QUIET | {"replaced_at_s": 3.0})
    trial.world.troubles.gate_slow = 0.5


def agrees(trial: Trial) -> None:
    """Two people are asked, and there is time to take it back."""
    asked = Asked(phase=2, people=2, approvers=(), at="start", expires_s=3600, dwell_s=8)
    trial.scene = replace(trial.scene, **QUIET | {"asked": asked})
    trial.world.versions[FIRST] = Version()


def agrees_early(trial: Trial) -> None:
    """People are asked before a gate has answered."""
    asked = Asked(phase=1, people=1, approvers=(), at="start", expires_s=3600, dwell_s=8)
    trial.scene = replace(trial.scene, **QUIET | {"asked": asked})
    trial.world.versions[FIRST] = Version()


def is_blind(trial: Trial) -> None:
    """The counters are often lost for seconds."""
    turns("good", 0.0)(trial)
    trial.world.troubles.signals_down = 0.2


def jumps(trial: Trial) -> None:
    """Somebody sets the machine's clock again and again."""
    trial.world.troubles.clock_jumps = 0.3


def stalls(trial: Trial) -> None:
    """The controller is often frozen, and a standby takes over."""
    trial.world.troubles.stalled = 0.1


def is_rejected(trial: Trial) -> None:
    """The data plane often does not take what it is told, or does not say so."""
    trial.world.troubles.traffic_rejected = trial.world.troubles.traffic_unconfirmed = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """An engine: the law it breaks, and what of the trial or of the engine's own code is another."""

    law: str
    how: dict[str, Any] = field(default_factory=dict)
    patches: tuple[tuple[Any, str, Any], ...] = ()


Patch = tuple[Any, str, Any]
Arrange = Callable[[Trial], None] | None


def controlled(law: str, kind: type[Controller], *patches: Patch, where: Arrange = None) -> Broken:
    how: dict[str, Any] = {"controller_class": kind}
    return Broken(law=law, how=how | ({"arrange": where} if where else {}), patches=patches)


def patched(law: str, *patches: Patch, where: Arrange = None) -> Broken:
    return Broken(law=law, how={"arrange": where} if where else {}, patches=patches)


ENGINES = {
    "record after act": controlled("act-after-record", ActsBeforeItRecords),
    "no conflict check": controlled("evidence-agrees", WithoutConflicts),
    "no lease": Broken(law="one-controller-acts", how={"needs_lease": False}),
    "an append without the lease": controlled("one-controller-acts", AppendsUnfenced),
    "an act without the lease": controlled("one-controller-acts", ActsUnfenced, where=stalls),
    "stale data": controlled("advance-on-passes", TakesStaleForFresh, where=is_blind),
    "a clock that can be set": Broken(law="time-passes", how={"clock_class": JumpingClock, "arrange": jumps}),
    "no read-back": controlled("serves-what-the-log-says", NeverReadsBack),
    "no confirmation": controlled("applied-was-served", DoesNotConfirm, where=is_rejected),
    "gates that did not run": patched("advance-on-passes", (deciding, "gate_readings", nothing)),
    "a pause that stops a rollback": patched(
        "bad-traffic-ends",
        (controller, "decide", paused_first),
        where=turns("errors", 10.0, paused_at_s=9.0),
    ),
    "a rollback that waits": controlled("bad-traffic-ends", RollsBackLater, where=turns("errors", 9.0)),
    "no judge and no limits": patched(
        "bad-traffic-ends", (controller, "decide", blind), where=turns("errors", 9.0)
    ),
    "nobody is called": patched(
        "people-are-called", (controller, "decide", silent), where=turns("both", 9.0)
    ),
    "a rollback past the point of no return": patched(
        "no-return-holds",
        (deciding, "past_return", going_back_helps),
        where=turns("errors", 18.0, no_return=2),
    ),
    "internal users forgotten": patched("users-stay", (moves, "_request", internal_users_leave)),
    "green stopped under its users": controlled(
        "stop-after-act", StopsGreenFirst, where=turns("errors", 9.0)
    ),
    "green replaced under its users": controlled(
        "stop-after-act", ReplacesAtOnce, where=turns("good", 0.0, replaced_at_s=12.0)
    ),
    "entries left out": controlled("decision-has-entry", LeavesEntriesOut),
    "another decision recorded": patched("evidence-agrees", (controller, "decide", hasty)),
    "a bug in a tick": controlled("tick-never-raises", Raises),
    "a log that goes on": controlled("log-folds", GoesOnAfterTheEnd),
    "never forward": patched("it-ends", (controller, "decide", idle)),
    "forward after a rollback": controlled(
        "rollback-is-final",
        GoesForwardAgain,
        (controller, "decide", forgetful),
        where=turns("restarts", 9.0),
    ),
    "a freeze that freezes nothing": patched("freeze-holds", (deciding, "_freezes", nothing)),
    "a freeze by another clock": patched("freeze-holds", (deciding, "covering", in_utc)),
    "an approval that nobody asks for": patched("approvals-count", (deciding, "approval_readings", nothing)),
    "an approval that has expired": patched(
        "approvals-count", (approval, "counting", expired_too), where=runs_out
    ),
    "an approval of who started it": patched(
        "approvals-count",
        (approval, "counting", one_s_own_too),
        (approval, "give", given_by_anybody),
        where=agrees,
    ),
    "an approval of other evidence": patched(
        "approvals-count", (approval, "counting", of_other_evidence_too), where=agrees_early
    ),
    "an approval that counts twice": patched("approvals-count", (approval, "counting", twice), where=agrees),
    "an approval that was taken back": patched(
        "approvals-count", (progresses, "_fold", without_revocations), where=agrees
    ),
    "counts of the stay before": patched(
        "only-this-version", (controller, "gather", counts_on), where=is_rejected
    ),
    "a gate of the version before": patched(
        "only-this-version", (beside.GateRun, "belongs_to", of_any_version), where=is_replaced
    ),
    "no time for another version": patched(
        "time-passes",
        (controller, "begin_version", impatient),
        where=turns("good", 0.0, replaced_at_s=18.0),
    ),
    "asked twice, done twice": patched("asked-twice-done-once", (desk.Desk, "pause", pause_again)),
}
