"""Texts that people give, how long they may be, and that they can be seen."""

import re
from typing import Final

from finance.refusal import TextMalformed

UNSEEN: Final = re.compile(r"[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters, but for tabs and line ends; and what turns the letters after it round, so that a reader of a
report sees another text than is there. Marks that letters need stay: joiners, U+200E, U+200F."""


def sized(text: str, what: str, least: int, most: int) -> str:
    """The text without blanks around it.

    Raises:
        TextMalformed: it is shorter than `least` or longer than `most` characters, has nothing to be seen, or a
            character that hides what is there.
    """
    stripped = text.strip()
    if not least <= len(stripped) <= most:
        raise TextMalformed(f"{what}: expected {least} to {most} characters, found {len(stripped)}")
    hidden = UNSEEN.search(stripped)
    if hidden is not None:
        raise TextMalformed(f"{what}: it holds a character that hides what is there, U+{ord(hidden[0]):04X}")
    if least and not any(one.isprintable() and not one.isspace() for one in stripped):
        raise TextMalformed(f"{what}: nothing of it can be seen")
    return stripped
