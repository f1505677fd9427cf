"""What people can read without asking anybody: the status, the record, and what the controller saw last, as files."""

import json
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

from tranche.desk import Desk
from tranche.ports import EventLog, Recorded

if TYPE_CHECKING:
    from tranche.controller import Snapshot

OBSERVED_FILE: Final = "observed.json"
STATUS_FILE: Final = "status.json"
RECORD_FILE: Final = "record.md"


class Shelf(Protocol):
    """A folder of small files."""

    def write(self, name: str, text: str) -> None:
        """Replace a file at once.

        Raises:
            LogFault: the disk is full, or the folder is gone.
        """


class Publisher:
    """Writes what a tick has shown: observed.json, status.json, record.md. Tells events once, in order."""

    def __init__(self, log: EventLog, folder: Shelf, on_event: Callable[[Recorded], None]) -> None:
        self._log, self._folder = log, folder
        self._on_event = on_event
        self._events: list[Recorded] = []
        self._record = ""

    def __call__(self, snapshot: "Snapshot") -> None:
        """Raises LogFault when the disk is full; the controller lives on."""
        from tranche import record, status  # whoever takes users back waits for neither

        folder, rollout = self._folder, snapshot.progress.rollout
        seen = status.seen_document(snapshot, pid=os.getpid())
        folder.write(OBSERVED_FILE, json.dumps(seen))
        document = status.status(snapshot.plan, snapshot.progress, seen, alive=True, now=snapshot.at)
        folder.write(STATUS_FILE, json.dumps(document))  # indented, it is written five times as slowly
        news = self._log.read(rollout, after=len(self._events))
        self._events += news
        for recorded in news:
            self._on_event(recorded)
        text = record.markdown(document, self._events)
        if text != self._record:
            folder.write(RECORD_FILE, text)
            self._record = text


def write_record(desk: Desk, folder: Shelf) -> None:
    """The record and the status as the log has them now, for when no controller writes them."""
    from tranche import record

    document = desk.status()
    folder.write(STATUS_FILE, json.dumps(document))
    folder.write(RECORD_FILE, record.markdown(document, desk.events()))
