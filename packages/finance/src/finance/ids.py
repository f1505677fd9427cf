"""Identifiers: UUID version 7, which sort by the time they were made (RFC 9562, section 5.7)."""

import secrets
import time
from uuid import UUID


def new_id() -> str:
    """A new identifier: 48 bits of milliseconds, 74 of chance."""
    milliseconds = time.time_ns() // 1_000_000
    chance = secrets.randbits(74)
    value = (
        (milliseconds & (2**48 - 1)) << 80
        | 0x7 << 76
        | (chance >> 62) << 64
        | 0b10 << 62
        | chance & (2**62 - 1)
    )
    return str(UUID(int=value))


def is_uuid(text: str) -> bool:
    """Whether this is an identifier as it is written everywhere here: small letters, four hyphens, nothing around."""
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
