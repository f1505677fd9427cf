"""Whether a plan that reads well also means something: what could never happen, and what would happen otherwise.

A refusal is about what can never work, here or anywhere; 'tranche start' refuses it, too. A warning is about what
works, but likely not as meant. What only traffic can tell - whether there are requests enough - is not guessed at.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from tranche.freeze import Freeze
from tranche.gate_kinds import strings_of
from tranche.plan import Answer, Limit, Metric, Phase, Plan, PlannedGate, duration
from tranche.ports import Colour
from tranche.secret import Secret, SecretMissing
from tranche.shape import FileRefused, Place, nearest
from tranche.site import Site
from tranche.text import PLACEHOLDER

Json = dict[str, Any]

CODES: Final = {
    "never-told": "a requirement that nothing can measure",
    "never-met": "a requirement that nothing can meet",
    "never-fires": "a limit whose time is longer than green has users",
    "always-frozen": "freezes that leave no time to go forward",
    "not-here": "a gate or a route that the site lacks something for",
    "overtaken": "a limit that another one always answers before",
    "window-longer-than-dwell": "a phase that may end before a limit has looked at it alone",
    "within-warm-up": "a first phase that is over before the judge listens",
    "no-dwell": "a phase with requirements that may end at once",
    "step-back-is-rollback": "a limit that steps back where there is nowhere to step back to",
    "budget-within-chance": "a harm budget that chance alone may spend",
    "return-is-barred": "something whose meaning a point of no return changes",
    "mirror-sees-nothing": "copies of requests in a staging that lasts no time",
    "freeze-is-over": "a dated freeze in the past",
    "secret-missing": "a secret that whoever checks cannot read",
}
"""What each finding is about; docs/plan-check.md says what to do."""


class Severity(StrEnum):
    """Whether the plan can be carried out all the same."""

    REFUSED = "refused"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`line` is of the plan. `message` says what was found and what to do."""

    severity: Severity
    code: str
    line: int
    message: str


class MeansNothing(FileRefused):
    """A plan of which a part can never work."""

    code = "means-nothing"


def lint(plan: Plan, *, now: datetime) -> list[Finding]:
    """What is wrong with the plan wherever it is used; refusals first, then by line."""
    return _sorted(finding for rule in RULES for finding in rule(plan)) + _sorted(_past_freezes(plan, now))


def lint_here(
    plan: Plan, site: Site, *, lent: frozenset[str], find: Callable[[str], str | None]
) -> list[Finding]:
    """What the plan needs and this site lacks.

    `lent` are the variables gates are lent; `find` answers where a program is, or None.
    """
    gates = [(phase, gate) for phase in plan.phases for gate in phase.gates]
    found = [finding for phase, gate in gates for finding in _here(phase, gate, site, lent, find)]
    here = (*_routes(plan, site), *_internal(plan, site), *_read_only(plan, site), *_green(site))
    return _sorted(iter([*found, *here]))


def _green(site: Site) -> Iterator[Finding]:
    """Who does not start green cannot know which version runs there, and never calls it ready."""
    if not site.environment.colours[Colour.GREEN].managed:
        told = "green is not managed by this site, so nobody can tell which version runs as green"
        yield _refused("not-here", 1, f"{told}; give 'environment.colours.green' the command that starts it")


def _read_only(plan: Plan, site: Site) -> Iterator[Finding]:
    """Only who runs the service knows what changes nothing."""
    staging = plan.phases[0]
    if staging.mirror_percent and not site.traffic.read_only:
        told = "staging mirrors requests, and this site names no path whose reads change nothing"
        yield _refused("not-here", staging.line, f"{told}; add 'traffic.read_only', or drop 'mirror'")


def _internal(plan: Plan, site: Site) -> Iterator[Finding]:
    """Only a token says who is of the company."""
    first = plan.phases[1]
    if first.internal_users_first_s and site.traffic.identity is None:
        told = f"phase '{first.name}' sends internal users first, and this site knows nobody"
        todo = "add 'traffic.identity', or drop 'internal_users_first'"
        yield _refused("not-here", first.line, f"{told}; {todo}")


def _routes(plan: Plan, site: Site) -> Iterator[Finding]:
    """Routes that the plan names, and nobody here is told by."""
    for name in plan.notify:
        if name not in site.notify:
            hint = nearest(name, site.notify) if site.notify else "add it under 'notify' of the site"
            yield _refused(
                "not-here", 1, f"'notify' names the route '{name}', which this site does not have; {hint}"
            )


def refuse(findings: list[Finding], file: str) -> None:
    """Raises:
    MeansNothing: with the first refusal among these.
    """
    for finding in findings:
        if finding.severity is Severity.REFUSED:
            raise MeansNothing(Place(file=file, line=finding.line), finding.message)


def checked(
    file: str, plan: Plan | None, findings: list[Finding], refusal: FileRefused | None = None
) -> Json:
    """The outcome as a document; `refusal` is why the file could not even be read."""
    rows = [
        {"severity": each.severity.value, "code": each.code, "line": each.line, "message": each.message}
        for each in findings
    ]
    if refusal is not None:
        rows.append(
            {
                "severity": Severity.REFUSED.value,
                "code": refusal.code,
                "line": refusal.place.line,
                "message": refusal.message,
            }
        )
    return {
        "file": file,
        "plan": plan.name if plan else None,
        "digest": plan.digest if plan else None,
        "phases": [
            {"name": phase.name, "weight_percent": phase.weight_percent, "dwell_s": phase.dwell_s}
            for phase in (plan.phases if plan else ())
        ],
        "refused": [row for row in rows if row["severity"] == Severity.REFUSED.value],
        "warnings": [row for row in rows if row["severity"] == Severity.WARNING.value],
    }


def text_of_check(file: str, plan: Plan, findings: list[Finding]) -> str:
    """The outcome for people: a line for each phase, and one for each finding."""
    refused = sum(each.severity is Severity.REFUSED for each in findings)
    outcome = "cannot be carried out" if refused else "can be carried out"
    lines = [f"{file}: plan '{plan.name}' {outcome}, {plan.digest}"]
    lines += [
        f"  {phase.name:<24} {phase.weight_percent:>5g} %  at least {duration(phase.dwell_s)}"
        for phase in plan.phases[1:]
    ]
    return "\n".join(
        [*lines, *(f"{file}:{each.line}: {each.severity}: {each.message} [{each.code}]" for each in findings)]
    )


def _sorted(findings: Iterator[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda found: (found.severity, found.line))


def _refused(code: str, line: int, message: str) -> Finding:
    return Finding(severity=Severity.REFUSED, code=code, line=line, message=message)


def _warning(code: str, line: int, message: str) -> Finding:
    return Finding(severity=Severity.WARNING, code=code, line=line, message=message)


# Wherever it is used.


def _requirements(plan: Plan) -> Iterator[Finding]:
    for phase in plan.phases[1:]:
        for bound in phase.requirements:
            where = f"phase '{phase.name}' requires '{bound}'"
            if bound.metric is Metric.CACHE_HITS:
                todo = "ask for it with a gate of kind 'query' at the end of the phase"
                yield _refused("never-told", phase.line, f"{where}, which nothing measures; {todo}")
            if bound.metric is Metric.RESTARTS and bound.value <= 0:
                todo = "write 'restarts < 1' for none at all"
                yield _refused("never-met", phase.line, f"{where}, which no version can meet; {todo}")


def _limits(plan: Plan) -> Iterator[Finding]:
    last_s = sum(phase.dwell_s + phase.internal_users_first_s for phase in plan.phases[1:])
    longest_s = max(phase.dwell_s for phase in plan.phases[1:])
    for limit in plan.limits:
        is_local = limit.answer is Answer.STEP_BACK
        most_s, span = (longest_s, "the longest phase") if is_local else (last_s, "the rollout")
        if limit.sustained_s > most_s:
            told = f"the limit '{limit}' needs longer than {span} is planned to last ({duration(most_s)})"
            yield _refused("never-fires", limit.line, f"{told}, so it never fires; shorten its time")
            continue
        short = [phase.name for phase in plan.phases[1:] if phase.dwell_s < limit.sustained_s]
        if short:
            told = f"the limit '{limit}' looks further back than {_names(short)} must last"
            todo = "lengthen the dwell, or shorten the limit's time"
            yield _warning("window-longer-than-dwell", limit.line, f"{told}; {todo}")


def _names(phases: list[str]) -> str:
    return f"phase{'s' if len(phases) > 1 else ''} " + ", ".join(f"'{name}'" for name in phases)


def _overtaken(plan: Plan) -> Iterator[Finding]:
    for number, limit in enumerate(plan.limits):
        for other_number, other in enumerate(plan.limits):
            is_twin = _as_strict(limit, other) and other_number > number
            if other is not limit and _as_strict(other, limit) and not is_twin:
                told = f"the limit '{limit}' ({limit.answer}) never answers: '{other}' ({other.answer}) does so before"
                yield _warning("overtaken", limit.line, f"{told}; drop it, or make it differ")
                break


def _as_strict(one: Limit, other: Limit) -> bool:
    """Whether whatever breaks `other` breaks `one` no later, and is answered at least as hard."""
    severity = list(Answer)
    same_kind = (one.bound.edge_ms is None) == (other.bound.edge_ms is None)
    return (
        same_kind
        and (one.bound.edge_ms or 0) <= (other.bound.edge_ms or 0)
        and one.bound.bad_share <= other.bound.bad_share
        and one.sustained_s <= other.sustained_s
        and one.minimum_requests <= other.minimum_requests
        and severity.index(one.answer) <= severity.index(other.answer)
    )


def _step_backs(plan: Plan) -> Iterator[Finding]:
    for limit in plan.limits:
        if limit.answer is Answer.STEP_BACK and (plan.last < 2 or not plan.step_backs):
            why = "there is one phase only" if plan.last < 2 else "'step_backs' is 0"
            told = f"the limit '{limit}' steps back, and {why}, so it rolls back"
            yield _warning("step-back-is-rollback", limit.line, f"{told}; write 'roll_back' to say so")


def _dwells(plan: Plan) -> Iterator[Finding]:
    first = plan.phases[1]
    if plan.warm_up_s > 0 and first.dwell_s + first.internal_users_first_s <= plan.warm_up_s:
        told = f"phase '{first.name}' may end after {duration(first.dwell_s + first.internal_users_first_s)}"
        told += f", and green is not judged for {duration(plan.warm_up_s)}, so it lasts longer than it says"
        yield _warning("within-warm-up", first.line, f"{told}; lengthen the dwell, or shorten 'warm_up'")
    for phase in plan.phases[1:]:
        if phase.requirements and not phase.dwell_s:
            told = f"phase '{phase.name}' requires something and has no dwell, so a lucky start is enough"
            yield _warning("no-dwell", phase.line, f"{told}; give it time to show it")


def _mirror(plan: Plan) -> Iterator[Finding]:
    staging = plan.phases[0]
    if staging.mirror_percent and not staging.dwell_s:
        told = "staging mirrors requests and has no dwell, so it may end before green has answered any"
        yield _warning("mirror-sees-nothing", staging.line, f"{told}; give it time")


def _return(plan: Plan) -> Iterator[Finding]:
    number = plan.point_of_no_return
    if number is None:
        return
    first = plan.phases[number]
    if first.weight_percent < 100:
        told = f"past the point of no return '{first.name}' blue still serves"
        told += f" {100 - first.weight_percent:g} % of the users"
        yield _warning("return-is-barred", first.line, f"{told}; be sure that it can")
    for phase in plan.phases[number:]:
        for gate in phase.gates:
            if gate.on_fail == "roll_back":
                told = (
                    f"gate '{gate.name}' of '{phase.name}' rolls back, which is past the point of no return"
                )
                yield _warning("return-is-barred", gate.line, f"{told}: it stops the rollout; write 'hold'")


SURELY: Final = 3.0
"""Standard deviations that chance is given before a budget is called small."""


def _budget(plan: Plan) -> Iterator[Finding]:
    """Failures are counted, so they vary by about the square root of their number (Poisson)."""
    lines = {
        phase.name: bound.bad_share
        for phase in plan.phases[1:]
        for bound in phase.requirements
        if bound.metric is Metric.ERRORS
    }
    allowed = sum(phase.minimum_requests * lines.get(phase.name, 0.0) for phase in plan.phases[1:])
    least = math.ceil(SURELY * math.sqrt(allowed))
    if plan.harm_budget is not None and plan.harm_budget < least:
        told = f"the requirements allow {allowed:.0f} failures in the least requests they are judged on"
        told += f", and chance alone moves that by {least}, more than the harm budget of {plan.harm_budget}"
        yield _warning("budget-within-chance", 1, f"{told}; give it at least {least} requests")


MONDAY: Final = datetime.fromisoformat("2026-01-05T00:00:00+00:00")


def _frozen(plan: Plan) -> Iterator[Finding]:
    recurring = tuple(freeze for freeze in plan.freezes if freeze.begins.recurs != "once")
    minutes = (MONDAY + timedelta(minutes=minute) for minute in range(7 * 24 * 60))
    if recurring and all(any(freeze.covers(now) for freeze in recurring) for now in minutes):
        told = "the freezes leave no minute of the week in which the rollout could go forward"
        yield _refused(
            "always-frozen", recurring[0].line, f"{told}; shorten one of: {'; '.join(map(str, recurring))}"
        )


def _past_freezes(plan: Plan, now: datetime) -> Iterator[Finding]:
    for freeze in plan.freezes:
        if freeze.begins.recurs == "once" and _is_over(freeze, now):
            yield _warning(
                "freeze-is-over", freeze.line, f"the freeze {freeze} is over; drop it, or mend its year"
            )


def _is_over(freeze: Freeze, now: datetime) -> bool:
    """By the date alone: a day early or late makes no difference to a hint."""
    return (freeze.ends.date or "") < now.date().isoformat()


RULES: Final = (_requirements, _limits, _overtaken, _step_backs, _dwells, _mirror, _budget, _return, _frozen)


# On one site.


def _here(
    phase: Phase, gate: PlannedGate, site: Site, lent: frozenset[str], find: Callable[[str], str | None]
) -> Iterator[Finding]:
    where = f"gate '{gate.name}' of '{phase.name}'"
    for name in sorted(_variables(gate) - lent):
        told = f"{where} needs the variable '{{{name}}}', which the site does not lend"
        yield _refused("not-here", gate.line, f"{told}; add it under 'gates.variables'")
    lacking = _lacking(gate, site, find)
    if lacking is not None:
        yield _refused("not-here", gate.line, f"{where} {lacking}")
    for secret in _secrets(gate, site):
        try:
            secret.read()
        except SecretMissing as missing:
            yield _warning(
                "secret-missing", gate.line, f"{where}: {missing}, or check as the user who controls"
            )


def _variables(gate: PlannedGate) -> set[str]:
    return {name for text in strings_of(gate.settings) for name in PLACEHOLDER.findall(text)}


def _lacking(gate: PlannedGate, site: Site, find: Callable[[str], str | None]) -> str | None:
    """What the site lacks for it, and what to do."""
    settings, lends = gate.settings, site.gates
    match gate.kind:
        case "load_test" | "smoke" if settings["target"] and settings["target"] not in lends.targets:
            return f"needs the target '{settings['target']}'; add it under 'gates.targets'"
        case "webhook" | "incidents" if settings["to"] and settings["to"] not in lends.webhooks:
            return f"needs the webhook '{settings['to']}'; add it under 'gates.webhooks'"
        case "query" | "incidents" if settings.get("query") and lends.prometheus is None:
            return "needs a Prometheus; add 'gates.prometheus'"
        case "drill" if settings["site"] not in lends.rehearsals:
            return f"needs the rehearsals of '{settings['site']}'; add it under 'gates.rehearsals'"
        case "proof" if settings["program"] not in lends.proofs:
            return f"needs the proof '{settings['program']}'; add it under 'gates.proofs'"
        case "proof":
            return _missing(lends.proofs[str(settings["program"])].command, find)
        case "security_scan" if settings["scanner"] not in lends.scanners:
            return f"needs the scanner '{settings['scanner']}'; add it under 'gates.scanners'"
        case "security_scan":
            return _missing(lends.scanners[str(settings["scanner"])].command, find)
        case "command":
            return _missing(settings["command"], find)
    return None


def _missing(command: object, find: Callable[[str], str | None]) -> str | None:
    program = str(command[0]) if isinstance(command, tuple) else ""
    if PLACEHOLDER.search(program) or find(program) is not None:
        return None
    return f"needs the program '{program}', which is not found; install it, or mend the path"


def _secrets(gate: PlannedGate, site: Site) -> Iterator[Secret]:
    """The secrets that the site keeps for it."""
    settings, lends = gate.settings, site.gates
    match gate.kind:
        case "webhook" | "incidents" if settings["to"] in lends.webhooks:
            yield lends.webhooks[str(settings["to"])].secret
        case "query" | "incidents" if lends.prometheus is not None and lends.prometheus.token is not None:
            yield lends.prometheus.token
        case "load_test" | "smoke":
            for request in lends.targets.get(str(settings["target"]), ()):
                values = [*request["headers"].values(), request["body"]]
                yield from (value for value in values if isinstance(value, Secret))
