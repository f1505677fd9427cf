"""A tax code of a company: commands, events, state, decide, evolve.

Rates are data by date: each is in force from its day until the day it says, or until the next one's. What a document
was taxed with stays on the document, whatever is entered here later.
"""

import re
from datetime import date
from decimal import Decimal
from typing import Final, assert_never
from uuid import UUID, uuid5

import msgspec

from finance.refusal import TaxCodeInactive, TaxCodeMalformed, TaxCodeNotValid, TaxCodeTaken
from finance.taxation import EXEMPT, KINDS, Levy
from finance.text import sized

WRITTEN: Final = re.compile(r"[A-Z][A-Z0-9.-]{1,19}", re.ASCII)
MOST_PERCENT: Final = Decimal(1000)
PLACES: Final = 4


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """In force from this day on; to `valid_until`, included, or until the next quote's day."""

    valid_from: date
    percent: Decimal
    valid_until: date | None = None


class Defined(msgspec.Struct, frozen=True, kw_only=True, tag="tax.defined/1"):
    """`on_duty` and `recoverable` as in `taxation.Levy`; `form` is what the law calls its return or certificate."""

    code: str
    name: str
    kind: str
    on_duty: bool = False
    recoverable: bool = True
    form: str | None = None


class Rated(msgspec.Struct, frozen=True, kw_only=True, tag="tax.rated/1"):
    quote: Quote


class Deactivated(msgspec.Struct, frozen=True, kw_only=True, tag="tax.deactivated/1"):
    reason: str


class Reactivated(msgspec.Struct, frozen=True, kw_only=True, tag="tax.reactivated/1"):
    reason: str


Event = Defined | Rated | Deactivated | Reactivated


class Tax(msgspec.Struct, frozen=True, kw_only=True):
    """`quotes` is in the order of days, one a day; `version` counts its events."""

    code: str
    name: str
    kind: str
    on_duty: bool = False
    recoverable: bool = True
    form: str | None = None
    quotes: tuple[Quote, ...] = ()
    active: bool = True
    version: int = 1

    def on(self, day: date) -> Levy:
        """The code as it is on a day.

        Raises:
            TaxCodeInactive: it may not be used any more, whatever the day.
            TaxCodeNotValid: no rate of it is in force.
        """
        if not self.active:
            raise TaxCodeInactive(f"It is {self.code}.")
        begun = [one for one in self.quotes if one.valid_from <= day]
        if not begun or (begun[-1].valid_until is not None and begun[-1].valid_until < day):
            raise TaxCodeNotValid(f"{self.code} has no rate in force on {day}.")
        return Levy(
            code=self.code,
            kind=self.kind,
            percent=begun[-1].percent,
            on_duty=self.on_duty,
            recoverable=self.recoverable,
        )


class Define(msgspec.Struct, frozen=True, kw_only=True):
    code: str
    name: str
    kind: str
    quote: Quote
    on_duty: bool = False
    recoverable: bool = True
    form: str | None = None


class SetRate(msgspec.Struct, frozen=True, kw_only=True):
    quote: Quote


class Deactivate(msgspec.Struct, frozen=True, kw_only=True):
    reason: str


class Reactivate(msgspec.Struct, frozen=True, kw_only=True):
    reason: str


Command = Define | SetRate | Deactivate | Reactivate


def stream(tenant_id: str, code: str) -> str:
    """The stream of a tenant's tax code."""
    return str(uuid5(UUID(tenant_id), f"tax/{code}"))


def decide(tax: Tax | None, command: Command) -> list[Event]:
    """The events of a command.

    Raises:
        Refused: one class per rule; nothing happened.
    """
    match command:
        case Define():
            if tax is not None:
                raise TaxCodeTaken(f"It is {command.code}.")
            return [_define(command), Rated(quote=checked(command.quote, command.kind))]
        case SetRate():
            return [Rated(quote=checked(command.quote, _existing(tax).kind))]
        case Deactivate():
            if not _existing(tax).active:
                raise TaxCodeInactive(f"It is {_existing(tax).code}.")
            return [Deactivated(reason=sized(command.reason, "reason", 10, 500))]
        case Reactivate():
            _existing(tax)
            return [Reactivated(reason=sized(command.reason, "reason", 10, 500))]
        case _:
            assert_never(command)


def _existing(tax: Tax | None) -> Tax:
    assert tax is not None, "the shell loads the code first"  # noqa: S101 - a bug, not a refusal
    return tax


def _define(command: Define) -> Defined:
    if WRITTEN.fullmatch(command.code) is None or command.kind not in KINDS:
        raise TaxCodeMalformed(f"Expected a code like VAT15, found '{command.code[:40]}' of {command.kind}.")
    return Defined(
        code=command.code,
        name=sized(command.name, "name", 3, 200),
        kind=command.kind,
        on_duty=command.on_duty,
        recoverable=command.recoverable,
        form=command.form,
    )


def checked(quote: Quote, kind: str) -> Quote:
    """The quote.

    Raises:
        TaxCodeMalformed: less than nothing or absurd, too exact, something of an exempt code, or over before it begins.
    """
    percent = quote.percent
    if not 0 <= percent <= MOST_PERCENT or percent != round(percent, PLACES):
        raise TaxCodeMalformed(f"Expected 0 to {MOST_PERCENT} % of at most {PLACES} places, found {percent}.")
    if kind == EXEMPT and percent:
        raise TaxCodeMalformed(f"An exempt code has no rate, found {percent} %.")
    if quote.valid_until is not None and quote.valid_until < quote.valid_from:
        raise TaxCodeMalformed(f"It would end on {quote.valid_until}, before {quote.valid_from}.")
    return quote


def evolve(tax: Tax | None, event: Event) -> Tax:
    if isinstance(event, Defined):
        return Tax(
            code=event.code,
            name=event.name,
            kind=event.kind,
            on_duty=event.on_duty,
            recoverable=event.recoverable,
            form=event.form,
        )
    assert tax is not None, "a stream begins with defined"  # noqa: S101 - a damaged log is a bug
    match event:
        case Rated(quote=quote):
            kept = [one for one in tax.quotes if one.valid_from != quote.valid_from]
            quotes = tuple(sorted((*kept, quote), key=lambda one: one.valid_from))
            return msgspec.structs.replace(tax, quotes=quotes, version=tax.version + 1)
        case Deactivated():
            return msgspec.structs.replace(tax, active=False, version=tax.version + 1)
        case Reactivated():
            return msgspec.structs.replace(tax, active=True, version=tax.version + 1)
        case _:
            assert_never(event)
