"""The progress record in Markdown: phases, gates, decisions, evidence. Written anew as the rollout goes."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tranche.events import decode
from tranche.limits import figure
from tranche.ports import Arm, Recorded
from tranche.story import title_and_text, told

MARKS = {"pass": "✓ pass", "fail": "✗ fail", "not yet": "… not yet", "cannot tell": "? cannot tell"}
STATES = {
    "staging": "in staging",
    "baking": "under way",
    "paused": "paused",
    "rolling_back": "rolling back",
    "rolled_back": "rolled back",
    "completed": "completed",
}


def markdown(status: Mapping[str, Any], events: Sequence[Recorded]) -> str:
    """The whole record."""
    parts = [
        f"# {status['rollout']}: version {status['version']}, {STATES[status['state']]}",
        f"{_sentence(status)}",
        _facts(status),
        "## Phases",
        _phases(status["phases"]),
        "## Gates and requirements",
        _checks(status),
        "## Evidence",
        _evidence(status),
    ]
    if status["judge"]:
        parts += ["## The judge", f"{status['judge']['reason']}.", _judge(status["judge"])]
    if status["rollback"]:
        parts += ["## Rollback", _rollback(status["rollback"])]
    parts += [
        "## Weights the data plane confirmed",
        _weights(status["weight_changes"]),
        "## Decisions and events",
        _events(events),
        "*Written by the engine from its event log; do not edit. Times are UTC.*",
    ]
    return "\n\n".join(parts) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{'|'.join('---' for _ in head)}|"]
    lines += [f"| {' | '.join(cell(value) for value in row)} |" for row in rows]
    return "\n".join(lines)


def cell(value: object) -> str:
    text = "-" if value is None or value == "" else str(value)
    return text.replace("|", "\\|").replace("\n", " ")


def when(at: str | None) -> str | None:
    """`2026-01-05 09:00:12`, from ISO."""
    return at[:19].replace("T", " ") if at else None


def percent(value: float | None) -> str | None:
    return None if value is None else f"{value:.1f} %"


def milliseconds(value: float | None) -> str | None:
    return None if value is None else f"{value:.0f} ms"


def _sentence(status: Mapping[str, Any]) -> str:
    verdict = status["verdict"]
    return f"**{MARKS[verdict['verdict']]}** - {verdict['reason']}"


def _facts(status: Mapping[str, Any]) -> str:
    return table(
        ("", ""),
        (
            ("plan", f"{status['plan']['name']} ({status['plan']['file']})"),
            ("plan digest", f"`{status['plan']['digest']}`"),
            ("started", f"{when(status['started_at'])} by {status['started_by']}"),
            ("ended", when(status["ended_at"])),
            ("planned time passed", f"{status['done_percent']:g} %"),
            *_exceptions(status),
        ),
    )


def _exceptions(status: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What few rollouts have: a point of no return that is passed, a hotfix, a harm budget."""
    rows = []
    point, freeze, budget = status["point_of_no_return"], status["freeze"], status["harm_budget"]
    if point is not None and point["passed_at"]:
        rows.append(
            ("past the point of no return", f"{when(point['passed_at'])}, {point['phase']}: {point['about']}")
        )
    if freeze is not None and freeze["hotfix_by"]:
        rows.append(("declared a hotfix", f"by {freeze['hotfix_by']}"))
    if budget is not None and budget["spent"] is not None:
        rows.append(("harm", f"{budget['spent']:.0f} of at most {budget['requests']} requests"))
    return rows


def _phases(phases: Sequence[Mapping[str, Any]]) -> str:
    return table(
        ("phase", "set", "observed", "from", "to", "requests on green", "errors", "p95"),
        (
            (
                phase["name"],
                f"{phase['weight_percent']:g} %",
                percent(phase["observed_share_percent"]),
                when(phase["entered_at"]),
                when(phase["left_at"]),
                phase["requests"] or None,
                phase["errors"] if phase["requests"] else None,
                milliseconds(phase["latency_ms_p95"]),
            )
            for phase in phases
        ),
    )


def _checks(status: Mapping[str, Any]) -> str:
    rows: list[Sequence[object]] = [
        ("staging", f"gate {gate['name']}", MARKS[gate["verdict"]], gate["reason"])
        for gate in status["staging"]["gates"]
    ]
    for phase in status["phases"]:
        rows += [
            (phase["name"], f"gate {gate['name']}", MARKS[gate["verdict"]], gate["reason"])
            for gate in phase["gates"]
        ]
        rows += [
            (phase["name"], metric["name"], MARKS[metric["verdict"]], metric["reason"])
            for metric in phase["metrics"]
        ]
    return table(("phase", "check", "verdict", "why"), rows)


def _evidence(status: Mapping[str, Any]) -> str:
    mirror = status["staging"]["mirror"]
    arms = [("staging", Arm.MIRROR.value, mirror)] if mirror is not None else []
    arms += [
        (phase["name"], arm, counts) for phase in status["phases"] for arm, counts in phase["arms"].items()
    ]
    return table(
        ("phase", "arm", "requests", "errors", "p95"),
        (
            (phase, arm, counts["requests"], counts["errors"], milliseconds(counts["latency_ms_p95"]))
            for phase, arm, counts in arms
        ),
    )


def _judge(judge: Mapping[str, Any]) -> str:
    return table(
        ("question", "evidence", "dispersion", "counted"),
        (
            (one["name"], figure(one["evidence"]), f"{one['dispersion']:.2f}", one["words"])
            for one in judge["questions"]
        ),
    )


def _rollback(rollback: Mapping[str, Any]) -> str:
    rows = [
        ("why", rollback["reason"]),
        ("cause", rollback["cause"]),
        ("decided by", rollback["actor"]),
        ("first bad sign", when(rollback["first_bad_at"])),
        ("decided", rollback["decided_at"]),
        ("confirmed by the data plane", rollback["applied_at"]),
    ]
    plain = {key: value for key, value in rollback["numbers"].items() if not isinstance(value, list)}
    rows += [(key, _number(value)) for key, value in plain.items()]
    return table(("", ""), rows)


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _weights(changes: Sequence[Mapping[str, Any]]) -> str:
    return table(
        ("at", "green", "internal users", "identifier"),
        (
            (
                change["at"],
                f"{change['green_weight_percent']:g} %",
                "green" if change["internal_to_green"] else "as everybody",
                change["identifier"],
            )
            for change in changes
        ),
    )


def _events(events: Sequence[Recorded]) -> str:
    rows = []
    for recorded in told(events):
        title, text = title_and_text(decode(recorded))
        rows.append((f"{recorded.at:%Y-%m-%d %H:%M:%S}", title, recorded.actor, text))
    return table(("at", "what", "who", "why"), rows)
