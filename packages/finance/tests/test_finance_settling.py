"""Documents and payments that settle each other: what each posts, and what is refused with nothing written."""

import asyncio
from datetime import date
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from settling_parts import (
    BILL,
    CREDIT_NOTE,
    DAY,
    DEBIT_NOTE,
    LATER,
    VENDOR_CREDIT,
    WITHHOLDING,
    WRITE_OFF,
    Desk,
    key,
)

from finance import payment
from finance.money import Money
from finance.refusal import (
    AccountControlled,
    AllocationTooLarge,
    AllocationUnknown,
    InvoiceHasPayments,
    PaymentNotCompleted,
    PaymentPartnerMalformed,
    PaymentTooLarge,
    Refused,
    SettlementUnknown,
    TaxesLocked,
    VoucherReferenceTaken,
)
from finance.settlement import Credit


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
