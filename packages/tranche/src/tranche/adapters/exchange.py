"""One request to another system over HTTP, and its answer: whole, in time, and not larger than agreed.

The time is for all of it: with a time-out for each byte, a system that sends one now and then could keep a gate for
ever. Redirects are not followed: what is meant, or signed, for one address is not for another.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tranche.ports import Fault

LARGEST: Final = 1_048_576
"""Bytes of an answer that are read when nothing else is agreed."""


class NoAnswer(Fault):
    """No answer, or none that can be used; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back. The names of headers are in small letters."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")


def exchange(
    method: str,
    url: str,
    *,
    timeout_s: float,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    largest: int = LARGEST,
) -> Answer:
    """Ask once.

    Raises:
        NoAnswer: nobody listens, it is not HTTP, the time is over, or the answer is larger than `largest` bytes.
    """
    return asyncio.run(_exchange(method, url, timeout_s, headers or {}, body, largest))


async def _exchange(
    method: str, url: str, timeout_s: float, headers: Mapping[str, str], body: bytes | None, largest: int
) -> Answer:
    import aiohttp  # a third of a second: commands that only read do without

    timeout = aiohttp.ClientTimeout(total=max(timeout_s, 0.001))
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, auto_decompress=False) as session,
            session.request(
                method,
                url,
                data=body,
                headers={"accept-encoding": "identity", **headers},
                allow_redirects=False,
            ) as response,
        ):
            read = b""
            while part := await response.content.read(largest + 1 - len(read)):
                read += part
                if len(read) > largest:
                    raise NoAnswer(f"answers more than {largest} bytes")
            names = {name.lower(): value for name, value in response.headers.items()}
            return Answer(status=response.status, body=read, headers=names)
    except TimeoutError:
        raise NoAnswer(f"does not answer within {timeout_s:g} s") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise NoAnswer(f"does not answer ({type(error).__name__})") from None


def json_of(body: bytes) -> Any:
    """The JSON of an answer, as RFC 8259 has it.

    Raises:
        NoAnswer: it is none; NaN and infinities are none, and neither is what is nested without end.
    """
    try:
        return json.loads(body, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise NoAnswer("answers no JSON") from None


def _no_number(constant: str) -> Any:
    raise ValueError(constant)
