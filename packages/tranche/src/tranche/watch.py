"""The live view: one calm page of a hundred columns, redrawn in place."""

import math
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import IO, Any, Final

from rich.box import ROUNDED, SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tranche.events import decode
from tranche.limits import figure
from tranche.plan import duration
from tranche.ports import Recorded, Verdict
from tranche.story import title_and_text, told

WIDTH: Final = 100
INNER: Final = WIDTH - 4  # inside the border and its padding
LATEST: Final = 5
ENDED: Final = {"completed", "rolled_back"}
STATES: Final = {
    "staging": ("in staging", "cyan"),
    "baking": ("baking", "cyan"),
    "paused": ("paused", "yellow"),
    "rolling_back": ("rolling back", "red"),
    "rolled_back": ("rolled back", "red"),
    "completed": ("completed", "green"),
}
MARKS: Final = {
    "pass": ("✓", "green"),
    "fail": ("✗", "bold red"),
    "not yet": ("…", "bright_black"),
    "cannot tell": ("?", "yellow"),
}
BLUE, GREEN = "bright_blue", "green"

Read = Callable[[], tuple[Mapping[str, Any], Sequence[Recorded]]]
Wait = Callable[[float], None]


def watch(read: Read, wait: Wait, *, console: Console, every_s: float = 0.4) -> Mapping[str, Any]:
    """Show the rollout until it ends; the last status. In no terminal, one line a change."""
    if not console.is_terminal:
        return _lines(read, wait, console.file, every_s)
    status, events = read()
    with Live(page(status, events), console=console, auto_refresh=False, vertical_overflow="crop") as live:
        while status["state"] not in ENDED:
            wait(every_s)
            status, events = read()
            live.update(page(status, events), refresh=True)
    return status


def _lines(read: Read, wait: Wait, output: IO[str], every_s: float) -> Mapping[str, Any]:
    shown, sentence = 0, ""
    while True:
        status, events = read()
        for recorded in news(events[shown:]):
            title, text = title_and_text(decode(recorded))
            output.write(f"{recorded.at:%H:%M:%S}  {title:<17} {text}\n")
        shown = len(events)
        spoken = status["verdict"]["verdict"]
        if spoken != sentence:
            output.write(f"{'':8}  {'verdict':<17} {spoken}: {status['verdict']['reason']}\n")
            sentence = spoken
        output.flush()
        if status["state"] in ENDED:
            return status
        wait(every_s)


def page(status: Mapping[str, Any], events: Sequence[Recorded]) -> RenderableType:
    """The whole page, always of the same width."""
    word, colour = STATES[status["state"]]
    title = f"[bold]{escape(status['rollout'])}[/] [bright_black]·[/] [bold]{escape(status['version'])}[/]"
    body = Group(
        _verdict(status),
        Text(""),
        _bars(status),
        _phases(status),
        _checks(status),
        Text(""),
        _latest(events),
    )
    return Panel(
        body,
        title=title,
        title_align="left",
        subtitle=f"[{colour}]{word}[/]{_controller(status)}",
        subtitle_align="right",
        box=ROUNDED,
        border_style=colour,
        width=WIDTH,
    )


def _controller(status: Mapping[str, Any]) -> str:
    if status["state"] in ENDED:
        return ""
    if status["controller"]["alive"]:
        return " [bright_black]· controller alive[/]"
    return " [yellow]· no controller: traffic stays as it is[/]"


def _verdict(status: Mapping[str, Any]) -> RenderableType:
    """The sentence on two lines, however short, so that nothing below it jumps; and a note."""
    verdict = status["verdict"]
    mark, style = MARKS[verdict["verdict"]]
    width = INNER - 3
    lines = textwrap.wrap(verdict["reason"], width, max_lines=2, placeholder=" …") or [""]
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=1)
    grid.add_column(width=width)
    said = Text("\n".join(lines), style="bold" if verdict["verdict"] == "fail" else "")
    grid.add_row(Text(mark, style=style), said)
    grid.add_row("", Text(_note(status), style="bright_black"))
    for _ in range(2 - len(lines)):
        grid.add_row("", "")
    return grid


def _note(status: Mapping[str, Any]) -> str:
    rollback = status["rollback"]
    if rollback is None:
        told = f"plan {status['plan']['name']}, started {clock(status['started_at'])}"
        return f"{told} by {status['started_by']}{_notices(status)}"
    if rollback["applied_at"] is None:
        return "the data plane has not confirmed the rollback yet"
    decided, applied = (datetime.fromisoformat(rollback[key]) for key in ("decided_at", "applied_at"))
    took_ms = (applied - decided).total_seconds() * 1000
    return f"decided by {rollback['actor']}; all users were back on blue {took_ms:.0f} ms later"


def _notices(status: Mapping[str, Any]) -> str:
    point, freeze = status["point_of_no_return"], status["freeze"]
    told = "; past the point of no return" if point is not None and point["passed_at"] else ""
    if freeze is not None and freeze["frozen"]:
        told += f"; frozen, but {freeze['hotfix_by']}'s hotfix" if freeze["hotfix_by"] else "; frozen"
    return told


def clock(at: str) -> str:
    """`09:00:12`, from ISO."""
    return at[11:19]


def _bars(status: Mapping[str, Any]) -> RenderableType:
    phase = status["phase"]
    dwell, elapsed = phase["dwell_s"], phase["elapsed_s"]
    where = phase["name"] + (", internal users" if phase["internal_only"] else "")
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=26, overflow="ellipsis", no_wrap=True)
    grid.add_column(width=48)
    grid.add_column(width=19, justify="right", no_wrap=True)
    grid.add_row(
        "the whole rollout", _bar(status["done_percent"], 100, status), f"{status['done_percent']:.0f} %"
    )
    passed = f"{duration(int(min(elapsed, dwell)))} of {duration(dwell)}" if dwell else "no dwell"
    grid.add_row(Text(where), _bar(min(elapsed, dwell) if dwell else 0, dwell or 1, status), passed)
    grid.add_row(*_evidence(status["judge"]))
    return grid


def _evidence(judge: Mapping[str, Any] | None) -> Sequence[RenderableType]:
    """Evidence against green on its way to the line, by logarithm: full is the line, empty a thousandth of it."""
    if judge is None:
        return (
            Text("evidence against green"),
            ProgressBar(total=1, completed=0, width=48, style="grey23"),
            "-",
        )
    part = judge["evidence"] / judge["line"]
    style = "red" if part >= 1 else "yellow" if judge["verdict"] != Verdict.PASS.value else "bright_black"
    bar = ProgressBar(
        total=3,
        completed=min(3.0, 3 + math.log10(max(part, 1e-3))),
        width=48,
        style="grey23",
        complete_style=style,
        finished_style=style,
    )
    return Text("evidence against green"), bar, f"{figure(judge['evidence'])} of {judge['line']:g}"


def _bar(done: float, total: float, status: Mapping[str, Any]) -> ProgressBar:
    style = STATES[status["state"]][1]
    return ProgressBar(
        total=total, completed=done, width=48, style="grey23", complete_style=style, finished_style=style
    )


def _phases(status: Mapping[str, Any]) -> Table:
    # The box brings one column between cells; together with the widths that makes INNER.
    table = Table(box=SIMPLE_HEAD, padding=0, header_style="bright_black")
    table.add_column("phase", width=18, no_wrap=True, overflow="ellipsis")
    table.add_column("set", justify="right", width=6)
    table.add_column("met", justify="right", width=8)
    table.add_column("", width=9, justify="right")
    for name in ("green", "blue"):
        table.add_column(name, justify="right", width=9)
        table.add_column("err", justify="right", width=5)
        table.add_column("p95", justify="right", width=8)
    for number, phase in enumerate(status["phases"], start=1):
        table.add_row(*_phase_row(status, number, phase))
    return table


def _phase_row(status: Mapping[str, Any], number: int, phase: Mapping[str, Any]) -> list[RenderableType]:
    here = number == status["phase"]["index"] and status["state"] not in ENDED
    entered = phase["entered_at"] is not None
    style = "bold" if here else "" if entered else "bright_black"
    sign = "▸" if here else "●" if entered else "○"
    observed = phase["observed_share_percent"]
    blue = _together(phase["arms"], ("blue", "blue_control"))
    share = "" if observed is None else f"{observed:.1f} %"
    return [
        Text(f"{sign} {phase['name']}", style=style),
        Text(f"{phase['weight_percent']:g} %", style=style),
        Text(share, style=style),
        Text(blocks(observed), style=GREEN if entered else "bright_black"),
        *_counts(phase if entered else {}, GREEN),
        *_counts(blue, BLUE),
    ]


def _counts(counts: Mapping[str, Any], colour: str) -> list[Text]:
    if not counts.get("requests"):
        return [Text("")] * 3
    latency = counts["latency_ms_p95"]
    return [
        Text(f"{counts['requests']:,}", style=colour),
        Text(f"{counts['errors']:,}", style="bold red" if counts["errors"] else "bright_black"),
        Text("" if latency is None else f"{latency:.0f} ms", style=colour),
    ]


def _together(arms: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Several arms as one; the p95 shown is that of the busiest."""
    found = [arms[name] for name in names if name in arms]
    if not found:
        return {}
    busiest = max(found, key=lambda counts: counts["requests"])
    return {
        "requests": sum(counts["requests"] for counts in found),
        "errors": sum(counts["errors"] for counts in found),
        "latency_ms_p95": busiest["latency_ms_p95"],
    }


def blocks(share_percent: float | None, width: int = 8) -> str:
    """A small bar of eighths."""
    if share_percent is None:
        return "·" * width
    eighths = round(min(max(share_percent, 0.0), 100.0) / 100 * width * 8)
    whole, rest = divmod(eighths, 8)
    bar = "█" * whole + (" ▏▎▍▌▋▊▉"[rest] if rest else "")
    return bar + "·" * (width - len(bar))


def _checks(status: Mapping[str, Any]) -> RenderableType:
    """Gates and requirements of the present phase."""
    index = status["phase"]["index"]
    phase = status["phases"][index - 1] if index else status["staging"]
    found = [(f"gate {gate['name']}", gate) for gate in phase["gates"]]
    found += [(metric["name"], metric) for metric in phase.get("metrics", [])]
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=1)
    grid.add_column(width=26, no_wrap=True, overflow="ellipsis")
    grid.add_column(width=INNER - 31, no_wrap=True, overflow="ellipsis", style="bright_black")
    for name, check in found:
        mark, style = MARKS[check["verdict"]]
        grid.add_row(Text(mark, style=style), Text(name), Text(check["reason"]))
    return grid


def news(events: Sequence[Recorded]) -> list[Recorded]:
    """What is worth a line to somebody who sees the page anyway: not that it waits."""
    return [
        recorded
        for recorded in told(events)
        if not (recorded.type == "held/1" and recorded.data["verdict"] == Verdict.NOT_YET.value)
    ]


def _latest(events: Sequence[Recorded]) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=8, style="bright_black")
    grid.add_column(width=18, no_wrap=True, overflow="ellipsis")
    grid.add_column(width=INNER - 30, no_wrap=True, overflow="ellipsis", style="bright_black")
    rows = list(_told(events))[-LATEST:]
    for recorded, title, text in rows:
        grid.add_row(f"{recorded.at:%H:%M:%S}", Text(title), Text(text))
    for _ in range(LATEST - len(rows)):
        grid.add_row("", "", "")
    return grid


def _told(events: Sequence[Recorded]) -> Iterator[tuple[Recorded, str, str]]:
    for recorded in news(events):
        title, text = title_and_text(decode(recorded))
        yield recorded, title, text
