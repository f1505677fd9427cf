"""What a proof asks the database: guards and seals of the log, digests of read models, what a release has written.

Everything is asked as finance_projector: it reads all of the log and owns the read models of every release, and
writes nothing but seals.
"""

import asyncio
import time
from collections.abc import Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from finance.adapters.postgres.projector import schema_of
from finance.proof import Digests, Followed, Reading, Seal, Shown, unchanged

if TYPE_CHECKING:
    from kit.database import Connection

GUARDS: Final = ("append_only", "never_emptied")
WITHIN_S: Final = 5.0
"""How long it waits for read models: a live release follows within milliseconds."""
PAUSE_S: Final = 0.02

STANDING = """
SELECT tgname FROM pg_trigger
WHERE tgrelid = 'finance_log.events'::regclass AND NOT tgisinternal AND tgenabled IN ('O', 'A')
"""
STRETCH = """
SELECT count(*) AS events, sha256($3 || coalesce(string_agg(sha256(convert_to(jsonb_build_array(
    position, tx::text, tenant_id, stream_id, version, kind, type, data, effective_date, actor,
    extract(epoch FROM recorded_at), writer)::text, 'UTF8')), ''::bytea ORDER BY position), ''::bytea)) AS digest
FROM finance_log.events WHERE tx >= $1::text::xid8 AND tx < $2::text::xid8
"""
SEALS = "SELECT since::text, until::text, events, digest FROM finance_log.seals ORDER BY seals.since"
"""Ordered by the column, as in the projector's READ: a bare `since` would be the text, in which 10 comes before 9."""
SETTLED = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text"
SET_SEAL = """
INSERT INTO finance_log.seals (since, until, events, digest) VALUES ($1::text::xid8, $2::text::xid8, $3, $4)
ON CONFLICT DO NOTHING
"""
COLUMNS = """
SELECT table_name, array_agg(column_name::text ORDER BY column_name) AS columns FROM (
    SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = $1
    INTERSECT SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = $2
) both_have
WHERE table_name <> 'checkpoint' AND column_name <> 'state' GROUP BY table_name
"""
"""`state` is left out: a release may keep more of an event than another does."""
STREAMS_OF = """
SELECT tenant_id::text, stream_id::text, version, type, data::text, split_part(writer, ' ', 2) = $1 AS theirs
FROM finance_log.events WHERE (tenant_id, stream_id) IN
    (SELECT tenant_id, stream_id FROM finance_log.events WHERE split_part(writer, ' ', 2) = $1)
ORDER BY tenant_id, stream_id, version
"""
"""A writer calls itself by service, release and colour."""
NEWEST_OF = """
SELECT tx::text, position FROM finance_log.events
WHERE split_part(writer, ' ', 2) = $1 AND tx < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY events.tx DESC, position DESC LIMIT 1
"""


async def seal(connection: "Connection") -> Shown:
    """Compare the log with its seals, and seal what has come since: once a transaction is over, nothing joins it.

    A log that does not fit its seals is not sealed further.
    """
    standing = {row["tgname"] for row in await connection.fetch(STANDING)}
    guards = {name: name in standing for name in GUARDS}
    seals, before, since = [], b"", "0"
    for row in await connection.fetch(SEALS):
        now = await connection.fetchrow(STRETCH, row["since"], row["until"], before)
        assert now is not None, "an aggregate answers one row"  # noqa: S101 - as it says
        seals.append(
            Seal(
                since=int(row["since"]),
                until=int(row["until"]),
                digest=row["digest"],
                events=row["events"],
                now=now["digest"],
                events_now=now["events"],
            )
        )
        before, since = row["digest"], row["until"]
    found = unchanged(guards, seals, 0, before or None)
    if found.verdict == "fail":
        return found
    until = await connection.fetchval(SETTLED)
    new = await connection.fetchrow(STRETCH, since, until, before)
    if new is None or not new["events"]:
        return found
    await connection.execute(SET_SEAL, since, until, new["events"], new["digest"])
    return unchanged(guards, seals, new["events"], new["digest"])


async def digests(connection: "Connection", ours: str, theirs: str) -> Digests | str:
    """Both releases' read models at the same position, or why they could not be compared."""
    schemas = (schema_of(ours), schema_of(theirs))
    for release, schema in zip((ours, theirs), schemas, strict=True):
        if await connection.fetchval("SELECT to_regclass($1)", f"{schema}.checkpoint") is None:
            return f"release {release} has no read models here"
    deadline = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            first, second = [await _position(connection, schema) for schema in schemas]
            if first == second:
                tables = await connection.fetch(COLUMNS, *schemas)
                columns = {row["table_name"]: row["columns"] for row in tables}
                made = [await _digests(connection, schema, columns) for schema in schemas]
                return Digests(position=first[1], ours=made[0], theirs=made[1])
        await asyncio.sleep(PAUSE_S)
    return f"the read models were never at one position within {WITHIN_S:g} s; at {first[1]} and {second[1]}"


async def _position(connection: "Connection", schema: str) -> tuple[int, int]:
    row = await connection.fetchrow(f"SELECT tx::text, position FROM {schema}.checkpoint")  # noqa: S608 - made of a release's letters and digits
    assert row is not None, "read.sql makes the row"  # noqa: S101 - a schema without it is a bug
    return int(row["tx"]), int(row["position"])


async def _digests(
    connection: "Connection", schema: str, columns: Mapping[str, list[str]]
) -> dict[str, tuple[int, str]]:
    """Rows and digest by table; sums of hashes, so that the order of rows is nothing and no table is sorted."""
    found = {}
    for table, names in columns.items():
        row = await connection.fetchrow(
            "SELECT count(*) AS rows, sum(hashtextextended(t::text, 0)::numeric)::text AS one,"  # noqa: S608 - names are the catalogue's
            " sum(hashtextextended(t::text, 1)::numeric)::text AS other"
            f" FROM (SELECT {', '.join(names)} FROM {schema}.{table}) t"
        )
        assert row is not None, "an aggregate answers one row"  # noqa: S101 - as it says
        found[table] = (row["rows"], sha256(f"{row['one']} {row['other']}".encode()).hexdigest())
    return found


async def read_back(connection: "Connection", version: str) -> Reading:
    """Every stream that this version has written to, read with the code of this process."""
    reading = Reading()
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        async for row in connection.cursor(STREAMS_OF, version):
            reading.take(
                stream=(row["tenant_id"], row["stream_id"]),
                version=row["version"],
                event_type=row["type"],
                data=row["data"].encode(),
                theirs=row["theirs"] is True,
            )
    return reading


async def follow(connection: "Connection", version: str, reader: str) -> Followed | str:
    """Watch the reader's read models until they have all that this version wrote, or for as long as it may take."""
    schema = schema_of(reader)
    if await connection.fetchval("SELECT to_regclass($1)", f"{schema}.checkpoint") is None:
        return f"release {reader} has no read models here"
    newest = await connection.fetchrow(NEWEST_OF, version)
    needed = None if newest is None else (int(newest["tx"]), int(newest["position"]))
    first = last = await _position(connection, schema)
    deadline = time.monotonic() + WITHIN_S
    while needed is not None and last < needed and time.monotonic() < deadline:
        await asyncio.sleep(PAUSE_S)
        last = await _position(connection, schema)
    return Followed(needed=needed, first=first, last=last)
