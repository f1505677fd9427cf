"""A company-year is seeded, reported, closed, reported again and re-opened; every statement ties; what it takes.

    python benches/company_year.py [--documents N] [--seed N] [--json FILE]

On a PostgreSQL of its own. Times are also given as multiples of one trial balance, memory as multiples of this program
before it did anything: a busy or small machine changes both sides alike. Exit 0: everything ties; 1: something does
not, or could not be told.
"""

import argparse
import asyncio
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import statements
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from statements import Check, amount

from finance import chart, fiscal
from finance.adapters.postgres.opening import open_books
from finance.adapters.postgres.projector import Projector
from finance.adapters.postgres.store import PostgresStore
from finance.adapters.postgres.views import Views
from finance.graphql.context import Context, Service
from finance.graphql.execution import Executor
from finance.graphql.permission import NEEDED
from finance.graphql.schema import build
from finance.handle import Books
from finance.ids import new_id
from finance.ports import Caller
from finance.wiring import SystemClock, Unasked
from kit.database import migrate, open_pool
from laptop import postgres
from laptop.ports import free_ports
from laptop.postgres import Cluster
from laptop.supervisor import Supervisor

PROGRAM: Final = str(Path(sys.executable).with_name("finance"))
RELEASE: Final = "bench"
PARTNERS: Final = 5
CHARGES: Final = "5910"
"""The account that the made-up company books the bank's own charges on."""
SAMPLE_S: Final = 0.01
MONEY: Final = "{ amount }"
SECTION: Final = f"{{ lines {{ accountCode amount {MONEY} }} total {MONEY} }}"
BUCKETS: Final = f"{{ total {MONEY} credits {MONEY} }}"
QUERIES: Final = {
    "trial balance": f"""query ($input: TrialBalanceInput!) {{ trialBalance(input: $input) {{
        entries {{ accountId accountCode accountType debitBalance {MONEY} creditBalance {MONEY} }}
        summary {{ totalDebits {MONEY} totalCredits {MONEY} isBalanced }} }} }}""",
    "profit and loss": f"""query ($input: ProfitAndLossInput!) {{ profitAndLoss(input: $input) {{
        revenue {SECTION} expenses {SECTION} profit {MONEY} }} }}""",
    "balance sheet": f"""query ($input: BalanceSheetInput!) {{ balanceSheet(input: $input) {{ assets {SECTION}
        liabilities {SECTION} equity {SECTION} earnings {MONEY} liabilitiesAndEquity {MONEY} isBalanced }} }}""",
    "cash flow": f"""query ($input: CashFlowInput!) {{ cashFlow(input: $input) {{ activities {SECTION}
        openingBalance {MONEY} closingBalance {MONEY} isTied }} }}""",
    "VAT summary": f"""query ($input: VatSummaryInput!) {{ vatSummary(input: $input) {{
        lines {{ section taxCode value {MONEY} tax {MONEY} }} outputTax {MONEY} inputTax {MONEY} due {MONEY}
        accounts {{ accountCode moved {MONEY} }} isTied }} }}""",
    "ageing": f"""query ($input: AgeingInput!) {{ ageing(input: $input) {{ partners {{ partnerId buckets {BUCKETS}
        items {{ id open {MONEY} }} }} totals {BUCKETS} control {MONEY} }} }}""",
    "statement": f"""query ($input: StatementInput!) {{ statement(input: $input) {{ partnerId closingBalance {MONEY}
        movements {{ journalNumber balance {MONEY} }} }} }}""",
    "ledger": f"""query ($input: GeneralLedgerInput!) {{ generalLedger(input: $input) {{ count
        openingBalance {MONEY} closingBalance {MONEY} movements {{ journalNumber balance {MONEY} }} }} }}""",
    "walk": f"""query ($input: GeneralLedgerInput!, $after: String) {{ generalLedger(input: $input) {{
        movementsConnection(first: 200, after: $after) {{ pageInfo {{ hasNextPage endCursor }}
        nodes {{ journalId debit {MONEY} credit {MONEY} balance {MONEY} }} }} }} }}""",
    "bank": f"""query ($account: ID!, $asOf: Date!) {{ bankReconciliation(accountId: $account, asOf: $asOf) {{
        bookBalance {MONEY} unmatchedLinesTotal {MONEY} unmatchedPaymentsTotal {MONEY} expectedBalance {MONEY} }} }}""",
    "bank lines": f"""query ($account: ID!, $offset: Int!) {{ bankLines(accountId: $account, limit: 200,
        offset: $offset) {{ amount {MONEY} journalIds }} }}""",
    "later": f"""query ($asOf: Date!, $knownOn: Date!, $after: String) {{ entriesKnownLaterConnection(asOf: $asOf,
        knownOn: $knownOn, first: 200, after: $after) {{ pageInfo {{ hasNextPage endCursor }} nodes {{ lines {{
        accountId debit {MONEY} credit {MONEY} baseDebit {MONEY} baseCredit {MONEY} }} }} }} }}""",
    "numbers": """query ($year: String!) { numberSeries(fiscalYear: $year) { series count repeated
        missing { first last } } }""",
    "close": """mutation ($year: String!, $key: ID!) { closeYear(fiscalYear: $year, idempotencyKey: $key) {
        ... on FiscalYear { status } ... on Refusal { code message } } }""",
    "reopen": """mutation ($year: String!, $key: ID!) { reopenYear(fiscalYear: $year, idempotencyKey: $key,
        reason: "the bench closes and re-opens") { ... on FiscalYear { status } ... on Refusal { code message } } }""",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one step took, of books in some state; `peak_bytes` is the most memory its process had, None where that
    cannot be told.
    """

    name: str
    books: str
    seconds: float
    peak_bytes: int | None


@dataclass(slots=True)
class Meter:
    """Measures steps of this process; steps of others are added."""

    steps: list[Step] = field(default_factory=list)

    @contextmanager
    def step(self, name: str, books: str = "") -> Iterator[None]:
        forget_peak()
        begun = time.perf_counter()
        yield
        seconds = time.perf_counter() - begun
        self.steps.append(Step(name=name, books=books, seconds=seconds, peak_bytes=peak_bytes()))

    def command(
        self, name: str, books: str, arguments: list[str], environment: Mapping[str, str]
    ) -> tuple[int, str]:
        """Run the service's own command; its exit code and what it printed.

        Its peak is read again and again while it runs: what the kernel tells when it has ended counts this program's
        memory, too, in which it was started.
        """
        begun, peak = time.perf_counter(), None
        with tempfile.TemporaryFile("w+", encoding="utf-8") as said:
            process = subprocess.Popen([PROGRAM, *arguments], env={**os.environ, **environment}, stdout=said)
            while process.poll() is None:
                peak = peak_bytes(process.pid) or peak
                time.sleep(SAMPLE_S)
            seconds = time.perf_counter() - begun
            said.seek(0)
            self.steps.append(Step(name=name, books=books, seconds=seconds, peak_bytes=peak))
            return process.returncode, said.read()


def forget_peak() -> None:
    """Let the kernel count this process's peak anew (Linux, proc(5): clear_refs)."""
    place = Path("/proc/self/clear_refs")
    if place.exists():
        place.write_text("5", encoding="ascii")


def peak_bytes(process: int | str = "self") -> int | None:
    """The most memory that a process had so far (Linux, proc(5): VmHWM); None where, or once, it cannot be told."""
    try:
        text = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    except OSError:
        return None
    found = [line for line in text.splitlines() if line.startswith("VmHWM:")]
    return int(found[0].split()[1]) * 1024 if found else None


@dataclass(slots=True, kw_only=True)
class Office:
    """The books, as the service answers of them, without HTTP."""

    projector: Projector
    service: Service
    executor: Executor
    caller: Caller
    year: str
    meter: Meter

    async def asked(self, query: str, **variables: Any) -> Any:
        """The one root field's value.

        Raises:
            RuntimeError: it was refused or failed.
        """
        context = Context(service=self.service, caller=self.caller, now=self.service.now())
        status, body = await self.executor.run({"query": QUERIES[query], "variables": variables}, context)
        [value] = (body.get("data") or {"none": None}).values()
        if status != 200 or value is None or "code" in value:
            raise RuntimeError(f"{query}: {body}")
        return value

    async def caught_up(self) -> None:
        while await self.projector.step():
            pass

    async def walked(self, query: str, path: tuple[str, ...], **variables: Any) -> AsyncIterator[Any]:
        """The nodes of all pages."""
        after = None
        while True:
            found = await self.asked(query, after=after, **variables)
            for name in path:
                found = found[name]
            for node in found["nodes"]:
                yield node
            if not found["pageInfo"]["hasNextPage"]:
                return
            after = found["pageInfo"]["endCursor"]

    async def reports(self, told: str, known: date | None) -> dict[str, Any]:
        """Every report of the year, as it is known now or was on a day; each is a step."""
        first, last = fiscal.first_day(self.year), fiscal.last_day(self.year)
        window = {"from": str(first), "to": str(last), "knownOn": known and str(known)}
        until = {"asOf": str(last), "knownOn": known and str(known)}
        made: dict[str, Any] = {}

        async def report(name: str, query: str, **asked: Any) -> Any:
            with self.meter.step(name, told):
                made[name] = await self.asked(query, input=asked)
            return made[name]

        balance = await report(
            "trial balance",
            "trial balance",
            fiscalYear=self.year,
            asOfDate=str(last),
            knownOn=until["knownOn"],
        )
        await report("profit and loss", "profit and loss", **window)
        await report("balance sheet", "balance sheet", **until)
        await report("cash flow", "cash flow", **window)
        await report("VAT summary", "VAT summary", **window)
        for side in statements.CONTROLS:
            aged = await report(f"ageing, {side.lower()}", "ageing", side=side, **until)
            some = sorted(aged["partners"], key=lambda one: -len(one["items"]))[:PARTNERS]
            with self.meter.step(f"{PARTNERS} statements, {side.lower()}", told):
                made[f"statements, {side.lower()}"] = [
                    await self.asked(
                        "statement", input={"partnerId": one["partnerId"], "side": side, **window}
                    )
                    for one in some
                    if one["partnerId"]
                ]
        with self.meter.step("first page of each ledger", told):
            made["ledgers"] = {
                one["accountCode"]: await self.asked(
                    "ledger", input={"accountId": one["accountId"], **window}
                )
                for one in balance["entries"]
            }
        with self.meter.step("number series", told):
            made["numbers"] = await self.asked("numbers", year=self.year)
        return made


def lasting(reports: Mapping[str, Any]) -> dict[str, Any]:
    """What a closing that is taken back leaves as it was: all but the entries that did both."""
    ledgers = {code: one["closingBalance"] for code, one in reports["ledgers"].items()}
    kept = {name: told for name, told in reports.items() if name not in {"ledgers", "numbers"}}
    return {**kept, **{f"ledger of {code}": told for code, told in ledgers.items()}}


OPEN, KNOWN, CLOSED, AGAIN, AGAIN_KNOWN = "open", "as known", "closed", "re-opened", "re-opened, as known"
STATES: Final = (OPEN, KNOWN, CLOSED, AGAIN, AGAIN_KNOWN)
"""In which state the books were. As known: what of the year was known when its last month began."""

KEPT: Final = ("profit and loss", "cash flow", "VAT summary", "ageing, sales", "ageing, purchase")
"""Reports that a closing entry changes nothing of."""

Prove = Callable[[str], Check]


async def journey(office: Office, prove: Prove) -> AsyncIterator[tuple[str, Check]]:
    """The whole year's way, with every check as it is made."""
    year, record = office.year, fiscal.days_of(fiscal.periods(office.year)[-1])[0] - timedelta(days=1)
    with office.meter.step("read models from the log"):
        await office.caught_up()
    now, then = await office.reports(OPEN, None), await office.reports(KNOWN, record)
    for told, reports in ((OPEN, now), (KNOWN, then)):
        for check in every(reports, closed=False):
            yield told, check
    async for check in walks(office, now, then, record):
        yield OPEN, check
    yield OPEN, prove(OPEN)
    with office.meter.step("close the year"):
        await office.asked("close", year=year, key=str(uuid4()))
    await office.caught_up()
    ended = await office.reports(CLOSED, None)
    for check in every(ended, closed=True):
        yield CLOSED, check
    profit = amount(now["profit and loss"]["profit"])
    balances = now["trial balance"], ended["trial balance"]
    yield CLOSED, statements.closed(*balances, profit, chart.RETAINED_EARNINGS)
    kept = ({name: reports[name] for name in KEPT} for reports in (now, ended))
    yield CLOSED, statements.same(*kept, "what closing does not touch is as before")
    yield CLOSED, prove(CLOSED)
    with office.meter.step("re-open the year"):
        await office.asked("reopen", year=year, key=str(uuid4()))
    await office.caught_up()
    again, known = await office.reports(AGAIN, None), await office.reports(AGAIN_KNOWN, record)
    for told, before, after in ((AGAIN, now, again), (AGAIN_KNOWN, then, known)):
        for check in every(after, closed=False):
            yield told, check
        yield told, statements.same(lasting(before), lasting(after), "every report is as before the closing")
    yield AGAIN, prove(AGAIN)


def every(reports: Mapping[str, Any], *, closed: bool) -> Iterator[Check]:
    """Every check of one state of the books."""
    yield from statements.all_of(reports)
    yield statements.profit_to_sheet(reports["profit and loss"], reports["balance sheet"], closed=closed)


async def walks(
    office: Office, now: Mapping[str, Any], then: Mapping[str, Any], record: date
) -> AsyncIterator[Check]:
    """What is read page after page: all that became known later, and the account with the most movements."""
    first, last = fiscal.first_day(office.year), fiscal.last_day(office.year)
    codes = {one["accountId"]: one["accountCode"] for one in now["trial balance"]["entries"]}
    later = statements.Later(codes)
    with office.meter.step("walk over all that became known later"):
        async for entry in office.walked("later", (), asOf=str(last), knownOn=str(record)):
            later.add(entry)
    yield statements.explained(now["trial balance"], then["trial balance"], later)
    largest = max(codes, key=lambda one: now["ledgers"][codes[one]]["count"])
    whole = now["ledgers"][codes[largest]]
    walk = statements.Walk(amount(whole["openingBalance"]))
    with office.meter.step("walk over the account with the most movements"):
        asked = {"accountId": largest, "from": str(first), "to": str(last)}
        async for movement in office.walked("walk", ("movementsConnection",), input=asked):
            walk.add(movement)
    yield statements.walked(walk, whole)
    yield await reconciled(office, now, {code: one for one, code in codes.items()})


async def reconciled(office: Office, now: Mapping[str, Any], ids: Mapping[str, str]) -> Check:
    """The bank beside the books, with every line that it told; `ids` of accounts by code."""
    first, last = fiscal.first_day(office.year), fiscal.last_day(office.year)
    booked, account = statements.Booked(), ids[chart.BANK]
    with office.meter.step("bank reconciliation, and all lines"):
        told = await office.asked("bank", account=account, asOf=str(last))
        while page := await office.asked("bank lines", account=account, offset=booked.lines):
            for line in page:
                booked.add_line(line)
    asked = {"accountId": ids[CHARGES], "from": str(first), "to": str(last)}
    async for movement in office.walked("walk", ("movementsConnection",), input=asked):
        booked.add_movement(movement)
    return statements.reconciled(told, booked, statements.held(now["trial balance"]), chart.BANK)


@asynccontextmanager
async def opened(cluster: Cluster, tenant: str, year: str, meter: Meter) -> AsyncIterator[Office]:
    app = await open_pool(cluster.url("finance_app", "finance"), setting="APP", size=4)
    replay = await open_pool(cluster.url("finance_projector", "finance"), setting="REPLAY", size=2)
    try:
        projector, clock = Projector(replay, RELEASE), SystemClock()
        await projector.prepare()
        books = Books(store=PostgresStore(app), masterdata=Unasked(), clock=clock, new_id=new_id)
        service = Service(
            books=books, views=Views(app, projector), masterdata=Unasked(), batching=True, now=clock.now
        )
        caller = Caller(user_id="bench", tenant_id=tenant, permissions=frozenset(NEEDED.values()), token="")
        yield Office(
            projector=projector,
            service=service,
            executor=Executor(build(), introspection=False),
            caller=caller,
            year=year,
            meter=meter,
        )
    finally:
        await app.close()
        await replay.close()


async def prepared(cluster: Cluster, tenant: str) -> None:
    """A migrated log, and the books of one company that is kept by several people."""
    owner = cluster.url("finance_owner", "finance")
    folder = files("finance.adapters.postgres") / "migrations"
    await migrate(owner, folder, setting="OWNER", schema="finance_log")
    pool = await open_pool(owner, setting="OWNER", size=1)
    try:
        await open_books(pool, {tenant: "Padma Trading"})
    finally:
        await pool.close()


async def measured(cluster: Cluster, documents: int, seed: int, meter: Meter, progress: Progress) -> Any:
    """The checks of the whole way, each with the state of the books it is of."""
    tenant, year = str(uuid4()), fiscal.over(SystemClock().now().date())
    environment = {
        "FINANCE_DATABASE_URL": cluster.url("finance_app", "finance"),
        "FINANCE_PROJECTOR_DATABASE_URL": cluster.url("finance_projector", "finance"),
        "FINANCE_DEPLOYMENT": "laptop",
    }
    await prepared(cluster, tenant)
    asked = ["seed", "--tenant", tenant, "--year", year, "--seed", str(seed), "--documents", str(documents)]
    code, said = meter.command("seed", "", [*asked, "--json"], environment)
    if code:
        raise RuntimeError(f"seed ended with {code}")
    commands = json.loads(said)["commands"]

    def prove(told: str) -> Check:
        name = "finance verify, and the read models with it"
        code, said = meter.command(
            "finance verify", told, ["verify", "--release", RELEASE, "--json"], environment
        )
        found = json.loads(said) if said else {"events": 0, "faults": [f"it ended with {code}"]}
        return Check(name=name, looked=found["events"], faults=tuple(found["faults"]))

    task = progress.add_task("reports and checks", total=None)
    found = []
    async with opened(cluster, tenant, year, meter) as office:
        async for told, check in journey(office, prove):
            found.append((told, check))
            progress.update(task, description=f"{told}: {check.name}")
    progress.remove_task(task)
    return commands, found


def shown(console: Console, meter: Meter, base: Step, checks: list[tuple[str, Check]]) -> None:
    """Two tables: seconds by state of the books, with the most memory of any; and the verdicts."""
    unit = statistics.median(one.seconds for one in meter.steps if one.name == "trial balance")
    table = Table(title=f"seconds; one trial balance took {1000 * unit:.1f} ms here", title_justify="left")
    for heading in ("step", "once", *STATES, "× trial balance", "peak MB", "× idle"):
        table.add_column(heading, justify="left" if heading == "step" else "right")
    for name in dict.fromkeys(one.name for one in meter.steps):
        some = [one for one in meter.steps if one.name == name]
        seconds = {one.books: f"{one.seconds:.3f}" for one in some}
        peaks = [one.peak_bytes for one in some if one.peak_bytes]
        memory = ("cannot tell", "")
        if peaks and base.peak_bytes:
            memory = (f"{max(peaks) / 2**20:.0f}", f"{max(peaks) / base.peak_bytes:.2f}")
        times = f"{max(one.seconds for one in some) / unit:.1f}"
        table.add_row(name, *(seconds.get(books, "") for books in ("", *STATES)), times, *memory)
    console.print(table)
    table = Table(title="what was compared, and the verdict", title_justify="left")
    for heading in ("check", *STATES):
        table.add_column(heading)
    for name in dict.fromkeys(check.name for _, check in checks):
        found = {books: f"{one.verdict} ({one.looked})" for books, one in checks if one.name == name}
        table.add_row(name, *(found.get(books, "") for books in STATES))
    console.print(table)
    for books, check in checks:
        for fault in check.faults[:5]:
            console.print(f"{books}: {check.name}: {fault[:400]}", markup=False)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--documents", type=int, default=50_000)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--json", type=Path)
    chosen = options.parse_args()
    console, meter = Console(width=150 if not sys.stdout.isatty() else None), Meter()
    with meter.step("idle"):
        pass
    base = meter.steps.pop()
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        Supervisor(Path(folder) / "logs") as supervisor,
    ):
        Path(folder).chmod(0o755)
        cluster = postgres.create(Path(folder), free_ports(1)[0])
        try:
            supervisor.wait(supervisor.start(cluster.program()))
            cluster.set_up()
            with Progress(console=console, transient=True) as progress:
                commands, checks = asyncio.run(
                    measured(cluster, chosen.documents, chosen.seed, meter, progress)
                )
        finally:
            supervisor.stop()
            cluster.remove_scratch()
    shown(console, meter, base, checks)
    if chosen.json is not None:
        found = {
            "documents": chosen.documents,
            "commands": commands,
            "idle_bytes": base.peak_bytes,
            "steps": [dataclasses.asdict(one) for one in meter.steps],
            "checks": [
                {"books": told, "check": one.name, "looked": one.looked, "verdict": one.verdict}
                for told, one in checks
            ],
        }
        chosen.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    good = bool(checks) and all(one.verdict == "pass" for _, one in checks)
    console.print("every statement ties" if good else "not everything ties, or could be told")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
