"""Kayenta's judge (NetflixACAJudge) on hourly windows of one-minute points."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from judging.rule import Window, error_share
from tranche.world import CONTROL, FIRST_EDGE, GREEN, REQUESTS, Booleans, Floats, Integers, Tally

CONFIDENCE = 0.98
TOLERANCE = 0.25
POINTS = 60
Z = NormalDist().inv_cdf(1 - (1 - CONFIDENCE) / 2)


def quantile_ms(arm: Integers, edges_ms: Sequence[float], quantile: float = 0.95) -> Floats:
    """A quantile out of a histogram, as Prometheus interpolates it; NaN without requests. [R]

    Linear within a bucket, from 0 in the first; in the last, which is open, its lower edge.
    """
    requests = arm[REQUESTS].astype(np.float64)
    edges = np.array([0.0, *edges_ms])
    faster = np.concatenate([np.zeros((1, len(requests))), requests - arm[FIRST_EDGE:]])
    rank = quantile * requests
    bucket = (faster[1:] < rank).sum(axis=0)
    inside = np.minimum(bucket, len(edges) - 2)
    low, high = np.take_along_axis(faster, np.stack([inside, inside + 1]), axis=0)
    part = np.divide(rank - low, high - low, out=np.ones(len(requests)), where=high > low)
    found = edges[inside] + (edges[inside + 1] - edges[inside]) * np.minimum(part, 1.0)
    return np.where(requests > 0, found, np.nan)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """How far x lies above y: the lower bound of the interval and the Hodges-Lehmann estimate."""

    lower: float
    estimate: float


def mann_whitney(x: Floats, y: Floats, z: float = Z) -> Shift:
    """The interval of the Mann-Whitney test with continuity correction, for points without NaN.

    The implementation looks for the shift at which the standardised rank sum crosses z. Between two pairwise
    differences that sum does not change, so the crossing is the difference of the matching rank, and no root has to
    be searched.
    """
    differences = np.sort((x[:, None] - y[None, :]).ravel())[::-1]
    rank = int(deciding_rank(x[None], y[None], z)[0])
    return Shift(lower=float(differences[rank - 1]), estimate=float(np.median(differences)))


def deciding_rank(x: Floats, y: Floats, z: float = Z) -> Integers:
    """How many of a row's pairwise differences must lie above a shift for the test to put it below. [R]

    At most all of them: then the lower bound is the smallest difference.
    """
    m, n = (~np.isnan(x)).sum(axis=1), (~np.isnan(y)).sum(axis=1)
    ties = (_ties(x) + _ties(y)) / np.maximum((m + n) * (m + n - 1), 1)
    deviation = np.sqrt(m * n / 12 * (m + n + 1 - ties))
    return np.asarray(np.minimum(np.ceil(m * n / 2 + 0.5 + z * deviation), m * n), dtype=np.int64)


def _ties(points: Floats) -> Floats:
    """The sum of t³ - t over groups of t equal points, for each row; NaN equals nothing."""
    equal = (points[:, :, None] == points[:, None, :]).sum(axis=-1).astype(np.float64)
    return np.asarray(np.maximum(equal**2 - 1, 0).sum(axis=-1))


def is_high(x: Floats, y: Floats) -> bool:
    """Whether the experiment x is worse than the control y: High in its words.

    Points that are NaN are removed. Nothing left, the same points, or one single value is no difference. Otherwise
    the lower bound of the 98 % interval must be above a quarter of the estimate, and the ratio of the means at least
    1 (skipped where a mean is 0).
    """
    x, y = x[~np.isnan(x)], y[~np.isnan(y)]
    if not len(x) or not len(y) or np.array_equal(np.sort(x), np.sort(y)):
        return False
    if np.ptp(x) == 0 and np.ptp(y) == 0:
        return bool(x[0] > y[0])
    found = mann_whitney(x, y)
    effect = x.mean() / y.mean() if x.mean() and y.mean() else 1.0
    return bool(found.lower > TOLERANCE * abs(found.estimate) and effect >= 1.0)


def may_be_high(x: Floats, y: Floats) -> Booleans:
    """Where the lower bound is above zero, for rows of points: all others need no closer look. [R]"""
    above = (x[:, :, None] > y[:, None, :]).sum(axis=(1, 2))
    return np.asarray((above > 0) & (above >= deciding_rank(x, y)))


class Kayenta:
    """Every hour the last 60 one-minute points of two metrics, green against the control arm of the same size.

    Error percentage and 95th percentile are a group each, half the score; one High leaves 50 of 100, which is below
    the marginal 75 and stops the canary at once. There is no memory between windows.

    Source: `kayenta-judge` (NetflixACAJudge, MannWhitneyClassifier), `kayenta-mannwhitney`; points per run, hourly
    analysis and the thresholds 75 and 95 as its documentation advises.
    """

    def __init__(self, *, rollouts: int, step_s: float, edges_ms: Sequence[float]) -> None:
        self._minute = Window(step_s=step_s)
        self._edges_ms = tuple(edges_ms)
        self._points: list[Floats] = []
        self._rollouts = rollouts

    def observe(self, tally: Tally) -> Booleans:
        counts = self._minute.add(tally)
        none = np.zeros(self._rollouts, dtype=np.bool_)
        if counts is None:
            return none
        arms = (counts[GREEN], counts[CONTROL])
        self._points.append(
            np.stack([[100 * error_share(arm), quantile_ms(arm, self._edges_ms)] for arm in arms])
        )
        if len(self._points) < POINTS:
            return none
        green, control = np.stack(self._points, axis=-1)
        self._points = []
        return self._high(green[0], control[0]) | self._high(green[1], control[1])

    def _high(self, green: Floats, control: Floats) -> Booleans:
        found = may_be_high(green, control)
        for number in np.flatnonzero(found):
            found[number] = is_high(green[number], control[number])
        return found
