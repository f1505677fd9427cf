"""Resolvers of who may approve what, and of what is attached to documents."""

from typing import Any

from finance import approval, authority, folder
from finance.graphql import shape
from finance.graphql.context import Context
from finance.graphql.reading import Info, allowed, query
from finance.graphql.settling import mutation
from finance.graphql.writing import Given, command
from finance.handle import Books
from finance.money import BASE, Money, exact
from finance.ports import Caller
from finance.refusal import AttachmentMalformed

__all__ = ["mutation"]


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
