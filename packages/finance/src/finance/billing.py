"""Commands on vouchers: vendors' bills, credit and debit notes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import msgspec

from finance import posting, settlement, voucher
from finance.approving import agreed, cancelled
from finance.clerk import Clerk, Sheet, uncontrolled
from finance.money import Money
from finance.ports import Caller, Claimed
from finance.refusal import (
    CorrectionImpossible,
    CorrectionTooLarge,
    CustomerUnknown,
    VendorUnknown,
    VoucherReferenceTaken,
)
from finance.taxes import confirmed, taxed


@dataclass(frozen=True, slots=True)
class Billing:
    """A voucher and its entry stand or fall together."""

    clerk: Clerk

    async def create(self, caller: Caller, key: str, command: voucher.Create) -> voucher.Voucher:
        """Draft one. Master data is asked first, so that no transaction waits for it."""
        purchase = voucher.SIDES[command.kind] == settlement.PURCHASE
        kind, refused = ("vendors", VendorUnknown) if purchase else ("customers", CustomerUnknown)
        verified = await self.clerk.verified(caller, kind, command.terms.partner_id, refused)

        async def work(sheet: Sheet) -> tuple[str, Any]:
            verified()
            voucher_id = self.clerk.new_id()
            terms = await self._priced(sheet, command.terms, kind=command.kind, currency=command.currency)
            complete = msgspec.structs.replace(command, voucher_id=voucher_id, terms=terms)
            made: voucher.Voucher = sheet.decide("voucher", voucher_id, complete)
            await self._corrects(sheet, made)
            return "voucher", made

        found: voucher.Voucher = await self.clerk.run(caller, key, ["create_voucher", command], work)
        return found

    async def update(
        self,
        caller: Caller,
        key: str,
        voucher_id: str,
        *,
        asked: object,
        change: Callable[[voucher.Voucher], voucher.Terms],
    ) -> voucher.Voucher:
        """Change a draft; `change` makes the new terms from the present ones, `asked` is what it says.

        Whoever does it is a maker of it from then on, and yeses to it as it was count no more.
        """

        async def work(sheet: Sheet) -> tuple[str, Any]:
            draft: voucher.Voucher = await sheet.load("voucher", voucher_id)
            terms = await self._priced(sheet, change(draft), kind=draft.kind, currency=draft.currency)
            changed: voucher.Voucher = sheet.decide("voucher", voucher_id, voucher.Update(terms=terms))
            await self._corrects(sheet, changed)
            return "voucher", changed

        found: voucher.Voucher = await self.clerk.run(
            caller, key, ["update_voucher", voucher_id, asked], work
        )
        return found

    async def _priced(self, sheet: Sheet, terms: voucher.Terms, *, kind: str, currency: str) -> voucher.Terms:
        """The terms with their taxes, on accounts that a person may post to."""
        uncontrolled(sheet.book.tenant_id, (line.account_id or "" for line in terms.lines))
        side = voucher.SIDES[kind]
        priced: voucher.Terms = await taxed(
            sheet, terms, day=terms.voucher_date, side=side, currency=currency
        )
        return priced

    async def _corrects(self, sheet: Sheet, note: voucher.Voucher) -> None:
        """Let a note name the document it corrects.

        Raises:
            CorrectionImpossible: it is not binding, of somebody else, in another currency, or less than the credit.
        """
        if note.terms.corrects_id is None:
            return
        notes = await sheet.corrections(note.terms.corrects_id)
        _, one = await sheet.document(note.terms.corrects_id)
        same = (one.side, one.partner_id, one.currency) == (note.side, note.partner_id, note.currency)
        if not same or one.number is None or one.cancelled or getattr(one, "is_credit", False):
            raise CorrectionImpossible(f"Found {one.number or one.id} of {one.partner_id} in {one.currency}.")
        if note.is_credit and note.total_minor > one.total_minor:
            raise CorrectionImpossible(f"{one.number} is less than the credit.")
        if note.is_credit:
            together(note, one, notes)

    async def approve(self, caller: Caller, key: str, voucher_id: str) -> voucher.Voucher:
        """Number it, and post its entry in the same transaction. A vendor's reference is booked once.

        Where it takes several people, it stays a draft until the last of them.
        """

        async def work(sheet: Sheet) -> tuple[str, Any]:
            draft: voucher.Voucher = await sheet.load("voucher", voucher_id)
            day = draft.terms.voucher_date
            await sheet.admit(day, taxed=True)
            rate = await sheet.rate(draft.currency, day)
            await agreed(self.clerk, sheet, "voucher", voucher_id, day)
            number = ""
            if draft.status == "DRAFT":
                await confirmed(sheet, draft.terms.lines, day)
                await self._corrects(sheet, draft)
                await self._refer(sheet, draft)
                number = await sheet.number(voucher.SERIES[draft.kind], day)
            entry = posting.of_voucher(
                caller.tenant_id, draft, journal_id=self.clerk.new_id(), number=number, rate=rate
            )
            owed = posting.worth(entry, posting.control(caller.tenant_id, draft.side))
            command = voucher.Approve(
                number=number,
                journal_id=entry.journal_id,
                approved_by=caller.user_id,
                base_minor=None if rate is None else owed,
            )
            approved = sheet.decide("voucher", voucher_id, command, effective=day)
            await self.clerk.enter(sheet, entry)
            return "voucher", approved

        found: voucher.Voucher = await self.clerk.run(caller, key, ["approve_voucher", voucher_id], work)
        return found

    async def _refer(self, sheet: Sheet, draft: voucher.Voucher) -> None:
        """Take the vendor's reference for this bill; that of a cancelled one is taken on from it, once.

        Raises:
            VoucherReferenceTaken: a bill that stands has it.
        """
        if draft.kind != voucher.BILL:
            return
        kind, value = "bill-reference", f"{draft.partner_id}/{draft.terms.reference}"
        while True:
            try:
                await sheet.claim(kind, value, draft.id)
            except Claimed as error:
                before: voucher.Voucher = await sheet.load("voucher", error.owner_id)
                if not before.cancelled:
                    raise VoucherReferenceTaken(f"Found '{draft.terms.reference}'.") from error
                kind, value = "bill-reference-after", before.id
            else:
                return

    async def cancel(
        self, caller: Caller, key: str, voucher_id: str, *, reason: str, on: date | None
    ) -> voucher.Voucher:
        """Cancel it; an approved one's entry is reversed in the same transaction, on its day or `on` a later one."""

        async def work(sheet: Sheet) -> tuple[str, Any]:
            return "voucher", await cancelled(self.clerk, sheet, "voucher", voucher_id, reason=reason, on=on)

        request = ["cancel_voucher", voucher_id, reason, on]
        found: voucher.Voucher = await self.clerk.run(caller, key, request, work)
        return found


def together(note: voucher.Voucher, one: Any, notes: Sequence[voucher.Voucher]) -> None:
    """That a credit and the approved ones of the same document are not more than it.

    Raises:
        CorrectionTooLarge: they are.
    """
    given_minor = sum(other.total_minor for other in notes if other.is_credit and other.id != note.id)
    if given_minor + note.total_minor > one.total_minor:
        left = Money(one.total_minor - given_minor, one.currency)
        credit = Money(note.total_minor, note.currency)
        raise CorrectionTooLarge(f"Of {one.number} {left} are left, the credit is {credit}.")
