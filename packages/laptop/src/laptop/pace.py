"""How many requests a second a machine can bear, measured before a demonstration: so that users find it neither idle
nor overrun, however fast it is and whatever else it does.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

MEASURED_S: Final = 6.0
CLERKS: Final = 8
"""Users who each wait for an answer before they ask again: enough to keep blue busy."""

PART: Final = 0.3
"""Of what blue alone answers: two versions and their users share the machine, and a slow one must leave room."""

SLOWEST: Final = 20.0
FASTEST: Final = 300.0
"""Requests a second: with fewer a phase shows nothing in its time, and more show nothing else."""


async def answered_per_s(ask: Callable[[], Awaitable[bool]], *, seconds: float) -> float:
    """How many requests a second are answered while CLERKS ask without a pause. `ask` tells whether it was answered."""
    clock = asyncio.get_running_loop().time
    began = clock()
    answered = 0

    async def clerk() -> None:
        nonlocal answered
        while clock() - began < seconds:
            was_answered = await ask()  # others count meanwhile
            answered += was_answered

    async with asyncio.TaskGroup() as group:
        for _ in range(CLERKS):
            group.create_task(clerk())
    return answered / (clock() - began)


def rate_for(capacity: float) -> float:
    """The rate of a demonstration, for a machine that answers so many requests a second."""
    return min(max(PART * capacity, SLOWEST), FASTEST)
