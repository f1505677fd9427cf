"""Ledgers on a real PostgreSQL: one of its own for every test that asks, with the books of two tenants open."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from importlib.resources import files
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from finance import chart
from finance.adapters.postgres.opening import open_books
from finance.adapters.postgres.projector import Projector
from finance.adapters.postgres.store import TENANT_SETTING, PostgresStore
from finance.adapters.postgres.views import Views
from finance.handle import Books
from finance.ids import new_id
from finance.ports import Caller, MasterDataUnavailable
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


@dataclass
class StoppedClock:
    """Tells the time it was set to."""

    instant: datetime

    def now(self) -> datetime:
        return self.instant


@dataclass
class Neighbours:
    """Master data in memory: knows these customers; `away` answers nothing, `fallback` lets that pass."""

    customers: set[str]
    away: bool = False
    fallback: bool = True
    asked: int = 0

    async def find(self, caller: Caller, kind: str, ids: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        self.asked += 1
        known = self.customers if kind == "customers" and not self.away else set()
        return {one: {"id": one, "name": f"Customer {one[:4]}"} for one in ids if one in known}

    async def customer_exists(self, caller: Caller, customer_id: str) -> bool | None:
        self.asked += 1
        if not self.away:
            return customer_id in self.customers
        if not self.fallback:
            raise MasterDataUnavailable("it is away")
        return None


@dataclass(kw_only=True)
class Desk:
    """The commands over a real ledger, and somebody who gives them."""

    ledger: Ledger
    books: Books
    clock: StoppedClock
    neighbours: Neighbours
    caller: Caller
    customer: str

    def account(self, code: str) -> str:
        return chart.account_id(self.ledger.tenant, code)

    async def load(self, kind: str, stream_id: str) -> Any:
        async with self.ledger.store.book(self.ledger.tenant) as book:
            return (await book.load(kind, [stream_id]))[stream_id]

    async def types(self) -> Counter[str]:
        """How many events of each type the log has, without those that opened the books."""
        async with self.ledger.connected("finance_projector") as connection:
            rows = await connection.fetch("SELECT type FROM finance_log.events WHERE actor <> 'opening'")
        return Counter(row["type"].partition("/")[0] for row in rows)

    async def balances(self, first: date | None = None, last: date | None = None) -> dict[str, int]:
        """Debits less credits by account code, from read models made anew; zeros are left out."""
        views = Views(self.ledger.app, await self.ledger.replayed())
        found = await views.balances(self.ledger.tenant, currency="BDT", first=first, last=last)
        assert sum(one.debit_minor - one.credit_minor for one in found) == 0
        held = {one.account.code: one.debit_minor - one.credit_minor for one in found}
        return {code: minor for code, minor in held.items() if minor}


@pytest.fixture
def desk(ledger: Ledger) -> Desk:
    clock = StoppedClock(datetime(2026, 11, 23, 8, tzinfo=UTC))
    customer = str(uuid4())
    neighbours = Neighbours({customer})
    caller = Caller(user_id="rahim", tenant_id=ledger.tenant, permissions=frozenset(), token="none")
    books = Books(store=ledger.store, masterdata=neighbours, clock=clock, new_id=new_id)
    return Desk(
        ledger=ledger, books=books, clock=clock, neighbours=neighbours, caller=caller, customer=customer
    )
