"""What money, receivables and payables in other currencies are worth at the rate of a day, and the entry that says so.

Monetary items are shown at the closing rate, the difference is profit or loss (IAS 21.23 and 21.28). What was paid in
advance is no monetary item (IAS 21.16) and stays at the rate of its day. The accounts themselves are not touched: they
hold what documents and payments were posted at, so that what a payment realises is right. What they are worth more or
less stands beside them, on accounts of their own, and is taken back on the next day: nothing of it adds up.

A revaluation has no stream. It is an entry whose id is made of the company, the day and how often that day was
revalued before, so that it cannot be there twice; and its reversal says whether it stands.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID, uuid5

from finance import cashflow, chart, journal
from finance.account import Account
from finance.journal import Journal, Line
from finance.money import BASE, Money, plain

ONE_DAY: Final = timedelta(days=1)
Sums = Mapping[tuple[str, str], tuple[int, int]]
"""Debits less credits by account id and currency, in minor units, and what they are worth in the books."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What an account holds in a currency, debits less credits, and what that is worth in the books.

    `beside` is the code of the account that a difference stands on.
    """

    account: Account
    beside: str
    currency: str
    minor: int
    base_minor: int

    @property
    def name(self) -> str:
        """What a line of the entry is known again by: codes and currencies never change."""
        return f"{self.currency} {self.account.code}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A holding at the rate of a day; positive differences are gains, whichever side the account has."""

    holding: Holding
    rate: Decimal

    @property
    def worth_minor(self) -> int:
        """At that rate, rounded half to even."""
        return Money(self.holding.minor, self.holding.currency).times(self.rate).minor

    @property
    def difference_minor(self) -> int:
        return self.worth_minor - self.holding.base_minor

    @property
    def told(self) -> str:
        one = self.holding
        held = f"{plain(one.minor, one.currency)} {one.currency} of {one.account.code}"
        was, now = plain(one.base_minor, BASE), plain(self.worth_minor, BASE)
        return f"{held}, in the books {was}, at {self.rate:f} {now}"


def beside(tenant_id: str, account: Account) -> str | None:
    """The code of the account where a monetary one's differences stand; None of what is not revalued."""
    for code, valuation in (
        (chart.RECEIVABLE, chart.RECEIVABLES_REVALUED),
        (chart.PAYABLE, chart.PAYABLES_REVALUED),
    ):
        if account.id == chart.account_id(tenant_id, code):
            return valuation
    is_own = account.id == chart.account_id(tenant_id, chart.CASH_REVALUED)
    return chart.CASH_REVALUED if cashflow.is_cash(account) and not is_own else None


def monetary(tenant_id: str, sums: Sums, accounts: Mapping[str, Account]) -> Iterator[Holding]:
    """Everything to be revalued that was ever posted to in another currency, by currency and code.

    Also what holds nothing: money that came and went at two rates has left a worth behind.
    """
    found = [
        Holding(account=accounts[one], beside=of, currency=currency, minor=minor, base_minor=base_minor)
        for (one, currency), (minor, base_minor) in sums.items()
        if currency != BASE and (of := beside(tenant_id, accounts[one])) is not None
    ]
    yield from sorted(found, key=lambda one: (one.currency, one.account.code))


def document_id(tenant_id: str, day: date) -> str:
    """What the entries of a day's revaluations belong to, so that nobody reverses one alone. It has no events."""
    return str(uuid5(UUID(tenant_id), f"revaluation/{day}"))


def entry_id(tenant_id: str, day: date, number: int) -> str:
    """The id of the entry of a day's revaluation, which is done for the first time, from 1, or again."""
    return str(uuid5(UUID(document_id(tenant_id, day)), str(number)))


def owns(tenant_id: str, entry_document_id: str | None, day: date) -> bool:
    """Whether an entry of this day, which belongs to this, is one of a revaluation: of the day or the one before."""
    days = [day] if day == date.min else [day, day - ONE_DAY]
    return entry_document_id in {document_id(tenant_id, one) for one in days}


def entry(tenant_id: str, day: date, items: Iterable[Item], *, journal_id: str) -> journal.Create:
    """The entry of a day: a line for each difference, and what was gained and lost on all of them.

    In the currency of the books: no currency is held more or less than before. Without a difference it has no lines.
    """
    changed = [one for one in items if one.difference_minor]
    gained = sum(max(one.difference_minor, 0) for one in changed)
    lost = sum(max(-one.difference_minor, 0) for one in changed)
    lines = [
        Line(
            account_id=chart.account_id(tenant_id, one.holding.beside),
            debit_minor=max(one.difference_minor, 0),
            credit_minor=max(-one.difference_minor, 0),
            description=one.told,
            reference=one.holding.name,
        )
        for one in changed
    ]
    if gained:
        account_id = chart.account_id(tenant_id, chart.UNREALISED_GAINS)
        lines.append(Line(account_id=account_id, credit_minor=gained))
    if lost:
        account_id = chart.account_id(tenant_id, chart.UNREALISED_LOSSES)
        lines.append(Line(account_id=account_id, debit_minor=lost))
    return journal.Create(
        journal_id=journal_id,
        journal_date=day,
        journal_type="ADJUSTMENT",
        description=f"Revaluation of currencies on {day}",
        currency=BASE,
        lines=tuple(lines),
        reference=f"REVALUATION-{day}",
        document_id=document_id(tenant_id, day),
    )


def posted(found: Journal | None) -> dict[str, int]:
    """The difference that an entry has for each holding, by the holding's name."""
    lines = () if found is None else found.lines
    return {line.reference: line.debit_minor - line.credit_minor for line in lines if line.reference}


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What a day's revaluation would post now, beside what it did; `entry` is the one that stands.

    `since` has by currency the day that its rate is in force from, which may be long ago.
    """

    day: date
    items: tuple[Item, ...]
    since: Mapping[str, date]
    entry: Journal | None

    def posted_minor(self, item: Item) -> int:
        return posted(self.entry).get(item.holding.name, 0)

    def place(self, item: Item) -> int | None:
        """Which line of the entry that stands is of a holding, from 0; None where none is."""
        lines = () if self.entry is None else self.entry.lines
        return next((n for n, line in enumerate(lines) if line.reference == item.holding.name), None)

    @property
    def is_current(self) -> bool | None:
        """Whether both are the same; None where nothing stands that could be."""
        if self.entry is None:
            return None
        return all(one.difference_minor == self.posted_minor(one) for one in self.items)


def shown(holding: Holding, was: Mapping[str, int]) -> bool:
    """Whether there is anything to say of a holding; `was` is what was `posted`."""
    return bool(holding.minor or holding.base_minor or was.get(holding.name))
