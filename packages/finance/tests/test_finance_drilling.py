"""Every figure of every report leads to its entries, which add up to it; and an entry says where it comes from."""

import random
from dataclasses import replace
from datetime import date, timedelta
from typing import Any, get_args
from uuid import uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finance import bankline, invoice, origin, payment, settlement, template, voucher, year
from finance.adapters.postgres.listing import place_cursor, place_of
from finance.adapters.postgres.views import Views
from finance.authority import Rule, Tier
from finance.figure import Figure, decode, encode
from finance.graphql.context import Context, Service
from finance.graphql.cost import Limits
from finance.graphql.execution import Executor
from finance.graphql.permission import NEEDED
from finance.graphql.schema import build as build_schema
from finance.refusal import Refused
from finance.template import Line, Schedule, Terms

Desk = Any
TODAY = date(2026, 11, 23)
CENTURY = st.dates(date(1970, 1, 1), date(2100, 1, 1))
figures = st.builds(
    Figure,
    last=CENTURY,
    first=st.none() | CENTURY,
    known_on=st.none() | CENTURY,
    currency=st.sampled_from(["BDT", "EUR"]),
    sign=st.sampled_from([1, -1]),
    account_id=st.none() | st.text(max_size=40),
    types=st.lists(st.sampled_from(["ASSET", "EXPENSE"]), max_size=2).map(tuple),
    closing=st.booleans(),
    side=st.sampled_from([None, "SALES", "PURCHASE"]),
    item_id=st.none() | st.text(max_size=40),
    cash=st.sampled_from([None, "HELD", "OTHERS"]),
    journal_id=st.none() | st.text(max_size=40),
    line=st.none() | st.integers(0, 2**31 - 1),
    until=st.none() | st.tuples(CENTURY, st.integers(0, 2**63 - 1), st.integers(0, 2**31 - 1)),
    waiting=st.booleans(),
)


def key() -> str:
    return str(uuid4())


@given(figures)
def test_a_figure_comes_back_as_it_was_given(one: Figure) -> None:
    assert decode(encode(one)) == one


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "made up",
        "AAAA",
        "x" * 5_000,
        encode(Figure(last=TODAY))[:-4],
        encode(Figure(last=TODAY, currency="XYZ")),
        encode(Figure(last=TODAY, line=2**31)),
        encode(Figure(last=TODAY, until=(TODAY, 2**63, 0))),
        msgspec.json.encode({"last": "2026-11-23"}).decode(),
    ],
)
def test_what_no_report_gave_is_refused(bad: str) -> None:
    with pytest.raises(Refused) as refused:
        decode(bad)
    assert refused.value.code == "figure-malformed"


@given(CENTURY, st.integers(0, 2**62), st.integers(0, 500))
def test_a_place_comes_back_as_it_was_given(day: date, number: int, line: int) -> None:
    assert place_of(place_cursor((day, number, line))) == (day, number, line)


@pytest.mark.parametrize("bad", ["", "made up", "ZW50cnk6", place_cursor((TODAY, 1, 2))[:-8]])
def test_a_cursor_that_no_page_gave_is_refused(bad: str) -> None:
    with pytest.raises(Refused) as refused:
        place_of(bad)
    assert refused.value.code == "cursor-malformed"


def test_every_event_that_names_an_entry_has_a_rule() -> None:
    modules = (invoice, voucher, payment, template, year, bankline)
    named = set()
    for event in (one for module in modules for one in get_args(module.Event)):
        fields = {field.name for field in msgspec.structs.fields(event)}
        fields |= {
            inner.name
            for field in msgspec.structs.fields(event)
            if field.name in {"allocation", "settlement"}
            for inner in msgspec.structs.fields(getattr(settlement, field.name.capitalize()))
        }
        if any("journal_id" in one for one in fields):
            named.add(event.__struct_config__.tag.partition("/")[0])
    assert named == set(origin.RULES)


# On a real ledger


class Reader:
    """Asks GraphQL, with every permission, on read models made anew."""

    def __init__(self, desk: Desk, views: Views, permissions: frozenset[str]) -> None:
        service = Service(
            books=desk.books, views=views, masterdata=desk.neighbours, batching=True, now=desk.clock.now
        )
        self._make = lambda: Context(
            service=service, caller=replace(desk.caller, permissions=permissions), now=desk.clock.now()
        )
        self._executor = Executor(
            build_schema(), introspection=False, limits=Limits(cost=20_000)
        )  # every report at once

    @classmethod
    async def of(cls, desk: Desk, permissions: frozenset[str] = frozenset(NEEDED.values())) -> "Reader":
        return cls(desk, Views(desk.ledger.app, await desk.ledger.replayed()), permissions)

    async def body(self, query: str, **variables: Any) -> dict[str, Any]:
        _, body = await self._executor.run({"query": query, "variables": variables}, self._make())
        return body

    async def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        body = await self.body(query, **variables)
        assert "errors" not in body, body["errors"][:2]
        return dict(body["data"])


PAGES = "figureEntries(figure: {0}, first: 200) {{ amount {{ amount }} totalCount nodes {{ amount {{ amount }} }} }}"


def made_up(seed: int) -> Figure:
    """A figure that no report gives, for whoever makes letters of their own."""
    chance = random.Random(seed)

    def maybe(*values: Any) -> Any:
        return chance.choice([None, *values])

    return Figure(
        last=chance.choice([date.min, TODAY, date.max]),
        first=maybe(date.min, TODAY, date.max),
        known_on=maybe(date.min, TODAY, date.max),
        currency=chance.choice(["BDT", "EUR"]),
        sign=chance.choice([1, -1]),
        account_id=maybe("", "'; --", "%", key()),
        types=chance.choice([(), ("ASSET",), ("REVENUE", "EXPENSE")]),
        closing=chance.choice([True, False]),
        side=maybe("SALES", "PURCHASE"),
        partner_id=maybe("", "x" * 200),
        unnamed=chance.choice([True, False]),
        item_id=maybe("", "\x00"),
        cash=maybe("HELD", "OTHERS"),
        activity=maybe("OPERATING"),
        section=maybe("OUTPUT", "nothing"),
        code=maybe("VAT15", ""),
        value=chance.choice([True, False]),
        journal_id=maybe("", key(), "\x00"),
        line=maybe(0, 2**31 - 1),
        until=maybe((TODAY, 2**63 - 1, 0)),
        waiting=chance.choice([True, False]),
    )


@pytest.mark.integration
async def test_whatever_figure_somebody_makes_up_is_answered_or_refused(desk: Desk) -> None:
    await desk.invoice_approved(100_00)
    reader, answered = await Reader.of(desk), 0
    for seed in range(120):
        body = await reader.body("{ " + PAGES.format(f'"{encode(made_up(seed))}"') + " }")
        codes = [one["extensions"]["code"] for one in body.get("errors", [])]
        assert codes in ([], ["text-malformed"]), made_up(seed)
        answered += not codes
    assert answered > 30


@pytest.mark.integration
async def test_pages_of_a_figure_meet_each_entry_once_whatever_is_posted_meanwhile(desk: Desk) -> None:
    for minor in range(1, 8):
        day = TODAY - timedelta(days=minor % 3)
        await desk.books.create_journal(desk.caller, key(), desk.sale(minor, day), post=True)
    of = encode(Figure(last=TODAY, account_id=desk.account("1000")))
    query = """query ($figure: ID!, $after: String) { figureEntries(figure: $figure, first: 3, after: $after) {
        totalCount nodes { journalNumber date } pageInfo { hasNextPage endCursor } } }"""
    met, after = [], None
    for number in range(3):
        page = (await (await Reader.of(desk)).ask(query, figure=of, after=after))["figureEntries"]
        met += [(one["date"], one["journalNumber"]) for one in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
        assert page["pageInfo"]["hasNextPage"] is (number < 2)
        early = TODAY - timedelta(days=9)
        await desk.books.create_journal(desk.caller, key(), desk.sale(99, early), post=True)
    assert len(met) == len(set(met)) == 7
    assert met == sorted(met)


ORIGIN = """query ($figure: ID!) { figureEntries(figure: $figure, first: 200) { nodes { documentId
    journal { journalNumber origin { rule documentKind documentId makers approvers
        reverses { journalNumber } reversedBy { journalNumber }
        bankLines { reference }
        document { ... on Invoice { invoiceNumber } ... on Voucher { voucherNumber } ... on Payment { paymentNumber }
            ... on JournalTemplate { name } ... on FiscalYear { name } } } } } } }"""


async def origins(desk: Desk, code: str, last: date = TODAY) -> dict[str, Any]:
    """Where the entries on an account come from, by their numbers."""
    shown = await (await Reader.of(desk)).ask(
        ORIGIN, figure=encode(Figure(last=last, account_id=desk.account(code)))
    )
    return {
        one["journal"]["journalNumber"]: one["journal"]["origin"] for one in shown["figureEntries"]["nodes"]
    }


def rules(found: dict[str, Any]) -> list[str]:
    return [one["rule"] for one in found.values()]


@pytest.mark.integration
async def test_an_entry_says_its_rule_its_document_who_made_it_and_who_approved_it(desk: Desk) -> None:
    books, caller = desk.books, desk.caller
    rule = Rule(valid_from=TODAY, tiers=(Tier(approvers=2),))
    await books.governing.set_rule(caller, key(), rule, reason="two people approve")
    one = await desk.invoice_drafted(100_00)
    terms = msgspec.structs.replace(one.terms, due_date=TODAY + timedelta(days=9))
    salma, karim, nila = (replace(caller, user_id=name) for name in ("salma", "karim", "nila"))
    await books.update_invoice(salma, key(), one.id, asked="later", change=lambda _: terms)
    await books.approve_invoice(karim, key(), one.id)
    done = await books.approve_invoice(nila, key(), one.id)
    [found] = (await origins(desk, "1200")).values()
    assert found == {
        "rule": "SALES_INVOICE",
        "documentKind": "INVOICE",
        "documentId": one.id,
        "makers": ["rahim", "salma"],
        "approvers": ["karim", "nila"],
        "reverses": None,
        "reversedBy": None,
        "bankLines": [],
        "document": {"invoiceNumber": done.number},
    }
    entry = await books.create_journal(caller, key(), desk.sale(), post=False)
    await books.post_journal(karim, key(), entry.id)
    await books.post_journal(nila, key(), entry.id)
    [found] = (await origins(desk, "1000")).values()
    assert (found["rule"], found["documentKind"], found["document"]) == ("BY_HAND", None, None)
    assert (found["makers"], found["approvers"]) == (["rahim"], ["karim", "nila"])


@pytest.mark.integration
async def test_every_rule_of_documents_and_payments_is_told_and_what_took_it_back(desk: Desk) -> None:
    books, caller = desk.books, desk.caller
    sold = await desk.invoice_approved(100_00)
    paid = await desk.payment_completed(sold.id, 40_00)
    await books.reverse_payment(caller, key(), paid.id, reason="the bank sent it back")
    money = await desk.paid(30_00, customer_id=desk.customer)
    done = await desk.allocated(money, sold, 10_00)
    await desk.unallocated(done, done.credit.allocations[0].id)
    for kind in settlement.KINDS:
        await desk.settled(kind, sold, 1_00)
    state = await desk.load("invoice", sold.id)
    off = state.settlements[0]
    await books.settling.withdraw(
        caller, key(), sold.id, settlement_id=off.id, reason="the customer paid after all"
    )
    for kind in ("DEBIT_NOTE", "CREDIT_NOTE"):
        await desk.voucher_approved(kind)
    gone = await desk.invoice_approved(5_00)
    await books.cancel_invoice(caller, key(), gone.id, reason="written twice")
    found = await origins(desk, "1200")
    assert rules(found) == [
        "SALES_INVOICE",
        "PAYMENT_RECEIVED",
        "PAYMENT_REVERSED",
        "ALLOCATION",
        "ALLOCATION_TAKEN_BACK",
        *settlement.KINDS,
        "SETTLEMENT_WITHDRAWN",
        "DEBIT_NOTE",
        "CREDIT_NOTE",
        "SALES_INVOICE",
        "CANCELLATION",
    ]
    pairs = {number: one["reverses"]["journalNumber"] for number, one in found.items() if one["reverses"]}
    assert [found[one]["reversedBy"]["journalNumber"] for one in pairs.values()] == list(pairs)
    assert found[next(iter(pairs.values()))]["document"] == {"paymentNumber": paid.number}
    await desk.voucher_approved("BILL")
    await desk.voucher_approved("VENDOR_CREDIT")
    assert rules(await origins(desk, "2000")) == ["VENDOR_BILL", "VENDOR_CREDIT"]


@pytest.mark.integration
async def test_bank_lines_templates_years_and_reversals_by_hand_are_told(desk: Desk) -> None:
    books, caller = desk.books, desk.caller
    out = await desk.paid(115_00, vendor_id=desk.vendor)
    reference = await desk.bank_line(-115_00)
    await books.reconcile_payment(caller, key(), out.id, reference)
    lines = (
        Line(account_id=desk.account("5200"), debit="200"),
        Line(account_id=desk.account("1010"), credit="200"),
    )
    rent = Terms(
        kind="ACCRUAL",
        name="Rent",
        currency="BDT",
        schedule=Schedule(frequency="MONTHLY", starts_on=date(2026, 10, 31)),
        lines=lines,
    )
    made = await books.automating.create(caller, key(), rent)
    await books.automating.approve(replace(caller, user_id="karim"), key(), made.id)
    await books.automating.run(replace(caller, user_id="clock"), key(), made.id, TODAY)
    found = await origins(desk, "1010")
    assert rules(found) == ["TEMPLATE", "TEMPLATE", "PAYMENT_MADE"]
    run, back, told_ = found.values()
    assert (run["makers"], run["approvers"], run["document"]) == (["rahim"], ["karim"], {"name": "Rent"})
    assert back["reverses"] is not None
    assert told_["bankLines"] == [{"reference": "LINE-1"}]
    entry = await books.create_journal(caller, key(), desk.sale(day=date(2026, 5, 4)), post=True)
    await books.reverse_journal(caller, key(), entry.id, date(2026, 5, 5))
    await books.create_journal(caller, key(), desk.sale(day=date(2026, 5, 6)), post=True)
    await books.years.close(caller, key(), "FY2025-2026")
    await books.years.reopen(caller, key(), "FY2025-2026", reason="a bill came late")
    assert rules(await origins(desk, "1000")) == ["BY_HAND", "REVERSAL", "BY_HAND"]
    found = await origins(desk, "3900")
    assert rules(found) == ["YEAR_CLOSED", "YEAR_REOPENED"]
    assert {one["document"]["name"] for one in found.values()} == {"FY2025-2026"}


@pytest.mark.integration
async def test_whoever_may_see_reports_sees_no_document_or_entry_that_is_not_theirs_to_read(
    desk: Desk,
) -> None:
    await desk.invoice_approved(100_00)
    of = encode(Figure(last=TODAY, account_id=desk.account("1200")))
    reader = await Reader.of(desk, frozenset({"report:read"}))
    shown = await reader.ask("{ " + PAGES.format(f'"{of}"') + " }")
    assert shown["figureEntries"]["amount"]["amount"] == "115.00"
    body = await reader.body(ORIGIN, figure=of)
    assert {one["extensions"]["code"] for one in body["errors"]} == {"permission-missing"}
    body = await (await Reader.of(desk, frozenset({"report:read", "journal:read"}))).body(ORIGIN, figure=of)
    assert {one["extensions"]["code"] for one in body["errors"]} == {"permission-missing"}
    [one] = body["data"]["figureEntries"]["nodes"]
    assert one["journal"]["origin"]["document"] is None
    assert one["journal"]["origin"]["rule"] == "SALES_INVOICE"
    stranger = replace(desk.caller, tenant_id=desk.ledger.other_tenant)
    desk.caller = stranger
    shown = await (await Reader.of(desk)).ask("{ " + PAGES.format(f'"{of}"') + " }")
    assert shown["figureEntries"] == {"amount": {"amount": "0.00"}, "totalCount": 0, "nodes": []}
