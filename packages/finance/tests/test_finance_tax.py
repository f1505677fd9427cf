"""Taxes: rates are data by date, what a document was taxed with stays on it, and a return ties to the accounts."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finance import chart, invoice, pack, policy, tax, vat, voucher
from finance.account import Account
from finance.control import check
from finance.money import Money
from finance.refusal import (
    Refused,
    TaxCodeInactive,
    TaxCodeMalformed,
    TaxCodeMisplaced,
    TaxCodeNotValid,
    TaxCodeTaken,
    TaxCodeUnknown,
    TaxIdentityMalformed,
    TaxPackUnknown,
)
from finance.report import Balance
from finance.tax import Quote
from finance.taxation import ADVANCE, DOCUMENT, DUTY, EXCLUSIVE, INCLUSIVE, LINE, VAT, Levy, exact, taxes
from finance.verify import examine

Desk = Any
Serving = Any
DAY = date(2026, 11, 23)
WHY = "the law was changed"


def key() -> str:
    return str(uuid4())


def levy(code: str, kind: str = VAT, percent: str = "15", **given_: Any) -> Levy:
    return Levy(code=code, kind=kind, percent=Decimal(percent), **given_)


VAT15 = levy("VAT15", on_duty=True)
SD20 = levy("SD20", DUTY, "20", recoverable=False)


# What taxes come to


def test_a_duty_is_part_of_what_vat_is_taken_of() -> None:
    [found] = taxes([(100_00, (SD20, VAT15))], prices=EXCLUSIVE, rounding=LINE)
    assert found == (20_00, 18_00)
    [apart] = taxes([(100_00, (SD20, levy("VAT15")))], prices=EXCLUSIVE, rounding=LINE)
    assert apart == (20_00, 15_00)


def test_taxes_in_a_price_are_taken_out_of_it() -> None:
    [found] = taxes([(138_00, (SD20, VAT15))], prices=INCLUSIVE, rounding=LINE)
    assert found == (20_00, 18_00)


def test_three_lines_of_a_third_are_rounded_each_or_together() -> None:
    lines = [(10, (VAT15,))] * 3
    assert taxes(lines, prices=EXCLUSIVE, rounding=LINE) == [(2,), (2,), (2,)]
    assert taxes(lines, prices=EXCLUSIVE, rounding=DOCUMENT) == [(2,), (1,), (1,)]


percents = st.decimals(0, 100, places=2)
levies = st.tuples(percents, percents, st.booleans()).map(
    lambda one: (levy("SD", DUTY, str(one[0])), levy("V", VAT, str(one[1]), on_duty=one[2]))
)
documents = st.lists(st.tuples(st.integers(0, 10**15), levies), min_size=1, max_size=8)


@given(documents, st.sampled_from([EXCLUSIVE, INCLUSIVE]))
def test_rounded_together_taxes_are_those_of_the_document_and_no_line_is_a_unit_off(
    priced: list[tuple[int, Sequence[Levy]]], prices: str
) -> None:
    found = taxes(priced, prices=prices, rounding=DOCUMENT)
    true = [exact(minor, own, prices) for minor, own in priced]
    for place in (0, 1):
        assert sum(one[place] for one in found) == round(sum(one[place] for one in true))
        assert all(
            abs(one[place] - own[place]) < 1 + Fraction(1, 2) for one, own in zip(found, true, strict=True)
        )


@given(documents)
def test_rounded_by_line_no_tax_is_further_than_half_a_unit_from_its_own(
    priced: list[tuple[int, Sequence[Levy]]],
) -> None:
    for (minor, own), found in zip(priced, taxes(priced, prices=EXCLUSIVE, rounding=LINE), strict=True):
        for rounded, true in zip(found, exact(minor, own, EXCLUSIVE), strict=True):
            assert abs(rounded - true) <= Fraction(1, 2)


@given(documents)
def test_what_is_in_a_price_and_what_is_left_of_it_are_the_price(
    priced: list[tuple[int, Sequence[Levy]]],
) -> None:
    for minor, own in priced:
        duty, value_added = exact(minor, own, INCLUSIVE)
        net = minor - duty - value_added
        assert exact(1, own, EXCLUSIVE) == [duty / net, value_added / net] if net else not minor


# A code and its rates


def defined(*quotes: Quote, kind: str = VAT, code: str = "VAT15") -> tax.Tax:
    first, *others = quotes or (Quote(valid_from=date(2026, 7, 1), percent=Decimal(15)),)
    events = tax.decide(None, tax.Define(code=code, name="A tax", kind=kind, quote=first))
    state: tax.Tax | None = None
    for event in events:
        state = tax.evolve(state, event)
    assert state is not None
    for one in others:
        for event in tax.decide(state, tax.SetRate(quote=one)):
            state = tax.evolve(state, event)
    return state


def test_a_rate_holds_from_its_day_to_its_end_or_the_next_one() -> None:
    found = defined(
        Quote(valid_from=date(2026, 7, 1), percent=Decimal(15)),
        Quote(valid_from=date(2027, 7, 1), percent=Decimal(18), valid_until=date(2027, 12, 31)),
    )
    days = (date(2026, 7, 1), date(2027, 6, 30), date(2027, 7, 1), date(2027, 12, 31))
    assert [found.on(day).percent for day in days] == [15, 15, 18, 18]
    for day in (date(2026, 6, 30), date(2028, 1, 1)):
        with pytest.raises(TaxCodeNotValid, match=str(day)) as told:
            found.on(day)
        assert told.value.code == "tax-code-not-valid"


def test_a_code_that_is_deactivated_can_be_used_on_no_day_until_it_is_taken_up_again() -> None:
    state = defined()
    [gone] = tax.decide(state, tax.Deactivate(reason=WHY))
    inactive = tax.evolve(state, gone)
    with pytest.raises(TaxCodeInactive) as told:
        inactive.on(DAY)
    assert told.value.code == "tax-code-inactive"
    with pytest.raises(TaxCodeInactive):
        tax.decide(inactive, tax.Deactivate(reason=WHY))
    [back] = tax.decide(inactive, tax.Reactivate(reason=WHY))
    assert tax.evolve(inactive, back).on(DAY).percent == 15


@pytest.mark.parametrize(
    ("code", "kind", "percent", "until"),
    [
        ("vat", VAT, "15", None),
        ("V", VAT, "15", None),
        ("A+B", VAT, "15", None),
        ("VAT15", "TOLL", "15", None),
        ("VAT15", VAT, "-1", None),
        ("VAT15", VAT, "1000.1", None),
        ("VAT15", VAT, "7.12345", None),
        ("EXEMPT", "EXEMPT", "1", None),
        ("VAT15", VAT, "15", date(2026, 6, 30)),
    ],
)
def test_what_is_no_tax_code_is_refused(code: str, kind: str, percent: str, until: date | None) -> None:
    quote = Quote(valid_from=date(2026, 7, 1), percent=Decimal(percent), valid_until=until)
    with pytest.raises(TaxCodeMalformed) as told:
        tax.decide(None, tax.Define(code=code, name="A tax", kind=kind, quote=quote))
    assert told.value.code == "tax-code-malformed"


def test_a_code_is_defined_once() -> None:
    command = tax.Define(
        code="VAT15", name="A tax", kind=VAT, quote=Quote(valid_from=DAY, percent=Decimal(1))
    )
    with pytest.raises(TaxCodeTaken) as told:
        tax.decide(defined(), command)
    assert told.value.code == "tax-code-taken"


# The pack of Bangladesh, and who a company is


def test_the_pack_has_the_rates_that_it_says_and_each_can_be_defined() -> None:
    found = pack.load("bangladesh")
    assert found is not None
    rates = {one.percent for one in found.codes if one.kind == VAT}
    assert rates == {Decimal(15), Decimal(10), Decimal("7.5"), Decimal(5), Decimal(0)}
    assert {one.kind for one in found.codes} == {VAT, "EXEMPT", DUTY, ADVANCE, "WITHHOLDING"}
    for one in found.codes:
        assert len(tax.decide(None, one.command())) == 2
    assert (found.tin_digits, found.bin_digits) == (12, 13)
    assert pack.load("../secrets") is None


def adopted() -> policy.Policy:
    pack_adopted = policy.TaxPackAdopted(
        pack="bangladesh",
        tax_invoice_form="Mushak-6.3",
        tax_invoice_series="MUSH",
        tin_digits=12,
        bin_digits=13,
    )
    [event] = policy.decide(None, policy.AdoptTaxPack(adopted=pack_adopted))
    return policy.evolve(None, event)


@pytest.mark.parametrize(
    ("tin", "bin_"),
    [("1234567890", None), ("12345678901a", None), (None, "123456789"), (None, "১২৩৪৫৬৭৮৯০১২৩"), ("", None)],
)
def test_a_tin_has_twelve_digits_and_a_bin_thirteen(tin: str | None, bin_: str | None) -> None:
    with pytest.raises(TaxIdentityMalformed) as told:
        policy.decide(adopted(), policy.Identify(name="Padma", address="Dhaka", tin=tin, bin=bin_))
    assert told.value.code == "tax-identity-malformed"
    good = policy.Identify(name="Padma", address="Dhaka", tin="123456789012", bin="1234567890123")
    [event] = policy.decide(adopted(), good)
    assert policy.evolve(adopted(), event).identity == event


# A return


def balance(code: str, account_type: str, net: int) -> Balance:
    one = Account(id=code, code=code, name="An account", account_type=account_type, currency="BDT")
    return Balance(account=one, debit_minor=max(net, 0), credit_minor=max(-net, 0))


def row(account_id: str, code: str | None, kind: str, net: int) -> vat.Row:
    return vat.Row(account_id=account_id, tax_code=code, journal_type=kind, net_minor=net)


def test_a_value_counts_for_each_of_its_codes_and_a_tax_for_its_own() -> None:
    rows = [
        row("4000", "SD20+VAT15", "SALES", -100),
        row("2200", "VAT15", "SALES", -18),
        row("2220", "SD20", "SALES", -20),
        row("2200", None, "GENERAL", 10),
        row("1410", "VAT15", "PURCHASE", 3),
        row("5900", "VAT15", "PURCHASE", 20),
    ]
    balances = [
        balance("1410", "ASSET", 3),
        balance("2200", "LIABILITY", -8),
        balance("2220", "LIABILITY", -20),
        balance("4000", "REVENUE", -100),
    ]
    found = vat.summary(rows, balances, vat.SECTIONS)
    assert [(one.section, one.code, one.value_minor, one.tax_minor) for one in found.lines] == [
        (vat.INPUT, "VAT15", 20, 3),
        (vat.OUTPUT, "SD20", 100, 20),
        (vat.OUTPUT, "VAT15", 100, 18),
    ]
    assert (found.due_minor, found.is_tied) == (35, True)
    assert [(one.returned_minor, one.other_minor) for one in found.accounts] == [(3, 0), (-18, 10), (-20, 0)]


def test_a_return_that_lacks_an_entry_shows() -> None:
    found = vat.summary(
        [row("2200", "VAT15", "SALES", -18)], [balance("2200", "LIABILITY", -19)], vat.SECTIONS
    )
    assert not found.is_tied


# On a real ledger

SUMMARY = """query ($input: VatSummaryInput!) { vatSummary(input: $input) { isTied due { amount }
    outputTax { amount } inputTax { amount } lines { section taxCode value { amount } tax { amount } }
    accounts { accountCode moved { amount } returned { amount } other { amount } } } }"""
MONTH = {"from": "2026-11-01", "to": "2026-11-30"}


def line(minor: int, *codes: str, quantity: str = "1", account_id: str | None = None) -> invoice.Line:
    return invoice.line(
        description="Rice",
        quantity=Decimal(quantity),
        unit_price=Money(minor, "BDT"),
        vat_category="STANDARD",
        product_id=None,
        account_id=account_id,
        tax_codes=codes,
    )


async def drafted(desk: Desk, *lines: invoice.Line, day: date = DAY, **given_: Any) -> invoice.Invoice:
    terms = invoice.Terms(customer_id=desk.customer, invoice_date=day, due_date=day, lines=lines, **given_)
    found: invoice.Invoice = await desk.books.create_invoice(desk.caller, key(), currency="BDT", terms=terms)
    return found


async def sold(desk: Desk, *lines: invoice.Line, **given_: Any) -> invoice.Invoice:
    one = await drafted(desk, *lines, **given_)
    found: invoice.Invoice = await desk.books.approve_invoice(desk.caller, key(), one.id)
    return found


async def bought(
    desk: Desk, *lines: invoice.Line, kind: str = voucher.BILL, **given_: Any
) -> voucher.Voucher:
    terms = voucher.Terms(
        partner_id=desk.vendor,
        voucher_date=DAY,
        due_date=DAY,
        lines=lines,
        reference=key(),
        reason="wet",
        **given_,
    )
    asked = voucher.Create(voucher_id="", kind=kind, currency="BDT", terms=terms)
    made = await desk.books.billing.create(desk.caller, key(), asked)
    found: voucher.Voucher = await desk.books.billing.approve(desk.caller, key(), made.id)
    return found


async def refused(work: Any) -> str:
    with pytest.raises(Refused) as told:
        await work
    return told.value.code


@pytest.fixture
async def taxed(desk: Desk) -> Desk:
    await desk.books.taxes.adopt(desk.caller, key(), "bangladesh")
    return desk


async def entry_of(desk: Desk, document: Any) -> dict[tuple[str, str | None], int]:
    """Debits less credits of a document's entry, by account code and tax code."""
    entry = await desk.load("journal", document.journal_id)
    codes = {chart.account_id(desk.ledger.tenant, code): code for code, *_ in chart.STANDARD}
    return {
        (codes[line_.account_id], line_.tax_code): line_.debit_minor - line_.credit_minor
        for line_ in entry.lines
    }


@pytest.mark.integration
async def test_an_invoice_posts_each_tax_to_its_account_with_its_code(taxed: Desk) -> None:
    one = await sold(taxed, line(100_00, "VAT15", "SD20"), line(50_00, "EXEMPT"), line(10_00, "VAT0"))
    assert (one.subtotal_minor, one.total_minor) == (160_00, 198_00)
    assert await entry_of(taxed, one) == {
        ("1200", None): 198_00,
        ("4000", "VAT15+SD20"): -100_00,
        ("4000", "EXEMPT"): -50_00,
        ("4000", "VAT0"): -10_00,
        ("2200", "VAT15"): -18_00,
        ("2220", "SD20"): -20_00,
    }


@pytest.mark.integration
async def test_of_a_bill_what_cannot_be_claimed_back_is_part_of_what_was_bought(taxed: Desk) -> None:
    one = await bought(taxed, line(100_00, "VAT15", "SD20", "AT5"), line(100_00, "VAT5"))
    assert await entry_of(taxed, one) == {
        ("2000", None): -(143_00 + 105_00),
        ("5900", "VAT15+SD20+AT5"): 120_00,
        ("1410", "VAT15"): 18_00,
        ("1430", "AT5"): 5_00,
        ("5900", "VAT5"): 105_00,
    }


@pytest.mark.integration
async def test_prices_with_taxes_in_them_come_to_the_price_and_rounding_is_the_documents(taxed: Desk) -> None:
    lines = [line(99_99, "VAT7.5") for _ in range(7)]
    for rounding in (LINE, DOCUMENT):
        one = await sold(taxed, *lines, prices=INCLUSIVE, rounding=rounding)
        assert one.total_minor == 7 * 99_99
        assert one.terms.rounding == rounding
    assert one.vat_minor == round(Fraction(7 * 99_99) * Fraction("0.075") / Fraction("1.075"))


@pytest.mark.integration
async def test_what_a_document_was_taxed_with_stays_whatever_the_table_says_later(taxed: Desk) -> None:
    before = await sold(taxed, line(100_00, "VAT15"))
    draft = await drafted(taxed, line(100_00, "VAT15"))
    quote = Quote(valid_from=DAY, percent=Decimal(18))
    await taxed.books.taxes.change(taxed.caller, key(), "VAT15", tax.SetRate(quote=quote))
    assert await refused(taxed.books.approve_invoice(taxed.caller, key(), draft.id)) == "tax-rate-changed"
    assert (await taxed.load("invoice", before.id)).total_minor == 115_00
    again = await taxed.books.update_invoice(
        taxed.caller, key(), draft.id, asked={}, change=lambda one: one.terms
    )
    assert again.total_minor == 118_00
    approved = await taxed.books.approve_invoice(taxed.caller, key(), draft.id)
    assert (approved.status, approved.total_minor) == ("APPROVED", 118_00)


@pytest.mark.integration
async def test_a_code_that_cannot_be_used_on_the_documents_day_is_refused_and_nothing_is_written(
    taxed: Desk,
) -> None:
    await taxed.books.taxes.change(taxed.caller, key(), "VAT10", tax.Deactivate(reason=WHY))
    end = Quote(valid_from=date(2026, 7, 1), percent=Decimal(5), valid_until=date(2026, 10, 31))
    await taxed.books.taxes.change(taxed.caller, key(), "VAT5", tax.SetRate(quote=end))
    draft = await drafted(taxed, line(1_00, "SD10"))
    await taxed.books.taxes.change(taxed.caller, key(), "SD10", tax.Deactivate(reason=WHY))
    before = await taxed.ledger.events(taxed.ledger.tenant)
    wrong = {
        "tax-code-unknown": drafted(taxed, line(1_00, "VAT99")),
        "tax-code-inactive": drafted(taxed, line(1_00, "VAT10")),
        "tax-code-not-valid": drafted(taxed, line(1_00, "VAT5")),
    }
    for code, work in wrong.items():
        assert await refused(work) == code
    assert await refused(taxed.books.approve_invoice(taxed.caller, key(), draft.id)) == TaxCodeInactive.code
    old = drafted(taxed, line(1_00, "VAT15"), day=date(2019, 6, 30))
    assert await refused(old) == TaxCodeNotValid.code
    assert await taxed.ledger.events(taxed.ledger.tenant) == before
    assert (await drafted(taxed, line(1_00, "VAT5"), day=date(2026, 10, 31))).total_minor == 1_05


@pytest.mark.integration
@pytest.mark.parametrize(
    "codes", [("VAT15", "VAT5"), ("VAT15", "EXEMPT"), ("SD20", "SD10"), ("AT5",), ("TDS7",)]
)
async def test_a_tax_that_cannot_stand_on_an_invoices_line_is_refused(
    taxed: Desk, codes: tuple[str, ...]
) -> None:
    assert await refused(drafted(taxed, line(1_00, *codes))) == "tax-code-misplaced"


@pytest.mark.integration
async def test_who_enters_by_hand_uses_codes_of_the_table_too(taxed: Desk) -> None:
    sale = taxed.sale()
    coded = msgspec.structs.replace(
        sale, lines=(sale.lines[0], msgspec.structs.replace(sale.lines[1], tax_code="VAT99"))
    )
    assert (
        await refused(taxed.books.create_journal(taxed.caller, key(), coded, post=True))
        == TaxCodeUnknown.code
    )
    draft = await taxed.books.create_journal(taxed.caller, key(), coded, post=False)
    assert await refused(taxed.books.post_journal(taxed.caller, key(), draft.id)) == TaxCodeUnknown.code


@pytest.mark.integration
async def test_tax_is_withheld_by_its_code_and_taken_back_with_its_entry(taxed: Desk) -> None:
    one = await sold(taxed, line(100_00, "VAT15"))
    kind, books = "WITHHOLDING", taxed.books
    settle = books.settling.settle(
        taxed.caller, key(), kind, one.id, amount=None, told="C-17", on=DAY, tax_code="TDS10"
    )
    settled = await settle
    assert (settled.open_minor, settled.settlements[0].tax_code) == (105_00, "TDS10")
    shown = await taxed.asked(SUMMARY, input=MONTH)
    withheld = [one for one in shown["lines"] if one["section"] == "WITHHELD_FROM_US"]
    assert [(one["taxCode"], one["tax"]["amount"]) for one in withheld] == [("TDS10", "10.00")]
    for code, amount in (("VAT15", Money(1, "BDT")), (None, None)):
        wrong = books.settling.settle(
            taxed.caller, key(), kind, one.id, amount=amount, told="C-18", on=DAY, tax_code=code
        )
        assert await refused(wrong) == TaxCodeMisplaced.code


@pytest.mark.integration
async def test_a_return_ties_to_the_tax_accounts_by_day_and_as_it_was_known(taxed: Desk) -> None:
    gone = await sold(taxed, line(100_00, "VAT15", "SD20"), line(40_00, "VAT0"))
    await bought(taxed, line(50_00, "VAT15"))
    await sold(taxed, line(7_00, "VAT15"), day=date(2026, 10, 31))
    await taxed.invoice_approved(200_00)  # without codes
    paid = taxed.sale(3_00)
    to_treasury = msgspec.structs.replace(
        paid, lines=(msgspec.structs.replace(paid.lines[0], account_id=taxed.account("2200")), paid.lines[1])
    )
    await taxed.books.create_journal(taxed.caller, key(), to_treasury, post=True)
    taxed.clock.instant = datetime(2026, 12, 2, 12, tzinfo=UTC)
    await taxed.books.cancel_invoice(taxed.caller, key(), gone.id, reason="a mistake", on=date(2026, 11, 30))
    known = await taxed.asked(SUMMARY, input=MONTH | {"knownOn": "2026-11-30"})
    assert known["isTied"] is True
    assert {
        (row_["section"], row_["taxCode"]): (row_["value"]["amount"], row_["tax"]["amount"])
        for row_ in known["lines"]
    } == {
        ("OUTPUT", "VAT15"): ("100.00", "18.00"),
        ("OUTPUT", "SD20"): ("100.00", "20.00"),
        ("OUTPUT", "VAT0"): ("40.00", "0.00"),
        ("OUTPUT", None): ("0.00", "30.00"),
        ("INPUT", "VAT15"): ("50.00", "7.50"),
    }
    assert (known["outputTax"]["amount"], known["due"]["amount"]) == ("68.00", "60.50")
    now = await taxed.asked(SUMMARY, input=MONTH)
    assert (now["isTied"], now["outputTax"]["amount"], now["inputTax"]["amount"]) == (True, "30.00", "7.50")
    [payable] = [one for one in now["accounts"] if one["accountCode"] == "2200"]
    held = await taxed.balances(first=date(2026, 11, 1), last=date(2026, 11, 30))
    assert payable["moved"]["amount"] == "-27.00" == f"{held['2200'] / 100:.2f}"
    assert payable["other"]["amount"] == "3.00"


@pytest.mark.integration
async def test_tax_invoices_are_numbered_without_gaps_per_fiscal_year_whoever_is_at_it(taxed: Desk) -> None:
    days = [DAY, DAY, date(2026, 6, 30), DAY, DAY]
    drafts = [await drafted(taxed, line(1_00, "VAT15"), day=day) for day in days]
    done = await asyncio.gather(*(taxed.books.approve_invoice(taxed.caller, key(), one.id) for one in drafts))
    assert sorted(one.tax_number for one in done) == [
        "MUSH-2026-06-30-000001",
        *(f"MUSH-2026-11-23-00000{number}" for number in range(1, 5)),
    ]
    assert (await taxed.invoice_approved()).tax_number is None  # no codes, no tax invoice
    series = 'query { numberSeries(fiscalYear: "FY2026-2027") { series count last missing { first } } }'
    found = {one["series"]: one for one in await taxed.asked(series)}
    assert found["MUSH"] == {"series": "MUSH", "count": 4, "last": 4, "missing": []}


@pytest.mark.integration
async def test_books_with_taxes_are_proven_from_the_log(taxed: Desk) -> None:
    one = await sold(taxed, line(33_33, "VAT7.5", "SD10"), line(66_67, "VAT5"), rounding=DOCUMENT)
    await bought(taxed, line(99_99, "VAT15", "SD20", "AT5"), prices=INCLUSIVE)
    await taxed.payment_completed(one.id, one.total_minor)
    log = await taxed.log()
    found = examine(log)
    check(log, found)
    assert (found.verdict, found.faults) == ("pass", [])


@pytest.mark.integration
async def test_a_pack_is_adopted_once_and_again_and_changes_no_code_that_is_there(desk: Desk) -> None:
    own = tax.Define(code="VAT15", name="Ours", kind=VAT, quote=Quote(valid_from=DAY, percent=Decimal(14)))
    await desk.books.taxes.define(desk.caller, key(), own)
    for _ in range(2):
        found = await desk.books.taxes.adopt(desk.caller, key(), "bangladesh")
        assert found.tax_invoice_series == "MUSH"
    assert (await desk.load("tax", tax.stream(desk.ledger.tenant, "VAT15"))).on(DAY).percent == 14
    with pytest.raises(TaxPackUnknown) as told:
        await desk.books.taxes.adopt(desk.caller, key(), "atlantis")
    assert told.value.code == "tax-pack-unknown"
    with pytest.raises(TaxCodeUnknown):
        await desk.books.taxes.change(desk.caller, key(), "VAT99", tax.Deactivate(reason=WHY))


CREATE = """mutation ($input: CreateInvoiceInput!, $key: ID!) { createInvoice(input: $input, idempotencyKey: $key) {
    __typename ... on Refusal { code } ... on Invoice { id prices taxRounding subtotal { amount } taxAmount { amount }
    vatAmount { amount } grandTotal { amount } lineItems { vatCategory vatRate amount { amount }
    taxes { taxCode kind percent amount { amount } } } } } }"""
ADOPT = """mutation ($key: ID!) { adoptTaxPack(name: "bangladesh", idempotencyKey: $key) {
    __typename ... on BookPolicy { taxPack } } }"""
IDENTIFY = """mutation ($input: CompanyIdentityInput!, $key: ID!) {
    setCompanyIdentity(input: $input, idempotencyKey: $key) { __typename ... on Refusal { code }
    ... on BookPolicy { identity { name tin bin } } } }"""
DEFINE = """mutation ($input: DefineTaxCodeInput!, $key: ID!) { defineTaxCode(input: $input, idempotencyKey: $key) {
    __typename ... on Refusal { code } ... on TaxCode { code kind rates { validFrom validUntil percent } } } }"""
RATE = """mutation ($key: ID!) { setTaxRate(code: "CESS1", input: {validFrom: "2027-07-01", percent: "2"},
    idempotencyKey: $key) { ... on TaxCode { rates { percent } isActive } } }"""
GONE = """mutation ($key: ID!) { deactivateTaxCode(code: "CESS1", reason: "nobody asks for it", idempotencyKey: $key) {
    ... on TaxCode { isActive } } }"""
BACK = """mutation ($key: ID!) { reactivateTaxCode(code: "CESS1", reason: "somebody asks now",
    idempotencyKey: $key) {
    ... on TaxCode { isActive } } }"""


@pytest.mark.integration
def test_taxes_over_graphql(serving: Serving) -> None:
    assert serving.ask(ADOPT, key=key()).data == {"__typename": "BookPolicy", "taxPack": "bangladesh"}
    customer = next(iter(serving.world.records))
    lines = [{"description": "Rice", "quantity": "1", "unitPrice": "138.00", "taxCodes": ["SD20", "VAT15"]}]
    asked = {
        "customerId": customer,
        "invoiceDate": "2026-11-23",
        "dueDate": "2026-12-23",
        "prices": "INCLUSIVE",
        "taxRounding": "DOCUMENT",
        "lineItems": lines,
    }
    made = serving.ask(CREATE, input=asked, key=key()).data
    assert made["subtotal"]["amount"] == "100.00"
    assert (made["vatAmount"]["amount"], made["taxAmount"]["amount"]) == ("18.00", "38.00")
    assert (made["grandTotal"]["amount"], made["prices"], made["taxRounding"]) == (
        "138.00",
        "INCLUSIVE",
        "DOCUMENT",
    )
    [shown] = made["lineItems"]
    assert (shown["vatCategory"], shown["vatRate"]) == ("STANDARD", "15")
    assert [(one["taxCode"], one["percent"], one["amount"]["amount"]) for one in shown["taxes"]] == [
        ("SD20", "20", "20.00"),
        ("VAT15", "15", "18.00"),
    ]
    lines[0]["taxCodes"] = ["VAT99"]
    assert serving.ask(CREATE, input=asked, key=key()).data == {
        "__typename": "Refusal",
        "code": "tax-code-unknown",
    }
    who = {"name": "Padma Traders", "address": "Dhaka", "tin": "123456789012", "bin": "1234567890123"}
    assert serving.ask(IDENTIFY, input=who, key=key()).data["identity"]["bin"] == who["bin"]
    wrong = serving.ask(IDENTIFY, input=who | {"bin": "123"}, key=key()).data
    assert wrong["code"] == "tax-identity-malformed"


@pytest.mark.integration
def test_codes_are_kept_over_graphql(serving: Serving) -> None:
    rate = {"validFrom": "2026-07-01", "validUntil": "2027-06-30", "percent": "1.5"}
    code = {"code": "CESS1", "name": "A cess", "kind": "VAT", "rate": rate}
    assert serving.ask(DEFINE, input=code, key=key()).data["rates"] == [rate]
    assert serving.ask(DEFINE, input=code, key=key()).data["code"] == "tax-code-taken"
    assert serving.ask(RATE, key=key()).data["rates"] == [{"percent": "1.5"}, {"percent": "2"}]
    assert serving.ask(GONE, key=key()).data == {"isActive": False}
    assert serving.ask(BACK, key=key()).data == {"isActive": True}
    listed = serving.ask("{ taxCodes { code kind isActive recoverable onDuty form name version } }").data
    assert "CESS1" in [one["code"] for one in listed]
    [bangladesh] = serving.ask("{ taxPacks { name codes taxInvoiceForm tinDigits binDigits } }").data
    assert (bangladesh["taxInvoiceForm"], bangladesh["binDigits"]) == ("Mushak-6.3", 13)
