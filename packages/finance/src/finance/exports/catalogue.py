"""What can be exported, and how it is asked for: reports as tables, documents on paper.

A parameter has the name that the same report has for it in GraphQL.
"""

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from finance.ids import is_uuid
from finance.money import BASE, decimals
from finance.refusal import DateMalformed, ExportMalformed, ExportUnknown
from finance.settlement import PURCHASE, SALES

JSON, CSV, XLSX, PDF = "json", "csv", "xlsx", "pdf"
TABLES: Final = (JSON, CSV, XLSX)
MEDIA_TYPES: Final = {
    JSON: "application/json",
    CSV: "text/csv; charset=utf-8",
    XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    PDF: "application/pdf",
}
WRITTEN: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
DAYS: Final = frozenset({"from", "to", "asOf", "asOfDate", "knownOn"})
LONGEST: Final = 60
Given = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """`field` is the one of GraphQL that shows the same; who may not ask that, may not have this.

    `side` is whose partners it is of.
    """

    name: str
    title: str
    field: str
    needs: tuple[str, ...]
    may: tuple[str, ...] = ()
    formats: tuple[str, ...] = TABLES
    side: str | None = None


SPAN, DAY = ("from", "to"), ("asOf",)
EVERYTHING: Final = {
    one.name: one
    for one in (
        Export(
            name="trial-balance",
            title="Trial balance",
            field="trialBalance",
            needs=("fiscalYear",),
            may=("asOfDate", "knownOn", "currency"),
        ),
        Export(
            name="general-ledger",
            title="General ledger",
            field="generalLedger",
            needs=SPAN,
            may=("accountCode", "knownOn", "currency"),
        ),
        Export(
            name="profit-and-loss",
            title="Profit and loss",
            field="profitAndLoss",
            needs=SPAN,
            may=("knownOn",),
        ),
        Export(
            name="balance-sheet", title="Balance sheet", field="balanceSheet", needs=DAY, may=("knownOn",)
        ),
        Export(name="cash-flow", title="Cash flow", field="cashFlow", needs=SPAN, may=("knownOn",)),
        Export(
            name="receivables-ageing",
            title="Receivables by age",
            field="ageing",
            needs=DAY,
            may=("knownOn",),
            side=SALES,
        ),
        Export(
            name="payables-ageing",
            title="Payables by age",
            field="ageing",
            needs=DAY,
            may=("knownOn",),
            side=PURCHASE,
        ),
        Export(
            name="customer-statement",
            title="Statement of account",
            field="statement",
            needs=("partnerId", *SPAN),
            may=("knownOn", "currency"),
            formats=(*TABLES, PDF),
            side=SALES,
        ),
        Export(
            name="vendor-statement",
            title="Statement of account",
            field="statement",
            needs=("partnerId", *SPAN),
            may=("knownOn", "currency"),
            formats=(*TABLES, PDF),
            side=PURCHASE,
        ),
        Export(name="vat-summary", title="VAT summary", field="vatSummary", needs=SPAN, may=("knownOn",)),
        Export(
            name="bank-reconciliation",
            title="Bank reconciliation",
            field="bankReconciliation",
            needs=("accountCode", *DAY),
            may=("currency",),
            formats=(*TABLES, PDF),
        ),
        Export(
            name="currency-revaluation", title="Revaluation of currencies", field="revaluation", needs=DAY
        ),
        Export(name="number-gaps", title="Numbers and gaps", field="numberSeries", needs=("fiscalYear",)),
        Export(name="invoice", title="Invoice", field="invoice", needs=("id",), formats=(PDF,)),
        Export(name="credit-note", title="Credit note", field="voucher", needs=("id",), formats=(PDF,)),
        Export(name="debit-note", title="Debit note", field="voucher", needs=("id",), formats=(PDF,)),
    )
}


def find(name: str, file_format: str) -> Export:
    """The export of a name, in a format that it has.

    Raises:
        ExportUnknown: there is none, or not in this format.
    """
    found = EVERYTHING.get(name)
    if found is None:
        raise ExportUnknown(f"Expected one of {', '.join(EVERYTHING)}, found '{name[:LONGEST]}'.")
    if file_format not in found.formats:
        expected = ", ".join(found.formats)
        raise ExportUnknown(f"Expected {name} as one of {expected}, found '{file_format[:LONGEST]}'.")
    return found


def read(export: Export, asked: Iterable[tuple[str, str]]) -> Given:
    """The parameters of an export: days as days, and the currency of the books where none is said.

    Raises:
        ExportMalformed: one is missing, unknown or told twice, or cannot be what it should.
        DateMalformed: a day is none.
        CurrencyMismatch: no such currency.
    """
    given: Given = {}
    for name, text in asked:
        if name not in {*export.needs, *export.may}:
            expected = ", ".join((*export.needs, *export.may))
            raise ExportMalformed(f"Expected {expected}, found '{name[:LONGEST]}'.")
        if name in given:
            raise ExportMalformed(f"Found {name} twice.")
        given[name] = _value(name, text)
    missing = [name for name in export.needs if name not in given]
    if missing:
        raise ExportMalformed(f"Missing: {', '.join(missing)}.")
    if "currency" in export.may:
        given.setdefault("currency", BASE)
    return given


def _value(name: str, text: str) -> str | date:
    if name in DAYS:
        with suppress(ValueError):
            if WRITTEN.fullmatch(text):
                return date.fromisoformat(text)
        raise DateMalformed(f"{name}: expected a day such as 2026-11-23, found '{text[:LONGEST]}'.")
    if name == "currency":
        decimals(text[:LONGEST])
    if name in {"id", "partnerId"} and not is_uuid(text):
        raise ExportMalformed(f"{name}: expected an identifier, found '{text[:LONGEST]}'.")
    return text


def file_name(
    export: Export, given: Mapping[str, Any], file_format: str, *, called: str | None = None
) -> str:
    """Such as trial-balance-FY2026-2027.csv: letters, digits, dots, dashes, and nothing a person wrote."""
    parts = [called or export.name]
    if called is None:
        parts += [
            str(given[name])
            for name in ("fiscalYear", "accountCode", "from", "to", "asOf", "asOfDate", "currency")
            if name in given and given[name] != BASE
        ]
    safe = re.sub(r"[^A-Za-z0-9-]+", "-", "-".join(parts)).strip("-")[:100]
    return f"{safe}.{file_format}"
