"""The key that tokens are signed with: made for its owner alone, and nothing else is taken for it."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from auth.token import generate_key, load_key, public_keys
from kit.serve import ServiceFault


def pem(key: ed25519.Ed25519PrivateKey, encryption: KeySerializationEncryption | None = None) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


ED25519 = ed25519.Ed25519PrivateKey.generate()
OTHERS = {
    "nothing": (b"", "Could not deserialize"),
    "no text": (b"\xff\xfe", "codec can't decode"),
    "no key": (b"shapla", "Could not deserialize"),
    "a public key": (
        ED25519.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "found a public Ed25519 key",
    ),
    "an encrypted key": (pem(ED25519, BestAvailableEncryption(b"shapla")), "encrypted"),
    "a key to agree by": (pem(x25519.X25519PrivateKey.generate()), "found a private X25519 key"),
    "a larger curve": (pem(ed448.Ed448PrivateKey.generate()), "found a private Ed448 key"),
    "another curve": (pem(ec.generate_private_key(ec.SECP256R1())), "Not a key of"),
    "an RSA key": (pem(rsa.generate_private_key(65537, 2048)), "Not a key of"),
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "key.pem"


def written(file: Path, content: bytes) -> Path:
    file.touch(mode=0o600)
    file.write_bytes(content)
    return file


def test_a_key_is_made_for_its_owner_alone(file: Path) -> None:
    generate_key(file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert load_key(file).is_private


def test_a_key_is_known_by_the_same_name_whenever_it_is_read(file: Path) -> None:
    generate_key(file)
    first, second = load_key(file), load_key(file)
    assert first.kid == second.kid
    other = file.with_name("other.pem")
    generate_key(other)
    assert load_key(other).kid != first.kid


def test_a_key_that_is_there_is_never_overwritten(file: Path) -> None:
    generate_key(file)
    before = file.read_bytes()
    with pytest.raises(ServiceFault, match=r"cannot write the key .* \(File exists\); choose a new file$"):
        generate_key(file)
    assert file.read_bytes() == before


def test_a_key_cannot_be_made_where_there_is_no_folder(file: Path) -> None:
    with pytest.raises(ServiceFault, match="No such file or directory"):
        generate_key(file / "key.pem")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601], ids=oct)
def test_a_key_that_others_can_reach_is_refused(file: Path, mode: int) -> None:
    generate_key(file)
    file.chmod(mode)
    with pytest.raises(
        ServiceFault, match=r"^AUTH_SIGNING_KEY_FILE: .* can be read by others; chmod 600 it$"
    ):
        load_key(file)


def test_a_key_that_is_missing_is_refused_with_the_command_that_makes_one(file: Path) -> None:
    with pytest.raises(ServiceFault, match=r"No such file .*; make one with 'auth keygen FILE'$"):
        load_key(file)


@pytest.mark.parametrize("name", OTHERS)
def test_what_cannot_sign_is_refused_at_the_start_and_not_shown(file: Path, name: str) -> None:
    content, found = OTHERS[name]
    expected = f"^AUTH_SIGNING_KEY_FILE: expected a private Ed25519 key in {file}.*{found}.*; make one with"
    with pytest.raises(ServiceFault, match=expected) as fault:
        load_key(written(file, content))
    assert "shapla" not in str(fault.value)


def test_what_is_published_holds_nothing_that_signs(file: Path) -> None:
    key = load_key(written(file, pem(ED25519)))
    [published] = public_keys(key)["keys"]
    private = key.as_dict(private=True)["d"]
    assert private
    assert private not in published.values()
    assert {name: published[name] for name in ("kid", "x")} == {"kid": key.kid, "x": key.as_dict()["x"]}
