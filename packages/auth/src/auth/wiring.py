"""Settings become objects here and nowhere else."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from uuid import uuid4

from starlette.types import ASGIApp

from auth.app import Auth, application
from auth.attempts import Attempts
from auth.password import OWASP_MEMORY_KIB, OWASP_TIME_COST, Passwords
from auth.token import load_key
from auth.user import Users
from kit.database import open_pool
from kit.serve import ServiceFault
from kit.settings import secret
from kit.telemetry import configure_logging
from kit.tokens import TokenVerifier

LIFETIME_S = (60, 86_400)
"""A token lives a minute at least, or it is over before it is used; a day at most: services that check tokens
by signature alone believe one that was taken back until it has expired."""
ARGON2_LEAST_KIB = 8
"""RFC 9106, section 3.1: eight KiB for each lane, and there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`AUTH_*`. Costs of argon2id in KiB and passes; the lifetime of a token in seconds."""

    database_url: str = secret(default="")
    owner_database_url: str = secret(default="")
    host: str = "127.0.0.1"
    port: int = 8001
    issuer: str = "tranche-auth"
    signing_key_file: str = ""
    token_lifetime_s: int = 3600
    argon2_memory_kib: int = OWASP_MEMORY_KIB
    argon2_time_cost: int = OWASP_TIME_COST
    deployment: Literal["production", "laptop"] = "production"


def check(settings: Settings) -> None:
    """Refuse what cannot work anywhere, and what must not run in production.

    Raises:
        ServiceFault: naming the setting.
    """
    if not settings.issuer:
        raise ServiceFault("AUTH_ISSUER: expected a name, found nothing; set it")
    shortest, longest = LIFETIME_S
    if not shortest <= settings.token_lifetime_s <= longest:
        told = f"expected {shortest} to {longest} seconds, found {settings.token_lifetime_s}; choose between them"
        raise ServiceFault(f"AUTH_TOKEN_LIFETIME_S: {told}")
    if settings.argon2_memory_kib < ARGON2_LEAST_KIB or settings.argon2_time_cost < 1:
        told = f"argon2 needs {ARGON2_LEAST_KIB} KiB and a pass at least; raise them"
        raise ServiceFault(f"AUTH_ARGON2_MEMORY_KIB, AUTH_ARGON2_TIME_COST: {told}")
    if settings.deployment != "production":
        return
    if settings.argon2_memory_kib < OWASP_MEMORY_KIB or settings.argon2_time_cost < OWASP_TIME_COST:
        told = f"argon2 below {OWASP_MEMORY_KIB} KiB and {OWASP_TIME_COST} passes is refused in production"
        raise ServiceFault(f"AUTH_ARGON2_MEMORY_KIB, AUTH_ARGON2_TIME_COST: {told}; raise them")


def passwords(settings: Settings) -> Passwords:
    check(settings)
    return Passwords(memory_kib=settings.argon2_memory_kib, time_cost=settings.argon2_time_cost)


async def build(settings: Settings) -> ASGIApp:
    """The application, with its database reached and its key read.

    Raises:
        ServiceFault: a setting is missing or unsafe, or the database does not answer.
    """
    configure_logging(service="auth")
    for name in ("database_url", "signing_key_file"):
        if not getattr(settings, name):
            raise ServiceFault(f"AUTH_{name.upper()} is missing; set it")
    hashing = passwords(settings)
    key = load_key(Path(settings.signing_key_file))
    pool = await open_pool(settings.database_url, setting="AUTH_DATABASE_URL", name="auth")
    jwks_url = f"http://{settings.host}:{settings.port}/auth/.well-known/jwks.json"
    return application(
        Auth(
            users=Users(pool),
            passwords=hashing,
            attempts=Attempts(),
            key=key,
            verifier=TokenVerifier(issuer=settings.issuer, jwks_url=jwks_url),
            issuer=settings.issuer,
            token_lifetime_s=settings.token_lifetime_s,
            new_id=uuid4,
        )
    )
