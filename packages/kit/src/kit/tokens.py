"""Who is calling: a signed token, checked here and nowhere remote.

Tokens are JWTs (RFC 7519) signed with Ed25519 (RFC 8037). Only that algorithm is accepted, whatever the
token's header says; issuer, audience, expiry and not-before are required. Keys come from the issuer's
published set, read again when a token names a key that is not known, but at most every few seconds.
"""

import asyncio
import time
from collections import OrderedDict
from copy import copy
from dataclasses import dataclass
from typing import Any

import aiohttp
from joserfc import jwt
from joserfc.errors import ExpiredTokenError, JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

EDDSA = copy(JWSRegistry.algorithms["EdDSA"])
EDDSA.security_warning = None  # RFC 9864 prefers the name Ed25519, which Envoy does not know
SIGNATURES = JWSRegistry(algorithms=["Ed25519", "EdDSA"])
SIGNATURES.algorithms = {**JWSRegistry.algorithms, "EdDSA": EDDSA}
AUDIENCE = "tranche"
LEEWAY_S = 5
LONGEST = 200  # characters of a name; all of them are printed, as it is written into logs and books
REMEMBERED = 20_000
REFRESH_S = 5.0
TIMEOUT = aiohttp.ClientTimeout(total=3)


class TokenRefused(Exception):
    """The caller is not known; `code` is stable, the docstring is the message."""

    code = "token-invalid"

    def __str__(self) -> str:
        return " ".join((self.__doc__ or "").split())


class TokenMissing(TokenRefused):
    """No bearer token came with the request; log in and send 'Authorization: Bearer ...'."""

    code = "token-missing"


class TokenInvalid(TokenRefused):
    """The token was not issued by this system, or was changed since; log in again."""


class TokenExpired(TokenRefused):
    """The token's time is over; log in again."""

    code = "token-expired"


class KeysUnavailable(Exception):
    """The issuer's keys cannot be read: a fault, not a refusal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a verified token says of its bearer. `expires_at` is in seconds since the epoch."""

    user_id: str
    tenant_id: str
    roles: frozenset[str]
    permissions: frozenset[str]
    internal: bool
    token_id: str
    expires_at: int


class TokenVerifier:
    """Checks tokens against the issuer's keys; remembers those it checked until they expire."""

    def __init__(self, *, issuer: str, jwks_url: str) -> None:
        self._jwks_url = jwks_url
        self._keys: KeySet | None = None
        self._asked_at = -REFRESH_S
        self._lock = asyncio.Lock()
        self._known: OrderedDict[str, Identity] = OrderedDict()
        self._claims = jwt.JWTClaimsRegistry(
            leeway=LEEWAY_S,
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "value": AUDIENCE},
            exp={"essential": True},
            nbf={"essential": True},
            sub={"essential": True},
            tenant={"essential": True},
        )

    async def verify(self, authorization: str | None) -> Identity:
        """The identity behind an Authorization header.

        Raises:
            TokenRefused: one of its kinds.
            KeysUnavailable: the keys were never read and cannot be.
        """
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise TokenMissing
        known = self._known.get(token)
        if known is not None:
            if known.expires_at + LEEWAY_S < time.time():
                del self._known[token]
                raise TokenExpired
            return known
        identity = self._identity(await self._claims_of(token))
        self._known[token] = identity
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return identity

    async def ready(self) -> None:
        """Read the keys if none are known yet.

        Raises:
            KeysUnavailable: they cannot be read.
        """
        if self._keys is None:
            await self._refresh()

    async def _claims_of(self, token: str) -> dict[str, Any]:
        await self.ready()
        keys = self._keys
        try:
            return self._decode(token)
        except TokenInvalid:
            await self._refresh()
            if self._keys is keys:
                raise
            return self._decode(token)

    def _decode(self, token: str) -> dict[str, Any]:
        assert self._keys is not None  # noqa: S101 - ready() was awaited
        try:
            decoded = jwt.decode(token, self._keys, registry=SIGNATURES)
            self._claims.validate(decoded.claims)
        except ExpiredTokenError as error:
            raise TokenExpired from error
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise TokenInvalid from error
        return decoded.claims

    def _identity(self, claims: dict[str, Any]) -> Identity:
        roles, permissions = claims.get("roles", []), claims.get("permissions", [])
        if not isinstance(roles, list) or not isinstance(permissions, list):
            raise TokenInvalid
        named = (claims["sub"], claims["tenant"], *roles, *permissions)
        if not all(isinstance(one, str) and 1 <= len(one) <= LONGEST and one.isprintable() for one in named):
            raise TokenInvalid
        return Identity(
            user_id=claims["sub"],
            tenant_id=claims["tenant"],
            roles=frozenset(roles),
            permissions=frozenset(permissions),
            internal=claims.get("internal") is True,
            token_id=str(claims.get("jti", "")),
            expires_at=int(claims["exp"]),
        )

    async def _refresh(self) -> None:
        """Read the keys again, unless they are known and were asked for a moment ago."""
        async with self._lock:
            if self._keys is not None and time.monotonic() - self._asked_at < REFRESH_S:
                return
            self._asked_at = time.monotonic()
            try:
                async with aiohttp.request("GET", self._jwks_url, timeout=TIMEOUT) as answer:
                    answer.raise_for_status()
                    self._keys = KeySet.import_key_set(await answer.json())
            except (aiohttp.ClientError, TimeoutError, JoseError, ValueError, TypeError, KeyError) as error:
                if self._keys is None:
                    raise KeysUnavailable(f"keys expected at {self._jwks_url}: {error}") from error
