"""The plan language: what it means, and what it refuses, with file and line."""

import contextlib
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tranche import language
from tranche.gate_kinds import GATE_KINDS, NotPromql
from tranche.plan import Answer, Bound, Metric, duration
from tranche.shape import (
    DURATION,
    FileRefused,
    MissingKey,
    RepeatedKey,
    UnknownKey,
    UnknownWord,
    Unreadable,
    WithoutUnit,
    WrongValue,
)

PLANS = Path(__file__).resolve().parents[3] / "plans"

GOOD = """\
name: good
tick: 1s
stale_after: 5s
limits:
  - limit: errors > 1 %
    sustained: 5m
phases:
  - name: few
    weight: 10 %
    dwell: 48h
    gates:
      - name: smoke
        kind: http
        url: "{green_url}/ready"
  - name: all
    weight: 100 %
    dwell: 72h
    requirements: [latency_p95 < 300 ms]
"""

REFUSED = [
    ("dwell: 48h", "dwel: 48h", UnknownKey, 10, "did you mean 'dwell'?"),
    ("name: good", "name: good\nname: good", RepeatedKey, 2, "first in line 1"),
    ("dwell: 48h", "dwell: 48", WithoutUnit, 10, "write 48s, 48m or 48h"),
    ("dwell: 48h", "dwell: two days", WrongValue, 10, "a duration such as 48h"),
    ("dwell: 48h", "dwell: -1h", WrongValue, 10, "a duration such as 48h"),
    ("dwell: 48h", "dwell: 99999999h", WrongValue, 10, "under ten years"),
    ("weight: 10 %", "weight: 10", WithoutUnit, 9, "write 10 %"),
    ("weight: 10 %", "weight: 10.001 %", WrongValue, 9, "steps of 0.01 %"),
    ("weight: 10 %", "weight: 101 %", WrongValue, 9, "up to 100 %"),
    ("weight: 100 %", "weight: 10 %", language.FallingWeights, 15, "weights must rise - reorder the phases"),
    ("weight: 100 %", "weight: 5 %", language.FallingWeights, 15, "gives 5 % after 'few' gave 10 %"),
    ("weight: 100 %", "weight: 90 %", language.NotToTheEnd, 15, "end with a phase at 100 %"),
    ("name: all", "name: few", language.RepeatedName, 15, "rename one"),
    ("name: all", "name: staging", language.RepeatedName, 15, "rename one"),
    ("kind: http", "kind: htp", UnknownWord, 13, "unknown gate kind 'htp'; did you mean 'http'?"),
    ("        kind: http\n", "", MissingKey, 12, "'kind' is missing"),
    ('        url: "{green_url}/ready"\n', "", MissingKey, 12, "'url' is missing (the address); add it"),
    ("url:", "link:", UnknownKey, 14, "unknown key 'link'"),
    ("errors > 1 %", "errors < 1 %", language.Unjudgeable, 5, "write 'errors > 1 %'"),
    ("errors > 1 %", "errors > 1", language.Unjudgeable, 5, "measured in '%'"),
    ("errors > 1 %", "faults > 1 %", language.UnknownMetric, 5, "unknown metric 'faults'"),
    ("errors > 1 %", "uptime < 99 %", language.Unjudgeable, 5, "their own section, 'health'"),
    ("latency_p95 < 300 ms", "latency_p95 < 250 ms", language.Unjudgeable, 18, "100, 300, 500 ms"),
    (
        "latency_p95 < 300 ms",
        "latency_p95 > 300 ms",
        language.Unjudgeable,
        18,
        "write 'latency_p95 < 300 ms'",
    ),
    ("latency_p95 < 300 ms", "cache_hits < 70 %", language.Unjudgeable, 18, "write 'cache_hits > 70 %'"),
    ("sustained: 5m", "sustained: 1s", language.Unjudgeable, 1, "shorter than two ticks"),
    ("stale_after: 5s", "stale_after: 1s", language.Unjudgeable, 1, "at least two ticks"),
    ("sustained: 5m", "sustained: 5m\n    answer: panic", UnknownWord, 7, "use one of"),
    ("sustained: 5m", "sustained: 5m\n    minimum_requests: 0", WrongValue, 7, "at least 1"),
    ("sustained: 5m", "sustained: 5m\n    minimum_requests: many", WrongValue, 7, "a whole number"),
    ("dwell: 72h", "dwell: 72h\n    internal_users_first: 1h", language.Unjudgeable, 15, "drop"),
    (
        "dwell: 48h",
        "dwell: 48h\n    at_most: 48h",
        language.Unjudgeable,
        8,
        "at most 48h, so it is always overdue",
    ),
    ("dwell: 48h", "dwell: 48h\n    at_most: 3d\n    overdue: panic", UnknownWord, 12, "use one of"),
    ("name: good", "name: good\nharm_budget: 200", WithoutUnit, 2, "such as '200 requests'"),
    ("name: good", "name: good\nharm_budget: 0 requests", WrongValue, 2, "such as '200 requests'"),
    ("name: good", "name: Good One", WrongValue, 1, "small letters"),
    ("name: good", "name: [good]", WrongValue, 1, "found a list"),
    ("name: good", "name:", WrongValue, 1, "found nothing"),
    ("name: good\n", "", MissingKey, 1, "'name' is missing"),
    ("name: good", "name: 'good", Unreadable, 1, "this is not YAML"),
    ("tick: 1s", "\ttick: 1s", Unreadable, 2, "this is not YAML"),
]


HTTP_GATE = """\
        kind: http
        url: "{green_url}/ready"
"""
QUERY_GATE = """\
        kind: query
        query: max(lag{version="{version}"})
        bound: "< 100"
"""
WITH_QUERY = GOOD.replace(HTTP_GATE, QUERY_GATE)
REFUSED_QUERIES = [
    ("max(lag", "max((lag", NotPromql, 12, "is no PromQL: unclosed"),
    ('max(lag{version="{version}"})', "lag > 3", NotPromql, 12, "write that under 'bound'"),
    ('"< 100"', '"100"', WrongValue, 15, "a bound such as '< 100'"),
    ('"< 100"', '"= 100"', WrongValue, 15, "a bound such as '< 100'"),
    ('"< 100"', '"< 100"\n        fresh: [up, "up{"]', NotPromql, 12, "'up{' is no PromQL"),
    ('"< 100"', '"< 100"\n        stale_after: 0s', WrongValue, 16, "at least 1s"),
    ('        bound: "< 100"\n', "", MissingKey, 12, "'bound' is missing"),
]


@pytest.mark.parametrize(("found", "instead", "refusal", "line", "told"), REFUSED_QUERIES)
def test_a_query_that_cannot_be_judged_is_refused(
    found: str, instead: str, refusal: type[FileRefused], line: int, told: str
) -> None:
    assert found in WITH_QUERY
    language.parse(WITH_QUERY, file="p.yaml")

    with pytest.raises(refusal) as refused:
        language.parse(WITH_QUERY.replace(found, instead, 1), file="p.yaml")

    assert str(refused.value).startswith(f"p.yaml:{line}: ")
    assert told in str(refused.value)


@pytest.mark.parametrize(("found", "instead", "refusal", "line", "told"), REFUSED)
def test_what_cannot_work_is_refused_with_file_and_line(
    found: str, instead: str, refusal: type[FileRefused], line: int, told: str
) -> None:
    assert found in GOOD

    with pytest.raises(refusal) as refused:
        language.parse(GOOD.replace(found, instead, 1), file="p.yaml")

    assert str(refused.value).startswith(f"p.yaml:{line}: ")
    assert told in str(refused.value)


def test_an_empty_list_of_phases_is_refused() -> None:
    text = GOOD[: GOOD.index("phases:")] + "phases: []\n"

    with pytest.raises(language.NoPhases, match=r"p.yaml:7: the list of phases is empty; add at least one"):
        language.parse(text, file="p.yaml")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing\n",
        "[]",
        "42",
        "name: &a [*a]",
        "? [a]\n: b\n",
        "{{}}",
        "\x00",
        "a: !!python/object:os.system {}",
    ],
)
def test_whatever_is_no_plan_is_refused_and_nothing_is_run(text: str) -> None:
    with pytest.raises(FileRefused, match=r"^p.yaml:1: "):
        language.parse(text, file="p.yaml")


@given(st.text(max_size=200))
def test_no_text_makes_the_parser_raise_anything_but_a_refusal(text: str) -> None:
    with contextlib.suppress(FileRefused):
        language.parse(GOOD.replace("10 %", text), file="p.yaml")
    with contextlib.suppress(FileRefused):
        language.parse(text, file="p.yaml")


@given(st.lists(st.integers(min_value=0, max_value=10_000), min_size=1, max_size=6))
def test_weights_that_fall_or_do_not_reach_everybody_never_parse(weights: list[int]) -> None:
    phases = "".join(
        f"  - {{name: p{number}, weight: {weight / 100} %, dwell: 1h}}\n"
        for number, weight in enumerate(weights)
    )
    text = GOOD[: GOOD.index("phases:")] + "phases:\n" + phases
    rises = all(before < after for before, after in zip([0, *weights], weights, strict=False))
    is_good = rises and weights[-1] == 10_000

    try:
        plan = language.parse(text, file="p.yaml")
    except FileRefused:
        assert not is_good
    else:
        assert is_good
        assert [phase.green_weight for phase in plan.phases[1:]] == weights


def test_there_is_one_point_of_no_return() -> None:
    text = GOOD.replace("dwell: 48h", "dwell: 48h\n    point_of_no_return: dropped")
    assert language.parse(text, file="p.yaml").point_of_no_return == 1
    assert language.parse(GOOD, file="p.yaml").point_of_no_return is None

    with pytest.raises(language.Unjudgeable, match=r"p.yaml:16: phase 'all' declares a second point"):
        language.parse(text.replace("dwell: 72h", "dwell: 72h\n    point_of_no_return: too"), file="p.yaml")


def test_a_plan_means_what_it_says() -> None:
    plan = language.parse(GOOD, file="p.yaml")

    assert [phase.name for phase in plan.phases] == ["staging", "few", "all"]
    assert plan.phases[1].dwell_s == 48 * 3600
    assert plan.phases[1].green_weight == 1000
    assert plan.limits[0].answer is Answer.ROLL_BACK
    assert plan.limits[0].sustained_s == 300
    assert plan.phases[2].requirements == (Bound(metric=Metric.LATENCY_P95, relation="<", value=300.0),)
    assert plan.phases[2].requirements[0].edge_ms == 300
    assert plan.phases[2].requirements[0].bad_share == 0.05
    assert str(plan.phases[2].requirements[0]) == "latency_p95 < 300 ms"


def test_the_digest_is_of_the_meaning_not_of_the_writing() -> None:
    plan = language.parse(GOOD, file="p.yaml")
    rewritten = language.parse(
        "# a comment\n\n" + GOOD.replace("48h", "2d").replace("10 %", "10.0%"), file="q.yaml"
    )
    changed = language.parse(GOOD.replace("48h", "47h"), file="p.yaml")

    assert rewritten.digest == plan.digest
    assert changed.digest != plan.digest
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", plan.digest)


@pytest.mark.parametrize("path", sorted(PLANS.glob("*.yaml")), ids=lambda path: path.name)
def test_every_plan_we_ship_can_be_carried_out(path: Path) -> None:
    plan, text = language.load(path)

    assert language.parse(text, file="again.yaml") == plan


def test_the_demo_names_only_gates_that_a_laptop_answers_and_has_the_phases_of_the_real_one() -> None:
    demo, _ = language.load(PLANS / "finance-demo.yaml")
    real, _ = language.load(PLANS / "finance.yaml")

    assert {gate.kind for phase in demo.phases for gate in phase.gates} == {"http", "proof"}
    assert {"proof", "drill"} <= {gate.kind for phase in real.phases for gate in phase.gates}
    assert [(p.name, p.weight_percent) for p in demo.phases] == [
        (p.name, p.weight_percent) for p in real.phases
    ]
    assert [phase.weight_percent for phase in real.phases] == [0, 10, 30, 60, 100]
    assert [phase.dwell_s / 3600 for phase in real.phases] == [2, 48, 48, 48, 72]


def declared_keys(schema: object) -> set[str]:
    match schema:
        case dict():
            own = set(schema.get("properties", {}))
            return own.union(*(declared_keys(value) for value in schema.values()))
        case list():
            return set().union(*(declared_keys(value) for value in schema))
        case _:
            return set()


def test_the_reference_shows_every_key_and_every_gate_kind() -> None:
    text = (PLANS / "reference.yaml").read_text()
    keys = declared_keys(language.json_schema())

    assert {"phases", "sustained", "internal_users_first", "on_fail", "contains"} <= keys
    for key in keys:
        assert re.search(rf"\b{key}:", text), f"plans/reference.yaml does not show '{key}'"
    for kind in GATE_KINDS:
        assert f"kind: {kind}" in text


def test_the_schema_is_json_and_knows_what_the_parser_knows() -> None:
    schema = json.loads(json.dumps(language.json_schema()))

    assert schema["required"] == ["name", "phases"]
    assert schema["additionalProperties"] is False
    kinds = schema["properties"]["staging"]["properties"]["gates"]["items"]["oneOf"]
    assert [kind["properties"]["kind"]["enum"] for kind in kinds] == [[kind] for kind in GATE_KINDS]


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="give the path of a plan"):
        language.load(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.25, "250ms"),
        (40, "40s"),
        (90, "1m 30s"),
        (300, "5m"),
        (172800, "48h"),
        (0, "0ms"),
        (3661.5, "1h 1m 1.5s"),
    ],
)
def test_a_duration_is_said_as_a_plan_would_write_it(seconds: float, text: str) -> None:
    assert duration(seconds) == text
    assert all(re.fullmatch(DURATION, part) for part in text.split())
