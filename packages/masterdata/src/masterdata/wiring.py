"""Settings become objects here and nowhere else."""

from dataclasses import dataclass
from typing import Literal

from starlette.types import ASGIApp

from kit.database import open_pool
from kit.serve import ServiceFault
from kit.settings import secret
from kit.telemetry import configure_logging
from kit.tokens import TokenVerifier
from masterdata.app import application
from masterdata.record import Records


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`MASTERDATA_*`. The owner's database URL is for `migrate` and `seed`; the service is no owner."""

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
        ServiceFault: a setting is missing, or the database does not answer.
    """
    configure_logging(service="masterdata")
    for name in ("database_url", "jwks_url"):
        if not getattr(settings, name):
            raise ServiceFault(f"MASTERDATA_{name.upper()} is missing; set it")
    pool = await open_pool(settings.database_url, setting="MASTERDATA_DATABASE_URL", name="masterdata")
    return application(Records(pool), TokenVerifier(issuer=settings.issuer, jwks_url=settings.jwks_url))
