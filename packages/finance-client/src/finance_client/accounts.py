"""The chart of accounts."""

from collections.abc import Iterator
from typing import Literal

from finance_client.operation import Asked, listed, mutation, query
from finance_client.subject import Subject, command
from finance_client.value import Answer, Currency, Given, Money

AccountType = Literal["ASSET", "LIABILITY", "EQUITY", "REVENUE", "EXPENSE"]


class Account(Answer, frozen=True, kw_only=True):
    """A line of the chart; `balance` is positive on its normal side."""

    id: str
    account_code: str
    account_name: str
    account_type: str
    currency: str
    is_active: bool
    balance: Money
    parent_account_id: str | None = None


class NewAccount(Given, frozen=True, kw_only=True):
    """An account to be opened."""

    account_code: str
    account_name: str
    account_type: AccountType
    currency: Currency = "BDT"
    parent_account_id: str | None = None


class AccountChange(Given, frozen=True, kw_only=True):
    """What is to change; what is not given stays."""

    account_name: str | None = None
    parent_account_id: str | None = None


class AccountFilter(Given, frozen=True, kw_only=True):
    """Which accounts; what is not given filters nothing."""

    account_type: AccountType | None = None
    is_active: bool | None = None


CREATE = mutation("createAccount", Account, "$input: CreateAccountInput!")
UPDATE = mutation("updateAccount", Account, "$id: ID!", "$input: UpdateAccountInput!")
DEACTIVATE = mutation("deactivateAccount", Account, "$id: ID!", "$reason: String!")
ONE = query("chartOfAccount", Account, "$id: ID!")
BY_CODE = query("accountByCode", Account, "$accountCode: String!")
ALL = listed("accountsConnection", Account, "$filter: AccountFilter")


class Accounts(Subject):
    """The chart of accounts."""

    @command
    def create(self, new: NewAccount, *, key: str | None = None) -> Asked[Account]:
        return Asked(CREATE, key, {"input": new})

    @command
    def update(self, account_id: str, change: AccountChange, *, key: str | None = None) -> Asked[Account]:
        return Asked(UPDATE, key, {"id": account_id, "input": change})

    @command
    def deactivate(self, account_id: str, *, reason: str, key: str | None = None) -> Asked[Account]:
        """Close one that holds nothing and has no children."""
        return Asked(DEACTIVATE, key, {"id": account_id, "reason": reason})

    def get(self, account_id: str) -> Account | None:
        return self._find(ONE, id=account_id)

    def by_code(self, code: str) -> Account | None:
        return self._find(BY_CODE, accountCode=code)

    def all(self, wanted: AccountFilter | None = None, *, page: int = 100) -> Iterator[Account]:
        """In the order of their codes."""
        return self._walk(ALL, page, filter=wanted)
