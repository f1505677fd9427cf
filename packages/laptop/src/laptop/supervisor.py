"""Starts programs, waits until they answer, notices when one dies, and stops them all, last first.

Every program has a log file, a process group of its own, and the kernel's promise to end it with its parent.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.error import HTTPError, URLError

from laptop.fault import LaptopFault

CHILD = Path(__file__).with_name("child.py")
LOG_TAIL_LINES = 3
POLL_S = 0.02
Ready = Callable[[], str | None]
"""None when the program is ready, otherwise why not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What is to run. `user_id` None keeps the present user; `stop_signal` asks it to finish."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    ready: Ready
    ready_within_s: float = 60.0
    stop_signal: signal.Signals = signal.SIGTERM
    stop_within_s: float = 15.0
    user_id: int | None = None
    directory: Path | None = None


@dataclass(slots=True)
class Running:
    """A program that was started."""

    program: Program
    process: subprocess.Popen[bytes]
    log: Path


def answers(url: str) -> Ready:
    """Ready when this URL answers 200."""

    def ask() -> str | None:
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - loopback
                return None if answer.status == 200 else f"HTTP {answer.status}"
        except HTTPError as error:
            return f"HTTP {error.code}"
        except (URLError, OSError) as error:
            return str(error)

    return ask


class Supervisor:
    """Runs programs until told to stop. Use as a context manager: leaving it stops everything."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._running: list[Running] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, program: Program) -> Running:
        """Start a program without waiting for it.

        Raises:
            LaptopFault: there is no such program.
        """
        log = self._logs / f"{program.name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        shim = bound_to_us(program.stop_signal, program.user_id)
        if not os.access(program.command[0], os.X_OK):
            raise LaptopFault(f"{program.name}: the program {program.command[0]} is missing; run: make setup")
        with log.open("ab") as output:
            process = subprocess.Popen(
                [*shim, *program.command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**environment_for_children(), **program.environment},
                cwd=program.directory,
                start_new_session=True,
            )
        running = Running(program, process, log)
        self._running.append(running)
        return running

    def wait(self, *started: Running) -> None:
        """Wait until all of these are ready.

        Raises:
            LaptopFault: one died or was not ready in time; names its log and its last words.
        """
        for running in started:
            deadline = time.monotonic() + running.program.ready_within_s
            while (why := running.program.ready()) is not None:
                if running.process.poll() is not None:
                    raise LaptopFault(died(running))
                if time.monotonic() > deadline:
                    told = f"not ready within {running.program.ready_within_s:g} s ({why})"
                    raise LaptopFault(f"{running.program.name}: {told}; see {running.log}{tail(running.log)}")
                time.sleep(POLL_S)

    def check(self, *, but: Running | None = None) -> None:
        """Look whether all still run, but for one that may end.

        Raises:
            LaptopFault: one died.
        """
        for running in self._running:
            if running is not but and running.process.poll() is not None:
                raise LaptopFault(died(running))

    def finished(self, running: Running, within_s: float) -> int:
        """The exit code of a program that comes to its end by itself; from then on it is not missed.

        Raises:
            LaptopFault: it did not end in time.
        """
        try:
            code = running.process.wait(within_s)
        except subprocess.TimeoutExpired:
            told = f"did not end within {within_s:g} s"
            raise LaptopFault(f"{running.program.name} {told}; see {running.log}") from None
        self._running.remove(running)
        return code

    def stop(self, tell: Callable[[str], None] = lambda _: None) -> None:
        """Stop all, last first; those that do not finish in time are killed. Repeating it does nothing."""
        while self._running:
            running = self._running.pop()
            tell(running.program.name)
            end(running.process, running.program.stop_signal, running.program.stop_within_s)


def bound_to_us(death_signal: signal.Signals, user_id: int | None = None) -> list[str]:
    """The words before a command that give it this signal when we die, and this user to be."""
    user = -1 if user_id is None else user_id
    return [sys.executable, "-S", "-E", str(CHILD), str(os.getpid()), str(int(death_signal)), str(user)]


def environment_for_children() -> dict[str, str]:
    """What children inherit: how to find programs and speak, no settings of anybody else."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "USER")
    return {name: os.environ[name] for name in kept if name in os.environ}


def end(process: subprocess.Popen[bytes], stop_signal: signal.Signals, within_s: float) -> None:
    """Ask a process to finish, then kill its whole group."""
    if process.poll() is None:
        process.send_signal(stop_signal)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(within_s)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def died(running: Running) -> str:
    code = running.process.returncode
    how = f"signal {-code}" if code < 0 else f"exit {code}"
    return f"{running.program.name} died ({how}); see {running.log}{tail(running.log)}"


def tail(log: Path) -> str:
    """The last lines of a log, to be shown behind a message."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return "".join(f"\n    {line[:300]}" for line in lines[-LOG_TAIL_LINES:])
