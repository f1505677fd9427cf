"""A plan that reads well and means nothing is refused; one that means something else than it seems is warned of."""

import re
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from installed import BARE

from tranche import language
from tranche import site as sites
from tranche.lint import CODES, Finding, MeansNothing, Severity, lint, lint_here, refuse
from tranche.plan import OWN_VARIABLES
from tranche.wiring import findings

ROOT = Path(__file__).resolve().parents[3]
NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)

PLAN = """\
name: good
tick: 1s
stale_after: 5s
limits:
  - {limit: errors > 1 %, sustained: 5m}
  - {limit: errors > 10 %, sustained: 1m, minimum_requests: 50}
phases:
  - name: few
    weight: 10 %
    dwell: 1h
    requirements: [errors < 0.5 %]
  - name: all
    weight: 100 %
    dwell: 1h
"""


def found(text: str) -> list[Finding]:
    return lint(language.parse(text, file="p.yaml"), now=NOW)


ROLLS_BACK = "{name: g, kind: command, command: [x], on_fail: roll_back}"
CASES = [
    ("[errors < 0.5 %]", "[cache_hits > 70 %]", "refused", "never-told", 8, "gate of kind 'query'"),
    ("[errors < 0.5 %]", "[restarts < 0]", "refused", "never-met", 8, "write 'restarts < 1'"),
    ("sustained: 5m", "sustained: 3h", "refused", "never-fires", 5, "planned to last (2h)"),
    ("5m}", "90m, answer: step_back}", "refused", "never-fires", 5, "the longest phase"),
    ("sustained: 5m", "sustained: 90m", "warning", "window-longer-than-dwell", 5, "phases 'few', 'all' must"),
    ("sustained: 1m, minimum_requests: 50", "sustained: 6m", "warning", "overtaken", 6, "'errors > 1 % for 5m' (r"),
    ("errors > 10 %, sustained: 1m, minimum_requests: 50", "errors > 1 %, sustained: 5m", "warning", "overtaken", 6,
     "drop it"),
    ("errors > 1 %, sustained: 5m",
     "latency_p99 > 500 ms, sustained: 5m}\n  - {limit: latency_p95 > 500 ms, sustained: 5m", "warning", "overtaken", 6,
     "'latency_p99 > 500 ms for 5m'"),
    ("limits:\n  - {limit: errors > 1 %, sustained: 5m",
     "step_backs: 0\nlimits:\n  - {limit: errors > 1 %, sustained: 5m, answer: step_back", "warning",
     "step-back-is-rollback", 6, "'step_backs' is 0"),
    ("name: good", "name: good\nwarm_up: 1h", "warning", "within-warm-up", 9, "not judged for 1h"),
    ("    dwell: 1h\n    req", "    dwell: 0s\n    req", "warning", "no-dwell", 8, "give it time"),
    ("phases:", "staging: {mirror: 10 %}\nphases:", "warning", "mirror-sees-nothing", 7, "may end before green"),
    ("    dwell: 1h\n    req", "    dwell: 1h\n    point_of_no_return: dropped\n    req", "warning", "return-is-barred",
     8, "blue still serves 90 %"),
    ("    weight: 100 %", f"    weight: 100 %\n    point_of_no_return: x\n    gates: [{ROLLS_BACK}]", "warning",
     "return-is-barred", 15, "write 'hold'"),
    ("name: good", 'name: good\nfreeze: [{from: "00:00", until: "12:00"}, {from: "12:00", until: "00:00"}]', "refused",
     "always-frozen", 2, "no minute of the week"),
    ("name: good", "name: good\nharm_budget: 2 requests", "warning", "budget-within-chance", 1, "at least 3 requests"),
    ("name: good", "name: good\nfreeze: [{from: 2025-12-23, until: 2026-01-02}]", "warning", "freeze-is-over", 2,
     "mend its year"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "severity", "code", "line", "told"), CASES)
def test_what_means_nothing_or_something_else_is_found_with_its_line(
    old: str, new: str, severity: str, code: str, line: int, told: str
) -> None:
    assert old in PLAN
    text = PLAN.replace(old, new, 1)
    hits = [finding for finding in found(text) if finding.code == code]

    assert [(finding.severity.value, finding.line) for finding in hits] == [(severity, line)], found(text)
    assert told in hits[0].message
    assert re.search(r"[;:,-] ", hits[0].message), "it says what to do"


def test_a_good_plan_has_nothing_to_say() -> None:
    assert found(PLAN) == []


NOT_OVERTAKEN = [
    ("sustained: 1m, minimum_requests: 50", "sustained: 6m, minimum_requests: 50"),  # fewer requests are enough for it
    ("errors > 1 %, sustained: 5m", "errors > 1 %, sustained: 1m, minimum_requests: 50, answer: hold"),  # only held
    ("errors > 10 %, sustained: 1m", "latency_p95 > 500 ms, sustained: 6m"),
    ("errors > 1 %, sustained: 5m",
     "latency_p95 > 500 ms, sustained: 5m}\n  - {limit: latency_p99 > 500 ms, sustained: 9m"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new"), NOT_OVERTAKEN)
def test_a_limit_that_may_answer_first_is_not_called_overtaken(old: str, new: str) -> None:
    assert old in PLAN

    assert found(PLAN.replace(old, new, 1)) == []


def test_a_budget_above_chance_is_not_warned_of() -> None:
    assert found(PLAN.replace("name: good", "name: good\nharm_budget: 3 requests")) == []
    busy = PLAN.replace("dwell: 1h\n    req", "dwell: 1h\n    minimum_requests: 20000\n    req")
    (finding,) = found(busy.replace("name: good", "name: good\nharm_budget: 29 requests"))
    assert "allow 100 failures" in finding.message
    assert found(busy.replace("name: good", "name: good\nharm_budget: 30 requests")) == []


def test_refusals_come_first_and_only_they_refuse() -> None:
    text = PLAN.replace("name: good", "name: good\nwarm_up: 2h").replace(
        "[errors < 0.5 %]", "[cache_hits > 7 %]"
    )
    both = found(text)

    assert [finding.severity for finding in both] == [Severity.REFUSED, Severity.WARNING]
    with pytest.raises(MeansNothing, match=r"^p.yaml:9: phase 'few' requires"):
        refuse(both, "p.yaml")
    refuse(both[1:], "p.yaml")


LENDS = """\
gates:
  variables: {tool: TOOL}
  prometheus: {url: "http://127.0.0.1:9", token: {file: none}}
  targets: {ledger: [{path: /, headers: {authorization: {environment: NO_SUCH_VARIABLE}}}]}
  webhooks: {board: {url: "http://127.0.0.1:9", secret: {file: none}}}
"""

NEEDS = [
    (
        "kind: command, command: [no-such-program-anywhere]",
        "the program 'no-such-program-anywhere', which is not found",
    ),
    ('kind: http, url: "{ledger_url}/ready"', "the variable '{ledger_url}', which the site does not lend"),
    ('kind: command, command: [TOOL, "{green_url}", "{phase}", "{nobody}"]', "the variable '{nobody}'"),
    ("kind: load_test, target: ledger, rate: 9/s, duration: 9s, errors: 5 %", "the target 'ledger'"),
    ("kind: webhook, to: board", "the webhook 'board'"),
    ("kind: incidents, to: board", "the webhook 'board'"),
    ("kind: incidents, query: max(a)", "a Prometheus"),
    ("kind: smoke, target: ledger", "the target 'ledger'"),
    ("kind: drill, site: staging", "the rehearsals of 'staging'"),
    ("kind: security_scan, scanner: packages", "the scanner 'packages'"),
    ("kind: proof, program: hardening, of: [guards]", "the proof 'hardening'"),
    ('kind: query, query: max(lag), bound: "< 3"', "a Prometheus"),
]


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_VARIABLE", raising=False)


def here(gate: str, tmp_path: Path, lends: str = "") -> list[Finding]:
    gate = gate.replace("TOOL", sys.executable)
    gate = f"gates: [{{name: g, {gate}}}]"
    plan = language.parse(PLAN.replace("    requirements: [errors < 0.5 %]", f"    {gate}"), file="p.yaml")
    path = tmp_path / "site.yaml"
    path.write_text(BARE + lends.replace("TOOL", sys.executable))
    return findings(plan, sites.load(path))


def test_a_mirror_needs_paths_that_the_site_calls_read_only(tmp_path: Path) -> None:
    plan = language.parse(
        PLAN.replace("phases:", "staging: {dwell: 1h, mirror: 10 %}\nphases:"), file="p.yaml"
    )
    path = tmp_path / "site.yaml"
    path.write_text(BARE)
    (finding,) = findings(plan, sites.load(path))
    assert (finding.severity, finding.code, finding.line) == (Severity.REFUSED, "not-here", 7)
    assert "add 'traffic.read_only', or drop 'mirror'" in finding.message
    path.write_text(BARE.replace("  health_path", "  read_only: [/reports/]\n  health_path"))
    assert findings(plan, sites.load(path)) == []


@pytest.mark.parametrize(("gate", "told"), NEEDS)
def test_a_gate_that_cannot_run_here_is_refused(gate: str, told: str, tmp_path: Path) -> None:
    (finding,) = here(gate, tmp_path)

    assert (finding.severity, finding.code, finding.line) == (Severity.REFUSED, "not-here", 11)
    assert f"gate 'g' of 'few' needs {told}" in finding.message
    assert re.search(r"; (add|install)", finding.message)


@pytest.mark.parametrize("gate", [gate for gate, _ in NEEDS if re.search("target|to: board|query", gate)])
def test_what_the_site_lends_is_there_and_an_unreadable_secret_is_only_a_warning(
    gate: str, tmp_path: Path
) -> None:
    (finding,) = here(gate, tmp_path, LENDS)

    assert (finding.severity, finding.code) == (Severity.WARNING, "secret-missing")


@pytest.mark.parametrize(
    "gate", ["kind: command, command: [TOOL]", 'kind: command, command: ["{tool}", "{version}"]']
)
def test_a_program_that_is_there_is_found(gate: str, tmp_path: Path) -> None:
    assert here(gate, tmp_path, LENDS) == []


def test_the_program_of_a_proof_is_sought_too(tmp_path: Path) -> None:
    lends = "gates: {proofs: {hardening: {command: [no-such-proof, '{url}']}}}\n"
    gate = "kind: proof, program: hardening, of: [guards]"
    (finding,) = here(gate, tmp_path, lends)

    assert "needs the program 'no-such-proof'" in finding.message
    assert here(gate, tmp_path, lends.replace("no-such-proof", "TOOL")) == []


def test_the_program_of_a_scanner_is_sought_too(tmp_path: Path) -> None:
    lends = "gates: {scanners: {packages: {command: [no-such-scanner, '{version}'], format: osv}}}\n"
    (finding,) = here("kind: security_scan, scanner: packages", tmp_path, lends)

    assert "needs the program 'no-such-scanner'" in finding.message
    assert (
        here("kind: security_scan, scanner: packages", tmp_path, lends.replace("no-such-scanner", "TOOL"))
        == []
    )


def test_a_green_that_somebody_else_starts_can_never_be_told_to_be_ready(tmp_path: Path) -> None:
    plan = language.parse(PLAN, file="p.yaml")
    own = sites.parse(BARE, file=str(tmp_path / "site.yaml"))
    others = sites.parse(BARE.replace("command: [serve]", "managed: false"), file=str(tmp_path / "site.yaml"))

    assert findings(plan, own) == []
    (finding,) = findings(plan, others)
    assert (finding.code, finding.severity) == ("not-here", Severity.REFUSED)
    assert "nobody can tell which version runs as green" in finding.message


def test_a_program_is_sought_where_the_site_says(tmp_path: Path) -> None:
    program = tmp_path / "checker"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    gate = "kind: command, command: [checker]"

    assert here(gate, tmp_path, f"gates: {{environment: {{PATH: {tmp_path}}}}}\n") == []
    assert [finding.code for finding in here(gate, tmp_path)] == ["not-here"]


def test_the_plans_we_ship_are_refused_nowhere_and_the_demo_is_not_even_warned_of() -> None:
    for path in sorted((ROOT / "plans").glob("*.yaml")):
        plan, _ = language.load(path)
        warned = lint(plan, now=NOW)
        assert not [finding for finding in warned if finding.severity is Severity.REFUSED], path.name
        if path.name == "finance-demo.yaml":
            assert warned == []


def test_the_reference_plan_runs_on_the_reference_site() -> None:
    plan, _ = language.load(ROOT / "plans" / "reference.yaml")
    site = sites.load(ROOT / "docs" / "site-reference.yaml")
    lent = frozenset({"green_url", *OWN_VARIABLES, *site.gates.variables})
    lacking = lint_here(plan, site, lent=lent, find=lambda program: program)

    assert {finding.code for finding in lacking} <= {"secret-missing"}


def test_every_code_is_described_with_what_to_do_and_is_shown_here() -> None:
    text = (ROOT / "docs" / "plan-check.md").read_text()
    described = dict(re.findall(r"^\| `([a-z-]+)` \| (\w+) \|", text, re.MULTILINE))
    shown = {code: severity for _, _, severity, code, _, _ in CASES}

    assert described == shown | {"not-here": "refused", "secret-missing": "warning"}
    assert set(described) == set(CODES)
