"""What the service answers with. A field here is asked for; what is not here is not.

Kinds and statuses are text: a newer release may have one that this client has no name for.
"""

from datetime import date, datetime
from decimal import Decimal

import msgspec


class Answer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Fields are named as in the schema, in Python's way of writing."""


class Money(Answer, frozen=True, kw_only=True):
    """An exact amount of a currency, in its major unit."""

    amount: Decimal
    currency: str


class Account(Answer, frozen=True, kw_only=True):
    id: str
    account_code: str
    account_name: str
    account_type: str
    currency: str
    is_active: bool
    balance: Money
    parent_account_id: str | None = None


class LineTax(Answer, frozen=True, kw_only=True):
    tax_code: str
    kind: str
    percent: Decimal
    amount: Money


class DocumentLine(Answer, frozen=True, kw_only=True):
    """A line of an invoice or voucher; `amount` is net."""

    description: str
    quantity: Decimal
    unit_price: Money
    amount: Money
    vat_amount: Money
    taxes: tuple[LineTax, ...]
    product_id: str | None = None


class Settlement(Answer, frozen=True, kw_only=True):
    """What was written off, or withheld as tax."""

    id: str
    kind: str
    amount: Money
    settled_on: date
    told: str
    journal_id: str
    tax_code: str | None = None


class Allocation(Answer, frozen=True, kw_only=True):
    """A part of a credit that pays a document."""

    id: str
    document_id: str
    amount: Money
    allocated_on: date
    journal_id: str | None = None


class Invoice(Answer, frozen=True, kw_only=True):
    id: str
    status: str
    customer_id: str
    invoice_date: date
    due_date: date
    fiscal_year: str
    line_items: tuple[DocumentLine, ...]
    prices: str
    subtotal: Money
    vat_amount: Money
    grand_total: Money
    paid_amount: Money
    balance_due: Money
    settlements: tuple[Settlement, ...]
    version: int
    invoice_number: str | None = None
    tax_invoice_number: str | None = None
    journal_id: str | None = None


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
    subtotal: Money
    vat_amount: Money
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


class Payment(Answer, frozen=True, kw_only=True):
    id: str
    side: str
    amount: Money
    unallocated: Money
    allocations: tuple[Allocation, ...]
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
    reconciled_at: datetime | None = None
    journal_id: str | None = None


class JournalLine(Answer, frozen=True, kw_only=True):
    account_id: str
    debit: Money
    credit: Money
    base_debit: Money | None = None
    base_credit: Money | None = None
    description: str | None = None
    cost_center: str | None = None
    project: str | None = None
    reference: str | None = None
    tax_code: str | None = None


class Journal(Answer, frozen=True, kw_only=True):
    id: str
    journal_date: date
    journal_type: str
    status: str
    description: str
    fiscal_period: str
    lines: tuple[JournalLine, ...]
    total_debit: Money
    total_credit: Money
    is_reversing: bool
    version: int
    journal_number: str | None = None
    reference: str | None = None
    exchange_rate: Decimal | None = None
    original_journal_id: str | None = None
    reversed_by_journal_id: str | None = None
    posted_at: datetime | None = None
    posted_by: str | None = None


class HeldAccount(Answer, frozen=True, kw_only=True):
    """A line of the trial balance."""

    account_id: str
    account_code: str
    account_name: str
    account_type: str
    debit_balance: Money
    credit_balance: Money


class TrialBalanceSummary(Answer, frozen=True, kw_only=True):
    total_debits: Money
    total_credits: Money
    is_balanced: bool


class TrialBalance(Answer, frozen=True, kw_only=True):
    fiscal_year: str
    as_of_date: date
    entries: tuple[HeldAccount, ...]
    summary: TrialBalanceSummary
    known_on: date | None = None


class ReportLine(Answer, frozen=True, kw_only=True):
    account_id: str
    account_code: str
    account_name: str
    amount: Money


class Section(Answer, frozen=True, kw_only=True):
    lines: tuple[ReportLine, ...]
    total: Money


class ProfitAndLoss(Answer, frozen=True, kw_only=True):
    revenue: Section
    expenses: Section
    profit: Money


class BalanceSheet(Answer, frozen=True, kw_only=True):
    as_of: date
    assets: Section
    liabilities: Section
    equity: Section
    earnings: Money
    liabilities_and_equity: Money
    is_balanced: bool


class Activity(Answer, frozen=True, kw_only=True):
    activity: str
    lines: tuple[ReportLine, ...]
    total: Money


class CashFlow(Answer, frozen=True, kw_only=True):
    activities: tuple[Activity, ...]
    opening_balance: Money
    closing_balance: Money
    is_tied: bool


class Buckets(Answer, frozen=True, kw_only=True):
    """What is open, by how many days it is overdue; credits pay nothing yet."""

    not_due: Money
    one_to_30: Money = msgspec.field(name="days1To30")
    days_31_to_60: Money = msgspec.field(name="days31To60")
    days_61_to_90: Money = msgspec.field(name="days61To90")
    over_90: Money = msgspec.field(name="over90")
    credits: Money
    total: Money


class OpenItem(Answer, frozen=True, kw_only=True):
    id: str
    due_date: date
    open: Money


class AgedPartner(Answer, frozen=True, kw_only=True):
    buckets: Buckets
    items: tuple[OpenItem, ...]
    partner_id: str | None = None


class Ageing(Answer, frozen=True, kw_only=True):
    side: str
    as_of: date
    partners: tuple[AgedPartner, ...]
    totals: Buckets
    control: Money


class Movement(Answer, frozen=True, kw_only=True):
    """A line of a posted entry, and what the account held after it."""

    dated: date = msgspec.field(name="date")
    journal_number: str
    journal_id: str
    description: str
    debit: Money
    credit: Money
    balance: Money
    document_id: str | None = None


class Statement(Answer, frozen=True, kw_only=True):
    partner_id: str
    side: str
    opening_balance: Money
    movements: tuple[Movement, ...]
    closing_balance: Money


class VatLine(Answer, frozen=True, kw_only=True):
    section: str
    value: Money
    tax: Money
    tax_code: str | None = None


class VatSummary(Answer, frozen=True, kw_only=True):
    lines: tuple[VatLine, ...]
    output_tax: Money
    input_tax: Money
    due: Money
    is_tied: bool


class PageInfo(Answer, frozen=True, kw_only=True):
    has_next_page: bool
    end_cursor: str | None = None
