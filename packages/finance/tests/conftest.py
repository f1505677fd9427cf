"""Ledgers on a real PostgreSQL, one for every test that asks; and the real service among real neighbours."""

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from http.server import ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from around import Serving, World, neighbour
from graphql import GraphQLSchema
from joserfc.jwk import OKPKey

from finance import chart, invoice, journal, payment, voucher
from finance.adapters.memory import MemoryStore
from finance.adapters.postgres.opening import add_accounts, open_books
from finance.adapters.postgres.projector import Projector
from finance.adapters.postgres.store import TENANT_SETTING, PostgresStore
from finance.adapters.postgres.views import Views, Window
from finance.bank_file import Columns
from finance.banking import Given
from finance.cli import LOG
from finance.events import decode
from finance.graphql.context import Context, Service
from finance.graphql.execution import Executor
from finance.graphql.permission import NEEDED
from finance.graphql.schema import build as build_schema
from finance.handle import Books
from finance.ids import new_id
from finance.money import Money
from finance.ports import Caller, MasterDataUnavailable
from finance.rate import Quote
from finance.verify import Stored
from kit.database import migrate, open_pool, tenant_transaction
from laptop.ports import HOST
from laptop.postgres import SUPERUSER, Cluster
from laptop.supervisor import Supervisor

TODAY = date(2026, 11, 23)
PROGRAM = str(Path(sys.executable).with_name("finance"))


@dataclass(kw_only=True)
class Ledger:
    """A migrated database with the pools of its roles."""

    cluster: Cluster
    name: str
    app: Any
    replay: Any
    tenant: str
    other_tenant: str

    @property
    def store(self) -> PostgresStore:
        return PostgresStore(self.app)

    def url(self, role: str) -> str:
        return self.cluster.url(role, self.name)

    def as_superuser(self, sql: str) -> None:
        self.cluster.run_sql(self.name, sql)

    @asynccontextmanager
    async def connected(self, role: str) -> AsyncIterator[asyncpg.Connection]:
        """A connection of a role, outside every pool; no tenant is set."""
        connection = await asyncpg.connect(self.url(role))
        try:
            yield connection
        finally:
            await connection.close()

    async def seen(self, tenant: str, query: str, *values: object) -> Any:
        """One value, as the application sees it in a transaction of this tenant."""
        async with tenant_transaction(self.app, TENANT_SETTING, tenant) as connection:
            return await connection.fetchval(query, *values)

    async def events(self, tenant: str) -> int:
        return int(await self.seen(tenant, "SELECT count(*) FROM finance_log.events"))

    async def replayed(self, release: str = "test") -> Projector:
        """Read models of a release, with all that is in the log now."""
        projector = Projector(self.replay, release)
        await projector.prepare()
        while await projector.step():
            pass
        return projector


@pytest.fixture
def superuser() -> str:
    return SUPERUSER


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A migrated database with the books of two tenants, which every ledger begins as a copy of."""

    name: str
    tenants: Sequence[str]


@pytest.fixture(scope="session")
def opened(cluster: Cluster, new_database: Callable[..., str]) -> Opened:
    name = new_database("finance")
    tenants = {str(uuid4()): "Padma Traders", str(uuid4()): "Meghna Mills"}

    async def prepare() -> None:
        url, folder = cluster.url("finance_owner", name), files("finance.adapters.postgres") / "migrations"
        await migrate(url, folder, setting="OWNER", schema="finance_log")
        async with asyncpg.create_pool(url, min_size=1, max_size=1) as owner:
            await open_books(owner, tenants, alone=tenants)

    asyncio.run(prepare())
    return Opened(name=name, tenants=list(tenants))


@cache
def executable() -> GraphQLSchema:
    """The schema is the same for everybody who asks, and takes longer to make than most questions."""
    return build_schema()


@pytest.fixture
async def ledger(cluster: Cluster, new_database: Callable[..., str], opened: Opened) -> AsyncIterator[Ledger]:
    name = new_database("finance", like=opened.name)
    app = await open_pool(cluster.url("finance_app", name), setting="APP", size=12)
    replay = await open_pool(cluster.url("finance_projector", name), setting="REPLAY", size=3)
    tenant, other_tenant = opened.tenants
    yield Ledger(cluster=cluster, name=name, app=app, replay=replay, tenant=tenant, other_tenant=other_tenant)
    await app.close()
    await replay.close()
    cluster.run_sql(
        "postgres", f"DROP DATABASE {name} WITH (FORCE);"
    )  # hundreds at once take minutes to remove


@dataclass
class StoppedClock:
    """Tells the time it was set to."""

    instant: datetime

    def now(self) -> datetime:
        return self.instant


@dataclass
class Neighbours:
    """Master data in memory: knows these customers; `away` answers nothing, `fallback` lets that pass."""

    customers: set[str]
    vendors: set[str] = field(default_factory=set)
    away: bool = False
    fallback: bool = True
    asked: int = 0

    async def find(self, caller: Caller, kind: str, ids: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        self.asked += 1
        known = self.customers if kind == "customers" and not self.away else set()
        return {one: {"id": one, "name": f"Customer {one[:4]}"} for one in ids if one in known}

    async def exists(self, caller: Caller, kind: str, record_id: str) -> bool | None:
        self.asked += 1
        if not self.away:
            return record_id in (self.customers if kind == "customers" else self.vendors)
        if not self.fallback:
            raise MasterDataUnavailable("it is away")
        return None


@dataclass(kw_only=True)
class Desk:
    """The commands over a real ledger, and somebody who gives them."""

    ledger: Ledger
    books: Books
    clock: StoppedClock
    neighbours: Neighbours
    caller: Caller
    customer: str
    vendor: str

    def account(self, code: str) -> str:
        return chart.account_id(self.ledger.tenant, code)

    async def load(self, kind: str, stream_id: str) -> Any:
        async with self.ledger.store.book(self.ledger.tenant) as book:
            return (await book.load(kind, [stream_id]))[stream_id]

    async def types(self) -> Counter[str]:
        """How many events of each type the log has, without those that opened the books."""
        async with self.ledger.connected("finance_projector") as connection:
            rows = await connection.fetch("SELECT type FROM finance_log.events WHERE actor <> 'opening'")
        return Counter(row["type"].partition("/")[0] for row in rows)

    async def log(self) -> list[Stored]:
        """The whole log, as `finance verify` reads it."""
        async with self.ledger.connected("finance_projector") as connection:
            rows = await connection.fetch(LOG)
        return [
            Stored(
                tenant_id=row["tenant_id"],
                stream_id=row["stream_id"],
                version=row["version"],
                event=decode(row["type"], row["data"].encode()),
            )
            for row in rows
        ]

    async def balances(
        self, first: date | None = None, last: date | None = None, currency: str = "BDT"
    ) -> dict[str, int]:
        """Debits less credits by account code, from read models made anew; zeros are left out."""
        views = Views(self.ledger.app, await self.ledger.replayed())
        found = await views.balances(
            self.ledger.tenant, currency=currency, window=Window(first=first, last=last)
        )
        assert sum(one.debit_minor - one.credit_minor for one in found) == 0
        held = {one.account.code: one.debit_minor - one.credit_minor for one in found}
        return {code: minor for code, minor in held.items() if minor}

    async def context(self) -> Context:
        """What a request of somebody who may everything comes with, on read models made anew."""
        service = Service(
            books=self.books,
            views=Views(self.ledger.app, await self.ledger.replayed()),
            masterdata=self.neighbours,
            batching=True,
            now=self.clock.now,
        )
        reader = replace(self.caller, permissions=frozenset(NEEDED.values()))
        return Context(service=service, caller=reader, now=self.clock.now())

    async def asked(self, query: str, **variables: Any) -> Any:
        """The one root field's value of a query, from read models made anew; or the code of its error."""
        context = await self.context()
        executor = Executor(executable(), introspection=False)
        _, body = await executor.run({"query": query, "variables": variables}, context)
        if "errors" in body:
            return [error["extensions"]["code"] for error in body["errors"]]
        [value] = body["data"].values()
        return value

    def sale(self, minor: int = 5, day: date = TODAY) -> journal.Create:
        """An entry: cash against sales."""
        return journal.Create(
            journal_id="",
            journal_date=day,
            journal_type="GENERAL",
            description="A sale",
            currency="BDT",
            lines=(
                journal.Line(account_id=self.account("1000"), debit_minor=minor),
                journal.Line(account_id=self.account("4000"), credit_minor=minor),
            ),
        )

    async def rate_set(self, rate: str, since: date = TODAY, currency: str = "EUR") -> Any:
        quote = Quote(valid_from=since, rate=Decimal(rate))
        return await self.books.tables.set_rate(self.caller, str(uuid4()), currency, quote)

    async def invoice_drafted(
        self, minor: int = 100_00, day: date = TODAY, currency: str = "BDT", vat: str = "STANDARD"
    ) -> invoice.Invoice:
        """An invoice of one line, and 15 % VAT on it."""
        line = invoice.line(
            description="Rice",
            quantity=Decimal(1),
            unit_price=Money(minor, currency),
            vat_category=vat,
            product_id=None,
        )
        terms = invoice.Terms(customer_id=self.customer, invoice_date=day, due_date=day, lines=(line,))
        return await self.books.create_invoice(self.caller, str(uuid4()), currency=currency, terms=terms)

    async def invoice_approved(
        self, minor: int = 100_00, day: date = TODAY, currency: str = "BDT", vat: str = "STANDARD"
    ) -> invoice.Invoice:
        made = await self.invoice_drafted(minor, day, currency, vat)
        return await self.books.approve_invoice(self.caller, str(uuid4()), made.id)

    async def voucher_drafted(self, kind: str, minor: int = 100_00, **changes: Any) -> voucher.Voucher:
        """A bill or note of one line, and 15 % VAT on it; what is given goes into its terms."""
        currency, day = changes.pop("currency", "BDT"), changes.pop("day", TODAY)
        account_id, vat = changes.pop("account_id", None), changes.pop("vat", "STANDARD")
        line = invoice.line(
            description="Rice",
            quantity=Decimal(1),
            unit_price=Money(minor, currency),
            vat_category=vat,
            product_id=None,
            account_id=account_id,
        )
        given = {
            "partner_id": self.vendor if voucher.SIDES[kind] == "PURCHASE" else self.customer,
            "reference": f"V-{uuid4()}" if kind == voucher.BILL else None,
            "reason": "the rice was wet",
            "due_date": day,
        }
        terms = voucher.Terms(voucher_date=day, lines=(line,), **(given | changes))
        asked = voucher.Create(voucher_id="", kind=kind, currency=currency, terms=terms)
        return await self.books.billing.create(self.caller, str(uuid4()), asked)

    async def voucher_approved(self, kind: str, minor: int = 100_00, **changes: Any) -> voucher.Voucher:
        made = await self.voucher_drafted(kind, minor, **changes)
        return await self.books.billing.approve(self.caller, str(uuid4()), made.id)

    async def paid(
        self, minor: int, day: date = TODAY, currency: str = "BDT", **given: Any
    ) -> payment.Payment:
        """A completed payment for what is given: `customer_id`, `vendor_id`, `invoice_id` or `voucher_id`."""
        command = payment.Create(
            payment_id="",
            amount=Money(minor, currency),
            payment_date=day,
            details=payment.Details(method="BANK_TRANSFER"),
            **given,
        )
        made = await self.books.create_payment(self.caller, str(uuid4()), command)
        return await self.books.complete_payment(
            self.caller, str(uuid4()), made.id, transaction_reference="TRX-1"
        )

    async def allocated(self, credit: Any, document: Any, minor: int, on: date | None = None) -> Any:
        kind = "voucher" if isinstance(credit, voucher.Voucher) else "payment"
        return await self.books.settling.allocate(
            self.caller,
            str(uuid4()),
            kind,
            credit.id,
            document_id=document.id,
            amount=Money(minor, credit.currency),
            on=on,
        )

    async def unallocated(self, credit: Any, allocation_id: str, on: date | None = None) -> Any:
        kind = "voucher" if isinstance(credit, voucher.Voucher) else "payment"
        return await self.books.settling.unallocate(
            self.caller,
            str(uuid4()),
            kind,
            credit.id,
            allocation_id=allocation_id,
            reason="the wrong invoice",
            on=on,
        )

    async def settled(self, kind: str, document: Any, minor: int, day: date = TODAY) -> Any:
        return await self.books.settling.settle(
            self.caller,
            str(uuid4()),
            kind,
            document.id,
            amount=Money(minor, document.currency),
            told="C-2026-000017",
            on=day,
        )

    async def bank_line(self, minor: int, reference: str = "LINE-1", day: date = TODAY) -> str:
        """A line that the bank of account 1010 told; its reference."""
        text = f"day,amount,reference\n{day},{Money(minor, 'BDT')},{reference}\n"
        columns = Columns(booked_on="day", amount="amount", reference="reference")
        given = Given(
            account_id=self.account("1010"),
            currency="BDT",
            kind="CSV",
            name="bank.csv",
            content=text.encode(),
            columns=columns,
        )
        await self.books.banking.take(self.caller, str(uuid4()), given)
        return reference

    async def payment_completed(
        self, invoice_id: str, minor: int, day: date = TODAY, currency: str = "BDT"
    ) -> payment.Payment:
        command = payment.Create(
            payment_id="",
            invoice_id=invoice_id,
            amount=Money(minor, currency),
            payment_date=day,
            details=payment.Details(method="BANK_TRANSFER"),
        )
        made = await self.books.create_payment(self.caller, str(uuid4()), command)
        return await self.books.complete_payment(
            self.caller, str(uuid4()), made.id, transaction_reference="TRX-1"
        )


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """Books in memory, for laws that need no database."""

    tenant: str
    store: MemoryStore


@pytest.fixture
async def shelved() -> Desk:
    """A desk over books in memory, opened with the standard chart and no rule of approval."""
    shelf = Shelf(tenant=str(uuid4()), store=MemoryStore())
    shelf.store.tenants.add(shelf.tenant)
    async with shelf.store.book(shelf.tenant) as book:
        await add_accounts(book)
    return desk_over(shelf)


@pytest.fixture
def desk(ledger: Ledger) -> Desk:
    return desk_over(ledger)


def desk_over(ledger: Any) -> Desk:
    clock = StoppedClock(datetime(2026, 11, 23, 8, tzinfo=UTC))
    customer, vendor = str(uuid4()), str(uuid4())
    neighbours = Neighbours({customer}, {vendor})
    caller = Caller(user_id="rahim", tenant_id=ledger.tenant, permissions=frozenset(), token="none")
    books = Books(store=ledger.store, masterdata=neighbours, clock=clock, new_id=new_id)
    return Desk(
        ledger=ledger,
        books=books,
        clock=clock,
        neighbours=neighbours,
        caller=caller,
        customer=customer,
        vendor=vendor,
    )


@pytest.fixture(scope="module")
def world(
    cluster: Cluster,
    new_database: Callable[..., str],
    opened: Opened,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("finance")
    key = OKPKey.generate_key("Ed25519", parameters={"kid": "k1"})
    records = {one: {"id": one, "name": f"Partner {one[:4]}"} for one in (str(uuid4()) for _ in range(8))}
    name = new_database("finance", like=opened.name)
    with Supervisor(folder / "logs") as supervisor:
        made = World(cluster, supervisor, folder, name, key, *opened.tenants, records)
        with ThreadingHTTPServer((HOST, 0), neighbour(made)) as server:
            made.url = f"http://{HOST}:{server.server_port}"
            Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
            yield made
            supervisor.stop()
            server.shutdown()


@pytest.fixture(scope="module")
def serving(world: World) -> Serving:
    """The service as a release is shipped: look-ups in batches, with a fallback."""
    return world.serve()
