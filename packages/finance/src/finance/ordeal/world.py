"""What the books run in: turns that a seed gives, a clock that is set, known partners, counted ids."""

import types
from collections.abc import Coroutine, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any, Final, Protocol
from uuid import UUID

from finance.adapters.memory import MemoryStore, Tables
from finance.adapters.postgres.opening import add_accounts
from finance.clerk import Rehearsed
from finance.ports import Caller, Fault, Store
from finance.refusal import Refused

TENANTS: Final = (str(UUID(int=0xA << 120)), str(UUID(int=0xB << 120)))
LONGEST_BURST: Final = 6


class Crashed(BaseException):
    """The process is gone. Nothing may catch this but the trial."""


@types.coroutine
def turn() -> Generator[None]:
    """Where another may come between."""
    yield


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a request came to: its answer, or the code of its refusal or fault; or what a dry run would have done."""

    answer: Any = None
    code: str | None = None
    rehearsed: Rehearsed | None = None
    crashed: bool = False

    def __str__(self) -> str:
        if self.crashed:
            return "crashed"
        return self.code or ("rehearsed" if self.rehearsed else "done")


Asked = Coroutine[Any, Any, Any]


def together(asked: Sequence[Asked], dice: Random, *, crash_after: int | None = None) -> list[Outcome]:
    """Give turns to all of them, in bursts, until each has come to its end; or end the first after so many."""
    outcomes: dict[int, Outcome] = {}
    live, spent = list(range(len(asked))), 0
    while live:
        which = live[0] if len(live) == 1 else dice.choice(live)
        burst = dice.randrange(1, LONGEST_BURST) if len(live) > 1 else 1
        for _ in range(burst):
            crashes = crash_after is not None and which == 0 and spent >= crash_after
            spent += which == 0
            found = _step(asked[which], crashes=crashes)
            if found is not None:
                outcomes[which] = found
                live.remove(which)
                break
    return [outcomes[which] for which in range(len(asked))]


def _step(asked: Asked, *, crashes: bool) -> Outcome | None:
    """One turn; the outcome when it was the last one."""
    try:
        if crashes:
            asked.throw(Crashed())
        else:
            asked.send(None)
    except StopIteration as end:
        return Outcome(answer=end.value)
    except (Refused, Fault, Rehearsed, Crashed) as raised:
        return outcome_of(raised)
    return None


def outcome_of(raised: BaseException) -> Outcome:
    """What a request came to that raised this; what is none of it is raised again."""
    match raised:
        case Refused() | Fault():
            return Outcome(code=raised.code)
        case Rehearsed():
            return Outcome(rehearsed=raised)
        case Crashed():
            return Outcome(crashed=True)
        case _:
            raise raised


def alone(asked: Asked) -> Outcome:
    """Give it every turn until it has come to its end."""
    while True:
        found = _step(asked, crashes=False)
        if found is not None:
            return found


@dataclass(slots=True)
class SetClock:
    """Tells the time it was set to."""

    instant: datetime

    def now(self) -> datetime:
        return self.instant


@dataclass(slots=True)
class CountedIds:
    """Ids in the order they are asked for, such as no two seeds need to share."""

    last: int = 0x70 << 72

    def __call__(self) -> str:
        self.last += 1
        return str(UUID(int=self.last))


@dataclass(slots=True)
class KnownPartners:
    """Master data that knows these, by their kind."""

    known: Mapping[str, frozenset[str]] = field(default_factory=dict)

    async def find(self, _: Caller, kind: str, ids: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        return {one: {"id": one, "name": one} for one in ids if one in self.known.get(kind, ())}

    async def exists(self, _: Caller, kind: str, record_id: str) -> bool | None:
        return record_id in self.known.get(kind, ())


class World(Protocol):
    """Where the books of two companies are kept, and how requests get their turns."""

    @property
    def tenants(self) -> tuple[str, str]: ...

    @property
    def store(self) -> Store: ...

    @property
    def tables(self) -> Tables:
        """All that is written, as it is after the last request."""

    def give(self, asked: Sequence[Asked], dice: Random, crash_after: int | None) -> list[Outcome]:
        """Let all of them come to their ends, at once; or end the first one after so many turns."""


OPENED: list[MemoryStore] = []
"""The books as every history in memory begins with them; opened once."""


async def _open(store: MemoryStore) -> None:
    for tenant in TENANTS:
        async with store.book(tenant) as book:
            await add_accounts(book)


class MemoryWorld:
    """In memory: turns are diced, so that a seed is the whole of a history."""

    def __init__(self) -> None:
        if not OPENED:
            store = MemoryStore(TENANTS, turn=turn)
            found = alone(_open(store))
            assert found.code is None, found  # noqa: S101 - nobody else is there
            OPENED.append(store)
        self.tenants = TENANTS
        self.store = OPENED[0].copy()
        self.tables = self.store.tables

    def give(self, asked: Sequence[Asked], dice: Random, crash_after: int | None) -> list[Outcome]:
        if len(asked) == 1 and crash_after is None:
            return [alone(asked[0])]
        return together(asked, dice, crash_after=crash_after)


START: Final = datetime(2027, 6, 14, 9, tzinfo=UTC)
"""Two weeks before the end of a fiscal year, so that histories cross it."""
