"""Other currencies at the rate of a day: shown on it, taken back on the next, and nothing of it adds up."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finance import account, approval, chart, journal, origin, revaluation
from finance.adapters.postgres.opening import add_accounts
from finance.authority import SENIOR, Rule, Tier
from finance.clerk import Rehearsed
from finance.control import check
from finance.events import encode
from finance.ordeal.world import TENANTS
from finance.ports import Append
from finance.refusal import (
    AccountControlled,
    AccountUnknown,
    ApprovalBeyondAuthority,
    ApprovalGivenAlready,
    CurrenciesNotRevalued,
    CurrenciesRevaluedAlready,
    DateMalformed,
    JournalOfDocument,
    JournalReversedAlready,
    MakerIsChecker,
    NothingToRevalue,
    PeriodClosed,
    RateMissing,
    TextMalformed,
)
from finance.revaluation import Holding, Item
from finance.verify import Stored, examine

Desk = Any
BEGUN, SOLD, END, NEXT, PAID = (
    date(2026, 10, 1),
    date(2026, 10, 20),
    date(2026, 10, 31),
    date(2026, 11, 1),
    date(2026, 11, 10),
)
WHY = "the rate was mistyped"


def key() -> str:
    return str(uuid4())


async def revalued(desk: Desk, day: date = END, who: Any = None) -> journal.Journal:
    made: journal.Journal = await desk.books.revaluing.revalue(who or desk.caller, key(), day)
    return made


async def undone(desk: Desk, day: date = END, who: Any = None) -> journal.Journal:
    made: journal.Journal = await desk.books.revaluing.undo(who or desk.caller, key(), day, reason=WHY)
    return made


async def held(desk: Desk, last: date, first: date | None = None) -> dict[str, int]:
    """What accounts are worth in the books, by code; what is nothing is left out."""
    async with desk.ledger.store.book(desk.ledger.tenant) as book:
        sums = await book.nets(first, last)
        found = await book.load("account", [one for one, _ in sums])
    worths: dict[str, int] = {}
    for (one, _), (_, base_minor) in sums.items():
        worths[found[one].code] = worths.get(found[one].code, 0) + base_minor
    assert sum(worths.values()) == 0
    return {code: minor for code, minor in sorted(worths.items()) if minor}


async def rated(desk: Desk, currency: str = "EUR", *, first: str = "130", closing: str = "132.5") -> None:
    await desk.rate_set(first, BEGUN, currency)
    await desk.rate_set(closing, END, currency)


def stored(desk: Desk) -> list[Stored]:
    """The log of books in memory, as `finance verify` reads it."""
    rows = sorted(desk.ledger.store.tables.rows, key=lambda row: (row.stream_id, row.version))
    return [
        Stored(tenant_id=row.tenant_id, stream_id=row.stream_id, version=row.version, event=row.event)
        for row in rows
    ]


def proved(desk: Desk) -> list[str]:
    log = stored(desk)
    found = examine(log)
    check(log, found)
    return found.faults


async def ruled(desk: Desk, *tiers: Tier, four_eyes: bool = True) -> None:
    rule = Rule(valid_from=desk.clock.now().date(), four_eyes=four_eyes, tiers=tiers)
    await desk.books.governing.set_rule(desk.caller, key(), rule, reason="the board decided so")


# What is worth how much


async def test_a_receivable_by_hand_and_the_year_has_exactly_what_its_payment_realised(shelved: Desk) -> None:
    await rated(shelved)
    await shelved.rate_set("131", PAID)
    owed = await shelved.invoice_approved(1_000_00, SOLD, "EUR", vat="EXEMPT")
    assert (await held(shelved, END))["1200"] == 130_000_00
    made = await revalued(shelved)
    assert (made.journal_type, made.journal_date, made.number) == ("ADJUSTMENT", END, "AJ-2026-10-000001")
    assert await held(shelved, END) == {
        "1200": 130_000_00,
        "1290": 2_500_00,
        "4000": -130_000_00,
        "4910": -2_500_00,
    }
    assert await held(shelved, NEXT) == {"1200": 130_000_00, "4000": -130_000_00}
    await shelved.payment_completed(owed.id, 1_000_00, PAID, "EUR")
    year = await held(shelved, date(2027, 6, 30))
    assert year == {"1010": 131_000_00, "4000": -130_000_00, "4900": -1_000_00}
    assert proved(shelved) == []


async def test_money_receivables_and_payables_are_revalued_and_what_was_paid_in_advance_is_not(
    shelved: Desk,
) -> None:
    """At 130, then 132.5 for a euro; at 120, then 118 for a dollar."""
    desk = shelved
    await rated(desk)
    await rated(desk, "USD", first="120", closing="118")
    till = await desk.books.create_account(
        desk.caller,
        key(),
        code="1030",
        name="Euro till",
        account_type="ASSET",
        currency="EUR",
        parent_id=None,
    )
    lines = (
        journal.Line(account_id=till.id, debit_minor=40_00),
        journal.Line(account_id=desk.account("3000"), credit_minor=40_00),
    )
    capital = msgspec.structs.replace(desk.sale(day=SOLD), currency="EUR", lines=lines)
    await desk.books.create_journal(desk.caller, key(), capital, post=True)
    await desk.invoice_approved(100_00, SOLD, "EUR", vat="EXEMPT")
    await desk.voucher_approved("BILL", 200_00, currency="USD", day=SOLD)  # with 15 % VAT: 230.00
    await desk.paid(50_00, SOLD, "EUR", customer_id=desk.customer)  # in advance
    await desk.paid(10_00, SOLD, "USD", vendor_id=desk.vendor)  # in advance
    await desk.invoice_approved(999_00, SOLD, vat="EXEMPT")
    made = await revalued(desk)
    told = {line.reference: line.debit_minor - line.credit_minor for line in made.lines if line.reference}
    assert told == {
        "EUR 1010": 125_00,  # 50.00 at 2.5
        "EUR 1030": 100_00,
        "EUR 1200": 250_00,
        "USD 1010": 20_00,  # 10.00 went out: -2 of -10.00
        "USD 2000": 460_00,  # 230.00 owed, at 2 less
    }
    after = await held(desk, END)
    assert (after["1090"], after["1290"], after["2090"]) == (245_00, 250_00, 460_00)
    assert after["4910"] == -955_00
    assert "5960" not in after
    assert (after["2300"], after["1400"]) == (-6_500_00, 1_200_00)
    assert not {"1090", "1290", "2090", "4910"} & (await held(desk, NEXT)).keys()
    assert proved(desk) == []


async def test_money_that_went_out_at_another_rate_than_it_came_in_at_is_worth_nothing(shelved: Desk) -> None:
    await rated(shelved)
    await shelved.rate_set("131", date(2026, 10, 25))
    await shelved.paid(100_00, SOLD, "EUR", customer_id=shelved.customer)
    await shelved.paid(100_00, date(2026, 10, 25), "EUR", vendor_id=shelved.vendor)
    assert (await held(shelved, END))["1010"] == -100_00
    await revalued(shelved)
    found = await held(shelved, END)
    assert (found["1010"], found["1090"], found["4910"]) == (-100_00, 100_00, -100_00)


async def test_losses_are_told_apart_from_gains(shelved: Desk) -> None:
    await rated(shelved, closing="127")
    await rated(shelved, "USD", first="120", closing="121")
    await shelved.invoice_approved(10_00, SOLD, "EUR", vat="EXEMPT")
    await shelved.invoice_approved(10_00, SOLD, "USD", vat="EXEMPT")
    await revalued(shelved)
    found = await held(shelved, END)
    assert (found["5960"], found["4910"], found["1290"]) == (30_00, -10_00, -20_00)


holdings = st.lists(
    st.tuples(
        st.sampled_from(["1200", "2000", "1010", "1000"]),
        st.sampled_from(["EUR", "USD"]),
        st.integers(-(10**12), 10**12),
        st.integers(-(10**14), 10**14),
        st.decimals("0.0000000001", 10_000, places=10),
    ),
    max_size=8,
    unique_by=lambda one: one[:2],
)


@given(holdings)
def test_whatever_is_held_the_entry_balances_and_leaves_each_worth_what_the_rate_says(found: Any) -> None:
    tenant = TENANTS[0]
    items = []
    for code, currency, minor, base_minor, rate in found:
        kind = "ASSET" if code[0] == "1" else "LIABILITY"
        one = account.Account(
            id=chart.account_id(tenant, code), code=code, name="A name", account_type=kind, currency="BDT"
        )
        beside = revaluation.beside(tenant, one)
        assert beside is not None
        items.append(
            Item(
                holding=Holding(
                    account=one, beside=beside, currency=currency, minor=minor, base_minor=base_minor
                ),
                rate=rate,
            )
        )
    made = revaluation.entry(tenant, END, items, journal_id="j")
    assert all(journal.one_sided(line) == line for line in made.lines)
    assert sum(line.debit_minor - line.credit_minor for line in made.lines) == 0
    by_name = revaluation.posted(msgspec.convert(msgspec.structs.asdict(made) | {"id": "j"}, journal.Journal))
    for one in items:
        now = one.holding.base_minor + by_name.get(one.holding.name, 0)
        assert abs(Fraction(now) - Fraction(one.holding.minor) * Fraction(one.rate)) <= Fraction(1, 2)
    valued = {chart.account_id(tenant, one.holding.beside) for one in items if one.difference_minor}
    assert {line.account_id for line in made.lines if line.reference} == valued


# Once, and again


async def test_a_day_is_revalued_once_and_of_two_at_once_one_does_it(shelved: Desk) -> None:
    await rated(shelved)
    await shelved.invoice_approved(1_000_00, SOLD, "EUR", vat="EXEMPT")
    others = [replace(shelved.caller, user_id=f"clerk-{number}") for number in range(4)]
    came_to = await asyncio.gather(*(revalued(shelved, who=one) for one in others), return_exceptions=True)
    kinds = [type(one) for one in came_to]
    assert sorted(one.__name__ for one in kinds) == ["CurrenciesRevaluedAlready"] * 3 + ["Journal"]
    with pytest.raises(CurrenciesRevaluedAlready, match="AJ-2026-10-000001"):
        await revalued(shelved)
    assert (await held(shelved, END))["1290"] == 2_500_00


async def test_it_is_undone_on_both_days_and_done_again_with_another_rate_as_often_as_it_takes(
    shelved: Desk,
) -> None:
    await rated(shelved)
    await shelved.invoice_approved(1_000_00, SOLD, "EUR", vat="EXEMPT")
    plain = await held(shelved, END)
    first = await revalued(shelved)
    for closing, gain in (("133", 3_000_00), ("129", -1_000_00)):
        back = await undone(shelved)
        assert (back.journal_date, back.journal_type) == (END, "REVERSING")
        for day in (END, NEXT, PAID):
            assert await held(shelved, day) == plain
        with pytest.raises(CurrenciesNotRevalued):
            await undone(shelved)
        await shelved.rate_set(closing, END)
        again = await revalued(shelved)
        assert again.id != first.id
        assert (await held(shelved, END))["1290"] == gain
        assert await held(shelved, NEXT) == plain
    assert proved(shelved) == []


async def test_undoing_is_done_once_whoever_asks_at_the_same_time(shelved: Desk) -> None:
    await rated(shelved)
    await shelved.invoice_approved(1_000_00, SOLD, "EUR", vat="EXEMPT")
    plain = await held(shelved, END)
    await revalued(shelved)
    came_to = await asyncio.gather(*(undone(shelved) for _ in range(3)), return_exceptions=True)
    assert sum(isinstance(one, journal.Journal) for one in came_to) == 1
    assert {type(one) for one in came_to} == {journal.Journal, CurrenciesNotRevalued}
    assert await held(shelved, END) == plain


async def test_day_after_day_nothing_adds_up(shelved: Desk) -> None:
    await rated(shelved)
    await shelved.invoice_approved(1_000_00, SOLD, "EUR", vat="EXEMPT")
    for number, closing in enumerate(("131", "132", "130.5")):
        day = END + timedelta(days=number)
        await shelved.rate_set(closing, day)
        await revalued(shelved, day)
    for number, worth in enumerate((1_000_00, 2_000_00, 500_00)):
        assert (await held(shelved, END + timedelta(days=number)))["1290"] == worth
    assert "1290" not in await held(shelved, PAID)


# What refuses it


async def test_both_days_must_be_open_and_a_refusal_changes_no_byte(shelved: Desk) -> None:
    await rated(shelved)
    await shelved.invoice_approved(1_000_00, SOLD, "EUR", vat="EXEMPT")
    books = shelved.books.closing
    for name in ("FY2026-2027-P04", "FY2026-2027-P05"):
        await books.close_period(shelved.caller, key(), name, to="CLOSED")
        before = shelved.ledger.store.tables.image()
        with pytest.raises(PeriodClosed, match=name):
            await revalued(shelved)
        assert shelved.ledger.store.tables.image() == before
        await books.reopen_period(shelved.caller, key(), name, reason="not yet revalued")
    await revalued(shelved)
    for name in ("FY2026-2027-P04", "FY2026-2027-P05"):
        await books.close_period(shelved.caller, key(), name, to="CLOSED")
        before = shelved.ledger.store.tables.image()
        with pytest.raises(PeriodClosed, match=name):
            await undone(shelved)
        assert shelved.ledger.store.tables.image() == before
        await books.reopen_period(shelved.caller, key(), name, reason="not yet undone")
    await undone(shelved)


async def test_nothing_to_revalue_is_a_refusal_that_says_how_much_was_looked_at(shelved: Desk) -> None:
    with pytest.raises(NothingToRevalue, match="Found 0 such"):
        await revalued(shelved)
    await rated(shelved, closing="130")
    await shelved.invoice_approved(1_000_00, SOLD, "EUR", vat="EXEMPT")
    with pytest.raises(NothingToRevalue, match="Found 1 such"):
        await revalued(shelved)


async def test_a_day_to_come_is_refused_in_a_dry_run_too(shelved: Desk) -> None:
    tomorrow = shelved.clock.now().date() + timedelta(days=1)
    for day in (tomorrow, date.max):
        for who in (shelved.caller, replace(shelved.caller, rehearsing=True)):
            with pytest.raises(DateMalformed):
                await revalued(shelved, day, who)


async def test_what_is_held_in_a_currency_without_a_rate_is_refused_and_not_left_out(shelved: Desk) -> None:
    """As in books that began before rates were kept."""
    old = journal.Posted(
        number="GJ-2026-10-000001",
        journal_date=SOLD,
        currency="USD",
        lines=(
            journal.Line(account_id=shelved.account("1000"), debit_minor=5_00),
            journal.Line(account_id=shelved.account("3000"), credit_minor=5_00),
        ),
        posted_at=datetime(2026, 10, 20, tzinfo=UTC),
        posted_by="rahim",
    )
    begun = journal.Created(
        journal_id="j",
        journal_date=SOLD,
        journal_type="GENERAL",
        description="Capital",
        currency="USD",
        lines=old.lines,
    )
    stream = str(uuid4())
    async with shelved.ledger.store.book(shelved.ledger.tenant) as book:
        await book.append(
            [appended(stream, version, event) for version, event in enumerate((begun, old), start=1)],
            actor="rahim",
        )
    with pytest.raises(RateMissing, match="USD on 2026-10-31"):
        await revalued(shelved)


def appended(stream: str, version: int, event: Any) -> Append:
    return Append(kind="journal", stream_id=stream, version=version, event=event)


async def test_nobody_posts_by_hand_to_what_revaluations_keep_nor_reverses_one_of_its_entries(
    shelved: Desk,
) -> None:
    await rated(shelved)
    await shelved.invoice_approved(1_000_00, SOLD, "EUR", vat="EXEMPT")
    made = await revalued(shelved)
    for one in (made.id, made.reversed_by_id):
        with pytest.raises((JournalOfDocument, JournalReversedAlready)):
            await shelved.books.reverse_journal(shelved.caller, key(), one, PAID)
    for code in chart.VALUATIONS:
        lines = (
            journal.Line(account_id=shelved.account(code), debit_minor=5),
            journal.Line(account_id=shelved.account("4000"), credit_minor=5),
        )
        written = msgspec.structs.replace(shelved.sale(), lines=lines)
        with pytest.raises(AccountControlled, match="for revaluations"):
            await shelved.books.create_journal(shelved.caller, key(), written, post=True)


async def test_books_of_an_earlier_release_say_what_they_lack_until_they_are_migrated(
    shelved: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = {*chart.VALUATIONS, chart.UNREALISED_GAINS, chart.UNREALISED_LOSSES}
    tenant = str(uuid4())
    shelved.ledger.store.tenants.add(tenant)
    with monkeypatch.context() as earlier:
        earlier.setattr(chart, "STANDARD", tuple(one for one in chart.STANDARD if one[0] not in new))
        async with shelved.ledger.store.book(tenant) as book:
            await add_accounts(book)
    desk = replace(
        shelved,
        ledger=replace(shelved.ledger, tenant=tenant),
        caller=replace(shelved.caller, tenant_id=tenant),
    )
    await rated(desk)
    await desk.invoice_approved(1_000_00, SOLD, "EUR", vat="EXEMPT")
    own = await desk.books.create_account(
        desk.caller,
        key(),
        code="1290",
        name="Loans to staff",
        account_type="ASSET",
        currency="BDT",
        parent_id=None,
    )
    with pytest.raises(AccountUnknown):
        await revalued(desk)
    async with desk.ledger.store.book(tenant) as book:
        await add_accounts(book)
    await revalued(desk)
    found = await held(desk, END)
    assert (found["1290-01"], found["4910"]) == (2_500_00, -2_500_00)
    assert own.code not in found


# Who may


async def test_it_takes_the_tier_of_its_amount_and_nothing_but_the_yes_is_kept_until_the_last(
    shelved: Desk,
) -> None:
    await rated(shelved)
    owed = await shelved.invoice_approved(1_000_00, SOLD, "EUR", vat="EXEMPT")
    await ruled(shelved, Tier(above_minor=2_000_00, approvers=2))
    plain = await held(shelved, END)
    draft = await revalued(shelved)
    assert (draft.status, draft.number, draft.reversed_by_id) == ("DRAFT", None, None)
    assert await held(shelved, END) == plain
    assert [row.type for row in shelved.ledger.store.tables.rows][-1] == "approval.given/1"
    with pytest.raises(ApprovalGivenAlready):
        await revalued(shelved)
    other = replace(shelved.caller, user_id="karim")
    await shelved.rate_set("133", END)  # what the yes was given to is another thing now
    assert (await revalued(shelved, who=other)).status == "DRAFT"
    made = await revalued(shelved)
    assert (made.id, made.status) == (draft.id, "REVERSED")
    assert (await held(shelved, END))["1290"] == 3_000_00
    assert owed.journal_id is not None
    yeses = await shelved.load("approval", approval.stream(shelved.ledger.tenant, made.id))
    assert (yeses.approvers, yeses.document_version) == (("karim", "rahim"), approval.NOT_THERE)
    assert "1000.00 EUR of 1200, in the books 130000.00, at 133 133000.00" in yeses.act


def test_an_entry_that_took_several_people_names_all_of_them_as_its_approvers() -> None:
    """Their yeses were given to an entry that was not there yet, and so to none of its versions."""

    def fact(kind: str, name: str, version: int, actor: str, **data: Any) -> origin.Fact:
        return origin.Fact(
            stream_id="j",
            kind=kind,
            type=f"{name}/1",
            version=version,
            position=version,
            actor=actor,
            data=data,
        )

    yeses = [
        fact("approval", "approval.given", number, who, approver=who, document_version=approval.NOT_THERE)
        for number, who in enumerate(("karim", "salma"), start=1)
    ]
    made = fact("journal", "journal.created", 3, "rahim")
    posted = fact("journal", "journal.posted", 4, "rahim")
    told = origin.tell(posted, None, [made, posted], yeses, reverses=False, revalues=True)
    assert (told.rule, told.makers, told.approvers) == (
        "REVALUATION",
        ("rahim",),
        ("karim", "salma", "rahim"),
    )


async def test_a_senior_tier_takes_somebody_senior_and_whoever_did_it_does_not_undo_it(shelved: Desk) -> None:
    await rated(shelved)
    await shelved.invoice_approved(1_000_00, SOLD, "EUR", vat="EXEMPT")
    await ruled(shelved, Tier(above_minor=2_000_00, senior=True))
    with pytest.raises(ApprovalBeyondAuthority):
        await revalued(shelved)
    salma = replace(shelved.caller, user_id="salma", permissions=frozenset({SENIOR}))
    await revalued(shelved, who=salma)
    with pytest.raises(MakerIsChecker):
        await undone(shelved, who=salma)
    with pytest.raises(ApprovalBeyondAuthority):
        await undone(shelved)
    await undone(shelved, who=replace(salma, user_id="nadia"))
    assert "1290" not in await held(shelved, END)


async def test_undoing_says_why(shelved: Desk) -> None:
    await rated(shelved)
    await shelved.invoice_approved(1_000_00, SOLD, "EUR", vat="EXEMPT")
    made = await revalued(shelved)
    with pytest.raises(TextMalformed):
        await shelved.books.revaluing.undo(shelved.caller, key(), END, reason="no")
    await undone(shelved)
    [told] = [
        row.event.reason
        for row in shelved.ledger.store.tables.rows
        if row.stream_id == made.reversed_by_id and isinstance(row.event, journal.Reversed)
    ]
    assert told == WHY


# What is written


async def test_a_dry_run_tells_the_entry_and_its_reversal_line_by_line_and_leaves_nothing(
    shelved: Desk,
) -> None:
    await rated(shelved)
    await shelved.invoice_approved(1_000_00, SOLD, "EUR", vat="EXEMPT")
    before = shelved.ledger.store.tables.image()
    with pytest.raises(Rehearsed) as would:
        await revalued(shelved, who=replace(shelved.caller, rehearsing=True))
    entry, back = would.value.entries
    assert (entry.journal_date, back.journal_date) == (END, NEXT)
    assert [line.description for line in entry.lines] == [
        "1000.00 EUR of 1200, in the books 130000.00, at 132.5 132500.00",
        None,
    ]
    assert shelved.ledger.store.tables.image() == before


async def test_the_same_request_with_the_same_key_is_answered_as_it_was(shelved: Desk) -> None:
    await rated(shelved)
    await shelved.invoice_approved(1_000_00, SOLD, "EUR", vat="EXEMPT")
    first = await shelved.books.revaluing.revalue(shelved.caller, "k", END)
    assert await shelved.books.revaluing.revalue(shelved.caller, "k", END) == first
    assert first.reversed_by_id is not None


async def test_a_release_that_knows_no_revaluations_reads_all_that_they_write(shelved: Desk) -> None:
    """Its entries are entries, of types that have been in logs since the first one (decision 0003)."""
    await rated(shelved)
    await shelved.invoice_approved(1_000_00, SOLD, "EUR", vat="EXEMPT")
    written = len(shelved.ledger.store.tables.rows)
    made = await revalued(shelved)
    await undone(shelved)
    rows = shelved.ledger.store.tables.rows[written:]
    assert {row.type for row in rows} == {"journal.created/1", "journal.posted/1", "journal.reversed/1"}
    known: Mapping[str, set[str]] = {
        "journal.created/1": {
            *("type", "journal_id", "journal_date", "journal_type", "description", "currency", "lines"),
            *("reference", "original_id", "document_id", "rate"),
            "bank_line_ids",  # newer, and passed over by those that know no such field
        },
    }
    for row in rows:
        assert row.kind == "journal"
        said = set(msgspec.json.decode(encode(row.event)[1]))
        assert said <= known.get(row.type, said)
    assert made.document_id == revaluation.document_id(shelved.ledger.tenant, END)


async def test_verify_tells_a_revaluation_that_nothing_takes_back(shelved: Desk) -> None:
    await rated(shelved)
    await shelved.invoice_approved(1_000_00, SOLD, "EUR", vat="EXEMPT")
    made = await revalued(shelved)
    assert proved(shelved) == []
    log = [
        one
        for one in stored(shelved)
        if not (one.stream_id == made.reversed_by_id and isinstance(one.event, journal.Posted))
    ]
    found = examine(log)
    check(log, found)
    account_id = shelved.account("1290")
    assert [one for one in found.faults if "valuation" in one] == [
        f"tenant {shelved.ledger.tenant}: valuation account {account_id} has 2500.00 BDT that no reversal takes back"
    ]
