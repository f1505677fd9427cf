"""Starts a controller as a process of its own, which outlives whoever asked for it."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from tranche.ports import Fault

UP_WITHIN_S: Final = 15.0
LOOK_S: Final = 0.05


class ControllerFault(Fault):
    """A controller was started and did not come up."""


def start_controller(
    site_file: str, log: Path, environment: Mapping[str, str], is_up: Callable[[], bool]
) -> None:
    """Run 'tranche control', its output in `log`; returns when it is up.

    Raises:
        ControllerFault: it ended, or was not up in time.
    """
    command = [sys.executable, "-m", "tranche.cli", "control", "--site", str(Path(site_file).resolve())]
    try:
        with log.open("ab") as output:
            process = subprocess.Popen(
                command,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
    except OSError as error:
        raise ControllerFault(f"a controller could not be started ({error})") from error
    # Somebody must wait for it, or it would stay in the table of processes when it has ended.
    threading.Thread(target=process.wait, daemon=True).start()
    deadline = time.monotonic() + UP_WITHIN_S
    while not is_up():
        if process.returncode is not None:
            raise ControllerFault(f"the controller ended with {process.returncode}; see {log}")
        if time.monotonic() > deadline:
            raise ControllerFault(f"the controller (pid {process.pid}) is not up yet; see {log}")
        time.sleep(LOOK_S)
