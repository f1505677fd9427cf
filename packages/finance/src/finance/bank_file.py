"""Reads what banks send: CSV with declared columns, OFX, camt.053. All of a file or nothing of it.

Sources: OFX 1.0.3 (SGML) and 2.x (XML), bank statement download; ISO 20022 camt.053.001, BankToCustomerStatement. A
line is money that was booked: positive came in, negative went out.
"""

import csv
import hashlib
import io
import re
from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime
from html import unescape
from typing import Final

import msgspec

from finance import markup
from finance.bank_refusal import BankFileMalformed, BankFileUntied
from finance.markup import Node
from finance.money import Money
from finance.refusal import AmountMalformed, CurrencyMismatch

LARGEST_BYTES: Final = 150_000
MOST_LINES: Final = 2_000
LONGEST_TEXT: Final = 500
DATE_FORMATS: Final = {
    "YYYY_MM_DD": "%Y-%m-%d",
    "DD_MM_YYYY": "%d-%m-%Y",
    "DD_SLASH_MM_SLASH_YYYY": "%d/%m/%Y",
    "MM_SLASH_DD_SLASH_YYYY": "%m/%d/%Y",
}
PARTED: Final = re.compile(
    r"([-+]?) *(\d{1,18}|\d{1,3}(?:(?P<sign>[, '\u00a0\u202f])\d{3})(?:(?P=sign)\d{3}){0,4}"
    r"|\d{1,2}(?:(?P<lakh>[, '\u00a0\u202f])\d{2})(?:(?P=lakh)\d{2}){0,5}(?P=lakh)\d{3})(\.\d{1,4})?",
    re.ASCII,
)
"""An amount as people write it: 1,234,567.00 or, in lakhs and crores, 12,34,567.00; parted by one and the same sign."""

OFX_AMOUNT: Final = re.compile(r"[-+]?\d{1,18}([.,]\d{1,4})?", re.ASCII)
"""OFX 1.0.3, 3.2.9.1: a point or a comma begins the fraction, and nothing parts thousands."""

CAMT_AMOUNT: Final = re.compile(r"\d{1,18}(\.\d{1,5})?", re.ASCII)
"""ActiveOrHistoricCurrencyAndAmount: a decimal of XML, never below zero; CdtDbtInd tells its side."""

NO_DELIMITERS: Final = '"\r\n\0'
OFX_TAG: Final = re.compile(r"<(/?)([A-Z0-9.]{1,32})>([^<\r\n]*)", re.ASCII)
AGGREGATES: Final = ("OFX", "STMTRS", "BANKTRANLIST", "STMTTRN", "LEDGERBAL")


class Columns(msgspec.Struct, frozen=True, kw_only=True):
    """The columns of a CSV file by their headings: a signed amount, or money out and money in apart."""

    booked_on: str
    date_format: str = "YYYY_MM_DD"
    amount: str | None = None
    money_out: str | None = None
    money_in: str | None = None
    reference: str | None = None
    text: str | None = None
    delimiter: str = ","
    decimal_comma: bool = False


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """`reference` is the bank's own, the same in every file that has the line; made of the line where there is none."""

    booked_on: date
    amount_minor: int
    reference: str
    text: str


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """What a file says. Balances are None where it does not tell them."""

    rows: tuple[Row, ...]
    opening_minor: int | None = None
    closing_minor: int | None = None
    closing_on: date | None = None


def read(kind: str, content: bytes, *, currency: str, columns: Columns | None = None) -> Statement:
    """The statement of a file of this kind: CSV, OFX or CAMT053.

    Raises:
        BankFileMalformed: it is too large, cut off, or not of this kind.
        BankFileUntied: its lines do not lead from its opening to its closing balance.
        CurrencyMismatch: it is of another currency.
    """
    if not 0 < len(content) <= LARGEST_BYTES:
        raise BankFileMalformed(f"Expected 1 to {LARGEST_BYTES} bytes, found {len(content)}.")
    match kind:
        case "CSV":
            found = _csv(_text(content), currency, columns)
        case "OFX":
            found = _ofx(_text(content), currency)
        case _:
            found = _camt(markup.parse(content), currency)
    return tied(found)


def tied(found: Statement) -> Statement:
    """The statement.

    Raises:
        BankFileUntied: opening balance and lines are not the closing balance.
        BankFileMalformed: it has no line, too many, or a reference twice.
    """
    if not 0 < len(found.rows) <= MOST_LINES:
        raise BankFileMalformed(f"Expected 1 to {MOST_LINES} lines, found {len(found.rows)}.")
    [(reference, times)] = Counter(row.reference for row in found.rows).most_common(1)
    if times > 1:
        raise BankFileMalformed(f"The reference '{reference}' is there {times} times.")
    if found.opening_minor is not None and found.closing_minor is not None:
        led_to = found.opening_minor + sum(row.amount_minor for row in found.rows)
        if led_to != found.closing_minor:
            raise BankFileUntied(f"They lead to {led_to}, the file says {found.closing_minor} minor units.")
    return found


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def _day(text: str, pattern: str, where: str) -> date:
    try:
        return datetime.strptime(text, pattern).date()  # noqa: DTZ007 - a day has no zone
    except ValueError:
        raise BankFileMalformed(f"{where}: expected a day such as {pattern}, found '{text[:20]}'.") from None


def _parted_minor(text: str, currency: str, where: str, *, decimal_comma: bool) -> int:
    """An amount that people may read, in minor units; thousands or lakhs may be parted, and then all of them."""
    plain = text.strip()
    if decimal_comma:
        plain = plain.translate(str.maketrans(",.", ".,"))
    if PARTED.fullmatch(plain) is None:
        raise BankFileMalformed(f"{where}: expected an amount, found '{text[:30]}'.")
    return _parsed(re.sub(r"[^-\d.]", "", plain), currency, where)


def _minor(text: str, pattern: re.Pattern[str], currency: str, where: str) -> int:
    """An amount that is written for programs, in minor units."""
    if pattern.fullmatch(text.strip()) is None:
        raise BankFileMalformed(f"{where}: expected an amount, found '{text[:30]}'.")
    return _parsed(text.strip().replace(",", ".").removeprefix("+"), currency, where)


def _parsed(plain: str, currency: str, where: str) -> int:
    try:
        return Money.parse(plain, currency).minor
    except AmountMalformed as error:
        raise BankFileMalformed(f"{where}: {error}") from None


def _row(booked_on: date, amount_minor: int, reference: str, text: str, seen: Counter[str]) -> Row:
    """A line; one without a reference is known by what it says, and by how many like it came before in the file."""
    told = " ".join(text.split())[:LONGEST_TEXT]
    if not reference:
        said = f"{booked_on}/{amount_minor}/{told}"
        seen[said] += 1
        reference = f"made-{hashlib.sha256(f'{said}/{seen[said]}'.encode()).hexdigest()[:32]}"
    if len(reference) > 100:
        raise BankFileMalformed(f"A reference has at most 100 characters, found '{reference[:110]}'.")
    return Row(booked_on=booked_on, amount_minor=amount_minor, reference=reference, text=told)


def _csv(text: str, currency: str, columns: Columns | None) -> Statement:
    if columns is None or (columns.amount is None) != (
        columns.money_in is not None and columns.money_out is not None
    ):
        raise BankFileMalformed("CSV needs its columns: an amount, or money out and money in.")
    if len(columns.delimiter) != 1 or columns.delimiter in NO_DELIMITERS:
        raise BankFileMalformed(f"Expected one character between columns, found '{columns.delimiter[:5]}'.")
    if not text.endswith("\n"):
        raise BankFileMalformed("The last line has no end: the file may be cut off.")
    rows, seen = [], Counter[str]()
    try:
        table = list(csv.reader(io.StringIO(text, newline=""), delimiter=columns.delimiter, strict=True))
    except csv.Error as error:
        raise BankFileMalformed(f"It is not whole CSV ({error}).") from None
    heading = [name.strip() for name in table[0]]
    wanted = (
        columns.booked_on,
        columns.amount,
        columns.money_out,
        columns.money_in,
        columns.reference,
        columns.text,
    )
    missing = [name for name in wanted if name is not None and heading.count(name) != 1]
    if missing:
        raise BankFileMalformed(f"Expected these headings once each: {', '.join(missing)[:200]}.")
    for number, cells in enumerate(table[1:], start=2):
        if not any(cells):
            continue
        if len(cells) != len(heading):
            raise BankFileMalformed(f"Line {number}: expected {len(heading)} columns, found {len(cells)}.")
        rows.append(
            _csv_row(dict(zip(heading, cells, strict=True)), currency, columns, f"Line {number}", seen)
        )
    return Statement(rows=tuple(rows))


def _csv_row(cells: dict[str, str], currency: str, columns: Columns, where: str, seen: Counter[str]) -> Row:
    def minor(name: str | None) -> int:
        text = cells[name] if name is not None else ""
        if not text.strip():
            return 0
        return _parted_minor(text, currency, where, decimal_comma=columns.decimal_comma)

    amount = (
        minor(columns.amount) if columns.amount else minor(columns.money_in) - abs(minor(columns.money_out))
    )
    if not amount:
        raise BankFileMalformed(f"{where}: there is no amount.")
    day = _day(cells[columns.booked_on].strip(), DATE_FORMATS[columns.date_format], where)
    reference = cells[columns.reference].strip() if columns.reference else ""
    return _row(day, amount, reference, cells[columns.text] if columns.text else "", seen)


def _same(found: str, currency: str) -> None:
    if found and found != currency:
        raise CurrencyMismatch(f"The file is in {found[:10]}, asked for was {currency}.")


def _ofx(text: str, currency: str) -> Statement:
    """OFX of either syntax: elements need no end in the older one, aggregates do in both."""
    counts: Counter[str] = Counter()
    inside, values = "", dict[str, str]()
    rows: list[Row] = []
    seen, top, balance = Counter[str](), dict[str, str](), dict[str, str]()
    for closing, tag, value in OFX_TAG.findall(text):
        if tag in AGGREGATES:
            counts[f"{closing}{tag}"] += 1
        if tag in {"STMTTRN", "LEDGERBAL"}:
            if closing and inside == "STMTTRN":
                rows.append(_ofx_row(values, currency, f"Transaction {len(rows) + 1}", seen))
            elif closing:
                balance = values
            inside, values = ("", {}) if closing else (tag, {})
        elif not closing and value.strip():
            (values if inside else top).setdefault(tag, value.strip())
    if not counts["OFX"] or any(counts[one] != counts[f"/{one}"] for one in AGGREGATES):
        raise BankFileMalformed("It is not whole OFX: something in it has no end.")
    if counts["STMTRS"] != 1:
        raise BankFileMalformed(f"Expected the statement of one bank account, found {counts['STMTRS']}.")
    _same(top.get("CURDEF", ""), currency)
    if not balance:
        return Statement(rows=tuple(rows))
    return Statement(
        rows=tuple(rows),
        closing_minor=_minor(balance.get("BALAMT", ""), OFX_AMOUNT, currency, "LEDGERBAL"),
        closing_on=_day(balance.get("DTASOF", "")[:8], "%Y%m%d", "LEDGERBAL"),
    )


def _ofx_row(values: dict[str, str], currency: str, where: str, seen: Counter[str]) -> Row:
    day = _day(values.get("DTPOSTED", "")[:8], "%Y%m%d", where)
    text = unescape(" ".join(values[name] for name in ("NAME", "MEMO", "CHECKNUM") if name in values))
    amount = _minor(values.get("TRNAMT", ""), OFX_AMOUNT, currency, where)
    return _row(day, amount, values.get("FITID", ""), text, seen)


def _camt(document: Node, currency: str) -> Statement:
    statements = document.all("BkToCstmrStmt/Stmt")
    if document.name != "Document" or len(statements) != 1:
        raise BankFileMalformed(f"Expected one statement of camt.053, found {len(statements)}.")
    [one] = statements
    _same(one.told("Acct/Ccy"), currency)
    seen = Counter[str]()
    rows = [_camt_row(entry, currency, f"Entry {n}", seen) for n, entry in enumerate(_booked(one), start=1)]
    opening, closing = (_camt_balance(one, codes, currency) for codes in (("OPBD", "PRCD"), ("CLBD",)))
    return Statement(
        rows=tuple(rows),
        opening_minor=opening and opening[0],
        closing_minor=closing and closing[0],
        closing_on=closing and closing[1],
    )


def _booked(statement: Node) -> Iterator[Node]:
    """Entries that are booked, as text or as a code: pending ones may still go."""
    for entry in statement.all("Ntry"):
        if (entry.told("Sts/Cd") or entry.told("Sts")) in {"BOOK", ""}:
            yield entry


def _camt_minor(node: Node, currency: str, where: str) -> int:
    amounts = node.all("Amt")
    if len(amounts) != 1:
        raise BankFileMalformed(f"{where}: expected one amount, found {len(amounts)}.")
    _same(amounts[0].attributes.get("Ccy", ""), currency)
    side = node.told("CdtDbtInd")
    if side not in {"CRDT", "DBIT"}:
        raise BankFileMalformed(f"{where}: expected CRDT or DBIT, found '{side[:10]}'.")
    minor = _minor(amounts[0].text, CAMT_AMOUNT, currency, where)
    return minor if side == "CRDT" else -minor


def _camt_balance(statement: Node, codes: tuple[str, ...], currency: str) -> tuple[int, date] | None:
    for one in statement.all("Bal"):
        if one.told("Tp/CdOrPrtry/Cd") in codes:
            day = (one.told("Dt/Dt") or one.told("Dt/DtTm"))[:10]
            return _camt_minor(one, currency, "Balance"), _day(day, "%Y-%m-%d", "Balance")
    return None


def _camt_row(entry: Node, currency: str, where: str, seen: Counter[str]) -> Row:
    day = _day((entry.told("BookgDt/Dt") or entry.told("BookgDt/DtTm"))[:10], "%Y-%m-%d", where)
    details = "NtryDtls/TxDtls"
    paths = (f"{details}/RmtInf/Ustrd", f"{details}/Refs/EndToEndId", "AddtlNtryInf")
    text = " ".join(one.text.strip() for path in paths for one in entry.all(path))
    reference = entry.told("AcctSvcrRef") or entry.told("NtryRef")
    return _row(day, _camt_minor(entry, currency, where), reference, text, seen)
