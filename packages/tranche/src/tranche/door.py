"""Lets people in, where a site asks for tokens: by the command line and by the API alike."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from tranche.ports import Clock

if TYPE_CHECKING:
    from tranche.access import Token, Tokens
    from tranche.person import Person, Role


class TokenStore(Protocol):
    """Where the hashes of tokens are kept."""

    def read(self) -> "Tokens":
        """All tokens ever made.

        Raises:
            TokensFault: they cannot be read; nobody is let in then.
        """

    def change(self, by: "Callable[[Tokens], Tokens]") -> None:
        """Replace them, one process at a time; what `by` raises leaves them as they are.

        Raises:
            TokensFault: they cannot be read or written.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """Without a store nobody is asked: who comes is who they say."""

    store: TokenStore | None
    clock: Clock

    def admit(self, verb: str, *, token: str | None, otherwise: "Person") -> "Person":
        """Who asks for this verb: the holder of the token, or `otherwise` where none is asked for.

        While nobody may make tokens, whoever comes may make the first: they can write the file in any case.

        Raises:
            NoToken, TokenRefused, NotAllowed: as they say.
            TokensFault: the tokens cannot be read.
        """
        if self.store is None:
            return otherwise
        from tranche.access import NoToken, check, has_admin, holder  # not where nobody is asked

        tokens, now = self.store.read(), self.clock.now()
        if token is None:
            if verb == "token create" and not has_admin(tokens, now):
                return otherwise
            raise NoToken
        person = holder(tokens, token, now)
        check(person, verb)
        return person

    def create(self, *, name: str, role: "Role", lasts: timedelta, by: str) -> str:
        """A new token, as it is shown this once.

        Raises:
            NoTokens, NotAllowed, TokenExists, TokensFault: it cannot be made.
        """
        import secrets

        from tranche.access import LENGTH_BYTES, NotAllowed, has_admin, issued, written
        from tranche.person import Role

        now, token = self.clock.now(), written(secrets.token_bytes(LENGTH_BYTES))

        def add(tokens: "Tokens") -> "Tokens":
            if not has_admin(tokens, now) and role is not Role.ADMIN:
                raise NotAllowed("nobody may make tokens yet; make the first with --role admin")
            return issued(tokens, name=name, role=role, token=token, lasts=lasts, by=by, now=now)

        self._store().change(add)
        return token

    def revoke(self, name: str) -> None:
        """Let the token of this name count no longer.

        Raises:
            NoTokens, NoSuchToken, TokensFault: it cannot be taken back.
        """
        from tranche.access import revoked

        now = self.clock.now()
        self._store().change(lambda tokens: revoked(tokens, name=name, now=now))

    def tokens(self) -> "list[tuple[Token, bool]]":
        """Every token there was, and whether it counts.

        Raises:
            NoTokens, TokensFault: there is nothing to be read.
        """
        now = self.clock.now()
        return [(token, token.counts(now)) for token in self._store().read()]

    def _store(self) -> TokenStore:
        if self.store is None:
            from tranche.access import NoTokens

            raise NoTokens
        return self.store
