"""What a tax return is made from: values and taxes by code, from posted entries alone, tied to the tax accounts.

A line with a tax account's name on it is tax; a line elsewhere with a code is the value that was taxed. Lines of tax
accounts that no document posted - a return that was paid, a correction by hand without a code - are told apart.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from finance import chart
from finance.report import Balance
from finance.taxation import TOGETHER

OUTPUT, INPUT, WITHHELD_FROM_US, WITHHELD_BY_US = "OUTPUT", "INPUT", "WITHHELD_FROM_US", "WITHHELD_BY_US"
SECTIONS: Final = {
    **dict.fromkeys(chart.OUTPUT_TAXES, OUTPUT),
    **dict.fromkeys(chart.INPUT_TAXES, INPUT),
    chart.WITHHELD_BY_CUSTOMERS: WITHHELD_FROM_US,
    chart.WITHHELD_PAYABLE: WITHHELD_BY_US,
}
"""The part of a return that each tax account belongs to, by its code."""

CREDIT_NORMAL: Final = frozenset({OUTPUT, WITHHELD_BY_US})
DOCUMENTS: Final = {"SALES": OUTPUT, "PURCHASE": INPUT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Debits less credits on an account, by code and by the kind of entry; of a reversal, its original's kind."""

    account_id: str
    tax_code: str | None
    journal_type: str
    net_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Taxed:
    """What was taxed with a code, and the tax; both positive where more was sold, bought or withheld.

    `code` is None for documents from before there were codes.
    """

    section: str
    code: str | None
    value_minor: int
    tax_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A tax account: what moved on it; what of that is returned, and what no document posted. Debits less credits."""

    balance: Balance
    returned_minor: int
    other_minor: int

    @property
    def ties(self) -> bool:
        return self.balance.net_minor == self.returned_minor + self.other_minor


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """`lines` by section and code; `accounts` in the order of their codes."""

    lines: tuple[Taxed, ...]
    accounts: tuple[Held, ...]

    def tax_minor(self, section: str) -> int:
        return sum(one.tax_minor for one in self.lines if one.section == section)

    @property
    def due_minor(self) -> int:
        """Output less input; what was withheld is settled apart."""
        return self.tax_minor(OUTPUT) - self.tax_minor(INPUT)

    @property
    def is_tied(self) -> bool:
        return all(one.ties for one in self.accounts)


def summary(rows: Iterable[Row], balances: Iterable[Balance], sections: Mapping[str, str]) -> Summary:
    """The return of a window; `sections` by the ids of the tax accounts, `balances` of every account in it."""
    held = {one.account.id: one for one in balances}
    values: dict[tuple[str, str | None], int] = defaultdict(int)
    taxes: dict[tuple[str, str | None], int] = defaultdict(int)
    returned: dict[str, int] = defaultdict(int)
    other: dict[str, int] = defaultdict(int)
    for row in rows:
        section = sections.get(row.account_id)
        if section is None:
            account = held.get(row.account_id)
            side = _side(row.journal_type, account.account.account_type if account else "")
            for code in (row.tax_code or "").split(TOGETHER):
                values[side, code] += row.net_minor
        elif row.tax_code is None and row.journal_type not in DOCUMENTS:
            other[row.account_id] += row.net_minor
        else:
            returned[row.account_id] += row.net_minor
            taxes[section, row.tax_code] += row.net_minor
    lines = [
        Taxed(
            section=section,
            code=code,
            value_minor=_positive(section, values[section, code]),
            tax_minor=_positive(section, taxes[section, code]),
        )
        for section, code in sorted({*values, *taxes}, key=lambda one: (one[0], one[1] or ""))
    ]
    accounts = [
        Held(balance=held[one], returned_minor=returned[one], other_minor=other[one])
        for one in held
        if one in sections
    ]
    return Summary(lines=tuple(lines), accounts=tuple(accounts))


def _side(journal_type: str, account_type: str) -> str:
    """Whether a value was sold or bought: as its document says, or by hand, as its account does."""
    return DOCUMENTS.get(journal_type, OUTPUT if account_type == "REVENUE" else INPUT)


def _positive(section: str, net_minor: int) -> int:
    return -net_minor if section in CREDIT_NORMAL else net_minor
