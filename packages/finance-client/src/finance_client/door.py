"""Sends one operation over HTTP and reads its answer; sends it again when the world, not the rules, said no."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import msgspec
import urllib3

from finance_client.answer import Answer
from finance_client.operation import Operation

AGAIN: Final = frozenset({429, 500, 502, 503, 504})
"""Statuses after which the same request may do: nobody knows whether it was done, and its key makes sure that it is
done once.
"""

T = TypeVar("T", bound=Answer)


class Refused(Exception):
    """Understood, and the rules say no; nothing was written. `code` is stable, `message` is for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class Denied(Refused):
    """The token is missing, not good, or does not carry the permission."""


class Unavailable(Exception):
    """All attempts failed. A mutation may have been done: give `key` with the same command, and it is done once."""

    def __init__(self, told: str, key: str | None) -> None:
        super().__init__(told if key is None else f"{told}; send it again with the key {key}")
        self.key = key


class Unreadable(Exception):
    """An answer that this client does not understand: another service, or a contract that it does not know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often and how patiently. The pause before attempt n + 1 is between half and all of first x 2^(n - 1)."""

    attempts: int = 5
    first_pause_s: float = 0.1
    longest_pause_s: float = 5.0

    def pause_s(self, attempt: int, chance: float) -> float:
        """After this attempt, from 1; `chance` is from 0 to 1, so that many clients do not come back at once."""
        return min(self.longest_pause_s, self.first_pause_s * 2.0 ** (attempt - 1)) * (1 + chance) / 2


class Told(msgspec.Struct, frozen=True):
    """An error of GraphQL."""

    message: str = ""
    extensions: Mapping[str, Any] = {}


class Body(msgspec.Struct, frozen=True):
    data: dict[str, msgspec.Raw] | None = None
    errors: tuple[Told, ...] = ()


class Named(msgspec.Struct, frozen=True):
    """What is common to a mutation's answers."""

    typename: str = msgspec.field(name="__typename")
    code: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """Where the service is, and how it is asked. `token` is called for every attempt, so that it may be renewed.

    `sleep` waits so many seconds, `chance` is a number from 0 to 1; `timeout_s` is for one attempt, whole.
    """

    url: str
    token: Callable[[], str]
    sleep: Callable[[float], None]
    chance: Callable[[], float]
    retry: Retry
    timeout_s: float
    pool: urllib3.PoolManager

    def ask(
        self, operation: Operation[T], variables: Mapping[str, object], key: str | None = None
    ) -> msgspec.Raw:
        """The root field's value, not read yet.

        Raises:
            Refused: the rules, or the service before them, said no.
            Unavailable: every attempt failed.
            Unreadable: this is no answer of the finance service.
        """
        body = msgspec.json.encode({"query": operation.text, "variables": variables})
        attempt = 0
        while True:
            attempt += 1
            status, said = self._send(body)
            if status not in {0, *AGAIN}:
                return read(operation, status, said)
            if attempt >= self.retry.attempts:
                why = said.decode(errors="replace")[:200]
                told = f"{operation.field}: {attempt} attempts at {self.url} failed ({status or 'no answer'}: {why})"
                raise Unavailable(told, key)
            self.sleep(self.retry.pause_s(attempt, self.chance()))

    def _send(self, body: bytes) -> tuple[int, bytes]:
        """The status and what was said; status 0 when there was no answer."""
        headers = {"content-type": "application/json", "authorization": f"Bearer {self.token()}"}
        try:
            answer = self.pool.request(
                "POST",
                f"{self.url}/graphql",
                body=body,
                headers=headers,
                timeout=urllib3.Timeout(total=self.timeout_s),
                retries=False,
                redirect=False,
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            return 0, f"{type(error).__name__}: {error}".encode()
        return answer.status, answer.data


def read(operation: Operation[T], status: int, said: bytes) -> msgspec.Raw:
    """The root field's value of an answer; its refusals are raised."""
    try:
        body = msgspec.json.decode(said, type=Body)
    except msgspec.DecodeError as error:
        raise Unreadable(f"{operation.field}: status {status}, expected JSON of GraphQL ({error})") from error
    if body.errors:
        first = body.errors[0]
        kind = Denied if status in {401, 403} else Refused
        raise kind(str(first.extensions.get("code", f"http-{status}")), first.message)
    if status != 200 or body.data is None or operation.field not in body.data:
        raise Unreadable(f"{operation.field}: status {status}, expected its value, found none")
    value = body.data[operation.field]
    if operation.typename is not None:
        named = decoded(operation.field, value, Named)
        if named.typename == "Refusal":
            raise Refused(named.code, named.message)
        if named.typename != operation.typename:
            raise Unreadable(f"{operation.field}: expected {operation.typename}, found {named.typename}")
    return value


S = TypeVar("S")


def decoded(field: str, value: msgspec.Raw, kind: type[S]) -> S:
    """The value.

    Raises:
        Unreadable: it is not what the contract says.
    """
    try:
        return msgspec.json.decode(value, type=kind)
    except msgspec.DecodeError as error:
        raise Unreadable(f"{field}: expected {getattr(kind, '__name__', kind)} ({error})") from error
