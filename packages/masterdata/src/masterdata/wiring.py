"""Settings become objects here and nowhere else."""

from dataclasses import dataclass
from typing import Literal

from starlette.types import ASGIApp

from kit.database import UNREACHABLE, open_pool
from kit.serve import ServiceFault
from kit.settings import secret
from kit.telemetry import configure_logging
from kit.tokens import TokenVerifier
from masterdata.app import application
from masterdata.record import Records


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`MASTERDATA_*`. The owner's database URL is for `migrate` and `seed`; the service is no owner:

    in production it refuses a role that could read another tenant's records.
    """

    database_url: str = secret(default="")
    owner_database_url: str = secret(default="")
    host: str = "127.0.0.1"
    port: int = 8002
    issuer: str = "tranche-auth"
    jwks_url: str = ""
    deployment: Literal["production", "laptop"] = "production"


async def build(settings: Settings) -> ASGIApp:
    """The application, with its database reached.

    Raises:
        ServiceFault: a setting is missing or unsafe, or the database does not answer or has no tables.
    """
    configure_logging(service="masterdata")
    for name in ("database_url", "jwks_url"):
        if not getattr(settings, name):
            raise ServiceFault(f"MASTERDATA_{name.upper()} is missing; set it")
    pool = await open_pool(settings.database_url, setting="MASTERDATA_DATABASE_URL", name="masterdata")
    records = Records(pool)
    try:
        bound = await records.is_bound()
    except UNREACHABLE as error:
        told = f"no tables for this role ({error}); did 'masterdata migrate' run?"
        raise ServiceFault(f"MASTERDATA_DATABASE_URL: {told}") from error
    if not bound and settings.deployment == "production":
        told = "this role can put row level security aside, which is refused in production"
        raise ServiceFault(f"MASTERDATA_DATABASE_URL: {told}; connect as masterdata_app")
    return application(records, TokenVerifier(issuer=settings.issuer, jwks_url=settings.jwks_url))
