"""The clock: it tells UTC, and whoever sets the clock of the machine does not move it."""

from datetime import UTC, datetime, timedelta

from tranche.adapters.clock import WallClock

NOON = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)


def test_it_tells_the_time() -> None:
    before = datetime.now(UTC)
    told = WallClock().now()

    assert before <= told <= datetime.now(UTC)


def test_a_clock_that_is_set_moves_neither_dwell_nor_freshness() -> None:
    wall, passed_s = [NOON], [1000.0]
    clock = WallClock(wall=lambda: wall[0], passed_s=lambda: passed_s[0])
    assert clock.now() == NOON
    wall[0] = NOON - timedelta(hours=1)
    passed_s[0] += 7.0

    assert clock.now() == NOON + timedelta(seconds=7)
    assert WallClock(wall=lambda: wall[0], passed_s=lambda: passed_s[0]).now() == NOON - timedelta(hours=1)
