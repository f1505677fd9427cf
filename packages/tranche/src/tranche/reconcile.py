"""Make the data plane serve what the log says *now*.

This is the only place that moves traffic. It holds a lock while it does, reads the log inside it, and looks
again afterwards, so that whoever decided last is obeyed last, in whatever process. Idempotent.
"""

from collections.abc import Callable
from typing import Protocol

from tranche.events import Event, WeightApplied, WeightRestored, encode
from tranche.ports import Clock, Colour, Conflict, Environment, EnvironmentFault, EventLog, Traffic
from tranche.progress import Progress, fold


class Lock(Protocol):
    """Keeps two processes from moving traffic at once."""

    def acquire(self, *, wait_s: float) -> bool:
        """Take it; False when somebody else kept it for all of `wait_s`."""

    def release(self) -> None:
        """Give it back, if it is held."""


ROUNDS = 20
"""Decisions that may arrive while one is carried out, before the next tick must do."""


def refreshed(log: EventLog, progress: Progress) -> Progress:
    """The progress with what others appended meanwhile.

    Raises:
        LogFault: the log could not be read.
    """
    return fold(log.read(progress.rollout, after=progress.position), progress) or progress


def reconcile(
    *,
    log: EventLog,
    traffic: Traffic,
    clock: Clock,
    lock: Lock,
    progress: Progress,
    wait_s: float,
    actor: str,
    is_aborted: Callable[[], bool] = lambda: False,
) -> Progress:
    """Apply what the log says, and record that it is applied.

    Where `is_aborted`, a person has taken users back and the log does not know it yet: then it moves nobody.

    A lock that cannot be had within `wait_s` is done without: a rollback must not wait for a process that
    hangs, and whoever hangs looks at the log again before it is done.

    Raises:
        Conflict: users were taken back without the log; it must be told first.
        TrafficFault: the data plane refused, or did not confirm; what it served before may still stand.
        LogFault: the log could not be read or written.
    """
    held = lock.acquire(wait_s=wait_s)
    try:
        for _ in range(ROUNDS):
            progress = refreshed(log, progress)
            wanted = progress.requested
            _heed(is_aborted, progress)
            served = traffic.serving()
            took_ms = None
            if served != wanted.identifier:
                started = clock.now()
                traffic.apply(wanted)
                took_ms = round((clock.now() - started).total_seconds() * 1000, 3)
            event = _fact(progress, served, took_ms)
            if event is not None:
                progress = _append(log, progress, event, clock, actor)
            progress = refreshed(log, progress)
            if progress.requested == wanted and progress.applied == wanted.identifier:
                break
        _heed(is_aborted, progress)  # whoever had no lock may have come between
        return progress
    finally:
        if held:
            lock.release()


def end_green(environment: Environment) -> str:
    """Stop green once nobody is on it: what `rolled-back` says of it, by whoever has taken users back."""
    try:
        left = environment.retire(Colour.GREEN)
    except EnvironmentFault as fault:
        return f"not stopped: {fault}"
    return f"stopped; {left}" if left else "stopped"


def _heed(is_aborted: Callable[[], bool], progress: Progress) -> None:
    if progress.has_users and is_aborted():
        raise Conflict("users were taken back without the log; tell it, and look again")


def _fact(progress: Progress, served: str | None, took_ms: float | None) -> Event | None:
    identifier = progress.requested.identifier
    if progress.applied != identifier:
        return WeightApplied(identifier=identifier, took_ms=took_ms)
    if served != identifier:
        return WeightRestored(identifier=identifier, served=served)
    return None


def _append(log: EventLog, progress: Progress, event: Event, clock: Clock, actor: str) -> Progress:
    try:
        new = encode(event, at=clock.now(), actor=actor)
        recorded = log.append(progress.rollout, after=progress.position, events=[new])
    except Conflict:
        return progress  # somebody decided meanwhile; the next round reads it
    return fold(recorded, progress) or progress
