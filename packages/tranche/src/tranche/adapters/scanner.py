"""The gate that runs a security scanner of the site and reads its report."""

import hashlib
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from tranche.adapters.exchange import NoAnswer, json_of
from tranche.adapters.program import Ended, NotEnded, environment_of, run_program
from tranche.gates import substituted
from tranche.ports import GateAnswer, cannot_tell
from tranche.scan import RATINGS, Allowed, NoReport, Report, read, verdict
from tranche.site import ScannerSite

LARGEST: Final = 64 * 1024 * 1024
"""Bytes of a report; a larger one is not read."""


class ScanGate:
    """The report decides, not the exit code - but with another code than those expected there is no report."""

    def __init__(self, scanners: Mapping[str, ScannerSite], environment: Mapping[str, str]) -> None:
        """`environment` is lent by the site and may hold secrets; it is never part of an answer."""
        self._scanners, self._environment = dict(scanners), dict(environment)

    def run(self, settings: Mapping[str, object], *, timeout_s: float) -> GateAnswer:
        values: Mapping[str, Any] = settings
        name, version = values["scanner"], str(values["subject"]["version"])
        if name not in self._scanners:
            return cannot_tell(f"the site has no scanner '{name}'; add it under 'gates.scanners'")
        scanner = self._scanners[name]
        with tempfile.TemporaryDirectory(prefix="tranche-scan-") as folder:
            path = Path(folder) / "report"
            variables = {"version": version, "report": str(path)}
            command = [str(substituted(word, variables)) for word in scanner.command]
            environment = environment_of(self._environment, {"SCAN_VERSION": version})
            ended = run_program(command, environment=environment, timeout_s=timeout_s)
            if isinstance(ended, NotEnded):
                return cannot_tell(ended.reason)
            if ended.code not in scanner.exits:
                complaint = (ended.errors.strip().splitlines() or [""])[-1][:200]
                expected = " or ".join(str(code) for code in scanner.exits)
                return cannot_tell(f"'{name}' ended with {ended.code}, expected {expected}: {complaint}")
            return _judged(name, scanner, ended, path, version, values)


def _judged(
    name: str, scanner: ScannerSite, ended: Ended, path: Path, version: str, settings: Mapping[str, Any]
) -> GateAnswer:
    now = time.time()
    try:
        written, at_s = _written(scanner, ended, path, now)
        report = read(scanner.format, json_of(written))
    except NoReport as lacking:
        return cannot_tell(f"the report of '{name}' {lacking}")
    except NoAnswer:
        return cannot_tell(f"the report of '{name}' is no JSON")
    findings = {rating: settings[rating] for rating in RATINGS if settings[rating] is not None}
    answer = verdict(
        report,
        Allowed(findings=findings, skipped=settings["skipped"]),
        version=version,
        age_s=_age_s(report, at_s, now),
        stale_after_s=settings["stale_after"],
    )
    digest = "sha256:" + hashlib.sha256(written).hexdigest()
    return replace(answer, evidence={**answer.evidence, "report": digest})


def _written(scanner: ScannerSite, ended: Ended, path: Path, now: float) -> tuple[bytes, float]:
    """The report, and when it was written, in seconds since 1970.

    Raises:
        NoReport: there is none, or it is empty or too large.
    """
    if not any("{report}" in word for word in scanner.command):
        written, at_s = ended.output.encode(), now
    elif path.is_file():
        at_s = path.stat().st_mtime
        with path.open("rb") as file:
            written = file.read(LARGEST + 1)
    else:
        raise NoReport("was not written")
    if not written.strip():
        raise NoReport("is empty")
    if len(written) > LARGEST:
        raise NoReport(f"is larger than {LARGEST} bytes")
    return written, at_s


def _age_s(report: Report, at_s: float, now: float) -> float:
    """By the older of what the report and its file say: a scanner may hand over what was kept."""
    said_s = report.at.timestamp() if report.at is not None else at_s
    return max(0.0, now - min(at_s, said_s))
