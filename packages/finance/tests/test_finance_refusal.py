"""Every refusal has a code of its own and stands in the docs; `test_finance_codes.py` provokes each."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import finance.handle  # noqa: F401 - a refusal may stand beside its rule, and this imports all rules
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
    "query-too-deep",
    "query-too-costly",
)
"""What is told before the rules of the books are asked; `test_finance_service.py` provokes each."""
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
assert {"journal-matched", "nothing-to-revalue"} <= {one.code for one in REFUSALS}, (
    "one is known once it is imported"
)


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


@pytest.mark.parametrize("code", [*DOOR, *FAULTS])
def test_what_is_told_at_the_door_stands_in_the_docs(code: str) -> None:
    assert f"| `{code}` |" in DOCS.read_text().partition("## At the door")[2]


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
