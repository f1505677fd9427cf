"""The event store in memory, with the transactions, locks and conflicts of the one on PostgreSQL.

A transaction sees what is committed and what it wrote itself. Who needs what another transaction has locked - a
version, a number's counter, a value, a key, a hold - waits until that one ends; a circle of waiting is a conflict.
Waiting and every statement give others a turn, so whoever gives the turns decides how transactions interleave:
an event loop, or a simulation with a seed.
"""

import asyncio
import re
from collections import defaultdict
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from finance import journal, voucher
from finance.adapters.postgres.store import LONGEST_KEY, STATES, encoded
from finance.adapters.postgres.templates import Folding
from finance.events import decode, encode, evolve
from finance.ids import is_uuid
from finance.ports import Append, Claimed, Conflict, Position, StoreUnavailable
from finance.refusal import IdempotencyKeyMalformed, IdempotencyKeyReused, TenantUnknown, TextMalformed
from finance.scheduling import Standing

NUL: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
"""As JSON has it; PostgreSQL keeps no such character."""
Key = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """An event as it lies in the log; `event` is read back from `data`."""

    position: Position
    tenant_id: str
    stream_id: str
    version: int
    kind: str
    type: str
    data: bytes
    actor: str
    effective_date: date | None
    event: Any


@dataclass(slots=True)
class Tables:
    """What is committed; or, of one transaction, what it has written and nobody else sees."""

    rows: list[Row] = field(default_factory=list)
    streams: dict[Key, list[Row]] = field(default_factory=lambda: defaultdict(list))
    counters: dict[Key, int] = field(default_factory=dict)
    claims: dict[Key, str] = field(default_factory=dict)
    answers: dict[Key, tuple[bytes, str, str]] = field(default_factory=dict)

    def take(self, other: "Tables") -> None:
        for row in other.rows:
            self.insert(row)
        self.counters.update(other.counters)
        self.claims.update(other.claims)
        self.answers.update(other.answers)

    def insert(self, row: Row) -> None:
        self.rows.append(row)
        self.streams[row.tenant_id, row.stream_id].append(row)

    def image(self) -> tuple[object, ...]:
        """Everything, to be compared with what was before."""
        return tuple(self.rows), dict(self.counters), dict(self.claims), dict(self.answers)


class MemoryStore:
    """Books of all tenants. `turn` is awaited wherever another transaction may come between.

    `listeners` are told the positions of every committed transaction. While `away` is true nothing answers.
    """

    def __init__(
        self, tenants: Iterable[str] = (), *, turn: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        self.tenants = set(tenants)
        self.turn = turn or (lambda: asyncio.sleep(0))
        self.tables = Tables()
        self.listeners: list[Callable[[str, Sequence[Position]], object]] = []
        self.away = False
        self._locks: dict[Key, dict[MemoryBook, bool]] = defaultdict(dict)
        self._transactions = 0
        self._numbers = 0

    def copy(self) -> "MemoryStore":
        """Another store with the same content."""
        made = MemoryStore(self.tenants, turn=self.turn)
        made.tables.take(self.tables)
        made._transactions, made._numbers = self._transactions, self._numbers
        return made

    @asynccontextmanager
    async def book(self, tenant_id: str) -> AsyncIterator["MemoryBook"]:
        if not is_uuid(tenant_id):
            raise TenantUnknown(f"Found {tenant_id[:40]}.")
        if self.away:
            raise StoreUnavailable("it is away")
        book = MemoryBook(self, tenant_id)
        try:
            yield book
            await self.turn()
            self.tables.take(book.own)
        finally:
            self._release(book)
        for listener in self.listeners:
            listener(tenant_id, book.written)
        await self.turn()

    def begin(self) -> int:
        """The next transaction's number; given at its first write."""
        self._transactions += 1
        return self._transactions

    def number(self) -> int:
        """The next event's number in the log; none is given twice, and some are lost with their transaction."""
        self._numbers += 1
        return self._numbers

    async def lock(self, book: "MemoryBook", what: Key, *, exclusively: bool = True) -> None:
        """Wait for those who hold it, and hold it until the book ends.

        Raises:
            Conflict: they wait for this book.
        """
        while True:
            holders = self._locks[what]  # asked anew: who ended meanwhile took its table of holders along
            book.waits_for = {
                other for other, alone in holders.items() if other is not book and (alone or exclusively)
            }
            if not book.waits_for:
                holders[book] = exclusively or holders.get(book, False)
                book.held.append(what)
                return
            if book in _reached(book.waits_for):
                raise Conflict("transactions wait for each other")
            await self.turn()

    def _release(self, book: "MemoryBook") -> None:
        book.waits_for = set()
        for what in book.held:
            holders = self._locks.get(what, {})
            holders.pop(book, None)
            if not holders:
                self._locks.pop(what, None)


def _reached(books: Iterable["MemoryBook"]) -> set["MemoryBook"]:
    """Those, and whoever they wait for."""
    found: set[MemoryBook] = set()
    waiting = list(books)
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting += one.waits_for
    return found


class MemoryBook:
    """One transaction on one tenant's books. Every method may raise `Conflict`."""

    def __init__(self, store: MemoryStore, tenant_id: str) -> None:
        self._store = store
        self._tenant_id = tenant_id
        self._transaction: int | None = None
        self.own = Tables()
        self.held: list[Key] = []
        self.waits_for: set[MemoryBook] = set()

    @property
    def tenant_id(self) -> str:
        return self._tenant_id

    @property
    def written(self) -> list[Position]:
        return [row.position for row in self.own.rows]

    async def recall(self, key: str, digest: bytes) -> tuple[str, Any] | None:
        await self._store.turn()
        if not 1 <= len(key) <= LONGEST_KEY:
            raise IdempotencyKeyMalformed(f"Found {len(key)}.")
        if "\0" in key:
            raise TextMalformed("It holds a character that cannot be kept, such as NUL.")
        if self._tenant_id not in self._store.tenants:
            raise TenantUnknown(f"Found {self._tenant_id}.")
        place = (self._tenant_id, key)
        found = self.own.answers.get(place) or self._store.tables.answers.get(place)
        if found is None:
            return None
        if found[0] != digest:
            raise IdempotencyKeyReused(f"Found '{key}'.")
        return found[1], STATES[found[1]].decode(found[2])

    async def load(self, kind: str, ids: Sequence[str]) -> Mapping[str, Any]:
        await self._store.turn()
        return {one: state for one in ids if (state := self._folded(kind, one)) is not None}

    def _folded(self, kind: str, stream_id: str) -> Any:
        state = None
        for row in self._rows_of(stream_id):
            if row.kind == kind:
                state = evolve(state, row.event)
        return state

    def _rows_of(self, stream_id: str) -> list[Row]:
        place = (self._tenant_id, stream_id)
        committed, own = self._store.tables.streams.get(place, []), self.own.streams.get(place, [])
        return [*committed, *own] if own else committed

    def _rows(self, kind: str) -> Iterator[Row]:
        for rows in (self._store.tables.rows, self.own.rows):
            for row in rows:
                if row.tenant_id == self._tenant_id and row.kind == kind:
                    yield row

    async def authors(self, stream_id: str, of: Collection[str] = ()) -> frozenset[str]:
        await self._store.turn()
        return frozenset(row.actor for row in self._rows_of(stream_id) if not of or row.type in of)

    async def draw(self, series: str, fiscal_year: str) -> int:
        await self._store.turn()
        place = (self._tenant_id, series, fiscal_year)
        await self._write("counter", *place)
        last = self.own.counters.get(place, self._store.tables.counters.get(place, 0))
        self.own.counters[place] = last + 1
        return last + 1

    async def claim(self, kind: str, value: str, stream_id: str) -> None:
        await self._store.turn()
        place = (self._tenant_id, kind, value)
        await self._write("claim", *place)
        owner = self.own.claims.get(place) or self._store.tables.claims.get(place, stream_id)
        if owner != stream_id:
            raise Claimed(value, owner)
        self.own.claims[place] = stream_id

    async def owner(self, kind: str, value: str) -> str | None:
        await self._store.turn()
        place = (self._tenant_id, kind, value)
        return self.own.claims.get(place) or self._store.tables.claims.get(place)

    async def claimed(self, kind: str) -> Sequence[str]:
        await self._store.turn()
        claims = self._store.tables.claims | self.own.claims
        return sorted(
            {owner for (of, named, _), owner in claims.items() if (of, named) == (self._tenant_id, kind)}
        )

    async def hold_stream(self, stream_id: str) -> None:
        await self._store.turn()
        await self._store.lock(self, ("hold", self._tenant_id, "stream", stream_id))

    async def hold(self, ids: Sequence[str], *, exclusively: bool) -> None:
        await self._store.turn()
        for one in sorted(ids):
            await self._store.lock(self, ("hold", self._tenant_id, one), exclusively=exclusively)

    async def holding_minor(self, account_id: str) -> int:
        await self._store.turn()
        held: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        for posted, line in self._lines():
            if line.account_id == account_id:
                sums = held[posted.currency]
                sums[0] += line.debit_minor - line.credit_minor
                sums[1] += (line.base_debit_minor or 0) - (line.base_credit_minor or 0)
        return max((abs(one) for sums in held.values() for one in sums), default=0)

    def _lines(self) -> Iterator[tuple[journal.Posted, journal.Line]]:
        for row in self._rows("journal"):
            if isinstance(row.event, journal.Posted):
                for line in row.event.lines:
                    yield row.event, line

    async def active_children(self, account_id: str) -> int:
        await self._store.turn()
        streams = {row.stream_id for row in self._rows("account")}
        states = [self._folded("account", one) for one in streams]
        return sum(state.active and state.parent_id == account_id for state in states)

    async def nets(self, first: date | None, last: date) -> Mapping[tuple[str, str], tuple[int, int]]:
        await self._store.turn()
        found: dict[tuple[str, str], tuple[int, int]] = {}
        for posted, line in self._lines():
            if (first is None or posted.journal_date >= first) and posted.journal_date <= last:
                debit, credit = journal.base(line, posted.currency)
                minor, base_minor = found.get((line.account_id, posted.currency), (0, 0))
                found[line.account_id, posted.currency] = (
                    minor + line.debit_minor - line.credit_minor,
                    base_minor + debit - credit,
                )
        return found

    async def corrections(self, document_id: str) -> Sequence[str]:
        await self._store.turn()
        return [
            row.stream_id
            for row in self._rows("voucher")
            if isinstance(row.event, voucher.Created) and row.event.terms.corrects_id == document_id
        ]

    async def append(self, events: Sequence[Append], *, actor: str) -> None:
        await self._store.turn()
        for event in events:
            place = (self._tenant_id, event.stream_id)
            await self._write("version", *place, str(event.version))
            there = (*self._store.tables.streams.get(place, ()), *self.own.streams.get(place, ()))
            if any(row.version == event.version for row in there):
                raise Conflict(f"{event.stream_id} has a version {event.version} already")
            event_type, data = encode(event.event)
            if b"\\u0000" in data and NUL.search(data):
                raise TextMalformed("It holds a character that cannot be kept, such as NUL.")
            row = Row(
                position=Position(self._begun(), self._store.number()),
                tenant_id=self._tenant_id,
                stream_id=event.stream_id,
                version=event.version,
                kind=event.kind,
                type=event_type,
                data=data,
                actor=actor,
                effective_date=event.effective_date,
                event=decode(event_type, data),
            )
            self.own.insert(row)

    async def remember(self, key: str, digest: bytes, kind: str, state: Any) -> None:
        await self._store.turn()
        place = (self._tenant_id, key)
        await self._write("answer", *place)
        if place in self._store.tables.answers or place in self.own.answers:
            raise Conflict(f"the key '{key}' was used meanwhile")
        self.own.answers[place] = (digest, kind, encoded(state))

    async def _write(self, *what: str) -> None:
        """Lock a row that is to be written. The first one gives the transaction its place in the log."""
        self._begun()
        await self._store.lock(self, what)

    def _begun(self) -> int:
        if self._transaction is None:
            self._transaction = self._store.begin()
        return self._transaction


@dataclass(slots=True)
class MemoryTemplates:
    """The templates of all companies of a store; a company is called by its id."""

    store: MemoryStore

    async def active(self) -> list[Standing]:
        await self.store.turn()
        if self.store.away:
            raise StoreUnavailable("it is away")
        folding = Folding({tenant_id: tenant_id for tenant_id in sorted(self.store.tenants)})
        for row in self.store.tables.rows:
            if row.kind == "template":
                folding.take(row.tenant_id, row.stream_id, row.type, row.data)
        return folding.active()
