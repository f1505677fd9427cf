"""What people ask is evidence: an entry in the same append, found when it is changed or gone, signed for at last."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from test_attestation import PRINTABLE, exported, finished, forged, is_refused, signer_in

from tranche import asks, audit, desk, settings
from tranche.adapters.ed25519 import Ed25519Signer, verify
from tranche.attestation import COUNTERSIGNATURE, USERS_FIRST
from tranche.canonical import canonical
from tranche.desk import Desk
from tranche.events import Attested, Countersigned, VersionIdentified, decode, encode
from tranche.page import evidence_document, text_of_evidence
from tranche.person import KnownBy, Person, Role
from tranche.ports import Artifact, Colour, KeyFault, LogFault, Recorded, Signer, TrafficFault
from tranche.progress import State

if TYPE_CHECKING:
    from conftest import Bed

CHANGES = 240
ROLES = {"ann": Role.OPERATOR, "bob": Role.APPROVER, "cyd": Role.ADMIN}


@pytest.fixture
def signer(tmp_path: Path) -> Ed25519Signer:
    return signer_in(tmp_path / "key.pem", 1)


@pytest.fixture
def bed(make_bed: Callable[..., Bed]) -> Bed:
    text = make_bed().text.replace(
        "staging:\n  gates: [", "staging:\n  gates: [{name: board, kind: approval}, "
    )
    made = make_bed(f"{text}freeze: [{{from: 2026-12-20, until: 2027-01-04}}]\n")
    made.environment.artifacts = {"1.1.0": "sha256:11", "1.2.0": "sha256:12"}
    return made


def asked_by(bed: Bed, name: str, signer: Signer | None) -> Desk:
    person = Person(name=name, known_by=KnownBy.TOKEN, role=ROLES[name])
    return replace(bed.desk, signer=signer, asker=person, identify=bed.environment.identify)


def begin(bed: Bed, signer: Signer | None, **more: Any) -> None:
    asked_by(bed, "ann", signer).start(
        bed.plan, text=bed.text, file="small.yaml", version="1.1.0", actor="ann", **more
    )


def approve(bed: Bed, signer: Signer | None) -> None:
    by = asked_by(bed, "bob", signer)
    by.approve(gate="board", evidence=by.case("board")[0]["digest"], reason="seen", actor="bob")


def roll_back(bed: Bed, signer: Signer | None) -> None:
    asked_by(bed, "bob", signer).roll_back(
        reason="no", actor="bob", traffic=bed.traffic, environment=bed.environment, lock=bed.lock
    )


def everything_asked(bed: Bed, theirs: Signer | None, signer: Signer | None) -> list[Recorded]:
    """Every kind of ask; people sign with `theirs`, the controller with `signer`."""
    begin(bed, theirs)
    made = bed.controller(signer=signer)
    bed.step(made, 6)
    approve(bed, theirs)
    asked_by(bed, "cyd", theirs).revoke(gate="board", reason="too early", actor="cyd")
    approve(bed, theirs)
    bed.until(made, lambda progress: progress.stay.phase == 1 and not progress.stay.internal_only)
    asked_by(bed, "ann", theirs).pause(reason="lunch", actor="ann")
    bed.step(made, 2)
    asked_by(bed, "ann", theirs).resume(reason="back", actor="ann")
    bed.step(made, 3)
    asked_by(bed, "ann", theirs).advance(reason="enough", actor="ann")
    asked_by(bed, "bob", theirs).hotfix(reason="customers cannot pay", actor="bob")
    bed.until(made, lambda progress: progress.stay.name == "half")
    asked_by(bed, "ann", theirs).retarget(version="1.2.0", reason="the fix", actor="ann")
    bed.step(made, 6)
    approve(bed, theirs)
    bed.until(made, lambda progress: progress.stay.name == "half" and progress.retargets > 0)
    bed.step(made, 3)
    roll_back(bed, theirs)
    bed.until(made, finished)
    return bed.log.read("small-1")


def retired(bed: Bed, theirs: Signer | None, signer: Signer | None) -> list[Recorded]:
    begin(bed, theirs, hotfix="customers cannot pay")
    made = bed.controller(signer=signer)
    bed.step(made, 6)
    approve(bed, theirs)
    bed.until(made, finished)
    asked_by(bed, "cyd", theirs).retire(reason="a week is over", actor="cyd", environment=bed.environment)
    return bed.log.read("small-1")


def entries_of(events: Sequence[Recorded]) -> list[Attested]:
    return [event for event in map(decode, events) if isinstance(event, Attested)]


LATER = {"retired/1"}
"""What is asked only of a rollout that is complete."""


@pytest.mark.parametrize(
    ("run", "kinds"), [(everything_asked, audit.ASKS - LATER), (retired, LATER | {"hotfix-declared/1"})]
)
def test_every_kind_of_ask_has_its_entry_in_the_same_append(
    bed: Bed, signer: Ed25519Signer, run: Callable[..., list[Recorded]], kinds: set[str]
) -> None:
    appends: list[list[str]] = []
    append = bed.log.append

    def watched(*args: Any, **kwargs: Any) -> Any:
        recorded = append(*args, **kwargs)
        appends.append([each.type for each in recorded])
        return recorded

    bed.log.append = watched  # type: ignore[method-assign]
    found = {each.type for each in run(bed, signer, signer)}
    asked = [kinds_of for kinds_of in appends if set(kinds_of) & audit.ASKS]

    assert found >= kinds
    assert len(asked) >= 3
    assert all("attested/1" in kinds_of for kinds_of in asked)


@pytest.mark.parametrize("run", [everything_asked, retired])
def test_what_was_asked_is_vouched_for_signed_and_replayed(
    bed: Bed, signer: Ed25519Signer, run: Callable[..., list[Recorded]]
) -> None:
    events = run(bed, signer, signer)
    checked = audit.verified(exported(bed, events, signer), verify=verify, keys=[signer.key])
    agreement = audit.replayed(checked)

    assert checked.unasked == ()
    assert checked.asked_since == 1
    assert checked.unsigned == 0
    assert agreement.asks == checked.asks >= 3
    assert agreement.agreed >= 6
    assert agreement.by_people == (run is everything_asked)


def test_the_dossier_says_who_asked_what_in_which_role_and_of_which_version(
    bed: Bed, signer: Ed25519Signer
) -> None:
    found = audit.verified(
        exported(bed, everything_asked(bed, signer, signer), signer), verify=verify
    ).dossier
    told = [(each["by"], each["role"], each["asked"][0], each["reason"]) for each in found["asks"]]

    assert told == [
        ("ann", "operator", "started", ""),
        ("bob", "approver", "approval-given", "seen"),
        ("cyd", "admin", "approval-revoked", "too early"),
        ("bob", "approver", "approval-given", "seen"),
        ("ann", "operator", "paused", "lunch"),
        ("ann", "operator", "resumed", "back"),
        ("ann", "operator", "advance-requested", "enough"),
        ("bob", "approver", "hotfix-declared", "customers cannot pay"),
        ("ann", "operator", "retargeted", "the fix"),
        ("bob", "approver", "approval-given", "seen"),
        ("bob", "approver", "rollback-decided", "no"),
    ]
    assert {each["known_by"] for each in found["asks"]} == {"token"}
    assert found["change"]["version_digest"] == "sha256:12"
    lacking = " ".join(each["what"] for each in found["missing"])
    assert "role" not in lacking
    assert "digest of the version" not in lacking


def test_any_changed_byte_of_what_was_asked_is_found(bed: Bed, signer: Ed25519Signer) -> None:
    data = exported(bed, everything_asked(bed, signer, signer), signer)
    audit.verified(data, verify=verify)
    dice = random.Random(20261126)
    lines = data.splitlines(keepends=True)
    starts = [sum(map(len, lines[:number])) for number in range(len(lines))]
    # Half of them in the lines of asks and in those of their entries, the rest anywhere.
    own = [
        (start, len(line))
        for start, line in zip(starts, lines, strict=True)
        if any(f'"{kind}"'.encode() in line for kind in (*audit.ASKS, "attested/1", "countersigned/1"))
    ]
    places = [dice.randrange(len(data)) for _ in range(CHANGES // 2)]
    places += [start + dice.randrange(length) for start, length in dice.choices(own, k=CHANGES // 2)]
    tried = [(place, dice.choice([each for each in PRINTABLE if each != data[place]])) for place in places]
    missed = [
        place for place, byte in tried if not is_refused(data[:place] + bytes([byte]) + data[place + 1 :])
    ]

    assert len(own) > 20
    assert len(tried) >= 200
    assert missed == []


def test_whoever_removes_or_rewrites_an_ask_and_makes_all_else_fit_is_found(
    bed: Bed, signer: Ed25519Signer
) -> None:
    events = everything_asked(bed, signer, signer)
    data = exported(bed, events, signer)
    positions = [each.position for each in events if each.type in audit.ASKS][2:]
    assert len(positions) >= 9
    for position in positions:

        def remove(lines: list[dict[str, Any]], at: int = position) -> None:
            """The ask, and all that its entry vouches for, as if nobody had asked."""
            first = max(each["position"] for each in lines[: at - 1] if each["type"] == "attested/1")
            del lines[first - 1 : at]
            for number, line in enumerate(lines, start=1):
                line["position"] = number

        def rewrite(lines: list[dict[str, Any]], at: int = position) -> None:
            lines[at - 1]["actor"] = "eve"

        for change in (remove, rewrite):
            with pytest.raises(audit.EvidenceDamaged):
                audit.verified(forged(data, change), verify=verify)


def test_an_ask_that_slips_in_without_an_entry_is_found(bed: Bed) -> None:
    begin(bed, None)
    bed.desk.pause(reason="lunch", actor="bob")
    resumed = encode(desk.Resumed(reason="back"), at=bed.clock.now(), actor="bob")
    bed.log.append("small-1", after=bed.progress.position, events=[resumed])

    with pytest.raises(audit.EvidenceDamaged, match="no entry vouches for what was asked at position 6"):
        audit.verified(exported(bed, bed.log.read("small-1")), verify=verify)


def test_what_people_without_the_key_ask_is_countersigned_by_the_controller(
    bed: Bed, signer: Ed25519Signer
) -> None:
    events = everything_asked(bed, None, signer)
    unsigned = [entry for entry in entries_of(events) if entry.unsigned is not None]
    checked = audit.verified(exported(bed, events, signer), verify=verify, keys=[signer.key])

    assert len(unsigned) == 11
    assert checked.unsigned == 0
    assert len(checked.of_kind(COUNTERSIGNATURE)) >= 5, "as it comes by, and not at the end"
    assert events[-1].type == "rolled-back/1", "after the end nothing is said"


def test_another_key_behind_an_unsigned_ask_is_not_the_key(
    bed: Bed, signer: Ed25519Signer, tmp_path: Path
) -> None:
    other = signer_in(tmp_path / "other.pem", 2)
    data = exported(bed, everything_asked(bed, None, other), signer)

    with pytest.raises(audit.OtherKey, match=f"position 3 is signed by {other.key[:20]}"):
        audit.verified(data, verify=verify, keys=[signer.key])


def test_a_countersignature_that_leaves_an_entry_out_is_found(bed: Bed, signer: Ed25519Signer) -> None:
    begin(bed, None)
    bed.desk.pause(reason="lunch", actor="bob")
    known = bed.progress
    some = replace(known, unsigned=known.unsigned[1:])
    event = desk.countersigned(some, actor="controller", signer=signer, at=bed.clock.now())
    bed.log.append("small-1", after=known.position, events=event)

    with pytest.raises(audit.EvidenceDamaged, match="countersigns"):
        audit.verified(exported(bed, bed.log.read("small-1"), signer), verify=verify)


class Unused:
    """A key that counts how often it is asked for, and by then who is served by what."""

    def __init__(self, signer: Signer, bed: Bed) -> None:
        self._signer, self._bed = signer, bed
        self.weights: list[int] = []

    @property
    def key(self) -> str:
        return self._signer.key

    def sign(self, message: bytes) -> bytes:
        assert self._bed.traffic.split is not None
        self.weights.append(self._bed.traffic.split.green_weight)
        return self._signer.sign(message)


def in_few(bed: Bed, signer: Signer | None) -> Any:
    begin(bed, signer)
    made = bed.controller(signer=signer)
    bed.step(made, 6)
    approve(bed, signer)
    bed.until(made, lambda progress: bool(progress.changes) and progress.changes[-1].green_weight > 0)
    return made


def test_a_rollback_is_signed_for_when_users_are_back_and_not_before(bed: Bed, signer: Ed25519Signer) -> None:
    in_few(bed, signer)
    bed.control.is_held = False
    used = Unused(signer, bed)
    roll_back(bed, used)
    events = bed.log.read("small-1")

    assert used.weights == [0]
    assert entries_of(events)[-1].unsigned == USERS_FIRST
    assert [each.type for each in events[-3:]] == ["countersigned/1", "measured/1", "rolled-back/1"]
    assert audit.verified(exported(bed, events, signer), verify=verify, keys=[signer.key]).unsigned == 0


def test_a_rollback_that_the_data_plane_does_not_confirm_is_signed_for_all_the_same(
    bed: Bed, signer: Ed25519Signer
) -> None:
    in_few(bed, signer)
    bed.control.is_held = False
    bed.traffic.fault = "no answer"
    with pytest.raises(TrafficFault):
        roll_back(bed, signer)

    assert isinstance(decode(bed.log.read("small-1")[-1]), Countersigned)


class Locked:
    """A key that this user cannot read."""

    key = "none"

    def sign(self, message: bytes) -> bytes:
        raise KeyFault("key.pem cannot be read (Permission denied)")


def test_who_cannot_read_the_key_is_not_kept_from_asking(bed: Bed, signer: Ed25519Signer) -> None:
    made = in_few(bed, signer)
    asked_by(bed, "bob", Locked()).pause(reason="what is this", actor="bob")
    entry = entries_of(bed.log.read("small-1"))[-1]
    bed.step(made)

    assert entry.unsigned == "key.pem cannot be read (Permission denied)"
    assert isinstance(decode(bed.log.read("small-1")[-1]), Countersigned)
    assert bed.progress.unsigned == ()
    assert bed.progress.state is State.PAUSED


def test_a_log_of_a_release_that_vouched_for_no_ask_verifies_and_says_so(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def old_begun(rollout: str, started: Any, found: Any, by: asks.Asker, **_: Any) -> Any:
        return [encode(started, at=by.at, actor=by.actor)]

    def old_written(asked: Any, _: Any, by: asks.Asker) -> Any:
        return [encode(event, at=by.at, actor=by.actor) for event in asked]

    with monkeypatch.context() as patched:
        patched.setattr(desk, "begun", old_begun)
        patched.setattr(desk, "written", old_written)
        begin(bed, None)
        made = bed.controller()
        bed.step(made, 2)
        bed.desk.pause(reason="lunch", actor="bob")
    old = audit.verified(exported(bed, bed.log.read("small-1")), verify=verify)
    bed.desk.resume(reason="back", actor="bob")
    bed.step(made, 2)
    new = audit.verified(exported(bed, bed.log.read("small-1")), verify=verify)
    (resumed,) = [each.position for each in bed.log.read("small-1") if each.type == "resumed/1"]

    assert (old.asked_since, len(old.unasked)) == (None, 2)
    assert (new.asked_since, new.unasked) == (resumed, old.unasked)
    assert audit.replayed(new).agreed >= 1
    assert "no ask has an entry" in text_of_evidence("e", evidence_document(old))
    assert f"asks have entries since position {resumed}" in text_of_evidence("e", evidence_document(new))


def test_nobody_goes_by_the_name_of_the_engine_itself() -> None:
    asker = settings.from_environment({"TRANCHE_ACTOR": "controller"}).asker

    assert (asker.name, asker.known_by) == ("person controller", KnownBy.ENVIRONMENT)


def test_what_only_the_environment_says_of_a_person_is_told_as_that(bed: Bed) -> None:
    begin(bed, None)
    said = Person(name="bob", known_by=KnownBy.ENVIRONMENT)
    replace(bed.desk, asker=said).pause(reason="lunch", actor="bob")
    replace(bed.desk, asker=said).resume(reason="back", actor="eve")
    found = audit.verified(exported(bed, bed.log.read("small-1")), verify=verify).dossier
    whats = [each["what"] for each in found["missing"]]

    assert [(each["by"], each["known_by"]) for each in found["asks"]][1:] == [
        ("bob", "TRANCHE_ACTOR"),
        ("eve", None),
    ]
    assert "the role of bob, eve: nobody asked for a token" in whats
    assert "that bob, eve is who they say: known by no token" in whats


# What the version is.


def test_a_version_whose_artifact_has_changed_is_not_started(bed: Bed) -> None:
    begin(bed, None)
    bed.environment.artifacts["1.1.0"] = "sha256:99"
    made = bed.controller()
    bed.step(made, 4)

    assert Colour.GREEN not in bed.environment.versions
    told = "sha256:11 when it was brought in, and is sha256:99 now"
    assert any(told in check.reason for check in bed.snapshots[-1].checks)
    bed.environment.artifacts["1.1.0"] = "sha256:11"
    bed.step(made, 4)
    assert bed.environment.versions[Colour.GREEN] == "1.1.0"


def test_an_approval_is_to_the_artifact_and_an_unknown_one_says_why(bed: Bed) -> None:
    begin(bed, None)
    assert bed.desk.case("board")[0]["evidence"]["version_digest"] == "sha256:11"
    bed.environment.artifacts = {}
    asked_by(bed, "ann", None).retarget(version="1.3.0", reason="", actor="ann")
    identified = [
        event for event in map(decode, bed.log.read("small-1")) if isinstance(event, VersionIdentified)
    ]

    assert identified[-1].unknown_because == "nobody has told this environment"
    assert bed.progress.artifact == Artifact(unknown_because="nobody has told this environment")
    assert "version_digest" not in bed.desk.case("board")[0]["evidence"]


def test_a_damaged_entry_is_a_fault_of_the_log_and_no_bug(bed: Bed) -> None:
    begin(bed, None)
    events = bed.log.read("small-1")
    broken: dict[str, Any] = json.loads(json.dumps(events[2].data))
    broken["envelope"]["payload"] = "e30="
    with pytest.raises(LogFault, match="the entry at position 3 is damaged"):
        exported(bed, [*events[:2], replace(events[2], data=broken)])


def another_type(entry: dict[str, Any], said: dict[str, Any]) -> None:
    said["asked"][0]["type"] = "resumed/1"


def another_place(entry: dict[str, Any], said: dict[str, Any]) -> None:
    said["asked"][0] = {"position": 1, "type": "started/1"}
    said["actor"] = "bob"


def another_artifact(entry: dict[str, Any], said: dict[str, Any]) -> None:
    said["version"]["digest"] = "sha256:66"


def not_said_to_be_unsigned(entry: dict[str, Any], said: dict[str, Any]) -> None:
    entry["unsigned"] = None


@pytest.mark.parametrize(
    ("lie", "told"),
    [
        (another_type, "asked"),
        (another_place, "asked"),
        (another_artifact, "version"),
        (not_said_to_be_unsigned, "unsigned"),
    ],
)
def test_an_entry_that_was_made_to_lie_does_not_fit_its_log(
    bed: Bed, lie: Callable[[dict[str, Any], dict[str, Any]], None], told: str
) -> None:
    begin(bed, None)
    bed.desk.pause(reason="lunch", actor="bob")
    *events, entered, paused = bed.log.read("small-1")
    entry: dict[str, Any] = json.loads(json.dumps(entered.data))
    said = json.loads(base64.b64decode(entry["envelope"]["payload"]))
    lie(entry, said["predicate"])
    entry["envelope"]["payload"] = base64.b64encode(canonical(said).encode()).decode()
    data = exported(bed, [*events, replace(entered, data=entry), paused])

    with pytest.raises(audit.EvidenceDamaged, match=f"does not fit the log it stands in: {told}$"):
        audit.verified(data, verify=verify)
