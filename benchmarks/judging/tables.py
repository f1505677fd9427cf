"""The results as tables: false rollbacks, delays, and what was claimed."""

from collections.abc import Iterable, Sequence

from rich.table import Table

from judging.cell import HEALTHY, INCIDENT, NOISES
from judging.claims import Answer, Claim
from judging.contest import OURS, RULES, Row

Key = tuple[str, int, float, str]
COLOURS = {Answer.MET: "green", Answer.MISSED: "red", Answer.NOT_RUN: "yellow"}


def by_cell(rows: Iterable[Row]) -> dict[Key, dict[str, Row]]:
    """The rows of each world by rule: plain worlds first, then in the order they come."""
    found: dict[Key, dict[str, Row]] = {}
    for row in sorted(rows, key=lambda row: list(NOISES).index(row.world)):
        found.setdefault((row.world, row.rps, row.base, row.effect), {})[row.rule] = row
    return found


def table_of(title: str, caption: str) -> Table:
    table = Table(title=title, caption=caption, title_justify="left", caption_justify="left")
    for heading in ("world", "req/s", "base", "effect"):
        table.add_column(heading, justify="left" if heading in {"world", "effect"} else "right", no_wrap=True)
    for rule in RULES:
        table.add_column(rule, justify="right", style="bold" if rule == OURS else "", no_wrap=True)
    return table


def add(table: Table, key: Key, cells: Sequence[str]) -> None:
    world, rps, base, effect = key
    table.add_row(world, str(rps), f"{base:.1%}", effect, *cells)


def healthy_table(rows: Iterable[Row]) -> Table:
    """Who takes back a good release, and who blames it for a shared incident."""
    table = table_of(
        "healthy releases rolled back (48 h; of a shared incident: 4 h)",
        "argo-tuned: its lines fitted, with full knowledge, to at most 1 % of these very rollouts",
    )
    for key, rules in by_cell(row for row in rows if row.effect in {HEALTHY, INCIDENT}).items():
        add(table, key, [share(rules[rule].false_rollbacks) if rule in rules else "" for rule in RULES])
    return table


def faulty_table(rows: Iterable[Row]) -> Table:
    """Who finds a bad release, when, and at what price."""
    table = table_of(
        "bad releases: median seconds until rollback, share found in 4 h, users' requests harmed on average",
        "harmed: failed because of the defect, or (p95) 300 ms or longer because of it; -: fewer than half found",
    )
    last: tuple[str, str] | None = None
    for key, rules in by_cell(row for row in rows if row.effect not in {HEALTHY, INCIDENT}).items():
        if last is not None and last != (key[0], key[3]):
            table.add_section()
        last = (key[0], key[3])
        add(table, key, [delay(rules[rule]) if rule in rules else "" for rule in RULES])
    return table


def delay(row: Row) -> str:
    if row.detected is None:
        return "all gone"
    median = "-" if row.median_s is None else f"{row.median_s:.0f}"
    return f"{median} {row.detected:.0%} {row.harmed or 0:.0f}"


def share(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f} %"


def claims_table(found: Iterable[Claim]) -> Table:
    table = Table(title="what the judge has to show", title_justify="left")
    for heading in ("claim", "found", ""):
        table.add_column(heading, overflow="fold")
    for claim in found:
        table.add_row(claim.claim, claim.found, f"[{COLOURS[claim.answer]}]{claim.answer}[/]")
    return table
