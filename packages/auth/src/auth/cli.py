"""`auth`: keys, migrations, demo users, and the service."""

import asyncio
import sys
from importlib.resources import files
from pathlib import Path

import click
import orjson

from auth import seed
from auth.token import generate_key
from auth.user import Tenant, User, Users
from auth.wiring import Settings, build, passwords
from kit.database import UNREACHABLE, open_pool
from kit.database import migrate as run_migrations
from kit.serve import FAULT, REFUSED, ServiceFault, fail, run
from kit.settings import SettingsRefused, read

OWNER = "AUTH_OWNER_DATABASE_URL"
SHORTEST = 8
"""NIST SP 800-63B (2017), section 5.1.1.2: a password has at least eight characters."""


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
    done = asyncio.run(run_migrations(settings.owner_database_url, folder, setting=OWNER, schema="auth"))
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
    people = list(seed.users(companies, users, passwords(settings).hash(password_of(password_file))))
    asyncio.run(add(settings, companies, people))
    shown = {
        # One login may try everything out: these books are kept without a second pair of eyes.
        "tenants": [{"id": str(tenant.id), "name": tenant.name, "four_eyes": False} for tenant in companies],
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


def password_of(file: Path) -> str:
    """The password of this file, without the end of its line.

    Raises:
        SettingsRefused: it is too short, or no text.
    """
    try:
        password = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsRefused(f"{file}: expected a password ({error})") from error
    if len(password) < SHORTEST:
        told = f"expected a password of at least {SHORTEST} characters, found {len(password)}"
        raise SettingsRefused(f"{file}: {told}; choose a longer one")
    return password


async def add(settings: Settings, companies: list[Tenant], people: list[User]) -> None:
    """Write them to the database.

    Raises:
        ServiceFault: it does not answer, or was not migrated.
    """
    pool = await open_pool(settings.owner_database_url, setting=OWNER, name="auth seed")
    try:
        await Users(pool).add(companies, people)
    except UNREACHABLE as error:
        raise ServiceFault(f"{OWNER}: cannot add users ({error}); did 'auth migrate' run?") from error
    finally:
        await pool.close()


@commands.command()
def serve() -> None:
    """Run the service until it is told to stop."""
    settings = read(Settings, "AUTH")
    run(lambda: build(settings), host=settings.host, port=settings.port)
