"""Where a posted entry comes from: the rule it was posted by, its document, who made that and who made it binding.

All of it is read off the log. An entry is appended in one transaction with the event that made it, and that event names
it; what has no such event was posted by hand, reverses what was, or is of a revaluation, which is known by its ids.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from finance import approval

BY_HAND, REVERSAL, BANK_LINES, REVALUATION = "BY_HAND", "REVERSAL", "BANK_LINES", "REVALUATION"
APPROVED: Final = {
    "BILL": "VENDOR_BILL",
    "CREDIT_NOTE": "CREDIT_NOTE",
    "DEBIT_NOTE": "DEBIT_NOTE",
    "VENDOR_CREDIT": "VENDOR_CREDIT",
}
RULES: Final = {
    "invoice.approved": "SALES_INVOICE",
    "invoice.settled": "SETTLEMENT",
    "invoice.settlement-withdrawn": "SETTLEMENT_WITHDRAWN",
    "invoice.cancelled": "CANCELLATION",
    "voucher.approved": "VOUCHER",
    "voucher.settled": "SETTLEMENT",
    "voucher.settlement-withdrawn": "SETTLEMENT_WITHDRAWN",
    "voucher.allocated": "ALLOCATION",
    "voucher.unallocated": "ALLOCATION_TAKEN_BACK",
    "voucher.cancelled": "CANCELLATION",
    "payment.completed": "PAYMENT",
    "payment.allocated": "ALLOCATION",
    "payment.unallocated": "ALLOCATION_TAKEN_BACK",
    "payment.reversed": "PAYMENT_REVERSED",
    "template.ran": "TEMPLATE",
    "bankline.matched": BANK_LINES,
    "year.closed": "YEAR_CLOSED",
    "year.reopened": "YEAR_REOPENED",
}
"""By the event that names the entry; a voucher is told by its kind, a settlement likewise, a payment by its side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """An event of the log, as far as it matters here."""

    stream_id: str
    kind: str
    type: str
    version: int
    position: int
    actor: str
    data: Mapping[str, Any]

    @property
    def name(self) -> str:
        return self.type.partition("/")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """`makers` caused what was before it was binding; `approvers` made it so. Both in the order of the log."""

    rule: str
    document_kind: str | None
    document_id: str | None
    makers: tuple[str, ...]
    approvers: tuple[str, ...]


def told_by(journal_id: str, document_id: str | None, beside: Iterable[Fact]) -> Fact | None:
    """The event that made an entry, of those of its transaction: the one that names it, or else its document's last.

    Of an entry that a person wrote for lines of a bank it is what matched them.
    """
    others = [one for one in beside if one.name in RULES]
    naming = [one for one in others if journal_id in _texts(one.data)]
    of_document = [one for one in others if one.stream_id == document_id]
    return next(iter([*naming, *reversed(of_document)]), None)


def document_in(cause: Fact | None) -> Fact | None:
    """The event as far as it is of a document. A bank's line is none: whoever wrote its entry made that."""
    return None if cause is None or cause.kind == "bankline" else cause


def _texts(data: Any) -> set[str]:
    """Every text in the data of an event."""
    if isinstance(data, Mapping):
        return {text for value in data.values() for text in _texts(value)}
    if isinstance(data, list):
        return {text for value in data for text in _texts(value)}
    return {data} if isinstance(data, str) else set()


def tell(
    posted: Fact,
    cause: Fact | None,
    history: Sequence[Fact],
    yeses: Sequence[Fact],
    *,
    reverses: bool,
    revalues: bool = False,
) -> Origin:
    """The origin of an entry. `history` is of its document, or of itself where it has none; `yeses` given to that.

    `revalues` is true of the entries of a revaluation, which no event but their own names.
    """
    document = document_in(cause)
    binding = document or posted
    if binding.name == "template.ran":  # a due day binds nobody anew: the template was made and approved
        binding = next((one for one in reversed(history) if one.name == "template.approved"), binding)
    before = [one for one in history if one.position < binding.position]
    opened = history[0] if history else posted
    agreed = [
        str(one.data["approver"])
        for one in yeses
        if one.position <= binding.position
        and one.data.get("document_version") in {binding.version - 1, approval.NOT_THERE}
    ]
    return Origin(
        rule=REVALUATION if revalues else rule_of(cause, opened, reverses=reverses),
        document_kind=None if document is None else document.kind.upper(),
        document_id=None if document is None else document.stream_id,
        makers=tuple(dict.fromkeys(one.actor for one in before)),
        approvers=tuple(dict.fromkeys([*agreed, binding.actor])),
    )


def rule_of(cause: Fact | None, opened: Fact, *, reverses: bool) -> str:
    """The rule, by the event that made the entry and what its document was opened as."""
    if cause is None:
        return REVERSAL if reverses else BY_HAND
    match RULES[cause.name]:
        case "VOUCHER":
            return APPROVED[str(opened.data["kind"])]
        case "SETTLEMENT":
            return str(cause.data["settlement"]["kind"])
        case "PAYMENT":
            return "PAYMENT_MADE" if opened.data.get("side") == "PURCHASE" else "PAYMENT_RECEIVED"
        case other:
            return other


def bank_line_of(history: Sequence[Fact]) -> str | None:
    """The bank's line that a payment is matched with, by its events; of several lines, the first."""
    for one in reversed(history):
        if one.name in {"payment.reconciled", "payment.unreconciled"}:
            return one.data.get("bank_statement_transaction_id")
    return None
