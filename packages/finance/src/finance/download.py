"""Fetches a file from a running service, for the command line: whole, or not at all."""

import http.client
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

import orjson

from finance.ports import Fault

TIMEOUT_S: Final = 120
CHUNK_BYTES: Final = 65_536


class NotGiven(Exception):
    """The service says no, or what was asked cannot be."""


class NotFetched(Fault):
    """The service does not answer, or not to the end."""

    code = "export-not-fetched"


class NoRedirect(HTTPRedirectHandler):
    """Follows nothing: the token is for this address and for no other."""

    def redirect_request(self, *_: Any) -> None:
        return None


def fetch(
    url: str, export: str, parameters: Sequence[tuple[str, str]], *, token: str, output: Path | None
) -> Path:
    """Write the file, and return where it is: where it was told to be, or here under the name it came with.

    Raises:
        NotGiven: the service refuses, there is a file already, or this is no address.
        NotFetched: it does not answer, fails, or breaks off.
    """
    if urlsplit(url).scheme not in {"http", "https"}:
        raise NotGiven(f"expected an address such as http://127.0.0.1:8004, found '{url[:80]}'")
    address = f"{url.rstrip('/')}/exports/{export}?{urlencode(parameters)}"
    request = Request(address, headers={"authorization": f"Bearer {token}"})  # noqa: S310 - the scheme was asked
    try:
        with build_opener(NoRedirect).open(request, timeout=TIMEOUT_S) as answer:
            told = Path(answer.headers.get_filename() or export).name
            return _kept(answer, int(answer.headers["content-length"]), output or Path(told))
    except HTTPError as error:
        with error:
            raise _refused(error) from None
    except (URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        raise NotFetched(f"{url}: {error}; is it running?") from error


def _refused(error: HTTPError) -> NotGiven | NotFetched:
    """What the service said instead of a file."""
    try:
        [first] = orjson.loads(error.read())["errors"]
        told = f"{first['extensions']['code']}: {first['message']}"
    except (orjson.JSONDecodeError, KeyError, ValueError, TypeError):
        told = f"HTTP {error.code}"
    return NotFetched(told) if error.code >= 500 else NotGiven(told)


def _kept(answer: IO[bytes], size: int, output: Path) -> Path:
    """Under its name only once all of it is there."""
    handle, name = tempfile.mkstemp(dir=output.parent, prefix=f".{output.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            while chunk := answer.read(CHUNK_BYTES):
                file.write(chunk)
            if file.tell() != size:
                raise NotFetched(f"it broke off after {file.tell()} of {size} bytes; try again")
        os.link(temporary, output)  # unlike a renaming, it takes no other file's place
    except FileExistsError:
        raise NotGiven(f"{output} is there already; remove it, or say --output") from None
    finally:
        temporary.unlink()
    return output
