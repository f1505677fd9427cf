"""A plan, tried out: many rollouts of it on a virtual clock, against a modelled service.

Every move is made by `decide`, from the evidence that `gather` makes, and kept by the fold of its events - as a
controller does it. What is asked at every look of every rollout is only whether there could be a move: `judgements.py`
judges all rollouts at once, and `screen.py` is never stricter than `decide` (the test bed compares with a controller
that decides at every tick).

What a modelled service cannot tell is left out: gates, uptime, cache hits, and green's own health; freezes, too.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

import numpy as np

from tranche import judgements
from tranche.decide import decide
from tranche.decision import Complete, Decision, Hold, RollBack
from tranche.events import Event, GreenReady, Started, WeightApplied, WeightRequested, encode
from tranche.evidence import Evidence
from tranche.judgement import case_of
from tranche.judgements import Bench, Judgements, bench_of, blue_of, counts_of, green_of, on_rows, rows_of
from tranche.limits import KEPT
from tranche.moves import events_of
from tranche.observe import Observations, gather, users_since
from tranche.plan import Plan
from tranche.ports import Arm, Colour, ColourState, Recorded, Scrape, Stage
from tranche.progress import Progress, evolve
from tranche.screen import Look, Screen, first_standing
from tranche.signals import Counts, Interval
from tranche.trial import PATIENCE, Run, Trial, Visit, planned_s
from tranche.world import Booleans, Integers, World

START: Final = datetime(2026, 1, 5, tzinfo=UTC)
VERSION: Final = "green"
ARMS: Final = (Arm.GREEN, Arm.BLUE, Arm.CONTROL, Arm.INTERNAL)
"""The arms of `world.py`, in its order."""


def simulate(trial: Trial, advanced: Callable[[float], None] = lambda _: None) -> list[Run]:
    """All runs, in their order. `advanced` is told how much of the planned time is over (may pass 1)."""
    fleet = Fleet(trial)
    whole_s = planned_s(trial.plan)
    while fleet.is_under_way and fleet.now_s < PATIENCE * whole_s:
        fleet.step()
        advanced(fleet.now_s / whole_s)
    return fleet.runs()


@dataclass(slots=True, kw_only=True)
class Course:
    """One rollout as its log tells it."""

    number: int
    progress: Progress
    visits: list[Visit] = field(default_factory=list)
    decision: Decision | None = None


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
        self.standing = first_standing(trial.runs, arms=self.world.look_arms, edges=len(trial.edges_ms))
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
        has_users = self.standing.has_users
        self._judge(look, has_users)
        self._count(look, has_users)
        endings: dict[int, Literal["completed", "rolled back"]] = {}
        screen = Screen(
            plan=self.plan,
            bench=self.bench,
            found=self.found,
            standing=self.standing,
            recent=tuple(self.recent),
        )
        for row in np.flatnonzero(screen.candidates()):
            decision = self._decide(int(row))
            if isinstance(decision, RollBack):
                endings[int(row)] = "rolled back"
            elif isinstance(decision, Complete):
                endings[int(row)] = "completed"
        if endings:
            self._end(endings)

    def _look(self) -> Look:
        standing = self.standing
        tally = self.world.look(standing.weight, internal_to_green=standing.internal_to_green)
        passed = standing.missed_s + self.trial.step_s
        self.standing = replace(standing, missed_s=np.where(tally.complete, 0.0, passed))
        counts = np.ascontiguousarray(tally.counts.transpose(2, 0, 1))
        seconds = np.where(tally.complete, passed, 0.0)
        return Look(end_s=tally.end_s, seconds=seconds, counts=counts, green=green_of(counts))

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

    # Decide, and keep what was decided.

    def _asked(self, row: int) -> tuple[Decision, Evidence]:
        """What `decide` says of this rollout now, and on what."""
        progress = self.courses[row].progress
        evidence = gather(self.plan, progress, self._seen(row))
        return decide(self.plan, progress, evidence, _time(self.now_s)), evidence

    def _decide(self, row: int) -> Decision:
        course, now = self.courses[row], _time(self.now_s)
        course.decision, evidence = self._asked(row)
        decision = course.decision
        if isinstance(decision, Hold):
            return decision
        told = events_of(decision, plan=self.plan, progress=course.progress, evidence=evidence, now=now)
        course.progress = _recorded(course.progress, told, now)
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
            version=progress.version,
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
        course.visits.append(
            Visit(
                phase=int(standing.phase[row]),
                internal_only=bool(standing.internal_only[row]),
                entered_s=float(standing.entered_s[row]),
                left_s=self.now_s,
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
        standing.spent[row] = standing.harm()[row]
        standing.blue[row] += blue_of(standing.counts)[row]
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
            course.decision, _ = self._asked(row)
            self._leave(row)
        return Run(
            ending=ending,
            ended_s=self.now_s,
            phase=course.visits[-1].phase,
            why=_why(course.decision),
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


def _time(seconds: float) -> datetime:
    return START + timedelta(seconds=float(seconds))


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
