"""The program that makes load: a job as JSON on its standard input, a result as JSON on its output.

A process of its own, so that making load slows no decision down, and so that it can be stopped.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import aiohttp

from tranche.load import MOST_AT_ONCE, due_times, result


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """`requests` are sent in turn, each as often as its `share` says; see `load_test.py` for their keys."""

    url: str
    requests: Sequence[Mapping[str, Any]]
    rate: float
    lasts_s: float
    request_timeout_s: float
    most_at_once: int = MOST_AT_ONCE


@dataclass(slots=True)
class Tally:
    """What has been met so far."""

    latencies_ms: list[float] = field(default_factory=list)
    lateness_ms: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)


async def run(job: Job) -> dict[str, Any]:
    """Send everything when it is due, wait for the last answer, and say what was met."""
    tally, under_way = Tally(), set[asyncio.Task[None]]()
    turns = [request for request in job.requests for _ in range(request["share"])]
    started = time.monotonic()
    connector = aiohttp.TCPConnector(limit=0, force_close=False)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:
        for number, after_s in enumerate(due_times(job.rate, job.lasts_s)):
            due = started + after_s
            await asyncio.sleep(max(0.0, due - time.monotonic()))  # and let the others go on when it is late
            under_way = {task for task in under_way if not task.done()}
            if len(under_way) >= job.most_at_once:
                tally.errors["dropped"] += 1
                tally.latencies_ms.append(float("inf"))
                continue
            request = turns[number % len(turns)]
            under_way.add(asyncio.create_task(_send(session, job, request, due, tally)))
        await asyncio.gather(*under_way)
    took_s = time.monotonic() - started
    return asdict(result(tally.latencies_ms, tally.lateness_ms, tally.errors, took_s))


async def _send(
    session: aiohttp.ClientSession, job: Job, request: Mapping[str, Any], due: float, tally: Tally
) -> None:
    tally.lateness_ms.append(1000 * (time.monotonic() - due))
    error = await _ask(session, job, request)
    if error is not None:
        tally.errors[error] += 1
    tally.latencies_ms.append(1000 * (time.monotonic() - due))


async def _ask(session: aiohttp.ClientSession, job: Job, request: Mapping[str, Any]) -> str | None:
    """Why it is an error, or None."""
    body = request["body"]
    try:
        async with session.request(
            request["method"],
            job.url + request["path"],
            headers=request["headers"],
            data=body.encode() if body else None,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=job.request_timeout_s),
        ) as answer:
            read = await answer.read()
            if answer.status != request["status"]:
                return f"HTTP {answer.status}"
            return None if request["contains"].encode() in read else "other content"
    except TimeoutError:
        return "time-out"
    except (aiohttp.ClientError, OSError, ValueError) as fault:
        return type(fault).__name__


def main() -> None:
    job = Job(**json.load(sys.stdin))
    json.dump(asyncio.run(run(job)), sys.stdout)


if __name__ == "__main__":
    main()
