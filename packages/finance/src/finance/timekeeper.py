"""Gives the scheduler its turns until it is told to stop, and says whether it does: log lines, metrics, health."""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, time
from typing import Final

from prometheus_client import REGISTRY, Counter, Gauge, write_to_textfile

from finance.ports import StoreUnavailable
from finance.scheduling import Ran, Scheduler, Trouble, Turn
from kit.telemetry import log

COMPLETED: Final = Gauge(
    "finance_schedule_completed_timestamp_seconds",
    "When the last turn ended after which every due day was posted or refused; 0 when there was none.",
)
REFUSED: Final = Gauge(
    "finance_schedule_refused_templates", "Templates that the last complete turn left refused; NaN before."
)
REFUSED.set(math.nan)
DAYS: Final = Counter(
    "finance_schedule_days_total", "Due days that turns found posted after them, and not before."
)
METRICS: Final = (
    "finance_schedule_completed_timestamp_seconds",
    "finance_schedule_refused_templates",
    "finance_schedule_days_total",
)
SILENT_TURNS: Final = 3
"""After as many turns' time without a word it counts as dead."""


def count(turn: Turn) -> None:
    """Into the metrics. One that is not complete tells nothing of what is refused."""
    DAYS.inc(turn.days)
    if turn.complete:
        REFUSED.set(len(turn.refused))
        COMPLETED.set(time())


def write_metrics(file: Path) -> None:
    """As a file for a collector that reads such files, put in place at once."""
    write_to_textfile(str(file), REGISTRY.restricted_registry(METRICS))


@dataclass(slots=True, kw_only=True)
class Timekeeper:
    """`every_s` is from the end of a turn to the next. What goes wrong in one is told, and tried again at the next."""

    scheduler: Scheduler
    every_s: float
    now_s: Callable[[], float] = monotonic
    _heard_at: float = 0.0
    _trouble: str | None = "no turn has come to its end yet"
    _told: dict[tuple[str, str], tuple[object, str]] = field(default_factory=dict)
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _task: "asyncio.Task[None] | None" = None

    def begin(self) -> None:
        self._heard_at = self.now_s()
        self._task = asyncio.create_task(self.run())

    async def end(self) -> None:
        """Let the template under way come to its end, and begin no other."""
        self._stop.set()
        log().info("schedule stops")
        if self._task is not None:
            await self._task

    async def run(self) -> None:
        while not self._stop.is_set():
            await self._take()
            try:
                await asyncio.wait_for(self._stop.wait(), self.every_s)
            except TimeoutError:
                continue

    async def _take(self) -> None:
        try:
            turn = await self.scheduler.turn(self._hear, self._stop.is_set)
        except Exception as error:  # noqa: BLE001 - a scheduler that died in silence would look healthy
            self._trouble = f"{type(error).__name__}: {error}"
            log().error("schedule turn interrupted", error=self._trouble, exc_info=error)
            return
        count(turn)
        self._heard_at = self.now_s()
        self._trouble = trouble_of(turn)
        stuck = {_place(one) for one in (*turn.refused, *turn.missed)}
        if turn.complete:
            self._told = {place: told for place, told in self._told.items() if place in stuck}
        log().info(
            "schedule turn",
            on=turn.on,
            templates=turn.templates,
            days=turn.days,
            refused=len(turn.refused),
            missed=len(turn.missed),
            complete=turn.complete,
            cut_off=turn.cut_off,
        )

    def _hear(self, one: Ran | Trouble) -> None:
        """Say what is new: a refusal that stays is said once, and counted at every turn."""
        self._heard_at = self.now_s()
        about = {
            "tenant": one.standing.tenant_id,
            "template": one.standing.template_id,
            "name": one.standing.name,
        }
        if isinstance(one, Ran):
            log().info("template run", **about, days=one.days, through=one.through)
            return
        place, what = _place(one), (one.day, one.code)
        if self._told.get(place) == what:
            return
        self._told[place] = what
        said = "template refused" if one.refused else "template missed"
        log().warning(said, **about, day=one.day, code=one.code, told=one.told, exc_info=one.bug)

    async def answer(self) -> None:
        """Whether turns are taken and come to their end; for the health check.

        Raises:
            StoreUnavailable: with why they do not.
        """
        if self._task is None or self._task.done():
            raise StoreUnavailable("the scheduler has ended; start it again")
        silent_s = self.now_s() - self._heard_at
        if silent_s > SILENT_TURNS * self.every_s:
            raise StoreUnavailable(f"nothing was heard of the scheduler for {silent_s:.0f} s")
        if self._trouble is not None:
            raise StoreUnavailable(self._trouble)


def trouble_of(turn: Turn) -> str | None:
    """Why a turn is not complete; None when it is."""
    if turn.cut_off is not None:
        return turn.cut_off
    if turn.missed:
        return f"{len(turn.missed)} templates could not be asked; the first: {turn.missed[0].told}"
    return None


def _place(one: Trouble) -> tuple[str, str]:
    return one.standing.tenant_id, one.standing.template_id
