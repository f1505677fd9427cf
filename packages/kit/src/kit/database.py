"""PostgreSQL for services: a pool with time-outs, migrations, and transactions bound to a tenant."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
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


def place(url: str) -> str:
    """The address of a database without its password."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or 5432}{parts.path}"


async def open_pool(url: str, *, setting: str, size: int = 10, name: str = "") -> "Pool":
    """A pool of connections that give up on a statement after five seconds.

    Raises:
        ServiceFault: the database does not answer; names `setting` and the address, never the password.
    """
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
        told = f"{setting}: no database at {place(url)} ({type(error).__name__}: {error})"
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

    Raises:
        ServiceFault: the database does not answer or refuses.
    """
    try:
        connection = await asyncpg.connect(url, timeout=5)
    except UNREACHABLE as error:
        raise ServiceFault(f"{setting}: no database at {place(url)} ({error}); is it running?") from error
    try:
        await connection.execute(
            f"CREATE SCHEMA IF NOT EXISTS {schema};"
            f"CREATE TABLE IF NOT EXISTS {schema}.migrations"
            " (name text PRIMARY KEY, at timestamptz DEFAULT now())"
        )
        done = {row["name"] for row in await connection.fetch(f"SELECT name FROM {schema}.migrations")}  # noqa: S608 - a constant of the caller
        files = sorted(
            (file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name
        )
        new = [file for file in files if file.name not in done]
        for file in new:
            async with connection.transaction():
                await connection.execute(file.read_text(encoding="utf-8"))
                await connection.execute(f"INSERT INTO {schema}.migrations (name) VALUES ($1)", file.name)  # noqa: S608 - as above
        return [file.name for file in new]
    except asyncpg.PostgresError as error:
        raise ServiceFault(f"{setting}: a migration was refused by {place(url)}: {error}") from error
    finally:
        await connection.close()
