"""The command line: one line on error, the four exit codes, and the same document for people and programs."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from laptop.postgres import Cluster
from tranche import cli, language, publisher, settings, wiring
from tranche import site as sites
from tranche.adapters.fenced import FencedEnvironment, FencedTraffic
from tranche.adapters.memory import MemoryEnvironment, MemoryLock, MemoryTraffic
from tranche.desk import ControllerRunning
from tranche.events import Completed, PhaseEntered, Retired, WeightRequested, encode
from tranche.ports import Colour, LeaseLost, TrafficFault
from tranche.progress import Progress
from tranche.wiring import Installation

PLANS = Path(__file__).resolve().parents[3] / "plans"
README = PLANS.parent / "README.md"

SITE = """\
state_directory: state
traffic:
  kind: envoy
  directory: envoy
  admin: http://127.0.0.1:9
  listen: 127.0.0.1:9
  identity: {issuer: auth, audience: tranche, jwks: "http://127.0.0.1:9/jwks.json"}
  colours: {blue: "127.0.0.1:9", green: "127.0.0.1:9"}
  health_path: /health/ready
environment:
  kind: process
  directory: environment
  colours:
    blue: {managed: false, ready: "http://127.0.0.1:9/"}
    green: {ready: "http://127.0.0.1:9/", command: [serve]}
gates: {proofs: {books: {command: ["true"]}, reading: {command: ["true"]}}}
"""

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "site.yaml"
    path.write_text(SITE)
    monkeypatch.setenv("TRANCHE_SITE", str(path))
    monkeypatch.setenv("TRANCHE_ACTOR", "ann")
    return path


@pytest.fixture
def here(site: Path) -> Installation:
    return wiring.installation(sites.load(site))


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: str) -> tuple[int, str, str]:
        code = cli.run(list(arguments))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def begin(here: Installation) -> None:
    path = PLANS / "finance-demo.yaml"
    plan, text = language.load(path)
    here.desk.start(plan, text=text, file=path.name, version="1.1.0", actor="ann")


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


def test_a_second_controller_is_refused(run: Run, here: Installation) -> None:
    begin(here)
    assert here.control.acquire(wait_s=0)
    try:
        code, _, err = run("control")
    finally:
        here.control.release()

    assert code == 1
    assert "controller-running" in err


def test_a_damaged_log_is_a_fault(run: Run, here: Installation) -> None:
    (here.folder.path / "rollout.sqlite").write_bytes(b"nonsense, and more of it than a header" * 200)
    code, out, err = run("status")

    assert (code, out) == (3, "")
    assert err.startswith("tranche: fault: the event log ")
    assert len(err.splitlines()) == 1


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


TWO = "name: two\ntick: 1s\nstale_after: 5s\nphases: [{name: all, weight: 100 %, dwell: 1h}]\n"
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


def held(here: Installation) -> str:
    """A rollout that a person has taken back: its name."""
    begin(here)
    desk, name = here.desk, here.desk.name()
    with pytest.raises(TrafficFault):
        desk.roll_back(
            reason="no",
            actor="bob",
            traffic=here.traffic(),
            environment=here.environment(),
            lock=here.traffic_lock(),
        )
    return name


def test_evidence_is_exported_verified_and_made_again(run: Run, here: Installation, tmp_path: Path) -> None:
    name, file = held(here), tmp_path / "evidence.jsonl"
    code, out, _ = run("evidence", "export", name, "--out", str(file))

    assert code == 0
    assert "NOT SIGNED: 2 of 2 entries" in out
    assert "missing for RTS 2024/1774 Art. 17(1)(b)" in out
    code, out, _ = run("evidence", "verify", str(file), "--json")
    found = json.loads(out)
    assert (code, found["entries"], found["unsigned_entries"], found["keys"]) == (0, 2, 2, [])
    assert (found["asks"], found["asks_have_entries_since"], found["asks_without_entry"]) == (1, 1, [])
    code, out, _ = run("evidence", "replay", str(file))
    assert (code, "by people: 1" in out, "asked by people besides: 1" in out) == (0, True, True)


def test_evidence_is_signed_with_the_key_of_the_site(run: Run, site: Path, tmp_path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    (tmp_path / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (tmp_path / "key.pub").write_bytes(
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    site.write_text(f"signing_key: {{file: key.pem}}\n{SITE}")
    name, file = held(wiring.installation(sites.load(site))), tmp_path / "evidence.jsonl"
    assert run("evidence", "export", name, "--out", str(file))[0] == 0
    code, out, _ = run("evidence", "verify", str(file), "--key", str(tmp_path / "key.pub"))

    assert code == 0
    assert "signed by ed25519:" in out
    assert "NOT SIGNED" not in out
    code, _, err = run("evidence", "verify", str(file), "--key", "ed25519:" + "A" * 43 + "=")
    assert code == 1
    assert err.startswith("tranche: refused (other-key): the entry at position 3 is signed by ed25519:")
    file.write_bytes(file.read_bytes().replace(b'"bob"', b'"eve"', 1))
    code, _, err = run("evidence", "replay", str(file))
    assert (code, err.startswith("tranche: refused (evidence-damaged)")) == (1, True)


def test_a_signing_key_that_cannot_be_used_starts_nothing(run: Run, site: Path, tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text("no key")
    site.write_text(f"signing_key: {{file: key.pem}}\n{SITE}")
    code, _, err = run("start", str(PLANS / "finance-demo.yaml"), "--version", "1.1.0")

    assert code == 3
    assert "no ed25519 private key in PEM; make one with 'openssl" in err
    assert wiring.installation(sites.load(site)).log.rollouts() == []


def test_evidence_that_is_not_there_is_a_fault_and_a_rollout_that_is_not_a_refusal(
    run: Run, here: Installation, tmp_path: Path
) -> None:
    assert run("evidence", "verify", str(tmp_path / "none"))[0] == 3
    begin(here)
    assert run("evidence", "export", "none", "--out", str(tmp_path / "e"))[0] == 1
    code, _, err = run("evidence", "export", here.desk.name(), "--out", str(tmp_path / "no" / "e"))
    assert (code, "cannot be written" in err) == (3, True)


def taken_back(here: Installation) -> None:
    """A rollout that a person has taken back, to its end."""
    begin(here)
    here.desk.roll_back(
        reason="no",
        actor="bob",
        traffic=MemoryTraffic(),
        environment=MemoryEnvironment(),
        lock=MemoryLock(),
    )


def test_a_standby_of_a_rollout_that_has_ended_says_how(run: Run, here: Installation) -> None:
    taken_back(here)

    code, _, err = run("control")
    assert (code, "refused (nothing-to-control)" in err) == (1, True)
    assert run("control", "--standby") == (1, "", "")


def test_a_blue_whose_controller_was_killed_before_it_stopped_is_stopped_by_the_next(
    run: Run, here: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(here)
    left = [Completed(reason="met"), Retired(colour="blue", detail="the plan says so")]
    events = [encode(event, at=datetime(2026, 1, 5, tzinfo=UTC), actor="controller") for event in left]
    begun = here.desk.progress().position
    here.log.append("finance-demo-1", after=begun, events=events)
    environment, traffic = MemoryEnvironment(), MemoryTraffic()
    environment.versions[Colour.BLUE] = "1.0.0"
    monkeypatch.setattr(Installation, "environment", lambda _: environment)
    monkeypatch.setattr(Installation, "traffic", lambda _: traffic)

    assert run("control")[0] == 0
    assert environment.versions == {}
    assert [event.type for event in here.desk.events()[begun + 2 :]] == ["stopped/1"]
    assert run("control")[0] == 1, "there is nothing left to be controlled"
    assert environment.retired == [Colour.BLUE]


class Loser:
    """A controller that loses its lease, while somebody else ends the rollout."""

    has_lost_lease = True

    def __init__(self, here: Installation) -> None:
        self._here = here

    def run(self) -> Progress:
        self._here.control.release()
        before = self._here.desk.progress()
        self._here.desk.roll_back(
            reason="no",
            actor="bob",
            traffic=MemoryTraffic(),
            environment=MemoryEnvironment(),
            lock=MemoryLock(),
        )
        return before


def test_a_controller_that_has_lost_its_lease_stands_by(
    run: Run, here: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(here)
    made: list[Loser] = []

    def make(here: Installation, *_: object) -> Loser:
        made.append(Loser(here))
        return made[-1]

    monkeypatch.setattr(wiring, "controller", make)
    code, _, err = run("control")

    assert len(made) == 1
    assert code == 1
    assert err == "tranche: the lease is lost; standing by\n"


@pytest.mark.integration
def test_with_postgres_the_controller_is_wired_to_its_lease_and_a_second_one_is_refused(
    run: Run, site: Path, cluster: Cluster, database_name: str
) -> None:
    (site.parent / "url").write_text(cluster.url("auth_owner", database_name))
    site.write_text(f"event_log: {{kind: postgres, url: {{file: url}}}}\n{SITE}")
    here = wiring.installation(sites.load(site))
    begin(here)
    assert here.shared is not None
    assert here.control.acquire(wait_s=0)
    controller = wiring.controller(here, here.desk.progress(), lambda _: None)

    assert controller.world.lease is here.shared.lease
    assert here.shared.lease.length_s == 1.5 * controller.plan.tick_s
    assert isinstance(controller.world.traffic, FencedTraffic)
    assert isinstance(controller.world.environment, FencedEnvironment)
    code, _, err = run("control")
    assert (code, "refused (controller-running)" in err) == (1, True)
    code, out, _ = run("history", "--json")
    told = [each["type"] for each in json.loads(out)]
    assert (code, told) == (0, ["started/1", "version-identified/1", "attested/1"])
    here.control.release()
    with pytest.raises(LeaseLost):
        controller.world.log.append("finance-demo-1", after=1, events=[])


@pytest.mark.integration
def test_what_the_api_starts_asks_for_the_lease_that_others_may_have(
    site: Path, cluster: Cluster, database_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control lock is a file of one machine; the controller that has the lease may be on another."""
    (site.parent / "url").write_text(cluster.url("auth_owner", database_name))
    site.write_text(f"event_log: {{kind: postgres, url: {{file: url}}}}\n{SITE}")
    here, elsewhere = (wiring.installation(sites.load(site)) for _ in range(2))
    monkeypatch.setattr(wiring, "control", lambda here, *_, **__: here.desk.progress())
    asked = partial(wiring.start, here, str(site), plan=TWO, version="1.1.0", token=None)
    assert elsewhere.control.acquire(wait_s=0)

    with pytest.raises(ControllerRunning):
        asked()
    assert here.log.rollouts() == []
    elsewhere.control.release()
    assert asked().rollout == "two-1"
    assert elsewhere.control.acquire(wait_s=0), "it has let go"


def test_a_database_that_cannot_be_reached_is_a_fault_without_its_password(run: Run, site: Path) -> None:
    (site.parent / "url").write_text("postgresql://ann:hunter2@127.0.0.1:1/none")
    site.write_text(f"event_log: {{kind: postgres, url: {{file: url}}}}\n{SITE}")
    code, _, err = run("status")

    assert code == 3
    assert "its address is in the file" in err
    assert "hunter2" not in err


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
