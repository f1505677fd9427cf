"""What the courier promises: nothing told twice, nothing lost between two controllers, nobody held up."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tranche.adapters.courier import FILE, MOST_WAITING, Courier, Patience
from tranche.adapters.folder import Folder
from tranche.adapters.memory import MemoryNotifier
from tranche.events import Held, RollbackDecided, encode
from tranche.news import News, Sender
from tranche.ports import NotTold, Recorded
from tranche.routes import (
    Route,
    Severity,
    SlackTo,
)
from tranche.secret import Secret, SecretMissing

if TYPE_CHECKING:
    from conftest import Bed


PATIENT = Patience(within_s=60.0, first_wait_s=0.01, longest_wait_s=0.02, jitter_s=0.0)


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
