"""Open incidents are counted by whoever knows them; nobody's answer is no zero."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from receivers import Receiver, Reply, receiving

from tranche.adapters.incidents import IncidentGate
from tranche.beside import run_gate
from tranche.gate_kinds import NotPromql
from tranche.language import parse
from tranche.plan import PlannedGate
from tranche.ports import GateAnswer, Verdict
from tranche.secret import Secret
from tranche.shape import FileRefused
from tranche.site import PrometheusSite
from tranche.webhook import Webhook

SUBJECT = {"rollout": "small-1", "version": "1.1.0", "phase": "few", "gate": "incidents"}


@pytest.fixture
def pager() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def secret(tmp_path: Path) -> Secret:
    (tmp_path / "secret").write_text("both-sides-know")
    return Secret(file=tmp_path / "secret")


def planned(settings: str) -> PlannedGate:
    text = f"""
name: small
phases:
  - name: all
    weight: 100 %
    dwell: 1h
    gates: [{{name: incidents, kind: incidents, {settings}}}]
"""
    (gate,) = parse(text, file="p.yaml").phases[1].gates
    return gate


def ask(pager: Receiver, secret: Secret, settings: str = "to: pager") -> GateAnswer:
    webhooks = {"pager": Webhook(url=pager.url, secret=secret)}
    gates = {"incidents": IncidentGate(webhooks, PrometheusSite(url=pager.url))}
    return run_gate(gates, planned(settings), SUBJECT)


@pytest.mark.parametrize(
    ("said", "settings", "verdict", "told"),
    [
        ('{"open": 0}', "to: pager", Verdict.PASS, "0 incidents are open"),
        (
            '{"open": 1, "incidents": ["INC-7"]}',
            "to: pager",
            Verdict.FAIL,
            "1 incidents are open (INC-7), at most 0",
        ),
        ('{"open": 2}', "to: pager, open: 2", Verdict.PASS, "2 incidents are open"),
        ('{"open": 3}', "to: pager, open: 2", Verdict.FAIL, "at most 2 may be"),
        ('{"open": null}', "to: pager", Verdict.CANNOT_TELL, "answers None under 'open'"),
        ('{"open": "0"}', "to: pager", Verdict.CANNOT_TELL, "answers '0' under 'open'"),
        ('{"open": false}', "to: pager", Verdict.CANNOT_TELL, "answers False"),
        ('{"open": -1}', "to: pager", Verdict.CANNOT_TELL, "answers -1"),
        ('{"open": 0.0}', "to: pager", Verdict.CANNOT_TELL, "answers 0.0"),
        ('{"incidents": []}', "to: pager", Verdict.CANNOT_TELL, "expected how many"),
        ("[]", "to: pager", Verdict.CANNOT_TELL, "expected how many"),
        ("", "to: pager", Verdict.CANNOT_TELL, "'pager' answers no JSON"),
        ('{"open": 0}', "to: nobody", Verdict.CANNOT_TELL, "the site names no webhook 'nobody'"),
    ],
)
def test_the_number_is_held_against_what_is_allowed(
    pager: Receiver, secret: Secret, said: str, settings: str, verdict: Verdict, told: str
) -> None:
    pager.answer = lambda request: Reply(body=said.encode())
    answer = ask(pager, secret, settings)

    assert (answer.verdict, told in answer.reason) == (verdict, True), answer.reason


def test_an_error_and_a_missing_secret_cannot_tell(pager: Receiver, secret: Secret, tmp_path: Path) -> None:
    pager.answer = lambda request: Reply(status=500, body=b'{"open": 0}')

    assert "answers 500" in ask(pager, secret).reason
    answer = ask(pager, Secret(file=tmp_path / "none"))
    assert answer.verdict is Verdict.CANNOT_TELL
    assert "cannot be read" in answer.reason
    assert len(pager.requests) == 1


def test_what_is_asked_is_signed_and_says_about_what(pager: Receiver, secret: Secret) -> None:
    ask(pager, secret)
    (request,) = pager.requests

    assert json.loads(request.body) == {"type": "incidents", "subject": SUBJECT}
    assert request.headers["tranche-signature"].startswith("v1=")


@pytest.mark.parametrize(
    ("value", "verdict"), [("0", Verdict.PASS), ("2", Verdict.PASS), ("3", Verdict.FAIL)]
)
def test_a_query_counts_them_too(pager: Receiver, secret: Secret, value: str, verdict: Verdict) -> None:
    body = json.dumps({"status": "success", "data": {"resultType": "scalar", "result": [1, value]}})
    pager.answer = lambda request: Reply(body=body.encode())
    answer = ask(pager, secret, "query: vector(0), open: 2")

    assert answer.verdict is verdict, answer.reason
    assert pager.requests[0].path == "/api/v1/query"


@pytest.mark.parametrize(
    ("settings", "refusal", "told"),
    [
        ("open: 0", FileRefused, "name who is asked"),
        ("to: pager, query: up", FileRefused, "one of them"),
        ("query: count(a) > 0", NotPromql, "compares"),
        ("to: pager, open: -1", FileRefused, "a whole number"),
    ],
)
def test_a_gate_that_asks_nobody_or_badly_is_refused(
    settings: str, refusal: type[FileRefused], told: str
) -> None:
    with pytest.raises(refusal, match=told):
        planned(settings)
