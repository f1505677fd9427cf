"""Asks the read models for what a report is made from, and makes it.

What GraphQL shows and what an export writes is the same answer to the same question. A report that takes more than one
look at the read models takes them at one instant, so that what must tie does.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from finance import cashflow, chart, fiscal, posting, rate, report, revaluation, vat
from finance.adapters.postgres.drilling import Drill
from finance.adapters.postgres.views import Views, Window
from finance.bankline import Bankline
from finance.figure import Figure
from finance.journal import Journal
from finance.money import BASE
from finance.payment import Payment
from finance.refusal import DateMalformed, RateMissing, ReportTooLarge
from finance.report import Aged, Balance, BalanceSheet, ProfitAndLoss, Step
from finance.settlement import SALES

MOST_MOVEMENTS = 10_000
"""Of a statement: what one answer can carry without keeping others waiting."""


def known_until(known_on: date | None) -> datetime | None:
    """The end of a record date, in UTC; None counts everything."""
    return None if known_on is None else datetime.combine(known_on, time.max, tzinfo=UTC)


def within(first: date | None, last: date, known_on: date | None) -> Window:
    """Which entries count.

    Raises:
        DateMalformed: the first day is after the last.
    """
    if first is not None and first > last:
        raise DateMalformed(f"The first day {first} is after the last, {last}.")
    return Window(first=first, last=last, known=known_until(known_on))


def before(window: Window, first: date) -> Window:
    """What counted before the first day; before the first of all days there is nothing."""
    if first == date.min:
        return Window(first=date.max, last=date.min)
    return Window(last=first - timedelta(days=1), known=window.known)


def last_day(fiscal_year: str, as_of: date | None) -> date:
    """The day a trial balance ends with.

    Raises:
        DateMalformed: no fiscal year, or a day that is not in it.
    """
    try:
        first, last = fiscal.first_day(fiscal_year), fiscal.last_day(fiscal_year)
    except ValueError:
        raise DateMalformed(f"Expected a fiscal year like FY2026-2027, found '{fiscal_year[:20]}'.") from None
    if as_of is not None and not first <= as_of <= last:
        raise DateMalformed(f"Expected a day from {first} to {last}, found {as_of}.")
    return as_of or last


def accounts_of(tenant_id: str, side: str) -> list[str]:
    """The accounts that say what is open with the partners of a side."""
    rule = posting.SIDES[side]
    return [chart.account_id(tenant_id, code) for code in (rule.control, rule.advances)]


def sign_of(side: str) -> int:
    """What debits less credits are multiplied with, so that what is owed is positive."""
    return 1 if side == SALES else -1


async def trial_balance(
    views: Views, tenant_id: str, *, last: date, known_on: date | None, currency: str
) -> list[Balance]:
    """What every account held at the end of a day, by code."""
    window = Window(last=last, known=known_until(known_on))
    return await views.balances(tenant_id, currency=currency, window=window)


async def profit_and_loss(views: Views, tenant_id: str, window: Window) -> ProfitAndLoss:
    """What was earned and spent in a window, closing entries left out."""
    return report.profit_and_loss(
        await views.balances(tenant_id, currency=BASE, window=window, closing=False)
    )


async def balance_sheet(views: Views, tenant_id: str, window: Window) -> BalanceSheet:
    """What the company had, owed and was worth at the end of a window without a first day."""
    return report.balance_sheet(await views.balances(tenant_id, currency=BASE, window=window))


async def cash_flow(views: Views, tenant_id: str, first: date, window: Window) -> cashflow.CashFlow:
    """Where money came from and went to since the first day of the window."""
    async with views.still(tenant_id) as now:
        opening = await now.balances(tenant_id, currency=BASE, window=before(window, first))
        until = Window(last=window.last, known=window.known)
        closing = await now.balances(tenant_id, currency=BASE, window=until)
        cash = moving(tenant_id, closing)
        others = await now.flows(tenant_id, cash, window=window)
    return cashflow.cash_flow(opening, closing, others, revalued=revalued(tenant_id))


def revalued(tenant_id: str) -> str:
    """The account of what cash in other currencies is worth more or less at the rate of a day."""
    return chart.account_id(tenant_id, chart.CASH_REVALUED)


def moving(tenant_id: str, held: Iterable[Balance]) -> list[str]:
    """The cash accounts that money comes to and goes from."""
    found = [one.account for one in held if cashflow.is_cash(one.account)]
    return [one.id for one in found if one.id != revalued(tenant_id)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Debts:
    """What is open with the partners of a side; `control_minor` is what the accounts hold, positive where owed."""

    side: str
    aged: tuple[Aged, ...]
    control_minor: int


async def debts(views: Views, tenant_id: str, side: str, *, as_of: date, known_on: date | None) -> Debts:
    """Receivables or payables by age."""
    accounts, window = accounts_of(tenant_id, side), within(None, as_of, known_on)
    async with views.still(tenant_id) as now:
        items = await now.items(tenant_id, accounts, last=as_of, known=window.known)
        held, _count = await now.moved_minor(tenant_id, accounts, currency=BASE, window=window)
    aged = report.ageing(items, side=side, as_of=as_of)
    return Debts(side=side, aged=aged, control_minor=sign_of(side) * held)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What happened with a partner. Debits less credits; times `sign`, what is owed is positive."""

    sign: int
    opening_minor: int
    steps: tuple[Step, ...]

    @property
    def closing_minor(self) -> int:
        return self.steps[-1].balance_minor if self.steps else self.opening_minor


async def statement(
    views: Views, tenant_id: str, side: str, partner_id: str, *, currency: str, first: date, window: Window
) -> Statement:
    """What changed what is open with a partner, entry by entry, since the first day of the window.

    Raises:
        ReportTooLarge: more movements than one answer carries.
    """
    accounts = accounts_of(tenant_id, side)
    async with views.still(tenant_id) as now:
        opening, _count = await now.moved_minor(
            tenant_id, accounts, currency=currency, window=before(window, first), partner_id=partner_id
        )
        moved = await now.movements(
            tenant_id,
            accounts,
            currency=currency,
            window=window,
            partner_id=partner_id,
            limit=MOST_MOVEMENTS + 1,
        )
    if len(moved) > MOST_MOVEMENTS:
        raise ReportTooLarge(f"Expected at most {MOST_MOVEMENTS} movements.")
    steps = report.ledger(opening, report.by_entry(moved))
    return Statement(sign=sign_of(side), opening_minor=opening, steps=steps)


async def drill(views: Views, tenant_id: str, figure: Figure) -> Drill:
    """What a figure is made of, by the accounts of these books. Cash accounts are told as the cash flow tells them."""
    known = known_until(figure.known_on)
    if figure.cash is not None:
        until = Window(last=figure.last, known=known)
        held = await views.balances(tenant_id, currency=BASE, window=until)
        cash = tuple(one.account.id for one in held if cashflow.is_cash(one.account))
        if figure.cash == "HELD":
            return Drill(figure=figure, known=known, account_ids=cash)
        return Drill(
            figure=figure,
            known=known,
            account_ids=tuple(
                one.account.id
                for one in held
                if one.account.id not in cash
                and figure.account_id in {None, one.account.id}
                and figure.activity in {None, cashflow.activity_of(one.account)}
            ),
            beside=tuple(moving(tenant_id, held)),
        )
    if figure.side is not None:
        return Drill(figure=figure, known=known, account_ids=tuple(accounts_of(tenant_id, figure.side)))
    if figure.section is not None:
        taxes = {chart.account_id(tenant_id, one): section for one, section in vat.SECTIONS.items()}
        if figure.value:
            return Drill(figure=figure, known=known, not_account_ids=tuple(taxes))
        of_section = tuple(one for one, section in taxes.items() if section == figure.section)
        return Drill(figure=figure, known=known, account_ids=of_section)
    only = None if figure.account_id is None else (figure.account_id,)
    return Drill(figure=figure, known=known, account_ids=only)


def methods_of(tenant_id: str, account_id: str) -> list[str]:
    """The ways of paying whose money is on an account."""
    return [
        how for how, code in posting.MONEY_ACCOUNT.items() if chart.account_id(tenant_id, code) == account_id
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """Books and bank of one account at the end of a day; what is matched is as of now.

    `lines` are matched with nothing and `payments` with no line: the oldest, and the sums of all. `told_minor` is what
    the bank said last, and when.
    """

    book_minor: int
    lines: tuple[Bankline, ...]
    lines_minor: int
    payments: tuple[Payment, ...]
    payments_minor: int
    told_minor: int | None
    told_on: date | None

    @property
    def expected_minor(self) -> int:
        """What the bank should hold."""
        return self.book_minor - self.payments_minor + self.lines_minor

    @property
    def difference_minor(self) -> int | None:
        return None if self.told_minor is None else self.told_minor - self.expected_minor


async def reconciliation(
    views: Views, tenant_id: str, account_id: str, *, as_of: date, currency: str, limit: int
) -> Reconciliation:
    """What books and bank say, with at most so many lines, and so many payments."""
    async with views.still(tenant_id) as now:
        window = Window(last=as_of)
        held, _count = await now.moved_minor(tenant_id, [account_id], currency=currency, window=window)
        told = await now.bank_balance(tenant_id, account_id, currency=currency, until=as_of)
        lines, lines_minor = await now.unmatched_lines(
            tenant_id, account_id, currency=currency, until=as_of, limit=limit
        )
        methods = methods_of(tenant_id, account_id)
        payments, payments_minor = await now.unreconciled(
            tenant_id, account_id, methods, currency=currency, until=as_of, limit=limit
        )
    return Reconciliation(
        book_minor=held,
        lines=tuple(lines),
        lines_minor=lines_minor,
        payments=tuple(payments),
        payments_minor=payments_minor,
        told_minor=told and told[0],
        told_on=told and told[1],
    )


async def vat_summary(views: Views, tenant_id: str, window: Window) -> vat.Summary:
    """Values and taxes by code, tied to the tax accounts."""
    sections = {chart.account_id(tenant_id, one): section for one, section in vat.SECTIONS.items()}
    async with views.still(tenant_id) as now:
        rows = await now.taxed(tenant_id, list(sections), window=window)
        balances = await now.balances(tenant_id, currency=BASE, window=window)
    return vat.summary(rows, balances, sections)


ATTEMPTS = 20
"""Revaluations of a day that are looked up at once."""


async def revaluation_of(views: Views, tenant_id: str, day: date) -> revaluation.Comparison:
    """What revaluing the currencies of a day would post now, and what stands of it.

    Raises:
        RateMissing: of a currency that is held.
    """
    async with views.still(tenant_id) as now:
        sums = await now.sums(tenant_id, last=day)
        accounts = await now.find(tenant_id, "account", sorted({one for one, _ in sums}))
        standing = await _revalued(now, tenant_id, day)
        was = revaluation.posted(standing)
        held = [one for one in revaluation.monetary(tenant_id, sums, accounts) if revaluation.shown(one, was)]
        streams = {currency: rate.stream(tenant_id, currency) for currency in {one.currency for one in held}}
        tables = await now.find(tenant_id, "rate", sorted(streams.values()))
    quotes = {}
    for currency, stream in streams.items():
        if stream not in tables:
            raise RateMissing(f"Expected one of {currency} on {day} or before.")
        quotes[currency] = tables[stream].quote_on(day)
    return revaluation.Comparison(
        day=day,
        items=tuple(revaluation.Item(holding=one, rate=quotes[one.currency].rate) for one in held),
        since={currency: quote.valid_from for currency, quote in quotes.items()},
        entry=standing,
    )


async def _revalued(views: Views, tenant_id: str, day: date) -> Journal | None:
    """The entry of a day's revaluation that stands: the last one, unless its reversal was taken back."""
    last, number = None, 1
    while True:
        ids = [revaluation.entry_id(tenant_id, day, n) for n in range(number, number + ATTEMPTS)]
        found = await views.find(tenant_id, "journal", ids)
        last = next((found[one] for one in reversed(ids) if one in found), last)
        if len(found) < ATTEMPTS:
            break
        number += ATTEMPTS
    if last is None:
        return None
    back = await views.find(tenant_id, "journal", [last.reversed_by_id])
    return last if back[last.reversed_by_id].status == "POSTED" else None
