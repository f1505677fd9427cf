"""The HTTP face of the stub. It accepts nothing, so that nobody believes a message was sent."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kit import health
from kit.health import answer
from kit.telemetry import metrics_route

STUB = "stub: accepts nothing, sends nothing"


async def alive() -> None:
    """The stub needs nothing, so it lacks nothing."""


def application() -> Starlette:
    async def messages(_: Request) -> Response:
        return answer(501, {"code": "not-implemented", "message": f"{STUB}; send by other means"})

    return Starlette(
        routes=[
            Route("/api/v1/messages", messages, methods=["POST"]),
            *health.routes({"service": "notification", "about": STUB}, {"stub": alive}),
            metrics_route(),
        ]
    )
