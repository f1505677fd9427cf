"""Master data over HTTP: in batches, through a cache, and with a fallback - or without, as a release is set.

A name never decides whether a write succeeds while the fallback is on: what is not known is absent. The cache's
lifetimes are staggered, so that what was read together does not expire together.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeVar

import aiohttp
import msgspec
import orjson
from prometheus_client import Counter, Histogram
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from finance.ids import is_uuid
from finance.ports import Caller, MasterDataUnavailable
from kit.telemetry import LATENCY_EDGES_S, log

LIFETIME_S = 300
STAGGER = 0.2
BATCH_LIMIT = 100
TIMEOUT_S = 2.0

CALLS = Histogram(
    "finance_masterdata_call_seconds", "Calls of master data.", ["way"], buckets=LATENCY_EDGES_S
)
LOOKUPS = Counter("finance_masterdata_lookups_total", "Names asked for, by where they were found.", ["found"])
Found = dict[str, Mapping[str, Any]]
T = TypeVar("T")


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What is used of a customer, vendor or product; the rest of a reply is left aside."""

    id: str
    name: str
    tin: str | None = None
    bin: str | None = None


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    items: list[Record]


class Cache(Protocol):
    """Keeps what was looked up for a while."""

    async def get(self, tenant_id: str, kind: str, ids: Sequence[str]) -> Found: ...

    async def put(self, tenant_id: str, kind: str, found: Found) -> None: ...


class NoCache:
    """Keeps nothing."""

    async def get(self, tenant_id: str, kind: str, ids: Sequence[str]) -> Found:  # noqa: ARG002 - the port's
        return {}

    async def put(self, tenant_id: str, kind: str, found: Found) -> None:
        """Forget it."""


class RedisCache:
    """Keeps it in Redis. A Redis that is away is a cache that has nothing: reads go on without it."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    @classmethod
    def at(cls, url: str) -> Self:
        """A cache that gives up soon and tries once: a slow cache is worse than none."""
        once = Retry(NoBackoff(), 0)
        return cls(Redis.from_url(url, socket_timeout=0.5, socket_connect_timeout=0.5, retry=once))

    async def close(self) -> None:
        await self._redis.aclose()

    async def get(self, tenant_id: str, kind: str, ids: Sequence[str]) -> Found:
        try:
            values = await self._redis.mget([key(tenant_id, kind, one) for one in ids])
        except RedisError as error:
            log().warning("cache away", error=str(error))
            return {}
        return {one: orjson.loads(value) for one, value in zip(ids, values, strict=True) if value is not None}

    async def put(self, tenant_id: str, kind: str, found: Found) -> None:
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                for one, record in found.items():
                    lifetime_s = LIFETIME_S * (1 + STAGGER * (2 * random.random() - 1))  # noqa: S311 - no secret
                    pipe.set(key(tenant_id, kind, one), orjson.dumps(record), ex=int(lifetime_s))
                await pipe.execute()
        except RedisError as error:
            log().warning("cache away", error=str(error))


def key(tenant_id: str, kind: str, record_id: str) -> str:
    return f"masterdata:{tenant_id}:{kind}:{record_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpMasterData:
    """The neighbour behind `url`. `batching` off asks one by one; `fallback` off makes its absence a fault."""

    session: aiohttp.ClientSession
    url: str
    cache: Cache
    batching: bool
    fallback: bool

    async def find(self, caller: Caller, kind: str, ids: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        """As the port says. What is no identifier is nobody's: one such would spoil the batch of all others."""
        asked = [one for one in dict.fromkeys(ids) if is_uuid(one)]
        found = await self.cache.get(caller.tenant_id, kind, asked) if asked else {}
        LOOKUPS.labels("cache").inc(len(found))
        missing = [one for one in asked if one not in found]
        if not missing:
            return found
        try:
            fetched = await self._fetch(caller, kind, missing)
        except MasterDataUnavailable:
            if not self.fallback:
                raise
            LOOKUPS.labels("nowhere").inc(len(missing))
            return found
        LOOKUPS.labels("neighbour").inc(len(fetched))
        await self.cache.put(caller.tenant_id, kind, fetched)
        return found | fetched

    async def exists(self, caller: Caller, kind: str, record_id: str) -> bool | None:
        """As the port says."""
        if not is_uuid(record_id):
            return False
        found = await self.cache.get(caller.tenant_id, kind, [record_id])
        if found:
            return True
        try:
            fetched = await self._fetch(caller, kind, [record_id])
        except MasterDataUnavailable:
            if not self.fallback:
                raise
            return None
        await self.cache.put(caller.tenant_id, kind, fetched)
        return record_id in fetched

    async def _fetch(self, caller: Caller, kind: str, ids: Sequence[str]) -> Found:
        if not self.batching:
            fetched: Found = {}
            for one in ids:
                fetched |= await self._single(caller, kind, one)
            return fetched
        fetched = {}
        for start in range(0, len(ids), BATCH_LIMIT):
            fetched |= await self._batch(caller, kind, ids[start : start + BATCH_LIMIT])
        return fetched

    async def _batch(self, caller: Caller, kind: str, ids: Sequence[str]) -> Found:
        body = orjson.dumps({"ids": ids})
        reply = await self._call(caller, "batch", "POST", f"/api/v1/{kind}/batch", body, Batch)
        return {record.id: msgspec.structs.asdict(record) for record in reply.items} if reply else {}

    async def _single(self, caller: Caller, kind: str, record_id: str) -> Found:
        record = await self._call(caller, "single", "GET", f"/api/v1/{kind}/{record_id}", None, Record)
        return {record_id: msgspec.structs.asdict(record)} if record else {}

    async def _call(
        self, caller: Caller, way: str, method: str, path: str, data: bytes | None, expected: type[T]
    ) -> T | None:
        headers = {"authorization": f"Bearer {caller.token}", "content-type": "application/json"}
        try:
            with CALLS.labels(way).time():
                async with self.session.request(
                    method, self.url + path, data=data, headers=headers
                ) as answer:
                    if answer.status in {400, 404}:
                        return None
                    answer.raise_for_status()
                    return msgspec.json.decode(await answer.read(), type=expected)
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
            raise MasterDataUnavailable(f"{self.url}: {type(error).__name__}") from error
