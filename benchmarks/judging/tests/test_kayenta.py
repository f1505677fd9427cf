"""Kayenta's judge: its interval, its verdict, its hours."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judging.kayenta import Kayenta, Z, is_high, mann_whitney, may_be_high, quantile_ms
from tranche.world import Floats

from .streams import GOOD, Arm, first_hit, tally

Z_95_PERCENT = 1.959963984540054


def points(*values: float) -> Floats:
    return np.array(values, dtype=np.float64)


def crossing(x: Floats, y: Floats, z: float) -> float:
    """The shift at which the standardised rank sum falls below z, searched for as the source does."""

    def standardised(shift: float) -> float:
        both = np.concatenate([x - shift, y])
        ranks = (both[:, None] > both).sum(axis=1) + ((both[:, None] == both).sum(axis=1) + 1) / 2
        ties = sum(t**3 - t for t in np.unique(both, return_counts=True)[1])
        m, n = len(x), len(y)
        dz = ranks[:m].sum() - m * (m + 1) / 2 - m * n / 2
        sigma = np.sqrt(m * n / 12 * ((m + n + 1) - ties / ((m + n) * (m + n - 1))))
        return float((dz - np.sign(dz) * 0.5) / sigma - z)

    low, high = x.min() - y.max() - 1e-6, x.max() - y.min() + 1e-6
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if standardised(middle) > 0 else (low, middle)
    return float(high)


def test_the_interval_is_the_one_of_its_own_test() -> None:
    found = mann_whitney(points(10, 20, 30, 40), points(1, 2, 3, 4), Z_95_PERCENT)

    assert found.lower == 6
    assert found.estimate == 22.5


@given(
    st.lists(st.integers(0, 12), min_size=8, max_size=30),
    st.lists(st.integers(0, 12), min_size=8, max_size=30),
)
@settings(max_examples=60, deadline=None)
def test_the_deciding_rank_is_where_a_search_ends(first: list[int], second: list[int]) -> None:
    x, y = points(*first), points(*second)
    if len(set(first)) == 1 and len(set(second)) == 1:
        return

    assert mann_whitney(x, y).lower == pytest.approx(crossing(x, y, Z), abs=2e-6)


def test_seven_bad_points_of_ten_pass_and_eight_do_not() -> None:
    control = points(*[1] * 10)

    assert not is_high(points(*[100] * 7, *[1] * 3), control)
    assert is_high(points(*[100] * 8, *[1] * 2), control)


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        (points(0, 1, 2, 1, 0, 0), points(0, 0, 0, 0, 0, 0), False),
        (points(1, 2, 3), points(3, 2, 1), False),
        (points(5, 5, 5), points(5, 5), False),
        (points(6, 6, 6), points(5, 5, 5), True),
        (points(5, 5, 5), points(6, 6, 6), False),
        (points(np.nan, np.nan), points(1, 2), False),
        (points(*range(100, 140)), points(*range(40)), True),
        (points(*range(40)), points(*range(100, 140)), False),
        (points(*range(8, 48)), points(*range(40)), False),
        (points(*range(10, 50)), points(*range(40)), True),
        (points(*range(10, 50)), points(*range(39), 1000), False),
        (points(*range(100, 140), np.nan), points(*range(40), np.nan), True),
    ],
)
def test_high_is_what_its_rules_say(x: Floats, y: Floats, expected: bool) -> None:
    assert is_high(x, y) is expected


@given(st.integers(0, 2**32 - 1), st.floats(0, 1.5), st.floats(0, 0.3))
@settings(max_examples=60, deadline=None)
def test_no_high_is_missed_by_the_quick_look(seed: int, shift: float, lost: float) -> None:
    rng = np.random.default_rng(seed)
    x, y = np.round(rng.exponential(size=(2, 20, 30)), 1)
    x = np.round(x + shift, 1)
    x[rng.random(x.shape) < lost] = np.nan
    y[rng.random(y.shape) < lost] = np.nan
    high = np.array([is_high(*pair) for pair in zip(x, y, strict=True)])

    assert not (high & ~may_be_high(x, y)).any()


def test_the_quick_look_lets_the_closest_case_through() -> None:
    x, y = points(10, 20, 30, 40), points(1, 2, 3, 4)

    assert is_high(x, y)
    assert may_be_high(x[None], y[None]).all()


def test_a_quantile_is_interpolated_within_its_bucket() -> None:
    def arm(requests: int, *slower: int) -> np.ndarray:
        return np.array([requests, 0, *slower], dtype=np.int64)[:, None]

    assert quantile_ms(arm(100, 100, 10), (100, 200))[0] == pytest.approx(200)
    assert quantile_ms(arm(100, 15, 0), (100, 200))[0] == pytest.approx(100 + 100 * 10 / 15)
    assert quantile_ms(arm(100, 0, 0), (100, 200))[0] == pytest.approx(95)
    assert quantile_ms(arm(100, 5, 0), (100, 200))[0] == pytest.approx(100)
    assert np.isnan(quantile_ms(arm(0, 0, 0), (100, 200))[0])


WORSE: Arm = (1000, 5, 0)


def kayenta() -> Kayenta:
    return Kayenta(rollouts=1, step_s=60.0, edges_ms=(300,))


def test_it_judges_every_hour_and_remembers_none() -> None:
    assert first_hit(kayenta(), [tally(WORSE)] * 200) == 60
    assert first_hit(kayenta(), [tally(GOOD)] * 60 + [tally(WORSE)] * 200) == 120
    assert first_hit(kayenta(), ([tally(GOOD)] * 40 + [tally(WORSE)] * 20) * 5) is None


def test_either_metric_is_enough_and_the_same_trouble_on_both_sides_is_none() -> None:
    slow = (1000, 0, 100)

    assert first_hit(kayenta(), [tally(slow)] * 60) == 60
    assert first_hit(kayenta(), [tally(slow, control=slow)] * 300) is None
    assert first_hit(kayenta(), [tally((0, 0, 0))] * 300) is None
