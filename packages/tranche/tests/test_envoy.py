"""The Envoy adapter against a real Envoy: who is where, what is counted, and what a change costs."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from front import Bench, at_rest, split, standing, token, until
from joserfc.jwk import ECKey

from laptop.ports import free_ports
from tranche.adapters.clock import WallClock
from tranche.adapters.drill import DrillGate
from tranche.adapters.envoy import EnvoyDrain, EnvoySignals, EnvoyTraffic
from tranche.adapters.envoy_config import write_routes
from tranche.adapters.memory import InlineWorkers, MemoryEnvironment, MemoryLock, MemoryNotifier
from tranche.adapters.sqlite import SqliteLog
from tranche.bucket import arm_of
from tranche.controller import Controller, Snapshot, World
from tranche.desk import Desk
from tranche.language import parse
from tranche.ports import Arm, Colour, SignalsFault, TrafficFault, Verdict
from tranche.signals import NOTHING
from tranche.site import TrafficSite
from tranche.status import seen_document

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with standing(tmp_path_factory.mktemp("envoy")) as made:
        yield made


@pytest.fixture
def bench(running: Bench) -> Bench:
    return at_rest(running)


USERS = [f"user-{number}" for number in range(1500)]


def test_every_user_is_where_the_prediction_says_and_nobody_moves_back(bench: Bench) -> None:
    before: set[str] = set()
    for weight in (1000, 3000, 6000, 10_000):
        present = bench.set(weight)
        answers = bench.everybody(USERS)
        predicted = {user: arm_of(user, present, internal=False).value for user in USERS}
        assert {user: answer.arm for user, answer in answers.items()} == predicted
        on_green = {user for user, answer in answers.items() if answer.served_by == "green"}
        assert before <= on_green
        assert abs(len(on_green) / len(USERS) - weight / 10_000) < 0.03
        before = on_green


def test_internal_users_are_on_green_while_the_split_says_so(bench: Bench) -> None:
    bench.set(0, internal=True)
    assert bench.ask_as("anna", internal=True).arm == Arm.INTERNAL
    assert bench.ask_as("anna", internal=False).arm == Arm.BLUE
    bench.set(0, internal=False)
    assert bench.ask_as("anna", internal=True).arm == Arm.BLUE


def test_headers_that_a_user_forges_are_not_believed(bench: Bench) -> None:
    present = bench.set(1000)
    on_green = next(user for user in USERS if arm_of(user, present, internal=False) is Arm.GREEN)
    on_blue = next(user for user in USERS if arm_of(user, present, internal=False) is Arm.BLUE)
    signed = f"Bearer {token(on_blue)}"
    forged = bench.ask(authorization=signed, x_tranche_user=on_green, x_tranche_internal="true")
    assert forged.arm == Arm.BLUE
    assert forged.given["x-tranche-user"] == on_blue
    assert forged.given["x-tranche-internal"] == "false"
    assert bench.ask(authorization=signed, x_tranche_salt="another").arm == Arm.BLUE
    for bad in ({}, {"authorization": "Bearer gibberish"}):
        nobody = bench.ask(x_tranche_user=on_green, x_tranche_internal="true", **bad)
        assert not {"x-tranche-user", "x-tranche-internal"} & set(nobody.given)
        assert nobody.arm != Arm.INTERNAL
        assert nobody.cookie is not None, "to be treated as any visitor"


@pytest.mark.parametrize("kind", ["expired", "another key", "no token at all"])
def test_a_token_that_does_not_verify_names_nobody_and_is_left_to_the_service(
    bench: Bench, kind: str
) -> None:
    bench.set(0, internal=True)
    bad = {
        "expired": token("anna", internal=True, expires_in_s=-600),
        "another key": token("anna", internal=True, key=ECKey.generate_key("P-256", {"kid": "test"})),
        "no token at all": "gibberish",
    }[kind]
    answer = bench.ask(authorization=f"Bearer {bad}")
    assert answer.status == 200
    assert answer.arm in {Arm.BLUE, Arm.CONTROL}, "as any visitor; a tenth of them are the control"
    assert answer.given["authorization"] == f"Bearer {bad}"
    assert "x-tranche-user" not in answer.given


def test_a_visitor_without_a_token_stays_where_the_first_request_went(bench: Bench) -> None:
    bench.set(5000)
    seen = Counter()
    for _ in range(40):
        first = bench.ask()
        assert first.cookie is not None
        cookie = first.cookie.partition(";")[0]
        again = {bench.ask(cookie=f"theme=dark; {cookie}").arm for _ in range(3)}
        assert again == {first.arm}
        seen[first.arm] += 1
    assert seen[Arm.GREEN] > 5
    assert seen[Arm.CONTROL] > 5


def test_a_visitor_is_where_the_cookie_and_the_salt_say(bench: Bench) -> None:
    present = bench.set(5000)
    for _ in range(40):
        first = bench.ask()
        assert first.cookie is not None
        cookie = first.cookie.partition(";")[0]
        predicted = arm_of(cookie.partition("=")[2], present, internal=False)
        assert {first.arm, bench.ask(cookie=cookie).arm} == {predicted}


def test_passed_through_paths_are_neither_split_nor_counted(bench: Bench) -> None:
    bench.set(10_000)
    before = bench.signals.scrape().arms
    assert {bench.ask("/beside/x").served_by for _ in range(20)} == {"blue"}
    assert {arm: counted.requests for arm, counted in bench.signals.scrape().arms.items()} == {
        arm: counted.requests for arm, counted in before.items()
    }


def counted(bench: Bench, work: Callable[[], object]) -> dict[Arm, tuple[int, int]]:
    """Requests and errors that the counters gained while this was done."""
    before = bench.signals.scrape().arms
    work()
    after = bench.signals.scrape().arms
    return {
        arm: (after[arm].requests - before[arm].requests, after[arm].errors - before[arm].errors)
        for arm in Arm
    }


def test_requests_and_errors_are_counted_once_on_the_arm_that_met_them(bench: Bench) -> None:
    present = bench.set(3000)
    users = USERS[:200]
    expected = Counter(arm_of(user, present, internal=False) for user in users)

    def work() -> None:
        bench.everybody(users)
        bench.everybody(users[:50], "/fail")
        for _ in range(3):
            bench.ask_as("anna", "/fail", internal=True)

    failing = Counter(arm_of(user, present, internal=False) for user in users[:50])
    found = counted(bench, work)
    for arm in (Arm.BLUE, Arm.GREEN, Arm.CONTROL):
        assert found[arm] == (expected[arm] + failing[arm], failing[arm]), arm
    assert found[Arm.INTERNAL] == (3, 3)


def settled_buckets(bench: Bench) -> dict[int, int]:
    """Green's histogram, once every request that the counters know is in it."""

    def settled() -> bool:
        counters = bench.signals.scrape().arms[Arm.GREEN]
        return max(counters.latency_buckets.values(), default=0) == counters.requests

    until(settled, "the histogram has every request")
    return dict(bench.signals.scrape().arms[Arm.GREEN].latency_buckets)


def test_latency_edges_mean_what_they_are_called(bench: Bench) -> None:
    bench.set(10_000)
    before = settled_buckets(bench)
    for number in range(8):
        bench.ask_as(f"user-{number}", "/slow")
    after = settled_buckets(bench)
    gained = {edge: after[edge] - before.get(edge, 0) for edge in after}
    assert gained[100] == 0
    assert gained[200] == gained[5000] == max(gained.values()) == 8
    assert list(after) == sorted(after)


def test_fifty_changes_of_weight_fail_no_request(bench: Bench) -> None:
    stop = threading.Event()
    statuses: Counter[int] = Counter()

    def user(number: int) -> None:
        signed = f"Bearer {token(f'user-{number}')}"
        while not stop.is_set():
            statuses[bench.ask(authorization=signed).status] += 1

    threads = [threading.Thread(target=user, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for number in range(50):
        bench.set((1000, 3000, 6000, 10_000, 0)[number % 5])
    stop.set()
    for thread in threads:
        thread.join()
    assert set(statuses) == {200}
    assert statuses[200] > 200


def test_a_change_serves_every_request_that_comes_after_it_returned(bench: Bench) -> None:
    for _ in range(10):
        bench.set(10_000)
        assert {bench.ask_as(user).served_by for user in USERS[:10]} == {"green"}
        bench.set(0)
        assert {bench.ask_as(user).served_by for user in USERS[:10]} == {"blue"}


def test_when_green_dies_its_users_are_on_blue_and_none_of_them_meets_an_error(bench: Bench) -> None:
    bench.set(10_000)
    assert {answer.served_by for answer in bench.everybody(USERS[:50]).values()} == {"green"}
    bench.green.stop()
    answers = bench.everybody(USERS[:200])
    assert Counter(answer.status for answer in answers.values()) == {200: 200}
    assert {answer.served_by for answer in answers.values()} == {"blue"}
    until(lambda: bench.healthy(Colour.GREEN) == 0, "green is seen to be dead", 5)


def test_when_green_is_unwell_its_users_are_on_blue(bench: Bench) -> None:
    bench.set(10_000)
    bench.green.healthy = False
    until(lambda: bench.healthy(Colour.GREEN) == 0, "green is seen to be unwell", 5)
    answers = bench.everybody(USERS[:50])
    assert {(answer.status, answer.served_by) for answer in answers.values()} == {(200, "blue")}
    gained = counted(bench, lambda: bench.everybody(USERS[:50]))
    assert gained[Arm.GREEN] == (50, 0), "the fallback's answers are on the name that the route chose"


def test_envoys_own_answers_are_errors_of_the_arm_that_was_asked(bench: Bench) -> None:
    bench.set(10_000)
    bench.green.stop()
    bench.blue.stop()
    until(lambda: bench.healthy(Colour.GREEN) == 0 and bench.healthy(Colour.BLUE) == 0, "both are dead", 5)
    found = counted(bench, lambda: [bench.ask_as(user) for user in USERS[:10]])
    requests, errors = found[Arm.GREEN]
    assert (requests, errors) == (10, 10)


@pytest.mark.parametrize(("colour", "weight"), [(Colour.GREEN, 10_000), (Colour.BLUE, 0)])
def test_a_colour_is_drained_when_the_last_of_its_requests_was_answered(
    bench: Bench, colour: Colour, weight: int
) -> None:
    service, drain = bench.green if colour is Colour.GREEN else bench.blue, EnvoyDrain(bench.site)
    service.held.clear()
    bench.set(weight)
    users = USERS[:20]
    until(
        lambda: {answer.served_by for answer in bench.everybody(users).values()} == {service.name},
        "every thread of Envoy knows the hosts",
    )
    assert drain.wait(colour) == "", "nobody asks"
    with ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(bench.ask_as, user, "/held") for user in ("anna", "ben")]
        until(lambda: drain.under_way(colour) == 2, "two requests are under way")
        bench.set(10_000 - weight)
        hasty = EnvoyDrain(replace(bench.site, drain_s=0.2)).wait(colour)
        waited = threads.submit(drain.wait, colour)
        bench.ask_as("cem")  # the others go on meanwhile
        was_done = waited.done()
        service.held.set()
        assert waited.result(10) == ""
        assert [answer.result(10).status for answer in asked] == [200, 200]
    assert not was_done
    assert hasty == "2 requests were still under way after 0.2 s"


def test_what_is_under_way_cannot_be_told_without_envoy_and_that_is_said(bench: Bench) -> None:
    away = replace(bench.site, admin="http://127.0.0.1:9", drain_s=0.1)
    assert (
        EnvoyDrain(away)
        .wait(Colour.GREEN)
        .startswith("whether requests were under way cannot be told (Envoy")
    )


def test_an_update_that_envoy_refuses_is_a_fault_and_the_old_split_stands(bench: Bench) -> None:
    good = bench.set(3000)
    broken = split("test/broken", -5)
    with pytest.raises(TrafficFault, match="refused the split test/broken"):
        bench.traffic.apply(broken)
    assert bench.traffic.serving() == good.identifier
    assert bench.set(1000).identifier == bench.traffic.serving()


def test_applying_the_same_split_again_changes_nothing(bench: Bench) -> None:
    present = bench.set(3000)
    bench.traffic.apply(present)
    assert bench.traffic.serving() == present.identifier


def test_an_envoy_that_is_away_is_a_fault_of_traffic_and_of_signals(bench: Bench, tmp_path: Path) -> None:
    nowhere = TrafficSite(
        kind="envoy",
        directory=tmp_path,
        admin=f"http://127.0.0.1:{free_ports(1)[0]}",
        listen=bench.site.listen,
        identity=bench.site.identity,
        colours=bench.site.colours,
        health_path="/ready",
    )
    with pytest.raises(TrafficFault, match="does not answer"):
        EnvoyTraffic(nowhere).serving()
    with pytest.raises(TrafficFault, match="could not be written"):
        EnvoyTraffic(nowhere).apply(split("test/away", 10))
    with pytest.raises(SignalsFault, match="does not answer"):
        EnvoySignals(nowhere).scrape()


def test_the_access_log_names_arm_user_and_status(bench: Bench) -> None:
    bench.set(10_000)
    bench.ask_as("in-the-log")
    assert bench.site.access_log is not None

    def lines() -> list[dict[str, object]]:
        text = bench.site.access_log.read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]

    until(lambda: any(line["user"] == "in-the-log" for line in lines()), "the log is flushed", 15)
    line = next(line for line in lines() if line["user"] == "in-the-log")
    assert (line["arm"], line["status"]) == ("green", 200)


def test_a_folder_that_cannot_be_written_is_a_fault(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "rds").write_text("a file where a folder should be", encoding="utf-8")
    with pytest.raises(OSError, match="rds"):
        write_routes(
            TrafficSite(
                kind="envoy",
                directory=tmp_path,
                admin=bench.site.admin,
                listen=bench.site.listen,
                identity=bench.site.identity,
                colours=bench.site.colours,
                health_path="/ready",
            ),
            split("test/x", 0),
        )


# The whole way, on a real data plane.

REHEARSAL = """
name: rehearsal
tick: 50ms
stale_after: 5s
warm_up: 0s
phases:
  - {name: half, weight: 50 %, dwell: 1h}
  - {name: all, weight: 100 %, dwell: 1h}
"""


class Nobody(MemoryLock):
    """No controller is alive when a person asks."""

    def is_held_elsewhere(self) -> bool:
        return False


def test_a_rollback_on_a_real_data_plane_is_the_rehearsal_that_the_gate_drill_asks_for(
    bench: Bench, tmp_path: Path
) -> None:
    plan, log, clock = parse(REHEARSAL, file="r.yaml"), SqliteLog(tmp_path / "rollout.sqlite"), WallClock()
    environment, shown = MemoryEnvironment(), list[Snapshot]()
    desk = Desk(log=log, clock=clock, control=Nobody(), observed=lambda: seen_document(shown[-1], pid=1))
    world = World(
        log=log, traffic=bench.traffic, signals=bench.signals, environment=environment, gates={}, variables={},
        clock=clock, notifier=MemoryNotifier(), workers=InlineWorkers(), lock=MemoryLock(),
    )  # fmt: skip
    progress = desk.start(plan, text=REHEARSAL, file="r.yaml", version="1.1.0", actor="ann")
    controller = Controller(plan=plan, progress=progress, world=world, show=shown.append)
    drill = DrillGate({"staging": tmp_path / "rollout.sqlite"}, clock)
    wanted = {
        "site": "staging",
        "by": "person",
        "within": 5.0,
        "stale_after": 60.0,
        "subject": {"version": "1.1.0"},
    }

    def ticked(reached: Callable[[], bool]) -> bool:
        controller.tick()
        return reached()

    until(
        lambda: ticked(lambda: controller.progress.applied == "rehearsal-1/1"),
        "half of the users are on green",
    )
    users = [f"user-{number}" for number in range(40)]
    assert {answer.served_by for answer in bench.everybody(users).values()} == {"green", "blue"}
    until(
        lambda: ticked(lambda: shown[-1].evidence.arms.get(Arm.GREEN, NOTHING).requests > 5),
        "green is counted",
    )
    assert drill.run(wanted, timeout_s=1).verdict is Verdict.NOT_YET
    desk.roll_back(
        reason="rehearsal", actor="ann", traffic=bench.traffic, environment=environment, lock=MemoryLock()
    )
    answer = drill.run(wanted, timeout_s=1)

    assert {answer.served_by for answer in bench.everybody(users).values()} == {"blue"}
    assert answer.verdict is Verdict.PASS, answer.reason
    assert answer.evidence["requests"] > 5  # type: ignore[operator]
    assert 0 < answer.evidence["took_s"] < 5  # type: ignore[operator]
