"""What is closed stays closed, whoever asks for what at the same time, and what is to be closed can be."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date
from typing import Any
from uuid import uuid4

import pytest
from test_finance_consent import (
    KARIM,
    NADIA,
    RAHIM,
    SALMA,
    TENANT,
    TODAY,
    asked,
    done,
    drafted,
    opened,
    ruled,
    written,
)

from finance import period
from finance.adapters.postgres.store import PostgresBook
from finance.ordeal.chance import WHY
from finance.ordeal.trial import Trial
from finance.ordeal.world import alone
from finance.ports import Append
from finance.refusal import PeriodClosed, PeriodSoftClosed, Refused, TaxesLocked

Desk = Any
YEAR = 2026
LAST = (YEAR, 12)
REOPENED = period.Reopened(period="FY2026-2027-P12", reason=WHY)


def sold(trial: Trial, name: str, code: str = "4000") -> None:
    lines = [("1000", 5_00), (code, -5_00)]
    done(trial, RAHIM, "write", name=name, day=TODAY, currency="BDT", lines=lines, post=False)
    done(trial, KARIM, "book", name=name)


def test_no_period_of_a_closed_year_is_reopened_by_itself() -> None:
    """What was posted into it then was in nobody's earnings, and the next year could not be closed any more."""
    trial = Trial(0)
    sold(trial, "J1")
    done(trial, NADIA, "close_year", year=YEAR, to="CLOSED")
    for number in (1, 12):
        assert asked(trial, NADIA, "open_period", period=(YEAR, number), reason=WHY) == "year-out-of-order"
    done(trial, NADIA, "open_year", year=YEAR, reason=WHY)
    done(trial, NADIA, "open_period", period=(YEAR, 1), reason=WHY)
    done(trial, NADIA, "close_year", year=YEAR, to="LOCKED")
    assert asked(trial, NADIA, "open_period", period=LAST, reason=WHY) == "period-locked"
    done(trial, NADIA, "close_year", year=YEAR + 1, to="CLOSED")


def test_the_last_period_is_not_locked_before_its_year_is_closed() -> None:
    """There was no day left for the closing entries, for good."""
    trial = Trial(0)
    sold(trial, "J1")
    for number in (11, 12):
        done(trial, NADIA, "close_period", period=(YEAR, number), to="CLOSED")
    done(trial, NADIA, "close_period", period=(YEAR, 11), to="LOCKED")
    assert asked(trial, NADIA, "close_period", period=LAST, to="LOCKED") == "year-not-closed"
    done(trial, NADIA, "close_year", year=YEAR, to="CLOSED")
    done(trial, NADIA, "close_period", period=LAST, to="LOCKED")


def test_a_year_that_took_entries_after_it_was_closed_is_not_locked_with_them() -> None:
    """A release before this one reopens a period of a closed year; then the year is reopened, and closed with them."""
    trial = Trial(0)
    sold(trial, "J1")
    done(trial, NADIA, "close_year", year=YEAR, to="CLOSED")

    async def reopened() -> None:
        stream_id = period.stream(TENANT, REOPENED.period)
        async with trial.world.store.book(TENANT) as book:
            found = (await book.load("period", [stream_id]))[stream_id]
            event = Append(kind="period", stream_id=stream_id, version=found.version + 1, event=REOPENED)
            await book.append([event], actor="nadia")

    assert alone(reopened()).code is None

    def told(verb: str, **given: Any) -> str | None:
        [outcome] = trial.ask(trial.asked(TENANT, NADIA, verb, given))
        return outcome.code

    lines = [("1000", 5_00), ("4000", -5_00)]
    late = {"name": "J2", "day": TODAY, "currency": "BDT", "lines": lines, "post": True}
    assert told("write", **late) is None
    for to in ("CLOSED", "LOCKED"):
        assert told("close_year", year=YEAR, to=to) == "year-out-of-order"
    assert told("open_year", year=YEAR, reason=WHY) is None
    assert told("close_year", year=YEAR, to="LOCKED") is None
    assert told("close_year", year=YEAR + 1, to="CLOSED") is None


def test_a_closed_year_is_reopened_though_an_account_it_emptied_was_deactivated_since() -> None:
    """Nothing makes an account active again, so that the year could not be reopened any more."""
    trial = Trial(0)
    opened(trial, "4000-01")
    sold(trial, "J1", "4000-01")
    done(trial, NADIA, "close_year", year=YEAR, to="CLOSED")
    done(trial, RAHIM, "close_account", code="4000-01", reason=WHY)
    done(trial, NADIA, "open_year", year=YEAR, reason=WHY)
    written(trial, "J2")
    done(trial, KARIM, "book", name="J2")
    assert asked(trial, KARIM, "reverse", entry="J1", name="J3", on=TODAY, reason=WHY) == "account-inactive"
    done(trial, NADIA, "close_year", year=YEAR, to="LOCKED")


def test_a_draft_that_a_year_was_closed_over_is_approved_on_another_day_and_agreed_to_anew() -> None:
    trial = Trial(0)
    ruled(trial)
    later = date(YEAR + 1, 7, 1)
    drafted(trial, "I1", due=later)
    done(trial, KARIM, "approve", name="I1")
    done(trial, NADIA, "close_year", year=YEAR, to="CLOSED")
    for who in (KARIM, SALMA):
        assert asked(trial, who, "approve", name="I1") == "period-closed"
    trial.pass_time(later - trial.clock.now().date())
    [line] = trial.companies[TENANT].documents["I1"]["lines"]
    same = {what: line[what] for what in ("price", "quantity", "category", "codes", "account")}
    done(trial, RAHIM, "redraft", name="I1", lines=[same], day=later)
    for who, status in ((KARIM, "DRAFT"), (SALMA, "APPROVED")):
        done(trial, who, "approve", name="I1")
        assert trial.desk.state_of(trial.desk.ids["I1"]).status == status


def test_into_a_soft_closed_period_only_those_agree_who_may_post_there() -> None:
    trial = Trial(0)
    written(trial, "J1")
    ruled(trial)
    done(trial, NADIA, "close_period", period=LAST, to="SOFT_CLOSED")
    assert asked(trial, KARIM, "book", name="J1") == "period-soft-closed"
    done(trial, NADIA, "book", name="J1")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            ("open_period", {"period": (YEAR, 11), "reason": WHY}),
            ("close_year", {"year": YEAR, "to": "CLOSED"}),
        ),
        (("close_period", {"period": LAST, "to": "LOCKED"}), ("close_year", {"year": YEAR, "to": "CLOSED"})),
        (("close_period", {"period": LAST, "to": "LOCKED"}), ("open_year", {"year": YEAR, "reason": WHY})),
        (("open_period", {"period": LAST, "reason": WHY}), ("open_year", {"year": YEAR, "reason": WHY})),
    ],
)
def test_a_period_and_its_year_moved_at_once_are_moved_in_some_order(one: Any, other: Any) -> None:
    """Held to the model in both orders, whatever turns the two take."""
    for seed in range(12):
        trial = Trial(seed)
        sold(trial, "J1")
        for number in (11, 12):
            done(trial, NADIA, "close_period", period=(YEAR, number), to="CLOSED")
        if other[0] == "open_year":
            done(trial, NADIA, "close_year", year=YEAR, to="CLOSED")
        trial.at_once(trial.asked(TENANT, NADIA, *one), trial.asked(TENANT, RAHIM, *other))


# Two transactions on a real PostgreSQL

Act = Callable[[Any], Coroutine[Any, Any, Any]]
WAITING = """
SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
WHERE l.locktype = 'advisory' AND NOT l.granted AND d.datname = current_database()
"""


def key() -> str:
    return str(uuid4())


@asynccontextmanager
async def held_up(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[asyncio.Event, asyncio.Event]]:
    """Whoever is called `first` writes when the second of these is set; the first one tells that it would now."""
    reached, go, append = asyncio.Event(), asyncio.Event(), PostgresBook.append

    async def gated(self: PostgresBook, events: Any, *, actor: str) -> None:
        if actor == "first":
            reached.set()
            await go.wait()
        await append(self, events, actor=actor)

    with monkeypatch.context() as patched:
        patched.setattr(PostgresBook, "append", gated)
        try:
            yield reached, go
        finally:
            go.set()


async def one_behind_the_other(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, first: Act, then: Act
) -> list[Any]:
    """What both came to, where the second is asked for when the first is decided and not yet written."""
    callers = [replace(desk.caller, user_id=name) for name in ("first", "second")]
    async with held_up(monkeypatch) as (reached, go), asyncio.timeout(20):
        begun = asyncio.create_task(first(callers[0]))
        await reached.wait()
        behind = asyncio.create_task(then(callers[1]))
        async with desk.ledger.connected("finance_owner") as connection:
            while not await connection.fetchval(WAITING):
                assert not behind.done(), "it does not wait"
        go.set()
        return await asyncio.gather(begun, behind, return_exceptions=True)


async def order(desk: Desk, since: int) -> list[str]:
    """The types of what was posted, closed and locked, as readers of the log meet it."""
    async with desk.ledger.connected("finance_projector") as connection:
        rows = await connection.fetch(
            "SELECT type FROM finance_log.events WHERE position > $1 AND type = ANY($2::text[])"
            " ORDER BY tx, position",
            since,
            [
                "journal.posted/1",
                "period.closed/1",
                "period.soft-closed/1",
                "year.closed/1",
                "policy.taxes-locked/1",
            ],
        )
    return [row["type"].partition("/")[0] for row in rows]


@pytest.mark.integration
async def test_a_posting_that_began_before_the_closing_lands_before_it_and_a_later_one_is_refused(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    books = desk.books
    closings: list[tuple[date, str, type[Refused], Act]] = [
        (
            date(2026, 8, 5),
            "period.soft-closed",
            PeriodSoftClosed,
            lambda who: books.closing.close_period(who, key(), "FY2026-2027-P02", to="SOFT_CLOSED"),
        ),
        (
            date(2026, 9, 5),
            "period.closed",
            PeriodClosed,
            lambda who: books.closing.close_period(who, key(), "FY2026-2027-P03", to="CLOSED"),
        ),
        (
            date(2026, 10, 5),
            "policy.taxes-locked",
            TaxesLocked,
            lambda who: books.closing.lock_taxes(who, key(), through=date(2026, 10, 31)),
        ),
    ]
    for day, event, refused, close in closings:
        drafts = [await desk.invoice_drafted(day=day) for _ in range(2)]
        approvals: list[Act] = [
            lambda who, one=one: books.approve_invoice(who, key(), one.id)  # type: ignore[misc]
            for one in drafts
        ]
        since = await position(desk)
        posted, closed = await one_behind_the_other(desk, monkeypatch, approvals[0], close)
        assert (posted.status, isinstance(closed, BaseException)) == ("APPROVED", False)
        assert await order(desk, since) == ["journal.posted", event]
        with pytest.raises(refused):
            await approvals[1](desk.caller)


@pytest.mark.integration
async def test_whoever_posts_while_a_year_is_being_closed_waits_and_is_refused(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    books, sale = desk.books, desk.sale()
    await books.create_journal(desk.caller, key(), sale, post=True)
    closed, late = await one_behind_the_other(
        desk,
        monkeypatch,
        lambda who: books.years.close(who, key(), "FY2026-2027"),
        lambda who: books.create_journal(who, key(), sale, post=True),
    )
    assert closed.status == "CLOSED"
    assert isinstance(late, PeriodClosed)
    reopened, late = await one_behind_the_other(
        desk,
        monkeypatch,
        lambda who: books.years.reopen(who, key(), "FY2026-2027", reason=WHY),
        lambda who: books.closing.reopen_period(who, key(), "FY2026-2027-P05", reason=WHY),
    )
    assert (reopened.status, late.status) == ("OPEN", "OPEN")


async def position(desk: Desk) -> int:
    async with desk.ledger.connected("finance_projector") as connection:
        return int(await connection.fetchval("SELECT max(position) FROM finance_log.events"))
