"""What can be asked over HTTP, declared once: the routes of the API and its OpenAPI document are made from it.

The verbs are those of the command line, by the same names, and need the same roles (`access.py`). A rollout is named in
the path, or is `latest`; what changes a rollout is refused when a later one has begun.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from tranche.access import NEEDS
from tranche.person import Role
from tranche.refusal import Refused
from tranche.shape import nearest
from tranche.text import plain

PREFIX: Final = "/v1"
LATEST: Final = "latest"
PROBLEM: Final = "application/problem+json"
LONGEST_TEXT: Final = 1000


class BodyRefused(Refused):
    """What was sent is not what is asked for."""

    code = "body-refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A key of a body or of a query. Texts are one line, unless they are whole `documents`."""

    about: str
    kind: Literal["text", "document", "flag", "number"] = "text"
    required: bool = False

    def read(self, name: str, value: object) -> str | bool | int:
        """The value, as it is kept.

        Raises:
            BodyRefused: it is of another kind, or too long.
        """
        match self.kind, value:
            case "flag", bool():
                return value
            case "number", int() if not isinstance(value, bool) and value >= 0:
                return value
            case "document", str() if value.strip():
                return value
            case "text", str() if len(value) <= LONGEST_TEXT and (plain(value) or not self.required):
                return plain(value)
            case _:
                expected = {
                    "flag": "true or false",
                    "number": "a whole number from 0",
                    "document": "a document as one text",
                    "text": f"a text of up to {LONGEST_TEXT} characters",
                }[self.kind]
                raise BodyRefused(f"'{name}' should be {expected}; {self.about}")

    def schema(self) -> dict[str, Any]:
        kind = {"flag": "boolean", "number": "integer"}.get(self.kind, "string")
        longest = {"maxLength": LONGEST_TEXT} if self.kind == "text" else {}
        return {"type": kind, "description": self.about} | longest


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method at one path, and the verb whose roles may. No verb: nobody is asked for a token."""

    name: str
    method: Literal["GET", "POST"]
    path: str
    verb: str | None
    about: str
    answer: str
    body: Mapping[str, Field] = field(default_factory=dict)
    query: Mapping[str, Field] = field(default_factory=dict)
    media: str = "application/json"

    @property
    def full_path(self) -> str:
        return PREFIX + self.path


REASON: Final = Field(about="why, for the record")
NEEDED_REASON: Final = Field(about="why, for the record", required=True)
VERSION: Final = Field(about="the version", required=True)
GATE: Final = Field(about="the approval by name; else the only one of the phase")
AFTER: Final = Field(kind="number", about="only what stands behind this position of the log")
REPORT: Final = "where the rollout stands now"


def _look(name: str, path: str, verb: str, about: str, answer: str, **more: Any) -> Operation:
    return Operation(name=name, method="GET", path=path, verb=verb, about=about, answer=answer, **more)


def _act(verb: str, about: str, **body: Field) -> Operation:
    path = f"/rollouts/{{rollout}}/{verb}"
    return Operation(name=verb, method="POST", path=path, verb=verb, about=about, answer=REPORT, body=body)


OPERATIONS: Final = (
    Operation(
        name="openapi",
        method="GET",
        path="/openapi.json",
        verb=None,
        about="This document",
        answer="OpenAPI 3.1",
    ),
    _look("rollouts", "/rollouts", "status", "All rollouts, the first one first", "their names and states"),
    Operation(
        name="start",
        method="POST",
        path="/rollouts",
        verb="start",
        about="Record a new rollout and start its controller, a process of its own",
        answer=REPORT,
        body={
            "plan": Field(kind="document", about="the plan itself, as YAML", required=True),
            "version": VERSION,
            "hotfix": Field(about="why it may go forward in times that the plan freezes"),
        },
    ),
    _look("status", "/rollouts/{rollout}", "status", "Where it stands", "the document of 'tranche status'"),
    _look(
        "why",
        "/rollouts/{rollout}/why",
        "why",
        "The present verdict and the last decisions, with their numbers",
        "the document of 'tranche why'",
    ),
    _look(
        "who",
        "/rollouts/{rollout}/who",
        "who",
        "Which version a user meets, and since when",
        "the document of 'tranche who'",
        query={
            "user": Field(
                about="as the token's claim has it; of a visitor, the value of their cookie", required=True
            ),
            "internal": Field(kind="flag", about="the user's token says they are internal"),
        },
    ),
    _look(
        "history",
        "/rollouts/{rollout}/events",
        "history",
        "Every event, as it was recorded",
        "the events in order",
        query={"after": AFTER},
    ),
    _look(
        "stream",
        "/rollouts/{rollout}/stream",
        "history",
        "The events as they come. 'Last-Event-ID' goes on where an earlier stream ended",
        "server-sent events: 'id' is the position, 'event' the type, 'data' the event as JSON",
        query={"after": AFTER},
        media="text/event-stream",
    ),
    _look(
        "record",
        "/rollouts/{rollout}/record",
        "status",
        "The progress record, for people",
        "Markdown",
        media="text/markdown",
    ),
    _look(
        "approvals",
        "/rollouts/latest/approvals",
        "status",
        "What waits for a person's yes in the present phase, with its evidence",
        "the document of 'tranche approve'",
    ),
    _act("control", "Start a controller for a recorded rollout, as after a crash"),
    _act("pause", "Stop the way forward; limits go on watching", reason=REASON),
    _act("resume", "Open the way forward again", reason=REASON),
    _act("advance", "End the dwell of this phase early; nothing else is overridden", reason=REASON),
    _act("hotfix", "Let it go forward in times that its plan freezes", reason=NEEDED_REASON),
    _act("retarget", "Roll out another build from here", version=VERSION, reason=REASON),
    _act(
        "approve",
        "Say yes to the evidence of this digest; not by who brought the version in",
        gate=GATE,
        evidence=Field(about="the digest of what was seen", required=True),
        reason=REASON,
    ),
    _act("revoke", "Take every approval of a gate back", gate=GATE, reason=NEEDED_REASON),
    _act(
        "rollback",
        "Take all users back to blue, now; works with the controller dead",
        reason=NEEDED_REASON,
        force=Field(kind="flag", about="even past the plan's point of no return"),
    ),
    _act("retire", "Stop blue for good, once the rollout is complete", reason=NEEDED_REASON),
)


def read(fields: Mapping[str, Field], given: Mapping[str, object]) -> dict[str, Any]:
    """The values of these fields; what is left out is absent.

    Raises:
        BodyRefused: something is missing, unknown, or of another kind.
    """
    for name in given:
        if name not in fields:
            hint = nearest(name, fields) if fields else "send nothing"
            raise BodyRefused(f"unknown key '{name}'; {hint}")
    for name, declared in fields.items():
        if declared.required and name not in given:
            raise BodyRefused(f"'{name}' is missing ({declared.about}); add it")
    return {name: fields[name].read(name, value) for name, value in given.items()}


def document(version: str) -> dict[str, Any]:
    """The API as OpenAPI 3.1."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.full_path, {})[operation.method.lower()] = _described(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tranche",
            "version": version,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {"problem": PROBLEM_SCHEMA},
        },
    }


PROBLEM_SCHEMA: Final = {
    "type": "object",
    "description": "RFC 9457: why it was not done. 'code' is the one the command line says.",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
    },
    "required": ["type", "title", "status", "detail", "code"],
}


def _described(operation: Operation) -> dict[str, Any]:
    roles = NEEDS[operation.verb] if operation.verb is not None else frozenset()
    may = ", ".join(role.value for role in Role if role in roles)
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.about,
        "description": f"Where the site asks for tokens: {may}." if may else "Nobody is asked for a token.",
        "parameters": _parameters(operation),
        "security": [{"token": []}, {}] if operation.verb is not None else [],
        "responses": {
            "200": {"description": operation.answer, "content": {operation.media: {}}},
            "default": {
                "description": "refused (4xx), or the world did not do it (503)",
                "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/problem"}}},
            },
        },
    }
    if operation.method == "POST":
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _schema(operation.body)}},
        }
    return described


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    told = [
        {"name": name, "in": "query", "required": one.required, "schema": one.schema()}
        for name, one in operation.query.items()
    ]
    if "{rollout}" in operation.path:
        named = {"type": "string", "description": f"a rollout by name, or '{LATEST}'"}
        told.insert(0, {"name": "rollout", "in": "path", "required": True, "schema": named})
    if operation.media == "text/event-stream":
        position = {"type": "integer", "description": "the position that was seen last"}
        told.append({"name": "Last-Event-ID", "in": "header", "required": False, "schema": position})
    return told


def _schema(fields: Mapping[str, Field]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {name: one.schema() for name, one in fields.items()},
        "required": [name for name, one in fields.items() if one.required],
        "additionalProperties": False,
    }
