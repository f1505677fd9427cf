"""Files that are replaced whole: a reader sees the old text or the new one, and a crash leaves one of them."""

import os
from pathlib import Path
from typing import Final

FOR_ALL: Final = 0o644


def write_atomically(path: Path, text: str, *, mode: int = FOR_ALL, is_durable: bool = True) -> None:
    """Replace a file by renaming a finished one into its place; `is_durable`: it is on the disk before that.

    Raises:
        OSError: it could not be written; what was there stands.
    """
    # As `tempfile` makes one; but that takes longer to import than a rollback by hand may wait.
    temporary = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            if is_durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.chmod(mode)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
