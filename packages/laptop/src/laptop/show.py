"""What people see while the laptop starts and stops, and where everything is."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from laptop.topology import BLUE_RELEASE, Topology

console = Console(stderr=True)


@contextmanager
def starting() -> Iterator[Callable[[str], None]]:
    """Shows what is being started, and how long each step took."""
    with steps("starting") as tell:
        yield tell


@contextmanager
def stopping() -> Iterator[Callable[[str], None]]:
    """Shows what is being stopped."""
    with console.status("stopping") as status:
        yield lambda name: status.update(f"stopping {name}")


@contextmanager
def steps(verb: str) -> Iterator[Callable[[str], None]]:
    """A line per finished step, and a spinner for the present one."""
    present: list[tuple[str, float]] = []

    def finish() -> None:
        if present:
            text, begun = present.pop()
            console.print(f"  [green]✓[/] {text} [dim]{time.monotonic() - begun:.1f} s[/]", highlight=False)

    with console.status(verb) as status:

        def tell(text: str) -> None:
            finish()
            present.append((text, time.monotonic()))
            status.update(f"{verb} {text}")

        yield tell
        finish()


def addresses(topology: Topology) -> None:
    """Print where everything is, and a login."""
    table = Table(title="Running until Ctrl-C", title_justify="left", show_header=False, box=None)
    rows = {
        "users arrive at": topology.url,
        f"finance {BLUE_RELEASE} (blue)": topology.at("blue"),
        "finance green, once the engine starts it": topology.at("green"),
        "the scheduler of finance": topology.at("schedule", "/health"),
        "auth": topology.at("auth"),
        "master data": topology.at("masterdata"),
        "notification (a stub)": topology.at("notification"),
        "Envoy's administration": topology.at("envoy_admin"),
        "PostgreSQL": topology.address("postgres"),
        "site file for tranche": str(topology.site_file),
        "logs": str(topology.state / "logs"),
    }
    for name, place in rows.items():
        table.add_row(name, place)
    console.print(table, highlight=False)
    people = json.loads(topology.users_file.read_text(encoding="utf-8"))
    user = next(user for user in people["users"] if "finance_manager" in user["roles"])
    login = {
        "tenant": user["tenant_id"],
        "username": user["username"],
        "password": topology.password_file.read_text(encoding="utf-8"),
    }
    console.print("\nA login:", highlight=False)
    console.print(
        f"  curl -s {topology.url}/auth/login -H 'content-type: application/json' -d '{json.dumps(login)}'",
        highlight=False,
        soft_wrap=True,
    )


def summary(found: Mapping[str, Any], short: Sequence[str], *, version: str, record: Path) -> None:
    """One sentence, the figures, and where to read on."""
    console.print()
    console.print(f"[bold]{sentence(found, version)}[/]", highlight=False)
    table = Table(box=None, pad_edge=False)
    for heading in ("phase", "set", "observed", "by chance", "users", "requests of green", "errors", "p95"):
        table.add_column(heading, justify="left" if heading == "phase" else "right")
    for phase in found["phases"]:
        share, p95 = phase["observed_share_percent"], phase["latency_ms_p95"]
        near = phase["share_by_chance_percent"]
        table.add_row(
            phase["name"],
            f"{phase['weight_percent']:g} %",
            "-" if share is None else f"{share:.1f} %",
            "-" if near is None else f"{near[0]:.1f}-{near[1]:.1f} %",
            f"{phase['users']:,}",
            f"{phase['requests']:,}",
            f"{phase['errors']:,}",
            "-" if p95 is None else f"{p95:.0f} ms",
        )
    console.print(table, highlight=False)
    rollback = found["rollback"]
    facts = {
        "failed by switching": found["failed_by_switching"],
        "users thrown back": found["users_thrown_back"],
        "users elsewhere than they belong": f"{found['users_misplaced']} of {found['users_compared']:,}",
        "acknowledged writes": f"{found['acknowledged_writes']:,}, of which lost: {found['lost_writes']}",
        "trial balance": f"off by {found['trial_balance_difference']:g}",
    }
    if rollback is not None:
        facts |= {
            "first bad to decision": f"{rollback['first_bad_to_decision_s']} s",
            "decision to last green request": f"{rollback['decision_to_last_green_request_ms']:g} ms",
            "failed requests of users": rollback["failed_user_requests"],
        }
    for name, value in facts.items():
        console.print(f"  {name:<34}{value}", highlight=False)
    for told in short:
        console.print(f"[red]  fell short: {told}[/]", highlight=False)
    console.print(f"\nThe record of this rollout: {record}", highlight=False, soft_wrap=True)


def sentence(found: Mapping[str, Any], version: str) -> str:
    """What became of it."""
    if found["outcome"] == "completed":
        return f"finance {version} serves everybody."
    if found["rollback"] is not None:
        return f"finance {version} was taken back: {found['rollback']['reason']}."
    return f"finance {version}: {found['outcome']}."
