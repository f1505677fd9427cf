"""The way there and back: asks over HTTP, again when the world says no, and reads what the rules say no to."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from email.message import Message
from typing import IO, Any, Final, TypeVar
from urllib.parse import urlencode

import msgspec
import urllib3

AGAIN: Final = frozenset({429, 500, 502, 503, 504})
"""Statuses after which the same request may do: nobody knows whether it was done, and its key makes sure that it is
done once.
"""
NO_ANSWER: Final = 0
FILE_TIMEOUT_S: Final = 120.0
"""A file is made before its first byte is sent."""
CHUNK_BYTES: Final = 65_536

S = TypeVar("S")


class Refused(Exception):
    """Understood, and the rules say no; nothing was written.

    `code` is stable: one of `Code`, or one that a newer service has and this client does not know. `message` is for
    people.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class Denied(Refused):
    """The token is missing, not good, or does not carry the permission."""


class Unavailable(Exception):
    """All attempts failed. A command may have been done: give `key` with the same one, and it is done once.

    `code` is what the last answer called its fault, if there was one.
    """

    def __init__(self, told: str, *, key: str | None, code: str | None) -> None:
        super().__init__(told if key is None else f"{told}; send it again with the key {key}")
        self.key = key
        self.code = code


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

    `sleep` waits so many seconds, `chance` is a number from 0 to 1, `new_key` makes the key of a command; `timeout_s`
    is for one attempt, whole.
    """

    url: str
    token: Callable[[], str]
    sleep: Callable[[float], None]
    chance: Callable[[], float]
    new_key: Callable[[], str]
    retry: Retry
    timeout_s: float
    pool: urllib3.PoolManager

    def ask(
        self, name: str, text: str, variables: Mapping[str, object], key: str | None = None
    ) -> msgspec.Raw:
        """The root field's value, not read yet.

        Raises:
            Refused: the rules, or the service before them, said no.
            Unavailable: every attempt failed.
            Unreadable: this is no answer of the finance service.
        """
        body = msgspec.json.encode({"query": text, "variables": spelled(variables)})
        status, said = self._patiently(name, lambda: self._post(body), key)
        return value_of(name, status, said)

    def download(self, path: str, parameters: Mapping[str, str], file: IO[bytes]) -> str:
        """Write a file's bytes, and return the name it comes with; what an attempt before left is overwritten.

        Raises:
            Refused: the rules, or the service before them, said no.
            Unavailable: every attempt failed, or broke off.
            Unreadable: this is no answer of the finance service.
            OSError: the file cannot be written; that is no fault of the service, and is not tried again.
        """
        status, said = self._patiently(path, lambda: self._fetch(path, parameters, file), None)
        if status != 200:
            raise refusal(status, errors_of(path, status, said))
        return said.decode()

    def _patiently(
        self, what: str, send: Callable[[], tuple[int, bytes]], key: str | None
    ) -> tuple[int, bytes]:
        """The first answer that says something; status 0 is no answer."""
        attempt = 0
        while True:
            attempt += 1
            try:
                status, said = send()
            except (urllib3.exceptions.HTTPError, ConnectionError, TimeoutError) as error:
                status, said = NO_ANSWER, f"{type(error).__name__}: {error}".encode()
            if status not in {NO_ANSWER, *AGAIN}:
                return status, said
            if attempt >= self.retry.attempts:
                why = said.decode(errors="replace")[:200]
                told = f"{what}: {attempt} attempts at {self.url} failed ({status or 'no answer'}: {why})"
                raise Unavailable(told, key=key, code=fault_of(said))
            self.sleep(self.retry.pause_s(attempt, self.chance()))

    def _post(self, body: bytes) -> tuple[int, bytes]:
        answer = self.pool.request(
            "POST",
            f"{self.url}/graphql",
            body=body,
            headers={"content-type": "application/json", "authorization": f"Bearer {self.token()}"},
            timeout=urllib3.Timeout(total=self.timeout_s),
            retries=False,
            redirect=False,
        )
        return answer.status, answer.data

    def _fetch(self, path: str, parameters: Mapping[str, str], file: IO[bytes]) -> tuple[int, bytes]:
        answer = self.pool.request(
            "GET",
            f"{self.url}/{path}?{urlencode(parameters)}",
            headers={"authorization": f"Bearer {self.token()}"},
            timeout=urllib3.Timeout(total=max(self.timeout_s, FILE_TIMEOUT_S)),
            retries=False,
            redirect=False,
            preload_content=False,
        )
        try:
            if answer.status != 200:
                return answer.status, answer.read()
            file.seek(0)
            file.truncate()
            for chunk in answer.stream(CHUNK_BYTES):
                file.write(chunk)
            told = Message()
            told["content-disposition"] = answer.headers.get("content-disposition", "")
            return 200, (told.get_filename() or "").encode()
        finally:
            answer.close()  # read to its end, its connection was given back before


def spelled(value: object) -> object:
    """As JSON has it: decimals digit by digit, where Decimal itself writes some as 2E+3 or 1E-8."""
    match value:
        case Decimal():
            return format(value, "f")
        case msgspec.Struct():
            return spelled(msgspec.to_builtins(value, builtin_types=(Decimal,)))
        case Mapping():
            return {name: spelled(one) for name, one in value.items()}
        case list() | tuple():
            return [spelled(one) for one in value]
        case _:
            return value


def errors_of(name: str, status: int, said: bytes) -> Body:
    """What was said, as GraphQL says it.

    Raises:
        Unreadable: it is something else.
    """
    try:
        return msgspec.json.decode(said, type=Body)
    except msgspec.DecodeError as error:
        raise Unreadable(f"{name}: status {status}, expected JSON of GraphQL ({error})") from error


def refusal(status: int, body: Body) -> Refused | Unreadable:
    """The first error as a refusal; its code is a made-up one where it has none."""
    if not body.errors:
        return Unreadable(f"status {status}, expected an error that says why, found none")
    first = body.errors[0]
    kind = Denied if status in {401, 403} else Refused
    return kind(str(first.extensions.get("code", f"http-{status}")), first.message)


def fault_of(said: bytes) -> str | None:
    """What a fault is called, where that is said."""
    try:
        errors = msgspec.json.decode(said, type=Body).errors
    except msgspec.DecodeError:
        return None
    return str(errors[0].extensions["code"]) if errors and "code" in errors[0].extensions else None


def value_of(name: str, status: int, said: bytes) -> msgspec.Raw:
    """The root field's value of an answer; its errors are raised."""
    body = errors_of(name, status, said)
    if body.errors:
        raise refusal(status, body)
    if status != 200 or body.data is None or name not in body.data:
        raise Unreadable(f"{name}: status {status}, expected its value, found none")
    return body.data[name]


def refused_or_named(name: str, value: msgspec.Raw) -> str:
    """The type of a mutation's answer; a refusal is raised."""
    named = decoded(name, value, Named)
    if named.typename == "Refusal":
        raise Refused(named.code, named.message)
    return named.typename


def decoded(name: str, value: msgspec.Raw, kind: type[S]) -> S:
    """The value.

    Raises:
        Unreadable: it is not what the contract says.
    """
    try:
        return msgspec.json.decode(value, type=kind)
    except msgspec.DecodeError as error:
        raise Unreadable(f"{name}: expected {getattr(kind, '__name__', kind)} ({error})") from error
