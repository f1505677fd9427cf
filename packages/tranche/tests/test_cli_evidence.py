"""Evidence at the command line: exported, verified, replayed, signed with the site's key."""

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from installed import PLANS, SITE, Run, begin

from tranche import site as sites
from tranche import wiring
from tranche.ports import TrafficFault
from tranche.wiring import Installation


def held(here: Installation) -> str:
    """A rollout that a person has taken back: its name."""
    begin(here)
    desk, name = here.desk, here.desk.name()
    with pytest.raises(TrafficFault):
        desk.roll_back(
            reason="no",
            actor="bob",
            traffic=here.traffic(),
            environment=here.environment(),
            lock=here.traffic_lock(),
        )
    return name


def test_evidence_is_exported_verified_and_made_again(run: Run, here: Installation, tmp_path: Path) -> None:
    name, file = held(here), tmp_path / "evidence.jsonl"
    code, out, _ = run("evidence", "export", name, "--out", str(file))

    assert code == 0
    assert "NOT SIGNED: 2 of 2 entries" in out
    assert "missing for RTS 2024/1774 Art. 17(1)(b)" in out
    code, out, _ = run("evidence", "verify", str(file), "--json")
    found = json.loads(out)
    assert (code, found["entries"], found["unsigned_entries"], found["keys"]) == (0, 2, 2, [])
    assert (found["asks"], found["asks_have_entries_since"], found["asks_without_entry"]) == (1, 1, [])
    code, out, _ = run("evidence", "replay", str(file))
    assert (code, "by people: 1" in out, "asked by people besides: 1" in out) == (0, True, True)


def test_evidence_is_signed_with_the_key_of_the_site(run: Run, site: Path, tmp_path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    (tmp_path / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (tmp_path / "key.pub").write_bytes(
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    site.write_text(f"signing_key: {{file: key.pem}}\n{SITE}")
    name, file = held(wiring.installation(sites.load(site))), tmp_path / "evidence.jsonl"
    assert run("evidence", "export", name, "--out", str(file))[0] == 0
    code, out, _ = run("evidence", "verify", str(file), "--key", str(tmp_path / "key.pub"))

    assert code == 0
    assert "signed by ed25519:" in out
    assert "NOT SIGNED" not in out
    code, _, err = run("evidence", "verify", str(file), "--key", "ed25519:" + "A" * 43 + "=")
    assert code == 1
    assert err.startswith("tranche: refused (other-key): the entry at position 3 is signed by ed25519:")
    file.write_bytes(file.read_bytes().replace(b'"bob"', b'"eve"', 1))
    code, _, err = run("evidence", "replay", str(file))
    assert (code, err.startswith("tranche: refused (evidence-damaged)")) == (1, True)


def test_a_signing_key_that_cannot_be_used_starts_nothing(run: Run, site: Path, tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text("no key")
    site.write_text(f"signing_key: {{file: key.pem}}\n{SITE}")
    code, _, err = run("start", str(PLANS / "finance-demo.yaml"), "--version", "1.1.0")

    assert code == 3
    assert "no ed25519 private key in PEM; make one with 'openssl" in err
    assert wiring.installation(sites.load(site)).log.rollouts() == []


def test_evidence_that_is_not_there_is_a_fault_and_a_rollout_that_is_not_a_refusal(
    run: Run, here: Installation, tmp_path: Path
) -> None:
    assert run("evidence", "verify", str(tmp_path / "none"))[0] == 3
    begin(here)
    assert run("evidence", "export", "none", "--out", str(tmp_path / "e"))[0] == 1
    code, _, err = run("evidence", "export", here.desk.name(), "--out", str(tmp_path / "no" / "e"))
    assert (code, "cannot be written" in err) == (3, True)
