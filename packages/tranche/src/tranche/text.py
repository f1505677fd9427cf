"""What may stand in a text: of people, who may write anything, and of settings, which name variables."""

import re
from typing import Final

PLACEHOLDER: Final = re.compile(r"\{([a-z][a-z0-9_]*)\}")
"""A variable in a gate's settings, filled in before the gate is run."""


def plain(text: str) -> str:
    """One line that a terminal, a file and a database take as it is: no control characters, no half characters."""
    return "".join(each if each.isprintable() else " " for each in text).strip()
