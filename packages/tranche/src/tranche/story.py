"""Events in words, for whoever reads the history, the record or the controller's output."""

from collections.abc import Iterable
from typing import assert_never

from tranche.events import (
    AdvanceRequested,
    ApprovalGiven,
    ApprovalRevoked,
    Attested,
    Completed,
    Countersigned,
    Event,
    GateAnswered,
    GreenReady,
    Held,
    HotfixDeclared,
    Measured,
    MirrorRequested,
    Paused,
    PhaseEntered,
    Resumed,
    Retargeted,
    Retired,
    RollbackDecided,
    RolledBack,
    Started,
    SteppedBack,
    Stopped,
    TakenOver,
    VersionIdentified,
    WeightApplied,
    WeightRequested,
    WeightRestored,
    decode,
)
from tranche.ports import Recorded
from tranche.progress import percent_of


def title_and_text(event: Event) -> tuple[str, str]:
    """A word or two, and a sentence."""
    match event:
        case Started():
            return "started", f"version {event.version} by {event.plan_file} ({event.plan_digest[:19]})"
        case VersionIdentified():
            return "version", f"{event.version} is {event.digest or f'unknown: {event.unknown_because}'}"
        case TakenOver():
            return "taken over", f"a controller (pid {event.pid}) works on it"
        case GreenReady():
            return "green ready", f"version {event.version} runs and answers"
        case PhaseEntered():
            share = "internal users only" if event.internal_only else f"{event.weight_percent:g} %"
            return f"phase {event.phase}", f"{event.name}, {share} - {event.reason}"
        case Measured():
            return "measured", _measured(event)
        case WeightRequested():
            internal = ", internal users on green" if event.internal_to_green else ""
            return "weight asked", f"{percent_of(event.green_weight):g} %{internal} ({event.identifier})"
        case MirrorRequested():
            return (
                "mirror asked",
                f"copies of {event.percent:g} % of the reads go to green ({event.identifier})",
            )
        case WeightApplied():
            took = "was served already" if event.took_ms is None else f"in {event.took_ms:.1f} ms"
            return "weight applied", f"{event.identifier} {took}"
        case WeightRestored():
            return (
                "weight restored",
                f"the data plane served {event.served}, and serves {event.identifier} again",
            )
        case GateAnswered():
            return f"gate {event.gate}", f"{event.verdict}: {event.reason}"
        case Held():
            return "held", f"{event.verdict}: {event.reason}"
        case Paused():
            return "paused", event.reason
        case Resumed():
            return "resumed", event.reason
        case AdvanceRequested():
            return "dwell ended early", event.reason
        case ApprovalGiven():
            because = f" - {event.reason}" if event.reason else ""
            return "approved", f"{event.gate}, on {event.digest[:19]}, until {event.expires_at[:16]}{because}"
        case ApprovalRevoked():
            return "approval revoked", f"{event.gate} - {event.reason}"
        case HotfixDeclared():
            return "hotfix", event.reason
        case Retargeted():
            because = f" - {event.reason}" if event.reason else ""
            told = f"to version {event.version}, by way of staging to phase {event.phase}{because}"
            return "retargeted", told
        case SteppedBack():
            return "stepped back", f"to {event.name}, {event.weight_percent:g} % - {event.reason}"
        case RollbackDecided():
            return "rollback decided", event.reason
        case RolledBack():
            return "rolled back", f"blue serves everybody; green {event.green}"
        case Completed():
            return "completed", event.reason
        case Retired():
            return "retired", f"{event.colour}: {event.detail}"
        case Stopped():
            which = event.colour if event.version is None else f"{event.colour} ({event.version})"
            return "stopped", f"{which}; {event.left}" if event.left else which
        case Attested() | Countersigned():
            return _entry(event)
        case _:
            assert_never(event)


def _entry(event: Attested | Countersigned) -> tuple[str, str]:
    told = f"entry {event.entry} of the evidence"
    if isinstance(event, Countersigned):
        return "countersigned", f"{told} signs those before it that were not"
    return "attested", f"{told}, unsigned: {event.unsigned}" if event.unsigned else f"{told}, signed"


def _measured(event: Measured) -> str:
    parts = [f"{arm} {counts['errors']} errors in {counts['requests']}" for arm, counts in event.arms.items()]
    return "; ".join(parts) or "no requests"


def line(recorded: Recorded) -> str:
    """`09:00:12  gate smoke       controller  pass: answered 200 3 times`"""
    title, text = title_and_text(decode(recorded))
    return f"{recorded.at:%H:%M:%S}  {title:<17} {recorded.actor:<11} {text}"


QUIET = (Attested, Countersigned, Measured, TakenOver, VersionIdentified, WeightRequested)
"""Events that say nothing new to a person who reads the others."""


def told(events: Iterable[Recorded]) -> list[Recorded]:
    """The events worth telling."""
    return [recorded for recorded in events if not isinstance(decode(recorded), QUIET)]
