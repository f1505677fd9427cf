"""In a freeze nothing goes forward, and what must goes back; when it is frozen is what a clock on the wall says."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tranche import language
from tranche.desk import AlreadyHotfix, NothingFrozen
from tranche.freeze import Freeze, covering
from tranche.page import text_of_status
from tranche.ports import Arm
from tranche.progress import Progress, State
from tranche.shape import FileRefused

if TYPE_CHECKING:
    from conftest import Bed

BERLIN = ZoneInfo("Europe/Berlin")


def freezes(*windows: str) -> tuple[Freeze, ...]:
    text = "name: p\nfreeze:\n" + "".join(f"  - {{{window}}}\n" for window in windows)
    return language.parse(text + "phases: [{name: all, weight: 100 %, dwell: 1h}]\n", file="p.yaml").freezes


def at(text: str, zone: ZoneInfo = BERLIN) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)


WEEKEND = "from: fri 16:00, until: mon 08:00, zone: Europe/Berlin"
NIGHT = 'from: "22:00", until: "06:00", zone: Europe/Berlin'
YEAR_END = "from: 2026-12-23 18:00, until: 2027-01-02, zone: Europe/Berlin"


@pytest.mark.parametrize(
    ("window", "local", "frozen"),
    [
        (WEEKEND, "2026-01-09 15:59", False),
        (WEEKEND, "2026-01-09 16:00", True),
        (WEEKEND, "2026-01-11 23:59", True),
        (WEEKEND, "2026-01-12 07:59", True),
        (WEEKEND, "2026-01-12 08:00", False),
        ("from: tue, until: thu, zone: Europe/Berlin", "2026-01-05 23:59", False),
        ("from: tue, until: thu, zone: Europe/Berlin", "2026-01-06 00:00", True),
        ("from: tue, until: thu, zone: Europe/Berlin", "2026-01-08 00:00", False),
        (NIGHT, "2026-01-05 21:59", False),
        (NIGHT, "2026-01-05 22:00", True),
        (NIGHT, "2026-01-06 05:59", True),
        (NIGHT, "2026-01-06 06:00", False),
        (NIGHT, "2026-10-25 02:30", True),  # the hour that comes twice
        (YEAR_END, "2026-12-23 17:59", False),
        (YEAR_END, "2026-12-23 18:00", True),
        (YEAR_END, "2027-01-01 23:59", True),
        (YEAR_END, "2027-01-02 00:00", False),
        (YEAR_END, "2027-12-24 12:00", False),
    ],
)
def test_it_is_frozen_from_its_begin_up_to_its_end(window: str, local: str, frozen: bool) -> None:
    assert (covering(freezes(window), at(local)) is not None) == frozen


def test_the_zone_is_that_of_the_plan() -> None:
    nine_in_tokyo = datetime(2026, 1, 5, 0, 30, tzinfo=UTC)

    assert covering(freezes('from: "09:00", until: "10:00", zone: Asia/Tokyo'), nine_in_tokyo)
    assert not covering(freezes('from: "09:00", until: "10:00"'), nine_in_tokyo)


@given(st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)), st.integers(0, 6), st.integers(0, 1439))  # noqa: DTZ001 - the zone comes with the strategy's use
def test_a_week_is_split_into_the_frozen_and_the_rest(moment: datetime, day: int, minute: int) -> None:
    names = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    clock = f"{names[day]} {minute // 60:02}:{minute % 60:02}"
    if clock == "wed 12:00":
        return
    inside = freezes(f"from: {clock}, until: wed 12:00")
    outside = freezes(f"from: wed 12:00, until: {clock}")
    now = moment.replace(tzinfo=UTC)

    assert (covering(inside, now) is None) != (covering(outside, now) is None)
    assert (covering(inside, now) is None) == (covering(inside, now + timedelta(days=7)) is None)


@pytest.mark.parametrize(
    ("window", "told"),
    [
        ("from: fri 16:00, until: 2026-01-01", "recurs in two ways"),
        ("from: fri 16:00, until: 08:00", "recurs in two ways"),
        ("from: fri 16:00, until: fri 16:00", "has no length"),
        ("from: 2026-12-24, until: 2026-12-23", "let it end after it begins"),
        ("from: 2026-02-30, until: 2026-03-01", "there is no day '2026-02-30'"),
        ("from: friday, until: mon", "expected a moment"),
        ("from: fri 24:00, until: mon", "expected a moment"),
        ("from: fri 16, until: mon", "expected a moment"),
        ("from: fri, until: mon, zone: Europe", "unknown time zone 'Europe'"),
        ("from: fri, until: mon, zone: ../etc", "unknown time zone"),
        ("from: fri, until: mon, zone: Europe/Bärlin", "write one such as Europe/Berlin"),
        ("from: fri", "'until' is missing"),
    ],
)
def test_a_freeze_that_cannot_be_is_refused_with_its_line(window: str, told: str) -> None:
    with pytest.raises(FileRefused, match=r"^p.yaml:3: ") as refused:
        freezes(window)

    assert told in str(refused.value)


FROZEN = """
name: small
tick: 1s
stale_after: 5s
warm_up: 0s
judge: {false_safety: 40 %}
limits: [{limit: errors > 1 %, sustained: 8s, minimum_requests: 30}]
freeze: [{from: "09:00", until: "10:00", about: month end}]
phases:
  - {name: few, weight: 10 %, dwell: 5s, internal_users_first: 5s}
  - {name: all, weight: 100 %, dwell: 5s}
"""  # the clock of the test bed begins at 09:00


def entered(name: str) -> Callable[[Progress], bool]:
    return lambda progress: progress.stay.name == name and progress.stay.entered_at is not None


def frozen_bed(make_bed: Callable[..., Bed], begins: str = "09:00") -> Bed:
    return make_bed(FROZEN.replace('"09:00"', f'"{begins}"'))


def test_nothing_goes_forward_in_a_freeze_and_all_goes_on_after_it(make_bed: Callable[..., Bed]) -> None:
    bed = frozen_bed(make_bed)
    controller = bed.controller()
    bed.step(controller, 120)
    assert bed.progress.state is State.STAGING
    assert bed.weights == [0]
    assert "frozen from 09:00 to 10:00 UTC (month end): nothing goes forward" in str(
        bed.snapshots[-1].decision
    )
    assert "! frozen from 09:00 to 10:00 UTC (month end)" in text_of_status(bed.status)
    bed.clock.sleep(3600)

    assert bed.until(controller, lambda progress: progress.is_finished).state is State.COMPLETED


def test_internal_users_are_not_followed_by_others_in_a_freeze(make_bed: Callable[..., Bed]) -> None:
    bed = frozen_bed(make_bed, "09:01")
    controller = bed.controller()
    bed.until(controller, entered("few"))
    assert bed.progress.stay.internal_only
    bed.clock.sleep(60)
    bed.step(controller, 60)

    assert bed.progress.stay.internal_only


def test_a_rollout_is_not_complete_in_a_freeze_because_that_may_retire_blue(
    make_bed: Callable[..., Bed],
) -> None:
    bed = frozen_bed(make_bed, "09:01")
    controller = bed.controller()
    bed.until(controller, entered("all"))
    bed.clock.sleep(60)
    bed.step(controller, 60)

    assert not bed.progress.is_finished


def test_a_bad_version_is_taken_back_in_a_freeze(make_bed: Callable[..., Bed]) -> None:
    bed = frozen_bed(make_bed, "09:01")
    controller = bed.controller()
    bed.until(controller, entered("all"))
    bed.clock.sleep(60)
    bed.errors = {Arm.GREEN: 0.2}

    assert bed.until(controller, lambda progress: progress.is_finished, ticks=30).state is State.ROLLED_BACK


def test_a_hotfix_goes_forward_in_a_freeze_and_the_log_says_who_and_why(make_bed: Callable[..., Bed]) -> None:
    bed = frozen_bed(make_bed)
    controller = bed.controller()
    bed.step(controller, 10)
    assert bed.progress.state is State.STAGING
    bed.desk.hotfix(reason="customers cannot pay", actor="bea")

    assert bed.until(controller, lambda progress: progress.is_finished).state is State.COMPLETED
    (event,) = [event for event in bed.log.read("small-1") if event.type == "hotfix-declared/1"]
    assert (event.actor, event.data) == ("bea", {"reason": "customers cannot pay"})
    assert bed.status["freeze"] == {"frozen": "09:00 to 10:00 UTC (month end)", "hotfix_by": "bea"}
    with pytest.raises(AlreadyHotfix, match="bea has declared it") as refused:
        make_hotfix_again(make_bed)
    assert refused.value.code == "already-hotfix"


def make_hotfix_again(make_bed: Callable[..., Bed]) -> None:
    bed = frozen_bed(make_bed)
    bed.desk.start(bed.plan, text=bed.text, file="p", version="2", actor="bea", hotfix="now")
    assert bed.progress.hotfix_by == "bea"
    bed.desk.hotfix(reason="again", actor="ann")


def test_a_hotfix_where_nothing_is_frozen_is_refused_and_nothing_is_recorded(bed: Bed) -> None:
    with pytest.raises(NothingFrozen):
        bed.desk.start(bed.plan, text=bed.text, file="p", version="2", actor="ann", hotfix="now")
    assert bed.log.rollouts() == []
    bed.step(bed.controller(), 2)
    before = bed.log.read("small-1")
    with pytest.raises(NothingFrozen):
        bed.desk.hotfix(reason="now", actor="ann")
    assert bed.log.read("small-1") == before
