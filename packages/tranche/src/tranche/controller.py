"""The only loop: observe, decide, record, act.

1. Nothing moves traffic but `reconcile`, and it obeys the log. A decision is in the log before it is acted
   on, on the condition that nobody appended since it was made.
2. A fault of the world makes a tick *cannot tell*; it never ends the loop and never advances a rollout.
3. Nothing slow stands between a decision and its act: gates, states and stops run beside the loop.
4. A controller may be killed between any two instructions. The next one reads the log and goes on; what
   nobody saw meanwhile does not count.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from tranche.abort import NOBODY_ABORTS, Aborts, honoured
from tranche.approval import is_all_that_lacks
from tranche.attestation import Basis, MadeBy, attested, countersigned
from tranche.beside import GateBench, GateRun, GreenStopped, Workers, look_at_green, stop_green
from tranche.decide import checks, decide
from tranche.decision import Complete, Decision, Hold, RollBack, StepBack
from tranche.events import Event, GateAnswered, GreenReady, Retired, RolledBack, Stopped, TakenOver, encode
from tranche.evidence import Evidence
from tranche.limits import KEPT, Reading
from tranche.moves import events_of, measured, mirror
from tranche.observe import (
    Observations,
    begin_stay,
    begin_version,
    gather,
    is_about,
    judged,
    miss,
    miss_green,
    recalled,
    see,
    see_green,
)
from tranche.plan import Plan
from tranche.ports import (
    Clock,
    Colour,
    ColourState,
    Conflict,
    Environment,
    EnvironmentFault,
    EventLog,
    Fault,
    Gate,
    Lease,
    LeaseLost,
    LogFault,
    Notifier,
    Recorded,
    Signals,
    SignalsFault,
    Signer,
    Split,
    Stage,
    Traffic,
    TrafficFault,
    Verdict,
)
from tranche.progress import Progress, State, fold
from tranche.reconcile import Lock, end_green, reconcile, refreshed

ACTOR: Final = "controller"
LOCK_WAIT_S: Final = 5.0
HURRY_S: Final = 0.2
"""How soon to try again when a rollback could not be carried out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Everything outside that a controller touches."""

    log: EventLog
    traffic: Traffic
    signals: Signals
    environment: Environment
    gates: Mapping[str, Gate]
    variables: Mapping[str, str]
    clock: Clock
    notifier: Notifier
    workers: Workers
    lock: Lock
    signer: Signer | None = None
    aborts: Aborts = NOBODY_ABORTS
    lease: Lease | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What one tick saw and decided, for whoever shows it."""

    plan: Plan
    progress: Progress
    seen: Observations
    evidence: Evidence
    decision: Decision
    checks: tuple[Reading, ...]
    at: datetime


Show = Callable[[Snapshot], None]


class Controller:
    """Takes one rollout to its end. Create it, then `tick` until `is_done`."""

    def __init__(
        self,
        *,
        plan: Plan,
        progress: Progress,
        world: World,
        show: Show,
        memory: Mapping[str, Any] | None = None,
        pid: int = 0,
    ) -> None:
        self.plan = plan
        self.progress = progress
        self.world = world
        self.pid = pid
        self._show = show
        now = world.clock.now()
        self.seen = recalled(memory, plan=plan, progress=progress, now=now)
        self._span_s = max((limit.sustained_s for limit in plan.limits), default=0.0) * KEPT + plan.tick_s
        self._bench = GateBench(
            gates=world.gates, variables=world.variables, clock=world.clock, workers=world.workers
        )
        self._answers: list[GateRun] = []
        self._cut: list[Stopped] = []
        self._unrecorded: tuple[RollBack, Evidence, Basis] | None = None
        self._announced = False
        self._trouble: str | None = None
        self._is_stopping = False
        self._not_begun = ""
        self.is_done = False
        self.has_lost_lease = False
        self.hurries = False

    def run(self) -> Progress:
        """Tick until the rollout has ended; sleeps between."""
        while True:
            started = self.world.clock.now()
            self.tick()
            if self.is_done:
                return self.progress
            spent_s = (self.world.clock.now() - started).total_seconds()
            wait_s = HURRY_S if self.hurries else self.plan.tick_s - spent_s
            self.world.clock.sleep(max(0.0, wait_s))

    def tick(self) -> None:
        """One round. Never raises a fault."""
        self.hurries = False
        try:
            self._tick()
        except Conflict:
            self.hurries = True  # somebody appended since the log was read: look and decide again
        except LeaseLost:
            self.is_done = self.has_lost_lease = True  # another controller may act: nothing more is done here
        except Fault as fault:
            self._suffer(fault)

    def _tick(self) -> None:
        if self.world.lease is not None:
            self.world.lease.renew()
        self._drain()
        self.progress = self._caught_up()
        self._announce()
        if self._unrecorded is not None:
            self._record_unrecorded(*self._unrecorded)
        if self.progress.state is State.ROLLING_BACK:
            return self._finish_rollback()
        return self._end() if self.progress.is_finished else self._round()

    def _caught_up(self) -> Progress:
        """As the log has it, once it was told what a person has done without it."""
        world = self.world
        progress = refreshed(world.log, self.progress)
        return honoured(
            log=world.log,
            aborts=world.aborts,
            progress=progress,
            at=world.clock.now(),
            signer=world.signer,
        )

    def _round(self) -> None:
        self._begin_version()
        self._observe()
        now = self.world.clock.now()
        evidence = gather(self.plan, self.progress, self.seen)
        decision = decide(self.plan, self.progress, evidence, now)
        self._record(decision, evidence, now)
        trouble = None
        try:
            self._act()
        except TrafficFault as fault:
            # A data plane that does not answer must not keep us from looking at green.
            trouble = fault
        self.seen = replace(self.seen, traffic_trouble=str(trouble) if trouble else None)
        if self.progress.rollback is not None:
            return self._finish_rollback()
        self._note_answers()
        self._start_jobs()
        self._countersign()
        if trouble is not None:
            raise trouble
        self._publish(evidence, decision, now)
        return self._end() if self.progress.is_finished else None

    # Observe.

    def _observe(self) -> None:
        try:
            scrape = self.world.signals.scrape()
        except SignalsFault as fault:
            self.seen = miss(self.seen, str(fault))
            return
        self.seen = see(self.seen, scrape, has_users=self.progress.has_users, span_s=self._span_s)
        self.seen = judged(self.plan, self.progress, self.seen)

    def _drain(self) -> None:
        """Take in what ran beside the loop. Answers of gates are recorded later, behind any decision."""
        for _, result in self.world.workers.done():
            match result:
                case (ColourState() as state, datetime() as at):
                    why = self._not_begun if state.stage is Stage.ABSENT else ""
                    self.seen = see_green(self.seen, replace(state, detail=state.detail or why), at)
                case EnvironmentFault():
                    self.seen = miss_green(self.seen, str(result))
                case GateRun():
                    self._answers.append(result)
                case GreenStopped():
                    self._is_stopping = False
                    if result.trouble is not None:
                        self.seen = miss_green(self.seen, result.trouble)
                    if result.left:
                        stopped = Stopped(colour=Colour.GREEN.value, version=result.version, left=result.left)
                        self._cut.append(stopped)

    # Record.

    def _append(self, *events: Event, basis: Basis | None = None) -> list[Recorded]:
        now = self.world.clock.now()
        new = [encode(event, at=now, actor=ACTOR) for event in events]
        if basis is not None:
            signer = self.world.signer
            new = attested(basis, new, progress=self.progress, actor=ACTOR, signer=signer, at=now)
        recorded = self.world.log.append(self.progress.rollout, after=self.progress.position, events=new)
        self.progress = fold(recorded, self.progress) or self.progress
        return recorded

    def _announce(self) -> None:
        """Once: say who works on it now, and have green running."""
        if self._announced:
            return
        if not self.progress.is_finished:
            self._append(TakenOver(pid=self.pid))
        if self.progress.rollback is None and not self.progress.is_finished and not self.progress.retargets:
            self._ensure_green()  # a version that was brought in later waits until the one before has no users
        self._announced = True

    def _ensure_green(self) -> None:
        self._not_begun = ""
        try:
            self._check_artifact()
            self.world.environment.ensure(Colour.GREEN, self.progress.version)
        except EnvironmentFault as fault:
            self._not_begun = str(fault)
            self.seen = miss_green(self.seen, str(fault))

    def _check_artifact(self) -> None:
        """Raises EnvironmentFault: what would be started is not what was brought in under this name."""
        version, known = self.progress.version, self.progress.artifact.digest
        found = self.world.environment.identify(version).digest if known is not None else None
        if found != known:
            told = (
                f"the artifact of {version} was {known} when it was brought in, and is {found or 'gone'} now"
            )
            raise EnvironmentFault(f"{told}; put it back, or retarget to a version of its own")

    def _countersign(self) -> None:
        """Sign for what others, who had no key or no time, have asked since the last tick."""
        signer, now = self.world.signer, self.world.clock.now()
        events = countersigned(self.progress, actor=ACTOR, signer=signer, at=now)
        if events:
            recorded = self.world.log.append(
                self.progress.rollout, after=self.progress.position, events=events
            )
            self.progress = fold(recorded, self.progress) or self.progress

    def _record(
        self, decision: Decision, evidence: Evidence, now: datetime, made_by: MadeBy = MadeBy.RULES
    ) -> None:
        """Write the decision down, with what it rests on, before anything is done about it."""
        after = self.progress.position
        basis = Basis(decision=decision, made_by=made_by, after=after, at=now, evidence=evidence)
        if isinstance(decision, RollBack):
            self._record_rollback(decision, evidence, basis)
            return
        told = events_of(decision, plan=self.plan, progress=self.progress, evidence=evidence, now=now)
        if told:
            self._append(*told, basis=basis)
            self._announce_decision(decision)

    def _record_rollback(self, decision: RollBack, evidence: Evidence, basis: Basis) -> None:
        """As any decision; but when the log cannot be written, users are taken back all the same."""
        told = events_of(decision, plan=self.plan, progress=self.progress, evidence=evidence, now=basis.at)
        try:
            self._append(*told, basis=basis)
        except (Conflict, LeaseLost):
            raise
        except LogFault:
            self._unrecorded = (decision, evidence, basis)
            self.world.traffic.apply(
                Split(
                    identifier=f"{self.progress.rollout}/unrecorded",
                    salt=self.progress.salt,
                    green_weight=0,
                    internal_to_green=False,
                )
            )
            raise
        self._unrecorded = None
        self._announce_decision(decision)

    def _record_unrecorded(self, decision: RollBack, evidence: Evidence, basis: Basis) -> None:
        """What could not be recorded then, unless somebody else has decided it since, or replaced the version."""
        if self.progress.rollback is None and not self._is_overtaken():
            self._record_rollback(decision, evidence, basis)
        self._unrecorded = None

    def _is_overtaken(self) -> bool:
        """Whether another version was brought in since this controller has looked: it is not to blame for the older."""
        return not is_about(self.seen, self.progress)

    def _announce_decision(self, decision: Decision) -> None:
        """Tell people what they would want to be told at night, and what ends a rollout."""
        match decision:
            case RollBack():
                self._tell("rolled back", decision.reason, "critical", recorded=True)
            case StepBack():
                self._tell("stepped back", decision.reason, "critical", recorded=True)
            case Hold(page=True):
                self._tell("a decision is needed", decision.reason, "critical", recorded=True)
            case Hold(lacking=lacking) if is_all_that_lacks(
                self.plan.phases[self.progress.stay.phase], lacking
            ):
                self._tell("an approval is needed", decision.reason, "warning", recorded=True)
            case Complete():
                self._tell("complete", decision.reason, "info", recorded=True)

    # Act.

    def _act(self) -> None:
        """Bring the data plane to what the log says; begin to count anew where the weight has changed."""
        before = self.progress.applied
        self.progress = reconcile(
            log=self.world.log,
            traffic=self.world.traffic,
            clock=self.world.clock,
            lock=self.world.lock,
            is_aborted=lambda: self.world.aborts.pending() is not None,
            progress=self.progress,
            wait_s=1.0 if self.progress.rollback is not None else LOCK_WAIT_S,
            actor=ACTOR,
        )
        self._begin_version()
        is_new = self.progress.applied != before or self.seen.stay != self.progress.stay.identifier
        if is_new and self.progress.rollback is None:
            self._begin_stay()

    def _begin_version(self) -> None:
        """What was seen of a version that is replaced says nothing of the next one."""
        if not is_about(self.seen, self.progress):
            self.seen = begin_version(self.seen, self.progress, self.world.clock.now())

    def _begin_stay(self) -> None:
        if self.progress.stay.entered_at is None:
            return
        try:
            baseline = self.world.signals.scrape()
        except SignalsFault:
            baseline = None
        self.seen = begin_stay(self.seen, self.progress.stay.identifier, baseline)

    def _finish_rollback(self) -> None:
        """Blue has everybody: then, and only then, green may stop."""
        try:
            self._act()
        except TrafficFault as fault:
            self.hurries = True
            self._tell("the rollback is not confirmed", str(fault), "critical")
            return
        now = self.world.clock.now()
        if self.progress.stay.measured is None:
            evidence = gather(self.plan, self.progress, self.seen)
            self._append(measured(self.plan, self.progress, evidence, now))
        self._publish_now()
        told = end_green(self.world.environment)
        self._countersign()
        self._append(RolledBack(green=told))
        self._end()

    def _end(self) -> None:
        wants = self.plan.retire_blue == "after" and self.progress.state is State.COMPLETED
        if wants and Colour.BLUE not in self.progress.retired:
            # Recorded first: whoever took users back meanwhile makes it a conflict, and blue runs on.
            self._append(Retired(colour=Colour.BLUE.value, detail="the plan says so"))
        if Colour.BLUE in self.progress.retired - self.progress.stopped:
            self._stop_blue()
        self._publish_now()
        self.is_done = True

    def _stop_blue(self) -> None:
        """What was retired stops; also when the controller that recorded it was killed before it came to that."""
        try:
            left = self.world.environment.retire(Colour.BLUE)
        except EnvironmentFault as fault:
            self._tell("blue could not be retired", f"{fault}; run: tranche retire", "warning")
            return
        self._append(Stopped(colour=Colour.BLUE.value, version=None, left=left))

    # Beside the loop.

    def _note_answers(self) -> None:
        """Record what gates answered, where it is news, and what was cut off when green was replaced."""
        while self._cut:
            self._append(self._cut[0])
            self._tell("requests were cut off", self._cut.pop(0).left, "warning")
        while self._answers:
            ran = self._answers[0]
            known = self.progress.stay.gates.get(ran.gate.name)
            is_news = known is None or (known.verdict, known.reason) != (
                ran.answer.verdict,
                ran.answer.reason,
            )
            if ran.belongs_to(self.progress) and is_news:
                self._append(
                    GateAnswered(
                        phase=ran.phase,
                        gate=ran.gate.name,
                        verdict=ran.answer.verdict.value,
                        reason=ran.answer.reason,
                        evidence=ran.answer.evidence,
                        took_s=ran.took_s,
                    )
                )
            self._answers.pop(0)

    def _start_jobs(self) -> None:
        version, green = self.progress.version, self.seen.green
        environment, clock = self.world.environment, self.world.clock
        if green is not None and green.stage is Stage.ABSENT and not self._is_stopping:
            self._ensure_green()
        elif green is not None and green.version != version and self._may_replace():
            self._is_stopping = True
            self.world.workers.start("stop green", lambda: stop_green(environment, green.version))
        self.world.workers.start("green", lambda: look_at_green(environment, clock))
        is_ready = green is not None and green.stage is Stage.READY and green.version == version
        if not is_ready:
            return
        healthy = self.seen.last is not None and self.seen.last.healthy_hosts.get(Colour.GREEN, 0) > 0
        if self.progress.green_ready_at is None and healthy:
            self._append(GreenReady(version=version))
        if healthy:
            for event in mirror(self.plan, self.progress):
                self._append(event)
        if healthy and not self.progress.is_finished:
            self._bench.start_due(self.plan, self.progress)

    def _may_replace(self) -> bool:
        """Whether nobody is on green, as the data plane has just confirmed: then it may stop without a failed request.

        Requests under way finish, because a version that is told to stop finishes them.
        """
        confirmed = self.progress.is_confirmed and self.seen.traffic_trouble is None
        return confirmed and not self.progress.has_users and not self._is_stopping

    # Show.

    def _publish(self, evidence: Evidence, decision: Decision, now: datetime) -> None:
        found = tuple(checks(self.plan, self.progress, evidence, now))
        self._show(
            Snapshot(
                plan=self.plan,
                progress=self.progress,
                seen=self.seen,
                evidence=evidence,
                decision=decision,
                checks=found,
                at=now,
            )
        )

    def _publish_now(self) -> None:
        now = self.world.clock.now()
        evidence = gather(self.plan, self.progress, self.seen)
        self._publish(evidence, decide(self.plan, self.progress, evidence, now), now)

    def _suffer(self, fault: Fault) -> None:
        """A tick that failed says nothing; the rollout stays where it is, and people are told once."""
        told = f"{type(fault).__name__}: {fault}"
        self.hurries = self._unrecorded is not None or self.progress.state is State.ROLLING_BACK
        if told != self._trouble:
            self._trouble = told
            self._tell("a tick failed", told, "warning")
        hold = Hold(verdict=Verdict.CANNOT_TELL, reason=told, key=f"fault: {type(fault).__name__}")
        try:
            if not self.progress.is_finished and self.progress.rollback is None:
                evidence = gather(self.plan, self.progress, self.seen)
                self._record(hold, evidence, self.world.clock.now(), MadeBy.FAULT)
            now = self.world.clock.now()
            self._publish(gather(self.plan, self.progress, self.seen), hold, now)
        except LeaseLost:
            self.is_done = self.has_lost_lease = True
        except Fault:
            return  # the log itself is what fails; the next tick reads it again

    def _tell(self, title: str, text: str, severity: str, *, recorded: bool = False) -> None:
        key = f"{self.progress.rollout}/{self.progress.position}: {title}"
        self.world.notifier.tell(
            title=f"{self.progress.rollout}: {title}",
            text=text,
            severity=severity,
            key=key,
            recorded=recorded,
        )
