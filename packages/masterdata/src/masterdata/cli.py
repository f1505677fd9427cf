"""`masterdata`: migrations, demo records, and the service."""

import asyncio
import sys
from importlib.resources import files
from pathlib import Path
from uuid import UUID

import click
import orjson

from kit.database import UNREACHABLE, open_pool
from kit.database import migrate as run_migrations
from kit.serve import FAULT, REFUSED, ServiceFault, fail, run
from kit.settings import SettingsRefused, read
from masterdata import seed
from masterdata.record import KINDS, Kind, Records
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
@click.option("--customers", type=click.IntRange(min=0), default=200, show_default=True)
@click.option("--vendors", type=click.IntRange(min=0), default=40, show_default=True)
@click.option("--products", type=click.IntRange(min=0), default=60, show_default=True)
def seed_records(tenants_file: Path, customers: int, vendors: int, products: int) -> None:
    """Add demo records to every tenant of the file (JSON with "tenants"). Safe to repeat."""
    settings = read(Settings, "MASTERDATA")
    tenants = tenants_of(tenants_file)
    rows = [
        (KINDS[kind], tenant, made)
        for tenant in tenants
        for kind, made in (
            ("customers", list(seed.partners(tenant, "customer", customers))),
            ("vendors", list(seed.partners(tenant, "vendor", vendors))),
            ("products", list(seed.products(tenant, products))),
        )
    ]
    asyncio.run(add(settings.owner_database_url, rows))
    print(f"masterdata: {customers + vendors + products} records for each of {len(tenants)} tenants")


def tenants_of(file: Path) -> list[UUID]:
    """The ids of the tenants in this file.

    Raises:
        SettingsRefused: it is no JSON, or says something else.
    """
    try:
        return [UUID(tenant["id"]) for tenant in orjson.loads(file.read_bytes())["tenants"]]
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        expected = '{"tenants": [{"id": "<UUID>", "name": "..."}]}'
        raise SettingsRefused(f"{file}: expected {expected}, found another thing ({error})") from error


async def add(url: str, rows: list[tuple[Kind, UUID, list[seed.Row]]]) -> None:
    """Write them to the database.

    Raises:
        ServiceFault: it does not answer, or was not migrated.
    """
    pool = await open_pool(url, setting=OWNER, name="masterdata seed")
    try:
        for kind, tenant, made in rows:
            await Records(pool).add_many(kind, tenant, made)
    except UNREACHABLE as error:
        raise ServiceFault(f"{OWNER}: cannot add records ({error}); did 'masterdata migrate' run?") from error
    finally:
        await pool.close()


@commands.command()
def serve() -> None:
    """Run the service until it is told to stop."""
    settings = read(Settings, "MASTERDATA")
    run(lambda: build(settings), host=settings.host, port=settings.port)
