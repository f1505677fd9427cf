"""Runs a service until it is told to stop, letting requests under way finish."""

import asyncio
import signal
import socket
import sys
from collections.abc import Awaitable, Callable

import uvicorn
import uvloop
from starlette.types import ASGIApp

REFUSED, FAULT = 1, 3
"""Exit codes: the rules say no; the world did not do it."""


class ServiceFault(Exception):
    """A service cannot start; the text is one line for people."""


def fail(message: str, code: int = FAULT) -> int:
    """Say one line on standard error; returns the exit code."""
    sys.stderr.write(f"{message}\n")
    return code


def listen(host: str, port: int) -> socket.socket:
    """A listening socket: the port is ours while the service is still being built.

    Raises:
        ServiceFault: the port is busy, or the address is not of this machine.
    """
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
        bound.listen()
    except (OSError, OverflowError) as error:
        bound.close()
        why = getattr(error, "strerror", error)
        raise ServiceFault(f"cannot listen on {host}:{port} ({why}); choose another port") from error
    return bound


def run(
    build: Callable[[], Awaitable[ASGIApp]],
    *,
    host: str,
    port: int,
    max_requests: int | None = None,
    grace_s: int = 10,
) -> None:
    """Build the application in the event loop and serve it until SIGTERM or SIGINT.

    `max_requests` ends the process after so many, as deployments do that recycle their workers.

    Raises:
        ServiceFault: the port is busy, or `build` could not reach what it needs.
    """
    bound = listen(host, port)

    async def serve() -> None:
        config = uvicorn.Config(
            await build(),
            log_config=None,
            access_log=False,
            lifespan="on",
            timeout_graceful_shutdown=grace_s,
            timeout_keep_alive=75,
            limit_max_requests=max_requests,
            server_header=False,
        )
        for told in (signal.SIGTERM, signal.SIGINT):
            signal.signal(told, lambda *_: None)  # uvicorn raises it again when all is finished
        await uvicorn.Server(config).serve(sockets=[bound])

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve())
    finally:
        bound.close()
