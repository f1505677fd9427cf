"""The plain books by hand: what a page of a textbook says, they say."""

from datetime import date, timedelta
from typing import Any

import pytest

from finance.ordeal.levied import Impossible, levied
from finance.ordeal.plain import Plain

DAY = date(2027, 6, 14)


def books(**rates: int) -> Plain:
    made = Plain({"C1"})
    for currency, rate in rates.items():
        made.enter("set_rate", {"currency": currency, "day": DAY, "rate": rate}, closer=False)
    return made


def asked(book: Plain, verb: str, **given: Any) -> None:
    book.enter(verb, given, closer=False)


def billed(book: Plain, name: str, minor: int, *, currency: str = "BDT", kind: str = "INVOICE") -> None:
    line = {"price": minor, "quantity": 1000, "category": "STANDARD", "codes": (), "account": None}
    terms = {"day": DAY, "lines": [line], "prices": "EXCLUSIVE", "rounding": "LINE", "corrects": None}
    asked(book, "draft", name=name, kind=kind, partner="C1", currency=currency, **terms)
    asked(book, "approve", name=name)


def paid(book: Plain, name: str, target: str | None, minor: int, *, currency: str = "BDT") -> None:
    terms = {"partner": "C1", "method": "CASH", "excess": True, "day": DAY, "currency": currency}
    asked(book, "pay", name=name, target=target, minor=minor, **terms)
    asked(book, "complete", name=name, reference="TRX-1")


def test_an_invoice_is_owed_with_its_tax_and_is_paid() -> None:
    book = books()
    billed(book, "I1", 100_00)
    assert book.trial() == {
        ("1200", "BDT"): (115_00, 115_00),
        ("4000", "BDT"): (-100_00, -100_00),
        ("2200", "BDT"): (-15_00, -15_00),
    }
    paid(book, "P1", "I1", 120_00)
    assert book.open() == {"P1": (-5_00, -5_00)}
    assert book.owed() == {("2300", "BDT"): (-5_00, -5_00)}
    assert book.statement(book.trial()) == [120_00, -20_00, 0, -100_00, 0]


def test_what_an_exchange_rate_changed_meanwhile_is_a_loss() -> None:
    book = books(EUR=130_0000)
    billed(book, "I1", 100_00, currency="EUR")
    asked(book, "set_rate", currency="EUR", day=DAY, rate=120_0000)
    paid(book, "P1", "I1", 115_00, currency="EUR")
    assert book.open() == {}
    assert book.trial()["5950", "EUR"] == (0, 115_00 * 10)


def test_a_credit_note_pays_an_invoice_until_it_is_taken_back() -> None:
    book = books()
    billed(book, "I1", 100_00)
    billed(book, "B1", 40_00, kind="CREDIT_NOTE")
    asked(book, "allocate", credit="B1", debt="I1", minor=46_00, on=None)
    assert book.open() == {"I1": (69_00, 69_00)}
    asked(book, "unallocate", credit="B1", number=0, on=None, reason="")
    assert book.open() == {"I1": (115_00, 115_00), "B1": (-46_00, -46_00)}


def test_a_price_with_its_taxes_in_it_is_taken_apart_to_the_unit() -> None:
    line = {"price": 138_00, "quantity": 1000, "category": "", "codes": ("SD20", "VAT15"), "account": None}
    one = {"day": DAY, "lines": [line], "prices": "INCLUSIVE", "rounding": "LINE"}
    found = levied(one, 1, {"SD20": {DAY: 2000}, "VAT15": {DAY: 1500}})
    assert found == ([("4000", 100_00), ("2220", 20_00), ("2200", 18_00)], 100_00)


def test_a_closed_year_leaves_what_was_earned_in_equity_until_it_is_opened() -> None:
    book = books()
    billed(book, "I1", 100_00)
    asked(book, "close_year", year=2026, to="CLOSED")
    assert book.statement(book.trial()) == [115_00, -15_00, -100_00, 0, 0]
    with pytest.raises(Impossible, match="the period is CLOSED"):
        billed(book, "I2", 1_00)
    asked(book, "open_year", year=2026, reason="")
    assert book.statement(book.trial()) == [115_00, -15_00, 0, -100_00, 0]


@pytest.mark.parametrize(
    ("verb", "given"),
    [
        ("approve", {"name": "I1"}),
        ("reverse", {"entry": "I1", "name": "R1", "on": DAY - timedelta(days=1)}),
        ("cancel", {"name": "I1", "on": None}),
        ("unallocate", {"credit": "P1", "number": 1, "on": None}),
    ],
)
def test_what_cannot_be_is_not_entered(verb: str, given: dict[str, Any]) -> None:
    book = books()
    billed(book, "I1", 100_00)
    paid(book, "P1", "I1", 15_00)
    paid(book, "P2", None, 100_00)
    asked(book, "allocate", credit="P2", debt="I1", minor=1_00, on=None)
    before = book.trial(), book.open()
    with pytest.raises((Impossible, LookupError)):
        asked(book, verb, **given)
    assert (book.trial(), book.open()) == before
