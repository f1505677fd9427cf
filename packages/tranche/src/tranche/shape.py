"""What a YAML file may contain: declared once, read with line numbers, printed as JSON Schema.

A kind knows how to `read` a node and how to describe itself as a `schema`. Everything refused here names the
file, the line, what was found and what to do. Nothing is guessed: an unknown key is a refusal, a number where
a duration belongs is a refusal, a key given twice is a refusal.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Generic, Protocol, TypeVar

import yaml

from tranche.refusal import Refused

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

DEEPEST: Final = 12  # levels below a free value; a file that needs more is a mistake or an attack


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where in which file; lines count from 1."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class FileRefused(Refused):
    """The file says something that cannot be."""

    code: ClassVar[str] = "file-refused"

    def __init__(self, place: Place, message: str) -> None:
        self.place = place
        self.message = message
        super().__init__(f"{place}: {message}")


class Unreadable(FileRefused):
    """The file is not YAML."""

    code = "unreadable"


class UnknownKey(FileRefused):
    """A key that means nothing here."""

    code = "unknown-key"


class MissingKey(FileRefused):
    """A key that must be there is not."""

    code = "missing-key"


class RepeatedKey(FileRefused):
    """A key is given twice."""

    code = "repeated-key"


class WrongValue(FileRefused):
    """A value of the wrong kind, or out of its range."""

    code = "wrong-value"


class UnknownWord(WrongValue):
    """A word that is none of those known here."""

    code = "unknown-word"


class WithoutUnit(WrongValue):
    """A quantity without its unit."""

    code = "without-unit"


class Kind(Protocol[T_co]):
    """Something a value in a file can be."""

    def read(self, node: yaml.Node, file: str) -> T_co:
        """The value.

        Raises:
            FileRefused: the file says something else.
        """

    def schema(self) -> dict[str, object]:
        """The same as JSON Schema (2020-12)."""


def place_of(node: yaml.Node, file: str) -> Place:
    return Place(file=file, line=node.start_mark.line + 1)


def found(node: yaml.Node) -> str:
    """The value as its writer would recognise it."""
    match node:
        case yaml.ScalarNode() if node.tag == "tag:yaml.org,2002:null":
            return "nothing"
        case yaml.ScalarNode():
            return f"'{node.value}'"
        case yaml.SequenceNode():
            return "a list"
        case _:
            return "a mapping"


def nearest(word: str, known: Mapping[str, object] | tuple[str, ...]) -> str:
    """A hint for whoever mistyped: the closest known word, or all of them."""
    import difflib  # who mistyped nothing waits for no hint

    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"did you mean '{close[0]}'?" if close else "use one of: " + ", ".join(sorted(known))


def scalar(node: yaml.Node, file: str, expected: str) -> str:
    if not isinstance(node, yaml.ScalarNode) or node.tag == "tag:yaml.org,2002:null":
        raise WrongValue(place_of(node, file), f"expected {expected}, found {found(node)}")
    return str(node.value).strip()


ANYTHING: Final = r"[\s\S]*"
"""Also nothing; a pattern that the dialects of regular expressions agree on."""


@dataclass(frozen=True, slots=True)
class Text:
    """A string. `pattern` must match all of it; `expected` says so in words."""

    expected: str = "a text"
    pattern: str | None = None

    def read(self, node: yaml.Node, file: str) -> str:
        text = scalar(node, file, self.expected)
        if not re.fullmatch(self.pattern or r"(?s).+", text):
            raise WrongValue(place_of(node, file), f"expected {self.expected}, found {found(node)}")
        return text

    def schema(self) -> dict[str, object]:
        if self.pattern in {None, ANYTHING}:
            return {"type": ["string", "number", "boolean"]}
        return {"type": "string", "pattern": f"^(?:{self.pattern})$"}


ADDRESS: Final = Text(expected="an address such as 127.0.0.1:8080", pattern=r"[^\s:/]+:\d{1,5}")
URL: Final = Text(expected="an address such as http://127.0.0.1:8080/path", pattern=r"https?://[^\s/]+\S*")


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words."""

    words: tuple[str, ...]

    def read(self, node: yaml.Node, file: str) -> str:
        text = scalar(node, file, " or ".join(f"'{word}'" for word in self.words))
        if text not in self.words:
            raise UnknownWord(place_of(node, file), f"found '{text}'; {nearest(text, self.words)}")
        return text

    def schema(self) -> dict[str, object]:
        return {"enum": list(self.words)}


@dataclass(frozen=True, slots=True)
class Flag:
    """true or false."""

    def read(self, node: yaml.Node, file: str) -> bool:
        text = scalar(node, file, "true or false")
        if text not in {"true", "false"}:
            raise WrongValue(place_of(node, file), f"expected true or false, found '{text}'")
        return text == "true"

    def schema(self) -> dict[str, object]:
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number, with its bounds."""

    least: int = 0
    most: int = 2**53

    def read(self, node: yaml.Node, file: str) -> int:
        text = scalar(node, file, "a whole number")
        if not re.fullmatch(r"-?\d{1,18}", text):
            raise WrongValue(place_of(node, file), f"expected a whole number, found '{text}'")
        if not self.least <= int(text) <= self.most:
            asked = f"at least {self.least}" + (f" and at most {self.most}" if self.most < 2**53 else "")
            raise WrongValue(place_of(node, file), f"expected a whole number of {asked}, found {text}")
        return int(text)

    def schema(self) -> dict[str, object]:
        return {"type": "integer", "minimum": self.least, "maximum": self.most}


SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
DURATION: Final = r"\d+(?:\.\d+)?\s*(?:ms|s|m|h|d)"


@dataclass(frozen=True, slots=True)
class Duration:
    """A time with its unit, such as `48h`; read as seconds."""

    least_s: float = 0.0

    def read(self, node: yaml.Node, file: str) -> float:
        text = scalar(node, file, "a duration such as 48h, 5m or 40s")
        if re.fullmatch(r"-?\d+(\.\d+)?", text):
            todo = f"write {text}s, {text}m or {text}h"
            raise WithoutUnit(place_of(node, file), f"the duration '{text}' has no unit; {todo}")
        parts = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)", text)
        if parts is None:
            expected = "expected a duration such as 48h, 5m or 40s"
            raise WrongValue(place_of(node, file), f"{expected}, found '{text}'")
        seconds = float(parts[1]) * SECONDS[parts[2]]
        if not self.least_s <= seconds < 10 * 366 * 86400:
            raise WrongValue(
                place_of(node, file),
                f"expected a duration of at least {self.least_s:g}s and under ten years, found '{text}'",
            )
        return seconds

    def schema(self) -> dict[str, object]:
        return {"type": "string", "pattern": f"^{DURATION}$"}


RATE: Final = r"\d+(?:\.\d+)?\s*/\s*(?:s|m|h)"


@dataclass(frozen=True, slots=True)
class Rate:
    """How often, with its unit, such as `40/s`; read as times a second."""

    def read(self, node: yaml.Node, file: str) -> float:
        text = scalar(node, file, "a rate such as 40/s")
        if not re.fullmatch(RATE, text):
            raise WrongValue(place_of(node, file), f"expected a rate such as 40/s, found '{text}'")
        number, _, unit = text.partition("/")
        rate = float(number) / SECONDS[unit.strip()]
        if not 0 < rate <= 100_000:
            raise WrongValue(
                place_of(node, file), f"expected a rate above 0 and up to 100000/s, found '{text}'"
            )
        return rate

    def schema(self) -> dict[str, object]:
        return {"type": "string", "pattern": f"^{RATE}$"}


PERCENT: Final = r"\d+(?:\.\d+)?\s*%"


@dataclass(frozen=True, slots=True)
class Percent:
    """A share with its sign, such as `10 %`; at most two decimals, as the data plane counts."""

    def read(self, node: yaml.Node, file: str) -> float:
        text = scalar(node, file, "a percentage such as 10 %")
        if re.fullmatch(r"-?\d+(\.\d+)?", text):
            raise WithoutUnit(place_of(node, file), f"the share '{text}' has no unit; write {text} %")
        if not re.fullmatch(PERCENT, text):
            raise WrongValue(place_of(node, file), f"expected a percentage such as 10 %, found '{text}'")
        percent = float(text.removesuffix("%"))
        if percent > 100 or not math.isclose(percent * 100, round(percent * 100), abs_tol=1e-9):
            asked = "expected a percentage up to 100 %, in steps of 0.01 %"
            raise WrongValue(place_of(node, file), f"{asked}, found '{text}'")
        return percent

    def schema(self) -> dict[str, object]:
        return {"type": "string", "pattern": f"^{PERCENT}$"}


@dataclass(frozen=True, slots=True)
class ListOf(Generic[T]):
    """A list of one kind; `empty` is what to say when there is nothing in it (None: that is allowed)."""

    kind: Kind[T]
    empty: str | None = None
    refusal: type[FileRefused] = WrongValue

    def read(self, node: yaml.Node, file: str) -> tuple[T, ...]:
        if not isinstance(node, yaml.SequenceNode):
            raise WrongValue(place_of(node, file), f"expected a list, found {found(node)}")
        if not node.value and self.empty is not None:
            raise self.refusal(place_of(node, file), self.empty)
        return tuple(self.kind.read(item, file) for item in node.value)

    def schema(self) -> dict[str, object]:
        least = 1 if self.empty is not None else 0
        return {"type": "array", "items": self.kind.schema(), "minItems": least}


def entries(node: yaml.Node, file: str) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
    """Key, its node, its value's node; refuses what is no mapping, no text key, or repeated."""
    if not isinstance(node, yaml.MappingNode):
        raise WrongValue(place_of(node, file), f"expected a mapping, found {found(node)}")
    seen: dict[str, int] = {}
    for key_node, value in node.value:
        key = scalar(key_node, file, "a key")
        place = place_of(key_node, file)
        if key in seen:
            told = f"'{key}' is given twice (first in line {seen[key]}); keep one"
            raise RepeatedKey(place, told)
        seen[key] = place.line
        yield key, key_node, value


@dataclass(frozen=True, slots=True)
class MapOf(Generic[T]):
    """Free keys, values of one kind; or a closed set of keys."""

    kind: Kind[T]
    keys: tuple[str, ...] | None = None

    def read(self, node: yaml.Node, file: str) -> dict[str, T]:
        values: dict[str, T] = {}
        for key, key_node, value in entries(node, file):
            if self.keys is not None and key not in self.keys:
                told = f"unknown key '{key}'; {nearest(key, self.keys)}"
                raise UnknownKey(place_of(key_node, file), told)
            values[key] = self.kind.read(value, file)
        for key in self.keys or ():
            if key not in values:
                raise MissingKey(place_of(node, file), f"'{key}' is missing; add it")
        return values

    def schema(self) -> dict[str, object]:
        if self.keys is None:
            return {"type": "object", "additionalProperties": self.kind.schema()}
        properties = {key: self.kind.schema() for key in self.keys}
        return {
            "type": "object",
            "properties": properties,
            "required": list(self.keys),
            "additionalProperties": False,
        }


@dataclass(frozen=True, slots=True)
class Free:
    """Anything JSON can say: texts, numbers, flags, lists, mappings."""

    def read(self, node: yaml.Node, file: str) -> object:
        return self._read(node, file, DEEPEST)

    def _read(self, node: yaml.Node, file: str, levels: int) -> object:
        if levels == 0:
            raise WrongValue(place_of(node, file), f"nested deeper than {DEEPEST} levels; flatten it")
        match node:
            case yaml.SequenceNode():
                return [self._read(item, file, levels - 1) for item in node.value]
            case yaml.MappingNode():
                found_entries = entries(node, file)
                return {key: self._read(value, file, levels - 1) for key, _, value in found_entries}
            case _:
                return self._plain(node, file)

    def _plain(self, node: yaml.Node, file: str) -> object:
        text = str(node.value)
        match node.tag.rpartition(":")[2]:
            case "null":
                return None
            case "bool" if text in {"true", "false"}:
                return text == "true"
            case "int" if re.fullmatch(r"-?\d{1,15}", text):
                return int(text)
            case "float" if math.isfinite(number := _number(text)):
                return number
            case "str" | "bool" | "timestamp":
                return text
            case _:
                raise WrongValue(place_of(node, file), f"expected a text or a number, found {found(node)}")

    def schema(self) -> dict[str, object]:
        return {}


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


REQUIRED: Final = object()


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a record: its kind, what it is when left out, and what it is about."""

    kind: Kind[Any]
    about: str
    default: Any = REQUIRED


@dataclass(frozen=True, slots=True)
class Record(Generic[T]):
    """A mapping with known keys. `build` gets the values by name, and the `place` of the mapping."""

    build: Callable[..., T]
    keys: Mapping[str, Key]
    about: str = field(default="")

    def read(self, node: yaml.Node, file: str) -> T:
        values: dict[str, object] = {}
        for key, key_node, value in entries(node, file):
            if key not in self.keys:
                told = f"unknown key '{key}'; {nearest(key, self.keys)}"
                raise UnknownKey(place_of(key_node, file), told)
            values[key] = self.keys[key].kind.read(value, file)
        for key, declared in self.keys.items():
            if key not in values and declared.default is REQUIRED:
                told = f"'{key}' is missing ({declared.about}); add it"
                raise MissingKey(place_of(node, file), told)
            values.setdefault(key, declared.default)
        return self.build(place=place_of(node, file), **values)

    def schema(self) -> dict[str, object]:
        properties = {
            key: declared.kind.schema() | {"description": declared.about}
            for key, declared in self.keys.items()
        }
        required = [key for key, declared in self.keys.items() if declared.default is REQUIRED]
        described = {"description": self.about} if self.about else {}
        return {
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": False,
        } | described


@dataclass(frozen=True, slots=True)
class Tagged(Generic[T]):
    """One of several records, told apart by the word under `tag`; `noun` is what the word names."""

    tag: str
    noun: str
    cases: Mapping[str, Record[T]]

    def read(self, node: yaml.Node, file: str) -> T:
        for key, _, value in entries(node, file):
            if key == self.tag:
                word = scalar(value, file, f"a {self.noun}")
                if word not in self.cases:
                    told = f"unknown {self.noun} '{word}'; {nearest(word, self.cases)}"
                    raise UnknownWord(place_of(value, file), told)
                return self.cases[word].read(node, file)
        told = f"'{self.tag}' is missing (the {self.noun}); {nearest('', self.cases)}"
        raise MissingKey(place_of(node, file), told)

    def schema(self) -> dict[str, object]:
        return {"oneOf": [case.schema() for case in self.cases.values()]}


@dataclass(frozen=True, slots=True)
class Later(Generic[T]):
    """A kind that is made when a file uses it: whoever needs none of its words does not wait for them."""

    make: Callable[[], Kind[T]]

    def read(self, node: yaml.Node, file: str) -> T:
        return self.make().read(node, file)

    def schema(self) -> dict[str, object]:
        return self.make().schema()


def read(kind: Kind[T], text: str, file: str) -> T:
    """Parse a whole document.

    Raises:
        FileRefused: with file, line, what was found and what to do.
    """
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        # An open quote or bracket is noticed at the end of the file; what helps is where it was opened.
        is_open = "end of" in (error.problem or "") or "<stream end>" in (error.problem or "")
        mark = (error.context_mark if is_open else None) or error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        told = f"this is not YAML: {error.problem or error.context}; mend the indentation or quotes here"
        raise Unreadable(Place(file=file, line=line), told) from error
    except (yaml.YAMLError, RecursionError) as error:
        first = str(error).partition("\n")[0]
        raise Unreadable(Place(file=file, line=1), f"this is not YAML: {first}; save it as UTF-8") from error
    if node is None:
        raise WrongValue(Place(file=file, line=1), "the file is empty; write something into it")
    return kind.read(node, file)
