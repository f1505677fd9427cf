"""Where a rollout is, as tests of the controller wait for it."""

from __future__ import annotations

from collections.abc import Callable

from tranche.progress import Progress


def entered(name: str) -> Callable[[Progress], bool]:
    return lambda progress: (
        progress.stay.name == name
        and not progress.stay.internal_only
        and progress.stay.entered_at is not None
    )
