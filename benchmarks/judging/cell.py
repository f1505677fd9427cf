"""The worlds that rules are run in: services, what is wrong with green in them, and for how long they are watched."""

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import numpy as np

from judging.rule import OBJECTIVE_MS
from tranche.service import BURSTY, PLAIN, Defect, Incident, Service, parse_defect
from tranche.world import upper_tail

HOUR_S: Final = 3600.0
STEP_S: Final = 15.0
EDGES_MS: Final = (100, 150, 200, 300, 500)
GREEN_WEIGHT: Final = 1000
CALIBRATED_S: Final = 2 * HOUR_S
HEALTHY_S: Final = 48 * HOUR_S
FAULTY_S: Final = 4 * HOUR_S
LATE_S: Final = 24 * HOUR_S

NOISES: Final = {"plain": PLAIN, "bursty": BURSTY}
RATES: Final = (5, 50, 500)
BASES: Final = (0.001, 0.003)
HEALTHY: Final = "none"
INCIDENT: Final = "incident"
EFFECTS: Final = {
    "x2": "errors=x2",
    "x5": "errors=x5",
    "+1pt": "errors=+1%",
    "+5pt": "errors=+5%",
    "p95+20%": "p95=+20%",
    "p95+50%": "p95=+50%",
    "p95x2": "p95=x2",
}
LATE: Final = ("x5", "+1pt", "p95+50%")
AFTER_A_DAY: Final = "@24h"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One world: noise, requests a second, base error share (0 to 1), and what is wrong.

    `effect` is `none` (healthy for 48 h, the rate swinging by 60 % over a day), one of EFFECTS (from the start, for
    4 h at the mean rate), one of them with `@24h` behind it (after a healthy day, for 4 h), or `incident` (both
    versions: 5 % errors and twice the latency for 20 minutes, an hour after the start).
    """

    world: str
    rps: int
    base: float
    effect: str

    @property
    def label(self) -> str:
        """`plain 50/s 0.1% x5`: what is printed, and what `--only` picks by."""
        return f"{self.world} {self.rps}/s {100 * self.base:g}% {self.effect}"

    @property
    def is_healthy(self) -> bool:
        return self.effect == HEALTHY

    @property
    def onset_s(self) -> float:
        """From when green is worse."""
        return LATE_S if self.effect.endswith(AFTER_A_DAY) else 0.0

    @property
    def length_s(self) -> float:
        return HEALTHY_S if self.is_healthy else self.onset_s + FAULTY_S

    @property
    def service(self) -> Service:
        return Service(
            requests_per_s=self.rps,
            base_error_share=self.base,
            daily_swing=0.6 if self.is_healthy or self.onset_s else 0.0,
            noise=NOISES[self.world],
        )

    @property
    def defect(self) -> Defect | None:
        text = EFFECTS.get(self.effect.removesuffix(AFTER_A_DAY))
        return None if text is None else parse_defect(f"{text}@{self.onset_s:.0f}s")

    @property
    def incidents(self) -> list[Incident]:
        shared = Incident(start_s=HOUR_S, length_s=1200, error_share=0.05, latency_factor=2)
        return [shared] if self.effect == INCIDENT else []

    @property
    def due_errors(self) -> float:
        """Which part of green's errors is the defect's (the noise multiplies both parts alike)."""
        if self.defect is None:
            return 0.0
        return 1 - self.base / (self.base * self.defect.errors_factor + self.defect.errors_added)

    @property
    def due_slow(self) -> float:
        """Which part of green's requests of OBJECTIVE_MS or longer is the defect's, without noise."""
        if self.defect is None:
            return 0.0
        edge = math.log(OBJECTIVE_MS / self.service.median_ms)
        z = np.array([edge, edge - math.log(self.defect.latency_factor)]) / self.service.latency_sd
        healthy, ill = upper_tail(z)
        return float(1 - healthy / ill)


def _cells() -> tuple[Cell, ...]:
    main = [
        Cell(world=world, rps=rps, base=base, effect=effect)
        for effect in (HEALTHY, *EFFECTS)
        for world in NOISES
        for rps in RATES
        for base in BASES
    ]
    more = [
        Cell(world=world, rps=50, base=0.001, effect=effect)
        for effect in (*(f"{effect}{AFTER_A_DAY}" for effect in LATE), INCIDENT)
        for world in NOISES
    ]
    return (*main, *more)


CELLS: Final = _cells()


def chosen(words: Collection[str]) -> tuple[Cell, ...]:
    """The cells whose label has every one of these words; all without words."""
    return tuple(cell for cell in CELLS if set(words) <= set(cell.label.split()))
