"""`python -m finance.ordeal`: so many seeds, or one with its trace. Exits 1 at the first broken law."""

import os
import sys
import time
from collections import Counter
from typing import Final

import click

from finance.ordeal.postgres import PostgresWorld
from finance.ordeal.trial import STEPS, Told, Trial

URLS: Final = ("FINANCE_DATABASE_URL", "FINANCE_OWNER_DATABASE_URL")


@click.command()
@click.option("--seeds", type=click.IntRange(min=1), default=500, help="How many seeds are tried.")
@click.option("--first", type=click.IntRange(min=0), default=0, help="The first of them.")
@click.option("--seed", type=click.IntRange(min=0), help="One seed only, with its trace.")
@click.option("--steps", type=click.IntRange(min=1), default=STEPS, help="How long a history is.")
@click.option(
    "--store",
    type=click.Choice(["memory", "postgres"]),
    default="memory",
    help=f"Where the books are kept; postgres is a migrated database, at {' and '.join(URLS)}.",
)
def main(seeds: int, first: int, seed: int | None, steps: int, store: str) -> None:
    """Try the books under random histories; each seed is one history of two companies."""
    missing = [name for name in URLS if store == "postgres" and not os.environ.get(name)]
    if missing:
        raise click.UsageError(f"{', '.join(missing)}: missing; set them")
    if seed is not None:
        told = history(seed, steps, store)
        click.echo("\n".join(told.trace))
        sys.exit(_tell(told, steps, store))
    began = time.process_time()
    happened: Counter[str] = Counter()
    checked: Counter[str] = Counter()
    with click.progressbar(range(first, first + seeds), label="histories", file=sys.stderr) as bar:
        for number in bar:
            told = history(number, steps, store)
            if told.broken is not None:
                break
            happened.update(told.happened)
            checked.update(told.checked)
    if told.broken is not None:
        click.echo("\n".join(told.trace[-12:]), err=True)
        sys.exit(_tell(told, steps, store))
    _table(happened, checked)
    spent_s, asked = time.process_time() - began, happened.total()
    click.echo(f"{seeds} seeds, {asked} requests, no law broken ({spent_s:.0f} s of one core)")


def history(seed: int, steps: int, store: str) -> Told:
    """One history, where the books are kept so."""
    if store == "memory":
        return Trial(seed, steps=steps).run()
    app_url, owner_url = (os.environ[name] for name in URLS)
    world = PostgresWorld(app_url, owner_url, seed)
    try:
        return Trial(seed, steps=steps, world=world).run()
    finally:
        world.close()


def _table(happened: Counter[str], checked: Counter[str]) -> None:
    """What was asked and how often it was done; why what was refused; how often each law was held."""
    asked: dict[str, Counter[str]] = {}
    for what, many in happened.items():
        verb, _, outcome = what.partition(" ")
        asked.setdefault(verb, Counter())[outcome] += many
    for verb, outcomes in sorted(asked.items()):
        others = ", ".join(f"{many} {code}" for code, many in outcomes.most_common() if code != "done")
        click.echo(f"{verb:14} {outcomes['done']:8} done   {others}")
    click.echo()
    for law, many in sorted(checked.items()):
        click.echo(f"law {law:12} held {many:9} times")


def _tell(told: Told, steps: int, store: str) -> int:
    if told.broken is None:
        click.echo(f"seed {told.seed}: {told.happened.total()} requests, no law broken")
        return 0
    click.echo(f"seed {told.seed}: {told.broken}", err=True)
    more = "" if steps == STEPS else f" STEPS={steps}"
    more += "" if store == "memory" else f" STORE={store}"
    click.echo(f"again, with its trace: make sim-finance SEED={told.seed}{more}", err=True)
    return 1


if __name__ == "__main__":
    main()
