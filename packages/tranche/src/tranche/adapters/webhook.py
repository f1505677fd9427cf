"""Other systems: the gate that asks one, which answers a verdict, and the route that tells one the news."""

import json
import time
from collections.abc import Mapping
from typing import Any, Final

import urllib3

from tranche.adapters.post import check, post
from tranche.adapters.signature import signed
from tranche.gates import brief, small
from tranche.news import News
from tranche.ports import GateAnswer, Verdict
from tranche.routes import WebhookTo
from tranche.secret import SecretMissing
from tranche.site import WebhookSite

LARGEST_ANSWER: Final = 65_536
WORDS: Final = ", ".join(f"'{verdict}'" for verdict in Verdict)


class WebhookGate:
    """Posts what is asked, signed, and takes nothing but a verdict for an answer.

    Redirects are not followed: what is signed for one address is not for another.
    """

    def __init__(self, webhooks: Mapping[str, WebhookSite]) -> None:
        self._webhooks = dict(webhooks)

    def run(self, settings: Mapping[str, object], *, timeout_s: float) -> GateAnswer:
        name = str(settings.get("to"))
        if name not in self._webhooks:
            return _cannot_tell(f"the site names no webhook '{name}'; add it under 'gates.webhooks'")
        receiver = self._webhooks[name]
        asked = {"type": "gate", "subject": settings.get("subject"), "payload": settings.get("payload")}
        body = json.dumps(asked, sort_keys=True).encode()
        try:
            headers = signed(body, secret=receiver.secret.read(), at_s=int(time.time()))
            headers |= {"content-type": "application/json", "accept": "application/json"}
            status, answer = _post(receiver.url, body, headers, timeout_s)
        except SecretMissing as fault:
            return _cannot_tell(str(fault))
        except urllib3.exceptions.HTTPError as error:
            return _cannot_tell(f"'{name}' does not answer ({type(error).__name__})")
        if status != 200:
            return _cannot_tell(f"'{name}' answers {status}, expected 200 and a verdict")
        return _read(name, answer)


def _post(url: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> tuple[int, bytes]:
    with urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(total=timeout_s)) as pool:
        response = pool.request(
            "POST", url, body=body, headers=headers, redirect=False, preload_content=False
        )
        try:
            return response.status, response.read(LARGEST_ANSWER + 1)
        finally:
            response.close()


def _cannot_tell(told: str) -> GateAnswer:
    return GateAnswer(verdict=Verdict.CANNOT_TELL, reason=told)


def _read(name: str, answer: bytes) -> GateAnswer:
    if len(answer) > LARGEST_ANSWER:
        return _cannot_tell(f"'{name}' answers more than {LARGEST_ANSWER} bytes")
    try:
        told: Any = json.loads(answer)
    except ValueError:
        return _cannot_tell(f"'{name}' answers no JSON")
    verdict = told.get("verdict") if isinstance(told, dict) else None
    if verdict not in list(Verdict):
        return _cannot_tell(f"'{name}' answers the verdict {verdict!r}, expected one of {WORDS}")
    reason = brief(told.get("reason") or f"'{name}' says {verdict}")
    return GateAnswer(verdict=Verdict(verdict), reason=reason, evidence=small(told.get("evidence")))


class WebhookSender:
    """Tells another system the news, signed; `id` is the same when one comes twice."""

    def __init__(self, to: WebhookTo) -> None:
        self._to = to

    def send(self, news: News) -> None:
        told = {
            "type": "news",
            "id": news.key,
            "rollout": news.rollout,
            "topic": news.topic.value,
            "severity": news.severity.value,
            "title": news.title,
            "text": news.text,
            "at": news.at.isoformat(),
            "matter": news.matter,
            "is_over": news.is_over,
        }
        body = json.dumps(told, sort_keys=True).encode()
        headers = signed(body, secret=self._to.secret.read(), at_s=int(time.time()))
        check(post(self._to.url, body, headers | {"content-type": "application/json"}))
