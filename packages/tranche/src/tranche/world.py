"""What rollouts would count, drawn from a modelled service: many rollouts at once, look by look.

Pure numpy; all randomness comes from the generator that is passed in. The same generator in the same state
and the same calls give the same counts. Requests arrive as a Poisson process, so that the requests of each arm
and of each latency band are independent Poisson counts, which is exact and takes one draw for each of them.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from tranche.ports import LEAST_CONTROL, TOTAL_WEIGHT
from tranche.service import Defect, Incident, Service

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]

DAY_S: Final = 86_400.0
GREEN, BLUE, CONTROL, INTERNAL = range(4)
VERSION_OF_ARM: Final = np.array([0, 1, 1, 0])
"""Green is one version, whoever meets it; blue and its control arm are the other, and share its luck."""

REQUESTS, ERRORS, FIRST_EDGE = range(3)
DEFECT_FIELDS: Final = tuple(Defect.__dataclass_fields__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmCounts:
    """What one arm met: requests and errors [R], and requests at or above each edge [K, R], which nest."""

    requests: Integers
    errors: Integers
    slower: Integers


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What one look at the counters of R rollouts tells: increases since the last complete one.

    Where `complete` [R] is false the look failed and counts nothing; the next complete one has the sum, for all
    arms together. `end_s` is when it was taken, since the start of the world.
    """

    end_s: float
    complete: Booleans
    counts: Integers
    """[arm, requests | errors | slower than each edge, R]; INTERNAL is there only in a service that has such users."""

    @property
    def green(self) -> ArmCounts:
        return self._arm(GREEN)

    @property
    def blue(self) -> ArmCounts:
        """Blue without its control arm."""
        return self._arm(BLUE)

    @property
    def control(self) -> ArmCounts:
        return self._arm(CONTROL)

    @property
    def all_blue(self) -> ArmCounts:
        """Blue with its control arm."""
        both = self.counts[BLUE] + self.counts[CONTROL]
        return ArmCounts(requests=both[REQUESTS], errors=both[ERRORS], slower=both[FIRST_EDGE:])

    def _arm(self, arm: int) -> ArmCounts:
        counts = self.counts[arm]
        return ArmCounts(requests=counts[REQUESTS], errors=counts[ERRORS], slower=counts[FIRST_EDGE:])


@dataclass(frozen=True, slots=True, kw_only=True)
class Tallies:
    """What consecutive looks tell. `complete` is [L, R], `counts` [L, arm, count, R] as in `Tally`."""

    ends_s: Floats
    complete: Booleans
    counts: Integers

    def __iter__(self) -> Iterator[Tally]:
        for end_s, complete, counts in zip(self.ends_s, self.complete, self.counts, strict=True):
            yield Tally(end_s=float(end_s), complete=complete, counts=counts)


class World:
    """R rollouts of one service, each with its own luck, all at the same time of the day.

    Time starts at 0 and moves by `step_s` with every look. Noise, daily cycle, incidents and defects are taken
    as they are in the middle of a look. `edges_ms` rise. Every rollout has all of `defects`, and of `own_defects`,
    where they are given, the one of its number.
    """

    def __init__(
        self,
        service: Service,
        *,
        rollouts: int,
        step_s: float,
        edges_ms: Sequence[float],
        rng: np.random.Generator,
        defects: Sequence[Defect] = (),
        own_defects: Sequence[Defect] = (),
        incidents: Sequence[Incident] = (),
    ) -> None:
        self.service = service
        self.rollouts = rollouts
        self.step_s = step_s
        self.edges_ms = tuple(edges_ms)
        self._rng = rng
        self._defects = [_columns([defect]) for defect in defects]
        if own_defects:
            self._defects.append(_columns(own_defects))
        self._incidents = tuple(incidents)
        self._looked = 0
        self._block = -1
        self._luck = np.zeros((2, 2, rollouts))
        self.look_arms = len(VERSION_OF_ARM) if service.internal_share > 0 else INTERNAL
        self._unseen = np.zeros((self.look_arms, FIRST_EDGE + len(self.edges_ms), rollouts), dtype=np.int64)

    @property
    def now_s(self) -> float:
        """The end of the last look."""
        return self._looked * self.step_s

    def keep(self, which: Booleans) -> None:
        """Go on with these rollouts only. [R]"""
        self.rollouts = int(which.sum())
        self._luck, self._unseen = self._luck[..., which], self._unseen[..., which]
        self._defects = [
            {name: column if len(column) == 1 else column[which] for name, column in columns.items()}
            for columns in self._defects
        ]

    def looks(
        self, green_weight: npt.ArrayLike, count: int = 1, *, internal_to_green: npt.ArrayLike = False
    ) -> Tallies:
        """The next `count` looks. Weights are of TOTAL_WEIGHT: one, one for each rollout [R], or [count, R].

        `internal_to_green` says whether internal users are all on green; else they are users as any other.

        The control arm has the weight that the engine gives it (`Split.control_weight`). Several looks in one call cost
        far less than as many calls.
        """
        green = np.atleast_2d(np.asarray(green_weight))
        largest = TOTAL_WEIGHT - green
        control = np.minimum(np.maximum(green, LEAST_CONTROL), largest)
        weights = np.stack([green, largest - control, control], axis=1) / TOTAL_WEIGHT
        if self.look_arms > INTERNAL:
            apart = self.service.internal_share * np.atleast_2d(np.asarray(internal_to_green))[:, None]
            others = weights * (1 - apart)
            weights = np.concatenate([others, np.broadcast_to(apart, others[:, :1].shape)], axis=1)
        times = (self._looked + np.arange(count, dtype=np.float64) + 0.5) * self.step_s
        luck = self._lucks(times)
        counts = self._served(weights, times, luck)
        complete = np.ones((count, self.rollouts), dtype=np.bool_)
        if self.service.lost_scrape_share > 0:
            complete = self._rng.random((count, self.rollouts)) >= self.service.lost_scrape_share
            counts = self._carried(counts, complete)
        self._looked += count
        return Tallies(ends_s=times + self.step_s / 2, complete=complete, counts=counts)

    def look(self, green_weight: npt.ArrayLike, *, internal_to_green: npt.ArrayLike = False) -> Tally:
        """The next look."""
        return next(iter(self.looks(green_weight, internal_to_green=internal_to_green)))

    def _served(self, weights: Floats, times: Floats, luck: Floats) -> Integers:
        """Requests, errors and slow requests of each arm [L, arm, count, R]."""
        rate = self.service.requests_per_s * self.step_s * self._daily(times)
        arrivals = rate[:, None, None] * weights
        bands = -np.diff(self._tails(times, luck), axis=2, prepend=1.0, append=0.0)
        size = (len(times), self.look_arms, len(self.edges_ms) + 1, self.rollouts)
        versions = VERSION_OF_ARM[: self.look_arms]
        drawn = self._rng.poisson(np.broadcast_to(arrivals[:, :, None] * bands[:, versions], size))
        least = np.cumsum(drawn[:, :, ::-1], axis=2)[:, :, ::-1]
        requests = least[:, :, 0]
        errors = self._errors(requests, self._error_shares(times, luck)[:, versions])
        return np.concatenate([requests[:, :, None], errors[:, :, None], least[:, :, 1:]], axis=2)

    def _errors(self, requests: Integers, shares: Floats) -> Integers:
        mean = self.service.noise.mean_cluster
        clusters = self._rng.binomial(requests, shares / mean)
        if mean <= 1:
            return clusters
        some = clusters > 0
        clusters[some] += self._rng.negative_binomial(clusters[some], 1 / mean)
        return np.minimum(clusters, requests)

    def _daily(self, times: Floats) -> Floats:
        return 1 + self.service.daily_swing * np.sin(2 * math.pi * times / DAY_S)

    def _error_shares(self, times: Floats, luck: Floats) -> Floats:
        """How large a share fails, [L, version, R or 1]."""
        shares: Floats = np.full((len(times), 2, self._width), self.service.base_error_share)
        for defect in self._defects:
            shares[:, 0] *= np.where(times[:, None] >= defect["onset_s"], defect["errors_factor"], 1.0)
        for defect in self._defects:
            shares[:, 0] += np.where(times[:, None] >= defect["onset_s"], defect["errors_added"], 0.0)
        shares = np.minimum(shares * np.exp(luck[:, 0]), 1.0)
        for incident in self._incidents:
            extra = np.where(_within(incident, times), incident.error_share, 0.0)[:, None, None]
            shares = shares + extra - shares * extra
        return shares

    def _tails(self, times: Floats, luck: Floats) -> Floats:
        """How large a share takes each edge or longer, [L, version, K, R or 1]."""
        slower = np.zeros((len(times), 2, self._width))
        for defect in self._defects:
            longer = np.log(defect["latency_factor"])
            slower[:, 0] += np.where(times[:, None] >= defect["onset_s"], longer, 0.0)
        for incident in self._incidents:
            slower += np.where(_within(incident, times), math.log(incident.latency_factor), 0.0)[
                :, None, None
            ]
        edges = np.log(np.array(self.edges_ms) / self.service.median_ms)
        return upper_tail((edges[:, None] - (slower + luck[:, 1])[:, :, None]) / self.service.latency_sd)

    @property
    def _width(self) -> int:
        """How many rollouts differ in their defects."""
        return max((len(defect["onset_s"]) for defect in self._defects), default=1)

    def _lucks(self, times: Floats) -> Floats:
        """Logarithms of the factors on errors and on latency, [L, errors | latency, version, R or 1]."""
        noise = self.service.noise
        if noise.is_none:
            return np.zeros((len(times), 2, 2, 1))
        blocks = (times // noise.block_s).astype(np.int64)
        new = int(blocks[-1]) - self._block
        shared = self._rng.standard_normal((new, 2, 1, self.rollouts))
        own = self._rng.standard_normal((new, 2, 2, self.rollouts))
        shared *= np.array([noise.error_shared_sd, noise.latency_shared_sd])[:, None, None]
        own *= np.array([noise.error_own_sd, noise.latency_own_sd])[:, None, None]
        fresh = shared + own
        fresh[:, 0] -= (noise.error_shared_sd**2 + noise.error_own_sd**2) / 2
        known = np.concatenate([self._luck[None], fresh])
        places = blocks - self._block
        self._block, self._luck = int(blocks[-1]), known[-1]
        return np.asarray(known[places])

    def _carried(self, counts: Integers, complete: Booleans) -> Integers:
        """Counts as they are seen: those of lost looks within the next complete one."""
        total = self._unseen + np.cumsum(counts, axis=0)
        seen = np.maximum.accumulate(np.where(complete[:, None, None], total, 0), axis=0)
        self._unseen = total[-1] - seen[-1]
        return np.diff(seen, axis=0, prepend=0)


def _columns(defects: Sequence[Defect]) -> dict[str, Floats]:
    """Their numbers by name, one for each defect."""
    return {name: np.array([getattr(defect, name) for defect in defects]) for name in DEFECT_FIELDS}


def _within(incident: Incident, times: Floats) -> Booleans:
    return (times >= incident.start_s) & (times < incident.start_s + incident.length_s)


TABLE_END: Final = 9.0
STEPS_PER_UNIT: Final = 1000


@cache
def _tail_table() -> Floats:
    at = np.arange(-TABLE_END * STEPS_PER_UNIT, TABLE_END * STEPS_PER_UNIT + 1) / STEPS_PER_UNIT
    return np.array([math.erfc(z / math.sqrt(2)) / 2 for z in at])


def upper_tail(z: Floats) -> Floats:
    """P(Z >= z) of the standard normal distribution, within 4e-8.

    Interpolated in a table: it is asked for millions of times, and numpy has no error function.
    """
    table = _tail_table()
    place = np.clip((z + TABLE_END) * STEPS_PER_UNIT, 0, len(table) - 2)
    below = place.astype(np.int64)
    return table[below] + (table[below + 1] - table[below]) * (place - below)
