"""Wakes whoever is on call, by PagerDuty's Events API v2; what is over is resolved."""

import json
from typing import Any, Final

from tranche.adapters.post import deliver
from tranche.news import News
from tranche.routes import PagerDutyTo

LONGEST_SUMMARY: Final = 1024


class PagerDutySender:
    """One incident a matter. News that is no matter is nothing to be woken for, and is not sent."""

    def __init__(self, to: PagerDutyTo) -> None:
        self._to = to

    def send(self, news: News) -> None:
        if news.matter is None:
            return
        body = json.dumps(event(news, news.matter) | {"routing_key": self._to.routing_key.read()}).encode()
        deliver(self._to.url, body)


def event(news: News, matter: str) -> dict[str, Any]:
    """The event, without its key. The same matter has the same `dedup_key`, whichever controller tells it."""
    if news.is_over:
        return {"event_action": "resolve", "dedup_key": matter}
    return {
        "event_action": "trigger",
        "dedup_key": matter,
        "client": "tranche",
        "payload": {
            "summary": f"{news.title}: {news.text}"[:LONGEST_SUMMARY],
            "source": news.rollout,
            "severity": news.severity.value,
            "timestamp": news.at.isoformat(),
            "class": news.topic.value,
            "custom_details": {"text": news.text, "key": news.key},
        },
    }
