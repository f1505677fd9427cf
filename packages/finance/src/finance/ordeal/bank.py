"""What a bank told of one company's money, and what it was matched with: from the log's bytes and the files alone.

Five laws, of which neither model knows anything. A bank line is a fact: the books have the lines of the files that were
accepted, and no other. Amounts are minor units; positive came in.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any, Final

import msgspec

from finance.adapters.memory import Row

MONEY: Final = {"CASH": "1000", "MOBILE_WALLET": "1020"}
"""Where money is by the way it was paid; any other is at the bank, 1010."""

HANDS: Final = frozenset({"1000", "1010", "1020"})

Hold = Callable[..., None]
Place = tuple[str, str]
"""An account's code and a currency."""


class Bank:
    """Of one company. `code_of` tells an account's code by its id, None where the company has none."""

    def __init__(self, code_of: Callable[[str], str | None]) -> None:
        self._code_of = code_of
        self._given: dict[tuple[str, str], tuple[str, str, int]] = {}
        self._lines: dict[str, tuple[str, str, str, str, int]] = {}
        self._money: dict[str, dict[str, Any]] = {}
        self._entries: dict[str, str | None] = {}
        self._matches: dict[str, tuple[list[str], list[str]]] = {}
        self._live: dict[str, list[str]] = defaultdict(list)
        self._gone: set[str] = set()
        self._held: Counter[Place] = Counter()
        self._others: Counter[Place] = Counter()

    def brought(self, account: str, currency: str, rows: Sequence[tuple[str, date, int]]) -> None:
        """The rows of a file that was accepted; those that are known stay as they are."""
        for reference, day, minor in rows:
            self._given.setdefault((account, reference), (currency, f"{day}", minor))

    def read(self, row: Row) -> bool:
        """A row of the log; whether a law is about it."""
        kind = row.type.partition("/")[0]
        told = msgspec.json.decode(row.data) if row.kind in {"bankline", "payment", "journal"} else {}
        match kind:
            case "bankline.imported":
                place = (self._code_of(told["account_id"]) or "?", told["reference"])
                self._lines[row.stream_id] = (
                    *place,
                    told["currency"],
                    told["booked_on"],
                    told["amount_minor"],
                )
            case "bankline.matched":
                self._matches[told["match_id"]] = (told["line_ids"], told["payment_ids"])
                self._live[row.stream_id].append(told["match_id"])
            case "payment.reconciled":
                self._live[row.stream_id].append(told["match_id"])
            case "bankline.unmatched" | "payment.unreconciled":
                self._live[row.stream_id].remove(told["match_id"])
            case "payment.created" | "payment.opened" | "payment.updated":
                self._money[row.stream_id] = self._money.get(row.stream_id, {}) | told
            case "payment.completed":
                self._money[row.stream_id] |= {"there": True}
            case "payment.reversed":
                self._gone.add(row.stream_id)
            case "journal.created":
                self._entries[row.stream_id] = told.get("document_id")
                return False
            case "journal.posted":
                return self._posted(row.stream_id, told)
            case _:
                return False
        return True

    def _posted(self, entry: str, told: dict[str, Any]) -> bool:
        """Whether it moved money."""
        moved = False
        for line in told["lines"]:
            place = (self._code_of(line["account_id"]) or "?", told["currency"])
            if place[0] not in HANDS:
                continue
            moved = True
            minor = line.get("debit_minor", 0) - line.get("credit_minor", 0)
            self._held[place] += minor
            if self._entries[entry] not in self._money:
                self._others[place] += minor
        return moved

    def judge(self, hold: Hold) -> None:
        """Every law; `hold` is told its name, whether it holds, and how it does not."""
        lines = {(account, reference): rest for account, reference, *rest in map(list, self._lines.values())}
        given = {place: list(one) for place, one in self._given.items()}
        hold("bank-told", lines == given, lines, "are not the lines of the files:", given)
        for one, matches in self._live.items():
            hold("bank-once", len(matches) <= 1, one, "is in", matches)
        live = {match_id for matches in self._live.values() for match_id in matches}
        for match_id in live:
            self._tied(hold, match_id)
        for place in list(self._held):
            self._explained(hold, place)

    def _tied(self, hold: Hold, match_id: str) -> None:
        line_ids, payment_ids = self._matches[match_id]
        told = sum(self._lines[one][-1] for one in line_ids)
        paid = sum(self._signed(one) for one in payment_ids)
        places = {(self._lines[one][0], self._lines[one][2]) for one in line_ids}
        places |= {self._place(one) for one in payment_ids}
        hold("bank-tied", told == paid and len(places) == 1, told, "on", places, "is matched with", paid)
        hold("bank-kept", not self._gone & {*payment_ids}, payment_ids, "are matched, and taken back")

    def _explained(self, hold: Hold, place: Place) -> None:
        """What the books hold is what the bank told and was matched, what it does not know yet, and other entries."""
        matched = [
            one
            for one in self._lines
            if self._live[one] and (self._lines[one][0], self._lines[one][2]) == place
        ]
        waiting = [
            one
            for one, money in self._money.items()
            if money.get("there")
            and one not in self._gone
            and not self._live[one]
            and self._place(one) == place
        ]
        told, unknown = sum(self._lines[one][-1] for one in matched), sum(map(self._signed, waiting))
        held, others = self._held[place], self._others[place]
        how = (place, "holds", held, ":", told, "matched,", unknown, "not told,", others, "of other entries")
        hold("bank-explained", held == told + unknown + others, *how)

    def _signed(self, payment_id: str) -> int:
        money = self._money[payment_id]
        return int(money["amount_minor"] if money.get("side", "SALES") == "SALES" else -money["amount_minor"])

    def _place(self, payment_id: str) -> Place:
        money = self._money[payment_id]
        return MONEY.get(money["details"]["method"], "1010"), money["currency"]
