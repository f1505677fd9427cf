"""The file of tokens: their hashes, for its owner's eyes, replaced whole, changed by one process at a time."""

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from tranche.access import Token, Tokens
from tranche.adapters.durable import write_atomically
from tranche.adapters.folder import FileLock
from tranche.person import Role
from tranche.ports import Fault

FORMAT: Final = 1
OWNER_ONLY: Final = 0o600
WAIT_S: Final = 5.0


class TokensFault(Fault):
    """The tokens could not be read or written. Nobody is let in then."""


class TokenFile:
    """Read anew each time, so that what is revoked is so at once."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Tokens:
        """All tokens ever made; none when there is no file yet.

        Raises:
            TokensFault: it cannot be read, is damaged, or is from a newer release.
        """
        try:
            data: Any = json.loads(self._path.read_text(encoding="utf-8"))
            if data["format"] != FORMAT:
                raise TokensFault(f"{self._path} has format {data['format']}, not {FORMAT}; update tranche")
            return tuple(_token(kept) for kept in data["tokens"])
        except FileNotFoundError:
            return ()
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise TokensFault(f"{self._path} cannot be read ({type(error).__name__}: {error})") from None

    def change(self, by: Callable[[Tokens], Tokens]) -> None:
        """Replace the tokens by what `by` makes of them; what it raises leaves the file as it is.

        Raises:
            TokensFault: as `read`, and when it cannot be written.
        """
        lock = FileLock(self._path.with_name(f"{self._path.name}.lock"))
        if not lock.acquire(wait_s=WAIT_S):
            raise TokensFault(f"somebody else is changing {self._path}; try again")
        try:
            kept = {"format": FORMAT, "tokens": [_kept(one) for one in by(self.read())]}
            write_atomically(self._path, json.dumps(kept, indent=1), mode=OWNER_ONLY)
        except OSError as error:
            raise TokensFault(f"{self._path} cannot be written ({error}); look at the disk") from error
        finally:
            lock.release()


def _token(kept: dict[str, Any]) -> Token:
    return Token(
        name=str(kept["name"]),
        role=Role(kept["role"]),
        digest=str(kept["digest"]),
        created_at=datetime.fromisoformat(kept["created_at"]),
        created_by=str(kept["created_by"]),
        expires_at=datetime.fromisoformat(kept["expires_at"]),
        revoked_at=datetime.fromisoformat(kept["revoked_at"]) if kept["revoked_at"] else None,
    )


def _kept(token: Token) -> dict[str, Any]:
    return {
        "name": token.name,
        "role": token.role.value,
        "digest": token.digest,
        "created_at": token.created_at.isoformat(),
        "created_by": token.created_by,
        "expires_at": token.expires_at.isoformat(),
        "revoked_at": token.revoked_at.isoformat() if token.revoked_at else None,
    }
