"""Lists walked page after page: everything once, whatever is written meanwhile; and what they are searched by."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest

from finance.adapters.postgres.listing import (
    LARGEST_POSITION,
    Listing,
    cursor,
    key_of,
    place_cursor,
    place_of,
)
from finance.adapters.postgres.store import TENANT_SETTING
from finance.adapters.postgres.views import Views
from finance.refusal import CursorMalformed
from kit.database import tenant_transaction

Desk = Any
Ledger = Any
DAY = date(2026, 11, 23)
PAGE = """query ($filter: InvoiceFilter, $first: Int! = 3, $after: String) {
  invoicesConnection(filter: $filter, first: $first, after: $after) {
    nodes { id } edges { cursor node { id } } totalCount
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }"""


async def ids(desk: Desk, many: str, **wanted: Any) -> list[str]:
    """What a list holds that is searched for these, all on one page."""
    kind = many.removesuffix("s").capitalize()
    query = f"query ($filter: {kind}Filter) {{ {many}Connection(filter: $filter) {{ nodes {{ id }} }} }}"
    found = await desk.asked(query, filter=wanted)
    return [one["id"] for one in found["nodes"]] if isinstance(found, Mapping) else found


@pytest.mark.integration
async def test_a_walk_meets_everything_once_while_others_write(desk: Desk) -> None:
    made = [(await desk.invoice_drafted(minor)).id for minor in range(100, 800, 100)]
    met, after = [], None
    for page in range(3):
        found = await desk.asked(PAGE, after=after)
        met += [one["id"] for one in found["nodes"]]
        assert [edge["node"] for edge in found["edges"]] == found["nodes"]
        info = found["pageInfo"]
        assert (info["startCursor"], info["endCursor"]) == tuple(found["edges"][n]["cursor"] for n in (0, -1))
        assert (info["hasPreviousPage"], info["hasNextPage"]) == (page > 0, page < 2)
        after = info["endCursor"]
        await desk.invoice_drafted(900)  # comes before all pages
        await desk.books.approve_invoice(desk.caller, str(uuid4()), made[page])
        await desk.books.cancel_invoice(desk.caller, str(uuid4()), made[6 - page], reason="a mistake")
    assert met == made[::-1]
    assert (await desk.asked(PAGE, after=after))["nodes"] == []
    assert (await desk.asked(PAGE))["totalCount"] == 10


@pytest.mark.integration
async def test_a_walk_begun_on_one_release_goes_on_at_another(desk: Desk) -> None:
    made = [(await desk.invoice_drafted()).id for _ in range(4)]
    listing, tenant = Listing(kind="invoice", today=DAY), desk.ledger.tenant
    blue = Views(desk.ledger.app, await desk.ledger.replayed("blue"))
    first = await blue.walk(tenant, listing, after=None, limit=2)
    green = Views(desk.ledger.app, await desk.ledger.replayed("green"))
    rest = await green.walk(tenant, listing, after=first[-1][0], limit=9)
    assert [state.id for _, state in (*first, *rest)] == made[::-1]


@pytest.mark.integration
async def test_accounts_are_walked_by_their_codes(desk: Desk) -> None:
    query = """query ($after: String) { accountsConnection(filter: {accountType: EXPENSE}, first: 2, after: $after) {
        nodes { accountCode } totalCount pageInfo { endCursor hasNextPage } } }"""
    codes: list[str] = []
    after, more = None, True
    while more:
        found = await desk.asked(query, after=after)
        codes += [one["accountCode"] for one in found["nodes"]]
        after, more = found["pageInfo"]["endCursor"], found["pageInfo"]["hasNextPage"]
    assert codes == ["5000", "5100", "5200", "5800", "5900", "5950", "5960"]
    assert found["totalCount"] == 7


@pytest.mark.integration
async def test_invoices_are_found_by_what_people_look_for(desk: Desk) -> None:
    old, today = date(2026, 7, 2), desk.clock.now().date()
    late = await desk.invoice_approved(200_00, old)
    draft = await desk.invoice_drafted(100_00, today)
    euro = await desk.invoice_drafted(300_00, today, "EUR")
    other = desk.customer
    desk.customer = str(uuid4())
    desk.neighbours.customers.add(desk.customer)
    theirs = await desk.invoice_approved(400_00, today + timedelta(days=1))
    number = late.number
    wanted: list[tuple[dict[str, Any], list[Any]]] = [
        ({}, [theirs, euro, draft, late]),
        ({"statuses": ["OVERDUE"]}, [late]),
        ({"statuses": ["APPROVED"]}, [theirs]),
        ({"statuses": ["APPROVED", "OVERDUE", "DRAFT"]}, [theirs, euro, draft, late]),
        ({"statuses": []}, []),
        ({"customerId": other}, [euro, draft, late]),
        ({"from": "2026-07-03"}, [theirs, euro, draft]),
        ({"from": "2026-07-02", "to": "2026-11-23"}, [euro, draft, late]),
        ({"dueTo": "2026-07-02"}, [late]),
        ({"dueFrom": "2026-11-24"}, [theirs]),
        ({"currency": "EUR"}, [euro]),
        ({"amountFrom": "230.00", "amountTo": "345.00"}, [euro, late]),
        ({"amountFrom": "230.01", "amountTo": "345.00"}, [euro]),
        ({"number": number}, [late]),
        ({"number": "inv-2026-07"}, [late]),
        ({"number": number[-6:]}, [late]),
        ({"number": "INV"}, [theirs, late]),
        ({"number": "2026"}, []),
        ({"number": "%"}, []),
        ({"customerId": other, "statuses": ["DRAFT"], "currency": "BDT"}, [draft]),
    ]
    for asked, expected in wanted:
        assert await ids(desk, "invoices", **asked) == [one.id for one in expected], asked
    assert await ids(desk, "invoices", amountFrom="1.001") == ["amount-malformed"]
    assert await ids(desk, "invoices", number="a\0b") == ["text-malformed"]


@pytest.mark.integration
async def test_vouchers_payments_and_entries_are_found_by_what_people_look_for(desk: Desk) -> None:
    bill = await desk.voucher_approved("BILL", 100_00, due_date=date(2026, 11, 23))
    note = await desk.voucher_drafted("CREDIT_NOTE", 50_00)
    paid = await desk.paid(70_00, voucher_id=bill.id)
    advance = await desk.paid(30_00, DAY - timedelta(days=1), vendor_id=desk.vendor)
    draft = await desk.books.create_journal(desk.caller, "a sale", desk.sale(), post=False)
    desk.clock.instant += timedelta(days=1)
    assert await ids(desk, "vouchers", kind="CREDIT_NOTE") == [note.id]
    assert await ids(desk, "vouchers", partnerId=desk.vendor) == [bill.id]
    assert await ids(desk, "vouchers", statuses=["OVERDUE"]) == [bill.id]
    assert await ids(desk, "vouchers", number="000001", amountFrom="115") == [bill.id]
    assert await ids(desk, "payments", partnerId=desk.vendor) == [advance.id, paid.id]
    assert await ids(desk, "payments", to="2026-11-22", statuses=["COMPLETED"]) == [advance.id]
    assert await ids(desk, "payments", amountTo="70", amountFrom="70", paymentMethod="BANK_TRANSFER") == [
        paid.id
    ]
    assert await ids(desk, "journals", statuses=["DRAFT"]) == [draft.id]
    assert await ids(desk, "journals", journalType="PURCHASE", fiscalPeriod="FY2026-2027-P05") == [
        bill.journal_id
    ]
    assert await ids(desk, "journals", number="pj-2026-11-000001") == [bill.journal_id]
    assert await ids(desk, "journals", amountTo="0.05") == [draft.id]


@pytest.mark.integration
async def test_another_tenants_cursor_and_number_open_nothing(desk: Desk) -> None:
    made = await desk.invoice_approved()
    views = Views(desk.ledger.app, await desk.ledger.replayed())
    listing = Listing(kind="invoice", today=DAY, number=made.number)
    assert len(await views.walk(desk.ledger.tenant, listing, after=LARGEST_POSITION, limit=9)) == 1
    assert await views.walk(desk.ledger.other_tenant, listing, after=LARGEST_POSITION, limit=9) == []
    assert await views.count(desk.ledger.other_tenant, listing) == 0


@pytest.mark.integration
async def test_a_page_too_large_or_a_cursor_of_elsewhere_is_refused(desk: Desk) -> None:
    one = cursor("payment", 1)
    for arguments, code in (
        ({"first": 201}, "page-malformed"),
        ({"first": -1}, "page-malformed"),
        ({"after": one}, "cursor-malformed"),
        ({"after": ""}, "cursor-malformed"),
    ):
        assert await desk.asked(PAGE, **arguments) == [code]
    assert await desk.asked("{ invoices(limit: 201) { id } }") == ["page-malformed"]
    assert await desk.asked("{ invoices(limit: 200) { id } }") == []
    nothing = await desk.asked(PAGE, first=0)
    assert nothing["pageInfo"] == {
        "hasNextPage": False, "hasPreviousPage": False, "startCursor": None, "endCursor": None
    }  # fmt: skip


def test_a_cursor_is_read_as_it_was_made_and_never_otherwise() -> None:
    for kind, key in (("invoice", 0), ("journal", LARGEST_POSITION), ("account", "1110-01")):
        text = cursor(kind, key)
        assert key_of(kind, text) == key
        with pytest.raises(CursorMalformed):
            key_of("payment", text)
    bad = [
        "é",
        "a",
        "====",
        "!",
        cursor("invoice", -1),
        cursor("invoice", 2**63),
        cursor("invoice", "x"),
        "A" * 5000,
    ]
    for text in bad:
        with pytest.raises(CursorMalformed):
            key_of("invoice", text)


ROWS = """
INSERT INTO finance_read_test.invoice (tenant_id, id, position, version, state, status, customer_id, due_date, number,
    dated, currency, total_minor) SELECT '{tenant}', gen_random_uuid(), n, 1, '{{}}',
    CASE WHEN n % 50 = 0 THEN 'APPROVED' ELSE 'PAID' END, 'customer ' || n % 500, date '2026-01-01' + n % 300,
    'INV-2026-11-23-' || lpad(n::text, 6, '0'), date '2026-01-01' + n % 300, 'BDT', n * 100
    FROM generate_series(1, 20000) n;
ANALYZE finance_read_test.invoice;
"""


SEARCHES: list[tuple[dict[str, Any], str]] = [
    ({"number": "000042"}, "invoice_by_number_end"),
    ({"number": "INV-2026-11-23-00004"}, "invoice_by_number"),
    ({"bounds": [("customer_id", "=", "customer 7")]}, "invoice_by_customer"),
    ({"bounds": [("total_minor", ">=", 1_999_900)]}, "invoice_by_total"),
    ({"bounds": [("dated", "=", date(2026, 8, 15))]}, "invoice_by_day"),
    ({"statuses": ["OVERDUE"], "today": date(2026, 1, 10)}, "invoice_open"),
    ({}, "invoice_newest"),
]


@pytest.mark.integration
async def test_a_search_goes_by_an_index_although_rows_are_guarded(ledger: Ledger) -> None:
    await ledger.replayed()
    ledger.as_superuser(ROWS.format(tenant=ledger.tenant))
    async with tenant_transaction(ledger.app, TENANT_SETTING, ledger.tenant) as connection:
        for asked, index in SEARCHES:
            listing = Listing(**({"kind": "invoice", "today": DAY} | asked))
            query, values = listing.page(None, 20)
            rows = await connection.fetch(
                f"EXPLAIN {query.replace('{schema}', 'finance_read_test')}", *values
            )
            told = "\n".join(row[0] for row in rows)
            assert f" {index} " in told.replace("\n", " \n"), told
            assert "Seq Scan" not in told


LEDGER = """query ($input: GeneralLedgerInput!, $first: Int! = 2, $after: String) { generalLedger(input: $input) {
  openingBalance { amount } closingBalance { amount } movementsConnection(first: $first, after: $after) {
    nodes { journalNumber balance { amount } } edges { cursor node { journalNumber } } totalCount
    pageInfo { hasNextPage hasPreviousPage endCursor } } } }"""
LATER = """query ($first: Int! = 2, $after: String) {
  entriesKnownLaterConnection(asOf: "2026-11-30", knownOn: "2026-11-22", first: $first, after: $after) {
    nodes { journalNumber } totalCount pageInfo { hasNextPage endCursor } } }"""


async def sold(desk: Desk, minor: int, day: date) -> str:
    made = await desk.books.create_journal(desk.caller, str(uuid4()), desk.sale(minor, day), post=True)
    return str(made.number)


@pytest.mark.integration
async def test_a_walk_over_an_account_meets_each_movement_once_with_the_balance_after_it(desk: Desk) -> None:
    days = [DAY + timedelta(days=number % 3) for number in range(5)]
    numbers = [await sold(desk, 100, day) for day in days]
    ordered = [number for _, number in sorted(zip(days, numbers, strict=True))]
    asked = {"accountId": desk.account("1000"), "from": "2026-11-23", "to": "2026-11-30"}
    await sold(desk, 7, DAY - timedelta(days=1))
    met, late, after = [], [], None
    for page in range(3):
        whole = await desk.asked(LEDGER, input=asked, after=after)
        found = whole["movementsConnection"]
        met += [(one["journalNumber"], one["balance"]["amount"]) for one in found["nodes"]]
        assert [edge["node"]["journalNumber"] for edge in found["edges"]] == [
            one["journalNumber"] for one in found["nodes"]
        ]
        assert (found["totalCount"], found["pageInfo"]["hasNextPage"]) == (5 + page, page < 2)
        assert found["pageInfo"]["hasPreviousPage"] == (page > 0)
        after = found["pageInfo"]["endCursor"]
        late.append(await sold(desk, 1, DAY))
    assert [number for number, _ in met] == [*ordered[:2], late[0], *ordered[2:]], (
        "by day, then as they were posted; the second late one came too late to be met"
    )
    assert [balance for _, balance in met] == ["1.07", "2.07", "2.08", "3.08", "4.09", "5.09"]
    assert whole["openingBalance"]["amount"] == "0.07"


@pytest.mark.integration
async def test_a_walk_over_what_became_known_later_meets_each_entry_once(desk: Desk) -> None:
    numbers = [await sold(desk, 100, DAY) for _ in range(5)]
    met, after = [], None
    for page in range(3):
        found = await desk.asked(LATER, after=after)
        met += [one["journalNumber"] for one in found["nodes"]]
        assert (found["totalCount"], found["pageInfo"]["hasNextPage"]) == (5, page < 2)
        after = found["pageInfo"]["endCursor"]
    assert met == numbers


@pytest.mark.integration
async def test_a_cursor_of_another_list_begins_no_walk_over_movements_or_entries(desk: Desk) -> None:
    asked = {"accountId": desk.account("1000"), "to": "2026-11-30"}
    for key in ("", "x", cursor("journal", 1), cursor("movement", 1), cursor("movement", "2026-11-23/-1/0")):
        assert await desk.asked(LEDGER, input=asked, after=key) == ["cursor-malformed"]
        assert await desk.asked(LATER, after=key) == ["cursor-malformed"]
    assert await desk.asked(LEDGER, input=asked, first=201) == ["page-malformed"]
    assert await desk.asked(LATER, first=-1) == ["page-malformed"]
    place = (DAY, 17, 2)
    assert place_of(place_cursor(place)) == place
