"""The typed client against the real service, over real HTTP: every operation that it has, and the README."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, ParamSpec, TypeVar
from uuid import uuid4

import msgspec
import pytest
import urllib3
from test_finance_client_contract import operations

from finance import fiscal
from finance.graphql.permission import EXPORT, NEEDED
from finance_client import (
    AccountChange,
    AccountFilter,
    BankColumns,
    BookedAgainst,
    Code,
    Denied,
    Finance,
    Invoice,
    InvoiceChange,
    InvoiceFilter,
    InvoiceLine,
    JournalChange,
    NewAccount,
    NewApprovalRule,
    NewAttachment,
    NewBankFile,
    NewBooking,
    NewIdentity,
    NewInvoice,
    NewJournal,
    NewJournalLine,
    NewPayment,
    NewTaxCode,
    NewTaxRate,
    NewTemplate,
    NewTemplateLine,
    NewVoucher,
    PaymentChange,
    PaymentFilter,
    Refused,
    VoucherChange,
    VoucherFilter,
    VoucherLine,
)
from finance_client.operation import Mutation
from finance_client.subject import Bound

World = Any
Serving = Any
P = ParamSpec("P")
T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[3]
CLIENT = ROOT / "packages" / "finance-client"
DAY, FIRST, LAST = date(2026, 11, 23), date(2026, 7, 1), date(2027, 6, 30)
YEAR = "FY2026-2027"
LATER = date(2019, 8, 31)
REASON = "a mistake was made"
PERMISSIONS = [*sorted(set(NEEDED.values())), EXPORT]

pytestmark = pytest.mark.integration


class Recorded(urllib3.PoolManager):
    """Goes there, and keeps every document that was answered without an error."""

    def __init__(self) -> None:
        super().__init__()
        self.answered: set[str] = set()

    def request(self, method: str, url: str, **rest: Any) -> Any:  # type: ignore[override]
        answer = super().request(method, url, **rest)
        if method == "POST" and answer.status == 200:
            self.answered.add(json.loads(rest["body"])["query"])
        return answer


@pytest.fixture(scope="module")
def pool() -> Recorded:
    return Recorded()


@pytest.fixture(scope="module")
def books(world: World, serving: Serving, pool: Recorded) -> Finance:
    return Finance(serving.url, token=lambda: world.token(permissions=PERMISSIONS), pool=pool)


def done(command: Bound[P, T], *given: P.args, **named: P.kwargs) -> T:
    """Do it, having rehearsed it first: nothing was written by that, or it could not be done."""
    told = command.rehearse(*given, **named)
    assert told.events, "a rehearsal tells what would be"
    return command(*given, **named)


RICE = InvoiceLine(description="Rice", quantity=Decimal(10), unit_price=Decimal("10.00"))


def invoiced(books: Finance, customer: str) -> Invoice:
    new = NewInvoice(customer_id=customer, invoice_date=DAY, due_date=date(2099, 1, 1), line_items=(RICE,))
    return books.invoices.approve(books.invoices.create(new).id)


def account(books: Finance, code: str) -> str:
    found = books.accounts.by_code(code)
    assert found is not None, code
    return found.id


def keep_accounts(books: Finance) -> None:
    new = NewAccount(account_code="1601", account_name="Tea", account_type="ASSET")
    made = done(books.accounts.create, new)
    assert done(books.accounts.update, made.id, AccountChange(account_name="A till")).account_name == "A till"
    assert not done(books.accounts.deactivate, made.id, reason=REASON).is_active
    assert books.accounts.get(made.id) == books.accounts.by_code("1601")
    assert books.accounts.by_code("1602") is None
    assets = list(books.accounts.all(AccountFilter(account_type="ASSET", is_active=True), page=2))
    assert len(assets) == len({one.id for one in assets}) > 4


def keep_invoices(books: Finance, partner: str) -> None:
    new = NewInvoice(customer_id=partner, invoice_date=DAY, due_date=date(2099, 1, 1), line_items=(RICE,))
    key = str(uuid4())
    draft = done(books.invoices.create, new, key=key)
    assert books.invoices.create(new, key=key) == draft, "the same key is the same invoice"
    more = InvoiceChange(line_items=(msgspec.structs.replace(RICE, quantity=Decimal("0.123456")),))
    changed = done(books.invoices.update, draft.id, more)
    assert (changed.line_items[0].quantity, changed.subtotal.amount) == (Decimal("0.123456"), Decimal("1.23"))
    told = books.invoices.approve.rehearse(draft.id)
    assert [one.total_debit.amount for one in told.entries] == [Decimal("1.41")]
    assert (books.invoices.get(draft.id) or draft).status == "DRAFT"
    approved = done(books.invoices.approve, draft.id)
    assert approved.invoice_number in told.numbers
    assert done(books.invoices.cancel, draft.id, reason=REASON).status == "CANCELLED"
    assert books.invoices.get(str(uuid4())) is None
    found = books.invoices.all(InvoiceFilter(first_on=DAY, last_on=DAY, statuses=("CANCELLED",)))
    assert {one.id for one in found} == {draft.id}


def keep_vouchers(books: Finance, partner: str) -> None:
    line = VoucherLine(description="Flour", quantity=Decimal(1), unit_price=Decimal("10.00"))
    bill = NewVoucher(
        kind="BILL", partner_id=partner, voucher_date=DAY, due_date=DAY, line_items=(line,), reference="V-1"
    )
    drafted = done(books.vouchers.create, bill)
    assert done(books.vouchers.update, drafted.id, VoucherChange(reference="V-2")).reference == "V-2"
    assert done(books.vouchers.approve, drafted.id).grand_total.amount == Decimal("11.50")
    assert done(books.vouchers.cancel, drafted.id, reason=REASON).status == "CANCELLED"
    owed = invoiced(books, partner)
    said = msgspec.structs.replace(
        bill, kind="CREDIT_NOTE", reference=None, corrects_id=owed.id, reason="one was wet"
    )
    note = books.vouchers.approve(books.vouchers.create(said).id)
    spent = done(books.vouchers.allocate, note.id, document_id=owed.id, amount=Decimal("11.50"))
    assert spent.balance_due.amount == 0
    back = {"allocation_id": spent.allocations[0].id, "reason": REASON}
    assert done(books.vouchers.unallocate, note.id, **back).allocations == ()
    assert books.vouchers.get(note.id) in tuple(books.vouchers.all(VoucherFilter(kind="CREDIT_NOTE")))


def keep_payments(books: Finance, partner: str) -> None:
    owed = invoiced(books, partner)
    new = NewPayment(
        invoice_id=owed.id,
        amount=Decimal(120),
        payment_method="CASH",
        payment_date=DAY,
        excess_becomes_credit=True,
    )
    made = done(books.payments.create, new)
    assert done(books.payments.update, made.id, PaymentChange(reference="rice")).reference == "rice"
    paid = done(books.payments.complete, made.id, transaction_reference="TRX-1")
    assert (paid.status, paid.unallocated.amount) == ("COMPLETED", Decimal("5.00"))
    other = invoiced(books, partner)
    spent = done(books.payments.allocate, paid.id, document_id=other.id, amount=Decimal("5.00"))
    one = next(one.id for one in spent.allocations if one.document_id == other.id)
    assert done(books.payments.unallocate, paid.id, allocation_id=one, reason=REASON).unallocated.amount == 5
    with pytest.raises(Refused) as told:
        books.invoices.cancel(owed.id, reason=REASON)
    assert told.value.code == Code.INVOICE_HAS_PAYMENTS
    assert done(books.payments.reverse, paid.id, reason=REASON).status == "REVERSED"
    assert done(books.payments.fail, books.payments.create(new).id, reason=REASON).status == "FAILED"
    found = books.payments.all(PaymentFilter(invoice_id=owed.id), page=1)
    assert sorted(one.status for one in found) == ["FAILED", "REVERSED"]
    assert books.payments.get(paid.id) is not None


def settle_and_attach(books: Finance, partner: str, folder: Path) -> None:
    owed = invoiced(books, partner)
    spared = done(books.documents.write_off, owed.id, amount=Decimal("5.00"), on=DAY, reason=REASON)
    assert (type(spared), spared.balance_due.amount) == (Invoice, Decimal("110.00"))
    kept = {"on": DAY, "certificate": "C-2026-17", "amount": Decimal("10.00")}
    assert [one.kind for one in done(books.documents.withhold_tax, owed.id, **kept).settlements] == [
        "WRITE_OFF",
        "WITHHOLDING",
    ]
    one = spared.settlements[0].id
    restored = done(books.documents.withdraw_settlement, owed.id, settlement_id=one, reason=REASON)
    assert restored.balance_due.amount == Decimal("105.00")
    paper = folder / "order.pdf"
    paper.write_bytes(b"an order")
    held = done(books.documents.attach, owed.id, NewAttachment.read(paper, "application/pdf"))
    assert books.documents.attachments(owed.id) == held
    assert (held.attachments[0].name, held.attachments[0].size) == ("order.pdf", 8)
    assert books.documents.approvals(owed.id) is None
    assert list(books.documents.waiting()) == []


def keep_journals(books: Finance) -> None:
    def sides(minor: str) -> tuple[NewJournalLine, ...]:
        return (
            NewJournalLine(account_id=account(books, "1000"), debit=Decimal(minor)),
            NewJournalLine(account_id=account(books, "4000"), credit=Decimal(minor)),
        )

    draft = done(
        books.journals.create, NewJournal(journal_date=DAY, description="Tea for cash", lines=sides("7.00"))
    )
    assert books.journals.origin(draft.id) is None
    assert len(done(books.journals.add_line, draft.id, sides("1.00")[0]).lines) == 3
    large = "98765432109876.54"
    assert done(
        books.journals.update, draft.id, JournalChange(lines=sides(large))
    ).total_debit.amount == Decimal(large)
    posted = done(books.journals.post, draft.id)
    taken = done(books.journals.reverse, draft.id, on=DAY, reason="it was coffee")
    assert taken.original_journal_id == posted.id
    origin = books.journals.origin(taken.id)
    assert origin is not None
    assert origin.reverses is not None
    assert (origin.rule, origin.reverses.journal_number) == ("REVERSAL", posted.journal_number)
    assert (books.journals.get(posted.id) or draft).status == "REVERSED"
    assert {posted.id, taken.id} <= {one.id for one in books.journals.all(page=3)}
    assert {posted.id, taken.id} <= {
        one.id for one in books.journals.known_later(LAST, date(2020, 1, 1), page=3)
    }


def run_templates(books: Finance) -> None:
    lines = (
        NewTemplateLine(account_id=account(books, "5900"), debit="100"),
        NewTemplateLine(account_id=account(books, "1000"), credit="100"),
    )
    new = NewTemplate(
        kind="RECURRING", name="Rent", frequency="MONTHLY", starts_on=date(2025, 7, 1), lines=lines
    )
    made = done(books.templates.create, new)
    assert done(books.templates.approve, made.id).status == "ACTIVE"
    assert [len(one.due_on) for one in books.templates.due(date(2025, 8, 31))] == [2]
    through = date(2025, 8, 31)
    assert [one.journal_date for one in books.templates.run.rehearse(made.id, through=through).entries] == [
        date(2025, 7, 1),
        date(2025, 8, 1),
    ]
    assert done(books.templates.run, made.id, through=through).runs == 2
    assert books.templates.due(through) == ()
    ended = done(books.templates.end, made.id, reason=REASON)
    assert books.templates.all("ENDED") == (ended,)
    assert books.templates.get(made.id) == ended


def match_the_bank(books: Finance, partner: str, folder: Path) -> None:
    bank = account(books, "1010")
    said = folder / "november.csv"
    said.write_text("Day,Out,In,Ref\n23/11/2026,,40.00,B-1\n23/11/2026,,60.00,B-2\n")
    columns = BankColumns(
        booked_on="Day", date_format="DD_SLASH_MM_SLASH_YYYY", money_out="Out", money_in="In", reference="Ref"
    )
    file = NewBankFile.read(said, account_id=bank, kind="CSV", columns=columns)
    assert done(books.bank.import_file, file).new_lines == 2
    money = {"payment_method": "BANK_TRANSFER", "payment_date": DAY, "customer_id": partner}
    forty, sixty = (
        books.payments.complete(
            books.payments.create(NewPayment(amount=Decimal(amount), **money)).id,
            transaction_reference="TRX-2",
        )
        for amount in (40, 60)
    )
    lines = {one.reference: one for one in books.bank.lines(bank, is_matched=False)}
    assert lines.keys() == {"B-1", "B-2"}
    best = {one.line_ids: one.payment_ids for one in books.bank.suggestions(bank)}
    assert best[(lines["B-1"].id,)] == (forty.id,)
    assert done(books.bank.match, (lines["B-1"].id,), (forty.id,)).is_matched
    assert done(books.payments.reconcile, sixty.id, bank_line="B-2").status == "RECONCILED"
    assert not done(books.bank.unmatch, lines["B-1"].id, reason=REASON).is_matched
    found = books.bank.reconciliation(bank, DAY)
    assert [one.reference for one in found.unmatched_lines] == ["B-1"]
    booking = NewBooking(
        line_ids=(lines["B-1"].id,), against=(BookedAgainst(account_id=account(books, "4900")),)
    )
    booked = done(books.bank.book, booking)
    assert (booked.bank_line_ids, booked.status) == ((lines["B-1"].id,), "POSTED")
    books.bank.unmatch(lines["B-1"].id, reason=REASON)
    assert done(books.bank.match, (lines["B-1"].id,), journal_ids=(booked.id,)).journal_ids == (booked.id,)


def decide(books: Finance) -> None:
    """Taxes, and what the company is."""
    rate = NewTaxRate(valid_from=FIRST, percent=Decimal("7.5"))
    made = done(books.taxes.define, NewTaxCode(code="TEA", name="Tea duty", kind="DUTY", rate=rate))
    dearer = NewTaxRate(valid_from=LAST, percent=Decimal("0.0001"))
    assert done(books.taxes.set_rate, made.code, dearer).rates[-1].percent == Decimal("0.0001")
    assert not done(books.taxes.deactivate, made.code, reason=REASON).is_active
    active = done(books.taxes.reactivate, made.code, reason=REASON)
    assert books.taxes.codes() == (active,)
    assert done(books.taxes.lock, date(2021, 8, 31)).taxes_locked_through == date(2021, 8, 31)
    assert done(books.taxes.unlock, None, reason=REASON).taxes_locked_through is None
    assert done(books.taxes.adopt_pack, books.taxes.packs()[0].name).tax_pack == "bangladesh"
    ours = NewIdentity(name="Padma Traders", address="12 Station Road, Dhaka", tin="123456789012")
    assert done(books.company.set_identity, ours) == books.company.policy()
    rates = done(books.company.set_exchange_rate, "EUR", Decimal("1E-8"), valid_from=DAY)
    assert (rates.rates[0].rate, books.company.exchange_rates("EUR")) == (Decimal("0.00000001"), rates)
    rule = NewApprovalRule(valid_from=date(2098, 7, 1), reason=REASON)
    assert done(books.company.set_authority, rule) == books.company.authority()


def close(books: Finance) -> None:
    done(books.closing.close_period, "FY2020-2021-P01")
    assert done(books.closing.reopen_period, "FY2020-2021-P01", reason=REASON).status == "OPEN"
    done(books.closing.close_year, "FY2018-2019")
    assert books.closing.year("FY2018-2019").status == "CLOSED"
    assert done(books.closing.reopen_year, "FY2018-2019", reason=REASON).status == "OPEN"
    assert [one.status for one in books.closing.periods("FY2020-2021")] == ["OPEN"] * 12
    revalue(books, date(2019, 8, 1))
    series = {one.series: one for one in books.closing.number_series(YEAR)}
    assert (series["INV"].count, series["INV"].missing) == (series["INV"].last, ())


def revalue(books: Finance, day: date) -> None:
    for rate, since in (("130", day), ("132.5", LATER)):
        books.company.set_exchange_rate("USD", Decimal(rate), valid_from=since)
    sides = (
        NewJournalLine(account_id=account(books, "1010"), debit=Decimal("1000.00")),
        NewJournalLine(account_id=account(books, "3000"), credit=Decimal("1000.00")),
    )
    new = NewJournal(
        journal_date=day, description="Dollars put in", lines=sides, currency="USD", auto_post=True
    )
    books.journals.create(new)
    entry = done(books.closing.revalue, LATER)
    shown = books.closing.revaluation(LATER)
    assert (shown.posted.amount, shown.is_current, entry.status) == (Decimal("2500.00"), True, "REVERSED")
    done(books.closing.undo_revaluation, LATER, reason=REASON)
    assert books.closing.revaluation(LATER).entry is None


def read_reports(books: Finance, partner: str) -> None:
    reports = books.reports
    assert reports.trial_balance(YEAR).summary.is_balanced
    assert reports.balance_sheet(LAST, known_on=LAST).is_balanced
    assert reports.cash_flow(FIRST, LAST).is_tied
    assert reports.vat_summary(FIRST, LAST).is_tied
    earned = reports.profit_and_loss(FIRST, LAST)
    assert adds_up(books, earned.figure) == earned.profit.amount
    aged = reports.ageing("SALES", DAY)
    assert aged.totals.total == aged.control
    assert adds_up(books, aged.figure) == aged.control.amount
    [whose] = aged.partners
    assert whose.partner is not None
    assert (whose.partner_id, whose.partner.name) == (partner, f"Partner {partner[:4]}")
    told = reports.statement(partner, "SALES", FIRST, LAST)
    assert told.closing_balance == aged.control
    assert adds_up(books, told.closing_figure) == told.closing_balance.amount
    cash = account(books, "1000")
    ledger = reports.general_ledger(cash, FIRST, LAST)
    moved = list(reports.movements(cash, FIRST, LAST, page=2))
    assert (len(moved), moved[-1].balance) == (ledger.count, ledger.closing_balance)
    assert len(moved) > 3


def adds_up(books: Finance, figure: str) -> Decimal:
    """What the entries of a figure add up to, which it says as well."""
    entries = list(books.reports.figure_entries(figure, page=3))
    assert len(entries) > 3
    traced = list(books.reports.figure_origins(figure))
    assert [(one.journal_id, one.amount) for one in traced] == [
        (one.journal_id, one.amount) for one in entries
    ]
    assert all(one.journal.origin and one.journal.origin.makers for one in traced)
    told, total = books.reports.figure(figure), sum((one.amount.amount for one in entries), Decimal(0))
    assert (told.total_count, told.amount.amount) == (len(entries), total)
    return total


def test_every_operation_is_rehearsed_done_and_read_at_the_real_service(
    world: World, books: Finance, pool: Recorded, tmp_path: Path
) -> None:
    partner = next(iter(world.records))
    keep_accounts(books)
    keep_invoices(books, partner)
    keep_vouchers(books, partner)
    keep_payments(books, partner)
    settle_and_attach(books, partner, tmp_path)
    keep_journals(books)
    run_templates(books)
    match_the_bank(books, partner, tmp_path)
    read_reports(books, partner)
    close(books)
    decide(books)
    mutations = [one for one in operations() if isinstance(one, Mutation)]
    wanted = {one.text: one.field for one in operations()} | {one.rehearsal: one.field for one in mutations}
    assert sorted(field for text, field in wanted.items() if text not in pool.answered) == []


@pytest.mark.parametrize(
    ("amount", "code"),
    [
        ("0.105", Code.AMOUNT_MALFORMED),
        ("1E-3", Code.AMOUNT_MALFORMED),
        ("1E+30", Code.AMOUNT_MALFORMED),
        ("NaN", Code.AMOUNT_MALFORMED),
        ("Infinity", Code.AMOUNT_MALFORMED),
        ("-1.00", Code.AMOUNT_NOT_POSITIVE),
    ],
)
def test_an_amount_is_refused_by_the_service_and_never_rounded_here(
    world: World, books: Finance, amount: str, code: str
) -> None:
    new = NewPayment(
        amount=Decimal(amount),
        payment_method="CASH",
        payment_date=DAY,
        customer_id=next(iter(world.records)),
    )
    before = sum(1 for _ in books.payments.all())
    for command in (books.payments.create, books.payments.create.rehearse):
        with pytest.raises(Refused) as told:
            command(new)
        assert told.value.code == code
    assert sum(1 for _ in books.payments.all()) == before


def test_a_file_is_refused_as_a_question_is(
    world: World, serving: Serving, books: Finance, tmp_path: Path
) -> None:
    with pytest.raises(Refused) as told:
        books.exports.save("trial-balance.doc", {"fiscalYear": YEAR}, to=tmp_path)
    assert told.value.code == Code.EXPORT_UNKNOWN
    nobody = Finance(serving.url, token=lambda: world.token(permissions=[]))
    with pytest.raises(Denied) as denied:
        nobody.exports.save("trial-balance.csv", {"fiscalYear": YEAR}, to=tmp_path)
    assert denied.value.code == Code.PERMISSION_MISSING
    assert list(tmp_path.iterdir()) == []
    made = books.exports.save("trial-balance.csv", {"fiscalYear": YEAR, "asOfDate": DAY}, to=tmp_path)
    assert made.suffix == ".csv"
    assert b"account" in made.read_bytes().lower()


# The README


def alone(folder: Path) -> Path:
    """An interpreter that has the client's wheel and what that says it needs, and nothing else."""
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=CLIENT, check=True, capture_output=True)
    [wheel] = folder.glob("*.whl")
    uv = shutil.which("uv") or str(ROOT / ".tools" / "uv" / "bin" / "uv")
    place = folder / "venv"
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(place)], check=True)
    locked = ["--constraint", str(ROOT / "lock" / "requirements.txt")]
    interpreter = place / "bin" / "python"
    install = [uv, "pip", "install", "--quiet", "--python", str(interpreter), *locked, str(wheel)]
    subprocess.run(install, check=True)
    return interpreter


def program() -> tuple[str, list[str]]:
    """The blocks of the README as one program, and what it says that they print."""
    blocks = re.findall(r"```python\n(.*?)```", (CLIENT / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 11
    text = "\n".join(blocks)
    after = re.findall(r"print\([^\n]*\)  # ([^\n]+)$|^ +# ([^\n]+)$", text, re.MULTILINE)
    return text, [one or other for one, other in after]


def test_the_program_of_the_readme_prints_what_it_says_from_the_wheel_alone(
    world: World, serving: Serving, tmp_path: Path
) -> None:
    text, expected = program()
    assert len(expected) == 14
    asked: Callable[..., str] = world.token
    theirs = {"tenant": world.other_tenant, "permissions": PERMISSIONS}
    owner = Finance(serving.url, lambda: asked(sub="owner", **theirs))
    owner.company.set_authority(NewApprovalRule(valid_from=fiscal.today(datetime.now(UTC)), reason=REASON))
    given = {
        "FINANCE_URL": serving.url,
        "MAKER_TOKEN": asked(sub="maker", **theirs),
        "CHECKER_TOKEN": asked(sub="checker", **theirs),
        "CUSTOMER": list(world.records)[1],
    }
    ran = subprocess.run(
        [str(alone(tmp_path)), "-W", "error", "-"],
        input=text,
        env={"PATH": os.environ["PATH"], **given},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.splitlines() == expected
    assert [one.read_bytes()[:5] for one in tmp_path.glob("*.pdf")] == [b"%PDF-"]
