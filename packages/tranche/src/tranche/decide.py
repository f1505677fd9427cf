"""What a rollout does next. Pure and total: every decision ever made can be made again from the log.

In this order, and the order is the point:

1. a rollback that was asked for or decided is finished, whatever else is seen;
2. green is dying, the judge shows harm, the harm budget is spent, or a hard limit is broken: roll back or step
   back - unless blue breaks the same limit too: going back would not help, so hold and call somebody; and past
   the plan's point of no return, where going back is no remedy, stop until a person goes on, and call somebody;
3. a person paused;
4. data is missing or stale, or traffic is not as set: *cannot tell*, which never advances;
5. the dwell; 6. the gates; 7. the requirements; 8. a freeze; 9. the approvals; and only then forward, one step;
10. what lacks one of these for longer than the phase may last is overdue, but for what a freeze holds up: somebody is
   called, or users go back.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Final

from tranche import approval
from tranche.decision import Advance, Complete, Decision, Hold, RollBack, StepBack
from tranche.evidence import Evidence
from tranche.freeze import covering
from tranche.limits import LimitReading, Reading, bad, breached
from tranche.plan import Answer, Phase, Plan, duration
from tranche.ports import Arm, Stage, Verdict
from tranche.progress import Progress, Stay
from tranche.signals import GREEN_ARMS, NOTHING

FREEZE: Final = "freeze"
"""The name of the check that a freeze fails."""

WORST_FIRST: Final = (Verdict.FAIL, Verdict.CANNOT_TELL, Verdict.NOT_YET)


def decide(plan: Plan, progress: Progress, evidence: Evidence, now: datetime) -> Decision:
    """The next move. Never raises; never advances on less than every check's pass."""
    if progress.rollback is not None:
        return Hold(verdict=Verdict.FAIL, reason="rolling back", key="rolling-back")
    if progress.completed_at is not None:
        return Hold(verdict=Verdict.PASS, reason="the rollout is complete", key="completed")
    harm = next(_harm(plan, progress, evidence, now), None)
    if harm is not None:
        return _stopped(plan, harm) if past_return(plan, progress) else harm
    if progress.paused_by is not None:
        return Hold(verdict=Verdict.NOT_YET, reason=f"paused by {progress.paused_by}", key="paused")
    lacking = tuple(
        reading for reading in checks(plan, progress, evidence, now) if reading.verdict is not Verdict.PASS
    )
    frozen = any(reading.name == FREEZE for reading in lacking)
    if lacking and not frozen and _is_overdue(plan, progress, now):
        overdue = _overdue(plan, progress, _hold(progress, evidence, lacking))
        return _stopped(plan, overdue) if past_return(plan, progress) else overdue
    if lacking:
        return _hold(progress, evidence, lacking)
    return _forward(plan, progress, evidence)


def _hold(progress: Progress, evidence: Evidence, lacking: tuple[Reading, ...]) -> Hold:
    """Hold for the worst of what is lacking; among equals, for what comes first."""
    worst = min(lacking, key=lambda reading: WORST_FIRST.index(reading.verdict))
    others = f" (and {len(lacking) - 1} more)" if len(lacking) > 1 else ""
    return Hold(
        verdict=worst.verdict,
        reason=f"{situation(progress, evidence)}: {worst.reason}{others}",
        key=f"{worst.verdict}: {worst.name}",
        page=worst.verdict is Verdict.FAIL and all(reading.name != "dwell" for reading in lacking),
        lacking=lacking,
    )


def past_return(plan: Plan, progress: Progress) -> bool:
    """Whether the phase has begun from which going back is no remedy."""
    number = plan.point_of_no_return
    return number is not None and any(stay.phase >= number for stay in progress.stays)


def _stopped(plan: Plan, harm: Decision) -> Decision:
    """What takes users back before the point of no return stops the rollout behind it."""
    if not isinstance(harm, RollBack | StepBack):
        return harm
    why = plan.phases[plan.point_of_no_return or 0].point_of_no_return
    return Hold(
        verdict=Verdict.FAIL,
        reason=f"{harm.reason}; going back is no remedy any more ({why}), so nothing moves until a person says so",
        key=f"no return: {harm.cause}",
        page=True,
        stops=True,
        lacking=(Reading(name=harm.cause, verdict=Verdict.FAIL, reason=harm.reason, numbers=harm.numbers),),
    )


def _is_overdue(plan: Plan, progress: Progress, now: datetime) -> bool:
    """Whether the phase has lasted longer than it may, since the data plane confirmed its weight.

    When a person resumes it, its time begins anew: whoever looked at it and lets it go on gives it that.
    """
    entered, resumed = progress.stay.entered_at, progress.resumed_at
    if not _knows(plan, progress) or entered is None:
        return False
    since = max(entered, resumed) if resumed is not None else entered
    most_s = plan.phases[progress.stay.phase].at_most_s
    return most_s is not None and (now - since).total_seconds() > most_s


def _overdue(plan: Plan, progress: Progress, hold: Hold) -> Decision:
    """What the plan says of a phase that does not come to its end; `hold` says what it lacks."""
    phase = plan.phases[progress.stay.phase]
    told = f"phase '{phase.name}' is overdue, it may last {duration(phase.at_most_s or 0)}: {hold.reason}"
    if phase.overdue == "roll_back":
        return RollBack(cause="overdue", reason=told)
    return replace(hold, reason=told, key="overdue", page=True)


def situation(progress: Progress, evidence: Evidence) -> str:
    """`week-2 at 30 %, 2 errors in 512 requests, p95 84 ms`."""
    stay = progress.stay
    if stay.phase == 0:
        copies = evidence.arms.get(Arm.MIRROR, NOTHING)
        told = f", {copies.errors} errors in {copies.requests} copied requests" if copies.requests else ""
        return f"staging{told}"
    where = ", internal users only" if stay.internal_only else f" at {stay.weight_percent:g} %"
    green = sum((evidence.arms.get(arm, NOTHING) for arm in GREEN_ARMS), NOTHING)
    latency = green.latency_ms(0.95)
    parts = [f"{stay.name}{where}", f"{green.errors} errors in {green.requests} requests"]
    if latency is not None:
        parts.append(f"p95 {latency:.0f} ms")
    return ", ".join(parts)


def _harm(plan: Plan, progress: Progress, evidence: Evidence, now: datetime) -> Iterator[Decision]:
    """Reasons not to leave things as they are, worst first."""
    yield from _dying(plan, progress, evidence, now)
    if progress.has_users and evidence.harm is not None and evidence.harm.verdict is Verdict.FAIL:
        yield RollBack(
            cause=f"judge: {evidence.harm.name}",
            reason=evidence.harm.reason,
            first_bad_at=evidence.harm_since,
            numbers=evidence.harm.numbers,
        )
    if evidence.budget is not None and evidence.budget.verdict is Verdict.FAIL:
        yield RollBack(
            cause=evidence.budget.name,
            reason=evidence.budget.reason,
            first_bad_at=evidence.harm_since,
            numbers=evidence.budget.numbers,
        )
    broken = [found for found in evidence.limits if found.reading.verdict is Verdict.FAIL]
    if not progress.has_users:
        broken = []
    severity = list(Answer)
    for found in sorted(broken, key=lambda found: (found.blue_too, severity.index(found.limit.answer))):
        yield _answer(plan, progress, found)
    if progress.has_users and evidence.shared is not None:
        key = f"both: {evidence.shared.name}"
        told = evidence.shared.reason
        yield Hold(verdict=Verdict.FAIL, reason=told, key=key, page=True, lacking=(evidence.shared,))
    for gate in plan.phases[progress.stay.phase].gates if _knows(plan, progress) else ():
        answered = progress.stay.gates.get(gate.name)
        if gate.on_fail == "roll_back" and answered is not None and answered.verdict is Verdict.FAIL:
            yield RollBack(cause=f"gate: {gate.name}", reason=f"gate '{gate.name}' failed: {answered.reason}")


def _knows(plan: Plan, progress: Progress) -> bool:
    return 0 <= progress.stay.phase <= plan.last


def _dying(plan: Plan, progress: Progress, evidence: Evidence, now: datetime) -> Iterator[RollBack]:
    """Green itself is in trouble: restarts, a failed start, no healthy host, never ready."""
    health, since = plan.health, evidence.trouble_since
    # What is seen of a version that is being replaced says nothing of the one that takes its place.
    is_it = evidence.green is not None and evidence.green.version in {None, progress.version}
    green = evidence.green if is_it else None
    if green is not None and green.restarts > health.restarts:
        told = f"green restarted {green.restarts} times, more than {health.restarts}"
        yield RollBack(
            cause="restarts",
            reason=_with_detail(told, green.detail),
            first_bad_at=since,
            numbers={"restarts": green.restarts, "allowed": health.restarts},
        )
    if green is not None and green.stage is Stage.FAILED:
        yield RollBack(
            cause="failed",
            reason=_with_detail("green could not be kept running", green.detail),
            first_bad_at=since,
        )
    if progress.has_users and evidence.unhealthy_since is not None:
        lasted_s = (now - evidence.unhealthy_since).total_seconds()
        if lasted_s >= health.unhealthy_for_s:
            told = f"no healthy green host for {duration(round(lasted_s))}"
            told += f", at most {duration(health.unhealthy_for_s)}"
            yield RollBack(cause="health", reason=told, first_bad_at=since, numbers={"unhealthy_s": lasted_s})
    waited_s = (now - max(progress.started_at, evidence.watched_since)).total_seconds()
    if progress.green_ready_at is None and not progress.has_users and waited_s >= health.ready_within_s:
        detail = evidence.green_trouble or (green.detail if green is not None else "")
        told = f"green was not ready within {duration(health.ready_within_s)}"
        yield RollBack(cause="not-ready", reason=_with_detail(told, detail))


def _with_detail(told: str, detail: str) -> str:
    return f"{told}: {detail}" if detail else told


def _answer(plan: Plan, progress: Progress, found: LimitReading) -> Decision:
    cause, numbers = f"limit: {found.limit}", dict(found.reading.numbers)
    if found.blue_too:
        told = f"{found.reading.reason}; blue breaks the same limit, so going back would not help"
        return Hold(
            verdict=Verdict.FAIL, reason=told, key=f"both: {found.limit}", page=True, lacking=(found.reading,)
        )
    match found.limit.answer:
        case Answer.HOLD:
            key = f"hold: {found.limit}"
            return Hold(
                verdict=Verdict.FAIL,
                reason=found.reading.reason,
                key=key,
                page=True,
                lacking=(found.reading,),
            )
        case Answer.STEP_BACK if progress.stay.phase > 1 and progress.step_backs < plan.step_backs:
            return StepBack(
                phase=progress.stay.phase - 1, cause=cause, reason=found.reading.reason, numbers=numbers
            )
        case Answer.STEP_BACK | Answer.ROLL_BACK:
            return RollBack(
                cause=cause,
                reason=f"{found.reading.reason}",
                first_bad_at=found.first_bad_at,
                numbers=numbers,
            )


def checks(plan: Plan, progress: Progress, evidence: Evidence, now: datetime) -> list[Reading]:
    """Everything that must pass before the rollout may go on, in the order in which people ask."""
    if not _knows(plan, progress):
        told = f"the log is in phase {progress.stay.phase}, and the plan has {plan.last}"
        return [Reading(name="plan", verdict=Verdict.CANNOT_TELL, reason=told)]
    phase, stay = plan.phases[progress.stay.phase], progress.stay
    found = [
        _fresh(plan, evidence, now),
        _green(plan, progress, evidence, now),
        _confirmed(progress, evidence),
    ]
    found += [limit.reading for limit in evidence.limits if limit.reading.verdict is Verdict.CANNOT_TELL]
    found += [reading for reading in (evidence.budget, evidence.share) if reading is not None]
    if evidence.harm is not None:
        found.append(replace(evidence.harm, name="judge"))
    found.append(_dwell(phase, stay, now))
    frozen = _freezes(plan, progress, now)
    if stay.internal_only:
        return [*found, _internal(phase, evidence), *frozen]
    found += gate_readings(phase, stay)
    found += _required(phase, evidence)
    found += frozen
    return [*found, *approval_readings(progress, phase, stay, now)]


def _fresh(plan: Plan, evidence: Evidence, now: datetime) -> Reading:
    name = "signals"
    if evidence.scraped_at is None:
        told = f"no counters were read yet{_because(evidence.scrape_trouble)}"
        return Reading(name=name, verdict=Verdict.CANNOT_TELL, reason=told)
    age_s = (now - evidence.scraped_at).total_seconds()
    if not 0 <= age_s <= plan.stale_after_s:
        told = f"the counters are {duration(abs(round(age_s)))} old, at most {duration(plan.stale_after_s)}"
        told += _because(evidence.scrape_trouble)
        return Reading(name=name, verdict=Verdict.CANNOT_TELL, reason=told)
    return Reading(name=name, verdict=Verdict.PASS, reason="the counters are fresh")


def _because(trouble: str | None) -> str:
    return f" ({trouble})" if trouble else ""


def _green(plan: Plan, progress: Progress, evidence: Evidence, now: datetime) -> Reading:
    name = "green"
    if evidence.green is None or evidence.green_at is None:
        told = f"green's state is unknown{_because(evidence.green_trouble)}"
        return Reading(name=name, verdict=Verdict.CANNOT_TELL, reason=told)
    if not 0 <= (now - evidence.green_at).total_seconds() <= plan.stale_after_s:
        told = f"green's state is stale{_because(evidence.green_trouble)}"
        return Reading(name=name, verdict=Verdict.CANNOT_TELL, reason=told)
    if evidence.green.stage is not Stage.READY:
        told = _with_detail(f"green is {evidence.green.stage}", evidence.green.detail)
        return Reading(name=name, verdict=Verdict.NOT_YET, reason=told)
    if evidence.green.version != progress.version:
        told = f"green runs {evidence.green.version}, and {progress.version} is rolled out"
        return Reading(name=name, verdict=Verdict.CANNOT_TELL, reason=told)
    if not evidence.healthy_green:
        told = "the data plane has no healthy green host"
        return Reading(name=name, verdict=Verdict.NOT_YET, reason=told)
    return Reading(name=name, verdict=Verdict.PASS, reason=f"green runs {progress.version} and is ready")


def _confirmed(progress: Progress, evidence: Evidence) -> Reading:
    if evidence.traffic_trouble is not None:
        told = f"the data plane could not be asked what it serves ({evidence.traffic_trouble})"
        return Reading(name="traffic", verdict=Verdict.CANNOT_TELL, reason=told)
    if progress.applied != progress.requested.identifier or progress.stay.entered_at is None:
        told = f"the data plane has not confirmed {progress.requested.identifier}"
        return Reading(name="traffic", verdict=Verdict.CANNOT_TELL, reason=told)
    return Reading(name="traffic", verdict=Verdict.PASS, reason="the data plane serves what was asked")


def dwell_of(phase: Phase, stay: Stay) -> float:
    """How long this stay must last, in seconds."""
    return phase.internal_users_first_s if stay.internal_only else phase.dwell_s


def _dwell(phase: Phase, stay: Stay, now: datetime) -> Reading:
    wanted_s = dwell_of(phase, stay)
    if stay.dwell_waived_by is not None:
        told = f"{stay.dwell_waived_by} ended the dwell early"
        return Reading(name="dwell", verdict=Verdict.PASS, reason=told)
    lasted_s = (now - stay.entered_at).total_seconds() if stay.entered_at else 0.0
    if lasted_s < wanted_s:
        told = f"{duration(int(max(0.0, lasted_s)))} of {duration(wanted_s)} have passed"
        return Reading(name="dwell", verdict=Verdict.NOT_YET, reason=told)
    return Reading(name="dwell", verdict=Verdict.PASS, reason=f"{duration(wanted_s)} have passed")


def gate_readings(phase: Phase, stay: Stay) -> list[Reading]:
    """What every gate of the phase has answered in this stay; one that did not run has not passed."""
    found = []
    for gate in phase.gates:
        if gate.kind == approval.KIND:
            continue
        answered = stay.gates.get(gate.name)
        name = f"gate {gate.name}"
        if answered is None:
            when = "runs once the dwell is over" if gate.at == "end" else "has not answered yet"
            found.append(Reading(name=name, verdict=Verdict.NOT_YET, reason=f"gate '{gate.name}' {when}"))
        else:
            told = f"gate '{gate.name}': {answered.reason}"
            found.append(Reading(name=name, verdict=answered.verdict, reason=told))
    return found


def _freezes(plan: Plan, progress: Progress, now: datetime) -> list[Reading]:
    """Whether the plan freezes this time; a hotfix goes forward all the same."""
    if not plan.freezes:
        return []
    name, freeze = FREEZE, covering(plan.freezes, now)
    if freeze is None:
        return [Reading(name=name, verdict=Verdict.PASS, reason="the plan does not freeze this time")]
    if progress.hotfix_by is not None:
        told = f"frozen from {freeze}, and {progress.hotfix_by} declared this rollout a hotfix"
        return [Reading(name=name, verdict=Verdict.PASS, reason=told)]
    told = f"frozen from {freeze}: nothing goes forward, and what must goes back"
    return [Reading(name=name, verdict=Verdict.NOT_YET, reason=told)]


def approval_readings(progress: Progress, phase: Phase, stay: Stay, now: datetime) -> list[Reading]:
    """What people have said; asked last, when everything else is known."""
    dwelt = _dwell(phase, stay, now).verdict is Verdict.PASS
    return [
        approval.read_approval(progress, phase, stay, gate, now, dwelt=dwelt)
        for gate in approval.asked(phase)
    ]


def _internal(phase: Phase, evidence: Evidence) -> Reading:
    """Whether internal users were there and met nothing that the phase rules out.

    They are too few for confidence, so what they met counts as it is: while it is above a line, others wait.
    """
    name = "internal users"
    green = sum((evidence.arms.get(arm, NOTHING) for arm in GREEN_ARMS), NOTHING)
    if not green.requests:
        return Reading(name=name, verdict=Verdict.NOT_YET, reason="no internal user was seen on green")
    for bound in phase.requirements:
        if bound.is_counted and breached(bound, bad(bound, green)):
            many, all_of_them = bad(bound, green) or (0, 0)
            told = f"internal users met {many} bad of {all_of_them} requests ('{bound}')"
            return Reading(name=name, verdict=Verdict.NOT_YET, reason=told)
    return Reading(name=name, verdict=Verdict.PASS, reason="internal users met no trouble")


def _required(phase: Phase, evidence: Evidence) -> list[Reading]:
    """Every requirement of the phase, and the judge's word on it where there is a judge."""
    readings = {reading.name: reading for reading in evidence.requirements}
    found = []
    for bound in phase.requirements:
        told = f"'{bound}' was not measured"
        missing = Reading(name=str(bound), verdict=Verdict.CANNOT_TELL, reason=told)
        found.append(readings.get(str(bound), missing))
        if str(bound) in evidence.safety:
            found.append(evidence.safety[str(bound)])
    return found


def _forward(plan: Plan, progress: Progress, evidence: Evidence) -> Advance | Complete:
    stay, told = progress.stay, situation(progress, evidence)
    if stay.internal_only:
        return Advance(phase=stay.phase, internal_only=False, reason=f"{told}: internal users met no trouble")
    if stay.phase == plan.last:
        return Complete(reason=f"{told}: every gate and requirement of every phase is met")
    following = stay.phase + 1 if stay.phase else min(progress.returns_to, plan.last)
    internal_only = plan.phases[following].internal_users_first_s > 0
    return Advance(
        phase=following, internal_only=internal_only, reason=f"{told}: every gate and requirement is met"
    )
