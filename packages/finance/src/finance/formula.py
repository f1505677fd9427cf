"""Amounts that are worked out: a small language of decimals, and nothing else.

    expression = term { ("+" | "-") term }
    term       = factor { ("*" | "/") factor }
    factor     = number | name | "-" factor | "(" expression ")"

A formula is never evaluated by the language this is written in. Its length, its depth and every figure on the way are
bounded, so that none is slow or large. Sums and products are exact; a quotient has 30 decimals, half to even.
"""

import calendar
import re
from collections.abc import Mapping
from datetime import date
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final

from finance.formula_refusal import (
    FormulaDividesByZero,
    FormulaMalformed,
    FormulaNameUnknown,
    FormulaOverflows,
    FormulaTooComplex,
)

LONGEST: Final = 200
DEEPEST: Final = 16
LARGEST: Final = Decimal(10) ** 20
SMALLEST_PLACE: Final = Decimal(1).scaleb(-30)
EXACT: Final = Context(prec=120, rounding=ROUND_HALF_EVEN)
"""Two figures of 20 digits and 30 decimals have a product of 100 digits."""

TOKEN: Final = re.compile(r"\s*(?:(\d{1,20}(?:\.\d{1,10})?)|([A-Z][A-Z0-9_]{0,39})|([-+*/()]))", re.ASCII)


def of_day(day: date) -> dict[str, Decimal]:
    """The names that every formula knows: MONTH, YEAR, DAY, DAYS_IN_MONTH."""
    days = calendar.monthrange(day.year, day.month)[1]
    figures = {"MONTH": day.month, "YEAR": day.year, "DAY": day.day, "DAYS_IN_MONTH": days}
    return {name: Decimal(figure) for name, figure in figures.items()}


def evaluate(formula: str, names: Mapping[str, Decimal]) -> Decimal:
    """What it comes to, at most 30 decimals.

    Raises:
        FormulaTooComplex: it is longer or deeper than any rule needs.
        FormulaMalformed: it is not of this language.
        FormulaNameUnknown: it uses a name that is not given.
        FormulaDividesByZero: by zero.
        FormulaOverflows: a figure on the way is too large.
    """
    if len(formula) > LONGEST:
        raise FormulaTooComplex(f"Expected at most {LONGEST} characters, found {len(formula)}.")
    reading = _Reading(tokens_of(formula), names)
    found = reading.expression(0)
    reading.end()
    return found


def tokens_of(formula: str) -> list[str]:
    """Numbers, names and signs.

    Raises:
        FormulaMalformed: there is something else.
    """
    found, place = [], 0
    text = formula.rstrip()
    while place < len(text):
        token = TOKEN.match(text, place)
        if token is None:
            raise FormulaMalformed(f"Cannot be read from '{text[place : place + 20]}' on.")
        found.append(token[0].strip())
        place = token.end()
    return found


class _Reading:
    """Goes over the tokens once, from left to right."""

    def __init__(self, tokens: list[str], names: Mapping[str, Decimal]) -> None:
        self._tokens = tokens
        self._names = names
        self._place = 0

    def _next(self) -> str:
        return self._tokens[self._place] if self._place < len(self._tokens) else ""

    def _taken(self, signs: str) -> str:
        """The next token, if it is one of these signs; nothing otherwise."""
        token = self._next()
        if not token or token not in signs:
            return ""
        self._place += 1
        return token

    def end(self) -> None:
        if self._next():
            raise FormulaMalformed(f"Expected the end, found '{self._next()}'.")

    def expression(self, depth: int) -> Decimal:
        found = self._term(depth)
        while sign := self._taken("+-"):
            other = self._term(depth)
            found = bounded(EXACT.add(found, other) if sign == "+" else EXACT.subtract(found, other))
        return found

    def _term(self, depth: int) -> Decimal:
        found = self._factor(depth)
        while sign := self._taken("*/"):
            other = self._factor(depth)
            if sign == "/" and not other:
                raise FormulaDividesByZero
            found = bounded(EXACT.multiply(found, other) if sign == "*" else EXACT.divide(found, other))
        return found

    def _factor(self, depth: int) -> Decimal:
        if depth > DEEPEST:
            raise FormulaTooComplex(f"Expected at most {DEEPEST} signs and parentheses within each other.")
        if self._taken("-"):
            return -self._factor(depth + 1)
        if self._taken("("):
            inner = self.expression(depth + 1)
            if not self._taken(")"):
                raise FormulaMalformed(f"Expected ')', found '{self._next()}'.")
            return inner
        found = self._next()
        if not found or found in "+*/)":
            raise FormulaMalformed(f"Expected an amount, a name or '(', found '{found}'.")
        self._place += 1
        if found[0].isdigit():
            return Decimal(found)
        if found not in self._names:
            raise FormulaNameUnknown(f"Expected one of {', '.join(sorted(self._names))}, found {found}.")
        return self._names[found]


def bounded(figure: Decimal) -> Decimal:
    """The figure, with 30 decimals at most.

    Raises:
        FormulaOverflows: it is larger than any amount.
    """
    if abs(figure) > LARGEST:
        raise FormulaOverflows(f"Expected at most {LARGEST:f}.")
    return figure.quantize(SMALLEST_PLACE, context=EXACT)
