"""The stub says that it is one: it is well, it counts nothing as sent, and it accepts nothing."""

import http.client
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from laptop import binaries
from laptop.ports import HOST, free_ports
from laptop.supervisor import Program, Running, Supervisor, answers, environment_for_children
from notification.app import STUB

pytestmark = pytest.mark.integration
PROGRAM = str(binaries.ours("notification"))


@dataclass(frozen=True, kw_only=True)
class Notification:
    """The stub, running."""

    port: int
    running: Running

    def call(self, method: str, path: str, body: str | None = None) -> tuple[int, Any]:
        """The status and the body, which is read as JSON when it is."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=10)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        is_json = answer.headers.get("content-type", "").startswith("application/json")
        return answer.status, json.loads(text) if is_json else text.decode()


def program(port: int) -> Program:
    return Program(
        name="notification",
        command=(PROGRAM, "serve"),
        environment={"NOTIFICATION_PORT": str(port)},
        ready=answers(f"http://{HOST}:{port}/health/ready"),
    )


@pytest.fixture(scope="module")
def notification(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Notification]:
    port = free_ports(1)[0]
    with Supervisor(tmp_path_factory.mktemp("notification")) as supervisor:
        running = supervisor.start(program(port))
        supervisor.wait(running)
        yield Notification(port=port, running=running)


def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """The command, run to its end."""
    environment = {**environment_for_children(), **settings}
    return subprocess.run(
        [PROGRAM, *arguments], env=environment, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize(
    "body", [None, "", "{}", '{"to": "rahim", "text": "the rollout is done"}', "x" * 100_000]
)
def test_a_message_is_never_taken_for_sent(notification: Notification, body: str | None) -> None:
    status, said = notification.call("POST", "/api/v1/messages", body)
    assert status == 501
    assert said == {
        "code": "not-implemented",
        "message": "stub: accepts nothing, sends nothing; send by other means",
    }


def test_messages_are_not_to_be_read_either(notification: Notification) -> None:
    status, _ = notification.call("GET", "/api/v1/messages")
    assert status == 405


def test_health_says_that_it_is_a_stub(notification: Notification) -> None:
    assert notification.call("GET", "/health") == (
        200,
        {"service": "notification", "about": STUB, "status": "ready", "checks": {"stub": "ok"}},
    )
    assert notification.call("GET", "/health/live") == (200, {"status": "live"})
    assert notification.call("GET", "/health/ready") == (200, {"status": "ready"})


def test_it_says_how_its_process_does_and_counts_no_messages(notification: Notification) -> None:
    status, metrics = notification.call("GET", "/metrics")
    assert status == 200
    assert "process_cpu_seconds_total" in metrics
    assert "message" not in metrics


def test_whoever_asks_the_command_is_told_that_it_is_a_stub() -> None:
    done = run("--help")
    assert done.returncode == 0
    assert "A stub: accepts nothing, sends nothing." in done.stdout


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"NOTIFICATION_PORT": "many"}, "NOTIFICATION_PORT: expected a whole number, found 'many'"),
        (
            {"NOTIFICATION_SMTP_URL": "x"},
            "NOTIFICATION_SMTP_URL is not a setting; known are NOTIFICATION_HOST",
        ),
    ],
    ids=str,
)
def test_a_setting_that_cannot_be_used_is_refused(settings: dict[str, str], told: str) -> None:
    done = run("serve", **settings)
    assert done.returncode == 1
    assert done.stderr.startswith(f"notification: {told}")
    assert len(done.stderr.splitlines()) == 1


def test_a_port_that_is_busy_is_named(notification: Notification) -> None:
    done = run("serve", NOTIFICATION_PORT=str(notification.port))
    told = f"cannot listen on {HOST}:{notification.port} (Address already in use); choose another port"
    assert (done.returncode, done.stderr) == (3, f"notification: {told}\n")


def test_it_ends_when_told_to(tmp_path: Path) -> None:
    port = free_ports(1)[0]
    with Supervisor(tmp_path) as supervisor:
        running = supervisor.start(program(port))
        supervisor.wait(running)
        os.kill(running.process.pid, signal.SIGTERM)
        assert running.process.wait(15) == 0
        assert running.log.read_text() == ""
