"""A value that stands in no plan, no site file and no log: read from a file or the environment when needed.

Only where it is kept is ever shown, in messages as in `repr`.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from tranche.ports import Fault
from tranche.shape import Key, Record, Text, WrongValue, place_of, scalar


class SecretMissing(Fault):
    """A secret is not where the site says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """Where a secret is kept: in a file, of which the last line break does not count, or in a variable."""

    file: Path | None = None
    environment: str | None = None

    def __str__(self) -> str:
        return f"the file {self.file}" if self.file else f"the environment's {self.environment}"

    def read(self, environment: Mapping[str, str] = os.environ) -> str:
        """The value itself; read anew each time, so that it may be replaced while a controller runs.

        Raises:
            SecretMissing: there is nothing, or it is empty.
        """
        if self.file is not None:
            try:
                value = self.file.read_text(encoding="utf-8").rstrip("\r\n")
            except (OSError, UnicodeDecodeError) as error:
                raise SecretMissing(f"the secret in {self} cannot be read ({type(error).__name__})") from None
        else:
            value = environment.get(self.environment or "", "")
        if not value:
            raise SecretMissing(f"the secret in {self} is empty or missing; set it")
        return value


@dataclass(frozen=True, slots=True)
class TextOrSecret:
    """A value that may stand here, or may be kept elsewhere."""

    folder: Path

    def read(self, node: yaml.Node, file: str) -> str | Secret:
        if isinstance(node, yaml.MappingNode):
            return SecretKind(self.folder).read(node, file)
        return scalar(node, file, "a text, {file: PATH} or {environment: NAME}")

    def schema(self) -> dict[str, object]:
        plain = {"type": ["string", "number", "boolean"]}
        return {"anyOf": [plain, SecretKind(self.folder).schema()]}


@dataclass(frozen=True, slots=True)
class SecretKind:
    """A secret as a site file names it. A value written out is refused."""

    folder: Path

    def read(self, node: yaml.Node, file: str) -> Secret:
        place = place_of(node, file)
        if isinstance(node, yaml.ScalarNode):
            told = "a secret does not stand here; write {file: PATH} or {environment: NAME}"
            raise WrongValue(place, told)
        found = self._record().read(node, file)
        if (found.file is None) == (found.environment is None):
            raise WrongValue(place, "a secret is in one place: write {file: PATH} or {environment: NAME}")
        return found

    def schema(self) -> dict[str, object]:
        return self._record().schema() | {"minProperties": 1, "maxProperties": 1}

    def _record(self) -> Record[Secret]:
        def secret(*, place: object, file: str | None, environment: str | None) -> Secret:  # noqa: ARG001 - every record is given its place
            return Secret(file=self.folder / file if file else None, environment=environment)

        keys = {
            "file": Key(Text(expected="a file"), "the file that holds it", None),
            "environment": Key(
                Text(expected="the name of a variable", pattern=r"[A-Za-z_][A-Za-z0-9_]*"),
                "the environment variable that holds it",
                None,
            ),
        }
        return Record(secret, keys)
