"""`python -m tranche.ordeal`: so many seeds, or one with its trace. Exits 1 at the first broken law."""

import sys
import time
from collections import Counter

import click

from tranche.ordeal.trial import Outcome, Trial


@click.command()
@click.option("--seeds", type=click.IntRange(min=1), default=200, help="How many seeds are tried.")
@click.option("--first", type=click.IntRange(min=0), default=0, help="The first of them.")
@click.option("--seed", type=click.IntRange(min=0), help="One seed only, with its trace.")
def main(seeds: int, first: int, seed: int | None) -> None:
    """Try the controller on virtual time under injected faults; each seed is one rollout."""
    if seed is not None:
        outcome = Trial(seed).run()
        click.echo("\n".join(outcome.trace))
        sys.exit(_tell(outcome))
    began = time.monotonic()
    states: Counter[str] = Counter()
    troubles = 0
    for number in range(first, first + seeds):
        outcome = Trial(number).run()
        if outcome.broken is not None:
            sys.exit(_tell(outcome))
        states[outcome.state] += 1
        troubles += outcome.troubled
    spent_s = time.monotonic() - began
    ends = ", ".join(f"{many} {state.replace('_', ' ')}" for state, many in sorted(states.items()))
    click.echo(f"{seeds} seeds, {troubles} faults injected, no law broken: {ends} ({spent_s:.0f} s)")


def _tell(outcome: Outcome) -> int:
    if outcome.broken is None:
        click.echo(f"seed {outcome.seed}: {outcome.state}, no law broken")
        return 0
    click.echo(f"seed {outcome.seed}, green is {outcome.version}: {outcome.broken}", err=True)
    click.echo(f"again, with its trace: make sim SEED={outcome.seed}", err=True)
    return 1


if __name__ == "__main__":
    main()
