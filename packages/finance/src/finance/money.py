"""Exact amounts: whole minor units of a currency. No floating point comes near them.

Rounding is named where it happens. Quantities and rates are `Decimal`.
"""

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final, Self

from finance.refusal import AmountMalformed, AmountNotPositive, CurrencyMismatch

DECIMALS: Final = {"BDT": 2, "EUR": 2, "USD": 2}
"""ISO 4217, minor units."""

BASE: Final = "BDT"
"""The currency the books are kept in. Every entry in another one carries its rate and what it is worth in this."""

LARGEST_MINOR: Final = 10**17
"""Of a line, an entry, a document: fits a PostgreSQL bigint. Sums of entries are kept as numeric."""

PLAIN: Final = re.compile(r"-?\d{1,20}(\.\d{1,10})?", re.ASCII)
EXACT: Final = Context(prec=80, rounding=ROUND_HALF_EVEN)
"""More digits than any amount times any quantity has, so that a product is rounded once and never before."""


@dataclass(frozen=True, slots=True, order=True)
class Money:
    """An amount in minor units (poisha, cents) of a currency."""

    minor: int
    currency: str

    @classmethod
    def parse(cls, text: str, currency: str) -> Self:
        """An amount such as "1234.50".

        Raises:
            AmountMalformed: no plain decimal, or more places than the currency has: nothing is rounded here.
            CurrencyMismatch: the currency is not known.
        """
        places = decimals(currency)
        value = exact(text)
        if value != round(value, places):
            raise AmountMalformed(f"expected at most {places} decimals of {currency}, found '{text}'")
        minor = int(value.scaleb(places))
        if abs(minor) > LARGEST_MINOR:
            raise AmountMalformed(f"expected at most {LARGEST_MINOR} minor units, found '{text}'")
        return cls(minor, currency)

    def __add__(self, other: "Money") -> "Money":
        self._same(other)
        return Money(self.minor + other.minor, self.currency)

    def __sub__(self, other: "Money") -> "Money":
        self._same(other)
        return Money(self.minor - other.minor, self.currency)

    def times(self, factor: Decimal) -> "Money":
        """The product, rounded half to even to a whole minor unit."""
        return Money(half_even(EXACT.multiply(Decimal(self.minor), factor)), self.currency)

    def positive(self, what: str) -> "Money":
        """This amount.

        Raises:
            AmountNotPositive: it is zero or less.
        """
        if self.minor <= 0:
            raise AmountNotPositive(f"{what} is {self}")
        return self

    def __str__(self) -> str:
        return plain(self.minor, self.currency)

    def _same(self, other: "Money") -> None:
        if self.currency != other.currency:
            raise CurrencyMismatch(f"expected {self.currency}, found {other.currency}")


def decimals(currency: str) -> int:
    if currency not in DECIMALS:
        raise CurrencyMismatch(f"expected one of {', '.join(DECIMALS)}, found '{currency}'")
    return DECIMALS[currency]


def exact(text: str) -> Decimal:
    """A plain decimal: no exponent, no infinity, no more than 20 digits before the point.

    Raises:
        AmountMalformed: it is something else.
    """
    if PLAIN.fullmatch(text) is None:
        raise AmountMalformed(f"expected a plain decimal such as '1234.50', found '{text[:40]}'")
    return Decimal(text)


def half_even(value: Decimal) -> int:
    return int(value.quantize(Decimal(1), rounding=ROUND_HALF_EVEN, context=EXACT))


def share(minor: int, part: int, whole: int) -> int:
    """That part of an amount, rounded half to even; all of it when the part is the whole."""
    return minor if part == whole else half_even(EXACT.divide(Decimal(minor * part), Decimal(whole)))


def plain(minor: int, currency: str) -> str:
    """The amount as an exact decimal string: 123450 poisha is "1234.50"."""
    places = decimals(currency)
    sign, digits = ("-" if minor < 0 else ""), f"{abs(minor):0{places + 1}d}"
    return f"{sign}{digits[:-places]}.{digits[-places:]}"
