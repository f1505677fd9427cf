"""Judges a trial as it goes: every append, every act and every tick, each by the laws it may break.

It reads the log by itself (`ledger.py`), knows what really happened (`Witness`) and what the plan was meant to be
(`scene.py`). It never asks the engine what it would decide.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from tranche.ordeal.law import Broken
from tranche.ordeal.ledger import Json, Ledger, said
from tranche.ordeal.scene import Scene
from tranche.ordeal.world import GREEN_ARMS, SLOWEST_S, STALLED_S, FaultyWorld, artifact_of
from tranche.plan import Plan
from tranche.ports import Colour, Recorded, Split, Stage

DECISIONS: Final = {"phase-entered/1", "stepped-back/1", "rollback-decided/1", "completed/1", "held/1"}
ASKS: Final = {
    "started/1",
    "version-identified/1",
    "paused/1",
    "resumed/1",
    "advance-requested/1",
    "hotfix-declared/1",
    "retargeted/1",
    "approval-given/1",
    "approval-revoked/1",
}
FORWARD: Final = {"phase-entered/1", "completed/1"}
BLAMES: Final = ("judge", "limit", "harm budget", "restarts", "failed", "health")
"""Causes that say something of the version itself."""

ROUNDING_S: Final = 0.01
BAD_FOR_S: Final = 4.0
"""Seconds of three failures in ten in one stay, behind which nothing goes forward: two dozen failed requests."""
SEEN_BAD_S: Final = 6.0
"""Seconds for which one controller may look at a bad version without a fault in between: the slowest limit takes 4."""


class Court:
    """The judge of one trial. `asked` is how often each law was put to the test."""

    def __init__(self, world: FaultyWorld, scene: Scene, plan: Plan) -> None:
        self._world, self._scene, self._plan = world, scene, plan
        self.ledger = Ledger()
        self.asked: Counter[str] = Counter()
        self._served: Split | None = None
        self._may_fall = False
        self._brought_at_s = 0.0
        self._served_since: dict[str, float] = {}
        self._skew_s = 0.0
        self._skews_s: dict[str, set[float]] = {}
        self._bad: tuple[object, float] | None = None

    def must(self, law: str, holds: bool, how: str) -> None:
        """Raise Broken unless it holds."""
        self.asked[law] += 1
        if not holds:
            raise Broken(law, how)

    # What was recorded.

    def recorded(self, events: Sequence[Recorded]) -> None:
        """Every append, whoever made it."""
        has_entry, is_vouched_for = False, any(each.type == "attested/1" for each in events)
        for each in events:
            known = self.ledger
            where = f"{each.type} at {each.position}"
            self.must("log-folds", not known.rolled_back, f"{where}, after the rollout was rolled back")
            if each.type == "attested/1":
                has_entry = True
                self._counted((said(each).get("evidence") or {}).get("arms", {}))
            if each.type in DECISIONS:
                self.must("decision-has-entry", has_entry, where)
            if each.type in ASKS:
                self.must("decision-has-entry", is_vouched_for, where)
            self._event(each)
            known.take(each)
            self._world.witness.tell(f"{each.position:4d} {each.actor}: {each.type}")

    def _event(self, event: Recorded) -> None:
        known, data = self.ledger, event.data
        if event.type in FORWARD:
            self._forward(event)
        match event.type.partition("/")[0]:
            case "stepped-back":
                self.must("rollback-is-final", known.rollback is None, "stepped back")
                self._back(data)
                self._may_fall, self._bad = (
                    True,
                    None,
                )  # answered: it may show itself anew at the lower weight
            case "rollback-decided":
                self.must("rollback-is-final", known.rollback is None, "decided twice")
                self._back(data)
            case "retargeted":
                self.must(
                    "rollback-is-final", known.rollback is None and not known.completed, "another version"
                )
                self._once(known.version != data["version"], "a version was replaced by itself")
                self._may_fall, self._brought_at_s = True, self._world.witness.elapsed_s
            case "weight-applied":
                self._applied(str(data["identifier"]))
            case "measured":
                self._counted(data["arms"])
            case "gate-answered" | "green-ready":
                self._of_this_version(event)
            case "version-identified":
                found, is_it = (data["version"], data["digest"]), artifact_of(known.version)
                self.must("only-this-version", found == (known.version, is_it), f"{found} is brought in")
            case "stopped" if data["colour"] == Colour.BLUE.value:
                self.must("stop-after-act", known.blue_retired, "blue stopped, and nobody decided it")
                self._once(not known.blue_stopped, "blue stopped twice")
            case _:
                self._asked(event)

    def _applied(self, identifier: str) -> None:
        split = self._world.traffic.split
        served = split.identifier if split else "nothing"
        holds = served == identifier or served.endswith(
            "/aborted"
        )  # by who does not wait: the next tick sees it
        self.must("applied-was-served", holds, f"{identifier} while {served} is")
        self._skews_s.setdefault(identifier, set()).add(self._skew_s)

    def _asked(self, event: Recorded) -> None:
        """What people ask: each has its effect once."""
        known, data = self.ledger, event.data
        match event.type.partition("/")[0]:
            case "paused":
                self._once(not known.is_paused, "paused while it was paused")
            case "resumed":
                self._once(known.is_paused, "resumed while nobody paused")
            case "advance-requested":
                self._once(not known.is_waived, "the same dwell was ended twice")
            case "hotfix-declared":
                self._once(not known.is_hotfix, "declared a hotfix twice")
            case "retired":
                self._once(not known.blue_retired, "blue was retired twice")
            case "approval-given":
                now = event.at
                counts = known.counting(str(data["gate"]), approvers=(), now=now)
                same = any(yes.by == event.actor and yes.digest == data["digest"] for yes in known.yes)
                self._once(not (same and event.actor in counts), f"{event.actor} said yes twice")

    def _once(self, holds: bool, how: str) -> None:
        self.must("asked-twice-done-once", holds, how)

    def done(self, verb: str, *, times: int, events: int) -> None:
        """One request that was made so many times, and what of it came into the log."""
        self._once(events <= 1, f"{verb} asked {times} times was done {events} times")

    # Forward.

    def _forward(self, event: Recorded) -> None:
        law, known, data = "advance-on-passes", self.ledger, event.data
        is_open = known.rollback is None and not known.completed
        self.must("rollback-is-final", is_open, f"{event.type} after the end was decided")
        self.must(law, not known.is_paused, "it was paused")
        if event.type == "phase-entered/1" and not known.internal_only:
            following = known.phase + 1 if known.phase else known.returns_to
            self.must(law, data["phase"] == following, f"phase {data['phase']} after {known.phase}")
        self._fresh()
        self._green_is_there()
        self.must(law, known.applied == known.requested, f"{known.requested} was not confirmed")
        self._calendar()
        if not known.internal_only:
            self._gates()
            self._people()
        self._dwelt()
        if known.has_users and self._world.version_of(known.version).kind == "errors":
            served_s = self._world.witness.elapsed_s - self._served_since.get(known.stay, 1e9)
            bad_s = min(self._world.bad_for_s(known.version), served_s)
            self.must("bad-traffic-ends", bad_s <= BAD_FOR_S, f"{event.type} after {bad_s:.1f} s of failures")

    def _fresh(self) -> None:
        """Data is as old as it was when it was decided on; recording that may be slow by one call."""
        law, witness = "advance-on-passes", self._world.witness
        waited_s = witness.elapsed_s - witness.looked_at_s
        self.must(law, waited_s <= SLOWEST_S + STALLED_S + ROUNDING_S, "nobody has asked for counters")
        age_s = witness.looked_at_s - (witness.scraped_at_s if witness.scraped_at_s is not None else -1e9)
        is_fresh = age_s <= self._plan.stale_after_s + ROUNDING_S
        self.must(law, is_fresh, f"the counters were {age_s:.1f} s old")

    def _green_is_there(self) -> None:
        law, witness = "advance-on-passes", self._world.witness
        at_s, state = witness.seen_green or (-1e9, None)
        is_recent = witness.looked_at_s - at_s <= self._plan.stale_after_s + ROUNDING_S
        self.must(law, is_recent, "green was not looked at")
        is_ready = state is not None and state.stage is Stage.READY
        self.must(law, is_ready, f"green was {state}")
        is_it = state is not None and state.version == self.ledger.version
        self.must("only-this-version", is_it, f"green was {state}, {self.ledger.version} is rolled out")

    def _dwelt(self) -> None:
        """By time that never jumps. Not where processes whose clocks differ have entered and left the phase."""
        known, phase = self.ledger, self._plan.phases[self.ledger.phase]
        wanted_s = phase.internal_users_first_s if known.internal_only else phase.dwell_s
        lasted_s = self._world.witness.elapsed_s - self._served_since.get(known.stay, 1e9)
        if self._skews_s.get(known.stay) == {self._skew_s}:
            has_dwelt = known.is_waived or lasted_s >= wanted_s - ROUNDING_S
            self.must("time-passes", has_dwelt, f"after {lasted_s:.1f} s of {wanted_s:g} s")

    def _gates(self) -> None:
        """By what the gates have answered in the log: that is recorded before any decision may rest on it."""
        known = self.ledger
        for name in self._scene.gates(known.phase):
            told, _ = known.gates.get(name, ("nothing", ""))
            self.must("advance-on-passes", told == "pass", f"gate '{name}' answered {told}")

    def _between(self) -> tuple[datetime, datetime]:
        """When it was decided, by the clock of the process that did: after it looked, and before it recorded."""
        witness, skew = self._world.witness, timedelta(seconds=self._skew_s)
        looked = timedelta(seconds=witness.looked_at_s)
        return self._scene.starts_at + looked + skew, self._world.clock.now() + skew

    def _calendar(self) -> None:
        """Frozen is what was so all the while in which it can have been decided."""
        if self._scene.frozen is None:
            return
        begins, ends = self._between()
        holds = self.ledger.is_hotfix or not self._scene.is_frozen(begins, ends)
        self.must("freeze-holds", holds, f"at {ends:%H:%M:%S}, frozen by {str(self._scene.frozen).strip()}")

    def _people(self) -> None:
        """Who had said yes when it was decided; what ran out meanwhile is given the benefit of it."""
        asked, known = self._scene.asked, self.ledger
        if asked is None or asked.phase != known.phase:
            return
        begins, _ = self._between()
        given = known.counting(asked.gate, approvers=asked.approvers, now=begins)
        told = f"{len(given)} of {asked.people} people at {begins:%H:%M:%S}, of {len(known.yes)} who said yes"
        self.must("approvals-count", len(given) >= asked.people, told)

    # What was counted, and for whom.

    def _counted(self, arms: Any) -> None:
        """No more than this version has really answered in this stay."""
        known = self.ledger
        for arm in GREEN_ARMS:
            told = arms.get(arm.value)
            if told is not None:
                requests, errors = self._world.witness.of(known.version, known.stay, arm)
                holds = told["requests"] <= requests and told["errors"] <= errors
                how = f"{told['requests']} requests ({told['errors']} failed) of {arm} count for {known.stay}"
                self.must("only-this-version", holds, f"{how}, of {requests} ({errors}) that it answered")

    def _of_this_version(self, event: Recorded) -> None:
        """A gate has seen the version that it answers for; a version that is ready is the one that is rolled out."""
        data: Any = event.data
        found = data["version"] if event.type == "green-ready/1" else data["evidence"].get("version")
        holds = found == self.ledger.version
        self.must("only-this-version", holds, f"{event.type} of {found}, {self.ledger.version} is rolled out")

    def _back(self, data: Json) -> None:
        """The engine takes back what was bad itself, and nothing past the point of no return."""
        known, world, cause = self.ledger, self._world, str(data["cause"])
        if cause == "person":
            return
        is_past = self._scene.no_return is not None and known.reached >= self._scene.no_return
        self.must("no-return-holds", not is_past, f"taken back for '{cause}'")
        if cause.startswith(BLAMES):
            blamed = world.versions if cause == "harm budget" else (known.version,)  # it is the rollout's
            was_bad = any(world.bad_for_s(name) >= 0 for name in blamed)
            told = f"{known.version} is taken back for '{cause}', and nothing was wrong with it"
            self.must("only-this-version", was_bad, told)
        if cause == "not-ready":
            waited_s = world.witness.elapsed_s - self._brought_at_s
            has_waited = waited_s >= self._plan.health.ready_within_s - ROUNDING_S
            self.must("time-passes", has_waited, f"{known.version} had {waited_s:.1f} s to get ready")

    # What was done.

    def applied(self, split: Split) -> None:
        """Every split, right before the data plane takes it."""
        law, known = "act-after-record", self.ledger
        self.must(law, bool(known.rollout), "there is no rollout")
        self._served_since.setdefault(split.identifier, self._world.witness.elapsed_s)
        self._skews_s.setdefault(split.identifier, set()).add(self._skew_s)
        is_back = split.green_weight == 0 and not split.internal_to_green
        if split.identifier == f"{known.rollout}/unrecorded" and is_back:
            self._served = split
            return
        if split.identifier.endswith("/aborted"):
            self.must("abort-holds", is_back, f"{split} is served by who wanted users back")
            self.reset()
            return
        number = int(split.identifier.rpartition("/")[2])
        self.must(law, number < known.requests, f"{split.identifier} is not in the log")
        if split.identifier == known.requested:
            asked = (known.green_weight, known.internal_to_green)
            self.must(law, (split.green_weight, split.internal_to_green) == asked, f"{split}, not {asked}")
            holds = known.rollback is None or is_back
            self.must("rollback-is-final", holds, f"{split.identifier} gives green users")
        if self._served is not None:
            self._stays(self._served, split)
        self._served = split

    def _stays(self, before: Split, after: Split) -> None:
        law, known = "users-stay", self.ledger
        self.must(law, after.salt == before.salt, "another salt")
        falls = after.green_weight < before.green_weight or before.internal_to_green > after.internal_to_green
        may = known.rollback is not None or self._may_fall
        self.must(law, may or not falls, f"{before} became {after}")
        self._may_fall = self._may_fall and not falls

    def stopped(self, colour: Colour) -> None:
        """A colour, right before it stops; green also before another version takes its place."""
        law, known, is_used = "stop-after-act", self.ledger, self.is_used()
        running = self._world.running
        if colour is Colour.GREEN:
            is_back = (
                self._world.witness.elapsed_s - self._brought_at_s <= ROUNDING_S
            )  # right before it stops
            is_unwanted = known.rollback is not None or running != known.version or is_back
            self.must(law, is_unwanted and not is_used, f"{running} has users, or nobody decided it")
        else:
            holds = known.completed and known.rollback is None and known.blue_retired
            self.must(law, holds, "blue may still be needed")

    def acts(self, *, holds_lease: bool, skew_s: float) -> None:
        """Whoever records, moves or stops something, at that moment; by how much its clock was wrong when it began."""
        self._skew_s = skew_s
        self.must("one-controller-acts", holds_lease, "a controller without the lease")

    # What a step has left behind.

    def reset(self) -> None:
        """Somebody else has changed what the data plane serves: from here on, compare with that."""
        self._served = None

    def is_used(self) -> bool:
        """Whether the data plane gives green users."""
        split = self._world.traffic.split
        return split is not None and (split.green_weight > 0 or split.internal_to_green)

    def kept_back(self, *, was_used: bool, is_undisturbed: bool) -> None:
        """After a tick that began when somebody had taken users back without the log."""
        known = self.ledger
        if known.blue_retired:
            return  # there is nothing to go back to
        self.must(
            "abort-holds", was_used or not self.is_used(), f"{self._world.traffic.split} is served again"
        )
        if is_undisturbed:
            self.must("abort-holds", known.rollback is not None, "the log was not told")

    def ticked(self, process: object, *, began_s: float, is_undisturbed: bool) -> None:
        """After a tick of this process, and whether anything failed or anybody interfered in it."""
        known, split = self.ledger, self._world.traffic.split
        bad_s = 0.0 if known.is_finished else self._seen_bad_s(process, began_s)
        if not is_undisturbed or known.is_finished:
            return
        if bad_s > SEEN_BAD_S:
            self._answered(bad_s)
        decided = known.rollback is not None and self.is_used()
        self.must("bad-traffic-ends", not decided, f"{split} is served after a rollback was decided")
        served = split.identifier if split else "nothing"
        told = f"{served} is served, {known.requested} asked"
        self.must("serves-what-the-log-says", served == known.requested, told)

    def _seen_bad_s(self, process: object, began_s: float) -> float:
        """For how long this process has read, tick by tick, what users met on a bad version."""
        known, world = self.ledger, self._world
        is_bad = self.is_used() and world.running == known.version and world.bad_for_s(known.version) > 0
        has_looked = (world.witness.scraped_at_s or -1.0) >= began_s
        if not is_bad or not has_looked:
            self._bad = None
            return 0.0
        if self._bad is None or self._bad[0] is not process:
            self._bad = (process, began_s)
        return world.witness.elapsed_s - self._bad[1]

    def _answered(self, bad_s: float) -> None:
        """Somebody was called where going back is no remedy; anywhere else users are not on it any more."""
        known, version = self.ledger, self._world.version_of(self.ledger.version)
        told = f"{known.version} ({version.kind}) was seen for {bad_s:.1f} s"
        is_past = self._scene.no_return is not None and known.reached >= self._scene.no_return
        if version.blue_too or is_past or (version.kind == "slow" and self._scene.slow == "hold"):
            self.must("people-are-called", known.was_paged, told)
        else:
            self.must("bad-traffic-ends", known.rollback is not None, told)

    def rests(self) -> str | None:
        """Why it is right that an unfinished rollout stays where it is: it waits for a person, or for the calendar."""
        known, now, asked = self.ledger, self._world.clock.now(), self._scene.asked
        if self._world.bad_for_s(known.version) > 0 and (known.was_paged or not known.has_users):
            return "paged" if known.was_paged else "not well"
        if known.is_paused:
            return "paged" if known.was_paged else "paused"
        if self._scene.is_frozen(now, now) and not known.is_hotfix:
            return "frozen"
        if asked is not None and asked.phase == known.phase:
            given = known.counting(asked.gate, approvers=asked.approvers, now=now)
            return "waits for approval" if len(given) < asked.people else None
        return None
