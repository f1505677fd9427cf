"""Resolvers of lists that are walked page after page, as Relay's connections have it (GraphQL Cursor Connections)."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import date
from typing import Any

from finance.adapters.postgres.listing import Key, Listing, cursor, key_of
from finance.adapters.postgres.views import page_of
from finance.graphql import shape
from finance.graphql.context import Context
from finance.graphql.reading import Info, allowed, query
from finance.money import BASE, Money

__all__ = ["query"]
Given = dict[str, Any]
Bounds = list[tuple[str, str, object]]
SHOWN: dict[str, Callable[[Any, date], shape.Shown]] = {
    "account": lambda state, _: shape.account(state),
    "invoice": shape.invoice,
    "voucher": shape.voucher,
    "payment": lambda state, _: shape.payment(state),
    "journal": lambda state, _: shape.journal(state),
    "approval": lambda state, _: shape.approvals(state),
}
EQUAL = {
    "accountType": "account_type",
    "isActive": "active",
    "customerId": "customer_id",
    "partnerId": "partner_id",
    "invoiceId": "invoice_id",
    "kind": "voucher_kind",
    "paymentMethod": "method",
    "journalType": "journal_type",
    "fiscalPeriod": "fiscal_period",
    "currency": "currency",
}
BETWEEN = {
    "from": ("dated", ">="),
    "to": ("dated", "<="),
    "dueFrom": ("due_date", ">="),
    "dueTo": ("due_date", "<="),
}
AMOUNTS = {"amountFrom": ("total_minor", ">="), "amountTo": ("total_minor", "<=")}


def listing(kind: str, asked: Given, today: date) -> Listing:
    """The rows that a filter of the schema lets through.

    Raises:
        AmountMalformed: an amount with more places than a currency has.
    """
    currency = asked.get("currency") or BASE
    bounds: Bounds = [(column, "=", asked.get(name)) for name, column in EQUAL.items()]
    bounds += [(*where, asked.get(name)) for name, where in BETWEEN.items()]
    bounds += [
        (*where, Money.parse(asked[name], currency).minor)
        for name, where in AMOUNTS.items()
        if asked.get(name) is not None
    ]
    return Listing(
        kind=kind, today=today, bounds=bounds, statuses=asked.get("statuses"), number=asked.get("number")
    )


def connection(
    kind: str,
    found: Sequence[tuple[Key, Any]],
    *,
    first: int,
    after: str | None,
    today: date,
    count: Callable[[], Awaitable[int]],
) -> shape.Shown:
    """A page. `found` has one more than the page when another follows; what is on all pages is counted when asked."""
    edges = [{"cursor": cursor(kind, key), "node": SHOWN[kind](state, today)} for key, state in found[:first]]
    return paged(edges, more=len(found) > first, after=after, count=count)


def paged(
    edges: list[shape.Shown], *, more: bool, after: str | None, count: Callable[[], Awaitable[int]]
) -> shape.Shown:
    """A page of edges, each with its cursor and its node."""

    async def counted(_: Info) -> int:
        return await count()

    return {
        "nodes": [edge["node"] for edge in edges],
        "edges": edges,
        "pageInfo": {
            "hasNextPage": more,
            "hasPreviousPage": after is not None,
            "startCursor": edges[0]["cursor"] if edges else None,
            "endCursor": edges[-1]["cursor"] if edges else None,
        },
        "totalCount": counted,
    }


def walked(name: str, kind: str) -> None:
    """Register the connection of a kind."""

    async def resolve(
        _: object,
        info: Info,
        *,
        first: int,
        after: str | None = None,
        filter: Given | None = None,
    ) -> shape.Shown:
        context: Context = allowed(info)
        first, _offset = page_of(first, 0)
        key = None if after is None else key_of(kind, after)
        tenant, views = context.caller.tenant_id, context.service.views
        asked = listing(kind, filter or {}, context.today)
        found = await views.walk(tenant, asked, after=key, limit=first + 1)
        return connection(
            kind,
            found,
            first=first,
            after=after,
            today=context.today,
            count=lambda: views.count(tenant, asked),
        )

    query.field(name)(resolve)


walked("accountsConnection", "account")
walked("invoicesConnection", "invoice")
walked("vouchersConnection", "voucher")
walked("paymentsConnection", "payment")
walked("journalsConnection", "journal")
