"""A figure of a report, told so that its entries can be found again: of which accounts, days, partner or tax code.

Whoever asks for a report gets one of these with every figure, as letters that mean nothing to them, and gives it back
to see what the figure is made of. It holds no secret and allows nothing: it is asked within the books of its reader.
"""

import base64
import binascii
from datetime import date, timedelta
from typing import Annotated, Final, Literal

import msgspec

from finance.account import DEBIT_NORMAL
from finance.money import BASE, decimals
from finance.refusal import CurrencyMismatch, FigureMalformed
from finance.vat import CREDIT_NORMAL

LONGEST: Final = 1_000
Text = Annotated[str, msgspec.Meta(max_length=200)]
Line = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
Place = tuple[date, Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)], Line]
"""A day, an entry's place in the log, a line of it: where a movement stands."""
Known = Literal["ASSET", "LIABILITY", "EQUITY", "REVENUE", "EXPENSE"]


class Figure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Debits less credits of what fits all of this, times `sign`.

    `first`, `last` and `known_on` are the days of the report. `closing` entries may be left out. `side` is of the
    accounts that say what partners owe, `unnamed` what names no partner. `cash` is HELD, on the cash accounts, or
    OTHERS, the other lines of entries that touch one, then of an `activity` where one is said. `section` and `code`
    are of a tax return: the tax, or with `value` what was taxed. `journal_id` is of one entry, `line` of one line of
    it, `until` of everything up to a movement. `waiting` is of payments that no bank's line is matched with now, `held`
    of entries in one currency: in that of the books, what they are worth.
    """

    last: date
    first: date | None = None
    known_on: date | None = None
    currency: Text = BASE
    sign: Literal[1, -1] = 1
    account_id: Text | None = None
    types: Annotated[tuple[Known, ...], msgspec.Meta(max_length=5)] = ()
    closing: bool = True
    side: Literal["SALES", "PURCHASE"] | None = None
    partner_id: Text | None = None
    unnamed: bool = False
    item_id: Text | None = None
    cash: Literal["HELD", "OTHERS"] | None = None
    activity: Literal["OPERATING", "INVESTING", "FINANCING"] | None = None
    section: Text | None = None
    code: Text | None = None
    value: bool = False
    journal_id: Text | None = None
    line: Line | None = None
    until: Place | None = None
    waiting: bool = False
    held: Text | None = None


def encode(figure: Figure) -> str:
    """As letters."""
    return base64.urlsafe_b64encode(msgspec.json.encode(figure)).decode().rstrip("=")


def decode(text: str) -> Figure:
    """What `encode` made it of.

    Raises:
        FigureMalformed: no report of this service gave it.
    """
    try:
        padded = text[:LONGEST] + "=" * (-len(text[:LONGEST]) % 4)
        found = msgspec.json.decode(base64.b64decode(padded, altchars=b"-_", validate=True), type=Figure)
        decimals(found.currency)
    except (binascii.Error, ValueError, msgspec.DecodeError, CurrencyMismatch):
        raise FigureMalformed(f"Found '{text[:40]}'.") from None
    return found


def before(of: Figure, first: date | None) -> Figure:
    """The same until a day, itself not included; of nothing where there is no such day."""
    if first is None or first == date.min:
        return msgspec.structs.replace(of, first=date.max, last=date.min)
    return msgspec.structs.replace(of, first=None, last=first - timedelta(days=1))


def normal_sign(account_type: str) -> Literal[1, -1]:
    """What makes an account's figure positive on its normal side."""
    return 1 if account_type in DEBIT_NORMAL else -1


def tax_sign(section: str) -> Literal[1, -1]:
    """What makes a tax positive where more was sold, bought or withheld."""
    return -1 if section in CREDIT_NORMAL else 1
