"""What the command line takes from its environment. An unknown key is refused: somebody meant something."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tranche.person import RESERVED, KnownBy, Person
from tranche.refusal import Refused
from tranche.secret import Secret
from tranche.shape import nearest
from tranche.text import plain

PREFIX: Final = "TRANCHE_"
KNOWN: Final = ("TRANCHE_SITE", "TRANCHE_ACTOR", "TRANCHE_TOKEN", "TRANCHE_TOKEN_FILE")


class UnknownSetting(Refused):
    """A setting that means nothing."""

    code = "unknown-setting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`site`: TRANCHE_SITE, the site file, when --site is not given. `asker`: TRANCHE_ACTOR, who is recorded
    as having asked where a site asks for no token; else the name of the operating system's user. `token`: where
    one is kept, in the file TRANCHE_TOKEN_FILE or in TRANCHE_TOKEN itself.
    """

    site: Path | None
    asker: Person
    token: Secret | None = None


def from_environment(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read once.

    Raises:
        UnknownSetting: a key with our prefix that is none of ours.
    """
    for key in environment:
        if key.startswith(PREFIX) and key not in KNOWN:
            raise UnknownSetting(f"the environment sets {key}, which means nothing; {nearest(key, KNOWN)}")
    site = environment.get("TRANCHE_SITE")
    return Settings(
        site=Path(site) if site else None,
        asker=_asker(plain(environment.get("TRANCHE_ACTOR", ""))),
        token=_token(environment),
    )


def _asker(said: str) -> Person:
    """Whoever goes by a name that the log has for the engine itself is told apart from it."""
    name = said or _user()
    known_by = KnownBy.ENVIRONMENT if said else KnownBy.USER
    return Person(name=f"person {name}" if name in RESERVED else name, known_by=known_by)


def _token(environment: Mapping[str, str]) -> Secret | None:
    if file := environment.get("TRANCHE_TOKEN_FILE"):
        return Secret(file=Path(file))
    return Secret(environment="TRANCHE_TOKEN") if environment.get("TRANCHE_TOKEN") else None


def _user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"uid {os.getuid()}"
