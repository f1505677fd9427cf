"""The engine's keepers: processes of their own, which would notice our end only a little after it."""

import contextlib
import ctypes
import json
import os
import select
import signal
from collections.abc import Iterator
from pathlib import Path

from laptop.fault import LaptopFault

WITHIN_S = 15.0
"""The grace of a version, and what its keeper needs besides."""


PR_SET_CHILD_SUBREAPER = 36


def adopt() -> None:
    """Let orphans of what we start become our children: a keeper outlives the engine that started it, and who started
    neither may take its time to notice that it has ended.
    """
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


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
            with contextlib.suppress(ChildProcessError):  # not ours: who started it sees to that
                os.waitid(os.P_PIDFD, descriptor, os.WEXITED)
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
