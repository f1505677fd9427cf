"""A report as a table: what it is about, its columns, its rows, and lines of totals. What every file is made from.

Money stays money until a file is written: exact, with its currency.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, Literal

from finance.money import Money

Cell = str | int | date | Money | None
"""A text, a count, a day, an amount; or nothing."""

Kind = Literal["text", "amount", "day", "count"]
TEXT: Final = "text"
AMOUNT: Final = "amount"
DAY: Final = "day"
COUNT: Final = "count"
MOST_ROWS: Final = 200_000
"""Of one file: two seconds of a processor."""

MOST_SHEET_ROWS: Final = 100_000
"""Of a spreadsheet, which takes five times as long to write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """`key` is its name for programs, `title` for people; `width` is in characters."""

    key: str
    title: str
    kind: Kind = TEXT
    width: int = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """What a report is about, such as its first day: for programs, for people, and what it is."""

    key: str
    title: str
    value: str | date | datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A cell for each column. A `total` is a sum of the rows before it, and stands apart from them."""

    cells: tuple[Cell, ...]
    total: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Of a table: `name` for programs, `title` for people."""

    name: str
    title: str
    facts: tuple[Fact, ...]
    columns: tuple[Column, ...]


def plain(value: str | date | datetime) -> str:
    """A fact in letters: days and instants as ISO 8601."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds").replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else value


def total(title: str, columns: Sequence[Column], **sums: Cell) -> Row:
    """A line of totals: its title in the first column, and these sums in theirs."""
    cells = [sums.get(one.key) for one in columns]
    return Row(cells=(title, *cells[1:]), total=True)
