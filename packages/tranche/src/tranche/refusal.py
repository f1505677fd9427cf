"""Refusals: the request was understood, and the rules say no.

Nothing has changed when one is raised. One class per rule, each with a stable `code`; its docstring is the
message unless a better one is given. Exit codes are chosen in `answer.py` and nowhere else.
"""

import inspect
from typing import ClassVar


class Refused(Exception):
    """The rules say no."""

    code: ClassVar[str] = "refused"

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or inspect.cleandoc(type(self).__doc__ or ""))
