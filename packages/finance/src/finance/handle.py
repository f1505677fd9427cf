"""Commands on the books: load, decide, append, remember - one transaction each, repeated when others were faster.

The only module that turns a request into events. The rules are in the aggregates; what is here is order: which
streams a command touches, which numbers it draws, and that documents and their entries stand or fall together.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import msgspec

from finance import account, fiscal, invoice, journal, payment, posting
from finance.events import KINDS
from finance.ports import Append, Book, Caller, Claimed, Clock, Conflict, Contended, Fault, MasterData, Store
from finance.refusal import (
    AccountCodeTaken,
    AccountInactive,
    AccountParentImpossible,
    AccountUnknown,
    CurrencyMismatch,
    CustomerUnknown,
    NotFound,
)

ATTEMPTS = 12
PAUSE_S = 0.004
DEEPEST_CHART = 10
CHART = "chart"
"""Held by whoever puts an account below another: two moves at once could make a circle that neither sees."""
Work = Callable[["Sheet"], Awaitable[tuple[str, Any]]]


@dataclass(slots=True)
class Sheet:
    """What a command has decided so far: streams as they will be, and the events that make them so.

    A `careful` one waits for others who change the same streams: an attempt that follows a conflict queues.
    Streams are loaded before the first number is drawn: drawing gives the transaction its place in the log, and a
    stream that somebody changed after that would be read in the wrong order.
    """

    book: Book
    caller: Caller
    careful: bool = False
    numbered: bool = False
    states: dict[str, Any] = field(default_factory=dict)
    events: list[Append] = field(default_factory=list)

    async def load(self, kind: str, stream_id: str) -> Any:
        """The present state of a stream.

        Raises:
            NotFound: there is none of this kind.
        """
        if stream_id not in self.states:
            assert not self.numbered, "load first, then draw"  # noqa: S101 - a bug, not a refusal
            if self.careful:
                await self.book.hold_stream(stream_id)
            self.states.update(await self.book.load(kind, [stream_id]))
        if stream_id not in self.states:
            raise NotFound(f"No {kind} has the id {stream_id[:40]}.")
        return self.states[stream_id]

    def decide(self, kind: str, stream_id: str, command: Any, *, effective: date | None = None) -> Any:
        """Let the aggregate decide, and keep what it says. Returns the state after it."""
        module = KINDS[kind]
        state = self.states.get(stream_id)
        for event in module.decide(state, command):
            version = 1 if state is None else state.version + 1
            state = module.evolve(state, event)
            self.events.append(
                Append(kind=kind, stream_id=stream_id, version=version, event=event, effective_date=effective)
            )
        self.states[stream_id] = state
        return state

    async def number(self, prefix: str, day: date) -> str:
        """Draw the next number of a series: INV-2026-11-23-000042, counted per fiscal year."""
        drawn = await self._draw(prefix, day)
        return f"{prefix}-{day.isoformat()}-{drawn:06d}"

    async def journal_number(self, entry: journal.Journal) -> str:
        prefix = journal.PREFIXES[entry.journal_type]
        drawn = await self._draw(prefix, entry.journal_date)
        return f"{prefix}-{entry.journal_date.isoformat()[:7]}-{drawn:06d}"

    async def _draw(self, series: str, day: date) -> int:
        self.numbered = True
        return await self.book.draw(series, fiscal.year(day))


class Books:
    """The commands. Every one takes an idempotency key: the same request again gets the same answer.

    All of them raise `Refused` when the rules say no and `Fault` when the world does; then nothing was written.
    """

    def __init__(
        self, *, store: Store, masterdata: MasterData, clock: Clock, new_id: Callable[[], str]
    ) -> None:
        self._store = store
        self._masterdata = masterdata
        self._clock = clock
        self._new_id = new_id

    async def read(self, caller: Caller, kind: str, stream_id: str) -> Any:
        """The present state of a document from the log itself; None when the tenant has none of this id."""
        async with self._store.book(caller.tenant_id) as book:
            return (await book.load(kind, [stream_id])).get(stream_id)

    async def _run(self, caller: Caller, key: str, request: Sequence[Any], work: Work) -> Any:
        digest = hashlib.sha256(msgspec.json.encode([*request, caller.user_id], enc_hook=str)).digest()
        for attempt in range(ATTEMPTS):
            try:
                async with self._store.book(caller.tenant_id) as book:
                    answered = await book.recall(key, digest)
                    if answered is not None:
                        return answered[1]
                    sheet = Sheet(book, caller, careful=attempt > 0)
                    kind, state = await work(sheet)
                    await book.append(sheet.events, actor=caller.user_id)
                    await book.remember(key, digest, kind, state)
                return state  # noqa: TRY300 - the answer stands only once the transaction is committed
            except Conflict:
                await asyncio.sleep(PAUSE_S * (1 + attempt))
        raise Contended(f"{ATTEMPTS} attempts were not enough")

    async def _create(self, caller: Caller, key: str, kind: str, command: Any, request: Sequence[Any]) -> Any:
        async def work(sheet: Sheet) -> tuple[str, Any]:
            return kind, sheet.decide(kind, self._new_id(), command)

        return await self._run(caller, key, request, work)

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
        await sheet.book.hold_accounts([CHART], exclusively=True)
        await sheet.book.hold_accounts([parent_id], exclusively=False)
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
            await sheet.book.hold_accounts([account_id], exclusively=True)
            await sheet.load("account", account_id)
            command = account.Deactivate(
                reason=reason,
                holds_minor=await sheet.book.holding_minor(account_id),
                children=await sheet.book.active_children(account_id),
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
        """Draft an entry, and post it in the same transaction when asked to."""

        async def work(sheet: Sheet) -> tuple[str, Any]:
            journal_id = self._new_id()
            sheet.decide("journal", journal_id, msgspec.structs.replace(command, journal_id=journal_id))
            await self._check_accounts(sheet, journal_id)
            if post:
                await self._post(sheet, journal_id)
            return "journal", sheet.states[journal_id]

        found: journal.Journal = await self._run(caller, key, ["create_journal", command, post], work)
        return found

    async def change_journal(
        self, caller: Caller, key: str, journal_id: str, command: journal.AddLine | journal.Update
    ) -> journal.Journal:
        async def work(sheet: Sheet) -> tuple[str, Any]:
            await sheet.load("journal", journal_id)
            sheet.decide("journal", journal_id, command)
            await self._check_accounts(sheet, journal_id)
            return "journal", sheet.states[journal_id]

        found: journal.Journal = await self._run(caller, key, [journal_id, str(type(command)), command], work)
        return found

    async def post_journal(self, caller: Caller, key: str, journal_id: str) -> journal.Journal:
        async def work(sheet: Sheet) -> tuple[str, Any]:
            await sheet.load("journal", journal_id)
            await self._post(sheet, journal_id)
            return "journal", sheet.states[journal_id]

        found: journal.Journal = await self._run(caller, key, ["post_journal", journal_id], work)
        return found

    async def reverse_journal(self, caller: Caller, key: str, journal_id: str, on: date) -> journal.Journal:
        """Post the mirror image of an entry; answers with the new entry."""

        async def work(sheet: Sheet) -> tuple[str, Any]:
            await sheet.load("journal", journal_id)
            return "journal", await self._reverse(sheet, journal_id, on, document_id=None)

        found: journal.Journal = await self._run(caller, key, ["reverse_journal", journal_id, on], work)
        return found

    async def _check_accounts(self, sheet: Sheet, journal_id: str) -> None:
        """That every line's account is there, active and of the entry's currency, and stays so until the end."""
        entry: journal.Journal = sheet.states[journal_id]
        ids = sorted({line.account_id for line in entry.lines})
        await sheet.book.hold_accounts(ids, exclusively=False)
        found = await sheet.book.load("account", ids)
        for account_id in ids:
            one = found.get(account_id)
            if one is None:
                raise AccountUnknown(f"Found {account_id[:40]}.")
            if not one.active:
                raise AccountInactive(f"It is {one.code}.")
            if one.currency != entry.currency:
                raise CurrencyMismatch(f"{one.code} is in {one.currency}, the entry in {entry.currency}.")

    async def _post(self, sheet: Sheet, journal_id: str) -> journal.Journal:
        entry: journal.Journal = sheet.states[journal_id]
        draft = entry.status == "DRAFT"  # a refusal needs no number
        command = journal.Post(
            number=await sheet.journal_number(entry) if draft else "",
            posted_at=self._clock.now(),
            posted_by=sheet.caller.user_id,
        )
        posted: journal.Journal = sheet.decide("journal", journal_id, command, effective=entry.journal_date)
        await self._check_accounts(sheet, journal_id)
        return posted

    async def _enter(self, sheet: Sheet, command: journal.Create) -> journal.Journal:
        """Draft and post an entry."""
        sheet.decide("journal", command.journal_id, command)
        return await self._post(sheet, command.journal_id)

    async def _reverse(
        self, sheet: Sheet, journal_id: str, on: date, *, document_id: str | None
    ) -> journal.Journal:
        mirror_id = self._new_id()
        command = journal.Reverse(by_journal_id=mirror_id, document_id=document_id)
        reversed_entry = sheet.decide("journal", journal_id, command)
        return await self._enter(sheet, journal.mirror(reversed_entry, journal_id=mirror_id, on=on))

    # Invoices

    async def create_invoice(
        self, caller: Caller, key: str, *, currency: str, terms: invoice.Terms
    ) -> invoice.Invoice:
        """Draft one. Master data is asked first, so that no transaction waits for it; a retry needs no answer of it."""
        fault: Fault | None = None
        verified: bool | None = None
        try:
            verified = await self._masterdata.customer_exists(caller, terms.customer_id)
        except Fault as error:
            fault = error

        async def work(sheet: Sheet) -> tuple[str, Any]:
            if fault is not None:
                raise fault
            if verified is False:
                raise CustomerUnknown(f"Found {terms.customer_id[:40]}.")
            invoice_id = self._new_id()
            command = invoice.Create(
                invoice_id=invoice_id,
                currency=currency,
                terms=terms,
                customer_verified=verified is True,
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
            if terms.customer_id != draft.terms.customer_id:
                verified = await self._masterdata.customer_exists(caller, terms.customer_id)
                if verified is False:
                    raise CustomerUnknown(f"Found {terms.customer_id[:40]}.")
            return "invoice", sheet.decide("invoice", invoice_id, invoice.Update(terms=terms))

        found: invoice.Invoice = await self._run(caller, key, ["update_invoice", invoice_id, asked], work)
        return found

    async def approve_invoice(self, caller: Caller, key: str, invoice_id: str) -> invoice.Invoice:
        """Number it, and post its entry in the same transaction."""

        async def work(sheet: Sheet) -> tuple[str, Any]:
            draft: invoice.Invoice = await sheet.load("invoice", invoice_id)
            journal_id = self._new_id()
            day = draft.terms.invoice_date
            number = await sheet.number("INV", day) if draft.status == "DRAFT" else ""
            command = invoice.Approve(number=number, journal_id=journal_id, approved_by=caller.user_id)
            approved = sheet.decide("invoice", invoice_id, command, effective=day)
            entry = posting.of_invoice(caller.tenant_id, approved, journal_id=journal_id, number=number)
            await self._enter(sheet, entry)
            return "invoice", approved

        found: invoice.Invoice = await self._run(caller, key, ["approve_invoice", invoice_id], work)
        return found

    async def cancel_invoice(
        self, caller: Caller, key: str, invoice_id: str, *, reason: str
    ) -> invoice.Invoice:
        """Cancel it; an approved one's entry is reversed in the same transaction."""

        async def work(sheet: Sheet) -> tuple[str, Any]:
            found: invoice.Invoice = await sheet.load("invoice", invoice_id)
            if found.journal_id is None or found.cancelled or found.paid_minor:
                command = invoice.Cancel(reason=reason, reversing_journal_id=None)
                return "invoice", sheet.decide("invoice", invoice_id, command)
            await sheet.load("journal", found.journal_id)
            mirror = await self._reverse(
                sheet, found.journal_id, found.terms.invoice_date, document_id=invoice_id
            )
            command = invoice.Cancel(reason=reason, reversing_journal_id=mirror.id)
            return "invoice", sheet.decide("invoice", invoice_id, command)

        cancelled: invoice.Invoice = await self._run(
            caller, key, ["cancel_invoice", invoice_id, reason], work
        )
        return cancelled

    # Payments

    async def create_payment(self, caller: Caller, key: str, command: payment.Create) -> payment.Payment:
        async def work(sheet: Sheet) -> tuple[str, Any]:
            paid: invoice.Invoice = await sheet.load("invoice", command.invoice_id)
            invoice.payable(paid, command.amount)
            payment_id = self._new_id()
            complete = msgspec.structs.replace(
                command, payment_id=payment_id, number=await sheet.number("PMT", command.payment_date)
            )
            return "payment", sheet.decide("payment", payment_id, complete)

        found: payment.Payment = await self._run(caller, key, ["create_payment", command], work)
        return found

    async def update_payment(
        self, caller: Caller, key: str, payment_id: str, command: payment.Update
    ) -> payment.Payment:
        async def work(sheet: Sheet) -> tuple[str, Any]:
            before: payment.Payment = await sheet.load("payment", payment_id)
            changed: payment.Payment = sheet.decide("payment", payment_id, command)
            invoice.payable(await sheet.load("invoice", before.invoice_id), changed.amount)
            return "payment", changed

        found: payment.Payment = await self._run(caller, key, ["update_payment", payment_id, command], work)
        return found

    async def complete_payment(
        self, caller: Caller, key: str, payment_id: str, *, transaction_reference: str
    ) -> payment.Payment:
        """Post it and credit the invoice, in one transaction. The invoice decides whether so much is open."""

        async def work(sheet: Sheet) -> tuple[str, Any]:
            pending: payment.Payment = await sheet.load("payment", payment_id)
            journal_id = self._new_id()
            command = payment.Complete(transaction_reference=transaction_reference, journal_id=journal_id)
            day = pending.payment_date
            completed = sheet.decide("payment", payment_id, command, effective=day)
            await sheet.load("invoice", pending.invoice_id)
            record = invoice.RecordPayment(payment_id=payment_id, amount=pending.amount)
            sheet.decide("invoice", pending.invoice_id, record, effective=day)
            await self._enter(sheet, posting.of_payment(caller.tenant_id, completed, journal_id=journal_id))
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
        async def work(sheet: Sheet) -> tuple[str, Any]:
            await sheet.load("payment", payment_id)
            command = payment.Reconcile(
                bank_statement_transaction_id=bank_statement_transaction_id,
                reconciled_at=self._clock.now(),
            )
            return "payment", sheet.decide("payment", payment_id, command)

        request = ["reconcile_payment", payment_id, bank_statement_transaction_id]
        found: payment.Payment = await self._run(caller, key, request, work)
        return found

    async def reverse_payment(
        self, caller: Caller, key: str, payment_id: str, *, reason: str
    ) -> payment.Payment:
        """Take a completed payment back: reverse its entry and reopen the invoice, in one transaction."""

        async def work(sheet: Sheet) -> tuple[str, Any]:
            completed: payment.Payment = await sheet.load("payment", payment_id)
            await sheet.load("invoice", completed.invoice_id)
            mirror_id = ""
            if completed.journal_id is not None and completed.status in {"COMPLETED", "RECONCILED"}:
                await sheet.load("journal", completed.journal_id)
                mirror = await self._reverse(
                    sheet, completed.journal_id, completed.payment_date, document_id=payment_id
                )
                mirror_id = mirror.id
            command = payment.Reverse(reason=reason, reversing_journal_id=mirror_id)
            taken_back = sheet.decide("payment", payment_id, command)
            withdraw = invoice.WithdrawPayment(payment_id=payment_id, amount=completed.amount)
            sheet.decide("invoice", completed.invoice_id, withdraw)
            return "payment", taken_back

        found: payment.Payment = await self._run(caller, key, ["reverse_payment", payment_id, reason], work)
        return found
