"""Settings of a service: a frozen dataclass read once from the environment.

Every field is a variable `<PREFIX>_<FIELD>`; a variable with the prefix that no field has is refused, so that
a misspelt setting never silently takes its default. Fields marked with `secret()` never appear in a text.
"""

import dataclasses
import math
import os
import types
import typing
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, ClassVar, Protocol, TypeVar, Union


class SettingsRefused(Exception):
    """The environment does not hold usable settings."""


class DataclassInstance(Protocol):
    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]


T = TypeVar("T", bound=DataclassInstance)

SWITCH = {"on": True, "off": False}


def secret(**options: Any) -> Any:
    """A field whose value never appears in a text."""
    return dataclasses.field(repr=False, metadata={"secret": True}, **options)


def read(kind: type[T], prefix: str, environment: Mapping[str, str] | None = None) -> T:
    """Read `kind` from variables that begin with `prefix` and an underscore.

    Raises:
        SettingsRefused: naming every variable that is unknown, missing, or not what was expected.
    """
    environment = os.environ if environment is None else environment
    types_of = typing.get_type_hints(kind)
    fields = {f"{prefix}_{field.name.upper()}": field for field in dataclasses.fields(kind)}
    faults = [
        f"{name} is not a setting; known are {', '.join(sorted(fields))}"
        for name in sorted(environment)
        if name.startswith(f"{prefix}_") and name not in fields
    ]
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name in environment:
            try:
                values[field.name] = convert(types_of[field.name], environment[name])
            except ValueError as error:
                shown = "a value" if field.metadata.get("secret") else f"'{environment[name]}'"
                faults.append(f"{name}: expected {error}, found {shown}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            faults.append(f"{name} is missing; set it")
    if faults:
        raise SettingsRefused("; ".join(faults))
    return kind(**values)


def convert(kind: Any, text: str) -> Any:
    """The value that `text` means for this type.

    Raises:
        ValueError: with what was expected.
    """
    origin = typing.get_origin(kind)
    if origin in {Union, types.UnionType}:
        inner = [part for part in typing.get_args(kind) if part is not type(None)]
        return None if text == "" else convert(inner[0], text)
    if origin is typing.Literal:
        choices = typing.get_args(kind)
        if text not in choices:
            raise ValueError(f"one of {', '.join(choices)}")
        return text
    if kind is bool:
        if text not in SWITCH:
            raise ValueError("on or off")
        return SWITCH[text]
    if kind in {int, float}:
        with suppress(ValueError):
            number = kind(text)
            if -math.inf < number < math.inf:  # nan would pass every limit
                return number
        raise ValueError("a whole number" if kind is int else "a number")
    return kind(text)
