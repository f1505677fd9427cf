"""Other systems: the gate that asks one, which answers a verdict, and the route that tells one the news."""

import json
import time
from collections.abc import Mapping
from typing import Final

from tranche.adapters.exchange import Answer, NoAnswer, exchange, json_of
from tranche.adapters.post import deliver
from tranche.adapters.signature import signed
from tranche.news import News
from tranche.ports import GateAnswer, Verdict, cannot_tell
from tranche.secret import SecretMissing
from tranche.webhook import Webhook

LARGEST_ANSWER: Final = 65_536
WORDS: Final = ", ".join(f"'{verdict}'" for verdict in Verdict)


class WebhookGate:
    """Posts what is asked, signed, and takes nothing but a verdict for an answer."""

    def __init__(self, webhooks: Mapping[str, Webhook]) -> None:
        self._webhooks = dict(webhooks)

    def run(self, settings: Mapping[str, object], *, timeout_s: float) -> GateAnswer:
        name = str(settings.get("to"))
        if name not in self._webhooks:
            return cannot_tell(f"the site names no webhook '{name}'; add it under 'gates.webhooks'")
        receiver = self._webhooks[name]
        asked = {"type": "gate", "subject": settings.get("subject"), "payload": settings.get("payload")}
        try:
            return _read(name, post(receiver, asked, timeout_s=timeout_s))
        except SecretMissing as fault:
            return cannot_tell(str(fault))
        except NoAnswer as fault:
            return cannot_tell(f"'{name}' {fault}")


def post(receiver: Webhook, told: object, *, timeout_s: float) -> Answer:
    """Post `told` as JSON, signed.

    Raises:
        SecretMissing: there is nothing to sign with.
        NoAnswer: as `exchange`.
    """
    body = json.dumps(told, sort_keys=True).encode()
    headers = signed(body, secret=receiver.secret.read(), at_s=int(time.time()))
    headers |= {"content-type": "application/json", "accept": "application/json"}
    return exchange(
        "POST", receiver.url, body=body, headers=headers, timeout_s=timeout_s, largest=LARGEST_ANSWER
    )


def _read(name: str, answer: Answer) -> GateAnswer:
    if answer.status != 200:
        return cannot_tell(f"'{name}' answers {answer.status}, expected 200 and a verdict")
    told = json_of(answer.body)
    verdict = told.get("verdict") if isinstance(told, dict) else None
    if verdict not in list(Verdict):
        return cannot_tell(f"'{name}' answers the verdict {verdict!r}, expected one of {WORDS}")
    reason, evidence = told.get("reason") or f"'{name}' says {verdict}", told.get("evidence")
    return GateAnswer(
        verdict=Verdict(verdict), reason=str(reason), evidence=evidence if isinstance(evidence, dict) else {}
    )


class WebhookSender:
    """Tells another system the news, signed; `id` is the same when one comes twice."""

    def __init__(self, to: Webhook) -> None:
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
        deliver(self._to.url, body, headers)
