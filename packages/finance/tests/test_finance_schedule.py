"""Turns of a scheduler, over the store in memory: each due day once, in order, and no template waits for another."""

import math
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from office import REFUSALS, TODAY, WHY, Office, Old, due, pause, quiet

from finance import automating, template
from finance.adapters.memory import MemoryTemplates
from finance.authority import Rule
from finance.handle import Books
from finance.ordeal.chance import USERS
from finance.ordeal.deed import attempt
from finance.ordeal.model import Company, Who, next_month
from finance.ordeal.trial import Trial
from finance.ordeal.world import CountedIds, KnownPartners, alone, together
from finance.ports import Caller, Contended, StoreUnavailable
from finance.refusal import PeriodClosed, PeriodSoftClosed
from finance.scheduling import (
    ACTOR,
    INTERNAL,
    STOPPED,
    UNREADABLE,
    Ran,
    Scheduler,
    Standing,
    Trouble,
    furthest,
)
from finance.template import MOST_AT_ONCE, Schedule, Template, Terms
from finance.verify import Stored, examine

HISTORIES = 25


@pytest.fixture
def office() -> Office:
    return Office()


# How far the rules let it


@given(st.integers(1, 60), st.integers(0, 60), st.booleans())
async def test_as_many_days_are_run_as_the_rules_let_and_the_refusal_is_of_the_next(
    count: int, first_bad: int, doubtful: bool
) -> None:
    days = [TODAY + timedelta(days=number) for number in range(count)]
    asked = []

    async def attempt(through: date) -> None:
        asked.append(through)
        if first_bad < count and through >= days[first_bad]:
            raise PeriodClosed(str(through))

    reached, why = await furthest(days, attempt, doubtful=doubtful)
    assert reached == min(first_bad, count)
    assert (why is None) == (first_bad >= count)
    if why is not None:
        assert str(days[reached]) in str(why), "the refusal of the day itself, not of a later one"
    assert len(asked) <= 1 + 1 + math.ceil(math.log2(count + 1)), "a day that is refused is not hammered at"
    if doubtful and first_bad == 0:
        assert asked == days[:1], "one attempt for what was refused before"


# Exactly once


class Careless(Scheduler):
    """Computes due days outside the transaction, posts with fresh ids, and remembers in its process what it did."""

    async def _run(self, one: Standing, today: date) -> list[Ran | Trouble]:
        assert one.state is not None
        books = Books(
            store=self.automating.clerk.store,
            masterdata=KnownPartners(),
            clock=self.clock,
            new_id=self.automating.clerk.new_id,
            pause=pause,
        )
        caller = Caller(user_id=ACTOR, tenant_id=one.tenant_id, permissions=frozenset(), token="")
        done: set[tuple[str, date]] = self.__dict__.setdefault("done", set())
        for day in one.state.due_days(today):
            made, _ = template.entry(one.state, day)
            if made is not None and (one.template_id, day) not in done:
                await books.create_journal(caller, books._new_id(), made, post=True)
                done.add((one.template_id, day))
        return []


def race(
    seed: int, kind: type[Scheduler], *, crash: bool = False, schedulers: int = 2
) -> tuple[Office, list[Template]]:
    """Schedulers of two releases over the same templates, in turns that the seed gives; then one more turn, alone."""
    dice, ids = Random(seed), CountedIds()
    office = Office(ids=ids)

    async def plan() -> list[Template]:
        monthly = Schedule(frequency="MONTHLY", starts_on=date(2026, 8, 31))
        return [
            await office.planned(starts_on=TODAY - timedelta(days=2)),
            await office.planned("Power", kind="ACCRUAL", schedule=monthly),
            await office.planned("Theirs", company=office.other_tenant, starts_on=TODAY),
        ]

    found = alone(plan()).answer
    assert found
    releases = ("1.1.0", "1.1.0", "1.2.0")
    turns = [
        office.scheduler(kind, release=releases[number + seed % 2], ids=ids).turn(quiet)
        for number in range(schedulers)
    ]
    crash_after = dice.randrange(250) if crash else None
    outcomes = together(turns, dice, crash_after=crash_after)
    assert [one.code for one in outcomes] == [None] * schedulers
    alone(office.scheduler(kind, ids=ids).turn(quiet))
    return office, found


@pytest.mark.parametrize("seed", range(24))
def test_schedulers_at_once_run_each_due_day_once_though_one_dies(seed: int) -> None:
    office, plans = race(seed, Scheduler, crash=seed % 2 == 0)
    for one in plans:
        assert office.days(one) == due(one)
    assert office.posted() == {(f"AUTO-{one.id}", day): 1 for one in plans for day in due(one)}
    log = [
        Stored(tenant_id=row.tenant_id, stream_id=row.stream_id, version=row.version, event=row.event)
        for row in office.world.tables.rows
    ]
    log.sort(key=lambda one: (one.tenant_id, one.stream_id, one.version))
    assert examine(log).faults == []


def scheduled(company: Company, name: str) -> tuple[Company, tuple[date, set[str]] | None]:
    """What the model comes to when somebody without permissions asks day by day; and which day is refused, and why."""
    while True:
        one = company.templates[name]
        day = next_month(one["start"], one["runs"])
        over = one["kind"] == "DEPRECIATION" and one["runs"] >= one["months"]
        if one["status"] != "ACTIVE" or day > company.today or over:
            return company, None
        why, company = attempt(company, Who(ACTOR), "run", {"name": name, "through": day})
        if why:
            return company, (day, why)


def after_a_history(seed: int) -> tuple[int, int]:
    """Templates are planned, anything happens to the companies, and two schedulers take their turns at once.

    How many due days were run, and how many templates were refused: both as the model has it.
    """
    trial = Trial(seed, steps=0)
    trial.run()
    for tenant in trial.world.tenants:
        for user in USERS[:3]:
            plan = trial.given(tenant, "plan", trial.dice)
            assert plan is not None
            trial.single(trial.asked(tenant, user, "plan", plan))
            trial.single(trial.asked(tenant, USERS[3], "adopt_plan", {"name": plan["name"]}))
    for _ in range(12):
        trial.step()
        for tenant in trial.world.tenants:
            verb = trial.dice.choice(("close_period", "close_account", "run", "end_plan", "open_period"))
            given = trial.given(tenant, verb, trial.dice)
            if given is not None:
                trial.single(trial.asked(tenant, trial.dice.choice(USERS), verb, given))
    trial.pass_time(timedelta(days=trial.dice.choice((0, 20, 70))))
    books = trial.desk.books
    schedulers = [
        Scheduler(
            automating=books.automating,
            standings=MemoryTemplates(trial.world.store),  # type: ignore[arg-type] # a trial may have another store
            clock=trial.clock,
            release=f"1.{number}.0",
        )
        for number in range(2)
    ]
    before = sum(row.type == "template.ran/1" for row in trial.world.tables.rows)
    together([one.turn(quiet) for one in schedulers], trial.dice)
    last = alone(schedulers[0].turn(quiet)).answer
    assert (last.complete, last.days) == (True, 0)
    wanted = {}
    trial.court.read()
    for tenant, company in trial.companies.items():
        for name in trial.companies[tenant].templates:
            company, refused = scheduled(company, name)  # noqa: PLW2901 - the company as it is after that
            if refused is not None:
                wanted[trial.desk.ids[name]] = refused
        company.touched = dict.fromkeys((*company.templates, *company.entries))
        trial.companies[tenant] = company
        trial.court.agrees(tenant, company, trial.desk.ids, trial.desk.names)
    trial.court.again()
    assert {one.standing.template_id: one.day for one in last.refused} == {
        template_id: day for template_id, (day, _) in wanted.items()
    }
    assert all(one.code in wanted[one.standing.template_id][1] for one in last.refused)
    return sum(row.type == "template.ran/1" for row in trial.world.tables.rows) - before, len(wanted)


def test_after_any_history_schedulers_come_to_what_the_model_says() -> None:
    told = [after_a_history(seed) for seed in range(HISTORIES)]
    assert min(map(sum, zip(*told, strict=True))) > 10, "there was something to run, and something to refuse"


def test_a_careless_scheduler_posts_twice_as_soon_as_there_are_two() -> None:
    """That what is asserted above can fail."""
    office, plans = race(1, Careless, schedulers=1)
    wanted = {(f"AUTO-{one.id}", day) for one in plans for day in due(one)}
    assert set(office.posted()) == wanted
    office, plans = race(1, Careless)
    assert max(office.posted().values()) > 1


async def test_a_scheduler_with_an_old_list_finds_nothing_due(office: Office) -> None:
    one = await office.planned()
    late = office.scheduler(release="1.2.0")
    old = await late.standings.active()
    assert (await office.scheduler().turn(quiet)).days == 10
    late.standings = Old(old)
    assert (await late.turn(quiet)).refused == ()
    assert office.days(one) == due(one)


# Catching up


async def test_a_year_is_caught_up_in_as_many_runs_as_it_takes_and_nobody_waits_for_it(
    office: Office,
) -> None:
    year = await office.planned("Year", starts_on=TODAY - timedelta(days=364), frequency="DAILY")
    short = await office.planned("Short")
    heard: list[Any] = []
    came = await office.scheduler().turn(heard.append)
    assert (came.complete, came.days, came.templates) == (True, 375, 2)
    assert office.days(year) == due(year)
    assert len(due(year)) == 365
    told = [one.through for one in heard if one.standing.name == "Year"]
    assert [one.days for one in heard if one.standing.name == "Year"] == [MOST_AT_ONCE] * 6 + [5]
    assert told[-1] == TODAY
    assert all(before < after for before, after in pairwise(told))
    assert [one.standing.name for one in heard[:2]] == ["Year", "Short"], "none waits for another's year"
    assert office.days(short) == due(short)
    assert (await office.scheduler().turn(quiet)).days == 0


async def test_nothing_after_today_is_run(office: Office) -> None:
    one = await office.planned(starts_on=TODAY + timedelta(days=1))
    assert (await office.scheduler().turn(quiet)).days == 0
    office.clock.instant += timedelta(days=1)
    assert (await office.scheduler().turn(quiet)).days == 1
    assert office.days(one) == [TODAY + timedelta(days=1)]


async def test_only_what_was_approved_and_not_ended_is_run(office: Office) -> None:
    lines = office.lines(office.tenant)
    terms = Terms(
        kind="RECURRING",
        name="Draft",
        currency="BDT",
        schedule=Schedule(frequency="DAILY", starts_on=TODAY),
        lines=lines,
    )
    await office.books.automating.create(office.caller, office.key(), terms)
    ended = await office.planned("Ended")
    await office.books.automating.end(office.caller, office.key(), ended.id, reason=WHY)
    assert (await office.scheduler().turn(quiet)).templates == 0
    assert office.posted() == {}


async def test_a_template_that_is_ended_while_a_turn_is_taken_is_no_trouble(office: Office) -> None:
    one = await office.planned()
    made = office.scheduler()
    found = await made.standings.active()
    await office.books.automating.end(office.caller, office.key(), one.id, reason=WHY)
    made.standings = Old(found)
    came = await made.turn(quiet)
    assert (came.refused, came.complete, came.days) == ((), True, 0)


# Refused


@pytest.mark.parametrize("code", sorted(REFUSALS))
async def test_a_refused_template_is_told_with_its_day_and_stops_no_other(office: Office, code: str) -> None:
    meddle, changes, day = REFUSALS[code]
    one = await office.planned("Bad", starts_on=date(2026, 10, 20), **changes)
    theirs = await office.planned("Good", company=office.other_tenant)
    await meddle(office)
    came = await office.scheduler().turn(quiet)
    [trouble] = came.refused
    assert (trouble.code, trouble.day, trouble.standing.name) == (code, day, "Bad")
    assert trouble.standing.template_id == one.id
    assert trouble.told
    assert office.days(one) == due(one, day - timedelta(days=1)), (
        "the days before it are posted, none after it"
    )
    assert office.days(theirs) == due(theirs)
    assert came.complete, "a refusal is an answer"


async def test_a_refused_template_is_tried_once_a_turn_and_runs_when_the_cause_is_mended(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await office.planned(starts_on=date(2026, 10, 20))
    await office.closed(TODAY)
    made, asked = office.scheduler(), []
    run = automating.Automating.run

    async def counted(self: Any, caller: Caller, key: str, template_id: str, through: date) -> Any:
        asked.append(through)
        return await run(self, caller, key, template_id, through)

    monkeypatch.setattr(automating.Automating, "run", counted)
    await made.turn(quiet)
    assert len(asked) <= 7
    for _ in range(3):
        asked.clear()
        assert len((await made.turn(quiet)).refused) == 1
        assert asked == [date(2026, 11, 1)]
    await office.reopened(TODAY)
    assert (await made.turn(quiet)).refused == ()
    assert office.days(one) == due(one)


async def test_a_schedule_is_no_closer_though_whoever_may_close_can_run_the_same_by_hand(
    office: Office,
) -> None:
    one = await office.planned(starts_on=TODAY)
    await office.closed(TODAY, to="SOFT_CLOSED")
    assert [each.code for each in (await office.scheduler().turn(quiet)).refused] == [PeriodSoftClosed.code]
    await office.books.automating.run(office.caller, office.key(), one.id, TODAY)
    assert (await office.scheduler().turn(quiet)).refused == ()
    assert office.days(one) == [TODAY]


async def test_the_log_says_that_a_schedule_did_it_and_who_approved_it(office: Office) -> None:
    rule = Rule(valid_from=TODAY)
    await office.books.governing.set_rule(office.caller, office.key(), rule, reason=WHY)
    one = await office.planned(starts_on=TODAY)
    await office.scheduler().turn(quiet)
    [ran], [posted] = office.rows("template.ran/1"), office.rows("journal.posted/1")
    assert {ran.actor, posted.actor, posted.event.posted_by} == {ACTOR}
    history = [row for row in office.world.tables.rows if row.stream_id == one.id]
    assert [(row.type, row.actor) for row in history] == [
        ("template.created/1", "rahim"),
        ("template.approved/1", "karim"),
        ("template.ran/1", ACTOR),
    ]
    assert history[1].event.approved_by == "karim"


# Faults, and being stopped


async def test_a_store_that_goes_away_cuts_the_turn_off_and_the_next_one_goes_on(office: Office) -> None:
    plans = [await office.planned(name) for name in ("One", "Two", "Three")]

    def leave(*_: object) -> None:
        office.world.store.away = True

    office.world.store.listeners.append(leave)
    made = office.scheduler()
    came = await made.turn(quiet)
    assert (came.complete, came.cut_off, came.days) == (False, "it is away", 10)
    assert [len(office.days(one)) for one in plans] == [10, 0, 0]
    came = await made.turn(quiet)
    assert (came.complete, came.templates, came.cut_off) == (False, 0, "it is away"), (
        "nothing was seen to be due"
    )
    office.world.store.listeners.clear()
    office.world.store.away = False
    assert (await made.turn(quiet)).complete
    assert [office.days(one) for one in plans] == [due(one) for one in plans]


async def test_a_scheduler_that_is_stopped_ends_between_two_templates(office: Office) -> None:
    plans = [await office.planned(name) for name in ("One", "Two")]
    heard: list[Any] = []
    came = await office.scheduler().turn(heard.append, lambda: len(heard) > 0)
    assert (came.complete, came.cut_off, came.days) == (False, STOPPED, 10)
    assert [len(office.days(one)) for one in plans] == [10, 0]


@pytest.mark.parametrize(
    ("error", "code"), [(Contended("again and again"), "contended"), (ValueError("a bug"), INTERNAL)]
)
async def test_what_goes_wrong_with_one_template_starves_no_other_and_is_no_pass(
    office: Office, monkeypatch: pytest.MonkeyPatch, error: Exception, code: str
) -> None:
    one, other = await office.planned("One"), await office.planned("Two")
    run = automating.Automating.run

    async def failing(self: Any, caller: Caller, key: str, template_id: str, through: date) -> Any:
        if template_id == one.id:
            raise error
        return await run(self, caller, key, template_id, through)

    monkeypatch.setattr(automating.Automating, "run", failing)
    came = await office.scheduler().turn(quiet)
    [missed] = came.missed
    assert (missed.code, missed.standing.template_id, missed.bug is None) == (code, one.id, code != INTERNAL)
    assert (came.complete, came.refused) == (False, ())
    assert office.days(other) == due(other)


async def test_a_template_that_cannot_be_read_is_told_and_is_no_pass(office: Office) -> None:
    one, other = await office.planned("One"), await office.planned("Two")
    [created, _] = [row for row in office.world.tables.rows if row.stream_id == one.id]
    office.world.tables.insert(replace(created, version=3, type="template.paused/1", data=b"{}"))
    came = await office.scheduler().turn(quiet)
    [missed] = came.missed
    assert (missed.code, missed.standing.template_id, came.complete) == (UNREADABLE, one.id, False)
    assert office.days(other) == due(other)
    assert [each.code for each in await office.scheduler().preview(TODAY) if isinstance(each, Trouble)] == [
        UNREADABLE
    ]


async def test_where_there_are_no_books_nothing_due_is_no_pass(office: Office) -> None:
    office.world.store.tenants.clear()
    came = await office.scheduler().turn(quiet)
    assert not came.complete
    assert "found no books" in str(came.cut_off)
    with pytest.raises(StoreUnavailable, match="found no books"):
        await office.scheduler().preview(TODAY)
