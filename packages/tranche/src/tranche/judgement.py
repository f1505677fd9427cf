"""The case against green: what a plan asks the judge, what each interval says to it, and the findings in words.

Against blue only users who were split at random are compared; internal users, who were not, count against objectives
alone. Before green has users, blue is measured against itself: its control arm stands in for green.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import numpy as np

from tranche import judge
from tranche.judge import Design, Floats, Look, Question, State
from tranche.limits import Reading, bad, figure, percent
from tranche.plan import Bound, Metric, Phase, Plan, duration
from tranche.ports import Arm, Verdict
from tranche.signals import (
    BLUE_ARMS,
    GREEN_ARMS,
    NOTHING,
    Counts,
    Interval,
    counts_from_json,
    counts_json,
    pooled,
    wilson,
)

TAILS: Final = (0.15, 0.05, 0.01)
"""Latency is compared with blue's at the edges nearest these shares of blue's own requests."""

ENOUGH_TO_CHOOSE: Final = 200
"""Timed requests of blue before such edges are chosen."""

RESTART_EVERY_S: Final = 6 * 3600.0
"""A version that restarts no more often than four times a day is not suspect for that."""

SAFE_RATIO: Final = 1.5
"""Errors are safe against blue when their odds are surely no more than half as high again."""

SUSPICION: Final = 0.1
"""The part of the line from which nothing goes forward."""

SURELY: Final = 4.0
"""Standard deviations by which blue must stand beyond an objective before somebody is called: it is looked at often."""

MOST_TRACED: Final = 60
"""Points of the evidence's past that are kept; when there are more, every second one is let go."""

PATIENCE: Final = np.geomspace(1.05, 200.0, 60)
"""How many times the evidence of now is tried to tell when safety could be known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One question in this project's words. `bound`: the objective it is about; `tail`: which edge of TAILS."""

    name: str
    tolerated: float
    weight: float
    metric: Metric
    bound: Bound | None = None
    tail: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What a plan asks, and the judge's design for it. Fixed before the first look."""

    asked: tuple[Asked, ...]
    design: Design

    def about(self, bound: Bound) -> int:
        """The number of the question about this objective."""
        return next(number for number, one in enumerate(self.asked) if one.bound == bound)


def case_of(plan: Plan) -> Case:
    """Errors and slowness against blue, every counted objective of any phase, restarts.

    How the stakes are split says what a release breaks most often; what a plan does not ask leaves its part
    to the others.
    """
    objectives = dict.fromkeys(
        bound for phase in plan.phases for bound in phase.requirements if bound.is_counted
    )
    lines = [bound for bound in objectives if bound.metric is Metric.ERRORS]
    slow = [bound for bound in objectives if bound.metric is not Metric.ERRORS]
    errors, p95 = Metric.ERRORS, Metric.LATENCY_P95
    asked = [
        Asked(name="errors against blue", metric=errors, tolerated=plan.judge.tolerated_errors, weight=0.28)
    ]
    for bounds, weight in ((lines, 0.17), (slow, 0.10)):
        asked += [
            Asked(name=str(one), metric=one.metric, tolerated=1.0, weight=weight / len(bounds), bound=one)
            for one in bounds
        ]
    tolerated = plan.judge.tolerated_slow
    for tail, share in enumerate(TAILS):
        name = f"slowest {percent(share)} against blue"
        asked.append(Asked(name=name, metric=p95, tolerated=tolerated, weight=0.14, tail=tail))
    asked.append(Asked(name="restarts", metric=Metric.RESTARTS, tolerated=1.0, weight=0.03))
    return Case(asked=tuple(asked), design=_design(plan, asked))


def _design(plan: Plan, asked: Sequence[Asked]) -> Design:
    whole = sum(one.weight for one in asked)
    dwell_s = min(phase.dwell_s for phase in plan.phases[1:])
    planned_s = sum(phase.dwell_s + phase.internal_users_first_s for phase in plan.phases[1:])
    return Design(
        questions=tuple(
            Question(name=one.name, tolerated=one.tolerated, weight=one.weight / whole) for one in asked
        ),
        planned_s=max(planned_s, plan.tick_s),
        phases=sum(1 + (phase.internal_users_first_s > 0) for phase in plan.phases[1:]),
        alpha=plan.judge.false_rollback,
        beta=plan.judge.false_safety,
        # two ticks at least, also when they come a little early
        block_s=max(1.5 * plan.tick_s, min(120.0, dwell_s / 100)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What a stay has counted so far, by question [M]; `more` and `fewer` make the odds ratio, as in `judge.Spread`."""

    bad: Floats
    trials: Floats
    more: Floats
    fewer: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Everything heard so far.

    `weighed`, `tally` and `heard_s` belong to `stay`. `blue` is all that blue was seen to meet, which chooses the
    `edges` (ms) for latency. `bad_since` is when the first bad request came of those that the evidence rests on.
    `trace` holds past evidence: seconds since 1970, and what each question weighed then.
    """

    state: State
    weighed: Floats
    tally: Tally
    stay: str = ""
    heard_s: float = 0.0
    blue: Counts = NOTHING
    edges: tuple[int, ...] = ()
    is_calibrated: bool = False
    restarts: int | None = None
    bad_since: datetime | None = None
    trouble: str | None = None
    trace: tuple[tuple[float, tuple[float, ...]], ...] = ()
    trace_every_s: float = 0.0


def opened(case: Case) -> Judgement:
    """Before anything was heard."""
    return Judgement(
        state=judge.first(case.design), weighed=judge.no_weight(case.design), tally=no_tally(case)
    )


def no_tally(case: Case) -> Tally:
    return Tally(**{name: np.zeros(len(case.asked)) for name in Tally.__dataclass_fields__})


def calibrate(case: Case, found: Judgement, interval: Interval) -> Judgement:
    """Green has no users yet: blue's control arm is measured against the rest of blue."""
    control, blue = pooled([interval], (Arm.CONTROL,)), pooled([interval], (Arm.BLUE,))
    found = _with_edges(found)
    look = _look(case, found, interval, green=control, all_green=control, blue=blue, phase=None, restarts=0)
    spread = judge.disperse(case.design, found.state.spread, look)
    return replace(found, state=replace(found.state, spread=spread), blue=found.blue + control + blue)


def hear(
    case: Case, found: Judgement, interval: Interval, *, stay: str, phase: Phase, restarts: int | None
) -> Judgement:
    """One more interval of a stay in which green has users. `restarts`: of green so far, None when unknown."""
    enters = stay != found.stay
    if enters:
        found = replace(
            _with_edges(found, anew=True),
            stay=stay,
            heard_s=0.0,
            weighed=judge.no_weight(case.design),
            tally=no_tally(case),
        )
    if not found.is_calibrated:
        spread = judge.calibrated(found.state.spread)
        found = replace(found, is_calibrated=True, state=replace(found.state, spread=spread))
    found = _with_edges(found)
    blue = pooled([interval], BLUE_ARMS)
    look = _look(
        case,
        found,
        interval,
        green=pooled([interval], (Arm.GREEN,)),
        all_green=pooled([interval], GREEN_ARMS),
        blue=blue,
        phase=phase,
        restarts=max(0, (restarts or 0) - (found.restarts or 0)),
        enters=enters,
    )
    heard = replace(
        found,
        weighed=judge.weigh(found.weighed, found.state, look),
        state=judge.hear(case.design, found.state, look),
        tally=_tallied(found.tally, look),
        heard_s=found.heard_s + max(0.0, (interval.end - interval.start).total_seconds()),
        blue=found.blue + blue,
        restarts=restarts if restarts is not None else found.restarts,
        trouble=_impossible(case, look),
    )
    return _traced(case, _since(case, heard, look, interval.end), interval.end)


def waited(found: Judgement, interval: Interval) -> Judgement:
    """Green warms up: only blue is remembered."""
    return replace(found, blue=found.blue + pooled([interval], BLUE_ARMS))


def _with_edges(found: Judgement, *, anew: bool = False) -> Judgement:
    """With the edges at which latency is compared, chosen by what blue met before this look."""
    if (found.edges and not anew) or found.blue.timed < ENOUGH_TO_CHOOSE:
        return found
    shares = {edge: (found.blue.slower(edge) or 0) / found.blue.timed for edge in found.blue.faster}
    known = {edge: share for edge, share in shares.items() if share > 0}
    if not known:
        return found
    edges = tuple(min(known, key=lambda edge: abs(np.log(known[edge] / tail))) for tail in TAILS)
    return replace(found, edges=edges)


def _look(
    case: Case,
    found: Judgement,
    interval: Interval,
    *,
    green: Counts,
    all_green: Counts,
    blue: Counts,
    phase: Phase | None,
    restarts: int,
    enters: bool = False,
) -> Look:
    """The interval as the judge takes it. Without a phase every objective is asked."""
    seconds = (interval.end - interval.start).total_seconds()
    rows: list[tuple[float, ...]] = []
    row: tuple[float, ...]
    for one in case.asked:
        match one:
            case Asked(metric=Metric.RESTARTS):
                row = (restarts, max(seconds, restarts), 1 / RESTART_EVERY_S, 0, 0)
            case Asked(bound=Bound() as bound) if phase is None or bound in phase.requirements:
                row = (
                    *(bad(bound, all_green) or (0, 0)),
                    bound.bad_share,
                    *(bad(bound, blue) or (0, 0)),
                )
            case Asked(bound=None, tail=None):
                row = _against(green.errors, green.requests, blue.errors, blue.requests)
            case Asked(bound=None, tail=int() as tail) if found.edges:
                edge = found.edges[tail]
                row = _against(green.slower(edge) or 0, green.timed, blue.slower(edge) or 0, blue.timed)
            case _:
                row = (0, 0, 0.0, 0, 0)
        rows.append(row)
    columns = np.array(rows, dtype=np.float64).T[:, None, :]
    return Look(
        bad=columns[0],
        trials=columns[1],
        chance=columns[2],
        blue_bad=columns[3],
        blue_trials=columns[4],
        seconds=np.array([seconds]),
        enters=np.array([enters]),
    )


def _against(green: int, of_green: int, blue: int, of_blue: int) -> tuple[float, float, float, float, float]:
    """Green's part of the bad, given the bad of both; nothing where one of them had no requests."""
    if of_green <= 0 or of_blue <= 0:
        return (0, 0, 0.0, 0, 0)
    return (green, green + blue, of_green / (of_green + of_blue), 0, 0)


def _tallied(tally: Tally, look: Look) -> Tally:
    fits = judge.sane(look)[0]
    more = look.bad * (1 - look.chance)
    fewer = (look.trials - look.bad) * look.chance
    return Tally(
        bad=tally.bad + np.where(fits, look.bad[0], 0.0),
        trials=tally.trials + np.where(fits, look.trials[0], 0.0),
        more=tally.more + np.where(fits, more[0], 0.0),
        fewer=tally.fewer + np.where(fits, fewer[0], 0.0),
    )


def _impossible(case: Case, look: Look) -> str | None:
    """What is wrong with the counts, in words."""
    odd = [number for number, fits in enumerate(judge.sane(look)[0]) if not fits]
    if not odd:
        return None
    bad_, trials = look.bad[0, odd[0]], look.trials[0, odd[0]]
    return (
        f"'{case.asked[odd[0]].name}' was told {bad_:g} bad of {trials:g}; look at the source of the counts"
    )


def _since(case: Case, found: Judgement, look: Look, at: datetime) -> Judgement:
    """Keep when the bad requests began that the evidence rests on; a look without any ends a faint suspicion."""
    saw_bad = bool(look.bad.any())
    if saw_bad and found.bad_since is None:
        return replace(found, bad_since=at)
    if not saw_bad and judge.evidence(case.design, found.state)[0] <= 1.0:
        return replace(found, bad_since=None)
    return found


def _traced(case: Case, found: Judgement, at: datetime) -> Judgement:
    seconds = at.timestamp()
    if found.trace and seconds - found.trace[-1][0] < found.trace_every_s:
        return found
    weighted = tuple(
        float(f"{value:.4g}") for value in _weighted(case, found)
    )  # for the eye; written at each tick
    trace, every_s = (*found.trace, (seconds, weighted)), found.trace_every_s
    if len(trace) > MOST_TRACED:
        trace, every_s = trace[::2], max(2 * every_s, 2 * (seconds - found.trace[0][0]) / MOST_TRACED)
    return replace(found, trace=trace, trace_every_s=every_s)


# Findings.


def _weighted(case: Case, found: Judgement) -> Floats:
    return np.asarray(judge.evidence_by_test(found.state)[0] * case.design.weights)


def harm(case: Case, found: Judgement) -> Reading:
    """What all questions have against green. FAIL: it is worse, and is to be taken back."""
    weighted, line = _weighted(case, found), case.design.line
    total, leading = float(weighted.sum()), int(weighted.argmax())
    told = f"evidence against green is {figure(total)} of {line:g}"
    numbers = {
        "evidence": total,
        "line": line,
        "questions": [
            {
                "name": one.name,
                "evidence": float(weighted[number]),
                "bad": float(found.tally.bad[number]),
                "trials": float(found.tally.trials[number]),
                "ratio": _ratio(found.tally, number),
                "dispersion": float(found.state.spread.dispersion[0, number]),
                "words": words(case, found, number),
            }
            for number, one in enumerate(case.asked)
        ],
    }
    verdict = Verdict.PASS
    if total >= line:
        verdict, told = Verdict.FAIL, f"{words(case, found, leading)}: {told}"
    elif found.trouble is not None:
        verdict, told = Verdict.CANNOT_TELL, found.trouble
    elif found.heard_s == 0:
        verdict, told = Verdict.NOT_YET, "the judge has heard nothing of this phase yet"
    elif total >= SUSPICION * line:
        verdict = Verdict.NOT_YET
        told = f"{words(case, found, leading)}: {told}, and nothing goes forward above {SUSPICION * line:g}"
    return Reading(name=case.asked[leading].name, verdict=verdict, reason=told, numbers=numbers)


def _ratio(tally: Tally, number: int) -> float | None:
    """Green's odds by the side of blue's or the line's; None before anything speaks for a number."""
    if tally.fewer[number] <= 0:
        return None
    return float(tally.more[number] / tally.fewer[number])


def words(case: Case, found: Judgement, number: int) -> str:
    """What one question has counted in this stay."""
    one, bad_, trials = case.asked[number], found.tally.bad[number], found.tally.trials[number]
    if one.metric is Metric.RESTARTS:
        return f"green restarted {bad_:.0f} times in {duration(round(found.heard_s))}"
    if one.bound is not None:
        if not trials:
            return f"'{one.bound}' is not asked here"
        what = "failed" if one.bound.edge_ms is None else f"took {one.bound.edge_ms} ms or longer"
        return f"{bad_:.0f} of green's {trials:.0f} requests {what} (line {percent(one.bound.bad_share)})"
    what = "errors"
    if one.tail is not None:
        if not found.edges:
            return "blue has shown no tail to compare with yet"
        what = f"requests of {found.edges[one.tail]} ms or more"
    ratio = _ratio(found.tally, number)
    times = "" if ratio is None else f", {ratio:.2g} times blue's odds"
    return f"{what}: {bad_:.0f} on green, {trials - bad_:.0f} on blue{times}"


def shared_trouble(case: Case, found: Judgement, phase: Phase) -> Reading | None:
    """An objective that green misses and blue surely misses, too: going back would not help."""
    chances = np.array([[one.bound.bad_share if one.bound else 1.0 for one in case.asked]])
    both = found.state.blue_too(chances)[0]
    for number, one in enumerate(case.asked):
        if one.bound is None or one.bound not in phase.requirements or not both[number]:
            continue
        many, requests = found.state.blue_bad[0, number], found.state.blue_trials[0, number]
        lower, _ = wilson(many, requests, SURELY)
        ratio = _ratio(found.tally, number)
        if lower > one.bound.bad_share and ratio is not None and ratio > 1:
            told = f"blue misses '{one.bound}' too, lately by {percent(many / requests)}"
            told += "; going back would not help"
            numbers = {"bad": float(many), "requests": float(requests), "lower": lower}
            return Reading(name=str(one.bound), verdict=Verdict.FAIL, reason=told, numbers=numbers)
    return None


def safety(case: Case, found: Judgement, phase: Phase) -> dict[str, Reading]:
    """For every counted objective of the phase, whether green surely meets it: PASS, or when that could be known."""
    bounds = judge.upper(case.design, found.weighed)[0]
    against_blue = float(bounds[0])
    return {
        str(bound): _safe(case, found, bound, float(bounds[case.about(bound)]), against_blue)
        for bound in phase.requirements
        if bound.is_counted
    }


def _safe(case: Case, found: Judgement, bound: Bound, ratio: float, against_blue: float) -> Reading:
    name, numbers = f"{bound}, surely", {"upper": ratio, "upper_against_blue": against_blue}
    numbers = {key: value for key, value in numbers.items() if np.isfinite(value)}
    if ratio <= 1:
        told = f"surely met: at most {percent(_share(bound, ratio))}, line {percent(bound.bad_share)}"
        return Reading(name=name, verdict=Verdict.PASS, reason=told, numbers=numbers)
    if bound.metric is Metric.ERRORS and against_blue <= SAFE_RATIO:
        told = f"surely no more than {against_blue:.2g} times the errors of blue"
        return Reading(name=name, verdict=Verdict.PASS, reason=told, numbers=numbers)
    possible = "any share" if not np.isfinite(ratio) else f"up to {percent(_share(bound, ratio))}"
    told = f"not surely met yet: {possible} is possible, line {percent(bound.bad_share)}"
    return Reading(
        name=name,
        verdict=Verdict.NOT_YET,
        reason=f"{told}; {_when(case, found, case.about(bound))}",
        numbers=numbers,
    )


def _share(bound: Bound, ratio: float) -> float:
    """The share of bad requests at these odds."""
    return bound.bad_share * ratio / (1 + bound.bad_share * (ratio - 1))


def _when(case: Case, found: Judgement, number: int) -> str:
    """When it could be known, if green goes on as in this stay."""
    if not found.tally.trials[number]:
        return "no request was heard yet"
    tried = PATIENCE[:, None, None] * found.weighed[:, number : number + 1, :]
    enough = judge.upper(case.design, tried)[:, 0] <= 1
    if not enough.any():
        return "at this rate more requests would not show it"
    wait_s = found.heard_s * (PATIENCE[enough.argmax()] - 1)
    return f"at this rate known in about {duration(max(1, round(wait_s)))}"


# As JSON.


def to_json(found: Judgement) -> dict[str, Any]:
    """What the next controller needs to go on exactly."""
    return {
        "state": judge.to_json(found.state),
        "weighed": found.weighed.tolist(),
        "tally": {name: getattr(found.tally, name).tolist() for name in Tally.__dataclass_fields__},
        "stay": found.stay,
        "heard_s": found.heard_s,
        "blue": counts_json(found.blue),
        "edges": list(found.edges),
        "is_calibrated": found.is_calibrated,
        "restarts": found.restarts,
        "bad_since": found.bad_since.isoformat() if found.bad_since else None,
        "trace": [[at, list(values)] for at, values in found.trace],
        "trace_every_s": found.trace_every_s,
    }


def from_json(case: Case, data: Mapping[str, Any]) -> Judgement:
    """What `to_json` wrote.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: it is damaged, or belongs to another plan.
    """
    empty = opened(case)
    tally = {name: np.array(data["tally"][name], dtype=np.float64) for name in Tally.__dataclass_fields__}
    weighed = np.array(data["weighed"], dtype=np.float64)
    if weighed.shape != empty.weighed.shape or any(
        part.shape != empty.tally.bad.shape for part in tally.values()
    ):
        raise ValueError(f"expected {len(case.asked)} questions, found others")
    return Judgement(
        state=judge.from_json(case.design, data["state"]),
        weighed=weighed,
        tally=Tally(**tally),
        stay=str(data["stay"]),
        heard_s=float(data["heard_s"]),
        blue=counts_from_json(data["blue"]),
        edges=tuple(int(edge) for edge in data["edges"]),
        is_calibrated=bool(data["is_calibrated"]),
        restarts=data["restarts"],
        bad_since=datetime.fromisoformat(data["bad_since"]) if data["bad_since"] else None,
        trace=tuple((float(at), tuple(float(value) for value in values)) for at, values in data["trace"]),
        trace_every_s=float(data["trace_every_s"]),
    )
