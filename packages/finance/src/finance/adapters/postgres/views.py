"""Reads of one tenant from the read models of one release. Row level security holds them to the tenant."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Literal

import asyncpg
import orjson

from finance.adapters.postgres.drilling import IN_ORDER, MOVEMENT, Drill
from finance.adapters.postgres.listing import Key, Listing, Place
from finance.adapters.postgres.projector import Projector
from finance.adapters.postgres.queries import (
    ALL_MOVED,
    ALL_OF,
    BALANCES,
    BESIDE,
    BEYOND,
    FLOWS,
    HISTORIES,
    HOLDINGS,
    ITEMS,
    KNOWN,
    LATER,
    LATER_COUNT,
    LINES_OF_ENTRIES,
    MOVED,
    NOT_CLOSING,
    SERIES,
    SUMS,
    TAXED,
)
from finance.adapters.postgres.store import AWAY, STATES, TENANT_SETTING, UNKEPT
from finance.ids import is_uuid
from finance.money import BASE
from finance.origin import Fact
from finance.ports import StoreUnavailable
from finance.refusal import PageMalformed, TenantUnknown, TextMalformed
from finance.report import Balance, Item, Movement
from finance.vat import Row

if TYPE_CHECKING:
    from kit.database import Connection, Pool

PAGE_LIMIT = 200
FETCHED = 1000
"""Rows a cursor brings at once."""


def page_of(limit: int, offset: int) -> tuple[int, int]:
    """How many to read and how many to leave out first.

    Raises:
        PageMalformed: one of them is negative, or more than a page holds.
    """
    if min(limit, offset) < 0 or limit > PAGE_LIMIT:
        raise PageMalformed(f"Found limit {limit} and offset {offset}.")
    return limit, offset


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Which entries count: dated between `first` and `last`, both included, and posted until `known`."""

    first: date | None = None
    last: date | None = None
    known: datetime | None = None


def moved(
    account_ids: Sequence[str], currency: str, window: Window, partner_id: str | None
) -> tuple[object, ...]:
    """The values of `MOVED`."""
    only = None if currency == BASE else currency
    return list(account_ids), partner_id, window.first, window.last, window.known, only


def movement(row: asyncpg.Record) -> Movement:
    """A row of `MOVED` or `ALL_MOVED`."""
    return Movement(
        account_id=row["account_id"],
        day=row["effective_date"],
        debit_minor=row["debit"],
        credit_minor=row["credit"],
        journal_id=row["journal_id"],
        number=row["number"],
        description=row["description"],
        document_id=row["document_id"],
        partner_id=row["partner_id"],
        position=row["position"],
        place=row["place"],
    )


def fact(row: asyncpg.Record) -> Fact:
    """A row of `BESIDE` or `HISTORIES`."""
    names = ("stream_id", "kind", "type", "version", "position", "actor")
    return Fact(**{name: row[name] for name in names}, data=orjson.loads(row["data"]))


class Views:
    """Every read waits first until this process's own writes of the tenant have arrived."""

    def __init__(self, pool: "Pool", projector: Projector) -> None:
        self._pool = pool
        self._projector = projector
        self._known: set[str] = set()
        self._held: Connection | None = None

    @property
    def position(self) -> str:
        return str(self._projector.position)

    @asynccontextmanager
    async def still(self, tenant_id: str) -> AsyncIterator["Views"]:
        """The same reads, all of them at one instant: what is posted meanwhile is in none of them."""
        if self._held is not None:
            yield self
            return
        async with self._reading(tenant_id, isolation="repeatable_read") as connection:
            held = Views(self._pool, self._projector)
            held._held = connection
            yield held

    @asynccontextmanager
    async def _reading(
        self, tenant_id: str, *, isolation: Literal["repeatable_read"] | None = None
    ) -> AsyncIterator["Connection"]:
        """A transaction in which row level security shows this tenant and no other, once the tenant is known.

        Raises:
            TenantUnknown: no books are kept for it.
            TextMalformed: a text holds a character that cannot be kept.
            StoreUnavailable: the database does not answer.
        """
        if not is_uuid(tenant_id):
            raise TenantUnknown(f"Found {tenant_id[:40]}.")
        await self._projector.settled(tenant_id)
        try:
            async with self._pool.acquire() as connection, connection.transaction(isolation=isolation):
                await connection.execute("SELECT set_config($1, $2, true)", TENANT_SETTING, tenant_id)
                if tenant_id not in self._known:
                    if not await connection.fetchval("SELECT EXISTS (SELECT FROM finance_log.tenants)"):
                        raise TenantUnknown(f"Found {tenant_id}.")
                    self._known.add(tenant_id)
                yield connection
        except UNKEPT as error:
            raise TextMalformed("It holds a character that cannot be kept, such as NUL.") from error
        except AWAY as error:
            raise StoreUnavailable(f"{type(error).__name__}: {error}") from error

    async def _fetch(self, tenant_id: str, query: str, *values: object) -> list[asyncpg.Record]:
        query = query.replace("{schema}", self._projector.schema)
        if self._held is not None:
            return await self._held.fetch(query, *values)
        async with self._reading(tenant_id) as connection:
            return await connection.fetch(query, *values)

    async def tenant_name(self, tenant_id: str) -> str:
        """What the company was called when its books were opened."""
        [row] = await self._fetch(tenant_id, "SELECT name FROM finance_log.tenants")
        return str(row["name"])

    async def find(self, tenant_id: str, kind: str, ids: Sequence[str]) -> dict[str, Any]:
        """The states of these documents by id; those this tenant does not have are absent."""
        rows = await self._fetch(
            tenant_id,
            f"SELECT id::text, state::text FROM {{schema}}.{kind} WHERE id = ANY($1::uuid[])",  # noqa: S608 - kinds are ours
            [one for one in ids if is_uuid(one)],
        )
        return {row["id"]: STATES[kind].decode(row["state"]) for row in rows}

    async def page(
        self,
        tenant_id: str,
        kind: str,
        *,
        limit: int,
        offset: int,
        filters: Mapping[str, object],
        order: str = "position DESC",
    ) -> list[Any]:
        """Documents, newest first; a filter of None filters nothing. Columns are named by this service."""
        given = {column: value for column, value in filters.items() if value is not None}
        where = "".join(f" AND {column} = ${number}" for number, column in enumerate(given, start=3))
        rows = await self._fetch(
            tenant_id,
            f"SELECT state::text FROM {{schema}}.{kind} WHERE true{where}"  # noqa: S608 - as above
            f" ORDER BY {order} LIMIT $1 OFFSET $2",
            *page_of(limit, offset),
            *given.values(),
        )
        return [STATES[kind].decode(row["state"]) for row in rows]

    async def documents(
        self,
        tenant_id: str,
        kind: str,
        *,
        status: str | None,
        filters: Mapping[str, object],
        today: date,
        limit: int,
        offset: int,
    ) -> list[Any]:
        """Invoices or vouchers, newest first. Overdue is asked of the due date, not stored."""
        given = {column: value for column, value in filters.items() if value is not None}
        where = "".join(f" AND {column} = ${number}" for number, column in enumerate(given, start=5))
        debts = "AND voucher_kind IN ('BILL', 'DEBIT_NOTE')" if kind == "voucher" else ""
        rows = await self._fetch(
            tenant_id,
            f"SELECT state::text FROM {{schema}}.{kind}"  # noqa: S608 - as above
            f" WHERE ($3::text IS NULL OR $3 = CASE WHEN status IN ('APPROVED', 'PARTIALLY_PAID') {debts}"
            f" AND due_date < $4::date THEN 'OVERDUE' ELSE status END){where}"
            " ORDER BY position DESC LIMIT $1 OFFSET $2",
            *page_of(limit, offset),
            status,
            today,
            *given.values(),
        )
        return [STATES[kind].decode(row["state"]) for row in rows]

    async def walk(
        self, tenant_id: str, asked: Listing, *, after: Key | None, limit: int
    ) -> list[tuple[Key, Any]]:
        """The next documents of a listing with the keys they stand at; what was there at the first is met once."""
        query, values = asked.page(after, limit)
        rows = await self._fetch(tenant_id, query, *values)
        return [(row["key"], STATES[asked.kind].decode(row["state"])) for row in rows]

    async def count(self, tenant_id: str, asked: Listing) -> int:
        """How many documents a listing has."""
        query, values = asked.count()
        [row] = await self._fetch(tenant_id, query, *values)
        return int(row["count"])

    async def balances(
        self, tenant_id: str, *, currency: str, window: Window, closing: bool = True
    ) -> list[Balance]:
        """What was posted to every account; closing entries and their reversals can be left out.

        In the currency of the books: everything, at its worth. In another: what was posted in it.
        """
        summed = window.known is None and closing
        source, also = ("balance", "") if summed else ("movement", KNOWN + ("" if closing else NOT_CLOSING))
        query = BALANCES.replace("{source}", source).replace("{also}", also)
        query = query.replace("{base}", "base_" if currency == BASE else "")
        values = (currency, BASE, window.first, window.last, *(() if summed else (window.known,)))
        return [
            Balance(
                account=STATES["account"].decode(row["state"]),
                debit_minor=int(row["debit"]),
                credit_minor=int(row["credit"]),
            )
            for row in await self._fetch(tenant_id, query, *values)
        ]

    async def movements(
        self,
        tenant_id: str,
        account_ids: Sequence[str],
        *,
        currency: str,
        window: Window,
        partner_id: str | None = None,
        after: Place | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[Movement]:
        """What posted lines did to these accounts, in the order of days. Currency as in `balances`."""
        base = "base_" if currency == BASE else ""
        rows = await self._fetch(
            tenant_id,
            f"SELECT {MOVEMENT.format(base=base)} {MOVED}{BEYOND.format(side='>')} {IN_ORDER} LIMIT $10 OFFSET $11",
            *moved(account_ids, currency, window, partner_id),
            *(after or (None, None, None)),
            limit,
            offset,
        )
        return [movement(row) for row in rows]

    async def every_movement(
        self, account_id: str | None, *, currency: str, window: Window
    ) -> AsyncGenerator[list[Movement], None]:
        """All movements, or an account's, by account code and day, in batches. Asked of `still` reads."""
        assert self._held is not None, "a cursor lives in one transaction"  # noqa: S101 - a bug, not a refusal
        query = ALL_MOVED.replace("{schema}", self._projector.schema)
        query = query.replace("{base}", "base_" if currency == BASE else "")
        only = None if currency == BASE else currency
        values = (account_id, window.first, window.last, window.known, only)
        cursor = await self._held.cursor(query, *values)
        while rows := await cursor.fetch(FETCHED):
            yield [movement(row) for row in rows]

    async def count_movements(
        self, tenant_id: str, account_id: str | None, *, currency: str, window: Window, limit: int
    ) -> int:
        """How many there are of these, or `limit`."""
        only = None if currency == BASE else currency
        [row] = await self._fetch(
            tenant_id,
            f"SELECT count(*) AS count FROM (SELECT {ALL_OF} LIMIT $6) moved",  # noqa: S608 - as above
            account_id,
            window.first,
            window.last,
            window.known,
            only,
            limit,
        )
        return int(row["count"])

    async def moved_minor(
        self,
        tenant_id: str,
        account_ids: Sequence[str],
        *,
        currency: str,
        window: Window,
        partner_id: str | None = None,
        until: Place | None = None,
        limit: int | None = None,
    ) -> tuple[int, int]:
        """Debits less credits of such movements, or of the first of them, and how many they are.

        `until` counts those up to a place, itself included.
        """
        base = "base_" if currency == BASE else ""
        [row] = await self._fetch(
            tenant_id,
            f"SELECT coalesce(sum(net), 0) AS net, count(*) AS count FROM (SELECT m.{base}debit_minor"  # noqa: S608 - as above
            f" - m.{base}credit_minor AS net {MOVED}{BEYOND.format(side='<=')} {IN_ORDER} LIMIT $10) moved",
            *moved(account_ids, currency, window, partner_id),
            *(until or (None, None, None)),
            limit,
        )
        return int(row["net"]), row["count"]

    async def drilled(
        self, tenant_id: str, drill: Drill, *, after: Place | None, limit: int
    ) -> list[Movement]:
        """The next movements of a figure, in the order of days."""
        query, values = drill.page(after, limit)
        rows = await self._fetch(tenant_id, query, *values)
        return [movement(row) for row in rows]

    async def drilled_minor(self, tenant_id: str, drill: Drill) -> tuple[int, int]:
        """Debits less credits of all movements of a figure, and how many they are."""
        query, values = drill.sum()
        [row] = await self._fetch(tenant_id, query, *values)
        return int(row["net"]), int(row["count"])

    async def beside(self, tenant_id: str, journal_ids: Sequence[str]) -> dict[str, list[Fact]]:
        """What was appended in one transaction with the posting of each of these entries, that posting among it."""
        found: dict[str, list[Fact]] = {}
        for row in await self._fetch(tenant_id, BESIDE, list(journal_ids)):
            found.setdefault(row["journal_id"], []).append(fact(row))
        return found

    async def histories(self, tenant_id: str, stream_ids: Sequence[str]) -> dict[str, list[Fact]]:
        """Every event of these streams, by stream, in order."""
        found: dict[str, list[Fact]] = {}
        for row in await self._fetch(tenant_id, HISTORIES, list(stream_ids)):
            found.setdefault(row["stream_id"], []).append(fact(row))
        return found

    async def lines_of_entries(self, tenant_id: str, journal_ids: Sequence[str]) -> dict[str, list[Any]]:
        """The bank's lines that each of these entries is matched with now."""
        found: dict[str, list[Any]] = {}
        for row in await self._fetch(tenant_id, LINES_OF_ENTRIES, list(journal_ids)):
            found.setdefault(row["journal_id"], []).append(STATES["bankline"].decode(row["state"]))
        return found

    async def taxed(self, tenant_id: str, account_ids: Sequence[str], *, window: Window) -> list[Row]:
        """What was posted with tax codes, or on these tax accounts, at its worth in the books."""
        rows = await self._fetch(tenant_id, TAXED, list(account_ids), window.first, window.last, window.known)
        return [
            Row(
                account_id=row["account_id"],
                tax_code=row["tax_code"],
                journal_type=row["journal_type"],
                net_minor=int(row["net"]),
            )
            for row in rows
        ]

    async def flows(self, tenant_id: str, account_ids: Sequence[str], *, window: Window) -> dict[str, int]:
        """Credits less debits on other accounts of entries that touch these, at their worth in the books."""
        rows = await self._fetch(tenant_id, FLOWS, list(account_ids), window.first, window.last, window.known)
        return {row["account_id"]: int(row["net"]) for row in rows}

    async def items(
        self, tenant_id: str, account_ids: Sequence[str], *, last: date, known: datetime | None
    ) -> list[Item]:
        """What is open of documents and payments on these accounts, at its worth in the books."""
        rows = await self._fetch(tenant_id, ITEMS, list(account_ids), last, known)
        return [
            Item(
                partner_id=row["partner_id"],
                item_id=row["item_id"],
                net_minor=int(row["net"]),
                due_date=row["due_date"],
            )
            for row in rows
        ]

    async def sums(self, tenant_id: str, *, last: date) -> dict[tuple[str, str], tuple[int, int]]:
        """Debits less credits until a day, by account and currency, and what they are worth in the books."""
        rows = await self._fetch(tenant_id, SUMS, last)
        return {
            (row["account_id"], row["currency"]): (int(row["minor"]), int(row["base_minor"])) for row in rows
        }

    async def known_later(
        self,
        tenant_id: str,
        *,
        last: date,
        known: datetime,
        limit: int,
        offset: int = 0,
        after: int | None = None,
    ) -> list[tuple[int, Any]]:
        """Entries of days up to `last` that were posted after `known`, with their places, in the order of the log."""
        rows = await self._fetch(tenant_id, LATER, limit, offset, last, known, after)
        return [(row["position"], STATES["journal"].decode(row["state"])) for row in rows]

    async def count_known_later(self, tenant_id: str, *, last: date, known: datetime) -> int:
        """How many these are."""
        [row] = await self._fetch(tenant_id, LATER_COUNT, last, known)
        return int(row["count"])

    async def holdings(self, tenant_id: str, account_ids: Sequence[str]) -> dict[str, int]:
        """Debits less credits of these accounts, in minor units of each account's currency."""
        rows = await self._fetch(tenant_id, HOLDINGS, list(account_ids), BASE)
        return {row["account_id"]: int(row["holding"]) for row in rows}

    async def unreconciled(
        self,
        tenant_id: str,
        account_id: str,
        methods: Sequence[str],
        *,
        currency: str,
        until: date,
        limit: int,
    ) -> tuple[list[Any], int]:
        """Completed payments that no bank's line is matched with, oldest first; and their sum.

        Their money is on this account: it was named, or none was and the method is one of these.
        """
        where = "status = 'COMPLETED' AND state->>'currency' = $2"
        where += " AND coalesce(state->>'account_id' = $5, method = ANY($1::text[]))"
        where += " AND (state->>'payment_date')::date <= $3"
        signed = "CASE WHEN state->>'side' = 'PURCHASE' THEN -1 ELSE 1 END * (state->>'amount_minor')::bigint"
        return await self._with_total(
            tenant_id,
            "payment",
            f"SELECT state::text, sum({signed}) OVER () AS total FROM {{schema}}.payment WHERE {where}"  # noqa: S608 - as above
            " ORDER BY (state->>'payment_date')::date, position LIMIT $4",
            list(methods),
            currency,
            until,
            limit,
            account_id,
        )

    async def unmatched_lines(
        self, tenant_id: str, account_id: str, *, currency: str, until: date, limit: int
    ) -> tuple[list[Any], int]:
        """Lines of a bank that no payment is matched with, oldest first; and their sum."""
        return await self._with_total(
            tenant_id,
            "bankline",
            "SELECT state::text, sum(amount_minor) OVER () AS total FROM {schema}.bankline WHERE account_id = $1"
            " AND status = 'UNMATCHED' AND currency = $2 AND booked_on <= $3 ORDER BY booked_on, position LIMIT $4",
            account_id,
            currency,
            until,
            limit,
        )

    async def _with_total(
        self, tenant_id: str, kind: str, query: str, *values: object
    ) -> tuple[list[Any], int]:
        """The states of a page, and the `total` that each of its rows has of all pages."""
        rows = await self._fetch(tenant_id, query, *values)
        return [STATES[kind].decode(row["state"]) for row in rows], int(rows[0]["total"]) if rows else 0

    async def bank_balance(
        self, tenant_id: str, account_id: str, *, currency: str, until: date
    ) -> tuple[int, date] | None:
        """The last closing balance that a bank told on or before a day, and its day."""
        rows = await self._fetch(
            tenant_id,
            "SELECT (state->'told'->>'closing_minor')::bigint AS minor, (state->'told'->>'closing_on')::date AS day"
            " FROM {schema}.bankfile WHERE account_id = $1 AND state->'told'->>'currency' = $2"
            " AND (state->'told'->>'closing_on')::date <= $3 AND state->'told'->>'closing_minor' IS NOT NULL"
            " ORDER BY day DESC, position DESC LIMIT 1",
            account_id,
            currency,
            until,
        )
        return (rows[0]["minor"], rows[0]["day"]) if rows else None

    async def number_series(self, tenant_id: str, fiscal_year: str) -> list[dict[str, Any]]:
        """Of each series of a fiscal year: how many numbers it has, the last, the missing and the repeated."""
        rows = await self._fetch(tenant_id, SERIES, fiscal_year)
        return [
            {
                "series": row["series"],
                "fiscalYear": fiscal_year,
                "count": row["count"],
                "last": row["last"],
                "missing": [{"first": first, "last": last} for first, last in orjson.loads(row["missing"])],
                "repeated": sorted(set(orjson.loads(row["repeated"]))),
            }
            for row in rows
        ]
