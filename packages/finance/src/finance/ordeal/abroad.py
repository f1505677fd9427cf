"""What may be asked of the model about other currencies: their worth at the rate of a day, and that taken back."""

from datetime import date, timedelta
from typing import Final

from finance.ordeal.model import BOOKS, ONE, Company, Line, Reasons, Who, half_even, sized

BESIDE: Final = {"1200": "1290", "2000": "2090"}
"""Where what it is worth more or less stands, by the account; of cash, whose codes begin with 10, it is 1090."""


def revalue(c: Company, who: Who, *, day: date) -> Reasons:
    """Enter what money, receivables and payables are worth more or less, and take it back on the next day."""
    why = {"date-malformed"} if day > c.today else set()
    if day in c.revalued:
        why.add("currencies-revalued-already")
    following = day + timedelta(days=1)
    why |= c.admit(who, day, taxed=False) | c.admit(who, following, taxed=False)
    if any(c.rate(currency, day) is None for _, currency in _held(c, day)):
        why.add("rate-missing")
    figures = changed(c, day)
    lines: list[Line] = [(BESIDE.get(code, "1090"), more, None, False) for code, _, _, _, more in figures]
    if not lines:
        return why | {"nothing-to-revalue"}
    gained, lost = (sum(max(sign * minor, 0) for _, minor, *_ in lines) for sign in (1, -1))
    lines += [("4910", -gained, None, False)] if gained else []
    lines += [("5960", lost, None, False)] if lost else []
    name = f"V{day}/{c.undone.get(day, 0)}"
    about = {"makers": frozenset(), "currency": BOOKS, "day": day}
    why |= c.agreed(who, name, about, sum(max(minor, 0) for _, minor, *_ in lines), tuple(figures))
    c.change(name)
    why |= c.post(who, "AJ", day, BOOKS, lines, owner=_owner(day))
    entry = c.last_entry
    why |= c.turn(who, entry, following, owner=_owner(day))
    c.revalued[day] = (entry, c.last_entry)
    return why


def undo_revaluation(c: Company, who: Who, *, day: date, reason: str) -> Reasons:
    """Reverse the reversal, and then what it reversed, each on its own day."""
    if day not in c.revalued:
        return {"currencies-not-revalued"}
    why = set() if sized(reason, 10, 500) else {"text-malformed"}
    entry, back = c.revalued[day]
    one, following = c.entries[back], day + timedelta(days=1)
    debits = sum(max(minor, 0) for _, minor, *_ in one["lines"])
    why |= c.agreed(who, back, one, debits, "undo the revaluation")
    del c.revalued[day]
    c.change(back)
    why |= c.turn(who, back, following, owner=_owner(day))
    lines = [(code, -minor, None, False) for code, minor, *_ in c.entries[entry]["lines"]]
    c.undone[day] = c.undone.get(day, 0) + 1
    return why | c.post(who, "RJ", day, BOOKS, lines, owner=_owner(day))


def changed(c: Company, day: date) -> list[tuple[str, str, int, int, int]]:
    """What is worth something else at the rate of a day: account, currency, how much, its worth, and how much more."""
    found = []
    for (code, currency), (minor, worth) in sorted(_held(c, day).items()):
        rate = c.rate(currency, day)
        more = 0 if rate is None else half_even(minor * rate, ONE) - worth
        if more:
            found.append((code, currency, minor, worth, more))
    return found


def _owner(day: date) -> str:
    return f"V{day}"


def _held(c: Company, day: date) -> dict[tuple[str, str], tuple[int, int]]:
    """What is held of every other currency at the end of a day, and its worth, on accounts that are revalued."""
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for (code, currency, since), (minor, worth) in c.dated.items():
        cash = code.startswith("10") and c.accounts[code][0] == "ASSET"
        if since <= day and currency != BOOKS and (code in BESIDE or cash):
            before = found.get((code, currency), (0, 0))
            found[code, currency] = (before[0] + minor, before[1] + worth)
    return {place: sums for place, sums in found.items() if any(sums)}
