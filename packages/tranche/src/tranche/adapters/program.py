"""Runs a program to its end or the end of its time, in a process group of its own."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A program that came to its end. `code` is negative when a signal ended it."""

    code: int
    output: str
    errors: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotEnded:
    """A program that could not be started, or was stopped because its time was over."""

    reason: str


def run_program(
    command: Sequence[str], *, environment: Mapping[str, str], timeout_s: float, told: str = ""
) -> Ended | NotEnded:
    """Run it, `told` on its standard input. When its time is over all of its group is killed."""
    try:
        process = subprocess.Popen(
            list(command),
            env=dict(environment),
            stdin=subprocess.PIPE if told else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except (OSError, ValueError, IndexError) as error:
        return NotEnded(reason=f"'{' '.join(command[:1])}' could not be started: {error}")
    with process:
        try:
            output, errors = process.communicate(told.encode() if told else None, timeout=timeout_s)
        except subprocess.TimeoutExpired:
            _end_group(process.pid)
            with contextlib.suppress(subprocess.TimeoutExpired):
                # A child that has left the group keeps the pipes open, and is not waited for.
                process.communicate(timeout=1)
            return NotEnded(reason=f"'{command[0]}' did not end within {timeout_s:g} s")
    return Ended(
        code=process.returncode,
        output=output.decode(errors="replace"),
        errors=errors.decode(errors="replace"),
    )


def words(command: object) -> list[str]:
    """The words of a command as a plan or a site has them."""
    return [str(word) for word in command] if isinstance(command, list | tuple) else []


def environment_of(lent: Mapping[str, str], own: object) -> dict[str, str]:
    """What a gate's program sees: the controller's environment, what the site lends, what the plan says."""
    said = {str(key): str(value) for key, value in own.items()} if isinstance(own, Mapping) else {}
    return {**os.environ, **lent, **said}


def _end_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
