"""Fiscal periods and years, and the numbers of their documents."""

from datetime import date
from typing import Literal

from finance_client.operation import Asked, mutation, query
from finance_client.subject import Subject, command
from finance_client.value import Answer

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


CLOSE_PERIOD = mutation("closePeriod", FiscalPeriod, "$period: String!", "$to: PeriodClosing!")
REOPEN_PERIOD = mutation("reopenPeriod", FiscalPeriod, "$period: String!", "$reason: String!")
CLOSE_YEAR = mutation("closeYear", FiscalYear, "$fiscalYear: String!", "$to: YearClosing!")
REOPEN_YEAR = mutation("reopenYear", FiscalYear, "$fiscalYear: String!", "$reason: String!")
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

    def periods(self, fiscal_year: str) -> tuple[FiscalPeriod, ...]:
        """All twelve, July first."""
        return self._read(PERIODS, fiscalYear=fiscal_year)

    def year(self, name: str) -> FiscalYear:
        return self._read(YEAR, name=name)

    def number_series(self, fiscal_year: str) -> tuple[NumberSeries, ...]:
        """Every series of document numbers, with what is missing and what came twice."""
        return self._read(SERIES, fiscalYear=fiscal_year)
