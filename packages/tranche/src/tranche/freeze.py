"""Times in which nothing goes forward: dated, weekly or daily, as the clocks of a place show them.

Compared is what a clock on the wall shows, never how long something lasts: a night that a change of clocks makes
longer is frozen for all of it.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

DAY: Final = 24 * 60
WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """`2026-12-23 18:00`, `fri 18:00` or `18:00`: `date` (ISO) or `weekday` (0 is Monday), or neither: every day.

    `minute` counts from midnight.
    """

    minute: int
    date: str | None = None
    weekday: int | None = None

    def __str__(self) -> str:
        day = self.date or (WEEKDAYS[self.weekday] if self.weekday is not None else "")
        return f"{day} {self.minute // 60:02}:{self.minute % 60:02}".strip()

    @property
    def recurs(self) -> str:
        """How often it comes: `once`, `weekly` or `daily`."""
        if self.date is not None:
            return "once"
        return "daily" if self.weekday is None else "weekly"


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """From `begins` up to, not including, `ends`, which recur alike. `zone` is a name of the IANA's database."""

    begins: Moment
    ends: Moment
    zone: str
    about: str
    line: int = field(default=0, compare=False)

    def __str__(self) -> str:
        about = f" ({self.about})" if self.about else ""
        return f"{self.begins} to {self.ends} {self.zone}{about}"

    def covers(self, now: datetime) -> bool:
        """Whether it is frozen at this instant. What recurs may run over midnight, or over Sunday."""
        local = now.astimezone(ZoneInfo(self.zone))
        minute = 60 * local.hour + local.minute
        match self.begins.recurs:
            case "once":
                at = (local.date().isoformat(), minute)
                return _dated(self.begins) <= at < _dated(self.ends)
            case "weekly":
                return _between(_of_week(self.begins), local.weekday() * DAY + minute, _of_week(self.ends))
            case _:
                return _between(self.begins.minute, minute, self.ends.minute)


def _dated(moment: Moment) -> tuple[str, int]:
    return moment.date or "", moment.minute


def _of_week(moment: Moment) -> int:
    return (moment.weekday or 0) * DAY + moment.minute


def _between(begins: int, at: int, ends: int) -> bool:
    return begins <= at < ends if begins < ends else at >= begins or at < ends


def covering(freezes: tuple[Freeze, ...], now: datetime) -> Freeze | None:
    """The first of these in which this instant is."""
    return next((freeze for freeze in freezes if freeze.covers(now)), None)
