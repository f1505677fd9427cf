"""A real Envoy in front of a blue and a green, for tests of what it does with requests."""

import contextlib
import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import urllib3
from joserfc import jwt
from joserfc.jwk import ECKey

from laptop import binaries
from laptop.ports import free_ports
from tranche.adapters.envoy import EnvoySignals, EnvoyTraffic
from tranche.adapters.envoy_config import write_all
from tranche.ports import Colour, SignalsFault, Split, TrafficFault
from tranche.site import Identity, Passthrough, TrafficSite

KEY = ECKey.generate_key("P-256", {"kid": "test"})
ISSUER = "issuer"


def split(identifier: str, green_weight: int, *, internal: bool = True) -> Split:
    return Split(identifier=identifier, salt="salt", green_weight=green_weight, internal_to_green=internal)


def token(user: str, *, internal: bool = False, key: ECKey = KEY, expires_in_s: int = 600) -> str:
    claims = {
        "iss": ISSUER,
        "aud": "tranche",
        "sub": user,
        "internal": internal,
        "exp": int(time.time()) + expires_in_s,
    }
    return jwt.encode({"alg": "ES256", "kid": "test"}, claims, key)


@dataclass(frozen=True)
class Request:
    """What a service was asked."""

    method: str
    path: str
    given: dict[str, str]
    sent: str


@dataclass
class Service:
    """One colour: answers with its name and the headers it was given; can fail, be slow, unwell, or away."""

    name: str
    port: int
    healthy: bool = True
    server: ThreadingHTTPServer | None = None
    open: set[socket.socket] = field(default_factory=set)
    held: threading.Event = field(default_factory=threading.Event)
    """What requests of /held wait for."""
    got: "list[Request]" = field(default_factory=list)

    def start(self) -> None:
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self) -> None:
                super().setup()
                service.open.add(self.connection)

            def do_GET(self) -> None:
                status = 200
                length = int(self.headers.get("content-length", 0))
                sent = self.rfile.read(length).decode()
                if self.path not in {"/jwks", "/ready"}:
                    given = {key.lower(): value for key, value in self.headers.items()}
                    service.got.append(Request(self.command, self.path, given, sent))
                if self.path == "/jwks":
                    body = json.dumps({"keys": [KEY.as_dict(private=False)]})
                elif self.path == "/ready":
                    status, body = (200 if service.healthy else 503), ""
                else:
                    if self.path.startswith("/slow"):
                        time.sleep(0.13)
                    if "/held" in self.path:
                        service.held.wait(10)
                    status = 500 if self.path.startswith("/fail") else 200
                    body = json.dumps({"served_by": service.name, "given": given})
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body.encode())

            do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - names of the library

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            request_queue_size = 256
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """A connection that was cut is what some tests are about."""

        self.server = Server(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """As when a process is killed: nothing listens, and connections are cut."""
        if self.server is None:
            return
        self.server.shutdown()
        self.server.server_close()
        self.server = None
        for connection in list(self.open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.open.clear()


@dataclass
class Answer:
    status: int
    arm: str
    served_by: str
    given: dict[str, str]
    cookie: str | None


@dataclass
class Bench:
    """A running Envoy in front of a blue and a green."""

    site: TrafficSite
    blue: Service
    green: Service
    traffic: EnvoyTraffic
    signals: EnvoySignals
    pool: urllib3.PoolManager
    envoy: "subprocess.Popen[bytes] | None" = None
    numbers: Iterator[int] = field(default_factory=lambda: iter(range(1, 10_000)))

    def ask(self, path: str = "/", **headers: str) -> Answer:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        got = self.pool.request("GET", f"http://{self.site.listen}{path}", headers=sent, retries=False)
        body = json.loads(got.data) if got.data.startswith(b"{") else {"served_by": "envoy", "given": {}}
        arm = got.headers.get("x-tranche-arm", "")
        return Answer(got.status, arm, body["served_by"], body["given"], got.headers.get("set-cookie"))

    def ask_as(self, user: str, path: str = "/", *, internal: bool = False) -> Answer:
        return self.ask(path, authorization=f"Bearer {token(user, internal=internal)}")

    def everybody(self, users: list[str], path: str = "/") -> dict[str, Answer]:
        with ThreadPoolExecutor(8) as threads:
            return dict(zip(users, threads.map(lambda user: self.ask_as(user, path), users), strict=True))

    def set(self, green_weight: int, *, internal: bool = True) -> Split:
        made = split(f"test/{next(self.numbers)}", green_weight, internal=internal)
        self.traffic.apply(made)
        return made

    def healthy(self, colour: Colour) -> int:
        return self.signals.scrape().healthy_hosts[colour]


def until(condition: Callable[[], bool], what: str, within_s: float = 10.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        time.sleep(0.02)


@contextlib.contextmanager
def standing(folder: Path, **changes: Any) -> Iterator[Bench]:
    """An Envoy before both services; `changes` are keys of its site."""
    ports = dict(zip(("blue", "green", "listen", "admin"), free_ports(4), strict=True))
    at = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
    site = TrafficSite(
        kind="envoy",
        directory=folder,
        admin=f"http://{at['admin']}",
        listen=at["listen"],
        identity=Identity(issuer=ISSUER, audience="tranche", jwks=f"http://{at['blue']}/jwks"),
        colours={Colour.BLUE: at["blue"], Colour.GREEN: at["green"]},
        health_path="/ready",
        passthrough=(Passthrough(prefix="/beside/", address=at["blue"]),),
        access_log=folder / "access.log",
    )
    site = replace(site, **changes)
    blue, green = Service("blue", ports["blue"]), Service("green", ports["green"])
    blue.start()
    green.start()
    write_all(site, split("test/0", 0, internal=False))
    pool = urllib3.PoolManager(maxsize=16, timeout=10)
    bench = Bench(site, blue, green, EnvoyTraffic(site), EnvoySignals(site), pool)
    with (folder / "envoy.log").open("wb") as log:
        command = [str(binaries.envoy()), "-c", str(folder / "bootstrap.json"), "--disable-hot-restart"]
        bench.envoy = subprocess.Popen([*command, "--concurrency", "2"], stdout=log, stderr=log)
    try:
        until(lambda: serves(bench), "Envoy serves and knows its hosts", 30)
        yield bench
    finally:
        bench.envoy.terminate()
        bench.envoy.wait()
        blue.stop()
        green.stop()
        pool.clear()


def serves(bench: Bench) -> bool:
    try:
        return bench.traffic.serving() == "test/0" and bench.healthy(Colour.GREEN) == 1
    except (TrafficFault, SignalsFault):
        return False


def at_rest(running: Bench) -> Bench:
    """The same Envoy for every test, with both colours up and everybody on blue."""
    for service in (running.blue, running.green):
        service.healthy = True
        service.held.set()
        if service.server is None:
            service.start()
    running.set(0, internal=False)
    for colour in Colour:
        until(lambda colour=colour: running.healthy(colour) == 1, f"{colour} is healthy")
    return running
