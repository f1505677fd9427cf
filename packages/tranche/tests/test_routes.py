"""How news comes to people: each way by a real receiver on loopback, and no secret in sight."""

from __future__ import annotations

import email
import email.policy
import json
from collections.abc import Mapping

import pytest
from receivers import MailServer, Receiver, Reply
from told import KEY, PASSWORD, SIGNING, SLACK_PATH, mail_to, news

from tranche.adapters.mail import MailSender
from tranche.adapters.pagerduty import PagerDutySender
from tranche.adapters.slack import SlackSender
from tranche.adapters.webhook import WebhookSender
from tranche.ports import NotTold
from tranche.routes import (
    PagerDutyTo,
    SlackTo,
)
from tranche.secret import Secret
from tranche.webhook import Webhook


def test_slack_gets_a_few_blocks_of_plain_text(receiver: Receiver, secrets: Mapping[str, Secret]) -> None:
    SlackSender(SlackTo(url=secrets["slack"])).send(news())
    (request,) = receiver.requests
    body = json.loads(request.body)

    assert (request.method, request.path) == ("POST", SLACK_PATH)
    assert [block["type"] for block in body["blocks"]] == ["header", "section", "context"]
    assert body["blocks"][1]["text"]["type"] == "plain_text", "what gates say mentions nobody"
    assert "<!channel>" not in body["text"]
    assert "&lt;!channel&gt; &amp; more" in body["text"]


def test_what_slack_would_refuse_for_its_length_is_cut(
    receiver: Receiver, secrets: Mapping[str, Secret]
) -> None:
    SlackSender(SlackTo(url=secrets["slack"])).send(news(title="t" * 500, text="x" * 9000))
    header, section, _ = json.loads(receiver.requests[0].body)["blocks"]

    assert len(header["text"]["text"]) == 150
    assert len(section["text"]["text"]) == 3000


def test_pagerduty_opens_one_incident_a_matter_and_resolves_it(
    receiver: Receiver, secrets: Mapping[str, Secret]
) -> None:
    sender = PagerDutySender(PagerDutyTo(routing_key=secrets["key"], url=f"{receiver.url}/v2/enqueue"))
    sender.send(news())
    sender.send(news(key="small-1/9/over", is_over=True))
    sender.send(news(matter=None))
    trigger, resolve = (json.loads(request.body) for request in receiver.requests)

    assert (trigger["event_action"], trigger["dedup_key"]) == ("trigger", "small-1/7")
    assert trigger["routing_key"] == KEY
    assert trigger["payload"] == {
        "summary": "small-1: rolling back: 5 % errors, <!channel> & more",
        "source": "small-1",
        "severity": "critical",
        "timestamp": "2026-01-05T09:00:12+00:00",
        "class": "rollback",
        "custom_details": {"text": "5 % errors, <!channel> & more", "key": "small-1/7"},
    }
    assert resolve == {"routing_key": KEY, "event_action": "resolve", "dedup_key": "small-1/7"}


def test_a_webhook_is_told_signed(receiver: Receiver, secrets: Mapping[str, Secret]) -> None:
    import hashlib
    import hmac

    WebhookSender(Webhook(url=f"{receiver.url}/news?x=1", secret=secrets["signing"])).send(news())
    (request,) = receiver.requests
    signed = request.headers["tranche-timestamp"].encode() + b"." + request.body
    told = json.loads(request.body)

    assert request.path == "/news?x=1"
    expected = hmac.new(SIGNING.encode(), signed, hashlib.sha256).hexdigest()
    assert request.headers["tranche-signature"] == f"v1={expected}"
    assert (told["type"], told["id"], told["is_over"]) == ("news", "small-1/7", False)


def test_mail_is_sent_under_starttls_by_who_may(mail: MailServer, secrets: Mapping[str, Secret]) -> None:
    sender = MailSender(mail_to(mail, secrets))
    sender.send(news(title="two\nlines"))
    sender.send(news(key="small-1/9/over", is_over=True))
    first, second = mail.letters
    read = email.message_from_string(first.text, policy=email.policy.default)

    assert first.tls
    assert first.login == ("tranche", PASSWORD)
    assert first.to == ["<team@example.test>", "<ann@example.test>"]
    assert read["Subject"] == "[critical] two lines"
    assert read["Message-ID"] == "<small-1.7@example.test>", "one that comes twice is the same one"
    assert "5 % errors" in read.get_content()
    again = email.message_from_string(second.text, policy=email.policy.default)
    assert again["In-Reply-To"] == "<small-1.7@example.test>"


def test_no_mail_goes_out_in_the_clear_where_tls_was_asked_for(
    mail: MailServer, secrets: Mapping[str, Secret]
) -> None:
    mail.offers_tls = False
    with pytest.raises(NotTold, match="does not take it"):
        MailSender(mail_to(mail, secrets)).send(news())
    assert mail.letters == []


def test_a_mail_server_nobody_vouches_for_is_told_nothing(
    mail: MailServer, secrets: Mapping[str, Secret]
) -> None:
    with pytest.raises(NotTold, match="SSLCertVerificationError"):
        MailSender(mail_to(mail, secrets, ca=None)).send(news())
    assert mail.letters == []


@pytest.mark.parametrize(
    ("verb", "reply", "is_final"),
    [
        ("AUTH", "535 hush-mail is wrong", True),
        ("MAIL", "451 later", False),
        ("DATA", "550 no", True),
        ("RCPT", "550 no", True),
    ],
)
def test_what_a_mail_server_refuses_for_good_is_not_tried_again(
    mail: MailServer, secrets: Mapping[str, Secret], verb: str, reply: str, *, is_final: bool
) -> None:
    mail.replies[verb] = reply
    with pytest.raises(NotTold) as fault:
        MailSender(mail_to(mail, secrets)).send(news())
    assert fault.value.is_final is is_final
    assert PASSWORD not in str(fault.value), "a server may repeat what it was sent"


@pytest.mark.parametrize(
    ("reply", "is_final", "again_in_s"),
    [
        (Reply(status=429, headers={"retry-after": "7"}), False, 7.0),
        (Reply(status=429, headers={"retry-after": "86400"}), False, 120.0),
        (Reply(status=429, headers={"retry-after": "Mon, 05 Jan 2026 09:00:00 GMT"}), False, None),
        (Reply(status=500), False, None),
        (Reply(status=404, body=b"no_service"), True, None),
        (Reply(status=302, headers={"location": "/elsewhere"}), True, None),
    ],
)
def test_what_a_status_means(
    receiver: Receiver, secrets: Mapping[str, Secret], reply: Reply, is_final: bool, again_in_s: float | None
) -> None:
    receiver.answer = lambda request: reply
    with pytest.raises(NotTold, match=str(reply.status)) as fault:
        SlackSender(SlackTo(url=secrets["slack"])).send(news())
    assert (fault.value.is_final, fault.value.again_in_s) == (is_final, again_in_s)
    assert len(receiver.requests) == 1
