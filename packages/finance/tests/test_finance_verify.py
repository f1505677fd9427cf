"""The proof of the books: what is good passes, what was tampered with does not, and nothing is proved unseen."""

import json
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, date, datetime
from importlib.resources import files
from typing import Any
from uuid import uuid4

import orjson
import pytest

from finance import chart, invoice, journal, payment
from finance.control import Control
from finance.verify import Examination, Stored, examine
from laptop.ports import free_ports

World = Any
Serving = Any
DAY = date(2026, 11, 23)
TENANT = "0198c5a0-0000-7000-8000-000000000001"
POST = """mutation ($key: ID!, $lines: [JournalLineInput!]!) { createJournal(idempotencyKey: $key, input: {
    journalDate: "2026-11-23", description: "A sale", autoPost: true, lines: $lines}) {
    ... on Journal { id journalNumber } ... on Refusal { code message } } }"""


def stored(event: Any, stream_id: str = "j", version: int = 1) -> Stored:
    return Stored(tenant_id=TENANT, stream_id=stream_id, version=version, event=event)


def posted(debit: int, credit: int, number: str = "GJ-2026-11-000001") -> journal.Posted:
    lines = (
        journal.Line(account_id="cash", debit_minor=debit),
        journal.Line(account_id="sales", credit_minor=credit),
    )
    at = datetime(2026, 11, 23, tzinfo=UTC)
    return journal.Posted(
        number=number, journal_date=DAY, currency="BDT", lines=lines, posted_at=at, posted_by="rahim"
    )


def test_no_event_is_no_proof() -> None:
    assert examine([]).verdict == "cannot tell"


def test_books_that_balance_pass_and_say_what_they_add_up_to() -> None:
    found = examine([stored(posted(500, 500))])
    assert (found.verdict, found.faults) == ("pass", [])
    assert found.report()["balances"] == [
        {"tenant": TENANT, "currency": "BDT", "debits": "5.00", "credits": "5.00", "difference": "0.00"}
    ]
    assert found.lines == {(TENANT, "cash", "BDT"): 500, (TENANT, "sales", "BDT"): -500}


def test_an_entry_that_does_not_balance_is_named() -> None:
    found = examine([stored(posted(500, 499))])
    assert found.verdict == "fail"
    assert any("entry GJ-2026-11-000001" in fault for fault in found.faults)
    assert any("0.01 BDT" in fault for fault in found.faults)


def test_two_entries_whose_faults_cancel_out_are_named_all_the_same() -> None:
    found = examine([stored(posted(5, 4)), stored(posted(4, 5, "GJ-2026-11-000002"), "k")])
    assert len(found.faults) == 2


@pytest.mark.parametrize("versions", [(2,), (1, 3), (1, 1)])
def test_a_version_that_is_missing_or_doubled_is_named(versions: tuple[int, ...]) -> None:
    found = examine([stored(invoice.Cancelled(reason="a mistake"), "i", version) for version in versions])
    assert found.verdict == "fail"
    assert all("stream i: version" in fault for fault in found.faults)


@pytest.mark.parametrize("numbers", [("000002",), ("000001", "000003"), ("000001", "000001")])
def test_numbers_with_gaps_or_doubles_are_named(numbers: tuple[str, ...]) -> None:
    entries = [
        stored(posted(5, 5, f"GJ-2026-11-{number}"), number + str(n)) for n, number in enumerate(numbers)
    ]
    approvals = [
        stored(
            invoice.Approved(number=f"INV-2026-11-23-{number}", journal_id="j", approved_by="rahim"), str(n)
        )
        for n, number in enumerate(numbers)
    ]
    payments = [
        stored(
            payment.Created(
                payment_id="p",
                number=f"PMT-2026-11-23-{number}",
                invoice_id="i",
                amount_minor=5,
                currency="BDT",
                payment_date=DAY,
                details=payment.Details(method="CASH"),
            ),
            str(n),
        )
        for n, number in enumerate(numbers)
    ]
    for log, series in ((entries, "GJ"), (approvals, "INV"), (payments, "PMT")):
        [fault] = examine(log).faults
        assert f"{series} numbers of FY2026-2027 have gaps or repeat" in fault


def test_numbers_are_counted_by_fiscal_year_and_wherever_they_were_drawn() -> None:
    numbers = (
        "INV-2027-06-30-000002",
        "INV-2026-07-01-000001",
        "INV-2027-07-01-000001",
        "INV-0987-01-02-000001",
    )
    approvals = [
        stored(invoice.Approved(number=number, journal_id="j", approved_by="rahim"), number)
        for number in numbers
    ]
    assert examine(approvals).faults == []


@pytest.mark.parametrize(
    "number",
    [
        "",
        "INV",
        "INV-2026-11-23-many",
        "INV-yesterday!-000001",
        "INV-2026-11-23-+00001",
        "INV-2026-11-23-000_001",
        "INV-2026-11-23-99999999999",
        "INV-2026-11-23-০০০০০১",
    ],
)
def test_a_number_that_cannot_be_read_is_named(number: str) -> None:
    approved = invoice.Approved(number=number, journal_id="j", approved_by="rahim")
    [fault] = examine([stored(approved, "i")]).faults
    assert f"stream i: number '{number}' cannot be read" in fault


def sold(many: int) -> Iterator[Stored]:
    """A log of so many entries and approved invoices, made as it is read."""
    for number in range(1, many + 1):
        yield stored(posted(5, 5, f"GJ-2026-11-{number:06d}"), f"j{number}")
        terms = invoice.Terms(customer_id="c", invoice_date=DAY, due_date=DAY, lines=())
        yield stored(invoice.Created(invoice_id="i", currency="BDT", terms=terms), f"i{number}", 1)
        approved = invoice.Approved(
            number=f"INV-2026-11-23-{number:06d}", journal_id="j", approved_by="rahim"
        )
        yield stored(approved, f"i{number}", 2)


def peak_bytes(many: int) -> int:
    tracemalloc.start()
    try:
        examination = Examination()
        control = Control(examination.found)
        for one in sold(many):
            examination.add(one)
            control.add(one)
        assert examination.finish().verdict == "pass"
        control.finish()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_longer_log_takes_no_more_memory_but_for_eight_bytes_a_number() -> None:
    peak_bytes(10)  # what is made once is made
    assert peak_bytes(2000) - peak_bytes(500) < 1500 * 3 * 8 * 8, "far less than one event of each is kept"


def post(serving: Serving, minor: str = "5.00") -> dict[str, str]:
    accounts = serving.ask("{ chartOfAccounts { id accountCode } }").data
    ids = {one["accountCode"]: one["id"] for one in accounts}
    lines = [{"accountId": ids["1000"], "debit": minor}, {"accountId": ids["4000"], "credit": minor}]
    done: dict[str, str] = serving.ask(POST, key=str(uuid4()), lines=lines).data
    return done


def damage(world: World, change: str) -> None:
    """What only a superuser who takes the guard away can do."""
    world.run_sql(
        "ALTER TABLE finance_log.events DISABLE TRIGGER USER;"
        f"{change};"
        "ALTER TABLE finance_log.events ENABLE TRIGGER USER;"
    )


@pytest.mark.integration
def test_good_books_are_proved_and_so_are_a_releases_figures(world: World, serving: Serving) -> None:
    post(serving)
    done = world.command("verify", "--release", "1.1.0")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("finance: pass;")
    report = json.loads(world.command("verify", "--json").stdout)
    assert report["verdict"] == "pass"
    assert report["balances"][0]["difference"] == "0.00"


@pytest.mark.integration
@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("data = jsonb_set(data, '{lines,0,debit_minor}', '501')", "does not balance"),
        ("version = 7", "version 7 follows 1"),
        ("data = jsonb_set(data, '{number}', '\"GJ-2026-11-000999\"')", "have gaps or repeat"),
        ("data = jsonb_set(data, '{number}', '\"GJ-many\"')", "number 'GJ-many' cannot be read"),
        ("data = jsonb_set(data, '{lines}', '\"none\"')", "version 2 cannot be read"),
        ("data = jsonb_set(data, '{lines,1,account_id}', '\"RECEIVABLE\"')", "but documents say 0.00"),
    ],
)
def test_books_that_somebody_changed_behind_the_services_back_do_not_pass(
    world: World, serving: Serving, change: str, told: str
) -> None:
    entry = post(serving)
    change = change.replace("RECEIVABLE", chart.account_id(world.tenant, chart.RECEIVABLE))
    where = f"type = 'journal.posted/1' AND stream_id = '{entry['id']}'"
    world.run_sql(f"CREATE TABLE kept AS SELECT data, version FROM finance_log.events WHERE {where};")
    try:
        damage(world, f"UPDATE finance_log.events SET {change} WHERE {where}")
        done = world.command("verify", "--json")
        assert (done.returncode, done.stderr) == (1, "")
        report = json.loads(done.stdout)
        assert report["verdict"] == "fail"
        assert [fault for fault in report["faults"] if told in fault]
    finally:
        damage(
            world,
            "UPDATE finance_log.events e SET data = kept.data, version = kept.version FROM kept WHERE "
            + where,
        )
        world.run_sql("DROP TABLE kept;")
    assert world.command("verify").returncode == 0


@pytest.mark.integration
def test_a_deleted_event_does_not_pass(world: World, serving: Serving) -> None:
    entry = post(serving)
    where = f"WHERE type = 'journal.created/1' AND stream_id = '{entry['id']}'"
    world.run_sql(f"CREATE TABLE gone AS SELECT * FROM finance_log.events {where};")
    try:
        damage(world, f"DELETE FROM finance_log.events {where}")
        done = world.command("verify")
        assert done.returncode == 1
        assert done.stdout.startswith("finance: fail;")
        assert f"stream {entry['id']}: version 2 follows 0" in done.stdout
    finally:
        world.run_sql(
            "INSERT INTO finance_log.events OVERRIDING SYSTEM VALUE SELECT * FROM gone; DROP TABLE gone;"
        )
    assert world.command("verify").returncode == 0


@pytest.mark.integration
def test_figures_of_a_release_that_are_not_the_logs_do_not_pass(world: World, serving: Serving) -> None:
    post(serving)
    for change in (
        "UPDATE finance_read_1_1_0.balance SET debit_minor = debit_minor {} 1 WHERE debit_minor > 0",
        "UPDATE finance_read_1_1_0.balance SET currency = CASE currency WHEN 'BDT' THEN 'EUR' ELSE 'BDT' END",
    ):
        world.run_sql(change.format("+") + ";")
        done = world.command("verify", "--release", "1.1.0")
        assert (done.returncode, "release 1.1.0: balance of" in done.stdout) == (1, True)
        assert world.command("verify").returncode == 0
        world.run_sql(change.format("-") + ";")
    assert world.command("verify", "--release", "1.1.0").returncode == 0


@pytest.mark.integration
def test_what_cannot_be_read_is_not_proved(world: World) -> None:
    port = free_ports(1)[0]
    away = f"postgresql://finance_projector:hidden@127.0.0.1:{port}/books"
    for changes, arguments, told in (
        ({"projector_database_url": away}, (), f"cannot read the log at 127.0.0.1:{port}/books"),
        ({"projector_database_url": ""}, (), "FINANCE_PROJECTOR_DATABASE_URL: expected postgresql://"),
        ({}, ("--release", "9.9.9"), "finance_read_9_9_9"),
    ):
        done = world.command("verify", *arguments, **changes)
        assert (done.returncode, done.stdout) == (3, "")
        assert told in done.stderr
        assert "hidden" not in done.stderr
        assert len(done.stderr.splitlines()) == 1


@pytest.mark.integration
def test_a_log_without_events_is_not_proved(world: World, new_database: Any) -> None:
    name = new_database("finance")
    url = {f"{kind}database_url": world.cluster.url(role, name) for kind, role in ROLES.items()}
    folder = files("finance.adapters.postgres") / "migrations"
    many = sum(one.name.endswith(".sql") for one in folder.iterdir())
    done = world.command("migrate", **url)
    assert (done.returncode, done.stdout) == (0, f"finance: {many} migrations run\n")
    done = world.command("verify", **url)
    assert (done.returncode, done.stdout.splitlines()[0]) == (3, "finance: cannot tell; 0 events, 0 faults")


ROLES = {"": "finance_app", "projector_": "finance_projector", "owner_": "finance_owner"}


@pytest.mark.integration
def test_an_event_that_only_a_newer_release_knows_is_not_proved(world: World, serving: Serving) -> None:
    post(serving)
    stream = str(uuid4())
    world.run_sql(
        "INSERT INTO finance_log.events (tx, tenant_id, stream_id, version, kind, type, data, actor) VALUES"
        f" ('1', '{world.other_tenant}', '{stream}', 1, 'account', 'account.split/1', '{{}}', 'rahim');"
    )
    done = world.command("verify")
    damage(world, f"DELETE FROM finance_log.events WHERE stream_id = '{stream}'")
    assert (done.returncode, done.stdout) == (3, "")
    assert "account.split/1" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.integration
def test_migrations_and_tenants_may_be_run_again(world: World) -> None:
    file = world.folder / "more.json"
    two, alone = str(uuid4()), str(uuid4())
    tenants = [
        {"id": world.tenant, "name": "A tenant"},
        {"id": two, "name": "Another"},
        {"id": alone, "name": "Somebody by themselves", "four_eyes": False},
    ]
    file.write_bytes(orjson.dumps({"tenants": tenants}))
    for opened in (2, 0):
        done = world.command("migrate", "--tenants-file", str(file))
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines() == [
            "finance: 0 migrations run",
            f"finance: opened the books of {opened} of 3 tenants",
        ]
    world.run_sql(
        "DO $$ BEGIN ASSERT ARRAY(SELECT tenant_id FROM finance_log.events WHERE kind = 'authority'"
        f" AND tenant_id IN ('{two}', '{alone}')) = ARRAY['{two}'::uuid]; END $$;"
    )


@pytest.mark.integration
@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"tenants": [{"id": "no id", "name": "x"}]}', '{"tenants": [{}]}']
)
def test_a_tenants_file_that_cannot_be_read_is_refused_in_one_line(world: World, text: str) -> None:
    file = world.folder / "broken.json"
    file.write_text(text, encoding="utf-8")
    done = world.command("migrate", "--tenants-file", str(file))
    assert done.returncode == 1
    assert "broken.json" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.integration
def test_migrations_need_a_database_that_is_there(world: World) -> None:
    port = free_ports(1)[0]
    for url, told in (
        ("", "FINANCE_OWNER_DATABASE_URL: expected postgresql://"),
        (
            f"postgresql://finance_owner:hidden@127.0.0.1:{port}/books",
            f"no database at 127.0.0.1:{port}/books",
        ),
        (world.cluster.url("finance_app", world.name), "a migration was refused"),
    ):
        done = world.command("migrate", owner_database_url=url)
        assert done.returncode == 3
        assert told in done.stderr
        assert len(done.stderr.splitlines()) == 1
