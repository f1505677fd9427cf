"""What can be told from a PromQL query before it is asked: whether it parses, and what it reads."""

import json
from typing import Final

import promql_parser

from tranche.text import PLACEHOLDER

COMPARISONS: Final = frozenset({"==", "!=", ">", "<", ">=", "<="})
SIGNS: Final = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}


class NoPromql(Exception):
    """A text that is no PromQL, or none that can be judged; the message says why."""


def check(query: str) -> None:
    """Refuse what could never be judged.

    Raises:
        NoPromql: it does not parse, or compares: a comparison leaves out what is false, so that a good
            answer and a missing one would look alike.
    """
    expression = _parsed(PLACEHOLDER.sub("x", query))
    while isinstance(expression, promql_parser.ParenExpr):
        expression = expression.expr
    if not isinstance(expression, promql_parser.BinaryExpr) or str(expression.op) not in COMPARISONS:
        return
    if expression.modifier is None or not expression.modifier.return_bool:
        raise NoPromql(f"'{query}' compares, and answers nothing where it is false; write that under 'bound'")


def selectors(query: str) -> list[str]:
    """What the query reads now: its selectors, without those of the past (`offset`, `@`).

    Raises:
        NoPromql: it does not parse.
    """
    found: list[str] = []
    _collect(_parsed(query), found)
    return list(dict.fromkeys(found))


def _parsed(query: str) -> promql_parser.Expr:
    try:
        return promql_parser.parse(query)
    except ValueError as error:
        raise NoPromql(f"'{query}' is no PromQL: {error}") from None


def _written(selector: promql_parser.VectorSelector) -> str:
    """The selector as PromQL; its own text would not escape what is quoted in it."""
    quoted = []
    for matcher in selector.matchers.matchers:
        sign = SIGNS[str(matcher.op).rpartition(".")[2]]
        quoted.append(f"{matcher.name}{sign}{json.dumps(matcher.value, ensure_ascii=False)}")
    return f"{selector.name or ''}{{{','.join(quoted)}}}"


def _collect(node: object, found: list[str]) -> None:
    match node:
        case promql_parser.VectorSelector():
            if node.offset is None and node.at is None:
                found.append(_written(node))
        case promql_parser.MatrixSelector():
            _collect(node.vector_selector, found)
        case promql_parser.BinaryExpr():
            _collect(node.lhs, found)
            _collect(node.rhs, found)
        case promql_parser.Call():
            for argument in node.args:
                _collect(argument, found)
        case promql_parser.AggregateExpr():
            _collect(node.expr, found)
            _collect(node.param, found)
        case promql_parser.SubqueryExpr() if node.offset is not None or node.at is not None:
            return
        case promql_parser.ParenExpr() | promql_parser.UnaryExpr() | promql_parser.SubqueryExpr():
            _collect(node.expr, found)
        case _:
            return
