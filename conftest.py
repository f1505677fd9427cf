"""What tests of several members share: a real PostgreSQL, started once, and databases that are a test's own."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from laptop import postgres
from laptop.ports import free_ports
from laptop.postgres import Cluster
from laptop.supervisor import Supervisor


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A running PostgreSQL with the roles of every service."""
    state: Path = tmp_path_factory.mktemp("postgres")
    with Supervisor(state / "logs") as supervisor:
        made = postgres.create(state, free_ports(1)[0])
        supervisor.wait(supervisor.start(made.program()))
        made.set_up()
        yield made
    made.remove_scratch()


@pytest.fixture(scope="session")
def new_database(cluster: Cluster) -> Callable[[str], str]:
    """Makes an empty database as the service of this name has it, and tells its name."""
    numbers = itertools.count(1)

    def make(service: str) -> str:
        name = f"{service}_{next(numbers)}"
        cluster.add_database(name, service)
        return name

    return make
