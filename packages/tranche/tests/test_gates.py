"""Gates run real programs and ask real addresses; whatever did not run cannot tell."""

import json
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tranche import lending, wiring
from tranche import site as sites
from tranche.adapters.command import CommandGate, answer_of
from tranche.adapters.http import HttpGate
from tranche.adapters.sqlite import SqliteLog
from tranche.adapters.threads import ThreadWorkers
from tranche.beside import run_gate
from tranche.events import GateAnswered, decode, encode
from tranche.gate_kinds import GATE_KINDS
from tranche.gates import UnknownVariable, substituted
from tranche.plan import PlannedGate
from tranche.ports import GateAnswer, Verdict


def run(script: str, *, timeout_s: float = 20.0, **environment: str) -> GateAnswer:
    settings = {"command": [sys.executable, "-c", script], "environment": environment}
    return CommandGate({"LENT": "secret"}).run(settings, timeout_s=timeout_s)


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        (0, Verdict.PASS),
        (1, Verdict.FAIL),
        (75, Verdict.NOT_YET),
        (2, Verdict.CANNOT_TELL),
        (9, Verdict.CANNOT_TELL),
    ],
)
def test_the_exit_code_is_the_verdict(code: int, verdict: Verdict) -> None:
    answer = run(f"import sys; print('checking'); print('found 3 things'); sys.exit({code})")

    assert answer.verdict is verdict
    assert "found 3 things" in answer.reason
    assert answer.evidence["exit"] == code


def test_a_program_may_answer_in_json() -> None:
    answer = run("""print('{"reason": "balanced", "evidence": {"entries": 7}}')""")

    assert answer.reason == "balanced"
    assert answer.evidence == {"exit": 0, "output": {"entries": 7}}


def test_a_program_killed_by_a_signal_cannot_tell() -> None:
    assert run("import os; os.kill(os.getpid(), 9)").verdict is Verdict.CANNOT_TELL


def test_a_program_that_does_not_end_cannot_tell_and_leaves_no_process(tmp_path: Path) -> None:
    left = tmp_path / "left"
    script = (
        "import subprocess, sys, time;"
        f"subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1.5); open(\"{left}\", \"w\")']);"
        "time.sleep(60)"
    )
    answer = run(script, timeout_s=0.7)

    assert answer.verdict is Verdict.CANNOT_TELL
    assert "did not end within 0.7 s" in answer.reason
    deadline = time.monotonic() + 2.5
    while time.monotonic() < deadline and not left.exists():
        threading.Event().wait(0.05)
    assert not left.exists(), "the program's own children live on"


def test_a_child_that_has_left_its_group_is_not_waited_for() -> None:
    script = (
        "import subprocess, sys, time;"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(8)'], start_new_session=True);"
        "time.sleep(60)"
    )
    started = time.monotonic()

    assert run(script, timeout_s=0.7).verdict is Verdict.CANNOT_TELL
    assert time.monotonic() - started < 6


@pytest.mark.parametrize("output", ["[" * 50_000, '{"reason": "ok", "evidence": {"x": NaN}}', '{"x": 1e999}'])
def test_what_a_program_says_that_is_no_json_is_no_evidence(output: str) -> None:
    answer = answer_of(0, output, "")

    assert answer.verdict is Verdict.PASS
    assert json.loads(json.dumps(answer.evidence, allow_nan=False)) == {"exit": 0}


HOSTILE = [
    GateAnswer(verdict=Verdict.PASS, reason="half \ud800 a character", evidence={"of": "\ud800"}),
    GateAnswer(verdict=Verdict.PASS, reason="red \x1b[31m\r\n| a new row |", evidence={}),
    GateAnswer(verdict=Verdict.PASS, reason="x" * 9999, evidence={"x": "y" * 9000}),
    GateAnswer(verdict=Verdict.PASS, reason="odd", evidence={"x": float("nan"), "y": {1, 2}}),
    GateAnswer(verdict=Verdict.PASS, reason="", evidence={"x": float("inf")}),
]


@pytest.mark.parametrize("answer", HOSTILE, ids=range(len(HOSTILE)))
def test_whatever_an_answer_holds_it_can_be_kept_and_shown(answer: GateAnswer, tmp_path: Path) -> None:
    class Says:
        def run(self, settings: Mapping[str, object], *, timeout_s: float) -> GateAnswer:
            return answer

    planned = PlannedGate(
        name="g", kind="says", settings={}, timeout_s=1, retry_s=1, at="start", on_fail="hold"
    )
    found = run_gate({"says": Says()}, planned, {})
    event = GateAnswered(
        phase=0, gate="g", verdict=found.verdict, reason=found.reason, evidence=found.evidence, took_s=0.1
    )
    log = SqliteLog(tmp_path / "log")
    new = encode(event, at=datetime(2026, 1, 5, tzinfo=UTC), actor="controller")
    (recorded,) = log.append("small-1", after=0, events=[new])

    assert found.verdict is Verdict.PASS
    assert len(found.reason) <= 300
    assert found.reason.isprintable()
    assert found.reason.encode()
    assert decode(recorded) == event


def test_a_program_that_is_not_there_cannot_tell() -> None:
    answer = CommandGate({}).run({"command": ["no-such-program-anywhere"]}, timeout_s=1)

    assert answer.verdict is Verdict.CANNOT_TELL
    assert "could not be started" in answer.reason
    assert CommandGate({}).run({}, timeout_s=1).verdict is Verdict.CANNOT_TELL


def test_what_the_site_lends_reaches_the_program_and_not_the_answer() -> None:
    answer = run(
        "import os, sys; sys.exit(0 if os.environ['LENT'] + os.environ['OWN'] == 'secret2' else 1)", OWN="2"
    )

    assert answer.verdict is Verdict.PASS
    assert "secret" not in f"{answer.reason}{answer.evidence}"


class Answers(BaseHTTPRequestHandler):
    """/ok answers 200; /bad 503; /flaky 200 once, then 500."""

    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        status = {"/ok": 200, "/bad": 503}.get(self.path, 200 if type(self).asked < 2 else 500)
        self.send_response(status)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"ready")

    def log_message(self, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def address() -> Iterator[str]:
    Answers.asked = 0
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("path", "settings", "verdict", "told"),
    [
        ("/ok", {}, Verdict.PASS, "answered 200 3 times"),
        ("/ok", {"contains": "ready"}, Verdict.PASS, "answered 200"),
        ("/ok", {"contains": "steady"}, Verdict.FAIL, "without 'steady'"),
        ("/bad", {}, Verdict.FAIL, "answered 503, expected 200"),
        ("/bad", {"status": 503}, Verdict.PASS, "answered 503"),
        ("/flaky", {}, Verdict.FAIL, "answered 500"),
    ],
)
def test_an_address_must_answer_so_every_time(
    address: str, path: str, settings: dict[str, object], verdict: Verdict, told: str
) -> None:
    answer = HttpGate().run({"url": address + path, "status": 200, "times": 3} | settings, timeout_s=5)

    assert answer.verdict is verdict
    assert told in answer.reason


def test_an_address_that_does_not_answer_fails() -> None:
    answer = HttpGate().run({"url": "http://127.0.0.1:9/", "times": 1}, timeout_s=1)

    assert answer.verdict is Verdict.FAIL
    assert "does not answer" in answer.reason


def test_every_kind_of_gate_is_run_by_something_but_for_what_people_answer() -> None:
    site = sites.load(Path(__file__).resolve().parents[3] / "examples" / "any-service" / "site.yaml")

    assert set(lending.gates(site, wiring.LOG_FILE)) == set(GATE_KINDS) - {"approval"}


def test_variables_are_filled_in_however_deep() -> None:
    settings = {"a": ["{x}/{y}", {"b": "{x}"}], "n": 3}

    assert substituted(settings, {"x": "1", "y": "2"}) == {"a": ["1/2", {"b": "1"}], "n": 3}
    assert substituted('{"json": {}}', {}) == '{"json": {}}'
    with pytest.raises(UnknownVariable, match="there are: x"):
        substituted(["{z}"], {"x": "1"})


def test_a_job_runs_beside_its_caller_once_at_a_time() -> None:
    workers, go = ThreadWorkers(), threading.Event()

    assert workers.start("slow", lambda: go.wait(5))
    assert not workers.start("slow", lambda: None)
    assert workers.done() == []
    go.set()
    found: list[tuple[str, object]] = []
    deadline = time.monotonic() + 5
    while not found and time.monotonic() < deadline:
        found = workers.done()
    assert found == [("slow", True)]
    assert workers.start("slow", lambda: None)
