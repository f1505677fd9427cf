"""The event log in one SQLite file: durable on return, append-only by trigger, many readers and writers."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tranche.ports import Conflict, LogFault, NewEvent, Recorded

FORMAT: Final = 1
BUSY_S: Final = 5.0

SCHEMA: Final = """
create table event (
    number   integer primary key autoincrement,
    rollout  text    not null,
    position integer not null check (position > 0),
    type     text    not null,
    at       text    not null,
    actor    text    not null,
    data     text    not null,
    unique (rollout, position)
);
create trigger event_is_not_changed before update on event
begin select raise(abort, 'events are never changed'); end;
create trigger event_is_not_removed before delete on event
begin select raise(abort, 'events are never removed'); end;
"""


class SqliteLog:
    """A connection an operation: no state to lose, safe to share between threads."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Open or create the file; `read_only` never makes or changes one.

        Raises:
            LogFault: it cannot be opened, is damaged, or is from a newer release.
        """
        self._path, self._read_only = path, read_only
        with self._connection() as connection:
            if read_only:
                (found,) = connection.execute("pragma user_version").fetchone()
                if found != FORMAT:
                    raise LogFault(f"{path} has format {found}, this tranche reads {FORMAT}; update tranche")
                return
            connection.execute("pragma journal_mode = wal")
            connection.execute("begin immediate")
            (found,) = connection.execute("pragma user_version").fetchone()
            if found == 0:
                for statement in SCHEMA.split(";\n"):
                    if statement.strip():
                        connection.execute(statement)
                connection.execute(f"pragma user_version = {FORMAT}")
            elif found != FORMAT:
                raise LogFault(f"{path} has format {found}, this tranche writes {FORMAT}; update tranche")
            connection.execute("commit")

    def append(self, rollout: str, *, after: int, events: Sequence[NewEvent]) -> list[Recorded]:
        with self._connection() as connection:
            connection.execute("begin immediate")
            (length,) = connection.execute(
                "select coalesce(max(position), 0) from event where rollout = ?", (rollout,)
            ).fetchone()
            if length != after:
                connection.execute("rollback")
                raise Conflict(f"rollout '{rollout}' has {length} events, not {after}; read again")
            rows = [
                (
                    rollout,
                    after + number,
                    event.type,
                    event.at.astimezone(UTC).isoformat(),
                    event.actor,
                    json.dumps(event.data, separators=(",", ":"), allow_nan=False),
                )
                for number, event in enumerate(events, start=1)
            ]
            connection.executemany(
                "insert into event (rollout, position, type, at, actor, data) values (?, ?, ?, ?, ?, ?)", rows
            )
            connection.execute("commit")
        return [_recorded(row) for row in rows]

    def read(self, rollout: str, *, after: int = 0) -> list[Recorded]:
        with self._connection() as connection:
            rows = connection.execute(
                "select rollout, position, type, at, actor, data from event "
                "where rollout = ? and position > ? order by position",
                (rollout, after),
            ).fetchall()
        return [_recorded(row) for row in rows]

    def rollouts(self) -> list[str]:
        with self._connection() as connection:
            rows = connection.execute(
                "select rollout from event where position = 1 order by number"
            ).fetchall()
        return [rollout for (rollout,) in rows]

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """A connection in autocommit mode whose errors are faults of the log."""
        try:
            name = f"{self._path.resolve().as_uri()}?mode={'ro' if self._read_only else 'rwc'}"
            connection = sqlite3.connect(name, uri=True, timeout=BUSY_S, isolation_level=None)
            try:
                connection.execute("pragma synchronous = full")
                yield connection
            finally:
                connection.close()
        except sqlite3.Error as error:
            told = f"the event log {self._path} cannot be used: {error}; look at the disk and the file"
            raise LogFault(told) from error


def _recorded(row: tuple[str, int, str, str, str, str]) -> Recorded:
    rollout, position, kind, at, actor, data = row
    try:
        return Recorded(
            rollout=rollout,
            position=position,
            type=kind,
            at=datetime.fromisoformat(at),
            actor=actor,
            data=json.loads(data),
        )
    except (TypeError, ValueError) as error:
        told = f"entry {position} of rollout '{rollout}' is damaged ({error}); restore the event log"
        raise LogFault(told) from error
