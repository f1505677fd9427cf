"""The way back was rehearsed when another site's log shows it: this version, with users, soon enough, not long ago."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tranche.adapters.drill import DrillGate
from tranche.adapters.memory import VirtualClock
from tranche.adapters.sqlite import SqliteLog
from tranche.beside import run_gate
from tranche.decide import RollBack
from tranche.events import Event, RolledBack, WeightApplied, encode
from tranche.language import parse
from tranche.moves import roll_back
from tranche.ports import Arm, GateAnswer, LogFault, Verdict

if TYPE_CHECKING:
    from conftest import Bed


@pytest.fixture
def staging(make_bed: Callable[..., Bed], tmp_path: Path) -> Bed:
    """A site whose event log is a file, as real ones are."""
    bed = make_bed()
    bed.log = SqliteLog(tmp_path / "rollout.sqlite")  # type: ignore[assignment]
    return bed


def ask(staging: Bed, tmp_path: Path, settings: str = "", *, version: str = "1.1.0", **at: Any) -> GateAnswer:
    text = f"""
name: small
phases:
  - name: all
    weight: 100 %
    dwell: 1h
    gates: [{{name: way-back, kind: drill, site: staging{settings}}}]
"""
    (gate,) = parse(text, file="p.yaml").phases[1].gates
    clock = VirtualClock(at.get("now", staging.clock.now()))
    gates = {"drill": DrillGate({"staging": tmp_path / "rollout.sqlite"}, clock)}
    subject = {"rollout": "finance-1", "version": version, "phase": "all", "gate": "way-back"}
    return run_gate(gates, gate, subject)


def rehearse(staging: Bed, *, until: str = "half", ticks: int = 3) -> None:
    controller = staging.controller()
    staging.until(
        controller, lambda progress: progress.stay.name == until and progress.stay.entered_at is not None
    )
    staging.step(controller, ticks)
    staging.control.is_held = False
    staging.desk.roll_back(
        reason="rehearsal",
        actor="ann",
        traffic=staging.traffic,
        environment=staging.environment,
        lock=staging.lock,
    )


def test_a_version_that_was_taken_back_with_users_on_it_passes_and_says_how_soon(
    staging: Bed, tmp_path: Path
) -> None:
    rehearse(staging)
    answer = ask(staging, tmp_path)

    assert answer.verdict is Verdict.PASS
    assert answer.reason == "'small-1': all users were back on blue 0ms after ann decided it (rehearsal)"
    assert answer.evidence["rollout"] == "small-1"
    assert answer.evidence["cause"] == "person"
    assert answer.evidence["requests"] > 500  # type: ignore[operator]
    assert answer.evidence["took_s"] == 0.0


def test_nobody_who_rehearsed_is_not_yet(staging: Bed, tmp_path: Path) -> None:
    staging.step(staging.controller(), 5)
    answer = ask(staging, tmp_path)

    assert answer.verdict is Verdict.NOT_YET
    assert "nobody has rehearsed the way back of 1.1.0 on 'staging'; roll it out there" in answer.reason


def test_another_version_and_one_without_users_are_no_rehearsal(staging: Bed, tmp_path: Path) -> None:
    rehearse(staging, until="staging", ticks=0)
    assert ask(staging, tmp_path).verdict is Verdict.NOT_YET
    staging.control.is_held = True
    staging.desk.start(staging.plan, text=staging.text, file="small.yaml", version="1.1.0", actor="ann")
    staging.rate = staging.internal_rate = 0.0
    rehearse(staging, until="few")
    assert staging.progress.changes[-2].internal_to_green, "green was given users, and none came"
    assert ask(staging, tmp_path).verdict is Verdict.NOT_YET
    staging.control.is_held = True
    staging.desk.start(staging.plan, text=staging.text, file="small.yaml", version="1.1.0", actor="ann")
    staging.internal_rate = 5.0
    rehearse(staging, until="few")
    assert ask(staging, tmp_path).verdict is Verdict.PASS
    assert ask(staging, tmp_path, version="1.0.9").verdict is Verdict.NOT_YET


def test_internal_users_are_users(staging: Bed, tmp_path: Path) -> None:
    rehearse(staging, until="few")

    assert ask(staging, tmp_path).verdict is Verdict.PASS


def test_who_took_it_back_may_be_asked_for(staging: Bed, tmp_path: Path) -> None:
    controller = staging.controller()
    staging.until(controller, lambda progress: progress.stay.name == "half")
    staging.errors = {Arm.GREEN: 0.3}
    staging.until(controller, lambda progress: progress.is_finished)

    assert ask(staging, tmp_path, ", by: engine").verdict is Verdict.PASS
    assert ask(staging, tmp_path, ", by: anybody").verdict is Verdict.PASS
    answer = ask(staging, tmp_path, ", by: person")
    assert answer.verdict is Verdict.NOT_YET
    assert "have it taken back by hand" in answer.reason


def test_a_rehearsal_of_long_ago_or_of_tomorrow_cannot_tell(staging: Bed, tmp_path: Path) -> None:
    rehearse(staging)
    ended = staging.clock.now()

    def after(days: float) -> GateAnswer:
        return ask(staging, tmp_path, ", stale_after: 7d", now=ended + timedelta(days=days))

    assert after(6.9).verdict is Verdict.PASS
    assert after(7.1).verdict is Verdict.CANNOT_TELL
    assert "old, at most 168h" in after(7.1).reason
    assert after(-1).verdict is Verdict.CANNOT_TELL
    assert "mend the clocks" in after(-1).reason


def slow(staging: Bed, *, confirmed_after_s: float | None) -> datetime:
    """A rollback that the data plane takes so long to confirm; None: it has not yet. When it was decided."""
    controller = staging.controller()
    staging.until(
        controller, lambda progress: progress.stay.name == "half" and progress.stay.entered_at is not None
    )
    progress, decided = staging.progress, staging.clock.now()

    def append(*events: Event) -> None:
        new = [encode(event, at=staging.clock.now(), actor="ann") for event in events]
        staging.log.append("small-1", after=staging.progress.position, events=new)

    append(*roll_back(RollBack(cause="person", reason="rehearsal"), progress))
    if confirmed_after_s is not None:
        staging.clock.sleep(confirmed_after_s)
        append(
            WeightApplied(identifier=staging.progress.requested.identifier, took_ms=1.0),
            RolledBack(green="stopped"),
        )
    return decided


def test_a_way_back_that_took_too_long_fails(staging: Bed, tmp_path: Path) -> None:
    slow(staging, confirmed_after_s=61)

    assert ask(staging, tmp_path, ", within: 61s").verdict is Verdict.PASS
    answer = ask(staging, tmp_path, ", within: 1m")
    assert answer.verdict is Verdict.FAIL
    assert "'small-1' took 1m 1s, at most 1m" in answer.reason


def test_a_way_back_that_is_not_confirmed_is_waited_for_and_then_fails(staging: Bed, tmp_path: Path) -> None:
    decided = slow(staging, confirmed_after_s=None)

    soon = ask(staging, tmp_path, now=decided + timedelta(seconds=10))
    assert (soon.verdict, "is on its way back" in soon.reason) == (Verdict.NOT_YET, True)
    late = ask(staging, tmp_path, now=decided + timedelta(seconds=301))
    assert (late.verdict, "is not confirmed after 5m 1s" in late.reason) == (Verdict.FAIL, True)


def test_the_last_rehearsal_counts(staging: Bed, tmp_path: Path) -> None:
    rehearse(staging)
    staging.control.is_held = True
    staging.desk.start(staging.plan, text=staging.text, file="small.yaml", version="1.1.0", actor="ann")
    controller = staging.controller()
    staging.until(
        controller, lambda progress: progress.stay.name == "half" and progress.stay.entered_at is not None
    )
    staging.traffic.fault = "no answer"
    staging.control.is_held = False
    with pytest.raises(Exception, match="no answer"):
        staging.desk.roll_back(
            reason="again",
            actor="ann",
            traffic=staging.traffic,
            environment=staging.environment,
            lock=staging.lock,
        )
    later = staging.clock.now() + timedelta(minutes=6)

    assert ask(staging, tmp_path, now=later).verdict is Verdict.FAIL


def test_a_log_that_cannot_be_read_cannot_tell_and_none_is_made(staging: Bed, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    answer = ask(staging, other)

    assert answer.verdict is Verdict.CANNOT_TELL
    assert "on 'staging': the event log" in answer.reason
    assert list(other.iterdir()) == []
    (other / "rollout.sqlite").write_bytes(b"nonsense, and more of it than a header" * 200)
    assert ask(staging, other).verdict is Verdict.CANNOT_TELL
    gate = DrillGate({}, staging.clock)
    told = gate.run({"site": "nowhere", "subject": {"version": "1"}}, timeout_s=1)
    assert told.verdict is Verdict.CANNOT_TELL
    assert "add it under 'gates.rehearsals'" in told.reason


def test_reading_another_sites_log_writes_nothing_there(staging: Bed, tmp_path: Path) -> None:
    rehearse(staging)
    path = tmp_path / "rollout.sqlite"
    before = path.read_bytes()
    ask(staging, tmp_path)
    log = SqliteLog(path, read_only=True)

    assert path.read_bytes() == before
    assert log.rollouts() == ["small-1"]
    with pytest.raises(LogFault, match="readonly"):
        log.append(
            "small-2", after=0, events=[encode(RolledBack(green="x"), at=staging.clock.now(), actor="ann")]
        )
