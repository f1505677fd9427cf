"""A company that never was, and what it did in a fiscal year: deals, payroll, rent, bank statements, closed months.

Everything is drawn from a seed. A course says what is done, step by step: it yields one command at a time and is sent
its answer, so that amounts follow from what the books said and from nothing else. A step is done on a day, which is
when it is recorded; the day that an entry is dated on may be earlier, never by more than its period stays open.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import Final
from uuid import UUID, uuid5

from finance import fiscal, invoice, settlement, taxation
from finance.deal import Deal, Pay
from finance.invoice import Line
from finance.money import BASE, Money
from finance.payment import Details

SEASONS: Final = {
    "steady": (8, 8, 8, 8, 8, 9, 8, 8, 9, 9, 8, 9),
    "festival": (6, 6, 7, 9, 7, 7, 7, 8, 13, 14, 8, 8),
    "harvest": (6, 5, 6, 9, 13, 13, 9, 7, 7, 8, 9, 8),
}
"""Hundredths of a year's deals by month from July: before the spring festivals, after the winter's harvest."""

WEIGHTS: Final = (85, 80, 90, 105, 100, 110, 100, 90, 125, 120, 95, 100)
"""How busy the months from July are."""

SOLD: Final = (
    (("VAT15",), 58),
    (("VAT10",), 5),
    (("VAT7.5",), 10),
    (("VAT5",), 9),
    (("EXEMPT",), 10),
    (("SD20", "VAT15"), 5),
    (("VAT0",), 3),
)
BOUGHT: Final = (
    (("VAT15",), 60),
    (("VAT7.5",), 12),
    (("VAT5",), 8),
    (("EXEMPT",), 15),
    (("VAT15", "AT5"), 5),
)
GOODS: Final = (
    "Cotton yarn",
    "Rice",
    "Lentils",
    "Printing paper",
    "Steel rod",
    "Cement",
    "Tiles",
    "Cable",
    "Tea",
)
COSTS: Final = (("5000", 60), ("1300", 20), ("5410", 7), ("5420", 5), ("5900", 8))
WALLETS: Final = ("BKASH", "NAGAD", "ROCKET", "UPAY")
METHODS: Final = (
    ("BANK_TRANSFER", 30),
    ("CHECK", 18),
    ("MOBILE_WALLET", 16),
    ("CASH", 10),
    ("ONLINE_BANKING", 12),
    ("CREDIT_CARD", 8),
    ("DEBIT_CARD", 6),
)
FOREIGN: Final = ("USD", "EUR")


@dataclass(frozen=True, slots=True, kw_only=True)
class Partner:
    """A customer or vendor: how often it deals, when in the year, and in which currency."""

    id: str
    weight: int
    season: str
    currency: str = BASE


@dataclass(frozen=True, slots=True, kw_only=True)
class Company:
    """What a year is drawn from: the same four give the same year. `documents` is about how many there will be."""

    tenant_id: str
    seed: int
    documents: int
    fiscal_year: str

    @property
    def prefix(self) -> str:
        """What the keys of its commands begin with, so that the same command is never given twice."""
        return f"seed/{self.fiscal_year}/{self.seed}/{self.documents}/"

    @property
    def first_on(self) -> date:
        return fiscal.first_day(self.fiscal_year)

    @property
    def last_on(self) -> date:
        return fiscal.last_day(self.fiscal_year)

    def chance(self, *about: object) -> Random:
        told = "/".join(map(str, (self.seed, self.fiscal_year, *about)))
        return Random(told)  # noqa: S311 - a believable company, not a secret

    def partners(self, kind: str, most: int) -> list[Partner]:
        """Customers or vendors. Their ids are those of master data's own demonstration records."""
        many = max(4, min(most, self.documents // 100))
        chance = self.chance("partners", kind)
        made = []
        for number in range(1, many + 1):
            foreign = kind == "customer" and number % 12 == 0
            made.append(
                Partner(
                    id=str(uuid5(UUID(self.tenant_id), f"{kind}/{kind[0].upper()}{number:04d}")),
                    weight=1 + 60 // number,
                    season=chance.choice(list(SEASONS)),
                    currency=FOREIGN[number // 12 % 2] if foreign else BASE,
                )
            )
        return made


def months(company: Company) -> list[tuple[date, date]]:
    """The first and last day of every month of the year, from July."""
    return [fiscal.days_of(one) for one in fiscal.periods(company.fiscal_year)]


def closed_on(last: date) -> date:
    """The day on which the month that ends on a day is closed: what belongs to it has come by then."""
    return last + timedelta(days=8)


def deals(company: Company, month: int) -> Iterator[Deal]:
    """What is begun in a month, from 0 for July: as many deals as make its part of the year's documents."""
    first, last = months(company)[month]
    sides = {
        settlement.SALES: company.partners("customer", 200),
        settlement.PURCHASE: company.partners("vendor", 40),
    }
    weights = {
        side: [one.weight * SEASONS[one.season][month] for one in partners]
        for side, partners in sides.items()
    }
    quota = max(2, company.documents * WEIGHTS[month] // sum(WEIGHTS))
    number = made = 0
    while made < quota:
        chance = company.chance(month, number)
        side = settlement.SALES if chance.random() < 0.68 else settlement.PURCHASE
        [partner] = chance.choices(sides[side], weights[side])
        name = f"{month:02d}-{number:06d}"
        deal = drawn(chance, name, side, partner, working(chance, first, last))
        yield deal
        made += deal.documents(company.last_on)
        number += 1


def working(chance: Random, first: date, last: date) -> date:
    """A day of the month that is no Friday or Saturday."""
    day = first + timedelta(days=chance.randrange((last - first).days + 1))
    return day - timedelta(days=2) if day.weekday() in {4, 5} and day.day > 2 else day


def drawn(chance: Random, name: str, side: str, partner: Partner, day: date) -> Deal:
    """One deal: a document, what becomes of it, and what is paid when and how."""
    sold, foreign = side == settlement.SALES, partner.currency != BASE
    recorded = day + timedelta(days=chance.choice((0, 0, 0, 1, 3) if sold else (0, 1, 2, 3, 4)))
    approved = recorded + timedelta(days=chance.choice((0, 0, 1, 2)))
    due = day + timedelta(days=chance.choice((0, 15, 30, 30, 45, 60)))
    fate = chance.random()
    cancelled = fate < 0.02
    credited = 0 if cancelled or fate > 0.07 else chance.randrange(50, 400)
    corrected = approved + timedelta(days=chance.randrange(1, 6)) if credited else approved
    payments = [] if cancelled else paid(chance, corrected, due, foreign=foreign)
    extra = chance.random()
    return Deal(
        name=name,
        side=side,
        partner_id=partner.id,
        currency=partner.currency,
        dated_on=day,
        recorded_on=recorded,
        approved_on=approved,
        due_on=due,
        lines=tuple(lines(chance, sold=sold, currency=partner.currency)),
        prices=taxation.INCLUSIVE if sold and not foreign and chance.random() < 0.15 else taxation.EXCLUSIVE,
        cancelled=cancelled,
        credited_per_mille=credited,
        corrected_on=corrected,
        advance_per_mille=300 if extra > 0.95 and not (cancelled or credited) else 0,
        withheld_by=withholding(chance, sold=sold) if extra < 0.08 and not (foreign or credited) else None,
        excess_minor=500_00 if 0.08 < extra < 0.11 else 0,
        written_off=0.11 < extra < 0.14,
        payments=tuple(payments),
    )


def withholding(chance: Random, *, sold: bool) -> str:
    return chance.choice(("VDS15", "VDS7.5") if sold else ("TDS5", "TDS7", "TDS10"))


def lines(chance: Random, *, sold: bool, currency: str) -> Iterator[Line]:
    """What is sold, or bought; exports are zero-rated, and cost in dollars or euros a hundredth of it in taka."""
    foreign = currency != BASE
    accounts = ("4020" if foreign else "4010",) if sold else tuple(code for code, _ in COSTS)
    weights = (1,) if sold else tuple(weight for _, weight in COSTS)
    for _ in range(chance.choice((1, 1, 2, 2, 3, 4))):
        [codes] = chance.choices(*zip(*(SOLD if sold else BOUGHT), strict=True))
        [account] = chance.choices(accounts, weights)
        price = chance.randrange(200_00, 2_500_00) * chance.choice((1, 1, 1, 4))
        yield invoice.line(
            description=chance.choice(GOODS),
            quantity=Decimal(chance.randrange(1, 40)),
            unit_price=Money(price // 100 if foreign else price, currency),
            vat_category="STANDARD",
            product_id=None,
            account_id=account,
            tax_codes=("VAT0",) if foreign else codes,
        )


def paid(chance: Random, after: date, due: date, *, foreign: bool) -> Iterator[Pay]:
    """When and how: most in one payment, some in parts, some late, some never."""
    day = max(after, due) + timedelta(days=chance.choice((-5, -2, 0, 0, 1, 4, 12, 35)))
    parts = chance.choices(((1000,), (400, 1000), (250, 500, 1000), (600,), ()), (66, 14, 4, 6, 10))[0]
    for part in parts:
        day = max(day, after)
        [method] = ["BANK_TRANSFER"] if foreign else chance.choices(*zip(*METHODS, strict=True))
        yield Pay(
            on=day,
            completed_on=day + timedelta(days=chance.choice((0, 0, 1))),
            per_mille=part,
            details=details(chance, method),
            bounced=method == "CHECK" and chance.random() < 0.03,
        )
        day += timedelta(days=chance.randrange(7, 30))


def details(chance: Random, method: str) -> Details:
    if method == "CHECK":
        return Details(method=method, check_number=f"{chance.randrange(10**7):07d}")
    if method == "MOBILE_WALLET":
        return Details(
            method=method,
            wallet_provider=chance.choice(WALLETS),
            mobile_number=f"01{chance.choice('3456789')}{chance.randrange(10**8):08d}",
        )
    return Details(method=method)
