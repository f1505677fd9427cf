"""Releases as they are shipped to this machine: a manifest of settings over one build of the code.

`laptop release run SERVICE VERSION` becomes that service with the settings of its manifest and those of this
laptop; what is shipped with a release wins.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import yaml

from laptop import binaries
from laptop.fault import LaptopRefused


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A version of a service, what is said of it, and the settings it is shipped with."""

    service: str
    version: str
    about: str
    settings: Mapping[str, str]


def versions(service: str) -> list[str]:
    folder = files("laptop") / "releases" / service
    if not folder.is_dir():
        return []
    return sorted(file.name.removesuffix(".yaml") for file in folder.iterdir() if file.name.endswith(".yaml"))


def load(service: str, version: str) -> Release:
    """The manifest of a version.

    Raises:
        LaptopRefused: there is none.
    """
    known = versions(service)
    if version not in known:
        shown = ", ".join(known) or "none"
        raise LaptopRefused(f"{service} has no release {version}; there are: {shown}")
    text = (files("laptop") / "releases" / service / f"{version}.yaml").read_text(encoding="utf-8")
    manifest = yaml.safe_load(text)
    return Release(
        service=service,
        version=version,
        about=str(manifest["about"]),
        settings={str(key): str(value) for key, value in (manifest.get("settings") or {}).items()},
    )


def become(release: Release, colour: str, settings_file: Path) -> None:
    """Turn this process into the service. Does not return."""
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
    program = str(binaries.ours(release.service))
    os.execve(program, [program, "serve"], environment)  # noqa: S606 - becoming the service is its purpose
