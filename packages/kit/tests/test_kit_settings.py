"""Settings come from the environment, whole and right, or not at all; secrets are in no text."""

import math
from collections.abc import Mapping
from dataclasses import FrozenInstanceError, dataclass
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.settings import SettingsRefused, convert, read, secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    url: str = secret()
    host: str = "127.0.0.1"
    port: int = 8000
    share: float = 0.5
    cache: bool = True
    kind: Literal["small", "large"] = "small"
    most: int | None = None
    folder: Path = Path("data")
    pin: int = secret(default=0)


def settings(**environment: str) -> Settings:
    return read(Settings, "SHOP", {"SHOP_URL": "postgresql://secret", **environment})


def refusal(environment: Mapping[str, str]) -> str:
    with pytest.raises(SettingsRefused) as refused:
        read(Settings, "SHOP", environment)
    return str(refused.value)


def test_what_is_not_set_takes_its_default() -> None:
    assert settings() == Settings(url="postgresql://secret")


def test_every_type_is_read_from_its_text() -> None:
    found = settings(
        SHOP_HOST="::1",
        SHOP_PORT="8123",
        SHOP_SHARE="0.25",
        SHOP_CACHE="off",
        SHOP_KIND="large",
        SHOP_MOST="7",
        SHOP_FOLDER="other/place",
        SHOP_PIN="42",
    )
    assert found == Settings(
        url="postgresql://secret",
        host="::1",
        port=8123,
        share=0.25,
        cache=False,
        kind="large",
        most=7,
        folder=Path("other/place"),
        pin=42,
    )


def test_an_optional_setting_that_is_empty_is_none() -> None:
    assert settings(SHOP_MOST="").most is None


def test_the_process_environment_is_read_when_no_other_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_URL", "postgresql://from-the-process")
    monkeypatch.setenv("SHOP_PORT", "81")
    found = read(Settings, "SHOP")
    assert (found.url, found.port) == ("postgresql://from-the-process", 81)


def test_variables_of_other_programs_are_left_alone() -> None:
    assert settings(PORT="1", SHOPPING_PORT="2", OTHER_SHOP_PORT="3").port == 8000


def test_settings_cannot_be_changed_afterwards() -> None:
    with pytest.raises(FrozenInstanceError):
        settings().port = 1  # type: ignore[misc]


def test_a_misspelt_setting_is_refused_with_those_that_are_known() -> None:
    told = refusal({"SHOP_URL": "u", "SHOP_PROT": "8123"})
    assert told.startswith("SHOP_PROT is not a setting; known are SHOP_CACHE, SHOP_FOLDER, SHOP_HOST")
    assert "SHOP_PORT" in told


def test_a_missing_setting_is_refused_by_name() -> None:
    assert refusal({}) == "SHOP_URL is missing; set it"


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("PORT", "80a", "SHOP_PORT: expected a whole number, found '80a'"),
        ("PORT", "8.5", "SHOP_PORT: expected a whole number, found '8.5'"),
        ("PORT", "", "SHOP_PORT: expected a whole number, found ''"),
        ("SHARE", "half", "SHOP_SHARE: expected a number, found 'half'"),
        ("SHARE", "nan", "SHOP_SHARE: expected a number, found 'nan'"),
        ("SHARE", "inf", "SHOP_SHARE: expected a number, found 'inf'"),
        ("CACHE", "true", "SHOP_CACHE: expected on or off, found 'true'"),
        ("KIND", "Large", "SHOP_KIND: expected one of small, large, found 'Large'"),
        ("MOST", "many", "SHOP_MOST: expected a whole number, found 'many'"),
    ],
)
def test_an_unusable_value_is_refused_with_name_expectation_and_finding(
    name: str, text: str, told: str
) -> None:
    assert refusal({"SHOP_URL": "u", f"SHOP_{name}": text}) == told


def test_all_faults_are_told_at_once() -> None:
    told = refusal({"SHOP_PORT": "x", "SHOP_COLOUR": "blue"})
    assert [fault.split(" ")[0] for fault in told.split("; ") if fault.startswith("SHOP")] == [
        "SHOP_COLOUR",
        "SHOP_URL",
        "SHOP_PORT:",
    ]


def test_a_secret_is_not_shown_by_the_settings() -> None:
    found = settings(SHOP_PIN="4711")
    for text in (repr(found), str(found), f"{found}"):
        assert "secret" not in text
        assert "4711" not in text
        assert "port=8000" in text


def test_a_secret_that_is_refused_is_not_repeated() -> None:
    told = refusal({"SHOP_URL": "u", "SHOP_PIN": "hunter2"})
    assert told == "SHOP_PIN: expected a whole number, found a value"


def test_the_value_of_an_unknown_variable_is_not_repeated() -> None:
    assert "hunter2" not in refusal({"SHOP_URL": "u", "SHOP_PASSWORD": "hunter2"})


@given(st.integers() | st.just(10**400))
def test_whole_numbers_come_back_as_they_were_written(number: int) -> None:
    assert convert(int, str(number)) == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_come_back_as_they_were_written(number: float) -> None:
    assert math.isclose(convert(float, str(number)), number, rel_tol=0, abs_tol=0)


@given(st.text())
def test_whatever_the_text_a_number_is_read_or_refused_with_what_was_expected(text: str) -> None:
    try:
        assert isinstance(convert(int, text), int)
    except ValueError as error:
        assert str(error) == "a whole number"  # noqa: PT017 - either outcome is right
