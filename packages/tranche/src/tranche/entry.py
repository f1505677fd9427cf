"""The program `tranche`. Who takes users back waits for nothing: the words of that command are read here.

Everything else, and whatever of a rollback is not written plainly, is read by `cli.py`, which takes longer to import
than a rollback may take. The deed is the same one (`rollback.py`), and so are what it answers and its exit codes.
"""

import gc
import os
import sys
from typing import Final

WITH_VALUE: Final = ("--reason", "--site")
FLAGS: Final = ("--force", "--json")


def main() -> None:
    """The program."""
    if sys.argv[1:2] == ["rollback"]:
        gc.disable()  # it is over before there is anything to collect
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """One command; its exit code."""
    asked = plainly(arguments, os.environ.get("TRANCHE_SITE", ""))
    if asked is None:
        from tranche import cli

        return cli.run(arguments)
    from pathlib import Path

    from tranche import answer, rollback
    from tranche.text import plain

    return answer.code_of(
        lambda: rollback.roll_back(
            Path(asked["--site"]),
            reason=plain(asked["--reason"]),
            force="--force" in asked,
            as_json="--json" in asked,
        )
    )


def plainly(arguments: list[str], site: str) -> dict[str, str] | None:
    """The options of a rollback, by their names; None where it is none, or not surely one that `cli.py` reads alike.

    `site` is the site file where no option names one; "" if there is none.
    """
    if arguments[:1] != ["rollback"]:
        return None
    found = {"--site": site}
    words = iter(arguments[1:])
    for word in words:
        name, has_value, value = word.partition("=")
        if word in FLAGS:
            found[word] = ""
        elif name in WITH_VALUE:
            found[name] = value if has_value else next(words, "")
        else:
            return None
    options = [found.get(name, "") for name in WITH_VALUE]
    return found if all(value and not value.startswith("-") for value in options) else None


if __name__ == "__main__":
    main()
