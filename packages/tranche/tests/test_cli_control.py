"""Who controls a rollout: one controller at a time, by a lock or a lease, and the next one where it ended."""

import json
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from installed import SITE, Run, begin

from laptop.postgres import Cluster
from tranche import site as sites
from tranche import wiring
from tranche.adapters.fenced import FencedEnvironment, FencedTraffic
from tranche.adapters.memory import MemoryEnvironment, MemoryLock, MemoryTraffic
from tranche.desk import ControllerRunning
from tranche.events import Completed, Retired, encode
from tranche.ports import Colour, LeaseLost
from tranche.progress import Progress
from tranche.wiring import Installation


def test_a_second_controller_is_refused(run: Run, here: Installation) -> None:
    begin(here)
    assert here.control.acquire(wait_s=0)
    try:
        code, _, err = run("control")
    finally:
        here.control.release()

    assert code == 1
    assert "controller-running" in err


TWO = "name: two\ntick: 1s\nstale_after: 5s\nphases: [{name: all, weight: 100 %, dwell: 1h}]\n"


def taken_back(here: Installation) -> None:
    """A rollout that a person has taken back, to its end."""
    begin(here)
    here.desk.roll_back(
        reason="no",
        actor="bob",
        traffic=MemoryTraffic(),
        environment=MemoryEnvironment(),
        lock=MemoryLock(),
    )


def test_a_standby_of_a_rollout_that_has_ended_says_how(run: Run, here: Installation) -> None:
    taken_back(here)

    code, _, err = run("control")
    assert (code, "refused (nothing-to-control)" in err) == (1, True)
    assert run("control", "--standby") == (1, "", "")


def test_a_blue_whose_controller_was_killed_before_it_stopped_is_stopped_by_the_next(
    run: Run, here: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(here)
    left = [Completed(reason="met"), Retired(colour="blue", detail="the plan says so")]
    events = [encode(event, at=datetime(2026, 1, 5, tzinfo=UTC), actor="controller") for event in left]
    begun = here.desk.progress().position
    here.log.append("finance-demo-1", after=begun, events=events)
    environment, traffic = MemoryEnvironment(), MemoryTraffic()
    environment.versions[Colour.BLUE] = "1.0.0"
    monkeypatch.setattr(Installation, "environment", lambda _: environment)
    monkeypatch.setattr(Installation, "traffic", lambda _: traffic)

    assert run("control")[0] == 0
    assert environment.versions == {}
    assert [event.type for event in here.desk.events()[begun + 2 :]] == ["stopped/1"]
    assert run("control")[0] == 1, "there is nothing left to be controlled"
    assert environment.retired == [Colour.BLUE]


class Loser:
    """A controller that loses its lease, while somebody else ends the rollout."""

    has_lost_lease = True

    def __init__(self, here: Installation) -> None:
        self._here = here

    def run(self) -> Progress:
        self._here.control.release()
        before = self._here.desk.progress()
        self._here.desk.roll_back(
            reason="no",
            actor="bob",
            traffic=MemoryTraffic(),
            environment=MemoryEnvironment(),
            lock=MemoryLock(),
        )
        return before


def test_a_controller_that_has_lost_its_lease_stands_by(
    run: Run, here: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(here)
    made: list[Loser] = []

    def make(here: Installation, *_: object) -> Loser:
        made.append(Loser(here))
        return made[-1]

    monkeypatch.setattr(wiring, "controller", make)
    code, _, err = run("control")

    assert len(made) == 1
    assert code == 1
    assert err == "tranche: the lease is lost; standing by\n"


@pytest.mark.integration
def test_with_postgres_the_controller_is_wired_to_its_lease_and_a_second_one_is_refused(
    run: Run, site: Path, cluster: Cluster, database_name: str
) -> None:
    (site.parent / "url").write_text(cluster.url("auth_owner", database_name))
    site.write_text(f"event_log: {{kind: postgres, url: {{file: url}}}}\n{SITE}")
    here = wiring.installation(sites.load(site))
    begin(here)
    assert here.shared is not None
    assert here.control.acquire(wait_s=0)
    controller = wiring.controller(here, here.desk.progress(), lambda _: None)

    assert controller.world.lease is here.shared.lease
    assert here.shared.lease.length_s == 1.5 * controller.plan.tick_s
    assert isinstance(controller.world.traffic, FencedTraffic)
    assert isinstance(controller.world.environment, FencedEnvironment)
    code, _, err = run("control")
    assert (code, "refused (controller-running)" in err) == (1, True)
    code, out, _ = run("history", "--json")
    told = [each["type"] for each in json.loads(out)]
    assert (code, told) == (0, ["started/1", "version-identified/1", "attested/1"])
    here.control.release()
    with pytest.raises(LeaseLost):
        controller.world.log.append("finance-demo-1", after=1, events=[])


@pytest.mark.integration
def test_what_the_api_starts_asks_for_the_lease_that_others_may_have(
    site: Path, cluster: Cluster, database_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control lock is a file of one machine; the controller that has the lease may be on another."""
    (site.parent / "url").write_text(cluster.url("auth_owner", database_name))
    site.write_text(f"event_log: {{kind: postgres, url: {{file: url}}}}\n{SITE}")
    here, elsewhere = (wiring.installation(sites.load(site)) for _ in range(2))
    monkeypatch.setattr(wiring, "control", lambda here, *_, **__: here.desk.progress())
    asked = partial(wiring.start, here, str(site), plan=TWO, version="1.1.0", token=None)
    assert elsewhere.control.acquire(wait_s=0)

    with pytest.raises(ControllerRunning):
        asked()
    assert here.log.rollouts() == []
    elsewhere.control.release()
    assert asked().rollout == "two-1"
    assert elsewhere.control.acquire(wait_s=0), "it has let go"


def test_a_database_that_cannot_be_reached_is_a_fault_without_its_password(run: Run, site: Path) -> None:
    (site.parent / "url").write_text("postgresql://ann:hunter2@127.0.0.1:1/none")
    site.write_text(f"event_log: {{kind: postgres, url: {{file: url}}}}\n{SITE}")
    code, _, err = run("status")

    assert code == 3
    assert "its address is in the file" in err
    assert "hunter2" not in err
