"""The modelled world draws what it is told to draw."""

import math
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tranche.ports import TOTAL_WEIGHT, Split
from tranche.service import BURSTY, PLAIN, Defect, Incident, Noise, Service
from tranche.world import DAY_S, Floats, Tallies, World, upper_tail

EDGES = (150, 200, 300)
SERVICE = Service(requests_per_s=50, base_error_share=0.01)


def world(service: Service = SERVICE, *, seed: int = 1, rollouts: int = 50, **more: object) -> World:
    parts = {"rollouts": rollouts, "step_s": 15.0, "edges_ms": EDGES, "rng": np.random.default_rng(seed)}
    return World(service, **(parts | more))


def dispersion(counts: Floats) -> float:
    """Variance over mean; 1 for Poisson counts."""
    return float(counts.var() / counts.mean())


def test_requests_are_as_many_as_the_rate_says_and_split_by_the_weight() -> None:
    drawn = world().looks(1000, 400).counts[:, :, 0]
    expected = 50 * 15 * np.array([0.1, 0.8, 0.1])

    assert drawn.mean(axis=(0, 2)) == pytest.approx(expected, rel=0.01)
    assert dispersion(drawn[:, 0]) == pytest.approx(1, abs=0.05)


@given(weight=st.integers(0, TOTAL_WEIGHT), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_every_weight_gives_the_arms_their_part(weight: int, seed: int) -> None:
    split = Split(identifier="r/1", salt="s", green_weight=weight, internal_to_green=False)
    look = world(seed=seed).look(weight)
    total = 50 * 15 * 50
    green, control = look.green.requests.sum(), look.control.requests.sum()

    assert abs(green - total * weight / TOTAL_WEIGHT) <= 6 * math.sqrt(total)
    assert abs(control - total * split.control_weight / TOTAL_WEIGHT) <= 6 * math.sqrt(total)
    assert abs(look.all_blue.requests.sum() + green - total) <= 6 * math.sqrt(total)
    if weight == 0:
        assert green == 0
    if weight == TOTAL_WEIGHT:
        assert look.all_blue.requests.sum() == 0


@given(
    rate=st.floats(0.01, 500),
    share=st.floats(0, 1),
    noise=st.sampled_from([PLAIN, BURSTY]),
    weight=st.integers(0, TOTAL_WEIGHT),
    lost=st.sampled_from([0.0, 0.3, 1.0]),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=80, deadline=None)
def test_counts_nest_whatever_the_service(
    rate: float, share: float, noise: Noise, weight: int, lost: float, seed: int
) -> None:
    service = Service(requests_per_s=rate, base_error_share=share, noise=noise, lost_scrape_share=lost)
    defect = Defect(errors_factor=3, errors_added=0.5, latency_factor=2)
    for look in world(service, seed=seed, rollouts=5, defects=[defect]).looks(weight, 10):
        for arm in (look.green, look.blue, look.control, look.all_blue):
            assert (arm.errors >= 0).all()
            assert (arm.errors <= arm.requests).all()
            assert (arm.slower[0] <= arm.requests).all()
            assert (np.diff(arm.slower, axis=0) <= 0).all()
            assert (arm.slower[-1] >= 0).all()
        assert (look.counts[:, :, ~look.complete] == 0).all()


def test_errors_and_slow_requests_have_their_shares() -> None:
    totals = world().looks(5000, 400).counts.sum(axis=(0, 3))
    normal = NormalDist(math.log(80), SERVICE.latency_sd)

    for arm in (0, 2):
        requests, errors, *slower = totals[arm]
        assert errors / requests == pytest.approx(0.01, rel=0.02)
        for edge, count in zip(EDGES, slower, strict=True):
            assert count / requests == pytest.approx(1 - normal.cdf(math.log(edge)), rel=0.02)
        assert slower[1] / requests == pytest.approx(0.05, rel=0.02)


def test_plain_errors_are_binomial_and_clusters_of_two_are_three_times_as_dispersed() -> None:
    clustered = replace(SERVICE, noise=Noise(mean_cluster=2.0))
    plain = world().looks(5000, 400).counts[:, 0, 1]
    bursts = world(clustered).looks(5000, 400).counts[:, 0, 1]

    assert dispersion(plain) == pytest.approx(1, rel=0.05)
    assert dispersion(bursts) == pytest.approx(3, rel=0.05)
    assert bursts.mean() == pytest.approx(plain.mean(), rel=0.02)


def test_shared_noise_moves_both_versions_for_two_minutes_and_keeps_the_mean() -> None:
    noise = Noise(error_shared_sd=0.7)
    drawn = world(replace(SERVICE, requests_per_s=5000, noise=noise), rollouts=200).looks(5000, 800)
    shares = drawn.counts[:, :, 1] / np.maximum(drawn.counts[:, :, 0], 1)
    green, control = shares[:, 0], shares[:, 2]
    blocks = np.log(green.reshape(100, 8, 200))

    assert green.mean() == pytest.approx(0.01, rel=0.03)
    assert np.corrcoef(green.ravel(), control.ravel())[0, 1] > 0.95
    assert blocks.mean(axis=1).std() == pytest.approx(0.7, rel=0.05)
    assert blocks.std(axis=1).mean() < 0.1


def test_noise_of_a_version_s_own_moves_green_against_blue_and_not_blue_against_itself() -> None:
    noise = Noise(error_own_sd=0.5, latency_own_sd=0.2)
    service = replace(SERVICE, requests_per_s=5000, noise=noise)
    drawn = world(service, rollouts=200).looks(3333, 8).counts.sum(axis=0)
    errors, slow = np.log(drawn[:, 1]), np.log(drawn[:, 3])

    assert (errors[0] - errors[2]).std() == pytest.approx(0.5 * math.sqrt(2), rel=0.2)
    assert (errors[1] - errors[2]).std() < 0.1
    assert (slow[0] - slow[2]).std() > 0.3
    assert (slow[1] - slow[2]).std() < 0.1


def test_noise_lasts_as_long_in_single_looks_as_in_many() -> None:
    service = replace(SERVICE, requests_per_s=20_000, noise=Noise(error_shared_sd=1.0))
    one_by_one = world(service, rollouts=100)
    looks = [one_by_one.look(5000).green for _ in range(16)]
    shares = np.log([look.errors / look.requests for look in looks])

    assert shares[:8].std(axis=0).max() < 0.3
    assert (shares[8:].mean(axis=0) - shares[:8].mean(axis=0)).std() == pytest.approx(math.sqrt(2), rel=0.3)


def test_a_day_has_its_busy_and_its_quiet_hours() -> None:
    service = replace(SERVICE, daily_swing=0.6)
    day = int(DAY_S / 900)
    counts = world(service, step_s=900.0, rollouts=20).looks(1000, day).counts
    requests = counts[:, :, 0].sum(axis=1).mean(axis=1)

    assert requests.mean() == pytest.approx(50 * 900, rel=0.01)
    assert requests[day // 4] == pytest.approx(1.6 * 50 * 900, rel=0.01)
    assert requests[3 * day // 4] == pytest.approx(0.4 * 50 * 900, rel=0.01)


def test_a_defect_hits_green_alone_and_from_its_onset() -> None:
    defect = Defect(onset_s=1500, errors_factor=2, errors_added=0.03, latency_factor=1.5)
    counts = world(rollouts=200, defects=[defect]).looks(5000, 200).counts
    before, after = counts[:100].sum(axis=(0, 3)), counts[100:].sum(axis=(0, 3))
    normal = NormalDist(math.log(120), SERVICE.latency_sd)

    assert before[0, 1] / before[0, 0] == pytest.approx(0.01, rel=0.03)
    assert after[0, 1] / after[0, 0] == pytest.approx(0.05, rel=0.02)
    assert after[2, 1] / after[2, 0] == pytest.approx(0.01, rel=0.03)
    assert before[0, 4] / before[0, 0] == pytest.approx(before[2, 4] / before[2, 0], rel=0.05)
    assert after[0, 4] / after[0, 0] == pytest.approx(1 - normal.cdf(math.log(300)), rel=0.03)
    assert after[2, 4] / after[2, 0] == pytest.approx(before[2, 4] / before[2, 0], rel=0.05)


def test_every_rollout_may_have_a_defect_of_its_own_beside_those_of_all() -> None:
    own = [Defect(errors_added=0.1 if number < 25 else 0.0) for number in range(50)]
    here = world(defects=[Defect(errors_added=0.02)], own_defects=own)
    shares = here.looks(5000, 100).counts[:, 0].sum(axis=0)
    part = shares[1] / shares[0]

    assert part[:25].mean() == pytest.approx(0.13, rel=0.03)
    assert part[25:].mean() == pytest.approx(0.03, rel=0.05)

    here.keep(np.arange(50) >= 20)
    kept = here.looks(5000, 100).counts[:, 0].sum(axis=0)
    part = kept[1] / kept[0]

    assert part.shape == (30,)
    assert part[:5].mean() == pytest.approx(0.13, rel=0.05)
    assert part[5:].mean() == pytest.approx(0.03, rel=0.05)


def test_what_was_not_seen_yet_stays_with_the_rollouts_that_go_on() -> None:
    lossy = world(replace(SERVICE, lost_scrape_share=0.9), rollouts=200)
    lost = ~lossy.looks(5000, 1).complete[0]
    lossy.keep(lost)
    lossy.service = replace(SERVICE, lost_scrape_share=1e-9)

    assert lossy.look(5000).green.requests.mean() == pytest.approx(2 * 50 * 15 * 0.5, rel=0.02)


def test_internal_users_are_on_green_when_they_are_sent_there_and_users_as_any_other_before() -> None:
    service = replace(SERVICE, internal_share=0.02)
    defect = Defect(errors_added=0.1)
    before = world(service, defects=[defect]).looks(0, 100).counts.sum(axis=(0, 3))
    first = world(service, defects=[defect]).looks(0, 100, internal_to_green=True).counts.sum(axis=(0, 3))
    sent = np.arange(50) < 25
    some = world(service).looks(1000, 100, internal_to_green=sent).counts.sum(axis=0)
    everybody = 50 * 15 * 100 * 50

    assert before[:, 0] == pytest.approx([0, 0.9 * everybody, 0.1 * everybody, 0], rel=0.01)
    assert first[:, 0] == pytest.approx(
        [0, 0.98 * 0.9 * everybody, 0.98 * 0.1 * everybody, 0.02 * everybody], rel=0.02
    )
    assert first[3, 1] / first[3, 0] == pytest.approx(0.11, rel=0.02)
    assert (some[3, 0] > 0).tolist() == sent.tolist()


def test_an_incident_hits_both_versions_and_ends() -> None:
    incident = Incident(start_s=1500, length_s=600, error_share=0.05, latency_factor=2)
    counts = world(rollouts=200, incidents=[incident]).looks(5000, 200).counts
    during, after = counts[100:140].sum(axis=(0, 3)), counts[140:].sum(axis=(0, 3))

    for arm in (0, 2):
        assert during[arm, 1] / during[arm, 0] == pytest.approx(0.05 + 0.01 - 0.0005, rel=0.02)
        assert during[arm, 3] / during[arm, 0] == pytest.approx(0.3401, rel=0.02)
        assert after[arm, 1] / after[arm, 0] == pytest.approx(0.01, rel=0.03)
        assert after[arm, 3] / after[arm, 0] == pytest.approx(0.05, rel=0.02)


def test_the_same_seed_and_calls_give_the_same_counts() -> None:
    def drawn(seed: int) -> Tallies:
        return world(replace(SERVICE, noise=BURSTY, lost_scrape_share=0.1), seed=seed).looks(1000, 20)

    assert (drawn(7).counts == drawn(7).counts).all()
    assert (drawn(7).complete == drawn(7).complete).all()
    assert (drawn(7).counts != drawn(8).counts).any()


def test_the_next_complete_look_has_what_lost_ones_did_not_tell() -> None:
    lossy = world(replace(SERVICE, lost_scrape_share=0.4), rollouts=200)
    first, second = lossy.looks(5000, 7), lossy.looks(5000, 60)
    complete = np.concatenate([first.complete, second.complete])
    requests = np.concatenate([first.counts, second.counts])[:, :, 0]
    waited = np.zeros(200)
    per_look: list[float] = []
    expected: list[float] = []
    for row, seen in zip(complete, requests, strict=True):
        waited += 1
        per_look.extend(seen[0][row])
        expected.extend(50 * 15 * 0.5 * waited[row])
        waited[row] = 0

    assert complete.mean() == pytest.approx(0.6, abs=0.03)
    assert (requests.transpose(0, 2, 1)[~complete] == 0).all()
    deviation = (np.array(per_look) - expected) / np.sqrt(expected)
    assert abs(deviation).max() < 6
    assert deviation.std() == pytest.approx(1, abs=0.05)


def test_a_weight_may_differ_between_rollouts_and_looks() -> None:
    weights = np.zeros((10, 50), dtype=np.int64)
    weights[5:, 25:] = 3000
    green = world().looks(weights, 10).counts[:, 0, 0]

    assert (green[:5] == 0).all()
    assert (green[:, :25] == 0).all()
    assert green[5:, 25:].mean() == pytest.approx(50 * 15 * 0.3, rel=0.02)


def test_blue_can_be_compared_with_itself_before_green_has_users() -> None:
    looks = world().looks(0, 20)

    assert looks.counts[:, 0].sum() == 0
    assert looks.counts[:, 2, 0].mean() == pytest.approx(50 * 15 * 0.1, rel=0.02)
    assert looks.counts[:, 1, 0].mean() == pytest.approx(50 * 15 * 0.9, rel=0.02)


def test_time_goes_on_from_look_to_look() -> None:
    here = world()
    here.looks(1000, 3)

    assert here.now_s == 45
    assert here.look(1000).end_s == 60
    assert [look.end_s for look in here.looks(1000, 2)] == [75, 90]


@given(st.floats(-12, 12))
def test_the_tail_of_the_normal_distribution_is_right(z: float) -> None:
    assert float(upper_tail(np.array([z]))[0]) == pytest.approx(math.erfc(z / math.sqrt(2)) / 2, abs=4e-8)
