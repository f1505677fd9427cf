"""`masterdata`: migrations, demo records, and the service."""

import asyncio
import sys
from importlib.resources import files
from pathlib import Path
from uuid import UUID

import click
import orjson

from kit.database import migrate as run_migrations
from kit.database import open_pool
from kit.serve import FAULT, REFUSED, ServiceFault, fail, run
from kit.settings import SettingsRefused, read
from masterdata import seed
from masterdata.record import KINDS, Records
from masterdata.wiring import Settings, build

OWNER = "MASTERDATA_OWNER_DATABASE_URL"


def main() -> None:
    try:
        commands()
    except SettingsRefused as error:
        sys.exit(fail(f"masterdata: {error}", REFUSED))
    except ServiceFault as error:
        sys.exit(fail(f"masterdata: {error}", FAULT))


@click.group()
def commands() -> None:
    """Customers, vendors, products."""


@commands.command()
def migrate() -> None:
    """Bring the database to this version. Safe to repeat. The role masterdata_app must exist."""
    settings = read(Settings, "MASTERDATA")
    folder = files("masterdata") / "migrations"
    done = asyncio.run(
        run_migrations(settings.owner_database_url, folder, setting=OWNER, schema="masterdata")
    )
    print(f"masterdata: {len(done)} migrations run")


@commands.command(name="seed")
@click.option("--tenants-file", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--customers", default=200, show_default=True)
@click.option("--vendors", default=40, show_default=True)
@click.option("--products", default=60, show_default=True)
def seed_records(tenants_file: Path, customers: int, vendors: int, products: int) -> None:
    """Add demo records to every tenant of the file (JSON with "tenants"). Safe to repeat."""
    settings = read(Settings, "MASTERDATA")
    tenants = [UUID(tenant["id"]) for tenant in orjson.loads(tenants_file.read_bytes())["tenants"]]

    async def add() -> None:
        pool = await open_pool(settings.owner_database_url, setting=OWNER, name="masterdata seed")
        records = Records(pool)
        for tenant in tenants:
            await records.add_many(
                KINDS["customers"], tenant, list(seed.partners(tenant, "customer", customers))
            )
            await records.add_many(KINDS["vendors"], tenant, list(seed.partners(tenant, "vendor", vendors)))
            await records.add_many(KINDS["products"], tenant, list(seed.products(tenant, products)))
        await pool.close()

    asyncio.run(add())
    print(f"masterdata: {customers + vendors + products} records for each of {len(tenants)} tenants")


@commands.command()
def serve() -> None:
    """Run the service until it is told to stop."""
    settings = read(Settings, "MASTERDATA")
    run(lambda: build(settings), host=settings.host, port=settings.port)
