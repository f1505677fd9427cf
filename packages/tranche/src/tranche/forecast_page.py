"""A forecast for people and for programs: tables of a hundred columns, and JSON."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any, Final

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tranche.forecast import Endings, Forecast, Found, Outlook, span
from tranche.limits import percent
from tranche.plan import duration
from tranche.service import PLAIN
from tranche.sight import SURE, WORSE
from tranche.trial import planned_s

Json = Mapping[str, Any]

NUMBERS: Final = ("requests on green", "on time", "rolled back", "sees errors from", "sees p95 from")


def page(found: Forecast) -> RenderableType:
    """One sentence first, then the phases, then what they promise to find, then the fault."""
    parts: list[RenderableType] = [Text(headline(found)), Text(assumed(found), style="bright_black")]
    parts += [phases_table(found.outlooks), promises_table(found.outlooks)]
    if found.found is not None:
        parts += [Text(fault_told(found.found)), causes_table(found.found)]
    return Group(*parts)


def headline(found: Forecast) -> str:
    """How good releases fare, in a sentence."""
    good, question = found.good, found.question
    told = f"{question.plan.name}, tried {good.runs} times: {good.completed} of {good.runs} good releases complete"
    if good.completed:
        told += f" (median {span(good.median_s)}, planned {span(planned_s(question.plan))})"
    told += f", {good.rolled_back} are rolled back ({bounded(good)}), {good.waiting} still wait."
    return told


def bounded(good: Endings) -> str:
    return f"surely less than {percent(good.false_rollback_upper)}"


def assumed(found: Forecast) -> str:
    """What was tried, and what was taken as passed."""
    question, service = found.question, found.question.service
    noise = "independent requests" if service.noise == PLAIN else "bursts and bad minutes"
    told = [
        f"{service.requests_per_s:g} requests/s (±{service.daily_swing:.0%} over the day)",
        f"{percent(service.base_error_share)} errors",
        f"median {service.median_ms:g} ms",
        f"p95 {service.p95_ms:g} ms",
        noise,
        f"{percent(service.internal_share)} by internal users",
        f"{percent(service.lost_scrape_share)} of the looks lost",
        f"a look every {duration(found.every_s)}",
        f"seed {question.seed}",
    ]
    told += [
        f"both versions ill for {duration(round(each.length_s))} from {span(each.start_s)} on"
        for each in question.incidents
    ]
    text = "Assumed: " + ", ".join(told) + "."
    if found.left_out:
        text += " Taken as passed: " + "; ".join(found.left_out) + "."
    return text


def phases_table(outlooks: Iterable[Outlook]) -> Table:
    """What good releases meet, and the smallest faults that are found in nine of ten."""
    table = _table("phase", "users", "dwell", *NUMBERS)
    for outlook in outlooks:
        seen, added, factor = outlook.promised, outlook.sight.errors_added, outlook.sight.latency_factor
        table.add_row(
            seen.phase.name,
            f"{seen.phase.weight_percent:g} %",
            duration(seen.phase.dwell_s),
            f"{seen.requests:,.0f}",
            _judged(outlook.on_time, SURE),
            f"{outlook.rolled_back:.1%}",
            "none" if added is None else f"+{100 * added:.2g} points",
            "none" if factor is None else f"+{100 * (factor - 1):.2g} %",
        )
    return table


def promises_table(outlooks: Iterable[Outlook]) -> Table:
    """Releases with twice what a requirement allows: how many are found, when, and who has met them."""
    table = _table(
        "phase", "a release with", "found", "after (median)", "bad requests until then", "users on it"
    )
    for outlook in outlooks:
        for promise in outlook.promised.promises:
            bound = promise.bound
            what = "errors" if bound.edge_ms is None else f"at {bound.edge_ms} ms or more"
            is_known = math.isfinite(promise.median_s)
            table.add_row(
                outlook.promised.phase.name,
                f"{percent(WORSE * bound.bad_share)} {what}",
                _judged(promise.found, SURE),
                span(promise.median_s) if is_known else "-",
                f"{promise.bad:,.0f}" if is_known else "-",
                f"{outlook.promised.phase.weight_percent:g} %",
            )
    return table


def fault_told(found: Found) -> str:
    """What became of the releases with the fault."""
    told = f"With {found.fault}: {found.rolled_back:.1%} of {found.runs} are rolled back for it"
    if math.isfinite(found.median_s):
        told += f", after {span(found.median_s)} (median), with up to {found.weight_percent:.0f} % of users on green"
    if found.failed is not None:
        told += f". Until then {found.failed:,.0f} requests failed because of it"
    if found.slow is not None:
        told += f". Until then {found.slow:,.0f} requests took {found.slow_ms} ms or longer because of it"
    told += f". {found.completed:.1%} complete with it"
    told += f", {found.before:.1%} were rolled back before it began." if found.before else "."
    return told


def causes_table(found: Found) -> Table:
    table = _table("rolled back in", "of those found", "", "by", "of those found")
    phases, causes = list(found.phases.items()), list(found.causes.items())
    for number in range(max(len(phases), len(causes))):
        left = phases[number] if number < len(phases) else ("", None)
        right = causes[number] if number < len(causes) else ("", None)
        table.add_row(left[0], _share(left[1]), "", right[0], _share(right[1]))
    return table


def _table(*headings: str) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for number, heading in enumerate(headings):
        is_text = number == 0 or heading in {"a release with", "by", ""}
        table.add_column(heading, justify="left" if is_text else "right")
    return table


def _judged(share: float, line: float) -> Text:
    return Text(f"{share:.0%}", style="" if share >= line else "bold red")


def _share(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"


def document(found: Forecast) -> Json:
    """The forecast as JSON: shares 0 to 1, times in seconds, what is unknown or infinite as null."""
    question = found.question
    told: Json = _finite(
        {
            "plan": question.plan.name,
            "runs": question.runs,
            "seed": question.seed,
            "looks_every_s": found.every_s,
            "planned_s": planned_s(question.plan),
            "service": asdict(question.service),
            "taken_as_passed": list(found.left_out),
            "good": asdict(found.good) | {"false_rollback_upper": found.good.false_rollback_upper},
            "phases": [_phase_document(outlook) for outlook in found.outlooks],
            "fault": asdict(found.found) if found.found else None,
            "cannot_judge": found.unkept,
        }
    )
    return told


def _phase_document(outlook: Outlook) -> Json:
    seen = outlook.promised
    return {
        "name": seen.phase.name,
        "weight_percent": seen.phase.weight_percent,
        "dwell_s": seen.phase.dwell_s,
        "expected_requests": seen.requests,
        "on_time": outlook.on_time,
        "waited_s": outlook.waited_s,
        "false_rollback": outlook.rolled_back,
        "shown_in_dwell": seen.safe,
        "smallest_errors_added": outlook.sight.errors_added,
        "smallest_latency_factor": outlook.sight.latency_factor,
        "promises": [
            {
                "requirement": str(promise.bound),
                "bad_share": WORSE * promise.bound.bad_share,
                "found": promise.found,
                "median_s": promise.median_s,
                "bad_requests": promise.bad,
                "users_exposed_percent": seen.phase.weight_percent,
            }
            for promise in seen.promises
        ],
        "advice": outlook.advice,
    }


def _finite(value: Any) -> Any:
    match value:
        case float():
            return value if math.isfinite(value) else None
        case Mapping():
            return {key: _finite(item) for key, item in value.items()}
        case list() | tuple():
            return [_finite(item) for item in value]
        case _:
            return value
