"""Reports as tables. Each ends with totals: the report's own figures, and not sums of what was written."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, Final

from finance import cashflow, vat
from finance.account import DEBIT_NORMAL
from finance.inquiry import Debts, Reconciliation, Statement
from finance.matching import signed_minor
from finance.money import BASE, Money
from finance.report import Balance, BalanceSheet, ProfitAndLoss
from finance.revaluation import Comparison
from finance.sheet import AMOUNT, COUNT, DAY, Cell, Column, Row, total

Table = tuple[tuple[Column, ...], list[Row]]
CURRENCY: Final = Column(key="currency", title="Currency", width=9)
CODE: Final = Column(key="accountCode", title="Account", width=12)
NAME: Final = Column(key="accountName", title="Name", width=32)


def money(key: str, title: str) -> Column:
    return Column(key=key, title=title, kind=AMOUNT, width=18)


def worth(minor: int) -> Money:
    """An amount of the currency of the books."""
    return Money(minor, BASE)


def normal(one: Balance) -> int:
    """What an account holds, positive on its normal side."""
    return one.net_minor if one.account.account_type in DEBIT_NORMAL else -one.net_minor


TRIAL: Final = (
    CODE,
    NAME,
    Column(key="accountType", title="Type", width=12),
    money("debit", "Debit"),
    money("credit", "Credit"),
    CURRENCY,
)


def trial_balance(balances: Sequence[Balance], currency: str) -> Table:
    nets = [one.net_minor for one in balances]
    rows = [
        Row(
            cells=(
                one.account.code,
                one.account.name,
                one.account.account_type,
                Money(max(one.net_minor, 0), currency),
                Money(max(-one.net_minor, 0), currency),
                currency,
            )
        )
        for one in balances
    ]
    debit, credit = sum(max(net, 0) for net in nets), sum(max(-net, 0) for net in nets)
    sums: dict[str, Cell] = {"debit": Money(debit, currency), "credit": Money(credit, currency)}
    return TRIAL, [*rows, total("Total", TRIAL, currency=currency, **sums)]


SECTIONS: Final = (
    Column(key="section", title="Section", width=24),
    CODE,
    NAME,
    money("amount", "Amount"),
    CURRENCY,
)


def section(title: str, balances: Iterable[Balance]) -> list[Row]:
    return [
        Row(cells=(title, one.account.code, one.account.name, worth(normal(one)), BASE)) for one in balances
    ]


def sum_of(title: str, minor: int) -> Row:
    return total(title, SECTIONS, amount=worth(minor), currency=BASE)


def profit_and_loss(found: ProfitAndLoss) -> Table:
    return SECTIONS, [
        *section("Revenue", found.revenue),
        *section("Expenses", found.expenses),
        sum_of("Total revenue", found.revenue_minor),
        sum_of("Total expenses", found.expenses_minor),
        sum_of("Profit", found.profit_minor),
    ]


def balance_sheet(found: BalanceSheet) -> Table:
    earnings = Row(cells=("Equity", None, "Earnings not closed yet", worth(found.earnings_minor), BASE))
    return SECTIONS, [
        *section("Assets", found.assets),
        *section("Liabilities", found.liabilities),
        *section("Equity", found.equity),
        earnings,
        sum_of("Total assets", found.assets_minor),
        sum_of("Total liabilities", found.liabilities_minor),
        sum_of("Total equity", found.equity_minor),
        sum_of("Liabilities and equity", found.liabilities_minor + found.equity_minor),
    ]


def cash_flow(found: cashflow.CashFlow) -> Table:
    rows = [
        Row(
            cells=(
                activity.capitalize(),
                one.account.code,
                one.account.name,
                worth(one.net_minor),
                BASE,
            )
        )
        for activity in cashflow.ACTIVITIES
        for one in found.flows
        if one.activity == activity
    ]
    flows = [one for one in cashflow.ACTIVITIES if one != cashflow.EXCHANGE]
    sums = [
        *(sum_of(f"Total {activity.lower()}", found.net_minor(activity)) for activity in flows),
        sum_of("Effect of exchange rates", found.net_minor(cashflow.EXCHANGE)),
    ]
    held = [
        sum_of("Cash at the beginning", found.opening_minor),
        sum_of("Cash at the end", found.closing_minor),
    ]
    return SECTIONS, [*rows, *sums, *held]


REVALUED: Final = (
    CODE,
    NAME,
    money("balance", "Balance"),
    CURRENCY,
    money("worth", "Worth in the books"),
    Column(key="rate", title="Rate", width=12),
    Column(key="rateSince", title="Rate since", kind=DAY, width=12),
    money("worthAtRate", "Worth at the rate"),
    money("difference", "Difference"),
    money("posted", "Posted"),
)


def revaluation(found: Comparison) -> Table:
    rows = [
        Row(
            cells=(
                one.holding.account.code,
                one.holding.account.name,
                Money(one.holding.minor, one.holding.currency),
                one.holding.currency,
                worth(one.holding.base_minor),
                f"{one.rate:f}",
                found.since[one.holding.currency],
                worth(one.worth_minor),
                worth(one.difference_minor),
                worth(found.posted_minor(one)),
            )
        )
        for one in found.items
    ]
    difference = worth(sum(one.difference_minor for one in found.items))
    was = worth(sum(found.posted_minor(one) for one in found.items))
    return REVALUED, [*rows, total("Total", REVALUED, difference=difference, posted=was)]


BUCKETS: Final = (
    money("notDue", "Not due"),
    money("days1To30", "1 to 30 days"),
    money("days31To60", "31 to 60 days"),
    money("days61To90", "61 to 90 days"),
    money("over90", "Over 90 days"),
    money("credits", "Credits"),
    money("total", "Total"),
)
AGEING: Final = (
    Column(key="partner", title="Partner", width=32),
    Column(key="partnerId", title="Id", width=38),
    *BUCKETS,
    CURRENCY,
)


def ageing(found: Debts, names: Mapping[str, str]) -> Table:
    """`names` of partners by id; one whose name is not known is told by the id."""
    rows, sums = [], [0] * len(BUCKETS)
    for one in found.aged:
        amounts = (*one.buckets, one.credits_minor, one.total_minor)
        sums = [before + minor for before, minor in zip(sums, amounts, strict=True)]
        who = one.partner_id or ""
        rows.append(Row(cells=(names.get(who, who), who, *map(worth, amounts), BASE)))
    named: dict[str, Cell] = {column.key: worth(minor) for column, minor in zip(BUCKETS, sums, strict=True)}
    held: dict[str, Cell] = {"total": worth(found.control_minor)}
    return AGEING, [
        *rows,
        total("Total", AGEING, currency=BASE, **named),
        total("Control accounts", AGEING, currency=BASE, **held),
    ]


MOVEMENTS: Final = (
    Column(key="date", title="Date", kind=DAY, width=12),
    Column(key="number", title="Entry", width=20),
    Column(key="description", title="Description", width=40),
    Column(key="documentId", title="Document", width=38),
    money("debit", "Debit"),
    money("credit", "Credit"),
    money("balance", "Balance"),
    CURRENCY,
)


def statement(found: Statement, currency: str) -> Table:
    """One row for each entry that changed what is open. Balances are positive where something is owed."""
    sums = [
        sum(getattr(one.movement, side) for one in found.steps) for side in ("debit_minor", "credit_minor")
    ]
    before: dict[str, Cell] = {"balance": Money(found.sign * found.opening_minor, currency)}
    after: dict[str, Cell] = {
        "debit": Money(sums[0], currency),
        "credit": Money(sums[1], currency),
        "balance": Money(found.sign * found.closing_minor, currency),
    }
    rows = [
        Row(
            cells=(
                step.movement.day,
                step.movement.number,
                step.movement.description,
                step.movement.document_id,
                Money(step.movement.debit_minor, currency),
                Money(step.movement.credit_minor, currency),
                Money(found.sign * step.balance_minor, currency),
                currency,
            )
        )
        for step in found.steps
    ]
    return MOVEMENTS, [
        total("Opening balance", MOVEMENTS, currency=currency, **before),
        *rows,
        total("Closing balance", MOVEMENTS, currency=currency, **after),
    ]


VAT: Final = (
    Column(key="section", title="Section", width=20),
    Column(key="taxCode", title="Tax code", width=20),
    money("value", "Value"),
    money("tax", "Tax"),
    CURRENCY,
)


def vat_summary(found: vat.Summary) -> Table:
    rows = [
        Row(cells=(one.section, one.code, worth(one.value_minor), worth(one.tax_minor), BASE))
        for one in found.lines
    ]
    sums = [
        total(title, VAT, tax=worth(minor), currency=BASE)
        for title, minor in (
            ("Output tax", found.tax_minor(vat.OUTPUT)),
            ("Input tax", found.tax_minor(vat.INPUT)),
            ("Due", found.due_minor),
        )
    ]
    return VAT, [*rows, *sums]


BANK: Final = (
    Column(key="what", title="What", width=32),
    Column(key="date", title="Date", kind=DAY, width=16),
    Column(key="reference", title="Reference", width=30),
    Column(key="text", title="Text", width=34),
    money("amount", "Amount"),
    CURRENCY,
)


def bank_reconciliation(found: Reconciliation, currency: str) -> Table:
    """From what the books hold to what the bank should, with all that is matched with nothing; totals add up."""

    def sum_to(title: str, minor: int, day: date | None = None) -> Row:
        return total(title, BANK, date=day, amount=Money(minor, currency), currency=currency)

    def row(what: str, day: date, reference: str | None, text: str | None, minor: int) -> Row:
        return Row(cells=(what, day, reference, text, Money(minor, currency), currency))

    payments = [
        row(
            "Payment, not at the bank",
            one.payment_date,
            one.number,
            one.transaction_reference,
            signed_minor(one),
        )
        for one in found.payments
    ]
    lines = [
        row("Line, not in the books", one.booked_on, one.reference, one.text, one.amount_minor)
        for one in found.lines
    ]
    said = [total("The bank has told no balance until this day", BANK)]
    if found.told_minor is not None and found.difference_minor is not None:
        said = [
            sum_to("What the bank said it holds", found.told_minor, found.told_on),
            sum_to("Difference", found.difference_minor),
        ]
    return BANK, [
        sum_to("Balance by the books", found.book_minor),
        *payments,
        sum_to("Less payments that the bank does not know", -found.payments_minor),
        *lines,
        sum_to("Plus lines that the books do not explain", found.lines_minor),
        sum_to("What the bank should hold", found.expected_minor),
        *said,
    ]


GAPS: Final = (
    Column(key="series", title="Series", width=12),
    Column(key="count", title="Numbers", kind=COUNT, width=12),
    Column(key="last", title="Last", kind=COUNT, width=12),
    Column(key="missing", title="Missing", width=40),
    Column(key="repeated", title="Repeated", width=40),
)


def number_gaps(series: Sequence[Mapping[str, Any]]) -> Table:
    rows, missing = [], 0
    for one in series:
        gaps = [(gap["first"], gap["last"]) for gap in one["missing"]]
        missing += sum(last - first + 1 for first, last in gaps)
        told = ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in gaps)
        again = ", ".join(str(number) for number in one["repeated"])
        rows.append(Row(cells=(one["series"], one["count"], one["last"], told, again)))
    count: Cell = sum(one["count"] for one in series)
    doubled = sum(len(one["repeated"]) for one in series)
    sums: dict[str, Cell] = {"missing": f"{missing} missing", "repeated": f"{doubled} repeated"}
    return GAPS, [*rows, total("Total", GAPS, count=count, **sums)]
