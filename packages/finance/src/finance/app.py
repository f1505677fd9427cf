"""The HTTP face of finance: GraphQL, health, metrics."""

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

from finance.graphql.context import Context, Service
from finance.graphql.execution import Executor, failed
from finance.ports import Caller
from kit import health
from kit.health import Check
from kit.telemetry import RequestMetrics, metrics_route
from kit.tokens import Identity, KeysUnavailable, TokenRefused, TokenVerifier

BODY_LIMIT_BYTES = 200_000
OPERATIONS = Counter("finance_operations_total", "GraphQL requests by what became of them.", ["status"])
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
    OPERATIONS.labels(status).inc()
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


def graphql_route(service: Service, executor: Executor, verifier: TokenVerifier) -> Route:
    async def graphql(request: Request) -> Response:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            told = "send application/json: other content types can be forged across sites"
            return reply(415, failed("content-type-unsupported", told))
        try:
            identity = await verifier.verify(request.headers.get("authorization"))
        except TokenRefused as error:
            return reply(401, failed(error.code, str(error)))
        except KeysUnavailable as error:
            return reply(503, failed("keys-unavailable", str(error)))
        tenant = request.headers.get("x-tenant-id")
        if tenant is not None and tenant != identity.tenant_id:
            told = "the header x-tenant-id disagrees with the token; drop the header"
            return reply(403, failed("tenant-mismatch", told))
        body = await body_of(request)
        if body is None:
            told = f"expected at most {BODY_LIMIT_BYTES} bytes; ask for less at once"
            return reply(413, failed("request-too-large", told))
        try:
            asked = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            return reply(400, failed("request-malformed", f"expected JSON ({error})"))
        context = Context(service=service, caller=caller_of(identity, request), now=service.now())
        return reply(*await executor.run(asked, context))

    return Route("/graphql", graphql, methods=["POST"])


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
        routes=[graphql_route(service, executor, verifier), *health.routes(about, checks), metrics_route()],
        middleware=[Middleware(Named, headers=headers), Middleware(RequestMetrics)],
        lifespan=lifespan,
    )
