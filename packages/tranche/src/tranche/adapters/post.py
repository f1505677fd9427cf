"""One POST to another system. Addresses may be secrets here, so nothing of them is told or logged.

That is why this is not urllib3, which logs the path of every request and puts it into its errors.
"""

import http.client
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from tranche.ports import NotTold

TIMEOUT_S: Final = 10.0
MOST_READ: Final = 4096
LONGEST_WAIT_S: Final = 120.0
TOO_MANY: Final = 429


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back: the status, the first bytes, and in how many seconds to come again, if it says so."""

    status: int
    body: bytes
    again_in_s: float | None = None


def post(url: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float = TIMEOUT_S) -> Answer:
    """Send it once. Redirects are not followed; certificates are checked.

    Raises:
        NotTold: there is no answer. Its message says nothing of the address.
    """
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection = _connection(parts.scheme, parts.hostname or "", parts.port, timeout_s)
        try:
            connection.request("POST", path, body=body, headers={"user-agent": "tranche", **headers})
            response = connection.getresponse()
            wait = _seconds(response.headers.get("retry-after"))
            return Answer(status=response.status, body=response.read(MOST_READ), again_in_s=wait)
        finally:
            connection.close()
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NotTold(f"no answer ({type(error).__name__})") from None


def check(answer: Answer) -> None:
    """Whether a message arrived, by the status.

    Raises:
        NotTold: it did not. Told to come again later (429, 5xx) or timed out (408), it may yet.
    """
    if 200 <= answer.status < 300:
        return
    is_final = answer.status < 500 and answer.status not in {408, TOO_MANY}
    raise NotTold(f"answered {answer.status}", is_final=is_final, again_in_s=answer.again_in_s)


def _connection(scheme: str, host: str, port: int | None, timeout_s: float) -> http.client.HTTPConnection:
    if scheme == "https":
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(host, port, timeout=timeout_s, context=context)
    if scheme == "http":
        return http.client.HTTPConnection(host, port, timeout=timeout_s)
    raise NotTold("the address is none of http or https; mend it", is_final=True)


def _seconds(said: str | None) -> float | None:
    """A `Retry-After` in seconds; as a date it is not read, and the usual wait is kept."""
    return min(float(said), LONGEST_WAIT_S) if said is not None and said.strip().isdecimal() else None
