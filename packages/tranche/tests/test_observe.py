"""What was seen, and of which stay: nothing that was counted before a weight was served is evidence of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from tranche.controller import Controller
from tranche.events import Measured, decode
from tranche.limits import Reading
from tranche.observe import gather, recalled
from tranche.ports import Arm, LogFault, Split, TrafficFault, Verdict
from tranche.progress import Progress, whole

if TYPE_CHECKING:
    from conftest import Bed

TEXT = """
name: small
tick: 1s
stale_after: 9s
share_tolerance: 5 %
warm_up: 0s
step_backs: 1
judge: {false_safety: 40 %}
health: {ready_within: 30s, unhealthy_for: 60s, restarts: 2}
limits:
  - {limit: latency_p95 > 500 ms, sustained: 8s, minimum_requests: 30, answer: step_back}
phases:
  - {name: few, weight: 10 %, dwell: 20s, requirements: [errors < 0.5 %, uptime > 99 %]}
  - {name: half, weight: 50 %, dwell: 20s, requirements: [errors < 0.5 %, uptime > 99 %]}
  - {name: all, weight: 100 %, dwell: 3s, requirements: [uptime > 99 %]}
"""


def in_phase(name: str) -> Callable[[Progress], bool]:
    return lambda progress: progress.stay.name == name and progress.stay.entered_at is not None


def enters(name: str) -> Callable[[Progress], bool]:
    """It is decided, and the data plane has not confirmed it."""
    return lambda progress: progress.stay.name == name and progress.stay.entered_at is None


def refuse(split: Split) -> None:
    raise TrafficFault(f"{split.identifier} is refused")


@pytest.fixture
def bed(make_bed: Callable[..., Bed]) -> Bed:
    return make_bed(TEXT)


def forward(bed: Bed) -> tuple[Controller, Progress]:
    controller = bed.controller()
    bed.until(controller, in_phase("few"))
    bed.traffic.apply = refuse  # type: ignore[method-assign]
    return controller, bed.until(controller, enters("half"))


def stepped_back(bed: Bed) -> tuple[Controller, Progress]:
    controller = bed.controller()
    bed.until(controller, in_phase("half"))
    bed.step(controller, 3)
    bed.latency_ms = {Arm.GREEN: 900.0, Arm.BLUE: 40.0}
    bed.traffic.apply = refuse  # type: ignore[method-assign]
    return controller, bed.until(controller, enters("few"))


def replaced(bed: Bed) -> tuple[Controller, Progress]:
    controller = bed.controller()
    bed.until(controller, in_phase("half"))
    bed.step(controller, 3)
    return controller, bed.desk.retarget(version="1.2.0", reason="the fix", actor="ann")


def taken_over(bed: Bed) -> tuple[Controller, Progress]:
    """The controller dies between its decision and the act; the next one finds what it has counted."""
    controller, progress = forward(bed)
    bed.step(controller)
    assert bed.memory is not None
    assert bed.memory["stay"] != progress.stay.identifier
    return bed.controller(), progress


MOVES = [forward, stepped_back, replaced, taken_over]


def verdicts(readings: tuple[Reading, ...]) -> dict[str, Verdict]:
    return {reading.name: reading.verdict for reading in readings}


@pytest.mark.parametrize("move", MOVES)
def test_what_was_counted_in_the_stay_before_is_no_evidence_of_the_next(
    bed: Bed, move: Callable[[Bed], tuple[Controller, Progress]]
) -> None:
    controller, progress = move(bed)
    assert controller.seen.arms or move is taken_over, "it would be there to be taken for the next one's"
    evidence = gather(bed.plan, progress, controller.seen)

    assert evidence.arms == {}
    assert set(verdicts(evidence.requirements).values()) <= {Verdict.NOT_YET}
    assert evidence.share is None or evidence.share.numbers["green"] == 0


def test_what_was_counted_in_a_stay_is_evidence_of_it(bed: Bed) -> None:
    controller = bed.controller()
    bed.until(controller, in_phase("half"))
    bed.step(controller, 10)
    evidence = bed.snapshots[-1].evidence

    assert evidence.arms[Arm.GREEN].requests > 400
    assert set(verdicts(evidence.requirements).values()) == {Verdict.PASS}


def test_what_is_taken_back_before_its_weight_was_served_has_measured_nothing(bed: Bed) -> None:
    """Else the requests of the stay before would stand in the log twice, and count twice."""
    controller, _ = forward(bed)
    bed.environment.restarts = 9
    bed.until(controller, lambda progress: progress.rollback is not None)
    measured = [event for each in bed.log.read("small-1") if isinstance(event := decode(each), Measured)]

    assert [bool(event.arms) for event in measured] == [False, True, False], "staging, few, half"


def test_a_controller_that_was_frozen_when_its_weight_was_served_looks_before_it_goes_on(bed: Bed) -> None:
    """The weight is served and recorded, the log falls silent, and the dwell is over when anybody looks again."""
    controller = bed.controller()
    bed.until(controller, in_phase("half"))
    read = bed.log.read
    served: list[int] = []

    def silent(rollout: str, *, after: int = 0) -> Any:
        found = read(rollout, after=after)
        if in_phase("all")(whole(read(rollout))):
            served.append(after)
            raise LogFault("input/output error")
        return found

    bed.log.read = silent  # type: ignore[method-assign]
    for _ in range(200):
        bed.step(controller)
        if served:
            break
    bed.log.read = read  # type: ignore[method-assign]
    bed.clock.sleep(4.0)
    position = bed.progress.position
    bed.step(controller)

    assert served
    assert in_phase("all")(bed.progress)
    assert "completed/1" not in [each.type for each in bed.log.read("small-1", after=position)]
    ended = bed.until(controller, lambda progress: progress.is_finished)
    assert ended.completed_at is not None


def test_totals_that_an_earlier_controller_has_counted_go_on_in_their_own_stay_alone(bed: Bed) -> None:
    controller = bed.controller()
    bed.until(controller, in_phase("few"))
    bed.step(controller, 5)
    memory, few = bed.memory, bed.progress
    bed.until(controller, in_phase("half"))
    now = bed.clock.now()

    kept = recalled(memory, plan=bed.plan, progress=few, now=now)
    gone = recalled(memory, plan=bed.plan, progress=bed.progress, now=now)
    assert gather(bed.plan, few, kept).arms[Arm.GREEN].requests > 40
    assert gather(bed.plan, bed.progress, gone).arms == {}
