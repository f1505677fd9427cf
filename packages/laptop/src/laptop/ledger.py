"""After the traffic: is every acknowledged write in the ledger, and do the books balance?"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from laptop.client import Client, NoAnswer
from laptop.fault import LaptopFault
from laptop.visits import MANAGER, User, Written, fiscal_year

AT_ONCE: Final = 50
WITHIN_S: Final = 15.0
PAUSE_S: Final = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What the ledger holds of what was acknowledged. `trial_balance_difference` adds all companies' up."""

    acknowledged_writes: int
    lost_writes: int
    trial_balance_difference: str


def managers(users: Iterable[User]) -> dict[str, User]:
    """Somebody of each company who may see everything, by company."""
    found: dict[str, User] = {}
    for user in users:
        if MANAGER in user.roles:
            found.setdefault(user.tenant, user)
    return found


def newest(written: Iterable[Written]) -> list[Written]:
    """Of each document, the newest version that was acknowledged: older ones are in it."""
    found: dict[str, Written] = {}
    for one in written:
        before = found.get(one.id)
        if before is None or before.version < one.version:
            found[one.id] = one
    return list(found.values())


def question(batch: Sequence[Written]) -> str:
    """One query for many documents."""
    fields = (f'd{number}: {one.kind}(id: "{one.id}") {{ version }}' for number, one in enumerate(batch))
    return f"query {{ {' '.join(fields)} }}"


def lost(written: Iterable[Written], shown: Mapping[str, int]) -> int:
    """How many writes the ledger does not hold: their document is not there, or only in an older version."""
    return sum(1 for one in written if shown.get(one.id, 0) < one.version)


async def look_up(
    client: Client,
    written: Sequence[Written],
    tokens: Mapping[str, str],
    *,
    tell: Callable[[int, int], None],
) -> Held:
    """Look every acknowledged write up. One that is not shown is asked for again until WITHIN_S have passed.

    Raises:
        LaptopFault: the ledger does not answer; then nothing is known.
    """
    documents = newest(written)
    shown: dict[str, int] = {}
    for tenant, token in tokens.items():
        theirs = [one for one in documents if one.tenant == tenant]
        for start in range(0, len(theirs), AT_ONCE):
            shown |= await versions(client, token, theirs[start : start + AT_ONCE])
            tell(len(shown), len(documents))
    differences = [await difference(client, token) for token in tokens.values()]
    return Held(
        acknowledged_writes=len(written),
        lost_writes=lost(written, shown),
        trial_balance_difference=str(sum(differences, Decimal(0))),
    )


async def versions(client: Client, token: str, batch: Sequence[Written]) -> dict[str, int]:
    """Which version the ledger shows of each, 0 for none; asked until all are as new as they must be."""
    deadline = time.monotonic() + WITHIN_S
    while True:
        data = await answered(client, token, {"query": question(batch)})
        found = [(one, (data[f"d{number}"] or {"version": 0})["version"]) for number, one in enumerate(batch)]
        shown = {one.id: version for one, version in found}
        if not lost(batch, shown) or time.monotonic() > deadline:
            return shown
        await asyncio.sleep(PAUSE_S)


async def difference(client: Client, token: str) -> Decimal:
    """By how much debits and credits of a company differ, as an absolute amount."""
    asked = "query($year: String!) { trialBalance(input: {fiscalYear: $year}) { summary { variance { amount } } } }"
    year = fiscal_year(datetime.now(UTC).date())
    data = await answered(client, token, {"query": asked, "variables": {"year": year}})
    return abs(Decimal(data["trialBalance"]["summary"]["variance"]["amount"]))


async def answered(client: Client, token: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        answer = await client.ask("POST", "/graphql", token=token, body=body)
    except NoAnswer as error:
        raise LaptopFault(f"traffic: the ledger does not answer: {error}") from error
    if answer.status != 200 or not isinstance(answer.body, dict) or answer.body.get("errors"):
        raise LaptopFault(
            f"traffic: the ledger does not answer: HTTP {answer.status} {str(answer.body)[:300]}"
        )
    data: Mapping[str, Any] = answer.body["data"]
    return data
