"""What each role may do, and that nothing unknown may do anything."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth.permission import EVERYTHING, ROLES, permissions_of
from finance.graphql.permission import NEEDED

ROLE = st.sampled_from(sorted(ROLES)) | st.text(max_size=5)


def test_a_finance_manager_may_do_everything() -> None:
    assert permissions_of(["finance_manager"]) == sorted(EVERYTHING)


def test_an_auditor_sees_everything_may_take_it_away_and_changes_nothing() -> None:
    allowed = permissions_of(["auditor"])
    assert {name.rpartition(":")[2] for name in allowed} == {"read", "view", "export"}
    for kind in (
        "account",
        "invoice",
        "payment",
        "journal",
        "report",
        "audit",
        "customer",
        "vendor",
        "product",
    ):
        assert f"{kind}:read" in allowed
    assert "finance:trial-balance:view" in allowed


def test_who_receives_money_writes_invoices_and_posts_no_entries() -> None:
    allowed = set(permissions_of(["accounts_receivable"]))
    assert {"invoice:approve", "payment:process", "account:read"} <= allowed
    assert not {name for name in allowed if name.startswith(("journal:", "period:", "audit:"))}
    assert {name for name in allowed if name.startswith("account:")} == {"account:read"}


def test_who_pays_writes_bills_and_approves_none() -> None:
    allowed = set(permissions_of(["accounts_payable"]))
    written = {"invoice:create", "invoice:read", "invoice:update"}
    assert {name for name in allowed if name.startswith("invoice:")} == written
    assert "payment:process" in allowed


@pytest.mark.parametrize(
    ("role", "job"),
    [
        (
            "accounts_payable",
            {"createVoucher", "createPayment", "completePayment", "allocatePayment", "ageing"},
        ),
        ("accounts_payable", {"withholdTax", "allocateVoucher", "statement", "vouchers", "chartOfAccounts"}),
        ("accounts_receivable", {"createInvoice", "approveInvoice", "createVoucher", "ageing", "statement"}),
        ("accountant", {"createJournal", "postJournal", "invoice", "payment", "trialBalance", "vatSummary"}),
        ("auditor", {"invoice", "payment", "journal", "numberSeries", "generalLedger", "trialBalance"}),
    ],
)
def test_a_role_can_do_its_job(role: str, job: set[str]) -> None:
    allowed = permissions_of([role])
    assert not {field for field in job if NEEDED[field] not in allowed}


def test_an_accountant_posts_entries_and_touches_no_payments() -> None:
    allowed = set(permissions_of(["accountant"]))
    assert {"journal:post", "journal:reverse", "account:create", "report:export"} <= allowed
    assert {name for name in allowed if name.startswith(("payment:", "invoice:", "period:"))} == {
        "invoice:read",
        "payment:read",
    }


def test_whoever_sees_documents_sees_the_names_on_them() -> None:
    for role in ROLES:
        assert {"customer:read", "vendor:read", "product:read"} <= set(permissions_of([role])), role


def test_who_handles_documents_and_money_makes_no_partners() -> None:
    for kind in ("customer", "vendor", "product"):
        makers = {role for role in ROLES if f"{kind}:create" in permissions_of([role])}
        assert makers == {"finance_manager", "accountant"}


def test_only_the_manager_closes_and_reopens_periods() -> None:
    for right in ("period:close", "period:reopen", "template:manage"):
        assert [role for role in ROLES if right in permissions_of([role])] == ["finance_manager"]


def test_an_unknown_role_may_do_nothing() -> None:
    assert permissions_of(["emperor", "", "*"]) == []
    assert permissions_of([]) == []


@given(st.lists(ROLE, max_size=4), st.lists(ROLE, max_size=4))
def test_several_roles_may_do_what_each_may_and_no_more(some: list[str], others: list[str]) -> None:
    both = permissions_of([*some, *others])
    assert set(both) == {*permissions_of(some), *permissions_of(others)}
    assert both == sorted(both)
    assert set(both) <= EVERYTHING


def test_whatever_finance_asks_for_somebody_has() -> None:
    assert len(NEEDED) > 20
    assert set(NEEDED.values()) <= EVERYTHING


def test_every_role_allows_something_that_exists() -> None:
    for role, allowed in ROLES.items():
        assert allowed, role
        assert allowed <= EVERYTHING
