"""Asks for each document that is to become binding whether enough people may, and do, say yes."""

from collections.abc import Collection
from datetime import date
from typing import Any, Final

from finance import approval, authority
from finance.clerk import Clerk, Sheet
from finance.money import Money

WAITING: Final = {
    "invoice": frozenset({"DRAFT"}),
    "voucher": frozenset({"DRAFT"}),
    "journal": frozenset({"DRAFT"}),
    "payment": frozenset({"PENDING", "PROCESSING"}),
    "template": frozenset({"DRAFT"}),
}
"""The states in which a document waits to become binding; in any other it refuses by itself."""


async def in_force(sheet: Sheet, today: date) -> authority.Rule | None:
    """The company's rule of today; it stays so until the end. Asked before the first number is drawn."""
    found: authority.Authority | None = await sheet.find("authority", authority.stream(sheet.book.tenant_id))
    return None if found is None else found.on(today)


def amount_of(kind: str, state: Any) -> Money:
    """What it is about."""
    minor = {"payment": "amount_minor", "journal": "debit_minor"}.get(kind, "total_minor")
    return Money(getattr(state, minor), state.currency)


async def agreed(
    clerk: Clerk, sheet: Sheet, kind: str, stream_id: str, day: date, *, makers: Collection[str] = ()
) -> bool:
    """Whether the caller's yes makes a loaded document binding. If others are needed, it is kept and counts.

    `day` is the one that its amount is valued on; `makers` are people who made it in this very transaction.

    Raises:
        MakerIsChecker: the caller drafted or changed it.
        ApprovalBeyondAuthority: it takes somebody senior.
        ApprovalGivenAlready: the caller said yes before.
    """
    state = sheet.states[stream_id]
    rule = await in_force(sheet, clerk.clock.now().date())
    if rule is None or state.status not in WAITING[kind]:
        return True
    amount = amount_of(kind, state)
    rate = await sheet.rate(amount.currency, day)
    worth_minor = amount.minor if rate is None else amount.times(rate).minor
    caller = sheet.caller
    tier = authority.admit(
        rule,
        worth_minor,
        approver=caller.user_id,
        makers={*makers, *await sheet.book.authors(stream_id)},
        permissions=caller.permissions,
    )
    if tier.approvers == 1:
        return True
    yeses = approval.stream(sheet.book.tenant_id, stream_id)
    await sheet.find("approval", yeses, exclusively=True)
    yes = approval.Given(
        document_kind=kind,
        document_id=stream_id,
        document_version=state.version,
        approver=caller.user_id,
        given_at=clerk.clock.now(),
    )
    given: approval.Approval = sheet.decide("approval", yeses, approval.Give(yes=yes))
    return len(given.approvers) >= tier.approvers
