"""One trial: a rollout of the real controller from one seed, judged after every step.

Controllers are started, ticked, killed and started anew; a standby tries to take over; people at the desk ask for
things, also in the middle of a controller's call. After a while the world is well again, and the rollout must end.
"""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from tranche import audit
from tranche.adapters.ed25519 import verify
from tranche.adapters.fenced import FencedEnvironment, FencedTraffic
from tranche.adapters.memory import MemoryLease
from tranche.controller import Controller, Snapshot, World
from tranche.desk import ControlLock, Desk
from tranche.gate_kinds import GATE_KINDS
from tranche.language import parse
from tranche.ordeal.court import Court
from tranche.ordeal.faulty import (
    FaultyEnvironment,
    FaultyGate,
    FaultyLog,
    FaultySignals,
    FaultyTraffic,
    OwnedLock,
    ProcessClock,
    Silence,
    SlowWorkers,
    StalledTraffic,
)
from tranche.ordeal.law import Broken
from tranche.ordeal.people import DeskLog, People
from tranche.ordeal.scene import STARTER, Scene
from tranche.ordeal.world import FIRST, LEASE_S, FaultyWorld, Killed
from tranche.ports import Colour, Environment, Fault, KeyFault, LogFault, Recorded, Split, Traffic
from tranche.refusal import Refused
from tranche.status import seen_document

TROUBLED_STEPS: Final = 60
HEALED_STEPS: Final = 150
RESTING_STEPS: Final = 25
"""So long nothing is recorded before a rollout that nobody looks after is said to rest: longer than any phase."""
SOON: Final = timedelta(minutes=2)
THAWED: Final = timedelta(seconds=RESTING_STEPS)
PID: Final = 4711


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a seed: how it ended or where it rests, or which law was broken and how.

    The counters say what was injected, how often each law was put to the test, and what people asked and were told.
    """

    seed: int
    steps: int
    state: str
    version: str
    broken: Broken | None
    troubles: Counter[str]
    laws: Counter[str]
    asked: Counter[tuple[str, str]]
    trace: tuple[str, ...]

    @property
    def troubled(self) -> int:
        """How many faults were injected."""
        return self.troubles.total()


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
    """One seed. The classes, and `needs_lease`, are what the tests of the laws break; `arrange` may change what was
    diced before it begins, so that they need not wait for the rare scene in which theirs shows.
    """

    key = "none"

    def __init__(
        self,
        seed: int,
        *,
        controller_class: type[Controller] = Controller,
        needs_lease: bool = True,
        clock_class: type[ProcessClock] = ProcessClock,
        arrange: Callable[["Trial"], None] = lambda _: None,
    ) -> None:
        self.seed = seed
        self.clock_class = clock_class
        self.controller_class = controller_class
        self.needs_lease = needs_lease
        self.world = FaultyWorld(seed)
        self.scene = Scene.diced(self.world.dice)
        arrange(self)
        self.world.begin(self.scene.starts_at)
        self.plan = parse(self.scene.text, file="ordeal.yaml")
        self.court = Court(self.world, self.scene, self.plan)
        self.lease = MemoryLease(lambda: self.world.witness.elapsed_s, length_s=LEASE_S)
        self.traffic_lock = OwnedLock()
        self.people = People(self.world, self.court, self.scene, desk=self.desk, lock=self.traffic_lock)
        self.snapshot: Snapshot | None = None
        self.process: Process | None = None
        self.steps = self._moved_at = 0
        self.world.interrupt, self.world.take_over = self.people.come, self.take_over

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

    def desk(self, log: DeskLog | None = None) -> Desk:
        control: ControlLock = self.lease.beside()
        return Desk(
            log=log or DeskLog(self.world, self.court),
            clock=ProcessClock(self.world),
            control=control,
            observed=lambda: seen_document(self.snapshot, pid=PID) if self.snapshot else None,
        )

    # The trial.

    def run(self) -> Outcome:
        """To its end, or to the first law that is broken."""
        broken, state = None, "not begun"
        try:
            self.desk().start(
                self.plan, text=self.scene.text, file="ordeal.yaml", version=FIRST, actor=STARTER
            )
            while not self._is_over():
                self._step()
            state = self._judge_end()
        except Broken as found:
            broken = found
        return Outcome(
            seed=self.seed,
            steps=self.steps,
            state=state,
            version=self.world.version_of(self.court.ledger.version).kind,
            broken=broken,
            troubles=self.world.witness.troubles,
            laws=self.court.asked,
            asked=self.people.told,
            trace=tuple(self.world.witness.trace),
        )

    def _is_over(self) -> bool:
        ended = self.court.ledger.is_finished and self.process is None
        return ended or self._rests() or self.steps >= TROUBLED_STEPS + HEALED_STEPS

    def _rests(self) -> bool:
        """Whether nobody looks after it and nothing has come of it for long, with no freeze to end meanwhile."""
        is_left = self.world.healed and not self.scene.is_attended
        since = max(self._moved_at, TROUBLED_STEPS)
        return is_left and self.steps - since >= RESTING_STEPS and not self._thaws()

    def _thaws(self) -> bool:
        """Whether a freeze ends soon, or has just ended, by the clock of whoever runs."""
        frozen, skew_s = self.scene.frozen, self.process.skew_s if self.process is not None else 0.0
        if frozen is None or frozen.ends - self.scene.starts_at > SOON:
            return False
        return self.world.clock.now() + timedelta(seconds=skew_s) < frozen.ends + THAWED

    def _step(self) -> None:
        world, position = self.world, self.court.ledger.position
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
            self.people.come()
        if self.scene.is_attended or not world.healed:
            self.people.look(is_last=self.scene.is_attended)
        if self.steps == TROUBLED_STEPS + HEALED_STEPS // 2 and not self.court.ledger.is_finished:
            self.people.give_up()
        self._tick()
        world.is_quiet = True
        controller = self.process.controller if self.process is not None else None
        world.elapse(0.2 if controller is not None and controller.hurries else self.plan.tick_s)
        if self.court.ledger.position != position:
            self._moved_at = self.steps

    def take_over(self) -> None:
        """The standby's turn, in the middle of a call of the one that is frozen: nothing goes wrong meanwhile."""
        was_quiet, self.world.is_quiet = self.world.is_quiet, True
        if not self.court.ledger.is_finished:
            self.world.witness.tell("a standby takes over")
            self.process = self._begun()
            for _ in range(self.world.dice.choice((1, 3))):
                if self.process is not None:
                    self._tick_of(self.process)
        self.world.is_quiet = was_quiet

    def _tick(self) -> None:
        """One tick of the controller there is; or one more tries to begin."""
        if self.process is None and not self.court.ledger.is_finished:
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
        before, began_s, controller = witness.troubled, witness.elapsed_s, process.controller
        if controller is None:
            return
        witness.tell("tick")
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
        self.court.asked["tick-never-raises"] += 1
        if controller.is_done:
            self._bury(process)
        if controller.has_lost_lease:
            witness.tell("the lease is lost")
        is_undisturbed = witness.troubled == before and not controller.has_lost_lease
        self.court.ticked(process, began_s=began_s, is_undisturbed=is_undisturbed)

    def _bury(self, process: Process) -> None:
        process.end()
        if process is self.process:
            self.process = None

    # Its end.

    def _judge_end(self) -> str:
        """How it has ended, or why it rests; its evidence as an auditor would check it."""
        known, events = self.court.ledger, self.world.log.read(self.world.log.rollouts()[0])
        state = "rolled back" if known.rolled_back else "completed"
        if not known.is_finished:
            rests = None if self.scene.is_attended else self.court.rests()
            self.court.must("it-ends", rests is not None, f"phase {known.phase}, held for {known.held}")
            state = rests or "held"
        self.court.asked["it-ends"] += 1
        try:
            text = audit.export(events, self.plan, at=self.world.clock.now(), by="ordeal", signer=None)
            checked = audit.verified(text.encode(), verify=verify)
            audit.replayed(checked)
        except LogFault as fault:
            raise Broken("log-folds", str(fault)) from fault
        except Refused as refusal:
            raise Broken("evidence-agrees", str(refusal)) from refusal
        self.court.asked["evidence-agrees"] += 1
        self.court.must("decision-has-entry", not checked.uncovered, f"positions {checked.uncovered}")
        return state
