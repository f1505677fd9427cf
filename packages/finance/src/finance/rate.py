"""What one unit of a currency is worth in that of the books: commands, events, state, decide, evolve.

A table by date, one for each currency of a company. A rate holds from its day until the next one's; posted entries
keep theirs, whatever is entered later.
"""

from datetime import date
from decimal import Decimal
from uuid import UUID, uuid5

import msgspec

from finance.money import BASE
from finance.refusal import RateMalformed, RateMissing


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """In force from this day on."""

    valid_from: date
    rate: Decimal


class Set(msgspec.Struct, frozen=True, kw_only=True, tag="rate.set/1"):
    currency: str
    quote: Quote


Event = Set


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """`quotes` is in the order of days, one a day; `version` counts its events."""

    currency: str
    quotes: tuple[Quote, ...]
    version: int = 1

    def on(self, day: date) -> Decimal:
        """The rate in force on a day.

        Raises:
            RateMissing: none is, yet.
        """
        return self.quote_on(day).rate

    def quote_on(self, day: date) -> Quote:
        """The same, with the day that it is in force from.

        Raises:
            RateMissing: none is, yet.
        """
        in_force = [quote for quote in self.quotes if quote.valid_from <= day]
        if not in_force:
            raise RateMissing(f"Expected one of {self.currency} on {day} or before.")
        return in_force[-1]


class Enter(msgspec.Struct, frozen=True, kw_only=True):
    currency: str
    quote: Quote


Command = Enter


def stream(tenant_id: str, currency: str) -> str:
    """The stream of a tenant's table of this currency."""
    return str(uuid5(UUID(tenant_id), f"rate/{currency}"))


def decide(_: Rate | None, command: Command) -> list[Event]:
    """The events of a command.

    Raises:
        RateMalformed: it is not more than zero, or of the currency the books are kept in.
    """
    if command.currency == BASE:
        raise RateMalformed(f"The books are kept in {BASE}: it is always worth one.")
    if command.quote.rate <= 0:
        raise RateMalformed(f"Found {command.quote.rate}.")
    return [Set(currency=command.currency, quote=command.quote)]


def evolve(rate: Rate | None, event: Event) -> Rate:
    others = () if rate is None else rate.quotes
    kept = [quote for quote in others if quote.valid_from != event.quote.valid_from]
    quotes = tuple(sorted((*kept, event.quote), key=lambda quote: quote.valid_from))
    return Rate(currency=event.currency, quotes=quotes, version=1 if rate is None else rate.version + 1)
