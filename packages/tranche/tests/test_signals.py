"""Counters to increases: what was not seen is not counted, and what was counted is not lost."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tranche.ports import Arm, ArmCounters, Colour, Scrape
from tranche.signals import Counts, Interval, increase, observed_share_percent, pooled, wilson

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def scrape(second: float, **arms: ArmCounters) -> Scrape:
    return Scrape(
        at=NOON + timedelta(seconds=second),
        arms={Arm(name): counters for name, counters in arms.items()},
        healthy_hosts={Colour.GREEN: 1},
    )


def counters(requests: int, errors: int = 0, **faster: int) -> ArmCounters:
    edges = {int(edge.removeprefix("ms")): count for edge, count in faster.items()}
    return ArmCounters(requests=requests, errors=errors, latency_buckets=edges)


def test_an_increase_is_the_difference() -> None:
    found = increase(
        scrape(0, green=counters(100, 1, ms300=90, ms1000=100)),
        scrape(5, green=counters(150, 3, ms300=120, ms1000=150)),
    )

    assert found.arms[Arm.GREEN] == Counts(requests=50, errors=2, faster={300: 30, 1000: 50})
    assert found.arms[Arm.GREEN].slower(300) == 20
    assert found.arms[Arm.GREEN].slower(250) is None


def test_after_a_restart_of_the_data_plane_its_counters_are_the_increase() -> None:
    found = increase(
        scrape(0, green=counters(100), blue=counters(5)), scrape(5, green=counters(7), blue=counters(9))
    )

    assert found.arms[Arm.GREEN].requests == 7
    assert found.arms[Arm.BLUE].requests == 9


def test_a_restart_shows_in_any_counter() -> None:
    found = increase(scrape(0, green=counters(100, 9)), scrape(5, green=counters(120, 2)))

    assert found.arms[Arm.GREEN] == Counts(requests=120, errors=2, faster={})


def test_an_arm_that_was_not_there_adds_nothing() -> None:
    found = increase(scrape(0, blue=counters(10)), scrape(5, blue=counters(20), green=counters(1000, 1000)))

    assert Arm.GREEN not in found.arms
    assert pooled([found], [Arm.GREEN]) == Counts()


def test_time_that_does_not_move_adds_nothing() -> None:
    found = increase(scrape(5, green=counters(10)), scrape(5, green=counters(500)))

    assert not found.arms


any_counts = st.builds(
    Counts,
    requests=st.integers(0, 99),
    errors=st.integers(0, 9),
    faster=st.one_of(
        st.fixed_dictionaries({100: st.integers(0, 99), 300: st.integers(0, 99)}),
        st.dictionaries(st.sampled_from([500, 100, 300]), st.integers(0, 99)),
    ),
)


@given(
    st.lists(st.dictionaries(st.sampled_from([Arm.GREEN, Arm.INTERNAL, Arm.BLUE]), any_counts), max_size=5)
)
def test_what_is_pooled_is_what_is_added_one_by_one_whatever_edges_there_were(
    many: list[dict[Arm, Counts]],
) -> None:
    intervals = [Interval(start=NOON, end=NOON, arms=arms, healthy_hosts={}) for arms in many]
    one_by_one = Counts()
    for arms in many:
        for arm in (Arm.GREEN, Arm.INTERNAL):
            one_by_one += arms.get(arm, Counts())

    found = pooled(intervals, (Arm.GREEN, Arm.INTERNAL))
    assert found == one_by_one
    assert list(found.faster) == sorted(found.faster)


numbers = st.integers(min_value=-5, max_value=10**9)
any_counters = st.builds(
    ArmCounters,
    requests=numbers,
    errors=numbers,
    latency_buckets=st.dictionaries(st.sampled_from([100, 300, 500]), numbers),
)
any_scrape = st.builds(
    Scrape,
    at=st.integers(0, 86400).map(lambda second: NOON + timedelta(seconds=second)),
    arms=st.dictionaries(st.sampled_from(Arm), any_counters),
    healthy_hosts=st.dictionaries(st.sampled_from(Colour), st.integers(0, 3)),
)


@given(any_scrape, any_scrape)
def test_no_increase_is_ever_negative_whatever_was_read(earlier: Scrape, later: Scrape) -> None:
    for counts in increase(earlier, later).arms.values():
        assert counts.requests >= 0
        assert counts.errors >= 0
        assert all(count >= 0 for count in counts.faster.values())


@given(st.lists(st.integers(0, 50), min_size=2, max_size=20), st.data())
def test_a_scrape_left_out_loses_nothing(steps: list[int], data: st.DataObject) -> None:
    totals = [sum(steps[: number + 1]) for number in range(len(steps))]
    scrapes = [scrape(number, green=counters(total)) for number, total in enumerate(totals)]
    kept = [scrapes[0], *data.draw(st.lists(st.sampled_from(scrapes[1:]), unique_by=id)), scrapes[-1]]
    kept = sorted({found.at: found for found in kept}.values(), key=lambda found: found.at)

    counted = sum(increase(a, b).arms[Arm.GREEN].requests for a, b in itertools.pairwise(kept))

    assert counted == totals[-1] - totals[0]


def test_the_wilson_bounds_are_those_of_the_book() -> None:
    # Brown, Cai, DasGupta (2001) and any table: 10 of 100 at 95 % two-sided gives 5.52 % to 17.44 %.
    lower, upper = wilson(10, 100, z=1.959963984540054)

    assert lower == pytest.approx(0.0552, abs=5e-5)
    assert upper == pytest.approx(0.1744, abs=5e-5)
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(0, 50)[0] == 0.0
    assert wilson(1e-310, 1e-308) == (0.0, 1.0)  # what is left of counts that fade
    assert wilson(50, 50)[1] == pytest.approx(1.0)


@given(st.integers(0, 1000), st.integers(1, 1000))
def test_the_bounds_hold_the_share_between_them(bad: int, requests: int) -> None:
    lower, upper = wilson(min(bad, requests), requests)

    assert 0.0 <= lower <= min(bad, requests) / requests + 1e-9
    assert min(bad, requests) / requests - 1e-9 <= upper <= 1.0


def test_the_observed_share_leaves_internal_users_out() -> None:
    arms = {
        Arm.GREEN: Counts(requests=10),
        Arm.BLUE: Counts(requests=80),
        Arm.CONTROL: Counts(requests=10),
        Arm.INTERNAL: Counts(requests=1000),
    }

    assert observed_share_percent(arms) == 10
    assert observed_share_percent({Arm.INTERNAL: Counts(requests=5)}) is None


def test_a_latency_for_the_eye_is_interpolated() -> None:
    counts = Counts(requests=100, faster={50: 50, 100: 100})

    assert counts.latency_ms(0.5) == 50
    assert counts.latency_ms(0.95) == pytest.approx(95)
    assert Counts(requests=5).latency_ms(0.95) is None
