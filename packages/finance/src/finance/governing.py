"""Commands on who may do what, and on what belongs to documents: authority, attachments."""

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from finance import authority, folder
from finance.clerk import Clerk, Sheet
from finance.ports import Caller

OWNERS: Final = ("invoice", "voucher", "payment", "journal")
"""What attachments can belong to."""


@dataclass(frozen=True, slots=True)
class Governing:
    """A change of the authority waits for approvals that rely on it."""

    clerk: Clerk

    async def set_rule(
        self, caller: Caller, key: str, rule: authority.Rule, *, reason: str
    ) -> authority.Authority:
        stream_id = authority.stream(caller.tenant_id)

        async def work(sheet: Sheet) -> tuple[str, Any]:
            await sheet.find("authority", stream_id, exclusively=True)
            command = authority.SetRule(rule=rule, reason=reason, today=sheet.today)
            return "authority", sheet.decide("authority", stream_id, command)

        found: authority.Authority = await self.clerk.run(caller, key, ["set_authority", rule, reason], work)
        return found

    async def attach(
        self, caller: Caller, key: str, document_id: str, attachment: folder.Attachment
    ) -> folder.Folder:
        """Note that content of this hash belongs to a document. Who and when are the caller's and the clock's."""
        stream_id = folder.stream(caller.tenant_id, document_id)

        async def work(sheet: Sheet) -> tuple[str, Any]:
            kind, _ = await sheet.document(document_id, OWNERS)
            await sheet.find("folder", stream_id, exclusively=True)
            complete = msgspec.structs.replace(
                attachment, attached_by=caller.user_id, attached_at=self.clerk.clock.now()
            )
            command = folder.Attach(document_kind=kind, document_id=document_id, attachment=complete)
            return "folder", sheet.decide("folder", stream_id, command)

        said = [attachment.sha256, attachment.name, attachment.size_bytes, attachment.media_type]
        request = ["attach", document_id, *said, attachment.supersedes]
        found: folder.Folder = await self.clerk.run(caller, key, request, work)
        return found
