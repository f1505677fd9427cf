"""The gate that asks an address and compares the answer."""

from collections.abc import Mapping

from tranche.adapters.exchange import NoAnswer, exchange
from tranche.ports import GateAnswer, Verdict


class HttpGate:
    """Every one of `times` answers must be the expected one. No answer is a failure: a person met nothing."""

    def run(self, settings: Mapping[str, object], *, timeout_s: float) -> GateAnswer:
        url, wanted = str(settings.get("url")), settings.get("status", 200)
        contains, times = str(settings.get("contains") or ""), settings.get("times", 1)
        count = max(times, 1) if isinstance(times, int) else 1
        for number in range(1, count + 1):
            try:
                answer = exchange("GET", url, timeout_s=timeout_s / count)
            except NoAnswer as fault:
                return GateAnswer(
                    verdict=Verdict.FAIL, reason=f"{url} {fault}", evidence={"answers": number - 1}
                )
            if answer.status != wanted:
                told = f"{url} answered {answer.status}, expected {wanted}"
                return GateAnswer(verdict=Verdict.FAIL, reason=told, evidence={"answers": number})
            if contains not in answer.text:
                told = f"{url} answered without '{contains}'"
                return GateAnswer(verdict=Verdict.FAIL, reason=told, evidence={"answers": number})
        told = f"{url} answered {wanted} {count} times"
        return GateAnswer(verdict=Verdict.PASS, reason=told, evidence={"answers": count})
