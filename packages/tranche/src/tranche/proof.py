"""What a proof has shown: the report of a test program, property by property. Pure.

A report is `{"version": "1.1.0", "properties": [{"name": "guards", "verdict": "pass", "reason": "...", "evidence":
{...}}]}`; a verdict is *pass*, *fail* or *cannot tell*. A property that the plan names and the report does not have,
has twice, or calls passed without any evidence, cannot be told: nobody has seen it.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tranche.ports import GateAnswer, Verdict, cannot_tell

VERDICTS: Final = {each.value: each for each in (Verdict.PASS, Verdict.FAIL, Verdict.CANNOT_TELL)}
WORST_FIRST: Final = (Verdict.FAIL, Verdict.CANNOT_TELL, Verdict.PASS)
LARGEST_EVIDENCE: Final = 3000
"""Characters; what is larger stays in the report, of which the digest is kept."""


def verdict(report: object, *, of: Sequence[str], version: str) -> GateAnswer:
    """What the report says of these properties of this version."""
    if not isinstance(report, Mapping) or not isinstance(report.get("properties"), list):
        return cannot_tell('the report is no object with a list of "properties"')
    if report.get("version", version) != version:
        told = f"the report is about version {str(report['version'])[:40]}, expected {version}"
        return cannot_tell(told)
    found = {name: _property(name, report["properties"]) for name in of}
    worst = min((answer.verdict for answer in found.values()), key=WORST_FIRST.index)
    told = "; ".join(
        f"{name}: {answer.reason}" for name, answer in found.items() if answer.verdict is not Verdict.PASS
    )
    shown = sum(answer.verdict is Verdict.PASS for answer in found.values())
    reason = f"{shown} of {len(found)} properties proven" + (f"; {told}" if told else "")
    return GateAnswer(verdict=worst, reason=reason, evidence={"properties": _kept(found)})


def _property(name: str, listed: Sequence[object]) -> GateAnswer:
    own = [each for each in listed if isinstance(each, Mapping) and each.get("name") == name]
    if len(own) != 1:
        return cannot_tell("it is not in the report" if not own else f"it is in the report {len(own)} times")
    said: Mapping[str, Any] = own[0]
    known = VERDICTS.get(str(said.get("verdict")))
    if known is None:
        return cannot_tell(
            f"the report says '{str(said.get('verdict'))[:40]}', expected pass, fail or cannot tell"
        )
    evidence = said.get("evidence")
    if known is Verdict.PASS and not (isinstance(evidence, Mapping) and evidence):
        return cannot_tell("the report says pass, and shows no evidence")
    reason = str(said.get("reason") or known.value)
    return GateAnswer(
        verdict=known, reason=reason, evidence=evidence if isinstance(evidence, Mapping) else {}
    )


def _kept(found: Mapping[str, GateAnswer]) -> dict[str, object]:
    """By property; without its evidence where all of that is too large to be kept for ever."""
    bare = {
        name: {"verdict": answer.verdict.value, "reason": answer.reason[:200]}
        for name, answer in found.items()
    }
    whole = {name: {**bare[name], "evidence": dict(answer.evidence)} for name, answer in found.items()}
    return dict(whole) if len(json.dumps(whole)) <= LARGEST_EVIDENCE else dict(bare)
