"""The gate that asks Prometheus.

An instant query shows samples of up to five minutes ago as if they were of now (Prometheus, "Staleness" in
its querying basics). So what the query reads is asked for its age first, and what is older than
`stale_after` cannot tell.
"""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from tranche import promql
from tranche.adapters.exchange import NoAnswer, exchange, json_of
from tranche.gate_kinds import Threshold
from tranche.plan import duration
from tranche.ports import GateAnswer, Verdict
from tranche.secret import SecretMissing
from tranche.site import PrometheusSite

LONGEST_COMPLAINT: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One value of an answer; `at` is when it was evaluated, in seconds since 1970."""

    labels: Mapping[str, str]
    at: float
    value: float

    def __str__(self) -> str:
        labels = ", ".join(f'{name}="{value}"' for name, value in sorted(self.labels.items()))
        return f"{{{labels}}}" if labels else ""


class QueryGate:
    """Every value must be in bound; none, an odd one, an old one or an error cannot tell."""

    def __init__(self, prometheus: PrometheusSite | None) -> None:
        self._prometheus = prometheus

    def run(self, settings: Mapping[str, object], *, timeout_s: float) -> GateAnswer:
        if self._prometheus is None:
            told = "the site names no Prometheus to ask; add 'gates.prometheus' to it"
            return GateAnswer(verdict=Verdict.CANNOT_TELL, reason=told)
        query, bound = str(settings["query"]), settings["bound"]
        stale_after, fresh = settings.get("stale_after", 60.0), settings.get("fresh")
        if not isinstance(bound, Threshold) or not isinstance(stale_after, int | float):
            told = f"the gate's settings cannot be used: {bound!r}, {stale_after!r}"
            return GateAnswer(verdict=Verdict.CANNOT_TELL, reason=told)
        try:
            asked = _Asked(self._prometheus, ends=time.monotonic() + timeout_s)
            selectors = [str(each) for each in fresh] if isinstance(fresh, list | tuple) and fresh else None
            age_s = asked.oldest_s(selectors or promql.selectors(query), float(stale_after))
            return _judged(query, bound, asked.samples(query), age_s)
        except (NoAnswer, SecretMissing, promql.NoPromql) as fault:
            return GateAnswer(verdict=Verdict.CANNOT_TELL, reason=str(fault))


def _judged(query: str, bound: Threshold, samples: list[Sample], age_s: float | None) -> GateAnswer:
    if not samples:
        told = f"'{query}' answers nothing, so nothing can be told"
        return GateAnswer(verdict=Verdict.CANNOT_TELL, reason=told)
    odd = next((sample for sample in samples if not math.isfinite(sample.value)), None)
    if odd is not None:
        told = f"'{query}' answers {odd.value}{' for ' if odd.labels else ''}{odd}"
        return GateAnswer(verdict=Verdict.CANNOT_TELL, reason=told)
    value = bound.worst([sample.value for sample in samples])
    worst = next(sample for sample in samples if sample.value == value)
    evidence: dict[str, object] = {
        "query": query,
        "bound": str(bound),
        "worst": worst.value,
        "labels": dict(worst.labels),
        "values": len(samples),
        "evaluated_at": worst.at,
    } | ({} if age_s is None else {"oldest_sample_s": round(age_s, 3)})
    what = f"'{query}' is {worst.value:g}" + (f" for {worst}" if worst.labels else "")
    if not bound.is_met_by(worst.value):
        told = f"{what}, which is not {bound}"
        return GateAnswer(verdict=Verdict.FAIL, reason=told, evidence=evidence)
    return GateAnswer(verdict=Verdict.PASS, reason=f"{what} ({bound})", evidence=evidence)


class _Asked:
    """One run's questions; all of them together end in time."""

    def __init__(self, prometheus: PrometheusSite, *, ends: float) -> None:
        self._url = prometheus.url.rstrip("/") + "/api/v1/query"
        self._headers = {"accept": "application/json"}
        if prometheus.token is not None:
            self._headers["authorization"] = f"Bearer {prometheus.token.read()}"
        self._ends = ends

    def oldest_s(self, selectors: list[str], stale_after_s: float) -> float | None:
        """The age of the oldest sample these show; None when there is nothing to read.

        Raises:
            NoAnswer: one shows nothing, or something too old.
        """
        oldest: float | None = None
        for selector in selectors:
            found = self.samples(f"min(timestamp({selector}))")
            if not found:
                raise NoAnswer(f"{selector} has no samples, so nothing can be told")
            age_s = found[0].at - found[0].value
            if not math.isfinite(age_s):
                raise NoAnswer(f"{selector} has a sample of no known time, so nothing can be told")
            if age_s > stale_after_s:
                told = f"{selector} has a sample {duration(round(age_s))} old"
                raise NoAnswer(f"{told}, at most {duration(stale_after_s)}; is it still being scraped?")
            oldest = max(oldest or 0.0, age_s)
        return oldest

    def samples(self, query: str) -> list[Sample]:
        """What an instant query answers.

        Raises:
            NoAnswer: no answer in time, an error, a partial answer, or one without values.
        """
        left_s = self._ends - time.monotonic()
        if left_s <= 0:
            raise NoAnswer("Prometheus did not answer in time")
        fields = {"query": query, "timeout": f"{max(1, round(left_s * 1000))}ms"}
        headers = self._headers | {"content-type": "application/x-www-form-urlencoded"}
        try:
            body = urlencode(fields).encode()
            answer = exchange("POST", self._url, body=body, headers=headers, timeout_s=left_s)
        except NoAnswer as fault:
            raise NoAnswer(f"Prometheus {fault}") from None
        try:
            told = json_of(answer.body)
        except NoAnswer:
            raise NoAnswer(f"Prometheus answers {answer.status} and no JSON; is this its address?") from None
        return _read(told)


def _read(answer: Any) -> list[Sample]:
    if not isinstance(answer, dict) or answer.get("status") != "success":
        complaint = answer.get("error") if isinstance(answer, dict) else answer
        raise NoAnswer(f"Prometheus refuses: {str(complaint)[:LONGEST_COMPLAINT]}")
    if answer.get("warnings"):
        raise NoAnswer(f"Prometheus answers in part: {str(answer['warnings'][0])[:LONGEST_COMPLAINT]}")
    try:
        kind, result = answer["data"]["resultType"], answer["data"]["result"]
        if kind == "scalar":
            return [Sample(labels={}, at=float(result[0]), value=float(result[1]))]
        if kind != "vector":
            raise NoAnswer(f"the query answers a {kind}; it must answer one value, or one for each label")
        return [
            Sample(labels=each["metric"], at=float(each["value"][0]), value=float(each["value"][1]))
            for each in result
        ]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise NoAnswer(f"Prometheus answers something unknown ({type(error).__name__}: {error})") from None
