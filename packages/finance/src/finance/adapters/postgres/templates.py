"""The templates of all companies, read from the log as finance_projector: of every release, and behind nobody.

Folded by the aggregate's own `evolve`, over an index of the events of templates alone (migration 0004).
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import asyncpg
import msgspec

from finance.adapters.postgres.store import AWAY
from finance.events import UnknownEvent, decode, evolve
from finance.ports import StoreUnavailable
from finance.scheduling import Standing
from finance.template import Template

if TYPE_CHECKING:
    from kit.database import Pool

FETCHED = 1000
"""Events that are in memory at once."""

COMPANIES = "SELECT tenant_id::text, name FROM finance_log.tenants"
EVENTS = """
SELECT tenant_id::text, stream_id::text, type, data::text FROM finance_log.events
WHERE kind = 'template' ORDER BY tenant_id, stream_id, version
"""
NO_BOOKS = (
    "found no books: expected those of at least one company - open them with finance migrate --tenants-file,"
    " or look whose role FINANCE_PROJECTOR_DATABASE_URL is of"
)


@dataclass(slots=True)
class Folding:
    """Templates, event by event; None is one that cannot be read."""

    companies: dict[str, str]
    states: dict[tuple[str, str], Template | None] = field(default_factory=dict)

    def take(self, tenant_id: str, stream_id: str, event_type: str, data: bytes) -> None:
        place = (tenant_id, stream_id)
        if place in self.states and self.states[place] is None:
            return
        try:
            self.states[place] = evolve(self.states.get(place), decode(event_type, data))
        except (UnknownEvent, msgspec.DecodeError):
            self.states[place] = None

    def active(self) -> list[Standing]:
        """Raises `StoreUnavailable` where there are no books: that nothing is due would be told of nothing."""
        if not self.companies:
            raise StoreUnavailable(NO_BOOKS)
        return [
            Standing(
                tenant_id=tenant_id,
                company=self.companies.get(tenant_id, tenant_id),
                template_id=stream_id,
                state=state,
            )
            for (tenant_id, stream_id), state in self.states.items()
            if state is None or state.status == "ACTIVE"
        ]


class PostgresTemplates:
    """Needs the role finance_projector: no other one sees all companies."""

    def __init__(self, pool: "Pool") -> None:
        self._pool = pool

    async def active(self) -> list[Standing]:
        try:
            async with (
                self._pool.acquire() as connection,
                connection.transaction(isolation="repeatable_read", readonly=True),
            ):
                folding = Folding(
                    {row["tenant_id"]: row["name"] for row in await connection.fetch(COMPANIES)}
                )
                async for row in connection.cursor(EVENTS, prefetch=FETCHED):
                    folding.take(row["tenant_id"], row["stream_id"], row["type"], row["data"].encode())
        except (*AWAY, asyncpg.PostgresError) as error:
            raise StoreUnavailable(f"{type(error).__name__}: {error}") from error
        return folding.active()
