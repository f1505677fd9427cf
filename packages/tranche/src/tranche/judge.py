"""The judge: counts in, evidence of harm and of safety out. Pure, over many rollouts at once.

One likelihood serves every metric. A test looks at `trials` things, of which `bad` were bad, each by chance
`chance` if green is what it claims to be; green being `r` times as likely to be bad (odds) makes that

    L(r) = bad * log r - trials * log(1 + chance * (r - 1))                    log-likelihood ratio to r = 1

- against blue: `trials` are the bad requests of both colours, `bad` those of green, `chance` green's part of the
  requests. Given how many were bad, traffic, weight and whatever hit both colours cancel; at 100 % (`chance` 1)
  the term is zero: without blue there is no evidence.
- against an objective: `trials` are green's requests, `chance` is the share that stands on the line.

**Harm** (`hear`, `evidence`). Each test bets on twelve ratios above the one it tolerates, r0. Wealth W grows by
likelihood, tempered by the measured dispersion, clipped at CLIP, with new stakes placed as time goes, so that a
late fault is found by money that was not lost in the good hours before:

    W <- (W + stake) * min(CLIP, exp((L(r) - L(r0)) / dispersion)),     E = sum over tests of weight * mean over r of W

E plus the stakes not yet placed is a nonnegative supermartingale that starts at 1 while green is no worse than
tolerated, so P(E ever reaches 1/alpha) <= alpha (J. Ville, Étude critique de la notion de collectif, 1939), over
every test, phase and look of the whole rollout. Nothing is reset between phases. Averaging e-values is valid
whatever their dependence (Vovk & Wang, E-values, Annals of Statistics 49, 2021).

**Dispersion** (`disperse`). Bad requests come in clusters: one user's retries, one slow minute. If clusters have at
most `dispersion` members, tempering keeps the expectation below 1 (exp is convex). It is estimated over blocks of
time, from past blocks only, and starts from blue measured against itself: half the mean squared difference of
successive blocks' Pearson residuals (J. von Neumann, Distribution of the ratio of the mean square successive
difference to the variance, Annals of Mathematical Statistics 12, 1941). Differences, so that a fault that begins is
one surprise and not a noise that goes on: residuals around a long mean took twice as long to find the same fault.

**Safety** (`weigh`, `upper`). Per phase, the smallest ratio that the counts speak against:

    U = min { r1 : log mean over r < r1 of exp(L(r)) - L(r1) >= log(1/beta) }

for which P(true ratio >= U at any time of the phase) <= beta, by the same inequality.

Assumptions: users are split at random; clusters are independent and rarely larger than measured. Where green alone
has a bad quarter of an hour for reasons of its own (one sick node), that is indistinguishable from a bad version.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RATIOS: Final = np.geomspace(1.25, 100.0, 12)
"""What harm bets on, as multiples of the tolerated ratio: from a quarter more to a hundred times as much."""

GRID: Final = 10.0 ** (np.arange(-34, 27) / 20.0)
"""Where safety looks for an upper bound: from 0.02 to 20, twenty to a decade, and 1 is one of them."""

CLIP: Final = 30.0
"""One look multiplies evidence by at most this, so that no single look takes a version back."""

AT_START: Final = 0.5
AT_PHASES: Final = 0.2
OVER_TIME: Final = 0.3
"""How the stake of 1 is spread: when green first has users, at the starts of phases, and over the planned time."""

UNMEASURED: Final = 3.0
"""The dispersion that is assumed before anything was measured."""

ASSUMED_BLOCKS: Final = 2.0
"""How many measured blocks the assumption weighs as much as."""

CALIBRATION_BLOCKS: Final = 10.0
"""How many blocks of blue against itself replace the assumption, and how many they then count as."""

OWN: Final = 0.1
"""How far a good version's odds are assumed to stray from blue's in one block, until that is measured (sd)."""

MEMORY_BLOCKS: Final = 400
"""How many blocks the estimate of the dispersion remembers (e-folding)."""

RATIO_BLOCKS: Final = 10
"""The same of the running ratio that residuals are taken around: short, so that it follows a fault."""

RICHEST: Final = 1e30
"""Wealth is kept below this; far above any line, and giving some away is always allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question. `tolerated`: the odds ratio green may have. `weight`: its part of the stakes; all add up to 1."""

    name: str
    tolerated: float
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """What is fixed before the first look. Times in seconds.

    `alpha` bounds the probability of a false rollback in the whole rollout, `beta` that of a false *safe* per
    phase and test. `planned_s` is how long green is to be watched in all, `phases` in how many phases,
    `block_s` how long a block of the dispersion is.
    """

    questions: tuple[Question, ...]
    planned_s: float
    phases: int
    alpha: float = 0.01
    beta: float = 0.05
    block_s: float = 120.0

    @property
    def line(self) -> float:
        """The evidence at which green is taken back."""
        return 1.0 / self.alpha

    @property
    def weights(self) -> Floats:
        return np.array([test.weight for test in self.questions])

    @property
    def tolerated(self) -> Floats:
        return np.array([test.tolerated for test in self.questions])


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one interval says, for R rollouts and M tests: `bad`, `trials` and `chance` are [R, M].

    `blue_bad` and `blue_trials` [R, M] are what blue met by the measure of an objective; nothing for tests against
    blue. `seconds` [R] is how long it lasted, `enters` [R] whether it is the first of a phase. A test with nothing
    to say has no trials. `bad` lies between 0 and `trials`, `chance` between 0 and 1: see `sane`.
    """

    bad: Floats
    trials: Floats
    chance: Floats
    blue_bad: Floats
    blue_trials: Floats
    seconds: Floats
    enters: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How much more the counts vary than chance alone would have it; everything [R, M].

    `block_*` is the block under way: bad things counted, expected, and their variance; `lasted_s` how long it is.
    `residual` is that of the last block that had any (0 before the first), `ended` how many there were, `counted` the
    sum of their variances, `squares` the sum of halved squared differences over `blocks` pairs of them. `more` and
    `fewer` are the two sides of the running odds ratio (Mantel & Haenszel, Journal of the National Cancer
    Institute 22, 1959).
    """

    block_bad: Floats
    block_expected: Floats
    block_variance: Floats
    lasted_s: Floats
    residual: Floats
    ended: Floats
    counted: Floats
    squares: Floats
    blocks: Floats
    more: Floats
    fewer: Floats

    @property
    def ratio(self) -> Floats:
        """Green's odds ratio so far, drawn towards 1 by one imagined bad thing on each side."""
        return (self.more + 1.0) / (self.fewer + 1.0)

    @property
    def dispersion(self) -> Floats:
        """At least 1."""
        return np.maximum(self.squares / self.blocks, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Everything the judge remembers: `wealth` [R, M, 12], `placed` [R] of the stake, the spread, and blue lately.

    `blue_bad` and `blue_trials` [R, M] forget with an e-folding time of one block.
    """

    wealth: Floats
    placed: Floats
    blue_bad: Floats
    blue_trials: Floats
    spread: Spread

    def blue_too(self, chance: Floats) -> NDArray[np.bool_]:
        """Where blue lately stands beyond the line of an objective, too. [R, M]"""
        return np.asarray(self.blue_bad > self.blue_trials * chance)


def first(design: Design, rollouts: int = 1) -> State:
    """Before anything was seen."""
    shape = (rollouts, len(design.questions))
    return State(
        wealth=np.zeros((*shape, len(RATIOS))),
        placed=np.zeros(rollouts),
        blue_bad=np.zeros(shape),
        blue_trials=np.zeros(shape),
        spread=first_spread(shape),
    )


def first_spread(shape: tuple[int, ...]) -> Spread:
    """Before anything was counted: the assumption."""
    return replace(
        Spread(**{name: np.zeros(shape) for name in SPREAD_FIELDS}),
        squares=np.full(shape, UNMEASURED * ASSUMED_BLOCKS),
        blocks=np.full(shape, ASSUMED_BLOCKS),
    )


def sane(look: Look) -> NDArray[np.bool_]:
    """Which counts can be: finite, 0 <= bad <= trials, 0 <= chance <= 1. [R, M]"""
    with np.errstate(invalid="ignore"):
        return np.asarray(
            np.isfinite(look.trials)
            & (look.bad >= 0)
            & (look.bad <= look.trials)
            & (look.chance >= 0)
            & (look.chance <= 1)
            & np.isfinite(look.blue_trials)
            & (look.blue_bad >= 0)
            & (look.blue_bad <= look.blue_trials)
        )


def hear(design: Design, state: State, look: Look) -> State:
    """The state after one more look.

    Counts that cannot be say nothing. An objective says nothing while blue breaks it, too: that is shared trouble,
    which going back would not end. Whether to listen is decided by blue's counts alone, so the bound stands.
    """
    look = _only(look, sane(look))
    lately = np.exp(-np.maximum(look.seconds, 0.0) / design.block_s)[:, None]
    state = replace(
        state,
        blue_bad=state.blue_bad * lately + look.blue_bad,
        blue_trials=state.blue_trials * lately + look.blue_trials,
    )
    look = _only(look, ~state.blue_too(look.chance))
    stake = stakes(design, state.placed, look)
    tolerated = design.tolerated
    gain = _log_likelihood(look, tolerated[:, None] * RATIOS) - _log_likelihood(look, tolerated[:, None])
    gain /= state.spread.dispersion[..., None]
    np.minimum(gain, np.log(CLIP), out=gain)
    wealth = (state.wealth + stake[:, None, None]) * np.exp(gain, out=gain)
    return replace(
        state,
        wealth=np.minimum(wealth, RICHEST, out=wealth),
        placed=state.placed + stake,
        spread=disperse(design, state.spread, look),
    )


def stakes(design: Design, placed: Floats, look: Look) -> Floats:
    """What is staked anew at this look; in all never more than 1. [R]"""
    stake = np.where(placed == 0, AT_START, 0.0)
    stake += np.where(look.enters, AT_PHASES / design.phases, 0.0)
    stake += OVER_TIME * np.maximum(look.seconds, 0.0) / design.planned_s
    return np.minimum(stake, 1.0 - placed)


def _only(look: Look, which: NDArray[np.bool_]) -> Look:
    """The look with nothing but the counts that are meant."""
    nothing = np.zeros(())
    return replace(
        look,
        bad=np.where(which, look.bad, nothing),
        trials=np.where(which, look.trials, nothing),
        chance=np.where(which, look.chance, nothing),
        blue_bad=np.where(which, look.blue_bad, nothing),
        blue_trials=np.where(which, look.blue_trials, nothing),
    )


def _log_likelihood(look: Look, ratios: Floats) -> Floats:
    """L(r) of the module's first lines, for `ratios` [M, J] or [J]: [R, M, J]."""
    odds = np.log1p(look.chance[..., None] * (ratios - 1.0))
    return np.asarray(look.bad[..., None] * np.log(ratios) - look.trials[..., None] * odds)


def disperse(design: Design, spread: Spread, look: Look) -> Spread:
    """One more look, which may end a block. The block under way does not count yet: only the past tempers."""
    ratio = spread.ratio
    theta = look.chance * ratio / (1.0 + look.chance * (ratio - 1.0))
    found = replace(
        spread,
        block_bad=spread.block_bad + look.bad,
        block_expected=spread.block_expected + look.trials * theta,
        block_variance=spread.block_variance + look.trials * theta * (1.0 - theta),
        lasted_s=spread.lasted_s + np.maximum(look.seconds, 0.0)[:, None],
        more=spread.more + look.bad * (1.0 - look.chance),
        fewer=spread.fewer + (look.trials - look.bad) * look.chance,
    )
    ends = found.lasted_s >= design.block_s
    return _end_block(found, ends) if ends.any() else found


def calibrated(spread: Spread) -> Spread:
    """The spread to begin with, from looks at blue against itself.

    They say nothing of what only two versions can differ by from block to block; OWN is assumed for that, which
    matters where much is counted (a variance grows with the square of what moves all of it). Green's own blocks
    soon outweigh both.
    """
    blank = first_spread(spread.blocks.shape)
    measured = spread.blocks - ASSUMED_BLOCKS
    enough = measured >= CALIBRATION_BLOCKS
    found = (spread.squares - UNMEASURED * ASSUMED_BLOCKS) / np.where(enough, measured, 1.0)
    own = OWN**2 * spread.counted / np.maximum(spread.ended, 1.0)
    return replace(
        blank,
        squares=np.where(enough, (np.maximum(found, 1.0) + own) * CALIBRATION_BLOCKS, spread.squares),
        blocks=np.where(enough, CALIBRATION_BLOCKS, spread.blocks),
    )


def _end_block(spread: Spread, ends: NDArray[np.bool_]) -> Spread:
    """Add what the block differs by from the one before it, forget a little of what was before, begin the next."""
    told = ends & (spread.block_variance > 0)
    pairs = told & (spread.ended > 0)
    deviation = np.sqrt(np.where(told, spread.block_variance, 1.0))
    residual = np.where(told, (spread.block_bad - spread.block_expected) / deviation, spread.residual)
    kept = np.where(pairs, np.exp(-1.0 / MEMORY_BLOCKS), 1.0)
    followed = np.where(ends, np.exp(-1.0 / RATIO_BLOCKS), 1.0)
    goes_on = np.where(ends, 0.0, 1.0)
    return Spread(
        block_bad=spread.block_bad * goes_on,
        block_expected=spread.block_expected * goes_on,
        block_variance=spread.block_variance * goes_on,
        lasted_s=spread.lasted_s * goes_on,
        residual=residual,
        ended=spread.ended + told,
        counted=spread.counted + np.where(told, spread.block_variance, 0.0),
        squares=kept * spread.squares + np.where(pairs, 0.5 * (residual - spread.residual) ** 2, 0.0),
        blocks=kept * spread.blocks + pairs,
        more=followed * spread.more,
        fewer=followed * spread.fewer,
    )


def evidence_by_test(state: State) -> Floats:
    """What each test has against green, before its weight. [R, M]"""
    return np.asarray(state.wealth.mean(axis=-1))


def evidence(design: Design, state: State) -> Floats:
    """What all of them have; the line is 1/alpha. [R]"""
    return np.asarray(evidence_by_test(state) @ design.weights)


# Safety.


def no_weight(design: Design, rollouts: int = 1) -> Floats:
    """The log-likelihood of every ratio of GRID at the beginning of a phase. [R, M, 61]"""
    return np.zeros((rollouts, len(design.questions), len(GRID)))


def weigh(weighed: Floats, state: State, look: Look) -> Floats:
    """With one more look of the phase; `state` is from before it."""
    look = _only(look, sane(look))
    return np.asarray(weighed + _log_likelihood(look, GRID) / state.spread.dispersion[..., None])


def upper(design: Design, weighed: Floats) -> Floats:
    """The smallest odds ratio of GRID that the phase speaks against; infinite while it speaks against none. [R, M]"""
    mixed = np.logaddexp.accumulate(weighed, axis=-1)[..., :-1] - np.log(np.arange(1, len(GRID)))
    against = mixed - weighed[..., 1:] >= np.log(1.0 / design.beta)
    beyond = np.arange(1, len(GRID)) > np.argmax(weighed, axis=-1)[..., None]
    found = against & beyond
    bound = GRID[1:][np.argmax(found, axis=-1)]
    return np.where(found.any(axis=-1), bound, np.inf)


# As JSON.

SPREAD_FIELDS: Final = tuple(Spread.__dataclass_fields__)


def to_json(state: State) -> dict[str, Any]:
    """The state of one or more rollouts; `from_json` gives it back exactly."""
    return {
        "wealth": state.wealth.tolist(),
        "placed": state.placed.tolist(),
        "blue_bad": state.blue_bad.tolist(),
        "blue_trials": state.blue_trials.tolist(),
        "spread": {name: getattr(state.spread, name).tolist() for name in SPREAD_FIELDS},
    }


def from_json(design: Design, data: Mapping[str, Any]) -> State:
    """What `to_json` wrote.

    Raises:
        ValueError: it belongs to another design, or is damaged.
    """
    rollouts = len(data["placed"])
    expected = first(design, rollouts)
    state = State(
        wealth=_array(data["wealth"], expected.wealth.shape),
        placed=_array(data["placed"], (rollouts,)),
        blue_bad=_array(data["blue_bad"], expected.blue_bad.shape),
        blue_trials=_array(data["blue_trials"], expected.blue_bad.shape),
        spread=Spread(
            **{name: _array(data["spread"][name], expected.spread.more.shape) for name in SPREAD_FIELDS}
        ),
    )
    if (state.wealth < 0).any() or (state.placed < 0).any() or (state.placed > 1 + 1e-9).any():
        raise ValueError("expected evidence of at least 0 and stakes between 0 and 1, found others")
    return state


def _array(data: object, shape: tuple[int, ...]) -> Floats:
    found = np.array(data, dtype=np.float64)
    if found.shape != shape or not np.isfinite(found).all():
        raise ValueError(f"expected finite numbers of shape {shape}, found shape {found.shape}")
    return found
