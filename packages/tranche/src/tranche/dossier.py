"""What an auditor asks of a change, answered from the log of its rollout and from nothing else. Pure.

The questions are those of Commission Delegated Regulation (EU) 2024/1774 (the RTS under DORA), Article 17(1)(a) to
(h), and of SOC 2, common criterion CC8.1; `docs/evidence.md` says which field answers which. What the log does not
hold is listed under `missing` with the demand it leaves open: nothing is filled in.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

from tranche.attestation import ASK, Foreign, MadeBy, said_in
from tranche.canonical import plain
from tranche.events import (
    AdvanceRequested,
    ApprovalGiven,
    ApprovalRevoked,
    Attested,
    Completed,
    Event,
    GateAnswered,
    Held,
    HotfixDeclared,
    PhaseEntered,
    RollbackDecided,
    SteppedBack,
    decode,
)
from tranche.person import KnownBy
from tranche.plan import Plan
from tranche.ports import LogFault, Recorded, Verdict
from tranche.progress import Progress

SECURITY: Final = frozenset({"security_scan"})
DRILL: Final = frozenset({"drill", "rollback_drill"})
ARTICLE: Final = "RTS 2024/1774 Art. 17(1)"

Json = dict[str, Any]
Entry = tuple[Recorded, Event]
Kind = TypeVar("Kind")


def dossier(events: Sequence[Recorded], progress: Progress, plan: Plan) -> Json:
    """The answers, as JSON. `progress` is what the events come to, `plan` the one in the log.

    Raises:
        LogFault: the log is damaged or from a newer release.
    """
    entries = [(recorded, decode(recorded)) for recorded in events]
    document: Json = {
        "change": _change(progress, plan),
        "requested": {"by": progress.started_by, "at": plain(progress.started_at)},
        "asks": list(_asks(entries)),
        "approvals": [_approval(*entry, entries, progress) for entry in _of(entries, ApprovalGiven)],
        "tests": [_test(*entry, plan) for entry in _of(entries, GateAnswered)],
        "fallback": _fallback(plan),
        "overrides": [
            *(_override(*entry) for entry in _of(entries, AdvanceRequested)),
            *(_hotfix(*entry) for entry in _of(entries, HotfixDeclared)),
        ],
        "decisions": [_decision(*entry) for entry in entries if isinstance(entry[1], DECIDED)],
        "weights": [plain(change) for change in progress.changes],
        "outcome": _outcome(progress),
    }
    return document | {"missing": list(_missing(document))}


DECIDED: Final = (PhaseEntered, SteppedBack, RollbackDecided, Completed, Held)


def _of(entries: Sequence[Entry], kind: type[Kind]) -> list[tuple[Recorded, Kind]]:
    return [(recorded, event) for recorded, event in entries if isinstance(event, kind)]


def _asks(entries: Sequence[Entry]) -> Iterator[Json]:
    """Who asked what, by what they are known, as the entries have it; of older releases there are none."""
    for recorded, entry in _of(entries, Attested):
        try:
            said = said_in(entry.envelope)
            told = said["predicate"]
            is_ask = said["predicateType"] == ASK
            if not is_ask and told["made_by"] != MadeBy.PERSON:
                continue
            asked = [each["type"] for each in told["asked"]] if is_ask else ["rollback-decided/1"]
            reason, known = told["reason"], told.get("identified", {"known_by": None, "role": None})
        except (Foreign, KeyError, TypeError) as error:
            raise LogFault(f"the entry at position {recorded.position} is damaged ({error!r})") from error
        yield {
            "position": recorded.position,
            "at": plain(recorded.at),
            "by": recorded.actor,
            **known,
            "asked": [each.partition("/")[0] for each in asked],
            "reason": reason,
        }


def _change(progress: Progress, plan: Plan) -> Json:
    return {
        "rollout": progress.rollout,
        "version": progress.version,
        "version_digest": progress.artifact.digest,
        "plan": {"name": plan.name, "file": progress.plan_file, "digest": progress.plan_digest},
        "purpose": plan.about or None,
        "phases": [
            {
                "name": phase.name,
                "about": phase.about,
                "weight_percent": phase.weight_percent,
                "at_least_s": phase.dwell_s + phase.internal_users_first_s,
                "requirements": [str(bound) for bound in phase.requirements],
                "gates": [{"name": gate.name, "kind": gate.kind} for gate in phase.gates],
            }
            for phase in plan.phases
        ],
    }


def _approval(recorded: Recorded, given: ApprovalGiven, entries: Sequence[Entry], progress: Progress) -> Json:
    revoked = any(
        later.position > recorded.position and (other.gate, other.stay) == (given.gate, given.stay)
        for later, other in _of(entries, ApprovalRevoked)
    )
    return {
        "gate": given.gate,
        "phase": given.phase,
        "by": recorded.actor,
        "at": plain(recorded.at),
        "evidence_digest": given.digest,
        "expires_at": given.expires_at,
        "reason": given.reason,
        "revoked": revoked,
        "is_independent_of_the_requester": recorded.actor not in {progress.started_by, *progress.brought_by},
    }


def _test(recorded: Recorded, answered: GateAnswered, plan: Plan) -> Json:
    phase = plan.phases[answered.phase] if 0 <= answered.phase <= plan.last else None
    kinds = {gate.name: gate.kind for gate in phase.gates} if phase else {}
    return {
        "phase": answered.phase,
        "gate": answered.gate,
        "kind": kinds.get(answered.gate),
        "verdict": answered.verdict,
        "reason": answered.reason,
        "evidence": plain(answered.evidence),
        "at": plain(recorded.at),
        "took_s": answered.took_s,
    }


def _fallback(plan: Plan) -> Json:
    """What was agreed beforehand on how to come back, and by whom."""
    return {
        "limits": [{"limit": str(limit), "answer": limit.answer.value} for limit in plan.limits],
        "health": plain(plan.health),
        "judge": plain(plan.judge),
        "step_backs": plan.step_backs,
        "retire_blue": plan.retire_blue,
        "by_the_engine": "users return to blue when a limit, green's health or the judge says so",
        "by_hand": "'tranche rollback' returns them at any time before blue is retired",
    }


def _override(recorded: Recorded, asked: AdvanceRequested) -> Json:
    return {
        "what": "the dwell was ended early",
        "phase": asked.phase,
        "by": recorded.actor,
        "at": plain(recorded.at),
        "reason": asked.reason,
    }


def _hotfix(recorded: Recorded, declared: HotfixDeclared) -> Json:
    return {
        "what": "a hotfix was declared, which goes forward in times that the plan freezes",
        "phase": None,
        "by": recorded.actor,
        "at": plain(recorded.at),
        "reason": declared.reason,
    }


def _decision(recorded: Recorded, event: Event) -> Json:
    return {
        "position": recorded.position,
        "at": plain(recorded.at),
        "actor": recorded.actor,
        "what": recorded.type.partition("/")[0],
        "reason": getattr(event, "reason", ""),
    }


def _outcome(progress: Progress) -> Json:
    ended: datetime | None = progress.rolled_back_at or progress.completed_at
    return {
        "state": progress.state.value,
        "at": plain(ended),
        "rolled_back_because": progress.rollback.reason if progress.rollback else None,
        "retired": plain(progress.retired),
    }


def _missing(document: Json) -> Iterator[Json]:
    """Every demand that the log leaves open, and what is not there."""
    passed = [test for test in document["tests"] if test["verdict"] == Verdict.PASS.value]
    kinds = {test["kind"] for test in passed}
    yes = [given for given in document["approvals"] if not given["revoked"]]
    if not kinds & SECURITY:
        yield _open(f"{ARTICLE}(a)", "no gate of kind security_scan has passed")
    if not any(given["is_independent_of_the_requester"] for given in yes):
        yield _open(f"{ARTICLE}(b); CC8.1", "nobody but the requester has approved")
    yield _open(f"{ARTICLE}(b); CC8.1", "who wrote and who reviewed the version: the engine is not told")
    roleless = sorted({each["by"] for each in document["asks"] if each["role"] is None})
    if roleless or not document["asks"]:
        who = ", ".join(roleless) or "everybody"
        yield _open(f"{ARTICLE}(c)", f"the role of {who}: nobody asked for a token")
    unproven = sorted({each["by"] for each in document["asks"] if each["known_by"] != KnownBy.TOKEN})
    if unproven:
        yield _open(f"{ARTICLE}(b)", f"that {', '.join(unproven)} is who they say: known by no token")
    if document["change"]["purpose"] is None:
        yield _open(f"{ARTICLE}(d)", "the purpose: the plan has no 'about'")
    yield _open(f"{ARTICLE}(d)", "to whom the change was announced: the log does not hold it")
    if not kinds & DRILL:
        yield _open(f"{ARTICLE}(e)", "no drill has passed: the fall-back was not rehearsed")
    if document["overrides"]:
        yield _open(f"{ARTICLE}(f), (g)", "what was overridden was not looked at again afterwards, here")
    yield _open(f"{ARTICLE}(h)", "the impact on other security measures: nothing here measures it")
    if document["change"]["version_digest"] is None:
        yield _open("CC8.1", "the digest of the version: the environment does not tell it")
    if document["outcome"]["at"] is None:
        yield _open("CC8.1", "the outcome: the rollout has not ended")


def _open(demand: str, what: str) -> Json:
    return {"demand": demand, "what": what}
