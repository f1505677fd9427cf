"""The command line: what it refuses, in one line and with the code for it, and what may be repeated."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from auth.cli import password_of
from auth.password import OWASP_MEMORY_KIB
from auth.wiring import Settings, check
from kit.serve import ServiceFault
from kit.settings import SettingsRefused

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def empty(new_auth: Callable[[], Any]) -> Any:
    """An installation that has a key and a database without tables."""
    made = new_auth()
    assert made.run("keygen", made.settings["AUTH_SIGNING_KEY_FILE"]).returncode == 0
    return made


def test_the_defaults_are_safe() -> None:
    check(Settings())


@pytest.mark.parametrize("deployment", ["production", "laptop"])
@pytest.mark.parametrize(
    ("unsafe", "told"),
    [
        ({"token_lifetime_s": 0}, "AUTH_TOKEN_LIFETIME_S: expected 60 to 86400 seconds, found 0; "),
        ({"token_lifetime_s": 59}, "AUTH_TOKEN_LIFETIME_S: expected 60 to 86400 seconds, found 59; "),
        ({"token_lifetime_s": -3600}, "AUTH_TOKEN_LIFETIME_S: expected 60 to 86400 seconds, found -3600; "),
        ({"token_lifetime_s": 86_401}, "AUTH_TOKEN_LIFETIME_S: expected 60 to 86400 seconds, found 86401; "),
        ({"issuer": ""}, "AUTH_ISSUER: expected a name, found nothing; set it"),
        ({"argon2_memory_kib": 7}, "AUTH_ARGON2_MEMORY_KIB, AUTH_ARGON2_TIME_COST: argon2 needs 8 KiB"),
        ({"argon2_time_cost": 0}, "AUTH_ARGON2_MEMORY_KIB, AUTH_ARGON2_TIME_COST: argon2 needs 8 KiB"),
    ],
    ids=str,
)
def test_what_cannot_be_used_is_refused_everywhere(
    deployment: Any, unsafe: dict[str, Any], told: str
) -> None:
    with pytest.raises(ServiceFault) as fault:
        check(Settings(**unsafe, deployment=deployment))
    assert str(fault.value).startswith(told)


def test_the_ends_of_what_is_allowed_are_allowed() -> None:
    for lifetime_s in (60, 86_400):
        check(Settings(token_lifetime_s=lifetime_s))
    check(Settings(argon2_memory_kib=8, argon2_time_cost=1, deployment="laptop"))


def test_production_does_not_start_with_cheap_passwords(empty: Any) -> None:
    done = empty.run("serve", AUTH_DEPLOYMENT="production")
    told = f"argon2 below {OWASP_MEMORY_KIB} KiB and 2 passes is refused in production; raise them"
    assert done.returncode == 3
    assert done.stderr == f"auth: AUTH_ARGON2_MEMORY_KIB, AUTH_ARGON2_TIME_COST: {told}\n"


@pytest.mark.parametrize("name", ["AUTH_DATABASE_URL", "AUTH_SIGNING_KEY_FILE"])
def test_it_does_not_start_without_its_settings(empty: Any, name: str) -> None:
    done = empty.run("serve", **{name: ""})
    assert (done.returncode, done.stderr) == (3, f"auth: {name} is missing; set it\n")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"AUTH_PORT": "many"}, "auth: AUTH_PORT: expected a whole number, found 'many'"),
        ({"AUTH_ISUER": "x"}, "auth: AUTH_ISUER is not a setting"),
        ({"AUTH_DEPLOYMENT": "staging"}, "expected one of production, laptop, found 'staging'"),
    ],
    ids=str,
)
def test_a_setting_that_cannot_be_read_is_refused(empty: Any, changes: dict[str, str], told: str) -> None:
    done = empty.run("serve", **changes)
    assert done.returncode == 1
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_database_that_is_away_is_named_without_its_password(empty: Any) -> None:
    url = "postgresql://auth_owner:hidden@127.0.0.1:1/auth"
    for command, setting in (("serve", "AUTH_DATABASE_URL"), ("migrate", "AUTH_OWNER_DATABASE_URL")):
        done = empty.run(command, **{setting: url})
        assert done.returncode == 3
        assert f"{setting}: no database at 127.0.0.1:1/auth" in done.stderr
        assert "hidden" not in done.stderr + done.stdout


def seed(auth: Any, password: str) -> Any:
    file: Path = auth.folder / "tried"
    file.write_text(password)
    return auth.run("seed", "--password-file", str(file), "--out", str(auth.folder / "out.json"))


@pytest.mark.parametrize("password", ["", "\n", "       \n", "shapla7\n", b"\xff" * 12], ids=repr)
def test_what_is_no_password_to_speak_of_is_refused(tmp_path: Path, password: str | bytes) -> None:
    file = tmp_path / "password"
    file.write_bytes(password if isinstance(password, bytes) else password.encode())
    with pytest.raises(SettingsRefused, match=f"^{file}: expected a password") as refused:
        password_of(file)
    assert "shapla" not in str(refused.value)


def test_users_without_a_password_are_not_made(empty: Any) -> None:
    done = seed(empty, "\n")
    told = "expected a password of at least 8 characters, found 0; choose a longer one"
    assert (done.returncode, done.stderr) == (1, f"auth: {empty.folder}/tried: {told}\n")
    assert not (empty.folder / "out.json").exists()


def test_users_need_tables(empty: Any) -> None:
    done = seed(empty, "shapla-1971")
    assert done.returncode == 3
    assert done.stderr.endswith("did 'auth migrate' run?\n")
    assert "Traceback" not in done.stderr


def test_migrating_again_does_nothing(auth: Any) -> None:
    done = auth.run("migrate")
    assert (done.returncode, done.stdout) == (0, "auth: 0 migrations run\n")


def test_seeding_again_changes_nothing_and_adds_what_is_new(auth: Any, users: list[dict[str, Any]]) -> None:
    again = auth.seed("--users", "303", password="another password")
    assert again["users"][:300] == users
    known, new = users[0], again["users"][-1]
    assert new not in users
    assert auth.log_in(known["tenant_id"], known["username"]).status == 200
    assert auth.log_in(new["tenant_id"], new["username"], "another password").status == 200
    refused = auth.log_in(known["tenant_id"], known["username"], "another password")
    assert (refused.status, refused.body["code"]) == (401, "invalid-credentials")


def test_passwords_are_kept_as_hashes_and_nowhere_else(auth: Any, cluster: Any) -> None:
    name = auth.settings["AUTH_DATABASE_URL"].rpartition("/")[2]
    checked = """DO $$ BEGIN
        ASSERT (SELECT count(*) FROM auth.users) >= 300;
        ASSERT NOT EXISTS (SELECT FROM auth.users WHERE password_hash NOT LIKE '$argon2id$v=19$m=64,t=1,p=1$%');
        ASSERT NOT EXISTS (SELECT FROM auth.users u WHERE u::text LIKE '%shapla%');
    END $$;"""
    cluster.run_sql(name, checked)
    assert "shapla" not in (auth.folder / "users.json").read_text()
