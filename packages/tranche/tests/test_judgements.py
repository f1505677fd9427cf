"""Many judgements side by side are each what one judgement is."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from tranche import judgement, language
from tranche.judgement import Judgement, case_of, harm, safety, to_json
from tranche.judgements import Bench, anew, bench_of, calibrate, counts_of, hear, on_rows, opened, row, wait
from tranche.ports import Arm
from tranche.service import BURSTY, Defect, Service
from tranche.signals import Interval
from tranche.world import BLUE, CONTROL, GREEN, INTERNAL, Integers, World

PLAN = language.load(Path(__file__).resolve().parents[3] / "plans" / "finance.yaml")[0]
CASE = case_of(PLAN)
EDGES = (100, 200, 300, 500, 1000)
START = datetime(2026, 1, 5, 9, tzinfo=UTC)
ARMS = {GREEN: Arm.GREEN, BLUE: Arm.BLUE, CONTROL: Arm.CONTROL, INTERNAL: Arm.INTERNAL}
ROWS = 4


def interval(bench: Bench, counts: Integers, end_s: float, seconds: float) -> Interval:
    """One row's counts [arm, count] as a controller gets them."""
    arms = {ARMS[number]: counts_of(bench, arm) for number, arm in enumerate(counts)}
    end = START + timedelta(seconds=end_s)
    return Interval(start=end - timedelta(seconds=seconds), end=end, arms=arms, healthy_hosts={})


def told(found: Judgement) -> dict[str, object]:
    return {
        key: value
        for key, value in to_json(found).items()
        if key not in {"trace", "trace_every_s", "bad_since"}
    }


@pytest.mark.parametrize("rps", [0.02, 5.0, 500.0])
def test_every_row_is_what_one_judgement_makes_of_its_counts(rps: float) -> None:
    bench = bench_of(PLAN, CASE, EDGES)
    service = Service(requests_per_s=rps, base_error_share=0.01, noise=BURSTY, internal_share=0.05)
    own = [Defect(onset_s=3000, latency_factor=1 + number / 3) for number in range(ROWS)]
    world = World(
        service, rollouts=ROWS, step_s=15, edges_ms=EDGES, rng=np.random.default_rng(7), own_defects=own
    )
    many, single = opened(bench, ROWS), [judgement.opened(CASE)] * ROWS
    late = np.array([False, True, True, False])
    for number in range(440):
        to_users = number >= 200
        phase = np.where(late & (number >= 320), 2, 1)
        weight = np.where(to_users, np.where(phase == 2, 3000, 1000), 0)
        look = world.look(weight, internal_to_green=to_users)
        counts, seconds = look.counts.transpose(2, 0, 1), np.full(ROWS, 15.0)
        enters = np.full(ROWS, number == 210) | (late & (number == 320))
        if not to_users:
            many = calibrate(bench, many, counts, seconds)
        elif number < 210:
            many = wait(many, counts)
        else:
            many = hear(
                bench, anew(many, enters), counts, seconds, phase=phase.astype(np.int64), enters=enters
            )
        for which in range(ROWS):
            seen = interval(bench, counts[which], look.end_s, 15.0)
            if not to_users:
                single[which] = judgement.calibrate(CASE, single[which], seen)
            elif number < 210:
                single[which] = judgement.waited(single[which], seen)
            else:
                single[which] = judgement.hear(
                    CASE,
                    single[which],
                    seen,
                    stay=f"finance-1/{phase[which]}",
                    phase=PLAN.phases[phase[which]],
                    restarts=0,
                )

    for which in range(ROWS):
        found, alone = row(bench, many, which, stay=single[which].stay), single[which]
        assert told(found) == told(alone)
        here = PLAN.phases[int(phase[which])]
        assert harm(CASE, found).numbers == harm(CASE, alone).numbers
        assert safety(CASE, found, here) == safety(CASE, alone, here)
        assert (rps < 1) == (found.edges == ())


def test_rows_that_are_not_meant_stay_as_they_are() -> None:
    bench = bench_of(PLAN, CASE, EDGES)
    counts = np.full((3, 3, 2 + len(EDGES)), 5)
    some = np.array([True, False, True])
    before = opened(bench, 3)
    after = on_rows(before, some, lambda part: calibrate(bench, part, counts[some], np.full(2, 15.0)))

    assert told(row(bench, after, 1, stay="")) == told(row(bench, before, 1, stay=""))
    assert told(row(bench, after, 0, stay="")) != told(row(bench, before, 0, stay=""))
    assert on_rows(before, ~some & some, replace) is before
