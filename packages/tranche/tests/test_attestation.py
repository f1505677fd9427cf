"""Evidence: every decision vouched for, any changed byte found, every decision made again."""

from __future__ import annotations

import base64
import json
import random
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tranche import audit, controller
from tranche.adapters.ed25519 import Ed25519Signer, read_public, verify
from tranche.adapters.postgres_log import PostgresLog
from tranche.adapters.sqlite import SqliteLog
from tranche.attestation import COUNTERSIGNATURE, ENGINE, NO_KEY, PREDICATE, pre_authentication, sealed
from tranche.canonical import canonical, plain, typed
from tranche.decide import Hold, decide
from tranche.events import Attested, WeightRequested, decode
from tranche.evidence import Evidence
from tranche.language import parse
from tranche.moves import events_of
from tranche.plan import Answer, Plan
from tranche.ports import Arm, KeyFault, LogFault, Recorded, Verdict
from tranche.progress import Progress, State
from tranche.refusal import Refused
from tranche.secret import Secret
from tranche.signals import Counts

if TYPE_CHECKING:
    from conftest import Bed

CHANGES = 240


@pytest.fixture
def signer(tmp_path: Path) -> Ed25519Signer:
    return signer_in(tmp_path / "key.pem", 1)


def signer_in(path: Path, seed: int) -> Ed25519Signer:
    key = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    path.with_suffix(".pub").write_bytes(
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    return Ed25519Signer(Secret(file=path))


def finished(progress: Progress) -> bool:
    return progress.is_finished


def good(bed: Bed, signer: Any = None) -> list[Recorded]:
    bed.until(bed.controller(signer=signer), finished)
    assert bed.progress.state is State.COMPLETED
    return bed.log.read("small-1")


def bad(bed: Bed, signer: Any = None) -> list[Recorded]:
    made = bed.controller(signer=signer)
    bed.until(made, lambda progress: progress.stay.name == "half")
    bed.errors = {Arm.GREEN: 0.2}
    bed.until(made, finished)
    return bed.log.read("small-1")


def stepped(bed: Bed, signer: Any = None) -> list[Recorded]:
    """Stepped back once, paused, a fault, the dwell ended early, and taken back by a person."""
    made = bed.controller(signer=signer)
    bed.until(made, lambda progress: progress.stay.name == "half")
    bed.step(made, 3)
    bed.latency_ms = {Arm.GREEN: 800.0}
    bed.until(made, lambda progress: progress.step_backs > 0)
    bed.latency_ms = {}
    bed.traffic.fault = "refused"
    bed.step(made, 2)
    bed.traffic.fault = None
    bed.step(made, 3)
    bed.desk.advance(reason="enough", actor="bob")
    bed.step(made, 2)
    bed.desk.pause(reason="lunch", actor="bob")
    bed.step(made, 2)
    replace(bed.desk, signer=signer).roll_back(
        reason="no", actor="bob", traffic=bed.traffic, environment=bed.environment, lock=bed.lock
    )
    bed.until(made, finished)
    return bed.log.read("small-1")


def exported(bed: Bed, events: list[Recorded], signer: Any = None) -> bytes:
    return audit.export(events, bed.plan, at=bed.clock.now(), by="ann", signer=signer).encode()


def step_back_bed(make_bed: Callable[..., Bed]) -> Bed:
    text = make_bed().text.replace("500 ms, sustained: 8s, minimum_requests: 30, answer: roll_back", "X")
    return make_bed(text.replace("X", "500 ms, sustained: 8s, minimum_requests: 30, answer: step_back"))


@pytest.mark.parametrize("run", [good, bad, stepped])
def test_every_decision_is_vouched_for_and_comes_out_again(
    make_bed: Callable[..., Bed], signer: Ed25519Signer, run: Callable[..., list[Recorded]]
) -> None:
    bed = step_back_bed(make_bed) if run is stepped else make_bed()
    assert any(limit.answer is Answer.STEP_BACK for limit in bed.plan.limits) == (run is stepped)
    events = run(bed, signer)
    decided = [each.position for each in events if each.type in audit.DECISIONS]
    checked = audit.verified(exported(bed, events, signer), verify=verify, keys=[signer.key])
    agreement = audit.replayed(checked)

    covered = {record.position for case in checked.cases for record in case.records}
    assert len(decided) > 8
    assert set(decided) <= covered
    assert checked.uncovered == ()
    assert checked.unsigned == 0
    assert checked.keys == (signer.key,)
    decisions = agreement.agreed + agreement.by_people + agreement.by_faults
    assert decisions + agreement.asks == len(checked.cases) - len(checked.of_kind(COUNTERSIGNATURE))
    assert agreement.agreed >= 6
    assert (agreement.by_people, agreement.by_faults > 0) == ((1, True) if run is stepped else (0, False))


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.integration)])
def test_the_chain_stands_in_whatever_log_it_is_kept(
    make_bed: Callable[..., Bed],
    signer: Ed25519Signer,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    kind: str,
) -> None:
    bed = step_back_bed(make_bed)
    is_file = kind == "sqlite"
    bed.log = SqliteLog(tmp_path / "log") if is_file else PostgresLog(request.getfixturevalue("database"))
    stepped(bed, signer)
    checked = audit.verified(exported(bed, bed.log.read("small-1"), signer), verify=verify, keys=[signer.key])

    assert checked.uncovered == ()
    assert audit.replayed(checked).agreed >= 6


PRINTABLE = (string.ascii_letters + string.digits + string.punctuation + " ").encode()


def test_any_changed_byte_is_found(bed: Bed, signer: Ed25519Signer) -> None:
    data = exported(bed, bad(bed, signer), signer)
    audit.verified(data, verify=verify)
    dice = random.Random(20260105)
    lines = data.splitlines(keepends=True)
    seal = len(data) - len(lines[-1])
    # Everywhere; and, with a byte lost and one too many, in head and seal, where the least is written twice.
    places = [dice.randrange(len(data)) for _ in range(CHANGES)]
    ends = [*dice.sample(range(len(lines[0])), 40), *dice.sample(range(seal, len(data)), 60), len(data) - 1]
    other = {
        place: dice.choice([each for each in PRINTABLE if each != data[place]]) for place in places + ends
    }
    tried = [(place, bytes([other[place]])) for place in places + ends]
    tried += [(place, bytes([data[place] ^ 0x80])) for place in places[:20]]
    tried += [(place, changed) for place in ends for changed in (b"", data[place : place + 1] + b" ")]
    missed = [each for each in tried if not is_refused(data[: each[0]] + each[1] + data[each[0] + 1 :])]

    assert len(tried) > 500
    assert missed == []


def is_refused(data: bytes) -> bool:
    try:
        audit.verified(data, verify=verify)
    except Refused:
        return True
    return False


def test_base64_that_means_the_same_is_not_the_same(bed: Bed, signer: Ed25519Signer) -> None:
    data = exported(bed, bad(bed, signer), signer)
    end = data.rindex(b'=="')  # of the seal's signature; half of the last letter's bits mean nothing
    group = data[end - 2 : end]
    letters = [each for each in (string.ascii_letters + string.digits).encode() if each != group[1]]
    meant = base64.b64decode(group + b"==")
    same = [each for each in letters if base64.b64decode(bytes([group[0], each]) + b"==") == meant]

    assert len(same) > 5
    assert all(is_refused(data[: end - 1] + bytes([each]) + data[end:]) for each in same)


def bed_plan(recorded: list[Recorded]) -> Plan:
    return parse(str(recorded[0].data["plan"]), file=str(recorded[0].data["plan_file"]))


def forged(data: bytes, change: Callable[[list[dict[str, Any]]], None]) -> bytes:
    """The file with its lines changed, and everything in it that needs no key made to fit: dossier, seal."""
    lines = [json.loads(line) for line in data.decode().splitlines()]
    events = lines[1:-2]
    change(events)
    recorded = [
        Recorded(
            rollout="small-1",
            position=each["position"],
            type=each["type"],
            at=datetime.fromisoformat(each["at"]),
            actor=each["actor"],
            data=each["data"],
        )
        for each in events
    ]
    plan = bed_plan(recorded)
    text = audit.export(recorded, plan, at=recorded[-1].at, by="eve", signer=None)
    return text.encode()


def test_whoever_changes_an_event_and_makes_all_else_fit_breaks_the_entries_behind_it(
    bed: Bed, signer: Ed25519Signer
) -> None:
    events = good(bed, signer)
    data = exported(bed, events, signer)
    last_entry = max(each.position for each in events if each.type == "attested/1")
    for position in [*range(1, last_entry), last_entry + 1]:

        def rename(events: list[dict[str, Any]], number: int = position - 1) -> None:
            events[number]["actor"] = "eve"

        with pytest.raises(audit.EvidenceDamaged, match="does not fit the log"):
            audit.verified(forged(data, rename), verify=verify)
    assert last_entry > 30


def restated(events: list[dict[str, Any]]) -> dict[str, Any]:
    """The last entry, with another reason in its payload; its signature is left as it is."""
    entry: dict[str, Any] = [each for each in events if each["type"] == "attested/1"][-1]["data"]
    said = json.loads(base64.b64decode(entry["envelope"]["payload"]))
    said["predicate"]["reason"] = "because"
    entry["envelope"]["payload"] = sealed(canonical(said).encode(), None)[0]["payload"]
    return entry


def test_an_entry_that_says_something_else_is_not_signed_by_its_key(bed: Bed, signer: Ed25519Signer) -> None:
    data = exported(bed, good(bed, signer), signer)

    def unsigned(events: list[dict[str, Any]]) -> None:
        entry = restated(events)
        entry["envelope"]["signatures"], entry["unsigned"] = [], NO_KEY

    with pytest.raises(audit.EvidenceDamaged, match="its signature is not that of the key ed25519:"):
        audit.verified(forged(data, lambda events: restated(events) and None), verify=verify)
    with pytest.raises(audit.OtherKey, match=r"the entry at position \d+ is signed by nobody"):
        audit.verified(forged(data, unsigned), verify=verify, keys=[signer.key])


def test_another_key_is_not_the_key(bed: Bed, signer: Ed25519Signer, tmp_path: Path) -> None:
    data = exported(bed, good(bed, signer), signer)
    other = signer_in(tmp_path / "other.pem", 2)

    with pytest.raises(audit.OtherKey, match=r"entry at position \d+ is signed by ed25519:"):
        audit.verified(data, verify=verify, keys=[other.key])
    assert audit.verified(data, verify=verify, keys=[other.key, signer.key]).keys == (signer.key,)


def test_the_release_in_an_entry_is_the_one_that_is_installed() -> None:
    assert f"tranche {metadata.version('tranche')}" == ENGINE


def test_a_signature_is_that_of_the_pre_authentication_encoding() -> None:
    # The example of the DSSE protocol's own text, with our type.
    assert pre_authentication(b"hello world") == b"DSSEv1 28 application/vnd.in-toto+json 11 hello world"


def test_without_a_key_the_chain_stands_unsigned_and_says_so(bed: Bed, signer: Ed25519Signer) -> None:
    events = good(bed)
    checked = audit.verified(exported(bed, events), verify=verify)

    assert checked.unsigned == len(checked.cases) > 8
    assert checked.keys == ()
    entries = [event for event in map(decode, events) if isinstance(event, Attested)]
    assert {entry.unsigned for entry in entries} == {NO_KEY}
    with pytest.raises(audit.OtherKey, match="signed by nobody"):
        audit.verified(exported(bed, events), verify=verify, keys=[signer.key])


def test_a_key_that_cannot_be_used_keeps_nobody_from_rolling_back(bed: Bed, tmp_path: Path) -> None:
    signer = Ed25519Signer(Secret(file=tmp_path / "none.pem"))
    events = bad(bed, signer)
    entries = [event for event in map(decode, events) if isinstance(event, Attested)]

    assert bed.progress.state is State.ROLLED_BACK
    begun, *others = entries
    assert begun.unsigned == NO_KEY
    assert all("none.pem cannot be read" in str(entry.unsigned) for entry in others)
    assert all(entry.envelope["signatures"] == [] for entry in entries)


def test_a_key_of_another_kind_is_named_and_never_shown(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_text("hunter2")

    with pytest.raises(KeyFault, match="no ed25519 private key in PEM") as raised:
        Ed25519Signer(Secret(file=path)).sign(b"")
    assert "hunter2" not in str(raised.value)
    with pytest.raises(KeyFault, match="no public ed25519 key"):
        read_public(str(path))


def hasty(plan: Any, progress: Progress, evidence: Evidence, now: datetime) -> Any:
    return decide(plan, progress, evidence, now + timedelta(seconds=3))


def vague(plan: Any, progress: Progress, evidence: Evidence, now: datetime) -> Any:
    decision = decide(plan, progress, evidence, now)
    return replace(decision, lacking=()) if isinstance(decision, Hold) else decision


@pytest.mark.parametrize("other", [hasty, vague])
def test_a_controller_that_decided_otherwise_than_the_rules_is_found(
    bed: Bed, monkeypatch: pytest.MonkeyPatch, other: Any
) -> None:
    monkeypatch.setattr(controller, "decide", other)
    checked = audit.verified(exported(bed, good(bed)), verify=verify)

    with pytest.raises(audit.OtherDecision, match="made again it is Hold"):
        audit.replayed(checked)


def test_a_controller_that_recorded_something_else_than_it_decided_is_found(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def generous(*args: Any, **kwargs: Any) -> Any:
        return [
            replace(event, green_weight=1100)
            if isinstance(event, WeightRequested) and event.green_weight == 1000
            else event
            for event in events_of(*args, **kwargs)
        ]

    monkeypatch.setattr(controller, "events_of", generous)
    checked = audit.verified(exported(bed, good(bed)), verify=verify)

    with pytest.raises(audit.OtherDecision, match="made again it is Advance"):
        audit.replayed(checked)


def test_a_rollback_that_had_to_wait_for_the_log_is_made_again_from_what_was_seen_then(bed: Bed) -> None:
    made = bed.controller()
    bed.until(made, lambda progress: progress.stay.name == "half" and progress.stay.entered_at is not None)
    bed.step(made, 9)
    append = bed.log.append

    def full(*args: Any, **kwargs: Any) -> Any:
        raise LogFault("no space left on device")

    bed.environment.restarts = 9
    bed.step(made)
    bed.log.append = full  # type: ignore[method-assign]
    bed.step(made, 2)
    bed.log.append = append  # type: ignore[method-assign]
    bed.desk.pause(reason="what is this", actor="bob")
    bed.until(made, finished)
    checked = audit.verified(exported(bed, bed.log.read("small-1")), verify=verify)

    assert audit.replayed(checked).agreed > 5
    decisions = [case.said["predicate"] for case in checked.of_kind(PREDICATE)]
    told = [decision for decision in decisions if decision["verdict"] == "fail"]
    assert told[-1]["decided_after"] < told[-1]["position"] - 1


def test_what_was_seen_comes_back_as_it_was(bed: Bed) -> None:
    bad(bed)
    found = [snapshot.evidence for snapshot in bed.snapshots]

    assert any(evidence.limits and evidence.harm and evidence.safety for evidence in found)
    for evidence in found:
        written = json.loads(canonical(evidence))
        assert plain(typed(Evidence, written)) == written
        assert typed(Evidence, written).arms == evidence.arms
        assert [each.limit for each in typed(Evidence, written).limits] == [
            each.limit for each in evidence.limits
        ]


@dataclass(frozen=True, kw_only=True)
class Kinds:
    """A field of every kind that evidence may have."""

    one: float | None = None
    many: tuple[Verdict, ...] = ()
    some: frozenset[str] = frozenset()
    by_edge: Mapping[int, Counts] = field(default_factory=dict)
    at: datetime | None = None
    is_so: bool = False


def test_every_kind_of_value_comes_back_as_it_was(bed: Bed) -> None:
    found = Kinds(
        one=0.1,
        many=(Verdict.PASS, Verdict.FAIL),
        some=frozenset({"b", "a"}),
        by_edge={100: Counts(requests=3, faster={300: 2, 100: 1}), 50: Counts()},
        at=bed.clock.now(),
        is_so=True,
    )

    assert typed(Kinds, json.loads(canonical(found))) == found
    assert typed(Kinds, {}) == Kinds()
    assert canonical(found) == canonical(replace(found, some=frozenset({"a", "b"})))


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"watched_since": "2026-01-05T09:00:00+00:00", "novel": 1}, "a newer release wrote it"),
        ({"watched_since": 5}, "argument must be str"),
        ({"watched_since": "2026-01-05T09:00:00+00:00", "healthy_green": "one"}, "invalid literal"),
    ],
)
def test_what_was_seen_by_another_release_is_not_guessed(data: dict[str, Any], told: str) -> None:
    with pytest.raises((TypeError, ValueError), match=told):
        typed(Evidence, data)


def test_the_dossier_answers_from_the_log_and_says_what_it_does_not_hold(bed: Bed) -> None:
    checked = audit.verified(exported(bed, bad(bed)), verify=verify)
    found = checked.dossier

    assert found["requested"]["by"] == "ann"
    assert found["change"]["purpose"] is None
    assert {test["gate"] for test in found["tests"]} == {"smoke", "integrity"}
    assert all(test["verdict"] == "pass" and test["kind"] for test in found["tests"])
    assert [weight["green_weight"] for weight in found["weights"]] == [0, 0, 1000, 5000, 0]
    assert found["outcome"]["state"] == "rolled_back"
    assert "errors" in found["outcome"]["rolled_back_because"]
    assert {limit["answer"] for limit in found["fallback"]["limits"]} == {"roll_back"}
    whats = " ".join(each["what"] for each in found["missing"])
    for lacking in (
        "security_scan",
        "nobody but the requester",
        "'about'",
        "rehearsed",
        "digest of the version",
    ):
        assert lacking in whats
    assert "has not ended" not in whats


def test_a_yes_of_somebody_else_is_told_as_independent_and_a_revoked_one_does_not_count(
    make_bed: Callable[..., Bed],
) -> None:
    text = make_bed().text.replace(
        "staging:\n  gates: [",
        "staging:\n  gates: [{name: board, kind: approval}, ",
    )
    bed = make_bed(text)
    made = bed.controller()
    bed.step(made, 6)
    (case,) = bed.desk.case("board")
    bed.desk.approve(gate="board", evidence=case["digest"], reason="fine", actor="bob")
    first = audit.verified(exported(bed, bed.log.read("small-1")), verify=verify).dossier
    bed.desk.revoke(gate="board", reason="not fine", actor="cyd")
    second = audit.verified(exported(bed, bed.log.read("small-1")), verify=verify).dossier

    assert [(each["by"], each["is_independent_of_the_requester"]) for each in first["approvals"]] == [
        ("bob", True)
    ]
    lacks = "nobody but the requester has approved"
    assert lacks not in [each["what"] for each in first["missing"]]
    assert second["approvals"][0]["revoked"] is True
    assert lacks in [each["what"] for each in second["missing"]]
    assert "the outcome: the rollout has not ended" in [each["what"] for each in second["missing"]]


@pytest.mark.parametrize("keep", [0, 1, 3, -1])
def test_a_file_cut_short_is_refused(bed: Bed, keep: int) -> None:
    data = exported(bed, bad(bed))
    lines = data.splitlines(keepends=True)

    with pytest.raises(audit.EvidenceDamaged):
        audit.verified(b"".join(lines[:keep]), verify=verify)


def test_decisions_of_a_log_from_before_are_named_as_not_vouched_for(bed: Bed) -> None:
    from tranche.ports import NewEvent

    events = bad(bed)
    old = type(bed.log)()
    for each in events:
        if each.type != "attested/1":
            new = NewEvent(type=each.type, at=each.at, actor=each.actor, data=each.data)
            old.append("small-1", after=len(old.read("small-1")), events=[new])
    checked = audit.verified(exported(bed, old.read("small-1")), verify=verify)

    assert checked.cases == ()
    assert len(checked.uncovered) > 8


def test_a_dossier_that_flatters_is_found_though_the_seal_fits_it(bed: Bed) -> None:
    events = bad(bed)
    *lines, _ = exported(bed, events).decode().splitlines(keepends=True)
    body = "".join(lines).replace('"state":"rolled_back"', '"state":"completed"')
    assert body != "".join(lines)
    envelope, _ = sealed(canonical(audit._seal(body, bed.progress)).encode(), None)

    with pytest.raises(audit.EvidenceDamaged, match="the dossier is not what the events say"):
        audit.verified(f"{body}{canonical(envelope)}\n".encode(), verify=verify)
