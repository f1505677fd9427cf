"""The fiscal calendar, and identifiers that sort by time."""

from datetime import date, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finance import fiscal
from finance.ids import is_uuid, new_id

days = st.dates(date(1, 7, 1), date(9998, 6, 30))


@pytest.mark.parametrize(
    ("day", "year", "period"),
    [
        (date(2026, 7, 1), "FY2026-2027", "FY2026-2027-P01"),
        (date(2026, 11, 23), "FY2026-2027", "FY2026-2027-P05"),
        (date(2026, 12, 31), "FY2026-2027", "FY2026-2027-P06"),
        (date(2027, 1, 1), "FY2026-2027", "FY2026-2027-P07"),
        (date(2027, 6, 30), "FY2026-2027", "FY2026-2027-P12"),
        (date(2027, 7, 1), "FY2027-2028", "FY2027-2028-P01"),
    ],
)
def test_a_fiscal_year_runs_from_july_to_june(day: date, year: str, period: str) -> None:
    assert (fiscal.year(day), fiscal.period(day)) == (year, period)


@given(days)
def test_every_day_lies_within_its_fiscal_year(day: date) -> None:
    year = fiscal.year(day)
    assert fiscal.first_day(year) <= day <= fiscal.last_day(year)


@given(days)
def test_fiscal_years_follow_each_other_without_a_gap(day: date) -> None:
    following = fiscal.last_day(fiscal.year(day)) + timedelta(days=1)
    assert fiscal.first_day(fiscal.year(following)) == following


@pytest.mark.parametrize(
    "text",
    [
        "",
        "FY",
        "2026-2027",
        "FY2026",
        "FY2026-2028",
        "FY2026/2027",
        "fy2026-2027",
        "FY2026-2027-P01",
        "FY2026-2027 ",
        "FY2_26-227",
        "FY 226-227",
        "FY9999-10000",
    ],
)
def test_what_is_no_fiscal_year_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a fiscal year like FY2026-2027"):
        fiscal.first_day(text)


def test_ids_are_uuids_of_version_7_and_never_the_same() -> None:
    made = [new_id() for _ in range(1000)]
    assert len(set(made)) == 1000
    assert {(UUID(one).version, UUID(one).variant) for one in made} == {(7, UUID(made[0]).variant)}


def test_ids_sort_by_the_time_they_were_made() -> None:
    stamps = [UUID(new_id()).int >> 80 for _ in range(1000)]
    assert stamps == sorted(stamps)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "INV-1",
        "{0198c5a0-0000-7000-8000-000000000000}",
        "urn:uuid:0198c5a0-0000-7000-8000-000000000000",
        "0198c5a0000070008000000000000000",
        "0198C5A0-0000-7000-8000-000000000000",
    ],
)
def test_an_id_has_one_spelling_only(text: str) -> None:
    assert not is_uuid(text)
    assert is_uuid("0198c5a0-0000-7000-8000-000000000000")


@pytest.mark.parametrize(
    ("day", "over"),
    [
        (date(2026, 6, 30), "FY2024-2025"),
        (date(2026, 7, 1), "FY2025-2026"),
        (date(2028, 6, 30), "FY2026-2027"),
        (date(2028, 7, 1), "FY2027-2028"),
    ],
)
def test_the_last_year_that_is_over_ended_before_its_day(day: date, over: str) -> None:
    assert fiscal.over(day) == over
