"""Ready means: every check was run, and passed, in time. Anything else is a 503 that says why."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import aiohttp
import pytest
from starlette.applications import Starlette
from starlette.types import ASGIApp

from kit import health
from kit.health import Check, ask

ABOUT = {"service": "shop", "release": "1.1.0", "colour": "green"}
Served = Callable[[ASGIApp], Awaitable[str]]


async def passes() -> None:
    """All is well."""


async def fails() -> None:
    raise ConnectionError("the database is away")


async def hangs() -> None:
    await asyncio.Event().wait()


async def read(served: Served, checks: Mapping[str, Check], path: str) -> tuple[int, str, Any]:
    url = await served(Starlette(routes=health.routes(ABOUT, checks)))
    patience = aiohttp.ClientTimeout(total=1.5)
    async with aiohttp.ClientSession(timeout=patience) as session, session.get(f"{url}{path}") as answer:
        return answer.status, answer.content_type, await answer.json()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A check has a twentieth of a second."""
    monkeypatch.setattr(health, "TIMEOUT_S", 0.05)


async def test_it_lives_whatever_its_checks_say(served: Served) -> None:
    found = await read(served, {"database": fails}, "/health/live")
    assert found == (200, "application/json", {"status": "live"})


async def test_it_is_ready_when_all_checks_pass(served: Served) -> None:
    found = await read(served, {"database": passes, "keys": passes}, "/health/ready")
    assert found == (200, "application/json", {"status": "ready"})


async def test_one_failed_check_is_enough_and_is_named(served: Served) -> None:
    found = await read(served, {"database": fails, "keys": passes}, "/health/ready")
    why = {"database": "ConnectionError: the database is away"}
    assert found == (503, "application/json", {"status": "not ready", "failed": why})


async def test_a_check_that_does_not_answer_in_time_has_failed(served: Served, impatient: None) -> None:
    status, _, body = await read(served, {"database": hangs, "keys": passes}, "/health/ready")
    assert (status, body["failed"]) == (503, {"database": "no answer within 0.05 s"})


async def test_nothing_to_check_is_no_pass(served: Served) -> None:
    status, _, body = await read(served, {}, "/health/ready")
    assert (status, body["failed"]) == (503, {"checks": "there is nothing to check"})
    status, _, body = await read(served, {}, "/health")
    assert (status, body["status"]) == (503, "not ready")


async def test_everything_is_shown_with_what_the_service_is(served: Served) -> None:
    found = await read(served, {"database": passes}, "/health")
    assert found == (200, "application/json", {**ABOUT, "status": "ready", "checks": {"database": "ok"}})


async def test_what_fails_is_shown_beside_what_passes(served: Served) -> None:
    status, _, body = await read(served, {"keys": passes, "database": fails}, "/health")
    assert (status, body["status"]) == (503, "not ready")
    assert body["checks"] == {"keys": "ok", "database": "ConnectionError: the database is away"}


async def test_checks_are_run_side_by_side(served: Served) -> None:
    meeting = asyncio.Barrier(3)

    async def meets() -> None:
        await meeting.wait()

    status, _, _ = await read(served, {"a": meets, "b": meets, "c": meets}, "/health/ready")
    assert status == 200


async def test_checks_are_run_anew_for_every_question(served: Served) -> None:
    reasons = ["not yet"]

    async def recovers() -> None:
        if reasons:
            raise OSError(reasons.pop())

    url = await served(Starlette(routes=health.routes(ABOUT, {"it": recovers})))
    async with aiohttp.ClientSession() as session:
        seen = []
        for _ in range(2):
            async with session.get(f"{url}/health/ready") as answer:
                seen.append(answer.status)
    assert seen == [503, 200]


async def test_a_check_that_ran_out_of_its_own_time_has_failed_too() -> None:
    async def gives_up() -> None:
        raise TimeoutError("the pool is empty")

    assert await ask(gives_up) is not None
    assert await ask(passes) is None
