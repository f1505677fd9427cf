"""The open loop, against a real server."""

import asyncio
import io
import json
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from laptop import ledger, pace
from laptop.client import Client, NoAnswer
from laptop.fault import LaptopFault
from laptop.traffic import Traffic, company_of, in_turn, log_in_all
from laptop.visits import Company, User, Written

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Serve = Callable[[Handler], Awaitable[Client]]
NAMED = {"x-finance-release": "1.0.0", "x-tranche-arm": "green", "x-finance-colour": "green"}
USERS = [
    User(id=f"u{n}", tenant="t", username=f"user{n}", roles=frozenset({"auditor"}), internal=False)
    for n in range(20)
]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Serves one handler for every path; the client that asks it."""
    runners, clients = [], []

    async def start(handler: Handler) -> Client:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        runners.append(runner)
        clients.append(Client(f"http://127.0.0.1:{runner.addresses[0][1]}"))
        return clients[-1]

    yield start
    for client in clients:
        await client.__aexit__()
    for runner in runners:
        await runner.cleanup()


def traffic(client: Client, *, rate: float = 200.0) -> Traffic:
    return Traffic(
        client=client,
        users=USERS,
        companies={"t": Company(tenant="t", customers=["c"], products=["p"])},
        tokens={user.id: "token" for user in USERS},
        chance=random.Random(1),
        file=io.BytesIO(),
        rate=rate,
    )


async def work(made: Traffic, seconds: float) -> list[dict[str, Any]]:
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, stop.set)
    await made.work(stop)
    assert isinstance(made.file, io.BytesIO)
    return [json.loads(line) for line in made.file.getvalue().splitlines()]


async def good(request: web.Request) -> web.StreamResponse:
    asked = await request.json()
    if "trialBalance" in asked["query"]:
        data: dict[str, Any] = {"trialBalance": {"summary": {"isBalanced": True}}}
    else:
        data = {"invoices": [], "payments": []}
    return web.json_response({"data": data}, headers=NAMED)


async def test_arrivals_keep_their_rate_though_answers_are_slow(serve: Serve) -> None:
    async def slow(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.5)
        return await good(request)

    records = await work(traffic(await serve(slow)), 1.5)
    assert 200 < len(records) < 400, "300 were due; a closed loop of 20 users would have sent 60"
    assert all(record["ended"] - record["intended"] >= 0.5 for record in records)
    assert {record["failure"] for record in records} == {None}


async def test_what_cannot_be_sent_is_dropped_and_an_error(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("laptop.traffic.MOST_UNDER_WAY", 5)

    async def stuck(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(1)
        return await good(request)

    records = await work(traffic(await serve(stuck)), 0.5)
    kinds = {record["failure"] for record in records}
    assert kinds == {None, "dropped"}
    assert sum(1 for record in records if record["failure"] is None) == 5


async def test_every_kind_of_failure_is_told_apart(serve: Serve) -> None:
    answers = iter(range(1000))

    async def mixed(request: web.Request) -> web.StreamResponse:
        match next(answers) % 4:
            case 0:
                return web.json_response({"data": None, "errors": [{}]}, headers=NAMED, status=500)
            case 1:
                return web.Response(status=503, text="no healthy upstream")
            case 2:
                assert request.transport is not None
                request.transport.close()
                return web.Response()
            case _:
                return await good(request)

    records = await work(traffic(await serve(mixed)), 0.8)
    first = [record for record in records if not record["retry"]]
    assert {record["failure"] for record in first} == {"application", "proxy", "transport", None}
    again = sum(1 for record in records if record["retry"])
    assert again == sum(1 for record in first if record["failure"] in {"proxy", "transport"})


async def test_a_write_without_an_answer_is_repeated_with_its_key_and_counted_once(serve: Serve) -> None:
    keys: list[str] = []

    async def forgetful(request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        if "createInvoice" not in asked["query"]:
            return await good(request)
        keys.append(asked["variables"]["key"])
        if keys.count(keys[-1]) == 1:
            return web.Response(status=503)
        made = {"createInvoice": {"__typename": "Invoice", "id": keys[-1], "version": 1}}
        return web.json_response({"data": made}, headers=NAMED)

    made = traffic(await serve(forgetful))
    made.users = [
        User(id="u0", tenant="t", username="user0", roles=frozenset({"accounts_receivable"}), internal=False)
    ]
    made.companies["t"].drafts = type(made.companies["t"].drafts)(maxlen=0)  # nothing to go on with
    await work(made, 0.3)
    assert len(keys) > 2
    assert {keys.count(key) for key in keys} == {2}
    assert len(made.written) == len(set(keys))


def test_every_user_comes_once_before_anybody_comes_again() -> None:
    turns = in_turn(USERS, random.Random(1))
    first, second = ([next(turns) for _ in USERS] for _ in range(2))
    assert set(first) == set(USERS)
    assert second == first, "or who came last may come first, and a stretch of requests shows fewer users"
    assert [next(in_turn(USERS, random.Random(seed))) for seed in (2, 3)] != first[:1] * 2


async def test_a_user_who_is_not_let_in_is_a_fault(serve: Serve) -> None:
    async def refuse(_: web.Request) -> web.StreamResponse:
        return web.json_response({"code": "invalid-credentials"}, status=401)

    with pytest.raises(ExceptionGroup) as caught:
        await log_in_all(await serve(refuse), USERS, "wrong", lambda _: None)
    assert isinstance(caught.value.exceptions[0], LaptopFault)
    assert "was not let in: 401" in str(caught.value.exceptions[0])


async def test_everybody_logs_in_once(serve: Serve) -> None:
    async def let_in(request: web.Request) -> web.StreamResponse:
        return web.json_response({"access_token": (await request.json())["username"]})

    told: list[int] = []
    tokens = await log_in_all(await serve(let_in), USERS, "right", told.append)
    assert tokens == {user.id: user.username for user in USERS}
    assert sorted(told) == list(range(1, 21))


async def test_empty_master_data_is_a_fault(serve: Serve) -> None:
    async def nothing(_: web.Request) -> web.StreamResponse:
        return web.json_response({"items": []})

    with pytest.raises(LaptopFault, match="no customers for t"):
        await company_of(await serve(nothing), "t", "token")


async def test_nobody_there_is_no_answer(serve: Serve) -> None:
    client = Client("http://127.0.0.1:9")
    with pytest.raises(NoAnswer):
        await client.ask("GET", "/")
    await client.__aexit__()


def books(shown: dict[str, int], variance: str = "0.00") -> Handler:
    """A ledger that shows these versions."""

    async def answer(request: web.Request) -> web.StreamResponse:
        asked = (await request.json())["query"]
        if "trialBalance" in asked:
            return web.json_response(
                {"data": {"trialBalance": {"summary": {"variance": {"amount": variance}}}}}
            )
        found = {}
        for number, part in enumerate(asked.split('(id: "')[1:]):
            version = shown.get(part.split('"')[0])
            found[f"d{number}"] = None if version is None else {"version": version}
        return web.json_response({"data": found})

    return answer


async def look_up(client: Client, *writes: Written) -> ledger.Held:
    return await ledger.look_up(client, writes, {"t": "token"}, tell=lambda *_: None)


async def test_acknowledged_writes_are_looked_up_and_balances_added(serve: Serve) -> None:
    writes = [Written(kind="invoice", id=f"i{n}", tenant="t", version=1) for n in range(120)]
    client = await serve(books({one.id: 1 for one in writes}, "-0.25"))
    held = await look_up(client, *writes)
    assert (held.acknowledged_writes, held.lost_writes) == (120, 0)
    assert held.trial_balance_difference == "0.25"


async def test_a_write_that_is_not_there_is_asked_for_again_and_then_lost(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("laptop.ledger.WITHIN_S", 0.3)
    client, begun = await serve(books({"kept": 2})), time.monotonic()
    held = await look_up(
        client,
        Written(kind="invoice", id="kept", tenant="t", version=2),
        Written(kind="payment", id="gone", tenant="t", version=1),
    )
    assert held.lost_writes == 1
    assert time.monotonic() - begun > 0.3


async def test_a_ledger_that_does_not_answer_is_a_fault_not_a_pass(serve: Serve) -> None:
    async def broken(_: web.Request) -> web.StreamResponse:
        return web.json_response({"errors": [{"message": "no"}]}, status=500)

    with pytest.raises(LaptopFault, match="does not answer: HTTP 500"):
        await look_up(await serve(broken), Written(kind="invoice", id="i", tenant="t", version=1))


async def test_a_machine_is_measured_by_users_who_wait_for_their_answers(serve: Serve) -> None:
    async def slow(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.1)
        return await good(request)

    made = traffic(await serve(slow))
    capacity = await made.capacity(seconds=0.8)

    assert 30 < capacity <= pace.CLERKS / 0.1, "eight users, a tenth of a second each"
    assert made.file.tell() == 0, "what is measured beforehand is no part of the demonstration"


async def test_what_is_not_answered_is_no_capacity(serve: Serve) -> None:
    async def broken(request: web.Request) -> web.StreamResponse:
        await request.read()
        return web.Response(status=503)

    assert await traffic(await serve(broken)).capacity(seconds=0.3) == 0


@pytest.mark.parametrize(("capacity", "rate"), [(0, 20), (50, 20), (250, 75), (5000, 300)])
def test_the_rate_is_a_part_of_that_within_reason(capacity: float, rate: float) -> None:
    assert pace.rate_for(capacity) == rate
