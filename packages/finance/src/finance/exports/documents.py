"""Invoices, notes and statements on paper. What stands there is what the books say: no figure is worked out here."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

from finance import fiscal, taxation
from finance.exports.catalogue import Given
from finance.exports.paper import Field, Paper, grouped
from finance.exports.parties import Issuer, Partner
from finance.inquiry import Statement
from finance.invoice import Invoice, Line
from finance.money import BASE, Money
from finance.sheet import AMOUNT, Cell, Column, Fact, Row, plain
from finance.taxation import DUTY, EXEMPT, VAT
from finance.voucher import Voucher

NOT_YET: Final = "DRAFT"
GONE: Final = "CANCELLED"
TITLES: Final = {"CREDIT_NOTE": "Credit note", "DEBIT_NOTE": "Debit note"}
UNMADE: Final = "This is a draft: it binds nobody, and has no number."
UNDONE: Final = "This document was cancelled: nothing is due by it."


def invoice_on_paper(issuer: Issuer, partner: Partner, state: Invoice, now: datetime, *, by: str) -> bytes:
    """A sales invoice; a tax invoice where it has a serial as one."""
    title = "Tax invoice" if state.tax_number else "Invoice" if state.number else "Draft invoice"
    about = [
        ("Invoice", state.number or "-"),
        *([(issuer.tax_form or "Tax serial", state.tax_number)] if state.tax_number else []),
        ("Date", state.terms.invoice_date.isoformat()),
        ("Due", state.terms.due_date.isoformat()),
        ("Currency", state.currency),
    ]
    paper = _begun(issuer, title, state.number, now, by)
    _to(paper, "Bill to", partner, about)
    status = state.status_on(fiscal.today(now))
    _stamp(paper, status)
    _lines(paper, state)
    worth = None if state.currency == BASE else state.base_minor
    _totals(paper, state, due=status not in {NOT_YET, GONE}, worth_minor=worth)
    _signature(paper, issuer)
    return paper.finished()


def note_on_paper(
    issuer: Issuer, partner: Partner, state: Voucher, corrected: str | None, now: datetime, *, by: str
) -> bytes:
    """A credit or debit note; `corrected` is the number of the document that it corrects."""
    about = [
        (TITLES[state.kind], state.number or "-"),
        *([("Corrects", corrected)] if corrected else []),
        ("Date", state.terms.voucher_date.isoformat()),
        ("Currency", state.currency),
    ]
    paper = _begun(issuer, TITLES[state.kind], state.number, now, by)
    _to(paper, "To", partner, about)
    _stamp(paper, state.status_on(fiscal.today(now)))
    if state.terms.reason:
        paper.say(f"Reason: {state.terms.reason}")
        paper.ln(2)
    _lines(paper, state)
    _totals(paper, state, due=False, worth_minor=None)
    _signature(paper, issuer)
    return paper.finished()


def statement_on_paper(
    issuer: Issuer, partner: Partner, found: Statement, given: Given, facts: Sequence[Fact], *, title: str
) -> bytes:
    """What happened with a partner between two days, and what is open."""
    told = {one.key: one for one in facts}
    made = told["madeAt"].value
    assert isinstance(made, datetime), "facts_of says when"  # noqa: S101 - a bug, not a refusal
    currency = given["currency"]
    paper = _begun(issuer, title, None, made, plain(told["madeBy"].value), shown=True)
    closing = Money(found.sign * found.closing_minor, currency)
    about = [
        ("From", given["from"].isoformat()),
        ("To", given["to"].isoformat()),
        ("As known on", plain(told["knownOn"].value)),
        ("Currency", currency),
        ("Balance", grouped(closing)),
    ]
    _to(paper, "Customer" if found.sign > 0 else "Vendor", partner, about)
    opening = ("", "", "Opening balance", "", "", grouped(Money(found.sign * found.opening_minor, currency)))
    rows: list[tuple[str, ...]] = [opening]
    for step in found.steps:
        moved = step.movement
        rows.append(
            (
                moved.day.isoformat(),
                moved.number,
                moved.description,
                *(
                    grouped(Money(minor, currency)) if minor else ""
                    for minor in (moved.debit_minor, moved.credit_minor)
                ),
                grouped(Money(found.sign * step.balance_minor, currency)),
            )
        )
    debit, credit = (
        grouped(Money(sum(getattr(one.movement, side) for one in found.steps), currency))
        for side in ("debit_minor", "credit_minor")
    )
    rows.append(("", "", "Closing balance", debit, credit, grouped(closing)))
    fields = (
        Field(title="Date", part=19),
        Field(title="Entry", part=30),
        Field(title="Description", part=50),
        Field(title="Debit", right=True),
        Field(title="Credit", right=True),
        Field(title="Balance", right=True),
    )
    paper.grid(fields, rows, bold=frozenset({0, len(rows) - 1}))
    owed = "the customer owes" if found.sign > 0 else "the company owes"
    paper.say(f"A positive balance is what {owed}.", size=8, grey=True)
    return paper.finished()


def table_on_paper(
    issuer: Issuer, columns: Sequence[Column], rows: Sequence[Row], facts: Sequence[Fact], *, title: str
) -> bytes:
    """A table of a report with its totals where they stand; amounts are of the one currency that the facts name."""
    told = {one.key: one for one in facts}
    made = told["madeAt"].value
    assert isinstance(made, datetime), "facts_of says when"  # noqa: S101 - a bug, not a refusal
    paper = _begun(issuer, title, None, made, plain(told["madeBy"].value), shown=True)
    apart = {"company", "madeAt", "madeBy"}
    paper.beside([], [(one.title, plain(one.value)) for one in facts if one.key not in apart])
    kept = [place for place, one in enumerate(columns) if one.key != "currency"]
    fields = [
        Field(title=columns[place].title, part=columns[place].width, right=columns[place].kind == AMOUNT)
        for place in kept
    ]
    cells = [[_in_letters(row.cells[place]) for place in kept] for row in rows]
    paper.grid(fields, cells, bold=frozenset(number for number, row in enumerate(rows) if row.total))
    return paper.finished()


def _in_letters(cell: Cell) -> str:
    if isinstance(cell, Money):
        return grouped(cell)
    return "" if cell is None else str(cell)


def _begun(
    issuer: Issuer, title: str, number: str | None, now: datetime, by: str, *, shown: bool = False
) -> Paper:
    """A document with its company and its title at the top; who made the file is in it, and where `shown` on it."""
    made = f"{title} {number}" if number else title
    foot = f"{issuer.name} · {made} · made {plain(now)}" + (f" by {by}" if shown else "")
    paper = Paper(title=made, author=issuer.name, creator=by, foot=foot, made_at=now)
    top = paper.get_y()
    paper.say(title, size=18, bold=True, right=True)
    paper.set_y(top)
    paper.set_right_margin(80)
    paper.say(issuer.name, size=14, bold=True)
    if issuer.address:
        paper.say(issuer.address)
    for name, value in (("BIN", issuer.bin), ("TIN", issuer.tin)):
        if value:
            paper.say(f"{name} {value}")
    paper.set_right_margin(18)
    paper.ln(6)
    return paper


def _to(paper: Paper, title: str, partner: Partner, about: Sequence[tuple[str, str]]) -> None:
    """Who it is for, and beside that what it is."""
    who = [(title, False), (partner.name or partner.id, True)]
    who += [
        (f"{name} {value}", False) for name, value in (("BIN", partner.bin), ("TIN", partner.tin)) if value
    ]
    paper.beside(who, about)


def _stamp(paper: Paper, status: str) -> None:
    told = {NOT_YET: UNMADE, GONE: UNDONE}.get(status)
    if told:
        paper.say(f"{status.capitalize()}. {told}", size=10, bold=True)
        paper.ln(2)


def _percent(value: Decimal) -> str:
    return format(value.normalize(), "f") + " %"


def _of(line: Line, kind: str, *, bare: str) -> tuple[str, int]:
    """The rate of a tax on a line, in words, and what it comes to."""
    if not line.taxes:
        if kind != VAT:
            return "", 0
        return (bare if line.vat_category == "EXEMPT" else _percent(line.vat_percent)), line.vat_minor
    taxes = [one for one in line.taxes if one.levy.kind == kind]
    if not taxes:
        exempt = kind == VAT and any(one.levy.kind == EXEMPT for one in line.taxes)
        return (bare if exempt else ""), 0
    return ", ".join(_percent(one.levy.percent) for one in taxes), sum(one.tax_minor for one in taxes)


def _lines(paper: Paper, state: Invoice | Voucher) -> None:
    """What was sold, with its taxes: those of supplementary duty only where there are any."""
    currency, lines = state.currency, state.terms.lines
    duty = any(one.levy.kind == DUTY for line in lines for one in line.taxes)
    fields = [
        Field(title="Description", part=1),
        Field(title="Qty", right=True),
        Field(title="Unit price", right=True),
        Field(title="Value", right=True),
        *([Field(title="SD rate", right=True), Field(title="SD", right=True)] if duty else []),
        Field(title="VAT rate", right=True),
        Field(title="VAT", right=True),
        Field(title="Total", right=True),
    ]
    rows = []
    for line in lines:
        sd, vat = _of(line, DUTY, bare=""), _of(line, VAT, bare="exempt")
        amounts = [(rate, grouped(Money(minor, currency)) if rate else "") for rate, minor in (sd, vat)]
        rows.append(
            [
                line.description,
                format(line.quantity.normalize(), "f"),
                grouped(Money(line.unit_price_minor, currency)),
                grouped(Money(line.amount_minor, currency)),
                *(amounts[0] if duty else ()),
                *amounts[1],
                grouped(Money(line.amount_minor + line.vat_minor, currency)),
            ]
        )
    paper.grid(fields, rows)


def _taxes(state: Invoice | Voucher) -> list[tuple[str, int]]:
    """The taxes of a document by code, or by rate where there are no codes."""
    sums: dict[str, int] = {}
    for line in state.terms.lines:
        if not line.taxes and line.vat_minor:
            name = f"VAT {_percent(line.vat_percent)}"
            sums[name] = sums.get(name, 0) + line.vat_minor
        for one in line.taxes:
            if one.levy.kind != EXEMPT:
                name = f"{one.levy.code} {_percent(one.levy.percent)}"
                sums[name] = sums.get(name, 0) + one.tax_minor
    return list(sums.items())


def _totals(paper: Paper, state: Invoice | Voucher, *, due: bool, worth_minor: int | None) -> None:
    currency = state.currency

    def shown(minor: int) -> str:
        return f"{grouped(Money(minor, currency))} {currency}"

    lines = [("Subtotal", shown(state.subtotal_minor), False)]
    lines += [(name, shown(minor), False) for name, minor in _taxes(state)]
    lines.append(("Total", shown(state.total_minor), True))
    if worth_minor is not None:
        lines.append((f"Worth in {BASE}", f"{grouped(Money(worth_minor, BASE))} {BASE}", False))
    if due:
        lines.append(("Paid and settled", shown(state.total_minor - state.open_minor), False))
        lines.append(("Balance due", shown(state.open_minor), True))
    paper.sums(lines)
    if state.terms.prices == taxation.INCLUSIVE:
        paper.say("Unit prices include taxes; values do not.", size=8, grey=True)


def _signature(paper: Paper, issuer: Issuer) -> None:
    """Where somebody signs for the company."""
    if paper.get_y() > paper.h - 60:
        paper.add_page()
    paper.ln(14)
    paper.say("_______________________________", grey=True)
    paper.say(f"For {issuer.name}", size=8, grey=True)
