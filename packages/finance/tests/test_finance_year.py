"""The end of a fiscal year: earnings go to retained earnings, all of it or nothing, and back until it is locked."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finance import journal, year
from finance.adapters.postgres.store import PostgresBook
from finance.control import check
from finance.refusal import (
    PeriodClosed,
    PeriodLocked,
    PeriodMalformed,
    Refused,
    YearNotClosed,
    YearOutOfOrder,
)
from finance.verify import examine
from finance.year import Net

Desk = Any
Serving = Any
NAME, LAST, NEXT = "FY2026-2027", date(2027, 6, 30), date(2027, 7, 1)
WHY = "an invoice came late"


def key() -> str:
    return str(uuid4())


nets = st.builds(
    Net,
    account_id=st.uuids().map(str),
    currency=st.sampled_from(["BDT", "EUR", "USD"]),
    minor=st.integers(-(10**12), 10**12),
    base_minor=st.integers(-(10**12), 10**12),
).map(lambda one: replace(one, minor=0) if one.currency == "BDT" else one)


@given(st.lists(nets, max_size=8))
def test_whatever_was_earned_each_closing_entry_balances_and_takes_it_away(found: Sequence[Net]) -> None:
    made = year.entries(found, fiscal_year=NAME, year_id="y", earnings_id="3900", new_id=key)
    left = {(one.account_id, one.currency): [one.minor, one.base_minor] for one in found}
    for entry in made:
        for line in entry.lines:
            assert journal.one_sided(line) == line
            assert entry.currency == "BDT" or not journal.unvalued(line)
        debits, credits_ = zip(*(journal.base(line, entry.currency) for line in entry.lines), strict=True)
        assert sum(debits) == sum(credits_)
        assert sum(line.debit_minor - line.credit_minor for line in entry.lines) == 0
        for line in entry.lines:
            if (line.account_id, entry.currency) in left:
                sums = left[line.account_id, entry.currency]
                sums[0] += line.debit_minor - line.credit_minor
                debit, credit = journal.base(line, entry.currency)
                sums[1] += debit - credit
    for (_, currency), (minor, base_minor) in left.items():
        assert base_minor == 0
        assert currency == "BDT" or minor == 0


def test_a_year_nobody_closed_is_neither_reopened_nor_locked() -> None:
    for command in (
        year.Reopen(fiscal_year=NAME, reason=WHY, reversing_journal_ids=()),
        year.Lock(fiscal_year=NAME),
    ):
        with pytest.raises(YearNotClosed) as told:
            year.decide(None, command)
        assert told.value.code == "year-not-closed"
    with pytest.raises(PeriodMalformed):
        year.stream(key(), "2026")


# On a real ledger

SHEET = """query ($input: BalanceSheetInput!) { balanceSheet(input: $input) { isBalanced earnings { amount }
    assets { total { amount } } equity { total { amount } lines { accountCode amount { amount } } }
    liabilitiesAndEquity { amount } } }"""
PROFIT = """query ($input: ProfitAndLossInput!) { profitAndLoss(input: $input) { profit { amount } } }"""
TRIAL = """query ($input: TrialBalanceInput!) { trialBalance(input: $input) {
    summary { isBalanced } entries { accountCode netBalance { amount } } } }"""


async def traded(desk: Desk) -> None:
    """A year with sales in two currencies, on an account of another currency too, and something spent."""
    await desk.rate_set("140", date(2026, 7, 1))
    await desk.invoice_approved(1_000_00)
    await desk.invoice_approved(100_00, currency="EUR")
    await desk.voucher_approved("BILL", 300_00)
    abroad = await desk.books.create_account(
        desk.caller,
        key(),
        code="4100",
        name="Sales abroad",
        account_type="REVENUE",
        currency="EUR",
        parent_id=None,
    )
    sale = journal.Create(
        journal_id="",
        journal_date=date(2027, 1, 5),
        journal_type="GENERAL",
        description="A sale abroad",
        currency="EUR",
        lines=(
            journal.Line(account_id=desk.account("1010"), debit_minor=7_00),
            journal.Line(account_id=abroad.id, credit_minor=7_00),
        ),
    )
    await desk.books.create_journal(desk.caller, key(), sale, post=True)


async def trial(desk: Desk, name: str, as_of: date) -> dict[str, str]:
    shown = await desk.asked(TRIAL, input={"fiscalYear": name, "asOfDate": as_of.isoformat()})
    assert shown["summary"]["isBalanced"]
    held = {one["accountCode"]: one["netBalance"]["amount"] for one in shown["entries"]}
    return {code: amount for code, amount in held.items() if amount != "0.00"}


async def sheet(desk: Desk, as_of: date) -> Any:
    shown = await desk.asked(SHEET, input={"asOf": as_of.isoformat()})
    assert shown["isBalanced"]
    return shown


@pytest.mark.integration
async def test_a_closed_year_ties_and_the_next_one_opens_with_what_it_left(desk: Desk) -> None:
    await traded(desk)
    before, was = await trial(desk, NAME, LAST), await sheet(desk, LAST)
    profit = {"input": {"from": "2026-07-01", "to": LAST.isoformat()}}
    earned = await desk.asked(PROFIT, **profit)
    closed = await desk.books.years.close(desk.caller, key(), NAME)
    assert (closed.status, len(closed.journal_ids)) == ("CLOSED", 2)
    after, now = await trial(desk, NAME, LAST), await sheet(desk, LAST)
    real = {code for code in before if code[0] in "123"}
    assert {code: after[code] for code in real} == {code: before[code] for code in real}
    assert {code for code in after if code[0] in "45"} == set()
    assert after["3900"] == f"-{earned['profit']['amount']}" == f"-{was['earnings']['amount']}"
    assert (now["earnings"]["amount"], now["assets"]) == ("0.00", was["assets"])
    assert now["liabilitiesAndEquity"] == was["liabilitiesAndEquity"]
    assert await desk.asked(PROFIT, **profit) == earned
    assert await trial(desk, "FY2027-2028", NEXT) == after  # its opening balances
    with pytest.raises(PeriodClosed):
        await desk.books.create_journal(desk.caller, key(), desk.sale(day=LAST), post=True)
    later = await desk.books.create_journal(desk.caller, key(), desk.sale(day=NEXT), post=True)
    assert later.status == "POSTED"
    found = examine(await desk.log())
    check(await desk.log(), found)
    assert (found.verdict, found.faults) == ("pass", [])


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.integration
@pytest.mark.parametrize("step", ["append", "remember"])
async def test_a_closing_that_was_killed_is_run_again_with_the_same_result(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    await traded(desk)
    before, same = await desk.ledger.events(desk.ledger.tenant), key()
    whole = getattr(PostgresBook, step)

    async def dies(self: PostgresBook, *given_: Any, **named: Any) -> None:
        await whole(self, *given_, **named)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(PostgresBook, step, dies)
        with pytest.raises(Killed):
            await desk.books.years.close(desk.caller, same, NAME)
    assert await desk.ledger.events(desk.ledger.tenant) == before
    closed = await desk.books.years.close(desk.caller, same, NAME)
    many = await desk.ledger.events(desk.ledger.tenant)
    assert await desk.books.years.close(desk.caller, same, NAME) == closed
    assert await desk.books.years.close(desk.caller, key(), NAME) == closed  # another key: done already
    assert await desk.ledger.events(desk.ledger.tenant) == many
    assert {code for code in await desk.balances(last=LAST) if code[0] in "45"} == set()


@pytest.mark.integration
async def test_a_closing_is_taken_back_and_made_again_with_what_came_late(desk: Desk) -> None:
    await traded(desk)
    before = await desk.balances(last=LAST)
    closed = await desk.books.years.close(desk.caller, key(), NAME)
    with pytest.raises(Exception, match="belongs to"):
        await desk.books.reverse_journal(desk.caller, key(), closed.journal_ids[0], NEXT)
    opened = await desk.books.years.reopen(desk.caller, key(), NAME, reason=WHY)
    assert (opened.status, opened.reason) == ("OPEN", WHY)
    assert await desk.balances(last=LAST) == before
    await desk.books.create_journal(desk.caller, key(), desk.sale(5_00, day=LAST), post=True)
    await desk.books.years.close(desk.caller, key(), NAME)
    assert (await desk.balances(last=LAST))["3900"] == sum(
        minor for code, minor in before.items() if code[0] in "45"
    ) - 5_00


@pytest.mark.integration
async def test_a_locked_year_is_closed_for_good(desk: Desk) -> None:
    await traded(desk)
    locked = await desk.books.years.close(desk.caller, key(), NAME, to="LOCKED")
    assert locked.status == "LOCKED"
    before = await desk.ledger.events(desk.ledger.tenant)
    with pytest.raises(PeriodLocked):
        await desk.books.years.reopen(desk.caller, key(), NAME, reason=WHY)
    with pytest.raises(PeriodLocked):
        await desk.books.closing.reopen_period(desk.caller, key(), f"{NAME}-P12", reason=WHY)
    assert (await desk.books.years.close(desk.caller, key(), NAME)).status == "LOCKED"
    assert await desk.ledger.events(desk.ledger.tenant) == before


@pytest.mark.integration
async def test_years_are_closed_in_their_order_and_reopened_the_last_one_first(desk: Desk) -> None:
    desk.clock.instant = datetime(2027, 8, 1, tzinfo=UTC)
    await desk.books.create_journal(desk.caller, key(), desk.sale(), post=True)
    with pytest.raises(YearOutOfOrder) as told:
        await desk.books.years.close(desk.caller, key(), "FY2027-2028")
    assert told.value.code == "year-out-of-order"
    with pytest.raises(YearNotClosed):
        await desk.books.years.reopen(desk.caller, key(), NAME, reason=WHY)
    await desk.books.years.close(desk.caller, key(), NAME)
    nothing = await desk.books.years.close(desk.caller, key(), "FY2027-2028")
    assert (nothing.status, nothing.journal_ids) == ("CLOSED", ())
    with pytest.raises(YearOutOfOrder):
        await desk.books.years.reopen(desk.caller, key(), NAME, reason=WHY)


@pytest.mark.integration
async def test_who_posts_while_a_year_is_closed_is_in_the_closing_or_refused(desk: Desk) -> None:
    await desk.books.create_journal(desk.caller, key(), desk.sale(100_00), post=True)
    done = await asyncio.gather(
        *(desk.books.create_journal(desk.caller, key(), desk.sale(1_00), post=True) for _ in range(6)),
        desk.books.years.close(desk.caller, key(), NAME),
        *(desk.books.create_journal(desk.caller, key(), desk.sale(1_00), post=True) for _ in range(6)),
        return_exceptions=True,
    )
    assert {type(one) for one in done} <= {journal.Journal, year.Year, PeriodClosed}
    posted = sum(isinstance(one, journal.Journal) for one in done)
    held = await desk.balances(last=LAST)
    assert held == {"1000": 100_00 + posted * 1_00, "3900": -100_00 - posted * 1_00}


CLOSE = """mutation ($to: YearClosing!, $key: ID!) {
    closeYear(fiscalYear: "FY2024-2025", to: $to, idempotencyKey: $key) { __typename ... on Refusal { code }
    ... on FiscalYear { name status firstDay lastDay closingJournalIds } } }"""
REOPEN = """mutation ($key: ID!) {
    reopenYear(fiscalYear: "FY2024-2025", reason: "an invoice came late", idempotencyKey: $key) { __typename
    ... on Refusal { code } ... on FiscalYear { status reason } } }"""


@pytest.mark.integration
def test_a_year_over_graphql(serving: Serving) -> None:
    assert serving.ask(REOPEN, key=key()).data["code"] == "year-not-closed"
    closed = serving.ask(CLOSE, to="CLOSED", key=key()).data
    assert (closed["status"], closed["lastDay"], closed["closingJournalIds"]) == ("CLOSED", "2025-06-30", [])
    assert serving.ask(REOPEN, key=key()).data == {
        "__typename": "FiscalYear",
        "status": "OPEN",
        "reason": "an invoice came late",
    }
    assert serving.ask(CLOSE, to="LOCKED", key=key()).data["status"] == "LOCKED"
    assert serving.ask(REOPEN, key=key()).data["code"] == "period-locked"
    shown = serving.ask('{ fiscalYear(name: "FY2024-2025") { status version } }').data
    assert shown == {"status": "LOCKED", "version": 4}


async def refusal_of(work: Any) -> str:
    with pytest.raises(Refused) as told:
        await work
    return told.value.code


@pytest.mark.integration
async def test_what_a_year_was_closed_with_stays_so_whatever_day_somebody_tries(desk: Desk) -> None:
    """Books that were closed are changed by no entry of an earlier day, though nobody closed anything there."""
    await desk.books.create_journal(desk.caller, key(), desk.sale(7), post=True)
    await desk.books.years.close(desk.caller, key(), NAME)
    closed = await sheet(desk, LAST)
    for day in (date(2024, 8, 1), date(2026, 6, 30), date(2026, 11, 1), LAST):
        assert await refusal_of(
            desk.books.create_journal(desk.caller, key(), desk.sale(5, day), post=True)
        ) == ("period-closed"), day
    draft = await desk.invoice_drafted(day=date(2025, 5, 5))
    assert await refusal_of(desk.books.approve_invoice(desk.caller, key(), draft.id)) == "period-closed"
    await desk.books.closing.close_period(desk.caller, key(), "FY2025-2026-P12", to="CLOSED")
    for name in ("FY2026-2027-P05", "FY2025-2026-P12"):
        work = desk.books.closing.reopen_period(desk.caller, key(), name, reason=WHY)
        assert await refusal_of(work) == "year-out-of-order", name
    await desk.books.create_journal(desk.caller, key(), desk.sale(3, NEXT), post=True)
    assert await sheet(desk, LAST) == closed
    await desk.books.years.reopen(desk.caller, key(), NAME, reason=WHY)
    await desk.books.create_journal(desk.caller, key(), desk.sale(5, date(2026, 5, 29)), post=True)
    assert await refusal_of(desk.books.years.close(desk.caller, key(), NAME)) == "year-out-of-order"


@pytest.mark.integration
async def test_who_posts_before_a_year_while_it_is_closed_is_in_it_or_refused(desk: Desk) -> None:
    before = date(2025, 8, 1)
    works = [desk.books.create_journal(desk.caller, key(), desk.sale(5, before), post=True) for _ in range(6)]
    works.insert(3, desk.books.years.close(desk.caller, key(), NAME))
    done = await asyncio.gather(*works, return_exceptions=True)
    posted = [one for one in done if isinstance(one, journal.Journal)]
    refused = {one.code for one in done if isinstance(one, Refused)}
    if isinstance(done[3], Refused):  # somebody was first: the year before has earnings of its own
        assert (len(posted), refused) == (6, {"year-out-of-order"})
    else:
        assert (posted, refused) == ([], {"period-closed"})


@pytest.mark.integration
async def test_a_year_that_has_not_begun_is_not_closed_and_no_entry_is_of_a_day_that_nobody_meant(
    desk: Desk,
) -> None:
    assert await refusal_of(desk.books.years.close(desk.caller, key(), "FY2027-2028")) == "date-malformed"
    for day in (date(206, 8, 10), date(1900, 6, 30), date(2199, 7, 1), date.max):
        work = desk.books.create_journal(desk.caller, key(), desk.sale(5, day), post=True)
        assert await refusal_of(work) == "date-malformed", day
