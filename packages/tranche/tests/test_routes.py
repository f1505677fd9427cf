"""How news comes to people: by real receivers on loopback, tried again, told once, and no secret in sight."""

from __future__ import annotations

import email
import email.policy
import json
import logging
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from receivers import MailServer, Receiver, Reply, receiving, receiving_mail

from tranche import cli, site, wiring
from tranche.adapters.courier import FILE, MOST_WAITING, Courier, Patience
from tranche.adapters.folder import Folder
from tranche.adapters.mail import MailSender
from tranche.adapters.memory import MemoryNotifier
from tranche.adapters.pagerduty import PagerDutySender
from tranche.adapters.slack import SlackSender
from tranche.adapters.webhook import WebhookSender
from tranche.events import Completed, Held, RollbackDecided, encode
from tranche.language import parse
from tranche.news import News, Sender
from tranche.plan import Plan
from tranche.ports import Arm, NotTold, Recorded
from tranche.routes import (
    EmailTo,
    PagerDutyTo,
    Route,
    Severity,
    SlackTo,
    Topic,
    UnknownRoute,
    chosen,
)
from tranche.secret import Secret, SecretMissing
from tranche.shape import FileRefused
from tranche.webhook import Webhook

if TYPE_CHECKING:
    from conftest import Bed

AT = datetime(2026, 1, 5, 9, 0, 12, tzinfo=UTC)
QUICK = Patience(within_s=0.3, first_wait_s=0.01, longest_wait_s=0.02, jitter_s=0.0)
PATIENT = Patience(within_s=60.0, first_wait_s=0.01, longest_wait_s=0.02, jitter_s=0.0)
SLACK_PATH, KEY, PASSWORD, SIGNING = (
    "/services/T0/B0/hush-slack",
    "hush-pagerduty",
    "hush-mail",
    "hush-webhook",
)
SECRETS = ("hush-slack", KEY, PASSWORD, SIGNING)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@pytest.fixture
def mail(tmp_path: Path) -> Iterator[MailServer]:
    with receiving_mail(tmp_path) as made:
        yield made


@pytest.fixture
def secrets(tmp_path: Path, receiver: Receiver) -> Mapping[str, Secret]:
    values = {"slack": receiver.url + SLACK_PATH, "key": KEY, "password": PASSWORD, "signing": SIGNING}
    for name, value in values.items():
        (tmp_path / name).write_text(value)
    return {name: Secret(file=tmp_path / name) for name in values}


def news(**changes: Any) -> News:
    parts: dict[str, Any] = {
        "key": "small-1/7",
        "rollout": "small-1",
        "topic": Topic.ROLLBACK,
        "severity": Severity.CRITICAL,
        "title": "small-1: rolling back",
        "text": "5 % errors, <!channel> & more",
        "at": AT,
        "matter": "small-1/7",
    }
    return News(**(parts | changes))


def mail_to(mail: MailServer, secrets: Mapping[str, Secret], **changes: Any) -> EmailTo:
    parts: dict[str, Any] = {
        "server": f"localhost:{mail.port}",
        "tls": "starttls",
        "sender": "tranche@example.test",
        "to": ("team@example.test", "ann@example.test"),
        "user": "tranche",
        "password": secrets["password"],
        "ca": mail.ca,
    }
    return EmailTo(**(parts | changes))


def test_slack_gets_a_few_blocks_of_plain_text(receiver: Receiver, secrets: Mapping[str, Secret]) -> None:
    SlackSender(SlackTo(url=secrets["slack"])).send(news())
    (request,) = receiver.requests
    body = json.loads(request.body)

    assert (request.method, request.path) == ("POST", SLACK_PATH)
    assert [block["type"] for block in body["blocks"]] == ["header", "section", "context"]
    assert body["blocks"][1]["text"]["type"] == "plain_text", "what gates say mentions nobody"
    assert "<!channel>" not in body["text"]
    assert "&lt;!channel&gt; &amp; more" in body["text"]


def test_what_slack_would_refuse_for_its_length_is_cut(
    receiver: Receiver, secrets: Mapping[str, Secret]
) -> None:
    SlackSender(SlackTo(url=secrets["slack"])).send(news(title="t" * 500, text="x" * 9000))
    header, section, _ = json.loads(receiver.requests[0].body)["blocks"]

    assert len(header["text"]["text"]) == 150
    assert len(section["text"]["text"]) == 3000


def test_pagerduty_opens_one_incident_a_matter_and_resolves_it(
    receiver: Receiver, secrets: Mapping[str, Secret]
) -> None:
    sender = PagerDutySender(PagerDutyTo(routing_key=secrets["key"], url=f"{receiver.url}/v2/enqueue"))
    sender.send(news())
    sender.send(news(key="small-1/9/over", is_over=True))
    sender.send(news(matter=None))
    trigger, resolve = (json.loads(request.body) for request in receiver.requests)

    assert (trigger["event_action"], trigger["dedup_key"]) == ("trigger", "small-1/7")
    assert trigger["routing_key"] == KEY
    assert trigger["payload"] == {
        "summary": "small-1: rolling back: 5 % errors, <!channel> & more",
        "source": "small-1",
        "severity": "critical",
        "timestamp": "2026-01-05T09:00:12+00:00",
        "class": "rollback",
        "custom_details": {"text": "5 % errors, <!channel> & more", "key": "small-1/7"},
    }
    assert resolve == {"routing_key": KEY, "event_action": "resolve", "dedup_key": "small-1/7"}


def test_a_webhook_is_told_signed(receiver: Receiver, secrets: Mapping[str, Secret]) -> None:
    import hashlib
    import hmac

    WebhookSender(Webhook(url=f"{receiver.url}/news?x=1", secret=secrets["signing"])).send(news())
    (request,) = receiver.requests
    signed = request.headers["tranche-timestamp"].encode() + b"." + request.body
    told = json.loads(request.body)

    assert request.path == "/news?x=1"
    expected = hmac.new(SIGNING.encode(), signed, hashlib.sha256).hexdigest()
    assert request.headers["tranche-signature"] == f"v1={expected}"
    assert (told["type"], told["id"], told["is_over"]) == ("news", "small-1/7", False)


def test_mail_is_sent_under_starttls_by_who_may(mail: MailServer, secrets: Mapping[str, Secret]) -> None:
    sender = MailSender(mail_to(mail, secrets))
    sender.send(news(title="two\nlines"))
    sender.send(news(key="small-1/9/over", is_over=True))
    first, second = mail.letters
    read = email.message_from_string(first.text, policy=email.policy.default)

    assert first.tls
    assert first.login == ("tranche", PASSWORD)
    assert first.to == ["<team@example.test>", "<ann@example.test>"]
    assert read["Subject"] == "[critical] two lines"
    assert read["Message-ID"] == "<small-1.7@example.test>", "one that comes twice is the same one"
    assert "5 % errors" in read.get_content()
    again = email.message_from_string(second.text, policy=email.policy.default)
    assert again["In-Reply-To"] == "<small-1.7@example.test>"


def test_no_mail_goes_out_in_the_clear_where_tls_was_asked_for(
    mail: MailServer, secrets: Mapping[str, Secret]
) -> None:
    mail.offers_tls = False
    with pytest.raises(NotTold, match="does not take it"):
        MailSender(mail_to(mail, secrets)).send(news())
    assert mail.letters == []


def test_a_mail_server_nobody_vouches_for_is_told_nothing(
    mail: MailServer, secrets: Mapping[str, Secret]
) -> None:
    with pytest.raises(NotTold, match="SSLCertVerificationError"):
        MailSender(mail_to(mail, secrets, ca=None)).send(news())
    assert mail.letters == []


@pytest.mark.parametrize(
    ("verb", "reply", "is_final"),
    [
        ("AUTH", "535 hush-mail is wrong", True),
        ("MAIL", "451 later", False),
        ("DATA", "550 no", True),
        ("RCPT", "550 no", True),
    ],
)
def test_what_a_mail_server_refuses_for_good_is_not_tried_again(
    mail: MailServer, secrets: Mapping[str, Secret], verb: str, reply: str, *, is_final: bool
) -> None:
    mail.replies[verb] = reply
    with pytest.raises(NotTold) as fault:
        MailSender(mail_to(mail, secrets)).send(news())
    assert fault.value.is_final is is_final
    assert PASSWORD not in str(fault.value), "a server may repeat what it was sent"


@pytest.mark.parametrize(
    ("reply", "is_final", "again_in_s"),
    [
        (Reply(status=429, headers={"retry-after": "7"}), False, 7.0),
        (Reply(status=429, headers={"retry-after": "86400"}), False, 120.0),
        (Reply(status=429, headers={"retry-after": "Mon, 05 Jan 2026 09:00:00 GMT"}), False, None),
        (Reply(status=500), False, None),
        (Reply(status=404, body=b"no_service"), True, None),
        (Reply(status=302, headers={"location": "/elsewhere"}), True, None),
    ],
)
def test_what_a_status_means(
    receiver: Receiver, secrets: Mapping[str, Secret], reply: Reply, is_final: bool, again_in_s: float | None
) -> None:
    receiver.answer = lambda request: reply
    with pytest.raises(NotTold, match=str(reply.status)) as fault:
        SlackSender(SlackTo(url=secrets["slack"])).send(news())
    assert (fault.value.is_final, fault.value.again_in_s) == (is_final, again_in_s)
    assert len(receiver.requests) == 1


class Post:
    """A sender that takes messages as told; `gate` holds it up."""

    def __init__(self) -> None:
        self.told: list[News] = []
        self.faults: list[Exception] = []
        self.gate = threading.Event()
        self.gate.set()
        self.tries = 0
        self.reached = threading.Semaphore(0)

    def send(self, news: News) -> None:
        self.tries += 1
        self.reached.release()
        self.gate.wait(10)
        if self.faults:
            raise self.faults.pop(0)
        self.told.append(news)


class Desk:
    """Couriers of one rollout, one after the other, over one folder and one log."""

    def __init__(self, bed: Bed, folder: Path) -> None:
        self.bed, self.folder, self.post, self.console = bed, Folder(folder), Post(), MemoryNotifier()

    def courier(
        self, route: Route | None = None, *, begun_at: int = 0, post: Sender | None = None
    ) -> Courier:
        chosen = route or Route(to=SlackTo(url=Secret(environment="X")), severity=Severity.INFO)
        return Courier(
            plan=self.bed.plan,
            rollout="small-1",
            begun_at=begun_at,
            ways={"team": (chosen, post or self.post)},
            folder=self.folder,
            console=self.console,
            patience=PATIENT,
        )

    def run(self, *events: Recorded, courier: Courier | None = None) -> None:
        one = courier or self.courier()
        for event in events:
            one.follow(event)
        one.close(within_s=10)

    @property
    def titles(self) -> list[str]:
        return [told.title.removeprefix("small-1: ") for told in self.post.told]

    def hold(self, number: int, *, page: bool = True) -> Recorded:
        log = self.bed.log
        held = Held(key=f"fail: {number}", verdict="fail", reason=f"reason {number}", page=page)
        after = len(log.read("small-1"))
        (recorded,) = log.append(
            "small-1", after=after, events=[encode(held, at=self.bed.clock.now(), actor="controller")]
        )
        return recorded


@pytest.fixture
def desk(bed: Bed, tmp_path: Path) -> Desk:
    bed.controller()
    return Desk(bed, tmp_path / "state")


def test_a_new_controller_tells_what_the_last_could_not_and_nothing_twice(desk: Desk) -> None:
    first = desk.hold(1)
    desk.run(*desk.bed.log.read("small-1"))
    desk.hold(2)
    desk.run(*desk.bed.log.read("small-1"))
    desk.run(*desk.bed.log.read("small-1"))

    assert desk.titles == ["started", "a decision is needed", "a decision is needed"]
    assert [told.text for told in desk.post.told][1:] == ["fail: reason 1", "fail: reason 2"]
    assert {told.matter for told in desk.post.told[1:]} == {f"small-1/{first.position}"}


def test_what_was_under_way_when_a_controller_died_is_told_by_the_next(desk: Desk) -> None:
    desk.hold(1)
    desk.post.gate.clear()
    dead = desk.courier()
    for event in desk.bed.log.read("small-1"):
        dead.follow(event)
    assert desk.post.reached.acquire(timeout=5), "the first message is under way"
    after = Post()
    desk.run(*desk.bed.log.read("small-1"), courier=desk.courier(post=after))
    desk.post.gate.set()
    dead.close(within_s=10)

    assert [told.title for told in after.told] == ["small-1: started", "small-1: a decision is needed"]


def test_of_two_messages_of_one_event_none_is_lost_between_two_controllers(desk: Desk) -> None:
    begun = desk.hold(1).position
    decided = RollbackDecided(cause="judge", reason="5 % errors", first_bad_at=None, numbers={})
    desk.bed.log.append(
        "small-1", after=begun, events=[encode(decided, at=desk.bed.clock.now(), actor="controller")]
    )
    dead, told = desk.courier(), threading.Event()
    send = desk.post.send

    def die_at_the_last(news: News) -> None:
        if news.title.endswith("rolling back") and not news.is_over:
            told.set()
            threading.Event().wait()
        send(news)

    desk.post.send = die_at_the_last  # type: ignore[method-assign]
    for event in desk.bed.log.read("small-1"):
        dead.follow(event)
    assert told.wait(5)
    after = Post()
    desk.run(*desk.bed.log.read("small-1"), courier=desk.courier(post=after))

    assert [news.title for news in desk.post.told][-1] == "small-1: over (a decision is needed)"
    assert [news.title for news in after.told] == ["small-1: rolling back"]


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"rollout": "small-1"}', '{"rollout": "small-1", "routes": {"team": 1}}']
)
def test_a_damaged_note_is_as_good_as_none(desk: Desk, text: str) -> None:
    (desk.folder.path / FILE).write_text(text)
    desk.run(*desk.bed.log.read("small-1"))

    assert desk.titles == ["started"]


def test_a_route_that_is_new_is_not_told_what_is_long_over(desk: Desk) -> None:
    desk.hold(1)
    events = desk.bed.log.read("small-1")
    desk.run(*events, desk.hold(2), courier=desk.courier(begun_at=events[-1].position))

    assert [told.text for told in desk.post.told] == ["fail: reason 2"]


def test_a_message_that_does_not_arrive_is_sent_again(desk: Desk) -> None:
    desk.post.faults = [NotTold("answered 503"), SecretMissing("the secret is missing"), NotTold("no answer")]
    desk.run(*desk.bed.log.read("small-1"))

    assert desk.titles == ["started"]
    assert desk.post.tries == 4
    assert desk.console.told == []


def test_a_final_refusal_is_not_tried_again_but_counted_and_said(desk: Desk) -> None:
    desk.post.faults = [NotTold("answered 404", is_final=True)]
    held = desk.hold(1)
    desk.run(*desk.bed.log.read("small-1"))

    assert desk.post.tries == 2
    assert desk.titles == ["a decision is needed"]
    assert desk.post.told[0].text == "fail: reason 1 (1 messages before this one were lost)"
    ((severity, _, text),) = desk.console.told
    assert (severity, text) == ("warning", "'team' was not told 'small-1: started' (answered 404); 1 so far")
    assert desk.folder.read_json(FILE) == {
        "rollout": "small-1",
        "routes": {"team": {"reached": [held.position, 0], "missed": 1}},
    }


def test_a_receiver_that_never_answers_holds_nobody_up(desk: Desk) -> None:
    desk.post.gate.clear()
    courier = desk.courier()
    for event in desk.bed.log.read("small-1"):
        courier.follow(event)
    assert desk.post.reached.acquire(timeout=5)
    for number in range(MOST_WAITING + 3):
        courier.follow(desk.hold(number))
    courier.tell(title="small-1: blue", text="x", severity="warning", key="k")
    courier.close(within_s=0)

    lost = [text for _, title, text in desk.console.told if title == "small-1: news"]
    assert len(lost) == 3 + 1 + 1, "three and one too many; and the rest at the end"
    assert lost[0].startswith("'team' was not told 'small-1: a decision is needed' (too many messages wait)")
    assert lost[-1] == f"'team' was not told {MOST_WAITING + 1} messages before the end"
    desk.post.gate.set()


def test_the_least_grave_makes_room(desk: Desk) -> None:
    desk.post.gate.clear()
    courier = desk.courier()
    for event in desk.bed.log.read("small-1"):
        courier.follow(event)
    assert desk.post.reached.acquire(timeout=5)
    courier.tell(title="small: warning", text="", severity="warning", key="k")
    for number in range(MOST_WAITING):
        courier.follow(desk.hold(number))
    desk.post.gate.set()
    courier.close(within_s=10)

    assert len(desk.post.told) == 1 + MOST_WAITING
    assert "small: warning" not in [told.title for told in desk.post.told]


def test_trouble_that_is_not_in_the_log_is_told_once_and_belongs_to_the_open_matter(desk: Desk) -> None:
    held = desk.hold(1)
    courier = desk.courier()
    for event in desk.bed.log.read("small-1"):
        courier.follow(event)
    for _ in range(3):
        courier.tell(
            title="small-1: the rollback is not confirmed", text="x", severity="critical", key="small-1/2: x"
        )
    courier.tell(title="small-1: rolled back", text="x", severity="critical", key="y", recorded=True)
    courier.close(within_s=10)

    assert desk.titles == ["started", "a decision is needed", "the rollback is not confirmed"]
    assert desk.post.told[-1].matter == f"small-1/{held.position}"
    assert len(desk.console.told) == 4, "the console is told everything"


def test_a_whole_rollout_reaches_every_kind_of_route_and_no_secret_is_seen(
    bed: Bed,
    tmp_path: Path,
    receiver: Receiver,
    mail: MailServer,
    secrets: Mapping[str, Secret],
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Half of the answers are refusals, which is when libraries like to say where they have been."""
    from tranche.adapters.console import ConsoleNotifier

    caplog.set_level(logging.DEBUG)
    (tmp_path / "gone").write_text(f"http://127.0.0.1:9{SLACK_PATH}")
    answers = iter([500, 404] * 200)
    receiver.answer = lambda request: Reply(status=next(answers), body=request.body)
    routes = {
        "slack": Route(to=SlackTo(url=secrets["slack"]), severity=Severity.INFO),
        "pagerduty": Route(to=PagerDutyTo(routing_key=secrets["key"], url=receiver.url)),
        "webhook": Route(to=Webhook(url=receiver.url, secret=secrets["signing"])),
        "mail": Route(to=mail_to(mail, secrets)),
        "away": Route(to=mail_to(mail, secrets, server="localhost:9")),
        "gone": Route(to=SlackTo(url=Secret(file=tmp_path / "gone"))),
    }
    folder = Folder(tmp_path / "state")
    courier = Courier(
        plan=bed.plan,
        rollout="small-1",
        begun_at=0,
        ways={name: (route, wiring.sender(route)) for name, route in routes.items()},
        folder=folder,
        console=ConsoleNotifier(),
        patience=QUICK,
    )
    controller = bed.controller(notifier=courier)
    bed.until(controller, lambda progress: progress.stay.name == "half")
    bed.errors[Arm.GREEN] = 0.2
    bed.until(controller, lambda progress: progress.is_finished)
    for recorded in bed.log.read("small-1"):
        courier.follow(recorded)
    courier.close(within_s=20)
    output = "".join(capfd.readouterr()) + caplog.text + repr(routes) + (folder.path / FILE).read_text()
    output += json.dumps([dict(recorded.data) for recorded in bed.log.read("small-1")])

    assert [letter.login for letter in mail.letters] == [("tranche", PASSWORD)] * 2
    assert "was not told" in output
    assert "rolling back" in output
    assert not [secret for secret in SECRETS if secret in output]


SITE = """\
state_directory: state
traffic:
  kind: envoy
  directory: envoy
  admin: http://127.0.0.1:9
  listen: 127.0.0.1:9
  identity: {issuer: auth, audience: tranche, jwks: "http://127.0.0.1:9/jwks.json"}
  colours: {blue: "127.0.0.1:9", green: "127.0.0.1:9"}
  health_path: /health/ready
environment:
  kind: process
  directory: environment
  colours:
    blue: {managed: false, ready: "http://127.0.0.1:9/"}
    green: {ready: "http://127.0.0.1:9/", command: [serve]}
notify:
  team: {kind: slack, url: {file: slack}}
  on-call: {kind: pagerduty, routing_key: {file: key}, url: "http://PLACE/v2", severity: critical}
  owners: {kind: email, server: "localhost:25", from: a@b.test, to: [c@d.test], topics: [rollback]}
"""


@pytest.fixture
def site_file(tmp_path: Path, receiver: Receiver, secrets: Mapping[str, Secret]) -> Path:
    path = tmp_path / "site.yaml"
    path.write_text(SITE.replace("PLACE", receiver.url.removeprefix("http://")))
    return path


def test_a_test_message_is_sent_and_an_incident_is_ended(
    site_file: Path, receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["notify", "test", "team", "--site", str(site_file)]) == 0
    assert cli.run(["notify", "test", "on-call", "--site", str(site_file), "--json"]) == 0
    assert [json.loads(request.body).get("event_action") for request in receiver.requests] == [
        None, "trigger", "resolve",
    ]  # fmt: skip
    receiver.answer = lambda request: Reply(status=403)
    assert cli.run(["notify", "test", "team", "--site", str(site_file)]) == 3
    assert cli.run(["notify", "test", "taem", "--site", str(site_file)]) == 1
    output = "".join(capsys.readouterr())
    assert "tranche: fault: route 'team': answered 403\n" in output
    assert "refused (unknown-route): this site has no route 'taem'; did you mean 'team'?" in output
    assert not [secret for secret in SECRETS if secret in output]


def test_a_plan_that_names_a_route_the_site_lacks_starts_nothing(
    site_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = site_file.parent / "plan.yaml"
    plan.write_text("name: small\nnotify: [bord]\nphases: [{name: all, weight: 100 %, dwell: 1h}]\n")
    arguments = ["start", str(plan), "--version", "1", "--site", str(site_file)]

    assert cli.run(arguments) == 2
    assert (
        "'notify' names the route 'bord', which this site does not have; use one of: "
        in capsys.readouterr().err
    )
    assert not (site_file.parent / "state" / "control.lock").exists()


def test_a_plan_chooses_among_the_routes_of_the_site(bed: Bed, site_file: Path) -> None:
    routes = site.load(site_file).notify

    def by(*names: str) -> Plan:
        from dataclasses import replace

        return replace(bed.plan, notify=names)

    assert set(chosen(routes, by())) == {"team", "on-call", "owners"}
    assert set(chosen(routes, by("team"))) == {"team"}
    with pytest.raises(UnknownRoute, match="no route 'nobody'"):
        chosen(routes, by("nobody"))
    assert routes["team"].severity is Severity.WARNING
    assert routes["owners"].topics == {Topic.ROLLBACK}


@pytest.mark.parametrize(
    ("found", "instead", "told"),
    [
        ("{file: slack}", "https://hooks.example.test/T/B/X", "a secret does not stand here"),
        ("kind: slack", "kind: slcak", "did you mean 'slack'?"),
        ("topics: [rollback]", "topics: [rollbak]", "did you mean 'rollback'?"),
        ("topics: [rollback]", "user: x", "'user' and 'password' belong together"),
        ("topics: [rollback]", "user: x, password: {file: p}, tls: none", "not sent in the clear"),
        ("to: [c@d.test]", "to: []", "nobody is written to"),
        ("from: a@b.test", "from: nobody", "an address such as team@example.test"),
    ],
)
def test_a_route_that_cannot_work_is_refused(site_file: Path, found: str, instead: str, told: str) -> None:
    text = site_file.read_text()
    assert found in text
    with pytest.raises(FileRefused, match=r"^site\.yaml:") as refused:
        site.parse(text.replace(found, instead), file="site.yaml")
    assert told in str(refused.value)


def test_the_document_names_every_kind_every_topic_and_how_much_they_matter() -> None:
    text = (Path(__file__).resolve().parents[3] / "docs" / "news.md").read_text()
    rows = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| `")]

    assert {row.strip("`") for row in rows} == {"slack", "pagerduty", "email", "webhook", *Topic}
    assert not [severity for severity in Severity if f"{severity}" not in text]


def completed(here: wiring.Installation) -> None:
    plan = "name: small\nphases: [{name: all, weight: 100 %, dwell: 1h}]\n"
    begun = here.desk.start(parse(plan, file="p"), text=plan, file="p", version="1.1.0", actor="ann")
    done = encode(Completed(reason="every gate is met"), at=AT, actor="controller")
    here.log.append("small-1", after=begun.position, events=[done])


def test_what_is_asked_for_without_a_controller_is_told_by_who_asked_and_not_waited_for(
    site_file: Path, receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    """Blue is retired by hand; the receiver answers only when the command has said what it did."""
    site_file.write_text(
        site_file.read_text().replace("url: {file: slack}}", "url: {file: slack}, severity: info}")
    )
    completed(wiring.installation(site.load(site_file)))
    answered = threading.Event()
    receiver.answer = lambda request: Reply(waits_for=answered)
    ended: list[int] = []
    arguments = ["retire", "--reason", "a week is over", "--site", str(site_file)]
    command = threading.Thread(target=lambda: ended.append(cli.run(arguments)))
    command.start()
    receiver.wait()
    said = ""
    while "small-1: completed" not in said:
        said += capsys.readouterr().out
    assert ended == [], "it waits for its news, when it has said what was asked"
    answered.set()
    command.join()
    assert cli.run(arguments) == 0

    assert ended == [0]
    (request,) = receiver.requests
    assert "retired: blue: a week is over" in json.loads(request.body)["text"]
