"""What a rule is: it sees one look after the other and says which rollouts to take back now.

A rule watches many rollouts at once, all with the same weight and each with counts of its own. It goes on when it
has said to take one back; who asks remembers the first time.
"""

from typing import Protocol

import numpy as np

from tranche.world import ERRORS, FIRST_EDGE, REQUESTS, Booleans, Floats, Integers, Tally

OBJECTIVE_MS = 300
"""The latency objective every rule here is given: at most 5 % of the requests take so long or longer."""

SLOW_SHARE = 0.05
ERROR_LINE = 0.01
MINUTE_S = 60.0


class Rule(Protocol):
    """Watches R rollouts."""

    def observe(self, tally: Tally) -> Booleans:
        """Which of them to roll back now. [R]"""


class Window:
    """Adds looks up to windows that follow one another, such as a minute."""

    def __init__(self, *, step_s: float, length_s: float = MINUTE_S) -> None:
        self._looks = round(length_s / step_s)
        self._seen = 0
        self._sum: Integers | None = None

    def add(self, tally: Tally) -> Integers | None:
        """The counts of the window that ends with this look [arm, count, R]; None within one."""
        total = tally.counts if self._sum is None else self._sum + tally.counts
        self._seen += 1
        if self._seen % self._looks:
            self._sum = total
            return None
        self._sum = None
        return total


def error_share(arm: Integers) -> Floats:
    """Errors per request of one arm [R]; NaN where there were no requests."""
    return _share(arm[ERRORS], arm[REQUESTS])


def slow_share(arm: Integers, edge: int) -> Floats:
    """The share at or above the edge of this number [R]; NaN where there were no requests.

    The 95th percentile that Prometheus works out of a histogram is above a bucket's edge exactly when this is
    above 5 %.
    """
    return _share(arm[FIRST_EDGE + edge], arm[REQUESTS])


def _share(part: Integers, whole: Integers) -> Floats:
    unknown = np.full(whole.shape, np.nan)
    return np.asarray(np.divide(part, whole, out=unknown, where=whole > 0))
