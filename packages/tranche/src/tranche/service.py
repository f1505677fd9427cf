"""A modelled service: what a rollout would meet, in numbers. Values, and the text that a defect is given in.

`world.py` draws requests from them. Nothing of a real installation stands here: a plan is tried out against a
service such as ours before it meets ours.
"""

import math
import re
from dataclasses import dataclass
from typing import ClassVar, Final

from tranche.refusal import Refused
from tranche.shape import SECONDS

Z_95: Final = 1.6448536269514722
"""The 95 % point of the standard normal distribution, one side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """How far a service strays from independent requests. Spreads are standard deviations of logarithms.

    For each `block_s` seconds an error factor of mean 1 and a latency factor of median 1 are drawn: a part that
    all versions share (a slow database, a neighbour that fails) and a part of each version's own (a cold cache,
    one bad host). Errors come in clusters of geometric size with mean `mean_cluster`, and a cluster stays within
    one arm: a user whose request fails tries again. A mean of 2 makes counts three times as dispersed as
    independent errors: E[s²]/E[s] = 2·mean - 1.
    """

    error_shared_sd: float = 0.0
    error_own_sd: float = 0.0
    latency_shared_sd: float = 0.0
    latency_own_sd: float = 0.0
    block_s: float = 120.0
    mean_cluster: float = 1.0

    @property
    def is_none(self) -> bool:
        """Whether nothing is drawn per block."""
        spreads = (self.error_shared_sd, self.error_own_sd, self.latency_shared_sd, self.latency_own_sd)
        return not any(spreads)


PLAIN: Final = Noise()
"""Independent requests: the world of textbooks."""

BURSTY: Final = Noise(
    error_shared_sd=0.7, error_own_sd=0.1, latency_shared_sd=0.15, latency_own_sd=0.03, mean_cluster=2.0
)
"""Bad minutes that all versions share, versions that differ a little for no reason, users who try again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What blue is like, and green without a defect.

    `daily_swing` (0 to 1) is how far the rate leaves its mean over a day, as a sine that starts rising.
    `base_error_share` is the mean over all noise. Latency is lognormal with this median and 95th percentile.
    `lost_scrape_share` (0 to 1) is how many looks at the counters fail, each by itself. `internal_share` (0 to 1) is
    which part of the requests internal users make.
    """

    requests_per_s: float
    base_error_share: float
    daily_swing: float = 0.0
    median_ms: float = 80.0
    p95_ms: float = 200.0
    noise: Noise = PLAIN
    lost_scrape_share: float = 0.0
    internal_share: float = 0.0

    @property
    def latency_sd(self) -> float:
        """Standard deviation of the logarithm of the latency."""
        return math.log(self.p95_ms / self.median_ms) / Z_95


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """A time in which all versions suffer alike. `error_share` fails besides what fails anyway."""

    start_s: float
    length_s: float
    error_share: float = 0.0
    latency_factor: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Defect:
    """What makes green worse, from `onset_s` on: its error share times a factor, plus a share; its latency
    times a factor.
    """

    onset_s: float = 0.0
    errors_factor: float = 1.0
    errors_added: float = 0.0
    latency_factor: float = 1.0


class DefectRefused(Refused):
    """The text does not say what is to be worse."""

    code: ClassVar[str] = "defect-refused"


class UnknownDefect(DefectRefused):
    """The text is no defect at all."""

    code = "unknown-defect"


class HarmlessDefect(DefectRefused):
    """The text is a defect, and nothing would become worse by it."""

    code = "harmless-defect"


class ImpossibleDefect(DefectRefused):
    """The text asks for more errors than there can be requests."""

    code = "impossible-defect"


class IncidentRefused(Refused):
    """The text does not say how long an incident lasts, and when it begins."""

    code = "incident-refused"


USUAL_ERRORS: Final = 0.05
USUAL_LATENCY: Final = 2.0
"""What an incident does where no more is said: a bad database, say, for a while."""


EXAMPLES: Final = "write errors=+1%@24h, errors=x5, p95=+50%@1h or p95=x2"
_TEXT: Final = re.compile(
    r"(?P<metric>errors|p95)\s*=\s*(?:\+\s*(?P<percent>\d+(?:\.\d+)?)\s*%|[x×]\s*(?P<factor>\d+(?:\.\d+)?))"
    r"(?:\s*@\s*(?P<onset>\d+(?:\.\d+)?)\s*(?P<unit>ms|s|m|h|d))?"
)


def parse_defect(text: str) -> Defect:
    """A defect from text such as `errors=+1%@24h`: what, how much worse, and since when (default: at once).

    `errors=+1%` is one percentage point more; `p95=+50%` is half as slow again; `x5` is five times.

    Raises:
        DefectRefused: it cannot be read, or nothing would become worse, or more would fail than is asked.
    """
    found = _TEXT.fullmatch(text.strip())
    if found is None:
        raise UnknownDefect(f"expected a defect, found '{text}'; {EXAMPLES}")
    onset_s = float(found["onset"] or 0) * SECONDS[found["unit"] or "s"]
    percent, factor = float(found["percent"] or 0), float(found["factor"] or 1)
    if percent == 0 and factor <= 1:
        raise HarmlessDefect(
            f"expected a defect that makes green worse, found '{text}'; raise the number, or leave it out"
        )
    if found["metric"] == "p95":
        return Defect(onset_s=onset_s, latency_factor=factor * (1 + percent / 100))
    if percent > 100:
        raise ImpossibleDefect(f"expected at most 100 % more errors, found '{text}'; {EXAMPLES}")
    return Defect(onset_s=onset_s, errors_factor=factor, errors_added=percent / 100)


_INCIDENT: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)\s*@\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")


def parse_incident(text: str) -> Incident:
    """An incident from text such as `20m@24h`: for how long, and from when. Both versions have USUAL_ERRORS more
    errors and USUAL_LATENCY times the latency.

    Raises:
        IncidentRefused: it cannot be read, or lasts no time.
    """
    found = _INCIDENT.fullmatch(text.strip())
    if found is None or not float(found[1]):
        raise IncidentRefused(f"expected how long and when, such as 20m@24h, found '{text}'")
    return Incident(
        start_s=float(found[3]) * SECONDS[found[4]],
        length_s=float(found[1]) * SECONDS[found[2]],
        error_share=USUAL_ERRORS,
        latency_factor=USUAL_LATENCY,
    )
