"""What the command line takes from its environment. An unknown key is refused: somebody meant something."""

import getpass
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tranche.plan import plain
from tranche.refusal import Refused
from tranche.shape import nearest

PREFIX: Final = "TRANCHE_"
KNOWN: Final = ("TRANCHE_SITE", "TRANCHE_ACTOR")


class UnknownSetting(Refused):
    """A setting that means nothing."""

    code = "unknown-setting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`site`: TRANCHE_SITE, the site file, when --site is not given. `actor`: TRANCHE_ACTOR, who is recorded
    as having asked; else the name of the operating system's user.
    """

    site: Path | None
    actor: str


def from_environment(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read once.

    Raises:
        UnknownSetting: a key with our prefix that is none of ours.
    """
    for key in environment:
        if key.startswith(PREFIX) and key not in KNOWN:
            raise UnknownSetting(f"the environment sets {key}, which means nothing; {nearest(key, KNOWN)}")
    site = environment.get("TRANCHE_SITE")
    actor = plain(environment.get("TRANCHE_ACTOR", "")) or _user()
    return Settings(site=Path(site) if site else None, actor=actor)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"uid {os.getuid()}"
