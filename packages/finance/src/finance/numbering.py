"""Numbers of documents: how they are written and read, and which events carry one.

A number is drawn when a document becomes binding and never before: approved, posted, completed. It counts from 1
without a gap per company, series and fiscal year. It is not the document's id and says nothing that an id does.
"""

import re
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from finance import fiscal, invoice, journal, payment, voucher

WRITTEN: Final = re.compile(r"([A-Z]{2,4})-(\d{4}-\d{2}(?:-\d{2})?)-(\d{6,9})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A number in its series; `sequence` counts from 1 within the fiscal year."""

    series: str
    fiscal_year: str
    sequence: int


def of_document(series: str, day: date, sequence: int) -> str:
    """INV-2026-11-23-000042."""
    return f"{series}-{day.isoformat()}-{sequence:06d}"


def of_entry(journal_type: str, day: date, sequence: int) -> str:
    """GJ-2026-11-000042."""
    return f"{journal.PREFIXES[journal_type]}-{day.isoformat()[:7]}-{sequence:06d}"


def read(number: str, day: date | None = None) -> Drawn:
    """Read a number; `day` is the document's where the number has only its month.

    Raises:
        ValueError: it is not written like one.
    """
    found = WRITTEN.fullmatch(number)
    if found is None:
        raise ValueError(f"expected a number like INV-2026-11-23-000042, found '{number[:40]}'")
    series, written, sequence = found.groups()
    return Drawn(
        series=series,
        fiscal_year=fiscal.year(day or date.fromisoformat(written)),
        sequence=int(sequence),
    )


def carried(event: Any) -> list[tuple[str, date | None]]:
    """The numbers that an event gives to its document, each with the day to read it with; mostly none."""
    match event:
        case journal.Posted(number=number, journal_date=day):
            return [(number, day)]
        case invoice.Approved(number=number, tax_number=tax_number):
            return [(one, None) for one in (number, tax_number) if one is not None]
        case voucher.Approved(number=number):
            return [(number, None)]
        case payment.Created(number=str(number), payment_date=day):  # drawn at creation until 1.1.0
            return [(number, day)]
        case payment.Completed(number=str(number)):
            return [(number, None)]
        case _:
            return []
