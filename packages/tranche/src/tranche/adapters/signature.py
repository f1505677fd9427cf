"""Signs what is posted to other systems, so that they can tell who asks, and when.

HMAC-SHA256 (RFC 2104) over the time stamp, a full stop, and the body. The time stamp is signed, too, so that
a receiver can refuse what somebody kept and sent again; `docs/webhooks.md` says how.
"""

import hashlib
import hmac
from typing import Final

TIMESTAMP: Final = "tranche-timestamp"
SIGNATURE: Final = "tranche-signature"


def signed(body: bytes, *, secret: str, at_s: int) -> dict[str, str]:
    """The headers that go with this body; `at_s` is the present time in seconds since 1970."""
    digest = hmac.new(secret.encode(), f"{at_s}.".encode() + body, hashlib.sha256).hexdigest()
    return {TIMESTAMP: str(at_s), SIGNATURE: f"v1={digest}"}
