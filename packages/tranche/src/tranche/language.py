"""The language of plans, declared once: the parser, the JSON Schema and plans/reference.yaml are its faces.

A plan that parses can be carried out: what cannot work is refused with file and line before anything starts.
"""

import re
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import yaml

from tranche.freeze import WEEKDAYS, Freeze, Moment
from tranche.gate_kinds import GATES, NAME, WORDS
from tranche.plan import (
    COUNTED,
    GOOD_WHEN_HIGH,
    LATENCY_EDGES_MS,
    STAGING,
    TAIL_SHARE,
    UNITS,
    Answer,
    Bound,
    Health,
    Judging,
    Limit,
    Metric,
    Phase,
    Plan,
    duration,
)
from tranche.shape import (
    Choice,
    Duration,
    FileRefused,
    Key,
    Kind,
    ListOf,
    Percent,
    Place,
    Record,
    UnknownWord,
    Unreadable,
    Whole,
    WithoutUnit,
    WrongValue,
    nearest,
    place_of,
    read,
    scalar,
)


class NoPhases(FileRefused):
    """A plan without phases."""

    code = "no-phases"


class FallingWeights(FileRefused):
    """A phase that gives green no more than the one before."""

    code = "falling-weights"


class NotToTheEnd(FileRefused):
    """The last phase does not give green everything."""

    code = "not-to-the-end"


class RepeatedName(FileRefused):
    """Two things of one name."""

    code = "repeated-name"


class UnknownMetric(FileRefused):
    """A metric nobody measures."""

    code = "unknown-metric"


class Unjudgeable(FileRefused):
    """A bound that could never be judged, or would always be met."""

    code = "unjudgeable"


BOUND: Final = re.compile(r"([a-z_0-9]+)\s*([<>])\s*(\d+(?:\.\d+)?)\s*(%|ms|s)?")


@dataclass(frozen=True, slots=True)
class BoundKind:
    """A bound as a plan writes it. `bad` says which side is meant: what must be, or what must not be."""

    bad: bool

    def read(self, node: yaml.Node, file: str) -> Bound:
        example = "errors > 1 %" if self.bad else "errors < 0.5 %"
        text = scalar(node, file, f"a bound such as '{example}'")
        place = place_of(node, file)
        parts = BOUND.fullmatch(text)
        if parts is None:
            raise Unjudgeable(place, f"expected a bound such as '{example}', found '{text}'")
        name, relation, number, unit = parts[1], parts[2], float(parts[3]), parts[4] or ""
        if name not in {metric.value for metric in Metric}:
            raise UnknownMetric(place, f"unknown metric '{name}'; {nearest(name, tuple(Metric))}")
        metric = Metric(name)
        if unit != UNITS[metric]:
            right = f"'{UNITS[metric]}'" if UNITS[metric] else "no unit"
            raise Unjudgeable(place, f"'{name}' is measured in {right}, found '{text}'")
        if (relation == "<") == (self.bad != (metric in GOOD_WHEN_HIGH)):
            verb = "must not be" if self.bad else "must be"
            turned = text.translate(str.maketrans("<>", "><"))
            raise Unjudgeable(place, f"'{text}' says what {verb}; write '{turned}'")
        if metric in TAIL_SHARE and number not in LATENCY_EDGES_MS:
            edges = ", ".join(str(edge) for edge in LATENCY_EDGES_MS)
            raise Unjudgeable(place, f"a latency can be judged at {edges} ms, found '{text}'; choose one")
        if unit == "%" and not 0 < number < 100:
            raise Unjudgeable(place, f"expected a share between 0 and 100 %, found '{text}'")
        if self.bad and metric not in COUNTED:
            told = f"a limit can be set on {', '.join(sorted(COUNTED))}, found '{name}'"
            raise Unjudgeable(place, f"{told}; restarts and health have their own section, 'health'")
        return Bound(metric=metric, relation="<" if relation == "<" else ">", value=number)

    def schema(self) -> dict[str, object]:
        relation = ">" if self.bad else "[<>]"
        metrics = "|".join(sorted(COUNTED) if self.bad else Metric)
        return {"type": "string", "pattern": rf"^({metrics})\s*{relation}\s*\d+(\.\d+)?\s*(%|ms)?$"}


MOMENT: Final = r"(\d{4}-\d\d-\d\d|" + "|".join(WEEKDAYS) + r")?\s*((?:[01]\d|2[0-3]):[0-5]\d)?"


@dataclass(frozen=True, slots=True)
class MomentKind:
    """When a freeze begins or ends: a date, a day of the week or neither, and a time; without one, midnight."""

    def read(self, node: yaml.Node, file: str) -> Moment:
        expected = "a moment such as '2026-12-23 18:00', 'fri 18:00' or '18:00'"
        text, place = scalar(node, file, expected), place_of(node, file)
        parts = re.fullmatch(MOMENT, text)
        if parts is None:
            raise WrongValue(place, f"expected {expected}, found '{text}'")
        day, clock = parts[1] or "", parts[2] or "00:00"
        minute = 60 * int(clock[:2]) + int(clock[3:])
        if day in WEEKDAYS:
            return Moment(minute=minute, weekday=WEEKDAYS.index(day))
        try:
            return Moment(minute=minute, date=date.fromisoformat(day).isoformat() if day else None)
        except ValueError:
            raise WrongValue(place, f"there is no day '{day}'; expected {expected}") from None

    def schema(self) -> dict[str, object]:
        return {"type": "string", "pattern": f"^(?=.){MOMENT}$"}


@dataclass(frozen=True, slots=True)
class ZoneKind:
    """A place whose clocks are meant, by its name in the IANA's database."""

    def read(self, node: yaml.Node, file: str) -> str:
        text = scalar(node, file, "a time zone such as Europe/Berlin")
        try:
            ZoneInfo(text)
        except (KeyError, ValueError, OSError):
            told = f"unknown time zone '{text}'; write one such as Europe/Berlin, or UTC"
            raise UnknownWord(place_of(node, file), told) from None
        return text

    def schema(self) -> dict[str, object]:
        return {"type": "string", "pattern": r"^[A-Za-z][A-Za-z0-9_+/-]*$"}


REQUESTS: Final = r"[1-9]\d{0,11} requests"


@dataclass(frozen=True, slots=True)
class Requests:
    """A number of requests, with its unit."""

    def read(self, node: yaml.Node, file: str) -> int:
        text = scalar(node, file, "a number such as '200 requests'")
        if not re.fullmatch(REQUESTS, text):
            refusal = WithoutUnit if text.isdecimal() else WrongValue
            raise refusal(place_of(node, file), f"expected a number such as '200 requests', found '{text}'")
        return int(text.removesuffix(" requests"))

    def schema(self) -> dict[str, object]:
        return {"type": "string", "pattern": f"^{REQUESTS}$"}


def _freeze(*, place: Place, zone: str, about: str, **values: Moment) -> Freeze:
    begins, ends = values["from"], values["until"]
    if begins.recurs != ends.recurs:
        told = f"a freeze from '{begins}' until '{ends}' recurs in two ways"
        raise WrongValue(place, f"{told}; give both a date, both a day of the week, or both a time only")
    if begins == ends or (begins.date and (begins.date, begins.minute) > (ends.date or "", ends.minute)):
        told = f"a freeze from '{begins}' until '{ends}' has no length"
        raise WrongValue(place, f"{told}; let it end after it begins")
    return Freeze(begins=begins, ends=ends, zone=zone, about=about, line=place.line)


def _limit(*, place: Place, **values: object) -> Limit:
    return Limit(
        bound=values["limit"],  # type: ignore[arg-type]  # read by kind
        sustained_s=values["sustained"],  # type: ignore[arg-type]  # read by kind
        minimum_requests=values["minimum_requests"],  # type: ignore[arg-type]  # read by kind
        answer=Answer(str(values["answer"])),
        line=place.line,
    )


def _health(*, place: Place, **values: object) -> Health:  # noqa: ARG001 - every record is given its place
    return Health(
        ready_within_s=values["ready_within"],  # type: ignore[arg-type]  # read by kind
        unhealthy_for_s=values["unhealthy_for"],  # type: ignore[arg-type]  # read by kind
        restarts=values["restarts"],  # type: ignore[arg-type]  # read by kind
    )


def _judging(*, place: Place, **values: float) -> Judging:
    for name, percent in values.items():
        if percent == 0 and name.startswith("false"):
            raise Unjudgeable(place, f"'{name}' of 0 % would need endless evidence; write at least 0.01 %")
    return Judging(
        false_rollback=values["false_rollback"] / 100,
        false_safety=values["false_safety"] / 100,
        tolerated_errors=1 + values["tolerated_errors"] / 100,
        tolerated_slow=1 + values["tolerated_slow"] / 100,
    )


def _phase(*, place: Place, **values: object) -> Phase:
    return Phase(
        weight_percent=values.pop("weight"),  # type: ignore[arg-type]  # read by kind
        dwell_s=values.pop("dwell"),  # type: ignore[arg-type]  # read by kind
        internal_users_first_s=values.pop("internal_users_first"),  # type: ignore[arg-type]  # read by kind
        at_most_s=values.pop("at_most"),  # type: ignore[arg-type]  # read by kind
        line=place.line,
        **values,  # type: ignore[arg-type]  # read by kind
    )


def _staging(
    *, place: Place, dwell: float, at_most: float | None = None, mirror: float = 0.0, **values: Any
) -> Phase:
    return Phase(
        name=STAGING,
        weight_percent=0.0,
        dwell_s=dwell,
        at_most_s=at_most,
        minimum_requests=0,
        mirror_percent=mirror,
        line=place.line,
        **values,
    )


def _plan(*, place: Place, staging: Phase | None, **values: object) -> Plan:
    phases: tuple[Phase, ...] = values.pop("phases")  # type: ignore[assignment]  # read by kind
    plan = Plan(
        tick_s=values.pop("tick"),  # type: ignore[arg-type]  # read by kind
        stale_after_s=values.pop("stale_after"),  # type: ignore[arg-type]  # read by kind
        share_tolerance_percent=values.pop("share_tolerance"),  # type: ignore[arg-type]  # read by kind
        warm_up_s=values.pop("warm_up"),  # type: ignore[arg-type]  # read by kind
        freezes=values.pop("freeze"),  # type: ignore[arg-type]  # read by kind
        phases=(staging or _staging(place=place, gates=(), about="", dwell=0.0), *phases),
        **values,  # type: ignore[arg-type]  # read by kind
    )
    _check_phases(plan, place)
    _check_times(plan, place)
    for phase in plan.phases:
        _check_gates(phase, place)
    return plan


LIMIT_KEYS: Final = {
    "limit": Key(BoundKind(bad=True), "what must not be, such as 'errors > 1 %'"),
    "sustained": Key(Duration(), "for how long it must be so before it is answered"),
    "minimum_requests": Key(Whole(least=1), "with fewer requests in that time it is not judged", 100),
    "answer": Key(Choice(tuple(Answer)), "what happens then", "roll_back"),
}
HEALTH_KEYS: Final = {
    "ready_within": Key(Duration(least_s=1), "how long green may take to become ready", 120.0),
    "unhealthy_for": Key(Duration(), "roll back after so long without a healthy green host", 30.0),
    "restarts": Key(Whole(), "roll back when green restarted more often than this", 3),
}
JUDGE_KEYS: Final = {
    "false_rollback": Key(Percent(), "how probable it may be that a good version is taken back, ever", 1.0),
    "false_safety": Key(Percent(), "how probable, per phase and question, that safe is said wrongly", 5.0),
    "tolerated_errors": Key(Percent(), "how many more errors than blue are tolerated", 20.0),
    "tolerated_slow": Key(Percent(), "how many more slow requests than blue are tolerated", 15.0),
}
FREEZE_KEYS: Final = {
    "from": Key(MomentKind(), "when it begins: '2026-12-23 18:00', 'fri 18:00' or '18:00'"),
    "until": Key(MomentKind(), "when it ends, written alike"),
    "zone": Key(ZoneKind(), "whose clocks are meant", "UTC"),
    "about": Key(WORDS, "why", ""),
}
OVERDUE_KEYS: Final = {
    "at_most": Key(Duration(least_s=1), "how long it may last before it is overdue", None),
    "overdue": Key(
        Choice(("hold", "roll_back")), "what that leads to: calling somebody, or going back", "hold"
    ),
}
STAGING_KEYS: Final = {
    "about": Key(WORDS, "what it is for", ""),
    **OVERDUE_KEYS,
    "dwell": Key(Duration(), "how long it lasts at least, while blue is measured against itself", 0.0),
    "mirror": Key(
        Percent(), "of how many of blue's reads green is sent a copy, which nobody gets answered", 0.0
    ),
    "gates": Key(GATES, "what green must pass before it has users", ()),
}
PHASE_KEYS: Final = {
    "name": Key(NAME, "what the phase is called"),
    "about": Key(WORDS, "what changes with it", ""),
    "weight": Key(Percent(), "the share of users on green"),
    "internal_users_first": Key(Duration(), "how long only internal users are on green before", 0.0),
    "dwell": Key(Duration(), "how long the phase must last at least"),
    "minimum_requests": Key(Whole(), "requests on green before a requirement is judged", 100),
    "requirements": Key(ListOf(BoundKind(bad=False)), "what must be so before the phase may end", ()),
    "gates": Key(GATES, "what must pass before the phase may end", ()),
    **OVERDUE_KEYS,
    "point_of_no_return": Key(WORDS, "why going back is no remedy once this phase has begun", ""),
}
PLAN_KEYS: Final = {
    "name": Key(NAME, "what rollouts by this plan are called"),
    "about": Key(WORDS, "what it is for", ""),
    "tick": Key(Duration(least_s=0.05), "how often to look and decide", 5.0),
    "stale_after": Key(Duration(), "older readings cannot tell anything", 30.0),
    "share_tolerance": Key(Percent(), "how far the observed share may be from the set one", None),
    "step_backs": Key(Whole(most=100), "how often a step back may happen before it is a rollback", 2),
    "retire_blue": Key(
        Choice(("never", "after")), "stop the old version once the rollout is complete", "never"
    ),
    "warm_up": Key(Duration(), "how long after its first users green is not judged against blue", 60.0),
    "judge": Key(
        Record(_judging, JUDGE_KEYS), "how sure the judge must be, and what it tolerates", Judging()
    ),
    "health": Key(Record(_health, HEALTH_KEYS), "when green counts as dying", Health()),
    "notify": Key(ListOf(NAME), "the routes of the site that are told the news; else all of them", ()),
    "limits": Key(ListOf(Record(_limit, LIMIT_KEYS)), "lines that must not be crossed, in any phase", ()),
    "harm_budget": Key(Requests(), "roll back when green has failed so many more than blue would have", None),
    "freeze": Key(ListOf(Record(_freeze, FREEZE_KEYS)), "times in which nothing goes forward", ()),
    "staging": Key(Record(_staging, STAGING_KEYS), "phase 0: green runs and has no users", None),
    "phases": Key(
        ListOf(
            Record(_phase, PHASE_KEYS),
            empty="the list of phases is empty; add at least one, ending at 100 %",
            refusal=NoPhases,
        ),
        "the phases, in order",
    ),
}
LANGUAGE: Final[Kind[Plan]] = Record(_plan, PLAN_KEYS, "A plan of Tranche: how a version comes to its users.")


def _check_phases(plan: Plan, place: Place) -> None:
    file = place.file
    names = {STAGING}
    for before, phase in zip(plan.phases, plan.phases[1:], strict=False):
        at = Place(file=file, line=phase.line)
        if phase.name in names:
            raise RepeatedName(at, f"a second phase is called '{phase.name}'; rename one")
        names.add(phase.name)
        if phase.weight_percent <= before.weight_percent:
            given = f"phase '{phase.name}' gives {phase.weight_percent:g} %"
            earlier = f"after '{before.name}' gave {before.weight_percent:g} %"
            raise FallingWeights(at, f"{given} {earlier}; weights must rise - reorder the phases")
        if phase.internal_users_first_s and phase is not plan.phases[1]:
            told = f"phase '{phase.name}' sends internal users first, but they are on green since phase 1"
            raise Unjudgeable(at, f"{told}; drop 'internal_users_first'")
        if phase.point_of_no_return and phase is not plan.phases[plan.point_of_no_return or 0]:
            told = f"phase '{phase.name}' declares a second point of no return; only the first can be one"
            raise Unjudgeable(at, f"{told} - drop it")
    last = plan.phases[-1]
    if last.weight_percent != 100:
        told = f"the last phase '{last.name}' gives {last.weight_percent:g} %; end with a phase at 100 %"
        raise NotToTheEnd(Place(file=file, line=last.line), told)


def _check_times(plan: Plan, place: Place) -> None:
    for phase in plan.phases:
        least_s = max(phase.dwell_s, phase.internal_users_first_s)
        if phase.at_most_s is not None and phase.at_most_s <= least_s:
            told = f"phase '{phase.name}' lasts at least {duration(least_s)}"
            told += f" and at most {duration(phase.at_most_s)}, so it is always overdue"
            raise Unjudgeable(Place(file=place.file, line=phase.line), f"{told}; give it longer")
    if plan.stale_after_s < 2 * plan.tick_s:
        told = (
            f"readings are stale after {duration(plan.stale_after_s)} with a tick of {duration(plan.tick_s)}"
        )
        raise Unjudgeable(place, f"{told}; let 'stale_after' be at least two ticks")
    for limit in plan.limits:
        if limit.sustained_s < 2 * plan.tick_s:
            told = f"the limit '{limit}' is shorter than two ticks of {duration(plan.tick_s)}"
            raise Unjudgeable(place, f"{told}; make it longer, or the tick shorter")


def _check_gates(phase: Phase, place: Place) -> None:
    names: set[str] = set()
    for gate in phase.gates:
        if gate.name in names:
            told = f"two gates of phase '{phase.name}' are called '{gate.name}'; rename one"
            raise RepeatedName(Place(file=place.file, line=gate.line), told)
        names.add(gate.name)


@lru_cache(maxsize=64)
def parse(text: str, *, file: str) -> Plan:
    """The plan of this text. Read once: the desk and the evidence ask for the same plan again and again.

    Raises:
        FileRefused: with file, line, what was found and what to do.
    """
    return read(LANGUAGE, text, file)


def load(path: Path) -> tuple[Plan, str]:
    """The plan of this file, and its text.

    Raises:
        FileRefused: as `parse`, and when there is no such file.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        told = f"the plan cannot be read ({error}); give the path of a plan"
        raise Unreadable(Place(file=str(path), line=1), told) from error
    return parse(text, file=str(path)), text


def json_schema() -> dict[str, object]:
    """The language as JSON Schema, for editors."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Tranche plan",
    } | LANGUAGE.schema()
