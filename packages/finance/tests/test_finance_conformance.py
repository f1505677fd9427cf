"""What every event store must do, in memory as on PostgreSQL: one suite for both."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from uuid import uuid4

import pytest

from finance import account, journal, voucher
from finance.adapters.memory import MemoryStore
from finance.ports import Append, Book, Claimed, Conflict, StoreUnavailable
from finance.refusal import (
    IdempotencyKeyMalformed,
    IdempotencyKeyReused,
    TenantUnknown,
    TextMalformed,
)

DIGEST, OTHER_DIGEST = b"one request", b"another request"
DAY = date(2026, 11, 23)
BUSY = 20
"""Statements of a transaction in which one that does not wait comes to its end."""


class Interrupted(Exception):
    """The command failed half-way."""


@dataclass(kw_only=True)
class Shelf:
    """A store with the books of two tenants, and how many events a tenant has in it."""

    store: Any
    tenant: str
    other_tenant: str
    events: Callable[[str], Awaitable[int]]

    async def append(self, *events: Append, actor: str = "rahim") -> None:
        async with self.store.book(self.tenant) as book:
            await book.append(events, actor=actor)


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.integration)])
def shelf(request: pytest.FixtureRequest) -> Shelf:
    if request.param == "postgres":
        ledger = request.getfixturevalue("ledger")
        return Shelf(
            store=ledger.store,
            tenant=ledger.tenant,
            other_tenant=ledger.other_tenant,
            events=ledger.events,
        )
    tenant, other_tenant = str(uuid4()), str(uuid4())
    store = MemoryStore([tenant, other_tenant])

    async def events(one: str) -> int:
        return sum(row.tenant_id == one for row in store.tables.rows)

    return Shelf(store=store, tenant=tenant, other_tenant=other_tenant, events=events)


def opened(stream_id: str, name: str = "Till", parent_id: str | None = None) -> Append:
    event = account.Created(
        account_id=stream_id,
        code="1001",
        name=name,
        account_type="ASSET",
        currency="BDT",
        parent_id=parent_id,
    )
    return Append(kind="account", stream_id=stream_id, version=1, event=event)


def renamed(stream_id: str, version: int, name: str = "Safe") -> Append:
    return Append(kind="account", stream_id=stream_id, version=version, event=account.Renamed(name=name))


async def test_what_was_appended_is_loaded_again(shelf: Shelf) -> None:
    stream = str(uuid4())
    async with shelf.store.book(shelf.tenant) as book:
        await book.append([opened(stream), renamed(stream, 2)], actor="rahim")
    async with shelf.store.book(shelf.tenant) as book:
        found = await book.load("account", [stream, str(uuid4()), "no id"])
    assert list(found) == [stream]
    assert (found[stream].name, found[stream].version) == ("Safe", 2)


async def test_a_version_that_is_there_already_is_a_conflict_and_nothing_is_written(shelf: Shelf) -> None:
    stream, fresh = str(uuid4()), str(uuid4())
    async with shelf.store.book(shelf.tenant) as book:
        await book.append([opened(stream)], actor="rahim")
    before = await shelf.events(shelf.tenant)
    with pytest.raises(Conflict):
        async with shelf.store.book(shelf.tenant) as book:
            await book.append([opened(fresh), opened(stream)], actor="rahim")
    assert await shelf.events(shelf.tenant) == before


async def test_of_two_transactions_with_the_same_version_one_is_told_of_the_conflict(shelf: Shelf) -> None:
    stream = str(uuid4())
    async with shelf.store.book(shelf.tenant) as book:
        await book.append([opened(stream)], actor="rahim")

    both_loaded = asyncio.Barrier(2)

    async def rename(name: str) -> str:
        async with shelf.store.book(shelf.tenant) as book:
            state = (await book.load("account", [stream]))[stream]
            await both_loaded.wait()
            await book.append([renamed(stream, state.version + 1, name)], actor="rahim")
        return name

    done = await asyncio.gather(rename("One"), rename("Two"), return_exceptions=True)
    [winner] = [one for one in done if isinstance(one, str)]
    assert sum(isinstance(one, Conflict) for one in done) == 1
    async with shelf.store.book(shelf.tenant) as book:
        assert (await book.load("account", [stream]))[stream].name == winner


async def test_all_streams_of_a_transaction_are_written_or_none(shelf: Shelf) -> None:
    streams = [str(uuid4()) for _ in range(3)]
    before = await shelf.events(shelf.tenant)
    with contextlib.suppress(Interrupted):
        async with shelf.store.book(shelf.tenant) as book:
            await book.append([opened(one) for one in streams], actor="rahim")
            await book.remember("key", DIGEST, "account", None)
            raise Interrupted
    assert await shelf.events(shelf.tenant) == before
    async with shelf.store.book(shelf.tenant) as book:
        assert await book.recall("key", DIGEST) is None
        await book.append([opened(one) for one in streams], actor="rahim")
    assert await shelf.events(shelf.tenant) == before + 3


async def test_a_key_answers_its_own_request_again_and_no_other(shelf: Shelf) -> None:
    state = account.Account(id=str(uuid4()), code="1001", name="Till", account_type="ASSET", currency="BDT")
    async with shelf.store.book(shelf.tenant) as book:
        assert await book.recall("key", DIGEST) is None
        await book.remember("key", DIGEST, "account", state)
    async with shelf.store.book(shelf.tenant) as book:
        assert await book.recall("key", DIGEST) == ("account", state)
        with pytest.raises(IdempotencyKeyReused) as told:
            await book.recall("key", OTHER_DIGEST)
    assert told.value.code == "idempotency-key-reused"
    async with shelf.store.book(shelf.other_tenant) as book:
        assert await book.recall("key", OTHER_DIGEST) is None


async def test_a_key_that_is_being_used_right_now_is_a_conflict(shelf: Shelf) -> None:
    async def remember() -> None:
        async with shelf.store.book(shelf.tenant) as book:
            await book.remember("key", DIGEST, "account", None)

    done = await asyncio.gather(remember(), remember(), return_exceptions=True)
    assert done.count(None) == sum(isinstance(one, Conflict) for one in done) == 1


@pytest.mark.parametrize("key", ["", "x" * 201])
async def test_a_key_has_1_to_200_characters(shelf: Shelf, key: str) -> None:
    async with shelf.store.book(shelf.tenant) as book:
        assert await book.recall("x" * 200, DIGEST) is None
        with pytest.raises(IdempotencyKeyMalformed) as told:
            await book.recall(key, DIGEST)
    assert told.value.code == "idempotency-key-malformed"


async def test_no_books_are_kept_for_a_tenant_that_is_not_known(shelf: Shelf) -> None:
    async with shelf.store.book(str(uuid4())) as book:
        with pytest.raises(TenantUnknown) as told:
            await book.recall("key", DIGEST)
    assert told.value.code == "tenant-unknown"
    with pytest.raises(TenantUnknown):
        async with shelf.store.book("no tenant"):
            pass


async def test_numbers_have_no_gap_where_a_transaction_was_undone(shelf: Shelf) -> None:
    async def draw(series: str = "INV", year: str = "FY2026-2027") -> int:
        async with shelf.store.book(shelf.tenant) as book:
            return int(await book.draw(series, year))

    assert await draw() == 1
    with contextlib.suppress(Interrupted):
        async with shelf.store.book(shelf.tenant) as book:
            assert await book.draw("INV", "FY2026-2027") == 2
            raise Interrupted
    assert await draw() == 2
    assert await draw("PMT") == await draw(year="FY2027-2028") == 1


async def test_a_value_is_claimed_once_in_a_tenant(shelf: Shelf) -> None:
    stream = str(uuid4())
    async with shelf.store.book(shelf.tenant) as book:
        await book.claim("account-code", "1001", stream)
        with pytest.raises(Claimed) as told:
            await book.claim("account-code", "1001", str(uuid4()))
        assert told.value.owner_id == stream
    async with shelf.store.book(shelf.other_tenant) as book:
        await book.claim("account-code", "1001", stream)


async def test_whose_a_value_is_can_be_asked_without_taking_it(shelf: Shelf) -> None:
    mine, key = str(uuid4()), ("bill-reference", "R-1")
    async with shelf.store.book(shelf.tenant) as book:
        assert await book.owner(*key) is None
        await book.claim(*key, mine)
        assert await book.owner(*key) == mine
    async with shelf.store.book(shelf.other_tenant) as book:
        assert await book.owner(*key) is None
    async with shelf.store.book(shelf.tenant) as book:
        assert await book.owner(*key) == mine


async def test_a_stream_has_a_value_that_it_claims_again(shelf: Shelf) -> None:
    stream = str(uuid4())
    for _ in range(2):
        async with shelf.store.book(shelf.tenant) as book:
            await book.claim("account-code", "1001", stream)
            await book.claim("account-code", "1001", stream)


@pytest.mark.parametrize("text", ["a\0b", "\0"])
async def test_a_character_that_cannot_be_kept_is_refused(shelf: Shelf, text: str) -> None:
    with pytest.raises(TextMalformed) as told:
        async with shelf.store.book(shelf.tenant) as book:
            await book.append([opened(str(uuid4()), text)], actor="rahim")
    assert told.value.code == "text-malformed"
    with pytest.raises(TextMalformed):
        async with shelf.store.book(shelf.tenant) as book:
            await book.recall(text, DIGEST)


async def test_listeners_hear_of_what_was_committed_and_of_nothing_else(shelf: Shelf) -> None:
    heard: list[Any] = []
    store, stream = shelf.store, str(uuid4())
    store.listeners.append(lambda tenant, written: heard.append((tenant, len(written))))
    async with store.book(shelf.tenant) as book:
        await book.append([opened(stream), renamed(stream, 2)], actor="rahim")
    with pytest.raises(Conflict):
        async with store.book(shelf.tenant) as book:
            await book.append([renamed(stream, 2)], actor="rahim")
    assert heard == [(shelf.tenant, 2)]


async def test_what_a_transaction_wrote_it_sees_and_nobody_else_before_its_end(shelf: Shelf) -> None:
    stream, seen = str(uuid4()), []

    async def look() -> None:
        async with shelf.store.book(shelf.tenant) as book:
            seen.append(len(await book.load("account", [stream])))

    async with shelf.store.book(shelf.tenant) as book:
        await book.append([opened(stream)], actor="rahim")
        assert list(await book.load("account", [stream])) == [stream]
        await look()
    await look()
    assert seen == [0, 1]


async def test_a_stream_is_of_one_kind_and_of_one_tenant(shelf: Shelf) -> None:
    stream = str(uuid4())
    await shelf.append(opened(stream))
    async with shelf.store.book(shelf.tenant) as book:
        assert await book.load("invoice", [stream]) == {}
        assert await book.authors(str(uuid4())) == frozenset()
    async with shelf.store.book(shelf.other_tenant) as book:
        assert await book.load("account", [stream]) == {}
        assert await book.authors(stream) == frozenset()


async def test_whoever_caused_an_event_of_a_stream_is_one_of_its_authors(shelf: Shelf) -> None:
    stream = str(uuid4())
    await shelf.append(opened(stream))
    await shelf.append(renamed(stream, 2), actor="karim")
    async with shelf.store.book(shelf.tenant) as book:
        await book.append([renamed(stream, 3)], actor="salma")
        assert await book.authors(stream) == {"rahim", "karim", "salma"}
        assert await book.authors(stream, ["account.created/1"]) == {"rahim"}
        assert await book.authors(stream, ["account.renamed/1"]) == {"karim", "salma"}
        assert await book.authors(stream, ["account.created/1", "account.renamed/1"]) == {
            "rahim",
            "karim",
            "salma",
        }
        assert await book.authors(stream, ["account.renamed/2"]) == frozenset()


Work = Callable[[Book, str], Awaitable[object]]
STREAM = "0190d6a4-0000-7000-8000-000000000001"


async def claimed(book: Book, code: str) -> None:
    with contextlib.suppress(Claimed):
        await book.claim("account-code", code, str(uuid4()))


FIRST: dict[str, tuple[Work, Work]] = {
    "a hold waits for one alone": (
        lambda book, one: book.hold(["x", one], exclusively=True),
        lambda book, one: book.hold([one], exclusively=False),
    ),
    "one alone waits for a hold": (
        lambda book, one: book.hold([one], exclusively=False),
        lambda book, one: book.hold([one], exclusively=True),
    ),
    "a stream is held by one": (
        lambda book, one: book.hold_stream(one),
        lambda book, one: book.hold_stream(one),
    ),
    "a number waits for the one before": (
        lambda book, _: book.draw("INV", "FY2026-2027"),
        lambda book, _: book.draw("INV", "FY2026-2027"),
    ),
    "a value waits for who may take it": (claimed, claimed),
    "a version waits for who may write it": (
        lambda book, one: book.append([opened(one)], actor="rahim"),
        lambda book, one: book.append([opened(one)], actor="karim"),
    ),
    "a key waits for who may use it": (
        lambda book, one: book.remember(one, DIGEST, "account", None),
        lambda book, one: book.remember(one, DIGEST, "account", None),
    ),
}
COLLIDE = {"a version waits for who may write it", "a key waits for who may use it"}


async def after(shelf: Shelf, first: Work, second: Work, *, undone: bool) -> list[str]:
    """What ended in which order, where the second begins while the first is at work."""
    order: list[str] = []
    has_first, about = asyncio.Event(), str(uuid4())

    async def one() -> None:
        with contextlib.suppress(Interrupted):
            async with shelf.store.book(shelf.tenant) as book:
                await first(book, about)
                has_first.set()
                for _ in range(BUSY):
                    await book.load("account", [])
                order.append("first")
                if undone:
                    raise Interrupted

    async def other() -> None:
        await has_first.wait()
        async with shelf.store.book(shelf.tenant) as book:
            await second(book, about)
            order.append("second")

    done = await asyncio.gather(one(), other(), return_exceptions=True)
    return [*order, *(type(error).__name__ for error in done if error is not None)]


@pytest.mark.parametrize("undone", [False, True])
async def test_who_needs_what_another_has_waits_until_that_one_ends(shelf: Shelf, undone: bool) -> None:
    found = {what: await after(shelf, *FIRST[what], undone=undone) for what in FIRST}
    collide = set() if undone else COLLIDE
    assert found == {what: ["first", "Conflict" if what in collide else "second"] for what in FIRST}


OTHERS: list[Work] = [
    lambda book, one: book.hold([one], exclusively=False),
    lambda book, _: book.hold(["y"], exclusively=True),
    lambda book, _: book.draw("INV", "FY2027-2028"),
    lambda book, _: book.draw("PMT", "FY2026-2027"),
    lambda book, _: claimed(book, "1002"),
    lambda book, one: book.load("account", [one]),
]


async def test_who_needs_something_else_waits_for_nobody(shelf: Shelf) -> None:
    """Otherwise this would never end: the first waits for the others within its transaction."""
    about = str(uuid4())

    async def other(work: Work) -> None:
        async with shelf.store.book(shelf.tenant) as book:
            await work(book, about)

    async with shelf.store.book(shelf.tenant) as book:
        await book.hold([about], exclusively=False)
        await book.draw("INV", "FY2026-2027")
        await book.claim("account-code", "1001", about)
        await book.append([opened(about)], actor="rahim")
        for work in OTHERS:
            await asyncio.wait_for(other(work), 10)


async def test_two_who_wait_for_each_other_are_told_of_a_conflict_and_one_goes_on(shelf: Shelf) -> None:
    both = asyncio.Barrier(2)

    async def take(mine: str, other: str) -> None:
        async with shelf.store.book(shelf.tenant) as book:
            await book.hold([mine], exclusively=True)
            await both.wait()
            await book.hold([other], exclusively=True)

    done = await asyncio.gather(take("x", "y"), take("y", "x"), return_exceptions=True)
    assert sorted(type(one).__name__ for one in done) == ["Conflict", "NoneType"]


async def test_all_who_wait_for_the_same_get_it_one_after_the_other(shelf: Shelf) -> None:
    got = []

    async def take(number: int) -> None:
        async with shelf.store.book(shelf.tenant) as book:
            await book.hold(["x"], exclusively=True)
            got.append(number)

    async with asyncio.timeout(30):
        await asyncio.gather(*(take(number) for number in range(4)))
    assert sorted(got) == [0, 1, 2, 3]


async def test_what_was_drawn_and_claimed_falls_back_with_its_transaction(shelf: Shelf) -> None:
    stream = str(uuid4())
    with contextlib.suppress(Interrupted):
        async with shelf.store.book(shelf.tenant) as book:
            assert await book.draw("INV", "FY2026-2027") == 1
            assert await book.draw("INV", "FY2026-2027") == 2
            await book.claim("account-code", "1001", stream)
            raise Interrupted
    async with shelf.store.book(shelf.tenant) as book:
        assert await book.draw("INV", "FY2026-2027") == 1
        await book.claim("account-code", "1001", stream)
    async with shelf.store.book(shelf.other_tenant) as book:
        assert await book.draw("INV", "FY2026-2027") == 1


def posted(day: date, currency: str, *lines: journal.Line) -> Append:
    event = journal.Posted(
        number="GJ-2026-11-000001",
        journal_date=day,
        currency=currency,
        lines=lines,
        posted_at=datetime(2026, 11, 23, tzinfo=UTC),
        posted_by="rahim",
    )
    return Append(kind="journal", stream_id=str(uuid4()), version=2, event=event)


async def test_what_accounts_hold_is_summed_over_posted_lines(shelf: Shelf) -> None:
    till, sales = str(uuid4()), str(uuid4())

    def both(minor: int, worth: int | None = None) -> tuple[journal.Line, journal.Line]:
        return (
            journal.Line(account_id=till, debit_minor=minor, base_debit_minor=worth),
            journal.Line(account_id=sales, credit_minor=minor, base_credit_minor=worth),
        )

    await shelf.append(
        posted(DAY, "BDT", *both(700)),
        posted(date(2027, 7, 1), "BDT", *both(1)),
        posted(DAY, "EUR", *both(3, 420)),
        posted(DAY, "USD", *both(9)),
        posted(DAY, "BDT", journal.Line(account_id=sales, debit_minor=701)),
    )
    async with shelf.store.book(shelf.tenant) as book:
        assert await book.holding_minor(till) == 701
        assert (
            await book.holding_minor(sales) == 420
        )  # nothing in one currency, and worth something in another
        assert await book.holding_minor(str(uuid4())) == 0
        assert await book.nets(None, DAY) == {
            (till, "BDT"): (700, 700),
            (till, "EUR"): (3, 420),
            (till, "USD"): (9, 0),
            (sales, "BDT"): (1, 1),
            (sales, "EUR"): (-3, -420),
            (sales, "USD"): (-9, 0),
        }
        assert await book.nets(date(2026, 12, 1), date(2027, 7, 1)) == {
            (till, "BDT"): (1, 1),
            (sales, "BDT"): (-1, -1),
        }
    async with shelf.store.book(shelf.other_tenant) as book:
        assert await book.holding_minor(till) == 0
        assert await book.nets(None, DAY) == {}


async def test_the_active_accounts_directly_below_another_are_counted(shelf: Shelf) -> None:
    above, *below = (str(uuid4()) for _ in range(4))
    gone = account.Deactivated(reason="not needed")
    await shelf.append(
        opened(above),
        *(opened(one, parent_id=above) for one in below),
        Append(kind="account", stream_id=below[0], version=2, event=gone),
        Append(kind="account", stream_id=below[1], version=2, event=account.Moved(parent_id=None)),
    )
    async with shelf.store.book(shelf.tenant) as book:
        assert await book.active_children(above) == 1
        assert await book.active_children(below[2]) == 0


async def test_the_vouchers_that_correct_a_document_are_known(shelf: Shelf) -> None:
    note, document = str(uuid4()), str(uuid4())
    terms = voucher.Terms(partner_id="p", voucher_date=DAY, due_date=DAY, lines=(), corrects_id=document)
    event = voucher.Created(voucher_id=note, kind=voucher.CREDIT_NOTE, currency="BDT", terms=terms)
    cancelled = voucher.Cancelled(reason="a mistake")
    await shelf.append(
        Append(kind="voucher", stream_id=note, version=1, event=event),
        Append(kind="voucher", stream_id=note, version=2, event=cancelled),
    )
    async with shelf.store.book(shelf.tenant) as book:
        assert await book.corrections(document) == [note]
        assert await book.corrections(note) == []
    async with shelf.store.book(shelf.other_tenant) as book:
        assert await book.corrections(document) == []


async def test_who_has_taken_values_of_a_kind_is_known(shelf: Shelf) -> None:
    one, other = str(uuid4()), str(uuid4())
    async with shelf.store.book(shelf.tenant) as book:
        for kind, value, owner in (
            ("k/1", "a", one),
            ("k/1", "b", one),
            ("k/1", "c", other),
            ("k/2", "a", other),
        ):
            await book.claim(kind, value, owner)
        assert sorted(await book.claimed("k/1")) == sorted([one, other])
    async with shelf.store.book(shelf.tenant) as book:
        assert sorted(await book.claimed("k/1")) == sorted([one, other])
        assert (await book.claimed("k/2"), await book.claimed("k/")) == ([other], [])
    async with shelf.store.book(shelf.other_tenant) as book:
        assert await book.claimed("k/1") == []


async def test_a_store_in_memory_that_is_away_answers_nothing() -> None:
    store = MemoryStore([STREAM])
    store.away = True
    with pytest.raises(StoreUnavailable):
        async with store.book(STREAM):
            pass


async def test_a_copy_in_memory_goes_its_own_way() -> None:
    store = MemoryStore([STREAM])
    async with store.book(STREAM) as book:
        await book.append([opened(STREAM)], actor="rahim")
    other = store.copy()
    assert other.tables.image() == store.tables.image()
    async with other.book(STREAM) as book:
        await book.append([renamed(STREAM, 2)], actor="rahim")
    assert [len(one.tables.rows) for one in (store, other)] == [1, 2]
    assert other.tables.rows[-1].position > store.tables.rows[-1].position
