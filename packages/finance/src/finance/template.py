"""A journal entry that comes again and again: commands, events, state, decide, evolve.

Drafted, approved, and from then on due day by day of its schedule, in order: each due day is run once and none is left
out. An accrual is taken back on the first day of the next period; depreciation ends with the asset's life.
"""

import calendar
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Final, assert_never
from uuid import UUID, uuid5

import msgspec

from finance import fiscal, formula, journal
from finance.money import EXACT, LARGEST_MINOR, decimals, half_even, share
from finance.refusal import AmountMalformed, JournalUnbalanced, TemplateMalformed, TemplateNotActive
from finance.text import sized

RECURRING, ACCRUAL, DEPRECIATION, PROVISION = "RECURRING", "ACCRUAL", "DEPRECIATION", "PROVISION"
STRAIGHT_LINE, DECLINING = "STRAIGHT_LINE", "DECLINING"
MONTHS: Final = {"MONTHLY": 1, "QUARTERLY": 3, "YEARLY": 12}
DAYS: Final = {"DAILY": 1, "WEEKLY": 7}
MOST_LINES: Final = 100
LONGEST_LIFE_MONTHS: Final = 1200
MOST_AT_ONCE: Final = 60
"""Due days that one run catches up; the next run goes on with the others."""


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """The first day is due, then every day, week, month, quarter or year; the 31st of a short month is its last day."""

    frequency: str
    starts_on: date
    ends_on: date | None = None

    def due(self, number: int) -> date:
        """The due day of this number, from 0.

        Raises:
            OverflowError: it is after the last day there is.
        """
        if self.frequency in DAYS:
            return self.starts_on + timedelta(days=DAYS[self.frequency] * number)
        months = self.starts_on.month - 1 + MONTHS[self.frequency] * number
        year, month = self.starts_on.year + months // 12, months % 12 + 1
        if year > date.max.year:
            raise OverflowError("there is no such year")
        return date(year, month, min(self.starts_on.day, calendar.monthrange(year, month)[1]))


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One side of one account, as a formula (`formula.py`) of major units: debit or credit."""

    account_id: str
    debit: str | None = None
    credit: str | None = None
    description: str | None = None


class Asset(msgspec.Struct, frozen=True, kw_only=True):
    """What is depreciated, month by month, from its cost down to its salvage value.

    STRAIGHT_LINE: the same every month, but for a minor unit that rounding moves. DECLINING: 2 / life of the book
    value (double declining balance), and in the last month what is left.
    """

    method: str
    cost_minor: int
    salvage_minor: int
    life_months: int
    expense_account_id: str
    accumulated_account_id: str

    def month_minor(self, number: int, depreciated_minor: int) -> int:
        """What a month of this number, from 0, takes after so much was taken before."""
        whole = self.cost_minor - self.salvage_minor
        left = whole - depreciated_minor
        if number >= self.life_months - 1:
            return left
        if self.method == STRAIGHT_LINE:
            return share(whole, number + 1, self.life_months) - share(whole, number, self.life_months)
        book = Decimal(2 * (self.cost_minor - depreciated_minor))
        return min(left, half_even(EXACT.divide(book, Decimal(self.life_months))))


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What it says: lines, or an asset for DEPRECIATION."""

    kind: str
    name: str
    currency: str
    schedule: Schedule
    lines: tuple[Line, ...] = ()
    asset: Asset | None = None


class Created(msgspec.Struct, frozen=True, kw_only=True, tag="template.created/1"):
    template_id: str
    terms: Terms


class Approved(msgspec.Struct, frozen=True, kw_only=True, tag="template.approved/1"):
    approved_by: str


class Ran(msgspec.Struct, frozen=True, kw_only=True, tag="template.ran/1"):
    """A due day was posted. `journal_id` is None when it came to nothing; `reversal_id` takes an accrual back."""

    due_on: date
    journal_id: str | None = None
    reversal_id: str | None = None
    depreciated_minor: int = 0


class Ended(msgspec.Struct, frozen=True, kw_only=True, tag="template.ended/1"):
    reason: str


Event = Created | Approved | Ran | Ended


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """`runs` is how many due days were posted; `version` counts its events."""

    id: str
    terms: Terms
    status: str = "DRAFT"
    runs: int = 0
    last_due_on: date | None = None
    depreciated_minor: int = 0
    journals: tuple[str, ...] = ()
    version: int = 1

    @property
    def currency(self) -> str:
        return self.terms.currency

    @property
    def total_minor(self) -> int:
        """What it is about: the debits of its first entry, or the whole of an asset's depreciation."""
        if self.terms.asset is not None:
            return self.terms.asset.cost_minor - self.terms.asset.salvage_minor
        return sum(line.debit_minor for line in lines_of(self.terms, self.terms.schedule.starts_on, 0))

    def due(self, number: int) -> date | None:
        """The due day of this number; None when the schedule or the asset has ended before."""
        schedule, asset = self.terms.schedule, self.terms.asset
        if asset is not None and number >= asset.life_months:
            return None
        try:
            day = schedule.due(number)
        except OverflowError:
            return None
        return None if schedule.ends_on is not None and day > schedule.ends_on else day

    def due_days(self, through: date) -> Iterator[date]:
        """The days that are due and were not run, in order; at most `MOST_AT_ONCE` of them."""
        for number in range(self.runs, self.runs + MOST_AT_ONCE):
            day = self.due(number)
            if self.status != "ACTIVE" or day is None or day > through:
                return
            yield day


class Create(msgspec.Struct, frozen=True, kw_only=True):
    template_id: str
    terms: Terms


class Approve(msgspec.Struct, frozen=True, kw_only=True):
    approved_by: str


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """The next due day; the shell posts the entries that it names."""

    due_on: date
    journal_id: str | None
    reversal_id: str | None
    depreciated_minor: int


class End(msgspec.Struct, frozen=True, kw_only=True):
    reason: str


Command = Create | Approve | Run | End


def journal_id(template_id: str, due_on: date) -> str:
    """The id of the entry of a due day: the same for whoever posts it, so that it cannot be there twice."""
    return str(uuid5(UUID(template_id), due_on.isoformat()))


def decide(template: Template | None, command: Command) -> list[Event]:
    """The events of a command.

    Raises:
        Refused: one class per rule; nothing happened.
    """
    match command:
        case Create():
            return [Created(template_id=command.template_id, terms=checked(command.terms))]
        case Approve():
            _of(template, "DRAFT")
            return [Approved(approved_by=command.approved_by)]
        case Run():
            active = _of(template, "ACTIVE")
            assert command.due_on == active.due(active.runs), "the shell runs due days in order"  # noqa: S101 - a bug
            return [
                Ran(
                    due_on=command.due_on,
                    journal_id=command.journal_id,
                    reversal_id=command.reversal_id,
                    depreciated_minor=command.depreciated_minor,
                )
            ]
        case End():
            _of(template, "DRAFT", "ACTIVE")
            return [Ended(reason=sized(command.reason, "reason", 10, 500))]
        case _:
            assert_never(command)


def active(template: Template) -> None:
    """That it can be run.

    Raises:
        TemplateNotActive: it waits for approval, or has ended.
    """
    _of(template, "ACTIVE")


def _of(template: Template | None, *statuses: str) -> Template:
    assert template is not None, "the shell loads the template first"  # noqa: S101 - a bug, not a refusal
    if template.status not in statuses:
        raise TemplateNotActive(f"Expected {' or '.join(statuses)}, it is {template.status}.")
    return template


def checked(terms: Terms) -> Terms:
    """The terms, which make a balanced entry on their first day.

    Raises:
        TemplateMalformed: lines and asset that do not fit the kind, or a schedule that never begins.
        JournalUnbalanced: the entry of the first day is.
        Refused: a formula of it is.
    """
    schedule, asset = terms.schedule, terms.asset
    if schedule.ends_on is not None and schedule.ends_on < schedule.starts_on:
        raise TemplateMalformed(f"It ends on {schedule.ends_on}, before it starts on {schedule.starts_on}.")
    if (terms.kind == DEPRECIATION) != (asset is not None) or (asset is not None) == bool(terms.lines):
        raise TemplateMalformed("Expected an asset for DEPRECIATION, and lines for every other kind.")
    if asset is not None:
        _checked_asset(asset, schedule)
    elif not 2 <= len(terms.lines) <= MOST_LINES:
        raise TemplateMalformed(f"Expected 2 to {MOST_LINES} lines, found {len(terms.lines)}.")
    if any((line.debit is None) == (line.credit is None) for line in terms.lines):
        raise TemplateMalformed("Expected a debit or a credit on every line.")
    named = msgspec.structs.replace(terms, name=sized(terms.name, "name", 3, 200))
    lines_of(named, schedule.starts_on, 0)
    return named


def _checked_asset(asset: Asset, schedule: Schedule) -> None:
    if schedule.frequency != "MONTHLY":
        raise TemplateMalformed(f"Assets are depreciated MONTHLY, found {schedule.frequency}.")
    if not 0 <= asset.salvage_minor < asset.cost_minor <= LARGEST_MINOR:
        raise TemplateMalformed("Expected a cost above the salvage value, which is not negative.")
    if not 1 <= asset.life_months <= LONGEST_LIFE_MONTHS:
        raise TemplateMalformed(f"Expected 1 to {LONGEST_LIFE_MONTHS} months, found {asset.life_months}.")


def minor_of(text: str, currency: str, day: date) -> int:
    """What a formula comes to on a day, in minor units, rounded half to even.

    Raises:
        Refused: as `formula.evaluate`, or it is more than an entry can have.
    """
    found = formula.evaluate(text, formula.of_day(day))
    minor = half_even(found.scaleb(decimals(currency)))
    if abs(minor) > LARGEST_MINOR:
        raise AmountMalformed(f"Expected at most {LARGEST_MINOR} minor units, '{text}' comes to {minor}.")
    return minor


def lines_of(terms: Terms, day: date, depreciation_minor: int) -> tuple[journal.Line, ...]:
    """The lines of the entry of a due day; those that come to nothing are left out.

    Raises:
        JournalUnbalanced: debits and credits differ.
        AmountNotPositive: a line is negative.
    """
    if terms.asset is not None:
        made = [
            journal.Line(account_id=terms.asset.expense_account_id, debit_minor=depreciation_minor),
            journal.Line(account_id=terms.asset.accumulated_account_id, credit_minor=depreciation_minor),
        ]
    else:
        made = [
            journal.Line(
                account_id=line.account_id,
                debit_minor=0 if line.debit is None else minor_of(line.debit, terms.currency, day),
                credit_minor=0 if line.credit is None else minor_of(line.credit, terms.currency, day),
                description=line.description,
            )
            for line in terms.lines
        ]
    kept = tuple(journal.one_sided(line) for line in made if line.debit_minor or line.credit_minor)
    debit, credit = sum(one.debit_minor for one in kept), sum(one.credit_minor for one in kept)
    if debit != credit:
        raise JournalUnbalanced(f"On {day} its debits are {debit}, its credits {credit} minor units.")
    return kept


def entry(template: Template, due_on: date) -> tuple[journal.Create | None, int]:
    """The entry of the next due day, and what it depreciates; None when it comes to nothing.

    Raises:
        Refused: as `lines_of`.
    """
    terms, taken = template.terms, 0
    if terms.asset is not None:
        taken = terms.asset.month_minor(template.runs, template.depreciated_minor)
    lines = lines_of(terms, due_on, taken)
    if not lines:
        return None, taken
    made = journal.Create(
        journal_id=journal_id(template.id, due_on),
        journal_date=due_on,
        journal_type="GENERAL" if terms.kind == RECURRING else "ADJUSTMENT",
        description=f"{terms.name}, {due_on}",
        currency=terms.currency,
        lines=lines,
        reference=f"AUTO-{template.id}",
    )
    return made, taken


def taken_back_on(template: Template, due_on: date) -> date | None:
    """The day an accrual of this day is reversed: the first of the next period. None for every other kind."""
    if template.terms.kind != ACCRUAL:
        return None
    return fiscal.days_of(fiscal.period(due_on))[1] + timedelta(days=1)


def evolve(template: Template | None, event: Event) -> Template:
    if isinstance(event, Created):
        return Template(id=event.template_id, terms=event.terms)
    assert template is not None, "a stream begins with created"  # noqa: S101 - a damaged log is a bug
    version = template.version + 1
    match event:
        case Approved():
            return msgspec.structs.replace(template, status="ACTIVE", version=version)
        case Ended():
            return msgspec.structs.replace(template, status="ENDED", version=version)
        case Ran():
            posted = () if event.journal_id is None else (event.journal_id,)
            return msgspec.structs.replace(
                template,
                runs=template.runs + 1,
                last_due_on=event.due_on,
                depreciated_minor=template.depreciated_minor + event.depreciated_minor,
                journals=(*template.journals, *posted)[-MOST_AT_ONCE:],
                version=version,
            )
        case _:
            assert_never(event)
