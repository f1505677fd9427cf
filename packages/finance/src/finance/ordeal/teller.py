"""What somebody may ask for about banks: files of what was paid and of other things, matches, and their undoing."""

from dataclasses import dataclass
from itertools import combinations
from typing import Any

from finance.ordeal.dice import Dice, Given
from finance.ordeal.model import MONEY, Company


@dataclass(slots=True)
class Teller(Dice):
    """Asks of one company about its banks."""

    def alike(
        self, company: Company, *, again: bool = False
    ) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
        """Lines and money that are the same together, one or two of each; `again` also what was matched already."""
        told = [name for name, one in company.lines.items() if again or one["match"] is None][-6:]
        there = {name: one for name, one in company.money.items() if one["status"] == "COMPLETED"}
        paid = [name for name, one in there.items() if again or not one["match"]]
        found: dict[object, list[tuple[str, ...]]] = {}
        for names in (*combinations(told, 1), *combinations(told, 2)):
            some = [company.lines[name] for name in names]
            places = {(one["account"], one["currency"]) for one in some}
            found.setdefault((*sorted(places), sum(one["minor"] for one in some)), []).append(names)
        made = []
        for money in (*combinations(paid[-6:], 1), *combinations(paid[-6:], 2)):
            some = [company.money[name] for name in money]
            places = {place_of(one) for one in some}
            key = (*sorted(places), sum(one["side"] * one["total"] for one in some))
            made += [(names, money) for names in found.get(key, ())]
        return made

    def _bring(self, company: Company) -> Given | None:
        """A file of what was paid: each payment as a line, or several as one, or one as two; and of other things."""
        if company.files and self.dice.random() < 0.15:
            account, kind, rows = self.dice.choice(list(company.files))
            currency = company.files[account, kind, rows]
            if self.dice.random() < 0.5:  # the bank says something else of a line, or no more of it
                reference, day, minor = rows[0]
                rows = ((reference, day, minor + (self.dice.random() < 0.5)), *rows[1:])
            return {"account": account, "currency": currency, "rows": rows, "cut": False, "kind": kind}
        there = [one for one in company.money.values() if one["status"] == "COMPLETED" and not one["match"]]
        account, currency = place_of(self.dice.choice(there)) if there else ("1010", "BDT")
        minors = [one["side"] * one["total"] for one in there if place_of(one) == (account, currency)][-4:]
        if len(minors) > 1 and self.dice.random() < 0.4:
            minors = [minors[0] + minors[1], *minors[2:]]
        if minors and self.dice.random() < 0.3:
            part = self.dice.randrange(1, 50)
            minors = [minors[0] - part, part, *minors[1:]]
        minors += [self.dice.choice((-1, 1)) * self.amount()] * (self.dice.random() < 0.4)
        if not minors and not self.errs():
            return None
        rows = tuple((self.new("L"), self.day(company), minor) for minor in minors)
        return {
            "account": self.dice.choice(("~1010", "9", "1000", "1010")) if self.errs() else account,
            "currency": currency,
            "rows": (*rows, *rows[:1]) if self.errs() else rows,
            "cut": self.errs(),
            "kind": self.dice.choice(("CSV", "CSV", "OFX")),
        }

    def _match(self, company: Company) -> Given | None:
        if not company.lines or not company.money:
            return None
        alike = self.alike(company, again=self.dice.random() < 0.25)
        if alike and not self.errs():
            lines, money = self.dice.choice(alike)
            if self.dice.random() < 0.3:  # other money of the same account
                place = place_of(company.money[money[0]])
                money = (self.dice.choice([n for n, one in company.money.items() if place_of(one) == place]),)
            return {"lines": lines, "money": money}
        if self.dice.random() < 0.7:
            return None
        some = [
            self.pick(company.lines, self.wrong(company, "lines")) for _ in range(self.dice.choice((1, 1, 2)))
        ]
        paid = [
            self.pick(company.money, self.wrong(company, "money"))
            for _ in range(self.dice.choice((0, 1, 1, 2)))
        ]
        return {"lines": tuple(some), "money": tuple(paid)}

    def _reconcile(self, company: Company) -> Given | None:
        alike = [(lines, money) for lines, money in self.alike(company) if len(lines) == len(money) == 1]
        if not alike and (not company.lines or self.dice.random() < 0.7):
            return None
        lines, money = self.dice.choice(alike) if alike else ((self.wrong(company, "lines"),), ("?",))
        return {
            "name": self.pick(money, self.wrong(company, "money")),
            "line": self.pick(lines, self.wrong(company, "lines")),
            "by": self.dice.choice(("id", "reference")),
        }

    def _unmatch(self, company: Company) -> Given | None:
        matched = [name for name, one in company.lines.items() if one["match"]]
        if not company.lines or (not matched and self.dice.random() < 0.8):
            return None
        return {"line": self.pick(matched, self.wrong(company, "lines")), "reason": self.why()}


def place_of(one: dict[str, Any]) -> tuple[str, str]:
    """The account and currency that money is on."""
    return MONEY.get(one["method"], "1010"), one["currency"]
