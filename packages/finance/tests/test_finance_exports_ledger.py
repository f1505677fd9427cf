"""Exports of a real ledger: every file of every report ties to what GraphQL says, and the door lets nobody else in."""

import csv
import io
import socket
import urllib.request
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.error import HTTPError
from uuid import uuid4

import orjson
import pypdf
import pytest
from click.testing import CliRunner
from python_calamine import CalamineWorkbook
from test_finance_bank import CAMT

from finance import policy
from finance.adapters.postgres.views import Window
from finance.banking import Given
from finance.cli import commands
from finance.download import NotFetched, NotGiven
from finance.download import fetch as fetch_file
from finance.exports import route
from finance.exports.catalogue import EVERYTHING, PDF, find, read
from finance.exports.making import make
from finance.graphql.context import Context
from finance.graphql.permission import EXPORT, NEEDED
from finance.refusal import Refused

pytestmark = pytest.mark.integration
Desk = Any
Serving = Any
World = Any
TODAY = date(2026, 11, 23)
ASKED = {
    "fiscalYear": "FY2026-2027",
    "from": "2026-11-01",
    "to": "2026-11-30",
    "asOf": "2026-11-30",
}
TRIAL = """query ($input: TrialBalanceInput!) { trialBalance(input: $input) {
    entries { accountCode debitBalance { amount } creditBalance { amount } }
    summary { totalDebits { amount } totalCredits { amount } } } }"""
PROFIT = """query ($input: ProfitAndLossInput!) { profitAndLoss(input: $input) { profit { amount }
    revenue { total { amount } } expenses { total { amount } } } }"""
SHEET = """query ($input: BalanceSheetInput!) { balanceSheet(input: $input) {
    assets { total { amount } } liabilitiesAndEquity { amount } } }"""
CASH = """query ($input: CashFlowInput!) { cashFlow(input: $input) { openingBalance { amount }
    closingBalance { amount } activities { total { amount } } } }"""
AGEING = """query ($input: AgeingInput!) { ageing(input: $input) { control { amount } totals { total { amount } } } }"""
STATEMENT = """query ($input: StatementInput!) { statement(input: $input) { closingBalance { amount }
    movements { journalNumber balance { amount } } } }"""
BANKED = """query ($id: ID!, $day: Date!) { bankReconciliation(accountId: $id, asOf: $day) {
    bookBalance { amount } unmatchedPaymentsTotal { amount } unmatchedLinesTotal { amount } expectedBalance { amount }
    statementBalance { amount } statementOn difference { amount } } }"""
RETURN = """query ($input: VatSummaryInput!) { vatSummary(input: $input) { outputTax { amount }
    inputTax { amount } due { amount } } }"""


def key() -> str:
    return str(uuid4())


async def context_of(desk: Desk) -> Context:
    """A request of somebody who may have everything, as a file too, on read models made anew."""
    context: Context = await desk.context()
    allowed = context.caller.permissions | {EXPORT}
    return replace(context, caller=replace(context.caller, permissions=allowed))


async def body_of(context: Context, name: str, file_format: str, **asked: str) -> bytes:
    export = find(name, file_format)
    made = await make(export, file_format, read(export, asked.items()), context)
    with made.file as file:
        return file.read()


async def traded(desk: Desk) -> Any:
    """A month: sales with VAT, a part of one paid, a bill, a note, an entry of long ago. Returns a paid invoice."""
    sold = await desk.invoice_approved(1_000_00)
    await desk.invoice_approved(77_77, day=TODAY - timedelta(days=10))
    await desk.payment_completed(sold.id, 400_00)
    await desk.voucher_approved("BILL", 123_45)
    note = await desk.voucher_approved("CREDIT_NOTE", 10_00, corrects_id=sold.id)
    await desk.allocated(note, sold, 11_50)
    await desk.paid(500_00, customer_id=desk.customer)
    await desk.books.create_journal(desk.caller, key(), desk.sale(33_33, date(2026, 8, 3)), post=True)
    return sold


def totals(body: bytes) -> dict[str, dict[str, str]]:
    return {one.pop("title"): one for one in orjson.loads(body)["totals"]}


def read_csv(body: bytes) -> list[list[str]]:
    """The lines after the empty one: titles, rows, totals."""
    lines = list(csv.reader(io.StringIO(body.decode("utf-8-sig"), newline="")))
    return lines[lines.index([]) + 1 :]


def read_xlsx(body: bytes) -> list[list[str]]:
    """As `read_csv`, with amounts as they would be there."""
    cells = CalamineWorkbook.from_filelike(io.BytesIO(body)).get_sheet_by_index(0).to_python()
    empty = next(number for number, line in enumerate(cells) if not any(line))
    return [[_as_text(cell, number) for number, cell in enumerate(line)] for line in cells[empty + 1 :]]


def _as_text(cell: Any, _: int) -> str:
    if isinstance(cell, float):
        return format(round(Decimal(repr(cell)), 2), "f")
    return str(cell)


async def test_every_file_of_every_report_ties_to_what_graphql_says(desk: Desk) -> None:
    await traded(desk)
    context = await context_of(desk)

    async def told(name: str, **more: str) -> dict[str, dict[str, str]]:
        asked = {one: ASKED[one] for one in EVERYTHING[name].needs if one in ASKED} | more
        body = await body_of(context, name, "json", **asked)
        about = orjson.loads(body)
        assert about["company"] == "Padma Traders"
        assert (about["madeBy"], about["madeAt"]) == ("rahim", "2026-11-23T08:00:00Z")
        assert about["knownOn"] == "2026-11-23T08:00:00Z"
        lines = read_csv(await body_of(context, name, "csv", **asked))
        cells = read_xlsx(await body_of(context, name, "xlsx", **asked))
        assert len(lines) == 1 + len(about["rows"]) + len(about["totals"])
        counts = {place for place, one in enumerate(about["columns"]) if one["kind"] == "count"}
        for line, sheet in zip(lines, cells, strict=True):
            for place, (one, other) in enumerate(zip(line, sheet, strict=True)):
                assert one.removeprefix("'") == (other.removesuffix(".00") if place in counts else other)
        return totals(body)

    trial = await desk.asked(TRIAL, input={"fiscalYear": ASKED["fiscalYear"]})
    assert await told("trial-balance") == {
        "Total": {
            "debit": trial["summary"]["totalDebits"]["amount"],
            "credit": trial["summary"]["totalCredits"]["amount"],
            "currency": "BDT",
        }
    }
    span = {"from": ASKED["from"], "to": ASKED["to"]}
    profit = await desk.asked(PROFIT, input=span)
    found = await told("profit-and-loss")
    assert found["Profit"]["amount"] == profit["profit"]["amount"] != "0.00"
    assert found["Total revenue"]["amount"] == profit["revenue"]["total"]["amount"]
    sheet = await desk.asked(SHEET, input={"asOf": ASKED["asOf"]})
    found = await told("balance-sheet")
    assert found["Total assets"]["amount"] == sheet["assets"]["total"]["amount"]
    assert found["Liabilities and equity"]["amount"] == sheet["liabilitiesAndEquity"]["amount"]
    cash = await desk.asked(CASH, input=span)
    found = await told("cash-flow")
    assert found["Cash at the end"]["amount"] == cash["closingBalance"]["amount"] == "933.33"
    assert found["Total operating"]["amount"] == cash["activities"][0]["total"]["amount"]
    for name, side in (("receivables-ageing", "SALES"), ("payables-ageing", "PURCHASE")):
        ages = await desk.asked(AGEING, input={"asOf": ASKED["asOf"], "side": side})
        found = await told(name)
        assert found["Total"]["total"] == found["Control accounts"]["total"] == ages["control"]["amount"]
    for name, side, who in (
        ("customer-statement", "SALES", desk.customer),
        ("vendor-statement", "PURCHASE", desk.vendor),
    ):
        told_ = await desk.asked(STATEMENT, input={**span, "side": side, "partnerId": who})
        found = await told(name, partnerId=who)
        assert found["Closing balance"]["balance"] == told_["closingBalance"]["amount"] != "0.00"
    taxes = await desk.asked(RETURN, input=span)
    found = await told("vat-summary")
    assert [found[one]["tax"] for one in ("Output tax", "Input tax", "Due")] == [
        taxes[one]["amount"] for one in ("outputTax", "inputTax", "due")
    ]
    found = await told("general-ledger")
    assert found["Total"]["debit"] == found["Total"]["credit"] != "0.00"
    assert found["Total"]["balance"] == "0.00"
    assert (await told("number-gaps"))["Total"]["missing"] == "0 missing"


async def test_a_general_ledger_of_one_account_is_that_account_and_one_that_is_not_there_is_refused(
    desk: Desk,
) -> None:
    await traded(desk)
    context = await context_of(desk)
    span = {"from": "2026-11-01", "to": "2026-11-30"}
    about = orjson.loads(await body_of(context, "general-ledger", "json", accountCode="1000", **span))
    assert {row["accountCode"] for row in about["rows"]} == {"1000"}
    assert [row["description"] for row in about["rows"]] == ["Opening balance", "Closing balance"]
    assert about["totals"][0]["balance"] == "33.33"
    with pytest.raises(Refused) as refused:
        await body_of(context, "general-ledger", "csv", accountCode="9999", **span)
    assert refused.value.code == "account-unknown"


async def test_a_bank_reconciliation_lists_what_is_matched_with_nothing_and_leads_to_what_the_bank_said(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await traded(desk)
    context, asked = await context_of(desk), {"accountCode": "1010", "asOf": "2026-11-30"}
    quiet = totals(await body_of(context, "bank-reconciliation", "json", **asked))
    assert "The bank has told no balance until this day" in quiet
    assert "Difference" not in quiet
    told = Given(
        account_id=desk.account("1010"), currency="BDT", kind="CAMT053", name="n", content=CAMT.encode()
    )
    await desk.books.banking.take(desk.caller, key(), told)
    known = await desk.paid(115_00, customer_id=desk.customer)
    await desk.books.reconcile_payment(desk.caller, key(), known.id, "B-1")
    context = await context_of(desk)
    body = await body_of(context, "bank-reconciliation", "json", **asked)
    rows = [(one["what"], one["date"], one["amount"]) for one in orjson.loads(body)["rows"]]
    assert rows == [
        ("Payment, not at the bank", "2026-11-23", "400.00"),
        ("Payment, not at the bank", "2026-11-23", "500.00"),
        ("Line, not in the books", "2026-11-21", "-40.50"),
    ]
    found = {title: one["amount"] for title, one in totals(body).items()}
    told_ = await desk.asked(BANKED, id=desk.account("1010"), day=asked["asOf"])
    assert [*found.values()] == [
        told_["bookBalance"]["amount"],
        "-" + told_["unmatchedPaymentsTotal"]["amount"],
        told_["unmatchedLinesTotal"]["amount"],
        told_["expectedBalance"]["amount"],
        told_["statementBalance"]["amount"],
        told_["difference"]["amount"],
    ]
    assert [*found.values()] == ["1015.00", "-900.00", "-40.50", "74.50", "174.50", "100.00"]
    assert totals(body)["What the bank said it holds"]["date"] == told_["statementOn"]
    lines = read_csv(await body_of(context, "bank-reconciliation", "csv", **asked))
    cells = read_xlsx(await body_of(context, "bank-reconciliation", "xlsx", **asked))
    assert [[one.removeprefix("'") for one in line] for line in lines] == cells
    assert [line[0] for line in lines[1:5]] == [next(iter(found)), *(row[0] for row in rows[:2]), [*found][1]]
    pages = pypdf.PdfReader(io.BytesIO(await body_of(context, "bank-reconciliation", PDF, **asked))).pages
    text = pages[0].extract_text()
    assert len(pages) == 1
    assert all(
        amount in text for amount in ("400.00", "-900.00", "1,015.00", "174.50", "100.00", "2026-11-21")
    )
    with pytest.raises(Refused) as refused:
        await body_of(context, "bank-reconciliation", "csv", accountCode="9999", asOf="2026-11-30")
    assert refused.value.code == "account-unknown"
    for bound, file_format in (("MOST_ROWS", "csv"), ("MOST_PRINTED", PDF)):
        monkeypatch.setattr(f"finance.exports.making.{bound}", 7)
        with pytest.raises(Refused) as refused:
            await body_of(context, "bank-reconciliation", file_format, **asked)
        assert refused.value.code == "report-too-large"


async def test_what_was_posted_later_is_not_in_a_file_as_known_before(desk: Desk) -> None:
    await traded(desk)
    desk.clock.instant = datetime(2026, 12, 2, 12, tzinfo=UTC)
    await desk.books.create_journal(desk.caller, key(), desk.sale(999_00), post=True)
    context = await context_of(desk)
    asked = {"from": "2026-11-01", "to": "2026-11-30", "accountCode": "1000"}
    now = totals(await body_of(context, "general-ledger", "json", **asked))
    then = totals(await body_of(context, "general-ledger", "json", knownOn="2026-11-30", **asked))
    assert (now["Total"]["balance"], then["Total"]["balance"]) == ("1032.33", "33.33")


async def test_a_report_is_of_one_instant_whatever_is_posted_meanwhile(desk: Desk) -> None:
    await traded(desk)
    views = (await context_of(desk)).service.views
    tenant, window = desk.ledger.tenant, Window(last=TODAY)
    async with views.still(tenant) as now:
        before = await now.balances(tenant, currency="BDT", window=window)
        await desk.books.create_journal(desk.caller, key(), desk.sale(5_00), post=True)
        await desk.ledger.replayed()
        assert await now.balances(tenant, currency="BDT", window=window) == before
    assert await views.balances(tenant, currency="BDT", window=window) != before


async def test_a_ledger_that_comes_in_many_parts_is_the_same(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await traded(desk)
    context, span = await context_of(desk), {"from": "2026-07-01", "to": "2026-11-30"}
    whole = await body_of(context, "general-ledger", "csv", **span)
    monkeypatch.setattr("finance.adapters.postgres.views.FETCHED", 2)
    assert await body_of(context, "general-ledger", "csv", **span) == whole
    codes = [line[0] for line in read_csv(whole)[1:-1]]
    assert codes == sorted(codes)


@pytest.mark.parametrize("bound", ["MOST_ROWS", "MOST_SHEET_ROWS", "MOST_PRINTED"])
async def test_what_is_too_large_is_refused_and_leaves_no_file(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    await traded(desk)
    monkeypatch.setattr(f"finance.exports.making.{bound}", 1)
    context, span = await context_of(desk), {"from": "2026-11-01", "to": "2026-11-30"}
    files = {
        "MOST_ROWS": [("general-ledger", "csv", {}), ("profit-and-loss", "json", {})],
        "MOST_SHEET_ROWS": [("general-ledger", "xlsx", {}), ("profit-and-loss", "xlsx", {})],
        "MOST_PRINTED": [("customer-statement", "pdf", {"partnerId": desk.customer})],
    }
    for name, file_format, more in files[bound]:
        with pytest.raises(Refused) as refused:
            await body_of(context, name, file_format, **span, **more)
        assert refused.value.code == "report-too-large"


async def test_documents_on_paper_carry_the_companys_name_and_the_books_figures(desk: Desk) -> None:
    sold = await traded(desk)
    asked = policy.Identify(name="Padma Traders Ltd", address="Dhaka", bin="1234567890123")
    await desk.books.closing.decide(desk.caller, key(), asked)
    context = await context_of(desk)
    note = next(
        one
        for one in await context.service.views.page(
            desk.ledger.tenant, "voucher", limit=9, offset=0, filters={"voucher_kind": "CREDIT_NOTE"}
        )
    )
    now = await desk.load("invoice", sold.id)

    async def text(name: str, **more: str) -> str:
        reader = pypdf.PdfReader(io.BytesIO(await body_of(context, name, PDF, **more)))
        return "\n".join(page.extract_text() for page in reader.pages)

    shown = await text("invoice", id=sold.id)
    for said in (
        "Padma Traders Ltd",
        "BIN 1234567890123",
        sold.number,
        "1,150.00 BDT",
        f"Customer {desk.customer[:4]}",
    ):
        assert said in shown
    assert f"{now.open_minor // 100}.{now.open_minor % 100:02d} BDT" in shown
    shown = await text("credit-note", id=note.id)
    assert all(
        said in shown for said in ("Credit note", note.number, sold.number, "the rice was wet", "11.50 BDT")
    )
    span = {"from": "2026-11-01", "to": "2026-11-30", "partnerId": desk.customer}
    closing = totals(await body_of(context, "customer-statement", "json", **span))["Closing balance"][
        "balance"
    ]
    assert closing in (await text("customer-statement", **span)).replace(",", "")
    for name, wrong in (
        ("invoice", note.id),
        ("credit-note", sold.id),
        ("debit-note", note.id),
        ("invoice", key()),
    ):
        with pytest.raises(Refused) as refused:
            await text(name, id=wrong)
        assert refused.value.code == "not-found"


async def test_more_files_at_once_than_may_be_are_told_to_come_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, exports = await context_of(desk), route.Desk()
    monkeypatch.setattr(route, "PATIENCE_S", 0.01)
    for _ in range(route.AT_ONCE):
        await exports._turns.acquire()
    asked = [("fiscalYear", "FY2026-2027")]
    with pytest.raises(route.ExportsBusy) as busy:
        await exports.serve("trial-balance", "csv", asked, context)
    assert busy.value.code == "exports-busy"
    exports._turns.release()
    made = await exports.serve("trial-balance", "csv", asked, context)
    made._file.close()
    with pytest.raises(Refused):
        await exports.serve("trial-balance", "csv", [("fiscalYear", "1")], context)
    assert not exports._turns.locked(), "a turn comes back however the making ends"


# At the door of the real service


def fetch(serving: Serving, path: str, **claims: Any) -> tuple[int, Mapping[str, str], bytes]:
    allowed = [*sorted(set(NEEDED.values())), EXPORT]
    token = serving.world.token(**({"permissions": allowed} | claims))
    request = urllib.request.Request(
        f"{serving.url}/exports/{path}", headers={"authorization": f"Bearer {token}"}
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.headers, answer.read()
    except HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


def code_of(body: bytes) -> str:
    return str(orjson.loads(body)["errors"][0]["extensions"]["code"])


def test_a_file_comes_with_its_kind_its_name_and_its_length_and_is_kept_by_nobody(serving: Serving) -> None:
    for file_format, begins in (("csv", b"\xef\xbb\xbfReport"), ("json", b"{"), ("xlsx", b"PK")):
        status, headers, body = fetch(serving, f"trial-balance.{file_format}?fiscalYear=FY2026-2027")
        assert status == 200
        assert body.startswith(begins)
        assert int(headers["content-length"]) == len(body)
        assert headers["content-disposition"] == (
            f'attachment; filename="trial-balance-FY2026-2027.{file_format}"'
        )
        assert (headers["cache-control"], headers["x-content-type-options"]) == ("no-store", "nosniff")


@pytest.mark.parametrize(
    ("path", "claims", "answer"),
    [
        ("trial-balance.csv?fiscalYear=FY2026-2027", {"permissions": [EXPORT]}, (403, "permission-missing")),
        (
            "trial-balance.csv?fiscalYear=FY2026-2027",
            {"permissions": sorted(NEEDED.values())},
            (403, "permission-missing"),
        ),
        ("trial-balance.csv?fiscalYear=FY2026-2027", {"tenant": "7" * 36}, (403, "tenant-unknown")),
        ("trial-balance.csv?fiscalYear=FY2026-2027", {"exp": 1}, (401, "token-expired")),
        ("nothing.csv", {}, (404, "export-unknown")),
        ("trial-balance.pdf", {}, (404, "export-unknown")),
        ("trial-balance.csv", {}, (400, "export-malformed")),
        ("trial-balance.csv?fiscalYear=2026", {}, (400, "date-malformed")),
        ("trial-balance.csv?fiscalYear=FY2026-2027&tenant=x", {}, (400, "export-malformed")),
        ("profit-and-loss.csv?from=2026-12-01&to=2026-11-01", {}, (400, "date-malformed")),
        ("general-ledger.csv?from=2026-11-01&to=2026-11-30&accountCode=%00", {}, (400, "account-unknown")),
        ("invoice.pdf?id=01930000-0000-7000-8000-000000000000", {}, (404, "not-found")),
    ],
)
def test_whoever_may_not_or_asks_what_is_not_there_is_told_so(
    serving: Serving, path: str, claims: dict[str, Any], answer: tuple[int, str]
) -> None:
    status, _, body = fetch(serving, path, **claims)
    assert (status, code_of(body)) == answer


def test_no_token_no_file_and_nothing_is_posted_to_an_export(serving: Serving) -> None:
    found = serving.get("/exports/trial-balance.csv?fiscalYear=FY2026-2027")
    assert (found.status, found.code) == (401, "token-missing")
    request = urllib.request.Request(f"{serving.url}/exports/trial-balance.csv", b"{}", method="POST")
    with pytest.raises(HTTPError) as refused:
        urllib.request.urlopen(request, timeout=30)
    assert refused.value.code == 405
    refused.value.close()


def test_another_tenants_document_does_not_exist(world: World, serving: Serving) -> None:
    customer = next(iter(world.records))
    line = {"description": "Rice", "quantity": "1", "unitPrice": "100.00", "vatCategory": "STANDARD"}
    made = serving.ask(
        """mutation ($input: CreateInvoiceInput!, $key: ID!) {
        createInvoice(input: $input, idempotencyKey: $key) { ... on Invoice { id } ... on Refusal { code } } }""",
        input={
            "customerId": customer,
            "currency": "BDT",
            "invoiceDate": "2026-11-23",
            "dueDate": "2026-12-23",
            "lineItems": [line],
        },
        key="exports-1",
    ).data
    status, headers, body = fetch(serving, f"invoice.pdf?id={made['id']}")
    assert (status, headers["content-type"]) == (200, "application/pdf")
    assert headers["content-disposition"] == 'attachment; filename="invoice-draft.pdf"'
    assert f"Partner {customer[:4]}" in pypdf.PdfReader(io.BytesIO(body)).pages[0].extract_text()
    status, _, body = fetch(serving, f"invoice.pdf?id={made['id']}", tenant=world.other_tenant)
    assert (status, code_of(body)) == (404, "not-found")


# On the command line


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        (("trial-balance.csv", "fiscalYear=FY2026-2027"), 0, "wrote trial-balance-FY2026-2027.csv"),
        (("trial-balance.csv",), 1, "export-malformed"),
        (("nothing.csv",), 1, "export-unknown"),
        (("trial-balance.csv", "fiscalYear"), 2, "expected parameters"),
        (("trial-balance.csv", "fiscalYear=FY2026-2027", "--url", "http://127.0.0.1:1"), 3, "is it running"),
        (("trial-balance.csv", "fiscalYear=FY2026-2027", "--url", "file:///etc/passwd"), 1, "an address"),
    ],
)
def test_the_command_writes_a_whole_file_or_says_why_not(
    serving: Serving,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    exit_code: int,
    said: str,
) -> None:
    token = serving.world.token(permissions=[*sorted(set(NEEDED.values())), EXPORT])
    (tmp_path / "token").write_text(token + "\n")
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(commands, ["export", "--url", serving.url, "--token-file", "token", *arguments])
    assert done.exit_code == exit_code, done.output
    assert said in done.output
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == (["token", "trial-balance-FY2026-2027.csv"] if exit_code == 0 else ["token"])
    assert token not in done.output
    if exit_code == 0:
        again = CliRunner().invoke(
            commands, ["export", "--url", serving.url, "--token-file", "token", *arguments]
        )
        assert (again.exit_code, "there already" in again.output) == (1, True)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", "broke off"),
        (b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n", "HTTP 302"),
        (b"HTTP/1.1 500 No\r\ncontent-length: 2\r\n\r\nno", "HTTP 500"),
    ],
)
def test_half_a_file_is_no_file_and_a_token_goes_nowhere_else(
    tmp_path: Path, answer: bytes, told: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def once() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(answer)

        thread = Thread(target=once)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises((NotFetched, NotGiven), match=told):
            fetch_file(url, "x.csv", [], token="t", output=tmp_path / "x.csv")
        thread.join()
    assert list(tmp_path.iterdir()) == []
