"""What must never happen, as far as it is the engine's to prevent: each law has a name, and is judged by what really
happened (`Witness`, the log, the data plane), never by what a controller believed.

The numbers in the names of the design's list: 1 traffic on a version known to be bad; 2 an advance without every pass;
3 a user thrown back; 8 a pass of what did not run. The rest is what those rest on.
"""

from collections.abc import Sequence
from typing import Final

from tranche import approval
from tranche.audit import DECISIONS
from tranche.controller import Snapshot
from tranche.events import Completed, Event, PhaseEntered, RollbackDecided, SteppedBack, WeightApplied, decode
from tranche.ordeal.world import SLOWEST_S, STALLED_S, FaultyWorld
from tranche.plan import Answer, Plan
from tranche.ports import Colour, LogFault, Recorded, Split, Stage, Verdict
from tranche.progress import Progress, evolve, whole

LAWS: Final = {
    "bad-traffic-ends": "1: a tick in which nothing failed leaves no user on a version that was decided against",
    "advance-on-passes": "2, 8: forward only with every gate's own pass, fresh data, green there and nobody pausing",
    "users-stay": "3: green's weight falls only when the log says step back or roll back, and the salt never changes",
    "act-after-record": "traffic moves to nothing that is not in the log, but back to blue when it cannot be written",
    "stop-after-act": "green stops when it has no users, blue when green was shown good for everybody",
    "one-controller-acts": "who does not hold the lease records nothing, moves nothing and stops nothing",
    "applied-was-served": "a weight that is recorded as applied is served at that moment",
    "serves-what-the-log-says": "a tick in which nothing failed leaves the data plane as the log has it",
    "rollback-is-final": "after a rollback was decided nothing goes forward",
    "log-folds": "the log can always be read, and says nothing after the end",
    "decision-has-entry": "no decision without its entry in the chain, in the same append",
    "evidence-agrees": "the evidence verifies, and every decision comes out again",
    "tick-never-raises": "no fault of the world ends the loop",
    "bad-never-completes": "a version that fails three requests in ten is not given to everybody for good",
    "it-ends": "once the world is well, a rollout comes to its end",
}


ROUNDING_S: Final = 0.01
BAD_FOR_S: Final = 4.0
"""Seconds of three failures in ten that nobody may complete on: some two hundred failed requests at the least."""


class Broken(Exception):
    """A law was broken: its name, and how."""

    def __init__(self, law: str, how: str) -> None:
        super().__init__(f"{law}: {how} ({LAWS[law]})")
        self.law = law


class Court:
    """Judges one trial as it goes."""

    def __init__(self, world: FaultyWorld, plan: Plan) -> None:
        self._world, self._plan = world, plan
        self._served: Split | None = None
        self._may_fall = False
        self.progress: Progress | None = None
        self._completed_at_s: float | None = None
        self._served_since: dict[str, float] = {}
        self._skew_s = 0.0
        self._skews_s: dict[str, set[float]] = {}

    # What was recorded.

    def recorded(self, events: Sequence[Recorded]) -> None:
        """Every append, whoever made it; `progress` is the rollout as the log has it now."""
        kinds = [each.type for each in events]
        for number, recorded in enumerate(events):
            event = decode(recorded)
            if recorded.type in DECISIONS and "attested/1" not in kinds[:number]:
                raise Broken("decision-has-entry", f"{recorded.type} at {recorded.position}")
            if self.progress is not None:
                self._event(event, self.progress)
            try:
                self.progress = evolve(self.progress, recorded)
            except LogFault as fault:
                raise Broken("log-folds", str(fault)) from fault
            self._world.witness.tell(f"{recorded.position:4d} {recorded.actor}: {recorded.type}")

    def _event(self, event: Event, before: Progress) -> None:
        if before.rolled_back_at is not None:
            raise Broken("log-folds", f"{type(event).__name__} after the rollout was rolled back")
        match event:
            case PhaseEntered() | Completed():
                self._forward(event, before)
            case SteppedBack() if before.rollback is not None:
                raise Broken("rollback-is-final", "stepped back")
            case SteppedBack():
                self._may_fall = True
            case WeightApplied():
                split = self._world.traffic.split
                if split is None or split.identifier != event.identifier:
                    served = split.identifier if split else "nothing"
                    raise Broken("applied-was-served", f"{event.identifier} while {served} is")
                self._skews_s.setdefault(event.identifier, set()).add(self._skew_s)
            case RollbackDecided() if before.rollback is not None:
                raise Broken("rollback-is-final", "decided twice")

    def _forward(self, event: PhaseEntered | Completed, before: Progress) -> None:
        law, world, stay = "advance-on-passes", self._world, before.stay
        if before.rollback is not None or before.completed_at is not None:
            raise Broken("rollback-is-final", f"{type(event).__name__} after the end was decided")
        if before.paused_by is not None:
            raise Broken(law, f"paused by {before.paused_by}")
        if isinstance(event, PhaseEntered) and event.phase != stay.phase + (not stay.internal_only):
            raise Broken(law, f"phase {event.phase} after {stay.phase}")
        self._fresh()
        seen = world.witness.seen_green
        if seen is None or world.witness.looked_at_s - seen[0] > self._plan.stale_after_s + ROUNDING_S:
            raise Broken(law, "green was not looked at")
        if seen[1].stage is not Stage.READY or seen[1].version != before.version:
            raise Broken(law, f"green was {seen[1]}")
        if before.applied != before.requested.identifier:
            raise Broken(law, f"{before.requested.identifier} was not confirmed")
        if not stay.internal_only:
            self._gates(before)
        self._dwelt(before)
        if isinstance(event, Completed):
            self._completed_at_s = world.witness.elapsed_s

    def _fresh(self) -> None:
        """Data is as old as it was when it was decided on; recording that may be slow by one call."""
        law, witness = "advance-on-passes", self._world.witness
        if witness.elapsed_s - witness.looked_at_s > SLOWEST_S + STALLED_S + ROUNDING_S:
            raise Broken(law, "nobody has asked for counters")
        age_s = witness.looked_at_s - (witness.scraped_at_s if witness.scraped_at_s is not None else -1e9)
        if age_s > self._plan.stale_after_s + ROUNDING_S:
            raise Broken(law, f"the counters were {age_s:.1f} s old")

    def _dwelt(self, before: Progress) -> None:
        """By time that never jumps. Not where processes whose clocks differ have entered and left the phase."""
        stay, phase = before.stay, self._plan.phases[before.stay.phase]
        wanted_s = phase.internal_users_first_s if stay.internal_only else phase.dwell_s
        lasted_s = self._world.witness.elapsed_s - self._served_since.get(stay.identifier, 1e9)
        is_early = lasted_s < wanted_s - ROUNDING_S and stay.dwell_waived_by is None
        if is_early and self._skews_s.get(stay.identifier) == {self._skew_s}:
            raise Broken("advance-on-passes", f"after {lasted_s:.1f} s of {wanted_s:g} s")

    def _gates(self, before: Progress) -> None:
        """By what the gates have answered in the log: that is recorded before any decision may rest on it."""
        for gate in self._plan.phases[before.stay.phase].gates:
            answered = before.stay.gates.get(gate.name)
            if gate.kind != approval.KIND and (answered is None or answered.verdict is not Verdict.PASS):
                told = answered.verdict if answered else "nothing"
                raise Broken("advance-on-passes", f"gate '{gate.name}' answered {told}")

    # What was done.

    def applied(self, split: Split) -> None:
        """Every split, right before the data plane takes it."""
        known = self.progress
        if known is None:
            raise Broken("act-after-record", "there is no rollout")
        self._served_since.setdefault(split.identifier, self._world.witness.elapsed_s)
        self._skews_s.setdefault(split.identifier, set()).add(self._skew_s)
        is_back = split.green_weight == 0 and not split.internal_to_green
        if split.identifier == f"{known.rollout}/unrecorded" and is_back:
            self._served = split
            return
        number = int(split.identifier.rpartition("/")[2])
        if number >= known.requests:
            raise Broken("act-after-record", f"{split.identifier} is not in the log")
        if known.rollback is not None and not is_back and split == known.requested:
            raise Broken("rollback-is-final", f"{split.identifier} gives green users")
        if self._served is not None:
            self._stays(self._served, split, known)
        self._served = split

    def _stays(self, before: Split, after: Split, known: Progress) -> None:
        if after.salt != before.salt:
            raise Broken("users-stay", "another salt")
        falls = after.green_weight < before.green_weight or before.internal_to_green > after.internal_to_green
        if falls and known.rollback is None and not self._may_fall:
            raise Broken("users-stay", f"{before} became {after}")
        self._may_fall = self._may_fall and not falls

    def stopped(self, colour: Colour) -> None:
        """A colour, right before it stops."""
        split, known = self._world.traffic.split, self.progress
        has_users = split is not None and (split.green_weight > 0 or split.internal_to_green)
        if colour is Colour.GREEN and (known is None or known.rollback is None or has_users):
            raise Broken("stop-after-act", "green has users, or nobody decided it")
        if colour is Colour.BLUE and (
            known is None or known.completed_at is None or known.rollback is not None
        ):
            raise Broken("stop-after-act", "blue may still be needed")

    def acts(self, *, holds_lease: bool, skew_s: float) -> None:
        """Whoever records, moves or stops something, at that moment; by how much its clock was wrong when it began."""
        self._skew_s = skew_s
        if not holds_lease:
            raise Broken("one-controller-acts", "a controller without the lease")

    # What a step has left behind.

    def reset(self) -> None:
        """Somebody else has changed what the data plane serves: from here on, compare with that."""
        self._served = None

    def undisturbed(self, shown: Snapshot | None, *, since: int) -> None:
        """After a tick in which nothing failed and nobody interfered. `since` is where the log was before it."""
        known, split = self.progress, self._world.traffic.split
        if known is None or known.is_finished:
            return
        if shown is not None and shown.progress.position >= since:
            self._known_bad(shown, known)
        has_users = split is not None and (split.green_weight > 0 or split.internal_to_green)
        if known.rollback is not None and has_users:
            raise Broken("bad-traffic-ends", f"{split} is served after a rollback was decided")
        if split is None or split.identifier != known.requested.identifier:
            served = split.identifier if split else "nothing"
            raise Broken(
                "serves-what-the-log-says", f"{served} is served, {known.requested.identifier} asked"
            )

    def _known_bad(self, shown: Snapshot, known: Progress) -> None:
        """Whether the evidence of this tick has crossed a line, and the tick has not answered."""
        evidence, health = shown.evidence, self._plan.health
        is_dying = evidence.green is not None and evidence.green.restarts > health.restarts
        is_harmful = evidence.harm is not None and evidence.harm.verdict is Verdict.FAIL
        since = evidence.unhealthy_since
        is_dead = since is not None and (shown.at - since).total_seconds() >= health.unhealthy_for_s
        is_broken = any(
            found.reading.verdict is Verdict.FAIL and found.limit.answer is Answer.ROLL_BACK
            for found in evidence.limits
            if not found.blue_too
        )
        crossed = is_dying or is_dead or is_harmful or is_broken
        if known.rollback is None and known.has_users and crossed:
            raise Broken("bad-traffic-ends", "the evidence has crossed the line, and nothing was decided")

    def ended(self, *, events: Sequence[Recorded]) -> None:
        """At the end of a trial."""
        known = whole(events)
        if not known.is_finished:
            raise Broken("it-ends", f"{known.state.value} in {known.stay.name}, held for {known.held}")
        version, at_s = self._world.version, self._completed_at_s
        if version.kind == "errors" and at_s is not None and at_s > version.bad_from_s + BAD_FOR_S:
            raise Broken(
                "bad-never-completes", f"completed after {at_s:.0f} s, bad from {version.bad_from_s:g} s"
            )
