"""A file that a bank sent: that it was imported, and what it said of the balance. Imported once, by its content."""

from datetime import date
from uuid import UUID, uuid5

import msgspec


class Imported(msgspec.Struct, frozen=True, kw_only=True, tag="bankfile.imported/1"):
    """`lines` are new with this file, `known` came in another before. Balances are None where it did not tell them."""

    file_id: str
    account_id: str
    currency: str
    kind: str
    name: str
    sha256: str
    lines: int
    known: int
    first_on: date
    last_on: date
    opening_minor: int | None = None
    closing_minor: int | None = None
    closing_on: date | None = None


Event = Imported


class Bankfile(msgspec.Struct, frozen=True, kw_only=True):
    """`version` counts its events."""

    told: Imported
    version: int = 1


Command = Imported


def stream(tenant_id: str, account_id: str, sha256: str) -> str:
    """The stream of a file with this content, of the account that is kept for the bank."""
    return str(uuid5(UUID(tenant_id), f"bankfile/{account_id}/{sha256}"))


def decide(file: Bankfile | None, command: Command) -> list[Event]:
    """The event of an import."""
    assert file is None, "the shell imports what is not there"  # noqa: S101 - a bug, not a refusal
    return [command]


def evolve(_: Bankfile | None, event: Event) -> Bankfile:
    return Bankfile(told=event)
