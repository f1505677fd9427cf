"""The judge's laws: valid by enumeration, never fooled by counts that cannot be, the same after a restart."""

import json
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tranche import judge
from tranche.judge import CLIP, RATIOS, Design, Floats, Look, Question, State

TWO = Design(
    questions=(
        Question(name="blue", tolerated=1.2, weight=0.5),
        Question(name="line", tolerated=1.0, weight=0.5),
    ),
    planned_s=3600.0,
    phases=4,
)


def look(bad: object, trials: object, chance: object, *, seconds: float = 15.0, enters: bool = False) -> Look:
    """One look of one rollout; the numbers are by test."""
    rows = [np.atleast_2d(np.asarray(values, dtype=float)) for values in (bad, trials, chance)]
    return Look(
        bad=rows[0],
        trials=rows[1],
        chance=rows[2],
        blue_bad=np.zeros_like(rows[0]),
        blue_trials=np.zeros_like(rows[0]),
        seconds=np.full(len(rows[0]), seconds),
        enters=np.full(len(rows[0]), enters),
    )


def worth(state: State) -> float:
    """Evidence and what is still to be staked: what must not grow in expectation while green is good."""
    return float(judge.evidence(TWO, state)[0] + 1.0 - state.placed[0])


def binomial(trials: int, chance: float) -> list[float]:
    return [math.comb(trials, k) * chance**k * (1 - chance) ** (trials - k) for k in range(trials + 1)]


def after(state: State, bad: float, trials: int, chance: float, test: int) -> State:
    counts = [
        [bad if at == test else 0.0 for at in range(2)],
        [trials if at == test else 0 for at in range(2)],
    ]
    return judge.hear(TWO, state, look(*counts, [chance, chance]))


@given(
    trials=st.integers(0, 40),
    chance=st.floats(0.0, 1.0),
    ratio=st.floats(0.01, 1.0),
    test=st.sampled_from([0, 1]),
    dispersion=st.floats(1.0, 6.0),
    heard=st.lists(st.integers(0, 8), max_size=4),
)
def test_evidence_does_not_grow_in_expectation_while_green_is_no_worse_than_tolerated(
    trials: int, chance: float, ratio: float, test: int, dispersion: float, heard: list[int]
) -> None:
    state = judge.first(TWO)
    for bad in heard:
        state = after(state, bad, 8, 0.3, test)
    spread = judge.first(TWO).spread
    pairs = np.full((1, 2), 1e9)
    state = judge.replace(state, spread=judge.replace(spread, blocks=pairs, squares=dispersion * pairs))
    odds = ratio * TWO.questions[test].tolerated
    true = chance * odds / (1 + chance * (odds - 1))
    expected = sum(
        p * worth(after(state, bad, trials, chance, test)) for bad, p in enumerate(binomial(trials, true))
    )

    assert expected <= worth(state) * (1 + 1e-9)


@given(size=st.integers(1, 4), clusters=st.integers(0, 8), chance=st.floats(0.05, 0.95))
def test_clusters_no_larger_than_the_dispersion_do_not_let_evidence_grow(
    size: int, clusters: int, chance: float
) -> None:
    state = judge.first(TWO)
    pairs = np.full((1, 2), 1e9)
    state = judge.replace(state, spread=judge.replace(state.spread, blocks=pairs, squares=size * pairs))
    odds = TWO.questions[0].tolerated
    true = chance * odds / (1 + chance * (odds - 1))
    expected = sum(
        p * worth(after(state, size * hit, size * clusters, chance, 0))
        for hit, p in enumerate(binomial(clusters, true))
    )

    assert expected <= worth(state) * (1 + 1e-9)


def test_a_version_three_times_as_bad_is_found() -> None:
    chance = np.random.default_rng(7)
    state, looks = judge.first(TWO), 0
    while judge.evidence(TWO, state)[0] < TWO.line:
        both = chance.poisson(20)
        state = after(state, chance.binomial(both, 0.25), both, 0.1, 0)
        looks += 1
        assert looks < 60
    assert looks > 2


def test_a_fault_that_starts_late_is_found_with_money_staked_late() -> None:
    chance = np.random.default_rng(11)
    design = judge.replace(TWO, planned_s=200_000.0)
    state = judge.first(design)
    for _ in range(4000):
        both = chance.poisson(20)
        counts = [[chance.binomial(both, 0.1), 0.0], [both, 0], [0.1, 0.1]]
        state = judge.hear(design, state, look(*counts))
    assert judge.evidence(design, state)[0] < 1.0
    looks = 0
    while judge.evidence(design, state)[0] < design.line:
        both = chance.poisson(30)
        state = judge.hear(design, state, look([chance.binomial(both, 0.36), 0.0], [both, 0], [0.1, 0.1]))
        looks += 1
        assert looks < 60


def test_no_single_look_takes_a_version_back() -> None:
    state = after(judge.first(TWO), 1e6, 1_000_000, 0.1, 0)

    assert judge.evidence(TWO, state)[0] <= judge.AT_START * CLIP < TWO.line


def test_without_blue_there_is_no_evidence_against_blue() -> None:
    state = judge.first(TWO)
    for _ in range(50):
        state = after(state, 40, 40, 1.0, 0)

    assert judge.evidence_by_test(state)[0, 0] <= 1.0


def test_all_stakes_add_up_to_one_however_long_it_takes() -> None:
    state = judge.first(TWO)
    for number in range(2000):
        state = judge.hear(TWO, state, look([0, 0], [0, 0], [0.1, 0.1], enters=number % 100 == 0))

    assert state.placed[0] == pytest.approx(1.0)
    assert judge.evidence(TWO, state)[0] == pytest.approx(1.0)


@pytest.mark.parametrize(
    "counts",
    [
        ([-1, 0], [10, 0], [0.1, 0.1]),
        ([11, 0], [10, 0], [0.1, 0.1]),
        ([math.nan, 0], [10, 0], [0.1, 0.1]),
        ([1, 0], [math.nan, 0], [0.1, 0.1]),
        ([1, 0], [math.inf, 0], [0.1, 0.1]),
        ([1, 0], [10, 0], [math.nan, 0.1]),
        ([1, 0], [10, 0], [1.5, 0.1]),
        ([1, 0], [-10, 0], [0.1, 0.1]),
    ],
)
def test_counts_that_cannot_be_say_nothing(counts: tuple[list[float], list[float], list[float]]) -> None:
    before = judge.hear(TWO, judge.first(TWO), look([0, 0], [0, 0], [0.1, 0.1]))
    state = judge.hear(TWO, before, look(*counts, seconds=0.0))

    assert np.array_equal(state.wealth, before.wealth)
    assert not judge.sane(look(*counts))[0, 0]
    assert judge.sane(look(*counts))[0, 1]


def test_a_clock_that_jumps_back_stakes_nothing_and_ends_no_block() -> None:
    before = judge.hear(TWO, judge.first(TWO), look([0, 0], [0, 0], [0.1, 0.1]))
    state = judge.hear(TWO, before, look([0, 0], [0, 0], [0.1, 0.1], seconds=-1e6))

    assert state.placed[0] == before.placed[0]
    assert (state.spread.lasted_s == before.spread.lasted_s).all()


def test_an_objective_says_nothing_while_blue_breaks_it_too() -> None:
    both = judge.replace(
        look([0, 50], [0, 100], [0.1, 0.01]),
        blue_bad=np.array([[0.0, 400.0]]),
        blue_trials=np.array([[0.0, 900.0]]),
    )
    alone = judge.replace(both, blue_bad=np.zeros((1, 2)))
    state, guilty = judge.first(TWO), judge.first(TWO)
    for _ in range(20):
        state, guilty = judge.hear(TWO, state, both), judge.hear(TWO, guilty, alone)

    assert judge.evidence(TWO, state)[0] < 1.0
    assert state.blue_too(both.chance)[0].tolist() == [False, True]
    assert judge.evidence(TWO, guilty)[0] > TWO.line


def noise(chance: np.random.Generator, blocks: int, draw: Callable[[], Floats]) -> State:
    del chance
    state = judge.first(TWO)
    for _ in range(blocks):
        state = judge.replace(state, spread=judge.disperse(TWO, state.spread, blocked(draw())))
    return state


def blocked(bad: Floats) -> Look:
    return look([bad, 0.0], [100.0, 0.0], [0.2, 0.2], seconds=TWO.block_s)


def test_the_dispersion_is_measured_and_starts_from_caution() -> None:
    chance = np.random.default_rng(3)
    plain = noise(chance, 300, lambda: chance.binomial(100, 0.2))
    clustered = noise(chance, 300, lambda: 4 * chance.binomial(25, 0.2))

    assert judge.first(TWO).spread.dispersion[0, 0] == judge.UNMEASURED
    assert plain.spread.dispersion[0, 0] == pytest.approx(1.0, abs=0.25)
    assert clustered.spread.dispersion[0, 0] == pytest.approx(4.0, abs=1.0)


def test_a_fault_that_begins_is_one_surprise_and_not_noise_that_goes_on() -> None:
    chance = np.random.default_rng(5)
    state = noise(chance, 100, lambda: chance.binomial(100, 0.2))
    for _ in range(20):
        state = judge.replace(
            state, spread=judge.disperse(TWO, state.spread, blocked(chance.binomial(100, 0.5)))
        )

    assert state.spread.dispersion[0, 0] < 2.0


@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.integers(0, 30), st.floats(0, 1), st.booleans()),
        min_size=1,
        max_size=30,
    )
)
def test_a_state_that_was_written_down_goes_on_exactly(looks: list[tuple[int, int, float, bool]]) -> None:
    state = judge.first(TWO)
    for bad, more, chance, enters in looks:
        state = judge.hear(
            TWO, state, look([bad, bad], [bad + more, bad + more], [chance, 0.05], enters=enters)
        )
    again = judge.from_json(TWO, json.loads(json.dumps(judge.to_json(state))))
    last = look([3, 3], [9, 9], [0.2, 0.05])

    assert np.array_equal(judge.hear(TWO, again, last).wealth, judge.hear(TWO, state, last).wealth)


@pytest.mark.parametrize("damage", ["wealth", "placed", "spread", "blue_bad"])
def test_a_damaged_state_is_not_believed(damage: str) -> None:
    data = judge.to_json(judge.first(TWO))
    data[damage] = {**data["spread"], "more": [[1.0]]} if damage == "spread" else [[math.nan]]

    with pytest.raises(ValueError, match="expected"):
        judge.from_json(TWO, data)


def test_many_rollouts_at_once_are_each_by_itself() -> None:
    chance = np.random.default_rng(2)
    looks = []
    for _ in range(30):
        bad = chance.poisson(3, (5, 2)).astype(float)
        looks.append((bad, bad + chance.poisson(20, (5, 2)), chance.uniform(0.05, 0.5, (5, 2))))
    together = judge.first(TWO, 5)
    for counts in looks:
        together = judge.hear(TWO, together, look(*counts))
    for one in range(5):
        alone = judge.first(TWO)
        for bad, trials, part in looks:
            alone = judge.hear(TWO, alone, look(bad[one], trials[one], part[one]))
        assert np.allclose(alone.wealth[0], together.wealth[one])


def test_the_upper_bound_comes_down_with_evidence_and_stays_above_the_truth() -> None:
    chance = np.random.default_rng(13)
    state, weighed = judge.first(TWO), judge.no_weight(TWO)
    bounds = []
    for _ in range(300):
        seen = look([0.0, chance.binomial(400, 0.01)], [0.0, 400.0], [0.1, 0.02], seconds=120.0)
        weighed = judge.weigh(weighed, state, seen)
        state = judge.hear(TWO, state, seen)
        bounds.append(judge.upper(TWO, weighed)[0])

    assert bounds[0][1] == np.inf or bounds[0][1] > 1.0
    assert 0.5 < bounds[-1][1] < 0.7  # the truth is half of the line
    assert np.isinf(bounds[-1][0]), "a test with no trials has shown nothing"


def test_the_upper_bound_lies_below_the_truth_in_few_rollouts_only() -> None:
    chance = np.random.default_rng(17)
    rollouts = 400
    design = judge.replace(TWO, beta=0.05)
    state, weighed = judge.first(design, rollouts), judge.no_weight(design, rollouts)
    crossed = np.zeros(rollouts, dtype=bool)
    for _ in range(200):
        bad = chance.binomial(300, 0.02, rollouts).astype(float)
        nothing = np.zeros(rollouts)
        seen = look(
            np.stack([nothing, bad], 1),
            np.stack([nothing, np.full(rollouts, 300.0)], 1),
            np.full((rollouts, 2), 0.02),
        )
        weighed = judge.weigh(weighed, state, seen)
        crossed |= judge.upper(design, weighed)[:, 1] <= 1.0
    assert crossed.mean() <= 0.05


def test_every_bet_is_on_more_than_is_tolerated() -> None:
    assert RATIOS[0] == pytest.approx(1.25)
    assert (np.diff(RATIOS) > 0).all()
    assert RATIOS[-1] == pytest.approx(100.0)
