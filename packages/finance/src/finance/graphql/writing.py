"""Resolvers that change the books. A refusal is an answer: the union's member with its stable code."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import date
from functools import wraps
from typing import Any

from ariadne import MutationType
from graphql import GraphQLResolveInfo, get_directive_values

from finance import invoice, journal, payment, rate
from finance.clerk import Rehearsed
from finance.graphql import shape
from finance.graphql.context import Context
from finance.graphql.permission import demand
from finance.handle import Books
from finance.money import BASE, Money, exact
from finance.ports import Caller
from finance.refusal import Refused, TenantUnknown

mutation = MutationType()
Info = GraphQLResolveInfo
Given = dict[str, Any]
Resolver = Callable[..., Awaitable[shape.Shown]]


def rehearsing(info: Info) -> bool:
    """Whether the field is asked for with @dryRun. Asked twice under one name, once with it, it is a dry run."""
    directive = info.schema.get_directive("dryRun")
    assert directive is not None, "the schema declares it"  # noqa: S101 - a bug, not a refusal
    found = [get_directive_values(directive, node, info.variable_values) for node in info.field_nodes]
    return any(values is not None and values["if"] for values in found)


def command(name: str) -> Callable[[Resolver], Resolver]:
    """A mutation: the permission is demanded first, and what the rules refuse becomes the union's Refusal.

    With @dryRun it is rehearsed: all of it is done but the writing, and the answer is what would have been written.
    """

    def register(resolve: Resolver) -> Resolver:
        @wraps(resolve)
        async def guarded(_: object, info: Info, **given: Any) -> shape.Shown:
            context: Context = info.context
            demand(context.caller, info.field_name)
            caller = replace(context.caller, rehearsing=rehearsing(info))
            try:
                return await resolve(context, context.service.books, caller, **given)
            except Rehearsed as would:
                return shape.rehearsed(would)
            except TenantUnknown:
                raise
            except Refused as error:
                return shape.refusal(error)

        mutation.field(name)(guarded)
        return resolve

    return register


# Accounts


@command("createAccount")
async def create_account(
    _: Context, books: Books, caller: Caller, *, input: Given, idempotencyKey: str
) -> shape.Shown:
    created = await books.create_account(
        caller,
        idempotencyKey,
        code=input["accountCode"],
        name=input["accountName"],
        account_type=input["accountType"],
        currency=input["currency"],
        parent_id=input.get("parentAccountId"),
    )
    return shape.account(created, 0)


@command("updateAccount")
async def update_account(
    _: Context, books: Books, caller: Caller, *, id: str, input: Given, idempotencyKey: str
) -> shape.Shown:
    name, parent_id = input.get("accountName"), input.get("parentAccountId")
    return shape.account(
        await books.update_account(caller, idempotencyKey, id, name=name, parent_id=parent_id)
    )


@command("deactivateAccount")
async def deactivate_account(
    _: Context, books: Books, caller: Caller, *, id: str, reason: str, idempotencyKey: str
) -> shape.Shown:
    return shape.account(await books.deactivate_account(caller, idempotencyKey, id, reason=reason), 0)


# Invoices


def invoice_lines(given: Sequence[Given], currency: str) -> tuple[invoice.Line, ...]:
    return tuple(
        invoice.line(
            description=line["description"],
            quantity=exact(line["quantity"]),
            unit_price=Money.parse(line["unitPrice"], currency),
            vat_category=line["vatCategory"],
            product_id=line.get("productId"),
            account_id=line.get("accountId"),
            tax_codes=tuple(line.get("taxCodes") or ()),
        )
        for line in given
    )


@command("createInvoice")
async def create_invoice(
    context: Context, books: Books, caller: Caller, *, input: Given, idempotencyKey: str
) -> shape.Shown:
    currency = input["currency"]
    terms = invoice.Terms(
        customer_id=input["customerId"],
        vendor_id=input.get("vendorId"),
        invoice_date=input["invoiceDate"],
        due_date=input["dueDate"],
        lines=invoice_lines(input["lineItems"], currency),
        prices=input["prices"],
        rounding=input["taxRounding"],
    )
    created = await books.create_invoice(caller, idempotencyKey, currency=currency, terms=terms)
    return shape.invoice(created, context.today)


@command("updateInvoice")
async def update_invoice(
    context: Context, books: Books, caller: Caller, *, id: str, input: Given, idempotencyKey: str
) -> shape.Shown:
    def change(draft: invoice.Invoice) -> invoice.Terms:
        terms, lines = draft.terms, input.get("lineItems")
        return invoice.Terms(
            customer_id=input.get("customerId") or terms.customer_id,
            vendor_id=input.get("vendorId") or terms.vendor_id,
            invoice_date=input.get("invoiceDate") or terms.invoice_date,
            due_date=input.get("dueDate") or terms.due_date,
            lines=terms.lines if lines is None else invoice_lines(lines, draft.currency),
            prices=input.get("prices") or terms.prices,
            rounding=input.get("taxRounding") or terms.rounding,
        )

    changed = await books.update_invoice(caller, idempotencyKey, id, asked=input, change=change)
    return shape.invoice(changed, context.today)


@command("approveInvoice")
async def approve_invoice(
    context: Context, books: Books, caller: Caller, *, id: str, idempotencyKey: str
) -> shape.Shown:
    return shape.invoice(await books.approve_invoice(caller, idempotencyKey, id), context.today)


@command("cancelInvoice")
async def cancel_invoice(
    context: Context,
    books: Books,
    caller: Caller,
    *,
    id: str,
    reason: str,
    reversingDate: date | None = None,
    idempotencyKey: str,
) -> shape.Shown:
    cancelled = await books.cancel_invoice(caller, idempotencyKey, id, reason=reason, on=reversingDate)
    return shape.invoice(cancelled, context.today)


# Payments


@command("createPayment")
async def create_payment(
    _: Context, books: Books, caller: Caller, *, input: Given, idempotencyKey: str
) -> shape.Shown:
    asked = payment.Create(
        payment_id="",
        invoice_id=input.get("invoiceId"),
        voucher_id=input.get("voucherId"),
        customer_id=input.get("customerId"),
        vendor_id=input.get("vendorId"),
        excess=input["excessBecomesCredit"],
        amount=Money.parse(input["amount"], input["currency"]),
        payment_date=input["paymentDate"],
        details=payment.Details(
            method=input["paymentMethod"],
            bank_account_id=input.get("bankAccountId"),
            check_number=input.get("checkNumber"),
            wallet_provider=input.get("walletProvider"),
            mobile_number=input.get("mobileNumber"),
            wallet_transaction_id=input.get("walletTransactionId"),
            merchant_code=input.get("merchantCode"),
        ),
        reference=input.get("reference"),
    )
    return shape.payment(await books.create_payment(caller, idempotencyKey, asked))


@command("updatePayment")
async def update_payment(
    context: Context, books: Books, caller: Caller, *, id: str, input: Given, idempotencyKey: str
) -> shape.Shown:
    amount = None
    if input.get("amount") is not None:
        amount = Money.parse(input["amount"], await currency_of(context, "payment", id))
    asked = payment.Update(
        amount=amount,
        payment_date=input.get("paymentDate"),
        method=input.get("paymentMethod"),
        reference=input.get("reference"),
    )
    return shape.payment(await books.update_payment(caller, idempotencyKey, id, asked))


@command("completePayment")
async def complete_payment(
    _: Context, books: Books, caller: Caller, *, id: str, input: Given, idempotencyKey: str
) -> shape.Shown:
    completed = await books.complete_payment(
        caller, idempotencyKey, id, transaction_reference=input["transactionReference"]
    )
    return shape.payment(completed)


@command("failPayment")
async def fail_payment(
    _: Context, books: Books, caller: Caller, *, id: str, input: Given, idempotencyKey: str
) -> shape.Shown:
    return shape.payment(await books.fail_payment(caller, idempotencyKey, id, input["reason"]))


@command("reconcilePayment")
async def reconcile_payment(
    _: Context, books: Books, caller: Caller, *, id: str, input: Given, idempotencyKey: str
) -> shape.Shown:
    line = input["bankStatementTransactionId"]
    return shape.payment(await books.reconcile_payment(caller, idempotencyKey, id, line))


@command("reversePayment")
async def reverse_payment(
    _: Context,
    books: Books,
    caller: Caller,
    *,
    id: str,
    input: Given,
    reversingDate: date | None = None,
    idempotencyKey: str,
) -> shape.Shown:
    return shape.payment(
        await books.reverse_payment(caller, idempotencyKey, id, reason=input["reason"], on=reversingDate)
    )


# Journal entries


def journal_line(given: Given, currency: str) -> journal.Line:
    return journal.Line(
        account_id=given["accountId"],
        debit_minor=Money.parse(given["debit"], currency).minor,
        credit_minor=Money.parse(given["credit"], currency).minor,
        description=given.get("description"),
        cost_center=given.get("costCenter"),
        project=given.get("project"),
        reference=given.get("reference"),
        tax_code=given.get("taxCode"),
    )


@command("createJournal")
async def create_journal(
    _: Context, books: Books, caller: Caller, *, input: Given, idempotencyKey: str
) -> shape.Shown:
    currency = input["currency"]
    asked = journal.Create(
        journal_id="",
        journal_date=input["journalDate"],
        journal_type=input["journalType"],
        description=input["description"],
        currency=currency,
        lines=tuple(journal_line(line, currency) for line in input["lines"]),
        reference=input.get("reference"),
    )
    if input["autoPost"]:
        demand(caller, "postJournal")
    return shape.journal(await books.create_journal(caller, idempotencyKey, asked, post=input["autoPost"]))


async def currency_of(context: Context, kind: str, document_id: str) -> str:
    """A document's currency; for one that is not there that of the books, as the command refuses it anyway."""
    found = await context.state(kind, document_id)
    return found.currency if found else BASE


@command("addJournalLine")
async def add_journal_line(
    context: Context, books: Books, caller: Caller, *, journalId: str, input: Given, idempotencyKey: str
) -> shape.Shown:
    line = journal_line(input, await currency_of(context, "journal", journalId))
    asked = journal.AddLine(line=line)
    return shape.journal(await books.change_journal(caller, idempotencyKey, journalId, asked))


@command("updateJournal")
async def update_journal(
    context: Context, books: Books, caller: Caller, *, id: str, input: Given, idempotencyKey: str
) -> shape.Shown:
    lines = input.get("lines")
    currency = await currency_of(context, "journal", id)
    asked = journal.Update(
        journal_date=input.get("journalDate"),
        description=input.get("description"),
        reference=input.get("reference"),
        lines=None if lines is None else tuple(journal_line(line, currency) for line in lines),
    )
    return shape.journal(await books.change_journal(caller, idempotencyKey, id, asked))


@command("postJournal")
async def post_journal(
    _: Context, books: Books, caller: Caller, *, id: str, idempotencyKey: str
) -> shape.Shown:
    return shape.journal(await books.post_journal(caller, idempotencyKey, id))


@command("reverseJournal")
async def reverse_journal(
    _: Context,
    books: Books,
    caller: Caller,
    *,
    id: str,
    reversingDate: date,
    reason: str | None = None,
    idempotencyKey: str,
) -> shape.Shown:
    return shape.journal(
        await books.reverse_journal(caller, idempotencyKey, id, reversingDate, reason=reason)
    )


# Tables


@command("setExchangeRate")
async def set_exchange_rate(
    _: Context, books: Books, caller: Caller, *, input: Given, idempotencyKey: str
) -> shape.Shown:
    currency = input["currency"]
    quote = rate.Quote(valid_from=input["validFrom"], rate=exact(input["rate"]))
    return shape.rates(await books.tables.set_rate(caller, idempotencyKey, currency, quote), currency)


# Closing


@command("closePeriod")
async def close_period(
    _: Context, books: Books, caller: Caller, *, period: str, to: str, idempotencyKey: str
) -> shape.Shown:
    closed = await books.closing.close_period(caller, idempotencyKey, period, to=to)
    return shape.period(period, closed)


@command("reopenPeriod")
async def reopen_period(
    _: Context, books: Books, caller: Caller, *, period: str, reason: str, idempotencyKey: str
) -> shape.Shown:
    reopened = await books.closing.reopen_period(caller, idempotencyKey, period, reason=reason)
    return shape.period(period, reopened)


@command("revalueCurrencies")
async def revalue_currencies(
    _: Context, books: Books, caller: Caller, *, asOf: date, idempotencyKey: str
) -> shape.Shown:
    return shape.journal(await books.revaluing.revalue(caller, idempotencyKey, asOf))


@command("undoRevaluation")
async def undo_revaluation(
    _: Context, books: Books, caller: Caller, *, asOf: date, reason: str, idempotencyKey: str
) -> shape.Shown:
    return shape.journal(await books.revaluing.undo(caller, idempotencyKey, asOf, reason=reason))


@command("closeYear")
async def close_year(
    _: Context, books: Books, caller: Caller, *, fiscalYear: str, to: str, idempotencyKey: str
) -> shape.Shown:
    return shape.year(fiscalYear, await books.years.close(caller, idempotencyKey, fiscalYear, to=to))


@command("reopenYear")
async def reopen_year(
    _: Context, books: Books, caller: Caller, *, fiscalYear: str, reason: str, idempotencyKey: str
) -> shape.Shown:
    reopened = await books.years.reopen(caller, idempotencyKey, fiscalYear, reason=reason)
    return shape.year(fiscalYear, reopened)


@command("lockTaxes")
async def lock_taxes(
    _: Context, books: Books, caller: Caller, *, through: date, idempotencyKey: str
) -> shape.Shown:
    return shape.policy(await books.closing.lock_taxes(caller, idempotencyKey, through=through))


@command("unlockTaxes")
async def unlock_taxes(
    _: Context,
    books: Books,
    caller: Caller,
    *,
    reason: str,
    through: date | None = None,
    idempotencyKey: str,
) -> shape.Shown:
    unlocked = await books.closing.unlock_taxes(caller, idempotencyKey, through=through, reason=reason)
    return shape.policy(unlocked)
