"""The clock on the wall, read once; from there on time is counted."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


def _since_boot() -> float:
    """Seconds that pass whatever the wall clock is set to, also while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class WallClock:
    """UTC, and a real wait. It never jumps: a clock that is set back would make old data look fresh, and one that is
    set forward would end a dwell. A process that begins while the clock is wrong goes wrong by as much.
    """

    def __init__(
        self,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        passed_s: Callable[[], float] = _since_boot,
    ) -> None:
        self._began, self._began_s, self._passed_s = wall(), passed_s(), passed_s

    def now(self) -> datetime:
        return self._began + timedelta(seconds=self._passed_s() - self._began_s)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)
