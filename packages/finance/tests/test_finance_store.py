"""The event store: what two transactions may do beside each other, and what nobody may do at all."""

import asyncio
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from finance import account, chart
from finance.adapters.postgres.opening import open_books
from finance.ports import Append, Claimed, StoreUnavailable

pytestmark = pytest.mark.integration
Ledger = Any
DIGEST, OTHER_DIGEST = b"one request", b"another request"


class Interrupted(Exception):
    """The command failed half-way."""


def opened(stream_id: str, name: str = "Till") -> Append:
    event = account.Created(
        account_id=stream_id, code="1001", name=name, account_type="ASSET", currency="BDT"
    )
    return Append(kind="account", stream_id=stream_id, version=1, event=event)


def renamed(stream_id: str, version: int, name: str = "Safe") -> Append:
    return Append(kind="account", stream_id=stream_id, version=version, event=account.Renamed(name=name))


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE finance_log.events SET actor = 'nobody'",
        "DELETE FROM finance_log.events",
        "TRUNCATE finance_log.events",
        "TRUNCATE finance_log.events CASCADE",
    ],
)
async def test_nobody_changes_the_log(ledger: Ledger, superuser: str, change: str) -> None:
    before = await ledger.events(ledger.tenant)
    for role in ("finance_app", "finance_projector", "finance_owner", superuser):
        async with ledger.connected(role) as connection, connection.transaction():
            await connection.execute("SELECT set_config('finance.tenant', $1, true)", ledger.tenant)
            refused = asyncpg.InsufficientPrivilegeError if "_app" in role or "_pro" in role else None
            with pytest.raises(refused or asyncpg.RestrictViolationError):
                async with connection.transaction():
                    await connection.execute(change)
    assert await ledger.events(ledger.tenant) == before


TABLES = ("tenants", "events", "counters", "claims", "answers")


async def fill(ledger: Ledger, tenant: str) -> None:
    """A row in every table of the log."""
    async with ledger.store.book(tenant) as book:
        await book.draw("INV", "FY2026-2027")
        await book.remember("key", DIGEST, "account", None)


@pytest.mark.parametrize("role", ["finance_app", "finance_owner"])
async def test_without_a_tenant_nothing_is_seen(ledger: Ledger, role: str) -> None:
    await fill(ledger, ledger.tenant)
    async with ledger.connected(role) as connection:
        for table in TABLES:
            assert await connection.fetchval(f"SELECT count(*) FROM finance_log.{table}") == 0
        async with connection.transaction():
            await connection.execute("SELECT set_config('finance.tenant', $1, true)", ledger.tenant)
            for table in TABLES:
                assert await connection.fetchval(f"SELECT count(*) FROM finance_log.{table}") > 0
        for table in TABLES:
            assert await connection.fetchval(f"SELECT count(*) FROM finance_log.{table}") == 0


async def test_a_tenant_never_sees_anothers_rows(ledger: Ledger) -> None:
    for tenant in (ledger.tenant, ledger.other_tenant):
        await fill(ledger, tenant)
        await ledger.replayed()
    for table in TABLES:
        query = f"SELECT array_agg(DISTINCT tenant_id::text) FROM finance_log.{table}"
        assert await ledger.seen(ledger.tenant, query) == [ledger.tenant]
    query = "SELECT array_agg(DISTINCT tenant_id::text) FROM finance_read_test.account"
    assert await ledger.seen(ledger.tenant, query) == [ledger.tenant]
    theirs = chart.account_id(ledger.other_tenant, chart.CASH)
    async with ledger.store.book(ledger.tenant) as book:
        assert await book.load("account", [theirs]) == {}


async def test_a_tenant_never_writes_anothers_rows(ledger: Ledger) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        await ledger.seen(
            ledger.tenant,
            "INSERT INTO finance_log.events (tenant_id, stream_id, version, kind, type, data, actor)"
            " VALUES ($1, $1, 1, 'account', 'account.renamed/1', '{}'::jsonb, 'rahim')",
            ledger.other_tenant,
        )


async def test_the_application_cannot_change_read_models(ledger: Ledger) -> None:
    await ledger.replayed()
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await ledger.seen(ledger.tenant, "DELETE FROM finance_read_test.account")


async def test_every_table_with_a_tenant_is_held_by_row_level_security(ledger: Ledger) -> None:
    await ledger.replayed()
    async with ledger.connected("finance_projector") as connection:
        rows = await connection.fetch(
            "SELECT n.nspname || '.' || c.relname AS name, c.relrowsecurity AND c.relforcerowsecurity AS held"
            " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r'"
            " AND n.nspname LIKE 'finance%' AND EXISTS (SELECT FROM pg_attribute a"
            " WHERE a.attrelid = c.oid AND a.attname = 'tenant_id')"
        )
    assert {"finance_log.events", "finance_read_test.movement"} <= {row["name"] for row in rows}
    assert [row["name"] for row in rows if not row["held"]] == []


async def test_a_pooled_connection_does_not_carry_its_tenant_on(ledger: Ledger) -> None:
    await fill(ledger, ledger.tenant)
    async with ledger.app.acquire() as connection:
        assert await connection.fetchval("SELECT count(*) FROM finance_log.events") == 0


async def test_a_connection_that_is_cut_is_a_fault_of_the_store_and_the_next_one_works(
    ledger: Ledger,
) -> None:
    before = await ledger.events(ledger.tenant)

    async def write() -> None:
        async with ledger.store.book(ledger.tenant) as book:
            await book.append([opened(str(uuid4()))], actor="rahim")
            await book._connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    with pytest.raises(StoreUnavailable) as told:
        await write()
    assert told.value.code == "store-unavailable"
    assert await ledger.events(ledger.tenant) == before


async def test_books_are_opened_once(ledger: Ledger) -> None:
    before = await ledger.events(ledger.tenant)
    async with asyncpg.create_pool(ledger.url("finance_owner"), min_size=1, max_size=2) as owner:
        assert await open_books(owner, {ledger.tenant: "Padma Traders"}) == 0
        fresh = {str(uuid4()): "Jamuna Jute"}
        assert sorted(await asyncio.gather(open_books(owner, fresh), open_books(owner, fresh))) == [0, 1]
    assert await ledger.events(ledger.tenant) == before == len(chart.STANDARD)
    [tenant] = fresh
    assert await ledger.events(tenant) == len(chart.STANDARD) + 1  # and the rule of four eyes


async def test_books_opened_by_an_older_release_get_the_standard_accounts_they_lack(ledger: Ledger) -> None:
    gains, cash = (chart.account_id(ledger.tenant, code) for code in (chart.EXCHANGE_GAINS, chart.CASH))
    ledger.as_superuser(
        "ALTER TABLE finance_log.events DISABLE TRIGGER USER;"
        f"DELETE FROM finance_log.events WHERE stream_id = '{gains}';"
        f"DELETE FROM finance_log.claims WHERE stream_id = '{gains}';"
        "ALTER TABLE finance_log.events ENABLE TRIGGER USER;"
    )
    before = await ledger.events(ledger.tenant)
    async with asyncpg.create_pool(ledger.url("finance_owner"), min_size=1, max_size=1) as owner:
        for _ in range(2):
            assert await open_books(owner, {ledger.tenant: "Padma Traders"}) == 0
    async with ledger.store.book(ledger.tenant) as book:
        found = await book.load("account", [gains, cash])
    assert {one.code for one in found.values()} == {chart.EXCHANGE_GAINS, chart.CASH}
    assert await ledger.events(ledger.tenant) == before + 1


async def test_a_standard_account_whose_code_a_tenant_gave_away_is_opened_under_the_next_one(
    ledger: Ledger,
) -> None:
    """Posting rules know it by its id: without it, no payment that has an exchange difference could be completed."""
    gains, own = chart.account_id(ledger.tenant, chart.EXCHANGE_GAINS), str(uuid4())
    ledger.as_superuser(
        "ALTER TABLE finance_log.events DISABLE TRIGGER USER;"
        f"DELETE FROM finance_log.events WHERE stream_id = '{gains}';"
        f"UPDATE finance_log.claims SET stream_id = '{own}' WHERE stream_id = '{gains}';"
        "ALTER TABLE finance_log.events ENABLE TRIGGER USER;"
    )
    async with asyncpg.create_pool(ledger.url("finance_owner"), min_size=2, max_size=2) as owner:
        names = {ledger.tenant: "Padma Traders"}
        assert await asyncio.gather(open_books(owner, names), open_books(owner, names)) == [0, 0]
    async with ledger.store.book(ledger.tenant) as book:
        assert (await book.load("account", [gains]))[gains].code == "4900-01"
        with pytest.raises(Claimed):
            await book.claim("account-code", "4900", gains)
