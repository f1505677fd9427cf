"""Runs the rules of others and ours on the same modelled worlds, and prints who finds what, when.

python -m judging [--runs N] [--only WORDS] [--seed N] [--processes N] [--json FILE]
"""

import argparse
import json
import os
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from judging.cell import CELLS, STEP_S, Cell, chosen
from judging.claims import claims
from judging.contest import Outcome, Row, as_json, run
from judging.tables import claims_table, faulty_table, healthy_table
from judging.thresholds import Lines

WIDTH = 160
World = tuple[str, int, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be run."""

    cells: tuple[Cell, ...]
    runs: int
    seed: int


def world_of(cell: Cell) -> World:
    return cell.world, cell.rps, cell.base


def contest(order: Order, pool: Executor, bar: Progress) -> list[Row]:
    """The rows of all worlds in their order. Healthy ones go first: they fit the lines of the tuned Argo."""
    healthy = [cell for cell in order.cells if cell.is_healthy]
    ill = [cell for cell in order.cells if not cell.is_healthy]
    task = bar.add_task("worlds", total=sum(looks(cell) for cell in order.cells))
    found: dict[Cell, Outcome] = {}
    lines: dict[World, Lines | None] = {}
    for batch in (healthy, ill):
        waiting = {
            pool.submit(
                run, cell, rollouts=order.runs, seed=order.seed, lines=lines.get(world_of(cell))
            ): cell
            for cell in sorted(batch, key=looks, reverse=True)
        }
        for done in as_completed(waiting):
            cell = waiting[done]
            found[cell] = done.result()
            bar.update(task, advance=looks(cell), description=cell.label)
        lines |= {world_of(cell): found[cell].lines for cell in batch if cell.is_healthy}
    return [row for cell in order.cells for row in found[cell].rows]


def looks(cell: Cell) -> int:
    return round(cell.length_s / STEP_S)


def show(rows: Sequence[Row], console: Console) -> None:
    console.print(healthy_table(rows))
    console.print(faulty_table(rows))
    console.print(claims_table(claims(rows)))


def options(arguments: Iterable[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="judging", description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=300, help="rollouts per world")
    parser.add_argument("--only", default="", help="only worlds with all these words, such as plain,50/s,x5")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path, help="where to write the rows")
    return parser.parse_args(list(arguments))


def main(arguments: Iterable[str] | None = None) -> int:
    """0 when it was run; 2 when no world has these words, or there is nothing to run."""
    asked = options(sys.argv[1:] if arguments is None else arguments)
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    cells = chosen([word for word in asked.only.replace(",", " ").split() if word])
    if not cells or asked.runs < 1 or asked.processes < 1:
        words = sorted({word for cell in CELLS for word in cell.label.split()})
        told = f"expected at least one world, run and process; worlds are picked by: {' '.join(words)}"
        Console(stderr=True).print(told, markup=False)
        return 2
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with (
        ProcessPoolExecutor(asked.processes) as pool,
        Progress(*columns, console=console, transient=True) as bar,
    ):
        rows = contest(Order(cells=cells, runs=asked.runs, seed=asked.seed), pool, bar)
    show(rows, console)
    if asked.json is not None:
        asked.json.write_text(json.dumps(as_json(rows), indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
