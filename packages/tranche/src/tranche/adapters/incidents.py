"""The gate that asks how many incidents are open: another system, by its webhook, or Prometheus, by a query."""

from collections.abc import Mapping
from typing import Any

from tranche.adapters.exchange import Answer, NoAnswer, json_of
from tranche.adapters.prometheus import QueryGate
from tranche.adapters.webhook import post
from tranche.gate_kinds import Threshold
from tranche.ports import GateAnswer, Verdict, cannot_tell
from tranche.secret import SecretMissing
from tranche.site import PrometheusSite
from tranche.webhook import Webhook


class IncidentGate:
    """At most so many may be open. Whoever cannot be asked, or does not say a number, cannot tell."""

    def __init__(self, webhooks: Mapping[str, Webhook], prometheus: PrometheusSite | None) -> None:
        self._webhooks = dict(webhooks)
        self._query = QueryGate(prometheus)

    def run(self, settings: Mapping[str, object], *, timeout_s: float) -> GateAnswer:
        values: Mapping[str, Any] = settings
        if values["query"]:
            bound = Threshold(relation="<=", value=values["open"])
            return self._query.run({**values, "bound": bound}, timeout_s=timeout_s)
        name = values["to"]
        if name not in self._webhooks:
            return cannot_tell(f"the site names no webhook '{name}'; add it under 'gates.webhooks'")
        asked = {"type": "incidents", "subject": values["subject"]}
        try:
            return _read(name, post(self._webhooks[name], asked, timeout_s=timeout_s), values["open"])
        except SecretMissing as fault:
            return cannot_tell(str(fault))
        except NoAnswer as fault:
            return cannot_tell(f"'{name}' {fault}")


def _read(name: str, answer: Answer, most: int) -> GateAnswer:
    if answer.status != 200:
        return cannot_tell(f"'{name}' answers {answer.status}, expected 200 and a number")
    told = json_of(answer.body)
    count = told.get("open") if isinstance(told, dict) else None
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        return cannot_tell(f"'{name}' answers {count!r} under 'open', expected how many incidents are open")
    which = told.get("incidents")
    named = [str(each) for each in which][:20] if isinstance(which, list) else []
    evidence = {"open": count, "allowed": most, "incidents": named}
    told_of = f"{count} incidents are open" + (f" ({', '.join(named)})" if named else "")
    if count > most:
        return GateAnswer(verdict=Verdict.FAIL, reason=f"{told_of}, at most {most} may be", evidence=evidence)
    return GateAnswer(verdict=Verdict.PASS, reason=told_of, evidence=evidence)
