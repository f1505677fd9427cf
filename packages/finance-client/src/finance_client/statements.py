"""What reports answer with. Each `figure` can be given to `reports.figure_entries`."""

from datetime import date

import msgspec

from finance_client.accounts import Account
from finance_client.value import Answer, Money


class Partner(Answer, frozen=True, kw_only=True):
    """A customer or vendor as master data knows it; the name is None where master data does not answer."""

    id: str
    name: str | None = None
    tin: str | None = None
    bin: str | None = None


class HeldAccount(Answer, frozen=True, kw_only=True):
    """A line of the trial balance."""

    account_id: str
    account_code: str
    account_name: str
    account_type: str
    debit_balance: Money
    credit_balance: Money
    net_balance: Money
    net_with_below: Money
    figure: str
    parent_account_id: str | None = None


class TrialBalanceSummary(Answer, frozen=True, kw_only=True):
    """The totals, which tie or the ledger is broken."""

    total_debits: Money
    total_credits: Money
    is_balanced: bool
    variance: Money
    account_count: int


class TrialBalance(Answer, frozen=True, kw_only=True):
    """What every account held at the end of a day."""

    fiscal_year: str
    as_of_date: date
    entries: tuple[HeldAccount, ...]
    summary: TrialBalanceSummary
    known_on: date | None = None


class ReportLine(Answer, frozen=True, kw_only=True):
    """One account's part of a report."""

    account_id: str
    account_code: str
    account_name: str
    amount: Money
    figure: str


class Section(Answer, frozen=True, kw_only=True):
    """Accounts of one type that hold something, in the order of their codes, and their sum."""

    lines: tuple[ReportLine, ...]
    total: Money
    figure: str


class ProfitAndLoss(Answer, frozen=True, kw_only=True):
    """What was earned and spent."""

    first_on: date = msgspec.field(name="from")
    last_on: date = msgspec.field(name="to")
    revenue: Section
    expenses: Section
    profit: Money
    figure: str


class BalanceSheet(Answer, frozen=True, kw_only=True):
    """What the company has, owes and is worth."""

    as_of: date
    assets: Section
    liabilities: Section
    equity: Section
    earnings: Money
    earnings_figure: str
    liabilities_and_equity: Money
    is_balanced: bool


class Activity(Answer, frozen=True, kw_only=True):
    """Money for one purpose, by the accounts on the other side."""

    activity: str
    lines: tuple[ReportLine, ...]
    total: Money
    figure: str


class CashFlow(Answer, frozen=True, kw_only=True):
    """Where money came from and went to."""

    first_on: date = msgspec.field(name="from")
    last_on: date = msgspec.field(name="to")
    activities: tuple[Activity, ...]
    opening_balance: Money
    opening_figure: str
    closing_balance: Money
    closing_figure: str
    is_tied: bool


class Buckets(Answer, frozen=True, kw_only=True):
    """What is open, by how many days it is overdue; credits pay nothing yet."""

    not_due: Money
    days_1_to_30: Money = msgspec.field(name="days1To30")
    days_31_to_60: Money = msgspec.field(name="days31To60")
    days_61_to_90: Money = msgspec.field(name="days61To90")
    over_90: Money = msgspec.field(name="over90")
    credits: Money
    total: Money


class OpenItem(Answer, frozen=True, kw_only=True):
    """What is open of one document or payment."""

    id: str
    due_date: date
    open: Money
    figure: str


class AgedPartner(Answer, frozen=True, kw_only=True):
    """What is open with one partner."""

    buckets: Buckets
    items: tuple[OpenItem, ...]
    figure: str
    partner_id: str | None = None
    partner: Partner | None = None


class Ageing(Answer, frozen=True, kw_only=True):
    """Receivables or payables by age."""

    side: str
    as_of: date
    partners: tuple[AgedPartner, ...]
    totals: Buckets
    control: Money
    figure: str


class Movement(Answer, frozen=True, kw_only=True):
    """A line of a posted entry, and what the account held after it."""

    dated: date = msgspec.field(name="date")
    journal_number: str
    journal_id: str
    description: str
    debit: Money
    credit: Money
    balance: Money
    figure: str
    balance_figure: str
    document_id: str | None = None


class GeneralLedger(Answer, frozen=True, kw_only=True):
    """An account between two days; `movements` walks what moved."""

    account: Account
    opening_balance: Money
    opening_figure: str
    count: int
    closing_balance: Money
    closing_figure: str


class Statement(Answer, frozen=True, kw_only=True):
    """What happened between the company and a partner."""

    partner_id: str
    side: str
    first_on: date = msgspec.field(name="from")
    last_on: date = msgspec.field(name="to")
    opening_balance: Money
    opening_figure: str
    movements: tuple[Movement, ...]
    closing_balance: Money
    closing_figure: str
    partner: Partner | None = None


class VatLine(Answer, frozen=True, kw_only=True):
    """What was taxed with one code."""

    section: str
    value: Money
    tax: Money
    value_figure: str
    tax_figure: str
    tax_code: str | None = None


class TaxAccount(Answer, frozen=True, kw_only=True):
    """What moved on one tax account."""

    account_id: str
    account_code: str
    account_name: str
    moved: Money
    figure: str
    returned: Money
    other: Money


class VatSummary(Answer, frozen=True, kw_only=True):
    """What a return is made from."""

    first_on: date = msgspec.field(name="from")
    last_on: date = msgspec.field(name="to")
    lines: tuple[VatLine, ...]
    output_tax: Money
    input_tax: Money
    due: Money
    accounts: tuple[TaxAccount, ...]
    is_tied: bool
    known_on: date | None = None


class FigureEntry(Answer, frozen=True, kw_only=True):
    """A line of an entry that a figure is made of; `amount` is its part of the figure."""

    dated: date = msgspec.field(name="date")
    account_id: str
    journal_number: str
    journal_id: str
    description: str
    debit: Money
    credit: Money
    amount: Money
    document_id: str | None = None
    partner_id: str | None = None


class Figure(Answer, frozen=True, kw_only=True):
    """What a figure comes to, and of how many lines it is made."""

    amount: Money
    total_count: int
