"""What `finance prove` shows of a release: named properties, each with a verdict and how much was looked at. Pure.

The report is what a gate of kind `proof` reads (docs/gates.md). A property passes only when something was looked at
and all of it was in order; nothing looked at *cannot tell*.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import msgspec

from finance.events import UnknownEvent, decode, encode, evolve
from finance.verify import CONTROLS, DEBITS, NUMBERS, STREAMS, Findings

UNCHANGED: Final = "log unchanged"
ALIKE: Final = "read models agree"
READ: Final = "events read"
FOLDED: Final = "events folded"
FOLLOWED: Final = "read models follow"
MOST_TOLD: Final = 5

Verdict = Literal["pass", "fail", "cannot tell"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One property. `evidence` says how much was looked at, and what was found."""

    name: str
    verdict: Verdict
    reason: str
    evidence: Mapping[str, object]


def report(version: str, shown: Sequence[Shown]) -> dict[str, object]:
    """The document of a proof of this version."""
    properties = [
        {"name": one.name, "verdict": one.verdict, "reason": one.reason, "evidence": dict(one.evidence)}
        for one in shown
    ]
    return {"version": version, "properties": properties}


def judged(name: str, faults: Sequence[str], looked: int, of: str, **evidence: object) -> Shown:
    """Fail with any fault, pass with something looked at, else cannot tell. `of` names what was counted."""
    counted = {of: looked, **evidence}
    if faults:
        told = "; ".join(faults[:MOST_TOLD])
        more = f"; and {len(faults) - MOST_TOLD} more" if len(faults) > MOST_TOLD else ""
        return Shown(
            name=name, verdict="fail", reason=told + more, evidence={**counted, "faults": len(faults)}
        )
    if not looked:
        return Shown(name=name, verdict="cannot tell", reason=f"no {of} to look at", evidence=counted)
    return Shown(name=name, verdict="pass", reason=f"{looked} {of} in order", evidence=counted)


def books(found: Findings) -> list[Shown]:
    """What `finance verify` has found, by property."""
    counted = {DEBITS: "entries", CONTROLS: "control accounts", NUMBERS: "numbers", STREAMS: "events"}
    return [judged(name, found.about[name], found.looked[name], of) for name, of in counted.items()]


# Was the log changed?


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """A stretch of the log as it was sealed, and as it is now. Positions are numbers of transactions."""

    since: int
    until: int
    digest: bytes
    events: int
    now: bytes
    events_now: int


def unchanged(guards: Mapping[str, bool], seals: Sequence[Seal], newly: int, newest: bytes | None) -> Shown:
    """Whether the guards stand and every seal fits. `newly` events were sealed just now, under the digest `newest`.

    The first time there is nothing to compare with: that is sealed, and the next proof can tell.
    """
    faults = [
        f"the guard '{name}' of the log is off" for name, stands in sorted(guards.items()) if not stands
    ]
    expected = 0
    for seal in seals:
        if seal.since != expected:
            faults.append(f"a seal is missing between transactions {expected} and {seal.since}")
        if (seal.digest, seal.events) != (seal.now, seal.events_now):
            held = f"{seal.events_now} events, sealed were {seal.events}"
            faults.append(f"events of transactions {seal.since} to {seal.until} changed ({held})")
        expected = seal.until
    looked = sum(seal.events for seal in seals)
    digest = newest.hex() if newest is not None else None
    return judged(UNCHANGED, faults, looked, "sealed events", seals=len(seals), newly=newly, digest=digest)


# Do two releases show the same?


@dataclass(frozen=True, slots=True, kw_only=True)
class Digests:
    """Both releases' read models at one position of the log: rows and digest by table."""

    position: int
    ours: Mapping[str, tuple[int, str]]
    theirs: Mapping[str, tuple[int, str]]


def alike(found: Digests | str) -> Shown:
    """Whether they are equal; a text says why nothing was compared."""
    if isinstance(found, str):
        return Shown(name=ALIKE, verdict="cannot tell", reason=found, evidence={})
    faults = [
        f"table {table} differs: {rows} rows and {found.theirs[table][0]}"
        for table, (rows, digest) in sorted(found.ours.items())
        if (rows, digest) != found.theirs[table]
    ]
    rows = sum(counted for counted, _ in found.ours.values())
    return judged(ALIKE, faults, rows, "rows", tables=len(found.ours), position=found.position)


# Can this release read what another wrote?


@dataclass(slots=True, kw_only=True)
class Reading:
    """Reads streams back, event by event in the order of their versions, as this release folds them."""

    events: int = 0
    types: set[str] = field(default_factory=set)
    unread: list[str] = field(default_factory=list)
    unfolded: list[str] = field(default_factory=list)
    passed_over: set[str] = field(default_factory=set)
    _stream: tuple[str, str] | None = None
    _state: Any = None
    _lost: bool = False

    def take(
        self, *, stream: tuple[str, str], version: int, event_type: str, data: bytes, theirs: bool
    ) -> None:
        """The next event; `theirs` counts, the others are what it builds upon. `stream` is a tenant and an id."""
        if stream != self._stream:
            self._stream, self._state, self._lost = stream, None, False
        place = f"{event_type}, version {version} of stream {stream[1]}"
        if theirs:
            self.events += 1
            self.types.add(event_type)
        try:
            event = decode(event_type, data)
        except (UnknownEvent, msgspec.DecodeError) as error:
            self._lost = True
            self.unread.append(f"{place}: {error}")
            return
        if theirs:
            again = msgspec.json.decode(encode(event)[1])
            self.passed_over |= {f"{event_type} {name}" for name in unknown(msgspec.json.decode(data), again)}
        if self._lost:
            return
        try:
            self._state = evolve(self._state, event)
        except Exception as error:  # noqa: BLE001 - whatever this release's fold does with such an event is what is asked
            self._lost = True
            self.unfolded.append(f"{place}: {type(error).__name__} {error}")

    def shown(self) -> list[Shown]:
        """Fields that this release passes over are told; that is how releases add to events, and no fault."""
        told: dict[str, object] = {"types": len(self.types)}
        if self.passed_over:
            told["passed_over"] = sorted(self.passed_over)[:MOST_TOLD]
        return [
            judged(READ, self.unread, self.events, "events", **told),
            judged(FOLDED, self.unread + self.unfolded, self.events, "events"),
        ]


def unknown(written: Any, again: Any, place: str = "") -> Iterator[str]:
    """Where something was written that is not there when it was read and written again."""
    if isinstance(written, dict) and isinstance(again, dict):
        for name, value in written.items():
            if name in again:
                yield from unknown(value, again[name], f"{place}{name}.")
            else:
                yield f"{place}{name}"
    if isinstance(written, list) and isinstance(again, list):
        for one, other in zip(written, again, strict=False):
            yield from unknown(one, other, place)


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """How far a release's read models had come, begin and end of a watch, and how far they had to."""

    needed: tuple[int, int] | None
    first: tuple[int, int]
    last: tuple[int, int]


def followed(found: Followed | str) -> Shown:
    """Whether the running release went over all of it. One that stands still before it cannot read what comes next."""
    if isinstance(found, str) or found.needed is None:
        told = found if isinstance(found, str) else "no events to look at"
        return Shown(name=FOLLOWED, verdict="cannot tell", reason=told, evidence={})
    evidence = {"needed": found.needed[1], "reached": found.last[1]}
    places = f"position {found.last[1]}, events reach to {found.needed[1]}"
    if found.last >= found.needed:
        return Shown(name=FOLLOWED, verdict="pass", reason=f"they are at {places}", evidence=evidence)
    if found.last == found.first:
        return Shown(name=FOLLOWED, verdict="fail", reason=f"they stand still at {places}", evidence=evidence)
    return Shown(
        name=FOLLOWED, verdict="cannot tell", reason=f"they move, and are at {places}", evidence=evidence
    )
