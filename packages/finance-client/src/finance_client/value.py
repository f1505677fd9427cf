"""What answers and what is given are made of, and what several subjects have in common.

Fields are named as in the schema, in Python's way of writing; `from` and `to` are `first_on` and `last_on`. A field of
an answer is asked for; what is not here is not. Kinds and statuses in answers are text: a newer release may have one
that this client has no name for. What a command takes is typed.
"""

from datetime import date
from decimal import Decimal
from typing import Literal

import msgspec

Currency = Literal["BDT", "EUR", "USD"]
Side = Literal["SALES", "PURCHASE"]
Prices = Literal["EXCLUSIVE", "INCLUSIVE"]
TaxRounding = Literal["LINE", "DOCUMENT"]
VatCategory = Literal["STANDARD", "REDUCED", "TRUNCATED", "ZERO_RATED", "EXEMPT"]
InvoiceStatus = Literal["DRAFT", "APPROVED", "PARTIALLY_PAID", "PAID", "OVERDUE", "CANCELLED"]
TaxKind = Literal["VAT", "EXEMPT", "DUTY", "ADVANCE", "WITHHOLDING"]


class Answer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the service tells."""


class Given(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What the service is told. What is left out is left to the service.

    An amount is sent as it is: one with too many decimals is refused by the service, never rounded here.

    Raises:
        TypeError: an amount is a float, and so is no longer the number that was meant.
    """

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value: object = getattr(self, name)
            if isinstance(value, float):
                told = f"{type(self).__name__}.{name}: expected Decimal, found the float {value!r}"
                raise TypeError(f"{told}; write Decimal('{value!r}')")


class Money(Answer, frozen=True, kw_only=True):
    """An exact amount of a currency, in its major unit."""

    amount: Decimal
    currency: str


class PageInfo(Answer, frozen=True, kw_only=True):
    """Whether there is more, and where it goes on."""

    has_next_page: bool
    end_cursor: str | None = None


class LineTax(Answer, frozen=True, kw_only=True):
    """One tax of a line."""

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
    vat_category: str
    vat_rate: Decimal
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


class NewAllocation(Given, frozen=True, kw_only=True):
    """What of a payment or credit pays what."""

    document_id: str
    amount: Decimal
    on: date | None = None


class Unallocation(Given, frozen=True, kw_only=True):
    """Which allocation is taken back."""

    allocation_id: str
    reason: str
    on: date | None = None


class JournalLine(Answer, frozen=True, kw_only=True):
    """One side of one account."""

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


class DryRunEntry(Answer, frozen=True, kw_only=True):
    """A journal entry that would be posted."""

    journal_number: str
    journal_date: date
    journal_type: str
    description: str
    fiscal_period: str
    lines: tuple[JournalLine, ...]
    total_debit: Money
    total_credit: Money
    reference: str | None = None
    exchange_rate: Decimal | None = None


class DryRun(Answer, frozen=True, kw_only=True):
    """What a command would write. Nothing was written, no number was drawn, and its key is as good as before."""

    entries: tuple[DryRunEntry, ...]
    numbers: tuple[str, ...]
    events: tuple[str, ...]
    others_have_to_agree: bool
