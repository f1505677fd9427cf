"""Signatures with ed25519 (RFC 8032). The private key is read when it is needed and never shown.

A key goes by its public half, written out: `ed25519:` and its 32 bytes in base64. So whoever has a signature can
check it, and only has to know whether the key is the right one.
"""

import base64
import binascii
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from tranche.ports import Fault, KeyFault
from tranche.secret import Secret

PREFIX: Final = "ed25519:"
HOW: Final = "make one with 'openssl genpkey -algorithm ed25519'"


class Ed25519Signer:
    """Signs with the private key (PEM, PKCS #8) that the site names."""

    def __init__(self, secret: Secret) -> None:
        self._secret = secret

    @property
    def key(self) -> str:
        return name_of(self._private().public_key())

    def sign(self, message: bytes) -> bytes:
        return self._private().sign(message)

    def _private(self) -> Ed25519PrivateKey:
        try:
            text = self._secret.read()
        except Fault as fault:
            raise KeyFault(str(fault)) from None
        try:
            key = serialization.load_pem_private_key(text.encode(), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            raise KeyFault(f"the signing key in {self._secret} is no ed25519 private key in PEM; {HOW}")
        return key


def name_of(key: Ed25519PublicKey) -> str:
    """`ed25519:` and the public key in base64."""
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return PREFIX + base64.b64encode(raw).decode()


def named(name: str) -> Ed25519PublicKey | None:
    """The key of this name; None when it is no name of a key."""
    try:
        raw = base64.b64decode(name.removeprefix(PREFIX), validate=True)
        key = Ed25519PublicKey.from_public_bytes(raw)
    except (binascii.Error, ValueError):
        return None
    return key if name_of(key) == name else None


def read_public(text_or_file: str) -> str:
    """The name of a public key: written out, or in a PEM file.

    Raises:
        KeyFault: it is neither.
    """
    if named(text_or_file) is not None:
        return text_or_file
    try:
        key = serialization.load_pem_public_key(Path(text_or_file).read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        told = f"'{text_or_file}' is no public ed25519 key"
        raise KeyFault(f"{told}; give {PREFIX}BASE64, or a PEM file ('openssl pkey -pubout')")
    return name_of(key)


def verify(name: str, message: bytes, signature: bytes) -> bool:
    """Whether the key of this name has signed this message so."""
    key = named(name)
    if key is None:
        return False
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True
