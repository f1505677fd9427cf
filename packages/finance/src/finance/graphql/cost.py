"""What a request would cost, told before any of it is answered.

Cost is how many things may have to be looked up: a field that has a resolver counts once for every row that it is
asked of, and a list multiplies what is asked of its rows by its size. What lies within a document already - its
amounts, its lines - costs nothing by itself. Aliases and fragments count as often as they stand there; a variable
counts with its value. Reading a whole ledger for a report, and writing, cost more than a look-up.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLField,
    GraphQLList,
    GraphQLNonNull,
    GraphQLSchema,
    InlineFragmentNode,
    SelectionSetNode,
    get_named_type,
    get_operation_ast,
)
from graphql.execution.values import VariableValues, get_argument_values, get_variable_values

from finance.adapters.postgres.views import PAGE_LIMIT

COST_LIMIT: Final = 1_000
"""At most so much is looked up for one request: the longest page of entries, with the accounts of their lines."""
DEPTH_LIMIT: Final = 10
"""The deepest that there is to ask for is seven: a tax of a line of an invoice of a connection."""

WITHIN: Final = 4
"""Rows of a list without a page: lines of a document, allocations of a payment. Few have more, and look-ups of one
request go in batches."""
READS_A_LEDGER: Final = 100
WRITES: Final = 10
HEAVY: Final = dict.fromkeys(
    (
        "trialBalance",
        "generalLedger",
        "profitAndLoss",
        "balanceSheet",
        "cashFlow",
        "ageing",
        "statement",
        "vatSummary",
        "revaluation",
        "figureEntries",
        "bankReconciliation",
        "numberSeries",
    ),
    READS_A_LEDGER,
)
SIZES: Final = ("first", "limit")


class QueryTooCostly(GraphQLError):
    """More would be looked up than is answered at once."""

    code = "query-too-costly"


class QueryTooDeep(GraphQLError):
    """What is asked lies deeper than is answered."""

    code = "query-too-deep"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much one request may ask for, and how deep. Introspection counts nothing: where it may be is a setting."""

    cost: int = COST_LIMIT
    depth: int = DEPTH_LIMIT

    def admit(
        self,
        schema: GraphQLSchema,
        document: DocumentNode,
        operation: str | None,
        variables: Mapping[str, Any],
    ) -> None:
        """Let a validated request through. What cannot be executed at all is left for the execution to tell.

        Raises:
            QueryTooDeep, QueryTooCostly: with what was found, and what is allowed.
        """
        asked = get_operation_ast(document, operation)
        root = None if asked is None else schema.get_root_type(asked.operation)
        if asked is None or root is None:
            return
        values = get_variable_values(schema, asked.variable_definitions or (), dict(variables))
        if isinstance(values, list):
            return
        found = Measure(schema, document, values, writes=root is schema.mutation_type)
        cost, depth = found.of(asked.selection_set, root, WITHIN, at_root=True)
        if depth > self.depth:
            raise QueryTooDeep(
                f"this asks {depth} levels deep, at most {self.depth} are answered; ask in two steps"
            )
        if cost > self.cost:
            told = f"this would cost {cost}, at most {self.cost} is answered at once"
            raise QueryTooCostly(f"{told}; ask for shorter pages, or for less of each row")


@dataclass(slots=True)
class Measure:
    """Measures selections of one request. A fragment is measured once for each size of list it is used with."""

    schema: GraphQLSchema
    document: DocumentNode
    values: VariableValues
    writes: bool
    _known: dict[tuple[str, int, bool], tuple[int, int]] = field(default_factory=dict)

    def of(
        self, selections: SelectionSetNode, kind: Any, size: int, *, at_root: bool = False
    ) -> tuple[int, int]:
        """Cost and depth of what is asked of one thing of this type; `size` is that of its lists without a page."""
        cost = depth = 0
        for one in selections.selections:
            if isinstance(one, FieldNode):
                more, below = self._field(one, kind, size, at_root=at_root)
            elif isinstance(one, FragmentSpreadNode):
                more, below = self._fragment(one.name.value, size, at_root=at_root)
            else:
                assert isinstance(one, InlineFragmentNode)  # noqa: S101 - there is no fourth
                named = one.type_condition
                inner = kind if named is None else self.schema.get_type(named.name.value)
                more, below = self.of(one.selection_set, inner, size, at_root=at_root)
            cost, depth = cost + more, max(depth, below)
        return cost, depth

    def _fragment(self, name: str, size: int, *, at_root: bool) -> tuple[int, int]:
        if (name, size, at_root) not in self._known:
            [found] = [
                one
                for one in self.document.definitions
                if isinstance(one, FragmentDefinitionNode) and one.name.value == name
            ]
            kind = self.schema.get_type(found.type_condition.name.value)
            self._known[name, size, at_root] = self.of(found.selection_set, kind, size, at_root=at_root)
        return self._known[name, size, at_root]

    def _field(self, node: FieldNode, kind: Any, size: int, *, at_root: bool) -> tuple[int, int]:
        name = node.name.value
        known: GraphQLField | None = getattr(kind, "fields", {}).get(name)
        if name.startswith("__") or known is None:
            return 0, 1  # what the language answers itself
        paged, many = self._page(node, known), listed(known.type)
        rows = (size if paged is None else paged) if many else 1
        own = 0 if known.resolve is None else 1
        if at_root:
            own = HEAVY.get(name) or (WRITES if self.writes else max(1, rows, paged or 0))
        if node.selection_set is None:
            return own, 1
        within = WITHIN if paged is None or many else paged
        inner, depth = self.of(node.selection_set, get_named_type(known.type), within)
        return own + rows * inner, depth + 1

    def _page(self, node: FieldNode, known: GraphQLField) -> int | None:
        """How many rows are asked for; None of what has no pages. More than a page may have is refused elsewhere."""
        if not {"input", "representations", *SIZES} & known.args.keys():
            return None
        try:
            given = get_argument_values(known, node, self.values)
        except GraphQLError:
            return None  # the execution tells what is wrong with it
        if "representations" in given:
            return min(len(given["representations"]), PAGE_LIMIT)
        inside = given | (given["input"] if isinstance(given.get("input"), dict) else {})
        sizes = [inside[one] for one in SIZES if isinstance(inside.get(one), int)]
        return min(max(sizes[0], 0), PAGE_LIMIT) if sizes else None


def listed(kind: Any) -> bool:
    """Whether it is a list of something."""
    inner = kind.of_type if isinstance(kind, GraphQLNonNull) else kind
    return isinstance(inner, GraphQLList)
