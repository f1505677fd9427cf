"""What people ask of a rollout at the command line: recorded with who and why, or refused before anything happens."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from installed import PLANS, Run, begin

from tranche import cli, language, publisher
from tranche.events import PhaseEntered, WeightRequested, encode
from tranche.wiring import Installation


def test_requests_are_recorded_with_who_and_why(run: Run, here: Installation) -> None:
    begin(here)

    assert run("pause", "--reason", "lunch")[0] == 0
    assert run("pause")[0] == 1
    code, out, _ = run("resume", "--reason", "back", "--json")
    assert code == 0
    assert json.loads(out)["state"] == "staging"
    _, out, _ = run("history", "--json")
    told = [(event["type"], event["actor"], event["text"]) for event in json.loads(out)]
    asked = [each for each in told if each[0] in {"paused/1", "resumed/1"}]
    assert asked == [("paused/1", "ann", "lunch"), ("resumed/1", "ann", "back")]
    assert [kind for kind, _, _ in told[3:]] == ["attested/1", "paused/1", "attested/1", "resumed/1"]


SPECIAL = """\
name: special
tick: 1s
stale_after: 5s
freeze: [{from: fri, until: mon}]
phases:
  - {name: few, weight: 10 %, dwell: 1h}
  - {name: all, weight: 100 %, dwell: 1h, point_of_no_return: old columns are dropped}
"""


def test_a_hotfix_is_declared_with_a_reason_and_only_where_something_is_frozen(
    run: Run, here: Installation
) -> None:
    plan = language.parse(SPECIAL, file="special.yaml")
    here.desk.start(plan, text=SPECIAL, file="special.yaml", version="1.1.0", actor="ann")

    assert run("hotfix")[0] == 2, "a reason is asked for"
    assert run("hotfix", "--reason", "customers cannot pay")[0] == 0
    assert here.desk.events()[-1].data == {"reason": "customers cannot pay"}
    code, _, err = run("hotfix", "--reason", "again")
    assert (code, "already-hotfix" in err) == (1, True)
    assert run("history")[1].splitlines()[-1].endswith("customers cannot pay")


def test_a_start_as_a_hotfix_is_recorded_or_refused_before_anything_begins(
    run: Run, here: Installation, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    demo = str(PLANS / "finance-demo.yaml")
    code, _, err = run("start", demo, "--version", "1.1.0", "--hotfix", "now")
    assert (code, "nothing-frozen" in err) == (1, True)
    assert here.log.rollouts() == []
    special = tmp_path / "special.yaml"
    special.write_text(SPECIAL)
    monkeypatch.setattr(cli, "_control", lambda here, progress, as_json: 0)
    assert run("start", str(special), "--version", "1.1.0", "--hotfix", "customers cannot pay")[0] == 0
    told = [event.type for event in here.desk.events()]
    assert told == ["started/1", "version-identified/1", "attested/1", "hotfix-declared/1"]


def test_past_the_point_of_no_return_a_rollback_asks_to_be_forced(run: Run, here: Installation) -> None:
    plan = language.parse(SPECIAL, file="special.yaml")
    here.desk.start(plan, text=SPECIAL, file="special.yaml", version="1.1.0", actor="ann")
    entered = [
        PhaseEntered(phase=2, name="all", weight_percent=100.0, internal_only=False, reason="met"),
        WeightRequested(identifier="special-1/1", green_weight=10_000, internal_to_green=False),
    ]
    events = [encode(event, at=datetime(2026, 1, 5, tzinfo=UTC), actor="controller") for event in entered]
    begun = here.desk.progress().position
    here.log.append("special-1", after=begun, events=events)
    code, _, err = run("rollback", "--reason", "support says no")
    assert code == 1
    assert "refused (past-return): phase 'all' was the point of no return: old columns are dropped" in err
    assert len(here.desk.events()) == begun + 2
    _, out, _ = run("status")
    assert "! past the point of no return (all, 2026-01-05 00:00): old columns are dropped" in out
    code, _, err = run("rollback", "--reason", "a backup is restored", "--force")

    assert (code, "Envoy does not answer" in err) == (3, True), (
        "it is decided; there is no Envoy here to do it"
    )
    (decided,) = [event for event in here.desk.events() if event.type == "rollback-decided/1"]
    assert decided.data["numbers"]["forced_past"] == "all"  # type: ignore[index]


def test_what_is_no_text_in_a_reason_or_a_name_harms_nobody(
    run: Run, here: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(here)
    monkeypatch.setenv("TRANCHE_ACTOR", "an\udcffn\x1b[31m")

    assert run("pause", "--reason", "lunch\udcff\x1b[2J\n| forged row |")[0] == 0
    publisher.write_record(here.desk, here.folder)
    paused = here.desk.events()[-1]
    assert paused.data["reason"] == "lunch  [2J | forged row |"
    assert paused.actor == "an n [31m"


def test_an_advance_without_a_controller_is_refused(run: Run, here: Installation) -> None:
    begin(here)
    code, _, err = run("advance")

    assert code == 1
    assert "cannot-advance" in err


def test_an_approval_is_shown_and_then_given_by_its_digest(
    run: Run, here: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(
        "name: small\nstaging: {gates: [{name: owner, kind: approval}]}\n"
        "phases: [{name: all, weight: 100 %, dwell: 1h}]\n"
    )
    plan, text = language.load(path)
    begun = here.desk.start(plan, text=text, file=path.name, version="1.1.0", actor="ann").position
    code, out, _ = run("approve", "--json")
    (case,) = json.loads(out)

    assert code == 0
    assert case["evidence"]["version"] == "1.1.0"
    assert f"--evidence {case['digest']}" in run("approve", "owner")[1]
    assert here.desk.progress().position == begun, "to look is not to approve"
    code, _, err = run("approve", "--evidence", case["digest"])
    assert code == 1
    assert err.startswith("tranche: refused (own-rollout): ann has started 'small-1'")
    monkeypatch.setenv("TRANCHE_ACTOR", "bea")
    assert run("approve", "--evidence", case["digest"], "--reason", "seen")[0] == 0
    assert here.log.read("small-1")[-1].actor == "bea"
    assert "gate owner" in run("status")[1]
    assert "approved by bea" in run("status")[1]
    assert run("revoke", "owner", "--reason", "too early")[0] == 0
    assert run("revoke", "owner", "--reason", "too early")[0] == 1


def test_a_newer_build_is_asked_for_by_its_version_and_blue_stays_until_the_end(
    run: Run, here: Installation
) -> None:
    begin(here)
    code, out, _ = run("retarget", "--version", "1.1.1", "--reason", "the fix", "--json")
    assert code == 0
    assert json.loads(out)["state"] == "staging"
    assert "to version 1.1.1, by way of staging to phase 1 - the fix" in run("history")[1]
    assert "refused (same-version): 1.1.1 is rolled out already" in run("retarget", "--version", "1.1.1")[2]
    assert "refused (not-complete): Blue is retired once" in run("retire", "--reason", "x")[2]
