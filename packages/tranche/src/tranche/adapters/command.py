"""The gate that is any program.

Exit 0 passes, 1 fails, 75 (EX_TEMPFAIL of sysexits.h) is not yet; anything else, a missing program or a
time-out cannot tell. The last line it prints is its reason; if that is a JSON object, its `reason` and
`evidence` are taken from it.
"""

import contextlib
import json
from collections.abc import Mapping
from typing import Any, Final

from tranche.adapters.program import NotEnded, environment_of, run_program, words
from tranche.gates import small
from tranche.ports import GateAnswer, Verdict

VERDICTS: Final = {0: Verdict.PASS, 1: Verdict.FAIL, 75: Verdict.NOT_YET}


class CommandGate:
    """Runs a program in a process group of its own, and ends all of it when its time is over."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """`environment` is lent by the site and may hold secrets; it is never part of an answer."""
        self._environment = dict(environment)

    def run(self, settings: Mapping[str, object], *, timeout_s: float) -> GateAnswer:
        environment = environment_of(self._environment, settings.get("environment"))
        ended = run_program(words(settings.get("command")), environment=environment, timeout_s=timeout_s)
        if isinstance(ended, NotEnded):
            return GateAnswer(verdict=Verdict.CANNOT_TELL, reason=ended.reason)
        return answer_of(ended.code, ended.output, ended.errors)


def answer_of(code: int, output: str, errors: str) -> GateAnswer:
    """What a program's end means."""
    verdict = VERDICTS.get(code, Verdict.CANNOT_TELL)
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    told: dict[str, Any] = {}
    for text in (output, lines[-1] if lines else ""):
        with contextlib.suppress(ValueError, RecursionError):
            loaded = json.loads(text)
            told = loaded if isinstance(loaded, dict) else {}
            break
    complaint = [line.strip() for line in errors.splitlines() if line.strip()]
    spoken = told.get("reason") or (lines[-1] if lines and not told else "")
    if verdict is not Verdict.PASS and not spoken and complaint:
        spoken = complaint[-1]
    reason = str(spoken) or f"exit {code}"
    if code not in VERDICTS:
        reason = f"exit {code}: {reason}"
    found = small(told.get("evidence", {key: value for key, value in told.items() if key != "reason"}))
    return GateAnswer(
        verdict=verdict, reason=reason, evidence={"exit": code} | ({"output": found} if found else {})
    )
