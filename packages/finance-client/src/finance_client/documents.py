"""What is done to any document: given up, withheld on, agreed to, attached to."""

import hashlib
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Literal

from finance_client.invoices import Invoice
from finance_client.operation import Asked, either, listed, mutation, query
from finance_client.subject import Subject, command
from finance_client.value import Answer, Given
from finance_client.vouchers import Voucher

ApprovalKind = Literal["INVOICE", "VOUCHER", "PAYMENT", "JOURNAL", "TEMPLATE"]


class Approvals(Answer, frozen=True, kw_only=True):
    """Who agreed to a document as it is; `act` is what is to be done to one that is binding."""

    document_kind: str
    document_id: str
    document_version: int
    approvers: tuple[str, ...]
    act: str | None = None


class Attachment(Answer, frozen=True, kw_only=True):
    """Content that belongs to a document, by its SHA-256; the content is kept elsewhere."""

    sha256: str
    name: str
    size: Decimal
    media_type: str
    attached_by: str
    attached_at: datetime
    is_superseded: bool
    supersedes: str | None = None


class Attachments(Answer, frozen=True, kw_only=True):
    """What is attached to a document."""

    document_id: str
    attachments: tuple[Attachment, ...]
    version: int


class NewWriteOff(Given, frozen=True, kw_only=True):
    """What is given up."""

    amount: Decimal
    on: date
    reason: str


class NewWithholding(Given, frozen=True, kw_only=True):
    """What is withheld as tax: an amount, or the code's rate of the net value."""

    on: date
    certificate: str
    amount: Decimal | None = None
    tax_code: str | None = None


class Withdrawal(Given, frozen=True, kw_only=True):
    """Which write-off or withholding is taken back."""

    settlement_id: str
    reason: str
    on: date | None = None


class NewAttachment(Given, frozen=True, kw_only=True):
    """What is attached. `size` is in bytes; `supersedes` the hash of one whose place it takes."""

    sha256: str
    name: str
    size: Decimal
    media_type: str
    supersedes: str | None = None

    @classmethod
    def read(cls, path: Path, media_type: str, *, supersedes: str | None = None) -> "NewAttachment":
        """Of a file that is here; only what is said of it is sent."""
        content = path.read_bytes()
        return cls(
            sha256=hashlib.sha256(content).hexdigest(),
            name=path.name,
            size=Decimal(len(content)),
            media_type=media_type,
            supersedes=supersedes,
        )


WRITE_OFF = either("writeOff", Invoice, Voucher, "$documentId: ID!", "$input: WriteOffInput!")
WITHHOLD = either("withholdTax", Invoice, Voucher, "$documentId: ID!", "$input: WithholdInput!")
WITHDRAW = either("withdrawSettlement", Invoice, Voucher, "$documentId: ID!", "$input: WithdrawInput!")
ATTACH = mutation("attach", Attachments, "$documentId: ID!", "$input: AttachmentInput!")
ATTACHED = query("attachments", Attachments, "$documentId: ID!")
AGREED = query("approvals", Approvals, "$documentId: ID!")
AGREED_IN_PART = listed("approvalsWaiting", Approvals, "$kind: ApprovalKind", "$withoutOwn: Boolean!")


class Documents(Subject):
    """Invoices and vouchers alike; attachments and approvals of payments and entries, too."""

    @command
    def write_off(
        self, document_id: str, *, amount: Decimal, on: date, reason: str, key: str | None = None
    ) -> Asked[Invoice | Voucher]:
        """Give a part of what is open up."""
        told = NewWriteOff(amount=amount, on=on, reason=reason)
        return Asked(WRITE_OFF, key, {"documentId": document_id, "input": told})

    @command
    def withhold_tax(
        self,
        document_id: str,
        *,
        on: date,
        certificate: str,
        amount: Decimal | None = None,
        tax_code: str | None = None,
        key: str | None = None,
    ) -> Asked[Invoice | Voucher]:
        """Note that a part of what is open is paid to the tax authority and not to the partner."""
        told = NewWithholding(on=on, certificate=certificate, amount=amount, tax_code=tax_code)
        return Asked(WITHHOLD, key, {"documentId": document_id, "input": told})

    @command
    def withdraw_settlement(
        self,
        document_id: str,
        *,
        settlement_id: str,
        reason: str,
        on: date | None = None,
        key: str | None = None,
    ) -> Asked[Invoice | Voucher]:
        """Take a write-off or a withholding back."""
        told = Withdrawal(settlement_id=settlement_id, reason=reason, on=on)
        return Asked(WITHDRAW, key, {"documentId": document_id, "input": told})

    @command
    def attach(self, document_id: str, new: NewAttachment, *, key: str | None = None) -> Asked[Attachments]:
        """Note that content belongs to a document."""
        return Asked(ATTACH, key, {"documentId": document_id, "input": new})

    def attachments(self, document_id: str) -> Attachments:
        """Oldest first; what was superseded, too."""
        return self._read(ATTACHED, documentId=document_id)

    def approvals(self, document_id: str) -> Approvals | None:
        """Who agreed to one that waits for others; None when nobody did."""
        return self._find(AGREED, documentId=document_id)

    def waiting(
        self, kind: ApprovalKind | None = None, *, without_own: bool = False, page: int = 100
    ) -> Iterator[Approvals]:
        """What somebody agreed to and others have to as well; with `without_own`, what waits for me or another."""
        return self._walk(AGREED_IN_PART, page, kind=kind, withoutOwn=without_own)
