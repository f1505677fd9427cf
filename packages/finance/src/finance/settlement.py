"""What takes away from what is open: credits allocated to debts, write-offs, taxes withheld.

A debt is an approved invoice, bill or debit note; a credit is money on account or a credit note. Both have a side:
SALES, where a customer owes or is owed, and PURCHASE, where a vendor is. Nothing here is deleted: what is taken back
is taken back by another event, and its entry by another entry.
"""

from collections.abc import Sequence
from datetime import date
from typing import Final, Protocol

import msgspec

from finance.money import BASE, Money, share
from finance.refusal import (
    AllocationTooLarge,
    AllocationUnknown,
    CurrencyMismatch,
    PaymentTooLarge,
    SettlementUnknown,
)
from finance.text import sized

SALES, PURCHASE = "SALES", "PURCHASE"
WRITE_OFF, WITHHOLDING = "WRITE_OFF", "WITHHOLDING"
KINDS: Final = (WRITE_OFF, WITHHOLDING)


class Allocation(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a credit that pays a debt.

    `journal_id` is the entry that did it; None when the money went to the debt with the payment's own entry, and the
    allocation is then known by that one's id. `base_minor` is what the part was worth in the books as a credit,
    `document_base_minor` as a debt; None in the currency of the books.
    """

    id: str
    document_kind: str
    document_id: str
    amount_minor: int
    allocated_on: date
    journal_id: str | None = None
    base_minor: int | None = None
    document_base_minor: int | None = None


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a debt that nobody will pay: written off, or withheld as tax against a certificate.

    `told` is the reason of a write-off, the number of the certificate of a withholding; `tax_code` that of the latter,
    where it was withheld by one.
    """

    id: str
    kind: str
    amount_minor: int
    settled_on: date
    journal_id: str
    told: str
    base_minor: int | None = None
    tax_code: str | None = None


class Credit(msgspec.Struct, frozen=True, kw_only=True):
    """What of a payment or note is not allocated, in its currency and in that of the books."""

    minor: int = 0
    base_minor: int = 0
    allocations: tuple[Allocation, ...] = ()

    def worth_minor(self, minor: int) -> int:
        """What a part of it is worth in the books; the last part takes what is left."""
        return share(self.base_minor, minor, self.minor) if self.minor else 0

    def spent(self, allocation: Allocation) -> "Credit":
        worth = allocation.amount_minor if allocation.base_minor is None else allocation.base_minor
        return Credit(
            minor=self.minor - allocation.amount_minor,
            base_minor=self.base_minor - worth,
            allocations=(*self.allocations, allocation),
        )

    def restored(self, allocation_id: str) -> "Credit":
        allocation = self.allocation(allocation_id)
        worth = allocation.amount_minor if allocation.base_minor is None else allocation.base_minor
        return Credit(
            minor=self.minor + allocation.amount_minor,
            base_minor=self.base_minor + worth,
            allocations=tuple(one for one in self.allocations if one.id != allocation_id),
        )

    def allocation(self, allocation_id: str) -> Allocation:
        """An allocation that stands.

        Raises:
            AllocationUnknown: there is none, or it was taken back.
        """
        for one in self.allocations:
            if one.id == allocation_id:
                return one
        raise AllocationUnknown(f"Found {allocation_id[:40]}.")


def spendable(credit: Credit, amount: Money) -> None:
    """Whether this much can be allocated now.

    Raises:
        AmountNotPositive: it is nothing or less.
        AllocationTooLarge: less is left.
    """
    amount.positive("the allocation")
    if amount.minor > credit.minor:
        left = Money(credit.minor, amount.currency)
        raise AllocationTooLarge(f"Left are {left}, allocated would be {amount}.")


def coverable(open_minor: int, currency: str, amount: Money) -> None:
    """Whether this much of a debt can be paid, written off or withheld now.

    Raises:
        CurrencyMismatch: the debt is in another currency.
        PaymentTooLarge: less is open.
    """
    if amount.currency != currency:
        raise CurrencyMismatch(f"The document is in {currency}, the payment in {amount.currency}.")
    if amount.minor > open_minor:
        raise PaymentTooLarge(f"Open are {Money(open_minor, currency)}, paid would be {amount}.")


def checked(settlement: Settlement, open_minor: int, currency: str) -> Settlement:
    """The settlement of a debt of which so much is open.

    Raises:
        Refused: of nothing, of more than is open, or without a reason or certificate.
    """
    amount = Money(settlement.amount_minor, currency).positive("the settlement")
    coverable(open_minor, currency, amount)
    least, most = (10, 500) if settlement.kind == WRITE_OFF else (3, 100)
    what = "reason" if settlement.kind == WRITE_OFF else "certificate"
    return msgspec.structs.replace(settlement, told=sized(settlement.told, what, least, most))


def standing(settlements: Sequence[Settlement], settlement_id: str) -> Settlement:
    """A settlement that stands.

    Raises:
        SettlementUnknown: there is none, or it was taken back.
    """
    for one in settlements:
        if one.id == settlement_id:
            return one
    raise SettlementUnknown(f"Found {settlement_id[:40]}.")


def amount_minor(settlements: Sequence[Settlement]) -> int:
    return sum(one.amount_minor for one in settlements)


def base_minor(settlements: Sequence[Settlement]) -> int:
    return sum(one.base_minor or 0 for one in settlements)


class Debt(Protocol):
    """An invoice or voucher, as far as its worth goes. `base_minor` is the worth of the total, None before approval and
    in the currency of the books.
    """

    @property
    def currency(self) -> str: ...
    @property
    def number(self) -> str | None: ...
    @property
    def open_minor(self) -> int: ...
    @property
    def base_open_minor(self) -> int: ...
    @property
    def base_minor(self) -> int | None: ...
    @property
    def base_paid_minor(self) -> int: ...
    @property
    def settlements(self) -> tuple[Settlement, ...]: ...


def open_worth_minor(debt: Debt) -> int:
    """What is open, as the books value it; nothing before approval."""
    if debt.currency == BASE:
        return debt.open_minor if debt.number else 0
    return (debt.base_minor or 0) - debt.base_paid_minor - base_minor(debt.settlements)


def part_worth_minor(debt: Debt, minor: int) -> int:
    """What a part of the open amount is worth in the books; the last part takes what is left."""
    return share(debt.base_open_minor, minor, debt.open_minor) if debt.open_minor else 0


def booked_minor(document: Debt, minor: int) -> int | None:
    """What a part of what is open is worth in the books; None where they do not say, from before rates were kept."""
    unsaid = document.currency != BASE and document.base_minor is None
    return None if unsaid else part_worth_minor(document, minor)


def kept_worth_minor(debt: Debt, minor: int) -> int | None:
    """As `part_worth_minor`, for an event to keep; None in the currency of the books."""
    return None if debt.currency == BASE else part_worth_minor(debt, minor)
