"""A journal entry: commands, events, state, decide, evolve.

The heart of the books. Rules that live here and nowhere else: two lines at least, one side a line, debits equal
credits in its own currency and in that of the books, posted once and never changed, reversed once by its mirror image.
"""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Final, assert_never

import msgspec

from finance.money import BASE, LARGEST_MINOR, Money
from finance.refusal import (
    AmountMalformed,
    AmountNotPositive,
    JournalLineOneSided,
    JournalNotDraft,
    JournalNotPosted,
    JournalOfDocument,
    JournalReversedAlready,
    JournalTooShort,
    JournalUnbalanced,
)
from finance.text import sized

CLOSING: Final = "CLOSING"
"""The kind that profit and loss leaves out: of the year's end alone."""

PREFIXES: Final = {
    "GENERAL": "GJ",
    "SALES": "SJ",
    "PURCHASE": "PJ",
    "CASH_RECEIPT": "CR",
    "CASH_PAYMENT": "CP",
    "ADJUSTMENT": "AJ",
    "REVERSING": "RJ",
    CLOSING: "CJ",
    "OPENING": "OJ",
}


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One side of one account, in minor units of the entry's currency.

    Base amounts are what it is worth in the currency the books are kept in; None until it is known, and for an
    entry in that currency itself. A line may have a base amount alone: the difference of two rates. `partner_id` is
    the customer or vendor of a line on a control account, `item_id` the document or payment whose open amount it
    changes, `due_date` that document's.
    """

    account_id: str
    debit_minor: int = 0
    credit_minor: int = 0
    base_debit_minor: int | None = None
    base_credit_minor: int | None = None
    description: str | None = None
    cost_center: str | None = None
    project: str | None = None
    reference: str | None = None
    tax_code: str | None = None
    partner_id: str | None = None
    item_id: str | None = None
    due_date: date | None = None


class Created(msgspec.Struct, frozen=True, kw_only=True, tag="journal.created/1"):
    """`document_id` names the invoice or payment that the entry belongs to.

    Once it is posted, `bank_line_ids` are matched with it. A release that does not know them posts it all the same,
    and the lines can be matched then.
    """

    journal_id: str
    journal_date: date
    journal_type: str
    description: str
    currency: str
    lines: tuple[Line, ...]
    reference: str | None = None
    original_id: str | None = None
    document_id: str | None = None
    rate: Decimal | None = None
    bank_line_ids: tuple[str, ...] = ()


class LineAdded(msgspec.Struct, frozen=True, kw_only=True, tag="journal.line-added/1"):
    line: Line


class Updated(msgspec.Struct, frozen=True, kw_only=True, tag="journal.updated/1"):
    """The whole draft as it is from now on."""

    journal_date: date
    description: str
    lines: tuple[Line, ...]
    reference: str | None = None


class Posted(msgspec.Struct, frozen=True, kw_only=True, tag="journal.posted/1"):
    """Everything a ledger needs, so that balances are made from these events alone.

    `rate` is what one unit of the currency was worth in that of the books; None for an entry in the latter, and for
    one that moves what was valued before, such as an allocation.
    """

    number: str
    journal_date: date
    currency: str
    lines: tuple[Line, ...]
    posted_at: datetime
    posted_by: str
    rate: Decimal | None = None


class Reversed(msgspec.Struct, frozen=True, kw_only=True, tag="journal.reversed/1"):
    """`reason` is None where a document's own event tells it, and where none was asked for."""

    by_journal_id: str
    reason: str | None = None


Event = Created | LineAdded | Updated | Posted | Reversed


class Journal(msgspec.Struct, frozen=True, kw_only=True):
    """`version` counts its events."""

    id: str
    journal_date: date
    journal_type: str
    description: str
    currency: str
    lines: tuple[Line, ...]
    status: str = "DRAFT"
    number: str | None = None
    reference: str | None = None
    original_id: str | None = None
    document_id: str | None = None
    reversed_by_id: str | None = None
    posted_at: datetime | None = None
    posted_by: str | None = None
    rate: Decimal | None = None
    bank_line_ids: tuple[str, ...] = ()
    version: int = 1

    @property
    def debit_minor(self) -> int:
        return sum(line.debit_minor for line in self.lines)

    @property
    def credit_minor(self) -> int:
        return sum(line.credit_minor for line in self.lines)

    @property
    def worth_minor(self) -> int | None:
        """What its debits are worth in the books; None where nobody said, as in a draft of another currency."""
        if self.currency != BASE and any(unvalued(line) for line in self.lines):
            return None
        return sum(base(line, self.currency)[0] for line in self.lines)


class Create(msgspec.Struct, frozen=True, kw_only=True):
    journal_id: str
    journal_date: date
    journal_type: str
    description: str
    currency: str
    lines: tuple[Line, ...]
    reference: str | None = None
    original_id: str | None = None
    document_id: str | None = None
    rate: Decimal | None = None


class BookLines(Create, frozen=True, kw_only=True):
    """An entry that is drafted for lines of a bank.

    A command of its own: a key holds a digest of `Create` with all of its fields, and the release beside this one must
    find the same.
    """

    bank_line_ids: tuple[str, ...]


class AddLine(msgspec.Struct, frozen=True, kw_only=True):
    line: Line


class Update(msgspec.Struct, frozen=True, kw_only=True):
    """None leaves as it is."""

    journal_date: date | None = None
    description: str | None = None
    reference: str | None = None
    lines: tuple[Line, ...] | None = None


class Post(msgspec.Struct, frozen=True, kw_only=True):
    """`rate` is needed for an entry in another currency than that of the books."""

    number: str
    posted_at: datetime
    posted_by: str
    rate: Decimal | None = None


class Reverse(msgspec.Struct, frozen=True, kw_only=True):
    """`document_id` must be given to reverse the entry of a document: only the document may."""

    by_journal_id: str
    document_id: str | None = None
    reason: str | None = None


Command = Create | AddLine | Update | Post | Reverse


def decide(journal: Journal | None, command: Command) -> list[Event]:
    """The events of a command.

    Raises:
        Refused: one class per rule; nothing happened.
    """
    match command:
        case Create():
            return [_create(command)]
        case AddLine():
            _draft(journal)
            return [LineAdded(line=one_sided(command.line))]
        case Update():
            return [_update(_draft(journal), command)]
        case Post():
            return [_post(_draft(journal), command)]
        case Reverse():
            return [_reverse(journal, command)]
        case _:
            assert_never(command)


def _draft(journal: Journal | None) -> Journal:
    assert journal is not None, "the shell loads the entry first"  # noqa: S101 - a bug, not a refusal
    if journal.status != "DRAFT":
        raise JournalNotDraft(f"It is {journal.status}.")
    return journal


def one_sided(line: Line) -> Line:
    """The line.

    Raises:
        AmountNotPositive: a negative amount.
        JournalLineOneSided: both sides or none.
    """
    own = (line.debit_minor, line.credit_minor)
    worth = (line.base_debit_minor or 0, line.base_credit_minor or 0)
    for debit, credit in (own, worth):
        if min(debit, credit) < 0:
            raise AmountNotPositive(f"Found debit {debit} and credit {credit} minor units on a line.")
        if debit and credit:
            raise JournalLineOneSided(f"Found debit {debit} and credit {credit} minor units.")
    debit, credit = (one or other for one, other in zip(own, worth, strict=True))
    if bool(debit) == bool(credit):
        raise JournalLineOneSided(f"Found {own} minor units of debit and credit, worth {worth}.")
    return line


def _create(command: Create) -> Created:
    return Created(
        journal_id=command.journal_id,
        journal_date=command.journal_date,
        journal_type=command.journal_type,
        description=sized(command.description, "description", 3, 500),
        currency=command.currency,
        lines=tuple(one_sided(line) for line in command.lines),
        reference=command.reference,
        original_id=command.original_id,
        document_id=command.document_id,
        rate=command.rate,
        bank_line_ids=command.bank_line_ids if isinstance(command, BookLines) else (),
    )


def _update(journal: Journal, command: Update) -> Updated:
    lines = journal.lines if command.lines is None else command.lines
    return Updated(
        journal_date=command.journal_date or journal.journal_date,
        description=sized(command.description or journal.description, "description", 3, 500),
        lines=tuple(one_sided(line) for line in lines),
        reference=journal.reference if command.reference is None else command.reference,
    )


def balanced(journal: Journal) -> None:
    """That its sides can be posted as they stand, whoever does it.

    Raises:
        JournalTooShort: it has fewer than two lines.
        JournalUnbalanced: its debits are not its credits.
        AmountMalformed: they are more than any amount.
    """
    if len(journal.lines) < 2:
        raise JournalTooShort(f"Found {len(journal.lines)}.")
    found = f"debits {journal.debit_minor}, credits {journal.credit_minor} minor units"
    if journal.debit_minor != journal.credit_minor:
        raise JournalUnbalanced(f"Found {found}.")
    if journal.debit_minor > LARGEST_MINOR:
        raise AmountMalformed(f"Expected at most {LARGEST_MINOR} minor units a side, found {found}.")


def _post(journal: Journal, command: Post) -> Posted:
    balanced(journal)
    rate = journal.rate or command.rate
    lines = tuple(one_sided(line) for line in based(journal.lines, journal.currency, rate))
    debit, credit = (
        sum(side) for side in zip(*(base(line, journal.currency) for line in lines), strict=True)
    )
    if debit != credit:
        raise JournalUnbalanced(f"Found base debits {debit}, base credits {credit} minor units.")
    if debit > LARGEST_MINOR:
        raise AmountMalformed(f"Expected at most {LARGEST_MINOR} base minor units a side, found {debit}.")
    return Posted(
        number=command.number,
        journal_date=journal.journal_date,
        currency=journal.currency,
        lines=lines,
        posted_at=command.posted_at,
        posted_by=command.posted_by,
        rate=rate,
    )


def base(line: Line, currency: str) -> tuple[int, int]:
    """Debit and credit in the currency of the books. Entries from before rates were kept are worth nothing in it."""
    if line.base_debit_minor is not None or line.base_credit_minor is not None:
        return line.base_debit_minor or 0, line.base_credit_minor or 0
    return (line.debit_minor, line.credit_minor) if currency == BASE else (0, 0)


def unvalued(line: Line) -> bool:
    """Whether nobody said yet what it is worth in the currency of the books."""
    return line.base_debit_minor is None and line.base_credit_minor is None


def based(lines: Sequence[Line], currency: str, rate: Decimal | None) -> tuple[Line, ...]:
    """The lines with their base amounts: each times the rate, rounded half to even.

    What the roundings leave between debits and credits goes to the largest line of the side that is short. Lines
    that have base amounts keep them; an entry in the currency of the books needs none.
    """
    fresh = [n for n, line in enumerate(lines) if unvalued(line)]
    if currency == BASE or not fresh:
        return tuple(lines)
    assert rate is not None, "the shell looks the rate up"  # noqa: S101 - a bug, not a refusal
    made = list(lines)
    for n in fresh:
        made[n] = msgspec.structs.replace(
            lines[n],
            base_debit_minor=Money(lines[n].debit_minor, currency).times(rate).minor,
            base_credit_minor=Money(lines[n].credit_minor, currency).times(rate).minor,
        )
    over = sum(debit - credit for debit, credit in (base(line, currency) for line in made))
    side, amount = ("base_credit_minor", "credit_minor") if over > 0 else ("base_debit_minor", "debit_minor")
    if over:
        largest = max(fresh, key=lambda n: getattr(lines[n], amount))
        raised = getattr(made[largest], side) + abs(over)
        made[largest] = msgspec.structs.replace(made[largest], **{side: raised})
    return tuple(made)


def _reverse(journal: Journal | None, command: Reverse) -> Reversed:
    assert journal is not None, "the shell loads the entry first"  # noqa: S101 - a bug, not a refusal
    if journal.status == "REVERSED":
        raise JournalReversedAlready(f"{journal.number} was.")
    if journal.status != "POSTED":
        raise JournalNotPosted(f"It is {journal.status}.")
    if journal.document_id != command.document_id:
        raise JournalOfDocument(f"{journal.number} belongs to {journal.document_id}.")
    return Reversed(by_journal_id=command.by_journal_id, reason=command.reason)


def mirror(journal: Journal, *, journal_id: str, on: date) -> Create:
    """The entry that takes this one back: every debit a credit."""
    return Create(
        journal_id=journal_id,
        journal_date=on,
        journal_type="REVERSING",
        description=f"Reversal of {journal.number}",
        currency=journal.currency,
        lines=tuple(_turned(line, journal.currency) for line in journal.lines),
        reference=journal.reference,
        original_id=journal.id,
        document_id=journal.document_id,
        rate=journal.rate,
    )


def turned(line: Line) -> Line:
    """The line on the other side, in both currencies."""
    return msgspec.structs.replace(
        line,
        debit_minor=line.credit_minor,
        credit_minor=line.debit_minor,
        base_debit_minor=line.base_credit_minor,
        base_credit_minor=line.base_debit_minor,
    )


def _turned(line: Line, currency: str) -> Line:
    """The other side, worth what the line was worth, whatever the rate is now."""
    if currency == BASE:
        return turned(line)
    debit, credit = base(line, currency)
    return msgspec.structs.replace(turned(line), base_debit_minor=credit, base_credit_minor=debit)


def evolve(journal: Journal | None, event: Event) -> Journal:
    match event:
        case Created():
            return Journal(
                id=event.journal_id,
                journal_date=event.journal_date,
                journal_type=event.journal_type,
                description=event.description,
                currency=event.currency,
                lines=event.lines,
                reference=event.reference,
                original_id=event.original_id,
                document_id=event.document_id,
                rate=event.rate,
                bank_line_ids=event.bank_line_ids,
            )
        case LineAdded():
            assert journal is not None, "a stream begins with created"  # noqa: S101 - a damaged log is a bug
            return _next(journal, lines=(*journal.lines, event.line))
        case Updated():
            return _next(
                journal,
                journal_date=event.journal_date,
                description=event.description,
                lines=event.lines,
                reference=event.reference,
            )
        case Posted():
            return _next(
                journal,
                status="POSTED",
                number=event.number,
                lines=event.lines,
                rate=event.rate,
                posted_at=event.posted_at,
                posted_by=event.posted_by,
            )
        case Reversed():
            return _next(journal, status="REVERSED", reversed_by_id=event.by_journal_id)
        case _:
            assert_never(event)


def _next(journal: Journal | None, **changes: object) -> Journal:
    assert journal is not None, "a stream begins with created"  # noqa: S101 - a damaged log is a bug
    return msgspec.structs.replace(journal, version=journal.version + 1, **changes)
