"""The log is the truth: events survive the way into it and back, and nothing impossible is folded."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tranche.events import (
    TYPES,
    Completed,
    Event,
    GateAnswered,
    PhaseEntered,
    RollbackDecided,
    Started,
    WeightApplied,
    WeightRequested,
    decode,
    encode,
)
from tranche.ports import LogFault, Recorded
from tranche.progress import Progress, State, evolve, fold

NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)
STARTED = Started(plan="text", plan_file="p.yaml", plan_digest="sha256:0", version="1.1.0", salt="salt")


def recorded(position: int, event: Event, actor: str = "controller") -> Recorded:
    new = encode(event, at=NOW, actor=actor)
    data = json.loads(json.dumps(new.data))
    return Recorded(rollout="r-1", position=position, type=new.type, at=new.at, actor=new.actor, data=data)


def folded(*events: Event) -> Progress:
    progress = fold(recorded(position, event) for position, event in enumerate(events, start=1))
    assert progress is not None
    return progress


ENTERED = PhaseEntered(phase=1, name="few", weight_percent=10.0, internal_only=False, reason="why")
ASKED = WeightRequested(identifier="r-1/1", green_weight=1000, internal_to_green=False)
APPLIED = WeightApplied(identifier="r-1/1", took_ms=2.5)
ROLLBACK = RollbackDecided(cause="person", reason="no", first_bad_at=None, numbers={})
BACK = WeightRequested(identifier="r-1/2", green_weight=0, internal_to_green=False)


def test_an_event_comes_back_from_json_as_it_went() -> None:
    for event in (STARTED, ENTERED, ASKED, APPLIED, ROLLBACK):
        assert decode(recorded(1, event)) == event


def test_a_weight_is_entered_only_when_the_data_plane_has_it() -> None:
    asked = folded(STARTED, ENTERED, ASKED)

    assert asked.has_users
    assert asked.stay.entered_at is None
    assert asked.applied is None
    assert folded(STARTED, ENTERED, ASKED, APPLIED).stay.entered_at == NOW


def test_a_confirmation_of_an_older_weight_counts_for_nothing() -> None:
    late = folded(STARTED, ENTERED, ASKED, ROLLBACK, BACK, APPLIED)

    assert late.applied is None
    assert late.rollback is not None
    assert late.rollback.applied_at is None


def test_a_rollback_is_applied_when_its_own_weight_is() -> None:
    done = folded(STARTED, ENTERED, ASKED, ROLLBACK, BACK, replace(APPLIED, identifier="r-1/2"))

    assert done.state is State.ROLLING_BACK
    assert done.rollback is not None
    assert done.rollback.applied_at == NOW


def test_a_second_rollback_changes_nothing_of_the_first() -> None:
    once = folded(STARTED, ENTERED, ASKED, ROLLBACK, BACK)
    twice = evolve(once, recorded(6, replace(ROLLBACK, reason="again")))

    assert twice.rollback == once.rollback


def test_an_answer_of_another_phase_counts_for_nothing() -> None:
    answer = GateAnswered(phase=0, gate="smoke", verdict="pass", reason="-", evidence={}, took_s=1.0)

    assert folded(STARTED, answer).stay.gates["smoke"].verdict == "pass"
    assert not folded(STARTED, ENTERED, ASKED, answer).stay.gates


def test_after_completion_a_rollback_is_still_a_rollback() -> None:
    assert folded(STARTED, ENTERED, ASKED, Completed(reason="-")).state is State.COMPLETED
    assert folded(STARTED, ENTERED, ASKED, Completed(reason="-"), ROLLBACK, BACK).state is State.ROLLING_BACK


@pytest.mark.parametrize(
    ("events", "told"),
    [
        ([recorded(1, ENTERED)], "begins with 'phase-entered/1'"),
        ([recorded(1, STARTED), recorded(3, ENTERED)], "entry 2 of rollout 'r-1' is missing"),
        ([recorded(1, STARTED), recorded(2, STARTED)], "starts twice"),
        ([replace(recorded(1, STARTED), type="started/9")], "a newer tranche wrote it"),
        ([replace(recorded(1, STARTED), data={"plan": "x"})], "it is damaged"),
    ],
)
def test_a_log_that_cannot_be_is_a_fault(events: list[Recorded], told: str) -> None:
    with pytest.raises(LogFault, match=told):
        fold(events)


def test_every_event_has_one_name_with_its_version() -> None:
    assert len(set(TYPES.values())) == len(TYPES)
    assert all(name.endswith("/1") for name in TYPES)
