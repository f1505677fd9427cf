"""What the books ask of the world, and the faults it may answer with."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol


class Fault(Exception):
    """The world did not do what was asked. `code` is stable, and becomes HTTP 500."""

    code = "fault"


class StoreUnavailable(Fault):
    """The event store does not answer."""

    code = "store-unavailable"


class Contended(Fault):
    """Others changed the same things again and again meanwhile; try again."""

    code = "contended"


class MasterDataUnavailable(Fault):
    """The master-data service does not answer."""

    code = "masterdata-unavailable"


class Conflict(Exception):
    """Another transaction was faster: load again and decide again. Never leaves `handle.py`."""


class Claimed(Exception):
    """Another stream has this value: `owner_id`."""

    def __init__(self, value: str, owner_id: str) -> None:
        super().__init__(value)
        self.owner_id = owner_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks: from the verified token and from nowhere else. `token` is passed on to neighbours.

    With `rehearsing` a command is worked and then undone: it answers with what it would do, as `clerk.Rehearsed`.
    """

    user_id: str
    tenant_id: str
    permissions: frozenset[str]
    token: str
    rehearsing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Append:
    """An event to be appended; `version` is its place in its stream, from 1."""

    kind: str
    stream_id: str
    version: int
    event: Any
    effective_date: date | None = None


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in the log: transaction, then number within the log. Ordered as readers read."""

    tx: int
    number: int

    def __str__(self) -> str:
        return f"{self.tx}/{self.number}"


class Book(Protocol):
    """One transaction on the books of one tenant. All of it happens, or none."""

    @property
    def tenant_id(self) -> str: ...

    async def recall(self, key: str, digest: bytes) -> tuple[str, Any] | None:
        """The kind and state that answered this key before, if it was used.

        Raises:
            IdempotencyKeyReused: for another request.
            IdempotencyKeyMalformed: it is empty or too long.
            TenantUnknown: no books are kept for this tenant.
        """

    async def load(self, kind: str, ids: Sequence[str]) -> Mapping[str, Any]:
        """The states of these streams by id; those that do not exist are absent."""

    async def authors(self, stream_id: str, of: Collection[str] = ()) -> frozenset[str]:
        """Whoever caused an event of this stream, or one of these types; nobody when it has none."""

    async def draw(self, series: str, fiscal_year: str) -> int:
        """The next number of a series, from 1; others wait until this transaction ends."""

    async def claim(self, kind: str, value: str, stream_id: str) -> None:
        """Take a value for a stream, which may have it already.

        Raises:
            Claimed: another stream has it.
        """

    async def owner(self, kind: str, value: str) -> str | None:
        """The stream that has a value, or None; it waits for nobody, who may be taking it right now."""

    async def claimed(self, kind: str) -> Sequence[str]:
        """The ids of all streams that have taken a value of this kind."""

    async def hold_stream(self, stream_id: str) -> None:
        """Wait until nobody else holds this stream, and hold it until this transaction ends."""

    async def hold(self, ids: Sequence[str], *, exclusively: bool) -> None:
        """Wait until nobody changes these (or, exclusively, relies on them), and keep it so until the end."""

    async def holding_minor(self, account_id: str) -> int:
        """The largest difference of debits and credits that an account has in any currency; 0 when it holds nothing."""

    async def active_children(self, account_id: str) -> int:
        """How many active accounts are directly below this one."""

    async def nets(self, first: date | None, last: date) -> Mapping[tuple[str, str], tuple[int, int]]:
        """Debits less credits of entries dated between both days, by account and currency, and what they are worth."""

    async def corrections(self, document_id: str) -> Sequence[str]:
        """The ids of all vouchers, whatever became of them, that were made out to correct this document."""

    async def append(self, events: Sequence[Append], *, actor: str) -> None:
        """Append events to their streams.

        Raises:
            Conflict: a stream has such a version already.
        """

    async def remember(self, key: str, digest: bytes, kind: str, state: Any) -> None:
        """Keep the answer to this key, in this transaction.

        Raises:
            Conflict: the key is being used by somebody else right now.
        """


class Store(Protocol):
    """The event store."""

    def book(self, tenant_id: str) -> AbstractAsyncContextManager[Book]:
        """A transaction; leaving it commits, an exception undoes all of it.

        Raises:
            Conflict: it could not be committed beside others.
            TenantUnknown: this cannot be a tenant's id.
            TextMalformed: a text holds a character that cannot be kept.
            StoreUnavailable: the store does not answer.
        """


class Clock(Protocol):
    """The time, so that it can be another one."""

    def now(self) -> datetime:
        """The present instant, in UTC."""


class MasterData(Protocol):
    """Names of business partners and products, from the neighbour that owns them."""

    async def find(self, caller: Caller, kind: str, ids: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        """What is known of these `customers`, `vendors` or `products`, by id; unknown ones are absent.

        Raises:
            MasterDataUnavailable: it does not answer, and nothing else is to be used in its place.
        """

    async def exists(self, caller: Caller, kind: str, record_id: str) -> bool | None:
        """Whether there is such a record of `customers` or `vendors`; None when it cannot be told and may be assumed.

        Raises:
            MasterDataUnavailable: it cannot be told, and may not be assumed.
        """
