"""What many rollouts at once cost one process: the real controller's ticks over memory adapters, as a part of one core.

    python benches/many.py [--rollouts N] [--rounds N] [--json FILE] [--profile]

Rollouts are in every phase of a plan with limits, objectives and gates, one after the other, and have been watched for
as long as their limits look back. A round is one tick of each, with what a tick shows (observed.json, status.json and
the record), written to memory. Counted is CPU time of the ticks alone, not of the users that are made for them: a
busy machine changes little of it. A core has as much as the plan's tick lasts.
"""

import argparse
import copy
import cProfile
import json
import pstats
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from random import Random
from typing import Final

from rich.console import Console
from rich.table import Table

from tranche import language
from tranche.adapters.memory import (
    InlineWorkers,
    MemoryEnvironment,
    MemoryGate,
    MemoryLock,
    MemoryLog,
    MemoryNotifier,
    MemorySignals,
    MemoryTraffic,
    VirtualClock,
)
from tranche.controller import Controller, World
from tranche.desk import Desk
from tranche.events import Event, GreenReady, PhaseEntered, WeightApplied, WeightRequested, encode
from tranche.gate_kinds import GATE_KINDS
from tranche.plan import Phase, Plan
from tranche.ports import TOTAL_WEIGHT, Arm, Colour, Split
from tranche.progress import Progress, State, fold
from tranche.publisher import Publisher

PLAN: Final = """
name: many
tick: 5s
stale_after: 30s
share_tolerance: 3 %
warm_up: 1m
limits:
  - {limit: errors > 1 %, sustained: 5m, minimum_requests: 200, answer: roll_back}
  - {limit: latency_p95 > 500 ms, sustained: 5m, minimum_requests: 200, answer: roll_back}
  - {limit: latency_p95 > 500 ms, sustained: 2m, minimum_requests: 100, answer: step_back}
staging:
  dwell: 240h
  gates: [{name: smoke, kind: http, url: "http://green/ready"}]
phases:
  - name: week-1
    weight: 10 %
    dwell: 240h
    requirements: [errors < 0.5 %, latency_p95 < 300 ms]
    gates: [{name: verify, kind: command, command: [verify], at: end}]
  - {name: week-2, weight: 30 %, dwell: 240h, requirements: [errors < 0.5 %, latency_p95 < 300 ms]}
  - {name: week-3, weight: 60 %, dwell: 240h, requirements: [errors < 0.5 %, latency_p95 < 300 ms]}
  - {name: week-4, weight: 100 %, dwell: 240h, requirements: [errors < 0.5 %, uptime > 99.9 %]}
"""
RATE: Final = 40
"""Requests a second of each rollout."""
ERRORS: Final = 0.002
SETTLED_TICKS: Final = 370
"""As long as the longest limit of the plan is remembered (six times 5 minutes), and a little more."""


class Pages:
    """What would be files."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}

    def write(self, name: str, text: str) -> None:
        self.texts[name] = text


@dataclass(slots=True)
class Rollout:
    """One of many, with its own users."""

    controller: Controller
    clock: VirtualClock
    traffic: MemoryTraffic
    signals: MemorySignals
    pages: Pages
    dice: Random

    def serve(self, seconds: float) -> None:
        """What users do meanwhile."""
        split = self.traffic.split
        green = split.green_weight if split else 0
        control = split.control_weight if split else 0
        for arm, weight in {
            Arm.GREEN: green,
            Arm.CONTROL: control,
            Arm.BLUE: TOTAL_WEIGHT - green - control,
        }.items():
            requests = round(RATE * seconds * weight / TOTAL_WEIGHT)
            errors = sum(self.dice.random() < ERRORS for _ in range(requests))
            slow = requests // 50
            self.signals.serve(arm, requests - slow, errors=errors, latency_ms=40.0)
            self.signals.serve(arm, slow, latency_ms=400.0)
        self.clock.sleep(seconds)


def entering(number: int, phase: Phase, split: Split) -> list[Event]:
    """What the log of a rollout says that has come to this phase."""
    entered = PhaseEntered(
        phase=number, name=phase.name, weight_percent=phase.weight_percent, internal_only=False, reason="met"
    )
    return [
        GreenReady(version="1.1.0"),
        entered,
        WeightRequested(
            identifier=split.identifier, green_weight=split.green_weight, internal_to_green=False
        ),
        WeightApplied(identifier=split.identifier, took_ms=1.0),
    ]


def noted(log: MemoryLog, progress: Progress, clock: VirtualClock, *events: Event) -> Progress:
    new = [encode(event, at=clock.now(), actor="controller") for event in events]
    return fold(log.append(progress.rollout, after=progress.position, events=new), progress) or progress


def made(plan: Plan, number: int, clock: VirtualClock) -> Rollout:
    """A rollout that is in a phase by its number, confirmed, and without a past."""
    log, traffic, signals = MemoryLog(), MemoryTraffic(), MemorySignals(clock)
    desk = Desk(log=log, clock=clock, control=None, observed=lambda: None)  # type: ignore[arg-type]  # not asked
    progress = desk.start(plan, text=PLAN, file="many.yaml", version="1.1.0", actor="bench")
    phase = number % len(plan.phases)
    entered = plan.phases[phase]
    if phase:
        split = replace(
            progress.requested, identifier=progress.next_identifier, green_weight=entered.green_weight
        )
        traffic.apply(split)
        progress = noted(log, progress, clock, *entering(phase, entered, split))
    environment, pages = MemoryEnvironment(), Pages()
    environment.ensure(Colour.GREEN, "1.1.0")
    world = World(
        log=log,
        traffic=traffic,
        signals=signals,
        environment=environment,
        gates={kind: MemoryGate() for kind in GATE_KINDS},
        variables={},
        clock=clock,
        notifier=MemoryNotifier(),
        workers=InlineWorkers(),
        lock=MemoryLock(),
    )
    show = Publisher(log, pages, lambda _: None)
    controller = Controller(plan=plan, progress=progress, world=world, show=show)
    return Rollout(controller, clock, traffic, signals, pages, Random(number))  # noqa: S311 - users


def settled(plan: Plan, rollouts: int, ticks: int = SETTLED_TICKS) -> list[Rollout]:
    """So many rollouts with a past: one of each phase lives it, and the others are copies of it with other users."""
    lived = [made(plan, number, VirtualClock()) for number in range(min(rollouts, len(plan.phases)))]
    for one in lived:
        for _ in range(ticks):
            one.controller.tick()
            one.serve(plan.tick_s)
    return [copied(lived[number % len(lived)], plan, number) for number in range(rollouts)]


def copied(lived: Rollout, plan: Plan, number: int) -> Rollout:
    """With everything that changes of its own, and what was seen shared, as values are."""
    shared = (plan, lived.controller.seen, lived.controller.progress)
    made = copy.deepcopy(lived, {id(value): value for value in shared})
    made.dice.seed(number)
    return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """CPU times of ticks. `cores` is what all rollouts together take of one core, each looked at once a tick."""

    rollouts: int
    rounds: int
    tick_s: float
    cpu_s_per_round: float
    cores: float
    tick_ms_p50: float
    tick_ms_p99: float
    phases: Mapping[str, float]
    """Mean ms of a tick, by the phase the rollout was in."""


def measure(rollouts: int, rounds: int, ticks: int = SETTLED_TICKS) -> Cost:
    plan = language.parse(PLAN, file="many.yaml")
    many = settled(plan, rollouts, ticks)
    spent_ms: dict[str, list[float]] = {}
    for _ in range(rounds):
        for one in many:
            began = time.process_time()
            one.controller.tick()
            spent_ms.setdefault(one.controller.progress.stay.name, []).append(
                1000 * (time.process_time() - began)
            )
            one.serve(plan.tick_s)
    every = sorted(each for found in spent_ms.values() for each in found)
    whole_s = sum(every) / 1000 / rounds
    if any(
        one.controller.progress.state is not State.BAKING and one.controller.progress.stay.phase
        for one in many
    ):
        raise RuntimeError(
            "a rollout has ended or stopped, so this is no measure of ticks; look at its record"
        )
    return Cost(
        rollouts=rollouts,
        rounds=rounds,
        tick_s=plan.tick_s,
        cpu_s_per_round=round(whole_s, 4),
        cores=round(whole_s / plan.tick_s, 4),
        tick_ms_p50=round(every[len(every) // 2], 3),
        tick_ms_p99=round(every[int(0.99 * (len(every) - 1))], 3),
        phases={name: round(sum(found) / len(found), 3) for name, found in spent_ms.items()},
    )


def show(cost: Cost, console: Console) -> None:
    table = Table(title=f"{cost.rollouts} rollouts, a tick of {cost.tick_s:g} s", title_justify="left")
    table.add_column("what")
    table.add_column("found")
    table.add_row("of one core", f"{cost.cores:.3f}")
    table.add_row("CPU of one round", f"{cost.cpu_s_per_round:.2f} s")
    table.add_row("a tick", f"{cost.tick_ms_p50:.2f} ms (p50), {cost.tick_ms_p99:.2f} ms (p99)")
    for name, mean_ms in cost.phases.items():
        table.add_row(f"a tick in {name}", f"{mean_ms:.2f} ms (mean)")
    console.print(table)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--rollouts", type=int, default=1000)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--json", type=Path)
    options.add_argument(
        "--profile", action="store_true", help="where the time goes, instead of how much it is"
    )
    chosen = options.parse_args()
    if chosen.profile:
        profile = cProfile.Profile()
        many = settled(language.parse(PLAN, file="many.yaml"), chosen.rollouts)
        for _ in range(chosen.rounds):
            for one in many:
                profile.runcall(one.controller.tick)
                one.serve(one.controller.plan.tick_s)
        pstats.Stats(profile).sort_stats("cumtime").print_stats(60)
        return
    cost = measure(chosen.rollouts, chosen.rounds)
    show(cost, Console())
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(asdict(cost), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
