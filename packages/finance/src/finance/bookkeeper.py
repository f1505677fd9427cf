"""What the bookkeeper of a made-up company does: opens the books, posts what comes every month, matches, closes."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import Any, Final

from finance import bankline, chart, fiscal, invoice, journal, period, policy, posting, template, voucher
from finance.bank_file import Columns
from finance.banking import Given
from finance.booking import Against, Booking
from finance.company import Company, closed_on, months
from finance.deal import CHECKER, MAKER, Ask, Course, Ground, Step
from finance.matching import signed_minor
from finance.money import BASE, Money
from finance.payment import Payment
from finance.ports import Caller
from finance.rate import Quote
from finance.refusal import NothingToRevalue

OWN: Final = (
    ("4010", "Domestic sales", "REVENUE", "4000"),
    ("4020", "Export sales", "REVENUE", "4000"),
    ("5110", "Salaries of the office", "EXPENSE", "5100"),
    ("5120", "Salaries of the depots", "EXPENSE", "5100"),
    ("5210", "Rent of the office", "EXPENSE", "5200"),
    ("5220", "Rent of the depots", "EXPENSE", "5200"),
    ("5221", "Rent of the depot in Chattogram", "EXPENSE", "5220"),
    ("5400", "Utilities", "EXPENSE", None),
    ("5410", "Electricity", "EXPENSE", "5400"),
    ("5420", "Telephone and internet", "EXPENSE", "5400"),
    ("5600", "Depreciation", "EXPENSE", None),
    ("5910", "Bank charges", "EXPENSE", "5900"),
    ("1590", "Accumulated depreciation", "ASSET", "1500"),
    ("2500", "Term loan", "LIABILITY", None),
)
"""Accounts besides the standard ones: code, name, type, and the code of the one above."""

USED: Final = (
    "1000",
    "1010",
    "1020",
    "1300",
    "1500",
    "2100",
    "3000",
    "3900",
    "4000",
    "5000",
    "5100",
    "5200",
    "5900",
)
RATES: Final = {"USD": 122_00, "EUR": 133_00}
COLUMNS: Final = Columns(booked_on="day", amount="amount", reference="reference", text="text")
CARDS: Final = ("CREDIT_CARD", "DEBIT_CARD")
MOST_TOLD: Final = 500
MATCHERS: Final = 8
TIN, BIN = "123456789012", "1234567890123"


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A course of one day, with the name that its steps' keys are made of."""

    name: str
    on: date
    course: Course


def works(company: Company, ground: Ground, month: int) -> Iterator[Work]:
    """Everything besides deals that is begun in a month, from 0 for July."""
    _, last = months(company)[month]
    told, closing = last + timedelta(days=5), closed_on(last)
    matched = told + timedelta(days=1)
    if month + 1 < fiscal.PERIODS:  # entered the evening before, so that nobody waits for it
        yield Work(name=f"rates-{month + 1}", on=last, course=rates(company, month + 1, last))
    yield Work(name=f"payroll-{month}", on=last, course=monthly(company, ground, last))
    yield Work(name=f"bank-{month}", on=told, course=statement(company, ground, month, told))
    for number in range(MATCHERS):
        yield Work(name=f"match-{month}-{number}", on=matched, course=matches(ground, month, number, matched))
    yield Work(name=f"charges-{month}", on=matched, course=charges(ground, month, matched))
    yield Work(name=f"revalue-{month}", on=closing - timedelta(days=1), course=revalued(last, closing))
    yield Work(name=closing_name(month), on=closing, course=close(company, month, closing))


def closing_name(month: int) -> str:
    """Of the work that ends a month: whatever is dated in it was done before."""
    return f"close-{month}"


def step(on: date, ask: Ask, *, by: str = MAKER, dated_on: date | None = None) -> Step:
    return Step(on=on, by=by, ask=ask, dated_on=dated_on or on)


def opening(company: Company, ground: Ground) -> Course:
    """Accounts, taxes, who the company is, what it had and owed before, and the templates of what comes every month."""
    day = company.first_on
    ground.accounts.update({code: chart.account_id(company.tenant_id, code) for code in USED})
    for code, name, account_type, above in OWN:
        made = yield step(day, _account(ground, code, name, account_type, above))
        ground.accounts[code] = made.id
    yield step(day, lambda books, caller, key: books.taxes.adopt(caller, key, "bangladesh"))
    identity = policy.Identify(name="Padma Trading Ltd", address="Motijheel, Dhaka", tin=TIN, bin=BIN)
    yield step(day, lambda books, caller, key: books.closing.decide(caller, key, identity))
    yield from rates(company, 0, day)
    yield from _brought_forward(company, ground, day)
    for name, terms in templates(company, ground).items():
        drafted = yield step(day, _template(terms))
        yield step(day, _approve_template(drafted.id), by=CHECKER)
        ground.templates[name] = drafted.id


def _brought_forward(company: Company, ground: Ground, day: date) -> Course:
    """Balances of the year before. What partners owed or were owed comes as notes and bills, against earnings."""
    unit = max(1, company.documents) * 1_000_00
    held = {"1000": 2, "1010": 60, "1020": 3, "1300": 30, "1500": 80, "2500": -50, "3000": -100, "3900": -25}
    lines = {code: parts * unit for code, parts in held.items()}
    yield from entry(ground, day, "OPENING", "Balances brought forward", lines)
    for kind, who in ((voucher.DEBIT_NOTE, "customer"), (voucher.BILL, "vendor")):
        for number, partner in enumerate(company.partners(who, 4)):
            if partner.currency == BASE:
                ask = _owed_before(ground, kind, partner.id, (number + 1) * unit // 4, day, f"BF-{number}")
                made = yield step(day, ask)
                yield step(day, _approve(made.id), by=CHECKER)


def entry(ground: Ground, day: date, kind: str, told: str, held: dict[str, int]) -> Course:
    """An entry by hand, drafted by one and posted by another; debits are positive."""
    command = journal.Create(
        journal_id="",
        journal_date=day,
        journal_type=kind,
        description=told,
        currency=BASE,
        lines=tuple(
            journal.Line(
                account_id=ground.accounts[code], debit_minor=max(minor, 0), credit_minor=max(-minor, 0)
            )
            for code, minor in held.items()
        ),
    )
    made = yield step(day, lambda books, caller, key: books.create_journal(caller, key, command, post=False))
    yield step(day, _post(made.id), by=CHECKER)


def salaries_minor(company: Company) -> int:
    """What one month's salaries come to: a company of so many documents has so many people."""
    return max(1, company.documents) * 900_00


def templates(company: Company, ground: Ground) -> dict[str, template.Terms]:
    """Salaries, rent, electricity that is accrued, and the depreciation of what was brought forward."""
    salaries = Money(salaries_minor(company), BASE)
    unit, day = max(1, company.documents), company.first_on + timedelta(days=30)
    schedule = template.Schedule(frequency="MONTHLY", starts_on=day, ends_on=company.last_on)

    def recurring(name: str, kind: str, amounts: dict[str, str], other: str) -> template.Terms:
        lines = [template.Line(account_id=ground.accounts[one], debit=said) for one, said in amounts.items()]
        whole = " + ".join(f"({said})" for said in amounts.values())
        lines.append(template.Line(account_id=ground.accounts[other], credit=whole))
        return template.Terms(kind=kind, name=name, currency=BASE, schedule=schedule, lines=tuple(lines))

    return {
        "salaries": recurring(
            "Salaries", "RECURRING", {"5110": f"{salaries} * 0.6", "5120": f"{salaries} * 0.4"}, "2100"
        ),
        "rent": recurring("Rent", "RECURRING", {"5210": f"{unit * 40}", "5221": f"{unit * 25}"}, "1010"),
        "electricity": recurring(
            "Electricity", "ACCRUAL", {"5410": f"{unit} * DAYS_IN_MONTH + 100 * MONTH"}, "2100"
        ),
        "depreciation": template.Terms(
            kind="DEPRECIATION",
            name="Machines",
            currency=BASE,
            schedule=template.Schedule(frequency="MONTHLY", starts_on=day),
            asset=template.Asset(
                method="STRAIGHT_LINE",
                cost_minor=80 * unit * 1_000_00,
                salvage_minor=8 * unit * 1_000_00,
                life_months=96,
                expense_account_id=ground.accounts["5600"],
                accumulated_account_id=ground.accounts["1590"],
            ),
        ),
    }


def rates(company: Company, month: int, day: date) -> Course:
    """What foreign money is worth from the first of a month on, as entered on a day."""
    first, _ = months(company)[month]
    for currency, hundredths in RATES.items():
        moved = company.chance("rate", currency, month).randrange(-200, 201)
        quote = Quote(valid_from=first, rate=Decimal(hundredths + moved) / 100)
        yield step(day, _rate(currency, quote))


def monthly(company: Company, ground: Ground, last: date) -> Course:
    """What is posted at the end of every month: the templates, and salaries and the bank's charges as paid."""
    for template_id in ground.templates.values():
        yield step(last, _run(template_id, last))
    paid = salaries_minor(company)
    yield from entry(ground, last, "CASH_PAYMENT", "Salaries paid", {"2100": paid, "1010": -paid})
    charges = company.chance("charges", last).randrange(500_00, 5_000_00)
    yield from entry(ground, last, "GENERAL", "Bank charges", {"5910": charges, "1010": -charges})


def statement(company: Company, ground: Ground, month: int, day: date) -> Course:
    """What the bank tells of a month: a line for a payment, one a day for all by card, and some of its own."""
    first, last = months(company)[month]
    chance = company.chance("bank", month)
    moved = sorted(
        (one for one in ground.moved if banked(one) and first <= one.payment_date <= last),
        key=lambda one: (one.payment_date, one.transaction_reference or "", one.amount_minor),
    )
    ground.moved = [one for one in ground.moved if one.payment_date > last]
    told = list(of_payments(chance, moved))
    account = ground.accounts["1010"]
    lines = [(bankline.stream(company.tenant_id, account, row[2]), row[4]) for row in told]
    ground.told[month] = [(line_id, paid) for line_id, paid in lines if paid]
    ground.charged[month] = [line_id for line_id, paid in lines if not paid]
    for number in range(0, len(told), MOST_TOLD):
        rows = told[number : number + MOST_TOLD]
        text = "".join(f"{on},{Money(minor, BASE)},{name},{said}\n" for on, minor, name, said, _ in rows)
        given = Given(
            account_id=account,
            currency=BASE,
            kind="CSV",
            name=f"{fiscal.period(first)}-{number}.csv",
            content=f"day,amount,reference,text\n{text}".encode(),
            columns=COLUMNS,
        )
        yield step(day, _take(given))


def banked(paid: Payment) -> bool:
    return paid.currency == BASE and posting.MONEY_ACCOUNT[paid.details.method] == chart.BANK


def of_payments(
    chance: Random, moved: list[Payment]
) -> Iterator[tuple[date, int, str, str, tuple[str, ...]]]:
    """Lines: day, amount, the bank's reference, its text, and the payments they are; some payments it tells later."""
    cards: dict[date, list[Payment]] = {}
    for number, paid in enumerate(moved):
        if chance.random() < 0.03:
            continue
        if paid.details.method in CARDS:
            cards.setdefault(paid.payment_date, []).append(paid)
            continue
        name = f"B{paid.payment_date:%y%m%d}{number:06d}"
        yield (
            paid.payment_date,
            signed_minor(paid),
            name,
            f"{paid.details.method} {paid.transaction_reference}",
            (paid.id,),
        )
        if chance.random() < 0.02:
            yield paid.payment_date, -chance.randrange(20_00, 150_00), f"{name}F", "Charge", ()
    for day, those in cards.items():
        total = sum(map(signed_minor, those))
        if total:
            yield day, total, f"CARDS-{day:%y%m%d}", "Cards of the day", tuple(one.id for one in those)


def matches(ground: Ground, month: int, number: int, day: date) -> Course:
    """One of several who match what the bank told with payments."""
    for line_id, payment_ids in ground.told.get(month, [])[number::MATCHERS]:
        yield step(day, _match(line_id, payment_ids), by=CHECKER)


def charges(ground: Ground, month: int, day: date) -> Course:
    """The bank's own charges are booked from their lines, drafted by one and posted by another."""
    for line_id in ground.charged.get(month, []):
        made = yield step(day, _book(line_id, ground.accounts["5910"]))
        yield step(day, _post(made.id), by=CHECKER)


def revalued(last: date, closing: date) -> Course:
    """Other currencies at the rate of a month's last day, once all that is dated in it has come."""
    yield step(closing - timedelta(days=1), _revalue(last), by=CHECKER, dated_on=last)


def close(company: Company, month: int, day: date) -> Course:
    """The month is closed; the year's last one but softly, for the year's end is still to come."""
    name = fiscal.periods(company.fiscal_year)[month]
    to = period.SOFT_CLOSED if month == fiscal.PERIODS - 1 else period.CLOSED
    ask: Ask = lambda books, caller, key: books.closing.close_period(caller, key, name, to=to)  # noqa: E731 - as its neighbours
    yield step(day, ask, by=CHECKER, dated_on=company.first_on)


def _account(ground: Ground, code: str, name: str, account_type: str, above: str | None) -> Ask:
    parent_id = None if above is None else ground.accounts[above]
    return lambda books, caller, key: books.create_account(
        caller, key, code=code, name=name, account_type=account_type, currency=BASE, parent_id=parent_id
    )


def _owed_before(ground: Ground, kind: str, partner_id: str, minor: int, day: date, reference: str) -> Ask:
    line = invoice.line(
        description="Balance brought forward",
        quantity=Decimal(1),
        unit_price=Money(minor, BASE),
        vat_category="EXEMPT",
        product_id=None,
        account_id=ground.accounts["3900"],
    )
    terms = voucher.Terms(
        partner_id=partner_id,
        voucher_date=day,
        due_date=day + timedelta(days=45),
        lines=(line,),
        reference=reference,
        reason="the balance of the year before",
    )
    command = voucher.Create(voucher_id="", kind=kind, currency=BASE, terms=terms)
    return lambda books, caller, key: books.billing.create(caller, key, command)


def _approve(voucher_id: str) -> Ask:
    return lambda books, caller, key: books.billing.approve(caller, key, voucher_id)


def _template(terms: template.Terms) -> Ask:
    return lambda books, caller, key: books.automating.create(caller, key, terms)


def _approve_template(template_id: str) -> Ask:
    return lambda books, caller, key: books.automating.approve(caller, key, template_id)


def _run(template_id: str, through: date) -> Ask:
    return lambda books, caller, key: books.automating.run(caller, key, template_id, through)


def _rate(currency: str, quote: Quote) -> Ask:
    return lambda books, caller, key: books.tables.set_rate(caller, key, currency, quote)


def _revalue(day: date) -> Ask:
    async def ask(books: Any, caller: Caller, key: str) -> journal.Journal | None:
        """The entry; None where no other currency is held, or each is worth what it was: a small company's."""
        try:
            made: journal.Journal = await books.revaluing.revalue(caller, key, day)
        except NothingToRevalue:
            return None
        return made

    return ask


def _take(given: Given) -> Ask:
    return lambda books, caller, key: books.banking.take(caller, key, given)


def _post(journal_id: str) -> Ask:
    return lambda books, caller, key: books.post_journal(caller, key, journal_id)


def _book(line_id: str, account_id: str) -> Ask:
    asked = Booking(line_ids=(line_id,), against=(Against(account_id=account_id),))
    return lambda books, caller, key: books.banking.book(caller, key, asked, post=False)


def _match(line_id: str, payment_ids: tuple[str, ...]) -> Ask:
    return lambda books, caller, key: books.banking.match(caller, key, (line_id,), payment_ids)
