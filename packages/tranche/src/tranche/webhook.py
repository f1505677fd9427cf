"""Another system, as a site names it: gates ask it, or it is told the news. Apart, because a site is read in haste."""

from dataclasses import dataclass
from pathlib import Path

from tranche.secret import Secret, SecretKind
from tranche.shape import URL, Key


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Another system, asked by gates or told the news, by POST that `secret` signs (docs/webhooks.md)."""

    url: str
    secret: Secret


def webhook_keys(folder: Path) -> dict[str, Key]:
    """What a site says of another system; files are meant from `folder`."""
    return {
        "url": Key(URL, "where it is posted to"),
        "secret": Key(SecretKind(folder), "signs what it is sent; it knows the same one"),
    }
