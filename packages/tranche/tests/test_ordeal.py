"""The engine under faults: no law is broken, and an engine that is broken on purpose is caught by the law it breaks.

`make sim SEEDS=2000` is the same with more seeds; `broken_engines.py` has the engines.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from broken_engines import ENGINES, Broken
from click.testing import CliRunner

from tranche.language import parse
from tranche.ordeal import __main__ as command
from tranche.ordeal.law import LAWS
from tranche.ordeal.ledger import Ledger
from tranche.ordeal.trial import Outcome, Trial
from tranche.ordeal.world import ABOUT
from tranche.ports import Recorded

SEEDS = 40
TRIES = 60
"""Seeds within which a broken engine is caught; most are by the first five."""


@pytest.fixture(scope="module")
def tried() -> list[Outcome]:
    return [Trial(seed).run() for seed in range(SEEDS)]


def test_no_law_is_broken(tried: list[Outcome]) -> None:
    assert [(outcome.seed, str(outcome.broken)) for outcome in tried if outcome.broken] == []
    assert sum(outcome.troubled for outcome in tried) > 10 * SEEDS


def test_every_law_is_put_to_the_test_and_every_fault_is_injected(tried: list[Outcome]) -> None:
    judged = sum((outcome.laws for outcome in tried), Counter[str]())
    injected = sum((outcome.troubles for outcome in tried), Counter[str]())

    assert set(judged) == set(LAWS)
    assert set(injected) == set(ABOUT)


def test_rollouts_end_in_every_way_and_none_of_them_is_the_rule(tried: list[Outcome]) -> None:
    states = Counter(outcome.state for outcome in tried)

    assert {"completed", "rolled back", "waits for approval"} <= set(states)
    assert max(states.values()) < 0.6 * SEEDS
    assert {outcome.version for outcome in tried} >= {"good", "errors", "slow"}


def test_people_ask_what_they_may_and_what_they_may_not(tried: list[Outcome]) -> None:
    told = sum((outcome.asked for outcome in tried), Counter[tuple[str, str]]())
    done = {verb for verb, answer in told if answer == "done"}

    assert done >= {"pause", "resume", "advance", "approve", "revoke", "hotfix", "retarget", "roll_back"}
    refused = {answer for _, answer in told}
    assert refused >= {"own-rollout", "already-approved", "already-paused", "same-version", "answer lost"}


def test_standbys_take_over_from_controllers_that_go_on_as_if_nothing_had_been(tried: list[Outcome]) -> None:
    traces = [line for outcome in tried for line in outcome.trace]

    assert sum("a standby takes over" in line for line in traces) > 5
    assert sum("the lease is lost" in line for line in traces) > 5


def test_a_seed_has_one_trace_in_every_process() -> None:
    program = "from tranche.ordeal.trial import Trial; print('\\n'.join(Trial(7).run().trace))"
    traces = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": hashing},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.splitlines()
        for hashing in ("1", "2")
    ]

    assert traces[0] == traces[1] == list(Trial(7).run().trace)
    assert len(traces[0]) > 30


@pytest.mark.parametrize("seed", range(12))
def test_a_scene_knows_when_its_plan_is_frozen(seed: int) -> None:
    """The law looks at instants, the engine at clocks on a wall: they must mean the same."""
    scene = Trial(seed).scene
    plan = parse(scene.text, file="ordeal.yaml")
    for seconds in range(-120, 240, 7):
        at = scene.starts_at + timedelta(seconds=seconds)
        assert scene.is_frozen(at, at) == any(freeze.covers(at) for freeze in plan.freezes), at


NOW, LATER = datetime(2026, 1, 5, 9, 0, tzinfo=UTC), datetime(2026, 1, 5, 10, 0, tzinfo=UTC)


def counting(ledger: Ledger, **changes: Any) -> set[str]:
    """Whose yes counts, the last one read as it was recorded but for these changes."""
    ledger.yes[-1] = replace(ledger.yes[-1], expires_at=LATER)
    ledger.yes[-1] = replace(ledger.yes[-1], **changes)
    return ledger.counting("owner", approvers=(), now=NOW)


@pytest.fixture(scope="module")
def recorded() -> list[Recorded]:
    """A log that ends with a yes of somebody who may give it."""
    for seed in range(SEEDS):
        trial, kept = Trial(seed), Ledger()
        trial.run()
        for each in (log := trial.world.log.read("ordeal-1")):
            kept.take(each)
            if each.type == "approval-given/1" and len(kept.yes) == 1:
                return log[: each.position]
    raise AssertionError("nobody has agreed to anything")


@pytest.fixture
def agreed(recorded: list[Recorded]) -> Ledger:
    ledger = Ledger()
    for each in recorded:
        ledger.take(each)
    return ledger


@pytest.mark.parametrize(
    "changes",
    [
        {"expires_at": NOW},
        {"stay": "ordeal-1/99"},
        {"by": "ann"},
        {"digest": "sha256:" + "0" * 64},
        {"gate": "another"},
    ],
)
def test_the_ledger_counts_a_yes_by_its_own_reading(agreed: Ledger, changes: dict[str, Any]) -> None:
    assert len(counting(agreed)) == 1
    assert counting(agreed, **changes) == set()


def test_a_yes_to_what_a_gate_has_said_before_does_not_count(agreed: Ledger) -> None:
    assert len(counting(agreed)) == 1
    agreed.gates["smoke"] = ("pass", "and now it is another")
    assert counting(agreed) == set()


# Engines that are broken on purpose.


def test_every_law_is_broken_by_some_engine() -> None:
    assert {engine.law for engine in ENGINES.values()} == set(LAWS)


def outcomes(engine: Broken) -> Iterator[Outcome]:
    return (Trial(seed, **engine.how).run() for seed in range(TRIES))


@pytest.mark.parametrize("fault", ENGINES)
def test_a_broken_engine_is_caught_by_the_law_it_breaks(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = ENGINES[fault]
    for place, name, instead in engine.patches:
        monkeypatch.setattr(place, name, instead)

    laws = (outcome.broken.law for outcome in outcomes(engine) if outcome.broken)
    assert engine.law in laws, f"none of {TRIES} seeds has caught it"


@pytest.mark.parametrize("fault", [fault for fault, engine in ENGINES.items() if "arrange" in engine.how])
def test_the_engine_as_it_is_breaks_no_law_in_the_scene_that_was_laid_for_a_broken_one(fault: str) -> None:
    arrange = ENGINES[fault].how["arrange"]

    assert [str(found) for seed in range(2) if (found := Trial(seed, arrange=arrange).run().broken)] == []


def test_a_seed_that_fails_prints_itself_and_how_to_see_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    for place, name, instead in ENGINES["a freeze that freezes nothing"].patches:
        monkeypatch.setattr(place, name, instead)
    ran = CliRunner().invoke(command.main, ["--seeds", "40"])
    seed = int(ran.output.split("SEED=")[-1])

    assert ran.exit_code == 1
    assert f"seed {seed}, green is" in ran.output
    assert f"make sim SEED={seed}" in ran.output
    again = CliRunner().invoke(command.main, ["--seed", str(seed)])
    assert again.exit_code == 1
    assert "freeze-holds" in again.output
    assert again.output.count("tick") > 5


def test_seeds_that_pass_are_told_in_a_sentence_and_with_what_was_tried() -> None:
    ran = CliRunner().invoke(command.main, ["--seeds", "3", "--first", "10"])

    assert ran.exit_code == 0
    assert ran.output.startswith("No law was broken in 3 rollouts: ")
    for told in ("how they ended", "what was done to them", "what it says", "what people asked"):
        assert told in ran.output
    assert "Nothing was judged by '" in ran.output, (
        "a law that three seeds do not come to is not said to have held"
    )


def test_seeds_are_told_as_json_too() -> None:
    ran = CliRunner().invoke(command.main, ["--seeds", "2", "--json"])
    told = json.loads(ran.stdout)

    assert (told["seeds"], sum(told["endings"].values())) == (2, 2)
    assert told["laws"].keys() == LAWS.keys()
    assert set(told["missed"]) == {law for law, many in told["laws"].items() if not many}
