"""Programs that are started, watched and stopped; and what people are told when they are not."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from laptop import binaries, release
from laptop.fault import LaptopFault, LaptopRefused
from laptop.ports import demand, free_ports
from laptop.postgres import reachable
from laptop.supervisor import Program, Supervisor, answers

SLEEP = "/bin/sleep"


def program(*command: str, **changed: object) -> Program:
    values = {"name": "one", "command": command, "ready": lambda: None, **changed}
    return Program(**values)  # type: ignore[arg-type]


def until(condition: Callable[[], bool], within_s: float = 10.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)


def lives(pid: int) -> bool:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] != "Z"


def test_what_was_started_runs_until_the_supervisor_is_left(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        running = supervisor.start(program(SLEEP, "600"))
        supervisor.wait(running)
        supervisor.check()
        assert running.process.poll() is None
    assert running.process.poll() is not None


def test_a_missing_program_is_told_before_anything_is_started(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor, pytest.raises(LaptopFault, match="/nowhere/envoy is missing"):
        supervisor.start(program("/nowhere/envoy"))


def test_a_program_that_dies_at_its_start_is_told_with_its_log_and_last_words(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        running = supervisor.start(
            program("/bin/sh", "-c", "echo no such thing; exit 7", ready=lambda: "not yet")
        )
        with pytest.raises(LaptopFault, match=r"one died \(exit 7\); see .*one\.log\n    no such thing"):
            supervisor.wait(running)


def test_a_program_that_is_not_ready_in_time_is_told_with_the_reason(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        running = supervisor.start(program(SLEEP, "600", ready=lambda: "no answer yet", ready_within_s=0.1))
        with pytest.raises(LaptopFault, match=r"not ready within 0\.1 s \(no answer yet\); see .*one\.log"):
            supervisor.wait(running)


def test_a_program_that_dies_later_is_noticed(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        running = supervisor.start(program(SLEEP, "600"))
        running.process.kill()
        running.process.wait()
        with pytest.raises(LaptopFault, match=r"one died \(signal 9\)"):
            supervisor.check()
        supervisor.check(but=running)


def test_a_program_that_ends_by_itself_is_not_missed(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        assert supervisor.finished(supervisor.start(program("/bin/sh", "-c", "exit 4")), 10) == 4
        supervisor.check()
        with pytest.raises(LaptopFault, match="did not end within"):
            supervisor.finished(supervisor.start(program(SLEEP, "600")), 0.1)


def test_a_program_that_does_not_finish_is_killed_with_its_children(tmp_path: Path) -> None:
    script = "trap '' TERM; sleep 600 & echo $!; wait; wait"
    with Supervisor(tmp_path) as supervisor:
        supervisor.start(program("/bin/sh", "-c", script, stop_within_s=0.2))
        log = tmp_path / "one.log"
        until(lambda: log.exists() and log.read_text().strip().isdigit())
        child = int(log.read_text())
    until(lambda: not lives(child))


def test_settings_of_others_are_not_inherited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINANCE_DATABASE_URL", "postgresql://elsewhere/")
    with Supervisor(tmp_path) as supervisor:
        supervisor.finished(supervisor.start(program("/usr/bin/env", environment={"OURS": "1"})), 10)
    told = (tmp_path / "one.log").read_text()
    assert "OURS=1" in told
    assert "FINANCE_DATABASE_URL" not in told


def test_a_supervisor_that_is_killed_leaves_nothing_behind(tmp_path: Path) -> None:
    script = f"""
        import pathlib, time
        from laptop.supervisor import Program, Supervisor
        started = Supervisor(pathlib.Path({str(tmp_path)!r})).start(
            Program(name="one", command=("{SLEEP}", "600"), ready=lambda: None))
        print(started.process.pid, flush=True)
        time.sleep(600)
    """
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        until(lambda: "sleep" in Path(f"/proc/{child}/cmdline").read_text())
    finally:
        parent.kill()
        parent.wait()
        parent.stdout.close() if parent.stdout else None
    until(lambda: not lives(child))


def test_root_drops_to_the_user_that_a_program_names_and_others_may_not(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        supervisor.finished(supervisor.start(program("/usr/bin/id", "-u", user_id=65534)), 10)
    told = (tmp_path / "one.log").read_text().strip()
    assert told == "65534" if os.geteuid() == 0 else "PermissionError" in told


def test_an_address_without_anybody_is_not_ready_and_says_so() -> None:
    why = answers(f"http://127.0.0.1:{free_ports(1)[0]}/")()
    assert why is not None
    assert "refused" in why


def test_a_busy_port_is_refused_and_a_free_one_is_given() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        busy = holder.getsockname()[1]
        with pytest.raises(LaptopFault, match=f"port {busy} is busy"):
            demand(busy)
    assert demand(busy) == busy


def test_free_ports_are_all_different() -> None:
    assert len(set(free_ports(20))) == 20


def test_an_unreachable_folder_is_seen(tmp_path: Path) -> None:
    place = tmp_path / "closed" / "inside"
    place.mkdir(parents=True)
    for folder in (tmp_path, *tmp_path.parents):
        if folder == Path(folder.anchor) or folder == Path("/tmp"):
            break
        folder.chmod(0o755)
    assert reachable(place, 65534)
    (tmp_path / "closed").chmod(0o700)
    assert not reachable(place, 65534)


def test_every_program_of_the_wheels_is_there() -> None:
    for path in (
        binaries.postgres("postgres"),
        binaries.envoy(),
        binaries.valkey(),
        binaries.ours("tranche"),
    ):
        assert os.access(path, os.X_OK), path


def test_a_program_that_is_not_there_is_told_with_what_to_do() -> None:
    with pytest.raises(LaptopFault, match="run: make setup"):
        binaries.ours("no-such-command")
    with pytest.raises(LaptopFault, match="run: make setup"):
        binaries.folder_of("no_such_package")


def test_releases_are_read_from_their_manifests() -> None:
    assert {"1.0.0", "1.1.0"} < set(release.versions("finance"))
    good, crash = release.load("finance", "1.1.0"), release.load("finance", "1.1.0-crash")
    assert good.settings["FINANCE_CACHE"] == "on"
    assert (good.cpu_seconds, crash.cpu_seconds) == (None, 3)


def test_a_release_that_is_not_shipped_is_refused_with_those_that_are() -> None:
    with pytest.raises(LaptopRefused, match=r"no release 9\.9\.9; there are: 1\.0\.0"):
        release.load("finance", "9.9.9")
    with pytest.raises(LaptopRefused, match="there are: none"):
        release.load("nothing", "1.0.0")


def test_a_release_runs_its_other_commands_with_its_own_settings(tmp_path: Path) -> None:
    settings = tmp_path / "settings.json"
    settings.write_text('{"blue": {"FINANCE_PORT": "1"}}')
    script = f"""
        import pathlib
        from laptop import binaries, release
        binaries.ours = lambda name: pathlib.Path("/usr/bin/env")
        kept = release.Release(service="finance", version="1.0.0", about="", settings={{"FINANCE_CACHE": "off"}})
        release.become(kept, "blue", pathlib.Path({str(settings)!r}), ["sh", "-c", "env; echo $0 $1", "prove", "books"])
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    said = done.stdout.splitlines()
    assert {"FINANCE_PORT=1", "FINANCE_CACHE=off", "FINANCE_RELEASE=1.0.0", "FINANCE_COLOUR=blue"} <= set(
        said
    )
    assert said[-1] == "prove books"


def test_a_limit_of_processor_time_ends_a_release_by_a_signal(tmp_path: Path) -> None:
    settings = tmp_path / "settings.json"
    settings.write_text('{"green": {}}')
    script = f"""
        import pathlib
        from laptop import binaries, release
        binaries.ours = lambda name: pathlib.Path("/usr/bin/yes")
        kept = release.Release(service="finance", version="1", about="", settings={{}}, cpu_seconds=1)
        release.become(kept, "green", pathlib.Path({str(settings)!r}))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.DEVNULL, check=False, timeout=30
    )
    assert done.returncode == -signal.SIGXCPU
