"""Commands that say what pays what: allocations and their undoing, write-offs, taxes withheld."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from finance import invoice, payment, posting, settlement, voucher
from finance.approving import About, part, undoing
from finance.clerk import Clerk, Sheet
from finance.events import KINDS
from finance.money import BASE, Money
from finance.ports import Caller
from finance.refusal import DateMalformed, PartnerMismatch, TaxCodeMisplaced
from finance.settlement import Allocation, Settlement
from finance.taxation import WITHHOLDING
from finance.taxes import levies

Credit = payment.Payment | voucher.Voucher
Debt = invoice.Invoice | voucher.Voucher


def no_earlier(on: date | None, *days: date) -> date:
    """The day asked for; the last of these days when none is.

    Raises:
        DateMalformed: it is before one of them.
    """
    last = max(days)
    if on is not None and on < last:
        raise DateMalformed(f"The entry's {on} is before the {last} of what it settles.")
    return on or last


async def withheld_minor(
    sheet: Sheet, document: Debt, amount: Money | None, tax_code: str | None, day: date
) -> int:
    """How much of a debt is settled: the amount given, or what a code of withholding comes to.

    Raises:
        TaxCodeMisplaced: the code is of another kind, or there is none to tell the amount.
    """
    levy = None if tax_code is None else (await levies(sheet, [tax_code], day))[tax_code]
    if levy is not None and levy.kind != WITHHOLDING:
        raise TaxCodeMisplaced(f"{tax_code} is of the kind {levy.kind}; only {WITHHOLDING} is withheld.")
    if amount is not None:
        return amount.minor
    if levy is None:
        raise TaxCodeMisplaced("Expected an amount, or a code that tells it.")
    return Money(document.subtotal_minor, document.currency).times(levy.percent / 100).minor


@dataclass(frozen=True, slots=True)
class Settling:
    """Credit and debt are changed, and the entry posted, in one transaction. `kind` is payment or voucher."""

    clerk: Clerk

    async def allocate(
        self,
        caller: Caller,
        key: str,
        kind: str,
        credit_id: str,
        *,
        document_id: str,
        amount: Money,
        on: date | None = None,
    ) -> Credit:
        """Pay a part of a debt with a part of a credit of the same partner."""

        async def work(sheet: Sheet) -> tuple[str, Any]:
            credit: Credit = await sheet.load(kind, credit_id)
            document_kind, document = await sheet.document(document_id)
            partner_id = await self._partner(sheet, credit)
            if (document.side, document.partner_id) != (credit.side, partner_id):
                raise PartnerMismatch(f"Found {document.partner_id} and {partner_id}.")
            day = no_earlier(on, credit.dated, document.dated)
            journal_id, valued = self.clerk.new_id(), credit.currency != BASE
            allocation = Allocation(
                id=journal_id,
                document_kind=document_kind,
                document_id=document_id,
                amount_minor=amount.minor,
                allocated_on=day,
                journal_id=journal_id,
                base_minor=credit.credit.worth_minor(amount.minor) if valued else None,
                document_base_minor=document.worth_minor(amount.minor) if valued else None,
            )
            command = KINDS[kind].Allocate(allocation=allocation)
            spent = sheet.decide(kind, credit_id, command, effective=day)
            record = invoice.RecordPayment(payment_id=credit_id, amount=amount)
            sheet.decide(document_kind, document_id, record, effective=day)
            entry = posting.of_allocation(
                caller.tenant_id, credit, allocation, journal_id=journal_id, partner_id=partner_id
            )
            await self.clerk.enter(sheet, entry)
            return kind, spent

        request = ["allocate", kind, credit_id, document_id, amount.minor, on]
        found: Credit = await self.clerk.run(caller, key, request, work)
        return found

    async def unallocate(
        self,
        caller: Caller,
        key: str,
        kind: str,
        credit_id: str,
        *,
        allocation_id: str,
        reason: str,
        on: date | None = None,
    ) -> Credit:
        """Take an allocation back by another event and another entry; nothing is deleted."""

        async def work(sheet: Sheet) -> tuple[str, Any]:
            credit: Credit = await sheet.load(kind, credit_id)
            one = credit.credit.allocation(allocation_id)
            await sheet.load(one.document_kind, one.document_id)
            entry_id = await self._take_back(sheet, credit, one, no_earlier(on, one.allocated_on))
            command = KINDS[kind].Unallocate(allocation_id=allocation_id, reason=reason, journal_id=entry_id)
            restored = sheet.decide(kind, credit_id, command)
            withdraw = invoice.WithdrawPayment(
                payment_id=credit_id,
                amount=Money(one.amount_minor, credit.currency),
                base_minor=one.document_base_minor,
            )
            sheet.decide(one.document_kind, one.document_id, withdraw)
            return kind, restored

        request = ["unallocate", kind, credit_id, allocation_id, reason, on]
        found: Credit = await self.clerk.run(caller, key, request, work)
        return found

    async def _take_back(self, sheet: Sheet, credit: Credit, one: Allocation, day: date) -> str | None:
        """Post what undoes an allocation; its id, or None when the allocation's own entry was reversed."""
        if one.journal_id is not None:
            await sheet.load("journal", one.journal_id)
            await self.clerk.reverse(sheet, one.journal_id, day, document_id=credit.id)
            return None
        partner_id = await self._partner(sheet, credit)
        entry = posting.of_allocation(
            sheet.book.tenant_id,
            credit,
            one,
            journal_id=self.clerk.new_id(),
            partner_id=partner_id,
            back=day,
        )
        await self.clerk.enter(sheet, entry)
        return entry.journal_id

    async def _partner(self, sheet: Sheet, credit: Credit) -> str:
        """Whose money or note it is. The payment of an invoice does not say so itself."""
        if credit.partner_id is not None:
            return credit.partner_id
        assert isinstance(credit, payment.Payment)  # noqa: S101 - a voucher has a partner
        assert credit.document is not None, "a payment without a partner pays a document"  # noqa: S101 - a bug
        partner_id: str = (await sheet.load(*credit.document)).partner_id
        return partner_id

    async def settle(
        self,
        caller: Caller,
        key: str,
        kind: str,
        document_id: str,
        *,
        amount: Money | None,
        told: str,
        on: date,
        tax_code: str | None = None,
    ) -> Debt:
        """Write a part of a debt off, or note that it was withheld as tax; `kind` is one of `settlement.KINDS`.

        Withheld with a tax code and without an amount, it is the code's rate of the document's net value. Where it
        takes several people, they ask for the same, and nothing changes until the last of them.

        Raises:
            TaxCodeMisplaced: the code is not one of what is withheld, or neither it nor an amount is given.
        """

        async def work(sheet: Sheet) -> tuple[str, Any]:
            document_kind, document = await sheet.document(document_id)
            day = no_earlier(on, document.dated)
            journal_id = self.clerk.new_id()
            minor = await withheld_minor(sheet, document, amount, tax_code, day)
            asked = Settlement(
                id=journal_id,
                kind=kind,
                amount_minor=minor,
                settled_on=day,
                journal_id=journal_id,
                told=told,
                tax_code=tax_code,
            )
            command = invoice.Settle(settlement=asked)
            KINDS[document_kind].decide(document, command)  # what is no debt has nobody to be asked about
            about = part(document_kind, document, minor, act=f"{kind} {minor} on {day}")
            await undoing(self.clerk, sheet, about)
            settled = sheet.decide(document_kind, document_id, command, effective=day)
            entry = posting.of_settlement(caller.tenant_id, settled, settled.settlements[-1])
            await self.clerk.enter(sheet, entry)
            return document_kind, settled

        request = ["settle", kind, document_id, amount.minor if amount else None, told, on]
        if tax_code is not None:
            request.append(tax_code)
        found: Debt = await self.clerk.run(caller, key, request, work)
        return found

    async def withdraw(
        self,
        caller: Caller,
        key: str,
        document_id: str,
        *,
        settlement_id: str,
        reason: str,
        on: date | None = None,
    ) -> Debt:
        """Take a write-off or a withholding back: its entry is reversed, and that much is open again."""

        async def work(sheet: Sheet) -> tuple[str, Any]:
            document_kind, document = await sheet.document(document_id)
            one = settlement.standing(document.settlements, settlement_id)
            await sheet.load("journal", one.journal_id)
            day = no_earlier(on, one.settled_on)
            about = About(
                kind=document_kind,
                id=document_id,
                amount=Money(one.amount_minor, document.currency),
                day=document.dated,
                worth_minor=one.amount_minor if document.currency == BASE else one.base_minor,
                act=f"withdraw {settlement_id} on {day}",
            )
            await undoing(self.clerk, sheet, about)
            mirror = await self.clerk.reverse(sheet, one.journal_id, day, document_id=document_id)
            command = invoice.WithdrawSettlement(
                settlement_id=settlement_id, reason=reason, reversing_journal_id=mirror.id
            )
            return document_kind, sheet.decide(document_kind, document_id, command)

        request = ["withdraw_settlement", document_id, settlement_id, reason, on]
        found: Debt = await self.clerk.run(caller, key, request, work)
        return found
