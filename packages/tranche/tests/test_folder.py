"""Files that are whole or not there, and locks that end with their process."""

import subprocess
import sys
from pathlib import Path

import pytest

from tranche.adapters.folder import FileLock, Folder
from tranche.ports import LogFault

HOLDER = """
import sys
from pathlib import Path
from tranche.adapters.folder import FileLock
lock = FileLock(Path(sys.argv[1]))
assert lock.acquire(wait_s=0)
print("held", flush=True)
sys.stdin.read()
"""


def test_a_file_is_replaced_whole_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "deep" / "er")
    folder.write("a.json", '{"a": 1}')
    folder.write("a.json", '{"a": 2}')

    assert folder.read_json("a.json") == {"a": 2}
    assert [path.name for path in folder.path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("text", ["", "{", "[1]", "\x80"])
def test_what_is_no_json_object_is_as_good_as_none(tmp_path: Path, text: str) -> None:
    folder = Folder(tmp_path)
    (tmp_path / "a.json").write_text(text)

    assert folder.read_json("a.json") is None
    assert folder.read_json("none.json") is None


def test_a_folder_that_cannot_be_made_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(LogFault, match="change 'state_directory'"):
        Folder(tmp_path / "file" / "state")


def test_a_folder_that_went_away_is_a_fault(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "state")
    folder.path.rmdir()

    with pytest.raises(LogFault, match="cannot be written"):
        folder.write("a", "text")


def test_a_lock_is_one_processs_and_ends_with_it_even_when_killed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        mine = FileLock(path)
        assert mine.is_held_elsewhere()
        assert not mine.acquire(wait_s=0.05)
        holder.kill()
        holder.wait()

    assert not mine.is_held_elsewhere()
    assert mine.acquire(wait_s=0)
    assert not mine.is_held_elsewhere(), "it is held here"
    assert not FileLock(path).acquire(wait_s=0)
    mine.release()
    assert FileLock(path).acquire(wait_s=0)
