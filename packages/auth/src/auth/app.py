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

from auth.attempts import Attempts, key_of
from auth.password import Passwords
from auth.token import issue, public_keys
from auth.user import DATABASE_AWAY, Users
from kit import health
from kit.health import answer
from kit.telemetry import RequestMetrics, log, metrics_route
from kit.tokens import Identity, KeysUnavailable, TokenInvalid, TokenRefused, TokenVerifier

LOGINS = Counter("auth_logins_total", "Attempts to log in.", ["outcome"])
BODY_LIMIT_BYTES = 10_000
ASKED = ("tenant", "username", "password")


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
        identity, token_id = await verified(auth, request)
        await auth.users.revoke(token_id, datetime.fromtimestamp(identity.expires_at, UTC))
        return answer(200, {"revoked": str(token_id)})

    async def me(request: Request) -> Response:
        identity, _ = await verified(auth, request)
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
            *health.routes(
                {"service": "auth"}, {"database": auth.users.answer, "token keys": auth.verifier.ready}
            ),
            metrics_route(),
        ],
        middleware=[Middleware(RequestMetrics)],
        exception_handlers={
            TokenRefused: unknown,
            KeysUnavailable: keys_away,
            **dict.fromkeys(DATABASE_AWAY, database_away),
        },
    )


async def log_in(auth: Auth, request: Request) -> Response:
    """Answer a log-in: 200 with a token, 400, 401 or 429. Wrong name and wrong password look alike."""
    asked = await asked_of(request)
    if asked is None:
        return refused(400, "login-malformed", f"expected JSON with the texts {', '.join(ASKED)}")
    tenant, username, password = asked
    tenant_id = await auth.users.tenant_id(tenant)
    # a tenant has an id and a name: counted apart, they would tell which users exist
    key = key_of(str(tenant_id or tenant), username, request.client.host if request.client else "")
    wait_s = auth.attempts.wait_s(key, time.monotonic())
    if wait_s:
        LOGINS.labels("limited").inc()
        told = "too many failed attempts; wait and try again"
        return refused(429, "too-many-attempts", told, {"retry-after": str(int(wait_s) + 1)})
    auth.attempts.begun(key, time.monotonic())  # counted first: many at once get no free guesses
    user = await auth.users.find(tenant_id, username)
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


async def asked_of(request: Request) -> tuple[str, str, str] | None:
    """Tenant, username and password of a log-in; None when there is another thing, or too much of it."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_LIMIT_BYTES:
            return None
    try:
        found = orjson.loads(body)
        tenant, username, password = (found[name] for name in ASKED)
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    fit = all(isinstance(value, str) and "\0" not in value for value in (tenant, username, password))
    return (tenant, username, password) if fit else None


async def verified(auth: Auth, request: Request) -> tuple[Identity, UUID]:
    """The identity behind the request's token, which was not taken back, and the token's id.

    Raises:
        TokenRefused: as `TokenVerifier.verify`, and for a token that is revoked or has no id to revoke.
        KeysUnavailable: as `TokenVerifier.verify`.
    """
    identity = await auth.verifier.verify(request.headers.get("authorization"))
    try:
        token_id = UUID(identity.token_id)
    except ValueError as error:
        raise TokenInvalid from error
    if await auth.users.is_revoked(token_id):
        raise TokenInvalid
    return identity, token_id


async def unknown(_: Request, error: Exception) -> Response:
    """The caller is not known: a refusal."""
    return refused(401, getattr(error, "code", TokenInvalid.code), str(error))


async def keys_away(_: Request, error: Exception) -> Response:
    return refused(503, "keys-unavailable", str(error))


async def database_away(_: Request, error: Exception) -> Response:
    """The world failed: said in the log with its reason, and to the caller without it."""
    log().error("database away", error=f"{type(error).__name__}: {error}")
    return refused(503, "database-unavailable", "the database does not answer; try again")
