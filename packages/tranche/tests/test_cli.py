"""The command line: one line on error, the four exit codes, and the same document for people and programs."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from installed import PLANS, SITE, Run, begin

from tranche import cli, settings
from tranche.wiring import Installation

README = PLANS.parent / "README.md"


def test_a_good_plan_is_told_with_its_digest_and_its_phases(run: Run) -> None:
    code, out, _ = run("plan", "check", str(PLANS / "finance.yaml"))

    assert code == 0
    assert "can be carried out, sha256:" in out
    assert "week-4" in out
    assert "refused" not in out
    code, out, _ = run("plan", "check", str(PLANS / "finance-demo.yaml"), "--json")
    found = json.loads(out)
    assert (code, found["refused"], found["warnings"]) == (0, [], [])
    assert [phase["weight_percent"] for phase in found["phases"]] == [0, 10, 30, 60, 100]


NEVER = """\
name: never
tick: 1s
stale_after: 5s
phases:
  - {name: all, weight: 100 %, dwell: 1h, requirements: [cache_hits > 70 %]}
"""


def test_a_plan_that_means_nothing_is_refused_by_check_and_by_start(
    run: Run, here: Installation, tmp_path: Path
) -> None:
    never = tmp_path / "never.yaml"
    never.write_text(NEVER)
    code, out, _ = run("plan", "check", str(never))
    assert code == 2
    assert "plan 'never' cannot be carried out" in out
    assert f"{never}:5: refused: phase 'all' requires 'cache_hits > 70 %', which nothing measures" in out
    code, out, _ = run("plan", "check", str(never), "--json")
    assert code == 2
    assert [row["code"] for row in json.loads(out)["refused"]] == ["never-told"]
    code, _, err = run("start", str(never), "--version", "1.1.0")
    assert code == 2
    assert err.startswith(f"tranche: {never}:5: phase 'all' requires")
    assert here.log.rollouts() == []


def test_a_plan_that_does_not_parse_is_json_too_when_that_is_asked_for(run: Run, tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("name: bad\nphases: []\n")
    code, out, err = run("plan", "check", str(bad), "--json")
    found = json.loads(out)

    assert (code, err) == (2, "")
    assert found["plan"] is None
    assert [(row["code"], row["line"]) for row in found["refused"]] == [("no-phases", 2)]


def test_with_a_site_check_says_what_it_lacks(run: Run, site: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    gate = "gates: [{name: l, kind: load_test, target: ledger, rate: 9/s, duration: 10s, errors: 5 %}]"
    plan.write_text(NEVER.replace("requirements: [cache_hits > 70 %]", gate))
    code, out, _ = run("plan", "check", str(plan), "--site", str(site))
    assert code == 2
    assert "gate 'l' of 'all' needs the target 'ledger'; add it under 'gates.targets' [not-here]" in out
    site.write_text(SITE.replace("gates: {", "gates: {targets: {ledger: [{path: /}]}, "))
    assert run("plan", "check", str(plan), "--site", str(site))[0] == 0


def test_a_bad_plan_is_one_line_with_file_and_line_and_exit_2(run: Run, tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("name: bad\nphases:\n  - {name: a, weight: 100 %, dwell: 48}\n")
    code, out, err = run("plan", "check", str(bad))

    assert (code, out) == (2, "")
    assert err == f"tranche: {bad}:3: the duration '48' has no unit; write 48s, 48m or 48h\n"


def test_a_bad_plan_starts_nothing(run: Run, here: Installation, tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("name: bad\nphases: []\n")
    code, _, err = run("start", str(bad), "--version", "1.1.0")

    assert code == 2
    assert f"{bad}:2: the list of phases is empty" in err
    assert here.log.rollouts() == []


def test_the_schema_is_json(run: Run) -> None:
    code, out, _ = run("plan", "schema")

    assert code == 0
    assert json.loads(out)["properties"]["phases"]["type"] == "array"


@pytest.mark.parametrize(
    "arguments",
    [
        ["status"],
        ["--nonsense"],
        ["start"],
        ["rollback", "--site", "x"],
        ["who", "--site", "x"],
        ["nonsense"],
    ],
)
def test_a_wrong_call_is_usage(run: Run, monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    monkeypatch.delenv("TRANCHE_SITE", raising=False)
    code, out, err = run(*arguments)

    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1


def test_a_site_that_cannot_be_is_usage(run: Run, site: Path) -> None:
    site.write_text(SITE.replace("kind: envoy", "kind: nginx"))
    code, _, err = run("status")

    assert code == 2
    assert "site.yaml:3: unknown" in err or "site.yaml:3: found 'nginx'" in err


def test_an_unknown_setting_is_usage(run: Run, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRANCHE_STIE", "x")
    code, _, err = run("status")

    assert code == 2
    assert "TRANCHE_STIE" in err
    assert "did you mean 'TRANCHE_SITE'?" in err


@pytest.mark.parametrize(
    "command", ["status", "watch", "history", "why", "pause", "resume", "advance", "control"]
)
def test_without_a_rollout_everything_is_refused(run: Run, site: Path, command: str) -> None:
    code, out, err = run(command)

    assert (code, out) == (1, "")
    assert err.startswith("tranche: refused (no-rollout): ")
    assert len(err.splitlines()) == 1


def test_a_second_start_is_refused_while_one_is_unfinished(run: Run, here: Installation) -> None:
    begin(here)
    code, _, err = run("start", str(PLANS / "finance-demo.yaml"), "--version", "1.2.0")

    assert code == 1
    assert "unfinished-rollout" in err
    assert here.log.rollouts() == ["finance-demo-1"]


def test_a_damaged_log_is_a_fault(run: Run, here: Installation) -> None:
    (here.folder.path / "rollout.sqlite").write_bytes(b"nonsense, and more of it than a header" * 200)
    code, out, err = run("status")

    assert (code, out) == (3, "")
    assert err.startswith("tranche: fault: the event log ")
    assert len(err.splitlines()) == 1


def test_status_is_complete_for_programs(run: Run, here: Installation) -> None:
    begin(here)
    code, out, _ = run("status", "--json")
    status = json.loads(out)

    assert code == 0
    assert {
        "rollout", "plan", "version", "state", "phase", "phases", "verdict", "rollback", "weight_changes", "controller",
    } <= set(status)  # fmt: skip
    assert set(status["phase"]) >= {"name", "index", "weight_percent", "entered_at", "dwell_s", "elapsed_s"}
    assert [phase["weight_percent"] for phase in status["phases"]] == [10, 30, 60, 100]
    assert set(status["phases"][0]) >= {
        "name", "weight_percent", "entered_at", "left_at", "set_share_percent", "observed_share_percent",
        "requests", "errors", "latency_ms_p95", "arms", "gates", "metrics",
    }  # fmt: skip
    assert status["state"] == "staging"
    assert status["controller"] == {"alive": False, "pid": None, "last_tick_at": None}


@pytest.mark.parametrize("command", ["status", "why", "history"])
def test_people_get_lines_of_a_hundred_columns(run: Run, here: Installation, command: str) -> None:
    begin(here)
    code, out, _ = run(command)

    assert code == 0
    assert "finance-demo" in out
    assert command == "history" or all(len(line) <= 100 for line in out.splitlines())


def test_a_rollout_can_be_named(run: Run, here: Installation) -> None:
    begin(here)

    assert run("status", "--rollout", "finance-demo-1")[0] == 0
    code, _, err = run("status", "--rollout", "other-1")
    assert code == 1
    assert "there are: finance-demo-1" in err


def test_every_command_explains_itself_and_most_speak_json() -> None:
    groups = {
        "plan": ["check", "schema"],
        "traffic": ["config"],
        "notify": ["test"],
        "evidence": ["export", "verify", "replay"],
        "token": ["create", "list", "revoke"],
    }
    for name, command in cli.cli.commands.items():
        assert command.help, name
        for sub in groups.get(name, []):
            assert command.commands[sub].help, f"{name} {sub}"
        if name not in groups:
            assert any("--json" in option.opts for option in command.params), name


def test_the_readme_names_commands_that_exist() -> None:
    named = re.findall(r"^    tranche (\w+)", README.read_text(), re.MULTILINE)

    assert len(named) >= 5
    assert set(named) <= set(cli.cli.commands)


def test_the_program_is_installed_and_quick_to_explain_itself() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tranche.cli", "--help"],
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    )

    for command in ("start", "control", "rollback", "why", "who"):
        assert command in done.stdout
    loaded = subprocess.run(
        [sys.executable, "-c", "import tranche.cli, sys; print('numpy' in sys.modules, 'urllib3' in sys.modules)"],
        capture_output=True, text=True, check=True, timeout=20,
    )  # fmt: skip
    assert loaded.stdout == "False False\n"


def test_settings_know_who_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings.from_environment({"TRANCHE_ACTOR": "bob"}).asker.name == "bob"
    assert settings.from_environment({}).asker.name
    assert settings.from_environment({}).site is None
