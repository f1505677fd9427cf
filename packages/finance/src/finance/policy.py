"""What a company decided about its books as a whole: commands, events, state, decide, evolve.

The tax lock: once a return is filed, no entry that touches taxes is dated on or before its last day, whatever the
fiscal periods say. It moves forward by closing and back only for a reason.
"""

from datetime import date
from typing import assert_never
from uuid import UUID, uuid5

import msgspec

from finance.refusal import TaxesLocked, TaxLockOutOfOrder
from finance.text import sized


class TaxesLockedThrough(msgspec.Struct, frozen=True, kw_only=True, tag="policy.taxes-locked/1"):
    through: date


class TaxesUnlocked(msgspec.Struct, frozen=True, kw_only=True, tag="policy.taxes-unlocked/1"):
    """`through` is the last day that stays locked; None is no day."""

    through: date | None
    reason: str


Event = TaxesLockedThrough | TaxesUnlocked


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """`version` counts its events; without any, there is no state and nothing is locked."""

    taxes_locked_through: date | None = None
    version: int = 0


class LockTaxes(msgspec.Struct, frozen=True, kw_only=True):
    through: date


class UnlockTaxes(msgspec.Struct, frozen=True, kw_only=True):
    through: date | None
    reason: str


Command = LockTaxes | UnlockTaxes
NONE_YET = Policy()


def stream(tenant_id: str) -> str:
    """The one stream of a tenant's policy."""
    return str(uuid5(UUID(tenant_id), "policy"))


def decide(policy: Policy | None, command: Command) -> list[Event]:
    """The events of a command.

    Raises:
        Refused: one class per rule; nothing happened.
    """
    locked = (policy or NONE_YET).taxes_locked_through
    match command:
        case LockTaxes():
            if locked is not None and command.through <= locked:
                raise TaxLockOutOfOrder(f"They are locked through {locked}, asked was {command.through}.")
            return [TaxesLockedThrough(through=command.through)]
        case UnlockTaxes():
            if locked is None or (command.through is not None and command.through >= locked):
                raise TaxLockOutOfOrder(f"They are locked through {locked}, asked was {command.through}.")
            reason = sized(command.reason, "reason", 10, 500)
            return [TaxesUnlocked(through=command.through, reason=reason)]
        case _:
            assert_never(command)


def admit(policy: Policy | None, day: date) -> None:
    """Let an entry that touches taxes onto a day.

    Raises:
        TaxesLocked: a return that covers the day was filed.
    """
    locked = (policy or NONE_YET).taxes_locked_through
    if locked is not None and day <= locked:
        raise TaxesLocked(f"They are locked through {locked}, the entry is of {day}.")


def evolve(policy: Policy | None, event: Event) -> Policy:
    before = policy or NONE_YET
    version = before.version + 1
    match event:
        case TaxesLockedThrough() | TaxesUnlocked():
            return msgspec.structs.replace(before, taxes_locked_through=event.through, version=version)
        case _:
            assert_never(event)
