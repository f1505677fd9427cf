"""Every amount of every report leads to the entries that add up to it, or follows from amounts that do."""

import random
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import msgspec
import pytest
from graphql import GraphQLObjectType, get_named_type, is_leaf_type
from test_finance_bank import CAMT
from test_finance_drilling import PAGES, TODAY, Reader, key

from finance import invoice, journal, settlement
from finance.banking import Given
from finance.figure import decode
from finance.graphql.cost import HEAVY
from finance.graphql.schema import build as build_schema
from finance.money import Money

Desk = Any


SCHEMA = build_schema()
MONEY = "{ amount }"
AS_OF = date(2026, 11, 30)
REPORTS = frozenset(HEAVY) - {"figureEntries", "numberSeries"}
"""Fields that read a ledger: all but what leads on from their figures, and what counts numbers."""
OF_TYPE = {
    "TrialBalanceEntry": "netBalance",
    "ReportLine": "amount",
    "ReportSection": "total",
    "ProfitAndLoss": "profit",
    "CashFlowSection": "total",
    "TaxAccount": "moved",
    "OpenItem": "open",
    "PartnerAge": "buckets.total",
    "Ageing": "control",
    "Movement": "debit - credit",
}
"""What the `figure` of a type is of. One called xFigure is of what begins with x."""
Shown = dict[str, Any]


def minor(shown: Shown, name: str) -> Decimal:
    return Decimal(shown[name]["amount"])


def summed(shown: Shown, rows: str, name: str) -> Decimal:
    return sum((minor(one, name) for one in shown[rows]), Decimal(0))


def aged(first: int, last: int) -> Callable[[Shown, Shown], Decimal]:
    """What is open and overdue by so many days, of a partner or of all."""

    def work_out(_: Shown, above: Shown) -> Decimal:
        items = [item for one in above.get("partners", [above]) for item in one["items"]]
        return sum(
            (
                minor(one, "open")
                for one in items
                if minor(one, "open") > 0
                and first <= (AS_OF - date.fromisoformat(one["dueDate"])).days <= last
            ),
            Decimal(0),
        )

    return work_out


def taxes(section: str) -> Callable[[Shown, Shown], Decimal]:
    return lambda shown, _: sum(
        (minor(one, "tax") for one in shown["lines"] if one["section"] == section), Decimal(0)
    )


def with_below(shown: Shown, above: Shown) -> Decimal:
    """What an account holds together with all that are below it."""
    below = [shown]
    for one in below:
        below += [entry for entry in above["entries"] if entry["parentAccountId"] == one["accountId"]]
    return sum((minor(one, "netBalance") for one in below), Decimal(0))


WORKED_OUT: dict[str, Callable[[Shown, Shown], Decimal]] = {
    "TrialBalanceEntry.debitBalance": lambda shown, _: max(minor(shown, "netBalance"), Decimal(0)),
    "TrialBalanceEntry.creditBalance": lambda shown, _: max(-minor(shown, "netBalance"), Decimal(0)),
    "TrialBalanceEntry.netWithBelow": with_below,
    "TrialBalanceGroup.totalDebits": lambda shown, _: summed(shown, "entries", "debitBalance"),
    "TrialBalanceGroup.totalCredits": lambda shown, _: summed(shown, "entries", "creditBalance"),
    "TrialBalanceSummary.totalDebits": lambda _, above: summed(above, "entries", "debitBalance"),
    "TrialBalanceSummary.totalCredits": lambda _, above: summed(above, "entries", "creditBalance"),
    "TrialBalanceSummary.variance": lambda _, above: summed(above, "entries", "netBalance"),
    "BalanceSheet.liabilitiesAndEquity": lambda shown, _: (
        minor(shown["liabilities"], "total") + minor(shown["equity"], "total") + minor(shown, "earnings")
    ),
    "AgeBuckets.notDue": aged(-(10**6), 0),
    "AgeBuckets.days1To30": aged(1, 30),
    "AgeBuckets.days31To60": aged(31, 60),
    "AgeBuckets.days61To90": aged(61, 90),
    "AgeBuckets.over90": aged(91, 10**6),
    "AgeBuckets.credits": lambda _, above: (
        -sum(
            (
                min(minor(item, "open"), Decimal(0))
                for one in above.get("partners", [above])
                for item in one["items"]
            ),
            Decimal(0),
        )
    ),
    "AgeBuckets.total": lambda _, above: sum(
        (summed(one, "items", "open") for one in above.get("partners", [above])), Decimal(0)
    ),
    "VatSummary.outputTax": taxes("OUTPUT"),
    "VatSummary.inputTax": taxes("INPUT"),
    "VatSummary.due": lambda shown, _: taxes("OUTPUT")(shown, {}) - taxes("INPUT")(shown, {}),
    "TaxAccount.returned": lambda shown, _: minor(shown, "moved") - minor(shown, "other"),
    "TaxAccount.other": lambda shown, _: minor(shown, "moved") - minor(shown, "returned"),
    "BankReconciliation.statementBalance": lambda _, __: Decimal("174.50"),
    "BankReconciliation.unmatchedLinesTotal": lambda shown, _: summed(shown, "unmatchedLines", "amount"),
    "BankReconciliation.expectedBalance": lambda shown, _: (
        minor(shown, "bookBalance")
        - minor(shown, "unmatchedPaymentsTotal")
        + minor(shown, "unmatchedLinesTotal")
    ),
    "BankReconciliation.difference": lambda shown, _: (
        minor(shown, "statementBalance") - minor(shown, "expectedBalance")
    ),
    "RevaluationLine.worthAtRate": lambda shown, _: (
        minor(shown, "balance") * Decimal(shown["rate"])
    ).quantize(Decimal("0.01"), ROUND_HALF_EVEN),
    "RevaluationLine.difference": lambda shown, _: minor(shown, "worthAtRate") - minor(shown, "worth"),
    "Revaluation.difference": lambda shown, _: summed(shown, "lines", "difference"),
    "Revaluation.posted": lambda shown, _: summed(shown, "lines", "posted"),
}
"""What is no one sum of entries: how it follows from what stands beside it, or above it. And the bank's own word."""


# What stands in a report, by the schema


def parts(kind: GraphQLObjectType) -> dict[str, GraphQLObjectType]:
    """The fields of a report that hold more."""
    named = {name: get_named_type(field.type) for name, field in kind.fields.items()}
    return {
        name: one for name, one in named.items() if isinstance(one, GraphQLObjectType) and one.name != "Money"
    }


def is_report(kind: GraphQLObjectType) -> bool:
    """Whether it stands in reports alone: what another field gives by itself is a document or an account."""
    assert SCHEMA.query_type is not None
    fields = SCHEMA.query_type.fields
    return kind.name not in {get_named_type(fields[name].type).name for name in fields.keys() - REPORTS}


def moneys(kind: GraphQLObjectType) -> list[str]:
    return [name for name, field in kind.fields.items() if get_named_type(field.type).name == "Money"]


def figures_of(kind: GraphQLObjectType) -> dict[str, list[str]]:
    """The figures of a type, and the amounts that each is of."""
    found = {}
    for name in kind.fields:
        if name == "figure":
            found[name] = OF_TYPE[kind.name].split(" - ")
        elif name.endswith("Figure"):
            stem = name.removesuffix("Figure")
            found[name] = [one for one in moneys(kind) if one in {stem, f"{stem}Balance", f"{stem}Total"}]
    return found


def types_of_reports() -> dict[str, GraphQLObjectType]:
    """Every type that an answer of a report is made of."""
    assert SCHEMA.query_type is not None
    waiting = [get_named_type(SCHEMA.query_type.fields[name].type) for name in REPORTS]
    found: dict[str, GraphQLObjectType] = {}
    while waiting:
        one = waiting.pop()
        if isinstance(one, GraphQLObjectType) and one.name not in found and is_report(one):
            found[one.name] = one
            waiting += parts(one).values()
    return found


def test_every_amount_of_every_report_has_a_figure_or_follows_from_those_that_have() -> None:
    led = {
        f"{kind.name}.{name}"
        for kind in types_of_reports().values()
        for of in figures_of(kind).values()
        for name in of
    }
    told = {f"{kind.name}.{name}" for kind in types_of_reports().values() for name in moneys(kind)}
    assert len(told) > 40
    assert told - led - set(WORKED_OUT) == set()
    assert set(WORKED_OUT) <= told - led
    for kind in types_of_reports().values():
        assert all(
            len(of) == (2 if kind.name == "Movement" and name == "figure" else 1)
            for name, of in figures_of(kind).items()
        ), kind.name


def selection(kind: GraphQLObjectType) -> str:
    """All of a report that is not of documents; of those the amount."""
    if not is_report(kind):
        return f"amount {MONEY}" if "amount" in moneys(kind) else ""
    told = ["__typename"]
    told += [name for name, field in kind.fields.items() if is_leaf_type(get_named_type(field.type))]
    told += [f"{name} {MONEY}" for name in moneys(kind)]
    inner = {name: selection(one) for name, one in parts(kind).items()}
    return " ".join([*told, *(f"{name} {{ {one} }}" for name, one in inner.items() if one)])


def query_of(asked: dict[str, tuple[str, Shown]]) -> tuple[str, Shown]:
    """A query of reports, by a name for each, and its variables."""
    assert SCHEMA.query_type is not None
    fields, wanted, variables = SCHEMA.query_type.fields, [], {}
    declared = []
    for name, (report, given_) in asked.items():
        field = fields[report]
        kind = get_named_type(field.type)
        assert isinstance(kind, GraphQLObjectType)
        declared += [f"${name}_{one}: {field.args[one].type}" for one in given_]
        variables |= {f"{name}_{one}": value for one, value in given_.items()}
        args = ", ".join(f"{one}: ${name}_{one}" for one in given_)
        wanted.append(f"{name}: {report}({args}) {{ {selection(kind)} }}")
    return f"query ({', '.join(declared)}) {{ {' '.join(wanted)} }}", variables


def told(shown: Any) -> Iterator[tuple[str, str]]:
    """Every figure of an answer, and the amount that stands beside it."""
    for one, _ in nodes(shown):
        kind = SCHEMA.type_map[one["__typename"]]
        assert isinstance(kind, GraphQLObjectType)
        for name, of in figures_of(kind).items():
            if one.get(name) is not None:
                first, *rest = (
                    minor(one["buckets"] if "." in field else one, field.rpartition(".")[2]) for field in of
                )
                yield one[name], f"{first - sum(rest):.2f}"


def nodes(shown: Any, above: Shown | None = None) -> Iterator[tuple[Shown, Shown]]:
    """Every part of an answer, and what it stands in."""
    if isinstance(shown, list):
        for one in shown:
            yield from nodes(one, above)
    elif isinstance(shown, dict):
        if "__typename" in shown:
            yield shown, above or {}
        for value in shown.values():
            yield from nodes(value, shown)


async def traded(desk: Desk, seed: int) -> None:
    """A history of its own for each seed: documents of both sides, taxes, two currencies, what is taken back."""
    chance, books, caller = random.Random(seed), desk.books, desk.caller
    await books.taxes.adopt(caller, key(), "bangladesh")
    await desk.rate_set("120.5", date(2026, 7, 1))

    def day() -> date:
        return TODAY - timedelta(days=chance.randrange(80))

    for _ in range(3):
        codes = chance.choice([("VAT15",), ("VAT15", "SD20"), ("EXEMPT",), ("VAT7.5",)])
        line = invoice.line(
            description="Rice",
            quantity=Decimal(chance.randrange(1, 9)),
            unit_price=Money(chance.randrange(1, 10**7), "BDT"),
            vat_category="STANDARD",
            product_id=None,
            tax_codes=codes,
        )
        on = day()
        terms = invoice.Terms(customer_id=desk.customer, invoice_date=on, due_date=on, lines=(line,))
        made = await books.create_invoice(caller, key(), currency="BDT", terms=terms)
        sold = await books.approve_invoice(caller, key(), made.id)
        await desk.payment_completed(sold.id, sold.open_minor // 3 + 1, day=TODAY)
        if chance.random() < 0.5:
            await desk.settled(chance.choice(settlement.KINDS), sold, 1 + sold.total_minor // 10, TODAY)
    abroad = await desk.invoice_approved(chance.randrange(10**4, 10**6), day=day(), currency="EUR")
    await desk.payment_completed(abroad.id, abroad.open_minor // 2, day=TODAY, currency="EUR")
    await desk.voucher_approved("BILL", chance.randrange(1, 10**6), day=day())
    note = await desk.voucher_approved("CREDIT_NOTE", chance.randrange(1, 10**5), day=day())
    await desk.paid(chance.randrange(1, 10**6), customer_id=desk.customer)
    back = await desk.paid(chance.randrange(1, 10**6), vendor_id=desk.vendor)
    await books.reverse_payment(caller, key(), back.id, reason="the bank sent it back")
    gone = await desk.invoice_approved(chance.randrange(1, 10**6), day=day())
    await books.cancel_invoice(caller, key(), gone.id, reason="written twice")
    await books.billing.cancel(caller, key(), note.id, reason="written twice", on=TODAY)
    entry = await books.create_journal(caller, key(), desk.sale(chance.randrange(1, 10**6), day()), post=True)
    await books.reverse_journal(caller, key(), entry.id, TODAY)
    told_ = Given(
        account_id=desk.account("1010"), currency="BDT", kind="CAMT053", name="n", content=CAMT.encode()
    )
    await books.banking.take(caller, key(), told_)
    first = await desk.invoice_approved(chance.randrange(10**4, 10**6), day=date(2026, 10, 10))
    await desk.payment_completed(first.id, 5_00, day=date(2026, 10, 10))
    more = first.total_minor  # than is open: two lines of one partner
    await desk.paid(more, invoice_id=first.id, excess=True)
    sides = (("1010", 70_00, 0), ("1010", 0, 20_00), ("4000", 0, 50_00))
    lines = tuple(
        journal.Line(account_id=desk.account(code), debit_minor=debit, credit_minor=credit)
        for code, debit, credit in sides
    )
    twice = msgspec.structs.replace(desk.sale(), lines=lines)
    await books.create_journal(caller, key(), twice, post=True)
    known = await desk.paid(115_00, customer_id=desk.customer)
    await books.reconcile_payment(caller, key(), known.id, "B-1")


def asked(desk: Desk, known_on: str | None) -> dict[str, tuple[str, Shown]]:
    """Every report that there is, as known on a day where it can be asked so."""
    also = {} if known_on is None else {"knownOn": known_on}
    span = {"from": "2026-10-10", "to": "2026-11-30", **also}
    day = {"asOf": AS_OF.isoformat(), **also}
    trial = {"fiscalYear": "FY2026-2027", "asOfDate": "2026-11-25", **also}
    bank = {"accountId": desk.account("1010")}
    whole = {"to": "2026-11-30", "accountId": desk.account("1200"), "currency": "EUR", **also}
    inputs: dict[str, tuple[str, Shown]] = {
        "trial": ("trialBalance", trial),
        "euros": ("trialBalance", {**trial, "currency": "EUR"}),
        "ledger": ("generalLedger", span | bank | {"limit": 6, "offset": 2}),
        "euroLedger": ("generalLedger", whole),
        "profit": ("profitAndLoss", span),
        "sheet": ("balanceSheet", day),
        "cash": ("cashFlow", span),
        "vat": ("vatSummary", span),
        "owed": ("ageing", {**day, "side": "SALES"}),
        "owing": ("ageing", {**day, "side": "PURCHASE"}),
        "customer": ("statement", {**span, "partnerId": desk.customer}),
        "vendor": ("statement", {**span, "partnerId": desk.vendor, "side": "PURCHASE"}),
    }
    made: dict[str, tuple[str, Shown]] = {
        name: (report, {"input": given_}) for name, (report, given_) in inputs.items()
    }
    now = {"asOf": AS_OF.isoformat()}
    return made | {"bank": ("bankReconciliation", {**bank, **now}), "abroad": ("revaluation", now)}


def test_every_report_is_asked_for() -> None:
    assert {report for report, _ in asked(Accounts(), None).values()} == REPORTS


class Accounts:
    """Stands for a desk where only names are asked."""

    customer = vendor = "somebody"

    def account(self, code: str) -> str:
        return code


@pytest.mark.integration
@pytest.mark.parametrize("seed", [1, 2])
async def test_the_entries_of_every_figure_add_up_to_it_now_and_as_known_before(
    desk: Desk, seed: int
) -> None:
    await traded(desk, seed)
    desk.clock.instant = datetime(2026, 12, 2, 12, tzinfo=UTC)
    await desk.books.create_journal(desk.caller, key(), desk.sale(777_77), post=True)
    await desk.rate_set("125.75", AS_OF)
    await desk.books.revaluing.revalue(desk.caller, key(), AS_OF)
    reader, seen, kinds = await Reader.of(desk), 0, set()
    for known_on in (None, "2026-11-30"):
        query, variables = query_of(asked(desk, known_on))
        answer = await reader.ask(query, **variables)
        for one, above in nodes(answer):
            kinds.add(one["__typename"])
            for name in one.keys() & {field.partition(".")[2] for field in WORKED_OUT}:
                work_out = WORKED_OUT.get(f"{one['__typename']}.{name}")
                assert work_out is None or work_out(one, above) == minor(one, name), (name, one)
        found = list(dict.fromkeys(told(answer)))
        for start in range(0, len(found), 40):
            some = found[start : start + 40]
            query = " ".join(f"f{place}: " + PAGES.format(f'"{one}"') for place, (one, _) in enumerate(some))
            answers = await reader.ask(f"{{ {query} }}")
            for place, (one, amount) in enumerate(some):
                shown = answers[f"f{place}"]
                sums = sum(Decimal(line["amount"]["amount"]) for line in shown["nodes"])
                assert shown["totalCount"] == len(shown["nodes"])
                assert shown["amount"]["amount"] == amount, decode(one)
                assert sums == Decimal(amount), decode(one)
                seen += amount != "0.00"
    assert seen > 150
    assert {name for name, kind in types_of_reports().items() if moneys(kind)} <= kinds


@pytest.mark.integration
async def test_a_figure_of_a_closed_year_leaves_out_what_closed_it_where_the_report_does(desk: Desk) -> None:
    day = date(2026, 5, 4)
    await desk.invoice_approved(100_00, day=day)
    await desk.books.years.close(desk.caller, key(), "FY2025-2026")
    reader = await Reader.of(desk)
    span = {"from": "2025-07-01", "to": "2026-06-30"}
    query, variables = query_of(
        {
            "profit": ("profitAndLoss", {"input": span}),
            "sheet": ("balanceSheet", {"input": {"asOf": "2026-06-30"}}),
        }
    )
    found = dict(told(await reader.ask(query, **variables)))
    assert {"100.00", "0.00"} < set(found.values())
    for one, amount in found.items():
        shown = await reader.ask("{ " + PAGES.format(f'"{one}"') + " }")
        assert shown["figureEntries"]["amount"]["amount"] == amount
