"""Money that comes and goes."""

from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Literal

import msgspec

from finance_client.operation import Asked, listed, mutation, query
from finance_client.subject import Subject, command
from finance_client.value import (
    Allocation,
    Answer,
    Currency,
    Given,
    Money,
    NewAllocation,
    Unallocation,
)

PaymentStatus = Literal["PENDING", "PROCESSING", "COMPLETED", "FAILED", "RECONCILED", "REVERSED"]
PaymentMethod = Literal[
    "CASH", "BANK_TRANSFER", "CHECK", "MOBILE_WALLET", "CREDIT_CARD", "DEBIT_CARD", "ONLINE_BANKING"
]
WalletProvider = Literal["BKASH", "NAGAD", "ROCKET", "UPAY", "SURECASH", "MCASH", "TCASH"]


class Payment(Answer, frozen=True, kw_only=True):
    """Money from a customer or for a vendor."""

    id: str
    side: str
    unallocated: Money
    allocations: tuple[Allocation, ...]
    amount: Money
    payment_method: str
    status: str
    payment_date: date
    version: int
    payment_number: str | None = None
    invoice_id: str | None = None
    voucher_id: str | None = None
    partner_id: str | None = None
    reference: str | None = None
    transaction_reference: str | None = None
    bank_account_id: str | None = None
    check_number: str | None = None
    wallet_provider: str | None = None
    mobile_number: str | None = None
    reconciled_at: datetime | None = None
    journal_id: str | None = None


class NewPayment(Given, frozen=True, kw_only=True):
    """For one of: an invoice, a voucher, a customer, a vendor."""

    amount: Decimal
    payment_method: PaymentMethod
    payment_date: date
    invoice_id: str | None = None
    voucher_id: str | None = None
    customer_id: str | None = None
    vendor_id: str | None = None
    excess_becomes_credit: bool = False
    currency: Currency = "BDT"
    reference: str | None = None
    bank_account_id: str | None = None
    check_number: str | None = None
    wallet_provider: WalletProvider | None = None
    mobile_number: str | None = None
    wallet_transaction_id: str | None = None
    merchant_code: str | None = None


class PaymentChange(Given, frozen=True, kw_only=True):
    """What is to change of a pending payment; what is not given stays."""

    amount: Decimal | None = None
    payment_date: date | None = None
    payment_method: PaymentMethod | None = None
    reference: str | None = None


class PaymentFilter(Given, frozen=True, kw_only=True):
    """Which payments; what is not given filters nothing. `number` is how a number begins or ends."""

    statuses: tuple[PaymentStatus, ...] | None = None
    partner_id: str | None = None
    invoice_id: str | None = None
    payment_method: PaymentMethod | None = None
    first_on: date | None = msgspec.field(name="from", default=None)
    last_on: date | None = msgspec.field(name="to", default=None)
    currency: Currency | None = None
    amount_from: Decimal | None = None
    amount_to: Decimal | None = None
    number: str | None = None


class Completion(Given, frozen=True, kw_only=True):
    """How it is known that the money was moved."""

    transaction_reference: str


class Reason(Given, frozen=True, kw_only=True):
    """Why."""

    reason: str


class Reconciliation(Given, frozen=True, kw_only=True):
    """Which line of a bank it is: its id, or the bank's reference of it."""

    bank_statement_transaction_id: str


CREATE = mutation("createPayment", Payment, "$input: CreatePaymentInput!")
UPDATE = mutation("updatePayment", Payment, "$id: ID!", "$input: UpdatePaymentInput!")
COMPLETE = mutation("completePayment", Payment, "$id: ID!", "$input: CompletePaymentInput!")
FAIL = mutation("failPayment", Payment, "$id: ID!", "$input: ReasonInput!")
REVERSE = mutation("reversePayment", Payment, "$id: ID!", "$input: ReasonInput!", "$reversingDate: Date")
RECONCILE = mutation("reconcilePayment", Payment, "$id: ID!", "$input: ReconcilePaymentInput!")
ALLOCATE = mutation("allocatePayment", Payment, "$id: ID!", "$input: AllocateInput!")
UNALLOCATE = mutation("unallocatePayment", Payment, "$id: ID!", "$input: UnallocateInput!")
ONE = query("payment", Payment, "$id: ID!")
ALL = listed("paymentsConnection", Payment, "$filter: PaymentFilter")


class Payments(Subject):
    """Money that comes and goes."""

    @command
    def create(self, new: NewPayment, *, key: str | None = None) -> Asked[Payment]:
        """Record one; it moves nothing until it is completed."""
        return Asked(CREATE, key, {"input": new})

    @command
    def update(self, payment_id: str, change: PaymentChange, *, key: str | None = None) -> Asked[Payment]:
        """Change a pending one."""
        return Asked(UPDATE, key, {"id": payment_id, "input": change})

    @command
    def complete(
        self, payment_id: str, *, transaction_reference: str, key: str | None = None
    ) -> Asked[Payment]:
        """The money is there: it is posted."""
        told = Completion(transaction_reference=transaction_reference)
        return Asked(COMPLETE, key, {"id": payment_id, "input": told})

    @command
    def fail(self, payment_id: str, *, reason: str, key: str | None = None) -> Asked[Payment]:
        """The money will not come."""
        return Asked(FAIL, key, {"id": payment_id, "input": Reason(reason=reason)})

    @command
    def reverse(
        self, payment_id: str, *, reason: str, on: date | None = None, key: str | None = None
    ) -> Asked[Payment]:
        """Take a completed one back; what it paid is open again."""
        return Asked(REVERSE, key, {"id": payment_id, "input": Reason(reason=reason), "reversingDate": on})

    @command
    def reconcile(self, payment_id: str, *, bank_line: str, key: str | None = None) -> Asked[Payment]:
        """It is this one line of a bank, by the line's id or the bank's reference."""
        told = Reconciliation(bank_statement_transaction_id=bank_line)
        return Asked(RECONCILE, key, {"id": payment_id, "input": told})

    @command
    def allocate(
        self,
        payment_id: str,
        *,
        document_id: str,
        amount: Decimal,
        on: date | None = None,
        key: str | None = None,
    ) -> Asked[Payment]:
        """Pay a part of a document with what is left of a payment of the same partner."""
        told = NewAllocation(document_id=document_id, amount=amount, on=on)
        return Asked(ALLOCATE, key, {"id": payment_id, "input": told})

    @command
    def unallocate(
        self,
        payment_id: str,
        *,
        allocation_id: str,
        reason: str,
        on: date | None = None,
        key: str | None = None,
    ) -> Asked[Payment]:
        told = Unallocation(allocation_id=allocation_id, reason=reason, on=on)
        return Asked(UNALLOCATE, key, {"id": payment_id, "input": told})

    def get(self, payment_id: str) -> Payment | None:
        return self._find(ONE, id=payment_id)

    def all(self, wanted: PaymentFilter | None = None, *, page: int = 100) -> Iterator[Payment]:
        """Newest first."""
        return self._walk(ALL, page, filter=wanted)
