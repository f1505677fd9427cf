"""Histories on a real PostgreSQL: the same requests, laws and model; turns are given by the database and the loop."""

import asyncio
from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING, Any, Final
from uuid import NAMESPACE_OID, uuid5

from finance.adapters.memory import Row, Tables
from finance.adapters.postgres.opening import open_books
from finance.adapters.postgres.store import TENANT_SETTING, PostgresStore
from finance.events import decode
from finance.ordeal.world import Asked, Outcome, outcome_of
from finance.ports import Position
from kit.database import open_pool, tenant_transaction

if TYPE_CHECKING:
    from kit.database import Pool

WRITTEN: Final = """
SELECT position, tx::text, tenant_id::text, stream_id::text, version, kind, type, data::text, effective_date, actor
FROM finance_log.events WHERE tenant_id = finance_log.tenant() AND position > $1 ORDER BY tx, position
"""
COUNTERS: Final = "SELECT series, fiscal_year, last FROM finance_log.counters"
CLAIMS: Final = "SELECT kind, value, stream_id::text FROM finance_log.claims"
ANSWERS: Final = "SELECT key, digest, kind, state::text FROM finance_log.answers"


class PostgresWorld:
    """Two companies of their own for each `seed` in a migrated database. To be closed."""

    def __init__(self, app_url: str, owner_url: str, seed: int) -> None:
        self._loop = asyncio.new_event_loop()
        one, other = (str(uuid5(NAMESPACE_OID, f"{seed}/{which}")) for which in "ab")
        self.tenants = (one, other)
        self.tables = Tables()
        self._pool = self._loop.run_until_complete(self._opened(app_url, owner_url))
        self.store = PostgresStore(self._pool)
        self._last = 0
        self._loop.run_until_complete(self._read())

    async def _opened(self, app_url: str, owner_url: str) -> "Pool":
        names = dict.fromkeys(self.tenants, "A company")
        owner = await open_pool(owner_url, setting="OWNER", size=1)
        await open_books(owner, names, alone=self.tenants)
        await owner.close()
        return await open_pool(app_url, setting="APP", size=4)

    def close(self) -> None:
        self._loop.run_until_complete(self._pool.close())
        self._loop.close()

    def give(self, asked: Sequence[Asked], _: Random, crash_after: int | None) -> list[Outcome]:
        return self._loop.run_until_complete(self._given(asked, crash_after))

    async def _given(self, asked: Sequence[Asked], crash_after: int | None) -> list[Outcome]:
        tasks = [asyncio.ensure_future(one) for one in asked]
        if crash_after is not None:
            for _ in range(crash_after):
                await asyncio.sleep(0)
            tasks[0].cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        await self._read()
        return [self._outcome(one) for one in done]

    @staticmethod
    def _outcome(done: Any) -> Outcome:
        if isinstance(done, asyncio.CancelledError):
            return Outcome(crashed=True)
        return outcome_of(done) if isinstance(done, BaseException) else Outcome(answer=done)

    async def _read(self) -> None:
        """What was written since; numbers, values and keys anew."""
        last = self._last
        for tenant in self.tenants:
            async with tenant_transaction(self._pool, TENANT_SETTING, tenant) as connection:
                for row in await connection.fetch(WRITTEN, self._last):
                    self.tables.insert(_row(row))
                    last = max(last, row["position"])
                for series, year, drawn in await connection.fetch(COUNTERS):
                    self.tables.counters[tenant, series, year] = drawn
                for kind, value, stream_id in await connection.fetch(CLAIMS):
                    self.tables.claims[tenant, kind, value] = stream_id
                for key, digest, kind, state in await connection.fetch(ANSWERS):
                    self.tables.answers[tenant, key] = (digest, kind, state)
        self._last = last


def _row(row: Any) -> Row:
    data = row["data"].encode()
    return Row(
        position=Position(int(row["tx"]), row["position"]),
        tenant_id=row["tenant_id"],
        stream_id=row["stream_id"],
        version=row["version"],
        kind=row["kind"],
        type=row["type"],
        data=data,
        actor=row["actor"],
        effective_date=row["effective_date"],
        event=decode(row["type"], data),
    )
