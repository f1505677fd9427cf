"""How much one request may ask for: told before anything is answered, whatever it is written as."""

import time
from dataclasses import dataclass, field
from typing import Any

import pytest
from graphql import parse

from finance.graphql.context import Context
from finance.graphql.cost import COST_LIMIT, HEAVY, Limits, QueryTooCostly, QueryTooDeep
from finance.graphql.execution import Executor
from finance.graphql.permission import NEEDED
from finance.graphql.schema import build

SCHEMA = build()


def cost_of(query: str, **variables: Any) -> int:
    """Found by asking how much is too little."""
    try:
        Limits(cost=-1).admit(SCHEMA, parse(query), None, variables)
    except QueryTooCostly as error:
        return int(error.message.split()[3].rstrip(","))
    raise AssertionError("nothing was measured")


ROW = "id customer { name } lineItems { product { name } }"


@pytest.mark.parametrize(
    ("query", "cost"),
    [
        ('{ invoice(id: "x") { id } }', 1),
        ('{ invoice(id: "x") { id subtotal { amount } lineItems { quantity amount { amount } } } }', 1),
        ('{ invoice(id: "x") { id customer { name } vendor { name } } }', 1 + 2),
        ("{ invoices { id } }", 50),
        ("{ invoices(limit: 10) { id } }", 10),
        ("{ invoices(limit: 0) { id customer { name } } }", 1),
        (f"{{ invoices(limit: 10) {{ {ROW} }} }}", 10 * (1 + 1 + 4)),
        (f"{{ invoicesConnection(first: 10) {{ totalCount nodes {{ {ROW} }} }} }}", 10 + 10 * (1 + 4)),
        (f"{{ invoicesConnection(first: 10) {{ edges {{ node {{ {ROW} }} }} }} }}", 10 + 10 * (1 + 4)),
        ("{ journals(limit: 200) { lines { account { accountCode } } } }", COST_LIMIT),
        ('{ trialBalance(input: {fiscalYear: "FY2026-2027"}) { entries { accountCode } } }', 100),
        ("{ a: invoices(limit: 10) { id } b: invoices(limit: 10) { id } }", 20),
        ('mutation { approveInvoice(id: "x", idempotencyKey: "k") { __typename } }', 10),
        ("{ __schema { types { fields { type { ofType { ofType { name } } } } } } }", 0),
        ("{ __typename }", 0),
    ],
)
def test_what_a_request_costs(query: str, cost: int) -> None:
    assert cost_of(query) == cost


def test_fragments_count_wherever_they_stand_and_variables_with_their_values() -> None:
    plain = cost_of(f"{{ invoices(limit: 30) {{ {ROW} }} }}")
    row = f"fragment row on Invoice {{ {ROW} }}"
    named = "query ($n: Int!) { invoices(limit: $n) { ...row } } " + row
    assert cost_of(named, n=30) == plain
    assert cost_of(f"{{ invoices(limit: 30) {{ ... on Invoice {{ {ROW} }} }} }}") == plain
    assert cost_of(f"query ($n: Int! = 30) {{ invoices(limit: $n) {{ {ROW} }} }}") == plain
    root = "{ ...all } fragment all on Query { invoices(limit: 30) { ...row } } " + row
    assert cost_of(root) == plain


def test_entities_count_by_how_many_are_asked_for() -> None:
    query = (
        "query ($all: [_Any!]!) { _entities(representations: $all) { ... on Invoice { customer { name } } } }"
    )
    some = [{"__typename": "Invoice", "id": "x"}] * 70
    assert cost_of(query, all=some) == 70 + 70


def test_longer_than_a_page_counts_as_a_page_and_is_refused_elsewhere() -> None:
    assert cost_of("{ invoices(limit: 1000000000) { id } }") == cost_of("{ invoices(limit: 200) { id } }")
    assert cost_of("{ invoices(limit: -5) { id } }") == 1


def test_what_stands_too_deep_is_refused_with_how_deep_it_is() -> None:
    query = (
        "{ invoicesConnection { edges { node { ...row } } } } fragment row on Invoice { lineItems { %s } }"
    )
    deep = query % "taxes { amount { amount } }"
    Limits(depth=7).admit(SCHEMA, parse(deep), None, {})
    with pytest.raises(QueryTooDeep) as told:
        Limits(depth=6).admit(SCHEMA, parse(deep), None, {})
    assert told.value.message == "this asks 7 levels deep, at most 6 are answered; ask in two steps"


def test_fragments_that_double_each_other_are_measured_at_once() -> None:
    bomb = " ".join(f"fragment f{n} on Invoice {{ ...f{n + 1} ...f{n + 1} }}" for n in range(200))
    text = f"{{ invoices {{ ...f0 }} }} {bomb} fragment f200 on Invoice {{ customer {{ name }} }}"
    begun = time.process_time()
    with pytest.raises(QueryTooCostly):
        Limits().admit(SCHEMA, parse(text), None, {})
    assert time.process_time() - begun < 1.0


@dataclass(slots=True)
class Watched:
    """A service that notes that it was asked."""

    asked: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        self.asked.append(name)
        raise AssertionError(f"{name} was asked")


async def test_a_request_that_is_refused_is_not_begun_and_says_what_it_costs_and_what_may_be() -> None:
    service = Watched()
    context = Context(service=service, caller=None, now=None)  # type: ignore[arg-type]
    executor = Executor(SCHEMA, introspection=False, limits=Limits(depth=5))
    posts = " ".join(
        f'a{n}: postJournal(id: "x", idempotencyKey: "{n}") {{ __typename }}' for n in range(101)
    )
    for query, code, told in (
        (
            f"query ($n: Int!) {{ invoices(limit: $n) {{ {ROW} vendor {{ name }} }} }}",
            "query-too-costly",
            "this would cost 1400, at most 1000 is answered at once; ask for shorter pages, or for less of each row",
        ),
        (
            f"mutation {{ {posts} }}",
            "query-too-costly",
            "this would cost 1010, at most 1000 is answered at once",
        ),
        (
            "{ invoicesConnection { edges { node { lineItems { taxes { amount { amount } } } } } } }",
            "query-too-deep",
            "7 levels",
        ),
    ):
        status, body = await executor.run({"query": query, "variables": {"n": 200}}, context)
        [error] = body["errors"]
        assert (status, error["extensions"]["code"], told in error["message"]) == (400, code, True), body
        assert "data" not in body
    assert service.asked == []


def test_what_is_heavy_is_in_the_schema() -> None:
    assert SCHEMA.query_type is not None
    assert set(HEAVY) <= set(SCHEMA.query_type.fields) & set(NEEDED)
