"""The bench of a company-year: what ties passes, what does not fails, and what looked at nothing cannot tell."""

import asyncio
from typing import Any

import company_year
import pytest
import statements
from rich.progress import Progress

from laptop.postgres import Cluster

CODES = {"1010": "ASSET", "1200": "ASSET", "2000": "LIABILITY", "2200": "LIABILITY", "4000": "REVENUE"}


def money(text: str) -> dict[str, str]:
    return {"amount": text, "currency": "BDT"}


def section(*amounts: str) -> dict[str, Any]:
    return {
        "lines": [{"amount": money(one)} for one in amounts],
        "total": money(str(sum(map(float, amounts)))),
    }


def balance(**held: float) -> dict[str, Any]:
    return {
        "entries": [
            {
                "accountCode": code[1:],
                "accountType": CODES[code[1:]],
                "debitBalance": money(str(max(net, 0))),
                "creditBalance": money(str(max(-net, 0))),
            }
            for code, net in held.items()
        ],
        "summary": {"totalDebits": money("115"), "totalCredits": money("115"), "isBalanced": True},
    }


def aged(*opened: str) -> dict[str, Any]:
    total = money(str(sum(map(float, opened))))
    partner = {
        "partnerId": "p",
        "buckets": {"total": total},
        "items": [{"open": money(one)} for one in opened],
    }
    return {"partners": [partner] if opened else [], "totals": {"total": total}, "control": total}


def good() -> dict[str, Any]:
    """Sold for 100 and 15 of VAT, 60 of it paid, and 5 that is owed for what the bank paid out."""
    ending = {"1010": "65", "1200": "55", "2000": "-5", "2200": "-15", "4000": "-100"}
    return {
        "trial balance": balance(_1010=65, _1200=55, _2000=-5, _2200=-15, _4000=-100),
        "profit and loss": {"revenue": section("100"), "expenses": section(), "profit": money("100")},
        "balance sheet": {
            "assets": section("65", "55"),
            "liabilities": section("5", "15"),
            "equity": section(),
            "earnings": money("100"),
            "liabilitiesAndEquity": money("120"),
            "isBalanced": True,
        },
        "cash flow": {
            "activities": [section("60", "5")],
            "openingBalance": money("0"),
            "closingBalance": money("65"),
            "isTied": True,
        },
        "VAT summary": {
            "lines": [{"taxCode": "VAT15"}],
            "accounts": [{"accountCode": "2200", "moved": money("15")}],
            "outputTax": money("15"),
            "inputTax": money("0"),
            "due": money("15"),
            "isTied": True,
        },
        "ageing, sales": aged("50", "5"),
        "ageing, purchase": aged("5"),
        "statements, sales": [{"partnerId": "p", "movements": [1], "closingBalance": money("55")}],
        "statements, purchase": [{"partnerId": "p", "movements": [1], "closingBalance": money("5")}],
        "ledgers": {code: {"count": 1, "closingBalance": money(one)} for code, one in ending.items()},
        "numbers": [{"series": "INV", "count": 1, "missing": [], "repeated": []}],
    }


def verdicts(reports: dict[str, Any]) -> dict[str, str]:
    return {one.name: one.verdict for one in company_year.every(reports, closed=False)}


def test_statements_that_tie_pass() -> None:
    assert set(verdicts(good()).values()) == {"pass"}


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        (("trial balance", "entries", 0, "debitBalance"), money("66")),
        (("profit and loss", "profit"), money("99")),
        (("balance sheet", "earnings"), money("99")),
        (("balance sheet", "liabilitiesAndEquity"), money("119")),
        (("balance sheet", "isBalanced"), False),
        (("cash flow", "closingBalance"), money("64")),
        (("cash flow", "activities", 0, "total"), money("64")),
        (("VAT summary", "accounts", 0, "moved"), money("14")),
        (("VAT summary", "due"), money("14")),
        (("ageing, sales", "control"), money("54")),
        (("ageing, purchase", "partners", 0, "items", 0, "open"), money("4")),
        (("statements, sales", 0, "closingBalance"), money("54")),
        (("ledgers", "1200", "closingBalance"), money("54")),
        (("numbers", 0, "missing"), [{"first": 2, "last": 2}]),
        (("numbers", 0, "repeated"), [1]),
    ],
)
def test_one_figure_that_is_another_fails(path: tuple[Any, ...], wrong: Any) -> None:
    reports = good()
    place: Any = reports
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = wrong
    assert "fail" in verdicts(reports).values()


def test_an_account_without_a_ledger_fails() -> None:
    reports = good()
    del reports["ledgers"]["2200"]
    assert "fail" in verdicts(reports).values()


@pytest.mark.parametrize(
    ("name", "nothing"),
    [
        ("VAT summary", {**good()["VAT summary"], "lines": []}),
        ("statements, sales", []),
        ("numbers", []),
    ],
)
def test_a_check_that_looked_at_nothing_cannot_tell(name: str, nothing: Any) -> None:
    assert "cannot tell" in verdicts({**good(), name: nothing}).values()


def test_books_and_bank_are_reconciled_where_every_line_is_a_payment_or_booked() -> None:
    told = {
        "bookBalance": money("65"),
        "unmatchedLinesTotal": money("0"),
        "unmatchedPaymentsTotal": money("9"),
    }
    told["expectedBalance"] = money("56")
    line = {"amount": money("-5"), "journalIds": ["j"]}
    moved = {"journalId": "j", "debit": money("5"), "credit": money("0")}
    other = moved | {"journalId": "by hand"}
    nets = statements.held(balance(_1010=65, _1200=-65))

    def verdict(*movements: dict[str, Any], lines: int = 1, **changes: str) -> str:
        booked = statements.Booked()
        for _ in range(lines):
            booked.add_line(line)
        for one in movements:
            booked.add_movement(one)
        shown = told | {name: money(value) for name, value in changes.items()}
        return statements.reconciled(shown, booked, nets, "1010").verdict

    assert verdict(moved, other) == "pass"
    assert verdict(lines=0) == "cannot tell"
    assert verdict(other) == "fail"
    assert verdict(moved | {"debit": money("4")}) == "fail"
    for name in told:
        assert verdict(moved, **{name: "7"}) == "fail", name


def test_a_walk_that_lacks_a_movement_or_a_difference_that_nothing_explains_fails() -> None:
    movement = {"debit": money("5"), "credit": money("0"), "balance": money("5")}
    whole = {"count": 1, "closingBalance": money("5")}
    walk = statements.Walk(statements.Decimal())
    assert statements.walked(walk, {"count": 0, "closingBalance": money("0")}).verdict == "cannot tell"
    walk.add(movement)
    assert statements.walked(walk, whole).verdict == "pass"
    assert statements.walked(walk, {**whole, "count": 2}).verdict == "fail"
    walk.add(movement)
    assert "movement 2" in statements.walked(walk, whole).faults[-1]
    now, then = balance(_1010=65), balance(_1010=60)
    later = statements.Later({"a": "1010"})
    assert statements.explained(now, now, later).verdict == "cannot tell"
    assert statements.explained(now, then, later).verdict == "fail"
    later.add(
        {
            "lines": [
                {"accountId": "a", "debit": money("1"), "credit": money("0")}
                | dict.fromkeys(("baseDebit", "baseCredit"))
                | {"baseDebit": money("5")}
            ]
        }
    )
    assert statements.explained(now, then, later).verdict == "pass"


def test_a_year_that_is_closed_has_nothing_left_and_its_profit_is_in_retained_earnings() -> None:
    CODES["3900"] = "EQUITY"
    before, after = balance(_4000=-100, _1010=100), balance(_1010=100, _3900=-100)
    hundred = statements.Decimal(100)
    assert statements.closed(before, after, hundred, "3900").verdict == "pass"
    assert statements.closed(before, after, hundred + 1, "3900").verdict == "fail"
    assert statements.closed(before, before, hundred, "3900").verdict == "fail"
    assert statements.same({}, {}, "nothing").verdict == "cannot tell"
    assert statements.same({"a": 1}, {}, "less").verdict == "fail"


@pytest.mark.integration
def test_a_small_year_closes_reports_and_reopens_and_every_statement_ties(cluster: Cluster) -> None:
    meter = company_year.Meter()
    with Progress(disable=True) as progress:
        commands, found = asyncio.run(company_year.measured(cluster, 60, 1, meter, progress))
    assert {(books, one.name, one.verdict, one.faults) for books, one in found} == {
        (books, one.name, "pass", ()) for books, one in found
    }
    assert {books for books, _ in found} == set(company_year.STATES)
    assert commands > 200
    assert all(one.seconds > 0 and one.peak_bytes for one in meter.steps)
    assert {"seed", "trial balance", "close the year", "finance verify"} <= {one.name for one in meter.steps}
