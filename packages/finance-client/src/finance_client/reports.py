"""Reports, between days and as known until the end of a day (UTC); and the way from a figure to its entries."""

from collections.abc import Iterator
from datetime import date

from finance_client.journals import Sourced
from finance_client.operation import listed, query
from finance_client.statements import (
    Ageing,
    BalanceSheet,
    CashFlow,
    Figure,
    FigureEntry,
    GeneralLedger,
    Movement,
    ProfitAndLoss,
    Statement,
    TrialBalance,
    VatSummary,
)
from finance_client.subject import Subject
from finance_client.value import Currency, Side


class TracedEntry(FigureEntry, frozen=True, kw_only=True):
    """A line of an entry that a figure is made of, with where the entry comes from."""

    journal: Sourced


TRIAL_BALANCE = query("trialBalance", TrialBalance, "$input: TrialBalanceInput!")
GENERAL_LEDGER = query("generalLedger", GeneralLedger, "$input: GeneralLedgerInput!")
MOVEMENTS = listed("generalLedger", Movement, "$input: GeneralLedgerInput!", within="movementsConnection")
PROFIT_AND_LOSS = query("profitAndLoss", ProfitAndLoss, "$input: ProfitAndLossInput!")
BALANCE_SHEET = query("balanceSheet", BalanceSheet, "$input: BalanceSheetInput!")
CASH_FLOW = query("cashFlow", CashFlow, "$input: CashFlowInput!")
AGEING = query("ageing", Ageing, "$input: AgeingInput!")
STATEMENT = query("statement", Statement, "$input: StatementInput!")
VAT_SUMMARY = query("vatSummary", VatSummary, "$input: VatSummaryInput!")
FIGURE = query("figureEntries", Figure, "$figure: ID!")
FIGURE_ENTRIES = listed("figureEntries", FigureEntry, "$figure: ID!")
FIGURE_ORIGINS = listed("figureEntries", TracedEntry, "$figure: ID!")


class Reports(Subject):
    """What the ledger says. Every `figure` in an answer can be given to `figure_entries`."""

    def trial_balance(
        self,
        fiscal_year: str,
        *,
        as_of: date | None = None,
        known_on: date | None = None,
        currency: Currency = "BDT",
    ) -> TrialBalance:
        asked = {"fiscalYear": fiscal_year, "asOfDate": as_of, "knownOn": known_on, "currency": currency}
        return self._read(TRIAL_BALANCE, input=asked)

    def general_ledger(
        self,
        account_id: str,
        first: date | None,
        last: date,
        *,
        known_on: date | None = None,
        currency: Currency = "BDT",
    ) -> GeneralLedger:
        asked = {
            "accountId": account_id,
            "from": first,
            "to": last,
            "knownOn": known_on,
            "currency": currency,
        }
        return self._read(GENERAL_LEDGER, input=asked)

    def movements(
        self,
        account_id: str,
        first: date | None,
        last: date,
        *,
        known_on: date | None = None,
        currency: Currency = "BDT",
        page: int = 100,
    ) -> Iterator[Movement]:
        """What moved on an account, in the order of days, with its balance after each."""
        asked = {
            "accountId": account_id,
            "from": first,
            "to": last,
            "knownOn": known_on,
            "currency": currency,
        }
        return self._walk(MOVEMENTS, page, input=asked)

    def profit_and_loss(self, first: date, last: date, *, known_on: date | None = None) -> ProfitAndLoss:
        return self._read(PROFIT_AND_LOSS, input={"from": first, "to": last, "knownOn": known_on})

    def balance_sheet(self, as_of: date, *, known_on: date | None = None) -> BalanceSheet:
        return self._read(BALANCE_SHEET, input={"asOf": as_of, "knownOn": known_on})

    def cash_flow(self, first: date, last: date, *, known_on: date | None = None) -> CashFlow:
        return self._read(CASH_FLOW, input={"from": first, "to": last, "knownOn": known_on})

    def ageing(self, side: Side, as_of: date, *, known_on: date | None = None) -> Ageing:
        return self._read(AGEING, input={"side": side, "asOf": as_of, "knownOn": known_on})

    def statement(
        self,
        partner_id: str,
        side: Side,
        first: date,
        last: date,
        *,
        known_on: date | None = None,
        currency: Currency = "BDT",
    ) -> Statement:
        whose = {"partnerId": partner_id, "side": side, "currency": currency}
        return self._read(STATEMENT, input={**whose, "from": first, "to": last, "knownOn": known_on})

    def vat_summary(self, first: date, last: date, *, known_on: date | None = None) -> VatSummary:
        return self._read(VAT_SUMMARY, input={"from": first, "to": last, "knownOn": known_on})

    def figure(self, figure: str) -> Figure:
        return self._read(FIGURE, figure=figure)

    def figure_entries(self, figure: str, *, page: int = 100) -> Iterator[FigureEntry]:
        """What a figure is made of, in the order of days; the amounts of all add up to it."""
        return self._walk(FIGURE_ENTRIES, page, figure=figure)

    def figure_origins(self, figure: str, *, page: int = 50) -> Iterator[TracedEntry]:
        """The same, each with its rule, its document, who made that and who made it binding, and the bank's lines."""
        return self._walk(FIGURE_ORIGINS, page, figure=figure)
