"""The plain books: a second, small model of a company, for whoever audits these books and has one sitting for it.

It judges no request. It is told which were *accepted*, what was asked, and by whom; from that and from the textbook
alone it keeps books of its own, which are a list of entries. Balances, open amounts, sub-ledgers and statements are
sums over it. Money is worked out from what was asked - prices, quantities, percentages, rates - and not read from the
service, of which, as of the large model beside it, this file imports nothing. `audit.py` holds the service to it.

Taken from the answer, not derived:
- that a request was accepted and did what was asked: where several people must agree, a yes alone does nothing;
- whether an entry that was to be posted at once was posted, or waits for others.

Not known here: why anything is refused, who may do what, numbers, locks of taxes, texts, banks, attachments.

What was accepted and cannot be by the textbook is `Impossible`: an entry in a closed period, a thing done or undone
twice. Debits are positive, credits negative, all in minor units; `worth` is in the currency of the books. Rates are in
ten-thousandths, percentages in hundredths, quantities in thousandths. Nothing in the dicts is changed, only replaced.
"""

from collections.abc import Iterable, Sequence
from copy import copy
from datetime import date, timedelta
from typing import Any, Final, NamedTuple

from finance.ordeal.levied import PACK, Impossible, latest, levied, part

BOOKS: Final = "BDT"
CONTROL: Final = {1: "1200", -1: "2000"}
ADVANCES: Final = {1: "2300", -1: "1400"}
GIVEN_UP: Final = {(1, "WRITE_OFF"): "5800", (1, "WITHHOLDING"): "1420", (-1, "WRITE_OFF"): "4800"}
BESIDE: Final = {"1200": "1290", "2000": "2090"}
MONEY: Final = {"CASH": "1000", "MOBILE_WALLET": "1020"}
KEPT: Final = frozenset({"draft", "pay", "plan"})
CHANGED: Final = frozenset({"redraft", "amend"})
NO_LEDGER: Final = {
    "close_account",
    "fail",
    "set_rule",
    "lock_taxes",
    "unlock_taxes",
    "turn_tax",
    "adopt_plan",
}
NO_LEDGER_EITHER: Final = {"end_plan", "attach", "bring", "match", "unmatch", "reconcile"}
Lines = Sequence[tuple[str, int, int | None, str]]
"""Account, amount, worth (None: the amount at the day's rate), and the document or money whose open amount it is."""
Sums = dict[Any, tuple[int, int]]


class Entry(NamedTuple):
    day: date
    currency: str
    lines: Any
    is_reversed: bool = False


def year_of(day: date) -> int:
    return day.year - (day.month < 7)


def months_after(day: date, months: int) -> date:
    first = date(day.year + (day.month - 1 + months) // 12, (day.month - 1 + months) % 12 + 1, 1)
    last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    return first.replace(day=min(day.day, last.day))


def summed(lines: Iterable[tuple[Any, int, int]]) -> Sums:
    """Amounts and worths by place; those that came to nothing are left out."""
    found: Sums = {}
    for place, minor, worth in lines:
        was = found.get(place, (0, 0))
        found[place] = (was[0] + minor, was[1] + worth)
    return {place: sums for place, sums in found.items() if any(sums)}


class Plain:
    def __init__(self, customers: Iterable[str]) -> None:
        self.customers, self.closer = frozenset(customers), False
        self.entries: dict[str, Entry] = {}
        self.asked: dict[str, Any] = {}  # documents, money, entries and plans, as they were asked for last
        self.parts: dict[str, tuple[Any, ...]] = {}  # what was allocated of a credit or given up of a debt
        self.own: dict[str, str] = {}  # currencies of accounts that have one
        self.rates: dict[str, dict[date, int]] = {}
        self.taxes: dict[str, dict[date, int]] = {}
        self.periods: dict[tuple[int, int], str] = {}
        self.years: dict[int, list[str]] = {}
        self.revalued: dict[date, str] = {}

    def copy(self) -> "Plain":
        made = copy(self)
        for name, kept in vars(self).items():
            setattr(made, name, dict(kept) if isinstance(kept, dict) else kept)
        return made

    def enter(self, verb: str, given: dict[str, Any], *, closer: bool) -> None:
        """What was accepted; `closer` is whether who asked may post into what is soft-closed."""
        self.closer = closer
        if verb in KEPT:
            self.asked[given["name"]] = given
        elif verb in CHANGED:
            changed = {what: one for what, one in given.items() if one is not None}
            self.asked[given["name"]] = self.asked[given["name"]] | changed
        elif verb not in NO_LEDGER | NO_LEDGER_EITHER:
            getattr(self, verb)(**given)

    # What the entries add up to

    def trial(self) -> Sums:
        """By account and currency: what it holds, and what that is worth."""
        lines = ((one, line) for one in self.entries.values() for line in one.lines)
        return summed(((code, one.currency), minor, worth) for one, (code, minor, worth, _) in lines)

    def open(self) -> Sums:
        """By document or money: its total less what was allocated and given up; credits for what we owe."""
        lines = (line for one in self.entries.values() for line in one.lines)
        return summed((item, minor, worth) for _, minor, worth, item in lines if item)

    def owed(self) -> Sums:
        """The sub-ledgers: what each control account must hold, by currency, from open amounts alone."""
        return summed((self.place(name), *sums) for name, sums in self.open().items())

    def statement(self, trial: Sums) -> list[int]:
        """What is owned, owed, put in, earned and spent: worths by the first digit of the account."""
        return [
            sum(worth for (code, _), (_, worth) in trial.items() if code[0] == digit) for digit in "12345"
        ]

    def side(self, name: str) -> int:
        """Whether it is of a customer, 1, or of a vendor, -1."""
        one = self.asked[name]
        partner = self.asked[one["target"]]["partner"] if one.get("target") else one["partner"]
        return 1 if partner in self.customers else -1

    def sign(self, name: str) -> int:
        """Whether what is open of it is a debit, 1, or a credit, -1."""
        is_debt = self.asked[name].get("kind") in {"INVOICE", "DEBIT_NOTE", "BILL"}
        return self.side(name) if is_debt else -self.side(name)

    def place(self, name: str) -> tuple[str, str]:
        """The control account and currency that a document, or money on account, is open in."""
        one, side = self.asked[name], self.side(name)
        return (CONTROL if "kind" in one else ADVANCES)[side], one["currency"]

    # Entries

    def worth(self, minor: int, currency: str, day: date) -> int:
        return minor if currency == BOOKS else part(minor, latest(self.rates.get(currency, {}), day), 10_000)

    def post(
        self, key: str, day: date, currency: str, lines: Lines, *, exchange: bool = False, ends: bool = False
    ) -> str:
        """Enter it, under a key or a new one. Each line is rounded; what is left goes to the largest line of the side
        that is short; or, with `exchange`, to gains and losses. What `ends` a year asks no period.
        """
        status = self.periods.get((year_of(day), (day.month - 7) % 12 + 1), "OPEN")
        is_open = ends or status == "OPEN" or (status == "SOFT_CLOSED" and self.closer)
        if key in self.entries or not is_open:
            raise Impossible(f"{key or 'an entry'} of {day}: it is there already, or the period is {status}")
        fresh = [n for n, (*_, worth, _) in enumerate(lines) if worth is None]
        made: list[Any] = [
            (code, minor, self.worth(minor, currency, day) if worth is None else worth, item)
            for code, minor, worth, item in lines
        ]
        over = sum(worth for *_, worth, _ in made)
        if over and fresh:
            n = max(fresh, key=lambda n: lines[n][1] * (-1 if over > 0 else 1))
            made[n] = (*made[n][:2], made[n][2] - over, made[n][3])
        elif over and exchange:
            made.append(("4900" if over > 0 else "5950", 0, -over, ""))
        key = key or f"#{len(self.entries)}"
        self.entries[key] = Entry(day, currency, made)
        return key

    def turn(self, key: str, on: date | None, new: str = "", *, ends: bool = False) -> None:
        """Take an entry back, once, exactly, whatever the rates are now."""
        one = self.entries.get(key)
        if one is None or one.is_reversed or (on or one.day) < one.day:
            raise Impossible(f"the entry {key} is taken back on {on}; it is {one}")
        self.entries[key] = one._replace(is_reversed=True)
        mirror = [(code, -minor, -worth, item) for code, minor, worth, item in one.lines]
        self.post(new, on or one.day, one.currency, mirror, ends=ends)

    def stands(self, key: str) -> bool:
        return key in self.entries and not self.entries[key].is_reversed

    def write(self, *, name: str, post: bool, **given: Any) -> None:
        self.asked[name] = given
        if post:
            self.book(name=name)

    def add_line(self, *, name: str, line: tuple[str, int]) -> None:
        self.asked[name] = {**self.asked[name], "lines": [*self.asked[name]["lines"], line]}

    def book(self, *, name: str) -> None:
        one = self.asked[name]
        self.post(name, one["day"], one["currency"], [(*line, None, "") for line in one["lines"]])

    def reverse(self, *, entry: str, name: str, on: date, **_: Any) -> None:
        self.turn(entry, on, name)

    # Documents

    def billed(self, name: str) -> tuple[Lines, int]:
        """The lines of a document's entry - what is owed, then what for - and its net value."""
        one, sign = self.asked[name], self.sign(name)
        found, net = levied(one, self.side(name), self.taxes)
        others = [(code, -sign * minor, None, "") for code, minor in found if minor]
        return [(CONTROL[self.side(name)], sign * sum(m for _, m in found), None, name), *others], net

    def approve(self, *, name: str) -> None:
        one, (lines, net) = self.asked[name], self.billed(name)
        self.post(name, one["day"], one["currency"], lines)
        self.asked[name] = {**one, "net": net}

    def cancel(self, *, name: str, on: date | None, **_: Any) -> None:
        notes = [
            note for note, one in self.asked.items() if one.get("corrects") == name and self.stands(note)
        ]
        if name in self.entries:
            if notes or self.open().get(name) != self.entries[name].lines[0][1:3]:
                raise Impossible(f"{name} is cancelled, and is paid in part, or corrected by {notes}")
            self.turn(name, on)

    # Money, and what pays what

    def complete(self, *, name: str, **_: Any) -> None:
        one, side = self.asked[name], self.side(name)
        day, currency, total, target = one["day"], one["currency"], one["minor"], one["target"]
        open_minor, open_worth = self.open().get(target, (0, 0))
        paid = min(total, side * open_minor) if target and one["excess"] else total if target else 0
        left = total - paid
        worth, left_worth = self.worth(total, currency, day), self.worth(left, currency, day)
        owed = part(side * open_worth, paid, side * open_minor)
        lines = [(MONEY.get(one["method"], "1010"), side * total, side * worth, "")]
        lines += [(CONTROL[side], -side * paid, -side * owed, target)] * bool(paid)
        lines += [(ADVANCES[side], -side * left, -side * left_worth, name)] * bool(left)
        self.post(name, day, currency, lines, exchange=True)
        if paid:  # taken back alone, it becomes money on account, at what it was worth
            back = (ADVANCES[side], -side * paid, -side * (worth - left_worth), name)
            self.keep(name, (None, day, [back, (CONTROL[side], side * paid, side * owed, target)]))

    def keep(self, name: str, what: Any) -> None:
        self.parts[name] = (*self.parts.get(name, ()), what)

    def take_back(self, *, name: str, on: date | None, **_: Any) -> None:
        keys = [name, *(key for key, *_ in self.parts.get(name, ()) if key and self.stands(key))]
        day = on or max(self.entries[key].day for key in keys)
        for key in keys:
            self.turn(key, day)

    def allocate(self, *, credit: str, debt: str, minor: int, on: date | None) -> None:
        left, side = self.open(), self.side(credit)
        day = on or max(self.asked[credit]["day"], self.asked[debt]["day"])
        (whole, worth), (open_minor, open_worth) = left.get(credit, (0, 0)), left.get(debt, (0, 0))
        spent = (self.place(credit)[0], side * minor, side * part(worth, minor, whole), credit)
        paid = (CONTROL[side], -side * minor, -side * part(open_worth, minor, open_minor), debt)
        key = self.post("", day, self.asked[debt]["currency"], [spent, paid], exchange=True)
        self.keep(credit, (key, day, ()))

    def unallocate(self, *, credit: str, number: int, on: date | None, **_: Any) -> None:
        key, day, lines = self.parts[credit][number]
        if key is not None:
            self.turn(key, on)
        else:  # from now on it is the entry that made it money on account
            key = self.post("", on or day, self.asked[credit]["currency"], lines, exchange=True)
            parts = self.parts[credit]
            self.parts[credit] = (*parts[:number], (key, day, ()), *parts[number + 1 :])

    def settle(
        self, *, kind: str, debt: str, minor: int | None, on: date, code: str | None, **_: Any
    ) -> None:
        """Give a part up; of a tax that is withheld by its code, its percentage of the net value."""
        some = minor or part(self.asked[debt]["net"], latest(self.taxes[code or ""], on), 10_000)
        (open_minor, open_worth), side = self.open().get(debt, (0, 0)), self.side(debt)
        worth = part(open_worth, some, open_minor)
        lines = [(GIVEN_UP.get((side, kind), "2210"), side * some, side * worth, "")]
        lines += [(CONTROL[side], -side * some, -side * worth, debt)]
        self.keep(debt, (self.post("", on, self.asked[debt]["currency"], lines), on, ()))

    def withdraw(self, *, debt: str, number: int, on: date | None, **_: Any) -> None:
        self.turn(self.parts[debt][number][0], on)

    # Accounts, rates, time

    def open_account(self, *, code: str, currency: str, **_: Any) -> None:
        self.own[code] = currency

    def set_rate(self, *, currency: str, day: date, rate: int) -> None:
        self.rates[currency] = {**self.rates.get(currency, {}), day: rate}

    def adopt(self) -> None:
        self.taxes = {code: {date(2019, 7, 1): one[1]} for code, one in PACK.items()} | self.taxes

    def set_tax(self, *, code: str, day: date, rate: int) -> None:
        self.taxes[code] = {**self.taxes[code], day: rate}

    def revalue(self, *, day: date) -> None:
        """What other currencies are worth more at the rate of a day, beside what is held, until the next day."""
        lines = (
            ((code, one.currency), minor, worth)
            for one in self.entries.values()
            for code, minor, worth, _ in one.lines
            if one.day <= day and one.currency != BOOKS and (code[:2] == "10" or code in BESIDE)
        )
        held = summed(lines).items()
        found = [(BESIDE.get(code, "1090"), self.worth(m, own, day) - w) for (code, own), (m, w) in held]
        more = [(code, over, None, "") for code, over in found if over]
        gained, lost = (sum(max(sign * line[1], 0) for line in more) for sign in (1, -1))
        result = [("4910", -gained, None, "")] * bool(gained) + [("5960", lost, None, "")] * bool(lost)
        key = self.revalued[day] = self.post("", day, BOOKS, [*more, *result])
        self.turn(key, day + timedelta(days=1), f"{key} taken back")

    def undo_revaluation(self, *, day: date, **_: Any) -> None:
        key = self.revalued.pop(day)
        self.turn(f"{key} taken back", None)
        self.post("", day, BOOKS, [(code, -minor, None, "") for code, minor, *_ in self.entries[key].lines])

    def close_period(self, *, period: tuple[int, int], to: str) -> None:
        self.periods[period] = to

    def open_period(self, *, period: tuple[int, int], **_: Any) -> None:
        self.periods[period] = "OPEN"

    def close_year(self, *, year: int, to: str) -> None:
        """Move what was earned and spent to retained earnings: of accounts in the currency of the books, the worth."""
        if year not in self.years:
            ofyear = [one for one in self.entries.values() if year_of(one.day) == year]
            lines = [(one.currency, *line) for one in ofyear for line in one.lines if line[0][0] in "45"]
            earned = summed(
                ((own, code), worth if own == BOOKS else minor if own == currency else 0, worth)
                for currency, code, minor, worth, _ in lines
                for own in [self.own.get(code, BOOKS)]
            )
            self.years[year] = []
            for own in sorted({own for own, _ in earned}):
                closed = [(code, -m, -w, "") for (of, code), (m, w) in earned.items() if of == own]
                rest = ("3900", -sum(line[1] for line in closed), -sum(line[2] for line in closed), "")
                key = self.post("", date(year + 1, 6, 30), own, [*closed, rest], ends=True)
                self.years[year].append(key)
        for number in range(1, 13):
            was = self.periods.get((year, number))
            self.periods[year, number] = "LOCKED" if "LOCKED" in {to, was} else "CLOSED"

    def open_year(self, *, year: int, **_: Any) -> None:
        self.periods[year, 12] = "OPEN"
        for key in self.years.pop(year):
            self.turn(key, None, ends=True)

    def run(self, *, name: str, through: date) -> None:
        """Every month that is due, at most 60; an accrual is taken back on the first day of the next month."""
        one = self.asked[name]
        first, months, is_asset = one.get("runs", 0), one["months"], one["kind"] == "DEPRECIATION"
        for number in range(first, first + 60):
            day = months_after(one["start"], number)
            if day > through or (is_asset and number >= months):
                break
            self.asked[name] = {**one, "runs": number + 1}
            days = (months_after(day.replace(day=1), 1) - day.replace(day=1)).days
            figure = {"MONTH": day.month, "DAYS_IN_MONTH": days}.get(one["by"], 1)
            lines = [
                (
                    code,
                    part(of, number + 1, months) - part(of, number, months) if is_asset else of * figure,
                    None,
                    "",
                )
                for code, of in one["lines"]
            ]
            if any(line[1] for line in lines):
                key = self.post("", day, BOOKS, lines)
                if one["kind"] == "ACCRUAL":
                    self.turn(key, months_after(day.replace(day=1), 1))
