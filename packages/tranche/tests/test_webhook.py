"""The gate that asks another system: signed, and nothing but a verdict is an answer."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from receivers import Receiver, Reply, receiving

from tranche.adapters.webhook import WebhookGate
from tranche.beside import run_gate
from tranche.plan import PlannedGate
from tranche.ports import GateAnswer, Verdict
from tranche.secret import Secret
from tranche.webhook import Webhook

SECRET = "both-sides-know"
SUBJECT = {"rollout": "small-1", "version": "1.1.0", "phase": "few", "gate": "board"}


@pytest.fixture
def board() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def secret(tmp_path: Path) -> Secret:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    return Secret(file=tmp_path / "secret")


def ask(board: Receiver, secret: Secret, *, timeout_s: float = 5.0) -> GateAnswer:
    gate = WebhookGate({"board": Webhook(url=f"{board.url}/gate?x=1", secret=secret)})
    settings = {"to": "board", "subject": SUBJECT, "payload": {"risk": "low"}}
    return gate.run(settings, timeout_s=timeout_s)


@pytest.mark.parametrize("verdict", list(Verdict))
def test_the_other_system_answers_one_of_the_four_verdicts(
    board: Receiver, secret: Secret, verdict: Verdict
) -> None:
    said = {"verdict": verdict.value, "reason": "CHG-1", "evidence": {"ticket": "CHG-1"}}
    board.answer = lambda request: Reply(body=json.dumps(said).encode())

    assert ask(board, secret) == GateAnswer(verdict=verdict, reason="CHG-1", evidence={"ticket": "CHG-1"})


def test_what_is_asked_is_signed_with_the_time_and_the_secret_is_not_sent(
    board: Receiver, secret: Secret
) -> None:
    ask(board, secret)
    (request,) = board.requests
    at = request.headers["tranche-timestamp"]
    expected = hmac.new(SECRET.encode(), at.encode() + b"." + request.body, hashlib.sha256).hexdigest()

    assert request.method == "POST"
    assert request.path == "/gate?x=1"
    assert request.headers["tranche-signature"] == f"v1={expected}"
    assert abs(int(at) - time.time()) < 10
    assert json.loads(request.body) == {"type": "gate", "subject": SUBJECT, "payload": {"risk": "low"}}
    assert SECRET not in f"{request}"


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (Reply(status=500, body=b'{"verdict": "pass"}'), "answers 500, expected 200"),
        (Reply(status=202, body=b'{"verdict": "pass"}'), "answers 202, expected 200"),
        (Reply(status=307, headers={"location": "/elsewhere"}), "answers 307"),
        (Reply(body=b""), "no JSON"),
        (Reply(body=b"pass"), "no JSON"),
        (Reply(body=b"[" * 60_000), "no JSON"),
        (Reply(body=b'{"verdict": "pass", "evidence": {"lag": NaN}}'), "no JSON"),
        (Reply(body=b"{}"), "the verdict None"),
        (Reply(body=b'["pass"]'), "the verdict None"),
        (Reply(body=b'{"verdict": "PASS"}'), "the verdict 'PASS'"),
        (Reply(body=b'{"verdict": true}'), "the verdict True"),
        (Reply(body=b'{"verdict": ["pass"]}'), "the verdict ['pass']"),
        (Reply(body=b'{"verdict": "pass", "x": "' + b"y" * 70_000 + b'"}'), "more than 65536 bytes"),
    ],
)
def test_whatever_is_no_verdict_cannot_tell(board: Receiver, secret: Secret, reply: Reply, told: str) -> None:
    board.answer = lambda request: reply
    answer = ask(board, secret)

    assert answer.verdict is Verdict.CANNOT_TELL
    assert told in answer.reason
    assert len(board.requests) == 1


def test_an_answer_that_comes_byte_by_byte_is_waited_for_no_longer(board: Receiver, secret: Secret) -> None:
    board.answer = lambda request: Reply(body=b'{"verdict": "pass"}' + b" " * 60, every_s=0.05)
    started = time.monotonic()
    answer = ask(board, secret, timeout_s=0.4)

    assert answer.verdict is Verdict.CANNOT_TELL
    assert "'board' does not answer within 0.4 s" in answer.reason
    assert time.monotonic() - started < 5


def test_no_answer_in_time_cannot_tell(board: Receiver, secret: Secret) -> None:
    go_on = threading.Event()
    board.answer = lambda request: Reply(body=b'{"verdict": "pass"}', waits_for=go_on)
    started = time.monotonic()
    answer = ask(board, secret, timeout_s=0.3)
    go_on.set()

    assert answer.verdict is Verdict.CANNOT_TELL
    assert "does not answer" in answer.reason
    assert time.monotonic() - started < 5


def test_without_an_address_or_a_secret_nothing_is_asked(board: Receiver, tmp_path: Path) -> None:
    unknown = WebhookGate({}).run({"to": "board"}, timeout_s=1)
    answer = ask(board, Secret(file=tmp_path / "none"))

    assert unknown.verdict is Verdict.CANNOT_TELL
    assert "no webhook 'board'" in unknown.reason
    assert answer.verdict is Verdict.CANNOT_TELL
    assert "cannot be read" in answer.reason
    assert board.requests == []


def test_a_plans_webhook_is_told_what_it_is_asked_about(board: Receiver, secret: Secret) -> None:
    from tranche.language import parse

    text = """
name: small
phases:
  - name: all
    weight: 100 %
    dwell: 1h
    gates: [{name: board, kind: webhook, to: board, payload: {of: ["{version}"]}}]
"""
    (gate,) = parse(text, file="p.yaml").phases[1].gates
    gates = {"webhook": WebhookGate({"board": Webhook(url=board.url, secret=secret)})}
    run_gate(gates, gate, SUBJECT)

    assert isinstance(gate, PlannedGate)
    assert json.loads(board.requests[0].body)["subject"] == SUBJECT
    assert json.loads(board.requests[0].body)["payload"] == {"of": ["1.1.0"]}
