"""Journal entries that come again and again: each due day once, in order, and never silently left out."""

import asyncio
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finance import template
from finance.authority import Rule
from finance.clerk import Rehearsed
from finance.formula_refusal import FormulaDividesByZero
from finance.refusal import (
    AccountControlled,
    DateMalformed,
    JournalUnbalanced,
    MakerIsChecker,
    PeriodClosed,
    TemplateMalformed,
    TemplateNotActive,
)
from finance.template import Asset, Create, Line, Schedule, Template, Terms, decide, evolve

Desk = Any
START = date(2026, 8, 31)


def key() -> str:
    return str(uuid4())


def terms(**changes: Any) -> Terms:
    plain = {
        "kind": "RECURRING",
        "name": "Rent",
        "currency": "BDT",
        "schedule": Schedule(frequency="MONTHLY", starts_on=START),
        "lines": (Line(account_id="5200", debit="100 * 2"), Line(account_id="1010", credit="200.00")),
    }
    return Terms(**{**plain, **changes})


def asset(method: str = "STRAIGHT_LINE", cost: int = 100_00, salvage: int = 0, life: int = 7) -> Asset:
    return Asset(
        method=method,
        cost_minor=cost,
        salvage_minor=salvage,
        life_months=life,
        expense_account_id="5900",
        accumulated_account_id="1500",
    )


def wearing(given: Asset) -> Terms:
    return terms(kind="DEPRECIATION", lines=(), asset=given)


@pytest.mark.parametrize(
    ("frequency", "days"),
    [
        ("DAILY", ["2026-08-31", "2026-09-01", "2026-09-02"]),
        ("WEEKLY", ["2026-08-31", "2026-09-07", "2026-09-14"]),
        ("MONTHLY", ["2026-08-31", "2026-09-30", "2026-10-31"]),
        ("QUARTERLY", ["2026-08-31", "2026-11-30", "2027-02-28"]),
        ("YEARLY", ["2026-08-31", "2027-08-31", "2028-08-31"]),
    ],
)
def test_a_schedule_has_these_days(frequency: str, days: list[str]) -> None:
    schedule = Schedule(frequency=frequency, starts_on=START)
    assert [schedule.due(number).isoformat() for number in range(3)] == days


@pytest.mark.parametrize(
    "bad",
    [
        terms(lines=()),
        terms(lines=(Line(account_id="a", debit="0"),)),
        terms(lines=(Line(account_id="a", debit="1"), Line(account_id="b"))),
        terms(lines=(Line(account_id="a", debit="1", credit="1"), Line(account_id="b", credit="1"))),
        terms(schedule=Schedule(frequency="DAILY", starts_on=START, ends_on=date(2026, 8, 30))),
        terms(kind="DEPRECIATION"),
        terms(asset=asset()),
        wearing(asset(cost=5, salvage=5)),
        wearing(asset(life=0)),
        msgspec.structs.replace(wearing(asset()), schedule=Schedule(frequency="DAILY", starts_on=START)),
    ],
)
def test_a_template_that_says_nothing_sensible_is_refused(bad: Terms) -> None:
    with pytest.raises(TemplateMalformed) as told:
        decide(None, Create(template_id="t", terms=bad))
    assert told.value.code == "template-malformed"


def test_a_template_balances_before_it_is_kept() -> None:
    off = terms(lines=(Line(account_id="a", debit="MONTH"), Line(account_id="b", credit="7")))
    with pytest.raises(JournalUnbalanced, match="2026-08-31"):
        decide(None, Create(template_id="t", terms=off))


@given(
    st.sampled_from(["STRAIGHT_LINE", "DECLINING"]),
    st.integers(1, 10**9),
    st.integers(0, 10**9),
    st.integers(1, 120),
)
def test_an_asset_is_depreciated_to_its_salvage_value_and_no_further(
    method: str, worth: int, salvage: int, life: int
) -> None:
    one, taken = asset(method, worth + salvage, salvage, life), 0
    for number in range(life):
        month = one.month_minor(number, taken)
        assert month >= 0
        taken += month
    assert taken == worth


def test_depreciation_by_hand() -> None:
    assert [asset().month_minor(number, 0) for number in range(3)] == [1429, 1428, 1429]
    falling, taken, months = asset("DECLINING", 1000_00, 100_00, 5), 0, []
    for number in range(5):
        months.append(falling.month_minor(number, taken))
        taken += months[-1]
    assert months == [400_00, 240_00, 144_00, 86_40, 29_60]


def test_nothing_is_due_before_approval_after_the_end_and_after_the_last_day_there_is() -> None:
    made = evolve(None, template.Created(template_id="t", terms=terms()))
    assert list(made.due_days(date(2027, 1, 1))) == []
    active = evolve(made, template.Approved(approved_by="b"))
    assert len(list(active.due_days(date(2027, 1, 1)))) == 5
    assert list(evolve(active, template.Ended(reason="r")).due_days(date(2027, 1, 1))) == []
    last = terms(schedule=Schedule(frequency="DAILY", starts_on=date(9999, 12, 30)))
    assert len(list(Template(id="t", terms=last, status="ACTIVE").due_days(date.max))) == 2
    assert len(list(msgspec.structs.replace(active, runs=4).due_days(date.max))) == template.MOST_AT_ONCE


# On a real ledger


async def active(desk: Desk, **changes: Any) -> Template:
    """A template that was approved: rent, from August on."""
    lines = (
        Line(account_id=desk.account("5200"), debit="3100 / 31 * 2"),
        Line(account_id=desk.account("1010"), credit="200"),
    )
    made = await desk.books.automating.create(desk.caller, key(), terms(**({"lines": lines} | changes)))
    done: Template = await desk.books.automating.approve(desk.caller, key(), made.id)
    return done


async def run(desk: Desk, one: Template, through: str, caller: Any = None) -> Template:
    done: Template = await desk.books.automating.run(
        caller or desk.caller, key(), one.id, date.fromisoformat(through)
    )
    return done


@pytest.mark.integration
async def test_missed_days_are_caught_up_in_order_and_each_is_posted_once(desk: Desk) -> None:
    one = await active(desk)
    done = await run(desk, one, "2026-11-23")
    assert (done.runs, done.last_due_on) == (3, date(2026, 10, 31))
    entries = [await desk.load("journal", posted) for posted in done.journals]
    assert [entry.number for entry in entries] == [
        "GJ-2026-08-000001",
        "GJ-2026-09-000002",
        "GJ-2026-10-000003",
    ]
    assert await desk.balances() == {"5200": 600_00, "1010": -600_00}
    assert (await run(desk, one, "2026-11-23")).version == done.version
    assert await desk.balances() == {"5200": 600_00, "1010": -600_00}


@pytest.mark.integration
async def test_two_schedulers_at_once_post_each_day_once(desk: Desk) -> None:
    one = await active(desk, schedule=Schedule(frequency="DAILY", starts_on=date(2026, 11, 14)))
    others = [replace(desk.caller, user_id=f"scheduler-{number}") for number in range(4)]
    done = await asyncio.gather(*(run(desk, one, "2026-11-23", who) for who in others))
    assert {state.runs for state in done} == {10}
    assert await desk.balances() == {"5200": 2000_00, "1010": -2000_00}
    assert (await desk.types())["template.ran"] == 10


@pytest.mark.integration
async def test_a_closed_period_is_a_refusal_and_leaves_no_day_out(desk: Desk) -> None:
    one = await active(desk)
    await desk.books.closing.close_period(desk.caller, key(), "FY2026-2027-P03", to="CLOSED")
    with pytest.raises(PeriodClosed, match="P03"):
        await run(desk, one, "2026-11-23")
    assert await desk.balances() == {}
    assert (await run(desk, one, "2026-09-29")).runs == 1
    await desk.books.closing.reopen_period(desk.caller, key(), "FY2026-2027-P03", reason="rent was missing")
    assert (await run(desk, one, "2026-11-23")).runs == 3


@pytest.mark.integration
async def test_an_accrual_is_taken_back_on_the_first_day_of_the_next_period(desk: Desk) -> None:
    one = await active(desk, kind="ACCRUAL")
    done = await run(desk, one, "2026-08-31")
    entry = await desk.load("journal", done.journals[0])
    back = await desk.load("journal", entry.reversed_by_id)
    assert (entry.number, back.journal_date) == ("AJ-2026-08-000001", date(2026, 9, 1))
    assert await desk.balances(last=START) == {"5200": 200_00, "1010": -200_00}
    assert await desk.balances() == {}
    await desk.books.closing.close_period(desk.caller, key(), "FY2026-2027-P04", to="CLOSED")
    with pytest.raises(PeriodClosed):
        await run(desk, one, "2026-09-30")


@pytest.mark.integration
async def test_an_asset_is_worn_down_month_by_month_and_then_no_more(desk: Desk) -> None:
    desk.clock.instant = datetime(2030, 1, 1, tzinfo=UTC)
    worn = msgspec.structs.replace(
        asset("DECLINING", 1000_00, 100_00, 5),
        expense_account_id=desk.account("5900"),
        accumulated_account_id=desk.account("1500"),
    )
    one = await active(desk, kind="DEPRECIATION", lines=(), asset=worn)
    assert (await run(desk, one, "2026-09-30")).depreciated_minor == 640_00
    done = await run(desk, one, "2029-12-31")
    assert (done.runs, done.depreciated_minor) == (5, 900_00)
    assert await desk.balances() == {"5900": 900_00, "1500": -900_00}
    assert (await run(desk, one, "2029-12-31")).version == done.version


@pytest.mark.integration
async def test_a_preview_shows_what_a_run_posts_and_may_look_ahead(desk: Desk) -> None:
    one = await active(desk)
    with pytest.raises(DateMalformed):
        await run(desk, one, "2026-12-31")
    with pytest.raises(Rehearsed) as would:
        await run(desk, one, "2026-12-31", replace(desk.caller, rehearsing=True))
    assert [entry.journal_date.month for entry in would.value.entries] == [8, 9, 10, 11, 12]
    assert await desk.balances() == {}


@pytest.mark.integration
async def test_a_formula_that_fails_on_its_day_is_a_refusal_and_nothing_is_posted(desk: Desk) -> None:
    lines = (
        Line(account_id=desk.account("5200"), debit="1 / (MONTH - 10)"),
        Line(account_id=desk.account("1010"), credit="1 / (MONTH - 10)"),
    )
    lines = tuple(
        msgspec.structs.replace(
            one, debit=one.debit and f"-({one.debit})", credit=one.credit and f"-({one.credit})"
        )
        for one in lines
    )
    one = await active(desk, lines=lines)
    with pytest.raises(FormulaDividesByZero):
        await run(desk, one, "2026-11-23")
    assert await desk.balances() == {}


@pytest.mark.integration
async def test_a_template_is_checked_by_somebody_else_and_not_run_before(desk: Desk) -> None:
    await desk.books.governing.set_rule(
        desk.caller, key(), Rule(valid_from=date(2026, 11, 23)), reason="the board decided so"
    )
    lines = (
        Line(account_id=desk.account("5200"), debit="2"),
        Line(account_id=desk.account("1010"), credit="2"),
    )
    made = await desk.books.automating.create(desk.caller, key(), terms(lines=lines))
    with pytest.raises(TemplateNotActive) as told:
        await run(desk, made, "2026-11-23")
    assert told.value.code == "template-not-active"
    with pytest.raises(MakerIsChecker):
        await desk.books.automating.approve(desk.caller, key(), made.id)
    karim = replace(desk.caller, user_id="karim")
    assert (await desk.books.automating.approve(karim, key(), made.id)).status == "ACTIVE"
    assert (await run(desk, made, "2026-11-23")).runs == 3
    ended = await desk.books.automating.end(desk.caller, key(), made.id, reason="we moved elsewhere")
    assert ended.status == "ENDED"
    with pytest.raises(TemplateNotActive):
        await run(desk, made, "2026-11-23")


@pytest.mark.integration
async def test_a_template_does_not_post_to_what_only_documents_post_to(desk: Desk) -> None:
    lines = (
        Line(account_id=desk.account("1200"), debit="2"),
        Line(account_id=desk.account("1010"), credit="2"),
    )
    with pytest.raises(AccountControlled):
        await active(desk, lines=lines)


CREATE = """mutation ($input: JournalTemplateInput!, $key: ID!) { createJournalTemplate(input: $input,
    idempotencyKey: $key) { ... on JournalTemplate { id status dueOn lines { debit } } ... on Refusal { code } } }"""


@pytest.mark.integration
async def test_templates_are_written_and_found_over_graphql(desk: Desk) -> None:
    given = {
        "kind": "RECURRING",
        "name": "Rent",
        "frequency": "MONTHLY",
        "startsOn": "2026-08-31",
        "lines": [
            {"accountId": desk.account("5200"), "debit": "6000 / 30"},
            {"accountId": desk.account("1010"), "credit": "200"},
        ],
    }
    made = await desk.asked(CREATE, input=given, key=key())
    assert (made["status"], made["dueOn"]) == ("DRAFT", [])
    given["lines"][0]["debit"] = "__import__('os')"
    assert (await desk.asked(CREATE, input=given, key=key()))["code"] == "formula-malformed"
    await desk.books.automating.approve(desk.caller, key(), made["id"])
    due = '{ dueJournalTemplates(on: "2026-10-01") { id dueOn asset { method } } }'
    assert await desk.asked(due) == [{"id": made["id"], "dueOn": ["2026-08-31", "2026-09-30"], "asset": None}]
    assert [one["runs"] for one in await desk.asked("{ journalTemplates(status: ACTIVE) { runs } }")] == [0]
    worn = given | {
        "kind": "DEPRECIATION",
        "lines": [],
        "asset": {
            "method": "DECLINING",
            "cost": "10.00",
            "lifeMonths": 5,
            "expenseAccountId": desk.account("5900"),
            "accumulatedAccountId": desk.account("1500"),
        },
    }
    one = await desk.asked(CREATE, input=worn, key=key())
    found = await desk.asked(
        "query ($id: ID!) { journalTemplate(id: $id) { asset { cost { amount } depreciated { amount } } } }",
        id=one["id"],
    )
    assert found == {"asset": {"cost": {"amount": "10.00"}, "depreciated": {"amount": "0.00"}}}
