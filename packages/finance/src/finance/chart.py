"""The chart of accounts that a tenant's books are opened with.

Ids are made from the tenant and the code, so that posting rules name accounts by code and look nothing up.
"""

from typing import Final
from uuid import UUID, uuid5

from finance import account
from finance.money import BASE

CASH, BANK, WALLET = "1000", "1010", "1020"
RECEIVABLE, VAT_PAYABLE, REVENUE = "1200", "2200", "4000"
EXCHANGE_GAINS, EXCHANGE_LOSSES = "4900", "5950"

STANDARD: Final = (
    (CASH, "Cash", "ASSET"),
    (BANK, "Bank", "ASSET"),
    (WALLET, "Mobile wallets", "ASSET"),
    (RECEIVABLE, "Accounts receivable", "ASSET"),
    ("1300", "Inventory", "ASSET"),
    ("1500", "Property and equipment", "ASSET"),
    ("2000", "Accounts payable", "LIABILITY"),
    ("2100", "Accrued expenses", "LIABILITY"),
    (VAT_PAYABLE, "VAT payable", "LIABILITY"),
    ("3000", "Share capital", "EQUITY"),
    ("3900", "Retained earnings", "EQUITY"),
    (REVENUE, "Sales", "REVENUE"),
    ("5000", "Cost of sales", "EXPENSE"),
    ("5100", "Salaries", "EXPENSE"),
    ("5200", "Rent", "EXPENSE"),
    ("5900", "Other expenses", "EXPENSE"),
    (EXCHANGE_GAINS, "Exchange gains", "REVENUE"),
    (EXCHANGE_LOSSES, "Exchange losses", "EXPENSE"),
)
CURRENCY: Final = BASE
TAXES: Final = (VAT_PAYABLE,)
"""Accounts whose entries are part of a tax return."""


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
