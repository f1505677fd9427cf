"""A smoke test asks green itself, once each, and looks at every answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from receivers import Receiver, Reply, Request, receiving

from tranche.adapters.smoke import SmokeGate
from tranche.language import parse
from tranche.ports import GateAnswer, Verdict
from tranche.secret import Secret
from tranche.shape import FileRefused

PLAN = """
name: small
phases:
  - name: all
    weight: 100 %
    dwell: 1h
    gates:
      - name: first
        kind: smoke
        requests:
          - {path: /health/ready, contains: ready}
          - {path: /api/invoices, method: POST, body: '{"of": 3}', headers: {x-who: smoke}, status: 201}
          - {path: /admin, status: 403, absent: secret}
"""


@pytest.fixture
def green() -> Iterator[Receiver]:
    with receiving(as_expected) as receiver:
        yield receiver


def as_expected(request: Request) -> Reply:
    answers = {
        "/health/ready": Reply(body=b"all ready"),
        "/api/invoices": Reply(status=201),
        "/admin": Reply(status=403, body=b"no"),
    }
    return answers.get(request.path, Reply(status=404))


def ask(green: Receiver, text: str = PLAN, *, timeout_s: float = 10.0, **targets: Any) -> GateAnswer:
    (gate,) = parse(text, file="p.yaml").phases[1].gates
    return SmokeGate(green.url, targets).run(gate.settings, timeout_s=timeout_s)


def test_green_is_asked_each_thing_once_and_in_order(green: Receiver) -> None:
    answer = ask(green)

    assert answer.verdict is Verdict.PASS
    assert answer.reason == "3 of 3 answers are as expected"
    assert [(each.method, each.path) for each in green.requests] == [
        ("GET", "/health/ready"),
        ("POST", "/api/invoices"),
        ("GET", "/admin"),
    ]
    assert green.requests[1].body == b'{"of": 3}'
    assert green.requests[1].headers["x-who"] == "smoke"


@pytest.mark.parametrize(
    ("path", "reply", "told"),
    [
        ("/health/ready", Reply(status=503), "GET /health/ready: answers 503, expected 200"),
        ("/health/ready", Reply(body=b"warming up"), "GET /health/ready: answers without 'ready'"),
        ("/admin", Reply(status=403, body=b"a secret"), "GET /admin: answers with 'secret'"),
        (
            "/admin",
            Reply(status=302, headers={"location": "/login"}),
            "GET /admin: answers 302, expected 403",
        ),
    ],
)
def test_one_wrong_answer_fails_it_and_the_others_are_asked_all_the_same(
    green: Receiver, path: str, reply: Reply, told: str
) -> None:
    green.answer = lambda request: reply if request.path == path else as_expected(request)
    answer = ask(green)

    assert answer.verdict is Verdict.FAIL
    assert answer.reason == f"1 of 3 wrong: {told}"
    assert len(green.requests) == 3


def test_an_answer_that_is_too_late_is_wrong(green: Receiver) -> None:
    go_on = threading.Event()
    green.answer = lambda request: Reply(body=b"ready", waits_for=go_on)
    answer = ask(green, PLAN.replace("contains: ready", "contains: ready, within: 200ms"), timeout_s=0.5)
    go_on.set()

    assert answer.verdict is Verdict.FAIL
    assert "GET /health/ready: does not answer within 0.2 s" in answer.reason


def test_nobody_there_is_a_failure_because_a_person_would_have_met_nothing() -> None:
    nobody = Receiver()
    nobody.url = "http://127.0.0.1:9"
    answer = ask(nobody)

    assert answer.verdict is Verdict.FAIL
    assert answer.reason.startswith("3 of 3 wrong: GET /health/ready: does not answer")


def test_what_was_not_asked_in_time_has_not_passed(green: Receiver) -> None:
    def slowly(request: Request) -> Reply:
        threading.Event().wait(0.3)
        return as_expected(request)

    green.answer = slowly
    answer = ask(green, timeout_s=0.5)

    assert answer.verdict is not Verdict.PASS
    began = time.monotonic()
    green.answer = as_expected
    assert ask(green, timeout_s=0.0).verdict is Verdict.CANNOT_TELL
    assert time.monotonic() - began < 1


TARGET = {
    "path": "/health/ready",
    "method": "GET",
    "body": "",
    "status": 200,
    "contains": "",
    "absent": "",
    "within": 9.0,
}


def test_what_the_site_describes_is_asked_with_its_secrets_which_are_never_shown(
    green: Receiver, tmp_path: Path
) -> None:
    text = PLAN[: PLAN.index("        requests:")] + "        target: ledger\n"
    token = tmp_path / "token"
    token.write_text("hush-hush\n")
    request = TARGET | {"headers": {"authorization": Secret(file=token)}}
    answer = ask(green, text, ledger=[request])

    assert answer.verdict is Verdict.PASS
    assert green.requests[0].headers["authorization"] == "hush-hush"
    assert "hush" not in f"{answer}"
    token.write_text("hush\r\nx-forged: 1\n")
    answer = ask(green, text, ledger=[request])
    assert answer.verdict is Verdict.CANNOT_TELL
    assert "no header can hold it" in answer.reason
    assert ask(green, text).reason == "the site has no target 'ledger'; add it under 'gates.targets'"
    assert len(green.requests) == 1


def test_a_smoke_test_of_nothing_is_refused() -> None:
    with pytest.raises(FileRefused, match="name a 'target' of the site, or the 'requests'"):
        parse(PLAN[: PLAN.index("        requests:")], file="p.yaml")
