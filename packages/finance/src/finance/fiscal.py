"""The fiscal calendar: years from July to June, as in Bangladesh (Income Tax Act 2023, section 2)."""

import re
from datetime import date, datetime, timedelta, timezone
from typing import Final

FIRST_MONTH: Final = 7
WRITTEN: Final = re.compile(r"FY(\d{4})-(\d{4})", re.ASCII)
PERIOD: Final = re.compile(r"(FY\d{4}-\d{4})-P(0[1-9]|1[0-2])", re.ASCII)
PERIODS: Final = 12
ZONE: Final = timezone(timedelta(hours=6), "Asia/Dhaka")
"""Of the company, whose day ends while it is six in the evening in UTC. Bangladesh has no summer time."""

FIRST_DAY, LAST_DAY = date(1900, 7, 1), date(2199, 6, 30)
"""No entry of a company that lives is dated before or after: a day that is, was mistyped."""


def today(now: datetime) -> date:
    """The day that it is for the company: what is overdue, and which rule is in force, begins with its midnight."""
    return now.astimezone(ZONE).date()


def year(day: date) -> str:
    """The fiscal year of a day: FY2026-2027."""
    first = day.year if day.month >= FIRST_MONTH else day.year - 1
    return f"FY{first:04d}-{first + 1:04d}"


def period(day: date) -> str:
    """The fiscal period of a day: FY2026-2027-P05 is November 2026."""
    return f"{year(day)}-P{(day.month - FIRST_MONTH) % 12 + 1:02d}"


def first_day(fiscal_year: str) -> date:
    """The first day of a fiscal year.

    Raises:
        ValueError: it is not written like FY2026-2027.
    """
    found = WRITTEN.fullmatch(fiscal_year)
    if found is None or int(found[2]) != int(found[1]) + 1:
        raise ValueError(f"expected a fiscal year like FY2026-2027, found '{fiscal_year[:20]}'")
    return date(int(found[1]), FIRST_MONTH, 1)


def last_day(fiscal_year: str) -> date:
    """The last day of a fiscal year.

    Raises:
        ValueError: as `first_day`.
    """
    return date(first_day(fiscal_year).year + 1, FIRST_MONTH - 1, 30)


def over(day: date) -> str:
    """The last fiscal year that is over on a day."""
    return year(first_day(year(day)) - timedelta(days=1))


def years(first: date, last: date) -> list[str]:
    """The fiscal years from that of one day to that of another, both included."""
    begun = [int(year(day)[2:6]) for day in (first, last)]
    return [f"FY{one:04d}-{one + 1:04d}" for one in range(begun[0], begun[1] + 1)]


def periods(fiscal_year: str) -> list[str]:
    """The twelve periods of a fiscal year, in order.

    Raises:
        ValueError: as `first_day`.
    """
    first_day(fiscal_year)
    return [f"{fiscal_year}-P{number:02d}" for number in range(1, PERIODS + 1)]


def days_of(name: str) -> tuple[date, date]:
    """The first and the last day of a fiscal period.

    Raises:
        ValueError: it is not written like FY2026-2027-P05.
    """
    found = PERIOD.fullmatch(name)
    if found is None:
        raise ValueError(f"expected a fiscal period like FY2026-2027-P05, found '{name[:20]}'")
    begun = first_day(found[1])
    months = begun.month - 1 + int(found[2]) - 1
    first = date(begun.year + months // 12, months % 12 + 1, 1)
    following = date(first.year + first.month // 12, first.month % 12 + 1, 1)
    return first, following - timedelta(days=1)
