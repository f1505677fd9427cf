"""What belongs to a document on paper: commands, events, state, decide, evolve.

The books keep the hash of an attachment, not its content: that is kept elsewhere, and anybody can see whether it is
still the same. Nothing is removed; a better copy supersedes another, which stays.
"""

import re
from datetime import datetime
from typing import Final
from uuid import UUID, uuid5

import msgspec

from finance.refusal import AttachmentMalformed, AttachmentTwice, AttachmentUnknown
from finance.text import sized

SHA256: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
MEDIA_TYPE: Final = re.compile(r"[a-z0-9!#$&^_.+-]{1,60}/[a-z0-9!#$&^_.+-]{1,60}", re.ASCII)
"""RFC 6838, section 4.2: names of types, in small letters and without parameters."""

LARGEST_BYTES: Final = 10**10
MOST_ATTACHMENTS: Final = 200


class Attachment(msgspec.Struct, frozen=True, kw_only=True):
    """`sha256` is of the content, in hexadecimal; `supersedes` is the hash of the one whose place it takes."""

    sha256: str
    name: str
    size_bytes: int
    media_type: str
    attached_by: str
    attached_at: datetime
    supersedes: str | None = None


class Attached(msgspec.Struct, frozen=True, kw_only=True, tag="folder.attached/1"):
    document_kind: str
    document_id: str
    attachment: Attachment


Event = Attached


class Folder(msgspec.Struct, frozen=True, kw_only=True):
    """All attachments of a document, oldest first; `version` counts its events."""

    document_kind: str
    document_id: str
    attachments: tuple[Attachment, ...]
    version: int = 1

    @property
    def superseded(self) -> frozenset[str]:
        return frozenset(one.supersedes for one in self.attachments if one.supersedes is not None)


class Attach(msgspec.Struct, frozen=True, kw_only=True):
    document_kind: str
    document_id: str
    attachment: Attachment


Command = Attach


def stream(tenant_id: str, document_id: str) -> str:
    """The stream of a document's attachments."""
    return str(uuid5(UUID(tenant_id), f"folder/{document_id}"))


def decide(folder: Folder | None, command: Command) -> list[Event]:
    """The events of a command.

    Raises:
        AttachmentMalformed: no hash, no size, no media type, or too many.
        AttachmentTwice: the document has it.
        AttachmentUnknown: what it is to supersede is not there, or was superseded.
    """
    given = command.attachment
    if SHA256.fullmatch(given.sha256) is None:
        raise AttachmentMalformed(f"Expected 64 small hexadecimal digits, found '{given.sha256[:70]}'.")
    if not 0 < given.size_bytes <= LARGEST_BYTES:
        raise AttachmentMalformed(f"Expected 1 to {LARGEST_BYTES} bytes, found {given.size_bytes}.")
    if MEDIA_TYPE.fullmatch(given.media_type) is None:
        raise AttachmentMalformed(
            f"Expected a type such as application/pdf, found '{given.media_type[:70]}'."
        )
    there = () if folder is None else folder.attachments
    if len(there) == MOST_ATTACHMENTS:
        raise AttachmentMalformed(f"A document has at most {MOST_ATTACHMENTS} attachments.")
    hashes = {one.sha256 for one in there}
    if given.sha256 in hashes:
        raise AttachmentTwice(f"It is {given.sha256}.")
    standing = hashes - (frozenset() if folder is None else folder.superseded)
    if given.supersedes is not None and given.supersedes not in standing:
        raise AttachmentUnknown(f"Found '{given.supersedes[:70]}'.")
    named = msgspec.structs.replace(given, name=sized(given.name, "name", 1, 255))
    return [Attached(document_kind=command.document_kind, document_id=command.document_id, attachment=named)]


def evolve(folder: Folder | None, event: Event) -> Folder:
    return Folder(
        document_kind=event.document_kind,
        document_id=event.document_id,
        attachments=(*(() if folder is None else folder.attachments), event.attachment),
        version=1 if folder is None else folder.version + 1,
    )
