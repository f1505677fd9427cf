"""Sales invoices."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

import msgspec

from finance_client.operation import Asked, listed, mutation, query
from finance_client.subject import Subject, command
from finance_client.value import (
    Answer,
    Currency,
    DocumentLine,
    Given,
    InvoiceStatus,
    Money,
    Prices,
    Settlement,
    TaxRounding,
    VatCategory,
)


class Invoice(Answer, frozen=True, kw_only=True):
    """What a customer owes."""

    id: str
    status: str
    customer_id: str
    invoice_date: date
    due_date: date
    fiscal_year: str
    line_items: tuple[DocumentLine, ...]
    prices: str
    tax_rounding: str
    subtotal: Money
    vat_amount: Money
    tax_amount: Money
    grand_total: Money
    paid_amount: Money
    balance_due: Money
    settlements: tuple[Settlement, ...]
    version: int
    invoice_number: str | None = None
    tax_invoice_number: str | None = None
    vendor_id: str | None = None
    base_total: Money | None = None
    journal_id: str | None = None


class InvoiceLine(Given, frozen=True, kw_only=True):
    """A line of an invoice."""

    description: str
    quantity: Decimal
    unit_price: Decimal
    product_id: str | None = None
    vat_category: VatCategory = "STANDARD"
    tax_codes: tuple[str, ...] | None = None


class NewInvoice(Given, frozen=True, kw_only=True):
    """An invoice to be drafted."""

    customer_id: str
    invoice_date: date
    due_date: date
    line_items: tuple[InvoiceLine, ...]
    vendor_id: str | None = None
    currency: Currency = "BDT"
    prices: Prices = "EXCLUSIVE"
    tax_rounding: TaxRounding = "LINE"


class InvoiceChange(Given, frozen=True, kw_only=True):
    """What is to change of a draft; what is not given stays."""

    customer_id: str | None = None
    vendor_id: str | None = None
    invoice_date: date | None = None
    due_date: date | None = None
    line_items: tuple[InvoiceLine, ...] | None = None
    prices: Prices | None = None
    tax_rounding: TaxRounding | None = None


class InvoiceFilter(Given, frozen=True, kw_only=True):
    """Which invoices; what is not given filters nothing. `number` is how a number begins or ends."""

    statuses: tuple[InvoiceStatus, ...] | None = None
    customer_id: str | None = None
    first_on: date | None = msgspec.field(name="from", default=None)
    last_on: date | None = msgspec.field(name="to", default=None)
    due_from: date | None = None
    due_to: date | None = None
    currency: Currency | None = None
    amount_from: Decimal | None = None
    amount_to: Decimal | None = None
    number: str | None = None


CREATE = mutation("createInvoice", Invoice, "$input: CreateInvoiceInput!")
UPDATE = mutation("updateInvoice", Invoice, "$id: ID!", "$input: UpdateInvoiceInput!")
APPROVE = mutation("approveInvoice", Invoice, "$id: ID!")
CANCEL = mutation("cancelInvoice", Invoice, "$id: ID!", "$reason: String!", "$reversingDate: Date")
ONE = query("invoice", Invoice, "$id: ID!")
ALL = listed("invoicesConnection", Invoice, "$filter: InvoiceFilter")


class Invoices(Subject):
    """Sales invoices."""

    @command
    def create(self, new: NewInvoice, *, key: str | None = None) -> Asked[Invoice]:
        """Draft one; it has no number and moves nothing until it is approved."""
        return Asked(CREATE, key, {"input": new})

    @command
    def update(self, invoice_id: str, change: InvoiceChange, *, key: str | None = None) -> Asked[Invoice]:
        """Change a draft."""
        return Asked(UPDATE, key, {"id": invoice_id, "input": change})

    @command
    def approve(self, invoice_id: str, *, key: str | None = None) -> Asked[Invoice]:
        """It gets its number and posts its entry."""
        return Asked(APPROVE, key, {"id": invoice_id})

    @command
    def cancel(
        self, invoice_id: str, *, reason: str, on: date | None = None, key: str | None = None
    ) -> Asked[Invoice]:
        """Reverse its entry on its own day, or on another where that is closed."""
        return Asked(CANCEL, key, {"id": invoice_id, "reason": reason, "reversingDate": on})

    def get(self, invoice_id: str) -> Invoice | None:
        return self._find(ONE, id=invoice_id)

    def all(self, wanted: InvoiceFilter | None = None, *, page: int = 100) -> Iterator[Invoice]:
        """Newest first."""
        return self._walk(ALL, page, filter=wanted)
