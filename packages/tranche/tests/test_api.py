"""The API: a real server on loopback, the verbs of the command line, and problems that say what the matter is."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import urllib3
from installed import BARE

from tranche import cli, language, wiring
from tranche import site as sites
from tranche.access import NEEDS
from tranche.adapters.api import Api, Exposed, check_address
from tranche.attestation import said_in
from tranche.events import Attested, decode
from tranche.operations import OPERATIONS, BodyRefused, Field, document, read
from tranche.person import KnownBy, Role
from tranche.ports import Recorded
from tranche.wiring import Installation

pytestmark = pytest.mark.integration

SITE = BARE.replace("directory: environment", "directory: /dev/null/environment").replace("serve", "nothing")
PLAN = (
    "name: small\ntick: 100ms\nstale_after: 1s\nstaging: {gates: [{name: owner, kind: approval}]}\n"
    "phases: [{name: all, weight: 100 %, dwell: 1h}]\n"
)


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: Any

    @property
    def code(self) -> str:
        assert self.headers["content-type"] == "application/problem+json"
        assert self.body["status"] == self.status
        assert self.body["type"] == f"urn:tranche:{self.body['code']}"
        assert self.body["title"]
        return str(self.body["code"])


@dataclass(kw_only=True)
class Served:
    """A site and its server."""

    folder: Path
    here: Installation
    url: str
    tokens: dict[str, str]

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        role: str | None = None,
        raw: bytes | None = None,
        **headers: str,
    ) -> Answer:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if role is not None:
            sent["authorization"] = f"Bearer {self.tokens[role]}"
        if body is not None or raw is not None:
            sent.setdefault("content-type", "application/json")
        data = raw if raw is not None else json.dumps(body).encode() if body is not None else None
        with urllib3.PoolManager(timeout=20, retries=False) as pool:
            got = pool.request(method, self.url + path, body=data, headers=sent)
        names = {name.lower(): value for name, value in got.headers.items()}
        is_json = names.get("content-type", "").partition(";")[0].endswith("json")
        return Answer(
            status=got.status, headers=names, body=json.loads(got.data) if is_json else got.data.decode()
        )

    def act(self, verb: str, role: str | None = None, **body: object) -> Answer:
        return self.ask("POST", f"/v1/rollouts/latest/{verb}", body, role=role)


def serve(folder: Path, *, access: bool, listen: str = "127.0.0.1:0") -> Iterator[Served]:
    (folder / "site.yaml").write_text(SITE + ("access: {tokens: tokens.json}\n" if access else ""))
    site = sites.load(folder / "site.yaml")
    tokens: dict[str, str] = {}
    if access:
        from datetime import timedelta

        for role in (Role.ADMIN, Role.VIEWER, Role.OPERATOR, Role.APPROVER):
            lasts = timedelta(days=1)
            tokens[role.value] = wiring.door(site).create(name=role.value, role=role, lasts=lasts, by="test")
    here = wiring.installation(site)
    command = [sys.executable, "-m", "tranche.cli", "serve", "--listen", listen, "--json"]
    environment = {**os.environ, "TRANCHE_ACTOR": "nobody", "TRANCHE_SITE": str(folder / "site.yaml")}
    if access:
        environment["TRANCHE_TOKEN"] = tokens["operator"]
    with (folder / "serve.log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log)
    assert server.stdout is not None
    try:
        first = server.stdout.readline()
        assert first, (folder / "serve.log").read_text()
        begin(here)
        yield Served(folder=folder, here=here, url=json.loads(first)["listen"], tokens=tokens)
    finally:
        server.terminate()
        server.wait(20)
        server.stdout.close()
    assert "Traceback" not in (folder / "serve.log").read_text()


def begin(here: Installation, actor: str = "ann") -> None:
    plan = language.parse(PLAN, file="plan.yaml")
    here.desk.start(plan, text=PLAN, file="plan.yaml", version="1.1.0", actor=actor)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A site that asks nobody for a token."""
    yield from serve(tmp_path_factory.mktemp("open"), access=False)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A site that asks everybody for a token."""
    yield from serve(tmp_path_factory.mktemp("guarded"), access=True)


def test_looking_gives_the_documents_of_the_command_line(
    served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(*arguments: str) -> Any:
        assert cli.run([*arguments, "--json", "--site", str(served.folder / "site.yaml")]) == 0
        return json.loads(capsys.readouterr().out)

    for verb, path in (("history", "/events"), ("why", "/why"), ("who", "/who?user=u-1")):
        extra = ["--user", "u-1"] if verb == "who" else []
        got = served.ask("GET", f"/v1/rollouts/small-1{path}")
        assert (got.status, got.body) == (200, told(verb, *extra))
    status = served.ask("GET", "/v1/rollouts/latest").body
    assert status["rollout"] == "small-1"
    assert set(status) == set(told("status"))
    assert [one["rollout"] for one in served.ask("GET", "/v1/rollouts").body] == ["small-1"]
    record = served.ask("GET", "/v1/rollouts/small-1/record")
    assert record.headers["content-type"] == "text/markdown; charset=utf-8"
    assert record.body.startswith("# small-1: version 1.1.0")


def test_asking_changes_the_rollout_in_the_name_of_who_asks(served: Served) -> None:
    got = served.act("pause", reason="lunch")
    assert got.status == 200
    assert got.body["state"] == "paused"
    again = served.act("pause", reason="lunch")
    assert (again.status, again.code) == (409, "already-paused")
    assert again.body["detail"] == "the rollout is paused already, by nobody"
    assert served.act("resume").body["state"] == "staging"
    events = [event for event in served.here.desk.events() if event.type != "attested/1"]
    assert [(event.type, event.actor, event.data["reason"]) for event in events[-2:]] == [
        ("paused/1", "nobody", "lunch"),
        ("resumed/1", "nobody", ""),
    ]
    assert known_by(served.here.desk.events())[-1] == {"known_by": KnownBy.SERVER.value, "role": None}


def test_an_approval_is_looked_at_and_then_given(served: Served) -> None:
    (case,) = served.ask("GET", "/v1/rollouts/latest/approvals").body
    wrong = served.act("approve", evidence="sha256:" + "0" * 64)
    assert (wrong.status, wrong.code) == (409, "other-evidence")
    assert served.act("approve", evidence=case["digest"], reason="seen").status == 200
    assert served.ask("GET", "/v1/rollouts/latest/approvals").body[0]["approved_by"] == ["nobody"]
    assert served.act("revoke", gate="owner", reason="too early").status == 200
    assert served.act("revoke", gate="owner", reason="too early").code == "nothing-to-revoke"


@pytest.mark.parametrize(
    ("method", "path", "sent", "status", "code"),
    [
        ("GET", "/v1/rollouts/other-1", {}, 404, "no-rollout"),
        ("GET", "/v1/nonsense", {}, 404, "not-found"),
        ("GET", "/", {}, 404, "not-found"),
        ("DELETE", "/v1/rollouts/latest", {}, 405, "method-not-allowed"),
        ("GET", "/v1/rollouts/latest/who", {}, 422, "body-refused"),
        ("GET", "/v1/rollouts/latest/who?user=u&internal=yes", {}, 422, "body-refused"),
        ("GET", "/v1/rollouts/latest/events?after=-1", {}, 422, "body-refused"),
        ("GET", "/v1/rollouts/latest/events?befor=1", {}, 422, "body-refused"),
        ("GET", "/v1/rollouts/latest/stream", {"last_event_id": "x"}, 422, "body-refused"),
        ("POST", "/v1/rollouts/latest/pause", {"raw": b"{"}, 415, "no-json"),
        ("POST", "/v1/rollouts/latest/pause", {"raw": b"[]"}, 415, "no-json"),
        ("POST", "/v1/rollouts/latest/pause", {"raw": b"[" * 100_000}, 415, "no-json"),
        ("POST", "/v1/rollouts/latest/pause", {"raw": b'{"x": "' + b"y" * 2_000_000}, 413, "too-large"),
        ("POST", "/v1/rollouts/latest/pause", {"body": {"raison": "x"}}, 422, "body-refused"),
        ("POST", "/v1/rollouts/latest/pause", {"body": {"reason": 5}}, 422, "body-refused"),
        ("POST", "/v1/rollouts/latest/rollback", {"body": {}}, 422, "body-refused"),
        ("POST", "/v1/rollouts/latest/rollback", {"body": {"reason": " \n"}}, 422, "body-refused"),
        ("POST", "/v1/rollouts/latest/rollback", {"body": {"reason": "x", "force": 1}}, 422, "body-refused"),
        ("POST", "/v1/rollouts/latest/retarget", {"body": {"version": "../x"}}, 409, "version-refused"),
        ("POST", "/v1/rollouts/latest/retire", {"body": {"reason": "x"}}, 409, "not-complete"),
        ("POST", "/v1/rollouts/latest/hotfix", {"body": {"reason": "x"}}, 409, "nothing-frozen"),
        ("POST", "/v1/rollouts/latest/advance", {"body": {}}, 409, "cannot-advance"),
        ("POST", "/v1/rollouts", {"body": {"plan": "name: x\nphases: []", "version": "1"}}, 422, "no-phases"),
        (
            "POST",
            "/v1/rollouts",
            {"body": {"plan": PLAN + "notify: [x]", "version": "1"}},
            422,
            "means-nothing",
        ),
        ("POST", "/v1/rollouts", {"body": {"plan": PLAN, "version": "1.2.0"}}, 409, "unfinished-rollout"),
    ],
)
def test_what_is_refused_says_so_and_changes_nothing(
    served: Served, method: str, path: str, sent: dict[str, Any], status: int, code: str
) -> None:
    before = served.here.desk.events()
    got = served.ask(method, path, **sent)

    assert (got.status, got.code) == (status, code), got.body
    assert got.body["detail"]
    assert served.here.desk.events() == before


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_page_in_a_browser_cannot_act_without_asking_first(served: Served, content_type: str) -> None:
    """A form or a plain text needs no leave of the server; JSON does, and nobody gives it."""
    before = served.here.desk.events()
    got = served.ask("POST", "/v1/rollouts/latest/pause", raw=b"{}", content_type=content_type)
    assert (got.status, got.code) == (415, "no-json")
    leave = served.ask("OPTIONS", "/v1/rollouts/latest/pause", origin="https://evil.example.test")
    assert leave.status == 405
    assert not [name for name in leave.headers if name.startswith("access-control")]
    assert served.here.desk.events() == before


def test_without_tokens_only_the_names_of_loopback_are_answered(served: Served) -> None:
    """A name that somebody lets point here (DNS rebinding) would make their page one of ours."""
    got = served.ask("GET", "/v1/rollouts", host="evil.example.test")
    assert (got.status, got.code) == (421, "foreign-host")
    assert served.ask("GET", "/v1/rollouts", host="localhost:1").status == 200


def test_a_fault_of_the_world_is_503_and_what_was_decided_stands(tmp_path: Path) -> None:
    for served in serve(tmp_path, access=False):
        got = served.act("rollback", reason="support says no")
        assert (got.status, got.code) == (503, "fault")
        assert "127.0.0.1:9" in got.body["detail"]
        assert served.ask("GET", "/v1/rollouts/latest").body["state"] == "rolling_back"
        assert served.act("retarget", version="1.2.0").code == "cannot-retarget"


def test_each_request_needs_a_token_of_a_role_that_may(guarded: Served) -> None:
    before = guarded.here.desk.events()
    none = guarded.ask("GET", "/v1/rollouts")
    assert (none.status, none.code, none.headers["www-authenticate"]) == (401, "no-token", "Bearer")
    for wrong in ("Bearer nonsense", "Bearer", "Basic " + guarded.tokens["admin"]):
        got = guarded.ask("GET", "/v1/rollouts", authorization=wrong)
        assert got.status == 401
        assert got.code in {"token-refused", "no-token"}
    got = guarded.act("pause", "viewer")
    assert (got.status, got.code) == (403, "not-allowed")
    assert got.body["detail"] == "'viewer' is viewer; 'pause' needs operator or approver or admin"
    assert guarded.here.desk.events() == before
    assert guarded.act("pause", "approver").status == 200
    assert guarded.act("resume", "operator").status == 200
    events = guarded.here.desk.events()
    assert [event.actor for event in events if event.type != "attested/1"][-2:] == ["approver", "operator"]
    assert known_by(events)[-2:] == [
        {"known_by": "token", "role": "approver"},
        {"known_by": "token", "role": "operator"},
    ]


def known_by(events: list[Recorded]) -> list[Any]:
    """By what those were known who asked, as the entries have it."""
    return [
        said_in(event.envelope)["predicate"]["identified"]
        for event in map(decode, events)
        if isinstance(event, Attested)
    ]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_every_operation_asks_for_the_roles_of_its_verb(guarded: Served, operation: Any) -> None:
    before = guarded.here.desk.events()
    path = operation.full_path.format(rollout="latest")
    body = {} if operation.method == "POST" else None
    for role in Role:
        if operation.verb is not None and role not in NEEDS[operation.verb]:
            got = guarded.ask(operation.method, path, body, role=role.value)
            assert (got.status, got.code) == (403, "not-allowed")
    if operation.verb is not None:
        assert guarded.ask(operation.method, path, body).status == 401
    assert guarded.here.desk.events() == before


def test_the_document_is_served_and_is_the_routes(guarded: Served) -> None:
    got = guarded.ask("GET", "/v1/openapi.json")
    assert got.status == 200
    described = {(path, method.upper()) for path, methods in got.body["paths"].items() for method in methods}
    api = Api(
        desk=guarded.here.desk, door=wiring.door(guarded.here.site), hands=None, nobody=guarded.here.asker
    )  # type: ignore[arg-type]
    routed = {
        (route.path, method)
        for route in api.application().routes
        for method in route.methods - {"HEAD"}  # type: ignore[attr-defined]
    }
    assert described == routed
    assert got.body["openapi"] == "3.1.0"
    assert got.body == json.loads(json.dumps(document(got.body["info"]["version"])))
    assert set(api._acts) | {"stream"} == {operation.name for operation in OPERATIONS}


def test_what_the_document_says_of_bodies_is_what_is_read() -> None:
    for operation in OPERATIONS:
        described = document("1")["paths"][operation.full_path][operation.method.lower()]
        if operation.method == "POST":
            schema = described["requestBody"]["content"]["application/json"]["schema"]
            assert set(schema["properties"]) == set(operation.body)
            full = {
                name: {"boolean": True, "integer": 1}.get(kind["type"], "x")
                for name, kind in schema["properties"].items()
            }
            assert set(read(operation.body, full)) == set(operation.body)
            for name in schema["required"]:
                with pytest.raises(BodyRefused, match=f"'{name}' is missing"):
                    read(operation.body, {key: value for key, value in full.items() if key != name})


def test_the_api_has_the_verbs_of_the_command_line() -> None:
    local = {"watch", "serve", "notify test", "traffic config", "token create", "token list", "token revoke"}
    local |= {"evidence export"}  # a file for whoever asks, not an answer
    assert {operation.verb for operation in OPERATIONS} - {None} == set(NEEDS) - local


def test_a_text_is_one_line_and_not_endless() -> None:
    fields = {"reason": Field(about="why")}
    assert read(fields, {"reason": "a\x1b[31m\nb"}) == {"reason": "a [31m b"}
    with pytest.raises(BodyRefused, match="up to 1000 characters"):
        read(fields, {"reason": "x" * 1001})


class Stream:
    """Server-sent events, read as they come."""

    def __init__(self, served: Served, path: str, role: str | None = None, **headers: str) -> None:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if role is not None:
            sent["authorization"] = f"Bearer {served.tokens[role]}"
        self._pool = urllib3.PoolManager(timeout=urllib3.Timeout(connect=10, read=20), retries=False)
        self._answer = self._pool.request("GET", served.url + path, headers=sent, preload_content=False)
        self.status = self._answer.status
        self.type = self._answer.headers["content-type"]
        self._rest = b""

    def next(self) -> dict[str, str]:
        """The next event; comments are skipped."""
        while True:
            while b"\n\n" not in self._rest:
                part = self._answer.read1(4096)
                assert part, "the stream has ended"
                self._rest += part
            block, _, self._rest = self._rest.partition(b"\n\n")
            fields = dict(
                line.split(": ", 1) for line in block.decode().split("\n") if not line.startswith(":")
            )
            if fields:
                return fields

    def close(self) -> None:
        self._answer.close()
        self._pool.clear()


def test_events_stream_as_they_come_and_go_on_where_they_ended(served: Served) -> None:
    known = len(served.here.desk.events())
    stream = Stream(served, "/v1/rollouts/small-1/stream")
    assert (stream.status, stream.type) == (200, "text/event-stream; charset=utf-8")
    first = [stream.next() for _ in range(known)]
    served.act("pause", reason="two\nlines")
    entry, came = stream.next(), stream.next()
    stream.close()
    served.act("resume")
    again = Stream(served, "/v1/rollouts/latest/stream", last_event_id=came["id"])
    again.next()
    resumed = again.next()
    again.close()
    later = Stream(served, f"/v1/rollouts/latest/stream?after={known}")
    assert later.next()["id"] == str(known + 1)
    later.close()

    assert [one["id"] for one in first] == [str(number) for number in range(1, known + 1)]
    assert (entry["id"], entry["event"]) == (str(known + 1), "attested/1")
    assert (came["id"], came["event"]) == (str(known + 2), "paused/1")
    assert json.loads(came["data"])["data"] == {"reason": "two lines"}
    assert (resumed["id"], resumed["event"]) == (str(known + 4), "resumed/1")


def test_a_token_that_is_revoked_ends_the_streams_it_opened(tmp_path: Path) -> None:
    for guarded in serve(tmp_path, access=True):
        stream = Stream(guarded, "/v1/rollouts/latest/stream", role="viewer")
        begun = [stream.next()["event"] for _ in guarded.here.desk.events()]
        assert begun == ["started/1", "version-identified/1", "attested/1"]
        wiring.door(guarded.here.site).revoke("viewer")
        ended = stream.next()
        assert ended["event"] == "end"
        assert "the token of 'viewer' was revoked" in ended["data"]
        stream.close()
        assert guarded.ask("GET", "/v1/rollouts", role="viewer").code == "token-refused"


def test_a_hundred_who_ask_at_once_are_all_answered(served: Served) -> None:
    answers: list[tuple[int, bool]] = []

    def ask() -> None:
        for _ in range(10):
            got = served.ask("GET", "/v1/rollouts/latest")
            answers.append((got.status, got.body["controller"]["alive"]))

    threads = [threading.Thread(target=ask) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [(200, False)] * 100, "those who ask do not take each other for a controller"


@contextlib.contextmanager
def ending_controllers(here: Installation) -> Iterator[None]:
    """Whatever the test finds, no controller is left behind."""
    try:
        yield
    finally:
        if here.control.is_held_elsewhere():
            until(lambda: bool(taken_over(here)), "the controller has said who it is")
            os.kill(taken_over(here)[-1], signal.SIGTERM)
            until(lambda: not here.control.is_held_elsewhere(), "the controller has ended")


def test_a_controller_is_started_that_outlives_the_server(tmp_path: Path) -> None:
    """Nothing else runs here: the controller finds no data plane, holds, and says so."""
    (tmp_path / "site.yaml").write_text(SITE)
    here = wiring.installation(sites.load(tmp_path / "site.yaml"))
    with ending_controllers(here):
        for guarded in serve(tmp_path, access=True):
            assert guarded.act("control", "viewer").code == "not-allowed"
            got = guarded.act("control", "operator")
            assert got.status == 200, got.body
            assert guarded.act("control", "operator").code == "controller-running"
            until(lambda: bool(taken_over(here)), "the controller has said who it is")
            assert guarded.ask("GET", "/v1/rollouts/latest", role="viewer").body["controller"]["alive"]
        assert here.control.is_held_elsewhere(), "the server has ended, the controller has not"
        (pid,) = taken_over(here)
        assert os.getsid(pid) == pid, "what ends the terminal or the group of the server does not end it"
        said = (
            Path(f"/proc/{pid}/cmdline").read_bytes() + (tmp_path / "state" / "controller.log").read_bytes()
        )
        assert not [token for token in guarded.tokens.values() if token.encode() in said]


def taken_over(here: Installation) -> list[int]:
    return [int(str(event.data["pid"])) for event in here.desk.events() if event.type == "taken-over/1"]


def until(condition: Callable[[], bool], what: str, within_s: float = 20.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        time.sleep(0.02)


def test_a_plan_that_is_sent_is_started(tmp_path: Path) -> None:
    for served in serve(tmp_path, access=False):
        with ending_controllers(served.here):
            assert served.act("rollback", reason="make room").status == 503
            end_rollback(served.here)
            got = served.ask("POST", "/v1/rollouts", {"plan": PLAN, "version": "1.2.0"})
            assert got.status == 200, got.body
            assert (got.body["rollout"], got.body["version"]) == ("small-2", "1.2.0")
            assert served.here.desk.progress().started_by == "nobody"
            refused = served.ask("POST", "/v1/rollouts/small-1/pause", {})
            assert (refused.status, refused.code) == (409, "ended")
            assert served.here.control.is_held_elsewhere(), "its controller works on it"


def test_users_are_taken_back_also_where_the_log_cannot_be_read(tmp_path: Path) -> None:
    """As far as there is a data plane: nothing else runs here."""
    for served in serve(tmp_path, access=False):
        (tmp_path / "state" / "rollout.sqlite").write_bytes(b"no database" * 100)
        assert "file is not a database" in served.ask("GET", "/v1/rollouts/latest").body["detail"]
        for named, told in (("latest", "Envoy does not answer"), ("small-1", "file is not a database")):
            got = served.ask("POST", f"/v1/rollouts/{named}/rollback", {"reason": "no"})
            assert (got.status, got.code) == (503, "fault")
            assert told in got.body["detail"]


def end_rollback(here: Installation) -> None:
    """As if a data plane had been there."""
    from tranche.events import RolledBack, encode

    events = here.desk.events()
    done = encode(RolledBack(green="stopped"), at=events[-1].at, actor="controller")
    here.log.append(events[-1].rollout, after=len(events), events=[done])


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "example.test"])
def test_beyond_loopback_an_address_needs_tokens(host: str) -> None:
    with pytest.raises(Exposed, match="asks for no tokens"):
        check_address(host, has_access=False)
    check_address(host, has_access=True)


def test_beyond_loopback_it_does_not_start_without_tokens(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text(SITE)
    command = [sys.executable, "-m", "tranche.cli", "serve", "--listen", "0.0.0.0:0"]
    ended = subprocess.run(
        [*command, "--site", str(tmp_path / "site.yaml")],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("tranche: refused (exposed): '0.0.0.0' can be reached by others")


def test_beyond_loopback_with_tokens_it_serves_by_any_name(tmp_path: Path) -> None:
    for guarded in serve(tmp_path, access=True, listen="0.0.0.0:0"):
        guarded.url = guarded.url.replace("0.0.0.0", "127.0.0.1")
        assert guarded.ask("GET", "/v1/rollouts", role="viewer", host="tranche.example.test").status == 200
        assert guarded.ask("GET", "/v1/rollouts", host="tranche.example.test").status == 401


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost"])
def test_loopback_needs_no_tokens(host: str) -> None:
    check_address(host, has_access=False)


@pytest.mark.parametrize("listen", ["8730", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:99999", ":1"])
def test_an_address_that_is_none_is_usage(tmp_path: Path, listen: str) -> None:
    (tmp_path / "site.yaml").write_text(SITE)
    assert cli.run(["serve", "--listen", listen, "--site", str(tmp_path / "site.yaml")]) == 2


def test_a_port_that_is_taken_is_a_fault(
    served: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "site.yaml").write_text(SITE)
    listen = served.url.removeprefix("http://")
    assert cli.run(["serve", "--listen", listen, "--site", str(tmp_path / "site.yaml")]) == 3
    assert f"tranche: fault: {listen} cannot be listened on" in capsys.readouterr().err


def test_the_guide_lists_every_operation() -> None:
    text = (Path(__file__).resolve().parents[3] / "docs" / "api.md").read_text()
    rows = [
        [cell.strip(" `") for cell in line.split("|")[1:3]]
        for line in text.splitlines()
        if line.startswith("| `")
    ]
    assert rows == [[one.name, f"{one.method} {one.full_path}"] for one in OPERATIONS]
