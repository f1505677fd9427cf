"""Brings news to its routes, each by a thread and a bounded queue of its own: nothing waits for a receiver.

1. What stands in the event log is told from the log. How far each route has come is kept in the state folder, so that
   a new controller tells what the one before could not, and nothing twice. A controller that is killed between a
   receiver's answer and the note of it tells that one message again, under the same key.
2. A route that cannot be reached is tried again for a while. What it then misses is counted, noted, and said:
   at once to the controller's output, and on the route itself with the next message that arrives.
3. When a queue is full, the least grave of the oldest makes room.
"""

import json
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

from tranche.adapters.folder import Folder
from tranche.news import News, Reader, Sender, is_wanted, read_on
from tranche.plan import Plan
from tranche.ports import LogFault, Notifier, NotTold, Recorded
from tranche.routes import Route, Severity, Topic
from tranche.secret import SecretMissing

FILE: Final = "told.json"
MOST_WAITING: Final = 100
MOST_KEYS: Final = 50
LAST_PART: Final = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a message is tried, and how the waits between tries grow. Seconds."""

    within_s: float = 300.0
    first_wait_s: float = 1.0
    longest_wait_s: float = 60.0
    jitter_s: float = 1.0

    def wait_or_give_up(self, error: Exception) -> bool | float:
        """What stamina asks after each failure: whether to go on, or after how many seconds."""
        if not isinstance(error, NotTold):
            return isinstance(error, SecretMissing)
        return error.again_in_s if error.again_in_s is not None and not error.is_final else not error.is_final


Reached = tuple[int, int]
"""A position of the log, and which of that event's messages; all of them are told up to here."""


@dataclass
class Round:
    """One route on its way: what waits, how far it has come, and what it missed."""

    name: str
    route: Route
    sender: Sender
    reached: Reached
    missed: int = 0
    unsaid: int = 0
    waiting: deque[tuple[Reached, News]] = field(default_factory=deque)
    under_way: bool = False
    thread: threading.Thread | None = None


class Courier:
    """Follows one rollout's log, and is the controller's notifier besides."""

    def __init__(
        self,
        *,
        plan: Plan,
        rollout: str,
        begun_at: int,
        ways: Mapping[str, tuple[Route, Sender]],
        folder: Folder,
        console: Notifier,
        patience: Patience | None = None,
    ) -> None:
        """`begun_at`: a route of which nothing is noted is told what stands behind this position of the log."""
        self._reader = Reader(plan=plan)
        self._rollout, self._folder, self._console = rollout, folder, console
        self._patience = patience or Patience()
        self._changed = threading.Condition()
        self._closing = False
        self._told_keys: deque[str] = deque(maxlen=MOST_KEYS)
        noted = _noted(folder, rollout)
        self._rounds = [
            Round(
                name=name,
                route=route,
                sender=sender,
                reached=noted.get(name, ((begun_at, LAST_PART), 0))[0],
                missed=noted.get(name, ((0, 0), 0))[1],
            )
            for name, (route, sender) in ways.items()
        ]
        if self._rounds:
            self._note()
        for each in self._rounds:
            each.thread = threading.Thread(
                target=self._run, args=(each,), name=f"route {each.name}", daemon=True
            )
            each.thread.start()

    def follow(self, recorded: Recorded) -> None:
        """The next event of the log, from the first; what a route was told before is not told again."""
        if recorded.position <= self._reader.position:
            return
        self._reader, news = read_on(self._reader, recorded)
        for each in self._rounds:
            for part, one in enumerate(news):
                if (recorded.position, part) > each.reached and is_wanted(one, each.route):
                    self._put(each, (recorded.position, part), one)

    def tell(self, *, title: str, text: str, severity: str, key: str, recorded: bool = False) -> None:
        """As the port says. What stands in the log is told from there."""
        self._console.tell(title=title, text=text, severity=severity, key=key, recorded=recorded)
        if recorded or key in self._told_keys:
            return
        self._told_keys.append(key)
        grave, matter = Severity(severity), self._reader.matter
        news = News(
            key=key,
            rollout=self._rollout,
            topic=Topic.FAULT,
            severity=grave,
            title=title,
            text=text,
            at=datetime.now(UTC),
            matter=matter.key if matter is not None and grave is Severity.CRITICAL else None,
        )
        for each in self._rounds:
            if is_wanted(news, each.route):
                self._put(each, (0, 0), news)

    def close(self, *, within_s: float) -> None:
        """Let what waits be sent, for so long; say what was not."""
        deadline = time.monotonic() + within_s
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        for each in self._rounds:
            if each.thread is not None:
                each.thread.join(max(0.0, deadline - time.monotonic()))
            left = len(each.waiting) + each.under_way
            if left:
                self._say(f"'{each.name}' was not told {left} messages before the end")

    def _put(self, each: Round, reached: Reached, news: News) -> None:
        with self._changed:
            if len(each.waiting) >= MOST_WAITING:
                order = list(Severity)
                least = min(each.waiting, key=lambda item: order.index(item[1].severity))
                each.waiting.remove(least)
                self._miss(each, least[1], "too many messages wait")
            each.waiting.append((reached, news))
            self._changed.notify_all()

    def _run(self, each: Round) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: each.waiting or self._closing)
                if not each.waiting:
                    return
                reached, news = each.waiting.popleft()
                each.under_way = True
            fault = self._send(each, news)
            with self._changed:
                each.under_way = False
                if fault is None:
                    each.unsaid = 0
                else:
                    self._miss(each, news, fault)
                each.reached = max(each.reached, reached)
                self._note()

    def _send(self, each: Round, news: News) -> str | None:
        """Try for a while; None when it arrived, otherwise why not."""
        import stamina  # a twentieth of a second: commands that tell nothing do without

        if each.unsaid:
            news = replace(news, text=f"{news.text} ({each.unsaid} messages before this one were lost)")
        patience = self._patience
        try:
            for attempt in stamina.retry_context(
                on=patience.wait_or_give_up,
                attempts=None,
                timeout=patience.within_s,
                wait_initial=patience.first_wait_s,
                wait_max=patience.longest_wait_s,
                wait_jitter=patience.jitter_s,
            ):
                with attempt:
                    each.sender.send(news)
        except (NotTold, SecretMissing) as fault:
            return str(fault)
        return None

    def _miss(self, each: Round, news: News, why: str) -> None:
        each.missed += 1
        each.unsaid += 1
        self._say(f"'{each.name}' was not told '{news.title}' ({why}); {each.missed} so far")

    def _say(self, text: str) -> None:
        self._console.tell(title=f"{self._rollout}: news", text=text, severity="warning", key=text)

    def _note(self) -> None:
        """Keep how far each route has come. A full disk costs at most a message told twice."""
        routes = {each.name: {"reached": each.reached, "missed": each.missed} for each in self._rounds}
        try:
            self._folder.write(FILE, json.dumps({"rollout": self._rollout, "routes": routes}))
        except LogFault as fault:
            self._say(f"how far it has come could not be noted: {fault}")


def _noted(folder: Folder, rollout: str) -> dict[str, tuple[Reached, int]]:
    """What an earlier controller of this rollout has noted; a damaged note is as good as none."""
    data: Any = folder.read_json(FILE)
    try:
        if data is None or data["rollout"] != rollout:
            return {}
        return {
            str(name): ((int(kept["reached"][0]), int(kept["reached"][1])), int(kept["missed"]))
            for name, kept in data["routes"].items()
        }
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        return {}
