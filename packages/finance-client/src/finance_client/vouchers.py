"""Vendors' bills, credit and debit notes, vendors' credits."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Literal

import msgspec

from finance_client.operation import Asked, listed, mutation, query
from finance_client.subject import Subject, command
from finance_client.value import (
    Allocation,
    Answer,
    Currency,
    DocumentLine,
    Given,
    InvoiceStatus,
    Money,
    NewAllocation,
    Prices,
    Settlement,
    TaxRounding,
    Unallocation,
    VatCategory,
)

VoucherKind = Literal["BILL", "CREDIT_NOTE", "DEBIT_NOTE", "VENDOR_CREDIT"]


class Voucher(Answer, frozen=True, kw_only=True):
    """A vendor's bill, a credit or debit note, a vendor's credit."""

    id: str
    kind: str
    status: str
    side: str
    partner_id: str
    voucher_date: date
    due_date: date
    line_items: tuple[DocumentLine, ...]
    prices: str
    tax_rounding: str
    subtotal: Money
    vat_amount: Money
    tax_amount: Money
    grand_total: Money
    balance_due: Money
    allocations: tuple[Allocation, ...]
    settlements: tuple[Settlement, ...]
    version: int
    voucher_number: str | None = None
    reference: str | None = None
    corrects_id: str | None = None
    reason: str | None = None
    journal_id: str | None = None


class VoucherLine(Given, frozen=True, kw_only=True):
    """A line of a bill or note."""

    description: str
    quantity: Decimal
    unit_price: Decimal
    product_id: str | None = None
    vat_category: VatCategory = "STANDARD"
    tax_codes: tuple[str, ...] | None = None
    account_id: str | None = None


class NewVoucher(Given, frozen=True, kw_only=True):
    """`reference` is the vendor's own number of a bill; a note says which document it corrects, and why."""

    kind: VoucherKind
    partner_id: str
    voucher_date: date
    due_date: date
    line_items: tuple[VoucherLine, ...]
    currency: Currency = "BDT"
    reference: str | None = None
    corrects_id: str | None = None
    reason: str | None = None
    prices: Prices = "EXCLUSIVE"
    tax_rounding: TaxRounding = "LINE"


class VoucherChange(Given, frozen=True, kw_only=True):
    """What is to change of a draft; what is not given stays, and so do kind, partner and what it corrects."""

    voucher_date: date | None = None
    due_date: date | None = None
    reference: str | None = None
    reason: str | None = None
    line_items: tuple[VoucherLine, ...] | None = None
    prices: Prices | None = None
    tax_rounding: TaxRounding | None = None


class VoucherFilter(Given, frozen=True, kw_only=True):
    """Which bills and notes; what is not given filters nothing. `number` is how a number begins or ends."""

    kind: VoucherKind | None = None
    statuses: tuple[InvoiceStatus, ...] | None = None
    partner_id: str | None = None
    first_on: date | None = msgspec.field(name="from", default=None)
    last_on: date | None = msgspec.field(name="to", default=None)
    due_from: date | None = None
    due_to: date | None = None
    currency: Currency | None = None
    amount_from: Decimal | None = None
    amount_to: Decimal | None = None
    number: str | None = None


CREATE = mutation("createVoucher", Voucher, "$input: CreateVoucherInput!")
UPDATE = mutation("updateVoucher", Voucher, "$id: ID!", "$input: UpdateVoucherInput!")
APPROVE = mutation("approveVoucher", Voucher, "$id: ID!")
CANCEL = mutation("cancelVoucher", Voucher, "$id: ID!", "$reason: String!", "$reversingDate: Date")
ALLOCATE = mutation("allocateVoucher", Voucher, "$id: ID!", "$input: AllocateInput!")
UNALLOCATE = mutation("unallocateVoucher", Voucher, "$id: ID!", "$input: UnallocateInput!")
ONE = query("voucher", Voucher, "$id: ID!")
ALL = listed("vouchersConnection", Voucher, "$filter: VoucherFilter")


class Vouchers(Subject):
    """Bills and notes."""

    @command
    def create(self, new: NewVoucher, *, key: str | None = None) -> Asked[Voucher]:
        """Draft one; it moves nothing until it is approved."""
        return Asked(CREATE, key, {"input": new})

    @command
    def update(self, voucher_id: str, change: VoucherChange, *, key: str | None = None) -> Asked[Voucher]:
        """Change a draft; its kind, its partner and what it corrects stay."""
        return Asked(UPDATE, key, {"id": voucher_id, "input": change})

    @command
    def approve(self, voucher_id: str, *, key: str | None = None) -> Asked[Voucher]:
        """It gets its number and posts its entry."""
        return Asked(APPROVE, key, {"id": voucher_id})

    @command
    def cancel(
        self, voucher_id: str, *, reason: str, on: date | None = None, key: str | None = None
    ) -> Asked[Voucher]:
        """Reverse its entry on its own day, or on another where that is closed."""
        return Asked(CANCEL, key, {"id": voucher_id, "reason": reason, "reversingDate": on})

    @command
    def allocate(
        self,
        voucher_id: str,
        *,
        document_id: str,
        amount: Decimal,
        on: date | None = None,
        key: str | None = None,
    ) -> Asked[Voucher]:
        """Pay a part of a document with what is left of a credit of the same partner."""
        told = NewAllocation(document_id=document_id, amount=amount, on=on)
        return Asked(ALLOCATE, key, {"id": voucher_id, "input": told})

    @command
    def unallocate(
        self,
        voucher_id: str,
        *,
        allocation_id: str,
        reason: str,
        on: date | None = None,
        key: str | None = None,
    ) -> Asked[Voucher]:
        told = Unallocation(allocation_id=allocation_id, reason=reason, on=on)
        return Asked(UNALLOCATE, key, {"id": voucher_id, "input": told})

    def get(self, voucher_id: str) -> Voucher | None:
        return self._find(ONE, id=voucher_id)

    def all(self, wanted: VoucherFilter | None = None, *, page: int = 100) -> Iterator[Voucher]:
        """Newest first."""
        return self._walk(ALL, page, filter=wanted)
