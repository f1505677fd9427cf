"""A document's lines with their taxes: which codes may stand where, and what they come to.

Lines without codes keep the VAT of their category: that is how documents were taxed before there were codes.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

import msgspec

from finance.invoice import VAT_PERCENT, Line
from finance.money import LARGEST_MINOR, Money
from finance.refusal import AmountMalformed, TaxCodeMisplaced, TaxRateChanged
from finance.settlement import SALES
from finance.taxation import ADVANCE, DUTY, EXCLUSIVE, EXEMPT, VAT, Levy, LineTax, taxes

CATEGORIES: Final = {Decimal(15): "STANDARD", Decimal("7.5"): "REDUCED", Decimal(5): "TRUNCATED"}
PLACES: Final = {SALES: (DUTY, VAT, EXEMPT)}
EVERYWHERE: Final = (DUTY, VAT, EXEMPT, ADVANCE)


def levied(
    lines: Sequence[Line],
    levies: Mapping[str, Levy],
    *,
    side: str,
    currency: str,
    prices: str,
    rounding: str,
) -> tuple[Line, ...]:
    """The lines with their taxes worked out from quantity, price and `levies`, the codes as they are on the day.

    Raises:
        TaxCodeMisplaced: a line has two taxes of a kind, VAT though it is exempt, or a kind that is not for this side.
        AmountMalformed: an amount becomes too large to keep.
    """
    found = [placed(line, levies, side) for line in lines]
    priced = [(Money(line.unit_price_minor, currency).times(line.quantity).minor) for line in lines]
    worked = taxes(list(zip(priced, found, strict=True)), prices=prices, rounding=rounding)
    made = []
    for line, minor, own, due in zip(lines, priced, found, worked, strict=True):
        total = sum(due)
        net = minor if prices == EXCLUSIVE else minor - total
        if net + total > LARGEST_MINOR:
            raise AmountMalformed(f"expected at most {LARGEST_MINOR} minor units a line, found {net + total}")
        kept = [LineTax(levy=levy, tax_minor=tax) for levy, tax in zip(own, due, strict=True)]
        made.append(
            msgspec.structs.replace(
                line,
                amount_minor=net,
                vat_minor=total,
                vat_percent=percent(own),
                vat_category=category(own) if line.tax_codes else line.vat_category,
                taxes=tuple(kept) if line.tax_codes else (),
            )
        )
    return tuple(made)


def placed(line: Line, levies: Mapping[str, Levy], side: str) -> tuple[Levy, ...]:
    """The taxes of a line, a duty first; those of its category when it has no codes."""
    if not line.tax_codes:
        kind = EXEMPT if line.vat_category == "EXEMPT" else VAT
        return (Levy(code=line.vat_category, kind=kind, percent=VAT_PERCENT[line.vat_category]),)
    own = sorted((levies[code] for code in line.tax_codes), key=lambda one: one.kind != DUTY)
    kinds = [VAT if one.kind == EXEMPT else one.kind for one in own]
    if len(set(kinds)) != len(kinds):
        raise TaxCodeMisplaced(f"Found {', '.join(line.tax_codes)} on one line.")
    for one in own:
        if one.kind not in PLACES.get(side, EVERYWHERE):
            raise TaxCodeMisplaced(f"{one.code} is of the kind {one.kind}, the document of {side}.")
    return tuple(own)


def percent(levies: Sequence[Levy]) -> Decimal:
    """The rate of the VAT among them, zero without."""
    return next((one.percent for one in levies if one.kind == VAT), Decimal(0))


def category(levies: Sequence[Levy]) -> str:
    """The old name of how a line is taxed, for those who read no codes; the next one where there is no such rate."""
    vat = next((one for one in levies if one.kind == VAT), None)
    if vat is None:
        return "EXEMPT"
    return CATEGORIES.get(vat.percent, "STANDARD") if vat.percent else "ZERO_RATED"


def unchanged(lines: Sequence[Line], levies: Mapping[str, Levy]) -> None:
    """That a draft was taxed as the table says now: who approves it has seen these figures.

    Raises:
        TaxRateChanged: it was not.
    """
    for line in lines:
        for one in line.taxes:
            now = levies[one.levy.code]
            if now != one.levy:
                was = f"{one.levy.code} at {one.levy.percent} %"
                raise TaxRateChanged(f"The draft has {was}, the table now {now.percent} %.")
