"""Resolvers of reports: each by effective date, and as known on a record date."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from ariadne import ObjectType

from finance import cashflow, chart, posting, report
from finance.account import DEBIT_NORMAL
from finance.adapters.postgres.listing import cursor, key_of, place_cursor, place_of
from finance.adapters.postgres.views import Window, page_of
from finance.graphql import shape
from finance.graphql.context import Context
from finance.graphql.listing import paged
from finance.graphql.reading import Info, allowed, known_until, query
from finance.money import BASE
from finance.refusal import AccountUnknown, DateMalformed, ReportTooLarge
from finance.report import Aged, Balance, Step
from finance.settlement import SALES

__all__ = ["partner_types", "query"]
Given = dict[str, Any]
MOST_MOVEMENTS = 10_000
"""Of a statement: what one answer can carry without keeping others waiting."""

LATER = "later"
"""What cursors of entries that became known later are bound to."""

partner_types = [ObjectType("PartnerAge"), ObjectType("Statement")]
BUCKETS = ("notDue", "days1To30", "days31To60", "days61To90", "over90")


def within(first: date | None, last: date, known_on: date | None) -> Window:
    """Which entries count.

    Raises:
        DateMalformed: the first day is after the last.
    """
    if first is not None and first > last:
        raise DateMalformed(f"The first day {first} is after the last, {last}.")
    return Window(first=first, last=last, known=known_until(known_on))


def before(window: Window, first: date) -> Window:
    """What counted before the first day; before the first of all days there is nothing."""
    if first == date.min:
        return Window(first=date.max, last=date.min)
    return Window(last=first - timedelta(days=1), known=window.known)


def section(balances: Sequence[Balance]) -> shape.Shown:
    lines = [
        {
            "accountId": one.account.id,
            "accountCode": one.account.code,
            "accountName": one.account.name,
            "amount": shape.balance(one.account.account_type, BASE, one.net_minor),
        }
        for one in balances
    ]
    total = sum(
        one.net_minor if one.account.account_type in DEBIT_NORMAL else -one.net_minor for one in balances
    )
    return {"lines": lines, "total": shape.money(total, BASE)}


def step(one: Step, currency: str, sign: int = 1) -> shape.Shown:
    moved = one.movement
    return {
        "date": moved.day,
        "journalNumber": moved.number,
        "journalId": moved.journal_id,
        "documentId": moved.document_id,
        "description": moved.description,
        "debit": shape.money(moved.debit_minor, currency),
        "credit": shape.money(moved.credit_minor, currency),
        "balance": shape.money(sign * one.balance_minor, currency),
    }


@query.field("generalLedger")
async def general_ledger(_: object, info: Info, *, input: Given) -> Any:
    context, currency = allowed(info), input["currency"]
    found = await context.state("account", input["accountId"])
    if found is None:
        raise AccountUnknown(f"Found {input['accountId'][:40]}.")
    tenant, views = context.caller.tenant_id, context.service.views
    window = within(input.get("from"), input["to"], input.get("knownOn"))
    limit, offset = page_of(input["limit"], input["offset"])
    which = {"account_ids": [found.id], "currency": currency}
    opening = 0
    if window.first is not None:
        opening, _count = await views.moved_minor(tenant, **which, window=before(window, window.first))

    async def movements(_: Info) -> list[shape.Shown]:
        skipped, _count = await views.moved_minor(tenant, **which, window=window, limit=offset)
        page = await views.movements(tenant, **which, window=window, limit=limit, offset=offset)
        return [step(one, currency) for one in report.ledger(opening + skipped, page)]

    async def walked(_: Info, *, first: int, after: str | None = None) -> shape.Shown:
        first, _offset = page_of(first, 0)
        place, passed = None, 0
        if after is not None:
            place = place_of(after)
            passed, _count = await views.moved_minor(tenant, **which, window=window, until=place)
        page = await views.movements(tenant, **which, window=window, after=place, limit=first + 1)
        edges = [
            {
                "cursor": place_cursor((one.movement.day, one.movement.position, one.movement.place)),
                "node": step(one, currency),
            }
            for one in report.ledger(opening + passed, page[:first])
        ]
        return paged(edges, more=len(page) > first, after=after, count=lambda: count(info))

    async def count(_: Info) -> int:
        _net, many = await views.moved_minor(tenant, **which, window=window)
        return many

    async def closing(_: Info) -> shape.Shown:
        net, _count = await views.moved_minor(tenant, **which, window=window)
        return shape.money(opening + net, currency)

    return {
        "account": shape.account(found),
        "openingBalance": shape.money(opening, currency),
        "movements": movements,
        "movementsConnection": walked,
        "count": count,
        "closingBalance": closing,
    }


@query.field("profitAndLoss")
async def profit_and_loss(_: object, info: Info, *, input: Given) -> Any:
    context = allowed(info)
    window = within(input["from"], input["to"], input.get("knownOn"))
    found = report.profit_and_loss(
        await context.service.views.balances(
            context.caller.tenant_id, currency=BASE, window=window, closing=False
        )
    )
    return {
        "from": input["from"],
        "to": input["to"],
        "revenue": section(found.revenue),
        "expenses": section(found.expenses),
        "profit": shape.money(found.profit_minor, BASE),
    }


@query.field("balanceSheet")
async def balance_sheet(_: object, info: Info, *, input: Given) -> Any:
    context = allowed(info)
    window = within(None, input["asOf"], input.get("knownOn"))
    found = report.balance_sheet(
        await context.service.views.balances(context.caller.tenant_id, currency=BASE, window=window)
    )
    return {
        "asOf": input["asOf"],
        "assets": section(found.assets),
        "liabilities": section(found.liabilities),
        "equity": section(found.equity),
        "earnings": shape.money(found.earnings_minor, BASE),
        "liabilitiesAndEquity": shape.money(found.liabilities_minor + found.equity_minor, BASE),
        "isBalanced": found.difference_minor == 0,
    }


@query.field("cashFlow")
async def cash_flow(_: object, info: Info, *, input: Given) -> Any:
    context = allowed(info)
    tenant, views = context.caller.tenant_id, context.service.views
    window = within(input["from"], input["to"], input.get("knownOn"))
    earlier = before(window, input["from"])
    opening = await views.balances(tenant, currency=BASE, window=earlier)
    until = Window(last=window.last, known=window.known)
    closing = await views.balances(tenant, currency=BASE, window=until)
    cash = [one.account.id for one in closing if cashflow.is_cash(one.account)]
    others = await views.flows(tenant, cash, window=window)
    found = cashflow.cash_flow(opening, closing, others)
    return {
        "from": input["from"],
        "to": input["to"],
        "activities": [
            {
                "activity": activity,
                "lines": [
                    {
                        "accountId": one.account.id,
                        "accountCode": one.account.code,
                        "accountName": one.account.name,
                        "amount": shape.money(one.net_minor, BASE),
                    }
                    for one in found.flows
                    if one.activity == activity
                ],
                "total": shape.money(found.net_minor(activity), BASE),
            }
            for activity in cashflow.ACTIVITIES
        ],
        "openingBalance": shape.money(found.opening_minor, BASE),
        "closingBalance": shape.money(found.closing_minor, BASE),
        "isTied": found.is_tied,
    }


def accounts_of(context: Context, side: str) -> list[str]:
    """The accounts that say what is open with the partners of a side."""
    rule = posting.SIDES[side]
    return [chart.account_id(context.caller.tenant_id, code) for code in (rule.control, rule.advances)]


def buckets(aged: Sequence[Aged]) -> shape.Shown:
    sums = [sum(one.buckets[number] for one in aged) for number in range(len(BUCKETS))]
    shown = {name: shape.money(minor, BASE) for name, minor in zip(BUCKETS, sums, strict=True)}
    return {
        **shown,
        "credits": shape.money(sum(one.credits_minor for one in aged), BASE),
        "total": shape.money(sum(one.total_minor for one in aged), BASE),
    }


@query.field("ageing")
async def ageing(_: object, info: Info, *, input: Given) -> Any:
    context, side, as_of = allowed(info), input["side"], input["asOf"]
    tenant, accounts, sign = context.caller.tenant_id, accounts_of(context, side), 1 if side == SALES else -1
    window = within(None, as_of, input.get("knownOn"))
    items = await context.service.views.items(tenant, accounts, last=as_of, known=window.known)
    held, _count = await context.service.views.moved_minor(tenant, accounts, currency=BASE, window=window)
    aged = report.ageing(items, side=side, as_of=as_of)
    return {
        "side": side,
        "asOf": as_of,
        "partners": [
            {
                "side": side,
                "partnerId": one.partner_id,
                "buckets": buckets([one]),
                "items": [
                    {
                        "id": item.item_id,
                        "dueDate": item.due_date,
                        "open": shape.money(sign * item.net_minor, BASE),
                    }
                    for item in one.items
                ],
            }
            for one in aged
        ],
        "totals": buckets(aged),
        "control": shape.money(sign * held, BASE),
    }


@query.field("statement")
async def statement(_: object, info: Info, *, input: Given) -> Any:
    context, side, currency = allowed(info), input["side"], input["currency"]
    tenant, accounts, sign = context.caller.tenant_id, accounts_of(context, side), 1 if side == SALES else -1
    window, partner_id = within(input["from"], input["to"], input.get("knownOn")), input["partnerId"]
    views = context.service.views
    opening, _count = await views.moved_minor(
        tenant, accounts, currency=currency, window=before(window, input["from"]), partner_id=partner_id
    )
    moved = await views.movements(
        tenant, accounts, currency=currency, window=window, partner_id=partner_id, limit=MOST_MOVEMENTS + 1
    )
    if len(moved) > MOST_MOVEMENTS:
        raise ReportTooLarge(f"Expected at most {MOST_MOVEMENTS} movements.")
    steps = report.ledger(opening, report.by_entry(moved))
    closing = steps[-1].balance_minor if steps else opening
    return {
        "partnerId": partner_id,
        "side": side,
        "from": input["from"],
        "to": input["to"],
        "openingBalance": shape.money(sign * opening, currency),
        "movements": [step(one, currency, sign) for one in steps],
        "closingBalance": shape.money(sign * closing, currency),
    }


@query.field("entriesKnownLater")
async def entries_known_later(
    _: object, info: Info, *, asOf: date, knownOn: date, limit: int, offset: int
) -> Any:
    context, known = allowed(info), instant(asOf, knownOn)
    limit, offset = page_of(limit, offset)
    found = await context.service.views.known_later(
        context.caller.tenant_id, last=asOf, known=known, limit=limit, offset=offset
    )
    return [shape.journal(state) for _, state in found]


@query.field("entriesKnownLaterConnection")
async def entries_known_later_walked(
    _: object, info: Info, *, asOf: date, knownOn: date, first: int, after: str | None = None
) -> Any:
    context, known = allowed(info), instant(asOf, knownOn)
    tenant, views = context.caller.tenant_id, context.service.views
    first, _offset = page_of(first, 0)
    place = None if after is None else key_of(LATER, after)
    assert not isinstance(place, str), "entries stand at numbers"  # noqa: S101 - a bug, not a refusal
    found = await views.known_later(tenant, last=asOf, known=known, limit=first + 1, after=place)
    edges = [
        {"cursor": cursor(LATER, position), "node": shape.journal(state)} for position, state in found[:first]
    ]
    return paged(
        edges,
        more=len(found) > first,
        after=after,
        count=lambda: views.count_known_later(tenant, last=asOf, known=known),
    )


def instant(as_of: date, known_on: date) -> datetime:
    """The last one that counts of a record date, which the schema demands."""
    known = within(None, as_of, known_on).known
    assert known is not None, "the schema demands a record date"  # noqa: S101 - a bug, not a refusal
    return known


async def partner(shown: Given, info: Info) -> Any:
    if shown["partnerId"] is None:
        return None
    kind = "customers" if shown["side"] == SALES else "vendors"
    return await info.context.named(kind, shown["partnerId"]) or {"id": shown["partnerId"]}


for one in partner_types:
    one.set_field("partner", partner)
