"""What lines of a bank are booked as: a fee, interest, a direct debit, money between own accounts.

The bank's side of the entry is what the bank told, line by line, to the last minor unit; a person says the other.
"""

from collections.abc import Sequence
from datetime import date
from typing import Final

import msgspec

from finance import journal
from finance.bankline import Bankline
from finance.refusal import AmountMalformed, DateMalformed

MONEY_IN, MONEY_OUT = "CASH_RECEIPT", "CASH_PAYMENT"
LONGEST: Final = 500
"""Of an entry's description; a bank may say more."""


class Against(msgspec.Struct, frozen=True, kw_only=True):
    """An account on the other side. `amount_minor` is how much of the lines' money, positive; None is the rest."""

    account_id: str
    amount_minor: int | None = None
    tax_code: str | None = None
    description: str | None = None
    cost_center: str | None = None
    project: str | None = None


class Booking(msgspec.Struct, frozen=True, kw_only=True):
    """`day` and `description` of the entry; None takes them from the lines."""

    line_ids: tuple[str, ...]
    against: tuple[Against, ...]
    day: date | None = None
    description: str | None = None


def entry_of(lines: Sequence[Bankline], asked: Booking, *, journal_id: str) -> journal.BookLines:
    """The entry of one line or of several, at least one. Money that came in is a debit of the bank's account.

    Raises:
        DateMalformed: its day is before that of a line.
        AmountMalformed: more than one account is to take the rest.
    """
    last, told_minor = max(one.booked_on for one in lines), sum(one.amount_minor for one in lines)
    if asked.day is not None and asked.day < last:
        raise DateMalformed(f"The entry's {asked.day} is before the line's {last}.")
    return journal.BookLines(
        journal_id=journal_id,
        journal_date=asked.day or last,
        journal_type=MONEY_IN if told_minor > 0 else MONEY_OUT,
        description=_told(lines[0]) if asked.description is None else asked.description,
        currency=lines[0].currency,
        lines=(*map(_bank_side, lines), *_other_side(asked.against, told_minor)),
        bank_line_ids=asked.line_ids,
    )


def _told(line: Bankline) -> str:
    """What the bank says of a line, if it says enough."""
    text = line.text.strip()
    return text[:LONGEST] if len(text) >= 3 else f"Bank line {line.reference}"


def _bank_side(line: Bankline) -> journal.Line:
    return journal.Line(
        account_id=line.account_id,
        debit_minor=max(line.amount_minor, 0),
        credit_minor=max(-line.amount_minor, 0),
        description=line.text or None,
        reference=line.reference,
    )


def _other_side(against: Sequence[Against], told_minor: int) -> list[journal.Line]:
    said = [one.amount_minor for one in against if one.amount_minor is not None]
    if len(against) - len(said) > 1:
        raise AmountMalformed(f"Expected an amount of all accounts but one, found {len(said)}.")
    rest_minor = abs(told_minor) - sum(said)
    made = []
    for one in against:
        minor = rest_minor if one.amount_minor is None else one.amount_minor
        made.append(
            journal.Line(
                account_id=one.account_id,
                debit_minor=0 if told_minor > 0 else minor,
                credit_minor=minor if told_minor > 0 else 0,
                tax_code=one.tax_code,
                description=one.description,
                cost_center=one.cost_center,
                project=one.project,
            )
        )
    return made
