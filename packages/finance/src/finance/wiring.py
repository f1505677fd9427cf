"""Settings become objects here and nowhere else."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal

import aiohttp
from starlette.applications import Starlette
from starlette.types import ASGIApp

from finance.adapters.masterdata import TIMEOUT_S, Cache, HttpMasterData, NoCache, RedisCache
from finance.adapters.postgres.projector import Projector
from finance.adapters.postgres.store import PostgresStore
from finance.adapters.postgres.templates import PostgresTemplates
from finance.adapters.postgres.views import Views
from finance.app import application
from finance.company import Company
from finance.graphql.context import Service
from finance.graphql.cost import COST_LIMIT, DEPTH_LIMIT, Limits
from finance.graphql.execution import Executor
from finance.graphql.schema import build as build_schema
from finance.handle import Books
from finance.ids import new_id
from finance.ports import Caller
from finance.scheduling import Scheduler
from finance.seeding import Calendar, Seeder, Tell
from finance.timekeeper import Timekeeper
from kit import health
from kit.database import open_pool
from kit.serve import ServiceFault
from kit.settings import SettingsRefused, secret
from kit.telemetry import configure_logging, metrics_route
from kit.tokens import TokenVerifier

MOST_CONNECTIONS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`FINANCE_*`. Three database URLs for three roles: commands and queries, replay, and migrations.

    `masterdata_batching`, `masterdata_fallback` and `cache` are what a release is shipped with; `max_requests`
    ends the process after so many, for deployments that recycle their workers. `graphql_cost_limit` and
    `graphql_depth_limit` are how much one request may ask for, and how deep: a page with five look-ups a row, and more
    than the deepest thing there is.
    """

    database_url: str = secret(default="")
    projector_database_url: str = secret(default="")
    owner_database_url: str = secret(default="")
    host: str = "127.0.0.1"
    port: int = 8004
    release: str = "1.1.0"
    colour: Literal["blue", "green"] = "blue"
    issuer: str = "tranche-auth"
    jwks_url: str = ""
    masterdata_url: str = ""
    masterdata_batching: bool = True
    masterdata_fallback: bool = True
    cache: bool = True
    redis_url: str = secret(default="")
    max_requests: int | None = None
    graphql_cost_limit: int = COST_LIMIT
    graphql_depth_limit: int = DEPTH_LIMIT
    deployment: Literal["production", "laptop"] = "production"


class SystemClock:
    """The time of this machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)


def require(settings: Settings, *names: str) -> None:
    """Refuse to start without these.

    Raises:
        ServiceFault: naming the settings.
    """
    missing = [f"FINANCE_{name.upper()}" for name in names if not getattr(settings, name)]
    if missing:
        raise ServiceFault(f"{', '.join(missing)}: missing; set them")


def cache_of(settings: Settings) -> Cache:
    if not settings.cache:
        return NoCache()
    require(settings, "redis_url")
    return RedisCache.at(settings.redis_url)


async def build(settings: Settings) -> ASGIApp:
    """The application, with its databases reached. Its read models are built while it is live, not ready.

    Raises:
        ServiceFault: a setting is missing, or a database does not answer.
    """
    configure_logging(service="finance", release=settings.release, colour=settings.colour)
    require(settings, "database_url", "projector_database_url", "jwks_url", "masterdata_url")
    name = f"finance {settings.release} {settings.colour}"
    pool = await open_pool(settings.database_url, setting="FINANCE_DATABASE_URL", size=12, name=name)
    replay = await open_pool(
        settings.projector_database_url,
        setting="FINANCE_PROJECTOR_DATABASE_URL",
        size=3,
        name=f"{name} replay",
    )
    store, projector = PostgresStore(pool), Projector(replay, settings.release)
    store.listeners.append(projector.expect)
    verifier = TokenVerifier(issuer=settings.issuer, jwks_url=settings.jwks_url)
    session = aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
        connector=aiohttp.TCPConnector(limit=MOST_CONNECTIONS),
    )
    masterdata = HttpMasterData(
        session=session,
        url=settings.masterdata_url,
        cache=cache_of(settings),
        batching=settings.masterdata_batching,
        fallback=settings.masterdata_fallback,
    )
    clock = SystemClock()

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await projector.prepare()
        following = asyncio.create_task(projector.run())
        yield
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await session.close()
        await pool.close()
        await replay.close()

    return application(
        service=Service(
            books=Books(store=store, masterdata=masterdata, clock=clock, new_id=new_id),
            views=Views(pool, projector),
            masterdata=masterdata,
            batching=settings.masterdata_batching,
            now=clock.now,
        ),
        executor=Executor(
            build_schema(),
            introspection=settings.deployment != "production",
            limits=Limits(cost=settings.graphql_cost_limit, depth=settings.graphql_depth_limit),
        ),
        verifier=verifier,
        about={"service": "finance", "release": settings.release, "colour": settings.colour},
        checks={"event store": store.answer, "read models": projector.answer, "token keys": verifier.ready},
        lifespan=lifespan,
    )


class Unasked:
    """Stands for master data where nobody may be asked: names are unknown, and records are taken on trust."""

    async def find(self, _caller: Caller, _kind: str, _ids: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        return {}

    async def exists(self, _caller: Caller, _kind: str, _record_id: str) -> bool | None:
        return None


@asynccontextmanager
async def scheduler(settings: Settings) -> AsyncIterator[Scheduler]:
    """A scheduler of all companies, with its databases reached.

    Raises:
        ServiceFault: a setting is missing, or a database does not answer.
    """
    require(settings, "database_url", "projector_database_url")
    name = f"finance {settings.release} {settings.colour} schedule"
    async with AsyncExitStack() as opened:
        pools = []
        for url, setting in (
            (settings.database_url, "FINANCE_DATABASE_URL"),
            (settings.projector_database_url, "FINANCE_PROJECTOR_DATABASE_URL"),
        ):
            pools.append(await open_pool(url, setting=setting, size=1, name=name))
            opened.push_async_callback(pools[-1].close)
        clock = SystemClock()
        books = Books(store=PostgresStore(pools[0]), masterdata=Unasked(), clock=clock, new_id=new_id)
        yield Scheduler(
            automating=books.automating,
            standings=PostgresTemplates(pools[1]),
            clock=clock,
            release=settings.release,
        )


async def build_schedule(settings: Settings, every_s: float) -> ASGIApp:
    """A scheduler that takes its turns, with its health and its metrics over HTTP, and nothing else.

    Raises:
        ServiceFault: a setting is missing, or a database does not answer.
    """
    about = {"release": settings.release, "colour": settings.colour}
    configure_logging(service="finance-schedule", **about)
    opened = AsyncExitStack()
    made = await opened.enter_async_context(scheduler(settings))
    keeper = Timekeeper(scheduler=made, every_s=every_s)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with opened:
            keeper.begin()
            yield
            await keeper.end()

    routes = health.routes({"service": "finance-schedule", **about}, {"schedule": keeper.answer})
    return Starlette(routes=[*routes, metrics_route()], lifespan=lifespan)


async def seed(
    settings: Settings, company: Company, *, connections: int, anyway: bool, tell: Tell
) -> dict[str, object]:
    """Work a made-up company's year; how many commands were given, by what they answered, and how many wrote.

    Raises:
        SettingsRefused: in production, or where others have written to these books.
        ServiceFault: the database does not answer.
        Refused: the rules say no to a command, or there are no such books.
        Fault: the database went away meanwhile.
    """
    if settings.deployment == "production":
        raise SettingsRefused(
            "seed: these are production's settings; set FINANCE_DEPLOYMENT=laptop elsewhere"
        )
    require(settings, "database_url")
    pool = await open_pool(
        settings.database_url, setting="FINANCE_DATABASE_URL", size=connections, name="finance seed"
    )
    store, calendar, written = PostgresStore(pool), Calendar(company.first_on), Counter[str]()
    store.listeners.append(lambda tenant_id, positions: written.update([tenant_id] if positions else []))
    try:
        if not anyway and await store.used_by_others(company.tenant_id, company.prefix):
            raise SettingsRefused(
                f"seed: others have written to the books of {company.tenant_id}; --anyway adds"
            )
        books = Books(store=store, masterdata=Unasked(), clock=calendar, new_id=new_id)
        seeder = Seeder(books=books, calendar=calendar, company=company, connections=connections)
        await seeder.work(partial(store.answered, company.tenant_id), tell)
    finally:
        await pool.close()
    return {
        "commands": seeder.given.total(),
        "written": written.total(),
        "answers": dict(sorted(seeder.given.items())),
    }
