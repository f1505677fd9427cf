"""Formulas of automated journals: exact, bounded, and of their own language only."""

import time
from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finance.formula import DEEPEST, LONGEST, evaluate, of_day
from finance.refusal import Refused

LEAP = of_day(date(2028, 2, 5))


@pytest.mark.parametrize(
    ("formula", "found"),
    [
        ("1000", "1000"),
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("10 - 4 - 3", "3"),
        ("8 / 4 / 2", "1"),
        ("-(2 - 5) * 2", "6"),
        ("0.1 + 0.2", "0.3"),
        ("3000 / DAYS_IN_MONTH * DAY", "517.241379310344827586206896551724"),
        ("YEAR * 100 + MONTH", "202802"),
        ("9999999999.99 * 10000000000", "99999999999900000000"),
    ],
)
def test_what_a_formula_comes_to(formula: str, found: str) -> None:
    assert abs(evaluate(formula, LEAP) - Decimal(found)) < Decimal("1e-24")


def test_the_days_of_a_month_are_those_of_the_calendar() -> None:
    days = [of_day(date(2026, month, 1))["DAYS_IN_MONTH"] for month in range(1, 13)]
    assert days == [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    assert of_day(date.max)["DAYS_IN_MONTH"] == 31
    assert LEAP == {"DAYS_IN_MONTH": 29, "MONTH": 2, "YEAR": 2028, "DAY": 5}


@pytest.mark.parametrize(
    ("formula", "code"),
    [
        ("__import__('os')", "formula-malformed"),
        ("9**9**9", "formula-malformed"),
        ("9^9", "formula-malformed"),
        ("1e9", "formula-malformed"),
        ("", "formula-malformed"),
        ("   ", "formula-malformed"),
        ("1 2", "formula-malformed"),
        ("(1", "formula-malformed"),
        ("1)", "formula-malformed"),
        ("()", "formula-malformed"),
        ("1 +", "formula-malformed"),
        ("MONTH(1)", "formula-malformed"),
        ("month", "formula-malformed"),
        ("\u0661", "formula-malformed"),
        ("1;2", "formula-malformed"),
        ("RANDOM", "formula-name-unknown"),
        ("1/0", "formula-divides-by-zero"),
        ("1/(MONTH-2)", "formula-divides-by-zero"),
        ("1/(1/99999999999999999999/99999999999999999999)", "formula-divides-by-zero"),
        ("99999999999999999999*99999999999999999999", "formula-overflows"),
        ("1/0.0000000001*99999999999999999999", "formula-overflows"),
        ("(" * 5_000 + ")" * 5_000, "formula-too-complex"),
        ("(" * 17 + "1" + ")" * 17, "formula-too-complex"),
        ("-" * 100 + "1", "formula-too-complex"),
        ("1" + "+1" * 100, "formula-too-complex"),
    ],
)
def test_what_is_not_of_the_language_is_refused_at_once(formula: str, code: str) -> None:
    begun = time.perf_counter()
    with pytest.raises(Refused) as told:
        evaluate(formula, LEAP)
    assert told.value.code == code
    assert time.perf_counter() - begun < 0.05


@given(st.text(max_size=LONGEST + 5) | st.text("0123456789.+-*/() MONTHDAY", max_size=LONGEST))
def test_any_text_is_a_figure_or_a_refusal(text: str) -> None:
    refused: Refused | None = None
    found = Decimal(0)
    try:
        found = evaluate(text, LEAP)
    except Refused as error:
        refused = error
    assert refused is None or refused.code.startswith("formula-")
    assert abs(found) <= Decimal(10) ** 20


def trees(depth: int = 4) -> st.SearchStrategy[tuple[str, Fraction]]:
    """Formulas with what they come to, worked out another way."""
    plain = st.integers(0, 10**4).map(lambda one: (str(one), Fraction(one)))

    def joined(inner: st.SearchStrategy[tuple[str, Fraction]]) -> st.SearchStrategy[tuple[str, Fraction]]:
        def join(left: tuple[str, Fraction], sign: str, right: tuple[str, Fraction]) -> tuple[str, Fraction]:
            a, b = left[1], right[1]
            return f"({left[0]}{sign}{right[0]})", {"+": a + b, "-": a - b, "*": a * b}[sign]

        return st.builds(join, inner, st.sampled_from("+-*"), inner)

    found = st.recursive(plain, joined, max_leaves=depth)
    return found.filter(lambda one: len(one[0]) <= LONGEST and one[0].count("(") < DEEPEST)


@given(trees())
def test_sums_and_products_are_exact(tree: tuple[str, Fraction]) -> None:
    formula, found = tree
    assert Fraction(evaluate(formula, {})) == found
