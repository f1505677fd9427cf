"""What a trial is about: the plan, when it is frozen, who must agree, and whether anybody looks after it.

All of it is diced, and known here in plain numbers, so that a law can be judged without the engine's reading of a plan.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final
from zoneinfo import ZoneInfo

NINE: Final = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
"""A Monday. Freezes begin or end here: a plan knows whole minutes only, so it is the trial that begins off them."""

ZONES: Final = ("UTC", "Europe/Berlin", "Asia/Dhaka", "America/New_York")
NOTATIONS: Final = ("%Y-%m-%d %H:%M", "mon %H:%M", "%H:%M")
STARTER: Final = "ann"
OTHERS: Final = ("bob", "cem", "dee", "eve")


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    """A time in which nothing may go forward, and how the plan writes it."""

    begins: datetime
    ends: datetime
    notation: str
    zone: str

    def covers(self, begins: datetime, ends: datetime) -> bool:
        """Whether it is frozen for all of this time."""
        return self.begins <= begins and ends < self.ends

    def __str__(self) -> str:
        first, last = (
            at.astimezone(ZoneInfo(self.zone)).strftime(self.notation) for at in (self.begins, self.ends)
        )
        return f'freeze: [{{about: ordeal, from: "{first}", until: "{last}", zone: {self.zone}}}]\n'


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A phase (0 is staging) that so many people must agree to end; `approvers` are the only ones, if any are named.

    It dwells for `dwell_s` longer than it would.
    """

    phase: int
    people: int
    approvers: tuple[str, ...]
    at: str
    expires_s: int
    dwell_s: int
    gate: str = "owner"

    def __str__(self) -> str:
        named = f", approvers: [{', '.join(self.approvers)}]" if self.approvers else ""
        told = f"name: {self.gate}, kind: approval, at: {self.at}, people: {self.people}"
        return f"{{{told}, expires: {self.expires_s}s{named}}}"


RUNS_OUT: Final = Asked(phase=2, people=1, approvers=(), at="start", expires_s=60, dwell_s=12)
"""A yes that a freeze of a minute outlasts, if it comes before the dwell is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One trial's, by its dice. `replaced_at_s` is when somebody has built a newer version, `paused_at_s`
    when somebody wants it to wait; where nobody looks after a
    rollout any more in the end, it may come to rest for want of a person.
    """

    starts_at: datetime
    frozen: Frozen | None
    asked: Asked | None
    no_return: int | None
    replaced_at_s: float | None
    paused_at_s: float | None
    is_attended: bool
    retire: str
    slow: str
    internal_s: int
    on_fail: str
    budget: int | None

    @classmethod
    def diced(cls, dice: Random, *, runs_out: bool | None = None) -> "Scene":
        """`runs_out`: somebody agrees in time, and a freeze outlasts their yes; diced as well, unless it is said."""
        thrown = dice.random()
        runs_out = thrown < 0.1 if runs_out is None else runs_out
        frozen, starts_at = _freeze(dice, runs_out=runs_out)
        return cls(
            starts_at=starts_at,
            frozen=frozen,
            asked=RUNS_OUT if runs_out else _asked(dice),
            no_return=dice.choice((None, None, 2, 3)),
            replaced_at_s=None if runs_out else dice.choice((None, None, None, 4.0, 9.0, 13.0, 18.0)),
            paused_at_s=None if runs_out else dice.choice((None, None, None, 9.0, 14.0)),
            is_attended=dice.random() < 0.3 and not runs_out,
            retire=dice.choice(("never", "after")),
            slow=dice.choice(("roll_back", "step_back", "hold")),
            internal_s=dice.choice((0, 2)),
            on_fail=dice.choice(("hold", "hold", "roll_back")),
            budget=dice.choice((None, None, 40, 400)),
        )

    @property
    def text(self) -> str:
        """The plan."""
        on_fail = f"on_fail: {self.on_fail}"
        gates = {
            0: ['{name: smoke, kind: http, url: "{green_url}/ready", retry: 2s}'],
            1: [f'{{name: integrity, kind: command, command: ["check"], at: end, retry: 2s, {on_fail}}}'],
            2: [],
            3: [],
        }
        if self.asked is not None:
            gates[self.asked.phase].append(str(self.asked))
        dwell_s = {1: 4, 2: 6, 3: 2}
        if self.asked is not None and self.asked.phase:
            dwell_s[self.asked.phase] += self.asked.dwell_s
        told = {number: f"gates: [{', '.join(each)}]" for number, each in gates.items()}
        least = "requirements: [errors < 2 %]"
        back = {
            number: "point_of_no_return: columns are dropped, " if number == self.no_return else ""
            for number in (2, 3)
        }
        return (
            "name: ordeal\ntick: 1s\nstale_after: 3s\nshare_tolerance: 10 %\nwarm_up: 0s\n"
            f"retire_blue: {self.retire}\njudge: {{false_safety: 40 %}}\n"
            "health: {ready_within: 15s, unhealthy_for: 3s, restarts: 2}\n"
            + (f"harm_budget: {self.budget} requests\n" if self.budget else "")
            + (str(self.frozen) if self.frozen else "")
            + "limits:\n"
            "  - {limit: errors > 5 %, sustained: 4s, minimum_requests: 20, answer: roll_back}\n"
            "  - {limit: latency_p95 > 500 ms, sustained: 3s, minimum_requests: 20, answer: "
            f"{self.slow}}}\n"
            f"staging: {{{told[0]}}}\n"
            "phases:\n"
            f"  - {{name: few, weight: 10 %, internal_users_first: {self.internal_s}s, dwell: {dwell_s[1]}s, "
            f"{least}, {told[1]}}}\n"
            f"  - {{name: half, weight: 50 %, dwell: {dwell_s[2]}s, {back[2]}{least}, {told[2]}}}\n"
            f"  - {{name: all, weight: 100 %, dwell: {dwell_s[3]}s, {back[3]}{least}, {told[3]}}}\n"
        )

    def gates(self, phase: int) -> tuple[str, ...]:
        """The gates of a phase that are not people."""
        return {0: ("smoke",), 1: ("integrity",)}.get(phase, ())

    def is_frozen(self, begins: datetime, ends: datetime) -> bool:
        """Whether all of this time is frozen."""
        return self.frozen is not None and self.frozen.covers(begins, ends)


def _freeze(dice: Random, *, runs_out: bool) -> tuple[Frozen | None, datetime]:
    """None, one the trial begins in, one that comes in the middle of it, or one that outlasts it."""
    kind = dice.choice(("none", "none", "none", "early", "amid", "amid", "long"))
    before_s = dice.choice((5, 8, 11, 14, 17, 20, 24))
    if runs_out:
        kind, before_s = "amid", dice.choice((20, 24))
    notation, zone = dice.choice(NOTATIONS), dice.choice(ZONES)
    starts_at = NINE - timedelta(seconds=before_s)
    match kind:
        case "early":
            span = (NINE - timedelta(minutes=10), NINE)
        case "amid":
            span = (NINE, NINE + timedelta(minutes=1))
        case "long":
            span = (NINE, NINE + timedelta(hours=8))
        case _:
            return None, starts_at
    return Frozen(begins=span[0], ends=span[1], notation=notation, zone=zone), starts_at


def _asked(dice: Random) -> Asked | None:
    """An approval of some phase, or none."""
    found = Asked(
        phase=dice.choice((0, 1, 2, 3)),
        people=dice.choice((1, 1, 2)),
        approvers=dice.choice(((), (), ("bob", "cem"))),
        at=dice.choice(("start", "start", "end")),
        expires_s=dice.choice((60, 60, 60, 3600)),
        dwell_s=dice.choice((0, 8)),
    )
    return found if dice.random() < 0.6 else None
