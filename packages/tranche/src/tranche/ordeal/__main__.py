"""`python -m tranche.ordeal`: so many seeds, or one with its trace. Exits 1 at the first broken law."""

import json
import sys
import time
from collections.abc import Iterator, Sequence

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tranche.ordeal.tally import Tally, show
from tranche.ordeal.trial import Outcome, Trial


@click.command()
@click.option("--seeds", type=click.IntRange(min=1), default=200, help="How many seeds are tried.")
@click.option("--first", type=click.IntRange(min=0), default=0, help="The first of them.")
@click.option("--seed", type=click.IntRange(min=0), help="One seed only, with its trace.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def main(seeds: int, first: int, seed: int | None, as_json: bool) -> None:
    """Try the controller on virtual time under injected faults; each seed is one rollout."""
    if seed is not None:
        outcome = Trial(seed).run()
        click.echo("\n".join(outcome.trace))
        sys.exit(_tell(outcome))
    began_s, tally = time.process_time(), Tally()
    for number in _shown(range(first, first + seeds)):
        outcome = Trial(number).run()
        if outcome.broken is not None:
            sys.exit(_tell(outcome))
        tally.add(outcome)
    spent_s = time.process_time() - began_s
    if as_json:
        click.echo(json.dumps(tally.document(spent_s), indent=1))
    else:
        show(tally, spent_s)


def _shown(seeds: Sequence[int]) -> Iterator[int]:
    """The seeds, with a bar on standard error where that is a terminal."""
    if not sys.stderr.isatty():
        yield from seeds
        return
    columns = (TextColumn("seed {task.completed}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield from bar.track(seeds)


def _tell(outcome: Outcome) -> int:
    if outcome.broken is None:
        click.echo(f"seed {outcome.seed}: {outcome.state}, no law broken")
        return 0
    click.echo(f"seed {outcome.seed}, green is {outcome.version}: {outcome.broken}", err=True)
    click.echo(f"again, with its trace: make sim SEED={outcome.seed}", err=True)
    return 1


if __name__ == "__main__":
    main()
