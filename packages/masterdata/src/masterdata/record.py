"""Records of master data: what they hold, and how PostgreSQL keeps them.

Every statement runs in a transaction bound to one tenant; row level security shows no other.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import asyncpg

from kit.database import tenant_transaction
from masterdata.refusal import Malformed, Taken

if TYPE_CHECKING:
    from kit.database import Pool

DATABASE_AWAY: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
)
"""What the driver raises when the database is not reached, is full, or stops; a wrong statement is a bug."""
BATCH_LIMIT: Final = 100
PAGE_LIMIT: Final = 200
TENANT: Final = "masterdata.tenant"
VAT_CATEGORIES: Final = ("STANDARD", "REDUCED", "TRUNCATED", "ZERO_RATED", "EXEMPT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A sort of record. `fields` maps a column to the pattern its text must match; None: may be empty."""

    name: str
    table: str
    fields: Mapping[str, str]
    optional: frozenset[str] = frozenset()
    fixed: Mapping[str, str] | None = None

    @property
    def columns(self) -> str:
        return ", ".join(("id", *self.fields))

    @property
    def where(self) -> str:
        return " AND ".join(f"{column} = '{value}'" for column, value in (self.fixed or {}).items()) or "true"


NAME: Final = r"(?=.*\S)[^\x00-\x1f\x7f]{1,255}"
CODE: Final = r"[A-Za-z0-9._-]{1,64}"
UNIT: Final = r"(?=.*\S)[^\x00-\x1f\x7f]{1,20}"
TIN, BIN = r"[0-9]{12}", r"[0-9]{13}"
"""As the database checks them: of the digits 0 to 9, not of every digit that Unicode knows."""


def partner(name: str) -> Kind:
    return Kind(
        name=name,
        table="masterdata.partners",
        fields={"code": CODE, "name": NAME, "tin": TIN, "bin": BIN},
        optional=frozenset({"tin", "bin"}),
        fixed={"kind": name},
    )


KINDS: Final[Mapping[str, Kind]] = {
    "customers": partner("customer"),
    "vendors": partner("vendor"),
    "products": Kind(
        name="product",
        table="masterdata.products",
        fields={"sku": CODE, "name": NAME, "unit": UNIT, "vat_category": "|".join(VAT_CATEGORIES)},
    ),
}


def parse(kind: Kind, body: object) -> dict[str, str | None]:
    """The fields of a new record.

    Raises:
        Malformed: naming the field, what was expected and what was found.
    """
    if not isinstance(body, dict):
        raise Malformed("expected a JSON object")
    unknown = sorted(set(body) - set(kind.fields))
    if unknown:
        raise Malformed(f"unknown fields {', '.join(unknown)}; known are {', '.join(kind.fields)}")
    values: dict[str, str | None] = {}
    for column, pattern in kind.fields.items():
        value = body.get(column)
        if value is None and column in kind.optional:
            values[column] = None
        elif not isinstance(value, str) or re.fullmatch(pattern, value) is None:
            raise Malformed(f"{column}: expected a text like {pattern}, found {value!r}")
        else:
            values[column] = value
    return values


class Records:
    """Master data of all tenants, one tenant at a time."""

    def __init__(self, pool: "Pool") -> None:
        self._pool = pool

    async def find(self, kind: Kind, tenant_id: str, ids: Sequence[UUID]) -> list[dict[str, Any]]:
        """Those of `ids` that this tenant has, each once and in the order asked for, in one statement."""
        found = await self._read(kind, tenant_id, "id = ANY($1)", list(ids)) if ids else []
        records = {record["id"]: record for record in found}
        asked = (str(one) for one in dict.fromkeys(ids))
        return [records[one] for one in asked if one in records]

    async def page(
        self, kind: Kind, tenant_id: str, *, limit: int, offset: int, search: str
    ) -> list[dict[str, Any]]:
        """Records by name; `search` is looked for in the name."""
        pattern = "%" + re.sub(r"([%_\\])", r"\\\1", search) + "%"
        condition = "name ILIKE $1 ORDER BY name, id LIMIT $2 OFFSET $3"
        return await self._read(kind, tenant_id, condition, pattern, limit, offset)

    async def _read(
        self, kind: Kind, tenant_id: str, condition: str, *values: object
    ) -> list[dict[str, Any]]:
        query = f"SELECT {kind.columns} FROM {kind.table} WHERE {kind.where} AND {condition}"  # noqa: S608 - constants of this module
        async with tenant_transaction(self._pool, TENANT, tenant_id) as connection:
            return [{**row, "id": str(row["id"])} for row in await connection.fetch(query, *values)]

    async def add(
        self, kind: Kind, tenant_id: str, record_id: UUID, values: Mapping[str, str | None]
    ) -> None:
        """Add a record.

        Raises:
            Taken: its code is used already.
        """
        row = {"tenant_id": UUID(tenant_id), "id": record_id, **(kind.fixed or {}), **values}
        marks = ", ".join(f"${number}" for number in range(1, len(row) + 1))
        command = f"INSERT INTO {kind.table} ({', '.join(row)}) VALUES ({marks})"  # noqa: S608 - constants of this module
        async with tenant_transaction(self._pool, TENANT, tenant_id) as connection:
            try:
                await connection.execute(command, *row.values())
            except asyncpg.UniqueViolationError as error:
                raise Taken(f"another {kind.name} has this code; choose another") from error

    async def add_many(
        self, kind: Kind, tenant_id: UUID, rows: Sequence[tuple[UUID, Mapping[str, str | None]]]
    ) -> None:
        """Add many in one transaction; those that are there stay as they are."""
        if not rows:
            return
        columns = ["tenant_id", "id", *(kind.fixed or {}), *rows[0][1]]
        marks = ", ".join(f"${number}" for number in range(1, len(columns) + 1))
        command = f"INSERT INTO {kind.table} ({', '.join(columns)}) VALUES ({marks}) ON CONFLICT DO NOTHING"  # noqa: S608 - constants of this module
        async with tenant_transaction(self._pool, TENANT, str(tenant_id)) as connection:
            await connection.executemany(
                command,
                [(tenant_id, key, *(kind.fixed or {}).values(), *values.values()) for key, values in rows],
            )

    async def is_bound(self) -> bool:
        """Whether row level security holds our role: it is no superuser, and cannot switch the policies off."""
        free = (
            "SELECT (SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user) OR bool_or("
            "pg_has_role(current_user, relowner, 'USAGE') OR NOT relrowsecurity) FROM pg_class"
            " WHERE oid IN ('masterdata.partners'::regclass, 'masterdata.products'::regclass)"
        )
        return not await self._pool.fetchval(free)

    async def answer(self) -> None:
        """Whether the database answers; for the health check."""
        await self._pool.fetchval("SELECT count(*) FROM (SELECT FROM masterdata.products LIMIT 1) t")
