"""What the engine has started ends with the laptop, and not a little later."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from laptop import keeper
from laptop.fault import LaptopFault

BODY = "import signal, sys; signal.signal(signal.SIGTERM, {handler}); print('up', flush=True); signal.pause()"
OBEYS = BODY.format(handler="lambda *_: sys.exit(0)")
DEAF = BODY.format(handler="signal.SIG_IGN")


def started(directory: Path, code: str) -> "subprocess.Popen[str]":
    file = directory / "green.json"
    process = subprocess.Popen([sys.executable, "-c", code, str(file)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    file.write_text(json.dumps({"pid": process.pid}))
    return process


def test_when_it_returns_every_keeper_is_gone(tmp_path: Path) -> None:
    with started(tmp_path, OBEYS) as process:
        keeper.stop_all(tmp_path)
        assert process.wait(0) == 0
    assert list(keeper.alive(tmp_path)) == []


ORPHANING = """
import subprocess, sys
from pathlib import Path
from laptop import keeper

keeper.adopt()
subprocess.run([sys.executable, "-c", sys.argv[1], *sys.argv[2:]], check=True)
[pid] = keeper.alive(Path(sys.argv[3]))
keeper.stop_all(Path(sys.argv[3]))
sys.exit(f"{pid} is still there" if Path(f"/proc/{pid}").exists() else 0)
"""
ENGINE = """
import json, os, subprocess, sys
from pathlib import Path

file = Path(sys.argv[2]) / "green.json"
keeper = subprocess.Popen([sys.executable, "-c", sys.argv[1], str(file)], stdout=subprocess.PIPE, text=True)
keeper.stdout.readline()
file.write_text(json.dumps({"pid": keeper.pid}))
os._exit(0)  # as if killed: it sees to nothing it has started
"""


def test_a_keeper_whose_engine_has_ended_leaves_nothing_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-c", ORPHANING, ENGINE, OBEYS, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")


def test_a_keeper_that_does_not_end_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "WITHIN_S", 0.2)
    with started(tmp_path, DEAF) as process:
        with pytest.raises(LaptopFault, match=str(process.pid)):
            keeper.stop_all(tmp_path)
        process.kill()


def test_another_process_of_the_same_number_is_let_alone(tmp_path: Path) -> None:
    (tmp_path / "green.json").write_text(json.dumps({"pid": os.getpid()}))

    assert list(keeper.alive(tmp_path)) == []
    keeper.stop_all(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", '{"pid": "none"}', '{"pid": 999999999}'])
def test_a_file_that_names_nobody_stops_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "green.json").write_text(text)

    keeper.stop_all(tmp_path)
