"""Bills, notes and parts of them, as tests of settlement need them."""

from datetime import date
from typing import Any
from uuid import uuid4

from finance import invoice, settlement, voucher
from finance.money import Money

Desk = Any

DAY, LATER = date(2026, 11, 23), date(2026, 12, 1)

WRITE_OFF, WITHHOLDING = settlement.WRITE_OFF, settlement.WITHHOLDING

BILL, CREDIT_NOTE, DEBIT_NOTE, VENDOR_CREDIT = (
    voucher.BILL,
    voucher.CREDIT_NOTE,
    voucher.DEBIT_NOTE,
    voucher.VENDOR_CREDIT,
)


def key() -> str:
    return str(uuid4())


def after(state: voucher.Voucher | None, *commands: voucher.Command) -> voucher.Voucher:
    for command in commands:
        for event in voucher.decide(state, command):
            state = voucher.evolve(state, event)
    assert state is not None
    return state


def pay(minor: int) -> invoice.RecordPayment:
    return invoice.RecordPayment(payment_id="p", amount=Money(minor, "BDT"))
