"""Where there could be a move, of many rollouts at once.

`decide` is asked of these alone, so this is never stricter than `decide`: a rollout that is named too often costs
time, and one that is not named when it should be is a fault. The test bed looks for those.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tranche import judge
from tranche.judgement import SUSPICION
from tranche.judgements import Bench, Judgements, blue_of, column_of, green_of, rows_of, surely_met
from tranche.limits import EVALUATIONS, least_requests
from tranche.plan import Limit, Phase, Plan
from tranche.signals import Z_99
from tranche.world import ERRORS, REQUESTS, Booleans, Floats, Integers


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a look told of each rollout: `seconds` [R] since the last complete one, 0 where it failed."""

    end_s: float
    seconds: Floats
    counts: Integers
    """[R, arm, count]"""
    green: Integers
    """What green's users met, internal ones too. [R, count]"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where every rollout stands, as numbers [R]. Times in seconds; `users_s` is infinite before there are users.

    `counts` [R, arm, count] and `watched_s` are of the present stay, `ill` [R, count] of green since the onset. `spent`
    is the harm of the stays before, and `blue` [R, count] what blue met in them (see `budget.py`).
    """

    phase: Integers
    weight: Integers
    internal_to_green: Booleans
    internal_only: Booleans
    enters: Booleans
    entered_s: Floats
    users_s: Floats
    missed_s: Floats
    watched_s: Floats
    counts: Integers
    ill: Integers
    spent: Floats
    blue: Integers

    @property
    def has_users(self) -> Booleans:
        return np.asarray((self.weight > 0) | self.internal_to_green)

    def harm(self) -> Floats:
        """What green has cost so far, as `budget.read_budget` counts it. [R]"""
        green, blue = green_of(self.counts), blue_of(self.counts)
        known = np.where(blue[:, [REQUESTS]] > 0, blue, self.blue)
        rate = known[:, ERRORS] / np.maximum(known[:, REQUESTS], 1)
        return np.asarray(self.spent + green[:, ERRORS] - green[:, REQUESTS] * rate)


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """What is known of all rollouts after a look; `recent` are the last looks, oldest first."""

    plan: Plan
    bench: Bench
    found: Judgements
    standing: Standing
    recent: Sequence[Look]

    def candidates(self) -> Booleans:
        """A superset of the rollouts that `decide` would move now. [R]"""
        look, has_users = self.recent[-1], self.standing.has_users
        against = judge.evidence(self.bench.case.design, self.found.state)
        line = self.bench.case.design.line
        found = has_users & (against >= line)
        complete = look.seconds > 0
        for limit in self.plan.limits:
            found |= complete & has_users & self._may_break(limit, look.end_s)
        if self.plan.harm_budget is not None:
            found |= has_users & (self.standing.harm() > self.plan.harm_budget - 1e-6)
        found |= look.end_s - self.standing.entered_s > self._at_most_s
        dwelt = complete & (look.end_s - self.standing.entered_s >= self._dwell_s - 1e-6)
        dwelt &= against < SUSPICION * line
        if not dwelt.any():
            return np.asarray(found)
        shown = np.zeros_like(found)
        shown[dwelt] = self._may_pass(dwelt)
        return np.asarray(found | (dwelt & shown))

    @property
    def _dwell_s(self) -> Floats:
        full = np.array([phase.dwell_s for phase in self.plan.phases])
        first = np.array([phase.internal_users_first_s for phase in self.plan.phases])
        standing = self.standing
        return np.where(standing.internal_only, first[standing.phase], full[standing.phase])

    @property
    def _at_most_s(self) -> Floats:
        """From when users go back because the phase is overdue; infinite where they do not."""
        most = [
            np.inf if phase.at_most_s is None or phase.overdue != "roll_back" else phase.at_most_s
            for phase in self.plan.phases
        ]
        return np.array(most)[self.standing.phase]

    def _may_break(self, limit: Limit, now_s: float) -> Booleans:
        """Where the limit's window, as a whole, is surely beyond its line."""
        column, rows = column_of(self.bench, limit.bound), len(self.standing.phase)
        if column is None:
            return np.zeros(rows, dtype=np.bool_)
        least = max(EVALUATIONS * least_requests(limit.bound), limit.minimum_requests)
        many, requests, goes_on = np.zeros(rows), np.zeros(rows), np.ones(rows, dtype=np.bool_)
        for look in reversed(self.recent):
            many = many + look.green[:, column] * goes_on
            requests = requests + look.green[:, REQUESTS] * goes_on
            start_s = look.end_s - look.seconds
            goes_on &= (now_s - start_s < limit.sustained_s - 1e-6) | (requests < least)
            if not goes_on.any():
                break
        lower = _wilson_lower(many, np.maximum(requests, 1))
        return np.asarray((requests >= least) & (lower > limit.bound.bad_share * (1 - 1e-6)))

    def _may_pass(self, which: Booleans) -> Booleans:
        """Which of these rollouts have shown what their phase must show; internal users alone show nothing surely."""
        part: Judgements = rows_of(self.found, which)
        standing: Standing = rows_of(self.standing, which)
        passes = np.ones(len(standing.phase), dtype=np.bool_)
        for number, phase in enumerate(self.plan.phases[1:], start=1):
            here = standing.phase == number
            if here.any():
                surely = surely_met(self.bench, phase, rows_of(part, here)) | standing.internal_only[here]
                passes[here] = self._met(phase, rows_of(standing, here), part.heard_s[here]) & surely
        return passes

    def _met(self, phase: Phase, standing: Standing, heard_s: Floats) -> Booleans:
        """Whether enough was counted, and the counts as they are meet the phase's requirements."""
        green = green_of(standing.counts)
        requests = np.maximum(green[:, REQUESTS], 1)
        met = green[:, REQUESTS] >= np.where(standing.internal_only, 1, max(phase.minimum_requests, 1))
        met &= heard_s > 0
        for bound in phase.requirements:
            column = column_of(self.bench, bound)
            if column is None:
                return np.zeros(len(green), dtype=np.bool_)
            met &= green[:, column] / requests <= bound.bad_share
        return np.asarray(met)


def _wilson_lower(many: Floats, requests: Floats) -> Floats:
    """As `signals.wilson`. [R]"""
    share = many / requests
    spread = Z_99 * np.sqrt(share * (1 - share) / requests + Z_99**2 / (4 * requests**2))
    return np.asarray((share + Z_99**2 / (2 * requests) - spread) / (1 + Z_99**2 / requests))


def first_standing(rollouts: int, *, arms: int, edges: int) -> Standing:
    none, nothing = np.zeros(rollouts, dtype=np.bool_), np.zeros(rollouts)
    columns = ERRORS + 1 + edges
    return Standing(
        phase=np.zeros(rollouts, dtype=np.int64),
        weight=np.zeros(rollouts, dtype=np.int64),
        internal_to_green=none.copy(),
        internal_only=none.copy(),
        enters=none.copy(),
        entered_s=nothing.copy(),
        users_s=np.full(rollouts, np.inf),
        missed_s=nothing.copy(),
        watched_s=nothing.copy(),
        counts=np.zeros((rollouts, arms, columns), dtype=np.int64),
        ill=np.zeros((rollouts, columns), dtype=np.int64),
        spent=nothing.copy(),
        blue=np.zeros((rollouts, columns), dtype=np.int64),
    )
