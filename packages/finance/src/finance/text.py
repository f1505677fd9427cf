"""Texts that people give, and how long they may be."""

from finance.refusal import TextMalformed


def sized(text: str, what: str, least: int, most: int) -> str:
    """The text without blanks around it.

    Raises:
        TextMalformed: it is shorter than `least` or longer than `most` characters.
    """
    stripped = text.strip()
    if not least <= len(stripped) <= most:
        raise TextMalformed(f"{what}: expected {least} to {most} characters, found {len(stripped)}")
    return stripped
