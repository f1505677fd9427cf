"""In the small what `make bench-many` does in the large: what it measures are ticks of rollouts under way."""

import json

import many
import pytest

from tranche import language
from tranche.ports import ColourState, Stage


def test_every_phase_is_measured_and_the_parts_make_the_whole() -> None:
    cost = many.measure(7, rounds=2, ticks=30)

    assert set(cost.phases) == {"staging", "week-1", "week-2", "week-3", "week-4"}
    assert all(mean_ms > 0 for mean_ms in cost.phases.values())
    assert cost.cores == pytest.approx(cost.cpu_s_per_round / cost.tick_s, abs=1e-3)
    assert 0 < cost.tick_ms_p50 <= cost.tick_ms_p99


def test_rollouts_look_at_their_own_users_and_show_what_they_saw() -> None:
    plan = language.parse(many.PLAN, file="many.yaml")
    rollouts = many.settled(plan, 12, ticks=30)
    for rollout in rollouts:
        rollout.serve(5)
        rollout.controller.tick()
    shown = [json.loads(rollout.pages.texts["status.json"]) for rollout in rollouts]

    assert [status["phase"]["index"] for status in shown] == [number % 5 for number in range(12)]
    assert {status["verdict"]["decision"] for status in shown} == {"hold"}
    of_week_1 = [status["phases"][0]["errors"] for status in shown if status["phase"]["index"] == 1]
    assert len(of_week_1) == 3
    assert len(set(of_week_1)) > 1, "three rollouts, each with users of its own"
    assert "# many-1: version 1.1.0" in rollouts[1].pages.texts["record.md"]


def test_a_measure_of_rollouts_that_have_ended_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    restarting = ColourState(stage=Stage.READY, version="1.1.0", restarts=9)
    monkeypatch.setattr(many.MemoryEnvironment, "state", lambda *_: restarting)
    with pytest.raises(RuntimeError, match="has ended or stopped"):
        many.measure(2, rounds=1, ticks=5)
