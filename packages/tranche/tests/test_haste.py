"""A rollback by hand waits for nothing that it does not need, and is the same rollback for all that."""

import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tranche import answer, cli, entry, language, wiring
from tranche import site as sites
from tranche.adapters.memory import MemoryEnvironment, MemoryLock, MemoryTraffic
from tranche.adapters.sqlite import SqliteLog
from tranche.desk import Desk
from tranche.events import PhaseEntered, encode
from tranche.person import Role
from tranche.publisher import write_record
from tranche.way_back import PastReturn, check_return, may_name

SITE = """\
state_directory: state
traffic:
  kind: envoy
  directory: envoy
  admin: http://127.0.0.1:9
  listen: 127.0.0.1:9
  colours: {blue: "127.0.0.1:9", green: "127.0.0.1:9"}
  health_path: /ready
environment:
  kind: process
  directory: environment
  colours:
    blue: {managed: false, ready: "http://127.0.0.1:9/"}
    green: {ready: "http://127.0.0.1:9/", command: [serve]}
"""
PLAN = "name: small\nphases: [{name: all, weight: 100 %, dwell: 1h}]\n"
NEEDLESS = {
    "aiohttp",
    "asyncio",
    "click",
    "cryptography",
    "numpy",
    "rich",
    "subprocess",
    "tempfile",
    "tranche.access",
    "tranche.approval",
    "tranche.cli",
    "tranche.controller",
    "tranche.decide",
    "tranche.gate_kinds",
    "tranche.judge",
    "tranche.language",
    "tranche.limits",
    "tranche.news",
    "tranche.plan",
    "tranche.routes",
    "tranche.status",
    "urllib3",
}
"""Not loaded before users are taken back: of libraries the large ones, of ours what decides, reads and shows."""

Done = tuple[int, str, str, list[Any]]


def installed(folder: Path, site: str = SITE) -> Path:
    """A site with a rollout under way and no Envoy, so that whatever takes users back ends at its door."""
    folder.mkdir()
    path = folder / "site.yaml"
    path.write_text(site)
    plan = language.parse(PLAN, file="plan.yaml")
    here = wiring.installation(sites.load(path))
    here.desk.start(plan, text=PLAN, file="plan.yaml", version="1.1.0", actor="ann")
    return path


def without_log(folder: Path) -> Path:
    """As `installed`, and the event log is lost; the status that the controller left says whose rollout it was."""
    site = installed(folder)
    here = wiring.installation(sites.load(site))
    write_record(here.desk, here.folder)
    for left in (folder / "state").glob("rollout.sqlite*"):
        left.unlink()
    return site


@pytest.mark.parametrize("make", [installed, without_log])
def test_until_users_are_taken_back_nothing_is_loaded_that_this_does_not_need(
    tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    site = make(tmp_path / "here")
    program = (
        "import sys; from tranche import entry; code = entry.run(sys.argv[1:]); print(code, *sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "rollback", "--reason", "no", "--site", str(site)],
        check=True,
        capture_output=True,
        text=True,
    )
    code, *loaded = done.stdout.split()

    assert (code, "Envoy does not answer" in done.stderr) == ("3", True), "it is tried"
    assert {"tranche.desk", "tranche.adapters.envoy", "tranche.abort"} <= set(loaded)
    assert not NEEDLESS & set(loaded)


@pytest.mark.parametrize(
    ("words", "is_plain"),
    [
        ("rollback --reason no --site s", True),
        ("rollback --site=s --reason=no=yes --force --json", True),
        ("rollback --reason no", False),
        ("rollback --site s", False),
        ("rollback --site s --reason", False),
        ("rollback --site s --reason --force", False),
        ("rollback --site s --reason=", False),
        ("rollback --site s --reason no --force=yes", False),
        ("rollback --site s --reason no more", False),
        ("rollback --site s --reason no --reaso no", False),
        ("rollback --site s --reason no -h", False),
        ("rollback --site s --reason no --", False),
        ("--help", False),
        ("status --site s --reason no", False),
        ("", False),
    ],
)
def test_only_what_is_written_plainly_is_read_without_the_command_line(words: str, is_plain: bool) -> None:
    assert (entry.plainly(words.split(), "") is not None) is is_plain


def test_the_site_of_the_environment_counts_where_none_is_named() -> None:
    assert entry.plainly(["rollback", "--reason", "no"], "s") == {"--site": "s", "--reason": "no"}
    found = entry.plainly(["rollback", "--reason", "no", "--site", "t", "--site", "u"], "s")
    assert found == {"--site": "u", "--reason": "no"}, "the last one counts, as on the command line"


def both(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    make: Callable[[Path], Path],
    *words: str,
) -> tuple[Done, Done]:
    """What the lean way does with these words, and what the command line does, each on a site of its own."""
    found: list[Done] = []
    for way, run in (("lean", entry.run), ("full", cli.run)):
        site = make(tmp_path / way)
        code = run([*words, "--site", str(site)])
        out, err = capsys.readouterr()
        log = site.parent / "state" / "rollout.sqlite"
        events: list[Any] = []
        if log.exists():
            kept = SqliteLog(log)
            told = [event for name in kept.rollouts() for event in kept.read(name)]
            events = [(event.type, event.actor, dict(event.data)) for event in told]
            for _, _, data in events:
                data.pop("envelope", None)  # it holds the time
                data.pop("salt", None)
                data.pop("took_ms", None)
        found.append((code, out, err.replace(str(site.parent), "HERE"), events))
    return found[0], found[1]


def with_tokens(folder: Path) -> Path:
    site = installed(folder, f"{SITE}access: {{tokens: tokens.json}}\n")
    wiring.door(sites.load(site)).create(name="vera", role=Role.ADMIN, lasts=timedelta(days=1), by="ann")
    return site


def past_return(folder: Path, key: str = "point_of_no_return") -> Path:
    """With a second rollout, in the phase from which going back is no remedy."""
    site = installed(folder)
    text = PLAN.replace("dwell: 1h", f"dwell: 1h, {key}: columns are dropped")
    here = wiring.installation(sites.load(site))
    end(here.desk)
    plan = language.parse(text, file="p")
    begun = here.desk.start(plan, text=text, file="p", version="1", actor="ann")
    entered = PhaseEntered(phase=1, name="all", weight_percent=100.0, internal_only=False, reason="met")
    event = encode(entered, at=here.desk.clock.now(), actor="controller")
    here.log.append("small-2", after=begun.position, events=[event])
    return site


def end(at: Desk) -> None:
    at.roll_back(
        reason="no", actor="ann", traffic=MemoryTraffic(), environment=MemoryEnvironment(), lock=MemoryLock()
    )


def ended(folder: Path) -> Path:
    site = installed(folder)
    end(wiring.installation(sites.load(site)).desk)
    return site


def nowhere(folder: Path) -> Path:
    folder.mkdir()
    return folder / "site.yaml"


def bare(folder: Path) -> Path:
    (site := nowhere(folder)).write_text(SITE)
    return site


def wrong(folder: Path) -> Path:
    (site := nowhere(folder)).write_text(SITE.replace("kind: envoy", "kind: nginx"))
    return site


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (installed, answer.FAULT),
        (without_log, answer.FAULT),
        (past_return, answer.REFUSED),
        (ended, answer.REFUSED),
        (bare, answer.REFUSED),
        (with_tokens, answer.REFUSED),
        (nowhere, answer.USAGE),
        (wrong, answer.USAGE),
    ],
)
def test_it_is_the_same_rollback_as_that_of_the_command_line(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[Path], Path],
    code: int,
) -> None:
    monkeypatch.setenv("TRANCHE_ACTOR", "ann")
    lean, full = both(tmp_path, capsys, make, "rollback", "--reason", "it\x1b is\tbad", "--json")

    assert lean == full
    assert lean[0] == code
    assert lean[2].startswith("tranche: ")


def test_what_is_not_written_plainly_is_answered_by_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lean, full = both(tmp_path, capsys, installed, "rollback", "--reason")
    assert lean[:3] == full[:3]
    assert lean[0] == answer.USAGE
    assert entry.run(["rollback", "--help"]) == answer.DONE
    assert "--force" in capsys.readouterr().out


def test_a_setting_that_means_nothing_is_usage_here_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRANCHE_STIE", "x")
    lean, full = both(tmp_path, capsys, bare, "rollback", "--reason", "no")
    assert lean == full
    assert lean[0] == answer.USAGE


def test_a_plan_is_read_where_it_may_name_a_point_of_no_return() -> None:
    assert may_name("point_of_no_return", "  point_of_no_return: columns are dropped")
    assert may_name("point_of_no_return", '  "point\\x5fof_no_return": columns are dropped')
    assert not may_name("point_of_no_return", PLAN)


@pytest.mark.parametrize("key", ["point_of_no_return", '"point\\x5fof_no_return"'])
def test_however_a_point_of_no_return_is_written_it_is_seen(tmp_path: Path, key: str) -> None:
    here = wiring.installation(sites.load(past_return(tmp_path / "here", key)))

    with pytest.raises(PastReturn, match="columns are dropped"):
        check_return(here.desk.progress(), force=False)
    assert check_return(here.desk.progress(), force=True)["forced_past"] == "all"
