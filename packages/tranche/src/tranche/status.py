"""A rollout as a document: what `tranche status --json` prints and everything people see is made from.

The log says what was decided; `seen` (the controller's `observed.json`) says what it last saw. Without a
controller the document is still true, only older. Times are ISO 8601 in UTC.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tranche import budget
from tranche.decide import approval_readings, dwell_of
from tranche.decision import Hold
from tranche.freeze import covering
from tranche.plan import Phase, Plan
from tranche.ports import Arm, Verdict
from tranche.progress import Progress, State, Stay, percent_of
from tranche.signals import GREEN_ARMS, NOTHING, Counts, arms_from_json, observed_share_percent

if TYPE_CHECKING:
    from tranche.controller import Snapshot

Json = dict[str, Any]


def seen_document(snapshot: "Snapshot", *, pid: int) -> Json:
    """What a controller keeps for the next one, and for whoever looks."""
    from tranche.observe import remembered  # who only looks, or takes users back, waits for no judge

    decision = snapshot.decision
    return remembered(snapshot.seen) | {
        "rollout": snapshot.progress.rollout,
        "at": snapshot.at.isoformat(),
        "pid": pid,
        "decision": {
            "kind": type(decision).__name__,
            "verdict": decision.verdict.value if isinstance(decision, Hold) else Verdict.PASS.value,
            "reason": decision.reason,
        },
        "checks": [
            {
                "name": reading.name,
                "verdict": reading.verdict.value,
                "reason": reading.reason,
                "numbers": dict(reading.numbers),
            }
            for reading in snapshot.checks
        ],
        "limits": [
            {
                "name": found.reading.name,
                "answer": found.limit.answer.value,
                "verdict": found.reading.verdict.value,
                "reason": found.reading.reason,
                "numbers": dict(found.reading.numbers),
            }
            for found in snapshot.evidence.limits
        ],
        "judge": _judge(snapshot),
    }


def _judge(snapshot: "Snapshot") -> Json | None:
    """What the judge has against green. What it had stands under `judgement`, and is not written twice."""
    found = snapshot.evidence.harm
    if found is None or snapshot.seen.judgement is None:
        return None
    return {"verdict": found.verdict.value, "reason": found.reason, **found.numbers}


def status(
    plan: Plan, progress: Progress, seen: Mapping[str, Any] | None, *, alive: bool, now: datetime
) -> Json:
    """The whole document."""
    if seen is not None and seen.get("rollout") != progress.rollout:
        seen = None
    stay = progress.stay
    phase = plan.phases[min(stay.phase, plan.last)]
    return {
        "rollout": progress.rollout,
        "plan": {"name": plan.name, "file": progress.plan_file, "digest": progress.plan_digest},
        "version": progress.version,
        "state": progress.state.value,
        "started_at": _iso(progress.started_at),
        "started_by": progress.started_by,
        "ended_at": _iso(progress.rolled_back_at or progress.completed_at),
        "phase": {
            "name": stay.name,
            "index": stay.phase,
            "last_index": plan.last,
            "weight_percent": stay.weight_percent,
            "internal_only": stay.internal_only,
            "entered_at": _iso(stay.entered_at),
            "dwell_s": dwell_of(phase, stay),
            "elapsed_s": elapsed_s(stay, now),
        },
        "done_percent": done_percent(plan, progress, now),
        "staging": {
            "gates": _gates(plan.phases[0], progress, 0, now),
            "mirror": _mirror(plan, progress, seen),
        },
        "phases": [_row(plan, progress, number, seen, now) for number in range(1, plan.last + 1)],
        "freeze": _freeze(plan, progress, now),
        "point_of_no_return": _point_of_no_return(plan, progress),
        "harm_budget": _budget(plan, progress, seen),
        "verdict": _verdict(progress, seen),
        "limits": list(seen["limits"]) if seen and seen.get("limits") else [],
        "judge": _last_judge(progress, seen),
        "rollback": _rollback(progress),
        "weight_changes": [
            {
                "at": _iso(change.at),
                "green_weight_percent": percent_of(change.green_weight),
                "internal_to_green": change.internal_to_green,
                "identifier": change.identifier,
            }
            for change in progress.changes
        ],
        "controller": {
            "alive": alive,
            "pid": seen.get("pid") if seen else None,
            "last_tick_at": seen.get("at") if seen else None,
        },
    }


def _freeze(plan: Plan, progress: Progress, now: datetime) -> Json | None:
    """Whether the plan freezes this time, and who declared a hotfix; None where it freezes nothing."""
    if not plan.freezes:
        return None
    freeze = covering(plan.freezes, now)
    return {"frozen": str(freeze) if freeze is not None else None, "hotfix_by": progress.hotfix_by}


def _point_of_no_return(plan: Plan, progress: Progress) -> Json | None:
    number = plan.point_of_no_return
    if number is None:
        return None
    phase = plan.phases[number]
    passed = [stay.requested_at for stay in progress.stays if stay.phase >= number]
    told = {"phase": phase.name, "about": phase.point_of_no_return}
    return told | {"passed_at": _iso(min(passed, default=None))}


def _budget(plan: Plan, progress: Progress, seen: Mapping[str, Any] | None) -> Json | None:
    """What green has cost of the harm budget, as it was last seen."""
    if plan.harm_budget is None:
        return None
    checks = _last_checks(progress, seen)
    numbers = checks.get(budget.NAME, {}).get("numbers", {})
    return {"requests": plan.harm_budget, "spent": numbers.get("harm")}


def _last_checks(progress: Progress, seen: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if progress.stay.measured is not None:
        return progress.stay.measured.checks
    if seen is None or seen.get("stay") != progress.stay.identifier:
        return {}
    return {check["name"]: check for check in seen.get("checks", [])}


def _last_judge(progress: Progress, seen: Mapping[str, Any] | None) -> Json | None:
    """What the controller last wrote; without it what was measured when the last stay ended.

    `trace` is what the evidence was before: a list of [ISO time, evidence by question].
    """
    if seen is not None and seen.get("judge"):
        past = (seen.get("judgement") or {}).get("trace", [])
        trace = [[datetime.fromtimestamp(at, UTC).isoformat(), values] for at, values in past]
        return {**seen["judge"], "trace": trace}
    for stay in reversed(progress.stays):
        check = stay.measured.checks.get("judge") if stay.measured is not None else None
        if check:
            return {"verdict": check["verdict"], "reason": check["reason"], **check["numbers"], "trace": []}
    return None


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at is not None else None


def elapsed_s(stay: Stay, now: datetime) -> float:
    """How long the stay has lasted since the data plane took its weight over."""
    if stay.entered_at is None:
        return 0.0
    return round(max(0.0, ((stay.left_at or now) - stay.entered_at).total_seconds()), 3)


def planned_s(phase: Phase) -> float:
    return phase.internal_users_first_s + phase.dwell_s


def done_percent(plan: Plan, progress: Progress, now: datetime) -> float:
    """How much of the planned time has passed; gates may take longer, so it may stand still."""
    if progress.completed_at is not None:
        return 100.0
    stay = progress.stay
    before = sum(planned_s(phase) for phase in plan.phases[: stay.phase])
    phase = plan.phases[min(stay.phase, plan.last)]
    here = min(elapsed_s(stay, now), dwell_of(phase, stay))
    here += 0.0 if stay.internal_only else phase.internal_users_first_s
    whole = sum(planned_s(phase) for phase in plan.phases)
    return round(min(99.9, 100 * (before + here) / whole), 1) if whole else 0.0


def _stays(progress: Progress, phase: int) -> list[Stay]:
    """The stays in a phase: of the present version once it was there, before that of the one it replaced."""
    stays = [stay for stay in progress.stays if stay.phase == phase]
    return [stay for stay in stays if stay.version == progress.version] or stays


def _arms(stay: Stay, seen: Mapping[str, Any] | None) -> dict[Arm, Counts]:
    if stay.measured is not None:
        return arms_from_json(stay.measured.arms)
    if seen is not None and seen.get("stay") == stay.identifier:
        return arms_from_json(seen.get("arms", {}))
    return {}


def _sum(many: Sequence[Mapping[Arm, Counts]]) -> dict[Arm, Counts]:
    total: dict[Arm, Counts] = {}
    for arms in many:
        for arm, counts in arms.items():
            total[arm] = total.get(arm, NOTHING) + counts
    return total


def _counts(counts: Counts) -> Json:
    latency = counts.latency_ms(0.95)
    return {
        "requests": counts.requests,
        "errors": counts.errors,
        "latency_ms_p95": None if latency is None else round(latency, 1),
    }


def _row(plan: Plan, progress: Progress, number: int, seen: Mapping[str, Any] | None, now: datetime) -> Json:
    """One phase. The top-level counts are the new version's, internal users included."""
    phase, stays = plan.phases[number], _stays(progress, number)
    arms = _sum([_arms(stay, seen) for stay in stays])
    whole = [stay for stay in stays if not stay.internal_only]
    share = observed_share_percent(_arms(whole[-1], seen)) if whole else None
    return {
        "name": phase.name,
        "about": phase.about,
        "weight_percent": phase.weight_percent,
        "entered_at": _iso(stays[0].entered_at) if stays else None,
        "left_at": _iso(stays[-1].left_at) if stays else None,
        "set_share_percent": phase.weight_percent,
        "observed_share_percent": None if share is None else round(share, 2),
        **_counts(sum((arms.get(arm, NOTHING) for arm in GREEN_ARMS), NOTHING)),
        "arms": {arm.value: _counts(counts) for arm, counts in arms.items()},
        "gates": _gates(phase, progress, number, now),
        "metrics": _metrics(phase, stays, seen),
    }


def _mirror(plan: Plan, progress: Progress, seen: Mapping[str, Any] | None) -> Json | None:
    """What green has answered of the copied reads; None where the plan asks for no copies."""
    percent = plan.phases[0].mirror_percent
    if not percent:
        return None
    counts = (_arms(stay, seen).get(Arm.MIRROR, NOTHING) for stay in _stays(progress, 0))
    return {"percent": percent, **_counts(sum(counts, NOTHING))}


def _gates(phase: Phase, progress: Progress, number: int, now: datetime) -> list[Json]:
    stays = _stays(progress, number)
    answers = stays[-1].gates if stays else {}
    people = approval_readings(progress, phase, stays[-1], stays[-1].left_at or now) if stays else []
    approvals = {reading.name: reading for reading in people}
    rows = []
    for gate in phase.gates:
        asked = approvals.get(f"gate {gate.name}")
        if asked is not None:
            rows.append(
                {"name": gate.name, "kind": gate.kind, "verdict": asked.verdict.value, "reason": asked.reason}
            )
            continue
        answered = answers.get(gate.name)
        verdict = answered.verdict if answered else Verdict.NOT_YET
        reason = answered.reason if answered else "has not run"
        rows.append({"name": gate.name, "kind": gate.kind, "verdict": verdict.value, "reason": reason})
    return rows


def _metrics(phase: Phase, stays: Sequence[Stay], seen: Mapping[str, Any] | None) -> list[Json]:
    found: Mapping[str, Any] = {}
    if stays and stays[-1].measured is not None:
        found = stays[-1].measured.checks
    elif stays and seen is not None and seen.get("stay") == stays[-1].identifier:
        found = {check["name"]: check for check in seen.get("checks", [])}
    rows = []
    for bound in phase.requirements:
        check = found.get(str(bound), {"verdict": Verdict.NOT_YET.value, "reason": "not measured"})
        rows.append({"name": str(bound), "verdict": check["verdict"], "reason": check["reason"]})
    return rows


def _verdict(progress: Progress, seen: Mapping[str, Any] | None) -> Json:
    match progress.state:
        case State.COMPLETED:
            told = f"{progress.version} serves everybody; every gate and requirement was met"
            return {"decision": "completed", "verdict": Verdict.PASS.value, "reason": told}
        case State.ROLLED_BACK | State.ROLLING_BACK:
            reason = progress.rollback.reason if progress.rollback else ""
            return {"decision": progress.state.value, "verdict": Verdict.FAIL.value, "reason": reason}
        case _:
            decision = seen.get("decision") if seen else None
            if decision:
                return {"decision": decision["kind"].lower()} | {
                    key: decision[key] for key in ("verdict", "reason")
                }
            told = "no controller has looked yet"
            return {"decision": "hold", "verdict": Verdict.CANNOT_TELL.value, "reason": told}


def _rollback(progress: Progress) -> Json | None:
    rollback = progress.rollback
    if rollback is None:
        return None
    return {
        "cause": rollback.cause,
        "reason": rollback.reason,
        "actor": rollback.actor,
        "decided_at": _iso(rollback.decided_at),
        "applied_at": _iso(rollback.applied_at),
        "first_bad_at": _iso(rollback.first_bad_at),
        "numbers": dict(rollback.numbers),
    }
