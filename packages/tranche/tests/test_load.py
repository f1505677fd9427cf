"""Load is open: what is due is sent, whatever the service does, and its users' wait counts from then."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from receivers import Receiver, Reply, Request, receiving

from tranche import load
from tranche.adapters import load_test
from tranche.adapters.generator import Job, run
from tranche.adapters.load_test import LoadGate
from tranche.language import parse
from tranche.load import LATE_MS, Bounds, Result, due_times, percentile, verdict
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
      - name: load
        kind: load_test
        requests: [{path: /}]
        rate: 100/s
        duration: 1s
        latency_p95: 300ms
"""


@pytest.fixture
def green() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def put_load(green: Receiver, text: str = "", *, timeout_s: float = 30.0, **targets: Any) -> GateAnswer:
    """Run the gate of PLAN, `text` in place of its request and bounds."""
    plan = PLAN
    if text:
        plan = PLAN[: PLAN.index("        requests:")] + text
    (gate,) = parse(plan, file="p.yaml").phases[1].gates
    return LoadGate(green.url, targets).run(gate.settings, timeout_s=timeout_s)


def test_a_quick_service_passes_and_was_asked_as_often_as_the_rate_says(green: Receiver) -> None:
    answer = put_load(green, PLAN[PLAN.index("        requests:") :].replace("300ms", "900ms"))

    assert answer.verdict is Verdict.PASS, answer.reason
    assert len(green.requests) == 100
    assert answer.evidence["due"] == 100
    assert answer.evidence["errors"] == {}
    assert 0.9 < answer.evidence["took_s"] < 5  # type: ignore[operator]


def test_a_service_that_hangs_for_a_while_does_not_make_the_generator_wait(green: Receiver) -> None:
    """Frozen for 0.5 of 1.5 s: a generator that waits for answers would see a handful of slow requests."""
    began: list[float] = []
    lock = threading.Lock()

    def freeze(request: Request) -> Reply:
        with lock:
            began.append(time.monotonic())
            since = time.monotonic() - began[0]
        if 0.5 < since < 1.0:
            threading.Event().wait(1.0 - since)
        return Reply()

    green.answer = freeze
    answer = put_load(
        green,
        "        requests: [{path: /}]\n        rate: 60/s\n        duration: 1.5s\n        latency_p95: 300ms\n",
    )

    assert len(green.requests) == 90, "what is due is sent"
    late_ms = float(str(answer.evidence["generator_late_ms_p99"]))
    means = Verdict.FAIL if late_ms <= LATE_MS else Verdict.CANNOT_TELL  # on a machine as busy as that
    assert answer.verdict is means, answer.reason
    assert ("p95 must be under 300ms" if means is Verdict.FAIL else "too busy to tell") in answer.reason
    assert 300 < answer.evidence["latency_ms"]["p95"] < 700  # type: ignore[index]


def test_errors_and_other_content_and_time_outs_are_told_apart(green: Receiver) -> None:
    go_on = threading.Event()
    kinds = {
        "/bad": Reply(status=503),
        "/moved": Reply(status=302, headers={"location": "/"}),
        "/other": Reply(body=b"login please"),
        "/slow": Reply(waits_for=go_on),
    }
    green.answer = lambda request: kinds.get(request.path, Reply(body=b"fine"))
    answer = put_load(
        green,
        """\
        requests:
          - {path: /, contains: fine, share: 6}
          - {path: /bad}
          - {path: /moved}
          - {path: /other, contains: fine}
          - {path: /slow}
        rate: 100/s
        duration: 0.5s
        request_timeout: 1500ms
        errors: 30 %
""",
    )
    go_on.set()

    assert answer.verdict is Verdict.FAIL
    assert answer.evidence["errors"] == {"HTTP 503": 5, "HTTP 302": 5, "other content": 5, "time-out": 5}
    assert answer.evidence["error_share"] == 0.4
    assert "at most 30 % errors were allowed" in answer.reason
    assert answer.evidence["latency_ms"]["p99"] >= 1500, "a time-out is as long as it was waited for"  # type: ignore[index]


def test_an_address_where_nobody_listens_fails() -> None:
    settings = parse(PLAN.replace("latency_p95: 300ms", "errors: 1 %"), file="p").phases[1].gates[0].settings
    answer = LoadGate("http://127.0.0.1:9", {}).run(settings, timeout_s=20)

    assert answer.verdict is Verdict.FAIL
    assert "100 errors (100 ClientConnectorError)" in answer.reason


def test_what_the_site_describes_is_sent_with_its_secrets_which_are_never_shown(
    green: Receiver, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("Bearer hush-hush\n")
    request = {
        "path": "/graphql",
        "method": "POST",
        "headers": {"authorization": Secret(file=tmp_path / "token"), "x-load": "1"},
        "body": '{"query": "{ a }"}',
        "status": 200,
        "contains": "",
        "share": 1,
    }
    said = ("target: ledger", "users: 5", "every: 100ms", "duration: 1s", "errors: 5 %")
    bounds = "".join(f"        {each}\n" for each in said)
    answer = put_load(green, bounds, ledger=[request])
    sent = green.requests[0]

    assert answer.verdict is Verdict.PASS, answer.reason
    assert len(green.requests) == 50
    assert (sent.method, sent.path, sent.body) == ("POST", "/graphql", b'{"query": "{ a }"}')
    assert (sent.headers["authorization"], sent.headers["x-load"]) == ("Bearer hush-hush", "1")
    assert "hush" not in f"{answer}"
    (tmp_path / "token").unlink()
    answer = put_load(green, bounds, ledger=[request])
    assert (answer.verdict, "cannot be read" in answer.reason) == (Verdict.CANNOT_TELL, True)
    answer = put_load(green, bounds)
    assert (answer.verdict, "no target 'ledger'" in answer.reason) == (Verdict.CANNOT_TELL, True)
    assert len(green.requests) == 50


def test_a_generator_that_cannot_run_or_does_not_end_cannot_tell(
    green: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = put_load(green, timeout_s=0.5)
    assert (answer.verdict, "did not end within 0.5 s" in answer.reason) == (Verdict.CANNOT_TELL, True)
    monkeypatch.setattr(
        load_test, "GENERATOR", (load_test.GENERATOR[0], "-c", "raise OSError('no files left')")
    )
    answer = put_load(green)
    assert (answer.verdict, "no files left" in answer.reason) == (Verdict.CANNOT_TELL, True)


def found(**changes: Any) -> Result:
    parts = {
        "due": 1000,
        "errors": {},
        "latency_p50": 20.0,
        "latency_p95": 200.0,
        "latency_p99": 400.0,
        "lateness_p99": 1.0,
        "took_s": 10.0,
    }
    return Result(**(parts | changes))


ASKED = Bounds(latency_p95=300.0, latency_p99=500.0, errors=0.01)


@pytest.mark.parametrize(
    ("changes", "means"),
    [
        ({}, Verdict.PASS),
        ({"latency_p95": 299.9}, Verdict.PASS),
        ({"latency_p95": 300.0}, Verdict.FAIL),
        ({"latency_p99": 500.0}, Verdict.FAIL),
        ({"latency_p99": float("inf")}, Verdict.FAIL),
        ({"errors": {"time-out": 5, "dropped": 5}}, Verdict.PASS),
        ({"errors": {"time-out": 6, "dropped": 5}}, Verdict.FAIL),
        ({"lateness_p99": 50.0}, Verdict.PASS),
        ({"lateness_p99": 50.0, "latency_p95": 300.0}, Verdict.CANNOT_TELL),
        ({"lateness_p99": 50.0, "errors": {"HTTP 500": 11}}, Verdict.FAIL),
    ],
)
def test_a_result_is_held_against_the_bounds(changes: dict[str, Any], means: Verdict) -> None:
    answer = verdict(ASKED, found(**changes))

    assert answer.verdict is means
    assert json.loads(json.dumps(answer.evidence, allow_nan=False)) == answer.evidence


@given(rate=st.floats(0.5, 500), lasts_s=st.floats(0.5, 20))
def test_as_many_are_due_as_the_rate_says_in_order_and_in_time(rate: float, lasts_s: float) -> None:
    due = due_times(rate, lasts_s)

    assert len(due) == round(rate * lasts_s)
    assert due == sorted(due)
    assert all(0 <= at <= lasts_s for at in due)
    assert due == due_times(rate, lasts_s)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=300), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed(
    values: list[float], share: float
) -> None:
    ordered = sorted(values)
    value = percentile(ordered, share)

    assert sum(each <= value for each in ordered) >= share * len(ordered) - 1e-6
    assert sum(each < value for each in ordered) < share * len(ordered)


async def test_what_is_due_beyond_the_most_at_once_is_dropped_and_counts(green: Receiver) -> None:
    go_on = threading.Event()
    green.answer = lambda request: Reply(waits_for=go_on)
    request = {
        "path": "/",
        "method": "GET",
        "headers": {},
        "body": "",
        "status": 200,
        "contains": "",
        "share": 1,
    }
    job = Job(
        url=green.url,
        requests=[request],
        rate=100,
        lasts_s=0.2,
        request_timeout_s=1.0,
        most_at_once=3,
    )
    met = await run(job)
    go_on.set()

    assert met["due"] == 20
    assert met["errors"] == {"dropped": 17, "time-out": 3}
    assert met["latency_p95"] == float("inf")


def test_dropped_requests_are_infinitely_slow() -> None:
    latencies = [10.0] * 94 + [float("inf")] * 6

    assert load.result(latencies, [], {"dropped": 6}, 1.0).latency_p95 == float("inf")


@pytest.mark.parametrize(
    ("found_text", "instead", "told"),
    [
        ("requests: [{path: /}]", "target: ''", "a name of small letters"),
        ("        requests: [{path: /}]\n", "", "name a 'target' of the site, or the 'requests'"),
        ("requests: [{path: /}]", "target: a\n        requests: [{path: /}]", "one of them"),
        ("path: /", "path: 'http://elsewhere/'", "a path such as /health/ready"),
        ("path: /", "path: /, method: LOOK", "use one of"),
        ("path: /", "path: /, headers: {a: {file: b}}", "expected a text"),
        ("rate: 100/s", "rate: 100", "a rate such as 40/s"),
        ("rate: 100/s", "rate: 0/s", "above 0"),
        ("        rate: 100/s\n", "", "a 'rate' such as 40/s, or so many 'users'"),
        ("rate: 100/s", "rate: 100/s\n        users: 3", "one of them"),
        ("rate: 100/s", "rate: 19/s", "19 requests cannot show that; make at least 20"),
        ("latency_p95: 300ms", "latency_p99: 300ms\n        errors: 0.1 %", "make at least 1000"),
        ("        latency_p95: 300ms\n", "", "nothing is asked of it"),
        ("duration: 1s", "duration: 20h\n        timeout: 30h", "7200000 requests are more than one test"),
        ("duration: 1s", "duration: 10m", "takes up to 10m 10s, and its timeout is 10m"),
    ],
)
def test_a_load_test_that_could_show_nothing_is_refused(found_text: str, instead: str, told: str) -> None:
    assert found_text in PLAN

    with pytest.raises(FileRefused, match=r"^p.yaml:\d+: ") as refused:
        parse(PLAN.replace(found_text, instead, 1), file="p.yaml")

    assert told in str(refused.value)
