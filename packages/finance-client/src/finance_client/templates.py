"""Journal entries that come again and again."""

from datetime import date
from decimal import Decimal
from typing import Literal

from finance_client.operation import Asked, mutation, query, whole
from finance_client.subject import MOST, Subject, command
from finance_client.value import Answer, Currency, Given, Money

JournalTemplateKind = Literal["RECURRING", "ACCRUAL", "DEPRECIATION", "PROVISION"]
Frequency = Literal["DAILY", "WEEKLY", "MONTHLY", "QUARTERLY", "YEARLY"]
JournalTemplateStatus = Literal["DRAFT", "ACTIVE", "ENDED"]
DepreciationMethod = Literal["STRAIGHT_LINE", "DECLINING"]


class JournalTemplateLine(Answer, frozen=True, kw_only=True):
    """One side of one account, as a formula: amounts, MONTH, YEAR, DAY, DAYS_IN_MONTH, + - * / and parentheses."""

    account_id: str
    debit: str | None = None
    credit: str | None = None
    description: str | None = None


class DepreciatedAsset(Answer, frozen=True, kw_only=True):
    """What is depreciated."""

    method: str
    cost: Money
    salvage: Money
    life_months: int
    expense_account_id: str
    accumulated_account_id: str
    depreciated: Money


class JournalTemplate(Answer, frozen=True, kw_only=True):
    """A journal entry that comes again and again."""

    id: str
    kind: str
    name: str
    status: str
    currency: str
    frequency: str
    starts_on: date
    lines: tuple[JournalTemplateLine, ...]
    runs: int
    due_on: tuple[date, ...]
    journal_ids: tuple[str, ...]
    version: int
    ends_on: date | None = None
    asset: DepreciatedAsset | None = None
    last_run_on: date | None = None


class NewTemplateLine(Given, frozen=True, kw_only=True):
    """One side of one account: a debit or a credit, as a formula of at most 200 characters."""

    account_id: str
    debit: str | None = None
    credit: str | None = None
    description: str | None = None


class NewAsset(Given, frozen=True, kw_only=True):
    """What is to be depreciated."""

    method: DepreciationMethod
    cost: Decimal
    life_months: int
    expense_account_id: str
    accumulated_account_id: str
    salvage: Decimal = Decimal(0)


class NewTemplate(Given, frozen=True, kw_only=True):
    """A template to be drafted: lines, or an asset for DEPRECIATION."""

    kind: JournalTemplateKind
    name: str
    frequency: Frequency
    starts_on: date
    currency: Currency = "BDT"
    ends_on: date | None = None
    lines: tuple[NewTemplateLine, ...] = ()
    asset: NewAsset | None = None


CREATE = mutation("createJournalTemplate", JournalTemplate, "$input: JournalTemplateInput!")
APPROVE = mutation("approveJournalTemplate", JournalTemplate, "$id: ID!")
END = mutation("endJournalTemplate", JournalTemplate, "$id: ID!", "$reason: String!")
RUN = mutation("runJournalTemplate", JournalTemplate, "$id: ID!", "$through: Date!")
ONE = query("journalTemplate", JournalTemplate, "$id: ID!")
ALL = whole("journalTemplates", JournalTemplate, "$status: JournalTemplateStatus")
DUE = whole("dueJournalTemplates", JournalTemplate, "$on: Date!")


class Templates(Subject):
    """Journal entries that come again and again."""

    @command
    def create(self, new: NewTemplate, *, key: str | None = None) -> Asked[JournalTemplate]:
        """Draft one; it is not run before it is approved."""
        return Asked(CREATE, key, {"input": new})

    @command
    def approve(self, template_id: str, *, key: str | None = None) -> Asked[JournalTemplate]:
        return Asked(APPROVE, key, {"id": template_id})

    @command
    def end(self, template_id: str, *, reason: str, key: str | None = None) -> Asked[JournalTemplate]:
        """For good; what it posted stays."""
        return Asked(END, key, {"id": template_id, "reason": reason})

    @command
    def run(self, template_id: str, *, through: date, key: str | None = None) -> Asked[JournalTemplate]:
        """Post every day that is due, each once, at most 60; rehearsed, it shows days to come as well."""
        return Asked(RUN, key, {"id": template_id, "through": through})

    def get(self, template_id: str) -> JournalTemplate | None:
        return self._find(ONE, id=template_id)

    def all(self, status: JournalTemplateStatus | None = None) -> tuple[JournalTemplate, ...]:
        """Newest first."""
        return self._whole(ALL, lambda one: one.id, status=status)

    def due(self, on: date) -> tuple[JournalTemplate, ...]:
        """Those with a day that is due and was not run; `due_on` says which.

        The service tells a page of active templates less those with nothing due, so that a short page is not the last
        one: how many are active says where the end is.
        """
        active = len(self.all("ACTIVE"))
        pages = (self._part(DUE, offset, {"on": on}) for offset in range(0, max(active, 1), MOST))
        return tuple({one.id: one for page in pages for one in page}.values())
