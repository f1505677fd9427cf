"""Serves the API by uvicorn, until the process is told to stop."""

import socket
from collections.abc import Callable
from typing import Final

import uvicorn
from starlette.applications import Starlette

from tranche.ports import Fault

END_STREAMS_S: Final = 1
"""How long requests under way may take when the server stops; streams would never end by themselves."""


class ServeFault(Fault):
    """The address cannot be listened on."""


class Server(uvicorn.Server):
    """As uvicorn's, and says when it listens."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()


def serve(application: Starlette, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM. Port 0 takes a free one; `ready` is told the address.

    Raises:
        ServeFault: it is taken, or is none of this machine's.
    """
    config = uvicorn.Config(
        application,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=END_STREAMS_S,
    )
    with listening(host.strip("[]"), port) as listener:
        at, taken = listener.getsockname()[:2]
        address = f"http://{f'[{at}]' if ':' in at else at}:{taken}"
        Server(config, lambda: ready(address)).run(sockets=[listener])


def listening(host: str, port: int) -> socket.socket:
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=256)
    except OSError as error:
        raise ServeFault(f"{host}:{port} cannot be listened on ({error}); give another --listen") from error
