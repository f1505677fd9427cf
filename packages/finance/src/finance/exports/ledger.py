"""The general ledger as rows, from movements as they come: it may be longer than what one holds in memory.

Accounts in the order of their codes; of each what it held before, its movements with the balance after each, and what
it holds in the end. Accounts that held nothing and did not move are left out.
"""

from collections.abc import Sequence
from typing import Final

from finance.exports.tables import CODE, MOVEMENTS, NAME
from finance.money import Money
from finance.report import Balance, Movement
from finance.sheet import Cell, Row, total

LEDGER: Final = (CODE, NAME, *MOVEMENTS)


class Pages:
    """Turns movements, in the order of accounts and days, into rows; `accounts` with what they held before, by code."""

    def __init__(self, accounts: Sequence[Balance], currency: str) -> None:
        self._accounts = accounts
        self._currency = currency
        self._place = -1
        self._balance_minor = self._debit_minor = self._credit_minor = self._closing_minor = 0

    def add(self, movements: Sequence[Movement]) -> list[Row]:
        """The rows of some more movements."""
        rows: list[Row] = []
        for one in movements:
            rows += self._turn_to(one.account_id)
            self._debit_minor += one.debit_minor
            self._credit_minor += one.credit_minor
            self._balance_minor += one.net_minor
            rows.append(self._row(one))
        return rows

    def end(self) -> list[Row]:
        """What is left to be told when there are no more: accounts that did not move, and the totals."""
        rows = self._turn_to(None)
        sums: dict[str, Cell] = {
            "debit": Money(self._debit_minor, self._currency),
            "credit": Money(self._credit_minor, self._currency),
            "balance": Money(self._closing_minor, self._currency),
        }
        return [*rows, total("Total", LEDGER, currency=self._currency, **sums)]

    def _turn_to(self, account_id: str | None) -> list[Row]:
        """Close the page of the account before, and open that of this one; None is behind the last."""
        if 0 <= self._place < len(self._accounts) and self._account.account.id == account_id:
            return []
        rows = [self._line("Closing balance")] if self._place >= 0 else []
        self._closing_minor += self._balance_minor
        while True:
            self._place += 1
            self._balance_minor = 0
            if self._place == len(self._accounts):
                assert account_id is None, "accounts are all there, and in the order of movements"  # noqa: S101 - a bug
                return rows
            self._balance_minor = self._account.net_minor
            if self._account.account.id == account_id:
                return [*rows, self._line("Opening balance")]
            if self._balance_minor:
                rows += [self._line("Opening balance"), self._line("Closing balance")]
                self._closing_minor += self._balance_minor

    @property
    def _account(self) -> Balance:
        return self._accounts[self._place]

    def _line(self, told: str) -> Row:
        """A balance between movements."""
        state, held = self._account.account, Money(self._balance_minor, self._currency)
        return Row(cells=(state.code, state.name, None, None, told, None, None, None, held, self._currency))

    def _row(self, one: Movement) -> Row:
        state, currency = self._account.account, self._currency
        return Row(
            cells=(
                state.code,
                state.name,
                one.day,
                one.number,
                one.description,
                one.document_id,
                Money(one.debit_minor, currency),
                Money(one.credit_minor, currency),
                Money(self._balance_minor, currency),
                currency,
            )
        )
