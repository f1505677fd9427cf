"""Whether each phase had its users: exactly, by where each belongs, and by number, as far as chance allows."""

import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from fractions import Fraction
from math import comb
from typing import Any

import pytest

from laptop.chance import bounds, likelihood, outside
from laptop.report import MISSED_BY_CHANCE, report, shortfalls
from laptop.traffic import Record

START = 1_800_000_000.0
PHASE_S = 36.0
WEIGHTS = (10.0, 30.0, 60.0, 100.0)
STAFF = frozenset(f"u{number}" for number in range(60))
USERS = [f"u{number}" for number in range(3000)]
HELD = {"acknowledged_writes": 7, "lost_writes": 0, "trial_balance_difference": "0.00"}
Router = Callable[[float, float, bool], bool]


def at(second: float) -> str:
    return datetime.fromtimestamp(START + second, UTC).isoformat()


def status(weights: tuple[float, ...] = WEIGHTS) -> dict[str, Any]:
    """A rollout of a minute and a half: each phase as long as in the demonstration. `weights` are what was served."""
    times = [number * PHASE_S for number in range(len(WEIGHTS) + 1)]
    changes = [
        (-20.0, 0.0, False),
        *((time, weight, True) for time, weight in zip(times, weights, strict=False)),
    ]
    return {
        "state": "completed",
        "phases": [
            {
                "name": f"week-{n + 1}",
                "weight_percent": weight,
                "entered_at": at(times[n]),
                "left_at": at(times[n + 1]),
            }
            for n, weight in enumerate(WEIGHTS)
        ],
        "rollback": None,
        "weight_changes": [
            {
                "at": at(second),
                "green_weight_percent": weight,
                "internal_to_green": internal,
                "identifier": "r/1",
            }
            for second, weight, internal in changes
        ],
    }


def as_placed(place: float, weight: float, internal: bool) -> bool:
    return internal or place < weight


def places(seed: int) -> dict[str, float]:
    chance = random.Random(seed)
    return {user: chance.randrange(10_000) / 100 for user in USERS}


def traffic(where: Mapping[str, float], router: Router = as_placed, *, rate: float = 60.0) -> list[Record]:
    """What users in turn met on a data plane that routes like this, from before the first phase to the last."""
    found = []
    for number in range(int(rate * (20 + PHASE_S * len(WEIGHTS)))):
        second, user = number / rate - 20, USERS[number * 7 % len(USERS)]
        index = int(second // PHASE_S)
        internal = user in STAFF
        green = index >= 0 and router(where[user], WEIGHTS[index], internal)
        arm = ("green_internal" if internal else "green") if green else "blue"
        found.append(record(user, second, arm, internal=internal))
    return found


def record(user: str, second: float, arm: str, *, internal: bool = False) -> Record:
    return Record(
        user=user, internal=internal, operation="list invoices", intended=START + second, started=START + second,
        ended=START + second + 0.02, status=200, arm=arm, colour=arm.partition("_")[0], release="1.0.0",
        failure=None, detail="", retry=False,
    )  # fmt: skip


def judged(
    records: list[Record], where: Mapping[str, float], told: dict[str, Any] | None = None
) -> list[str]:
    return shortfalls(report(told or status(), records, HELD, where), expected="completed")


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_sound_split_keeps_all_that_is_promised(seed: int) -> None:
    found = report(status(), traffic(places(seed)), HELD, places(seed))
    assert shortfalls(found, expected="completed") == []
    assert (found["users_compared"], found["users_misplaced"]) == (3000, 0)
    assert [row["users"] for row in found["phases"]] == [2117, 2117, 2117, 2117], (
        "one salt, in turn, no staff"
    )


@pytest.mark.parametrize("off", [-5.0, -1.0, 1.0, 5.0])
def test_a_weight_that_is_off_is_found_user_by_user(off: float) -> None:
    def wrong(place: float, weight: float, internal: bool) -> bool:
        return as_placed(place, weight + off if weight == 60 else weight, internal)

    found = judged(traffic(places(1), wrong), places(1))
    assert any("users were not where they belong" in told for told in found)


def test_a_weight_that_the_engine_itself_has_wrong_is_found() -> None:
    def wrong(place: float, weight: float, internal: bool) -> bool:
        return as_placed(place, 55 if weight == 60 else weight, internal)

    told = status(weights=(10.0, 30.0, 55.0, 100.0))
    assert judged(traffic(places(1), wrong), places(1), told) == [
        "week-3: nobody came: its share of users cannot be told"
    ]


def test_one_user_who_is_thrown_back_once_is_found() -> None:
    records = traffic(places(1))
    last = max(n for n, one in enumerate(records) if one.arm == "green" and one.started < START + 100)
    user, second = records[last].user, records[last].started - START
    records[last] = record(user, second, "blue")
    assert "1 of 3000 users were not where they belong" in judged(records, places(1))


def test_staff_who_are_not_sent_first_are_found() -> None:
    records = traffic(places(1), lambda place, weight, _: place < weight)
    on_blue = {one.user for one in records if one.internal and one.arm == "blue" and one.started > START + 1}
    assert report(status(), records, HELD, places(1))["users_misplaced"] == len(on_blue) > 40


def test_a_line_that_is_not_even_is_found_by_number_although_everybody_is_where_they_belong() -> None:
    uneven = {user: place**1.2 / 100**0.2 for user, place in places(1).items()}
    found = judged(traffic(uneven), uneven)
    assert found
    assert all("by chance it is" in told for told in found)


@pytest.mark.parametrize(("second", "compared"), [(30.9, 1), (31.1, 0), (36.0, 0), (36.9, 0), (37.1, 1)])
def test_who_may_have_met_either_of_two_splits_is_compared_with_neither(second: float, compared: int) -> None:
    arm = "blue" if second < 36 else "green"
    found = report(status(), [record("u100", second, arm)], HELD, {"u100": 20.0})
    assert (found["users_compared"], found["users_misplaced"]) == (compared, 0)


def test_who_belongs_to_the_same_arm_before_and_after_a_change_is_always_compared() -> None:
    found = report(status(), [record("u100", 36.0, "blue")], HELD, {"u100": 5.0})
    assert (found["users_compared"], found["users_misplaced"]) == (1, 1)


def test_the_likelihoods_are_those_of_the_binomial() -> None:
    part = Fraction(3, 10)
    for found in range(41):
        exact = comb(40, found) * part**found * (1 - part) ** (40 - found)
        assert likelihood(found, 40, 0.3) == pytest.approx(float(exact), rel=1e-9)


@pytest.mark.parametrize("users", [1, 40, 2100, 2940])
@pytest.mark.parametrize("part", [0.1, 0.3, 0.6])
def test_the_bounds_are_missed_as_rarely_as_allowed_and_are_the_closest_that_are(
    users: int, part: float
) -> None:
    fewest, most = bounds(users, part, allowed=1e-6)
    assert outside(users, part, fewest, most) <= 1e-6
    assert sum(likelihood(found, users, part) for found in range(fewest + 1)) > 0.5e-6
    assert sum(likelihood(found, users, part) for found in range(most, users + 1)) > 0.5e-6


@pytest.mark.parametrize(("part", "everybody"), [(0.0, 0), (1.0, 7)])
def test_of_nobody_and_of_everybody_chance_explains_one_number(part: float, everybody: int) -> None:
    assert bounds(7, part, allowed=1e-6) == (everybody, everybody)


def test_a_sound_demonstration_is_called_short_less_than_once_in_a_hundred_thousand() -> None:
    missed = sum(
        outside(2100, weight / 100, *bounds(2100, weight / 100, allowed=MISSED_BY_CHANCE))
        for weight in WEIGHTS
    )
    assert missed < 1e-5
    assert outside(2100, 0.6, 1197, 1323) > 3e-3, "what three points would have missed: once in 200"
