"""From states to what the schema shows. Plain dictionaries, so that fields need no resolver of their own."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from finance import fiscal, numbering
from finance.account import DEBIT_NORMAL, Account
from finance.approval import Approval
from finance.authority import Authority
from finance.bankfile import Bankfile
from finance.bankline import Bankline
from finance.clerk import Rehearsed
from finance.events import name_of as event_name
from finance.folder import Folder
from finance.invoice import Invoice, Line
from finance.journal import Journal, base
from finance.money import BASE, plain
from finance.payment import Payment
from finance.period import OPEN, Period
from finance.policy import Identified, Policy
from finance.rate import Rate
from finance.refusal import Refused
from finance.settlement import Allocation, Settlement
from finance.taxation import VAT
from finance.template import Template
from finance.voucher import Voucher
from finance.year import Year

Shown = dict[str, Any]


def money(minor: int, currency: str) -> Shown:
    return {"amount": plain(minor, currency), "currency": currency}


def amount(value: Decimal | None) -> str | None:
    return None if value is None else format(value, "f")


def refusal(error: Refused) -> Shown:
    return {"__typename": "Refusal", "code": error.code, "message": str(error)}


def account(state: Account, holding_minor: int | None = None) -> Shown:
    """An account; its balance is looked up when asked for, unless it is known already."""
    shown: Shown = {
        "__typename": "Account",
        "id": state.id,
        "accountCode": state.code,
        "accountName": state.name,
        "accountType": state.account_type,
        "currency": state.currency,
        "parentAccountId": state.parent_id,
        "isActive": state.active,
    }
    if holding_minor is not None:
        shown["balance"] = balance(state.account_type, state.currency, holding_minor)
    return shown


def balance(account_type: str, currency: str, holding_minor: int) -> Shown:
    """What an account holds, positive on its normal side."""
    return money(holding_minor if account_type in DEBIT_NORMAL else -holding_minor, currency)


def invoice(state: Invoice, today: date) -> Shown:
    terms, currency = state.terms, state.currency
    base_total = state.total_minor if currency == BASE else state.base_minor or 0
    return {
        "__typename": "Invoice",
        "id": state.id,
        "invoiceNumber": state.number,
        "taxInvoiceNumber": state.tax_number,
        "status": state.status_on(today),
        "vendorId": terms.vendor_id,
        "customerId": terms.customer_id,
        "invoiceDate": terms.invoice_date,
        "dueDate": terms.due_date,
        "fiscalYear": fiscal.year(terms.invoice_date),
        "lineItems": [line_item(line, currency) for line in terms.lines],
        "prices": terms.prices,
        "taxRounding": terms.rounding,
        "subtotal": money(state.subtotal_minor, currency),
        "vatAmount": money(sum(map(vat_minor, terms.lines)), currency),
        "taxAmount": money(state.vat_minor, currency),
        "grandTotal": money(state.total_minor, currency),
        "paidAmount": money(state.paid_minor, currency),
        "balanceDue": money(0 if state.cancelled else state.open_minor, currency),
        "settlements": [settlement(one, currency) for one in state.settlements],
        "baseTotal": None if state.number is None else money(base_total, BASE),
        "journalId": state.journal_id,
        "version": state.version,
    }


def line_item(line: Line, currency: str) -> Shown:
    return {
        "description": line.description,
        "productId": line.product_id,
        "quantity": format(line.quantity, "f"),
        "unitPrice": money(line.unit_price_minor, currency),
        "amount": money(line.amount_minor, currency),
        "vatCategory": line.vat_category,
        "vatRate": format(line.vat_percent, "f"),
        "vatAmount": money(vat_minor(line), currency),
        "taxes": [
            {
                "taxCode": one.levy.code,
                "kind": one.levy.kind,
                "percent": format(one.levy.percent, "f"),
                "amount": money(one.tax_minor, currency),
            }
            for one in line.taxes
        ],
    }


def vat_minor(line: Line) -> int:
    """The VAT of a line, without its other taxes."""
    if not line.taxes:
        return line.vat_minor
    return sum(one.tax_minor for one in line.taxes if one.levy.kind == VAT)


def settlement(state: Settlement, currency: str) -> Shown:
    return {
        "id": state.id,
        "kind": state.kind,
        "amount": money(state.amount_minor, currency),
        "settledOn": state.settled_on,
        "told": state.told,
        "taxCode": state.tax_code,
        "journalId": state.journal_id,
    }


def allocation(state: Allocation, currency: str) -> Shown:
    return {
        "id": state.id,
        "documentId": state.document_id,
        "amount": money(state.amount_minor, currency),
        "allocatedOn": state.allocated_on,
        "journalId": state.journal_id,
    }


def voucher(state: Voucher, today: date) -> Shown:
    terms, currency = state.terms, state.currency
    return {
        "__typename": "Voucher",
        "id": state.id,
        "kind": state.kind,
        "voucherNumber": state.number,
        "status": state.status_on(today),
        "side": state.side,
        "partnerId": terms.partner_id,
        "voucherDate": terms.voucher_date,
        "dueDate": terms.due_date,
        "reference": terms.reference,
        "correctsId": terms.corrects_id,
        "reason": terms.reason,
        "lineItems": [line_item(line, currency) for line in terms.lines],
        "prices": terms.prices,
        "taxRounding": terms.rounding,
        "subtotal": money(state.subtotal_minor, currency),
        "vatAmount": money(sum(map(vat_minor, terms.lines)), currency),
        "taxAmount": money(state.vat_minor, currency),
        "grandTotal": money(state.total_minor, currency),
        "balanceDue": money(0 if state.cancelled else state.open_minor, currency),
        "allocations": [allocation(one, currency) for one in state.credit.allocations],
        "settlements": [settlement(one, currency) for one in state.settlements],
        "journalId": state.journal_id,
        "version": state.version,
    }


def document(state: Invoice | Voucher, today: date) -> Shown:
    return voucher(state, today) if isinstance(state, Voucher) else invoice(state, today)


def payment(state: Payment) -> Shown:
    return {
        "__typename": "Payment",
        "id": state.id,
        "paymentNumber": state.number,
        "side": state.side,
        "invoiceId": state.invoice_id,
        "voucherId": state.voucher_id,
        "partnerId": state.partner_id,
        "unallocated": money(state.credit.minor, state.currency),
        "allocations": [allocation(one, state.currency) for one in state.credit.allocations],
        "amount": money(state.amount_minor, state.currency),
        "paymentMethod": state.details.method,
        "status": state.status,
        "paymentDate": state.payment_date,
        "reference": state.reference,
        "transactionReference": state.transaction_reference,
        "bankAccountId": state.details.bank_account_id,
        "checkNumber": state.details.check_number,
        "walletProvider": state.details.wallet_provider,
        "mobileNumber": state.details.mobile_number,
        "reconciledAt": state.reconciled_at,
        "journalId": state.journal_id,
        "version": state.version,
    }


def rehearsed(would: Rehearsed) -> Shown:
    """What a command would write, and the entries it would post."""
    return {
        "__typename": "DryRun",
        "entries": [journal(entry) for entry in would.entries],
        "numbers": [
            number for event in (*would.events, *would.later) for number, _ in numbering.carried(event)
        ],
        "events": [event_name(event) for event in would.events],
        "othersHaveToAgree": would.have_to_agree,
    }


def journal(state: Journal) -> Shown:
    posted = state.status != "DRAFT"
    worth = [base(line, state.currency) for line in state.lines]
    return {
        "__typename": "Journal",
        "id": state.id,
        "journalNumber": state.number,
        "journalDate": state.journal_date,
        "journalType": state.journal_type,
        "status": state.status,
        "description": state.description,
        "reference": state.reference,
        "fiscalPeriod": fiscal.period(state.journal_date),
        "lines": [
            {
                "accountId": line.account_id,
                "debit": money(line.debit_minor, state.currency),
                "credit": money(line.credit_minor, state.currency),
                "baseDebit": money(debit, BASE) if posted else None,
                "baseCredit": money(credit, BASE) if posted else None,
                "description": line.description,
                "costCenter": line.cost_center,
                "project": line.project,
                "reference": line.reference,
                "taxCode": line.tax_code,
            }
            for line, (debit, credit) in zip(state.lines, worth, strict=True)
        ],
        "exchangeRate": amount(state.rate),
        "totalDebit": money(state.debit_minor, state.currency),
        "totalCredit": money(state.credit_minor, state.currency),
        "isReversing": state.original_id is not None,
        "originalJournalId": state.original_id,
        "documentId": state.document_id,
        "reversedByJournalId": state.reversed_by_id,
        "postedAt": state.posted_at,
        "postedBy": state.posted_by,
        "version": state.version,
    }


def period(name: str, state: Period | None) -> Shown:
    """A fiscal period; one nobody ever closed has no state and is open."""
    first, last = fiscal.days_of(name)
    return {
        "__typename": "FiscalPeriod",
        "name": name,
        "firstDay": first,
        "lastDay": last,
        "status": state.status if state else OPEN,
        "reason": state.reason if state else None,
        "version": state.version if state else 0,
    }


def year(name: str, state: Year | None) -> Shown:
    """A fiscal year; one nobody ever closed has no state and is open."""
    return {
        "__typename": "FiscalYear",
        "name": name,
        "firstDay": fiscal.first_day(name),
        "lastDay": fiscal.last_day(name),
        "status": state.status if state else OPEN,
        "closingJournalIds": list(state.journal_ids) if state else [],
        "reason": state.reason if state else None,
        "version": state.version if state else 0,
    }


def rates(state: Rate | None, currency: str) -> Shown:
    """A table of exchange rates, oldest first; one nobody entered anything in is empty."""
    quotes = state.quotes if state else ()
    return {
        "__typename": "ExchangeRateTable",
        "currency": currency,
        "rates": [{"validFrom": one.valid_from, "rate": amount(one.rate)} for one in quotes],
        "version": state.version if state else 0,
    }


def identity(state: Identified) -> Shown:
    return {"name": state.name, "address": state.address, "tin": state.tin, "bin": state.bin}


def policy(state: Policy) -> Shown:
    return {
        "__typename": "BookPolicy",
        "taxesLockedThrough": state.taxes_locked_through,
        "taxPack": state.pack.pack if state.pack else None,
        "identity": identity(state.identity) if state.identity else None,
        "version": state.version,
    }


def authority(state: Authority | None) -> Shown:
    """Rules of approval, oldest first."""
    return {
        "__typename": "ApprovalAuthority",
        "rules": [
            {
                "validFrom": rule.valid_from,
                "fourEyes": rule.four_eyes,
                "tiers": [
                    {
                        "above": money(tier.above_minor, BASE),
                        "approvers": tier.approvers,
                        "senior": tier.senior,
                    }
                    for tier in rule.tiers
                ],
            }
            for rule in (state.rules if state else ())
        ],
        "version": state.version if state else 0,
    }


def approvals(state: Approval) -> Shown:
    return {
        "documentKind": state.document_kind.upper(),
        "documentId": state.document_id,
        "documentVersion": state.document_version,
        "approvers": list(state.approvers),
        "act": state.act,
    }


def template(state: Template, today: date) -> Shown:
    """A template, and which days are due today."""
    terms, asset, currency = state.terms, state.terms.asset, state.currency
    return {
        "__typename": "JournalTemplate",
        "id": state.id,
        "kind": terms.kind,
        "name": terms.name,
        "status": state.status,
        "currency": currency,
        "frequency": terms.schedule.frequency,
        "startsOn": terms.schedule.starts_on,
        "endsOn": terms.schedule.ends_on,
        "lines": [
            {
                "accountId": one.account_id,
                "debit": one.debit,
                "credit": one.credit,
                "description": one.description,
            }
            for one in terms.lines
        ],
        "asset": None
        if asset is None
        else {
            "method": asset.method,
            "cost": money(asset.cost_minor, currency),
            "salvage": money(asset.salvage_minor, currency),
            "lifeMonths": asset.life_months,
            "expenseAccountId": asset.expense_account_id,
            "accumulatedAccountId": asset.accumulated_account_id,
            "depreciated": money(state.depreciated_minor, currency),
        },
        "runs": state.runs,
        "lastRunOn": state.last_due_on,
        "dueOn": list(state.due_days(today)),
        "journalIds": list(state.journals),
        "version": state.version,
    }


def bank_file(state: Bankfile) -> Shown:
    told = state.told
    return {
        "__typename": "BankFile",
        "id": told.file_id,
        "accountId": told.account_id,
        "name": told.name,
        "sha256": told.sha256,
        "newLines": told.lines,
        "knownLines": told.known,
        "firstDay": told.first_on,
        "lastDay": told.last_on,
        "closingBalance": None if told.closing_minor is None else money(told.closing_minor, told.currency),
        "closingOn": told.closing_on,
    }


def bank_line(state: Bankline) -> Shown:
    return {
        "__typename": "BankLine",
        "id": state.id,
        "accountId": state.account_id,
        "bookedOn": state.booked_on,
        "amount": money(state.amount_minor, state.currency),
        "reference": state.reference,
        "text": state.text,
        "isMatched": state.match is not None,
        "matchedLineIds": list(state.match.line_ids) if state.match else [],
        "paymentIds": list(state.match.payment_ids) if state.match else [],
        "version": state.version,
    }


def attachments(document_id: str, state: Folder | None) -> Shown:
    """All attachments of a document; a document may have none, and no folder."""
    superseded = state.superseded if state else frozenset()
    return {
        "__typename": "Attachments",
        "documentId": document_id,
        "attachments": [
            {
                "sha256": one.sha256,
                "name": one.name,
                "size": str(one.size_bytes),
                "mediaType": one.media_type,
                "attachedBy": one.attached_by,
                "attachedAt": one.attached_at,
                "supersedes": one.supersedes,
                "isSuperseded": one.sha256 in superseded,
            }
            for one in (state.attachments if state else ())
        ],
        "version": state.version if state else 0,
    }


def trial_balance(balances: Sequence[Any], *, currency: str) -> Shown:
    """Every account's balance on its side, per type and in total. The totals tie or the ledger is broken."""
    entries = []
    for balance in balances:
        net = balance.debit_minor - balance.credit_minor
        state = balance.account
        entries.append(
            {
                "accountId": state.id,
                "accountCode": state.code,
                "accountName": state.name,
                "accountType": state.account_type,
                "debitBalance": money(max(net, 0), currency),
                "creditBalance": money(max(-net, 0), currency),
                "netBalance": money(net, currency),
                "net": net,
            }
        )
    debits = sum(max(entry["net"], 0) for entry in entries)
    credits_ = sum(max(-entry["net"], 0) for entry in entries)
    groups = []
    for account_type in dict.fromkeys(entry["accountType"] for entry in entries):
        members = [entry for entry in entries if entry["accountType"] == account_type]
        groups.append(
            {
                "accountType": account_type,
                "entries": members,
                "totalDebits": money(sum(max(entry["net"], 0) for entry in members), currency),
                "totalCredits": money(sum(max(-entry["net"], 0) for entry in members), currency),
            }
        )
    return {
        "entries": entries,
        "groupedByType": groups,
        "summary": {
            "totalDebits": money(debits, currency),
            "totalCredits": money(credits_, currency),
            "isBalanced": debits == credits_,
            "variance": money(debits - credits_, currency),
            "accountCount": len(entries),
        },
    }
