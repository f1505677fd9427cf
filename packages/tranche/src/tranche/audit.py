"""The evidence of a rollout as one file: written, checked offline, and every decision made again. Pure.

The file is lines of JSON, each in the one canonical way of writing it: a head; the events of the log; the dossier
(`dossier.py`), which is made of them; and a seal, an envelope that names the digest of all that stands before it.
Nothing in it is taken on trust that can be worked out: `verify` works the chain, the dossier and the seal out again.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from tranche.attestation import (
    ASK,
    ASKED,
    COUNTERSIGNATURE,
    ENGINE,
    PREDICATE,
    Foreign,
    MadeBy,
    Verify,
    countersigns,
    decision_json,
    keys_of,
    records_digest,
    said_in,
    sealed,
    version_told,
)
from tranche.canonical import canonical, digest, event_json, plain, typed, written
from tranche.decide import decide
from tranche.decision import Decision
from tranche.dossier import dossier
from tranche.events import NAMES, Attested, Countersigned, decode, encode
from tranche.evidence import Evidence
from tranche.language import parse
from tranche.moves import events_of
from tranche.person import RESERVED
from tranche.plan import Plan
from tranche.ports import LogFault, Recorded, Signer, Verdict
from tranche.progress import Progress, evolve, whole
from tranche.refusal import Refused
from tranche.shape import FileRefused

FORMAT: Final = "tranche-evidence/1"
SEAL: Final = "urn:tranche:evidence-seal:v1"
DECISIONS: Final = (
    "phase-entered/1",
    "stepped-back/1",
    "rollback-decided/1",
    "completed/1",
    "held/1",
)
"""Events that say what was decided: each must stand beside an entry that vouches for it."""
ASKS: Final = frozenset(NAMES[kind] for kind in ASKED)
"""Events that people ask for; what the engine itself records of these belongs to a decision, or to its plan."""

Json = dict[str, Any]


class EvidenceDamaged(Refused):
    """The evidence is not as it was written."""

    code = "evidence-damaged"


class OtherKey(Refused):
    """The evidence is not signed by the key that was given."""

    code = "other-key"


class OtherRelease(Refused):
    """The evidence cannot be read as its release read it."""

    code = "other-release"


class OtherDecision(Refused):
    """A decision made again is another one than was recorded."""

    code = "other-decision"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One entry as the file has it: what it says, the rollout as it was known to who decided, the rollout right
    before the entry, and the events it vouches for. `signed_later_by` are the keys that an entry behind it has.
    """

    said: Json
    known: Progress
    before: Progress
    records: tuple[Recorded, ...]
    asked: tuple[int, ...]
    position: int
    keys: tuple[str, ...]
    signed_later_by: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        return str(self.said["predicateType"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """A file that was checked. `uncovered` are the positions of decisions that no entry vouches for, `unasked` those of
    asks: an older release recorded them.
    """

    head: Json
    plan: Plan
    events: tuple[Recorded, ...]
    dossier: Json
    cases: tuple[Case, ...]
    seal_keys: tuple[str, ...]
    uncovered: tuple[int, ...]
    unasked: tuple[int, ...]

    @property
    def asked_since(self) -> int | None:
        """From which position on every ask has an entry; None when none has."""
        return min((position for case in self.cases for position in case.asked), default=None)

    @property
    def asks(self) -> int:
        """How many entries vouch for what people asked, but for rollbacks, which are decisions."""
        return len(self.of_kind(ASK))

    def of_kind(self, kind: str) -> tuple[Case, ...]:
        return tuple(case for case in self.cases if case.kind == kind)

    @property
    def keys(self) -> tuple[str, ...]:
        """Every key that has signed anything in it, each once."""
        return tuple(sorted({*self.seal_keys, *(key for case in self.cases for key in case.keys)}))

    @property
    def unsigned(self) -> int:
        """How many entries nobody has signed, neither in them nor behind them."""
        return sum(not case.keys and not case.signed_later_by for case in self.cases)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """What making every decision again came to; those that no rule led to cannot be made again. `asks` are what people
    asked besides: each is what its entry says it is.
    """

    agreed: int
    by_people: int
    by_faults: int
    asks: int


def export(events: Sequence[Recorded], plan: Plan, *, at: datetime, by: str, signer: Signer | None) -> str:
    """The whole file. A signer that cannot sign leaves the seal unsigned, and the seal says so."""
    head = {
        "format": FORMAT,
        "rollout": events[0].rollout,
        "exported_at": plain(at),
        "exported_by": by,
        "engine": ENGINE,
    }
    progress = whole(events)
    told = [head, *(_event(each) for each in events), {"dossier": dossier(events, progress, plan)}]
    text = "".join(f"{canonical(each)}\n" for each in told)
    envelope, _ = sealed(canonical(_seal(text, progress)).encode(), signer)
    return text + canonical(envelope) + "\n"


def _event(recorded: Recorded) -> Json:
    return {"position": recorded.position, **event_json(recorded)}


def _seal(text: str, progress: Progress) -> Json:
    return {
        "_type": SEAL,
        "digest": digest(text),
        "log_digest": progress.log_digest,
        "position": progress.position,
        "entries": progress.entries,
        "last_entry": progress.last_entry,
    }


def verified(data: bytes, *, verify: Verify, keys: Sequence[str] = ()) -> Export:
    """The file, with everything in it checked against everything else. `keys`, if given, must have signed all.

    Raises:
        EvidenceDamaged: something is not as it was written; the message says where.
        OtherKey: an entry, or the seal, is signed by none of `keys`.
        OtherRelease: this release cannot read it.
    """
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError as error:
        raise EvidenceDamaged(f"byte {error.start} is not as it was written") from error
    if not text.endswith("\n"):
        raise EvidenceDamaged("the file is cut short: its last line does not end")
    body, _, last = text[:-1].rpartition("\n")
    said, seal_keys = _opened_seal(f"{body}\n", last, verify)
    lines = _lines(body)
    head, events = _head(lines[0]), _events(lines)
    try:
        cases, progress = _chain(events, verify)
        uncovered, unasked = _uncovered(events, cases)
        plan = _plan(progress)
        found = dossier(events, progress, plan)
        expected = _seal(f"{body}\n", progress)
    except LogFault as fault:
        raise EvidenceDamaged(f"the log in it cannot be followed: {fault}") from fault
    if lines[-1] != {"dossier": plain(found)}:
        raise EvidenceDamaged("the dossier is not what the events say")
    if said != expected:
        raise EvidenceDamaged("the seal is not that of the events before it")
    checked = Export(
        head=head,
        plan=plan,
        events=events,
        dossier=found,
        cases=cases,
        seal_keys=seal_keys,
        uncovered=uncovered,
        unasked=unasked,
    )
    _check_keys(checked, keys)
    return checked


def _opened_seal(body: str, line: str, verify: Verify) -> tuple[Json, tuple[str, ...]]:
    """What the seal says, and who signed it; it is that of `body`, byte by byte."""
    try:
        envelope = _line(line)
        said, keys = said_in(envelope), keys_of(envelope, verify)
        is_whole = sealed(canonical(said).encode(), None)[0]["payload"] == envelope["payload"]
    except Foreign as foreign:
        raise EvidenceDamaged(f"the seal: {foreign}") from foreign
    except (KeyError, TypeError, ValueError) as error:
        raise EvidenceDamaged("the last line is no seal; was the file cut short?") from error
    if not is_whole or said.get("digest") != digest(body):
        raise EvidenceDamaged("the seal is not that of the lines before it: something was changed")
    return said, tuple(keys)


def _line(line: str) -> Json:
    """A line of the file. Raises ValueError: it is not as it was written."""
    value = json.loads(line)
    if not isinstance(value, dict) or written(value) != line:
        raise ValueError("it is not as it was written")
    return value


def _lines(body: str) -> list[Json]:
    found = []
    for number, line in enumerate(body.split("\n"), start=1):
        try:
            found.append(_line(line))
        except (ValueError, RecursionError) as error:
            raise EvidenceDamaged(f"line {number} is not as it was written") from error
    if len(found) < 3:
        raise EvidenceDamaged("the file is cut short: expected a head, events, a dossier and a seal")
    return found


def _head(line: Json) -> Json:
    if set(line) != {"format", "rollout", "exported_at", "exported_by", "engine"}:
        raise EvidenceDamaged("line 1 is no head of exported evidence")
    if line["format"] != FORMAT:
        raise OtherRelease(
            f"the file has format {line['format']}, this release reads {FORMAT}; update tranche"
        )
    return line


def _events(lines: Sequence[Json]) -> tuple[Recorded, ...]:
    found = []
    for number, line in enumerate(lines[1:-1], start=2):
        try:
            event = Recorded(
                rollout=str(lines[0]["rollout"]),
                position=line["position"],
                type=line["type"],
                at=datetime.fromisoformat(line["at"]),
                actor=line["actor"],
                data=line["data"],
            )
            is_whole = _event(event) == line
        except (KeyError, TypeError, ValueError):
            is_whole = False
        if not is_whole:
            raise EvidenceDamaged(f"line {number} is no event")
        found.append(event)
    return tuple(found)


def _chain(events: Sequence[Recorded], verify: Verify) -> tuple[tuple[Case, ...], Progress]:
    """Every entry, checked against the log it stands in; and what the log comes to."""
    cases: list[Case] = []
    states = [whole(events[:1])]
    for recorded in events[1:]:
        event = decode(recorded)
        if isinstance(event, Attested | Countersigned):
            case = _case(recorded, event, states, events, verify)
            if isinstance(event, Countersigned):
                waited = {entry for entry, _ in case.before.unsigned}
                cases = [
                    replace(each, signed_later_by=case.keys) if _number(each) in waited else each
                    for each in cases
                ]
            cases.append(case)
        states.append(evolve(states[-1], recorded))
    return tuple(cases), states[-1]


def _number(case: Case) -> int:
    return int(case.said["predicate"]["entry"])


def _uncovered(events: Sequence[Recorded], cases: Sequence[Case]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The decisions, and the asks, that no entry vouches for.

    Raises:
        EvidenceDamaged: an ask has none although those before it have: no release writes such a log.
    """
    decided = {position for case in cases if case.kind == PREDICATE for position in _beside(case)}
    asked = {position for case in cases for position in case.asked}
    asks = {each.position for each in events if each.type in ASKS and each.actor not in RESERVED}
    unasked = sorted(asks - asked - decided)
    if asked and unasked and unasked[-1] > min(asked):
        late = next(position for position in unasked if position > min(asked))
        raise EvidenceDamaged(
            f"no entry vouches for what was asked at position {late}, and one did before it"
        )
    decisions = {each.position for each in events if each.type in DECISIONS}
    return tuple(sorted(decisions - decided)), tuple(unasked)


def _beside(case: Case) -> set[int]:
    return {each.position for each in case.records}


def _case(
    recorded: Recorded,
    event: Attested | Countersigned,
    states: Sequence[Progress],
    events: Sequence[Recorded],
    verify: Verify,
) -> Case:
    """One entry. `states` is the rollout after each event before it."""
    before = states[-1]
    where = f"the entry at position {recorded.position}"
    try:
        said = said_in(event.envelope)
        keys = keys_of(event.envelope, verify)
        told = said["predicate"]
        records = events[recorded.position : recorded.position + int(told["records"]["count"])]
        wrong = _misfits(told, recorded, before, records)
        wrong += ["entry"] if event.entry != before.entries + 1 else []
        wrong += _unlike(said, event, before, events, keys)
        after = int(told["decided_after"]) if said["predicateType"] == PREDICATE else before.position
        wrong += ["decided_after"] if not 0 < after <= before.position else []
        known = states[after - 1]
        asked = [int(each["position"]) for each in told["asked"]] if said["predicateType"] == ASK else []
    except Foreign as foreign:
        raise EvidenceDamaged(f"{where}: {foreign}") from foreign
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise EvidenceDamaged(f"{where} does not say what an entry says ({error!r})") from error
    if wrong:
        raise EvidenceDamaged(f"{where} does not fit the log it stands in: {', '.join(wrong)}")
    return Case(
        said=said,
        known=known,
        before=before,
        records=tuple(records),
        asked=tuple(asked),
        position=recorded.position,
        keys=tuple(keys),
    )


def _misfits(told: Json, recorded: Recorded, before: Progress, records: Sequence[Recorded]) -> list[str]:
    """What every entry says, where it is not so."""
    expected = {
        "rollout": recorded.rollout,
        "entry": before.entries + 1,
        "position": recorded.position,
        "previous": before.last_entry,
        "log_digest": before.log_digest,
        "plan": {"file": before.plan_file, "digest": before.plan_digest},
        "version": version_told(before),
        "actor": recorded.actor,
        "records": {
            "count": len(records),
            "digest": records_digest([event_json(each) for each in records]),
        },
    }
    return [name for name, value in expected.items() if told[name] != value]


def _unlike(
    said: Json,
    event: Attested | Countersigned,
    before: Progress,
    events: Sequence[Recorded],
    keys: Sequence[str],
) -> list[str]:
    """What the entries of one kind say, where it is not so."""
    told = said["predicate"]
    match event, said["predicateType"]:
        case Attested(), str() as kind if kind in {PREDICATE, ASK}:
            wrong = [] if (event.unsigned is None) == bool(keys) else ["unsigned"]
            for each in told["asked"] if kind == ASK else []:
                found = events[int(each["position"]) - 1]
                is_so = found.type == each["type"] and found.type in ASKS and found.actor == told["actor"]
                wrong += [] if is_so and each["position"] > 0 else ["asked"]
            return wrong
        case Countersigned(), str() as kind if kind == COUNTERSIGNATURE:
            return [] if told["countersigns"] == countersigns(before) and keys else ["countersigns"]
        case _:
            raise Foreign(f"it is of the kind {said['predicateType']}, which does not belong there")


def _plan(progress: Progress) -> Plan:
    """The plan that is kept in the file, as this release reads it."""
    try:
        plan = parse(progress.plan_text, file=progress.plan_file)
    except FileRefused as refusal:
        raise OtherRelease(f"this release ({ENGINE}) refuses the plan in it: {refusal}") from refusal
    if plan.digest != progress.plan_digest:
        told = (
            f"the plan's digest was {progress.plan_digest}, and this release ({ENGINE}) reads {plan.digest}"
        )
        raise OtherRelease(f"{told}; use the release that wrote it")
    return plan


def _check_keys(checked: Export, keys: Sequence[str]) -> None:
    if not keys:
        return
    wanted = set(keys)
    for case in checked.cases:
        if not wanted & {*case.keys, *case.signed_later_by}:
            by = ", ".join((*case.keys, *case.signed_later_by)) or "nobody"
            raise OtherKey(
                f"the entry at position {case.position} is signed by {by}, not by {', '.join(keys)}"
            )
    if not wanted & set(checked.seal_keys):
        by = ", ".join(checked.seal_keys) or "nobody"
        raise OtherKey(f"the seal is signed by {by}, not by {', '.join(keys)}")


def replayed(checked: Export) -> Agreement:
    """Every decision made again from the plan, the events and the evidence in the file.

    A hold of a tick that failed cannot be made again: it must be a hold that cannot tell. A person's rollback has
    no evidence: it must be a rollback.

    Raises:
        OtherDecision: one comes out otherwise, or led to other events than were recorded.
        OtherRelease: the plan, or what was seen, cannot be read by this release.
    """
    counts = dict.fromkeys(MadeBy, 0)
    for case in checked.of_kind(PREDICATE):
        told = case.said["predicate"]
        made_by = MadeBy(told["made_by"])
        counts[made_by] += 1
        match made_by:
            case MadeBy.RULES:
                _make_again(case, checked.plan)
            case MadeBy.FAULT:
                _agree(case, told["decision"]["kind"] == "Hold" and told["verdict"] == Verdict.CANNOT_TELL)
            case MadeBy.PERSON:
                _agree(case, told["decision"]["kind"] == "RollBack" and told["evidence"] is None)
    return Agreement(
        agreed=counts[MadeBy.RULES],
        by_people=counts[MadeBy.PERSON],
        by_faults=counts[MadeBy.FAULT],
        asks=checked.asks,
    )


def _make_again(case: Case, plan: Plan) -> None:
    told: Mapping[str, Any] = case.said["predicate"]
    try:
        evidence: Evidence = typed(Evidence, told["evidence"])
    except (TypeError, ValueError, KeyError) as error:
        raise OtherRelease(f"what was seen at position {case.position} cannot be read: {error}") from error
    now = datetime.fromisoformat(told["decided_at"])
    again = decide(plan, case.known, evidence, now)
    _agree(case, plain(decision_json(again)) == told["decision"], again)
    # A decision that had to wait for the log is recorded behind what came meanwhile, and as of then.
    wanted = events_of(again, plan=plan, progress=case.before, evidence=evidence, now=now)
    named = [encode(event, at=now, actor=told["actor"]) for event in wanted]
    recorded = [(each.type, each.data) for each in case.records]
    _agree(case, recorded == [(each.type, plain(each.data)) for each in named], again)


def _agree(case: Case, agrees: bool, again: Decision | None = None) -> None:
    if agrees:
        return
    told = case.said["predicate"]
    instead = (
        f"made again it is {type(again).__name__}: {again.reason}" if again else "it cannot be one of those"
    )
    raise OtherDecision(
        f"position {case.position}: {told['decision']['kind']} ({told['reason']}) was recorded by "
        f"{told['engine']}, and {instead}"
    )
