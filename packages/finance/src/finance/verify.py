"""Proves the books from the log alone: what `finance verify` says.

Recomputes everything from events and compares: debits equal credits per tenant and currency, versions without
gaps, numbers without gaps, and the read models of a release against the log.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from finance import journal, numbering
from finance.money import BASE, plain

DEBITS: Final = "debits equal credits"
NUMBERS: Final = "numbers without gaps"
STREAMS: Final = "streams whole"
CONTROLS: Final = "control accounts tie"
"""What is proved, by its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One event as it lies in the log."""

    tenant_id: str
    stream_id: str
    version: int
    event: Any


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Stands for an event whose data is not what its type says."""

    why: str


@dataclass(slots=True, kw_only=True)
class Findings:
    """What the log adds up to, in minor units. `sums` are debits and credits; the others debits less credits.

    Those with `base` are in the currency of the books. `faults` are told in their order, `about` has them by what is
    proved, and `looked` how much was looked at for it.
    """

    events: int = 0
    sums: dict[tuple[str, str], list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    base_sums: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    lines: dict[tuple[str, str, str], int] = field(default_factory=lambda: defaultdict(int))
    base_lines: dict[tuple[str, str, str], int] = field(default_factory=lambda: defaultdict(int))
    faults: list[str] = field(default_factory=list)
    about: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    looked: Counter[str] = field(default_factory=Counter)

    def tell(self, about: str, fault: str) -> None:
        self.faults.append(fault)
        self.about[about].append(fault)

    @property
    def verdict(self) -> str:
        """No event is no proof."""
        if self.faults:
            return "fail"
        return "pass" if self.events else "cannot tell"

    def report(self) -> dict[str, object]:
        balances = [
            {
                "tenant": tenant,
                "currency": currency,
                "debits": plain(debit, currency),
                "credits": plain(credit, currency),
                "difference": plain(debit - credit, currency),
            }
            for (tenant, currency), (debit, credit) in sorted(self.sums.items())
        ]
        return {
            "verdict": self.verdict,
            "events": self.events,
            "balances": balances,
            "faults": self.faults,
        }


def examine(log: Iterable[Stored]) -> Findings:
    """Read the whole log once, in the order of each stream's versions."""
    found = Findings()
    versions: dict[tuple[str, str], int] = defaultdict(int)
    numbers: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for stored in log:
        found.events += 1
        found.looked[STREAMS] += 1
        stream = (stored.tenant_id, stored.stream_id)
        if stored.version != versions[stream] + 1:
            told = f"stream {stored.stream_id}: version {stored.version} follows {versions[stream]}"
            found.tell(STREAMS, told)
        versions[stream] = stored.version
        _count(found, numbers, stored)
    for (tenant, currency), (debit, credit) in found.sums.items():
        if debit != credit:
            difference = plain(debit - credit, currency)
            found.tell(DEBITS, f"tenant {tenant}: debits less credits is {difference} {currency}")
    for tenant, difference_minor in found.base_sums.items():
        if difference_minor:
            difference = plain(difference_minor, BASE)
            found.tell(DEBITS, f"tenant {tenant}: debits less credits are worth {difference} {BASE}")
    for (tenant, series, year), drawn in numbers.items():
        if sorted(drawn) != list(range(1, len(drawn) + 1)):
            found.tell(NUMBERS, f"tenant {tenant}: {series} numbers of {year} have gaps or repeat")
    return found


def _count(found: Findings, numbers: dict[tuple[str, str, str], list[int]], stored: Stored) -> None:
    match stored.event:
        case Unreadable(why):
            found.tell(STREAMS, f"stream {stored.stream_id}: version {stored.version} cannot be read ({why})")
        case journal.Posted(number=number, currency=currency, lines=lines):
            found.looked[DEBITS] += 1
            sums = found.sums[stored.tenant_id, currency]
            for line in lines:
                sums[0] += line.debit_minor
                sums[1] += line.credit_minor
                place = (stored.tenant_id, line.account_id, currency)
                found.lines[place] += line.debit_minor - line.credit_minor
                debit, credit = journal.base(line, currency)
                found.base_sums[stored.tenant_id] += debit - credit
                found.base_lines[place] += debit - credit
            in_base = [debit - credit for debit, credit in (journal.base(line, currency) for line in lines)]
            if sum(line.debit_minor - line.credit_minor for line in lines) or sum(in_base):
                found.tell(DEBITS, f"entry {number} of tenant {stored.tenant_id} does not balance")
        case _:
            pass
    for number, day in numbering.carried(stored.event):
        _number(found, numbers, stored, number, day)


def _number(
    found: Findings,
    numbers: dict[tuple[str, str, str], list[int]],
    stored: Stored,
    number: str,
    day: date | None,
) -> None:
    """Note a number; `day` is the document's where the number alone does not tell it."""
    found.looked[NUMBERS] += 1
    try:
        drawn = numbering.read(number, day)
        numbers[stored.tenant_id, drawn.series, drawn.fiscal_year].append(drawn.sequence)
    except ValueError:
        found.tell(NUMBERS, f"stream {stored.stream_id}: number '{number[:40]}' cannot be read")
