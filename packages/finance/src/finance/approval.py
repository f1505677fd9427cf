"""The yeses that a document needs more than one of: commands, events, state, decide, evolve.

A yes is given to a document as it is: once somebody changes it, those before count no more. The last one needed
makes it binding and is told by the document's own event.
"""

from datetime import datetime
from uuid import UUID, uuid5

import msgspec

from finance.refusal import ApprovalGivenAlready


class Given(msgspec.Struct, frozen=True, kw_only=True, tag="approval.given/1"):
    """`document_version` is how many events the document had when it was looked at."""

    document_kind: str
    document_id: str
    document_version: int
    approver: str
    given_at: datetime


Event = Given


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """`approvers` are of this version of the document; `version` counts the events of this."""

    document_kind: str
    document_id: str
    document_version: int
    approvers: tuple[str, ...]
    version: int = 1


class Give(msgspec.Struct, frozen=True, kw_only=True):
    yes: Given


Command = Give


def stream(tenant_id: str, document_id: str) -> str:
    """The stream of the yeses to a document."""
    return str(uuid5(UUID(tenant_id), f"approval/{document_id}"))


def decide(approval: Approval | None, command: Command) -> list[Event]:
    """The events of a command.

    Raises:
        ApprovalGivenAlready: by the same person, to the document as it is.
    """
    yes = command.yes
    same = approval is not None and approval.document_version == yes.document_version
    if approval is not None and same and yes.approver in approval.approvers:
        raise ApprovalGivenAlready(f"{yes.approver} did; others have to.")
    return [yes]


def evolve(approval: Approval | None, event: Event) -> Approval:
    before: tuple[str, ...] = ()
    if approval is not None and approval.document_version == event.document_version:
        before = approval.approvers
    return Approval(
        document_kind=event.document_kind,
        document_id=event.document_id,
        document_version=event.document_version,
        approvers=(*before, event.approver),
        version=1 if approval is None else approval.version + 1,
    )
