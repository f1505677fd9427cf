"""What one phase of a plan can see: how small a fault the judge finds in its dwell, and when it calls a good one safe.

Many rows of one phase are judged side by side, each with a fault of its own that begins with the phase. The traffic is
the mean of the day. What the judge has against green from earlier phases counts as nothing, and what it has staged of
its stake there as spent: so a phase is at least as sharp-eyed as is said here.
"""

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Final

import numpy as np

from tranche import judge, judgements
from tranche.judge import AT_PHASES, AT_START, OVER_TIME
from tranche.judgement import case_of
from tranche.judgements import Bench, Judgements, bench_of
from tranche.plan import Bound, Metric, Phase, Plan
from tranche.service import Defect, Service
from tranche.world import GREEN, Floats, Integers, World

SURE: Final = 0.9
"""The power that *can see* means, and the share of good rollouts that must be on time."""

ROWS: Final = 60
"""Rollouts with each fault: a power of 90 % is known to about 8 points."""

FIRST_LOOKS: Final = 60
"""How often is looked a tick apart, for what is found at once; after that LOOKS times in the rest of the dwell."""

LOOKS: Final = 180

CALM_LOOKS: Final = 48
ERRORS_TRIED: Final = np.geomspace(0.02, 20, 13)
"""Added errors, as multiples of the objective."""

SLOWER_TRIED: Final = 1 + np.geomspace(0.02, 2.0, 9)
"""Factors on latency."""

WORSE: Final = 2.0
"""A promise is kept where a release is found that has this many times the bad share an objective allows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One phase of a plan (its number, 1 and up), before one service, whose day and lost looks do not count here."""

    plan: Plan
    number: int
    service: Service
    edges_ms: tuple[int, ...]
    seed: int

    @property
    def phase(self) -> Phase:
        return self.plan.phases[self.number]

    @property
    def bench(self) -> Bench:
        return bench_of(self.plan, case_of(self.plan), self.edges_ms)

    def luck(self, what: int) -> np.random.Generator:
        """Randomness of its own for each thing that is asked."""
        return np.random.default_rng([self.seed, self.number, what])


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What became of releases with WORSE times the bad share that a requirement allows.

    `found` of them (0 to 1) within the dwell; `median_s` and `bad` (requests, mean) until then, for those that were;
    infinite and NaN where fewer than half were found.
    """

    bound: Bound
    found: float
    median_s: float
    bad: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Promised:
    """Whether a phase can judge what it promises. `requests`: of green in the dwell. `safe`: the share of good releases
    (0 to 1) of which everything the phase requires is shown when the dwell is over.
    """

    phase: Phase
    requests: float
    safe: float
    promises: tuple[Promise, ...]

    @property
    def is_kept(self) -> bool:
        enough = self.requests >= self.phase.minimum_requests
        return enough and self.safe >= SURE and all(promise.found >= SURE for promise in self.promises)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """The smallest faults that are found in nine of ten releases; None where none that was tried is."""

    errors_added: float | None
    latency_factor: float | None


def view_of(plan: Plan, number: int, service: Service, edges_ms: Sequence[int], *, seed: int) -> View:
    steady = replace(service, daily_swing=0.0, lost_scrape_share=0.0)
    return View(plan=plan, number=number, service=steady, edges_ms=tuple(edges_ms), seed=seed)


def promised(view: View) -> Promised:
    """What becomes of good releases in this phase, and of those it is to find."""
    phase, wanted = view.phase, promises(view.phase, view.service)
    found_s, bad = _watched(view, [defect for _, defect in wanted], view.luck(0))
    return Promised(
        phase=phase,
        requests=view.service.requests_per_s * phase.dwell_s * phase.weight_percent / 100,
        safe=_safe(view, view.luck(1)),
        promises=tuple(
            _promise(bound, found_s[row], bad[row][:, _column(view, bound)])
            for row, (bound, _) in enumerate(wanted)
        ),
    )


def _column(view: View, bound: Bound) -> int:
    """Where `_watched` counts what is bad by this bound."""
    return 0 if bound.edge_ms is None else 1 + view.edges_ms.index(bound.edge_ms)


def _promise(bound: Bound, found_s: Floats, bad: Floats) -> Promise:
    was_found, median_s = np.isfinite(found_s), float(np.median(found_s))
    return Promise(
        bound=bound,
        found=float(was_found.mean()),
        median_s=median_s,
        bad=float(bad[was_found].mean()) if np.isfinite(median_s) else math.nan,
    )


def sight(view: View) -> Sight:
    """How small a fault this phase finds in its dwell."""
    bounds = [bound for phase in view.plan.phases for bound in phase.requirements]
    line = min((bound.bad_share for bound in bounds if bound.metric is Metric.ERRORS), default=0.01)
    added = np.minimum(line * ERRORS_TRIED, 1.0)
    faults = [Defect(errors_added=float(size)) for size in added]
    faults += [Defect(latency_factor=float(size)) for size in SLOWER_TRIED]
    found_s, _ = _watched(view, faults, view.luck(2))
    power = np.isfinite(found_s).mean(axis=1)
    slower = smallest(SLOWER_TRIED - 1, power[len(added) :])
    return Sight(
        errors_added=smallest(added, power[: len(added)]),
        latency_factor=None if slower is None else 1 + slower,
    )


def promises(phase: Phase, service: Service) -> list[tuple[Bound, Defect]]:
    """For every counted requirement that the service meets, the release that the phase is to find."""
    found = []
    for bound in phase.requirements:
        if not bound.is_counted or share_of(bound, service) >= bound.bad_share:
            continue
        wanted = min(WORSE * bound.bad_share, 1.0)
        if bound.edge_ms is None:
            found.append((bound, Defect(errors_added=wanted - service.base_error_share)))
        else:
            deviation = NormalDist().inv_cdf(1 - wanted)
            factor = bound.edge_ms / (service.median_ms * math.exp(service.latency_sd * deviation))
            found.append((bound, Defect(latency_factor=factor)))
    return found


def share_of(bound: Bound, service: Service) -> float:
    """How large a share of a good release's requests is bad by this bound, noise apart."""
    if bound.edge_ms is None:
        return service.base_error_share
    return 1 - NormalDist().cdf(math.log(bound.edge_ms / service.median_ms) / service.latency_sd)


def smallest(sizes: Floats, power: Floats) -> float | None:
    """The size at which the power reaches SURE and keeps it, between two tried ones by their logarithm."""
    enough = np.flatnonzero(power < SURE)
    first = int(enough[-1]) + 1 if len(enough) else 0
    if first == len(sizes):
        return None
    if first == 0:
        return float(sizes[0])
    low, high = power[first - 1], power[first]
    part = (SURE - low) / (high - low)
    return float(sizes[first - 1] * (sizes[first] / sizes[first - 1]) ** part)


def _watched(view: View, faults: Sequence[Defect], rng: np.random.Generator) -> tuple[Floats, Floats]:
    """When each fault was found in each of its rows [fault, ROWS], infinite where it was not; and green's errors and
    requests at or above each edge until then [fault, ROWS, 1 + K].
    """
    rows, design = len(faults) * ROWS, view.bench.case.design
    own = [fault for fault in faults for _ in range(ROWS)]
    found_s, bad = np.full(rows, np.inf), np.zeros((rows, 1 + len(view.edges_ms)))
    for look, found in _judged(view, rows, rng, own, weighs=False) if faults else ():
        waits = ~np.isfinite(found_s)
        bad[waits] += look.counts[waits, GREEN, 1:]
        found_s[waits & (judge.evidence(design, found.state) >= design.line)] = look.end_s
    return found_s.reshape(-1, ROWS), bad.reshape(-1, ROWS, bad.shape[1])


def _safe(view: View, rng: np.random.Generator) -> float:
    """The share of good releases of which everything is shown when the dwell is over."""
    (_, found), *_ = deque(_judged(view, 2 * ROWS, rng, (), weighs=True), maxlen=1)
    return float(judgements.surely_met(view.bench, view.phase, found).mean())


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """`counts` are [R, arm, count]; `end_s` since the phase began."""

    end_s: float
    lasted_s: float
    counts: Integers


def _judged(
    view: View, rows: int, rng: np.random.Generator, own: Sequence[Defect], *, weighs: bool
) -> Iterator[tuple[Look, Judgements]]:
    """The dwell, look by look, and what the judge makes of it."""
    bench = view.bench
    found = _calm(view, bench, rows, rng)
    for look in _looks(view, rows, rng, own):
        found = judgements.hear(
            bench,
            found,
            look.counts,
            np.full(rows, look.lasted_s),
            phase=np.full(rows, view.number),
            enters=np.full(rows, look.end_s == look.lasted_s),
            weighs=weighs,
        )
        yield look, found


def _looks(view: View, rows: int, rng: np.random.Generator, own: Sequence[Defect]) -> Iterator[Look]:
    """A tick apart at first, then as often as pays."""
    tick_s, dwell_s = view.plan.tick_s, view.phase.dwell_s
    first_s, passed_s = min(FIRST_LOOKS * tick_s, dwell_s), 0.0
    for lasts_s, step_s in ((first_s, tick_s), (dwell_s - first_s, max(tick_s, dwell_s / LOOKS))):
        world = World(
            view.service, rollouts=rows, step_s=step_s, edges_ms=view.edges_ms, rng=rng, own_defects=own
        )
        for _ in range(int(lasts_s / step_s + 1e-9)):
            passed_s += step_s
            counts = world.look(view.phase.green_weight).counts.transpose(2, 0, 1)
            yield Look(end_s=passed_s, lasted_s=step_s, counts=counts)


def _calm(view: View, bench: Bench, rows: int, rng: np.random.Generator) -> Judgements:
    """After staging, and with that part of the stake spent which earlier phases have placed."""
    found, staging_s = judgements.opened(bench, rows), view.plan.phases[0].dwell_s
    step_s = max(staging_s / CALM_LOOKS, view.plan.tick_s)
    world = World(view.service, rollouts=rows, step_s=step_s, edges_ms=view.edges_ms, rng=rng)
    for tally in world.looks(0, int(staging_s / step_s + 1e-9)):
        found = judgements.calibrate(bench, found, tally.counts.transpose(2, 0, 1), np.full(rows, step_s))
    placed = np.full(rows, _placed(view, bench.case.design))
    return replace(found, state=replace(found.state, placed=placed))


def _placed(view: View, design: judge.Design) -> float:
    """What the stays before this one have staked."""
    stays = [
        length_s
        for phase in view.plan.phases[1 : view.number]
        for length_s in (phase.internal_users_first_s, phase.dwell_s)
    ]
    stays = [length_s for length_s in (*stays, view.phase.internal_users_first_s) if length_s]
    if not stays:
        return 0.0
    over_time = OVER_TIME * sum(stays) / design.planned_s
    return min(1.0, AT_START + AT_PHASES * len(stays) / design.phases + over_time)
