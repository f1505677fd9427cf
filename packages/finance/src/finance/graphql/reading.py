"""Resolvers that read."""

from typing import Any

from ariadne import ObjectType, QueryType
from graphql import GraphQLResolveInfo
from msgspec.structs import replace

from finance import fiscal, inquiry, period, policy, rate, year
from finance.figure import Figure, encode
from finance.graphql import shape
from finance.graphql.context import Context
from finance.graphql.permission import demand
from finance.inquiry import last_day
from finance.refusal import PeriodMalformed
from finance.settlement import SALES

query = QueryType()
account_type = ObjectType("Account")
invoice_type = ObjectType("Invoice")
invoice_line_type = ObjectType("InvoiceLine")
voucher_type = ObjectType("Voucher")
journal_line_type = ObjectType("JournalLine")
Info = GraphQLResolveInfo


def allowed(info: Info) -> Context:
    """The request, once the caller may read this root field."""
    context: Context = info.context
    demand(context.caller, info.field_name)
    return context


async def one(info: Info, kind: str, record_id: str) -> Any:
    return await allowed(info).state(kind, record_id)


async def page(
    info: Info, kind: str, *, limit: int, offset: int, order: str = "position DESC", **filters: object
) -> list[Any]:
    """A page of what the caller may read, newest first where no order is said. Orders are named by this service."""
    context = allowed(info)
    return await context.service.views.page(
        context.caller.tenant_id, kind, limit=limit, offset=offset, order=order, filters=filters
    )


async def documents(
    info: Info, kind: str, *, status: str | None, limit: int, offset: int, **filters: object
) -> list[Any]:
    """As `page`; a status is that of today, for a document may be overdue."""
    context = allowed(info)
    return await context.service.views.documents(
        context.caller.tenant_id,
        kind,
        status=status,
        filters=filters,
        today=context.today,
        limit=limit,
        offset=offset,
    )


@query.field("chartOfAccount")
async def chart_of_account(_: object, info: Info, *, id: str) -> Any:
    found = await one(info, "account", id)
    return shape.account(found) if found else None


@query.field("chartOfAccounts")
async def chart_of_accounts(
    _: object,
    info: Info,
    *,
    accountType: str | None = None,
    isActive: bool | None = None,
    limit: int,
    offset: int,
) -> Any:
    found = await page(
        info, "account", limit=limit, offset=offset, order="code", account_type=accountType, active=isActive
    )
    return [shape.account(state) for state in found]


@query.field("accountByCode")
async def account_by_code(_: object, info: Info, *, accountCode: str) -> Any:
    found = await page(info, "account", limit=1, offset=0, code=accountCode)
    return shape.account(found[0]) if found else None


@query.field("invoice")
async def invoice(_: object, info: Info, *, id: str) -> Any:
    found = await one(info, "invoice", id)
    return shape.invoice(found, info.context.today) if found else None


@query.field("invoices")
async def invoices(
    _: object,
    info: Info,
    *,
    status: str | None = None,
    customerId: str | None = None,
    limit: int,
    offset: int,
) -> Any:
    found = await documents(
        info, "invoice", status=status, limit=limit, offset=offset, customer_id=customerId
    )
    return [shape.invoice(state, info.context.today) for state in found]


@query.field("voucher")
async def voucher(_: object, info: Info, *, id: str) -> Any:
    found = await one(info, "voucher", id)
    return shape.voucher(found, info.context.today) if found else None


@query.field("vouchers")
async def vouchers(
    _: object,
    info: Info,
    *,
    kind: str | None = None,
    status: str | None = None,
    partnerId: str | None = None,
    limit: int,
    offset: int,
) -> Any:
    found = await documents(
        info, "voucher", status=status, limit=limit, offset=offset, voucher_kind=kind, partner_id=partnerId
    )
    return [shape.voucher(state, info.context.today) for state in found]


@voucher_type.field("partner")
async def partner(shown: dict[str, Any], info: Info) -> Any:
    kind = "customers" if shown["side"] == SALES else "vendors"
    return await info.context.named(kind, shown["partnerId"]) or {"id": shown["partnerId"]}


@query.field("payment")
async def payment(_: object, info: Info, *, id: str) -> Any:
    found = await one(info, "payment", id)
    return shape.payment(found) if found else None


@query.field("payments")
async def payments(
    _: object,
    info: Info,
    *,
    invoiceId: str | None = None,
    partnerId: str | None = None,
    status: str | None = None,
    paymentMethod: str | None = None,
    limit: int,
    offset: int,
) -> Any:
    found = await page(
        info,
        "payment",
        limit=limit,
        offset=offset,
        invoice_id=invoiceId,
        partner_id=partnerId,
        status=status,
        method=paymentMethod,
    )
    return [shape.payment(s) for s in found]


@query.field("paymentsByInvoice")
async def payments_by_invoice(_: object, info: Info, *, invoiceId: str) -> Any:
    return [shape.payment(s) for s in await page(info, "payment", limit=200, offset=0, invoice_id=invoiceId)]


@query.field("paymentsByStatus")
async def payments_by_status(_: object, info: Info, *, status: str, limit: int, offset: int) -> Any:
    return [shape.payment(s) for s in await page(info, "payment", limit=limit, offset=offset, status=status)]


@query.field("journal")
async def journal(_: object, info: Info, *, id: str) -> Any:
    found = await one(info, "journal", id)
    return shape.journal(found) if found else None


@query.field("journals")
async def journals(
    _: object,
    info: Info,
    *,
    journalType: str | None = None,
    status: str | None = None,
    fiscalPeriod: str | None = None,
    limit: int,
    offset: int,
) -> Any:
    found = await page(
        info,
        "journal",
        limit=limit,
        offset=offset,
        journal_type=journalType,
        status=status,
        fiscal_period=fiscalPeriod,
    )
    return [shape.journal(s) for s in found]


@query.field("journalsByPeriod")
async def journals_by_period(
    _: object,
    info: Info,
    *,
    fiscalPeriod: str,
    limit: int,
    offset: int,
) -> Any:
    found = await page(info, "journal", limit=limit, offset=offset, fiscal_period=fiscalPeriod)
    return [shape.journal(state) for state in found]


@query.field("unpostedJournals")
async def unposted_journals(_: object, info: Info, *, limit: int, offset: int) -> Any:
    return [shape.journal(s) for s in await page(info, "journal", limit=limit, offset=offset, status="DRAFT")]


@query.field("fiscalPeriods")
async def fiscal_periods(_: object, info: Info, *, fiscalYear: str) -> Any:
    context = allowed(info)
    try:
        names = fiscal.periods(fiscalYear)
    except ValueError as error:
        raise PeriodMalformed(str(error)) from None
    ids = {name: period.stream(context.caller.tenant_id, name) for name in names}
    found = await context.service.views.find(context.caller.tenant_id, "period", list(ids.values()))
    return [shape.period(name, found.get(one)) for name, one in ids.items()]


@query.field("fiscalYear")
async def fiscal_year(_: object, info: Info, *, name: str) -> Any:
    stream_id = year.stream(info.context.caller.tenant_id, name)
    return shape.year(name, await one(info, "year", stream_id))


@query.field("bookPolicy")
async def book_policy(_: object, info: Info) -> Any:
    tenant = info.context.caller.tenant_id
    return shape.policy(await one(info, "policy", policy.stream(tenant)) or policy.NONE_YET)


@query.field("exchangeRates")
async def exchange_rates(_: object, info: Info, *, currency: str) -> Any:
    stream_id = rate.stream(info.context.caller.tenant_id, currency)
    return shape.rates(await one(info, "rate", stream_id), currency)


@query.field("numberSeries")
async def number_series(_: object, info: Info, *, fiscalYear: str) -> Any:
    context = allowed(info)
    last_day(fiscalYear, None)
    return await context.service.views.number_series(context.caller.tenant_id, fiscalYear)


@query.field("trialBalance")
async def trial_balance(_: object, info: Info, *, input: dict[str, Any]) -> Any:
    context = allowed(info)
    tenant, currency = context.caller.tenant_id, input["currency"]
    last = last_day(input["fiscalYear"], input.get("asOfDate"))
    found = await inquiry.trial_balance(
        context.service.views, tenant, last=last, known_on=input.get("knownOn"), currency=currency
    )
    of = Figure(last=last, known_on=input.get("knownOn"), currency=currency)
    shown = shape.trial_balance(found, currency=currency)
    for line in shown["entries"]:
        line["figure"] = encode(replace(of, account_id=line["accountId"]))
    return {
        "fiscalYear": input["fiscalYear"],
        "asOfDate": last,
        "knownOn": input.get("knownOn"),
        **shown,
        "metadata": {
            "generatedAt": context.now,
            "tenantId": tenant,
            "currency": currency,
            "position": context.service.views.position,
        },
    }


@account_type.field("balance")
async def account_balance(shown: dict[str, Any], info: Info) -> Any:
    if "balance" in shown:
        return shown["balance"]
    holding = await info.context.holding_minor(shown["id"])
    return shape.balance(shown["accountType"], shown["currency"], holding)


@invoice_type.field("customer")
async def customer(shown: dict[str, Any], info: Info) -> Any:
    return await info.context.named("customers", shown["customerId"]) or {"id": shown["customerId"]}


@invoice_type.field("vendor")
async def vendor(shown: dict[str, Any], info: Info) -> Any:
    if shown["vendorId"] is None:
        return None
    return await info.context.named("vendors", shown["vendorId"]) or {"id": shown["vendorId"]}


@invoice_line_type.field("product")
async def product(shown: dict[str, Any], info: Info) -> Any:
    if shown["productId"] is None:
        return None
    return await info.context.named("products", shown["productId"]) or {"id": shown["productId"]}


@journal_line_type.field("account")
async def journal_line_account(shown: dict[str, Any], info: Info) -> Any:
    found = await info.context.account(shown["accountId"])
    return shape.account(found) if found else None
