"""What people may ask of a rollout, with or without a living controller.

A request is an event, appended on the condition that the rules still allow it. Only `roll_back` also acts:
it must work when nothing else does, and it waits for nothing: what only other requests need is imported where they are.
"""

import contextlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Protocol

from tranche.abort import NOBODY_ABORTS, Aborts, honoured
from tranche.asks import Asker, begun, identified, written
from tranche.attestation import countersigned
from tranche.decision import RollBack, roll_back
from tranche.events import (
    AdvanceRequested,
    Event,
    HotfixDeclared,
    Paused,
    Resumed,
    Retargeted,
    Retired,
    RolledBack,
    Started,
    Stopped,
    WeightRequested,
)
from tranche.glance import check_advance, checks_of, measured_of
from tranche.person import Person
from tranche.ports import (
    Artifact,
    Clock,
    Colour,
    Conflict,
    Environment,
    EventLog,
    LogFault,
    Recorded,
    Signer,
    Traffic,
)
from tranche.progress import UNTOLD, Progress, State, fold, whole
from tranche.reconcile import Lock, end_green, reconcile
from tranche.refusal import Refused
from tranche.way_back import PastReturn, check_return

if TYPE_CHECKING:
    from tranche.plan import Phase, Plan

Json = dict[str, Any]


class NoRollout(Refused):
    """There is no rollout here yet; start one with 'tranche start'."""

    code = "no-rollout"


class UnfinishedRollout(Refused):
    """A rollout is under way."""

    code = "unfinished-rollout"


class ControllerRunning(Refused):
    """A controller works on this site already; one is enough, and two would not act better."""

    code = "controller-running"


class NothingToControl(Refused):
    """The last rollout has ended; start the next one with 'tranche start'."""

    code = "nothing-to-control"


class Ended(Refused):
    """The rollout has ended; nothing can be asked of it any more."""

    code = "ended"


class NotPaused(Refused):
    """The rollout is not paused."""

    code = "not-paused"


class AlreadyPaused(Refused):
    """The rollout is paused already."""

    code = "already-paused"


class GreenInUse(Refused):
    """Green serves everybody since the last rollout; a new one would replace it under its users."""

    code = "green-in-use"


class BlueRetired(Refused):
    """Blue was retired; there is nothing to go back to. Roll out the older version as a new one."""

    code = "blue-retired"


class NothingFrozen(Refused):
    """The plan freezes no time, so no hotfix is needed to go forward."""

    code = "nothing-frozen"


class AlreadyHotfix(Refused):
    """The rollout is a hotfix already."""

    code = "already-hotfix"


class VersionRefused(Refused):
    """No version is called so: up to 128 letters, digits and any of . _ + : @ -"""

    code = "version-refused"


class UnknownVersion(Refused):
    """There is no such version here."""

    code = "unknown-version"


class SameVersion(Refused):
    """This version is rolled out already."""

    code = "same-version"


class CannotRetarget(Refused):
    """Users are being taken back to blue; start a new rollout when they are there."""

    code = "cannot-retarget"


class NotComplete(Refused):
    """Blue is retired once the rollout is complete; until then users may have to go back to it."""

    code = "not-complete"


class PlanChanged(Refused):
    """The plan in the event log reads differently in this release of tranche."""

    code = "plan-changed"


class ControlLock(Lock, Protocol):
    """The lock a controller holds while it lives."""

    def is_held_elsewhere(self) -> bool:
        """Whether another process has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reversal:
    """What a rollback by hand has come to."""

    progress: Progress
    finished: bool


TRIES: Final = 50
BUSY: Final = "the event log is so busy that the request could not be added; try again"
VERSION: Final = r"[A-Za-z0-9][A-Za-z0-9._+:@-]{0,127}"
"""Versions become words of commands and names of files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """One site, as its operators see it. `asker` is who asks, if that was told; `identify` says what a version is."""

    log: EventLog
    clock: Clock
    control: ControlLock
    observed: Callable[[], Mapping[str, Any] | None]
    signer: Signer | None = None
    asker: Person | None = None
    identify: Callable[[str], Artifact] = lambda _: UNTOLD
    aborts: Aborts = NOBODY_ABORTS

    def name(self, rollout: str | None = None) -> str:
        """The rollout of that name, or the latest.

        Raises:
            NoRollout: there is none.
        """
        names = self.log.rollouts()
        if rollout is not None and rollout not in names:
            raise NoRollout(f"there is no rollout '{rollout}'; there are: {', '.join(names) or 'none'}")
        if not names:
            raise NoRollout
        return rollout or names[-1]

    def events(self, rollout: str | None = None) -> list[Recorded]:
        """All of them, and none is missing. Raises NoRollout, LogFault."""
        events = self.log.read(self.name(rollout))
        whole(events)
        return events

    def progress(self, rollout: str | None = None) -> Progress:
        """Where it stands. Raises NoRollout, LogFault."""
        return whole(self.log.read(self.name(rollout)))

    def caught_up(self) -> Progress:
        """The latest rollout, once the log was told that somebody has taken users back without it."""
        for _ in range(TRIES):
            progress, at = self.progress(), self._now()
            with contextlib.suppress(Conflict):
                return honoured(
                    log=self.log, aborts=self.aborts, progress=progress, at=at, signer=self.signer
                )
        raise LogFault(BUSY)

    def plan(self, progress: Progress) -> "Plan":
        """The plan the rollout was started with.

        Raises:
            PlanChanged: this release reads it differently.
        """
        from tranche.language import parse

        plan = parse(progress.plan_text, file=progress.plan_file)
        if plan.digest != progress.plan_digest:
            told = f"the log says {progress.plan_digest}, this release reads {plan.digest}"
            raise PlanChanged(f"{told}; finish it with the release it was started with")
        return plan

    def status(self, rollout: str | None = None) -> Json:
        """The document of `status.py`."""
        from tranche.status import status

        progress = self.progress(rollout)
        alive = self.control.is_held_elsewhere()
        document = status(self.plan(progress), progress, self.observed(), alive=alive, now=self.clock.now())
        return document | {"abort": self._untold(progress)}

    def _untold(self, progress: Progress) -> Json | None:
        """That users were taken back, where the log does not say so yet."""
        abort = self.aborts.pending()
        if abort is None or progress.rollback is not None or not abort.is_about(progress):
            return None
        return {"by": abort.person.name, "at": abort.at.isoformat(), "reason": abort.reason}

    def start(
        self, plan: "Plan", *, text: str, file: str, version: str, actor: str, hotfix: str | None = None
    ) -> Progress:
        """Record a new rollout. The caller holds the control lock, and runs the controller.

        `hotfix` says why it may go forward in times that the plan freezes.

        Raises:
            UnfinishedRollout, GreenInUse: one rollout after the other.
            NothingFrozen: a hotfix by a plan that freezes nothing.
            VersionRefused, UnknownVersion: no version is called so, or there is none of this name.
        """
        import secrets

        found = self._found(version)
        if hotfix is not None and not plan.freezes:
            raise NothingFrozen
        names = self.log.rollouts()
        if names:
            last = self.caught_up()
            if not last.is_finished:
                raise UnfinishedRollout(_unfinished(last, plan))
            if last.state is State.COMPLETED:
                told = f"green serves everybody since '{last.rollout}'"
                todo = "roll that back, or let blue be the new version and begin a new state folder"
                raise GreenInUse(f"{told}; {todo}")
        rollout = f"{plan.name}-{len(names) + 1}"
        started = Started(
            plan=text, plan_file=file, plan_digest=plan.digest, version=version, salt=secrets.token_hex(8)
        )
        new = begun(rollout, started, found, self._asker(actor), hotfix=hotfix)
        return whole(self.log.append(rollout, after=0, events=new))

    def pause(self, *, reason: str, actor: str) -> Progress:
        def ask(progress: Progress) -> list[Event]:
            if progress.paused_by is not None:
                raise AlreadyPaused(f"the rollout is paused already, by {progress.paused_by}")
            return [Paused(reason=reason)]

        return self._ask(ask, actor)

    def resume(self, *, reason: str, actor: str) -> Progress:
        def ask(progress: Progress) -> list[Event]:
            if progress.paused_by is None:
                raise NotPaused
            return [Resumed(reason=reason)]

        return self._ask(ask, actor)

    def hotfix(self, *, reason: str, actor: str) -> Progress:
        """Let the rollout go forward in times that its plan freezes. Everything else stands.

        Raises:
            NothingFrozen, AlreadyHotfix: as they say.
        """

        def ask(progress: Progress) -> list[Event]:
            if not self.plan(progress).freezes:
                raise NothingFrozen
            if progress.hotfix_by is not None:
                raise AlreadyHotfix(f"{progress.hotfix_by} has declared it a hotfix already")
            return [HotfixDeclared(reason=reason)]

        return self._ask(ask, actor)

    def advance(self, *, reason: str, actor: str) -> Progress:
        """End the dwell of the present phase early; gates, requirements and data stand.

        Raises:
            CannotAdvance: a check has failed or cannot tell, or nobody is looking.
        """

        def ask(progress: Progress) -> list[Event]:
            check_advance(
                self.plan(progress),
                progress,
                self.observed(),
                is_controlled=self.control.is_held_elsewhere(),
                now=self._now(),
            )
            return [AdvanceRequested(phase=progress.stay.phase, reason=reason)]

        return self._ask(ask, actor)

    def retarget(self, *, version: str, reason: str, actor: str) -> Progress:
        """Roll out another build from here on, in the present phase, whose evidence then starts anew.

        There is one green, and no user is to meet it while it is replaced: all of them are on blue until the new build
        has passed staging. The controller carries that out.

        Raises:
            VersionRefused, UnknownVersion, SameVersion, CannotRetarget: as they say.
            PastReturn: users cannot be sent to blue meanwhile.
        """
        from tranche.decide import past_return

        found = self._found(version)

        def ask(progress: Progress) -> list[Event]:
            if version == progress.version:
                raise SameVersion(
                    f"{version} is rolled out already; a build of its own has a version of its own"
                )
            if progress.rollback is not None:
                raise CannotRetarget
            plan = self.plan(progress)
            if past_return(plan, progress):
                phase = plan.phases[plan.point_of_no_return or 0]
                told = (
                    f"users would be on blue meanwhile, and phase '{phase.name}' was the point of no return"
                )
                raise PastReturn(
                    f"{told}: {phase.point_of_no_return}; complete this one, then roll out the next"
                )
            phase_number = progress.stay.phase or progress.returns_to
            return [
                *measured_of(self.observed(), progress),
                Retargeted(version=version, phase=phase_number, reason=reason),
                identified(version, found),
                WeightRequested(identifier=progress.next_identifier, green_weight=0, internal_to_green=False),
            ]

        return self._ask(ask, actor)

    def retire(self, *, reason: str, actor: str, environment: Environment) -> Progress:
        """Stop blue for good, when the rollout is complete. May be repeated when it would not stop.

        It is recorded first: a blue that stops is not gone back to, whoever asks meanwhile.

        Raises:
            NotComplete: users may still have to go back to it.
            Ended: the rollout was rolled back; blue serves everybody.
            EnvironmentFault: it is recorded, and blue did not stop.
        """

        def ask(progress: Progress) -> list[Event]:
            if progress.state is not State.COMPLETED:
                raise NotComplete
            if Colour.BLUE.value in progress.retired:
                return []
            return [Retired(colour=Colour.BLUE.value, detail=reason or f"{actor} asked for it")]

        self._ask(ask, actor, also={State.COMPLETED})
        left = environment.retire(Colour.BLUE)

        def note(progress: Progress) -> list[Event]:
            is_known = Colour.BLUE.value in progress.stopped
            return [] if is_known else [Stopped(colour=Colour.BLUE.value, version=None, left=left)]

        return self._ask(note, actor, also={State.COMPLETED})

    def case(self, gate: str | None = None) -> list[Json]:
        """What people are asked to approve in the present phase, with its evidence and the digest of it.

        Raises:
            NotAskedFor: nothing, or nothing of this name.
        """
        from tranche import approval
        from tranche.beside import dwelt

        progress = self.progress()
        phase = self._phase(progress)
        now = self._now()
        gates = [approval.gate_named(phase, gate)] if gate or not approval.asked(phase) else None
        return [
            approval.case(progress, phase, each, now, dwelt=dwelt(phase, progress.stay, now))
            | {"checks": checks_of(self.observed(), progress)}
            for each in gates or approval.asked(phase)
        ]

    def approve(self, *, gate: str | None, evidence: str, reason: str, actor: str) -> Progress:
        """Say yes to this evidence. Raises as `approval.give`, and NotAskedFor."""
        from tranche import approval
        from tranche.beside import dwelt

        def ask(progress: Progress) -> list[Event]:
            phase, now = self._phase(progress), self._now()
            return [
                approval.give(
                    progress,
                    phase,
                    approval.gate_named(phase, gate),
                    evidence=evidence,
                    reason=reason,
                    actor=actor,
                    now=now,
                    dwelt=dwelt(phase, progress.stay, now),
                    checks=checks_of(self.observed(), progress),
                )
            ]

        return self._ask(ask, actor)

    def revoke(self, *, gate: str | None, reason: str, actor: str) -> Progress:
        """Take every yes to this gate back. Raises NotAskedFor, NothingToRevoke."""
        from tranche import approval

        def ask(progress: Progress) -> list[Event]:
            planned = approval.gate_named(self._phase(progress), gate)
            return [approval.revoke(progress, planned, reason=reason)]

        return self._ask(ask, actor)

    def _phase(self, progress: Progress) -> "Phase":
        plan = self.plan(progress)
        return plan.phases[min(progress.stay.phase, plan.last)]

    def roll_back(
        self,
        *,
        reason: str,
        actor: str,
        traffic: Traffic,
        environment: Environment,
        lock: Lock,
        force: bool = False,
    ) -> Reversal:
        """Take all users back to blue, now. Works with the controller dead or alive; may be repeated.

        Raises:
            Ended: it is rolled back already.
            BlueRetired: there is nothing to go back to.
            PastReturn: the plan says that going back is no remedy any more, and it is not forced.
            TrafficFault: it is decided and recorded, and the data plane has not confirmed it.
        """

        def ask(progress: Progress) -> list[Event]:
            if Colour.BLUE.value in progress.retired:
                raise BlueRetired
            if progress.rollback is not None:
                return []  # decided already; carrying it out once more does no harm
            numbers = check_return(progress, force=force)
            return roll_back(RollBack(cause="person", reason=reason, numbers=numbers), progress)

        progress = self._ask(ask, actor, also={State.COMPLETED})
        try:
            progress = reconcile(
                log=self.log,
                traffic=traffic,
                clock=self.clock,
                lock=lock,
                progress=progress,
                wait_s=1.0,
                actor=actor,
            )
        finally:
            is_controlled = self.control.is_held_elsewhere()
            if not is_controlled:
                self._countersign(actor)
        if is_controlled:
            return Reversal(progress=progress, finished=False)
        return Reversal(progress=self._finish(progress, environment, actor), finished=True)

    def _finish(self, progress: Progress, environment: Environment, actor: str) -> Progress:
        """What the controller would do once blue has everybody, when there is no controller."""
        told = end_green(environment)

        def ask(now: Progress) -> list[Event]:
            return [*measured_of(self.observed(), now), RolledBack(green=told)]

        try:
            return self._ask(ask, actor)
        except Ended:
            return self.progress(progress.rollout)  # a controller came and ended it

    def _countersign(self, actor: str) -> None:
        """Sign for what could wait until users were back. What goes wrong here is signed for by who comes next."""
        with contextlib.suppress(LogFault):
            progress = self.progress()
            events = countersigned(progress, actor=actor, signer=self.signer, at=self._now())
            self.log.append(progress.rollout, after=progress.position, events=events)

    def _ask(
        self,
        ask: Callable[[Progress], list[Event]],
        actor: str,
        *,
        also: set[State] | None = None,
    ) -> Progress:
        """Append what `ask` makes of the rollout as it is; asked again when somebody was quicker.

        An entry vouches for it, in the same append.
        """
        for _ in range(TRIES):
            progress = self.caught_up()
            if progress.is_finished and progress.state not in (also or set()):
                raise Ended(
                    f"'{progress.rollout}' is {progress.state.value}; nothing can be asked of it any more"
                )
            events = written(ask(progress), progress, self._asker(actor))
            try:
                recorded = self.log.append(progress.rollout, after=progress.position, events=events)
            except Conflict:
                continue
            return fold(recorded, progress) or progress
        raise LogFault(BUSY)

    def _found(self, version: str) -> Artifact:
        """What the version is. Raises VersionRefused, UnknownVersion."""
        if not re.fullmatch(VERSION, version):
            told = f"found the version '{version[:80]}', expected letters, digits and . _ + : @ -"
            raise VersionRefused(told)
        found = self.identify(version)
        if found.is_missing:
            raise UnknownVersion(f"there is no version {version} here: {found.unknown_because}")
        return found

    def _asker(self, actor: str) -> Asker:
        """How this one is known only if it is who this desk was told is asking."""
        person = self.asker if self.asker is not None and self.asker.name == actor else None
        return Asker(actor=actor, person=person, signer=self.signer, at=self._now())

    def _now(self) -> datetime:
        return self.clock.now()


def _unfinished(last: Progress, plan: "Plan") -> str:
    """Why nothing is begun beside it, and what can be done."""
    told = f"'{last.rollout}' is {last.state.value}"
    if plan.name in last.plan_text and plan.digest != last.plan_digest:
        told += ", and keeps the plan it was started with, which is another one than this"
    todo = "bring a newer version in with 'tranche retarget', go on with 'tranche control', or roll it back"
    return f"{told}; {todo}"
