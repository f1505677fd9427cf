"""How often somebody may fail to log in before having to wait."""

from collections import deque
from hashlib import sha256

import orjson


def key_of(*parts: str) -> str:
    """A key that no other parts have, and that is short however long they are."""
    return sha256(orjson.dumps(parts)).hexdigest()


class Attempts:
    """Log-ins that did not succeed, per key (user and address), within a sliding window, in memory."""

    def __init__(self, *, most: int = 5, window_s: float = 900.0, keys: int = 50_000) -> None:
        self._most, self._window_s, self._keys = most, window_s, keys
        self._failed: dict[str, deque[float]] = {}

    def wait_s(self, key: str, now: float) -> float:
        """Seconds until this key may try again; 0 when it may."""
        failed = self._recent(key, now)
        return max(0.0, failed[0] + self._window_s - now) if len(failed) >= self._most else 0.0

    def begun(self, key: str, now: float) -> None:
        """Count an attempt as failed until it has succeeded."""
        if key not in self._failed and len(self._failed) >= self._keys:
            del self._failed[next(iter(self._failed))]
        self._failed.setdefault(key, deque()).append(now)

    def succeeded(self, key: str) -> None:
        self._failed.pop(key, None)

    def _recent(self, key: str, now: float) -> deque[float]:
        failed = self._failed.get(key, deque())
        while failed and failed[0] <= now - self._window_s:
            failed.popleft()
        if not failed:
            self._failed.pop(key, None)
        return failed
