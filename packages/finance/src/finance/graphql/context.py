"""What the resolvers of one request share: the caller, the books, and look-ups gathered into batches."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial
from typing import Any

from aiodataloader import DataLoader

from finance import fiscal
from finance.adapters.postgres.views import Views
from finance.handle import Books
from finance.ports import Caller, MasterData


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What all requests share. `batching` gathers look-ups of one request into batches."""

    books: Books
    views: Views
    masterdata: MasterData
    batching: bool
    now: Callable[[], datetime]


@dataclass(slots=True, kw_only=True)
class Context:
    """One request."""

    service: Service
    caller: Caller
    now: datetime
    _loaders: dict[str, Any] = field(default_factory=dict)

    @property
    def today(self) -> date:
        """The company's day."""
        return fiscal.today(self.now)

    async def state(self, kind: str, record_id: str) -> Any:
        """A document by its id, or None. What the read models do not have yet is read from the log.

        They wait for this process's writes and not for those of the other colour, where a user may just have written.
        """
        found = await self.service.views.find(self.caller.tenant_id, kind, [record_id])
        return found.get(record_id) or await self.service.books.read(self.caller, kind, record_id)

    async def named(self, kind: str, record_id: str) -> Mapping[str, Any] | None:
        """A customer, vendor or product; with batching, together with all others of this request."""
        if not self.service.batching:
            found = await self.service.masterdata.find(self.caller, kind, [record_id])
            return found.get(record_id)
        find = partial(self.service.masterdata.find, self.caller, kind)
        gathered: Mapping[str, Any] | None = await self._loader(kind, find, record_id)
        return gathered

    async def holding_minor(self, account_id: str) -> int:
        find = partial(self.service.views.holdings, self.caller.tenant_id)
        return await self._loader("holding", find, account_id) or 0

    async def account(self, account_id: str) -> Any:
        find = partial(self.service.views.find, self.caller.tenant_id, "account")
        return await self._loader("account", find, account_id)

    async def journal(self, journal_id: str) -> Any:
        find = partial(self.service.views.find, self.caller.tenant_id, "journal")
        return await self._loader("journal", find, journal_id)

    async def beside(self, journal_id: str) -> Any:
        """What was appended with the posting of an entry."""
        find = partial(self.service.views.beside, self.caller.tenant_id)
        return await self._loader("beside", find, journal_id)

    async def history(self, stream_id: str) -> Any:
        """Every event of a stream."""
        find = partial(self.service.views.histories, self.caller.tenant_id)
        return await self._loader("history", find, stream_id) or []

    async def lines_of(self, journal_id: str) -> Any:
        """The bank's lines that an entry is matched with."""
        find = partial(self.service.views.lines_of_entries, self.caller.tenant_id)
        return await self._loader("lines", find, journal_id) or []

    async def _loader(self, name: str, find: Callable[[list[str]], Any], key: str) -> Any:
        if name not in self._loaders:

            async def load(keys: list[str]) -> list[Any]:
                found = await find(keys)
                return [found.get(one) for one in keys]

            self._loaders[name] = DataLoader(load, max_batch_size=100)
        return await self._loaders[name].load(key)
