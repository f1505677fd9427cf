"""Notes that correct a document: together they are never more than it, whoever approves them at once."""

import asyncio
from importlib.resources import files
from typing import Any
from uuid import uuid4

import pytest

from finance.refusal import CorrectionImpossible, CorrectionTooLarge, InvoiceCorrected, Refused
from finance.voucher import BILL, CREDIT_NOTE, DEBIT_NOTE, VENDOR_CREDIT
from kit.database import migrate

Desk = Any


def key() -> str:
    return str(uuid4())


@pytest.mark.integration
async def test_credits_together_are_not_more_than_what_they_correct(desk: Desk) -> None:
    one = await desk.invoice_approved(100_00)
    first = await desk.voucher_approved(CREDIT_NOTE, 60_00, corrects_id=one.id)
    await desk.voucher_approved(CREDIT_NOTE, 40_00, corrects_id=one.id)
    before = await desk.ledger.events(desk.ledger.tenant)
    with pytest.raises(CorrectionTooLarge, match=r"0\.00 are left") as told:
        await desk.voucher_drafted(CREDIT_NOTE, 1, corrects_id=one.id)
    assert told.value.code == "correction-too-large"
    assert await desk.ledger.events(desk.ledger.tenant) == before
    await desk.books.billing.cancel(desk.caller, key(), first.id, reason="a mistake", on=None)
    assert (await desk.voucher_approved(CREDIT_NOTE, 60_00, corrects_id=one.id)).status == "APPROVED"


@pytest.mark.integration
async def test_a_vendors_credits_together_are_not_more_than_its_bill(desk: Desk) -> None:
    bill = await desk.voucher_approved(BILL, 100_00)
    await desk.voucher_approved(VENDOR_CREDIT, 100_00, corrects_id=bill.id)
    with pytest.raises(CorrectionTooLarge):
        await desk.voucher_drafted(VENDOR_CREDIT, 1_00, corrects_id=bill.id)


@pytest.mark.integration
async def test_of_drafts_that_are_approved_at_once_so_many_are_as_the_document_has_room_for(
    desk: Desk,
) -> None:
    one = await desk.invoice_approved(100_00)
    drafts = [await desk.voucher_drafted(CREDIT_NOTE, 30_00, corrects_id=one.id) for _ in range(6)]
    done = await asyncio.gather(
        *(desk.books.billing.approve(desk.caller, key(), draft.id) for draft in drafts),
        return_exceptions=True,
    )
    assert [type(each) for each in done if isinstance(each, Exception)] == [CorrectionTooLarge] * 3
    approved = [each for each in done if not isinstance(each, Refused)]
    assert sum(each.total_minor for each in approved) == 90_00 + 3 * 4_50


@pytest.mark.integration
@pytest.mark.parametrize("kind", [CREDIT_NOTE, DEBIT_NOTE])
async def test_what_an_approved_note_corrects_is_not_cancelled_before_the_note_is(
    desk: Desk, kind: str
) -> None:
    one = await desk.invoice_approved(100_00)
    draft = await desk.voucher_drafted(kind, 60_00, corrects_id=one.id)
    note = await desk.books.billing.approve(desk.caller, key(), draft.id)
    before = await desk.ledger.events(desk.ledger.tenant)
    with pytest.raises(InvoiceCorrected, match=f"{one.number} is corrected by {note.number}"):
        await desk.books.cancel_invoice(desk.caller, key(), one.id, reason="a mistake")
    assert await desk.ledger.events(desk.ledger.tenant) == before
    await desk.books.billing.cancel(desk.caller, key(), note.id, reason="a mistake", on=None)
    await desk.voucher_drafted(kind, 10_00, corrects_id=one.id)
    gone = await desk.books.cancel_invoice(desk.caller, key(), one.id, reason="a mistake")
    assert (gone.status, (await desk.balances()).get("1200", 0)) == ("CANCELLED", 0)


@pytest.mark.integration
async def test_a_bill_that_a_vendors_credit_corrects_is_not_cancelled(desk: Desk) -> None:
    bill = await desk.voucher_approved(BILL, 100_00)
    await desk.voucher_approved(VENDOR_CREDIT, 1_00, corrects_id=bill.id)
    with pytest.raises(InvoiceCorrected):
        await desk.books.billing.cancel(desk.caller, key(), bill.id, reason="a mistake", on=None)


@pytest.mark.integration
async def test_of_cancelling_and_correcting_at_once_one_comes_first_and_the_other_is_refused(
    desk: Desk,
) -> None:
    ended = set()
    for _ in range(4):
        one = await desk.invoice_approved(100_00)
        draft = await desk.voucher_drafted(CREDIT_NOTE, 30_00, corrects_id=one.id)
        done = await asyncio.gather(
            desk.books.billing.approve(desk.caller, key(), draft.id),
            desk.books.cancel_invoice(desk.caller, key(), one.id, reason="a mistake"),
            return_exceptions=True,
        )
        [refused] = [each for each in done if isinstance(each, Exception)]
        ended.add(type(refused))
    assert ended <= {InvoiceCorrected, CorrectionImpossible}


@pytest.mark.integration
async def test_notes_from_before_the_log_noted_what_they_correct_count_all_the_same(desk: Desk) -> None:
    one = await desk.invoice_approved(100_00)
    ledger = desk.ledger
    ledger.as_superuser(
        "DROP TRIGGER correction_noted ON finance_log.events; DROP FUNCTION finance_log.note_correction;"
        "DELETE FROM finance_log.migrations WHERE name LIKE '0003%';"
    )
    await desk.voucher_approved(CREDIT_NOTE, 60_00, corrects_id=one.id)
    folder = files("finance.adapters.postgres") / "migrations"
    done = await migrate(ledger.url("finance_owner"), folder, setting="OWNER", schema="finance_log")
    assert done == ["0003_corrections.sql"]
    with pytest.raises(CorrectionTooLarge, match=r"46\.00 are left"):
        await desk.voucher_drafted(CREDIT_NOTE, 60_00, corrects_id=one.id)
    assert await ledger.seen(
        ledger.other_tenant, "SELECT count(*) FROM finance_log.claims WHERE value <> ''"
    ) == (
        await ledger.seen(
            ledger.other_tenant, "SELECT count(*) FROM finance_log.claims WHERE kind = 'account-code'"
        )
    ), "row level security is in force again"
