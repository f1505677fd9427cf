"""Commands on what banks tell: files are imported, lines matched or booked, and matches undone."""

import hashlib
from dataclasses import dataclass
from typing import Any

from finance import bank_file, bankfile, bankline, booking, entering, journal, pairing, payment
from finance.account import Account
from finance.bank_file import Columns
from finance.bank_refusal import BankLineContradicts, BankMatchUntied
from finance.cashflow import is_cash
from finance.clerk import Clerk, Sheet
from finance.ports import Caller
from finance.posting import money_account
from finance.refusal import AccountNotMoney, NotFound
from finance.text import sized


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A file as somebody gives it: of which account of the books, and what kind it is."""

    account_id: str
    currency: str
    kind: str
    name: str
    content: bytes
    columns: Columns | None = None


@dataclass(frozen=True, slots=True)
class Banking:
    """A match is told by every line and every payment of it, in one transaction: `pairing`."""

    clerk: Clerk

    async def take(self, caller: Caller, key: str, given: Given) -> bankfile.Bankfile:
        """Import a file: all its lines or none. The same content again, and lines that are known, change nothing.

        Raises:
            Refused: it cannot be read whole, does not tie, or says something else of a line that is known.
        """
        read = bank_file.read(given.kind, given.content, currency=given.currency, columns=given.columns)
        name = sized(given.name, "name", 1, 255)
        sha256 = hashlib.sha256(given.content).hexdigest()
        file_id = bankfile.stream(caller.tenant_id, given.account_id, sha256)

        async def work(sheet: Sheet) -> tuple[str, Any]:
            await sheet.book.hold([f"bank/{given.account_id}"], exclusively=True)
            account: Account = await sheet.load("account", given.account_id)
            if not is_cash(account):
                raise AccountNotMoney(f"Found {account.code}.")
            there = await sheet.find("bankfile", file_id)
            if there is not None:
                return "bankfile", there
            new = await self._lines(sheet, given, file_id, read)
            command = bankfile.Imported(
                file_id=file_id,
                account_id=given.account_id,
                currency=given.currency,
                kind=given.kind,
                name=name,
                sha256=sha256,
                lines=new,
                known=len(read.rows) - new,
                first_on=min(row.booked_on for row in read.rows),
                last_on=max(row.booked_on for row in read.rows),
                opening_minor=read.opening_minor,
                closing_minor=read.closing_minor,
                closing_on=read.closing_on,
            )
            return "bankfile", sheet.decide("bankfile", file_id, command)

        said = [given.account_id, given.currency, given.kind, name, sha256, given.columns]
        found: bankfile.Bankfile = await self.clerk.run(caller, key, ["import_bank_file", *said], work)
        return found

    async def _lines(self, sheet: Sheet, given: Given, file_id: str, read: bank_file.Statement) -> int:
        """Note the lines that are new; how many."""
        tenant, account_id = sheet.book.tenant_id, given.account_id
        ids = [bankline.stream(tenant, account_id, row.reference) for row in read.rows]
        known = await sheet.book.load("bankline", ids)
        for line_id, row in zip(ids, read.rows, strict=True):
            there = known.get(line_id)
            if there is None:
                line = bankline.Imported(
                    line_id=line_id,
                    account_id=account_id,
                    file_id=file_id,
                    currency=given.currency,
                    booked_on=row.booked_on,
                    amount_minor=row.amount_minor,
                    reference=row.reference,
                    text=row.text,
                )
                sheet.decide("bankline", line_id, bankline.Import(line=line), effective=row.booked_on)
            elif (there.booked_on, there.amount_minor, there.currency) != (
                row.booked_on,
                row.amount_minor,
                given.currency,
            ):
                raise BankLineContradicts(f"'{row.reference}' was {there.amount_minor} on {there.booked_on}.")
        return len(ids) - len(known)

    async def match(
        self,
        caller: Caller,
        key: str,
        line_ids: tuple[str, ...],
        payment_ids: tuple[str, ...],
        journal_ids: tuple[str, ...] = (),
    ) -> bankline.Bankline:
        """Say that these lines are these payments and entries; answers with the first line."""

        async def work(sheet: Sheet) -> tuple[str, Any]:
            await self._tie(sheet, line_ids, payment_ids, journal_ids)
            return "bankline", sheet.states[line_ids[0]]

        request = ["match_bank_lines", line_ids, payment_ids, *([journal_ids] if journal_ids else [])]
        found: bankline.Bankline = await self.clerk.run(caller, key, request, work)
        return found

    async def _tie(
        self,
        sheet: Sheet,
        line_ids: tuple[str, ...],
        payment_ids: tuple[str, ...],
        journal_ids: tuple[str, ...] = (),
    ) -> None:
        match = bankline.Matched(
            match_id=self.clerk.new_id(),
            line_ids=line_ids,
            payment_ids=payment_ids,
            journal_ids=journal_ids,
        )
        await pairing.tell(self.clerk, sheet, await pairing.weigh(sheet, match))

    async def book(self, caller: Caller, key: str, asked: booking.Booking, *, post: bool) -> journal.Journal:
        """Draft an entry for lines that no payment explains. Posting it matches them, in one transaction.

        It is posted at once when asked to, and when nobody else has to agree; otherwise `post_journal` does it.
        """

        async def work(sheet: Sheet) -> tuple[str, Any]:
            told = {one: await sheet.load("bankline", one) for one in sorted(set(asked.line_ids))}
            if not told:
                raise BankMatchUntied("Expected at least one line.")
            journal_id = self.clerk.new_id()
            made = booking.entry_of([told[one] for one in asked.line_ids], asked, journal_id=journal_id)
            entry = sheet.decide("journal", journal_id, made)
            await self.clerk.check_accounts(sheet, journal_id)
            if post:
                await entering.posted(self.clerk, sheet, journal_id, makers=(caller.user_id,))
            else:
                journal.balanced(entry)
                await entering.drafted_for(self.clerk, sheet, entry)
            return "journal", sheet.states[journal_id]

        found: journal.Journal = await self.clerk.run(caller, key, ["book_bank_lines", asked, post], work)
        return found

    async def unmatch(self, caller: Caller, key: str, line_id: str, *, reason: str) -> bankline.Bankline:
        """Undo the whole match that a line is in: lines and payments wait again. Entries stay as they are."""

        async def work(sheet: Sheet) -> tuple[str, Any]:
            found: bankline.Bankline = await sheet.load("bankline", line_id)
            both = found.match
            line_ids = (line_id,) if both is None else both.line_ids
            payment_ids = () if both is None else both.payment_ids
            for one in sorted(line_ids):
                await sheet.load("bankline", one)
                sheet.decide("bankline", one, bankline.Unmatch(reason=reason))
            for one in sorted(payment_ids):
                await sheet.load("payment", one)
                sheet.decide("payment", one, payment.Unreconcile(reason=reason))
            return "bankline", sheet.states[line_id]

        request = ["unmatch_bank_line", line_id, reason]
        done: bankline.Bankline = await self.clerk.run(caller, key, request, work)
        return done

    async def reconcile(self, caller: Caller, key: str, payment_id: str, told: str) -> payment.Payment:
        """Match one payment with one line, by the line's id or the bank's reference."""

        async def work(sheet: Sheet) -> tuple[str, Any]:
            paid: payment.Payment = await sheet.load("payment", payment_id)
            account_id = money_account(caller.tenant_id, paid)
            line_id = bankline.stream(caller.tenant_id, account_id, told)
            try:
                await sheet.load("bankline", line_id)
            except NotFound:
                line_id = told
            await self._tie(sheet, (line_id,), (payment_id,))
            return "payment", sheet.states[payment_id]

        request = ["reconcile_payment", payment_id, told]
        found: payment.Payment = await self.clerk.run(caller, key, request, work)
        return found
