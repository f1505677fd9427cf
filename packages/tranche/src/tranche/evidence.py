"""Everything a decision may rest on, gathered at one tick. Values only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from tranche.limits import LimitReading, Reading
from tranche.ports import Arm, ColourState
from tranche.signals import Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What this controller has seen itself; nothing unseen counts.

    `scraped_at` and `green_at` are when the counters and green's state were last read completely; the
    troubles say why not now. `unhealthy_since` is set while the data plane has no healthy green host although
    green has users; `trouble_since` is when green first restarted, failed or was unhealthy in this stay.

    `harm` is the judge's finding (a FAIL rolls back), None before green has users; `harm_since` is when the first
    bad request came that it rests on. `shared` is an objective that blue surely misses, too. `safety` holds the
    judge's answer by requirement; where there is one it must pass besides the requirement itself.
    """

    watched_since: datetime
    scraped_at: datetime | None = None
    scrape_trouble: str | None = None
    green: ColourState | None = None
    green_at: datetime | None = None
    green_trouble: str | None = None
    traffic_trouble: str | None = None
    healthy_green: int | None = None
    unhealthy_since: datetime | None = None
    trouble_since: datetime | None = None
    arms: Mapping[Arm, Counts] = field(default_factory=dict)
    limits: tuple[LimitReading, ...] = ()
    requirements: tuple[Reading, ...] = ()
    share: Reading | None = None
    harm: Reading | None = None
    harm_since: datetime | None = None
    shared: Reading | None = None
    safety: Mapping[str, Reading] = field(default_factory=dict)
