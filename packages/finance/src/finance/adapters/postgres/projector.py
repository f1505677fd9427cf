"""Keeps a release's read models equal to the log: exactly once, in the order of commits.

A batch of events and the checkpoint behind it are one transaction, so a crash repeats nothing. Readers stop at
the oldest transaction still running (`pg_snapshot_xmin`): a serial number alone would skip what commits late.
Rows hold the state that the aggregates' own `evolve` makes; there is no second opinion of what an event means.
"""

import asyncio
import hashlib
import re
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import asyncpg
from prometheus_client import Counter, Gauge

from finance import fiscal, journal, numbering
from finance.adapters.postgres.store import STATES, encoded
from finance.events import decode, evolve
from finance.ports import Position, StoreUnavailable
from kit.telemetry import log

if TYPE_CHECKING:
    from kit.database import Connection, Pool

BATCH = 1000
MOVEMENT_COLUMNS = 21
POLL_S = 0.05
SETTLE_S = 0.5
MOST_SORTED_MINOR = 2**63 - 1

APPLIED = Counter("finance_events_applied_total", "Events folded into the read models.", ["kind"])
LAG = Gauge("finance_projection_lag_events", "Events of the log that the read models lack.")
UNSETTLED = Counter(
    "finance_reads_unsettled_total", "Reads that went on before the read models had this process's writes."
)

READ = """
SELECT e.position, e.tx::text, e.tenant_id::text, e.stream_id::text, e.kind, e.type, e.data::text
FROM finance_log.events e
WHERE (e.tx, e.position) > ($1::text::xid8, $2::bigint) AND e.tx < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY e.tx, e.position LIMIT $3
"""
"""Ordered by the column: a bare `tx` would be the text that is selected, in which 1000 comes before 999."""
LISTED = ("number", "dated", "currency", "total_minor")
"""What every list of documents, payments or entries can be searched by."""
COLUMNS = {
    "account": ("code", "account_type", "active"),
    "approval": ("document_id",),
    "authority": (),
    "bankfile": ("account_id",),
    "bankline": ("account_id", "status", "currency", "booked_on", "amount_minor"),
    "folder": ("document_id",),
    "invoice": ("status", "customer_id", "due_date", *LISTED),
    "payment": ("status", "invoice_id", "method", "partner_id", *LISTED),
    "voucher": ("status", "voucher_kind", "partner_id", "due_date", *LISTED),
    "journal": ("status", "journal_type", "fiscal_period", *LISTED),
    "period": ("name",),
    "policy": (),
    "rate": (),
    "tax": ("code",),
    "template": ("status",),
    "year": ("fiscal_year",),
}


def schema_of(release: str) -> str:
    """The read schema of a release: 1.1.0 reads from finance_read_1_1_0."""
    return "finance_read_" + re.sub(r"[^a-z0-9]+", "_", release.lower())


def columns_of(kind: str, state: Any) -> tuple[Any, ...]:
    """What a row can be found by, besides its id."""
    match kind:
        case "account":
            return (state.code, state.account_type, state.active)
        case "invoice":
            found = listed(state, state.dated, state.total_minor)
            return (state.status, state.terms.customer_id, state.terms.due_date, *found)
        case "payment":
            found = listed(state, state.payment_date, state.amount_minor)
            return (state.status, state.invoice_id, state.details.method, state.partner_id, *found)
        case "voucher":
            found = listed(state, state.dated, state.total_minor)
            return (state.status, state.kind, state.partner_id, state.terms.due_date, *found)
        case "bankfile":
            return (state.told.account_id,)
        case "bankline":
            return (state.account_id, state.status, state.currency, state.booked_on, state.amount_minor)
        case "period":
            return (state.name,)
        case "template":
            return (state.status,)
        case "approval" | "folder":
            return (state.document_id,)
        case "authority" | "policy" | "rate":
            return ()
        case "tax":
            return (state.code,)
        case "year":
            return (state.fiscal_year,)
        case _:
            found = listed(state, state.journal_date, state.debit_minor)
            return (state.status, state.journal_type, fiscal.period(state.journal_date), *found)


def listed(state: Any, dated: date, total_minor: int) -> tuple[Any, ...]:
    """The values of `LISTED`. A draft may say more than a column holds; it stops nobody."""
    return (state.number, dated, state.currency, min(total_minor, MOST_SORTED_MINOR))


def numbers_of(event: Any) -> list[numbering.Drawn]:
    """The numbers an event gives to its document. One that cannot be read stops nobody: `finance verify` names it."""
    found = []
    for number, day in numbering.carried(event):
        try:
            found.append(numbering.read(number, day))
        except ValueError:
            log().error("a number cannot be read", number=number[:40])
    return found


def movements_of(
    tenant_id: str, position: int, entry: journal.Journal, posted: journal.Posted
) -> list[tuple[Any, ...]]:
    """What each line of a posted entry did, as rows."""
    return [
        (
            tenant_id,
            entry.id,
            place,
            position,
            posted.posted_at,
            line.account_id,
            posted.journal_date,
            posted.currency,
            line.debit_minor,
            line.credit_minor,
            *journal.base(line, posted.currency),
            posted.number,
            entry.description,
            entry.journal_type,
            entry.original_id,
            entry.document_id,
            line.partner_id,
            line.item_id,
            line.due_date,
            line.tax_code,
        )
        for place, line in enumerate(posted.lines)
    ]


class Projector:
    """Owns the read schema of one release. Needs the role finance_projector."""

    def __init__(self, pool: "Pool", release: str) -> None:
        self._pool = pool
        self.schema = schema_of(release)
        self.position = Position(0, 0)
        self.caught_up = False
        self.trouble: str | None = None
        self._pending: dict[str, set[Position]] = defaultdict(set)
        self._wake = asyncio.Event()
        self._moved = asyncio.Condition()

    async def prepare(self) -> None:
        """Make the schema if it is not there; one that was made to another plan is thrown away and made anew."""
        text = (files("finance.adapters.postgres") / "read.sql").read_text(encoding="utf-8")
        plan = hashlib.sha256(text.encode()).hexdigest()
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", self.schema)
            made = await connection.fetchval(
                "SELECT obj_description(to_regnamespace($1), 'pg_namespace')", self.schema
            )
            if made == plan:
                return  # to make it again would wait for every report that is read, and others for that
            await connection.execute(f"DROP SCHEMA IF EXISTS {self.schema} CASCADE")
            await connection.execute(text.replace("{schema}", self.schema))
            await connection.execute(f"COMMENT ON SCHEMA {self.schema} IS '{plan}'")

    async def run(self) -> None:
        """Follow the log until cancelled. Whatever interrupts it is said, makes it not ready, and is tried again."""
        while True:
            try:
                if await self.step() < BATCH:
                    self.caught_up, self.trouble = True, None
                    await self._sleep()
            except Exception as error:  # noqa: BLE001 - a follower that died in silence would look healthy
                self.caught_up, self.trouble = False, f"{type(error).__name__}: {error}"
                known = isinstance(error, (OSError, asyncpg.PostgresError, asyncpg.InterfaceError))
                log().error("projection interrupted", error=self.trouble, exc_info=None if known else error)
                await asyncio.sleep(1)

    async def _sleep(self) -> None:
        try:
            await asyncio.wait_for(self._wake.wait(), POLL_S)
        except TimeoutError:
            return
        self._wake.clear()

    async def step(self) -> int:
        """Fold the next batch; returns how many events it had."""
        async with self._pool.acquire() as connection, connection.transaction():
            held = await connection.fetchrow(
                f"SELECT tx::text, position FROM {self.schema}.checkpoint FOR UPDATE"  # noqa: S608 - made of a release's letters and digits
            )
            assert held is not None, "read.sql makes the row"  # noqa: S101 - a schema without it is a bug
            position = Position(int(held["tx"]), held["position"])
            rows = await connection.fetch(READ, str(position.tx), position.number, BATCH)
            if rows:
                await self._apply(connection, rows)
                position = Position(int(rows[-1]["tx"]), rows[-1]["position"])
                await connection.execute(
                    f"UPDATE {self.schema}.checkpoint SET tx = $1::text::xid8, position = $2",  # noqa: S608 - as above
                    str(position.tx),
                    position.number,
                )
        await self._moved_to(position)
        return len(rows)

    async def _apply(self, connection: "Connection", rows: Sequence[asyncpg.Record]) -> None:
        touched: dict[str, dict[tuple[str, str], Any]] = defaultdict(dict)
        positions: dict[tuple[str, str], int] = {}
        balances: dict[tuple[str, str, str, date], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        numbers: list[tuple[str, str, str, int, str]] = []
        movements: list[tuple[Any, ...]] = []
        for kind in {row["kind"] for row in rows}:
            ids = {row["stream_id"] for row in rows if row["kind"] == kind}
            touched[kind] = await self._states(connection, kind, ids)
        for row in rows:
            key = (row["tenant_id"], row["stream_id"])
            event = decode(row["type"], row["data"])
            states = touched[row["kind"]]
            states[key] = evolve(states.get(key), event)
            positions.setdefault(key, row["position"])
            if isinstance(event, journal.Posted):
                for line in event.lines:
                    day = balances[row["tenant_id"], line.account_id, event.currency, event.journal_date]
                    sides = (line.debit_minor, line.credit_minor, *journal.base(line, event.currency))
                    for place, minor in enumerate(sides):
                        day[place] += minor
                movements += movements_of(row["tenant_id"], row["position"], states[key], event)
            numbers += [
                (key[0], drawn.series, drawn.fiscal_year, drawn.sequence, key[1])
                for drawn in numbers_of(event)
            ]
            APPLIED.labels(row["kind"]).inc()
        changed = {(row["kind"], row["tenant_id"], row["stream_id"]) for row in rows}
        for kind, states in touched.items():
            kept = [(key, state) for key, state in states.items() if (kind, *key) in changed]
            await self._save(connection, kind, kept, positions)
        await self._add(connection, balances)
        await connection.executemany(
            f"INSERT INTO {self.schema}.number VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",  # noqa: S608 - as above
            numbers,
        )
        await connection.executemany(
            f"INSERT INTO {self.schema}.movement VALUES"  # noqa: S608 - as above
            f" ({', '.join(f'${number}' for number in range(1, MOVEMENT_COLUMNS + 1))}) ON CONFLICT DO NOTHING",
            movements,
        )

    async def _states(
        self, connection: "Connection", kind: str, ids: Iterable[str]
    ) -> dict[tuple[str, str], Any]:
        rows = await connection.fetch(
            f"SELECT tenant_id::text, id::text, state::text FROM {self.schema}.{kind}"  # noqa: S608 - as above
            " WHERE id = ANY($1::uuid[])",
            list(ids),
        )
        return {(row["tenant_id"], row["id"]): STATES[kind].decode(row["state"]) for row in rows}

    async def _save(
        self,
        connection: "Connection",
        kind: str,
        kept: Sequence[tuple[tuple[str, str], Any]],
        positions: dict[tuple[str, str], int],
    ) -> None:
        names = ("version", "state", *COLUMNS[kind])
        marks = "".join(f", ${number}" for number in range(6, 6 + len(COLUMNS[kind])))
        await connection.executemany(
            f"INSERT INTO {self.schema}.{kind} (tenant_id, id, position, {', '.join(names)})"  # noqa: S608 - as above
            f" VALUES ($1, $2, $3, $4, $5::text::jsonb{marks}) ON CONFLICT (tenant_id, id) DO UPDATE SET "
            + ", ".join(f"{name} = excluded.{name}" for name in names),
            [
                (*key, positions[key], state.version, encoded(state), *columns_of(kind, state))
                for key, state in kept
            ],
        )

    async def _add(
        self, connection: "Connection", balances: dict[tuple[str, str, str, date], list[int]]
    ) -> None:
        await connection.executemany(
            f"INSERT INTO {self.schema}.balance AS b VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"  # noqa: S608 - as above
            " ON CONFLICT (tenant_id, account_id, currency, effective_date) DO UPDATE SET"
            " debit_minor = b.debit_minor + excluded.debit_minor,"
            " credit_minor = b.credit_minor + excluded.credit_minor,"
            " base_debit_minor = b.base_debit_minor + excluded.base_debit_minor,"
            " base_credit_minor = b.base_credit_minor + excluded.base_credit_minor",
            [(*key, *sums) for key, sums in sorted(balances.items())],
        )

    # Reads that follow a write of this process

    def expect(self, tenant_id: str, written: Sequence[Position]) -> None:
        """A transaction of this process committed these: reads of the tenant wait for them."""
        if written:
            self._pending[tenant_id].update(written)
            self._wake.set()

    async def settled(self, tenant_id: str) -> None:
        """Wait until the read models have what this process wrote for the tenant, at most half a second."""
        begun = time.monotonic()
        async with self._moved:
            while self._pending.get(tenant_id):
                left_s = SETTLE_S - (time.monotonic() - begun)
                try:
                    await asyncio.wait_for(self._moved.wait(), max(left_s, 0.0))
                except TimeoutError:
                    UNSETTLED.inc()
                    return

    async def _moved_to(self, position: Position) -> None:
        self.position = position
        async with self._moved:
            for tenant_id in list(self._pending):
                left = {one for one in self._pending[tenant_id] if one > position}
                if left:
                    self._pending[tenant_id] = left
                else:
                    del self._pending[tenant_id]
            self._moved.notify_all()

    async def answer(self) -> None:
        """Whether the read models are usable; for the health check.

        Raises:
            StoreUnavailable: they are still being built, or the log cannot be read.
        """
        LAG.set(await self.lag())
        if not self.caught_up:
            doing = f"interrupted ({self.trouble})" if self.trouble else "being built"
            raise StoreUnavailable(f"read models are {doing}; at {self.position.number}")

    async def lag(self) -> int:
        """How many events of the log the read models lack."""
        return int(
            await self._pool.fetchval(
                "SELECT count(*) FROM finance_log.events WHERE (tx, position) > ($1::text::xid8, $2::bigint)",
                str(self.position.tx),
                self.position.number,
            )
        )
