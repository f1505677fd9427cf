"""Tax codes, the packs they come in, and what was filed."""

from datetime import date
from decimal import Decimal

from finance_client.company import BookPolicy
from finance_client.operation import Asked, mutation, query, whole
from finance_client.subject import Subject, command
from finance_client.value import Answer, Given, TaxKind


class TaxRate(Answer, frozen=True, kw_only=True):
    """A rate of a tax code, and when it holds."""

    valid_from: date
    percent: Decimal
    valid_until: date | None = None


class TaxCode(Answer, frozen=True, kw_only=True):
    """A tax code of the company."""

    code: str
    name: str
    kind: str
    on_duty: bool
    recoverable: bool
    is_active: bool
    rates: tuple[TaxRate, ...]
    version: int
    form: str | None = None


class TaxPack(Answer, frozen=True, kw_only=True):
    """Taxes of a jurisdiction, as data of this release."""

    name: str
    codes: tuple[str, ...]
    tax_invoice_form: str
    tin_digits: int
    bin_digits: int


class NewTaxRate(Given, frozen=True, kw_only=True):
    """A rate to be entered."""

    valid_from: date
    percent: Decimal
    valid_until: date | None = None


class NewTaxCode(Given, frozen=True, kw_only=True):
    """A tax code to be defined."""

    code: str
    name: str
    kind: TaxKind
    rate: NewTaxRate
    on_duty: bool = False
    recoverable: bool = True
    form: str | None = None


DEFINE = mutation("defineTaxCode", TaxCode, "$input: DefineTaxCodeInput!")
SET_RATE = mutation("setTaxRate", TaxCode, "$code: String!", "$input: TaxRateInput!")
DEACTIVATE = mutation("deactivateTaxCode", TaxCode, "$code: String!", "$reason: String!")
REACTIVATE = mutation("reactivateTaxCode", TaxCode, "$code: String!", "$reason: String!")
ADOPT = mutation("adoptTaxPack", BookPolicy, "$name: String!")
LOCK = mutation("lockTaxes", BookPolicy, "$through: Date!")
UNLOCK = mutation("unlockTaxes", BookPolicy, "$through: Date", "$reason: String!")
CODES = whole("taxCodes", TaxCode)
PACKS = query("taxPacks", tuple[TaxPack, ...])


class Taxes(Subject):
    """Tax codes, the packs they come in, and what was filed."""

    @command
    def define(self, new: NewTaxCode, *, key: str | None = None) -> Asked[TaxCode]:
        """A code with its first rate."""
        return Asked(DEFINE, key, {"input": new})

    @command
    def set_rate(self, code: str, rate: NewTaxRate, *, key: str | None = None) -> Asked[TaxCode]:
        """From a day on; what was taxed before keeps the rate of its day."""
        return Asked(SET_RATE, key, {"code": code, "input": rate})

    @command
    def deactivate(self, code: str, *, reason: str, key: str | None = None) -> Asked[TaxCode]:
        return Asked(DEACTIVATE, key, {"code": code, "reason": reason})

    @command
    def reactivate(self, code: str, *, reason: str, key: str | None = None) -> Asked[TaxCode]:
        return Asked(REACTIVATE, key, {"code": code, "reason": reason})

    @command
    def adopt_pack(self, name: str, *, key: str | None = None) -> Asked[BookPolicy]:
        """Take the codes of a pack over that the company lacks, and the series of its tax invoices."""
        return Asked(ADOPT, key, {"name": name})

    @command
    def lock(self, through: date, *, key: str | None = None) -> Asked[BookPolicy]:
        """A return was filed: no entry that touches taxes is dated until this day any more."""
        return Asked(LOCK, key, {"through": through})

    @command
    def unlock(self, through: date | None, *, reason: str, key: str | None = None) -> Asked[BookPolicy]:
        """Move the lock back to an earlier day; None lifts it."""
        return Asked(UNLOCK, key, {"through": through, "reason": reason})

    def codes(self) -> tuple[TaxCode, ...]:
        return self._whole(CODES, lambda one: one.code)

    def packs(self) -> tuple[TaxPack, ...]:
        """Those that the service's release has."""
        return self._read(PACKS)
