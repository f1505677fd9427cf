"""Dice, and what is alike in all that somebody asks for: names, amounts, days, reasons; and a mistake now and then."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from typing import Any, Final, TypeVar

from finance.ordeal.model import Company

WHY: Final = "as it was agreed"
MISTAKEN: Final = 0.04
"""How often one detail of a request is wrong on purpose."""

Given = dict[str, Any]
One = TypeVar("One")


@dataclass(slots=True)
class Dice:
    """`other` is a company whose things must not be found; `count` names what is made."""

    dice: Random
    other: Company | None = None
    count: int = 0

    def errs(self) -> bool:
        return self.dice.random() < MISTAKEN

    def pick(self, some: Iterable[One], otherwise: One) -> One:
        """One of them; or, rarely or when there is none, something else."""
        found = list(some)
        return otherwise if not found or self.errs() else self.dice.choice(found)

    def wrong(self, company: Company, *kinds: str) -> str:
        """A name that may be of something else, or of another company's, or of nothing."""
        companies = [company] if self.other is None else [company, self.other]
        names: list[str] = [name for one in companies for kind in kinds for name in getattr(one, kind)]
        return self.dice.choice(["?", *names])

    def new(self, letter: str) -> str:
        self.count += 1
        return f"{letter}{self.count}"

    def amount(self) -> int:
        """Small ones, where roundings matter, and large ones, which need more people."""
        if self.errs():
            return self.dice.choice((0, -1))
        return self.dice.randrange(1, self.dice.choice((10, 1_000, 100_00, 3_000_00)))

    def day(self, company: Company) -> date:
        """Of the weeks before today mostly; so that some are of a period or year that was closed."""
        return company.today - timedelta(days=self.dice.choice((0, 0, 0, 1, 2, 5, 12, 30, 60)))

    def later(self, company: Company) -> date | None:
        return self.dice.choice((None, None, company.today, self.day(company)))

    def why(self) -> str:
        return "no" if self.errs() else WHY
