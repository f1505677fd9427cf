"""The main job: finance goes from 0 to 100 % under traffic, and a bad release comes back by itself."""

import json
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(360)]

PLANS = Path(__file__).resolve().parents[2] / "plans"

KEYS = {
    "outcome",
    "phases",
    "failed_by_switching",
    "users_thrown_back",
    "users_compared",
    "users_misplaced",
    "rollback",
    "acknowledged_writes",
    "lost_writes",
    "trial_balance_difference",
}
PHASE_KEYS = {
    "name",
    "weight_percent",
    "users",
    "observed_share_percent",
    "share_by_chance_percent",
    "requests",
    "errors",
    "latency_ms_p95",
}
ROLLBACK_KEYS = {
    "reason",
    "first_bad_to_decision_s",
    "decision_to_last_green_request_ms",
    "failed_user_requests",
}


def demo(machine: Any, plan: Path, *options: str, users: int = 900) -> tuple[dict[str, Any], str, str]:
    """Run it; the figures, the record, and what it said."""
    state, file = machine.folder / "demo", machine.folder / "figures.json"
    arguments = ("--plan", str(plan), "--state", str(state), "--json", str(file), "--users", str(users))
    done = machine.run("laptop", "demo", *arguments, *options, within_s=340)
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-1500:]
    figures: dict[str, Any] = json.loads(file.read_text())
    assert set(figures) == KEYS
    assert all(set(phase) == PHASE_KEYS for phase in figures["phases"])
    return figures, (state / "tranche" / "record.md").read_text(), done.stdout + done.stderr


def test_a_good_release_reaches_everybody_and_nobody_notices(machine: Any) -> None:
    # The very demonstration. It has judged its shares itself, user by user and by number, or its exit code were not 0.
    figures, record, said = demo(machine, PLANS / "finance-demo.yaml", users=3000)
    assert figures["outcome"] == "completed"
    assert [phase["weight_percent"] for phase in figures["phases"]] == [10, 30, 60, 100]
    for phase in figures["phases"]:
        least, most = phase["share_by_chance_percent"]
        assert least <= phase["observed_share_percent"] <= most
        assert most - least < 25, "so few users came that their share says nothing"
        assert phase["requests"] > 0
        assert phase["latency_ms_p95"] > 0
    assert figures["failed_by_switching"] == figures["users_thrown_back"] == figures["lost_writes"] == 0
    assert figures["users_misplaced"] == 0
    assert figures["users_compared"] > 2000
    assert figures["trial_balance_difference"] == 0
    assert figures["rollback"] is None
    assert figures["acknowledged_writes"] > 100
    assert "finance 1.1.0 serves everybody." in said
    for phase in ("week-1", "week-2", "week-3", "week-4"):
        assert phase in record
    assert "every gate and requirement of every phase is met" in record
    assert record.count("6 of 6 properties proven") >= 5, "the books, in staging and before each next phase"
    assert record.count("3 of 3 properties proven") >= 4, "blue reads what green wrote"


@pytest.mark.parametrize("bad", ["errors", "slow", "crash"])
def test_a_bad_release_comes_back_by_itself(machine: Any, quick: Path, bad: str) -> None:
    figures, record, said = demo(machine, quick, "--bad", bad)
    assert figures["outcome"] == "rolled_back"
    assert set(figures["rollback"]) == ROLLBACK_KEYS
    assert figures["rollback"]["reason"] in record
    assert figures["rollback"]["decision_to_last_green_request_ms"] < 1000
    assert figures["lost_writes"] == 0
    assert figures["trial_balance_difference"] == 0
    assert figures["acknowledged_writes"] > 50
    assert f"finance 1.1.0-{bad} was taken back" in said
    if bad != "crash":
        assert "| cause | judge: " in record, "the judge is quicker than the limits, which are its backstop"
