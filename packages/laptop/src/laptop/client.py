"""One HTTP client for everything the laptop's users ask, always through Envoy."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import aiohttp
import orjson

TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back. `headers` are lower case; `body` is None where it is not JSON."""

    status: int
    headers: Mapping[str, str]
    body: Any


class NoAnswer(Exception):
    """The connection failed or was cut before an answer was complete."""


class Client:
    """Asks one address. Use as an asynchronous context manager."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def ask(self, method: str, path: str, *, token: str | None = None, body: object = None) -> Answer:
        """Send a request and read the whole answer.

        Raises:
            NoAnswer: none came, or not within TIMEOUT_S.
        """
        headers = {"content-type": "application/json"}
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        data = None if body is None else orjson.dumps(body)
        try:
            async with self._session.request(method, self._url + path, data=data, headers=headers) as got:
                text = await got.read()
                found = {name.lower(): value for name, value in got.headers.items()}
                return Answer(status=got.status, headers=found, body=parsed(text))
        except (aiohttp.ClientError, TimeoutError) as error:
            raise NoAnswer(type(error).__name__) from error


def parsed(text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
