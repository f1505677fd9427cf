"""What a scheduler shows of itself: previews, health, metrics, log lines; and what the docs say of it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from office import REFUSALS, TODAY, Office, Old, due, pause, quiet
from prometheus_client import REGISTRY

from finance.cli_schedule import schedule
from finance.ports import StoreUnavailable
from finance.refusal import Refused
from finance.scheduling import INTERNAL, UNREADABLE, Due, Later, Trouble
from finance.template import MOST_AT_ONCE
from finance.timekeeper import METRICS, Timekeeper, write_metrics

DOCS = (Path(__file__).parents[3] / "docs" / "journal-templates.md").read_text()


@pytest.fixture
def office() -> Office:
    return Office()


# Preview


async def test_a_preview_shows_what_a_turn_posts_and_leaves_nothing(office: Office) -> None:
    await office.planned("Rent", starts_on=date(2026, 11, 21))
    await office.planned("Power", kind="ACCRUAL", frequency="MONTHLY", starts_on=date(2026, 10, 5))
    await office.planned("Nothing", starts_on=TODAY, amount="MONTH - 11")
    bad = await office.planned("Bad", starts_on=date(2026, 10, 30), amount="100 / (11 - MONTH)")
    before = office.world.tables.image()
    shown = await office.scheduler().preview(TODAY)
    assert office.world.tables.image() == before
    days = [one for one in shown if isinstance(one, Due)]
    found = [(one.standing.name, one.day.isoformat(), one.amount and one.amount.minor) for one in days]
    assert found == [
        ("Rent", "2026-11-21", 200_00),
        ("Rent", "2026-11-22", 200_00),
        ("Rent", "2026-11-23", 200_00),
        ("Power", "2026-10-05", 200_00),
        ("Power", "2026-11-05", 200_00),
        ("Nothing", "2026-11-23", None),
        ("Bad", "2026-10-30", 100_00),
        ("Bad", "2026-10-31", 100_00),
    ]
    assert [one.taken_back_on for one in days if one.standing.name == "Power"] == [
        date(2026, 11, 1),
        date(2026, 12, 1),
    ]
    [trouble] = [one for one in shown if isinstance(one, Trouble)]
    wanted = ("formula-divides-by-zero", date(2026, 11, 1), bad.id)
    assert (trouble.code, trouble.day, trouble.standing.template_id) == wanted
    await office.scheduler().turn(quiet)
    assert office.posted() == {(one.reference, one.day): 1 for one in days if one.amount is not None}


async def test_a_preview_may_look_ahead_and_says_where_it_ends(office: Office) -> None:
    await office.planned(starts_on=TODAY)
    ahead = TODAY + timedelta(days=MOST_AT_ONCE - 1)
    shown = await office.scheduler().preview(ahead)
    assert [type(one) for one in shown] == [Due] * MOST_AT_ONCE
    shown = await office.scheduler().preview(ahead + timedelta(days=1))
    assert isinstance(shown[-1], Later)
    assert (len(shown), shown[-1].day) == (MOST_AT_ONCE + 1, ahead + timedelta(days=1))
    assert await office.scheduler().preview(TODAY - timedelta(days=1)) == []


# Docs


def test_the_docs_name_each_refusal_each_option_and_each_metric() -> None:
    table = DOCS.partition("## A template is refused")[2]
    codes = {one.code for one in Refused.__subclasses__()}
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    named = {code for row in rows for code in row.split("`")[1::2]}
    assert set(REFUSALS) <= named <= codes
    wanted = [option for one in schedule.params for option in one.opts]
    assert len(wanted) > 5
    assert [one for one in (*wanted, *METRICS, UNREADABLE, INTERNAL) if one not in DOCS] == []


# Turn after turn


def metric(name: str) -> float:
    found = REGISTRY.get_sample_value(f"finance_schedule_{name}")
    assert found is not None
    return found


@dataclass
class Watch:
    """Tells seconds as it is set to."""

    at_s: float = 0.0

    def __call__(self) -> float:
        return self.at_s


@pytest.fixture
async def kept(office: Office) -> Any:
    watch = Watch()
    made = Timekeeper(scheduler=office.scheduler(), every_s=0.001, now_s=watch)
    yield made, watch
    await made.end()


async def until(answer: Callable[[], Any]) -> None:
    """Give others turns until this holds; the test's time-out ends what never does."""
    while not answer():
        await pause(0)


async def test_it_is_healthy_once_a_turn_is_complete_and_not_when_it_is_silent_or_over(
    office: Office, kept: Any
) -> None:
    keeper, watch = kept
    with pytest.raises(StoreUnavailable, match="ended"):
        await keeper.answer()
    one = await office.planned()
    office.world.store.away = True
    keeper.begin()
    with pytest.raises(StoreUnavailable, match="no turn has come to its end"):
        await keeper.answer()
    await until(lambda: keeper._trouble == "it is away")
    with pytest.raises(StoreUnavailable, match="it is away"):
        await keeper.answer()
    office.world.store.away = False
    await until(lambda: keeper._trouble is None)
    await keeper.answer()
    assert office.days(one) == due(one), "it is tried again by itself"
    watch.at_s += 100
    await until(lambda: keeper._heard_at == watch.at_s)
    await keeper.answer()
    keeper.every_s = 1000.0
    await pause(0)
    watch.at_s += 3001
    with pytest.raises(StoreUnavailable, match="3001 s"):
        await keeper.answer()
    await keeper.end()
    with pytest.raises(StoreUnavailable, match="ended"):
        await keeper.answer()


async def test_a_bug_in_a_turn_is_told_and_the_next_turn_is_taken(office: Office, kept: Any) -> None:
    keeper, _ = kept
    good, keeper.scheduler.standings = keeper.scheduler.standings, Old(ValueError("a bug"))
    keeper.begin()
    await until(lambda: "a bug" in str(keeper._trouble))
    with pytest.raises(StoreUnavailable, match="ValueError: a bug"):
        await keeper.answer()
    keeper.scheduler.standings = good
    await until(lambda: keeper._trouble is None)


async def test_metrics_tell_of_complete_turns_only(office: Office, kept: Any, tmp_path: Path) -> None:
    keeper, _ = kept
    days = metric("days_total")
    await office.planned()
    await office.planned("Bad", starts_on=date(2026, 10, 31), amount="1 / (11 - MONTH)")
    await keeper._take()
    assert (metric("days_total") - days, metric("refused_templates")) == (11, 1)
    completed = metric("completed_timestamp_seconds")
    assert completed > 0
    office.world.store.away = True
    await keeper._take()
    assert metric("completed_timestamp_seconds") == completed
    assert metric("refused_templates") == 1
    write_metrics(tmp_path / "schedule.prom")
    lines = (tmp_path / "schedule.prom").read_text().splitlines()
    assert {line.split()[0] for line in lines if not line.startswith("#")} >= {
        "finance_schedule_completed_timestamp_seconds",
        "finance_schedule_refused_templates",
        "finance_schedule_days_total",
    }


async def test_a_refusal_that_stays_is_said_once_and_again_when_it_is_another(
    office: Office, kept: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper, _ = kept
    said: list[str] = []

    class Log:
        def info(self, _: str, **__: Any) -> None:
            """Not counted."""

        def warning(self, what: str, **about: Any) -> None:
            said.append(f"{what} {about['day']} {about['code']}")

    monkeypatch.setattr("finance.timekeeper.log", Log)
    await office.planned(starts_on=date(2026, 10, 31))
    await office.closed(TODAY)
    await keeper._take()
    await keeper._take()
    first = "template refused 2026-11-01 period-closed"
    assert said == [first]
    await office.reopened(TODAY)
    await office.closed(TODAY, to="SOFT_CLOSED")
    await keeper._take()
    assert said == [first, "template refused 2026-11-01 period-soft-closed"]
    await office.reopened(TODAY)
    await keeper._take()
    assert len(said) == 2
