"""What each role may do. The names are those of the operations of finance and of master data.

Who writes invoices or pays them does not make the customers and vendors they are for: that is the accountant's and
the manager's. Payables write vendors' bills and pay them, and leave approving and cancelling them to others; as bills
and invoices are one permission, they could draft an invoice, which binds nobody until somebody else approves it.
"""

from collections.abc import Iterable
from typing import Final

EVERYTHING: Final = frozenset(
    {
        *(f"account:{verb}" for verb in ("create", "read", "update", "deactivate")),
        *(f"invoice:{verb}" for verb in ("create", "read", "update", "approve", "cancel")),
        *(f"payment:{verb}" for verb in ("create", "read", "update", "process", "reconcile", "refund")),
        *(f"journal:{verb}" for verb in ("create", "read", "update", "post", "reverse")),
        *(f"{kind}:{verb}" for kind in ("customer", "vendor", "product") for verb in ("create", "read")),
        *(f"attachment:{verb}" for verb in ("create", "read")),
        "approval:senior",
        "authority:manage",
        "finance:trial-balance:view",
        "report:read",
        "report:export",
        "period:close",
        "period:reopen",
        "template:manage",
        "audit:read",
    }
)


def of(*prefixes: str) -> frozenset[str]:
    return frozenset(name for name in EVERYTHING if name.startswith(prefixes))


READING: Final = frozenset(name for name in EVERYTHING if name.endswith((":read", ":view")))

NAMES: Final = of("customer:read", "vendor:read", "product:read")
"""Invoices and payments are shown with names, which are looked up for whoever reads them."""

ROLES: Final = {
    "finance_manager": EVERYTHING,
    "accountant": of(
        "account:",
        "attachment:",
        "journal:",
        "report:",
        "customer:",
        "vendor:",
        "product:",
        "finance:trial-balance:view",
        "invoice:read",
        "payment:read",
    ),
    "accounts_receivable": of(
        "invoice:", "payment:", "attachment:", "account:read", "report:read", "report:export"
    )
    | NAMES,
    "accounts_payable": of(
        "payment:",
        "attachment:",
        "account:read",
        "invoice:create",
        "invoice:read",
        "invoice:update",
        "report:read",
    )
    | NAMES,
    "auditor": READING | of("report:export"),
}


def permissions_of(roles: Iterable[str]) -> list[str]:
    """Everything these roles allow, sorted; an unknown role allows nothing."""
    return sorted(frozenset().union(*(ROLES.get(role, frozenset()) for role in roles)))
