"""Row level security, asked directly as the application's role: what a bug in the service could not give away."""

from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from kit.database import open_pool, tenant_transaction
from masterdata.record import KINDS, TENANT, Records

pytestmark = pytest.mark.integration
TABLES = {"partners": ("customers", "vendors"), "products": ("products",)}
CHANGES = ("UPDATE masterdata.{} SET name = 'x'", "DELETE FROM masterdata.{}", "TRUNCATE masterdata.{}")


@pytest.fixture
async def connection(masterdata: Any) -> Any:
    """A connection as the service has it; no tenant is set."""
    made = await asyncpg.connect(masterdata.url("masterdata_app"))
    yield made
    await made.close()


async def choose(connection: Any, tenant: str) -> None:
    await connection.execute("SELECT set_config($1, $2, false)", TENANT, tenant)


async def counts(connection: Any) -> dict[str, int]:
    return {table: await connection.fetchval(f"SELECT count(*) FROM masterdata.{table}") for table in TABLES}


def seeded(masterdata: Any) -> dict[str, int]:
    return {table: sum(masterdata.counts[kind] for kind in kinds) for table, kinds in TABLES.items()}


async def test_without_a_tenant_nothing_is_seen(masterdata: Any, connection: Any) -> None:
    assert await counts(connection) == {"partners": 0, "products": 0}
    await choose(connection, "")
    assert await counts(connection) == {"partners": 0, "products": 0}


async def test_with_a_tenant_its_rows_are_seen_and_no_others(masterdata: Any, connection: Any) -> None:
    for tenant in masterdata.tenants:
        await choose(connection, tenant)
        assert await counts(connection) == seeded(masterdata)
        for table in TABLES:
            owners = await connection.fetch(f"SELECT DISTINCT tenant_id FROM masterdata.{table}")
            assert [str(row["tenant_id"]) for row in owners] == [tenant]


async def test_a_tenant_that_is_none_is_an_error_and_no_rows(connection: Any) -> None:
    await choose(connection, "no tenant")
    with pytest.raises(asyncpg.InvalidTextRepresentationError):
        await counts(connection)


async def test_a_row_cannot_be_written_for_another_tenant(masterdata: Any, connection: Any) -> None:
    mine, theirs = masterdata.tenants
    statements = (
        "INSERT INTO masterdata.partners VALUES ($1, $2, 'vendor', 'X', 'X', null, null)",
        "INSERT INTO masterdata.products VALUES ($1, $2, 'X', 'X', 'bag', 'STANDARD')",
    )
    for tenant in (mine, ""):
        await choose(connection, tenant)
        for statement in statements:
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
                await connection.execute(statement, UUID(theirs), uuid4())


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("change", CHANGES)
async def test_the_service_changes_and_removes_nothing(
    masterdata: Any, connection: Any, table: str, change: str
) -> None:
    await choose(connection, masterdata.tenants[0])
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute(change.format(table))


@pytest.mark.parametrize("table", TABLES)
async def test_the_service_cannot_put_the_rule_aside(connection: Any, table: str) -> None:
    for statement in ("DISABLE ROW LEVEL SECURITY", "NO FORCE ROW LEVEL SECURITY"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(f"ALTER TABLE masterdata.{table} {statement}")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute(f"DROP POLICY own ON masterdata.{table}")


@pytest.mark.parametrize("table", TABLES)
async def test_even_the_owner_is_held_to_a_tenant(masterdata: Any, table: str) -> None:
    owner = await asyncpg.connect(masterdata.url("masterdata_owner"))
    try:
        assert await owner.fetchval(f"SELECT count(*) FROM masterdata.{table}") == 0
    finally:
        await owner.close()


async def test_a_pooled_connection_does_not_carry_the_tenant_on(masterdata: Any) -> None:
    pool = await open_pool(masterdata.url("masterdata_app"), setting="URL", size=1)
    try:
        records = Records(pool)
        for tenant in (*masterdata.tenants, *masterdata.tenants):
            found = await records.page(KINDS["vendors"], tenant, limit=1, offset=0, search="")
            async with tenant_transaction(pool, TENANT, tenant) as connection:
                owner = await connection.fetchval(
                    "SELECT tenant_id FROM masterdata.partners WHERE id = $1", UUID(found[0]["id"])
                )
            assert str(owner) == tenant
            assert await pool.fetchval("SELECT count(*) FROM masterdata.partners") == 0
    finally:
        await pool.close()
