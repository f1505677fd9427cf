"""An abort as a file beside the routes: whoever may write the ones may write the other."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tranche.abort import Abort
from tranche.adapters.durable import write_atomically
from tranche.canonical import canonical, typed
from tranche.person import KnownBy, Person
from tranche.ports import LogFault

FILE: Final = "abort.json"


class AbortFile:
    """`abort.json` in the folder of the data plane's files."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / FILE

    def pending(self) -> Abort | None:
        """As the port says."""
        try:
            text = self.path.read_text(encoding="utf-8", errors="replace")
            written_at = datetime.fromtimestamp(self.path.stat().st_mtime, UTC)
        except FileNotFoundError:
            return None
        except OSError as error:
            told = f"{self.path} cannot be read ({error}), and may say that users were taken back"
            raise LogFault(f"{told}; look at it") from error
        try:
            abort: Abort = typed(Abort, json.loads(text))
        except (ValueError, TypeError, KeyError, AttributeError):
            # Somebody wanted users back: that it cannot be read who it was is no reason to send them to green again.
            return Abort(
                rollout=None,
                person=Person(name="somebody", known_by=KnownBy.FILE),
                reason=f"{self.path} says that users were taken back, and cannot be read",
                at=written_at,
            )
        return abort

    def write(self, abort: Abort) -> None:
        """As the port says."""
        try:
            write_atomically(self.path, canonical(abort) + "\n")
        except OSError as error:
            told = f"{self.path} cannot be written ({error}), so nobody was taken back"
            raise LogFault(f"{told}; look at the folder and the disk") from error

    def settle(self, abort: Abort) -> None:
        """As the port says. Another one, written meanwhile, stays."""
        if self.pending() != abort:
            return
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise LogFault(
                f"{self.path} is in the log, and cannot be removed ({error}); remove it"
            ) from error
