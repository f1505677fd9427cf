"""The service as a subgraph of Apollo Federation 2: what a gateway composes, and entities by their keys.

After the subgraph specification of Apollo Federation: `_service` tells the schema with its keys, `_entities` answers
representations one by one in their order, null where there is none. Both are written out here; no library is asked.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ariadne import QueryType
from graphql import FieldNode, GraphQLError, ValidationRule

from finance import fiscal, period
from finance.graphql import shape
from finance.graphql.context import Context
from finance.graphql.listing import SHOWN
from finance.graphql.permission import demand
from finance.graphql.reading import Info
from finance.refusal import EntitiesTooMany, EntityMalformed

__all__ = ["NoSubgraphRule", "subgraph_of"]
VERSION: Final = "v2.3"
MOST_ENTITIES: Final = 200
"""As many as a page has: nobody reads more at once by asking for each."""

KEYS: Final = {
    "Account": "id",
    "Invoice": "id",
    "Voucher": "id",
    "Payment": "id",
    "Journal": "id",
    "FiscalPeriod": "name",
}
READ: Final = {
    "Account": "chartOfAccount",
    "Invoice": "invoice",
    "Voucher": "voucher",
    "Payment": "payment",
    "Journal": "journal",
    "FiscalPeriod": "fiscalPeriods",
}
"""The root field whose permission an entity needs."""

SERVED: Final = f"""
"What a gateway knows of an entity: its __typename and its key."
scalar _Any

"What others may refer to by its key."
union _Entity = {" | ".join(KEYS)}

"What a gateway composes."
type _Service {{
  "This schema with its keys."
  sdl: String!
}}

extend type Query {{
  "This service as a subgraph; not where introspection is off: `finance schema --subgraph` prints the same."
  _service: _Service!
  "Entities by their keys, in the order asked for; null where this tenant has none."
  _entities("At most {MOST_ENTITIES}." representations: [_Any!]!): [_Entity]!
}}
"""
query = QueryType()


def subgraph_of(contract: str) -> str:
    """The schema as a gateway composes it."""
    keys = "\n".join(f'extend type {name} @key(fields: "{key}")' for name, key in KEYS.items())
    link = f'extend schema @link(url: "https://specs.apollo.dev/federation/{VERSION}", import: ["@key"])'
    return f"{contract.rstrip()}\n\n{link}\n\n{keys}\n"


class NoSubgraphRule(ValidationRule):
    """Refuses `_service`, which tells as much as introspection does."""

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        if node.name.value == "_service":
            self.report_error(GraphQLError("_service is off here; `finance schema --subgraph` prints it"))


@query.field("_entities")
async def entities(_: object, info: Info, *, representations: Sequence[Any]) -> list[shape.Shown | None]:
    if len(representations) > MOST_ENTITIES:
        raise EntitiesTooMany(f"Found {len(representations)}.")
    asked = [represented(one) for one in representations]
    context: Context = info.context
    for name in dict.fromkeys(name for name, _key in asked):
        demand(context.caller, READ[name])
    found = await batched(context, asked)
    return [await entity(context, name, key, found) for name, key in asked]


def represented(given: object) -> tuple[str, str]:
    """Type and key of a representation.

    Raises:
        EntityMalformed: it has none of an entity of this service.
    """
    name = given.get("__typename") if isinstance(given, Mapping) else None
    field = KEYS.get(name) if isinstance(name, str) else None
    key = given.get(field) if isinstance(given, Mapping) and field is not None else None
    if not isinstance(name, str) or not isinstance(key, str):
        told = ", ".join(f"{one} {{{known}}}" for one, known in KEYS.items())
        raise EntityMalformed(f"Expected one of {told}, found {str(given)[:100]}.")
    return name, key


async def batched(context: Context, asked: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """What the read models have, one look-up for each kind."""
    found: dict[str, Any] = {}
    for name in dict.fromkeys(name for name, _ in asked):
        keys = [identifier(context, *one) for one in asked if one[0] == name]
        found |= await context.service.views.find(context.caller.tenant_id, kind_of(name), keys)
    return found


def kind_of(name: str) -> str:
    return "period" if name == "FiscalPeriod" else name.lower()


def identifier(context: Context, name: str, key: str) -> str:
    """The id of the stream behind a key; what is no period's name is nobody's id."""
    if name != "FiscalPeriod":
        return key
    return period.stream(context.caller.tenant_id, key) if fiscal.PERIOD.fullmatch(key) else ""


async def entity(context: Context, name: str, key: str, found: Mapping[str, Any]) -> shape.Shown | None:
    stream_id, today = identifier(context, name, key), context.today
    state = found.get(stream_id) or (await context.state(kind_of(name), stream_id) if stream_id else None)
    if name == "FiscalPeriod":
        return shape.period(key, state) if stream_id else None
    if state is None:
        return None
    return SHOWN[kind_of(name)](state, today)
