"""What reports say of a revaluation, on a real ledger: they tie, and their figures lead to its entries."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from test_finance_revaluation import BEGUN, END, NEXT, key, revalued, undone

from finance.control import check
from finance.exports.catalogue import find, read
from finance.exports.making import make
from finance.refusal import PeriodClosed
from finance.verify import examine

Desk = Any

SHOWN = """query ($asOf: Date!) { revaluation(asOf: $asOf) { isCurrent difference { amount } posted { amount }
    entry { journalNumber } lines { accountCode balance { amount currency } worth { amount } rate rateSince
    worthAtRate { amount } difference { amount } posted { amount } } } }"""
SHEET = """query ($input: BalanceSheetInput!) { balanceSheet(input: $input) { isBalanced earnings { amount }
    assets { lines { accountCode amount { amount } } } } }"""
FLOW = """query ($input: CashFlowInput!) { cashFlow(input: $input) { isTied openingBalance { amount }
    closingBalance { amount } closingFigure activities { activity figure total { amount }
    lines { accountCode figure amount { amount } } } } }"""
AGEING = """query ($input: AgeingInput!) { ageing(input: $input) { control { amount } totals { total { amount } } } }"""
MADE_OF = """query ($figure: ID!) { figureEntries(figure: $figure, first: 50) { amount { amount } nodes {
    amount { amount } journal { description origin { rule makers approvers documentId
    reverses { journalNumber } reversedBy { journalNumber } } } } } }"""


def by_code(lines: Any) -> dict[str, str]:
    return {one["accountCode"]: one["amount"]["amount"] for one in lines}


async def traded(desk: Desk, day: date) -> None:
    """A receivable of 1,000.00 and 200.00 in the bank, in euros at 130; at 132.5 on the day and 131 after it."""
    for rate, since in (("130", BEGUN), ("132.5", day), ("131", day + timedelta(days=9))):
        await desk.rate_set(rate, since)
    await desk.invoice_approved(1_000_00, day - timedelta(days=9), "EUR", vat="EXEMPT")
    await desk.paid(200_00, day - timedelta(days=9), "EUR", customer_id=desk.customer)


@pytest.mark.integration
async def test_every_statement_ties_and_every_figure_leads_to_its_entries(desk: Desk) -> None:
    await traded(desk, END)
    before = await desk.asked(SHOWN, asOf=END.isoformat())
    assert [
        tuple(one[name] if isinstance(one[name], str) else one[name]["amount"] for name in one)
        for one in before["lines"]
    ] == [
        ("1010", "200.00", "26000.00", "132.5", "2026-10-31", "26500.00", "500.00", "0.00"),
        ("1200", "1000.00", "130000.00", "132.5", "2026-10-31", "132500.00", "2500.00", "0.00"),
    ]
    assert (before["isCurrent"], before["entry"]) == (None, None)
    made = await revalued(desk)
    assert (await desk.asked(SHOWN, asOf=END.isoformat()))["isCurrent"] is True
    shown = await desk.asked(SHEET, input={"asOf": END.isoformat()})
    assert shown["isBalanced"]
    assets = by_code(shown["assets"]["lines"])
    assert (assets["1010"], assets["1090"], assets["1200"], assets["1290"]) == (
        "26000.00",
        "500.00",
        "130000.00",
        "2500.00",
    )
    assert shown["earnings"]["amount"] == "133000.00"
    flow = await desk.asked(FLOW, input={"from": BEGUN.isoformat(), "to": END.isoformat()})
    assert flow["isTied"]
    assert flow["closingBalance"]["amount"] == "26500.00"
    effect = flow["activities"][3]
    assert (effect["activity"], effect["total"]["amount"]) == ("EXCHANGE", "500.00")
    assert by_code(effect["lines"]) == {"1090": "500.00"}
    assert by_code(flow["activities"][0]["lines"]) == {"2300": "26000.00"}
    for figure, amount in (
        (flow["closingFigure"], "26500.00"),
        (effect["figure"], "500.00"),
        (effect["lines"][0]["figure"], "500.00"),
        (flow["activities"][0]["figure"], "26000.00"),
    ):
        told = await desk.asked(MADE_OF, figure=figure)
        assert told["amount"]["amount"] == amount
    [node] = (await desk.asked(MADE_OF, figure=effect["figure"]))["nodes"]
    assert node["journal"]["origin"] == {
        "rule": "REVALUATION",
        "makers": ["rahim"],
        "approvers": ["rahim"],
        "documentId": None,
        "reverses": None,
        "reversedBy": {"journalNumber": "RJ-2026-11-000001"},
    }
    november = await desk.asked(FLOW, input={"from": NEXT.isoformat(), "to": "2026-11-30"})
    assert (november["isTied"], november["activities"][3]["total"]["amount"]) == (True, "-500.00")
    aged = await desk.asked(AGEING, input={"side": "SALES", "asOf": END.isoformat()})
    assert aged["control"]["amount"] == aged["totals"]["total"]["amount"] == "104000.00"
    log = await desk.log()
    found = examine(log)
    check(log, found)
    assert (found.faults, made.status) == ([], "REVERSED")


@pytest.mark.integration
async def test_what_is_posted_back_into_a_revalued_day_shows_until_it_is_done_again(desk: Desk) -> None:
    await traded(desk, END)
    twice = await asyncio.gather(revalued(desk), revalued(desk), return_exceptions=True)
    assert sorted(type(one).__name__ for one in twice) == ["CurrenciesRevaluedAlready", "Journal"]
    await desk.invoice_approved(10_00, END - timedelta(days=9), "EUR", vat="EXEMPT")
    late = await desk.asked(SHOWN, asOf=END.isoformat())
    assert (late["isCurrent"], late["difference"]["amount"], late["posted"]["amount"]) == (
        False,
        "3025.00",
        "3000.00",
    )
    assert [(one["difference"]["amount"], one["posted"]["amount"]) for one in late["lines"]] == [
        ("500.00", "500.00"),
        ("2525.00", "2500.00"),
    ]
    await undone(desk)
    assert (await desk.asked(SHOWN, asOf=END.isoformat()))["isCurrent"] is None
    again = await revalued(desk)
    now = await desk.asked(SHOWN, asOf=END.isoformat())
    assert (now["isCurrent"], now["posted"]["amount"]) == (True, "3025.00")
    assert now["entry"]["journalNumber"] == again.number == "AJ-2026-10-000002"
    export = find("currency-revaluation", "csv")
    made = await make(export, "csv", read(export, [("asOf", END.isoformat())]), await desk.context())
    with made.file as file:
        rows = file.read().decode("utf-8-sig").splitlines()
    assert [one.split(",")[0] for one in rows[-3:]] == ["1010", "1200", "Total"]
    bank = (
        "1010",
        "Bank",
        "200.00",
        "EUR",
        "26000.00",
        "132.5",
        "2026-10-31",
        "26500.00",
        "500.00",
        "500.00",
    )
    assert rows[-3] == ",".join(bank)
    assert rows[-1].endswith(",3025.00,3025.00")


@pytest.mark.integration
async def test_a_year_closes_with_a_revaluation_on_its_last_day_and_opens_again(desk: Desk) -> None:
    last, first = date(2027, 6, 30), date(2027, 7, 1)
    desk.clock.instant = datetime(2027, 7, 20, 8, tzinfo=UTC)
    await traded(desk, last)
    await revalued(desk, last)
    years = desk.books.years
    await years.close(desk.caller, key(), "FY2026-2027")
    assert (await desk.balances(last=last))["3900"] == -133_000_00
    assert await desk.balances(first=first) == {"1090": -500_00, "1290": -2_500_00, "4910": 3_000_00}
    with pytest.raises(PeriodClosed):
        await undone(desk, last)
    await years.reopen(desk.caller, key(), "FY2026-2027", reason="the closing rate was another")
    await undone(desk, last)
    await years.close(desk.caller, key(), "FY2026-2027")
    assert (await desk.balances(last=last))["3900"] == -130_000_00
    assert await desk.balances(first=first) == {}
