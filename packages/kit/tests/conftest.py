"""What tests of kit share: an application behind a real port, in the loop of the test."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import uvicorn
from starlette.types import ASGIApp

Served = Callable[[ASGIApp], Awaitable[str]]


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    """Serves an application and tells its URL, until the test is over."""
    running: list[tuple[uvicorn.Server, asyncio.Task[None]]] = []

    async def serve(app: ASGIApp) -> str:
        bound = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off"))
        running.append((server, asyncio.create_task(server._serve(sockets=[bound]))))
        return f"http://127.0.0.1:{bound.getsockname()[1]}"

    yield serve
    for server, task in running:
        server.should_exit = True
        await task
