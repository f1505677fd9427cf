"""Two companies in memory and people who plan templates: what tests of the scheduler work with."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from finance import chart, fiscal
from finance.adapters.memory import MemoryTemplates, Row
from finance.handle import Books
from finance.ids import new_id
from finance.ordeal.world import KnownPartners, MemoryWorld, SetClock, turn
from finance.period import CLOSER
from finance.ports import Caller
from finance.scheduling import Scheduler
from finance.template import Line, Schedule, Template, Terms

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
TODAY = NOW.date()
WHY = "as the board decided"
LINES = ("expense", "amount", "credit")


async def pause(_: float) -> None:
    await turn()


@dataclass
class Office:
    """Two companies' books in memory, and people who plan."""

    world: MemoryWorld = field(default_factory=MemoryWorld)
    clock: SetClock = field(default_factory=lambda: SetClock(NOW))
    ids: Any = new_id

    def __post_init__(self) -> None:
        self.books = self.opened(self.ids)
        [self.tenant, self.other_tenant] = self.world.tenants
        permissions = frozenset({CLOSER})
        self.caller = Caller(user_id="rahim", tenant_id=self.tenant, permissions=permissions, token="")

    def opened(self, ids: Any) -> Books:
        return Books(
            store=self.world.store, masterdata=KnownPartners(), clock=self.clock, new_id=ids, pause=pause
        )

    def scheduler(
        self, kind: type[Scheduler] = Scheduler, *, release: str = "1.1.0", ids: Any = None
    ) -> Scheduler:
        return kind(
            automating=self.opened(ids or self.ids).automating,
            standings=MemoryTemplates(self.world.store),
            clock=self.clock,
            release=release,
        )

    def key(self) -> str:
        return f"key-{len(self.world.tables.answers)}"

    async def planned(self, name: str = "Rent", *, company: str = "", **changes: Any) -> Template:
        """An approved template of 200.00 every day, beginning ten days ago, but for what is given."""
        caller = replace(self.caller, tenant_id=company or self.tenant)
        starts_on = changes.pop("starts_on", TODAY - timedelta(days=9))
        plain = {
            "kind": "RECURRING",
            "currency": "BDT",
            "schedule": Schedule(frequency=changes.pop("frequency", "DAILY"), starts_on=starts_on),
            "lines": self.lines(
                caller.tenant_id, **{one: changes.pop(one) for one in LINES if one in changes}
            ),
        }
        terms = Terms(name=name, **(plain | changes))
        made = await self.books.automating.create(caller, self.key(), terms)
        checker = replace(caller, user_id="karim")
        done: Template = await self.books.automating.approve(checker, self.key(), made.id)
        return done

    def lines(
        self, tenant: str, *, expense: str = "5200", amount: str = "200", credit: str | None = None
    ) -> tuple[Line, ...]:
        spent, paid = chart.account_id(tenant, expense), chart.account_id(tenant, "1010")
        return (Line(account_id=spent, debit=amount), Line(account_id=paid, credit=credit or amount))

    async def closed(self, day: date, to: str = "CLOSED") -> None:
        await self.books.closing.close_period(self.caller, self.key(), fiscal.period(day), to=to)

    async def reopened(self, day: date) -> None:
        name = fiscal.period(day)
        await self.books.closing.reopen_period(self.caller, self.key(), name, reason=WHY)

    def rows(self, event_type: str) -> list[Row]:
        return [row for row in self.world.tables.rows if row.type == event_type]

    def days(self, one: Template) -> list[date]:
        """The due days that were run, as the log has them."""
        return [row.event.due_on for row in self.rows("template.ran/1") if row.stream_id == one.id]

    def posted(self) -> Counter[tuple[str, date]]:
        """How many entries each due day of each template has; reversals are not among them."""
        made = {row.stream_id: row.event.reference for row in self.rows("journal.created/1")}
        originals = {row.stream_id for row in self.rows("journal.created/1") if row.event.original_id is None}
        return Counter(
            (made[row.stream_id], row.event.journal_date)
            for row in self.rows("journal.posted/1")
            if row.stream_id in originals
        )


def due(one: Template, through: date = TODAY) -> list[date]:
    """All days of its schedule, counted one by one."""
    found: list[date] = []
    while (day := one.terms.schedule.due(len(found))) <= through:
        found.append(day)
    return found


@dataclass
class Old:
    """A list of templates that was made before, and is shown whatever has become of them."""

    found: Any

    async def active(self) -> Any:
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


def quiet(_: object) -> None:
    """Hears and says nothing."""


async def soft_closed(office: Office) -> None:
    await office.closed(TODAY, to="SOFT_CLOSED")


async def closed(office: Office) -> None:
    await office.closed(TODAY)


async def deactivated(office: Office) -> None:
    account_id = chart.account_id(office.tenant, "5200")
    await office.books.deactivate_account(office.caller, office.key(), account_id, reason=WHY)


async def left(_: Office) -> None:
    """All is as it was."""


REFUSALS: dict[str, tuple[Callable[[Office], Any], dict[str, Any], date]] = {
    "period-soft-closed": (soft_closed, {}, date(2026, 11, 1)),
    "period-closed": (closed, {}, date(2026, 11, 1)),
    "account-inactive": (deactivated, {"expense": "5200"}, date(2026, 10, 20)),
    "rate-missing": (left, {"currency": "EUR"}, date(2026, 10, 20)),
    "formula-divides-by-zero": (left, {"amount": "1 / (11 - MONTH)"}, date(2026, 11, 1)),
    "journal-unbalanced": (left, {"amount": "MONTH", "credit": "10"}, date(2026, 11, 1)),
}
