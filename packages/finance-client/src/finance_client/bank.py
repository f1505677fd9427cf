"""What a bank told, and which payments and entries that is."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Literal

from finance_client.bank_line import BankLine
from finance_client.journals import Journal
from finance_client.operation import Asked, mutation, query, whole
from finance_client.payments import Payment
from finance_client.subject import Subject, command
from finance_client.value import Answer, Currency, Given, Money

BankFileKind = Literal["CSV", "OFX", "CAMT053"]
BankDateFormat = Literal["YYYY_MM_DD", "DD_MM_YYYY", "DD_SLASH_MM_SLASH_YYYY", "MM_SLASH_DD_SLASH_YYYY"]


class BankFile(Answer, frozen=True, kw_only=True):
    """A bank's file, once it was imported."""

    id: str
    account_id: str
    name: str
    sha256: str
    new_lines: int
    known_lines: int
    first_day: date
    last_day: date
    closing_balance: Money | None = None
    closing_on: date | None = None


class BankReason(Answer, frozen=True, kw_only=True):
    """Why a suggestion has how many points."""

    told: str
    points: int


class BankSuggestion(Answer, frozen=True, kw_only=True):
    """Which payments some lines may be; `score` is the sum of its reasons."""

    line_ids: tuple[str, ...]
    payment_ids: tuple[str, ...]
    score: int
    reasons: tuple[BankReason, ...]


class BankReconciliation(Answer, frozen=True, kw_only=True):
    """What the books and the bank say of an account on a day, and what explains the difference."""

    as_of: date
    book_balance: Money
    book_figure: str
    unmatched_lines: tuple[BankLine, ...]
    unmatched_lines_total: Money
    unmatched_payments: tuple[Payment, ...]
    unmatched_payments_total: Money
    unmatched_payments_figure: str
    expected_balance: Money
    statement_balance: Money | None = None
    statement_on: date | None = None
    difference: Money | None = None


class BankColumns(Given, frozen=True, kw_only=True):
    """The headings of a CSV file's columns: a signed amount, or money out and money in apart."""

    booked_on: str
    date_format: BankDateFormat = "YYYY_MM_DD"
    amount: str | None = None
    money_out: str | None = None
    money_in: str | None = None
    reference: str | None = None
    text: str | None = None
    delimiter: str = ","
    decimal_comma: bool = False


class NewBankFile(Given, frozen=True, kw_only=True):
    """A bank's file, of one account of the books, in one currency."""

    account_id: str
    kind: BankFileKind
    name: str
    content: bytes
    currency: Currency = "BDT"
    columns: BankColumns | None = None

    @classmethod
    def read(
        cls,
        path: Path,
        *,
        account_id: str,
        kind: BankFileKind,
        columns: BankColumns | None = None,
        currency: Currency = "BDT",
    ) -> "NewBankFile":
        """A file that is here, under its own name."""
        return cls(
            account_id=account_id,
            kind=kind,
            name=path.name,
            content=path.read_bytes(),
            columns=columns,
            currency=currency,
        )


class BookedAgainst(Given, frozen=True, kw_only=True):
    """An account on the other side of lines that are booked; without an amount it takes the rest."""

    account_id: str
    amount: Decimal | None = None
    tax_code: str | None = None
    description: str | None = None
    cost_center: str | None = None
    project: str | None = None


class NewBooking(Given, frozen=True, kw_only=True):
    """Lines of a bank, and what they are booked as; drafted where it is not posted at once."""

    line_ids: tuple[str, ...]
    against: tuple[BookedAgainst, ...]
    journal_date: date | None = None
    description: str | None = None
    auto_post: bool = True


IMPORT = mutation("importBankFile", BankFile, "$input: BankFileInput!")
MATCH = mutation("matchBankLines", BankLine, "$lineIds: [ID!]!", "$paymentIds: [ID!]!", "$journalIds: [ID!]")
BOOK = mutation("bookBankLines", Journal, "$input: BookBankLinesInput!")
UNMATCH = mutation("unmatchBankLine", BankLine, "$id: ID!", "$reason: String!")
LINES = whole("bankLines", BankLine, "$accountId: ID!", "$isMatched: Boolean")
SUGGESTIONS = query("bankSuggestions", tuple[BankSuggestion, ...], "$accountId: ID!", "$currency: Currency!")
RECONCILIATION = query(
    "bankReconciliation", BankReconciliation, "$accountId: ID!", "$asOf: Date!", "$currency: Currency!"
)


class Bank(Subject):
    """What a bank told, and which payments and entries that is."""

    @command
    def import_file(self, new: NewBankFile, *, key: str | None = None) -> Asked[BankFile]:
        """All lines of a file or none; the same content again changes nothing."""
        return Asked(IMPORT, key, {"input": new})

    @command
    def match(
        self,
        line_ids: tuple[str, ...],
        payment_ids: tuple[str, ...] = (),
        *,
        journal_ids: tuple[str, ...] = (),
        key: str | None = None,
    ) -> Asked[BankLine]:
        """These lines are these payments and posted entries: the same money together. Answers with the first line."""
        told = {"lineIds": line_ids, "paymentIds": payment_ids, "journalIds": journal_ids or None}
        return Asked(MATCH, key, told)

    @command
    def book(self, new: NewBooking, *, key: str | None = None) -> Asked[Journal]:
        """An entry of lines that no payment explains, matched with them once it is posted."""
        return Asked(BOOK, key, {"input": new})

    @command
    def unmatch(self, line_id: str, *, reason: str, key: str | None = None) -> Asked[BankLine]:
        """Undo the whole match that a line is in."""
        return Asked(UNMATCH, key, {"id": line_id, "reason": reason})

    def lines(self, account_id: str, *, is_matched: bool | None = None) -> tuple[BankLine, ...]:
        """Newest import first; read to the end before they are given, so that matching one moves no other."""
        return self._whole(LINES, lambda one: one.id, accountId=account_id, isMatched=is_matched)

    def suggestions(self, account_id: str, *, currency: Currency = "BDT") -> tuple[BankSuggestion, ...]:
        """Which payments the oldest 100 unmatched lines may be, the best first. Nothing is matched by it."""
        return self._read(SUGGESTIONS, accountId=account_id, currency=currency)

    def reconciliation(
        self, account_id: str, as_of: date, *, currency: Currency = "BDT"
    ) -> BankReconciliation:
        return self._read(RECONCILIATION, accountId=account_id, asOf=as_of, currency=currency)
