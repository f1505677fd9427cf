"""Believable customers, vendors and products for a laptop: always the same for the same tenant."""

import random
from collections.abc import Iterator, Mapping
from uuid import UUID, uuid5

from masterdata.record import VAT_CATEGORIES

PLACES = (
    "Dhaka",
    "Chattogram",
    "Khulna",
    "Rajshahi",
    "Sylhet",
    "Barishal",
    "Rangpur",
    "Cumilla",
    "Gazipur",
    "Bogura",
)
TRADES = (
    "Textiles",
    "Foods",
    "Traders",
    "Pharma",
    "Steel",
    "Ceramics",
    "Logistics",
    "Electronics",
    "Paper",
    "Agro",
)
FORMS = ("Ltd", "and Sons", "Enterprise", "Corporation", "Group", "Industries")
GOODS = (
    "Cotton yarn",
    "Rice",
    "Lentils",
    "Printing paper",
    "Steel rod",
    "Cement",
    "Tiles",
    "Cable",
    "Pump",
    "Tea",
)
UNITS = ("piece", "kg", "bag", "metre", "box")
Row = tuple[UUID, Mapping[str, str | None]]


def partners(tenant_id: UUID, kind: str, count: int) -> Iterator[Row]:
    chance = random.Random(f"{tenant_id}/{kind}")  # noqa: S311 - names, not secrets
    for number in range(1, count + 1):
        code = f"{kind[0].upper()}{number:04d}"
        name = f"{chance.choice(PLACES)} {chance.choice(TRADES)} {chance.choice(FORMS)} {number}"
        values = {
            "code": code,
            "name": name,
            "tin": f"{chance.randrange(10**12):012d}",
            "bin": f"{chance.randrange(10**13):013d}",
        }
        yield uuid5(tenant_id, f"{kind}/{code}"), values


def products(tenant_id: UUID, count: int) -> Iterator[Row]:
    chance = random.Random(f"{tenant_id}/product")  # noqa: S311 - names, not secrets
    for number in range(1, count + 1):
        sku = f"P{number:04d}"
        values = {
            "sku": sku,
            "name": f"{chance.choice(GOODS)} {number}",
            "unit": chance.choice(UNITS),
            "vat_category": VAT_CATEGORIES[0] if chance.random() < 0.7 else chance.choice(VAT_CATEGORIES),
        }
        yield uuid5(tenant_id, f"product/{sku}"), values
