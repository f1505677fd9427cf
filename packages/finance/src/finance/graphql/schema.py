"""The executable schema: `schema.graphql` with its resolvers and scalars."""

import re
from datetime import UTC, date, datetime
from importlib.resources import files
from typing import Any

from ariadne import ScalarType, UnionType, make_executable_schema
from graphql import GraphQLSchema, UnionTypeDefinitionNode, parse

from finance.graphql import federation
from finance.graphql.banking import mutation
from finance.graphql.drilling import journal_types
from finance.graphql.listing import query
from finance.graphql.reading import (
    account_type,
    invoice_line_type,
    invoice_type,
    journal_line_type,
    voucher_type,
)
from finance.graphql.reporting import partner_types
from finance.graphql.taxing import bindables as tax_bindables
from finance.graphql.wording import describe

date_scalar = ScalarType("Date")
datetime_scalar = ScalarType("DateTime")
decimal_scalar = ScalarType("Decimal")
LONGEST_DECIMAL = 40
DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
"""What the library reads besides, such as 20261123 and 2026-W48-1, was never promised to anybody."""


@date_scalar.serializer
def show_date(value: date) -> str:
    return value.isoformat()


@date_scalar.value_parser
def read_date(value: Any) -> date:
    if not isinstance(value, str) or DAY.fullmatch(value) is None:
        raise ValueError(f"expected a day such as '2026-11-23', found {str(value)[:20]!r}")
    return date.fromisoformat(value)


@datetime_scalar.serializer
def show_datetime(value: datetime) -> str:
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


@decimal_scalar.serializer
def show_decimal(value: str) -> str:
    return value


@decimal_scalar.value_parser
def read_decimal(value: Any) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_DECIMAL:
        raise ValueError('expected an exact decimal as a string, such as "1234.50"')
    return value


def shown_type(shown: dict[str, Any], *_: object) -> str:
    return str(shown["__typename"])


def schema_text() -> str:
    return (files("finance") / "schema.graphql").read_text(encoding="utf-8")


@federation.query.field("_service")
def subgraph(*_: object) -> dict[str, str]:
    return {"sdl": federation.subgraph_of(schema_text())}


def build() -> GraphQLSchema:
    text = schema_text() + federation.SERVED
    unions = [
        UnionType(one.name.value, shown_type)
        for one in parse(text).definitions
        if isinstance(one, UnionTypeDefinitionNode)
    ]
    schema = make_executable_schema(
        text,
        query,
        federation.query,
        mutation,
        voucher_type,
        *partner_types,
        *tax_bindables,
        *journal_types,
        account_type,
        invoice_type,
        invoice_line_type,
        journal_line_type,
        date_scalar,
        datetime_scalar,
        decimal_scalar,
        *unions,
    )
    describe(schema)
    return schema
