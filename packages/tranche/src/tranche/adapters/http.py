"""The gate that asks an address and compares the answer."""

from collections.abc import Mapping

import urllib3

from tranche.ports import GateAnswer, Verdict


class HttpGate:
    """Every one of `times` answers must be the expected one. No answer is a failure: a person met nothing."""

    def run(self, settings: Mapping[str, object], *, timeout_s: float) -> GateAnswer:
        url, wanted = str(settings.get("url")), settings.get("status", 200)
        contains, times = str(settings.get("contains") or ""), settings.get("times", 1)
        count = times if isinstance(times, int) else 1
        with urllib3.PoolManager(retries=False, timeout=timeout_s / max(count, 1)) as pool:
            for number in range(1, count + 1):
                try:
                    response = pool.request("GET", url)
                except (urllib3.exceptions.HTTPError, ValueError) as error:
                    told = f"{url} does not answer ({type(error).__name__})"
                    return GateAnswer(verdict=Verdict.FAIL, reason=told, evidence={"answers": number - 1})
                if response.status != wanted:
                    told = f"{url} answered {response.status}, expected {wanted}"
                    return GateAnswer(verdict=Verdict.FAIL, reason=told, evidence={"answers": number})
                if contains not in response.data.decode(errors="replace"):
                    told = f"{url} answered without '{contains}'"
                    return GateAnswer(verdict=Verdict.FAIL, reason=told, evidence={"answers": number})
        told = f"{url} answered {wanted} {count} times"
        return GateAnswer(verdict=Verdict.PASS, reason=told, evidence={"answers": count})
