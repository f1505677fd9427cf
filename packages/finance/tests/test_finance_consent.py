"""The first of several people who have to agree is told what the last one would be, and takes nothing yet.

Every request is held to the model of the books as well (`finance/ordeal`): that it is refused for one of the model's
reasons, that a refused one writes nothing, and that books and model are the same after it.
"""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from finance import invoice, journal
from finance.clerk import Rehearsed
from finance.graphql import shape
from finance.money import Money
from finance.ordeal.chance import USERS, WHY
from finance.ordeal.desk import partner_id
from finance.ordeal.trial import Trial
from finance.ordeal.world import START, TENANTS, alone
from finance.ports import Append

TODAY = START.date()
TENANT = TENANTS[0]
RAHIM, KARIM, SALMA, NADIA = USERS
TWO = ((0, 2, False),)
LARGE = ((5000_00, 2, False),)


def asked(trial: Trial, who: Any, verb: str, **given: Any) -> str:
    """Ask for it alone; `done`, or the code of its refusal."""
    trial.single(trial.asked(TENANT, who, verb, given))
    return trial.trace[-1].rpartition(" -> ")[2]


def done(trial: Trial, who: Any, verb: str, **given: Any) -> None:
    found = asked(trial, who, verb, **given)
    assert found == "done", trial.trace[-1]


def ruled(trial: Trial, tiers: tuple[tuple[int, int, bool], ...] = TWO) -> None:
    done(trial, RAHIM, "set_rule", day=TODAY, four_eyes=True, tiers=tiers, reason=WHY)


def drafted(trial: Trial, name: str, minor: int = 500_00, **changes: Any) -> None:
    """A document of one line, exempt of taxes but for what is given."""
    line = {"price": minor, "quantity": 1000, "category": "EXEMPT", "codes": (), "account": None}
    line |= {what: changes.pop(what) for what in ("codes", "account") if what in changes}
    given = {
        "kind": "INVOICE",
        "partner": "C1",
        "currency": "BDT",
        "day": TODAY,
        "due": TODAY,
        "lines": [line],
        "prices": "EXCLUSIVE",
        "rounding": "LINE",
        "reference": None,
        "reason": None,
        "corrects": None,
    }
    done(trial, RAHIM, "draft", **(given | {"name": name} | changes))


def money(trial: Trial, name: str, minor: int, **changes: Any) -> None:
    given = {"target": None, "partner": "C1", "minor": minor, "currency": "BDT", "day": TODAY}
    given |= {"method": "CASH", "excess": False, "name": name}
    done(trial, RAHIM, "pay", **(given | changes))


def written(trial: Trial, name: str, code: str = "1000", minor: int = 500_00, currency: str = "BDT") -> None:
    lines = [(code, minor), ("4000", -minor)]
    done(trial, RAHIM, "write", name=name, day=TODAY, currency=currency, lines=lines, post=False)


def opened(trial: Trial, code: str) -> None:
    kind = "ASSET" if code.startswith("1") else "REVENUE"
    given = {"title": "An account", "kind": kind, "currency": "BDT", "parent": None}
    done(trial, RAHIM, "open_account", code=code, **given)


def with_a_changed_tax(trial: Trial) -> tuple[str, dict[str, Any]]:
    done(trial, RAHIM, "adopt")
    drafted(trial, "I1", codes=("VAT15",))
    done(trial, RAHIM, "set_tax", code="VAT15", day=TODAY, rate=1000)
    return "approve", {"name": "I1"}


def with_an_inactive_account(trial: Trial) -> tuple[str, dict[str, Any]]:
    opened(trial, "4000-01")
    drafted(trial, "I1", account="4000-01")
    done(trial, RAHIM, "close_account", code="4000-01", reason=WHY)
    return "approve", {"name": "I1"}


def with_nothing_open(trial: Trial) -> tuple[str, dict[str, Any]]:
    drafted(trial, "I1")
    done(trial, KARIM, "approve", name="I1")
    money(trial, "P1", 500_00, target="I1", partner=None)
    money(trial, "P2", 500_00, target="I1", partner=None)
    done(trial, KARIM, "complete", name="P2", reference="TRX-1")
    return "complete", {"name": "P1", "reference": "TRX-1"}


def without_a_reference(trial: Trial) -> tuple[str, dict[str, Any]]:
    money(trial, "P1", 500_00)
    return "complete", {"name": "P1", "reference": "TRX"}


def with_a_reference_that_is_taken(trial: Trial) -> tuple[str, dict[str, Any]]:
    for name in ("B1", "B2"):
        drafted(trial, name, kind="BILL", partner="V1", reference="R-1")
    done(trial, KARIM, "approve", name="B1")
    return "approve", {"name": "B2"}


def with_more_corrected_than_there_is(trial: Trial) -> tuple[str, dict[str, Any]]:
    drafted(trial, "I1")
    done(trial, KARIM, "approve", name="I1")
    for name in ("N1", "N2"):
        drafted(trial, name, 300_00, kind="CREDIT_NOTE", reason=WHY, corrects="I1")
    done(trial, KARIM, "approve", name="N1")
    return "approve", {"name": "N2"}


def with_an_entry_on_an_inactive_account(trial: Trial) -> tuple[str, dict[str, Any]]:
    opened(trial, "1030")
    written(trial, "J1", "1030")
    done(trial, RAHIM, "close_account", code="1030", reason=WHY)
    return "book", {"name": "J1"}


def with_an_entry_of_a_closed_period(trial: Trial) -> tuple[str, dict[str, Any]]:
    written(trial, "J1")
    done(trial, RAHIM, "close_period", period=(TODAY.year - 1, 12), to="CLOSED")
    return "book", {"name": "J1"}


@pytest.mark.parametrize(
    ("prepare", "code"),
    [
        (with_a_changed_tax, "tax-rate-changed"),
        (with_an_inactive_account, "account-inactive"),
        (with_nothing_open, "payment-too-large"),
        (without_a_reference, "text-malformed"),
        (with_a_reference_that_is_taken, "voucher-reference-taken"),
        (with_more_corrected_than_there_is, "correction-too-large"),
        (with_an_entry_on_an_inactive_account, "account-inactive"),
        (with_an_entry_of_a_closed_period, "period-closed"),
    ],
)
def test_nobody_is_asked_to_agree_to_what_cannot_become_binding(prepare: Any, code: str) -> None:
    trial = Trial(0)
    verb, given = prepare(trial)
    ruled(trial)
    assert asked(trial, KARIM, verb, **given) == code
    assert trial.companies[TENANT].yes == {}


def test_a_yes_that_waits_takes_no_number_and_no_reference_from_others() -> None:
    trial = Trial(0)
    ruled(trial)
    for name in ("B1", "B2"):
        drafted(trial, name, kind="BILL", partner="V1", reference="R-1")
    done(trial, KARIM, "approve", name="B1")
    for who in (KARIM, SALMA):
        done(trial, who, "approve", name="B2")
    assert asked(trial, SALMA, "approve", name="B1") == "voucher-reference-taken"
    assert trial.desk.state_of(trial.desk.ids["B2"]).number.endswith("-000001")


def test_what_is_drafted_and_posted_at_once_waits_as_a_draft_with_its_makers_yes() -> None:
    trial = Trial(0)
    done(trial, RAHIM, "set_rule", day=TODAY, four_eyes=False, tiers=TWO, reason=WHY)
    lines = [("1000", 5), ("4000", -5)]
    done(trial, RAHIM, "write", name="J1", day=TODAY, currency="BDT", lines=lines, post=True)
    assert trial.desk.state_of(trial.desk.ids["J1"]).status == "DRAFT"
    done(trial, KARIM, "book", name="J1")
    assert trial.desk.state_of(trial.desk.ids["J1"]).status == "POSTED"


def test_a_dry_run_shows_what_is_posted_once_all_agree_and_says_that_others_have_to() -> None:
    trial = Trial(0)
    drafted(trial, "I1")
    ruled(trial)
    for who, waits, events in (
        (KARIM, True, ["approval.given/1"]),
        (SALMA, False, ["approval.given/1", "invoice.approved/1", "journal.created/1", "journal.posted/1"]),
    ):
        would = rehearsed(trial, who, "approve", name="I1")
        assert would.have_to_agree is waits
        shown = shape.rehearsed(would)
        assert (shown["othersHaveToAgree"], shown["events"]) == (waits, events)
        assert shown["numbers"] == ["INV-2027-06-14-000001", "SJ-2027-06-000001"]
        assert [(one.number, one.debit_minor) for one in would.entries] == [("SJ-2027-06-000001", 500_00)]
        done(trial, who, "approve", name="I1")


def rehearsed(trial: Trial, who: Any, verb: str, **given: Any) -> Rehearsed:
    """A dry run, which leaves nothing behind."""
    before = trial.world.tables.image()
    [outcome] = trial.ask(replace(trial.asked(TENANT, who, verb, given), rehearsing=True))
    assert trial.world.tables.image() == before
    assert outcome.rehearsed is not None, outcome
    return outcome.rehearsed


# What it is worth


def in_euro(trial: Trial) -> dict[str, tuple[str, dict[str, Any]]]:
    """What undoes each kind of thing that is worth 100.00 EUR, by name."""
    for name in ("I1", "I2", "I3"):
        drafted(trial, name, 100_00, currency="EUR")
        done(trial, KARIM, "approve", name=name)
    money(trial, "P1", 100_00, currency="EUR")
    done(trial, KARIM, "complete", name="P1", reference="TRX-1")
    written(trial, "J1", minor=100_00, currency="EUR")
    done(trial, KARIM, "book", name="J1")
    settled = {"debt": "I2", "minor": 100_00, "on": TODAY, "code": None, "told": WHY, "kind": "WRITE_OFF"}
    done(trial, KARIM, "settle", **settled)
    return {
        "invoice": ("cancel", {"name": "I1", "reason": WHY, "on": None}),
        "payment": ("take_back", {"name": "P1", "reason": WHY, "on": None}),
        "entry": ("reverse", {"entry": "J1", "name": "J2", "on": TODAY, "reason": WHY}),
        "settlement": ("withdraw", {"debt": "I2", "number": 0, "reason": WHY, "on": None}),
        "part": ("settle", settled | {"debt": "I3"}),
    }


def rated(trial: Trial, rate: int) -> None:
    done(trial, RAHIM, "set_rate", currency="EUR", day=TODAY, rate=rate * 1_0000)


@pytest.mark.parametrize(("then", "now", "waits"), [(100, 1, 5), (1, 100, 0)])
def test_what_undoing_takes_is_by_the_rate_it_was_posted_at(then: int, now: int, waits: int) -> None:
    """Whoever sets today's rate would choose who must agree."""
    trial = Trial(0)
    rated(trial, then)
    acts = in_euro(trial)
    rated(trial, now)
    ruled(trial, LARGE)
    for verb, given in acts.values():
        done(trial, KARIM, verb, **given)
    assert len(trial.companies[TENANT].yes) == waits
    assert sum(row.type == "approval.given/1" for row in trial.world.tables.rows) == waits


def test_a_draft_takes_what_it_is_worth_by_the_table_of_its_day() -> None:
    trial = Trial(0)
    rated(trial, 1)
    drafted(trial, "I1", 100_00, currency="EUR")
    rated(trial, 100)
    ruled(trial, LARGE)
    done(trial, KARIM, "approve", name="I1")
    assert set(trial.companies[TENANT].yes) == {"I1"}


def from_before_rates(trial: Trial) -> str:
    """An invoice of 100.00 EUR that was approved when nobody kept what it is worth, with its entry."""
    one, entry = (f"00000000-0000-7000-8000-{number:012d}" for number in (1, 2))
    line = invoice.line(
        description="Rice",
        quantity=Decimal(1),
        unit_price=Money(100_00, "EUR"),
        vat_category="EXEMPT",
        product_id=None,
    )
    terms = invoice.Terms(customer_id=partner_id("C1"), invoice_date=TODAY, due_date=TODAY, lines=(line,))
    sides = [trial.desk.account(TENANT, code) for code in ("1200", "4000")]
    lines = (
        journal.Line(account_id=sides[0], debit_minor=100_00),
        journal.Line(account_id=sides[1], credit_minor=100_00),
    )
    given = {"journal_date": TODAY, "currency": "EUR", "lines": lines}
    events: list[tuple[str, str, int, Any]] = [
        ("invoice", one, 1, invoice.Created(invoice_id=one, currency="EUR", terms=terms)),
        (
            "journal",
            entry,
            1,
            journal.Created(
                journal_id=entry, journal_type="SALES", description="Invoice", document_id=one, **given
            ),
        ),
        ("invoice", one, 2, invoice.Approved(number="INV-1", journal_id=entry, approved_by="karim")),
        (
            "journal",
            entry,
            2,
            journal.Posted(number="SJ-1", posted_at=START - timedelta(days=1), posted_by="karim", **given),
        ),
    ]
    appends = [
        Append(kind=kind, stream_id=stream, version=version, event=event)
        for kind, stream, version, event in events
    ]

    async def append() -> None:
        async with trial.world.store.book(TENANT) as book:
            await book.append(appends, actor="rahim")

    assert alone(append()).code is None
    return one


def test_what_nobody_knows_the_worth_of_is_below_no_tier() -> None:
    """Of a document from before rates were kept, its worth in the books is not nothing but unknown."""
    trial = Trial(0)
    trial.auditor = None  # no textbook values a receivable at nothing
    trial.desk.ids["I1"] = from_before_rates(trial)
    ask = {"name": "I1", "reason": WHY, "on": None}

    def cancelled() -> str:
        [outcome] = trial.ask(trial.asked(TENANT, KARIM, "cancel", ask))
        return outcome.code or str(outcome.answer.status)

    rule = {"day": TODAY, "four_eyes": True, "tiers": LARGE, "reason": WHY}
    trial.ask(trial.asked(TENANT, RAHIM, "set_rule", rule))
    assert cancelled() == "rate-missing"
    trial.ask(trial.asked(TENANT, RAHIM, "set_rate", {"currency": "EUR", "day": TODAY, "rate": 100_0000}))
    assert cancelled() == "APPROVED"
    assert sum(row.type == "approval.given/1" for row in trial.world.tables.rows) == 1
