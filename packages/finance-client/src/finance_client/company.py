"""What a company decided: who it is, who approves what, what currencies are worth."""

from datetime import date
from decimal import Decimal

from finance_client.operation import Asked, mutation, query
from finance_client.subject import Subject, command
from finance_client.value import Answer, Currency, Given, Money


class CompanyIdentity(Answer, frozen=True, kw_only=True):
    """Who the company is."""

    name: str
    address: str
    tin: str | None = None
    bin: str | None = None


class BookPolicy(Answer, frozen=True, kw_only=True):
    """What was decided about the books as a whole."""

    version: int
    taxes_locked_through: date | None = None
    tax_pack: str | None = None
    identity: CompanyIdentity | None = None


class ApprovalTier(Answer, frozen=True, kw_only=True):
    """What it takes to approve more than an amount."""

    above: Money
    approvers: int
    senior: bool


class ApprovalRule(Answer, frozen=True, kw_only=True):
    """Who approves what from a day on."""

    valid_from: date
    four_eyes: bool
    tiers: tuple[ApprovalTier, ...]


class ApprovalAuthority(Answer, frozen=True, kw_only=True):
    """Who approves what, by date."""

    rules: tuple[ApprovalRule, ...]
    version: int


class ExchangeRate(Answer, frozen=True, kw_only=True):
    """A rate, and since when it holds."""

    valid_from: date
    rate: Decimal


class ExchangeRateTable(Answer, frozen=True, kw_only=True):
    """What one unit of a currency was worth in that of the books."""

    currency: str
    rates: tuple[ExchangeRate, ...]
    version: int


class NewIdentity(Given, frozen=True, kw_only=True):
    """Who the company is."""

    name: str
    address: str
    tin: str | None = None
    bin: str | None = None


class NewApprovalTier(Given, frozen=True, kw_only=True):
    """What it is to take to approve more than an amount."""

    above: Decimal
    approvers: int = 1
    senior: bool = False


class NewApprovalRule(Given, frozen=True, kw_only=True):
    """Who is to approve what from a day on."""

    valid_from: date
    reason: str
    four_eyes: bool = True
    tiers: tuple[NewApprovalTier, ...] = ()


class NewExchangeRate(Given, frozen=True, kw_only=True):
    """A rate to be entered; one of the same day is replaced."""

    currency: Currency
    rate: Decimal
    valid_from: date


SET_IDENTITY = mutation("setCompanyIdentity", BookPolicy, "$input: CompanyIdentityInput!")
SET_AUTHORITY = mutation("setApprovalAuthority", ApprovalAuthority, "$input: ApprovalRuleInput!")
SET_RATE = mutation("setExchangeRate", ExchangeRateTable, "$input: ExchangeRateInput!")
POLICY = query("bookPolicy", BookPolicy)
AUTHORITY = query("approvalAuthority", ApprovalAuthority)
RATES = query("exchangeRates", ExchangeRateTable, "$currency: Currency!")


class Company(Subject):
    """What a company decided."""

    @command
    def set_identity(self, new: NewIdentity, *, key: str | None = None) -> Asked[BookPolicy]:
        """Who the company is, on its documents."""
        return Asked(SET_IDENTITY, key, {"input": new})

    @command
    def set_authority(self, rule: NewApprovalRule, *, key: str | None = None) -> Asked[ApprovalAuthority]:
        """Who approves what from a day on."""
        return Asked(SET_AUTHORITY, key, {"input": rule})

    @command
    def set_exchange_rate(
        self, currency: Currency, rate: Decimal, *, valid_from: date, key: str | None = None
    ) -> Asked[ExchangeRateTable]:
        """What one unit of a currency is worth from a day on; posted entries keep their rate."""
        told = NewExchangeRate(currency=currency, rate=rate, valid_from=valid_from)
        return Asked(SET_RATE, key, {"input": told})

    def policy(self) -> BookPolicy:
        return self._read(POLICY)

    def authority(self) -> ApprovalAuthority:
        return self._read(AUTHORITY)

    def exchange_rates(self, currency: Currency) -> ExchangeRateTable:
        return self._read(RATES, currency=currency)
