"""What the lines of a document come to with their taxes, by the textbook: a part of the plain books, `plain.py`.

Prices are minor units, quantities thousandths, percentages hundredths. A tax of a line is its net value by the rate; of
prices that include taxes the net value is what remains when all rates are taken out. Duties are levied first, and other
taxes on the duty too where the pack says so. Rounding by document rounds the running sum of each tax.
"""

from datetime import date
from fractions import Fraction
from typing import Any, Final

CATEGORIES: Final = {"STANDARD": 1500, "REDUCED": 750, "TRUNCATED": 500}
PACK: Final = {  # tax codes: kind, percentage at first, whether on the duty too, whether a buyer has it back
    "VAT15": ("VAT", 1500, True, True),
    "VAT7.5": ("VAT", 750, True, False),
    "VAT0": ("VAT", 0, False, True),
    "EXEMPT": ("VAT", 0, False, True),
    "SD20": ("DUTY", 2000, False, False),
    "AT5": ("ADVANCE", 500, False, True),
    "TDS5": ("WITHHOLDING", 500, False, True),
}
SOLD: Final = {1: "4000", -1: "5900"}
TAXED: Final = {1: {"VAT": "2200", "DUTY": "2220"}, -1: {"VAT": "1410", "DUTY": "1410", "ADVANCE": "1430"}}


class Impossible(Exception):
    """This was accepted, and cannot be."""


def part(of: int, some: int, whole: int) -> int:
    """The share of `of` that belongs to `some` of the `whole`, half to even."""
    return round(Fraction(of * some, whole)) if whole else 0


def latest(kept: dict[date, int], day: date) -> int:
    days = [since for since in kept if since <= day]
    if not days:
        raise Impossible(f"it is of {day}, for which there is no rate")
    return kept[max(days)]


def levies(line: dict[str, Any], day: date, taxes: dict[str, dict[date, int]]) -> list[Any]:
    """Of each tax its code (none for a category), kind, rate, and whether a buyer has it back; duties first."""
    if not line["codes"]:
        return [("", "VAT", Fraction(CATEGORIES.get(line["category"], 0), 10_000), True)]
    found = [(code, *PACK[code], Fraction(latest(taxes[code], day), 10_000)) for code in line["codes"]]
    duty = sum(rate for _, kind, *_, rate in found if kind == "DUTY")
    found.sort(key=lambda one: one[1] != "DUTY")
    return [(code, kind, rate * (1 + duty * on), is_back) for code, kind, _, on, is_back, rate in found]


def levied(
    one: dict[str, Any], side: int, taxes: dict[str, dict[date, int]]
) -> tuple[list[tuple[str, int]], int]:
    """What was sold and each tax, by account in the order of the lines; and the net value of the document.

    What was sold with other tax codes is another figure. A tax that a buyer does not have back is a cost.
    """
    sold: dict[Any, int] = {}
    taxed: dict[Any, int] = {}
    running: dict[Any, Fraction] = {}
    is_added, net = one["prices"] == "EXCLUSIVE", 0
    for line in one["lines"]:
        price, of_line = part(line["price"], line["quantity"], 1000), levies(line, one["day"], taxes)
        base = Fraction(price) / (1 if is_added else 1 + sum(rate for *_, rate, _ in of_line))
        whole = cost = 0
        for code, kind, rate, is_back in of_line:
            which = (code, line["category"] if not code else "")
            before = running.get(which, Fraction(0)) if one["rounding"] == "DOCUMENT" else Fraction(0)
            running[which] = before + base * rate
            tax = round(running[which]) - round(before)
            whole += tax
            if side < 0 and not is_back:
                cost += tax
            else:
                home = (TAXED[side][kind], code)
                taxed[home] = taxed.get(home, 0) + tax
        value = price if is_added else price - whole
        place = (line["account"] or SOLD[side], "+".join(line["codes"]))
        sold[place], net = sold.get(place, 0) + value + cost, net + value
    return [(code, minor) for (code, _), minor in (*sold.items(), *taxed.items())], net
