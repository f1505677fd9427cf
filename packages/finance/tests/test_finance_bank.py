"""What banks tell: read whole or not at all, never invented, and matched only with what is the same money."""

import asyncio
import base64
import time
from datetime import date
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from finance import bank_file, payment
from finance.bank_file import Columns, read
from finance.bank_refusal import (
    BankFileMalformed,
    BankFileUntied,
    BankLineContradicts,
    BankLineMatched,
    BankLineNotMatched,
    BankMatchUntied,
    PaymentMatched,
)
from finance.banking import Given
from finance.money import Money
from finance.refusal import CurrencyMismatch, NotFound, PaymentNotCompleted, Refused

Desk = Any
DAY = date(2026, 11, 23)
COLUMNS = Columns(booked_on="Date", amount="Amount", reference="Ref", text="Text")
CSV = "Date,Amount,Ref,Text\n2026-11-20,115.00,B-1,from Padma INV-7\n2026-11-21,-40.50,B-2,rent\n"
OFX = """OFXHEADER:100
DATA:OFXSGML
<OFX><BANKMSGSRSV1><STMTTRNRS><STMTRS><CURDEF>BDT<BANKACCTFROM><ACCTID>9</BANKACCTFROM>
<BANKTRANLIST><DTSTART>20261101
<STMTTRN><TRNTYPE>CREDIT<DTPOSTED>20261120120000[+6:BST]<TRNAMT>115.00<FITID>B-1<NAME>Padma<MEMO>INV-7</STMTTRN>
<STMTTRN><TRNTYPE>DEBIT<DTPOSTED>20261121<TRNAMT>-40.50<FITID>B-2<NAME>rent</STMTTRN>
</BANKTRANLIST><LEDGERBAL><BALAMT>174.50<DTASOF>20261121</LEDGERBAL></STMTRS></STMTTRNRS></BANKMSGSRSV1></OFX>
"""
CAMT = """<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt><Stmt><Acct><Ccy>BDT</Ccy></Acct>
<Bal><Tp><CdOrPrtry><Cd>OPBD</Cd></CdOrPrtry></Tp><Amt Ccy="BDT">100.00</Amt><CdtDbtInd>CRDT</CdtDbtInd>
<Dt><Dt>2026-11-01</Dt></Dt></Bal>
<Bal><Tp><CdOrPrtry><Cd>CLBD</Cd></CdOrPrtry></Tp><Amt Ccy="BDT">174.50</Amt><CdtDbtInd>CRDT</CdtDbtInd>
<Dt><Dt>2026-11-21</Dt></Dt></Bal>
<Ntry><Amt Ccy="BDT">115.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts><BookgDt><Dt>2026-11-20</Dt>
</BookgDt><AcctSvcrRef>B-1</AcctSvcrRef><NtryDtls><TxDtls><RmtInf><Ustrd>Padma INV-7</Ustrd></RmtInf></TxDtls>
</NtryDtls></Ntry>
<Ntry><Amt Ccy="BDT">40.50</Amt><CdtDbtInd>DBIT</CdtDbtInd><Sts>BOOK</Sts><BookgDt><Dt>2026-11-21</Dt></BookgDt>
<AcctSvcrRef>B-2</AcctSvcrRef><AddtlNtryInf>rent</AddtlNtryInf></Ntry>
<Ntry><Amt Ccy="BDT">9.00</Amt><CdtDbtInd>DBIT</CdtDbtInd><Sts>PDNG</Sts><BookgDt><Dt>2026-11-21</Dt></BookgDt></Ntry>
</Stmt></BkToCstmrStmt></Document>
"""
FILES = {"CSV": CSV, "OFX": OFX, "CAMT053": CAMT}


def key() -> str:
    return str(uuid4())


def read_text(kind: str, text: str, columns: Columns = COLUMNS) -> bank_file.Statement:
    return read(kind, text.encode(), currency="BDT", columns=columns)


@pytest.mark.parametrize("kind", FILES)
def test_three_kinds_of_files_say_the_same(kind: str) -> None:
    found = read_text(kind, FILES[kind])
    told = [(row.booked_on.isoformat(), row.amount_minor, row.reference) for row in found.rows]
    assert told == [("2026-11-20", 115_00, "B-1"), ("2026-11-21", -40_50, "B-2")]
    assert "INV-7" in found.rows[0].text
    if kind != "CSV":
        assert (found.closing_minor, found.closing_on) == (174_50, date(2026, 11, 21))


AMOUNTS = {
    "1234567.00": 1_234_567_00,
    "1,234,567.00": 1_234_567_00,
    "12,34,567.00": 1_234_567_00,
    "-1,23,45,678.90": -1_23_45_678_90,
    "+ 5": 5_00,
    "1 234.5": 1_234_50,
    "1\u00a0234.50": 1_234_50,
    "1'234.50": 1_234_50,
    "1,23,4567.00": None,
    "1,234 567.00": None,
    "1 2": None,
    "12,3.00": None,
    "5.00-": None,
    "(5.00)": None,
    "1e3": None,
    "٥": None,
}


@pytest.mark.parametrize("told", AMOUNTS)
def test_an_amount_in_csv_is_parted_in_thousands_or_lakhs_by_one_sign_or_refused(told: str) -> None:
    text = f'Date,Amount,Ref,Text\n2026-11-20,"{told}",B-1,rice\n'
    turned = f"Date;Amount;Ref;Text\n2026-11-20;{told.translate(str.maketrans(',.', '.,'))};B-1;rice\n"
    comma = msgspec.structs.replace(COLUMNS, delimiter=";", decimal_comma=True)
    for content, columns in ((text, COLUMNS), (turned, comma)):
        if AMOUNTS[told] is None:
            with pytest.raises(BankFileMalformed):
                read_text("CSV", content, columns)
        else:
            assert read_text("CSV", content, columns).rows[0].amount_minor == AMOUNTS[told]


def test_a_comma_in_ofx_begins_the_fraction_and_camt_has_none() -> None:
    """Read as thousands, 1,25 would be refused, and 1,250 a thousand times too much."""
    for told, minor in (("115,00", 115_00), ("1,25", 1_25), ("1,250", 1_25)):
        assert read_text("OFX", OFX.replace("115.00", told)).rows[0].amount_minor == minor
    for kind, told in (("OFX", "1,250.00"), ("OFX", "1,255"), ("CAMT053", "1,250"), ("CAMT053", "-115.00")):
        with pytest.raises(BankFileMalformed):
            read_text(kind, FILES[kind].replace("115.00", told))


def test_what_ofx_spells_out_is_read_and_its_letters_may_be_of_windows() -> None:
    told = OFX.replace("Padma", "Caf\xe9 &amp; Co &lt;1&gt;").encode("cp1252")
    assert read("OFX", told, currency="BDT").rows[0].text == "Caf\xe9 & Co <1> INV-7"


@pytest.mark.parametrize("delimiter", ['"', "\n", "\r", "\0", "", ",,"])
def test_what_cannot_part_columns_is_refused(delimiter: str) -> None:
    with pytest.raises(BankFileMalformed):
        read_text("CSV", CSV, msgspec.structs.replace(COLUMNS, delimiter=delimiter))


@pytest.mark.parametrize("kind", FILES)
def test_a_file_that_was_cut_off_anywhere_is_never_read_as_something_else(kind: str) -> None:
    text, whole = FILES[kind], read_text(kind, FILES[kind])
    refused = 0
    for length in range(len(text.rstrip()) - 1):
        try:
            found = read_text(kind, text[:length])
        except Refused:
            refused += 1
            continue
        assert kind == "CSV"  # cut behind a line, it is a shorter file: only the bank could tell
        assert found.rows == whole.rows[: len(found.rows)]
    assert refused >= len(text.rstrip()) - 3


def billion_laughs() -> str:
    inner = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    return f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a0 "ha">{inner}]><Document>&a9;</Document>'


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("CSV", ""),
        ("CSV", "Date,Amount\n2026-11-20,1\n"),
        ("CSV", "Date,Amount,Ref,Text\n"),
        ("CSV", CSV.replace("115.00", "1,15.00")),
        ("CSV", CSV.replace("115.00", "115.001")),
        ("CSV", CSV.replace("115.00", "NaN")),
        ("CSV", CSV.replace("115.00", "1e3")),
        ("CSV", CSV.replace("115.00", "")),
        ("CSV", CSV.replace("2026-11-20", "20.11.2026")),
        ("CSV", CSV.replace("B-2", "B-1")),
        ("CSV", CSV.replace("B-2", "B" * 101)),
        ("CSV", CSV.replace(",rent", "")),
        ("CSV", CSV + '2026-11-22,1.00,B-3,"open\n'),
        ("CSV", "Date,Amount,Ref,Text\n" + "".join(f"2026-11-20,1,B-{n},x\n" for n in range(2001))),
        ("CSV", "x" * 150_001),
        ("OFX", "hello"),
        ("OFX", OFX.replace("</STMTTRN>\n<STMTTRN>", "\n<STMTTRN>")),
        ("OFX", OFX.replace("<STMTRS>", "<STMTRS></STMTRS><STMTRS>")),
        ("CAMT053", billion_laughs()),
        ("CAMT053", '<!DOCTYPE x SYSTEM "file:///etc/passwd"><Document/>'),
        ("CAMT053", "<a>" * 10_000),
        ("CAMT053", CAMT.replace("Document", "Other")),
        ("CAMT053", CAMT.replace("UTF-8", "UTF-99")),
        ("CAMT053", CAMT.replace(">DBIT<", ">HUH<")),
    ],
)
def test_what_cannot_be_read_whole_is_refused_at_once(kind: str, text: str) -> None:
    begun = time.perf_counter()
    with pytest.raises(BankFileMalformed) as told:
        read_text(kind, text)
    assert told.value.code == "bank-file-malformed"
    assert time.perf_counter() - begun < 0.5


def test_lines_lead_from_the_opening_to_the_closing_balance() -> None:
    with pytest.raises(BankFileUntied) as told:
        read_text("CAMT053", CAMT.replace('"BDT">174.50', '"BDT">174.51'))
    assert told.value.code == "bank-file-untied"
    for kind in ("OFX", "CAMT053"):
        with pytest.raises(CurrencyMismatch):
            read(kind, FILES[kind].encode(), currency="EUR")


def test_columns_are_declared_and_thousands_parted_whole() -> None:
    text = "Tag;Soll;Haben\n23/11/2026;1.234,50;\n24/11/2026;;99,00\n"
    columns = Columns(
        booked_on="Tag", date_format="DD_SLASH_MM_SLASH_YYYY", money_out="Soll", money_in="Haben",
        delimiter=";", decimal_comma=True,
    )  # fmt: skip
    found = read_text("CSV", text, columns)
    assert [row.amount_minor for row in found.rows] == [-1234_50, 99_00]
    for bad in (Columns(booked_on="Tag"), Columns(booked_on="Tag", amount="Soll", delimiter=";;")):
        with pytest.raises(BankFileMalformed):
            read_text("CSV", text, bad)


def test_lines_without_a_reference_are_known_again_and_twins_are_two() -> None:
    columns = Columns(booked_on="Date", amount="Amount", text="Text")
    twins = "Date,Amount,Text\n2026-11-20,5,tea\n2026-11-20,5,tea\n"
    first, second = read_text("CSV", twins, columns).rows
    assert first.reference != second.reference
    assert read_text("CSV", twins + "2026-11-21,5,tea\n", columns).rows[:2] == (first, second)


# On a real ledger


def given(desk: Desk, text: str = CSV, kind: str = "CSV") -> Given:
    return Given(
        account_id=desk.account("1010"),
        currency="BDT",
        kind=kind,
        name="nov",
        content=text.encode(),
        columns=COLUMNS,
    )


async def take(desk: Desk, text: str = CSV, kind: str = "CSV") -> Any:
    return (await desk.books.banking.take(desk.caller, key(), given(desk, text, kind))).told


async def lines(desk: Desk) -> dict[str, Any]:
    query = "query ($id: ID!) { bankLines(accountId: $id) { id reference isMatched paymentIds amount { amount } } }"
    return {one["reference"]: one for one in await desk.asked(query, id=desk.account("1010"))}


@pytest.mark.integration
async def test_the_same_file_and_the_same_lines_are_imported_once(desk: Desk) -> None:
    first = await take(desk)
    assert (first.lines, first.known) == (2, 0)
    before = await desk.types()
    assert await take(desk) == first
    assert await desk.types() == before
    longer = await take(desk, CSV + "2026-11-22,7.00,B-3,tea\n")
    assert (longer.lines, longer.known) == (1, 2)
    other_kind = await take(desk, OFX, "OFX")
    assert (other_kind.lines, other_kind.known) == (0, 2)
    assert sorted(await lines(desk)) == ["B-1", "B-2", "B-3"]


@pytest.mark.integration
async def test_two_imports_at_once_are_one(desk: Desk) -> None:
    done = await asyncio.gather(*(take(desk) for _ in range(4)))
    assert len({one.file_id for one in done}) == 1
    assert (await desk.types())["bankline.imported"] == 2


@pytest.mark.integration
async def test_a_file_that_is_refused_writes_nothing(desk: Desk) -> None:
    await take(desk)
    before = await desk.types()
    with pytest.raises(BankLineContradicts) as told:
        await take(desk, "Date,Amount,Ref,Text\n2026-11-19,1.00,B-0,new\n2026-11-20,116.00,B-1,other\n")
    assert told.value.code == "bank-line-contradicts"
    with pytest.raises(BankFileMalformed):
        await take(desk, CSV[:-3])
    assert await desk.types() == before


async def payments(desk: Desk, *minors: int) -> list[str]:
    return [(await desk.paid(minor, customer_id=desk.customer)).id for minor in minors]


@pytest.mark.integration
async def test_a_match_ties_and_is_undone_whole(desk: Desk) -> None:
    await take(
        desk, "Date,Amount,Ref,Text\n2026-11-20,60.00,B-1,a\n2026-11-20,40.00,B-2,b\n2026-11-20,1.00,B-3,c\n"
    )
    found, banking = await lines(desk), desk.books.banking
    paid = await payments(desk, 30_00, 70_00, 1_00)
    both = (found["B-1"]["id"], found["B-2"]["id"])
    before = await desk.types()
    for bad_lines, bad_payments in (
        (both, (paid[0],)),
        (both, (paid[0], paid[1], paid[2])),
        ((both[0], both[0]), (paid[1],)),
        ((), (paid[0],)),
        (both, ()),
    ):
        with pytest.raises(BankMatchUntied) as told:
            await banking.match(desk.caller, key(), bad_lines, bad_payments)
        assert told.value.code == "bank-match-untied"
    assert await desk.types() == before
    done = await banking.match(desk.caller, key(), both, (paid[0], paid[1]))
    assert done.match.payment_ids == (paid[0], paid[1])
    assert (await desk.load("payment", paid[1])).status == "RECONCILED"
    with pytest.raises(BankLineMatched) as matched:
        await banking.match(desk.caller, key(), both, (paid[0], paid[1]))
    assert matched.value.code == "bank-line-matched"
    with pytest.raises(PaymentNotCompleted):
        await banking.match(desk.caller, key(), (found["B-3"]["id"], *await one_more(desk)), (paid[1],))
    with pytest.raises(PaymentMatched) as held:
        await desk.books.reverse_payment(desk.caller, key(), paid[0], reason="paid by mistake")
    assert held.value.code == "payment-matched"
    await banking.unmatch(desk.caller, key(), both[1], reason="the wrong payments")
    assert not (await lines(desk))["B-1"]["isMatched"]
    assert [(await desk.load("payment", one)).status for one in paid] == ["COMPLETED"] * 3
    with pytest.raises(BankLineNotMatched) as nothing:
        await banking.unmatch(desk.caller, key(), both[1], reason="the wrong payments")
    assert nothing.value.code == "bank-line-not-matched"
    assert (
        await desk.books.reverse_payment(desk.caller, key(), paid[0], reason="paid by mistake")
    ).status == "REVERSED"


async def one_more(desk: Desk) -> tuple[str]:
    await take(desk, "Date,Amount,Ref,Text\n2026-11-20,69.00,B-9,d\n")
    return ((await lines(desk))["B-9"]["id"],)


@pytest.mark.integration
async def test_a_payment_is_reconciled_with_a_line_that_the_bank_told_and_with_no_other(desk: Desk) -> None:
    await take(desk)
    [paid, less] = await payments(desk, 115_00, 114_99)
    for told in ("LINE-7", str(uuid4())):
        with pytest.raises(NotFound):
            await desk.books.reconcile_payment(desk.caller, key(), paid, told)
    with pytest.raises(BankMatchUntied):
        await desk.books.reconcile_payment(desk.caller, key(), less, "B-1")
    assert (await desk.books.reconcile_payment(desk.caller, key(), paid, "B-1")).status == "RECONCILED"
    assert (await lines(desk))["B-1"]["paymentIds"] == [paid]


@pytest.mark.integration
async def test_one_line_is_matched_once_by_whoever_is_first(desk: Desk) -> None:
    await take(desk)
    paid = await payments(desk, 115_00, 115_00)
    line = (await lines(desk))["B-1"]["id"]
    done = await asyncio.gather(
        *(desk.books.banking.match(desk.caller, key(), (line,), (one,)) for one in paid),
        return_exceptions=True,
    )
    assert sorted(type(one).__name__ for one in done) == ["BankLineMatched", "Bankline"]


def test_what_an_older_release_reconciled_is_reversed_as_before() -> None:
    old = payment.Payment(
        id="p", invoice_id="i", amount_minor=5, currency="BDT", payment_date=DAY,
        details=payment.Details(method="CASH"), status="RECONCILED",
    )  # fmt: skip
    command = payment.Reverse(reason="paid by mistake", reversing_journal_id="j")
    assert len(payment.decide(old, command)) == 1


@pytest.mark.integration
async def test_suggestions_tie_and_say_why(desk: Desk) -> None:
    one = await desk.books.create_payment(
        desk.caller,
        key(),
        payment.Create(
            payment_id="", customer_id=desk.customer, amount=Money(115_00, "BDT"), payment_date=DAY,
            details=payment.Details(method="BANK_TRANSFER"), reference="INV-7",
        ),
    )  # fmt: skip
    await desk.books.complete_payment(desk.caller, key(), one.id, transaction_reference="TRX-1")
    parts = await payments(desk, 100_00, 15_00, 14_00)
    await take(desk)
    query = """query ($id: ID!) { bankSuggestions(accountId: $id) { lineIds paymentIds score
        reasons { told points } } }"""
    best, second = await desk.asked(query, id=desk.account("1010"))
    assert (best["paymentIds"], best["score"]) == ([one.id], 50 + 14 + 25)
    assert sum(reason["points"] for reason in best["reasons"]) == best["score"]
    assert {reason["told"] for reason in best["reasons"]} > {
        "the amounts tie",
        "a reference stands in the text",
    }
    assert (sorted(second["paymentIds"]), second["score"]) == (sorted(parts[:2]), 50 + 14)


@pytest.mark.integration
async def test_books_and_bank_are_reconciled_by_what_is_not_matched(desk: Desk) -> None:
    opening = desk.sale(100_00)
    bank = msgspec.structs.replace(opening.lines[0], account_id=desk.account("1010"))
    opening = msgspec.structs.replace(opening, lines=(bank, opening.lines[1]))
    await desk.books.create_journal(desk.caller, key(), opening, post=True)
    paid = await payments(desk, 115_00, 33_00)
    await take(desk, CAMT, "CAMT053")
    await desk.books.reconcile_payment(desk.caller, key(), paid[0], "B-1")
    query = """query ($id: ID!, $day: Date!) { bankReconciliation(accountId: $id, asOf: $day) {
        bookBalance { amount } statementBalance { amount } statementOn unmatchedLines { reference }
        unmatchedLinesTotal { amount } unmatchedPayments { id } unmatchedPaymentsTotal { amount }
        expectedBalance { amount } difference { amount } } }"""
    found = await desk.asked(query, id=desk.account("1010"), day="2026-11-30")
    assert found["bookBalance"] == {"amount": "248.00"}
    assert (found["statementBalance"], found["statementOn"]) == ({"amount": "174.50"}, "2026-11-21")
    assert [one["reference"] for one in found["unmatchedLines"]] == ["B-2"]
    assert [one["id"] for one in found["unmatchedPayments"]] == [paid[1]]
    assert (found["unmatchedLinesTotal"], found["unmatchedPaymentsTotal"]) == (
        {"amount": "-40.50"},
        {"amount": "33.00"},
    )
    assert (found["expectedBalance"], found["difference"]) == ({"amount": "174.50"}, {"amount": "0.00"})
    before = await desk.asked(query, id=desk.account("1010"), day="2026-11-01")
    assert (before["statementBalance"], before["difference"]) == (None, None)


IMPORT = """mutation ($input: BankFileInput!, $key: ID!) { importBankFile(input: $input, idempotencyKey: $key) {
    ... on BankFile { newLines closingBalance { amount } } ... on Refusal { code } } }"""
MATCH = """mutation ($lines: [ID!]!, $payments: [ID!]!, $key: ID!) { matchBankLines(lineIds: $lines,
    paymentIds: $payments, idempotencyKey: $key) { ... on BankLine { isMatched } ... on Refusal { code } } }"""
UNMATCH = """mutation ($id: ID!, $key: ID!) { unmatchBankLine(id: $id, reason: "the wrong payment",
    idempotencyKey: $key) { ... on BankLine { isMatched version } ... on Refusal { code } } }"""


@pytest.mark.integration
async def test_files_are_imported_and_matched_over_graphql(desk: Desk) -> None:
    asked = {"accountId": desk.account("1010"), "kind": "CAMT053", "name": "nov.xml"}
    content = base64.b64encode(CAMT.encode()).decode()
    assert await desk.asked(IMPORT, input=asked | {"content": "?"}, key=key()) == {
        "code": "bank-file-malformed"
    }
    made = await desk.asked(IMPORT, input=asked | {"content": content}, key=key())
    assert made == {"newLines": 2, "closingBalance": {"amount": "174.50"}}
    columns = {"bookedOn": "Date", "amount": "Amount", "reference": "Ref"}
    again = asked | {"kind": "CSV", "content": base64.b64encode(CSV.encode()).decode(), "columns": columns}
    assert (await desk.asked(IMPORT, input=again, key=key()))["newLines"] == 0
    line, [paid] = (await lines(desk))["B-1"]["id"], await payments(desk, 115_00)
    assert await desk.asked(MATCH, lines=[line], payments=[paid], key=key()) == {"isMatched": True}
    assert await desk.asked(UNMATCH, id=line, key=key()) == {"isMatched": False, "version": 3}


@pytest.mark.integration
async def test_a_payment_is_on_the_bank_account_that_it_names_and_matched_there(desk: Desk) -> None:
    """A company has more banks than one. What older releases were told of an account was any text: it stays so."""
    second = await desk.books.create_account(
        desk.caller,
        key(),
        code="1011",
        name="Another bank",
        account_type="ASSET",
        currency="BDT",
        parent_id=None,
    )

    def asked(account_id: str) -> payment.Create:
        details = payment.Details(method="BANK_TRANSFER", bank_account_id=account_id)
        return payment.Create(
            payment_id="",
            amount=Money(60_00, "BDT"),
            payment_date=DAY,
            details=details,
            customer_id=desk.customer,
        )

    for wrong, code in (("the other one", "account-unknown"), (key(), "account-unknown")):
        with pytest.raises(Refused) as told:
            await desk.books.create_payment(desk.caller, key(), asked(wrong))
        assert told.value.code == code
    with pytest.raises(Refused) as told:
        await desk.books.create_payment(desk.caller, key(), asked(desk.account("4000")))
    assert told.value.code == "account-not-money"
    made = await desk.books.create_payment(desk.caller, key(), asked(second.id))
    await desk.books.complete_payment(desk.caller, key(), made.id, transaction_reference="TRX-1")
    assert await desk.balances() == {"1011": 60_00, "2300": -60_00}
    question = """query ($id: ID!) {
        bankReconciliation(accountId: $id, asOf: "2026-11-30") { unmatchedPayments { id } } }"""
    for account_id, there in ((second.id, [{"id": made.id}]), (desk.account("1010"), [])):
        found = await desk.asked(question, id=account_id)
        assert found["unmatchedPayments"] == there
    text = "Date,Amount,Ref,Text\n2026-11-23,60.00,B-1,a\n"
    file = {"currency": "BDT", "kind": "CSV", "name": "a.csv", "content": text.encode(), "columns": COLUMNS}
    for account_id in (desk.account("1010"), second.id):
        await desk.books.banking.take(desk.caller, key(), Given(account_id=account_id, **file))
    with pytest.raises(Refused) as told:
        await desk.books.banking.take(desk.caller, key(), Given(account_id=desk.account("4000"), **file))
    assert told.value.code == "account-not-money"
    line_ids = [
        (await desk.asked("query ($id: ID!) { bankLines(accountId: $id) { id } }", id=one))[0]["id"]
        for one in (desk.account("1010"), second.id)
    ]
    with pytest.raises(BankMatchUntied):
        await desk.books.banking.match(desk.caller, key(), (line_ids[0],), (made.id,))
    await desk.books.banking.match(desk.caller, key(), (line_ids[1],), (made.id,))
    assert (await desk.load("payment", made.id)).status == "RECONCILED"
