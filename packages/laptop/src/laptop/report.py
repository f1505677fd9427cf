"""What a rollout was like for users: figures from the traffic's records and the engine's status document.

Everything is measured where users are; the status document says when what was decided and applied.

Whether each phase had the users that its plan gives it is asked twice. Exactly: the engine says where on the hash line
each user stands, and whoever stands below the weight must be on green, and nobody else. And by number: those who came
must be a fair draw of that weight, or the line itself is not even.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, Final

from laptop import chance
from laptop.traffic import Record

GREEN_ARMS: Final = ("green", "green_internal")
NEAR_A_CHANGE_S: Final = 1.0
CONFIRMED_WITHIN_S: Final = 5.0
"""So long before a change is known to be served it may have been: the engine asks Envoy until it shows it."""

MISSED_BY_CHANCE: Final = 1e-6
"""Probability at most that a phase of a sound rollout has a share outside its bounds: of four, under one in 100,000."""

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change of the split: when it was applied (seconds since 1970), and green's weight in percent."""

    at: float
    weight: float
    internal: bool


def seconds(at: str | None) -> float | None:
    return None if at is None else datetime.fromisoformat(at).timestamp()


def changes_of(status: Mapping[str, Any]) -> list[Change]:
    return [
        Change(
            at=datetime.fromisoformat(one["at"]).timestamp(),
            weight=one["green_weight_percent"],
            internal=one["internal_to_green"],
        )
        for one in status["weight_changes"]
    ]


def is_green(record: Record) -> bool:
    """Routed to green; an answer that the fallback gave is blue's."""
    return record.arm in GREEN_ARMS and record.colour != "blue"


def failed_by_switching(records: Iterable[Record], changes: Sequence[Change]) -> int:
    """Requests that got no answer from a service, and were under way within a second of a change."""
    return sum(
        1
        for record in records
        if record.failure in {"transport", "proxy"}
        and any(
            record.started <= change.at + NEAR_A_CHANGE_S and record.ended >= change.at - NEAR_A_CHANGE_S
            for change in changes
        )
    )


def takes_back(before: Change, after: Change) -> bool:
    """Whether a change of the split takes green away from somebody: by its weight, or from internal users."""
    return after.weight < before.weight or (before.internal and not after.internal)


def users_thrown_back(records: Iterable[Record], changes: Sequence[Change]) -> int:
    """Users who had been on green, and were later sent to blue although nobody had been taken back on purpose."""
    end = min(
        (after.at for before, after in pairwise(changes) if takes_back(before, after)), default=float("inf")
    )
    seen_on_green: dict[str, float] = {}
    thrown: set[str] = set()
    for record in sorted(records, key=lambda one: one.started):
        if record.ended >= end:
            continue
        if record.arm in GREEN_ARMS:
            seen_on_green.setdefault(record.user, record.ended)
        elif record.arm and record.started > seen_on_green.get(record.user, float("inf")):
            thrown.add(record.user)
    return len(thrown)


def is_meant_for_green(place: float, change: Change, *, internal: bool) -> bool:
    """Whether this change of the split gives green a user who stands there on the hash line (percent)."""
    return place < change.weight or (internal and change.internal)


def expected(record: Record, place: float, changes: Sequence[Change]) -> bool | None:
    """Whether the splits that may have been served when this was routed put it on green; None when they disagree."""
    begun = [one for one in changes if one.at <= record.started - NEAR_A_CHANGE_S]
    since = [one for one in changes[len(begun) :] if one.at - CONFIRMED_WITHIN_S <= record.ended]
    before = begun[-1] if begun else Change(at=0.0, weight=0.0, internal=False)
    said = {is_meant_for_green(place, one, internal=record.internal) for one in (before, *since)}
    return said.pop() if len(said) == 1 else None


def placed(
    records: Iterable[Record], changes: Sequence[Change], places: Mapping[str, float]
) -> tuple[int, int]:
    """How many users could be compared with where they belong, and how many of them were elsewhere at some time."""
    compared: set[str] = set()
    elsewhere: set[str] = set()
    for record in records:
        meant = expected(record, places[record.user], changes) if record.arm else None
        if meant is not None:
            compared.add(record.user)
            if meant != (record.arm in GREEN_ARMS):
                elsewhere.add(record.user)
    return len(compared), len(elsewhere)


def percentile(values: Sequence[float], share: float) -> float | None:
    """The nearest-rank percentile, or None of nothing."""
    if not values:
        return None
    ranked = sorted(values)
    return ranked[max(0, -(-len(ranked) * round(share * 1000) // 1000) - 1)]


def share_row(records: Iterable[Record], weight_percent: float) -> Json:
    """Which share of the users who made these requests was on green, and between which it may lie by chance."""
    on_green: dict[str, bool] = {}
    for record in records:
        on_green[record.user] = on_green.get(record.user, False) or record.arm in GREEN_ARMS
    users = len(on_green)
    if not users:
        return {}
    fewest, most = chance.bounds(users, weight_percent / 100, allowed=MISSED_BY_CHANCE)
    return {
        "users": users,
        "observed_share_percent": round(100 * sum(on_green.values()) / users, 2),
        "share_by_chance_percent": [round(100 * fewest / users, 2), round(100 * most / users, 2)],
    }


def phase_row(phase: Mapping[str, Any], applied: float | None, records: Sequence[Record], end: float) -> Json:
    """A phase as users met it. `applied` is when its weight was; requests are green's."""
    row: Json = {
        "name": phase["name"],
        "weight_percent": phase["weight_percent"],
        "users": 0,
        "observed_share_percent": None,
        "share_by_chance_percent": None,
        "requests": 0,
        "errors": 0,
        "latency_ms_p95": None,
    }
    entered = seconds(phase["entered_at"])
    if entered is None:
        return row
    until = seconds(phase["left_at"]) or end
    inside = [one for one in records if entered <= one.started < until and not one.retry]
    if applied is not None:
        row |= share_row(
            [one for one in inside if one.started >= applied and not one.internal and one.arm],
            phase["weight_percent"],
        )
    greens = [one for one in inside if one.arm in GREEN_ARMS]
    p95 = percentile([1000 * (one.ended - one.intended) for one in greens], 0.95)
    row["requests"] = len(greens)
    row["errors"] = sum(1 for one in greens if one.failure is not None)
    row["latency_ms_p95"] = None if p95 is None else round(p95, 1)
    return row


def applied_at(phase: Mapping[str, Any], changes: Sequence[Change]) -> float | None:
    """When a phase's weight was served: internal users may come before it."""
    entered, left = seconds(phase["entered_at"]), seconds(phase["left_at"]) or float("inf")
    if entered is None:
        return None
    times = [one.at for one in changes if one.weight == phase["weight_percent"] and one.at <= left]
    return next((at for at in times if at >= entered - NEAR_A_CHANGE_S), None)


def rollback_row(status: Mapping[str, Any], records: Sequence[Record]) -> Json | None:
    rollback = status["rollback"]
    if rollback is None:
        return None
    decided = datetime.fromisoformat(rollback["decided_at"]).timestamp()
    first_bad = seconds(rollback["first_bad_at"])
    after = [one.started - decided for one in records if is_green(one) and one.started > decided]
    return {
        "reason": rollback["reason"],
        "first_bad_to_decision_s": None if first_bad is None else round(decided - first_bad, 3),
        "decision_to_last_green_request_ms": round(1000 * max(after, default=0.0), 1),
        "failed_user_requests": sum(1 for one in records if one.failure is not None and not one.retry),
    }


def report(
    status: Mapping[str, Any], records: Sequence[Record], held: Mapping[str, Any], places: Mapping[str, float]
) -> Json:
    """The whole document that `laptop demo --json` writes.

    `held` is the traffic's summary; `places` is where each user stands on the hash line (percent), as the engine says.
    """
    changes = changes_of(status)
    compared, elsewhere = placed(records, changes, places)
    end = max((one.ended for one in records), default=0.0)
    return {
        "outcome": status["state"],
        "phases": [phase_row(phase, applied_at(phase, changes), records, end) for phase in status["phases"]],
        "failed_by_switching": failed_by_switching(records, changes),
        "users_thrown_back": users_thrown_back(records, changes),
        "users_compared": compared,
        "users_misplaced": elsewhere,
        "rollback": rollback_row(status, records),
        "acknowledged_writes": held["acknowledged_writes"],
        "lost_writes": held["lost_writes"],
        "trial_balance_difference": float(held["trial_balance_difference"]),
    }


def share_check(phase: Mapping[str, Any]) -> tuple[bool, str]:
    """Whether a phase had the share of users that was set, as far as chance allows, and what to say when not."""
    share, near = phase["observed_share_percent"], phase["share_by_chance_percent"]
    if share is None:
        return False, f"{phase['name']}: nobody came: its share of users cannot be told"
    told = (
        f"{phase['name']}: {share} % of {phase['users']} users on green, {phase['weight_percent']:g} % were set:"
        f" by chance it is {near[0]:g} to {near[1]:g} %"
    )
    return near[0] <= share <= near[1], told


def shortfalls(found: Mapping[str, Any], *, expected: str) -> list[str]:
    """What falls short of what the demonstration promises; empty when all was kept."""
    checks = [
        (found["outcome"] == expected, f"it should be {expected}, and is {found['outcome']}"),
        (found["acknowledged_writes"] > 0, "nothing was written: it cannot be told whether writes survive"),
        (found["lost_writes"] == 0, f"{found['lost_writes']} acknowledged writes were lost"),
        (
            found["trial_balance_difference"] == 0,
            f"the trial balance is off by {found['trial_balance_difference']}",
        ),
    ]
    if expected == "completed":
        checks += [
            (
                found["failed_by_switching"] == 0,
                f"{found['failed_by_switching']} requests failed by switching",
            ),
            (found["users_thrown_back"] == 0, f"{found['users_thrown_back']} users were thrown back"),
            (
                found["users_compared"] > 0,
                "nobody came: it cannot be told whether users were where they belong",
            ),
            (
                found["users_misplaced"] == 0,
                f"{found['users_misplaced']} of {found['users_compared']} users were not where they belong",
            ),
            *(share_check(phase) for phase in found["phases"]),
        ]
    elif found["rollback"] is not None:
        last = found["rollback"]["decision_to_last_green_request_ms"]
        checks.append((last < 1000, f"the last request reached green {last} ms after the decision"))
    return [told for kept, told in checks if not kept]
