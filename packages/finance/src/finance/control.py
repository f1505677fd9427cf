"""Holds the control accounts against what documents and payments say is open: two sources for one figure.

The ledger's side is made from posted entries, the other from each document's own stream. They were written in one
transaction and must agree, per tenant, account and currency, in that currency and in that of the books.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, Final, get_args

from finance import invoice, payment, posting, voucher
from finance.chart import account_id
from finance.events import evolve
from finance.invoice import Invoice
from finance.money import BASE, plain
from finance.payment import Payment
from finance.posting import SIDES
from finance.settlement import SALES
from finance.verify import CONTROLS, STREAMS, Findings, Stored
from finance.voucher import Voucher

OPENED: Final = (*get_args(invoice.Event), *get_args(voucher.Event), *get_args(payment.Event))
Place = tuple[str, str, str]
"""A tenant, an account and a currency."""


def check(log: Iterable[Stored], found: Findings) -> None:
    """Add a fault to the findings for every control account that is not what is open; and for what cannot be folded."""
    owed: dict[Place, list[int]] = defaultdict(lambda: [0, 0])
    for tenant_id, state in folded(log, found):
        for code, minor, base_minor in open_of(state):
            sums = owed[tenant_id, account_id(tenant_id, code), state.currency]
            sums[0] += minor
            sums[1] += base_minor
    places = {place for place in found.lines if place[1] in posting.controls(place[0])} | owed.keys()
    for tenant_id, one, currency in sorted(places):
        place = (tenant_id, one, currency)
        found.looked[CONTROLS] += 1
        for said, held, unit in (
            (owed[place][0], found.lines.get(place, 0), currency),
            (owed[place][1], found.base_lines.get(place, 0), BASE),
        ):
            if said != held:
                found.tell(
                    CONTROLS,
                    f"tenant {tenant_id}: control account {one} holds {plain(held, unit)} {unit}"
                    f" of entries in {currency}, but documents say {plain(said, unit)}",
                )


def folded(log: Iterable[Stored], found: Findings) -> Iterator[tuple[str, Any]]:
    """The last state of every invoice, voucher and payment, by tenant; the log is in the order of streams."""
    stream, state = ("", ""), None
    for stored in log:
        if not isinstance(stored.event, OPENED):
            continue
        if (stored.tenant_id, stored.stream_id) != stream:
            if state is not None:
                yield stream[0], state
            stream, state = (stored.tenant_id, stored.stream_id), None
        try:
            state = evolve(state, stored.event)
        except AssertionError:
            found.tell(STREAMS, f"stream {stored.stream_id}: version {stored.version} cannot be folded")
    if state is not None:
        yield stream[0], state


def open_of(state: Any) -> list[tuple[str, int, int]]:
    """What is open, as debits less credits of the account that must hold it: account code, amount, its worth."""
    if not isinstance(state, Invoice | Voucher | Payment):
        return []
    side, sign = SIDES[state.side], 1 if state.side == SALES else -1
    if isinstance(state, Payment):
        return [(side.advances, -sign * state.credit.minor, -sign * state.credit.base_minor)]
    if state.cancelled or state.number is None:
        return []
    if isinstance(state, Voucher) and state.is_credit:
        return [(side.control, -sign * state.credit.minor, -sign * state.credit.base_minor)]
    return [(side.control, sign * state.open_minor, sign * state.base_open_minor)]
