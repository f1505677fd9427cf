"""A tax pack: what a jurisdiction asks of a company's books, as data that is shipped with this release.

A company adopts it once; from then on its codes are its own, and a newer release changes nothing of them.
"""

import tomllib
from datetime import date
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Final

import msgspec

from finance import tax

PACKS: Final = ("bangladesh",)
BEGUN: Final = date(2019, 7, 1)
"""From when a code is valid where the pack names no other day: the VAT and SD Act 2012 of Bangladesh in force."""


class Code(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    code: str
    name: str
    kind: str
    percent: Decimal
    valid_from: date = BEGUN
    valid_until: date | None = None
    on_duty: bool = False
    recoverable: bool = True
    form: str | None = None

    def command(self) -> tax.Define:
        quote = tax.Quote(valid_from=self.valid_from, percent=self.percent, valid_until=self.valid_until)
        return tax.Define(
            code=self.code,
            name=self.name,
            kind=self.kind,
            quote=quote,
            on_duty=self.on_duty,
            recoverable=self.recoverable,
            form=self.form,
        )


class TaxInvoice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The law's form of an invoice, and the series of its serial numbers."""

    form: str
    series: str


class Pack(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    tin_digits: int
    bin_digits: int
    tax_invoice: TaxInvoice
    codes: tuple[Code, ...]


@cache
def load(name: str) -> Pack | None:
    """A pack by its name; None when there is none."""
    if name not in PACKS:
        return None
    text = (files("finance.packs") / f"{name}.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), Pack)
