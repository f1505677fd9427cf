"""News and its receivers, as tests of the ways it comes on need them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from receivers import MailServer

from tranche.news import News
from tranche.routes import (
    EmailTo,
    Severity,
    Topic,
)
from tranche.secret import Secret

AT = datetime(2026, 1, 5, 9, 0, 12, tzinfo=UTC)

SLACK_PATH, KEY, PASSWORD, SIGNING = (
    "/services/T0/B0/hush-slack",
    "hush-pagerduty",
    "hush-mail",
    "hush-webhook",
)


def news(**changes: Any) -> News:
    parts: dict[str, Any] = {
        "key": "small-1/7",
        "rollout": "small-1",
        "topic": Topic.ROLLBACK,
        "severity": Severity.CRITICAL,
        "title": "small-1: rolling back",
        "text": "5 % errors, <!channel> & more",
        "at": AT,
        "matter": "small-1/7",
    }
    return News(**(parts | changes))


def mail_to(mail: MailServer, secrets: Mapping[str, Secret], **changes: Any) -> EmailTo:
    parts: dict[str, Any] = {
        "server": f"localhost:{mail.port}",
        "tls": "starttls",
        "sender": "tranche@example.test",
        "to": ("team@example.test", "ann@example.test"),
        "user": "tranche",
        "password": secrets["password"],
        "ca": mail.ca,
    }
    return EmailTo(**(parts | changes))
