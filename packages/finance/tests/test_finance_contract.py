"""The schema against that of the last release: what breaks a client was announced in it, or does not happen."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    REMOVE,
    DocumentNode,
    EnumTypeDefinitionNode,
    GraphQLSchema,
    Visitor,
    build_ast_schema,
    build_schema,
    find_breaking_changes,
    parse,
    visit,
)
from graphql.language import ast

from finance.graphql.schema import schema_text

CONTRACTS = Path(__file__).parents[1] / "contract"
SINCE = re.compile(r"since \d+\.\d+\.\d+: .{3,}")
ROOTS = {"Query", "Mutation"}


def last_released() -> str:
    files = sorted(CONTRACTS.glob("*.graphql"), key=lambda path: [int(part) for part in path.stem.split(".")])
    return files[-1].read_text()


class Announced(Visitor):
    """Takes away what is deprecated."""

    def enter(self, node: Any, *_: Any) -> Any:
        members = ast.FieldDefinitionNode | ast.InputValueDefinitionNode | ast.EnumValueDefinitionNode
        if isinstance(node, members) and any(one.name.value == "deprecated" for one in node.directives or ()):
            return REMOVE
        return None


def promised(text: str) -> GraphQLSchema:
    """A schema without what it says is deprecated, and without the types that nothing else uses."""
    document = visit(parse(text, no_location=True), Announced())
    described = {one.name.value: one for one in document.definitions if hasattr(one, "name")}
    reached, waiting = set(), [name for name in ROOTS if name in described]
    while waiting:
        name = waiting.pop()
        reached.add(name)
        waiting += [one for one in uses(described[name]) & set(described) if one not in reached]
    kept = [one for one in document.definitions if not hasattr(one, "name") or one.name.value in reached]
    return build_ast_schema(DocumentNode(definitions=tuple(kept)))


def uses(node: Any) -> set[str]:
    """The names of types that a definition mentions."""
    found: set[str] = set()

    class Named(Visitor):
        def enter_named_type(self, one: Any, *_: Any) -> None:
            found.add(one.name.value)

    if not isinstance(node, EnumTypeDefinitionNode):
        visit(node, Named())
    return found


def broken(before: str, now: str) -> list[str]:
    """What a client of the schema before may meet that it was not told of."""
    return [one.description for one in find_breaking_changes(promised(before), build_schema(now))]


def test_nothing_breaks_that_the_last_release_did_not_announce() -> None:
    assert broken(last_released(), schema_text()) == []


def test_what_is_deprecated_says_since_when_and_what_to_use() -> None:
    for text in (last_released(), schema_text()):
        for reason in re.findall(r'@deprecated(?:\(reason: "([^"]*)"\))?', text):
            assert SINCE.fullmatch(reason), f"expected 'since 1.2.0: use ...', found '{reason}'"


BEFORE = """
type Query { a(x: Int, y: Int @deprecated(reason: "since 1.0.0: x")): A
  old: Old @deprecated(reason: "since 1.0.0: a") }
type A { b: String, c: E }
type Old { d: String }
enum E { ONE TWO THREE @deprecated(reason: "since 1.0.0: ONE") }
"""
Change = Callable[[str], str]


def without(*parts: str) -> Change:
    def change(text: str) -> str:
        for part in parts:
            assert part in text
            text = text.replace(part, "")
        return text

    return change


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (without("b: String, "), 1),
        (without(" TWO"), 1),
        (without("x: Int, "), 1),
        (lambda text: text.replace("b: String", "b: Int"), 1),
        (lambda text: text.replace("x: Int,", "x: Int!,"), 1),
        (lambda text: text.replace("x: Int,", "x: Int, z: Int!,"), 1),
        (lambda text: text.replace("x: Int,", "x: Int, z: Int,"), 0),
        (lambda text: text.replace("b: String", "b: String!, n: Int"), 0),
        (without(', y: Int @deprecated(reason: "since 1.0.0: x")'), 0),
        (without(' THREE @deprecated(reason: "since 1.0.0: ONE")'), 0),
        (without('old: Old @deprecated(reason: "since 1.0.0: a")', "type Old { d: String }"), 0),
    ],
    ids=range(11),
)
def test_a_break_is_found_unless_it_was_announced(change: Change, told: int) -> None:
    assert len(broken(BEFORE, change(BEFORE))) == told


def test_the_contract_of_the_last_release_is_there_and_whole() -> None:
    assert len(promised(last_released()).type_map) > 100
