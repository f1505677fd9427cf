"""`laptop demo`: the whole story in one command, judged by what users met."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from laptop import binaries, keeper, report, traffic
from laptop.fault import LaptopFault
from laptop.show import console, starting, stopping, summary
from laptop.supervisor import Program, Running, Supervisor, bound_to_us, environment_for_children, tail
from laptop.topology import Size, Topology, prepare, start

VERSION = "1.1.0"
AFTER_S = 3.0
"""How long users go on after the end, so that what came last is seen."""

LOG_IN_WITHIN_S = 180.0
LOOK_UP_WITHIN_S = 90.0
POLL_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """One demonstration. `bad` names the fault that the new version is shipped with, if any."""

    bad: str | None
    json_file: Path | None
    rate: float | None
    plan: Path
    state: Path
    port: int | None
    users: int

    @property
    def version(self) -> str:
        return f"{VERSION}-{self.bad}" if self.bad else VERSION

    def run(self) -> bool:
        """Start everything, roll out under traffic, and judge. True when all that is promised was kept.

        Raises:
            LaptopFault: a component, the traffic or the engine failed; nothing is left running.
        """
        keeper.adopt()
        with Supervisor(self.state / "logs") as supervisor:
            topology = prepare(self.state, size=Size(users=self.users), port=self.port)
            try:
                with starting() as tell:
                    start(topology, supervisor, tell)
                users = supervisor.start(self.generator(topology))
                self.wait_for(users, traffic.READY, LOG_IN_WITHIN_S, supervisor)
                console.print(
                    f"{self.pace()}; finance {self.version} is released to them, live view follows\n"
                )
                status = self.roll_out(topology, supervisor)
                places = self.places(topology)
                time.sleep(AFTER_S)
                users.process.terminate()
                self.wait_for(users, traffic.SUMMARY, LOOK_UP_WITHIN_S, supervisor)
                found = report.report(status, self.records(), self.held(), places)
            finally:
                with stopping() as tell:
                    keeper.stop_all(topology.state / "environment")
                    supervisor.stop(tell)
                topology.cluster.remove_scratch()
        return self.judge(found, topology)

    @property
    def out(self) -> Path:
        return self.state / "traffic"

    def generator(self, topology: Topology) -> Program:
        files = ["--users-file", str(topology.users_file), "--password-file", str(topology.password_file)]
        laptop = str(binaries.ours("laptop"))
        options = ["--url", topology.url, "--out", str(self.out)]
        options += ["--rate", str(self.rate)] if self.rate is not None else []
        return Program(
            name="traffic",
            command=(laptop, "traffic", *options, *files),
            ready=lambda: None,
            stop_within_s=2.0,
        )

    def wait_for(self, users: Running, name: str, within_s: float, supervisor: Supervisor) -> None:
        """Show the traffic's progress until it has written this file.

        Raises:
            LaptopFault: it died, or was not there in time.
        """
        deadline = time.monotonic() + within_s
        with progress_bar() as show:
            while not (self.out / name).exists():
                if users.process.poll() not in {None, 0} or time.monotonic() > deadline:
                    told = (
                        "the traffic did not get there"
                        if users.process.poll() is None
                        else "the traffic died"
                    )
                    raise LaptopFault(f"{told}; see {users.log}{tail(users.log)}")
                supervisor.check(but=users)
                show(self.out / traffic.PROGRESS)
                time.sleep(POLL_S)

    def roll_out(self, topology: Topology, supervisor: Supervisor) -> dict[str, Any]:
        """Run the engine beside its live view; the status document of the end.

        Raises:
            LaptopFault: the engine failed.
        """
        site = ["--site", str(topology.site_file)]
        tranche = str(binaries.ours("tranche"))
        engine = supervisor.start(
            Program(
                name="tranche",
                command=(tranche, "start", str(self.plan.resolve()), "--version", self.version, *site),
                ready=lambda: (
                    None if (topology.state / "tranche" / "status.json").exists() else "no status yet"
                ),
            )
        )
        supervisor.wait(engine)
        watching = subprocess.Popen(
            [*bound_to_us(signal.SIGTERM), tranche, "watch", *site],
            env=environment_for_children() | terminal(),
        )
        while watching.poll() is None:
            supervisor.check(but=engine)
            time.sleep(POLL_S)
        code = supervisor.finished(engine, 30)
        if code not in {0, 1} or watching.returncode:
            raise LaptopFault(f"the engine failed (exit {code}); see {engine.log}{tail(engine.log)}")
        asked = subprocess.run(
            [tranche, "status", "--json", *site], capture_output=True, text=True, check=True
        )
        status: dict[str, Any] = json.loads(asked.stdout)
        return status

    def places(self, topology: Topology) -> Mapping[str, float]:
        """Where each user stands on the hash line (percent), as the engine says.

        Raises:
            LaptopFault: it does not say.
        """
        people = topology.state / "people.txt"
        ids = [user.id for user in traffic.users_of(topology.users_file)]
        people.write_text("\n".join(ids) + "\n", encoding="utf-8")
        options = ["--users-file", str(people), "--json", "--site", str(topology.site_file)]
        asked = subprocess.run(
            [str(binaries.ours("tranche")), "who", *options], capture_output=True, text=True, check=False
        )
        if asked.returncode:
            raise LaptopFault(f"the engine does not say where users belong: {asked.stderr.strip()}")
        return {one["user"]: one["place_percent"] for one in json.loads(asked.stdout)["users"]}

    def pace(self) -> str:
        """How many requests users make, in words."""
        if self.rate is not None:
            return f"users make {self.rate:g} requests/s"
        found = orjson.loads((self.out / traffic.PACE).read_bytes())
        part = found["rate"] / max(found["answered_per_s"], 0.1)
        told = f"{part:.0%} of the {found['answered_per_s']:.0f} that blue alone can answer here"
        return f"users make {found['rate']:.0f} requests/s, {told}"

    def records(self) -> list[traffic.Record]:
        lines = (self.out / traffic.RECORDS).read_bytes().splitlines()
        return [traffic.Record(**orjson.loads(line)) for line in lines]

    def held(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = orjson.loads((self.out / traffic.SUMMARY).read_bytes())
        return found

    def judge(self, found: Mapping[str, Any], topology: Topology) -> bool:
        """Show the figures, write them where asked, and tell whether they are as promised."""
        if self.json_file is not None:
            self.json_file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        short = report.shortfalls(found, expected="rolled_back" if self.bad else "completed")
        summary(found, short, version=self.version, record=topology.state / "tranche" / "record.md")
        return not short


def terminal() -> dict[str, str]:
    """What the live view needs to know of the terminal."""
    import os

    names = ("TERM", "COLUMNS", "LINES", "COLORTERM", "NO_COLOR")
    return {name: os.environ[name] for name in names if name in os.environ}


@contextmanager
def progress_bar() -> Iterator[Callable[[Path], None]]:
    """Shows what a progress file says, as a bar; without a terminal, nothing."""
    columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=not sys.stderr.isatty()) as progress:
        task = progress.add_task("users", total=None)

        def show(file: Path) -> None:
            if file.exists():
                told = orjson.loads(file.read_bytes())
                progress.update(task, description=told["doing"], completed=told["done"], total=told["of"])

        yield show
