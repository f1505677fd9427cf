"""What sustained means, and when a requirement is met."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tranche.limits import PhaseMeasure, read_limit, read_requirement
from tranche.plan import Answer, Bound, Limit, Metric, Phase
from tranche.ports import Arm, Colour, Verdict
from tranche.signals import Counts, Interval

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
ERRORS = Bound(metric=Metric.ERRORS, relation=">", value=1.0)
SLOW = Bound(metric=Metric.LATENCY_P95, relation=">", value=500.0)


def limit(bound: Bound = ERRORS, *, sustained_s: float = 300, minimum_requests: int = 100) -> Limit:
    return Limit(
        bound=bound, sustained_s=sustained_s, minimum_requests=minimum_requests, answer=Answer.ROLL_BACK
    )


def minutes(*green: tuple[int, int], blue: tuple[int, int] = (0, 1000)) -> list[Interval]:
    """An interval a minute: (bad, requests) of green, errors and slow ones alike."""
    return [
        Interval(
            start=NOON + timedelta(minutes=number),
            end=NOON + timedelta(minutes=number + 1),
            arms={
                Arm.GREEN: counts(*found),
                Arm.BLUE: counts(*blue),
            },
            healthy_hosts={Colour.GREEN: 1},
        )
        for number, found in enumerate(green)
    ]


def counts(bad: int, requests: int) -> Counts:
    return Counts(requests=requests, errors=bad, faster={500: requests - bad, 10_000: requests})


def verdict(bound: Bound, *green: tuple[int, int], **more: tuple[int, int]) -> Verdict:
    return read_limit(limit(bound), minutes(*green, **more)).reading.verdict


@pytest.mark.parametrize(("bound", "bad"), [(ERRORS, 3), (SLOW, 12)])
def test_a_share_surely_above_the_line_all_the_time_breaks_the_limit(bound: Bound, bad: int) -> None:
    found = read_limit(limit(bound), minutes(*[(bad, 100)] * 5))

    assert found.reading.verdict is Verdict.FAIL
    assert found.reading.numbers["bad"] == 5 * bad
    assert not found.blue_too


def test_the_sentence_names_the_numbers() -> None:
    found = read_limit(limit(), minutes(*[(7, 100)] * 5))

    assert (
        found.reading.reason
        == "green's errors are 7 % (35 of 500 requests in 5m), surely above 1 % (at least 4.8 %)"
    )


def test_what_chance_may_do_breaks_nothing() -> None:
    assert verdict(ERRORS, *[(2, 150)] * 5) is Verdict.PASS


def test_a_burst_is_not_sustained() -> None:
    assert verdict(ERRORS, (100, 100), (0, 100), (0, 100), (0, 100), (0, 100)) is Verdict.PASS


def test_trouble_that_has_ended_is_not_sustained() -> None:
    assert verdict(ERRORS, *[(50, 100)] * 4, (0, 100)) is Verdict.PASS


def test_a_quiet_service_is_judged_over_more_than_its_time() -> None:
    # 24 requests a minute: five times as many as show one percent come in 21 minutes.
    spread = [(2, 24), (0, 24), (3, 24)]

    assert verdict(ERRORS, *spread * 6, *spread[:2]) is Verdict.NOT_YET
    assert verdict(ERRORS, *spread * 7) is Verdict.FAIL
    found = read_limit(limit(), minutes((0, 100), *spread * 7)).reading
    assert found.reason.startswith("green's errors are 6.9 % (35 of 504 requests in 21m)")


def test_one_user_who_tries_again_and_again_is_not_sustained() -> None:
    # Nine failures within a minute, of a service with forty requests a minute.
    assert verdict(ERRORS, *[(0, 40)] * 12, (9, 40)) is Verdict.PASS


def test_a_long_interval_with_many_requests_is_several_evaluations() -> None:
    found = read_limit(limit(sustained_s=60), minutes((40, 1000)))

    assert found.reading.verdict is Verdict.FAIL
    assert found.reading.numbers["evaluations"] == 1


def test_less_than_the_window_is_not_yet() -> None:
    assert verdict(ERRORS, *[(50, 100)] * 4) is Verdict.NOT_YET
    assert read_limit(limit(), []).reading.verdict is Verdict.NOT_YET


def test_too_few_requests_are_not_yet() -> None:
    assert verdict(ERRORS, *[(19, 19)] * 5) is Verdict.NOT_YET


def test_no_requests_at_all_are_not_yet() -> None:
    assert verdict(ERRORS, *[(0, 0)] * 5) is Verdict.NOT_YET


def test_a_latency_nobody_counts_cannot_be_told() -> None:
    unknown = Bound(metric=Metric.LATENCY_P95, relation=">", value=300.0)

    assert verdict(unknown, *[(0, 100)] * 5) is Verdict.CANNOT_TELL


def test_when_blue_is_as_bad_going_back_would_not_help() -> None:
    found = read_limit(limit(), minutes(*[(5, 100)] * 5, blue=(50, 1000)))

    assert found.reading.verdict is Verdict.FAIL
    assert found.blue_too


def test_when_green_is_surely_worse_than_a_bad_blue_going_back_helps() -> None:
    found = read_limit(limit(), minutes(*[(50, 100)] * 5, blue=(50, 1000)))

    assert found.reading.verdict is Verdict.FAIL
    assert not found.blue_too


def test_in_a_bad_hour_a_green_that_looks_a_little_worse_is_not_taken_back() -> None:
    found = read_limit(limit(), minutes(*[(9, 100)] * 5, blue=(50, 1000)))

    assert found.reading.verdict is Verdict.FAIL
    assert found.blue_too


def test_a_minute_after_a_bad_hour_green_is_not_blamed_for_it() -> None:
    hour = minutes(*[(6, 100)] * 5, blue=(60, 1000))
    after = replace(hour[-1], arms={**hour[-1].arms, Arm.BLUE: counts(1, 1000)})
    found = read_limit(limit(), [*hour[:-1], after])

    assert found.reading.verdict is Verdict.FAIL
    assert found.blue_too


def test_without_enough_requests_blue_excuses_nothing() -> None:
    found = read_limit(limit(), minutes(*[(5, 100)] * 5, blue=(1, 10)))

    assert not found.blue_too


def test_the_first_bad_sign_may_be_older_than_the_window() -> None:
    found = read_limit(limit(), minutes((0, 100), (0, 0), *[(9, 100)] * 7))

    assert found.first_bad_at == NOON + timedelta(minutes=3)


PHASE = Phase(name="few", about="", weight_percent=10, dwell_s=60, minimum_requests=100)


def measure(bad: int = 0, requests: int = 0, **changes: object) -> PhaseMeasure:
    parts = {"green": counts(bad, requests), "watched_s": 100.0, "healthy_s": 100.0, "restarts": 0}
    return PhaseMeasure(**(parts | changes))


@pytest.mark.parametrize(
    ("bad", "requests", "expected"),
    [
        (0, 99, Verdict.NOT_YET),
        (0, 100, Verdict.PASS),
        (5, 1000, Verdict.PASS),
        (6, 1000, Verdict.NOT_YET),
        (20, 1000, Verdict.FAIL),
    ],
)
def test_a_requirement_is_met_missed_or_open(bad: int, requests: int, expected: Verdict) -> None:
    bound = Bound(metric=Metric.ERRORS, relation="<", value=0.5)

    assert read_requirement(bound, PHASE, measure(bad, requests)).verdict is expected


def test_what_has_no_source_cannot_be_told() -> None:
    bound = Bound(metric=Metric.CACHE_HITS, relation=">", value=70)

    assert read_requirement(bound, PHASE, measure(0, 1000)).verdict is Verdict.CANNOT_TELL


@pytest.mark.parametrize(
    ("healthy_s", "expected"), [(100.0, Verdict.PASS), (99.95, Verdict.PASS), (99.0, Verdict.FAIL)]
)
def test_uptime_is_the_share_of_time_with_a_healthy_host(healthy_s: float, expected: Verdict) -> None:
    bound = Bound(metric=Metric.UPTIME, relation=">", value=99.9)

    assert read_requirement(bound, PHASE, measure(healthy_s=healthy_s)).verdict is expected
    assert read_requirement(bound, PHASE, measure(watched_s=0.0)).verdict is Verdict.NOT_YET


def test_restarts_that_are_unknown_cannot_be_told() -> None:
    bound = Bound(metric=Metric.RESTARTS, relation="<", value=1)

    assert read_requirement(bound, PHASE, measure(restarts=None)).verdict is Verdict.CANNOT_TELL
    assert read_requirement(bound, PHASE, measure(restarts=0)).verdict is Verdict.PASS
    assert read_requirement(bound, PHASE, measure(restarts=1)).verdict is Verdict.FAIL
