"""The commands on a real ledger: documents and their entries stand or fall together."""

from datetime import date
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from finance import chart, invoice, journal, payment
from finance.adapters.postgres.views import Views
from finance.money import Money
from finance.ports import Append, MasterDataUnavailable
from finance.refusal import (
    AccountCodeTaken,
    AccountHasChildren,
    AccountInactive,
    AccountNeeded,
    AccountNotEmpty,
    AccountParentImpossible,
    AccountUnknown,
    CurrencyMismatch,
    CustomerUnknown,
    DateMalformed,
    IdempotencyKeyReused,
    InvoiceHasPayments,
    JournalOfDocument,
    JournalReversedAlready,
    JournalUnbalanced,
    NotFound,
    PaymentTooLarge,
    Refused,
)

pytestmark = pytest.mark.integration
Desk = Any
DAY, DUE = date(2026, 11, 23), date(2026, 12, 23)
OPEN = {"1200": 115_00, "2200": -15_00, "4000": -100_00}
"""What the books hold after an approved invoice of 100.00 and its VAT."""


def key() -> str:
    return str(uuid4())


def terms(desk: Desk, price: int = 100_00, day: date = DAY, customer: str | None = None) -> invoice.Terms:
    line = invoice.line(
        description="Rice",
        quantity=Decimal(1),
        unit_price=Money(price, "BDT"),
        vat_category="STANDARD",
        product_id=None,
    )
    return invoice.Terms(
        customer_id=customer or desk.customer, invoice_date=day, due_date=max(DUE, day), lines=(line,)
    )


async def draft(desk: Desk, **changes: Any) -> invoice.Invoice:
    made: invoice.Invoice = await desk.books.create_invoice(
        desk.caller, key(), currency="BDT", terms=terms(desk, **changes)
    )
    return made


async def approved(desk: Desk, **changes: Any) -> invoice.Invoice:
    made = await draft(desk, **changes)
    done: invoice.Invoice = await desk.books.approve_invoice(desk.caller, key(), made.id)
    return done


async def pending(desk: Desk, invoice_id: str, minor: int, currency: str = "BDT") -> payment.Payment:
    command = payment.Create(
        payment_id="",
        invoice_id=invoice_id,
        amount=Money(minor, currency),
        payment_date=DAY,
        details=payment.Details(method="BANK_TRANSFER"),
    )
    made: payment.Payment = await desk.books.create_payment(desk.caller, key(), command)
    return made


async def completed(desk: Desk, invoice_id: str, minor: int) -> payment.Payment:
    made = await pending(desk, invoice_id, minor)
    done: payment.Payment = await desk.books.complete_payment(
        desk.caller, key(), made.id, transaction_reference="TRX-1"
    )
    return done


def sale(desk: Desk, minor: int = 5, day: date = DAY, other_side: int | None = None) -> journal.Create:
    return journal.Create(
        journal_id="",
        journal_date=day,
        journal_type="GENERAL",
        description="A sale",
        currency="BDT",
        lines=(
            journal.Line(account_id=desk.account("1000"), debit_minor=minor),
            journal.Line(account_id=desk.account("4000"), credit_minor=other_side or minor),
        ),
    )


async def opened(desk: Desk, code: str, parent_id: str | None = None, currency: str = "BDT") -> Any:
    return await desk.books.create_account(
        desk.caller,
        key(),
        code=code,
        name="An account",
        account_type="ASSET",
        currency=currency,
        parent_id=parent_id,
    )


async def test_an_invoice_is_drafted_approved_paid_and_reconciled(desk: Desk) -> None:
    made = await draft(desk)
    assert (made.status, made.number, made.customer_verified) == ("DRAFT", None, True)
    assert await desk.balances() == {}
    one = await desk.books.approve_invoice(desk.caller, key(), made.id)
    assert (one.status, one.number, one.total_minor) == ("APPROVED", "INV-2026-11-23-000001", 115_00)
    entry = await desk.load("journal", one.journal_id)
    assert (entry.status, entry.number, entry.document_id) == ("POSTED", "SJ-2026-11-000001", one.id)
    assert (entry.posted_at, entry.posted_by) == (desk.clock.now(), "rahim")
    assert await desk.balances() == OPEN
    paid = await completed(desk, one.id, 115_00)
    assert (paid.status, paid.number) == ("COMPLETED", "PMT-2026-11-23-000001")
    assert (await desk.load("invoice", one.id)).status == "PAID"
    assert await desk.balances() == {"1010": 115_00, "2200": -15_00, "4000": -100_00}
    done = await desk.books.reconcile_payment(desk.caller, key(), paid.id, await desk.bank_line(115_00))
    assert (done.status, done.reconciled_at) == ("RECONCILED", desk.clock.now())


async def test_a_document_and_its_entry_are_of_one_transaction(desk: Desk) -> None:
    one = await approved(desk)
    await completed(desk, one.id, 115_00)
    async with desk.ledger.connected("finance_projector") as connection:
        rows = await connection.fetch(
            "SELECT array_agg(type ORDER BY position) AS types FROM finance_log.events"
            " WHERE actor = 'rahim' GROUP BY tx ORDER BY tx"
        )
    assert [row["types"] for row in rows] == [
        ["invoice.created/1"],
        ["invoice.approved/1", "journal.created/1", "journal.posted/1"],
        ["payment.created/1"],
        ["payment.completed/1", "invoice.payment-recorded/1", "journal.created/1", "journal.posted/1"],
    ]


async def test_a_bill_whose_account_is_inactive_is_not_approved_and_nothing_is_written(desk: Desk) -> None:
    made = await desk.voucher_drafted("BILL", account_id=desk.account("5200"))
    await desk.books.deactivate_account(desk.caller, key(), desk.account("5200"), reason="not needed")
    before = await desk.types()
    with pytest.raises(AccountInactive, match="It is 5200"):
        await desk.books.billing.approve(desk.caller, key(), made.id)
    assert await desk.types() == before
    assert (await desk.load("voucher", made.id)).status == "DRAFT"
    assert await desk.ledger.seen(desk.ledger.tenant, "SELECT count(*) FROM finance_log.counters") == 0


async def test_a_payment_taken_back_reopens_its_invoice_and_reverses_its_entry(desk: Desk) -> None:
    one = await approved(desk)
    paid = await completed(desk, one.id, 115_00)
    back = await desk.books.reverse_payment(desk.caller, key(), paid.id, reason="paid by mistake")
    assert back.status == "REVERSED"
    assert (await desk.load("invoice", one.id)).status == "APPROVED"
    assert (await desk.load("journal", paid.journal_id)).status == "REVERSED"
    assert await desk.balances() == OPEN
    again = await completed(desk, one.id, 115_00)
    assert (await desk.load("invoice", one.id)).status == "PAID"
    assert again.number == "PMT-2026-11-23-000002"


async def test_a_payment_that_an_older_release_numbered_keeps_its_number_and_draws_none(desk: Desk) -> None:
    one, old = await approved(desk), str(uuid4())
    created = payment.Created(
        payment_id=old,
        invoice_id=one.id,
        amount_minor=5_00,
        currency="BDT",
        payment_date=DAY,
        details=payment.Details(method="CASH"),
        number="PMT-2026-11-23-000001",
    )
    async with desk.ledger.store.book(desk.ledger.tenant) as book:
        assert await book.draw("PMT", "FY2026-2027") == 1
        await book.append([Append(kind="payment", stream_id=old, version=1, event=created)], actor="rahim")
    done = await desk.books.complete_payment(desk.caller, key(), old, transaction_reference="TRX-1")
    assert (done.status, done.number) == ("COMPLETED", "PMT-2026-11-23-000001")
    assert (await completed(desk, one.id, 5_00)).number == "PMT-2026-11-23-000002"
    views = Views(desk.ledger.app, await desk.ledger.replayed())
    [series] = [
        one for one in await views.number_series(desk.ledger.tenant, "FY2026-2027") if one["series"] == "PMT"
    ]
    assert (series["count"], series["last"], series["missing"], series["repeated"]) == (2, 2, [], [])


async def test_an_approved_invoice_is_cancelled_by_the_mirror_of_its_entry(desk: Desk) -> None:
    one = await approved(desk)
    gone = await desk.books.cancel_invoice(desk.caller, key(), one.id, reason="a mistake")
    assert gone.status == "CANCELLED"
    assert await desk.balances() == {}
    entry = await desk.load("journal", one.journal_id)
    mirror = await desk.load("journal", entry.reversed_by_id)
    assert (mirror.original_id, mirror.number) == (entry.id, "RJ-2026-11-000001")


async def test_a_cancelled_draft_posts_nothing(desk: Desk) -> None:
    made = await draft(desk)
    assert (await desk.books.cancel_invoice(desk.caller, key(), made.id, reason="a mistake")).cancelled
    assert (await desk.types()).keys() == {"invoice.created", "invoice.cancelled"}


async def test_an_invoice_that_was_paid_on_is_not_cancelled(desk: Desk) -> None:
    one = await approved(desk)
    await completed(desk, one.id, 5_00)
    with pytest.raises(InvoiceHasPayments):
        await desk.books.cancel_invoice(desk.caller, key(), one.id, reason="a mistake")
    assert (await desk.load("journal", one.journal_id)).status == "POSTED"


async def test_more_than_is_open_is_not_paid_even_by_payments_begun_before(desk: Desk) -> None:
    one = await approved(desk)
    with pytest.raises(PaymentTooLarge):
        await pending(desk, one.id, 115_01)
    late = await pending(desk, one.id, 60_00)
    with pytest.raises(PaymentTooLarge):
        await desk.books.update_payment(
            desk.caller, key(), late.id, payment.Update(amount=Money(115_01, "BDT"))
        )
    await completed(desk, one.id, 60_00)
    before = await desk.types()
    with pytest.raises(PaymentTooLarge):
        await desk.books.complete_payment(desk.caller, key(), late.id, transaction_reference="TRX-2")
    assert await desk.types() == before
    failed = await desk.books.fail_payment(desk.caller, key(), late.id, "the bank said no")
    assert failed.status == "FAILED"


async def test_an_entry_of_a_document_is_not_reversed_by_itself(desk: Desk) -> None:
    one = await approved(desk)
    with pytest.raises(JournalOfDocument):
        await desk.books.reverse_journal(desk.caller, key(), one.journal_id, DAY)
    assert await desk.balances() == OPEN


async def test_an_entry_is_drafted_changed_posted_and_reversed_once(desk: Desk) -> None:
    made = await desk.books.create_journal(desk.caller, key(), sale(desk), post=False)
    more = journal.Line(account_id=desk.account("1010"), debit_minor=5)
    unbalanced = await desk.books.change_journal(desk.caller, key(), made.id, journal.AddLine(line=more))
    with pytest.raises(JournalUnbalanced):
        await desk.books.post_journal(desk.caller, key(), made.id)
    assert (unbalanced.status, await desk.balances()) == ("DRAFT", {})
    lines = sale(desk, 7).lines
    await desk.books.change_journal(desk.caller, key(), made.id, journal.Update(lines=lines))
    posted = await desk.books.post_journal(desk.caller, key(), made.id)
    assert posted.number == "GJ-2026-11-000001"
    back = await desk.books.reverse_journal(desk.caller, key(), made.id, date(2026, 12, 1))
    assert (back.original_id, back.journal_date) == (made.id, date(2026, 12, 1))
    assert await desk.balances(last=date(2026, 11, 30)) == {"1000": 7, "4000": -7}
    assert await desk.balances() == {}
    with pytest.raises(JournalReversedAlready):
        await desk.books.reverse_journal(desk.caller, key(), made.id, DAY)


async def test_an_unbalanced_entry_is_refused_and_nothing_is_written(desk: Desk) -> None:
    with pytest.raises(JournalUnbalanced):
        await desk.books.create_journal(desk.caller, key(), sale(desk, 5, other_side=6), post=True)
    assert await desk.types() == {}
    assert (await desk.books.create_journal(desk.caller, key(), sale(desk), post=True)).number[
        -6:
    ] == "000001"


async def test_a_trial_balance_balances_and_honours_its_date(desk: Desk) -> None:
    for month, minor in ((10, 1), (11, 20), (12, 300)):
        asked = sale(desk, minor, date(2026, month, 15))
        await desk.books.create_journal(desk.caller, key(), asked, post=True)
    assert await desk.balances() == {"1000": 321, "4000": -321}
    assert await desk.balances(last=date(2026, 11, 15)) == {"1000": 21, "4000": -21}
    assert await desk.balances(last=date(2026, 11, 14)) == {"1000": 1, "4000": -1}
    assert await desk.balances(first=date(2026, 11, 15), last=date(2026, 12, 14)) == {"1000": 20, "4000": -20}


@pytest.mark.parametrize("account_id", ["5f1d3a52-7d0c-4a54-9b0e-3f4f0c1a2b3c", "no id"])
async def test_an_entry_on_an_account_that_is_not_there_is_refused(desk: Desk, account_id: str) -> None:
    asked = sale(desk)
    lines = (asked.lines[0], journal.Line(account_id=account_id, credit_minor=5))
    with pytest.raises(AccountUnknown) as told:
        await desk.books.create_journal(
            desk.caller, key(), journal.Create(**{**_fields(asked), "lines": lines}), post=False
        )
    assert told.value.code == "account-unknown"
    assert await desk.types() == {}


def _fields(command: journal.Create) -> dict[str, Any]:
    return {name: getattr(command, name) for name in command.__struct_fields__}


async def test_another_tenants_account_is_not_posted_to(desk: Desk) -> None:
    theirs = journal.Line(account_id=str(uuid4()), credit_minor=5)
    asked = journal.Create(**{**_fields(sale(desk)), "lines": (sale(desk).lines[0], theirs)})
    with pytest.raises(AccountUnknown):
        await desk.books.create_journal(desk.caller, key(), asked, post=True)


async def test_an_account_in_another_currency_is_not_posted_to(desk: Desk) -> None:
    euros = await opened(desk, "1030", currency="EUR")
    asked = sale(desk)
    lines = (journal.Line(account_id=euros.id, debit_minor=5), asked.lines[1])
    with pytest.raises(CurrencyMismatch):
        await desk.books.create_journal(
            desk.caller, key(), journal.Create(**{**_fields(asked), "lines": lines}), post=False
        )


async def test_a_number_has_the_day_of_its_document_and_counts_within_the_fiscal_year(desk: Desk) -> None:
    numbers = [(await approved(desk, day=day)).number for day in (DAY, date(2027, 6, 30), date(2027, 7, 1))]
    assert numbers == ["INV-2026-11-23-000001", "INV-2027-06-30-000002", "INV-2027-07-01-000001"]
    assert (await approved(desk, day=date(1901, 1, 2))).number == "INV-1901-01-02-000001"


async def test_an_account_code_is_taken_once(desk: Desk) -> None:
    await opened(desk, "1030")
    with pytest.raises(AccountCodeTaken) as told:
        await opened(desk, "1030")
    assert told.value.code == "account-code-taken"


async def test_an_account_is_moved_below_another_but_never_below_itself(desk: Desk) -> None:
    top = await opened(desk, "1030")
    middle = await opened(desk, "1030-01", top.id)
    below = await opened(desk, "1030-01-01", middle.id)
    for parent in (top.id, middle.id, below.id):
        with pytest.raises(AccountParentImpossible):
            await desk.books.update_account(desk.caller, key(), top.id, name=None, parent_id=parent)
    moved = await desk.books.update_account(desk.caller, key(), below.id, name="Another", parent_id=top.id)
    assert (moved.parent_id, moved.name) == (top.id, "Another")


async def test_a_chart_is_at_most_ten_deep(desk: Desk) -> None:
    parent = None
    for number in range(10, 20):
        parent = (await opened(desk, f"1030-{number}", parent)).id
    last = await opened(desk, "1030-99")
    with pytest.raises(AccountParentImpossible, match="deep"):
        await opened(desk, "1030-20", parent)
    with pytest.raises(AccountParentImpossible, match="deep"):
        await desk.books.update_account(desk.caller, key(), last.id, name=None, parent_id=parent)


async def test_an_account_that_rules_post_to_stays(desk: Desk) -> None:
    """Empty before the first sale, or after a year's end: without it no invoice would be approved any more."""
    for code, _, _ in chart.STANDARD:
        work = desk.books.deactivate_account(desk.caller, key(), desk.account(code), reason="not needed")
        if code in {"1300", "1500", "2100", "3000", "5000", "5100", "5200"}:
            assert not (await work).active
        else:
            with pytest.raises(AccountNeeded):
                await work


async def test_money_of_an_earlier_day_pays_no_document_at_once(desk: Desk) -> None:
    """Before the invoice nothing is owed: what comes then is an advance, and no receivable below zero."""
    one = await desk.invoice_approved(day=date(2026, 11, 20))
    for minor in (10_00, 200_00):
        with pytest.raises(DateMalformed):
            await desk.paid(minor, day=date(2026, 11, 19), invoice_id=one.id, excess=True)
    late = payment.Create(
        payment_id="",
        invoice_id=one.id,
        amount=Money(10_00, "BDT"),
        payment_date=date(2026, 11, 20),
        details=payment.Details(method="CASH"),
    )
    made = await desk.books.create_payment(desk.caller, key(), late)
    update = payment.Update(payment_date=date(2026, 11, 19))
    with pytest.raises(DateMalformed):
        await desk.books.update_payment(desk.caller, key(), made.id, update)
    advance = await desk.paid(10_00, day=date(2026, 11, 19), customer_id=desk.customer)
    await desk.allocated(advance, one, 10_00)
    held = await desk.balances(last=date(2026, 11, 19))
    assert held == {"1010": 10_00, "2300": -10_00}


async def test_an_account_with_children_or_a_balance_is_not_deactivated(desk: Desk) -> None:
    top = await opened(desk, "1030")
    below = await opened(desk, "1030-01", top.id)
    with pytest.raises(AccountHasChildren):
        await desk.books.deactivate_account(desk.caller, key(), top.id, reason="not needed")
    await desk.books.deactivate_account(desk.caller, key(), below.id, reason="not needed")
    assert not (await desk.books.deactivate_account(desk.caller, key(), top.id, reason="not needed")).active
    await desk.books.create_journal(desk.caller, key(), sale(desk), post=True)
    with pytest.raises(AccountNotEmpty):
        await desk.books.deactivate_account(desk.caller, key(), desk.account("1000"), reason="not needed")


async def test_a_customer_that_is_not_known_is_refused(desk: Desk) -> None:
    with pytest.raises(CustomerUnknown) as told:
        await draft(desk, customer=str(uuid4()))
    assert told.value.code == "customer-unknown"
    made = await draft(desk)
    with pytest.raises(CustomerUnknown):
        await change_customer(desk, made.id, str(uuid4()))
    assert (await desk.types()).keys() == {"invoice.created"}


async def change_customer(desk: Desk, invoice_id: str, customer: str) -> invoice.Invoice:
    asked = terms(desk, 200_00, customer=customer)
    changed: invoice.Invoice = await desk.books.update_invoice(
        desk.caller, key(), invoice_id, asked=customer, change=lambda _: asked
    )
    return changed


async def test_a_draft_is_changed_and_a_customer_that_stays_is_not_asked_for(desk: Desk) -> None:
    made = await draft(desk)
    asked = desk.neighbours.asked
    assert (await change_customer(desk, made.id, desk.customer)).total_minor == 230_00
    assert desk.neighbours.asked == asked


async def test_an_invoice_is_drafted_while_master_data_is_away_and_says_that_nobody_was_asked(
    desk: Desk,
) -> None:
    desk.neighbours.away = True
    assert not (await draft(desk)).customer_verified
    desk.neighbours.fallback = False
    with pytest.raises(MasterDataUnavailable):
        await draft(desk)
    assert await desk.types() == {"invoice.created": 1}


@pytest.mark.parametrize("invoice_id", ["5f1d3a52-7d0c-4a54-9b0e-3f4f0c1a2b3c", "INV-2026-11-23-000001"])
async def test_what_is_not_in_the_books_is_not_found(desk: Desk, invoice_id: str) -> None:
    books, caller = desk.books, desk.caller
    for asked in (
        books.approve_invoice(caller, key(), invoice_id),
        books.cancel_invoice(caller, key(), invoice_id, reason="a mistake"),
        books.post_journal(caller, key(), invoice_id),
        books.fail_payment(caller, key(), invoice_id, "the bank said no"),
        books.deactivate_account(caller, key(), invoice_id, reason="not needed"),
        pending(desk, invoice_id, 5),
    ):
        with pytest.raises(NotFound) as told:
            await asked
        assert told.value.code == "not-found"


async def test_a_retry_gets_the_first_answer_whatever_happened_since(desk: Desk) -> None:
    once, asked = key(), terms(desk)
    first = await desk.books.create_invoice(desk.caller, once, currency="BDT", terms=asked)
    await desk.books.approve_invoice(desk.caller, key(), first.id)
    desk.neighbours.customers.clear()
    for away, fallback in ((False, True), (True, True), (True, False)):
        desk.neighbours.away, desk.neighbours.fallback = away, fallback
        again = await desk.books.create_invoice(desk.caller, once, currency="BDT", terms=asked)
        assert again == first
    assert (await desk.types())["invoice.created"] == 1


async def test_a_key_is_good_for_one_request(desk: Desk) -> None:
    once = key()
    await desk.books.create_journal(desk.caller, once, sale(desk), post=False)
    with pytest.raises(IdempotencyKeyReused):
        await desk.books.create_journal(desk.caller, once, sale(desk), post=True)
    with pytest.raises(IdempotencyKeyReused):
        await desk.books.create_journal(desk.caller, once, sale(desk, 6), post=False)


async def test_a_refused_request_may_be_tried_again_with_its_key(desk: Desk) -> None:
    made, once = await draft(desk), key()
    await desk.books.deactivate_account(desk.caller, key(), desk.account("1500"), reason="not needed")
    late = await draft(desk, customer=desk.customer)
    await desk.books.cancel_invoice(desk.caller, key(), late.id, reason="a mistake")
    with pytest.raises(Refused):
        await desk.books.approve_invoice(desk.caller, once, late.id)
    assert (await desk.books.approve_invoice(desk.caller, once, made.id)).status == "APPROVED"
