"""The finance service's commands, lists and reports as methods."""

import random
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Generic, TypeVar
from uuid import uuid4

import msgspec
import urllib3

from finance_client import answer, given, operation
from finance_client.answer import Answer, PageInfo
from finance_client.door import Door, Retry, decoded
from finance_client.operation import Operation

T = TypeVar("T", bound=Answer)


class Page(msgspec.Struct, Generic[T], frozen=True, rename="camel"):
    nodes: tuple[T, ...]
    page_info: PageInfo


class Finance:
    """One company's books, as whoever the token is of.

    Every method raises `Refused` when the rules say no, `Unavailable` when the service does not answer, `Unreadable`
    when it is not understood. A command takes a `key`, one for each change; without it one is made, and kept over all
    attempts.
    """

    def __init__(
        self,
        url: str,
        token: Callable[[], str],
        *,
        retry: Retry | None = None,
        timeout_s: float = 10.0,
        sleep: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = random.random,
        new_key: Callable[[], str] = lambda: str(uuid4()),
        pool: urllib3.PoolManager | None = None,
    ) -> None:
        self._new_key = new_key
        self._door = Door(
            url=url.rstrip("/"),
            token=token,
            sleep=sleep,
            chance=chance,
            retry=retry or Retry(),
            timeout_s=timeout_s,
            pool=pool or urllib3.PoolManager(),
        )

    # Commands

    def create_account(self, new: given.NewAccount, *, key: str | None = None) -> answer.Account:
        return self._change(operation.CREATE_ACCOUNT, key, input=new)

    def create_invoice(self, new: given.NewInvoice, *, key: str | None = None) -> answer.Invoice:
        """Draft one; it has no number and moves nothing until it is approved."""
        return self._change(operation.CREATE_INVOICE, key, input=new)

    def approve_invoice(self, invoice_id: str, *, key: str | None = None) -> answer.Invoice:
        return self._change(operation.APPROVE_INVOICE, key, id=invoice_id)

    def cancel_invoice(
        self, invoice_id: str, *, reason: str, on: date | None = None, key: str | None = None
    ) -> answer.Invoice:
        return self._change(operation.CANCEL_INVOICE, key, id=invoice_id, reason=reason, reversingDate=on)

    def create_voucher(self, new: given.NewVoucher, *, key: str | None = None) -> answer.Voucher:
        return self._change(operation.CREATE_VOUCHER, key, input=new)

    def approve_voucher(self, voucher_id: str, *, key: str | None = None) -> answer.Voucher:
        return self._change(operation.APPROVE_VOUCHER, key, id=voucher_id)

    def cancel_voucher(
        self, voucher_id: str, *, reason: str, on: date | None = None, key: str | None = None
    ) -> answer.Voucher:
        return self._change(operation.CANCEL_VOUCHER, key, id=voucher_id, reason=reason, reversingDate=on)

    def create_payment(self, new: given.NewPayment, *, key: str | None = None) -> answer.Payment:
        """Record one; it moves nothing until it is completed."""
        return self._change(operation.CREATE_PAYMENT, key, input=new)

    def complete_payment(
        self, payment_id: str, *, transaction_reference: str, key: str | None = None
    ) -> answer.Payment:
        told = given.Completion(transaction_reference=transaction_reference)
        return self._change(operation.COMPLETE_PAYMENT, key, id=payment_id, input=told)

    def reverse_payment(
        self, payment_id: str, *, reason: str, on: date | None = None, key: str | None = None
    ) -> answer.Payment:
        told = given.Reason(reason=reason)
        return self._change(operation.REVERSE_PAYMENT, key, id=payment_id, input=told, reversingDate=on)

    def allocate_payment(
        self,
        payment_id: str,
        *,
        document_id: str,
        amount: Decimal,
        on: date | None = None,
        key: str | None = None,
    ) -> answer.Payment:
        told = given.NewAllocation(document_id=document_id, amount=amount, on=on)
        return self._change(operation.ALLOCATE_PAYMENT, key, id=payment_id, input=told)

    def unallocate_payment(
        self,
        payment_id: str,
        *,
        allocation_id: str,
        reason: str,
        on: date | None = None,
        key: str | None = None,
    ) -> answer.Payment:
        told = given.Unallocation(allocation_id=allocation_id, reason=reason, on=on)
        return self._change(operation.UNALLOCATE_PAYMENT, key, id=payment_id, input=told)

    def allocate_voucher(
        self,
        voucher_id: str,
        *,
        document_id: str,
        amount: Decimal,
        on: date | None = None,
        key: str | None = None,
    ) -> answer.Voucher:
        told = given.NewAllocation(document_id=document_id, amount=amount, on=on)
        return self._change(operation.ALLOCATE_VOUCHER, key, id=voucher_id, input=told)

    def unallocate_voucher(
        self,
        voucher_id: str,
        *,
        allocation_id: str,
        reason: str,
        on: date | None = None,
        key: str | None = None,
    ) -> answer.Voucher:
        told = given.Unallocation(allocation_id=allocation_id, reason=reason, on=on)
        return self._change(operation.UNALLOCATE_VOUCHER, key, id=voucher_id, input=told)

    def create_journal(self, new: given.NewJournal, *, key: str | None = None) -> answer.Journal:
        return self._change(operation.CREATE_JOURNAL, key, input=new)

    def post_journal(self, journal_id: str, *, key: str | None = None) -> answer.Journal:
        return self._change(operation.POST_JOURNAL, key, id=journal_id)

    def reverse_journal(
        self, journal_id: str, *, on: date, reason: str | None = None, key: str | None = None
    ) -> answer.Journal:
        """Post the mirror image of an entry; answers with the new entry."""
        return self._change(operation.REVERSE_JOURNAL, key, id=journal_id, reversingDate=on, reason=reason)

    # One of a kind; None when there is none

    def account(self, code: str) -> answer.Account | None:
        return self._find(operation.ACCOUNT, accountCode=code)

    def invoice(self, invoice_id: str) -> answer.Invoice | None:
        return self._find(operation.INVOICE, id=invoice_id)

    def voucher(self, voucher_id: str) -> answer.Voucher | None:
        return self._find(operation.VOUCHER, id=voucher_id)

    def payment(self, payment_id: str) -> answer.Payment | None:
        return self._find(operation.PAYMENT, id=payment_id)

    def journal(self, journal_id: str) -> answer.Journal | None:
        return self._find(operation.JOURNAL, id=journal_id)

    # All that match, page after page; what was there at the first is met once, whatever is written meanwhile

    def accounts(
        self, wanted: given.AccountFilter | None = None, *, page: int = 100
    ) -> Iterator[answer.Account]:
        return self._walk(operation.ACCOUNTS, wanted, page)

    def invoices(
        self, wanted: given.InvoiceFilter | None = None, *, page: int = 100
    ) -> Iterator[answer.Invoice]:
        return self._walk(operation.INVOICES, wanted, page)

    def vouchers(
        self, wanted: given.VoucherFilter | None = None, *, page: int = 100
    ) -> Iterator[answer.Voucher]:
        return self._walk(operation.VOUCHERS, wanted, page)

    def payments(
        self, wanted: given.PaymentFilter | None = None, *, page: int = 100
    ) -> Iterator[answer.Payment]:
        return self._walk(operation.PAYMENTS, wanted, page)

    def journals(
        self, wanted: given.JournalFilter | None = None, *, page: int = 100
    ) -> Iterator[answer.Journal]:
        return self._walk(operation.JOURNALS, wanted, page)

    # Reports: between days, and as known until the end of a day (UTC) where one is given

    def trial_balance(
        self,
        fiscal_year: str,
        *,
        as_of: date | None = None,
        known_on: date | None = None,
        currency: given.Currency = "BDT",
    ) -> answer.TrialBalance:
        asked = {"fiscalYear": fiscal_year, "asOfDate": as_of, "knownOn": known_on, "currency": currency}
        return self._report(operation.TRIAL_BALANCE, asked)

    def profit_and_loss(
        self, first: date, last: date, *, known_on: date | None = None
    ) -> answer.ProfitAndLoss:
        return self._report(operation.PROFIT_AND_LOSS, {"from": first, "to": last, "knownOn": known_on})

    def balance_sheet(self, as_of: date, *, known_on: date | None = None) -> answer.BalanceSheet:
        return self._report(operation.BALANCE_SHEET, {"asOf": as_of, "knownOn": known_on})

    def cash_flow(self, first: date, last: date, *, known_on: date | None = None) -> answer.CashFlow:
        return self._report(operation.CASH_FLOW, {"from": first, "to": last, "knownOn": known_on})

    def ageing(self, side: given.Side, as_of: date, *, known_on: date | None = None) -> answer.Ageing:
        return self._report(operation.AGEING, {"side": side, "asOf": as_of, "knownOn": known_on})

    def statement(
        self,
        partner_id: str,
        side: given.Side,
        first: date,
        last: date,
        *,
        known_on: date | None = None,
        currency: given.Currency = "BDT",
    ) -> answer.Statement:
        whose = {"partnerId": partner_id, "side": side, "currency": currency}
        return self._report(operation.STATEMENT, {**whose, "from": first, "to": last, "knownOn": known_on})

    def vat_summary(self, first: date, last: date, *, known_on: date | None = None) -> answer.VatSummary:
        return self._report(operation.VAT_SUMMARY, {"from": first, "to": last, "knownOn": known_on})

    # How

    def _change(self, asked: Operation[T], key: str | None, **variables: object) -> T:
        used = self._new_key() if key is None else key
        value = self._door.ask(asked, {**variables, "idempotencyKey": used}, used)
        return decoded(asked.field, value, asked.kind)

    def _find(self, asked: Operation[T], **variables: object) -> T | None:
        optional: Any = asked.kind | None
        found: T | None = decoded(asked.field, self._door.ask(asked, variables), optional)
        return found

    def _report(self, asked: Operation[T], wanted: Mapping[str, object]) -> T:
        return decoded(asked.field, self._door.ask(asked, {"input": wanted}), asked.kind)

    def _walk(self, asked: Operation[T], wanted: object, page: int) -> Iterator[T]:
        kind: Any = Page[asked.kind]  # type: ignore[name-defined]  # the type of a page is known when it is read
        after = None
        while True:
            value = self._door.ask(asked, {"filter": wanted, "first": page, "after": after})
            found: Page[T] = decoded(asked.field, value, kind)
            yield from found.nodes
            if not found.page_info.has_next_page:
                return
            after = found.page_info.end_cursor
