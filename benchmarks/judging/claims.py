"""What the judge has to show here, and whether it did: read off the rows, never assumed."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from judging.cell import BASES, HEALTHY, INCIDENT, LATE, NOISES, RATES
from judging.contest import OURS, Row
from tranche import judge
from tranche.signals import wilson

FALSE_BOUND: Final = {"plain": 0.01, "bursty": 0.02}
TICK_LINE_MS: Final = 1.0


class Answer(StrEnum):
    """A claim about worlds that were not run is not met."""

    MET = "met"
    MISSED = "missed"
    NOT_RUN = "not run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What was claimed, what was found, and the answer."""

    claim: str
    found: str
    answer: Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Median:
    """A median delay that our rule is to keep in a plain world of base 0.1 %."""

    rps: int
    effect: str
    at_most_s: int


MEDIANS: Final = (
    Median(rps=50, effect="+1pt", at_most_s=180),
    Median(rps=50, effect="x5", at_most_s=720),
    Median(rps=500, effect="+1pt", at_most_s=60),
    Median(rps=5, effect="p95+50%", at_most_s=240),
    Median(rps=50, effect="p95+50%", at_most_s=60),
)


def claims(rows: Iterable[Row]) -> list[Claim]:
    """All of them."""
    known = list(rows)
    return [
        *(false_rollbacks(known, world) for world in NOISES),
        *(median_delay(known, wanted) for wanted in MEDIANS),
        fewest_failed(known),
        nowhere_beaten(known),
        *(found_late(known, world) for world in NOISES),
        *(shared_incident(known, world) for world in NOISES),
        quick_tick(milliseconds_of_a_tick()),
    ]


def false_rollbacks(rows: Sequence[Row], world: str) -> Claim:
    """Healthy releases taken back in 48 h: the worst world counts, with the pooled share and its 98 % interval."""
    bound = FALSE_BOUND[world]
    claim = f"{world}: at most {bound:.0%} of healthy releases rolled back in 48 h, in every world"
    found = [row for row in rows if row.rule == OURS and row.world == world and row.effect == HEALTHY]
    if len(found) < len(RATES) * len(BASES):
        return Claim(claim=claim, found=f"{len(found)} of 6 worlds", answer=Answer.NOT_RUN)
    shares = [(row.false_rollbacks or 0.0, row) for row in found]
    worst, where = max(shares, key=lambda pair: pair[0])
    many = round(sum(share * row.runs for share, row in shares))
    runs = sum(row.runs for row in found)
    low, high = wilson(many, runs)
    told = f"worst {worst:.1%} ({where.rps}/s, {where.base:.1%}); {many} of {runs} in all, {low:.2%} to {high:.2%}"
    return Claim(claim=claim, found=told, answer=_answer(worst <= bound))


def median_delay(rows: Sequence[Row], wanted: Median) -> Claim:
    claim = f"plain, {wanted.rps}/s, 0.1 %, {wanted.effect}: found within {wanted.at_most_s} s (median)"
    row = _row(rows, "plain", wanted.rps, wanted.effect)
    if row is None:
        return Claim(claim=claim, found="", answer=Answer.NOT_RUN)
    if row.median_s is None:
        return Claim(claim=claim, found="fewer than half were found", answer=Answer.MISSED)
    return Claim(claim=claim, found=f"{row.median_s:.0f} s", answer=_answer(row.median_s <= wanted.at_most_s))


def fewest_failed(rows: Sequence[Row]) -> Claim:
    """Against every rule that takes back as few healthy releases in the same world."""
    claim = (
        "plain, 500/s, 0.1 %, +1pt: fewer failed requests than every rule within the same false-alarm bound"
    )
    here = {row.rule: row for row in rows if _is_at(row, "plain", 500, "+1pt")}
    healthy = {row.rule: row.false_rollbacks for row in rows if _is_at(row, "plain", 500, HEALTHY)}
    if OURS not in here or OURS not in healthy:
        return Claim(claim=claim, found="", answer=Answer.NOT_RUN)
    rivals = {
        rule: row.failed_requests
        for rule, row in here.items()
        if rule != OURS
        and row.failed_requests is not None
        and (healthy.get(rule) or 0) <= FALSE_BOUND["plain"]
    }
    ours = here[OURS].failed_requests
    if ours is None or not rivals:
        return Claim(claim=claim, found="nobody to compare with", answer=Answer.NOT_RUN)
    best = min(rivals, key=lambda rule: rivals[rule])
    told = f"{ours:.0f}; next is {best} with {rivals[best]:.0f}"
    return Claim(claim=claim, found=told, answer=_answer(ours < rivals[best]))


def nowhere_beaten(rows: Sequence[Row]) -> Claim:
    """Not asked for: whether a rule within the bound harms fewer users in any bad world, and where."""
    claim = "in every bad world fewer requests harmed than by any rule within that world's false-alarm bound"
    healthy = {
        (row.world, row.rps, row.base, row.rule): row.false_rollbacks for row in rows if row.effect == HEALTHY
    }
    ours = {place(row): row for row in rows if row.rule == OURS and row.harmed is not None}
    compared, lost = 0, []
    for row in rows:
        bound = FALSE_BOUND[row.world]
        false = healthy.get((row.world, row.rps, row.base, row.rule))
        mine = ours.get(place(row))
        if row.rule == OURS or row.harmed is None or mine is None or false is None or false > bound:
            continue
        compared += 1
        if (mine.harmed or 0.0) >= row.harmed:
            lost.append(f"{row.world} {row.rps}/s {row.base:.1%} {row.effect} to {row.rule}")
    if not compared:
        return Claim(claim=claim, found="nobody to compare with", answer=Answer.NOT_RUN)
    told = "; ".join(lost) or f"in all of {compared} comparisons"
    return Claim(claim=claim, found=told, answer=_answer(not lost))


def place(row: Row) -> tuple[str, int, float, str]:
    return row.world, row.rps, row.base, row.effect


def found_late(rows: Sequence[Row], world: str) -> Claim:
    claim = f"{world}: a defect that starts after 24 h is found"
    late = [_row(rows, world, 50, f"{effect}@24h") for effect in LATE]
    found = [row for row in late if row is not None]
    if len(found) < len(LATE):
        return Claim(claim=claim, found="", answer=Answer.NOT_RUN)
    told = ", ".join(f"{row.effect} {row.detected or 0:.0%} ({_seconds(row.median_s)})" for row in found)
    return Claim(claim=claim, found=told, answer=_answer(all((row.detected or 0) >= 0.9 for row in found)))


def shared_incident(rows: Sequence[Row], world: str) -> Claim:
    claim = f"{world}: an incident that hits both versions rolls nothing back"
    row = _row(rows, world, 50, INCIDENT)
    if row is None or row.false_rollbacks is None:
        return Claim(claim=claim, found="", answer=Answer.NOT_RUN)
    told = f"{row.false_rollbacks:.1%} of {row.runs}"
    return Claim(claim=claim, found=told, answer=_answer(row.false_rollbacks == 0))


def quick_tick(found_ms: float) -> Claim:
    claim = f"one tick with ten metrics takes less than {TICK_LINE_MS:g} ms"
    return Claim(claim=claim, found=f"{found_ms:.2f} ms", answer=_answer(found_ms < TICK_LINE_MS))


def milliseconds_of_a_tick(times: int = 300, clock: Callable[[], float] = time.perf_counter) -> float:
    """The median time to hear one look of one rollout with ten tests, weigh it, and read the evidence."""
    shape = (1, 10)
    design = judge.Design(
        questions=tuple(judge.Question(name=str(n), tolerated=1.2, weight=0.1) for n in range(10)),
        planned_s=172_800.0,
        phases=4,
    )
    look = judge.Look(
        bad=np.full(shape, 1.0),
        trials=np.full(shape, 9.0),
        chance=np.full(shape, 0.1),
        blue_bad=np.zeros(shape),
        blue_trials=np.zeros(shape),
        seconds=np.full(1, 15.0),
        enters=np.zeros(1, dtype=np.bool_),
    )
    state, weighed = judge.first(design), judge.no_weight(design)
    spent = []
    for _ in range(times):
        begun = clock()
        weighed = judge.weigh(weighed, state, look)
        state = judge.hear(design, state, look)
        judge.evidence(design, state)
        judge.upper(design, weighed)
        spent.append(clock() - begun)
    return float(1000 * np.median(spent))


def _answer(is_met: bool) -> Answer:
    return Answer.MET if is_met else Answer.MISSED


def _is_at(row: Row, world: str, rps: int, effect: str) -> bool:
    return (row.world, row.rps, row.base, row.effect) == (world, rps, BASES[0], effect)


def _row(rows: Sequence[Row], world: str, rps: int, effect: str) -> Row | None:
    return next((row for row in rows if row.rule == OURS and _is_at(row, world, rps, effect)), None)


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} s"
