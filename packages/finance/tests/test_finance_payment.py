"""Payments: what each way of paying needs, and the one way through their states."""

from datetime import UTC, date, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finance import journal, payment, posting
from finance.events import decode
from finance.money import Money
from finance.payment import (
    Complete,
    Create,
    Details,
    Fail,
    Payment,
    Reconcile,
    Reverse,
    Update,
    decide,
    evolve,
)
from finance.refusal import (
    AmountNotPositive,
    PaymentDetailsMissing,
    PaymentNotCompleted,
    PaymentNotPending,
    Refused,
    TextMalformed,
    WalletNumberMalformed,
)

TENANT = "0198c5a0-0000-7000-8000-000000000001"
DAY = date(2026, 11, 23)
CASH = Details(method="CASH")
WALLET = Details(method="MOBILE_WALLET", wallet_provider="BKASH", mobile_number="01712345678")
NUMBER = "PMT-2026-11-23-000001"
COMPLETE = Complete(transaction_reference="TRX-12345", journal_id="j", number=NUMBER)
FAIL = Fail(reason="the bank said no")
RECONCILE = Reconcile(
    bank_statement_transaction_id="LINE-1", reconciled_at=datetime(2026, 11, 24, tzinfo=UTC)
)
REVERSE = Reverse(reason="paid by mistake", reversing_journal_id="k")


def create(details: Details = CASH, minor: int = 115_00) -> Create:
    return Create(
        payment_id="p",
        invoice_id="i",
        amount=Money(minor, "BDT"),
        payment_date=DAY,
        details=details,
    )


def after(state: Payment | None, *commands: payment.Command) -> Payment:
    for command in commands:
        for event in decide(state, command):
            state = evolve(state, event)
    assert state is not None
    return state


@pytest.mark.parametrize("method", [*posting.MONEY_ACCOUNT])
def test_every_way_of_paying_can_be_recorded_and_posts_a_balanced_entry(method: str) -> None:
    details = msgspec.structs.replace(WALLET, method=method, check_number="000123")
    state = after(None, create(details), COMPLETE)
    entry = posting.of_payment(TENANT, state, journal_id="j", partner_id="c")
    draft = journal.evolve(None, journal.decide(None, entry)[0])
    assert draft.debit_minor == draft.credit_minor == 115_00
    assert draft.document_id == "p"


@pytest.mark.parametrize("minor", [0, -1])
def test_a_payment_of_nothing_is_refused(minor: int) -> None:
    with pytest.raises(AmountNotPositive):
        decide(None, create(minor=minor))
    with pytest.raises(AmountNotPositive):
        decide(after(None, create()), Update(amount=Money(minor, "BDT")))


@pytest.mark.parametrize(
    "details",
    [
        Details(method="CHECK"),
        Details(method="CHECK", check_number=""),
        Details(method="MOBILE_WALLET", wallet_provider="BKASH"),
        Details(method="MOBILE_WALLET", mobile_number="01712345678"),
    ],
)
def test_what_a_way_of_paying_needs_must_be_given(details: Details) -> None:
    with pytest.raises(PaymentDetailsMissing) as told:
        decide(None, create(details))
    assert told.value.code == "payment-details-missing"
    with pytest.raises(PaymentDetailsMissing):
        decide(after(None, create()), Update(method=details.method))


@pytest.mark.parametrize("number", ["01312345678", "+8801912345678"])
def test_a_mobile_number_of_bangladesh_is_taken(number: str) -> None:
    assert after(None, create(msgspec.structs.replace(WALLET, mobile_number=number))).status == "PROCESSING"


@pytest.mark.parametrize(
    "number",
    [
        "01212345678",
        "1712345678",
        "0171234567",
        "017123456789",
        "+88001712345678",
        "01712345678\n",
        "০১৭১২৩৪৫৬৭৮",
    ],
)
def test_what_is_no_mobile_number_of_bangladesh_is_refused(number: str) -> None:
    with pytest.raises(WalletNumberMalformed) as told:
        decide(None, create(msgspec.structs.replace(WALLET, mobile_number=number)))
    assert told.value.code == "wallet-number-malformed"


def test_a_pending_payment_can_be_changed_and_what_is_not_given_stays() -> None:
    changed = after(
        None, create(), Update(amount=Money(5, "BDT"), reference="R-1"), Update(method="BANK_TRANSFER")
    )
    assert (changed.amount, changed.reference, changed.payment_date) == (Money(5, "BDT"), "R-1", DAY)
    assert (changed.details.method, changed.status, changed.version) == ("BANK_TRANSFER", "PENDING", 3)


@pytest.mark.parametrize("details", [CASH, WALLET])
def test_a_payment_is_completed_then_reconciled_then_reversed(details: Details) -> None:
    completed = after(None, create(details), COMPLETE)
    assert (completed.status, completed.journal_id) == ("COMPLETED", "j")
    assert (completed.transaction_reference, completed.number) == ("TRX-12345", NUMBER)
    reconciled = after(completed, RECONCILE)
    assert (reconciled.status, reconciled.reconciled_at) == ("RECONCILED", RECONCILE.reconciled_at)
    assert after(reconciled, REVERSE).status == after(completed, REVERSE).status == "REVERSED"


def test_a_payment_has_no_number_before_it_is_binding() -> None:
    assert after(None, create()).number is None
    assert after(None, create(), FAIL).number is None


def test_a_payment_that_was_numbered_at_its_creation_keeps_its_number() -> None:
    kept = (
        b'{"type": "payment.created/1", "payment_id": "p", "number": "PMT-2026-11-23-000007", "invoice_id": "i",'
        b' "amount_minor": 5, "currency": "BDT", "payment_date": "2026-11-23", "details": {"method": "CASH"}}'
    )
    state = evolve(None, decode("payment.created/1", kept))
    done = after(state, Complete(transaction_reference="TRX-12345", journal_id="j"))
    assert state.number == done.number == "PMT-2026-11-23-000007"


@pytest.mark.parametrize("ended", [(COMPLETE,), (FAIL,), (COMPLETE, RECONCILE), (COMPLETE, REVERSE)])
def test_a_payment_that_is_not_pending_is_not_changed_completed_or_failed(
    ended: tuple[payment.Command, ...],
) -> None:
    state = after(None, create(), *ended)
    for command in (Update(reference="R-1"), COMPLETE, FAIL):
        with pytest.raises(PaymentNotPending) as told:
            decide(state, command)
        assert told.value.code == "payment-not-pending"


@pytest.mark.parametrize("so_far", [(), (FAIL,), (COMPLETE, REVERSE)])
def test_a_payment_that_is_not_completed_is_not_reconciled_nor_reversed(
    so_far: tuple[payment.Command, ...],
) -> None:
    state = after(None, create(), *so_far)
    for command in (RECONCILE, REVERSE):
        with pytest.raises(PaymentNotCompleted) as told:
            decide(state, command)
        assert told.value.code == "payment-not-completed"


def test_a_payment_is_reconciled_once() -> None:
    with pytest.raises(PaymentNotCompleted):
        decide(after(None, create(), COMPLETE, RECONCILE), RECONCILE)


@pytest.mark.parametrize(
    ("so_far", "command"),
    [
        ((), Complete(transaction_reference="1234", journal_id="j")),
        ((), Complete(transaction_reference="x" * 256, journal_id="j")),
        ((), Fail(reason="too short")),
        ((COMPLETE,), Reconcile(bank_statement_transaction_id="L-1", reconciled_at=RECONCILE.reconciled_at)),
        ((COMPLETE,), Reverse(reason="too short", reversing_journal_id="k")),
    ],
)
def test_a_text_too_short_or_too_long_is_refused(
    so_far: tuple[payment.Command, ...], command: payment.Command
) -> None:
    with pytest.raises(TextMalformed):
        decide(after(None, create(), *so_far), command)


moves = st.one_of(
    st.builds(
        Update,
        amount=st.none() | st.integers(-1, 5).map(lambda minor: Money(minor, "BDT")),
        method=st.none() | st.sampled_from(["CASH", "CHECK", "MOBILE_WALLET"]),
    ),
    st.sampled_from([COMPLETE, FAIL, RECONCILE, REVERSE]),
)
AFTER = {
    "PENDING": {"PENDING", "PROCESSING", "COMPLETED", "FAILED"},
    "PROCESSING": {"PENDING", "PROCESSING", "COMPLETED", "FAILED"},
    "COMPLETED": {"RECONCILED", "REVERSED"},
    "RECONCILED": {"REVERSED"},
    "FAILED": set[str](),
    "REVERSED": set[str](),
}


@given(st.sampled_from([CASH, WALLET]), st.lists(moves, max_size=10))
def test_whatever_is_asked_a_payment_goes_one_way_and_stays_positive(
    details: Details, asked: list[payment.Command]
) -> None:
    state = after(None, create(details))
    for command in asked:
        try:
            events = decide(state, command)
        except Refused:
            continue
        before = state
        for event in events:
            state = evolve(state, event)
        assert state.status in AFTER[before.status]
        assert state.version == before.version + len(events)
        assert state.amount_minor > 0
        assert (state.status == "PROCESSING") <= (state.details.method == "MOBILE_WALLET")
