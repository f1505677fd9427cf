"""Reports: the same entries give the same figures, by the day they are of and as they were known on any day."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finance import account, report, settlement, voucher
from finance.account import Account
from finance.report import Balance, Item, Movement

Desk = Any
Serving = Any
DAY = date(2026, 11, 23)


def key() -> str:
    return str(uuid4())


def of(account_type: str, debit: int, credit: int, code: str = "1000") -> Balance:
    one = Account(id=code, code=code, name="An account", account_type=account_type, currency="BDT")
    return Balance(account=one, debit_minor=debit, credit_minor=credit)


def move(net: int, entry: str = "j", day: date = DAY) -> Movement:
    return Movement(
        account_id="a",
        day=day,
        debit_minor=max(net, 0),
        credit_minor=max(-net, 0),
        journal_id=entry,
        number="GJ-2026-11-000001",
        description="A sale",
    )


entries = st.lists(
    st.tuples(st.sampled_from(account.TYPES), st.sampled_from(account.TYPES), st.integers(1, 10**12)),
    max_size=20,
)


@given(entries)
def test_whatever_is_posted_the_balance_sheet_balances_and_its_earnings_are_the_profit(
    posted: list[tuple[str, str, int]],
) -> None:
    balances = [
        of(
            one,
            sum(minor for debit, _, minor in posted if debit == one),
            sum(minor for _, credit, minor in posted if credit == one),
        )
        for one in account.TYPES
    ]
    sheet = report.balance_sheet(balances)
    assert sheet.difference_minor == 0
    assert sheet.earnings_minor == report.profit_and_loss(balances).profit_minor


def test_a_ledger_that_is_broken_shows() -> None:
    assert report.balance_sheet([of("ASSET", 5, 0), of("EQUITY", 0, 4)]).difference_minor == 1


def test_revenue_and_profit_are_positive_where_more_was_earned() -> None:
    found = report.profit_and_loss([of("REVENUE", 1, 11), of("EXPENSE", 4, 0), of("ASSET", 7, 0)])
    assert (found.revenue_minor, found.expenses_minor, found.profit_minor) == (10, 4, 6)


@given(st.integers(), st.lists(st.integers()))
def test_a_ledger_ends_with_what_it_began_with_and_what_was_posted(opening: int, nets: list[int]) -> None:
    steps = report.ledger(opening, [move(net) for net in nets])
    assert [one.balance_minor for one in steps][-1:] == [opening + sum(nets)][: len(nets)]


def test_an_entry_that_changes_nothing_a_partner_owes_is_left_out() -> None:
    moved = [move(5, "a"), move(7, "b"), move(-7, "b"), move(-3, "c"), move(1, "c")]
    assert [(one.journal_id, one.net_minor) for one in report.by_entry(moved)] == [("a", 5), ("c", -2)]


@pytest.mark.parametrize(
    ("days", "bucket"),
    [(-1, 0), (0, 0), (1, 1), (30, 1), (31, 2), (60, 2), (61, 3), (90, 3), (91, 4), (3650, 4)],
)
def test_what_is_overdue_falls_into_the_bucket_of_its_days(days: int, bucket: int) -> None:
    assert report.bucket_of(DAY, DAY + timedelta(days=days)) == bucket


items = st.builds(
    Item,
    partner_id=st.sampled_from(["p", "q", None]),
    item_id=st.uuids().map(str),
    net_minor=st.integers(-(10**12), 10**12),
    due_date=st.dates(date(2026, 1, 1), date(2026, 12, 31)),
)


@given(st.lists(items, max_size=12), st.sampled_from([settlement.SALES, settlement.PURCHASE]))
def test_an_ageing_adds_up_to_what_the_control_accounts_hold(found: list[Item], side: str) -> None:
    aged = report.ageing(found, side=side, as_of=DAY)
    sign = 1 if side == settlement.SALES else -1
    assert sum(one.total_minor for one in aged) == sign * sum(one.net_minor for one in found)
    assert all(min(one.buckets) >= 0 and one.credits_minor >= 0 for one in aged)
    assert sum(len(one.items) for one in aged) == sum(one.net_minor != 0 for one in found)


# On a real ledger

PROFIT = """query ($input: ProfitAndLossInput!) { profitAndLoss(input: $input) { profit { amount }
    revenue { total { amount } lines { accountCode amount { amount } } } expenses { total { amount } } } }"""
SHEET = """query ($input: BalanceSheetInput!) { balanceSheet(input: $input) { isBalanced earnings { amount }
    assets { total { amount } lines { accountCode amount { amount } } } liabilities { total { amount } }
    equity { total { amount } } liabilitiesAndEquity { amount } } }"""
AGEING = """query ($input: AgeingInput!) { ageing(input: $input) { control { amount }
    totals { notDue { amount } days1To30 { amount } days31To60 { amount } credits { amount } total { amount } }
    partners { partnerId partner { name } items { id dueDate open { amount } } } } }"""
STATEMENT = """query ($input: StatementInput!) { statement(input: $input) { openingBalance { amount }
    closingBalance { amount }
    movements { date description debit { amount } credit { amount } balance { amount } } } }"""
LEDGER = """query ($input: GeneralLedgerInput!) { generalLedger(input: $input) { count openingBalance { amount }
    closingBalance { amount } movements { journalNumber debit { amount } credit { amount } balance { amount } } } }"""
TRIAL = """query ($input: TrialBalanceInput!) { trialBalance(input: $input) { knownOn
    entries { accountCode netBalance { amount } } summary { isBalanced } } }"""
LATER = """query ($asOf: Date!, $knownOn: Date!) { entriesKnownLater(asOf: $asOf, knownOn: $knownOn) {
    journalNumber journalDate } }"""


def on(desk: Desk, day: date) -> None:
    """From now on it is noon of this day."""
    desk.clock.instant = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)


async def trial(desk: Desk, **given_: Any) -> dict[str, str]:
    """What accounts hold, zeros left out."""
    found = await desk.asked(TRIAL, input={"fiscalYear": "FY2026-2027"} | given_)
    assert found["summary"]["isBalanced"]
    held = {one["accountCode"]: one["netBalance"]["amount"] for one in found["entries"]}
    return {code: amount for code, amount in held.items() if amount != "0.00"}


@pytest.mark.integration
async def test_november_as_it_was_known_on_the_first_of_december_and_as_it_is_known_now(desk: Desk) -> None:
    """A bill of November that arrives in December changes November, and what was told of it stays tellable."""
    on(desk, DAY)
    await desk.invoice_approved()
    on(desk, date(2026, 12, 10))
    bill = await desk.voucher_approved(voucher.BILL, 40_00, day=date(2026, 11, 28))
    november = {"from": "2026-11-01", "to": "2026-11-30"}
    then, now = ({"knownOn": "2026-12-01"}, {})
    profits = [(await desk.asked(PROFIT, input=november | known))["profit"] for known in (then, now)]
    assert [one["amount"] for one in profits] == ["100.00", "60.00"]
    sheets = [await desk.asked(SHEET, input={"asOf": "2026-11-30"} | known) for known in (then, now)]
    assert [one["earnings"]["amount"] for one in sheets] == ["100.00", "60.00"]
    assert [one["liabilities"]["total"]["amount"] for one in sheets] == ["15.00", "61.00"]
    assert all(one["isBalanced"] and one["assets"]["total"] == one["liabilitiesAndEquity"] for one in sheets)
    as_known = await trial(desk, asOfDate="2026-11-30", **then)
    assert as_known == {"1200": "115.00", "2200": "-15.00", "4000": "-100.00"}
    assert await trial(desk, asOfDate="2026-11-30") == as_known | {
        "1410": "6.00",
        "2000": "-46.00",
        "5900": "40.00",
    }
    owed = {"side": "PURCHASE", "asOf": "2026-11-30"}
    payables = [await desk.asked(AGEING, input=owed | known) for known in (then, now)]
    assert [one["totals"]["total"]["amount"] for one in payables] == ["0.00", "46.00"]
    of_vendor = {"partnerId": bill.partner_id, "side": "PURCHASE", **november}
    told = [await desk.asked(STATEMENT, input=of_vendor | known) for known in (then, now)]
    assert [one["closingBalance"]["amount"] for one in told] == ["0.00", "46.00"]
    ledger = {"accountId": desk.account("5900"), "to": "2026-11-30"}
    counts = [(await desk.asked(LEDGER, input=ledger | known))["count"] for known in (then, now)]
    assert counts == [0, 1]
    later = await desk.asked(LATER, asOf="2026-11-30", knownOn="2026-12-01")
    assert later == [{"journalNumber": "PJ-2026-11-000001", "journalDate": "2026-11-28"}]
    assert await desk.asked(LATER, asOf="2026-11-30", knownOn="2026-12-10") == []
    assert await desk.asked(LATER, asOf="2026-11-27", knownOn="2026-12-01") == []


@pytest.mark.integration
async def test_a_record_date_ends_with_its_last_instant(desk: Desk) -> None:
    desk.clock.instant = datetime(2026, 11, 23, 23, 59, 59, 999999, tzinfo=UTC)
    await desk.books.create_journal(desk.caller, key(), desk.sale(), post=True)
    desk.clock.instant += timedelta(microseconds=1)
    await desk.books.create_journal(desk.caller, key(), desk.sale(), post=True)
    assert (await trial(desk, knownOn="2026-11-22"), await trial(desk)) == (
        {},
        {"1000": "0.10", "4000": "-0.10"},
    )
    assert (await trial(desk, knownOn="2026-11-23"))["1000"] == "0.05"
    assert (await trial(desk, knownOn="9999-12-31"))["1000"] == "0.10"
    [later] = await desk.asked(LATER, asOf="2026-11-30", knownOn="2026-11-23")
    assert later["journalNumber"] == "GJ-2026-11-000002"


@pytest.mark.integration
async def test_an_account_is_shown_page_by_page_with_the_balance_after_each_movement(desk: Desk) -> None:
    for day, minor in ((20, 1), (25, 300), (22, 20), (24, 4000)):
        await desk.books.create_journal(desk.caller, key(), desk.sale(minor, date(2026, 11, day)), post=True)
    asked = {"accountId": desk.account("4000"), "from": "2026-11-21", "to": "2026-11-25"}
    whole = await desk.asked(LEDGER, input=asked)
    assert (whole["openingBalance"], whole["count"]) == ({"amount": "-0.01"}, 3)
    balances = [one["balance"]["amount"] for one in whole["movements"]]
    assert balances == ["-0.21", "-40.21", "-43.21"]
    assert whole["closingBalance"] == {"amount": "-43.21"}
    pages = [await desk.asked(LEDGER, input=asked | {"limit": 2, "offset": offset}) for offset in (0, 2)]
    assert [one for page in pages for one in page["movements"]] == whole["movements"]
    assert all(page["closingBalance"] == whole["closingBalance"] for page in pages)
    everything = await desk.asked(LEDGER, input=asked | {"from": None})
    assert (everything["openingBalance"], everything["count"]) == ({"amount": "0.00"}, 4)
    on_its_day = await desk.asked(LEDGER, input=asked | {"from": "2026-11-22"})
    assert (on_its_day["openingBalance"], on_its_day["count"]) == ({"amount": "-0.01"}, 3)
    first = await desk.asked(LEDGER, input=asked | {"from": "0001-01-01"})
    assert first["movements"] == everything["movements"]


@pytest.mark.integration
async def test_receivables_are_aged_by_due_date_and_equal_the_control_accounts(desk: Desk) -> None:
    other = str(uuid4())
    desk.neighbours.customers.add(other)
    due = date(2026, 11, 23)
    term = await desk.voucher_approved(voucher.DEBIT_NOTE, 2_00, day=date(2026, 8, 1), due_date=due)
    late = await desk.invoice_approved(day=date(2026, 10, 1))
    paid = await desk.invoice_approved(day=date(2026, 11, 1))
    fresh = await desk.invoice_approved(day=DAY)
    await desk.paid(115_00, day=DAY, invoice_id=paid.id)
    await desk.paid(15_00, day=DAY, invoice_id=late.id)
    advance = await desk.paid(30_00, day=DAY, customer_id=other)
    note = await desk.voucher_approved(voucher.CREDIT_NOTE, 10_00)
    await desk.allocated(note, fresh, 1_50)
    await desk.settled(settlement.WRITE_OFF, fresh, 3_50)
    found = await desk.asked(AGEING, input={"asOf": "2026-11-23"})
    assert found["totals"] == {
        "notDue": {"amount": "112.30"},
        "days1To30": {"amount": "0.00"},
        "days31To60": {"amount": "100.00"},
        "credits": {"amount": "40.00"},
        "total": {"amount": "172.30"},
    }
    assert found["control"] == found["totals"]["total"]
    shown = {one["partnerId"]: one for one in found["partners"]}
    assert shown.keys() == {desk.customer, other}
    assert shown[other]["partner"] == {"name": f"Customer {other[:4]}"}
    assert shown[other]["items"] == [
        {"id": advance.id, "dueDate": "2026-11-23", "open": {"amount": "-30.00"}}
    ]
    opened = {one["id"]: one["open"]["amount"] for one in shown[desk.customer]["items"]}
    assert opened == {term.id: "2.30", late.id: "100.00", fresh.id: "110.00", note.id: "-10.00"}
    before = await desk.asked(AGEING, input={"asOf": "2026-11-22"})
    assert (before["control"], before["totals"]["total"]) == ({"amount": "232.30"}, {"amount": "232.30"})


@pytest.mark.integration
async def test_a_statement_shows_what_changed_what_is_owed_and_no_allocation(desk: Desk) -> None:
    await desk.rate_set("140", since=date(2026, 10, 1))
    await desk.invoice_approved(day=date(2026, 10, 1))
    one = await desk.invoice_approved(day=DAY)
    euros = await desk.invoice_approved(day=DAY, currency="EUR")
    money = await desk.paid(50_00, day=DAY, customer_id=desk.customer)
    await desk.allocated(money, one, 50_00)
    asked = {"partnerId": desk.customer, "from": "2026-11-01", "to": "2026-11-30"}
    found = await desk.asked(STATEMENT, input=asked)
    assert found["openingBalance"] == {"amount": "115.00"}
    assert [(step["debit"]["amount"], step["credit"]["amount"]) for step in found["movements"]] == [
        ("115.00", "0.00"),
        ("16100.00", "0.00"),
        ("0.00", "50.00"),
    ]
    assert found["closingBalance"] == found["movements"][-1]["balance"] == {"amount": "16280.00"}
    in_euros = await desk.asked(STATEMENT, input=asked | {"currency": "EUR"})
    assert [step["description"] for step in in_euros["movements"]] == [f"Invoice {euros.number}"]
    assert in_euros["closingBalance"] == {"amount": "115.00"}
    nobody = await desk.asked(STATEMENT, input=asked | {"partnerId": str(uuid4())})
    assert (nobody["movements"], nobody["closingBalance"]) == ([], {"amount": "0.00"})


@pytest.mark.integration
async def test_closing_a_year_leaves_its_profit_and_moves_it_to_equity(desk: Desk) -> None:
    await desk.books.create_journal(desk.caller, key(), desk.sale(5_00, date(2027, 6, 1)), post=True)
    await desk.books.years.close(desk.caller, key(), "FY2026-2027")
    year = {"from": "2026-07-01", "to": "2027-06-30"}

    async def figures() -> tuple[str, str, str]:
        profit, sheet = (
            await desk.asked(PROFIT, input=year),
            await desk.asked(SHEET, input={"asOf": "2027-06-30"}),
        )
        assert sheet["isBalanced"]
        return tuple(one["amount"] for one in (profit["profit"], sheet["earnings"], sheet["equity"]["total"]))

    assert await figures() == ("5.00", "0.00", "5.00")
    await desk.books.years.reopen(desk.caller, key(), "FY2026-2027", reason="an invoice came late")
    assert await figures() == ("5.00", "5.00", "0.00")


@pytest.mark.integration
async def test_what_cannot_be_reported_is_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    backwards = {"from": "2026-12-01", "to": "2026-11-30"}
    assert await desk.asked(PROFIT, input=backwards) == ["date-malformed"]
    assert await desk.asked(STATEMENT, input=backwards | {"partnerId": "c"}) == ["date-malformed"]
    cash = {"accountId": desk.account("1000"), "to": "2026-11-30"}
    assert await desk.asked(LEDGER, input=cash | backwards) == ["date-malformed"]
    assert await desk.asked(LEDGER, input=cash | {"limit": -1}) == ["page-malformed"]
    assert await desk.asked(LEDGER, input=cash | {"accountId": str(uuid4())}) == ["account-unknown"]
    await desk.invoice_approved()
    await desk.invoice_approved()
    monkeypatch.setattr("finance.inquiry.MOST_MOVEMENTS", 1)
    asked = {"partnerId": desk.customer, "from": "2026-11-01", "to": "2026-11-30"}
    assert await desk.asked(STATEMENT, input=asked) == ["report-too-large"]


@pytest.mark.integration
async def test_another_tenants_entries_are_in_no_report(desk: Desk) -> None:
    await desk.invoice_approved()
    desk.caller = replace(desk.caller, tenant_id=desk.ledger.other_tenant)
    year = {"from": "2026-07-01", "to": "2027-06-30"}
    assert (await desk.asked(PROFIT, input=year))["profit"] == {"amount": "0.00"}
    assert (await desk.asked(SHEET, input={"asOf": "2027-06-30"}))["assets"]["lines"] == []
    assert (await desk.asked(AGEING, input={"asOf": "2027-06-30"}))["partners"] == []
    assert (await desk.asked(STATEMENT, input=year | {"partnerId": desk.customer}))["movements"] == []
    assert await desk.asked(LATER, asOf="2027-06-30", knownOn="2026-01-01") == []
    assert await trial(desk, knownOn="2027-06-30") == {}
    sales = {"accountId": desk.account("4000"), "to": "2027-06-30"}
    assert await desk.asked(LEDGER, input=sales) == ["account-unknown"]


# Over HTTP


@pytest.mark.integration
def test_reports_are_for_who_may_read_them(world: Any, serving: Serving) -> None:
    asked = {"asOf": "2026-11-30"}
    assert serving.ask(SHEET, input=asked).data["isBalanced"] is True
    found = serving.ask(AGEING, input=asked | {"side": "PURCHASE"}).data
    assert found["control"] == found["totals"]["total"]
    body = orjson.dumps({"query": SHEET, "variables": {"input": asked}})
    clerk = f"Bearer {world.token(permissions=['invoice:read'])}"
    answer = serving.post(body, authorization=clerk)
    assert (answer.status, answer.code) == (403, "permission-missing")
