"""The gate that runs a test program of the site against green's own address, and reads its report."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tranche.adapters.exchange import NoAnswer, json_of
from tranche.adapters.program import NotEnded, environment_of, run_program
from tranche.gates import substituted
from tranche.ports import GateAnswer, cannot_tell
from tranche.proof import verdict
from tranche.site import ProofSite

ENDS = (0, 1)
"""The codes of a program that has looked: all was well, or not. The report decides."""


class ProofGate:
    """With another code than those it has told nothing, whatever it has printed."""

    def __init__(
        self, green_url: str, proofs: Mapping[str, ProofSite], environment: Mapping[str, str]
    ) -> None:
        """`environment` is lent by the site and may hold secrets; it is never part of an answer."""
        self._green_url, self._proofs = green_url, dict(proofs)
        self._environment = dict(environment)

    def run(self, settings: Mapping[str, object], *, timeout_s: float) -> GateAnswer:
        values: Mapping[str, Any] = settings
        name, version = values["program"], str(values["subject"]["version"])
        if name not in self._proofs:
            return cannot_tell(f"the site has no proof '{name}'; add it under 'gates.proofs'")
        told = {"url": self._green_url, "version": version}
        command = [str(substituted(word, told)) for word in self._proofs[name].command]
        own = {"PROOF_URL": self._green_url, "PROOF_VERSION": version}
        ended = run_program(command, environment=environment_of(self._environment, own), timeout_s=timeout_s)
        if isinstance(ended, NotEnded):
            return cannot_tell(ended.reason)
        if ended.code not in ENDS:
            complaint = (ended.errors.strip().splitlines() or [""])[-1][:200]
            return cannot_tell(f"'{name}' ended with {ended.code}, expected 0 or 1: {complaint}")
        written = ended.output.encode()
        try:
            report = json_of(written)
        except NoAnswer:
            return cannot_tell(f"the report of '{name}' is no JSON")
        answer = verdict(report, of=values["of"], version=version)
        digest = "sha256:" + hashlib.sha256(written).hexdigest()
        return replace(answer, evidence={**answer.evidence, "report": digest})
