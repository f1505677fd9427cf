"""A person's yes: to what, until when, and what makes it worthless. Pure.

A yes is given to evidence, not to a gate: to this version in this stay of this phase under this plan, with what
the phase's other gates have answered. Its digest is what is approved; whatever of it changes, the yes does not
count any more, and has to be given again. It is never the yes of the person who started the rollout.
"""

import hashlib
import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from tranche.events import ApprovalGiven, ApprovalRevoked
from tranche.limits import Reading
from tranche.plan import Phase, PlannedGate, duration
from tranche.ports import Verdict
from tranche.progress import Approval, Progress, Stay
from tranche.refusal import Refused

KIND: Final = "approval"
SHORTEST_DIGEST: Final = len("sha256:") + 12
"""A person may shorten a digest to this; twelve hexadecimal digits of two cases do not agree by chance."""


class NotAskedFor(Refused):
    """This phase asks nobody for approval."""

    code = "not-asked-for"


class NotYetAskedFor(Refused):
    """The approval is asked for once the dwell is over."""

    code = "not-yet-asked-for"


class OwnRollout(Refused):
    """Who starts a rollout, or brings another version into it, does not approve it; ask somebody else."""

    code = "own-rollout"


class NotAnApprover(Refused):
    """The plan names who may approve."""

    code = "not-an-approver"


class OtherEvidence(Refused):
    """What was seen is not what is there now."""

    code = "other-evidence"


class AlreadyApproved(Refused):
    """This person has approved this already."""

    code = "already-approved"


class NothingToRevoke(Refused):
    """Nobody has approved this."""

    code = "nothing-to-revoke"


def asked(phase: Phase) -> tuple[PlannedGate, ...]:
    """The approvals of a phase."""
    return tuple(gate for gate in phase.gates if gate.kind == KIND)


def evidence_of(progress: Progress, phase: Phase, stay: Stay, gate: PlannedGate) -> dict[str, Any]:
    """What a yes to this gate is a yes to, as JSON; nothing in it changes from tick to tick."""
    others = [other for other in phase.gates if other.kind != KIND]
    return {
        "rollout": progress.rollout,
        "phase": stay.phase,
        "name": stay.name,
        "stay": stay.identifier,
        "weight_percent": stay.weight_percent,
        "version": progress.version,
        "plan_digest": progress.plan_digest,
        "gate": gate.name,
        "gates": {other.name: _answer(stay, other.name) for other in others},
        **({"version_digest": progress.artifact.digest} if progress.artifact.digest is not None else {}),
    }


def _answer(stay: Stay, gate: str) -> dict[str, str]:
    answered = stay.gates.get(gate)
    if answered is None:
        return {"verdict": Verdict.NOT_YET.value, "reason": "has not answered"}
    return {"verdict": answered.verdict.value, "reason": answered.reason}


def digest_of(evidence: dict[str, Any]) -> str:
    """sha256 of the evidence, in one way of writing it."""
    written = json.dumps(evidence, sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(written.encode()).hexdigest()


def counting(
    progress: Progress, phase: Phase, stay: Stay, gate: PlannedGate, now: datetime
) -> list[Approval]:
    """Every yes that counts now, one a person."""
    digest = digest_of(evidence_of(progress, phase, stay, gate))
    found = {
        given.by: given
        for given in stay.approvals
        if given.gate == gate.name
        and given.digest == digest
        and now < given.expires_at
        and given.by not in progress.brought_by
        and given.by in (_approvers(gate) or (given.by,))
    }
    return list(found.values())


def read_approval(
    progress: Progress, phase: Phase, stay: Stay, gate: PlannedGate, now: datetime, *, dwelt: bool
) -> Reading:
    """Whether enough people have said yes to what is there now. A person's silence is *not yet*."""
    name, needed = f"gate {gate.name}", _needed(gate)
    given = counting(progress, phase, stay, gate, now)
    if len(given) >= needed:
        told = f"gate '{gate.name}': {', '.join(_said(yes) for yes in given)}"
        numbers = {"people": [yes.by for yes in given], "evidence": given[0].digest}
        return Reading(name=name, verdict=Verdict.PASS, reason=told, numbers=numbers)
    if gate.at == "end" and not dwelt:
        told = f"gate '{gate.name}' is asked for once the dwell is over"
        return Reading(name=name, verdict=Verdict.NOT_YET, reason=told)
    told = f"gate '{gate.name}': {len(given)} of {needed} approvals ('tranche approve {gate.name}')"
    spent = [yes for yes in stay.approvals if yes.gate == gate.name and yes not in given]
    if spent:
        why = "has expired" if now >= spent[-1].expires_at else "was to other evidence"
        told += f"; {spent[-1].by}'s {why}"
    return Reading(name=name, verdict=Verdict.NOT_YET, reason=told)


def _said(yes: Approval) -> str:
    reason = f" ({yes.reason})" if yes.reason else ""
    return f"approved by {yes.by} at {yes.given_at:%H:%M}{reason}, until {yes.expires_at:%Y-%m-%d %H:%M}"


def _needed(gate: PlannedGate) -> int:
    people = gate.settings["people"]
    return people if isinstance(people, int) else 1


def _approvers(gate: PlannedGate) -> tuple[str, ...]:
    named = gate.settings["approvers"]
    return tuple(str(name) for name in named) if isinstance(named, tuple | list) else ()


def gate_named(phase: Phase, name: str | None) -> PlannedGate:
    """The approval of this name; without a name, the only one of the phase.

    Raises:
        NotAskedFor: there is none, or several and none is named.
    """
    gates = asked(phase)
    if not gates:
        raise NotAskedFor(f"phase '{phase.name}' asks nobody for approval")
    found = [gate for gate in gates if name in {None, gate.name}]
    if len(found) != 1:
        names = ", ".join(gate.name for gate in gates)
        raise NotAskedFor(f"phase '{phase.name}' asks for: {names}; name one of them")
    return found[0]


def give(
    progress: Progress,
    phase: Phase,
    gate: PlannedGate,
    *,
    evidence: str,
    reason: str,
    actor: str,
    now: datetime,
    dwelt: bool,
    checks: dict[str, Any],
) -> ApprovalGiven:
    """The yes of `actor`, who has seen the evidence of this digest. `checks` is kept beside it.

    Raises:
        NotYetAskedFor, OwnRollout, NotAnApprover, OtherEvidence, AlreadyApproved: as they say.
    """
    stay, named = progress.stay, _approvers(gate)
    if actor in progress.brought_by:
        did = "started" if actor == progress.started_by else "replaced the version of"
        raise OwnRollout(f"{actor} has {did} '{progress.rollout}'; somebody else approves it")
    if named and actor not in named:
        raise NotAnApprover(f"'{gate.name}' is approved by {', '.join(named)}; found {actor}")
    if stay.internal_only or (gate.at == "end" and not dwelt):
        raise NotYetAskedFor(f"'{gate.name}' is asked for once users are on it and the dwell is over")
    seen = evidence_of(progress, phase, stay, gate)
    digest = digest_of(seen)
    if len(evidence) < SHORTEST_DIGEST or not digest.startswith(evidence):
        told = f"the evidence is {digest} now, and {evidence} was approved; look at it again"
        raise OtherEvidence(f"{told} ('tranche approve {gate.name}')")
    if actor in {yes.by for yes in counting(progress, phase, stay, gate, now)}:
        raise AlreadyApproved(f"{actor} has approved '{gate.name}' already, on this evidence")
    lasts_s = gate.settings["expires"]
    return ApprovalGiven(
        phase=stay.phase,
        gate=gate.name,
        stay=stay.identifier,
        digest=digest,
        evidence=seen,
        checks=checks,
        expires_at=(now + timedelta(seconds=float(str(lasts_s)))).isoformat(),
        reason=reason,
    )


def revoke(progress: Progress, gate: PlannedGate, *, reason: str) -> ApprovalRevoked:
    """Every yes to this gate in this stay is taken back, whoever gave it.

    Raises:
        NothingToRevoke: nobody has given one.
    """
    if not any(yes.gate == gate.name for yes in progress.stay.approvals):
        raise NothingToRevoke(f"nobody has approved '{gate.name}' in this phase")
    return ApprovalRevoked(
        phase=progress.stay.phase, gate=gate.name, stay=progress.stay.identifier, reason=reason
    )


def is_all_that_lacks(phase: Phase, lacking: Iterable[Reading]) -> bool:
    """Whether everything else has passed, and only people are waited for."""
    people = {f"gate {gate.name}" for gate in asked(phase)}
    names = {reading.name for reading in lacking}
    return bool(names) and names <= people


def case(
    progress: Progress, phase: Phase, gate: PlannedGate, now: datetime, *, dwelt: bool
) -> dict[str, Any]:
    """What a person is shown before they say yes."""
    stay = progress.stay
    evidence = evidence_of(progress, phase, stay, gate)
    reading = read_approval(progress, phase, stay, gate, now, dwelt=dwelt)
    return {
        "gate": gate.name,
        "verdict": reading.verdict.value,
        "reason": reading.reason,
        "people": _needed(gate),
        "approvers": list(_approvers(gate)),
        "not": ", ".join(sorted(progress.brought_by)),
        "expires": duration(float(str(gate.settings["expires"]))),
        "evidence": evidence,
        "digest": digest_of(evidence),
        "approved_by": [yes.by for yes in counting(progress, phase, stay, gate, now)],
    }
