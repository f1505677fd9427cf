"""Who may do what: one table, tokens of which nothing but a hash is kept, and refusals that say what it takes."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st
from installed import BARE

from tranche import access, cli, language, wiring
from tranche import site as sites
from tranche.access import NEEDS, NotAllowed, TokenExists, TokenRefused, Tokens
from tranche.adapters.memory import MemoryTokens, VirtualClock
from tranche.adapters.tokens import TokenFile, TokensFault
from tranche.door import Door
from tranche.person import KnownBy, Person, Role
from tranche.refusal import Refused

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
SOMEBODY = Person(name="somebody", known_by=KnownBy.USER)
DOC = Path(__file__).resolve().parents[3] / "docs" / "access.md"
SITE = BARE + "access: {tokens: tokens.json}\n"
PLAN = (
    "name: small\nstaging: {gates: [{name: owner, kind: approval}]}\n"
    "phases: [{name: all, weight: 100 %, dwell: 1h}]\n"
)
Run = Callable[..., tuple[int, str, str]]


def one(name: str = "ann", role: Role = Role.OPERATOR, token: str = "tranche_1", days: int = 1) -> Tokens:
    return access.issued(
        (), name=name, role=role, token=token, lasts=timedelta(days=days), by="root", now=NOW
    )


def test_a_token_names_its_holder_and_only_its_hash_is_kept() -> None:
    tokens = one()

    assert access.holder(tokens, "tranche_1", NOW) == Person(
        name="ann", known_by=KnownBy.TOKEN, role=Role.OPERATOR
    )
    assert "tranche_1" not in repr(tokens)


@pytest.mark.parametrize("presented", ["", "tranche_", "tranche_2", "TRANCHE_1", "tranche_1 "])
def test_what_is_not_the_token_lets_nobody_in(presented: str) -> None:
    with pytest.raises(TokenRefused, match="none of this site's"):
        access.holder(one(), presented, NOW)


def test_a_token_counts_until_it_expires_or_is_revoked() -> None:
    tokens = one()
    with pytest.raises(TokenRefused, match="'ann' expired at 2026-01-06 09:00"):
        access.holder(tokens, "tranche_1", NOW + timedelta(days=1))
    with pytest.raises(TokenRefused, match="'ann' was revoked at 2026-01-05 09:00"):
        access.holder(access.revoked(tokens, name="ann", now=NOW), "tranche_1", NOW)
    with pytest.raises(access.NoSuchToken, match="there are: ann"):
        access.revoked(tokens, name="bea", now=NOW)


def test_a_person_has_one_token_and_may_have_another_when_it_counts_no_longer() -> None:
    tokens = one()
    again = {"name": "ann", "role": Role.VIEWER, "token": "tranche_2", "lasts": timedelta(1), "by": "root"}
    with pytest.raises(TokenExists):
        access.issued(tokens, now=NOW, **again)  # type: ignore[arg-type]
    both = access.issued(access.revoked(tokens, name="ann", now=NOW), now=NOW, **again)  # type: ignore[arg-type]
    assert access.holder(both, "tranche_2", NOW).role is Role.VIEWER
    with pytest.raises(TokenRefused):
        access.holder(both, "tranche_1", NOW)


@pytest.mark.parametrize("name", ["controller", "", "a\nb", "x" * 65, " ann"])
def test_a_name_that_would_mislead_the_record_is_refused(name: str) -> None:
    with pytest.raises(Refused):
        one(name=name)


@given(role=st.sampled_from(Role), verb=st.sampled_from([*NEEDS, "nonsense", ""]))
def test_a_role_may_what_the_table_says_and_a_refusal_says_what_it_takes(role: Role, verb: str) -> None:
    person = Person(name="ann", known_by=KnownBy.TOKEN, role=role)
    if role in NEEDS.get(verb, ()):
        access.check(person, verb)
        return
    with pytest.raises(NotAllowed) as refused:
        access.check(person, verb)
    assert f"'ann' is {role.value}; '{verb}' needs " in str(refused.value)
    assert all(needed.value in str(refused.value) for needed in NEEDS.get(verb, ()))


def test_every_verb_is_an_admins_and_looking_is_everybodys() -> None:
    assert all(Role.ADMIN in roles for roles in NEEDS.values())
    assert [verb for verb, roles in NEEDS.items() if Role.VIEWER in roles] == [
        "status", "watch", "history", "why", "who", "evidence export",
    ]  # fmt: skip


def commands(group: click.Group, before: str = "") -> dict[str, click.Command]:
    found: dict[str, click.Command] = {}
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            found |= commands(command, f"{before}{name} ")
        else:
            found[before + name] = command
    return found


def test_every_command_that_touches_a_site_is_in_the_table_and_nothing_else_is() -> None:
    touching = {
        name
        for name, command in commands(cli.cli).items()
        if any("--site" in option.opts for option in command.params)
    }
    assert touching - {"plan check"} == set(NEEDS), "to check a plan only reads the two files"


def test_the_document_is_the_table() -> None:
    rows = [line.split("|")[1:-1] for line in DOC.read_text().splitlines() if line.startswith("| `")]
    written = {
        cells[0].strip(" `"): {
            role for role, cell in zip(Role, cells[1:], strict=True) if cell.strip() == "yes"
        }
        for cells in rows
    }
    assert written == {verb: set(roles) for verb, roles in NEEDS.items()}


@pytest.mark.parametrize("kind", ["memory", "file"])
def test_stores_keep_tokens_and_what_is_refused_leaves_them(kind: str, tmp_path: Path) -> None:
    store = MemoryTokens() if kind == "memory" else TokenFile(tmp_path / "tokens.json")
    door = Door(store=store, clock=VirtualClock())
    assert store.read() == ()
    with pytest.raises(NotAllowed, match="make the first with --role admin"):
        door.create(name="ann", role=Role.VIEWER, lasts=timedelta(days=1), by="root")
    assert store.read() == ()
    token = door.create(name="ann", role=Role.ADMIN, lasts=timedelta(days=1), by="root")
    kept = store.read()
    with pytest.raises(TokenExists):
        door.create(name="ann", role=Role.ADMIN, lasts=timedelta(days=1), by="root")
    assert store.read() == kept
    assert door.admit("rollback", token=token, otherwise=SOMEBODY).name == "ann"
    door.revoke("ann")
    with pytest.raises(TokenRefused, match="revoked"):
        door.admit("status", token=token, otherwise=SOMEBODY)
    assert [(token.name, counts) for token, counts in door.tokens()] == [("ann", False)]


def test_the_file_is_for_its_owners_eyes_and_holds_no_token(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    door = Door(store=TokenFile(path), clock=VirtualClock())
    token = door.create(name="ann", role=Role.ADMIN, lasts=timedelta(days=1), by="root")

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert token.removeprefix("tranche_") not in path.read_text()
    assert len(token) == len("tranche_") + 64


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"format": 2, "tokens": []}', '{"format": 1, "tokens": [{}]}']
)
def test_a_damaged_file_lets_nobody_in(tmp_path: Path, text: str) -> None:
    path = tmp_path / "tokens.json"
    path.write_text(text)
    door = Door(store=TokenFile(path), clock=VirtualClock())
    for verb, token in (("status", "tranche_1"), ("token create", None)):
        with pytest.raises(TokensFault, match=r"tokens\.json"):
            door.admit(verb, token=token, otherwise=SOMEBODY)
    with pytest.raises(TokensFault):
        door.create(name="ann", role=Role.ADMIN, lasts=timedelta(days=1), by="root")
    assert path.read_text() == text


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "site.yaml"
    path.write_text(SITE)
    monkeypatch.setenv("TRANCHE_SITE", str(path))
    monkeypatch.setenv("TRANCHE_ACTOR", "mallory")
    return path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    def run(*arguments: str, token: str | None = None) -> tuple[int, str, str]:
        monkeypatch.delenv("TRANCHE_TOKEN", raising=False)
        if token is not None:
            monkeypatch.setenv("TRANCHE_TOKEN", token)
        code = cli.run(list(arguments))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def tokens(site: Path, run: Run) -> dict[str, str]:
    """A token for each role, named after it."""
    _, admin, _ = run("token", "create", "admin", "--role", "admin")
    made = {"admin": admin.strip()}
    for role in ("viewer", "operator", "approver"):
        _, out, _ = run("token", "create", role, "--role", role, "--json", token=made["admin"])
        made[role] = json.loads(out)["token"]
    return made


def begin(site: Path, actor: str = "operator") -> wiring.Installation:
    here = wiring.installation(sites.load(site))
    plan = language.parse(PLAN, file="plan.yaml")
    here.desk.start(plan, text=PLAN, file="plan.yaml", version="1.1.0", actor=actor)
    return here


def test_the_first_token_is_an_admins_and_then_a_token_is_needed(site: Path, run: Run) -> None:
    assert run("token", "create", "eve", "--role", "operator")[0] == 1
    code, out, err = run("token", "create", "ann", "--role", "admin", "--days", "2")
    assert code == 0
    assert out.startswith("tranche_")
    assert err == "for 'ann' as admin, for 2 days; it is not shown again\n"
    code, _, err = run("token", "create", "eve", "--role", "admin")
    assert code == 1
    assert "refused (no-token): This site asks for a token; set TRANCHE_TOKEN_FILE" in err


def test_without_a_token_nothing_is_done_and_nothing_is_read(
    site: Path, run: Run, tokens: dict[str, str]
) -> None:
    here = begin(site)
    begun = len(here.desk.events())
    for arguments in (["status"], ["history"], ["pause"], ["rollback", "--reason", "x"], ["token", "list"]):
        code, out, err = run(*arguments)
        assert (code, out) == (1, "")
        assert "no-token" in err
    assert len(here.desk.events()) == begun


def test_who_acts_is_the_token_and_never_the_environment(
    site: Path, run: Run, tokens: dict[str, str]
) -> None:
    here = begin(site)
    assert run("pause", "--reason", "lunch", token=tokens["approver"])[0] == 0
    code, _, err = run("resume", token=tokens["approver"])
    assert code == 1
    assert err == "tranche: refused (not-allowed): 'approver' is approver; 'resume' needs operator or admin\n"
    assert run("resume", token=tokens["operator"])[0] == 0
    assert run("status", token=tokens["viewer"])[0] == 0
    assert run("pause", token=tokens["viewer"])[0] == 1
    asked = [event for event in here.desk.events() if event.type != "attested/1"]
    assert [event.actor for event in asked[1:]] == ["operator", "approver", "operator"]


def test_whoever_started_approves_in_no_role(site: Path, run: Run, tokens: dict[str, str]) -> None:
    here = begin(site, actor="admin")
    code, out, _ = run("approve", "--json", token=tokens["viewer"])
    (case,) = json.loads(out)
    yes = ["approve", "--evidence", case["digest"]]

    assert code == 0
    assert "not-allowed" in run(*yes, token=tokens["operator"])[2]
    assert "own-rollout" in run(*yes, token=tokens["admin"])[2]
    assert run(*yes, token=tokens["approver"])[0] == 0
    assert here.desk.events()[-1].actor == "approver"


def test_a_token_comes_from_a_file_too_and_is_not_inherited(
    site: Path, run: Run, tokens: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    begin(site)
    (site.parent / "mine").write_text(tokens["viewer"] + "\n")
    monkeypatch.setenv("TRANCHE_TOKEN_FILE", str(site.parent / "mine"))
    assert run("status")[0] == 0
    monkeypatch.delenv("TRANCHE_TOKEN_FILE")
    assert run("status", token=tokens["viewer"])[0] == 0
    assert "TRANCHE_TOKEN" not in os.environ, "a gate's program would inherit it"


def test_tokens_are_listed_without_themselves_and_revoked_at_once(
    site: Path, run: Run, tokens: dict[str, str]
) -> None:
    begin(site)
    assert run("token", "revoke", "viewer", token=tokens["admin"])[0] == 0
    code, out, _ = run("token", "list", token=tokens["admin"])
    assert code == 0
    assert [line.split()[:3] for line in out.splitlines()[1:]] == [
        ["admin", "admin", "yes"],
        ["viewer", "viewer", "no"],
        ["operator", "operator", "yes"],
        ["approver", "approver", "yes"],
    ]
    listed = json.loads(run("token", "list", "--json", token=tokens["admin"])[1])
    assert {one["created_by"] for one in listed} == {"admin", "mallory"}
    assert not [token for token in tokens.values() if token[8:] in out + json.dumps(listed)]
    assert "the token of 'viewer' was revoked" in run("status", token=tokens["viewer"])[2]


def test_without_access_in_the_site_there_are_no_tokens_and_nobody_is_asked(site: Path, run: Run) -> None:
    site.write_text(SITE.replace("access: {tokens: tokens.json}\n", ""))
    here = begin(site)
    assert run("pause")[0] == 0
    assert here.desk.events()[-1].actor == "mallory"
    assert "refused (no-tokens)" in run("token", "create", "ann", "--role", "admin")[2]
    assert not (site.parent / "tokens.json").exists()


def test_who_may_not_declare_a_hotfix_does_not_start_one_either(
    site: Path, run: Run, tokens: dict[str, str]
) -> None:
    plan = site.parent / "plan.yaml"
    plan.write_text(PLAN)
    start = ["start", str(plan), "--version", "1.1.0", "--hotfix", "CVE"]

    assert (
        "'operator' is operator; 'hotfix' needs approver or admin" in run(*start, token=tokens["operator"])[2]
    )
    assert (
        "'approver' is approver; 'start' needs operator or admin" in run(*start, token=tokens["approver"])[2]
    )
    assert "nothing-frozen" in run(*start, token=tokens["admin"])[2]
