"""Tells a channel of Slack, by an incoming webhook and a few blocks of plain text."""

import json
from typing import Any, Final

from tranche.adapters.post import deliver
from tranche.news import News
from tranche.routes import Severity, SlackTo

LONGEST_TITLE: Final = 150
LONGEST_TEXT: Final = 3000
"""Characters that Slack takes in a header and in a section."""
SIGNS: Final = {
    Severity.INFO: ":white_circle:",
    Severity.WARNING: ":warning:",
    Severity.CRITICAL: ":red_circle:",
}
OVER: Final = ":white_check_mark:"


class SlackSender:
    """Texts of a rollout hold words of others, so none is read as markup: nobody is mentioned by them."""

    def __init__(self, to: SlackTo) -> None:
        self._to = to

    def send(self, news: News) -> None:
        body = json.dumps(message(news)).encode()
        deliver(self._to.url.read(), body)


def message(news: News) -> dict[str, Any]:
    """The body, as Block Kit has it; `text` is what a notification shows."""
    sign = OVER if news.is_over else SIGNS[news.severity]
    title = f"{sign} {news.title}"
    about = f"{news.severity} · {news.topic} · {news.at:%Y-%m-%d %H:%M:%S} UTC · {news.key}"
    return {
        "text": _plain(f"{title}: {news.text}")[:LONGEST_TEXT],
        "blocks": [
            {"type": "header", "text": _text(title[:LONGEST_TITLE])},
            {"type": "section", "text": _text(news.text[:LONGEST_TEXT] or "-")},
            {"type": "context", "elements": [_text(about[:LONGEST_TEXT])]},
        ],
    }


def _text(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, "emoji": True}


def _plain(text: str) -> str:
    """The three signs that begin markup, escaped as Slack asks."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
