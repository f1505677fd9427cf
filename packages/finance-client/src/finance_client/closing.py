"""Fiscal periods and years, other currencies at their end, and the numbers of their documents."""

from datetime import date
from decimal import Decimal
from typing import Literal

from finance_client.journals import Journal
from finance_client.operation import Asked, mutation, query
from finance_client.subject import Subject, command
from finance_client.value import Answer, Money

PeriodClosing = Literal["SOFT_CLOSED", "CLOSED", "LOCKED"]
YearClosing = Literal["CLOSED", "LOCKED"]


class FiscalPeriod(Answer, frozen=True, kw_only=True):
    """A month of the fiscal year, which runs from July to June."""

    name: str
    first_day: date
    last_day: date
    status: str
    version: int
    reason: str | None = None


class FiscalYear(Answer, frozen=True, kw_only=True):
    """A fiscal year, from July to June."""

    name: str
    first_day: date
    last_day: date
    status: str
    closing_journal_ids: tuple[str, ...]
    version: int
    reason: str | None = None


class NumberGap(Answer, frozen=True, kw_only=True):
    """Numbers that are missing, the first and the last."""

    first: int
    last: int


class NumberSeries(Answer, frozen=True, kw_only=True):
    """The numbers drawn in one series and fiscal year. They count from 1: nothing may be missing, nothing twice."""

    series: str
    fiscal_year: str
    count: int
    last: int
    missing: tuple[NumberGap, ...]
    repeated: tuple[int, ...]


class RevaluationLine(Answer, frozen=True, kw_only=True):
    """What an account holds in another currency, and what that is worth: as it was posted, and at the day's rate."""

    account_id: str
    account_code: str
    account_name: str
    balance: Money
    balance_figure: str
    worth: Money
    worth_figure: str
    rate: Decimal
    rate_since: date
    worth_at_rate: Money
    difference: Money
    posted: Money
    posted_figure: str | None = None


class Revaluation(Answer, frozen=True, kw_only=True):
    """Other currencies at the rate of a day: what would be posted now, and what was."""

    as_of: date
    lines: tuple[RevaluationLine, ...]
    difference: Money
    posted: Money
    entry: Journal | None = None
    is_current: bool | None = None


CLOSE_PERIOD = mutation("closePeriod", FiscalPeriod, "$period: String!", "$to: PeriodClosing!")
REOPEN_PERIOD = mutation("reopenPeriod", FiscalPeriod, "$period: String!", "$reason: String!")
CLOSE_YEAR = mutation("closeYear", FiscalYear, "$fiscalYear: String!", "$to: YearClosing!")
REOPEN_YEAR = mutation("reopenYear", FiscalYear, "$fiscalYear: String!", "$reason: String!")
REVALUE = mutation("revalueCurrencies", Journal, "$asOf: Date!")
UNDO_REVALUATION = mutation("undoRevaluation", Journal, "$asOf: Date!", "$reason: String!")
REVALUATION = query("revaluation", Revaluation, "$asOf: Date!")
PERIODS = query("fiscalPeriods", tuple[FiscalPeriod, ...], "$fiscalYear: String!")
YEAR = query("fiscalYear", FiscalYear, "$name: String!")
SERIES = query("numberSeries", tuple[NumberSeries, ...], "$fiscalYear: String!")


class Closing(Subject):
    """Periods such as FY2026-2027-P05 and years such as FY2026-2027."""

    @command
    def close_period(
        self, period: str, *, to: PeriodClosing = "CLOSED", key: str | None = None
    ) -> Asked[FiscalPeriod]:
        """Further than it is; LOCKED is for good."""
        return Asked(CLOSE_PERIOD, key, {"period": period, "to": to})

    @command
    def reopen_period(self, period: str, *, reason: str, key: str | None = None) -> Asked[FiscalPeriod]:
        return Asked(REOPEN_PERIOD, key, {"period": period, "reason": reason})

    @command
    def close_year(
        self, fiscal_year: str, *, to: YearClosing = "CLOSED", key: str | None = None
    ) -> Asked[FiscalYear]:
        """What was earned and spent goes to retained earnings, and all periods are closed; LOCKED is for good."""
        return Asked(CLOSE_YEAR, key, {"fiscalYear": fiscal_year, "to": to})

    @command
    def reopen_year(self, fiscal_year: str, *, reason: str, key: str | None = None) -> Asked[FiscalYear]:
        """Reverse the closing entries and open the last period."""
        return Asked(REOPEN_YEAR, key, {"fiscalYear": fiscal_year, "reason": reason})

    @command
    def revalue(self, as_of: date, *, key: str | None = None) -> Asked[Journal]:
        """Show money, receivables and payables in other currencies at the rate of a day, until the next."""
        return Asked(REVALUE, key, {"asOf": as_of})

    @command
    def undo_revaluation(self, as_of: date, *, reason: str, key: str | None = None) -> Asked[Journal]:
        """Take the day's entry and its reversal back; it can be done again with another rate."""
        return Asked(UNDO_REVALUATION, key, {"asOf": as_of, "reason": reason})

    def revaluation(self, as_of: date) -> Revaluation:
        """What it would post now, and what it has."""
        return self._read(REVALUATION, asOf=as_of)

    def periods(self, fiscal_year: str) -> tuple[FiscalPeriod, ...]:
        """All twelve, July first."""
        return self._read(PERIODS, fiscalYear=fiscal_year)

    def year(self, name: str) -> FiscalYear:
        return self._read(YEAR, name=name)

    def number_series(self, fiscal_year: str) -> tuple[NumberSeries, ...]:
        """Every series of document numbers, with what is missing and what came twice."""
        return self._read(SERIES, fiscalYear=fiscal_year)
