"""A dry run tells what a command would do, and changes no byte."""

from dataclasses import replace
from typing import Any
from uuid import uuid4

import orjson
import pytest
from graphql import GraphQLUnionType, build_schema
from test_finance_mutations import every_byte

from finance.clerk import Rehearsed
from finance.graphql.schema import schema_text

Desk = Any
Serving = Any
World = Any
APPROVE = """mutation ($id: ID!, $key: ID!, $dry: Boolean!) {
  approveInvoice(id: $id, idempotencyKey: $key) @dryRun(if: $dry) {
    __typename
    ... on DryRun { events numbers othersHaveToAgree
        entries { journalNumber journalType fiscalPeriod totalDebit { amount }
        lines { account { accountCode } debit { amount } credit { amount } } } }
    ... on Invoice { id invoiceNumber status }
    ... on Refusal { code }
  }
}"""


def key() -> str:
    return str(uuid4())


def test_every_mutation_can_answer_with_a_dry_run() -> None:
    schema = build_schema(schema_text())
    assert schema.mutation_type
    for name, field in schema.mutation_type.fields.items():
        union = getattr(field.type, "of_type", field.type)
        assert isinstance(union, GraphQLUnionType), name
        assert {"DryRun", "Refusal"} < {one.name for one in union.types}, name


@pytest.mark.integration
async def test_a_rehearsed_command_changes_no_byte_and_tells_what_the_real_one_does(desk: Desk) -> None:
    one = await desk.invoice_approved()
    bill, money = await desk.voucher_drafted("BILL"), await desk.paid(50_00, customer_id=desk.customer)
    entry = await desk.books.create_journal(desk.caller, key(), desk.sale(), post=True)
    books = desk.books
    before, once = await every_byte(desk), key()
    shy = replace(desk, caller=replace(desk.caller, rehearsing=True))

    def asked(who: Desk) -> list[Any]:
        caller = who.caller
        return [
            books.billing.approve(caller, f"{once}-1", bill.id),
            books.settling.allocate(
                caller, f"{once}-2", "payment", money.id, document_id=one.id, amount=money.amount
            ),
            books.reverse_journal(caller, f"{once}-3", entry.id, entry.journal_date),
            books.create_journal(caller, f"{once}-4", desk.sale(7), post=True),
            books.create_account(
                caller,
                f"{once}-5",
                code="1030",
                name="Safe",
                account_type="ASSET",
                currency="BDT",
                parent_id=None,
            ),
            books.closing.close_period(caller, f"{once}-6", "FY2026-2027-P05", to="CLOSED"),
        ]

    told = []
    for work in asked(shy):
        with pytest.raises(Rehearsed) as would:
            await work
        told.append(would.value)
    assert await every_byte(desk) == before
    numbers = [[one.number for one in would.entries] for would in told]
    assert numbers == [
        ["PJ-2026-11-000001"],
        ["AJ-2026-11-000001"],
        ["RJ-2026-11-000001"],
        ["GJ-2026-11-000002"],
        [],
        [],
    ]
    types = await desk.types()
    for work in asked(desk):
        await work
    happened = await desk.types() - types
    assert happened.total() == sum(len(would.events) for would in told)
    assert await every_byte(desk) != before


@pytest.mark.integration
async def test_a_rehearsed_command_is_refused_like_the_real_one(desk: Desk) -> None:
    one = await desk.invoice_approved()
    before = await every_byte(desk)
    shy = replace(desk.caller, rehearsing=True)
    told = []
    for caller in (shy, desk.caller):
        with pytest.raises(Exception) as refused:  # noqa: PT011 - both are compared
            await desk.books.approve_invoice(caller, key(), one.id)
        told.append((type(refused.value), str(refused.value)))
    assert told[0] == told[1]
    assert await every_byte(desk) == before


def drafted(serving: Serving) -> str:
    query = """mutation ($input: CreateInvoiceInput!, $key: ID!) {
        createInvoice(input: $input, idempotencyKey: $key) { ... on Invoice { id } } }"""
    given = {
        "customerId": next(iter(serving.world.records)),
        "invoiceDate": "2031-11-23",
        "dueDate": "2031-12-23",
        "lineItems": [{"description": "Rice", "quantity": "1", "unitPrice": "100.00"}],
    }
    return str(serving.ask(query, input=given, key=key()).data["id"])


@pytest.mark.integration
def test_a_dry_run_over_http_shows_the_entry_and_leaves_the_key_good(serving: Serving) -> None:
    made, once = drafted(serving), key()
    would = serving.ask(APPROVE, id=made, key=once, dry=True).data
    assert would["__typename"] == "DryRun"
    assert would["events"] == ["invoice.approved/1", "journal.created/1", "journal.posted/1"]
    assert would["othersHaveToAgree"] is False
    [entry] = would["entries"]
    assert (entry["journalType"], entry["fiscalPeriod"]) == ("SALES", "FY2031-2032-P05")
    assert entry["totalDebit"] == {"amount": "115.00"}
    sides = [
        (line["account"]["accountCode"], line["debit"]["amount"], line["credit"]["amount"])
        for line in entry["lines"]
    ]
    assert sides == [("1200", "115.00", "0.00"), ("4000", "0.00", "100.00"), ("2200", "0.00", "15.00")]
    assert serving.ask(APPROVE, id=made, key=once, dry=True).data["numbers"] == would["numbers"]
    done = serving.ask(APPROVE, id=made, key=once, dry=False).data
    assert (done["status"], done["invoiceNumber"]) == ("APPROVED", would["numbers"][0])
    assert serving.ask(APPROVE, id=made, key=key(), dry=True).data["code"] == "invoice-not-draft"


@pytest.mark.integration
def test_a_dry_run_needs_the_permission_of_the_real_one(world: World, serving: Serving) -> None:
    body = orjson.dumps({"query": APPROVE, "variables": {"id": key(), "key": key(), "dry": True}})
    reader = f"Bearer {world.token(permissions=['invoice:read'])}"
    answer = serving.post(body, authorization=reader)
    assert (answer.status, answer.code) == (403, "permission-missing")
