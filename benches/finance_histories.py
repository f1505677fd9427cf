"""The books under random histories on a real PostgreSQL, which is started for it and thrown away.

python benches/finance_histories.py [--seeds N] [--first N] [--seed N] [--steps N]
"""

import asyncio
import os
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

from finance.ordeal.__main__ import main
from kit.database import migrate
from laptop import postgres
from laptop.ports import free_ports
from laptop.supervisor import Supervisor

NAME = "finance_histories"


def run(arguments: list[str]) -> None:
    """Start a database, migrate it, and try the books on it."""
    with tempfile.TemporaryDirectory(prefix="finance-histories-") as folder:
        state = Path(folder)
        with Supervisor(state / "logs") as supervisor:
            cluster = postgres.create(state, free_ports(1)[0])
            supervisor.wait(supervisor.start(cluster.program()))
            try:
                cluster.set_up()
                cluster.add_database(NAME, "finance")
                owner = cluster.url("finance_owner", NAME)
                migrations = files("finance.adapters.postgres") / "migrations"
                asyncio.run(migrate(owner, migrations, setting="OWNER", schema="finance_log"))
                os.environ["FINANCE_DATABASE_URL"] = cluster.url("finance_app", NAME)
                os.environ["FINANCE_OWNER_DATABASE_URL"] = owner
                main(["--store", "postgres", *arguments])
            finally:
                cluster.remove_scratch()


if __name__ == "__main__":
    run(sys.argv[1:])
