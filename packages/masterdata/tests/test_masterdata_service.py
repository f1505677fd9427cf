"""Looking records up and adding them; over HTTP, to the real service on a real database as its own role."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit
from uuid import uuid4

import pytest
from joserfc.jwk import OKPKey

from auth.permission import ROLES, permissions_of
from masterdata.refusal import Refused

pytestmark = pytest.mark.integration
DOCS = Path(__file__).resolve().parents[3] / "docs" / "refusals.md"
KINDS = ("customers", "vendors", "products")
COLUMNS = {
    "customers": {"id", "code", "name", "tin", "bin"},
    "vendors": {"id", "code", "name", "tin", "bin"},
    "products": {"id", "sku", "name", "unit", "vat_category"},
}
CUSTOMER = {"code": "N1", "name": "Rahim & Sons, ঢাকা", "tin": "123456789012", "bin": "1234567890123"}
VENDOR = {"code": "N1", "name": "Karim", "tin": None, "bin": None}
PRODUCT = {"sku": "N1", "name": "Rice, 50 kg", "unit": "bag", "vat_category": "REDUCED"}
NEW = {"customers": CUSTOMER, "vendors": VENDOR, "products": PRODUCT}


@pytest.fixture
def customers(masterdata: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = masterdata.listed("customers")
    return found


@pytest.fixture
def ids(customers: list[dict[str, Any]]) -> list[str]:
    return [one["id"] for one in customers]


@pytest.mark.parametrize("kind", KINDS)
def test_a_record_is_found_by_its_id_with_all_its_fields(masterdata: Any, kind: str) -> None:
    for record in masterdata.listed(kind)[:3]:
        answer = masterdata.get(f"/api/v1/{kind}/{record['id']}")
        assert (answer.status, answer.body) == (200, record)
        assert set(record) == COLUMNS[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_an_id_of_another_kind_is_unknown(masterdata: Any, kind: str) -> None:
    for other in set(KINDS) - {kind}:
        known = masterdata.listed(other)[0]["id"]
        assert masterdata.get(f"/api/v1/{kind}/{known}").refusal == (404, "record-unknown")
        assert masterdata.batch(kind, [known]).body == {"items": [], "missing": [known]}


def test_a_record_that_nobody_has_is_unknown(masterdata: Any) -> None:
    assert masterdata.get(f"/api/v1/customers/{uuid4()}").refusal == (404, "record-unknown")


def test_a_batch_answers_in_the_order_that_was_asked(masterdata: Any, ids: list[str]) -> None:
    for asked in (ids[:50], ids[49::-1], ids[::7], sorted(ids[:30], key=lambda one: one[::-1])):
        answer = masterdata.batch("customers", asked)
        assert answer.status == 200
        assert [item["id"] for item in answer.body["items"]] == asked
        assert answer.body["missing"] == []


def test_a_batch_tells_what_is_missing_and_answers_the_rest(masterdata: Any, ids: list[str]) -> None:
    nobody = [str(uuid4()), str(uuid4())]
    answer = masterdata.batch("customers", [nobody[0], ids[3], nobody[1], ids[1]])
    assert answer.status == 200
    assert [item["id"] for item in answer.body["items"]] == [ids[3], ids[1]]
    assert answer.body["missing"] == nobody


def test_what_is_asked_for_twice_is_answered_once(masterdata: Any, ids: list[str]) -> None:
    nobody = str(uuid4())
    answer = masterdata.batch("customers", [ids[1], nobody, ids[0].upper(), ids[1], nobody, ids[0]])
    assert [item["id"] for item in answer.body["items"]] == [ids[1], ids[0]]
    assert answer.body["missing"] == [nobody]


def test_a_batch_and_single_look_ups_say_the_same(masterdata: Any) -> None:
    for kind in KINDS:
        records = masterdata.listed(kind)[:5]
        assert masterdata.batch(kind, [one["id"] for one in records]).body["items"] == records


def test_an_empty_batch_has_an_empty_answer(masterdata: Any) -> None:
    answer = masterdata.batch("customers", [])
    assert (answer.status, answer.body) == (200, {"items": [], "missing": []})


def test_a_batch_is_of_a_hundred_at_most(masterdata: Any, ids: list[str]) -> None:
    assert len(masterdata.batch("customers", ids[:100]).body["items"]) == 100
    for more in (ids[:101], ids[:1] * 101):
        refused = masterdata.batch("customers", more)
        assert refused.refusal == (400, "request-malformed")
        assert refused.body["message"] == 'expected {"ids": [...]} with at most 100 ids, found 101 ids'


@pytest.mark.parametrize("unreadable", ["no id", "", None, 5, ["a"], {}, "../products", "\0"], ids=repr)
def test_a_batch_with_an_id_that_is_none_is_refused(
    masterdata: Any, ids: list[str], unreadable: object
) -> None:
    refused = masterdata.batch("customers", [ids[0], unreadable])
    assert refused.refusal == (400, "request-malformed")
    assert refused.body["message"].startswith("expected a UUID, found ")


@pytest.mark.parametrize(
    "body", [None, "", "no json", "[]", "null", "{}", '{"ids": "x"}', '{"ids": {}}', b"\xff", "[" * 5000]
)
def test_what_is_no_batch_is_refused(masterdata: Any, body: object) -> None:
    assert masterdata.post("/api/v1/customers/batch", body).refusal == (400, "request-malformed")


def test_a_body_too_large_is_refused(masterdata: Any, ids: list[str]) -> None:
    body = json.dumps({"ids": ids[:1]})
    assert masterdata.post("/api/v1/customers/batch", body.ljust(100_000)).status == 200
    refused = masterdata.post("/api/v1/customers/batch", body.ljust(100_001))
    assert refused.refusal == (413, "request-too-large")


def test_a_list_is_by_name_and_comes_in_pages(masterdata: Any, customers: list[dict[str, Any]]) -> None:
    assert [one["name"] for one in customers] == sorted(one["name"] for one in customers)
    pages = [
        masterdata.get(f"/api/v1/customers?limit=50&offset={start}").body["items"] for start in (0, 50, 100)
    ]
    assert [len(page) for page in pages[:2]] == [50, 50]
    assert [one for page in pages for one in page] == customers
    assert masterdata.get("/api/v1/customers").body["items"] == customers[:50]
    assert masterdata.get("/api/v1/customers?limit=0").body["items"] == []


def test_a_search_looks_for_a_part_of_the_name(masterdata: Any, customers: list[dict[str, Any]]) -> None:
    wanted = customers[5]["name"]
    for text in (wanted, wanted.upper(), wanted[3:]):
        found = masterdata.get(f"/api/v1/customers?search={quote(text)}").body["items"]
        assert customers[5] in found
        assert all(text.lower() in one["name"].lower() for one in found)


@pytest.mark.parametrize("text", ["%", "_", "\\", "%%", "' OR true --", "nobody of this name"])
def test_a_sign_of_the_database_is_a_sign_like_others(masterdata: Any, text: str) -> None:
    assert masterdata.get(f"/api/v1/vendors?search={quote(text)}").body["items"] == []


@pytest.mark.parametrize(
    "query",
    [
        "limit=201",
        "limit=-1",
        "limit=many",
        "limit=",
        "limit=1.5",
        "limit=²",
        f"limit={'9' * 5000}",
        "offset=1000001",
        "search=%00",
        f"search={'x' * 256}",
    ],
    ids=lambda query: query[:20],
)
def test_a_page_that_cannot_be_is_refused(masterdata: Any, query: str) -> None:
    refused = masterdata.get(f"/api/v1/customers?{quote(query, safe='=%')}")
    assert refused.refusal == (400, "request-malformed")


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_added_is_found_and_its_code_is_taken(masterdata: Any, kind: str) -> None:
    tenant = str(uuid4())
    headers = {"authorization": masterdata.of(tenant)}
    added = masterdata.post(f"/api/v1/{kind}", NEW[kind], **headers)
    assert added.status == 201
    assert added.body == {**NEW[kind], "id": added.body["id"]}
    assert masterdata.get(f"/api/v1/{kind}/{added.body['id']}", **headers).body == added.body
    again = masterdata.post(f"/api/v1/{kind}", NEW[kind], **headers)
    assert again.refusal == (409, "record-exists")
    assert masterdata.listed(kind, tenant) == [added.body]


def test_a_code_is_taken_within_its_kind_and_its_tenant_only(masterdata: Any) -> None:
    for tenant in (str(uuid4()), str(uuid4())):
        for kind in ("customers", "vendors"):
            headers = {"authorization": masterdata.of(tenant)}
            assert masterdata.post(f"/api/v1/{kind}", NEW[kind], **headers).status == 201


@pytest.mark.parametrize(
    ("kind", "changes", "told"),
    [
        ("customers", {"name": None}, "name: "),
        ("customers", {"name": ""}, "name: "),
        ("customers", {"name": "   "}, "name: "),
        ("customers", {"name": "x" * 256}, "name: "),
        ("customers", {"name": "Rahim\0"}, "name: "),
        ("customers", {"name": "Rahim\nKarim"}, "name: "),
        ("customers", {"name": 5}, "name: "),
        ("customers", {"code": "a b"}, "code: "),
        ("customers", {"code": "N1\n"}, "code: "),
        ("customers", {"tin": "12345678901"}, "tin: "),
        ("customers", {"tin": "১২৩৪৫৬৭৮৯০১২"}, "tin: "),
        ("vendors", {"bin": "١٢٣٤٥٦٧٨٩٠١٢٣"}, "bin: "),
        ("vendors", {"kind": "customer"}, "unknown fields kind; known are code, name, tin, bin"),
        ("vendors", {"tenant_id": "5f1d3a52-7d0c-4a54-9b0e-3f4f0c1a2b3c"}, "unknown fields tenant_id"),
        ("products", {"unit": "b" * 21}, "unit: "),
        ("products", {"unit": "\0"}, "unit: "),
        ("products", {"vat_category": "FREE"}, "vat_category: "),
        ("products", {"vat_category": "ZERO"}, "vat_category: "),
    ],
    ids=str,
)
def test_a_record_that_cannot_be_is_refused_and_not_kept(
    masterdata: Any, kind: str, changes: dict[str, Any], told: str
) -> None:
    tenant = str(uuid4())
    refused = masterdata.post(
        f"/api/v1/{kind}", {**NEW[kind], **changes}, authorization=masterdata.of(tenant)
    )
    assert refused.refusal == (400, "record-malformed")
    assert refused.body["message"].startswith(told)
    assert masterdata.listed(kind, tenant) == []


@pytest.mark.parametrize("body", ["[]", "null", '"N1"', "5"])
def test_what_is_no_record_is_refused(masterdata: Any, body: str) -> None:
    assert masterdata.post("/api/v1/customers", body).refusal == (400, "record-malformed")


@pytest.mark.parametrize("kind", ["banks", "Customers", "partners", "batch", "%00"])
def test_a_kind_that_is_none_is_refused(masterdata: Any, kind: str) -> None:
    for answer in (
        masterdata.get(f"/api/v1/{kind}"),
        masterdata.get(f"/api/v1/{kind}/{uuid4()}"),
        masterdata.batch(kind, []),
        masterdata.post(f"/api/v1/{kind}", VENDOR),
    ):
        assert answer.refusal == (404, "kind-unknown")


def every_way(masterdata: Any, record_id: str, **headers: str) -> list[Any]:
    """An answer of each operation."""
    return [
        masterdata.get(f"/api/v1/customers/{record_id}", **headers),
        masterdata.batch("customers", [record_id], **headers),
        masterdata.get("/api/v1/customers", **headers),
        masterdata.post("/api/v1/customers", CUSTOMER | {"code": uuid4().hex}, **headers),
    ]


def test_whoever_is_not_known_is_refused_with_the_reason(masterdata: Any, ids: list[str]) -> None:
    forger = OKPKey.generate_key("Ed25519", {"kid": "k1"})
    before = len(ids)
    tried = {
        "": "token-missing",
        "Basic cmFoaW06eA==": "token-missing",
        "Bearer nonsense": "token-invalid",
        f"Bearer {masterdata.token(key=forger)}": "token-invalid",
        f"Bearer {masterdata.token(iss='another')}": "token-invalid",
        f"Bearer {masterdata.token(aud='another')}": "token-invalid",
        f"Bearer {masterdata.token(tenant=None)}": "token-invalid",
        f"Bearer {masterdata.token(tenant='')}": "token-invalid",
        f"Bearer {masterdata.token(exp=1_700_000_000)}": "token-expired",
    }
    for authorization, code in tried.items():
        for answer in every_way(masterdata, ids[0], authorization=authorization):
            assert answer.refusal == (401, code)
    assert len(masterdata.listed("customers")) == before


def test_a_permission_that_is_missing_is_named(masterdata: Any, ids: list[str]) -> None:
    for permissions in ([], ["invoice:read", "vendor:read", "vendor:create", "customer", "customer:"]):
        headers = {"authorization": f"Bearer {masterdata.token(permissions=permissions)}"}
        answers = every_way(masterdata, ids[0], **headers)
        assert [answer.refusal for answer in answers] == [(403, "permission-missing")] * 4
        named = [answer.body["message"].split("permission ")[1].split(";")[0] for answer in answers]
        assert named == ["customer:read"] * 3 + ["customer:create"]
    assert len(masterdata.listed("customers")) == len(ids)


@pytest.mark.parametrize("role", ROLES)
def test_every_role_reads_names_and_only_those_meant_to_make_partners(masterdata: Any, role: str) -> None:
    token = masterdata.token(tenant=str(uuid4()), permissions=permissions_of([role]))
    headers = {"authorization": f"Bearer {token}"}
    for kind in KINDS:
        assert masterdata.get(f"/api/v1/{kind}", **headers).status == 200
        assert masterdata.batch(kind, [str(uuid4())], **headers).status == 200
        added = masterdata.post(f"/api/v1/{kind}", NEW[kind], **headers)
        assert added.status == (201 if role in {"finance_manager", "accountant"} else 403)


def test_a_tenant_finds_its_own_records_and_no_others(masterdata: Any) -> None:
    one, other = masterdata.tenants
    for kind in KINDS:
        mine, theirs = masterdata.listed(kind, one), masterdata.listed(kind, other)
        assert len(mine) == len(theirs) == masterdata.counts[kind]
        stolen = [record["id"] for record in theirs]
        assert not {record["id"] for record in mine} & set(stolen)
        assert masterdata.get(f"/api/v1/{kind}/{stolen[0]}").refusal == (404, "record-unknown")
        batch = masterdata.batch(kind, [stolen[0], mine[0]["id"]])
        assert batch.body == {"items": [mine[0]], "missing": stolen[:1]}
        searched = masterdata.get(f"/api/v1/{kind}?search={quote(theirs[0]['name'])}").body["items"]
        assert not {record["id"] for record in searched} & set(stolen)


def test_a_tenant_that_is_new_has_nothing(masterdata: Any) -> None:
    for kind in KINDS:
        assert masterdata.listed(kind, str(uuid4())) == []


def test_a_header_cannot_choose_another_tenant_than_the_token(masterdata: Any, ids: list[str]) -> None:
    one, other = masterdata.tenants
    for answer in every_way(masterdata, ids[0], x_tenant_id=other):
        assert answer.refusal == (403, "tenant-mismatch")
    assert masterdata.get(f"/api/v1/customers/{ids[0]}", x_tenant_id=one).status == 200


def test_a_token_whose_tenant_is_no_text_is_no_token(masterdata: Any, ids: list[str]) -> None:
    for answer in every_way(masterdata, ids[0], authorization=masterdata.of(5)):
        assert answer.refusal == (401, "token-invalid")


@pytest.mark.parametrize("tenant", ["no tenant", "' OR true --", "*"])
def test_a_token_whose_tenant_can_be_none_finds_nothing(masterdata: Any, ids: list[str], tenant: str) -> None:
    for answer in every_way(masterdata, ids[0], authorization=masterdata.of(tenant)):
        assert answer.refusal == (403, "tenant-unknown")


def test_health_and_metrics_tell_how_it_does(masterdata: Any, ids: list[str]) -> None:
    health = masterdata.get("/health", authorization="")
    assert (health.status, health.body) == (
        200,
        {"service": "masterdata", "status": "ready", "checks": {"database": "ok", "token keys": "ok"}},
    )
    masterdata.get(f"/api/v1/customers/{ids[0]}")
    metrics = masterdata.get("/metrics", authorization="").body
    assert 'masterdata_records_looked_up_total{kind="customer",way="single"}' in metrics
    assert 'route="/api/v1/{kind}/{id}",status="200"' in metrics
    assert ids[0] not in metrics


def test_a_batch_is_counted_by_its_records(masterdata: Any, ids: list[str]) -> None:
    def counted() -> float:
        name = 'masterdata_records_looked_up_total{kind="customer",way="batch"} '
        metrics = masterdata.get("/metrics", authorization="").body
        return float(metrics.partition(name)[2].partition("\n")[0])

    masterdata.batch("customers", ids[:1])
    before = counted()
    masterdata.batch("customers", ids[:30])
    assert counted() - before == 30


@contextmanager
def without_database(masterdata: Any) -> Iterator[None]:
    """Nobody is connected to the service's database, and nobody can be."""
    name = masterdata.name
    masterdata.cluster.run_sql("postgres", f"ALTER DATABASE {name} CONNECTION LIMIT 0;")
    ended = f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}';"
    masterdata.cluster.run_sql("postgres", ended)
    try:
        yield
    finally:
        masterdata.cluster.run_sql("postgres", f"ALTER DATABASE {name} CONNECTION LIMIT -1;")


def test_a_database_that_is_away_is_a_fault_with_a_code_and_in_the_log_without_a_secret(
    masterdata: Any, customers: list[dict[str, Any]]
) -> None:
    token = masterdata.token()
    with without_database(masterdata):
        faults = every_way(masterdata, customers[0]["id"], authorization=f"Bearer {token}")
        live, ready = masterdata.get("/health/live"), masterdata.get("/health/ready")
    assert [answer.refusal for answer in faults] == [(503, "database-unavailable")] * 4
    assert (live.status, ready.status, list(ready.body["failed"])) == (200, 503, ["database"])
    log = (masterdata.folder / "logs" / "masterdata.log").read_text()
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    said = {(line["service"], line["event"], line["level"]) for line in lines}
    assert said == {("masterdata", "database away", "error")}
    password = urlsplit(masterdata.settings["MASTERDATA_DATABASE_URL"]).password
    for secret in (password, token, token.rpartition(".")[2], customers[0]["name"]):
        assert secret
        assert secret not in log
    assert masterdata.get(f"/api/v1/customers/{customers[0]['id']}").status == 200


REFUSALS: dict[str, Callable[[Any, str], Any]] = {
    "record-malformed": lambda service, _: service.post("/api/v1/customers", CUSTOMER | {"name": ""}),
    "request-malformed": lambda service, _: service.batch("customers", ["no id"]),
    "request-too-large": lambda service, _: service.post("/api/v1/customers/batch", " " * 100_001),
    "permission-missing": lambda service, one: service.get(
        one, authorization=f"Bearer {service.token(permissions=[])}"
    ),
    "tenant-unknown": lambda service, one: service.get(one, authorization=service.of("nobody")),
    "tenant-mismatch": lambda service, one: service.get(one, x_tenant_id=service.tenants[1]),
    "record-unknown": lambda service, _: service.get(f"/api/v1/customers/{uuid4()}"),
    "kind-unknown": lambda service, _: service.get("/api/v1/banks"),
    "record-exists": lambda service, one: service.post(
        "/api/v1/customers", CUSTOMER | {"code": service.get(one).body["code"]}
    ),
}
FAULTS = {"keys-unavailable", "database-unavailable"}


def test_every_code_is_answered_for_real_with_the_status_that_the_docs_say(
    masterdata: Any, ids: list[str]
) -> None:
    rows = [row.split("|") for row in DOCS.read_text().splitlines() if row.startswith("| masterdata |")]
    documented = {row[2].strip(" `"): int(row[3]) for row in rows}
    assert set(REFUSALS) == {one.code for one in Refused.__subclasses__()} == documented.keys() - FAULTS
    for code, ask in REFUSALS.items():
        assert ask(masterdata, f"/api/v1/customers/{ids[0]}").refusal == (documented[code], code)
