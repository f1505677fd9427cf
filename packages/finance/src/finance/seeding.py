"""Gives a made-up company's commands to the books, day after day, several at a time.

Every command goes through the same shell as a user's: the same rules, the same refusals, its own transaction and its
own idempotency key. So what was interrupted goes on: a command that was given before is answered as it was then.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from finance.bookkeeper import Work, closing_name, opening, works
from finance.company import Company, closed_on, deals, months
from finance.deal import Course, Ground, Step
from finance.handle import Books
from finance.period import CLOSER
from finance.ports import Caller, Fault
from finance.refusal import Refused

Tell = Callable[[date], None]
"""Is told each day when it is done."""

Answered = Callable[[Sequence[str]], Awaitable[Collection[str]]]
"""Tells which of these idempotency keys were used."""


@dataclass(slots=True)
class Calendar:
    """Tells ten in the morning of the day that is being worked: the company's clock, not this machine's."""

    today: date

    def now(self) -> datetime:
        return datetime.combine(self.today, time(10), UTC)


@dataclass(slots=True, kw_only=True)
class Run:
    """A course under way: the step it waits with, and how many it took before."""

    name: str
    course: Course
    step: Step
    number: int = 0


@dataclass(slots=True, kw_only=True)
class Seeder:
    """Works a company's year. `books` tell the time by `calendar`. `given` counts commands by what they answered."""

    books: Books
    calendar: Calendar
    company: Company
    connections: int = 4
    given: Counter[str] = field(default_factory=Counter)
    _due: dict[date, list[Run]] = field(default_factory=lambda: defaultdict(list))

    async def work(self, answered: Answered, tell: Tell) -> None:
        """All of the year, or what of it was not done. `answered` tells which of these keys were used.

        Raises:
            Refused: a rule says no to a command; what was done before stays, and the next run goes on there.
            Fault: the world did not do it; as above.
        """
        company, ground = self.company, Ground()
        closings = [self.key(closing_name(month), 0) for month in range(len(months(company)))]
        there = await answered(closings)
        done = sum(one in there for one in closings)
        if done == len(closings):
            return
        self.calendar.today = company.first_on
        await self._all([self._begun("opening", opening(company, ground))])
        for month, (first, last) in enumerate(months(company)):
            for one in self._beginning(ground, month, done):
                self._due[one.step.on].append(one)
            until = closed_on(last) if month == len(months(company)) - 1 else last
            for day in _days(first, until):
                self.calendar.today = day
                await self._all(self._due.pop(day, []))
                tell(day)

    def key(self, name: str, number: int) -> str:
        return f"{self.company.prefix}{name}/{number}"

    def _beginning(self, ground: Ground, month: int, done: int) -> Iterator[Run]:
        """The courses of a month that were not at their end when the last of so many months was closed.

        The bookkeeper's are begun on their day: what they do depends on what was found out until then.
        """
        settled = months(self.company)[done - 1][1] if done else date.min
        for deal in deals(self.company, month):
            if deal.last_on > settled:
                yield self._begun(deal.name, deal.course(ground))
        for one in works(self.company, ground, month) if month >= done else ():
            yield Run(name=one.name, course=one.course, step=_start(one))

    def _begun(self, name: str, course: Course) -> Run:
        return Run(name=name, course=course, step=next(course))

    async def _all(self, due: Iterable[Run]) -> None:
        """Take these as far as this day goes, several at a time; all stop at the first refusal or fault."""
        waiting = iter(due)

        async def worker() -> None:
            for one in waiting:
                await self._go(one)

        first: BaseException | None = None
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self.connections):
                    group.create_task(worker())
        except* (Refused, Fault) as several:
            first = several.exceptions[0]  # raised from in here, early Pythons 3.11 wrap it in a group
        if first is not None:
            raise first

    async def _go(self, run: Run) -> None:
        try:
            if run.step.ask is _nothing:
                run.step = next(run.course)
            while run.step.on <= self.calendar.today:
                if run.step.dated_on > self.company.last_on:
                    return
                answer = await self._give(run)
                run.number += 1
                run.step = run.course.send(answer)
        except StopIteration:
            return
        self._due[run.step.on].append(run)

    async def _give(self, run: Run) -> Any:
        caller = Caller(
            user_id=run.step.by,
            tenant_id=self.company.tenant_id,
            permissions=frozenset({CLOSER}),
            token="",
        )
        answer = await run.step.ask(self.books, caller, self.key(run.name, run.number))
        if answer is not None:
            self.given[type(answer).__name__.lower()] += 1
        return answer


async def _nothing(*_: object) -> None:
    """Stands for the command of a course that has not begun."""


def _start(one: Work) -> Step:
    return Step(on=one.on, by="", ask=_nothing, dated_on=one.on)


def _days(first: date, last: date) -> Iterator[date]:
    for number in range((last - first).days + 1):
        yield first + timedelta(days=number)
