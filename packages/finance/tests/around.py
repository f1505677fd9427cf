"""What stands around the real service in tests: keys, neighbours, a database; the service, and what it answers."""

import os
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import orjson
from joserfc import jwt
from joserfc.jwk import KeySet, OKPKey

from finance.graphql.permission import NEEDED
from laptop.ports import HOST, free_ports
from laptop.postgres import Cluster
from laptop.supervisor import Program, Running, Supervisor, answers

PROGRAM = str(Path(sys.executable).with_name("finance"))


@dataclass
class World:
    """What stands around a service: keys, a neighbour, a database; and the services that were started."""

    cluster: Cluster
    supervisor: Supervisor
    folder: Path
    name: str
    key: OKPKey
    tenant: str
    other_tenant: str
    records: dict[str, dict[str, str]]
    away: bool = False
    asked: list[str] = field(default_factory=list)
    url: str = ""
    started: int = 0

    def settings(self, **changes: str) -> dict[str, str]:
        given = {
            "database_url": self.cluster.url("finance_app", self.name),
            "projector_database_url": self.cluster.url("finance_projector", self.name),
            "owner_database_url": self.cluster.url("finance_owner", self.name),
            "issuer": "test-issuer",
            "jwks_url": f"{self.url}/jwks",
            "masterdata_url": self.url,
            "cache": "off",
        }
        return {f"FINANCE_{name.upper()}": value for name, value in (given | changes).items()}

    def command(self, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        """Run the real command to its end."""
        return subprocess.run(
            [PROGRAM, *arguments],
            env={"PATH": os.environ["PATH"], **self.settings(**changes)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def serve(self, *, until: str = "/health/ready", **changes: str) -> "Serving":
        """Start the real service and wait until this path answers 200."""
        port = free_ports(1)[0]
        self.started += 1
        url = f"http://{HOST}:{port}"
        running = self.supervisor.start(
            Program(
                name=f"finance-{self.started}",
                command=(PROGRAM, "serve"),
                environment=self.settings(port=str(port), **changes),
                ready=answers(url + until),
            )
        )
        self.supervisor.wait(running)
        return Serving(world=self, url=url, running=running)

    def token(
        self, *, key: OKPKey | None = None, headers: dict[str, str] | None = None, **claims: Any
    ) -> str:
        """A signed token of the first tenant with every permission, but for what is given; None leaves out."""
        now = int(time.time())
        standard = {
            "iss": "test-issuer",
            "aud": "tranche",
            "sub": "rahim",
            "tenant": self.tenant,
            "nbf": now,
            "exp": now + 300,
            "permissions": sorted(set(NEEDED.values())),
        }
        given = {name: value for name, value in (standard | claims).items() if value is not None}
        return jwt.encode(
            {"alg": "Ed25519", "kid": "k1"} | (headers or {}), given, key or self.key, algorithms=["Ed25519"]
        )

    def run_sql(self, sql: str) -> None:
        self.cluster.run_sql(self.name, sql)


@dataclass(kw_only=True)
class Answer:
    status: int
    headers: Any
    body: Any

    @property
    def code(self) -> str:
        """The stable code of its one error."""
        [error] = self.body["errors"]
        return str(error["extensions"]["code"])

    @property
    def data(self) -> Any:
        """The one root field's value of an answer without errors."""
        assert self.status == 200, self.body
        assert "errors" not in self.body
        [value] = self.body["data"].values()
        return value


@dataclass(kw_only=True)
class Serving:
    """A service that was started."""

    world: World
    url: str
    running: Running

    def get(self, path: str, *, authorization: str | None = None) -> Answer:
        named = {} if authorization is None else {"authorization": authorization}
        return self._fetch(urllib.request.Request(self.url + path, headers=named))

    def post(self, body: bytes, **headers: str | None) -> Answer:
        """Post to /graphql as JSON with a good token, but for what is given; None leaves a header out."""
        standard = {"content_type": "application/json", "authorization": f"Bearer {self.world.token()}"}
        named = {name.replace("_", "-"): value for name, value in (standard | headers).items() if value}
        return self._fetch(urllib.request.Request(f"{self.url}/graphql", body, named))

    def ask(self, query: str, /, **variables: Any) -> Answer:
        return self.post(orjson.dumps({"query": query, "variables": variables}))

    def _fetch(self, request: urllib.request.Request) -> Answer:
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                status, headers, body = answer.status, answer.headers, answer.read()
        except HTTPError as error:
            with error:
                status, headers, body = error.code, error.headers, error.read()
        is_json = headers["content-type"] == "application/json"
        return Answer(status=status, headers=headers, body=orjson.loads(body) if is_json else body.decode())


def neighbour(world: World) -> type[BaseHTTPRequestHandler]:
    """The issuer's keys and master data, over HTTP."""

    class Neighbour(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/jwks":
                self.answer(200, KeySet([world.key]).as_dict(private=False))
                return
            record = world.records.get(self.path.rpartition("/")[2])
            self.look_up(200 if record else 404, record)

        def do_POST(self) -> None:
            ids = orjson.loads(self.rfile.read(int(self.headers["content-length"])))["ids"]
            malformed = any(len(one) != 36 for one in ids)
            items = [world.records[one] for one in ids if one in world.records]
            self.look_up(400 if malformed else 200, {"items": items})

        def look_up(self, status: int, body: object) -> None:
            world.asked.append(f"{self.command} {self.path}")
            self.answer(503 if world.away else status, body)

        def answer(self, status: int, body: object) -> None:
            encoded = orjson.dumps(body)
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(encoded)))
            self.end_headers()
            self.wfile.write(encoded)

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    return Neighbour
