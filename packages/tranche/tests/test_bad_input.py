"""What a person, a disk or another release may do to a rollout: refused or a fault; the last good state stands.

Everything goes through the command line, which has four exit codes and never shows where a bug is.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from test_cli import SITE as ANY_SITE

from tranche import cli, language, wiring
from tranche import site as sites
from tranche.adapters.memory import MemoryEnvironment, MemoryLock, MemoryTraffic
from tranche.events import ApprovalGiven, Completed, encode
from tranche.publisher import STATUS_FILE, write_record
from tranche.wiring import LOG_FILE, Installation

SITE = ANY_SITE.replace("kind: process\n", "kind: process\n  artifact: '{version}.tar'\n")
PLAN = """\
name: small
tick: 1s
stale_after: 5s
freeze: [{from: fri, until: mon}]
staging: {gates: [{name: owner, kind: approval, expires: 1h}]}
phases:
  - {name: few, weight: 10 %, dwell: 1h}
  - {name: all, weight: 100 %, dwell: 1h}
"""
NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)


@dataclass
class Place:
    """A site, and what somebody types there."""

    folder: Path
    capsys: pytest.CaptureFixture[str]
    said: list[str] = field(default_factory=list)

    @property
    def here(self) -> Installation:
        return wiring.installation(sites.load(self.folder / "site.yaml"))

    @property
    def log(self) -> Path:
        return self.folder / "state" / LOG_FILE

    def run(self, *arguments: str) -> tuple[int, str]:
        """The exit code, and what it said: on an error, one line and nothing else."""
        code = cli.run(list(arguments))
        out, err = self.capsys.readouterr()
        if code:
            assert err.startswith("tranche: "), err
            assert len(err.splitlines()) == 1, err
            assert "Traceback" not in err + out
        return code, err or out

    def begin(self, text: str = PLAN, version: str = "1.1.0") -> None:
        plan = language.parse(text, file="plan.yaml")
        self.here.desk.start(plan, text=text, file="plan.yaml", version=version, actor="ann")
        write_record(self.here.desk, self.here.folder)

    def events(self) -> list[Any]:
        return list(self.here.desk.events())

    def plan(self, text: str = PLAN) -> str:
        path = self.folder / "plan.yaml"
        path.write_text(text)
        return str(path)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Place:
    (tmp_path / "site.yaml").write_text(SITE)
    for version in ("1.1.0", "1.2.0"):
        (tmp_path / f"{version}.tar").write_text(version)
    monkeypatch.setenv("TRANCHE_SITE", str(tmp_path / "site.yaml"))
    monkeypatch.setenv("TRANCHE_ACTOR", "bob")
    return Place(tmp_path, capsys)


ASKS: Sequence[tuple[str, ...]] = (
    ("pause",),
    ("resume",),
    ("advance",),
    ("hotfix", "--reason", "x"),
    ("retarget", "--version", "1.2.0"),
    ("approve", "--evidence", "sha256:000000000000"),
    ("revoke", "--reason", "x"),
)
LOOKS: Sequence[tuple[str, ...]] = (
    ("status",),
    ("why",),
    ("history",),
    ("who", "--user", "u-1"),
    ("evidence", "export", "small-1", "--out", "OUT"),
)


# Versions that are none.


@pytest.mark.parametrize(
    ("version", "code"),
    [("9.9.9", "unknown-version"), ("../1.1.0", "version-refused"), ("", "version-refused")],
)
def test_an_unknown_version_is_neither_started_nor_brought_in(place: Place, version: str, code: str) -> None:
    exit_code, told = place.run("start", place.plan(), "--version", version)
    assert (exit_code, f"refused ({code})" in told) == (1, True)
    assert place.here.log.rollouts() == []
    place.begin()
    before = place.events()
    exit_code, told = place.run("retarget", "--version", version)
    assert (exit_code, f"refused ({code})" in told) == (1, True)
    assert place.events() == before


def test_a_rollout_that_is_not_there_is_refused_by_whatever_looks_at_it(place: Place) -> None:
    for arguments in (
        *LOOKS,
        *ASKS,
        ("control",),
        ("rollback", "--reason", "x"),
        ("retire", "--reason", "x"),
    ):
        code, told = place.run(*arguments)
        assert (code, "refused (no-rollout)" in told) == (1, True), arguments
    place.begin()
    for arguments in LOOKS[:-1]:
        code, told = place.run(*arguments, "--rollout", "small-7")
        assert (code, "there is no rollout 'small-7'; there are: small-1" in told) == (1, True), arguments


# A plan that is edited under a running rollout.


def test_a_plan_that_was_edited_is_not_begun_beside_the_one_that_runs(place: Place) -> None:
    place.begin()
    before = place.events()
    code, told = place.run("start", place.plan(PLAN.replace("10 %", "20 %")), "--version", "1.2.0")

    assert code == 1
    assert (
        "refused (unfinished-rollout): 'small-1' is staging, and keeps the plan it was started with" in told
    )
    assert "'tranche retarget'" in told
    code, told = place.run("start", place.plan(), "--version", "1.2.0")
    assert (code, "another one than this" in told, "'tranche retarget'" in told) == (1, False, True)
    assert place.events() == before
    assert place.here.desk.plan(place.here.desk.progress()).phases[1].weight_percent == 10


def test_a_plan_that_was_edited_in_the_log_controls_nothing(place: Place) -> None:
    place.begin()
    tamper(place, "update event set data = replace(data, '10 %', '20 %') where position = 1")
    for arguments in (("control",), ("status",), ("advance",), ("hotfix", "--reason", "x")):
        code, told = place.run(*arguments)
        assert (code, "refused (plan-changed)" in told) == (1, True), arguments


# Approvals.


def digest(place: Place) -> str:
    code, out = place.run("approve", "--json")
    assert code == 0
    return str(json.loads(out)[0]["digest"])


def test_an_approval_counts_once_and_only_to_what_was_seen(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.begin()
    seen = digest(place)
    assert place.run("approve", "--evidence", seen)[0] == 0
    before = place.events()
    for evidence, code in (
        (seen, "already-approved"),
        ("sha256:" + "0" * 64, "other-evidence"),
        ("", "other-evidence"),
    ):
        exit_code, told = place.run("approve", "--evidence", evidence)
        assert (exit_code, f"refused ({code})" in told) == (1, True)
    assert place.events() == before
    assert place.run("retarget", "--version", "1.2.0")[0] == 0
    monkeypatch.setenv("TRANCHE_ACTOR", "bea")
    exit_code, told = place.run("approve", "--evidence", seen)
    assert (exit_code, "refused (other-evidence)" in told, "was approved; look at it again" in told) == (
        1,
        True,
        True,
    )


def test_an_approval_that_has_expired_counts_no_more_and_is_given_anew(place: Place) -> None:
    place.begin()
    desk = place.here.desk
    progress, seen = desk.progress(), digest(place)
    given = ApprovalGiven(
        phase=0,
        gate="owner",
        stay=progress.stay.identifier,
        digest=seen,
        evidence={},
        checks={},
        expires_at=(NOW + timedelta(hours=1)).isoformat(),
        reason="",
    )
    place.here.log.append("small-1", after=progress.position, events=[encode(given, at=NOW, actor="bea")])
    (case,) = json.loads(place.run("approve", "--json")[1])

    assert case["approved_by"] == []
    assert "0 of 1 approvals" in case["reason"]
    assert "bea's has expired" in case["reason"]
    assert place.run("approve", "--evidence", seen)[0] == 0
    assert json.loads(place.run("approve", "--json")[1])[0]["approved_by"] == ["bob"]


# A rollout that has ended.


def rolled_back(place: Place) -> None:
    place.here.desk.roll_back(
        reason="no",
        actor="ann",
        traffic=MemoryTraffic(),
        environment=MemoryEnvironment(),
        lock=MemoryLock(),
    )


def completed(place: Place) -> None:
    desk = place.here.desk
    done = encode(Completed(reason="every gate is met"), at=NOW, actor="controller")
    place.here.log.append("small-1", after=desk.progress().position, events=[done])


@pytest.mark.parametrize("end", [rolled_back, completed])
def test_nothing_is_asked_of_a_rollout_that_has_ended(place: Place, end: Callable[[Place], None]) -> None:
    place.begin()
    end(place)
    before = place.events()
    for arguments in ASKS:
        code, told = place.run(*arguments)
        assert (code, "refused (ended)" in told) == (1, True), arguments
    code, told = place.run("control")
    assert (code, "refused (nothing-to-control)" in told) == (1, True)
    if end is rolled_back:
        for arguments in (("rollback", "--reason", "x"), ("retire", "--reason", "x")):
            code, told = place.run(*arguments)
            assert (code, "refused (ended)" in told) == (1, True), arguments
    else:
        code, told = place.run("start", place.plan(), "--version", "1.2.0")
        assert (code, "refused (green-in-use)" in told) == (1, True)
    assert place.events() == before
    for arguments in LOOKS:
        assert place.run(*(word.replace("OUT", str(place.folder / "out")) for word in arguments))[0] == 0


# A log that this release cannot read, or that is not whole.


def tamper(place: Place, *statements: str) -> None:
    """What no command does, and what the log's own triggers refuse."""
    with closing(sqlite3.connect(place.log, isolation_level=None)) as connection:
        for trigger in ("event_is_not_changed", "event_is_not_removed"):
            connection.execute(f"drop trigger if exists {trigger}")
        for statement in statements:
            connection.execute(statement)


def newer_format(place: Place) -> None:
    tamper(place, "pragma user_version = 2")


def newer_event(place: Place) -> None:
    tamper(
        place,
        "insert into event (rollout, position, type, at, actor, data) "
        "values ('small-1', 4, 'foreseen/1', '2026-01-05T09:00:00+00:00', 'controller', '{}')",
    )


def newer_shape(place: Place) -> None:
    tamper(
        place,
        """update event set data = replace(data, '{"plan"', '{"colour":"red","plan"') where position = 1""",
    )


def cut_in_half(place: Place) -> None:
    size = place.log.stat().st_size
    os.truncate(place.log, size // 2)


def cut_to_nothing(place: Place) -> None:
    os.truncate(place.log, 0)


def gone(place: Place) -> None:
    place.log.unlink()


def without_its_beginning(place: Place) -> None:
    tamper(place, "delete from event where position = 1", "update event set position = 1 where position = 2")


def without_its_middle(place: Place) -> None:
    tamper(place, "delete from event where position = 2")


def half_an_event(place: Place) -> None:
    tamper(place, "update event set data = substr(data, 1, 20) where position = 1")


def not_a_time(place: Place) -> None:
    tamper(place, "update event set at = 'yesterday' where position = 2")


DAMAGE = {
    newer_format: "has format 2, this tranche writes 1; update tranche",
    newer_event: "a newer tranche wrote it - update this one",
    newer_shape: "should hold",
    cut_in_half: "look at the disk and the file",
    cut_to_nothing: "is gone or empty, and status.json beside it tells of 'small-1'; restore the log",
    gone: "is gone or empty, and status.json beside it tells of 'small-1'; restore the log",
    without_its_beginning: "begins with 'version-identified/1'; the log was cut",
    without_its_middle: "entry 2 of rollout 'small-1' is missing; the log was cut",
    half_an_event: "is damaged",
    not_a_time: "is damaged",
}


@pytest.mark.parametrize("damage", list(DAMAGE), ids=lambda damage: str(damage.__name__))
def test_a_log_that_is_newer_or_not_whole_is_a_fault_for_whoever_needs_it(
    place: Place, damage: Callable[[Place], None]
) -> None:
    place.begin()
    damage(place)
    left = place.log.read_bytes() if place.log.exists() else None
    status = (place.folder / "state" / STATUS_FILE).read_text()
    for arguments in (*LOOKS, *ASKS, ("control",), ("start", place.plan(), "--version", "1.1.0")):
        words = [word.replace("OUT", str(place.folder / "out")) for word in arguments]
        code, told = place.run(*words)
        assert (code, DAMAGE[damage] in told) == (3, True), (arguments, told)
    code, told = place.run("rollback", "--reason", "x")
    assert (code, "Envoy does not answer" in told) == (3, True), (
        "users are taken back all the same, if there are any"
    )

    assert (place.log.read_bytes() if place.log.exists() else None) == left
    assert (place.folder / "state" / STATUS_FILE).read_text() == status
    assert not (place.folder / "out").exists()
    assert not (place.folder / "envoy").exists()


# A disk that is full.

FULL = """
import contextlib, io, json, resource, sys
from tranche import cli
resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))
said = []
for arguments in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = cli.run(arguments)
    said.append((code, out.getvalue(), err.getvalue()))
print(json.dumps(said))
"""


def on_a_full_disk(place: Place, *commands: Sequence[str]) -> list[tuple[int, str, str]]:
    """Exit code and output of each, in a process whose files grow no further; what is there can be read.

    Somebody else has the log open, as a controller has: its journal's index is there already.
    """
    with closing(sqlite3.connect(place.log)) as reader:
        reader.execute("select count(*) from event").fetchone()
        done = subprocess.run(
            [sys.executable, "-c", FULL, json.dumps(commands)],
            env=dict(os.environ),
            cwd=place.folder,
            capture_output=True,
            text=True,
            check=True,
        )
    assert done.stderr == ""
    return [(code, out, err) for code, out, err in json.loads(done.stdout)]


def test_on_a_full_disk_what_is_there_is_read_and_what_is_asked_is_a_fault(place: Place) -> None:
    place.begin()
    before = place.events()
    asked = (("pause",), ("retarget", "--version", "1.2.0"), ("approve", "--evidence", digest(place)))
    looked, *refused, back = on_a_full_disk(
        place, ("status", "--json"), *asked, ("rollback", "--reason", "x")
    )

    assert (looked[0], json.loads(looked[1])["rollout"]) == (0, "small-1")
    for code, out, err in refused:
        assert (code, out, len(err.splitlines())) == (3, "", 1), err
        assert "look at the disk and the file" in err
    assert (back[0], "Envoy does not answer" in back[2]) == (3, True)
    assert place.events() == before
    assert place.run("pause")[0] == 0, "when there is room again, it is as it was"
    assert len(place.events()) == len(before) + 2


def test_on_a_full_disk_no_rollout_begins(place: Place) -> None:
    assert place.here.log.rollouts() == []
    ((code, out, err),) = on_a_full_disk(place, ("start", place.plan(), "--version", "1.1.0"))

    assert (code, out) == (3, "")
    assert "look at the disk and the file" in err
    assert place.here.log.rollouts() == []
