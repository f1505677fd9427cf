"""Rules that compare one minute with a line and count how often it was crossed.

All of them are given the same two lines: more than 1 % errors, and a 95th percentile above 300 ms.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np

from judging.rule import ERROR_LINE, MINUTE_S, SLOW_SHARE, Window, error_share, slow_share
from tranche.world import GREEN, Booleans, Floats, Integers, Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """What a minute must not be above: shares of failed and of slow requests."""

    errors: float = ERROR_LINE
    slow: float = SLOW_SHARE


class Argo:
    """Argo Rollouts: a background analysis with two metrics, measured every minute over the last one.

    A metric with a `successCondition` alone (`result <= line`) fails a measurement that is above the line, and one
    without data: NaN compares false. Measurements that failed are counted over the whole run and per metric, a good
    one takes nothing back, and the run fails when `failed > failureLimit`: with a limit of 3 at the fourth. A failed
    run aborts the rollout. The first measurement is taken when the first minute is over.

    Source: `analysis/analysis.go` (assessMetricFailureInconclusiveOrError), `utils/evaluate/evaluate.go`.
    """

    def __init__(
        self, *, rollouts: int, step_s: float, edge: int, lines: Lines | None = None, failure_limit: int = 3
    ) -> None:
        self._minute = Window(step_s=step_s)
        self._edge = edge
        self._lines = lines or Lines()
        self._limit = failure_limit
        self._failed = np.zeros((2, rollouts), dtype=np.int64)

    def observe(self, tally: Tally) -> Booleans:
        counts = self._minute.add(tally)
        if counts is None:
            return np.zeros(self._failed.shape[1], dtype=np.bool_)
        green = counts[GREEN]
        self._failed[0] += ~(error_share(green) <= self._lines.errors)
        self._failed[1] += ~(slow_share(green, self._edge) <= self._lines.slow)
        return np.asarray((self._failed > self._limit).any(axis=0))


class Flagger:
    """Flagger: one counter for all metrics, checked every minute.

    Metrics are checked in order, and the first that fails ends the check and adds one to `failedChecks`; no data is
    a failed check. The counter is never decremented, only a new revision resets it. Each tick looks at the counter
    before it checks, so the rollback comes one tick after the check that reached `threshold`.

    Source: `pkg/controller/scheduler.go` (advanceCanary), `scheduler_metrics.go`.
    """

    def __init__(self, *, rollouts: int, step_s: float, edge: int, threshold: int = 5) -> None:
        self._minute = Window(step_s=step_s)
        self._edge = edge
        self._threshold = threshold
        self._failed = np.zeros(rollouts, dtype=np.int64)

    def observe(self, tally: Tally) -> Booleans:
        counts = self._minute.add(tally)
        if counts is None:
            return np.zeros(len(self._failed), dtype=np.bool_)
        rolls_back = self._failed >= self._threshold
        green = counts[GREEN]
        passes = (error_share(green) <= ERROR_LINE) & (slow_share(green, self._edge) <= SLOW_SHARE)
        self._failed += ~passes
        return rolls_back


class Sustained:
    """The words of the plan, taken as an alert: above the line for five minutes.

    `rate over 1 minute > line`, evaluated at every look; the alert fires when the condition has been true at each
    evaluation for five minutes, and starts anew when it is false once. No data is not true. Errors and latency are
    two alerts. (The limits of `tranche.limits` are stricter about what *sustained* means; they are the backstop of
    the judge, not a rival.)

    Source: Prometheus, alerting rules, `expr` and `for`.
    """

    def __init__(self, *, rollouts: int, step_s: float, edge: int, sustained_s: float = 300.0) -> None:
        self._recent: deque[Integers] = deque(maxlen=round(MINUTE_S / step_s))
        self._edge = edge
        self._step_s = step_s
        self._sustained_s = sustained_s
        self._true_for_s = np.full((2, rollouts), -step_s)

    def observe(self, tally: Tally) -> Booleans:
        self._recent.append(tally.counts[GREEN])
        if len(self._recent) == self._recent.maxlen:
            green = np.sum(self._recent, axis=0)
            breached = np.stack([error_share(green) > ERROR_LINE, slow_share(green, self._edge) > SLOW_SHARE])
            self._true_for_s = np.where(breached, self._true_for_s + self._step_s, -self._step_s)
        return np.asarray((self._true_for_s >= self._sustained_s).any(axis=0))


class Rehearsal:
    """Watches healthy rollouts, takes none back, and tells where Argo's lines would have had to be.

    No such rehearsal exists in life: nobody has three hundred healthy rollouts of just this service to fit lines
    to. It shows what a counter of crossings could do at best.
    """

    WORST = 4

    def __init__(self, *, rollouts: int, step_s: float, edge: int) -> None:
        self._minute = Window(step_s=step_s)
        self._edge = edge
        self._worst = np.zeros((self.WORST, 2, rollouts))

    def observe(self, tally: Tally) -> Booleans:
        counts = self._minute.add(tally)
        if counts is not None:
            green = counts[GREEN]
            shares = np.stack([error_share(green), slow_share(green, self._edge)])
            worst = np.concatenate([self._worst, np.nan_to_num(shares, nan=1.0)[None]])
            worst.sort(axis=0)
            self._worst = worst[1:]
        return np.zeros(self._worst.shape[2], dtype=np.bool_)

    def lines(self, false_share: float = 0.01) -> Lines:
        """Lines that so many of the rollouts, or fewer, crossed four times: half of them each metric's."""
        fourth: Floats = np.sort(self._worst[0], axis=-1)
        allowed = int(false_share / 2 * fourth.shape[1])
        errors, slow = fourth[:, -1 - allowed]
        return Lines(errors=float(errors), slow=float(slow))

    def crossed(self, lines: Lines) -> Booleans:
        """Which of the rollouts crossed one of these lines four times. [R]"""
        fourth = self._worst[0]
        return np.asarray((fourth[0] > lines.errors) | (fourth[1] > lines.slow))
