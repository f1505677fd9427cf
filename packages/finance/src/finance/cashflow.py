"""Where money came from and went to: the direct method, from entries alone.

Of every entry that touches a cash account, the other lines say what the money was for; by the account they are on, it
is for operating, investing or financing. Entries without cash - accruals, depreciation - are in none of it, which the
indirect method has to add back. Money moved between cash accounts is no flow. Debits equal credits, so the lines come
to what the cash accounts changed by.

The account of what cash in other currencies is worth more or less at the rate of a day is cash, for it is part of what
a balance sheet shows as that; what it changed by is no flow but the effect of exchange rates, told apart (IAS 7.28).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from finance.account import Account
from finance.report import Balance

OPERATING, INVESTING, FINANCING = "OPERATING", "INVESTING", "FINANCING"
EXCHANGE = "EXCHANGE"
ACTIVITIES: Final = (OPERATING, INVESTING, FINANCING, EXCHANGE)
CASH: Final = "10"
"""How the codes of cash accounts begin, as in the standard chart: cash, bank, wallets, and what is below them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """What came in for an account, less what went out."""

    account: Account
    activity: str
    net_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CashFlow:
    """`flows` by account code; `opening_minor` and `closing_minor` are what the cash accounts held."""

    flows: tuple[Flow, ...]
    opening_minor: int
    closing_minor: int

    def net_minor(self, activity: str) -> int:
        return sum(one.net_minor for one in self.flows if one.activity == activity)

    @property
    def is_tied(self) -> bool:
        """Whether the flows are what the cash accounts changed by; otherwise the ledger is broken."""
        return self.opening_minor + sum(one.net_minor for one in self.flows) == self.closing_minor


def is_cash(account: Account) -> bool:
    return account.account_type == "ASSET" and account.code.startswith(CASH)


def activity_of(account: Account) -> str:
    """What money for an account is for: 15 to 19 is kept for years, 25 to 29 is lent for years, 3 is the owners'."""
    group = account.code[:2]
    if account.account_type == "ASSET" and "15" <= group <= "19":
        return INVESTING
    if account.account_type == "EQUITY" or (account.account_type == "LIABILITY" and "25" <= group <= "29"):
        return FINANCING
    return OPERATING


def cash_flow(
    before: Iterable[Balance], until: Iterable[Balance], others: Mapping[str, int], *, revalued: str
) -> CashFlow:
    """From what accounts held before and at the end, and credits less debits of the other lines by account id.

    `revalued` is the id of the account of what cash is worth more or less; `others` are of entries on other cash.
    """
    begun, ended = list(before), list(until)
    was = sum(one.net_minor for one in begun if one.account.id == revalued)
    flows = [
        Flow(account=one.account, activity=activity_of(one.account), net_minor=others[one.account.id])
        for one in ended
        if others.get(one.account.id)
    ]
    flows += [
        Flow(account=one.account, activity=EXCHANGE, net_minor=one.net_minor - was)
        for one in ended
        if one.account.id == revalued and one.net_minor != was
    ]
    return CashFlow(
        flows=tuple(flows),
        opening_minor=sum(one.net_minor for one in begun if is_cash(one.account)),
        closing_minor=sum(one.net_minor for one in ended if is_cash(one.account)),
    )
