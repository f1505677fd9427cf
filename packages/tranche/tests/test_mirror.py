"""Copies of reads before green has users: never of what may change something, and no user notices them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from front import Bench, Request, at_rest, split, standing, token, until

from tranche import language
from tranche.adapters.envoy_config import FLUSH_S, MIRROR_HEADER, routes
from tranche.events import MirrorRequested, decode
from tranche.page import text_of_status
from tranche.plan import Plan
from tranche.ports import Arm, Stage
from tranche.progress import Progress, State
from tranche.record import markdown
from tranche.story import title_and_text

if TYPE_CHECKING:
    from conftest import Bed

READ_ONLY = ("/read/", "/query")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with standing(tmp_path_factory.mktemp("mirror"), read_only=READ_ONLY) as made:
        yield made


@pytest.fixture
def bench(running: Bench) -> Bench:
    """Everybody on blue, and a copy of every read sent to green."""
    made = at_rest(running)
    made.traffic.apply(replace(split(f"test/{next(made.numbers)}", 0, internal=False), mirror_percent=100.0))
    made.blue.got.clear()
    made.green.got.clear()
    return made


def asked(bench: Bench, method: str, path: str, **headers: str) -> tuple[int, bytes]:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    url = f"http://{bench.site.listen}{path}"
    answer = bench.pool.request(
        method, url, headers=given, body=b"body" if method == "POST" else None, retries=False
    )
    return answer.status, answer.data


def copied(bench: Bench, count: int) -> list[Request]:
    """The copies that came to green, so many; that of a last read is waited for besides: none is still to come."""
    asked(bench, "GET", "/read/last")

    def others() -> list[Request]:
        return [each for each in bench.green.got if each.path != "/read/last"]

    until(lambda: len(others()) < len(bench.green.got) and len(others()) >= count, "the last copy is there")
    assert len(others()) == count
    return others()


def test_a_read_of_every_kind_of_user_is_copied_once_marked_and_answered_by_blue(bench: Bench) -> None:
    known = {"authorization": f"Bearer {token('anna')}"}
    cookie = {"cookie": "tranche-visitor=abc"}
    for headers in (known, cookie, {}):
        status, data = asked(bench, "GET", "/read/invoices?page=2", **headers)
        assert (status, json.loads(data)["served_by"]) == (200, "blue")
    assert asked(bench, "HEAD", "/query", **known) == (200, b"")
    seen = copied(bench, 4)

    assert sorted((each.method, each.path) for each in seen) == [
        ("GET", "/read/invoices?page=2"),
        ("GET", "/read/invoices?page=2"),
        ("GET", "/read/invoices?page=2"),
        ("HEAD", "/query"),
    ]
    assert {each.given[MIRROR_HEADER] for each in seen} == {"true"}
    assert {each.given["host"] for each in seen} == {bench.site.listen}
    assert {"anna"} == {each.given["x-tranche-user"] for each in seen if "x-tranche-user" in each.given}
    assert not any(MIRROR_HEADER in each.given for each in bench.blue.got), "blue's is no copy"


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("POST", "/query", {}),
        ("POST", "/read/x", {"x_graphql_operation": "query"}),
        ("PUT", "/read/x", {}),
        ("PATCH", "/read/x", {}),
        ("DELETE", "/read/x", {}),
        ("GET", "/other", {}),
        ("GET", "/", {}),
        ("GET", "/read/x", {"x_http_method_override": "DELETE"}),
        ("GET", "/read/x", {"x_http_method": "DELETE"}),
        ("GET", "/read/x", {"x_method_override": "DELETE"}),
    ],
)
def test_what_may_change_something_is_never_copied(
    bench: Bench, method: str, path: str, headers: dict[str, str]
) -> None:
    for who in ({"authorization": f"Bearer {token('anna')}"}, {}):
        for _ in range(5):
            asked(bench, method, path, **who, **headers)
    copied(bench, 0)


def test_whoever_says_that_theirs_is_a_copy_is_not_believed(bench: Bench) -> None:
    asked(bench, "GET", "/other", x_tranche_mirrored="true")
    assert MIRROR_HEADER not in bench.blue.got[-1].given


def test_no_user_notices_a_green_that_hangs_or_is_dead_and_what_it_fails_is_counted(bench: Bench) -> None:
    before = bench.signals.scrape().arms
    bench.green.held.clear()
    bench.blue.held.set()
    for _ in range(
        5
    ):  # green keeps each of these until it is let go: a user who waited for it would never return
        assert json.loads(asked(bench, "GET", "/read/held")[1])["served_by"] == "blue"
    bench.green.held.set()
    for _ in range(5):
        assert json.loads(asked(bench, "GET", "/read/x")[1])["served_by"] == "blue"
    bench.green.stop()
    for _ in range(10):
        assert json.loads(asked(bench, "GET", "/read/x")[1])["served_by"] == "blue"

    def gained() -> tuple[int, int]:
        now = bench.signals.scrape().arms[Arm.MIRROR]
        return now.requests - before[Arm.MIRROR].requests, now.errors - before[Arm.MIRROR].errors

    until(
        lambda: gained()[0] >= 20 and gained()[1] >= 10, "all copies are counted, and the failed ones as such"
    )
    after = bench.signals.scrape().arms
    users = sum(after[arm].requests - before[arm].requests for arm in (Arm.BLUE, Arm.CONTROL))
    errors = sum(after[arm].errors - before[arm].errors for arm in (Arm.BLUE, Arm.CONTROL, Arm.GREEN))
    assert (users, errors) == (20, 0), "the users' own are counted once, and none of them has failed"
    assert after[Arm.GREEN].requests == before[Arm.GREEN].requests


def timed(bench: Bench) -> int:
    return max(bench.signals.scrape().arms[Arm.MIRROR].latency_buckets.values(), default=0)


def test_how_long_copies_take_is_counted_apart(bench: Bench) -> None:
    found = [timed(bench), time.monotonic()]

    def is_at_rest() -> bool:
        """Times come up to one flush behind the requests: those of other tests may still be under way."""
        if timed(bench) != found[0]:
            found[:] = timed(bench), time.monotonic()
        return time.monotonic() - found[1] > 2 * FLUSH_S

    until(is_at_rest, "nothing is counted any more")
    for _ in range(4):
        asked(bench, "GET", "/query")
    until(lambda: timed(bench) == found[0] + 4, "each copy's time is counted")


def test_a_split_without_a_mirror_copies_nothing(bench: Bench) -> None:
    bench.set(0, internal=False)
    for _ in range(10):
        asked(bench, "GET", "/read/x")
    bench.traffic.apply(
        replace(split(f"test/{next(bench.numbers)}", 0, internal=False), mirror_percent=100.0)
    )
    copied(bench, 0)


def test_a_share_is_what_is_asked_for_and_a_site_that_names_no_path_copies_nothing(bench: Bench) -> None:
    made = replace(split("test", 0), mirror_percent=12.5)
    policies = [
        route["route"]["request_mirror_policies"][0]
        for route in routes(bench.site, made)
        if "request_mirror_policies" in route["route"]
    ]
    assert len(policies) == 3 * len(READ_ONLY)
    shares = [policy["runtime_fraction"]["default_value"] for policy in policies]
    assert shares == [{"numerator": 1250, "denominator": "TEN_THOUSAND"}] * len(policies)
    assert routes(replace(bench.site, read_only=()), made) == routes(
        bench.site, replace(made, mirror_percent=0.0)
    )


# The engine.


def mirrored(bed: Bed) -> str:
    return bed.text.replace("staging:", "staging:\n  mirror: 25 %\n  dwell: 20s")


def in_phase(number: int) -> Callable[[Progress], bool]:
    return lambda progress: progress.stay.phase == number and progress.is_confirmed


def serve(bed: Bed, *, errors: int = 0) -> None:
    """Users' reads go on; green answers its copies."""
    bed.clock.on_sleep = lambda seconds: (
        bed._serve(seconds),
        bed.signals.serve(Arm.MIRROR, 10, errors=errors)
        if bed.traffic.split is not None and bed.traffic.split.mirror_percent
        else None,
    )[0]


def test_copies_begin_when_green_is_ready_and_end_with_staging(make_bed: Callable[..., Bed]) -> None:
    bed = make_bed(mirrored(make_bed()))
    bed.environment.stage = Stage.STARTING
    controller = bed.controller()
    bed.step(controller, 5)
    assert all(each.mirror_percent == 0 for each in bed.traffic.history), "nobody is there to answer"
    bed.environment.stage = Stage.READY
    serve(bed, errors=1)
    bed.step(controller, 10)
    assert bed.traffic.split is not None
    assert (bed.traffic.split.green_weight, bed.traffic.split.mirror_percent) == (0, 25.0)
    shown = bed.status["staging"]["mirror"]
    assert shown["percent"] == 25.0
    assert 0 < shown["errors"] * 10 == shown["requests"]
    assert f"copies of 25 % of the reads: {shown['errors']} errors in {shown['requests']}" in text_of_status(
        bed.status
    )
    bed.until(controller, in_phase(1))

    assert [each.mirror_percent for each in bed.traffic.history] == [0.0, 25.0, 0.0]
    (asked_for,) = [decode(each) for each in bed.log.read("small-1") if each.type == "mirror-requested/1"]
    assert isinstance(asked_for, MirrorRequested)
    assert title_and_text(asked_for)[1] == "copies of 25 % of the reads go to green (small-1/1)"
    measured = next(each for each in bed.log.read("small-1") if each.type == "measured/1")
    counts: Any = measured.data["arms"]
    assert counts["green_mirror"]["requests"] > counts["green_mirror"]["errors"] > 0
    entered = next(each for each in bed.log.read("small-1") if each.type == "phase-entered/1")
    assert "copied requests" in str(entered.data["reason"])
    assert "| staging | green_mirror |" in markdown(bed.status, bed.log.read("small-1")).replace("  ", " ")
    ended = bed.until(controller, lambda progress: progress.is_finished, ticks=900)
    assert ended.state is State.COMPLETED, "copies are shown, and judge nothing"
    assert all("green_mirror" not in row["arms"] for row in bed.status["phases"])


def test_a_controller_killed_while_copies_are_sent_asks_for_them_no_second_time(
    make_bed: Callable[..., Bed],
) -> None:
    bed = make_bed(mirrored(make_bed()))
    bed.step(bed.controller(), 4)
    bed.step(bed.controller(), 4)
    assert [each.type for each in bed.log.read("small-1")].count("mirror-requested/1") == 1


def test_a_build_that_takes_greens_place_is_sent_copies_of_its_own(make_bed: Callable[..., Bed]) -> None:
    bed = make_bed(mirrored(make_bed()))
    controller = bed.controller()
    bed.until(controller, in_phase(1))
    bed.desk.retarget(version="1.2.0", reason="the fix", actor="ann")
    bed.until(controller, lambda progress: progress.version == "1.2.0" and in_phase(1)(progress))
    without_users = [
        each.mirror_percent
        for each in bed.traffic.history
        if not (each.green_weight or each.internal_to_green)
    ]
    assert without_users == [0.0, 25.0, 0.0, 25.0]


def test_a_rollback_and_a_pause_in_staging_send_no_copies(make_bed: Callable[..., Bed]) -> None:
    bed = make_bed(mirrored(make_bed()))
    controller = bed.controller()
    bed.desk.pause(reason="wait", actor="ann")
    bed.step(controller, 5)
    assert bed.progress.requested.mirror_percent == 0
    bed.desk.resume(reason="go", actor="ann")
    bed.step(controller, 3)
    assert bed.progress.requested.mirror_percent == 25.0
    bed.desk.roll_back(
        reason="no", actor="ann", traffic=bed.traffic, environment=bed.environment, lock=bed.lock
    )
    assert bed.traffic.split is not None
    assert bed.traffic.split.mirror_percent == 0


def test_a_plan_without_a_mirror_means_what_it_meant_before_there_was_one(bed: Bed) -> None:
    def plan(text: str) -> Plan:
        return language.parse(text, file="p")

    off = plan(bed.text.replace("staging:", "staging:\n  mirror: 0 %"))
    assert off.digest == bed.plan.digest
    bed.step(bed.controller(), 3)
    assert bed.status["staging"]["mirror"] is None
    assert plan(mirrored(bed)).digest != plan(mirrored(bed).replace("25 %", "26 %")).digest
