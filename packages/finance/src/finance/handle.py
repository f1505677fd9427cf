"""Commands on accounts, journal entries, invoices and payments.

With `billing.py`, `settling.py`, `closing.py`, `years.py`, `tables.py`, `taxes.py`, `governing.py`, `automating.py`,
`revaluing.py` and `banking.py`, the only modules that turn a request into events. The rules are in the aggregates; what
is here is order: which streams a command touches, which numbers it draws, and that documents and their entries stand or
fall together.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec

from finance import (
    account,
    chart,
    entering,
    invoice,
    journal,
    pairing,
    payment,
    policy,
    posting,
    settlement,
    voucher,
)
from finance.approving import agreed, cancelled, in_force, paid_minor, undoing, whole
from finance.authority import explained
from finance.automating import Automating
from finance.banking import Banking
from finance.billing import Billing
from finance.cashflow import is_cash
from finance.clerk import Clerk, Sheet
from finance.closing import Closing
from finance.governing import Governing
from finance.ids import is_uuid
from finance.money import Money
from finance.ports import Caller, Claimed, Clock, MasterData, Store
from finance.refusal import (
    AccountCodeTaken,
    AccountInactive,
    AccountNotMoney,
    AccountParentImpossible,
    AccountUnknown,
    CustomerUnknown,
    DateMalformed,
    JournalTypeReserved,
    VendorUnknown,
)
from finance.revaluing import Revaluing
from finance.settling import Settling
from finance.tables import Tables
from finance.taxes import Taxes, codes_of, confirmed, taxed
from finance.years import Years

DEEPEST_CHART = 10
CHART = "chart"
"""Held by whoever puts an account below another: two moves at once could make a circle that neither sees."""


class Books:
    """The commands. Every one takes an idempotency key: the same request again gets the same answer.

    All of them raise `Refused` when the rules say no and `Fault` when the world does; then nothing was written.
    """

    def __init__(
        self,
        *,
        store: Store,
        masterdata: MasterData,
        clock: Clock,
        new_id: Callable[[], str],
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._clerk = Clerk(store=store, masterdata=masterdata, clock=clock, new_id=new_id, pause=pause)
        self._store = store
        self._masterdata = masterdata
        self._clock = clock
        self._new_id = new_id
        self._run = self._clerk.run
        self.billing = Billing(self._clerk)
        self.settling = Settling(self._clerk)
        self.closing = Closing(self._clerk)
        self.governing = Governing(self._clerk)
        self.automating = Automating(self._clerk)
        self.banking = Banking(self._clerk)
        self.tables = Tables(self._clerk)
        self.taxes = Taxes(self._clerk)
        self.years = Years(self._clerk)
        self.revaluing = Revaluing(self._clerk)

    async def read(self, caller: Caller, kind: str, stream_id: str) -> Any:
        """The present state of a document from the log itself; None when the tenant has none of this id."""
        async with self._store.book(caller.tenant_id) as book:
            return (await book.load(kind, [stream_id])).get(stream_id)

    async def _change(self, caller: Caller, key: str, kind: str, stream_id: str, command: Any) -> Any:
        async def work(sheet: Sheet) -> tuple[str, Any]:
            await sheet.load(kind, stream_id)
            return kind, sheet.decide(kind, stream_id, command)

        return await self._run(caller, key, [kind, stream_id, str(type(command)), command], work)

    # Accounts

    async def create_account(
        self,
        caller: Caller,
        key: str,
        *,
        code: str,
        name: str,
        account_type: str,
        currency: str,
        parent_id: str | None,
    ) -> account.Account:
        async def work(sheet: Sheet) -> tuple[str, Any]:
            ancestors = await self._ancestors(sheet, parent_id)
            account_id = self._new_id()
            command = account.Create(
                account_id=account_id,
                code=code,
                name=name,
                account_type=account_type,
                currency=currency,
                parent=ancestors[0] if ancestors else None,
            )
            created = sheet.decide("account", account_id, command)
            try:
                await sheet.book.claim("account-code", code, account_id)
            except Claimed as error:
                raise AccountCodeTaken(f"It is {code}.") from error
            return "account", created

        request = ["create_account", code, name, account_type, currency, parent_id]
        found: account.Account = await self._run(caller, key, request, work)
        return found

    async def update_account(
        self, caller: Caller, key: str, account_id: str, *, name: str | None, parent_id: str | None
    ) -> account.Account:
        async def work(sheet: Sheet) -> tuple[str, Any]:
            await sheet.load("account", account_id)
            command = account.Update(name=name, ancestors=await self._ancestors(sheet, parent_id))
            return "account", sheet.decide("account", account_id, command)

        found: account.Account = await self._run(
            caller, key, ["update_account", account_id, name, parent_id], work
        )
        return found

    async def _ancestors(self, sheet: Sheet, parent_id: str | None) -> tuple[account.Account, ...]:
        """The parent and all above it, nearest first. Nobody moves an account or deactivates the parent until the end.

        Raises:
            AccountParentImpossible: an account below it would be too deep.
        """
        found: list[account.Account] = []
        if parent_id is None:
            return ()
        await sheet.book.hold([CHART], exclusively=True)
        await sheet.book.hold([parent_id], exclusively=False)
        above: str | None = parent_id
        while above is not None:
            found.append(await sheet.load("account", above))
            if len(found) == DEEPEST_CHART:
                raise AccountParentImpossible(f"A chart is at most {DEEPEST_CHART} deep.")
            above = found[-1].parent_id
        return tuple(found)

    async def deactivate_account(
        self, caller: Caller, key: str, account_id: str, *, reason: str
    ) -> account.Account:
        async def work(sheet: Sheet) -> tuple[str, Any]:
            await sheet.book.hold([account_id], exclusively=True)
            await sheet.load("account", account_id)
            command = account.Deactivate(
                reason=reason,
                holds_minor=await sheet.book.holding_minor(account_id),
                children=await sheet.book.active_children(account_id),
                needed=account_id in {chart.account_id(caller.tenant_id, code) for code in chart.NEEDED},
            )
            return "account", sheet.decide("account", account_id, command)

        found: account.Account = await self._run(
            caller, key, ["deactivate_account", account_id, reason], work
        )
        return found

    # Journal entries

    async def create_journal(
        self, caller: Caller, key: str, command: journal.Create, *, post: bool
    ) -> journal.Journal:
        """Draft an entry, and post it in the same transaction when asked to, and when nobody else has to agree."""

        async def work(sheet: Sheet) -> tuple[str, Any]:
            if command.journal_type == journal.CLOSING:
                raise JournalTypeReserved
            journal_id = self._new_id()
            sheet.decide("journal", journal_id, msgspec.structs.replace(command, journal_id=journal_id))
            await self._clerk.check_accounts(sheet, journal_id)
            if post:
                await entering.posted(self._clerk, sheet, journal_id, makers=(caller.user_id,))
            return "journal", sheet.states[journal_id]

        found: journal.Journal = await self._run(caller, key, ["create_journal", command, post], work)
        return found

    async def change_journal(
        self, caller: Caller, key: str, journal_id: str, command: journal.AddLine | journal.Update
    ) -> journal.Journal:
        async def work(sheet: Sheet) -> tuple[str, Any]:
            await sheet.load("journal", journal_id)
            sheet.decide("journal", journal_id, command)
            await self._clerk.check_accounts(sheet, journal_id)
            return "journal", sheet.states[journal_id]

        found: journal.Journal = await self._run(caller, key, [journal_id, str(type(command)), command], work)
        return found

    async def post_journal(self, caller: Caller, key: str, journal_id: str) -> journal.Journal:
        async def work(sheet: Sheet) -> tuple[str, Any]:
            await sheet.load("journal", journal_id)
            await entering.posted(self._clerk, sheet, journal_id)
            return "journal", sheet.states[journal_id]

        found: journal.Journal = await self._run(caller, key, ["post_journal", journal_id], work)
        return found

    async def reverse_journal(
        self, caller: Caller, key: str, journal_id: str, on: date, *, reason: str | None = None
    ) -> journal.Journal:
        """Post the mirror image of an entry; answers with it, or with the entry itself until enough people agree."""

        async def work(sheet: Sheet) -> tuple[str, Any]:
            await pairing.unmatched(sheet, journal_id)
            before: journal.Journal = await sheet.load("journal", journal_id)
            told = explained(await in_force(sheet), reason)
            if before.status == "POSTED" and before.document_id is None:
                about = whole(
                    "journal",
                    before,
                    before.journal_date,
                    worth_minor=before.worth_minor,
                    act=f"reverse on {on}",
                )
                await undoing(self._clerk, sheet, about)
            mirror = await self._clerk.reverse(sheet, journal_id, on, document_id=None, reason=told)
            return "journal", mirror

        request = ["reverse_journal", journal_id, on, *([] if reason is None else [reason])]
        found: journal.Journal = await self._run(caller, key, request, work)
        return found

    # Invoices

    async def create_invoice(
        self, caller: Caller, key: str, *, currency: str, terms: invoice.Terms
    ) -> invoice.Invoice:
        """Draft one. Master data is asked first, so that no transaction waits for it; a retry needs no answer of it."""
        verified = await self._clerk.verified(caller, "customers", terms.customer_id, CustomerUnknown)

        async def work(sheet: Sheet) -> tuple[str, Any]:
            known = verified()
            invoice_id = self._new_id()
            command = invoice.Create(
                invoice_id=invoice_id,
                currency=currency,
                terms=await taxed(
                    sheet, terms, day=terms.invoice_date, side=settlement.SALES, currency=currency
                ),
                customer_verified=known,
            )
            return "invoice", sheet.decide("invoice", invoice_id, command)

        found: invoice.Invoice = await self._run(caller, key, ["create_invoice", currency, terms], work)
        return found

    async def update_invoice(
        self,
        caller: Caller,
        key: str,
        invoice_id: str,
        *,
        asked: object,
        change: Callable[[invoice.Invoice], invoice.Terms],
    ) -> invoice.Invoice:
        """Change a draft; `change` makes the new terms from the present ones, `asked` is what it says."""

        async def work(sheet: Sheet) -> tuple[str, Any]:
            draft = await sheet.load("invoice", invoice_id)
            terms = change(draft)
            terms = await taxed(
                sheet, terms, day=terms.invoice_date, side=settlement.SALES, currency=draft.currency
            )
            if terms.customer_id != draft.terms.customer_id:
                verified = await self._masterdata.exists(caller, "customers", terms.customer_id)
                if verified is False:
                    raise CustomerUnknown(f"Found {terms.customer_id[:40]}.")
            return "invoice", sheet.decide("invoice", invoice_id, invoice.Update(terms=terms))

        found: invoice.Invoice = await self._run(caller, key, ["update_invoice", invoice_id, asked], work)
        return found

    async def approve_invoice(self, caller: Caller, key: str, invoice_id: str) -> invoice.Invoice:
        """Number it, and post its entry in the same transaction. It stays a draft until the last of several people."""
        tenant = caller.tenant_id
        receivable = chart.account_id(tenant, chart.RECEIVABLE)

        async def work(sheet: Sheet) -> tuple[str, Any]:
            draft: invoice.Invoice = await sheet.load("invoice", invoice_id)
            journal_id = self._new_id()
            day = draft.terms.invoice_date
            await sheet.admit(day, taxed=True)
            rate = await sheet.rate(draft.currency, day)
            await agreed(self._clerk, sheet, "invoice", invoice_id, day)
            company = await sheet.find("policy", policy.stream(tenant)) or policy.NONE_YET
            number, tax_number = "", None
            if draft.status == "DRAFT":
                await confirmed(sheet, draft.terms.lines, day)
                number = await sheet.number("INV", day)
                if company.tax_invoice_series is not None and codes_of(draft.terms.lines):
                    tax_number = await sheet.number(company.tax_invoice_series, day)
            entry = posting.of_invoice(tenant, draft, journal_id=journal_id, number=number, rate=rate)
            command = invoice.Approve(
                number=number,
                journal_id=journal_id,
                approved_by=caller.user_id,
                base_minor=None if rate is None else posting.worth(entry, receivable),
                tax_number=tax_number,
            )
            approved = sheet.decide("invoice", invoice_id, command, effective=day)
            await self._clerk.enter(sheet, entry)
            return "invoice", approved

        found: invoice.Invoice = await self._run(caller, key, ["approve_invoice", invoice_id], work)
        return found

    async def cancel_invoice(
        self, caller: Caller, key: str, invoice_id: str, *, reason: str, on: date | None = None
    ) -> invoice.Invoice:
        """Cancel it; an approved one's entry is reversed in the same transaction, on its day or `on` a later one."""

        async def work(sheet: Sheet) -> tuple[str, Any]:
            return "invoice", await cancelled(self._clerk, sheet, "invoice", invoice_id, reason=reason, on=on)

        found: invoice.Invoice = await self._run(
            caller, key, ["cancel_invoice", invoice_id, reason, on], work
        )
        return found

    # Payments

    async def create_payment(self, caller: Caller, key: str, command: payment.Create) -> payment.Payment:
        """Record money for a document, or on account of a partner that master data is asked about first."""
        kind, named = payment.partner_named(command)
        verified = None
        if kind == "customer":
            verified = await self._clerk.verified(caller, "customers", named, CustomerUnknown)
        if kind == "vendor":
            verified = await self._clerk.verified(caller, "vendors", named, VendorUnknown)

        async def work(sheet: Sheet) -> tuple[str, Any]:
            told = command.details.bank_account_id
            if told is not None and await self._money_account(sheet, told) is None:
                raise AccountUnknown(f"Found '{told[:40]}'.")
            payment_id = self._new_id()
            complete = msgspec.structs.replace(command, payment_id=payment_id)
            if verified is not None:
                verified()
            else:
                document = await sheet.load(kind, named)
                payable(document, command.amount, on=command.payment_date, excess=command.excess)
                complete = msgspec.structs.replace(
                    complete, side=document.side, partner_id=document.partner_id
                )
            return "payment", sheet.decide("payment", payment_id, complete)

        found: payment.Payment = await self._run(caller, key, ["create_payment", command], work)
        return found

    async def _money_account(self, sheet: Sheet, told: str) -> str | None:
        """The account that this is the id of, which money may be on; None when it is no account of these books.

        Raises:
            AccountNotMoney: it is another kind of account.
            AccountInactive: it is deactivated.
        """
        found: account.Account | None = await sheet.find("account", told) if is_uuid(told) else None
        if found is None:
            return None
        if not is_cash(found):
            raise AccountNotMoney(f"Found {found.code}.")
        if not found.active:
            raise AccountInactive(f"It is {found.code}.")
        return found.id

    async def update_payment(
        self, caller: Caller, key: str, payment_id: str, command: payment.Update
    ) -> payment.Payment:
        async def work(sheet: Sheet) -> tuple[str, Any]:
            before: payment.Payment = await sheet.load("payment", payment_id)
            changed: payment.Payment = sheet.decide("payment", payment_id, command)
            if before.document is not None:
                document = await sheet.load(*before.document)
                payable(document, changed.amount, on=changed.payment_date, excess=before.excess)
            return "payment", changed

        found: payment.Payment = await self._run(caller, key, ["update_payment", payment_id, command], work)
        return found

    async def complete_payment(
        self, caller: Caller, key: str, payment_id: str, *, transaction_reference: str
    ) -> payment.Payment:
        """Post it and credit its document, in one transaction. The document decides whether so much is open.

        Where it takes several people, it stays pending until the last of them.
        """

        async def work(sheet: Sheet) -> tuple[str, Any]:
            pending: payment.Payment = await sheet.load("payment", payment_id)
            paid, owed, partner_id = 0, 0, pending.partner_id
            if pending.document is not None:
                document = await sheet.load(*pending.document)
                partner_id, paid = document.partner_id, pending.amount_minor
                if pending.excess:
                    paid = min(paid, document.open_minor)
                owed = document.worth_minor(paid)
            assert partner_id is not None, "who pays no document is named"  # noqa: S101 - a bug, not a refusal
            day, currency = pending.payment_date, pending.currency
            await sheet.admit(day, taxed=False)
            if pending.document is not None:
                dated(document, day)
            rate = await sheet.rate(currency, day)
            told = pending.details.bank_account_id
            account_id = None if told is None else await self._money_account(sheet, told)
            await agreed(self._clerk, sheet, "payment", payment_id, day)
            journal_id = self._new_id()
            command = payment.Complete(
                transaction_reference=transaction_reference,
                journal_id=journal_id,
                account_id=account_id,
                number=None if pending.number else await sheet.number("PMT", day),
                base_minor=owed if paid and rate is not None else None,
                **worths(pending, paid, rate),
            )
            completed = sheet.decide("payment", payment_id, command, effective=day)
            if pending.document is not None and paid:
                record = invoice.RecordPayment(payment_id=payment_id, amount=Money(paid, currency))
                sheet.decide(*pending.document, record, effective=day)
            entry = posting.of_payment(
                caller.tenant_id,
                completed,
                journal_id=journal_id,
                partner_id=partner_id,
                rate=rate,
            )
            await self._clerk.enter(sheet, entry)
            return "payment", completed

        request = ["complete_payment", payment_id, transaction_reference]
        found: payment.Payment = await self._run(caller, key, request, work)
        return found

    async def fail_payment(self, caller: Caller, key: str, payment_id: str, reason: str) -> payment.Payment:
        found: payment.Payment = await self._change(
            caller, key, "payment", payment_id, payment.Fail(reason=reason)
        )
        return found

    async def reconcile_payment(
        self, caller: Caller, key: str, payment_id: str, bank_statement_transaction_id: str
    ) -> payment.Payment:
        """Tie it to a line that the bank told, by the line's id or the bank's reference."""
        return await self.banking.reconcile(caller, key, payment_id, bank_statement_transaction_id)

    async def reverse_payment(
        self, caller: Caller, key: str, payment_id: str, *, reason: str, on: date | None = None
    ) -> payment.Payment:
        """Take a completed payment back: reverse its entries and reopen what it paid, in one transaction.

        The reversals are of the day of its last entry, or of a later one, `on`.
        """

        async def work(sheet: Sheet) -> tuple[str, Any]:
            completed: payment.Payment = await sheet.load("payment", payment_id)
            paid = completed.credit.allocations
            for one in sorted(paid, key=lambda allocation: allocation.document_id):
                await sheet.load(one.document_kind, one.document_id)
            entries = [await sheet.load("journal", one) for one in completed.entries]
            day = on or max((entry.journal_date for entry in entries), default=completed.payment_date)
            if completed.status in {"COMPLETED", "RECONCILED"} and completed.match_id is None:
                worth, act = paid_minor(completed, entries), f"reverse on {day}"
                about = whole("payment", completed, completed.payment_date, worth_minor=worth, act=act)
                await undoing(self._clerk, sheet, about)
            mirrors = [
                await self._clerk.reverse(sheet, entry.id, day, document_id=payment_id) for entry in entries
            ]
            mirror_id = mirrors[0].id if mirrors else ""
            command = payment.Reverse(reason=reason, reversing_journal_id=mirror_id, reversed_on=day)
            taken_back = sheet.decide("payment", payment_id, command)
            for one in paid:
                withdraw = invoice.WithdrawPayment(
                    payment_id=payment_id,
                    amount=Money(one.amount_minor, completed.currency),
                    base_minor=one.document_base_minor,
                )
                sheet.decide(one.document_kind, one.document_id, withdraw)
            return "payment", taken_back

        found: payment.Payment = await self._run(
            caller, key, ["reverse_payment", payment_id, reason, on], work
        )
        return found


def dated(document: invoice.Invoice | voucher.Voucher, on: date) -> None:
    """Whether money of this day can pay a document at once: before its day nothing is owed.

    Raises:
        DateMalformed: it came before.
    """
    if on < document.dated:
        told = f"The money's {on} is before the {document.dated} of what it pays"
        raise DateMalformed(f"{told}: record it on account of the partner, and allocate it.")


def payable(document: invoice.Invoice | voucher.Voucher, amount: Money, *, on: date, excess: bool) -> None:
    """Whether this much can be paid on a document on a day; with `excess`, more than is open can.

    Raises:
        Refused: not approved, another currency, more than is open, or dated before it.
    """
    dated(document, on)
    if excess and amount.currency == document.currency:
        amount = Money(min(amount.minor, document.open_minor), amount.currency)
    module = voucher if isinstance(document, voucher.Voucher) else invoice
    module.payable(document, amount)


def worths(pending: payment.Payment, paid_minor: int, rate: Decimal | None) -> dict[str, Any]:
    """What of a payment pays no document, and what both parts are worth; together exactly what the whole is."""
    left_minor = pending.amount_minor - paid_minor
    if rate is None:
        return {"credit_minor": left_minor}
    whole = pending.amount.times(rate).minor
    left = Money(left_minor, pending.currency).times(rate).minor if paid_minor else whole
    return {"credit_minor": left_minor, "credit_base_minor": left, "worth_minor": whole - left}
