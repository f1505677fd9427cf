"""`finance schedule`: runs the templates that are due, in turns or once; or shows what it would post."""

import asyncio
import signal
import sys
import traceback
from collections.abc import Iterable
from datetime import date, datetime
from pathlib import Path
from typing import Any, assert_never

import click
import orjson

from finance.money import plain
from finance.ports import Fault
from finance.scheduling import Due, Later, Ran, Trouble, Turn
from finance.timekeeper import count, write_metrics
from finance.wiring import Settings, SystemClock, build_schedule, scheduler
from kit.serve import FAULT, REFUSED, ServiceFault, fail, run
from kit.settings import SettingsRefused, read

Shown = Due | Trouble | Later
MEND = "mend that, or end the template; its later days wait, and it is tried again at every turn"
DAY = click.DateTime(["%Y-%m-%d"])


@click.command()
@click.option("--once", is_flag=True, help="one turn, then end: for cron or a CronJob")
@click.option("--preview", is_flag=True, help="show what would be posted, and post nothing")
@click.option(
    "--through", type=DAY, help="with --preview: the last due day that is shown; today when not given"
)
@click.option(
    "--every", "every_s", default=300, show_default=True, type=click.IntRange(1, 86_400), help="seconds"
)
@click.option(
    "--port", default=8005, show_default=True, type=click.IntRange(1, 65_535), help="health and metrics"
)
@click.option(
    "--metrics-file", type=click.Path(dir_okay=False, path_type=Path), help="with --once: Prometheus' text"
)
@click.option("--json", "as_json", is_flag=True, help="with --once or --preview")
def schedule(
    *,
    once: bool,
    preview: bool,
    through: datetime | None,
    every_s: int,
    port: int,
    metrics_file: Path | None,
    as_json: bool,
) -> None:
    """Run the templates that are due, of all companies, up to today: turn after turn until SIGTERM.

    As many at once as one likes: each due day is posted once. With --once or --preview exit 0: nothing was refused;
    1: some template was; 3: it cannot be told what is due, or not all of it was asked.
    """
    if once and preview:
        raise click.UsageError("expected --once or --preview, found both")
    if through is not None and not preview:
        raise click.UsageError("--through goes with --preview: what is posted is posted up to today")
    if metrics_file is not None and not (once and metrics_file.absolute().parent.is_dir()):
        raise click.UsageError("--metrics-file goes with --once, and is a file in a folder that is there")
    if as_json and not (once or preview):
        raise click.UsageError("--json goes with --once or --preview: turns are told as JSON lines anyway")
    try:
        settings = read(Settings, "FINANCE")
    except SettingsRefused as error:
        raise ServiceFault(str(error)) from error  # exit 1 says that a template was refused, and nothing else
    if once:
        sys.exit(_once(settings, metrics_file, as_json=as_json))
    if preview:
        day = SystemClock().now().date() if through is None else through.date()
        sys.exit(_preview(settings, day, as_json=as_json))
    run(lambda: build_schedule(settings, every_s), host=settings.host, port=port)


def _code(refused: Iterable[object], *, complete: bool) -> int:
    if not complete:
        return FAULT
    return REFUSED if any(True for _ in refused) else 0


def _once(settings: Settings, metrics_file: Path | None, *, as_json: bool) -> int:
    turn = _asked(_turn(settings))
    count(turn)
    if turn.complete and metrics_file is not None:
        try:
            write_metrics(metrics_file)
        except OSError as error:
            raise ServiceFault(
                f"{metrics_file}: cannot be written ({error.strerror}); the turn is done"
            ) from error
    if as_json:
        print(_json(_told(turn)))
    else:
        for one in (*turn.refused, *turn.missed):
            print(f"finance: {_line(one)}")
        tally = (
            f"active templates: {turn.templates}, due days posted: {turn.days}, refused: {len(turn.refused)}"
        )
        print(f"finance: {turn.on}: {tally}" + (f", missed: {len(turn.missed)}" if turn.missed else ""))
    if turn.cut_off is not None:
        fail(
            f"finance: the turn was cut off ({turn.cut_off}); what was posted stays, the next goes on from there"
        )
    return _code(turn.refused, complete=turn.complete)


async def _turn(settings: Settings) -> Turn:
    """One turn, which SIGTERM and SIGINT end between two templates; how far it came goes to standard error."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for told in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(told, stop.set)
    async with scheduler(settings) as made:
        return await made.turn(_progress, stop.is_set)


def _progress(one: Ran | Trouble) -> None:
    click.echo(f"finance: {_line(one)}", err=True)
    if isinstance(one, Trouble) and one.bug is not None:
        traceback.print_exception(one.bug)


def _preview(settings: Settings, through: date, *, as_json: bool) -> int:
    async def shown() -> list[Shown]:
        async with scheduler(settings) as made:
            return await made.preview(through)

    found = _asked(shown())
    if as_json:
        print(_json({"through": through, "days": [_row(one) for one in found]}))
    else:
        print(f"finance: up to {through} {'nothing is due' if not found else 'would be posted:'}")
        print("\n".join(_table(found)), end="\n" if found else "")
    troubles = [one for one in found if isinstance(one, Trouble)]
    return _code(troubles, complete=all(one.refused for one in troubles))


def _asked(work: Any) -> Any:
    """What it comes to; a bug is told with its trace, and ends as a fault: exit 1 says something else here."""
    try:
        return asyncio.run(work)
    except ServiceFault:
        raise
    except Fault as error:
        raise ServiceFault(f"{error.code}: {error}") from error
    except Exception as error:
        traceback.print_exc()
        raise ServiceFault(f"{type(error).__name__}: {error}") from error


def _line(one: Ran | Trouble) -> str:
    about = f"{one.standing.company}: {one.standing.name}"
    if isinstance(one, Ran):
        return f"{about}: posted through {one.through}, due days: {one.days}"
    when = "" if one.day is None else f" on {one.day}"
    what = (
        f"refused{when}: {one.code}: {one.told} ({MEND})"
        if one.refused
        else f"missed: {one.code}: {one.told}"
    )
    return f"{about} ({one.standing.template_id}): {what}"


def _table(found: Iterable[Shown]) -> list[str]:
    """A line for each due day: when, whose, which template, how much, and what it is called or why it is refused."""
    rows = []
    for one in found:
        match one:
            case Due():
                amount = "nothing" if one.amount is None else f"{_plain(one)} {one.amount.currency}"
                back = "" if one.taken_back_on is None else f", taken back on {one.taken_back_on}"
                what = f"{one.reference or ''}{back}"
            case Later():
                amount, what = "", "and those after it: shown once the days before are posted"
            case Trouble():
                amount, what = "refused" if one.refused else "missed", f"{one.code}: {one.told}"
            case _:
                assert_never(one)
        rows.append((str(one.day or ""), one.standing.company, one.standing.name, amount, what))
    widths = [max((len(row[place]) for row in rows), default=0) for place in range(4)]
    return [
        f"  {day:{widths[0]}}  {company:{widths[1]}}  {name:{widths[2]}}  {amount:>{widths[3]}}  {what}".rstrip()
        for day, company, name, amount, what in rows
    ]


def _told(turn: Turn) -> dict[str, Any]:
    return {
        "on": turn.on,
        "templates": turn.templates,
        "days": turn.days,
        "complete": turn.complete,
        "cut_off": turn.cut_off,
        "refused": [_row(one) for one in turn.refused],
        "missed": [_row(one) for one in turn.missed],
    }


def _row(one: Shown) -> dict[str, Any]:
    about = {
        "tenant": one.standing.tenant_id,
        "company": one.standing.company,
        "template": one.standing.template_id,
        "name": one.standing.name,
        "day": one.day,
    }
    match one:
        case Due():
            amount, currency = (None, None) if one.amount is None else (_plain(one), one.amount.currency)
            posted = {"amount": amount, "currency": currency, "reference": one.reference}
            return about | {"what": "due", **posted, "taken_back_on": one.taken_back_on}
        case Later():
            return about | {"what": "later"}
        case Trouble():
            return about | {
                "what": "refused" if one.refused else "missed",
                "code": one.code,
                "told": one.told,
            }
        case _:
            assert_never(one)


def _plain(one: Due) -> str:
    return "" if one.amount is None else plain(one.amount.minor, one.amount.currency)


def _json(told: object) -> str:
    return orjson.dumps(told, option=orjson.OPT_INDENT_2).decode()
