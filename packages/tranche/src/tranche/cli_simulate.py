"""`tranche simulate`: what to expect of a plan before anybody meets it."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import click

from tranche.refusal import Refused


class CannotJudge(Refused):
    """A phase of the plan cannot judge what it promises."""

    code: ClassVar[str] = "cannot-judge"


def share(_: click.Context, parameter: click.Parameter, value: str) -> float:
    """`0.1%`, read as 0.001."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", value.strip())
    if found is None or float(found[1]) > 100:
        expected = f"expected a share such as 0.1%, up to 100%, found '{value}'"
        raise click.BadParameter(expected, param=parameter)
    return float(found[1]) / 100


ABOVE_ZERO = click.FloatRange(min=0, min_open=True)


@click.command()
@click.argument("plan", type=click.Path(path_type=Path))
@click.option("--rps", type=ABOVE_ZERO, default=50.0, show_default=True, help="Requests a second, a mean.")
@click.option(
    "--swing", callback=share, default="60%", show_default=True, help="How far a day leaves that mean."
)
@click.option("--errors", callback=share, default="0.1%", show_default=True, help="What fails on blue, too.")
@click.option("--median", "median_ms", type=ABOVE_ZERO, default=80.0, show_default=True, help="Latency, ms.")
@click.option("--p95", "p95_ms", type=ABOVE_ZERO, default=200.0, show_default=True, help="Latency, ms.")
@click.option("--noise", type=click.Choice(["plain", "bursty"]), default="bursty", show_default=True)
@click.option(
    "--internal", callback=share, default="1%", show_default=True, help="Requests of internal users."
)
@click.option(
    "--lost", callback=share, default="0%", show_default=True, help="Looks at the counters that fail."
)
@click.option("--fault", help="Also try releases with a fault: errors=+1%@24h, errors=x5, p95=+50%@1h.")
@click.option("--incident", multiple=True, help="A time in which both versions suffer alike: 20m@24h.")
@click.option("--runs", type=click.IntRange(min=1), default=300, show_default=True, help="Rollouts.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True)
@click.option("--plot", type=click.Path(path_type=Path), help="Draw the curves to this SVG file.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def simulate(plan: Path, fault: str | None, runs: int, seed: int, plot: Path | None, **options: Any) -> None:
    """Try PLAN out on a modelled service: false rollbacks, what each phase can see, what a fault would cost.

    Refused (exit 1) where a phase cannot judge what it promises; what would let it is said.
    """
    from tranche import language
    from tranche.adapters.envoy_config import FASTER_THAN_MS
    from tranche.forecast import Question, forecast
    from tranche.forecast_page import document
    from tranche.service import parse_defect, parse_incident

    question = Question(
        plan=language.load(plan)[0],
        service=_service(options),
        edges_ms=tuple(FASTER_THAN_MS),
        runs=runs,
        seed=seed,
        fault=fault,
        defect=parse_defect(fault) if fault else None,
        incidents=tuple(map(parse_incident, options["incident"])),
    )
    with _bar() as advanced:
        found = forecast(question, advanced)
    if options["as_json"]:
        click.echo(json.dumps(document(found), indent=1))
    else:
        _show(found)
    if plot is not None:
        _draw(plot, found)
    if found.unkept:
        raise CannotJudge("\n  ".join(["a phase cannot judge what it promises", *found.unkept]))


def _service(options: dict[str, Any]) -> Any:
    from tranche.service import BURSTY, PLAIN, Service

    if options["p95_ms"] <= options["median_ms"]:
        raise click.UsageError("expected --p95 above --median, found it below; swap them")
    return Service(
        requests_per_s=options["rps"],
        base_error_share=options["errors"],
        daily_swing=options["swing"],
        median_ms=options["median_ms"],
        p95_ms=options["p95_ms"],
        noise=BURSTY if options["noise"] == "bursty" else PLAIN,
        lost_scrape_share=options["lost"],
        internal_share=options["internal"],
    )


@contextmanager
def _bar() -> Iterator[Any]:
    """A progress bar on standard error, where that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description:<32}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        tasks: dict[str, Any] = {}

        def advanced(what: str, part: float) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=1.0)
            progress.update(tasks[what], completed=min(part, 1.0))

        yield advanced


def _show(found: Any) -> None:
    from rich.console import Console

    from tranche.forecast_page import page

    console = Console()
    Console(width=min(console.width, 100) if console.is_terminal else 100).print(page(found))


def _draw(plot: Path, found: Any) -> None:
    from tranche.adapters.chart import draw

    draw(plot, found.curves, title=f"{found.question.plan.name}, tried out", x="hours", y="%")
