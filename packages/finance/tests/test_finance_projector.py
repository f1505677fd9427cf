"""Read models: every event once, in the order of commits, and the same again from the beginning."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from finance import account, chart, invoice, journal
from finance.adapters.postgres.projector import Projector, schema_of
from finance.adapters.postgres.store import TENANT_SETTING, PostgresBook
from finance.adapters.postgres.views import Views, Window
from finance.events import DECODERS, encode
from finance.graphql.context import Context
from finance.graphql.reading import one
from finance.graphql.writing import currency_of
from finance.money import LARGEST_MINOR, Money
from finance.ports import Append, StoreUnavailable
from finance.refusal import TenantUnknown, TextMalformed
from kit.database import tenant_transaction

pytestmark = pytest.mark.integration
Ledger = Any
DAY = date(2026, 11, 23)


def opened(stream_id: str, code: str = "1001") -> Append:
    event = account.Created(
        account_id=stream_id, code=code, name="Till", account_type="ASSET", currency="BDT"
    )
    return Append(kind="account", stream_id=stream_id, version=1, event=event)


def entry(tenant: str, minor: int) -> list[Append]:
    """A posted entry: cash against sales."""
    stream = str(uuid4())
    lines = (
        journal.Line(account_id=chart.account_id(tenant, chart.CASH), debit_minor=minor),
        journal.Line(account_id=chart.account_id(tenant, chart.REVENUE), credit_minor=minor),
    )
    created = journal.Created(
        journal_id=stream,
        journal_date=DAY,
        journal_type="GENERAL",
        description="A sale",
        currency="BDT",
        lines=lines,
    )
    posted = journal.Posted(
        number="GJ-2026-11-000001",
        journal_date=DAY,
        currency="BDT",
        lines=lines,
        posted_at=datetime(2026, 11, 23, tzinfo=UTC),
        posted_by="rahim",
    )
    return [
        Append(kind="journal", stream_id=stream, version=version, event=event)
        for version, event in enumerate((created, posted), start=1)
    ]


async def write(ledger: Ledger, events: list[Append]) -> list[Any]:
    async with ledger.store.book(ledger.tenant) as book:
        await book.append(events, actor="rahim")
    return list(book.written)


@contextlib.asynccontextmanager
async def following(projector: Projector) -> AsyncIterator[Projector]:
    task = asyncio.create_task(projector.run())
    try:
        yield projector
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def readiness(projector: Projector, *, ready: bool, within_s: float = 10) -> str:
    """Wait until it is ready or not; returns what it said."""
    deadline = time.monotonic() + within_s
    while True:
        said = ""
        try:
            await projector.answer()
        except StoreUnavailable as error:
            said = str(error)
        if (said == "") is ready:
            return said
        assert time.monotonic() < deadline, f"still {said or 'ready'}"
        await asyncio.sleep(0.01)


async def test_a_transaction_that_commits_late_is_not_skipped(ledger: Ledger) -> None:
    projector = await ledger.replayed()
    early, late = str(uuid4()), str(uuid4())
    async with tenant_transaction(ledger.app, TENANT_SETTING, ledger.tenant) as slow:
        await PostgresBook(slow, ledger.tenant).append([opened(early)], actor="rahim")
        written = await write(ledger, [opened(late)])
        assert await projector.step() == 0
        assert projector.position < written[-1]
    views = Views(ledger.app, projector)
    assert await projector.step() == 2
    assert set(await views.find(ledger.tenant, "account", [early, late])) == {early, late}


async def test_transactions_are_read_in_the_order_of_their_numbers_and_not_of_their_digits(
    ledger: Ledger,
) -> None:
    stream = str(uuid4())
    for tx, version, (name, data) in (
        (10, 2, encode(account.Renamed(name="Safe"))),
        (9, 1, encode(opened(stream).event)),
    ):
        ledger.as_superuser(
            "INSERT INTO finance_log.events (tx, tenant_id, stream_id, version, kind, type, data, actor)"
            f" VALUES ('{tx}', '{ledger.tenant}', '{stream}', {version}, 'account', '{name}',"
            f" '{data.decode()}', 'rahim');"
        )
    views = Views(ledger.app, await ledger.replayed())
    found = await views.find(ledger.tenant, "account", [stream])
    assert (found[stream].name, found[stream].version) == ("Safe", 2)


async def test_a_batch_and_its_checkpoint_are_one_transaction(ledger: Ledger) -> None:
    projector = await ledger.replayed()
    await write(ledger, entry(ledger.tenant, 5))
    ledger.as_superuser("ALTER TABLE finance_read_test.balance ADD CHECK (debit_minor = 0);")
    before = projector.position
    with pytest.raises(Exception, match="violates check constraint"):
        await projector.step()
    views = Views(ledger.app, projector)
    assert projector.position == before
    assert await views.page(ledger.tenant, "journal", limit=10, offset=0, filters={}) == []
    ledger.as_superuser("ALTER TABLE finance_read_test.balance DROP CONSTRAINT balance_debit_minor_check;")
    assert await projector.step() == 2
    held = await views.holdings(ledger.tenant, [chart.account_id(ledger.tenant, chart.CASH)])
    assert list(held.values()) == [5]


async def test_two_replays_give_equal_read_models(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    await ledger.replayed("1.0.0")
    for minor in range(1, 6):
        await write(ledger, entry(ledger.tenant, minor))
        await ledger.replayed("1.0.0")
    monkeypatch.setattr("finance.adapters.postgres.projector.BATCH", 3)
    await ledger.replayed("1.1.0")
    async with ledger.replay.acquire() as connection:
        for table in (
            "account",
            "invoice",
            "payment",
            "journal",
            "number",
            "balance",
            "movement",
            "checkpoint",
        ):
            kept = [
                await connection.fetch(f"SELECT t::text FROM {schema_of(release)}.{table} t ORDER BY 1")
                for release in ("1.0.0", "1.1.0")
            ]
            assert kept[0] == kept[1]
            assert kept[0] or table in {"invoice", "payment"}


async def test_read_models_made_to_another_plan_are_made_anew(ledger: Ledger) -> None:
    await write(ledger, entry(ledger.tenant, 5))
    old = await ledger.replayed()
    ledger.as_superuser("ALTER TABLE finance_read_test.balance DROP COLUMN credit_minor;")
    ledger.as_superuser("COMMENT ON SCHEMA finance_read_test IS 'an older plan';")
    views = Views(ledger.app, await ledger.replayed())
    cash = chart.account_id(ledger.tenant, chart.CASH)
    assert await views.holdings(ledger.tenant, [cash]) == {cash: 5}
    ledger.as_superuser("CREATE TABLE finance_read_test.kept ();")
    await old.prepare()
    ledger.as_superuser("DROP TABLE finance_read_test.kept;")


def approval(number: str, times: int = 1) -> list[Append]:
    """The events of an invoice, its approval so many times: a log that somebody damaged."""
    stream, day = str(uuid4()), DAY
    approved = invoice.Approved(number=number, journal_id="j", approved_by="rahim")
    line = invoice.line(
        description="Rice",
        quantity=Decimal(1),
        unit_price=Money(5, "BDT"),
        vat_category="EXEMPT",
        product_id=None,
    )
    terms = invoice.Terms(customer_id="c", invoice_date=day, due_date=day, lines=(line,))
    created = invoice.Created(invoice_id=stream, currency="BDT", terms=terms)
    return [
        Append(kind="invoice", stream_id=stream, version=version, event=event)
        for version, event in enumerate((created, *[approved] * times), start=1)
    ]


async def test_a_number_that_is_missing_and_one_that_came_twice_are_reported(ledger: Ledger) -> None:
    for number in ("000002", "000003", "000003", "000007", "many", "99999999999"):
        await write(ledger, approval(f"INV-2026-11-23-{number}"))
    await write(ledger, approval("INV-2027-07-01-000001", times=2))
    views = Views(ledger.app, await ledger.replayed())
    [found] = await views.number_series(ledger.tenant, "FY2026-2027")
    assert (found["series"], found["count"], found["last"]) == ("INV", 4, 7)
    assert found["missing"] == [{"first": 1, "last": 1}, {"first": 4, "last": 6}]
    assert found["repeated"] == [3]
    [next_year] = await views.number_series(ledger.tenant, "FY2027-2028")
    assert (next_year["missing"], next_year["repeated"]) == ([], [])
    assert await views.number_series(ledger.other_tenant, "FY2026-2027") == []


async def test_each_release_has_a_read_schema_of_its_own(ledger: Ledger) -> None:
    assert schema_of("1.1.0-rc.2") == "finance_read_1_1_0_rc_2"
    old, new = await ledger.replayed("1.0.0"), await ledger.replayed("1.1.0")
    ledger.as_superuser(f"DROP SCHEMA {old.schema} CASCADE;")
    assert len(
        await Views(ledger.app, new).page(ledger.tenant, "account", limit=99, offset=0, filters={})
    ) == len(chart.STANDARD)


async def test_sums_may_be_larger_than_any_entry(ledger: Ledger) -> None:
    for _ in range(10):
        await write(ledger, [event for _ in range(10) for event in entry(ledger.tenant, LARGEST_MINOR)])
    views = Views(ledger.app, await ledger.replayed())
    cash = chart.account_id(ledger.tenant, chart.CASH)
    assert await views.holdings(ledger.tenant, [cash]) == {cash: 100 * LARGEST_MINOR}
    balances = await views.balances(ledger.tenant, currency="BDT", window=Window(first=None, last=None))
    assert sum(one.debit_minor for one in balances) == 100 * LARGEST_MINOR
    async with ledger.store.book(ledger.tenant) as book:
        assert await book.holding_minor(cash) == 100 * LARGEST_MINOR


async def test_a_follower_is_ready_when_it_has_the_log(ledger: Ledger) -> None:
    projector = Projector(ledger.replay, "test")
    await projector.prepare()
    assert "being built" in await readiness(projector, ready=False)
    async with following(projector):
        await readiness(projector, ready=True)
        assert await projector.lag() == 0


async def test_a_read_waits_for_what_this_process_wrote(ledger: Ledger) -> None:
    projector, store = await ledger.replayed(), ledger.store
    store.listeners.append(projector.expect)
    views = Views(ledger.app, projector)
    async with following(projector):
        for _ in range(20):
            stream = str(uuid4())
            async with store.book(ledger.tenant) as book:
                await book.append([opened(stream)], actor="rahim")
            assert stream in await views.find(ledger.tenant, "account", [stream])


async def test_a_read_does_not_wait_for_ever(ledger: Ledger) -> None:
    projector, store = await ledger.replayed(), ledger.store
    store.listeners.append(projector.expect)
    stream, begun = str(uuid4()), time.monotonic()
    async with store.book(ledger.tenant) as book:
        await book.append([opened(stream)], actor="rahim")
    assert await Views(ledger.app, projector).find(ledger.tenant, "account", [stream]) == {}
    assert 0.4 < time.monotonic() - begun < 5


async def test_an_event_of_a_newer_release_makes_the_follower_say_so_and_wait(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    projector, stream = await ledger.replayed(), str(uuid4())
    async with following(projector):
        await readiness(projector, ready=True)
        ledger.as_superuser(
            "INSERT INTO finance_log.events (tenant_id, stream_id, version, kind, type, data, actor) VALUES"
            f" ('{ledger.tenant}', '{stream}', 1, 'account', 'account.created/2',"
            f""" '{{"type": "account.created/1", "account_id": "{stream}", "code": "1001", "name": "Till","""
            """ "account_type": "ASSET", "currency": "BDT"}', 'rahim');"""
        )
        assert "account.created/2" in await readiness(projector, ready=False)
        monkeypatch.setitem(DECODERS, "account.created/2", DECODERS["account.created/1"])
        await readiness(projector, ready=True)
    assert stream in await Views(ledger.app, projector).find(ledger.tenant, "account", [stream])


async def test_a_database_that_goes_and_comes_back_is_waited_for(ledger: Ledger) -> None:
    projector = await ledger.replayed()
    async with following(projector):
        await readiness(projector, ready=True)
        ledger.as_superuser("ALTER SCHEMA finance_read_test RENAME TO away;")
        assert "interrupted" in await readiness(projector, ready=False)
        ledger.as_superuser("ALTER SCHEMA away RENAME TO finance_read_test;")
        await readiness(projector, ready=True)


async def test_a_tenant_without_books_reads_nothing(ledger: Ledger) -> None:
    views = Views(ledger.app, await ledger.replayed())
    for tenant in (str(uuid4()), "no tenant"):
        with pytest.raises(TenantUnknown):
            await views.page(tenant, "account", limit=1, offset=0, filters={})


async def test_a_filter_that_cannot_be_asked_is_refused(ledger: Ledger) -> None:
    views = Views(ledger.app, await ledger.replayed())
    with pytest.raises(TextMalformed):
        await views.page(ledger.tenant, "account", limit=1, offset=0, filters={"code": "\0"})


async def test_what_is_no_id_is_found_nowhere(ledger: Ledger) -> None:
    views = Views(ledger.app, await ledger.replayed())
    cash = chart.account_id(ledger.tenant, chart.CASH)
    asked = [cash, cash.upper(), f"urn:uuid:{cash}", f"{{{cash}}}", "", "INV-1"]
    assert list(await views.find(ledger.tenant, "account", asked)) == [cash]


async def test_what_the_other_colour_has_just_written_is_found_by_its_id(ledger: Ledger, desk: Any) -> None:
    behind = Views(ledger.app, await ledger.replayed("behind"))
    made = await desk.books.create_account(
        desk.caller,
        str(uuid4()),
        code="1003",
        name="Till",
        account_type="ASSET",
        currency="BDT",
        parent_id=None,
    )
    assert await behind.find(ledger.tenant, "account", [made.id]) == {}
    service: Any = SimpleNamespace(views=behind, books=desk.books)
    reader = replace(desk.caller, permissions=frozenset({"account:read"}))
    stranger = replace(reader, tenant_id=ledger.other_tenant)

    async def read(caller: Any, record_id: str) -> Any:
        context = Context(service=service, caller=caller, now=desk.clock.now())
        return await one(SimpleNamespace(context=context, field_name="chartOfAccount"), "account", record_id)  # type: ignore[arg-type]

    assert await read(reader, made.id) == made
    assert await read(stranger, made.id) is None
    assert await read(reader, str(uuid4())) is None
    assert await read(reader, "no-identifier") is None


async def test_an_amount_is_read_in_the_currency_of_what_the_other_colour_has_just_written(
    ledger: Ledger, desk: Any
) -> None:
    behind: Any = SimpleNamespace(views=Views(ledger.app, await ledger.replayed("behind")), books=desk.books)
    await desk.rate_set("140")
    one = await desk.invoice_drafted(currency="EUR")
    context = Context(service=behind, caller=desk.caller, now=desk.clock.now())
    assert await currency_of(context, "invoice", one.id) == "EUR"
    assert await currency_of(context, "invoice", str(uuid4())) == "BDT"
