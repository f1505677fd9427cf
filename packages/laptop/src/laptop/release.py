"""Releases as they are shipped to this machine: a manifest of settings over one build of the code.

`laptop release run SERVICE VERSION` becomes that service with the settings of its manifest and those of this
laptop; what is shipped with a release wins. Another command of that release is run the same way: a proof by its code.
"""

import json
import os
import resource
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

import yaml

from laptop import binaries
from laptop.fault import LaptopRefused


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A version of a service, what is said of it, and the settings it is shipped with.

    `cpu_seconds` is how much processor time its process may use before the kernel ends it, as a limit of a
    container would be.
    """

    service: str
    version: str
    about: str
    settings: Mapping[str, str]
    cpu_seconds: int | None = None


def folder(service: str) -> Path:
    """Where the manifests of a service are: a file `VERSION.yaml` each."""
    return Path(str(files("laptop") / "releases" / service))


def versions(service: str) -> list[str]:
    return sorted(file.stem for file in folder(service).glob("*.yaml"))


def load(service: str, version: str) -> Release:
    """The manifest of a version.

    Raises:
        LaptopRefused: there is none.
    """
    known = versions(service)
    if version not in known:
        shown = ", ".join(known) or "none"
        raise LaptopRefused(f"{service} has no release {version}; there are: {shown}")
    text = (folder(service) / f"{version}.yaml").read_text(encoding="utf-8")
    manifest = yaml.safe_load(text)
    return Release(
        service=service,
        version=version,
        about=str(manifest["about"]),
        settings={str(key): str(value) for key, value in (manifest.get("settings") or {}).items()},
        cpu_seconds=manifest.get("cpu_seconds"),
    )


SERVE: Final = ("serve",)
PATIENCE: Final = 10
"""By how much other commands let the services go first: here they share one machine with the users."""


def become(release: Release, colour: str, settings_file: Path, arguments: Sequence[str] = SERVE) -> None:
    """Turn this process into the service, or into another of its commands. Does not return."""
    prefix = release.service.upper()
    settings: dict[str, str] = json.loads(settings_file.read_text(encoding="utf-8"))[colour]
    shipped = {
        key: value.replace("{nowhere}", "http://127.0.0.1:9") for key, value in release.settings.items()
    }
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith(f"{prefix}_")},
        **settings,
        **shipped,
        f"{prefix}_RELEASE": release.version,
        f"{prefix}_COLOUR": colour,
    }
    if release.cpu_seconds is not None:
        resource.setrlimit(resource.RLIMIT_CPU, (release.cpu_seconds, release.cpu_seconds + 1))
    if tuple(arguments) != SERVE:
        os.nice(PATIENCE)
    program = str(binaries.ours(release.service))
    os.execve(program, [program, *arguments], environment)  # noqa: S606 - becoming it is the purpose
