"""What the command line prints for people: plain lines of at most a hundred columns."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from tranche.events import Held, Measured, PhaseEntered, RollbackDecided, SteppedBack, decode
from tranche.judgement import figure
from tranche.plan import duration
from tranche.ports import Recorded, Split
from tranche.progress import Progress, percent_of
from tranche.story import title_and_text

WIDTH = 100
MARKS = {"pass": "✓", "fail": "✗", "not yet": "…", "cannot tell": "?"}
DECISIONS = (PhaseEntered, SteppedBack, RollbackDecided, Held)
LATEST = 5

Json = dict[str, Any]


def text_of_status(status: Mapping[str, Any]) -> str:
    """The whole document in about twenty lines."""
    phase, verdict = status["phase"], status["verdict"]
    state = status["state"].replace("_", " ")
    done = f"{status['done_percent']:.0f} % of the planned time"
    lines = [
        f"{status['rollout']}  version {status['version']}  {state}, {done}",
        *textwrap.wrap(f"{MARKS[verdict['verdict']]} {verdict['reason']}", WIDTH, subsequent_indent="  "),
        "",
        f"  {'phase':<22} {'set':>6} {'observed':>9}   {'green: requests':>15} {'errors':>7} {'p95':>8}",
    ]
    for number, row in enumerate(status["phases"], start=1):
        lines.append(_phase_line(row, here=number == phase["index"]))
    here = status["phases"][phase["index"] - 1] if phase["index"] else status["staging"]
    checks = [(f"gate {gate['name']}", gate) for gate in here["gates"]]
    checks += [(metric["name"], metric) for metric in here.get("metrics", [])]
    if checks:
        lines.append("")
    for name, check in checks:
        text = f"  {MARKS[check['verdict']]} {name:<24} {check['reason']}"
        lines.append(textwrap.shorten(text, WIDTH, placeholder=" …") if len(text) > WIDTH else text)
    if status["judge"]:
        told = f"  {MARKS[status['judge']['verdict']]} {'judge':<24} {status['judge']['reason']}"
        lines.append(textwrap.shorten(told, WIDTH, placeholder=" …") if len(told) > WIDTH else told)
    return "\n".join([*lines, "", _controller_line(status)])


BARS = "▁▂▃▄▅▆▇█"
SPARKS = 12


def spark(values: Sequence[float], line: float) -> str:
    """The way of evidence, by logarithm: the lowest bar is a thousandth of the line or less, the highest the line."""
    every = max(1, -(-len(values) // SPARKS))
    shown = [max(values[at : at + every]) for at in range(0, len(values), every)]
    heights = [3 + math.log10(max(value / line, 1e-3)) for value in shown]
    return "".join(BARS[min(7, int(height / 3 * 7))] for height in heights)


def _judge_lines(judge: Mapping[str, Any]) -> list[str]:
    """Every question with its evidence, where that came from, and what was counted."""
    lines = [
        "",
        f"evidence against green: {figure(judge['evidence'])} of {judge['line']:g} that take it back",
    ]
    for number, one in enumerate(judge["questions"]):
        past = spark([values[number] for _, values in judge["trace"]], judge["line"])
        text = f"  {one['name']:<27} {figure(one['evidence']):>9}  {past:<{SPARKS}}  {one['words']}"
        lines += textwrap.wrap(text, WIDTH, subsequent_indent=" " * 55)
    return lines


def _phase_line(row: Mapping[str, Any], *, here: bool) -> str:
    share, latency = row["observed_share_percent"], row["latency_ms_p95"]
    counted = row["entered_at"] is not None
    return " ".join(
        (
            "▸" if here else " ",
            f"{row['name']:<22}",
            f"{row['weight_percent']:>4g} %",
            f"{'-' if share is None else f'{share:.1f} %':>9}  ",
            f"{row['requests'] if counted else '-':>15}",
            f"{row['errors'] if counted else '-':>7}",
            f"{'-' if latency is None else f'{latency:.0f} ms':>8}",
        )
    ).rstrip()


def _controller_line(status: Mapping[str, Any]) -> str:
    if status["ended_at"]:
        return f"ended {status['ended_at'][:19]}"
    phase = status["phase"]
    passed = f"{phase['name']}: {duration(int(phase['elapsed_s']))} of {duration(phase['dwell_s'])}"
    if status["controller"]["alive"]:
        return f"{passed}; the controller looked last at {str(status['controller']['last_tick_at'])[:19]}"
    return f"{passed}; no controller is alive: traffic stays as it is ('tranche control' takes over)"


def explanation(
    status: Mapping[str, Any], seen: Mapping[str, Any] | None, events: Sequence[Recorded]
) -> Json:
    """The present verdict, every check and limit with its numbers, and the last decisions with theirs."""
    is_here = seen is not None and seen.get("rollout") == status["rollout"] and not status["ended_at"]
    decisions = [recorded for recorded in events if isinstance(decode(recorded), DECISIONS)]
    return {
        "rollout": status["rollout"],
        "state": status["state"],
        "verdict": status["verdict"],
        "checks": list(seen["checks"]) if is_here and seen else [],
        "limits": list(seen["limits"]) if is_here and seen else [],
        "judge": status["judge"],
        "decisions": [_decision(recorded, events) for recorded in decisions[-LATEST:]],
    }


def _decision(recorded: Recorded, events: Sequence[Recorded]) -> Json:
    """A decision, with the counts recorded beside it."""
    event = decode(recorded)
    title, text = title_and_text(event)
    numbers: Json = dict(getattr(event, "numbers", {}))
    before = events[recorded.position - 2] if recorded.position > 1 else None
    measured = decode(before) if before is not None else None
    if not isinstance(event, Held) and isinstance(measured, Measured):
        numbers |= {"arms": dict(measured.arms), "checks": dict(measured.checks)}
    return {
        "at": recorded.at.isoformat(),
        "actor": recorded.actor,
        "decision": title,
        "reason": text,
        "numbers": numbers,
    }


def text_of_explanation(document: Mapping[str, Any]) -> str:
    verdict = document["verdict"]
    lines = [f"{document['rollout']} is {document['state'].replace('_', ' ')}"]
    lines += textwrap.wrap(f"{MARKS[verdict['verdict']]} {verdict['reason']}", WIDTH, subsequent_indent="  ")
    for head, rows in (("checks", document["checks"]), ("limits", document["limits"])):
        if rows:
            lines += ["", head]
        for row in rows:
            text = f"  {MARKS[row['verdict']]} {row['name']:<32} {row['reason']}"
            lines += textwrap.wrap(text, WIDTH, subsequent_indent=" " * 37)
            if isinstance(row["numbers"], Mapping) and "lower" in row["numbers"]:
                lines.append(" " * 37 + _bounds(row["numbers"]))
    lines += _judge_lines(document["judge"]) if document["judge"] else []
    lines += ["", "decisions"] if document["decisions"] else []
    for decision in document["decisions"]:
        text = f"  {decision['at'][11:19]}  {decision['decision']}: {decision['reason']}"
        lines += textwrap.wrap(text, WIDTH, subsequent_indent=" " * 12)
        if "lower" in decision["numbers"]:
            lines.append(" " * 12 + _bounds(decision["numbers"]))
    return "\n".join(lines)


def _bounds(numbers: Mapping[str, Any]) -> str:
    line = numbers.get("limit", numbers.get("line"))
    told = f"{numbers['bad']} bad of {numbers['requests']}; between {100 * numbers['lower']:.2f} %"
    told += f" and {100 * numbers['upper']:.2f} % (99 % each)"
    return told + (f"; the line is {100 * line:g} %" if line is not None else "")


def who_is(progress: Progress, *, user: str, internal: bool) -> Json:
    """The arm of a user now, and at every weight the data plane has confirmed."""
    from tranche.bucket import arm_of

    changes = []
    for change in progress.changes:
        split = Split(
            identifier=change.identifier,
            salt=progress.salt,
            green_weight=change.green_weight,
            internal_to_green=change.internal_to_green,
        )
        arm = arm_of(user, split, internal=internal)
        weight = percent_of(change.green_weight)
        changes.append({"at": change.at.isoformat(), "green_weight_percent": weight, "arm": arm.value})
    since = None
    for change_row in reversed(changes):
        if change_row["arm"] != changes[-1]["arm"]:
            break
        since = change_row["at"]
    return {
        "rollout": progress.rollout,
        "user": user,
        "internal": internal,
        "arm": changes[-1]["arm"] if changes else None,
        "since": since,
        "changes": changes,
    }


def text_of_who(document: Mapping[str, Any]) -> str:
    if document["arm"] is None:
        return f"{document['rollout']} has not moved anybody yet: {document['user']} is on blue"
    lines = [f"{document['user']} is on {document['arm']} since {str(document['since'])[:19]}"]
    lines += [
        f"  {change['at'][:19]}  {change['green_weight_percent']:>5g} %  {change['arm']}"
        for change in document["changes"]
    ]
    return "\n".join(lines)
