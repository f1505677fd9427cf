"""Whether a person may still take users back: what the plan's point of no return says to a rollback by hand. Pure.

It stands in the way of nothing else: a plan that names no such point is not even read.
"""

from typing import Any, Final

from tranche.progress import Progress
from tranche.refusal import Refused

KEY: Final = "point_of_no_return"


class PastReturn(Refused):
    """The point of no return is passed; a rollback is no remedy any more. Only --force does it all the same."""

    code = "past-return"


def check_return(progress: Progress, *, force: bool) -> dict[str, Any]:
    """What is kept beside a rollback that is forced; nothing where it is not needed.

    Raises:
        PastReturn: going back is no remedy any more, or may be none, and it is not forced.
    """
    if not may_name(KEY, progress.plan_text):
        return {}  # most plans: users are not to wait until the whole of it is read
    from tranche.decide import past_return
    from tranche.language import parse

    try:
        plan = parse(progress.plan_text, file=progress.plan_file)
    except Refused:
        # A plan of another release must not keep users on green; unless it may hold such a point.
        if force:
            return {}
        told = "this release cannot read the plan, and it may name a point of no return"
        raise PastReturn(f"{told}; look whether it is passed, then use --force") from None
    if not past_return(plan, progress):
        return {}
    phase = plan.phases[plan.point_of_no_return or 0]
    if not force:
        told = f"phase '{phase.name}' was the point of no return: {phase.point_of_no_return}"
        raise PastReturn(f"{told}; mend it forward, or take users back all the same with --force")
    return {"forced_past": phase.name, "point_of_no_return": phase.point_of_no_return}


def may_name(key: str, plan_text: str) -> bool:
    """Whether a plan of this text may have the key: YAML writes it out, or with a backslash as something else."""
    return key in plan_text or "\\" in plan_text
