"""Health as an orchestrator asks for it: alive, ready, and why not.

`/health/live` says that the process answers. `/health/ready` runs every check and is 503 when one fails, does
not answer in time, or when there is nothing to check: no data is never a pass. `/health` shows them all.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

Check = Callable[[], Awaitable[None]]
"""Returns when all is well, raises with the reason when not."""

TIMEOUT_S = 2.0


async def ask(check: Check) -> str | None:
    """None when all is well, the reason otherwise."""
    try:
        await asyncio.wait_for(check(), TIMEOUT_S)
    except TimeoutError:
        return f"no answer within {TIMEOUT_S:g} s"
    except Exception as error:  # noqa: BLE001 - whatever goes wrong makes the check fail, and is said
        return f"{type(error).__name__}: {error}"
    return None


def routes(about: Mapping[str, object], checks: Mapping[str, Check]) -> list[Route]:
    """The three health routes. `about` is shown in `/health`: service, release, colour."""

    async def read() -> dict[str, str | None]:
        answers = await asyncio.gather(*(ask(check) for check in checks.values()))
        return dict(zip(checks, answers, strict=True))

    async def live(_: Request) -> Response:
        return answer(200, {"status": "live"})

    async def ready(_: Request) -> Response:
        failed = {name: why for name, why in (await read()).items() if why is not None}
        if not checks:
            failed = {"checks": "there is nothing to check"}
        if failed:
            return answer(503, {"status": "not ready", "failed": failed})
        return answer(200, {"status": "ready"})

    async def health(_: Request) -> Response:
        found = await read()
        good = bool(found) and not any(found.values())
        shown = {name: why or "ok" for name, why in found.items()}
        status = "ready" if good else "not ready"
        return answer(200 if good else 503, {**about, "status": status, "checks": shown})

    return [Route("/health/live", live), Route("/health/ready", ready), Route("/health", health)]


def answer(status: int, body: object) -> Response:
    return Response(orjson.dumps(body), status_code=status, media_type="application/json")
