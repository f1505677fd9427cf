"""What users do next, and what an answer to it means."""

import random
from collections import Counter
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from graphql import build_schema, parse, validate

from laptop.ledger import lost, managers, newest, question
from laptop.visits import (
    BY_NAME,
    OPERATIONS,
    Company,
    Left,
    Request,
    User,
    Written,
    complaint,
    fiscal_year,
    learn,
    next_request,
)

TODAY = date(2026, 11, 24)


def user(*roles: str) -> User:
    return User(id="u", tenant="t", username="anna", roles=frozenset(roles), internal=False)


def company() -> Company:
    return Company(tenant="t", customers=["c1", "c2"], products=["p1"])


def busy() -> Company:
    made = company()
    made.drafts.extend(Left(f"d{n}", "somebody else") for n in range(300))
    made.known.append("k")
    made.approved.extend((f"a{n}", Decimal(5)) for n in range(300))
    made.pending.extend(Left(f"p{n}", "somebody else") for n in range(300))
    return made


def choose(who: User, where: Company, chance: random.Random) -> Request:
    return next_request(who, where, chance=chance, today=TODAY, new_key=lambda: "key")


def test_every_request_is_one_the_finance_service_understands() -> None:
    from importlib.resources import files

    schema = build_schema((files("finance") / "schema.graphql").read_text(encoding="utf-8"))
    for operation in OPERATIONS:
        assert validate(schema, parse(operation.text)) == [], operation.name
    asked = question([Written(kind="invoice", id="i", tenant="t", version=1)])
    assert validate(schema, parse(asked)) == []


def test_with_an_empty_desk_only_what_needs_no_document_is_chosen() -> None:
    chance = random.Random(1)
    names = {choose(user("finance_manager"), company(), chance).operation.name for _ in range(200)}
    assert names == {"list invoices", "create invoice", "trial balance", "list payments"}


def test_people_do_only_what_their_role_may() -> None:
    chance = random.Random(1)
    auditor = {choose(user("auditor"), busy(), chance).operation.name for _ in range(200)}
    assert auditor == {"list invoices", "read invoice", "trial balance", "list payments"}
    clerk = {choose(user("accounts_receivable"), busy(), chance).operation.name for _ in range(200)}
    assert "trial balance" not in clerk


def test_the_mix_is_the_one_that_was_weighted() -> None:
    chance, where = random.Random(1), busy()
    seen = Counter(choose(user("finance_manager"), where, chance).operation.name for _ in range(1000))
    for operation in OPERATIONS:
        assert abs(seen[operation.name] / 10 - operation.weight) < 4, operation.name


def test_the_same_seed_does_the_same() -> None:
    def story() -> list[Any]:
        chance, where = random.Random(7), busy()
        return [choose(user("finance_manager"), where, chance).body for _ in range(50)]

    assert story() == story()


def test_a_document_is_taken_up_by_one_user_only() -> None:
    chance, where = random.Random(1), busy()
    taken = [
        request.variables["id"]
        for request in (choose(user("finance_manager"), where, chance) for _ in range(500))
        if request.operation.name == "approve invoice"
    ]
    assert len(taken) == len(set(taken)) > 10


def test_nobody_goes_on_with_what_is_their_own() -> None:
    chance, where, me = random.Random(1), company(), user("finance_manager")
    where.drafts.extend([Left("mine", me.id), Left("yours", "you")])
    where.pending.append(Left("my money", me.id))
    seen = [choose(me, where, chance) for _ in range(200)]
    went_on = [one.variables["id"] for one in seen if one.operation.name == "approve invoice"]
    assert went_on == ["yours"]
    assert "complete payment" not in {one.operation.name for one in seen}
    assert list(where.drafts) == [Left("mine", me.id)]


def test_only_writes_have_a_key() -> None:
    chance, where = random.Random(1), busy()
    for _ in range(200):
        request = choose(user("finance_manager"), where, chance)
        assert (request.key is not None) == request.operation.writes
        assert ("key" in request.body["variables"]) == request.operation.writes


def request_of(name: str) -> Request:
    operation = BY_NAME[name]
    return Request(
        user=user("finance_manager"), operation=operation, variables={}, key="k" if operation.writes else None
    )


def test_a_story_of_an_invoice_goes_over_the_desk() -> None:
    where = company()
    made = {"data": {"createInvoice": {"__typename": "Invoice", "id": "i", "version": 1}}}
    assert learn(request_of("create invoice"), where, made) == Written(
        kind="invoice", id="i", tenant="t", version=1
    )
    assert list(where.drafts) == [Left("i", "u")]
    due = {"id": "i", "version": 2, "balanceDue": {"amount": "11.50"}}
    learn(request_of("approve invoice"), where, {"data": {"approveInvoice": due}})
    assert list(where.approved) == [("i", Decimal("11.50"))]
    learn(request_of("create payment"), where, {"data": {"createPayment": {"id": "p", "version": 1}}})
    assert list(where.pending) == [Left("p", "u")]
    done = learn(
        request_of("complete payment"), where, {"data": {"completePayment": {"id": "p", "version": 2}}}
    )
    assert done == Written(kind="payment", id="p", tenant="t", version=2)
    assert learn(request_of("list invoices"), where, {"data": {"invoices": []}}) is None


@pytest.mark.parametrize(
    ("name", "answer", "found"),
    [
        ("list invoices", {"data": {"invoices": []}}, None),
        ("list invoices", {"data": None, "errors": [{"extensions": {"code": "internal"}}]}, "internal"),
        ("list invoices", {"errors": [{"message": "no code"}]}, "graphql-error"),
        ("read invoice", {"data": {"invoice": None}}, "nothing-found"),
        ("read invoice", {}, "nothing-found"),
        (
            "approve invoice",
            {"data": {"approveInvoice": {"__typename": "Refusal", "code": "invoice-not-draft"}}},
            "refused: invoice-not-draft",
        ),
        (
            "trial balance",
            {"data": {"trialBalance": {"summary": {"isBalanced": False}}}},
            "trial-balance-off",
        ),
        ("trial balance", {"data": {"trialBalance": {"summary": {"isBalanced": True}}}}, None),
    ],
)
def test_errors_refusals_and_missing_answers_are_complaints(
    name: str, answer: dict[str, Any], found: str | None
) -> None:
    assert complaint(request_of(name), answer) == found


@pytest.mark.parametrize(
    ("day", "year"), [(date(2026, 6, 30), "FY2025-2026"), (date(2026, 7, 1), "FY2026-2027")]
)
def test_the_fiscal_year_begins_in_july(day: date, year: str) -> None:
    assert fiscal_year(day) == year


def written(document: str, version: int) -> Written:
    return Written(kind="invoice", id=document, tenant="t", version=version)


def test_a_write_is_lost_when_its_document_is_absent_or_older() -> None:
    writes = [written("a", 1), written("a", 2), written("b", 1), written("c", 1)]
    assert lost(writes, {"a": 2, "b": 3, "c": 1}) == 0
    assert lost(writes, {"a": 1, "b": 1, "c": 1}) == 1
    assert lost(writes, {"b": 1}) == 3


def test_of_each_document_the_newest_write_is_looked_up() -> None:
    assert newest([written("a", 2), written("a", 1), written("b", 1)]) == [written("a", 2), written("b", 1)]


def test_one_manager_of_each_company_looks_writes_up() -> None:
    first, second = user("auditor"), user("finance_manager")
    assert managers([first, second, user("finance_manager")]) == {"t": second}
