"""Resolvers of tax codes, packs and the summary of a return."""

from typing import Any

from ariadne import MutationType, QueryType
from msgspec.structs import replace

from finance import inquiry, pack, policy, tax, vat
from finance.figure import Figure, encode, tax_sign
from finance.graphql import shape
from finance.graphql.context import Context
from finance.graphql.reading import Info, allowed, page, query
from finance.graphql.writing import Given, command, mutation
from finance.handle import Books
from finance.inquiry import within
from finance.money import BASE, exact
from finance.ports import Caller

__all__ = ["bindables"]
bindables: list[QueryType | MutationType] = [query, mutation]


def shown(state: tax.Tax) -> shape.Shown:
    return {
        "__typename": "TaxCode",
        "code": state.code,
        "name": state.name,
        "kind": state.kind,
        "onDuty": state.on_duty,
        "recoverable": state.recoverable,
        "form": state.form,
        "isActive": state.active,
        "rates": [
            {"validFrom": one.valid_from, "validUntil": one.valid_until, "percent": shape.amount(one.percent)}
            for one in state.quotes
        ],
        "version": state.version,
    }


@query.field("taxCodes")
async def tax_codes(_: object, info: Info, *, limit: int, offset: int) -> Any:
    found = await page(info, "tax", limit=limit, offset=offset, order="code")
    return [shown(state) for state in found]


@query.field("taxPacks")
async def tax_packs(_: object, info: Info) -> Any:
    allowed(info)
    loaded = [(name, pack.load(name)) for name in pack.PACKS]
    return [
        {
            "name": name,
            "codes": [one.code for one in found.codes],
            "taxInvoiceForm": found.tax_invoice.form,
            "tinDigits": found.tin_digits,
            "binDigits": found.bin_digits,
        }
        for name, found in loaded
        if found is not None
    ]


@query.field("vatSummary")
async def vat_summary(_: object, info: Info, *, input: Given) -> Any:
    context = allowed(info)
    window = within(input["from"], input["to"], input.get("knownOn"))
    found = await inquiry.vat_summary(context.service.views, context.caller.tenant_id, window)
    of = Figure(first=input["from"], last=input["to"], known_on=input.get("knownOn"))
    return {
        "from": input["from"],
        "to": input["to"],
        "knownOn": input.get("knownOn"),
        "lines": [
            {
                **tax_figures(of, one),
                "section": one.section,
                "taxCode": one.code,
                "value": shape.money(one.value_minor, BASE),
                "tax": shape.money(one.tax_minor, BASE),
            }
            for one in found.lines
        ],
        "outputTax": shape.money(found.tax_minor(vat.OUTPUT), BASE),
        "inputTax": shape.money(found.tax_minor(vat.INPUT), BASE),
        "due": shape.money(found.due_minor, BASE),
        "accounts": [
            {
                "figure": encode(replace(of, account_id=one.balance.account.id)),
                "accountId": one.balance.account.id,
                "accountCode": one.balance.account.code,
                "accountName": one.balance.account.name,
                "moved": shape.money(one.balance.net_minor, BASE),
                "returned": shape.money(one.returned_minor, BASE),
                "other": shape.money(one.other_minor, BASE),
            }
            for one in found.accounts
        ],
        "isTied": found.is_tied,
    }


def tax_figures(of: Figure, line: vat.Taxed) -> shape.Shown:
    taxed = replace(of, section=line.section, code=line.code, sign=tax_sign(line.section))
    return {"taxFigure": encode(taxed), "valueFigure": encode(replace(taxed, value=True))}


def quote(given: Given) -> tax.Quote:
    return tax.Quote(
        valid_from=given["validFrom"],
        percent=exact(given["percent"]),
        valid_until=given.get("validUntil"),
    )


@command("defineTaxCode")
async def define_tax_code(
    _: Context, books: Books, caller: Caller, *, input: Given, idempotencyKey: str
) -> shape.Shown:
    asked = tax.Define(
        code=input["code"],
        name=input["name"],
        kind=input["kind"],
        quote=quote(input["rate"]),
        on_duty=input["onDuty"],
        recoverable=input["recoverable"],
        form=input.get("form"),
    )
    return shown(await books.taxes.define(caller, idempotencyKey, asked))


@command("setTaxRate")
async def set_tax_rate(
    _: Context, books: Books, caller: Caller, *, code: str, input: Given, idempotencyKey: str
) -> shape.Shown:
    return shown(await books.taxes.change(caller, idempotencyKey, code, tax.SetRate(quote=quote(input))))


@command("deactivateTaxCode")
async def deactivate_tax_code(
    _: Context, books: Books, caller: Caller, *, code: str, reason: str, idempotencyKey: str
) -> shape.Shown:
    return shown(await books.taxes.change(caller, idempotencyKey, code, tax.Deactivate(reason=reason)))


@command("reactivateTaxCode")
async def reactivate_tax_code(
    _: Context, books: Books, caller: Caller, *, code: str, reason: str, idempotencyKey: str
) -> shape.Shown:
    return shown(await books.taxes.change(caller, idempotencyKey, code, tax.Reactivate(reason=reason)))


@command("adoptTaxPack")
async def adopt_tax_pack(
    _: Context, books: Books, caller: Caller, *, name: str, idempotencyKey: str
) -> shape.Shown:
    return shape.policy(await books.taxes.adopt(caller, idempotencyKey, name))


@command("setCompanyIdentity")
async def set_company_identity(
    _: Context, books: Books, caller: Caller, *, input: Given, idempotencyKey: str
) -> shape.Shown:
    asked = policy.Identify(
        name=input["name"], address=input["address"], tin=input.get("tin"), bin=input.get("bin")
    )
    return shape.policy(await books.closing.decide(caller, idempotencyKey, asked))
