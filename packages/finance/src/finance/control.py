"""Holds the control accounts against what documents and payments say is open: two sources for one figure.

The ledger's side is made from posted entries, the other from each document's own stream. They were written in one
transaction and must agree, per tenant, account and currency, in that currency and in that of the books. Beside them,
what revaluations of currencies put on accounts of their own, they have taken back on the next day.
"""

from collections import defaultdict
from collections.abc import Iterable
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


class Control:
    """Folds invoices, vouchers and payments of a log, one at a time, and sums what each says is open at its end.

    The events of a stream follow each other, as in `verify.Examination`. Faults go to `found`.
    """

    def __init__(self, found: Findings) -> None:
        self._found = found
        self._owed: dict[Place, list[int]] = defaultdict(lambda: [0, 0])
        self._stream: tuple[str, str] = ("", "")
        self._state: Any = None

    def add(self, stored: Stored) -> None:
        if not isinstance(stored.event, OPENED):
            return
        if (stored.tenant_id, stored.stream_id) != self._stream:
            self._sum()
            self._stream, self._state = (stored.tenant_id, stored.stream_id), None
        try:
            self._state = evolve(self._state, stored.event)
        except AssertionError:
            told = f"stream {stored.stream_id}: version {stored.version} cannot be folded"
            self._found.tell(STREAMS, told)

    def _sum(self) -> None:
        """Add what the stream that ends here says is open."""
        tenant_id, _ = self._stream
        for code, minor, base_minor in open_of(self._state):
            sums = self._owed[tenant_id, account_id(tenant_id, code), self._state.currency]
            sums[0] += minor
            sums[1] += base_minor

    def finish(self) -> None:
        """Add a fault for every control account that is not what is open. Called once, after the last event."""
        self._sum()
        found, owed = self._found, self._owed
        self._valuations()
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

    def _valuations(self) -> None:
        """Add a fault for every account beside revalued currencies that is not empty once all is taken back."""
        held: dict[tuple[str, str], int] = defaultdict(int)
        for (tenant_id, one, _), base_minor in self._found.base_lines.items():
            if one in posting.valuations(tenant_id):
                held[tenant_id, one] += base_minor
        for (tenant_id, one), base_minor in sorted(held.items()):
            self._found.looked[CONTROLS] += 1
            if base_minor:
                left = plain(base_minor, BASE)
                told = f"tenant {tenant_id}: valuation account {one} has {left} {BASE} that no reversal takes back"
                self._found.tell(CONTROLS, told)


def check(log: Iterable[Stored], found: Findings) -> None:
    """Add a fault to the findings for every control account that is not what is open; and for what cannot be folded."""
    control = Control(found)
    for stored in log:
        control.add(stored)
    control.finish()


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
