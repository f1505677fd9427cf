"""A site of its own for a bench: an Envoy with users before it, a blue, and a green that the engine keeps."""

import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from joserfc import jwt
from joserfc.jwk import ECKey

from laptop import binaries
from laptop.ports import HOST, free_ports
from tranche import site as sites
from tranche import wiring
from tranche.ports import Colour, Fault, Split
from tranche.wiring import Installation

KEY: Final = ECKey.generate_key("P-256", {"kid": "bench"})
USERS: Final = 100
"""Known users, and as many visitors."""
WITHIN_S: Final = 30.0

VERSION = """
import asyncio, signal, sys
version, port, jwks = sys.argv[1], int(sys.argv[2]), sys.argv[3]
busy, open_ones = set(), set()
class Http(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.got = transport, b""
        open_ones.add(transport)
    def connection_lost(self, _):
        open_ones.discard(self.transport)
        busy.discard(self.transport)
    def data_received(self, data):
        self.got += data
        while b"\\r\\n\\r\\n" in self.got:
            head, _, self.got = self.got.partition(b"\\r\\n\\r\\n")
            body = (jwks if b" /jwks " in head else version).encode()
            wait = 0.05 if b" /slow " in head else 0.0
            busy.add(self.transport)
            asyncio.get_running_loop().call_later(wait, self.answer, body)
    def answer(self, body):
        self.transport.write(b"HTTP/1.1 200 OK\\r\\ncontent-length: %d\\r\\n\\r\\n%s" % (len(body), body))
        busy.discard(self.transport)
async def main():
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, told.set)
    server = await loop.create_server(Http, "127.0.0.1", port, backlog=1024)
    await told.wait()
    server.close()
    while busy:
        await asyncio.sleep(0.01)
    for transport in list(open_ones):
        transport.close()
    await asyncio.sleep(0)
asyncio.run(main())
"""

PLAN = """
name: bench
tick: 100ms
stale_after: 3s
warm_up: 0s
phases:
  - {{name: most, weight: {weight} %, dwell: 10h}}
  - {{name: all, weight: 100 %, dwell: 10h}}
"""


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {WITHIN_S:g} s: {what}")
        time.sleep(0.01)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a user met; `name` is what the engine knows them by, times are seconds since 1970."""

    user: str
    name: str
    began: float
    ended: float
    status: int
    arm: str
    version: str

    @property
    def is_good(self) -> bool:
        return self.status == 200


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time in which one split was surely served: from its confirmation to the begin of the next change."""

    split: Split
    begins: float
    ends: float

    def has(self, answer: Answer) -> bool:
        return self.begins <= answer.began and answer.ended <= self.ends


@dataclass(slots=True)
class Load:
    """The users under way; `stop` ends them, and says what they met."""

    process: "subprocess.Popen[str]"
    answers: list[Answer] = field(default_factory=list)
    late_ms_p99: float = 0.0

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.wait(WITHIN_S)

    def wait(self, most_s: float) -> None:
        """Until it has ended, by itself or because it was told to."""
        output, _ = self.process.communicate(timeout=most_s)
        said = json.loads(output)
        self.late_ms_p99 = said["late_ms_p99"]
        rows = [(row[0], row[1] or row[0], *row[2:]) for row in said["answers"]]
        self.answers = sorted((Answer(*row) for row in rows), key=lambda answer: answer.began)

    @property
    def failed(self) -> int:
        return sum(not answer.is_good for answer in self.answers)


@dataclass(slots=True)
class Place:
    """A site of its own with a running Envoy and a blue; green is kept by the engine."""

    folder: Path
    here: Installation
    url: str
    envoy: "subprocess.Popen[bytes]"
    has_tokens: bool = True
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def known(self) -> list[str]:
        """Users with a token; where nobody has one, there are visitors only."""
        return known(USERS) if self.has_tokens else []

    def token(self, user: str) -> str:
        claims = {"iss": "issuer", "aud": "tranche", "sub": user, "exp": int(time.time()) + 3600}
        if user not in self.tokens:
            self.tokens[user] = jwt.encode({"alg": "ES256", "kid": "bench"}, claims, KEY)
        return self.tokens[user]

    @contextlib.contextmanager
    def load(
        self, rate: float, users: Sequence[str], visitors: int, path: str = "/", *, once: bool = False
    ) -> Iterator[Load]:
        """Users under way from here on; `once`: each of them asks one time, and it ends by itself."""
        job = {
            "url": self.url + path,
            "rate": rate,
            "tokens": {user: self.token(user) for user in users},
            "visitors": visitors,
            "once": once,
        }
        program = [sys.executable, str(Path(__file__).with_name("users.py"))]
        process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdin is not None  # noqa: S101 - it was asked for
        assert process.stdout is not None  # noqa: S101 - as above
        process.stdin.write(json.dumps(job))
        process.stdin.close()
        process.stdin = None
        process.stdout.readline()  # it has begun: only now it can be told to stop, and time counts
        load = Load(process)
        try:
            yield load
            load.stop()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()

    def green_listens(self) -> bool:
        host, _, port = self.here.site.traffic.colours[Colour.GREEN].rpartition(":")
        with socket.socket() as probe:
            return probe.connect_ex((host, int(port))) == 0

    def plan(self, weight: int) -> Path:
        path = self.folder / f"plan-{weight}.yaml"
        path.write_text(PLAN.format(weight=weight), encoding="utf-8")
        return path

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "tranche.entry", *words, "--site", str(self.folder / "site.yaml")]

    def ask(self, *words: str) -> None:
        subprocess.run(self.command(*words), check=True, stdout=subprocess.DEVNULL)

    @contextlib.contextmanager
    def rollout(self, version: str, weight: int) -> Iterator["subprocess.Popen[bytes]"]:
        """A rollout whose first phase has begun, with its controller; it is taken back at the end."""
        with (self.folder / "controller.log").open("ab") as log:
            words = self.command("start", str(self.plan(weight)), "--version", version)
            controller = subprocess.Popen(words, stdout=log, stderr=log)
        try:
            until(lambda: self.has_users(version), f"{version} has users")
            yield controller
        finally:
            self.ask("rollback", "--reason", "the trial is over")
            controller.wait(WITHIN_S)

    def has_users(self, version: str) -> bool:
        if not self.here.log.rollouts():
            return False
        progress = self.here.desk.progress()
        is_there = progress.version == version and progress.stay.phase == 1
        return is_there and progress.is_confirmed and not progress.is_finished

    def stretches(self) -> list[Stretch]:
        """Of the latest rollout, by its log."""
        progress, events = self.here.desk.progress(), self.here.desk.events()
        asked = {
            str(event.data["identifier"]): event.at.timestamp()
            for event in events
            if event.type == "weight-requested/1"
        }
        found: list[Stretch] = []
        for change, following in itertools.zip_longest(progress.changes, progress.changes[1:]):
            split = Split(
                identifier=change.identifier,
                salt=progress.salt,
                green_weight=change.green_weight,
                internal_to_green=change.internal_to_green,
            )
            ends = asked[following.identifier] if following is not None else float("inf")
            found.append(Stretch(split, change.at.timestamp(), ends))
        return found


@contextlib.contextmanager
def standing(
    folder: Path, *, has_tokens: bool = True, envoy: Sequence[str] = ("--disable-hot-restart",)
) -> Iterator[Place]:
    """Everything started; without `has_tokens` everybody is a visitor. `envoy` are more of Envoy's options."""
    blue, green, listen, admin = free_ports(4)
    jwks = json.dumps({"keys": [KEY.as_dict(private=False)]})
    (folder / "version.py").write_text(VERSION, encoding="utf-8")
    program = [sys.executable, str(folder / "version.py")]
    site: dict[str, Any] = {
        "state_directory": "state",
        "traffic": {
            "kind": "envoy",
            "directory": "envoy",
            "admin": f"http://{HOST}:{admin}",
            "listen": f"{HOST}:{listen}",
            "colours": {"blue": f"{HOST}:{blue}", "green": f"{HOST}:{green}"},
            "health_path": "/ready",
        },
        "environment": {
            "kind": "process",
            "directory": "environment",
            "lifeline_pid": os.getpid(),
            "colours": {
                "blue": {"managed": False, "ready": f"http://{HOST}:{blue}/ready"},
                "green": {
                    "ready": f"http://{HOST}:{green}/ready",
                    "command": [*program, "{version}", str(green), "-"],
                    "grace_s": 5,
                },
            },
        },
    }
    if has_tokens:
        identity = {"issuer": "issuer", "audience": "tranche", "jwks": f"http://{HOST}:{blue}/jwks"}
        site["traffic"]["identity"] = identity
    (folder / "site.yaml").write_text(json.dumps(site), encoding="utf-8")
    read = sites.load(folder / "site.yaml")
    wiring.write_traffic_config(read)
    here = wiring.installation(read)
    commands = [
        [*program, "blue", str(blue), jwks],
        envoy_command(folder, *envoy),
    ]
    started = [
        subprocess.Popen(each, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for each in commands
    ]
    try:
        until(lambda: _serves(here), "Envoy serves")
        yield Place(folder, here, f"http://{HOST}:{listen}", started[-1], has_tokens=has_tokens)
    finally:
        for each in started:
            each.terminate()
            each.wait(WITHIN_S)


def envoy_command(folder: Path, *options: str) -> list[str]:
    bootstrap = ["--config-path", str(folder / "envoy" / "bootstrap.json"), *options]
    return [str(binaries.envoy()), *bootstrap, "--concurrency", "2", "--log-level", "off"]


def _serves(here: Installation) -> bool:
    try:
        return here.traffic().serving() is not None
    except Fault:
        return False


def known(number: int) -> list[str]:
    return [f"user-{each}" for each in range(number)]
