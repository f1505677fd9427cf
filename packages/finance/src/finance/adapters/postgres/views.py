"""Reads of one tenant from the read models of one release. Row level security holds them to the tenant."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import asyncpg
import orjson

from finance.adapters.postgres.projector import Projector
from finance.adapters.postgres.store import AWAY, STATES, TENANT_SETTING, UNKEPT
from finance.ids import is_uuid
from finance.money import BASE
from finance.ports import StoreUnavailable
from finance.refusal import PageMalformed, TenantUnknown, TextMalformed
from kit.database import tenant_transaction

if TYPE_CHECKING:
    from kit.database import Pool

PAGE_LIMIT = 200

IN_BASE = """
SELECT a.state::text, coalesce(sum(b.base_debit_minor), 0) AS debit, coalesce(sum(b.base_credit_minor), 0) AS credit
FROM {schema}.account a LEFT JOIN {schema}.balance b ON b.tenant_id = a.tenant_id AND b.account_id = a.id::text
    AND ($1::date IS NULL OR b.effective_date >= $1) AND ($2::date IS NULL OR b.effective_date <= $2)
GROUP BY a.state, a.code ORDER BY a.code
"""
IN_CURRENCY = """
SELECT a.state::text, coalesce(sum(b.debit_minor), 0) AS debit, coalesce(sum(b.credit_minor), 0) AS credit
FROM {schema}.account a LEFT JOIN {schema}.balance b ON b.tenant_id = a.tenant_id AND b.account_id = a.id::text
    AND b.currency = $1 AND ($2::date IS NULL OR b.effective_date >= $2)
    AND ($3::date IS NULL OR b.effective_date <= $3)
WHERE a.state->>'currency' = $1
    OR EXISTS (SELECT FROM {schema}.balance o WHERE o.tenant_id = a.tenant_id
        AND o.account_id = a.id::text AND o.currency = $1)
GROUP BY a.state, a.code ORDER BY a.code
"""
BALANCES = {True: IN_BASE, False: IN_CURRENCY}
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
    """How many to read and how many to leave out first; never more than a page holds.

    Raises:
        PageMalformed: one of them is negative.
    """
    if min(limit, offset) < 0:
        raise PageMalformed(f"Found limit {limit} and offset {offset}.")
    return min(limit, PAGE_LIMIT), offset


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """What was posted to an account, in minor units."""

    account: Any
    debit_minor: int
    credit_minor: int


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

    async def balances(
        self, tenant_id: str, *, currency: str, first: date | None, last: date | None
    ) -> list[Balance]:
        """What was posted to every account, of days between `first` and `last`, both included.

        In the currency of the books: everything, at its worth. In another: what was posted in it.
        """
        rows = await self._fetch(
            tenant_id, BALANCES[currency == BASE], *(() if currency == BASE else (currency,)), first, last
        )
        return [
            Balance(
                account=STATES["account"].decode(row["state"]),
                debit_minor=int(row["debit"]),
                credit_minor=int(row["credit"]),
            )
            for row in rows
        ]

    async def holdings(self, tenant_id: str, account_ids: Sequence[str]) -> dict[str, int]:
        """Debits less credits of these accounts, in minor units of each account's currency."""
        rows = await self._fetch(tenant_id, HOLDINGS, list(account_ids), BASE)
        return {row["account_id"]: int(row["holding"]) for row in rows}

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
