"""Our rule: `tranche.judge`, asked what the rollout engine asks it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from judging.rule import OBJECTIVE_MS, SLOW_SHARE
from tranche import judge
from tranche.judge import Design, Question
from tranche.world import FIRST_EDGE, REQUESTS, ArmCounts, Booleans, Floats, Integers, Tally

ERROR_OBJECTIVE: Final = 0.005
TAIL_SHARES: Final = (0.15, 0.05, 0.01)
"""Where blue's latency is compared: at the edges that such shares of its requests reach."""

ERRORS_TOLERATED: Final = 1.2
SLOW_TOLERATED: Final = 1.15
PLANNED_S: Final = 48 * 3600.0
PHASES: Final = 4

QUESTIONS: Final = (
    Question(name="errors against blue", tolerated=ERRORS_TOLERATED, weight=1 / 4),
    Question(name="errors against the objective", tolerated=1.0, weight=1 / 4),
    Question(name="slow against the objective", tolerated=1.0, weight=1 / 4),
    *(
        Question(name=f"slow against blue, its slowest {share:.0%}", tolerated=SLOW_TOLERATED, weight=1 / 12)
        for share in TAIL_SHARES
    ),
)


def nearest_edges(blue: Integers) -> list[int]:
    """The numbers of the edges that come nearest to TAIL_SHARES in blue's past counts [count]."""
    shares = np.maximum(blue[FIRST_EDGE:], 0.5) / max(blue[REQUESTS], 1)
    return [int(np.argmin(np.abs(np.log(shares / wanted)))) for wanted in TAIL_SHARES]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Turns counts into what the judge hears: `edges` are the numbers of those compared with blue."""

    objective_edge: int
    edges: tuple[int, ...]

    def look(self, green: ArmCounts, blue: ArmCounts, *, seconds: Floats, enters: Booleans) -> judge.Look:
        rows = len(green.requests)
        bad, trials, chance = (np.zeros((rows, len(QUESTIONS))) for _ in range(3))
        blue_bad, blue_trials = np.zeros_like(bad), np.zeros_like(bad)
        part = green.requests / np.maximum(green.requests + blue.requests, 1)
        compared = [(green.errors, blue.errors), *((green.slower[k], blue.slower[k]) for k in self.edges)]
        for column, (mine, others) in zip((0, 3, 4, 5), compared, strict=True):
            bad[:, column], trials[:, column], chance[:, column] = mine, mine + others, part
        measured = (
            (1, green.errors, blue.errors, ERROR_OBJECTIVE),
            (2, green.slower[self.objective_edge], blue.slower[self.objective_edge], SLOW_SHARE),
        )
        for column, mine, others, line in measured:
            bad[:, column], trials[:, column], chance[:, column] = mine, green.requests, line
            blue_bad[:, column], blue_trials[:, column] = others, blue.requests
        return judge.Look(
            bad=bad,
            trials=trials,
            chance=chance,
            blue_bad=blue_bad,
            blue_trials=blue_trials,
            seconds=seconds,
            enters=enters,
        )


class Tranche:
    """The judge at alpha 1 %: errors and slow requests against blue and against the objectives.

    `before` are looks at blue alone with a control arm as large as green will be: they measure how much more its
    counts vary than chance, and say which latency edges to compare at. Stakes are placed for four phases in 48 hours,
    of which only the first is run.
    """

    def __init__(
        self,
        *,
        rollouts: int,
        step_s: float,
        edges_ms: Sequence[float],
        before: Iterable[Tally] = (),
        alpha: float = 0.01,
    ) -> None:
        self.design = Design(questions=QUESTIONS, planned_s=PLANNED_S, phases=PHASES, alpha=alpha)
        self._step_s = step_s
        past = list(before)
        blue = np.zeros(FIRST_EDGE + len(edges_ms), dtype=np.int64)
        for tally in past:
            blue += tally.counts.sum(axis=(0, 2))
        self._asked = Asked(
            objective_edge=list(edges_ms).index(OBJECTIVE_MS), edges=tuple(nearest_edges(blue))
        )
        self._waited_s = np.zeros(rollouts)
        self._enters = np.ones(rollouts, dtype=np.bool_)
        self.state = judge.first(self.design, rollouts)
        spread = self.state.spread
        for tally in past:
            spread = judge.disperse(self.design, spread, self._heard(tally, tally.control, tally.blue))
        self.state = replace(self.state, spread=judge.calibrated(spread))
        self._enters = np.ones(rollouts, dtype=np.bool_)

    def observe(self, tally: Tally) -> Booleans:
        look = self._heard(tally, tally.green, tally.all_blue)
        self.state = judge.hear(self.design, self.state, look)
        return np.asarray(judge.evidence(self.design, self.state) >= self.design.line)

    def _heard(self, tally: Tally, green: ArmCounts, blue: ArmCounts) -> judge.Look:
        """A look that failed lasts no time: the next complete one has its counts and its seconds."""
        self._waited_s += self._step_s
        seconds = np.where(tally.complete, self._waited_s, 0.0)
        enters = self._enters & tally.complete
        self._waited_s[tally.complete] = 0.0
        self._enters = self._enters & ~tally.complete
        return self._asked.look(green, blue, seconds=seconds, enters=enters)
