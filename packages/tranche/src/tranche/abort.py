"""A rollback by hand without the event log: users are taken back, and the log is told when it is there again.

1. Only where the log cannot be used. The abort is written down first, and beside the routes: what keeps one from
   being written keeps the other one, too.
2. While it is there, nothing moves users to green: whoever moves traffic looks for it, records it as the rollback
   that it is, and only then lets it go. From then on the log says so, and nothing goes forward any more.
3. It is one rollout's, or, where nobody could tell whose, that of the one that was under way. Of a later one it says
   nothing.
4. What the log would have said against going back, others must say: the data plane, that blue is there to go back to;
   the status that the last controller has left, that the point of no return is not passed. Nothing is guessed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from tranche.asks import Asker, written
from tranche.canonical import plain
from tranche.decision import RollBack, roll_back
from tranche.person import Person
from tranche.ports import Clock, Colour, EventLog, LogFault, Signals, Signer, Split, Traffic
from tranche.progress import Progress, fold
from tranche.reconcile import Lock
from tranche.refusal import Refused

NO_SALT: Final = "none"
"""With everybody on blue it only chooses who is in the control arm."""
NOT_OURS: Final = "none"
"""What the data plane was started with belongs to this, which is no rollout."""
LOCK_WAIT_S: Final = 1.0


class ReturnUnknown(Refused):
    """The event log cannot be used, and nothing else says that going back is still a remedy; look, then use --force."""

    code = "return-unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Abort:
    """Users of this rollout were taken back at this time. `rollout` is None where nobody could tell which it was."""

    rollout: str | None
    person: Person
    reason: str
    at: datetime
    forced: bool = False

    def is_about(self, progress: Progress) -> bool:
        if self.rollout is not None:
            return self.rollout == progress.rollout
        return self.at >= progress.started_at


class Aborts(Protocol):
    """Where an abort is kept until the log has it."""

    def pending(self) -> Abort | None:
        """The abort that the log was not told of yet. One whose words cannot be read is one all the same.

        Raises:
            LogFault: there may be one, and it cannot be looked at.
        """

    def write(self, abort: Abort) -> None:
        """Keep it; durable on return.

        Raises:
            LogFault: it could not be written.
        """

    def settle(self, abort: Abort) -> None:
        """Let this one go: the log has it, or it is none of its business.

        Raises:
            LogFault: it could not be removed.
        """


class NoAborts:
    """Where nobody can take users back without the log."""

    def pending(self) -> Abort | None:
        return None

    def write(self, abort: Abort) -> None:
        """Nobody does."""

    def settle(self, abort: Abort) -> None:
        """There is none."""


NOBODY_ABORTS: Final = NoAborts()


def take_back(
    *,
    person: Person,
    reason: str,
    force: bool,
    status: Mapping[str, Any] | None,
    traffic: Traffic,
    signals: Signals,
    aborts: Aborts,
    lock: Lock,
    clock: Clock,
) -> Abort:
    """Take everybody to blue without the log, now. `status` is the document that the last controller has left.

    Raises:
        ReturnUnknown: it may be no remedy, and it is not forced.
        TrafficFault, SignalsFault: the data plane does not answer, or has not confirmed it.
        LogFault: it could not be written down; nothing was moved.
    """
    rollout = rollout_of(traffic.serving())
    if not force:
        _check(rollout, status, signals)
    abort = Abort(rollout=rollout, person=person, reason=reason, at=clock.now(), forced=force)
    held = _held(lock)
    try:
        aborts.write(abort)
        traffic.apply(
            Split(
                identifier=f"{rollout or NOT_OURS}/aborted",
                salt=NO_SALT,
                green_weight=0,
                internal_to_green=False,
            )
        )
    finally:
        if held:
            lock.release()
    return abort


def _held(lock: Lock) -> bool:
    """Done without, where somebody hangs or there is no folder for it: who has it looks for the abort once more."""
    try:
        return lock.acquire(wait_s=LOCK_WAIT_S)
    except LogFault:
        return False


def rollout_of(identifier: str | None) -> str | None:
    """Whose split is served; None where it is nobody's."""
    rollout = (identifier or "").rpartition("/")[0]
    return rollout if rollout not in {"", NOT_OURS} else None


def _check(rollout: str | None, status: Mapping[str, Any] | None, signals: Signals) -> None:
    """What the log would have said. Raises as `take_back`."""
    if not signals.scrape().healthy_hosts.get(Colour.BLUE, 0):
        told = "the data plane finds no healthy host of blue, which may have been retired"
        raise ReturnUnknown(f"{told}; start it, or take users there all the same with --force")
    if rollout is None:
        return
    if status is None or status.get("rollout") != rollout:
        told = (
            f"no controller has left a status of '{rollout}' here, so nobody can tell of a point of no return"
        )
        raise ReturnUnknown(f"{told}; look at the plan, then use --force")
    point = status.get("point_of_no_return")
    if point is not None and point["passed_at"] is not None:
        told = f"phase '{point['phase']}' was the point of no return: {point['about']}"
        raise ReturnUnknown(f"{told}; mend it forward, or take users back all the same with --force")


def honoured(
    *,
    log: EventLog,
    aborts: Aborts,
    progress: Progress,
    at: datetime,
    signer: Signer | None = None,
) -> Progress:
    """The rollout after the log was told what was done without it.

    Raises:
        Conflict: somebody appended meanwhile; look again.
        LogFault: it still cannot be written, or the abort cannot be read.
    """
    abort = aborts.pending()
    if abort is None:
        return progress
    is_open = progress.rollback is None and Colour.BLUE.value not in progress.retired
    if is_open and abort.is_about(progress):
        numbers = {"taken_back_at": plain(abort.at), "forced": abort.forced}
        asked = roll_back(RollBack(cause="person", reason=abort.reason, numbers=numbers), progress)
        by = Asker(actor=abort.person.name, person=abort.person, signer=signer, at=at)
        events = written(asked, progress, by)
        recorded = log.append(progress.rollout, after=progress.position, events=events)
        progress = fold(recorded, progress) or progress
    aborts.settle(abort)
    return progress
