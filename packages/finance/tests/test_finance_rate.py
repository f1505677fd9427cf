"""Other currencies: the rate of the day is kept on the entry, and both sides tie in both currencies."""

import asyncio
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finance import invoice, journal, rate
from finance.events import decode
from finance.money import Money, share
from finance.rate import Enter, Quote, Rate
from finance.refusal import CurrencyMismatch, RateMalformed, RateMissing

Desk = Any
Serving = Any
DAY = date(2026, 11, 23)
rates = st.decimals("0.0000000001", 10_000, places=10)


def quote(day: int, value: str) -> Quote:
    return Quote(valid_from=date(2026, 11, day), rate=Decimal(value))


def table(*quotes: Quote) -> Rate:
    state: Rate | None = None
    for one in quotes:
        for event in rate.decide(state, Enter(currency="EUR", quote=one)):
            state = rate.evolve(state, event)
    assert state is not None
    return state


def test_a_rate_holds_from_its_day_until_the_next_one() -> None:
    found = table(quote(20, "142.5"), quote(10, "140"), quote(20, "143"))
    assert [found.on(date(2026, 11, day)) for day in (10, 19, 20, 30)] == [140, 140, 143, 143]
    assert found.version == 3
    with pytest.raises(RateMissing, match="EUR on 2026-11-09") as told:
        found.on(date(2026, 11, 9))
    assert told.value.code == "rate-missing"


@pytest.mark.parametrize(("currency", "value"), [("EUR", "0"), ("EUR", "-1"), ("BDT", "1")])
def test_what_is_no_rate_is_refused(currency: str, value: str) -> None:
    with pytest.raises(RateMalformed) as told:
        rate.decide(None, Enter(currency=currency, quote=quote(1, value)))
    assert told.value.code == "rate-malformed"


def lines_of(debits: list[int], credits_: list[int]) -> list[journal.Line]:
    return [
        *(journal.Line(account_id="a", debit_minor=minor) for minor in debits),
        *(journal.Line(account_id="b", credit_minor=minor) for minor in credits_),
    ]


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=12), st.data(), rates)
def test_debits_equal_credits_in_the_currency_of_the_books_whatever_the_rate(
    credits_: list[int], data: st.DataObject, value: Decimal
) -> None:
    total = sum(credits_)
    first = data.draw(st.integers(0, total))
    lines = lines_of([one for one in (first, total - first) if one], credits_)
    made = journal.based(lines, "EUR", value)
    sides = [journal.base(line, "EUR") for line in made]
    assert sum(debit for debit, _ in sides) == sum(credit for _, credit in sides)
    assert all(debit >= 0 and credit >= 0 for debit, credit in sides)
    off = [
        abs(sum(side) - (Fraction(line.debit_minor + line.credit_minor) * Fraction(value)))
        for line, side in zip(lines, sides, strict=True)
    ]
    assert sum(one > Fraction(1, 2) for one in off) <= 1
    assert max(off) <= Fraction(len(lines) + 1, 2)
    assert journal.based(made, "EUR", Decimal(7)) == made


def test_what_the_roundings_leave_goes_to_the_largest_line_of_the_side_that_is_short() -> None:
    half = Decimal("0.5")
    by_credit = journal.based(lines_of([3], [1, 2]), "EUR", half)
    assert [journal.base(line, "EUR") for line in by_credit] == [(2, 0), (0, 0), (0, 2)]
    by_debit = journal.based(lines_of([1, 2], [3]), "EUR", half)
    assert [journal.base(line, "EUR") for line in by_debit] == [(0, 0), (2, 0), (0, 2)]


@given(st.integers(0, 10**12), st.integers(1, 10**6), st.integers(1, 10**6))
def test_parts_of_an_amount_add_up_to_it(minor: int, first: int, second: int) -> None:
    part = share(minor, first, first + second)
    assert abs(Fraction(part) - Fraction(minor * first, first + second)) <= Fraction(1, 2)
    assert part + share(minor - part, second, second) == minor


@given(st.lists(st.integers(1, 10**6), min_size=2, max_size=6), rates)
def test_the_mirror_of_an_entry_is_worth_what_the_entry_was(credits_: list[int], value: Decimal) -> None:
    created = journal.Created(
        journal_id="j",
        journal_date=DAY,
        journal_type="GENERAL",
        description="A sale",
        currency="EUR",
        lines=tuple(lines_of([sum(credits_)], credits_)),
    )
    posted = posted_at(journal.evolve(None, created), value)
    back = journal.evolve(None, journal.decide(None, journal.mirror(posted, journal_id="k", on=DAY))[0])
    again = posted_at(back, Decimal(1))
    assert again.rate == value
    for one, other in zip(posted.lines, again.lines, strict=True):
        assert journal.base(one, "EUR") == journal.base(other, "EUR")[::-1]


def posted_at(draft: journal.Journal, value: Decimal) -> journal.Journal:
    command = journal.Post(number="GJ-1", posted_at=None, posted_by="rahim", rate=value)  # type: ignore[arg-type]
    return journal.evolve(draft, journal.decide(draft, command)[0])


def test_an_entry_from_before_rates_were_kept_loads_and_is_worth_nothing_in_the_books() -> None:
    kept = (
        b'{"type": "journal.posted/1", "number": "GJ-2026-11-000001", "journal_date": "2026-11-23",'
        b' "currency": "EUR", "lines": [{"account_id": "a", "debit_minor": 5}, {"account_id": "b", "credit_minor": 5}],'
        b' "posted_at": "2026-11-23T00:00:00Z", "posted_by": "rahim"}'
    )
    event = decode("journal.posted/1", kept)
    assert [journal.base(line, "EUR") for line in event.lines] == [(0, 0), (0, 0)]
    assert [journal.base(line, "BDT") for line in event.lines] == [(5, 0), (0, 5)]


@given(st.integers(1, 10**9), st.lists(st.integers(1, 10**9), min_size=1, max_size=5))
def test_an_invoice_that_is_paid_in_full_has_nothing_open_in_either_currency(
    base_minor: int, parts: list[int]
) -> None:
    line = invoice.Line(
        description="Rice",
        quantity=Decimal(1),
        unit_price_minor=sum(parts),
        amount_minor=sum(parts),
        vat_category="EXEMPT",
        vat_percent=Decimal(0),
        vat_minor=0,
    )
    terms = invoice.Terms(customer_id="c", invoice_date=DAY, due_date=DAY, lines=(line,))
    state = invoice.Invoice(id="i", currency="EUR", terms=terms, number="INV-1", base_minor=base_minor)
    for part in parts:
        before = state
        command = invoice.RecordPayment(payment_id="p", amount=Money(part, "EUR"))
        for event in invoice.decide(state, command):
            state = invoice.evolve(state, event)
        assert 0 <= state.base_open_minor <= before.base_open_minor
    assert (state.status, state.open_minor, state.base_open_minor) == ("PAID", 0, 0)


def test_of_an_invoice_with_nothing_open_every_part_is_worth_nothing() -> None:
    terms = invoice.Terms(customer_id="c", invoice_date=DAY, due_date=DAY, lines=())
    for currency in ("BDT", "EUR"):
        assert invoice.Invoice(id="i", currency=currency, terms=terms, number="INV-1").worth_minor(5) == 0


# On a real ledger


def key() -> str:
    return str(uuid4())


@pytest.mark.integration
async def test_an_invoice_in_another_currency_is_approved_at_the_rate_of_its_day(desk: Desk) -> None:
    drafted = await desk.invoice_drafted(currency="EUR")
    with pytest.raises(RateMissing):
        await desk.books.approve_invoice(desk.caller, key(), drafted.id)
    assert (await desk.types()).keys() == {"invoice.created"}
    await desk.rate_set("142.355", since=date(2026, 11, 1))
    await desk.rate_set("150", since=date(2026, 11, 24))
    done = await desk.books.approve_invoice(desk.caller, key(), drafted.id)
    assert (done.status, done.total_minor, done.base_minor) == ("APPROVED", 115_00, 16370_82)
    entry = await desk.load("journal", done.journal_id)
    assert (entry.currency, entry.rate) == ("EUR", Decimal("142.355"))
    assert await desk.balances(currency="EUR") == {"1200": 115_00, "2200": -15_00, "4000": -100_00}
    assert await desk.balances() == {"1200": 16370_82, "2200": -2135_32, "4000": -14235_50}


@pytest.mark.integration
@pytest.mark.parametrize(
    ("later", "difference"), [("150", {"4900": -300_00}), ("130", {"5950": 300_00}), ("140", {})]
)
async def test_what_the_rate_brought_until_the_payment_is_a_gain_or_a_loss(
    desk: Desk, later: str, difference: dict[str, int]
) -> None:
    await desk.rate_set("140")
    await desk.rate_set(later, since=date(2026, 12, 1))
    one = await desk.invoice_approved(currency="EUR")
    paid = await desk.payment_completed(one.id, 30_00, day=date(2026, 12, 2), currency="EUR")
    worth = 30_00 * int(later)
    assert await desk.balances() == {
        "1010": worth, "1200": 85_00 * 140, "2200": -15_00 * 140, "4000": -100_00 * 140, **difference
    }  # fmt: skip
    state = await desk.load("invoice", one.id)
    assert (state.open_minor, state.base_open_minor) == (85_00, 85_00 * 140)
    await desk.books.reverse_payment(desk.caller, key(), paid.id, reason="paid by mistake")
    state = await desk.load("invoice", one.id)
    assert (state.open_minor, state.base_open_minor) == (115_00, 115_00 * 140)
    assert await desk.balances() == {"1200": 115_00 * 140, "2200": -15_00 * 140, "4000": -100_00 * 140}


@pytest.mark.integration
async def test_a_cancelled_invoice_leaves_nothing_though_the_rate_is_another_one_now(desk: Desk) -> None:
    await desk.rate_set("140")
    one = await desk.invoice_approved(currency="EUR")
    await desk.rate_set("155")
    await desk.books.cancel_invoice(desk.caller, key(), one.id, reason="a mistake")
    assert await desk.balances() == await desk.balances(currency="EUR") == {}


@pytest.mark.integration
async def test_an_account_in_a_currency_takes_no_other_and_those_of_the_books_take_all(desk: Desk) -> None:
    await desk.rate_set("140")
    await desk.rate_set("120", currency="USD")
    euros = await desk.books.create_account(
        desk.caller,
        key(),
        code="1030",
        name="Euro account",
        account_type="ASSET",
        currency="EUR",
        parent_id=None,
    )

    def bought(currency: str) -> journal.Create:
        into = journal.Line(account_id=euros.id, debit_minor=5)
        lines = (into, desk.sale().lines[1])
        return msgspec.structs.replace(desk.sale(), currency=currency, lines=lines)

    for currency in ("BDT", "USD"):
        with pytest.raises(CurrencyMismatch):
            await desk.books.create_journal(desk.caller, key(), bought(currency), post=True)
    await desk.books.create_journal(desk.caller, key(), bought("EUR"), post=True)
    assert await desk.balances() == {"1030": 700, "4000": -700}
    assert await desk.balances(currency="EUR") == {"1030": 5, "4000": -5}


@pytest.mark.integration
async def test_an_entry_has_the_rate_that_was_in_the_log_before_it_whoever_enters_another_meanwhile(
    desk: Desk,
) -> None:
    await desk.rate_set("1")
    entry = msgspec.structs.replace(desk.sale(), currency="EUR")
    for value in range(2, 6):
        await asyncio.gather(
            *(desk.books.create_journal(desk.caller, key(), entry, post=True) for _ in range(6)),
            desk.rate_set(str(value)),
        )
    async with desk.ledger.connected("finance_projector") as connection:
        rows = await connection.fetch(
            "SELECT type, data->'quote'->>'rate' AS entered, data->>'rate' AS kept FROM finance_log.events"
            " WHERE type IN ('rate.set/1', 'journal.posted/1') ORDER BY tx, position"
        )
    present, found = None, 0
    for row in rows:
        present = row["entered"] or present
        found += row["type"] == "journal.posted/1"
        assert row["kept"] in {None, present}
    assert found == 24


# Over GraphQL


@pytest.mark.integration
def test_rates_are_entered_and_shown_and_an_entry_shows_what_it_was_worth(serving: Serving) -> None:
    enter = """mutation ($input: ExchangeRateInput!, $key: ID!) { setExchangeRate(input: $input, idempotencyKey: $key)
        { ... on ExchangeRateTable { currency rates { validFrom rate } } ... on Refusal { code } } }"""
    given_ = {"currency": "USD", "rate": "121.5000000001", "validFrom": "2024-01-05"}
    assert serving.ask(enter, input=given_, key=key()).data == {
        "currency": "USD",
        "rates": [{"validFrom": "2024-01-05", "rate": "121.5000000001"}],
    }
    for changes, code in (({"rate": "0"}, "rate-malformed"), ({"rate": "1e9"}, "amount-malformed")):
        assert serving.ask(enter, input=given_ | changes, key=key()).data == {"code": code}
    assert len(serving.ask("{ exchangeRates(currency: USD) { rates { rate } } }").data["rates"]) == 1
    assert serving.ask("{ exchangeRates(currency: EUR) { rates { rate } version } }").data == {
        "rates": [],
        "version": 0,
    }
    chart = {
        one["accountCode"]: one["id"] for one in serving.ask("{ chartOfAccounts { id accountCode } }").data
    }
    post = """mutation ($lines: [JournalLineInput!]!, $day: Date!, $key: ID!) { createJournal(idempotencyKey: $key,
        input: {journalDate: $day, description: "A sale", currency: USD, autoPost: true, lines: $lines}) {
        ... on Journal { exchangeRate lines { baseDebit { amount currency } } } ... on Refusal { code } } }"""
    lines = [{"accountId": chart["1000"], "debit": "2"}, {"accountId": chart["4000"], "credit": "2"}]
    done = serving.ask(post, lines=lines, day="2024-01-05", key=key()).data
    assert done["exchangeRate"] == "121.5000000001"
    assert done["lines"][0]["baseDebit"] == {"amount": "243.00", "currency": "BDT"}
    assert serving.ask(post, lines=lines, day="2024-01-04", key=key()).data == {"code": "rate-missing"}
