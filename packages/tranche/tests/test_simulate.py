"""A trial moves each of its rollouts when a controller would, and for the same reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest

from tranche import language
from tranche.adapters.memory import (
    InlineWorkers,
    MemoryEnvironment,
    MemoryLock,
    MemoryLog,
    MemoryNotifier,
    MemorySignals,
    MemoryTraffic,
    VirtualClock,
)
from tranche.controller import Controller
from tranche.controller import World as Outside
from tranche.events import Started, encode
from tranche.judgements import FOR_EVER_MS
from tranche.progress import Progress, State, fold
from tranche.service import BURSTY, Defect, Incident, Service
from tranche.simulate import ARMS, START, VERSION, simulate
from tranche.trial import PATIENCE, Run, Trial, planned_s, tried
from tranche.world import ERRORS, FIRST_EDGE, REQUESTS, Tally, World

EDGES = (50, 100, 300, 500, 1000)
TEXT = """
name: small
tick: 1s
stale_after: 5s
share_tolerance: 20 %
warm_up: 3s
step_backs: 1
judge: {false_safety: 30 %}
limits:
  - {limit: errors > 1 %, sustained: 20s, minimum_requests: 30, answer: roll_back}
  - {limit: errors > 1 %, sustained: 10s, minimum_requests: 30, answer: step_back}
  - {limit: latency_p95 > 500 ms, sustained: 8s, minimum_requests: 30, answer: roll_back}
staging: {dwell: 40s, gates: [{name: smoke, kind: http, url: "{green_url}/ready"}]}
phases:
  - name: few
    weight: 10 %
    internal_users_first: 10s
    dwell: 40s
    requirements: [errors < 0.5 %, latency_p95 < 300 ms, uptime > 99 %]
  - {name: half, weight: 50 %, dwell: 60s, requirements: [errors < 0.5 %]}
  - {name: all, weight: 100 %, dwell: 40s, requirements: [errors < 0.5 %, latency_p95 < 500 ms]}
"""
SERVICE = Service(requests_per_s=300, base_error_share=0.001, internal_share=0.02)


def trial(
    service: Service = SERVICE, *defects: Defect, runs: int = 1, seed: int = 1, text: str = TEXT
) -> Trial:
    plan = tried(language.parse(text, file="small.yaml"))
    return Trial(plan=plan, service=service, edges_ms=EDGES, runs=runs, seed=seed, defects=defects)


def with_a_slow_judge(given: Trial) -> Trial:
    """It leaves the field to the limits."""
    plan = replace(given.plan, judge=replace(given.plan.judge, false_rollback=1e-12))
    return replace(given, plan=plan)


def with_a_budget(given: Trial, requests: int) -> Trial:
    return replace(given, plan=replace(given.plan, harm_budget=requests))


def in_a_hurry(given: Trial) -> Trial:
    """No stay may last much longer than it must."""
    phases = tuple(replace(phase, at_most_s=70.0, overdue="roll_back") for phase in given.plan.phases)
    return replace(given, plan=replace(given.plan, phases=phases))


class Users:
    """Lets a modelled world's requests arrive at a controller's counters."""

    def __init__(self, given: Trial) -> None:
        self.trial = given
        self.world = World(
            given.service,
            rollouts=given.runs,
            step_s=given.step_s,
            edges_ms=given.edges_ms,
            rng=np.random.default_rng(given.seed),
            defects=given.defects,
            incidents=given.incidents,
        )
        self.clock = VirtualClock(START)
        self.signals = MemorySignals(self.clock, (*EDGES, FOR_EVER_MS))
        self.traffic = MemoryTraffic()

    def pass_time(self) -> None:
        split = self.traffic.split
        assert split is not None
        tally = self.world.look(split.green_weight, internal_to_green=split.internal_to_green)
        self.clock.sleep(self.trial.step_s)
        self.signals.fault = None if tally.complete[0] else "lost"
        self._count(tally)

    def _count(self, tally: Tally) -> None:
        for arm, counts in zip(ARMS, tally.counts[:, :, 0], strict=True):
            least = [int(counts[REQUESTS]), *(int(count) for count in counts[FIRST_EDGE:]), 0]
            errors = int(counts[ERRORS])
            for edge, (more, fewer) in zip((1, *EDGES), pairwise(least), strict=True):
                self.signals.serve(arm, more - fewer, errors=errors, latency_ms=edge)
                errors = 0


class LateWorkers(InlineWorkers):
    """Runs a job when its result is asked for: what is known of green is then never a tick old, as in a trial."""

    def __init__(self) -> None:
        super().__init__()
        self._jobs: dict[str, Callable[[], object]] = {}

    def start(self, key: str, job: Callable[[], object]) -> bool:
        self._jobs[key] = job
        return True

    def done(self) -> list[tuple[str, object]]:
        jobs, self._jobs = self._jobs, {}
        return [(key, job()) for key, job in jobs.items()]


def controlled(given: Trial) -> Progress:
    """The same rollout, taken through by a controller that decides at every tick."""
    users, log = Users(given), MemoryLog()
    started = Started(plan="", plan_file="", plan_digest="", version=VERSION, salt="salt")
    log.append("small-1", after=0, events=[encode(started, at=START, actor="ann")])
    progress = fold(log.read("small-1"))
    assert progress is not None
    outside = Outside(
        log=log,
        traffic=users.traffic,
        signals=users.signals,
        environment=MemoryEnvironment(),
        gates={},
        variables={},
        clock=users.clock,
        notifier=MemoryNotifier(),
        workers=LateWorkers(),
        lock=MemoryLock(),
    )
    controller = Controller(plan=given.plan, progress=progress, world=outside, show=lambda _: None)
    controller.tick()
    while not controller.progress.is_finished and users.world.now_s < PATIENCE * planned_s(given.plan):
        users.pass_time()
        controller.tick()
    return controller.progress


Moves = tuple[str, float | None, str, list[tuple[int, bool, float]]]


def moves_of_run(run: Run) -> Moves:
    """How and when it ended, why, and when each stay began."""
    why = run.why if run.ending == "rolled back" else ""
    ended_s = None if run.ending == "waiting" else run.ended_s
    return (
        run.ending,
        ended_s,
        why,
        [(visit.phase, visit.internal_only, visit.entered_s) for visit in run.visits],
    )


def moves_of_log(progress: Progress) -> Moves:
    ending = {State.COMPLETED: "completed", State.ROLLED_BACK: "rolled back"}.get(progress.state, "waiting")
    entered = [
        (stay.phase, stay.internal_only, (stay.entered_at - START).total_seconds())
        for stay in progress.stays
        if stay.entered_at is not None
    ]
    rollback, ended_at = progress.rollback, progress.completed_at
    if rollback is not None:
        ended_at = rollback.decided_at
    ended_s = (ended_at - START).total_seconds() if ended_at else None
    return ending, ended_s, rollback.cause if rollback else "", entered


CASES = {
    "healthy": trial(),
    "healthy and bursty": trial(replace(SERVICE, noise=BURSTY), seed=2),
    "errors from the start": trial(SERVICE, Defect(errors_added=0.05)),
    "errors late": trial(SERVICE, Defect(onset_s=130, errors_added=0.03)),
    "a small fault": trial(
        replace(SERVICE, requests_per_s=200), Defect(onset_s=55, errors_added=0.012), seed=13
    ),
    "a limit in a quiet service": with_a_slow_judge(
        trial(replace(SERVICE, requests_per_s=60), Defect(onset_s=55, errors_added=0.1), seed=14)
    ),
    "a spent harm budget": with_a_budget(
        with_a_slow_judge(trial(SERVICE, Defect(onset_s=70, errors_added=0.008), seed=15)), 15
    ),
    "an ample harm budget": with_a_budget(trial(seed=16), 300),
    "overdue": in_a_hurry(trial(replace(SERVICE, requests_per_s=8), seed=8)),
    "slow late": trial(SERVICE, Defect(onset_s=155, latency_factor=4), seed=3),
    "slow at half": trial(SERVICE, Defect(onset_s=100, latency_factor=1.3), seed=4),
    "a step back": with_a_slow_judge(trial(SERVICE, Defect(onset_s=115, errors_added=0.02), seed=12)),
    "lost looks": trial(replace(SERVICE, lost_scrape_share=0.3), seed=5),
    "lost looks and errors": trial(
        replace(SERVICE, lost_scrape_share=0.3), Defect(onset_s=150, errors_added=0.02), seed=6
    ),
    "blue suffers too": replace(
        trial(seed=7), incidents=(Incident(start_s=100, length_s=60, error_share=0.2),)
    ),
    "few requests": trial(replace(SERVICE, requests_per_s=8), seed=8),
    "hardly any": trial(replace(SERVICE, requests_per_s=0.5), seed=9),
    "not good enough": trial(replace(SERVICE, base_error_share=0.0055), seed=10),
}


simulated = cache(lambda given: simulate(given)[0])


@pytest.mark.parametrize("given", CASES.values(), ids=CASES.keys())
def test_a_trial_moves_when_a_controller_would_and_for_the_same_reason(given: Trial) -> None:
    assert moves_of_run(simulated(given)) == moves_of_log(controlled(given))


def test_the_cases_end_in_every_way_and_step_back() -> None:
    runs = [simulated(given) for given in CASES.values()]

    assert {run.ending for run in runs} == {"completed", "rolled back", "waiting"}
    assert {run.why.partition(":")[0] for run in runs if run.ending == "rolled back"} >= {
        "judge",
        "limit",
        "harm budget",
        "overdue",
    }
    assert any([visit.phase for visit in run.visits].count(1) > 2 for run in runs)
