"""A scan passes by a whole report, of now, about this version, with no more findings than allowed; else it does not."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tranche import scan
from tranche import site as sites
from tranche.adapters.scanner import ScanGate
from tranche.beside import run_gate
from tranche.language import parse
from tranche.ports import GateAnswer, Verdict
from tranche.scan import FORMATS, Allowed, NoReport, read
from tranche.shape import FileRefused
from tranche.site import ScannerSite

VARIABLES = {"rollout": "small-1", "version": "1.1.0", "phase": "all", "gate": "security"}
RUFF = str(Path(sys.executable).with_name("ruff"))


def gate_of(settings: str) -> Any:
    text = f"""
name: small
phases:
  - name: all
    weight: 100 %
    dwell: 1h
    gates: [{{name: security, kind: security_scan, scanner: packages{settings}}}]
"""
    (gate,) = parse(text, file="p.yaml").phases[1].gates
    return gate


def run(scanner: ScannerSite, settings: str = "") -> GateAnswer:
    gates = {"security_scan": ScanGate({"packages": scanner}, {"LENT": "hush"})}
    return run_gate(gates, gate_of(settings), VARIABLES)


def python(script: str, *words: str, kind: str = "sarif", exits: tuple[int, ...] = (0, 1)) -> ScannerSite:
    """A scanner that is this program; its first word behind it is the version."""
    command = (sys.executable, "-c", script, "{version}", *words)
    return ScannerSite(command=command, format=kind, exits=exits)


def told(document: object, kind: str, settings: str = "", *, code: int = 0) -> GateAnswer:
    """What is answered when a scanner writes this document into its report."""
    script = f"import sys; open(sys.argv[2], 'w').write({json.dumps(document)!r}); sys.exit({code})"
    return run(python(script, "{report}", kind=kind), settings)


def sarif(*results: dict[str, Any], rules: list[dict[str, Any]] | None = None, **run: Any) -> dict[str, Any]:
    driver = {"name": "looker", "semanticVersion": "2.0.1", "rules": rules or []}
    return {"version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": list(results), **run}]}


SCORED = [
    {"id": "eval", "properties": {"security-severity": "9.1"}},
    {"id": "md5", "properties": {"security-severity": 5}},
]
EVAL, MD5 = {"ruleId": "eval", "ruleIndex": 0, "level": "error"}, {"ruleId": "md5", "level": "error"}
PACKAGE = {"package": {"name": "a", "version": "1"}}
OSV = {"id": "GHSA-1", "database_specific": {"severity": "MODERATE"}}


def osv(**package: Any) -> dict[str, Any]:
    return {"results": [{"source": {"path": "lock"}, "packages": [{**PACKAGE, **package}, PACKAGE]}]}


def audit(*dependencies: dict[str, Any]) -> dict[str, Any]:
    return {"dependencies": list(dependencies), "fixes": []}


CLEAN = {"name": "a", "version": "1", "vulns": []}
BAD = {"name": "b", "version": "1", "vulns": [{"id": "PYSEC-1", "fix_versions": []}]}
SKIPPED = {"name": "c", "skip_reason": "not found"}

P, F, U = Verdict.PASS, Verdict.FAIL, Verdict.CANNOT_TELL
REPORTS: list[tuple[str, object, str, Verdict, str]] = [
    ("sarif", sarif(), "", P, "looker 2.0.1: no findings"),
    ("sarif", sarif(EVAL, MD5, rules=SCORED), "", F, "1 critical, 1 medium (eval); at most 0 critical may be"),
    ("sarif", sarif(MD5, rules=SCORED), ", high: 0", P, "1 medium"),
    ("sarif", sarif(MD5, rules=SCORED), ", medium: 0", F, "1 medium (md5); at most 0 medium may be"),
    ("sarif", sarif(EVAL, EVAL, rules=SCORED), ", critical: 2", P, "2 critical"),
    ("sarif", sarif({"ruleId": "x", "level": "error"}), ", high: 0", F, "1 high (x)"),
    ("sarif", sarif({"ruleId": "x"}), ", high: 0", P, "1 medium"),  # SARIF: a level that is missing is a warning
    ("sarif", sarif({"ruleId": "x", "level": "none"}), "", P, "no findings"),
    ("sarif", sarif({"ruleId": "x", "properties": {"security-severity": "?"}}), "", F, "1 unrated (x)"),
    ("sarif", sarif({"ruleId": "x", "properties": {"security-severity": "11"}}), "", F, "1 unrated (x)"),
    ("sarif", sarif(EVAL | {"kind": "pass"}, EVAL | {"baselineState": "absent"}, rules=SCORED), "", P, "no findings"),
    ("sarif", sarif(EVAL | {"suppressions": [{"kind": "external"}]}, rules=SCORED), "", P, "no findings, 1 waived"),
    ("sarif", sarif(EVAL | {"suppressions": [{"status": "underReview"}]}, rules=SCORED), "", F, "1 critical"),
    ("sarif", sarif(EVAL | {"suppressions": []}, rules=SCORED), "", F, "1 critical"),
    (
        "sarif",
        {
            "version": "2.1.0",
            "runs": [
                {
                    "tool": {"driver": {"name": "q"}, "extensions": [{"name": "pack", "rules": SCORED}]},
                    "results": [{"rule": {"index": 0, "toolComponent": {"index": 0}}, "level": "note"}],
                }
            ],
        },
        "",
        F,
        "1 critical (eval)",
    ),
    ("sarif", sarif() | {"version": "2.0.0"}, "", U, "is SARIF of version '2.0.0', expected 2.1.0"),
    ("sarif", {}, "", U, "is SARIF of version None"),
    ("sarif", {"version": "2.1.0", "runs": []}, "", U, "holds no run"),
    ("sarif", {"version": "2.1.0", "runs": [{"tool": {}}]}, "", U, "a run without results"),
    ("sarif", {"version": "2.1.0", "runs": [{"tool": {}, "results": None}]}, "", U, "a run without results"),
    ("sarif", sarif(invocations=[{"executionSuccessful": False}]), "", U, "a run that failed"),
    ("sarif", sarif(invocations=[{"toolExecutionNotifications": [{"level": "error"}]}]), "", U, "errors of"),
    ("sarif", sarif(versionControlProvenance=[{"revisionTag": "v1.1.0"}]), "", P, "no findings"),
    ("sarif", sarif(versionControlProvenance=[{"revisionTag": "v1.0.0"}]), "", U, "is about 1.0.0, and 1.1.0"),
    ("sarif", sarif(invocations=[{"endTimeUtc": "2020-01-01T00:00:00Z"}]), "", U, "old, at most 24h"),
    ("sarif", sarif(invocations=[{"endTimeUtc": "yesterday"}]), "", U, "'yesterday', which is no time"),
    ("sarif", [], "", U, "is no JSON object"),
    ("osv", osv(), "", P, "no findings in 2 packages"),
    ("osv", osv(vulnerabilities=[OSV], groups=[{"ids": ["GHSA-1", "C"], "max_severity": "9.8"}]), "", F, "1 critical"),
    ("osv", osv(vulnerabilities=[OSV], groups=[{"ids": ["GHSA-1"], "max_severity": ""}]), ", medium: 0", F, "1 medium"),
    ("osv", osv(vulnerabilities=[OSV]), ", medium: 0", F, "1 medium in 2 packages (GHSA-1)"),
    ("osv", osv(vulnerabilities=[{"id": "GHSA-2"}]), "", F, "(GHSA-2); at most 0 unrated"),
    ("osv", osv(vulnerabilities=[OSV, {"id": "G-2"}], groups=[{"ids": ["GHSA-1"], "max_severity": 1}]), "", F, "(G-2)"),
    ("osv", {"results": []}, "", U, "osv-scanner lists them with --all-packages"),
    ("osv", {}, "", U, "none of osv-scanner"),
    ("pip-audit", audit(CLEAN), "", P, "no findings in 1 packages"),
    ("pip-audit", audit(CLEAN, BAD), "", F, "1 unrated in 2 packages (PYSEC-1); at most 0 unrated may be"),
    ("pip-audit", audit(CLEAN, BAD), ", unrated: 1", P, "1 unrated"),
    ("pip-audit", audit(CLEAN, SKIPPED), "", U, "1 packages were skipped, at most 0 may be"),
    ("pip-audit", audit(CLEAN, SKIPPED), ", skipped: 1", P, "no findings"),
    ("pip-audit", audit(BAD, SKIPPED), "", F, "1 unrated"),
    ("pip-audit", audit(SKIPPED), ", skipped: 1", U, "names no package that was looked at"),
    ("pip-audit", audit(), "", U, "names no package"),
    ("pip-audit", audit({"name": "a", "version": "1"}), "", U, "without 'vulns'"),
    ("pip-audit", [], "", U, "is no JSON object"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "document", "settings", "verdict", "words"), REPORTS)
def test_what_a_report_means(
    kind: str, document: object, settings: str, verdict: Verdict, words: str
) -> None:
    now = time.time()
    values = gate_of(settings).settings
    allowed = {rating: values[rating] for rating in scan.RATINGS if values[rating] is not None}
    try:
        report = read(kind, document)
    except NoReport as lacking:
        answer = GateAnswer(verdict=U, reason=str(lacking))
    else:
        age_s = now - report.at.timestamp() if report.at else 0.0
        answer = scan.verdict(
            report,
            Allowed(findings=allowed, skipped=values["skipped"]),
            version="1.1.0",
            age_s=age_s,
            stale_after_s=values["stale_after"],
        )

    assert (answer.verdict, words in answer.reason) == (verdict, True), answer.reason


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["runs", "results", "tool", "driver", "rules", "invocations", "level", "kind", "rule", "index",
             "properties", "security-severity", "suppressions", "status", "packages", "groups", "ids", "vulns",
             "dependencies", "vulnerabilities", "id", "endTimeUtc", "versionControlProvenance", "revisionTag"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@given(st.sampled_from(FORMATS), json_values)
def test_no_document_makes_the_reader_raise_anything_but_that_it_is_no_report(
    kind: str, document: object
) -> None:
    for whole in (
        document,
        {"version": "2.1.0", "runs": [{"results": [document]}]},
        {"version": "2.1.0", "runs": [document]},
    ):
        try:
            report = read(kind, whole)
        except NoReport:
            continue
        assert all(finding.rating in scan.RATINGS for finding in report.findings)


# The program.


def test_the_evidence_counts_and_names_and_keeps_the_age() -> None:
    answer = told(sarif(EVAL, MD5, rules=SCORED), "sarif", code=1)

    assert answer.verdict is Verdict.FAIL
    assert answer.evidence["findings"] == {"critical": 1, "high": 0, "medium": 1, "low": 0, "unrated": 0}
    assert answer.evidence["named"] == ["eval", "md5"]
    assert answer.evidence["tool"] == "looker 2.0.1"
    written = json.dumps(sarif(EVAL, MD5, rules=SCORED)).encode()
    assert answer.evidence["report"] == f"sha256:{hashlib.sha256(written).hexdigest()}"


def test_a_report_may_come_by_standard_output_and_the_version_reaches_the_scanner() -> None:
    script = f"""
import json, os, sys
report = {sarif()!r}
report["runs"][0]["versionControlProvenance"] = [{{"revisionTag": sys.argv[1]}}]
assert os.environ["SCAN_VERSION"] == sys.argv[1] and os.environ["LENT"] == "hush"
print(json.dumps(report))
"""
    answer = run(python(script))

    assert answer.verdict is Verdict.PASS, answer.reason
    assert "hush" not in f"{answer}"


@pytest.mark.parametrize(
    ("scanner", "words"),
    [
        (python("import sys; print('no lock', file=sys.stderr); sys.exit(128)"), "with 128, expected 0 or 1: no lock"),
        (python("pass", "{report}"), "the report of 'packages' was not written"),
        (python("pass"), "the report of 'packages' is empty"),
        (python("print('all good')"), "is no JSON"),
        (python("print('{\"version\": NaN}')"), "is no JSON"),
        (python("import os; os.kill(os.getpid(), 9)"), "ended with -9"),
        (python("import time; time.sleep(60)"), "did not end within 1 s"),
        (ScannerSite(command=("no-such-scanner", "{version}"), format="sarif"), "could not be started"),
    ],
)  # fmt: skip
def test_a_scanner_that_did_not_come_to_its_end_cannot_tell(scanner: ScannerSite, words: str) -> None:
    answer = run(scanner, ", timeout: 1s" if "sleep" in str(scanner) else "")

    assert answer.verdict is Verdict.CANNOT_TELL
    assert words in answer.reason


def test_a_report_that_was_kept_from_before_cannot_tell_by_its_files_time(tmp_path: Path) -> None:
    kept = tmp_path / "1.1.0.json"
    kept.write_text(json.dumps(audit(CLEAN)))
    script = f"import shutil, sys; shutil.copy2({str(tmp_path)!r} + '/' + sys.argv[1] + '.json', sys.argv[2])"
    scanner = python(script, "{report}", kind="pip-audit")
    assert run(scanner).verdict is Verdict.PASS
    before = time.time() - 2 * 86400
    os.utime(kept, (before, before))
    answer = run(scanner)

    assert answer.verdict is Verdict.CANNOT_TELL
    assert "48h old, at most 24h" in answer.reason
    assert run(scanner, ", stale_after: 3d").verdict is Verdict.PASS
    now = datetime.now(UTC).isoformat()
    kept.write_text(json.dumps(sarif(invocations=[{"endTimeUtc": now}])))
    os.utime(kept, (before, before))
    assert run(python(script, "{report}")).verdict is Verdict.CANNOT_TELL, "whatever it says of itself"


def test_a_real_scanner_finds_what_is_there(tmp_path: Path) -> None:
    """The security rules of ruff, which writes SARIF, over the source of a version."""
    release = tmp_path / "1.1.0"
    release.mkdir()
    words = ("check", "--isolated", "--no-cache", "--select", "S", "--output-format", "sarif")
    scanner = ScannerSite(command=(RUFF, *words, f"{tmp_path}/{{version}}"), format="sarif")
    (release / "formula.py").write_text("def value(formula: str) -> object:\n    return int(formula)\n")
    clean = run(scanner, ", high: 0")
    (release / "formula.py").write_text("def value(formula: str) -> object:\n    return eval(formula)\n")
    found = run(scanner, ", high: 0")

    assert clean.verdict is Verdict.PASS, clean.reason
    assert found.verdict is Verdict.FAIL, found.reason
    assert "S307" in found.reason


def test_a_site_without_the_scanner_cannot_tell() -> None:
    answer = run_gate({"security_scan": ScanGate({}, {})}, gate_of(""), VARIABLES)

    assert answer.verdict is Verdict.CANNOT_TELL
    assert "no scanner 'packages'" in answer.reason


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("[scan, all]", "a scan of what? '{version}' is missing"),
        ("[scan, '{version}', '{colour}']", "knows {version} and {report}, found {colour}"),
        ("[]", "name a program"),
    ],
)
def test_a_scanner_that_does_not_name_what_it_scans_is_refused(
    tmp_path: Path, command: str, words: str
) -> None:
    text = (Path(__file__).resolve().parents[3] / "docs" / "site-reference.yaml").read_text()
    whole = '[pip-audit, --path, "releases/{version}", --format, json, --output, "{report}"]'
    assert whole in text
    with pytest.raises(FileRefused, match=r"^s.yaml:\d+: ") as refused:
        sites.parse(text.replace(whole, command), file="s.yaml")

    assert words in str(refused.value)
