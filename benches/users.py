"""Users of the bench: an open load from a process of its own, and what each of them met.

Reads a job as JSON from its standard input: `url`, `rate` (requests a second), `tokens` (of known users, by name) and
`visitors` (how many have a cookie jar instead). Writes a line when it begins. Requests begin when they are due, whether
or not the ones before were answered. It ends when it is told to (SIGTERM), or, with `once`, when each user has asked
one time, and writes what it met as JSON: `late_ms_p99`, its own lateness, and `answers`, each
[user, cookie, began, ended, status, arm, version] with times in seconds since 1970. Status 0: none.
"""

import asyncio
import json
import random
import signal
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import aiohttp

COOKIE = "tranche-visitor"
WITHIN_S = 10.0


@dataclass(slots=True)
class User:
    """Somebody who is known by a token, or by the cookie that the first answer brought."""

    name: str
    token: str | None
    cookie: str = ""
    is_asking: bool = False

    @property
    def headers(self) -> dict[str, str]:
        if self.token is not None:
            return {"authorization": f"Bearer {self.token}"}
        return {"cookie": f"{COOKIE}={self.cookie}"} if self.cookie else {}

    @property
    def can_ask(self) -> bool:
        """A visitor whose first answer is still under way would be taken for another one."""
        return self.token is not None or bool(self.cookie) or not self.is_asking


@dataclass(slots=True)
class Load:
    """All of them, and what they met."""

    url: str
    rate: float
    users: list[User]
    once: bool = False
    answers: list[list[Any]] = field(default_factory=list)
    late_ms: list[float] = field(default_factory=list)

    async def run(self, done: asyncio.Event) -> None:
        chance, turn, under_way = random.Random(1), 0, set[asyncio.Task[None]]()  # noqa: S311 - arrivals
        due = time.time()
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:
            while not (done.is_set() or (self.once and turn == len(self.users))):
                due += chance.expovariate(self.rate)
                await asyncio.sleep(max(0.0, due - time.time()))
                user = self.users[turn % len(self.users)]
                turn += 1
                if not user.can_ask:
                    continue
                self.late_ms.append(1000 * max(0.0, time.time() - due))
                task = asyncio.create_task(self._ask(session, user))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
            await asyncio.gather(*under_way)

    async def _ask(self, session: aiohttp.ClientSession, user: User) -> None:
        user.is_asking, began = True, time.time()
        status, arm, version = 0, "", ""
        try:
            limit = aiohttp.ClientTimeout(total=WITHIN_S)
            async with session.get(self.url, headers=user.headers, timeout=limit) as answer:
                version, status = (await answer.read()).decode(errors="replace"), answer.status
                arm = answer.headers.get("x-tranche-arm", "")
                given = answer.cookies.get(COOKIE)
                if given is not None and user.token is None:
                    user.cookie = given.value
        except (aiohttp.ClientError, OSError, TimeoutError) as fault:
            version = type(fault).__name__
        self.answers.append([user.name, user.cookie, began, time.time(), status, arm, version])
        user.is_asking = False


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[int(share * (len(values) - 1))] if values else 0.0


async def main() -> None:
    job, done = json.load(sys.stdin), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, done.set)
    users = [User(name, token) for name, token in job["tokens"].items()]
    users += [User(f"visitor-{number}", None) for number in range(job["visitors"])]
    random.Random(1).shuffle(users)  # noqa: S311 - an order
    load = Load(job["url"], job["rate"], users, once=job["once"])
    sys.stdout.write("under way\n")
    sys.stdout.flush()
    await load.run(done)
    json.dump({"late_ms_p99": percentile(load.late_ms, 0.99), "answers": load.answers}, sys.stdout)


if __name__ == "__main__":
    asyncio.run(main())
