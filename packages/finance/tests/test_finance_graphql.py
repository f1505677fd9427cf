"""GraphQL over HTTP against the real service: the books as a client sees them."""

import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import orjson
import pytest
from graphql import build_schema

from finance import chart
from finance.graphql.permission import NEEDED
from finance.graphql.schema import schema_text

pytestmark = pytest.mark.integration
World = Any
Serving = Any
Given = dict[str, Any]

CREATE_INVOICE = """mutation ($input: CreateInvoiceInput!, $key: ID!) {
  createInvoice(input: $input, idempotencyKey: $key) {
    ... on Invoice { id status version grandTotal { amount currency } customer { id name } }
    ... on Refusal { code message }
  }
}"""
APPROVE = """mutation ($id: ID!, $key: ID!) {
  approveInvoice(id: $id, idempotencyKey: $key) {
    ... on Invoice { id invoiceNumber status journalId balanceDue { amount } }
    ... on Refusal { code message }
  }
}"""
NAMES = """query ($limit: Int) { invoices(limit: $limit) {
    id customer { id name } vendor { id name } lineItems { product { id name } } } }"""


@pytest.fixture(autouse=True)
def neighbour_is_there(world: World) -> Iterator[None]:
    world.away = False
    world.asked.clear()
    yield
    world.away = False


@pytest.fixture(scope="module")
def plain(world: World) -> Any:
    """The service of a release that asks one by one and has no fallback."""
    return world.serve(release="1.0.0", masterdata_batching="off", masterdata_fallback="off")


def key() -> str:
    return str(uuid4())


def asked_for(customer: str, **changes: Any) -> Given:
    line = {"description": "Rice", "quantity": "2.5", "unitPrice": "40.00"}
    given = {
        "customerId": customer,
        "invoiceDate": "2026-11-23",
        "dueDate": "2026-12-23",
        "lineItems": [line],
    }
    return given | changes


def invoice(serving: Serving, **changes: Any) -> Given:
    made: Given = serving.ask(
        CREATE_INVOICE, input=asked_for(next(iter(serving.world.records)), **changes), key=key()
    ).data
    return made


def approved(serving: Serving) -> Given:
    done: Given = serving.ask(APPROVE, id=invoice(serving)["id"], key=key()).data
    return done


def change(serving: Serving, name: str, arguments: str, shown: str, **variables: Any) -> Given:
    """A mutation with its arguments written out."""
    query = (
        f'{name}({arguments}, idempotencyKey: "{key()}") {{ __typename ... on Refusal {{ code }} {shown} }}'
    )
    done: Given = serving.ask(f"mutation {{ {query} }}", **variables).data
    return done


def test_an_invoice_goes_from_draft_to_paid_and_the_trial_balance_follows(serving: Serving) -> None:
    before = balances(serving)
    one = approved(serving)
    assert (one["status"], one["balanceDue"]) == ("APPROVED", {"amount": "115.00"})
    assert one["invoiceNumber"].startswith("INV-2026-11-23-")
    paid = change(
        serving,
        "createPayment",
        f'input: {{invoiceId: "{one["id"]}", amount: "115.00", paymentMethod: MOBILE_WALLET,'
        ' paymentDate: "2026-11-24", walletProvider: BKASH, mobileNumber: "01712345678"}',
        "... on Payment { id status paymentNumber }",
    )
    assert (paid["status"], paid["paymentNumber"]) == ("PROCESSING", None)
    done = change(
        serving,
        "completePayment",
        f'id: "{paid["id"]}", input: {{transactionReference: "TRX-1"}}',
        "... on Payment { status paymentNumber journalId }",
    )
    assert done["status"] == "COMPLETED"
    assert done["paymentNumber"].startswith("PMT-2026-11-24-")
    query = """query ($id: ID!) { invoice(id: $id) { status paidAmount { amount } journalId }
        paymentsByInvoice(invoiceId: $id) { id } }"""
    seen = serving.ask(query, id=one["id"]).body["data"]
    assert (seen["invoice"]["status"], seen["invoice"]["paidAmount"]) == ("PAID", {"amount": "115.00"})
    assert seen["paymentsByInvoice"] == [{"id": paid["id"]}]
    after = balances(serving)
    moved = {code: after[code] - before[code] for code in after if after[code] != before[code]}
    assert moved == {"1020": 115_00, "2200": -15_00, "4000": -100_00}
    entry = serving.ask(
        "query ($id: ID!) { journal(id: $id) { status totalDebit { amount } lines { account { accountCode } } } }",
        id=done["journalId"],
    ).data
    assert [line["account"]["accountCode"] for line in entry["lines"]] == ["1020", "1200"]


def test_of_a_cancelled_invoice_nothing_is_due(serving: Serving) -> None:
    shown = "... on Invoice { status balanceDue { amount } }"
    gone = change(serving, "cancelInvoice", f'id: "{approved(serving)["id"]}", reason: "a mistake"', shown)
    assert (gone["status"], gone["balanceDue"]) == ("CANCELLED", {"amount": "0.00"})


def test_an_auditor_sees_that_no_number_is_missing_and_none_came_twice(
    world: World, serving: Serving
) -> None:
    approved(serving)
    query = """{ numberSeries(fiscalYear: "FY2026-2027") { series fiscalYear count last
        missing { first last } repeated } }"""
    found = {one["series"]: one for one in serving.ask(query).data}
    assert {"INV", "SJ"} <= set(found)
    assert found["INV"]["count"] == found["INV"]["last"] > 0
    assert all(one["missing"] == one["repeated"] == [] for one in found.values())
    clerk = f"Bearer {world.token(permissions=['invoice:read'])}"
    answer = serving.post(orjson.dumps({"query": query}), authorization=clerk)
    assert (answer.status, answer.code) == (403, "permission-missing")
    assert serving.ask('{ numberSeries(fiscalYear: "2026") { series } }').code == "date-malformed"


def balances(serving: Serving, as_of: str = "2027-06-30") -> dict[str, int]:
    """Minor units by account code; the summary must tie."""
    found = serving.ask(
        """query ($day: Date!) { trialBalance(input: {fiscalYear: "FY2026-2027", asOfDate: $day}) {
        asOfDate entries { accountCode netBalance { amount } }
        summary { isBalanced variance { amount } totalDebits { amount } totalCredits { amount } } } }""",
        day=as_of,
    ).data
    assert (found["asOfDate"], found["summary"]["isBalanced"]) == (as_of, True)
    assert found["summary"]["totalDebits"] == found["summary"]["totalCredits"]
    return {one["accountCode"]: int(one["netBalance"]["amount"].replace(".", "")) for one in found["entries"]}


def test_a_trial_balance_counts_up_to_its_day(serving: Serving) -> None:
    approved(serving)
    assert balances(serving, "2026-11-22")["4000"] == 0
    assert balances(serving, "2026-11-23")["4000"] < 0


def test_a_mutation_that_is_sent_again_gets_the_same_answer_and_writes_once(serving: Serving) -> None:
    once, given = key(), asked_for(next(iter(serving.world.records)))
    first, second = (serving.ask(CREATE_INVOICE, input=given, key=once).data for _ in range(2))
    assert first == second
    newest = serving.ask("{ invoices(limit: 2) { id } }").data
    assert [one["id"] for one in newest].count(first["id"]) == 1
    other = serving.ask(CREATE_INVOICE, input=given | {"dueDate": "2026-12-24"}, key=once).data
    assert other["code"] == "idempotency-key-reused"


@pytest.mark.parametrize("bad", ["", "x" * 201])
def test_a_key_that_cannot_be_kept_is_refused(serving: Serving, bad: str) -> None:
    given = asked_for(next(iter(serving.world.records)))
    assert serving.ask(CREATE_INVOICE, input=given, key=bad).data["code"] == "idempotency-key-malformed"


def test_a_write_is_read_at_once(serving: Serving) -> None:
    for _ in range(10):
        made = invoice(serving)
        assert serving.ask("query ($id: ID!) { invoice(id: $id) { id } }", id=made["id"]).data == {
            "id": made["id"]
        }


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"lineItems": []}, "invoice-without-lines"),
        ({"dueDate": "2026-11-22"}, "date-malformed"),
        ({"customerId": str(uuid4())}, "customer-unknown"),
        ({"customerId": "../products"}, "customer-unknown"),
        ({"lineItems": [{"description": "Rice", "quantity": "0", "unitPrice": "1"}]}, "amount-not-positive"),
        ({"lineItems": [{"description": "Rice", "quantity": "1", "unitPrice": "1.001"}]}, "amount-malformed"),
        ({"lineItems": [{"description": "Rice", "quantity": "1e9", "unitPrice": "1"}]}, "amount-malformed"),
        ({"lineItems": [{"description": " ", "quantity": "1", "unitPrice": "1"}]}, "text-malformed"),
        ({"lineItems": [{"description": "a\0b", "quantity": "1", "unitPrice": "1"}]}, "text-malformed"),
        (
            {"lineItems": [{"description": "Rice", "quantity": "9" * 20, "unitPrice": "9" * 15}]},
            "amount-malformed",
        ),
    ],
)
def test_what_the_rules_refuse_is_an_answer_with_a_code(serving: Serving, changes: Given, code: str) -> None:
    before = serving.ask("{ invoices(limit: 1) { id } }").data
    given = asked_for(next(iter(serving.world.records)), **changes)
    assert serving.ask(CREATE_INVOICE, input=given, key=key()).data["code"] == code
    assert serving.ask("{ invoices(limit: 1) { id } }").data == before


@pytest.mark.parametrize(
    "missing", ["currency", "lineItems", "customerId", "invoiceDate", "dueDate", "vatCategory", "unitPrice"]
)
def test_a_null_where_something_is_needed_is_the_callers_fault(serving: Serving, missing: str) -> None:
    given = asked_for(next(iter(serving.world.records)))
    inside = given["lineItems"][0] if missing in {"vatCategory", "unitPrice"} else given
    inside[missing] = None
    answer = serving.ask(CREATE_INVOICE, input=given, key=key())
    assert (answer.status, answer.code) == (400, "request-invalid")


def test_a_null_in_a_journal_line_is_the_callers_fault(serving: Serving) -> None:
    query = """mutation ($lines: [JournalLineInput!]!) { createJournal(idempotencyKey: "k", input: {
        journalDate: "2026-11-23", description: "A sale", lines: $lines}) { __typename } }"""
    answer = serving.ask(query, lines=[{"accountId": str(uuid4()), "debit": None}])
    assert (answer.status, answer.code) == (400, "request-invalid")


def test_posting_at_once_needs_the_permission_to_post(world: World, serving: Serving) -> None:
    query = """mutation { createJournal(idempotencyKey: "k", input: {journalDate: "2026-11-23",
        description: "A sale", lines: [], autoPost: true}) { __typename ... on Refusal { code } } }"""
    body = orjson.dumps({"query": query})
    clerk = f"Bearer {world.token(permissions=['journal:create'])}"
    answer = serving.post(body, authorization=clerk)
    assert (answer.status, answer.code) == (403, "permission-missing")
    assert serving.post(body).data["code"] == "journal-too-short"


def test_every_root_field_needs_a_permission_and_no_other_is_listed() -> None:
    schema = build_schema(schema_text())
    assert schema.query_type
    assert schema.mutation_type
    assert set(NEEDED) == {*schema.query_type.fields, *schema.mutation_type.fields}


def test_everything_in_the_schema_is_described() -> None:
    schema = build_schema(schema_text())
    bare = [
        f"{name}.{member}"
        for name, kind in schema.type_map.items()
        for what in ("fields", "values")
        for member, described in getattr(kind, what, {}).items()
        if not name.startswith("__") and not described.description
    ]
    written = set(schema.type_map) - {"String", "Int", "Boolean", "ID", "Float"}
    bare += [name for name in written if not schema.type_map[name].description]
    assert len(written) > 50
    assert bare == []


def test_no_mutation_lets_a_reader_through(world: World, serving: Serving) -> None:
    reader = f"Bearer {world.token(permissions=sorted(one for one in NEEDED.values() if ':read' in one))}"
    body = orjson.dumps({"query": APPROVE, "variables": {"id": str(uuid4()), "key": key()}})
    answer = serving.post(body, authorization=reader)
    assert (answer.status, answer.code) == (403, "permission-missing")
    assert serving.post(body).data["code"] == "not-found"


def test_another_tenants_documents_do_not_exist(world: World, serving: Serving) -> None:
    made = approved(serving)
    stranger = f"Bearer {world.token(tenant=world.other_tenant)}"

    def asks(query: str, **variables: Any) -> Any:
        body = orjson.dumps({"query": query, "variables": variables})
        return serving.post(body, authorization=stranger).data

    assert asks("query ($id: ID!) { invoice(id: $id) { id } }", id=made["id"]) is None
    assert asks("query ($id: ID!) { journal(id: $id) { id } }", id=made["journalId"]) is None
    assert asks("{ invoices { id } }") == []
    assert asks(APPROVE, id=made["id"], key=key())["code"] == "not-found"
    assert len(asks("{ chartOfAccounts { id } }")) == len(chart.STANDARD)


def test_an_id_of_another_form_is_nothing(serving: Serving) -> None:
    made = invoice(serving)["id"]
    for other in ("", "INV-1", made.upper(), f"urn:uuid:{made}", f"{{{made}}}"):
        assert serving.ask("query ($id: ID!) { invoice(id: $id) { id } }", id=other).data is None


def test_the_chart_can_be_read_filtered_and_paged(serving: Serving) -> None:
    codes = "accountCode accountType balance { currency }"
    whole = serving.ask(f"{{ chartOfAccounts {{ {codes} }} }}").data
    assert [one["accountCode"] for one in whole] == sorted(one["accountCode"] for one in whole)
    equity = serving.ask(
        f"{{ chartOfAccounts(accountType: EQUITY, limit: 1, offset: 1) {{ {codes} }} }}"
    ).data
    assert [one["accountCode"] for one in equity] == ["3900"]
    assert serving.ask('{ accountByCode(accountCode: "4000") { accountName } }').data == {
        "accountName": "Sales"
    }
    assert serving.ask('{ accountByCode(accountCode: "4999") { accountName } }').data is None
    assert serving.ask("{ chartOfAccounts(limit: 0) { id } }").data == []
    assert serving.ask("{ chartOfAccounts(limit: -1) { id } }").code == "page-malformed"


def test_an_overdue_invoice_is_found_as_such(serving: Serving) -> None:
    made = invoice(serving, invoiceDate="2020-07-01", dueDate="2020-07-31")
    serving.ask(APPROVE, id=made["id"], key=key())
    found = serving.ask("{ invoices(status: OVERDUE) { id status fiscalYear } }").data
    assert {"id": made["id"], "status": "OVERDUE", "fiscalYear": "FY2020-2021"} in found


def many_invoices(serving: Serving) -> list[str]:
    """Six invoices of six customers, each with a vendor and two products; returns the ids of all records."""
    records = list(serving.world.records)
    for number in range(6):
        lines = [
            {"description": "Rice", "quantity": "1", "unitPrice": "1", "productId": records[(number + n) % 8]}
            for n in range(2)
        ]
        invoice(serving, customerId=records[number], vendorId=records[7 - number], lineItems=lines)
    serving.world.asked.clear()
    return records


def test_a_list_asks_for_each_kind_of_name_once(world: World, serving: Serving) -> None:
    many_invoices(serving)
    found = serving.ask(NAMES, limit=6).data
    assert sorted(world.asked) == [
        f"POST /api/v1/{kind}/batch" for kind in ("customers", "products", "vendors")
    ]
    assert all(one["customer"]["name"].startswith("Partner") for one in found)
    assert all(line["product"]["name"] for one in found for line in one["lineItems"])


def test_without_batches_a_list_asks_for_every_name_by_itself(world: World, plain: Serving) -> None:
    many_invoices(plain)
    found = plain.ask(NAMES, limit=6).data
    assert len(world.asked) == 6 * (1 + 1 + 2)
    assert all(one.startswith("GET ") for one in world.asked)
    assert all(one["vendor"]["name"].startswith("Partner") for one in found)


def test_with_a_fallback_names_are_absent_while_master_data_is_away(world: World, serving: Serving) -> None:
    many_invoices(serving)
    world.away = True
    answer = serving.ask(NAMES, limit=6)
    assert [one["customer"]["name"] for one in answer.data] == [None] * 6
    assert all(one["customer"]["id"] in world.records for one in answer.data)
    made = invoice(serving)
    assert made["status"] == "DRAFT"


def test_without_a_fallback_it_is_a_fault_while_master_data_is_away(world: World, plain: Serving) -> None:
    many_invoices(plain)
    world.away = True
    answer = plain.ask(NAMES, limit=6)
    assert answer.status == 500
    assert {error["extensions"]["code"] for error in answer.body["errors"]} == {"masterdata-unavailable"}
    given = asked_for(next(iter(world.records)))
    created = plain.ask(CREATE_INVOICE, input=given, key=key())
    assert (created.status, created.code) == (500, "masterdata-unavailable")
    assert plain.ask("{ invoices(limit: 1) { id } }").status == 200


def test_one_id_that_is_nobodys_does_not_hide_the_names_of_others(world: World, serving: Serving) -> None:
    line = {"description": "Rice", "quantity": "1", "unitPrice": "1"}
    known = next(iter(world.records))
    invoice(serving, lineItems=[line | {"productId": "no id"}, line | {"productId": known}])
    [newest] = serving.ask(NAMES, limit=1).data
    names = [one["product"]["name"] for one in newest["lineItems"]]
    assert names == [None, world.records[known]["name"]]


def test_a_record_that_is_gone_has_an_id_and_no_name(world: World, serving: Serving) -> None:
    invoice(serving, vendorId=(gone := str(uuid4())))
    [newest] = serving.ask(NAMES, limit=1).data
    assert newest["vendor"] == {"id": gone, "name": None}


def test_a_release_beside_another_shows_the_same_books(serving: Serving, plain: Serving) -> None:
    made = approved(serving)
    query = "query ($id: ID!) { invoice(id: $id) { invoiceNumber status version } }"
    deadline = time.monotonic() + 10
    while balances(plain) != balances(serving):
        assert time.monotonic() < deadline, "the other release does not catch up"
    assert plain.ask(query, id=made["id"]).data == serving.ask(query, id=made["id"]).data
