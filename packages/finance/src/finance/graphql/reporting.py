"""Resolvers of reports: each by effective date, and as known on a record date."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Literal

from ariadne import ObjectType
from msgspec.structs import replace

from finance import cashflow, inquiry, report
from finance.account import DEBIT_NORMAL
from finance.adapters.postgres.listing import cursor, key_of, place_cursor, place_of
from finance.adapters.postgres.views import page_of
from finance.figure import Figure, Known, encode, normal_sign
from finance.figure import before as earlier
from finance.graphql import shape
from finance.graphql.listing import paged
from finance.graphql.reading import Info, allowed, query
from finance.inquiry import before, within
from finance.money import BASE
from finance.refusal import AccountUnknown
from finance.report import Aged, Balance, Step
from finance.revaluation import Comparison, Item
from finance.settlement import SALES

__all__ = ["partner_types", "query"]
Given = dict[str, Any]
LATER = "later"
"""What cursors of entries that became known later are bound to."""

partner_types = [ObjectType("PartnerAge"), ObjectType("Statement")]
EARNED: tuple[Known, Known] = ("REVENUE", "EXPENSE")
BUCKETS = ("notDue", "days1To30", "days31To60", "days61To90", "over90")


def section(balances: Sequence[Balance], account_type: Known, of: Figure) -> shape.Shown:
    """Accounts of a type and their sum, each with its figure; `of` says which days they are of."""
    sign = normal_sign(account_type)
    lines = [
        {
            "figure": encode(replace(of, account_id=one.account.id, sign=sign)),
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
    figure = encode(replace(of, types=(account_type,), sign=sign))
    return {"lines": lines, "total": shape.money(total, BASE), "figure": figure}


def step(one: Step, of: Figure, *, line: bool) -> shape.Shown:
    """A movement, a `line` of its entry or all of them, and the balance after it; `of` is until the last day."""
    moved, currency = one.movement, of.currency
    alone = replace(
        of,
        first=moved.day,
        last=moved.day,
        sign=1,
        journal_id=moved.journal_id,
        line=moved.place if line else None,
    )
    return {
        "figure": lambda _: encode(alone),
        "balanceFigure": lambda _: encode(replace(of, until=moved.at)),
        "date": moved.day,
        "journalNumber": moved.number,
        "journalId": moved.journal_id,
        "documentId": moved.document_id,
        "description": moved.description,
        "debit": shape.money(moved.debit_minor, currency),
        "credit": shape.money(moved.credit_minor, currency),
        "balance": shape.money(of.sign * one.balance_minor, currency),
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
    of = Figure(last=input["to"], known_on=input.get("knownOn"), currency=currency, account_id=found.id)
    opening = 0
    if window.first is not None:
        opening, _count = await views.moved_minor(tenant, **which, window=before(window, window.first))

    async def movements(_: Info) -> list[shape.Shown]:
        skipped, _count = await views.moved_minor(tenant, **which, window=window, limit=offset)
        page = await views.movements(tenant, **which, window=window, limit=limit, offset=offset)
        return [step(one, of, line=True) for one in report.ledger(opening + skipped, page)]

    async def walked(_: Info, *, first: int, after: str | None = None) -> shape.Shown:
        first, _offset = page_of(first, 0)
        place, passed = None, 0
        if after is not None:
            place = place_of(after)
            passed, _count = await views.moved_minor(tenant, **which, window=window, until=place)
        page = await views.movements(tenant, **which, window=window, after=place, limit=first + 1)
        edges = [
            {
                "cursor": place_cursor(one.movement.at),
                "node": step(one, of, line=True),
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
        "openingFigure": encode(earlier(of, input.get("from"))),
        "movements": movements,
        "movementsConnection": walked,
        "count": count,
        "closingBalance": closing,
        "closingFigure": encode(of),
    }


@query.field("profitAndLoss")
async def profit_and_loss(_: object, info: Info, *, input: Given) -> Any:
    context = allowed(info)
    window = within(input["from"], input["to"], input.get("knownOn"))
    found = await inquiry.profit_and_loss(context.service.views, context.caller.tenant_id, window)
    of = Figure(first=input["from"], last=input["to"], known_on=input.get("knownOn"), closing=False)
    return {
        "from": input["from"],
        "to": input["to"],
        "revenue": section(found.revenue, "REVENUE", of),
        "expenses": section(found.expenses, "EXPENSE", of),
        "profit": shape.money(found.profit_minor, BASE),
        "figure": encode(replace(of, types=EARNED, sign=-1)),
    }


@query.field("balanceSheet")
async def balance_sheet(_: object, info: Info, *, input: Given) -> Any:
    context = allowed(info)
    window = within(None, input["asOf"], input.get("knownOn"))
    found = await inquiry.balance_sheet(context.service.views, context.caller.tenant_id, window)
    of = Figure(last=input["asOf"], known_on=input.get("knownOn"))
    return {
        "asOf": input["asOf"],
        "assets": section(found.assets, "ASSET", of),
        "liabilities": section(found.liabilities, "LIABILITY", of),
        "equity": section(found.equity, "EQUITY", of),
        "earnings": shape.money(found.earnings_minor, BASE),
        "earningsFigure": encode(replace(of, types=EARNED, sign=-1)),
        "liabilitiesAndEquity": shape.money(found.liabilities_minor + found.equity_minor, BASE),
        "isBalanced": found.difference_minor == 0,
    }


@query.field("cashFlow")
async def cash_flow(_: object, info: Info, *, input: Given) -> Any:
    context = allowed(info)
    window = within(input["from"], input["to"], input.get("knownOn"))
    found = await inquiry.cash_flow(context.service.views, context.caller.tenant_id, input["from"], window)
    of = Figure(first=input["from"], last=input["to"], known_on=input.get("knownOn"), cash="OTHERS", sign=-1)
    held = Figure(last=input["to"], known_on=input.get("knownOn"), cash="HELD")
    effect = Figure(
        first=input["from"],
        last=input["to"],
        known_on=input.get("knownOn"),
        account_id=inquiry.revalued(context.caller.tenant_id),
    )
    return {
        "from": input["from"],
        "to": input["to"],
        "activities": [
            {
                "activity": activity,
                "figure": encode(effect if activity == cashflow.EXCHANGE else replace(of, activity=activity)),
                "lines": [
                    {
                        "figure": encode(
                            effect
                            if activity == cashflow.EXCHANGE
                            else replace(of, account_id=one.account.id)
                        ),
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
        "openingFigure": encode(earlier(held, input["from"])),
        "closingBalance": shape.money(found.closing_minor, BASE),
        "closingFigure": encode(held),
        "isTied": found.is_tied,
    }


def signed(side: str) -> Literal[1, -1]:
    return 1 if inquiry.sign_of(side) > 0 else -1


def whose(of: Figure, partner_id: str | None) -> Figure:
    """The same of one partner, or of what names nobody."""
    return replace(of, partner_id=partner_id, unnamed=partner_id is None)


def buckets(aged: Sequence[Aged]) -> shape.Shown:
    sums = [sum(one.buckets[number] for one in aged) for number in range(len(BUCKETS))]
    shown = {name: shape.money(minor, BASE) for name, minor in zip(BUCKETS, sums, strict=True)}
    return {
        **shown,
        "credits": shape.money(sum(one.credits_minor for one in aged), BASE),
        "total": shape.money(sum(one.total_minor for one in aged), BASE),
    }


@query.field("revaluation")
async def revaluation(_: object, info: Info, *, asOf: date) -> Any:
    context = allowed(info)
    found = await inquiry.revaluation_of(context.service.views, context.caller.tenant_id, asOf)
    return {
        "asOf": asOf,
        "lines": [revaluation_line(found, one) for one in found.items],
        "difference": shape.money(sum(one.difference_minor for one in found.items), BASE),
        "posted": shape.money(sum(found.posted_minor(one) for one in found.items), BASE),
        "entry": shape.journal(found.entry) if found.entry else None,
        "isCurrent": found.is_current,
    }


def revaluation_line(found: Comparison, one: Item) -> dict[str, Any]:
    of = Figure(last=found.day, account_id=one.holding.account.id)
    line = found.place(one)
    posted = None if found.entry is None else Figure(last=found.day, journal_id=found.entry.id, line=line)
    return {
        "accountId": one.holding.account.id,
        "accountCode": one.holding.account.code,
        "accountName": one.holding.account.name,
        "balance": shape.money(one.holding.minor, one.holding.currency),
        "balanceFigure": encode(replace(of, currency=one.holding.currency)),
        "worth": shape.money(one.holding.base_minor, BASE),
        "worthFigure": encode(replace(of, held=one.holding.currency)),
        "rate": shape.amount(one.rate),
        "rateSince": found.since[one.holding.currency],
        "worthAtRate": shape.money(one.worth_minor, BASE),
        "difference": shape.money(one.difference_minor, BASE),
        "posted": shape.money(found.posted_minor(one), BASE),
        "postedFigure": None if posted is None or line is None else encode(posted),
    }


@query.field("ageing")
async def ageing(_: object, info: Info, *, input: Given) -> Any:
    context, side, as_of = allowed(info), input["side"], input["asOf"]
    found = await inquiry.debts(
        context.service.views, context.caller.tenant_id, side, as_of=as_of, known_on=input.get("knownOn")
    )
    of = Figure(last=as_of, known_on=input.get("knownOn"), side=side, sign=signed(side))
    return {
        "side": side,
        "asOf": as_of,
        "figure": encode(of),
        "partners": [
            {
                "side": side,
                "figure": encode(whose(of, one.partner_id)),
                "partnerId": one.partner_id,
                "buckets": buckets([one]),
                "items": [
                    {
                        "id": item.item_id,
                        "figure": encode(replace(whose(of, one.partner_id), item_id=item.item_id)),
                        "dueDate": item.due_date,
                        "open": shape.money(inquiry.sign_of(side) * item.net_minor, BASE),
                    }
                    for item in one.items
                ],
            }
            for one in found.aged
        ],
        "totals": buckets(found.aged),
        "control": shape.money(found.control_minor, BASE),
    }


@query.field("statement")
async def statement(_: object, info: Info, *, input: Given) -> Any:
    context, side, currency = allowed(info), input["side"], input["currency"]
    found = await inquiry.statement(
        context.service.views,
        context.caller.tenant_id,
        side,
        input["partnerId"],
        currency=currency,
        first=input["from"],
        window=within(input["from"], input["to"], input.get("knownOn")),
    )
    of = Figure(
        last=input["to"],
        known_on=input.get("knownOn"),
        currency=currency,
        side=side,
        partner_id=input["partnerId"],
        sign=signed(side),
    )
    return {
        "openingFigure": encode(earlier(of, input["from"])),
        "closingFigure": encode(of),
        "partnerId": input["partnerId"],
        "side": side,
        "from": input["from"],
        "to": input["to"],
        "openingBalance": shape.money(found.sign * found.opening_minor, currency),
        "movements": [step(one, of, line=False) for one in found.steps],
        "closingBalance": shape.money(found.sign * found.closing_minor, currency),
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
