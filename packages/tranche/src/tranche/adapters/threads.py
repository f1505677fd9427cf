"""Work beside the loop, in daemon threads: a job that hangs keeps nobody from ending."""

import queue
import threading
from collections.abc import Callable


class ThreadWorkers:
    """One thread a job; a key is under way once at a time."""

    def __init__(self) -> None:
        self._results: queue.SimpleQueue[tuple[str, object]] = queue.SimpleQueue()
        self._under_way: set[str] = set()

    def start(self, key: str, job: Callable[[], object]) -> bool:
        if key in self._under_way:
            return False
        self._under_way.add(key)
        threading.Thread(target=self._run, args=(key, job), name=key, daemon=True).start()
        return True

    def _run(self, key: str, job: Callable[[], object]) -> None:
        result: object = None
        try:
            result = job()
        finally:
            # Also when the job has a bug: its key must become free, or it would never run again.
            self._results.put((key, result))

    def done(self) -> list[tuple[str, object]]:
        results = []
        while True:
            try:
                results.append(self._results.get_nowait())
            except queue.Empty:
                break
        self._under_way -= {key for key, _ in results}
        return results
