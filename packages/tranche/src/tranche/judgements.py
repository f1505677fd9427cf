"""Many judgements side by side: what `judgement.py` makes of one rollout's counts, for R rollouts of a plan at once.

For trying a plan out hundreds of times; a controller judges one rollout and needs none of this. The test bed holds
every row to `judgement.py`, and `row` hands one of them over to it. Counts are [R, arm, count] as in `world.py`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Final, TypeVar

import numpy as np

from tranche import judge
from tranche.judge import Look, State
from tranche.judgement import (
    ENOUGH_TO_CHOOSE,
    RESTART_EVERY_S,
    SAFE_RATIO,
    TAILS,
    Asked,
    Case,
    Judgement,
    Tally,
)
from tranche.plan import Bound, Metric, Phase, Plan
from tranche.signals import Counts
from tranche.world import (
    BLUE,
    CONTROL,
    ERRORS,
    FIRST_EDGE,
    GREEN,
    INTERNAL,
    REQUESTS,
    Booleans,
    Floats,
    Integers,
)

FOR_EVER_MS: Final = 3_600_000
"""An edge above every latency: what is counted below it are all requests."""

Tree = TypeVar("Tree")


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgements:
    """As `Judgement`, with R in front: `blue` [R, count], `edges` [R, 3] by number, -1 before they are chosen."""

    state: State
    weighed: Floats
    tally: Tally
    heard_s: Floats
    blue: Integers
    edges: Integers
    is_calibrated: Booleans


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What all rows share: the case, the latency edges (ms, rising), and what is `asked` in each phase [phase, M]."""

    case: Case
    edges_ms: tuple[int, ...]
    asked: Booleans


def bench_of(plan: Plan, case: Case, edges_ms: Sequence[int]) -> Bench:
    """The objectives of other phases are not asked in a phase; in staging all are."""
    asked = [
        [one.bound is None or number == 0 or one.bound in phase.requirements for one in case.asked]
        for number, phase in enumerate(plan.phases)
    ]
    return Bench(case=case, edges_ms=tuple(edges_ms), asked=np.array(asked))


def opened(bench: Bench, rollouts: int) -> Judgements:
    """Before anything was heard."""
    design, many = bench.case.design, (rollouts, len(bench.case.asked))
    return Judgements(
        state=judge.first(design, rollouts),
        weighed=judge.no_weight(design, rollouts),
        tally=Tally(**{name: np.zeros(many) for name in Tally.__dataclass_fields__}),
        heard_s=np.zeros(rollouts),
        blue=np.zeros((rollouts, FIRST_EDGE + len(bench.edges_ms)), dtype=np.int64),
        edges=np.full((rollouts, len(TAILS)), -1),
        is_calibrated=np.zeros(rollouts, dtype=np.bool_),
    )


# Rows.


def each(function: Callable[..., Any], *trees: Tree) -> Tree:
    """The same done to every array of such values; None stays."""
    first = trees[0]
    if not is_dataclass(first) or isinstance(first, type):
        return function(*trees)  # type: ignore[no-any-return]
    parts = {
        known.name: each(function, *(getattr(tree, known.name) for tree in trees)) for known in fields(first)
    }
    return replace(first, **parts)


def rows_of(found: Tree, which: Booleans | slice) -> Tree:
    """Only these rows."""
    return each(lambda array: array[which], found)


def with_rows(found: Tree, which: Booleans, part: Tree) -> Tree:
    """With these rows replaced, in the order they stand."""

    def put(whole: Any, some: Any) -> Any:
        changed = whole.copy()
        changed[which] = some
        return changed

    return each(put, found, part)


def on_rows(found: Judgements, which: Booleans, change: Callable[[Judgements], Judgements]) -> Judgements:
    """The change, made to these rows alone."""
    if which.all():
        return change(found)
    return with_rows(found, which, change(rows_of(found, which))) if which.any() else found


def anew(found: Judgements, which: Booleans) -> Judgements:
    """A new stay begins in these rows: what is weighed and counted for one stay is given up."""

    def cleared(array: Any) -> Any:
        return np.where(which.reshape(-1, *[1] * (array.ndim - 1)), 0.0, array)

    return replace(
        found,
        weighed=cleared(found.weighed),
        tally=each(cleared, found.tally),
        heard_s=cleared(found.heard_s),
    )


def row(bench: Bench, found: Judgements, number: int, *, stay: str) -> Judgement:
    """One of them, as a controller has it."""
    one = rows_of(found, slice(number, number + 1))
    edges = () if one.edges[0, 0] < 0 else tuple(bench.edges_ms[edge] for edge in one.edges[0])
    return Judgement(
        state=one.state,
        weighed=one.weighed,
        tally=each(lambda array: array[0], one.tally),
        stay=stay,
        heard_s=float(one.heard_s[0]),
        blue=counts_of(bench, one.blue[0]),
        edges=edges,
        is_calibrated=bool(one.is_calibrated[0]),
        restarts=0,
    )


def counts_of(bench: Bench, counts: Integers) -> Counts:
    """Counts of one arm [count], in words that a scrape has."""
    requests, errors, *slower = (int(count) for count in counts)
    faster = {edge: requests - slow for edge, slow in zip(bench.edges_ms, slower, strict=True)}
    return Counts(requests=requests, errors=errors, faster={**faster, FOR_EVER_MS: requests})


def green_of(counts: Integers) -> Integers:
    """What green's users met, internal ones too. [R, count]"""
    return np.asarray(counts[:, GREEN] + counts[:, INTERNAL:].sum(axis=1))


def blue_of(counts: Integers) -> Integers:
    """What blue's users met. [R, count]"""
    return np.asarray(counts[:, BLUE] + counts[:, CONTROL])


# Looks.


def calibrate(bench: Bench, found: Judgements, counts: Integers, seconds: Floats) -> Judgements:
    """As `judgement.calibrate`: blue's control arm against the rest of blue."""
    control, blue = counts[:, CONTROL], counts[:, BLUE]
    found = _with_edges(found, np.zeros(len(seconds), dtype=np.bool_))
    look = _look(
        bench,
        found,
        green=control,
        all_green=control,
        blue=blue,
        asked=np.broadcast_to(bench.asked[0], (len(seconds), len(bench.case.asked))),
        seconds=seconds,
        enters=np.zeros(len(seconds), dtype=np.bool_),
    )
    spread = judge.disperse(bench.case.design, found.state.spread, look)
    return replace(
        found,
        state=replace(found.state, spread=spread),
        blue=found.blue + blue_of(counts),
    )


def hear(
    bench: Bench,
    found: Judgements,
    counts: Integers,
    seconds: Floats,
    *,
    phase: Integers,
    enters: Booleans,
    weighs: bool = True,
) -> Judgements:
    """As `judgement.hear`, without restarts. `phase` and `enters` are [R]; a row that enters was made `anew`.

    What is not asked for safety later need not be weighed, which costs most.
    """
    found = _calibrated(_with_edges(found, enters))
    blue = blue_of(counts)
    look = _look(
        bench,
        found,
        green=counts[:, GREEN],
        all_green=green_of(counts),
        blue=blue,
        asked=bench.asked[phase],
        seconds=seconds,
        enters=enters,
    )
    tally = Tally(
        bad=found.tally.bad + look.bad,
        trials=found.tally.trials + look.trials,
        more=found.tally.more + look.bad * (1 - look.chance),
        fewer=found.tally.fewer + (look.trials - look.bad) * look.chance,
    )
    return replace(
        found,
        weighed=judge.weigh(found.weighed, found.state, look) if weighs else found.weighed,
        state=judge.hear(bench.case.design, found.state, look),
        tally=tally,
        heard_s=found.heard_s + seconds,
        blue=found.blue + blue,
    )


def wait(found: Judgements, counts: Integers) -> Judgements:
    """As `judgement.waited`: green warms up."""
    return replace(found, blue=found.blue + blue_of(counts))


def _calibrated(found: Judgements) -> Judgements:
    if found.is_calibrated.all():
        return found
    known = found.is_calibrated[:, None]
    spread = each(
        lambda old, new: np.where(known, old, new), found.state.spread, judge.calibrated(found.state.spread)
    )
    return replace(
        found, state=replace(found.state, spread=spread), is_calibrated=np.ones_like(found.is_calibrated)
    )


def _with_edges(found: Judgements, again: Booleans) -> Judgements:
    """With the edges nearest to TAILS, chosen by what blue met before this look."""
    requests = found.blue[:, REQUESTS]
    choose = (again | (found.edges[:, 0] < 0)) & (requests >= ENOUGH_TO_CHOOSE)
    if not choose.any():
        return found
    shares = found.blue[:, FIRST_EDGE:] / np.maximum(requests, 1)[:, None]
    with np.errstate(divide="ignore"):
        far = np.abs(np.log(shares[:, None, :] / np.array(TAILS)[:, None]))
    nearest = far.argmin(axis=-1)
    choose &= (shares > 0).any(axis=-1)
    return replace(found, edges=np.where(choose[:, None], nearest, found.edges))


def _look(
    bench: Bench,
    found: Judgements,
    *,
    green: Integers,
    all_green: Integers,
    blue: Integers,
    asked: Booleans,
    seconds: Floats,
    enters: Booleans,
) -> Look:
    shape = asked.shape
    bad, trials, chance, blue_bad, blue_trials = (np.zeros(shape) for _ in range(5))
    for number, one in enumerate(bench.case.asked):
        match one:
            case Asked(metric=Metric.RESTARTS):
                trials[:, number], chance[:, number] = seconds, 1 / RESTART_EVERY_S
            case Asked(bound=Bound() as bound):
                column = column_of(bench, bound)
                if column is None:
                    continue
                here = asked[:, number]
                bad[:, number], trials[:, number] = all_green[:, column] * here, all_green[:, REQUESTS] * here
                blue_bad[:, number] = blue[:, column] * here
                blue_trials[:, number] = blue[:, REQUESTS] * here
                chance[:, number] = bound.bad_share * here
            case _:
                mine, others = green[:, ERRORS], blue[:, ERRORS]
                both = (green[:, REQUESTS] > 0) & (blue[:, REQUESTS] > 0)
                if one.tail is not None:
                    edge = found.edges[:, one.tail]
                    mine, others = _slower(green, edge), _slower(blue, edge)
                    both &= edge >= 0
                requests = green[:, REQUESTS] + blue[:, REQUESTS]
                bad[:, number], trials[:, number] = mine * both, (mine + others) * both
                chance[:, number] = green[:, REQUESTS] / np.maximum(requests, 1) * both
    return Look(
        bad=bad,
        trials=trials,
        chance=chance,
        blue_bad=blue_bad,
        blue_trials=blue_trials,
        seconds=seconds,
        enters=enters,
    )


def column_of(bench: Bench, bound: Bound) -> int | None:
    """Where the bad requests of an objective are counted; None where they are not."""
    if bound.edge_ms is None:
        return ERRORS
    return FIRST_EDGE + bench.edges_ms.index(bound.edge_ms) if bound.edge_ms in bench.edges_ms else None


def surely_met(bench: Bench, phase: Phase, found: Judgements) -> Booleans:
    """As `judgement.safety`: where every counted requirement of the phase is surely met. [R]"""
    upper = judge.upper(bench.case.design, found.weighed)
    met = np.ones(len(upper), dtype=np.bool_)
    for bound in phase.requirements:
        if not bound.is_counted:
            continue
        safe = upper[:, bench.case.about(bound)] <= 1
        if bound.metric is Metric.ERRORS:
            safe |= upper[:, 0] <= SAFE_RATIO
        met &= safe & (column_of(bench, bound) is not None)
    return np.asarray(met)


def _slower(counts: Integers, edge: Integers) -> Integers:
    """How many took each row's own edge or longer. [R]"""
    return np.take_along_axis(counts[:, FIRST_EDGE:], np.maximum(edge, 0)[:, None], axis=1)[:, 0]
