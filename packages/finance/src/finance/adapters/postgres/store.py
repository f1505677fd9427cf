"""The event store on PostgreSQL: one transaction is one book.

Row level security holds every statement to the tenant of the transaction. Two transactions that append the same
version of a stream collide on a unique index; the loser loads again. Numbers and claims are rows whose locks end
with the transaction.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import date
from typing import TYPE_CHECKING, Any

import asyncpg
import msgspec

from finance.events import KINDS, decode, encode, evolve
from finance.ids import is_uuid
from finance.money import BASE
from finance.ports import Append, Claimed, Conflict, Position, StoreUnavailable
from finance.refusal import IdempotencyKeyMalformed, IdempotencyKeyReused, TenantUnknown, TextMalformed
from kit.database import tenant_transaction

if TYPE_CHECKING:
    from kit.database import Connection, Pool

TENANT_SETTING = "finance.tenant"
STATES = {kind: msgspec.json.Decoder(getattr(module, kind.capitalize())) for kind, module in KINDS.items()}
FASTER = (
    asyncpg.UniqueViolationError,
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
)
AWAY = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    TimeoutError,
)
UNKEPT = (asyncpg.CharacterNotInRepertoireError, asyncpg.UntranslatableCharacterError)
LONGEST_KEY = 200

LOAD = """
SELECT stream_id::text, type, data::text FROM finance_log.events
WHERE tenant_id = finance_log.tenant() AND stream_id = ANY($1::uuid[]) AND kind = $2
ORDER BY stream_id, version
"""
APPEND = """
INSERT INTO finance_log.events (tenant_id, stream_id, version, kind, type, data, effective_date, actor)
SELECT finance_log.tenant(), stream_id, version, kind, type, data::jsonb, effective_date, $7
FROM unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::text[], $6::date[])
    AS new (stream_id, version, kind, type, data, effective_date)
RETURNING position, tx::text
"""
RECALL = """
SELECT t.tenant_id IS NOT NULL AS known, a.digest, a.kind, a.state::text
FROM (SELECT finance_log.tenant() AS asked) q
LEFT JOIN finance_log.tenants t ON t.tenant_id = q.asked
LEFT JOIN finance_log.answers a ON a.tenant_id = q.asked AND a.key = $1
"""
AUTHORS = """
SELECT DISTINCT actor FROM finance_log.events
WHERE tenant_id = finance_log.tenant() AND stream_id = $1::uuid AND (cardinality($2::text[]) = 0 OR type = ANY($2))
"""
DRAW = """
INSERT INTO finance_log.counters AS c (tenant_id, series, fiscal_year, last)
VALUES (finance_log.tenant(), $1, $2, 1)
ON CONFLICT (tenant_id, series, fiscal_year) DO UPDATE SET last = c.last + 1
RETURNING last
"""
HOLD = "SELECT pg_advisory_xact_lock{shared}(hashtextextended(id, 0)) FROM unnest($1::text[]) AS a (id)"
HOLDING = """
SELECT coalesce(max(greatest(abs(amount), abs(base))), 0) FROM (
    SELECT sum(coalesce((line->>'debit_minor')::numeric, 0) - coalesce((line->>'credit_minor')::numeric, 0)) AS amount,
        sum(coalesce((line->>'base_debit_minor')::numeric, 0)
            - coalesce((line->>'base_credit_minor')::numeric, 0)) AS base
    FROM finance_log.events, jsonb_array_elements(data->'lines') AS line
    WHERE tenant_id = finance_log.tenant() AND type = 'journal.posted/1' AND line->>'account_id' = $1
    GROUP BY data->>'currency'
) held
"""
CHILDREN = """
SELECT DISTINCT stream_id::text FROM finance_log.events
WHERE tenant_id = finance_log.tenant() AND kind = 'account' AND data->>'parent_id' = $1
"""
NETS = """
SELECT line->>'account_id' AS account_id, data->>'currency' AS currency,
    sum(coalesce((line->>'debit_minor')::numeric, 0) - coalesce((line->>'credit_minor')::numeric, 0)) AS minor,
    sum(CASE WHEN coalesce(line->>'base_debit_minor', line->>'base_credit_minor') IS NOT NULL
            THEN coalesce((line->>'base_debit_minor')::numeric, 0) - coalesce((line->>'base_credit_minor')::numeric, 0)
        WHEN data->>'currency' = $3
            THEN coalesce((line->>'debit_minor')::numeric, 0) - coalesce((line->>'credit_minor')::numeric, 0)
        ELSE 0 END) AS base_minor
FROM finance_log.events, jsonb_array_elements(data->'lines') AS line
WHERE tenant_id = finance_log.tenant() AND type = 'journal.posted/1'
    AND ($1::date IS NULL OR (data->>'journal_date')::date >= $1) AND (data->>'journal_date')::date <= $2
GROUP BY 1, 2
"""
REMEMBER = """
INSERT INTO finance_log.answers (tenant_id, key, digest, kind, state)
VALUES (finance_log.tenant(), $1, $2, $3, $4::text::jsonb)
"""
ANSWERED = (
    "SELECT key FROM finance_log.answers WHERE tenant_id = finance_log.tenant() AND key = ANY($1::text[])"
)
OTHERS = """
SELECT EXISTS (SELECT FROM finance_log.answers WHERE tenant_id = finance_log.tenant() AND NOT starts_with(key, $1))
"""
CLAIM = """
INSERT INTO finance_log.claims (tenant_id, kind, value, stream_id) VALUES (finance_log.tenant(), $1, $2, $3)
ON CONFLICT DO NOTHING RETURNING true
"""
CLAIMANTS = """
SELECT DISTINCT stream_id::text FROM finance_log.claims WHERE tenant_id = finance_log.tenant() AND kind = $1
"""
OWNER = """
SELECT stream_id::text FROM finance_log.claims WHERE tenant_id = finance_log.tenant() AND kind = $1 AND value = $2
"""


def encoded(state: Any) -> str:
    return msgspec.json.encode(state).decode()


class PostgresBook:
    """One transaction on one tenant's books. Every method may raise `Conflict`."""

    def __init__(self, connection: "Connection", tenant_id: str) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self.written: list[Position] = []

    @property
    def tenant_id(self) -> str:
        return self._tenant_id

    async def recall(self, key: str, digest: bytes) -> tuple[str, Any] | None:
        if not 1 <= len(key) <= LONGEST_KEY:
            raise IdempotencyKeyMalformed(f"Found {len(key)}.")
        row = await self._connection.fetchrow(RECALL, key)
        if row is None or not row["known"]:
            raise TenantUnknown(f"Found {self._tenant_id}.")
        if row["digest"] is None:
            return None
        if row["digest"] != digest:
            raise IdempotencyKeyReused(f"Found '{key}'.")
        return row["kind"], STATES[row["kind"]].decode(row["state"])

    async def answered(self, keys: Sequence[str]) -> frozenset[str]:
        return frozenset(row["key"] for row in await self._connection.fetch(ANSWERED, list(keys)))

    async def used_by_others(self, prefix: str) -> bool:
        return bool(await self._connection.fetchval(OTHERS, prefix))

    async def load(self, kind: str, ids: Sequence[str]) -> Mapping[str, Any]:
        states: dict[str, Any] = {}
        known = [one for one in ids if is_uuid(one)]
        for stream_id, event_type, data in await self._connection.fetch(LOAD, known, kind):
            states[stream_id] = evolve(states.get(stream_id), decode(event_type, data))
        return states

    async def authors(self, stream_id: str, of: Collection[str] = ()) -> frozenset[str]:
        return frozenset(row["actor"] for row in await self._connection.fetch(AUTHORS, stream_id, list(of)))

    async def draw(self, series: str, fiscal_year: str) -> int:
        return int(await self._connection.fetchval(DRAW, series, fiscal_year))

    async def claim(self, kind: str, value: str, stream_id: str) -> None:
        if await self._connection.fetchval(CLAIM, kind, value, stream_id) is not None:
            return
        owner_id = await self.owner(kind, value)
        if owner_id is not None and owner_id != stream_id:
            raise Claimed(value, owner_id)

    async def owner(self, kind: str, value: str) -> str | None:
        found: str | None = await self._connection.fetchval(OWNER, kind, value)
        return found

    async def claimed(self, kind: str) -> Sequence[str]:
        return [row["stream_id"] for row in await self._connection.fetch(CLAIMANTS, kind)]

    async def hold_stream(self, stream_id: str) -> None:
        await self._connection.execute(HOLD.format(shared=""), [f"{self._tenant_id}/stream/{stream_id}"])

    async def hold(self, ids: Sequence[str], *, exclusively: bool) -> None:
        query = HOLD.format(shared="" if exclusively else "_shared")
        await self._connection.execute(query, sorted(f"{self._tenant_id}/{one}" for one in ids))

    async def holding_minor(self, account_id: str) -> int:
        return int(await self._connection.fetchval(HOLDING, account_id))

    async def active_children(self, account_id: str) -> int:
        rows = await self._connection.fetch(CHILDREN, account_id)
        states = await self.load("account", [row["stream_id"] for row in rows])
        return sum(state.active and state.parent_id == account_id for state in states.values())

    async def nets(self, first: date | None, last: date) -> Mapping[tuple[str, str], tuple[int, int]]:
        rows = await self._connection.fetch(NETS, first, last, BASE)
        return {
            (row["account_id"], row["currency"]): (int(row["minor"]), int(row["base_minor"])) for row in rows
        }

    async def corrections(self, document_id: str) -> Sequence[str]:
        return await self.claimed(f"corrects/{document_id}")

    async def append(self, events: Sequence[Append], *, actor: str) -> None:
        if not events:
            return
        coded = [encode(event.event) for event in events]
        rows = await self._connection.fetch(
            APPEND,
            [event.stream_id for event in events],
            [event.version for event in events],
            [event.kind for event in events],
            [event_type for event_type, _ in coded],
            [data.decode() for _, data in coded],
            [event.effective_date for event in events],
            actor,
        )
        self.written += [Position(int(row["tx"]), row["position"]) for row in rows]

    async def remember(self, key: str, digest: bytes, kind: str, state: Any) -> None:
        await self._connection.execute(REMEMBER, key, digest, kind, encoded(state))


class PostgresStore:
    """Books of all tenants. `listeners` are told the positions of every committed transaction."""

    def __init__(self, pool: "Pool") -> None:
        self._pool = pool
        self.listeners: list[Any] = []

    @asynccontextmanager
    async def book(self, tenant_id: str) -> AsyncIterator[PostgresBook]:
        if not is_uuid(tenant_id):
            raise TenantUnknown(f"Found {tenant_id[:40]}.")
        try:
            async with tenant_transaction(self._pool, TENANT_SETTING, tenant_id) as connection:
                book = PostgresBook(connection, tenant_id)
                yield book
        except FASTER as error:
            raise Conflict(str(error)) from error
        except UNKEPT as error:
            raise TextMalformed("It holds a character that cannot be kept, such as NUL.") from error
        except AWAY as error:
            raise StoreUnavailable(f"{type(error).__name__}: {error}") from error
        for listener in self.listeners:
            listener(tenant_id, book.written)

    async def answered(self, tenant_id: str, keys: Sequence[str]) -> frozenset[str]:
        """Which of these idempotency keys were used."""
        async with self.book(tenant_id) as book:
            return await book.answered(keys)

    async def used_by_others(self, tenant_id: str, prefix: str) -> bool:
        """Whether a command was worked whose key does not begin so."""
        async with self.book(tenant_id) as book:
            return await book.used_by_others(prefix)

    async def answer(self) -> None:
        """Whether the log can be read; for the health check."""
        await self._pool.fetchval("SELECT count(*) FROM (SELECT FROM finance_log.events LIMIT 1) e")
