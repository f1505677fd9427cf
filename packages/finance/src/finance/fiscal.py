"""The fiscal calendar: years from July to June, as in Bangladesh (Income Tax Act 2023, section 2)."""

from datetime import date

FIRST_MONTH = 7


def year(day: date) -> str:
    """The fiscal year of a day: FY2026-2027."""
    first = day.year if day.month >= FIRST_MONTH else day.year - 1
    return f"FY{first}-{first + 1}"


def period(day: date) -> str:
    """The fiscal period of a day: FY2026-2027-P05 is November 2026."""
    return f"{year(day)}-P{(day.month - FIRST_MONTH) % 12 + 1:02d}"


def first_day(fiscal_year: str) -> date:
    """The first day of a fiscal year.

    Raises:
        ValueError: it is not written like FY2026-2027.
    """
    prefix, first, last = fiscal_year[:2], fiscal_year[2:6], fiscal_year[7:]
    if prefix != "FY" or fiscal_year[6:7] != "-" or int(last) != int(first) + 1:
        raise ValueError(fiscal_year)
    return date(int(first), FIRST_MONTH, 1)


def last_day(fiscal_year: str) -> date:
    """The last day of a fiscal year.

    Raises:
        ValueError: as `first_day`.
    """
    return date(first_day(fiscal_year).year + 1, FIRST_MONTH - 1, 30)
