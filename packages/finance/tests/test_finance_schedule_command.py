"""`finance schedule` on a real PostgreSQL: several at once, killed and stopped in the middle, and its exit codes."""

import asyncio
import signal
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import orjson
import pytest
from click.testing import CliRunner, Result

from finance import chart
from finance.adapters.memory import MemoryTemplates
from finance.adapters.postgres.store import PostgresStore
from finance.adapters.postgres.templates import EVENTS, PostgresTemplates
from finance.authority import Rule
from finance.cli import commands
from finance.handle import Books
from finance.ids import new_id
from finance.ordeal.world import MemoryWorld
from finance.ports import Caller, StoreUnavailable
from finance.scheduling import ACTOR, Scheduler
from finance.template import Line, Schedule, Template, Terms, journal_id
from finance.wiring import SystemClock, Unasked
from kit.database import open_pool
from kit.serve import ServiceFault
from laptop.ports import HOST, free_ports
from laptop.supervisor import Program, Ready, Running, answers

pytestmark = pytest.mark.integration

FIRST = date(2026, 1, 5)
PROGRAM = str(Path(sys.executable).with_name("finance"))
Desk = Any
Ledger = Any
World = Any
WAITING = "SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted"
RAN = "SELECT stream_id::text, data->>'due_on' AS day FROM finance_log.events WHERE type = 'template.ran/1'"
POSTED = """
SELECT c.data->>'reference' AS reference, p.data->>'journal_date' AS day, count(*) AS entries
FROM finance_log.events p JOIN finance_log.events c ON c.stream_id = p.stream_id AND c.type = 'journal.created/1'
WHERE p.type = 'journal.posted/1' GROUP BY 1, 2
"""


def rent(tenant: str, name: str, starts_on: date, ends_on: date | None = None, amount: str = "200") -> Terms:
    return Terms(
        kind="RECURRING",
        name=name,
        currency="BDT",
        schedule=Schedule(frequency="DAILY", starts_on=starts_on, ends_on=ends_on),
        lines=(
            Line(account_id=chart.account_id(tenant, "5200"), debit=amount),
            Line(account_id=chart.account_id(tenant, "1010"), credit=amount),
        ),
    )


async def planned(books: Books, tenant: str, terms: Terms) -> Template:
    caller = Caller(user_id="rahim", tenant_id=tenant, permissions=frozenset(), token="")
    made = await books.automating.create(caller, str(uuid4()), terms)
    done: Template = await books.automating.approve(replace(caller, user_id="karim"), str(uuid4()), made.id)
    return done


def scheduler(desk: Desk, release: str = "1.1.0") -> Scheduler:
    return Scheduler(
        automating=desk.books.automating,
        standings=PostgresTemplates(desk.ledger.replay),
        clock=desk.clock,
        release=release,
    )


def quiet(_: object) -> None:
    """Hears and says nothing."""


# Several in one process, on a ledger of their own


async def test_four_schedulers_of_two_releases_post_each_due_day_once(desk: Desk) -> None:
    ledger, today = desk.ledger, desk.clock.now().date()
    plans = [
        await planned(desk.books, tenant, rent(tenant, f"Rent {number}", today - timedelta(days=number)))
        for number in range(4)
        for tenant in (ledger.tenant, ledger.other_tenant)
    ]
    schedulers = [scheduler(desk, release) for release in ("1.1.0", "1.1.0", "1.2.0", "1.2.0")]
    turns = await asyncio.gather(*(one.turn(quiet) for one in schedulers))
    assert [(one.complete, one.refused) for one in turns] == [(True, ())] * 4
    async with ledger.connected("finance_projector") as connection:
        ran = [tuple(row) for row in await connection.fetch(RAN)]
        posted = {(row["reference"], row["day"]): row["entries"] for row in await connection.fetch(POSTED)}
    wanted = {
        (one.id, str(one.terms.schedule.starts_on + timedelta(days=day)))
        for one in plans
        for day in range((today - one.terms.schedule.starts_on).days + 1)
    }
    assert len(wanted) == 20
    assert posted == {(f"AUTO-{stream_id}", day): 1 for stream_id, day in wanted}
    assert sorted(ran) == sorted(wanted)


async def test_a_connection_that_is_lost_in_the_middle_leaves_nothing_and_the_next_turn_goes_on(
    desk: Desk,
) -> None:
    ledger, today = desk.ledger, desk.clock.now().date()
    one = await planned(desk.books, ledger.tenant, rent(ledger.tenant, "Rent", today))
    async with ledger.connected("finance_app") as holder:
        place = f"{ledger.tenant}/{desk.account('5200')}"
        await holder.execute("SELECT pg_advisory_lock(hashtextextended($1, 0))", place)
        under_way = asyncio.create_task(scheduler(desk).turn(quiet))
        query = "SELECT pid FROM pg_locks WHERE NOT granted"
        while (pid := await holder.fetchval(query)) is None:
            assert not under_way.done()
        ledger.as_superuser(f"SELECT pg_terminate_backend({pid})")
        came = await under_way
    assert (came.complete, came.days, came.refused) == (False, 0, ())
    assert "connection is closed" in str(came.cut_off)
    async with ledger.connected("finance_projector") as connection:
        assert await connection.fetch(POSTED) == []
    assert (await scheduler(desk).turn(quiet)).complete
    entry = await desk.load("journal", journal_id(one.id, today))
    assert entry.number == "GJ-2026-11-000001", "the number that was drawn is drawn again"


async def test_an_entry_tells_that_a_schedule_posted_it_and_whose_template_it_is(desk: Desk) -> None:
    today = desk.clock.now().date()
    rule = Rule(valid_from=today)
    await desk.books.governing.set_rule(desk.caller, str(uuid4()), rule, reason="the board decided so")
    await planned(desk.books, desk.ledger.tenant, rent(desk.ledger.tenant, "Rent", today))
    assert (await scheduler(desk).turn(quiet)).days == 1
    fields = "postedBy origin { rule makers approvers documentKind }"
    [entry] = await desk.asked(f"{{ journals {{ {fields} }} }}")
    origin = {"rule": "TEMPLATE", "makers": ["rahim"], "approvers": ["karim"], "documentKind": "TEMPLATE"}
    assert entry == {"postedBy": ACTOR, "origin": origin}


async def test_both_stores_show_the_same_templates_and_neither_shows_nothing_for_no_books(
    ledger: Ledger,
) -> None:
    world = MemoryWorld()
    shown = []
    for store, standings, tenants in (
        (ledger.store, PostgresTemplates(ledger.replay), (ledger.tenant, ledger.other_tenant)),
        (world.store, MemoryTemplates(world.store), world.tenants),
    ):
        books = Books(store=store, masterdata=Unasked(), clock=SystemClock(), new_id=new_id)
        for tenant in tenants:
            caller = Caller(user_id="rahim", tenant_id=tenant, permissions=frozenset(), token="")
            await planned(books, tenant, rent(tenant, "Active", date(2026, 1, 1)))
            await books.automating.create(caller, str(uuid4()), rent(tenant, "Draft", date(2026, 1, 1)))
            ended = await planned(books, tenant, rent(tenant, "Ended", date(2026, 1, 1)))
            await books.automating.end(caller, str(uuid4()), ended.id, reason="we moved elsewhere")
        found = await standings.active()
        assert {one.tenant_id for one in found} == set(tenants)
        shown.append([(one.name, one.state and (one.state.status, one.state.runs)) for one in found])
    assert shown[0] == shown[1] == [("Active", ("ACTIVE", 0))] * 2
    with pytest.raises(StoreUnavailable, match="FINANCE_PROJECTOR_DATABASE_URL"):
        await PostgresTemplates(ledger.app).active()


# The command


@dataclass
class Site:
    """What the command finds: a database of its own, and somebody who plans in it."""

    world: World
    runner: asyncio.Runner

    def plan(self, name: str, count: int, tenant: str = "", **terms: Any) -> Template:
        """A template of so many due days from `FIRST` on; they were over long before this test runs."""
        company = tenant or self.world.tenant
        day = {"starts_on": FIRST, "ends_on": FIRST + timedelta(days=count - 1)} | terms
        made: Template = self.with_books(lambda books: planned(books, company, rent(company, name, **day)))
        return made

    def with_books(self, work: Callable[[Books], Any]) -> Any:
        async def worked() -> Any:
            pool = await open_pool(self.world.cluster.url("finance_app", self.world.name), setting="", size=2)
            try:
                store = PostgresStore(pool)
                return await work(
                    Books(store=store, masterdata=Unasked(), clock=SystemClock(), new_id=new_id)
                )
            finally:
                await pool.close()

        return self.runner.run(worked())

    def ended(self, one: Template) -> None:
        caller = Caller(user_id="rahim", tenant_id=self.world.tenant, permissions=frozenset(), token="")
        self.with_books(
            lambda books: books.automating.end(caller, str(uuid4()), one.id, reason="that was all")
        )

    def fetch(self, query: str, *values: object) -> list[Any]:
        async def fetched() -> list[Any]:
            connection = await asyncpg.connect(self.world.cluster.url("finance_projector", self.world.name))
            try:
                return list(await connection.fetch(query, *values))
            finally:
                await connection.close()

        return self.runner.run(fetched())

    def days(self, one: Template) -> list[str]:
        return sorted(row["day"] for row in self.fetch(RAN) if row["stream_id"] == one.id)

    def entries(self, one: Template) -> list[int]:
        return [row["entries"] for row in self.fetch(POSTED) if row["reference"] == f"AUTO-{one.id}"]

    def asked(self, *arguments: str, **changes: str) -> Result:
        """The command in this process."""
        return CliRunner().invoke(commands, ["schedule", *arguments], env=self.world.settings(**changes))

    @contextmanager
    def held(self, code: str) -> Iterator[None]:
        """Nobody can rely on this account meanwhile: who posts to it waits, with the number drawn."""

        async def hold() -> Any:
            connection = await asyncpg.connect(self.world.cluster.url("finance_app", self.world.name))
            place = f"{self.world.tenant}/{chart.account_id(self.world.tenant, code)}"
            await connection.execute("SELECT pg_advisory_lock(hashtextextended($1, 0))", place)
            return connection

        connection = self.runner.run(hold())
        try:
            yield
        finally:
            self.runner.run(connection.close())

    def start(self, *arguments: str, ready: Ready | None = None, **changes: str) -> Running:
        """The real command, until it is ready: unless told otherwise, until it waits for what is held."""

        def waits() -> str | None:
            [[count]] = self.fetch(WAITING)
            return None if count else "it does not wait"

        self.world.started += 1
        running: Running = self.world.supervisor.start(
            Program(
                name=f"schedule-{self.world.started}",
                command=(PROGRAM, "schedule", *arguments),
                environment=self.world.settings(**changes),
                ready=ready or waits,
            )
        )
        self.world.supervisor.wait(running)
        return running

    def finished(self, running: Running) -> int:
        code: int = self.world.supervisor.finished(running, 30)
        return code


@pytest.fixture(scope="module")
def site(world: World) -> Iterator[Site]:
    with asyncio.Runner() as runner:
        yield Site(world, runner)


def test_one_is_killed_in_the_middle_and_another_release_does_all_of_it(site: Site) -> None:
    one = site.plan("Rent", 3)
    theirs = site.plan("Power", 2, site.world.other_tenant)
    with site.held("5200"):
        first = site.start("--once", release="1.1.0")
        first.process.send_signal(signal.SIGKILL)
        assert site.finished(first) == -signal.SIGKILL
        assert site.days(one) == [], "nothing of it is there"
    done = site.world.command("schedule", "--once", "--json", release="1.2.0", colour="green")
    report = orjson.loads(done.stdout)
    assert (done.returncode, report["complete"], report["refused"]) == (0, True, [])
    for plan, count in ((one, 3), (theirs, 2)):
        assert site.days(plan) == [str(FIRST + timedelta(days=day)) for day in range(count)]
        assert site.entries(plan) == [1] * count
    wrote = "SELECT DISTINCT writer, actor FROM finance_log.events WHERE stream_id = $1 AND version > 2"
    writers = site.fetch(wrote, UUID(one.id))
    assert [tuple(row) for row in writers] == [("finance 1.2.0 green schedule", ACTOR)]


def test_a_loop_that_is_stopped_lets_its_template_end_and_another_goes_on_and_says_how_it_fares(
    site: Site,
) -> None:
    port = free_ports(1)[0]
    url, loop = f"http://{HOST}:{port}", ("--every", "1", "--port", str(port))
    plans = [site.plan(name, 1) for name in ("One", "Two")]
    with site.held("5200"):
        first = site.start(*loop)
        assert str(answers(f"{url}/health/ready")()) == "HTTP 503", "no turn is complete"
        first.process.send_signal(signal.SIGTERM)
        while "schedule stops" not in first.log.read_text():
            assert first.process.poll() is None
    assert site.finished(first) == 0
    assert sorted(len(site.entries(one)) for one in plans) == [0, 1], (
        "one template came to its end, none was begun"
    )
    told = [orjson.loads(line) for line in first.log.read_text().splitlines()]
    assert [(line["event"], line.get("cut_off")) for line in told] == [
        ("schedule stops", None),
        ("template run", None),
        ("schedule turn", "told to stop"),
    ]
    second = site.start(*loop, ready=answers(f"{url}/health/ready"))
    assert [site.entries(one) for one in plans] == [[1], [1]], "ready is said once a turn is complete"
    with urllib.request.urlopen(f"{url}/metrics") as answer:
        text = answer.read().decode()
    metrics = dict(line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#")
    assert float(metrics["finance_schedule_completed_timestamp_seconds"]) > 0
    assert float(metrics["finance_schedule_refused_templates"]) == 0
    second.process.send_signal(signal.SIGTERM)
    assert site.finished(second) == 0


def test_exit_codes_and_what_is_told(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "schedule.prom"
    good = site.plan("Good", 1)
    bad = site.plan("Bad", 3, amount="1 / ((DAY - 6) * (DAY - 6))")
    ahead = site.plan("Ahead", 61, starts_on=date(2099, 1, 1), ends_on=None)
    shown = site.asked("--preview")
    assert shown.exit_code == 1
    table = [line.split() for line in shown.stdout.splitlines()[1:]]
    assert ["2026-01-05", "Padma", "Traders", "Good", "200.00", "BDT", f"AUTO-{good.id}"] in table
    [refused] = [line for line in shown.stdout.splitlines() if "formula-divides-by-zero" in line]
    assert refused.split()[0] == "2026-01-06"
    assert site.days(good) == []
    shown = site.asked("--preview", "--json", "--through", "2099-03-02")
    whats = [one["what"] for one in orjson.loads(shown.stdout)["days"] if one["template"] == ahead.id]
    assert whats == ["due"] * 60 + ["later"]
    done = site.asked("--once", "--metrics-file", str(file))
    assert done.exit_code == 1
    [told, tally] = done.stdout.splitlines()
    assert f"Bad ({bad.id}): refused on 2026-01-06: formula-divides-by-zero" in told
    assert "end the template" in told
    assert tally.endswith("due days posted: 2, refused: 1")
    assert "Good: posted through 2026-01-05, due days: 1" in done.stderr
    assert "finance_schedule_refused_templates 1.0" in file.read_text()
    before = file.read_text()
    site.ended(bad)
    app = site.world.cluster.url("finance_app", site.world.name)
    blind = site.asked("--once", "--metrics-file", str(file), projector_database_url=app)
    assert (blind.exit_code, "found no books" in blind.stderr) == (3, True), "no data is never a pass"
    assert file.read_text() == before
    shown = site.asked("--preview", projector_database_url=app)
    assert isinstance(shown.exception, ServiceFault)
    assert (shown.stdout, shown.stderr) == ("", "")
    assert site.asked("--once", "--json").exit_code == 0
    nowhere = site.asked("--once", database_url=f"postgresql://a:b@{HOST}:{free_ports(1)[0]}/c")
    assert isinstance(nowhere.exception, ServiceFault)
    assert isinstance(site.asked("--once", colour="red").exception, ServiceFault), (
        "1 is said of templates only"
    )


def test_templates_are_found_by_their_index_and_not_by_reading_the_log(site: Site) -> None:
    site.world.run_sql(
        "INSERT INTO finance_log.events (tenant_id, stream_id, version, kind, type, data, actor)"
        " SELECT gen_random_uuid(), gen_random_uuid(), 1, 'invoice', 'x', '{}', 'x' FROM generate_series(1, 3000);"
        " ANALYZE finance_log.events;"
    )
    plan = "\n".join(row[0] for row in site.fetch(f"EXPLAIN {EVENTS}"))
    assert "events_of_templates" in plan


@pytest.mark.parametrize(
    "arguments",
    [
        ("--once", "--preview"),
        ("--once", "--through", "2026-11-23"),
        ("--json",),
        ("--metrics-file", "x.prom"),
        ("--once", "--metrics-file", "nowhere/x.prom"),
        ("--every", "0"),
    ],
)
def test_what_goes_not_together_is_a_mistake_of_usage(arguments: tuple[str, ...]) -> None:
    assert CliRunner().invoke(commands, ["schedule", *arguments], env={}).exit_code == 2
