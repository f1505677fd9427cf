"""Another team's service, with the engine's wheel alone, by the README of the example and nothing else.

The commands are those of the README, in its order. Only its ports are replaced by free ones, and `pip` by uv, which
keeps what it has fetched; WITH_PIP=1 (make alone) leaves `pip` as it is.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from laptop.ports import free_ports

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "any-service"
README = (EXAMPLE / "README.md").read_text()
PORTS = ("18500", "18501", "18502", "18509")
HEADING = re.compile(r"^## ([^\n]+)$|^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
WITH_PIP = "WITH_PIP" in os.environ
LASTS_S = 280 if WITH_PIP else 100
"""It waits for a minute and a half of rollouts; pip may fetch everything anew besides."""

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(LASTS_S + 20)]


def steps() -> Iterator[tuple[str, str]]:
    """The commands of the README, each block with the heading it stands under."""
    heading = ""
    for found in HEADING.finditer(README):
        if found[1]:
            heading = found[1]
        else:
            yield heading, found[2]


def installed_quickly(commands: str) -> str:
    uv = shutil.which("uv") or str(ROOT / ".tools" / "uv" / "bin" / "uv")
    made = commands.replace("python3 -m venv", f"{uv} venv --quiet --python {sys.executable}")
    locked = f"--constraint {ROOT / 'lock' / 'requirements.txt'}"
    return made.replace("pip install", f"{uv} pip install {locked}")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT / "packages" / "tranche", check=True, capture_output=True)
    return next(folder.glob("tranche-*.whl"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The folder of the example, copied to where nothing else of the repository is, with ports of its own."""

    folder: Path
    ports: dict[str, str]
    mark: str

    def with_ports(self, text: str) -> str:
        return re.sub(r"\b1850\d\b", lambda found: self.ports[found[0]], text)

    def run(self, script: str) -> str:
        """Its output, and what it said of errors. Nothing of this repository's environment is on its path."""
        programs = self.folder.parent / "bin"
        programs.mkdir()
        (programs / "python3").symlink_to(Path(sys.executable).resolve())
        ours = ("PYTHON", "VIRTUAL_ENV", "TRANCHE_", "COVERAGE")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
        environment = {**kept, "PATH": f"{programs}:/usr/local/bin:/usr/bin:/bin", "MARK": self.mark}
        with (self.folder.parent / "said").open("w+") as output:
            shell = subprocess.Popen(
                ["bash", "-c", script],
                cwd=self.folder,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            try:
                code = shell.wait(LASTS_S)
            except subprocess.TimeoutExpired:
                shell.kill()
                code = shell.wait()
            output.seek(0)
            text = output.read()
        assert code == 0, f"exit {code} within {LASTS_S} s, having said:\n{text[-4000:]}"
        return text


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Place:
    folder = tmp_path_factory.mktemp("elsewhere") / "shop"
    shutil.copytree(EXAMPLE, folder)
    shutil.copy(wheel, folder)
    ports = dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True))
    made = Place(folder=folder, ports=ports, mark=f"any-service-{uuid.uuid4().hex}")
    for name in ("site.yaml", "plan.yaml"):
        (folder / name).write_text(made.with_ports((folder / name).read_text()))
    return made


@pytest.fixture(scope="module")
def said(place: Place) -> Iterator[dict[str, str]]:
    """What the commands under each heading printed. All of them must have ended well."""
    script = ["set -eu"]
    for heading, commands in steps():
        is_quick = heading == "Install" and not WITH_PIP
        script.append(f"echo '@@ {heading}'")
        script.append(place.with_ports(installed_quickly(commands) if is_quick else commands))
    try:
        output = place.run("\n".join(script))
        parts = re.split(r"^@@ (.+)\n", output, flags=re.MULTILINE)
        found: dict[str, str] = {}
        for heading, text in zip(parts[1::2], parts[2::2], strict=True):
            found[heading] = found.get(heading, "") + text
        yield found
    finally:
        end_all(place.mark)


def marked(mark: str) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if f"MARK={mark}".encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def end_all(mark: str) -> None:
    """What the README ends, and, where it came not so far, everything that carries the mark."""
    while left := marked(mark):
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue


def moves(place: Place) -> list[tuple[str, str, str]]:
    """Who met another version: visitor, before, now; in order."""
    text = (place.folder / "visitors.txt").read_text()
    return re.findall(r"^visitor (\d+): (\S+) -> (\S+)$", text, re.MULTILINE)


def answered(place: Place) -> dict[tuple[str, int], int]:
    found = re.findall(
        r"^(\d+) requests: version (\S+), status (\d+)$",
        (place.folder / "visitors.txt").read_text(),
        re.MULTILINE,
    )
    return {(version, int(status)): int(requests) for requests, version, status in found}


def test_the_engine_is_the_one_of_the_wheel(said: dict[str, str], place: Place) -> None:
    python = place.folder / "env" / "bin" / "python"
    shown = subprocess.run(
        [python, "-c", "import tranche, importlib.util as u; print(tranche.__file__, u.find_spec('laptop'))"],
        check=True, capture_output=True, text=True, cwd=place.folder, env={},
    ).stdout  # fmt: skip

    assert shown.startswith(str(place.folder / "env"))
    assert shown.rstrip().endswith("None"), "nothing else of the repository is there"


def test_it_goes_forward_through_every_phase(said: dict[str, str]) -> None:
    text = said["Forward"]

    assert re.search(r"plan 'shop' can be carried out", text)
    assert re.search(r"^shop-1 +version 2\.0 +completed", text, re.MULTILINE), text
    assert re.search(r"is on green since", text), "who"
    assert re.search(r"(?i)complete", text.rpartition("shop-1  version")[2]), "why"


def test_a_person_takes_it_back(said: dict[str, str]) -> None:
    assert "shop-1: rolled back" in said["Back, by hand"]


def test_a_bad_version_is_taken_back_by_itself(said: dict[str, str]) -> None:
    text = said["A bad version"]

    assert "taken back, exit code 1" in text
    assert re.search(r"(?i)errors", text)


def test_every_visitor_goes_forward_once_and_comes_back_when_asked(
    said: dict[str, str], place: Place
) -> None:
    found = moves(place)
    visitors = {visitor for visitor, _, _ in found}

    assert len(visitors) == 100
    for visitor in visitors:
        own = [(before, now) for each, before, now in found if each == visitor and "3.0" not in {before, now}]
        assert own == [("1.0", "2.0"), ("2.0", "1.0")], "to 2.0 once, and back when a person said so"


def test_no_request_fails_but_those_of_the_bad_version(said: dict[str, str], place: Place) -> None:
    found = answered(place)

    assert found["1.0", 200] > 100
    assert found["2.0", 200] > 100
    assert found["3.0", 500] > 0
    assert {version for (version, status) in found if status != 200} == {"3.0"}


def test_the_evidence_verifies_and_replays(said: dict[str, str], place: Place) -> None:
    text = said["What can be shown afterwards"]

    assert re.search(r"evidence\.jsonl: \d+ decisions made again, all as recorded", text), text
    assert (place.folder / "evidence.jsonl").stat().st_size > 1000


def test_nothing_is_left_running(said: dict[str, str], place: Place) -> None:
    deadline = time.monotonic() + 10
    while left := marked(place.mark):
        assert time.monotonic() < deadline, f"still running: {left}"
        time.sleep(0.05)
    assert "The end" in said
