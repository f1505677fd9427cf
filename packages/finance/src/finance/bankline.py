"""A line of a bank's statement: commands, events, state, decide, evolve.

A fact that the bank told, by its own reference; nobody makes one up. It is matched, alone or together with other lines,
with payments and entries that are the same money, and that can be undone.
"""

from datetime import date
from typing import assert_never
from uuid import UUID, uuid5

import msgspec

from finance.bank_refusal import BankLineMatched, BankLineNotMatched
from finance.text import sized


class Imported(msgspec.Struct, frozen=True, kw_only=True, tag="bankline.imported/1"):
    """`amount_minor` is positive for money that came in; `file_id` is the first file that told it."""

    line_id: str
    account_id: str
    file_id: str
    currency: str
    booked_on: date
    amount_minor: int
    reference: str
    text: str


class Matched(msgspec.Struct, frozen=True, kw_only=True, tag="bankline.matched/1"):
    """Together with all `line_ids` it is what all `payment_ids` and `journal_ids` are."""

    match_id: str
    line_ids: tuple[str, ...]
    payment_ids: tuple[str, ...]
    journal_ids: tuple[str, ...] = ()


class Unmatched(msgspec.Struct, frozen=True, kw_only=True, tag="bankline.unmatched/1"):
    match_id: str
    reason: str


Event = Imported | Matched | Unmatched


class Bankline(msgspec.Struct, frozen=True, kw_only=True):
    """`version` counts its events."""

    id: str
    account_id: str
    file_id: str
    currency: str
    booked_on: date
    amount_minor: int
    reference: str
    text: str
    match: Matched | None = None
    version: int = 1

    @property
    def status(self) -> str:
        return "UNMATCHED" if self.match is None else "MATCHED"


class Import(msgspec.Struct, frozen=True, kw_only=True):
    line: Imported


class Match(msgspec.Struct, frozen=True, kw_only=True):
    match: Matched


class Unmatch(msgspec.Struct, frozen=True, kw_only=True):
    reason: str


Command = Import | Match | Unmatch


def stream(tenant_id: str, account_id: str, reference: str) -> str:
    """The stream of the line that a bank calls so, on the account that is kept for it."""
    return str(uuid5(UUID(tenant_id), f"bankline/{account_id}/{reference}"))


def decide(line: Bankline | None, command: Command) -> list[Event]:
    """The events of a command.

    Raises:
        BankLineMatched: it is matched already.
        BankLineNotMatched: there is no match to be undone.
    """
    if isinstance(command, Import):
        assert line is None, "the shell imports what is not there"  # noqa: S101 - a bug, not a refusal
        return [command.line]
    assert line is not None, "the shell loads the line first"  # noqa: S101 - a bug, not a refusal
    match command:
        case Match():
            if line.match is not None:
                raise BankLineMatched(f"It is {line.reference}.")
            return [command.match]
        case Unmatch():
            if line.match is None:
                raise BankLineNotMatched(f"It is {line.reference}.")
            reason = sized(command.reason, "reason", 10, 500)
            return [Unmatched(match_id=line.match.match_id, reason=reason)]
        case _:
            assert_never(command)


def evolve(line: Bankline | None, event: Event) -> Bankline:
    if isinstance(event, Imported):
        return Bankline(
            id=event.line_id,
            account_id=event.account_id,
            file_id=event.file_id,
            currency=event.currency,
            booked_on=event.booked_on,
            amount_minor=event.amount_minor,
            reference=event.reference,
            text=event.text,
        )
    assert line is not None, "a stream begins with imported"  # noqa: S101 - a damaged log is a bug
    matched = event if isinstance(event, Matched) else None
    return msgspec.structs.replace(line, match=matched, version=line.version + 1)
