"""Many writers at once, each in a transaction of its own: nothing is lost, doubled or skipped."""

import asyncio
from collections import Counter
from collections.abc import Awaitable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from finance import chart, control, invoice, journal, payment
from finance.account import Account
from finance.adapters.postgres.store import PostgresStore
from finance.adapters.postgres.views import Views
from finance.handle import Books
from finance.ids import new_id
from finance.money import Money
from finance.ports import Caller
from finance.refusal import (
    AccountCodeTaken,
    AccountHasChildren,
    AccountInactive,
    AccountNotEmpty,
    AccountParentImpossible,
    InvoiceNotDraft,
    PaymentTooLarge,
)
from finance.verify import examine
from kit.database import open_pool

pytestmark = pytest.mark.integration
Desk = Any
WRITERS = 32
DAY = date(2026, 11, 23)


def key() -> str:
    return str(uuid4())


def line(desk: Desk, minor: int = 5, code: str = "1000") -> journal.Line:
    return journal.Line(account_id=desk.account(code), debit_minor=minor)


def entry(desk: Desk, minor: int = 5) -> journal.Create:
    credit = journal.Line(account_id=desk.account("4000"), credit_minor=minor)
    return journal.Create(
        journal_id="",
        journal_date=DAY,
        journal_type="GENERAL",
        description="A sale",
        currency="BDT",
        lines=(line(desk, minor), credit),
    )


async def draft(desk: Desk, once: str) -> invoice.Invoice:
    one = invoice.line(
        description="Rice",
        quantity=Decimal(1),
        unit_price=Money(100_00, "BDT"),
        vat_category="STANDARD",
        product_id=None,
    )
    terms = invoice.Terms(customer_id=desk.customer, invoice_date=DAY, due_date=DAY, lines=(one,))
    made: invoice.Invoice = await desk.books.create_invoice(desk.caller, once, currency="BDT", terms=terms)
    return made


async def together(*asked: Awaitable[Any]) -> tuple[list[Any], list[BaseException]]:
    """What the requests answered, and what they raised."""
    done = await asyncio.gather(*asked, return_exceptions=True)
    raised = [one for one in done if isinstance(one, BaseException)]
    return [one for one in done if not isinstance(one, BaseException)], raised


async def test_many_writers_of_one_stream_all_write_one_after_the_other(desk: Desk) -> None:
    made = await desk.books.create_journal(desk.caller, key(), entry(desk), post=False)
    done, raised = await together(
        *(
            desk.books.change_journal(desk.caller, key(), made.id, journal.AddLine(line=line(desk, minor)))
            for minor in range(1, WRITERS + 1)
        )
    )
    assert raised == []
    assert sorted(one.version for one in done) == list(range(2, WRITERS + 2))
    lines = (await desk.load("journal", made.id)).lines[2:]
    assert sorted(one.debit_minor for one in lines) == list(range(1, WRITERS + 1))


async def test_many_approvals_draw_numbers_without_gap_or_double(desk: Desk) -> None:
    drafts, raised = await together(*(draft(desk, key()) for _ in range(WRITERS)))
    assert raised == []
    done, raised = await together(*(desk.books.approve_invoice(desk.caller, key(), one.id) for one in drafts))
    assert raised == []
    assert sorted(int(one.number[-6:]) for one in done) == list(range(1, WRITERS + 1))
    entries = [await desk.load("journal", one.journal_id) for one in done]
    assert sorted(int(one.number[-6:]) for one in entries) == list(range(1, WRITERS + 1))
    total = WRITERS * 100_00
    assert await desk.balances() == {
        "1200": total + total * 15 // 100,
        "2200": -total * 15 // 100,
        "4000": -total,
    }


async def test_numbers_have_no_gap_and_none_is_drawn_twice_where_half_of_the_writers_are_refused(
    desk: Desk,
) -> None:
    """The original counted in memory: one counter for all tenants, begun again with each process."""
    stranger = another_caller(desk)
    invoices = [await draft_and_approve(desk) for _ in range(4)]
    command = [
        payment.Create(
            payment_id="",
            invoice_id=one.id,
            amount=Money(115_00, "BDT"),
            payment_date=DAY if number % 2 else date(2027, 7, 1),
            details=payment.Details(method="CASH"),
        )
        for number, one in enumerate(invoices)
    ]
    made = [await desk.books.create_payment(desk.caller, key(), command[n % 4]) for n in range(WRITERS)]
    assert {one.number for one in made} == {None}
    done, raised = await together(
        *(
            desk.books.complete_payment(desk.caller, key(), one.id, transaction_reference="TRX-1")
            for one in made
        ),
        *(desk.books.create_journal(stranger, key(), strangers(desk), post=True) for _ in range(4)),
    )
    assert {type(error) for error in raised} == {PaymentTooLarge}
    paid = sorted(one.number for one in done if isinstance(one, payment.Payment))
    assert paid == [f"PMT-{day}-{number:06d}" for day in ("2026-11-23", "2027-07-01") for number in (1, 2)]
    assert sorted(one.number[-1:] for one in done if isinstance(one, journal.Journal)) == ["1", "2", "3", "4"]
    views = Views(desk.ledger.app, await desk.ledger.replayed())
    for year, series in (
        ("FY2026-2027", {"CR": 2, "INV": 4, "PMT": 2, "SJ": 4}),
        ("FY2027-2028", {"CR": 2, "PMT": 2}),
    ):
        found = await views.number_series(desk.ledger.tenant, year)
        assert {one["series"]: one["last"] for one in found} == series
        assert all(one["count"] == one["last"] for one in found)
        assert all(one["missing"] == one["repeated"] == [] for one in found)


def another_caller(desk: Desk) -> Caller:
    """Somebody of another company."""
    return Caller(user_id="karim", tenant_id=desk.ledger.other_tenant, permissions=frozenset(), token="none")


def strangers(desk: Desk) -> journal.Create:
    """An entry in the other company's books."""
    cash, sales = (chart.account_id(desk.ledger.other_tenant, code) for code in ("1000", "4000"))
    lines = (journal.Line(account_id=cash, debit_minor=5), journal.Line(account_id=sales, credit_minor=5))
    return msgspec.structs.replace(entry(desk), lines=lines)


async def test_one_invoice_is_approved_once_whoever_asks(desk: Desk) -> None:
    made = await draft(desk, key())
    done, raised = await together(
        *(desk.books.approve_invoice(desk.caller, key(), made.id) for _ in range(WRITERS))
    )
    assert len(done) == 1
    assert Counter(one.code for one in raised) == {"invoice-not-draft": WRITERS - 1}  # type: ignore[attr-defined]
    assert (await draft_and_approve(desk)).number == "INV-2026-11-23-000002"


async def test_a_bill_that_is_approved_twice_at_once_is_not_told_that_another_has_its_reference(
    desk: Desk,
) -> None:
    """The slower one found the reference taken: by the bill itself."""
    for _ in range(6):
        made = await desk.voucher_drafted("BILL")
        done, raised = await together(
            *(desk.books.billing.approve(desk.caller, key(), made.id) for _ in range(4))
        )
        assert len(done) == 1
        assert {type(error) for error in raised} == {InvoiceNotDraft}


async def draft_and_approve(desk: Desk) -> invoice.Invoice:
    made = await draft(desk, key())
    approved: invoice.Invoice = await desk.books.approve_invoice(desk.caller, key(), made.id)
    return approved


async def test_concurrent_retries_with_one_key_write_once_and_get_one_answer(desk: Desk) -> None:
    once = key()
    done, raised = await together(
        *(desk.books.create_journal(desk.caller, once, entry(desk), post=True) for _ in range(WRITERS))
    )
    assert raised == []
    assert done == [done[0]] * WRITERS
    assert await desk.types() == {"journal.created": 1, "journal.posted": 1}
    assert await desk.balances() == {"1000": 5, "4000": -5}


async def test_a_retry_beside_its_own_request_is_not_refused_for_what_that_one_did(desk: Desk) -> None:
    """The second waited for the code that the first took, and was told that it is taken."""
    for number in range(10, 16):
        once = key()
        done, raised = await together(*(opened(desk, f"1030-{number}", once=once) for _ in range(8)))
        assert raised == []
        assert done == [done[0]] * 8
    with pytest.raises(AccountCodeTaken):
        await opened(desk, "1030-10")


async def test_payments_at_once_never_pay_more_than_is_open(desk: Desk) -> None:
    one = await draft_and_approve(desk)
    command = payment.Create(
        payment_id="",
        invoice_id=one.id,
        amount=Money(20_00, "BDT"),
        payment_date=DAY,
        details=payment.Details(method="CASH"),
    )
    made, _ = await together(*(desk.books.create_payment(desk.caller, key(), command) for _ in range(8)))
    assert len(made) == 8
    done, raised = await together(
        *(
            desk.books.complete_payment(desk.caller, key(), each.id, transaction_reference="TRX-1")
            for each in made
        )
    )
    assert len(done) == 5
    assert {type(error) for error in raised} == {PaymentTooLarge}
    assert (await desk.load("invoice", one.id)).open_minor == 15_00
    assert (await desk.balances())["1000"] == 100_00


async def opened(desk: Desk, code: str, parent_id: str | None = None, once: str | None = None) -> Account:
    made: Account = await desk.books.create_account(
        desk.caller,
        once or key(),
        code=code,
        name="An account",
        account_type="ASSET",
        currency="BDT",
        parent_id=parent_id,
    )
    return made


async def test_of_many_who_want_a_code_one_gets_it(desk: Desk) -> None:
    done, raised = await together(*(opened(desk, "1030") for _ in range(WRITERS)))
    assert len(done) == 1
    assert {type(error) for error in raised} == {AccountCodeTaken}
    assert (await desk.types())["account.created"] == 1


async def test_two_moves_at_once_never_make_a_circle(desk: Desk) -> None:
    for number in range(10, 15):
        one, other = await opened(desk, f"1030-{number}"), await opened(desk, f"1040-{number}")
        done, raised = await together(
            desk.books.update_account(desk.caller, key(), one.id, name=None, parent_id=other.id),
            desk.books.update_account(desk.caller, key(), other.id, name=None, parent_id=one.id),
        )
        assert len(done) == 1
        assert [type(error) for error in raised] == [AccountParentImpossible]


async def test_nothing_is_posted_to_an_account_that_is_being_deactivated(desk: Desk) -> None:
    for number in range(10, 20):
        one = await opened(desk, f"1030-{number}")
        lines = (journal.Line(account_id=one.id, debit_minor=5), entry(desk).lines[1])
        asked = journal.Create(
            journal_id="",
            journal_date=DAY,
            journal_type="GENERAL",
            description="A sale",
            currency="BDT",
            lines=lines,
        )
        done, raised = await together(
            desk.books.create_journal(desk.caller, key(), asked, post=True),
            desk.books.deactivate_account(desk.caller, key(), one.id, reason="not needed"),
        )
        assert len(done) == 1
        assert type(raised[0]) is (AccountInactive if isinstance(done[0], Account) else AccountNotEmpty)


async def test_nothing_is_opened_below_an_account_that_is_being_deactivated(desk: Desk) -> None:
    for number in range(10, 20):
        one = await opened(desk, f"1030-{number}")
        done, raised = await together(
            opened(desk, f"1040-{number}", one.id),
            desk.books.deactivate_account(desk.caller, key(), one.id, reason="not needed"),
        )
        assert len(done) == 1
        assert type(raised[0]) in {AccountInactive, AccountHasChildren}


async def test_32_writers_of_one_account_and_one_invoice_lose_double_and_skip_nothing(desk: Desk) -> None:
    """Each on a connection of its own: an entry on the hot account, an allocation, a reversal of the same entry."""
    till = await opened(desk, "1030")
    lines = (journal.Line(account_id=till.id, debit_minor=7), entry(desk, 7).lines[1])
    hot = msgspec.structs.replace(entry(desk), lines=lines)
    first = await desk.books.create_journal(desk.caller, key(), hot, post=True)
    one, money = await draft_and_approve(desk), await desk.paid(500_00, customer_id=desk.customer)
    pool = await open_pool(desk.ledger.url("finance_app"), setting="APP", size=WRITERS)
    books = Books(store=PostgresStore(pool), masterdata=desk.neighbours, clock=desk.clock, new_id=new_id)
    many = replace(desk, books=books)
    try:
        done, raised = await together(
            *(books.create_journal(desk.caller, key(), hot, post=True) for _ in range(WRITERS)),
            *(many.allocated(money, one, 9_00) for _ in range(WRITERS)),
            *(
                books.reverse_journal(desk.caller, key(), first.id, DAY, reason="posted by mistake")
                for _ in range(WRITERS)
            ),
        )
        assert pool.get_size() == WRITERS
    finally:
        await pool.close()
    held = await desk.load("invoice", one.id)
    left = await desk.load("payment", money.id)
    assert (held.open_minor, left.credit.minor) == (115_00 - 12 * 9_00, 500_00 - 12 * 9_00)
    kinds = Counter(getattr(each, "journal_type", "allocated") for each in done)
    assert kinds == {"GENERAL": WRITERS, "allocated": 12, "REVERSING": 1}
    assert Counter(each.code for each in raised) == {  # type: ignore[attr-defined]
        "payment-too-large": WRITERS - 12,
        "journal-reversed-already": WRITERS - 1,
    }
    assert (await desk.balances())["1030"] == 7 * WRITERS
    log = await desk.log()
    found = examine(log)
    control.check(log, found)
    assert (found.verdict, found.faults) == ("pass", [])
