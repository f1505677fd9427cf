"""The gate that puts load on green: straight to its address, so that users' counters know nothing of it."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from tranche.adapters.program import NotEnded, run_program
from tranche.load import Bounds, Result, verdict
from tranche.ports import Fault, GateAnswer, Verdict
from tranche.secret import Secret, SecretMissing

GENERATOR = (sys.executable, "-m", "tranche.adapters.generator")

Requests = Sequence[Mapping[str, Any]]


class LoadGate:
    """Runs the generator against green and judges what it has measured. Secrets reach it by its input only."""

    def __init__(self, green_url: str, targets: Mapping[str, Requests]) -> None:
        self._green_url = green_url.rstrip("/")
        self._targets = dict(targets)

    def run(self, settings: Mapping[str, object], *, timeout_s: float) -> GateAnswer:
        values: Mapping[str, Any] = settings
        try:
            requests = requests_of(values, self._targets)
        except (NoTarget, SecretMissing) as fault:
            return GateAnswer(verdict=Verdict.CANNOT_TELL, reason=str(fault))
        job = {
            "url": self._green_url,
            "requests": requests,
            "rate": rate_of(values),
            "lasts_s": values["duration"],
            "request_timeout_s": values["request_timeout"],
        }
        ended = run_program(GENERATOR, environment=os.environ, timeout_s=timeout_s, told=json.dumps(job))
        if isinstance(ended, NotEnded):
            return GateAnswer(verdict=Verdict.CANNOT_TELL, reason=f"the generator: {ended.reason}")
        if ended.code != 0:
            last = (ended.errors.strip().splitlines() or [f"exit {ended.code}"])[-1]
            return GateAnswer(verdict=Verdict.CANNOT_TELL, reason=f"the generator failed: {last[:200]}")
        return verdict(bounds_of(values), Result(**json.loads(ended.output)))


def rate_of(settings: Mapping[str, Any]) -> float:
    """Requests a second: as said, or so many users who each begin one every so often."""
    users = settings["users"]
    return float(settings["rate"]) if users is None else users / settings["every"]


def bounds_of(settings: Mapping[str, Any]) -> Bounds:
    p95, p99, errors = (settings[key] for key in ("latency_p95", "latency_p99", "errors"))
    return Bounds(
        latency_p95=None if p95 is None else 1000 * p95,
        latency_p99=None if p99 is None else 1000 * p99,
        errors=None if errors is None else errors / 100,
    )


class NoTarget(Fault):
    """The plan names requests that the site does not describe."""


def requests_of(settings: Mapping[str, Any], targets: Mapping[str, Requests]) -> list[dict[str, Any]]:
    """The requests of a gate's settings, or of the target they name, with their secrets in them.

    Raises:
        NoTarget: the site has no such target.
        SecretMissing: as `readable`.
    """
    target = settings["target"]
    if target and target not in targets:
        raise NoTarget(f"the site has no target '{target}'; add it under 'gates.targets'")
    return [readable(request) for request in targets.get(target) or settings["requests"]]


def readable(request: Mapping[str, Any]) -> dict[str, Any]:
    """The request with its secrets in it.

    Raises:
        SecretMissing: there is nothing, or what no header can hold.
    """
    headers = {
        name: _of_header(value) if isinstance(value, Secret) else value
        for name, value in request["headers"].items()
    }
    body = request["body"]
    return {**request, "headers": headers, "body": body.read() if isinstance(body, Secret) else body}


def _of_header(secret: Secret) -> str:
    value = secret.read()
    if not value.isprintable():
        raise SecretMissing(f"the secret in {secret} is no line of text, so no header can hold it; mend it")
    return value
