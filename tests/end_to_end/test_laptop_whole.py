"""A laptop as a whole: two side by side, a clear word when it cannot start, and nothing left behind."""

import json
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from laptop.fault import LaptopFault
from laptop.supervisor import Supervisor
from laptop.topology import Size, prepare, start

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(180)]


def ask(url: str, body: object = None, token: str | None = None) -> tuple[int, dict[str, str], Any]:
    headers = {"content-type": "application/json"}
    if token is not None:
        headers["authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    try:
        with urlopen(Request(url, data, headers), timeout=10) as got:
            return got.status, dict(got.headers), json.loads(got.read() or b"null")
    except HTTPError as error:
        with error:
            return error.code, dict(error.headers), json.loads(error.read() or b"null")


def log_in(laptop: Any) -> str:
    """A token for the login that `laptop up` prints."""
    told = laptop.machine.said("laptop.log")
    line = next(line for line in told.splitlines() if "curl" in line)
    login = json.loads(line.partition("-d '")[2].rstrip("'"))
    status, _, body = ask(f"{laptop.url}/auth/login", login)
    assert status == 200
    return str(body["access_token"])


INVOICES = {"query": "{ invoices { id } }"}


def test_the_login_that_is_printed_works_and_others_do_not(laptop: Any) -> None:
    token = log_in(laptop)
    status, headers, body = ask(f"{laptop.url}/graphql", INVOICES, token)
    assert (status, body) == (200, {"data": {"invoices": []}})
    assert headers["x-finance-release"] == "1.0.0"
    for bad, code in ((None, "token-missing"), (token[:-8] + "AAAAAAAA", "token-invalid")):
        status, _, body = ask(f"{laptop.url}/graphql", INVOICES, bad)
        assert status == 401
        assert body["errors"][0]["extensions"]["code"] == code
    wrong = {"tenant": "padma-textiles", "username": "user00002", "password": "wrong"}
    assert ask(f"{laptop.url}/auth/login", wrong)[0] == 401


def test_an_unbalanced_entry_is_refused_with_a_stable_code_and_nothing_is_written(laptop: Any) -> None:
    token = log_in(laptop)
    _, _, chart = ask(f"{laptop.url}/graphql", {"query": "{ chartOfAccounts { id } }"}, token)
    first, second = (account["id"] for account in chart["data"]["chartOfAccounts"][:2])
    mutation = (
        'mutation($lines: [JournalLineInput!]!) { createJournal(idempotencyKey: "k", input: {journalDate: '
        '"2026-11-24", description: "a slip of the pen", lines: $lines, autoPost: true}) '
        "{ __typename ... on Refusal { code } } }"
    )
    lines = [{"accountId": first, "debit": "10.00"}, {"accountId": second, "credit": "9.99"}]
    status, _, body = ask(f"{laptop.url}/graphql", {"query": mutation, "variables": {"lines": lines}}, token)
    assert status == 200
    assert body["data"]["createJournal"] == {"__typename": "Refusal", "code": "journal-unbalanced"}
    _, _, after = ask(f"{laptop.url}/graphql", {"query": "{ journals { id } }"}, token)
    assert after["data"]["journals"] == []


def test_two_laptops_run_side_by_side_and_end_with_ctrl_c(
    machine: Any, new_laptop: Callable[..., Any]
) -> None:
    first, second = new_laptop("first"), new_laptop("second")
    for laptop in (first, second):
        status, _, _ = ask(f"{laptop.url}/auth/.well-known/jwks.json")
        assert status == 200
    assert first.stop() == 1
    assert "interrupted; everything was stopped" in machine.said("first.log")
    assert ask(f"{second.url}/auth/.well-known/jwks.json")[0] == 200, "the other goes on"
    assert second.stop() == 1


def test_a_laptop_that_is_killed_leaves_no_process_behind(laptop: Any, quick: Path) -> None:
    engine = laptop.start_rollout(quick)
    deadline = time.monotonic() + 30
    while not (laptop.state / "environment" / "green.json").exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    laptop.process.send_signal(signal.SIGKILL)
    laptop.process.wait()
    engine.kill()
    engine.wait()
    # the fixture `machine` waits until nothing that carries the test's mark is left


def test_a_busy_port_is_told_in_one_line_and_nothing_is_started(machine: Any) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        done = machine.run("laptop", "up", "--state", str(machine.folder / "busy"), "--port", str(port))
    assert done.returncode == 3
    assert f"port {port} is busy" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (machine.folder / "busy" / "postgres").exists()


def test_a_component_that_dies_at_its_start_is_named_with_its_log_and_nothing_is_left(
    tmp_path: Path,
) -> None:
    with Supervisor(tmp_path / "laptop" / "logs") as supervisor:
        topology = prepare(tmp_path / "laptop", size=Size(tenants=1, users=10))
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", topology.ports["masterdata"]))
            holder.listen()
            with pytest.raises(LaptopFault, match=r"masterdata died \(exit 3\); see .*masterdata\.log"):
                start(topology, supervisor, lambda _: None)
    for name, port in topology.ports.items():
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0, f"{name} still listens"
    topology.cluster.remove_scratch()


BAD_PLANS = {
    "an unknown key": ("dwell: 8s", "dwel: 8s", "dwel"),
    "a falling weight": ("weight: 60 %", "weight: 20 %", "20"),
    "a duration without a unit": ("dwell: 8s", "dwell: 8", "8"),
    "an unknown gate": ("kind: http", "kind: prayer", "prayer"),
}


@pytest.mark.parametrize("what", [*BAD_PLANS, "no phases"])
def test_a_bad_plan_is_refused_with_its_line_and_nothing_is_started(
    machine: Any, quick: Path, what: str
) -> None:
    text = quick.read_text()
    if what == "no phases":
        text, found = text.partition("phases:")[0] + "phases: []\n", "phases"
    else:
        before, after, found = BAD_PLANS[what]
        assert before in text
        text = text.replace(before, after, 1)
    plan, site = machine.folder / "bad.yaml", machine.folder / "site.yaml"
    plan.write_text(text)
    done = machine.run("tranche", "start", str(plan), "--version", "1", "--site", str(site))
    assert done.returncode == 2
    line, _, said = done.stderr.partition("bad.yaml:")[2].partition(":")
    assert line.isdecimal(), done.stderr
    assert found in said
    assert list(machine.folder.iterdir()) == [plan], "nothing was made"
