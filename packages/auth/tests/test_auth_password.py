"""Passwords are kept as argon2id at a known cost; attempts to guess them are few."""

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auth import wiring
from auth.attempts import Attempts, key_of
from auth.password import OWASP_MEMORY_KIB, OWASP_TIME_COST, Passwords
from auth.wiring import Settings
from kit.serve import ServiceFault

WINDOW_S = 900.0
CHEAP = Passwords(memory_kib=64, time_cost=1)


async def test_the_right_password_matches_and_no_other_does() -> None:
    kept = CHEAP.hash("shapla")
    assert await CHEAP.matches(kept, "shapla")
    for wrong in ("", "Shapla", "shapla ", "shapl", "shapla\0", kept):
        assert not await CHEAP.matches(kept, wrong)


@settings(max_examples=40, deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8")), st.text(alphabet=st.characters(codec="utf-8")))
def test_one_password_is_never_another(first: str, second: str) -> None:
    assert CHEAP._verify(CHEAP.hash(first), second) == (first == second)


async def test_nobody_has_a_password() -> None:
    for tried in ("", "shapla", "the password of nobody"):
        assert not await CHEAP.matches(None, tried)


async def test_somebody_unknown_costs_as_much_as_somebody_known(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    verify = CHEAP._verify
    monkeypatch.setattr(CHEAP, "_verify", lambda kept, tried: asked.append(kept) or verify(kept, tried))
    await CHEAP.matches(None, "shapla")
    await CHEAP.matches(CHEAP.hash("shapla"), "shapla")
    unknown, known = asked
    assert unknown.rsplit("$", 2)[0] == known.rsplit("$", 2)[0]


async def test_the_loop_is_not_held_up_by_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[threading.Thread] = []
    monkeypatch.setattr(CHEAP, "_verify", lambda *_: bool(threads.append(threading.current_thread())))
    await CHEAP.matches(None, "shapla")
    assert threads != [threading.main_thread()]
    assert len(threads) == 1


def test_a_password_is_kept_as_argon2id_at_the_cost_that_was_asked_for() -> None:
    kept = Passwords(memory_kib=128, time_cost=3).hash("shapla")
    assert kept.startswith("$argon2id$v=19$m=128,t=3,p=1$")


def test_the_same_password_is_kept_differently_each_time() -> None:
    assert CHEAP.hash("shapla") != CHEAP.hash("shapla")


@pytest.mark.parametrize("kept", ["", "shapla", "$argon2id$v=19$m=64,t=1,p=1$x$y", "$2b$12$bcrypt"])
async def test_what_is_no_hash_matches_nothing(kept: str) -> None:
    assert not await CHEAP.matches(kept, "shapla")


@pytest.mark.parametrize(
    "cheap", [{"argon2_memory_kib": OWASP_MEMORY_KIB - 1}, {"argon2_time_cost": 1}], ids=str
)
def test_production_refuses_to_hash_cheaply(cheap: dict[str, int]) -> None:
    with pytest.raises(ServiceFault, match=r"^AUTH_ARGON2_MEMORY_KIB, AUTH_ARGON2_TIME_COST: argon2 below"):
        wiring.passwords(Settings(**cheap))
    assert wiring.passwords(Settings(**cheap, deployment="laptop"))


def test_the_defaults_are_dear_enough_for_production() -> None:
    kept = wiring.passwords(Settings()).hash("shapla")
    assert kept.startswith(f"$argon2id$v=19$m={OWASP_MEMORY_KIB},t={OWASP_TIME_COST},p=1$")


def failed(times: int, *, at: float = 0.0, key: str = "rahim") -> Attempts:
    attempts = Attempts(most=5, window_s=WINDOW_S)
    for _ in range(times):
        attempts.begun(key, at)
    return attempts


def test_five_attempts_are_free_and_the_sixth_has_to_wait() -> None:
    assert failed(4).wait_s("rahim", 1.0) == 0.0
    assert failed(5).wait_s("rahim", 1.0) == WINDOW_S - 1.0


def test_one_users_attempts_do_not_keep_another_waiting() -> None:
    assert failed(5).wait_s("karim", 1.0) == 0.0


def test_when_the_window_is_over_one_may_try_again() -> None:
    attempts = failed(5)
    assert attempts.wait_s("rahim", WINDOW_S - 0.5) == 0.5
    assert attempts.wait_s("rahim", WINDOW_S) == 0.0


def test_the_window_slides() -> None:
    attempts = Attempts(most=2, window_s=10.0)
    for now in (0.0, 6.0):
        attempts.begun("rahim", now)
    assert attempts.wait_s("rahim", 10.0) == 0.0
    attempts.begun("rahim", 11.0)
    assert attempts.wait_s("rahim", 12.0) == 4.0


def test_a_success_forgives() -> None:
    attempts = failed(5)
    attempts.succeeded("rahim")
    assert attempts.wait_s("rahim", 1.0) == 0.0
    attempts.succeeded("somebody who never failed")


def test_memory_is_bounded_and_the_oldest_is_forgotten_first() -> None:
    attempts = Attempts(most=1, keys=3)
    for key in "abcd":
        attempts.begun(key, 0.0)
    assert [attempts.wait_s(key, 1.0) > 0 for key in "abcd"] == [False, True, True, True]
    assert len(attempts._failed) == 3


def test_when_memory_is_full_a_further_attempt_forgets_nobody() -> None:
    attempts = Attempts(most=2, keys=2)
    for key in "abab":
        attempts.begun(key, 0.0)
    assert [attempts.wait_s(key, 1.0) > 0 for key in "ab"] == [True, True]


@given(st.lists(st.text(), max_size=4), st.lists(st.text(), max_size=4))
def test_a_key_is_short_and_of_its_parts_alone(some: list[str], others: list[str]) -> None:
    assert (key_of(*some) == key_of(*others)) == (some == others)
    assert len(key_of(*some, "x" * 10_000)) == 64


def test_whoever_has_waited_is_not_kept_in_memory() -> None:
    attempts = failed(5)
    attempts.wait_s("rahim", WINDOW_S)
    assert not attempts._failed
