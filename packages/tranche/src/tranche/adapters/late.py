"""What imports its library when it is first used: whoever takes users back does not wait for it."""

from dataclasses import dataclass

from tranche.ports import Signer
from tranche.secret import Secret


@dataclass(frozen=True, slots=True)
class LateSigner:
    """Signs with the site's key, once there is something to sign."""

    secret: Secret

    @property
    def key(self) -> str:
        return self._signer().key

    def sign(self, message: bytes) -> bytes:
        return self._signer().sign(message)

    def _signer(self) -> Signer:
        from tranche.adapters.ed25519 import Ed25519Signer

        return Ed25519Signer(self.secret)
