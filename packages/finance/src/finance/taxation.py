"""What taxes come to: rates in force on a day, a line's taxes, and how they are rounded.

A line has at most one supplementary duty and one VAT (or is exempt). Each tax has an effective rate on the line's net
value: its percent, times one and the duty where the duty is part of its base. Exact fractions until they are rounded,
once, half to even:

- EXCLUSIVE prices: tax = net x effective rate. INCLUSIVE: tax = gross x effective rate / (1 + all effective rates),
  and the net value is what the taxes leave, so that every line comes to its price.
- rounded by LINE: each line's tax. By DOCUMENT: the sum of a code's exact taxes; lines get the differences of the
  rounded running sums, so that they add up to it and none is further than one unit from its own tax.
"""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Final

import msgspec

VAT, EXEMPT, DUTY, ADVANCE, WITHHOLDING = "VAT", "EXEMPT", "DUTY", "ADVANCE", "WITHHOLDING"
KINDS: Final = (VAT, EXEMPT, DUTY, ADVANCE, WITHHOLDING)
EXCLUSIVE, INCLUSIVE = "EXCLUSIVE", "INCLUSIVE"
PRICES: Final = (EXCLUSIVE, INCLUSIVE)
LINE, DOCUMENT = "LINE", "DOCUMENT"
ROUNDINGS: Final = (LINE, DOCUMENT)
TOGETHER: Final = "+"
"""Between the codes of a posted line that several taxes are on; no code has it."""


class Levy(msgspec.Struct, frozen=True, kw_only=True):
    """A tax code as it is on a day. `on_duty`: its base has the line's supplementary duty in it.

    `recoverable`: what a vendor charges of it is claimed back; otherwise it is part of what was bought.
    """

    code: str
    kind: str
    percent: Decimal
    on_duty: bool = False
    recoverable: bool = True


class LineTax(msgspec.Struct, frozen=True, kw_only=True):
    """One tax of a line, in minor units; with what it was worked out from, for it is never worked out again."""

    levy: Levy
    tax_minor: int


def effective(levies: Sequence[Levy]) -> list[Fraction]:
    """Each tax as a part of the line's net value."""
    duty = sum((Fraction(one.percent) / 100 for one in levies if one.kind == DUTY), Fraction(0))
    return [Fraction(one.percent) / 100 * (1 + duty * one.on_duty) for one in levies]


def exact(priced_minor: int, levies: Sequence[Levy], prices: str) -> list[Fraction]:
    """The taxes of a line whose quantity times price is this much, not rounded."""
    rates = effective(levies)
    net = Fraction(priced_minor) if prices == EXCLUSIVE else Fraction(priced_minor) / (1 + sum(rates))
    return [net * rate for rate in rates]


def taxes(
    priced: Sequence[tuple[int, Sequence[Levy]]], *, prices: str, rounding: str
) -> list[tuple[int, ...]]:
    """The taxes of every line of a document in minor units, in the order of its levies; half to even."""
    running: dict[str, Fraction] = {}
    made = []
    for priced_minor, levies in priced:
        found = []
        for levy, tax in zip(levies, exact(priced_minor, levies, prices), strict=True):
            before = running.get(levy.code, Fraction(0)) if rounding == DOCUMENT else Fraction(0)
            running[levy.code] = before + tax
            found.append(round(before + tax) - round(before))
        made.append(tuple(found))
    return made
