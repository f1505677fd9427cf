"""The composition root: the one place that knows every concrete class.

Adapters, the controller and what it judges with are imported where they are built: most commands only read, and a
rollback must not wait for what it does not need.
"""

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from tranche import settings
from tranche.adapters.abort_file import AbortFile
from tranche.adapters.clock import WallClock
from tranche.adapters.console import ConsoleNotifier
from tranche.adapters.folder import FileLock, Folder, read_json
from tranche.adapters.late import LateSigner
from tranche.adapters.sqlite import SqliteLog
from tranche.desk import ControllerRunning, ControlLock, Desk, NothingToControl
from tranche.door import Door
from tranche.person import KnownBy, Person
from tranche.ports import (
    Colour,
    Environment,
    EventLog,
    Fault,
    LogFault,
    Notifier,
    NotTold,
    Recorded,
    Signer,
    Split,
    Traffic,
)
from tranche.progress import Progress
from tranche.publisher import OBSERVED_FILE, STATUS_FILE, write_record
from tranche.reconcile import Lock
from tranche.refusal import Refused
from tranche.secret import Secret
from tranche.site import Site

if TYPE_CHECKING:
    from tranche.adapters.courier import Courier
    from tranche.adapters.postgres_log import PostgresLease, PostgresLog
    from tranche.controller import Controller
    from tranche.lint import Finding
    from tranche.news import News, Sender
    from tranche.plan import Plan
    from tranche.routes import Route

Json = dict[str, Any]

LOG_FILE = "rollout.sqlite"
CONTROLLER_LOG = "controller.log"
CONTROL_LOCK = "control.lock"
TRAFFIC_LOCK = "traffic.lock"
LEASE_TICKS = 1.5
"""How long a lease lasts: more than a tick, and so little that another controller takes over within two."""
FIRST_LEASE_S = 5.0
"""Before the plan, and its tick, is known."""
NEWS_LOCK = "news.lock"
ASKED_BY_HAND = ("rollback-decided/1", "retired/1")
NOBODY = Person(name="", known_by=KnownBy.USER)
CLOSE_WITHIN_S = 20.0
CLOSE_AT_ONCE_S = 2.0
"""How long the last messages may take when the rollout has ended, and when the controller is stopped before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """A site with its parts built. `asker` is who asks, by the command line or by the API."""

    site: Site
    folder: Folder
    log: EventLog
    control: ControlLock
    desk: Desk
    signer: Signer | None = None
    shared: "SharedLog | None" = None
    asker: Person = NOBODY

    @property
    def actor(self) -> str:
        """Who is recorded."""
        return self.asker.name

    def asked_by(self, asker: Person) -> "Installation":
        """As this person has it."""
        return replace(self, asker=asker, desk=replace(self.desk, asker=asker))

    def traffic(self) -> Traffic:
        from tranche.adapters.envoy import EnvoyTraffic

        return EnvoyTraffic(self.site.traffic)

    def environment(self) -> Environment:
        return environment(self.site)

    def traffic_lock(self) -> Lock:
        return FileLock(self.folder.path / TRAFFIC_LOCK)

    def own_control(self) -> ControlLock:
        """The control lock as nobody else has it: that of `control` is asked by every request."""
        if self.shared is not None:
            return self.shared.lease.beside()
        return FileLock(self.folder.path / CONTROL_LOCK)


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedLog:
    """The event log of several controllers: as the one with the lease has it."""

    log: "PostgresLog"
    lease: "PostgresLease"


def installation(site: Site) -> Installation:
    """Build what every command needs. Opens the event log; touches neither traffic nor versions.

    Raises:
        LogFault: the state folder or the event log cannot be used.
    """
    folder = Folder(site.state_directory)
    log: EventLog
    control: ControlLock
    shared = None
    if site.event_log.url is None:
        _check_log(folder)
        log, control = SqliteLog(folder.path / LOG_FILE), FileLock(folder.path / CONTROL_LOCK)
    else:
        log, shared = shared_log(site.event_log.url)
        control = shared.lease
    signs = signer(site)
    desk = Desk(
        log=log,
        clock=WallClock(),
        control=control,
        observed=lambda: folder.read_json(OBSERVED_FILE),
        aborts=aborts(site),
        signer=signs,
        identify=lambda version: environment(site).identify(version),
    )
    return Installation(
        site=site, folder=folder, log=log, control=control, desk=desk, signer=signs, shared=shared
    )


def _check_log(folder: Folder) -> None:
    """Raises LogFault: there was an event log here, and there is none now; a new one would forget what is served."""
    path = folder.path / LOG_FILE
    is_there = path.exists() and path.stat().st_size > 0
    if not is_there and (known := folder.read_json(STATUS_FILE)) is not None:
        told = f"the event log {path} is gone or empty, and {STATUS_FILE} beside it tells of '{known.get('rollout')}'"
        raise LogFault(f"{told}; restore the log, or take a new state folder")


def shared_log(url: Secret) -> tuple[EventLog, SharedLog]:
    """The log in PostgreSQL: as people have it, and as the controller with the lease has it.

    Raises:
        LogFault: the database cannot be used.
    """
    from tranche.adapters.postgres import Database
    from tranche.adapters.postgres_log import PostgresLease, PostgresLog, prepare

    database = Database(url.read, where=f"PostgreSQL (its address is in {url})")
    prepare(database)
    lease = PostgresLease(database, length_s=FIRST_LEASE_S)
    return PostgresLog(database), SharedLog(log=PostgresLog(database, lease), lease=lease)


def environment(site: Site) -> Environment:
    """Where versions run."""
    from tranche.adapters.envoy import EnvoyDrain
    from tranche.adapters.process import ProcessEnvironment

    return ProcessEnvironment(site.environment, EnvoyDrain(site.traffic).wait)


def aborts(site: Site) -> AbortFile:
    """Where it is kept that users were taken back without the log."""
    return AbortFile(site.traffic.directory)


def signer(site: Site) -> Signer | None:
    """Who signs the evidence; None where the site names no key. Reads nothing yet."""
    return LateSigner(site.signing_key) if site.signing_key is not None else None


def controller(
    here: Installation,
    progress: Progress,
    on_event: Callable[[Recorded], None],
    notifier: Notifier | None = None,
) -> "Controller":
    """A controller of this rollout. The caller holds the control lock."""
    from tranche.adapters.envoy import EnvoySignals
    from tranche.adapters.fenced import FencedEnvironment, FencedTraffic
    from tranche.adapters.threads import ThreadWorkers
    from tranche.controller import Controller, World
    from tranche.lending import gates
    from tranche.publisher import Publisher

    plan, shared = here.desk.plan(progress), here.shared
    log, traffic, environment = here.log, here.traffic(), here.environment()
    if shared is not None:
        shared.lease.length_s = plan.tick_s * LEASE_TICKS
        log = shared.log
        traffic = FencedTraffic(traffic, shared.lease)
        environment = FencedEnvironment(environment, shared.lease)
    world = World(
        log=log,
        traffic=traffic,
        signals=EnvoySignals(here.site.traffic),
        environment=environment,
        gates=gates(here.site, LOG_FILE),
        variables=variables(here.site),
        clock=WallClock(),
        notifier=notifier or ConsoleNotifier(),
        workers=ThreadWorkers(),
        lock=here.traffic_lock(),
        signer=here.signer,
        aborts=aborts(here.site),
        lease=shared.lease if shared is not None else None,
    )
    return Controller(
        plan=plan,
        progress=progress,
        world=world,
        show=Publisher(here.log, here.folder, on_event),
        memory=here.folder.read_json(OBSERVED_FILE),
        pid=os.getpid(),
    )


def courier(here: Installation, progress: Progress, *, begun_at: int) -> "Courier":
    """Whoever tells this rollout's news to the routes of its plan. Close it.

    A route of which nothing is noted is told what stands behind position `begun_at` of the log.

    Raises:
        UnknownRoute: the plan names a route that the site does not have.
    """
    from stamina.instrumentation import set_on_retry_hooks

    from tranche.adapters.courier import Courier
    from tranche.routes import chosen

    plan = here.desk.plan(progress)
    routes = chosen(here.site.notify, plan)
    set_on_retry_hooks(())  # it says itself what did not arrive
    return Courier(
        plan=plan,
        rollout=progress.rollout,
        begun_at=begun_at,
        ways={name: (route, sender(route)) for name, route in routes.items()},
        folder=here.folder,
        console=ConsoleNotifier(),
    )


def sender(route: "Route") -> "Sender":
    """What a route sends by."""
    from tranche.routes import EmailTo, PagerDutyTo, SlackTo
    from tranche.webhook import Webhook

    match route.to:
        case SlackTo():
            from tranche.adapters.slack import SlackSender

            return SlackSender(route.to)
        case PagerDutyTo():
            from tranche.adapters.pagerduty import PagerDutySender

            return PagerDutySender(route.to)
        case EmailTo():
            from tranche.adapters.mail import MailSender

            return MailSender(route.to)
        case Webhook():
            from tranche.adapters.webhook import WebhookSender

            return WebhookSender(route.to)


def send_test(site: Site, name: str) -> "list[News]":
    """Send a test message on this route, and what was sent. An incident is also ended.

    Raises:
        UnknownRoute: there is none of this name.
        NotTold, SecretMissing: it was not sent.
    """
    from tranche.news import News
    from tranche.routes import PagerDutyTo, Topic, named

    route = named(site.notify, name)
    at = WallClock().now()
    key = f"test/{int(at.timestamp())}"
    begun = News(
        key=key,
        rollout="test",
        topic=Topic.FAULT,
        severity=route.severity,
        title="test: a message to try this route",
        text=f"somebody ran 'tranche notify test {name}'; nothing needs to be done",
        at=at,
        matter=key,
    )
    sent = [begun]
    if isinstance(route.to, PagerDutyTo):
        sent.append(replace(begun, key=f"{key}/over", is_over=True))
    for news in sent:
        try:
            sender(route).send(news)
        except NotTold as fault:
            raise NotTold(f"route '{name}': {fault}") from None
    return sent


def run(
    here: Installation, progress: Progress, on_event: Callable[[Recorded], None]
) -> tuple[Progress, bool]:
    """Control this rollout to its end, and have people told; whether the lease was lost before it came to it.

    The caller holds the control lock.
    """
    is_new = progress.last_at == progress.started_at  # else what came before is long over, and no news
    begun_at = 0 if is_new else progress.position
    news, within_s = courier(here, progress, begun_at=begun_at), CLOSE_AT_ONCE_S

    def tell(recorded: Recorded) -> None:
        news.follow(recorded)
        on_event(recorded)

    try:
        made = controller(here, progress, tell, news)
        ended = made.run()
        if not made.has_lost_lease:
            within_s = CLOSE_WITHIN_S
        return ended, made.has_lost_lease
    finally:
        news.close(within_s=within_s)


def roll_back(
    here: Installation, *, reason: str, force: bool = False, tell: Callable[[], None]
) -> Progress | Json:
    """Take all users back to blue. Without a controller, what it would write and `tell` is written and told.

    Where the log cannot be used, as `take_back`.
    """
    try:
        reversal = here.desk.roll_back(
            reason=reason,
            force=force,
            actor=here.actor,
            traffic=here.traffic(),
            environment=here.environment(),
            lock=here.traffic_lock(),
        )
    except LogFault as fault:
        return take_back(here.site, here.asker, reason=reason, force=force, because=fault)
    if reversal.finished:
        write_record(here.desk, here.folder)
        tell()
    return reversal.progress


def take_back(site: Site, asker: Person, *, reason: str, force: bool, because: LogFault) -> Json:
    """Take all users back to blue without the log, which cannot be used `because` of that; and what there is to say.

    Raises:
        ReturnUnknown, TrafficFault, SignalsFault, LogFault: as `abort.take_back`.
    """
    from tranche import abort
    from tranche.adapters.envoy import EnvoySignals, EnvoyTraffic

    kept = aborts(site)
    taken = abort.take_back(
        person=asker,
        reason=reason,
        force=force,
        status=read_json(site.state_directory / STATUS_FILE),
        traffic=EnvoyTraffic(site.traffic),
        signals=EnvoySignals(site.traffic),
        aborts=kept,
        lock=FileLock(site.state_directory / TRAFFIC_LOCK),
        clock=WallClock(),
    )
    return {
        "rollout": taken.rollout,
        "state": "taken_back",
        "recorded": False,
        "kept_in": str(kept.path),
        "because": str(because),
    }


def retire(here: Installation, *, reason: str, tell: Callable[[], None]) -> Progress:
    """Stop blue for good, write it and `tell` it."""
    progress = here.desk.retire(reason=reason, actor=here.actor, environment=here.environment())
    write_record(here.desk, here.folder)
    tell()
    return progress


def telling(here: Installation) -> threading.Thread:
    """Tells what is new in the log, for when no controller does; start it, and wait for it if there is time.

    Who has asked for a rollback is answered before a receiver is, however slow that is.
    """
    return threading.Thread(target=tell_news, args=(here,), name="news", daemon=True)


def start(
    here: Installation,
    site_file: str,
    *,
    plan: str,
    version: str,
    token: str | None,
    hotfix: str = "",
) -> Progress:
    """Record a new rollout and start a controller for it, a process of its own.

    Raises:
        FileRefused, ControllerRunning: it cannot be started so; and what `Desk.start` raises.
        NotAllowed: a hotfix, by who may not declare one.
        ControllerFault: it is recorded, and its controller did not come up.
    """
    from tranche import language
    from tranche.lint import lint, refuse

    read = language.parse(plan, file="plan")
    refuse([*lint(read, now=WallClock().now()), *findings(read, here.site)], "plan")
    if hotfix:
        door(here.site).admit("hotfix", token=token, otherwise=here.asker)
    lock = here.own_control()
    if not lock.acquire(wait_s=0.2):
        raise ControllerRunning
    try:
        here.desk.start(
            read, text=plan, file="plan", version=version, actor=here.actor, hotfix=hotfix or None
        )
    finally:
        lock.release()
    return control(here, site_file, token=token)


def control(here: Installation, site_file: str, *, token: str | None) -> Progress:
    """Start a controller of the latest rollout, a process of its own that outlives this one.

    Raises:
        ControllerRunning, NothingToControl: there is one, or none is needed.
        ControllerFault: it did not come up.
    """
    progress = here.desk.caught_up()
    if progress.is_over:
        raise NothingToControl(f"'{progress.rollout}' is {progress.state.value}; start the next one")
    if here.control.is_held_elsewhere():
        raise ControllerRunning
    own = {"TRANCHE_ACTOR": here.actor} | ({"TRANCHE_TOKEN": token} if token is not None else {})
    kept = {key: value for key, value in os.environ.items() if not key.startswith("TRANCHE_")}
    from tranche.adapters.successor import start_controller

    start_controller(
        site_file, here.folder.path / CONTROLLER_LOG, {**kept, **own}, here.control.is_held_elsewhere
    )
    return here.desk.progress()


def api(
    here: Installation, site_file: str, *, host: str, port: int
) -> Callable[[Callable[[str], None]], None]:
    """A server of the API, which runs when it is called; it calls what it is given when it listens.

    Raises:
        Exposed: others could reach it, and this site asks for no tokens.
        ModuleNotFoundError: the extra 'api' is not installed.
    """
    from tranche.adapters.api import Api, Hands, check_address
    from tranche.adapters.uvicorn import serve

    check_address(host, has_access=here.site.access is not None)

    def tell() -> None:
        telling(here).start()

    hands = Hands(
        start=lambda asker, **asked: start(here.asked_by(asker), site_file, **asked),
        control=lambda asker, **asked: control(here.asked_by(asker), site_file, **asked),
        roll_back=lambda asker, **asked: roll_back(here.asked_by(asker), tell=tell, **asked),
        retire=lambda asker, **asked: retire(here.asked_by(asker), tell=tell, **asked),
    )
    nobody = Person(name=here.actor, known_by=KnownBy.SERVER)
    made = Api(desk=here.desk, door=door(here.site), hands=hands, nobody=nobody)
    return partial(serve, made.application(), host, port)


def tell_news(here: Installation) -> None:
    """Tell what is new in the log, for when no controller does."""
    if not here.site.notify:
        return
    lock = FileLock(here.folder.path / NEWS_LOCK)  # two who tell at once would tell it twice
    lock.acquire(wait_s=CLOSE_WITHIN_S)
    try:
        events = here.desk.events()
        asked = next((event.position for event in reversed(events) if event.type in ASKED_BY_HAND), 1)
        news = courier(here, here.desk.progress(), begun_at=asked - 1)
        for recorded in events:
            news.follow(recorded)
        news.close(within_s=CLOSE_WITHIN_S)
    except (Refused, Fault) as error:
        ConsoleNotifier().tell(title="news", text=f"nobody was told: {error}", severity="warning", key="news")
    finally:
        lock.release()


def admitted(site: Site, *verbs: str) -> Person:
    """Who asks for these verbs: the holder of the token where the site asks for one, and only if they may.

    Programs that are started later do not inherit the token.

    Raises:
        NoToken, TokenRefused, NotAllowed, TokensFault: as `Door.admit`.
    """
    asked, asks = settings.from_environment(), door(site)
    token = asked.token.read() if asked.token is not None and site.access is not None else None
    os.environ.pop("TRANCHE_TOKEN", None)
    people = [asks.admit(verb, token=token, otherwise=asked.asker) for verb in verbs]
    return people[0]


def asked(site: Site, *verbs: str) -> Installation:
    """The installation, for who asks for these verbs. Raises as `admitted` and `installation`."""
    asker = admitted(site, *verbs)
    return installation(site).asked_by(asker)


def door(site: Site) -> Door:
    """Who is let in."""
    if site.access is None:
        return Door(store=None, clock=WallClock())
    from tranche.adapters.tokens import TokenFile

    return Door(store=TokenFile(site.access.tokens), clock=WallClock())


def variables(site: Site) -> dict[str, str]:
    """What `{names}` in a gate's settings stand for; the site's own come last and win."""
    return {
        "green_url": f"http://{site.traffic.colours[Colour.GREEN]}",
        "blue_url": f"http://{site.traffic.colours[Colour.BLUE]}",
        "traffic_url": f"http://{site.traffic.listen}",
        **site.gates.variables,
    }


def findings(plan: "Plan", site: Site) -> "list[Finding]":
    """What the plan needs and this installation lacks."""
    import shutil

    from tranche.lint import lint_here
    from tranche.plan import OWN_VARIABLES

    lent = frozenset({*variables(site), *OWN_VARIABLES})
    paths = site.gates.environment.get("PATH")
    return lint_here(plan, site, lent=lent, find=lambda program: shutil.which(program, path=paths))


def write_traffic_config(site: Site, *, keep_routes: bool = False) -> None:
    """The data plane's files, with everybody on blue; or only what it is started with, and the routes stay.

    Raises:
        OSError: the folder cannot be written.
    """
    from tranche.adapters.envoy_config import write_all, write_bootstrap

    if keep_routes:
        write_bootstrap(site.traffic)
        return
    first = Split(identifier="none/0", salt="none", green_weight=0, internal_to_green=False)
    write_all(site.traffic, first)
