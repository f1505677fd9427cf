"""`auth`: keys, migrations, demo users, and the service."""

import asyncio
import sys
from importlib.resources import files
from pathlib import Path

import click
import orjson

from auth import seed
from auth.token import generate_key
from auth.user import Users
from auth.wiring import Settings, build, passwords
from kit.database import migrate as run_migrations
from kit.database import open_pool
from kit.serve import FAULT, REFUSED, ServiceFault, fail, run
from kit.settings import SettingsRefused, read


def main() -> None:
    try:
        commands()
    except SettingsRefused as error:
        sys.exit(fail(f"auth: {error}", REFUSED))
    except ServiceFault as error:
        sys.exit(fail(f"auth: {error}", FAULT))


@click.group()
def commands() -> None:
    """Tokens, keys, users."""


@commands.command()
@click.argument("file", type=click.Path(path_type=Path))
def keygen(file: Path) -> None:
    """Write a new signing key to FILE, for its owner alone."""
    generate_key(file)


@commands.command()
def migrate() -> None:
    """Bring the database to this version. Safe to repeat."""
    settings = read(Settings, "AUTH")
    folder = files("auth") / "migrations"
    done = asyncio.run(
        run_migrations(settings.owner_database_url, folder, setting="AUTH_OWNER_DATABASE_URL", schema="auth")
    )
    print(f"auth: {len(done)} migrations run")


@commands.command(name="seed")
@click.option("--tenants", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("--users", type=click.IntRange(min=1), default=300, show_default=True)
@click.option("--password-file", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="JSON of tenants and users")
def seed_users(tenants: int, users: int, password_file: Path, out: Path) -> None:
    """Add demo tenants and users that all have the password of the file. Safe to repeat."""
    settings = read(Settings, "AUTH")
    companies = seed.tenants(tenants)
    people = list(seed.users(companies, users, passwords(settings).hash(password_file.read_text().strip())))

    async def add() -> None:
        url = settings.owner_database_url
        pool = await open_pool(url, setting="AUTH_OWNER_DATABASE_URL", name="auth seed")
        await Users(pool).add(companies, people)
        await pool.close()

    asyncio.run(add())
    shown = {
        "tenants": [{"id": str(tenant.id), "name": tenant.name} for tenant in companies],
        "users": [
            {
                "id": str(user.id),
                "username": user.username,
                "tenant_id": str(user.tenant_id),
                "roles": list(user.roles),
                "internal": user.internal,
            }
            for user in people
        ],
    }
    out.write_bytes(orjson.dumps(shown))
    print(f"auth: {len(people)} users of {len(companies)} tenants")


@commands.command()
def serve() -> None:
    """Run the service until it is told to stop."""
    settings = read(Settings, "AUTH")
    run(lambda: build(settings), host=settings.host, port=settings.port)
