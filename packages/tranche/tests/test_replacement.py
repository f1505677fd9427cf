"""Green replaced in the middle of a rollout, with real versions behind a real Envoy: no request of a user fails."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import urllib3
from joserfc import jwt
from joserfc.jwk import ECKey

from laptop import binaries
from laptop.ports import free_ports
from tranche import cli, wiring
from tranche import site as sites
from tranche.bucket import arm_of
from tranche.ports import Arm, Fault
from tranche.progress import Progress, State
from tranche.wiring import Installation

pytestmark = pytest.mark.integration
KEY = ECKey.generate_key("P-256", {"kid": "test"})

VERSION = """
import http.server, json, signal, sys, threading, time
version, port, jwks = sys.argv[1], int(sys.argv[2]), sys.argv[3]
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if self.path == "/slow":
            time.sleep(1.0)
        body = jwks if self.path == "/jwks" else json.dumps({"version": version})
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(body.encode())
    def log_message(self, *args): pass
class Server(http.server.ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 256
server = Server(("127.0.0.1", port), Handler)
finish = lambda *_: threading.Thread(target=server.shutdown).start()
signal.signal(signal.SIGTERM, {"v1": signal.SIG_DFL, "v2": signal.SIG_IGN}.get(version, finish))
server.serve_forever(0.02)
server.server_close()  # waits for the requests under way
"""

PLAN = """
name: small
tick: 100ms
stale_after: 2s
warm_up: 0s
phases:
  - {name: some, weight: 30 %, dwell: 10h}
  - {name: all, weight: 100 %, dwell: 1s}
"""


@dataclass
class Place:
    """A site of its own, with a running Envoy and a blue that nobody manages."""

    folder: Path
    here: Installation
    url: str
    statuses: Counter[int] = field(default_factory=Counter)
    met: dict[str, Counter[str]] = field(default_factory=dict)
    done: threading.Event = field(default_factory=threading.Event)

    @property
    def progress(self) -> Progress:
        return self.here.desk.progress()

    def user(self, name: str) -> None:
        """Asks as fast as answers come; every fifth request takes a while and may be under way at any moment."""
        claims = {"iss": "issuer", "aud": "tranche", "sub": name, "exp": int(time.time()) + 600}
        signed = jwt.encode({"alg": "ES256", "kid": "test"}, claims, KEY)
        met = self.met.setdefault(name, Counter())
        with urllib3.PoolManager(timeout=10, retries=False) as pool:
            number = 0
            while not self.done.is_set():
                number += 1
                path = "/slow" if number % 5 == 0 else "/"
                answer = pool.request("GET", self.url + path, headers={"authorization": f"Bearer {signed}"})
                self.statuses[answer.status] += 1
                if answer.status == 200:
                    met[json.loads(answer.data)["version"]] += 1


def until(condition: Callable[[], bool], what: str, within_s: float = 30.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        time.sleep(0.02)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    blue, green, listen, admin = free_ports(4)
    (tmp_path / "version.py").write_text(VERSION)
    (tmp_path / "plan.yaml").write_text(PLAN)
    jwks = json.dumps({"keys": [KEY.as_dict(private=False)]})
    program = [sys.executable, str(tmp_path / "version.py")]
    site = {
        "state_directory": "state",
        "traffic": {
            "kind": "envoy",
            "directory": "envoy",
            "admin": f"http://127.0.0.1:{admin}",
            "listen": f"127.0.0.1:{listen}",
            "identity": {"issuer": "issuer", "audience": "tranche", "jwks": f"http://127.0.0.1:{blue}/jwks"},
            "colours": {"blue": f"127.0.0.1:{blue}", "green": f"127.0.0.1:{green}"},
            "health_path": "/ready",
        },
        "environment": {
            "kind": "process",
            "directory": "environment",
            "colours": {
                "blue": {"managed": False, "ready": f"http://127.0.0.1:{blue}/ready"},
                "green": {
                    "ready": f"http://127.0.0.1:{green}/ready",
                    "command": [*program, "{version}", str(green), "{}"],
                    "grace_s": 1,
                },
            },
        },
    }
    (tmp_path / "site.yaml").write_text(json.dumps(site))
    read = sites.load(tmp_path / "site.yaml")
    wiring.write_traffic_config(read)
    here = wiring.installation(read)
    bootstrap = str(tmp_path / "envoy" / "bootstrap.json")
    envoy = [str(binaries.envoy()), "-c", bootstrap, "--disable-hot-restart", "--concurrency", "2"]
    with (tmp_path / "log").open("wb") as log:
        started = [
            subprocess.Popen([*program, "blue", str(blue), jwks], stdout=log, stderr=log),
            subprocess.Popen(envoy, stdout=log, stderr=log),
        ]
        try:
            until(lambda: serving(here), "Envoy serves")
            yield Place(tmp_path, here, f"http://127.0.0.1:{listen}")
        finally:
            for process in started:
                process.terminate()
                process.wait(20)


def serving(here: Installation) -> bool:
    try:
        return here.traffic().serving() is not None
    except Fault:
        return False


def test_builds_are_replaced_under_their_users_and_none_of_them_meets_a_failure(
    place: Place, capfd: pytest.CaptureFixture[str]
) -> None:
    """Although v1 ends at once when it is told to, and v2 does not listen and is killed."""
    site = ["--site", str(place.folder / "site.yaml")]
    start = [sys.executable, "-m", "tranche.cli", "start", str(place.folder / "plan.yaml"), "--version", "v0"]
    with (place.folder / "controller.log").open("wb") as log:
        controller = subprocess.Popen([*start, *site], stdout=log, stderr=log)
    users = [threading.Thread(target=place.user, args=(f"user-{number}",)) for number in range(16)]
    try:
        until(lambda: on_green(place, "v0"), "the first version has users")
        for user in users:
            user.start()
        for build in ("v1", "v2", "v3"):
            seen = sum(place.statuses.values())
            until(lambda seen=seen: sum(place.statuses.values()) > seen + 100, "users are busy")
            assert cli.run(["retarget", "--version", build, "--reason", "the fix", *site]) == 0
            until(lambda build=build: on_green(place, build), f"{build} has users")
        until(
            lambda: all("v3" in place.met[name] for name in green_users(place)), "all of them meet the last"
        )
    finally:
        place.done.set()
        for user in users:
            if user.ident is not None:
                user.join()
        assert cli.run(["rollback", "--reason", "the test is over", *site]) == 0
        controller.wait(30)
    capfd.readouterr()

    assert set(place.statuses) == {200}
    assert place.statuses[200] > 400
    assert place.progress.state is State.ROLLED_BACK
    greens = green_users(place)
    assert 0 < len(greens) < 16
    for name, met in place.met.items():
        assert "blue" in met, "while green is replaced everybody is there"
        assert ("v3" in met) is (name in greens), "the same users meet every build"


def on_green(place: Place, version: str) -> bool:
    if not place.here.log.rollouts():
        return False
    progress = place.progress
    return progress.version == version and progress.stay.phase == 1 and progress.is_confirmed


def green_users(place: Place) -> set[str]:
    split = next(change for change in reversed(place.progress.changes) if change.green_weight)
    from tranche.ports import Split

    asked = Split(
        identifier=split.identifier,
        salt=place.progress.salt,
        green_weight=split.green_weight,
        internal_to_green=False,
    )
    return {name for name in place.met if arm_of(name, asked, internal=False) is Arm.GREEN}
