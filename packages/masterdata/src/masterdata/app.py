"""The HTTP face of master data. The tenant comes from the verified token and from nowhere else."""

from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

import orjson
from prometheus_client import Counter
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kit import health
from kit.health import answer
from kit.telemetry import RequestMetrics, metrics_route
from kit.tokens import KeysUnavailable, TokenRefused, TokenVerifier
from masterdata.record import BATCH_LIMIT, KINDS, PAGE_LIMIT, Kind, Malformed, Records, Refused, Taken, parse

LOOKED_UP = Counter("masterdata_records_looked_up_total", "Records asked for by id.", ["kind", "way"])
BODY_LIMIT_BYTES = 100_000
Handler = Callable[[Request, Kind, str], Awaitable[Response]]


def refused(status: int, code: str, message: str) -> Response:
    return answer(status, {"code": code, "message": message})


def identifier(text: object) -> UUID:
    try:
        return UUID(str(text))
    except ValueError:
        raise Malformed(f"expected a UUID, found {str(text)[:60]!r}") from None


def number(request: Request, name: str, default: int, most: int) -> int:
    text = request.query_params.get(name, str(default))
    if not text.isdecimal() or int(text) > most:
        raise Malformed(f"{name}: expected a whole number up to {most}, found {text[:60]!r}")
    return int(text)


async def body_of(request: Request) -> object:
    body = await request.body()
    if len(body) > BODY_LIMIT_BYTES:
        raise Malformed(f"expected at most {BODY_LIMIT_BYTES} bytes, found {len(body)}")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"expected JSON ({error})") from error


def application(records: Records, verifier: TokenVerifier) -> Starlette:
    async def one(request: Request, kind: Kind, tenant_id: str) -> Response:
        LOOKED_UP.labels(kind.name, "single").inc()
        found = await records.find(kind, tenant_id, [identifier(request.path_params["id"])])
        if not found:
            return refused(404, "record-unknown", f"this tenant has no {kind.name} of this id")
        return answer(200, found[0])

    async def batch(request: Request, kind: Kind, tenant_id: str) -> Response:
        body = await body_of(request)
        ids = body.get("ids") if isinstance(body, dict) else None
        if not isinstance(ids, list) or len(ids) > BATCH_LIMIT:
            raise Malformed(f'expected {{"ids": [...]}} with at most {BATCH_LIMIT} ids')
        LOOKED_UP.labels(kind.name, "batch").inc(len(ids))
        return answer(200, {"items": await records.find(kind, tenant_id, [identifier(item) for item in ids])})

    async def page(request: Request, kind: Kind, tenant_id: str) -> Response:
        found = await records.page(
            kind,
            tenant_id,
            limit=number(request, "limit", 50, PAGE_LIMIT),
            offset=number(request, "offset", 0, 1_000_000),
            search=request.query_params.get("search", ""),
        )
        return answer(200, {"items": found})

    async def add(request: Request, kind: Kind, tenant_id: str) -> Response:
        values = parse(kind, await body_of(request))
        record_id = uuid4()
        await records.add(kind, tenant_id, record_id, values)
        return answer(201, {"id": record_id, **values})

    def guarded(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def route(request: Request) -> Response:
            kind = KINDS.get(request.path_params["kind"])
            if kind is None:
                return refused(404, "kind-unknown", f"expected one of {', '.join(KINDS)}")
            try:
                identity = await verifier.verify(request.headers.get("authorization"))
                return await handler(request, kind, identity.tenant_id)
            except TokenRefused as error:
                return refused(401, error.code, str(error))
            except KeysUnavailable as error:
                return refused(503, "keys-unavailable", str(error))
            except Taken as error:
                return refused(409, error.code, str(error))
            except Refused as error:
                return refused(400, error.code, str(error))

        return route

    return Starlette(
        routes=[
            Route("/api/v1/{kind}/batch", guarded(batch), methods=["POST"]),
            Route("/api/v1/{kind}/{id}", guarded(one)),
            Route("/api/v1/{kind}", guarded(page)),
            Route("/api/v1/{kind}", guarded(add), methods=["POST"]),
            *health.routes(
                {"service": "masterdata"}, {"database": records.answer, "token keys": verifier.ready}
            ),
            metrics_route(),
        ],
        middleware=[Middleware(RequestMetrics)],
    )
