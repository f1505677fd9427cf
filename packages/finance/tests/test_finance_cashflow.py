"""Cash flow: what entries with cash were for, and nothing else; it comes to what the cash accounts changed by."""

from datetime import UTC, date, datetime
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from finance import cashflow, journal
from finance.account import Account
from finance.report import Balance

Desk = Any
FLOW = """query ($input: CashFlowInput!) { cashFlow(input: $input) { isTied openingBalance { amount }
    closingBalance { amount } activities { activity total { amount } lines { accountCode amount { amount } } } } }"""
NOVEMBER = {"from": "2026-11-01", "to": "2026-11-30"}


def held(code: str, account_type: str, net: int) -> Balance:
    one = Account(id=code, code=code, name="An account", account_type=account_type, currency="BDT")
    return Balance(account=one, debit_minor=max(net, 0), credit_minor=max(-net, 0))


@pytest.mark.parametrize(
    ("code", "account_type", "activity"),
    [
        ("1200", "ASSET", "OPERATING"),
        ("1500", "ASSET", "INVESTING"),
        ("1999", "ASSET", "INVESTING"),
        ("2000", "LIABILITY", "OPERATING"),
        ("2500-01", "LIABILITY", "FINANCING"),
        ("3000", "EQUITY", "FINANCING"),
        ("5200", "EXPENSE", "OPERATING"),
    ],
)
def test_what_money_is_for_is_told_by_the_account_on_the_other_side(
    code: str, account_type: str, activity: str
) -> None:
    assert cashflow.activity_of(held(code, account_type, 1).account) == activity


def test_a_flow_that_lacks_an_entry_shows() -> None:
    before, until = [held("1000", "ASSET", 5)], [held("1000", "ASSET", 12), held("4000", "REVENUE", -7)]
    whole = cashflow.cash_flow(before, until, {"4000": 7}, revalued="1090")
    assert (whole.is_tied, whole.opening_minor, whole.closing_minor) == (True, 5, 12)
    assert not cashflow.cash_flow(before, until, {"4000": 6}, revalued="1090").is_tied


async def entered(desk: Desk, debit: str, credit: str, minor: int, day: date) -> None:
    lines = (
        journal.Line(account_id=desk.account(debit), debit_minor=minor),
        journal.Line(account_id=desk.account(credit), credit_minor=minor),
    )
    asked = msgspec.structs.replace(desk.sale(day=day), lines=lines)
    await desk.books.create_journal(desk.caller, str(uuid4()), asked, post=True)


@pytest.mark.integration
async def test_money_is_told_by_what_it_was_for_and_ties_by_day_and_as_it_was_known(desk: Desk) -> None:
    day = date(2026, 11, 10)
    await entered(desk, "1010", "3000", 500_00, date(2026, 10, 1))  # before
    await entered(desk, "1010", "3000", 1_000_00, day)
    await entered(desk, "1500", "1010", 300_00, day)
    await entered(desk, "1000", "1010", 50_00, day)  # from the bank to the till
    await entered(desk, "5200", "2100", 70_00, day)  # owed, not paid
    one = await desk.invoice_approved(100_00)
    await desk.payment_completed(one.id, 115_00)
    later = datetime(2026, 12, 5, 12, tzinfo=UTC)
    desk.clock.instant = later
    await entered(desk, "5200", "1000", 20_00, day)  # known later
    now = await desk.asked(FLOW, input=NOVEMBER)
    assert now["isTied"]
    assert (now["openingBalance"]["amount"], now["closingBalance"]["amount"]) == ("500.00", "1295.00")
    told = {
        one["activity"]: (
            one["total"]["amount"],
            [(it["accountCode"], it["amount"]["amount"]) for it in one["lines"]],
        )
        for one in now["activities"]
    }
    assert told == {
        "OPERATING": ("95.00", [("1200", "115.00"), ("5200", "-20.00")]),
        "INVESTING": ("-300.00", [("1500", "-300.00")]),
        "FINANCING": ("1000.00", [("3000", "1000.00")]),
        "EXCHANGE": ("0.00", []),
    }
    known = await desk.asked(FLOW, input=NOVEMBER | {"knownOn": "2026-11-30"})
    assert (known["isTied"], known["closingBalance"]["amount"]) == (True, "1315.00")


@pytest.mark.integration
async def test_money_in_another_currency_ties_at_its_worth(desk: Desk) -> None:
    await desk.rate_set("140", date(2026, 11, 1))
    one = await desk.invoice_approved(100_00, currency="EUR")
    await desk.rate_set("145", date(2026, 11, 24))
    await desk.payment_completed(one.id, 115_00, day=date(2026, 11, 25), currency="EUR")
    shown = await desk.asked(FLOW, input=NOVEMBER)
    assert shown["isTied"]
    assert shown["closingBalance"]["amount"] == "16675.00"
    operating = shown["activities"][0]
    assert [(it["accountCode"], it["amount"]["amount"]) for it in operating["lines"]] == [
        ("1200", "16100.00"),
        ("4900", "575.00"),
    ]
