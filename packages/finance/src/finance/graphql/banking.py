"""Resolvers of what banks tell."""

import base64
import binascii
from collections.abc import Sequence
from datetime import date
from typing import Any

from msgspec.structs import replace

from finance import inquiry, matching
from finance.adapters.postgres.views import PAGE_LIMIT
from finance.bank_file import Columns
from finance.bank_refusal import BankFileMalformed
from finance.banking import Given as File
from finance.booking import Against, Booking
from finance.figure import Figure, encode
from finance.graphql import shape
from finance.graphql.automating import mutation
from finance.graphql.context import Context
from finance.graphql.permission import demand
from finance.graphql.reading import Info, allowed, page, query
from finance.graphql.writing import Given, command, currency_of
from finance.handle import Books
from finance.money import BASE, Money
from finance.ports import Caller

__all__ = ["mutation"]
MOST_SUGGESTED_LINES = 100
MOST_CANDIDATES = 1_000


@query.field("bankLines")
async def bank_lines(
    _: object, info: Info, *, accountId: str, isMatched: bool | None = None, limit: int, offset: int
) -> Any:
    status = {True: "MATCHED", False: "UNMATCHED", None: None}[isMatched]
    found = await page(info, "bankline", limit=limit, offset=offset, account_id=accountId, status=status)
    return [shape.bank_line(state) for state in found]


@query.field("bankSuggestions")
async def bank_suggestions(_: object, info: Info, *, accountId: str, currency: str) -> Any:
    context = allowed(info)
    tenant, views = context.caller.tenant_id, context.service.views
    lines, _total = await views.unmatched_lines(
        tenant, accountId, currency=currency, until=date.max, limit=MOST_SUGGESTED_LINES
    )
    payments, _total = await views.unreconciled(
        tenant,
        accountId,
        inquiry.methods_of(tenant, accountId),
        currency=currency,
        until=date.max,
        limit=MOST_CANDIDATES,
    )
    return [
        {
            "lineIds": list(one.line_ids),
            "paymentIds": list(one.payment_ids),
            "score": one.score,
            "reasons": [{"told": told, "points": points} for told, points in one.reasons],
        }
        for one in matching.suggestions(lines, payments)
    ]


@query.field("bankReconciliation")
async def bank_reconciliation(_: object, info: Info, *, accountId: str, asOf: date, currency: str) -> Any:
    context = allowed(info)
    tenant = context.caller.tenant_id
    found = await inquiry.reconciliation(
        context.service.views, tenant, accountId, as_of=asOf, currency=currency, limit=PAGE_LIMIT
    )
    of = Figure(last=asOf, currency=currency, account_id=accountId)
    told, difference = found.told_minor, found.difference_minor
    return {
        "asOf": asOf,
        "bookBalance": shape.money(found.book_minor, currency),
        "bookFigure": encode(of),
        "statementBalance": None if told is None else shape.money(told, currency),
        "statementOn": found.told_on,
        "unmatchedLines": [shape.bank_line(one) for one in found.lines],
        "unmatchedLinesTotal": shape.money(found.lines_minor, currency),
        "unmatchedPayments": [shape.payment(one) for one in found.payments],
        "unmatchedPaymentsTotal": shape.money(found.payments_minor, currency),
        "unmatchedPaymentsFigure": encode(replace(of, waiting=True)),
        "expectedBalance": shape.money(found.expected_minor, currency),
        "difference": None if difference is None else shape.money(difference, currency),
    }


def columns_of(given: Given | None) -> Columns | None:
    if given is None:
        return None
    return Columns(
        booked_on=given["bookedOn"],
        date_format=given["dateFormat"],
        amount=given.get("amount"),
        money_out=given.get("moneyOut"),
        money_in=given.get("moneyIn"),
        reference=given.get("reference"),
        text=given.get("text"),
        delimiter=given["delimiter"],
        decimal_comma=given["decimalComma"],
    )


@command("importBankFile")
async def import_bank_file(
    _: Context, books: Books, caller: Caller, *, input: Given, idempotencyKey: str
) -> shape.Shown:
    try:
        content = base64.b64decode(input["content"], validate=True)
    except (binascii.Error, ValueError):
        raise BankFileMalformed("Its content is not Base64.") from None
    given = File(
        account_id=input["accountId"],
        currency=input["currency"],
        kind=input["kind"],
        name=input["name"],
        content=content,
        columns=columns_of(input.get("columns")),
    )
    return shape.bank_file(await books.banking.take(caller, idempotencyKey, given))


@command("matchBankLines")
async def match_bank_lines(
    _: Context,
    books: Books,
    caller: Caller,
    *,
    lineIds: Sequence[str],
    paymentIds: Sequence[str],
    journalIds: Sequence[str] | None = None,
    idempotencyKey: str,
) -> shape.Shown:
    named = (tuple(lineIds), tuple(paymentIds), tuple(journalIds or ()))
    return shape.bank_line(await books.banking.match(caller, idempotencyKey, *named))


@command("bookBankLines")
async def book_bank_lines(
    context: Context, books: Books, caller: Caller, *, input: Given, idempotencyKey: str
) -> shape.Shown:
    demand(caller, "createJournal")
    if input["autoPost"]:
        demand(caller, "postJournal")
    line_ids = tuple(input["lineIds"])
    currency = await currency_of(context, "bankline", line_ids[0]) if line_ids else BASE
    asked = Booking(
        line_ids=line_ids,
        against=tuple(against(one, currency) for one in input["against"]),
        day=input.get("journalDate"),
        description=input.get("description"),
    )
    return shape.journal(await books.banking.book(caller, idempotencyKey, asked, post=input["autoPost"]))


def against(given: Given, currency: str) -> Against:
    amount = given.get("amount")
    return Against(
        account_id=given["accountId"],
        amount_minor=None if amount is None else Money.parse(amount, currency).minor,
        tax_code=given.get("taxCode"),
        description=given.get("description"),
        cost_center=given.get("costCenter"),
        project=given.get("project"),
    )


@command("unmatchBankLine")
async def unmatch_bank_line(
    _: Context, books: Books, caller: Caller, *, id: str, reason: str, idempotencyKey: str
) -> shape.Shown:
    return shape.bank_line(await books.banking.unmatch(caller, idempotencyKey, id, reason=reason))
