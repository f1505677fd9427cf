"""A proof shows what its report shows, property by property, of the version that runs; and nothing else."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from receivers import receiving

from tranche import language
from tranche import site as sites
from tranche.adapters.proof import ProofGate
from tranche.ports import GateAnswer, Verdict
from tranche.proof import verdict
from tranche.shape import FileRefused
from tranche.site import ProofSite

SHOWN = {"asked": 20, "refused": 20}


def listed(name: str, said: str = "pass", **more: object) -> dict[str, object]:
    return {"name": name, "verdict": said, "reason": f"{name} {said}", "evidence": SHOWN, **more}


def judged(*properties: object, of: tuple[str, ...] = ("guards", "limits"), **more: object) -> GateAnswer:
    return verdict({"version": "1.1.0", "properties": list(properties), **more}, of=of, version="1.1.0")


def test_every_property_shown_passes_and_its_evidence_is_kept() -> None:
    answer = judged(listed("guards"), listed("limits"), listed("more than asked", "fail"))

    assert answer.verdict is Verdict.PASS
    assert answer.reason == "2 of 2 properties proven"
    kept: Any = answer.evidence["properties"]
    assert kept["guards"] == {"verdict": "pass", "reason": "guards pass", "evidence": SHOWN}


@pytest.mark.parametrize(
    ("second", "expected", "told"),
    [
        (listed("limits", "fail"), Verdict.FAIL, "limits: limits fail"),
        (listed("limits", "cannot tell"), Verdict.CANNOT_TELL, "limits: limits cannot tell"),
        (listed("another"), Verdict.CANNOT_TELL, "limits: it is not in the report"),
        (listed("limits", evidence={}), Verdict.CANNOT_TELL, "shows no evidence"),
        (listed("limits", evidence="trust me"), Verdict.CANNOT_TELL, "shows no evidence"),
        (listed("limits", "PASS"), Verdict.CANNOT_TELL, "expected pass, fail or cannot tell"),
        (listed("limits", "not yet"), Verdict.CANNOT_TELL, "expected pass, fail or cannot tell"),
        (listed("guards"), Verdict.CANNOT_TELL, "guards: it is in the report 2 times"),
        ("limits", Verdict.CANNOT_TELL, "limits: it is not in the report"),
    ],
)
def test_what_is_not_surely_shown_is_not_passed(second: object, expected: Verdict, told: str) -> None:
    answer = judged(listed("guards"), second)

    assert answer.verdict is expected
    assert told in answer.reason


def test_a_failure_outweighs_what_cannot_be_told() -> None:
    assert judged(listed("guards", "fail")).verdict is Verdict.FAIL


@pytest.mark.parametrize("report", [[], "pass", None, {}, {"properties": {}}, {"properties": None}])
def test_what_is_no_report_cannot_tell(report: object) -> None:
    assert verdict(report, of=("guards",), version="1").verdict is Verdict.CANNOT_TELL


def test_a_report_about_another_version_cannot_tell() -> None:
    answer = judged(listed("guards"), listed("limits"), version="1.0.0")

    assert answer.verdict is Verdict.CANNOT_TELL
    assert "about version 1.0.0, expected 1.1.0" in answer.reason


def test_evidence_too_large_to_be_kept_is_left_out_and_the_verdicts_stay() -> None:
    answer = judged(listed("guards", evidence={"log": "x" * 5000}), listed("limits"))

    assert answer.verdict is Verdict.PASS
    kept: Any = answer.evidence["properties"]
    assert kept["guards"] == {"verdict": "pass", "reason": "guards pass"}


PROGRAM = """
import json, sys, urllib.request
url, version = sys.argv[1:]
seen = urllib.request.urlopen(url + "/secret", timeout=5).status
print(json.dumps({"version": version, "properties": [
    {"name": "guards", "verdict": "pass", "reason": "looked", "evidence": {"status": seen}}]}))
sys.exit({"ends": 0, "looked-and-failed": 1, "died": 3}[%r])
"""
SETTINGS = {"program": "hardening", "of": ("guards",), "subject": {"version": "1.1.0"}}


def gate(url: str, program: str, folder: Path) -> ProofGate:
    (folder / "prove.py").write_text(program)
    site = ProofSite(command=(sys.executable, str(folder / "prove.py"), "{url}", "{version}"))
    return ProofGate(url, {"hardening": site}, {})


@pytest.mark.parametrize("ends", ["ends", "looked-and-failed"])
def test_the_program_meets_green_itself_and_its_report_decides(ends: str, tmp_path: Path) -> None:
    with receiving() as green:
        answer = gate(green.url.rstrip("/"), PROGRAM % ends, tmp_path).run(SETTINGS, timeout_s=20)

        assert answer.verdict is Verdict.PASS, answer.reason
        assert [request.path for request in green.requests] == ["/secret"]
        kept: Any = answer.evidence
        assert kept["properties"]["guards"]["evidence"] == {"status": 200}
        assert kept["report"].startswith("sha256:")


@pytest.mark.parametrize(
    ("program", "told"),
    [
        ("import sys; sys.exit(3)", "ended with 3, expected 0 or 1"),
        ("print('all is well')", "is no JSON"),
        ("", "is no JSON"),
        ("import time; time.sleep(30)", "did not end within"),
    ],
)
def test_a_program_that_tells_nothing_cannot_tell(program: str, told: str, tmp_path: Path) -> None:
    answer = gate("http://127.0.0.1:9", program, tmp_path).run(SETTINGS, timeout_s=0.7)

    assert answer.verdict is Verdict.CANNOT_TELL
    assert told in answer.reason


def test_a_proof_that_the_site_does_not_have_cannot_tell() -> None:
    answer = ProofGate("http://127.0.0.1:9", {}, {}).run(SETTINGS, timeout_s=1)

    assert answer.verdict is Verdict.CANNOT_TELL
    assert "add it under 'gates.proofs'" in answer.reason
    assert json.dumps(dict(answer.evidence)) == "{}"


def test_a_plan_that_names_no_property_is_refused() -> None:
    gate = "{name: g, kind: proof, program: x, of: []}"
    plan = f"name: p\nphases: [{{name: all, weight: 100 %, dwell: 1s, gates: [{gate}]}}]"

    with pytest.raises(FileRefused, match="Name its properties"):
        language.parse(plan, file="p.yaml")


def test_a_word_of_a_proof_that_nobody_fills_in_is_refused() -> None:
    text = (Path(__file__).resolve().parents[3] / "docs" / "site-reference.yaml").read_text()

    with pytest.raises(FileRefused, match=r"knows \{url\} and \{version\}, found \{phase\}"):
        sites.parse(text.replace('"{url}", "{version}"]}', '"{url}", "{phase}"]}'), file="site.yaml")
