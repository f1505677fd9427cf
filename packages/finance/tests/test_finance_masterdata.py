"""Master data over HTTP: batches, a fallback, and a cache that may be away."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from finance.adapters.masterdata import HttpMasterData, NoCache, RedisCache
from finance.ports import Caller, MasterDataUnavailable
from laptop.ports import free_ports

pytestmark = pytest.mark.integration
CALLER = Caller(user_id="rahim", tenant_id=str(uuid4()), permissions=frozenset(), token="the-token")


@dataclass
class Neighbour:
    """Answers batches with a name for every id, or with what it is told to."""

    status: int = 200
    body: bytes | None = None
    sizes: list[int] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)

    async def batch(self, request: web.Request) -> web.Response:
        ids = (await request.json())["ids"]
        self.sizes.append(len(ids))
        self.tokens.add(request.headers["authorization"])
        if self.body is not None:
            return web.Response(status=self.status, body=self.body)
        items = [{"id": one, "name": "Padma", "secret": "salary"} for one in ids]
        return web.json_response({"items": items}, status=self.status)


@pytest.fixture
def neighbour() -> Neighbour:
    return Neighbour()


@pytest.fixture
async def masterdata(neighbour: Neighbour) -> AsyncIterator[HttpMasterData]:
    app = web.Application()
    app.router.add_post("/api/v1/{kind}/batch", neighbour.batch)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        url = str(server.make_url("")).rstrip("/")
        yield HttpMasterData(session=session, url=url, cache=NoCache(), batching=True, fallback=False)


async def test_many_names_are_asked_for_in_batches_of_a_hundred_each_once(
    masterdata: HttpMasterData, neighbour: Neighbour
) -> None:
    ids = [str(uuid4()) for _ in range(250)]
    found = await masterdata.find(CALLER, "customers", [*ids, *ids])
    assert set(found) == set(ids)
    assert neighbour.sizes == [100, 100, 50]
    assert neighbour.tokens == {"Bearer the-token"}


async def test_nothing_is_asked_for_nothing(masterdata: HttpMasterData, neighbour: Neighbour) -> None:
    assert await masterdata.find(CALLER, "customers", []) == {}
    assert await masterdata.find(CALLER, "customers", ["no id", "../products"]) == {}
    assert await masterdata.exists(CALLER, "customers", "../products") is False
    assert neighbour.sizes == []


async def test_what_a_reply_holds_beyond_names_is_left_aside(masterdata: HttpMasterData) -> None:
    [record] = (await masterdata.find(CALLER, "customers", [str(uuid4())])).values()
    assert set(record) == {"id", "name", "tin", "bin"}


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, b"{"), (200, b"[]"), (200, b'{"items": [{"id": 5}]}'), (200, b"\xff"), (503, b""), (401, b"{}")],
)
async def test_a_reply_that_cannot_be_used_is_as_no_reply(
    masterdata: HttpMasterData, neighbour: Neighbour, status: int, body: bytes
) -> None:
    neighbour.status, neighbour.body = status, body
    one = str(uuid4())
    asked: tuple[Callable[[HttpMasterData], Awaitable[Any]], ...] = (
        lambda data: data.find(CALLER, "customers", [one]),
        lambda data: data.exists(CALLER, "customers", one),
    )
    for ask in asked:
        with pytest.raises(MasterDataUnavailable) as told:
            await ask(masterdata)
        assert told.value.code == "masterdata-unavailable"
    with_fallback = replace(masterdata, fallback=True)
    assert await asked[0](with_fallback) == {}
    assert await asked[1](with_fallback) is None


async def test_a_neighbour_that_is_not_there_is_as_no_reply(masterdata: HttpMasterData) -> None:
    gone = replace(masterdata, url=f"http://127.0.0.1:{free_ports(1)[0]}")
    with pytest.raises(MasterDataUnavailable):
        await gone.find(CALLER, "customers", [str(uuid4())])


async def test_a_cache_that_is_away_is_done_without(masterdata: HttpMasterData, neighbour: Neighbour) -> None:
    cache, one = RedisCache.at(f"redis://127.0.0.1:{free_ports(1)[0]}"), str(uuid4())
    cached, begun = replace(masterdata, cache=cache), time.monotonic()
    assert list(await cached.find(CALLER, "customers", [one])) == [one]
    assert await cached.exists(CALLER, "customers", one) is True
    assert time.monotonic() - begun < 2
    await cache.close()
    assert len(neighbour.sizes) == 2
