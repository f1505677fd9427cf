"""A made-up company-year: the same for the same seed, worked by the real commands, and taken up where it stopped."""

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from click.testing import CliRunner

from finance import fiscal, posting
from finance.adapters.postgres.store import PostgresStore
from finance.adapters.postgres.views import Views, Window
from finance.bookkeeper import revalued, works
from finance.chart import OUTPUT_TAXES
from finance.cli import commands
from finance.company import BOUGHT, METHODS, SOLD, Company, deals, months
from finance.control import check
from finance.deal import Course, Ground, Step
from finance.handle import Books
from finance.ids import new_id
from finance.refusal import PeriodClosed, TenantUnknown
from finance.seeding import Calendar, Seeder
from finance.verify import examine
from finance.wiring import Unasked
from kit.settings import SettingsRefused

Desk = Any
Ledger = Any
World = Any
TENANT = "0198c5a0-0000-7000-8000-000000000001"
YEAR = "FY2025-2026"
SHOWN = {
    "invoices": "status prices balanceDue { amount } settlements { kind }",
    "vouchers": "kind status side balanceDue { amount }",
    "payments": "status paymentMethod walletProvider unallocated { amount }",
    "journals": "journalType status lines { accountId }",
    "accounts": "accountType parentAccountId balance { amount }",
}


def company(documents: int = 60, seed: int = 1, tenant: str = TENANT) -> Company:
    return Company(tenant_id=tenant, seed=seed, documents=documents, fiscal_year=YEAR)


def begun(one: Company) -> list[Any]:
    return [deal for month in range(len(months(one))) for deal in deals(one, month)]


def test_the_same_seed_is_the_same_company_and_another_is_another() -> None:
    assert begun(company()) == begun(company())
    assert begun(company()) != begun(company(seed=2))


@pytest.mark.parametrize("documents", [200, 3000])
def test_a_year_has_about_as_many_documents_as_it_was_asked_for(documents: int) -> None:
    one = company(documents)
    made = sum(deal.documents(one.last_on) for deal in begun(one))
    assert 0.95 * documents <= made <= 1.1 * documents


def test_a_year_has_every_way_to_pay_every_tax_and_every_end_of_a_deal() -> None:
    found = begun(company(3000))
    paid = Counter(pay.details.method for deal in found for pay in deal.payments)
    assert paid.keys() == dict(METHODS).keys() == posting.MONEY_ACCOUNT.keys()
    codes = {line.tax_codes for deal in found for line in deal.lines}
    assert codes == {one for one, _ in (*SOLD, *BOUGHT)}
    for what in (
        "cancelled",
        "credited_per_mille",
        "advance_per_mille",
        "withheld_by",
        "excess_minor",
        "written_off",
    ):
        assert any(getattr(deal, what) for deal in found), what
    assert any(pay.bounced for deal in found for pay in deal.payments)
    assert {deal.currency for deal in found} == {"BDT", "USD", "EUR"}


def test_nothing_is_recorded_before_its_day_or_after_its_month_is_closed() -> None:
    for deal in begun(company(3000)):
        assert deal.dated_on <= deal.recorded_on <= deal.approved_on <= deal.corrected_on <= deal.last_on
        assert (deal.approved_on - deal.dated_on).days <= 6


@dataclass
class Crash:
    """Ends a run after so many commands, behind the back of who gave the last of them."""

    left: int

    def __call__(self, *_: object) -> None:
        self.left -= 1
        if not self.left:
            raise ConnectionResetError("the machine went away")


async def seeded(ledger: Ledger, tenant: str, *, connections: int = 4, crash: int = 0) -> Seeder:
    one = company(tenant=tenant, seed=5)  # the first whose bank charges it something of its own
    store, calendar = PostgresStore(ledger.app), Calendar(one.first_on)
    if crash:
        store.listeners.append(Crash(crash))
    books = Books(store=store, masterdata=Unasked(), clock=calendar, new_id=new_id)
    made = Seeder(books=books, calendar=calendar, company=one, connections=connections)
    await made.work(partial(store.answered, tenant), lambda _: None)
    return made


def unmoved(today: date) -> Seeder:
    """A seeder without books: nobody may ask anything of them."""
    return Seeder(books=None, calendar=Calendar(today), company=company(600))  # type: ignore[arg-type]


async def test_what_is_dated_after_the_year_is_not_done() -> None:
    last = company().last_on
    asked = []

    async def ask(*_: object) -> str:
        asked.append(_)
        return "done"

    def course(dated_on: date) -> Course:
        yield Step(on=last + timedelta(days=2), by="maker", ask=ask, dated_on=dated_on)

    made = unmoved(last + timedelta(days=3))
    for dated_on, given in ((last, 1), (last + timedelta(days=1), 0)):
        made.given.clear()
        await made._all([made._begun("one", course(dated_on))])
        assert made.given.total() == given
    assert len(asked) == 1


def test_of_months_that_are_closed_only_deals_are_begun_that_went_on_after_them() -> None:
    made, month = unmoved(company().first_on), 4
    ground = Ground(accounts=defaultdict(str))
    for done in (0, month, month + 1, month + 3):
        settled = months(made.company)[done - 1][1] if done else date.min
        begun_names = {one.name for one in made._beginning(ground, month, done)}
        lasting = {one.name for one in deals(made.company, month) if one.last_on > settled}
        bookkeeping = {one.name for one in works(made.company, ground, month)} if done <= month else set()
        assert lasting or done == month + 3
        assert begun_names == lasting | bookkeeping


async def test_other_currencies_are_revalued_at_the_end_of_a_month_before_it_is_closed(shelved: Desk) -> None:
    last, day = date(2026, 10, 31), date(2026, 11, 7)
    [work] = [
        one for one in works(company(), Ground(accounts=defaultdict(str)), 3) if one.name == "revalue-3"
    ]
    step = next(work.course)
    assert (work.on, step.on, step.dated_on) == (date(2025, 11, 7), date(2025, 11, 7), date(2025, 10, 31))
    [step] = revalued(last, day + timedelta(days=1))
    assert await step.ask(shelved.books, shelved.caller, "nothing yet") is None
    for rate, since in (("130", date(2026, 10, 1)), ("132", last)):
        await shelved.rate_set(rate, since)
    await shelved.invoice_approved(100_00, date(2026, 10, 20), "EUR", vat="EXEMPT")
    posted = await step.ask(shelved.books, shelved.caller, "one")
    assert (posted.journal_date, posted.debit_minor) == (last, 200_00)


async def held(ledger: Ledger, tenant: str, known: Any = None) -> dict[str, int]:
    views = Views(ledger.app, await ledger.replayed())
    found = await views.balances(tenant, currency="BDT", window=Window(last=date(2026, 6, 30), known=known))
    return {one.account.code: one.net_minor for one in found if one.net_minor}


@pytest.mark.integration
async def test_a_year_that_was_cut_off_anywhere_goes_on_and_is_the_same_year(desk: Desk) -> None:
    ledger = desk.ledger
    whole = await seeded(ledger, ledger.tenant)
    for after in (7, 320):
        with pytest.RaisesGroup(ConnectionResetError, flatten_subgroups=True):
            await seeded(ledger, ledger.other_tenant, crash=after)
    again = await seeded(ledger, ledger.other_tenant, connections=1)
    assert await held(ledger, ledger.tenant) == await held(ledger, ledger.other_tenant)
    assert await ledger.events(ledger.tenant) == await ledger.events(ledger.other_tenant)
    last = await ledger.seen(ledger.tenant, "SELECT max(effective_date) FROM finance_log.events")
    assert last == date(2026, 7, 1), "of the next year there is but the accrual that is taken back"
    assert sum(again.given.values()) < sum(whole.given.values()), "closed months are not gone through again"
    assert not (await seeded(ledger, ledger.tenant)).given, "there is nothing left to do"
    desk.caller = replace(desk.caller, tenant_id=ledger.tenant)
    for kind, fields in SHOWN.items():
        told = await desk.asked(f"{{ {kind}Connection(first: 200) {{ nodes {{ id {fields} }} }} }}")
        assert isinstance(told, dict), f"{kind}: {told}"
        assert told["nodes"]
    asked = "query ($id: ID!) { bankLines(accountId: $id, limit: 200) { isMatched journalIds } }"
    lines = await desk.asked(asked, id=desk.account("1010"))
    assert all(one["isMatched"] for one in lines)
    assert any(one["journalIds"] for one in lines), "the bank's charges are booked from their lines"
    log = await desk.log()
    findings = examine(log)
    check(log, findings)
    assert (findings.verdict, findings.faults) == ("pass", [])
    assert {"1010", "1020", "1200", "2000", "2300", "4010", "5110", "1590", *OUTPUT_TAXES[:1]} <= (
        await held(ledger, ledger.tenant)
    ).keys()


@pytest.mark.integration
async def test_a_rule_that_says_no_ends_the_run_and_is_told(desk: Desk) -> None:
    closer = replace(desk.caller, user_id="karim")
    await desk.books.closing.close_period(closer, str(uuid4()), fiscal.periods(YEAR)[1], to="CLOSED")
    with pytest.raises(PeriodClosed):
        await seeded(desk.ledger, desk.ledger.tenant)
    with pytest.raises(TenantUnknown):
        await seeded(desk.ledger, str(uuid4()))


@pytest.mark.integration
def test_the_command_fills_books_once_and_keeps_its_hands_off_those_of_others(world: World) -> None:
    asked = ("seed", "--tenant", world.tenant, "--documents", "20")
    for arguments, deployment, told in (
        ((), "production", "production's settings"),
        (("--year", "2026"), "laptop", "--year: expected a fiscal year"),
        (("--year", "FY2098-2099"), "laptop", "--year: expected a year that is over"),
    ):
        done = CliRunner().invoke(commands, [*asked, *arguments], env=world.settings(deployment=deployment))
        assert isinstance(done.exception, SettingsRefused)
        assert told in str(done.exception)
    first = world.command(*asked, deployment="laptop")
    assert (first.returncode, first.stderr, "there already" in first.stdout) == (0, "", False)
    assert "there already" in world.command(*asked, deployment="laptop").stdout
    other = world.command(*asked, "--seed", "2", deployment="laptop")
    assert (other.returncode, other.stdout, len(other.stderr.splitlines())) == (1, "", 1)
    assert "others have written" in other.stderr
