"""What every subject of the books is asked with: commands that can be rehearsed, and four ways to read."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Concatenate, Final, Generic, ParamSpec, TypeVar, overload

import msgspec

from finance_client.door import Door, Unreadable, decoded, refused_or_named
from finance_client.operation import Asked, Listed, Query, Whole
from finance_client.value import DryRun, PageInfo

T = TypeVar("T")
P = ParamSpec("P")
S = TypeVar("S", bound="Subject")
MOST: Final = 200
"""Rows that the service gives at once."""


class Page(msgspec.Struct, frozen=True, rename="camel"):
    nodes: msgspec.Raw
    page_info: PageInfo


class Subject:
    """A part of the books, and how it is asked."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def _read(self, asked: Query[T], **variables: object) -> T:
        found: T = decoded(asked.field, self._door.ask(asked.field, asked.text, variables), asked.kind)
        return found

    def _find(self, asked: Query[T], **variables: object) -> T | None:
        found: T | None = decoded(
            asked.field, self._door.ask(asked.field, asked.text, variables), asked.kind | None
        )
        return found

    def _walk(self, asked: Listed[T], page: int, **variables: object) -> Iterator[T]:
        """Page after page, as they are needed. What was there at the first is met once, whatever is written."""
        kind: Any = tuple[asked.kind, ...]  # type: ignore[name-defined]  # known when it is read
        after = None
        while True:
            value = self._door.ask(asked.field, asked.text, {**variables, "first": page, "after": after})
            if asked.within is not None:
                value = decoded(asked.field, value, dict[str, msgspec.Raw])[asked.within]
            found = decoded(asked.field, value, Page)
            nodes: tuple[T, ...] = decoded(asked.field, found.nodes, kind)
            yield from nodes
            if not found.page_info.has_next_page:
                return
            after = found.page_info.end_cursor

    def _whole(self, asked: Whole[T], identity: Callable[[T], str], **variables: object) -> tuple[T, ...]:
        """All rows, each once: one that was moved into the next page by another's writing is there twice."""
        rows: dict[str, T] = {}
        for offset in range(0, 1_000_000_000, MOST):
            found = self._part(asked, offset, variables)
            rows |= {identity(one): one for one in found}
            if len(found) < MOST:
                break
        return tuple(rows.values())

    def _part(self, asked: Whole[T], offset: int, variables: Mapping[str, object]) -> tuple[T, ...]:
        value = self._door.ask(asked.field, asked.text, {**variables, "limit": MOST, "offset": offset})
        kind: Any = tuple[asked.kind, ...]  # type: ignore[name-defined]  # known when it is read
        found: tuple[T, ...] = decoded(asked.field, value, kind)
        return found


class Bound(Generic[P, T]):
    """A command of one company's books: call it, or rehearse it."""

    def __init__(self, door: Door, make: Callable[P, Asked[T]], told: str | None) -> None:
        self._door, self._make = door, make
        self.__doc__, self.__wrapped__ = told, make  # for whoever asks for help, or completes

    def __call__(self, *given: P.args, **named: P.kwargs) -> T:
        """Do it. With the key of a call before it is done once, whatever became of that call."""
        asked = self._make(*given, **named)
        typename, value = self._send(asked, asked.operation.text)
        if typename not in asked.operation.kinds:
            expected = " or ".join(asked.operation.kinds)
            raise Unreadable(f"{asked.operation.field}: expected {expected}, found {typename}")
        done: T = decoded(asked.operation.field, value, asked.operation.kinds[typename])
        return done

    def rehearse(self, *given: P.args, **named: P.kwargs) -> DryRun:
        """What it would write, or the refusal that it would meet. Nothing is written."""
        asked = self._make(*given, **named)
        typename, value = self._send(asked, asked.operation.rehearsal)
        if typename != "DryRun":
            raise Unreadable(f"{asked.operation.field}: expected DryRun, found {typename}")
        return decoded(asked.operation.field, value, DryRun)

    def _send(self, asked: Asked[T], text: str) -> tuple[str, msgspec.Raw]:
        key = self._door.new_key() if asked.key is None else asked.key
        name = asked.operation.field
        value = self._door.ask(name, text, {**asked.variables, "idempotencyKey": key}, key)
        return refused_or_named(name, value), value


class Command(Generic[S, P, T]):
    """A method that makes what is asked; reached through a subject it is one that asks."""

    def __init__(self, make: Callable[Concatenate[S, P], Asked[T]]) -> None:
        self.make = make
        self.__doc__ = make.__doc__

    @overload
    def __get__(self, subject: None, owner: type[S]) -> "Command[S, P, T]": ...

    @overload
    def __get__(self, subject: S, owner: type[S]) -> Bound[P, T]: ...

    def __get__(self, subject: S | None, owner: type[S]) -> "Command[S, P, T] | Bound[P, T]":
        if subject is None:
            return self
        make: Any = self.make.__get__(subject, owner)
        return Bound(subject._door, make, self.__doc__)  # noqa: SLF001 - of its own subject


def command(make: Callable[Concatenate[S, P], Asked[T]]) -> Command[S, P, T]:
    """A command from what it asks. Its `key` is one for each change, kept over all attempts."""
    return Command(make)
