"""Who asks, and by what that is known. Apart, because a rollback by hand is read in haste."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """What somebody is here for."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    APPROVER = "approver"
    ADMIN = "admin"


RESERVED: Final = frozenset({"controller"})
"""Names that the log has for others than people."""


class KnownBy(StrEnum):
    """By what somebody is known. Only a token is more than their own word."""

    TOKEN = "token"  # noqa: S105 - a way of being known, no secret
    ENVIRONMENT = "TRANCHE_ACTOR"
    USER = "the user of the operating system"
    FILE = "a file that said so, and could not be read"
    SERVER = "the user that serves the API: who asked it was not asked for a token"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who asks, and by what that is known. Who was not asked for a token has no role."""

    name: str
    known_by: KnownBy
    role: Role | None = None
