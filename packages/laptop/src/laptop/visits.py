"""What users do: which request comes next, and what an answer to it means.

Values in, values out, but for each company's desk: the documents that wait for somebody to go on with them. They
are shared by all users of a company, so that what one made on green another goes on with on blue. Nobody approves or
completes what is their own: finance does not let them.
"""

import random
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

Json = Mapping[str, Any]

MANAGER, RECEIVABLE, AUDITOR = "finance_manager", "accounts_receivable", "auditor"
EVERYBODY: Final = frozenset({MANAGER, RECEIVABLE, AUDITOR})
CLERKS: Final = frozenset({MANAGER, RECEIVABLE})
PAGE: Final = 30
MOST_WAITING: Final = 500
VAT: Final = ("STANDARD", "STANDARD", "STANDARD", "REDUCED", "ZERO_RATED")


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A kind of request: how often it is chosen, who may, and its GraphQL text. `field` holds the answer."""

    name: str
    weight: int
    roles: frozenset[str]
    field: str
    text: str
    writes: bool = False


def mutation(name: str, arguments: str, passed: str, shown: str) -> str:
    return (
        f"mutation Visit({arguments}, $key: ID!) {{ {name}({passed}, idempotencyKey: $key) {{ __typename "
        f"... on Refusal {{ code message }} {shown} }} }}"
    )


INVOICE: Final = "... on Invoice { id status version balanceDue { amount } }"
PAYMENT: Final = "... on Payment { id status version }"
OPERATIONS: Final = (
    Operation(
        name="list invoices",
        weight=25,
        roles=EVERYBODY,
        field="invoices",
        text="query Visit($limit: Int!) { invoices(limit: $limit) { id invoiceNumber status dueDate"
        " customer { name } lineItems { product { name } amount { amount } } grandTotal { amount } } }",
    ),
    Operation(
        name="read invoice",
        weight=20,
        roles=EVERYBODY,
        field="invoice",
        text="query Visit($id: ID!) { invoice(id: $id) { id status version customer { name tin }"
        " lineItems { description quantity vatAmount { amount } } balanceDue { amount } } }",
    ),
    Operation(
        name="create invoice",
        weight=15,
        roles=CLERKS,
        field="createInvoice",
        text=mutation("createInvoice", "$input: CreateInvoiceInput!", "input: $input", INVOICE),
        writes=True,
    ),
    Operation(
        name="approve invoice",
        weight=12,
        roles=CLERKS,
        field="approveInvoice",
        text=mutation("approveInvoice", "$id: ID!", "id: $id", INVOICE),
        writes=True,
    ),
    Operation(
        name="create payment",
        weight=10,
        roles=CLERKS,
        field="createPayment",
        text=mutation("createPayment", "$input: CreatePaymentInput!", "input: $input", PAYMENT),
        writes=True,
    ),
    Operation(
        name="complete payment",
        weight=9,
        roles=CLERKS,
        field="completePayment",
        text=mutation(
            "completePayment", "$id: ID!, $input: CompletePaymentInput!", "id: $id, input: $input", PAYMENT
        ),
        writes=True,
    ),
    Operation(
        name="trial balance",
        weight=6,
        roles=frozenset({MANAGER, AUDITOR}),
        field="trialBalance",
        text="query Visit($input: TrialBalanceInput!) { trialBalance(input: $input) {"
        " summary { isBalanced variance { amount } } entries { accountCode netBalance { amount } } } }",
    ),
    Operation(
        name="list payments",
        weight=3,
        roles=EVERYBODY,
        field="payments",
        text="query Visit($limit: Int!) { payments(limit: $limit) { id paymentNumber status amount { amount } } }",
    ),
)
BY_NAME: Final = {operation.name: operation for operation in OPERATIONS}


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Somebody who works at a company."""

    id: str
    tenant: str
    username: str
    roles: frozenset[str]
    internal: bool


@dataclass(frozen=True, slots=True)
class Left:
    """A document that waits for somebody else than who made it."""

    id: str
    maker: str


@dataclass(slots=True, kw_only=True)
class Company:
    """What a company's people know: partners, goods, and what lies on the desk."""

    tenant: str
    customers: Sequence[str]
    products: Sequence[str]
    drafts: deque[Left] = field(default_factory=lambda: deque(maxlen=MOST_WAITING))
    approved: deque[tuple[str, Decimal]] = field(default_factory=lambda: deque(maxlen=MOST_WAITING))
    pending: deque[Left] = field(default_factory=lambda: deque(maxlen=MOST_WAITING))
    known: deque[str] = field(default_factory=lambda: deque(maxlen=MOST_WAITING))


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request of one user. `key` is the idempotency key of a write."""

    user: User
    operation: Operation
    variables: Json
    key: str | None

    @property
    def body(self) -> dict[str, Any]:
        keyed = {} if self.key is None else {"key": self.key}
        return {"query": self.operation.text, "variables": {**self.variables, **keyed}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A write that was acknowledged: `kind` is invoice or payment, and it had this version then."""

    kind: str
    id: str
    tenant: str
    version: int


def fiscal_year(day: date) -> str:
    """The finance service's: July to June."""
    first = day.year if day.month >= 7 else day.year - 1
    return f"FY{first}-{first + 1}"


def next_request(
    user: User, company: Company, *, chance: random.Random, today: date, new_key: Callable[[], str]
) -> Request:
    """What this user does now: a choice among what they may do and what there is to do."""
    possible = [one for one in OPERATIONS if one.roles & user.roles and waiting(one.name, company, user)]
    chosen = chance.choices(possible, [one.weight for one in possible])[0]
    return Request(
        user=user,
        operation=chosen,
        variables=variables(chosen.name, company, user, chance, today),
        key=new_key() if chosen.writes else None,
    )


def others(left: Iterable[Left], user: User) -> Left | None:
    """The first that this user did not make: finance lets nobody approve or complete what is their own."""
    return next((one for one in left if one.maker != user.id), None)


def taken(left: deque[Left], user: User) -> str:
    """Take that one from the desk."""
    found = others(left, user)
    assert found is not None, "what does not wait is not chosen"  # noqa: S101 - a bug of the traffic
    left.remove(found)
    return found.id


def waiting(name: str, company: Company, user: User) -> bool:
    """Whether there is something to do it with."""
    match name:
        case "read invoice":
            return bool(company.known)
        case "approve invoice":
            return others(company.drafts, user) is not None
        case "create payment":
            return bool(company.approved)
        case "complete payment":
            return others(company.pending, user) is not None
        case _:
            return True


def variables(name: str, company: Company, user: User, chance: random.Random, today: date) -> dict[str, Any]:
    match name:
        case "read invoice":
            return {"id": chance.choice(company.known)}
        case "create invoice":
            return {"input": invoice(company, chance, today)}
        case "approve invoice":
            return {"id": taken(company.drafts, user)}
        case "create payment":
            invoice_id, due = company.approved.popleft()
            return {"input": payment(invoice_id, due, today)}
        case "complete payment":
            reference = f"TRX{chance.randrange(10**10):010d}"
            return {"id": taken(company.pending, user), "input": {"transactionReference": reference}}
        case "trial balance":
            return {"input": {"fiscalYear": fiscal_year(today)}}
        case _:
            return {"limit": PAGE}


def invoice(company: Company, chance: random.Random, today: date) -> dict[str, Any]:
    lines = [
        {
            "description": "goods as delivered",
            "productId": chance.choice(company.products),
            "quantity": str(chance.randint(1, 40)),
            "unitPrice": f"{chance.randint(100, 900_000) / 100:.2f}",
            "vatCategory": chance.choice(VAT),
        }
        for _ in range(chance.randint(1, 4))
    ]
    due = today + timedelta(days=chance.choice((14, 30, 60)))
    return {
        "customerId": chance.choice(company.customers),
        "invoiceDate": today.isoformat(),
        "dueDate": due.isoformat(),
        "lineItems": lines,
    }


def payment(invoice_id: str, due: Decimal, today: date) -> dict[str, Any]:
    return {
        "invoiceId": invoice_id,
        "amount": str(due),
        "paymentMethod": "BANK_TRANSFER",
        "paymentDate": today.isoformat(),
    }


def complaint(request: Request, answer: Json) -> str | None:
    """What is wrong with a GraphQL answer, or None. An error is one, and so is a refusal: nobody asked amiss."""
    errors = answer.get("errors")
    if errors:
        return str(errors[0].get("extensions", {}).get("code", "graphql-error"))
    found = (answer.get("data") or {}).get(request.operation.field)
    if found is None:
        return "nothing-found"
    if isinstance(found, dict) and found.get("__typename") == "Refusal":
        return f"refused: {found['code']}"
    if request.operation.name == "trial balance" and not found["summary"]["isBalanced"]:
        return "trial-balance-off"
    return None


def learn(request: Request, company: Company, answer: Json) -> Written | None:
    """Put what was made onto the company's desk. Returns what was acknowledged, if it was a write."""
    if not request.operation.writes:
        return None
    found = answer["data"][request.operation.field]
    match request.operation.name:
        case "create invoice":
            company.drafts.append(Left(found["id"], request.user.id))
            company.known.append(found["id"])
        case "approve invoice":
            company.approved.append((found["id"], Decimal(found["balanceDue"]["amount"])))
        case "create payment":
            company.pending.append(Left(found["id"], request.user.id))
        case _:
            pass
    kind = "invoice" if "Invoice" in request.operation.field else "payment"
    return Written(kind=kind, id=found["id"], tenant=company.tenant, version=found["version"])
