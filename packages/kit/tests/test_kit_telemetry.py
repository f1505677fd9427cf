"""A service says what it does: one JSON line per event, and requests counted by route, never by path."""

import subprocess
import sys
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import aiohttp
import orjson
import pytest
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kit.telemetry import LATENCY_EDGES_S, RequestMetrics, metrics_route

Served = Callable[[ASGIApp], Awaitable[str]]

LOGGING = """
from kit.telemetry import configure_logging, log
configure_logging(service="shop", colour="green")
log().info("order taken", order=7, amount_minor=1250)
log().debug("not worth a line")
try:
    raise KeyError("no such order")
except KeyError:
    log().exception("order lost", reason=ValueError("a thing JSON does not know"))
"""


async def item(request: Request) -> Response:
    return Response(request.path_params["id"])


async def breaks(_: Request) -> Response:
    raise RuntimeError("broken on purpose")


async def teapot(_: Request) -> Response:
    return Response(status_code=418)


def shop() -> Starlette:
    return Starlette(
        routes=[
            Route("/items/{id}", item, methods=["GET", "PUT"]),
            Route("/breaks", breaks),
            Route("/teapot", teapot),
            metrics_route(),
        ],
        middleware=[Middleware(RequestMetrics)],
    )


def counted(method: str, route: str, status: int) -> float:
    labels = {"method": method, "route": route, "status": str(status)}
    return REGISTRY.get_sample_value("http_request_duration_seconds_count", labels) or 0.0


async def call(url: str, method: str = "GET", **headers: str) -> tuple[int, str, str]:
    async with aiohttp.ClientSession() as session, session.request(method, url, headers=headers) as answer:
        return answer.status, answer.headers.get("content-type", ""), await answer.text()


@pytest.mark.parametrize(
    ("method", "path", "route", "status"),
    [
        ("GET", "/items/4711", "/items/{id}", 200),
        ("PUT", "/items/another", "/items/{id}", 200),
        ("GET", "/teapot", "/teapot", 418),
        ("GET", "/breaks", "/breaks", 500),
        ("POST", "/teapot", "/teapot", 405),
        ("GET", "/nowhere/4711", "none", 404),
    ],
)
async def test_a_request_is_counted_by_method_route_and_status(
    served: Served, method: str, path: str, route: str, status: int
) -> None:
    url, before = await served(shop()), counted(method, route, status)
    assert (await call(f"{url}{path}", method))[0] == status
    assert counted(method, route, status) == before + 1


async def test_no_identifier_becomes_a_label(served: Served) -> None:
    url = await served(shop())
    for number in range(5):
        await call(f"{url}/items/customer-{number}")
        await call(f"{url}/customer-{number}")
    assert "customer-" not in (await call(f"{url}/metrics"))[2]


async def test_a_request_that_is_no_http_is_passed_on_uncounted() -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    async def receive() -> Message:
        return {"type": "lifespan.startup"}

    async def send(_: Message) -> None:
        """Nobody listens."""

    before = [sample for metric in REGISTRY.collect() for sample in metric.samples]
    await RequestMetrics(app)({"type": "lifespan"}, receive, send)
    names = {sample.name for sample in before if sample.name.startswith("http_request")}
    after = [sample for metric in REGISTRY.collect() for sample in metric.samples]
    assert seen == ["lifespan"]
    assert [s for s in after if s.name in names] == [s for s in before if s.name in names]


async def test_the_objectives_are_edges_of_the_histogram(served: Served) -> None:
    assert {0.3, 0.5} < set(LATENCY_EDGES_S)
    assert list(LATENCY_EDGES_S) == sorted(LATENCY_EDGES_S)
    url = await served(shop())
    await call(f"{url}/teapot")
    _, _, text = await call(f"{url}/metrics")
    edges = {
        float(sample.labels["le"])
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "http_request_duration_seconds_bucket"
    }
    assert edges == {*LATENCY_EDGES_S, float("inf")}


async def test_metrics_come_in_the_format_that_is_asked_for(served: Served) -> None:
    url = await served(shop())
    status, plain, text = await call(f"{url}/metrics")
    assert (status, plain.split(";")[0]) == (200, "text/plain")
    assert "# TYPE http_request_duration_seconds histogram" in text
    _, open_metrics, text = await call(f"{url}/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert open_metrics.split(";")[0] == "application/openmetrics-text"
    assert text.endswith("# EOF\n")


def test_log_lines_are_json_and_say_who_when_and_what() -> None:
    done = subprocess.run([sys.executable, "-c", LOGGING], capture_output=True, check=True, text=True)
    taken, lost = (orjson.loads(line) for line in done.stdout.splitlines())
    at = datetime.fromisoformat(taken.pop("at"))
    assert at.utcoffset() == timedelta(0)
    assert taken == {
        "event": "order taken",
        "level": "info",
        "service": "shop",
        "colour": "green",
        "order": 7,
        "amount_minor": 1250,
    }
    assert (lost["event"], lost["level"]) == ("order lost", "error")
    assert lost["reason"] == "a thing JSON does not know"
    assert "KeyError: 'no such order'" in lost["exception"]
    assert done.stderr == ""
