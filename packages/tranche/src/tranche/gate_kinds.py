"""Every kind of gate a plan may name, and what each may be told. A part of the language; see `language.py`."""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import yaml

from tranche import promql
from tranche.plan import OWN_VARIABLES, PlannedGate, duration
from tranche.scan import RATINGS
from tranche.shape import (
    ANYTHING,
    Choice,
    Duration,
    FileRefused,
    Free,
    Key,
    Kind,
    ListOf,
    MapOf,
    Percent,
    Place,
    Rate,
    Record,
    Tagged,
    Text,
    Whole,
    WrongValue,
    place_of,
    scalar,
)

Settings = Mapping[str, object]
Check = Callable[[Settings, Place], None]


class NotPromql(FileRefused):
    """A query that does not parse, or could never be judged."""

    code = "not-promql"


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """A side and a number that a gate's finding is held against, such as `< 100`."""

    relation: Literal["<", "<=", ">", ">="]
    value: float

    def __str__(self) -> str:
        return f"{self.relation} {self.value:g}"

    def is_met_by(self, found: float) -> bool:
        """Whether `found` is on the right side; NaN is on none."""
        match self.relation:
            case "<":
                return found < self.value
            case "<=":
                return found <= self.value
            case ">":
                return found > self.value
            case ">=":
                return found >= self.value

    def worst(self, found: list[float]) -> float:
        """The one of these that is nearest to breaking it, or breaks it most."""
        return max(found) if self.relation.startswith("<") else min(found)


@dataclass(frozen=True, slots=True)
class ThresholdKind:
    """A threshold as a plan writes it."""

    PATTERN = r"(<|<=|>|>=)\s*(-?\d+(?:\.\d+)?)"

    def read(self, node: yaml.Node, file: str) -> Threshold:
        text = scalar(node, file, "a bound such as '< 100'")
        parts = re.fullmatch(self.PATTERN, text)
        if parts is None:
            raise WrongValue(place_of(node, file), f"expected a bound such as '< 100', found '{text}'")
        return Threshold(relation=parts[1], value=float(parts[2]))  # type: ignore[arg-type]  # one of the four

    def schema(self) -> dict[str, object]:
        return {"type": "string", "pattern": f"^{self.PATTERN}$"}


PATH: Final = Text(expected="a path such as /health/ready", pattern=r"/\S*")
NAME: Final = Text(expected="a name of small letters, digits and dashes", pattern=r"[a-z0-9][a-z0-9-]{0,62}")
WORDS: Final = Text(expected="a text", pattern=ANYTHING)

GATE_KEYS: Final = {
    "name": Key(NAME, "what the gate is called in the record"),
    "timeout": Key(Duration(least_s=0.1), "how long one run may take", 600.0),
    "retry": Key(Duration(least_s=0.1), "when to run it again while it has not passed", 300.0),
    "at": Key(Choice(("start", "end")), "run when the phase begins, or once its dwell is over", "start"),
    "on_fail": Key(Choice(("hold", "roll_back")), "what a failure leads to", "hold"),
}

COMMAND: Final = {
    "command": Key(ListOf(WORDS, empty="the command is empty; name a program"), "its words"),
    "environment": Key(MapOf(WORDS), "its settings, besides those of the site", {}),
}


def request_keys(value: Kind[Any]) -> dict[str, Key]:
    """A request of a load test or a smoke test. `value` is what a header or a body may be: in a plan, a text."""
    methods = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
    return {
        "path": Key(PATH, "where, at green's address"),
        "method": Key(Choice(methods), "how", "GET"),
        "headers": Key(MapOf(value), "what is sent with it", {}),
        "body": Key(value, "what is sent", ""),
        "status": Key(Whole(least=100, most=599), "the status it must answer; another is an error", 200),
        "contains": Key(WORDS, "a text that must be in the answer", ""),
        "share": Key(Whole(least=1, most=1000), "how often a load test sends it, beside the others", 1),
        "absent": Key(WORDS, "a text that must not be in the answer; a smoke test looks", ""),
        "within": Key(Duration(least_s=0.001), "how long a smoke test lets it take", 10.0),
    }


def request(*, place: Place, **values: object) -> dict[str, object]:  # noqa: ARG001 - every record is given its place
    return values


REQUESTS: Final = {
    "target": Key(NAME, "requests that the site describes, by name", ""),
    "requests": Key(ListOf(Record(request, request_keys(WORDS))), "the requests, in turn", ()),
}
LOAD: Final = {
    **REQUESTS,
    "rate": Key(Rate(), "how many requests begin, such as 40/s", None),
    "users": Key(Whole(least=1, most=100_000), "instead of a rate: so many users", None),
    "every": Key(Duration(least_s=0.001), "how often each of them begins a request", 1.0),
    "duration": Key(Duration(least_s=0.1), "how long requests begin"),
    "request_timeout": Key(Duration(least_s=0.001), "longer is an error", 10.0),
    "latency_p95": Key(Duration(least_s=0.001), "95 % of the requests must take less", None),
    "latency_p99": Key(Duration(least_s=0.001), "99 % of the requests must take less", None),
    "errors": Key(Percent(), "at most so many may fail", None),
}
LEAST_FOR: Final = {"latency_p95": 20, "latency_p99": 100}
"""Requests without which there is no such percentile: one in twenty, one in a hundred."""

MOST_DUE: Final = 5_000_000
"""Requests of one load test: every one's latency is kept until the end, some hundred bytes each."""


def _check_requests(settings: Settings, place: Place) -> None:
    if bool(settings["target"]) == bool(settings["requests"]):
        raise WrongValue(place, "name a 'target' of the site, or the 'requests' themselves; one of them")


def _check_load(settings: Settings, place: Place) -> None:
    values: Mapping[str, Any] = settings
    _check_requests(settings, place)
    if (values["rate"] is None) == (values["users"] is None):
        raise WrongValue(place, "say how much: a 'rate' such as 40/s, or so many 'users'; one of them")
    rate = values["rate"] or values["users"] / values["every"]
    due = round(rate * values["duration"])
    least = [least for key, least in LEAST_FOR.items() if values[key] is not None]
    least += [math.ceil(100 / values["errors"])] if values["errors"] else []
    if not least and values["errors"] is None:
        raise WrongValue(place, "nothing is asked of it; add 'latency_p95', 'latency_p99' or 'errors'")
    if due > MOST_DUE:
        told = f"{due} requests are more than one test can remember"
        raise WrongValue(place, f"{told}; make at most {MOST_DUE}, by a lower rate or a shorter duration")
    if due < max(least, default=1):
        told = f"{due} requests cannot show that; make at least {max(least, default=1)}"
        raise WrongValue(place, f"{told}, by a higher rate or a longer duration")
    needed_s = values["duration"] + values["request_timeout"]
    if values["timeout"] <= needed_s:
        told = f"the test takes up to {duration(needed_s)}, and its timeout is {duration(values['timeout'])}"
        raise WrongValue(place, f"{told}; give it more")


def _check_incidents(settings: Settings, place: Place) -> None:
    if bool(settings["to"]) == bool(settings["query"]):
        raise WrongValue(place, "name who is asked: a webhook ('to'), or a PromQL 'query'; one of them")
    if settings["query"]:
        _check_query(settings, place)


def _check_query(settings: Settings, place: Place) -> None:
    fresh = settings["fresh"]
    asked = [settings["query"], *(fresh if isinstance(fresh, tuple) else ())]
    for query in asked:
        try:
            promql.check(str(query))
        except promql.NoPromql as error:
            raise NotPromql(place, str(error)) from None


def _check_approval(settings: Settings, place: Place) -> None:
    people, approvers = settings["people"], settings["approvers"]
    named = set(approvers) if isinstance(approvers, tuple) else set()
    if named and isinstance(people, int) and people > len(named):
        told = f"{people} people must say yes, and {len(named)} may"
        raise WrongValue(place, f"{told}; name more under 'approvers', or ask fewer")


@dataclass(frozen=True, slots=True, kw_only=True)
class GateKind:
    """What a kind is about, its own keys, and what must be true of them together.

    `fixed` is what every gate of the kind is told besides, such as what it is asked about.
    """

    about: str
    keys: Mapping[str, Key] = field(default_factory=dict)
    fixed: Settings = field(default_factory=dict)
    check: Check = lambda settings, place: None  # noqa: ARG005 - most kinds have nothing to add


SUBJECT: Final = {"subject": {name: f"{{{name}}}" for name in OWN_VARIABLES}}
"""What another system is told that it is asked about."""


def strings_of(settings: object) -> Iterator[str]:
    """Every text in these settings, however deep: where variables may stand."""
    match settings:
        case str():
            yield settings
        case Mapping():
            for item in settings.values():
                yield from strings_of(item)
        case list() | tuple():
            for item in settings:
                yield from strings_of(item)


FRESH: Final = {
    "stale_after": Key(Duration(least_s=1), "older samples cannot tell anything", 60.0),
    "fresh": Key(ListOf(WORDS), "selectors that must have fresh samples; else all the query reads", ()),
}
GATE_KINDS: Final[Mapping[str, GateKind]] = {
    "command": GateKind(
        about="a program: exit 0 passes, 1 fails, 75 is not yet, anything else cannot tell", keys=COMMAND
    ),
    "http": GateKind(
        about="an address that must answer so, every time",
        keys={
            "url": Key(WORDS, "the address"),
            "status": Key(Whole(least=100, most=599), "the status it must answer", 200),
            "contains": Key(WORDS, "a text that must be in the answer", ""),
            "times": Key(Whole(least=1, most=1000), "how many times in a row", 3),
        },
    ),
    "load_test": GateKind(
        about="load on green's own address, with every latency counted from when the request was due",
        keys=LOAD,
        check=_check_load,
    ),
    "smoke": GateKind(
        about="requests to green's own address, one after the other, each with what it must answer",
        keys=REQUESTS,
        check=_check_requests,
    ),
    "security_scan": GateKind(
        about="a security scanner of the site, whose report is counted by severity",
        keys={
            "scanner": Key(NAME, "the scanner of the site that is run"),
            **{
                rating: Key(
                    Whole(most=1_000_000), f"at most so many {rating} findings; else any number", None
                )
                for rating in RATINGS[1:-1]
            },
            "critical": Key(Whole(most=1_000_000), "at most so many critical findings", 0),
            "unrated": Key(Whole(most=1_000_000), "at most so many findings without a severity", 0),
            "skipped": Key(Whole(most=1_000_000), "at most so many packages that were not looked at", 0),
            "stale_after": Key(Duration(least_s=1), "an older report cannot tell anything", 86_400.0),
        },
        fixed=SUBJECT,
    ),
    "incidents": GateKind(
        about="how many incidents are open, asked of another system or of Prometheus",
        keys={
            "to": Key(NAME, "the webhook of the site that is asked", ""),
            "query": Key(WORDS, "instead, a PromQL that counts them", ""),
            "open": Key(Whole(most=1_000_000), "at most so many may be open", 0),
            **FRESH,
        },
        fixed=SUBJECT,
        check=_check_incidents,
    ),
    "proof": GateKind(
        about="a test program of the site, run against green's own address, which answers property by property",
        keys={
            "program": Key(NAME, "the proof of the site that is run"),
            "of": Key(
                ListOf(WORDS, empty="a proof of what? Name its properties"), "what it must have proven"
            ),
        },
        fixed=SUBJECT,
    ),
    "drill": GateKind(
        about="whether the way back was rehearsed with this version on another site",
        keys={
            "site": Key(NAME, "where it is rehearsed: a name of the site's own rehearsals"),
            "by": Key(Choice(("anybody", "person", "engine")), "who took the users back", "anybody"),
            "within": Key(Duration(least_s=0.1), "how soon all users had to be back", 300.0),
            "stale_after": Key(Duration(least_s=1), "an older rehearsal cannot tell anything", 30 * 86_400.0),
        },
        fixed=SUBJECT,
    ),
    "approval": GateKind(
        about="people's yes to what the phase has shown; never of the one who started the rollout",
        keys={
            "people": Key(Whole(least=1, most=20), "how many people must say yes", 1),
            "approvers": Key(ListOf(Text(expected="a name")), "who may; else anybody else", ()),
            "expires": Key(Duration(least_s=60), "how long a yes counts", 86_400.0),
        },
        check=_check_approval,
    ),
    "query": GateKind(
        about="a PromQL query, asked once of the site's Prometheus; every value it answers must be in bound",
        keys={
            "query": Key(WORDS, "the PromQL, without the comparison"),
            "bound": Key(ThresholdKind(), "what every value must be, such as '< 100'"),
            **FRESH,
        },
        check=_check_query,
    ),
    "webhook": GateKind(
        about="another system of the site, which answers a verdict",
        keys={
            "to": Key(NAME, "the webhook of the site that is asked"),
            "payload": Key(MapOf(Free()), "what it is told besides rollout, version, phase and gate", {}),
        },
        fixed=SUBJECT,
    ),
}


def _gate_case(kind: str) -> Record[PlannedGate]:
    declared = GATE_KINDS[kind]

    def build(*, place: Place, **values: object) -> PlannedGate:
        own = {key: values[key] for key in declared.keys}
        declared.check({**own, "timeout": values["timeout"]}, place)
        return PlannedGate(
            name=str(values["name"]),
            kind=kind,
            settings={**own, **declared.fixed},
            timeout_s=values["timeout"],  # type: ignore[arg-type]  # read by kind
            retry_s=values["retry"],  # type: ignore[arg-type]  # read by kind
            at=values["at"],  # type: ignore[arg-type]  # read by kind
            on_fail=values["on_fail"],  # type: ignore[arg-type]  # read by kind
            line=place.line,
        )

    keys = {"kind": Key(Choice((kind,)), declared.about)} | GATE_KEYS | dict(declared.keys)
    return Record(build, keys, declared.about)


GATES: Final = ListOf(Tagged("kind", "gate kind", {kind: _gate_case(kind) for kind in GATE_KINDS}))
