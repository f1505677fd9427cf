"""Hand-made counts for rules: one rollout, one latency edge (300 ms), looks of a minute unless told."""

from collections.abc import Iterable

import numpy as np

from judging.rule import Rule
from tranche.world import Tally

Arm = tuple[int, int, int]
"""Requests, errors, requests of 300 ms or longer."""

GOOD: Arm = (1000, 0, 0)
ERRORS: Arm = (1000, 11, 0)
SLOW: Arm = (1000, 0, 51)
BOTH: Arm = (1000, 11, 51)
EMPTY: Arm = (0, 0, 0)


def tally(green: Arm, control: Arm = GOOD, blue: Arm = (8000, 0, 0)) -> Tally:
    counts = np.array([green, blue, control], dtype=np.int64)[:, :, None]
    return Tally(end_s=0.0, complete=np.ones(1, dtype=np.bool_), counts=counts)


def first_hit(rule: Rule, looks: Iterable[Tally]) -> int | None:
    """The number of the look, from 1, at which the rule first rolls back."""
    return next((number for number, look in enumerate(looks, 1) if rule.observe(look)[0]), None)
