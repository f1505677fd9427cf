"""Every refusal has a code of its own, stands in the docs, and is provoked by a test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from finance.refusal import Refused

HERE = Path(__file__)
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
    named = [row.split("`")[1] for row in DOCS.read_text().splitlines() if row.startswith("| `")]
    assert named == [one.code for one in REFUSALS]


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda one: one.code)
def test_a_refusal_is_provoked_by_a_test(refusal: type[Refused]) -> None:
    others = [path.read_text() for path in HERE.parent.glob("test_*.py") if path != HERE]
    assert any(f'"{refusal.code}"' in text for text in others)
