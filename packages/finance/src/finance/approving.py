"""Asks of each document that is to become binding, or is undone or given up, whether enough people may, and do."""

from collections.abc import Collection
from dataclasses import dataclass
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

DRAFTING: Final = {
    "invoice": ("invoice.created/1", "invoice.updated/1"),
    "voucher": ("voucher.created/1", "voucher.updated/1"),
    "journal": ("journal.created/1", "journal.line-added/1", "journal.updated/1"),
    "payment": ("payment.created/1", "payment.opened/1", "payment.updated/1"),
}
"""Events of whoever makes a document, by type; those of who approves it are others."""


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
    everybody = {*makers, *await sheet.book.authors(stream_id)}
    return await _enough(clerk, sheet, rule, whole(kind, state, day), makers=everybody)


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a yes is given to: a document, how much of it, valued on which day, and what is to be done to it.

    Without an `act` it is to become binding. An act is known again by its words: others who agree ask for the same.
    """

    kind: str
    id: str
    amount: Money
    day: date
    act: str | None = None


def whole(kind: str, state: Any, day: date, *, act: str | None = None) -> About:
    """All of a document."""
    return About(kind=kind, id=state.id, amount=amount_of(kind, state), day=day, act=act)


async def undoing(clerk: Clerk, sheet: Sheet, about: About) -> None:
    """Ask whether the caller may undo something binding, or give up a part of it.

    It takes what making it binding takes: not whoever drafted or changed it, and the tier of the amount. Whoever
    approved it may. If others are needed, the yes is kept and counts, and the document stays as it is; what is worked
    after this is only asked whether it would be refused.

    Raises:
        MakerIsChecker, ApprovalBeyondAuthority, ApprovalGivenAlready: as `agreed`.
    """
    rule = await in_force(sheet, clerk.clock.now().date())
    if rule is None:
        return
    drafters = await sheet.book.authors(about.id, of=DRAFTING[about.kind])
    if not await _enough(clerk, sheet, rule, about, makers=drafters):
        sheet.wait(about.kind, sheet.states[about.id])


async def worked_out(clerk: Clerk, sheet: Sheet, about: About, state: Any) -> None:
    """Ask whether the caller may post what the books themselves say, such as a revaluation: the tier of its amount.

    Nobody drafted it, and nobody chose its amount, so that there is no maker who is not to be its checker. If others
    are needed, the yes is kept and counts for the same act, and the answer is `state`; the rest as `undoing`.

    Raises:
        ApprovalBeyondAuthority, ApprovalGivenAlready: as `agreed`.
    """
    rule = await in_force(sheet, clerk.clock.now().date())
    if rule is not None and not await _enough(clerk, sheet, rule, about, makers=()):
        sheet.wait(about.kind, state)


async def _enough(
    clerk: Clerk, sheet: Sheet, rule: authority.Rule, about: About, *, makers: Collection[str]
) -> bool:
    rate = await sheet.rate(about.amount.currency, about.day)
    caller = sheet.caller
    tier = authority.admit(
        rule,
        about.amount.minor if rate is None else about.amount.times(rate).minor,
        approver=caller.user_id,
        makers=makers,
        permissions=caller.permissions,
    )
    if tier.approvers == 1:
        return True
    yeses = approval.stream(sheet.book.tenant_id, about.id)
    await sheet.find("approval", yeses, exclusively=True)
    there = sheet.states.get(about.id)
    yes = approval.Given(
        document_kind=about.kind,
        document_id=about.id,
        document_version=approval.NOT_THERE if there is None else there.version,
        approver=caller.user_id,
        given_at=clerk.clock.now(),
        act=about.act,
    )
    given: approval.Approval = sheet.decide("approval", yeses, approval.Give(yes=yes))
    return len(given.approvers) >= tier.approvers


async def cancelled(
    clerk: Clerk, sheet: Sheet, kind: str, document_id: str, *, reason: str, on: date | None
) -> Any:
    """An invoice or voucher, cancelled once enough people agree where it is binding; until then as it is."""
    found = await sheet.load(kind, document_id)
    if found.number is not None and not found.cancelled and found.open_minor == found.total_minor:
        about = whole(kind, found, found.dated, act=f"cancel on {on or found.dated}")
        await undoing(clerk, sheet, about)
    return await clerk.cancel(sheet, kind, document_id, reason=reason, on=on)
