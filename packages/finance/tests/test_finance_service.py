"""The real service over HTTP: who is let in, what is refused at the door, and how it says that it is well."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from joserfc.jwk import OKPKey
from test_finance_refusal import DOOR

from laptop.ports import free_ports

pytestmark = pytest.mark.integration
World = Any
Serving = Any
ACCOUNTS = b'{"query": "{ chartOfAccounts { accountCode } }"}'


def poll(tried: Any, until: Any, within_s: float = 20) -> Any:
    """Try until the answer is the one waited for."""
    deadline = time.monotonic() + within_s
    while not until(found := tried()):
        assert time.monotonic() < deadline, f"still {found}"
        time.sleep(0.02)
    return found


def test_health_says_who_it_is_and_that_all_is_well(serving: Serving) -> None:
    assert serving.get("/health/live").body == {"status": "live"}
    assert serving.get("/health/ready").body == {"status": "ready"}
    health = serving.get("/health")
    assert health.status == 200
    assert health.body == {
        "service": "finance",
        "release": "1.1.0",
        "colour": "blue",
        "status": "ready",
        "checks": {"event store": "ok", "read models": "ok", "token keys": "ok"},
    }


def test_every_answer_names_release_and_colour(world: World) -> None:
    green = world.serve(release="1.2.0-rc.1", colour="green")
    for answer in (green.get("/health/live"), green.get("/nowhere"), green.post(ACCOUNTS)):
        assert answer.headers["x-finance-release"] == "1.2.0-rc.1"
        assert answer.headers["x-finance-colour"] == "green"


def test_it_is_live_but_not_ready_until_its_read_models_are_built(world: World) -> None:
    world.serve(release="3.0.0").running.process.send_signal(signal.SIGTERM)
    code = (
        "import asyncio, asyncpg, sys\n"
        "async def hold():\n"
        "    connection = await asyncpg.connect(sys.argv[1])\n"
        "    await connection.execute('BEGIN; SELECT FROM finance_read_3_0_0.checkpoint FOR UPDATE')\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
        "asyncio.run(hold())\n"
    )
    url = world.cluster.url("finance_projector", world.name)
    holder = subprocess.Popen(
        [sys.executable, "-c", code, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        building = world.serve(release="3.0.0", until="/health/live")
        answer = building.get("/health/ready")
        assert answer.status == 503
        assert "read models are being built" in answer.body["failed"]["read models"]
        assert building.get("/health").status == 503
    poll(lambda: building.get("/health/ready").status, lambda status: status == 200)


def test_metrics_count_requests_by_route_and_events_by_kind(serving: Serving) -> None:
    serving.post(ACCOUNTS)
    metrics = serving.get("/metrics")
    assert metrics.status == 200
    assert 'http_request_duration_seconds_count{method="POST",route="/graphql",status="200"}' in metrics.body
    assert 'finance_events_applied_total{kind="account"}' in metrics.body
    assert "finance_projection_lag_events 0.0" in metrics.body
    assert 'finance_operations_total{status="200"}' in metrics.body


def test_a_token_of_the_issuer_is_let_in(serving: Serving) -> None:
    answer = serving.post(ACCOUNTS)
    assert answer.status == 200
    assert answer.body["data"]["chartOfAccounts"][0] == {"accountCode": "1000"}


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        (None, "token-missing"),
        ("Basic cmFoaW06eA==", "token-missing"),
        ("Bearer ", "token-missing"),
        ("Bearer nonsense", "token-invalid"),
        ("Bearer a.b.c", "token-invalid"),
    ],
)
def test_a_request_without_a_readable_token_is_turned_away(
    serving: Serving, authorization: str | None, code: str
) -> None:
    answer = serving.post(ACCOUNTS, authorization=authorization)
    assert (answer.status, answer.code) == (401, code)


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"exp": 1_700_000_000}, "token-expired"),
        ({"iss": "somebody-else"}, "token-invalid"),
        ({"aud": "another-product"}, "token-invalid"),
        ({"nbf": 4_000_000_000}, "token-invalid"),
        *(({name: None}, "token-invalid") for name in ("exp", "nbf", "iss", "aud", "sub", "tenant")),
    ],
)
def test_a_token_whose_claims_do_not_hold_is_turned_away(
    world: World, serving: Serving, claims: dict[str, Any], code: str
) -> None:
    answer = serving.post(ACCOUNTS, authorization=f"Bearer {world.token(**claims)}")
    assert (answer.status, answer.code) == (401, code)


def test_a_forged_token_is_turned_away(world: World, serving: Serving) -> None:
    forger = OKPKey.generate_key("Ed25519", parameters={"kid": "k1"})
    header, payload, signature = world.token(permissions=[]).split(".")
    _, wanted, _ = world.token().split(".")
    none = "eyJhbGciOiJub25lIn0"
    forged = [world.token(key=forger), f"{header}.{wanted}.{signature}", f"{none}.{payload}."]
    for token in forged:
        answer = serving.post(ACCOUNTS, authorization=f"Bearer {token}")
        assert (answer.status, answer.code) == (401, "token-invalid")


def test_a_permission_that_is_missing_is_named(world: World, serving: Serving) -> None:
    reader = f"Bearer {world.token(permissions=['invoice:read'])}"
    answer = serving.post(ACCOUNTS, authorization=reader)
    assert (answer.status, answer.code) == (403, "permission-missing")
    assert "account:read" in answer.body["errors"][0]["message"]


@pytest.mark.parametrize("tenant", ["5f1d3a52-7d0c-4a54-9b0e-3f4f0c1a2b3c", "no tenant", "../other"])
def test_a_tenant_without_books_is_refused(world: World, serving: Serving, tenant: str) -> None:
    for query in ("{ chartOfAccounts { id } }", OPEN_ACCOUNT):
        body = orjson.dumps({"query": query})
        answer = serving.post(body, authorization=f"Bearer {world.token(tenant=tenant)}")
        assert (answer.status, answer.code) == (403, "tenant-unknown")


OPEN_ACCOUNT = """mutation { createAccount(idempotencyKey: "k", input:
    {accountCode: "1999", accountName: "Till", accountType: ASSET}) { __typename } }"""


def test_a_header_cannot_choose_another_tenant_than_the_token(world: World, serving: Serving) -> None:
    answer = serving.post(ACCOUNTS, x_tenant_id=world.other_tenant)
    assert (answer.status, answer.code) == (403, "tenant-mismatch")
    assert serving.post(ACCOUNTS, x_tenant_id=world.tenant).status == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_content_type_that_a_form_can_send_is_refused(serving: Serving, kind: str) -> None:
    answer = serving.post(ACCOUNTS, content_type=kind)
    assert (answer.status, answer.code) == (415, "content-type-unsupported")


def test_a_query_is_not_answered_to_get(serving: Serving) -> None:
    assert serving.get("/graphql?query=%7B__typename%7D").status == 405


def test_a_body_too_large_is_refused(serving: Serving) -> None:
    assert serving.post(ACCOUNTS.ljust(200_000)).status == 200
    answer = serving.post(ACCOUNTS.ljust(200_001))
    assert (answer.status, answer.code) == (413, "request-too-large")


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"query": "{ chartOfAccounts }"', b"[" * 5000])
def test_what_is_no_json_is_refused(serving: Serving, body: bytes) -> None:
    answer = serving.post(body)
    assert (answer.status, answer.code) == (400, "request-malformed")


@pytest.mark.parametrize(
    "body",
    [b"[]", b"null", b"{}", b'{"query": 1}', b'{"query": "{ a }", "variables": []}', b"[" + ACCOUNTS + b"]"],
)
def test_what_is_no_graphql_request_is_refused(serving: Serving, body: bytes) -> None:
    answer = serving.post(body)
    assert (answer.status, answer.code) == (400, "request-malformed")


NESTED = "{" + " chartOfAccounts {" * 600


@pytest.mark.parametrize(
    "query",
    [
        "",
        "{",
        "{ nothing }",
        "{ invoice { id } }",
        "{ __schema { types { name } } }",
        "{ a: __typename" * 3000,
        NESTED + " id" + "}" * 601,
        '{ chartOfAccount(id: "\\ud800") { id } }',
        "mutation { createAccount { __typename } }",
        "subscription { x }",
        "{ chartOfAccounts(limit: null) { id } }",
        "{ chartOfAccounts(limit: -1) { id } }",
        "{ chartOfAccounts(offset: -1) { id } }",
        "{ invoices(limit: 9999999999) { id } }",
        '{ trialBalance(input: {fiscalYear: "FY2026-2027", currency: null}) { asOfDate } }',
        '{ trialBalance(input: {fiscalYear: "2026"}) { asOfDate } }',
        '{ trialBalance(input: {fiscalYear: "FY2026-2027", asOfDate: "2026-06-30"}) { asOfDate } }',
        '{ trialBalance(input: {fiscalYear: "FY2026-2027", asOfDate: "23 November"}) { asOfDate } }',
        '{ invoices(customerId: "\\u0000") { id } }',
    ],
)
def test_a_query_that_cannot_be_answered_is_the_callers_fault(serving: Serving, query: str) -> None:
    answer = serving.ask(query)
    assert answer.status == 400
    assert all(error["extensions"]["code"] != "internal" for error in answer.body["errors"])


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("Date", "23 November"),
        ("Date", 5),
        ("Date", "2026-13-01"),
        ("Int", "many"),
        ("Decimal", 5.5),
        ("Decimal", "9" * 41),
    ],
)
def test_a_variable_that_is_not_of_its_type_is_the_callers_fault(
    serving: Serving, kind: str, value: object
) -> None:
    queries = {
        "Date": 'query ($v: Date!) { trialBalance(input: {fiscalYear: "FY2026-2027", asOfDate: $v}) { asOfDate } }',
        "Int": "query ($v: Int!) { chartOfAccounts(limit: $v) { id } }",
        "Decimal": 'mutation ($v: Decimal!) { createPayment(idempotencyKey: "k", input: {invoiceId: "i",'
        ' amount: $v, paymentMethod: CASH, paymentDate: "2026-11-23"}) { __typename } }',
    }
    answer = serving.ask(queries[kind], v=value)
    assert (answer.status, answer.code) == (400, "request-invalid")


def test_an_operation_that_is_not_in_the_request_is_the_callers_fault(serving: Serving) -> None:
    for name in ("another", 5):
        body = orjson.dumps({"query": "query one { chartOfAccounts { id } }", "operationName": name})
        assert serving.post(body).status == 400


def test_introspection_is_for_the_laptop_only(world: World, serving: Serving) -> None:
    query = "{ __schema { queryType { name } } }"
    assert serving.ask(query).status == 400
    laptop = world.serve(deployment="laptop", release="4.0.0")
    assert laptop.ask(query).data == {"queryType": {"name": "Query"}}


DEEP = "{ invoicesConnection { edges { node { lineItems { taxes { amount { amount } } } } } } }"
AT_THE_DOOR: dict[str, tuple[int, Callable[[Serving], Any]]] = {
    "request-malformed": (400, lambda serving: serving.post(b"{")),
    "request-invalid": (400, lambda serving: serving.ask("{ nothing }")),
    "content-type-unsupported": (415, lambda serving: serving.post(b"{}", content_type="text/plain")),
    "request-too-large": (413, lambda serving: serving.post(b" " * 200_001)),
    "token-missing": (401, lambda serving: serving.post(b"{}", authorization=None)),
    "token-invalid": (401, lambda serving: serving.post(b"{}", authorization="Bearer x")),
    "token-expired": (401, lambda serving: as_claimed(serving, exp=1_700_000_000)),
    "tenant-mismatch": (403, lambda serving: serving.post(b"{}", x_tenant_id=serving.world.other_tenant)),
    "permission-missing": (403, lambda serving: as_claimed(serving, permissions=[])),
    "tenant-unknown": (
        403,
        lambda serving: as_claimed(serving, tenant="00000000-0000-4000-8000-000000000000"),
    ),
    "query-too-deep": (400, lambda serving: serving.ask(DEEP)),
    "query-too-costly": (400, lambda serving: serving.ask("{ invoices(limit: 51) { id } }")),
}


def as_claimed(serving: Serving, **claims: Any) -> Any:
    body = orjson.dumps({"query": "{ invoices { id } }"})
    return serving.post(body, authorization=f"Bearer {serving.world.token(**claims)}")


def test_everything_told_at_the_door_is_told(world: World) -> None:
    narrow = world.serve(graphql_cost_limit="50", graphql_depth_limit="6")
    assert set(AT_THE_DOOR) == set(DOOR)
    for code, (status, ask) in AT_THE_DOOR.items():
        answer = ask(narrow)
        assert (answer.status, answer.code) == (status, code), answer.body
    assert narrow.ask("{ invoices(limit: 50) { id } }").status == 200


def test_it_ends_when_told_to_and_finishes_what_is_under_way(world: World) -> None:
    process = world.serve(release="5.0.0").running.process
    process.send_signal(signal.SIGTERM)
    assert process.wait(15) == 0


def test_it_does_not_start_without_its_settings(world: World) -> None:
    for name in ("database_url", "projector_database_url", "jwks_url", "masterdata_url"):
        done = world.command("serve", **{name: ""})
        assert (done.returncode, done.stderr) == (3, f"finance: FINANCE_{name.upper()}: missing; set them\n")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"colour": "red"}, "FINANCE_COLOUR: expected one of blue, green, found 'red'"),
        ({"port": "many"}, "FINANCE_PORT: expected a whole number, found 'many'"),
        ({"databse_url": "x"}, "FINANCE_DATABSE_URL is not a setting"),
    ],
)
def test_a_setting_that_cannot_be_used_is_refused(world: World, changes: dict[str, str], told: str) -> None:
    done = world.command("serve", **changes)
    assert done.returncode == 1
    assert told in done.stderr


def test_a_database_that_is_away_is_named_without_its_password(world: World) -> None:
    port = free_ports(1)[0]
    done = world.command("serve", database_url=f"postgresql://finance_app:hidden@127.0.0.1:{port}/books")
    assert done.returncode == 3
    assert f"FINANCE_DATABASE_URL: no database at 127.0.0.1:{port}/books" in done.stderr
    assert "hidden" not in done.stderr + done.stdout


def test_a_port_that_is_busy_is_named(world: World, serving: Serving) -> None:
    port = serving.url.rpartition(":")[2]
    done = world.command("serve", port=port)
    assert done.returncode == 3
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
