"""What the command line prints for people: plain lines of at most a hundred columns."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tranche.events import Held, Measured, PhaseEntered, RollbackDecided, SteppedBack, decode
from tranche.limits import figure
from tranche.plan import duration
from tranche.ports import Recorded, Split
from tranche.progress import Progress, percent_of
from tranche.story import title_and_text

if TYPE_CHECKING:
    from tranche.access import Token
    from tranche.audit import Export

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
        *_notices(status),
        "",
        f"  {'phase':<22} {'set':>6} {'observed':>9}   {'green: requests':>15} {'errors':>7} {'p95':>8}",
    ]
    for number, row in enumerate(status["phases"], start=1):
        lines.append(_phase_line(row, here=number == phase["index"]))
    here = status["phases"][phase["index"] - 1] if phase["index"] else status["staging"]
    if here.get("mirror"):
        lines += ["", f"  {_copies(here['mirror'])}"]
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


def _copies(mirror: Mapping[str, Any]) -> str:
    latency = mirror["latency_ms_p95"]
    told = (
        f"copies of {mirror['percent']:g} % of the reads: {mirror['errors']} errors in {mirror['requests']}"
    )
    return told if latency is None else f"{told}, p95 {latency:.0f} ms"


def _notices(status: Mapping[str, Any]) -> list[str]:
    """What a person must know before they touch it."""
    told = []
    point, freeze, budget = status["point_of_no_return"], status["freeze"], status["harm_budget"]
    if point is not None and point["passed_at"]:
        when = point["passed_at"][:16].replace("T", " ")
        told.append(f"past the point of no return ({point['phase']}, {when}): {point['about']};")
        told[-1] += " a rollback is no remedy, and is refused unless forced"
    if status.get("abort") is not None:
        when = status["abort"]["at"][:16].replace("T", " ")
        told.append(f"{status['abort']['by']} took users back at {when}, and the event log was not told yet;")
        told[-1] += " a controller, or the next who asks for something, tells it"
    if freeze is not None and freeze["frozen"]:
        bypass = f", and {freeze['hotfix_by']} declared this a hotfix" if freeze["hotfix_by"] else ""
        told.append(f"frozen from {freeze['frozen']}{bypass}")
    if budget is not None and budget["spent"] is not None:
        told.append(f"harm: {budget['spent']:.0f} of {budget['requests']} requests")
    lines = [textwrap.wrap(f"! {text}", WIDTH, subsequent_indent="  ") for text in told]
    return [line for wrapped in lines for line in wrapped]


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


def text_of_cases(rollout: str, cases: Sequence[Mapping[str, Any]]) -> str:
    """What a person is asked to approve, and how they say yes."""
    lines: list[str] = []
    for case in cases:
        evidence = case["evidence"]
        where = f"{evidence['name']} at {evidence['weight_percent']:g} %"
        lines += [
            f"{rollout}: version {evidence['version']}, {where} ({evidence['stay']})",
            *textwrap.wrap(f"{MARKS[case['verdict']]} {case['reason']}", WIDTH, subsequent_indent="  "),
        ]
        for name, answer in evidence["gates"].items():
            text = f"  {MARKS[answer['verdict']]} {'gate ' + name:<32} {answer['reason']}"
            lines += textwrap.wrap(text, WIDTH, subsequent_indent=" " * 37)
        for name, check in case["checks"].items():
            if not name.startswith("gate "):
                text = f"  {MARKS[check['verdict']]} {name:<32} {check['reason']}"
                lines += textwrap.wrap(text, WIDTH, subsequent_indent=" " * 37)
        who = ", ".join(case["approvers"]) or f"anybody but {case['not']}"
        lines += [
            f"  approved by: {', '.join(case['approved_by']) or 'nobody'}; may: {who}; counts {case['expires']}",
            f"  tranche approve {case['gate']} --evidence {case['digest']}",
            "",
        ]
    return "\n".join(lines[:-1])


def who_is(progress: Progress, *, user: str, internal: bool) -> Json:
    """The arm of a user now, and at every weight the data plane has confirmed.

    `place_percent` is where they stand on the hash line: green has them once its weight is above it.
    """
    from tranche.bucket import arm_of, place_of

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
        "place_percent": percent_of(place_of(user, progress.salt)),
        "arm": changes[-1]["arm"] if changes else None,
        "since": since,
        "changes": changes,
    }


def text_of_who(document: Mapping[str, Any]) -> str:
    place = f"stands at {document['place_percent']:g} %: on green once it has more than that"
    if document["arm"] is None:
        return f"{document['rollout']} has not moved anybody yet: {document['user']} is on blue\n  {place}"
    lines = [f"{document['user']} is on {document['arm']} since {str(document['since'])[:19]}", f"  {place}"]
    lines += [
        f"  {change['at'][:19]}  {change['green_weight_percent']:>5g} %  {change['arm']}"
        for change in document["changes"]
    ]
    return "\n".join(lines)


def where_they_stand(progress: Progress, users: Sequence[str]) -> Json:
    """The place of each of these users on the hash line, in percent: green has them once its weight is above it."""
    from tranche.bucket import place_of

    places = [{"user": user, "place_percent": percent_of(place_of(user, progress.salt))} for user in users]
    return {"rollout": progress.rollout, "users": places}


def text_of_places(document: Mapping[str, Any]) -> str:
    """A line for each user: the place, and who stands there."""
    return "\n".join(f"{one['place_percent']:>6.2f} %  {one['user']}" for one in document["users"])


def evidence_document(exported: "Export") -> Json:
    """What was found in exported evidence."""
    progress = exported.cases[-1].before if exported.cases else None
    return {
        "rollout": exported.head["rollout"],
        "exported_at": exported.head["exported_at"],
        "exported_by": exported.head["exported_by"],
        "events": len(exported.events),
        "entries": len(exported.cases),
        "asks": exported.asks,
        "asks_have_entries_since": exported.asked_since,
        "asks_without_entry": list(exported.unasked),
        "unsigned_entries": exported.unsigned,
        "seal_signed": bool(exported.seal_keys),
        "keys": list(exported.keys),
        "decisions_without_entry": list(exported.uncovered),
        "version": progress.version if progress is not None else None,
        "outcome": exported.dossier["outcome"],
        "missing": exported.dossier["missing"],
    }


def text_of_evidence(file: str, document: Mapping[str, Any]) -> str:
    """As `evidence_document`. What is unsigned, uncovered or missing is said as plainly as what is there."""
    lines = [
        f"{file}: {document['rollout']}, {document['outcome']['state'].replace('_', ' ')}",
        f"  unchanged: {document['events']} events, {document['entries']} entries in the chain",
    ]
    if document["unsigned_entries"]:
        told = f"  NOT SIGNED: {document['unsigned_entries']} of {document['entries']} entries"
        lines.append(f"{told}; whoever wrote the file could have written another")
    if not document["seal_signed"]:
        lines.append("  NOT SIGNED: the seal of the file")
    lines += [f"  signed by {key}" for key in document["keys"]]
    if document["keys"]:
        lines.append("  a signature is worth what you know of its key: compare it, or give --key")
    if document["decisions_without_entry"]:
        positions = ", ".join(str(each) for each in document["decisions_without_entry"])
        lines.append(f"  no entry vouches for the decisions at {positions}: an older release made them")
    if document["asks_without_entry"]:
        positions = ", ".join(str(each) for each in document["asks_without_entry"])
        since = document["asks_have_entries_since"]
        told = f"asks have entries since position {since}" if since else "no ask has an entry"
        lines.append(f"  no entry vouches for what people asked at {positions}: {told}")
    lines += [f"  missing for {each['demand']}: {each['what']}" for each in document["missing"]]
    return "\n".join(lines)


def tokens_json(tokens: "Sequence[tuple[Token, bool]]") -> list[Json]:
    """Every token, without its hash."""
    return [
        {
            "name": token.name,
            "role": token.role.value,
            "counts": counts,
            "expires_at": token.expires_at.isoformat(),
            "revoked_at": token.revoked_at.isoformat() if token.revoked_at else None,
            "created_at": token.created_at.isoformat(),
            "created_by": token.created_by,
        }
        for token, counts in tokens
    ]


def text_of_tokens(tokens: Sequence[Mapping[str, Any]]) -> str:
    lines = [f"  {'name':<24} {'role':<10} {'counts':<7} {'until':<17} made by"]
    for token in tokens:
        until = (token["revoked_at"] or token["expires_at"])[:16].replace("T", " ")
        counts = "yes" if token["counts"] else "no"
        lines.append(
            f"  {token['name']:<24} {token['role']:<10} {counts:<7} {until:<17} {token['created_by']}"
        )
    return "\n".join(lines)


def event_json(recorded: Recorded) -> Json:
    """An event as the log has it, and in words."""
    title, text = title_and_text(decode(recorded))
    return {
        "rollout": recorded.rollout,
        "position": recorded.position,
        "type": recorded.type,
        "at": recorded.at.isoformat(),
        "actor": recorded.actor,
        "title": title,
        "text": text,
        "data": dict(recorded.data),
    }


def text_of_abort(taken: Mapping[str, Any]) -> str:
    """That users were taken back without the log."""
    return "\n".join(
        (
            f"{taken['rollout'] or 'no rollout'}: everybody is on blue; the event log was not told",
            f"  {taken['because']}",
            f"  it stands in {taken['kept_in']}: the controller, or the next who asks, tells the log and stops green",
        )
    )


def report(progress: Progress) -> Json:
    """Where a rollout stands after something was asked of it."""
    rollback = progress.rollback
    return {
        "rollout": progress.rollout,
        "version": progress.version,
        "state": progress.state.value,
        "phase": progress.stay.name,
        "position": progress.position,
        "decided_at": rollback.decided_at.isoformat() if rollback else None,
        "applied_at": rollback.applied_at.isoformat() if rollback and rollback.applied_at else None,
    }
