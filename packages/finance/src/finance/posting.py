"""Which journal entry a document posts: the rules, declared once.

| document | debit | credit |
|---|---|---|
| approved invoice | receivable: total | sales: subtotal; VAT payable: VAT |
| completed payment | cash, bank or wallet by method | receivable |

Taking a document back posts the mirror image of its entry (`journal.mirror`).
"""

from collections.abc import Iterable
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


def of_invoice(tenant_id: str, invoice: Invoice, *, journal_id: str, number: str) -> journal.Create:
    """The entry of an approved invoice. A line of zero is left out: an entry has no empty sides."""
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
    return journal.Create(
        journal_id=journal_id,
        journal_date=invoice.terms.invoice_date,
        journal_type="SALES",
        description=f"Invoice {number}",
        currency=invoice.currency,
        lines=tuple(line for line in lines if line.debit_minor or line.credit_minor),
        reference=number,
        document_id=invoice.id,
    )


def of_payment(tenant_id: str, payment: Payment, *, journal_id: str) -> journal.Create:
    """The entry of a completed payment."""
    money = chart.account_id(tenant_id, MONEY_ACCOUNT[payment.details.method])
    receivable = chart.account_id(tenant_id, chart.RECEIVABLE)
    return journal.Create(
        journal_id=journal_id,
        journal_date=payment.payment_date,
        journal_type="CASH_RECEIPT",
        description=f"Payment {payment.number}",
        currency=payment.currency,
        lines=(
            Line(account_id=money, debit_minor=payment.amount_minor),
            Line(account_id=receivable, credit_minor=payment.amount_minor, reference=payment.invoice_id),
        ),
        reference=payment.number,
        document_id=payment.id,
    )


def touches_tax(tenant_id: str, lines: Iterable[Line]) -> bool:
    """Whether an entry is part of a tax return: a line is on a tax account, or carries a tax code."""
    accounts = {chart.account_id(tenant_id, code) for code in chart.TAXES}
    return any(line.tax_code is not None or line.account_id in accounts for line in lines)
