"""What people are told of a rollout. Made from its events alone, so that whoever reads the log again tells the same.

A *matter* is trouble that somebody may have to look at: it is opened by an event, named after that event's position,
and over when a later event says so. One is open at a time.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Protocol

from tranche.approval import asked
from tranche.events import (
    AdvanceRequested,
    ApprovalGiven,
    ApprovalRevoked,
    Completed,
    Event,
    Held,
    HotfixDeclared,
    Paused,
    PhaseEntered,
    Resumed,
    Retargeted,
    Retired,
    RollbackDecided,
    RolledBack,
    Started,
    SteppedBack,
    WeightRestored,
    decode,
)
from tranche.plan import Plan
from tranche.ports import Recorded, Verdict
from tranche.progress import Progress, evolve
from tranche.routes import Route, Severity, Topic
from tranche.story import title_and_text


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """One message. `key` is its own for ever; messages of one `matter` belong together, `is_over` ends it."""

    key: str
    rollout: str
    topic: Topic
    severity: Severity
    title: str
    text: str
    at: datetime
    matter: str | None = None
    is_over: bool = False


class Sender(Protocol):
    """Brings a message to people over one technology. May take long; runs beside the loop."""

    def send(self, news: News) -> None:
        """Send it once.

        Raises:
            NotTold: it did not arrive, or nobody can say that it did.
            SecretMissing: what the site says is not there.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Matter:
    """Open trouble. `key` is `<rollout>/<position of the event that opened it>`."""

    key: str
    topic: Topic
    severity: Severity
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Where somebody who reads the log for its news has come to."""

    plan: Plan
    progress: Progress | None = None
    matter: Matter | None = None

    @property
    def position(self) -> int:
        """The last event read."""
        return self.progress.position if self.progress is not None else 0


PEOPLE: Final = (
    Paused,
    Resumed,
    AdvanceRequested,
    ApprovalGiven,
    ApprovalRevoked,
    HotfixDeclared,
    Retargeted,
)
WAY: Final = (Started, PhaseEntered, Completed, Retired)
ENDS_ANY: Final = (PhaseEntered, RolledBack, Retargeted, Completed)


def read_on(reader: Reader, recorded: Recorded) -> tuple[Reader, list[News]]:
    """The next event, and what people are told of it: what is over first.

    Raises:
        LogFault: the event cannot follow.
    """
    progress, event, before = evolve(reader.progress, recorded), decode(recorded), reader.matter
    opened = _opened(reader.plan, progress, event, recorded)
    matter = opened
    if before is not None:
        goes_on = opened.topic is before.topic if opened is not None else not _ends(event, before)
        matter = before if goes_on else opened
    told = [_over(before, event, recorded)] if before is not None and matter != before else []
    news = _news(event, recorded)
    if opened is not None and matter is not None:
        title = f"{recorded.rollout}: {opened.title}"
        grave = {"topic": opened.topic, "severity": opened.severity, "title": title, "matter": matter.key}
        told.append(replace(news, **grave))  # type: ignore[arg-type]  # each of its own kind
    elif isinstance(event, (*PEOPLE, *WAY, WeightRestored)):
        told.append(news)
    return replace(reader, progress=progress, matter=matter), told


def _news(event: Event, recorded: Recorded) -> News:
    title, text = title_and_text(event)
    topic, severity = Topic.ROLLOUT, Severity.INFO
    if isinstance(event, PEOPLE):
        topic, text = Topic.PEOPLE, f"by {recorded.actor}" + (f": {text}" if text else "")
    elif isinstance(event, WeightRestored):
        topic, severity = Topic.FAULT, Severity.WARNING
    return News(
        key=f"{recorded.rollout}/{recorded.position}",
        rollout=recorded.rollout,
        topic=topic,
        severity=severity,
        title=f"{recorded.rollout}: {title}",
        text=text,
        at=recorded.at,
    )


def _opened(plan: Plan, progress: Progress, event: Event, recorded: Recorded) -> Matter | None:
    """The matter this event opens, if it opens one."""
    match event:
        case RollbackDecided():
            topic, severity, title = Topic.ROLLBACK, Severity.CRITICAL, "rolling back"
        case SteppedBack():
            topic, severity, title = Topic.STEP_BACK, Severity.CRITICAL, "stepped back"
        case Held(page=True):
            topic, severity, title = Topic.DECISION, Severity.CRITICAL, "a decision is needed"
        case Held() if _waits_for_people(plan, progress, event):
            topic, severity, title = Topic.APPROVAL, Severity.WARNING, "an approval is needed"
        case _:
            return None
    key = f"{recorded.rollout}/{recorded.position}"
    return Matter(key=key, topic=topic, severity=severity, title=title)


def _waits_for_people(plan: Plan, progress: Progress, event: Held) -> bool:
    """Approvals are asked for last, so a hold is named after one only when nothing else is lacking."""
    phase = plan.phases[min(progress.stay.phase, plan.last)]
    return event.key in {f"{Verdict.NOT_YET}: gate {gate.name}" for gate in asked(phase)}


def _ends(event: Event, matter: Matter) -> bool:
    """Whether this event shows that a matter is over. *Cannot tell* and a pause show nothing."""
    if isinstance(event, ENDS_ANY):
        return True
    waits = isinstance(event, Held) and event.verdict == Verdict.NOT_YET and event.key != "paused"
    return waits and matter.topic in {Topic.DECISION, Topic.APPROVAL}


def _over(matter: Matter, event: Event, recorded: Recorded) -> News:
    title, text = title_and_text(event)
    return News(
        key=f"{recorded.rollout}/{recorded.position}/over",
        rollout=recorded.rollout,
        topic=matter.topic,
        severity=matter.severity,
        title=f"{recorded.rollout}: over ({matter.title})",
        text=f"{title}: {text}",
        at=recorded.at,
        matter=matter.key,
        is_over=True,
    )


def is_wanted(news: News, route: Route) -> bool:
    """Whether a route is told this."""
    order = list(Severity)
    is_grave = order.index(news.severity) >= order.index(route.severity)
    return is_grave and (not route.topics or news.topic in route.topics)
