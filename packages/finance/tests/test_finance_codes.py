"""Every refusal of the books is answered for real: each code has what provokes it here, over the whole shell.

A request goes through the executor, the permissions, the commands and a real database; what comes back is its code,
and nothing was written. A code that nothing here provokes is dead, and fails the walk.
"""

import base64
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import date
from typing import Any
from uuid import uuid4

import pytest
from test_finance_bank import CSV
from test_finance_mutations import (
    DAY,
    LATER,
    LINES,
    REASON,
    SCENARIOS,
    ask,
    changed,
    file_of,
    line,
    send,
    side,
    written,
)

from finance import inquiry
from finance.authority import SENIOR
from finance.exports.route import Desk as Exports
from finance.graphql.permission import EXPORT, NEEDED
from finance.period import CLOSER
from finance.ports import Caller
from finance.refusal import Refused

Desk = Any
Given = dict[str, Any]
Case = Callable[[Desk], Awaitable[str | None]]
EVERYTHING = frozenset(NEEDED.values())
CASES: dict[str, Case] = {}
"""What provokes each code, in the order in which they are asked: what changes the books for good comes last."""


def case(code: str) -> Callable[[Case], Case]:
    def register(provoke: Case) -> Case:
        assert code not in CASES, code
        CASES[code] = provoke
        return provoke

    return register


async def refused(
    desk: Desk, name: str, given: Given, caller: Caller | None = None, key: str | None = None
) -> str | None:
    """The code that a mutation answers with, having written nothing; None when it did what was asked."""
    before = await written(desk)
    sent = await send(desk, name, given, str(uuid4()) if key is None else key, caller)
    code = sent.body["errors"][0]["extensions"]["code"] if "errors" in sent.body else sent.code
    if code is not None:
        assert await written(desk) == before, f"{code} left something behind"
    return str(code) if code is not None else None


async def done(desk: Desk, name: str, given: Given, caller: Caller | None = None) -> Given:
    sent = await send(desk, name, given, str(uuid4()), caller)
    assert sent.code is None, (name, sent.body)
    [value] = sent.body["data"].values()
    found: Given = value
    return found


async def put(desk: Desk, name: str, path: tuple[str | int, ...], value: object) -> str | None:
    """What the scenario of a mutation is refused with when one of its values is another."""
    given = await SCENARIOS[name](desk)
    inside: Any = given
    for step in path[:-1]:
        inside = inside[step]
    if isinstance(inside, dict):
        inside.setdefault(path[-1], None)
    return await refused(desk, name, changed(given, path, value))


def somebody(desk: Desk, name: str, *, without: str = "", more: tuple[str, ...] = ()) -> Caller:
    found: Caller = replace(desk.caller, user_id=name, permissions=EVERYTHING - {without} | set(more))
    return found


async def entry(desk: Desk, *lines: Given, **changes: Any) -> str | None:
    """What an entry of these lines is refused with when it is to be posted at once."""
    given = {"journalDate": DAY, "description": "An entry", "currency": "BDT", "autoPost": True}
    return await refused(desk, "createJournal", {"input": given | {"lines": list(lines)} | changes})


def cash(desk: Desk, **sides: str) -> Given:
    return side(desk, "1000", **sides)


def sales(desk: Desk, **sides: str) -> Given:
    return side(desk, "4000", **sides)


async def template_of(desk: Desk, debit: str) -> str | None:
    return await put(desk, "createJournalTemplate", ("input", "lines", 0, "debit"), debit)


async def queried(desk: Desk, query: str, **variables: Any) -> str | None:
    found = await desk.asked(query, **variables)
    assert isinstance(found, list), found
    return str(found[0])


# Amounts, texts, days, pages


@case("amount-malformed")
async def _(desk: Desk) -> str | None:
    return await entry(desk, cash(desk, debit="5.001"), sales(desk, credit="5.001"))


@case("amount-not-positive")
async def _(desk: Desk) -> str | None:
    return await put(desk, "createInvoice", ("input", "lineItems", 0, "quantity"), "0")


@case("currency-mismatch")
async def _(desk: Desk) -> str | None:
    owed = await desk.invoice_approved()
    given = {"invoiceId": owed.id, "amount": "1.00", "currency": "EUR", "paymentMethod": "CASH"}
    return await refused(desk, "createPayment", {"input": given | {"paymentDate": DAY}})


@case("text-malformed")
async def _(desk: Desk) -> str | None:
    return await put(desk, "createAccount", ("input", "accountName"), " ")


@case("date-malformed")
async def _(desk: Desk) -> str | None:
    return await put(desk, "createInvoice", ("input", "dueDate"), "2026-11-22")


@case("page-malformed")
async def _(desk: Desk) -> str | None:
    return await queried(desk, "{ invoices(limit: 201) { id } }")


@case("cursor-malformed")
async def _(desk: Desk) -> str | None:
    return await queried(desk, '{ invoicesConnection(after: "yesterday") { totalCount } }')


ENTITIES = "query ($all: [_Any!]!) { _entities(representations: $all) { ... on Account { id } } }"


async def exported(desk: Desk, name: str, file_format: str, **asked: str) -> str | None:
    """What a file is refused with."""
    context = await desk.context()
    whose = replace(context, caller=replace(context.caller, permissions=EVERYTHING | {EXPORT}))
    with pytest.raises(Refused) as told:
        await Exports().serve(name, file_format, list(asked.items()), whose)
    return told.value.code


@case("figure-malformed")
async def _(desk: Desk) -> str | None:
    return await queried(desk, '{ figureEntries(figure: "all of it", first: 1) { totalCount } }')


@case("export-unknown")
async def _(desk: Desk) -> str | None:
    return await exported(desk, "trial-balance", "doc", fiscalYear="FY2026-2027", currency="BDT")


@case("export-malformed")
async def _(desk: Desk) -> str | None:
    return await exported(desk, "trial-balance", "csv", fiscalYear="FY2026-2027", colour="red")


@case("entities-too-many")
async def _(desk: Desk) -> str | None:
    return await queried(desk, ENTITIES, all=[{"__typename": "Account", "id": str(uuid4())}] * 201)


@case("entity-malformed")
async def _(desk: Desk) -> str | None:
    return await queried(desk, ENTITIES, all=[{"__typename": "Money", "amount": "1"}])


@case("report-too-large")
async def _(desk: Desk) -> str | None:
    """The bound is lowered: ten thousand movements take longer to write than to refuse."""
    await desk.invoice_approved()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inquiry, "MOST_MOVEMENTS", 0)
        asked = {"partnerId": desk.customer, "side": "SALES", "from": DAY, "to": DAY}
        query = "query ($input: StatementInput!) { statement(input: $input) { closingBalance { amount } } }"
        return await queried(desk, query, input=asked)


@case("tenant-unknown")
async def _(desk: Desk) -> str | None:
    stranger = replace(somebody(desk, "karim"), tenant_id=str(uuid4()))
    return await refused(desk, "approveInvoice", {"id": str(uuid4())}, stranger)


@case("idempotency-key-malformed")
async def _(desk: Desk) -> str | None:
    return await refused(desk, "createAccount", await SCENARIOS["createAccount"](desk), key="k" * 201)


@case("idempotency-key-reused")
async def _(desk: Desk) -> str | None:
    given = await SCENARIOS["createInvoice"](desk)
    await ask(desk, "createInvoice", given, "codes 1")
    return await refused(
        desk, "createInvoice", changed(given, ("input", "dueDate"), "2027-01-01"), key="codes 1"
    )


@case("not-found")
async def _(desk: Desk) -> str | None:
    return await refused(desk, "approveInvoice", {"id": str(uuid4())})


# Accounts


@case("account-code-malformed")
async def _(desk: Desk) -> str | None:
    return await put(desk, "createAccount", ("input", "accountCode"), "999")


@case("account-code-taken")
async def _(desk: Desk) -> str | None:
    return await put(desk, "createAccount", ("input", "accountCode"), "1000")


@case("account-unknown")
async def _(desk: Desk) -> str | None:
    return await entry(desk, {"accountId": str(uuid4()), "debit": "5.00"}, sales(desk, credit="5.00"))


@case("account-inactive")
async def _(desk: Desk) -> str | None:
    given = await SCENARIOS["deactivateAccount"](desk)
    await done(desk, "deactivateAccount", given)
    return await entry(desk, {"accountId": given["id"], "debit": "5.00"}, sales(desk, credit="5.00"))


@case("account-parent-impossible")
async def _(desk: Desk) -> str | None:
    return await put(desk, "createAccount", ("input", "parentAccountId"), desk.account("4000"))


@case("account-not-empty")
async def _(desk: Desk) -> str | None:
    await desk.paid(1_00, customer_id=desk.customer)
    return await refused(desk, "deactivateAccount", {"id": desk.account("1010"), "reason": REASON})


@case("account-has-children")
async def _(desk: Desk) -> str | None:
    above = await SCENARIOS["createAccount"](desk)
    made = await done(desk, "createAccount", changed(above, ("input", "accountCode"), "1801"))
    below = above["input"] | {"accountCode": "1801-01", "parentAccountId": made["Account_id"]}
    await done(desk, "createAccount", {"input": below})
    return await refused(desk, "deactivateAccount", {"id": made["Account_id"], "reason": REASON})


@case("account-controlled")
async def _(desk: Desk) -> str | None:
    return await entry(desk, side(desk, "1200", debit="5.00"), sales(desk, credit="5.00"))


# Entries


@case("journal-too-short")
async def _(desk: Desk) -> str | None:
    return await entry(desk, cash(desk, debit="5.00"))


@case("journal-line-one-sided")
async def _(desk: Desk) -> str | None:
    return await entry(desk, cash(desk, debit="5.00", credit="5.00"), sales(desk, credit="5.00"))


@case("journal-unbalanced")
async def _(desk: Desk) -> str | None:
    return await entry(desk, cash(desk, debit="5.00"), sales(desk, credit="4.99"))


@case("account-needed")
async def _(desk: Desk) -> str | None:
    return await refused(desk, "deactivateAccount", {"id": desk.account("5800"), "reason": REASON})


@case("account-not-money")
async def _(desk: Desk) -> str | None:
    given = await SCENARIOS["createPayment"](desk)
    told = {"bankAccountId": desk.account("4000")}
    return await refused(desk, "createPayment", {"input": given["input"] | told})


@case("journal-type-reserved")
async def _(desk: Desk) -> str | None:
    lines = {"lines": [sales(desk, debit="5.00"), cash(desk, credit="5.00")], "autoPost": True}
    told = {"journalDate": DAY, "journalType": "CLOSING", "description": "Sold to nobody", "currency": "BDT"}
    return await refused(desk, "createJournal", {"input": told | lines})


@case("journal-not-draft")
async def _(desk: Desk) -> str | None:
    made = await desk.books.create_journal(desk.caller, str(uuid4()), desk.sale(), post=True)
    return await refused(desk, "updateJournal", {"id": made.id, "input": {"description": "Another"}})


@case("journal-not-posted")
async def _(desk: Desk) -> str | None:
    made = await desk.books.create_journal(desk.caller, str(uuid4()), desk.sale(), post=False)
    return await refused(desk, "reverseJournal", {"id": made.id, "reversingDate": DAY, "reason": REASON})


@case("journal-reversed-already")
async def _(desk: Desk) -> str | None:
    made = await desk.books.create_journal(desk.caller, str(uuid4()), desk.sale(), post=True)
    again = {"id": made.id, "reversingDate": DAY, "reason": REASON}
    await done(desk, "reverseJournal", again)
    return await refused(desk, "reverseJournal", again)


@case("journal-of-document")
async def _(desk: Desk) -> str | None:
    one = await desk.invoice_approved()
    return await refused(
        desk, "reverseJournal", {"id": one.journal_id, "reversingDate": DAY, "reason": REASON}
    )


@case("rate-malformed")
async def _(desk: Desk) -> str | None:
    return await put(desk, "setExchangeRate", ("input", "currency"), "BDT")


@case("rate-missing")
async def _(desk: Desk) -> str | None:
    one = await desk.invoice_drafted(currency="USD")
    return await refused(desk, "approveInvoice", {"id": one.id})


# Invoices, vouchers


@case("invoice-without-lines")
async def _(desk: Desk) -> str | None:
    return await put(desk, "createInvoice", ("input", "lineItems"), [])


@case("invoice-not-draft")
async def _(desk: Desk) -> str | None:
    return await refused(desk, "approveInvoice", {"id": (await desk.invoice_approved()).id})


@case("invoice-cancelled")
async def _(desk: Desk) -> str | None:
    gone = await desk.invoice_drafted()
    await done(desk, "cancelInvoice", {"id": gone.id, "reason": REASON})
    return await refused(desk, "approveInvoice", {"id": gone.id})


@case("invoice-has-payments")
async def _(desk: Desk) -> str | None:
    owed = await desk.invoice_approved()
    await desk.payment_completed(owed.id, 1_00)
    return await refused(desk, "cancelInvoice", {"id": owed.id, "reason": REASON})


@case("invoice-corrected")
async def _(desk: Desk) -> str | None:
    owed = await desk.invoice_approved()
    await desk.voucher_approved("CREDIT_NOTE", 60_00, corrects_id=owed.id)
    return await refused(desk, "cancelInvoice", {"id": owed.id, "reason": REASON})


@case("invoice-not-payable")
async def _(desk: Desk) -> str | None:
    given = {"invoiceId": (await desk.invoice_drafted()).id, "amount": "1.00", "paymentMethod": "CASH"}
    return await refused(desk, "createPayment", {"input": given | {"paymentDate": DAY}})


@case("customer-unknown")
async def _(desk: Desk) -> str | None:
    return await put(desk, "createInvoice", ("input", "customerId"), str(uuid4()))


@case("vendor-unknown")
async def _(desk: Desk) -> str | None:
    return await put(desk, "createVoucher", ("input", "partnerId"), str(uuid4()))


@case("voucher-not-debt")
async def _(desk: Desk) -> str | None:
    note = await desk.voucher_approved("CREDIT_NOTE")
    given = {"amount": "1.00", "on": LATER, "reason": REASON}
    return await refused(desk, "writeOff", {"documentId": note.id, "input": given})


@case("voucher-not-credit")
async def _(desk: Desk) -> str | None:
    bill, other = await desk.voucher_approved("BILL"), await desk.voucher_approved("BILL")
    given = {"documentId": other.id, "amount": "1.00"}
    return await refused(desk, "allocateVoucher", {"id": bill.id, "input": given})


@case("voucher-reference-taken")
async def _(desk: Desk) -> str | None:
    await desk.voucher_approved("BILL", reference="V-TWICE")
    again = await desk.voucher_drafted("BILL", reference="V-TWICE")
    return await refused(desk, "approveVoucher", {"id": again.id})


@case("correction-impossible")
async def _(desk: Desk) -> str | None:
    draft = await desk.invoice_drafted()
    given = {"kind": "CREDIT_NOTE", "partnerId": desk.customer, "voucherDate": DAY, "dueDate": DAY}
    more = {"correctsId": draft.id, "reason": REASON, "lineItems": [line()]}
    return await refused(desk, "createVoucher", {"input": given | more})


@case("correction-too-large")
async def _(desk: Desk) -> str | None:
    owed = await desk.invoice_approved(100_00)
    await desk.voucher_approved("CREDIT_NOTE", 60_00, corrects_id=owed.id)
    given = {"kind": "CREDIT_NOTE", "partnerId": desk.customer, "voucherDate": DAY, "dueDate": DAY}
    more = {"correctsId": owed.id, "reason": REASON, "lineItems": [line() | {"unitPrice": "20.00"}]}
    return await refused(desk, "createVoucher", {"input": given | more})


# Payments, allocations, settlements


@case("payment-too-large")
async def _(desk: Desk) -> str | None:
    given = {"invoiceId": (await desk.invoice_approved()).id, "amount": "115.01", "paymentMethod": "CASH"}
    return await refused(desk, "createPayment", {"input": given | {"paymentDate": DAY}})


@case("payment-partner-malformed")
async def _(desk: Desk) -> str | None:
    return await put(desk, "createPayment", ("input", "vendorId"), desk.vendor)


@case("payment-details-missing")
async def _(desk: Desk) -> str | None:
    return await put(desk, "createPayment", ("input", "paymentMethod"), "CHECK")


@case("wallet-number-malformed")
async def _(desk: Desk) -> str | None:
    return await put(desk, "createPayment", ("input", "mobileNumber"), "0123")


@case("payment-not-pending")
async def _(desk: Desk) -> str | None:
    made = await desk.paid(1_00, customer_id=desk.customer)
    return await refused(desk, "failPayment", {"id": made.id, "input": {"reason": REASON}})


@case("payment-not-completed")
async def _(desk: Desk) -> str | None:
    given = await SCENARIOS["completePayment"](desk)
    return await refused(desk, "reversePayment", {"id": given["id"], "input": {"reason": REASON}})


@case("partner-mismatch")
async def _(desk: Desk) -> str | None:
    made, owed = await desk.paid(1_00, vendor_id=desk.vendor), await desk.invoice_approved()
    given = {"documentId": owed.id, "amount": "1.00"}
    return await refused(desk, "allocatePayment", {"id": made.id, "input": given})


@case("allocation-too-large")
async def _(desk: Desk) -> str | None:
    return await put(desk, "allocatePayment", ("input", "amount"), "10.01")


@case("allocation-unknown")
async def _(desk: Desk) -> str | None:
    return await put(desk, "unallocatePayment", ("input", "allocationId"), str(uuid4()))


@case("settlement-unknown")
async def _(desk: Desk) -> str | None:
    return await put(desk, "withdrawSettlement", ("input", "settlementId"), str(uuid4()))


# Templates and formulas


@case("template-malformed")
async def _(desk: Desk) -> str | None:
    return await put(desk, "createJournalTemplate", ("input", "endsOn"), "2026-10-31")


@case("template-not-active")
async def _(desk: Desk) -> str | None:
    given = await SCENARIOS["approveJournalTemplate"](desk)
    return await refused(desk, "runJournalTemplate", given | {"through": "2026-11-20"})


@case("formula-malformed")
async def _(desk: Desk) -> str | None:
    return await template_of(desk, "__import__('os')")


@case("formula-too-complex")
async def _(desk: Desk) -> str | None:
    return await template_of(desk, "(" * 5_000 + ")" * 5_000)


@case("formula-name-unknown")
async def _(desk: Desk) -> str | None:
    return await template_of(desk, "RANDOM")


@case("formula-divides-by-zero")
async def _(desk: Desk) -> str | None:
    return await template_of(desk, "1/0")


@case("formula-overflows")
async def _(desk: Desk) -> str | None:
    return await template_of(desk, "99999999999999999999*99999999999999999999")


# Currencies


@case("nothing-to-revalue")
async def _(desk: Desk) -> str | None:
    return await refused(desk, "revalueCurrencies", {"asOf": "2020-11-23"})


@case("currencies-revalued-already")
async def _(desk: Desk) -> str | None:
    given = await SCENARIOS["undoRevaluation"](desk)
    return await refused(desk, "revalueCurrencies", {"asOf": given["asOf"]})


@case("currencies-not-revalued")
async def _(desk: Desk) -> str | None:
    return await refused(desk, "undoRevaluation", {"asOf": "2020-11-23", "reason": REASON})


# Banks


@case("bank-file-malformed")
async def _(desk: Desk) -> str | None:
    half = base64.b64encode(CSV[: len(CSV) // 2].encode()).decode()
    return await put(desk, "importBankFile", ("input", "content"), half)


CAMT_UNTIED = """<?xml version="1.0"?><Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.02">
<BkToCstmrStmt><Stmt><Id>S</Id><Acct><Id><IBAN>X</IBAN></Id><Ccy>BDT</Ccy></Acct>
<Bal><Tp><CdOrPrtry><Cd>OPBD</Cd></CdOrPrtry></Tp><Amt Ccy="BDT">0.00</Amt><CdtDbtInd>CRDT</CdtDbtInd>
<Dt><Dt>2026-11-20</Dt></Dt></Bal>
<Bal><Tp><CdOrPrtry><Cd>CLBD</Cd></CdOrPrtry></Tp><Amt Ccy="BDT">9.00</Amt><CdtDbtInd>CRDT</CdtDbtInd>
<Dt><Dt>2026-11-20</Dt></Dt></Bal>
<Ntry><Amt Ccy="BDT">5.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts>BOOK</Sts><BookgDt><Dt>2026-11-20</Dt></BookgDt>
<AcctSvcrRef>U-1</AcctSvcrRef></Ntry></Stmt></BkToCstmrStmt></Document>"""


@case("bank-file-untied")
async def _(desk: Desk) -> str | None:
    told = {"accountId": desk.account("1010"), "currency": "BDT", "kind": "CAMT053", "name": "n.xml"}
    content = base64.b64encode(CAMT_UNTIED.encode()).decode()
    return await refused(desk, "importBankFile", {"input": told | {"content": content}})


async def told_line(desk: Desk, reference: str, minor: int) -> str:
    await done(desk, "importBankFile", file_of(desk, reference, minor))
    lines = await desk.asked(LINES, id=desk.account("1010"))
    return next(str(one["id"]) for one in lines if one["reference"] == reference)


@case("bank-line-contradicts")
async def _(desk: Desk) -> str | None:
    await told_line(desk, "C-1", 7_00)
    return await refused(desk, "importBankFile", file_of(desk, "C-1", 8_00))


@case("bank-match-untied")
async def _(desk: Desk) -> str | None:
    told, made = await told_line(desk, "C-2", 9_00), await desk.paid(9_01, customer_id=desk.customer)
    return await refused(desk, "matchBankLines", {"lineIds": [told], "paymentIds": [made.id]})


@case("bank-line-not-matched")
async def _(desk: Desk) -> str | None:
    return await refused(
        desk, "unmatchBankLine", {"id": await told_line(desk, "C-3", 3_00), "reason": REASON}
    )


async def matched(desk: Desk, reference: str, minor: int) -> tuple[str, str]:
    told, made = await told_line(desk, reference, minor), await desk.paid(minor, customer_id=desk.customer)
    await done(desk, "matchBankLines", {"lineIds": [told], "paymentIds": [made.id]})
    return told, str(made.id)


@case("bank-line-matched")
async def _(desk: Desk) -> str | None:
    told, _ = await matched(desk, "C-4", 4_00)
    other = await desk.paid(4_00, customer_id=desk.customer)
    return await refused(desk, "matchBankLines", {"lineIds": [told], "paymentIds": [other.id]})


@case("journal-matched")
async def _(desk: Desk) -> str | None:
    booked = {"lineIds": [await told_line(desk, "C-6", 6_00)], "against": [side(desk, "4000")]}
    made = await done(desk, "bookBankLines", {"input": booked})
    return await refused(desk, "reverseJournal", {"id": made["Journal_id"], "reversingDate": LATER})


@case("payment-matched")
async def _(desk: Desk) -> str | None:
    _, made = await matched(desk, "C-5", 5_00)
    return await refused(desk, "reversePayment", {"id": made, "input": {"reason": REASON}})


# Attachments


@case("attachment-malformed")
async def _(desk: Desk) -> str | None:
    return await put(desk, "attach", ("input", "sha256"), "A" * 64)


@case("attachment-twice")
async def _(desk: Desk) -> str | None:
    given = await SCENARIOS["attach"](desk)
    await done(desk, "attach", given)
    return await refused(desk, "attach", given)


@case("attachment-unknown")
async def _(desk: Desk) -> str | None:
    return await put(desk, "attach", ("input", "supersedes"), "b" * 64)


# Taxes


@case("tax-code-malformed")
async def _(desk: Desk) -> str | None:
    return await put(desk, "defineTaxCode", ("input", "code"), "vat")


async def coded(desk: Desk, code: str, **changes: Any) -> str:
    given = (await SCENARIOS["defineTaxCode"](desk))["input"] | {"code": code} | changes
    await done(desk, "defineTaxCode", {"input": given})
    return code


async def invoiced(desk: Desk, *codes: str, day: str = DAY) -> Given:
    given = (await SCENARIOS["createInvoice"](desk))["input"]
    lines = [given["lineItems"][0] | {"taxCodes": list(codes)}]
    return {"input": given | {"lineItems": lines, "invoiceDate": day, "dueDate": "2027-12-31"}}


@case("tax-code-taken")
async def _(desk: Desk) -> str | None:
    given = (await SCENARIOS["defineTaxCode"](desk))["input"] | {"code": await coded(desk, "CODE1")}
    return await refused(desk, "defineTaxCode", {"input": given})


@case("tax-code-unknown")
async def _(desk: Desk) -> str | None:
    return await refused(desk, "createInvoice", await invoiced(desk, "NOSUCH"))


@case("tax-code-not-valid")
async def _(desk: Desk) -> str | None:
    code = await coded(desk, "CODE2")
    return await refused(desk, "createInvoice", await invoiced(desk, code, day="2026-11-22"))


@case("tax-code-inactive")
async def _(desk: Desk) -> str | None:
    code = await coded(desk, "CODE3")
    await done(desk, "deactivateTaxCode", {"code": code, "reason": REASON})
    return await refused(desk, "createInvoice", await invoiced(desk, code))


@case("tax-code-misplaced")
async def _(desk: Desk) -> str | None:
    codes = [await coded(desk, "CODE4"), await coded(desk, "CODE5")]
    return await refused(desk, "createInvoice", await invoiced(desk, *codes))


@case("tax-rate-changed")
async def _(desk: Desk) -> str | None:
    code = await coded(desk, "CODE6")
    draft = await done(desk, "createInvoice", await invoiced(desk, code))
    await done(desk, "setTaxRate", {"code": code, "input": {"validFrom": DAY, "percent": "16"}})
    return await refused(desk, "approveInvoice", {"id": draft["Invoice_id"]})


@case("tax-pack-unknown")
async def _(desk: Desk) -> str | None:
    return await refused(desk, "adoptTaxPack", {"name": "atlantis"})


@case("tax-identity-malformed")
async def _(desk: Desk) -> str | None:
    await done(desk, "adoptTaxPack", {"name": "bangladesh"})
    return await put(desk, "setCompanyIdentity", ("input", "tin"), "12")


# Closing: old years, so that nothing else is in them


@case("taxes-locked")
async def _(desk: Desk) -> str | None:
    await done(desk, "lockTaxes", {"through": "2021-08-31"})
    one = await desk.invoice_drafted(day=date(2021, 8, 31))
    return await refused(desk, "approveInvoice", {"id": one.id})


@case("tax-lock-out-of-order")
async def _(desk: Desk) -> str | None:
    return await refused(desk, "lockTaxes", {"through": "2021-07-31"})


@case("period-malformed")
async def _(desk: Desk) -> str | None:
    return await refused(desk, "closePeriod", {"period": "FY2020-2022-P01", "to": "CLOSED"})


@case("period-not-closed")
async def _(desk: Desk) -> str | None:
    return await refused(desk, "reopenPeriod", {"period": "FY2020-2021-P01", "reason": REASON})


async def posted_on(desk: Desk, day: str, caller: Caller | None = None) -> str | None:
    lines = [cash(desk, debit="5.00"), sales(desk, credit="5.00")]
    given = {"journalDate": day, "description": "An entry", "autoPost": True, "lines": lines}
    return await refused(desk, "createJournal", {"input": given}, caller)


@case("period-soft-closed")
async def _(desk: Desk) -> str | None:
    await done(desk, "closePeriod", {"period": "FY2021-2022-P01", "to": "SOFT_CLOSED"})
    return await posted_on(desk, "2021-07-15", somebody(desk, "karim", without=CLOSER))


@case("period-closed")
async def _(desk: Desk) -> str | None:
    await done(desk, "closePeriod", {"period": "FY2021-2022-P02", "to": "CLOSED"})
    return await posted_on(desk, "2021-08-15")


@case("period-locked")
async def _(desk: Desk) -> str | None:
    for to in ("CLOSED", "LOCKED"):
        await done(desk, "closePeriod", {"period": "FY2021-2022-P03", "to": to})
    return await refused(desk, "reopenPeriod", {"period": "FY2021-2022-P03", "reason": REASON})


@case("year-not-closed")
async def _(desk: Desk) -> str | None:
    return await refused(desk, "reopenYear", {"fiscalYear": "FY2018-2019", "reason": REASON})


@case("year-out-of-order")
async def _(desk: Desk) -> str | None:
    for name in ("FY2018-2019", "FY2019-2020"):
        await done(desk, "closeYear", {"fiscalYear": name, "to": "CLOSED"})
    return await refused(desk, "reopenYear", {"fiscalYear": "FY2018-2019", "reason": REASON})


# Control: from here on a rule is in force


@case("authority-malformed")
async def _(desk: Desk) -> str | None:
    tiers = [{"above": "1000.00", "approvers": 6, "senior": True}]
    return await put(desk, "setApprovalAuthority", ("input", "tiers"), tiers)


@case("maker-is-checker")
async def _(desk: Desk) -> str | None:
    tiers = [
        {"above": "1000.00", "approvers": 1, "senior": True},
        {"above": "5000.00", "approvers": 2, "senior": True},
    ]
    rule = {"validFrom": DAY, "fourEyes": True, "tiers": tiers, "reason": REASON}
    await done(desk, "setApprovalAuthority", {"input": rule})
    return await refused(desk, "approveInvoice", {"id": (await desk.invoice_drafted()).id})


@case("approval-beyond-authority")
async def _(desk: Desk) -> str | None:
    large = await desk.invoice_drafted(2000_00)
    return await refused(desk, "approveInvoice", {"id": large.id}, somebody(desk, "karim"))


@case("approval-given-already")
async def _(desk: Desk) -> str | None:
    karim = somebody(desk, "karim", more=(SENIOR,))
    huge = await desk.invoice_drafted(9000_00)
    await done(desk, "approveInvoice", {"id": huge.id}, karim)
    return await refused(desk, "approveInvoice", {"id": huge.id}, karim)


@case("reason-missing")
async def _(desk: Desk) -> str | None:
    made = await desk.books.create_journal(desk.caller, str(uuid4()), desk.sale(), post=False)
    await done(desk, "postJournal", {"id": made.id}, somebody(desk, "karim"))
    return await refused(desk, "reverseJournal", {"id": made.id, "reversingDate": DAY})


def codes(above: type[Refused] = Refused) -> set[str]:
    return {one.code for one in above.__subclasses__()} | {
        code for one in above.__subclasses__() for code in codes(one)
    }


def test_every_code_has_what_provokes_it_and_no_other_has() -> None:
    assert set(CASES) == codes()
    assert len(CASES) > 90


@pytest.mark.integration
async def test_every_code_is_answered_over_the_whole_shell_and_leaves_nothing_behind(desk: Desk) -> None:
    answered = {code: await provoke(desk) for code, provoke in CASES.items()}
    assert answered == {code: code for code in CASES}
