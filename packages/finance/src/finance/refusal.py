"""What the rules of the books refuse. One class per rule; the docstring is the message, `code` is stable.

A refusal says that the request was understood and that nothing was written. Facts are added to the message,
so that it tells what was expected and what was found.
"""

from typing import ClassVar


class Refused(Exception):
    """The rules say no."""

    code: ClassVar[str] = "refused"

    def __init__(self, facts: str = "") -> None:
        told = " ".join((type(self).__doc__ or "").split())
        super().__init__(f"{told} {facts}".strip())


class AmountMalformed(Refused):
    """An amount must be an exact decimal with no more places than its currency has."""

    code = "amount-malformed"


class AmountNotPositive(Refused):
    """This amount must be more than zero."""

    code = "amount-not-positive"


class CurrencyMismatch(Refused):
    """All amounts of a document must be of one currency, and its accounts of this or that of the books."""

    code = "currency-mismatch"


class TextMalformed(Refused):
    """A text is too short or too long, or hides what is there."""

    code = "text-malformed"


class DateMalformed(Refused):
    """A date is out of order."""

    code = "date-malformed"


class PageMalformed(Refused):
    """A page has 0 to 200 rows, and leaves none or more out."""

    code = "page-malformed"


class ExportMalformed(Refused):
    """An export is asked for with the parameters of its report, each once."""

    code = "export-malformed"


class ExportUnknown(Refused):
    """There is no such export, or not in this format."""

    code = "export-unknown"


class FigureMalformed(Refused):
    """A figure is given back as a report gave it."""

    code = "figure-malformed"


class CursorMalformed(Refused):
    """A cursor is given back as a page of the same list gave it; start without one."""

    code = "cursor-malformed"


class EntitiesTooMany(Refused):
    """At most 200 entities are answered at once; ask for fewer."""

    code = "entities-too-many"


class EntityMalformed(Refused):
    """An entity is asked for by its __typename and its key."""

    code = "entity-malformed"


class ReportTooLarge(Refused):
    """This report is too large for one answer; ask for fewer days."""

    code = "report-too-large"


class TenantUnknown(Refused):
    """No books are kept for this tenant; open them first."""

    code = "tenant-unknown"


class IdempotencyKeyReused(Refused):
    """This idempotency key was used for another request; choose a new key."""

    code = "idempotency-key-reused"


class IdempotencyKeyMalformed(Refused):
    """An idempotency key has 1 to 200 characters."""

    code = "idempotency-key-malformed"


class NotFound(Refused):
    """There is no such thing in these books."""

    code = "not-found"


class AccountCodeMalformed(Refused):
    """An account code is four digits, then groups of two, its first digit telling the type."""

    code = "account-code-malformed"


class AccountCodeTaken(Refused):
    """Another account has this code; choose another."""

    code = "account-code-taken"


class AccountUnknown(Refused):
    """There is no such account in these books."""

    code = "account-unknown"


class AccountInactive(Refused):
    """The account is deactivated; nothing can be posted to it."""

    code = "account-inactive"


class AccountNotMoney(Refused):
    """Money is on accounts whose codes begin with 10: cash, banks, wallets."""

    code = "account-not-money"


class AccountParentImpossible(Refused):
    """An account cannot be below itself, nor below an account of another type or currency."""

    code = "account-parent-impossible"


class AccountNotEmpty(Refused):
    """An account can be deactivated only when it holds nothing."""

    code = "account-not-empty"


class AccountHasChildren(Refused):
    """An account with active accounts below it cannot be deactivated."""

    code = "account-has-children"


class AccountNeeded(Refused):
    """Documents, payments or the year's end post to this account: it stays."""

    code = "account-needed"


class JournalTooShort(Refused):
    """A journal entry has at least two lines."""

    code = "journal-too-short"


class JournalLineOneSided(Refused):
    """A journal line has either a debit or a credit, and not both."""

    code = "journal-line-one-sided"


class JournalUnbalanced(Refused):
    """The debits of a journal entry must equal its credits."""

    code = "journal-unbalanced"


class JournalNotDraft(Refused):
    """Only a draft can be changed or posted; a posted entry is corrected by reversing it."""

    code = "journal-not-draft"


class JournalNotPosted(Refused):
    """Only a posted entry can be reversed, or matched with a bank's line."""

    code = "journal-not-posted"


class JournalTypeReserved(Refused):
    """Entries of the kind CLOSING are posted by the end of a year, and by nobody else; close the year."""

    code = "journal-type-reserved"


class JournalReversedAlready(Refused):
    """An entry can be reversed once."""

    code = "journal-reversed-already"


class JournalOfDocument(Refused):
    """This entry belongs to a document; cancel, reverse or match the document."""

    code = "journal-of-document"


class TemplateMalformed(Refused):
    """A template has a schedule, and lines that balance or an asset."""

    code = "template-malformed"


class TemplateNotActive(Refused):
    """A template is approved once, run while it is active, and ended once."""

    code = "template-not-active"


class InvoiceWithoutLines(Refused):
    """An invoice has at least one line."""

    code = "invoice-without-lines"


class InvoiceNotDraft(Refused):
    """Only a draft can be changed or approved."""

    code = "invoice-not-draft"


class InvoiceCancelled(Refused):
    """The invoice is cancelled."""

    code = "invoice-cancelled"


class InvoiceHasPayments(Refused):
    """An invoice that something was paid on cannot be cancelled; reverse the payments first."""

    code = "invoice-has-payments"


class InvoiceCorrected(Refused):
    """An approved note corrects this document; cancel the note first."""

    code = "invoice-corrected"


class InvoiceNotPayable(Refused):
    """Only an approved invoice can be paid."""

    code = "invoice-not-payable"


class MakerIsChecker(Refused):
    """Whoever drafted or changed this does not approve it; somebody else has to."""

    code = "maker-is-checker"


class ApprovalBeyondAuthority(Refused):
    """An amount like this is approved by somebody senior."""

    code = "approval-beyond-authority"


class ApprovalGivenAlready(Refused):
    """This takes several people, and one of them approves it once."""

    code = "approval-given-already"


class AuthorityMalformed(Refused):
    """A rule of approval counts from a day to come, and takes more for more money."""

    code = "authority-malformed"


class ReasonMissing(Refused):
    """Whoever undoes what was posted says why."""

    code = "reason-missing"


class AttachmentMalformed(Refused):
    """An attachment is told by the SHA-256 of its content, its name, its size and its media type."""

    code = "attachment-malformed"


class AttachmentTwice(Refused):
    """This content is attached already."""

    code = "attachment-twice"


class AttachmentUnknown(Refused):
    """There is no such attachment to be superseded, or it was superseded already."""

    code = "attachment-unknown"


class CustomerUnknown(Refused):
    """Master data knows no such customer."""

    code = "customer-unknown"


class PaymentTooLarge(Refused):
    """No more than what is still open can be paid, allocated, written off or withheld."""

    code = "payment-too-large"


class PaymentPartnerMalformed(Refused):
    """A payment is for one invoice, one voucher, one customer or one vendor: exactly one of them."""

    code = "payment-partner-malformed"


class VendorUnknown(Refused):
    """Master data knows no such vendor."""

    code = "vendor-unknown"


class PartnerMismatch(Refused):
    """A credit is allocated to a debt of the same customer or vendor."""

    code = "partner-mismatch"


class AllocationTooLarge(Refused):
    """No more can be allocated than what is left of the payment or note."""

    code = "allocation-too-large"


class AllocationUnknown(Refused):
    """There is no such allocation, or it was taken back already."""

    code = "allocation-unknown"


class SettlementUnknown(Refused):
    """There is no such write-off or withholding, or it was taken back already."""

    code = "settlement-unknown"


class VoucherNotDebt(Refused):
    """Only an invoice, a bill or a debit note can be paid, written off or withheld on."""

    code = "voucher-not-debt"


class VoucherNotCredit(Refused):
    """Only an approved credit note or vendor credit can be allocated."""

    code = "voucher-not-credit"


class VoucherReferenceTaken(Refused):
    """This vendor's reference was booked before: look whether the bill is there twice."""

    code = "voucher-reference-taken"


class CorrectionImpossible(Refused):
    """A note corrects an approved document of the same partner and currency, and a credit not more than all of it."""

    code = "correction-impossible"


class CorrectionTooLarge(Refused):
    """Credits together cannot be more than the document they correct."""

    code = "correction-too-large"


class AccountControlled(Refused):
    """Documents post to this account, and nobody else: it must equal what customers and vendors owe."""

    code = "account-controlled"


class PaymentNotPending(Refused):
    """Only a pending payment can be changed, completed or failed."""

    code = "payment-not-pending"


class PaymentNotCompleted(Refused):
    """Only a completed payment can be reconciled or reversed."""

    code = "payment-not-completed"


class PaymentDetailsMissing(Refused):
    """This way of paying needs more details."""

    code = "payment-details-missing"


class WalletNumberMalformed(Refused):
    """A mobile number is 01, a digit from 3 to 9, and eight digits; +880 may stand before it."""

    code = "wallet-number-malformed"


class PeriodMalformed(Refused):
    """A fiscal period is written with its year and number, July being the first."""

    code = "period-malformed"


class PeriodSoftClosed(Refused):
    """The fiscal period is soft-closed: only those who may close it can still post into it."""

    code = "period-soft-closed"


class PeriodClosed(Refused):
    """The fiscal period is closed; post into an open one, or have it reopened."""

    code = "period-closed"


class PeriodNotClosed(Refused):
    """The fiscal period is not closed."""

    code = "period-not-closed"


class PeriodLocked(Refused):
    """The fiscal period is locked for good."""

    code = "period-locked"


class CurrenciesRevaluedAlready(Refused):
    """A day's currencies are revalued once; undo that to do it again."""

    code = "currencies-revalued-already"


class CurrenciesNotRevalued(Refused):
    """The currencies of this day are not revalued, or that was undone already."""

    code = "currencies-not-revalued"


class NothingToRevalue(Refused):
    """No money, receivable or payable in another currency is worth more or less at the rate of this day."""

    code = "nothing-to-revalue"


class YearNotClosed(Refused):
    """The fiscal year is not closed."""

    code = "year-not-closed"


class YearOutOfOrder(Refused):
    """Fiscal years are closed one after the other, and reopened the last one first, and before their periods."""

    code = "year-out-of-order"


class TaxesLocked(Refused):
    """A tax return that covers this day was filed; choose a later day, or have the taxes unlocked."""

    code = "taxes-locked"


class TaxLockOutOfOrder(Refused):
    """A tax lock goes forward by locking and back by unlocking."""

    code = "tax-lock-out-of-order"


class TaxCodeMalformed(Refused):
    """A tax code has 2 to 20 capitals, digits, dots and hyphens, a kind, and a rate of 0 to 1000 % with its days."""

    code = "tax-code-malformed"


class TaxCodeTaken(Refused):
    """There is such a tax code already; enter a rate for it instead."""

    code = "tax-code-taken"


class TaxCodeUnknown(Refused):
    """There is no such tax code in these books; define it, or adopt a tax pack."""

    code = "tax-code-unknown"


class TaxCodeInactive(Refused):
    """The tax code is deactivated; choose another."""

    code = "tax-code-inactive"


class TaxCodeNotValid(Refused):
    """The tax code is not valid on this day: enter a rate for it, or choose another."""

    code = "tax-code-not-valid"


class TaxCodeMisplaced(Refused):
    """A line has one VAT or is exempt, one duty and one advance tax at most; advances are the vendors' to charge."""

    code = "tax-code-misplaced"


class TaxRateChanged(Refused):
    """The tax table changed since this was drafted: draft it again, so that what is approved is what was seen."""

    code = "tax-rate-changed"


class TaxIdentityMalformed(Refused):
    """A TIN and a BIN are digits, as many as the company's tax pack says."""

    code = "tax-identity-malformed"


class TaxPackUnknown(Refused):
    """There is no such tax pack."""

    code = "tax-pack-unknown"


class RateMalformed(Refused):
    """An exchange rate is more than zero, of another currency than that of the books."""

    code = "rate-malformed"


class RateMissing(Refused):
    """There is no exchange rate for this day; enter one first."""

    code = "rate-missing"
