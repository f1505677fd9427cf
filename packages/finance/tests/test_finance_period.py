"""Fiscal periods and the tax lock: what is closed stays as it was, and a correction lands where it is open."""

import asyncio
from datetime import date
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finance import fiscal, period, policy
from finance.period import Close, Period, Reopen
from finance.policy import LockTaxes, Policy, UnlockTaxes
from finance.ports import Caller
from finance.refusal import (
    DateMalformed,
    PeriodClosed,
    PeriodMalformed,
    PeriodSoftClosed,
    Refused,
    TaxesLocked,
    TaxLockOutOfOrder,
    TextMalformed,
)

Desk = Any
Serving = Any
NAME = "FY2026-2027-P05"
WHY = "an invoice was forgotten"
TENANT = "0198c5a0-0000-7000-8000-000000000001"


def after(*commands: period.Command) -> Period | None:
    state: Period | None = None
    for command in commands:
        for event in period.decide(state, command):
            state = period.evolve(state, event)
    return state


def close(to: str = "CLOSED") -> Close:
    return Close(period=NAME, to=to)


REOPEN = Reopen(period=NAME, reason=WHY)


@given(st.dates(date(1, 7, 1), date(9998, 6, 30)))
def test_every_day_lies_within_its_period(day: date) -> None:
    first, last = fiscal.days_of(fiscal.period(day))
    assert first <= day <= last
    assert fiscal.period(day) in fiscal.periods(fiscal.year(day))


@pytest.mark.parametrize(
    "name", ["", "FY2026-2027", "FY2026-2027-P00", "FY2026-2027-P13", "FY2026-2028-P01", "P05"]
)
def test_what_is_no_period_is_refused(name: str) -> None:
    with pytest.raises(PeriodMalformed) as told:
        period.stream(TENANT, name)
    assert told.value.code == "period-malformed"


def test_a_period_goes_from_open_to_locked_and_back_until_it_is_locked() -> None:
    steps = (close("SOFT_CLOSED"), close(), REOPEN, close(), close("LOCKED"))
    statuses = [after(*steps[: count + 1]) for count in range(len(steps))]
    assert [one and one.status for one in statuses] == ["SOFT_CLOSED", "CLOSED", "OPEN", "CLOSED", "LOCKED"]
    assert [one and one.version for one in statuses] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("so_far", "command", "code"),
    [
        ((), REOPEN, "period-not-closed"),
        ((close(), REOPEN), REOPEN, "period-not-closed"),
        ((), close("LOCKED"), "period-not-closed"),
        ((close("SOFT_CLOSED"),), close("LOCKED"), "period-not-closed"),
        ((close(),), close(), "period-closed"),
        ((close(),), close("SOFT_CLOSED"), "period-closed"),
        ((close(), close("LOCKED")), REOPEN, "period-locked"),
        ((close(), close("LOCKED")), close(), "period-locked"),
        ((close(),), Reopen(period=NAME, reason="too short"), "text-malformed"),
    ],
)
def test_what_does_not_follow_is_refused(
    so_far: tuple[period.Command, ...], command: period.Command, code: str
) -> None:
    with pytest.raises(Refused) as told:
        period.decide(after(*so_far), command)
    assert told.value.code == code


moves = st.sampled_from([close("SOFT_CLOSED"), close(), close("LOCKED"), REOPEN])


@given(st.lists(moves, max_size=10))
def test_whatever_is_asked_a_locked_period_stays_locked(asked: list[period.Command]) -> None:
    state: Period | None = None
    for command in asked:
        before = state
        try:
            events = period.decide(state, command)
        except Refused:
            continue
        assert before is None or before.status != "LOCKED"
        for event in events:
            state = period.evolve(state, event)


@pytest.mark.parametrize(("to", "refused"), [("SOFT_CLOSED", PeriodSoftClosed), ("CLOSED", PeriodClosed)])
def test_a_closed_period_admits_nobody_and_a_soft_closed_one_only_closers(
    to: str, refused: type[Refused]
) -> None:
    period.admit(None, by_closer=False)
    period.admit(after(close(), REOPEN), by_closer=False)
    with pytest.raises(refused) as told:
        period.admit(after(close(to)), by_closer=False)
    assert told.value.code in {"period-soft-closed", "period-closed"}
    if to == "SOFT_CLOSED":
        period.admit(after(close(to)), by_closer=True)
    else:
        with pytest.raises(PeriodClosed):
            period.admit(after(close(to)), by_closer=True)


def decided(*commands: policy.Command) -> Policy | None:
    state: Policy | None = None
    for command in commands:
        for event in policy.decide(state, command):
            state = policy.evolve(state, event)
    return state


def test_the_tax_lock_goes_forward_by_locking_and_back_by_unlocking() -> None:
    october, november = date(2026, 10, 31), date(2026, 11, 30)
    forward = decided(LockTaxes(through=october), LockTaxes(through=november))
    assert forward == Policy(taxes_locked_through=november, version=2)
    back = decided(LockTaxes(through=november), UnlockTaxes(through=october, reason=WHY))
    assert back is not None
    assert back.taxes_locked_through == october
    for state, command in (
        (forward, LockTaxes(through=november)),
        (forward, LockTaxes(through=october)),
        (forward, UnlockTaxes(through=november, reason=WHY)),
        (None, UnlockTaxes(through=None, reason=WHY)),
    ):
        with pytest.raises(TaxLockOutOfOrder) as told:
            policy.decide(state, command)
        assert told.value.code == "tax-lock-out-of-order"
    with pytest.raises(TextMalformed):
        policy.decide(forward, UnlockTaxes(through=None, reason="no"))


def test_locked_taxes_admit_only_later_days() -> None:
    state = decided(LockTaxes(through=date(2026, 10, 31)))
    policy.admit(None, date(2026, 10, 31))
    policy.admit(state, date(2026, 11, 1))
    with pytest.raises(TaxesLocked) as told:
        policy.admit(state, date(2026, 10, 31))
    assert told.value.code == "taxes-locked"


# On a real ledger


def key() -> str:
    return str(uuid4())


async def closed(desk: Desk, to: str = "CLOSED", name: str = NAME) -> Period:
    done: Period = await desk.books.closing.close_period(desk.caller, key(), name, to=to)
    return done


@pytest.mark.integration
async def test_nothing_is_posted_into_a_closed_period_and_nothing_is_written(desk: Desk) -> None:
    drafted = await desk.invoice_drafted()
    entry = await desk.books.create_journal(desk.caller, key(), desk.sale(), post=False)
    await closed(desk)
    before = await desk.types()
    for asked in (
        desk.books.approve_invoice(desk.caller, key(), drafted.id),
        desk.books.post_journal(desk.caller, key(), entry.id),
        desk.books.create_journal(desk.caller, key(), desk.sale(), post=True),
    ):
        with pytest.raises(PeriodClosed) as told:
            await asked
        assert told.value.code == "period-closed"
    assert await desk.types() == before
    assert await desk.ledger.seen(desk.ledger.tenant, "SELECT count(*) FROM finance_log.counters") == 0
    await desk.books.closing.reopen_period(desk.caller, key(), NAME, reason=WHY)
    assert (await desk.books.approve_invoice(desk.caller, key(), drafted.id)).status == "APPROVED"


@pytest.mark.integration
async def test_periods_of_another_tenant_are_their_own(desk: Desk) -> None:
    stranger = Caller(
        user_id="karim", tenant_id=desk.ledger.other_tenant, permissions=frozenset(), token="none"
    )
    await desk.books.closing.close_period(stranger, key(), NAME, to="CLOSED")
    assert (await desk.invoice_approved()).status == "APPROVED"


@pytest.mark.integration
async def test_who_may_close_a_period_may_still_post_into_a_soft_closed_one(desk: Desk) -> None:
    await closed(desk, "SOFT_CLOSED")
    with pytest.raises(PeriodSoftClosed):
        await desk.books.create_journal(desk.caller, key(), desk.sale(), post=True)
    controller = Caller(
        user_id="selim", tenant_id=desk.ledger.tenant, permissions=frozenset({period.CLOSER}), token="none"
    )
    done = await desk.books.create_journal(controller, key(), desk.sale(), post=True)
    assert done.status == "POSTED"


@pytest.mark.integration
async def test_what_was_posted_in_a_closed_period_is_reversed_in_an_open_one_with_number_and_date(
    desk: Desk,
) -> None:
    """The original's reversal had no number, date, tenant or period, and the original could be reversed again."""
    later = date(2026, 12, 1)
    one, entry = (
        await desk.invoice_approved(),
        await desk.books.create_journal(desk.caller, key(), desk.sale(), post=True),
    )
    await closed(desk)
    for asked in (
        desk.books.cancel_invoice(desk.caller, key(), one.id, reason="a mistake"),
        desk.books.reverse_journal(desk.caller, key(), entry.id, entry.journal_date),
    ):
        with pytest.raises(PeriodClosed):
            await asked
    november = await desk.balances(last=date(2026, 11, 30))
    await desk.books.cancel_invoice(desk.caller, key(), one.id, reason="a mistake", on=later)
    mirror = await desk.books.reverse_journal(desk.caller, key(), entry.id, later)
    assert (mirror.number, mirror.journal_date) == ("RJ-2026-12-000002", later)
    assert await desk.balances(last=date(2026, 11, 30)) == november
    assert await desk.balances() == {}


@pytest.mark.integration
async def test_a_payment_of_a_closed_period_is_taken_back_in_an_open_one(desk: Desk) -> None:
    one = await desk.invoice_approved()
    paid = await desk.payment_completed(one.id, 115_00)
    await closed(desk)
    with pytest.raises(PeriodClosed):
        await desk.books.reverse_payment(desk.caller, key(), paid.id, reason="paid by mistake")
    back = await desk.books.reverse_payment(
        desk.caller, key(), paid.id, reason="paid by mistake", on=date(2026, 12, 1)
    )
    assert back.status == "REVERSED"
    assert (await desk.load("invoice", one.id)).status == "APPROVED"


@pytest.mark.integration
async def test_nothing_is_reversed_before_it_was_posted(desk: Desk) -> None:
    entry = await desk.books.create_journal(desk.caller, key(), desk.sale(), post=True)
    with pytest.raises(DateMalformed):
        await desk.books.reverse_journal(desk.caller, key(), entry.id, date(2026, 11, 22))


@pytest.mark.integration
async def test_the_tax_lock_holds_back_invoices_and_not_entries_without_tax(desk: Desk) -> None:
    drafted = await desk.invoice_drafted()
    await desk.books.taxes.adopt(desk.caller, key(), "bangladesh")
    await desk.books.closing.lock_taxes(desk.caller, key(), through=date(2026, 11, 23))
    with pytest.raises(TaxesLocked):
        await desk.books.approve_invoice(desk.caller, key(), drafted.id)
    lines = desk.sale().lines
    coded = msgspec.structs.replace(
        desk.sale(), lines=(msgspec.structs.replace(lines[0], tax_code="VAT15"), lines[1])
    )
    with pytest.raises(TaxesLocked):
        await desk.books.create_journal(desk.caller, key(), coded, post=True)
    assert (await desk.books.create_journal(desk.caller, key(), desk.sale(), post=True)).status == "POSTED"
    await desk.books.closing.unlock_taxes(desk.caller, key(), through=date(2026, 11, 22), reason=WHY)
    assert (await desk.books.approve_invoice(desk.caller, key(), drafted.id)).status == "APPROVED"


@pytest.mark.integration
async def test_an_invoice_without_vat_is_part_of_a_return_too_and_cancelled_after_it(desk: Desk) -> None:
    one = await desk.invoice_approved(vat="EXEMPT")
    await desk.books.closing.lock_taxes(desk.caller, key(), through=date(2026, 11, 23))
    with pytest.raises(TaxesLocked):
        await desk.books.cancel_invoice(desk.caller, key(), one.id, reason="a mistake")
    later = date(2026, 11, 24)
    gone = await desk.books.cancel_invoice(desk.caller, key(), one.id, reason="a mistake", on=later)
    assert gone.status == "CANCELLED"


@pytest.mark.integration
async def test_of_posting_and_closing_at_once_either_comes_first_and_what_is_closed_stays_so(
    desk: Desk,
) -> None:
    names = fiscal.periods("FY2026-2027")[:6]
    for name in names:
        first, last = fiscal.days_of(name)
        done = await asyncio.gather(
            *(
                desk.books.create_journal(desk.caller, key(), desk.sale(day=first), post=True)
                for _ in range(8)
            ),
            closed(desk, name=name),
            return_exceptions=True,
        )
        posted = [one for one in done[:-1] if not isinstance(one, BaseException)]
        assert all(isinstance(one, PeriodClosed) for one in done[:-1] if isinstance(one, BaseException))
        assert isinstance(done[-1], Period)
        async with desk.ledger.connected("finance_projector") as connection:
            after_closing = await connection.fetchval(
                "SELECT count(*) FROM finance_log.events e, finance_log.events c WHERE e.type = 'journal.posted/1'"
                " AND e.effective_date BETWEEN $1 AND $2 AND c.type = 'period.closed/1'"
                " AND c.data->>'period' = $3 AND (e.tx, e.position) > (c.tx, c.position)",
                first,
                last,
                name,
            )
        assert after_closing == 0
        held = await desk.balances(first, last)
        assert held == ({"1000": 5 * len(posted), "4000": -5 * len(posted)} if posted else {})


@pytest.mark.integration
async def test_of_approving_and_locking_taxes_at_once_either_comes_first_and_what_is_locked_stays_so(
    desk: Desk,
) -> None:
    for month in (8, 9, 10, 11):
        day = date(2026, month, 15)
        drafts = [await desk.invoice_drafted(day=day) for _ in range(8)]
        done = await asyncio.gather(
            *(desk.books.approve_invoice(desk.caller, key(), one.id) for one in drafts),
            desk.books.closing.lock_taxes(desk.caller, key(), through=day),
            return_exceptions=True,
        )
        assert {type(one) for one in done if isinstance(one, BaseException)} <= {TaxesLocked}
        async with desk.ledger.connected("finance_projector") as connection:
            after_locking = await connection.fetchval(
                "SELECT count(*) FROM finance_log.events e, finance_log.events l"
                " WHERE e.type = 'journal.posted/1' AND l.type = 'policy.taxes-locked/1'"
                " AND e.effective_date <= (l.data->>'through')::date AND (e.tx, e.position) > (l.tx, l.position)"
            )
        assert after_locking == 0


# Over GraphQL

CLOSE = """mutation ($period: String!, $to: PeriodClosing!, $key: ID!) {
  closePeriod(period: $period, to: $to, idempotencyKey: $key) {
    ... on FiscalPeriod { name status version } ... on Refusal { code } } }"""
REOPENING = """mutation ($period: String!, $key: ID!) {
  reopenPeriod(period: $period, reason: "an invoice was forgotten", idempotencyKey: $key) {
    ... on FiscalPeriod { name status reason } ... on Refusal { code } } }"""
POST = """mutation ($day: Date!, $key: ID!, $lines: [JournalLineInput!]!) { createJournal(idempotencyKey: $key,
    input: {journalDate: $day, description: "A sale", autoPost: true, lines: $lines}) {
    ... on Journal { journalNumber fiscalPeriod } ... on Refusal { code message } } }"""


@pytest.mark.integration
def test_a_period_is_closed_shown_and_reopened_over_http(serving: Serving) -> None:
    name = "FY2019-2020-P03"
    asked = {"period": name, "to": "CLOSED", "key": key()}
    assert serving.ask(CLOSE, **asked).data == {"name": name, "status": "CLOSED", "version": 1}
    assert serving.ask(CLOSE, **asked).data == {"name": name, "status": "CLOSED", "version": 1}
    shown = serving.ask('{ fiscalPeriods(fiscalYear: "FY2019-2020") { name firstDay lastDay status } }').data
    assert [one["status"] for one in shown].count("OPEN") == 11
    assert shown[2] == {"name": name, "firstDay": "2019-09-01", "lastDay": "2019-09-30", "status": "CLOSED"}
    chart = {
        one["accountCode"]: one["id"] for one in serving.ask("{ chartOfAccounts { id accountCode } }").data
    }
    lines = [{"accountId": chart["1000"], "debit": "1"}, {"accountId": chart["4000"], "credit": "1"}]
    refused = serving.ask(POST, day="2019-09-30", key=key(), lines=lines).data
    assert refused["code"] == "period-closed"
    assert name in refused["message"]
    assert serving.ask(REOPENING, period=name, key=key()).data["status"] == "OPEN"
    assert serving.ask(POST, day="2019-09-30", key=key(), lines=lines).data["fiscalPeriod"] == name
    assert serving.ask(CLOSE, period="2019-09", to="CLOSED", key=key()).data["code"] == "period-malformed"
    answer = serving.ask('{ fiscalPeriods(fiscalYear: "2019") { name } }')
    assert (answer.status, answer.code) == (400, "period-malformed")


@pytest.mark.integration
def test_taxes_are_locked_and_unlocked_over_http(serving: Serving) -> None:
    lock = """mutation ($key: ID!) { lockTaxes(through: "2001-06-30", idempotencyKey: $key) {
        ... on BookPolicy { taxesLockedThrough } ... on Refusal { code } } }"""
    assert serving.ask(lock, key=key()).data == {"taxesLockedThrough": "2001-06-30"}
    assert serving.ask(lock, key=key()).data == {"code": "tax-lock-out-of-order"}
    assert serving.ask("{ bookPolicy { taxesLockedThrough } }").data == {"taxesLockedThrough": "2001-06-30"}
    unlock = """mutation ($key: ID!) { unlockTaxes(reason: "filed too early", idempotencyKey: $key) {
        ... on BookPolicy { taxesLockedThrough } ... on Refusal { code } } }"""
    assert serving.ask(unlock, key=key()).data == {"taxesLockedThrough": None}
