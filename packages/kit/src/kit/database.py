"""PostgreSQL for services: a pool with time-outs, migrations, and transactions bound to a tenant."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from hashlib import sha256
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import asyncpg
import orjson

from kit.serve import ServiceFault

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Pool = asyncpg.Pool[asyncpg.Record]
    Connection = PoolConnectionProxy[asyncpg.Record] | asyncpg.Connection[asyncpg.Record]

STATEMENT_TIMEOUT_MS = 5_000
UNREACHABLE = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError)


async def _prepare(connection: "Connection") -> None:
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        format="binary",
        encoder=lambda value: b"\x01" + orjson.dumps(value),
        decoder=lambda data: orjson.loads(data[1:]),
    )


def place(url: str, setting: str = "database") -> str:
    """The address of a database without its password.

    Raises:
        ServiceFault: this is no such URL. It is not repeated: any part of it may be the password.
    """
    with suppress(ValueError):
        parts = urlsplit(url)
        if parts.scheme in {"postgresql", "postgres"} and "@" not in "".join(parts[2:]):
            return f"{parts.hostname or 'local'}:{parts.port or 5432}{parts.path}"
    wanted = "postgresql://user:password@host:port/database, signs such as / in a password escaped"
    raise ServiceFault(f"{setting}: expected {wanted}; found {'no such URL' if url else 'nothing'}")


async def open_pool(url: str, *, setting: str, size: int = 10, name: str = "") -> "Pool":
    """A pool of connections that give up on a statement after five seconds.

    Raises:
        ServiceFault: the database does not answer; names `setting` and the address, never the password.
    """
    address = place(url, setting)
    try:
        return await asyncpg.create_pool(
            url,
            min_size=1,
            max_size=size,
            init=_prepare,
            timeout=5,
            server_settings={"application_name": name, "statement_timeout": str(STATEMENT_TIMEOUT_MS)},
        )
    except UNREACHABLE as error:
        told = f"{setting}: no database at {address} ({type(error).__name__}: {error})"
        raise ServiceFault(f"{told}; is it running?") from error


@asynccontextmanager
async def tenant_transaction(pool: "Pool", setting: str, tenant_id: str) -> AsyncIterator["Connection"]:
    """A transaction in which row level security shows this tenant and no other.

    The setting lives as long as the transaction, so that a pooled connection never carries it on.
    """
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT set_config($1, $2, true)", setting, tenant_id)
        yield connection


async def migrate(url: str, folder: Traversable, *, setting: str, schema: str) -> list[str]:
    """Run the SQL files of `folder` that were not run yet, each in a transaction; returns their names.

    Of several at once, one does it and the others find it done.

    Raises:
        ServiceFault: the database does not answer or refuses, or a file has changed since it was run.
    """
    address, table = place(url, setting), f"{schema}.migrations"
    files = {file.name: file.read_bytes() for file in folder.iterdir() if file.name.endswith(".sql")}
    sums = {name: sha256(body).digest() for name, body in files.items()}
    try:
        connection = await asyncpg.connect(url, timeout=5)
    except UNREACHABLE as error:
        raise ServiceFault(f"{setting}: no database at {address} ({error}); is it running?") from error
    try:
        await connection.execute("SELECT pg_advisory_lock(hashtextextended($1, 0))", table)
        await connection.execute(
            f"CREATE SCHEMA IF NOT EXISTS {schema}; CREATE TABLE IF NOT EXISTS {table}"
            " (name text PRIMARY KEY, sha256 bytea NOT NULL, at timestamptz DEFAULT now())"
        )
        done = {row["name"]: row["sha256"] for row in await connection.fetch(f"TABLE {table}")}
        changed = [name for name, found in sums.items() if done.get(name, found) != found]
        if changed:
            told = f"{', '.join(sorted(changed))} changed after it was run at {address}"
            raise ServiceFault(f"{setting}: {told}; restore it and write a new migration")
        new = sorted(files.keys() - done.keys())
        for name in new:
            async with connection.transaction():
                await connection.execute(files[name].decode())
                await connection.execute(f"INSERT INTO {table} VALUES ($1, $2)", name, sums[name])  # noqa: S608 - a constant of the caller
    except asyncpg.PostgresError as error:
        raise ServiceFault(f"{setting}: a migration was refused by {address}: {error}") from error
    else:
        return new
    finally:
        await connection.close()
