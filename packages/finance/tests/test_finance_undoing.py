"""What undoes something binding, or gives a part of it up, takes what making it binding takes."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest

from finance import payment
from finance.authority import SENIOR, Rule, Tier
from finance.graphql.execution import Executor
from finance.graphql.schema import build
from finance.money import Money
from finance.refusal import (
    AllocationTooLarge,
    ApprovalBeyondAuthority,
    ApprovalGivenAlready,
    DateMalformed,
    InvoiceCorrected,
    MakerIsChecker,
    PaymentTooLarge,
    PeriodClosed,
    Refused,
    TextMalformed,
)
from finance.settlement import WITHHOLDING, WRITE_OFF

pytestmark = pytest.mark.integration
Desk = Any
TODAY = date(2026, 11, 23)
WHY = "a rule for this test"
REASON = "the wrong amount was entered"
EXECUTOR = Executor(build(), introspection=False)
TIERS = (Tier(above_minor=1000_00, senior=True), Tier(above_minor=5000_00, approvers=2))


def key() -> str:
    return str(uuid4())


def other(desk: Desk, name: str = "karim", *permissions: str) -> Any:
    return replace(desk.caller, user_id=name, permissions=frozenset(permissions))


async def ruled(desk: Desk, **changes: Any) -> None:
    await desk.books.governing.set_rule(desk.caller, key(), Rule(valid_from=TODAY, **changes), reason=WHY)


Undo = Callable[[Any], Awaitable[Any]]


async def settled(desk: Desk, caller: Any, document: Any, minor: int, kind: str = WRITE_OFF) -> Any:
    return await desk.books.settling.settle(
        caller, key(), kind, document.id, amount=Money(minor, "BDT"), told=REASON, on=TODAY
    )


async def everything(desk: Desk, minor: int) -> dict[str, tuple[Undo, Callable[[Any], bool]]]:
    """By name, what undoes a binding document of this amount that `desk.caller` has made; and whether it is undone."""
    books = desk.books
    sale = await books.create_journal(desk.caller, key(), desk.sale(minor), post=True)
    one, two, three = [await desk.invoice_approved(minor, vat="EXEMPT") for _ in range(3)]
    bill, money = (
        await desk.voucher_approved("BILL", minor),
        await desk.paid(minor, customer_id=desk.customer),
    )
    given_up = await desk.settled(WRITE_OFF, await desk.invoice_approved(minor, vat="EXEMPT"), minor)
    [standing] = given_up.settlements
    return {
        "entry": (
            lambda who: books.reverse_journal(who, key(), sale.id, TODAY, reason=REASON),
            lambda found: found.original_id == sale.id,
        ),
        "invoice": (
            lambda who: books.cancel_invoice(who, key(), one.id, reason=REASON),
            lambda found: found.cancelled,
        ),
        "bill": (
            lambda who: books.billing.cancel(who, key(), bill.id, reason=REASON, on=None),
            lambda found: found.cancelled,
        ),
        "payment": (
            lambda who: books.reverse_payment(who, key(), money.id, reason=REASON),
            lambda found: found.status == "REVERSED",
        ),
        "write-off": (lambda who: settled(desk, who, two, minor), lambda found: found.open_minor == 0),
        "withholding": (
            lambda who: settled(desk, who, three, minor, WITHHOLDING),
            lambda found: found.open_minor == 0,
        ),
        "settlement": (
            lambda who: books.settling.withdraw(
                who, key(), given_up.id, settlement_id=standing.id, reason=REASON
            ),
            lambda found: found.settlements == (),
        ),
    }


async def test_whoever_made_it_does_not_undo_it_and_somebody_else_does(desk: Desk) -> None:
    acts = await everything(desk, 100_00)
    await ruled(desk)
    before = await desk.ledger.events(desk.ledger.tenant)
    for name, (undo, _) in acts.items():
        with pytest.raises(MakerIsChecker):
            await undo(desk.caller)
        assert await desk.ledger.events(desk.ledger.tenant) == before, name
    for name, (undo, undone) in acts.items():
        assert undone(await undo(other(desk))), name


async def test_who_approved_it_may_undo_it_so_that_two_people_can_keep_books(desk: Desk) -> None:
    await ruled(desk)
    books, karim = desk.books, other(desk)
    one, bill = await desk.invoice_drafted(), await desk.voucher_drafted("BILL")
    entry = await books.create_journal(desk.caller, key(), desk.sale(), post=False)
    details = payment.Details(method="CASH")
    asked = payment.Create(
        payment_id="",
        customer_id=desk.customer,
        amount=Money(5_00, "BDT"),
        payment_date=TODAY,
        details=details,
    )
    money = await books.create_payment(desk.caller, key(), asked)
    await books.approve_invoice(karim, key(), one.id)
    await books.billing.approve(karim, key(), bill.id)
    await books.post_journal(karim, key(), entry.id)
    await books.complete_payment(karim, key(), money.id, transaction_reference="TRX-1")
    acts: list[Undo] = [
        lambda who: books.cancel_invoice(who, key(), one.id, reason=REASON),
        lambda who: books.billing.cancel(who, key(), bill.id, reason=REASON, on=None),
        lambda who: books.reverse_journal(who, key(), entry.id, TODAY, reason=REASON),
        lambda who: books.reverse_payment(who, key(), money.id, reason=REASON),
    ]
    for undo in acts:
        with pytest.raises(MakerIsChecker):
            await undo(desk.caller)
    assert [(await undo(karim)).status for undo in acts] == ["CANCELLED", "CANCELLED", "POSTED", "REVERSED"]
    assert await desk.balances() == {}


async def test_a_large_amount_is_undone_by_somebody_senior(desk: Desk) -> None:
    acts = await everything(desk, 2000_00)
    await ruled(desk, tiers=TIERS)
    for undo, _ in acts.values():
        with pytest.raises(ApprovalBeyondAuthority):
            await undo(other(desk))
    for name, (undo, undone) in acts.items():
        assert undone(await undo(other(desk, "salma", SENIOR))), name


async def test_a_larger_one_is_undone_by_the_second_of_two_and_stays_until_then(desk: Desk) -> None:
    acts = await everything(desk, 6000_00)
    held = await desk.balances()
    await ruled(desk, tiers=TIERS)
    karim, salma = other(desk), other(desk, "salma")
    for name, (undo, undone) in acts.items():
        before = await desk.types()
        assert not undone(await undo(karim)), name
        assert await desk.types() - before == {"approval.given": 1}, name
        with pytest.raises(ApprovalGivenAlready):
            await undo(karim)
    assert await desk.balances() == held
    for name, (undo, undone) in acts.items():
        assert undone(await undo(salma)), name
    assert await desk.balances() != held


async def test_a_yes_counts_for_the_act_it_was_given_to_and_can_be_seen(desk: Desk) -> None:
    one = await desk.invoice_approved(9000_00, vat="EXEMPT")
    await ruled(desk, tiers=TIERS)
    karim, salma = other(desk), other(desk, "salma")
    assert (await settled(desk, karim, one, 6000_00)).settlements == ()
    asked = "query ($id: ID!) { approvals(documentId: $id) { act approvers } }"
    assert await desk.asked(asked, id=one.id) == {
        "act": "WRITE_OFF 600000 on 2026-11-23",
        "approvers": ["karim"],
    }
    assert (await settled(desk, salma, one, 6000_01)).settlements == ()
    assert (await settled(desk, salma, one, 6000_00)).settlements == (), (
        "the first yes was to what is no longer asked"
    )
    assert not (await desk.books.cancel_invoice(karim, key(), one.id, reason=REASON)).cancelled
    assert (await settled(desk, karim, one, 6000_00)).settlements == ()
    assert len((await settled(desk, salma, one, 6000_00)).settlements) == 1


async def test_nobody_is_asked_to_agree_to_what_is_refused(desk: Desk) -> None:
    one = await desk.invoice_approved(9000_00, vat="EXEMPT")
    await ruled(desk, tiers=TIERS)
    before = await desk.types()
    with pytest.raises(PaymentTooLarge):
        await settled(desk, other(desk), one, 9000_01)
    assert await desk.types() == before


async def test_nobody_is_asked_to_agree_to_an_undoing_that_the_last_one_would_be_refused(desk: Desk) -> None:
    books, karim, early = desk.books, other(desk), TODAY - timedelta(days=1)
    one, noted = await desk.invoice_approved(6000_00), await desk.invoice_approved(6000_00)
    await desk.voucher_approved("CREDIT_NOTE", 100_00, corrects_id=noted.id)
    sale = await books.create_journal(desk.caller, key(), desk.sale(6000_00), post=True)
    money = await desk.paid(6000_00, customer_id=desk.customer)
    given_up = await desk.settled(WRITE_OFF, await desk.invoice_approved(9000_00), 6000_00)
    [part] = given_up.settlements
    await ruled(desk, tiers=TIERS)
    before = await desk.types()
    refused: list[tuple[type[Refused], Undo]] = [
        (DateMalformed, lambda who: books.reverse_journal(who, key(), sale.id, early, reason=REASON)),
        (DateMalformed, lambda who: books.reverse_payment(who, key(), money.id, reason=REASON, on=early)),
        (TextMalformed, lambda who: books.reverse_payment(who, key(), money.id, reason="no")),
        (DateMalformed, lambda who: books.cancel_invoice(who, key(), one.id, reason=REASON, on=early)),
        (TextMalformed, lambda who: books.cancel_invoice(who, key(), one.id, reason="no")),
        (InvoiceCorrected, lambda who: books.cancel_invoice(who, key(), noted.id, reason=REASON)),
        (
            TextMalformed,
            lambda who: books.settling.withdraw(who, key(), given_up.id, settlement_id=part.id, reason="no"),
        ),
    ]
    for expected, undo in refused:
        with pytest.raises(expected):
            await undo(karim)
    assert await desk.types() == before
    await books.closing.close_period(desk.caller, key(), "FY2026-2027-P05", to="CLOSED")
    with pytest.raises(PeriodClosed):
        await settled(desk, karim, one, 6000_00)
    assert (await desk.types())["approval.given"] == 0


async def test_what_waits_for_others_draws_no_number(desk: Desk) -> None:
    one, two = [await desk.invoice_approved(6000_00, vat="EXEMPT") for _ in range(2)]
    await ruled(desk, tiers=TIERS)
    await settled(desk, other(desk), one, 6000_00)
    [part] = (await settled(desk, other(desk), two, 10_00)).settlements
    entry = await desk.books.read(desk.caller, "journal", part.journal_id)
    assert entry.number == "AJ-2026-11-000001"


async def test_who_agreed_to_an_undoing_on_one_day_did_not_agree_to_it_on_another(desk: Desk) -> None:
    books, later = desk.books, TODAY + timedelta(days=7)
    one = await desk.invoice_approved(6000_00)
    money = await desk.paid(6000_00, customer_id=desk.customer)
    await ruled(desk, tiers=TIERS)
    acts: list[Callable[[Any, date | None], Awaitable[Any]]] = [
        lambda who, on: books.cancel_invoice(who, key(), one.id, reason=REASON, on=on),
        lambda who, on: books.reverse_payment(who, key(), money.id, reason=REASON, on=on),
    ]
    karim, salma = other(desk), other(desk, "salma")
    for undo in acts:
        before = (await undo(karim, None)).status
        assert (await undo(salma, later)).status == before
        assert (await undo(karim, later)).status in {"CANCELLED", "REVERSED"}


async def test_a_part_is_valued_as_a_part(desk: Desk) -> None:
    one = await desk.invoice_approved(9000_00, vat="EXEMPT")
    await ruled(desk, tiers=TIERS)
    assert len((await settled(desk, other(desk), one, 1000_00)).settlements) == 1


async def test_a_draft_is_taken_back_by_whoever_made_it(desk: Desk) -> None:
    await ruled(desk, tiers=TIERS)
    draft = await desk.invoice_drafted(9000_00)
    assert (await desk.books.cancel_invoice(desk.caller, key(), draft.id, reason=REASON)).cancelled


async def test_an_allocation_moves_no_money_between_partners_and_takes_nobody_else(desk: Desk) -> None:
    money, one = await desk.paid(9000_00, customer_id=desk.customer), await desk.invoice_approved(9000_00)
    await ruled(desk, tiers=TIERS)
    before = await desk.balances()
    spent = await desk.allocated(money, one, 9000_00)
    assert spent.credit.minor == 0
    after = await desk.balances()
    moved = {code: after.get(code, 0) - before.get(code, 0) for code in before | after}
    assert {code: minor for code, minor in moved.items() if minor} == {"1200": -9000_00, "2300": 9000_00}
    await desk.unallocated(spent, spent.credit.allocations[0].id)
    assert await desk.balances() == before
    with pytest.raises(AllocationTooLarge):
        await desk.allocated(money, one, 9000_01)


WAITING = """query ($kind: ApprovalKind, $own: Boolean!, $after: String) {
  approvalsWaiting(kind: $kind, withoutOwn: $own, first: 2, after: $after) { totalCount
    nodes { documentKind documentId act approvers } pageInfo { hasNextPage endCursor } } }"""


async def listed(context: Any, who: Any = None, **given: Any) -> Any:
    """A page of what waits; or the status and code of what is told instead."""
    context.caller = who or context.caller
    asked = {"query": WAITING, "variables": {"own": False} | given}
    status, body = await EXECUTOR.run(asked, context)
    if status != 200:
        return status, body["errors"][0]["extensions"]["code"]
    return body["data"]["approvalsWaiting"]


async def test_what_waits_for_others_is_listed_until_it_is_done_or_changed(desk: Desk) -> None:
    books, karim, salma = desk.books, other(desk), other(desk, "salma")
    one = await desk.invoice_approved(6000_00)
    await ruled(desk, tiers=TIERS)
    draft, bill = await desk.invoice_drafted(6000_00), await desk.voucher_drafted("BILL", 6000_00)
    entry = await books.create_journal(desk.caller, key(), desk.sale(6000_00), post=False)
    await books.cancel_invoice(karim, key(), one.id, reason=REASON)
    await books.approve_invoice(karim, key(), draft.id)
    await books.billing.approve(karim, key(), bill.id)
    await books.post_journal(salma, key(), entry.id)
    context = await desk.context()
    newest = await listed(context)
    assert newest["totalCount"] == 4
    assert newest["nodes"] == [
        {"documentKind": "JOURNAL", "documentId": entry.id, "act": None, "approvers": ["salma"]},
        {"documentKind": "VOUCHER", "documentId": bill.id, "act": None, "approvers": ["karim"]},
    ]
    older = await listed(context, after=newest["pageInfo"]["endCursor"])
    assert [(found["documentId"], found["act"]) for found in older["nodes"]] == [
        (draft.id, None),
        (one.id, "cancel on 2026-11-23"),
    ]
    assert older["pageInfo"]["hasNextPage"] is False
    reader = replace(context.caller, user_id="karim")
    assert [found["documentId"] for found in (await listed(context, reader, own=True))["nodes"]] == [entry.id]
    assert (await listed(context, kind="INVOICE"))["totalCount"] == 2
    assert await listed(context, after="bm9uZQ") == (400, "cursor-malformed")
    for permissions, ids in (
        ({"account:read", "payment:read"}, []),
        ({"account:read", "journal:read"}, [entry.id]),
        ({"account:read", "invoice:read"}, [bill.id, draft.id]),
    ):
        found = await listed(context, replace(reader, permissions=frozenset(permissions)))
        assert [node["documentId"] for node in found["nodes"]] == ids
    assert await listed(context, kind="JOURNAL") == (403, "permission-missing")
    assert await listed(context, replace(reader, permissions=frozenset({"invoice:read"}))) == (
        403,
        "permission-missing",
    )

    await books.post_journal(karim, key(), entry.id)
    await books.cancel_invoice(salma, key(), one.id, reason=REASON)
    await books.update_invoice(salma, key(), draft.id, asked="as it was", change=lambda found: found.terms)
    left = await listed(await desk.context())
    assert [found["documentId"] for found in left["nodes"]] == [bill.id]
