"""Runs every rule on the counts of one world, side by side, and says what came of it."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace

import numpy as np

from judging.cell import CALIBRATED_S, CELLS, EDGES_MS, GREEN_WEIGHT, STEP_S, Cell
from judging.growthbook import GrowthBook
from judging.kayenta import Kayenta
from judging.ours import Tranche
from judging.rule import OBJECTIVE_MS, Rule
from judging.thresholds import Argo, Flagger, Lines, Rehearsal, Sustained
from tranche.world import ERRORS, FIRST_EDGE, GREEN, Floats, Tally, World

OURS = "tranche"
TUNED = "argo-tuned"
RULES = (OURS, "argo", "flagger", "kayenta", "growthbook", "spec5m", TUNED)
AT_ONCE = 240
EDGE = EDGES_MS.index(OBJECTIVE_MS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What one rule did in one world. Shares are 0 to 1; None is what this world does not ask.

    `false_rollbacks`: rollouts taken back while green was no worse than blue. `detected`: taken back within 4 h of
    the defect's onset, of those that had come so far; `median_s` after the onset, None where fewer than half were.
    `failed_requests`: green requests that failed because of the defect until the rollback, or in 4 h; a mean.
    `slow_requests`: the same of requests of 300 ms or longer.
    """

    world: str
    rps: int
    base: float
    effect: str
    rule: str
    runs: int
    false_rollbacks: float | None = None
    detected: float | None = None
    median_s: float | None = None
    failed_requests: float | None = None
    slow_requests: float | None = None

    @property
    def harmed(self) -> float | None:
        """The price of the delay, in the requests that this defect harms: slow ones, or failed ones."""
        return self.slow_requests if self.effect.startswith("p95") else self.failed_requests


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The rows of one world, and where Argo's lines would have had to be (of a healthy one)."""

    rows: tuple[Row, ...]
    lines: Lines | None = None


@dataclass(slots=True, kw_only=True)
class Record:
    """When a rule took each rollout back (infinite: never), and what green's users had met by then."""

    rule: Rule
    at_s: Floats
    met: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.met = np.zeros((2, len(self.at_s)))

    @property
    def is_over(self) -> bool:
        return bool(np.isfinite(self.at_s).all())

    def observe(self, tally: Tally, met: Floats) -> None:
        waits = ~np.isfinite(self.at_s)
        self.met[:, waits] = met[:, waits]
        self.at_s[waits & self.rule.observe(tally)] = tally.end_s


def contenders(rollouts: int, before: list[Tally], lines: Lines | None) -> dict[str, Rule]:
    """Every rule, new. Without fitted lines there is no tuned Argo."""
    rules: dict[str, Rule] = {
        OURS: Tranche(rollouts=rollouts, step_s=STEP_S, edges_ms=EDGES_MS, before=before),
        "argo": Argo(rollouts=rollouts, step_s=STEP_S, edge=EDGE),
        "flagger": Flagger(rollouts=rollouts, step_s=STEP_S, edge=EDGE),
        "kayenta": Kayenta(rollouts=rollouts, step_s=STEP_S, edges_ms=EDGES_MS),
        "growthbook": GrowthBook(rollouts=rollouts, step_s=STEP_S, edge=EDGE),
        "spec5m": Sustained(rollouts=rollouts, step_s=STEP_S, edge=EDGE),
    }
    if lines is not None:
        rules[TUNED] = Argo(rollouts=rollouts, step_s=STEP_S, edge=EDGE, lines=lines)
    return rules


def luck(cell: Cell, seed: int) -> tuple[np.random.Generator, np.random.Generator]:
    """Randomness for the calibration and for the rollouts: each world's own, whichever others are run."""
    calm, ours = np.random.SeedSequence([seed, CELLS.index(cell)]).spawn(2)
    return np.random.default_rng(calm), np.random.default_rng(ours)


def calibration(cell: Cell, rollouts: int, rng: np.random.Generator) -> list[Tally]:
    """Two hours of blue against itself, in a world like this one."""
    past = World(cell.service, rollouts=rollouts, step_s=STEP_S, edges_ms=EDGES_MS, rng=rng)
    return list(past.looks(0, round(CALIBRATED_S / STEP_S)))


def run(cell: Cell, *, rollouts: int, seed: int, lines: Lines | None = None) -> Outcome:
    """Run all rules in this world."""
    calm, ours = luck(cell, seed)
    world = World(
        cell.service,
        rollouts=rollouts,
        step_s=STEP_S,
        edges_ms=EDGES_MS,
        rng=ours,
        defects=[] if cell.defect is None else [cell.defect],
        incidents=cell.incidents,
    )
    rules = contenders(rollouts, calibration(cell, rollouts, calm), lines)
    records = {name: Record(rule=rule, at_s=np.full(rollouts, np.inf)) for name, rule in rules.items()}
    rehearsal = Rehearsal(rollouts=rollouts, step_s=STEP_S, edge=EDGE)
    watch(world, cell, [*records.values()], rehearsal if cell.is_healthy else None)
    rows = [row_of(cell, name, record) for name, record in records.items()]
    if not cell.is_healthy:
        return Outcome(rows=tuple(rows))
    fitted = rehearsal.lines()
    return Outcome(rows=(*rows, tuned_row(cell, rehearsal, fitted, rollouts)), lines=fitted)


def watch(world: World, cell: Cell, records: list[Record], rehearsal: Rehearsal | None) -> None:
    """Let every rule see every look, until all have taken everything back or the time is over.

    What green's users met is counted from the onset.
    """
    met = np.zeros((2, world.rollouts))
    bad = [ERRORS, FIRST_EDGE + EDGE]
    left = round(cell.length_s / STEP_S)
    while left > 0 and (rehearsal is not None or not all(record.is_over for record in records)):
        for tally in world.looks(GREEN_WEIGHT, min(left, AT_ONCE)):
            if tally.end_s > cell.onset_s:
                met += tally.counts[GREEN][bad]
            for record in records:
                if not record.is_over:
                    record.observe(tally, met)
            if rehearsal is not None:
                rehearsal.observe(tally)
        left -= AT_ONCE


def row_of(cell: Cell, name: str, record: Record) -> Row:
    """What the record says, in the terms of this world."""
    row = Row(
        world=cell.world, rps=cell.rps, base=cell.base, effect=cell.effect, rule=name, runs=len(record.at_s)
    )
    too_early = record.at_s <= cell.onset_s
    if cell.defect is None:
        return replace(row, false_rollbacks=float(np.isfinite(record.at_s).mean()))
    if cell.onset_s:
        row = replace(row, false_rollbacks=float(too_early.mean()))
    delays = record.at_s[~too_early] - cell.onset_s
    if not len(delays):
        return row
    median = float(np.median(delays))
    failed, slow = record.met[:, ~too_early].mean(axis=1)
    return replace(
        row,
        detected=float(np.isfinite(delays).mean()),
        median_s=median if np.isfinite(median) else None,
        failed_requests=float(failed) * cell.due_errors,
        slow_requests=float(slow) * cell.due_slow,
    )


def tuned_row(cell: Cell, rehearsal: Rehearsal, lines: Lines, rollouts: int) -> Row:
    """How many of these very rollouts the fitted lines take back."""
    return Row(
        world=cell.world,
        rps=cell.rps,
        base=cell.base,
        effect=cell.effect,
        rule=TUNED,
        runs=rollouts,
        false_rollbacks=float(rehearsal.crossed(lines).mean()),
    )


def as_json(rows: Iterable[Row]) -> list[Mapping[str, object]]:
    return [asdict(row) for row in rows]
