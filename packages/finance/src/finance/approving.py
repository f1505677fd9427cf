"""Asks of each document that is to become binding, or is undone or given up, whether enough people may, and do."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from finance import approval, authority, journal, payment, settlement
from finance.clerk import Clerk, Sheet
from finance.money import BASE, Money

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


async def in_force(sheet: Sheet) -> authority.Rule | None:
    """The company's rule of today; it stays so until the end. Asked before the first number is drawn."""
    found: authority.Authority | None = await sheet.find("authority", authority.stream(sheet.book.tenant_id))
    return None if found is None else found.on(sheet.today)


def amount_of(kind: str, state: Any) -> Money:
    """What it is about."""
    minor = {"payment": "amount_minor", "journal": "debit_minor"}.get(kind, "total_minor")
    return Money(getattr(state, minor), state.currency)


async def agreed(
    clerk: Clerk, sheet: Sheet, kind: str, stream_id: str, day: date, *, makers: Collection[str] = ()
) -> None:
    """Ask whether the caller may make a loaded document binding.

    If others are needed, the yes is kept and counts, and the document stays as it is; what is worked after this is only
    asked whether it would be refused. `day` is the one that its amount is valued on; `makers` are people who made it in
    this very transaction.

    Raises:
        MakerIsChecker: the caller drafted or changed it.
        ApprovalBeyondAuthority: it takes somebody senior.
        ApprovalGivenAlready: the caller said yes before.
        RateMissing: nobody can tell what it is worth, nor what it takes.
    """
    state = sheet.states[stream_id]
    rule = await in_force(sheet)
    if rule is None or state.status not in WAITING[kind]:
        return
    everybody = {*makers, *await sheet.book.authors(stream_id)}
    about = About(kind=kind, id=state.id, amount=amount_of(kind, state), day=day)
    await _ask(clerk, sheet, rule, about, makers=everybody)


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a yes is given to: a document, how much of it, and what is to be done to it.

    Without an `act` it is to become binding. An act is known again by its words: others who agree ask for the same.
    `worth_minor` is what the books say that the amount is worth; where they say nothing, it is valued on `day`.
    """

    kind: str
    id: str
    amount: Money
    day: date
    worth_minor: int | None = None
    act: str | None = None


def whole(kind: str, state: Any, day: date, *, worth_minor: int | None, act: str) -> About:
    """All of something binding, which is to be undone."""
    amount = amount_of(kind, state)
    return About(kind=kind, id=state.id, amount=amount, day=day, worth_minor=worth_minor, act=act)


def part(kind: str, document: Any, minor: int, *, act: str) -> About:
    """So much of a debt, which is to be given up."""
    return About(
        kind=kind,
        id=document.id,
        amount=Money(minor, document.currency),
        day=document.dated,
        worth_minor=settlement.booked_minor(document, minor),
        act=act,
    )


def paid_minor(paid: payment.Payment, entries: Iterable[journal.Journal]) -> int | None:
    """What a completed payment was worth on its day, by the rate its own entry keeps; None where it keeps none."""
    if paid.currency == BASE:
        return paid.amount_minor
    rate = next((one.rate for one in entries if one.id == paid.journal_id), None)
    return None if rate is None else paid.amount.times(rate).minor


async def undoing(clerk: Clerk, sheet: Sheet, about: About) -> None:
    """Ask whether the caller may undo something binding, or give up a part of it.

    It takes what making it binding takes: not whoever drafted or changed it, and the tier of the amount. Whoever
    approved it may. If others are needed, the yes is kept and counts, and the document stays as it is; what is worked
    after this is only asked whether it would be refused.

    Raises:
        MakerIsChecker, ApprovalBeyondAuthority, ApprovalGivenAlready, RateMissing: as `agreed`.
    """
    rule = await in_force(sheet)
    if rule is None:
        return
    drafters = await sheet.book.authors(about.id, of=DRAFTING[about.kind])
    await _ask(clerk, sheet, rule, about, makers=drafters)


async def worked_out(clerk: Clerk, sheet: Sheet, about: About, state: Any) -> None:
    """Ask whether the caller may post what the books themselves say, such as a revaluation: the tier of its amount.

    Nobody drafted it, and nobody chose its amount, so that there is no maker who is not to be its checker. If others
    are needed, the yes is kept and counts for the same act, and the answer is `state`; the rest as `undoing`.

    Raises:
        ApprovalBeyondAuthority, ApprovalGivenAlready: as `agreed`.
    """
    rule = await in_force(sheet)
    if rule is not None:
        await _ask(clerk, sheet, rule, about, makers=(), instead=state)


async def _worth_minor(sheet: Sheet, about: About) -> int:
    """What it is worth in the currency of the books: as it stands there, or by the table of its day.

    Raises:
        RateMissing: neither says it. What is worth nobody knows how much is below no tier.
    """
    if about.worth_minor is not None:
        return about.worth_minor
    rate = await sheet.rate(about.amount.currency, about.day)
    return about.amount.minor if rate is None else about.amount.times(rate).minor


async def _ask(
    clerk: Clerk,
    sheet: Sheet,
    rule: authority.Rule,
    about: About,
    *,
    makers: Collection[str],
    instead: Any = None,
) -> None:
    """Let the caller agree; where others have to as well, the rest of the command waits for them.

    The answer is then `instead`, or the document as it is.
    """
    caller = sheet.caller
    tier = authority.admit(
        rule,
        await _worth_minor(sheet, about),
        approver=caller.user_id,
        makers=makers,
        permissions=caller.permissions,
    )
    if tier.approvers == 1:
        return
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
    if len(given.approvers) < tier.approvers:
        sheet.wait(about.kind, instead or sheet.states[about.id])


async def cancelled(
    clerk: Clerk, sheet: Sheet, kind: str, document_id: str, *, reason: str, on: date | None
) -> Any:
    """An invoice or voucher, cancelled once enough people agree where it is binding; until then as it is."""
    found = await sheet.load(kind, document_id)
    if found.number is not None and not found.cancelled and found.open_minor == found.total_minor:
        about = part(kind, found, found.total_minor, act=f"cancel on {on or found.dated}")
        await undoing(clerk, sheet, about)
    return await clerk.cancel(sheet, kind, document_id, reason=reason, on=on)
