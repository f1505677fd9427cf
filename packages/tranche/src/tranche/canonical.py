"""One way of writing a value down, its digest, and the way back. Pure.

What is digested must be written the same way by everybody and for ever: JSON with sorted keys, without spaces,
in ASCII, floats as Python writes them (the shortest text that reads back the same), times in UTC.
"""

import dataclasses
import functools
import hashlib
import json
import types
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from tranche.ports import NewEvent, Recorded


def plain(value: object) -> Any:
    """The value as JSON has it: records become objects, tuples lists, enums their values, times ISO 8601 in UTC.

    Raises:
        TypeError: there is no way of writing it.
    """
    match value:
        case None | bool() | str() if not isinstance(value, Enum):
            return value
        case Enum():
            return plain(value.value)
        case int():
            return int(value)
        case float():
            return float(value)  # numpy's are written as any other
        case datetime():
            return value.astimezone(UTC).isoformat()
        case Mapping():
            return {str(plain(key)): plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case frozenset():
            return sorted(plain(item) for item in value)
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {each.name: plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
        case _:
            raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def canonical(value: object) -> str:
    """The one way of writing it.

    Raises:
        ValueError: a number in it is not finite.
    """
    return written(plain(value))


def written(data: object) -> str:
    """As `canonical`, of what is JSON already."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(text: str | bytes) -> str:
    """`sha256:` and 64 hexadecimal digits."""
    return "sha256:" + hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()


def event_json(event: Recorded | NewEvent) -> dict[str, Any]:
    """What was recorded, without where. A log has its data as JSON already."""
    data = event.data if isinstance(event, Recorded) else plain(event.data)
    return {"type": event.type, "at": plain(event.at), "actor": event.actor, "data": data}


def chained(before: str, event: Recorded) -> str:
    """The digest of a log that grew by this event; `before` is that of the log without it, "" of an empty one."""
    return digest(f"{before}\n{event.rollout}\n{event.position}\n{written(event_json(event))}")


def typed(kind: Any, data: Any) -> Any:
    """The value of this type that `plain` made `data` of. Fields that are missing have their defaults.

    Raises:
        TypeError, ValueError, KeyError: it was made of something else, or by a release that knew more.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if kind in {Any, object}:
        return data
    if origin in {Union, types.UnionType}:
        if data is None:
            return None
        (only,) = [each for each in arguments if each is not types.NoneType]
        return typed(only, data)
    if origin is Literal:
        return data
    if origin in {tuple, frozenset}:
        return origin(typed(arguments[0], item) for item in data)
    if origin is not None:
        return {typed(arguments[0], key): typed(arguments[1], item) for key, item in data.items()}
    if dataclasses.is_dataclass(kind):
        return _record(kind, data)
    return _scalar(kind, data)


def _record(kind: Any, data: Mapping[str, Any]) -> Any:
    hints = _hints(kind)
    unknown = sorted(set(data) - set(hints))
    if unknown:
        raise TypeError(f"{kind.__name__} has no {', '.join(unknown)}; a newer release wrote it")
    return kind(**{name: typed(hints[name], item) for name, item in data.items()})


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _scalar(kind: Any, data: Any) -> Any:
    if kind is datetime:
        return datetime.fromisoformat(data)
    if issubclass(kind, Enum):
        return kind(data)
    if kind is int and isinstance(data, str):
        return int(data)  # the key of an object
    expected = (int, float) if kind is float else kind
    if not isinstance(data, expected) or (isinstance(data, bool) and kind is not bool):
        raise TypeError(f"expected {kind.__name__}, found {type(data).__name__}")
    return data
