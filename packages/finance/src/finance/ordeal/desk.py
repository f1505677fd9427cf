"""How the real books are asked for what the model is asked for: names become ids, numbers become money and dates."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

import msgspec

from finance import (
    authority,
    banking,
    bankline,
    chart,
    folder,
    invoice,
    journal,
    payment,
    rate,
    settlement,
    tax,
    template,
    voucher,
)
from finance.bank_file import Columns
from finance.handle import Books
from finance.money import Money, plain
from finance.ordeal.model import Who
from finance.ordeal.world import Asked
from finance.period import CLOSER
from finance.ports import Caller

MAKERS: Final = frozenset({"draft", "pay", "write", "reverse", "plan"})
"""Verbs that make something, which gets the `name` that is given."""

NOBODY: Final = "00000000-0000-7000-8000-00000000dead"
"""An id that nothing has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request: its verb and what is given, by whom of which company, under which idempotency key."""

    verb: str
    given: dict[str, Any]
    tenant: str
    who: Who
    key: str
    rehearsing: bool = False

    def __str__(self) -> str:
        told = ", ".join(f"{name}={_told(value)}" for name, value in self.given.items())
        dry = ", dry run" if self.rehearsing else ""
        return f"{self.tenant[:2]} {self.who.name}: {self.verb}({told}){dry} [{self.key}]"


def is_nowhere(ask: Ask, answer: Any) -> bool:
    """Whether it is a draft that is kept nowhere: of a revaluation that waits for others."""
    return ask.verb == "revalue" and answer.status == "DRAFT"


def _told(value: Any) -> str:
    if isinstance(value, list):
        return "[" + "; ".join(_told(one) for one in value) + "]"
    if isinstance(value, dict):
        return " ".join(f"{one}" for one in value.values() if one not in {None, ()})
    return str(value)


def partner_id(name: str) -> str:
    return str(uuid5(NAMESPACE_URL, name))


@dataclass(slots=True)
class Desk:
    """Asks the books. `ids` are of what was made, by name; `names` the other way round, with the company.

    `state_of` is a stream's present state; `parts_of` are the ids of all allocations of a credit, or settlements of a
    debt, that there ever were.
    """

    books: Books
    tenants: tuple[str, str]
    state_of: Callable[[str], Any]
    parts_of: Callable[[str], Sequence[str]]
    ids: dict[str, str] = field(default_factory=dict)
    names: dict[str, tuple[str, str]] = field(default_factory=dict)
    accounts: dict[tuple[str, str], str] = field(default_factory=dict)

    def account(self, tenant: str, code: str) -> str:
        """An account's id; `~1000` is that of the other company, so that here there must be no such account."""
        if code.startswith("~"):
            return chart.account_id(next(one for one in self.tenants if one != tenant), code[1:])
        own = self.accounts.get((tenant, code))
        return own or chart.account_id(tenant, code)

    def made(self, ask: Ask, answer: Any) -> None:
        """Keep the id of what a request made."""
        name = ask.given.get("name")
        is_new = getattr(answer, "id", None) not in {
            None,
            *self.names,
        }  # what waits for others is what it was
        if name is not None and name not in self.ids and is_new:
            self.ids[name] = answer.id
            self.names[answer.id] = (ask.tenant, name)
        if ask.verb == "open_account":
            self.accounts[ask.tenant, ask.given["code"]] = answer.id
        if ask.verb == "bring":
            account = ask.given["account"]
            for reference, *_ in ask.given["rows"]:
                one = bankline.stream(ask.tenant, self.account(ask.tenant, account), reference)
                self.ids[f"{account}/{reference}"] = one
                self.names[one] = (ask.tenant, f"{account}/{reference}")

    def ask(self, ask: Ask) -> Asked:
        """The request, to be given turns."""
        held = {CLOSER: ask.who.closer, authority.SENIOR: ask.who.senior}
        permissions = frozenset(name for name, is_held in held.items() if is_held)
        caller = Caller(
            user_id=ask.who.name,
            tenant_id=ask.tenant,
            permissions=permissions,
            token="none",  # noqa: S106 - there is none
            rehearsing=ask.rehearsing,
        )
        given = {what: one for what, one in ask.given.items() if what != "name" or ask.verb not in MAKERS}
        work: Asked = getattr(self, ask.verb)(caller, ask.key, **given)
        return work

    # Accounts

    def open_account(
        self, caller: Caller, key: str, *, code: str, title: str, kind: str, currency: str, parent: str | None
    ) -> Asked:
        above = None if parent is None else self.account(caller.tenant_id, parent)
        return self.books.create_account(
            caller, key, code=code, name=title, account_type=kind, currency=currency, parent_id=above
        )

    def close_account(self, caller: Caller, key: str, *, code: str, reason: str) -> Asked:
        return self.books.deactivate_account(caller, key, self.account(caller.tenant_id, code), reason=reason)

    # Documents

    def _lines(self, tenant: str, lines: list[dict[str, Any]], currency: str) -> tuple[invoice.Line, ...]:
        return tuple(
            invoice.line(
                description="Rice",
                quantity=Decimal(line["quantity"]) / 1000,
                unit_price=Money(line["price"], currency),
                vat_category=line["category"],
                product_id=None,
                account_id=self.account(tenant, line["account"]) if line["account"] else None,
                tax_codes=line["codes"],
            )
            for line in lines
        )

    def draft(self, caller: Caller, key: str, *, kind: str, partner: str, **terms: Any) -> Asked:
        currency, tenant = terms["currency"], caller.tenant_id
        common = {
            "due_date": terms["due"],
            "lines": self._lines(tenant, terms["lines"], currency),
            "prices": terms["prices"],
            "rounding": terms["rounding"],
        }
        if kind == "INVOICE":
            made = invoice.Terms(customer_id=partner_id(partner), invoice_date=terms["day"], **common)
            return self.books.create_invoice(caller, key, currency=currency, terms=made)
        corrects = terms["corrects"]
        given = voucher.Terms(
            partner_id=partner_id(partner),
            voucher_date=terms["day"],
            reference=terms["reference"],
            reason=terms["reason"],
            corrects_id=None if corrects is None else self.ids.get(corrects, NOBODY),
            **common,
        )
        command = voucher.Create(voucher_id="", kind=kind, currency=currency, terms=given)
        return self.books.billing.create(caller, key, command)

    def redraft(
        self, caller: Caller, key: str, *, name: str, lines: list[dict[str, Any]], day: date
    ) -> Asked:
        tenant, one, asked = caller.tenant_id, self.ids.get(name, NOBODY), [str(lines), day]

        def change(draft: Any, dated: str) -> Any:
            made = self._lines(tenant, lines, draft.currency)
            return msgspec.structs.replace(draft.terms, lines=made, **{dated: day})

        if name.startswith("I"):
            invoice_change = partial(change, dated="invoice_date")
            return self.books.update_invoice(caller, key, one, asked=asked, change=invoice_change)
        voucher_change = partial(change, dated="voucher_date")
        return self.books.billing.update(caller, key, one, asked=asked, change=voucher_change)

    def approve(self, caller: Caller, key: str, *, name: str) -> Asked:
        one = self.ids.get(name, NOBODY)
        if name.startswith("I"):
            return self.books.approve_invoice(caller, key, one)
        return self.books.billing.approve(caller, key, one)

    def cancel(self, caller: Caller, key: str, *, name: str, reason: str, on: date | None) -> Asked:
        one = self.ids.get(name, NOBODY)
        if name.startswith("I"):
            return self.books.cancel_invoice(caller, key, one, reason=reason, on=on)
        return self.books.billing.cancel(caller, key, one, reason=reason, on=on)

    # Money

    def pay(
        self,
        caller: Caller,
        key: str,
        *,
        target: str | None,
        partner: str | None,
        minor: int,
        currency: str,
        day: date,
        method: str,
        excess: bool,
    ) -> Asked:
        one = None if target is None else self.ids.get(target, NOBODY)
        is_invoice = target is not None and target.startswith("I")
        who = None if target or partner is None else partner_id(partner)
        is_vendor = partner is not None and partner.startswith("V")
        details = payment.Details(
            method=method, check_number="7", wallet_provider="BKASH", mobile_number="01712345678"
        )
        command = payment.Create(
            payment_id="",
            amount=Money(minor, currency),
            payment_date=day,
            details=details,
            invoice_id=one if is_invoice else None,
            voucher_id=None if is_invoice else one,
            customer_id=None if is_vendor else who,
            vendor_id=who if is_vendor else None,
            excess=excess,
        )
        return self.books.create_payment(caller, key, command)

    def complete(self, caller: Caller, key: str, *, name: str, reference: str) -> Asked:
        one = self.ids.get(name, NOBODY)
        return self.books.complete_payment(caller, key, one, transaction_reference=reference)

    def fail(self, caller: Caller, key: str, *, name: str, reason: str) -> Asked:
        return self.books.fail_payment(caller, key, self.ids.get(name, NOBODY), reason)

    def take_back(self, caller: Caller, key: str, *, name: str, reason: str, on: date | None) -> Asked:
        return self.books.reverse_payment(caller, key, self.ids.get(name, NOBODY), reason=reason, on=on)

    # What pays what

    def allocate(
        self, caller: Caller, key: str, *, credit: str, debt: str, minor: int, on: date | None
    ) -> Asked:
        one = self.ids.get(credit, NOBODY)
        state = self.state_of(one)
        return self.books.settling.allocate(
            caller,
            key,
            "payment" if credit.startswith("P") else "voucher",
            one,
            document_id=self.ids.get(debt, NOBODY),
            amount=Money(minor, "BDT" if state is None else state.currency),
            on=on,
        )

    def unallocate(
        self, caller: Caller, key: str, *, credit: str, number: int, reason: str, on: date | None
    ) -> Asked:
        one = self.ids.get(credit, NOBODY)
        return self.books.settling.unallocate(
            caller,
            key,
            "payment" if credit.startswith("P") else "voucher",
            one,
            allocation_id=self._part(one, number),
            reason=reason,
            on=on,
        )

    def settle(
        self,
        caller: Caller,
        key: str,
        *,
        kind: str,
        debt: str,
        minor: int | None,
        told: str,
        on: date,
        code: str | None,
    ) -> Asked:
        one = self.ids.get(debt, NOBODY)
        state = self.state_of(one)
        currency = "BDT" if state is None else state.currency
        return self.books.settling.settle(
            caller,
            key,
            settlement.WRITE_OFF if kind == "WRITE_OFF" else settlement.WITHHOLDING,
            one,
            amount=None if minor is None else Money(minor, currency),
            told=told,
            on=on,
            tax_code=code,
        )

    def withdraw(
        self, caller: Caller, key: str, *, debt: str, number: int, reason: str, on: date | None
    ) -> Asked:
        one = self.ids.get(debt, NOBODY)
        return self.books.settling.withdraw(
            caller, key, one, settlement_id=self._part(one, number), reason=reason, on=on
        )

    def _part(self, stream_id: str, number: int) -> str:
        parts = self.parts_of(stream_id)
        return parts[number] if number < len(parts) else NOBODY

    # What banks tell

    def bring(
        self,
        caller: Caller,
        key: str,
        *,
        account: str,
        currency: str,
        rows: Sequence[tuple[str, date, int]],
        cut: bool,
        kind: str,
    ) -> Asked:
        given = banking.Given(
            account_id=self.account(caller.tenant_id, account),
            currency=currency,
            kind=kind,
            name=f"{kind} of {account}",
            content=table(kind, rows, currency, cut=cut),
            columns=Columns(booked_on="day", amount="amount", reference="reference"),
        )
        return self.books.banking.take(caller, key, given)

    def match(self, caller: Caller, key: str, *, lines: tuple[str, ...], money: tuple[str, ...]) -> Asked:
        told, paid = (tuple(self.ids.get(name, NOBODY) for name in names) for names in (lines, money))
        return self.books.banking.match(caller, key, told, paid)

    def unmatch(self, caller: Caller, key: str, *, line: str, reason: str) -> Asked:
        return self.books.banking.unmatch(caller, key, self.ids.get(line, NOBODY), reason=reason)

    def reconcile(self, caller: Caller, key: str, *, name: str, line: str, by: str) -> Asked:
        told = line.partition("/")[2] if by == "reference" else self.ids.get(line, NOBODY)
        return self.books.reconcile_payment(caller, key, self.ids.get(name, NOBODY), told)

    def amend(
        self,
        caller: Caller,
        key: str,
        *,
        name: str,
        minor: int | None,
        day: date | None,
        method: str | None,
    ) -> Asked:
        one = self.ids.get(name, NOBODY)
        state = self.state_of(one)
        amount = None if minor is None else Money(minor, "BDT" if state is None else state.currency)
        command = payment.Update(amount=amount, payment_date=day, method=method)
        return self.books.update_payment(caller, key, one, command)

    def attach(
        self, caller: Caller, key: str, *, name: str, content: str, size: int, instead: str | None
    ) -> Asked:
        paper = folder.Attachment(
            sha256=content.zfill(64),
            name="A paper",
            size_bytes=size,
            media_type="application/pdf",
            attached_by="",
            attached_at=datetime(2027, 1, 1, tzinfo=UTC),
            supersedes=instead and instead.zfill(64),
        )
        return self.books.governing.attach(caller, key, self.ids.get(name, NOBODY), paper)

    # Entries by hand

    def write(
        self,
        caller: Caller,
        key: str,
        *,
        day: date,
        currency: str,
        lines: list[tuple[str, int]],
        post: bool,
    ) -> Asked:
        made = tuple(self._line(caller.tenant_id, *line) for line in lines)
        command = journal.Create(
            journal_id="",
            journal_date=day,
            journal_type="GENERAL",
            description="By hand",
            currency=currency,
            lines=made,
        )
        return self.books.create_journal(caller, key, command, post=post)

    def _line(self, tenant: str, code: str, minor: int) -> journal.Line:
        return journal.Line(
            account_id=self.account(tenant, code), debit_minor=max(minor, 0), credit_minor=max(-minor, 0)
        )

    def add_line(self, caller: Caller, key: str, *, name: str, line: tuple[str, int]) -> Asked:
        command = journal.AddLine(line=self._line(caller.tenant_id, *line))
        return self.books.change_journal(caller, key, self.ids.get(name, NOBODY), command)

    def book(self, caller: Caller, key: str, *, name: str) -> Asked:
        return self.books.post_journal(caller, key, self.ids.get(name, NOBODY))

    def reverse(self, caller: Caller, key: str, *, entry: str, on: date, reason: str | None) -> Asked:
        return self.books.reverse_journal(caller, key, self.ids.get(entry, NOBODY), on, reason=reason)

    # Time

    def set_rate(self, caller: Caller, key: str, *, currency: str, day: date, rate: int) -> Asked:
        return self.books.tables.set_rate(caller, key, currency, quote(day, rate))

    def close_period(self, caller: Caller, key: str, *, period: tuple[int, int], to: str) -> Asked:
        return self.books.closing.close_period(caller, key, period_name(period), to=to)

    def open_period(self, caller: Caller, key: str, *, period: tuple[int, int], reason: str) -> Asked:
        return self.books.closing.reopen_period(caller, key, period_name(period), reason=reason)

    def revalue(self, caller: Caller, key: str, *, day: date) -> Asked:
        return self.books.revaluing.revalue(caller, key, day)

    def undo_revaluation(self, caller: Caller, key: str, *, day: date, reason: str) -> Asked:
        return self.books.revaluing.undo(caller, key, day, reason=reason)

    def lock_taxes(self, caller: Caller, key: str, *, through: date) -> Asked:
        return self.books.closing.lock_taxes(caller, key, through=through)

    def unlock_taxes(self, caller: Caller, key: str, *, through: date | None, reason: str) -> Asked:
        return self.books.closing.unlock_taxes(caller, key, through=through, reason=reason)

    def close_year(self, caller: Caller, key: str, *, year: int, to: str) -> Asked:
        return self.books.years.close(caller, key, f"FY{year}-{year + 1}", to=to)

    def open_year(self, caller: Caller, key: str, *, year: int, reason: str) -> Asked:
        return self.books.years.reopen(caller, key, f"FY{year}-{year + 1}", reason=reason)

    # Rules

    def set_rule(
        self,
        caller: Caller,
        key: str,
        *,
        day: date,
        four_eyes: bool,
        tiers: tuple[tuple[int, int, bool], ...],
        reason: str,
    ) -> Asked:
        made = tuple(
            authority.Tier(above_minor=above, approvers=people, senior=senior)
            for above, people, senior in tiers
        )
        rule = authority.Rule(valid_from=day, four_eyes=four_eyes, tiers=made)
        return self.books.governing.set_rule(caller, key, rule, reason=reason)

    def adopt(self, caller: Caller, key: str) -> Asked:
        return self.books.taxes.adopt(caller, key, "bangladesh")

    def set_tax(self, caller: Caller, key: str, *, code: str, day: date, rate: int) -> Asked:
        command = tax.SetRate(quote=tax.Quote(valid_from=day, percent=Decimal(rate) / 100))
        return self.books.taxes.change(caller, key, code, command)

    def turn_tax(self, caller: Caller, key: str, *, code: str, active: bool, reason: str) -> Asked:
        command = tax.Reactivate(reason=reason) if active else tax.Deactivate(reason=reason)
        return self.books.taxes.change(caller, key, code, command)

    # Templates

    def plan(
        self,
        caller: Caller,
        key: str,
        *,
        kind: str,
        start: date,
        lines: list[tuple[str, int]],
        months: int,
        by: str | None,
    ) -> Asked:
        tenant = caller.tenant_id
        schedule = template.Schedule(frequency="MONTHLY", starts_on=start)
        asset: template.Asset | None = None
        made: tuple[template.Line, ...] = ()
        if kind == template.DEPRECIATION:
            asset = template.Asset(
                method=template.STRAIGHT_LINE,
                cost_minor=lines[0][1] + 100,
                salvage_minor=100,
                life_months=months,
                expense_account_id=self.account(tenant, lines[0][0]),
                accumulated_account_id=self.account(tenant, lines[1][0]),
            )
        else:
            made = tuple(
                template.Line(
                    account_id=self.account(tenant, code),
                    debit=formula_of(minor, by) if minor > 0 else None,
                    credit=formula_of(-minor, by) if minor <= 0 else None,
                )
                for code, minor in lines
            )
        terms = template.Terms(
            kind=kind, name="Rent", currency="BDT", schedule=schedule, lines=made, asset=asset
        )
        return self.books.automating.create(caller, key, terms)

    def adopt_plan(self, caller: Caller, key: str, *, name: str) -> Asked:
        return self.books.automating.approve(caller, key, self.ids.get(name, NOBODY))

    def run(self, caller: Caller, key: str, *, name: str, through: date) -> Asked:
        return self.books.automating.run(caller, key, self.ids.get(name, NOBODY), through)

    def end_plan(self, caller: Caller, key: str, *, name: str, reason: str) -> Asked:
        return self.books.automating.end(caller, key, self.ids.get(name, NOBODY), reason=reason)


def formula_of(minor: int, by: str | None) -> str:
    """An amount, or so much times a figure of the day; each in another of the ways there are to write it."""
    return plain(minor, "BDT") if by is None else f"({plain(3 * minor, 'BDT')} * {by}) / 3"


def table(kind: str, rows: Sequence[tuple[str, date, int]], currency: str, *, cut: bool) -> bytes:
    """A file as a bank writes it; one that is cut has lost its end."""
    told = [(f"{day}", plain(minor, currency), reference) for reference, day, minor in rows]
    if kind == "CSV":
        written = "".join(f"{','.join(cells)}\n" for cells in (("day", "amount", "reference"), *told))
        return written.removesuffix("\n").encode() if cut else written.encode()
    lines = "".join(
        f"<STMTTRN><DTPOSTED>{day.replace('-', '')}<TRNAMT>{amount}<FITID>{reference}</STMTTRN>"
        for day, amount, reference in told
    )
    end = "" if cut else "</OFX>"
    return f"<OFX><STMTRS><CURDEF>{currency}<BANKTRANLIST>{lines}</BANKTRANLIST></STMTRS>{end}".encode()


def quote(day: date, ten_thousandths: int) -> rate.Quote:
    return rate.Quote(valid_from=day, rate=Decimal(ten_thousandths) / 10_000)


def period_name(period: tuple[int, int]) -> str:
    year, number = period
    return f"FY{year}-{year + 1}-P{number:02d}"
