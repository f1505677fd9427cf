"""Keeps one version running: starts it, restarts it when it dies, ends it when asked.

    python -m tranche.adapters.keeper STATE_FILE

A process of its own, in a session of its own, so that it outlives the controller that started it. It ends with the
process named as its lifeline, and takes everything it started with it. What it does is in its state file, which
is replaced whole. SIGTERM: let the version finish, then end.
"""

import contextlib
import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tranche.adapters.durable import write_atomically
from tranche.adapters.pids import started_at

PR_SET_PDEATHSIG = 1
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 5.0
STEADY_S = 30.0
LOOK_S = 0.1


class Stopped(Exception):
    """Somebody asked the keeper to end."""


def die_with_parent() -> None:
    """For the child, before it becomes the version: end when the keeper is killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


class Keeper:
    """One version under one colour. `order` is what the process environment wrote for it."""

    def __init__(self, order: dict[str, Any], state_file: Path) -> None:
        self._order = order
        self._state_file = state_file
        self._state: dict[str, Any] = {
            "pid": os.getpid(),
            "started": started_at(os.getpid()),
            "version": order["version"],
            "restarts": 0,
            "running": False,
            "detail": "starting",
        }

    def run(self) -> None:
        pause_s = SHORTEST_PAUSE_S
        try:
            while True:
                begun = time.monotonic()
                code = self._run_once()
                self._state["restarts"] += 1
                how = f"signal {-code}" if code < 0 else f"exit {code}"
                self._show(running=False, detail=f"died ({how}); see {self._order['log']}")
                pause_s = SHORTEST_PAUSE_S if time.monotonic() - begun > STEADY_S else pause_s
                self._wait(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        except Stopped:
            self._show(running=False, detail="stopped")

    def _run_once(self) -> int:
        """Run the version until it ends; its exit code, negative for a signal."""
        with Path(self._order["log"]).open("ab") as log:
            try:
                process = subprocess.Popen(
                    self._order["command"],
                    env={**os.environ, **self._order["environment"]},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    preexec_fn=die_with_parent,  # noqa: PLW1509 - the keeper has one thread
                )
            except OSError as error:
                log.write(f"{self._order['command'][0]}: {error}\n".encode())
                return 127
        self._show(running=True, detail="")
        try:
            while process.poll() is None:
                self._wait(LOOK_S)
        except Stopped:
            self._end(process)
            raise
        return process.returncode

    def _end(self, process: "subprocess.Popen[bytes]") -> None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(self._order["grace_s"])
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def _wait(self, for_s: float) -> None:
        """Wait, unless asked to end or the lifeline ends meanwhile."""
        lifeline = self._order["lifeline_pid"]
        if lifeline is None:
            time.sleep(for_s)
            return
        try:
            descriptor = os.pidfd_open(lifeline)
        except OSError as error:
            raise Stopped from error
        try:
            if select.select([descriptor], [], [], for_s)[0]:
                raise Stopped
        finally:
            os.close(descriptor)

    def _show(self, *, running: bool, detail: str) -> None:
        self._state |= {"running": running, "detail": detail}
        with contextlib.suppress(OSError):  # a folder that is gone has nobody to read it
            write_atomically(self._state_file, json.dumps(self._state))


def main() -> None:
    def stop(*_: object) -> None:
        raise Stopped

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    order: dict[str, Any] = json.load(sys.stdin)
    if os.fork():
        os._exit(0)  # who started the keeper has no child to wait for
    with contextlib.suppress(Stopped):
        Keeper(order, Path(sys.argv[1])).run()


if __name__ == "__main__":
    main()
