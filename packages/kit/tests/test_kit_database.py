"""The database: migrations run once and stay as they were, and a tenant is set for one transaction only."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from kit.database import STATEMENT_TIMEOUT_MS, migrate, open_pool, place, tenant_transaction
from kit.serve import ServiceFault
from laptop.postgres import Cluster

if TYPE_CHECKING:
    from kit.database import Pool

FIRST = """
CREATE TABLE shop.item (tenant text NOT NULL, name text NOT NULL);
ALTER TABLE shop.item ENABLE ROW LEVEL SECURITY;
ALTER TABLE shop.item FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON shop.item USING (tenant = current_setting('shop.tenant', true));
"""
UNUSABLE = (
    "",
    "nonsense",
    "hunter2://host/shop",
    "postgres:user:hunter2@host/shop",
    "postgresql://user:hunter2/x@host/shop",
    "postgresql://user:12/hunter2@host/shop",
    "postgresql://user:12?hunter2@host/shop",
    "postgresql://user:12#hunter2@host/shop",
    "postgresql://user:hun[ter2@host/shop",
    "postgresql://user:hunter2@host:port/shop",
    "postgresql://user:hunter2@host:99999/shop",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "migrations"
    made.mkdir()
    (made / "0001_item.sql").write_text(FIRST)
    (made / "notes.txt").write_text("this is no migration")
    return made


@pytest.fixture
def url(cluster: Cluster, new_database: Callable[[str], str]) -> str:
    """An empty database, as its owner reaches it."""
    return cluster.url("masterdata_owner", new_database("masterdata"))


@pytest.fixture
async def pool(url: str, folder: Path) -> AsyncIterator["Pool"]:
    """One connection to a migrated database, so that every transaction has the same."""
    await run(url, folder)
    made = await open_pool(url, setting="SHOP_URL", size=1, name="kit test")
    yield made
    await made.close()


async def run(url: str, folder: Path) -> list[str]:
    return await migrate(url, folder, setting="SHOP_URL", schema="shop")


async def fetch(url: str, query: str) -> Any:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def names(pool: "Pool", tenant: str) -> list[str]:
    async with tenant_transaction(pool, "shop.tenant", tenant) as connection:
        rows = await connection.fetch("SELECT name FROM shop.item ORDER BY name")
    return [row["name"] for row in rows]


async def add(pool: "Pool", tenant: str, name: str) -> None:
    async with tenant_transaction(pool, "shop.tenant", tenant) as connection:
        await connection.execute("INSERT INTO shop.item VALUES ($1, $2)", tenant, name)


async def no_reset(_: Any) -> None:
    """Give the connection on as it is."""


async def break_off(pool: "Pool", tenant: str) -> None:
    """Write, and fail before the end."""
    async with tenant_transaction(pool, "shop.tenant", tenant) as connection:
        await connection.execute("INSERT INTO shop.item VALUES ($1, 'half')", tenant)
        raise LookupError


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("postgresql://user:hunter2@host:5433/shop", "host:5433/shop"),
        ("postgres://user:hunter2@host/shop", "host:5432/shop"),
        ("postgresql://user:hunt@er2@host/shop", "host:5432/shop"),
        ("postgresql://user:hunter2@host/shop?sslmode=require", "host:5432/shop"),
        ("postgresql:///shop", "local:5432/shop"),
    ],
)
def test_an_address_is_told_without_its_password(url: str, address: str) -> None:
    assert place(url) == address


@pytest.mark.parametrize("url", UNUSABLE)
async def test_what_is_no_url_of_a_database_is_refused_and_not_repeated(url: str, folder: Path) -> None:
    told = f"expected postgresql://user:password@host:port/database, .*; found {'no such URL' if url else 'nothing'}$"
    for asked in (open_pool(url, setting="SHOP_URL"), run(url, folder)):
        with pytest.raises(ServiceFault, match=f"^SHOP_URL: {told}") as fault:
            await asked
        assert "hunter2" not in str(fault.value)
    with pytest.raises(ServiceFault, match=f"^database: {told}"):
        place(url)


async def test_a_database_that_is_away_is_named_without_its_password(folder: Path) -> None:
    url = "postgresql://user:hunter2@127.0.0.1:1/shop"
    for asked in (open_pool(url, setting="SHOP_URL"), run(url, folder)):
        with pytest.raises(ServiceFault, match=r"^SHOP_URL: no database at 127\.0\.0\.1:1/shop ") as fault:
            await asked
        assert str(fault.value).endswith("is it running?")
        assert "hunter2" not in str(fault.value)


@pytest.mark.integration
async def test_a_wrong_password_is_a_fault_that_does_not_tell_it(url: str, folder: Path) -> None:
    wrong = url.replace(url.split(":")[2].split("@", maxsplit=1)[0], "hunter2")
    for asked in (open_pool(wrong, setting="SHOP_URL"), run(wrong, folder)):
        with pytest.raises(ServiceFault, match="password authentication failed") as fault:
            await asked
        assert "hunter2" not in str(fault.value)


@pytest.mark.integration
async def test_migrations_run_once_and_in_order(url: str, folder: Path) -> None:
    (folder / "0003_last.sql").write_text("ALTER TABLE shop.item RENAME COLUMN label TO title")
    (folder / "0002_next.sql").write_text("ALTER TABLE shop.item RENAME COLUMN name TO label")
    assert await run(url, folder) == ["0001_item.sql", "0002_next.sql", "0003_last.sql"]
    assert await run(url, folder) == []
    assert await fetch(url, "SELECT count(title) FROM shop.item") == 0


@pytest.mark.integration
async def test_only_what_is_new_is_run(url: str, folder: Path) -> None:
    await run(url, folder)
    (folder / "0002_more.sql").write_text("ALTER TABLE shop.item ADD COLUMN price_minor bigint")
    assert await run(url, folder) == ["0002_more.sql"]


@pytest.mark.integration
async def test_an_older_release_leaves_a_newer_database_alone(url: str, folder: Path) -> None:
    newer = folder / "0002_more.sql"
    newer.write_text("ALTER TABLE shop.item ADD COLUMN price_minor bigint")
    await run(url, folder)
    newer.unlink()
    assert await run(url, folder) == []


@pytest.mark.integration
async def test_an_altered_migration_is_refused_and_nothing_is_run(url: str, folder: Path) -> None:
    await run(url, folder)
    (folder / "0001_item.sql").write_text(FIRST + "-- changed")
    (folder / "0002_more.sql").write_text("CREATE TABLE shop.more ()")
    with pytest.raises(ServiceFault, match=r"^SHOP_URL: 0001_item\.sql changed after it was run at 127"):
        await run(url, folder)
    assert await fetch(url, "SELECT to_regclass('shop.more')") is None


@pytest.mark.integration
async def test_a_migration_that_fails_leaves_nothing_behind_and_can_be_mended(url: str, folder: Path) -> None:
    second = folder / "0002_more.sql"
    second.write_text("CREATE TABLE shop.more (); SELECT 1 / 0")
    with pytest.raises(ServiceFault, match=r"a migration was refused by .*: division by zero"):
        await run(url, folder)
    assert await fetch(url, "SELECT to_regclass('shop.more')") is None
    second.write_text("CREATE TABLE shop.more ()")
    assert await run(url, folder) == ["0002_more.sql"]


@pytest.mark.integration
async def test_a_migration_and_the_record_of_it_are_written_together_or_not_at_all(
    url: str, folder: Path
) -> None:
    second = folder / "0002_more.sql"
    second.write_text("CREATE TABLE shop.more (); INSERT INTO shop.migrations VALUES ('0002_more.sql', '')")
    with pytest.raises(ServiceFault, match="duplicate key"):
        await run(url, folder)
    assert await fetch(url, "SELECT to_regclass('shop.more')") is None


@pytest.mark.integration
async def test_of_many_migrators_at_once_one_does_the_work(url: str, folder: Path) -> None:
    (folder / "0002_slow.sql").write_text("SELECT pg_sleep(0.1); CREATE TABLE shop.more ()")
    done = await asyncio.gather(*(run(url, folder) for _ in range(6)))
    assert sorted(done) == [[]] * 5 + [["0001_item.sql", "0002_slow.sql"]]


@pytest.mark.integration
async def test_a_transaction_sees_and_writes_its_tenant_and_no_other(pool: "Pool") -> None:
    await add(pool, "padma", "rice")
    await add(pool, "meghna", "tea")
    assert await names(pool, "padma") == ["rice"]
    assert await names(pool, "meghna") == ["tea"]
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with tenant_transaction(pool, "shop.tenant", "padma") as connection:
            await connection.execute("INSERT INTO shop.item VALUES ('meghna', 'stolen')")
    assert await names(pool, "meghna") == ["tea"]


@pytest.mark.integration
@pytest.mark.parametrize("use", [names, break_off])
async def test_a_connection_forgets_the_tenant_even_if_its_pool_would_not(
    url: str, folder: Path, use: Callable[..., Any]
) -> None:
    await run(url, folder)
    async with asyncpg.create_pool(url, min_size=1, max_size=1, reset=no_reset) as pool:
        await add(pool, "padma", "rice")
        with suppress(LookupError):
            await use(pool, "padma")
        assert await pool.fetchval("SELECT count(*) FROM shop.item") == 0
        assert not await pool.fetchval("SELECT current_setting('shop.tenant', true)")


@pytest.mark.integration
async def test_a_tenant_is_a_value_and_no_statement(pool: "Pool") -> None:
    await add(pool, "padma", "rice")
    assert await names(pool, "padma' OR true; --") == []


@pytest.mark.integration
async def test_a_transaction_that_fails_writes_nothing(pool: "Pool") -> None:
    with pytest.raises(LookupError):
        await break_off(pool, "padma")
    assert await names(pool, "padma") == []


@pytest.mark.integration
@pytest.mark.parametrize("value", [{"a": [1, None, "ü"]}, [], "text", 1.5, None])
async def test_json_comes_back_as_it_went_in(pool: "Pool", value: Any) -> None:
    found = await pool.fetchrow("SELECT $1::jsonb AS value, jsonb_typeof($1::jsonb) AS kind", value)
    assert found is not None
    assert found["value"] == value


@pytest.mark.integration
async def test_a_connection_has_a_name_and_gives_up_on_a_statement(pool: "Pool") -> None:
    assert await pool.fetchval("SHOW application_name") == "kit test"
    assert await pool.fetchval("SHOW statement_timeout") == f"{STATEMENT_TIMEOUT_MS // 1000}s"
