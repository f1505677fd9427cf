"""Proves the books from the log alone: what `finance verify` says.

Recomputes everything from events and compares: debits equal credits per tenant and currency, versions without
gaps, numbers without gaps, and the read models of a release against the log.
"""

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
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


class Examination:
    """Reads a log event by event and keeps sums, not events: what it holds grows with accounts and series alone, but
    for eight bytes a number. The events of a stream follow each other, in the order of their versions.
    """

    def __init__(self) -> None:
        self.found = Findings()
        self._stream, self._version = ("", ""), 0
        self._numbers: dict[tuple[str, str, str], array[int]] = defaultdict(lambda: array("q"))

    def add(self, stored: Stored) -> None:
        found, stream = self.found, (stored.tenant_id, stored.stream_id)
        found.events += 1
        found.looked[STREAMS] += 1
        if stream != self._stream:
            self._stream, self._version = stream, 0
        if stored.version != self._version + 1:
            told = f"stream {stored.stream_id}: version {stored.version} follows {self._version}"
            found.tell(STREAMS, told)
        self._version = stored.version
        _count(found, self._numbers, stored)

    def finish(self) -> Findings:
        """What the whole log adds up to. Called once, after the last event."""
        found = self.found
        for (tenant, currency), (debit, credit) in found.sums.items():
            if debit != credit:
                difference = plain(debit - credit, currency)
                found.tell(DEBITS, f"tenant {tenant}: debits less credits is {difference} {currency}")
        for tenant, difference_minor in found.base_sums.items():
            if difference_minor:
                difference = plain(difference_minor, BASE)
                found.tell(DEBITS, f"tenant {tenant}: debits less credits are worth {difference} {BASE}")
        for (tenant, series, year), drawn in self._numbers.items():
            if not without_gaps(drawn):
                found.tell(NUMBERS, f"tenant {tenant}: {series} numbers of {year} have gaps or repeat")
        return found


def without_gaps(drawn: Sequence[int]) -> bool:
    """Whether these are the numbers from 1 to how many they are, in whatever order."""
    seen = bytearray(len(drawn) + 1)
    for one in drawn:
        if not 1 <= one <= len(drawn) or seen[one]:
            return False
        seen[one] = 1
    return True


def examine(log: Iterable[Stored]) -> Findings:
    """Read the whole log once."""
    examination = Examination()
    for stored in log:
        examination.add(stored)
    return examination.finish()


def _count(found: Findings, numbers: dict[tuple[str, str, str], "array[int]"], stored: Stored) -> None:
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
    numbers: dict[tuple[str, str, str], "array[int]"],
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
