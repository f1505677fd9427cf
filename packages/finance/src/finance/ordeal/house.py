"""What may be asked of the model about accounts, entries by hand, periods and years, rates and rules, and templates."""

from datetime import date
from typing import Any

from finance.ordeal.model import (
    BOOKS,
    CONTROLS,
    KEPT,
    ORDER,
    POSTED_TO,
    Company,
    Line,
    Reasons,
    Who,
    is_code,
    next_month,
    part,
    sized,
    year_of,
)

# Accounts


def open_account(
    c: Company, _: Who, *, code: str, title: str, kind: str, currency: str, parent: str | None
) -> Reasons:
    why = set() if is_code(code, kind) else {"account-code-malformed"}
    if not sized(title, 3, 255):
        why.add("text-malformed")
    above = c.accounts.get(parent) if parent else None
    if parent and above is None:
        why.add("not-found")
    if above and not above[3]:
        why.add("account-inactive")
    if above and above[:2] != (kind, currency):
        why.add("account-parent-impossible")
    if code in c.accounts:
        why.add("account-code-taken")
    c.accounts[code] = (kind, currency, parent, True)
    return why


def close_account(c: Company, _: Who, *, code: str, reason: str) -> Reasons:
    if code not in c.accounts:
        return {"not-found"}
    kind, currency, parent, active = c.accounts[code]
    why = set() if active else {"account-inactive"}
    if any(any(sums) for (one, _), sums in c.held.items() if one == code):
        why.add("account-not-empty")
    if any(above == code and is_active for _, _, above, is_active in c.accounts.values()):
        why.add("account-has-children")
    if code in POSTED_TO:
        why.add("account-needed")
    if not sized(reason, 3, 500):
        why.add("text-malformed")
    c.accounts[code] = (kind, currency, parent, False)
    return why


# Entries by hand


def write(
    c: Company, who: Who, *, name: str, day: date, currency: str, lines: list[tuple[str, int]], post: bool
) -> Reasons:
    """Draft an entry, and post it at once where asked to."""
    why = {"journal-line-one-sided"} if any(not minor for _, minor in lines) else set()
    whole: list[Line] = [(code, minor, None, False) for code, minor in lines]
    why |= _written(c, whole, currency)
    c.entries[name] = {
        "day": day,
        "currency": currency,
        "lines": tuple(whole),
        "owner": None,
        "status": "DRAFT",
        "makers": frozenset({who.name}),
    }
    c.change(name)
    return why | (book(c, who, name=name) if post else set())


def _written(c: Company, lines: list[Line], currency: str) -> Reasons:
    controlled = any(code in KEPT for code, *_ in lines)
    return c.fits(lines, currency) | ({"account-controlled"} if controlled else set())


def add_line(c: Company, who: Who, *, name: str, line: tuple[str, int]) -> Reasons:
    one = c.entries.get(name)
    if one is None:
        return {"not-found"}
    lines = [*one["lines"], (*line, None, False)]
    why = set() if one["status"] == "DRAFT" else {"journal-not-draft"}
    why |= _written(c, lines, one["currency"])
    if not line[1]:
        why.add("journal-line-one-sided")
    makers = one.get("makers", frozenset()) | {who.name}
    c.entries[name] = {**one, "lines": tuple(lines), "makers": makers}
    c.change(name)
    return why


def book(c: Company, who: Who, *, name: str) -> Reasons:
    """Post a draft."""
    one = c.entries.get(name)
    if one is None:
        return {"not-found"}
    if one["status"] != "DRAFT":
        return {"journal-not-draft"}
    lines, currency, day = list(one["lines"]), one["currency"], one["day"]
    why = {"journal-too-short"} if len(lines) < 2 else set()
    if sum(minor for _, minor, *_ in lines):
        why.add("journal-unbalanced")
    if why:
        return why
    if c.rate(currency, day) is None and any(day_ <= c.today for day_ in c.rules):
        why.add("rate-missing")
    debits = sum(minor for _, minor, *_ in lines if minor > 0)
    why |= c.agreed(who, name, one, c.valued(one, debits))
    c.change(name)
    del c.entries[name]
    more = c.post(who, "GJ", day, currency, lines, name=name, makers=one["makers"])
    return why | more | _written(c, lines, currency)


def reverse(c: Company, who: Who, *, entry: str, name: str, on: date, reason: str | None) -> Reasons:
    if entry not in c.entries:
        return {"not-found"}
    why: Reasons = set()
    if reason is None and any(day <= c.today for day in c.rules):
        why.add("reason-missing")
    if reason is not None and not sized(reason, 10, 500):
        why.add("text-malformed")
    one = c.entries[entry]
    worth = sum(worth or 0 for _, _, worth, _ in one["lines"] if (worth or 0) > 0)
    why |= c.agreed(who, entry, one, worth, ("reverse", on))
    c.change(entry)
    return why | c.turn(who, entry, on, owner=None, new=name)


# Time


def set_rate(c: Company, _: Who, *, currency: str, day: date, rate: int) -> Reasons:
    c.rates[currency, day] = rate
    return {"rate-malformed"} if currency == BOOKS or rate <= 0 else set()


def close_period(c: Company, _: Who, *, period: tuple[int, int], to: str) -> Reasons:
    status = c.periods.get(period, "OPEN")
    c.periods[period] = to
    if status == "LOCKED":
        return {"period-locked"}
    if ORDER.index(to) <= ORDER.index(status):
        return {"period-closed"}
    why = {"period-not-closed"} if to == "LOCKED" and status != "CLOSED" else set()
    year, number = period
    if to == "LOCKED" and number == 12 and c.years.get(year, ("OPEN", ()))[0] == "OPEN":
        why.add("year-not-closed")
    return why


def open_period(c: Company, _: Who, *, period: tuple[int, int], reason: str) -> Reasons:
    status = c.periods.get(period, "OPEN")
    why = set() if sized(reason, 10, 500) else {"text-malformed"}
    c.periods[period] = "OPEN"
    if any(year >= period[0] and closed != "OPEN" for year, (closed, _) in c.years.items()):
        why.add("year-out-of-order")
    return why | {"LOCKED": {"period-locked"}, "OPEN": {"period-not-closed"}}.get(status, set())


def lock_taxes(c: Company, _: Who, *, through: date) -> Reasons:
    before, c.taxes_locked = c.taxes_locked, through
    return {"tax-lock-out-of-order"} if before is not None and through <= before else set()


def unlock_taxes(c: Company, _: Who, *, through: date | None, reason: str) -> Reasons:
    before, c.taxes_locked = c.taxes_locked, through
    why = set() if sized(reason, 10, 500) else {"text-malformed"}
    if before is None or (through is not None and through >= before):
        why.add("tax-lock-out-of-order")
    return why


def close_year(c: Company, who: Who, *, year: int, to: str) -> Reasons:
    status, names = c.years.get(year, ("OPEN", ()))
    why: Reasons = {"date-malformed"} if date(year, 7, 1) > c.today else set()
    last, periods = (year, 12), [(year, number) for number in range(1, 13)]
    if status == "OPEN":
        if any(any(sums) for sums in _earned(c, range(year)).values()):
            return {"year-out-of-order"}
        if c.periods.get(last) == "LOCKED":
            return {"period-locked"}
        c.periods[last] = "OPEN"
        names = ()
        by_currency: dict[str, list[Line]] = {}
        for (code, currency), (minor, worth) in sorted(_earned(c, range(year, year + 1)).items()):
            if minor or worth:
                by_currency.setdefault(currency, []).append((code, -minor, -worth, False))
        for currency, lines in sorted(by_currency.items()):
            own = (sum(minor for _, minor, *_ in lines), sum(worth or 0 for *_, worth, _ in lines))
            whole = [*lines, ("3900", -own[0], -own[1], False)]
            kept = [line for line in whole if line[1] or line[2]]
            why |= c.post(who, "CJ", date(year + 1, 6, 30), currency, kept, owner=f"FY{year}")
            names = (*names, c.last_entry)
    for period in periods:
        if to == "LOCKED":
            c.periods[period] = "LOCKED"
        elif c.periods.get(period, "OPEN") in {"OPEN", "SOFT_CLOSED"}:
            c.periods[period] = "CLOSED"
    c.years[year] = ("LOCKED" if "LOCKED" in {to, status} else "CLOSED", names)
    return why


def _earned(c: Company, years: range) -> dict[tuple[str, str], tuple[int, int]]:
    """What accounts of revenue and expense hold of these years: those of the books only their worth, as amount too."""
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for (code, currency, day), (minor, worth) in c.dated.items():
        kind, own, *_ = c.accounts[code]
        if kind in {"REVENUE", "EXPENSE"} and year_of(day) in years:
            before = found.get((code, own), (0, 0))
            amount = worth if own == BOOKS else minor if own == currency else 0
            found[code, own] = (before[0] + amount, before[1] + worth)
    return found


def open_year(c: Company, who: Who, *, year: int, reason: str) -> Reasons:
    status, names = c.years.get(year, ("OPEN", ()))
    if status != "CLOSED":
        return {"period-locked" if status == "LOCKED" else "year-not-closed"}
    why = set() if sized(reason, 10, 500) else {"text-malformed"}
    c.years[year] = ("OPEN", ())
    if c.closed_since(date(year, 7, 1)):
        why.add("year-out-of-order")
    if c.periods.get((year, 12)) == "LOCKED":
        why.add("period-locked")
    c.periods[year, 12] = "OPEN"
    for name in names:
        why |= c.turn(who, name, date(year + 1, 6, 30), owner=f"FY{year}")
    return why


# Rules


def set_rule(
    c: Company, _: Who, *, day: date, four_eyes: bool, tiers: tuple[tuple[int, int, bool], ...], reason: str
) -> Reasons:
    ruled = any(since <= c.today for since in c.rules)
    why = set() if sized(reason, 10, 500) else {"text-malformed"}
    edges = [above for above, *_ in tiers]
    if day < c.today or (ruled and day == c.today) or edges != sorted(set(edges)):
        why.add("authority-malformed")
    c.rules[day] = (four_eyes, tiers)
    return why


def adopt(c: Company, _: Who) -> Reasons:
    """The codes of the Bangladesh pack that are used here; those that are there stay as they are."""
    since = date(2019, 7, 1)
    for code, kind, rate, on_duty, recoverable in (
        ("VAT15", "VAT", 1500, True, True),
        ("VAT7.5", "VAT", 750, True, False),
        ("VAT0", "VAT", 0, False, True),
        ("EXEMPT", "EXEMPT", 0, False, True),
        ("SD20", "DUTY", 2000, False, False),
        ("AT5", "ADVANCE", 500, False, True),
        ("TDS5", "WITHHOLDING", 500, False, True),
    ):
        one = {
            "kind": kind,
            "rates": {since: rate},
            "on_duty": on_duty,
            "recoverable": recoverable,
            "active": True,
        }
        c.taxes.setdefault(code, one)
    c.serials = True
    return set()


def set_tax(c: Company, _: Who, *, code: str, day: date, rate: int) -> Reasons:
    one = c.taxes.get(code)
    if one is None:
        return {"tax-code-unknown"}
    c.taxes[code] = {**one, "rates": {**one["rates"], day: rate}}
    return {"tax-code-malformed"} if rate < 0 or (one["kind"] == "EXEMPT" and rate) else set()


def turn_tax(c: Company, _: Who, *, code: str, active: bool, reason: str) -> Reasons:
    one = c.taxes.get(code)
    if one is None:
        return {"tax-code-unknown"}
    why = set() if sized(reason, 10, 500) else {"text-malformed"}
    c.taxes[code] = {**one, "active": active}
    return why | ({"tax-code-inactive"} if not active and not one["active"] else set())


# Templates


def plan(
    c: Company,
    who: Who,
    *,
    name: str,
    kind: str,
    start: date,
    lines: list[tuple[str, int]],
    months: int,
    by: str | None,
) -> Reasons:
    """A template of every month: of these lines, times a figure of the day that its formula goes `by`; or of what so
    many months take of the first one's amount.
    """
    why = {"account-controlled"} if any(code in CONTROLS for code, _ in lines) else set()
    if sum(minor for _, minor in lines):
        why.add("journal-unbalanced")
    c.templates[name] = {
        "kind": kind,
        "start": start,
        "lines": lines,
        "months": months,
        "by": by,
        "total": sum(minor for _, minor in lines if minor > 0) * figure(by, start),
        "status": "DRAFT",
        "runs": 0,
        "makers": frozenset({who.name}),
    }
    c.change(name)
    return why


def adopt_plan(c: Company, who: Who, *, name: str) -> Reasons:
    one = c.templates.get(name)
    if one is None:
        return {"not-found"}
    if one["status"] != "DRAFT":
        return {"template-not-active"}
    why = c.agreed(who, name, one, one["total"])
    c.templates[name] = {**one, "status": "ACTIVE"}
    c.change(name)
    return why


def run(c: Company, who: Who, *, name: str, through: date) -> Reasons:
    one = c.templates.get(name)
    why = {"date-malformed"} if through > c.today else set()
    if one is None:
        return why | {"not-found"}
    number, series = one["runs"], "GJ" if one["kind"] == "RECURRING" else "AJ"
    while one["status"] == "ACTIVE" and number < one["runs"] + 60:
        day = next_month(one["start"], number)
        if day > through or (one["kind"] == "DEPRECIATION" and number >= one["months"]):
            break
        of_day = figure(one["by"], day)
        lines: list[Line] = [
            (code, _month(one, minor, number) * of_day, None, False) for code, minor in one["lines"]
        ]
        number += 1
        if not any(minor for _, minor, *_ in lines):
            why |= c.admit(
                who, day, taxed=False
            )  # a day that comes to nothing is a day of its period all the same
            continue
        why |= c.post(who, series, day, BOOKS, lines)
        if one["kind"] == "ACCRUAL":
            following = next_month(day.replace(day=1))
            why |= c.turn(who, c.last_entry, following, owner=None)
    if one["status"] != "ACTIVE":
        why.add("template-not-active")
    c.templates[name] = {**one, "runs": number}
    c.change(name)
    return why


def figure(by: str | None, day: date) -> int:
    """What a formula knows of a day by this name."""
    return {
        None: 1,
        "MONTH": day.month,
        "DAYS_IN_MONTH": (next_month(day.replace(day=1)) - day.replace(day=1)).days,
    }[by]


def _month(one: dict[str, Any], minor: int, number: int) -> int:
    if one["kind"] != "DEPRECIATION":
        return minor
    months = one["months"]
    return part(minor, number + 1, months) - part(minor, number, months)


def end_plan(c: Company, _: Who, *, name: str, reason: str) -> Reasons:
    one = c.templates.get(name)
    if one is None:
        return {"not-found"}
    why = set() if sized(reason, 10, 500) else {"text-malformed"}
    if one["status"] == "ENDED":
        why.add("template-not-active")
    c.templates[name] = {**one, "status": "ENDED"}
    c.change(name)
    return why
