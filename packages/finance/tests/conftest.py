"""Ledgers on a real PostgreSQL: one of its own for every test that asks, with the books of two tenants open."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from finance.adapters.postgres.opening import open_books
from finance.adapters.postgres.projector import Projector
from finance.adapters.postgres.store import TENANT_SETTING, PostgresStore
from kit.database import migrate, open_pool, tenant_transaction
from laptop.postgres import SUPERUSER, Cluster


@dataclass(kw_only=True)
class Ledger:
    """A migrated database with the pools of its roles."""

    cluster: Cluster
    name: str
    app: Any
    replay: Any
    tenant: str
    other_tenant: str

    @property
    def store(self) -> PostgresStore:
        return PostgresStore(self.app)

    def url(self, role: str) -> str:
        return self.cluster.url(role, self.name)

    def as_superuser(self, sql: str) -> None:
        self.cluster.run_sql(self.name, sql)

    @asynccontextmanager
    async def connected(self, role: str) -> AsyncIterator[asyncpg.Connection]:
        """A connection of a role, outside every pool; no tenant is set."""
        connection = await asyncpg.connect(self.url(role))
        try:
            yield connection
        finally:
            await connection.close()

    async def seen(self, tenant: str, query: str, *values: object) -> Any:
        """One value, as the application sees it in a transaction of this tenant."""
        async with tenant_transaction(self.app, TENANT_SETTING, tenant) as connection:
            return await connection.fetchval(query, *values)

    async def events(self, tenant: str) -> int:
        return int(await self.seen(tenant, "SELECT count(*) FROM finance_log.events"))

    async def replayed(self, release: str = "test") -> Projector:
        """Read models of a release, with all that is in the log now."""
        projector = Projector(self.replay, release)
        await projector.prepare()
        while await projector.step():
            pass
        return projector


@pytest.fixture
def superuser() -> str:
    return SUPERUSER


@pytest.fixture
async def ledger(cluster: Cluster, new_database: Callable[[str], str]) -> AsyncIterator[Ledger]:
    name = new_database("finance")
    folder = files("finance.adapters.postgres") / "migrations"
    await migrate(cluster.url("finance_owner", name), folder, setting="OWNER", schema="finance_log")
    tenants = {str(uuid4()): "Padma Traders", str(uuid4()): "Meghna Mills"}
    async with asyncpg.create_pool(cluster.url("finance_owner", name), min_size=1, max_size=1) as owner:
        await open_books(owner, tenants)
    app = await open_pool(cluster.url("finance_app", name), setting="APP", size=12)
    replay = await open_pool(cluster.url("finance_projector", name), setting="REPLAY", size=3)
    tenant, other_tenant = tenants
    yield Ledger(cluster=cluster, name=name, app=app, replay=replay, tenant=tenant, other_tenant=other_tenant)
    await app.close()
    await replay.close()
