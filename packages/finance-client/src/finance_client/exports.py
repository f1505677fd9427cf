"""Reports and documents as files: whole, or not at all."""

import os
import tempfile
from collections.abc import Mapping
from datetime import date
from pathlib import Path

from finance_client.door import Unreadable
from finance_client.subject import Subject


class Exports(Subject):
    """Reports and documents as files. Their names and parameters stand in docs/exports.md."""

    def save(self, export: str, parameters: Mapping[str, str | date], *, to: Path | None = None) -> Path:
        """Write a file such as `trial-balance.xlsx`, and return where it is.

        `to` is where: a file, or a folder for the name that it comes with; here when none is given. It stands there
        only once all of it was received.

        Raises:
            Refused: the rules say no.
            Unavailable: every attempt failed, or broke off.
            FileExistsError: there is one already; it stays.
            OSError: it cannot be written here.
        """
        place = to or Path()
        folder = place if place.is_dir() else place.parent
        asked = {name: str(value) for name, value in parameters.items()}
        handle, name = tempfile.mkstemp(dir=folder, prefix=".export.")
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                told = Path(self._door.download(f"exports/{export}", asked, file)).name
            if place.is_dir() and not told:
                raise Unreadable(f"{export}: expected a file with a name, found none")
            output = place / told if place.is_dir() else place
            os.link(temporary, output)  # unlike a renaming, it takes no other file's place
        finally:
            temporary.unlink()
        return output
