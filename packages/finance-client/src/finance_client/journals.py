"""Journal entries."""

from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Literal

import msgspec

from finance_client.bank_line import BankLine
from finance_client.operation import Asked, listed, mutation, query
from finance_client.subject import Subject, command
from finance_client.value import Answer, Currency, Given, JournalLine, Money

JournalStatus = Literal["DRAFT", "POSTED", "REVERSED"]
JournalType = Literal[
    "GENERAL",
    "SALES",
    "PURCHASE",
    "CASH_RECEIPT",
    "CASH_PAYMENT",
    "ADJUSTMENT",
    "REVERSING",
    "CLOSING",
    "OPENING",
]


class Journal(Answer, frozen=True, kw_only=True):
    """A journal entry: two or more lines whose debits equal their credits."""

    id: str
    journal_date: date
    journal_type: str
    status: str
    description: str
    fiscal_period: str
    lines: tuple[JournalLine, ...]
    total_debit: Money
    total_credit: Money
    is_reversing: bool
    bank_line_ids: tuple[str, ...]
    version: int
    journal_number: str | None = None
    reference: str | None = None
    exchange_rate: Decimal | None = None
    original_journal_id: str | None = None
    reversed_by_journal_id: str | None = None
    posted_at: datetime | None = None
    posted_by: str | None = None


class Named(Answer, frozen=True, kw_only=True):
    """An entry by its number."""

    id: str
    journal_number: str | None = None


class EntryOrigin(Answer, frozen=True, kw_only=True):
    """Where an entry comes from: its rule, its document, who made that and who made it binding, the bank's lines."""

    rule: str
    makers: tuple[str, ...]
    approvers: tuple[str, ...]
    bank_lines: tuple[BankLine, ...]
    document_kind: str | None = None
    document_id: str | None = None

    reverses: Named | None = None
    reversed_by: Named | None = None


class Sourced(Answer, frozen=True, kw_only=True):
    """An entry with nothing but where it comes from; a draft comes from nowhere."""

    origin: EntryOrigin | None = None


class NewJournalLine(Given, frozen=True, kw_only=True):
    """One side of one account: a debit or a credit, and not both."""

    account_id: str
    debit: Decimal = Decimal(0)
    credit: Decimal = Decimal(0)
    description: str | None = None
    cost_center: str | None = None
    project: str | None = None
    reference: str | None = None
    tax_code: str | None = None


class NewJournal(Given, frozen=True, kw_only=True):
    """An entry to be drafted."""

    journal_date: date
    description: str
    lines: tuple[NewJournalLine, ...]
    journal_type: JournalType = "GENERAL"
    reference: str | None = None
    currency: Currency = "BDT"
    auto_post: bool = False


class JournalChange(Given, frozen=True, kw_only=True):
    """What is to change of a draft; what is not given stays."""

    journal_date: date | None = None
    description: str | None = None
    reference: str | None = None
    lines: tuple[NewJournalLine, ...] | None = None


class JournalFilter(Given, frozen=True, kw_only=True):
    """Which entries; what is not given filters nothing. `number` is how a number begins or ends."""

    statuses: tuple[JournalStatus, ...] | None = None
    journal_type: JournalType | None = None
    fiscal_period: str | None = None
    first_on: date | None = msgspec.field(name="from", default=None)
    last_on: date | None = msgspec.field(name="to", default=None)
    currency: Currency | None = None
    amount_from: Decimal | None = None
    amount_to: Decimal | None = None
    number: str | None = None


CREATE = mutation("createJournal", Journal, "$input: CreateJournalInput!")
ADD_LINE = mutation("addJournalLine", Journal, "$journalId: ID!", "$input: JournalLineInput!")
UPDATE = mutation("updateJournal", Journal, "$id: ID!", "$input: UpdateJournalInput!")
POST = mutation("postJournal", Journal, "$id: ID!")
REVERSE = mutation("reverseJournal", Journal, "$id: ID!", "$reversingDate: Date!", "$reason: String")
ONE = query("journal", Journal, "$id: ID!")
SOURCE = query("journal", Sourced, "$id: ID!")
ALL = listed("journalsConnection", Journal, "$filter: JournalFilter")
KNOWN_LATER = listed("entriesKnownLaterConnection", Journal, "$asOf: Date!", "$knownOn: Date!")


class Journals(Subject):
    """Journal entries: by hand, and what documents posted."""

    @command
    def create(self, new: NewJournal, *, key: str | None = None) -> Asked[Journal]:
        """Draft one, or post it at once with `auto_post`."""
        return Asked(CREATE, key, {"input": new})

    @command
    def add_line(self, journal_id: str, line: NewJournalLine, *, key: str | None = None) -> Asked[Journal]:
        return Asked(ADD_LINE, key, {"journalId": journal_id, "input": line})

    @command
    def update(self, journal_id: str, change: JournalChange, *, key: str | None = None) -> Asked[Journal]:
        """Change a draft."""
        return Asked(UPDATE, key, {"id": journal_id, "input": change})

    @command
    def post(self, journal_id: str, *, key: str | None = None) -> Asked[Journal]:
        """From here on it never changes."""
        return Asked(POST, key, {"id": journal_id})

    @command
    def reverse(
        self, journal_id: str, *, on: date, reason: str | None = None, key: str | None = None
    ) -> Asked[Journal]:
        """Post the mirror image of an entry; answers with the new entry."""
        return Asked(REVERSE, key, {"id": journal_id, "reversingDate": on, "reason": reason})

    def get(self, journal_id: str) -> Journal | None:
        return self._find(ONE, id=journal_id)

    def origin(self, journal_id: str) -> EntryOrigin | None:
        """Where an entry comes from; None for a draft, and for what is not there."""
        found = self._find(SOURCE, id=journal_id)
        return found.origin if found else None

    def all(self, wanted: JournalFilter | None = None, *, page: int = 100) -> Iterator[Journal]:
        """Newest first."""
        return self._walk(ALL, page, filter=wanted)

    def known_later(self, as_of: date, known_on: date, *, page: int = 100) -> Iterator[Journal]:
        """Entries of days until `as_of` that were posted after `known_on`: why a report is another now."""
        return self._walk(KNOWN_LATER, page, asOf=as_of, knownOn=known_on)
