"""In the small what `make bench-envoy` does in the large: what users meet on a real Envoy while the engine acts."""

from collections.abc import Iterator

import pytest
from data_plane import changes, death, misplaced, replacements, rollbacks, thrown_back
from place import Answer, Place, Stretch, standing

from tranche.ports import Split

RATE = 120.0


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with standing(tmp_path_factory.mktemp("data-plane")) as made:
        yield made


@pytest.mark.integration
def test_weights_change_and_nobody_fails_is_thrown_back_or_is_elsewhere_than_said(place: Place) -> None:
    found = changes(place, times=6, rate=RATE, every_s=0.25)

    assert found.requests > 100
    assert found.placed > 80
    assert (found.failed, found.thrown_back, found.misplaced) == (0, 0, 0)


@pytest.mark.integration
def test_a_build_is_replaced_under_load_and_who_is_right_about_everybody(place: Place) -> None:
    found, asked = replacements(place, times=1, rate=RATE, who=100)

    assert found.requests > 100
    assert (found.failed, found.thrown_back, found.misplaced) == (0, 0, 0)
    assert 0 < asked.green < asked.users
    assert asked.wrong == 0


@pytest.mark.integration
def test_green_dies_with_nobody_in_control_and_only_what_was_under_way_fails(place: Place) -> None:
    found = death(place, "doomed", rate=RATE, watch_s=0.4)

    assert found.requests > 50
    assert found.failed <= found.under_way


@pytest.mark.integration
def test_a_rollback_by_command_fails_no_request(place: Place) -> None:
    found = rollbacks(place, times=1, rate=RATE)

    assert found.requests > 20
    assert found.failed == 0
    assert len(found.last_green_ms) == 1


def stretch(weight: int, begins: float, ends: float, salt: str = "s") -> Stretch:
    split = Split(identifier=f"r/{begins:g}", salt=salt, green_weight=weight, internal_to_green=False)
    return Stretch(split, begins, ends)


def answer(began: float, arm: str) -> Answer:
    return Answer("anna", "anna", began, began + 0.1, 200, arm, "v")


def test_who_meets_blue_after_green_while_the_weight_rises_is_thrown_back() -> None:
    rise = [stretch(1000, 0, 1), stretch(3000, 1.1, 2)]

    assert thrown_back([answer(0.5, "green"), answer(1.5, "blue")], rise) == {"anna"}
    assert thrown_back([answer(0.5, "blue"), answer(1.5, "green")], rise) == set()


@pytest.mark.parametrize("after", [stretch(0, 1.1, 2), stretch(3000, 1.1, 2, "another salt")])
def test_who_meets_blue_when_the_weight_has_fallen_or_another_rollout_began_is_not(after: Stretch) -> None:
    assert thrown_back([answer(0.5, "green"), answer(1.5, "blue")], [stretch(1000, 0, 1), after]) == set()


def test_an_answer_of_another_arm_than_said_is_misplaced_and_one_across_a_change_is_not_looked_at() -> None:
    everybody = [stretch(10_000, 0, 1)]

    assert misplaced([answer(0.5, "blue")], everybody) == (1, 1)
    assert misplaced([answer(0.5, "green")], everybody) == (1, 0)
    assert misplaced([answer(0.95, "blue")], everybody) == (0, 0)
