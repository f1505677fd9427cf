"""What to expect of a plan, for a service such as this: good releases, a bad one, and what each phase can see.

`simulate.py` takes whole rollouts through the plan, `sight.py` looks at single phases; here both are counted and told.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from tranche.limits import percent
from tranche.plan import Bound, Phase, Plan, duration
from tranche.service import Defect, Incident, Service
from tranche.sight import SURE, WORSE, Promised, Sight, View, promised, share_of, sight, view_of
from tranche.signals import wilson
from tranche.simulate import simulate
from tranche.trial import Run, Trial, left_out, planned_s, tried

LONGER: Final = (1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0)
"""How many times the dwell is tried, where a phase cannot keep what it promises."""

HEAVIER: Final = (5.0, 10.0, 20.0, 30.0, 50.0, 75.0, 100.0)
"""Weights that are tried then, in percent."""

CURVE_POINTS: Final = 200

Advanced = Callable[[str, float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked: this plan, against this service, so many times."""

    plan: Plan
    service: Service
    edges_ms: tuple[int, ...]
    runs: int
    seed: int
    fault: str | None = None
    defect: Defect | None = None
    incidents: tuple[Incident, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Endings:
    """Of good releases, how many of `runs` completed, were rolled back, or still waited. `median_s` of the whole."""

    runs: int
    completed: int
    rolled_back: int
    waiting: int
    median_s: float

    @property
    def false_rollback_upper(self) -> float:
        """What the probability of a false rollback surely is not above (99 %)."""
        return wilson(self.rolled_back, self.runs)[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What to expect of one phase. Shares are 0 to 1, of the good releases that came so far.

    `on_time`: went on when the dwell was over; `waited_s`: how long the others waited, a median. `advice` says
    what would let the phase judge what it promises; None where it can.
    """

    promised: Promised
    sight: Sight
    on_time: float
    waited_s: float
    rolled_back: float
    advice: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What became of releases with the defect. Shares are of `runs`; `before` were rolled back before it began.

    `median_s`: from the onset, or green's first users where they came later, to the rollback. `weight_percent`: the
    largest share of users on green until then, a mean. `failed` and `slow`: green's requests that failed, or took as
    long as the strictest latency objective (`slow_ms`) forbids, because of the defect; means over all runs, and None
    where the defect makes none, or no objective counts them.
    """

    fault: str
    runs: int
    rolled_back: float
    before: float
    completed: float
    median_s: float
    weight_percent: float
    failed: float | None
    slow: float | None
    slow_ms: int | None
    causes: Mapping[str, float]
    phases: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Everything there is to tell."""

    question: Question
    every_s: float
    left_out: tuple[str, ...]
    good: Endings
    outlooks: tuple[Outlook, ...]
    found: Found | None
    curves: Mapping[str, tuple[tuple[float, float], ...]]

    @property
    def unkept(self) -> list[str]:
        """What the phases cannot judge, and what would help."""
        return [outlook.advice for outlook in self.outlooks if outlook.advice]


def forecast(question: Question, advanced: Advanced = lambda _, __: None) -> Forecast:
    """Try it out. `advanced` is told what is under way, and how far it is (0 to 1)."""
    plan = tried(question.plan)
    trial = Trial(
        plan=plan,
        service=question.service,
        edges_ms=question.edges_ms,
        runs=question.runs,
        seed=question.seed,
        incidents=question.incidents,
    )
    runs = simulate(trial, lambda part: advanced("good releases", part))
    curves = {"good releases rolled back (%)": curve(runs, plan, "rolled back")}
    curves["good releases completed (%)"] = curve(runs, plan, "completed")
    curves["users on a good release (%, median)"] = weights(runs, plan)
    found = None
    if question.defect is not None:
        ill = replace(trial, defects=(question.defect,), seed=question.seed + 1)
        bad_runs = simulate(ill, lambda part: advanced(f"releases with {question.fault}", part))
        found = found_of(question, plan, bad_runs)
        curves[f"releases with {question.fault} rolled back (%)"] = curve(bad_runs, plan, "rolled back")
    outlooks = []
    for number, phase in enumerate(plan.phases[1:], start=1):
        advanced("what phases can see", (number - 1) / plan.last)
        view = view_of(plan, number, question.service, question.edges_ms, seed=question.seed)
        outlooks.append(outlook(runs, view))
        advanced(f"what {phase.name} can see", number / plan.last)
    return Forecast(
        question=question,
        every_s=plan.tick_s,
        left_out=tuple(left_out(question.plan)),
        good=endings(runs),
        outlooks=tuple(outlooks),
        found=found,
        curves=curves,
    )


def endings(runs: Sequence[Run]) -> Endings:
    count = Counter(run.ending for run in runs)
    return Endings(
        runs=len(runs),
        completed=count["completed"],
        rolled_back=count["rolled back"],
        waiting=count["waiting"],
        median_s=float(np.median([run.ended_s for run in runs])),
    )


def outlook(runs: Sequence[Run], view: View) -> Outlook:
    kept, number, dwell_s = promised(view), view.number, view.phase.dwell_s
    came = [run for run in runs if any(visit.phase == number for visit in run.visits)]
    gone = sum(run.phase == number and run.ending == "rolled back" for run in came)
    waited_s = [
        sum(
            visit.left_s - visit.entered_s
            for visit in run.visits
            if visit.phase == number and not visit.internal_only
        )
        - dwell_s
        for run in came
    ]
    late = [waits_s for waits_s in waited_s if waits_s > 0.05 * dwell_s]
    many = max(len(came), 1)
    return Outlook(
        promised=kept,
        sight=sight(view),
        on_time=(len(came) - len(late) - gone) / many,
        waited_s=float(np.median(late)) if late else 0.0,
        rolled_back=gone / many,
        advice=None if kept.is_kept else _advice(view, kept),
    )


def _advice(view: View, kept: Promised) -> str:
    """Why a phase cannot judge what it promises, and the least weight or dwell tried that lets it."""
    phase, service = kept.phase, view.service
    hopeless = [bound for bound in phase.requirements if share_of(bound, service) >= bound.bad_share]
    where = f"{phase.name} at {phase.weight_percent:g} % for {span(phase.dwell_s)}"
    if hopeless:
        share = percent(share_of(hopeless[0], service))
        itself = f"the service itself has {share} where '{hopeless[0]}' is asked"
        return f"{where}: {itself}; no weight or dwell would show that"
    weights = [weight for weight in HEAVIER if weight > phase.weight_percent]
    heavier = [(f"a weight of {weight:g} %", replace(phase, weight_percent=weight)) for weight in weights]
    dwells_s = [factor * phase.dwell_s for factor in LONGER]
    longer = [(f"a dwell of {span(dwell_s)}", replace(phase, dwell_s=dwell_s)) for dwell_s in dwells_s]
    known = [told for told in (_first_kept(view, heavier), _first_kept(view, longer)) if told]
    would = " or ".join(known) if known else "no weight or dwell that was tried"
    return f"{where}: {'; '.join(_reasons(kept))}; {would} would do"


def _reasons(kept: Promised) -> list[str]:
    told, least = [], kept.phase.minimum_requests
    if kept.requests < least:
        told.append(f"about {kept.requests:,.0f} requests come, and it wants {least:,}")
    if kept.safe < SURE:
        told.append(f"of good releases {kept.safe:.0%} have shown what is required when the dwell is over")
    told += [
        f"of releases with {percent(WORSE * promise.bound.bad_share)} where '{promise.bound}' is asked, "
        f"{promise.found:.0%} are found"
        for promise in kept.promises
        if promise.found < SURE
    ]
    return told


def _first_kept(view: View, changes: Sequence[tuple[str, Phase]]) -> str | None:
    before, after = view.plan.phases[: view.number], view.plan.phases[view.number + 1 :]
    for told, phase in changes:
        changed = replace(view, plan=replace(view.plan, phases=(*before, phase, *after)))
        if promised(changed).is_kept:
            return told
    return None


def span(seconds: float) -> str:
    """`9d 14h`; under two days as in plans."""
    whole, rest = divmod(round(seconds), 86_400)
    if whole < 2:
        return duration(round(seconds))
    return f"{whole}d {round(rest / 3600)}h" if rest >= 1800 else f"{whole}d"


def found_of(question: Question, plan: Plan, runs: Sequence[Run]) -> Found:
    """What became of releases with the question's defect."""
    defect = question.defect or Defect()
    gone = [run for run in runs if run.ending == "rolled back"]
    since = {id(run): max(defect.onset_s, _first_users_s(run)) for run in gone}
    after = [run for run in gone if run.ended_s > since[id(run)]]
    objectives = [bound for phase in plan.phases for bound in phase.requirements if bound.edge_ms is not None]
    slow_bound = min(objectives, key=lambda bound: bound.edge_ms or 0, default=None)
    names = [phase.name for phase in plan.phases]
    return Found(
        fault=question.fault or "",
        runs=len(runs),
        rolled_back=len(after) / len(runs),
        before=(len(gone) - len(after)) / len(runs),
        completed=sum(run.ending == "completed" for run in runs) / len(runs),
        median_s=float(np.median([run.ended_s - since[id(run)] for run in after])) if after else math.inf,
        weight_percent=float(np.mean([_largest_weight(run, plan) for run in after])) if after else 0.0,
        failed=_due(runs, lambda run: run.ill.errors, question.service.base_error_share)
        if defect.errors_factor > 1 or defect.errors_added > 0
        else None,
        slow=_slow(runs, slow_bound, question.service)
        if slow_bound is not None and defect.latency_factor > 1
        else None,
        slow_ms=slow_bound.edge_ms if slow_bound else None,
        causes=_shares([run.why for run in after]),
        phases=_shares([names[run.phase] for run in after]),
    )


def _first_users_s(run: Run) -> float:
    return next((visit.entered_s for visit in run.visits if visit.phase > 0), math.inf)


def _largest_weight(run: Run, plan: Plan) -> float:
    weights = [
        0.0 if visit.internal_only else plan.phases[visit.phase].weight_percent for visit in run.visits
    ]
    return max(weights)


def _slow(runs: Sequence[Run], bound: Bound, service: Service) -> float:
    return _due(runs, lambda run: run.ill.slower(bound.edge_ms or 0) or 0, share_of(bound, service))


def _due(runs: Sequence[Run], bad: Callable[[Run], int], share: float) -> float:
    """How many more bad requests than a good release would have met, a mean."""
    return max(0.0, float(np.mean([bad(run) - share * run.ill.requests for run in runs])))


def _shares(words: Sequence[str]) -> dict[str, float]:
    return {word: many / len(words) for word, many in Counter(words).most_common()}


# Curves.


def _moments(runs: Sequence[Run], plan: Plan) -> list[float]:
    last = max(planned_s(plan), *(run.ended_s for run in runs))
    return [float(at) for at in np.linspace(0, last, CURVE_POINTS)]


def curve(runs: Sequence[Run], plan: Plan, ending: str) -> tuple[tuple[float, float], ...]:
    """How many percent of the runs have so ended, by the hours since staging began."""
    ends = [run.ended_s for run in runs if run.ending == ending]
    return tuple((at / 3600, 100 * sum(end <= at for end in ends) / len(runs)) for at in _moments(runs, plan))


def weights(runs: Sequence[Run], plan: Plan) -> tuple[tuple[float, float], ...]:
    """How many percent of the users are on green in the middle one of the runs."""
    return tuple(
        (at / 3600, float(np.median([_weight_at(run, plan, at) for run in runs])))
        for at in _moments(runs, plan)
    )


def _weight_at(run: Run, plan: Plan, at_s: float) -> float:
    if run.ending == "rolled back" and at_s >= run.ended_s:
        return 0.0
    here = [visit for visit in run.visits if visit.entered_s <= at_s]
    return 0.0 if here[-1].internal_only else plan.phases[here[-1].phase].weight_percent
