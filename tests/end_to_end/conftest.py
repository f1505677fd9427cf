"""Whole laptops as users start them: commands in processes of their own, marked so that none can hide."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

BIN = Path(sys.executable).parent
USERS = 600


def until(condition: Callable[[], bool], what: str, within_s: float = 30.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        time.sleep(0.05)


@dataclass
class Machine:
    """Runs our commands for one test. Everything they start carries the mark in its environment."""

    folder: Path
    mark: str = field(default_factory=lambda: f"e2e-{uuid.uuid4().hex[:12]}")

    def start(self, *command: str, log: str) -> "subprocess.Popen[bytes]":
        with (self.folder / log).open("wb") as output:
            return subprocess.Popen(
                [str(BIN / command[0]), *command[1:]],
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "USER": self.mark},
                start_new_session=True,
            )

    def run(self, *command: str, within_s: float = 60.0) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [str(BIN / command[0]), *command[1:]],
            capture_output=True,
            text=True,
            check=False,
            timeout=within_s,
            env={**os.environ, "USER": self.mark},
        )

    def said(self, log: str) -> str:
        return (self.folder / log).read_text(errors="replace")

    def left(self) -> list[str]:
        """Command lines of processes that carry the mark and have not ended."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdecimal():
                continue
            with contextlib.suppress(OSError):
                if f"USER={self.mark}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                    found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()[:200])
        return found


@dataclass
class Laptop:
    """A running `laptop up`, and the engine's commands on its site."""

    machine: Machine
    state: Path
    process: "subprocess.Popen[bytes]"

    @property
    def site(self) -> dict[str, Any]:
        found: dict[str, Any] = yaml.safe_load((self.state / "site.yaml").read_text())
        return found

    @property
    def url(self) -> str:
        return f"http://{self.site['traffic']['listen']}"

    @property
    def site_option(self) -> tuple[str, str]:
        return "--site", str(self.state / "site.yaml")

    def tranche(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return self.machine.run("tranche", *arguments, *self.site_option)

    def status(self) -> dict[str, Any]:
        done = self.tranche("status", "--json")
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def start_rollout(self, plan: Path, version: str = "1.1.0") -> "subprocess.Popen[bytes]":
        arguments = ("start", str(plan), "--version", version, *self.site_option)
        return self.machine.start("tranche", *arguments, log="engine.log")

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)


@dataclass
class Users:
    """The traffic of a laptop, until it is stopped."""

    out: Path
    process: "subprocess.Popen[bytes]"

    def stop(self) -> dict[str, Any]:
        """Stop, look every write up, and tell what the ledger holds."""
        self.process.terminate()
        assert self.process.wait(90) == 0
        found: dict[str, Any] = json.loads((self.out / "summary.json").read_text())
        return found

    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.out / "requests.jsonl").read_text().splitlines()]

    def failures(self) -> Counter[str]:
        return Counter(f"{one['failure']}: {one['detail']}" for one in self.records() if one["failure"])


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """A shell starts what runs behind it deaf to Ctrl-C, and our commands would inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path)
    yield made
    until(lambda: not made.left(), f"nothing is left running: {made.left()}", 15)


@pytest.fixture
def new_laptop(machine: Machine) -> Iterator[Callable[..., Laptop]]:
    """Starts laptops; stops those that still run."""
    started: list[Laptop] = []

    def start(name: str = "laptop", *options: str) -> Laptop:
        state, log = machine.folder / name, f"{name}.log"
        options = ("--state", str(state), "--users", str(USERS), *options)
        process = machine.start("laptop", "up", *options, log=log)
        started.append(Laptop(machine, state, process))
        until(lambda: "A login" in machine.said(log) or process.poll() is not None, "the laptop is up", 90)
        assert process.poll() is None, machine.said(log)
        return started[-1]

    yield start
    for laptop in started:
        if laptop.process.poll() is None:
            laptop.stop()


@pytest.fixture
def laptop(new_laptop: Callable[..., Laptop]) -> Laptop:
    return new_laptop()


@pytest.fixture
def users(laptop: Laptop) -> Iterator[Users]:
    """Traffic on the laptop."""
    out = laptop.machine.folder / "traffic"
    files = ("--users-file", str(laptop.state / "users.json"))
    secret = ("--password-file", str(laptop.state / "demo-password"))
    arguments = ("--url", laptop.url, "--out", str(out), "--rate", "60", *files, *secret)
    process = laptop.machine.start("laptop", "traffic", *arguments, log="traffic.log")
    made = Users(out, process)
    ended = process.poll
    until(lambda: (out / "ready").exists() or ended() is not None, "everybody is logged in", 90)
    assert ended() is None, laptop.machine.said("traffic.log")
    yield made
    if process.poll() is None:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def quick() -> Path:
    """A plan of the same phases in seconds."""
    return Path(__file__).with_name("quick.yaml")
