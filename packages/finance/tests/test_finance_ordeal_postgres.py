"""The histories of the ordeal on a real PostgreSQL: what the store in memory promises, the real one keeps."""

import asyncio
from collections.abc import Callable
from importlib.resources import files

import pytest

from finance.ordeal.postgres import PostgresWorld
from finance.ordeal.trial import Trial
from kit.database import migrate
from laptop.postgres import Cluster


@pytest.fixture(scope="module")
def database(cluster: Cluster, new_database: Callable[[str], str]) -> str:
    name = new_database("finance")
    folder = files("finance.adapters.postgres") / "migrations"
    asyncio.run(migrate(cluster.url("finance_owner", name), folder, setting="OWNER", schema="finance_log"))
    return name


@pytest.mark.integration
@pytest.mark.parametrize("seed", range(3))
def test_random_histories_on_the_real_store_hold_every_law(
    cluster: Cluster, database: str, seed: int
) -> None:
    world = PostgresWorld(cluster.url("finance_app", database), cluster.url("finance_owner", database), seed)
    try:
        told = Trial(seed, world=world).run()
    finally:
        world.close()
    assert told.broken is None, "\n".join([*told.trace[-12:], str(told.broken)])
    assert {one.kind for one in world.tables.rows} >= {"account", "invoice", "payment", "journal"}
