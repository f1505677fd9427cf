"""Which journal entry a document posts: the rules, declared once.

| document | debit | credit |
|---|---|---|
| approved invoice or debit note | control: total | sales: subtotal; VAT payable: VAT; duty payable: duty |
| completed payment | the account named, or that of the method | control: what pays a debt; advances: the rest |
| allocation of money on account | advances | control |
| allocation of a note | control, of the note | control, of the debt |
| write-off | bad debts | control |
| tax withheld | tax withheld by customers | control |
| exchange difference of any of these | exchange losses | exchange gains |

That is the side of customers, whose control account is what they owe. A credit note is a debit note turned round.
The side of vendors is the whole table turned round, with its own accounts (`SIDES`): a bill is an invoice that
somebody else made out. What a vendor charges of a tax is claimed back where its code says so, as VAT without a code is;
otherwise it is part of what was bought. Each tax has a line with its code, and what it is on a line with all of them
(`A+B`), so that a return is made from entries alone. Taking something back posts the mirror image of its entry
(`journal.mirror`), or the rule turned round where the entry did more than what is taken back.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from finance import chart, invoice, journal, settlement, taxation
from finance.invoice import Invoice
from finance.journal import Line
from finance.money import BASE
from finance.payment import Payment
from finance.settlement import Allocation, Settlement
from finance.voucher import Voucher

MONEY_ACCOUNT: Final = {
    "CASH": chart.CASH,
    "BANK_TRANSFER": chart.BANK,
    "CHECK": chart.BANK,
    "MOBILE_WALLET": chart.WALLET,
    "CREDIT_CARD": chart.BANK,
    "DEBIT_CARD": chart.BANK,
    "ONLINE_BANKING": chart.BANK,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """The accounts and kinds of entries of customers or of vendors."""

    control: str
    advances: str
    ordinary: str
    vat: str
    taxes: dict[str, str]
    settled: dict[str, str]
    document_type: str
    payment_type: str
    turned: bool


SIDES: Final = {
    settlement.SALES: Side(
        control=chart.RECEIVABLE,
        advances=chart.CUSTOMER_ADVANCES,
        ordinary=chart.REVENUE,
        vat=chart.VAT_PAYABLE,
        taxes={taxation.VAT: chart.VAT_PAYABLE, taxation.DUTY: chart.DUTY_PAYABLE},
        settled={
            settlement.WRITE_OFF: chart.BAD_DEBTS,
            settlement.WITHHOLDING: chart.WITHHELD_BY_CUSTOMERS,
        },
        document_type="SALES",
        payment_type="CASH_RECEIPT",
        turned=False,
    ),
    settlement.PURCHASE: Side(
        control=chart.PAYABLE,
        advances=chart.VENDOR_ADVANCES,
        ordinary=chart.PURCHASES,
        vat=chart.VAT_RECEIVABLE,
        taxes={
            taxation.VAT: chart.VAT_RECEIVABLE,
            taxation.DUTY: chart.VAT_RECEIVABLE,
            taxation.ADVANCE: chart.ADVANCE_TAX,
        },
        settled={
            settlement.WRITE_OFF: chart.PAYABLES_WRITTEN_OFF,
            settlement.WITHHOLDING: chart.WITHHELD_PAYABLE,
        },
        document_type="PURCHASE",
        payment_type="CASH_PAYMENT",
        turned=True,
    ),
}


def control(tenant_id: str, side: str) -> str:
    """The account that must equal what the partners of a side owe, or are owed."""
    return chart.account_id(tenant_id, SIDES[side].control)


def of_invoice(
    tenant_id: str, invoice: Invoice, *, journal_id: str, number: str, rate: Decimal | None = None
) -> journal.Create:
    """The entry of an invoice that is being approved. A line of zero is left out: an entry has no empty sides."""
    return _of_document(
        tenant_id, invoice, journal_id=journal_id, told=f"Invoice {number}", number=number, rate=rate
    )


def of_voucher(
    tenant_id: str, voucher: Voucher, *, journal_id: str, number: str, rate: Decimal | None = None
) -> journal.Create:
    """The entry of a bill or note that is being approved, as `of_invoice`."""
    told = f"{voucher.kind.replace('_', ' ').capitalize()} {number}"
    return _of_document(tenant_id, voucher, journal_id=journal_id, told=told, number=number, rate=rate)


def _of_document(
    tenant_id: str,
    document: Invoice | Voucher,
    *,
    journal_id: str,
    told: str,
    number: str,
    rate: Decimal | None,
) -> journal.Create:
    side = SIDES[document.side]
    owed = Line(
        account_id=control(tenant_id, document.side),
        debit_minor=document.total_minor,
        reference=document.partner_id,
        partner_id=document.partner_id,
        item_id=document.id,
        due_date=document.terms.due_date,
    )
    lowers = isinstance(document, Voucher) and document.is_credit
    kept = _kept([owed, *_sold(tenant_id, document.terms.lines, side)], turned=side.turned != lowers)
    return journal.Create(
        journal_id=journal_id,
        journal_date=document.dated,
        journal_type=side.document_type,
        description=told,
        currency=document.currency,
        lines=journal.based(kept, document.currency, rate),
        reference=number,
        document_id=document.id,
        rate=rate,
    )


def _sold(tenant_id: str, lines: Iterable[invoice.Line], side: Side) -> list[Line]:
    """What was sold, by account and by how it is taxed; then the taxes, by account and code."""
    ordinary = chart.account_id(tenant_id, side.ordinary)
    nets: dict[tuple[str, str | None], int] = {}
    taxes: dict[tuple[str, str | None], int] = {}
    for line in lines:
        net = line.amount_minor
        if not line.taxes:
            place = (chart.account_id(tenant_id, side.vat), None)
            taxes[place] = taxes.get(place, 0) + line.vat_minor
        for one in line.taxes:
            if side.turned and not one.levy.recoverable:
                net += one.tax_minor
                continue
            tax_account = chart.account_id(tenant_id, side.taxes.get(one.levy.kind, side.vat))
            taxes[tax_account, one.levy.code] = taxes.get((tax_account, one.levy.code), 0) + one.tax_minor
        sold = (line.account_id or ordinary, taxation.TOGETHER.join(line.tax_codes) or None)
        nets[sold] = nets.get(sold, 0) + net
    return [
        Line(account_id=account_id, credit_minor=minor, tax_code=code)
        for (account_id, code), minor in (*nets.items(), *taxes.items())
    ]


def _kept(lines: Iterable[Line], *, turned: bool) -> list[Line]:
    """The lines that say something, on the other side when the rule is turned round."""
    kept = [line for line in lines if line.debit_minor or line.credit_minor]
    return [journal.turned(line) for line in kept] if turned else kept


def worth(entry: journal.Create, account_id: str) -> int:
    """What an account has in an entry, on either side, in minor units of the currency of the books."""
    sides = [journal.base(line, entry.currency) for line in entry.lines if line.account_id == account_id]
    return abs(sum(debit - credit for debit, credit in sides))


def money_account(tenant_id: str, payment: Payment) -> str:
    """The account that a payment's money is on: the one that was named, or that of its way of paying."""
    return payment.account_id or chart.account_id(tenant_id, MONEY_ACCOUNT[payment.details.method])


def of_payment(
    tenant_id: str, payment: Payment, *, journal_id: str, partner_id: str, rate: Decimal | None = None
) -> journal.Create:
    """The entry of a completed payment.

    What the money for a debt is worth more or less than that part of the debt, because the rate is another one now,
    is a gain or a loss.
    """
    side, direct = SIDES[payment.side], payment.credit.allocations
    paid_minor = sum(one.amount_minor for one in direct)
    owed = sum(one.document_base_minor or 0 for one in direct)
    money = None if rate is None else payment.amount.times(rate).minor
    lines = [
        Line(
            account_id=money_account(tenant_id, payment),
            debit_minor=payment.amount_minor,
            base_debit_minor=money,
        ),
        Line(
            account_id=control(tenant_id, payment.side),
            credit_minor=paid_minor,
            base_credit_minor=None if rate is None else owed,
            reference=direct[0].document_id if direct else None,
            partner_id=partner_id,
            item_id=direct[0].document_id if direct else None,
        ),
        Line(
            account_id=chart.account_id(tenant_id, side.advances),
            credit_minor=payment.credit.minor,
            base_credit_minor=None if rate is None else payment.credit.base_minor,
            partner_id=partner_id,
            item_id=payment.id,
        ),
    ]
    return journal.Create(
        journal_id=journal_id,
        journal_date=payment.payment_date,
        journal_type=side.payment_type,
        description=f"Payment {payment.number}",
        currency=payment.currency,
        lines=_with_difference(tenant_id, _kept(lines, turned=side.turned), payment.currency),
        reference=payment.number,
        document_id=payment.id,
        rate=rate,
    )


def of_allocation(
    tenant_id: str,
    credit: Payment | Voucher,
    allocation: Allocation,
    *,
    journal_id: str,
    partner_id: str,
    back: date | None = None,
) -> journal.Create:
    """The entry of a credit's part that pays a debt; or, with the day of it, the entry that takes it `back`."""
    side = SIDES[credit.side]
    account = side.advances if isinstance(credit, Payment) else side.control
    lines = [
        Line(
            account_id=chart.account_id(tenant_id, account),
            debit_minor=allocation.amount_minor,
            base_debit_minor=allocation.base_minor,
            partner_id=partner_id,
            item_id=credit.id,
        ),
        Line(
            account_id=control(tenant_id, credit.side),
            credit_minor=allocation.amount_minor,
            base_credit_minor=allocation.document_base_minor,
            partner_id=partner_id,
            item_id=allocation.document_id,
        ),
    ]
    kept = _kept(lines, turned=side.turned != (back is not None))
    return journal.Create(
        journal_id=journal_id,
        journal_date=back or allocation.allocated_on,
        journal_type="ADJUSTMENT",
        description=f"Allocation of {credit.number}" + (" taken back" if back else ""),
        currency=credit.currency,
        lines=_with_difference(tenant_id, kept, credit.currency),
        reference=credit.number,
        document_id=credit.id,
    )


def of_settlement(tenant_id: str, document: Invoice | Voucher, settled: Settlement) -> journal.Create:
    """The entry of a write-off, or of tax that was withheld."""
    side = SIDES[document.side]
    lines = [
        Line(
            account_id=chart.account_id(tenant_id, side.settled[settled.kind]),
            debit_minor=settled.amount_minor,
            base_debit_minor=settled.base_minor,
            description=settled.told,
            tax_code=settled.tax_code,
        ),
        Line(
            account_id=control(tenant_id, document.side),
            credit_minor=settled.amount_minor,
            base_credit_minor=settled.base_minor,
            partner_id=document.partner_id,
            item_id=document.id,
        ),
    ]
    told = "Write-off" if settled.kind == settlement.WRITE_OFF else "Tax withheld"
    return journal.Create(
        journal_id=settled.journal_id,
        journal_date=settled.settled_on,
        journal_type="ADJUSTMENT",
        description=f"{told} on {document.number}",
        currency=document.currency,
        lines=tuple(_kept(lines, turned=side.turned)),
        reference=document.number,
        document_id=document.id,
    )


def _with_difference(tenant_id: str, lines: Sequence[Line], currency: str) -> tuple[Line, ...]:
    """The lines, and what a change of the rate brought or cost between them."""
    if currency == BASE:
        return tuple(lines)
    over = sum(debit - credit for debit, credit in (journal.base(line, currency) for line in lines))
    return (*lines, *exchange_difference(tenant_id, over))


def exchange_difference(tenant_id: str, gained_base_minor: int) -> list[Line]:
    """The line of what a change of the rate brought, or cost where it is negative; none for nothing."""
    if gained_base_minor > 0:
        account = chart.account_id(tenant_id, chart.EXCHANGE_GAINS)
        return [Line(account_id=account, base_credit_minor=gained_base_minor)]
    if gained_base_minor < 0:
        account = chart.account_id(tenant_id, chart.EXCHANGE_LOSSES)
        return [Line(account_id=account, base_debit_minor=-gained_base_minor)]
    return []


def touches_tax(tenant_id: str, lines: Iterable[Line]) -> bool:
    """Whether an entry is part of a tax return: a line is on a tax account, or carries a tax code."""
    accounts = {chart.account_id(tenant_id, code) for code in chart.TAXES}
    return any(line.tax_code is not None or line.account_id in accounts for line in lines)


def controls(tenant_id: str) -> frozenset[str]:
    """The accounts that only documents post to."""
    return frozenset(chart.account_id(tenant_id, code) for code in chart.CONTROLS)


def valuations(tenant_id: str) -> frozenset[str]:
    """The accounts that only revaluations of currencies post to."""
    return frozenset(chart.account_id(tenant_id, code) for code in chart.VALUATIONS)
