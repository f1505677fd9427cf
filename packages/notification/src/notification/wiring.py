"""Settings become objects here and nowhere else."""

from dataclasses import dataclass

from starlette.types import ASGIApp

from kit.telemetry import configure_logging
from notification.app import application


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`NOTIFICATION_*`."""

    host: str = "127.0.0.1"
    port: int = 8003


async def build() -> ASGIApp:
    configure_logging(service="notification")
    return application()
