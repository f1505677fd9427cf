"""Amounts are exact: nothing is lost on the way in, through, or out."""

from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from finance.money import LARGEST_MINOR, Money, exact, half_even, plain
from finance.refusal import AmountMalformed, AmountNotPositive, CurrencyMismatch

minors = st.integers(-LARGEST_MINOR, LARGEST_MINOR)
currencies = st.sampled_from(["BDT", "EUR", "USD"])


@given(minors, currencies)
def test_an_amount_that_is_shown_and_read_again_is_the_same(minor: int, currency: str) -> None:
    assert Money.parse(plain(minor, currency), currency) == Money(minor, currency)


@pytest.mark.parametrize(
    ("text", "minor"),
    [("0", 0), ("-0", 0), ("0.1", 10), ("1234.50", 123450), ("-3.07", -307), ("5.1000000000", 510)],
)
def test_a_plain_decimal_is_read_exactly(text: str, minor: int) -> None:
    assert Money.parse(text, "BDT").minor == minor


@pytest.mark.parametrize(
    "text",
    ["", " 1", "1 ", "1e3", "NaN", "Infinity", "1,000.00", "+1", ".5", "5.", "1.2.3", "0x10", "1\n", "১২"],
)
def test_what_is_no_plain_decimal_is_refused(text: str) -> None:
    with pytest.raises(AmountMalformed) as told:
        exact(text)
    assert told.value.code == "amount-malformed"


def test_more_places_than_the_currency_has_are_refused_and_never_rounded() -> None:
    with pytest.raises(AmountMalformed, match="at most 2 decimals of BDT"):
        Money.parse("0.001", "BDT")


def test_the_largest_amount_is_read_and_one_more_is_refused() -> None:
    assert Money.parse(plain(LARGEST_MINOR, "BDT"), "BDT").minor == LARGEST_MINOR
    with pytest.raises(AmountMalformed):
        Money.parse(plain(LARGEST_MINOR + 1, "BDT"), "BDT")


def test_a_currency_that_is_not_kept_is_refused() -> None:
    with pytest.raises(CurrencyMismatch) as told:
        Money.parse("1", "GBP")
    assert told.value.code == "currency-mismatch"


@pytest.mark.parametrize(
    ("value", "whole"),
    [("0.5", 0), ("1.5", 2), ("2.5", 2), ("-0.5", 0), ("-1.5", -2), ("2.500001", 3), ("2.499999", 2)],
)
def test_halves_are_rounded_to_even(value: str, whole: int) -> None:
    assert half_even(Decimal(value)) == whole


@given(st.integers(0, LARGEST_MINOR), st.decimals(0, 10**19, places=6))
@example(LARGEST_MINOR, Decimal("9999999999999999999.999999"))
def test_a_product_is_never_more_than_half_a_minor_unit_off(minor: int, factor: Decimal) -> None:
    product = Fraction(minor) * Fraction(factor)
    off = Fraction(Money(minor, "BDT").times(factor).minor) - product
    assert abs(off) <= Fraction(1, 2)


def test_one_point_zero_zero_five_is_not_lost_as_in_floating_point() -> None:
    assert Money.parse("1.00", "BDT").times(Decimal("1.005")) == Money(100, "BDT")
    assert Money.parse("100.50", "BDT").times(Decimal("0.01")) == Money(100, "BDT")
    assert Money.parse("101.50", "BDT").times(Decimal("0.01")) == Money(102, "BDT")


@given(minors, minors, currencies)
def test_what_is_added_can_be_taken_away(one: int, other: int, currency: str) -> None:
    first, second = Money(one, currency), Money(other, currency)
    assert first + second - second == first


def test_two_currencies_are_not_added_nor_subtracted() -> None:
    taka, euro = Money(1, "BDT"), Money(1, "EUR")
    with pytest.raises(CurrencyMismatch, match="expected BDT, found EUR"):
        _ = taka + euro
    with pytest.raises(CurrencyMismatch, match="expected EUR, found BDT"):
        _ = euro - taka


@pytest.mark.parametrize("minor", [0, -1])
def test_an_amount_that_must_be_more_than_zero_says_what_it_is(minor: int) -> None:
    with pytest.raises(AmountNotPositive, match="the fee is") as told:
        Money(minor, "BDT").positive("the fee")
    assert told.value.code == "amount-not-positive"


@given(st.decimals(-(10**15), 10**15, places=4))
def test_rounding_is_the_one_that_decimal_calls_half_even(value: Decimal) -> None:
    assert half_even(value) == int(value.to_integral_value(ROUND_HALF_EVEN))
