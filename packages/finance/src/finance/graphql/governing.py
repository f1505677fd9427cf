"""Resolvers of who may approve what, and of what is attached to documents."""

from typing import Any, Final

from finance import approval, authority, folder
from finance.adapters.postgres.listing import Listing, key_of, waiting
from finance.adapters.postgres.views import page_of
from finance.graphql import shape
from finance.graphql.context import Context
from finance.graphql.listing import connection
from finance.graphql.permission import demand, may
from finance.graphql.reading import Info, allowed, query
from finance.graphql.settling import mutation
from finance.graphql.writing import Given, command
from finance.handle import Books
from finance.money import BASE, Money, exact
from finance.ports import Caller
from finance.refusal import AttachmentMalformed

__all__ = ["mutation"]
READ: Final = {
    "INVOICE": "invoice",
    "VOUCHER": "voucher",
    "PAYMENT": "payment",
    "JOURNAL": "journal",
    "TEMPLATE": "journalTemplate",
}
"""The root field whose permission a kind of what waits for a yes needs."""


@query.field("approvalAuthority")
async def approval_authority(_: object, info: Info) -> Any:
    context = allowed(info)
    stream_id = authority.stream(context.caller.tenant_id)
    return shape.authority(await context.state("authority", stream_id))


@query.field("approvals")
async def approvals(_: object, info: Info, *, documentId: str) -> Any:
    context = allowed(info)
    found = await context.state("approval", approval.stream(context.caller.tenant_id, documentId))
    return shape.approvals(found) if found else None


@query.field("approvalsWaiting")
async def approvals_waiting(
    _: object,
    info: Info,
    *,
    first: int,
    after: str | None = None,
    kind: str | None = None,
    withoutOwn: bool,
) -> Any:
    """Of a kind that is asked for, its permission is demanded; otherwise kinds without it are left out."""
    context = allowed(info)
    caller, views = context.caller, context.service.views
    if kind is not None:
        demand(caller, READ[kind])
    kinds = [one.lower() for one, field in READ.items() if kind in {None, one} and may(caller, field)]
    own = caller.user_id if withoutOwn else None
    asked = Listing(
        kind="approval",
        today=context.today,
        bounds=[("NOT state->'approvers'", "?", own)],
        also=waiting(kinds),
    )
    first, _offset = page_of(first, 0)
    place = None if after is None else key_of("approval", after)
    found = await views.walk(caller.tenant_id, asked, after=place, limit=first + 1)
    return connection(
        "approval",
        found,
        first=first,
        after=after,
        today=asked.today,
        count=lambda: views.count(caller.tenant_id, asked),
    )


@query.field("attachments")
async def attachments(_: object, info: Info, *, documentId: str) -> Any:
    context = allowed(info)
    found = await context.state("folder", folder.stream(context.caller.tenant_id, documentId))
    return shape.attachments(documentId, found)


@command("setApprovalAuthority")
async def set_approval_authority(
    _: Context, books: Books, caller: Caller, *, input: Given, idempotencyKey: str
) -> shape.Shown:
    rule = authority.Rule(
        valid_from=input["validFrom"],
        four_eyes=input["fourEyes"],
        tiers=tuple(
            authority.Tier(
                above_minor=Money.parse(one["above"], BASE).minor,
                approvers=one["approvers"],
                senior=one["senior"],
            )
            for one in input["tiers"]
        ),
    )
    return shape.authority(
        await books.governing.set_rule(caller, idempotencyKey, rule, reason=input["reason"])
    )


@command("attach")
async def attach(
    context: Context, books: Books, caller: Caller, *, documentId: str, input: Given, idempotencyKey: str
) -> shape.Shown:
    size = exact(input["size"])
    if size != int(size):
        raise AttachmentMalformed(f"Expected a whole number of bytes, found {size}.")
    attachment = folder.Attachment(
        sha256=input["sha256"],
        name=input["name"],
        size_bytes=int(size),
        media_type=input["mediaType"],
        supersedes=input.get("supersedes"),
        attached_by=caller.user_id,
        attached_at=context.now,
    )
    made = await books.governing.attach(caller, idempotencyKey, documentId, attachment)
    return shape.attachments(documentId, made)
