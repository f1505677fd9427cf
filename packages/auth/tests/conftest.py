"""What tests of auth share: its commands as processes, on a real database, and a way to talk to it."""

import http.client
import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from laptop import binaries
from laptop.ports import HOST, free_ports
from laptop.postgres import Cluster
from laptop.supervisor import Program, Supervisor, answers, environment_for_children

PASSWORD = "shapla-1971"
TENANTS, USERS = 3, 300


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back over HTTP; `body` is read as JSON when it is."""

    status: int
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True, kw_only=True)
class Auth:
    """One installation: its folder and settings, its commands, and its service."""

    folder: Path
    settings: Mapping[str, str]
    password: str = PASSWORD

    def run(self, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        """A command, run to its end."""
        environment = {**environment_for_children(), **self.settings, **changes}
        command = [str(binaries.ours("auth")), *arguments]
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=60
        )

    def seed(self, *arguments: str, password: str = PASSWORD, **changes: str) -> dict[str, Any]:
        """Seed, and read who is there now."""
        secret, out = self.folder / "password", self.folder / "users.json"
        secret.write_text(password + "\n")
        options = [*arguments, "--password-file", str(secret), "--out", str(out)]
        done = self.run("seed", *options, **changes)
        assert (done.returncode, done.stderr) == (0, "")
        found: dict[str, Any] = json.loads(out.read_bytes())
        return found

    def call(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """One request to the service. A body that is no text is sent as JSON."""
        connection = http.client.HTTPConnection(HOST, int(self.settings["AUTH_PORT"]), timeout=10)
        sent = body if body is None or isinstance(body, str | bytes) else json.dumps(body)
        try:
            connection.request(method, path, sent, headers)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        is_json = answer.headers.get("content-type", "").startswith("application/json")
        return Answer(
            status=answer.status, headers=answer.headers, body=json.loads(text) if is_json else text.decode()
        )

    def log_in(self, tenant: str, username: str, password: str = PASSWORD) -> Answer:
        asked = {"tenant": tenant, "username": username, "password": password}
        return self.call("POST", "/auth/login", asked)


@pytest.fixture(scope="session")
def new_auth(
    cluster: Cluster, new_database: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], Auth]:
    """Makes an installation with an empty database and no key."""

    def make() -> Auth:
        folder, url = tmp_path_factory.mktemp("auth"), cluster.url("auth_owner", new_database("auth"))
        settings = {
            "AUTH_PORT": str(free_ports(1)[0]),
            "AUTH_DATABASE_URL": url,
            "AUTH_OWNER_DATABASE_URL": url,
            "AUTH_SIGNING_KEY_FILE": str(folder / "key.pem"),
            "AUTH_DEPLOYMENT": "laptop",
            "AUTH_ARGON2_MEMORY_KIB": "64",
            "AUTH_ARGON2_TIME_COST": "1",
        }
        return Auth(folder=folder, settings=settings)

    return make


@pytest.fixture(scope="session")
def auth(new_auth: Callable[[], Auth]) -> Iterator[Auth]:
    """The service, running, with its users."""
    made = new_auth()
    for command in (("keygen", made.settings["AUTH_SIGNING_KEY_FILE"]), ("migrate",)):
        done = made.run(*command)
        assert (done.returncode, done.stderr) == (0, "")
    made.seed("--tenants", str(TENANTS), "--users", str(USERS))
    with Supervisor(made.folder / "logs") as supervisor:
        program = Program(
            name="auth",
            command=(str(binaries.ours("auth")), "serve"),
            environment=made.settings,
            ready=answers(f"http://{HOST}:{made.settings['AUTH_PORT']}/health/ready"),
        )
        supervisor.wait(supervisor.start(program))
        yield made


@pytest.fixture(scope="session")
def users(auth: Auth) -> list[dict[str, Any]]:
    """Everybody who may log in."""
    found: list[dict[str, Any]] = json.loads((auth.folder / "users.json").read_bytes())["users"]
    return found
