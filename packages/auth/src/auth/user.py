"""Users and their tenants, as PostgreSQL keeps them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg

if TYPE_CHECKING:
    from kit.database import Pool

DATABASE_AWAY = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
)
"""What the driver raises when the database is not reached, is full, or stops; a wrong statement is a bug."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """A company whose books are kept."""

    id: UUID
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Somebody who may log in. `internal`: of the company that runs the service."""

    id: UUID
    tenant_id: UUID
    username: str
    password_hash: str
    roles: tuple[str, ...]
    internal: bool


class Users:
    """Users by tenant and name, and the tokens that were taken back."""

    def __init__(self, pool: "Pool") -> None:
        self._pool = pool

    async def tenant_id(self, tenant: str) -> UUID | None:
        """The tenant with this id or this name, or None. An id goes before a name that looks like one."""
        found: UUID | None = await self._pool.fetchval(
            "SELECT id FROM auth.tenants WHERE id::text = $1 OR name = $1 ORDER BY id::text <> $1 LIMIT 1",
            tenant,
        )
        return found

    async def find(self, tenant_id: UUID | None, username: str) -> User | None:
        """The user of this tenant with this name, or None."""
        row = await self._pool.fetchrow(
            "SELECT * FROM auth.users WHERE tenant_id = $1 AND username = $2", tenant_id, username
        )
        if row is None:
            return None
        return User(
            id=row["id"],
            tenant_id=row["tenant_id"],
            username=row["username"],
            password_hash=row["password_hash"],
            roles=tuple(row["roles"]),
            internal=row["internal"],
        )

    async def add(self, tenants: Sequence[Tenant], users: Sequence[User]) -> None:
        """Add all of them in one transaction; those that are there stay as they are."""
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.executemany(
                "INSERT INTO auth.tenants (id, name) VALUES ($1, $2) ON CONFLICT DO NOTHING",
                [(tenant.id, tenant.name) for tenant in tenants],
            )
            await connection.executemany(
                "INSERT INTO auth.users (id, tenant_id, username, password_hash, roles, internal)"
                " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (id) DO NOTHING",
                [
                    (
                        user.id,
                        user.tenant_id,
                        user.username,
                        user.password_hash,
                        list(user.roles),
                        user.internal,
                    )
                    for user in users
                ],
            )

    async def revoke(self, token_id: UUID, expires_at: datetime) -> None:
        """Refuse this token from now on. Idempotent."""
        await self._pool.execute(
            "INSERT INTO auth.revoked (token_id, expires_at) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            token_id,
            expires_at,
        )
        await self._pool.execute("DELETE FROM auth.revoked WHERE expires_at < now() - interval '1 hour'")

    async def revoked(self) -> list[str]:
        """The tokens that are taken back and have not expired."""
        rows = await self._pool.fetch("SELECT token_id FROM auth.revoked WHERE expires_at >= now()")
        return [str(row["token_id"]) for row in rows]

    async def is_revoked(self, token_id: UUID) -> bool:
        return bool(
            await self._pool.fetchval(
                "SELECT EXISTS (SELECT FROM auth.revoked WHERE token_id = $1)", token_id
            )
        )

    async def answer(self) -> None:
        """Whether the database answers; for the health check."""
        await self._pool.fetchval("SELECT count(*) FROM (SELECT FROM auth.tenants LIMIT 1) t")
