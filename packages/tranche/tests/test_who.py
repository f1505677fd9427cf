"""Who is on green, from which weight on: of one user and of many, as the data plane has it."""

import json
from pathlib import Path

import pytest
from installed import Run, begin

from tranche.bucket import arm_of
from tranche.ports import Arm, Split
from tranche.progress import percent_of
from tranche.wiring import Installation


def test_who_stands_below_the_weight_is_on_green_and_nobody_else(
    run: Run, here: Installation, tmp_path: Path
) -> None:
    begin(here)
    users = [f"u-{number}" for number in range(300)]
    (tmp_path / "users").write_text("\n".join(users) + "\n\n")
    code, out, err = run("who", "--users-file", str(tmp_path / "users"), "--json")
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert told["rollout"] == "finance-demo-1"
    assert [one["user"] for one in told["users"]] == users
    salt = here.desk.progress().salt
    for weight in (1000, 3000, 6000):
        split = Split(identifier="r/1", salt=salt, green_weight=weight, internal_to_green=False)
        on_green = {user for user in users if arm_of(user, split, internal=False) is Arm.GREEN}
        assert {one["user"] for one in told["users"] if one["place_percent"] < percent_of(weight)} == on_green


def test_one_user_is_told_the_place_that_is_told_of_many(
    run: Run, here: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(here)
    (tmp_path / "users").write_text("u-1\nu-2\n")
    _, out, _ = run("who", "--users-file", str(tmp_path / "users"), "--json")
    place = json.loads(out)["users"][0]["place_percent"]
    assert json.loads(run("who", "--user", "u-1", "--json")[1])["place_percent"] == place
    assert f"stands at {place:g} %: on green once it has more than that" in run("who", "--user", "u-1")[1]
    assert run("who", "--users-file", str(tmp_path / "users"))[1].splitlines()[0] == f"{place:>6.2f} %  u-1"


@pytest.mark.parametrize(
    ("content", "told"), [(b"\n\n", "found none"), (b"u-1\n\xff\xfe\n", "in UTF-8"), (b"", "found none")]
)
def test_a_file_of_users_that_says_nothing_is_usage(
    run: Run, here: Installation, tmp_path: Path, content: bytes, told: str
) -> None:
    begin(here)
    (tmp_path / "users").write_bytes(content)
    code, out, err = run("who", "--users-file", str(tmp_path / "users"))
    assert (code, out) == (2, "")
    assert told in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments", [(), ("--user", "u-1", "--users-file", "-"), ("--internal", "--users-file", "-")]
)
def test_who_is_asked_about_one_user_or_about_a_file(
    run: Run, here: Installation, arguments: tuple[str, ...]
) -> None:
    begin(here)
    code, _, err = run("who", *arguments)
    assert code == 2
    assert "Give --user NAME" in err
