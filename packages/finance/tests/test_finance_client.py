"""The typed client against the contract it is made for, and against the real service."""

import inspect
import re
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin
from uuid import uuid4

import msgspec
import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
    is_required_input_field,
    parse,
    validate,
)

import finance_client.client
from finance.graphql.schema import schema_text
from finance_client import (
    Finance,
    NewAccount,
    NewInvoice,
    NewJournal,
    NewJournalLine,
    NewPayment,
    NewVoucher,
    PaymentFilter,
    Refused,
    VoucherLine,
    answer,
    given,
    operation,
)

World = Any
Serving = Any
ROOT = Path(__file__).resolve().parents[2]
CONTRACTS = sorted((ROOT / "finance" / "contract").glob("*.graphql"))
DAY = date(2026, 11, 23)
SCALARS = {
    "ID": "str",
    "String": "str",
    "Boolean": "bool",
    "Int": "int",
    "Decimal": "Decimal",
    "Date": "date",
    "DateTime": "datetime",
}
FROM = {
    "CreateAccountInput": given.NewAccount,
    "CreateInvoiceInput": given.NewInvoice,
    "CreateVoucherInput": given.NewVoucher,
    "CreatePaymentInput": given.NewPayment,
    "CompletePaymentInput": given.Completion,
    "ReasonInput": given.Reason,
    "AllocateInput": given.NewAllocation,
    "UnallocateInput": given.Unallocation,
    "CreateJournalInput": given.NewJournal,
    "AccountFilter": given.AccountFilter,
    "InvoiceFilter": given.InvoiceFilter,
    "VoucherFilter": given.VoucherFilter,
    "PaymentFilter": given.PaymentFilter,
    "JournalFilter": given.JournalFilter,
}


NEWER = frozenset(
    {
        *("createInvoice", "approveInvoice", "cancelInvoice", "invoice", "invoicesConnection"),
        *("createVoucher", "approveVoucher", "cancelVoucher", "voucher", "vouchersConnection"),
        *("allocateVoucher", "unallocateVoucher", "reverseJournal", "cashFlow", "vatSummary"),
    }
)
"""What needs a service newer than the last contract: taxes of lines, reasons, two reports. A new one empties it."""


@cache
def present() -> GraphQLSchema:
    return build_schema(schema_text())


@cache
def released() -> GraphQLSchema:
    return build_schema(CONTRACTS[-1].read_text())


@pytest.mark.parametrize("one", operation.OPERATIONS, ids=lambda one: one.field)
def test_every_document_is_valid_in_the_schema_and_in_the_last_contract(
    one: operation.Operation[Any],
) -> None:
    document = parse(one.text)
    assert validate(present(), document) == []
    assert (validate(released(), document) == []) == (one.field not in NEWER)


def test_every_operation_is_reached_by_a_method() -> None:
    assert len(operation.OPERATIONS) > 25
    source = inspect.getsource(finance_client.client)
    names = {name for name, one in vars(operation).items() if isinstance(one, operation.Operation)}
    assert names == set(re.findall(r"operation\.([A-Z_]+)\b", source))


REPORTS = (
    "TrialBalance",
    "ProfitAndLoss",
    "BalanceSheet",
    "CashFlow",
    "Ageing",
    "Statement",
    "VatSummary",
)
"""What is asked with a method's arguments, and no type of its own."""


def plain(kind: Any) -> tuple[Any, bool]:
    """A type without None, and whether it had that."""
    if get_origin(kind) in {Union, UnionType}:
        [one] = [part for part in get_args(kind) if part is not type(None)]
        return one, True
    return kind, False


def disagreements(kind: type[Any], wanted: Any, *, is_input: bool) -> list[str]:
    """What of a struct is not as the schema says: names, lists, nothings, scalars, enums, and so on within it."""
    found = []
    for one in msgspec.structs.fields(kind):
        where = f"{kind.__name__}.{one.encode_name}"
        declared = wanted.fields.get(one.encode_name)
        if declared is None:
            found.append(f"{where}: not in {wanted.name}")
            continue
        present_type, optional = plain(one.type)
        graphql, never_null = declared.type, isinstance(declared.type, GraphQLNonNull)
        graphql = graphql.of_type if never_null else graphql
        if optional == never_null and not is_input:
            found.append(f"{where}: {'never' if never_null else 'perhaps'} null in the schema")
        if isinstance(graphql, GraphQLList):
            present_type, graphql = get_args(present_type)[0], graphql.of_type.of_type
        if isinstance(graphql, GraphQLObjectType | GraphQLInputObjectType) and is_struct(present_type):
            found += disagreements(present_type, graphql, is_input=is_input)
        elif not agrees(present_type, graphql, is_input=is_input):
            found.append(f"{where}: {present_type} is not {graphql.name}")
    return found


def is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def agrees(kind: Any, graphql: Any, *, is_input: bool) -> bool:
    """Whether a scalar is what the schema says; an enum is all its values where it is given, text where it is told."""
    if isinstance(graphql, GraphQLEnumType):
        return set(get_args(kind)) == set(graphql.values) if is_input else kind is str
    return SCALARS.get(graphql.name) == getattr(kind, "__name__", None)


def test_every_type_says_what_the_schema_says() -> None:
    schema = present()
    kinds = {one.kind for one in operation.OPERATIONS}
    assert len(kinds) > 10
    for kind in kinds:
        assert disagreements(kind, schema.type_map[kind.__name__], is_input=False) == []
    for name, kind in FROM.items():
        wanted = schema.type_map[name]
        assert disagreements(kind, wanted, is_input=True) == []
        demanded = {field for field, one in wanted.fields.items() if is_required_input_field(one)}
        required = {one.encode_name for one in msgspec.structs.fields(kind) if one.required}
        assert demanded <= required, f"{kind.__name__} may be made without what the schema demands"
    used = set(re.findall(r"\$(?:input|filter): (\w+)", " ".join(one.text for one in operation.OPERATIONS)))
    assert used - FROM.keys() == {f"{one}Input" for one in REPORTS}


def test_a_type_that_disagrees_is_found() -> None:
    schema = present()

    class Invoice(answer.Answer, frozen=True, kw_only=True):
        id: int
        status: str | None
        line_items: tuple[answer.Money, ...]
        none_such: str

    found = disagreements(Invoice, schema.type_map["Invoice"], is_input=False)
    assert [one.partition(":")[0] for one in found] == [
        "Invoice.id",
        "Invoice.status",
        "Money.amount",
        "Money.currency",
        "Invoice.noneSuch",
    ]


def client(world: World, serving: Serving) -> Finance:
    return Finance(serving.url, token=world.token)


@pytest.mark.integration
def test_a_month_of_books_is_kept_with_the_client(world: World, serving: Serving) -> None:
    books, partner = client(world, serving), next(iter(world.records))
    sales = books.create_account(NewAccount(account_code="4711", account_name="Tea", account_type="REVENUE"))
    line = VoucherLine(description="Rice", quantity=Decimal(10), unit_price=Decimal("10.00"))
    key = str(uuid4())
    terms = {"invoice_date": DAY, "due_date": date(2099, 1, 1), "line_items": (line,)}
    draft = books.create_invoice(NewInvoice(customer_id=partner, **terms), key=key)
    assert books.create_invoice(NewInvoice(customer_id=partner, **terms), key=key).id == draft.id
    invoice = books.approve_invoice(draft.id)
    assert (invoice.status, invoice.grand_total.amount) == ("APPROVED", Decimal("115.00"))
    said = NewVoucher(
        kind="CREDIT_NOTE",
        partner_id=partner,
        voucher_date=DAY,
        due_date=DAY,
        line_items=(msgspec.structs.replace(line, quantity=Decimal(1)),),
        corrects_id=invoice.id,
        reason="one was wet",
    )
    note = books.approve_voucher(books.create_voucher(said).id)
    spent = books.allocate_voucher(note.id, document_id=invoice.id, amount=Decimal("11.50"))
    assert spent.balance_due.amount == 0
    restored = books.unallocate_voucher(
        note.id, allocation_id=spent.allocations[0].id, reason="the wrong invoice"
    )
    assert restored.allocations == ()
    paying = NewPayment(
        invoice_id=invoice.id,
        amount=Decimal(120),
        payment_method="CASH",
        payment_date=DAY,
        excess_becomes_credit=True,
    )
    paid = books.complete_payment(books.create_payment(paying).id, transaction_reference="TRX-1")
    assert (paid.status, paid.unallocated.amount) == ("COMPLETED", Decimal("5.00"))
    assert {one.id for one in books.payments(PaymentFilter(invoice_id=invoice.id), page=1)} == {paid.id}
    lines = (
        NewJournalLine(account_id=sales.id, credit=Decimal("7.00")),
        NewJournalLine(account_id=(books.account("1000") or sales).id, debit=Decimal("7.00")),
    )
    entry = books.post_journal(
        books.create_journal(NewJournal(journal_date=DAY, description="Tea for cash", lines=lines)).id
    )
    assert books.reverse_journal(entry.id, on=DAY, reason="it was coffee").original_journal_id == entry.id
    with pytest.raises(Refused) as told:
        books.cancel_invoice(invoice.id, reason="a mistake made")
    assert told.value.code == "invoice-has-payments"
    assert books.invoice(str(uuid4())) is None
    assert books.reverse_payment(paid.id, reason="the note was false").status == "REVERSED"
    assert [(books.invoice(invoice.id) or draft).status, (books.journal(entry.id) or entry).status] == [
        "APPROVED",
        "REVERSED",
    ]
    year, first, last = "FY2026-2027", date(2026, 7, 1), date(2027, 6, 30)
    assert books.trial_balance(year).summary.is_balanced
    assert books.balance_sheet(last, known_on=last).is_balanced
    assert books.profit_and_loss(first, last).profit.amount == Decimal("90.00")
    assert books.cash_flow(first, last).is_tied
    assert books.vat_summary(first, last).is_tied
    aged = books.ageing("SALES", DAY)
    assert aged.totals.total == aged.control
    assert books.statement(partner, "SALES", first, last).closing_balance == aged.control
    assert sum(1 for _ in books.accounts(page=7)) > 20
    assert {note.id} <= {one.id for one in books.vouchers()}
    assert {entry.id} <= {one.id for one in books.journals()}
    assert {invoice.id} <= {one.id for one in books.invoices()}


@pytest.mark.integration
def test_the_example_of_the_readme_runs(
    world: World, serving: Serving, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    [example] = re.findall(
        r"```python\n(.*?)```", (ROOT / "finance-client" / "README.md").read_text(), re.DOTALL
    )
    assert len(example.strip().splitlines()) <= 21
    monkeypatch.setenv("FINANCE_URL", serving.url)
    monkeypatch.setenv("FINANCE_TOKEN", world.token())
    monkeypatch.setenv("CUSTOMER", list(world.records)[1])
    exec(compile(example, "README.md", "exec"), {})
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("INV-2026-11-23-")
    assert told[0].endswith(" 2875.00")
    assert told[1] == "payment-too-large"
    assert any(one.endswith(" 2875.00") for one in told[2:])
