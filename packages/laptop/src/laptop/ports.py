"""Free ports of this machine's loopback address."""

import contextlib
import socket

from laptop.fault import LaptopFault

HOST = "127.0.0.1"


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago, all different."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((HOST, 0))
        return [one.getsockname()[1] for one in sockets]


def demand(port: int) -> int:
    """This port.

    Raises:
        LaptopFault: somebody listens there.
    """
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind((HOST, port))
        except OSError as error:
            raise LaptopFault(
                f"port {port} is busy ({error.strerror}); choose another, or leave --port out"
            ) from error
    return port
