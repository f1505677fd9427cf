"""A customer's payment of one invoice: commands, events, state, decide, evolve.

Pending until the money is there (a mobile wallet's is processing meanwhile), then completed and posted, then
perhaps reconciled with a bank's line; failed or reversed instead. What is open of the invoice is the invoice's
business: it decides in the same transaction.
"""

import re
from datetime import date, datetime
from typing import Final, assert_never

import msgspec

from finance.money import Money
from finance.refusal import (
    PaymentDetailsMissing,
    PaymentNotCompleted,
    PaymentNotPending,
    WalletNumberMalformed,
)
from finance.text import sized

WALLET_NUMBER: Final = re.compile(r"(\+880|0)1[3-9]\d{8}", re.ASCII)
"""Bangladesh Telecommunication Regulatory Commission, National Numbering Plan: mobile numbers."""

WALLET_METHODS: Final = frozenset({"MOBILE_WALLET"})


class Details(msgspec.Struct, frozen=True, kw_only=True):
    """How it is paid. Which fields are needed follows from the method."""

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


class Updated(msgspec.Struct, frozen=True, kw_only=True, tag="payment.updated/1"):
    amount_minor: int
    payment_date: date
    details: Details
    reference: str | None = None


class Completed(msgspec.Struct, frozen=True, kw_only=True, tag="payment.completed/1"):
    """`number` is None when the payment has one from its creation. `base_minor` is what it paid off in the books."""

    transaction_reference: str
    journal_id: str
    number: str | None = None
    base_minor: int | None = None


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag="payment.failed/1"):
    reason: str


class Reconciled(msgspec.Struct, frozen=True, kw_only=True, tag="payment.reconciled/1"):
    bank_statement_transaction_id: str
    reconciled_at: datetime


class Reversed(msgspec.Struct, frozen=True, kw_only=True, tag="payment.reversed/1"):
    """`reversed_on` is the day of the reversing entry; None is the payment's own."""

    reason: str
    reversing_journal_id: str
    reversed_on: date | None = None


Event = Created | Updated | Completed | Failed | Reconciled | Reversed


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    """`version` counts its events."""

    id: str
    invoice_id: str
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
    version: int = 1

    @property
    def amount(self) -> Money:
        return Money(self.amount_minor, self.currency)


class Create(msgspec.Struct, frozen=True, kw_only=True):
    payment_id: str
    invoice_id: str
    amount: Money
    payment_date: date
    details: Details
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
    number: str | None = None
    base_minor: int | None = None


class Fail(msgspec.Struct, frozen=True, kw_only=True):
    reason: str


class Reconcile(msgspec.Struct, frozen=True, kw_only=True):
    bank_statement_transaction_id: str
    reconciled_at: datetime


class Reverse(msgspec.Struct, frozen=True, kw_only=True):
    reason: str
    reversing_journal_id: str
    reversed_on: date | None = None


Command = Create | Update | Complete | Fail | Reconcile | Reverse


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
                    number=command.number,
                    base_minor=command.base_minor,
                )
            ]
        case Fail():
            _pending(payment)
            return [Failed(reason=sized(command.reason, "reason", 10, 500))]
        case Reconcile():
            _completed(payment, also_reconciled=False)
            told = sized(command.bank_statement_transaction_id, "bank statement transaction", 5, 100)
            return [Reconciled(bank_statement_transaction_id=told, reconciled_at=command.reconciled_at)]
        case Reverse():
            _completed(payment, also_reconciled=True)
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


def _completed(payment: Payment | None, *, also_reconciled: bool) -> None:
    assert payment is not None, "the shell loads the payment first"  # noqa: S101 - a bug, not a refusal
    if payment.status != "COMPLETED" and not (also_reconciled and payment.status == "RECONCILED"):
        raise PaymentNotCompleted(f"It is {payment.status}.")


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


def _create(command: Create) -> Created:
    return Created(
        payment_id=command.payment_id,
        invoice_id=command.invoice_id,
        amount_minor=command.amount.positive("the payment").minor,
        currency=command.amount.currency,
        payment_date=command.payment_date,
        details=complete_details(command.details),
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
                base_minor=event.base_minor,
                **({} if event.number is None else {"number": event.number}),
            )
        case Failed():
            return _next(payment, status="FAILED")
        case Reconciled():
            return _next(payment, status="RECONCILED", reconciled_at=event.reconciled_at)
        case Reversed():
            return _next(payment, status="REVERSED")
        case _:
            assert_never(event)


def _waiting(details: Details) -> str:
    return "PROCESSING" if details.method in WALLET_METHODS else "PENDING"


def _next(payment: Payment | None, **changes: object) -> Payment:
    assert payment is not None, "a stream begins with created"  # noqa: S101 - a damaged log is a bug
    return msgspec.structs.replace(payment, version=payment.version + 1, **changes)
