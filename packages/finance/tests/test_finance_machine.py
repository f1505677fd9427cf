"""The books as a state machine: Hypothesis chooses the requests, shrinks what fails, and two models judge each step.

The large one says which requests are refused, and why; the plain books (`finance/ordeal/plain.py`) only what accepted
ones come to, and hold the service to seven laws by name.

A larger run, which also shrinks what it finds: `FINANCE_MACHINE_EXAMPLES=2000 pytest --timeout 0` with this file.
"""

import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from finance import money, settlement
from finance.ordeal.audit import Auditor
from finance.ordeal.chance import USERS
from finance.ordeal.law import Broken
from finance.ordeal.trial import IN_TURN, JUDGES, Trial
from finance.ordeal.weights import WEIGHTED
from finance.ordeal.world import TENANTS

ASKED_FOR = os.environ.get("FINANCE_MACHINE_EXAMPLES")
STEPS = 40
DICE = st.randoms(use_true_random=False)
WHO = st.sampled_from(USERS)
COMPANY = st.sampled_from((TENANTS[0], TENANTS[0], TENANTS[0], TENANTS[1]))


def drafted(name: str, kind: str, partner: str, currency: str, day: date, minor: int) -> dict[str, Any]:
    line = {"price": minor, "quantity": 1000, "category": "STANDARD", "codes": (), "account": None}
    return {
        "name": name,
        "kind": kind,
        "partner": partner,
        "currency": currency,
        "day": day,
        "due": day,
        "lines": [line],
        "prices": "EXCLUSIVE",
        "rounding": "LINE",
        "reference": None if kind == "INVOICE" else name,
        "reason": None,
        "corrects": None,
    }


def paid(name: str, partner: str, currency: str, day: date, minor: int) -> dict[str, Any]:
    return {
        "name": name,
        "target": None,
        "partner": partner,
        "minor": minor,
        "currency": currency,
        "day": day,
        "method": "CASH",
        "excess": False,
    }


class Machine(RuleBasedStateMachine):
    """Two companies, and whatever may be asked of them; each request is held to the models."""

    judges: Collection[str] = JUDGES

    def __init__(self) -> None:
        super().__init__()
        self.trial = Trial(0, happenings=IN_TURN, judges=self.judges)
        self.is_sound = True

    @initialize(
        rate=st.integers(1, 300_0000), minor=st.integers(1, 500_00), currency=st.sampled_from(("BDT", "EUR"))
    )
    def begin(self, rate: int, minor: int, currency: str) -> None:
        """Each has a rate, and an approved document and some money of a customer and of a vendor."""
        today = self.trial.clock.now().date()
        for tenant in TENANTS:
            self.ask(tenant, "set_rate", currency="EUR", day=today - timedelta(days=200), rate=rate)
            for kind, partner, letter in (("INVOICE", "C1", "I"), ("BILL", "V1", "B")):
                document, money = (self.trial.chance.new(one) for one in (letter, "P"))
                self.ask(tenant, "draft", **drafted(document, kind, partner, currency, today, minor))
                self.ask(tenant, "approve", name=document)
                self.ask(tenant, "pay", **paid(money, partner, currency, today, minor))
                self.ask(tenant, "complete", name=money, reference="TRX-1")

    def ask(self, tenant: str, verb: str, **given: Any) -> None:
        with self.judged():
            self.trial.single(self.trial.asked(tenant, USERS[0], verb, given))

    @rule(days=st.integers(1, 40))
    def time_passes(self, days: int) -> None:
        self.trial.pass_time(timedelta(days=days))

    @rule(dice=DICE)
    def somebody_asks_again(self, dice: Random) -> None:
        with self.judged():
            self.trial.retry(dice)

    @invariant()
    def the_laws_hold(self) -> None:
        """Each request was judged already; here once more, with nothing new in the log."""
        assert self.trial.court.read() == []
        for tenant, company in self.trial.companies.items():
            self.trial.court.agrees(tenant, company, self.trial.desk.ids, self.trial.desk.names)

    @invariant()
    def debits_equal_credits_per_tenant_and_currency(self) -> None:
        self.held(Auditor.balance)

    @invariant()
    def sub_ledgers_equal_their_control_accounts(self) -> None:
        self.held(Auditor.control)

    @invariant()
    def open_amount_is_total_less_allocations(self) -> None:
        self.held(Auditor.open)

    @invariant()
    def statements_tie_to_the_trial_balance(self) -> None:
        self.held(Auditor.statements)

    @invariant()
    def a_refused_command_changed_no_byte(self) -> None:
        """Neither did anything else that nobody was told of."""
        for one in self.auditors:
            one.untouched("nothing")

    @invariant()
    def replay_equals_live(self) -> None:
        for one in self.auditors:
            one.replayed()

    @invariant()
    def snapshot_equals_replay_at_every_version(self) -> None:
        for one in self.auditors:
            one.restored()

    @property
    def auditors(self) -> list[Auditor]:
        return [] if self.trial.auditor is None else [self.trial.auditor]

    def held(self, law: Callable[[Auditor, str], None]) -> None:
        for one in self.auditors:
            for tenant in TENANTS:
                law(one, tenant)

    @contextmanager
    def judged(self) -> Iterator[None]:
        """What breaks a law here is what is told, and not what that leads to at the end."""
        self.is_sound = False
        yield
        self.is_sound = True

    def teardown(self) -> None:
        if self.is_sound:
            self.trial.end()


def asking(verb: str) -> Any:
    """The rule of a verb: one of everything that may be given, with or without a dry run before it."""

    @rule(dice=DICE, who=WHO, tenant=COMPANY, dry=st.booleans())
    def ask(self: Machine, dice: Random, who: Any, tenant: str, dry: bool) -> None:
        given = self.trial.given(tenant, verb, dice)
        if given is not None:
            asked = self.trial.asked(tenant, who, verb, given)
            with self.judged():
                self.trial.rehearse(asked) if dry else self.trial.single(asked)

    return ask


for _verb, _weight in WEIGHTED.items():
    for _copy in range(1 + _weight // 40):
        setattr(Machine, f"{_verb}_{_copy}", asking(_verb))

SIZE = settings(
    max_examples=int(ASKED_FOR or 20),
    phases=(Phase.generate, Phase.shrink) if ASKED_FOR else (Phase.generate,),
    stateful_step_count=STEPS,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def test_whatever_is_asked_the_books_are_what_the_model_says() -> None:
    run_state_machine_as_test(Machine, settings=SIZE)


def test_the_machine_finds_a_broken_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settlement, "coverable", lambda *_: None)
    monkeypatch.setattr(Machine, "judges", ("model",))
    with pytest.raises(Broken) as told:
        run_state_machine_as_test(Machine, settings=settings(SIZE, max_examples=200))
    assert told.value.law == "refusal", str(told.value)


def test_the_machine_finds_it_with_the_plain_books_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(money, "half_even", lambda value: int(value // 1))
    monkeypatch.setattr(Machine, "judges", ("plain",))
    with pytest.raises(Broken) as told:
        run_state_machine_as_test(Machine, settings=settings(SIZE, max_examples=200))
    assert told.value.law in {"plain-open", "plain-statements"}, str(told.value)
