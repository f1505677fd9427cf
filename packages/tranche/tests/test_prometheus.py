"""Queries are asked of a real Prometheus; what is missing, old, odd or partial cannot tell."""

import contextlib
import json
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import urllib3

from laptop.ports import free_ports
from tranche import promql
from tranche.adapters.prometheus import QueryGate
from tranche.gate_kinds import Threshold
from tranche.ports import GateAnswer, Verdict
from tranche.secret import Secret
from tranche.site import PrometheusSite

ROOT = Path(__file__).resolve().parents[3]


class Metrics(BaseHTTPRequestHandler):
    """A service that has two queues, one of which nobody has measured for two minutes."""

    def do_GET(self) -> None:
        then_ms = round((time.time() - 120) * 1000)
        body = (
            'lag{queue="orders"} 3\nlag{queue="mails"} 80\nnothing_yet NaN\nendless +Inf\n'
            f'pushed{{queue="orders"}} 1 {then_ms}\npushed{{queue="mails"}} 1\n'
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Quiet."""


@contextlib.contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real one that has scraped the service above."""
    got = subprocess.run([ROOT / "scripts" / "prometheus"], capture_output=True, text=True, check=False)
    assert got.returncode == 0, f"there is no Prometheus to test against: {got.stderr}"
    folder, (port,) = tmp_path_factory.mktemp("prometheus"), free_ports(1)
    with serving(Metrics) as target, (folder / "log").open("w") as log:
        job = {"job_name": "service", "static_configs": [{"targets": [target]}]}
        config = {"global": {"scrape_interval": "200ms", "scrape_timeout": "200ms"}, "scrape_configs": [job]}
        (folder / "prometheus.yml").write_text(json.dumps(config))
        process = subprocess.Popen(
            [
                got.stdout.strip(),
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )
        try:
            url = f"http://127.0.0.1:{port}"
            wait_for_samples(url, folder / "log")
            yield url
        finally:
            process.terminate()
            process.wait(20)


def wait_for_samples(url: str, log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(urllib3.exceptions.HTTPError, ValueError):
            response = urllib3.request("GET", f"{url}/api/v1/query?query=lag", retries=False, timeout=1)
            if response.status == 200 and response.json()["data"]["result"]:
                return
        threading.Event().wait(0.05)
    raise AssertionError(f"Prometheus has scraped nothing: {log.read_text()[-1000:]}")


def ask(url: str, query: str, bound: str, *, timeout_s: float = 10.0, **settings: object) -> GateAnswer:
    relation, _, value = bound.partition(" ")
    threshold = Threshold(relation=relation, value=float(value))  # type: ignore[arg-type]
    asked = {"query": query, "bound": threshold, "stale_after": 60.0} | settings
    return QueryGate(PrometheusSite(url=url)).run(asked, timeout_s=timeout_s)


CASES = [
    ("max(lag)", "< 100", Verdict.PASS, "'max(lag)' is 80 (< 100)"),
    ("max(lag)", "< 80", Verdict.FAIL, "is 80, which is not < 80"),
    ("max(lag)", "<= 80", Verdict.PASS, "(<= 80)"),
    ("lag", "< 50", Verdict.FAIL, 'is 80 for {__name__="lag", instance='),
    ("lag", "> 5", Verdict.FAIL, 'queue="orders"'),
    ("min(lag) * 2", ">= 6", Verdict.PASS, "is 6"),
    ("scalar(max(lag))", "< 100", Verdict.PASS, "is 80"),
    ("vector(1)", "> 0", Verdict.PASS, "is 1"),
    ("max(lag) > bool 70", "<= 0", Verdict.FAIL, "is 1"),
    ("no_such_metric", "< 100", Verdict.CANNOT_TELL, "no_such_metric{} has no samples"),
    ('lag{queue="none"}', "< 100", Verdict.CANNOT_TELL, 'lag{queue="none"} has no samples'),
    ("lag and on() vector(1) > 2", "< 100", Verdict.CANNOT_TELL, "answers nothing"),
    ("nothing_yet", "< 100", Verdict.CANNOT_TELL, "answers nan for"),
    ("endless", "> 0", Verdict.CANNOT_TELL, "answers inf for"),
    ("lag / 0", "> 0", Verdict.CANNOT_TELL, "answers inf for"),
    ("max(pushed)", "< 100", Verdict.CANNOT_TELL, "pushed{} has a sample 2m old, at most 1m"),
    ('pushed{queue="mails"}', "< 100", Verdict.PASS, "is 1"),
    ("lag[1m]", "< 100", Verdict.CANNOT_TELL, "answers a matrix"),
    ('"text"', "< 100", Verdict.CANNOT_TELL, "answers a string"),
    ("lag + on() pushed", "< 100", Verdict.CANNOT_TELL, "has a sample 2m old"),
    ("histogram_quantile(0.9, lag) + ", "< 100", Verdict.CANNOT_TELL, "is no PromQL"),
    ("label_replace(lag)", "< 100", Verdict.CANNOT_TELL, "is no PromQL"),
    ("lag + on() lag", "< 100", Verdict.CANNOT_TELL, "Prometheus refuses"),
]


@pytest.mark.integration
@pytest.mark.parametrize(("query", "bound", "verdict", "told"), CASES)
def test_what_prometheus_answers_is_held_against_the_bound(
    prometheus: str, query: str, bound: str, verdict: Verdict, told: str
) -> None:
    answer = ask(prometheus, query, bound)

    assert (answer.verdict, told in answer.reason) == (verdict, True), answer.reason


@pytest.mark.integration
def test_the_plan_may_say_what_must_be_fresh_and_how_fresh(prometheus: str) -> None:
    seldom = "sum(failures_total) or vector(0)"

    assert ask(prometheus, seldom, "< 1").verdict is Verdict.CANNOT_TELL
    assert ask(prometheus, seldom, "< 1", fresh=["up"]).verdict is Verdict.PASS
    assert ask(prometheus, seldom, "< 1", fresh=["down"]).verdict is Verdict.CANNOT_TELL
    assert ask(prometheus, "max(pushed)", "< 100", stale_after=200.0).verdict is Verdict.PASS


@pytest.mark.integration
def test_the_evidence_says_what_was_asked_and_what_was_found(prometheus: str) -> None:
    evidence = ask(prometheus, "max by (queue) (lag)", "< 100").evidence

    assert evidence["worst"] == 80
    assert evidence["labels"] == {"queue": "mails"}
    assert evidence["values"] == 2
    assert 0 <= evidence["oldest_sample_s"] < 30  # type: ignore[operator]
    assert json.loads(json.dumps(evidence)) == evidence


@dataclass
class Said:
    """What the next answer is, and what was asked."""

    status: int = 200
    body: bytes = b"{}"
    waits_s: float = 0.0
    headers: list[dict[str, str]] = field(default_factory=list)
    go_on: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def said() -> Iterator[tuple[Said, str]]:
    """Something at the address of Prometheus that answers what it is told to."""
    what = Said()

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            what.headers.append(dict(self.headers))
            what.go_on.wait(what.waits_s)
            with contextlib.suppress(OSError):
                self.send_response(what.status)
                self.send_header("Content-Length", str(len(what.body)))
                self.end_headers()
                self.wfile.write(what.body)

        def log_message(self, *args: object) -> None:
            """Quiet."""

    with serving(Answers) as address:
        yield what, f"http://{address}"
        what.go_on.set()


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("{}", "refuses"),
        ("<html>", "no JSON"),
        ("[]", "refuses"),
        ('{"status": "error", "error": "query timed out"}', "query timed out"),
        ('{"status": "success", "data": {}}', "something unknown"),
        ('{"status": "success", "data": {"resultType": "vector", "result": [{}]}}', "something unknown"),
        (
            """{"status": "success", "warnings": ["store x is away"],
                "data": {"resultType": "scalar", "result": [1, "1"]}}""",
            "in part: store x is away",
        ),
    ],
)
def test_an_answer_that_cannot_be_used_cannot_tell(said: tuple[Said, str], body: str, told: str) -> None:
    what, url = said
    what.body = body.encode()
    answer = ask(url, "vector(1)", "> 0")

    assert answer.verdict is Verdict.CANNOT_TELL
    assert told in answer.reason


def test_no_answer_in_time_and_no_address_cannot_tell(said: tuple[Said, str]) -> None:
    what, url = said
    what.waits_s = 20
    started = time.monotonic()

    assert ask(url, "vector(1)", "> 0", timeout_s=0.3).verdict is Verdict.CANNOT_TELL
    assert time.monotonic() - started < 5
    assert ask("http://127.0.0.1:9", "vector(1)", "> 0").verdict is Verdict.CANNOT_TELL
    without = QueryGate(None).run({}, timeout_s=1)
    assert without.verdict is Verdict.CANNOT_TELL
    assert "the site names no Prometheus" in without.reason


def test_the_token_is_sent_and_never_said(
    said: tuple[Said, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    what, url = said
    what.body = b'{"status": "success", "data": {"resultType": "scalar", "result": [1, "1"]}}'
    (tmp_path / "token").write_text("hush-hush\n")
    settings = {"query": "vector(1)", "bound": Threshold(relation=">", value=0)}
    site = PrometheusSite(url=url, token=Secret(file=tmp_path / "token"))
    answer = QueryGate(site).run(settings, timeout_s=5)

    assert answer.verdict is Verdict.PASS
    assert what.headers[-1]["authorization"] == "Bearer hush-hush"
    assert "hush" not in f"{answer}{site}"
    (tmp_path / "token").unlink()
    answer = QueryGate(site).run(settings, timeout_s=5)
    assert answer.verdict is Verdict.CANNOT_TELL
    assert "cannot be read" in answer.reason
    monkeypatch.delenv("NO_TOKEN", raising=False)
    answer = QueryGate(PrometheusSite(url=url, token=Secret(environment="NO_TOKEN"))).run(
        settings, timeout_s=5
    )
    assert "the environment's NO_TOKEN is empty or missing" in answer.reason


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("up", ["up{}"]),
        ("sum(rate(a[5m])) / sum(rate(b{x='1'}[5m]))", ["a{}", 'b{x="1"}']),
        ("topk(scalar(k), a)", ["a{}", "k{}"]),
        ("a - a offset 1d", ["a{}"]),
        ("a @ 1609746000 + (b)", ["b{}"]),
        ("max_over_time(a[1h:1m]) + -b", ["a{}", "b{}"]),
        ("max_over_time(a[1h:1m] offset 1d)", []),
        ('{__name__=~"a.*",q!="x\\"y"}', ['{__name__=~"a.*",q!="x\\"y"}']),
        ("vector(1)", []),
    ],
)
def test_what_a_query_reads_is_known_without_asking(query: str, found: list[str]) -> None:
    assert sorted(promql.selectors(query)) == sorted(found)
    promql.check(query)


@pytest.mark.parametrize("query", ["max(lag) < 100", "(a > 3)", "a == b", "max(", "", "a b"])
def test_a_query_that_compares_or_does_not_parse_is_refused(query: str) -> None:
    with pytest.raises(promql.NoPromql):
        promql.check(query)
