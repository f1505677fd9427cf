"""Makes an export: asks for the report, says what it is of, and writes it into a file.

A file is whole before its first byte is sent: what fails on the way is told as a failure, and half a report is never
taken for a whole one. It is kept on disk where it is large, and its rows are not kept at all.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import date, datetime
from tempfile import SpooledTemporaryFile
from typing import IO, Any, Final

from finance import inquiry, policy
from finance.exports import tables
from finance.exports.catalogue import PDF, XLSX, Export, Given, file_name
from finance.exports.files import WRITERS
from finance.exports.ledger import LEDGER, Pages
from finance.exports.parties import Issuer, Partner
from finance.graphql.context import Context
from finance.inquiry import before, within
from finance.refusal import AccountUnknown, NotFound, ReportTooLarge
from finance.settlement import PURCHASE, SALES
from finance.sheet import MOST_ROWS, MOST_SHEET_ROWS, Column, Fact, Head, Row

IN_MEMORY_BYTES: Final = 2_000_000
AT_ONCE: Final = 1000
"""Rows that are written before others get their turn."""
MOST_PRINTED: Final = 2000
"""Movements of a statement on paper: some fifty pages, and three seconds of a processor."""
WHO: Final = {SALES: ("customers", "Customer"), PURCHASE: ("vendors", "Vendor")}
FACTS: Final = {
    "fiscalYear": "Fiscal year",
    "accountCode": "Account",
    "from": "From",
    "to": "To",
    "asOf": "As of",
    "asOfDate": "As of",
    "currency": "Currency",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A whole file, at its beginning, and what to call it. Whoever takes it closes it."""

    file: IO[bytes]
    name: str


async def make(export: Export, file_format: str, given: Given, context: Context) -> Made:
    """The file of an export.

    Raises:
        Refused: the report refuses, is too large, or is of what does not exist.
        Fault: the world did not do what was asked.
    """
    file = SpooledTemporaryFile(IN_MEMORY_BYTES)  # noqa: SIM115 - it outlives this call: whoever takes it closes it
    try:
        called = await _fill(file, export, file_format, given, context)
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return Made(file=file, name=file_name(export, given, file_format, called=called))


async def _fill(file: Any, export: Export, file_format: str, given: Given, context: Context) -> str | None:
    """Write it; returns what a document is called, where the file is named after that."""
    if file_format == PDF:
        return await _paper(file, export, given, context)
    facts = await facts_of(export, given, context)
    columns, batches = await rows_of(
        export, given, context, most=MOST_SHEET_ROWS if file_format == XLSX else MOST_ROWS
    )
    head = Head(name=export.name, title=export.title, facts=facts, columns=columns)
    writer = WRITERS[file_format](file)
    try:
        async with aclosing(batches):
            await asyncio.to_thread(writer.begin, head)
            async for rows in batches:
                await asyncio.to_thread(writer.add, rows)
    finally:
        await asyncio.to_thread(writer.end)  # it keeps files of its own, even where this one is given up
    return None


async def issuer_of(context: Context) -> Issuer:
    """Who makes out a document, or whose report it is."""
    tenant, views = context.caller.tenant_id, context.service.views
    name = await views.tenant_name(tenant)  # asked first: of no books there is no policy
    held = await context.state("policy", policy.stream(tenant)) or policy.NONE_YET
    if held.identity is None:
        return Issuer(name=name)
    told, pack = held.identity, held.pack
    form = pack.tax_invoice_form if pack else None
    return Issuer(name=told.name, address=told.address, tin=told.tin, bin=told.bin, tax_form=form)


async def facts_of(export: Export, given: Given, context: Context) -> tuple[Fact, ...]:
    """What stands above every report: whose, of which days, as known when, made when and by whom."""
    asked = dict(given)
    if export.name == "trial-balance":
        asked["asOfDate"] = inquiry.last_day(given["fiscalYear"], given.get("asOfDate"))
    if export.name == "number-gaps":
        inquiry.last_day(given["fiscalYear"], None)
    facts = [Fact(key="company", title="Company", value=(await issuer_of(context)).name)]
    facts += [
        Fact(key=name, title=title, value=asked[name]) for name, title in FACTS.items() if name in asked
    ]
    if "partnerId" in given:
        kind, title = WHO[export.side or SALES]
        partner = await partner_of(kind, given["partnerId"], context)
        facts.append(Fact(key="partnerId", title=f"{title} id", value=partner.id))
        facts.append(Fact(key="partner", title=title, value=partner.name or partner.id))
    known: date | datetime = given.get("knownOn") or context.now
    return (
        *facts,
        Fact(key="knownOn", title="As known on", value=known),
        Fact(key="madeAt", title="Made at", value=context.now),
        Fact(key="madeBy", title="Made by", value=context.caller.user_id),
    )


async def rows_of(
    export: Export, given: Given, context: Context, *, most: int
) -> tuple[tuple[Column, ...], AsyncGenerator[Sequence[Row], None]]:
    """The columns of a report, and its rows, batch after batch: at most so many."""
    if export.field == "generalLedger":
        return LEDGER, _ledger(given, context, most)
    columns, rows = await _table(export, given, context, most)
    if len(rows) > most:
        raise ReportTooLarge(f"Expected at most {most} rows.")
    return columns, _in_batches(rows)


async def _in_batches(rows: Sequence[Row]) -> AsyncGenerator[Sequence[Row], None]:
    for start in range(0, len(rows), AT_ONCE):
        yield rows[start : start + AT_ONCE]


async def _table(export: Export, given: Given, context: Context, most: int) -> tables.Table:
    tenant, views, known_on = context.caller.tenant_id, context.service.views, given.get("knownOn")
    match export.field:
        case "trialBalance":
            last = inquiry.last_day(given["fiscalYear"], given.get("asOfDate"))
            held = await inquiry.trial_balance(
                views, tenant, last=last, known_on=known_on, currency=given["currency"]
            )
            return tables.trial_balance(held, given["currency"])
        case "profitAndLoss":
            window = within(given["from"], given["to"], known_on)
            return tables.profit_and_loss(await inquiry.profit_and_loss(views, tenant, window))
        case "balanceSheet":
            window = within(None, given["asOf"], known_on)
            return tables.balance_sheet(await inquiry.balance_sheet(views, tenant, window))
        case "cashFlow":
            window = within(given["from"], given["to"], known_on)
            return tables.cash_flow(await inquiry.cash_flow(views, tenant, given["from"], window))
        case "ageing":
            return await _ageing(export.side or SALES, given, context)
        case "statement":
            return tables.statement(await _statement(export, given, context), given["currency"])
        case "vatSummary":
            window = within(given["from"], given["to"], known_on)
            return tables.vat_summary(await inquiry.vat_summary(views, tenant, window))
        case "bankReconciliation":
            return tables.bank_reconciliation(
                await _reconciliation(given, context, most + 1), given["currency"]
            )
        case "revaluation":
            return tables.revaluation(await inquiry.revaluation_of(views, tenant, given["asOf"]))
        case "numberSeries":
            return tables.number_gaps(await views.number_series(tenant, given["fiscalYear"]))
        case _:
            raise AssertionError(f"{export.name} is in the catalogue and has no table")


async def _ageing(side: str, given: Given, context: Context) -> tables.Table:
    tenant, views = context.caller.tenant_id, context.service.views
    found = await inquiry.debts(views, tenant, side, as_of=given["asOf"], known_on=given.get("knownOn"))
    ids = [one.partner_id for one in found.aged if one.partner_id is not None]
    named = await context.service.masterdata.find(context.caller, WHO[side][0], ids)
    return tables.ageing(found, {one: str(known["name"]) for one, known in named.items()})


async def _statement(export: Export, given: Given, context: Context) -> inquiry.Statement:
    return await inquiry.statement(
        context.service.views,
        context.caller.tenant_id,
        export.side or SALES,
        given["partnerId"],
        currency=given["currency"],
        first=given["from"],
        window=within(given["from"], given["to"], given.get("knownOn")),
    )


async def _reconciliation(given: Given, context: Context, limit: int) -> inquiry.Reconciliation:
    tenant, views, code = context.caller.tenant_id, context.service.views, given["accountCode"]
    found = await views.page(tenant, "account", limit=1, offset=0, filters={"code": code})
    if not found:
        raise AccountUnknown(f"Found {code[:40]}.")
    return await inquiry.reconciliation(
        views, tenant, found[0].id, as_of=given["asOf"], currency=given["currency"], limit=limit
    )


async def _ledger(given: Given, context: Context, most: int) -> AsyncGenerator[Sequence[Row], None]:
    """The general ledger, of one account or of all, from one instant."""
    tenant, currency = context.caller.tenant_id, given["currency"]
    window = within(given["from"], given["to"], given.get("knownOn"))
    async with context.service.views.still(tenant) as now:
        held = await now.balances(tenant, currency=currency, window=before(window, given["from"]))
        code, only = given.get("accountCode"), None
        if code is not None:
            held = [one for one in held if one.account.code == code]
            if not held:
                raise AccountUnknown(f"Found {code[:40]}.")
            only = held[0].account.id
        count = await now.count_movements(tenant, only, currency=currency, window=window, limit=most + 1)
        if count > most:
            raise ReportTooLarge(f"Expected at most {most} movements; ask for fewer days, or one account.")
        pages = Pages(held, currency)
        async with aclosing(now.every_movement(only, currency=currency, window=window)) as batches:
            async for movements in batches:
                yield pages.add(movements)
        yield pages.end()


async def partner_of(kind: str, partner_id: str, context: Context) -> Partner:
    """Who it is for."""
    known = await context.named(kind, partner_id) or {}
    return Partner(id=partner_id, **{name: known.get(name) for name in ("name", "tin", "bin")})


async def _paper(file: Any, export: Export, given: Given, context: Context) -> str | None:
    """A document or a statement, as a company sends it, or a table."""
    from finance.exports import documents  # with what draws pages: most processes never do

    issuer = await issuer_of(context)
    if export.field == "bankReconciliation":
        columns, rows = await _table(export, given, context, MOST_PRINTED)
        if len(rows) > MOST_PRINTED:
            raise ReportTooLarge(f"Expected at most {MOST_PRINTED} rows on paper; ask for xlsx or csv.")
        facts = await facts_of(export, given, context)
        drawn = await asyncio.to_thread(
            documents.table_on_paper, issuer, columns, rows, facts, title=export.title
        )
        await asyncio.to_thread(file.write, drawn)
        return None
    if export.field == "statement":
        found = await _statement(export, given, context)
        if len(found.steps) > MOST_PRINTED:
            raise ReportTooLarge(f"Expected at most {MOST_PRINTED} movements on paper; ask for xlsx or csv.")
        partner = await partner_of(WHO[export.side or SALES][0], given["partnerId"], context)
        facts = await facts_of(export, given, context)
        drawn = await asyncio.to_thread(
            documents.statement_on_paper, issuer, partner, found, given, facts, title=export.title
        )
        await asyncio.to_thread(file.write, drawn)
        return None
    state = await context.state(export.field, given["id"])
    if state is None or (export.field == "voucher" and state.kind != export.name.replace("-", "_").upper()):
        raise NotFound(f"No {export.title.lower()} has the id {given['id'][:40]}.")
    partner = await partner_of("customers", state.partner_id, context)
    now, by = context.now, context.caller.user_id
    if export.field == "invoice":
        drawn = await asyncio.to_thread(documents.invoice_on_paper, issuer, partner, state, now, by=by)
    else:
        told = await _corrected(state.terms.corrects_id, context)
        drawn = await asyncio.to_thread(documents.note_on_paper, issuer, partner, state, told, now, by=by)
    await asyncio.to_thread(file.write, drawn)
    return f"{export.name}-{state.number or 'draft'}"


async def _corrected(document_id: str | None, context: Context) -> str | None:
    """The number of the document that a note corrects."""
    if document_id is None:
        return None
    for kind in ("invoice", "voucher"):
        found = await context.state(kind, document_id)
        if found is not None:
            number: str | None = found.number
            return found.tax_number or number if kind == "invoice" else number
    return None
