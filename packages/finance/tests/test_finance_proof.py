"""The proofs of a rollout's gates: what is whole passes, what is not fails by its name, and unseen is not proved."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from finance import proof
from finance.adapters.postgres import proving
from finance.events import encode
from finance.invoice import Cancelled
from finance.journal import Reversed
from finance.proof import Digests, Followed, Reading, Seal
from finance.verify import CONTROLS, examine
from tranche.adapters.proof import ProofGate
from tranche.ports import Verdict
from tranche.site import ProofSite

World = Any
Serving = Any
PROGRAM = str(Path(sys.executable).with_name("finance"))
BLUE, GREEN = "1.0.0", "1.1.0"
POST = """mutation ($key: ID!, $lines: [JournalLineInput!]!) { createJournal(idempotencyKey: $key, input: {
    journalDate: "2026-11-23", description: "A sale", autoPost: true, lines: $lines}) {
    ... on Journal { id journalNumber } ... on Refusal { code message } } }"""


INVOICE = """mutation ($key: ID!, $customer: ID!) { createInvoice(idempotencyKey: $key, input: {
    customerId: $customer, invoiceDate: "2026-11-23", dueDate: "2026-11-30", lineItems: [
    {description: "Rice", quantity: "1", unitPrice: "5.00", vatCategory: STANDARD}]}) { ... on Invoice { id } } }"""
APPROVE = (
    """mutation ($key: ID!, $id: ID!) { approveInvoice(idempotencyKey: $key, id: $id) { __typename } }"""
)


def verdicts(shown: list[proof.Shown]) -> dict[str, str]:
    return {one.name: one.verdict for one in shown}


def test_empty_books_prove_nothing() -> None:
    assert set(verdicts(proof.books(examine([]))).values()) == {"cannot tell"}


# Seals


def sealed(since: int, until: int, **changed: Any) -> Seal:
    given = {"digest": b"d", "events": 3, "now": b"d", "events_now": 3}
    return Seal(since=since, until=until, **(given | changed))


ON = {"append_only": True, "never_emptied": True}


def test_a_log_that_fits_its_seals_is_unchanged() -> None:
    shown = proof.unchanged(ON, [sealed(0, 5), sealed(5, 9)], 2, b"\x01")
    assert shown.verdict == "pass"
    assert shown.evidence == {"sealed events": 6, "seals": 2, "newly": 2, "digest": "01"}


@pytest.mark.parametrize(
    ("guards", "seals", "told"),
    [
        (ON | {"append_only": False}, [sealed(0, 5)], "the guard 'append_only' of the log is off"),
        (ON, [sealed(0, 5, now=b"e")], "events of transactions 0 to 5 changed"),
        (ON, [sealed(0, 5, events_now=4)], "changed (4 events, sealed were 3)"),
        (ON, [sealed(5, 9)], "a seal is missing between transactions 0 and 5"),
        (ON, [sealed(0, 5), sealed(7, 9)], "a seal is missing between transactions 5 and 7"),
    ],
)
def test_a_log_that_does_not_fit_is_named(guards: dict[str, bool], seals: list[Seal], told: str) -> None:
    shown = proof.unchanged(guards, seals, 0, None)
    assert (shown.verdict, told in shown.reason) == ("fail", True)


def test_what_was_never_sealed_cannot_be_told() -> None:
    assert proof.unchanged(ON, [], 7, b"\x01").verdict == "cannot tell"


def test_read_models_without_a_row_are_not_alike() -> None:
    assert (
        proof.alike(Digests(position=4, ours={"a": (0, "x")}, theirs={"a": (0, "x")})).verdict
        == "cannot tell"
    )
    assert proof.alike(Digests(position=4, ours={"a": (1, "x")}, theirs={"a": (1, "x")})).verdict == "pass"
    shown = proof.alike(Digests(position=4, ours={"a": (1, "x")}, theirs={"a": (1, "y")}))
    assert (shown.verdict, shown.reason) == ("fail", "table a differs: 1 rows and 1")
    assert proof.alike("they are away").verdict == "cannot tell"


# Reading


def taken(*events: tuple[str, bytes], theirs: bool = True) -> Reading:
    reading = Reading()
    for version, (event_type, data) in enumerate(events, 1):
        reading.take(stream=("t", "s"), version=version, event_type=event_type, data=data, theirs=theirs)
    return reading


def test_an_event_of_an_unknown_type_and_one_that_is_not_what_it_says_fail() -> None:
    for event in (("invoice.teleported/1", b"{}"), ("journal.reversed/1", b'{"type": "journal.reversed/1"}')):
        shown = taken(event).shown()
        assert verdicts(shown) == {proof.READ: "fail", proof.FOLDED: "fail"}
        assert f"{event[0]}, version 1 of stream s" in shown[0].reason


def test_an_event_that_is_read_and_cannot_be_folded_fails() -> None:
    shown = taken(encode(Cancelled(reason="nothing was there to cancel"))).shown()
    assert verdicts(shown) == {proof.READ: "pass", proof.FOLDED: "fail"}


def test_an_event_of_ours_that_cannot_be_folded_after_theirs_fails_too() -> None:
    reading = taken(("invoice.teleported/1", b"{}"))
    event_type, data = encode(Reversed(by_journal_id="k"))
    reading.take(stream=("t", "s"), version=2, event_type=event_type, data=data, theirs=False)
    assert (reading.events, len(reading.unread), reading.unfolded) == (1, 1, [])


def test_events_of_nobody_else_are_no_proof() -> None:
    event = encode(Reversed(by_journal_id="k"))
    assert set(verdicts(Reading().shown()).values()) == {"cannot tell"}
    assert verdicts(taken(event, theirs=False).shown())[proof.READ] == "cannot tell"


def test_what_a_reader_passes_over_is_told() -> None:
    data = b'{"type": "journal.reversed/1", "by_journal_id": "k", "approved_by": "nobody"}'
    [read, _] = taken(("journal.reversed/1", data)).shown()
    assert read.evidence["passed_over"] == ["journal.reversed/1 approved_by"]


@pytest.mark.parametrize(
    ("needed", "first", "last", "expected"),
    [
        ((7, 70), (5, 50), (7, 70), "pass"),
        ((7, 70), (5, 50), (6, 60), "cannot tell"),
        ((7, 70), (5, 50), (5, 50), "fail"),
        (None, (5, 50), (5, 50), "cannot tell"),
    ],
)
def test_read_models_follow_move_or_stand_still(
    needed: tuple[int, int] | None, first: tuple[int, int], last: tuple[int, int], expected: str
) -> None:
    assert proof.followed(Followed(needed=needed, first=first, last=last)).verdict == expected


# On real releases


@pytest.fixture(scope="module")
def blue(world: World) -> Serving:
    return world.serve(release=BLUE, colour="blue")


@pytest.fixture(scope="module")
def green(world: World, blue: Serving) -> Serving:
    return world.serve(release=GREEN, colour="green")


def post(serving: Serving) -> str:
    accounts = serving.ask("{ chartOfAccounts { id accountCode } }").data
    ids = {one["accountCode"]: one["id"] for one in accounts}
    lines = [{"accountId": ids["1000"], "debit": "5.00"}, {"accountId": ids["4000"], "credit": "5.00"}]
    return str(serving.ask(POST, key=str(uuid4()), lines=lines).data["id"])


def owe(serving: Serving) -> None:
    made = serving.ask(INVOICE, key=str(uuid4()), customer=next(iter(serving.world.records))).data
    assert serving.ask(APPROVE, key=str(uuid4()), id=made["id"]).data == {"__typename": "Invoice"}


def proved(world: World, name: str, of: str = GREEN) -> tuple[int, dict[str, dict[str, Any]]]:
    """How the proof ended when blue's release ran it, and its properties by name."""
    done: subprocess.CompletedProcess[str] = world.command("prove", name, "--of", of, release=BLUE)
    assert done.stderr == ""
    report = json.loads(done.stdout)
    assert report["version"] == of
    return done.returncode, {one["name"]: one for one in report["properties"]}


def gate(world: World, name: str, of: tuple[str, ...]) -> Any:
    """What the engine's gate makes of the proof."""
    command = (PROGRAM, "prove", name, "--of", "{version}")
    there = ProofGate("http://green", {name: ProofSite(command=command)}, world.settings(release=BLUE))
    settings = {"program": name, "of": of, "subject": {"version": GREEN}}
    return there.run(settings, timeout_s=60)


def seal(world: World) -> proof.Shown:
    async def asked() -> proof.Shown:
        connection = await asyncpg.connect(world.cluster.url("finance_projector", world.name))
        try:
            return await proving.seal(connection)
        finally:
            await connection.close()

    return asyncio.run(asked())


def damage(world: World, change: str) -> None:
    """What only a superuser who takes the guard away can do."""
    world.run_sql(
        f"ALTER TABLE finance_log.events DISABLE TRIGGER USER;{change};"
        "ALTER TABLE finance_log.events ENABLE TRIGGER USER;"
    )


READING = (proof.READ, proof.FOLDED, proof.FOLLOWED)


@pytest.mark.integration
def test_reading_proves_nothing_before_green_writes_and_then_counts_what_it_wrote(
    world: World, blue: Serving, green: Serving
) -> None:
    post(blue)
    code, found = proved(world, "reading")
    assert (code, {one["verdict"] for one in found.values()}) == (1, {"cannot tell"})
    assert gate(world, "reading", READING).verdict is Verdict.CANNOT_TELL
    post(green)
    code, found = proved(world, "reading")
    assert code == 0, found
    assert found[proof.READ]["evidence"] == {"events": 2, "types": 2}
    answer = gate(world, "reading", READING)
    assert (answer.verdict, answer.reason) == (Verdict.PASS, "3 of 3 properties proven")
    assert answer.evidence["properties"][proof.READ]["evidence"]["events"] == 2


@pytest.mark.integration
def test_a_green_that_writes_what_blue_cannot_read_fails_the_gate(
    world: World, blue: Serving, green: Serving
) -> None:
    stream = str(uuid4())
    world.run_sql(
        "INSERT INTO finance_log.events (tenant_id, stream_id, version, kind, type, data, actor, writer) VALUES"
        f" ('{world.tenant}', '{stream}', 1, 'invoice', 'invoice.teleported/1', '{{}}', 'rahim',"
        f" 'finance {GREEN} green');"
    )
    try:
        answer = gate(world, "reading", READING)
    finally:
        damage(world, f"DELETE FROM finance_log.events WHERE stream_id = '{stream}'")
    assert answer.verdict is Verdict.FAIL
    assert f"invoice.teleported/1, version 1 of stream {stream}" in answer.reason
    kept = answer.evidence["properties"]
    assert {name: kept[name]["verdict"] for name in READING} == dict.fromkeys(READING, "fail")


@pytest.mark.integration
def test_books_are_proved_once_there_is_a_seal_to_hold_them_against(
    world: World, blue: Serving, green: Serving
) -> None:
    entry = post(green)
    code, found = proved(world, "books")
    told = {name: one["verdict"] for name, one in found.items()}
    assert (told.pop(proof.UNCHANGED), told.pop(CONTROLS)) == ("cannot tell", "cannot tell")
    assert (code, set(told.values())) == (1, {"pass"}), found
    owe(blue)
    code, found = proved(world, "books")
    assert (code, {one["verdict"] for one in found.values()}) == (0, {"pass"}), found
    assert found[proof.UNCHANGED]["evidence"]["newly"] == 4
    assert found[proof.ALIKE]["evidence"]["tables"] > 10

    where = f"WHERE type = 'journal.posted/1' AND stream_id = '{entry}'"
    damage(world, f"UPDATE finance_log.events SET actor = 'karim' {where}")
    assert (seal(world).verdict, "changed" in seal(world).reason) == ("fail", True)
    damage(world, f"UPDATE finance_log.events SET actor = 'rahim' {where}")
    assert seal(world).verdict == "pass"
    world.run_sql("ALTER TABLE finance_log.events DISABLE TRIGGER append_only;")
    assert seal(world).reason == "the guard 'append_only' of the log is off"
    world.run_sql("ALTER TABLE finance_log.events ENABLE TRIGGER append_only;")


@pytest.mark.integration
async def test_seals_are_held_in_the_order_of_transactions_and_not_of_their_digits(ledger: Any) -> None:
    async with ledger.connected("finance_projector") as connection:
        before = b""
        for since, until in (("0", "9"), ("9", "10"), ("10", "11")):
            row = f"'{ledger.tenant}', '{uuid4()}', 1, 'account', 'account.renamed/1', '{{}}', 'rahim'"
            ledger.as_superuser(
                "INSERT INTO finance_log.events (tenant_id, stream_id, version, kind, type, data, actor, tx) VALUES"
                f" ({row}, '{int(until) - 1}');"
            )
            found = await connection.fetchrow(proving.STRETCH, since, until, before)
            before = found["digest"]
            await connection.execute(proving.SET_SEAL, since, until, found["events"], before)
        shown = await proving.seal(connection)
        assert (shown.verdict, shown.evidence["seals"]) == ("pass", 3), shown
        assert (await proving.seal(connection)).evidence["seals"] == 4


@pytest.mark.integration
def test_releases_that_show_different_books_do_not_pass(world: World, blue: Serving, green: Serving) -> None:
    post(green)
    change = "UPDATE finance_read_1_1_0.balance SET debit_minor = debit_minor {} 1 WHERE debit_minor > 0;"
    world.run_sql(change.format("+"))
    answer = gate(world, "books", (proof.ALIKE,))
    world.run_sql(change.format("-"))
    assert answer.verdict is Verdict.FAIL
    assert "table balance differs" in answer.reason
    assert proved(world, "books", of="9.9.9")[1][proof.ALIKE]["verdict"] == "cannot tell"


@pytest.mark.integration
def test_a_release_is_not_proved_against_itself_and_no_database_proves_nothing(world: World) -> None:
    done = world.command("prove", "reading", "--of", BLUE, release=BLUE)
    assert (done.returncode, done.stdout) == (2, "")
    assert "expected another release than this one, found 1.0.0" in done.stderr
    done = world.command("prove", "books", "--of", GREEN, release=BLUE, projector_database_url="")
    assert (done.returncode, done.stdout) == (3, "")
