"""GrowthBook's interval, and when it speaks."""

import math

import numpy as np
import pytest

from judging.growthbook import GrowthBook, half_width, mixture
from tranche.world import Tally

from .streams import GOOD, first_hit, tally


def growthbook() -> GrowthBook:
    return GrowthBook(rollouts=1, step_s=60.0, edge=0)


def test_the_mixture_is_that_of_a_one_sided_sequence_at_five_percent_and_five_thousand() -> None:
    by_hand = math.sqrt((4.605170186 + math.log(5.605170186)) / 5000)

    assert mixture(0.05, 5000) == pytest.approx(by_hand, rel=1e-9)


def test_the_half_width_is_that_of_the_paper() -> None:
    rho, many, alpha = 0.035, 2000.0, 0.05
    grown = many * rho**2 + 1
    by_hand = math.sqrt(2 * grown / (many**2 * rho**2) * math.log(1 + math.sqrt(grown) / (2 * alpha)))

    assert half_width(np.array([1.0]), np.array([many]), alpha=alpha, rho=rho)[0] == pytest.approx(by_hand)
    assert half_width(np.array([4.0]), np.array([many]), alpha=alpha, rho=rho)[0] == pytest.approx(
        2 * by_hand
    )


def test_it_is_tightest_near_the_sample_it_is_tuned_for() -> None:
    def relative(tuned_for: float) -> float:
        width = half_width(np.ones(1), np.full(1, 5000.0), alpha=0.05, rho=mixture(0.05, tuned_for))
        return float(width[0])

    assert relative(5000) < relative(500)
    assert relative(5000) < relative(50_000)


def test_a_clear_difference_is_found_at_the_first_analysis_after_ten_minutes() -> None:
    assert first_hit(growthbook(), [tally((1000, 50, 0))] * 60) == 10
    assert first_hit(growthbook(), [tally((1000, 0, 50))] * 60) == 10


def test_a_better_green_an_equal_one_and_silence_are_left_alone() -> None:
    quiet: list[Tally] = [tally((0, 0, 0), control=(0, 0, 0))] * 60

    assert first_hit(growthbook(), [tally(GOOD, control=(1000, 50, 50))] * 60) is None
    assert first_hit(growthbook(), [tally((1000, 50, 50), control=(1000, 50, 50))] * 60) is None
    assert first_hit(growthbook(), [tally(GOOD)] * 60) is None
    assert first_hit(growthbook(), quiet) is None


def test_an_empty_arm_or_no_variance_says_nothing() -> None:
    assert first_hit(growthbook(), [tally((1000, 50, 0), control=(0, 0, 0))] * 60) is None
    assert first_hit(growthbook(), [tally((1000, 1000, 0))] * 60) is None


def test_everything_since_the_start_counts() -> None:
    fresh = [tally((1000, 20, 0))] * 10
    past = [tally((1000, 20, 0), control=(1000, 20, 0))] * 2000

    assert first_hit(growthbook(), fresh) == 10
    assert first_hit(growthbook(), past + fresh) is None
