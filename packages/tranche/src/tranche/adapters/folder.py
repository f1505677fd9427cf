"""The engine's own folder: files written whole or not at all, and locks that end with their process."""

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tranche.adapters.durable import write_atomically
from tranche.ports import LogFault

RETRY_S = 0.005


class Folder:
    """Reads and writes small files of one folder."""

    def __init__(self, path: Path) -> None:
        """Make the folder if it is not there.

        Raises:
            LogFault: it cannot be made.
        """
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            told = f"the state folder {path} cannot be made ({error}); change 'state_directory' of the site"
            raise LogFault(told) from error

    def write(self, name: str, text: str) -> None:
        """Replace a file at once: a reader sees the old text or the new one.

        Raises:
            LogFault: the disk is full, or the folder is gone.
        """
        try:
            write_atomically(self.path / name, text, is_durable=False)
        except OSError as error:
            told = f"{self.path / name} cannot be written ({error}); look at the disk"
            raise LogFault(told) from error

    def read_json(self, name: str) -> Mapping[str, Any] | None:
        """A JSON object, or None when there is none that can be read."""
        return read_json(self.path / name)


def read_json(path: Path) -> Mapping[str, Any] | None:
    """A JSON object, or None when there is none that can be read."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) else None


class FileLock:
    """An advisory lock (flock) that the kernel lets go of when its process ends, however it ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle: int | None = None

    def acquire(self, *, wait_s: float) -> bool:
        """Take it, waiting at most so long.

        Raises:
            LogFault: the lock file cannot be opened.
        """
        if self._handle is not None:
            return True
        handle = self._open()
        deadline = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                if time.monotonic() >= deadline:
                    os.close(handle)
                    return False
                time.sleep(RETRY_S)
            else:
                self._handle = handle
                return True

    def release(self) -> None:
        if self._handle is not None:
            with contextlib.suppress(OSError):
                os.close(self._handle)
            self._handle = None

    def is_held_elsewhere(self) -> bool:
        """Whether another process has it now. Whoever only asks shares, so that two who ask do not see each other."""
        if self._handle is not None:
            return False
        handle = self._open()
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(handle)
        return False

    def _open(self) -> int:
        try:
            return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise LogFault(f"the lock {self._path} cannot be opened ({error}); look at the folder") from error
