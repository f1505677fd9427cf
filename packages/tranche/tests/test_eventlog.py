"""One suite for every event log: append-only, ordered, all or none, and honest when it cannot."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from laptop.fault import LaptopFault
from laptop.postgres import Cluster
from tranche.adapters.memory import MemoryLog
from tranche.adapters.postgres import Database
from tranche.adapters.postgres_log import PostgresLog, prepare
from tranche.adapters.sqlite import FORMAT, SqliteLog
from tranche.ports import Conflict, EventLog, LogFault, NewEvent

NOW = datetime(2026, 1, 5, 9, 0, 0, 123456, tzinfo=UTC)


def event(number: int = 0) -> NewEvent:
    data = {"number": number, "text": "é\n|", "nested": {"list": [1, 2.5, None, True]}}
    return NewEvent(type="thing/1", at=NOW + timedelta(seconds=number), actor="ann", data=data)


@pytest.fixture(params=["memory", "sqlite", pytest.param("postgres", marks=pytest.mark.integration)])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], EventLog]]:
    """Opens the same log each time it is called."""
    if request.param == "sqlite":
        yield lambda: SqliteLog(tmp_path / "log.sqlite")
    elif request.param == "memory":
        memory = MemoryLog()
        yield lambda: memory
    else:
        database = request.getfixturevalue("database")
        yield lambda: PostgresLog(database)


def test_what_was_appended_is_read_back_in_order(make: Callable[[], EventLog]) -> None:
    log = make()
    first = log.append("r-1", after=0, events=[event(0), event(1)])
    second = log.append("r-1", after=2, events=[event(2)])

    found = make().read("r-1")

    assert found == first + second
    assert [recorded.position for recorded in found] == [1, 2, 3]
    assert found[0].data == event(0).data
    assert found[0].at == NOW
    assert make().read("r-1", after=2) == second


def test_whoever_read_an_older_log_is_refused_and_nothing_is_added(make: Callable[[], EventLog]) -> None:
    log = make()
    log.append("r-1", after=0, events=[event()])

    for after in (0, 2):
        with pytest.raises(Conflict, match="read again"):
            log.append("r-1", after=after, events=[event(), event()])

    assert len(log.read("r-1")) == 1


def test_rollouts_do_not_know_each_other(make: Callable[[], EventLog]) -> None:
    log = make()
    log.append("b", after=0, events=[event()])
    log.append("a", after=0, events=[event()])
    log.append("b", after=1, events=[event()])

    assert log.rollouts() == ["b", "a"]
    assert len(log.read("a")) == 1
    assert log.read("none") == []


def test_nothing_to_append_appends_nothing(make: Callable[[], EventLog]) -> None:
    assert make().append("r-1", after=0, events=[]) == []
    assert make().rollouts() == []


def test_of_many_writers_one_wins_each_position(make: Callable[[], EventLog]) -> None:
    log = make()
    won: list[int] = []

    def write() -> None:
        for _ in range(20):
            try:
                won.extend(
                    r.position for r in log.append("r-1", after=len(log.read("r-1")), events=[event()])
                )
            except Conflict:
                continue

    writers = [threading.Thread(target=write) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    assert sorted(won) == [recorded.position for recorded in log.read("r-1")]
    assert len(set(won)) == len(won) > 0


def test_times_are_kept_in_utc(make: Callable[[], EventLog]) -> None:
    east = NewEvent(type="t/1", at=NOW.astimezone(timezone(timedelta(hours=6))), actor="a", data={})
    make().append("r-1", after=0, events=[east])

    assert make().read("r-1")[0].at == NOW


@pytest.mark.parametrize("statement", ["update event set actor = 'eve'", "delete from event"])
def test_the_file_itself_refuses_to_forget(tmp_path: Path, statement: str) -> None:
    log = SqliteLog(tmp_path / "log.sqlite")
    log.append("r-1", after=0, events=[event()])

    connection = sqlite3.connect(tmp_path / "log.sqlite")
    with pytest.raises(sqlite3.IntegrityError, match="events are never"):
        connection.execute(statement)
    connection.close()

    assert log.read("r-1")[0].actor == "ann"


def test_a_newer_format_is_a_fault_and_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "log.sqlite"
    SqliteLog(path)
    with sqlite3.connect(path) as connection:
        connection.execute(f"pragma user_version = {FORMAT + 1}")
    connection.close()

    with pytest.raises(LogFault, match="update tranche"):
        SqliteLog(path)


def test_a_file_that_is_no_log_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "log.sqlite"
    path.write_bytes(b"not a database, and longer than its header would be" * 30)

    with pytest.raises(LogFault, match="look at the disk and the file"):
        SqliteLog(path)


def test_a_folder_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(LogFault):
        SqliteLog(tmp_path / "none" / "log.sqlite")


def test_a_damaged_entry_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "log.sqlite"
    log = SqliteLog(path)
    with sqlite3.connect(path) as connection:
        connection.execute(
            "insert into event (rollout, position, type, at, actor, data) values ('r', 1, 't', 'x', 'a', '{')"
        )
    connection.close()

    with pytest.raises(LogFault, match="is damaged"):
        log.read("r")


# PostgreSQL.


@pytest.mark.integration
@pytest.mark.parametrize(
    "statement",
    ["update tranche.event set actor = 'eve'", "delete from tranche.event", "truncate tranche.event"],
)
def test_the_database_itself_refuses_to_forget(
    database: Database, cluster: Cluster, database_name: str, statement: str
) -> None:
    log = PostgresLog(database)
    log.append("r-1", after=0, events=[event()])

    with pytest.raises(LaptopFault, match=r"tranche\.refuse"):
        cluster.run_sql(database_name, statement)
    assert log.read("r-1")[0].actor == "ann"


@pytest.mark.integration
def test_a_newer_format_of_the_database_is_a_fault(
    database: Database, cluster: Cluster, database_name: str
) -> None:
    prepare(database)
    cluster.run_sql(database_name, "insert into tranche.format values (999)")

    with pytest.raises(LogFault, match="update tranche"):
        prepare(database)


@pytest.mark.integration
def test_a_connection_that_was_cut_is_opened_anew(
    database: Database, cluster: Cluster, database_name: str
) -> None:
    log = PostgresLog(database)
    log.append("r-1", after=0, events=[event()])
    cluster.run_sql(
        "postgres",
        f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{database_name}'",
    )
    with suppress(LogFault):  # it may learn of the cut only by asking: a fault, and nothing was appended
        log.append("r-1", after=1, events=[event(1)])
    known = len(log.read("r-1"))

    log.append("r-1", after=known, events=[event(2)])
    assert [each.position for each in log.read("r-1")] == list(range(1, known + 2))


def test_a_database_that_is_not_there_is_a_fault() -> None:
    database = Database(lambda: "postgresql://ann:hunter2@127.0.0.1:1/none", where="none")

    with pytest.raises(LogFault, match="look at the database") as raised:
        prepare(database)
    assert "hunter2" not in str(raised.value)
    database.close()
