"""Tokens: JWTs signed with Ed25519, and the key they are signed with."""

import os
import stat
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from auth.permission import permissions_of
from auth.user import User
from kit.serve import ServiceFault
from kit.tokens import AUDIENCE, SIGNATURES

ALGORITHM: Final = "EdDSA"
CURVE: Final = "Ed25519"


def generate_key(path: Path) -> None:
    """Write a new private key that only its owner may read.

    Raises:
        ServiceFault: the file is there already, or cannot be written.
    """
    key = OKPKey.generate_key(CURVE, {"use": "sig", "alg": ALGORITHM}, auto_kid=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise ServiceFault(f"cannot write the key {path} ({error.strerror}); choose a new file") from error
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(key.as_pem(private=True).decode())


def load_key(path: Path) -> OKPKey:
    """The private key of this file.

    Raises:
        ServiceFault: it is missing, readable by others, encrypted, or no private Ed25519 key.
    """
    expected = f"AUTH_SIGNING_KEY_FILE: expected a private Ed25519 key in {path}"
    made = "make one with 'auth keygen FILE'"
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise ServiceFault(f"AUTH_SIGNING_KEY_FILE: {path} can be read by others; chmod 600 it")
        key = OKPKey.import_key(path.read_text(encoding="utf-8"), {"use": "sig", "alg": ALGORITHM})
    except (OSError, ValueError, TypeError, JoseError) as error:
        raise ServiceFault(f"{expected} ({error}); {made}") from error
    if not key.is_private or key.curve_name != CURVE:
        found = f"a {'private' if key.is_private else 'public'} {key.curve_name} key"
        raise ServiceFault(f"{expected}, found {found}; {made}")
    key.ensure_kid()
    return key


def issue(key: OKPKey, user: User, *, issuer: str, token_id: UUID, now: datetime, lifetime: timedelta) -> str:
    """A signed token for this user, valid from `now` on."""
    claims: dict[str, Any] = {
        "iss": issuer,
        "aud": AUDIENCE,
        "sub": str(user.id),
        "tenant": str(user.tenant_id),
        "roles": list(user.roles),
        "permissions": permissions_of(user.roles),
        "internal": user.internal,
        "jti": str(token_id),
        "iat": int(now.timestamp()),
        "nbf": int(now.timestamp()),
        "exp": int((now + lifetime).timestamp()),
    }
    return jwt.encode({"alg": ALGORITHM, "kid": key.kid, "typ": "JWT"}, claims, key, registry=SIGNATURES)


def public_keys(key: OKPKey) -> dict[str, Any]:
    """The key set as published: what verifies, nothing that signs."""
    return {"keys": [{**key.as_dict(private=False), "alg": ALGORITHM, "use": "sig"}]}
