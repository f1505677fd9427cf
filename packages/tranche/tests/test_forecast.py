"""What is told of a plan before anybody meets it: counted, told in words, and refused where a phase sees too little."""

from __future__ import annotations

import io
import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from tranche import language
from tranche.cli import run
from tranche.forecast import Question, endings, forecast, span
from tranche.forecast_page import document, page
from tranche.plan import Metric
from tranche.service import Defect, Incident, IncidentRefused, Service, parse_defect, parse_incident
from tranche.sight import promised, promises, share_of, sight, smallest, view_of
from tranche.signals import NOTHING
from tranche.trial import Run, Visit, tried

EDGES = (100, 300, 500, 1000)
TEXT = """
name: small
tick: 3s
warm_up: 0s
limits:
  - {limit: errors > 2 %, sustained: 30s, minimum_requests: 50, answer: roll_back}
staging: {dwell: 60s, gates: [{name: smoke, kind: http, url: "{green_url}/ready"}]}
phases:
  - {name: few, weight: 10 %, dwell: 120s, requirements: [errors < 1 %, latency_p95 < 300 ms, uptime > 99 %]}
  - {name: all, weight: 100 %, dwell: 60s, requirements: [errors < 1 %]}
"""
PLAN = language.parse(TEXT, file="small.yaml")
SERVICE = Service(requests_per_s=400, base_error_share=0.002)


def question(**changes: object) -> Question:
    parts = {"plan": PLAN, "service": SERVICE, "edges_ms": EDGES, "runs": 40, "seed": 1}
    return Question(**(parts | changes))


FAULTY = forecast(question(fault="errors=+3%@100s", defect=parse_defect("errors=+3%@100s")))


def test_good_releases_complete_and_bad_ones_are_found_soon_after_the_onset() -> None:
    found = FAULTY.found

    assert FAULTY.good.completed == 40
    assert FAULTY.good.rolled_back == 0
    assert FAULTY.good.false_rollback_upper == pytest.approx(0.119, abs=0.001)
    assert found is not None
    assert found.rolled_back == 1.0
    assert found.before == 0
    assert 2 <= found.median_s <= 40
    assert found.phases == {"few": 1.0}
    assert set(found.causes) <= {"judge: errors against blue", "judge: errors < 1 %"}
    assert found.weight_percent == 10
    assert found.failed == pytest.approx(0.03 * 40 * found.median_s, rel=0.6)
    assert found.slow is None


def test_an_incident_of_both_versions_takes_no_good_release_back() -> None:
    shared = forecast(question(incidents=(parse_incident("30s@80s"),)))

    assert shared.good.rolled_back == 0
    assert shared.outlooks[0].on_time < FAULTY.outlooks[0].on_time


def test_what_cannot_be_modelled_is_said_to_be_taken_as_passed() -> None:
    assert FAULTY.left_out == ("staging: gate smoke", "few: uptime > 99 %")
    assert not any(phase.gates for phase in tried(PLAN).phases)


def test_a_limit_that_a_rare_look_cannot_tell_from_one_bad_look_is_left_out() -> None:
    weeks = language.load(Path(__file__).resolve().parents[3] / "plans" / "finance.yaml")[0]
    here = tried(weeks)

    assert here.tick_s == 60
    assert [str(limit) for limit in here.limits] == ["errors > 1 % for 5m", "latency_p95 > 500 ms for 5m"]
    assert tried(PLAN).limits == PLAN.limits


def test_a_defect_that_makes_requests_slow_is_counted_in_slow_ones() -> None:
    found = forecast(question(fault="p95=x2@100s", defect=parse_defect("p95=x2@100s"), runs=20)).found

    assert found is not None
    assert found.failed is None
    assert found.slow is not None
    assert found.slow > 0
    assert found.slow_ms == 300


def test_a_phase_finds_what_it_promises_and_sees_less_the_less_it_has() -> None:
    plan = tried(PLAN)
    view = view_of(plan, 1, SERVICE, EDGES, seed=1)
    kept, seen = promised(view), sight(view)
    quiet = replace(view, service=replace(SERVICE, requests_per_s=20))

    assert kept.is_kept
    assert kept.requests == 400 * 120 * 0.1
    assert [str(promise.bound) for promise in kept.promises] == ["errors < 1 %", "latency_p95 < 300 ms"]
    assert all(2 <= promise.median_s < 60 for promise in kept.promises)
    assert seen.errors_added is not None
    assert 0.002 < seen.errors_added < 0.018
    assert seen.latency_factor is not None
    assert 1.05 < seen.latency_factor < 1.5
    assert not promised(quiet).is_kept
    assert (sight(quiet).errors_added or 1) > 2 * seen.errors_added


def test_a_fault_of_the_smallest_size_is_found_in_nine_of_ten_rollouts_or_nearly() -> None:
    plan = tried(PLAN)
    size = sight(view_of(plan, 1, SERVICE, EDGES, seed=1)).errors_added
    assert size is not None
    ill = Defect(onset_s=60, errors_added=size)
    found = forecast(question(fault="so much", defect=ill, runs=60)).found

    assert found is not None
    assert found.phases.get("few", 0) * found.rolled_back > 0.7


def test_promises_are_releases_with_twice_the_bad_share() -> None:
    few = PLAN.phases[1]
    (bound, errors), (slow_bound, slow) = promises(few, SERVICE)

    assert bound.metric is Metric.ERRORS
    assert errors.errors_added == pytest.approx(0.018)
    ill = replace(
        SERVICE, median_ms=SERVICE.median_ms * slow.latency_factor, p95_ms=200 * slow.latency_factor
    )
    assert share_of(slow_bound, ill) == pytest.approx(0.10)
    assert not promises(few, replace(SERVICE, base_error_share=0.02, median_ms=290, p95_ms=400))


def test_an_incident_is_read_from_its_text() -> None:
    assert parse_incident("20m@24h") == Incident(
        start_s=86_400, length_s=1200, error_share=0.05, latency_factor=2
    )
    for text in ("", "20m", "0s@1h", "20@24h", "-5m@1h"):
        with pytest.raises(IncidentRefused, match="such as 20m@24h"):
            parse_incident(text)


def test_the_smallest_size_is_read_between_two() -> None:
    sizes = np.array([1.0, 2.0, 4.0, 8.0])

    assert smallest(sizes, np.array([0.0, 0.1, 0.8, 1.0])) == pytest.approx(4 * 2**0.5)
    assert smallest(sizes, np.array([0.95, 0.5, 0.9, 1.0])) == pytest.approx(4.0)
    assert smallest(sizes, np.array([0.9, 1.0, 1.0, 1.0])) == 1.0
    assert smallest(sizes, np.array([0.0, 1.0, 1.0, 0.8])) is None


def test_a_phase_that_sees_too_little_is_told_what_would_do() -> None:
    found = forecast(question(service=replace(SERVICE, requests_per_s=80), runs=5))
    (few, *_) = found.unkept

    assert few.startswith("few at 10 % for 2m: of good releases ")
    assert "of releases with 2 % where 'errors < 1 %' is asked, " in few
    assert re.search(r"a (weight of \d+ %|dwell of \d+m.*) would do$", few)


def test_a_service_that_breaks_an_objective_itself_is_told_so() -> None:
    found = forecast(question(service=replace(SERVICE, base_error_share=0.012), runs=5))

    assert found.good.waiting == 5
    assert "the service itself has 1.2 % where 'errors < 1 %' is asked; no weight or dwell" in found.unkept[0]


def test_endings_are_counted() -> None:
    visit = Visit(phase=1, internal_only=False, entered_s=0, left_s=1)
    runs = [
        Run(ending=ending, ended_s=at, phase=1, why="", visits=(visit,), ill=NOTHING)
        for ending, at in (("completed", 3.0), ("rolled back", 1.0), ("waiting", 5.0))
    ]
    found = endings(runs)

    assert (found.completed, found.rolled_back, found.waiting, found.median_s) == (1, 1, 1, 3.0)


@pytest.mark.parametrize(
    ("seconds", "told"), [(3600, "1h"), (129_600, "36h"), (828_000, "9d 14h"), (172_800, "2d")]
)
def test_long_times_are_told_in_days(seconds: float, told: str) -> None:
    assert span(seconds) == told


def test_the_page_begins_with_a_sentence_and_names_what_was_assumed() -> None:
    console = Console(width=100, file=io.StringIO())
    console.print(page(FAULTY))
    text = console.file.getvalue()  # type: ignore[attr-defined]

    assert text.startswith("small, tried 40 times: 40 of 40 good releases complete")
    assert "Assumed: 400 requests/s" in text
    assert "With errors=+3%@100s: 100.0% of 40 are rolled back for it" in text
    assert max(len(line) for line in text.splitlines()) <= 100


def test_the_document_is_json_without_infinities() -> None:
    told = json.loads(json.dumps(document(FAULTY), allow_nan=False))

    assert [phase["name"] for phase in told["phases"]] == ["few", "all"]
    assert told["phases"][0]["expected_requests"] == 4800
    assert told["good"]["rolled_back"] == 0
    assert told["fault"]["median_s"] == FAULTY.found.median_s  # type: ignore[union-attr]
    assert told["phases"][1]["smallest_latency_factor"] is None
    assert math.isfinite(told["phases"][0]["promises"][0]["median_s"])


def test_the_same_seed_tells_the_same() -> None:
    few = question(runs=5)

    assert document(forecast(few)) == document(forecast(few))
    assert document(forecast(few)) != document(forecast(replace(few, seed=2)))


@pytest.fixture
def plan(tmp_path: Path) -> str:
    path = tmp_path / "small.yaml"
    path.write_text(TEXT)
    return str(path)


COMMON = ["--rps", "400", "--errors", "0.2%", "--runs", "5", "--noise", "plain", "--swing", "0%"]


def test_the_command_prints_json_and_draws(
    plan: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chart = tmp_path / "chart.svg"

    assert run(["simulate", plan, *COMMON, "--json", "--plot", str(chart), "--fault", "errors=x9"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["service"]["requests_per_s"] == 400
    assert told["fault"]["fault"] == "errors=x9"
    assert "releases with errors=x9 rolled back" in chart.read_text()


def test_a_plan_that_cannot_judge_is_refused_after_it_was_shown(
    plan: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["simulate", plan, *COMMON[2:], "--rps", "80"]) == 1
    told = capsys.readouterr()
    assert told.out.startswith("small, tried 5 times")
    assert "refused (cannot-judge): a phase cannot judge what it promises\n  few at 10 %" in told.err


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        (["--errors", "0.2"], 2, "expected a share such as 0.1%, up to 100%, found '0.2'"),
        (["--errors", "101%"], 2, "found '101%'"),
        (["--p95", "50"], 2, "expected --p95 above --median"),
        (["--rps", "0"], 2, "'--rps'"),
        (["--fault", "errors=-1%"], 1, "expected a defect, found 'errors=-1%'"),
        (["--plot", "/nowhere/at/all.svg"], 3, "could not be written to /nowhere/at/all.svg"),
    ],
)
def test_bad_options_are_refused_with_what_was_expected(
    plan: str, options: list[str], code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["simulate", plan, *COMMON, *options]) == code
    assert told in capsys.readouterr().err
