"""The HTTP face of finance: GraphQL, exports, health, metrics."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager

import orjson
from prometheus_client import Counter
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from finance.adapters.postgres.opening import OPENER
from finance.exports.route import Desk, ExportsBusy
from finance.graphql.context import Context, Service
from finance.graphql.execution import Executor, failed
from finance.graphql.permission import PermissionMissing
from finance.ids import is_uuid
from finance.ports import Caller, Fault
from finance.refusal import ExportUnknown, NotFound, Refused, TenantUnknown
from finance.scheduling import ACTOR
from kit import health
from kit.health import Check
from kit.telemetry import RequestMetrics, log, metrics_route
from kit.tokens import Identity, KeysUnavailable, TokenRefused, TokenVerifier

BODY_LIMIT_BYTES = 200_000
OPERATIONS = Counter("finance_operations_total", "GraphQL requests by what became of them.", ["status"])
NOBODYS = frozenset({OPENER, ACTOR})
"""Whom the log names where no person asked: a person of that name would be taken for one of them."""

Lifespan = Callable[[Starlette], AbstractAsyncContextManager[None]]


class Named:
    """Puts release and colour on every answer, so that anybody can see who served it."""

    def __init__(self, app: ASGIApp, *, headers: Mapping[str, str]) -> None:
        self._app = app
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self._headers)
            await send(message)

        await self._app(scope, receive, named if scope["type"] == "http" else send)


def reply(status: int, body: object) -> Response:
    return Response(orjson.dumps(body, default=str), status_code=status, media_type="application/json")


def caller_of(identity: Identity, request: Request) -> Caller:
    return Caller(
        user_id=identity.user_id,
        tenant_id=identity.tenant_id,
        permissions=identity.permissions,
        token=request.headers["authorization"].partition(" ")[2],
    )


async def body_of(request: Request) -> bytes | None:
    """The body; None, with the rest left unread, when it is larger than the limit."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_LIMIT_BYTES:
            return None
    return bytes(body)


async def caller_at_door(request: Request, verifier: TokenVerifier) -> Caller | Response:
    """Who asks, by the token and by nothing else; or what they are told instead."""
    try:
        identity = await verifier.verify(request.headers.get("authorization"))
    except TokenRefused as error:
        return reply(401, failed(error.code, str(error)))
    except KeysUnavailable as error:
        return reply(503, failed("keys-unavailable", str(error)))
    if identity.user_id in NOBODYS:
        told = (
            f"'{identity.user_id}' is what the books call themselves; the issuer must name a person otherwise"
        )
        return reply(401, failed("token-invalid", told))
    tenant = request.headers.get("x-tenant-id")
    if tenant is not None and tenant != identity.tenant_id:
        told = "the header x-tenant-id disagrees with the token; drop the header"
        return reply(403, failed("tenant-mismatch", told))
    if not is_uuid(identity.tenant_id):
        return reply(403, failed(TenantUnknown.code, str(TenantUnknown(f"Found {identity.tenant_id[:40]}."))))
    return caller_of(identity, request)


def graphql_route(service: Service, executor: Executor, verifier: TokenVerifier) -> Route:
    async def graphql(request: Request) -> Response:
        answer = await answered(request)
        OPERATIONS.labels(answer.status_code).inc()
        return answer

    async def answered(request: Request) -> Response:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            told = "send application/json: other content types can be forged across sites"
            return reply(415, failed("content-type-unsupported", told))
        caller = await caller_at_door(request, verifier)
        if isinstance(caller, Response):
            return caller
        body = await body_of(request)
        if body is None:
            told = f"expected at most {BODY_LIMIT_BYTES} bytes; ask for less at once"
            return reply(413, failed("request-too-large", told))
        try:
            asked = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            return reply(400, failed("request-malformed", f"expected JSON ({error})"))
        context = Context(service=service, caller=caller, now=service.now())
        return reply(*await executor.run(asked, context))

    return Route("/graphql", graphql, methods=["POST"])


def export_route(service: Service, verifier: TokenVerifier) -> Route:
    desk = Desk()

    async def export(request: Request) -> Response:
        caller = await caller_at_door(request, verifier)
        if isinstance(caller, Response):
            return caller
        context = Context(service=service, caller=caller, now=service.now())
        name, file_format = request.path_params["export"], request.path_params["format"]
        try:
            return await desk.serve(name, file_format, request.query_params.multi_items(), context)
        except PermissionMissing as error:
            return reply(403, failed("permission-missing", error.message))
        except TenantUnknown as error:
            return reply(403, failed(error.code, str(error)))
        except (ExportUnknown, NotFound) as error:
            return reply(404, failed(error.code, str(error)))
        except Refused as error:
            return reply(400, failed(error.code, str(error)))
        except ExportsBusy as error:
            return reply(503, failed(error.code, str(error)))
        except Fault as error:
            log().warning("fault", code=error.code, error=str(error))
            return reply(500, failed(error.code, str(error)))
        except Exception as error:  # noqa: BLE001 - told without its details, as in GraphQL
            log().error("bug", error=f"{type(error).__name__}: {error}", exc_info=error)
            return reply(500, failed("internal", "the service failed; try again"))

    return Route("/exports/{export}.{format}", export, methods=["GET"])


def application(
    *,
    service: Service,
    executor: Executor,
    verifier: TokenVerifier,
    about: Mapping[str, str],
    checks: Mapping[str, Check],
    lifespan: Lifespan,
) -> Starlette:
    """The service. `about` names release and colour; `checks` decide whether it is ready."""
    headers = {f"x-finance-{name}": about[name] for name in ("release", "colour")}
    return Starlette(
        routes=[
            graphql_route(service, executor, verifier),
            export_route(service, verifier),
            *health.routes(about, checks),
            metrics_route(),
        ],
        middleware=[Middleware(Named, headers=headers), Middleware(RequestMetrics)],
        lifespan=lifespan,
    )
