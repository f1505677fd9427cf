"""Which arm a user is on, as a function of values; test_envoy.py holds it against Envoy."""

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from tranche.bucket import arm_of, combined, place_of
from tranche.ports import TOTAL_WEIGHT, Arm, Split


def split(green_weight: int, *, internal: bool = False) -> Split:
    return Split(identifier="r/1", salt="s", green_weight=green_weight, internal_to_green=internal)


def test_one_value_is_its_own_hash() -> None:
    assert combined("a") == xxhash.xxh64_intdigest(b"a")


def test_the_order_of_values_matters() -> None:
    assert combined("a", "b") != combined("b", "a")


def test_the_hash_stays_within_64_bits() -> None:
    assert combined("a", "b", "c", "d") < 2**64


@given(user=st.text(min_size=1), lower=st.integers(0, TOTAL_WEIGHT), higher=st.integers(0, TOTAL_WEIGHT))
def test_who_is_on_green_stays_there_while_its_weight_rises(user: str, lower: int, higher: int) -> None:
    lower, higher = sorted((lower, higher))
    if arm_of(user, split(lower), internal=False) is Arm.GREEN:
        assert arm_of(user, split(higher), internal=False) is Arm.GREEN


@given(user=st.text(min_size=1), weight=st.integers(0, TOTAL_WEIGHT))
def test_the_control_arm_is_as_large_as_green_and_at_the_other_end(user: str, weight: int) -> None:
    place, present = place_of(user, "s"), split(weight)
    arm = arm_of(user, present, internal=False)
    assert (arm is Arm.GREEN) == (place < weight)
    assert (arm is Arm.CONTROL) == (place >= weight and place >= TOTAL_WEIGHT - present.control_weight)


@pytest.mark.parametrize(("weight", "arms"), [(0, {Arm.BLUE, Arm.CONTROL}), (TOTAL_WEIGHT, {Arm.GREEN})])
def test_nobody_and_everybody(weight: int, arms: set[Arm]) -> None:
    assert {arm_of(f"u{n}", split(weight), internal=False) for n in range(500)} == arms


def test_internal_users_are_on_green_only_when_the_split_says_so() -> None:
    assert arm_of("u", split(0, internal=True), internal=True) is Arm.INTERNAL
    assert arm_of("u", split(0, internal=False), internal=True) is Arm.BLUE


def test_another_salt_chooses_other_users() -> None:
    users = [f"u{n}" for n in range(1000)]
    first = {user for user in users if place_of(user, "one") < 1000}
    second = {user for user in users if place_of(user, "two") < 1000}
    assert first
    assert len(first & second) < len(first) / 2
