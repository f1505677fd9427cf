"""The HTTP face of master data. The tenant comes from the verified token and from nowhere else."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final
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
from kit.telemetry import RequestMetrics, log, metrics_route
from kit.tokens import Identity, KeysUnavailable, TokenRefused, TokenVerifier
from masterdata.record import BATCH_LIMIT, DATABASE_AWAY, KINDS, PAGE_LIMIT, Kind, Records, parse
from masterdata.refusal import (
    Forbidden,
    Refused,
    Taken,
    TenantMismatch,
    TenantUnknown,
    TooLarge,
    Unclear,
    Unknown,
    UnknownKind,
)

LOOKED_UP = Counter("masterdata_records_looked_up_total", "Records asked for by id.", ["kind", "way"])
BODY_LIMIT_BYTES = 100_000
SEARCH_LIMIT = 255
STATUS: Final[Mapping[type[Exception], int]] = {
    Unknown: 404,
    UnknownKind: 404,
    Taken: 409,
    TooLarge: 413,
    Forbidden: 403,
    TenantUnknown: 403,
    TenantMismatch: 403,
}
"""Every other refusal is 400."""
Handler = Callable[[Request, Kind, str], Awaitable[Response]]


def refused(status: int, code: str, message: str) -> Response:
    return answer(status, {"code": code, "message": message})


def identifier(text: object) -> UUID:
    try:
        return UUID(str(text))
    except ValueError:
        raise Unclear(f"expected a UUID, found {str(text)[:60]!r}") from None


def number(request: Request, name: str, default: int, most: int) -> int:
    text = request.query_params.get(name, str(default))
    if not (text.isdecimal() and len(text) <= len(str(most)) and int(text) <= most):
        raise Unclear(f"{name}: expected a whole number up to {most}, found {text[:60]!r}")
    return int(text)


def search_of(request: Request) -> str:
    text = request.query_params.get("search", "")
    if "\0" in text or len(text) > SEARCH_LIMIT:
        raise Unclear(f"search: expected a part of a name of up to {SEARCH_LIMIT} characters")
    return text


async def body_of(request: Request) -> object:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_LIMIT_BYTES:
            raise TooLarge(f"expected at most {BODY_LIMIT_BYTES} bytes; send less at once")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Unclear(f"expected JSON ({error})") from error


def tenant_of(request: Request, identity: Identity) -> str:
    """The token's tenant.

    Raises:
        TenantMismatch: a header wants another.
        TenantUnknown: it is no identifier, so nobody can have records under it.
    """
    wanted = request.headers.get("x-tenant-id")
    if wanted is not None and wanted != identity.tenant_id:
        raise TenantMismatch("the header x-tenant-id disagrees with the token; drop the header")
    try:
        return str(UUID(identity.tenant_id))
    except ValueError:
        raise TenantUnknown("the tenant of the token is no UUID; log in again") from None


def kind_of(request: Request) -> Kind:
    name = request.path_params["kind"]
    if name not in KINDS:
        raise UnknownKind(f"expected one of {', '.join(KINDS)}")
    return KINDS[name]


def application(records: Records, verifier: TokenVerifier) -> Starlette:
    async def one(request: Request, kind: Kind, tenant_id: str) -> Response:
        LOOKED_UP.labels(kind.name, "single").inc()
        found = await records.find(kind, tenant_id, [identifier(request.path_params["id"])])
        if not found:
            raise Unknown(f"this tenant has no {kind.name} of this id")
        return answer(200, found[0])

    async def batch(request: Request, kind: Kind, tenant_id: str) -> Response:
        body = await body_of(request)
        asked = body.get("ids") if isinstance(body, dict) else None
        if not isinstance(asked, list) or len(asked) > BATCH_LIMIT:
            found = f"{len(asked)} ids" if isinstance(asked, list) else "another thing"
            raise Unclear(f'expected {{"ids": [...]}} with at most {BATCH_LIMIT} ids, found {found}')
        ids = [identifier(item) for item in asked]
        LOOKED_UP.labels(kind.name, "batch").inc(len(ids))
        items = await records.find(kind, tenant_id, ids)
        known = {item["id"] for item in items}
        missing = [name for name in map(str, dict.fromkeys(ids)) if name not in known]
        return answer(200, {"items": items, "missing": missing})

    async def page(request: Request, kind: Kind, tenant_id: str) -> Response:
        found = await records.page(
            kind,
            tenant_id,
            limit=number(request, "limit", 50, PAGE_LIMIT),
            offset=number(request, "offset", 0, 1_000_000),
            search=search_of(request),
        )
        return answer(200, {"items": found})

    async def add(request: Request, kind: Kind, tenant_id: str) -> Response:
        values = parse(kind, await body_of(request))
        record_id = uuid4()
        await records.add(kind, tenant_id, record_id, values)
        return answer(201, {"id": record_id, **values})

    def guarded(handler: Handler, verb: str) -> Callable[[Request], Awaitable[Response]]:
        async def route(request: Request) -> Response:
            identity = await verifier.verify(request.headers.get("authorization"))
            kind, tenant_id = kind_of(request), tenant_of(request, identity)
            needed = f"{kind.name}:{verb}"
            if needed not in identity.permissions:
                raise Forbidden(f"this needs the permission {needed}; ask for a role that has it")
            return await handler(request, kind, tenant_id)

        return route

    return Starlette(
        routes=[
            Route("/api/v1/{kind}/batch", guarded(batch, "read"), methods=["POST"]),
            Route("/api/v1/{kind}/{id}", guarded(one, "read")),
            Route("/api/v1/{kind}", guarded(page, "read")),
            Route("/api/v1/{kind}", guarded(add, "create"), methods=["POST"]),
            *health.routes(
                {"service": "masterdata"}, {"database": records.answer, "token keys": verifier.ready}
            ),
            metrics_route(),
        ],
        middleware=[Middleware(RequestMetrics)],
        exception_handlers={
            TokenRefused: caller_unknown,
            KeysUnavailable: keys_away,
            Refused: rules_say_no,
            **dict.fromkeys(DATABASE_AWAY, database_away),
        },
    )


async def caller_unknown(_: Request, error: Exception) -> Response:
    return refused(401, getattr(error, "code", TokenRefused.code), str(error))


async def keys_away(_: Request, error: Exception) -> Response:
    return refused(503, "keys-unavailable", str(error))


async def rules_say_no(_: Request, error: Exception) -> Response:
    return refused(STATUS.get(type(error), 400), getattr(error, "code", Refused.code), str(error))


async def database_away(_: Request, error: Exception) -> Response:
    """The world failed: said in the log with its reason, and to the caller without it."""
    log().error("database away", error=f"{type(error).__name__}: {error}")
    return refused(503, "database-unavailable", "the database does not answer; try again")
