"""Operations: their documents are made from the types of their answers, so that neither is without the other."""

from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar, get_args

import msgspec

from finance_client import answer
from finance_client.answer import Answer

T = TypeVar("T", bound=Answer)
PAGED: Final = ("$first: Int!", "$after: String")
KEYED: Final = "$idempotencyKey: ID!"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation(Generic[T]):
    """One root field. `text` is its document; `typename` what a mutation's answer is called when it is no refusal."""

    field: str
    text: str
    kind: type[T]
    typename: str | None = None


def selection(kind: type[Answer]) -> str:
    """Every field of an answer, and of what is in it."""
    told = []
    for one in msgspec.structs.fields(kind):
        inner = nested(one.type)
        told.append(one.encode_name if inner is None else f"{one.encode_name} {selection(inner)}")
    return f"{{ {' '.join(told)} }}"


def nested(kind: Any) -> type[Answer] | None:
    """The answer that a field's type has in it, if any."""
    if isinstance(kind, type) and issubclass(kind, Answer):
        return kind
    return next((found for one in get_args(kind) if (found := nested(one)) is not None), None)


def called(field: str, variables: tuple[str, ...]) -> str:
    """The field with each variable as the argument of its name."""
    given = ", ".join(f"{name[1:]}: {name}" for name in (one.partition(":")[0] for one in variables))
    return f"{field}({given})" if given else field


def query(field: str, kind: type[T], *variables: str) -> Operation[T]:
    declared = f"({', '.join(variables)})" if variables else ""
    text = f"query {field}{declared} {{ {called(field, variables)} {selection(kind)} }}"
    return Operation(field=field, text=text, kind=kind)


def listed(field: str, kind: type[T], *variables: str) -> Operation[T]:
    """A list that is walked page after page."""
    every = (*variables, *PAGED)
    page = f"{{ nodes {selection(kind)} pageInfo {selection(answer.PageInfo)} }}"
    text = f"query {field}({', '.join(every)}) {{ {called(field, every)} {page} }}"
    return Operation(field=field, text=text, kind=kind)


def mutation(field: str, kind: type[T], *variables: str) -> Operation[T]:
    every = (*variables, KEYED)
    told = f"{{ __typename ... on {kind.__name__} {selection(kind)} ... on Refusal {{ code message }} }}"
    text = f"mutation {field}({', '.join(every)}) {{ {called(field, every)} {told} }}"
    return Operation(field=field, text=text, kind=kind, typename=kind.__name__)


CREATE_ACCOUNT = mutation("createAccount", answer.Account, "$input: CreateAccountInput!")
CREATE_INVOICE = mutation("createInvoice", answer.Invoice, "$input: CreateInvoiceInput!")
APPROVE_INVOICE = mutation("approveInvoice", answer.Invoice, "$id: ID!")
CANCEL_INVOICE = mutation(
    "cancelInvoice", answer.Invoice, "$id: ID!", "$reason: String!", "$reversingDate: Date"
)
CREATE_VOUCHER = mutation("createVoucher", answer.Voucher, "$input: CreateVoucherInput!")
APPROVE_VOUCHER = mutation("approveVoucher", answer.Voucher, "$id: ID!")
CANCEL_VOUCHER = mutation(
    "cancelVoucher", answer.Voucher, "$id: ID!", "$reason: String!", "$reversingDate: Date"
)
CREATE_PAYMENT = mutation("createPayment", answer.Payment, "$input: CreatePaymentInput!")
COMPLETE_PAYMENT = mutation("completePayment", answer.Payment, "$id: ID!", "$input: CompletePaymentInput!")
REVERSE_PAYMENT = mutation(
    "reversePayment", answer.Payment, "$id: ID!", "$input: ReasonInput!", "$reversingDate: Date"
)
ALLOCATE_PAYMENT = mutation("allocatePayment", answer.Payment, "$id: ID!", "$input: AllocateInput!")
UNALLOCATE_PAYMENT = mutation("unallocatePayment", answer.Payment, "$id: ID!", "$input: UnallocateInput!")
ALLOCATE_VOUCHER = mutation("allocateVoucher", answer.Voucher, "$id: ID!", "$input: AllocateInput!")
UNALLOCATE_VOUCHER = mutation("unallocateVoucher", answer.Voucher, "$id: ID!", "$input: UnallocateInput!")
CREATE_JOURNAL = mutation("createJournal", answer.Journal, "$input: CreateJournalInput!")
POST_JOURNAL = mutation("postJournal", answer.Journal, "$id: ID!")
REVERSE_JOURNAL = mutation(
    "reverseJournal", answer.Journal, "$id: ID!", "$reversingDate: Date!", "$reason: String"
)
ACCOUNT = query("accountByCode", answer.Account, "$accountCode: String!")
INVOICE = query("invoice", answer.Invoice, "$id: ID!")
VOUCHER = query("voucher", answer.Voucher, "$id: ID!")
PAYMENT = query("payment", answer.Payment, "$id: ID!")
JOURNAL = query("journal", answer.Journal, "$id: ID!")
ACCOUNTS = listed("accountsConnection", answer.Account, "$filter: AccountFilter")
INVOICES = listed("invoicesConnection", answer.Invoice, "$filter: InvoiceFilter")
VOUCHERS = listed("vouchersConnection", answer.Voucher, "$filter: VoucherFilter")
PAYMENTS = listed("paymentsConnection", answer.Payment, "$filter: PaymentFilter")
JOURNALS = listed("journalsConnection", answer.Journal, "$filter: JournalFilter")
TRIAL_BALANCE = query("trialBalance", answer.TrialBalance, "$input: TrialBalanceInput!")
PROFIT_AND_LOSS = query("profitAndLoss", answer.ProfitAndLoss, "$input: ProfitAndLossInput!")
BALANCE_SHEET = query("balanceSheet", answer.BalanceSheet, "$input: BalanceSheetInput!")
CASH_FLOW = query("cashFlow", answer.CashFlow, "$input: CashFlowInput!")
AGEING = query("ageing", answer.Ageing, "$input: AgeingInput!")
STATEMENT = query("statement", answer.Statement, "$input: StatementInput!")
VAT_SUMMARY = query("vatSummary", answer.VatSummary, "$input: VatSummaryInput!")
OPERATIONS: Final = tuple(one for one in globals().values() if isinstance(one, Operation))
