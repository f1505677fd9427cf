"""The users, as a process of their own: log in, work in an open loop until SIGTERM, then look every write up.

Arrivals are drawn beforehand at the set rate and do not wait for answers. A latency counts from the moment a
request was meant to be sent, and one that could not be sent because too many were under way is an error.
"""

import asyncio
import os
import random
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from typing import IO, Any, Final
from uuid import uuid4

import orjson

from laptop import ledger, pace
from laptop.client import Answer, Client, NoAnswer
from laptop.fault import LaptopFault
from laptop.visits import Company, Request, User, Written, complaint, learn, next_request

LOGINS_AT_ONCE: Final = 16
MOST_UNDER_WAY: Final = 400
DRAIN_WITHIN_S: Final = 25.0
PARTNERS: Final = 200
READY, PROGRESS, PACE = "ready", "progress.json", "pace.json"
RECORDS, SUMMARY = "requests.jsonl", "summary.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What became of one request; `requests.jsonl` holds one a line.

    Times are seconds since 1970. `failure` is None or: transport (no answer), proxy (the data plane answered in
    the service's place), application (the service failed), refusal, dropped (never sent).
    """

    user: str
    internal: bool
    operation: str
    intended: float
    started: float
    ended: float
    status: int
    arm: str
    colour: str
    release: str
    failure: str | None
    detail: str
    retry: bool


def record_of(
    request: Request, intended: float, started: float, answer: Answer | None, detail: str
) -> Record:
    """Judge an answer; None is no answer, for the reason in `detail`."""
    headers: Mapping[str, str] = answer.headers if answer else {}
    failure: str | None = None
    if answer is None:
        failure = "transport"
    elif "x-finance-release" not in headers:
        failure, detail = "proxy", f"HTTP {answer.status}"
    elif answer.status != 200 or not isinstance(answer.body, dict):
        failure, detail = "application", str(complaint(request, answer.body or {}))
    else:
        wrong = complaint(request, answer.body)
        if wrong is not None:
            failure, detail = "refusal" if wrong.startswith("refused") else "application", wrong
    return Record(
        user=request.user.id,
        internal=request.user.internal,
        operation=request.operation.name,
        intended=intended,
        started=started,
        ended=time.time(),
        status=answer.status if answer else 0,
        arm=headers.get("x-tranche-arm", ""),
        colour=headers.get("x-finance-colour", ""),
        release=headers.get("x-finance-release", ""),
        failure=failure,
        detail=detail,
        retry=False,
    )


@dataclass(slots=True, kw_only=True)
class Traffic:
    """All users of one laptop at work."""

    client: Client
    users: list[User]
    companies: Mapping[str, Company]
    tokens: Mapping[str, str]
    chance: random.Random
    file: IO[bytes]
    rate: float
    written: list[Written] = field(default_factory=list)
    under_way: set[asyncio.Task[None]] = field(default_factory=set)
    most_late_s: float = 0.0

    def note(self, record: Record) -> None:
        self.file.write(orjson.dumps(asdict(record)) + b"\n")

    async def work(self, stop: asyncio.Event) -> None:
        """Send requests at the set rate until told to stop; then wait for those under way."""
        clock = asyncio.get_running_loop().time
        turns = in_turn(self.users, self.chance)
        due = clock()
        while not stop.is_set():
            due += self.chance.expovariate(self.rate)
            await pause(stop, due - clock())
            late = max(0.0, clock() - due)
            self.most_late_s = max(self.most_late_s, late)
            self.send(next(turns), intended=time.time() - late)
        if self.under_way:
            await asyncio.wait(self.under_way, timeout=DRAIN_WITHIN_S)

    async def capacity(self, seconds: float = pace.MEASURED_S) -> float:
        """Requests a second that are answered when nobody waits; what is written here is kept and looked up, too."""
        turns = in_turn(self.users, self.chance)

        async def ask() -> bool:
            request, company = self.next_request(next(turns))
            record, answer = await self.attempt(request, time.time())
            self.note_write(request, company, record, answer)
            return record.failure is None

        return await pace.answered_per_s(ask, seconds=seconds)

    def next_request(self, user: User) -> tuple[Request, Company]:
        company, today = self.companies[user.tenant], datetime.now(UTC).date()
        return next_request(
            user, company, chance=self.chance, today=today, new_key=lambda: str(uuid4())
        ), company

    def send(self, user: User, *, intended: float) -> None:
        request, company = self.next_request(user)
        if len(self.under_way) >= MOST_UNDER_WAY:
            dropped = asdict(record_of(request, intended, intended, None, "too many under way"))
            self.note(Record(**{**dropped, "failure": "dropped"}))
            return
        task = asyncio.create_task(self.visit(request, company, intended))
        self.under_way.add(task)
        task.add_done_callback(self.under_way.discard)

    async def visit(self, request: Request, company: Company, intended: float) -> None:
        """One request; one that got no answer is sent again once with the same key, and recorded again."""
        record, answer = await self.attempt(request, intended)
        self.note(record)
        if record.failure in {"transport", "proxy"}:
            record, answer = await self.attempt(request, time.time())
            self.note(Record(**{**asdict(record), "retry": True}))
        self.note_write(request, company, record, answer)

    def note_write(self, request: Request, company: Company, record: Record, answer: Answer | None) -> None:
        """Keep what was acknowledged."""
        if record.failure is None and answer is not None:
            acknowledged = learn(request, company, answer.body)
            if acknowledged is not None:
                self.written.append(acknowledged)

    async def attempt(self, request: Request, intended: float) -> tuple[Record, Answer | None]:
        started, answer, detail = time.time(), None, ""
        try:
            token = self.tokens[request.user.id]
            answer = await self.client.ask("POST", "/graphql", token=token, body=request.body)
        except NoAnswer as error:
            detail = str(error)
        return record_of(request, intended, started, answer, detail), answer


async def pause(stop: asyncio.Event, seconds: float) -> None:
    """Sleep, but not beyond the stop."""
    if seconds <= 0:
        await asyncio.sleep(0)
        return
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return


def in_turn(users: Iterable[User], chance: random.Random) -> Iterator[User]:
    """Every user once in a random order, and again in the same: nobody comes a second time before all have come.

    So the time of a phase shows as many users as it has requests, as long as there are others.
    """
    everybody = list(users)
    chance.shuffle(everybody)
    return cycle(everybody)


async def log_in_all(
    client: Client, users: list[User], password: str, tell: Callable[[int], None]
) -> dict[str, str]:
    """A token of every user, by id.

    Raises:
        LaptopFault: somebody was refused.
    """
    tokens: dict[str, str] = {}
    waiting = iter(users)

    async def clerk() -> None:
        for user in waiting:
            login = {"tenant": user.tenant, "username": user.username, "password": password}
            try:
                answer = await client.ask("POST", "/auth/login", body=login)
            except NoAnswer as error:
                raise LaptopFault(f"traffic: {user.username} could not log in: {error}") from error
            if answer.status != 200:
                raise LaptopFault(f"traffic: {user.username} was not let in: {answer.status} {answer.body}")
            tokens[user.id] = answer.body["access_token"]
            tell(len(tokens))

    async with asyncio.TaskGroup() as group:
        for _ in range(LOGINS_AT_ONCE):
            group.create_task(clerk())
    return tokens


async def company_of(client: Client, tenant: str, token: str) -> Company:
    """A company, with its partners and goods as master data has them.

    Raises:
        LaptopFault: master data does not answer with any.
    """
    found = {}
    for kind in ("customers", "products"):
        try:
            answer = await client.ask("GET", f"/api/v1/{kind}?limit={PARTNERS}", token=token)
        except NoAnswer as error:
            raise LaptopFault(f"traffic: master data does not answer: {error}") from error
        found[kind] = [item["id"] for item in (answer.body or {}).get("items", [])]
        if not found[kind]:
            raise LaptopFault(f"traffic: master data has no {kind} for {tenant} (HTTP {answer.status})")
    return Company(tenant=tenant, customers=found["customers"], products=found["products"])


def users_of(file: Path) -> list[User]:
    """The people of the file that `auth seed` wrote."""
    return [
        User(
            id=one["id"],
            tenant=one["tenant_id"],
            username=one["username"],
            roles=frozenset(one["roles"]),
            internal=one["internal"],
        )
        for one in orjson.loads(file.read_bytes())["users"]
    ]


def write(path: Path, document: object) -> None:
    """Replace a file in one step."""
    fresh = path.with_name(f".{path.name}")
    fresh.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))
    fresh.replace(path)


def run(*, url: str, users_file: Path, password: str, rate: float | None, out: Path, seed: int) -> None:
    """The whole life of the process. Writes `progress.json`, `pace.json`, `ready`, `requests.jsonl`, `summary.json`.

    Without a rate it is what the machine can bear (`pace.py`).

    Raises:
        LaptopFault: nobody can work: somebody was not let in, or master data is empty.
    """
    out.mkdir(parents=True, exist_ok=True)
    first: BaseException | None = None
    try:
        asyncio.run(live(url, users_of(users_file), password, rate, out, random.Random(seed)))  # noqa: S311 - no secret
    except* LaptopFault as group:
        first = group.exceptions[0]  # raised from in here, early Pythons 3.11 wrap it in a group
    if first is not None:
        raise first


async def live(
    url: str, users: list[User], password: str, rate: float | None, out: Path, chance: random.Random
) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stop.set)

    def tell(doing: str, done: int, of: int) -> None:
        write(out / PROGRESS, {"doing": doing, "done": done, "of": of})

    async with Client(url) as client:

        def told(done: int) -> None:
            if done % 50 == 0 or done == len(users):
                tell("logging in", done, len(users))

        tokens = await log_in_all(client, users, password, told)
        managers = ledger.managers(users)
        companies = {
            tenant: await company_of(client, tenant, tokens[user.id]) for tenant, user in managers.items()
        }
        with (out / RECORDS).open("wb") as file:
            traffic = Traffic(
                client=client,
                users=users,
                companies=companies,
                tokens=tokens,
                chance=chance,
                file=file,
                rate=rate or pace.SLOWEST,
            )
            if rate is None:
                tell("measuring the machine", 0, 1)
                capacity = await traffic.capacity()
                traffic.rate = pace.rate_for(capacity)
                write(out / PACE, {"answered_per_s": round(capacity, 1), "rate": round(traffic.rate, 1)})
            (out / READY).write_text(str(os.getpid()), encoding="utf-8")
            await traffic.work(stop)
        held = await ledger.look_up(
            client,
            traffic.written,
            {tenant: tokens[user.id] for tenant, user in managers.items()},
            tell=lambda done, of: tell("looking writes up", done, of),
        )
    summary: dict[str, Any] = {
        **asdict(held),
        "rate": round(traffic.rate, 1),
        "most_late_s": round(traffic.most_late_s, 3),
    }
    write(out / SUMMARY, summary)
