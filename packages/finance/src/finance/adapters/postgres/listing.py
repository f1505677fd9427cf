"""Lists that are walked by a key which never changes: what was there at the first page is met once, and only once.

Documents, payments and entries stand in the order they were drafted in (their place in the log, newest first),
accounts in that of their codes. Rows that come meanwhile stand before the first page or where their code belongs; none
moves. The key is of the log and not of a release, so that a walk begun on one release goes on at another.
"""

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from finance.refusal import CursorMalformed

Key = int | str
Place = tuple[date, int, int]
"""Where a movement stands in its account: its day, its entry's place in the log, its line."""
Values = tuple[object, ...]
DOCUMENTS: Final = ("invoice", "voucher")
UNPAID: Final = "('APPROVED', 'PARTIALLY_PAID')"
OPEN: Final = frozenset({"APPROVED", "PARTIALLY_PAID"})
HIGHEST: Final = "\U0010ffff"
"""Sorts behind every text that begins alike."""
LONGEST_CURSOR: Final = 100
LARGEST_POSITION: Final = 2**63 - 1
LARGEST_LINE: Final = 2**31 - 1


def cursor(kind: str, key: Key) -> str:
    """A key as it is shown: bound to its list, and of no meaning to who keeps it."""
    return base64.urlsafe_b64encode(f"{kind}:{key}".encode()).decode().rstrip("=")


def key_of(kind: str, text: str) -> Key:
    """What `cursor` made it of.

    Raises:
        CursorMalformed: this list gave no such cursor.
    """
    try:
        key = decoded(kind, text)
        place: Key = key if kind == "account" else int(key)
    except ValueError:
        place = -1
    if isinstance(place, int) and not 0 <= place <= LARGEST_POSITION:
        raise CursorMalformed(f"Found '{text[:40]}'.")
    return place


def decoded(kind: str, text: str) -> str:
    """The key in a cursor of this kind.

    Raises:
        ValueError: it is of another kind, or was never given.
    """
    padded = text[:LONGEST_CURSOR] + "=" * (-len(text) % 4)
    found, _, key = base64.b64decode(padded, altchars=b"-_", validate=True).decode("ascii").partition(":")
    if found != kind:
        raise ValueError(found)
    return key


def place_cursor(place: Place) -> str:
    """As `cursor`, of a movement."""
    day, position, line = place
    return cursor("movement", f"{day.isoformat()}/{position}/{line}")


def place_of(text: str) -> Place:
    """What `place_cursor` made it of.

    Raises:
        CursorMalformed: no list of movements gave such a cursor.
    """
    try:
        day, position, line = decoded("movement", text).split("/")
        place = date.fromisoformat(day), int(position), int(line)
    except ValueError:
        place = date.min, -1, -1
    if not (0 <= place[1] <= LARGEST_POSITION and 0 <= place[2] <= LARGEST_LINE):
        raise CursorMalformed(f"Found '{text[:40]}'.")
    return place


def waiting(kinds: Iterable[str]) -> str:
    """What holds for yeses to documents of these kinds, as they are: no event since made them binding or others."""
    terms = [
        f"(approval.state->>'document_kind' = '{kind}' AND EXISTS (SELECT FROM {{schema}}.{kind} d"
        " WHERE d.id = approval.document_id::uuid AND d.version = (approval.state->>'document_version')::int))"
        for kind in kinds
    ]
    return f"({' OR '.join(terms) or 'false'})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Which rows of a kind. `bounds` are (column, operator, value), a value of None filtering nothing; columns and
    operators are named by this service, and so is what holds `also`. `number` is how a number begins or ends, in any
    case. `today` tells what is overdue.
    """

    kind: str
    today: date
    bounds: Sequence[tuple[str, str, object]] = ()
    statuses: Sequence[str] | None = None
    number: str | None = None
    also: str = "true"

    def page(self, after: Key | None, limit: int) -> tuple[str, Values]:
        """The query of a page, and its values; `{schema}` is left to be filled in."""
        column, order, beyond = ("code", "", ">") if self.kind == "account" else ("position", " DESC", "<")
        where, values = self._where((limit,), (column, beyond, after))
        # The planner cannot know how rare a number is, and would walk all rows in their order rather than sort a few.
        by = column if self.number is None else f"{column} + 0"
        rows = f"SELECT {column} AS key, state::text FROM {{schema}}.{self.kind} WHERE {where}"  # noqa: S608 - kinds are ours
        return f"{rows} ORDER BY {by}{order} LIMIT $1", values

    def count(self) -> tuple[str, Values]:
        where, values = self._where(())
        return f"SELECT count(*) AS count FROM {{schema}}.{self.kind} WHERE {where}", values  # noqa: S608 - as above

    def _where(self, before: Values, *more: tuple[str, str, object]) -> tuple[str, Values]:
        values = list(before)
        terms = [self.also]
        for column, operator, value in (*self.bounds, *more):
            if value is not None:
                values.append(value)
                terms.append(f"{column} {operator} ${len(values)}")
        terms += [
            self._numbered(values) if self.number is not None else "true",
            self._standing(values) if self.statuses is not None else "true",
        ]
        return " AND ".join(terms), tuple(values)

    def _numbered(self, values: list[object]) -> str:
        """As a range, for a pattern would not be let at the index by row level security."""
        text = str(self.number).strip().upper()
        values += [text, text + HIGHEST, text[::-1], text[::-1] + HIGHEST]
        low, high, last, end = range(len(values) - 3, len(values) + 1)
        return (
            "number IS NOT NULL AND"
            f" ((number ~>=~ ${low}::text AND number ~<~ ${high}::text)"
            f" OR (turned ~>=~ ${last}::text AND turned ~<~ ${end}::text))"
        )

    def _standing(self, values: list[object]) -> str:
        """Overdue is asked of the due date, never stored; a credit is not overdue."""
        asked = frozenset(self.statuses or ())
        if self.kind not in DOCUMENTS:
            values.append(sorted(asked))
            return f"status = ANY(${len(values)}::text[])"
        values += [sorted(asked - OPEN - {"OVERDUE"}), sorted(asked & OPEN), self.today]
        settled, running, today = range(len(values) - 2, len(values) + 1)
        late = f"due_date < ${today}::date"
        if self.kind == "voucher":
            late += " AND voucher_kind IN ('BILL', 'DEBIT_NOTE')"
        terms = [
            f"status = ANY(${settled}::text[])",
            f"(status IN {UNPAID} AND status = ANY(${running}::text[]) AND NOT ({late}))",
        ]
        if "OVERDUE" in asked:
            terms.append(f"(status IN {UNPAID} AND {late})")
        return f"({' OR '.join(terms)})"
