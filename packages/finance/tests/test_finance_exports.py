"""Files of reports and documents: what is read again from them is what the report says."""

import csv
import io
import re
import zipfile
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pypdf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook

from finance import invoice, taxation
from finance.account import Account
from finance.exports import documents
from finance.exports.catalogue import EVERYTHING, Export, file_name, find, read
from finance.exports.files import FORMULA, LONG, WRITERS
from finance.exports.ledger import Pages
from finance.exports.making import MOST_PRINTED
from finance.exports.paper import grouped, letters, printable
from finance.exports.parties import Issuer, Partner
from finance.graphql.permission import NEEDED
from finance.inquiry import Statement
from finance.money import Money, plain
from finance.refusal import Refused
from finance.report import Balance, Movement, ledger
from finance.sheet import AMOUNT, COUNT, DAY, MOST_ROWS, MOST_SHEET_ROWS, Column, Fact, Head, Row, total

Desk = Any
Serving = Any
World = Any
TODAY = date(2026, 11, 23)
NOW = datetime(2026, 11, 26, 12, 30, tzinfo=UTC)
BENGALI = "পদ্মা ট্রেডার্স লিমিটেড"
COLUMNS = (
    Column(key="what", title="What"),
    Column(key="day", title="Day", kind=DAY),
    Column(key="count", title="Count", kind=COUNT),
    Column(key="amount", title="Amount", kind=AMOUNT),
    Column(key="note", title="Note"),
)
FACTS = (
    Fact(key="company", title="Company", value="=Padma"),
    Fact(key="madeAt", title="Made at", value=NOW),
)
HEAD = Head(name="trial-balance", title="Trial balance", facts=FACTS, columns=COLUMNS)
ABOVE = 1 + len(FACTS) + 1
"""Lines before the titles of the columns."""


def written(file_format: str, rows: list[Row], head: Head = HEAD) -> bytes:
    out = io.BytesIO()
    writer = WRITERS[file_format](out)
    writer.begin(head)
    for one in rows:
        writer.add([one])
    writer.end()
    return out.getvalue()


def lines_of(body: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(body.decode("utf-8-sig"), newline="")))


def cells_of(body: bytes) -> list[list[Any]]:
    return CalamineWorkbook.from_filelike(io.BytesIO(body)).get_sheet_by_index(0).to_python()


texts = st.one_of(
    st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1, max_size=12),
    st.builds(lambda sign, rest: sign + rest, st.sampled_from(FORMULA), st.text("ab1+()", max_size=5)),
    st.sampled_from([BENGALI, " =1+1", '"', ",;", "=HYPERLINK(1)"]),
)
rows_ = st.lists(
    st.builds(
        lambda what, day, count, minor, note: Row(cells=(what, day, count, Money(minor, "BDT"), note)),
        texts,
        st.dates(date(1901, 1, 1), date(2100, 1, 1)),
        st.integers(0, 10**6),
        st.integers(-(10**20), 10**20),
        texts,
    ),
    max_size=4,
)


@settings(max_examples=40, deadline=None)
@given(rows_)
def test_what_is_read_again_from_a_file_is_what_was_written(rows: list[Row]) -> None:
    told = orjson.loads(written("json", rows))
    lines = lines_of(written("csv", rows))[ABOVE + 1 :]
    cells = cells_of(written("xlsx", rows))[ABOVE + 1 :]
    assert len(told["rows"]) == len(lines) == len(rows)
    for number, row in enumerate(rows):
        what, day, count, amount, note = row.cells
        assert isinstance(amount, Money)
        assert [*told["rows"][number].values()] == [what, str(day), count, str(amount), note]
        assert lines[number][1:4] == [str(day), str(count), str(amount)]
        assert [one.removeprefix("'") if one != what else one for one in lines[number][:1]] == [what]
        assert lines[number][4] in {note, f"'{note}"}
        assert cells[number][:3] == [what, day, count]
        held = cells[number][3]
        if abs(amount.minor) >= 10**15:
            assert held == str(amount)
        else:
            assert isinstance(held, float)
            assert round(Decimal(repr(held)), 2) == Decimal(str(amount))
    long = any(abs(row.cells[3].minor) >= 10**15 for row in rows)  # type: ignore[union-attr]
    assert (LONG in str(cells)) is long


@settings(max_examples=40, deadline=None)
@given(rows_)
def test_no_text_of_a_person_is_a_formula_and_no_amount_is_a_text(rows: list[Row]) -> None:
    for line in lines_of(written("csv", rows)):
        for place, cell in enumerate(line):
            amount = place == 3 and re.fullmatch(r"-?\d+\.\d\d", cell) is not None
            assert amount or not cell.lstrip(" ").startswith(FORMULA)
    with zipfile.ZipFile(io.BytesIO(written("xlsx", rows))) as book:
        assert "<f>" not in book.read("xl/worksheets/sheet1.xml").decode()


def test_a_spreadsheet_shows_amounts_as_their_currency_has_them_and_quotes_what_looks_like_a_formula() -> (
    None
):
    cells = ("=1+1", TODAY, 3, Money(-123456, "EUR"), None)
    body = written("xlsx", [Row(cells=cells), total("Total", COLUMNS, amount=Money(5, "BDT"))])
    with zipfile.ZipFile(io.BytesIO(body)) as book:
        styles = book.read("xl/styles.xml").decode()
    assert "#,##0.00;[Red]-#,##0.00" in styles
    assert 'quotePrefix="1"' in styles
    assert cells_of(body)[ABOVE + 1][3] == -1234.56


@pytest.mark.parametrize("minor", [999_999_999_999_999, -999_999_999_999_999, 1, -10])
def test_up_to_fifteen_digits_are_a_number_and_more_are_text(minor: int) -> None:
    exact, long = Money(minor, "BDT"), Money(minor * 10**15 + 1, "BDT")
    cells = cells_of(written("xlsx", [Row(cells=("a", TODAY, 1, one, None)) for one in (exact, long)]))
    number, text = (cells[ABOVE + place][3] for place in (1, 2))
    assert isinstance(number, float)
    assert Decimal(repr(number)) == Decimal(str(exact))
    assert text == str(long)
    assert LONG in str(cells)


def test_totals_stand_apart_for_programs() -> None:
    told = orjson.loads(written("json", [total("Total", COLUMNS, amount=Money(7, "BDT"))]))
    assert told["rows"] == []
    assert told["totals"] == [{"title": "Total", "amount": "0.07"}]
    assert (told["report"], told["company"], told["madeAt"]) == (
        "trial-balance",
        "=Padma",
        "2026-11-26T12:30:00Z",
    )


# The general ledger, as it comes


def holding(code: str, minor: int) -> Balance:
    one = Account(id=f"id{code}", code=code, name=code, account_type="ASSET", currency="BDT")
    return Balance(account=one, debit_minor=max(minor, 0), credit_minor=max(-minor, 0))


def moved(code: str, minor: int) -> Movement:
    return Movement(
        account_id=f"id{code}",
        day=TODAY,
        debit_minor=max(minor, 0),
        credit_minor=max(-minor, 0),
        journal_id="j",
        number="GJ-1",
        description="d",
    )


CODES = ("1000", "1010", "2000", "3000")
minors = st.integers(-1000, 1000)


@given(
    st.tuples(*[minors | st.just(0)] * 4),
    st.tuples(*[st.lists(minors, max_size=3)] * 4),
    st.integers(1, 4),
)
def test_a_general_ledger_leads_from_what_was_held_to_what_is_held(
    opening: tuple[int, ...], moves: tuple[list[int], ...], batch: int
) -> None:
    pages = Pages([holding(code, minor) for code, minor in zip(CODES, opening, strict=True)], "BDT")
    all_moves = [moved(code, minor) for code, some in zip(CODES, moves, strict=True) for minor in some]
    rows = [row for at in range(0, len(all_moves), batch) for row in pages.add(all_moves[at : at + batch])]
    *rows, last = [*rows, *pages.end()]
    closings = {row.cells[0]: row.cells[8] for row in rows if row.cells[4] == "Closing balance"}
    openings = {row.cells[0]: row.cells[8] for row in rows if row.cells[4] == "Opening balance"}
    met = {code for code, held, some in zip(CODES, opening, moves, strict=True) if held or some}
    assert set(closings) == set(openings) == met
    for code, held, some in zip(CODES, opening, moves, strict=True):
        if code in met:
            assert closings[code] == Money(held + sum(some), "BDT")
            assert openings[code] == Money(held, "BDT")
    assert sum(row.cells[3] is not None for row in rows) == len(all_moves)
    everything = [minor for some in moves for minor in some]
    assert last.cells[6:9] == (
        Money(sum(max(one, 0) for one in everything), "BDT"),
        Money(sum(max(-one, 0) for one in everything), "BDT"),
        Money(sum(opening) + sum(everything), "BDT"),
    )


# How it is asked for

DOCS = Path(__file__).parents[3] / "docs" / "exports.md"


@pytest.mark.parametrize("name", EVERYTHING)
def test_an_export_stands_in_the_docs_with_all_it_takes(name: str) -> None:
    one = EVERYTHING[name]
    asked = ", ".join([*one.needs, *([f"[{', '.join(one.may)}]"] if one.may else [])])
    row = f"| `{name}` | {', '.join(one.formats)} | {asked} | {NEEDED[one.field]} |"
    assert row in DOCS.read_text().splitlines()


def test_the_docs_name_no_other_export_and_the_bounds_that_hold() -> None:
    text = DOCS.read_text()
    named = [row.split("`")[1] for row in text.splitlines() if re.match(r"\| `[a-z-]+` \| (json|pdf)", row)]
    assert named == list(EVERYTHING)
    assert f"{MOST_ROWS:,} rows" in text
    assert f"{MOST_SHEET_ROWS:,} of a spreadsheet" in text
    assert f"{MOST_PRINTED:,} movements on paper" in text


ID = "01930000-0000-7000-8000-000000000000"
FIT = {
    "fiscalYear": "FY2026-2027",
    "from": "2026-07-01",
    "to": "2026-11-30",
    "asOf": "2026-11-30",
    "accountCode": "1010",
    "partnerId": ID,
    "id": ID,
}


def fit(export: Export) -> list[tuple[str, str]]:
    return [(name, FIT[name]) for name in export.needs]


@pytest.mark.parametrize("name", EVERYTHING)
def test_an_export_is_asked_for_with_what_it_needs_and_shown_by_a_field_with_a_permission(name: str) -> None:
    export = EVERYTHING[name]
    assert export.field in NEEDED
    given_ = read(export, fit(export))
    assert set(export.needs) <= set(given_)
    for missing in export.needs:
        with pytest.raises(Refused, match="parameters of its report"):
            read(export, [one for one in fit(export) if one[0] != missing])


@pytest.mark.parametrize(
    ("name", "changes", "code"),
    [
        ("trial-balance", [("colour", "red")], "export-malformed"),
        ("trial-balance", [("fiscalYear", "FY2026-2027")], "export-malformed"),
        ("trial-balance", [("currency", "XYZ")], "currency-mismatch"),
        ("trial-balance", [("asOfDate", "2026-02-30")], "date-malformed"),
        ("trial-balance", [("asOfDate", "20261123")], "date-malformed"),
        ("trial-balance", [("knownOn", "yesterday")], "date-malformed"),
        ("trial-balance", [("knownOn", "")], "date-malformed"),
        ("customer-statement", [("currency", "BDT"), ("partnerId", "'; --")], "export-malformed"),
    ],
)
def test_what_cannot_be_understood_is_refused(name: str, changes: list[tuple[str, str]], code: str) -> None:
    export = EVERYTHING[name]
    named = [one for one in fit(export) if one[0] not in {name for name, _ in changes} or one in changes]
    with pytest.raises(Refused) as refused:
        read(export, [*named, *changes])
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("name", "file_format"),
    [("nothing", "csv"), ("trial-balance", "pdf"), ("invoice", "csv"), ("invoice", "PDF")],
)
def test_what_is_not_there_is_told_apart(name: str, file_format: str) -> None:
    with pytest.raises(Refused) as refused:
        find(name, file_format)
    assert refused.value.code == "export-unknown"


@given(st.text(max_size=300))
def test_a_file_has_a_name_that_no_header_and_no_folder_takes_amiss(called: str) -> None:
    for named in (
        file_name(EVERYTHING["general-ledger"], {"accountCode": called}, "csv"),
        file_name(EVERYTHING["invoice"], {}, "pdf", called=called),
    ):
        assert re.fullmatch(r"[A-Za-z0-9-]{0,100}\.(csv|pdf)", named)


# On paper


@given(st.integers(-(10**15), 10**15), st.sampled_from(["BDT", "EUR"]))
def test_grouping_changes_no_figure(minor: int, currency: str) -> None:
    assert grouped(Money(minor, currency)).replace(",", "") == plain(minor, currency)


def test_taka_are_grouped_in_lakhs_and_crores_and_others_in_thousands() -> None:
    assert grouped(Money(1234567890, "BDT")) == "1,23,45,678.90"
    assert grouped(Money(-1234567890, "EUR")) == "-12,345,678.90"
    assert grouped(Money(-5, "BDT")) == "-0.05"


def test_a_letter_that_no_font_has_is_told_by_its_number() -> None:
    assert printable(f"{BENGALI} Łódź €৳") == f"{BENGALI} Łódź €৳"
    assert printable("日 a\nb\x00") == "[U+65E5] a b[U+0000]"
    assert set(BENGALI) <= letters()


def texts_of(body: bytes) -> list[str]:
    return [page.extract_text() for page in pypdf.PdfReader(io.BytesIO(body)).pages]


def invoice_of(lines: int, **changes: Any) -> invoice.Invoice:
    vat = taxation.Levy(code="VAT-15", kind="VAT", percent=Decimal(15), on_duty=True)
    made = tuple(
        invoice.Line(
            description=f"Rice {number}",
            quantity=Decimal(10),
            unit_price_minor=123456,
            amount_minor=1234560,
            vat_category="STANDARD",
            vat_percent=Decimal(15),
            vat_minor=185184,
            tax_codes=("VAT-15",),
            taxes=(taxation.LineTax(levy=vat, tax_minor=185184),),
        )
        for number in range(lines)
    )
    terms = invoice.Terms(customer_id="c", invoice_date=TODAY, due_date=TODAY, lines=made)
    standard = {
        "number": "INV-2026-11-23-000042",
        "journal_id": "j",
        "tax_number": "MUSHAK-6.3-2026-11-000042",
    }
    return invoice.Invoice(id="i", currency="BDT", terms=terms, **(standard | changes))


ISSUER = Issuer(name=BENGALI, address="Dhaka", bin="1234567890123", tin="123456789012", tax_form="Mushak-6.3")
CUSTOMER = Partner(id="c", name="日 Mills", bin="9876543210987")


def test_an_invoice_on_paper_says_what_the_books_say_on_every_page() -> None:
    state = invoice_of(60, paid_minor=100_00)
    body = documents.invoice_on_paper(ISSUER, CUSTOMER, state, NOW, by="rahim")
    pages = texts_of(body)
    assert len(pages) == 3
    for number, text in enumerate(pages, start=1):
        assert f"Page {number} of 3" in text
        assert "Tax invoice INV-2026-11-23-000042" in text
    assert all("Unit price" in " ".join(text.split()) for text in pages[:2]), (
        "titles of columns stand on every page of the table"
    )
    whole = "\n".join(pages)
    for said in ("MUSHAK-6.3-2026-11-000042", "BIN 1234567890123", "BIN 9876543210987", "[U+65E5] Mills"):
        assert said in whole
    assert whole.count("12,345.60") == 60
    for minor in (state.subtotal_minor, state.vat_minor, state.total_minor, state.open_minor):
        assert f"{grouped(Money(minor, 'BDT'))} BDT" in whole
    assert "Unicode numbers" in whole
    about = pypdf.PdfReader(io.BytesIO(body)).metadata
    assert about is not None
    assert (about.creator, about.author, about.creation_date) == ("rahim", BENGALI, NOW)
    assert BENGALI.replace(" ", "") in re.sub(r"\s", "", whole)


def test_every_font_is_in_the_file() -> None:
    reader = pypdf.PdfReader(
        io.BytesIO(documents.invoice_on_paper(ISSUER, CUSTOMER, invoice_of(1), NOW, by="rahim"))
    )
    fonts = reader.pages[0]["/Resources"]["/Font"].values()  # type: ignore[index]
    found = [font.get_object()["/DescendantFonts"][0].get_object() for font in fonts]
    names = {str(font["/BaseFont"]).partition("+")[2] for font in found}
    assert any(name.startswith("Lato") for name in names)
    assert any(name.startswith("HindSiliguri") for name in names)
    assert all("/FontFile2" in font["/FontDescriptor"] for font in found)


def test_a_draft_and_a_cancelled_invoice_say_that_they_bind_nobody() -> None:
    draft = invoice_of(1, number=None, journal_id=None, tax_number=None)
    [text] = texts_of(documents.invoice_on_paper(ISSUER, CUSTOMER, draft, NOW, by="rahim"))
    assert documents.UNMADE in text
    assert "Balance due" not in text
    [text] = texts_of(
        documents.invoice_on_paper(ISSUER, CUSTOMER, invoice_of(1, cancelled=True), NOW, by="rahim")
    )
    assert documents.UNDONE in text
    assert "Balance due" not in text


def test_no_figure_is_broken_over_two_lines_however_large() -> None:
    line = replace_line(invoice_of(1), amount_minor=10**17, unit_price_minor=10**16)
    [text] = texts_of(documents.invoice_on_paper(ISSUER, CUSTOMER, line, NOW, by="rahim"))
    assert "1,00,00,00,00,00,00,000.00" in text


def replace_line(state: invoice.Invoice, **changes: Any) -> invoice.Invoice:
    lines = tuple(msgspec.structs.replace(one, **changes) for one in state.terms.lines)
    return msgspec.structs.replace(state, terms=msgspec.structs.replace(state.terms, lines=lines))


odd = st.one_of(
    st.text(max_size=60),
    st.text(alphabet="অআকখগঘঙচছজঝক্ষ্রিীুূেৈোৌ ং়ঃ", max_size=30),
    st.sampled_from(["W" * 300, "مرحبا \u200d👍🏽", "", " "]),
)


@settings(max_examples=5, deadline=None)
@given(odd, odd, st.integers(0, 10**17))
def test_whatever_somebody_wrote_is_printed(told: str, name: str, minor: int) -> None:
    state = replace_line(invoice_of(1), description=told, amount_minor=minor)
    issuer, partner = replace(ISSUER, address=name), Partner(id="c", name=told, bin=name)
    text = "".join(texts_of(documents.invoice_on_paper(issuer, partner, state, NOW, by="rahim")))
    assert grouped(Money(minor, "BDT")) in text


def test_a_statement_on_paper_leads_from_its_opening_to_its_closing_balance() -> None:
    moves = [moved("1000", minor) for minor in (500_00, -200_00, 123_45)]
    found = Statement(sign=1, opening_minor=10_00, steps=ledger(10_00, moves))
    given_ = {"from": TODAY, "to": TODAY + timedelta(days=7), "currency": "BDT"}
    facts = (
        Fact(key="knownOn", title="As known on", value=TODAY),
        Fact(key="madeAt", title="Made at", value=NOW),
        Fact(key="madeBy", title="Made by", value="rahim"),
    )
    [text] = texts_of(
        documents.statement_on_paper(ISSUER, CUSTOMER, found, given_, facts, title="Statement of account")
    )
    for said in (
        "10.00",
        "510.00",
        "310.00",
        "433.45",
        "623.45",
        "made 2026-11-26T12:30:00Z by rahim",
        "2026-11-30",
    ):
        assert said in text
