"""Argo, Flagger and the sustained alert do on hand-made streams what their sources say."""

import itertools

import numpy as np
import pytest

from judging.rule import Window
from judging.thresholds import Argo, Flagger, Lines, Rehearsal, Sustained
from tranche.world import Tally

from .streams import BOTH, EMPTY, ERRORS, GOOD, SLOW, Arm, first_hit, tally


def looks(*greens: Arm) -> list[Tally]:
    return [tally(green) for green in greens]


def argo(step_s: float = 60.0) -> Argo:
    return Argo(rollouts=1, step_s=step_s, edge=0)


def flagger() -> Flagger:
    return Flagger(rollouts=1, step_s=60.0, edge=0)


@pytest.mark.parametrize("bad", [ERRORS, SLOW, EMPTY])
def test_argo_aborts_at_the_fourth_failed_measurement_and_no_data_is_one(bad: Arm) -> None:
    assert first_hit(argo(), looks(*[bad] * 10)) == 4


def test_a_good_minute_gives_argo_nothing_back() -> None:
    spread = [green for _ in range(10) for green in (ERRORS, *[GOOD] * 99)]

    assert first_hit(argo(), looks(*spread)) == 301


def test_argo_counts_each_metric_by_itself() -> None:
    assert first_hit(argo(), looks(ERRORS, SLOW, ERRORS, SLOW, ERRORS, SLOW, GOOD)) is None
    assert first_hit(argo(), looks(*[ERRORS, SLOW] * 4)) == 7


def test_on_the_line_is_not_above_it() -> None:
    on_the_line = looks(*[(1000, 10, 50)] * 20)

    assert first_hit(argo(), on_the_line) is None
    assert first_hit(flagger(), on_the_line) is None
    assert first_hit(Sustained(rollouts=1, step_s=60.0, edge=0), on_the_line) is None


def test_argo_measures_whole_minutes() -> None:
    burst = [tally((250, 12, 0)), *looks(*[(250, 0, 0)] * 3)]

    assert first_hit(argo(15.0), burst * 10) == 16


def test_flagger_rolls_back_at_the_tick_after_the_fifth_failed_check() -> None:
    assert first_hit(flagger(), looks(*[ERRORS] * 10)) == 6
    assert first_hit(flagger(), looks(*[ERRORS] * 5, *[GOOD] * 3)) == 6
    assert first_hit(flagger(), looks(*[ERRORS] * 4, *[GOOD] * 50)) is None


def test_flagger_counts_all_metrics_together_and_a_check_once() -> None:
    assert first_hit(flagger(), looks(ERRORS, SLOW, EMPTY, SLOW, ERRORS, GOOD)) == 6
    assert first_hit(flagger(), looks(*[BOTH] * 10)) == 6


def test_a_good_check_gives_flagger_nothing_back() -> None:
    spread = [green for _ in range(10) for green in (SLOW, *[GOOD] * 99)]

    assert first_hit(flagger(), looks(*spread)) == 402


def sustained() -> Sustained:
    return Sustained(rollouts=1, step_s=15.0, edge=0)


@pytest.mark.parametrize("bad", [ERRORS, SLOW])
def test_sustained_fires_five_minutes_after_the_first_minute_above_the_line(bad: Arm) -> None:
    assert first_hit(sustained(), looks(*[bad] * 60)) == (60 + 300) / 15


def test_one_minute_below_the_line_starts_the_five_minutes_anew() -> None:
    broken = [*[ERRORS] * 20, *[GOOD] * 4, *[ERRORS] * 60]

    assert first_hit(sustained(), looks(*broken)) is not None
    assert first_hit(sustained(), looks(*broken[: 24 + 19])) is None


def test_errors_and_latency_that_take_turns_are_not_sustained() -> None:
    turns = itertools.chain.from_iterable([[ERRORS] * 8, [SLOW] * 8] * 10)

    assert first_hit(sustained(), looks(*turns)) is None


def test_no_data_sustains_nothing() -> None:
    assert first_hit(sustained(), looks(*[EMPTY] * 100)) is None


def test_a_window_adds_up_what_it_spans() -> None:
    window = Window(step_s=15.0)
    found = [window.add(tally((number, 0, 0))) for number in range(1, 9)]
    sums = [None if counts is None else int(counts[0, 0, 0]) for counts in found]

    assert sums == [None, None, None, 10, None, None, None, 26]


def test_fitted_lines_are_crossed_four_times_by_no_more_rollouts_than_asked() -> None:
    rng = np.random.default_rng(1)
    rehearsal = Rehearsal(rollouts=400, step_s=60.0, edge=0)
    minutes = rng.binomial(1_000_000, 0.02, size=(200, 2, 400))
    for minute in minutes:
        counts = np.zeros((3, 3, 400), dtype=np.int64)
        counts[0] = [np.full(400, 1_000_000), *minute]
        rehearsal.observe(Tally(end_s=0.0, complete=np.ones(400, dtype=np.bool_), counts=counts))
    lines = rehearsal.lines(false_share=0.02)
    above = (minutes[:, 0] / 1_000_000 > lines.errors).sum(axis=0) >= 4
    slower = (minutes[:, 1] / 1_000_000 > lines.slow).sum(axis=0) >= 4
    tighter = Lines(errors=0.998 * lines.errors, slow=0.998 * lines.slow)

    assert (rehearsal.crossed(lines) == (above | slower)).all()
    assert rehearsal.crossed(lines).mean() <= 0.02 < rehearsal.crossed(tighter).mean()
