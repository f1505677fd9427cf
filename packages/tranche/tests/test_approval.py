"""A person's yes is to one version, stay, plan and set of answers; whatever of it changes, it counts no more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tranche import approval
from tranche.approval import (
    AlreadyApproved,
    NotAnApprover,
    NotAskedFor,
    NothingToRevoke,
    NotYetAskedFor,
    OtherEvidence,
    OwnRollout,
)
from tranche.language import parse
from tranche.page import text_of_cases
from tranche.ports import Arm, GateAnswer, Verdict
from tranche.progress import Answered, Progress
from tranche.refusal import Refused
from tranche.shape import WrongValue
from tranche.story import line, told

if TYPE_CHECKING:
    from conftest import Bed

    from tranche.controller import Controller

GATE = "{name: owner, kind: approval, at: end, expires: 10m}"
TEXT = """
name: small
tick: 1s
stale_after: 5s
warm_up: 0s
judge: {false_safety: 40 %}
phases:
  - name: few
    weight: 10 %
    dwell: 10s
    requirements: [errors < 0.5 %]
    gates:
      - {name: scan, kind: command, command: [scan], retry: 2s}
      - GATE
  - {name: all, weight: 100 %, dwell: 5s}
"""


@pytest.fixture
def waiting(make_bed: Callable[..., Bed]) -> Bed:
    return waits(make_bed)


def waits(make_bed: Callable[..., Bed], gate: str = GATE) -> Bed:
    """A rollout started by ann that has shown everything and waits for people."""
    bed = make_bed(TEXT.replace("GATE", gate))
    controller = bed.controller()
    bed.until(controller, in_phase("few"))
    until_people(bed, controller)
    bed.controllers = [controller]  # type: ignore[attr-defined]
    return bed


def until_people(bed: Bed, controller: Controller) -> None:
    """Until everything but people has passed: dwell, gates, requirements, and the judge."""
    for _ in range(200):
        bed.step(controller)
        lacking = getattr(bed.snapshots[-1].decision, "lacking", ())
        if approval.is_all_that_lacks(bed.plan.phases[bed.progress.stay.phase], lacking):
            return
    raise AssertionError(f"people are never all that lacks: {bed.snapshots[-1].decision}")


def in_phase(name: str) -> Callable[[Progress], bool]:
    return lambda progress: progress.stay.name == name and progress.stay.entered_at is not None


def step(bed: Bed, ticks: int = 1) -> None:
    bed.step(bed.controllers[0], ticks)  # type: ignore[attr-defined]


def digest(bed: Bed) -> str:
    return str(bed.desk.case("owner")[0]["digest"])


def approve(bed: Bed, actor: str = "bea", **changes: Any) -> Progress:
    asked = {"gate": "owner", "evidence": digest(bed), "reason": "looks good", "actor": actor} | changes
    return bed.desk.approve(**asked)


def refused(bed: Bed, refusal: type[Refused], ask: Callable[[], object], told: str) -> None:
    before = bed.log.read("small-1")
    with pytest.raises(refusal, match=told):
        ask()
    assert bed.log.read("small-1") == before, "a refused request leaves the log untouched"


def test_the_phase_waits_for_a_yes_and_goes_on_with_it(waiting: Bed) -> None:
    step(waiting, 30)
    assert waiting.progress.stay.name == "few"
    decision = waiting.snapshots[-1].decision
    assert "0 of 1 approvals ('tranche approve owner')" in decision.reason
    approve(waiting)
    step(waiting)

    assert waiting.progress.stay.name == "all"
    gate = waiting.status["phases"][0]["gates"][1]
    assert gate["verdict"] == "pass"
    assert "approved by bea at 09:01 (looks good), until 2026-01-05 09:11" in gate["reason"]


def test_people_are_told_once_that_only_they_are_waited_for(waiting: Bed) -> None:
    step(waiting, 10)
    asked = [text for _, title, text in waiting.notifier.told if "an approval is needed" in title]

    assert len(asked) == 1
    assert "'owner': 0 of 1 approvals" in asked[0]


def test_people_are_not_asked_while_the_judge_is_not_sure(make_bed: Callable[..., Bed]) -> None:
    bed = make_bed(TEXT.replace("GATE", GATE).replace("false_safety: 40 %", "false_safety: 0.01 %"))
    controller = bed.controller()
    bed.until(controller, in_phase("few"))
    bed.step(controller, 30)

    assert "not surely met yet" in bed.snapshots[-1].decision.reason
    assert not [title for _, title, _ in bed.notifier.told if "an approval is needed" in title]
    approve(bed)
    bed.step(controller, 10)
    assert bed.progress.stay.name == "few", "a yes does not stand for the judge's"


def test_the_yes_of_whoever_started_the_rollout_is_refused(waiting: Bed) -> None:
    refused(waiting, OwnRollout, lambda: approve(waiting, "ann"), "ann has started 'small-1'")


def test_a_yes_to_what_was_not_seen_is_refused(waiting: Bed) -> None:
    seen = digest(waiting)

    for evidence in ("", "sha256:", seen[:18], "sha256:" + "0" * 64, seen + "0", "1" + seen[1:]):
        told = "look at it again"
        refused(waiting, OtherEvidence, lambda given=evidence: approve(waiting, evidence=given), told)
    approve(waiting, evidence=seen[:19])
    assert len(waiting.progress.stay.approvals) == 1


def test_a_yes_does_not_count_once_a_gate_answers_something_else(waiting: Bed) -> None:
    waiting.gates["command"].answer = GateAnswer(verdict=Verdict.PASS, reason="2 findings waived")
    seen = digest(waiting)
    stay = waiting.progress.stay
    answered = Answered(verdict=Verdict.PASS, reason="2 findings waived", at=waiting.clock.now())
    approve(waiting)
    progress = waiting.progress
    other = replace(progress.stay, gates={**stay.gates, "scan": answered})
    changed = replace(progress, stays=(*progress.stays[:-1], other))
    phase = waiting.plan.phases[1]

    assert seen == digest(waiting)
    now = waiting.clock.now()
    assert approval.counting(progress, phase, progress.stay, phase.gates[1], now)
    assert not approval.counting(changed, phase, changed.stay, phase.gates[1], now)
    reading = approval.read_approval(changed, phase, changed.stay, phase.gates[1], now, dwelt=True)
    assert "bea's was to other evidence" in reading.reason


@given(
    part=st.sampled_from(["rollout", "version", "plan_digest", "stay", "phase", "name", "weight_percent"]),
    value=st.text(max_size=5),
)
def test_every_part_of_the_evidence_is_in_its_digest(part: str, value: str) -> None:
    evidence: dict[str, Any] = {
        "rollout": "small-1",
        "phase": 1,
        "name": "few",
        "stay": "small-1/1",
        "weight_percent": 10.0,
        "version": "1.1.0",
        "plan_digest": "sha256:ab",
        "gate": "owner",
        "gates": {"scan": {"verdict": "pass", "reason": "0 findings"}},
    }
    before = approval.digest_of(evidence)

    assert approval.digest_of(dict(reversed(evidence.items()))) == before
    assert (approval.digest_of(evidence | {part: value}) == before) == (evidence[part] == value)


def test_a_yes_expires(waiting: Bed) -> None:
    waiting.desk.pause(reason="night", actor="ann")
    approve(waiting)
    phase, progress = waiting.plan.phases[1], waiting.progress
    (given,) = progress.stay.approvals

    assert given.expires_at - given.given_at == timedelta(minutes=10)
    just_before = given.expires_at - timedelta(seconds=1)
    assert approval.counting(progress, phase, progress.stay, phase.gates[1], just_before)
    waiting.clock.sleep(600)
    waiting.desk.resume(reason="day", actor="ann")
    step(waiting, 3)
    assert waiting.progress.stay.name == "few"
    assert "bea's has expired" in waiting.snapshots[-1].decision.reason
    approve(waiting)
    step(waiting)
    assert waiting.progress.stay.name == "all"


def test_a_yes_can_be_taken_back_by_anybody_and_given_again(waiting: Bed) -> None:
    def revoke() -> Progress:
        return waiting.desk.revoke(gate=None, reason="found something", actor="ann")

    refused(waiting, NothingToRevoke, revoke, "nobody has approved 'owner'")
    waiting.desk.pause(reason="", actor="ann")
    approve(waiting)
    refused(waiting, AlreadyApproved, lambda: approve(waiting), "bea has approved 'owner' already")
    revoke()
    waiting.desk.resume(reason="", actor="ann")
    step(waiting, 3)
    assert waiting.progress.stay.name == "few"
    approve(waiting)
    step(waiting)
    assert waiting.progress.stay.name == "all"
    text = "\n".join(line(event) for event in told(waiting.log.read("small-1")))
    assert "approval revoked  ann         owner - found something" in text
    assert "approved          bea         owner, on sha256:" in text


def test_a_yes_to_one_phase_is_none_to_the_next_or_to_the_same_entered_again(
    make_bed: Callable[..., Bed],
) -> None:
    bed = make_bed(
        TEXT.replace("GATE", GATE).replace(
            "dwell: 5s}",
            f"dwell: 5s, gates: [{GATE}]}}\nstep_backs: 2\nlimits: "
            "[{limit: errors > 1 %, sustained: 4s, minimum_requests: 60, answer: step_back}]",
        )
    )
    controller = bed.controller()
    bed.until(controller, in_phase("few"))
    until_people(bed, controller)
    first = digest(bed)
    approve(bed)
    bed.until(controller, in_phase("all"))
    bed.controllers = [controller]  # type: ignore[attr-defined]
    step(bed, 6)
    refused(bed, OtherEvidence, lambda: approve(bed, evidence=first), "look at it again")
    bed.errors = {Arm.GREEN: 0.2}
    bed.until(controller, in_phase("few"))
    bed.errors = {}
    step(bed, 200)

    assert bed.progress.step_backs == 1
    assert bed.progress.stay.name == "few"
    assert bed.progress.stay.approvals == ()
    refused(bed, OtherEvidence, lambda: approve(bed, evidence=first), "look at it again")


def test_an_approval_at_the_end_is_asked_for_at_the_end(make_bed: Callable[..., Bed]) -> None:
    bed = make_bed(TEXT.replace("GATE", GATE))
    controller = bed.controller()
    bed.until(controller, in_phase("few"))
    bed.step(controller, 3)

    refused(bed, NotYetAskedFor, lambda: approve(bed), "once users are on it and the dwell is over")
    assert "is asked for once the dwell is over" in bed.status["phases"][0]["gates"][1]["reason"]


def test_a_phase_that_asks_nobody_says_so(make_bed: Callable[..., Bed]) -> None:
    bed = make_bed()
    bed.step(bed.controller(), 2)

    refused(bed, NotAskedFor, lambda: approve(bed), "'staging' asks nobody")
    refused(bed, NotAskedFor, lambda: bed.desk.revoke(gate=None, reason="", actor="bea"), "asks nobody")


def test_two_people_are_two_people_and_only_those_named(make_bed: Callable[..., Bed]) -> None:
    gate = "{name: owner, kind: approval, people: 2, approvers: [bea, cem, ann]}"
    bed = waits(make_bed, gate)
    refused(bed, NotAnApprover, lambda: approve(bed, "dan"), "by bea, cem, ann; found dan")
    refused(bed, OwnRollout, lambda: approve(bed, "ann"), "ann has started")
    approve(bed)
    refused(bed, AlreadyApproved, lambda: approve(bed), "already")
    step(bed, 3)
    assert bed.progress.stay.name == "few"
    refused(bed, NotAskedFor, lambda: approve(bed, "cem", gate="other"), "asks for: owner; name one")
    approve(bed, "cem")
    step(bed)

    assert bed.progress.stay.name == "all"


def test_nothing_else_is_overridden_by_a_yes(waiting: Bed) -> None:
    waiting.signals.fault = "away"
    step(waiting, 8)
    approve(waiting)
    step(waiting, 10)

    assert waiting.progress.stay.name == "few"


def test_the_event_keeps_what_was_seen(waiting: Bed) -> None:
    approve(waiting)
    (event,) = [event for event in waiting.log.read("small-1") if event.type == "approval-given/1"]

    assert event.actor == "bea"
    assert approval.digest_of(dict(event.data["evidence"])) == event.data["digest"]  # type: ignore[call-overload]
    assert event.data["evidence"]["gates"]["scan"]["verdict"] == "pass"  # type: ignore[index]
    for check in ("errors < 0.5 %", "errors < 0.5 %, surely", "judge"):
        assert event.data["checks"][check]["verdict"] == "pass"  # type: ignore[index]


def test_what_a_person_is_shown_names_the_evidence_and_how_to_say_yes(waiting: Bed) -> None:
    text = text_of_cases("small-1", waiting.desk.case())

    assert "small-1: version 1.1.0, few at 10 % (small-1/1)" in text
    assert "✓ gate scan                        as told" in text
    assert "✓ errors < 0.5 %" in text
    assert "may: anybody but ann; counts 10m" in text
    assert f"tranche approve owner --evidence {digest(waiting)}" in text
    assert max(len(each) for each in text.splitlines()[:-1]) <= 100


def test_a_plan_that_asks_for_more_people_than_there_are_is_refused() -> None:
    text = TEXT.replace("GATE", "{name: owner, kind: approval, people: 2, approvers: [bea, bea]}")
    with pytest.raises(WrongValue, match="2 people must say yes, and 1 may"):
        parse(text, file="p.yaml")
