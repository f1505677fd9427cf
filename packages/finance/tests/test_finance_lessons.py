"""What went wrong in other ledgers and was held by no test here: docs/lessons.md has them all."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from graphql import GraphQLEnumType
from hypothesis import given
from hypothesis import strategies as st

from finance import (
    account,
    bank_file,
    cashflow,
    fiscal,
    invoice,
    journal,
    money,
    period,
    posting,
    report,
    settlement,
    taxation,
    voucher,
)
from finance.account import Account
from finance.graphql.schema import build
from finance.money import Money
from finance.refusal import TextMalformed
from finance.report import Balance
from finance.text import sized

Desk = Any
TODAY = date(2026, 11, 23)
SCHEMA = build()
KNOWN = {
    "AccountType": account.TYPES,
    "BankDateFormat": bank_file.DATE_FORMATS,
    "CashActivity": cashflow.ACTIVITIES,
    "Currency": money.DECIMALS,
    "JournalType": journal.PREFIXES,
    "PaymentMethod": posting.MONEY_ACCOUNT,
    "PeriodStatus": period.ORDER,
    "SettlementKind": settlement.KINDS,
    "Side": posting.SIDES,
    "TaxKind": taxation.KINDS,
    "VatCategory": invoice.VAT_PERCENT,
    "VoucherKind": voucher.SIDES,
}


@pytest.mark.parametrize("name", KNOWN)
def test_every_value_that_can_be_sent_is_one_that_the_books_know(name: str) -> None:
    kind = SCHEMA.type_map[name]
    assert isinstance(kind, GraphQLEnumType)
    assert set(kind.values) == set(KNOWN[name])


@given(st.integers(0, 4 * 10**9).map(lambda second: datetime.fromtimestamp(second, UTC)))
def test_a_day_begins_at_midnight_in_bangladesh(now: datetime) -> None:
    """Of UTC 18:00 the company's next day begins: half an hour later it is half past midnight in Dhaka."""
    late = now.hour >= 18
    assert fiscal.today(now) == now.date() + timedelta(days=late)


def test_what_is_due_today_is_overdue_when_the_day_is_over_in_bangladesh() -> None:
    sold = invoice.line(
        description="Rice",
        quantity=Decimal(1),
        unit_price=Money(5, "BDT"),
        vat_category="EXEMPT",
        product_id=None,
    )
    terms = invoice.Terms(customer_id="c", invoice_date=TODAY, due_date=TODAY, lines=(sold,))
    owed = invoice.Invoice(id="i", currency="BDT", terms=terms, number="INV-1")
    midnight = datetime(2026, 11, 23, 18, tzinfo=UTC)
    for now, status in ((midnight - timedelta(seconds=1), "APPROVED"), (midnight, "OVERDUE")):
        assert owed.status_on(fiscal.today(now)) == status


accounts = st.lists(st.tuples(st.integers(0, 20), st.integers(-(10**12), 10**12)), min_size=1, max_size=12)


@given(accounts)
def test_an_account_holds_what_is_below_it_too(made: list[tuple[int, int]]) -> None:
    balances = [
        Balance(
            account=Account(
                id=str(number),
                code="1000",
                name="Cash",
                account_type="ASSET",
                currency="BDT",
                parent_id=str(above) if above < number else None,
            ),
            debit_minor=max(minor, 0),
            credit_minor=max(-minor, 0),
        )
        for number, (above, minor) in enumerate(made)
    ]
    sums = report.with_below(balances)
    for one in balances:
        below = [other for other in balances if other.account.parent_id == one.account.id]
        assert sums[one.account.id] == one.net_minor + sum(sums[other.account.id] for other in below)
    tops = [sums[one.account.id] for one in balances if one.account.parent_id is None]
    assert sum(tops) == sum(one.net_minor for one in balances)


AGED = """query ($input: AgeingInput!) { ageing(input: $input) { control { amount }
    partners { items { id dueDate open { amount } } } } }"""
EARNED = """query ($input: ProfitAndLossInput!) { profitAndLoss(input: $input) { profit { amount } } }"""
TAXED = """query ($input: VatSummaryInput!) { vatSummary(input: $input) { isTied lines { section } } }"""
TRIAL = """query ($input: TrialBalanceInput!) { trialBalance(input: $input) { entries {
    accountId accountCode parentAccountId netBalance { amount } netWithBelow { amount } } } }"""
LATER = """query ($asOf: Date!, $knownOn: Date!) { entriesKnownLater(asOf: $asOf, knownOn: $knownOn, limit: 200) {
    lines { account { accountCode } debit { amount } credit { amount } } } }"""


async def still_open(desk: Desk, side: str, as_of: str = "2026-11-23") -> list[dict[str, Any]]:
    found = await desk.asked(AGED, input={"side": side, "asOf": as_of})
    return [item for one in found["partners"] for item in one["items"]]


@pytest.mark.integration
async def test_what_was_cancelled_or_taken_back_is_open_with_nobody(desk: Desk) -> None:
    one, bill = await desk.invoice_approved(), await desk.voucher_approved("BILL")
    other, paid = await desk.invoice_approved(), await desk.paid(30_00, customer_id=desk.customer)
    reason = "it was made out to somebody else"
    await desk.books.cancel_invoice(desk.caller, str(uuid4()), one.id, reason=reason)
    await desk.books.billing.cancel(desk.caller, str(uuid4()), bill.id, reason=reason, on=None)
    await desk.books.reverse_payment(desk.caller, str(uuid4()), paid.id, reason=reason)
    assert [item["id"] for item in await still_open(desk, "SALES")] == [other.id]
    assert await still_open(desk, "PURCHASE") == []


@pytest.mark.integration
async def test_open_items_are_brought_forward_with_their_days_and_without_revenue_or_tax(desk: Desk) -> None:
    """As docs/finance-api.md tells: what customers and vendors owed when the books began here."""
    terms = {"day": date(2026, 6, 30), "account_id": desk.account("3900"), "vat": "EXEMPT"}
    owed = await desk.voucher_approved("DEBIT_NOTE", 700_00, due_date=date(2026, 8, 24), **terms)
    owing = await desk.voucher_approved("BILL", 200_00, due_date=date(2026, 11, 30), **terms)
    assert await desk.balances() == {"1200": 700_00, "2000": -200_00, "3900": -500_00}
    assert await still_open(desk, "SALES") == [
        {"id": owed.id, "dueDate": "2026-08-24", "open": {"amount": "700.00"}}
    ]
    assert [item["dueDate"] for item in await still_open(desk, "PURCHASE")] == ["2026-11-30"]
    assert owing.status_on(TODAY) == "APPROVED"
    days = {"from": "2026-06-01", "to": "2026-06-30"}
    assert await desk.asked(EARNED, input=days) == {"profit": {"amount": "0.00"}}
    assert await desk.asked(TAXED, input=days) == {"isTied": True, "lines": []}


@pytest.mark.integration
async def test_what_became_known_later_adds_up_to_the_difference_account_by_account(desk: Desk) -> None:
    """And a trial balance tells what is below an account."""
    top = await desk.books.create_account(
        desk.caller,
        str(uuid4()),
        code="1000-01",
        name="The till",
        account_type="ASSET",
        currency="BDT",
        parent_id=desk.account("1000"),
    )
    await desk.books.create_journal(desk.caller, str(uuid4()), desk.sale(5), post=True)
    desk.clock.instant += timedelta(days=1)
    await desk.books.create_journal(desk.caller, str(uuid4()), desk.sale(7), post=True)
    shown = await desk.asked(TRIAL, input={"fiscalYear": "FY2026-2027"})
    before = await desk.asked(TRIAL, input={"fiscalYear": "FY2026-2027", "knownOn": str(TODAY)})
    came = await desk.asked(LATER, asOf="2027-06-30", knownOn=str(TODAY))
    moved: dict[str, int] = {}
    for line in (line for entry in came for line in entry["lines"]):
        minor = [int(line[side]["amount"].replace(".", "")) for side in ("debit", "credit")]
        code = line["account"]["accountCode"]
        moved[code] = moved.get(code, 0) + minor[0] - minor[1]
    held, was = (
        {one["accountCode"]: int(one["netBalance"]["amount"].replace(".", "")) for one in told["entries"]}
        for told in (shown, before)
    )
    assert (was["1000"], was["4000"]) == (5, -5)
    differing = {code: held[code] - was[code] for code in held if held[code] != was[code]}
    assert differing == moved == {"1000": 7, "4000": -7}
    assert top.parent_id == next(one["accountId"] for one in shown["entries"] if one["accountCode"] == "1000")
    till = next(one for one in shown["entries"] if one["accountCode"] == "1000-01")
    assert (till["parentAccountId"], till["netWithBelow"]) == (top.parent_id, {"amount": "0.00"})


@pytest.mark.parametrize(
    "told",
    [
        "a\0bc",
        "\x07\x1b[31mred",
        "INV-1 \u202e0001-VNI",
        "\u2066abc\u2069",
        "\u200b\u200b\u200b",
        "\x85abc\x85d",
    ],
)
def test_a_text_that_nobody_sees_as_it_is_is_refused(told: str) -> None:
    with pytest.raises(TextMalformed):
        sized(told, "account name", 3, 255)


@pytest.mark.parametrize(
    "told", ["চট্টগ্রাম", "ক্\u200dষ", "שלום\u200f", "a\nb\tc", "👨‍👩‍👧‍👦 ok", "e\u0301te\u0301"]
)
def test_letters_of_every_script_are_kept_with_the_marks_they_need(told: str) -> None:
    assert sized(told, "account name", 3, 255) == told
