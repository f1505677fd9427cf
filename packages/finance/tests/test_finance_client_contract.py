"""The typed client against the contract: every operation has a method, every type says what the schema says."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import cache
from pathlib import Path
from types import CodeType, UnionType
from typing import Any, Union, get_args, get_origin

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
    extend_schema,
    get_named_type,
    is_required_input_field,
    parse,
    specified_rules,
    validate,
    value_from_ast_untyped,
)
from graphql.validation import OverlappingFieldsCanBeMergedRule
from test_finance_refusal import DOOR, FAULTS, REFUSALS

import finance_client
from finance.graphql.schema import schema_text
from finance_client import Code, value
from finance_client.operation import Listed, Mutation, Operation, Query, Whole
from finance_client.subject import Command, Subject

CONTRACTS = sorted((Path(__file__).resolve().parents[1] / "contract").glob("*.graphql"))
MODULES = [
    importlib.import_module(one.name)
    for one in pkgutil.iter_modules(finance_client.__path__, "finance_client.")
]
SCALARS = {
    "ID": "str",
    "String": "str",
    "Boolean": "bool",
    "Int": "int",
    "Decimal": "Decimal",
    "Date": "date",
    "DateTime": "datetime",
}
SHORTER = "a walk over its connection does the same, and does not move while it is read"
WITHOUT_A_METHOD = {
    "chartOfAccounts": f"accounts.all: {SHORTER}",
    "invoices": f"invoices.all: {SHORTER}",
    "vouchers": f"vouchers.all: {SHORTER}",
    "payments": f"payments.all: {SHORTER}",
    "paymentsByInvoice": f"payments.all with invoice_id: {SHORTER}",
    "paymentsByStatus": f"payments.all with statuses: {SHORTER}",
    "journals": f"journals.all: {SHORTER}",
    "journalsByPeriod": f"journals.all with fiscal_period: {SHORTER}",
    "unpostedJournals": f"journals.all with statuses: {SHORTER}",
    "entriesKnownLater": f"journals.known_later: {SHORTER}",
}
"""Root fields that the client leaves out, and why."""
ASKS_MASTER_DATA = "asks master data about every row; its id is there"
WALKS = "the client walks the nodes to their end"
NOT_ASKED = {
    "Invoice.vendor": ASKS_MASTER_DATA,
    "Invoice.customer": ASKS_MASTER_DATA,
    "Voucher.partner": ASKS_MASTER_DATA,
    "InvoiceLine.product": ASKS_MASTER_DATA,
    "JournalLine.account": "reads a balance for every line; the account's id is there",
    "EntryOrigin.document": "its kind and id are there, and a method for each kind",
    "FigureEntries.nodes": "reports.figure_entries and figure_origins walk them",
    "FigureEntries.pageInfo": "reports.figure_entries and figure_origins walk them",
    "GeneralLedger.movements": "reports.movements walks them",
    "GeneralLedger.movementsConnection": "reports.movements walks them",
    "TrialBalance.groupedByType": "the same entries once more",
    "TrialBalance.metadata": "what was asked, and when",
    "PageInfo.hasPreviousPage": WALKS,
    "PageInfo.startCursor": WALKS,
}
"""Fields of types that the client does not ask for, and why. Edges and counts of connections are `WALKS`, too."""
GIVEN = {
    "CreateAccountInput": finance_client.NewAccount,
    "UpdateAccountInput": finance_client.AccountChange,
    "AccountFilter": finance_client.AccountFilter,
    "CreateInvoiceInput": finance_client.NewInvoice,
    "UpdateInvoiceInput": finance_client.InvoiceChange,
    "InvoiceFilter": finance_client.InvoiceFilter,
    "CreateVoucherInput": finance_client.NewVoucher,
    "UpdateVoucherInput": finance_client.VoucherChange,
    "VoucherFilter": finance_client.VoucherFilter,
    "CreatePaymentInput": finance_client.NewPayment,
    "UpdatePaymentInput": finance_client.PaymentChange,
    "PaymentFilter": finance_client.PaymentFilter,
    "CompletePaymentInput": finance_client.payments.Completion,
    "ReasonInput": finance_client.payments.Reason,
    "ReconcilePaymentInput": finance_client.payments.Reconciliation,
    "AllocateInput": value.NewAllocation,
    "UnallocateInput": value.Unallocation,
    "WriteOffInput": finance_client.documents.NewWriteOff,
    "WithholdInput": finance_client.documents.NewWithholding,
    "WithdrawInput": finance_client.documents.Withdrawal,
    "AttachmentInput": finance_client.NewAttachment,
    "CreateJournalInput": finance_client.NewJournal,
    "UpdateJournalInput": finance_client.JournalChange,
    "JournalLineInput": finance_client.NewJournalLine,
    "JournalFilter": finance_client.JournalFilter,
    "JournalTemplateInput": finance_client.NewTemplate,
    "BankFileInput": finance_client.NewBankFile,
    "BookBankLinesInput": finance_client.NewBooking,
    "DefineTaxCodeInput": finance_client.NewTaxCode,
    "TaxRateInput": finance_client.NewTaxRate,
    "CompanyIdentityInput": finance_client.NewIdentity,
    "ApprovalRuleInput": finance_client.NewApprovalRule,
    "ExchangeRateInput": finance_client.company.NewExchangeRate,
}
"""What an argument is given; what is within is found by its fields."""
REPORTS = (
    *("TrialBalance", "GeneralLedger", "ProfitAndLoss", "BalanceSheet"),
    *("CashFlow", "Ageing", "Statement", "VatSummary"),
)
"""What is asked with a method's arguments, and no type of its own."""
OLDER = frozenset(
    {
        *("createAccount", "updateAccount", "deactivateAccount"),
        *("chartOfAccount", "accountByCode", "accountsConnection"),
        *("createPayment", "updatePayment", "completePayment", "failPayment", "reversePayment"),
        *("reconcilePayment", "allocatePayment", "unallocatePayment", "payment", "paymentsConnection"),
        *("closePeriod", "reopenPeriod", "fiscalPeriods", "numberSeries"),
        *("setExchangeRate", "exchangeRates"),
    }
)
"""What a service of the contract 1.1.0 answers as well, rehearsals aside. All else asks it for more than it knows."""


@cache
def present() -> GraphQLSchema:
    return build_schema(schema_text())


def objections(schema: GraphQLSchema, text: str) -> list[Any]:
    """The first thing that the schema has against a document.

    Whether fields can be merged takes most of the time, and these have no aliases; the real service asks that, too, of
    each (`test_finance_client.py`).
    """
    rules = [one for one in specified_rules if one is not OverlappingFieldsCanBeMergedRule]
    return validate(schema, parse(text), rules, max_errors=1)


def operations() -> Iterator[Operation[Any]]:
    """All that the client has, from its modules."""
    for module in MODULES:
        yield from (one for one in vars(module).values() if isinstance(one, Operation))


def names_in(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for one in code.co_consts:
        if isinstance(one, CodeType):
            yield from names_in(one)


def asked_by(made: Callable[..., Any]) -> list[Operation[Any]]:
    """The operations that a method names."""
    there = vars(inspect.getmodule(made))
    return [there[name] for name in names_in(made.__code__) if isinstance(there.get(name), Operation)]


def methods() -> Iterator[tuple[str, Any, list[Operation[Any]]]]:
    """Every public method of every subject, with the operations that it names."""
    for kind in Subject.__subclasses__():
        for name, one in vars(kind).items():
            if not name.startswith("_") and isinstance(one, Command):
                yield f"{kind.__name__}.{name}", one, asked_by(one.make)
            elif not name.startswith("_") and inspect.isfunction(one):
                yield f"{kind.__name__}.{name}", one, asked_by(one)


def without_a_method(schema: GraphQLSchema) -> set[str]:
    """Root fields that nothing asks for and that nobody left out."""
    assert schema.query_type is not None
    assert schema.mutation_type is not None
    there = schema.query_type.fields | schema.mutation_type.fields
    live = {name for name, one in there.items() if one.deprecation_reason is None}
    reached = {one.field for _, _, found in methods() for one in found}
    assert not reached - there.keys(), "the schema has none of these"
    assert not WITHOUT_A_METHOD.keys() - live, "the schema has none of these any more"
    assert not WITHOUT_A_METHOD.keys() & reached, "these have a method"
    return live - reached - WITHOUT_A_METHOD.keys()


def test_every_query_and_mutation_has_a_method_or_a_reason() -> None:
    assert not without_a_method(present()), (
        "give it an operation and a method in the client, or a reason here"
    )
    assert len(list(methods())) > 85


def test_a_new_mutation_without_a_method_is_found() -> None:
    more = parse(
        "extend type Mutation { mergeInvoices(id: ID!, idempotencyKey: ID!): InvoiceResult! }"
        ' extend type Query { gone: Int @deprecated(reason: "since 1.0.0: use invoices") weather: Int }'
    )
    assert without_a_method(extend_schema(present(), more)) == {"mergeInvoices", "weather"}


def test_every_mutation_is_a_command_that_can_be_rehearsed_and_takes_a_key() -> None:
    for name, one, asked in methods():
        writes = any(isinstance(operation, Mutation) for operation in asked)
        assert isinstance(one, Command) == writes, name
        if writes:
            key = inspect.signature(one.make).parameters["key"]
            assert (key.kind, key.default) == (key.KEYWORD_ONLY, None), name
    assert {one for _, _, asked in methods() for one in map(id, asked)} == set(map(id, operations()))


def test_every_document_is_valid_in_the_schema() -> None:
    found = list(operations())
    assert len(found) > 85
    for one in found:
        assert objections(present(), one.text) == [], one.field
        if isinstance(one, Mutation):
            assert objections(present(), one.rehearsal) == [], one.field


def test_what_a_service_of_the_last_contract_answers_it_still_answers() -> None:
    released = build_schema(CONTRACTS[-1].read_text())
    asked = [one for one in operations() if one.field in OLDER]
    assert OLDER - {one.field for one in asked if not objections(released, one.text)} == set()


# Types


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
        if optional == never_null and not (is_input and not one.required):
            found.append(f"{where}: {'never' if never_null else 'perhaps'} null in the schema")
        if isinstance(graphql, GraphQLList):
            present_type, graphql = get_args(present_type)[0], graphql.of_type.of_type
        if isinstance(graphql, GraphQLObjectType | GraphQLInputObjectType) and is_struct(present_type):
            found += disagreements(present_type, graphql, is_input=is_input)
        elif not agrees(present_type, graphql, where, is_input=is_input):
            found.append(f"{where}: {present_type} is not {graphql.name}")
    return found


def is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def agrees(kind: Any, graphql: Any, where: str, *, is_input: bool) -> bool:
    """Whether a scalar is what the schema says. An enum is all its values where it is given, text where it is told."""
    if where == "NewBankFile.content":
        return kind is bytes  # sent in Base64, as the schema wants it
    if isinstance(graphql, GraphQLEnumType):
        return set(get_args(kind)) == set(graphql.values) if is_input else kind is str
    return SCALARS.get(graphql.name) == getattr(kind, "__name__", None)


def within(kind: type[Any], wanted: Any) -> Iterator[tuple[type[Any], Any]]:
    """A struct with its type of the schema, and all that are in it."""
    yield kind, wanted
    for one in msgspec.structs.fields(kind):
        inner, [declared] = struct_in(one.type), [wanted.fields[one.encode_name]]
        if inner is not None:
            yield from within(inner, get_named_type(declared.type))


def struct_in(kind: Any) -> type[Any] | None:
    if is_struct(kind):
        found: type[Any] = kind
        return found
    return next((one for part in get_args(kind) if (one := struct_in(part)) is not None), None)


def answers() -> Iterator[tuple[type[Any], Any]]:
    """What each operation answers with, by the type that the schema says it is, and all that is in it."""
    schema = present()
    for one in operations():
        if isinstance(one, Mutation):
            for name, kind in one.kinds.items():
                yield from within(kind, schema.type_map[name])
            continue
        assert isinstance(one, Query | Whole | Listed)
        assert schema.query_type is not None
        declared: Any = get_named_type(schema.query_type.fields[one.field].type)
        if isinstance(one, Listed) and one.within is not None:
            declared = get_named_type(declared.fields[one.within].type)
        if isinstance(one, Listed):
            declared = get_named_type(declared.fields["nodes"].type)
        kind = struct_in(one.kind)
        assert kind is not None
        yield from within(kind, declared)
    yield from within(value.DryRun, schema.type_map["DryRun"])
    yield from within(value.PageInfo, schema.type_map["PageInfo"])


def test_every_answer_says_what_the_schema_says_and_leaves_nothing_out_without_a_reason() -> None:
    by_type: dict[str, set[str]] = {}
    for kind, wanted in answers():
        assert disagreements(kind, wanted, is_input=False) == []
        told = {one.encode_name for one in msgspec.structs.fields(kind)}
        by_type[wanted.name] = by_type.get(wanted.name, set()) | told
    assert len(by_type) > 45
    left_out = {
        f"{name}.{field}"
        for name, told in by_type.items()
        for field, one in present().type_map[name].fields.items()
        if field not in told and one.deprecation_reason is None
    }
    assert (left_out - NOT_ASKED.keys(), NOT_ASKED.keys() - left_out) == (set(), set())


def test_every_input_says_what_the_schema_says_and_lacks_nothing() -> None:
    schema = present()
    seen = set()
    for name, top in GIVEN.items():
        assert disagreements(top, schema.type_map[name], is_input=True) == []
        for kind, wanted in within(top, schema.type_map[name]):
            seen.add(wanted.name)
            fields = {one.encode_name: one for one in msgspec.structs.fields(kind)}
            assert fields.keys() == wanted.fields.keys(), kind.__name__
            demanded = {field for field, one in wanted.fields.items() if is_required_input_field(one)}
            assert demanded <= {field for field, one in fields.items() if one.required}, kind.__name__
    inputs = {name for name, one in schema.type_map.items() if isinstance(one, GraphQLInputObjectType)}
    assert inputs - seen == {f"{one}Input" for one in REPORTS}


def test_what_is_left_out_of_an_input_is_what_the_schema_takes_it_for() -> None:
    compared = 0
    for name, top in GIVEN.items():
        for kind, wanted in within(top, present().type_map[name]):
            for one in msgspec.structs.fields(kind):
                if one.required:
                    continue
                told = one.default if one.default is not msgspec.NODEFAULT else one.default_factory()
                written = wanted.fields[one.encode_name].ast_node.default_value
                if written is None:
                    assert told is None, f"{kind.__name__}.{one.name}"
                    continue
                compared += 1
                expected: Any = value_from_ast_untyped(written)
                same = Decimal(expected) if isinstance(told, Decimal) else expected
                assert (list(told) if isinstance(told, tuple) else told) == same, (
                    f"{kind.__name__}.{one.name}"
                )
    assert compared > 20


def test_a_type_that_disagrees_is_found() -> None:
    class Invoice(value.Answer, frozen=True, kw_only=True):
        id: int
        status: str | None
        line_items: tuple[value.Money, ...]
        none_such: str

    found = disagreements(Invoice, present().type_map["Invoice"], is_input=False)
    assert [one.partition(":")[0] for one in found] == [
        "Invoice.id",
        "Invoice.status",
        "Money.amount",
        "Money.currency",
        "Invoice.noneSuch",
    ]


def test_no_number_is_a_float() -> None:
    kinds = {one for module in MODULES for one in vars(module).values() if is_struct(one)}
    assert len(kinds) > 90

    def mentions(kind: Any) -> bool:
        return kind is float or any(mentions(part) for part in get_args(kind))

    assert not [
        f"{kind.__name__}.{one.name}"
        for kind in kinds
        for one in msgspec.structs.fields(kind)
        if mentions(one.type)
    ]


# Refusals


def test_the_client_knows_every_code_of_the_service_and_no_other() -> None:
    served = {one.code for one in REFUSALS} | {*DOOR, *FAULTS}
    known = set(map(str, Code))
    assert (served - known, known - served) == (set(), set())
    assert all(one.name == one.value.upper().replace("-", "_") for one in Code)


@pytest.mark.parametrize("name", ["finance", "kit"])
def test_the_client_knows_nothing_of_the_service(name: str) -> None:
    here = Path(finance_client.__file__).parent
    lines = [line for path in here.glob("*.py") for line in path.read_text().splitlines()]
    assert len(lines) > 1000
    assert not [
        line for line in lines if line.startswith((f"import {name}", f"from {name} ", f"from {name}."))
    ]
