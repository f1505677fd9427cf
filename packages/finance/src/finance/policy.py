"""What a company decided about its books as a whole, and who it is: commands, events, state, decide, evolve.

The tax lock: once a return is filed, no entry that touches taxes is dated on or before its last day, whatever the
fiscal periods say. It moves forward by closing and back only for a reason.
"""

from datetime import date
from typing import assert_never
from uuid import UUID, uuid5

import msgspec

from finance.refusal import TaxesLocked, TaxIdentityMalformed, TaxLockOutOfOrder
from finance.text import sized


class TaxesLockedThrough(msgspec.Struct, frozen=True, kw_only=True, tag="policy.taxes-locked/1"):
    through: date


class TaxesUnlocked(msgspec.Struct, frozen=True, kw_only=True, tag="policy.taxes-unlocked/1"):
    """`through` is the last day that stays locked; None is no day."""

    through: date | None
    reason: str


class TaxPackAdopted(msgspec.Struct, frozen=True, kw_only=True, tag="policy.tax-pack-adopted/1"):
    """`tax_invoice_series` is that of the serial an invoice with tax codes gets, `tax_invoice_form` its legal name."""

    pack: str
    tax_invoice_form: str
    tax_invoice_series: str
    tin_digits: int
    bin_digits: int


class Identified(msgspec.Struct, frozen=True, kw_only=True, tag="policy.identified/1"):
    """What stands on the company's documents about itself."""

    name: str
    address: str
    tin: str | None = None
    bin: str | None = None


Event = TaxesLockedThrough | TaxesUnlocked | TaxPackAdopted | Identified


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """`version` counts its events; without any, there is no state and nothing is locked."""

    taxes_locked_through: date | None = None
    pack: TaxPackAdopted | None = None
    identity: Identified | None = None
    version: int = 0

    @property
    def tax_invoice_series(self) -> str | None:
        """The series of tax invoices' serial numbers; None for a company that has none."""
        return None if self.pack is None else self.pack.tax_invoice_series


class LockTaxes(msgspec.Struct, frozen=True, kw_only=True):
    through: date


class UnlockTaxes(msgspec.Struct, frozen=True, kw_only=True):
    through: date | None
    reason: str


class AdoptTaxPack(msgspec.Struct, frozen=True, kw_only=True):
    adopted: TaxPackAdopted


class Identify(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    address: str
    tin: str | None = None
    bin: str | None = None


Command = LockTaxes | UnlockTaxes | AdoptTaxPack | Identify
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
        case AdoptTaxPack():
            return [command.adopted]
        case Identify():
            return [_identify(policy or NONE_YET, command)]
        case _:
            assert_never(command)


def _identify(policy: Policy, command: Identify) -> Identified:
    digits = (policy.pack.tin_digits, policy.pack.bin_digits) if policy.pack else (None, None)
    for what, number, many in (("TIN", command.tin, digits[0]), ("BIN", command.bin, digits[1])):
        if number is None:
            continue
        plain = number.isascii() and number.isdigit()
        if not plain or len(number) != (many or len(number)):
            expected = f"{many} digits" if many else "digits"
            raise TaxIdentityMalformed(f"{what}: expected {expected}, found '{number[:40]}'.")
    return Identified(
        name=sized(command.name, "name", 2, 200),
        address=sized(command.address, "address", 3, 500),
        tin=command.tin,
        bin=command.bin,
    )


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
        case TaxPackAdopted():
            return msgspec.structs.replace(before, pack=event, version=version)
        case Identified():
            return msgspec.structs.replace(before, identity=event, version=version)
        case _:
            assert_never(event)
