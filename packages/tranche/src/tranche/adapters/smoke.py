"""The gate that asks green a few things and looks at each answer: straight to its address, as a load test does."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tranche.adapters.exchange import NoAnswer, exchange
from tranche.adapters.load_test import NoTarget, Requests, requests_of
from tranche.plan import duration
from tranche.ports import GateAnswer, Verdict
from tranche.secret import SecretMissing

MOST_TOLD: Final = 3
"""Wrong answers that a reason names; the evidence has them all."""


class SmokeGate:
    """Every answer must be the expected one. No answer is a failure: a person would have met nothing."""

    def __init__(self, green_url: str, targets: Mapping[str, Requests]) -> None:
        self._green_url = green_url.rstrip("/")
        self._targets = dict(targets)

    def run(self, settings: Mapping[str, object], *, timeout_s: float) -> GateAnswer:
        values: Mapping[str, Any] = settings
        ends = time.monotonic() + timeout_s
        try:
            requests = requests_of(values, self._targets)
        except (NoTarget, SecretMissing) as fault:
            return GateAnswer(verdict=Verdict.CANNOT_TELL, reason=str(fault))
        found: list[tuple[str, str | None]] = []
        for request in requests:
            left_s = ends - time.monotonic()
            if left_s <= 0:
                break
            found.append((f"{request['method']} {request['path']}", self._wrong(request, left_s)))
        return _verdict(found, len(requests))

    def _wrong(self, request: Mapping[str, Any], left_s: float) -> str | None:
        """What is wrong with the answer, or None."""
        began, body = time.monotonic(), request["body"]
        try:
            answer = exchange(
                request["method"],
                self._green_url + request["path"],
                headers=request["headers"],
                body=body.encode() if body else None,
                timeout_s=min(request["within"], left_s),
            )
        except NoAnswer as fault:
            return str(fault)
        took_s = time.monotonic() - began
        if answer.status != request["status"]:
            return f"answers {answer.status}, expected {request['status']}"
        if request["contains"] not in answer.text:
            return f"answers without '{request['contains']}'"
        if request["absent"] and request["absent"] in answer.text:
            return f"answers with '{request['absent']}'"
        if took_s > request["within"]:
            return (
                f"answers after {duration(round(took_s, 3))}, expected within {duration(request['within'])}"
            )
        return None


def _verdict(found: Sequence[tuple[str, str | None]], asked: int) -> GateAnswer:
    wrong = [f"{what}: {why}" for what, why in found if why is not None]
    evidence = {"asked": [what for what, _ in found][:20], "wrong": wrong[:20]}
    if wrong:
        more = f" (and {len(wrong) - MOST_TOLD} more)" if len(wrong) > MOST_TOLD else ""
        told = f"{len(wrong)} of {asked} wrong: {'; '.join(wrong[:MOST_TOLD])}{more}"
        return GateAnswer(verdict=Verdict.FAIL, reason=told, evidence=evidence)
    if len(found) < asked:
        told = f"the time was over after {len(found)} of {asked} requests; give it more"
        return GateAnswer(verdict=Verdict.CANNOT_TELL, reason=told, evidence=evidence)
    return GateAnswer(
        verdict=Verdict.PASS, reason=f"{asked} of {asked} answers are as expected", evidence=evidence
    )
