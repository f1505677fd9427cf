"""A fiscal year of a company and its closing: commands, events, state, decide, evolve; and the closing entries.

Closing a year moves what was earned and spent in it into retained earnings, by one entry for each currency of such
accounts, on its last day. It can be taken back until the year is locked.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import assert_never
from uuid import UUID, uuid5

import msgspec

from finance import fiscal, journal, period
from finance.journal import Line
from finance.money import BASE
from finance.refusal import PeriodLocked, PeriodMalformed, YearNotClosed, YearOutOfOrder
from finance.text import sized

OPEN, CLOSED, LOCKED = "OPEN", "CLOSED", "LOCKED"


class Closed(msgspec.Struct, frozen=True, kw_only=True, tag="year.closed/1"):
    """`journal_ids` are the closing entries; none of a year in which nothing was earned or spent."""

    fiscal_year: str
    journal_ids: tuple[str, ...]


class Reopened(msgspec.Struct, frozen=True, kw_only=True, tag="year.reopened/1"):
    fiscal_year: str
    reason: str
    reversing_journal_ids: tuple[str, ...]


class Locked(msgspec.Struct, frozen=True, kw_only=True, tag="year.locked/1"):
    fiscal_year: str


Event = Closed | Reopened | Locked


class Year(msgspec.Struct, frozen=True, kw_only=True):
    """`version` counts its events; a year nobody ever closed has none and no state."""

    fiscal_year: str
    status: str
    journal_ids: tuple[str, ...] = ()
    reason: str | None = None
    version: int = 1


class Close(msgspec.Struct, frozen=True, kw_only=True):
    fiscal_year: str
    journal_ids: tuple[str, ...]


class Reopen(msgspec.Struct, frozen=True, kw_only=True):
    fiscal_year: str
    reason: str
    reversing_journal_ids: tuple[str, ...]


class Lock(msgspec.Struct, frozen=True, kw_only=True):
    fiscal_year: str


Command = Close | Reopen | Lock


@dataclass(frozen=True, slots=True, kw_only=True)
class Net:
    """What was posted to an account of revenue or expense: debits less credits, in its currency and in the books'.

    `minor` is nothing for an account in the currency of the books: whatever was posted, only its worth is closed.
    """

    account_id: str
    currency: str
    minor: int
    base_minor: int


def stream(tenant_id: str, fiscal_year: str) -> str:
    """The stream of a tenant's fiscal year.

    Raises:
        PeriodMalformed: this is no fiscal year's name.
    """
    try:
        fiscal.first_day(fiscal_year)
    except ValueError as error:
        raise PeriodMalformed(str(error)) from None
    return str(uuid5(UUID(tenant_id), f"year/{fiscal_year}"))


def status_of(year: Year | None) -> str:
    return OPEN if year is None else year.status


def decide(year: Year | None, command: Command) -> list[Event]:
    """The events of a command; none where it is done already.

    Raises:
        Refused: one class per rule; nothing happened.
    """
    status = status_of(year)
    match command:
        case Close():
            done = status != OPEN
            return [] if done else [Closed(fiscal_year=command.fiscal_year, journal_ids=command.journal_ids)]
        case Reopen():
            reversible(year, command.fiscal_year)
            return [
                Reopened(
                    fiscal_year=command.fiscal_year,
                    reason=sized(command.reason, "reason", 10, 500),
                    reversing_journal_ids=command.reversing_journal_ids,
                )
            ]
        case Lock():
            if status == OPEN:
                raise YearNotClosed(f"{command.fiscal_year} is open.")
            return [] if status == LOCKED else [Locked(fiscal_year=command.fiscal_year)]
        case _:
            assert_never(command)


def admit(year: Year | None, command: period.Command) -> None:
    """Let one of its periods be closed or reopened on its own.

    A closed year takes no entries, so that what was earned in it is in retained earnings, all of it. Its last period
    is not locked before that, for its closing entries are dated there.

    Raises:
        YearOutOfOrder: it would take entries again.
        YearNotClosed: it could not be closed any more.
    """
    fiscal_year, _, number = command.period.partition("-P")
    match command:
        case period.Reopen():
            if status_of(year) != OPEN:
                raise YearOutOfOrder(f"{fiscal_year} is closed; reopen it first.")
        case period.Close(to=to):
            last = int(number) == fiscal.PERIODS
            if last and to == period.LOCKED and status_of(year) == OPEN:
                raise YearNotClosed(f"{command.period} is locked with {fiscal_year}, which is open.")
        case _:
            assert_never(command)


def reversible(year: Year | None, fiscal_year: str) -> Year:
    """The year, whose closing can be taken back.

    Raises:
        YearNotClosed: there is none.
        PeriodLocked: it is for good.
    """
    if year is None or year.status == OPEN:
        raise YearNotClosed(f"{fiscal_year} is open.")
    if year.status == LOCKED:
        raise PeriodLocked(f"It is all of {fiscal_year}.")
    return year


def evolve(year: Year | None, event: Event) -> Year:
    version = 1 if year is None else year.version + 1
    match event:
        case Closed(fiscal_year=name, journal_ids=ids):
            return Year(fiscal_year=name, status=CLOSED, journal_ids=ids, version=version)
        case Reopened(fiscal_year=name, reason=reason):
            return Year(fiscal_year=name, status=OPEN, reason=reason, version=version)
        case Locked(fiscal_year=name):
            kept = () if year is None else year.journal_ids
            return Year(fiscal_year=name, status=LOCKED, journal_ids=kept, version=version)
        case _:
            assert_never(event)


def entries(
    nets: Iterable[Net], *, fiscal_year: str, year_id: str, earnings_id: str, new_id: Callable[[], str]
) -> list[journal.Create]:
    """The closing entries: each account's net on its other side, and all of them on retained earnings."""
    by_currency: dict[str, list[Net]] = defaultdict(list)
    for net in nets:
        if net.minor or net.base_minor:
            by_currency[net.currency].append(net)
    made = []
    for currency, found in sorted(by_currency.items()):
        minor, base_minor = sum(one.minor for one in found), sum(one.base_minor for one in found)
        earned = Net(account_id=earnings_id, currency=currency, minor=-minor, base_minor=-base_minor)
        lines = [line for one in (*found, earned) for line in taken(one)]
        made.append(
            journal.Create(
                journal_id=new_id(),
                journal_date=fiscal.last_day(fiscal_year),
                journal_type="CLOSING",
                description=f"Closing of {fiscal_year}",
                currency=currency,
                lines=tuple(lines),
                reference=fiscal_year,
                document_id=year_id,
            )
        )
    return made


def taken(net: Net) -> list[Line]:
    """The lines that take a net away. Where its two currencies are on different sides, one line for each."""
    if net.currency == BASE:
        found = [Line(account_id=net.account_id, debit_minor=-net.base_minor)]
    elif net.minor * net.base_minor >= 0:
        found = [Line(account_id=net.account_id, debit_minor=-net.minor, base_debit_minor=-net.base_minor)]
    else:
        found = [
            Line(account_id=net.account_id, debit_minor=-net.minor, base_debit_minor=0),
            Line(account_id=net.account_id, base_debit_minor=-net.base_minor),
        ]
    sided = [_sided(line, net.currency) for line in found]
    return [
        line
        for line in sided
        if line.debit_minor or line.credit_minor or line.base_debit_minor or line.base_credit_minor
    ]


def _sided(line: Line, currency: str) -> Line:
    """A line of signed debits as one of debits and credits."""
    worth = None if currency == BASE else line.base_debit_minor or 0
    return Line(
        account_id=line.account_id,
        debit_minor=max(line.debit_minor, 0),
        credit_minor=max(-line.debit_minor, 0),
        base_debit_minor=None if worth is None else max(worth, 0),
        base_credit_minor=None if worth is None else max(-worth, 0),
    )
