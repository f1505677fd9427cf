"""What pays what, as functions of values: bills and notes, credits and their parts; and one bill over HTTP."""

import random
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from settling_parts import (
    BILL,
    CREDIT_NOTE,
    DAY,
    DEBIT_NOTE,
    LATER,
    VENDOR_CREDIT,
    WITHHOLDING,
    WRITE_OFF,
    after,
    key,
    pay,
)

from finance import invoice, settlement, voucher
from finance.money import Money
from finance.refusal import (
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
    PaymentTooLarge,
    Refused,
    SettlementUnknown,
    TextMalformed,
    VoucherNotCredit,
    VoucherNotDebt,
)
from finance.settlement import Allocation, Credit

Serving = Any


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
