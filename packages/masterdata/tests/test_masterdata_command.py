"""The command line: what it refuses, in one line and with the code for it, and what may be repeated."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest

from kit.settings import SettingsRefused
from laptop.postgres import SUPERUSER
from masterdata import seed
from masterdata.cli import tenants_of
from masterdata.record import KINDS, parse

pytestmark = pytest.mark.integration
TENANT = UUID(int=7)


@pytest.fixture(scope="module")
def empty(new_masterdata: Callable[[], Any]) -> Any:
    """An installation whose database has no tables."""
    return new_masterdata()


def test_seeded_records_are_such_as_the_service_would_take() -> None:
    rows = {
        "customers": list(seed.partners(TENANT, "customer", 150)),
        "vendors": list(seed.partners(TENANT, "vendor", 150)),
        "products": list(seed.products(TENANT, 150)),
    }
    for kind, made in rows.items():
        assert all(parse(KINDS[kind], dict(values)) == values for _, values in made)
    assert len({key for made in rows.values() for key, _ in made}) == 450


def test_records_of_a_tenant_are_always_the_same_and_more_come_after_them() -> None:
    for make in (lambda tenant, count: seed.partners(tenant, "customer", count), seed.products):
        few, many = list(make(TENANT, 20)), list(make(TENANT, 60))
        assert many[:20] == few
        assert not {key for key, _ in make(UUID(int=8), 60)} & {key for key, _ in many}


def test_migrating_again_does_nothing(masterdata: Any) -> None:
    done = masterdata.run("migrate")
    assert (done.returncode, done.stdout) == (0, "masterdata: 0 migrations run\n")


def test_seeding_again_changes_nothing(masterdata: Any) -> None:
    before = {kind: masterdata.listed(kind) for kind in KINDS}
    assert {kind: len(records) for kind, records in before.items()} == masterdata.counts
    done = masterdata.seed()
    told = "masterdata: 136 records for each of 2 tenants\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, told, "")
    assert {kind: masterdata.listed(kind) for kind in KINDS} == before


def test_seeding_again_keeps_what_was_added_by_hand(masterdata: Any) -> None:
    tenant = str(uuid4())
    headers = {"authorization": masterdata.of(tenant)}
    taken = {"code": "V0001", "name": "Karim", "tin": None, "bin": None}
    added = masterdata.post("/api/v1/vendors", taken, **headers).body
    assert masterdata.seed({"tenants": [{"id": tenant}]}).returncode == 0
    vendors = masterdata.listed("vendors", tenant)
    assert added in vendors
    assert len(vendors) == masterdata.counts["vendors"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no json",
        b"\xff",
        [],
        "text",
        {"tenant": []},
        {"tenants": 5},
        {"tenants": ["x"]},
        {"tenants": [{}]},
        {"tenants": [{"id": 5}]},
        {"tenants": [{"id": "padma"}]},
    ],
    ids=repr,
)
def test_a_file_that_names_no_tenants_is_refused(tmp_path: Path, content: object) -> None:
    file = tmp_path / "tenants.json"
    file.write_bytes(content if isinstance(content, bytes) else orjson.dumps(content))
    with pytest.raises(SettingsRefused, match=f"^{file}: expected .*, found another thing"):
        tenants_of(file)


def test_a_refused_file_is_one_line_and_exit_1(empty: Any) -> None:
    done = empty.seed({"tenants": [{"id": "padma"}]})
    expected = '{"tenants": [{"id": "<UUID>", "name": "..."}]}'
    told = f"expected {expected}, found another thing (badly formed hexadecimal UUID string)"
    assert (done.returncode, done.stderr) == (1, f"masterdata: {empty.folder}/tenants.json: {told}\n")


def test_records_need_tables(empty: Any) -> None:
    done = empty.seed()
    assert done.returncode == 3
    assert done.stderr.startswith("masterdata: MASTERDATA_OWNER_DATABASE_URL: cannot add records (")
    assert done.stderr.endswith("did 'masterdata migrate' run?\n")
    served = empty.run("serve")
    assert served.returncode == 3
    assert served.stderr.startswith("masterdata: MASTERDATA_DATABASE_URL: no tables for this role (")


@pytest.mark.parametrize("role", [SUPERUSER, "masterdata_owner"])
def test_production_refuses_a_role_that_row_level_security_does_not_hold(masterdata: Any, role: str) -> None:
    done = masterdata.run("serve", MASTERDATA_DATABASE_URL=masterdata.url(role), MASTERDATA_PORT="0")
    told = "this role can put row level security aside, which is refused in production; connect as masterdata_app"
    assert (done.returncode, done.stderr) == (3, f"masterdata: MASTERDATA_DATABASE_URL: {told}\n")


@pytest.mark.parametrize("name", ["MASTERDATA_DATABASE_URL", "MASTERDATA_JWKS_URL"])
def test_it_does_not_start_without_its_settings(empty: Any, name: str) -> None:
    done = empty.run("serve", **{name: ""})
    assert (done.returncode, done.stderr) == (3, f"masterdata: {name} is missing; set it\n")


def test_a_setting_that_cannot_be_read_is_refused(empty: Any) -> None:
    done = empty.run("serve", MASTERDATA_PORT="many", MASTERDATA_JWKS="x")
    assert done.returncode == 1
    assert "MASTERDATA_JWKS is not a setting" in done.stderr
    assert "MASTERDATA_PORT: expected a whole number, found 'many'" in done.stderr


def test_a_database_that_is_away_is_named_without_its_password(empty: Any) -> None:
    url = "postgresql://masterdata_app:hidden@127.0.0.1:1/books"
    for command, setting in (
        ("serve", "MASTERDATA_DATABASE_URL"),
        ("migrate", "MASTERDATA_OWNER_DATABASE_URL"),
    ):
        done = empty.run(command, **{setting: url})
        assert done.returncode == 3
        assert f"{setting}: no database at 127.0.0.1:1/books" in done.stderr
        assert "hidden" not in done.stderr + done.stdout
