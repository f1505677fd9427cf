"""Whether the way back was rehearsed with this very version: read from the event log of another installation. Pure.

A rehearsal is no imitation: it is a rollout of the same version on a site like this one, with users on green, that was
taken back - by the same engine, through the same data plane. What it shows stands in its log, decision by confirmation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tranche.plan import duration
from tranche.ports import GateAnswer, Recorded, Verdict
from tranche.progress import Progress, State, fold
from tranche.signals import GREEN_ARMS, counts_from_json

BY_PERSON: Final = "person"
"""The cause of a rollback that a person asked for, as the log has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What must have been rehearsed. Times in seconds; `by` is who took users back: `person`, `engine`, `anybody`."""

    version: str
    by: str
    within_s: float
    stale_after_s: float


def read(rollouts: Sequence[Sequence[Recorded]], wanted: Wanted, *, where: str, now: datetime) -> GateAnswer:
    """What the rollouts of the site `where`, in the order in which they were started, show.

    The last rehearsal counts: what worked before an attempt that failed is no comfort.

    Raises:
        LogFault: the log is damaged, or of a newer release.
    """
    known = [progress for events in rollouts if (progress := fold(events)) is not None]
    fitting = [progress for progress in known if _fits(progress, wanted)]
    if not fitting:
        who = {"person": "by hand", "engine": "by the engine itself"}.get(wanted.by, "")
        told = f"nobody has rehearsed the way back of {wanted.version} on '{where}'"
        todo = f"roll it out there, let it have users, and have it taken back{f' {who}' if who else ''}"
        return GateAnswer(verdict=Verdict.NOT_YET, reason=f"{told}; {todo}")
    return _shown(fitting[-1], wanted, now)


def _fits(progress: Progress, wanted: Wanted) -> bool:
    rollback = progress.rollback
    if progress.version != wanted.version or rollback is None:
        return False
    by = "person" if rollback.cause == BY_PERSON else "engine"
    return wanted.by in {"anybody", by} and _requests(progress) > 0


def _requests(progress: Progress) -> int:
    """How many requests green has answered, by what was measured in each stay."""
    measured = [stay.measured.arms for stay in progress.stays if stay.measured is not None]
    return sum(
        counts_from_json(arms[arm.value]).requests
        for arms in measured
        for arm in GREEN_ARMS
        if arm.value in arms
    )


def _shown(progress: Progress, wanted: Wanted, now: datetime) -> GateAnswer:
    rollback = progress.rollback
    assert rollback is not None, "only such rollouts fit"  # noqa: S101 - for the type checker
    evidence: dict[str, object] = {
        "rollout": progress.rollout,
        "plan_digest": progress.plan_digest,
        "cause": rollback.cause,
        "actor": rollback.actor,
        "requests": _requests(progress),
        "decided_at": rollback.decided_at.isoformat(),
        "applied_at": rollback.applied_at.isoformat() if rollback.applied_at else None,
    }
    ended = rollback.applied_at or now
    took_s = (ended - rollback.decided_at).total_seconds()
    if took_s > wanted.within_s:
        what = "took" if rollback.applied_at else "is not confirmed after"
        told = f"the way back of '{progress.rollout}' {what} {duration(round(took_s, 3))}"
        return GateAnswer(
            verdict=Verdict.FAIL, reason=f"{told}, at most {duration(wanted.within_s)}", evidence=evidence
        )
    if rollback.applied_at is None or progress.state is not State.ROLLED_BACK:
        told = f"'{progress.rollout}' is on its way back"
        return GateAnswer(verdict=Verdict.NOT_YET, reason=told, evidence=evidence)
    age_s = (now - rollback.applied_at).total_seconds()
    if not 0 <= age_s <= wanted.stale_after_s:
        told = f"the rehearsal '{progress.rollout}' is {duration(abs(round(age_s)))} old"
        told += (
            f", at most {duration(wanted.stale_after_s)}" if age_s > 0 else " in the future: mend the clocks"
        )
        return GateAnswer(verdict=Verdict.CANNOT_TELL, reason=told, evidence=evidence)
    told = f"'{progress.rollout}': all users were back on blue {duration(round(took_s, 3))} after"
    told += f" {rollback.actor} decided it ({rollback.reason})"
    return GateAnswer(verdict=Verdict.PASS, reason=told, evidence=evidence | {"took_s": round(took_s, 3)})
