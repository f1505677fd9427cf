"""What tests of several members share: a real PostgreSQL, started once, and databases that are a test's own."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from laptop import postgres
from laptop.ports import free_ports
from laptop.postgres import OWNERS, Cluster
from laptop.supervisor import Supervisor

NOTHING_OUTLIVES_THE_MACHINE = ("--fsync=off", "--full-page-writes=off")
"""Processes are killed in tests, and then the system still has what they wrote; no test cuts the power.

Waiting for the disk made hundreds of databases, each a test's own, cost a second each. The laptop itself waits.
"""


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A running PostgreSQL with the roles of every service."""
    state: Path = tmp_path_factory.mktemp("postgres")
    with Supervisor(state / "logs") as supervisor:
        made = postgres.create(state, free_ports(1)[0])
        program = made.program()
        command = (*program.command, *NOTHING_OUTLIVES_THE_MACHINE)
        supervisor.wait(supervisor.start(replace(program, command=command)))
        made.set_up()
        yield made
    made.remove_scratch()


COPY = """
CREATE DATABASE {name} OWNER {owner} TEMPLATE {like};
UPDATE pg_database AS made SET datacl = copied.datacl FROM pg_database AS copied
WHERE made.datname = '{name}' AND copied.datname = '{like}';
"""
"""A copy has everything in the database, but not the rights to it."""


@pytest.fixture(scope="session")
def new_database(cluster: Cluster) -> Callable[..., str]:
    """Makes a database as the service of this name has it, and tells its name.

    It is empty, or a copy of `like`, to which nobody may be connected meanwhile.
    """
    numbers = itertools.count(1)

    def make(service: str, like: str | None = None) -> str:
        name = f"{service}_{next(numbers)}"
        if like is None:
            cluster.add_database(name, service)
        else:
            cluster.run_sql("postgres", COPY.format(name=name, like=like, owner=OWNERS[service]))
        return name

    return make
