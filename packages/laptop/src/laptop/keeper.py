"""The engine's keepers: processes of their own, which would notice our end only a little after it."""

import json
import os
import select
import signal
from collections.abc import Iterator
from pathlib import Path

from laptop.fault import LaptopFault

WITHIN_S = 15.0
"""The grace of a version, and what its keeper needs besides."""


def stop_all(directory: Path) -> None:
    """Ask every keeper that works in this folder to end its version, and wait until it is gone.

    Raises:
        LaptopFault: one did not end in time.
    """
    for pid in list(alive(directory)):
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            signal.pidfd_send_signal(descriptor, signal.SIGTERM)
            if not select.select([descriptor], [], [], WITHIN_S)[0]:
                raise LaptopFault(f"the keeper {pid} did not end within {WITHIN_S:g} s; see {directory}")
        except ProcessLookupError:
            continue
        finally:
            os.close(descriptor)


def alive(directory: Path) -> Iterator[int]:
    """The keepers that run and have their state file here: a recycled pid has another command."""
    for file in sorted(directory.glob("*.json")):
        try:
            pid = int(json.loads(file.read_bytes())["pid"])
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError, KeyError, TypeError):
            continue  # no keeper, or it has ended
        if str(file).encode() in command:
            yield pid
