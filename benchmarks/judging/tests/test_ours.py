"""What the judge is asked, out of the counts of arms."""

from dataclasses import replace

import numpy as np
import pytest

from judging.cell import EDGES_MS
from judging.ours import QUESTIONS, Tranche, nearest_edges
from tranche import judge
from tranche.service import BURSTY, Service
from tranche.world import Tally, World

SERVICE = Service(requests_per_s=50, base_error_share=0.003)


def world(service: Service = SERVICE, seed: int = 1) -> World:
    rng = np.random.default_rng(seed)
    return World(service, rollouts=20, step_s=15.0, edges_ms=EDGES_MS, rng=rng)


def rule(before: list[Tally] | None = None) -> Tranche:
    return Tranche(rollouts=20, step_s=15.0, edges_ms=EDGES_MS, before=before or [])


def before() -> list[Tally]:
    return list(world().looks(0, 480))


def test_the_stakes_of_all_questions_add_up_to_one() -> None:
    assert sum(question.weight for question in QUESTIONS) == pytest.approx(1)


def test_blue_is_compared_at_the_edges_its_slowest_requests_reach() -> None:
    counts = world().looks(1000, 400).counts[:, 1].sum(axis=(0, 2))

    assert [EDGES_MS[number] for number in nearest_edges(counts)] == [150, 200, 300]


def test_a_look_asks_six_questions_of_the_arms() -> None:
    tranche = rule(before())
    tally = world(seed=2).look(1000)
    look = tranche._heard(tally, tally.green, tally.all_blue)
    green, blue = tally.green, tally.all_blue
    part = green.requests / (green.requests + blue.requests)

    assert (look.bad[:, 0] == green.errors).all()
    assert (look.trials[:, 0] == green.errors + blue.errors).all()
    assert (look.chance[:, 0] == part).all()
    assert (look.trials[:, 1] == green.requests).all()
    assert (look.chance[:, 1:3] == [0.005, 0.05]).all()
    assert (look.blue_bad[:, 2] == blue.slower[3]).all()
    assert (look.bad[:, 2] == green.slower[3]).all()
    assert (look.bad[:, 3:] == green.slower[[1, 2, 3]].T).all()
    assert (look.trials[:, 3:] == (green.slower + blue.slower)[[1, 2, 3]].T).all()


def test_green_is_heard_against_all_of_blue() -> None:
    tranche, twin = rule(before()), rule(before())
    tally = world(seed=2).look(1000)
    expected = judge.hear(twin.design, twin.state, twin._heard(tally, tally.green, tally.all_blue))
    tranche.observe(tally)

    assert (tranche.state.wealth == expected.wealth).all()
    assert expected.wealth.max() > 0


def test_two_hours_of_blue_against_itself_replace_the_assumed_dispersion() -> None:
    measured = list(world(replace(SERVICE, noise=BURSTY)).looks(0, 480))

    assert (rule(measured).state.spread.blocks[:, 3] == judge.CALIBRATION_BLOCKS).all()
    assert (
        rule(measured).state.spread.dispersion[:, 0].mean()
        > 2 * rule(before()).state.spread.dispersion[:, 0].mean()
    )
    assert (rule().state.spread.blocks == judge.ASSUMED_BLOCKS).all()


def test_only_the_first_complete_look_enters_and_lost_time_is_heard_later() -> None:
    tranche = rule(before())
    lossy = world(Service(requests_per_s=50, base_error_share=0.003, lost_scrape_share=0.5), seed=3)
    entered, seconds = np.zeros(20), np.zeros(20)
    for tally in lossy.looks(1000, 40):
        look = tranche._heard(tally, tally.green, tally.all_blue)
        entered += look.enters
        seconds += look.seconds
        assert (look.seconds[~tally.complete] == 0).all()

    assert (entered == 1).all()
    assert (seconds + tranche._waited_s == 600).all()


def test_a_gross_defect_is_taken_back_at_once_and_a_good_green_is_not() -> None:
    good = rule(before())
    assert not any(good.observe(tally).any() for tally in world(seed=4).looks(1000, 240))

    bad = rule(before())
    looks = list(world(seed=5).looks(1000, 8))
    for tally in looks:
        tally.counts[0, 1] = tally.counts[0, 0] // 4
    assert [bad.observe(tally).all() for tally in looks][-1]
