"""What a rollout was like for users, from records and times."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from laptop import report as reports
from laptop.report import percentile, shortfalls
from laptop.traffic import Record

START = 1_800_000_000.0


def at(seconds: float) -> str:
    return datetime.fromtimestamp(START + seconds, UTC).isoformat()


def record(user: str, second: float, arm: str = "blue", **changed: Any) -> Record:
    values: dict[str, Any] = {
        "user": user,
        "internal": False,
        "operation": "list invoices",
        "intended": START + second,
        "started": START + second,
        "ended": START + second + 0.1,
        "status": 200,
        "arm": arm,
        "colour": "green" if arm.startswith("green") else "blue",
        "release": "1.0.0",
        "failure": None,
        "detail": "",
        "retry": False,
    }
    return Record(**{**values, **changed})


def status(*, rolled_back: bool = False) -> dict[str, Any]:
    """Two phases, the first of which began with internal users: 0-10 s, 10-20 s at 10 %, 20-30 s at 30 %."""
    changes = [(0, 0.0), (10, 10.0), (20, 30.0)] + ([(30, 0.0)] if rolled_back else [])
    rollback = {"reason": "worse", "decided_at": at(30), "applied_at": at(30.01), "first_bad_at": at(27.5)}
    return {
        "state": "rolled_back" if rolled_back else "completed",
        "phases": [
            {"name": "one", "weight_percent": 10.0, "entered_at": at(0), "left_at": at(20)},
            {"name": "two", "weight_percent": 30.0, "entered_at": at(20), "left_at": at(30)},
            {"name": "three", "weight_percent": 60.0, "entered_at": None, "left_at": None},
        ],
        "rollback": rollback if rolled_back else None,
        "weight_changes": [
            {"at": at(second), "green_weight_percent": weight, "internal_to_green": True, "identifier": "r/1"}
            for second, weight in changes
        ],
    }


HELD = {"acknowledged_writes": 7, "lost_writes": 0, "trial_balance_difference": "0.00"}


NOBODY_ASKS: Mapping[str, float] = defaultdict(lambda: 50.0)


def report(
    told: dict[str, Any], records: Sequence[Record], held: Any, places: Mapping[str, float] = NOBODY_ASKS
) -> dict[str, Any]:
    return reports.report(told, records, held, places)


def test_the_observed_share_counts_the_time_of_the_weight_and_no_internal_users() -> None:
    records = [record("staff", 12, "green_internal", internal=True), record("early", 5)]
    records += [record(f"u{n}", 12, "green" if n < 1 else "blue") for n in range(10)]
    row = report(status(), records, HELD)["phases"][0]
    assert row["observed_share_percent"] == 10.0
    assert (row["requests"], row["errors"]) == (2, 0), "green's, internal users included"
    assert row["latency_ms_p95"] == pytest.approx(100.0)


def test_the_observed_share_is_of_users_however_often_they_come() -> None:
    records = [record("busy", 11 + n / 10, "green") for n in range(50)]
    records += [record(f"u{n}", 12) for n in range(9)]
    row = report(status(), records, HELD)["phases"][0]
    assert (row["users"], row["observed_share_percent"]) == (10, 10.0)


def test_a_phase_that_was_not_reached_has_no_figures() -> None:
    row = report(status(), [record("u", 12)], HELD)["phases"][2]
    assert (row["users"], row["observed_share_percent"], row["share_by_chance_percent"]) == (0, None, None)
    assert (row["requests"], row["latency_ms_p95"]) == (0, None)


def test_latency_counts_from_the_intended_start() -> None:
    late = record("u", 12, "green", intended=START + 11, started=START + 12)
    row = report(status(), [late], HELD)["phases"][0]
    assert row["latency_ms_p95"] == pytest.approx(1100.0)


@pytest.mark.parametrize(
    ("second", "failure", "counted"),
    [
        (9.5, "transport", 1),
        (10.5, "proxy", 1),
        (15.0, "transport", 0),
        (10.0, "application", 0),
        (10.0, None, 0),
    ],
)
def test_a_request_fails_by_switching_when_it_got_no_service_near_a_change(
    second: float, failure: str | None, counted: int
) -> None:
    found = report(status(), [record("u", second, failure=failure)], HELD)
    assert found["failed_by_switching"] == counted


def test_a_long_request_that_spans_a_change_counts_too() -> None:
    spanning = record("u", 8, ended=START + 13, failure="transport")
    assert report(status(), [spanning], HELD)["failed_by_switching"] == 1


def test_a_user_who_leaves_green_while_its_weight_rises_was_thrown_back() -> None:
    records = [record("u", 12, "green"), record("u", 22, "blue"), record("v", 12), record("v", 22, "green")]
    assert report(status(), records, HELD)["users_thrown_back"] == 1


def test_a_user_taken_back_by_a_rollback_was_not_thrown_back() -> None:
    records = [record("u", 25, "green"), record("u", 31, "blue")]
    assert report(status(rolled_back=True), records, HELD)["users_thrown_back"] == 0


def test_internal_users_taken_back_before_anybody_else_had_green_were_not_thrown_back() -> None:
    told = status()
    told["weight_changes"] = [
        {"at": at(second), "green_weight_percent": 0.0, "internal_to_green": internal, "identifier": "r/1"}
        for second, internal in ((0, False), (5, True), (15, False))
    ]
    staff = [record("s", 8, "green_internal", internal=True), record("s", 16, internal=True)]
    assert report(told, staff, HELD)["users_thrown_back"] == 0
    assert report(told, [*staff, record("s", 10, internal=True)], HELD)["users_thrown_back"] == 1


def test_a_user_who_is_on_green_and_blue_at_the_same_moment_was_not_thrown_back() -> None:
    records = [record("u", 22, "green"), record("u", 21.95, "blue")]
    assert report(status(), records, HELD)["users_thrown_back"] == 0


def test_the_last_green_request_counts_from_the_decision() -> None:
    records = [
        record("u", 30.25, "green"),
        record("v", 30.5, "green", colour="blue"),
        record("w", 29, "green"),
    ]
    rollback = report(status(rolled_back=True), records, HELD)["rollback"]
    assert rollback["decision_to_last_green_request_ms"] == pytest.approx(250.0, abs=0.2)
    assert rollback["first_bad_to_decision_s"] == pytest.approx(2.5)


def test_failed_requests_of_users_count_each_first_attempt() -> None:
    records = [
        record("u", 25, "green", failure="application"),
        record("v", 26, failure="transport"),
        record("v", 26, failure="transport", retry=True),
    ]
    assert report(status(rolled_back=True), records, HELD)["rollback"]["failed_user_requests"] == 2


@pytest.mark.parametrize(("values", "expected"), [([], None), ([3], 3), (range(1, 101), 95), ([1, 2], 2)])
def test_the_percentile_is_the_nearest_rank(values: Any, expected: float | None) -> None:
    assert percentile(list(values), 0.95) == expected


def phase(share: float | None) -> dict[str, Any]:
    near = None if share is None else [7.0, 13.0]
    numbers = {"users": 2000, "observed_share_percent": share, "share_by_chance_percent": near}
    return {"name": "p", "weight_percent": 10.0, **numbers}


def good() -> dict[str, Any]:
    return {
        "outcome": "completed",
        "phases": [phase(12.9)],
        "failed_by_switching": 0,
        "users_thrown_back": 0,
        "users_compared": 2000,
        "users_misplaced": 0,
        "rollback": None,
        "acknowledged_writes": 1,
        "lost_writes": 0,
        "trial_balance_difference": 0.0,
    }


def test_nothing_falls_short_when_all_was_kept() -> None:
    assert shortfalls(good(), expected="completed") == []


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"outcome": "rolled_back"}, "should be completed"),
        ({"acknowledged_writes": 0}, "cannot be told"),
        ({"lost_writes": 2}, "2 acknowledged writes were lost"),
        ({"trial_balance_difference": 0.01}, "off by 0.01"),
        ({"failed_by_switching": 1}, "failed by switching"),
        ({"users_thrown_back": 1}, "thrown back"),
        ({"users_compared": 0}, "nobody came"),
        ({"users_misplaced": 3}, "3 of 2000 users were not where they belong"),
        (
            {"phases": [phase(13.1)]},
            "13.1 % of 2000 users on green, 10 % were set: by chance it is 7 to 13 %",
        ),
        ({"phases": [phase(6.9)]}, "6.9 % of 2000 users"),
        ({"phases": [phase(None)]}, "its share of users cannot be told"),
    ],
)
def test_each_promise_that_was_not_kept_is_said(changed: dict[str, Any], told: str) -> None:
    found = shortfalls({**good(), **changed}, expected="completed")
    assert len(found) == 1
    assert told in found[0]


def test_a_rollback_that_was_not_quick_falls_short() -> None:
    slow = {**good(), "outcome": "rolled_back", "rollback": {"decision_to_last_green_request_ms": 1000.0}}
    assert shortfalls(slow, expected="rolled_back") == [
        "the last request reached green 1000.0 ms after the decision"
    ]
