"""The ways on which people are told the news: part of the site, because they hold addresses and secrets.

A plan may name routes, and knows no more of them than their names.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from tranche.plan import Plan
from tranche.refusal import Refused
from tranche.secret import Secret, SecretKind
from tranche.shape import (
    ADDRESS,
    URL,
    Choice,
    Key,
    ListOf,
    MapOf,
    MissingKey,
    Place,
    Record,
    Tagged,
    Text,
    WrongValue,
    nearest,
)
from tranche.webhook import Webhook, webhook_keys


class Severity(StrEnum):
    """How much it matters, from little to much. *Critical* is worth being woken for."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class Topic(StrEnum):
    """What news is about."""

    ROLLOUT = "rollout"
    PEOPLE = "people"
    APPROVAL = "approval"
    DECISION = "decision"
    STEP_BACK = "step_back"
    ROLLBACK = "rollback"
    FAULT = "fault"


class UnknownRoute(Refused):
    """There is no route of this name."""

    code = "unknown-route"


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackTo:
    """An incoming webhook. Who knows its address may post, so it is a secret."""

    url: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class PagerDutyTo:
    """A service's Events API v2 integration."""

    routing_key: Secret
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailTo:
    """A mail server, host:port, and who writes to whom. `ca` holds the certificates to believe; else the system's."""

    server: str
    tls: str
    sender: str
    to: tuple[str, ...]
    user: str | None = None
    password: Secret | None = None
    ca: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Who is told what: news of at least this severity, about these topics (none named: about all)."""

    to: SlackTo | PagerDutyTo | EmailTo | Webhook
    severity: Severity = Severity.WARNING
    topics: frozenset[Topic] = field(default_factory=frozenset)


MAILBOX: Final = Text(expected="an address such as team@example.test", pattern=r"[^\s@<>,;]+@[^\s@<>,;]+")
PAGERDUTY: Final = "https://events.pagerduty.com/v2/enqueue"


def _email(*, place: Place, folder: Path, **values: Any) -> EmailTo:
    if (values["user"] is None) != (values["password"] is None):
        raise MissingKey(place, "'user' and 'password' belong together; add the other one")
    if values["password"] is not None and values["tls"] == "none":
        raise WrongValue(place, "a password is not sent in the clear; write 'tls: starttls'")
    ca = values.pop("ca")
    return EmailTo(sender=values.pop("from"), ca=folder / ca if ca else None, **values)


def routes_of(folder: Path) -> MapOf[Route]:
    """The section `notify` of a site, by name of the route; files are meant from `folder`."""
    secret = SecretKind(folder)

    def record(kind: str, about: str, keys: Mapping[str, Key], build: Any) -> Record[Route]:
        def route(*, place: Place, severity: str, topics: tuple[str, ...], **values: Any) -> Route:
            own = {key: values[key] for key in keys}
            to = build(place=place, folder=folder, **own) if build is _email else build(**own)
            return Route(to=to, severity=Severity(severity), topics=frozenset(map(Topic, topics)))

        every = {
            "kind": Key(Choice((kind,)), about),
            "severity": Key(Choice(tuple(Severity)), "the least that is told", Severity.WARNING.value),
            "topics": Key(ListOf(Choice(tuple(Topic))), "what it is told about; else everything", ()),
        }
        return Record(route, {**every, **keys}, about)

    slack = {"url": Key(secret, "the address of the incoming webhook")}
    pagerduty = {
        "routing_key": Key(secret, "the integration key of the service"),
        "url": Key(URL, "where events are sent", PAGERDUTY),
    }
    email = {
        "server": Key(ADDRESS, "the mail server"),
        "tls": Key(Choice(("starttls", "none")), "how the connection is protected", "starttls"),
        "ca": Key(Text(expected="a file"), "certificates to believe; else the system's", None),
        "user": Key(Text(), "who logs in", None),
        "password": Key(secret, "with what", None),
        "from": Key(MAILBOX, "who writes"),
        "to": Key(ListOf(MAILBOX, empty="nobody is written to; name somebody"), "to whom"),
    }
    cases = {
        "slack": record("slack", "a channel of Slack", slack, SlackTo),
        "pagerduty": record("pagerduty", "who is on call, by PagerDuty", pagerduty, PagerDutyTo),
        "email": record("email", "people, by mail", email, _email),
        "webhook": record("webhook", "another system, signed", webhook_keys(folder), Webhook),
    }
    return MapOf(Tagged("kind", "kind of route", cases))


def named(routes: Mapping[str, Route], name: str) -> Route:
    """The route of this name.

    Raises:
        UnknownRoute: there is none.
    """
    if name not in routes:
        hint = nearest(name, routes) if routes else "name some under 'notify' of the site"
        raise UnknownRoute(f"this site has no route '{name}'; {hint}")
    return routes[name]


def chosen(routes: Mapping[str, Route], plan: Plan) -> dict[str, Route]:
    """The routes that are told of a rollout by this plan: those it names, or all of the site.

    Raises:
        UnknownRoute: it names one that this site does not have.
    """
    for name in plan.notify:
        named(routes, name)
    return {name: route for name, route in routes.items() if not plan.notify or name in plan.notify}
