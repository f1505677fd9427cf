"""What tests of master data share: its commands as processes, on a real database, and an issuer of tokens."""

import http.client
import json
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import UUID, uuid5

import orjson
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, OKPKey

from kit.tokens import AUDIENCE, SIGNATURES
from laptop import binaries
from laptop.ports import HOST, free_ports
from laptop.postgres import Cluster
from laptop.supervisor import Program, Supervisor, answers, environment_for_children

ISSUER = "test-issuer"
EVERYTHING = tuple(
    f"{kind}:{verb}" for kind in ("customer", "vendor", "product") for verb in ("read", "create")
)
TENANTS = tuple(str(uuid5(UUID(int=0), name)) for name in ("padma", "meghna"))
COUNTS = {"customers": 120, "vendors": 7, "products": 9}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back over HTTP; `body` is read as JSON when it is."""

    status: int
    body: Any

    @property
    def refusal(self) -> tuple[int, str]:
        """The status and the stable code of what was refused."""
        assert set(self.body) == {"code", "message"}
        return self.status, str(self.body["code"])


@dataclass(frozen=True, kw_only=True)
class MasterData:
    """One installation: its database and settings, its commands, its service, and who signs tokens for it."""

    cluster: Cluster
    name: str
    folder: Path
    key: OKPKey
    settings: Mapping[str, str]
    tenants: tuple[str, ...] = TENANTS
    counts: Mapping[str, int] = field(default_factory=lambda: COUNTS)

    def url(self, role: str) -> str:
        return self.cluster.url(role, self.name)

    def run(self, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        """A command, run to its end."""
        environment = {**environment_for_children(), **self.settings, **changes}
        command = [str(binaries.ours("masterdata")), *arguments]
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=60
        )

    def seed(self, content: object = None, **changes: str) -> subprocess.CompletedProcess[str]:
        """Seed the tenants, or what this file says instead."""
        file = self.folder / "tenants.json"
        tenants = {"tenants": [{"id": one, "name": "A tenant"} for one in self.tenants]}
        said = tenants if content is None else content
        file.write_bytes(said if isinstance(said, bytes) else orjson.dumps(said))
        sizes = [part for kind, count in self.counts.items() for part in (f"--{kind}", str(count))]
        return self.run("seed", "--tenants-file", str(file), *sizes, **changes)

    def token(self, *, key: OKPKey | None = None, **claims: Any) -> str:
        """A token of the first tenant with every permission, but for what is given; None leaves a claim out."""
        now = int(time.time())
        standard = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "rahim",
            "tenant": self.tenants[0],
            "nbf": now,
            "exp": now + 300,
            "permissions": EVERYTHING,
        }
        said = {name: value for name, value in (standard | claims).items() if value is not None}
        header = {"alg": "EdDSA", "kid": self.key.kid}
        return jwt.encode(header, said, key or self.key, registry=SIGNATURES)

    def call(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """One request. A body that is no text is sent as JSON; without authorization a good token is."""
        sent = body if body is None or isinstance(body, str | bytes) else json.dumps(body)
        headers = {"authorization": f"Bearer {self.token()}"} | headers
        named = {name.replace("_", "-"): value for name, value in headers.items() if value}
        connection = http.client.HTTPConnection(HOST, int(self.settings["MASTERDATA_PORT"]), timeout=10)
        try:
            connection.request(method, path, sent, named)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        is_json = answer.headers.get("content-type", "").startswith("application/json")
        return Answer(status=answer.status, body=json.loads(text) if is_json else text.decode())

    def get(self, path: str, **headers: str) -> Answer:
        return self.call("GET", path, **headers)

    def post(self, path: str, body: object, **headers: str) -> Answer:
        return self.call("POST", path, body, **headers)

    def batch(self, kind: str, ids: object, **headers: str) -> Answer:
        return self.post(f"/api/v1/{kind}/batch", {"ids": ids}, **headers)

    def of(self, tenant: str) -> str:
        """The Authorization header of somebody of this tenant."""
        return f"Bearer {self.token(tenant=tenant)}"

    def listed(self, kind: str, tenant: str | None = None) -> list[dict[str, Any]]:
        """Every record of a kind that a tenant has."""
        found = self.get(f"/api/v1/{kind}?limit=200", authorization=self.of(tenant or self.tenants[0]))
        assert found.status == 200
        items: list[dict[str, Any]] = found.body["items"]
        return items


def published(key: OKPKey) -> type[BaseHTTPRequestHandler]:
    """The issuer's keys, over HTTP."""

    class Issuer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = orjson.dumps(KeySet([key]).as_dict(private=False))
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    return Issuer


@pytest.fixture(scope="session")
def key() -> OKPKey:
    return OKPKey.generate_key("Ed25519", {"kid": "k1"})


@pytest.fixture(scope="session")
def jwks_url(key: OKPKey) -> Iterator[str]:
    with ThreadingHTTPServer((HOST, 0), published(key)) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield f"http://{HOST}:{server.server_port}/jwks"
        server.shutdown()


@pytest.fixture(scope="session")
def new_masterdata(
    cluster: Cluster,
    new_database: Callable[[str], str],
    tmp_path_factory: pytest.TempPathFactory,
    key: OKPKey,
    jwks_url: str,
) -> Callable[[], MasterData]:
    """Makes an installation with an empty database, as production has it."""

    def make() -> MasterData:
        name = new_database("masterdata")
        settings = {
            "MASTERDATA_PORT": str(free_ports(1)[0]),
            "MASTERDATA_DATABASE_URL": cluster.url("masterdata_app", name),
            "MASTERDATA_OWNER_DATABASE_URL": cluster.url("masterdata_owner", name),
            "MASTERDATA_ISSUER": ISSUER,
            "MASTERDATA_JWKS_URL": jwks_url,
        }
        folder = tmp_path_factory.mktemp("masterdata")
        return MasterData(cluster=cluster, name=name, folder=folder, key=key, settings=settings)

    return make


@pytest.fixture(scope="session")
def masterdata(new_masterdata: Callable[[], MasterData]) -> Iterator[MasterData]:
    """The service, running, with its records."""
    made = new_masterdata()
    for done in (made.run("migrate"), made.seed()):
        assert (done.returncode, done.stderr) == (0, "")
    with Supervisor(made.folder / "logs") as supervisor:
        program = Program(
            name="masterdata",
            command=(str(binaries.ours("masterdata")), "serve"),
            environment=made.settings,
            ready=answers(f"http://{HOST}:{made.settings['MASTERDATA_PORT']}/health/ready"),
        )
        supervisor.wait(supervisor.start(program))
        yield made
