"""People at the desk: what they ask, at any moment, of what they have seen, and again when nobody answered them.

Some of them may not ask what they ask: who started a rollout says yes to it, somebody says yes to what was there
before, or to nothing. The desk must refuse that; the laws look at what came into the log.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tranche.desk import Desk
from tranche.ordeal.court import Court
from tranche.ordeal.faulty import FaultyEnvironment, FaultyTraffic, LockHandle, OwnedLock
from tranche.ordeal.scene import OTHERS, STARTER, Scene
from tranche.ordeal.world import FIRST, FaultyWorld
from tranche.ports import Fault, LogFault, Recorded
from tranche.refusal import Refused

VERBS: Final = (
    *("pause", "retarget", "hotfix") * 3,
    *("resume", "advance", "approve") * 5,
    *("revoke", "roll_back"),
)
EFFECTS: Final = {
    "pause": "paused/1",
    "resume": "resumed/1",
    "advance": "advance-requested/1",
    "approve": "approval-given/1",
    "revoke": "approval-revoked/1",
    "hotfix": "hotfix-declared/1",
    "retarget": "retargeted/1",
    "roll_back": "rollback-decided/1",
}
"""What each request leaves in the log."""

Ask = Callable[[], object]


@dataclass(slots=True)
class DeskLog:
    """The log as the desk has it: it can be written, everything is judged, and the answer may be lost on its way."""

    world: FaultyWorld
    court: Court
    may_lose: bool = False
    recorded: list[str] | None = None

    def append(self, rollout: str, *, after: int, events: Sequence[Any]) -> list[Recorded]:
        found = self.world.log.append(rollout, after=after, events=events)
        self.court.recorded(found)
        if self.recorded is not None:
            self.recorded += [each.type for each in found]
        if self.may_lose:
            self.may_lose = False
            raise LogFault("the connection was lost")
        return found

    def read(self, rollout: str, *, after: int = 0) -> list[Recorded]:
        return self.world.log.read(rollout, after=after)

    def rollouts(self) -> list[str]:
        return self.world.log.rollouts()


class People:
    """Everybody who may ask for something. `desk` makes them a desk that works on this log."""

    def __init__(
        self,
        world: FaultyWorld,
        court: Court,
        scene: Scene,
        *,
        desk: Callable[[DeskLog], Desk],
        lock: OwnedLock,
    ) -> None:
        self._world, self._court, self._scene = world, court, scene
        self._desk, self._lock = desk, lock
        self._looks: list[tuple[str, str]] = []
        due = {"retarget": scene.replaced_at_s, "pause": scene.paused_at_s}
        self._due = {verb: at_s for verb, at_s in due.items() if at_s is not None}
        self.told: Counter[tuple[str, str]] = Counter()
        """How often each verb was done, or refused and why."""

    # Somebody, at any moment.

    def come(self) -> None:
        """Somebody asks for something, perhaps twice. No other trouble comes between."""
        dice, was_quiet = self._world.dice, self._world.is_quiet
        verb, actor, times = dice.choice(VERBS), dice.choice((STARTER, *OTHERS)), dice.choice((1, 1, 2))
        is_lost = self._world.strikes("answer_lost")
        self._world.is_quiet = True
        try:
            self.ask(verb, actor, times=max(times, 2) if is_lost else times, is_lost=is_lost)
        finally:
            self._world.is_quiet = was_quiet

    def ask(self, verb: str, actor: str, *, times: int = 1, is_lost: bool = False) -> None:
        """This request, so many times; with `is_lost` the first is done and its answer does not come."""
        log = DeskLog(self._world, self._court, recorded=[])
        desk = self._desk(log)
        try:
            asked = self._meant(desk, verb, actor)
            log.may_lose = is_lost
            for _ in range(times):
                self._send(verb, actor, asked)
            done = log.recorded.count(EFFECTS[verb]) if log.recorded else 0
            self._court.done(verb, times=times, events=done)
        except Refused as refusal:
            self._tell(verb, actor, refusal.code)

    def _send(self, verb: str, actor: str, asked: Ask) -> None:
        told = "done"
        try:
            asked()
        except Refused as refusal:
            told = refusal.code
        except Fault as fault:
            told = "answer lost" if isinstance(fault, LogFault) else type(fault).__name__
        finally:
            self._handle().release()
        self._tell(verb, actor, told)

    def _tell(self, verb: str, actor: str, told: str) -> None:
        self.told[verb, told] += 1
        self._world.witness.tell(f"{actor} asks: {verb}: {told}")

    def _handle(self) -> LockHandle:
        return self._lock.of("desk")

    def _meant(self, desk: Desk, verb: str, actor: str) -> Ask:
        """What is asked, the same however often it is: what was seen is seen once."""
        dice = self._world.dice
        match verb:
            case "approve":
                gate, evidence = self._seen(desk)
                return lambda: desk.approve(gate=gate, evidence=evidence, reason="", actor=actor)
            case "revoke":
                return lambda: desk.revoke(gate=None, reason="", actor=actor)
            case "retarget":
                version = dice.choice((FIRST, self._court.ledger.version, *self._newer() * 4))
                self._world.bring(version)
                return lambda: desk.retarget(version=version, reason="", actor=actor)
            case "roll_back":
                force = dice.random() < 0.5
                return lambda: self._roll_back(desk, actor, force=force)
            case "pause":
                return lambda: desk.pause(reason="", actor=actor)
            case "resume":
                return lambda: desk.resume(reason="", actor=actor)
            case "advance":
                return lambda: desk.advance(reason="", actor=actor)
            case "hotfix":
                return lambda: desk.hotfix(reason="", actor=actor)
        raise AssertionError(f"nobody asks for '{verb}'")

    def _newer(self) -> tuple[str]:
        return (f"1.{len(self._world.versions) + 1}.0",)

    def _seen(self, desk: Desk, *, is_now: bool = False) -> tuple[str, str]:
        """The evidence of some approval: as it is now, as it was when somebody looked, or none."""
        dice = self._world.dice
        when = "now" if is_now else dice.choice(("now", "now", "before", "before", "never"))
        if when == "never":
            return "owner", "sha256:" + "0" * 64
        if when == "before" and self._looks:
            return dice.choice(self._looks)
        case = desk.case()[0]
        self._looks.append((case["gate"], case["digest"]))
        return self._looks[-1]

    def _roll_back(self, desk: Desk, actor: str, *, force: bool) -> None:
        desk.roll_back(
            reason="",
            actor=actor,
            traffic=FaultyTraffic(self._world, self._court.applied),
            environment=FaultyEnvironment(self._world, self._court.stopped),
            lock=self._handle(),
            force=force,
        )

    # Those who look after it.

    def look(self, *, is_last: bool) -> None:
        """One of them looks: says yes where that is asked, or takes it back; lets go on what was paused, if that is
        asked of them; brings the newer version when it is built.
        """
        known, dice = self._court.ledger, self._world.dice
        thrown, actor = dice.random(), dice.choice(OTHERS)
        if known.is_finished or known.rollback is not None:
            return
        was_quiet, self._world.is_quiet = self._world.is_quiet, True
        for verb in [verb for verb, at_s in self._due.items() if self._world.witness.elapsed_s >= at_s]:
            del self._due[verb]
            self.ask(verb, dice.choice((STARTER, actor)))
        now = self._world.clock.now()
        if self._scene.is_frozen(now, now):
            pass  # nobody is there
        elif known.is_paused:
            if is_last and thrown < 0.5:
                self.ask("resume", actor)
        elif thrown < 0.35:
            self._say(actor, thrown)
        self._world.is_quiet = was_quiet

    def _say(self, actor: str, thrown: float) -> None:
        known, asked = self._court.ledger, self._scene.asked
        if asked is not None and asked.phase == known.phase and not known.internal_only:
            given = known.counting(asked.gate, approvers=asked.approvers, now=self._world.clock.now())
            if len(given) < asked.people:
                self._agree(self._world.dice.choice(asked.approvers or (STARTER, *OTHERS)))
            elif thrown < 0.05:
                self.ask("revoke", actor)
        elif thrown < 0.02 and known.has_users:
            self.ask("advance", actor)

    def _agree(self, actor: str) -> None:
        desk = self._desk(DeskLog(self._world, self._court))
        try:
            gate, evidence = self._seen(desk, is_now=True)
            self._send(
                "approve",
                actor,
                lambda: desk.approve(gate=gate, evidence=evidence, reason="", actor=actor),
            )
        except Refused as refusal:
            self._tell("approve", actor, refusal.code)

    def give_up(self) -> None:
        """Take back what does not come to its end."""
        was_quiet, self._world.is_quiet = self._world.is_quiet, True
        desk = self._desk(DeskLog(self._world, self._court))
        self._send("roll_back", "bob", lambda: self._roll_back(desk, "bob", force=True))
        self._world.is_quiet = was_quiet
