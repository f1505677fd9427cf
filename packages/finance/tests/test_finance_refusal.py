"""Every refusal has a code of its own, stands in the docs, and is provoked by a test."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from finance.refusal import Refused

HERE = Path(__file__)
SOURCES = HERE.parents[1] / "src" / "finance"
DOOR = (
    "request-malformed",
    "request-invalid",
    "content-type-unsupported",
    "request-too-large",
    "token-missing",
    "token-invalid",
    "token-expired",
    "tenant-mismatch",
    "permission-missing",
    "tenant-unknown",
)
"""What is told before the rules of the books are asked."""
FAULTS = (
    "keys-unavailable",
    "store-unavailable",
    "contended",
    "masterdata-unavailable",
    "exports-busy",
    "internal",
)
DOCS = HERE.parents[3] / "docs" / "refusals.md"


def classes(above: type[Refused] = Refused) -> Iterator[type[Refused]]:
    for one in above.__subclasses__():
        yield one
        yield from classes(one)


REFUSALS = sorted(classes(), key=lambda one: one.code)


def test_a_code_belongs_to_one_refusal() -> None:
    codes = [one.code for one in REFUSALS]
    assert len(codes) == len(set(codes)) > 50


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda one: one.code)
def test_a_refusal_stands_in_the_docs_with_its_message(refusal: type[Refused]) -> None:
    assert f"| `{refusal.code}` | {refusal()} |" in DOCS.read_text().splitlines()


def test_the_docs_name_no_other() -> None:
    table = DOCS.read_text().partition("## At the door")[0]
    named = [row.split("`")[1] for row in table.splitlines() if row.startswith("| `")]
    assert named == [one.code for one in REFUSALS]


def provoked(path: Path) -> Iterator[str]:
    """The codes a test file asserts or is given as cases, and the classes it expects to be raised."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Assert() | ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Assign() | ast.AnnAssign():
                inside = node.decorator_list if hasattr(node, "decorator_list") else [node]
            case ast.For():
                inside = [node.iter]
            case ast.With(items=items):
                inside = [item.context_expr for item in items]
            case _:
                continue
        for one in (part for whole in inside for part in ast.walk(whole)):
            if isinstance(one, ast.Constant) and isinstance(one.value, str):
                yield one.value
            if isinstance(one, ast.Call) and getattr(one.func, "attr", "") == "raises":
                yield from (part.id for part in ast.walk(one) if isinstance(part, ast.Name))


PROVOKED = {said for path in HERE.parent.glob("test_*.py") if path != HERE for said in provoked(path)}


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda one: one.code)
def test_a_refusal_is_provoked_by_a_test(refusal: type[Refused]) -> None:
    assert {refusal.code, refusal.__name__} & PROVOKED


def test_a_code_in_a_comment_or_a_docstring_provokes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "test_it.py"
    file.write_text('def test_it():\n    """not-found"""\n    ask("not-found")  # "not-found"\n')
    assert list(provoked(file)) == []
    file.write_text('def test_it():\n    assert ask() == "not-found"\n')
    assert list(provoked(file)) == ["not-found"]


@pytest.mark.parametrize("code", [*DOOR, *FAULTS])
def test_what_is_told_at_the_door_stands_in_the_docs(code: str) -> None:
    assert f"| `{code}` |" in DOCS.read_text().partition("## At the door")[2]
    assert code in FAULTS or code in PROVOKED


def test_no_other_code_is_said_at_the_door() -> None:
    said = {
        found
        for path in (
            SOURCES / "graphql" / "execution.py",
            SOURCES / "app.py",
            SOURCES / "ports.py",
            SOURCES / "exports" / "route.py",
        )
        for found in re.findall(
            r"(?:told\(error, |failed\(|code = |\"code\": )\"([a-z-]+)\"", path.read_text()
        )
    }
    assert said - {"fault"} <= {*DOOR, *FAULTS}
