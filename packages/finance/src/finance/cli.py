"""`finance`: migrations, the service, its files, and the proof of the books."""

import asyncio
import sys
from collections.abc import Callable, Coroutine, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, TextIO, TypeVar
from uuid import UUID

import asyncpg
import click
import msgspec
import orjson

from finance import fiscal, proof
from finance.adapters.postgres import proving
from finance.adapters.postgres.opening import open_books
from finance.adapters.postgres.projector import schema_of
from finance.cli_schedule import schedule
from finance.company import Company, closed_on
from finance.control import Control
from finance.download import NotFetched, NotGiven, fetch
from finance.events import UnknownEvent, decode
from finance.graphql.federation import subgraph_of
from finance.graphql.schema import schema_text
from finance.ports import Fault
from finance.refusal import Refused
from finance.verify import Examination, Findings, Stored, Unreadable
from finance.wiring import Settings, SystemClock, build
from finance.wiring import seed as work_year
from kit.database import UNREACHABLE, open_pool, place
from kit.database import migrate as run_migrations
from kit.serve import FAULT, REFUSED, ServiceFault, fail, run
from kit.settings import SettingsRefused, read

OWNER, REPLAY = "FINANCE_OWNER_DATABASE_URL", "FINANCE_PROJECTOR_DATABASE_URL"
T = TypeVar("T")
EXIT = {"pass": 0, "fail": REFUSED, "cannot tell": FAULT}


def main() -> None:
    try:
        commands()
    except SettingsRefused as error:
        sys.exit(fail(f"finance: {error}", REFUSED))
    except ServiceFault as error:
        sys.exit(fail(f"finance: {error}", FAULT))


@click.group()
def commands() -> None:
    """A general ledger with invoices and payments."""


commands.add_command(schedule)


@commands.command()
@click.option("--tenants-file", type=click.Path(exists=True, path_type=Path), help='JSON with "tenants"')
def migrate(tenants_file: Path | None) -> None:
    """Bring the log to this version, and open the books of the tenants in the file. Safe to repeat.

    New books begin with four eyes: whoever drafts does not approve. A tenant with "four_eyes": false has none.
    """
    settings = read(Settings, "FINANCE")
    folder = files("finance.adapters.postgres") / "migrations"
    done = asyncio.run(
        run_migrations(settings.owner_database_url, folder, setting=OWNER, schema="finance_log")
    )
    print(f"finance: {len(done)} migrations run")
    if tenants_file is None:
        return
    tenants = tenants_of(tenants_file)
    alone = {one for one, tenant in tenants.items() if not tenant.four_eyes}

    async def opened() -> int:
        pool = await open_pool(settings.owner_database_url, setting=OWNER, name="finance migrate")
        try:
            return await open_books(pool, {one: tenant.name for one, tenant in tenants.items()}, alone=alone)
        finally:
            await pool.close()

    print(f"finance: opened the books of {asyncio.run(opened())} of {len(tenants)} tenants")


class Tenant(msgspec.Struct, frozen=True):
    id: UUID
    name: str
    four_eyes: bool = True


class TenantsFile(msgspec.Struct, frozen=True):
    tenants: list[Tenant]


def tenants_of(file: Path) -> dict[str, Tenant]:
    """Tenants by id.

    Raises:
        SettingsRefused: it is no JSON, or says something else.
    """
    try:
        found = msgspec.json.decode(file.read_bytes(), type=TenantsFile)
    except msgspec.DecodeError as error:
        expected = '{"tenants": [{"id": "<UUID>", "name": "..."}]}'
        raise SettingsRefused(f"{file}: expected {expected}, found another thing ({error})") from error
    return {str(one.id): one for one in found.tenants}


@commands.command()
def serve() -> None:
    """Run the service until it is told to stop."""
    settings = read(Settings, "FINANCE")
    run(
        lambda: build(settings),
        host=settings.host,
        port=settings.port,
        max_requests=settings.max_requests,
    )


@commands.command()
@click.option("--subgraph", is_flag=True, help="as a gateway of Apollo Federation composes it")
def schema(*, subgraph: bool) -> None:
    """Print the contract: the GraphQL schema."""
    print(subgraph_of(schema_text()) if subgraph else schema_text(), end="")


@commands.command()
@click.argument("name")
@click.argument("parameters", nargs=-1)
@click.option("--url", required=True, help="the service, such as http://127.0.0.1:8004")
@click.option(
    "--token-file", type=click.File(), required=True, help="whose token it is asked with; - reads it"
)
@click.option("--output", type=click.Path(path_type=Path), help="where to; else here, by the name it has")
def export(
    name: str, parameters: tuple[str, ...], *, url: str, token_file: TextIO, output: Path | None
) -> None:
    """Fetch a report or document as a file: trial-balance.xlsx fiscalYear=FY2026-2027."""
    pairs = [tuple(one.split("=", 1)) for one in parameters]
    if any(len(pair) != 2 for pair in pairs):
        raise click.UsageError("expected parameters such as fiscalYear=FY2026-2027")
    try:
        named = [(pair[0], pair[1]) for pair in pairs]
        where = fetch(url, name, named, token=token_file.read().strip(), output=output)
    except NotGiven as error:
        sys.exit(fail(f"finance: {error}", REFUSED))
    except NotFetched as error:
        sys.exit(fail(f"finance: {error}", FAULT))
    print(f"finance: wrote {where}")


@commands.command()
@click.option(
    "--tenant", required=True, type=click.UUID, help="whose books; opened by migrate --tenants-file"
)
@click.option("--seed", "number", default=1, show_default=True, help="the same seed gives the same company")
@click.option("--documents", default=1000, show_default=True, type=click.IntRange(20, 1_000_000))
@click.option("--year", help="fiscal year such as FY2025-2026; the last that is over when not given")
@click.option("--connections", default=4, show_default=True, type=click.IntRange(1, 32))
@click.option("--anyway", is_flag=True, help="also where others have written to these books")
@click.option("--json", "as_json", is_flag=True)
def seed(
    tenant: UUID,
    number: int,
    documents: int,
    year: str | None,
    connections: int,
    *,
    anyway: bool,
    as_json: bool,
) -> None:
    """Fill a tenant's books with a believable company-year, by the commands that users have. Not in production.

    Run again with the same values it goes on where it stopped, or says that all is there.
    """
    settings = read(Settings, "FINANCE")
    last = fiscal.over(fiscal.today(SystemClock().now()))
    told = year or last
    try:
        ended = fiscal.last_day(told)
    except ValueError as error:
        raise SettingsRefused(f"--year: {error}") from error
    if ended > fiscal.last_day(last):
        raise SettingsRefused(f"--year: expected a year that is over, {last} or before; found {told}")
    company = Company(tenant_id=str(tenant), seed=number, documents=documents, fiscal_year=told)
    days = (closed_on(ended) - company.first_on).days + 1
    with click.progressbar(
        length=days, label=f"finance: {told}", file=sys.stderr, hidden=not sys.stderr.isatty()
    ) as bar:
        try:
            done = asyncio.run(
                work_year(
                    settings, company, connections=connections, anyway=anyway, tell=lambda _: bar.update(1)
                )
            )
        except Refused as error:
            raise SettingsRefused(f"{error.code}: {error}") from error
        except Fault as error:
            raise ServiceFault(f"{error}; run it again, and it goes on from here") from error
    if as_json:
        print(orjson.dumps(done, option=orjson.OPT_INDENT_2).decode())
    elif not done["commands"]:
        print(f"finance: {told} is there already, all of it")
    else:
        print(f"finance: {told} is there; {done['commands']} commands, {done['written']} of them new")


LOG = """
SELECT tenant_id::text, stream_id::text, version, type, data::text FROM finance_log.events
ORDER BY tenant_id, stream_id, version
"""
COUNT = "SELECT count(*) FROM finance_log.events"
FETCHED = 1000
"""Events that are in memory at once."""


@commands.command()
@click.option("--release", help="compare this release's read models with the log, too")
@click.option("--json", "as_json", is_flag=True)
def verify(release: str | None, *, as_json: bool) -> None:
    """Prove the books from the log. Exit 0: they balance; 1: they do not; 3: it cannot be told."""
    settings = read(Settings, "FINANCE")
    findings = asyncio.run(_with_database(settings, lambda connection: _examine(connection, release)))
    if as_json:
        print(orjson.dumps(findings.report(), option=orjson.OPT_INDENT_2).decode())
    else:
        print(f"finance: {findings.verdict}; {findings.events} events, {len(findings.faults)} faults")
        for fault in findings.faults:
            print(f"  {fault}")
    sys.exit(EXIT[findings.verdict])


@commands.group()
def prove() -> None:
    """Prove named properties of a release: the programs of a rollout's gates (docs/gates.md).

    Prints one JSON report. Exit 0: all of them pass; 1: one fails or cannot be told; 3: nothing could be looked at.
    """


of_option = click.option("--of", "version", required=True, help="the release that is to be proved")


@prove.command("books")
@of_option
def prove_books(version: str) -> None:
    """That the books are whole, and that this release and the proved one show the same of them.

    Seals what has come since the last time, so that the next proof knows whether an event was changed.
    """
    settings = _beside(version)

    async def shown(connection: Any) -> list[proof.Shown]:
        found = proof.books(await _examine(connection, None))
        log = await proving.seal(connection)
        return [*found, log, proof.alike(await proving.digests(connection, version, settings.release))]

    _report(version, asyncio.run(_with_database(settings, shown)))


@prove.command("reading")
@of_option
def prove_reading(version: str) -> None:
    """That this release reads and folds every event which the proved one wrote: run it with the release before."""
    settings = _beside(version)

    async def shown(connection: Any) -> list[proof.Shown]:
        found = (await proving.read_back(connection, version)).shown()
        return [*found, proof.followed(await proving.follow(connection, version, settings.release))]

    _report(version, asyncio.run(_with_database(settings, shown)))


def _beside(version: str) -> Settings:
    """This release's settings.

    Raises:
        UsageError: it would be held against itself.
    """
    settings = read(Settings, "FINANCE")
    if settings.release == version:
        told = (
            f"expected another release than this one, found {version}; FINANCE_RELEASE says which one this is"
        )
        raise click.UsageError(told)
    return settings


def _report(version: str, shown: Sequence[proof.Shown]) -> None:
    print(orjson.dumps(proof.report(version, shown), option=orjson.OPT_INDENT_2).decode())
    sys.exit(0 if all(one.verdict == "pass" for one in shown) else REFUSED)


async def _with_database(settings: Settings, work: Callable[[Any], Coroutine[Any, Any, T]]) -> T:
    url = settings.projector_database_url
    address = place(url, REPLAY)
    try:
        connection = await asyncpg.connect(url, timeout=5)
        try:
            return await work(connection)
        finally:
            await connection.close()
    except UnknownEvent as error:
        raise ServiceFault(f"{error}; ask the release that wrote it") from error
    except UNREACHABLE as error:
        raise ServiceFault(f"{REPLAY}: cannot read the log at {address} ({error})") from error


async def _examine(connection: Any, release: str | None) -> Findings:
    """Read the log through a cursor, as it was at one moment: how much of it there is costs time and no memory."""
    examination = Examination()
    control = Control(examination.found)
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        shown = sys.stderr.isatty()
        events = await connection.fetchval(COUNT) if shown else 0
        with click.progressbar(
            length=events, label="finance: events", file=sys.stderr, hidden=not shown
        ) as bar:
            async for row in connection.cursor(LOG, prefetch=FETCHED):
                stored = Stored(
                    tenant_id=row["tenant_id"],
                    stream_id=row["stream_id"],
                    version=row["version"],
                    event=_event(row["type"], row["data"]),
                )
                examination.add(stored)
                control.add(stored)
                if examination.found.events % FETCHED == 0:
                    bar.update(FETCHED)
        findings = examination.finish()
        control.finish()
        if release is not None:
            await _compare(connection, release, findings)
    return findings


def _event(event_type: str, data: str) -> object:
    try:
        return decode(event_type, data.encode())
    except msgspec.DecodeError as error:
        return Unreadable(str(error))


async def _compare(connection: Any, release: str, findings: Findings) -> None:
    """Hold a release's balances against the log's. Only meaningful while nobody writes."""
    rows = await connection.fetch(
        "SELECT tenant_id::text, account_id, currency, sum(debit_minor - credit_minor) AS holding,"  # noqa: S608 - made of a release's letters and digits
        " sum(base_debit_minor - base_credit_minor) AS worth"
        f" FROM {schema_of(release)}.balance GROUP BY tenant_id, account_id, currency"
    )
    for column, held in (("holding", findings.lines), ("worth", findings.base_lines)):
        shown = {(row["tenant_id"], row["account_id"], row["currency"]): int(row[column]) for row in rows}
        for place_, holding in held.items():
            if shown.pop(place_, 0) != holding:
                findings.faults.append(f"release {release}: balance of {'/'.join(place_)} is not the log's")
        for place_, holding in shown.items():
            if holding:
                findings.faults.append(f"release {release}: balance of {'/'.join(place_)} is not in the log")
