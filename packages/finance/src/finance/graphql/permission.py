"""Which permission each root field needs. A field that is not here is refused: deny by default."""

from typing import Final

from graphql import GraphQLError

from finance.ports import Caller

NEEDED: Final = {
    "chartOfAccount": "account:read",
    "chartOfAccounts": "account:read",
    "accountsConnection": "account:read",
    "accountByCode": "account:read",
    "trialBalance": "finance:trial-balance:view",
    "generalLedger": "report:read",
    "profitAndLoss": "report:read",
    "balanceSheet": "report:read",
    "cashFlow": "report:read",
    "ageing": "report:read",
    "statement": "report:read",
    "vatSummary": "report:read",
    "entriesKnownLater": "report:read",
    "figureEntries": "report:read",
    "entriesKnownLaterConnection": "report:read",
    "invoice": "invoice:read",
    "invoices": "invoice:read",
    "invoicesConnection": "invoice:read",
    "voucher": "invoice:read",
    "vouchers": "invoice:read",
    "vouchersConnection": "invoice:read",
    "payment": "payment:read",
    "payments": "payment:read",
    "paymentsConnection": "payment:read",
    "paymentsByInvoice": "payment:read",
    "paymentsByStatus": "payment:read",
    "journal": "journal:read",
    "journals": "journal:read",
    "journalsConnection": "journal:read",
    "journalsByPeriod": "journal:read",
    "unpostedJournals": "journal:read",
    "fiscalPeriods": "account:read",
    "fiscalYear": "account:read",
    "bookPolicy": "account:read",
    "numberSeries": "audit:read",
    "exchangeRates": "account:read",
    "taxCodes": "account:read",
    "taxPacks": "account:read",
    "approvalAuthority": "account:read",
    "approvals": "account:read",
    "approvalsWaiting": "account:read",
    "attachments": "attachment:read",
    "setApprovalAuthority": "authority:manage",
    "attach": "attachment:create",
    "createAccount": "account:create",
    "updateAccount": "account:update",
    "deactivateAccount": "account:deactivate",
    "createInvoice": "invoice:create",
    "updateInvoice": "invoice:update",
    "approveInvoice": "invoice:approve",
    "cancelInvoice": "invoice:cancel",
    "createVoucher": "invoice:create",
    "updateVoucher": "invoice:update",
    "approveVoucher": "invoice:approve",
    "cancelVoucher": "invoice:cancel",
    "allocatePayment": "payment:process",
    "unallocatePayment": "payment:refund",
    "allocateVoucher": "payment:process",
    "unallocateVoucher": "payment:refund",
    "writeOff": "invoice:cancel",
    "withholdTax": "payment:process",
    "withdrawSettlement": "payment:refund",
    "createPayment": "payment:create",
    "updatePayment": "payment:update",
    "completePayment": "payment:process",
    "failPayment": "payment:process",
    "reconcilePayment": "payment:reconcile",
    "reversePayment": "payment:refund",
    "createJournal": "journal:create",
    "addJournalLine": "journal:update",
    "updateJournal": "journal:update",
    "postJournal": "journal:post",
    "reverseJournal": "journal:reverse",
    "closePeriod": "period:close",
    "reopenPeriod": "period:reopen",
    "revaluation": "report:read",
    "revalueCurrencies": "period:close",
    "undoRevaluation": "period:reopen",
    "closeYear": "period:close",
    "reopenYear": "period:reopen",
    "journalTemplate": "journal:read",
    "journalTemplates": "journal:read",
    "dueJournalTemplates": "journal:read",
    "createJournalTemplate": "template:manage",
    "approveJournalTemplate": "template:manage",
    "endJournalTemplate": "template:manage",
    "runJournalTemplate": "journal:post",
    "bankLines": "payment:read",
    "bankSuggestions": "payment:read",
    "bankReconciliation": "payment:read",
    "importBankFile": "payment:reconcile",
    "matchBankLines": "payment:reconcile",
    "bookBankLines": "payment:reconcile",
    "unmatchBankLine": "payment:reconcile",
    "setExchangeRate": "account:update",
    "defineTaxCode": "account:update",
    "setTaxRate": "account:update",
    "deactivateTaxCode": "account:update",
    "reactivateTaxCode": "account:update",
    "adoptTaxPack": "account:update",
    "setCompanyIdentity": "account:update",
    "lockTaxes": "period:close",
    "unlockTaxes": "period:reopen",
}


class PermissionMissing(GraphQLError):
    """The caller may not do this."""


def may(caller: Caller, field: str) -> bool:
    """Whether the token carries the permission of this field."""
    return NEEDED.get(field) in caller.permissions


def demand(caller: Caller, field: str) -> None:
    """Let the caller through.

    Raises:
        PermissionMissing: the token does not carry the permission of this field.
    """
    if not may(caller, field):
        raise PermissionMissing(
            f"'{field}' needs the permission {NEEDED.get(field)}; ask for a role that has it",
            extensions={"code": "permission-missing"},
        )


EXPORT: Final = "report:export"
"""What takes figures out of the service as a file, beside the permission to see them."""


def demand_export(caller: Caller, field: str) -> None:
    """Let the caller take away what this field shows.

    Raises:
        PermissionMissing: the token carries not both permissions.
    """
    demand(caller, field)
    if EXPORT not in caller.permissions:
        raise PermissionMissing(
            f"an export needs the permission {EXPORT}; ask for a role that has it",
            extensions={"code": "permission-missing"},
        )
