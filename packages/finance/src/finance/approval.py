"""The yeses that a document needs more than one of: commands, events, state, decide, evolve.

A yes is given to a document as it is: once somebody changes it, those before count no more. The last one needed
makes it binding and is told by the document's own event. Once it is binding, yeses are given to what gives it up or
undoes it, said in words; those to something else count no more.
"""

from datetime import datetime
from typing import Final
from uuid import UUID, uuid5

import msgspec

from finance.refusal import ApprovalGivenAlready

NOT_THERE: Final = 0
"""The version of what is worked out and posted by the last yes to it: until then there is nothing of it."""


class Given(msgspec.Struct, frozen=True, kw_only=True, tag="approval.given/1"):
    """`document_version` is how many events the document had when it was looked at; `act` what is to be done to it.

    Without an act it is to become binding.
    """

    document_kind: str
    document_id: str
    document_version: int
    approver: str
    given_at: datetime
    act: str | None = None


Event = Given


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """`approvers` are of this version of the document and of this act; `version` counts the events of this."""

    document_kind: str
    document_id: str
    document_version: int
    approvers: tuple[str, ...]
    act: str | None = None
    version: int = 1

    def of(self, yes: Given) -> bool:
        """Whether its yeses are to the same."""
        return (self.document_version, self.act) == (yes.document_version, yes.act)


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
    if approval is not None and approval.of(yes) and yes.approver in approval.approvers:
        raise ApprovalGivenAlready(f"{yes.approver} did; others have to.")
    return [yes]


def evolve(approval: Approval | None, event: Event) -> Approval:
    before: tuple[str, ...] = ()
    if approval is not None and approval.of(event):
        before = approval.approvers
    return Approval(
        document_kind=event.document_kind,
        document_id=event.document_id,
        document_version=event.document_version,
        approvers=(*before, event.approver),
        act=event.act,
        version=1 if approval is None else approval.version + 1,
    )
