"""Which payments a bank's line may be: scored, explained, and never decided here.

A suggestion always ties: the payments are exactly what the line is. Its score, at most 100, is the sum of what speaks
for it: 50 that it ties, up to 20 by distance in days, 25 when a reference of each payment stands in the line's text, 5
when it is the only one that ties.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Final

import msgspec

from finance.bankline import Bankline
from finance.payment import Payment
from finance.settlement import SALES

FARTHEST_DAYS: Final = 10
MOST_TOGETHER: Final = 3
MOST_NEAR: Final = 24
"""Payments near a line that combinations are tried of: at most 2,324 a line."""


class Suggestion(msgspec.Struct, frozen=True, kw_only=True):
    """`reasons` are what the score is made of, with the points of each."""

    line_ids: tuple[str, ...]
    payment_ids: tuple[str, ...]
    reasons: tuple[tuple[str, int], ...]

    @property
    def score(self) -> int:
        return sum(points for _, points in self.reasons)


def signed_minor(payment: Payment) -> int:
    """What a payment does to the bank account: positive when money comes in."""
    return payment.amount_minor if payment.side == SALES else -payment.amount_minor


def suggestions(lines: Sequence[Bankline], payments: Sequence[Payment]) -> tuple[Suggestion, ...]:
    """For every line the payments, one or a few together, that tie with it; the best first."""
    found = []
    for line in lines:
        tied = list(_tied(line, payments))
        found += [_scored(line, one, alone=len(tied) == 1) for one in tied]
    return tuple(sorted(found, key=lambda one: (-one.score, one.line_ids, one.payment_ids)))


def _tied(line: Bankline, payments: Sequence[Payment]) -> Iterator[tuple[Payment, ...]]:
    near = [
        one
        for one in payments
        if one.currency == line.currency
        and abs((one.payment_date - line.booked_on).days) <= FARTHEST_DAYS
        and signed_minor(one) * line.amount_minor > 0
        and abs(one.amount_minor) <= abs(line.amount_minor)
    ]
    near = sorted(near, key=lambda one: (abs((one.payment_date - line.booked_on).days), one.id))[:MOST_NEAR]
    for count in range(1, MOST_TOGETHER + 1):
        for some in combinations(near, count):
            if sum(map(signed_minor, some)) == line.amount_minor:
                yield some


def _scored(line: Bankline, some: tuple[Payment, ...], *, alone: bool) -> Suggestion:
    days = max(abs((one.payment_date - line.booked_on).days) for one in some)
    reasons = [("the amounts tie", 50), (f"{days} days apart", 20 - 2 * days)]
    said = line.text.casefold()
    names = ((one.number, one.reference, one.transaction_reference, one.details.check_number) for one in some)
    if all(any(name and len(name) >= 4 and name.casefold() in said for name in of_one) for of_one in names):
        reasons.append(("a reference stands in the text", 25))
    if alone:
        reasons.append(("nothing else ties", 5))
    return Suggestion(
        line_ids=(line.id,),
        payment_ids=tuple(one.id for one in some),
        reasons=tuple(one for one in reasons if one[1]),
    )
