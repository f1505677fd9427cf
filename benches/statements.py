"""Whether the statements of one state of the books tie: pure functions over what the reports said.

A check counts what it looked at. One that looked at nothing cannot tell, and that is no pass.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

CASH: Final = "10"
CONTROLS: Final = {"SALES": (("1200", "2300"), 1), "PURCHASE": (("2000", "1400"), -1)}
"""The accounts of what is open with the partners of a side, and the sign of a debit in it."""

EARNING: Final = frozenset({"REVENUE", "EXPENSE"})
Reports = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What was compared, how much there was to compare, and what did not agree."""

    name: str
    looked: int
    faults: tuple[str, ...]

    @property
    def verdict(self) -> str:
        if self.faults:
            return "fail"
        return "pass" if self.looked else "cannot tell"


def amount(money: Mapping[str, str]) -> Decimal:
    return Decimal(money["amount"])


def held(trial_balance: Reports) -> dict[str, Decimal]:
    """Debits less credits by account code, of accounts that hold something."""
    nets = {
        one["accountCode"]: amount(one["debitBalance"]) - amount(one["creditBalance"])
        for one in trial_balance["entries"]
    }
    return {code: net for code, net in nets.items() if net}


def checked(name: str, looked: int, *claims: tuple[str, object, object]) -> Check:
    """A check of claims: what is compared, what was found, and what it should be."""
    faults = tuple(f"{what}: {found} is not {wanted}" for what, found, wanted in claims if found != wanted)
    return Check(name=name, looked=looked, faults=faults)


def all_of(reports: Reports) -> Iterator[Check]:
    """Every statement against the trial balance of the same moment."""
    nets = held(reports["trial balance"])
    types = {one["accountCode"]: one["accountType"] for one in reports["trial balance"]["entries"]}
    yield trial_balance(reports["trial balance"], nets)
    yield balance_sheet(reports["balance sheet"], nets, types)
    for side in CONTROLS:
        yield ageing(side, reports[f"ageing, {side.lower()}"], nets)
        yield statements(side, reports[f"statements, {side.lower()}"], reports[f"ageing, {side.lower()}"])
    yield cash_flow(reports["cash flow"], nets)
    yield vat_summary(reports["VAT summary"], nets)
    yield ledgers(reports["ledgers"], nets)
    yield numbers(reports["numbers"])


def trial_balance(told: Reports, nets: Mapping[str, Decimal]) -> Check:
    summary = told["summary"]
    return checked(
        "trial balance comes to nothing",
        len(nets),
        ("sum", sum(nets.values()), 0),
        ("debits and credits", amount(summary["totalDebits"]), amount(summary["totalCredits"])),
        ("isBalanced", summary["isBalanced"], True),
    )


def balance_sheet(told: Reports, nets: Mapping[str, Decimal], types: Mapping[str, str]) -> Check:
    """Against the trial balance: earnings are what accounts of revenue and expense hold, the rest is the rest."""
    earned = -sum((net for code, net in nets.items() if types[code] in EARNING), Decimal())
    assets = sum((net for code, net in nets.items() if types[code] == "ASSET"), Decimal())
    lines = [one for part in ("assets", "liabilities", "equity") for one in told[part]["lines"]]
    return checked(
        "balance sheet ties to the trial balance",
        len(lines),
        ("earnings", amount(told["earnings"]), earned),
        ("assets", amount(told["assets"]["total"]), assets),
        ("both sides", amount(told["liabilitiesAndEquity"]), assets),
        ("isBalanced", told["isBalanced"], True),
    )


def profit_to_sheet(told: Reports, sheet: Reports, *, closed: bool) -> Check:
    """The year's profit is in the sheet's earnings until a closing entry takes it away."""
    lines = len(told["revenue"]["lines"]) + len(told["expenses"]["lines"])
    profit = amount(told["revenue"]["total"]) - amount(told["expenses"]["total"])
    return checked(
        "profit and loss ties to the balance sheet",
        lines,
        ("profit", amount(told["profit"]), profit),
        ("earnings", amount(sheet["earnings"]), Decimal() if closed else profit),
    )


def ageing(side: str, told: Reports, nets: Mapping[str, Decimal]) -> Check:
    codes, sign = CONTROLS[side]
    control = sign * sum((nets.get(code, Decimal()) for code in codes), Decimal())
    items = [item for partner in told["partners"] for item in partner["items"]]
    return checked(
        f"sub-ledger of {side.lower()} is its control accounts",
        len(items),
        ("items", sum((amount(one["open"]) for one in items), Decimal()), control),
        ("total", amount(told["totals"]["total"]), control),
        ("control", amount(told["control"]), control),
    )


def statements(side: str, told: Iterable[Reports], aged: Reports) -> Check:
    """Of some partners: what the statement ends with is what ageing says is open."""
    open_by = {one["partnerId"]: amount(one["buckets"]["total"]) for one in aged["partners"]}
    several = list(told)
    return checked(
        f"statements of {side.lower()} end with what is open",
        sum(len(one["movements"]) for one in several),
        *((one["partnerId"], amount(one["closingBalance"]), open_by[one["partnerId"]]) for one in several),
    )


def cash_flow(told: Reports, nets: Mapping[str, Decimal]) -> Check:
    cash = sum((net for code, net in nets.items() if code.startswith(CASH)), Decimal())
    flows = sum((amount(one["total"]) for one in told["activities"]), Decimal())
    return checked(
        "cash flow is what the cash accounts changed by",
        sum(len(one["lines"]) for one in told["activities"]),
        ("closing", amount(told["closingBalance"]), cash),
        ("opening and flows", amount(told["openingBalance"]) + flows, cash),
        ("isTied", told["isTied"], True),
    )


@dataclass(slots=True, kw_only=True)
class Booked:
    """What the bank's lines were booked as: lines that were, how many there are, and the entries on the other side."""

    lines: int = 0
    told: Decimal = Decimal()
    entries: set[str] = field(default_factory=set)
    moved: Decimal = Decimal()
    met: set[str] = field(default_factory=set)

    def add_line(self, line: Reports) -> None:
        self.lines += 1
        if line["journalIds"]:
            self.told += amount(line["amount"])
            self.entries.update(line["journalIds"])

    def add_movement(self, movement: Reports) -> None:
        if movement["journalId"] in self.entries:
            self.met.add(movement["journalId"])
            self.moved += amount(movement["debit"]) - amount(movement["credit"])


def reconciled(told: Reports, booked: Booked, nets: Mapping[str, Decimal], code: str) -> Check:
    """What the bank knows and the books do not is nothing: it was matched with payments, or booked."""
    book, expected = amount(told["bookBalance"]), amount(told["expectedBalance"])
    return checked(
        "books and bank are reconciled",
        booked.lines,
        ("book balance", book, nets.get(code, Decimal())),
        ("lines that nothing explains", amount(told["unmatchedLinesTotal"]), Decimal()),
        ("what the bank should hold", expected, book - amount(told["unmatchedPaymentsTotal"])),
        ("booked from lines", -booked.moved, booked.told),
        ("entries of lines", booked.met, booked.entries),
    )


def vat_summary(told: Reports, nets: Mapping[str, Decimal]) -> Check:
    """The books begin with the year, so that a tax account holds what moved in it."""
    return checked(
        "VAT summary ties to the tax accounts",
        len(told["lines"]),
        *(
            (f"account {one['accountCode']}", abs(amount(one["moved"])), abs(nets.get(one["accountCode"], 0)))
            for one in told["accounts"]
        ),
        ("due", amount(told["due"]), amount(told["outputTax"]) - amount(told["inputTax"])),
        ("isTied", told["isTied"], True),
    )


def ledgers(told: Mapping[str, Reports], nets: Mapping[str, Decimal]) -> Check:
    return checked(
        "each account's ledger ends with what it holds",
        sum(one["count"] for one in told.values()),
        *(
            (f"account {code}", amount(one["closingBalance"]), nets.get(code, 0))
            for code, one in told.items()
        ),
        ("accounts", set(nets) - set(told), set()),
    )


def numbers(told: Iterable[Reports]) -> Check:
    several = list(told)
    return checked(
        "numbers have no gaps and none is there twice",
        sum(one["count"] for one in several),
        *((one["series"], [*one["missing"], *one["repeated"]], []) for one in several),
    )


@dataclass(slots=True)
class Walk:
    """A walk over the movements of an account: how many were met, and whether each balance follows from the last."""

    balance: Decimal
    many: int = 0
    broken: str = ""

    def add(self, movement: Reports) -> None:
        self.many += 1
        self.balance += amount(movement["debit"]) - amount(movement["credit"])
        if self.balance != amount(movement["balance"]):
            self.broken = self.broken or f"movement {self.many}"


def walked(walk: Walk, whole: Reports) -> Check:
    return checked(
        "a walk over the largest account meets every movement",
        walk.many,
        ("movements", walk.many, whole["count"]),
        ("last balance", walk.balance, amount(whole["closingBalance"])),
        ("a balance that does not follow", walk.broken, ""),
    )


@dataclass(slots=True)
class Later:
    """What entries moved that became known later: sums by account code, and how many entries; `codes` by account id."""

    codes: Mapping[str, str]
    moved: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    many: int = 0

    def add(self, entry: Reports) -> None:
        self.many += 1
        for line in entry["lines"]:
            debit, credit = (line[f"base{side}"] or line[side.lower()] for side in ("Debit", "Credit"))
            self.moved[self.codes[line["accountId"]]] += amount(debit) - amount(credit)


def explained(now: Reports, then: Reports, later: Later) -> Check:
    """The difference between a trial balance as it is known and as it was is what was posted later."""
    now_held, then_held = held(now), held(then)
    return checked(
        "what became known later explains the difference",
        later.many,
        *(
            (f"account {code}", now_held.get(code, 0) - then_held.get(code, 0), later.moved.get(code, 0))
            for code in sorted({*now_held, *then_held, *later.moved})
        ),
    )


def closed(before: Reports, after: Reports, profit: Decimal, earnings: str) -> Check:
    """A closed year: nothing is left on accounts of revenue and expense, and retained earnings have the profit."""
    was, now = held(before), held(after)
    types = {one["accountCode"]: one["accountType"] for told in (before, after) for one in told["entries"]}
    left = {code: net for code, net in now.items() if types[code] in EARNING}
    return checked(
        "the year's profit went to retained earnings, all of it",
        sum(types[code] in EARNING for code in was),
        ("left", left, {}),
        ("retained earnings", was.get(earnings, 0) - now.get(earnings, 0), profit),
    )


def same(before: Mapping[str, Any], after: Mapping[str, Any], name: str) -> Check:
    """Two sets of reports, one by one."""
    return checked(name, len(before), *((what, after.get(what), told) for what, told in before.items()))
