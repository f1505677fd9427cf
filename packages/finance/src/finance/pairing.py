"""A match as it is worked: lines of a bank, and the payments and entries that are the same money.

Lines and payments tell it in their streams. An entry's stream does not: a release that knows no such match reads the
entry, and the lines as matched, as it reads any other. A claim leads from the entry to the lines instead.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from finance import bankline, journal, payment
from finance.bank_refusal import BankMatchUntied, JournalMatched
from finance.clerk import Clerk, Sheet
from finance.matching import signed_minor
from finance.posting import money_account
from finance.refusal import JournalNotPosted, JournalOfDocument


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A match that ties, and what it is of as it was loaded."""

    match: bankline.Matched
    lines: tuple[bankline.Bankline, ...]
    payments: tuple[payment.Payment, ...]


def claim_of(journal_id: str) -> str:
    """The kind of claims that lead from an entry to lines it is or was matched with: one line of each match."""
    return f"matched/{journal_id}"


async def lines_of(sheet: Sheet, journal_id: str) -> list[bankline.Bankline]:
    """Of each match that an entry is in now, one line. It stays so until the end.

    An entry of money between two own accounts can be in two: one on each.
    """
    await sheet.book.hold([claim_of(journal_id)], exclusively=True)
    ever = [
        await sheet.load("bankline", one) for one in sorted(await sheet.book.claimed(claim_of(journal_id)))
    ]
    return [one for one in ever if one.match is not None and journal_id in one.match.journal_ids]


async def unmatched(sheet: Sheet, journal_id: str, *, account_id: str | None = None) -> None:
    """That an entry is matched with no line, or with none of this account, and stays so until the end.

    Raises:
        JournalMatched: it is.
    """
    for one in await lines_of(sheet, journal_id):
        if account_id in {None, one.account_id}:
            raise JournalMatched(f"The line is {one.reference}.")


async def weigh(sheet: Sheet, match: bankline.Matched, *, draft: bool = False) -> Pair:
    """The match, if both sides are the same money on the same account. With `draft` its entries are to be posted yet.

    Raises:
        BankMatchUntied: they are not, or one is named twice.
        BankLineMatched: a line is matched already.
        PaymentNotCompleted: a payment has not moved money, or is reconciled.
        JournalMatched: an entry is matched on this account already.
        JournalNotPosted, JournalOfDocument: it is no entry that could be.
    """
    lines = [await sheet.load("bankline", one) for one in sorted(match.line_ids)]
    paid = [await sheet.load("payment", one) for one in sorted(match.payment_ids)]
    named = (*match.line_ids, *match.payment_ids, *match.journal_ids)
    if not lines or not (paid or match.journal_ids) or len(set(named)) != len(named):
        raise BankMatchUntied("Expected at least one line, and one payment or entry, each once.")
    account_id = lines[0].account_id
    entries = [await _entry(sheet, one, account_id, draft=draft) for one in sorted(match.journal_ids)]
    places = {(one.account_id, one.currency) for one in lines}
    places |= {(money_account(sheet.book.tenant_id, one), one.currency) for one in paid}
    places |= {(account_id, one.currency) for one in entries}
    if len(places) != 1:
        raise BankMatchUntied(f"They are on {len(places)} accounts or in several currencies.")
    told = sum(one.amount_minor for one in lines)
    booked = sum(map(signed_minor, paid)) + sum(moved_minor(one, account_id) for one in entries)
    if told != booked:
        raise BankMatchUntied(f"The lines are {told}, the payments and entries {booked} minor units.")
    for line in lines:  # asked before others are: nobody agrees to what cannot be
        bankline.decide(line, bankline.Match(match=match))
    return Pair(match=match, lines=tuple(lines), payments=tuple(paid))


async def _entry(sheet: Sheet, journal_id: str, account_id: str, *, draft: bool) -> journal.Journal:
    """An entry that can be matched on an account."""
    await unmatched(sheet, journal_id, account_id=account_id)
    entry: journal.Journal = await sheet.load("journal", journal_id)
    if entry.status != ("DRAFT" if draft else "POSTED"):
        raise JournalNotPosted(f"It is {entry.status}.")
    if entry.document_id is not None:
        raise JournalOfDocument(f"{entry.number} belongs to {entry.document_id}.")
    return entry


def moved_minor(entry: journal.Journal, account_id: str) -> int:
    """What an entry does to an account, in minor units of its currency: positive when money comes in.

    Raises:
        BankMatchUntied: it does not touch it.
    """
    touching: Sequence[journal.Line] = [one for one in entry.lines if one.account_id == account_id]
    if not touching:
        raise BankMatchUntied(f"The entry {entry.number} is on other accounts than the line.")
    return sum(one.debit_minor - one.credit_minor for one in touching)


async def tell(clerk: Clerk, sheet: Sheet, pair: Pair) -> None:
    """Note a match. The last thing that a command does: nothing can be loaded after it."""
    for line in pair.lines:
        sheet.decide("bankline", line.id, bankline.Match(match=pair.match))
    for one in pair.payments:
        command = payment.Reconcile(
            bank_statement_transaction_id=pair.lines[0].id,
            reconciled_at=clerk.clock.now(),
            match_id=pair.match.match_id,
        )
        sheet.decide("payment", one.id, command)
    for journal_id in sorted(pair.match.journal_ids):
        await sheet.claim(claim_of(journal_id), pair.lines[0].id, pair.lines[0].id)
