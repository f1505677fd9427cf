"""Operations: their documents are made from the types of their answers, so that neither is without the other."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar, get_args

import msgspec

from finance_client.value import Answer, DryRun, PageInfo

T = TypeVar("T")
U = TypeVar("U")
PAGED: Final = ("$first: Int!", "$after: String")
SKIPPED: Final = ("$limit: Int!", "$offset: Int!")
KEYED: Final = "$idempotencyKey: ID!"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation(Generic[T]):
    """One root field; `text` is its document, `kind` the type of its answer."""

    field: str
    text: str
    kind: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Query(Operation[T]):
    """One thing, or several that are told at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed(Operation[T]):
    """A connection: walked page after page. `within` is the field of the root's answer that has the pages, if any."""

    within: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole(Operation[T]):
    """A list by offset: what is written meanwhile moves its rows, so it is read to its end before it is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation(Operation[T]):
    """`kinds` are its answers by their type's name; `rehearsal` is its document as a dry run."""

    rehearsal: str
    kinds: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Asked(Generic[T]):
    """A command that may be sent: what, with which key, and what it is given."""

    operation: Mutation[T]
    key: str | None
    variables: Mapping[str, object] = field(default_factory=dict)


def selection(kind: type[Answer]) -> str:
    """Every field of an answer, and of what is in it."""
    told = []
    for one in msgspec.structs.fields(kind):
        inner = nested(one.type)
        told.append(one.encode_name if inner is None else f"{one.encode_name} {selection(inner)}")
    return f"{{ {' '.join(told)} }}"


def nested(kind: Any) -> type[Answer] | None:
    """The answer that a type has in it, if any."""
    if isinstance(kind, type) and issubclass(kind, Answer):
        return kind
    return next((found for one in get_args(kind) if (found := nested(one)) is not None), None)


def called(name: str, variables: tuple[str, ...]) -> str:
    """The field with each variable as the argument of its name."""
    given = ", ".join(f"{one[1:]}: {one}" for one in (each.partition(":")[0] for each in variables))
    return f"{name}({given})" if given else name


def declared(variables: tuple[str, ...]) -> str:
    return f"({', '.join(variables)})" if variables else ""


def document(name: str, kind: type[Answer], variables: tuple[str, ...]) -> str:
    return f"query {name}{declared(variables)} {{ {called(name, variables)} {selection(kind)} }}"


def query(name: str, kind: type[T], *variables: str) -> Query[T]:
    text = document(name, nested(kind) or Answer, variables)
    return Query(field=name, text=text, kind=kind)


def whole(name: str, kind: type[T], *variables: str) -> Whole[T]:
    return Whole(field=name, text=document(name, nested(kind) or Answer, (*variables, *SKIPPED)), kind=kind)


def listed(name: str, kind: type[T], *variables: str, within: str | None = None) -> Listed[T]:
    every = (*variables, *PAGED)
    page = f"{{ nodes {selection(nested(kind) or Answer)} pageInfo {selection(PageInfo)} }}"
    asked = f"{called(name, every)} {page}"
    if within is not None:
        asked = f"{called(name, variables)} {{ {called(within, PAGED)} {page} }}"
    return Listed(field=name, text=f"query {name}{declared(every)} {{ {asked} }}", kind=kind, within=within)


def mutation(name: str, kind: type[T], *variables: str) -> Mutation[T]:
    return changing(name, (kind,), variables)


def either(name: str, one: type[T], other: type[U], *variables: str) -> Mutation[T | U]:
    """A command that answers with one of two kinds."""
    return changing(name, (one, other), variables)


def changing(name: str, kinds: tuple[Any, ...], variables: tuple[str, ...]) -> Mutation[Any]:
    every = (*variables, KEYED)
    asked, refused = called(name, every), "... on Refusal { code message }"
    told = " ".join(f"... on {kind.__name__} {selection(kind)}" for kind in kinds)
    head = f"mutation {name}{declared(every)}"
    return Mutation(
        field=name,
        text=f"{head} {{ {asked} {{ __typename {told} {refused} }} }}",
        rehearsal=f"{head} {{ {asked} @dryRun {{ __typename ... on DryRun {selection(DryRun)} {refused} }} }}",
        kind=kinds[0] if len(kinds) == 1 else None,
        kinds={kind.__name__: kind for kind in kinds},
    )
