"""Invoices: lines and VAT are exact, a draft becomes a claim once, and nothing is paid twice."""

from datetime import date
from decimal import Decimal
from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finance import invoice, journal, posting
from finance.invoice import (
    VAT_PERCENT,
    Approve,
    Cancel,
    Create,
    Invoice,
    RecordPayment,
    Terms,
    Update,
    WithdrawPayment,
    decide,
    evolve,
)
from finance.money import LARGEST_MINOR, Money
from finance.refusal import (
    AmountMalformed,
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
    TextMalformed,
)

TENANT = "0198c5a0-0000-7000-8000-000000000001"
DAY, DUE = date(2026, 11, 23), date(2026, 12, 23)
APPROVE = Approve(number="INV-2026-11-23-000001", journal_id="j", approved_by="rahim")
CANCEL = Cancel(reason="a mistake", reversing_journal_id=None)


def line(quantity: str = "1", price: int = 100_00, vat: str = "STANDARD") -> invoice.Line:
    return invoice.line(
        description="Rice",
        quantity=Decimal(quantity),
        unit_price=Money(price, "BDT"),
        vat_category=vat,
        product_id=None,
    )


def terms(*lines: invoice.Line, due: date = DUE) -> Terms:
    return Terms(customer_id="c", invoice_date=DAY, due_date=due, lines=lines or (line(),))


def create(*lines: invoice.Line) -> Create:
    return Create(invoice_id="i", currency="BDT", terms=terms(*lines))


def pay(minor: int, currency: str = "BDT") -> RecordPayment:
    return RecordPayment(payment_id="p", amount=Money(minor, currency))


def after(state: Invoice | None, *commands: invoice.Command) -> Invoice:
    for command in commands:
        for event in decide(state, command):
            state = evolve(state, event)
    assert state is not None
    return state


def approved() -> Invoice:
    """One line of 100.00 and its VAT: 115.00 BDT."""
    return after(None, create(), APPROVE)


lines = st.builds(
    line,
    st.decimals("0.000001", 10_000, places=6).map(str),
    st.integers(0, 10_000_000),
    st.sampled_from(sorted(VAT_PERCENT)),
)


@given(lines)
def test_amount_and_vat_of_a_line_are_each_at_most_half_a_minor_unit_off(one: invoice.Line) -> None:
    amount = Fraction(one.unit_price_minor) * Fraction(one.quantity)
    assert abs(one.amount_minor - amount) <= Fraction(1, 2)
    vat = Fraction(one.amount_minor) * Fraction(one.vat_percent) / 100
    assert abs(one.vat_minor - vat) <= Fraction(1, 2)


@pytest.mark.parametrize(
    ("quantity", "price", "vat", "amount_minor", "vat_minor"),
    [
        ("0.96", 10, "STANDARD", 10, 2),  # of 10, not of 9.6: 1.5 and not 1.44
        ("0.5", 5, "STANDARD", 2, 0),  # 2.5 goes to the even 2
        ("1.5", 5, "STANDARD", 8, 1),  # 7.5 goes to the even 8
        ("1", 10, "TRUNCATED", 10, 0),  # 0.5 goes to the even 0
        ("1", 20, "REDUCED", 20, 2),  # 1.5 goes to the even 2
    ],
)
def test_vat_is_on_the_rounded_amount_and_both_are_rounded_half_to_even(
    quantity: str, price: int, vat: str, amount_minor: int, vat_minor: int
) -> None:
    one = line(quantity, price, vat)
    assert (one.amount_minor, one.vat_minor) == (amount_minor, vat_minor)


@pytest.mark.parametrize(
    ("vat", "minor"),
    [("STANDARD", 15_00), ("REDUCED", 7_50), ("TRUNCATED", 5_00), ("ZERO_RATED", 0), ("EXEMPT", 0)],
)
def test_each_vat_category_has_its_rate(vat: str, minor: int) -> None:
    assert line(vat=vat).vat_minor == minor


@given(st.lists(lines, min_size=1, max_size=8))
def test_the_totals_are_the_sums_of_the_lines(given_lines: list[invoice.Line]) -> None:
    draft = after(None, create(*given_lines))
    assert draft.subtotal_minor == sum(one.amount_minor for one in given_lines)
    assert draft.total_minor == draft.subtotal_minor + sum(one.vat_minor for one in given_lines)


@pytest.mark.parametrize("quantity", ["0", "-1"])
def test_nothing_or_less_is_not_sold(quantity: str) -> None:
    with pytest.raises(AmountNotPositive, match="quantity"):
        line(quantity)


def test_a_price_below_zero_is_refused() -> None:
    with pytest.raises(AmountNotPositive, match="unit price"):
        line(price=-1)


def test_a_quantity_of_more_than_six_places_is_refused() -> None:
    assert line("0.000001").quantity == Decimal("0.000001")
    with pytest.raises(AmountMalformed, match="at most 6 places"):
        line("0.0000001")


@pytest.mark.parametrize("quantity", ["11", "99999999999999999999.999999"])
def test_a_line_too_large_for_the_books_is_refused(quantity: str) -> None:
    with pytest.raises(AmountMalformed, match="a line"):
        line(quantity, price=LARGEST_MINOR // 10)


def test_an_invoice_too_large_for_the_books_is_refused() -> None:
    with pytest.raises(AmountMalformed, match="a document"):
        decide(None, create(*[line(price=LARGEST_MINOR // 2, vat="EXEMPT")] * 3))
    with pytest.raises(AmountMalformed, match="a document"):
        decide(None, create(line(price=LARGEST_MINOR)))


@pytest.mark.parametrize("description", ["", "  ", "x" * 501])
def test_a_line_says_what_is_sold(description: str) -> None:
    with pytest.raises(TextMalformed):
        invoice.line(
            description=description,
            quantity=Decimal(1),
            unit_price=Money(1, "BDT"),
            vat_category="EXEMPT",
            product_id=None,
        )


@pytest.mark.parametrize("count", [0, 501])
def test_an_invoice_has_one_to_five_hundred_lines(count: int) -> None:
    asked = msgspec.structs.replace(terms(), lines=(line(),) * count)
    for state, command in (
        (None, Create(invoice_id="i", currency="BDT", terms=asked)),
        (after(None, create()), Update(terms=asked)),
    ):
        with pytest.raises(InvoiceWithoutLines) as told:
            decide(state, command)
        assert told.value.code == "invoice-without-lines"


def test_an_invoice_is_not_due_before_it_is_made_out() -> None:
    with pytest.raises(DateMalformed) as told:
        decide(after(None, create()), Update(terms=terms(due=date(2026, 11, 22))))
    assert told.value.code == "date-malformed"


def test_a_draft_can_be_changed_and_is_not_payable() -> None:
    draft = after(None, create(), Update(terms=terms(line("2"))))
    assert (draft.status, draft.total_minor, draft.version) == ("DRAFT", 230_00, 2)
    with pytest.raises(InvoiceNotPayable) as told:
        decide(draft, pay(1))
    assert told.value.code == "invoice-not-payable"


def test_an_approved_invoice_is_not_changed_nor_approved_again() -> None:
    for command in (Update(terms=terms()), APPROVE):
        with pytest.raises(InvoiceNotDraft) as told:
            decide(approved(), command)
        assert told.value.code == "invoice-not-draft"


def test_an_invoice_over_nothing_is_not_approved() -> None:
    with pytest.raises(AmountNotPositive, match="the total"):
        decide(after(None, create(line(price=0))), APPROVE)


def test_an_invoice_is_paid_in_parts_and_then_in_full() -> None:
    partly = after(approved(), pay(40_00))
    assert (partly.status, partly.open_minor) == ("PARTIALLY_PAID", 75_00)
    paid = after(partly, pay(75_00))
    assert (paid.status, paid.open_minor) == ("PAID", 0)


def test_more_than_is_open_is_not_paid() -> None:
    with pytest.raises(PaymentTooLarge, match=r"Open are 75\.00, paid would be 75\.01") as told:
        decide(after(approved(), pay(40_00)), pay(75_01))
    assert told.value.code == "payment-too-large"


def test_another_currency_does_not_pay() -> None:
    with pytest.raises(CurrencyMismatch):
        decide(approved(), pay(1, "EUR"))


def test_a_payment_taken_back_opens_the_invoice_again() -> None:
    back = after(approved(), pay(115_00), WithdrawPayment(payment_id="p", amount=Money(115_00, "BDT")))
    assert (back.status, back.open_minor) == ("APPROVED", 115_00)


def test_an_invoice_something_was_paid_on_is_not_cancelled() -> None:
    with pytest.raises(InvoiceHasPayments) as told:
        decide(after(approved(), pay(1)), CANCEL)
    assert told.value.code == "invoice-has-payments"


def test_an_invoice_is_cancelled_for_a_reason() -> None:
    with pytest.raises(TextMalformed, match="reason"):
        decide(approved(), Cancel(reason=" ", reversing_journal_id=None))


def test_a_cancelled_invoice_stays_cancelled() -> None:
    for cancelled in (after(None, create(), CANCEL), after(approved(), CANCEL)):
        assert cancelled.status == "CANCELLED"
        for command in (Update(terms=terms()), APPROVE, pay(1), CANCEL):
            with pytest.raises(InvoiceCancelled) as told:
                decide(cancelled, command)
            assert told.value.code == "invoice-cancelled"
        with pytest.raises(InvoiceCancelled):
            invoice.payable(cancelled, Money(1, "BDT"))


def test_what_is_open_after_the_due_date_is_overdue() -> None:
    late = date(2026, 12, 24)
    assert approved().status_on(DUE) == "APPROVED"
    assert approved().status_on(late) == "OVERDUE"
    assert after(approved(), pay(1)).status_on(late) == "OVERDUE"
    assert after(approved(), pay(115_00)).status_on(late) == "PAID"
    assert after(None, create()).status_on(late) == "DRAFT"
    assert after(approved(), CANCEL).status_on(late) == "CANCELLED"


@given(st.lists(lines, min_size=1, max_size=8))
def test_the_entry_of_an_approved_invoice_balances_and_has_no_empty_line(
    given_lines: list[invoice.Line],
) -> None:
    draft = after(None, create(*given_lines))
    if draft.total_minor == 0:
        return
    entry = posting.of_invoice(TENANT, after(draft, APPROVE), journal_id="j", number="INV-1")
    [created] = journal.decide(None, entry)
    post = journal.Post(number="SJ-1", posted_at=None, posted_by="rahim")  # type: ignore[arg-type]
    posted = journal.evolve(
        journal.evolve(None, created), journal.decide(journal.evolve(None, created), post)[0]
    )
    assert posted.debit_minor == draft.total_minor
    assert posted.document_id == "i"


moves = st.one_of(
    st.builds(Update, terms=st.builds(terms, lines)),
    st.just(APPROVE),
    st.integers(1, 20_000_000).map(pay),
    st.just("withdraw"),
    st.just(CANCEL),
)


@given(st.lists(moves, max_size=12))
def test_whatever_is_asked_paid_stays_between_nothing_and_the_total(asked: list[object]) -> None:
    state, taken = after(None, create()), list[Money]()
    for move in asked:
        command = move
        if move == "withdraw":
            if not taken:
                continue
            command = WithdrawPayment(payment_id="p", amount=taken.pop())
        try:
            events = decide(state, command)  # type: ignore[arg-type]
        except Refused:
            continue
        taken += [command.amount] if isinstance(command, RecordPayment) else []
        before = state.version
        for event in events:
            state = evolve(state, event)
        assert state.version == before + len(events)
        assert 0 <= state.paid_minor <= state.total_minor
        assert state.open_minor == state.total_minor - sum(one.minor for one in taken)
