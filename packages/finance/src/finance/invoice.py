"""A sales invoice: commands, events, state, decide, evolve.

Draft, approved (numbered and posted), partly paid, paid; cancelled from draft or approved. Overdue is not a
state but a question to the due date. What was paid is counted from events, so that nothing is paid twice.
"""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Final, assert_never

import msgspec

from finance import settlement, taxation
from finance.money import LARGEST_MINOR, Money
from finance.refusal import (
    AmountMalformed,
    AmountNotPositive,
    DateMalformed,
    InvoiceCancelled,
    InvoiceHasPayments,
    InvoiceNotDraft,
    InvoiceNotPayable,
    InvoiceWithoutLines,
)
from finance.settlement import Settlement
from finance.taxation import LineTax
from finance.text import sized

VAT_PERCENT: Final = {
    "STANDARD": Decimal(15),
    "REDUCED": Decimal("7.5"),
    "TRUNCATED": Decimal(5),
    "ZERO_RATED": Decimal(0),
    "EXEMPT": Decimal(0),
}
"""Rates of the National Board of Revenue, Bangladesh, as the original service used them; of lines without tax codes."""

MOST_LINES: Final = 500
QUANTITY_PLACES: Final = 6


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """Amounts in minor units. `amount_minor` is net; `vat_minor` is all taxes on top of it, rounded as the terms say.

    `taxes` says what `vat_minor` is made of where the line has `tax_codes`. A release that knows no codes sees the
    same totals. `account_id` is what the amount is posted to; None is the rule's own account.
    """

    description: str
    quantity: Decimal
    unit_price_minor: int
    amount_minor: int
    vat_category: str
    vat_percent: Decimal
    vat_minor: int
    product_id: str | None = None
    account_id: str | None = None
    tax_codes: tuple[str, ...] = ()
    taxes: tuple[LineTax, ...] = ()


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What a draft says, and what a new draft says in its place. `prices` and `rounding` as in `taxation`."""

    customer_id: str
    invoice_date: date
    due_date: date
    lines: tuple[Line, ...]
    vendor_id: str | None = None
    prices: str = taxation.EXCLUSIVE
    rounding: str = taxation.LINE


class Created(msgspec.Struct, frozen=True, kw_only=True, tag="invoice.created/1"):
    """`customer_verified` is false when master data could not be asked."""

    invoice_id: str
    currency: str
    terms: Terms
    customer_verified: bool = True


class Updated(msgspec.Struct, frozen=True, kw_only=True, tag="invoice.updated/1"):
    terms: Terms


class Approved(msgspec.Struct, frozen=True, kw_only=True, tag="invoice.approved/1"):
    """`base_minor` is what the total was worth in the currency of the books; None for an invoice in the latter.

    `tax_number` is its serial as a tax invoice (Mushak-6.3), where the company's tax pack has such a series.
    """

    number: str
    journal_id: str
    approved_by: str
    base_minor: int | None = None
    tax_number: str | None = None


class PaymentRecorded(msgspec.Struct, frozen=True, kw_only=True, tag="invoice.payment-recorded/1"):
    """`base_minor` is the part of the invoice's worth that was paid, whatever the money was worth."""

    payment_id: str
    amount_minor: int
    base_minor: int | None = None


class PaymentWithdrawn(msgspec.Struct, frozen=True, kw_only=True, tag="invoice.payment-withdrawn/1"):
    payment_id: str
    amount_minor: int
    base_minor: int | None = None


class Settled(msgspec.Struct, frozen=True, kw_only=True, tag="invoice.settled/1"):
    settlement: Settlement


class SettlementWithdrawn(msgspec.Struct, frozen=True, kw_only=True, tag="invoice.settlement-withdrawn/1"):
    settlement_id: str
    reason: str
    reversing_journal_id: str


class Cancelled(msgspec.Struct, frozen=True, kw_only=True, tag="invoice.cancelled/1"):
    """`cancelled_on` is the day of the reversing entry; None is the invoice's own, or that there was none."""

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
    | Cancelled
)


class Invoice(msgspec.Struct, frozen=True, kw_only=True):
    """`version` counts its events."""

    id: str
    currency: str
    terms: Terms
    customer_verified: bool = True
    number: str | None = None
    journal_id: str | None = None
    tax_number: str | None = None
    paid_minor: int = 0
    base_minor: int | None = None
    base_paid_minor: int = 0
    settlements: tuple[Settlement, ...] = ()
    cancelled: bool = False
    version: int = 1

    @property
    def side(self) -> str:
        return settlement.SALES

    @property
    def partner_id(self) -> str:
        return self.terms.customer_id

    @property
    def dated(self) -> date:
        return self.terms.invoice_date

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
        return self.total_minor - self.paid_minor - settlement.amount_minor(self.settlements)

    @property
    def base_open_minor(self) -> int:
        """What is open, as the books value it; nothing before approval."""
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
        return "PARTIALLY_PAID" if self.paid_minor or self.settlements else "APPROVED"

    def status_on(self, day: date) -> str:
        """As `status`, and overdue when something is open after the due date."""
        if self.status in {"APPROVED", "PARTIALLY_PAID"} and day > self.terms.due_date:
            return "OVERDUE"
        return self.status


class Create(msgspec.Struct, frozen=True, kw_only=True):
    invoice_id: str
    currency: str
    terms: Terms
    customer_verified: bool = True


class Update(msgspec.Struct, frozen=True, kw_only=True):
    terms: Terms


class Approve(msgspec.Struct, frozen=True, kw_only=True):
    number: str
    journal_id: str
    approved_by: str
    base_minor: int | None = None
    tax_number: str | None = None


class RecordPayment(msgspec.Struct, frozen=True, kw_only=True):
    payment_id: str
    amount: Money


class WithdrawPayment(msgspec.Struct, frozen=True, kw_only=True):
    """`base_minor` is what was recorded with the payment."""

    payment_id: str
    amount: Money
    base_minor: int | None = None


class Settle(msgspec.Struct, frozen=True, kw_only=True):
    settlement: Settlement


class WithdrawSettlement(msgspec.Struct, frozen=True, kw_only=True):
    settlement_id: str
    reason: str
    reversing_journal_id: str


class Cancel(msgspec.Struct, frozen=True, kw_only=True):
    reason: str
    reversing_journal_id: str | None
    cancelled_on: date | None = None


Command = Create | Update | Approve | RecordPayment | WithdrawPayment | Settle | WithdrawSettlement | Cancel


def line(
    *,
    description: str,
    quantity: Decimal,
    unit_price: Money,
    vat_category: str,
    product_id: str | None,
    account_id: str | None = None,
    tax_codes: tuple[str, ...] = (),
) -> Line:
    """A priced line: quantity times price, VAT of its category on it, each rounded half to even.

    What tax codes come to is known only with the rates of the day: `taxing.levied`.

    Raises:
        AmountNotPositive: nothing or less is sold, or for less than nothing.
        AmountMalformed: a quantity with more than six places, or an amount too large to keep.
    """
    if quantity <= 0:
        raise AmountNotPositive(f"quantity is {quantity}")
    if quantity != round(quantity, QUANTITY_PLACES):
        raise AmountMalformed(f"expected a quantity of at most {QUANTITY_PLACES} places, found {quantity}")
    if unit_price.minor < 0:
        raise AmountNotPositive(f"unit price is {unit_price}")
    percent = VAT_PERCENT[vat_category]
    amount = unit_price.times(quantity)
    if amount.minor > LARGEST_MINOR:
        raise AmountMalformed(f"expected at most {LARGEST_MINOR} minor units a line, found {amount.minor}")
    return Line(
        description=sized(description, "description", 1, 500),
        quantity=quantity,
        unit_price_minor=unit_price.minor,
        amount_minor=amount.minor,
        vat_category=vat_category,
        vat_percent=percent,
        vat_minor=amount.times(percent / 100).minor,
        product_id=product_id,
        account_id=account_id,
        tax_codes=tax_codes,
    )


def decide(invoice: Invoice | None, command: Command) -> list[Event]:
    """The events of a command.

    Raises:
        Refused: one class per rule; nothing happened.
    """
    match command:
        case Create():
            terms = checked(command.terms)
            return [
                Created(
                    invoice_id=command.invoice_id,
                    currency=command.currency,
                    terms=terms,
                    customer_verified=command.customer_verified,
                )
            ]
        case Update():
            _draft(invoice)
            return [Updated(terms=checked(command.terms))]
        case Approve():
            draft = _draft(invoice)
            Money(draft.total_minor, draft.currency).positive("the total")
            return [
                Approved(
                    number=command.number,
                    journal_id=command.journal_id,
                    approved_by=command.approved_by,
                    base_minor=command.base_minor,
                    tax_number=command.tax_number,
                )
            ]
        case RecordPayment():
            return [_record(_existing(invoice), command)]
        case WithdrawPayment():
            amount, base = command.amount.minor, command.base_minor
            return [PaymentWithdrawn(payment_id=command.payment_id, amount_minor=amount, base_minor=base)]
        case Settle():
            return [_settle(_existing(invoice), command)]
        case WithdrawSettlement():
            settlement.standing(_existing(invoice).settlements, command.settlement_id)
            reason = sized(command.reason, "reason", 10, 500)
            one, mirror = command.settlement_id, command.reversing_journal_id
            return [SettlementWithdrawn(settlement_id=one, reason=reason, reversing_journal_id=mirror)]
        case Cancel():
            return [_cancel(_existing(invoice), command)]
        case _:
            assert_never(command)


def checked(terms: Terms) -> Terms:
    """The terms.

    Raises:
        Refused: no lines or too many, due before it is made out, or too large to keep.
    """
    bounded(terms.lines, dated=terms.invoice_date, due=terms.due_date)
    return terms


def bounded(lines: Sequence[Line], *, dated: date, due: date) -> None:
    """What any document's terms must keep, an invoice's or a voucher's.

    Raises:
        Refused: no lines or too many, due before it is made out, or too large to keep.
    """
    if not 1 <= len(lines) <= MOST_LINES:
        raise InvoiceWithoutLines(f"Expected 1 to {MOST_LINES} lines, found {len(lines)}.")
    if due < dated:
        raise DateMalformed(f"Due {due} is before the document's {dated}.")
    total = sum(line.amount_minor + line.vat_minor for line in lines)
    if total > LARGEST_MINOR:
        raise AmountMalformed(f"expected at most {LARGEST_MINOR} minor units a document, found {total}")


def _existing(invoice: Invoice | None) -> Invoice:
    assert invoice is not None, "the shell loads the invoice first"  # noqa: S101 - a bug, not a refusal
    if invoice.cancelled:
        raise InvoiceCancelled
    return invoice


def _draft(invoice: Invoice | None) -> Invoice:
    existing = _existing(invoice)
    if existing.status != "DRAFT":
        raise InvoiceNotDraft(f"It is {existing.status}.")
    return existing


def _record(invoice: Invoice, command: RecordPayment) -> PaymentRecorded:
    payable(invoice, command.amount)
    minor = command.amount.minor
    worth = settlement.kept_worth_minor(invoice, minor)
    return PaymentRecorded(payment_id=command.payment_id, amount_minor=minor, base_minor=worth)


def payable(invoice: Invoice, amount: Money) -> None:
    """Whether this much can be paid now.

    Raises:
        Refused: not approved, another currency, or more than is open.
    """
    if invoice.cancelled:
        raise InvoiceCancelled
    if invoice.status == "DRAFT":
        raise InvoiceNotPayable(f"It is {invoice.status}.")
    settlement.coverable(invoice.open_minor, invoice.currency, amount)


def _settle(invoice: Invoice, command: Settle) -> Settled:
    payable(invoice, Money(0, invoice.currency))
    asked = settlement.checked(command.settlement, invoice.open_minor, invoice.currency)
    worth = settlement.kept_worth_minor(invoice, asked.amount_minor)
    return Settled(settlement=msgspec.structs.replace(asked, base_minor=worth))


def _cancel(invoice: Invoice, command: Cancel) -> Cancelled:
    if invoice.paid_minor or invoice.settlements:
        raise InvoiceHasPayments(f"Open are {Money(invoice.open_minor, invoice.currency)}.")
    reason = sized(command.reason, "reason", 3, 500)
    return Cancelled(
        reason=reason,
        reversing_journal_id=command.reversing_journal_id,
        cancelled_on=command.cancelled_on,
    )


def evolve(invoice: Invoice | None, event: Event) -> Invoice:
    match event:
        case Created():
            return Invoice(
                id=event.invoice_id,
                currency=event.currency,
                terms=event.terms,
                customer_verified=event.customer_verified,
            )
        case Updated():
            return _next(invoice, terms=event.terms)
        case Approved():
            return _next(
                invoice,
                number=event.number,
                journal_id=event.journal_id,
                base_minor=event.base_minor,
                tax_number=event.tax_number,
            )
        case PaymentRecorded():
            return _paid(invoice, event.amount_minor, event.base_minor or 0)
        case PaymentWithdrawn():
            return _paid(invoice, -event.amount_minor, -(event.base_minor or 0))
        case Settled():
            assert invoice is not None, "a stream begins with created"  # noqa: S101 - a damaged log is a bug
            return _next(invoice, settlements=(*invoice.settlements, event.settlement))
        case SettlementWithdrawn():
            assert invoice is not None, "a stream begins with created"  # noqa: S101 - a damaged log is a bug
            left = tuple(one for one in invoice.settlements if one.id != event.settlement_id)
            return _next(invoice, settlements=left)
        case Cancelled():
            return _next(invoice, cancelled=True)
        case _:
            assert_never(event)


def _paid(invoice: Invoice | None, amount_minor: int, base_minor: int) -> Invoice:
    assert invoice is not None, "a stream begins with created"  # noqa: S101 - a damaged log is a bug
    return _next(
        invoice,
        paid_minor=invoice.paid_minor + amount_minor,
        base_paid_minor=invoice.base_paid_minor + base_minor,
    )


def _next(invoice: Invoice | None, **changes: object) -> Invoice:
    assert invoice is not None, "a stream begins with created"  # noqa: S101 - a damaged log is a bug
    return msgspec.structs.replace(invoice, version=invoice.version + 1, **changes)
