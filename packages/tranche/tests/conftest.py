"""A whole world in memory, with users: the test bed of the controller."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from installed import SITE, Run
from receivers import MailServer, Receiver, receiving, receiving_mail
from told import KEY, PASSWORD, SIGNING, SLACK_PATH

from laptop.postgres import Cluster
from tranche import cli, language, wiring
from tranche import site as sites
from tranche.adapters.memory import (
    InlineWorkers,
    MemoryEnvironment,
    MemoryGate,
    MemoryLock,
    MemoryLog,
    MemoryNotifier,
    MemorySignals,
    MemoryTraffic,
    VirtualClock,
)
from tranche.adapters.postgres import Database
from tranche.adapters.postgres_log import prepare
from tranche.controller import Controller, Snapshot, World
from tranche.desk import Desk
from tranche.gate_kinds import GATE_KINDS
from tranche.plan import Plan
from tranche.ports import TOTAL_WEIGHT, Arm
from tranche.progress import Progress, fold
from tranche.secret import Secret
from tranche.status import seen_document, status
from tranche.wiring import Installation

PLANS = Path(__file__).resolve().parents[3] / "plans"

SMALL = """
name: small
tick: 1s
stale_after: 5s
share_tolerance: 5 %
warm_up: 0s
judge: {false_safety: 40 %}
health: {ready_within: 30s, unhealthy_for: 4s, restarts: 2}
limits:
  - {limit: errors > 1 %, sustained: 8s, minimum_requests: 30, answer: roll_back}
  - {limit: latency_p95 > 500 ms, sustained: 8s, minimum_requests: 30, answer: roll_back}
staging:
  gates: [{name: smoke, kind: http, url: "{green_url}/ready", retry: 2s}]
phases:
  - name: few
    weight: 10 %
    internal_users_first: 5s
    dwell: 20s
    requirements: [errors < 0.5 %, latency_p95 < 300 ms]
    gates: [{name: integrity, kind: command, command: ["check", "{version}"], at: end, retry: 3s}]
  - {name: half, weight: 50 %, dwell: 20s, requirements: [errors < 0.5 %]}
  - {name: all, weight: 100 %, dwell: 20s, requirements: [errors < 0.5 %, uptime > 99.9 %]}
"""


@dataclass
class ControlLock(MemoryLock):
    """Whether a controller lives is what the test says."""

    is_held: bool = True

    def __post_init__(self) -> None:
        super().__init__()

    def is_held_elsewhere(self) -> bool:
        return self.is_held


@dataclass
class Bed:
    """Users make `rate` requests a second; what they meet depends on the split, `errors` and `latency_ms`."""

    text: str = SMALL
    rate: float = 100.0
    internal_rate: float = 5.0
    errors: dict[Arm, float] = field(default_factory=dict)
    latency_ms: dict[Arm, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.clock = VirtualClock()
        self.clock.on_sleep = self._serve
        self.log = MemoryLog()
        self.traffic = MemoryTraffic()
        self.signals = MemorySignals(self.clock)
        self.environment = MemoryEnvironment()
        self.gates = {kind: MemoryGate() for kind in GATE_KINDS}
        self.notifier = MemoryNotifier()
        self.lock = MemoryLock()
        self.control = ControlLock()
        self.snapshots: list[Snapshot] = []
        self.memory: dict[str, Any] | None = None
        self.plan: Plan = language.parse(self.text, file="small.yaml")
        self._rests: dict[str, float] = {}

    @property
    def desk(self) -> Desk:
        return Desk(log=self.log, clock=self.clock, control=self.control, observed=lambda: self.memory)

    def world(self, **changes: Any) -> World:
        parts: dict[str, Any] = {
            "log": self.log,
            "traffic": self.traffic,
            "signals": self.signals,
            "environment": self.environment,
            "gates": self.gates,
            "variables": {"green_url": "http://green"},
            "clock": self.clock,
            "notifier": self.notifier,
            "workers": InlineWorkers(),
            "lock": self.lock,
        }
        return World(**(parts | changes))

    def controller(self, progress: Progress | None = None, **changes: Any) -> Controller:
        """A controller of the last rollout, started if there is none."""
        if progress is None:
            if not self.log.rollouts():
                self.desk.start(self.plan, text=self.text, file="small.yaml", version="1.1.0", actor="ann")
            progress = self.desk.progress()
        return Controller(
            plan=self.plan,
            progress=progress,
            world=self.world(**changes),
            show=self._show,
            memory=json.loads(json.dumps(self.memory)) if self.memory else None,
            pid=4711,
        )

    def _show(self, snapshot: Snapshot) -> None:
        self.snapshots.append(snapshot)
        self.memory = seen_document(snapshot, pid=4711)

    def step(self, controller: Controller, ticks: int = 1) -> None:
        """So many rounds, with users in between."""
        for _ in range(ticks):
            if controller.is_done:
                return
            controller.tick()
            self.clock.sleep(0.2 if controller.hurries else self.plan.tick_s)

    def until(
        self, controller: Controller, reached: Callable[[Progress], bool], ticks: int = 500
    ) -> Progress:
        for _ in range(ticks):
            if reached(controller.progress):
                return controller.progress
            self.step(controller)
        raise AssertionError(f"not reached: {controller.progress.stay}, {self.snapshots[-1].decision}")

    @property
    def progress(self) -> Progress:
        progress = fold(self.log.read(self.log.rollouts()[-1]))
        assert progress is not None
        return progress

    @property
    def status(self) -> dict[str, Any]:
        return status(self.plan, self.progress, self.memory, alive=True, now=self.clock.now())

    @property
    def weights(self) -> list[int]:
        """Every weight the data plane was told, in order."""
        return [split.green_weight for split in self.traffic.history]

    def _serve(self, seconds: float) -> None:
        split = self.traffic.split
        green = split.green_weight / TOTAL_WEIGHT if split else 0.0
        control = split.control_weight / TOTAL_WEIGHT if split else 0.0
        internal = Arm.INTERNAL if split and split.internal_to_green else Arm.BLUE
        self._requests(Arm.GREEN, self.rate * green * seconds)
        self._requests(Arm.CONTROL, self.rate * control * seconds)
        self._requests(Arm.BLUE, self.rate * (1 - green - control) * seconds)
        self._requests(internal, self.internal_rate * seconds)

    def _requests(self, arm: Arm, wanted: float) -> None:
        requests = self._whole(f"{arm} requests", wanted)
        errors = min(requests, self._whole(f"{arm} errors", requests * self.errors.get(arm, 0.0)))
        if requests:
            self.signals.serve(arm, requests, errors=errors, latency_ms=self.latency_ms.get(arm, 40.0))

    def _whole(self, key: str, wanted: float) -> int:
        total = self._rests.get(key, 0.0) + wanted
        whole = int(total + 1e-9)
        self._rests[key] = total - whole
        return whole


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--golden", action="store_true", help="accept the golden traces as they are now")


@pytest.fixture
def make_bed() -> Callable[..., Bed]:
    return Bed


@pytest.fixture
def bed() -> Bed:
    return Bed()


@pytest.fixture
def database_name(new_database: Callable[[str], str]) -> str:
    """An empty database of a test's own; its owner is one of the roles that there are."""
    return new_database("auth")


@pytest.fixture
def database(cluster: Cluster, database_name: str) -> Iterator[Database]:
    """That database, with the tables of an event log."""
    opened = Database(lambda: cluster.url("auth_owner", database_name), where="a test's database")
    prepare(opened)
    yield opened
    opened.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@pytest.fixture
def mail(tmp_path: Path) -> Iterator[MailServer]:
    with receiving_mail(tmp_path) as made:
        yield made


@pytest.fixture
def secrets(tmp_path: Path, receiver: Receiver) -> Mapping[str, Secret]:
    values = {"slack": receiver.url + SLACK_PATH, "key": KEY, "password": PASSWORD, "signing": SIGNING}
    for name, value in values.items():
        (tmp_path / name).write_text(value)
    return {name: Secret(file=tmp_path / name) for name in values}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A site file, and whoever asks is ann."""
    path = tmp_path / "site.yaml"
    path.write_text(SITE)
    monkeypatch.setenv("TRANCHE_SITE", str(path))
    monkeypatch.setenv("TRANCHE_ACTOR", "ann")
    return path


@pytest.fixture
def here(site: Path) -> Installation:
    return wiring.installation(sites.load(site))


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command: its exit code, and what it wrote to either stream."""

    def run(*arguments: str) -> tuple[int, str, str]:
        code = cli.run(list(arguments))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run
