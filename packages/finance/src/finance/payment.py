"""Money from a customer or to a vendor: commands, events, state, decide, evolve.

Pending until the money is there (a mobile wallet's is processing meanwhile), then completed and posted, then
perhaps reconciled with a bank's line; failed or reversed instead. It pays one document at once, or none; what it
does not pay is a credit that can be allocated to any of the partner's debts, and taken back from them. What is open
of a document is the document's business: it decides in the same transaction.
"""

import re
from datetime import date, datetime
from typing import Final, assert_never

import msgspec

from finance.bank_refusal import BankLineNotMatched, PaymentMatched
from finance.money import Money
from finance.refusal import (
    PaymentDetailsMissing,
    PaymentNotCompleted,
    PaymentNotPending,
    PaymentPartnerMalformed,
    WalletNumberMalformed,
)
from finance.settlement import PURCHASE, SALES, Allocation, Credit, spendable
from finance.text import sized

WALLET_NUMBER: Final = re.compile(r"(\+880|0)1[3-9]\d{8}", re.ASCII)
"""Bangladesh Telecommunication Regulatory Commission, National Numbering Plan: mobile numbers."""

WALLET_METHODS: Final = frozenset({"MOBILE_WALLET"})


class Details(msgspec.Struct, frozen=True, kw_only=True):
    """How it is paid. Which fields are needed follows from the method.

    `bank_account_id` is an account of the books that money is on. Before it was asked about, it was any text.
    """

    method: str
    bank_account_id: str | None = None
    check_number: str | None = None
    wallet_provider: str | None = None
    mobile_number: str | None = None
    wallet_transaction_id: str | None = None
    merchant_code: str | None = None


class Created(msgspec.Struct, frozen=True, kw_only=True, tag="payment.created/1"):
    """`number` was drawn here until 1.1.0; since then a payment has none before it is completed."""

    payment_id: str
    invoice_id: str
    amount_minor: int
    currency: str
    payment_date: date
    details: Details
    number: str | None = None
    reference: str | None = None


class Opened(msgspec.Struct, frozen=True, kw_only=True, tag="payment.opened/1"):
    """As created, for whatever is more than one invoice's payment: a voucher's, or money on account.

    `partner_id` is the customer on the side SALES, the vendor on the side PURCHASE. `excess` lets what is more than
    the document's open amount become a credit.
    """

    payment_id: str
    side: str
    partner_id: str
    amount_minor: int
    currency: str
    payment_date: date
    details: Details
    document_kind: str | None = None
    document_id: str | None = None
    excess: bool = False
    reference: str | None = None


class Updated(msgspec.Struct, frozen=True, kw_only=True, tag="payment.updated/1"):
    amount_minor: int
    payment_date: date
    details: Details
    reference: str | None = None


class Completed(msgspec.Struct, frozen=True, kw_only=True, tag="payment.completed/1"):
    """`number` is None when the payment has one from its creation. `base_minor` is what it paid off in the books.

    `credit_minor` is what pays no document. `worth_minor` is what the money for the document, `credit_base_minor`
    what the credit was worth in the books; None in their currency. `account_id` is where the money is; None is the
    account of the way of paying.
    """

    transaction_reference: str
    journal_id: str
    account_id: str | None = None
    number: str | None = None
    base_minor: int | None = None
    credit_minor: int = 0
    credit_base_minor: int | None = None
    worth_minor: int | None = None


class Allocated(msgspec.Struct, frozen=True, kw_only=True, tag="payment.allocated/1"):
    allocation: Allocation


class Unallocated(msgspec.Struct, frozen=True, kw_only=True, tag="payment.unallocated/1"):
    """`journal_id` is the entry that took it back; None when the allocation's own entry was reversed."""

    allocation_id: str
    reason: str
    journal_id: str | None = None


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag="payment.failed/1"):
    reason: str


class Reconciled(msgspec.Struct, frozen=True, kw_only=True, tag="payment.reconciled/1"):
    """`bank_statement_transaction_id` is a bank line's id. Where there is no match, an older release took any text."""

    bank_statement_transaction_id: str
    reconciled_at: datetime
    match_id: str | None = None


class Unreconciled(msgspec.Struct, frozen=True, kw_only=True, tag="payment.unreconciled/1"):
    match_id: str
    reason: str


class Reversed(msgspec.Struct, frozen=True, kw_only=True, tag="payment.reversed/1"):
    """`reversed_on` is the day of the reversing entry; None is the payment's own."""

    reason: str
    reversing_journal_id: str
    reversed_on: date | None = None


Event = (
    Created
    | Opened
    | Updated
    | Completed
    | Allocated
    | Unallocated
    | Failed
    | Reconciled
    | Unreconciled
    | Reversed
)


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    """`version` counts its events. `entries` are the posted entries that reversing it takes back."""

    id: str
    invoice_id: str | None
    amount_minor: int
    currency: str
    payment_date: date
    details: Details
    status: str
    number: str | None = None
    base_minor: int | None = None
    reference: str | None = None
    transaction_reference: str | None = None
    journal_id: str | None = None
    reconciled_at: datetime | None = None
    match_id: str | None = None
    side: str = SALES
    partner_id: str | None = None
    voucher_id: str | None = None
    excess: bool = False
    account_id: str | None = None
    credit: Credit = Credit()
    entries: tuple[str, ...] = ()
    version: int = 1

    @property
    def dated(self) -> date:
        return self.payment_date

    @property
    def document(self) -> tuple[str, str] | None:
        """The kind and id of what it pays at once."""
        if self.invoice_id is not None:
            return "invoice", self.invoice_id
        return None if self.voucher_id is None else ("voucher", self.voucher_id)

    @property
    def amount(self) -> Money:
        return Money(self.amount_minor, self.currency)


class Create(msgspec.Struct, frozen=True, kw_only=True):
    """For one of `invoice_id`, `voucher_id`, `customer_id` and `vendor_id`.

    The shell tells `side` and `partner_id` of a document. `excess` lets what is more than its open amount be a credit.
    """

    payment_id: str
    amount: Money
    payment_date: date
    details: Details
    invoice_id: str | None = None
    voucher_id: str | None = None
    customer_id: str | None = None
    vendor_id: str | None = None
    side: str = SALES
    partner_id: str = ""
    excess: bool = False
    reference: str | None = None


class Update(msgspec.Struct, frozen=True, kw_only=True):
    """None leaves as it is."""

    amount: Money | None = None
    payment_date: date | None = None
    method: str | None = None
    reference: str | None = None


class Complete(msgspec.Struct, frozen=True, kw_only=True):
    """`number` is drawn by whoever asks, unless the payment has one."""

    transaction_reference: str
    journal_id: str
    account_id: str | None = None
    number: str | None = None
    base_minor: int | None = None
    credit_minor: int = 0
    credit_base_minor: int | None = None
    worth_minor: int | None = None


class Allocate(msgspec.Struct, frozen=True, kw_only=True):
    allocation: Allocation


class Unallocate(msgspec.Struct, frozen=True, kw_only=True):
    allocation_id: str
    reason: str
    journal_id: str | None = None


class Fail(msgspec.Struct, frozen=True, kw_only=True):
    reason: str


class Reconcile(msgspec.Struct, frozen=True, kw_only=True):
    bank_statement_transaction_id: str
    reconciled_at: datetime
    match_id: str | None = None


class Unreconcile(msgspec.Struct, frozen=True, kw_only=True):
    reason: str


class Reverse(msgspec.Struct, frozen=True, kw_only=True):
    reason: str
    reversing_journal_id: str
    reversed_on: date | None = None


Command = Create | Update | Complete | Allocate | Unallocate | Fail | Reconcile | Unreconcile | Reverse


def decide(payment: Payment | None, command: Command) -> list[Event]:
    """The events of a command.

    Raises:
        Refused: one class per rule; nothing happened.
    """
    match command:
        case Create():
            return [_create(command)]
        case Update():
            return [_update(_pending(payment), command)]
        case Complete():
            _pending(payment)
            reference = sized(command.transaction_reference, "transaction reference", 5, 255)
            return [
                Completed(
                    transaction_reference=reference,
                    journal_id=command.journal_id,
                    account_id=command.account_id,
                    number=command.number,
                    base_minor=command.base_minor,
                    credit_minor=command.credit_minor,
                    credit_base_minor=command.credit_base_minor,
                    worth_minor=command.worth_minor,
                )
            ]
        case Allocate():
            existing = _completed(payment, also_reconciled=True)
            spendable(existing.credit, Money(command.allocation.amount_minor, existing.currency))
            return [Allocated(allocation=command.allocation)]
        case Unallocate():
            _completed(payment, also_reconciled=True).credit.allocation(command.allocation_id)
            reason = sized(command.reason, "reason", 10, 500)
            one, entry = command.allocation_id, command.journal_id
            return [Unallocated(allocation_id=one, reason=reason, journal_id=entry)]
        case Fail():
            _pending(payment)
            return [Failed(reason=sized(command.reason, "reason", 10, 500))]
        case Reconcile():
            _completed(payment, also_reconciled=False)
            told = sized(command.bank_statement_transaction_id, "bank statement transaction", 5, 100)
            at, both = command.reconciled_at, command.match_id
            return [Reconciled(bank_statement_transaction_id=told, reconciled_at=at, match_id=both)]
        case Unreconcile():
            match_id = _completed(payment, also_reconciled=True).match_id
            if match_id is None:  # the line was read before somebody undid it, and the payment after
                raise BankLineNotMatched
            return [Unreconciled(match_id=match_id, reason=sized(command.reason, "reason", 10, 500))]
        case Reverse():
            if _completed(payment, also_reconciled=True).match_id is not None:
                raise PaymentMatched
            reason = sized(command.reason, "reason", 10, 500)
            mirror, day = command.reversing_journal_id, command.reversed_on
            return [Reversed(reason=reason, reversing_journal_id=mirror, reversed_on=day)]
        case _:
            assert_never(command)


def _pending(payment: Payment | None) -> Payment:
    assert payment is not None, "the shell loads the payment first"  # noqa: S101 - a bug, not a refusal
    if payment.status not in {"PENDING", "PROCESSING"}:
        raise PaymentNotPending(f"It is {payment.status}.")
    return payment


def _completed(payment: Payment | None, *, also_reconciled: bool) -> Payment:
    assert payment is not None, "the shell loads the payment first"  # noqa: S101 - a bug, not a refusal
    if payment.status != "COMPLETED" and not (also_reconciled and payment.status == "RECONCILED"):
        raise PaymentNotCompleted(f"It is {payment.status}.")
    return payment


def complete_details(details: Details) -> Details:
    """The details.

    Raises:
        PaymentDetailsMissing: the method needs one that is not there.
        WalletNumberMalformed: no mobile number of Bangladesh.
    """
    if details.method == "CHECK" and not details.check_number:
        raise PaymentDetailsMissing("CHECK needs checkNumber.")
    if details.method in WALLET_METHODS:
        if not details.wallet_provider or not details.mobile_number:
            raise PaymentDetailsMissing("MOBILE_WALLET needs walletProvider and mobileNumber.")
        if WALLET_NUMBER.fullmatch(details.mobile_number) is None:
            raise WalletNumberMalformed(f"Found '{details.mobile_number[:20]}'.")
    return details


def partner_named(command: Create) -> tuple[str, str]:
    """What a payment is for: the kind and id of the one invoice, voucher, customer or vendor.

    Raises:
        PaymentPartnerMalformed: none or several are named.
    """
    given = {
        "invoice": command.invoice_id,
        "voucher": command.voucher_id,
        "customer": command.customer_id,
        "vendor": command.vendor_id,
    }
    named = [(kind, one) for kind, one in given.items() if one is not None]
    if len(named) != 1:
        raise PaymentPartnerMalformed(f"Found {len(named)}.")
    return named[0]


def _create(command: Create) -> Created | Opened:
    kind, one = partner_named(command)
    amount_minor = command.amount.positive("the payment").minor
    if kind == "invoice" and not command.excess:
        return Created(
            payment_id=command.payment_id,
            invoice_id=one,
            amount_minor=amount_minor,
            currency=command.amount.currency,
            payment_date=command.payment_date,
            details=complete_details(command.details),
            reference=command.reference,
        )
    for_document = kind in {"invoice", "voucher"}
    side = PURCHASE if kind == "vendor" else SALES
    return Opened(
        payment_id=command.payment_id,
        side=command.side if for_document else side,
        partner_id=command.partner_id if for_document else one,
        amount_minor=amount_minor,
        currency=command.amount.currency,
        payment_date=command.payment_date,
        details=complete_details(command.details),
        document_kind=kind if for_document else None,
        document_id=one if for_document else None,
        excess=command.excess,
        reference=command.reference,
    )


def _update(payment: Payment, command: Update) -> Updated:
    amount = payment.amount if command.amount is None else command.amount
    details = payment.details
    if command.method is not None:
        details = msgspec.structs.replace(details, method=command.method)
    return Updated(
        amount_minor=amount.positive("the payment").minor,
        payment_date=command.payment_date or payment.payment_date,
        details=complete_details(details),
        reference=payment.reference if command.reference is None else command.reference,
    )


def evolve(payment: Payment | None, event: Event) -> Payment:
    match event:
        case Created():
            return Payment(
                id=event.payment_id,
                number=event.number,
                invoice_id=event.invoice_id,
                amount_minor=event.amount_minor,
                currency=event.currency,
                payment_date=event.payment_date,
                details=event.details,
                status=_waiting(event.details),
                reference=event.reference,
            )
        case Opened():
            return Payment(
                id=event.payment_id,
                invoice_id=event.document_id if event.document_kind == "invoice" else None,
                voucher_id=event.document_id if event.document_kind == "voucher" else None,
                side=event.side,
                partner_id=event.partner_id,
                amount_minor=event.amount_minor,
                currency=event.currency,
                payment_date=event.payment_date,
                details=event.details,
                status=_waiting(event.details),
                excess=event.excess,
                reference=event.reference,
            )
        case Updated():
            return _next(
                payment,
                amount_minor=event.amount_minor,
                payment_date=event.payment_date,
                details=event.details,
                status=_waiting(event.details),
                reference=event.reference,
            )
        case Completed():
            return _next(
                payment,
                status="COMPLETED",
                transaction_reference=event.transaction_reference,
                journal_id=event.journal_id,
                account_id=event.account_id,
                base_minor=event.base_minor,
                credit=_credited(payment, event),
                entries=(event.journal_id,),
                **({} if event.number is None else {"number": event.number}),
            )
        case Allocated():
            credit, entries = _standing(payment)
            made = event.allocation.journal_id
            return _next(
                payment, credit=credit.spent(event.allocation), entries=(*entries, *([made] if made else []))
            )
        case Unallocated():
            return _unallocated(payment, event)
        case Failed():
            return _next(payment, status="FAILED")
        case Reconciled():
            at, both = event.reconciled_at, event.match_id
            return _next(payment, status="RECONCILED", reconciled_at=at, match_id=both)
        case Unreconciled():
            return _next(payment, status="COMPLETED", reconciled_at=None, match_id=None)
        case Reversed():
            return _next(payment, status="REVERSED", credit=Credit(), entries=())
        case _:
            assert_never(event)


def _credited(payment: Payment | None, event: Completed) -> Credit:
    """What a completed payment paid at once, and what of it is left."""
    assert payment is not None, "a stream begins with created"  # noqa: S101 - a damaged log is a bug
    worth = event.credit_minor if event.credit_base_minor is None else event.credit_base_minor
    paid = payment.amount_minor - event.credit_minor
    if payment.document is None or not paid:
        return Credit(minor=event.credit_minor, base_minor=worth)
    kind, one = payment.document
    direct = Allocation(
        id=event.journal_id,
        document_kind=kind,
        document_id=one,
        amount_minor=paid,
        allocated_on=payment.payment_date,
        base_minor=event.base_minor if event.worth_minor is None else event.worth_minor,
        document_base_minor=event.base_minor,
    )
    return Credit(minor=event.credit_minor, base_minor=worth, allocations=(direct,))


def _standing(payment: Payment | None) -> tuple[Credit, tuple[str, ...]]:
    assert payment is not None, "a stream begins with created"  # noqa: S101 - a damaged log is a bug
    return payment.credit, payment.entries


def _unallocated(payment: Payment | None, event: Unallocated) -> Payment:
    credit, entries = _standing(payment)
    reversed_entry = credit.allocation(event.allocation_id).journal_id
    kept = tuple(one for one in entries if event.journal_id or one != reversed_entry)
    added = (event.journal_id,) if event.journal_id else ()
    return _next(payment, credit=credit.restored(event.allocation_id), entries=(*kept, *added))


def _waiting(details: Details) -> str:
    return "PROCESSING" if details.method in WALLET_METHODS else "PENDING"


def _next(payment: Payment | None, **changes: object) -> Payment:
    assert payment is not None, "a stream begins with created"  # noqa: S101 - a damaged log is a bug
    return msgspec.structs.replace(payment, version=payment.version + 1, **changes)
