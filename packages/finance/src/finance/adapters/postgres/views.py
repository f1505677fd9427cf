"""Reads of one tenant from the read models of one release. Row level security holds them to the tenant."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import asyncpg
import orjson

from finance.adapters.postgres.listing import Key, Listing, Place
from finance.adapters.postgres.projector import Projector
from finance.adapters.postgres.store import AWAY, STATES, TENANT_SETTING, UNKEPT
from finance.ids import is_uuid
from finance.money import BASE
from finance.ports import StoreUnavailable
from finance.refusal import PageMalformed, TenantUnknown, TextMalformed
from finance.report import Balance, Item, Movement
from finance.vat import Row
from kit.database import tenant_transaction

if TYPE_CHECKING:
    from kit.database import Pool

PAGE_LIMIT = 200

BALANCES = """
SELECT a.state::text, coalesce(sum(b.{base}debit_minor), 0) AS debit, coalesce(sum(b.{base}credit_minor), 0) AS credit
FROM {schema}.account a LEFT JOIN {schema}.{source} b ON b.tenant_id = a.tenant_id AND b.account_id = a.id::text
    AND ($2::text = $1 OR b.currency = $1)
    AND ($3::date IS NULL OR b.effective_date >= $3) AND ($4::date IS NULL OR b.effective_date <= $4){also}
WHERE $2 = $1 OR a.state->>'currency' = $1
    OR EXISTS (SELECT FROM {schema}.balance o WHERE o.tenant_id = a.tenant_id
        AND o.account_id = a.id::text AND o.currency = $1)
GROUP BY a.state, a.code ORDER BY a.code
"""
KNOWN = " AND ($5::timestamptz IS NULL OR b.posted_at <= $5)"
NOT_CLOSING = """ AND b.journal_type <> 'CLOSING' AND NOT EXISTS (SELECT FROM {schema}.journal o
        WHERE o.tenant_id = b.tenant_id AND o.id = b.original_id AND o.journal_type = 'CLOSING')"""
MOVED = """
FROM {schema}.movement m WHERE m.account_id = ANY($1::text[]) AND ($2::text IS NULL OR m.partner_id = $2)
    AND ($3::date IS NULL OR m.effective_date >= $3) AND ($4::date IS NULL OR m.effective_date <= $4)
    AND ($5::timestamptz IS NULL OR m.posted_at <= $5) AND ($6::text IS NULL OR m.currency = $6)
"""
BEYOND = " AND ($7::date IS NULL OR (m.effective_date, m.position, m.place) {side} ($7, $8::bigint, $9::int))"
"""What of `MOVED` stands after a place, or up to it."""
TAXED = """
SELECT m.account_id, m.tax_code, coalesce(o.journal_type, m.journal_type) AS journal_type,
    sum(m.base_debit_minor - m.base_credit_minor) AS net
FROM {schema}.movement m LEFT JOIN {schema}.journal o ON o.tenant_id = m.tenant_id AND o.id = m.original_id
WHERE (m.tax_code IS NOT NULL OR m.account_id = ANY($1::text[])) AND m.effective_date >= $2 AND m.effective_date <= $3
    AND ($4::timestamptz IS NULL OR m.posted_at <= $4)
GROUP BY 1, 2, 3
"""
FLOWS = """
SELECT m.account_id, sum(m.base_credit_minor - m.base_debit_minor) AS net
FROM {schema}.movement m WHERE m.account_id <> ALL($1::text[])
    AND m.effective_date >= $2 AND m.effective_date <= $3 AND ($4::timestamptz IS NULL OR m.posted_at <= $4)
    AND EXISTS (SELECT FROM {schema}.movement c WHERE c.tenant_id = m.tenant_id AND c.journal_id = m.journal_id
        AND c.account_id = ANY($1::text[]))
GROUP BY 1
"""
IN_ORDER = "ORDER BY m.effective_date, m.position, m.place"
ITEMS = """
SELECT m.partner_id, coalesce(m.item_id, m.journal_id::text) AS item_id,
    sum(m.base_debit_minor - m.base_credit_minor) AS net, coalesce(min(m.due_date), min(m.effective_date)) AS due_date
FROM {schema}.movement m WHERE m.account_id = ANY($1::text[]) AND m.effective_date <= $2
    AND ($3::timestamptz IS NULL OR m.posted_at <= $3)
GROUP BY 1, 2 HAVING sum(m.base_debit_minor - m.base_credit_minor) <> 0
"""
LATER = """
SELECT j.position, j.state::text FROM {schema}.journal j WHERE EXISTS (SELECT FROM {schema}.movement m
    WHERE m.tenant_id = j.tenant_id AND m.journal_id = j.id AND m.effective_date <= $3 AND m.posted_at > $4)
    AND ($5::bigint IS NULL OR j.position > $5)
ORDER BY j.position LIMIT $1 OFFSET $2
"""
LATER_COUNT = """
SELECT count(DISTINCT m.journal_id) AS count FROM {schema}.movement m WHERE m.effective_date <= $1 AND m.posted_at > $2
"""
HOLDINGS = """
SELECT b.account_id, sum(CASE WHEN a.state->>'currency' = $2 THEN b.base_debit_minor - b.base_credit_minor
    WHEN b.currency = a.state->>'currency' THEN b.debit_minor - b.credit_minor END) AS holding
FROM {schema}.balance b JOIN {schema}.account a ON a.tenant_id = b.tenant_id AND a.id::text = b.account_id
WHERE b.account_id = ANY($1::text[]) GROUP BY b.account_id
"""
SERIES = """
SELECT series, count(*) AS count, max(sequence) AS last,
    coalesce(jsonb_agg(jsonb_build_array(before + 1, sequence - 1) ORDER BY sequence)
        FILTER (WHERE sequence > before + 1), '[]')::text AS missing,
    coalesce(jsonb_agg(sequence) FILTER (WHERE sequence = before), '[]')::text AS repeated
FROM (
    SELECT series, sequence, lag(sequence, 1, 0) OVER (PARTITION BY series ORDER BY sequence) AS before
    FROM {schema}.number WHERE fiscal_year = $1
) n
GROUP BY series ORDER BY series
"""


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


class Views:
    """Every read waits first until this process's own writes of the tenant have arrived."""

    def __init__(self, pool: "Pool", projector: Projector) -> None:
        self._pool = pool
        self._projector = projector
        self._known: set[str] = set()

    @property
    def position(self) -> str:
        return str(self._projector.position)

    async def _fetch(self, tenant_id: str, query: str, *values: object) -> list[asyncpg.Record]:
        if not is_uuid(tenant_id):
            raise TenantUnknown(f"Found {tenant_id[:40]}.")
        await self._projector.settled(tenant_id)
        try:
            async with tenant_transaction(self._pool, TENANT_SETTING, tenant_id) as connection:
                if tenant_id not in self._known:
                    if not await connection.fetchval("SELECT EXISTS (SELECT FROM finance_log.tenants)"):
                        raise TenantUnknown(f"Found {tenant_id}.")
                    self._known.add(tenant_id)
                return await connection.fetch(query.replace("{schema}", self._projector.schema), *values)
        except UNKEPT as error:
            raise TextMalformed("It holds a character that cannot be kept, such as NUL.") from error
        except AWAY as error:
            raise StoreUnavailable(f"{type(error).__name__}: {error}") from error

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
            f"SELECT m.account_id, m.effective_date, m.{base}debit_minor AS debit, m.{base}credit_minor AS credit,"
            " m.journal_id::text, m.number, m.description, m.document_id, m.partner_id, m.position, m.place"
            f" {MOVED}{BEYOND.format(side='>')} {IN_ORDER} LIMIT $10 OFFSET $11",
            *moved(account_ids, currency, window, partner_id),
            *(after or (None, None, None)),
            limit,
            offset,
        )
        return [
            Movement(
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
            for row in rows
        ]

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
        self, tenant_id: str, methods: Sequence[str], *, currency: str, until: date, limit: int
    ) -> tuple[list[Any], int]:
        """Completed payments of these methods that no bank's line is matched with, oldest first; and their sum."""
        where = "status = 'COMPLETED' AND method = ANY($1::text[]) AND state->>'currency' = $2"
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
