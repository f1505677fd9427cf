"""The controller may die at any moment: users stay where they are, and the rollout goes on where it was."""

import signal
import time
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(240)]


def served(laptop: Any) -> str:
    """The version of the split that Envoy serves now."""
    url = f"{laptop.site['traffic']['admin']}/stats?filter=rds.app.version_text"
    with urlopen(url, timeout=5) as answer:
        return str(answer.read().decode().partition(": ")[2].strip().strip('"'))


def wait_for_weight(laptop: Any, percent: float) -> None:
    def reached() -> bool:
        changes = laptop.status()["weight_changes"]
        return bool(changes) and changes[-1]["green_weight_percent"] == percent

    wait(reached, f"green has {percent} %", 60)


def wait(condition: Any, what: str, within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        time.sleep(0.1)


def test_a_controller_killed_in_every_phase_goes_on_where_it_was(
    laptop: Any, users: Any, quick: Path
) -> None:
    engine = laptop.start_rollout(quick)
    wait((laptop.state / "tranche" / "status.json").exists, "the rollout is recorded", 20)
    for percent in (10.0, 30.0, 60.0, 100.0):
        wait_for_weight(laptop, percent)
        before = served(laptop)
        engine.send_signal(signal.SIGKILL)
        engine.wait()
        assert laptop.status()["controller"]["alive"] is False
        time.sleep(1.5)  # how long nobody is at the controls
        assert served(laptop) == before, "traffic moved while the controller was dead"
        engine = laptop.machine.start("tranche", "control", *laptop.site_option, log=f"again-{percent:g}.log")
    assert engine.wait(90) == 0, laptop.machine.said("again-100.log")
    status = laptop.status()
    assert status["state"] == "completed"
    weights = [change["green_weight_percent"] for change in status["weight_changes"]]
    assert weights == [0.0, 0.0, 10.0, 30.0, 60.0, 100.0], "each weight was set once"
    held = users.stop()
    assert users.failures() == {}
    assert (held["lost_writes"], float(held["trial_balance_difference"])) == (0, 0.0)


def test_a_rollback_needs_no_controller(laptop: Any, users: Any, quick: Path) -> None:
    engine = laptop.start_rollout(quick)
    wait((laptop.state / "tranche" / "status.json").exists, "the rollout is recorded", 20)
    wait_for_weight(laptop, 30.0)
    engine.send_signal(signal.SIGKILL)
    engine.wait()
    done = laptop.tranche("rollback", "--reason", "the night shift wants to sleep")
    returned = time.time()
    assert done.returncode == 0, done.stderr
    status = laptop.status()
    assert status["state"] == "rolled_back"
    assert status["rollback"]["reason"] == "the night shift wants to sleep"
    assert served(laptop) == status["weight_changes"][-1]["identifier"]
    assert "the night shift wants to sleep" in (laptop.state / "tranche" / "record.md").read_text()
    time.sleep(1)
    held = users.stop()
    late = [one for one in users.records() if one["started"] > returned and one["arm"].startswith("green")]
    assert late == []
    assert users.failures() == {}
    assert held["lost_writes"] == 0
    again = laptop.tranche("control")
    assert again.returncode == 1
    assert "rolled_back" in again.stderr
