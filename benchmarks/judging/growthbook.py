"""GrowthBook's safe rollout: a confidence sequence on the difference of two shares."""

import math

import numpy as np

from judging.rule import Window
from tranche.world import CONTROL, ERRORS, FIRST_EDGE, GREEN, REQUESTS, Booleans, Floats, Tally

REFRESH_S = 600.0
"""The shortest time between two analyses that it allows; the default is six hours."""


def mixture(alpha: float, tuned_for: float) -> float:
    """The rho that makes a one-sided sequence tightest at `tuned_for` observations (equation 161, at 2 alpha)."""
    double = -2 * math.log(2 * alpha)
    return math.sqrt((double + math.log(double + 1)) / tuned_for)


def half_width(variance: Floats, many: Floats, *, alpha: float, rho: float) -> Floats:
    """How far the lower bound lies below the mean of `many` observations of this variance (equation 134)."""
    grown = many * rho**2 + 1
    return np.sqrt(variance * 2 * grown * np.log1p(np.sqrt(grown) / (2 * alpha))) / (many * rho)


class GrowthBook:
    """Rolls back when a guardrail's one-sided 95 % interval of the difference lies wholly above zero.

    Guardrails are the share of errors and the share of requests of 300 ms or longer; green is compared with the
    control arm, which is as large, over everything since the start. The interval is the asymptotic confidence
    sequence for n = both arms together, variance n (v_c/n_c + v_t/n_t) and v = p (1 - p), tuned for 5000. Nothing is
    said while an arm is empty or the variance is 0. There is no tolerated margin.

    Its unit is the user; requests are taken here, since users are not modelled.

    Source: `gbstats/frequentist/tests.py` (sequential, one-sided, absolute difference, as safe rollouts ask for
    them), after I. Waudby-Smith, D. Arbour, R. Sinha, E. Kennedy, A. Ramdas, Time-uniform central limit theory and
    asymptotic confidence sequences, arXiv 2103.06476, equations 134 and 161.
    """

    def __init__(
        self, *, rollouts: int, step_s: float, edge: int, alpha: float = 0.05, tuned_for: float = 5000.0
    ) -> None:
        self._window = Window(step_s=step_s, length_s=REFRESH_S)
        self._bad = [ERRORS, FIRST_EDGE + edge]
        self._alpha = alpha
        self._rho = mixture(alpha, tuned_for)
        self._requests = np.zeros((2, rollouts))
        self._counted = np.zeros((2, len(self._bad), rollouts))

    def observe(self, tally: Tally) -> Booleans:
        counts = self._window.add(tally)
        if counts is None:
            return np.zeros(self._requests.shape[1], dtype=np.bool_)
        arms = counts[[GREEN, CONTROL]]
        self._requests += arms[:, REQUESTS]
        self._counted += arms[:, self._bad]
        return self._is_worse()

    def _is_worse(self) -> Booleans:
        known = self._requests.min(axis=0) > 0
        requests = np.maximum(self._requests, 1.0)[:, None]
        green, control = shares = self._counted / requests
        many = requests.sum(axis=0)
        variance = many * (shares * (1 - shares) / requests).sum(axis=0)
        lower = green - control - half_width(variance, many, alpha=self._alpha, rho=self._rho)
        return np.asarray(((lower > 0) & (variance > 0)).any(axis=0) & known)
