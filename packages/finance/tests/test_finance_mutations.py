"""Every mutation of the schema, walked: a refusal is an answer, and a key is used once.

Each has a scenario here that makes what it needs and says what to send; one that has none fails the walk.
"""

import asyncio
import base64
import copy
import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLObjectType,
    GraphQLUnionType,
    get_named_type,
    is_leaf_type,
)

from finance.adapters.postgres.projector import Projector
from finance.adapters.postgres.views import Views
from finance.graphql.context import Context, Service
from finance.graphql.execution import Executor
from finance.graphql.permission import NEEDED
from finance.graphql.schema import build
from finance.ports import Caller

Desk = Any
Given = dict[str, Any]
Scenario = Callable[[Desk], Awaitable[Given]]
SCHEMA = build()
EXECUTOR = Executor(SCHEMA, introspection=False)
DAY, LATER = "2026-11-23", "2026-11-24"
REASON = "the wrong amount was entered"
ALONE = (
    ("adoptTaxPack", "name"),
    ("importBankFile", "input", "kind"),
    ("importBankFile", "input", "columns"),
)
"""What has no other value that is as good: there is one tax pack, and a file is read by what is said of it."""
OTHERWISE = {
    ("attach", "input", "sha256"): "b" * 64,
    (
        "importBankFile",
        "input",
        "content",
    ): "RGF0ZSxBbW91bnQsUmVmLFRleHQKMjAyNi0xMS0yMyw1LjAwLEItOCxyaWNlCg==",
}
"""What another value looks like, where it cannot be made of the one that was given."""
SCENARIOS: dict[str, Scenario] = {}


class Following(Projector):
    """Follows the log whenever it is read: what a request shows of other documents has that request in it."""

    def __init__(self, *of: Any) -> None:
        super().__init__(*of)
        self._turn = asyncio.Lock()

    async def settled(self, tenant_id: str) -> None:
        async with self._turn:
            while await self.step():
                pass


PROJECTORS: dict[str, Projector] = {}
"""By database: making the read models for each of some thousand requests would take longer than they do."""


def scenario(make: Scenario) -> Scenario:
    """The scenario of the mutation that is called as the function, in the schema's spelling."""
    first, *rest = make.__name__.split("_")
    SCENARIOS[first + "".join(word.capitalize() for word in rest)] = make
    return make


def line(account: str | None = None) -> Given:
    given = {"description": "Rice", "quantity": "2.5", "unitPrice": "40.00", "vatCategory": "STANDARD"}
    return given | ({"accountId": account} if account else {})


def side(desk: Desk, code: str, **sides: str) -> Given:
    return {"accountId": desk.account(code), **sides}


async def opened(desk: Desk, code: str) -> str:
    made = await desk.books.create_account(
        desk.caller,
        str(uuid4()),
        code=code,
        name="A till",
        account_type="ASSET",
        currency="BDT",
        parent_id=None,
    )
    return str(made.id)


async def drafted(desk: Desk) -> str:
    made = await desk.books.create_journal(desk.caller, str(uuid4()), desk.sale(), post=False)
    return str(made.id)


async def pending(desk: Desk) -> str:
    found = await ask(desk, "createPayment", await create_payment(desk), str(uuid4()))
    return str(found["Payment_id"])


# Accounts


@scenario
async def create_account(_: Desk) -> Given:
    given = {"accountCode": "1999", "accountName": "A till", "accountType": "ASSET", "currency": "BDT"}
    return {"input": given}


@scenario
async def update_account(desk: Desk) -> Given:
    return {"id": await opened(desk, "1601"), "input": {"accountName": "Another name"}}


@scenario
async def deactivate_account(desk: Desk) -> Given:
    return {"id": await opened(desk, "1602"), "reason": REASON}


# Documents


@scenario
async def create_invoice(desk: Desk) -> Given:
    days = {"invoiceDate": DAY, "dueDate": LATER}
    return {"input": {"customerId": desk.customer, **days, "currency": "BDT", "lineItems": [line()]}}


@scenario
async def update_invoice(desk: Desk) -> Given:
    return {"id": (await desk.invoice_drafted()).id, "input": {"dueDate": LATER, "lineItems": [line()]}}


@scenario
async def approve_invoice(desk: Desk) -> Given:
    return {"id": (await desk.invoice_drafted()).id}


@scenario
async def cancel_invoice(desk: Desk) -> Given:
    return {"id": (await desk.invoice_approved()).id, "reason": REASON, "reversingDate": LATER}


@scenario
async def create_voucher(desk: Desk) -> Given:
    days = {"voucherDate": DAY, "dueDate": LATER}
    lines = {"lineItems": [line(desk.account("5200"))], "reference": "V-1", "reason": REASON}
    return {"input": {"kind": "BILL", "partnerId": desk.vendor, **days, "currency": "BDT", **lines}}


@scenario
async def update_voucher(desk: Desk) -> Given:
    lines = {"lineItems": [line(desk.account("5200"))], "reference": "V-2", "reason": REASON}
    return {"id": (await desk.voucher_drafted("BILL")).id, "input": {"dueDate": LATER, **lines}}


@scenario
async def approve_voucher(desk: Desk) -> Given:
    return {"id": (await desk.voucher_drafted("BILL")).id}


@scenario
async def cancel_voucher(desk: Desk) -> Given:
    return {"id": (await desk.voucher_approved("BILL")).id, "reason": REASON, "reversingDate": LATER}


# Payments


@scenario
async def create_payment(desk: Desk) -> Given:
    wallet = {"walletProvider": "BKASH", "mobileNumber": "01712345678", "reference": "for rice"}
    money = {"amount": "10.00", "currency": "BDT", "excessBecomesCredit": False}
    given = {"customerId": desk.customer, **money, "paymentMethod": "MOBILE_WALLET", "paymentDate": DAY}
    return {"input": given | wallet}


@scenario
async def update_payment(desk: Desk) -> Given:
    return {"id": await pending(desk), "input": {"amount": "11.00", "paymentDate": LATER}}


@scenario
async def complete_payment(desk: Desk) -> Given:
    return {"id": await pending(desk), "input": {"transactionReference": "TRX-1"}}


@scenario
async def fail_payment(desk: Desk) -> Given:
    return {"id": await pending(desk), "input": {"reason": REASON}}


@scenario
async def reconcile_payment(desk: Desk) -> Given:
    _, [made] = await told_by_a_bank(desk, "B-1", 10_00)
    return {"id": made, "input": {"bankStatementTransactionId": "B-1"}}


@scenario
async def reverse_payment(desk: Desk) -> Given:
    made = await desk.paid(10_00, customer_id=desk.customer)
    return {"id": made.id, "input": {"reason": REASON}, "reversingDate": LATER}


@scenario
async def allocate_payment(desk: Desk) -> Given:
    made, owed = await desk.paid(10_00, customer_id=desk.customer), await desk.invoice_approved()
    return {"id": made.id, "input": {"documentId": owed.id, "amount": "5.00", "on": LATER}}


@scenario
async def unallocate_payment(desk: Desk) -> Given:
    made, owed = await desk.paid(10_00, customer_id=desk.customer), await desk.invoice_approved()
    spent = await desk.allocated(made, owed, 5_00)
    one = spent.credit.allocations[0].id
    return {"id": made.id, "input": {"allocationId": one, "reason": REASON, "on": LATER}}


@scenario
async def allocate_voucher(desk: Desk) -> Given:
    made, owed = await desk.voucher_approved("CREDIT_NOTE"), await desk.invoice_approved()
    return {"id": made.id, "input": {"documentId": owed.id, "amount": "5.00", "on": LATER}}


@scenario
async def unallocate_voucher(desk: Desk) -> Given:
    made, owed = await desk.voucher_approved("CREDIT_NOTE"), await desk.invoice_approved()
    spent = await desk.allocated(made, owed, 5_00)
    one = spent.credit.allocations[0].id
    return {"id": made.id, "input": {"allocationId": one, "reason": REASON, "on": LATER}}


@scenario
async def write_off(desk: Desk) -> Given:
    owed = await desk.invoice_approved()
    return {"documentId": owed.id, "input": {"amount": "5.00", "on": LATER, "reason": REASON}}


@scenario
async def withhold_tax(desk: Desk) -> Given:
    owed = await desk.invoice_approved()
    return {"documentId": owed.id, "input": {"amount": "5.00", "on": LATER, "certificate": "C-17"}}


@scenario
async def withdraw_settlement(desk: Desk) -> Given:
    owed = await desk.settled("WRITE_OFF", await desk.invoice_approved(), 5_00)
    given = {"settlementId": owed.settlements[0].id, "reason": REASON, "on": LATER}
    return {"documentId": owed.id, "input": given}


# Journal entries


@scenario
async def create_journal(desk: Desk) -> Given:
    lines = [side(desk, "1000", debit="5.00"), side(desk, "4000", credit="5.00")]
    told = {"description": "A sale", "reference": "till 1", "currency": "BDT", "autoPost": True}
    return {"input": {"journalDate": DAY, "journalType": "GENERAL", "lines": lines, **told}}


@scenario
async def add_journal_line(desk: Desk) -> Given:
    given = side(desk, "1000", debit="5.00") | {"description": "more", "project": "P-1", "costCenter": "C-1"}
    return {"journalId": await drafted(desk), "input": given}


@scenario
async def update_journal(desk: Desk) -> Given:
    lines = [side(desk, "1000", debit="6.00"), side(desk, "4000", credit="6.00")]
    return {
        "id": await drafted(desk),
        "input": {"description": "Another sale", "journalDate": LATER, "lines": lines},
    }


@scenario
async def post_journal(desk: Desk) -> Given:
    return {"id": await drafted(desk)}


@scenario
async def reverse_journal(desk: Desk) -> Given:
    made = await desk.books.create_journal(desk.caller, str(uuid4()), desk.sale(), post=True)
    return {"id": made.id, "reversingDate": LATER, "reason": REASON}


@scenario
async def create_journal_template(desk: Desk) -> Given:
    lines = [side(desk, "5200", debit="100.00"), side(desk, "1000", credit="100.00")]
    days = {"frequency": "MONTHLY", "startsOn": "2026-11-01", "endsOn": "2027-11-22"}
    return {"input": {"kind": "RECURRING", "name": "Rent", "currency": "BDT", "lines": lines, **days}}


async def planned(desk: Desk) -> str:
    given = await create_journal_template(desk)
    found = await ask(desk, "createJournalTemplate", given, str(uuid4()))
    return str(found["JournalTemplate_id"])


@scenario
async def approve_journal_template(desk: Desk) -> Given:
    return {"id": await planned(desk)}


@scenario
async def run_journal_template(desk: Desk) -> Given:
    made = await planned(desk)
    await ask(desk, "approveJournalTemplate", {"id": made}, str(uuid4()))
    return {"id": made, "through": "2026-11-20"}


@scenario
async def end_journal_template(desk: Desk) -> Given:
    made = await planned(desk)
    await ask(desk, "approveJournalTemplate", {"id": made}, str(uuid4()))
    return {"id": made, "reason": REASON}


# Banks


def file_of(desk: Desk, reference: str, minor: int) -> Given:
    text = f"Date,Amount,Ref,Text\n{DAY},{minor / 100:.2f},{reference},rice\n"
    columns = {"bookedOn": "Date", "amount": "Amount", "reference": "Ref", "text": "Text"}
    content = base64.b64encode(text.encode()).decode()
    told = {"accountId": desk.account("1010"), "currency": "BDT", "kind": "CSV", "name": "november.csv"}
    return {"input": told | {"content": content, "columns": columns | {"delimiter": ","}}}


LINES = "query ($id: ID!) { bankLines(accountId: $id) { id reference } }"


async def told_by_a_bank(desk: Desk, reference: str, minor: int) -> tuple[list[str], list[str]]:
    """A line and the payment it is, neither matched."""
    await ask(desk, "importBankFile", file_of(desk, reference, minor), str(uuid4()))
    lines = await desk.asked(LINES, id=desk.account("1010"))
    made = await desk.paid(minor, customer_id=desk.customer)
    return [one["id"] for one in lines if one["reference"] == reference], [made.id]


@scenario
async def import_bank_file(desk: Desk) -> Given:
    return file_of(desk, "B-9", 99_00)


@scenario
async def match_bank_lines(desk: Desk) -> Given:
    lines, payments = await told_by_a_bank(desk, "B-2", 20_00)
    return {"lineIds": lines, "paymentIds": payments}


@scenario
async def unmatch_bank_line(desk: Desk) -> Given:
    lines, payments = await told_by_a_bank(desk, "B-3", 30_00)
    await ask(desk, "matchBankLines", {"lineIds": lines, "paymentIds": payments}, str(uuid4()))
    return {"id": lines[0], "reason": REASON}


@scenario
async def book_bank_lines(desk: Desk) -> Given:
    await ask(desk, "importBankFile", file_of(desk, "B-4", 40_00), str(uuid4()))
    lines = await desk.asked(LINES, id=desk.account("1010"))
    line_ids = [one["id"] for one in lines if one["reference"] == "B-4"]
    told = {"description": "interest", "costCenter": "C-1", "project": "P-1"}
    against = [{"accountId": desk.account("4000"), "amount": "39.00"} | told]
    against.append({"accountId": desk.account("5900")})
    told = {"journalDate": LATER, "description": "Interest of November", "autoPost": True}
    return {"input": {"lineIds": line_ids, "against": against} | told}


# Control


@scenario
async def set_approval_authority(_: Desk) -> Given:
    tiers = [{"above": "1000.00", "approvers": 2, "senior": True}]
    return {"input": {"validFrom": "2027-07-01", "fourEyes": True, "tiers": tiers, "reason": REASON}}


@scenario
async def attach(desk: Desk) -> Given:
    told = {"sha256": "a" * 64, "name": "invoice.pdf", "size": "1024", "mediaType": "application/pdf"}
    return {"documentId": (await desk.invoice_drafted()).id, "input": told}


# Tables and closing


@scenario
async def set_exchange_rate(_: Desk) -> Given:
    return {"input": {"currency": "EUR", "rate": "142.35", "validFrom": DAY}}


async def owed_abroad(desk: Desk) -> None:
    await desk.rate_set("140", date(2026, 11, 1))
    await desk.invoice_approved(currency="EUR", day=date(2026, 11, 1))


@scenario
async def revalue_currencies(desk: Desk) -> Given:
    await owed_abroad(desk)
    await desk.rate_set("141", date.fromisoformat(DAY))
    return {"asOf": DAY}


@scenario
async def undo_revaluation(desk: Desk) -> Given:
    await owed_abroad(desk)
    await desk.rate_set("139", date(2026, 11, 19))
    await ask(desk, "revalueCurrencies", {"asOf": "2026-11-20"}, str(uuid4()))
    return {"asOf": "2026-11-20", "reason": REASON}


@scenario
async def close_period(_: Desk) -> Given:
    return {"period": "FY2020-2021-P01", "to": "CLOSED"}


@scenario
async def reopen_period(desk: Desk) -> Given:
    await desk.books.closing.close_period(desk.caller, str(uuid4()), "FY2020-2021-P02", to="CLOSED")
    return {"period": "FY2020-2021-P02", "reason": REASON}


@scenario
async def lock_taxes(_: Desk) -> Given:
    return {"through": "2021-08-31"}


@scenario
async def unlock_taxes(desk: Desk) -> Given:
    await desk.books.closing.lock_taxes(desk.caller, str(uuid4()), through=date(2021, 7, 31))
    return {"through": "2020-07-31", "reason": REASON}


@scenario
async def close_year(_: Desk) -> Given:
    return {"fiscalYear": "FY2018-2019", "to": "CLOSED"}


@scenario
async def reopen_year(desk: Desk) -> Given:
    await ask(desk, "closeYear", {"fiscalYear": "FY2019-2020", "to": "CLOSED"}, str(uuid4()))
    return {"fiscalYear": "FY2019-2020", "reason": REASON}


# Taxes


@scenario
async def define_tax_code(_: Desk) -> Given:
    kept = {"onDuty": True, "recoverable": True, "form": "Mushak-6.3"}
    rate = {"validFrom": DAY, "validUntil": "2027-06-30", "percent": "15"}
    return {"input": {"code": "VAT15", "name": "Standard VAT", "kind": "VAT", "rate": rate, **kept}}


async def defined(desk: Desk, code: str) -> str:
    given = (await define_tax_code(desk))["input"] | {"code": code}
    await ask(desk, "defineTaxCode", {"input": given}, str(uuid4()))
    return code


@scenario
async def set_tax_rate(desk: Desk) -> Given:
    return {"code": await defined(desk, "VAT16"), "input": {"validFrom": "2027-07-01", "percent": "17.5"}}


@scenario
async def deactivate_tax_code(desk: Desk) -> Given:
    return {"code": await defined(desk, "VAT17"), "reason": REASON}


@scenario
async def reactivate_tax_code(desk: Desk) -> Given:
    given = {"code": await defined(desk, "VAT18"), "reason": REASON}
    await ask(desk, "deactivateTaxCode", given, str(uuid4()))
    return given


@scenario
async def adopt_tax_pack(_: Desk) -> Given:
    return {"name": "bangladesh"}


@scenario
async def set_company_identity(_: Desk) -> Given:
    ours = {"name": "Padma Traders", "address": "12 Station Road, Dhaka"}
    return {"input": ours | {"tin": "123456789012", "bin": "1234567890123"}}


# How a mutation is sent


def shown(kind: GraphQLObjectType, depth: int = 2, prefix: str = "") -> str:
    """All of a type that can be compared, each field under a name of its own. What is looked up anew is left out."""
    parts = []
    for name, field in kind.fields.items():
        inner = get_named_type(field.type)
        if is_leaf_type(inner):
            parts.append(f"{prefix}{name}: {name}")
        elif isinstance(inner, GraphQLObjectType) and depth and name != "balance":
            parts.append(f"{prefix}{name}: {name} {{ {shown(inner, depth - 1)} }}")
    return " ".join(parts) or "__typename"


def query_of(name: str, directive: str = "") -> str:
    assert SCHEMA.mutation_type is not None
    field = SCHEMA.mutation_type.fields[name]
    union = get_named_type(field.type)
    assert isinstance(union, GraphQLUnionType), f"{name} does not answer with a union"
    asked = ", ".join(f"${one}: {argument.type}" for one, argument in field.args.items())
    given = ", ".join(f"{one}: ${one}" for one in field.args)
    members = " ".join(f"... on {kind.name} {{ {shown(kind, 2, f'{kind.name}_')} }}" for kind in union.types)
    return f"mutation ({asked}) {{ {name}({given}) {directive} {{ __typename {members} }} }}"


@dataclass(kw_only=True)
class Sent:
    """What came back of a mutation."""

    status: int
    body: Given

    @property
    def code(self) -> str | None:
        """Of a refusal; None of what was done."""
        [value] = self.body["data"].values()
        return None if value["__typename"] != "Refusal" else str(value["Refusal_code"])


async def send(
    desk: Desk, name: str, given: Given, key: str, caller: Caller | None = None, directive: str = ""
) -> Sent:
    projector = PROJECTORS.get(desk.ledger.name)
    if projector is None:
        projector = PROJECTORS[desk.ledger.name] = Following(desk.ledger.replay, "mutations")
        await projector.prepare()
    service = Service(
        books=desk.books,
        views=Views(desk.ledger.app, projector),
        masterdata=desk.neighbours,
        batching=True,
        now=desk.clock.now,
    )
    who = caller or replace(desk.caller, permissions=frozenset(NEEDED.values()))
    context = Context(service=service, caller=who, now=desk.clock.now())
    asked = {"query": query_of(name, directive), "variables": given | {"idempotencyKey": key}}
    status, body = await EXECUTOR.run(asked, context)
    return Sent(status=status, body=body)


async def ask(desk: Desk, name: str, given: Given, key: str) -> Given:
    sent = await send(desk, name, given, key)
    assert (sent.status, "errors" in sent.body) == (200, False), (name, sent.body)
    found: Given = sent.body["data"][name]
    return found


def arguments(name: str) -> dict[str, Any]:
    assert SCHEMA.mutation_type is not None
    found = SCHEMA.mutation_type.fields[name].args
    return {one: argument.type for one, argument in found.items()}


Leaf = tuple[tuple[str | int, ...], Any]


def leaves(given: Any, kind: Any, path: tuple[str | int, ...] = ()) -> Iterator[Leaf]:
    """Where every value of an input stands, and its type."""
    named = get_named_type(kind)
    if isinstance(given, list):
        for place, one in enumerate(given):
            yield from leaves(one, named, (*path, place))
    elif isinstance(named, GraphQLInputObjectType):
        for name, value in given.items():
            yield from leaves(value, named.fields[name].type, (*path, name))
    else:
        yield path, named


def all_leaves(name: str, given: Given) -> list[Leaf]:
    return [
        leaf
        for one, kind in arguments(name).items()
        if one in given
        for leaf in leaves(given[one], kind, (one,))
    ]


def changed(given: Given, path: tuple[str | int, ...], value: object) -> Given:
    made = copy.deepcopy(given)
    place: Any = made
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return made


def another(name: str, given: Given, leaf: Leaf) -> Given:
    """The same input but for one value, which is as good as the first."""
    path, kind = leaf
    value: Any = given
    for step in path:
        value = value[step]
    match kind:
        case _ if (name, *path) in OTHERWISE:
            value = OTHERWISE[name, *path]
        case GraphQLEnumType():
            value = next(one for one in kind.values if one != value)
        case _ if kind.name == "ID":
            value = str(uuid4())
        case _ if kind.name == "Date":
            value = (date.fromisoformat(value) + timedelta(days=1)).isoformat()
        case _ if kind.name == "Decimal":
            value = f"{value}1" if "." not in value else f"1{value}"
        case _ if kind.name == "Boolean":
            value = not value
        case _ if kind.name == "Int":
            value += 1
        case _ if value.startswith("FY") and "-P" not in value:
            value = "FY2017-2018"
        case _:
            value = value.replace("P01", "P03").replace("P02", "P04") if "-P0" in value else f"1{value}"
    return changed(given, path, value)


async def every_byte(desk: Desk) -> list[str]:
    """A digest of all rows of each table of the log, of both tenants."""
    tables = ("tenants", "events", "counters", "claims", "answers")
    both = (desk.ledger.tenant, desk.ledger.other_tenant)
    rows = "SELECT md5(coalesce(string_agg(t::text, chr(10) ORDER BY t::text), '')) FROM finance_log."
    return [str(await desk.ledger.seen(one, f"{rows}{table} t")) for one in both for table in tables]


async def written(desk: Desk) -> list[int]:
    """How much is in the log of both tenants: events, numbers drawn, values claimed, keys kept."""
    tables = ("count(*) FROM finance_log.events", "coalesce(sum(last), 0) FROM finance_log.counters")
    tables += ("count(*) FROM finance_log.claims", "count(*) FROM finance_log.answers")
    both = (desk.ledger.tenant, desk.ledger.other_tenant)
    return [int(await desk.ledger.seen(one, f"SELECT {table}")) for one in both for table in tables]


# What must hold


def test_every_mutation_has_a_scenario_and_no_other_is_here() -> None:
    assert SCHEMA.mutation_type is not None
    assert set(SCENARIOS) == set(SCHEMA.mutation_type.fields)


def test_every_mutation_answers_with_a_union_that_has_a_refusal() -> None:
    assert SCHEMA.mutation_type is not None
    for name, field in SCHEMA.mutation_type.fields.items():
        union = get_named_type(field.type)
        assert isinstance(union, GraphQLUnionType), name
        assert "Refusal" in {kind.name for kind in union.types}, name
        assert str(field.args["idempotencyKey"].type) == "ID!", name


def test_every_field_argument_and_value_is_described() -> None:
    bare = []
    for name, kind in SCHEMA.type_map.items():
        if name.startswith("__"):
            continue
        for member, described in {**getattr(kind, "fields", {}), **getattr(kind, "values", {})}.items():
            inside = getattr(described, "args", {}).items()
            bare += [f"{name}.{member}"] * (not described.description)
            bare += [f"{name}.{member}({one}:)" for one, argument in inside if not argument.description]
    assert bare == []


@pytest.fixture
async def walked(desk: Desk) -> tuple[Desk, dict[str, Given]]:
    """The desk, and what to send for every mutation."""
    await desk.rate_set("140", date(2026, 7, 1))
    return desk, {name: await make(desk) for name, make in SCENARIOS.items()}


@pytest.mark.integration
async def test_a_key_is_used_once_by_every_mutation_and_in_each_company(walked: Any) -> None:
    desk, scenarios = walked
    stranger = replace(
        desk.caller, tenant_id=desk.ledger.other_tenant, permissions=frozenset(NEEDED.values())
    )
    for name, given in scenarios.items():
        key = f"{name} 1"
        first = await send(desk, name, given, key)
        assert (first.status, first.code) == (200, None), (name, first.body)
        before = await written(desk)
        assert (await send(desk, name, given, key)).body == first.body, name
        for leaf in all_leaves(name, given):
            if any((name, *leaf[0])[: len(one)] == one for one in ALONE):
                continue
            again = await send(desk, name, another(name, given, leaf), key)
            assert (again.status, again.code) == (200, "idempotency-key-reused"), (name, leaf, again.body)
        assert await written(desk) == before, name
        theirs = await send(desk, name, given, key, stranger)
        assert (theirs.status, theirs.code == "idempotency-key-reused") == (200, False), (name, theirs.body)
        if theirs.code is None:
            assert (await written(desk))[4:] != before[4:], name
        assert (await written(desk))[:4] == before[:4], name
        assert (await send(desk, name, given, key)).body == first.body, name


UUID_TEXT = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def of_nobody(desk: Desk, name: str, given: Given) -> Given:
    """The same input, every id of these books replaced by one that nobody has; the partners are master data's."""
    for path, kind in all_leaves(name, given):
        value: Any = given
        for step in path:
            value = value[step]
        if kind.name == "ID" and value not in {desk.customer, desk.vendor}:
            given = changed(given, path, str(uuid4()))
    return given


@pytest.mark.integration
async def test_a_dry_run_of_every_mutation_changes_no_byte_and_tells_another_company_nothing(
    walked: Any,
) -> None:
    """Of another company's id a stranger is told, word for word, what is told of an id that nobody has."""
    desk, scenarios = walked
    stranger = replace(
        desk.caller, tenant_id=desk.ledger.other_tenant, permissions=frozenset(NEEDED.values())
    )
    ours = replace(stranger, tenant_id=desk.ledger.tenant)
    before = await every_byte(desk)
    refused = 0
    for name, given in scenarios.items():
        dry = await send(desk, name, given, f"{name} dry", ours, "@dryRun")
        assert dry.body["data"][name]["__typename"] == "DryRun", (name, dry.body)
        assert dry.body["data"][name]["DryRun_events"], name
        told = [
            await send(desk, name, asked, f"{name} theirs", stranger, "@dryRun")
            for asked in (given, of_nobody(desk, name, given))
        ]
        words = [UUID_TEXT.sub("an id", str((one.status, one.body))) for one in told]
        assert words[0] == words[1], name
        refused += told[0].code is not None
    assert refused > 25
    assert await every_byte(desk) == before


BAD: dict[str, list[object]] = {
    "ID": ["", "a\0b", "../1"],
    "String": ["", "a\0b", "x" * 600, "٣"],
    "Decimal": ["-1", "0.001", "1e9", "9" * 30, "NaN"],
    "Date": ["0001-01-01", "9999-12-31", "2026-02-30", ""],
    "Boolean": [None, "yes"],
}


@pytest.mark.integration
async def test_whatever_is_sent_a_mutation_answers_with_a_refusal_or_not_at_all(walked: Any) -> None:
    """Never is a refusal an error, and never is nonsense a bug. What is of another type is the caller's fault."""
    desk, scenarios = walked
    refused = 0
    for name, given in scenarios.items():
        for path, kind in all_leaves(name, given):
            for bad in BAD.get(kind.name, ["NOTHING"]):
                before = await written(desk)
                sent = await send(desk, name, changed(given, path, bad), str(uuid4()))
                codes = {error["extensions"]["code"] for error in sent.body.get("errors", ())}
                told = (name, path, bad, sent.body)
                assert (sent.status, codes) in [(200, set()), (400, {"request-invalid"})], told
                if codes or sent.code is not None:
                    refused += 1
                    assert await written(desk) == before, told
    assert refused > 300
