"""Events as the log keeps them: a type with its version, and JSON.

Read tolerantly: unknown fields are ignored and missing ones have defaults, so that one release reads what another
wrote. An unknown type is not skipped but refused: a reader that steps over events it cannot read is wrong silently.
"""

from typing import Any, Final

import msgspec

from finance import (
    account,
    approval,
    authority,
    bankfile,
    bankline,
    folder,
    invoice,
    journal,
    payment,
    period,
    policy,
    rate,
    tax,
    template,
    voucher,
    year,
)

Event = (
    account.Event
    | approval.Event
    | authority.Event
    | bankfile.Event
    | bankline.Event
    | folder.Event
    | invoice.Event
    | journal.Event
    | payment.Event
    | period.Event
    | policy.Event
    | rate.Event
    | tax.Event
    | template.Event
    | voucher.Event
    | year.Event
)
State = (
    account.Account
    | approval.Approval
    | authority.Authority
    | bankfile.Bankfile
    | bankline.Bankline
    | folder.Folder
    | invoice.Invoice
    | journal.Journal
    | payment.Payment
    | period.Period
    | policy.Policy
    | rate.Rate
    | tax.Tax
    | template.Template
    | voucher.Voucher
    | year.Year
)

KINDS: Final[dict[str, Any]] = {
    "account": account,
    "approval": approval,
    "authority": authority,
    "bankfile": bankfile,
    "bankline": bankline,
    "folder": folder,
    "invoice": invoice,
    "journal": journal,
    "payment": payment,
    "period": period,
    "policy": policy,
    "rate": rate,
    "tax": tax,
    "template": template,
    "voucher": voucher,
    "year": year,
}
TYPES: Final[dict[str, type[Any]]] = {
    kind.__struct_config__.tag: kind
    for module in KINDS.values()
    for kind in getattr(module.Event, "__args__", (module.Event,))
}
ENCODER: Final = msgspec.json.Encoder(decimal_format="string")
DECODERS: Final = {name: msgspec.json.Decoder(kind) for name, kind in TYPES.items()}


class UnknownEvent(Exception):
    """The log holds an event that this release does not know: a newer one wrote it."""


def kind_of(event_type: str) -> str:
    """The aggregate an event type belongs to: "invoice.approved/1" is of "invoice"."""
    return event_type.partition(".")[0]


def name_of(event: Any) -> str:
    """invoice.approved/1"""
    return str(type(event).__struct_config__.tag)


def encode(event: Event) -> tuple[str, bytes]:
    return name_of(event), ENCODER.encode(event)


def decode(event_type: str, data: bytes) -> Any:
    """The event.

    Raises:
        UnknownEvent: of a type that this release does not know.
    """
    decoder = DECODERS.get(event_type)
    if decoder is None:
        raise UnknownEvent(f"expected one of {len(TYPES)} known event types, found '{event_type}'")
    return decoder.decode(data)


def evolve(state: Any, event: Any) -> Any:
    """The state after an event of any aggregate."""
    return KINDS[kind_of(event.__struct_config__.tag)].evolve(state, event)
