"""What pays what: bills and notes, money on account, allocations, write-offs, withheld taxes."""

import asyncio
import random
from collections import defaultdict
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finance import control, invoice, payment, settlement, voucher
from finance.adapters.postgres.views import Views
from finance.money import Money
from finance.refusal import (
    AccountControlled,
    AllocationTooLarge,
    AllocationUnknown,
    AmountNotPositive,
    CurrencyMismatch,
    DateMalformed,
    InvoiceCancelled,
    InvoiceHasPayments,
    InvoiceNotDraft,
    InvoiceNotPayable,
    InvoiceWithoutLines,
    NotFound,
    PaymentNotCompleted,
    PaymentPartnerMalformed,
    PaymentTooLarge,
    Refused,
    SettlementUnknown,
    TaxesLocked,
    TextMalformed,
    VoucherNotCredit,
    VoucherNotDebt,
    VoucherReferenceTaken,
)
from finance.settlement import Allocation, Credit
from finance.verify import Stored, Unreadable, examine

Desk = Any
Serving = Any
TENANT = "0198c5a0-0000-7000-8000-000000000001"
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


def line(minor: int = 100_00) -> invoice.Line:
    return invoice.line(
        description="Rice",
        quantity=Decimal(1),
        unit_price=Money(minor, "BDT"),
        vat_category="STANDARD",
        product_id=None,
    )


def terms(**changes: Any) -> voucher.Terms:
    standard = {
        "partner_id": "v",
        "voucher_date": DAY,
        "due_date": LATER,
        "lines": (line(),),
        "reference": "V-1",
        "reason": "the rice was wet",
    }
    return voucher.Terms(**(standard | changes))


def drafted(kind: str = BILL) -> voucher.Voucher:
    create = voucher.Create(voucher_id="b", kind=kind, currency="BDT", terms=terms())
    return after(None, create)


def approved(kind: str = BILL) -> voucher.Voucher:
    return after(drafted(kind), voucher.Approve(number="N-1", journal_id="j", approved_by="rahim"))


def after(state: voucher.Voucher | None, *commands: voucher.Command) -> voucher.Voucher:
    for command in commands:
        for event in voucher.decide(state, command):
            state = voucher.evolve(state, event)
    assert state is not None
    return state


def part(minor: int, worth: int | None = None, number: int = 0) -> Allocation:
    return Allocation(
        id=f"a{number}",
        document_kind="invoice",
        document_id="i",
        amount_minor=minor,
        allocated_on=DAY,
        journal_id=f"j{number}",
        base_minor=worth,
    )


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=8), st.integers(0, 10**12), st.randoms())
def test_a_credit_that_is_spent_in_parts_leaves_nothing_and_what_is_taken_back_is_all_there_again(
    parts: list[int], worth: int, chance: random.Random
) -> None:
    whole = credit = Credit(minor=sum(parts), base_minor=worth)
    for number, minor in enumerate(parts):
        settlement.spendable(credit, Money(minor, "EUR"))
        part_worth = credit.worth_minor(minor)
        exact = Fraction(credit.base_minor * minor, credit.minor)
        assert abs(part_worth - exact) <= Fraction(1, 2)
        credit = credit.spent(part(minor, part_worth, number))
        assert credit.base_minor >= 0
    assert (credit.minor, credit.base_minor) == (0, 0)
    for one in chance.sample(credit.allocations, len(parts)):
        credit = credit.restored(one.id)
    assert credit == whole


def test_no_more_is_allocated_than_is_left() -> None:
    credit = Credit(minor=5, base_minor=5)
    with pytest.raises(AllocationTooLarge) as told:
        settlement.spendable(credit, Money(6, "BDT"))
    assert told.value.code == "allocation-too-large"
    with pytest.raises(AmountNotPositive):
        settlement.spendable(credit, Money(0, "BDT"))


@pytest.mark.parametrize(
    ("kind", "changes", "refused"),
    [
        (BILL, {"lines": ()}, InvoiceWithoutLines),
        (BILL, {"due_date": date(2026, 11, 22)}, DateMalformed),
        (BILL, {"reference": None}, TextMalformed),
        (BILL, {"reference": " "}, TextMalformed),
        (CREDIT_NOTE, {"reason": None}, TextMalformed),
        (VENDOR_CREDIT, {"reason": "no"}, TextMalformed),
        (DEBIT_NOTE, {"reference": ""}, TextMalformed),
    ],
)
def test_what_a_bill_or_note_needs_must_be_there(
    kind: str, changes: dict[str, Any], refused: type[Refused]
) -> None:
    create = voucher.Create(voucher_id="b", kind=kind, currency="BDT", terms=terms(**changes))
    with pytest.raises(refused):
        voucher.decide(None, create)


def pay(minor: int) -> invoice.RecordPayment:
    return invoice.RecordPayment(payment_id="p", amount=Money(minor, "BDT"))


def test_a_bill_goes_from_draft_to_paid_and_is_overdue_only_by_the_day_of_the_question() -> None:
    one = approved()
    steps = [drafted(), one, after(one, pay(15_00)), after(one, pay(15_00), pay(100_00))]
    assert [step.status for step in steps] == ["DRAFT", "APPROVED", "PARTIALLY_PAID", "PAID"]
    on_time, late = LATER, date(2026, 12, 2)
    assert [step.status_on(on_time) for step in steps] == [step.status for step in steps]
    assert [step.status_on(late) for step in steps] == ["DRAFT", "OVERDUE", "OVERDUE", "PAID"]
    assert approved(CREDIT_NOTE).status_on(late) == "APPROVED"


def test_a_credit_goes_from_approved_to_used_up_as_it_is_allocated() -> None:
    one = approved(CREDIT_NOTE)
    some = after(one, voucher.Allocate(allocation=part(15_00, number=1)))
    whole = after(some, voucher.Allocate(allocation=part(100_00, number=2)))
    assert [step.status for step in (one, some, whole)] == ["APPROVED", "PARTIALLY_PAID", "PAID"]
    back = after(whole, voucher.Unallocate(allocation_id="a1", reason="the wrong invoice"))
    assert (back.status, back.open_minor, back.version) == ("PARTIALLY_PAID", 15_00, 5)
    with pytest.raises(AllocationUnknown) as told:
        after(back, voucher.Unallocate(allocation_id="a1", reason="the wrong invoice"))
    assert told.value.code == "allocation-unknown"


CANCEL = invoice.Cancel(reason="a mistake", reversing_journal_id=None)
SETTLED = settlement.Settlement(
    id="s", kind=WRITE_OFF, amount_minor=5, settled_on=DAY, journal_id="k", told="they are bankrupt"
)
SETTLE = invoice.Settle(settlement=SETTLED)
ALLOCATE = voucher.Allocate(allocation=part(5))


@pytest.mark.parametrize(
    ("state", "command", "refused"),
    [
        (drafted(), pay(5), InvoiceNotPayable),
        (drafted(), SETTLE, InvoiceNotPayable),
        (approved(CREDIT_NOTE), pay(5), VoucherNotDebt),
        (approved(CREDIT_NOTE), SETTLE, VoucherNotDebt),
        (approved(), ALLOCATE, VoucherNotCredit),
        (drafted(CREDIT_NOTE), ALLOCATE, VoucherNotCredit),
        (approved(), pay(115_01), PaymentTooLarge),
        (approved(), invoice.RecordPayment(payment_id="p", amount=Money(5, "EUR")), CurrencyMismatch),
        (approved(CREDIT_NOTE), voucher.Allocate(allocation=part(115_01)), AllocationTooLarge),
        (after(approved(), pay(5)), CANCEL, InvoiceHasPayments),
        (after(approved(), SETTLE), CANCEL, InvoiceHasPayments),
        (after(approved(CREDIT_NOTE), ALLOCATE), CANCEL, InvoiceHasPayments),
        (after(approved(), CANCEL), pay(5), InvoiceCancelled),
        (after(approved(CREDIT_NOTE), CANCEL), ALLOCATE, InvoiceCancelled),
        (approved(), voucher.Approve(number="N", journal_id="j", approved_by="r"), InvoiceNotDraft),
    ],
)
def test_what_does_not_follow_is_refused(
    state: voucher.Voucher, command: voucher.Command, refused: type[Refused]
) -> None:
    with pytest.raises(refused):
        voucher.decide(state, command)


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({"amount_minor": 0}, AmountNotPositive),
        ({"amount_minor": 115_01}, PaymentTooLarge),
        ({"told": "too short"}, TextMalformed),
        ({"kind": WITHHOLDING, "told": "C"}, TextMalformed),
        ({"kind": WITHHOLDING, "told": "C" * 101}, TextMalformed),
    ],
)
def test_a_settlement_is_of_something_that_is_open_and_says_why(
    changes: dict[str, Any], refused: type[Refused]
) -> None:
    with pytest.raises(refused):
        voucher.decide(approved(), invoice.Settle(settlement=msgspec.structs.replace(SETTLED, **changes)))


def test_a_settlement_is_taken_back_once() -> None:
    back = invoice.WithdrawSettlement(
        settlement_id="s", reason="they paid after all", reversing_journal_id="k"
    )
    settled = after(approved(), SETTLE)
    assert (settled.status, settled.open_minor) == ("PARTIALLY_PAID", 114_95)
    again = after(settled, back)
    assert (again.status, again.open_minor) == ("APPROVED", 115_00)
    with pytest.raises(SettlementUnknown) as told:
        voucher.decide(again, back)
    assert told.value.code == "settlement-unknown"


# On a real ledger


@pytest.mark.integration
@pytest.mark.parametrize(
    ("kind", "number", "held"),
    [
        (BILL, "BILL-2026-11-23-000001", {"2000": -115_00, "1410": 15_00, "5900": 100_00}),
        (VENDOR_CREDIT, "VC-2026-11-23-000001", {"2000": 115_00, "1410": -15_00, "5900": -100_00}),
        (DEBIT_NOTE, "DN-2026-11-23-000001", {"1200": 115_00, "2200": -15_00, "4000": -100_00}),
        (CREDIT_NOTE, "CN-2026-11-23-000001", {"1200": -115_00, "2200": 15_00, "4000": 100_00}),
    ],
)
async def test_each_kind_posts_by_its_rule_and_is_cancelled_by_the_mirror_of_its_entry(
    desk: Desk, kind: str, number: str, held: dict[str, int]
) -> None:
    made = await desk.voucher_drafted(kind)
    assert await desk.balances() == {}
    one = await desk.books.billing.approve(desk.caller, key(), made.id)
    assert (one.status, one.number) == ("APPROVED", number)
    assert await desk.balances() == held
    entry = await desk.load("journal", one.journal_id)
    assert (entry.document_id, entry.status) == (one.id, "POSTED")
    gone = await desk.books.billing.cancel(desk.caller, key(), one.id, reason="a mistake", on=LATER)
    assert gone.status == "CANCELLED"
    assert (await desk.balances(last=DAY), await desk.balances()) == (held, {})


@pytest.mark.integration
async def test_a_line_of_a_bill_goes_to_its_own_account(desk: Desk) -> None:
    await desk.voucher_approved(BILL, account_id=desk.account("1500"))
    assert await desk.balances() == {"1500": 100_00, "1410": 15_00, "2000": -115_00}


@pytest.mark.integration
async def test_a_cancelled_draft_of_a_bill_posts_nothing(desk: Desk) -> None:
    made = await desk.voucher_drafted(BILL)
    await desk.books.billing.cancel(desk.caller, key(), made.id, reason="a mistake", on=None)
    assert await desk.types() == {"voucher.created": 1, "voucher.cancelled": 1}


@pytest.mark.integration
async def test_what_is_paid_too_much_becomes_a_credit_of_the_customer_and_pays_another_invoice(
    desk: Desk,
) -> None:
    one, other = await desk.invoice_approved(), await desk.invoice_approved()
    with pytest.raises(PaymentTooLarge):
        await desk.paid(120_00, invoice_id=one.id)
    money = await desk.paid(120_00, invoice_id=one.id, excess=True)
    assert (money.credit.minor, (await desk.load("invoice", one.id)).status) == (5_00, "PAID")
    owed = {"2200": -30_00, "4000": -200_00}
    assert await desk.balances() == {"1010": 120_00, "1200": 115_00, "2300": -5_00, **owed}
    spent = await desk.allocated(money, other, 5_00)
    assert spent.credit.minor == 0
    assert (await desk.load("invoice", other.id)).open_minor == 110_00
    assert await desk.balances() == {"1010": 120_00, "1200": 110_00, **owed}


@pytest.mark.integration
async def test_money_for_an_invoice_that_others_paid_meanwhile_becomes_a_credit_as_a_whole(
    desk: Desk,
) -> None:
    one = await desk.invoice_approved()
    command = await pending(desk, one.id)
    await desk.paid(115_00, invoice_id=one.id)
    money = await desk.books.complete_payment(desk.caller, key(), command.id, transaction_reference="TRX-2")
    assert (money.credit.minor, money.credit.allocations) == (20_00, ())
    assert (await desk.balances())["2300"] == -20_00


async def pending(desk: Desk, invoice_id: str) -> Any:

    command = payment.Create(
        payment_id="",
        invoice_id=invoice_id,
        excess=True,
        amount=Money(20_00, "BDT"),
        payment_date=DAY,
        details=payment.Details(method="CASH"),
    )
    return await desk.books.create_payment(desk.caller, key(), command)


@pytest.mark.integration
async def test_many_payments_pay_many_invoices_in_parts(desk: Desk) -> None:
    bills = [await desk.invoice_approved() for _ in range(2)]
    monies = [await desk.paid(80_00, customer_id=desk.customer) for _ in range(3)]
    assert (await desk.balances())["2300"] == -240_00
    await desk.allocated(monies[0], bills[0], 80_00)
    await desk.allocated(monies[1], bills[0], 35_00)
    await desk.allocated(monies[1], bills[1], 45_00)
    last = await desk.allocated(monies[2], bills[1], 70_00)
    assert [(await desk.load("invoice", one.id)).status for one in bills] == ["PAID", "PAID"]
    assert last.credit.minor == 10_00
    held = await desk.balances()
    assert (held["2300"], held.get("1200"), held["1010"]) == (-10_00, None, 240_00)


@pytest.mark.integration
async def test_a_vendor_is_paid_in_advance_and_its_bill_by_that_a_credit_and_a_payment(desk: Desk) -> None:
    advance = await desk.paid(50_00, vendor_id=desk.vendor)
    assert await desk.balances() == {"1010": -50_00, "1400": 50_00}
    bill = await desk.voucher_approved(BILL)
    returned = await desk.voucher_approved(VENDOR_CREDIT, 10_00, corrects_id=bill.id)
    await desk.allocated(advance, bill, 50_00)
    await desk.allocated(returned, bill, 11_50)
    await desk.paid(53_50, voucher_id=bill.id)
    assert (await desk.load("voucher", bill.id)).status == "PAID"
    assert await desk.balances() == {"1010": -103_50, "1410": 13_50, "5900": 90_00}


@pytest.mark.integration
@pytest.mark.parametrize("direct", [True, False])
async def test_an_allocation_is_taken_back_by_another_event_and_another_entry(
    desk: Desk, direct: bool
) -> None:
    one, other = await desk.invoice_approved(), await desk.invoice_approved()
    if direct:
        money = await desk.paid(100_00, invoice_id=one.id)
    else:
        money = await desk.allocated(await desk.paid(100_00, customer_id=desk.customer), one, 100_00)
    [first] = money.credit.allocations
    before = await desk.types()
    back = await desk.unallocated(money, first.id, on=LATER)
    assert (back.credit.minor, back.credit.allocations) == (100_00, ())
    assert (await desk.load("invoice", one.id)).status == "APPROVED"
    written = await desk.types() - before
    assert written["payment.unallocated"] == written["invoice.payment-withdrawn"] == 1
    assert written["journal.posted"] == 1
    held = await desk.balances()
    assert (held["1200"], held["2300"], held["1010"]) == (230_00, -100_00, 100_00)
    with pytest.raises(AllocationUnknown):
        await desk.unallocated(money, first.id)
    await desk.allocated(money, other, 100_00, on=LATER)
    assert (await desk.load("invoice", other.id)).open_minor == 15_00
    gone = await desk.books.reverse_payment(desk.caller, key(), money.id, reason="paid by mistake")
    assert (gone.status, gone.credit) == ("REVERSED", Credit())
    assert (await desk.load("invoice", other.id)).status == "APPROVED"
    assert await desk.balances() == {"1200": 230_00, "2200": -30_00, "4000": -200_00}


@pytest.mark.integration
@pytest.mark.parametrize(("now", "difference"), [("150", {"5950": 1000_00}), ("130", {"4900": -1000_00})])
async def test_money_on_account_keeps_its_worth_and_what_the_rate_did_until_then_is_a_gain_or_a_loss(
    desk: Desk, now: str, difference: dict[str, int]
) -> None:
    await desk.rate_set("140")
    await desk.rate_set(now, since=LATER)
    money = await desk.paid(100_00, customer_id=desk.customer, currency="EUR")
    one = await desk.invoice_approved(day=LATER, currency="EUR")
    spent = await desk.allocated(money, one, 100_00)
    worth = int(now)
    held = {"1010": 14000_00, "1200": 15_00 * worth, "2200": -15_00 * worth, "4000": -100_00 * worth}
    assert await desk.balances() == held | difference
    entry = await desk.load("journal", spent.credit.allocations[0].journal_id)
    assert (entry.currency, entry.rate) == ("EUR", None)
    await desk.unallocated(spent, spent.credit.allocations[0].id)
    back = await desk.balances()
    assert (back["1200"], back["2300"], back.get("4900"), back.get("5950")) == (
        115_00 * worth,
        -14000_00,
        None,
        None,
    )


@pytest.mark.integration
async def test_the_parts_of_an_advance_and_of_an_invoice_add_up_to_what_they_were_worth(desk: Desk) -> None:
    await desk.rate_set("142.3333")
    await desk.rate_set("151.7777", since=LATER)
    money = await desk.paid(100_01, customer_id=desk.customer, currency="EUR")
    one = await desk.invoice_approved(86_97, day=LATER, currency="EUR")
    for minor in (33_33, 33_34, 33_34):
        await desk.allocated(money, one, minor)
    left = await desk.load("invoice", one.id)
    assert left.open_minor == 1
    await desk.settled(WRITE_OFF, one, 1, LATER)
    held = await desk.balances()
    assert {"1200", "2300"} & held.keys() == set()
    assert {"1200", "2300"} & (await desk.balances(currency="EUR")).keys() == set()


@pytest.mark.integration
@pytest.mark.parametrize(
    ("side", "kind", "held"),
    [
        ("SALES", WRITE_OFF, {"5800": 5_00, "1200": 110_00}),
        ("SALES", WITHHOLDING, {"1420": 5_00, "1200": 110_00}),
        ("PURCHASE", WRITE_OFF, {"4800": -5_00, "2000": -110_00}),
        ("PURCHASE", WITHHOLDING, {"2210": -5_00, "2000": -110_00}),
    ],
)
async def test_what_is_written_off_or_withheld_is_posted_by_its_rule_and_can_be_taken_back(
    desk: Desk, side: str, kind: str, held: dict[str, int]
) -> None:
    one = await (desk.invoice_approved() if side == "SALES" else desk.voucher_approved(BILL))
    before = await desk.balances()
    settled = await desk.settled(kind, one, 5_00)
    assert (settled.status, settled.open_minor) == ("PARTIALLY_PAID", 110_00)
    assert (await desk.balances()).items() >= held.items()
    with pytest.raises(PaymentTooLarge):
        await desk.settled(kind, one, 110_01)
    [made] = settled.settlements
    again = await desk.books.settling.withdraw(
        desk.caller, key(), one.id, settlement_id=made.id, reason="they paid after all", on=LATER
    )
    assert (again.status, again.settlements) == ("APPROVED", ())
    assert await desk.balances() == before
    with pytest.raises(SettlementUnknown):
        await desk.books.settling.withdraw(
            desk.caller, key(), one.id, settlement_id=made.id, reason="they paid after all"
        )


@pytest.mark.integration
async def test_an_invoice_of_which_something_was_settled_is_not_cancelled(desk: Desk) -> None:
    one = await desk.invoice_approved()
    settled = await desk.settled(WRITE_OFF, one, 115_00)
    assert settled.status == "PAID"
    await desk.books.closing.close_period(desk.caller, key(), "FY2026-2027-P05", to="CLOSED")
    with pytest.raises(InvoiceHasPayments):
        await desk.books.cancel_invoice(desk.caller, key(), one.id, reason="a mistake")


@pytest.mark.integration
async def test_tax_is_not_withheld_into_a_return_that_was_filed(desk: Desk) -> None:
    one = await desk.invoice_approved()
    await desk.books.closing.lock_taxes(desk.caller, key(), through=DAY)
    with pytest.raises(TaxesLocked):
        await desk.settled(WITHHOLDING, one, 5_00)
    assert (await desk.settled(WRITE_OFF, one, 5_00)).open_minor == 110_00


@pytest.mark.integration
async def test_what_cannot_pay_each_other_is_refused_and_nothing_is_written(desk: Desk) -> None:
    other = str(uuid4())
    desk.neighbours.customers.add(other)
    await desk.rate_set("140")
    one, euros = await desk.invoice_approved(), await desk.invoice_approved(currency="EUR")
    draft, bill = await desk.invoice_drafted(), await desk.voucher_approved(BILL)
    mine, note = await desk.paid(50_00, customer_id=desk.customer), await desk.voucher_approved(CREDIT_NOTE)
    theirs = await desk.paid(50_00, customer_id=other)
    await desk.books.closing.close_period(desk.caller, key(), "FY2026-2027-P01", to="CLOSED")
    before, balances = await desk.types(), await desk.balances()
    for credit, document, minor, on, code in (
        (theirs, one, 5_00, None, "partner-mismatch"),
        (mine, bill, 5_00, None, "partner-mismatch"),
        (mine, euros, 5_00, None, "currency-mismatch"),
        (mine, draft, 5_00, None, "invoice-not-payable"),
        (mine, note, 5_00, None, "voucher-not-debt"),
        (bill, bill, 5_00, None, "voucher-not-credit"),
        (mine, one, 50_01, None, "allocation-too-large"),
        (note, one, 115_01, None, "allocation-too-large"),
        (mine, one, 0, None, "amount-not-positive"),
        (mine, one, 5_00, date(2026, 11, 22), "date-malformed"),
    ):
        with pytest.raises(Refused) as told:
            await desk.allocated(credit, document, minor, on)
        assert told.value.code == code
    for asked in (
        desk.paid(5_00),
        desk.paid(5_00, customer_id=desk.customer, vendor_id=desk.vendor),
    ):
        with pytest.raises(PaymentPartnerMalformed) as of_whom:
            await asked
        assert of_whom.value.code == "payment-partner-malformed"
    for asked, code in (
        (desk.paid(5_00, customer_id=str(uuid4())), "customer-unknown"),
        (desk.paid(5_00, vendor_id=desk.customer), "vendor-unknown"),
        (desk.voucher_drafted(BILL, partner_id=desk.customer), "vendor-unknown"),
        (desk.voucher_drafted(CREDIT_NOTE, partner_id=desk.vendor), "customer-unknown"),
        (desk.voucher_drafted(BILL, account_id=desk.account("2000")), "account-controlled"),
        (desk.voucher_drafted(CREDIT_NOTE, corrects_id=draft.id), "correction-impossible"),
        (desk.voucher_drafted(CREDIT_NOTE, corrects_id=euros.id), "correction-impossible"),
        (desk.voucher_drafted(CREDIT_NOTE, 100_01, corrects_id=one.id), "correction-impossible"),
        (desk.voucher_drafted(VENDOR_CREDIT, corrects_id=one.id), "correction-impossible"),
        (desk.voucher_drafted(CREDIT_NOTE, partner_id=other, corrects_id=one.id), "correction-impossible"),
    ):
        with pytest.raises(Refused) as told:
            await asked
        assert told.value.code == code
    assert (await desk.types(), await desk.balances()) == (before, balances)


@pytest.mark.integration
async def test_a_pending_or_reversed_payment_pays_nothing(desk: Desk) -> None:
    one = await desk.invoice_approved()
    waiting, money = await pending(desk, one.id), await desk.paid(5_00, customer_id=desk.customer)
    await desk.books.reverse_payment(desk.caller, key(), money.id, reason="paid by mistake")
    for credit in (waiting, money):
        with pytest.raises(PaymentNotCompleted):
            await desk.allocated(credit, one, 5_00)


@pytest.mark.integration
async def test_a_vendors_bill_is_booked_once(desk: Desk) -> None:
    await desk.voucher_approved(BILL, reference="V-17")
    again = await desk.voucher_drafted(BILL, reference="V-17")
    with pytest.raises(VoucherReferenceTaken) as told:
        await desk.books.billing.approve(desk.caller, key(), again.id)
    assert told.value.code == "voucher-reference-taken"
    another = str(uuid4())
    desk.neighbours.vendors.add(another)
    assert (await desk.voucher_approved(BILL, reference="V-17", partner_id=another)).number[-1] == "2"


@pytest.mark.integration
async def test_a_bill_that_was_cancelled_is_entered_again_under_its_reference_and_once(desk: Desk) -> None:
    """Booked to the wrong account, cancelled, entered again: the vendor's number is still the vendor's number."""
    for _ in range(3):
        made = await desk.voucher_approved(BILL, reference="V-17")
        await desk.books.billing.cancel(desk.caller, key(), made.id, reason="the wrong account", on=None)
    drafts = [await desk.voucher_drafted(BILL, reference="V-17") for _ in range(4)]
    done = await asyncio.gather(
        *(desk.books.billing.approve(desk.caller, key(), one.id) for one in drafts), return_exceptions=True
    )
    assert sorted(getattr(one, "status", type(one).__name__) for one in done) == [
        "APPROVED",
        *["VoucherReferenceTaken"] * 3,
    ]


@pytest.mark.integration
@pytest.mark.parametrize("code", ["1200", "2000", "2300", "1400"])
async def test_only_documents_post_to_what_partners_owe(desk: Desk, code: str) -> None:
    asked = desk.sale()
    lines = (msgspec.structs.replace(asked.lines[0], account_id=desk.account(code)), asked.lines[1])
    with pytest.raises(AccountControlled) as told:
        await desk.books.create_journal(
            desk.caller, key(), msgspec.structs.replace(asked, lines=lines), post=False
        )
    assert told.value.code == "account-controlled"
    assert await desk.types() == {}


@pytest.mark.integration
async def test_of_many_allocations_at_once_none_spends_or_pays_twice(desk: Desk) -> None:
    one, money = await desk.invoice_approved(), await desk.paid(100_00, customer_id=desk.customer)
    note = await desk.voucher_approved(CREDIT_NOTE)
    done = await asyncio.gather(
        *(desk.allocated(money, one, 20_00) for _ in range(8)),
        *(desk.allocated(note, one, 10_00) for _ in range(8)),
        return_exceptions=True,
    )
    refused = [error for error in done if isinstance(error, BaseException)]
    assert {type(error) for error in refused} <= {PaymentTooLarge, AllocationTooLarge}
    left = [await desk.load(*which) for which in (("payment", money.id), ("voucher", note.id))]
    paid = (100_00 - left[0].credit.minor) + (115_00 - left[1].credit.minor)
    found = await desk.load("invoice", one.id)
    assert found.paid_minor == paid
    assert 115_00 - paid < 20_00
    held = await desk.balances()
    assert held.get("1200", 0) == found.open_minor - left[1].credit.minor


@pytest.mark.integration
@pytest.mark.parametrize("seed", range(3))
async def test_whatever_happens_the_control_accounts_are_what_partners_owe_and_are_owed(
    desk: Desk, seed: int
) -> None:
    """Random histories in two currencies whose rate moves every day; refusals are part of them."""
    chance, day = random.Random(seed), DAY
    made: dict[str, list[tuple[str, str]]] = defaultdict(list)
    refused = 0
    for step in range(70):
        day = date.fromordinal(DAY.toordinal() + step // 7)
        await desk.rate_set(str(Decimal(chance.randrange(100_0000, 200_0000)) / 10_000), since=day)
        try:
            await one_thing(desk, chance, made, day)
        except Refused:
            refused += 1
    assert 0 < refused < 60
    owed: dict[tuple[str, str], int] = defaultdict(int)
    worths: dict[str, int] = {}
    for kind, one in made["debts"] + made["credits"]:
        state = await desk.load(kind, one)
        owing = "1200" if state.side == "SALES" else "2000"
        sign = 1 if state.side == "SALES" else -1
        if kind == "payment":
            account, minor, base = (
                ("2300" if sign > 0 else "1400"),
                state.credit.minor,
                state.credit.base_minor,
            )
            sign = -sign
        elif kind == "voucher" and state.is_credit:
            account, minor, base, sign = owing, state.credit.minor, state.credit.base_minor, -sign
        else:
            account, minor, base = owing, state.open_minor, state.base_open_minor
        if base:
            worths[state.id] = sign * base
        for place, amount in ((state.currency, minor), ("worth", base)):
            owed[account, place] += sign * amount
    items = await Views(desk.ledger.app, await desk.ledger.replayed()).items(
        desk.ledger.tenant,
        [desk.account(code) for code in ("1200", "2000", "2300", "1400")],
        last=day,
        known=None,
    )
    assert {one.item_id: one.net_minor for one in items} == worths
    assert {one.partner_id for one in items} <= {desk.customer, desk.vendor}
    log = await desk.log()
    proved = examine(log)
    control.check(log, proved)
    assert (proved.verdict, proved.faults) == ("pass", [])
    for currency in ("EUR", "worth"):
        held = await desk.balances(currency="BDT" if currency == "worth" else currency)
        for code in ("1200", "2000", "2300", "1400"):
            assert held.get(code, 0) == owed[code, currency], (code, currency)


async def one_thing(desk: Desk, chance: random.Random, made: Any, day: date) -> None:
    """Something that somebody may ask for."""
    currency = chance.choice(["BDT", "EUR"])
    minor = chance.randrange(1, 300_00)
    match chance.randrange(9):
        case 0:
            one = await desk.invoice_approved(minor, day, currency)
            made["debts"].append(("invoice", one.id))
        case 1:
            one = await desk.voucher_approved(
                chance.choice([BILL, DEBIT_NOTE]), minor, day=day, currency=currency
            )
            made["debts"].append(("voucher", one.id))
        case 2:
            kind = chance.choice([CREDIT_NOTE, VENDOR_CREDIT])
            one = await desk.voucher_approved(kind, minor, day=day, currency=currency)
            made["credits"].append(("voucher", one.id))
        case 3:
            who = chance.choice([{"customer_id": desk.customer}, {"vendor_id": desk.vendor}])
            one = await desk.paid(minor, day, currency, **who)
            made["credits"].append(("payment", one.id))
        case 4 | 5 if made["debts"] and made["credits"]:
            credit = await desk.load(*chance.choice(made["credits"]))
            debt = await desk.load(*chance.choice(made["debts"]))
            some = chance.choice([min(credit.credit.minor, debt.open_minor), minor])
            await desk.allocated(credit, debt, some, on=day)
        case 6 if made["credits"]:
            credit = await desk.load(*chance.choice(made["credits"]))
            for allocation in credit.credit.allocations[:1]:
                await desk.unallocated(credit, allocation.id, on=day)
        case 7 if made["debts"]:
            kind, one = chance.choice(made["debts"])
            debt = await desk.load(kind, one)
            paid = await desk.paid(
                minor, day, debt.currency, **{f"{kind}_id": one}, excess=chance.random() < 0.7
            )
            made["credits"].append(("payment", paid.id))
        case 8 if made["debts"] and made["credits"]:
            if chance.random() < 0.5:
                debt = await desk.load(*chance.choice(made["debts"]))
                await desk.settled(chance.choice(settlement.KINDS), debt, min(minor, debt.open_minor), day)
            else:
                kind, one = chance.choice(made["credits"])
                if kind == "payment":
                    await desk.books.reverse_payment(
                        desk.caller, key(), one, reason="paid by mistake", on=day
                    )


@pytest.mark.integration
@pytest.mark.parametrize("currency", ["BDT", "EUR"])
async def test_an_id_of_one_kind_is_not_taken_for_another(desk: Desk, currency: str) -> None:
    """A payment that is given as the document it is to pay was taken for one, because it had been loaded before."""
    await desk.rate_set("140")
    paid = await desk.paid(20_00, currency=currency, customer_id=desk.customer)
    before = await desk.types()
    with pytest.raises(NotFound):
        await desk.allocated(paid, paid, 5_00)
    assert await desk.types() == before


@pytest.mark.integration
@pytest.mark.parametrize("currency", ["BDT", "EUR"])
async def test_a_control_account_that_is_not_what_documents_say_is_named(desk: Desk, currency: str) -> None:
    await desk.rate_set("140")
    await desk.invoice_approved(currency=currency)
    await desk.voucher_approved(BILL, currency=currency)
    await desk.paid(20_00, customer_id=desk.customer, currency=currency)
    gone, note = await desk.invoice_approved(currency=currency), await desk.voucher_approved(CREDIT_NOTE)
    await desk.books.cancel_invoice(desk.caller, key(), gone.id, reason="a mistake")
    await desk.books.billing.cancel(desk.caller, key(), note.id, reason="a mistake", on=None)
    log = await desk.log()
    whole = examine(log)
    control.check(log, whole)
    assert whole.faults == []
    for missing, code in (("invoice", "1200"), ("voucher", "2000"), ("payment", "2300")):
        kept = [stored for stored in log if not of_kind(stored, missing)]
        found = examine(kept)
        control.check(kept, found)
        told = [fault for fault in found.faults if "control account" in fault]
        assert len(told) == 2  # the amount, and its worth
        assert all(desk.account(code) in fault for fault in told)


def of_kind(stored: Stored, kind: str) -> bool:
    return str(type(stored.event).__struct_config__.tag).startswith(f"{kind}.")


def test_a_document_that_cannot_be_folded_is_named() -> None:
    """And one that cannot be read says nothing of what is open; that it cannot be read is said elsewhere."""
    approved_ = voucher.Approved(number="N-1", journal_id="j", approved_by="rahim")
    log = [
        Stored(tenant_id=TENANT, stream_id="b", version=1, event=approved_),
        Stored(tenant_id=TENANT, stream_id="c", version=1, event=Unreadable("cut off")),
    ]
    found = examine(log)
    before = list(found.faults)
    control.check(log, found)
    assert found.faults[len(before) :] == ["stream b: version 1 cannot be folded"]


# Over GraphQL

CREATE = """mutation ($input: CreateVoucherInput!, $key: ID!) { createVoucher(input: $input, idempotencyKey: $key) {
    ... on Voucher { id status side balanceDue { amount } partner { id } } ... on Refusal { code } } }"""


@pytest.mark.integration
def test_a_bill_is_entered_approved_paid_in_parts_and_shown_over_http(serving: Serving) -> None:
    vendor = next(iter(serving.world.records))
    given_ = {
        "kind": "BILL",
        "partnerId": vendor,
        "voucherDate": "2026-11-23",
        "dueDate": "2026-11-30",
        "reference": f"V-{key()}",
        "lineItems": [{"description": "Rice", "quantity": "1", "unitPrice": "100"}],
    }
    made = serving.ask(CREATE, input=given_, key=key()).data
    assert (made["status"], made["side"], made["partner"]) == ("DRAFT", "PURCHASE", {"id": vendor})
    assert serving.ask(CREATE, input=given_ | {"reference": None}, key=key()).data == {
        "code": "text-malformed"
    }
    approve = """mutation ($id: ID!, $key: ID!) { approveVoucher(id: $id, idempotencyKey: $key) {
        ... on Voucher { voucherNumber } ... on Refusal { code } } }"""
    number = serving.ask(approve, id=made["id"], key=key()).data["voucherNumber"]
    assert number.startswith("BILL-2026-11-23-")
    pay_ = """mutation ($input: CreatePaymentInput!, $key: ID!) { createPayment(input: $input, idempotencyKey: $key) {
        ... on Payment { id side invoiceId partnerId unallocated { amount } } ... on Refusal { code } } }"""
    money = {"amount": "40", "paymentMethod": "CASH", "paymentDate": "2026-11-24"}
    assert serving.ask(pay_, input=money, key=key()).data == {"code": "payment-partner-malformed"}
    paid = serving.ask(pay_, input=money | {"vendorId": vendor}, key=key()).data
    assert (paid["side"], paid["invoiceId"], paid["partnerId"]) == ("PURCHASE", None, vendor)
    complete = """mutation ($id: ID!, $key: ID!) { completePayment(id: $id, idempotencyKey: $key,
        input: {transactionReference: "TRX-1"}) { ... on Payment { unallocated { amount } } } }"""
    assert serving.ask(complete, id=paid["id"], key=key()).data == {"unallocated": {"amount": "40.00"}}
    allocate = """mutation ($id: ID!, $input: AllocateInput!, $key: ID!) { allocatePayment(id: $id, input: $input,
        idempotencyKey: $key) { ... on Payment { unallocated { amount } allocations { id documentId amount { amount }
        allocatedOn journalId } } ... on Refusal { code } } }"""
    asked = {"documentId": made["id"], "amount": "30"}
    spent = serving.ask(allocate, id=paid["id"], input=asked, key=key()).data
    [one] = spent["allocations"]
    assert (one["documentId"], one["amount"], one["allocatedOn"]) == (
        made["id"],
        {"amount": "30.00"},
        "2026-11-24",
    )
    assert serving.ask(allocate, id=paid["id"], input=asked, key=key()).data == {
        "code": "allocation-too-large"
    }
    hold = """mutation ($id: ID!, $key: ID!) { withholdTax(documentId: $id, idempotencyKey: $key,
        input: {amount: "5", on: "2026-11-30", certificate: "6.6/17"}) { __typename
        ... on Voucher { status balanceDue { amount } settlements { id kind told } } ... on Refusal { code } } }"""
    held = serving.ask(hold, id=made["id"], key=key()).data
    assert (held["__typename"], held["balanceDue"]) == ("Voucher", {"amount": "80.00"})
    assert held["settlements"][0]["told"] == "6.6/17"
    take = """mutation ($id: ID!, $input: UnallocateInput!, $key: ID!) { unallocatePayment(id: $id, input: $input,
        idempotencyKey: $key) { ... on Payment { unallocated { amount } } ... on Refusal { code } } }"""
    back = {"allocationId": one["id"], "reason": "the wrong invoice"}
    assert serving.ask(take, id=paid["id"], input=back, key=key()).data == {
        "unallocated": {"amount": "40.00"}
    }
    assert serving.ask(take, id=paid["id"], input=back, key=key()).data == {"code": "allocation-unknown"}
    shown = "query ($id: ID!) { voucher(id: $id) { balanceDue { amount } status } }"
    assert serving.ask(shown, id=made["id"]).data["balanceDue"] == {"amount": "110.00"}
    listed = serving.ask("{ vouchers(kind: BILL, status: OVERDUE) { id } }").data
    assert (made["id"] in {found["id"] for found in listed}) == (date.today() > date(2026, 11, 30))  # noqa: DTZ011
    assert serving.ask("{ vouchers(kind: CREDIT_NOTE) { id } }").data == []
    found = serving.ask("query ($who: ID!) { payments(partnerId: $who) { id } }", who=vendor).data
    assert found == [{"id": paid["id"]}]
    withdraw = """mutation ($id: ID!, $input: WithdrawInput!, $key: ID!) { withdrawSettlement(documentId: $id,
        input: $input, idempotencyKey: $key) { ... on Voucher { status } ... on Refusal { code } } }"""
    asked = {"settlementId": held["settlements"][0]["id"], "reason": "the wrong certificate"}
    assert serving.ask(withdraw, id=made["id"], input=asked, key=key()).data["status"] in {
        "APPROVED",
        "OVERDUE",
    }
    assert serving.ask(withdraw, id=made["id"], input=asked, key=key()).data == {"code": "settlement-unknown"}
