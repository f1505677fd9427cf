"""An account of the chart: commands, events, state, decide, evolve.

Code, type and currency never change. What an account holds is not here: it is the sum of posted lines.
"""

import re
from typing import Final, assert_never

import msgspec

from finance.refusal import (
    AccountCodeMalformed,
    AccountHasChildren,
    AccountInactive,
    AccountNeeded,
    AccountNotEmpty,
    AccountParentImpossible,
)
from finance.text import sized

TYPES: Final = ("ASSET", "LIABILITY", "EQUITY", "REVENUE", "EXPENSE")
DEBIT_NORMAL: Final = frozenset({"ASSET", "EXPENSE"})
CODE: Final = re.compile(r"[1-5]\d{3}(-\d{2}){0,4}", re.ASCII)


class Created(msgspec.Struct, frozen=True, kw_only=True, tag="account.created/1"):
    account_id: str
    code: str
    name: str
    account_type: str
    currency: str
    parent_id: str | None = None


class Renamed(msgspec.Struct, frozen=True, kw_only=True, tag="account.renamed/1"):
    name: str


class Moved(msgspec.Struct, frozen=True, kw_only=True, tag="account.moved/1"):
    parent_id: str | None


class Deactivated(msgspec.Struct, frozen=True, kw_only=True, tag="account.deactivated/1"):
    reason: str


Event = Created | Renamed | Moved | Deactivated


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """`version` counts its events."""

    id: str
    code: str
    name: str
    account_type: str
    currency: str
    parent_id: str | None = None
    active: bool = True
    version: int = 1


class Create(msgspec.Struct, frozen=True, kw_only=True):
    account_id: str
    code: str
    name: str
    account_type: str
    currency: str
    parent: Account | None = None


class Update(msgspec.Struct, frozen=True, kw_only=True):
    """None leaves as it is. `ancestors` of the new parent, nearest first, itself included."""

    name: str | None = None
    ancestors: tuple[Account, ...] = ()


class Deactivate(msgspec.Struct, frozen=True, kw_only=True):
    """`holds_minor` is its balance, `children` how many active accounts are below it; rules post to a `needed` one."""

    reason: str
    holds_minor: int
    children: int
    needed: bool = False


Command = Create | Update | Deactivate


def decide(account: Account | None, command: Command) -> list[Event]:
    """The events of a command.

    Raises:
        Refused: one class per rule; nothing happened.
    """
    match command:
        case Create():
            return [_create(command)]
        case Update():
            return _update(_existing(account), command)
        case Deactivate():
            return [_deactivate(_existing(account), command)]
        case _:
            assert_never(command)


def _existing(account: Account | None) -> Account:
    assert account is not None, "the shell loads the account first"  # noqa: S101 - a bug, not a refusal
    if not account.active:
        raise AccountInactive(f"It is {account.code}.")
    return account


def _create(command: Create) -> Created:
    if CODE.fullmatch(command.code) is None or TYPES[int(command.code[0]) - 1] != command.account_type:
        told = f"Expected e.g. 1110-01 for an asset, found '{command.code[:40]}' for {command.account_type}."
        raise AccountCodeMalformed(told)
    parent = command.parent
    if parent is not None:
        _fits(command.account_type, command.currency, parent)
    return Created(
        account_id=command.account_id,
        code=command.code,
        name=sized(command.name, "account name", 3, 255),
        account_type=command.account_type,
        currency=command.currency,
        parent_id=parent.id if parent else None,
    )


def _fits(account_type: str, currency: str, parent: Account) -> None:
    if not parent.active:
        raise AccountInactive(f"It is the parent {parent.code}.")
    if (parent.account_type, parent.currency) != (account_type, currency):
        found = f"{parent.code} is {parent.account_type} in {parent.currency}"
        raise AccountParentImpossible(f"Expected {account_type} in {currency}; {found}.")


def _update(account: Account, command: Update) -> list[Event]:
    events: list[Event] = []
    if command.name is not None and command.name.strip() != account.name:
        events.append(Renamed(name=sized(command.name, "account name", 3, 255)))
    if command.ancestors:
        parent = command.ancestors[0]
        _fits(account.account_type, account.currency, parent)
        if account.id in {ancestor.id for ancestor in command.ancestors}:
            raise AccountParentImpossible(f"{parent.code} is below {account.code} already.")
        if parent.id != account.parent_id:
            events.append(Moved(parent_id=parent.id))
    return events


def _deactivate(account: Account, command: Deactivate) -> Deactivated:
    if command.holds_minor:
        raise AccountNotEmpty(f"{account.code} holds {command.holds_minor} minor units.")
    if command.children:
        raise AccountHasChildren(f"{account.code} has {command.children}.")
    if command.needed:
        raise AccountNeeded(f"It is {account.code}.")
    return Deactivated(reason=sized(command.reason, "reason", 3, 500))


def evolve(account: Account | None, event: Event) -> Account:
    match event:
        case Created():
            return Account(
                id=event.account_id,
                code=event.code,
                name=event.name,
                account_type=event.account_type,
                currency=event.currency,
                parent_id=event.parent_id,
            )
        case Renamed():
            return _next(account, name=event.name)
        case Moved():
            return _next(account, parent_id=event.parent_id)
        case Deactivated():
            return _next(account, active=False)
        case _:
            assert_never(event)


def _next(account: Account | None, **changes: object) -> Account:
    assert account is not None, "a stream begins with created"  # noqa: S101 - a damaged log is a bug
    return msgspec.structs.replace(account, version=account.version + 1, **changes)
