"""The HTTP face of auth."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import orjson
from joserfc.jwk import OKPKey
from prometheus_client import Counter
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from auth.attempts import Attempts
from auth.password import Passwords
from auth.token import issue, public_keys
from auth.user import Users
from kit import health
from kit.health import answer
from kit.telemetry import RequestMetrics, metrics_route
from kit.tokens import Identity, TokenInvalid, TokenRefused, TokenVerifier

LOGINS = Counter("auth_logins_total", "Attempts to log in.", ["outcome"])
BODY_LIMIT_BYTES = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Auth:
    """Everything the routes need."""

    users: Users
    passwords: Passwords
    attempts: Attempts
    key: OKPKey
    verifier: TokenVerifier
    issuer: str
    token_lifetime_s: int
    new_id: Callable[[], UUID]


def refused(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Response:
    found = answer(status, {"code": code, "message": message})
    found.headers.update(headers or {})
    return found


def application(auth: Auth) -> Starlette:
    async def login(request: Request) -> Response:
        return await log_in(auth, request)

    async def revoke(request: Request) -> Response:
        try:
            identity = await verified(auth, request)
        except TokenRefused as error:
            return refused(401, error.code, str(error))
        await auth.users.revoke(UUID(identity.token_id), datetime.fromtimestamp(identity.expires_at, UTC))
        return answer(200, {"revoked": identity.token_id})

    async def me(request: Request) -> Response:
        try:
            identity = await verified(auth, request)
        except TokenRefused as error:
            return refused(401, error.code, str(error))
        return answer(
            200,
            {
                "id": identity.user_id,
                "tenant": identity.tenant_id,
                "roles": sorted(identity.roles),
                "permissions": sorted(identity.permissions),
                "internal": identity.internal,
            },
        )

    async def keys(_: Request) -> Response:
        return answer(200, public_keys(auth.key))

    async def revoked(_: Request) -> Response:
        return answer(200, {"revoked": await auth.users.revoked()})

    return Starlette(
        routes=[
            Route("/auth/login", login, methods=["POST"]),
            Route("/auth/revoke", revoke, methods=["POST"]),
            Route("/auth/me", me),
            Route("/auth/revoked", revoked),
            Route("/auth/.well-known/jwks.json", keys),
            *health.routes({"service": "auth"}, {"database": auth.users.answer}),
            metrics_route(),
        ],
        middleware=[Middleware(RequestMetrics)],
    )


async def log_in(auth: Auth, request: Request) -> Response:
    """Answer a log-in: 200 with a token, 400, 401 or 429. Wrong name and wrong password look alike."""
    body = await request.body()
    try:
        asked = orjson.loads(body) if len(body) <= BODY_LIMIT_BYTES else {}
        tenant, username, password = (asked[name] for name in ("tenant", "username", "password"))
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return refused(400, "login-malformed", "expected JSON with tenant, username and password")
    if not all(isinstance(value, str) and "\0" not in value for value in (tenant, username, password)):
        return refused(400, "login-malformed", "expected tenant, username and password to be texts")
    key = f"{tenant}/{username}/{request.client.host if request.client else ''}"
    wait_s = auth.attempts.wait_s(key, time.monotonic())
    if wait_s:
        LOGINS.labels("limited").inc()
        told = "too many failed attempts; wait and try again"
        return refused(429, "too-many-attempts", told, {"retry-after": str(int(wait_s) + 1)})
    auth.attempts.begun(key, time.monotonic())  # counted first: many at once get no free guesses
    user = await auth.users.find(tenant, username)
    if not await auth.passwords.matches(user.password_hash if user else None, password) or user is None:
        LOGINS.labels("refused").inc()
        return refused(401, "invalid-credentials", "no user of this tenant has this name and password")
    auth.attempts.succeeded(key)
    LOGINS.labels("done").inc()
    token = issue(
        auth.key,
        user,
        issuer=auth.issuer,
        token_id=auth.new_id(),
        now=datetime.now(UTC),
        lifetime=timedelta(seconds=auth.token_lifetime_s),
    )
    return answer(200, {"access_token": token, "token_type": "Bearer", "expires_in": auth.token_lifetime_s})


async def verified(auth: Auth, request: Request) -> Identity:
    """The identity behind the request's token, which was not taken back.

    Raises:
        TokenRefused: as `TokenVerifier.verify`, and for a revoked token.
    """
    identity = await auth.verifier.verify(request.headers.get("authorization"))
    if await auth.users.is_revoked(UUID(identity.token_id)):
        raise TokenInvalid
    return identity
