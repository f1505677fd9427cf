"""The chart of accounts that a tenant's books are opened with.

Ids are made from the tenant and the code, so that posting rules name accounts by code and look nothing up.
"""

from functools import lru_cache
from typing import Final
from uuid import UUID, uuid5

from finance import account
from finance.money import BASE

CASH, BANK, WALLET = "1000", "1010", "1020"
RECEIVABLE, VAT_PAYABLE, REVENUE = "1200", "2200", "4000"
PAYABLE, VAT_RECEIVABLE, PURCHASES = "2000", "1410", "5900"
CUSTOMER_ADVANCES, VENDOR_ADVANCES = "2300", "1400"
WITHHELD_BY_CUSTOMERS, WITHHELD_PAYABLE = "1420", "2210"
ADVANCE_TAX, DUTY_PAYABLE = "1430", "2220"
BAD_DEBTS, PAYABLES_WRITTEN_OFF = "5800", "4800"
EXCHANGE_GAINS, EXCHANGE_LOSSES = "4900", "5950"
RETAINED_EARNINGS = "3900"
CASH_REVALUED, RECEIVABLES_REVALUED, PAYABLES_REVALUED = "1090", "1290", "2090"
UNREALISED_GAINS, UNREALISED_LOSSES = "4910", "5960"

STANDARD: Final = (
    (CASH, "Cash", "ASSET"),
    (BANK, "Bank", "ASSET"),
    (WALLET, "Mobile wallets", "ASSET"),
    (CASH_REVALUED, "Cash, revaluation of currencies", "ASSET"),
    (RECEIVABLE, "Accounts receivable", "ASSET"),
    (RECEIVABLES_REVALUED, "Receivables, revaluation of currencies", "ASSET"),
    ("1300", "Inventory", "ASSET"),
    (VENDOR_ADVANCES, "Advances to vendors", "ASSET"),
    (VAT_RECEIVABLE, "VAT receivable", "ASSET"),
    (WITHHELD_BY_CUSTOMERS, "Tax withheld by customers", "ASSET"),
    (ADVANCE_TAX, "Advance tax paid", "ASSET"),
    ("1500", "Property and equipment", "ASSET"),
    (PAYABLE, "Accounts payable", "LIABILITY"),
    (PAYABLES_REVALUED, "Payables, revaluation of currencies", "LIABILITY"),
    ("2100", "Accrued expenses", "LIABILITY"),
    (VAT_PAYABLE, "VAT payable", "LIABILITY"),
    (WITHHELD_PAYABLE, "Withheld tax payable", "LIABILITY"),
    (DUTY_PAYABLE, "Supplementary duty payable", "LIABILITY"),
    (CUSTOMER_ADVANCES, "Advances from customers", "LIABILITY"),
    ("3000", "Share capital", "EQUITY"),
    (RETAINED_EARNINGS, "Retained earnings", "EQUITY"),
    (REVENUE, "Sales", "REVENUE"),
    ("5000", "Cost of sales", "EXPENSE"),
    ("5100", "Salaries", "EXPENSE"),
    ("5200", "Rent", "EXPENSE"),
    (PURCHASES, "Other expenses", "EXPENSE"),
    (BAD_DEBTS, "Bad debts", "EXPENSE"),
    (PAYABLES_WRITTEN_OFF, "Payables written off", "REVENUE"),
    (EXCHANGE_GAINS, "Exchange gains", "REVENUE"),
    (EXCHANGE_LOSSES, "Exchange losses", "EXPENSE"),
    (UNREALISED_GAINS, "Unrealised exchange gains", "REVENUE"),
    (UNREALISED_LOSSES, "Unrealised exchange losses", "EXPENSE"),
)
CURRENCY: Final = BASE
OUTPUT_TAXES: Final = (VAT_PAYABLE, DUTY_PAYABLE)
INPUT_TAXES: Final = (VAT_RECEIVABLE, ADVANCE_TAX)
WITHHELD_TAXES: Final = (WITHHELD_BY_CUSTOMERS, WITHHELD_PAYABLE)
TAXES: Final = (*OUTPUT_TAXES, *INPUT_TAXES, *WITHHELD_TAXES)
"""Accounts whose entries are part of a tax return."""

NEEDED: Final = frozenset(code for code, *_ in STANDARD) - {
    "1300",
    "1500",
    "2100",
    "3000",
    "5000",
    "5100",
    "5200",
}
"""What the rules of posting and the year's end post to. Without one of them they would refuse for good: nobody opens an
account again."""

CONTROLS: Final = (RECEIVABLE, PAYABLE, CUSTOMER_ADVANCES, VENDOR_ADVANCES)
"""Accounts that must equal what customers and vendors owe or have paid in advance: only documents post to them."""

VALUATIONS: Final = (CASH_REVALUED, RECEIVABLES_REVALUED, PAYABLES_REVALUED)
"""Accounts beside those whose currencies are revalued: what they hold is taken back on the next day."""


@lru_cache(maxsize=10_000)
def account_id(tenant_id: str, code: str) -> str:
    """The id of a standard account of this tenant."""
    return str(uuid5(UUID(tenant_id), f"account/{code}"))


def opening(tenant_id: str) -> list[account.Create]:
    """The commands that open a tenant's books."""
    return [
        account.Create(
            account_id=account_id(tenant_id, code),
            code=code,
            name=name,
            account_type=account_type,
            currency=CURRENCY,
        )
        for code, name, account_type in STANDARD
    ]
