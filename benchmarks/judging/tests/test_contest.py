"""A small contest from end to end, what its rows say, and what is claimed of them."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from judging.__main__ import main
from judging.cell import CELLS, Cell, chosen
from judging.claims import Answer, Claim, claims, milliseconds_of_a_tick, quick_tick
from judging.contest import OURS, RULES, TUNED, Record, Row, calibration, contenders, luck, row_of, run
from judging.thresholds import Lines
from tranche.service import Defect
from tranche.world import Booleans, Tally

FAULTY = Cell(world="plain", rps=50, base=0.001, effect="+5pt")


def test_the_smallest_contest_finds_what_all_must_find() -> None:
    rows = {row.rule: row for row in run(FAULTY, rollouts=8, seed=1, lines=Lines()).rows}

    assert set(rows) == set(RULES)
    assert rows[TUNED].median_s == rows["argo"].median_s
    for row in rows.values():
        assert row.detected == 1
        assert row.runs == 8
        assert row.false_rollbacks is None
        assert row.median_s is not None
        assert row.failed_requests is not None
        assert row.failed_requests == pytest.approx(row.median_s * 50 * 0.1 * 0.05, rel=0.4)
    medians = [rows[rule].median_s or 0 for rule in (OURS, "argo", "flagger", "kayenta")]
    assert sorted(set(medians)) == medians


def test_the_same_seed_gives_the_same_rows_and_another_one_others() -> None:
    faint = replace(FAULTY, effect="+1pt")

    assert run(faint, rollouts=4, seed=1) == run(faint, rollouts=4, seed=1)
    assert run(faint, rollouts=4, seed=1) != run(faint, rollouts=4, seed=2)


def test_what_green_s_users_met_is_counted_from_the_onset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("judging.cell.LATE_S", 600.0)
    monkeypatch.setattr("judging.cell.FAULTY_S", 600.0)
    rows = {row.rule: row for row in run(replace(FAULTY, effect="p95+50%@24h"), rollouts=40, seed=1).rows}

    assert rows["kayenta"].detected == 0
    morning = 1 + 0.6 * math.sin(2 * math.pi * 900 / 86_400)
    assert rows["kayenta"].slow_requests == pytest.approx(
        600 * 50 * 0.1 * morning * (0.05 - 0.0088), rel=0.05
    )


def test_every_world_has_luck_of_its_own() -> None:
    drawn = [generator.random() for cell in CELLS for generator in luck(cell, 1)]

    assert len(set(drawn)) == 2 * len(CELLS)
    assert [generator.random() for generator in luck(CELLS[0], 1)] == drawn[:2]


def test_blue_is_measured_against_an_arm_as_large_as_green_will_be() -> None:
    requests = sum(tally.counts[:, 0].sum(axis=-1) for tally in calibration(FAULTY, 2, luck(FAULTY, 1)[0]))

    assert requests[0] == 0
    assert requests[2] == pytest.approx(2 * 7200 * 50 * 0.1, rel=0.02)


class Alarm:
    """Takes each rollout back at a time of its own."""

    def __init__(self, *at_s: float) -> None:
        self.at_s = np.array(at_s)

    def observe(self, tally: Tally) -> Booleans:
        return np.asarray(self.at_s == tally.end_s)


def record(*at_s: float) -> Record:
    """What is recorded of a rule that rings then; users meet an error each second and 2 slow requests."""
    found = Record(rule=Alarm(*at_s), at_s=np.full(len(at_s), np.inf))
    for number in range(1, 6001):
        end_s = number * 15.0
        counts = np.zeros((3, 3, len(at_s)), dtype=np.int64)
        looked = Tally(end_s=end_s, complete=np.ones(len(at_s), dtype=np.bool_), counts=counts)
        found.observe(looked, np.full((2, len(at_s)), end_s) * np.array([[1.0], [2.0]]))
    return found


def test_a_row_of_a_bad_release_tells_delay_share_and_price() -> None:
    row = row_of(FAULTY, "alarm", record(60, 120, 300, np.inf))

    assert row.detected == 0.75
    assert row.median_s == 210
    assert row.failed_requests == pytest.approx((60 + 120 + 300 + 90_000) / 4 * (1 - 0.001 / 0.051))
    assert row.false_rollbacks is None
    assert row_of(FAULTY, "alarm", record(60, np.inf, np.inf)).median_s is None


def test_a_row_of_a_healthy_release_tells_false_rollbacks_alone() -> None:
    row = row_of(replace(FAULTY, effect="none"), "alarm", record(60, np.inf, np.inf, np.inf))

    assert row.false_rollbacks == 0.25
    assert (row.detected, row.median_s, row.failed_requests) == (None, None, None)


def test_what_was_taken_back_before_a_late_defect_was_not_detected() -> None:
    late = replace(FAULTY, effect="x5@24h")
    row = row_of(late, "alarm", record(60, 86_400, 86_460, 86_520))

    assert row.false_rollbacks == 0.5
    assert row.detected == 1
    assert row.median_s == 90
    assert row_of(late, "alarm", record(60, 60)).detected is None


def test_a_cell_says_what_is_wrong_in_it() -> None:
    assert replace(FAULTY, effect="x5@24h").defect == Defect(onset_s=86_400, errors_factor=5)
    assert replace(FAULTY, effect="p95+50%").defect == Defect(latency_factor=1.5)
    assert replace(FAULTY, effect="incident").incidents
    assert replace(FAULTY, effect="none").defect is None
    assert replace(FAULTY, effect="x5").due_errors == pytest.approx(0.8)
    assert replace(FAULTY, effect="p95x2").due_slow == pytest.approx(1 - 0.00883 / 0.1296, abs=0.001)
    assert replace(FAULTY, effect="p95x2").due_errors == 0


def test_worlds_are_picked_by_words() -> None:
    assert len({cell.label for cell in CELLS}) == len(CELLS) == 12 * 8 + 8
    assert [cell.label for cell in chosen(["plain", "500/s", "0.3%", "x5"])] == ["plain 500/s 0.3% x5"]
    assert chosen([]) == CELLS
    assert not chosen(["plain", "bursty"])


def rows_that(ours: dict[str, Row]) -> list[Row]:
    """Rows in which our rule does well, but for those given by label."""
    found = []
    for cell in CELLS:
        row = Row(world=cell.world, rps=cell.rps, base=cell.base, effect=cell.effect, rule=OURS, runs=300)
        if cell.defect is None:
            row = replace(row, false_rollbacks=0.0)
        else:
            row = replace(row, detected=1.0, median_s=30.0, failed_requests=5.0, slow_requests=5.0)
        rival = replace(row, rule="argo", failed_requests=6.0, slow_requests=6.0)
        found += [ours.get(cell.label, row), rival]
    return found


def answers(rows: list[Row]) -> list[Answer]:
    return [claim.answer for claim in claims(rows)][:-1]


def test_claims_are_met_by_rows_that_show_them_and_open_without() -> None:
    assert set(answers(rows_that({}))) == {Answer.MET}
    assert set(answers([])) == {Answer.NOT_RUN}
    assert Answer.NOT_RUN in answers([row for row in rows_that({}) if row.world == "plain"])


@pytest.mark.parametrize(
    ("label", "changes", "missed"),
    [
        ("plain 5/s 0.1% none", {"false_rollbacks": 0.011}, "plain: at most 1% of healthy"),
        ("bursty 5/s 0.1% none", {"false_rollbacks": 0.021}, "bursty: at most 2% of healthy"),
        ("plain 50/s 0.1% +1pt", {"median_s": 181.0}, "plain, 50/s, 0.1 %, +1pt"),
        ("plain 50/s 0.1% x5", {"median_s": None}, "plain, 50/s, 0.1 %, x5"),
        ("bursty 5/s 0.3% p95x2", {"slow_requests": 6.0}, "in every bad world"),
        ("bursty 50/s 0.1% x5@24h", {"detected": 0.5}, "bursty: a defect that starts after 24 h"),
        ("plain 50/s 0.1% incident", {"false_rollbacks": 0.003}, "plain: an incident"),
    ],
)
def test_a_claim_that_the_rows_deny_is_missed(label: str, changes: dict[str, Any], missed: str) -> None:
    good = {row.rule: row for row in rows_that({}) if label_of(row) == label}[OURS]
    found: list[Claim] = claims(rows_that({label: replace(good, **changes)}))[:-1]

    assert [claim.claim for claim in found if claim.answer is Answer.MISSED] == [
        next(claim.claim for claim in found if claim.claim.startswith(missed))
    ]


def test_a_rival_with_as_few_failed_requests_is_named() -> None:
    label = "plain 500/s 0.1% +1pt"
    good = {row.rule: row for row in rows_that({}) if label_of(row) == label}[OURS]
    missed = [
        claim
        for claim in claims(rows_that({label: replace(good, failed_requests=6.0)}))
        if claim.answer is Answer.MISSED
    ]

    assert [claim.found for claim in missed] == ["6; next is argo with 6", "plain 500/s 0.1% +1pt to argo"]


def label_of(row: Row) -> str:
    return Cell(world=row.world, rps=row.rps, base=row.base, effect=row.effect).label


def test_a_rival_that_takes_back_good_releases_is_no_rival() -> None:
    rows = rows_that({})
    loose = [
        replace(row, false_rollbacks=0.5) if row.rule == "argo" and row.effect == "none" else row
        for row in rows
    ]
    cheap = [
        replace(row, failed_requests=1.0) if row.rule == "argo" and row.effect == "+1pt" else row
        for row in rows
    ]
    both = [
        replace(row, false_rollbacks=0.5) if row.rule == "argo" and row.effect == "none" else row
        for row in cheap
    ]

    assert Answer.MISSED in answers(cheap)
    assert Answer.MISSED not in answers(both)
    assert Answer.MISSED not in answers(loose)


def test_a_tick_is_measured_by_the_clock() -> None:
    times = iter(range(1000))

    assert milliseconds_of_a_tick(5, clock=lambda: next(times) * 0.002) == pytest.approx(2.0)
    assert quick_tick(2.0).answer is Answer.MISSED
    assert quick_tick(0.5).answer is Answer.MET


def test_every_rule_of_the_table_is_run() -> None:
    assert tuple(contenders(3, [], Lines())) == RULES
    assert TUNED not in contenders(3, [], None)


def test_the_command_prints_the_tables_and_writes_the_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = tmp_path / "rows.json"
    only = "plain,500/s,0.1%,+5pt"

    assert main(["--runs", "2", "--only", only, "--processes", "1", "--json", str(written)]) == 0
    rows = json.loads(written.read_text())
    printed = capsys.readouterr().out
    assert {row["rule"] for row in rows} == set(RULES) - {TUNED}
    assert set(rows[0]) >= {"world", "rps", "base", "effect", "rule", "runs", "false_rollbacks"}
    assert set(rows[0]) >= {"detected", "median_s", "failed_requests"}
    assert "bad releases" in printed
    assert "not run" in printed


def test_words_that_no_world_has_are_refused_with_those_that_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--only", "plane"]) == 2
    assert "picked by" in capsys.readouterr().err
