"""What a security scanner's report says: read strictly, counted by severity, held against what is allowed. Pure.

Three formats: SARIF 2.1.0 (OASIS, 2020), the JSON of osv-scanner, and that of pip-audit. A report that is not whole,
not of now, or about something else says nothing. Severities are the bands of CVSS v3.1 (section 5, qualitative rating);
what carries none is *unrated*, and counts as such.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from tranche.plan import duration
from tranche.ports import GateAnswer, Verdict

RATINGS: Final = ("critical", "high", "medium", "low", "unrated")
BANDS: Final = ((9.0, "critical"), (7.0, "high"), (4.0, "medium"), (0.1, "low"))
LEVELS: Final = {"error": "high", "warning": "medium", "note": "low"}
"""SARIF's own levels, where a rule has no score: a scanner that knows of critical findings gives scores."""

NAMED: Final = 5
"""Findings that a reason names; the evidence has up to fifty."""


class NoReport(Exception):
    """A report that cannot be read as what it should be; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`identifier` is the rule's or the vulnerability's; `rating` one of RATINGS."""

    identifier: str
    rating: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """`looked_at` is how many packages were audited, None where the format does not say; `skipped` how many were not.

    `waived` findings are those that people have accepted in the scanner. `at` is when the scan ended, and `about` which
    version it says it scanned; None where it does not say.
    """

    tool: str
    findings: tuple[Finding, ...]
    waived: int = 0
    looked_at: int | None = None
    skipped: int = 0
    at: datetime | None = None
    about: str | None = None


def read(kind: str, document: object) -> Report:
    """The report in this document, which is JSON of the format `kind`.

    Raises:
        NoReport: it is none, or not a whole one.
    """
    if not isinstance(document, dict):
        raise NoReport("is no JSON object")
    return READERS[kind](document)


def _objects(parent: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """The list of objects under `key`; a missing list is an empty one."""
    found = parent.get(key)
    items = [] if found is None else found
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise NoReport(f"has no list of objects under '{key}'")
    return items


def _object(parent: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = parent.get(key)
    if not isinstance(found, dict | None):
        raise NoReport(f"has no object under '{key}'")
    return found or {}


def rating_of(score: object) -> str | None:
    """The band of a CVSS score; None where it is none, or 0."""
    try:
        number = float(str(score))
    except ValueError:
        return None
    return next((name for least, name in BANDS if least <= number <= 10), None)


# SARIF.


def _sarif(document: Mapping[str, Any]) -> Report:
    if document.get("version") != "2.1.0":
        raise NoReport(f"is SARIF of version {document.get('version')!r}, expected 2.1.0")
    runs = _objects(document, "runs")
    if not runs:
        raise NoReport("holds no run, so nothing was scanned")
    findings: list[Finding] = []
    waived = 0
    for run in runs:
        _whole(run)
        for result in _objects(run, "results"):
            if (
                result.get("kind", "fail") not in ("fail", "open", "review")
                or result.get("baselineState") == "absent"
            ):
                continue
            rating = _sarif_rating(run, result)
            if _is_waived(result):
                waived += 1
            elif rating is not None:
                findings.append(
                    Finding(
                        identifier=str(result.get("ruleId") or _rule(run, result).get("id")), rating=rating
                    )
                )
    ended = [at for run in runs for at in _ended(run)]
    return Report(
        tool=", ".join(dict.fromkeys(_tool(run) for run in runs)),
        findings=tuple(findings),
        waived=waived,
        at=min(ended, default=None),
        about=_about(runs),
    )


def _whole(run: Mapping[str, Any]) -> None:
    """Whether the tool says that it came to its end: SARIF 2.1.0, appendix on when results are complete."""
    if not isinstance(run.get("results"), list):
        raise NoReport("holds a run without results: it did not look")
    for invocation in _objects(run, "invocations"):
        if invocation.get("executionSuccessful") is False:
            raise NoReport("is of a run that failed")
        for key in ("toolExecutionNotifications", "toolConfigurationNotifications"):
            if any(notice.get("level") == "error" for notice in _objects(invocation, key)):
                raise NoReport("is of a run that reports errors of its own")


def _driver(run: Mapping[str, Any]) -> dict[str, Any]:
    return _object(_object(run, "tool"), "driver")


def _tool(run: Mapping[str, Any]) -> str:
    driver = _driver(run)
    version = driver.get("semanticVersion") or driver.get("version")
    return f"{driver.get('name') or 'a scanner'}{f' {version}' if version else ''}"


def _rule(run: Mapping[str, Any], result: Mapping[str, Any]) -> dict[str, Any]:
    """The rule a result belongs to, by its place or its name; nothing where it is not described."""
    reference = _object(result, "rule")
    extension = _object(reference, "toolComponent").get("index")
    extensions = _objects(_object(run, "tool"), "extensions")
    component = _driver(run)
    if isinstance(extension, int) and 0 <= extension < len(extensions):
        component = extensions[extension]
    rules = _objects(component, "rules")
    place = result.get("ruleIndex", reference.get("index"))
    if isinstance(place, int) and 0 <= place < len(rules):
        return rules[place]
    name = result.get("ruleId", reference.get("id"))
    return next((rule for rule in rules if rule.get("id") == name), {})


def _sarif_rating(run: Mapping[str, Any], result: Mapping[str, Any]) -> str | None:
    rule = _rule(run, result)
    for holder in (result, rule):
        score = _object(holder, "properties").get("security-severity")
        if score is not None:
            return rating_of(score) if str(score) in {"0", "0.0"} else rating_of(score) or "unrated"
    level = result.get("level") or _object(rule, "defaultConfiguration").get("level") or "warning"
    return None if level == "none" else LEVELS.get(str(level), "unrated")


def _is_waived(result: Mapping[str, Any]) -> bool:
    """Suppressed, and nobody has refused that or is still looking at it."""
    suppressions = _objects(result, "suppressions")
    return bool(suppressions) and all(each.get("status", "accepted") == "accepted" for each in suppressions)


def _ended(run: Mapping[str, Any]) -> Iterator[datetime]:
    for invocation in _objects(run, "invocations"):
        text = invocation.get("endTimeUtc") or invocation.get("startTimeUtc")
        if text is None:
            continue
        try:
            at = datetime.fromisoformat(str(text))
        except ValueError:
            raise NoReport(f"ended at {str(text)[:40]!r}, which is no time") from None
        yield at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def _about(runs: list[dict[str, Any]]) -> str | None:
    """The tag of the revision that was scanned, without a leading v."""
    tags = {
        str(source["revisionTag"]).removeprefix("v")
        for run in runs
        for source in _objects(run, "versionControlProvenance")
        if source.get("revisionTag")
    }
    if len(tags) > 1:
        raise NoReport(f"is about several versions: {', '.join(sorted(tags))}")
    return next(iter(tags), None)


# osv-scanner and pip-audit.


def _osv(document: Mapping[str, Any]) -> Report:
    if not isinstance(document.get("results"), list):
        raise NoReport("has no 'results', so it is none of osv-scanner")
    packages = [
        package for result in _objects(document, "results") for package in _objects(result, "packages")
    ]
    findings = tuple(finding for package in packages for finding in _osv_findings(package))
    return Report(tool="osv-scanner", findings=findings, looked_at=len(packages))


def _osv_findings(package: Mapping[str, Any]) -> Iterator[Finding]:
    """One for each group of names of the same vulnerability; the package's own list where there are no groups."""
    known = {str(each.get("id")): each for each in _objects(package, "vulnerabilities")}
    groups = _objects(package, "groups") or [{"ids": [name]} for name in known]
    grouped: set[str] = set()
    for group in groups:
        ids = group.get("ids")
        names = [str(name) for name in ids] if isinstance(ids, list) else []
        grouped.update(names)
        worded = [_osv_word(known[name]) for name in names if name in known]
        by_word = next((word for word in RATINGS if word in worded), "unrated")
        yield Finding(
            identifier=names[0] if names else "?", rating=rating_of(group.get("max_severity")) or by_word
        )
    for name in known.keys() - grouped:
        yield Finding(identifier=name, rating=_osv_word(known[name]))


def _osv_word(vulnerability: Mapping[str, Any]) -> str:
    word = str(_object(vulnerability, "database_specific").get("severity") or "").lower()
    word = {"moderate": "medium"}.get(word, word)
    return word if word in RATINGS else "unrated"


def _pip_audit(document: Mapping[str, Any]) -> Report:
    if not isinstance(document.get("dependencies"), list):
        raise NoReport("has no 'dependencies', so it is none of pip-audit")
    dependencies = _objects(document, "dependencies")
    skipped = [each for each in dependencies if "skip_reason" in each]
    audited = [each for each in dependencies if "skip_reason" not in each]
    if not all(isinstance(each.get("vulns"), list) for each in audited):
        raise NoReport("holds a dependency without 'vulns': it was not looked at")
    findings = tuple(
        Finding(identifier=str(vulnerability.get("id")), rating="unrated")
        for dependency in audited
        for vulnerability in _objects(dependency, "vulns")
    )
    return Report(tool="pip-audit", findings=findings, looked_at=len(audited), skipped=len(skipped))


READERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Report]]] = {
    "sarif": _sarif,
    "osv": _osv,
    "pip-audit": _pip_audit,
}
FORMATS: Final = tuple(READERS)


# The verdict.


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """How many findings of each rating there may be (a rating that is missing is not asked), and how many packages
    that the scanner skipped.
    """

    findings: Mapping[str, int]
    skipped: int = 0


def verdict(
    report: Report, allowed: Allowed, *, version: str, age_s: float, stale_after_s: float
) -> GateAnswer:
    """What the report means for this version. `age_s` is how long ago it was made."""
    counts = Counter(finding.rating for finding in report.findings)
    evidence: dict[str, object] = {
        "tool": report.tool,
        "findings": {rating: counts[rating] for rating in RATINGS},
        "waived": report.waived,
        "looked_at": report.looked_at,
        "skipped": report.skipped,
        "named": sorted({finding.identifier for finding in report.findings})[:50],
        "age_s": round(age_s),
    }
    lacking = _lacking(report, version, age_s, stale_after_s)
    if lacking is not None:
        return GateAnswer(verdict=Verdict.CANNOT_TELL, reason=f"the report {lacking}", evidence=evidence)
    over = [rating for rating in RATINGS if counts[rating] > allowed.findings.get(rating, counts[rating])]
    told = _told(report, counts)
    if over:
        lines = ", ".join(f"{allowed.findings[rating]} {rating}" for rating in over)
        names = _named(report, over)
        return GateAnswer(
            verdict=Verdict.FAIL, reason=f"{told} ({names}); at most {lines} may be", evidence=evidence
        )
    if report.skipped > allowed.skipped:
        told = f"{told}, and {report.skipped} packages were skipped, at most {allowed.skipped} may be"
        return GateAnswer(verdict=Verdict.CANNOT_TELL, reason=told, evidence=evidence)
    return GateAnswer(verdict=Verdict.PASS, reason=told, evidence=evidence)


def _lacking(report: Report, version: str, age_s: float, stale_after_s: float) -> str | None:
    if report.about is not None and report.about != version.removeprefix("v"):
        return f"is about {report.about}, and {version} is rolled out"
    if age_s > stale_after_s:
        return f"is {duration(round(age_s))} old, at most {duration(stale_after_s)}"
    if report.looked_at == 0:
        return "names no package that was looked at (osv-scanner lists them with --all-packages)"
    return None


def _told(report: Report, counts: Counter[str]) -> str:
    found = ", ".join(f"{counts[rating]} {rating}" for rating in RATINGS if counts[rating]) or "no findings"
    where = f" in {report.looked_at} packages" if report.looked_at is not None else ""
    waived = f", {report.waived} waived" if report.waived else ""
    return f"{report.tool}: {found}{where}{waived}"


def _named(report: Report, over: list[str]) -> str:
    names = sorted({finding.identifier for finding in report.findings if finding.rating in over})
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
