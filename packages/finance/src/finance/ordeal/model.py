"""What the books must come to: an independent model of one company, of plain numbers, texts and dicts.

It knows nothing of aggregates, events, streams or transactions, and shares no rule with the service. Asked for
something it answers with *every* reason to refuse it; without any, it has done it. Debits are positive, credits
negative; `worth` is in the currency of the books. An entry's open amounts are never stored: they are what a document
came to less what was allocated and settled.

Values in its dicts are never changed, only replaced, so that a copy costs little and an attempt can be forgotten.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import date, timedelta
from fractions import Fraction
from typing import Any, Final

BOOKS: Final = "BDT"
ONE: Final = 10_000
"""Exchange rates are in ten-thousandths, percentages in hundredths, quantities in thousandths."""

ACCOUNTS: Final = {
    **dict.fromkeys(
        ["1000", "1010", "1020", "1090", "1200", "1290", "1300", "1400", "1410", "1420", "1430", "1500"],
        "ASSET",
    ),
    **dict.fromkeys(["2000", "2090", "2100", "2200", "2210", "2220", "2300"], "LIABILITY"),
    **dict.fromkeys(["3000", "3900"], "EQUITY"),
    **dict.fromkeys(["4000", "4800", "4900", "4910"], "REVENUE"),
    **dict.fromkeys(["5000", "5100", "5200", "5800", "5900", "5950", "5960"], "EXPENSE"),
}
POSTED_TO: Final = frozenset(ACCOUNTS) - {"1300", "1500", "2100", "3000", "5000", "5100", "5200"}
CONTROLS: Final = frozenset({"1200", "2000", "2300", "1400"})
KEPT: Final = CONTROLS | {"1090", "1290", "2090"}
"""What nobody posts to by hand."""
TAX_ACCOUNTS: Final = frozenset({"2200", "2220", "1410", "1430", "1420", "2210"})
VAT: Final = {"STANDARD": 1500, "REDUCED": 750, "TRUNCATED": 500, "ZERO_RATED": 0, "EXEMPT": 0}
KINDS: Final = {  # of document: sign of what it does to the control account, whether a debt, its series, its journal
    "INVOICE": (1, True, "INV", "SJ"),
    "DEBIT_NOTE": (1, True, "DN", "SJ"),
    "CREDIT_NOTE": (1, False, "CN", "SJ"),
    "BILL": (-1, True, "BILL", "PJ"),
    "VENDOR_CREDIT": (-1, False, "VC", "PJ"),
}
PLACES: Final = {  # by side: control, advances, ordinary, VAT, duty, advance tax, written off, withheld; journal
    1: ("1200", "2300", "4000", "2200", "2220", "", "5800", "1420", "CR"),
    -1: ("2000", "1400", "5900", "1410", "1410", "1430", "4800", "2210", "CP"),
}
MONEY: Final = {"CASH": "1000", "MOBILE_WALLET": "1020"}
BINDING: Final = "make it binding"
ORDER: Final = ("OPEN", "SOFT_CLOSED", "CLOSED", "LOCKED")
Reasons = set[str]
Line = tuple[str, int, int | None, bool]
"""An account, debits less credits, what they are worth if it is known, and whether a tax code stands on it."""


def half_even(numerator: int, denominator: int) -> int:
    whole, rest = divmod(numerator, denominator)
    return whole + (2 * rest > denominator or (2 * rest == denominator and whole % 2 == 1))


def part(of: int, some: int, whole: int) -> int:
    return of if some == whole else (half_even(of * some, whole) if whole else 0)


def year_of(day: date) -> int:
    """The calendar year that the fiscal year begins in, with July."""
    return day.year - (day.month < 7)


def period_of(day: date) -> tuple[int, int]:
    return year_of(day), (day.month - 7) % 12 + 1


def sized(text: str | None, least: int, most: int) -> bool:
    return text is not None and least <= len(text.strip()) <= most


@dataclass(frozen=True, slots=True)
class Who:
    """Somebody of the company: `closer` may post into what is soft-closed, `senior` may approve what is large."""

    name: str
    closer: bool = False
    senior: bool = False


@dataclass(slots=True)
class Company:
    today: date
    partners: dict[str, int] = field(default_factory=dict)  # +1 for customers, -1 for vendors
    accounts: dict[str, tuple[str, str, str | None, bool]] = field(
        default_factory=lambda: {code: (kind, BOOKS, None, True) for code, kind in ACCOUNTS.items()}
    )
    held: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    dated: dict[tuple[str, str, date], tuple[int, int]] = field(default_factory=dict)  # as held, by day
    rates: dict[tuple[str, date], int] = field(default_factory=dict)
    periods: dict[tuple[int, int], str] = field(default_factory=dict)
    years: dict[int, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    taxes: dict[str, dict[str, Any]] = field(default_factory=dict)
    rules: dict[date, tuple[bool, tuple[tuple[int, int, bool], ...]]] = field(default_factory=dict)
    documents: dict[str, dict[str, Any]] = field(default_factory=dict)
    money: dict[str, dict[str, Any]] = field(default_factory=dict)
    allocated: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)
    settled: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)
    entries: dict[str, dict[str, Any]] = field(default_factory=dict)
    templates: dict[str, dict[str, Any]] = field(default_factory=dict)
    lines: dict[str, dict[str, Any]] = field(default_factory=dict)  # that banks told
    files: dict[tuple[Any, ...], str] = field(default_factory=dict)
    matches: dict[int, tuple[tuple[str, ...], tuple[str, ...]]] = field(default_factory=dict)
    folders: dict[str, tuple[tuple[str, str | None], ...]] = field(default_factory=dict)
    revalued: dict[date, tuple[str, str]] = field(default_factory=dict)  # its entry and that one's reversal
    undone: dict[date, int] = field(default_factory=dict)  # how often the revaluation of a day was
    numbers: dict[tuple[str, int], int] = field(default_factory=dict)
    references: dict[tuple[str, str], str] = field(default_factory=dict)
    taxes_locked: date | None = None
    serials: bool = False  # whether invoices with tax codes get a serial of their own
    yes: dict[str, tuple[object, frozenset[str]]] = field(default_factory=dict)  # to what, and whose
    waits: "Company | None" = None  # what a deed comes down to, where others have to agree first
    touched: dict[str, None] = field(default_factory=dict)
    made: int = 0

    def copy(self) -> "Company":
        made = replace(self)
        for name in DICTS:
            setattr(made, name, dict(getattr(self, name)))
        return made

    # What all have in common

    def admit(self, who: Who, day: date, *, taxed: bool) -> Reasons:
        status = self.periods.get(period_of(day), "OPEN")
        why = {"period-closed"} if status in {"CLOSED", "LOCKED"} else set()
        if status == "SOFT_CLOSED" and not who.closer:
            why.add("period-soft-closed")
        if self.closed_since(day):
            why.add("period-closed")
        if taxed and self.taxes_locked is not None and day <= self.taxes_locked:
            why.add("taxes-locked")
        return why

    def closed_since(self, day: date) -> bool:
        """Whether the year of a day is closed, or one after it."""
        return any(of >= year_of(day) and status != "OPEN" for of, (status, _) in self.years.items())

    def rate(self, currency: str, day: date) -> int | None:
        if currency == BOOKS:
            return ONE
        days = [since for of, since in self.rates if of == currency and since <= day]
        return self.rates[currency, max(days)] if days else None

    def draw(self, series: str, day: date) -> None:
        place = (series, year_of(day))
        self.numbers[place] = self.numbers.get(place, 0) + 1

    def fits(self, lines: Iterable[Line], currency: str) -> Reasons:
        """Whether the accounts of an entry take it."""
        why = set()
        for code, *_ in lines:
            _, own, _, active = self.accounts.get(code, ("", "", None, True))
            if not own:
                why.add("account-unknown")
            elif not active:
                why.add("account-inactive")
            elif own not in {currency, BOOKS}:
                why.add("currency-mismatch")
        return why

    def post(
        self,
        who: Who,
        series: str,
        day: date,
        currency: str,
        lines: Sequence[Line],
        *,
        rate: int | None = None,
        owner: str | None = None,
        name: str | None = None,
        gains: bool = False,
        makers: frozenset[str] | None = None,
    ) -> Reasons:
        """Enter it, under the name it is given or a new one; with `gains` the books' difference is one of exchange."""
        taxed = any(tagged or code in TAX_ACCOUNTS for code, _, _, tagged in lines)
        why = self.admit(who, day, taxed=taxed)
        if currency != BOOKS and any(worth is None for _, _, worth, _ in lines):
            rate = rate or self.rate(currency, day)
            if rate is None:
                return why | {"rate-missing"}
        valued = worthy(lines, currency, rate or ONE)
        over = sum(worth or 0 for _, _, worth, _ in valued)
        if gains and over:
            valued.append(("4900" if over > 0 else "5950", 0, -over, False))
        ends_year = (owner or "").startswith("FY")  # it moves what is there, wherever that is
        why |= self.fits(valued, currency) - ({"account-inactive"} if ends_year else set())
        if sum(minor for _, minor, _, _ in valued) or sum(worth or 0 for _, _, worth, _ in valued):
            why.add("journal-unbalanced")
        for code, minor, worth, _ in valued:
            before = self.held.get((code, currency), (0, 0))
            self.held[code, currency] = (before[0] + minor, before[1] + (worth or 0))
            place = (code, currency, day)
            before = self.dated.get(place, (0, 0))
            self.dated[place] = (before[0] + minor, before[1] + (worth or 0))
        self.draw(series, day)
        self.made += 1
        self.entries[name or f"#{self.made}"] = {
            "day": day,
            "currency": currency,
            "lines": tuple(valued),
            "owner": owner,
            "status": "POSTED",
            "makers": makers or frozenset({who.name}),
        }
        return why

    @property
    def last_entry(self) -> str:
        return next(reversed(self.entries))

    def turn(self, who: Who, name: str, on: date, *, owner: str | None, new: str | None = None) -> Reasons:
        """Reverse an entry, exactly, whatever the rate is now."""
        entry = self.entries[name]
        why = {"date-malformed"} if on < entry["day"] else set()
        if entry["status"] != "POSTED":
            return why | {
                "journal-reversed-already" if entry["status"] == "REVERSED" else "journal-not-posted"
            }
        if entry["owner"] != owner:
            why.add("journal-of-document")
        self.entries[name] = {**entry, "status": "REVERSED"}
        lines = [(code, -minor, -worth, tagged) for code, minor, worth, tagged in entry["lines"]]
        return why | self.post(who, "RJ", on, entry["currency"], lines, owner=owner, name=new)

    def change(self, name: str) -> None:
        """Something becomes of it, so that no yes to it as it was counts any more."""
        self.touched[name] = None
        self.yes.pop(name, None)

    def agreed(self, who: Who, name: str, what: dict[str, Any], worth: int, act: object = BINDING) -> Reasons:
        """Why somebody may not say yes to an act on something that is worth so much.

        Until enough people have, the company stays as it is now, and the rest of the deed is only asked for reasons.
        """
        days = [day for day in self.rules if day <= self.today]
        if not days:
            return set()
        four_eyes, tiers = self.rules[max(days)]
        why = {"maker-is-checker"} if four_eyes and who.name in what["makers"] else set()
        over = [tier for tier in tiers if worth > tier[0]]
        _, people, senior = over[-1] if over else (0, 1, False)
        if senior and not who.senior:
            why.add("approval-beyond-authority")
        if people == 1:
            return why
        to, given = self.yes.get(name, (act, frozenset()))
        given = given if to == act else frozenset()
        if who.name in given:
            why.add("approval-given-already")
        self.yes[name] = (act, given | {who.name})
        self.touched[name] = None
        if len(given) + 1 < people:
            self.waits = self.copy()
        return why

    def valued(self, what: dict[str, Any], minor: int) -> int:
        """What an amount of something that is not binding yet is worth, by the table of its day."""
        return half_even(minor * (self.rate(what["currency"], what["day"]) or ONE), ONE)

    # What is open

    def open(self, name: str) -> tuple[int, int]:
        """Of a document, or of money: what is open or left, and what that is worth."""
        one = self.documents.get(name) or self.money[name]
        debt = one.get("debt", False)
        gone = [
            (a["minor"], a["debt_worth"] if debt else a["worth"])
            for a in self.allocated.values()
            if a["debt" if debt else "credit"] == name
        ]
        gone += [(s["minor"], s["worth"]) for s in self.settled.values() if s["debt"] == name]
        return one["total"] - sum(m for m, _ in gone), one["worth"] - sum(w for _, w in gone)

    def payable(self, name: str, currency: str, minor: int) -> Reasons:
        one = self.documents[name]
        why = set() if one["debt"] else {"voucher-not-debt"}
        if one["status"] == "DRAFT":
            why.add("invoice-not-payable")
        if one["status"] == "CANCELLED":
            why.add("invoice-cancelled")
        if currency != one["currency"]:
            why.add("currency-mismatch")
        if minor > self.open(name)[0]:
            why.add("payment-too-large")
        return why

    def status(self, name: str) -> str:
        one = self.documents.get(name)
        if one is None:
            money = self.money[name]
            return "RECONCILED" if money["match"] else str(money["status"])
        if one["status"] != "APPROVED":
            return str(one["status"])
        left = self.open(name)[0]
        if left <= 0:
            return "PAID"
        return "APPROVED" if left == one["total"] else "PARTIALLY_PAID"

    def owed(self) -> dict[tuple[str, str], tuple[int, int]]:
        """What each control account must hold, from open amounts alone."""
        found: dict[tuple[str, str], tuple[int, int]] = {}
        for name, one in (*self.documents.items(), *self.money.items()):
            if one["status"] not in {"APPROVED", "COMPLETED"}:
                continue
            code = PLACES[one["side"]][0 if name in self.documents else 1]
            sign = one["side"] * (1 if one.get("debt") else -1)
            left, worth = self.open(name)
            before = found.get((code, one["currency"]), (0, 0))
            found[code, one["currency"]] = (before[0] + sign * left, before[1] + sign * worth)
        return found


DICTS: Final = tuple(one.name for one in fields(Company) if str(one.type).startswith("dict["))


def worthy(lines: Sequence[Line], currency: str, rate: int) -> list[Line]:
    """The lines with what they are worth; the rounding goes to the largest line of the side that is short."""
    made = [
        (code, minor, half_even(minor * rate, ONE) if worth is None or currency == BOOKS else worth, tagged)
        for code, minor, worth, tagged in lines
    ]
    fresh = [n for n, (_, _, worth, _) in enumerate(lines) if worth is None]
    over = sum(worth for _, _, worth, _ in made)
    if fresh and over and currency != BOOKS:
        n = max(fresh, key=lambda n: -lines[n][1] if over > 0 else lines[n][1])
        code, minor, worth, tagged = made[n]
        made[n] = (code, minor, worth - over, tagged)
    return list(made)


def levy(
    taxes: dict[str, dict[str, Any]], code: str, day: date
) -> tuple[Reasons, tuple[str, int, bool, bool] | None]:
    """A tax code as it is on a day: its kind, rate, whether it is on the duty too, and whether it is claimed back."""
    one = taxes.get(code)
    if one is None:
        return {"tax-code-unknown"}, None
    days = [since for since in one["rates"] if since <= day]
    why = set() if one["active"] else {"tax-code-inactive"}
    if not days:
        return why | {"tax-code-not-valid"}, None
    return why, (one["kind"], one["rates"][max(days)], one["on_duty"], one["recoverable"])


def taxed(
    taxes: dict[str, dict[str, Any]],
    side: int,
    day: date,
    lines: Sequence[dict[str, Any]],
    prices: str,
    rounding: str,
) -> tuple[Reasons, list[dict[str, Any]]]:
    """The lines of a document with their net value and taxes, or why they cannot be taxed."""
    why: set[str] = set()
    running: dict[str, Fraction] = {}
    made = []
    for line in lines:
        codes = line["codes"] or (line["category"],)
        levies = []
        for code in codes:
            if line["codes"]:
                more, found = levy(taxes, code, day)
                why |= more
            else:
                kind = "EXEMPT" if code == "EXEMPT" else "VAT"
                found = (kind, VAT[code], False, True)
            levies.append((code, found or ("VAT", 0, False, True)))
        kinds = ["VAT" if kind == "EXEMPT" else kind for _, (kind, *_) in levies]
        if len(set(kinds)) < len(kinds) or "WITHHOLDING" in kinds or (side > 0 and "ADVANCE" in kinds):
            why.add("tax-code-misplaced")
        levies.sort(key=lambda one: one[1][0] != "DUTY")
        price = half_even(line["price"] * line["quantity"], 1000)
        duty = sum((Fraction(rate, ONE) for _, (kind, rate, *_) in levies if kind == "DUTY"), Fraction(0))
        rates = [Fraction(rate, ONE) * (1 + duty * on_duty) for _, (_, rate, on_duty, _) in levies]
        net = Fraction(price) / (1 if prices == "EXCLUSIVE" else 1 + sum(rates))
        taken = []
        for (code, found), rate in zip(levies, rates, strict=True):
            before = running.get(code, Fraction(0)) if rounding == "DOCUMENT" else Fraction(0)
            running[code] = before + net * rate
            taken.append((code, found, round(running[code]) - round(before)))
        whole = sum(tax for *_, tax in taken)
        made.append(
            {**line, "net": price if prices == "EXCLUSIVE" else price - whole, "taxes": taken, "tax": whole}
        )
    return why, made


def is_code(code: str, kind: str) -> bool:
    kinds = ("ASSET", "LIABILITY", "EQUITY", "REVENUE", "EXPENSE")
    return (
        re.fullmatch(r"[1-5][0-9]{3}(-[0-9]{2}){0,4}", code) is not None and kinds[int(code[0]) - 1] == kind
    )


def next_month(day: date, months: int = 1) -> date:
    """The same day so many months later, or the last one of a shorter month."""
    first = date(day.year + (day.month - 1 + months) // 12, (day.month - 1 + months) % 12 + 1, 1)
    last = date(first.year + first.month // 12, first.month % 12 + 1, 1) - timedelta(days=1)
    return first.replace(day=min(day.day, last.day))
