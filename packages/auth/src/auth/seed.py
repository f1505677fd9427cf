"""Believable tenants and users for a laptop: always the same ids, so that seeding twice changes nothing."""

from collections.abc import Iterator
from uuid import UUID, uuid5

from auth.user import Tenant, User

NAMESPACE = UUID("6f1c9f0e-2f5b-5a52-9a57-0d6f5f5b7b11")
COMPANIES = ("padma-textiles", "meghna-foods", "jamuna-logistics", "surma-pharma", "teesta-energy")
INTERNAL_SHARE = 0.02
ROLES = (("finance_manager",), ("accounts_receivable",), ("finance_manager",), ("accounts_receivable",))


def tenants(count: int) -> list[Tenant]:
    names = [COMPANIES[i] if i < len(COMPANIES) else f"company-{i + 1}" for i in range(count)]
    return [Tenant(id=uuid5(NAMESPACE, name), name=name) for name in names]


def users(companies: list[Tenant], count: int, password_hash: str) -> Iterator[User]:
    """`count` users spread evenly: of each tenant one auditor, then internal staff, then the others."""
    for number in range(count):
        tenant = companies[number % len(companies)]
        place = number // len(companies)
        internal = 0 < place <= max(1, round(INTERNAL_SHARE * count / len(companies)))
        username = f"user{place:05d}"
        yield User(
            id=uuid5(NAMESPACE, f"{tenant.name}/{username}"),
            tenant_id=tenant.id,
            username=username,
            password_hash=password_hash,
            roles=("auditor",) if place == 0 else ROLES[place % len(ROLES)],
            internal=internal,
        )
