"""What the service is given: new documents and filters. Fields that are not given are left to the service."""

from datetime import date
from decimal import Decimal
from typing import Literal

import msgspec

Currency = Literal["BDT", "EUR", "USD"]
AccountType = Literal["ASSET", "LIABILITY", "EQUITY", "REVENUE", "EXPENSE"]
VatCategory = Literal["STANDARD", "REDUCED", "TRUNCATED", "ZERO_RATED", "EXEMPT"]
Prices = Literal["EXCLUSIVE", "INCLUSIVE"]
TaxRounding = Literal["LINE", "DOCUMENT"]
Side = Literal["SALES", "PURCHASE"]
VoucherKind = Literal["BILL", "CREDIT_NOTE", "DEBIT_NOTE", "VENDOR_CREDIT"]
InvoiceStatus = Literal["DRAFT", "APPROVED", "PARTIALLY_PAID", "PAID", "OVERDUE", "CANCELLED"]
PaymentStatus = Literal["PENDING", "PROCESSING", "COMPLETED", "FAILED", "RECONCILED", "REVERSED"]
PaymentMethod = Literal[
    "CASH", "BANK_TRANSFER", "CHECK", "MOBILE_WALLET", "CREDIT_CARD", "DEBIT_CARD", "ONLINE_BANKING"
]
WalletProvider = Literal["BKASH", "NAGAD", "ROCKET", "UPAY", "SURECASH", "MCASH", "TCASH"]
JournalStatus = Literal["DRAFT", "POSTED", "REVERSED"]
JournalType = Literal[
    "GENERAL",
    "SALES",
    "PURCHASE",
    "CASH_RECEIPT",
    "CASH_PAYMENT",
    "ADJUSTMENT",
    "REVERSING",
    "CLOSING",
    "OPENING",
]


class Given(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Fields are named as in the schema, in Python's way of writing; amounts are exact decimals."""


class NewAccount(Given, frozen=True, kw_only=True):
    account_code: str
    account_name: str
    account_type: AccountType
    currency: Currency = "BDT"
    parent_account_id: str | None = None


class InvoiceLine(Given, frozen=True, kw_only=True):
    description: str
    quantity: Decimal
    unit_price: Decimal
    vat_category: VatCategory = "STANDARD"
    product_id: str | None = None
    tax_codes: tuple[str, ...] | None = None


class NewInvoice(Given, frozen=True, kw_only=True):
    customer_id: str
    invoice_date: date
    due_date: date
    line_items: tuple[InvoiceLine, ...]
    currency: Currency = "BDT"
    vendor_id: str | None = None
    prices: Prices = "EXCLUSIVE"
    tax_rounding: TaxRounding = "LINE"


class VoucherLine(InvoiceLine, frozen=True, kw_only=True):
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


class NewJournalLine(Given, frozen=True, kw_only=True):
    account_id: str
    debit: Decimal = Decimal(0)
    credit: Decimal = Decimal(0)
    description: str | None = None
    cost_center: str | None = None
    project: str | None = None
    reference: str | None = None
    tax_code: str | None = None


class NewJournal(Given, frozen=True, kw_only=True):
    journal_date: date
    description: str
    lines: tuple[NewJournalLine, ...]
    journal_type: JournalType = "GENERAL"
    reference: str | None = None
    currency: Currency = "BDT"
    auto_post: bool = False


class AccountFilter(Given, frozen=True, kw_only=True):
    account_type: AccountType | None = None
    is_active: bool | None = None


class Dated(Given, frozen=True, kw_only=True):
    """What every list of documents can be searched by; `number` is how a number begins or ends."""

    first_on: date | None = msgspec.field(name="from", default=None)
    last_on: date | None = msgspec.field(name="to", default=None)
    currency: Currency | None = None
    amount_from: Decimal | None = None
    amount_to: Decimal | None = None
    number: str | None = None


class InvoiceFilter(Dated, frozen=True, kw_only=True):
    statuses: tuple[InvoiceStatus, ...] | None = None
    customer_id: str | None = None
    due_from: date | None = None
    due_to: date | None = None


class VoucherFilter(Dated, frozen=True, kw_only=True):
    kind: VoucherKind | None = None
    statuses: tuple[InvoiceStatus, ...] | None = None
    partner_id: str | None = None
    due_from: date | None = None
    due_to: date | None = None


class PaymentFilter(Dated, frozen=True, kw_only=True):
    statuses: tuple[PaymentStatus, ...] | None = None
    partner_id: str | None = None
    invoice_id: str | None = None
    payment_method: PaymentMethod | None = None


class JournalFilter(Dated, frozen=True, kw_only=True):
    statuses: tuple[JournalStatus, ...] | None = None
    journal_type: JournalType | None = None
    fiscal_period: str | None = None


class Completion(Given, frozen=True, kw_only=True):
    transaction_reference: str


class Reason(Given, frozen=True, kw_only=True):
    reason: str


class NewAllocation(Given, frozen=True, kw_only=True):
    document_id: str
    amount: Decimal
    on: date | None = None


class Unallocation(Given, frozen=True, kw_only=True):
    allocation_id: str
    reason: str
    on: date | None = None
