"""Resolvers that lead from a figure to its entries, and from an entry to where it comes from."""

from typing import Any

from ariadne import ObjectType

from finance import approval, inquiry, origin, revaluation
from finance.adapters.postgres.listing import place_cursor, place_of
from finance.adapters.postgres.views import page_of
from finance.figure import Figure, decode
from finance.graphql import shape
from finance.graphql.context import Context
from finance.graphql.listing import SHOWN
from finance.graphql.permission import demand
from finance.graphql.reading import Info, allowed, query
from finance.report import Movement

journal = ObjectType("Journal")
entry = ObjectType("FigureEntry")
origin_type = ObjectType("EntryOrigin")
journal_types = [journal, entry, origin_type]
FIELD = {
    "INVOICE": "invoice",
    "VOUCHER": "voucher",
    "PAYMENT": "payment",
    "TEMPLATE": "journalTemplate",
    "YEAR": "fiscalYear",
}
"""The root field whose permission a document needs, wherever it is shown."""


@query.field("figureEntries")
async def figure_entries(_: object, info: Info, *, figure: str, first: int, after: str | None = None) -> Any:
    context = allowed(info)
    tenant, views, asked = context.caller.tenant_id, context.service.views, decode(figure)
    first, _offset = page_of(first, 0)
    place = None if after is None else place_of(after)
    async with views.still(tenant) as now:
        drill = await inquiry.drill(now, tenant, asked)
        net, count = await now.drilled_minor(tenant, drill)
        found = await now.drilled(tenant, drill, after=place, limit=first + 1)
    page = found[:first]
    return {
        "amount": shape.money(asked.sign * net, asked.currency),
        "totalCount": count,
        "nodes": [moved(one, asked) for one in page],
        "pageInfo": {
            "hasNextPage": len(found) > first,
            "hasPreviousPage": after is not None,
            "startCursor": place_cursor(page[0].at) if page else None,
            "endCursor": place_cursor(page[-1].at) if page else None,
        },
    }


def moved(one: Movement, asked: Figure) -> shape.Shown:
    return {
        "date": one.day,
        "accountId": one.account_id,
        "journalId": one.journal_id,
        "journalNumber": one.number,
        "description": one.description,
        "documentId": one.document_id,
        "partnerId": one.partner_id,
        "debit": shape.money(one.debit_minor, asked.currency),
        "credit": shape.money(one.credit_minor, asked.currency),
        "amount": shape.money(asked.sign * one.net_minor, asked.currency),
    }


@entry.field("journal")
async def journal_of(shown: shape.Shown, info: Info) -> Any:
    context: Context = info.context
    demand(context.caller, "journal")
    return shape.journal(await context.journal(shown["journalId"]))


@journal.field("origin")
async def origin_of(shown: shape.Shown, info: Info) -> Any:
    """Where a posted entry comes from; of a draft, and of what a dry run would post, nothing is told yet."""
    context: Context = info.context
    beside = await context.beside(shown["id"])
    if beside is None:
        return None
    [posted] = [one for one in beside if one.stream_id == shown["id"]]
    cause = origin.told_by(shown["id"], shown["documentId"], beside)
    document = origin.document_in(cause)
    of = shown["id"] if document is None else document.stream_id
    yeses = await context.history(approval.stream(context.caller.tenant_id, of))
    found = origin.tell(
        posted,
        cause,
        await context.history(of),
        yeses,
        reverses=shown["originalJournalId"] is not None,
        revalues=revaluation.owns(context.caller.tenant_id, shown["documentId"], shown["journalDate"]),
    )
    return {
        "rule": found.rule,
        "documentKind": found.document_kind,
        "documentId": found.document_id,
        "journalId": shown["id"],
        "makers": list(found.makers),
        "approvers": list(found.approvers),
        "reverses": shown["originalJournalId"],
        "reversedBy": shown["reversedByJournalId"],
    }


@origin_type.field("document")
async def document_of(shown: shape.Shown, info: Info) -> Any:
    context: Context = info.context
    kind = shown["documentKind"]
    if kind is None:
        return None
    demand(context.caller, FIELD[kind])
    state = await context.state(kind.lower(), shown["documentId"])
    match kind:
        case "TEMPLATE":
            return shape.template(state, context.today)
        case "YEAR":
            return shape.year(state.fiscal_year, state)
        case _:
            return SHOWN[kind.lower()](state, context.today)


@origin_type.field("reverses")
@origin_type.field("reversedBy")
async def other(shown: shape.Shown, info: Info) -> Any:
    context: Context = info.context
    journal_id = shown[info.field_name]
    if journal_id is None:
        return None
    demand(context.caller, "journal")
    return shape.journal(await context.journal(journal_id))


@origin_type.field("bankLines")
async def bank_lines(shown: shape.Shown, info: Info) -> Any:
    """The bank's lines that the payment behind an entry is matched with, or the entry itself."""
    context: Context = info.context
    if shown["documentKind"] != "PAYMENT":
        matched = await context.lines_of(shown["journalId"])
        if matched:
            demand(context.caller, "bankLines")
        return [shape.bank_line(one) for one in matched]
    demand(context.caller, "bankLines")
    told = origin.bank_line_of(await context.history(shown["documentId"]))
    first = None if told is None else await context.state("bankline", told)
    if first is None or first.match is None:
        return []
    ids = list(first.match.line_ids)
    found = await context.service.views.find(context.caller.tenant_id, "bankline", ids)
    return [shape.bank_line(found[one]) for one in ids if one in found]
