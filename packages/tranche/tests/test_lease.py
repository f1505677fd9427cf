"""One suite for every lease: one holder at a time, who loses it by doing nothing, and is fenced from then on."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tranche.adapters.fenced import FencedEnvironment, FencedTraffic
from tranche.adapters.memory import MemoryLease, MemoryLog
from tranche.adapters.postgres import Database
from tranche.adapters.postgres_log import PostgresLease, PostgresLog
from tranche.beside import stop_green
from tranche.ports import Colour, EventLog, LeaseLost, LogFault, NewEvent, Split
from tranche.progress import Progress, State

if TYPE_CHECKING:
    from conftest import Bed

LENGTH_S = 0.6


@dataclass(frozen=True)
class Site:
    """A place with controllers: `lease` makes one of a controller's own, `wait` until the first has ended."""

    lease: Callable[[], Any]
    log: Callable[[Any], EventLog]
    wait: Callable[[Any], None]


class FencedMemoryLog(MemoryLog):
    """The log of one controller, over what all of them share."""

    def __init__(self, shared: MemoryLog, lease: MemoryLease) -> None:
        super().__init__()
        self._rollouts, self._lease = shared._rollouts, lease

    def append(self, rollout: str, *, after: int, events: Any) -> Any:
        self._lease.renew()
        return super().append(rollout, after=after, events=events)


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.integration)])
def site(request: pytest.FixtureRequest) -> Site:
    if request.param == "memory":
        now_s = [0.0]
        first, log = MemoryLease(lambda: now_s[0], length_s=LENGTH_S), MemoryLog()

        def pass_by(_: Any) -> None:
            now_s[0] += LENGTH_S

        return Site(lease=first.beside, log=lambda lease: FencedMemoryLog(log, lease), wait=pass_by)
    database: Database = request.getfixturevalue("database")

    def wait(other: Any) -> None:
        """Until the database says that nobody has it. Nobody takes it."""
        deadline_s = time.monotonic() + 10
        while other.is_held_elsewhere():
            assert time.monotonic() < deadline_s, "it never ended"

    return Site(
        lease=lambda: PostgresLease(database, length_s=LENGTH_S),
        log=lambda lease: PostgresLog(database, lease),
        wait=wait,
    )


def event(bed: Bed) -> NewEvent:
    return NewEvent(type="thing/1", at=bed.clock.now(), actor="ann", data={})


def test_one_has_it_and_the_others_do_not(site: Site) -> None:
    first, second = site.lease(), site.lease()

    assert first.acquire(wait_s=0)
    assert not second.acquire(wait_s=0)
    assert (first.is_held_elsewhere(), second.is_held_elsewhere()) == (False, True)
    first.demand()
    with pytest.raises(LeaseLost):
        second.demand()
    with pytest.raises(LeaseLost):
        second.renew()


def test_who_lets_go_is_followed_at_once(site: Site) -> None:
    first, second = site.lease(), site.lease()
    assert first.acquire(wait_s=0)
    first.release()

    assert second.acquire(wait_s=0)
    with pytest.raises(LeaseLost):
        first.demand()
    first.release()
    second.renew()


def test_who_has_lost_it_appends_nothing_and_takes_nothing_from_its_successor(site: Site, bed: Bed) -> None:
    first, second, third = site.lease(), site.lease(), site.lease()
    assert first.acquire(wait_s=0)
    site.log(first).append("r-1", after=0, events=[event(bed)])
    site.wait(third)
    assert second.acquire(wait_s=0)

    with pytest.raises(LeaseLost):
        site.log(first).append("r-1", after=1, events=[event(bed)])
    with pytest.raises(LeaseLost):
        first.demand()
    first.release()
    assert len(site.log(second).append("r-1", after=1, events=[event(bed)])) == 1
    assert [each.position for each in site.log(second).read("r-1")] == [1, 2]


def test_a_lease_that_has_ended_is_lost_although_nobody_has_taken_it(site: Site, bed: Bed) -> None:
    first = site.lease()
    assert first.acquire(wait_s=0)
    site.wait(site.lease())

    with pytest.raises(LeaseLost):
        site.log(first).append("r-1", after=0, events=[event(bed)])
    assert site.log(first).read("r-1") == []
    assert first.acquire(wait_s=0)
    assert len(site.log(first).append("r-1", after=0, events=[event(bed)])) == 1


@pytest.mark.integration
def test_a_standby_takes_over_within_two_ticks_and_not_before_the_lease_has_ended(database: Database) -> None:
    tick_s = 0.8
    first, second = (PostgresLease(database, length_s=1.5 * tick_s) for _ in range(2))
    took_s = []
    for _ in range(3):
        assert first.acquire(wait_s=0)
        first.renew()
        began_s = time.monotonic()
        assert second.acquire(wait_s=10)
        took_s.append(time.monotonic() - began_s)
        with pytest.raises(LeaseLost):
            first.renew()
        second.release()

    # The median: this machine may be busy with something else for a moment.
    assert sorted(took_s)[1] < 2 * tick_s
    assert min(took_s) > 1.4 * tick_s


@pytest.mark.integration
def test_a_lease_is_held_for_no_longer_than_the_database_holds_it(database: Database) -> None:
    """By its holder's own count it ends first, however long the answer of the database took."""
    now_s = [0.0]

    class Slow:
        def transaction(self, work: Any) -> Any:
            answer = database.transaction(work)
            now_s[0] += LENGTH_S
            return answer

    slow: Any = Slow()
    lease = PostgresLease(slow, length_s=LENGTH_S, counted_s=lambda: now_s[0])
    assert lease.acquire(wait_s=0)
    with pytest.raises(LeaseLost):
        lease.demand()
    lease.renew()
    with pytest.raises(LeaseLost):
        lease.demand()


# Controllers.


@dataclass
class Pair:
    """Two controllers of one rollout, on one machine's world."""

    bed: Bed
    first: Any
    second: Any
    now_s: list[float]


def fenced(bed: Bed, lease: MemoryLease) -> Any:
    return bed.controller(
        log=FencedMemoryLog(bed.log, lease),
        traffic=FencedTraffic(bed.traffic, lease),
        environment=FencedEnvironment(bed.environment, lease),
        lease=lease,
    )


def taken_over(bed: Bed, until: Callable[[Progress], bool]) -> Pair:
    """The first is frozen, and the second has it."""
    now_s = [0.0]
    lease = MemoryLease(lambda: now_s[0], length_s=1.5)
    other = lease.beside()
    assert lease.acquire(wait_s=0)
    first = fenced(bed, lease)
    bed.until(first, until)
    now_s[0] += 2.0
    assert other.acquire(wait_s=0)
    return Pair(bed=bed, first=first, second=fenced(bed, other), now_s=now_s)


def in_half(progress: Progress) -> bool:
    return progress.stay.name == "half" and progress.stay.entered_at is not None


def test_a_controller_that_has_lost_its_lease_ends_and_does_nothing_more(bed: Bed) -> None:
    pair = taken_over(bed, in_half)
    weights, events = list(bed.weights), bed.log.read("small-1")
    bed.step(pair.first, 3)

    assert pair.first.is_done
    assert pair.first.has_lost_lease
    assert bed.weights == weights
    assert bed.log.read("small-1") == events
    assert bed.until(pair.second, lambda progress: progress.is_finished).state is State.COMPLETED


def test_the_emergency_of_a_log_that_cannot_be_written_is_none_of_a_lost_lease(bed: Bed) -> None:
    pair = taken_over(bed, in_half)
    weights = list(bed.weights)
    bed.environment.restarts = 9
    pair.first._drain()
    pair.first.world.lease.renew = lambda: None  # it looked right before it was frozen
    bed.step(pair.first, 3)

    assert pair.first.has_lost_lease
    assert bed.weights == weights


def test_a_split_is_not_moved_and_a_version_not_stopped_without_the_lease(bed: Bed) -> None:
    lease = MemoryLease(lambda: 0.0, length_s=1.5)
    split = Split(identifier="r/0", salt="s", green_weight=0, internal_to_green=False)

    with pytest.raises(LeaseLost):
        FencedTraffic(bed.traffic, lease).apply(split)
    environment = FencedEnvironment(bed.environment, lease)
    with pytest.raises(LeaseLost):
        environment.ensure(Colour.GREEN, "1.1.0")
    with pytest.raises(LeaseLost):
        environment.retire(Colour.GREEN)
    stopped = stop_green(environment, "1.1.0")
    assert stopped.trouble is not None
    assert "another controller may act" in stopped.trouble, "a job beside the loop never raises"
    assert bed.environment.versions == {}
    assert bed.weights == []
    assert bed.environment.retired == []
    assert issubclass(LeaseLost, LogFault)
