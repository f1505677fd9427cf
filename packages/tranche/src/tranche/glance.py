"""What a controller saw last, as far as what people ask rests on it. Pure.

It is the document that a controller leaves behind with every tick (`status.seen_document`). It says something about the
rollout only as long as it is about the present stay.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tranche.events import Measured
from tranche.ports import Verdict
from tranche.progress import Progress
from tranche.refusal import Refused

if TYPE_CHECKING:
    from tranche.plan import Plan

Seen = Mapping[str, Any]


class CannotAdvance(Refused):
    """The dwell cannot be ended early."""

    code = "cannot-advance"


def checks_of(seen: Seen | None, progress: Progress) -> dict[str, Any]:
    """Verdict and reason of every check, by name; nothing when nobody has looked at this stay."""
    if seen is None or seen.get("stay") != progress.stay.identifier:
        return {}
    return {
        check["name"]: {"verdict": check["verdict"], "reason": check["reason"]} for check in seen["checks"]
    }


def measured_of(seen: Seen | None, progress: Progress) -> list[Measured]:
    """What was seen of the stay that ends, if somebody looked and has not recorded it."""
    if progress.stay.measured is not None or seen is None or seen.get("stay") != progress.stay.identifier:
        return []
    checks = {check["name"]: check for check in [*seen["checks"], *seen["limits"]]}
    return [Measured(phase=progress.stay.phase, arms=seen["arms"], checks=checks)]


def check_advance(
    plan: "Plan", progress: Progress, seen: Seen | None, *, is_controlled: bool, now: datetime
) -> None:
    """Whether ending the dwell early would help.

    Raises:
        CannotAdvance: a check has failed or cannot tell, or nobody is looking.
    """
    if not is_controlled or seen is None or seen.get("stay") != progress.stay.identifier:
        raise CannotAdvance("no controller is looking at this phase, so nothing can be told; start one first")
    age_s = (now - datetime.fromisoformat(seen["at"])).total_seconds()
    if age_s > plan.stale_after_s:
        raise CannotAdvance(
            f"the controller looked {age_s:.0f} s ago, so nothing can be told; look at it first"
        )
    if progress.paused_by is not None:
        raise CannotAdvance(f"the rollout is paused by {progress.paused_by}; resume it first")
    if progress.stay.dwell_waived_by is not None:
        raise CannotAdvance(f"{progress.stay.dwell_waived_by} has ended this dwell already")
    against = {Verdict.FAIL.value, Verdict.CANNOT_TELL.value}
    for check in [*seen["checks"], *seen["limits"]]:
        if check["verdict"] in against:
            told = f"{check['name']}: {check['verdict']} - {check['reason']}"
            raise CannotAdvance(f"{told}; ending the dwell early would not help")
    if not any(check["name"] == "dwell" and check["verdict"] == "not yet" for check in seen["checks"]):
        raise CannotAdvance("the dwell is over already; 'tranche why' says what is lacking")
