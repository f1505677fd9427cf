"""Whatever happens, control accounts are what partners owe; and what a document says amiss is named."""

import random
from collections import defaultdict
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from settling_parts import BILL, CREDIT_NOTE, DAY, DEBIT_NOTE, VENDOR_CREDIT, Desk, key

from finance import control, settlement, voucher
from finance.adapters.postgres.views import Views
from finance.refusal import (
    NotFound,
    Refused,
)
from finance.verify import Stored, Unreadable, examine

TENANT = "0198c5a0-0000-7000-8000-000000000001"


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
