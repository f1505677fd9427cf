"""What gates of every kind share: variables in their settings, and how long answers may be."""

import json
from collections.abc import Mapping
from typing import Final

from tranche.ports import GateAnswer
from tranche.text import PLACEHOLDER, plain

LONGEST_REASON: Final = 300
LARGEST_EVIDENCE: Final = 4000
"""Characters; answers are kept in the event log for ever."""


def kept(answer: GateAnswer) -> GateAnswer:
    """An answer as it is kept and shown, whatever a program or another system has said."""
    reason = brief(answer.reason) or f"it says {answer.verdict}, and not why"
    return GateAnswer(verdict=answer.verdict, reason=reason, evidence=small(dict(answer.evidence)))


def brief(reason: str) -> str:
    """A reason of one line, not longer than is kept."""
    return plain(reason[: 2 * LONGEST_REASON])[:LONGEST_REASON]


def small(evidence: object) -> dict[str, object]:
    """Evidence as it is kept; what is no JSON object, or too large, is left out."""
    try:
        written = json.dumps(evidence, allow_nan=False)
    except (ValueError, TypeError, RecursionError):
        return {}
    return dict(evidence) if isinstance(evidence, Mapping) and len(written) <= LARGEST_EVIDENCE else {}


class UnknownVariable(Exception):
    """A setting names a variable that the site does not lend."""


def substituted(value: object, variables: Mapping[str, str]) -> object:
    """`value` with each `{name}` replaced, however deep.

    Raises:
        UnknownVariable: there is no such variable.
    """
    match value:
        case str():
            return PLACEHOLDER.sub(lambda found: _variable(found[1], variables), value)
        case Mapping():
            return {key: substituted(item, variables) for key, item in value.items()}
        case list() | tuple():
            return [substituted(item, variables) for item in value]
        case _:
            return value


def _variable(name: str, variables: Mapping[str, str]) -> str:
    if name not in variables:
        known = ", ".join(sorted(variables)) or "none"
        raise UnknownVariable(f"there is no variable '{{{name}}}' (there are: {known}); add it to the site")
    return variables[name]
