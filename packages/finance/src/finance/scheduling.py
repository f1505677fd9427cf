"""Gives the books the command to run every template that is due, turn after turn.

Which templates there are is read from the log of all companies, and may be old by the time it is used: what is due, and
what is posted, is decided by `Automating.run` within its transaction. So turns that are late, cut off, or taken by any
number of schedulers at once post nothing twice and leave nothing out.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Final, Protocol

from finance import template
from finance.automating import Automating
from finance.clerk import Rehearsed
from finance.money import Money
from finance.ports import Caller, Clock, Fault, StoreUnavailable
from finance.refusal import Refused, TemplateNotActive

ACTOR: Final = "schedule"
"""Who the log says ran a template when a scheduler did: nobody's id. It has no permission, so soft-closed periods are
closed to it. Under whose approval it acts is said by the template's own events."""

INTERNAL: Final = "internal"
UNREADABLE: Final = "unreadable"
STOPPED: Final = "told to stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A template as the log has it; `state` is None where this release cannot read one of its events."""

    tenant_id: str
    company: str
    template_id: str
    state: template.Template | None

    @property
    def name(self) -> str:
        return self.template_id if self.state is None else self.state.terms.name


class Standings(Protocol):
    """The templates of all companies."""

    async def active(self) -> Sequence[Standing]:
        """Those that are active, and those that cannot be read.

        Raises:
            StoreUnavailable: the log does not answer, or shows no books at all.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """Due days up to `through` are posted; `days` of them were not when it was asked, and may be another's work."""

    standing: Standing
    days: int
    through: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Why a template was not run, and on which of its due days; those after it wait.

    `refused` when the rules say no; otherwise it is a fault or a bug, and cannot be told. `code` is stable.
    """

    standing: Standing
    day: date | None
    code: str
    told: str
    refused: bool
    bug: Exception | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What a due day would post; an `amount` of None is a day that comes to nothing."""

    standing: Standing
    day: date
    amount: Money | None
    reference: str | None
    taken_back_on: date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Later:
    """From this due day on nothing is shown: a dry run is one transaction, and that takes no more days."""

    standing: Standing
    day: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What one turn came to. `cut_off` says why not every template was asked; None when all were."""

    on: date
    templates: int = 0
    ran: tuple[Ran, ...] = ()
    refused: tuple[Trouble, ...] = ()
    missed: tuple[Trouble, ...] = ()
    cut_off: str | None = None

    @property
    def days(self) -> int:
        return sum(one.days for one in self.ran)

    @property
    def complete(self) -> bool:
        """Whether every due day is posted or refused: otherwise it cannot be told what is due."""
        return self.cut_off is None and not self.missed


Attempt = Callable[[date], Awaitable[None]]
Tell = Callable[[Ran | Trouble], object]


async def furthest(
    days: Sequence[date], attempt: Attempt, *, doubtful: bool = False
) -> tuple[int, Refused | None]:
    """How many of the days can be run, and why the one after them cannot; all of them are tried at once first.

    `doubtful` when the first day was refused before: it is tried alone first. An attempt through a day is refused when
    one of the days up to it is, and changes nothing then.
    """
    good, bad, why = 0, len(days) + 1, None
    ask = 1 if doubtful else len(days)
    while bad - good > 1:
        try:
            await attempt(days[ask - 1])
            good = ask
        except Refused as error:
            bad, why = ask, error
        ask = len(days) if bad > len(days) else (good + bad) // 2
    return good, why


@dataclass(slots=True, kw_only=True)
class Scheduler:
    """Runs templates up to today, as `clock` tells it. `release` keeps its idempotency keys from those of another."""

    automating: Automating
    standings: Standings
    clock: Clock
    release: str
    _refused: dict[tuple[str, str], date] = field(default_factory=dict)

    async def turn(self, tell: Tell, stopping: Callable[[], bool] = lambda: False) -> Turn:
        """Run what is due, each template `MOST_AT_ONCE` days at a time, so that none waits for another's year.

        A fault of one template leaves the others alone; a store that is away, or `stopping`, ends the turn between two
        of them. Never raises a fault: the turn tells it.
        """
        today = self.clock.now().date()
        try:
            waiting = deque(await self.standings.active())
        except StoreUnavailable as error:
            return Turn(on=today, cut_off=str(error))
        templates, cut_off = len(waiting), None
        came: list[Ran | Trouble] = []
        while waiting and cut_off is None:
            if stopping():
                cut_off = STOPPED
                continue
            try:
                found = await self._run(waiting.popleft(), today)
            except StoreUnavailable as error:
                cut_off = str(error)
                continue
            for one in found:
                tell(one)
            if found and isinstance(found[-1], Ran):  # there may be more to catch up; after the others
                waiting.append(found[-1].standing)
            came += found
        troubles = [one for one in came if isinstance(one, Trouble)]
        return Turn(
            on=today,
            templates=templates,
            ran=tuple(one for one in came if isinstance(one, Ran)),
            refused=tuple(one for one in troubles if one.refused),
            missed=tuple(one for one in troubles if not one.refused),
            cut_off=cut_off,
        )

    async def preview(self, through: date) -> list[Due | Trouble | Later]:
        """What would be posted of the days up to `through`, template after template, by dry runs.

        Raises:
            StoreUnavailable: it does not answer.
        """
        shown: list[Due | Trouble | Later] = []
        for one in await self.standings.active():
            shown += await self._rehearse(one, through)
        return shown

    async def _run(self, one: Standing, today: date) -> list[Ran | Trouble]:
        """The next due days of a template, as far as the rules let them; what stops them comes last."""
        if one.state is None:
            return [_unreadable(one)]
        days, latest = list(one.state.due_days(today)), one.state

        async def attempt(through: date) -> None:
            nonlocal latest
            latest = await self.automating.run(*self._asking(one, days[0], through), one.template_id, through)

        trouble = await self._reach(one, days, attempt)
        made: list[Ran | Trouble] = []
        if latest.runs > one.state.runs and latest.last_due_on is not None:
            done = replace(one, state=latest)
            made.append(Ran(standing=done, days=latest.runs - one.state.runs, through=latest.last_due_on))
        return made if trouble is None else [*made, trouble]

    async def _rehearse(self, one: Standing, through: date) -> list[Due | Trouble | Later]:
        if one.state is None:
            return [_unreadable(one)]
        days = list(one.state.due_days(through))
        shown: list[Due | Trouble | Later] = []

        async def attempt(day: date) -> None:
            caller, key = self._asking(one, days[0], day)
            try:
                await self.automating.run(replace(caller, rehearsing=True), key, one.template_id, day)
            except Rehearsed as would:
                shown[:] = _due(one, would)

        trouble = await self._reach(one, days, attempt)
        if trouble is not None:
            return [*shown, trouble]
        following = one.state.due(one.state.runs + len(days)) if days else None
        beyond = following is not None and following <= through
        return [*shown, Later(standing=one, day=following)] if following and beyond else shown

    async def _reach(self, one: Standing, days: Sequence[date], attempt: Attempt) -> Trouble | None:
        """Attempt as many of the days as the rules let; why the next one was not, if it was not.

        Raises:
            StoreUnavailable: it does not answer; no other template would fare better.
        """
        place = (one.tenant_id, one.template_id)
        known = self._refused.pop(place, None)
        if not days:
            return None
        try:
            reached, why = await furthest(days, attempt, doubtful=known == days[0])
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - what is wrong with one template, contended or a bug, must not starve the others
            code, bug = (error.code, None) if isinstance(error, Fault) else (INTERNAL, error)
            told = f"{type(error).__name__}: {error}"
            return Trouble(standing=one, day=None, code=code, told=told, refused=False, bug=bug)
        if why is None or isinstance(why, TemplateNotActive):  # somebody ended it meanwhile: nothing is due
            return None
        self._refused[place] = days[reached]
        return Trouble(standing=one, day=days[reached], code=why.code, told=str(why), refused=True)

    def _asking(self, one: Standing, first: date, through: date) -> tuple[Caller, str]:
        """Who asks, and the idempotency key: the same for all who ask the same at once, so that one of them does it."""
        caller = Caller(user_id=ACTOR, tenant_id=one.tenant_id, permissions=frozenset(), token="")
        return caller, f"{ACTOR}/{self.release}/{one.template_id}/{first}/{through}"


def _unreadable(one: Standing) -> Trouble:
    told = "this release cannot read the template's events; run the scheduler of the release that wrote them"
    return Trouble(standing=one, day=None, code=UNREADABLE, told=told, refused=False)


def _due(one: Standing, would: Rehearsed) -> list[Due | Trouble | Later]:
    """The due days of a dry run, with the entries they would post."""
    entries = {entry.id: entry for entry in would.entries}
    made: list[Due | Trouble | Later] = []
    for event in would.events:
        if not isinstance(event, template.Ran):
            continue
        entry = entries.get(event.journal_id or "")
        back = entries.get(event.reversal_id or "")
        made.append(
            Due(
                standing=one,
                day=event.due_on,
                amount=None if entry is None else Money(entry.debit_minor, entry.currency),
                reference=None if entry is None else entry.reference,
                taken_back_on=None if back is None else back.journal_date,
            )
        )
    return made
