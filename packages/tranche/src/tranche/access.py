"""Who may do what, where a site asks for tokens. Pure: the tokens, the time and the randomness are arguments.

1. A person has one token, of one role; its name is who is recorded as having acted.
2. A token is kept as its hash (sha256; it is 256 random bits, so nothing slower is needed), and shown once.
3. What is not in NEEDS is nobody's to do. Roles do not contain one another, but for admin, who may do everything.
4. Whoever may make things safe is more than whoever may go on: an approver, too, may pause and roll back.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from tranche.person import RESERVED, KnownBy, Person, Role
from tranche.refusal import Refused

ANYBODY: Final = frozenset(Role)
OPERATE: Final = frozenset({Role.OPERATOR, Role.ADMIN})
MAKE_SAFE: Final = frozenset({Role.OPERATOR, Role.APPROVER, Role.ADMIN})
APPROVE: Final = frozenset({Role.APPROVER, Role.ADMIN})
ADMINISTER: Final = frozenset({Role.ADMIN})

NEEDS: Final[Mapping[str, frozenset[Role]]] = {
    "status": ANYBODY,
    "watch": ANYBODY,
    "history": ANYBODY,
    "why": ANYBODY,
    "who": ANYBODY,
    "evidence export": ANYBODY,
    "start": OPERATE,
    "control": OPERATE,
    "resume": OPERATE,
    "advance": OPERATE,
    "retarget": OPERATE,
    "hotfix": APPROVE,
    "pause": MAKE_SAFE,
    "rollback": MAKE_SAFE,
    "approve": APPROVE,
    "revoke": APPROVE,
    "retire": ADMINISTER,
    "notify test": OPERATE,
    "serve": OPERATE,
    "traffic config": OPERATE,
    "token create": ADMINISTER,
    "token list": ADMINISTER,
    "token revoke": ADMINISTER,
}
"""Every verb, and the roles that may. To look at what waits for an approval is 'status'."""

NAME: Final = r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}"
PREFIX: Final = "tranche_"
LENGTH_BYTES: Final = 32


class NoToken(Refused):
    """This site asks for a token; set TRANCHE_TOKEN_FILE to a file that holds yours, or TRANCHE_TOKEN."""

    code = "no-token"


class TokenRefused(Refused):
    """The token does not count here."""

    code = "token-refused"


class NotAllowed(Refused):
    """This role may not do that."""

    code = "not-allowed"


class TokenExists(Refused):
    """There is a token of this name; revoke it first."""

    code = "token-exists"


class NameRefused(Refused):
    """Nobody can be called so."""

    code = "name-refused"


class NoSuchToken(Refused):
    """There is no token of this name that counts."""

    code = "no-such-token"


class NoTokens(Refused):
    """This site asks nobody for a token; name a file under 'access' of the site first."""

    code = "no-tokens"


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token as it is kept. `digest` is the sha256 of what was shown."""

    name: str
    role: Role
    digest: str
    created_at: datetime
    created_by: str
    expires_at: datetime
    revoked_at: datetime | None = None

    def counts(self, now: datetime) -> bool:
        return self.revoked_at is None and now < self.expires_at


Tokens = tuple[Token, ...]


def written(random: bytes) -> str:
    """A new token as it is shown; `random` are LENGTH_BYTES from a source fit for keys."""
    return PREFIX + random.hex()


def digest_of(token: str) -> str:
    return "sha256:" + hashlib.sha256(token.encode()).hexdigest()


def issued(
    tokens: Tokens, *, name: str, role: Role, token: str, lasts: timedelta, by: str, now: datetime
) -> Tokens:
    """With one more token.

    Raises:
        TokenExists: one of this name counts.
        NameRefused: the name could mislead whoever reads the log.
    """
    if name in RESERVED or not re.fullmatch(NAME, name):
        told = f"found the name '{name}', expected up to 64 letters, digits and any of . _ @ -"
        raise NameRefused(f"{told}; and '{', '.join(RESERVED)}' is what the log calls the engine itself")
    if any(known.name == name and known.counts(now) for known in tokens):
        raise TokenExists(f"'{name}' has a token already; 'tranche token revoke {name}' first")
    made = Token(
        name=name,
        role=role,
        digest=digest_of(token),
        created_at=now,
        created_by=by,
        expires_at=now + lasts,
    )
    return (*tokens, made)


def revoked(tokens: Tokens, *, name: str, now: datetime) -> Tokens:
    """Without the token of this name; that it was there is kept.

    Raises:
        NoSuchToken: none of this name counts.
    """
    if not any(known.name == name and known.counts(now) for known in tokens):
        names = ", ".join(known.name for known in tokens if known.counts(now)) or "none"
        raise NoSuchToken(f"no token of '{name}' counts; there are: {names}")
    return tuple(
        replace(known, revoked_at=now) if known.name == name and known.counts(now) else known
        for known in tokens
    )


def holder(tokens: Tokens, presented: str, now: datetime) -> Person:
    """Whose token this is.

    Raises:
        TokenRefused: nobody's, or it has expired, or was revoked.
    """
    digest = digest_of(presented)
    found = [known for known in tokens if hmac.compare_digest(known.digest, digest)]
    if not found:
        raise TokenRefused("this token is none of this site's; ask an admin for one")
    token = found[-1]
    if token.revoked_at is not None:
        raise TokenRefused(f"the token of '{token.name}' was revoked at {token.revoked_at:%Y-%m-%d %H:%M}")
    if now >= token.expires_at:
        raise TokenRefused(
            f"the token of '{token.name}' expired at {token.expires_at:%Y-%m-%d %H:%M}; renew it"
        )
    return Person(name=token.name, known_by=KnownBy.TOKEN, role=token.role)


def check(person: Person, verb: str) -> None:
    """Whether they may, by the role of their token.

    Raises:
        NotAllowed: who asked, what they are, and what it takes.
    """
    roles = NEEDS.get(verb, frozenset())
    if person.role not in roles:
        needed = " or ".join(role.value for role in Role if role in roles) or "nobody"
        held = person.role.value if person.role is not None else "without a role"
        raise NotAllowed(f"'{person.name}' is {held}; '{verb}' needs {needed}")


def has_admin(tokens: Tokens, now: datetime) -> bool:
    """Whether somebody may make tokens. Until then, whoever may write the file may make the first admin."""
    return any(known.role is Role.ADMIN and known.counts(now) for known in tokens)
