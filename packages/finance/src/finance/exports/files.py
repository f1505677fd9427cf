"""Writes a table as JSON, CSV or XLSX, row by row, into a file.

Money is exact in each. Text stays text: what a person wrote and a spreadsheet would take for a formula is not one
(CWE-1236). Amounts are no text, and a negative one keeps its sign.
"""

import csv
import io
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, BinaryIO, Final, Protocol

import orjson

from finance.exports.catalogue import CSV, JSON, XLSX
from finance.money import Money, decimals
from finance.sheet import AMOUNT, DAY, Cell, Column, Head, Row, plain

FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""How a cell begins that a spreadsheet works out (OWASP, CSV Injection), full-width signs too."""

EXACT_DIGITS: Final = 15
"""What a spreadsheet keeps of a number (IEEE 754 binary64, as Excel shows it)."""

LONG: Final = f"Amounts of more than {EXACT_DIGITS} digits stand as text: a spreadsheet would round them."


class Writer(Protocol):
    """Takes a table from its head to its end; what it wrote is whole after `end` only."""

    def begin(self, head: Head) -> None: ...

    def add(self, rows: Sequence[Row]) -> None: ...

    def end(self) -> None: ...


class JsonWriter:
    """`{"report", ..., "columns", "rows", "totals"}`; amounts as exact strings, as in GraphQL."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._columns: Sequence[Column] = ()
        self._totals: list[dict[str, Any]] = []
        self._between = b""

    def begin(self, head: Head) -> None:
        self._columns = head.columns
        about = {"report": head.name, "title": head.title}
        about |= {fact.key: plain(fact.value) for fact in head.facts}
        columns = [{"key": one.key, "title": one.title, "kind": one.kind} for one in head.columns]
        self._out.write(orjson.dumps(about | {"columns": columns})[:-1] + b',"rows":[')

    def add(self, rows: Sequence[Row]) -> None:
        for row in rows:
            named = {one.key: shown(cell) for one, cell in zip(self._columns, row.cells, strict=True)}
            if row.total:
                given = {key: value for key, value in named.items() if value is not None}
                self._totals.append({"title": given.pop(self._columns[0].key), **given})
                continue
            self._out.write(self._between + orjson.dumps(named))
            self._between = b",\n"

    def end(self) -> None:
        self._out.write(b'],"totals":' + orjson.dumps(self._totals) + b"}\n")


def shown(cell: Cell) -> str | int | None:
    """A cell as JSON has it."""
    if isinstance(cell, Money):
        return str(cell)
    return cell.isoformat() if isinstance(cell, date) else cell


class CsvWriter:
    """RFC 4180 in UTF-8 with a byte order mark: facts, an empty line, titles, rows, totals."""

    def __init__(self, out: BinaryIO) -> None:
        self._text = io.TextIOWrapper(out, encoding="utf-8-sig", newline="", write_through=True)
        self._csv = csv.writer(self._text)

    def begin(self, head: Head) -> None:
        self._csv.writerow(["Report", head.title])
        self._csv.writerows([one.title, harmless(plain(one.value))] for one in head.facts)
        self._csv.writerow([])
        self._csv.writerow([one.title for one in head.columns])

    def add(self, rows: Sequence[Row]) -> None:
        self._csv.writerows([_told(cell) for cell in row.cells] for row in rows)

    def end(self) -> None:
        self._text.detach()  # it would close the file with it


def _told(cell: Cell) -> str | int | None:
    return harmless(cell) if isinstance(cell, str) else shown(cell)


def harmless(text: str) -> str:
    """A text that no spreadsheet takes for a formula: with an apostrophe before it, if it would."""
    return f"'{text}" if text.lstrip(" ").startswith(FORMULA) else text


class XlsxWriter:
    """One sheet; amounts are numbers of their currency's decimals, or text where a number would not be exact."""

    def __init__(self, out: BinaryIO) -> None:
        from xlsxwriter import Workbook  # most processes never make one

        self._book = Workbook(out, {"constant_memory": True})
        self._sheet = self._book.add_worksheet()
        self._formats: dict[tuple[str, bool], Any] = {}
        self._columns: Sequence[Column] = ()
        self._row = 0
        self._rounded = False

    def begin(self, head: Head) -> None:
        told = {one.key: plain(one.value) for one in head.facts}
        created = next((one.value for one in head.facts if one.key == "madeAt"), None)
        self._book.set_properties(
            {"title": head.title, "author": told.get("madeBy", ""), "company": told.get("company", "")}
            | ({"created": created} if isinstance(created, datetime) else {})
        )
        self._columns = head.columns
        for place, column in enumerate(head.columns):
            self._sheet.set_column(place, place, column.width)
        for title, value in (("Report", head.title), *((one.title, plain(one.value)) for one in head.facts)):
            self._text(0, title, bold=True)
            self._text(1, value)
            self._row += 1
        self._row += 1
        for place, column in enumerate(head.columns):
            self._sheet.write_string(
                self._row, place, column.title, self._format(f"head {column.kind}", bold=True)
            )
        self._row += 1
        self._sheet.freeze_panes(self._row, 0)
        self._sheet.repeat_rows(self._row - 1)
        self._sheet.set_landscape()
        self._sheet.set_paper(9)  # A4
        self._sheet.fit_to_pages(1, 0)
        self._sheet.set_footer("&P / &N")

    def add(self, rows: Sequence[Row]) -> None:
        for row in rows:
            for place, (cell, column) in enumerate(zip(row.cells, self._columns, strict=True)):
                self._write(place, cell, column, bold=row.total)
            self._row += 1

    def end(self) -> None:
        if self._rounded:
            self._row += 1
            self._text(0, LONG)
        self._book.close()

    def _write(self, place: int, cell: Cell, column: Column, *, bold: bool) -> None:
        match cell:
            case None:
                self._sheet.write_blank(self._row, place, None, self._format(column.kind, bold=bold))
            case Money():
                self._amount(place, cell, bold=bold)
            case date():
                at = datetime.combine(cell, time(), tzinfo=UTC).replace(
                    tzinfo=None
                )  # a spreadsheet has no zones
                self._sheet.write_datetime(self._row, place, at, self._format(DAY, bold=bold))
            case int():
                self._sheet.write_number(self._row, place, cell, self._format("count", bold=bold))
            case _:
                self._text(place, cell, bold=bold)

    def _amount(self, place: int, amount: Money, *, bold: bool) -> None:
        if len(str(abs(amount.minor))) > EXACT_DIGITS:
            self._rounded = True
            self._sheet.write_string(self._row, place, str(amount), self._format("long", bold=bold))
            return
        number = float(Decimal(amount.minor).scaleb(-decimals(amount.currency)))
        self._sheet.write_number(
            self._row, place, number, self._format(f"{AMOUNT} {amount.currency}", bold=bold)
        )

    def _text(self, place: int, text: str, *, bold: bool = False) -> None:
        """As text whatever it looks like, and marked so that it stays text when somebody edits it."""
        kind = "quoted" if harmless(text) != text else "text"
        self._sheet.write_string(self._row, place, text, self._format(kind, bold=bold))

    def _format(self, kind: str, *, bold: bool) -> Any:
        if (kind, bold) not in self._formats:
            self._formats[kind, bold] = self._book.add_format(_properties(kind) | {"bold": bold})
        return self._formats[kind, bold]


def _properties(kind: str) -> dict[str, Any]:
    """How cells of a kind look."""
    name, _, what = kind.partition(" ")
    match name:
        case "amount" if what:
            number = "#,##0." + "0" * decimals(what)
            return {"num_format": f"{number};[Red]-{number}"}
        case "day":
            return {"num_format": "yyyy-mm-dd", "align": "left"}
        case "head":
            return {"bottom": 1, "align": "right" if what in {AMOUNT, "count"} else "left"}
        case "long":
            return {"num_format": "@", "align": "right"}
        case "quoted":
            return {"quote_prefix": True}
        case _:
            return {}


WRITERS: Final[dict[str, type[JsonWriter | CsvWriter | XlsxWriter]]] = {
    JSON: JsonWriter,
    CSV: CsvWriter,
    XLSX: XlsxWriter,
}
