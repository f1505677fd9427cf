"""A fiscal period of a company: commands, events, state, decide, evolve.

Open until somebody closes it. Soft-closed, only who may close it can still post; closed, nobody can; both can be
reopened for a reason. Locked is for good. What was posted is never touched by any of this.
"""

from typing import Final, assert_never
from uuid import UUID, uuid5

import msgspec

from finance import fiscal
from finance.refusal import PeriodClosed, PeriodLocked, PeriodMalformed, PeriodNotClosed, PeriodSoftClosed
from finance.text import sized

OPEN, SOFT_CLOSED, CLOSED, LOCKED = "OPEN", "SOFT_CLOSED", "CLOSED", "LOCKED"
ORDER: Final = (OPEN, SOFT_CLOSED, CLOSED, LOCKED)
CLOSER: Final = "period:close"
"""The permission of those who may still post into a soft-closed period."""


class SoftClosed(msgspec.Struct, frozen=True, kw_only=True, tag="period.soft-closed/1"):
    period: str


class Closed(msgspec.Struct, frozen=True, kw_only=True, tag="period.closed/1"):
    period: str


class Locked(msgspec.Struct, frozen=True, kw_only=True, tag="period.locked/1"):
    period: str


class Reopened(msgspec.Struct, frozen=True, kw_only=True, tag="period.reopened/1"):
    period: str
    reason: str


Event = SoftClosed | Closed | Locked | Reopened


class Period(msgspec.Struct, frozen=True, kw_only=True):
    """`version` counts its events; a period nobody ever closed has none and no state."""

    name: str
    status: str
    reason: str | None = None
    version: int = 1


class Close(msgspec.Struct, frozen=True, kw_only=True):
    """`to` is SOFT_CLOSED, CLOSED or LOCKED."""

    period: str
    to: str


class Reopen(msgspec.Struct, frozen=True, kw_only=True):
    period: str
    reason: str


Command = Close | Reopen


def stream(tenant_id: str, name: str) -> str:
    """The stream of a tenant's period: made of both, so that nothing is looked up.

    Raises:
        PeriodMalformed: this is no period's name.
    """
    try:
        fiscal.days_of(name)
    except ValueError as error:
        raise PeriodMalformed(str(error)) from None
    return str(uuid5(UUID(tenant_id), f"period/{name}"))


def decide(period: Period | None, command: Command) -> list[Event]:
    """The events of a command.

    Raises:
        Refused: one class per rule; nothing happened.
    """
    status = OPEN if period is None else period.status
    match command:
        case Close():
            return [_close(status, command)]
        case Reopen():
            if status == LOCKED:
                raise PeriodLocked(f"It is {command.period}.")
            if status == OPEN:
                raise PeriodNotClosed(f"{command.period} is open.")
            return [Reopened(period=command.period, reason=sized(command.reason, "reason", 10, 500))]
        case _:
            assert_never(command)


def _close(status: str, command: Close) -> Event:
    if status == LOCKED:
        raise PeriodLocked(f"It is {command.period}.")
    if ORDER.index(command.to) <= ORDER.index(status):
        raise PeriodClosed(f"{command.period} is {status} already; reopen it to go back.")
    if command.to == LOCKED:
        if status != CLOSED:
            raise PeriodNotClosed(f"{command.period} is {status}; close it first, then lock it.")
        return Locked(period=command.period)
    return SoftClosed(period=command.period) if command.to == SOFT_CLOSED else Closed(period=command.period)


def admit(period: Period | None, *, by_closer: bool) -> None:
    """Let an entry into the period; `by_closer` is true for those who may close it.

    Raises:
        PeriodSoftClosed: only they can.
        PeriodClosed: nobody can any more.
    """
    if period is None or period.status == OPEN:
        return
    if period.status != SOFT_CLOSED:
        raise PeriodClosed(f"{period.name} is {period.status}.")
    if not by_closer:
        raise PeriodSoftClosed(f"It is {period.name}.")


def evolve(period: Period | None, event: Event) -> Period:
    version = 1 if period is None else period.version + 1
    match event:
        case SoftClosed():
            return Period(name=event.period, status=SOFT_CLOSED, version=version)
        case Closed():
            return Period(name=event.period, status=CLOSED, version=version)
        case Locked():
            return Period(name=event.period, status=LOCKED, version=version)
        case Reopened():
            return Period(name=event.period, status=OPEN, reason=event.reason, version=version)
        case _:
            assert_never(event)
