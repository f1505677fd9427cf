"""A vendor's bill, a credit note, a debit note, a vendor's credit: commands, events, state, decide, evolve.

| kind | partner | what it does |
|---|---|---|
| BILL | vendor | raises what we owe |
| DEBIT_NOTE | customer | raises what is owed to us |
| CREDIT_NOTE | customer | lowers it: a credit, to be allocated |
| VENDOR_CREDIT | vendor | lowers what we owe (its credit note, or our debit note to it): a credit, to be allocated |

Draft (changed as often as need be), approved (numbered and posted), then paid in parts or allocated in parts; cancelled
from draft or approved.
"""

from datetime import date
from typing import Final, assert_never

import msgspec

from finance import invoice, settlement, taxation
from finance.invoice import Line
from finance.money import Money
from finance.refusal import (
    InvoiceCancelled,
    InvoiceHasPayments,
    InvoiceNotDraft,
    InvoiceNotPayable,
    VoucherNotCredit,
    VoucherNotDebt,
)
from finance.settlement import PURCHASE, SALES, Allocation, Credit, Settlement
from finance.text import sized

BILL, CREDIT_NOTE, DEBIT_NOTE, VENDOR_CREDIT = "BILL", "CREDIT_NOTE", "DEBIT_NOTE", "VENDOR_CREDIT"
SIDES: Final = {BILL: PURCHASE, CREDIT_NOTE: SALES, DEBIT_NOTE: SALES, VENDOR_CREDIT: PURCHASE}
CREDITS: Final = frozenset({CREDIT_NOTE, VENDOR_CREDIT})
SERIES: Final = {BILL: "BILL", CREDIT_NOTE: "CN", DEBIT_NOTE: "DN", VENDOR_CREDIT: "VC"}


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What it says. `reference` is the partner's own number, `corrects_id` the document that a note corrects."""

    partner_id: str
    voucher_date: date
    due_date: date
    lines: tuple[Line, ...]
    reference: str | None = None
    corrects_id: str | None = None
    reason: str | None = None
    prices: str = taxation.EXCLUSIVE
    rounding: str = taxation.LINE


class Created(msgspec.Struct, frozen=True, kw_only=True, tag="voucher.created/1"):
    voucher_id: str
    kind: str
    currency: str
    terms: Terms


class Updated(msgspec.Struct, frozen=True, kw_only=True, tag="voucher.updated/1"):
    """The whole draft as it is from now on."""

    terms: Terms


class Approved(msgspec.Struct, frozen=True, kw_only=True, tag="voucher.approved/1"):
    """`base_minor` is what the total was worth in the currency of the books; None for one in the latter."""

    number: str
    journal_id: str
    approved_by: str
    base_minor: int | None = None


class PaymentRecorded(msgspec.Struct, frozen=True, kw_only=True, tag="voucher.payment-recorded/1"):
    """`payment_id` is the credit that pays, money or note; `base_minor` the part of the debt's worth it paid."""

    payment_id: str
    amount_minor: int
    base_minor: int | None = None


class PaymentWithdrawn(msgspec.Struct, frozen=True, kw_only=True, tag="voucher.payment-withdrawn/1"):
    payment_id: str
    amount_minor: int
    base_minor: int | None = None


class Settled(msgspec.Struct, frozen=True, kw_only=True, tag="voucher.settled/1"):
    settlement: Settlement


class SettlementWithdrawn(msgspec.Struct, frozen=True, kw_only=True, tag="voucher.settlement-withdrawn/1"):
    settlement_id: str
    reason: str
    reversing_journal_id: str


class Allocated(msgspec.Struct, frozen=True, kw_only=True, tag="voucher.allocated/1"):
    allocation: Allocation


class Unallocated(msgspec.Struct, frozen=True, kw_only=True, tag="voucher.unallocated/1"):
    allocation_id: str
    reason: str
    journal_id: str | None = None


class Cancelled(msgspec.Struct, frozen=True, kw_only=True, tag="voucher.cancelled/1"):
    """`cancelled_on` is the day of the reversing entry; None when there was none."""

    reason: str
    reversing_journal_id: str | None = None
    cancelled_on: date | None = None


Event = (
    Created
    | Updated
    | Approved
    | PaymentRecorded
    | PaymentWithdrawn
    | Settled
    | SettlementWithdrawn
    | Allocated
    | Unallocated
    | Cancelled
)


class Voucher(msgspec.Struct, frozen=True, kw_only=True):
    """`version` counts its events. A debt has what was paid and settled, a credit what is left in `credit`."""

    id: str
    kind: str
    currency: str
    terms: Terms
    number: str | None = None
    journal_id: str | None = None
    base_minor: int | None = None
    paid_minor: int = 0
    base_paid_minor: int = 0
    settlements: tuple[Settlement, ...] = ()
    credit: Credit = Credit()
    cancelled: bool = False
    version: int = 1

    @property
    def side(self) -> str:
        return SIDES[self.kind]

    @property
    def partner_id(self) -> str:
        return self.terms.partner_id

    @property
    def dated(self) -> date:
        return self.terms.voucher_date

    @property
    def is_credit(self) -> bool:
        return self.kind in CREDITS

    @property
    def subtotal_minor(self) -> int:
        return sum(line.amount_minor for line in self.terms.lines)

    @property
    def vat_minor(self) -> int:
        return sum(line.vat_minor for line in self.terms.lines)

    @property
    def total_minor(self) -> int:
        return self.subtotal_minor + self.vat_minor

    @property
    def open_minor(self) -> int:
        """What is still to be paid of a debt, or to be allocated of a credit."""
        if self.is_credit:
            return self.credit.minor if self.number else self.total_minor
        return self.total_minor - self.paid_minor - settlement.amount_minor(self.settlements)

    @property
    def base_open_minor(self) -> int:
        """What is open of a debt, as the books value it; nothing before approval."""
        return settlement.open_worth_minor(self)

    def worth_minor(self, minor: int) -> int:
        """What a part of the open amount is worth in the books; the last part takes what is left."""
        return settlement.part_worth_minor(self, minor)

    @property
    def status(self) -> str:
        if self.cancelled:
            return "CANCELLED"
        if self.number is None:
            return "DRAFT"
        if self.open_minor <= 0:
            return "PAID"
        return "APPROVED" if self.open_minor == self.total_minor else "PARTIALLY_PAID"

    def status_on(self, day: date) -> str:
        """As `status`, and overdue when something of a debt is open after the due date."""
        waits = not self.is_credit and self.status in {"APPROVED", "PARTIALLY_PAID"}
        return "OVERDUE" if waits and day > self.terms.due_date else self.status


class Create(msgspec.Struct, frozen=True, kw_only=True):
    voucher_id: str
    kind: str
    currency: str
    terms: Terms


class Update(msgspec.Struct, frozen=True, kw_only=True):
    """Of the same partner, correcting the same document: another's is another voucher."""

    terms: Terms


class Approve(msgspec.Struct, frozen=True, kw_only=True):
    number: str
    journal_id: str
    approved_by: str
    base_minor: int | None = None


class Allocate(msgspec.Struct, frozen=True, kw_only=True):
    allocation: Allocation


class Unallocate(msgspec.Struct, frozen=True, kw_only=True):
    allocation_id: str
    reason: str
    journal_id: str | None = None


Command = (
    Create
    | Update
    | Approve
    | Allocate
    | Unallocate
    | invoice.RecordPayment
    | invoice.WithdrawPayment
    | invoice.Settle
    | invoice.WithdrawSettlement
    | invoice.Cancel
)
"""What pays, settles and cancels an invoice does the same to a voucher."""


def decide(voucher: Voucher | None, command: Command) -> list[Event]:
    """The events of a command.

    Raises:
        Refused: one class per rule; nothing happened.
    """
    match command:
        case Create():
            terms = checked(command.kind, command.terms)
            one, kind, currency = command.voucher_id, command.kind, command.currency
            return [Created(voucher_id=one, kind=kind, currency=currency, terms=terms)]
        case Update():
            return [Updated(terms=checked(_draft(voucher).kind, command.terms))]
        case Approve():
            return [_approve(_draft(voucher), command)]
        case invoice.RecordPayment():
            return [_record(_existing(voucher), command)]
        case invoice.WithdrawPayment():
            amount, base = command.amount.minor, command.base_minor
            return [PaymentWithdrawn(payment_id=command.payment_id, amount_minor=amount, base_minor=base)]
        case invoice.Settle():
            return [_settle(_existing(voucher), command)]
        case invoice.WithdrawSettlement():
            settlement.standing(_existing(voucher).settlements, command.settlement_id)
            reason = sized(command.reason, "reason", 10, 500)
            one, mirror = command.settlement_id, command.reversing_journal_id
            return [SettlementWithdrawn(settlement_id=one, reason=reason, reversing_journal_id=mirror)]
        case Allocate():
            return [_allocate(_existing(voucher), command)]
        case Unallocate():
            _existing(voucher).credit.allocation(command.allocation_id)
            reason = sized(command.reason, "reason", 10, 500)
            one, entry = command.allocation_id, command.journal_id
            return [Unallocated(allocation_id=one, reason=reason, journal_id=entry)]
        case invoice.Cancel():
            return [_cancel(_existing(voucher), command)]
        case _:
            assert_never(command)


def checked(kind: str, terms: Terms) -> Terms:
    """The terms.

    Raises:
        Refused: no lines or too many, due before it is made out, too large to keep; a bill without the vendor's
            number, or a note without a reason.
    """
    invoice.bounded(terms.lines, dated=terms.voucher_date, due=terms.due_date)
    if kind == BILL or terms.reference is not None:
        reference = sized(terms.reference or "", "reference", 1, 100)
        terms = msgspec.structs.replace(terms, reference=reference)
    if kind == BILL:
        return terms
    return msgspec.structs.replace(terms, reason=sized(terms.reason or "", "reason", 3, 500))


def _existing(voucher: Voucher | None) -> Voucher:
    assert voucher is not None, "the shell loads the voucher first"  # noqa: S101 - a bug, not a refusal
    if voucher.cancelled:
        raise InvoiceCancelled(f"It is {voucher.number or voucher.id}.")
    return voucher


def _draft(voucher: Voucher | None) -> Voucher:
    existing = _existing(voucher)
    if existing.status != "DRAFT":
        raise InvoiceNotDraft(f"It is {existing.status}.")
    return existing


def _approve(voucher: Voucher, command: Approve) -> Approved:
    Money(voucher.total_minor, voucher.currency).positive("the total")
    return Approved(
        number=command.number,
        journal_id=command.journal_id,
        approved_by=command.approved_by,
        base_minor=command.base_minor,
    )


def payable(voucher: Voucher, amount: Money) -> None:
    """Whether this much can be paid now.

    Raises:
        Refused: a credit, not approved, another currency, or more than is open.
    """
    if _existing(voucher).is_credit:
        raise VoucherNotDebt(f"It is a {voucher.kind}.")
    if voucher.status == "DRAFT":
        raise InvoiceNotPayable(f"It is {voucher.status}.")
    settlement.coverable(voucher.open_minor, voucher.currency, amount)


def _record(voucher: Voucher, command: invoice.RecordPayment) -> PaymentRecorded:
    payable(voucher, command.amount)
    minor = command.amount.minor
    worth = settlement.kept_worth_minor(voucher, minor)
    return PaymentRecorded(payment_id=command.payment_id, amount_minor=minor, base_minor=worth)


def _settle(voucher: Voucher, command: invoice.Settle) -> Settled:
    payable(voucher, Money(0, voucher.currency))
    asked = settlement.checked(command.settlement, voucher.open_minor, voucher.currency)
    worth = settlement.kept_worth_minor(voucher, asked.amount_minor)
    return Settled(settlement=msgspec.structs.replace(asked, base_minor=worth))


def allocatable(voucher: Voucher) -> Credit:
    """What is left of a credit.

    Raises:
        VoucherNotCredit: it is a debt, or not approved.
    """
    if not _existing(voucher).is_credit or voucher.number is None:
        raise VoucherNotCredit(f"It is a {voucher.kind}, {voucher.status}.")
    return voucher.credit


def _allocate(voucher: Voucher, command: Allocate) -> Allocated:
    amount = Money(command.allocation.amount_minor, voucher.currency)
    settlement.spendable(allocatable(voucher), amount)
    return Allocated(allocation=command.allocation)


def _cancel(voucher: Voucher, command: invoice.Cancel) -> Cancelled:
    if voucher.number is not None and voucher.open_minor != voucher.total_minor:
        raise InvoiceHasPayments(f"Open are {Money(voucher.open_minor, voucher.currency)}.")
    reason = sized(command.reason, "reason", 3, 500)
    mirror, day = command.reversing_journal_id, command.cancelled_on
    return Cancelled(reason=reason, reversing_journal_id=mirror, cancelled_on=day)


def evolve(voucher: Voucher | None, event: Event) -> Voucher:
    if isinstance(event, Created):
        return Voucher(id=event.voucher_id, kind=event.kind, currency=event.currency, terms=event.terms)
    assert voucher is not None, "a stream begins with created"  # noqa: S101 - a damaged log is a bug
    match event:
        case Updated():
            return _next(voucher, terms=event.terms)
        case Approved():
            return _approved(voucher, event)
        case PaymentRecorded():
            return _paid(voucher, event.amount_minor, event.base_minor or 0)
        case PaymentWithdrawn():
            return _paid(voucher, -event.amount_minor, -(event.base_minor or 0))
        case Settled():
            return _next(voucher, settlements=(*voucher.settlements, event.settlement))
        case SettlementWithdrawn():
            left = tuple(one for one in voucher.settlements if one.id != event.settlement_id)
            return _next(voucher, settlements=left)
        case Allocated():
            return _next(voucher, credit=voucher.credit.spent(event.allocation))
        case Unallocated():
            return _next(voucher, credit=voucher.credit.restored(event.allocation_id))
        case Cancelled():
            return _next(voucher, cancelled=True)
        case _:
            assert_never(event)


def _approved(voucher: Voucher, event: Approved) -> Voucher:
    worth = voucher.total_minor if event.base_minor is None else event.base_minor
    credit = Credit(minor=voucher.total_minor, base_minor=worth) if voucher.is_credit else Credit()
    return _next(
        voucher,
        number=event.number,
        journal_id=event.journal_id,
        base_minor=event.base_minor,
        credit=credit,
    )


def _paid(voucher: Voucher, amount_minor: int, base_minor: int) -> Voucher:
    return _next(
        voucher,
        paid_minor=voucher.paid_minor + amount_minor,
        base_paid_minor=voucher.base_paid_minor + base_minor,
    )


def _next(voucher: Voucher, **changes: object) -> Voucher:
    return msgspec.structs.replace(voucher, version=voucher.version + 1, **changes)
