"""A plan, tried out: many rollouts of it on a virtual clock, against a modelled service.

Every move is made by `decide`, from the evidence that `gather` makes, and kept by the fold of its events - as a
controller does it. What is asked at every look of every rollout is only whether there could be a move: `judgements.py`
judges all rollouts at once, and `_candidates` is never stricter than `decide` (the test bed compares with a
controller that decides at every tick).

What a modelled service cannot tell is left out: gates, uptime, cache hits, and green's own health; freezes, too.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

import numpy as np

from tranche import judge, judgements
from tranche.decide import Complete, Decision, Hold, RollBack, decide
from tranche.events import Event, GreenReady, Started, WeightApplied, WeightRequested, encode
from tranche.judgement import SAFE_RATIO, SUSPICION, case_of
from tranche.judgements import Bench, Judgements, bench_of, column_of, counts_of, on_rows, rows_of
from tranche.limits import EVALUATIONS, KEPT, least_requests
from tranche.moves import events_of
from tranche.observe import Observations, gather, users_since
from tranche.plan import Limit, Metric, Phase, Plan
from tranche.ports import Arm, Colour, ColourState, Recorded, Scrape, Stage
from tranche.progress import Progress, evolve
from tranche.service import Defect, Incident, Service
from tranche.signals import NOTHING, Z_99, Counts, Interval
from tranche.world import (
    BLUE,
    CONTROL,
    ERRORS,
    GREEN,
    INTERNAL,
    REQUESTS,
    Booleans,
    Floats,
    Integers,
    World,
)

LONGEST_STEP_S: Final = 60.0
LOOKS_PER_DWELL: Final = 60
START: Final = datetime(2026, 1, 5, tzinfo=UTC)
VERSION: Final = "green"
PATIENCE: Final = 2.0
"""How many times its planned time a rollout may take before it counts as waiting."""

ARMS: Final = (Arm.GREEN, Arm.BLUE, Arm.CONTROL, Arm.INTERNAL)
"""The arms of `world.py`, in its order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What is tried: a plan without what cannot be modelled, what happens, how often, and how often is looked."""

    plan: Plan
    service: Service
    edges_ms: tuple[int, ...]
    runs: int
    seed: int
    defects: tuple[Defect, ...] = ()
    incidents: tuple[Incident, ...] = ()

    @property
    def step_s(self) -> float:
        return self.plan.tick_s

    @property
    def onset_s(self) -> float:
        """From when green is worse; infinite when it never is."""
        return min((defect.onset_s for defect in self.defects), default=np.inf)


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One stay of one rollout. Times in seconds since staging began; `green` is what green's users met in it."""

    phase: int
    internal_only: bool
    entered_s: float
    left_s: float
    green: Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How one rollout went. `ill` is what green's users met from the onset of the first defect until the end."""

    ending: Literal["completed", "rolled back", "waiting"]
    ended_s: float
    phase: int
    weight_percent: float
    why: str
    visits: tuple[Visit, ...]
    ill: Counts


def tried(plan: Plan) -> Plan:
    """The plan with what a modelled service can tell, looked at as often as pays: at least LOOKS_PER_DWELL times in its
    shortest dwell, and at least every minute; never more often than it ticks.
    """
    step_s = _step_s(plan)
    phases = tuple(
        replace(
            phase, gates=(), requirements=tuple(bound for bound in phase.requirements if bound.is_counted)
        )
        for phase in plan.phases
    )
    limits = tuple(limit for limit in plan.limits if limit not in _too_short(plan, step_s))
    stale_after_s = 0.5 * step_s
    return replace(plan, phases=phases, limits=limits, freezes=(), tick_s=step_s, stale_after_s=stale_after_s)


def _too_short(plan: Plan, step_s: float) -> list[Limit]:
    """Limits that a look every `step_s` cannot tell apart from one bad look."""
    return [
        limit for limit in plan.limits if limit.sustained_s < EVALUATIONS * step_s and step_s > plan.tick_s
    ]


def _step_s(plan: Plan) -> float:
    dwell_s = min(phase.dwell_s for phase in plan.phases[1:])
    return max(plan.tick_s, min(LONGEST_STEP_S, dwell_s / LOOKS_PER_DWELL))


def left_out(plan: Plan) -> list[str]:
    """What a trial of this plan takes as passed or never broken, in words."""
    found = [f"limit: {limit}" for limit in _too_short(plan, _step_s(plan))]
    found += [f"freeze: {freeze}" for freeze in plan.freezes]
    for phase in plan.phases:
        found += [f"{phase.name}: gate {gate.name}" for gate in phase.gates]
        found += [f"{phase.name}: {bound}" for bound in phase.requirements if not bound.is_counted]
    return found


def planned_s(plan: Plan) -> float:
    """How long a rollout takes that never waits."""
    return sum(phase.dwell_s + phase.internal_users_first_s for phase in plan.phases)


def simulate(trial: Trial, advanced: Callable[[float], None] = lambda _: None) -> list[Run]:
    """All runs, in their order. `advanced` is told how much of the planned time is over (may pass 1)."""
    fleet = Fleet(trial)
    whole_s = planned_s(trial.plan)
    while fleet.is_under_way and fleet.now_s < PATIENCE * whole_s:
        fleet.step()
        advanced(fleet.now_s / whole_s)
    return fleet.runs()


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a look told of each rollout: `seconds` [R] since the last complete one, 0 where it failed."""

    end_s: float
    seconds: Floats
    counts: Integers
    """[R, arm, count]"""
    green: Integers
    """What green's users met, internal ones too. [R, count]"""


@dataclass(slots=True, kw_only=True)
class Course:
    """One rollout as its log tells it."""

    number: int
    progress: Progress
    visits: list[Visit] = field(default_factory=list)
    decision: Decision | None = None


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


class Fleet:
    """All rollouts of a trial, side by side on one clock."""

    def __init__(self, trial: Trial) -> None:
        self.trial, self.plan = trial, trial.plan
        self.bench: Bench = bench_of(self.plan, case_of(self.plan), trial.edges_ms)
        self.world = World(
            trial.service,
            rollouts=trial.runs,
            step_s=trial.step_s,
            edges_ms=trial.edges_ms,
            rng=np.random.default_rng(trial.seed),
            defects=trial.defects,
            incidents=trial.incidents,
        )
        first = _begun(self.plan)
        self.courses = [Course(number=number, progress=first) for number in range(trial.runs)]
        self.found: Judgements = judgements.opened(self.bench, trial.runs)
        self.standing = _standing(trial.runs, arms=self.world.look_arms, edges=len(trial.edges_ms))
        self.recent: deque[Look] = deque()
        self._span_s = (
            max((limit.sustained_s for limit in self.plan.limits), default=0.0) * KEPT + trial.step_s
        )
        self._ended: dict[int, Run] = {}

    @property
    def now_s(self) -> float:
        return self.world.now_s

    @property
    def is_under_way(self) -> bool:
        return bool(self.courses)

    def runs(self) -> list[Run]:
        """What has ended, and as waiting what has not."""
        waiting = {course.number: self._run(row, "waiting") for row, course in enumerate(self.courses)}
        return [run for _, run in sorted((self._ended | waiting).items())]

    def step(self) -> None:
        """One look, judged; and a decision where there could be a move."""
        look = self._look()
        has_users = self._has_users
        self._judge(look, has_users)
        self._count(look, has_users)
        endings: dict[int, Literal["completed", "rolled back"]] = {}
        for row in np.flatnonzero(self._candidates(look, has_users)):
            decision = self._decide(int(row))
            if isinstance(decision, RollBack):
                endings[int(row)] = "rolled back"
            elif isinstance(decision, Complete):
                endings[int(row)] = "completed"
        if endings:
            self._end(endings)

    @property
    def _has_users(self) -> Booleans:
        return (self.standing.weight > 0) | self.standing.internal_to_green

    def _look(self) -> Look:
        standing = self.standing
        tally = self.world.look(standing.weight, internal_to_green=standing.internal_to_green)
        passed = standing.missed_s + self.trial.step_s
        self.standing = replace(standing, missed_s=np.where(tally.complete, 0.0, passed))
        counts = np.ascontiguousarray(tally.counts.transpose(2, 0, 1))
        seconds = np.where(tally.complete, passed, 0.0)
        return Look(end_s=tally.end_s, seconds=seconds, counts=counts, green=_green(counts))

    def _judge(self, look: Look, has_users: Booleans) -> None:
        """As `observe.judged`, for all of them."""
        standing, bench = self.standing, self.bench
        complete, start_s = look.seconds > 0, look.end_s - look.seconds
        is_warm = start_s >= standing.users_s + self.plan.warm_up_s - 1e-9
        calm, cold = complete & ~has_users, complete & has_users & ~is_warm
        hears = complete & has_users & is_warm
        counts, seconds = look.counts, look.seconds
        self.found = on_rows(
            self.found, calm, lambda part: judgements.calibrate(bench, part, counts[calm], seconds[calm])
        )
        self.found = on_rows(self.found, cold, lambda part: judgements.wait(part, counts[cold]))
        self.found = on_rows(
            self.found,
            hears,
            lambda part: judgements.hear(
                bench,
                part,
                counts[hears],
                seconds[hears],
                phase=standing.phase[hears],
                enters=standing.enters[hears],
            ),
        )
        self.standing = replace(standing, enters=standing.enters & ~hears)

    def _count(self, look: Look, has_users: Booleans) -> None:
        standing, users = self.standing, has_users[:, None]
        ill = standing.ill
        if look.end_s > self.trial.onset_s:
            ill = ill + look.green * users
        self.standing = replace(
            standing,
            watched_s=standing.watched_s + look.seconds * has_users,
            counts=standing.counts + look.counts * users[:, None],
            ill=ill,
        )
        self.recent.append(look)
        while self.recent[0].end_s <= look.end_s - self._span_s:
            self.recent.popleft()

    # Where there could be a move.

    def _candidates(self, look: Look, has_users: Booleans) -> Booleans:
        """A superset of the rollouts that `decide` would move now. [R]"""
        against = judge.evidence(self.bench.case.design, self.found.state)
        line = self.bench.case.design.line
        found = has_users & (against >= line)
        complete = look.seconds > 0
        for limit in self.plan.limits:
            found |= complete & has_users & self._may_break(limit, look.end_s)
        if self.plan.harm_budget is not None:
            found |= has_users & (self._harm() > self.plan.harm_budget - 1e-6)
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

    def _harm(self) -> Floats:
        """What green has cost so far, as `budget.read_budget` counts it. [R]"""
        standing = self.standing
        green, blue = _green(standing.counts), _blue(standing.counts)
        known = np.where(blue[:, [REQUESTS]] > 0, blue, standing.blue)
        rate = known[:, ERRORS] / np.maximum(known[:, REQUESTS], 1)
        return np.asarray(standing.spent + green[:, ERRORS] - green[:, REQUESTS] * rate)

    def _may_break(self, limit: Limit, now_s: float) -> Booleans:
        """Where the limit's window, as a whole, is surely beyond its line."""
        column, rows = column_of(self.bench, limit.bound), len(self.courses)
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
        """Which of these rollouts have shown what their phase must show."""
        part: Judgements = rows_of(self.found, which)
        standing: Standing = rows_of(self.standing, which)
        upper = judge.upper(self.bench.case.design, part.weighed)
        green = _green(standing.counts)
        shown = np.ones(len(green), dtype=np.bool_)
        for number, phase in enumerate(self.plan.phases):
            here = standing.phase == number
            if here.any():
                shown[here] = self._shown(phase, number, green, upper, standing, part)[here]
        return shown

    def _shown(
        self,
        phase: Phase,
        number: int,
        green: Integers,
        upper: Floats,
        standing: Standing,
        part: Judgements,
    ) -> Booleans:
        if number == 0:
            return np.ones(len(green), dtype=np.bool_)
        requests = np.maximum(green[:, REQUESTS], 1)
        met = green[:, REQUESTS] >= np.where(standing.internal_only, 1, max(phase.minimum_requests, 1))
        met &= part.heard_s > 0
        for bound in phase.requirements:
            column = column_of(self.bench, bound)
            if column is None:
                return np.zeros(len(green), dtype=np.bool_)
            met &= green[:, column] / requests <= bound.bad_share
            safe = upper[:, self.bench.case.about(bound)] <= 1
            if bound.metric is Metric.ERRORS:
                safe |= upper[:, 0] <= SAFE_RATIO
            met &= safe | standing.internal_only
        return np.asarray(met)

    # Decide, and keep what was decided.

    def _decide(self, row: int) -> Decision:
        course, now = self.courses[row], _time(self.now_s)
        evidence = gather(self.plan, course.progress, self._seen(row))
        decision = decide(self.plan, course.progress, evidence, now)
        course.decision = decision
        if isinstance(decision, Hold):
            return decision
        before = course.progress
        told = events_of(decision, plan=self.plan, progress=before, evidence=evidence, now=now)
        course.progress = _recorded(before, told, now)
        self._leave(row)
        if not isinstance(decision, Complete):
            self._enter(row)
        return decision

    def _seen(self, row: int) -> Observations:
        """What a controller of this rollout would have seen."""
        standing, progress = self.standing, self.courses[row].progress
        at = _time(self.now_s - standing.missed_s[row])
        healthy = {Colour.BLUE: 1, Colour.GREEN: 1}
        watched_s = float(standing.watched_s[row])
        return Observations(
            watched_since=START,
            stay=progress.stay.identifier,
            last=Scrape(at=at, arms={}, healthy_hosts=healthy),
            intervals=tuple(self._intervals(row)),
            judgement=judgements.row(self.bench, self.found, row, stay=progress.stay.identifier),
            arms=self._arms(standing.counts[row]),
            watched_s=watched_s,
            healthy_s=watched_s,
            green=ColourState(stage=Stage.READY, version=VERSION),
            green_at=at,
        )

    def _intervals(self, row: int) -> Iterator[Interval]:
        """What green's users met lately, interval by interval."""
        since_s = self.standing.users_s[row]
        for look in self.recent:
            start_s = look.end_s - look.seconds[row]
            if look.seconds[row] > 0 and start_s >= since_s - 1e-9:
                yield Interval(
                    start=_time(start_s),
                    end=_time(look.end_s),
                    arms=self._arms(look.counts[row]),
                    healthy_hosts={},
                )

    def _arms(self, counts: Integers) -> dict[Arm, Counts]:
        return {arm: counts_of(self.bench, each) for arm, each in zip(ARMS, counts, strict=False)}

    def _leave(self, row: int) -> None:
        course, standing = self.courses[row], self.standing
        arms = self._arms(standing.counts[row])
        course.visits.append(
            Visit(
                phase=int(standing.phase[row]),
                internal_only=bool(standing.internal_only[row]),
                entered_s=float(standing.entered_s[row]),
                left_s=self.now_s,
                green=arms[Arm.GREEN] + arms.get(Arm.INTERNAL, NOTHING),
            )
        )

    def _enter(self, row: int) -> None:
        """The stay that the log says has begun."""
        standing, progress = self.standing, self.courses[row].progress
        stay, since = progress.stay, users_since(progress)
        standing.phase[row], standing.internal_only[row] = stay.phase, stay.internal_only
        standing.weight[row] = progress.requested.green_weight
        standing.internal_to_green[row] = progress.requested.internal_to_green
        standing.enters[row], standing.entered_s[row] = True, self.now_s
        standing.users_s[row] = np.inf if since is None else (since - START).total_seconds()
        standing.spent[row] = self._harm()[row]
        standing.blue[row] += _blue(standing.counts)[row]
        standing.watched_s[row], standing.counts[row] = 0.0, 0
        only = np.zeros(len(self.courses), dtype=np.bool_)
        only[row] = True
        self.found = judgements.anew(self.found, only)

    def _end(self, endings: dict[int, Literal["completed", "rolled back"]]) -> None:
        for row, ending in endings.items():
            self._ended[self.courses[row].number] = self._run(row, ending)
        goes_on = np.array([row not in endings for row in range(len(self.courses))])
        self.courses = [course for row, course in enumerate(self.courses) if row not in endings]
        self.found, self.standing = rows_of(self.found, goes_on), rows_of(self.standing, goes_on)
        self.recent = deque(
            replace(
                look,
                seconds=look.seconds[goes_on],
                counts=look.counts[goes_on],
                green=look.green[goes_on],
            )
            for look in self.recent
        )
        self.world.keep(goes_on)

    def _run(self, row: int, ending: Literal["completed", "rolled back", "waiting"]) -> Run:
        course = self.courses[row]
        if ending == "waiting":
            decision = decide(
                self.plan,
                course.progress,
                gather(self.plan, course.progress, self._seen(row)),
                _time(self.now_s),
            )
            course.decision = decision
            self._leave(row)
        decided = course.decision
        last = course.visits[-1]
        return Run(
            ending=ending,
            ended_s=self.now_s,
            phase=last.phase,
            weight_percent=course.progress.stay.weight_percent,
            why=_why(decided),
            visits=tuple(course.visits),
            ill=counts_of(self.bench, self.standing.ill[row]),
        )


def _why(decision: Decision | None) -> str:
    match decision:
        case RollBack(cause=cause):
            return cause
        case Hold(key=key):
            return key
        case _:
            return ""


def _green(counts: Integers) -> Integers:
    """What green's users met, internal ones too. [R, count]"""
    return np.asarray(counts[:, GREEN] + counts[:, INTERNAL:].sum(axis=1))


def _blue(counts: Integers) -> Integers:
    """What blue's users met. [R, count]"""
    return np.asarray(counts[:, BLUE] + counts[:, CONTROL])


def _wilson_lower(many: Floats, requests: Floats) -> Floats:
    """As `signals.wilson`. [R]"""
    share = many / requests
    spread = Z_99 * np.sqrt(share * (1 - share) / requests + Z_99**2 / (4 * requests**2))
    return np.asarray((share + Z_99**2 / (2 * requests) - spread) / (1 + Z_99**2 / requests))


def _time(seconds: float) -> datetime:
    return START + timedelta(seconds=float(seconds))


def _standing(rollouts: int, *, arms: int, edges: int) -> Standing:
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


def _begun(plan: Plan) -> Progress:
    """A rollout at the beginning of staging, green ready and the data plane as it should be."""
    started = Started(plan="", plan_file="", plan_digest=plan.digest, version=VERSION, salt="salt")
    first = Recorded(
        rollout=f"{plan.name}-1", position=1, at=START, actor="trial", type="started/1", data=_data(started)
    )
    progress = evolve(None, first)
    staging = WeightApplied(identifier=progress.requested.identifier, took_ms=0.0)
    return _recorded(progress, [GreenReady(version=VERSION), staging], START)


def _data(event: Event) -> dict[str, object]:
    return dict(encode(event, at=START, actor="trial").data)


def _recorded(progress: Progress, events: Sequence[Event], now: datetime) -> Progress:
    """The log with these events, and with the data plane doing at once what they ask."""
    for event in events:
        progress = _one_more(progress, event, now)
        if isinstance(event, WeightRequested):
            done = WeightApplied(identifier=event.identifier, took_ms=0.0)
            progress = _one_more(progress, done, now)
    return progress


def _one_more(progress: Progress, event: Event, now: datetime) -> Progress:
    new = encode(event, at=now, actor="trial")
    return evolve(
        progress,
        Recorded(
            rollout=progress.rollout,
            position=progress.position + 1,
            at=now,
            actor="trial",
            type=new.type,
            data=new.data,
        ),
    )
