"""Whoever comes with an odd token is refused everywhere; every query, mutation, entity and export is walked."""

from collections.abc import Iterator
from datetime import date
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

import orjson
import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    OperationDefinitionNode,
    get_named_type,
    is_composite_type,
    is_required_argument,
    is_required_input_field,
    parse,
    validate,
)
from graphql.execution.values import get_variable_values

from finance.exports.catalogue import EVERYTHING, find, read
from finance.figure import Figure, encode
from finance.graphql.federation import KEYS
from finance.graphql.permission import EXPORT, NEEDED
from finance.graphql.schema import build

World = Any
Serving = Any
SCHEMA = build()
UNKNOWN = str(UUID(int=7))
AT_ONCE = 8
"""Fields of a request that is refused as a whole, so that none costs too much."""
OFF = frozenset({"_service"})
LEAVES = {"Date": "2026-11-23", "Decimal": "1", "Int": 1, "Boolean": True, "ID": UNKNOWN, "String": "x"}
FIGURE = encode(Figure(last=date(2026, 11, 30), currency="BDT"))
NAMED = {"fiscalYear": "FY2026-2027", "name": "FY2026-2027", "period": "FY2026-2027-P05", "figure": FIGURE}
OWN = {("adoptTaxPack", "name"): "bangladesh"}
ALSO = {"CreatePaymentInput": {"customerId": UNKNOWN}}
ENTITIES = [
    {"__typename": name, key: NAMED["period"] if key == "name" else UNKNOWN} for name, key in KEYS.items()
]
EVERYTHING_MAY = sorted({*NEEDED.values(), EXPORT})
EXPORTED = {"fiscalYear": "FY2026-2027", "from": "2026-07-01", "to": "2026-11-30", "asOf": "2026-11-30"}
TOKENS: dict[str, tuple[dict[str, Any], int, str]] = {
    "a tenant that is no UUID": ({"tenant": "no tenant"}, 403, "tenant-unknown"),
    "a tenant in capitals": ({"tenant": "5F1D3A52-7D0C-4A54-9B0E-3F4F0C1A2B3C"}, 403, "tenant-unknown"),
    "a tenant without books": ({"tenant": UNKNOWN}, 403, "tenant-unknown"),
    "no user": ({"sub": ""}, 401, "token-invalid"),
    "a user called as the scheduler is": ({"sub": "schedule"}, 401, "token-invalid"),
    "an endless user": ({"sub": "a" * 10_000}, 401, "token-invalid"),
    "a user with NUL": ({"sub": "ra\0him"}, 401, "token-invalid"),
    "one permission": ({"permissions": "account:read"}, 401, "token-invalid"),
    "a number of permissions": ({"permissions": 5}, 401, "token-invalid"),
    "permissions in lists": ({"permissions": [["account:read"]]}, 401, "token-invalid"),
    "no permissions": ({"permissions": []}, 403, "permission-missing"),
}
REACHING = frozenset({"a tenant without books", "no permissions"})
"""Those that are not turned away at the door, but by each field."""
OF_NOBODY = frozenset({"taxPacks", "importBankFile"})
"""What is the same for every company; and a file that is none, which is refused before any books are asked."""


def value(kind: Any, name: str) -> Any:
    """Some value of a type, with what it must have."""
    match kind:
        case GraphQLNonNull():
            return value(kind.of_type, name)
        case GraphQLList():
            return ENTITIES if get_named_type(kind).name == "_Any" else [value(kind.of_type, name)]
        case GraphQLEnumType():
            return next(iter(kind.values))
        case GraphQLInputObjectType():
            fields = {of: one for of, one in kind.fields.items() if is_required_input_field(one)}
            return {of: value(one.type, of) for of, one in fields.items()} | ALSO.get(kind.name, {})
    return NAMED[name] if kind.name in {"ID", "String"} and name in NAMED else LEAVES[kind.name]


def requests(at_once: int) -> Iterator[tuple[list[str], bytes]]:
    """Every field of the schema, so many at a time, each with what it must be given."""
    for operation, root in (("query", SCHEMA.query_type), ("mutation", SCHEMA.mutation_type)):
        assert root is not None
        names = [name for name in root.fields if name not in OFF]
        for first in range(0, len(names), at_once):
            some = names[first : first + at_once]
            yield some, request(operation, {name: root.fields[name] for name in some})


def request(operation: str, fields: dict[str, GraphQLField]) -> bytes:
    declared, asked, variables = [], [], {}
    for name, field in fields.items():
        needed = {of: one for of, one in field.args.items() if is_required_argument(one)}
        declared += [f"${name}_{of}: {one.type}" for of, one in needed.items()]
        variables |= {
            f"{name}_{of}": OWN.get((name, of)) or value(one.type, of) for of, one in needed.items()
        }
        given = ", ".join(f"{of}: ${name}_{of}" for of in needed)
        shown = " { __typename }" if is_composite_type(get_named_type(field.type)) else ""
        asked.append(f"{name}{f'({given})' if given else ''}{shown}")
    heading = f"{operation} walk({', '.join(declared)})" if declared else operation
    return orjson.dumps({"query": f"{heading} {{ {' '.join(asked)} }}", "variables": variables})


def exports() -> Iterator[str]:
    for export in EVERYTHING.values():
        given = "&".join(f"{name}={EXPORTED.get(name, UNKNOWN)}" for name in export.needs)
        yield f"/exports/{export.name}.{export.formats[0]}?{given}"


def codes(answer: Any) -> set[str]:
    return {error["extensions"]["code"] for error in answer.body.get("errors", ())}


@pytest.mark.integration
@pytest.mark.parametrize("of", TOKENS)
def test_an_odd_token_is_refused_by_everything_that_can_be_asked(
    world: World, serving: Serving, of: str
) -> None:
    claims, status, code = TOKENS[of]
    bearer = f"Bearer {world.token(**{'permissions': EVERYTHING_MAY} | claims)}"
    reached = of in REACHING
    walked, told = 0, {}
    for names, body in requests(1 if reached else AT_ONCE):
        answer = serving.post(body, authorization=bearer)
        walked += len(names)
        told[names[0]] = (answer.status, codes(answer))
    for path in exports():
        answer = serving.get(path, authorization=bearer)
        told[path] = (answer.status, codes(answer))
    assert SCHEMA.query_type is not None
    assert SCHEMA.mutation_type is not None
    assert walked == len({**SCHEMA.query_type.fields, **SCHEMA.mutation_type.fields}.keys() - OFF)
    otherwise = {name for name, found in told.items() if found != (status, {code})}
    assert otherwise == (OF_NOBODY if of == "a tenant without books" else set()), {
        name: told[name] for name in otherwise
    }
    assert all(told[name] == (200, set()) for name in otherwise)


def test_what_the_walk_asks_is_understood() -> None:
    """So that it is the token that is refused above, and not the request."""
    for names, body in requests(1):
        asked = orjson.loads(body)
        document = parse(asked["query"])
        assert validate(SCHEMA, document) == [], names
        [operation] = document.definitions
        assert isinstance(operation, OperationDefinitionNode)
        found = get_variable_values(SCHEMA, operation.variable_definitions or (), asked["variables"])
        assert not isinstance(found, list), found
    for path in exports():
        split = urlsplit(path)
        name, _, file_format = split.path.removeprefix("/exports/").partition(".")
        read(find(name, file_format), parse_qsl(split.query))
