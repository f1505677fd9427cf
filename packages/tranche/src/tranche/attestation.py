"""Every decision, and every ask of a person, as an entry of a hash chain. Pure, but for the signer it is handed.

1. An entry is an event of the log it vouches for, appended together with the events of its decision: a crash
   leaves both or neither.
2. It names the digest of the whole log before it, of the entry before it and of the events beside it: nothing that
   was said before can be changed without breaking every entry that follows.
3. It holds the whole input of `decide`, so that the decision can be made again; one that nothing of the kind led to
   (a person's, or the hold of a tick that failed) says so.
4. Signing never stands in the way of a rollback: without a key, or with one that cannot be used, the entry is
   unsigned and says why. The next who has the key signs for it in an entry of its own (`countersigned`).

The entry is an in-toto Statement (v1) in a DSSE envelope (v1.0.2, secure-systems-lab/dsse), signed with ed25519
(RFC 8032) over its pre-authentication encoding.
"""

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, assert_never

from tranche import __version__
from tranche.canonical import canonical, digest, event_json, plain, written
from tranche.decision import Advance, Complete, Decision, Hold, RollBack, StepBack
from tranche.events import (
    NAMES,
    AdvanceRequested,
    ApprovalGiven,
    ApprovalRevoked,
    Attested,
    Countersigned,
    Event,
    HotfixDeclared,
    Paused,
    Resumed,
    Retargeted,
    Retired,
    Started,
    VersionIdentified,
    encode,
)
from tranche.person import Person
from tranche.ports import KeyFault, NewEvent, Signer, Verdict
from tranche.progress import Progress

if TYPE_CHECKING:
    from tranche.evidence import Evidence  # a person's rollback rests on none

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
STATEMENT: Final = "https://in-toto.io/Statement/v1"
PREDICATE: Final = "urn:tranche:rollout-decision:v1"
ASK: Final = "urn:tranche:rollout-ask:v1"
COUNTERSIGNATURE: Final = "urn:tranche:rollout-countersignature:v1"
ENGINE: Final = f"tranche {__version__}"
NO_KEY: Final = "the site names no key"
USERS_FIRST: Final = "users are taken back first; it is signed for once they are"
ASKED: Final = (
    Started,
    VersionIdentified,
    HotfixDeclared,
    Paused,
    Resumed,
    AdvanceRequested,
    Retargeted,
    ApprovalGiven,
    ApprovalRevoked,
    Retired,
)
"""What people ask, but for a rollback, which is a decision of the rollout itself."""

Verify = Callable[[str, bytes, bytes], bool]
"""Whether the key of this name has signed this message so: (key, message, signature)."""


class MadeBy(StrEnum):
    """Who or what decided: the rules, a person, or a fault of the world that a tick ended with."""

    RULES = "rules"
    PERSON = "person"
    FAULT = "fault"


class Foreign(Exception):
    """An envelope that none of ours has made, and what is wrong with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """A decision, and everything it rests on: `after` is the position of the last event that was known, `at` the
    time that counted. Without `evidence` it cannot be made again. `person` is who decided, where a person did.
    """

    decision: Decision
    made_by: MadeBy
    after: int
    at: datetime
    evidence: "Evidence | None" = None
    person: Person | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What a person asked: the events it became, `at` which positions of the log. An entry may vouch for events that
    stand right before it: those with which a log begins.
    """

    asked: tuple[tuple[int, Event], ...]
    person: Person | None
    at: datetime


def decision_json(decision: Decision) -> dict[str, Any]:
    return {"kind": type(decision).__name__, **plain(decision)}


def verdict_of(decision: Decision) -> Verdict:
    """A hold has one of its own; what goes forward has passed, what goes back has failed."""
    match decision:
        case Hold():
            return decision.verdict
        case StepBack() | RollBack():
            return Verdict.FAIL
        case Advance() | Complete():
            return Verdict.PASS
        case _:
            assert_never(decision)


def records_digest(events: Sequence[Mapping[str, Any]]) -> str:
    """Of the events that stand beside an entry, each as `event_json`."""
    return digest(written(list(events)))


def identified(person: Person | None) -> dict[str, Any]:
    """Who asked, by what that is known, and the role of their token if it was one."""
    if person is None:
        return {"known_by": None, "role": None}
    return {"known_by": person.known_by.value, "role": person.role.value if person.role else None}


def decision_told(basis: Basis) -> dict[str, Any]:
    """What an entry says of a decision."""
    by = {"identified": identified(basis.person)} if basis.made_by is MadeBy.PERSON else {}
    return by | {
        "made_by": basis.made_by.value,
        "decided_at": plain(basis.at),
        "decided_after": basis.after,
        "decision": decision_json(basis.decision),
        "verdict": verdict_of(basis.decision).value,
        "reason": basis.decision.reason,
        "evidence": plain(basis.evidence),
    }


def ask_told(ask: Ask) -> dict[str, Any]:
    """What an entry says of an ask."""
    reasons = [str(each.reason) for _, each in ask.asked if hasattr(each, "reason")]
    return {
        "identified": identified(ask.person),
        "asked_at": plain(ask.at),
        "asked": [{"position": position, "type": NAMES[type(each)]} for position, each in ask.asked],
        "reason": "; ".join(filter(None, reasons)),
    }


def statement(
    kind: str, told: Mapping[str, Any], *, progress: Progress, events: Sequence[NewEvent], actor: str
) -> dict[str, Any]:
    """A whole entry. `progress` is the rollout right before it, `events` what is appended with it, behind it."""
    beside = records_digest([event_json(each) for each in events])
    return {
        "_type": STATEMENT,
        "subject": [
            {
                "name": f"{progress.rollout}@{progress.position}",
                "digest": {"sha256": progress.log_digest.removeprefix("sha256:")},
            }
        ],
        "predicateType": kind,
        "predicate": {
            "engine": ENGINE,
            "rollout": progress.rollout,
            "entry": progress.entries + 1,
            "position": progress.position + 1,
            "previous": progress.last_entry,
            "log_digest": progress.log_digest,
            "records": {"count": len(events), "digest": beside},
            "plan": {"file": progress.plan_file, "digest": progress.plan_digest},
            "version": version_told(progress),
            "actor": actor,
            **told,
        },
    }


def version_told(progress: Progress) -> dict[str, Any]:
    known = progress.artifact
    return {"name": progress.version, "digest": known.digest, "unknown_because": known.unknown_because}


def attested(
    basis: Basis | Ask,
    events: Sequence[NewEvent],
    *,
    progress: Progress,
    actor: str,
    signer: Signer | None,
    at: datetime,
    unsigned_because: str = NO_KEY,
) -> list[NewEvent]:
    """The events of a decision or of an ask behind their entry, to be appended at once behind `progress`."""
    kind, told = (ASK, ask_told(basis)) if isinstance(basis, Ask) else (PREDICATE, decision_told(basis))
    said = statement(kind, told, progress=progress, events=events, actor=actor)
    envelope, unsigned = sealed(canonical(said).encode(), signer, unsigned_because)
    entry = Attested(entry=progress.entries + 1, envelope=envelope, unsigned=unsigned)
    return [encode(entry, at=at, actor=actor), *events]


def countersigned(progress: Progress, *, actor: str, signer: Signer | None, at: datetime) -> list[NewEvent]:
    """An entry that signs for those that nobody has signed; nothing where there are none, or no key can be used."""
    if signer is None or not progress.unsigned:
        return []
    told = {"countersigns": countersigns(progress), "signed_at": plain(at)}
    said = statement(COUNTERSIGNATURE, told, progress=progress, events=[], actor=actor)
    envelope, unsigned = sealed(canonical(said).encode(), signer)
    if unsigned is not None:
        return []
    return [encode(Countersigned(entry=progress.entries + 1, envelope=envelope), at=at, actor=actor)]


def countersigns(progress: Progress) -> list[dict[str, Any]]:
    """The entries that wait for a signature, and their digests."""
    return [{"entry": number, "digest": found} for number, found in progress.unsigned]


def sealed(
    payload: bytes, signer: Signer | None, unsigned_because: str = NO_KEY
) -> tuple[dict[str, Any], str | None]:
    """The payload in its envelope, and why it is not signed if it is not."""
    signatures, unsigned = [], None
    try:
        if signer is None:
            unsigned = unsigned_because
        else:
            signature = signer.sign(pre_authentication(payload))
            signatures = [{"keyid": signer.key, "sig": base64.b64encode(signature).decode()}]
    except KeyFault as fault:
        unsigned = str(fault)
    envelope = {
        "payloadType": PAYLOAD_TYPE,
        "payload": base64.b64encode(payload).decode(),
        "signatures": signatures,
    }
    return envelope, unsigned


def pre_authentication(payload: bytes) -> bytes:
    """What is signed: DSSE's PAE, in which neither type nor payload can be taken for the other."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def payload_of(envelope: Mapping[str, Any]) -> bytes:
    """What is in the envelope, whoever signed it.

    Raises:
        Foreign: it is no envelope of ours.
    """
    if set(envelope) != {"payloadType", "payload", "signatures"}:
        raise Foreign("an envelope has 'payloadType', 'payload' and 'signatures'")
    if envelope["payloadType"] != PAYLOAD_TYPE:
        raise Foreign(f"its payload is of type {envelope['payloadType']}, expected {PAYLOAD_TYPE}")
    return _decoded(envelope["payload"])


def said_in(envelope: Mapping[str, Any]) -> dict[str, Any]:
    """The statement in the envelope.

    Raises:
        Foreign: it holds none.
    """
    try:
        said = json.loads(payload_of(envelope))
    except ValueError as error:
        raise Foreign(f"its payload is no JSON ({error})") from error
    if not isinstance(said, dict):
        raise Foreign("its payload is no JSON object")
    return said


def keys_of(envelope: Mapping[str, Any], verify: Verify) -> list[str]:
    """The keys that have signed it; none if it is unsigned.

    Raises:
        Foreign: a signature does not belong to it.
    """
    message = pre_authentication(payload_of(envelope))
    keys = []
    for each in envelope["signatures"]:
        if not isinstance(each, dict) or set(each) != {"keyid", "sig"}:
            raise Foreign("a signature has 'keyid' and 'sig'")
        if not verify(each["keyid"], message, _decoded(each["sig"])):
            raise Foreign(f"its signature is not that of the key {each['keyid']}")
        keys.append(each["keyid"])
    return keys


def _decoded(text: object) -> bytes:
    """Base64 as it is written, and in no other way: every text has one meaning and every meaning one text."""
    try:
        found = base64.b64decode(str(text), validate=True)
    except binascii.Error as error:
        raise Foreign(f"it is not base64 ({error})") from error
    if base64.b64encode(found).decode() != text:
        raise Foreign("its base64 is not as it is written")
    return found
