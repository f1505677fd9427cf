"""Posts a message to another system, and tells whether it arrived. Addresses may be secrets here and are never told."""

from collections.abc import Mapping
from typing import Final

from tranche.adapters.exchange import NoAnswer, exchange
from tranche.ports import NotTold

TIMEOUT_S: Final = 10.0
LONGEST_WAIT_S: Final = 120.0
MAY_YET: Final = {408, 425, 429}
"""Statuses below 500 after which the same message may yet be taken: timed out, too early, too many."""


def deliver(url: str, body: bytes, headers: Mapping[str, str] | None = None) -> None:
    """Post this JSON once. Certificates are checked, redirects are not followed.

    Raises:
        NotTold: there is no answer, or one that is not of 200 to 299. Its message says nothing of the address.
    """
    sent = {"content-type": "application/json", "user-agent": "tranche", **(headers or {})}
    try:
        answer = exchange("POST", url, timeout_s=TIMEOUT_S, headers=sent, body=body)
    except NoAnswer as fault:
        raise NotTold(str(fault)) from None
    if not 200 <= answer.status < 300:
        is_final = answer.status < 500 and answer.status not in MAY_YET
        again_in_s = _seconds(answer.headers.get("retry-after", ""))
        raise NotTold(f"answered {answer.status}", is_final=is_final, again_in_s=again_in_s)


def _seconds(said: str) -> float | None:
    """A `Retry-After` in seconds; as a date it is not read, and the usual wait is kept."""
    return min(float(said), LONGEST_WAIT_S) if said.strip().isdecimal() else None
