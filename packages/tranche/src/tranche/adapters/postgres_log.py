"""The event log in PostgreSQL, and the lease that lets one of several controllers act.

1. The lease ends by itself, by the database's clock, when its holder does not renew it: nobody has to notice.
2. A controller appends only while it holds the lease: asked, and renewed, in the transaction that appends.
3. It acts only while it holds the lease by its own count, which begins before the database was asked and so ends
   before the lease does. A process that is frozen between that look and the act itself can still act late: the data
   plane knows no leases. Whoever holds the lease then sees at its next tick that something else is served.
"""

import json
import secrets
import time
from collections.abc import Callable, Sequence
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final

from tranche.adapters.postgres import Database
from tranche.ports import Conflict, LeaseLost, LogFault, NewEvent, Recorded

if TYPE_CHECKING:
    import asyncpg

FORMAT: Final = 1
RETRIES: Final = 6
"""How often somebody who waits asks within the length of a lease; at least four times a second."""
SCHEMA: Final = """
create schema if not exists tranche;
create table if not exists tranche.format (number integer primary key);
create table if not exists tranche.event (
    number   bigint generated always as identity primary key,
    rollout  text        not null,
    position integer     not null check (position > 0),
    type     text        not null,
    at       timestamptz not null,
    actor    text        not null,
    data     json        not null,
    unique (rollout, position)
);
create table if not exists tranche.lease (
    name       text        primary key,
    holder     text        not null,
    epoch      bigint      not null,
    expires_at timestamptz not null
);
create or replace function tranche.refuse() returns trigger language plpgsql as
$$ begin raise exception 'events are never changed and never removed'; end $$;
create or replace trigger event_stands before update or delete or truncate on tranche.event
for each statement execute function tranche.refuse();
"""

TAKE: Final = """
insert into tranche.lease (name, holder, epoch, expires_at)
values ($1, $2, 1, clock_timestamp() + make_interval(secs => $3))
on conflict (name) do update
set holder = excluded.holder, epoch = tranche.lease.epoch + 1,
    expires_at = clock_timestamp() + make_interval(secs => $3)
where tranche.lease.expires_at <= clock_timestamp()
returning epoch
"""
HOLD: Final = """
update tranche.lease set expires_at = clock_timestamp() + make_interval(secs => $4)
where name = $1 and holder = $2 and epoch = $3 and expires_at > clock_timestamp()
returning epoch
"""
LET_GO: Final = """
update tranche.lease set expires_at = clock_timestamp()
where name = $1 and holder = $2 and epoch = $3 and expires_at > clock_timestamp()
"""
OTHERS: Final = """
select 1 from tranche.lease where name = $1 and holder <> $2 and expires_at > clock_timestamp()
"""


def prepare(database: Database) -> None:
    """Make the tables if they are not there.

    Raises:
        LogFault: the database cannot be used, or a newer release has written it.
    """

    async def work(connection: "asyncpg.Connection[Any]") -> int:
        await connection.execute("select pg_advisory_xact_lock(hashtext('tranche'))")
        if await connection.fetchval("select to_regclass('tranche.format')") is None:
            await connection.execute(SCHEMA)
            await connection.execute("insert into tranche.format values ($1)", FORMAT)
        return int(await connection.fetchval("select max(number) from tranche.format"))

    found = database.transaction(work)
    if found != FORMAT:
        raise LogFault(f"the event log has format {found}, this tranche writes {FORMAT}; update tranche")


class PostgresLease:
    """The right to be the one controller. `length_s` is how long it lasts without being renewed."""

    def __init__(
        self,
        database: Database,
        *,
        length_s: float,
        name: str = "controller",
        counted_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.length_s = length_s
        self._database, self._name, self._counted_s = database, name, counted_s
        self._holder = secrets.token_hex(8)
        self._epoch: int | None = None
        self._until_s = 0.0

    def beside(self) -> "PostgresLease":
        """The same lease, as another one who asks for it has it."""
        return PostgresLease(self._database, length_s=self.length_s, name=self._name)

    def acquire(self, *, wait_s: float) -> bool:
        """Take it, waiting at most so long.

        Raises:
            LogFault: the database cannot be asked.
        """
        deadline_s = self._counted_s() + wait_s
        while not self._take():
            if self._counted_s() >= deadline_s:
                return False
            time.sleep(min(0.25, self.length_s / RETRIES))
        return True

    def _take(self) -> bool:
        if self._epoch is not None and self._counted_s() < self._until_s:
            return True
        asked_s = self._counted_s()

        async def work(connection: "asyncpg.Connection[Any]") -> int | None:
            epoch: int | None = await connection.fetchval(TAKE, self._name, self._holder, self.length_s)
            return epoch

        epoch = self._database.transaction(work)
        if epoch is None:
            return False
        self._epoch, self._until_s = epoch, asked_s + self.length_s
        return True

    def renew(self) -> None:
        async def work(connection: "asyncpg.Connection[Any]") -> None:
            await self.hold(connection)

        asked_s = self._counted_s()
        self._database.transaction(work)
        self.held_since(asked_s)

    async def hold(self, connection: "asyncpg.Connection[Any]") -> None:
        """Within a transaction: renew it, so that what the transaction does stands or falls with it.

        Raises:
            LeaseLost: it is not held.
        """
        held = None
        if self._epoch is not None:
            held = await connection.fetchval(HOLD, self._name, self._holder, self._epoch, self.length_s)
        if held is None:
            self._until_s = 0.0
            raise LeaseLost

    def held_since(self, asked_s: float) -> None:
        """It was renewed by a transaction that began when this was counted, and has been committed."""
        self._until_s = asked_s + self.length_s

    def counted_s(self) -> float:
        return self._counted_s()

    def demand(self) -> None:
        if self._epoch is None or self._counted_s() >= self._until_s:
            raise LeaseLost

    def release(self) -> None:
        """Let go, so that nobody has to wait for its end."""
        if self._epoch is None:
            return

        async def work(connection: "asyncpg.Connection[Any]") -> None:
            await connection.execute(LET_GO, self._name, self._holder, self._epoch)

        try:
            self._database.transaction(work)
        finally:
            self._epoch, self._until_s = None, 0.0

    def is_held_elsewhere(self) -> bool:
        async def work(connection: "asyncpg.Connection[Any]") -> bool:
            return await connection.fetchval(OTHERS, self._name, self._holder) is not None

        return self._database.transaction(work)


class PostgresLog:
    """With a `lease`, nothing is appended but by its holder: that is the log as a controller has it."""

    def __init__(self, database: Database, lease: PostgresLease | None = None) -> None:
        self._database, self._lease = database, lease

    def append(self, rollout: str, *, after: int, events: Sequence[NewEvent]) -> list[Recorded]:
        lease = self._lease
        rows = [
            (
                rollout,
                after + number,
                event.type,
                event.at.astimezone(UTC),
                event.actor,
                json.dumps(event.data, separators=(",", ":"), allow_nan=False),
            )
            for number, event in enumerate(events, start=1)
        ]

        async def work(connection: "asyncpg.Connection[Any]") -> None:
            if lease is not None:
                await lease.hold(connection)
            length = await connection.fetchval(
                "select coalesce(max(position), 0) from tranche.event where rollout = $1", rollout
            )
            if length != after:
                raise Conflict(f"rollout '{rollout}' has {length} events, not {after}; read again")
            await connection.executemany(
                "insert into tranche.event (rollout, position, type, at, actor, data) "
                "values ($1, $2, $3, $4, $5, $6)",
                rows,
            )

        asked_s = lease.counted_s() if lease is not None else 0.0
        self._database.transaction(work)
        if lease is not None:
            lease.held_since(asked_s)
        return [_recorded(row) for row in rows]

    def read(self, rollout: str, *, after: int = 0) -> list[Recorded]:
        async def work(connection: "asyncpg.Connection[Any]") -> list[Any]:
            return await connection.fetch(
                "select rollout, position, type, at, actor, data from tranche.event "
                "where rollout = $1 and position > $2 order by position",
                rollout,
                after,
            )

        return [_recorded(tuple(row)) for row in self._database.transaction(work)]

    def rollouts(self) -> list[str]:
        async def work(connection: "asyncpg.Connection[Any]") -> list[Any]:
            return await connection.fetch(
                "select rollout from tranche.event where position = 1 order by number"
            )

        return [row["rollout"] for row in self._database.transaction(work)]


def _recorded(row: tuple[Any, ...]) -> Recorded:
    rollout, position, kind, at, actor, data = row
    return Recorded(
        rollout=rollout,
        position=position,
        type=kind,
        at=at.astimezone(UTC),
        actor=actor,
        data=json.loads(data),
    )
