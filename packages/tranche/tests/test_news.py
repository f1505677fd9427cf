"""What people are told, made from the log alone: every matter is opened once, and over when it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tranche.events import Held, PhaseEntered, RollbackDecided, RolledBack, Started, SteppedBack, encode
from tranche.language import parse
from tranche.news import News, Reader, is_wanted, read_on
from tranche.plan import Plan
from tranche.ports import Arm, Recorded, Verdict
from tranche.routes import Route, Severity, SlackTo, Topic
from tranche.secret import Secret

if TYPE_CHECKING:
    from conftest import Bed

PAGE = Held(key="fail: errors", verdict="fail", reason="3 % errors", page=True)
DWELL = Held(key="not yet: dwell", verdict="not yet", reason="5s of 20s", page=False)
BLIND = Held(key="cannot tell: signals", verdict="cannot tell", reason="no counters", page=False)
PAUSED = Held(key="paused", verdict="not yet", reason="paused by ann", page=False)
FEW = PhaseEntered(phase=1, name="few", weight_percent=10.0, internal_only=False, reason="gates passed")
BACK = SteppedBack(phase=1, name="few", weight_percent=10.0, cause="limit", reason="slow", numbers={})
DECIDED = RollbackDecided(cause="judge", reason="5 % errors", first_bad_at=None, numbers={})
DONE = RolledBack(green="stopped")


@pytest.fixture
def asking(bed: Bed, make_bed: Callable[..., Bed]) -> Bed:
    """A world whose first phase asks a person at its end."""
    gate = "{name: owner, kind: approval, at: end}"
    return make_bed(text=bed.text.replace("at: end, retry: 3s}]", f"at: end, retry: 3s}}, {gate}]"))


def told(bed: Bed, *events: object, plan: Plan | None = None) -> list[News]:
    """What is told of these events behind the start."""
    started = Started(plan=bed.text, plan_file="p", plan_digest="d", version="1.1.0", salt="s")
    new = [encode(event, at=bed.clock.now(), actor="ann") for event in (started, *events)]  # type: ignore[arg-type]
    return read_all(plan or bed.plan, bed.log.append("small-1", after=0, events=new))


def read_all(plan: Plan, recorded: list[Recorded]) -> list[News]:
    reader, found = Reader(plan=plan), []
    for each in recorded:
        reader, news = read_on(reader, each)
        found += news
    return found


def brief(found: list[News]) -> list[tuple[str, str | None, bool]]:
    return [(news.title.removeprefix("small-1: "), news.matter, news.is_over) for news in found[1:]]


def test_a_decision_that_is_needed_is_one_matter_until_it_is_over(bed: Bed) -> None:
    again = replace(PAGE, key="fail: uptime")
    found = told(bed, PAGE, again, BLIND, PAUSED, DWELL, PAGE)

    assert [news.key for news in found if news.is_over] == ["small-1/6/over"], "a pause shows nothing"
    assert brief(found) == [
        ("a decision is needed", "small-1/2", False),
        ("a decision is needed", "small-1/2", False),
        ("over (a decision is needed)", "small-1/2", True),
        ("a decision is needed", "small-1/7", False),
    ]


def test_a_rollback_is_a_matter_until_blue_has_everybody(bed: Bed) -> None:
    assert brief(told(bed, FEW, PAGE, DECIDED, DONE)) == [
        ("phase 1", None, False),
        ("a decision is needed", "small-1/3", False),
        ("over (a decision is needed)", "small-1/3", True),
        ("rolling back", "small-1/4", False),
        ("over (rolling back)", "small-1/4", True),
    ]


def test_a_step_back_is_over_when_the_rollout_goes_forward_again(bed: Bed) -> None:
    assert brief(told(bed, BACK, DWELL, FEW)) == [
        ("stepped back", "small-1/2", False),
        ("over (stepped back)", "small-1/2", True),
        ("phase 1", None, False),
    ]


def test_people_are_called_for_an_approval_and_told_when_it_is_given(asking: Bed) -> None:
    waits = Held(key="not yet: gate owner", verdict="not yet", reason="0 of 1 approvals", page=False)
    widened = PhaseEntered(phase=2, name="half", weight_percent=50.0, internal_only=False, reason="")
    found = told(asking, FEW, DWELL, waits, widened)

    assert brief(found) == [
        ("phase 1", None, False),
        ("an approval is needed", "small-1/4", False),
        ("over (an approval is needed)", "small-1/4", True),
        ("phase 2", None, False),
    ]
    assert (found[2].topic, found[2].severity) == (Topic.APPROVAL, Severity.WARNING)


def test_a_gate_that_is_no_approval_calls_nobody(bed: Bed) -> None:
    waiting = Held(key="not yet: gate smoke", verdict="not yet", reason="has not answered", page=False)
    assert brief(told(bed, waiting)) == []


@given(events=st.lists(st.sampled_from([PAGE, DWELL, BLIND, PAUSED, FEW, BACK]), max_size=12))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_key_is_its_own_and_every_end_ends_what_was_told(
    make_bed: Callable[..., Bed], events: list[object]
) -> None:
    found = told(make_bed(), *events)
    open_matter: str | None = None
    for news in found:
        if news.is_over:
            assert news.matter == open_matter
            open_matter = None
        elif news.matter is not None:
            assert open_matter in {None, news.matter}
            open_matter = news.matter
    assert len({news.key for news in found}) == len(found)


def test_a_whole_rollout_that_goes_wrong_is_told_as_it_was(bed: Bed) -> None:
    controller = bed.controller()
    bed.until(controller, lambda progress: progress.stay.name == "half")
    bed.errors[Arm.GREEN] = 0.2
    bed.until(controller, lambda progress: progress.is_finished)
    found = read_all(bed.plan, bed.log.read("small-1"))

    assert [news.title for news in found if news.severity is Severity.CRITICAL] == [
        "small-1: rolling back",
        "small-1: over (rolling back)",
    ]
    assert [news.text for news in found if news.topic is Topic.ROLLBACK][-1].endswith("green stopped")
    assert [news.title for news in found][:2] == ["small-1: started", "small-1: phase 1"]


@pytest.mark.parametrize(
    ("severity", "topics", "wanted"),
    [
        (Severity.CRITICAL, set(), True),
        (Severity.INFO, {Topic.ROLLBACK, Topic.DECISION}, True),
        (Severity.INFO, {Topic.ROLLBACK}, False),
    ],
)
def test_a_route_is_told_by_severity_and_topic(
    bed: Bed, severity: Severity, topics: set[Topic], *, wanted: bool
) -> None:
    route = Route(to=SlackTo(url=Secret(environment="X")), severity=severity, topics=frozenset(topics))
    found = told(bed, PAGE)

    assert is_wanted(found[-1], route) is wanted
    assert is_wanted(found[0], route) is (severity is Severity.INFO and not topics)


def test_what_waits_for_people_is_read_with_the_plan_of_the_rollout(asking: Bed) -> None:
    waits = f"{Verdict.NOT_YET}: gate owner"
    asking.until(asking.controller(), lambda progress: bool(progress.held and progress.held.key == waits))
    found = read_all(parse(asking.text, file="p"), asking.log.read("small-1"))

    assert found[-1].title == "small-1: an approval is needed"
