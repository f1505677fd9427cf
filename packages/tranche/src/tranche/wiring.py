"""The composition root: the one place that knows every concrete class.

Adapters of the data plane and of the environment are imported where they are built: most commands only read.
"""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tranche import record, status
from tranche.adapters.clock import WallClock
from tranche.adapters.command import CommandGate
from tranche.adapters.console import ConsoleNotifier
from tranche.adapters.drill import DrillGate
from tranche.adapters.folder import FileLock, Folder
from tranche.adapters.http import HttpGate
from tranche.adapters.incidents import IncidentGate
from tranche.adapters.load_test import LoadGate
from tranche.adapters.prometheus import QueryGate
from tranche.adapters.scanner import ScanGate
from tranche.adapters.smoke import SmokeGate
from tranche.adapters.sqlite import SqliteLog
from tranche.adapters.threads import ThreadWorkers
from tranche.adapters.webhook import WebhookGate
from tranche.controller import Controller, Snapshot, World
from tranche.desk import Desk
from tranche.gate_kinds import GATE_KINDS
from tranche.gates import Declared
from tranche.lint import Finding, lint_here
from tranche.plan import OWN_VARIABLES, Plan
from tranche.ports import Colour, Environment, EventLog, Gate, Recorded, Split, Traffic
from tranche.progress import Progress
from tranche.reconcile import Lock
from tranche.site import Site

LOG_FILE = "rollout.sqlite"
OBSERVED_FILE = "observed.json"
STATUS_FILE = "status.json"
RECORD_FILE = "record.md"
CONTROL_LOCK = "control.lock"
TRAFFIC_LOCK = "traffic.lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """A site with its parts built."""

    site: Site
    folder: Folder
    log: EventLog
    control: FileLock
    desk: Desk

    def traffic(self) -> Traffic:
        from tranche.adapters.envoy import EnvoyTraffic

        return EnvoyTraffic(self.site.traffic)

    def environment(self) -> Environment:
        from tranche.adapters.process import ProcessEnvironment

        return ProcessEnvironment(self.site.environment)

    def traffic_lock(self) -> Lock:
        return FileLock(self.folder.path / TRAFFIC_LOCK)


def installation(site: Site) -> Installation:
    """Build what every command needs. Opens the event log; touches neither traffic nor versions.

    Raises:
        LogFault: the state folder or the event log cannot be used.
    """
    folder = Folder(site.state_directory)
    log = SqliteLog(folder.path / LOG_FILE)
    control = FileLock(folder.path / CONTROL_LOCK)
    desk = Desk(log=log, clock=WallClock(), control=control, observed=lambda: folder.read_json(OBSERVED_FILE))
    return Installation(site=site, folder=folder, log=log, control=control, desk=desk)


def controller(here: Installation, progress: Progress, on_event: Callable[[Recorded], None]) -> Controller:
    """A controller of this rollout. The caller holds the control lock."""
    from tranche.adapters.envoy import EnvoySignals

    world = World(
        log=here.log,
        traffic=here.traffic(),
        signals=EnvoySignals(here.site.traffic),
        environment=here.environment(),
        gates=gates(here.site),
        variables=variables(here.site),
        clock=WallClock(),
        notifier=ConsoleNotifier(),
        workers=ThreadWorkers(),
        lock=here.traffic_lock(),
    )
    return Controller(
        plan=here.desk.plan(progress),
        progress=progress,
        world=world,
        show=Publisher(here, on_event),
        memory=here.folder.read_json(OBSERVED_FILE),
        pid=os.getpid(),
    )


def gates(site: Site) -> Mapping[str, Gate]:
    """Every kind of gate a plan may name; those nothing can run yet cannot tell."""
    working: dict[str, Gate] = {
        "command": CommandGate(site.gates.environment),
        "drill": DrillGate(
            {name: folder / LOG_FILE for name, folder in site.gates.rehearsals.items()}, WallClock()
        ),
        "http": HttpGate(),
        "incidents": IncidentGate(site.gates.webhooks, site.gates.prometheus),
        "load_test": LoadGate(f"http://{site.traffic.colours[Colour.GREEN]}", site.gates.targets),
        "query": QueryGate(site.gates.prometheus),
        "security_scan": ScanGate(site.gates.scanners, site.gates.environment),
        "smoke": SmokeGate(f"http://{site.traffic.colours[Colour.GREEN]}", site.gates.targets),
        "webhook": WebhookGate(site.gates.webhooks),
    }
    return {kind: working.get(kind) or Declared(kind) for kind in GATE_KINDS}


def variables(site: Site) -> dict[str, str]:
    """What `{names}` in a gate's settings stand for; the site's own come last and win."""
    return {
        "green_url": f"http://{site.traffic.colours[Colour.GREEN]}",
        "blue_url": f"http://{site.traffic.colours[Colour.BLUE]}",
        "traffic_url": f"http://{site.traffic.listen}",
        **site.gates.variables,
    }


def findings(plan: Plan, site: Site) -> list[Finding]:
    """What the plan needs and this installation lacks."""
    lent = frozenset({*variables(site), *OWN_VARIABLES})
    paths = site.gates.environment.get("PATH")
    return lint_here(plan, site, lent=lent, find=lambda program: shutil.which(program, path=paths))


class Publisher:
    """Writes what a tick has shown: observed.json, status.json, record.md. Tells events once, in order."""

    def __init__(self, here: Installation, on_event: Callable[[Recorded], None]) -> None:
        self._here = here
        self._on_event = on_event
        self._events: list[Recorded] = []
        self._record = ""

    def __call__(self, snapshot: Snapshot) -> None:
        """Raises LogFault when the disk is full; the controller lives on."""
        folder, rollout = self._here.folder, snapshot.progress.rollout
        seen = status.seen_document(snapshot, pid=os.getpid())
        folder.write(OBSERVED_FILE, json.dumps(seen))
        document = status.status(snapshot.plan, snapshot.progress, seen, alive=True, now=snapshot.at)
        folder.write(STATUS_FILE, json.dumps(document, indent=1))
        news = self._here.log.read(rollout, after=len(self._events))
        self._events += news
        for recorded in news:
            self._on_event(recorded)
        text = record.markdown(document, self._events)
        if text != self._record:
            folder.write(RECORD_FILE, text)
            self._record = text


def write_record(here: Installation) -> None:
    """The record and the status as the log has them now, for when no controller writes them."""
    document = here.desk.status()
    here.folder.write(STATUS_FILE, json.dumps(document, indent=1))
    here.folder.write(RECORD_FILE, record.markdown(document, here.desk.events()))


def write_traffic_config(site: Site) -> None:
    """The data plane's files, with everybody on blue."""
    from tranche.adapters.envoy_config import write_all

    first = Split(identifier="none/0", salt="none", green_weight=0, internal_to_green=False)
    write_all(site.traffic, first)
