"""What the ledger says: profit and loss, balance sheet, account ledger, ageing, statement.

Pure functions over what posted entries did, and over nothing else: the same entries give the same figures, whenever
they are asked for. Which entries these are - dated until when, known since when - is the caller's choice, so every
report exists by effective date and by record date alike. Amounts are minor units of one currency.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Final

from finance.account import Account
from finance.settlement import SALES

BUCKETS: Final = (30, 60, 90)
"""Days overdue that end a bucket: 1 to 30, 31 to 60, 61 to 90, and more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """What was posted to an account."""

    account: Account
    debit_minor: int
    credit_minor: int

    @property
    def net_minor(self) -> int:
        return self.debit_minor - self.credit_minor


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """What one line of a posted entry did to an account on a day.

    `position` and `place` are where the entry stands in the log and the line in it: a day is in their order.
    """

    account_id: str
    day: date
    debit_minor: int
    credit_minor: int
    journal_id: str
    number: str
    description: str
    document_id: str | None = None
    partner_id: str | None = None
    position: int = 0
    place: int = 0

    @property
    def net_minor(self) -> int:
        return self.debit_minor - self.credit_minor

    @property
    def at(self) -> tuple[date, int, int]:
        """Its place in the order of movements, which never changes."""
        return self.day, self.position, self.place


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfitAndLoss:
    """What was earned and spent. Amounts of revenue are positive where more was earned."""

    revenue: tuple[Balance, ...]
    expenses: tuple[Balance, ...]

    @property
    def revenue_minor(self) -> int:
        return -sum(one.net_minor for one in self.revenue)

    @property
    def expenses_minor(self) -> int:
        return sum(one.net_minor for one in self.expenses)

    @property
    def profit_minor(self) -> int:
        return self.revenue_minor - self.expenses_minor


def of_type(balances: Iterable[Balance], account_type: str) -> tuple[Balance, ...]:
    """The accounts of a type that hold something."""
    return tuple(one for one in balances if one.account.account_type == account_type and one.net_minor)


def profit_and_loss(balances: Sequence[Balance]) -> ProfitAndLoss:
    """From what was posted within a period, closing entries left out."""
    return ProfitAndLoss(
        revenue=of_type(balances, "REVENUE"),
        expenses=of_type(balances, "EXPENSE"),
    )


def with_below(balances: Sequence[Balance]) -> dict[str, int]:
    """The net of each account and of all that are below it, by account id. Below an account all are of its type."""
    above = {one.account.id: one.account.parent_id for one in balances}
    sums = dict.fromkeys(above, 0)
    for one in balances:
        place: str | None = one.account.id
        while place is not None and place in sums:
            sums[place] += one.net_minor
            place = above[place]
    return sums


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceSheet:
    """What the company has, owes and is worth. `earnings_minor` is the profit that no closing entry took away yet."""

    assets: tuple[Balance, ...]
    liabilities: tuple[Balance, ...]
    equity: tuple[Balance, ...]
    earnings_minor: int

    @property
    def assets_minor(self) -> int:
        return sum(one.net_minor for one in self.assets)

    @property
    def liabilities_minor(self) -> int:
        return -sum(one.net_minor for one in self.liabilities)

    @property
    def equity_minor(self) -> int:
        """With the earnings."""
        return self.earnings_minor - sum(one.net_minor for one in self.equity)

    @property
    def difference_minor(self) -> int:
        """Nothing, or the ledger is broken."""
        return self.assets_minor - self.liabilities_minor - self.equity_minor


def balance_sheet(balances: Sequence[Balance]) -> BalanceSheet:
    """From everything that was posted until a day."""
    return BalanceSheet(
        assets=of_type(balances, "ASSET"),
        liabilities=of_type(balances, "LIABILITY"),
        equity=of_type(balances, "EQUITY"),
        earnings_minor=profit_and_loss(balances).profit_minor,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A movement, and what the account held after it."""

    movement: Movement
    balance_minor: int


def ledger(opening_minor: int, movements: Iterable[Movement]) -> tuple[Step, ...]:
    """Movements in their order, each with the balance after it."""
    steps, held = [], opening_minor
    for one in movements:
        held += one.net_minor
        steps.append(Step(movement=one, balance_minor=held))
    return tuple(steps)


def by_entry(movements: Iterable[Movement]) -> tuple[Movement, ...]:
    """Each entry's movements as one, with what they come to, where the last stands; those of nothing are left out.

    An allocation moves money from an advance to an invoice: nothing that a partner owes more or less.
    """
    made = []
    for _, group in groupby(movements, key=lambda one: one.journal_id):
        lines = list(group)
        net = sum(line.net_minor for line in lines)
        if net:
            first = lines[0]
            made.append(
                Movement(
                    account_id=first.account_id,
                    day=first.day,
                    debit_minor=max(net, 0),
                    credit_minor=max(-net, 0),
                    journal_id=first.journal_id,
                    number=first.number,
                    description=first.description,
                    document_id=first.document_id,
                    partner_id=first.partner_id,
                    position=first.position,
                    place=lines[-1].place,
                )
            )
    return tuple(made)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A document or a payment on account, and what is open of it: debits less credits of its movements."""

    partner_id: str | None
    item_id: str
    net_minor: int
    due_date: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Aged:
    """What is open with a partner. `buckets` are not due, then by days overdue; `credits_minor` pay nothing yet."""

    partner_id: str | None
    items: tuple[Item, ...]
    buckets: tuple[int, ...]
    credits_minor: int

    @property
    def total_minor(self) -> int:
        return sum(self.buckets) - self.credits_minor


def bucket_of(due_date: date, as_of: date) -> int:
    """0 for what is not due, then 1 to 4 by the days it is overdue."""
    overdue_days = (as_of - due_date).days
    if overdue_days <= 0:
        return 0
    return 1 + sum(overdue_days > last for last in BUCKETS)


def ageing(items: Iterable[Item], *, side: str, as_of: date) -> tuple[Aged, ...]:
    """What is open with every partner of a side, by how long it is overdue; partners in the order of their ids."""
    sign = 1 if side == SALES else -1
    owned: dict[str | None, list[Item]] = {}
    for item in items:
        if item.net_minor:
            owned.setdefault(item.partner_id, []).append(item)
    aged = []
    for partner_id in sorted(owned, key=lambda one: one or ""):
        buckets, credits_minor = [0] * (len(BUCKETS) + 2), 0
        for item in owned[partner_id]:
            owed = sign * item.net_minor
            if owed > 0:
                buckets[bucket_of(item.due_date, as_of)] += owed
            else:
                credits_minor -= owed
        kept = tuple(sorted(owned[partner_id], key=lambda one: (one.due_date, one.item_id)))
        aged.append(
            Aged(partner_id=partner_id, items=kept, buckets=tuple(buckets), credits_minor=credits_minor)
        )
    return tuple(aged)
