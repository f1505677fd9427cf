"""Which journal entry a document posts: the rules, declared once.

| document | debit | credit |
|---|---|---|
| approved invoice | receivable: total | sales: subtotal; VAT payable: VAT |
| completed payment | cash, bank or wallet by method | receivable |
| its exchange difference | exchange losses | exchange gains |

Taking a document back posts the mirror image of its entry (`journal.mirror`).
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from finance import chart, journal
from finance.invoice import Invoice
from finance.journal import Line
from finance.payment import Payment

MONEY_ACCOUNT: Final = {
    "CASH": chart.CASH,
    "BANK_TRANSFER": chart.BANK,
    "CHECK": chart.BANK,
    "MOBILE_WALLET": chart.WALLET,
    "CREDIT_CARD": chart.BANK,
    "DEBIT_CARD": chart.BANK,
    "ONLINE_BANKING": chart.BANK,
}


def of_invoice(
    tenant_id: str, invoice: Invoice, *, journal_id: str, number: str, rate: Decimal | None = None
) -> journal.Create:
    """The entry of an invoice that is being approved. A line of zero is left out: an entry has no empty sides."""
    lines = [
        Line(
            account_id=chart.account_id(tenant_id, chart.RECEIVABLE),
            debit_minor=invoice.total_minor,
            reference=invoice.terms.customer_id,
        ),
        Line(
            account_id=chart.account_id(tenant_id, chart.REVENUE),
            credit_minor=invoice.subtotal_minor,
        ),
        Line(account_id=chart.account_id(tenant_id, chart.VAT_PAYABLE), credit_minor=invoice.vat_minor),
    ]
    kept = [line for line in lines if line.debit_minor or line.credit_minor]
    return journal.Create(
        journal_id=journal_id,
        journal_date=invoice.terms.invoice_date,
        journal_type="SALES",
        description=f"Invoice {number}",
        currency=invoice.currency,
        lines=journal.based(kept, invoice.currency, rate),
        reference=number,
        document_id=invoice.id,
        rate=rate,
    )


def worth(entry: journal.Create, account_id: str) -> int:
    """Debits less credits of an account in an entry, in minor units of the currency of the books."""
    sides = [journal.base(line, entry.currency) for line in entry.lines if line.account_id == account_id]
    return sum(debit - credit for debit, credit in sides)


def of_payment(
    tenant_id: str, payment: Payment, *, journal_id: str, owed_base_minor: int, rate: Decimal | None = None
) -> journal.Create:
    """The entry of a completed payment. `owed_base_minor` is what the part that is paid was worth in the books.

    What the money is worth more or less than that, because the rate is another one now, is a gain or a loss.
    """
    money = chart.account_id(tenant_id, MONEY_ACCOUNT[payment.details.method])
    receivable = chart.account_id(tenant_id, chart.RECEIVABLE)
    worth_minor = None if rate is None else payment.amount.times(rate).minor
    lines = [
        Line(account_id=money, debit_minor=payment.amount_minor, base_debit_minor=worth_minor),
        Line(
            account_id=receivable,
            credit_minor=payment.amount_minor,
            base_credit_minor=None if rate is None else owed_base_minor,
            reference=payment.invoice_id,
        ),
    ]
    if worth_minor is not None:
        lines += exchange_difference(tenant_id, worth_minor - owed_base_minor)
    return journal.Create(
        journal_id=journal_id,
        journal_date=payment.payment_date,
        journal_type="CASH_RECEIPT",
        description=f"Payment {payment.number}",
        currency=payment.currency,
        lines=tuple(lines),
        reference=payment.number,
        document_id=payment.id,
        rate=rate,
    )


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
