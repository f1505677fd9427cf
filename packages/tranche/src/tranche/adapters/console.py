"""Tells whoever reads the controller's output."""

import sys
from datetime import UTC, datetime


class ConsoleNotifier:
    """One line a message on standard error; a closed terminal is no trouble."""

    def tell(self, *, title: str, text: str, severity: str, key: str, recorded: bool = False) -> None:  # noqa: ARG002 - the port
        try:
            sys.stderr.write(f"{datetime.now(UTC):%H:%M:%S} {severity:<8} {title}: {text}\n")
            sys.stderr.flush()
        except (OSError, ValueError):
            return
