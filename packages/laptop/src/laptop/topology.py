"""Everything that production has, on one machine: what there is, in which order it starts, and where it listens.

PostgreSQL and Valkey first; then each service's migrations, seed and process; then blue; then Envoy with the
engine's configuration. Green is not started here: that is the engine's.
"""

import json
import os
import secrets
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from laptop import binaries, postgres, release
from laptop.fault import LaptopFault
from laptop.ports import HOST, demand, free_ports
from laptop.postgres import Cluster
from laptop.supervisor import Program, Supervisor, answers, environment_for_children

ISSUER = "tranche-auth"
BLUE_RELEASE = "1.0.0"
JWKS_PATH = "/auth/.well-known/jwks.json"
PORTS = (
    "postgres",
    "valkey",
    "auth",
    "masterdata",
    "notification",
    "blue",
    "green",
    "schedule",
    "envoy",
    "envoy_admin",
)
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How many people there are."""

    tenants: int = 3
    users: int = 3000


@dataclass(slots=True, kw_only=True)
class Topology:
    """One laptop: its folder, its ports, its secrets."""

    state: Path
    ports: Mapping[str, int]
    size: Size
    valkey_password: str = field(repr=False)
    cluster: Cluster

    @property
    def site_file(self) -> Path:
        return self.state / "site.yaml"

    @property
    def users_file(self) -> Path:
        return self.state / "users.json"

    @property
    def password_file(self) -> Path:
        return self.state / "demo-password"

    @property
    def key_file(self) -> Path:
        return self.state / "auth-signing-key.pem"

    @property
    def releases_file(self) -> Path:
        """Settings of finance by colour, for `laptop release run`; holds passwords."""
        return self.state / "finance-settings.json"

    @property
    def url(self) -> str:
        """Where users arrive."""
        return self.at("envoy")

    def at(self, name: str, path: str = "") -> str:
        return f"http://{HOST}:{self.ports[name]}{path}"

    def address(self, name: str) -> str:
        return f"{HOST}:{self.ports[name]}"

    def auth_settings(self) -> dict[str, str]:
        url = self.cluster.url("auth_owner", "auth")
        return {
            "AUTH_PORT": str(self.ports["auth"]),
            "AUTH_DATABASE_URL": url,
            "AUTH_OWNER_DATABASE_URL": url,
            "AUTH_ISSUER": ISSUER,
            "AUTH_SIGNING_KEY_FILE": str(self.key_file),
            "AUTH_DEPLOYMENT": "laptop",
            "AUTH_ARGON2_MEMORY_KIB": "1024",  # docs/decisions/0008
            "AUTH_ARGON2_TIME_COST": "1",
        }

    def masterdata_settings(self) -> dict[str, str]:
        return {
            "MASTERDATA_PORT": str(self.ports["masterdata"]),
            "MASTERDATA_DATABASE_URL": self.cluster.url("masterdata_app", "masterdata"),
            "MASTERDATA_OWNER_DATABASE_URL": self.cluster.url("masterdata_owner", "masterdata"),
            "MASTERDATA_ISSUER": ISSUER,
            "MASTERDATA_JWKS_URL": self.at("auth", JWKS_PATH),
            "MASTERDATA_DEPLOYMENT": "laptop",
        }

    def finance_settings(self, colour: str) -> dict[str, str]:
        return {
            "FINANCE_PORT": str(self.ports[colour]),
            "FINANCE_DATABASE_URL": self.cluster.url("finance_app", "finance"),
            "FINANCE_PROJECTOR_DATABASE_URL": self.cluster.url("finance_projector", "finance"),
            "FINANCE_ISSUER": ISSUER,
            "FINANCE_JWKS_URL": self.at("auth", JWKS_PATH),
            "FINANCE_MASTERDATA_URL": self.at("masterdata"),
            "FINANCE_REDIS_URL": f"redis://:{self.valkey_password}@{HOST}:{self.ports['valkey']}/0",
            "FINANCE_DEPLOYMENT": "laptop",
        }

    def release_command(self, version: str, colour: str) -> list[str]:
        laptop = str(binaries.ours("laptop"))
        shown = ["--colour", colour, "--settings-file", str(self.releases_file)]
        return [laptop, "release", "run", "finance", version, *shown]

    def proofs(self) -> dict[str, object]:
        """The proofs of finance, each run by the release that serves now: its word does not depend on green's code."""
        by_blue = self.release_command(BLUE_RELEASE, "blue")
        return {
            name: {"command": [*by_blue, "--", "prove", name, "--of", "{version}"]}
            for name in ("books", "reading")
        }


def prepare(state: Path, *, size: Size, port: int | None = None) -> Topology:
    """Make the folder, draw ports and secrets, and create the database cluster.

    Raises:
        LaptopFault: the port is busy, the folder is in use, or PostgreSQL cannot be set up.
    """
    ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
    if port is not None:
        ports["envoy"] = demand(port)
    try:
        state.mkdir(parents=True, mode=0o711)
    except OSError as error:
        raise LaptopFault(f"the folder {state} cannot be made ({error.strerror}); name a new one") from error
    topology = Topology(
        state=state.resolve(),
        ports=ports,
        size=size,
        valkey_password=secrets.token_urlsafe(24),
        cluster=postgres.create(state.resolve(), ports["postgres"]),
    )
    write_secret(topology.password_file, secrets.token_urlsafe(12))
    settings = {colour: topology.finance_settings(colour) for colour in ("blue", "green")}
    write_secret(topology.releases_file, json.dumps(settings))
    topology.site_file.write_text(yaml.safe_dump(site(topology), sort_keys=False), encoding="utf-8")
    return topology


def write_secret(path: Path, text: str) -> None:
    """Write a file that only its owner can read."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def site(topology: Topology) -> dict[str, object]:
    """The engine's site file: where this laptop's parts are."""
    return {
        "state_directory": str(topology.state / "tranche"),
        "traffic": {
            "kind": "envoy",
            "directory": str(topology.state / "envoy"),
            "admin": topology.at("envoy_admin"),
            "listen": topology.address("envoy"),
            "identity": {
                "issuer": ISSUER,
                "audience": "tranche",
                "jwks": topology.at("auth", JWKS_PATH),
                "user_claim": "sub",
                "internal_claim": "internal",
            },
            "colours": {colour: topology.address(colour) for colour in ("blue", "green")},
            "health_path": "/health/ready",
            "passthrough": [
                {"prefix": "/auth/", "address": topology.address("auth")},
                {"prefix": "/api/v1/", "address": topology.address("masterdata")},
            ],
        },
        "environment": {
            "kind": "process",
            "directory": str(topology.state / "environment"),
            "lifeline_pid": os.getpid(),
            "artifact": str(release.folder("finance") / "{version}.yaml"),
            "colours": {
                "blue": {"managed": False, "ready": topology.at("blue", "/health/ready")},
                "green": {
                    "ready": topology.at("green", "/health/ready"),
                    "address": topology.address("green"),
                    "command": topology.release_command("{version}", "{colour}"),
                    "grace_s": 10,
                },
            },
        },
        "gates": {
            "variables": {"finance": str(binaries.ours("finance"))},
            "environment": {
                "FINANCE_PROJECTOR_DATABASE_URL": topology.cluster.url("finance_projector", "finance")
            },
            "proofs": topology.proofs(),
        },
    }


def run_once(program: str, arguments: Sequence[str], settings: Mapping[str, str]) -> None:
    """Run one of our commands to its end.

    Raises:
        LaptopFault: it failed; with what it said.
    """
    done = subprocess.run(
        [str(binaries.ours(program)), *arguments],
        env={**environment_for_children(), **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise LaptopFault(f"{program} {arguments[0]} failed ({done.returncode}): {' '.join(said)}")


def start(topology: Topology, supervisor: Supervisor, tell: Tell) -> None:
    """Start everything but green, in order; `tell` hears what is being started.

    Raises:
        LaptopFault: a component did not start; names its log.
    """
    tell("PostgreSQL and Valkey")
    stores = (supervisor.start(topology.cluster.program()), supervisor.start(valkey(topology)))
    supervisor.wait(*stores)
    topology.cluster.set_up()
    tell(f"auth, with {topology.size.users} users of {topology.size.tenants} companies")
    people = ["--tenants", str(topology.size.tenants), "--users", str(topology.size.users)]
    files = ["--password-file", str(topology.password_file), "--out", str(topology.users_file)]
    run_once("auth", ["keygen", str(topology.key_file)], topology.auth_settings())
    run_once("auth", ["migrate"], topology.auth_settings())
    run_once("auth", ["seed", *people, *files], topology.auth_settings())
    auth = supervisor.start(service("auth", topology, topology.auth_settings()))
    tell("master data and the event log")
    tenants = ["--tenants-file", str(topology.users_file)]
    run_once("masterdata", ["migrate"], topology.masterdata_settings())
    run_once("masterdata", ["seed", *tenants], topology.masterdata_settings())
    owner = {"FINANCE_OWNER_DATABASE_URL": topology.cluster.url("finance_owner", "finance")}
    run_once("finance", ["migrate", *tenants], {**topology.finance_settings("blue"), **owner})
    tell(f"master data, notification, finance {BLUE_RELEASE} (blue)")
    supervisor.wait(
        auth,
        supervisor.start(service("masterdata", topology, topology.masterdata_settings())),
        supervisor.start(
            service("notification", topology, {"NOTIFICATION_PORT": str(topology.ports["notification"])})
        ),
        supervisor.start(blue(topology)),
    )
    tell("Envoy")
    run_once("tranche", ["traffic", "config", "--site", str(topology.site_file)], {})
    supervisor.wait(supervisor.start(envoy(topology)))


def service(name: str, topology: Topology, settings: Mapping[str, str]) -> Program:
    return Program(
        name=name,
        command=(str(binaries.ours(name)), "serve"),
        environment=settings,
        ready=answers(topology.at(name, "/health/ready")),
    )


def blue(topology: Topology) -> Program:
    return Program(
        name="finance-blue",
        command=tuple(topology.release_command(BLUE_RELEASE, "blue")),
        ready=answers(topology.at("blue", "/health/ready")),
    )


def schedule(topology: Topology) -> Program:
    """The clock that runs templates of journal entries; any release does it for all."""
    command = topology.release_command(BLUE_RELEASE, "blue")
    return Program(
        name="finance-schedule",
        command=(*command, "--", "schedule", "--port", str(topology.ports["schedule"])),
        ready=answers(topology.at("schedule", "/health/ready")),
    )


def valkey(topology: Topology) -> Program:
    folder = topology.state / "valkey"
    folder.mkdir()
    write_secret(
        folder / "valkey.conf",
        f"bind {HOST}\nport {topology.ports['valkey']}\nrequirepass {topology.valkey_password}\n"
        f"dir {folder}\nsave ''\nappendonly no\nmaxmemory 128mb\nmaxmemory-policy allkeys-lru\n",
    )
    return Program(
        name="valkey",
        command=(str(binaries.valkey()), str(folder / "valkey.conf")),
        ready=listens(topology.ports["valkey"]),
    )


def listens(port: int) -> Callable[[], str | None]:
    """Ready when something accepts connections on this port."""

    def ask() -> str | None:
        try:
            socket.create_connection((HOST, port), timeout=1).close()
        except OSError as error:
            return str(error)
        return None

    return ask


def envoy(topology: Topology) -> Program:
    options = ["--disable-hot-restart", "--concurrency", "2", "--log-level", "warning"]
    return Program(
        name="envoy",
        command=(
            str(binaries.envoy()),
            "-c",
            str(topology.state / "envoy" / "bootstrap.json"),
            "--reject-unknown-dynamic-fields",
            *options,
        ),
        ready=answers(topology.at("envoy_admin", "/ready")),
    )
