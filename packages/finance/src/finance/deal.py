"""One deal of a company from its first paper to its last money: the course that a sale or a purchase takes."""

from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from finance import invoice, payment, settlement, voucher
from finance.invoice import Line
from finance.money import Money, share
from finance.payment import Details
from finance.ports import Caller

MAKER, CHECKER = "seed-maker", "seed-checker"
"""Who drafts, and who makes binding: never the same."""

Ask = Callable[[Any, Caller, str], Awaitable[Any]]
"""A command: given the books, who gives it and its idempotency key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A command that is given on a day by somebody; what it posts is dated on `dated_on`."""

    on: date
    by: str
    ask: Ask
    dated_on: date


Course = Generator[Step, Any, None]


@dataclass(slots=True, kw_only=True)
class Ground:
    """What the courses found out: ids of accounts by code and of templates by name, money that moved, and lines that
    the bank told of it by month, with the payments that each is, and lines with charges of its own.
    """

    accounts: dict[str, str] = field(default_factory=dict)
    templates: dict[str, str] = field(default_factory=dict)
    moved: list[payment.Payment] = field(default_factory=list)
    told: dict[int, list[tuple[str, tuple[str, ...]]]] = field(default_factory=dict)
    charged: dict[int, list[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pay:
    """Money of a deal: so much of what is open by then. A bounced one is taken back and made good by a transfer."""

    on: date
    completed_on: date
    per_mille: int
    details: Details
    bounced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Deal:
    """An invoice or a bill, and what becomes of it. Days rise from the advance to the last payment."""

    name: str
    side: str
    partner_id: str
    currency: str
    dated_on: date
    recorded_on: date
    approved_on: date
    due_on: date
    lines: tuple[Line, ...]
    prices: str
    cancelled: bool
    credited_per_mille: int
    corrected_on: date
    advance_per_mille: int
    withheld_by: str | None
    excess_minor: int
    written_off: bool
    payments: tuple[Pay, ...]

    @property
    def sold(self) -> bool:
        return self.side == settlement.SALES

    @property
    def last_on(self) -> date:
        """No step of it is later."""
        return max([self.corrected_on, *(one.completed_on + timedelta(days=4) for one in self.payments)])

    def documents(self, until: date) -> int:
        """How many documents and payments it makes that are dated until a day."""
        made = 1 + bool(self.advance_per_mille)
        made += bool(self.credited_per_mille) and self.corrected_on <= until
        return made + sum(1 + one.bounced for one in self.payments if one.on <= until)

    def course(self, ground: Ground) -> Course:
        """From the draft to whatever becomes of it."""
        advance = yield from self._advance(ground)
        drafted = yield self._step(self.recorded_on, self._draft(ground), dated_on=self.dated_on)
        approve = _approve_invoice if self.sold else _approve_voucher
        yield self._step(self.approved_on, approve(drafted.id), by=CHECKER, dated_on=self.dated_on)
        if self.cancelled:
            yield self._step(self.approved_on, self._cancel(drafted.id), by=CHECKER, dated_on=self.dated_on)
            return
        left_minor: int = drafted.total_minor
        left_minor -= yield from self._correct(drafted)
        if advance is not None:
            used = min(advance.amount_minor, left_minor)
            yield self._step(
                self.corrected_on, _allocate("payment", advance.id, drafted, used, self.corrected_on)
            )
            left_minor -= used
        left_minor -= yield from self._withheld(drafted)
        for number, pay in enumerate(self.payments):
            minor = share(left_minor, pay.per_mille, 1000)
            last = number == len(self.payments) - 1 and pay.per_mille == 1000
            left_minor -= yield from self._pay(ground, drafted, pay, minor, last=last)

    def _step(self, on: date, ask: Ask, *, by: str = MAKER, dated_on: date | None = None) -> Step:
        return Step(on=on, by=by, ask=ask, dated_on=dated_on or on)

    def _draft(self, ground: Ground) -> Ask:
        lines = tuple(
            msgspec.structs.replace(line, account_id=ground.accounts[line.account_id or ""])
            for line in self.lines
        )
        if self.sold:
            terms = invoice.Terms(
                customer_id=self.partner_id,
                invoice_date=self.dated_on,
                due_date=self.due_on,
                lines=lines,
                prices=self.prices,
            )
            return lambda books, caller, key: books.create_invoice(
                caller, key, currency=self.currency, terms=terms
            )
        return self._voucher(voucher.BILL, lines, self.dated_on, reference=f"V-{self.name}")

    def _voucher(self, kind: str, lines: tuple[Line, ...], day: date, **terms: Any) -> Ask:
        said = voucher.Terms(
            partner_id=self.partner_id,
            voucher_date=day,
            due_date=max(day, self.due_on) if kind == voucher.BILL else day,
            lines=lines,
            **terms,
        )
        command = voucher.Create(voucher_id="", kind=kind, currency=self.currency, terms=said)
        return lambda books, caller, key: books.billing.create(caller, key, command)

    def _cancel(self, document_id: str) -> Ask:
        reason = "the order was withdrawn"
        if self.sold:
            return lambda books, caller, key: books.cancel_invoice(caller, key, document_id, reason=reason)
        return lambda books, caller, key: books.billing.cancel(
            caller, key, document_id, reason=reason, on=None
        )

    def _advance(self, ground: Ground) -> Generator[Step, Any, payment.Payment | None]:
        """Money before the document, on account of the partner."""
        if not self.advance_per_mille:
            return None
        amount = Money(sum(line.amount_minor for line in self.lines), self.currency)
        command = payment.Create(
            payment_id="",
            amount=Money(share(amount.minor, self.advance_per_mille, 1000), self.currency),
            payment_date=self.dated_on,
            details=Details(method="BANK_TRANSFER"),
            customer_id=self.partner_id if self.sold else None,
            vendor_id=None if self.sold else self.partner_id,
        )
        return (yield from self._moved(ground, command, self.dated_on))

    def _moved(
        self, ground: Ground, command: payment.Create, completed_on: date
    ) -> Generator[Step, Any, payment.Payment]:
        """A payment, recorded by one and completed by another."""
        day = command.payment_date
        made = yield self._step(day, lambda books, caller, key: books.create_payment(caller, key, command))
        complete = _complete(made.id, f"TRX-{self.name}")
        done: payment.Payment = yield self._step(completed_on, complete, by=CHECKER, dated_on=day)
        ground.moved.append(done)
        return done

    def _correct(self, drafted: Any) -> Generator[Step, Any, int]:
        """A credit note, spent on the document it corrects; how much it took away."""
        if not self.credited_per_mille:
            return 0
        one: Line = drafted.terms.lines[0]
        line = invoice.line(
            description=f"{one.description}: returned",
            quantity=Decimal(1),
            unit_price=Money(max(1, share(one.amount_minor, self.credited_per_mille, 1000)), self.currency),
            vat_category="STANDARD",
            product_id=None,
            account_id=one.account_id,
            tax_codes=one.tax_codes,
        )
        day = self.corrected_on
        kind = voucher.CREDIT_NOTE if self.sold else voucher.VENDOR_CREDIT
        said = {"corrects_id": drafted.id, "reason": "goods were returned"}
        note = yield self._step(day, self._voucher(kind, (line,), day, **said))
        yield self._step(day, _approve_voucher(note.id), by=CHECKER)
        yield self._step(day, _allocate("voucher", note.id, drafted, note.total_minor, day))
        return int(note.total_minor)

    def _withheld(self, drafted: Any) -> Generator[Step, Any, int]:
        """Tax that is kept back against a certificate when the first money moves; how much."""
        if self.withheld_by is None or not self.payments:
            return 0
        settle = _settle(
            settlement.WITHHOLDING,
            drafted,
            self.payments[0].on,
            told=f"C-{self.name}",
            tax_code=self.withheld_by,
        )
        settled = yield self._step(self.payments[0].on, settle, by=CHECKER)
        return int(settled.settlements[-1].amount_minor)

    def _pay(
        self, ground: Ground, drafted: Any, pay: Pay, minor: int, *, last: bool
    ) -> Generator[Step, Any, int]:
        """A payment of so much; the last may be more than is open, or leave a trifle that is written off."""
        if minor < 100:
            return 0
        kept = min(50_00, minor // 100) if last and self.written_off else 0
        more = self.excess_minor if last and not kept else 0
        command = payment.Create(
            payment_id="",
            amount=Money(minor - kept + more, self.currency),
            payment_date=pay.on,
            details=pay.details,
            excess=more > 0,
            invoice_id=drafted.id if self.sold else None,
            voucher_id=None if self.sold else drafted.id,
        )
        done = yield from self._moved(ground, command, pay.completed_on)
        if pay.bounced:
            ground.moved.remove(done)
            day = pay.completed_on + timedelta(days=2)
            yield self._step(day, _reverse(done.id, day), by=CHECKER)
            again = msgspec.structs.replace(
                command, payment_date=day, details=Details(method="BANK_TRANSFER")
            )
            yield from self._moved(ground, again, day)
        if kept:
            day = pay.completed_on + timedelta(days=4)
            told = "too small to be worth a letter"
            yield self._step(
                day, _settle(settlement.WRITE_OFF, drafted, day, told=told, minor=kept), by=CHECKER
            )
        return minor


def _approve_invoice(invoice_id: str) -> Ask:
    return lambda books, caller, key: books.approve_invoice(caller, key, invoice_id)


def _approve_voucher(voucher_id: str) -> Ask:
    return lambda books, caller, key: books.billing.approve(caller, key, voucher_id)


def _complete(payment_id: str, reference: str) -> Ask:
    return lambda books, caller, key: books.complete_payment(
        caller, key, payment_id, transaction_reference=reference
    )


def _reverse(payment_id: str, day: date) -> Ask:
    return lambda books, caller, key: books.reverse_payment(
        caller, key, payment_id, reason="the cheque bounced", on=day
    )


def _allocate(kind: str, credit_id: str, document: Any, minor: int, day: date) -> Ask:
    amount = Money(minor, document.currency)
    return lambda books, caller, key: books.settling.allocate(
        caller, key, kind, credit_id, document_id=document.id, amount=amount, on=day
    )


def _settle(
    kind: str, document: Any, day: date, *, told: str, minor: int | None = None, tax_code: str | None = None
) -> Ask:
    amount = None if minor is None else Money(minor, document.currency)
    return lambda books, caller, key: books.settling.settle(
        caller, key, kind, document.id, amount=amount, told=told, on=day, tax_code=tax_code
    )
