"""Passwords: argon2id, in threads, and no hint whether it was the name or the password that was wrong."""

import asyncio

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

OWASP_MEMORY_KIB, OWASP_TIME_COST = 19_456, 2
"""The floor for production: OWASP Password Storage Cheat Sheet, argon2id with 19 MiB and two passes."""


class Passwords:
    """Hashes and checks at one cost. Memory in KiB, time in passes."""

    def __init__(self, *, memory_kib: int, time_cost: int) -> None:
        self._hasher = PasswordHasher(memory_cost=memory_kib, time_cost=time_cost, parallelism=1)
        self._nobody = self._hasher.hash("the password of nobody")

    def hash(self, password: str) -> str:
        return self._hasher.hash(password)

    async def matches(self, password_hash: str | None, password: str) -> bool:
        """Whether the password is right; takes as long for somebody unknown (None)."""
        found = await asyncio.to_thread(self._verify, password_hash or self._nobody, password)
        return found and password_hash is not None

    def _verify(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False
