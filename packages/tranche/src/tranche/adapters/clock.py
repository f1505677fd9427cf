"""The clock on the wall."""

import time
from datetime import UTC, datetime


class WallClock:
    """UTC, and a real wait."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)
