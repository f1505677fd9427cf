"""A service starts whole or says in one line why not; told to stop, it finishes what it was asked."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from kit.serve import FAULT, REFUSED, ServiceFault, fail, listen, run

pytestmark = pytest.mark.integration
HOST, WITHIN_S = "127.0.0.1", 20.0

SERVICE = """
import asyncio
import sys
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from kit.serve import ServiceFault, fail, run

port, way, here = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])


async def until(name):
    while not (here / name).exists():
        await asyncio.sleep(0.01)


async def quick(request):
    return PlainTextResponse("quick")


async def slow(request):
    (here / "arrived").touch()
    await until("finish")
    return PlainTextResponse("finished")


@asynccontextmanager
async def lifespan(app):
    if way == "broken":
        raise RuntimeError("the projector cannot start")
    yield
    (here / "ended").touch()


async def build():
    if way == "fault":
        raise ServiceFault("SHOP_DATABASE_URL: no database; is it running?")
    if way == "bug":
        raise AssertionError("this cannot be")
    (here / "building").touch()
    if way == "late":
        await until("build")
    return Starlette(routes=[Route("/quick", quick), Route("/slow", slow)], lifespan=lifespan)


limits = {"few": {"max_requests": 3}, "hasty": {"grace_s": 1}}
try:
    run(build, host="127.0.0.1", port=port, **limits.get(way, {}))
except ServiceFault as error:
    sys.exit(fail(f"shop: {error}"))
"""


@dataclass
class Service:
    """A service as a process."""

    process: subprocess.Popen[str]
    url: str
    here: Path

    async def end(self) -> tuple[int, str]:
        """Its exit code, and what it said on standard error."""
        _, said = await asyncio.to_thread(self.process.communicate, timeout=WITHIN_S)
        return self.process.returncode, said

    async def is_up(self) -> None:
        await eventually(lambda: get(f"{self.url}/quick"), "quick")

    async def reached(self, name: str) -> None:
        async def there() -> bool:
            return (self.here / name).exists()

        await eventually(there, True)


Start = Callable[..., Service]


async def get(url: str) -> str:
    """The body of the answer, or what hindered it."""
    try:
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return await answer.text()
    except aiohttp.ClientConnectorError:
        return "nobody listens"
    except aiohttp.ClientError:
        return "cut off"


async def eventually(ask: Callable[[], Awaitable[object]], expected: object) -> None:
    deadline = time.monotonic() + WITHIN_S
    while (found := await ask()) != expected:
        assert time.monotonic() < deadline, f"expected {expected!r}, found {found!r}"
        await asyncio.sleep(0.01)


@pytest.fixture
def port() -> int:
    with socket.create_server((HOST, 0)) as free:
        return int(free.getsockname()[1])


@pytest.fixture
async def start(tmp_path: Path, port: int) -> AsyncIterator[Start]:
    script = tmp_path / "service.py"
    script.write_text(SERVICE)
    started = []

    def begin(way: str = "whole", *, port: int = port) -> Service:
        command = [sys.executable, str(script), str(port), way, str(tmp_path)]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        started.append(process)
        return Service(process, f"http://{HOST}:{port}", tmp_path)

    yield begin
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
async def test_told_to_stop_it_ends_well(start: Start, told: signal.Signals) -> None:
    service = start()
    await service.is_up()
    service.process.send_signal(told)
    assert await service.end() == (0, "")
    assert (service.here / "ended").exists()


async def test_told_to_stop_it_finishes_a_request_and_takes_no_more(start: Start) -> None:
    service = start()
    await service.is_up()
    under_way = asyncio.create_task(get(f"{service.url}/slow"))
    await service.reached("arrived")
    service.process.send_signal(signal.SIGTERM)
    await eventually(lambda: get(f"{service.url}/quick"), "nobody listens")
    assert service.process.poll() is None
    (service.here / "finish").touch()
    assert await under_way == "finished"
    assert await service.end() == (0, "")


async def test_a_request_may_not_keep_it_longer_than_its_grace(start: Start) -> None:
    service = start("hasty")
    await service.is_up()
    under_way = asyncio.create_task(get(f"{service.url}/slow"))
    await service.reached("arrived")
    service.process.send_signal(signal.SIGTERM)
    code, _ = await service.end()
    assert code == 0
    assert await under_way != "finished"


async def test_told_to_stop_while_it_starts_it_does_not_start(start: Start) -> None:
    service = start("late")
    await service.reached("building")
    service.process.send_signal(signal.SIGTERM)
    code, _ = await service.end()
    assert code == -signal.SIGTERM


async def test_it_ends_well_after_as_many_requests_as_it_may_answer(start: Start) -> None:
    service = start("few")
    await service.is_up()
    assert [await get(f"{service.url}/quick") for _ in range(2)] == ["quick"] * 2
    assert (await service.end())[0] == 0


async def test_a_fault_of_the_world_is_one_line_and_exit_3(start: Start) -> None:
    assert await start("fault").end() == (FAULT, "shop: SHOP_DATABASE_URL: no database; is it running?\n")


async def test_a_bug_is_no_fault_of_the_world(start: Start) -> None:
    code, said = await start("bug").end()
    assert code == 1
    assert "AssertionError: this cannot be" in said


async def test_a_lifespan_that_cannot_begin_is_a_fault_and_says_why(start: Start) -> None:
    code, said = await start("broken").end()
    assert code == FAULT
    assert "the projector cannot start" in said
    assert said.endswith("Application startup failed. Exiting.\n")


async def test_a_busy_port_is_one_line_and_exit_3(start: Start, port: int) -> None:
    service = start()
    await service.is_up()
    told = f"shop: cannot listen on {HOST}:{port} (Address already in use); choose another port\n"
    assert await start().end() == (FAULT, told)
    assert await get(f"{service.url}/quick") == "quick"


async def test_a_port_is_busy_before_its_service_is_built(start: Start, port: int) -> None:
    late = start("late")
    await late.reached("building")
    code, said = await start("whole").end()
    assert (code, "Address already in use" in said) == (FAULT, True)
    (late.here / "build").touch()
    await late.is_up()


async def test_a_port_is_free_again_at_once_though_callers_were_connected(start: Start) -> None:
    for _ in range(2):
        service = start()
        await service.is_up()
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{service.url}/quick") as answer:
                assert answer.status == 200
            service.process.send_signal(signal.SIGTERM)
            assert await service.end() == (0, "")


@pytest.mark.parametrize(("host", "number"), [("192.0.2.1", 0), ("no such host", 0), (HOST, 70_000)])
def test_an_address_that_is_not_ours_is_a_fault(host: str, number: int) -> None:
    with pytest.raises(ServiceFault, match=f"^cannot listen on {host}:{number} (.+); choose another port$"):
        listen(host, number)


def test_nothing_is_left_listening_when_building_fails(port: int) -> None:
    async def build() -> None:
        raise ServiceFault("no")

    for _ in range(2):
        with pytest.raises(ServiceFault, match=r"^no$"):
            run(build, host=HOST, port=port)  # type: ignore[arg-type]
    listen(HOST, port).close()


@pytest.mark.parametrize("code", [REFUSED, FAULT])
def test_a_failure_is_one_line_on_standard_error(capsys: pytest.CaptureFixture[str], code: int) -> None:
    assert fail("shop: it is shut", code) == code
    assert capsys.readouterr() == ("", f"shop: it is shut{os.linesep}")
