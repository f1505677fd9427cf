"""One trial: a rollout of the real controller from one seed, judged after every step.

Controllers are started, ticked, killed and started anew; a standby tries to take over; people at the desk ask for
things, also in the middle of a controller's call. After a while the world is well again, and the rollout must end.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tranche import audit
from tranche.adapters.ed25519 import verify
from tranche.adapters.fenced import FencedEnvironment, FencedTraffic
from tranche.adapters.memory import MemoryLease
from tranche.controller import Controller, Snapshot, World
from tranche.desk import ControlLock, Desk
from tranche.gate_kinds import GATE_KINDS
from tranche.language import parse
from tranche.ordeal.law import Broken, Court
from tranche.ordeal.world import (
    LEASE_S,
    FaultyEnvironment,
    FaultyGate,
    FaultyLog,
    FaultySignals,
    FaultyTraffic,
    FaultyWorld,
    Killed,
    OwnedLock,
    ProcessClock,
    Silence,
    SlowWorkers,
    StalledTraffic,
)
from tranche.ports import Colour, Environment, Fault, KeyFault, LogFault, Recorded, Split, Traffic
from tranche.refusal import Refused
from tranche.status import seen_document

PLAN: Final = """
name: ordeal
tick: 1s
stale_after: 3s
share_tolerance: 10 %
retire_blue: {retire}
warm_up: 0s
judge: {{false_safety: 40 %}}
health: {{ready_within: 15s, unhealthy_for: 3s, restarts: 2}}
limits:
  - {{limit: errors > 5 %, sustained: 4s, minimum_requests: 20, answer: roll_back}}
  - {{limit: latency_p95 > 500 ms, sustained: 3s, minimum_requests: 20, answer: {slow}}}
staging:
  gates: [{{name: smoke, kind: http, url: "{{green_url}}/ready", retry: 2s}}]
phases:
  - name: few
    weight: 10 %
    internal_users_first: {internal}
    dwell: 4s
    requirements: [errors < 2 %]
    gates: [{{name: integrity, kind: command, command: ["check"], at: end, retry: 2s, on_fail: {on_fail}}}]
  - {{name: half, weight: 50 %, dwell: 6s, requirements: [errors < 2 %]}}
  - {{name: all, weight: 100 %, dwell: 2s, requirements: [errors < 2 %]}}
"""
VERBS: Final = (*("pause", "pause", "resume", "advance") * 4, "roll_back")
TROUBLED_STEPS: Final = 60
HEALED_STEPS: Final = 150
PID: Final = 4711


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a seed: how it ended, or which law was broken and how."""

    seed: int
    steps: int
    troubled: int
    state: str
    version: str
    broken: Broken | None
    trace: tuple[str, ...]


class Process:
    """A controller's process: what of it lives in memory only, and dies with it."""

    def __init__(self, trial: "Trial") -> None:
        self.trial = trial
        self.lease = trial.lease.beside()
        self.skew_s = trial.world.skew_s
        self.has_control = self.lease.acquire(wait_s=0) or not trial.needs_lease
        self.controller: Controller | None = None

    def start(self) -> None:
        """As `tranche control` does.

        Raises:
            Fault: it could not; it is over.
        """
        trial = self.trial
        clock = trial.clock_class(trial.world)
        lease = self.lease if trial.needs_lease else None
        traffic: Traffic = FaultyTraffic(trial.world, self._applied)
        environment: Environment = FaultyEnvironment(trial.world, self._stopped)
        if lease is not None:
            traffic = FencedTraffic(traffic, lease)
            environment = FencedEnvironment(environment, lease)
        world = World(
            log=FaultyLog(trial.world, self._recorded, lease),
            traffic=StalledTraffic(trial.world, traffic),
            signals=FaultySignals(trial.world, clock),
            environment=environment,
            gates={kind: FaultyGate(trial.world) for kind in GATE_KINDS},
            variables={"green_url": "http://green"},
            clock=clock,
            notifier=Silence(),
            workers=SlowWorkers(trial.world),
            lock=trial.traffic_lock.of(self),
            signer=trial,
            lease=lease,
        )
        self.controller = trial.controller_class(
            plan=trial.plan,
            progress=trial.desk().progress(),
            world=world,
            show=self._show,
            memory=trial.recall(),
            pid=PID,
        )

    def end(self) -> None:
        """The kernel lets go of its locks; its lease must end by itself."""
        self.trial.traffic_lock.of(self).release()

    def _recorded(self, events: Sequence[Recorded]) -> None:
        self.trial.court.acts(holds_lease=self.lease.is_held, skew_s=self.skew_s)
        self.trial.court.recorded(events)

    def _applied(self, split: Split) -> None:
        self.trial.court.acts(holds_lease=self.lease.is_held, skew_s=self.skew_s)
        self.trial.court.applied(split)

    def _stopped(self, colour: Colour) -> None:
        self.trial.court.acts(holds_lease=self.lease.is_held, skew_s=self.skew_s)
        self.trial.court.stopped(colour)

    def _show(self, snapshot: Snapshot) -> None:
        if self.trial.world.strikes("show_fails"):
            raise LogFault("no space left on device")
        self.trial.snapshot = snapshot


class Trial:
    """One seed. `controller_class`, `needs_lease` and `clock_class` are what the tests of the laws break."""

    key = "none"

    def __init__(
        self,
        seed: int,
        *,
        controller_class: type[Controller] = Controller,
        needs_lease: bool = True,
        clock_class: type[ProcessClock] = ProcessClock,
    ) -> None:
        self.seed = seed
        self.clock_class = clock_class
        self.controller_class = controller_class
        self.needs_lease = needs_lease
        self.world = FaultyWorld(seed)
        dice = self.world.dice
        self.text = PLAN.format(
            retire=dice.choice(("never", "after")),
            slow=dice.choice(("roll_back", "step_back", "hold")),
            internal=dice.choice(("0s", "2s")),
            on_fail=dice.choice(("hold", "roll_back")),
        )
        self.plan = parse(self.text, file="ordeal.yaml")
        self.court = Court(self.world, self.plan)
        self.lease = MemoryLease(lambda: self.world.witness.elapsed_s, length_s=LEASE_S)
        self.traffic_lock = OwnedLock()
        self.snapshot: Snapshot | None = None
        self.process: Process | None = None
        self.steps = 0
        self.world.interrupt, self.world.take_over = self.ask, self.take_over

    # What is around a controller.

    def sign(self, message: bytes) -> bytes:  # noqa: ARG002 - the port
        """A signer that never can: the evidence must stand all the same."""
        raise KeyFault("no key in an ordeal")

    def recall(self) -> dict[str, Any] | None:
        """What the last controller has left behind, as a file gives it back; it may be lost or damaged."""
        if self.snapshot is None or self.world.strikes("memory_lost"):
            return None
        document: dict[str, Any] = json.loads(json.dumps(seen_document(self.snapshot, pid=PID)))
        return document

    def desk(self) -> Desk:
        control: ControlLock = self.lease.beside()
        return Desk(
            log=DeskLog(self),
            clock=ProcessClock(self.world),
            control=control,
            observed=lambda: seen_document(self.snapshot, pid=PID) if self.snapshot else None,
        )

    def ask(self) -> None:
        """Somebody asks for something, perhaps twice, perhaps in the middle of a tick. No trouble comes between."""
        dice, was_quiet = self.world.dice, self.world.is_quiet
        verb = dice.choice(VERBS)
        times = dice.choice((1, 1, 2))
        self.world.is_quiet = True
        try:
            for _ in range(times):
                self.world.witness.tell(f"desk: {verb}")
                self._ask(verb)
        finally:
            self.world.is_quiet = was_quiet

    def _ask(self, verb: str) -> None:
        desk = self.desk()
        asked: dict[str, Callable[[], object]] = {
            "pause": lambda: desk.pause(reason="", actor="bob"),
            "resume": lambda: desk.resume(reason="", actor="bob"),
            "advance": lambda: desk.advance(reason="", actor="bob"),
            "roll_back": lambda: desk.roll_back(
                reason="",
                actor="bob",
                traffic=FaultyTraffic(self.world, self.court.applied),
                environment=FaultyEnvironment(self.world, self.court.stopped),
                lock=self.traffic_lock.of("desk"),
            ),
        }
        try:
            asked[verb]()
        except (Refused, Fault) as told:
            self.world.witness.tell(f"desk: {type(told).__name__}")
        finally:
            self.traffic_lock.of("desk").release()

    # The trial.

    def run(self) -> Outcome:
        """To its end, or to the first law that is broken."""
        broken = None
        try:
            self.desk().start(self.plan, text=self.text, file="ordeal.yaml", version="1.1.0", actor="ann")
            while not self._is_over():
                self._step()
            self._judge_end()
        except Broken as found:
            broken = found
        known = self.court.progress
        return Outcome(
            seed=self.seed,
            steps=self.steps,
            troubled=self.world.witness.troubled,
            state=known.state.value if known else "not begun",
            version=self.world.version.kind,
            broken=broken,
            trace=tuple(self.world.witness.trace),
        )

    def _is_over(self) -> bool:
        known = self.court.progress
        ended = known is not None and known.is_finished and self.process is None
        return ended or self.steps >= TROUBLED_STEPS + HEALED_STEPS

    def _step(self) -> None:
        world = self.world
        self.steps += 1
        if self.steps == TROUBLED_STEPS:
            world.healed, world.skew_s = True, 0.0
            world.witness.tell("the world is well")
        world.is_quiet = False
        if world.strikes("clock_jumps"):
            world.jump()
        if world.strikes("traffic_tampered"):
            world.traffic.split = Split(
                identifier="none/0", salt="none", green_weight=0, internal_to_green=False
            )
            self.court.reset()
        if world.strikes("desk"):
            self.ask()
        if world.healed:
            self._wake()
        self._tick()
        world.is_quiet = True
        hurries = self.process is not None and self.process.controller is not None
        hurries = hurries and bool(
            self.process and self.process.controller and self.process.controller.hurries
        )
        world.elapse(0.2 if hurries else self.plan.tick_s)

    def _wake(self) -> None:
        """What people do in the end: go on after a pause, and take back what cannot go forward."""
        known = self.court.progress
        if known is None or known.is_finished:
            return
        if known.paused_by is not None:
            self._quietly("resume")
        if self.steps == TROUBLED_STEPS + HEALED_STEPS // 2 and self.world.version.kind != "good":
            self._quietly("roll_back")

    def _quietly(self, verb: str) -> None:
        was_quiet, self.world.is_quiet = self.world.is_quiet, True
        self._ask(verb)
        self.world.is_quiet = was_quiet

    def take_over(self) -> None:
        """The standby's turn, in the middle of a call of the one that is frozen: nothing goes wrong meanwhile."""
        was_quiet, self.world.is_quiet = self.world.is_quiet, True
        known = self.court.progress
        if known is not None and not known.is_finished:
            self.world.witness.tell("a standby takes over")
            self.process = self._begun()
            for _ in range(self.world.dice.choice((1, 3))):
                if self.process is not None:
                    self._tick_of(self.process)
        self.world.is_quiet = was_quiet

    def _tick(self) -> None:
        """One tick of the controller there is; or one more tries to begin."""
        known = self.court.progress
        if self.process is None and known is not None and not known.is_finished:
            self.process = self._begun()
        if self.process is not None:
            self._tick_of(self.process)

    def _begun(self) -> Process | None:
        process = Process(self)
        if not process.has_control:
            return None
        try:
            process.start()
        except (Fault, Refused):
            process.end()
            return None
        return process

    def _tick_of(self, process: Process) -> None:
        witness = self.world.witness
        before, controller = witness.troubled, process.controller
        if controller is None:
            return
        witness.tell("tick")
        position = self.court.progress.position if self.court.progress else 0
        try:
            controller.tick()
        except Killed as killed:
            witness.tell(f"killed at {killed}")
            self._bury(process)
            return
        except Broken:
            raise
        except Exception as error:
            raise Broken("tick-never-raises", repr(error)) from error
        if controller.is_done:
            self._bury(process)
        if controller.has_lost_lease:
            witness.tell("the lease is lost")
        elif witness.troubled == before:
            self.court.undisturbed(self.snapshot, since=position)

    def _bury(self, process: Process) -> None:
        process.end()
        if process is self.process:
            self.process = None

    def _judge_end(self) -> None:
        events = self.world.log.read(self.world.log.rollouts()[0])
        self.court.ended(events=events)
        text = audit.export(events, self.plan, at=self.world.clock.now(), by="ordeal", signer=None)
        try:
            checked = audit.verified(text.encode(), verify=verify)
            audit.replayed(checked)
        except Refused as refusal:
            raise Broken("evidence-agrees", str(refusal)) from refusal
        if checked.uncovered:
            raise Broken("decision-has-entry", f"positions {checked.uncovered}")


class DeskLog:
    """The log as the desk has it: nothing goes wrong, but everything is judged."""

    def __init__(self, trial: Trial) -> None:
        self._log, self._court = trial.world.log, trial.court

    def append(self, rollout: str, *, after: int, events: Sequence[Any]) -> list[Recorded]:
        recorded = self._log.append(rollout, after=after, events=events)
        self._court.recorded(recorded)
        return recorded

    def read(self, rollout: str, *, after: int = 0) -> list[Recorded]:
        return self._log.read(rollout, after=after)

    def rollouts(self) -> list[str]:
        return self._log.rollouts()
