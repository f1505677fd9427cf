"""Versions as processes: started, restarted, finished, and gone with what they hang on."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from laptop.ports import free_ports
from tranche.adapters.pids import is_zombie, started_at
from tranche.adapters.process import ProcessEnvironment
from tranche.ports import Artifact, Colour, EnvironmentFault, Stage
from tranche.site import ColourSite, EnvironmentSite

pytestmark = pytest.mark.integration

SERVICE = """
import http.server, os, signal, sys, time
version, port, beside = sys.argv[1], int(sys.argv[2]), sys.argv[3]
if version == "broken":
    sys.exit("cannot start")
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/die":
            os._exit(9)
        body = f"{version} {os.environ.get('COLOUR')}".encode()
        self.send_response(503 if version == "unready" else 200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args): pass
def finish(*_):
    time.sleep(0.2)
    open(beside, "a").write("finished\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, signal.SIG_IGN if version == "stubborn" else finish)
print("serving", version, flush=True)
http.server.ThreadingHTTPServer.allow_reuse_address = True
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


def until(condition: Callable[[], bool], what: str, within_s: float = 15.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        time.sleep(0.02)


class Bench:
    """An environment with a managed green, whose program is SERVICE, and a blue that somebody else runs."""

    def __init__(self, folder: Path, lifeline_pid: int | None = None) -> None:
        self.folder = folder
        self.port = free_ports(1)[0]
        self.beside = folder / "beside"
        program = folder / "service.py"
        program.write_text(SERVICE, encoding="utf-8")
        command = (sys.executable, str(program), "{version}", str(self.port), str(self.beside))
        self.site = EnvironmentSite(
            kind="process",
            directory=folder / "environment",
            lifeline_pid=lifeline_pid,
            colours={
                Colour.BLUE: ColourSite(ready=f"http://127.0.0.1:{self.port}/", managed=False),
                Colour.GREEN: ColourSite(
                    ready=f"http://127.0.0.1:{self.port}/",
                    command=command,
                    environment={"COLOUR": "{colour}"},
                    grace_s=2,
                ),
            },
        )
        self.left = ""
        self.drained: list[tuple[Colour, bool]] = []
        self.environment = ProcessEnvironment(self.site, self.drain)

    def drain(self, colour: Colour) -> str:
        """Notes whether the version still served when it was asked for."""
        self.drained.append((colour, self.listening()))
        return self.left

    def ready(self) -> bool:
        return self.environment.state(Colour.GREEN).stage is Stage.READY

    def start(self, version: str) -> None:
        self.environment.ensure(Colour.GREEN, version)
        until(self.ready, f"{version} is ready")

    def kept(self) -> dict[str, object]:
        found: dict[str, object] = json.loads((self.site.directory / "green.json").read_text())
        return found

    def listening(self) -> bool:
        return self.environment.state(Colour.BLUE).stage is Stage.READY


def test_what_a_version_is_is_told_by_the_digest_of_its_artifact(tmp_path: Path) -> None:
    site = Bench(tmp_path).site
    (tmp_path / "1.0.0.tar").write_bytes(b"abc")
    told = ProcessEnvironment(replace(site, artifact=tmp_path / "{version}.tar"), lambda _: "")

    # FIPS 180-4, the example of one block.
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert told.identify("1.0.0") == Artifact(digest=f"sha256:{digest}")
    assert str(told.identify("1.1.0").unknown_because).endswith(
        "1.1.0.tar cannot be read (No such file or directory)"
    )
    assert (
        ProcessEnvironment(site, lambda _: "").identify("1.0.0").unknown_because
        == "the site names no artifact of a version"
    )


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.environment.retire(Colour.GREEN)


def test_a_version_is_started_shown_and_retired(bench: Bench) -> None:
    assert bench.environment.state(Colour.GREEN).stage is Stage.ABSENT
    bench.start("1.0.0")
    state = bench.environment.state(Colour.GREEN)
    assert (state.version, state.restarts) == ("1.0.0", 0)
    bench.environment.retire(Colour.GREEN)
    assert bench.environment.state(Colour.GREEN).stage is Stage.ABSENT
    assert not bench.listening()
    assert bench.beside.read_text() == "finished\n", "requests under way were let finish"


def test_a_version_is_told_to_end_when_what_is_under_way_was_waited_for_and_what_was_left_is_said(
    bench: Bench,
) -> None:
    assert bench.environment.retire(Colour.GREEN) == "", "nothing runs, so nothing is waited for"
    bench.start("1.0.0")
    bench.left = "2 requests were still under way after 20 s"
    assert bench.environment.retire(Colour.GREEN) == bench.left
    assert bench.environment.retire(Colour.BLUE) == "", "somebody else's is not waited for"
    assert bench.drained == [(Colour.GREEN, True)]
    assert not bench.listening()


def test_starting_the_same_version_again_changes_nothing(bench: Bench) -> None:
    bench.start("1.0.0")
    before = bench.kept()
    bench.environment.ensure(Colour.GREEN, "1.0.0")
    assert bench.kept() == before


def test_another_version_takes_the_place(bench: Bench) -> None:
    bench.start("1.0.0")
    bench.start("2.0.0")
    assert bench.environment.state(Colour.GREEN).version == "2.0.0"


def test_another_controller_sees_what_the_first_started(bench: Bench) -> None:
    bench.start("1.0.0")
    other = ProcessEnvironment(bench.site, bench.drain)
    assert other.state(Colour.GREEN).stage is Stage.READY
    other.retire(Colour.GREEN)
    assert not bench.listening()


def test_a_version_that_dies_is_started_again_and_counted(bench: Bench) -> None:
    bench.start("1.0.0")
    with pytest.raises(OSError, match=r".*"):
        die(bench.port)
    until(lambda: bench.environment.state(Colour.GREEN).restarts == 1, "the death is counted")
    until(bench.ready, "it serves again")
    assert bench.environment.state(Colour.GREEN).restarts == 1


def die(port: int) -> None:
    from urllib.request import urlopen

    urlopen(f"http://127.0.0.1:{port}/die", timeout=2)


def test_a_version_that_cannot_start_is_failed_with_its_log_named(bench: Bench) -> None:
    bench.environment.ensure(Colour.GREEN, "broken")
    until(lambda: bench.environment.state(Colour.GREEN).stage is Stage.FAILED, "it is given up")
    state = bench.environment.state(Colour.GREEN)
    assert "exit 1" in state.detail
    assert (bench.site.directory / "green-broken.log").name in state.detail
    assert "cannot start" in (bench.site.directory / "green-broken.log").read_text()


def test_a_program_that_is_missing_is_failed_and_said_in_its_log(tmp_path: Path) -> None:
    made = Bench(tmp_path)
    colours = {Colour.GREEN: ColourSite(ready="http://127.0.0.1:1/", command=("/nowhere/at/all",))}
    site = EnvironmentSite(kind="process", directory=made.site.directory, colours=colours)
    environment = ProcessEnvironment(site, made.drain)
    environment.ensure(Colour.GREEN, "1.0.0")
    until(lambda: environment.state(Colour.GREEN).stage is Stage.FAILED, "it is given up")
    assert "No such file" in (site.directory / "green-1.0.0.log").read_text()
    environment.retire(Colour.GREEN)


def test_a_version_that_is_not_ready_says_why(bench: Bench) -> None:
    bench.environment.ensure(Colour.GREEN, "unready")
    until(lambda: "answers 503" in bench.environment.state(Colour.GREEN).detail, "it answers")
    state = bench.environment.state(Colour.GREEN)
    assert state.stage is Stage.STARTING
    assert "unready green" in state.detail, "the answer's own words are shown"


def test_a_version_that_ignores_the_request_to_finish_is_killed_after_its_grace(bench: Bench) -> None:
    bench.start("stubborn")
    bench.environment.retire(Colour.GREEN)
    assert not bench.listening()


def test_a_killed_keeper_takes_its_version_with_it(bench: Bench) -> None:
    bench.start("1.0.0")
    os.kill(int(str(bench.kept()["pid"])), signal.SIGKILL)
    until(lambda: bench.environment.state(Colour.GREEN).stage is Stage.ABSENT, "the keeper is gone")
    until(lambda: not bench.listening(), "its version is gone")
    bench.start("1.0.0")


def test_everything_ends_with_its_lifeline(tmp_path: Path) -> None:
    lifeline = subprocess.Popen(["sleep", "600"])
    try:
        bench = Bench(tmp_path, lifeline.pid)
        bench.start("1.0.0")
    finally:
        lifeline.kill()
        lifeline.wait()
    until(lambda: bench.environment.state(Colour.GREEN).stage is Stage.ABSENT, "the keeper is gone")
    assert not bench.listening()


def test_a_recycled_pid_is_not_taken_for_a_keeper(bench: Bench) -> None:
    bystander = subprocess.Popen(["sleep", "600"])
    try:
        bench.site.directory.mkdir(parents=True)
        started = started_at(bystander.pid)
        assert started is not None
        kept = {"pid": bystander.pid, "started": started - 1, "version": "1.0.0", "restarts": 0}
        (bench.site.directory / "green.json").write_text(json.dumps(kept | {"running": True, "detail": ""}))
        assert bench.environment.state(Colour.GREEN).stage is Stage.ABSENT
        bench.environment.retire(Colour.GREEN)
        assert bystander.poll() is None, "a bystander was killed"
    finally:
        bystander.kill()
        bystander.wait()


def test_a_damaged_state_file_is_a_fault(bench: Bench) -> None:
    bench.site.directory.mkdir(parents=True)
    (bench.site.directory / "green.json").write_text("{")
    with pytest.raises(EnvironmentFault, match=r"green\.json cannot be read"):
        bench.environment.state(Colour.GREEN)
    (bench.site.directory / "green.json").unlink()


def test_a_colour_that_is_not_managed_is_only_asked(bench: Bench) -> None:
    bench.environment.ensure(Colour.BLUE, "1.0.0")
    assert bench.environment.state(Colour.BLUE).stage is Stage.STARTING
    bench.start("1.0.0")
    bench.environment.retire(Colour.BLUE)
    assert bench.environment.state(Colour.BLUE).stage is Stage.READY


def test_a_pid_that_is_not_there_has_no_start_and_counts_as_ended() -> None:
    gone = subprocess.Popen(["true"])
    until(lambda: is_zombie(gone.pid), "it has ended")
    gone.wait()
    assert started_at(gone.pid) is None
    assert is_zombie(gone.pid)
