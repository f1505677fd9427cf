"""A rollback by hand without the event log: users are back at once, and nothing sends them to green again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from test_attestation import exported, finished
from test_envoy import Bench, bench, running

from laptop.postgres import Cluster
from tranche import abort, audit, cli, entry, language, wiring
from tranche import site as sites
from tranche.abort import Abort, ReturnUnknown
from tranche.adapters.abort_file import AbortFile
from tranche.adapters.ed25519 import verify
from tranche.adapters.memory import MemoryAborts
from tranche.desk import Ended, UnfinishedRollout
from tranche.events import PhaseEntered, WeightRequested, encode
from tranche.page import text_of_status
from tranche.person import KnownBy, Person, Role
from tranche.ports import Colour, Conflict, LogFault, Split, TrafficFault
from tranche.progress import Progress, State

if TYPE_CHECKING:
    from conftest import Bed

__all__ = ["bench", "running"]

BOB = Person(name="bob", known_by=KnownBy.TOKEN, role=Role.APPROVER)


@pytest.fixture
def aborts() -> MemoryAborts:
    return MemoryAborts()


def known(bed: Bed) -> dict[str, Any]:
    """The status that a controller leaves while the log can be read, as its file gives it back."""
    return {"status": json.loads(json.dumps(bed.status))}


def take_back(bed: Bed, aborts: MemoryAborts, **more: Any) -> Abort:
    parts = {"force": False} | (more if "status" in more else more | known(bed))
    return abort.take_back(
        person=BOB,
        reason="support says no",
        traffic=bed.traffic,
        signals=bed.signals,
        aborts=aborts,
        lock=bed.lock,
        clock=bed.clock,
        **parts,
    )


def in_half(progress: Progress) -> bool:
    return progress.stay.name == "half" and progress.stay.entered_at is not None


@pytest.fixture
def half(bed: Bed, aborts: MemoryAborts) -> Any:
    """A controller with half of the users on green."""
    made = bed.controller(aborts=aborts)
    bed.until(made, in_half)
    assert bed.weights[-1] == 5000
    return made


def test_users_are_back_without_the_log_and_it_is_told_when_it_is_there_again(
    bed: Bed, half: Any, aborts: MemoryAborts
) -> None:
    left = known(bed)
    bed.log.fault = "connection refused"
    bed.step(half, 2)
    take_back(bed, aborts, **left)
    assert bed.weights[-1] == 0
    moved = len(bed.weights)
    bed.step(half, 5)
    assert bed.weights[moved:] == []
    bed.log.fault = None
    bed.until(half, finished)
    decided = bed.progress.rollback

    assert bed.progress.state is State.ROLLED_BACK
    assert decided is not None
    assert (decided.actor, decided.cause, decided.reason) == ("bob", "person", "support says no")
    assert decided.numbers["taken_back_at"] < decided.decided_at.isoformat()
    assert set(bed.weights[moved:]) <= {0}
    assert aborts.abort is None
    assert Colour.GREEN in bed.environment.retired


def test_the_evidence_of_an_abort_is_that_of_a_persons_rollback(
    bed: Bed, half: Any, aborts: MemoryAborts
) -> None:
    take_back(bed, aborts)
    bed.until(half, finished)
    checked = audit.verified(exported(bed, bed.log.read("small-1")), verify=verify)
    (asked,) = [each for each in checked.dossier["asks"] if each["by"] == "bob"]

    assert (checked.uncovered, checked.unasked) == ((), ())
    assert audit.replayed(checked).by_people == 1
    assert (asked["asked"], asked["known_by"], asked["role"]) == (["rollback-decided"], "token", "approver")


def test_a_controller_whose_log_is_there_does_not_undo_it(bed: Bed, half: Any, aborts: MemoryAborts) -> None:
    """Only the person's way to the log is cut."""
    take_back(bed, aborts)
    moved = len(bed.weights)
    bed.until(half, finished)

    assert bed.progress.state is State.ROLLED_BACK
    assert set(bed.weights[moved:]) == {0}


def test_who_comes_while_the_controller_moves_users_forward_is_obeyed_all_the_same(
    bed: Bed, aborts: MemoryAborts
) -> None:
    """They could not wait for the lock, and the controller's split is served after theirs."""
    made = bed.controller(aborts=aborts)
    bed.until(made, lambda progress: progress.stay.name == "few" and not progress.stay.internal_only)
    apply, came = bed.traffic.apply, []

    def beside(split: Split) -> None:
        if split.green_weight == 5000 and not came:
            came.append(take_back(bed, aborts))
        apply(split)

    bed.traffic.apply = beside  # type: ignore[method-assign]
    while not came:
        made.tick()
        bed.clock.sleep(1)
    assert made.hurries, "it does not leave them there for a whole tick"
    bed.until(made, finished)

    assert bed.progress.state is State.ROLLED_BACK
    assert bed.weights[bed.weights.index(5000) + 1 :] == [0]


def test_who_comes_in_the_middle_of_a_tick_is_not_undone_by_the_rest_of_it(
    bed: Bed, half: Any, aborts: MemoryAborts
) -> None:
    scrape = bed.signals.scrape

    def between() -> Any:
        bed.signals.scrape = scrape  # type: ignore[method-assign]
        take_back(bed, aborts)
        return scrape()

    bed.signals.scrape = between  # type: ignore[method-assign]
    moved = len(bed.weights)
    bed.until(half, finished)

    assert set(bed.weights[moved:]) == {0}
    assert bed.progress.state is State.ROLLED_BACK


def test_what_is_taken_back_already_is_not_decided_twice(bed: Bed, half: Any, aborts: MemoryAborts) -> None:
    left = known(bed)
    bed.traffic.fault = "no answer"
    with pytest.raises(TrafficFault):
        bed.desk.roll_back(
            reason="no", actor="cyd", traffic=bed.traffic, environment=bed.environment, lock=bed.lock
        )
    bed.traffic.fault = None
    take_back(bed, aborts, **left)
    bed.until(half, finished)
    decided = [each.actor for each in bed.log.read("small-1") if each.type == "rollback-decided/1"]

    assert decided == ["cyd"]
    assert aborts.abort is None


def test_an_abort_is_one_rollouts_and_says_nothing_of_a_later_one(
    bed: Bed, half: Any, aborts: MemoryAborts
) -> None:
    before = bed.progress.started_at - timedelta(seconds=1)
    for stale in (
        Abort(rollout="small-0", person=BOB, reason="", at=bed.clock.now()),
        Abort(rollout=None, person=BOB, reason="", at=before),
    ):
        aborts.abort = stale
        bed.step(half, 2)
        assert aborts.abort is None
        assert bed.progress.rollback is None
    aborts.abort = Abort(rollout=None, person=BOB, reason="", at=bed.clock.now())
    bed.until(half, finished)
    assert bed.progress.rollback is not None


def test_a_rollout_that_nobody_controls_any_more_is_taken_back_by_who_asks_next(
    bed: Bed, half: Any, aborts: MemoryAborts
) -> None:
    bed.until(half, finished)
    assert bed.progress.state is State.COMPLETED
    bed.control.is_held = False
    take_back(bed, aborts)
    desk = replace(bed.desk, aborts=aborts)
    with pytest.raises(UnfinishedRollout, match="rolling_back"):
        desk.start(bed.plan, text=bed.text, file="small.yaml", version="1.2.0", actor="ann")
    assert aborts.abort is None
    ended = desk.roll_back(
        reason="", actor="cyd", traffic=bed.traffic, environment=bed.environment, lock=bed.lock
    )

    assert ended.finished
    assert ended.progress.state is State.ROLLED_BACK
    assert ended.progress.rollback is not None
    assert ended.progress.rollback.actor == "bob"
    with pytest.raises(Ended):
        desk.pause(reason="", actor="ann")


def test_the_status_says_that_users_are_back_before_the_log_does(
    bed: Bed, half: Any, aborts: MemoryAborts
) -> None:
    desk = replace(bed.desk, aborts=aborts)
    assert desk.status()["abort"] is None
    take_back(bed, aborts)
    told = desk.status()
    assert told["abort"]["by"] == "bob"
    assert "! bob took users back at 2026-01-05 09:0" in text_of_status(told)
    bed.until(half, finished)

    assert desk.status()["abort"] is None


def test_a_log_that_is_busy_does_not_lose_an_abort(bed: Bed, half: Any, aborts: MemoryAborts) -> None:
    take_back(bed, aborts)
    append = bed.log.append
    refused = []

    def busy(*args: Any, **kwargs: Any) -> Any:
        if not refused:
            refused.append(1)
            raise Conflict("somebody was quicker")
        return append(*args, **kwargs)

    bed.log.append = busy  # type: ignore[method-assign]
    bed.step(half)
    assert aborts.abort is not None
    bed.until(half, finished)
    assert bed.progress.state is State.ROLLED_BACK


PONR = {"phase": "half", "about": "old columns are dropped", "passed_at": "2026-01-05T09:00:00+00:00"}


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (None, "no controller has left a status of 'small-1' here"),
        ({"rollout": "small-0"}, "no controller has left a status of 'small-1' here"),
        (
            {"rollout": "small-1", "point_of_no_return": PONR},
            "phase 'half' was the point of no return: old columns",
        ),
    ],
)
def test_what_only_the_log_could_have_told_is_not_guessed(
    bed: Bed, half: Any, aborts: MemoryAborts, status: dict[str, Any] | None, told: str
) -> None:
    moved = len(bed.weights)
    with pytest.raises(ReturnUnknown, match=told):
        take_back(bed, aborts, status=status)
    assert (bed.weights[moved:], aborts.abort) == ([], None)
    take_back(bed, aborts, status=status, force=True)
    bed.until(half, finished)

    assert bed.progress.rollback is not None
    assert bed.progress.rollback.numbers["forced"] is True


def test_nobody_is_sent_to_a_blue_that_is_not_there(bed: Bed, half: Any, aborts: MemoryAborts) -> None:
    bed.signals.healthy_hosts = {Colour.BLUE: 0, Colour.GREEN: 1}
    moved = len(bed.weights)

    with pytest.raises(ReturnUnknown, match="no healthy host of blue"):
        take_back(bed, aborts)
    assert (bed.weights[moved:], aborts.abort) == ([], None)


def test_what_cannot_be_written_down_moves_nobody_and_what_is_not_confirmed_stays_written(
    bed: Bed, half: Any, aborts: MemoryAborts
) -> None:
    left, moved = known(bed), len(bed.weights)
    aborts.fault = "no space left on device"
    with pytest.raises(LogFault):
        take_back(bed, aborts, **left)
    assert (bed.weights[moved:], aborts.abort) == ([], None)
    aborts.fault = None

    def refuse(split: Split) -> None:
        raise TrafficFault(f"{split.identifier} is refused")

    apply, bed.traffic.apply = bed.traffic.apply, refuse  # type: ignore[method-assign]
    with pytest.raises(TrafficFault):
        take_back(bed, aborts, **left)
    bed.traffic.apply = apply  # type: ignore[method-assign]
    assert bed.until(half, finished).state is State.ROLLED_BACK


# The file.


def test_a_kept_abort_comes_back_as_it_was_and_goes_when_it_is_settled(tmp_path: Path, bed: Bed) -> None:
    kept = AbortFile(tmp_path)
    assert kept.pending() is None
    first = Abort(rollout="small-1", person=BOB, reason="a\nb", at=bed.clock.now(), forced=True)
    kept.write(first)
    second = replace(first, reason="again")
    kept.write(second)

    assert kept.pending() == second
    kept.settle(first)
    assert kept.pending() == second, "another one, written meanwhile, stays"
    kept.settle(second)
    assert kept.pending() is None


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"rollout": 1}', '{"rollout": "small-1"}', "\udcff"]
)
def test_an_abort_that_cannot_be_read_is_one_all_the_same(tmp_path: Path, bed: Bed, text: str) -> None:
    kept = AbortFile(tmp_path)
    kept.path.write_text(text, errors="surrogateescape")
    found = kept.pending()

    assert found is not None
    assert (found.rollout, found.person.name) == (None, "somebody")
    assert "cannot be read" in found.reason
    kept.settle(found)
    assert not kept.path.exists()


def test_what_may_be_an_abort_and_cannot_be_looked_at_is_a_fault(tmp_path: Path, bed: Bed) -> None:
    (tmp_path / "abort.json").mkdir()

    with pytest.raises(LogFault, match="may say that users were taken back"):
        AbortFile(tmp_path).pending()
    with pytest.raises(LogFault, match="nobody was taken back"):
        AbortFile(tmp_path).write(Abort(rollout=None, person=BOB, reason="", at=bed.clock.now()))


# On a real Envoy, with a real database that is away for a while.

PLAN = "name: small\ntick: 1s\nstale_after: 5s\nphases: [{name: all, weight: 100 %, dwell: 1h}]\n"
SITE = """\
state_directory: state
event_log: {{kind: postgres, url: {{file: url}}}}
traffic:
  kind: envoy
  directory: {traffic.directory}
  admin: {traffic.admin}
  listen: {traffic.listen}
  colours: {{blue: "{blue}", green: "{green}"}}
  health_path: /ready
environment:
  kind: process
  directory: environment
  colours:
    blue: {{managed: false, ready: "http://{blue}/ready"}}
    green: {{ready: "http://{green}/ready", command: [nothing]}}
"""
NOWHERE = "postgresql://ann:hunter2@127.0.0.1:1/none"


@pytest.fixture
def real(
    bench: Bench, cluster: Cluster, database_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], None]]:
    """A rollout with everybody on green; gives what changes the address of the log."""
    blue, green = (bench.site.colours[colour] for colour in (Colour.BLUE, Colour.GREEN))
    path = tmp_path / "site.yaml"
    path.write_text(SITE.format(traffic=bench.site, blue=blue, green=green))
    monkeypatch.setenv("TRANCHE_SITE", str(path))
    monkeypatch.setenv("TRANCHE_ACTOR", "bob")

    def at(url: str) -> None:
        (tmp_path / "url").write_text(url)

    at(cluster.url("auth_owner", database_name))
    here = wiring.installation(sites.load(path))
    plan = language.parse(PLAN, file="small.yaml")
    begun = here.desk.start(plan, text=PLAN, file="small.yaml", version="1.1.0", actor="ann")
    forward = [
        PhaseEntered(phase=1, name="all", weight_percent=100.0, internal_only=False, reason="met"),
        WeightRequested(identifier="small-1/1", green_weight=10_000, internal_to_green=False),
    ]
    events = [encode(event, at=begun.last_at, actor="controller") for event in forward]
    here.log.append("small-1", after=begun.position, events=events)
    (tmp_path / "state" / "status.json").write_text(json.dumps(here.desk.status()))
    bench.traffic.apply(
        Split(identifier="small-1/1", salt=begun.salt, green_weight=10_000, internal_to_green=False)
    )
    yield at
    (bench.site.directory / "abort.json").unlink(missing_ok=True)


@pytest.mark.integration
def test_on_a_real_envoy_users_are_back_with_the_database_away_and_the_log_is_told_later(
    bench: Bench,
    real: Callable[[str], None],
    cluster: Cluster,
    database_name: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert {bench.ask().served_by for _ in range(20)} == {"green"}
    real(NOWHERE)
    words = ["rollback", "--reason", "support says no", "--json"]
    assert entry.plainly(words, "s") is not None, "the lean way goes without the log, too"
    code = entry.run(words)
    said = capsys.readouterr()
    told = json.loads(said.out)

    assert code == 0
    assert (told["rollout"], told["state"], told["recorded"]) == ("small-1", "taken_back", False)
    assert {bench.ask().served_by for _ in range(20)} == {"blue"}
    assert json.loads(Path(told["kept_in"]).read_text())["person"]["name"] == "bob"
    assert "hunter2" not in said.out + said.err
    assert cli.run(["rollback", "--reason", "again"]) == 0, "it may be repeated, and by the command line"
    assert "everybody is on blue; the event log was not told" in capsys.readouterr().out
    assert cli.run(["status"]) == 3

    real(cluster.url("auth_owner", database_name))
    assert cli.run(["rollback", "--reason", "is it done?", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["state"] == "rolled_back"
    assert not Path(told["kept_in"]).exists()
    assert cli.run(["history", "--json"]) == 0
    events = json.loads(capsys.readouterr().out)
    (decided,) = [each for each in events if each["type"] == "rollback-decided/1"]
    assert (decided["actor"], decided["data"]["reason"]) == ("bob", "again")
    assert {bench.ask().served_by for _ in range(20)} == {"blue"}
