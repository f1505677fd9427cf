"""The routes of a site and of a plan: a whole rollout told by each, refused where they cannot work, documented."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from installed import BARE
from receivers import MailServer, Receiver, Reply

from tranche import cli, site, wiring
from tranche.adapters.courier import FILE, Courier, Patience
from tranche.adapters.folder import Folder
from tranche.events import Completed, encode
from tranche.language import parse
from tranche.plan import Plan
from tranche.ports import Arm
from tranche.routes import (
    PagerDutyTo,
    Route,
    Severity,
    SlackTo,
    Topic,
    UnknownRoute,
    chosen,
)
from tranche.secret import Secret
from tranche.shape import FileRefused
from tranche.webhook import Webhook

if TYPE_CHECKING:
    from conftest import Bed
from told import AT, KEY, PASSWORD, SIGNING, SLACK_PATH, mail_to

QUICK = Patience(within_s=0.3, first_wait_s=0.01, longest_wait_s=0.02, jitter_s=0.0)

SECRETS = ("hush-slack", KEY, PASSWORD, SIGNING)


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


SITE = (
    BARE
    + """\
notify:
  team: {kind: slack, url: {file: slack}}
  on-call: {kind: pagerduty, routing_key: {file: key}, url: "http://PLACE/v2", severity: critical}
  owners: {kind: email, server: "localhost:25", from: a@b.test, to: [c@d.test], topics: [rollback]}
"""
)


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
