"""The API over HTTP: the verbs of the command line, by the same desk, for programs and for pages.

1. Every request is admitted anew, so a token that is revoked counts no longer, not even on a stream that is open.
2. Where no token is asked for, whoever reaches the address may do everything. So it is on loopback then, answers to
   loopback's own names only, and takes JSON only: a page in somebody's browser can send neither.
3. Refusals, faults and bugs stay apart: 4xx with the refusal's code, 503, 500.
"""

import asyncio
import ipaddress
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from tranche.access import NotAllowed, NoToken, TokenRefused
from tranche.desk import Desk, Ended, NoRollout
from tranche.door import Door
from tranche.operations import LATEST, OPERATIONS, PROBLEM, BodyRefused, Operation, document, read
from tranche.page import event_json, explanation, report, who_is
from tranche.person import Person
from tranche.ports import Fault, LogFault, Recorded
from tranche.progress import Progress
from tranche.record import markdown
from tranche.refusal import Refused
from tranche.shape import FileRefused

LARGEST_BODY: Final = 1_048_576
POLL_S: Final = 0.25
BEAT_S: Final = 15.0


class Exposed(Refused):
    """An address that others can reach needs tokens; name a file under 'access' of the site, or listen on loopback."""

    code = "exposed"


class ForeignHost(Refused):
    """This is asked for by a name that is not loopback's, and no token is asked for here."""

    code = "foreign-host"


class NoJson(Refused):
    """A body is JSON, and says so in its content type."""

    code = "no-json"


class TooLarge(Refused):
    """The body is too large."""

    code = "too-large"


STATUS: Final[Mapping[type[Refused], int]] = {
    NoToken: 401,
    TokenRefused: 401,
    NotAllowed: 403,
    NoRollout: 404,
    TooLarge: 413,
    NoJson: 415,
    ForeignHost: 421,
    BodyRefused: 422,
    FileRefused: 422,
}
"""Which status a refusal has; another one is 409, in conflict with how things are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hands:
    """What needs more than the desk: traffic, versions, processes. Each gets the values of its body, and `asker`."""

    start: Callable[..., Progress]
    control: Callable[..., Progress]
    roll_back: Callable[..., Progress | dict[str, Any]]
    retire: Callable[..., Progress]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request that was admitted: who asks, with which token, and what was given."""

    rollout: str
    asker: Person
    token: str | None
    values: Mapping[str, Any]

    @property
    def actor(self) -> str:
        return self.asker.name


def check_address(host: str, *, has_access: bool) -> None:
    """Whether the API may listen there.

    Raises:
        Exposed: others could reach it, and nobody would be asked for a token.
    """
    if not has_access and not is_loopback(host):
        raise Exposed(
            f"'{host}' can be reached by others, and this site asks for no tokens; add 'access' to it"
        )


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


class Api:
    """One site, over HTTP. `nobody` is who is recorded where no token is asked for."""

    def __init__(self, *, desk: Desk, door: Door, hands: Hands, nobody: Person) -> None:
        self._desk, self._door, self._hands, self._nobody = desk, door, hands, nobody
        self._acts: dict[str, Callable[[Call], Any]] = {
            "openapi": lambda _: document(version("tranche")),
            "rollouts": lambda _: self._rollouts(),
            "status": lambda call: desk.status(call.rollout),
            "why": lambda call: explanation(
                desk.status(call.rollout), desk.observed(), desk.events(call.rollout)
            ),
            "who": self._who,
            "history": self._history,
            "record": lambda call: markdown(desk.status(call.rollout), desk.events(call.rollout)),
            "approvals": lambda _: desk.case(),
            "start": lambda call: hands.start(asker=call.asker, token=call.token, **call.values),
            "control": lambda call: hands.control(asker=call.asker, token=call.token),
            "rollback": lambda call: hands.roll_back(asker=call.asker, **call.values),
            "retire": lambda call: hands.retire(asker=call.asker, **call.values),
            "approve": lambda call: self._asked(call).approve(actor=call.actor, **self._said(call, "gate")),
            "revoke": lambda call: self._asked(call).revoke(actor=call.actor, **self._said(call, "gate")),
            "pause": lambda call: self._asked(call).pause(actor=call.actor, **self._said(call)),
            "resume": lambda call: self._asked(call).resume(actor=call.actor, **self._said(call)),
            "advance": lambda call: self._asked(call).advance(actor=call.actor, **self._said(call)),
            "hotfix": lambda call: self._asked(call).hotfix(actor=call.actor, **self._said(call)),
            "retarget": lambda call: self._asked(call).retarget(actor=call.actor, **self._said(call)),
        }

    def application(self) -> Starlette:
        """The ASGI application."""
        routes = [
            Route(operation.full_path, partial(self._serve, operation), methods=[operation.method])
            for operation in OPERATIONS
        ]
        handlers = {Refused: _refused, Fault: _fault, HTTPException: _unknown, Exception: _bug}
        return Starlette(routes=routes, exception_handlers=handlers)  # type: ignore[arg-type]  # each gets its own

    async def _serve(self, operation: Operation, request: Request) -> Response:
        token = _token(request)
        asker = await run_in_threadpool(self._admit, operation, request, token)
        given = await _body(request) if operation.method == "POST" else _query(operation, request)
        values = read(operation.body if operation.method == "POST" else operation.query, given)
        named = request.path_params.get("rollout", LATEST)
        call = Call(rollout=named, asker=asker, token=token, values=values)
        if "{rollout}" in operation.path:
            call = await run_in_threadpool(self._named, operation, call)
        if operation.name == "stream":
            return await self._stream(call, request)
        found = await run_in_threadpool(self._acts[operation.name], call)
        if operation.media == "text/markdown":
            return PlainTextResponse(found, media_type=f"{operation.media}; charset=utf-8")
        return JSONResponse(report(found) if isinstance(found, Progress) else found)

    def _admit(self, operation: Operation, request: Request, token: str | None) -> Person:
        if self._door.store is None and not is_loopback(request.url.hostname or ""):
            raise ForeignHost
        if operation.verb is None:
            return self._nobody
        return self._door.admit(operation.verb, token=token, otherwise=self._nobody)

    def _named(self, operation: Operation, call: Call) -> Call:
        """With the rollout's own name; only the latest is changed.

        The latest is taken back also where the log, which knows its name, cannot be used.
        """
        try:
            name = self._desk.name(None if call.rollout == LATEST else call.rollout)
            latest = self._desk.name()
        except LogFault:
            if (operation.name, call.rollout) == ("rollback", LATEST):
                return call
            raise
        if operation.method == "POST" and name != latest:
            raise Ended(
                f"'{name}' has ended, and '{latest}' is the latest; nothing can be asked of it any more"
            )
        return replace(call, rollout=name)

    def _asked(self, call: Call) -> Desk:
        """The desk, which is told who asks it."""
        return replace(self._desk, asker=call.asker)

    def _said(self, call: Call, *optional: str) -> dict[str, Any]:
        """The values of a body, with what the desk wants to be told in any case."""
        return {"reason": "", **dict.fromkeys(optional), **call.values}

    def _rollouts(self) -> list[dict[str, Any]]:
        return [report(self._desk.progress(name)) for name in self._desk.log.rollouts()]

    def _who(self, call: Call) -> dict[str, Any]:
        progress = self._desk.progress(call.rollout)
        return who_is(progress, user=call.values["user"], internal=call.values.get("internal", False))

    def _history(self, call: Call) -> list[dict[str, Any]]:
        events = self._desk.log.read(call.rollout, after=call.values.get("after", 0))
        return [event_json(recorded) for recorded in events]

    async def _stream(self, call: Call, request: Request) -> Response:
        seen = request.headers.get("last-event-id", "")
        if seen and not (seen.isascii() and seen.isdecimal()):
            raise BodyRefused(f"'Last-Event-ID' should be a position of the log, found '{seen[:40]}'")
        after = int(seen) if seen else call.values.get("after", 0)
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(self._lines(call, after), media_type="text/event-stream", headers=headers)

    async def _lines(self, call: Call, after: int) -> AsyncIterator[str]:
        """Events as they come, and a comment now and then, so that whoever waits knows that somebody is there."""
        loop = asyncio.get_running_loop()
        beat_at = loop.time()
        while True:
            try:
                events = await run_in_threadpool(self._news, call, after)
            except (Refused, Fault) as error:
                yield f"event: end\ndata: {json.dumps(str(error))}\n\n"
                return
            for recorded in events:
                yield _told(recorded)
                after = recorded.position
            if events or loop.time() >= beat_at:
                yield ": here\n\n"
                beat_at = loop.time() + BEAT_S
            await asyncio.sleep(POLL_S)

    def _news(self, call: Call, after: int) -> list[Recorded]:
        self._door.admit("history", token=call.token, otherwise=self._nobody)
        return self._desk.log.read(call.rollout, after=after)


def _told(recorded: Recorded) -> str:
    data = json.dumps(event_json(recorded), separators=(",", ":"))
    return f"id: {recorded.position}\nevent: {recorded.type}\ndata: {data}\n\n"


def _token(request: Request) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


async def _body(request: Request) -> dict[str, Any]:
    """The JSON object of a request; an empty body is an empty one."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise NoJson("send a body of 'content-type: application/json'")
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LARGEST_BODY:
            raise TooLarge(f"a body is at most {LARGEST_BODY} bytes")
    try:
        data = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        raise NoJson("the body is not JSON") from None
    if not isinstance(data, dict):
        raise NoJson("the body should be a JSON object")
    return data


def _query(operation: Operation, request: Request) -> dict[str, object]:
    """The query's values, of the kinds the operation declares."""
    given: dict[str, object] = {}
    for name, value in request.query_params.multi_items():
        kind = operation.query[name].kind if name in operation.query else "text"
        is_number = value.isascii() and value.isdecimal() and len(value) < 16
        given[name] = {
            "flag": {"true": True, "false": False}.get(value, value),
            "number": int(value) if is_number else value,
        }.get(kind, value)
    return given


def _problem(status: int, code: str, title: str, detail: str, **headers: str) -> JSONResponse:
    body = {"type": f"urn:tranche:{code}", "title": title, "status": status, "detail": detail, "code": code}
    return JSONResponse(body, status, headers=headers, media_type=PROBLEM)


async def _refused(request: Request, error: Refused) -> Response:  # noqa: ARG001 - the signature of handlers
    status = next((status for kind, status in STATUS.items() if isinstance(error, kind)), 409)
    title = (type(error).__doc__ or "").strip().partition("\n")[0].partition(". ")[0]
    headers = {"www-authenticate": "Bearer"} if status == HTTPStatus.UNAUTHORIZED else {}
    return _problem(status, error.code, title, str(error), **headers)


async def _fault(request: Request, error: Fault) -> Response:  # noqa: ARG001 - as _refused
    return _problem(503, "fault", "The world did not do what was asked", str(error))


async def _unknown(request: Request, error: HTTPException) -> Response:
    """Paths and methods that there are not."""
    status = HTTPStatus(error.status_code)
    told = f"{request.method} {request.url.path}: {status.phrase.lower()}; {'/v1/openapi.json'} says what there is"
    headers = dict(error.headers or {})
    return _problem(status, status.phrase.lower().replace(" ", "-"), status.phrase, told, **headers)


async def _bug(request: Request, error: Exception) -> Response:  # noqa: ARG001 - as _refused
    return _problem(500, "bug", "This should not have happened", "see the output of 'tranche serve'")
