"""Resolvers of vouchers, and of what pays what."""

from datetime import date

import msgspec

from finance import settlement, voucher
from finance.graphql import shape
from finance.graphql.context import Context
from finance.graphql.writing import Given, command, currency_of, invoice_lines, mutation
from finance.handle import Books
from finance.money import Money
from finance.ports import Caller

__all__ = ["mutation"]


@command("createVoucher")
async def create_voucher(
    context: Context, books: Books, caller: Caller, *, input: Given, idempotencyKey: str
) -> shape.Shown:
    currency = input["currency"]
    terms = voucher.Terms(
        partner_id=input["partnerId"],
        voucher_date=input["voucherDate"],
        due_date=input["dueDate"],
        lines=invoice_lines(input["lineItems"], currency),
        reference=input.get("reference"),
        corrects_id=input.get("correctsId"),
        reason=input.get("reason"),
        prices=input["prices"],
        rounding=input["taxRounding"],
    )
    asked = voucher.Create(voucher_id="", kind=input["kind"], currency=currency, terms=terms)
    return shape.voucher(await books.billing.create(caller, idempotencyKey, asked), context.today)


@command("updateVoucher")
async def update_voucher(
    context: Context, books: Books, caller: Caller, *, id: str, input: Given, idempotencyKey: str
) -> shape.Shown:
    def change(draft: voucher.Voucher) -> voucher.Terms:
        terms, lines = draft.terms, input.get("lineItems")
        return msgspec.structs.replace(
            terms,
            voucher_date=input.get("voucherDate") or terms.voucher_date,
            due_date=input.get("dueDate") or terms.due_date,
            lines=terms.lines if lines is None else invoice_lines(lines, draft.currency),
            reference=terms.reference if input.get("reference") is None else input["reference"],
            reason=terms.reason if input.get("reason") is None else input["reason"],
            prices=input.get("prices") or terms.prices,
            rounding=input.get("taxRounding") or terms.rounding,
        )

    changed = await books.billing.update(caller, idempotencyKey, id, asked=input, change=change)
    return shape.voucher(changed, context.today)


@command("approveVoucher")
async def approve_voucher(
    context: Context, books: Books, caller: Caller, *, id: str, idempotencyKey: str
) -> shape.Shown:
    return shape.voucher(await books.billing.approve(caller, idempotencyKey, id), context.today)


@command("cancelVoucher")
async def cancel_voucher(
    context: Context,
    books: Books,
    caller: Caller,
    *,
    id: str,
    reason: str,
    reversingDate: date | None = None,
    idempotencyKey: str,
) -> shape.Shown:
    gone = await books.billing.cancel(caller, idempotencyKey, id, reason=reason, on=reversingDate)
    return shape.voucher(gone, context.today)


# What pays what


async def allocated(
    context: Context, books: Books, caller: Caller, kind: str, credit_id: str, asked: Given, key: str
) -> shape.Shown:
    amount = Money.parse(asked["amount"], await currency_of(context, kind, credit_id))
    spent = await books.settling.allocate(
        caller, key, kind, credit_id, document_id=asked["documentId"], amount=amount, on=asked.get("on")
    )
    return credited(context, spent)


async def unallocated(
    context: Context, books: Books, caller: Caller, kind: str, credit_id: str, asked: Given, key: str
) -> shape.Shown:
    restored = await books.settling.unallocate(
        caller,
        key,
        kind,
        credit_id,
        allocation_id=asked["allocationId"],
        reason=asked["reason"],
        on=asked.get("on"),
    )
    return credited(context, restored)


def credited(context: Context, state: object) -> shape.Shown:
    if isinstance(state, voucher.Voucher):
        return shape.voucher(state, context.today)
    return shape.payment(state)  # type: ignore[arg-type] # the other kind of credit


@command("allocatePayment")
async def allocate_payment(
    context: Context, books: Books, caller: Caller, *, id: str, input: Given, idempotencyKey: str
) -> shape.Shown:
    return await allocated(context, books, caller, "payment", id, input, idempotencyKey)


@command("unallocatePayment")
async def unallocate_payment(
    context: Context, books: Books, caller: Caller, *, id: str, input: Given, idempotencyKey: str
) -> shape.Shown:
    return await unallocated(context, books, caller, "payment", id, input, idempotencyKey)


@command("allocateVoucher")
async def allocate_voucher(
    context: Context, books: Books, caller: Caller, *, id: str, input: Given, idempotencyKey: str
) -> shape.Shown:
    return await allocated(context, books, caller, "voucher", id, input, idempotencyKey)


@command("unallocateVoucher")
async def unallocate_voucher(
    context: Context, books: Books, caller: Caller, *, id: str, input: Given, idempotencyKey: str
) -> shape.Shown:
    return await unallocated(context, books, caller, "voucher", id, input, idempotencyKey)


async def amount_of(context: Context, document_id: str, text: str) -> Money:
    """An amount in the currency of an invoice or voucher."""
    found = await context.state("invoice", document_id)
    kind = "invoice" if found else "voucher"
    return Money.parse(text, await currency_of(context, kind, document_id))


async def settled(
    context: Context,
    books: Books,
    caller: Caller,
    kind: str,
    document_id: str,
    asked: Given,
    key: str,
    told: str,
) -> shape.Shown:
    text = asked.get("amount")
    found = await books.settling.settle(
        caller,
        key,
        kind,
        document_id,
        amount=None if text is None else await amount_of(context, document_id, text),
        told=told,
        on=asked["on"],
        tax_code=asked.get("taxCode"),
    )
    return shape.document(found, context.today)


@command("writeOff")
async def write_off(
    context: Context, books: Books, caller: Caller, *, documentId: str, input: Given, idempotencyKey: str
) -> shape.Shown:
    kind, told = settlement.WRITE_OFF, input["reason"]
    return await settled(context, books, caller, kind, documentId, input, idempotencyKey, told)


@command("withholdTax")
async def withhold_tax(
    context: Context, books: Books, caller: Caller, *, documentId: str, input: Given, idempotencyKey: str
) -> shape.Shown:
    kind, told = settlement.WITHHOLDING, input["certificate"]
    return await settled(context, books, caller, kind, documentId, input, idempotencyKey, told)


@command("withdrawSettlement")
async def withdraw_settlement(
    context: Context, books: Books, caller: Caller, *, documentId: str, input: Given, idempotencyKey: str
) -> shape.Shown:
    open_again = await books.settling.withdraw(
        caller,
        idempotencyKey,
        documentId,
        settlement_id=input["settlementId"],
        reason=input["reason"],
        on=input.get("on"),
    )
    return shape.document(open_again, context.today)
