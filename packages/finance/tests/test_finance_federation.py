"""The service as a subgraph, by what the specification of Apollo Federation 2 asks of one."""

from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from click.testing import CliRunner
from graphql import GraphQLObjectType, GraphQLUnionType, build_schema, is_non_null_type, parse, print_ast

from finance.adapters.postgres.projector import Projector
from finance.adapters.postgres.views import Views
from finance.cli import commands
from finance.graphql.context import Context, Service
from finance.graphql.execution import Executor
from finance.graphql.federation import KEYS, subgraph_of
from finance.graphql.permission import NEEDED
from finance.graphql.schema import build, schema_text

Desk = Any
SCHEMA = build()
EXECUTOR = Executor(SCHEMA, introspection=True)
ENTITIES = """query ($asked: [_Any!]!) { _entities(representations: $asked) { __typename
    ... on Invoice { id grandTotal { amount } } ... on Account { id accountCode } ... on Journal { id }
    ... on Voucher { id } ... on Payment { id } ... on FiscalPeriod { name status } } }"""
OF_THE_SPECIFICATION = """
scalar federation__FieldSet
scalar link__Import
enum link__Purpose { SECURITY EXECUTION }
directive @key(fields: federation__FieldSet!, resolvable: Boolean = true) repeatable on OBJECT | INTERFACE
directive @link(url: String, as: String, for: link__Purpose, import: [link__Import]) repeatable on SCHEMA
"""


async def run(desk: Desk, query: str, executor: Executor = EXECUTOR, **variables: Any) -> tuple[int, Any]:
    projector = Projector(desk.ledger.replay, "federation")
    await projector.prepare()
    service = Service(
        books=desk.books,
        views=Views(desk.ledger.app, projector),
        masterdata=desk.neighbours,
        batching=True,
        now=desk.clock.now,
    )
    permissions = desk.caller.permissions or frozenset(NEEDED.values())
    context = Context(
        service=service, caller=replace(desk.caller, permissions=permissions), now=desk.clock.now()
    )
    return await executor.run({"query": query, "variables": variables}, context)


def test_the_schema_serves_what_the_specification_names() -> None:
    assert SCHEMA.query_type is not None
    fields = SCHEMA.query_type.fields
    assert str(fields["_service"].type) == "_Service!"
    assert str(fields["_entities"].type) == "[_Entity]!"
    assert str(fields["_entities"].args["representations"].type) == "[_Any!]!"
    union = SCHEMA.type_map["_Entity"]
    assert isinstance(union, GraphQLUnionType)
    assert [one.name for one in union.types] == list(KEYS)


def test_what_a_gateway_composes_has_links_and_keys_and_nothing_of_the_gateways_own() -> None:
    text = subgraph_of(schema_text())
    composed = build_schema(text + OF_THE_SPECIFICATION)
    assert "_Entity" not in composed.type_map
    assert '@link(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key"])' in text
    for name, key in KEYS.items():
        kind = composed.type_map[name]
        assert isinstance(kind, GraphQLObjectType)
        assert is_non_null_type(kind.fields[key].type)
        [told] = [print_ast(one) for node in kind.extension_ast_nodes for one in node.directives]
        assert told == f'@key(fields: "{key}")'


def test_the_command_line_prints_both() -> None:
    printed = CliRunner().invoke(commands, ["schema"])
    assert (printed.exit_code, printed.output) == (0, schema_text())
    printed = CliRunner().invoke(commands, ["schema", "--subgraph"])
    assert (printed.exit_code, printed.output) == (0, subgraph_of(schema_text()))


@pytest.mark.integration
async def test_a_gateway_is_told_the_schema_where_introspection_is_on(desk: Desk) -> None:
    status, body = await run(desk, "{ _service { sdl } }")
    assert (status, body["data"]["_service"]["sdl"]) == (200, subgraph_of(schema_text()))
    parse(body["data"]["_service"]["sdl"])
    closed = Executor(SCHEMA, introspection=False)
    status, body = await run(desk, "{ a: _service { sdl } }", closed)
    assert (status, body["errors"][0]["extensions"]["code"]) == (400, "request-invalid")


@pytest.mark.integration
async def test_entities_are_answered_in_their_order_and_null_where_there_is_none(desk: Desk) -> None:
    one, paid = await desk.invoice_approved(), await desk.paid(5_00, customer_id=desk.customer)
    note, till = await desk.voucher_drafted("CREDIT_NOTE"), desk.account("1000")
    await desk.books.closing.close_period(desk.caller, str(uuid4()), "FY2020-2021-P01", to="CLOSED")
    asked = [
        {"__typename": "Payment", "id": paid.id},
        {"__typename": "Invoice", "id": str(uuid4())},
        {"__typename": "Invoice", "id": one.id, "more": [1]},
        {"__typename": "Account", "id": till},
        {"__typename": "Account", "id": one.id},
        {"__typename": "Journal", "id": one.journal_id},
        {"__typename": "Voucher", "id": note.id},
        {"__typename": "Voucher", "id": "no id"},
        {"__typename": "FiscalPeriod", "name": "FY2020-2021-P01"},
        {"__typename": "FiscalPeriod", "name": "FY2020-2021-P02"},
        {"__typename": "FiscalPeriod", "name": "May"},
        {"__typename": "Invoice", "id": one.id},
    ]
    status, body = await run(desk, ENTITIES, asked=asked)
    assert status == 200
    invoice = {"__typename": "Invoice", "id": one.id, "grandTotal": {"amount": "115.00"}}
    assert body["data"]["_entities"] == [
        {"__typename": "Payment", "id": paid.id},
        None,
        invoice,
        {"__typename": "Account", "id": till, "accountCode": "1000"},
        None,
        {"__typename": "Journal", "id": one.journal_id},
        {"__typename": "Voucher", "id": note.id},
        None,
        {"__typename": "FiscalPeriod", "name": "FY2020-2021-P01", "status": "CLOSED"},
        {"__typename": "FiscalPeriod", "name": "FY2020-2021-P02", "status": "OPEN"},
        None,
        invoice,
    ]
    assert (await run(desk, ENTITIES, asked=[]))[1]["data"]["_entities"] == []


@pytest.mark.integration
async def test_an_entity_of_another_company_is_null(desk: Desk) -> None:
    one = await desk.invoice_approved()
    await desk.ledger.replayed("federation")
    asked = [{"__typename": "Invoice", "id": one.id}, {"__typename": "Account", "id": desk.account("1000")}]
    desk.caller = replace(desk.caller, tenant_id=desk.ledger.other_tenant)
    assert (await run(desk, ENTITIES, asked=asked))[1]["data"]["_entities"] == [None, None]


@pytest.mark.integration
async def test_an_entity_needs_the_permission_of_its_kind_and_a_request_has_an_end(desk: Desk) -> None:
    account = {"__typename": "Account", "id": desk.account("1000")}
    desk.caller = replace(desk.caller, permissions=frozenset({"account:read"}))
    wanted: list[tuple[list[Any], int, str]] = [
        ([account, {"__typename": "Invoice", "id": "x"}], 403, "permission-missing"),
        ([account] * 201, 400, "entities-too-many"),
        ([{"__typename": "Money", "amount": "1"}], 400, "entity-malformed"),
        ([{"__typename": ["Account"], "id": "x"}], 400, "entity-malformed"),
        ([{"__typename": "Account", "id": 5}], 400, "entity-malformed"),
        ([{"id": "x"}], 400, "entity-malformed"),
        (["Account"], 400, "entity-malformed"),
    ]
    for asked, status, code in wanted:
        answer = await run(desk, ENTITIES, asked=asked)
        assert (answer[0], answer[1]["errors"][0]["extensions"]["code"]) == (status, code), asked
    assert (await run(desk, ENTITIES, asked=[account] * 200))[0] == 200
