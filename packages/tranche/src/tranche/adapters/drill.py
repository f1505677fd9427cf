"""The gate that looks whether the way back was rehearsed elsewhere: it reads another installation's event log."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tranche import drill
from tranche.adapters.sqlite import SqliteLog
from tranche.ports import Clock, GateAnswer, LogFault, cannot_tell


class DrillGate:
    """Reads, and writes nothing: the other installation may be at work."""

    def __init__(self, logs: Mapping[str, Path], clock: Clock) -> None:
        """`logs`: the event log of each site that rehearses, by the name a plan gives it."""
        self._logs, self._clock = dict(logs), clock

    def run(self, settings: Mapping[str, object], *, timeout_s: float) -> GateAnswer:  # noqa: ARG002 - the port
        values: Mapping[str, Any] = settings
        where = values["site"]
        if where not in self._logs:
            return cannot_tell(f"the site knows no rehearsals on '{where}'; add it under 'gates.rehearsals'")
        wanted = drill.Wanted(
            version=str(values["subject"]["version"]),
            by=values["by"],
            within_s=values["within"],
            stale_after_s=values["stale_after"],
        )
        try:
            log = SqliteLog(self._logs[where], read_only=True)
            rollouts = [log.read(name) for name in log.rollouts()]
            return drill.read(rollouts, wanted, where=where, now=self._clock.now())
        except LogFault as fault:
            return cannot_tell(f"on '{where}': {fault}")
