"""Opens the books of tenants: a row that says they are kept, and the standard chart as events."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from finance import account, chart
from finance.adapters.postgres.store import TENANT_SETTING, PostgresBook
from finance.ports import Append, Claimed
from kit.database import tenant_transaction

if TYPE_CHECKING:
    from kit.database import Pool

INSERT = """
INSERT INTO finance_log.tenants (tenant_id, name) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING true
"""


async def open_books(pool: "Pool", tenants: Mapping[str, str]) -> int:
    """Open the books of tenants (names by id) that have none, and give the others the standard accounts they lack.

    Returns how many were opened. Safe to repeat. A code that a tenant gave to an account of its own stays with it.
    """
    opened = 0
    for tenant_id, name in tenants.items():
        async with tenant_transaction(pool, TENANT_SETTING, tenant_id) as connection:
            opened += await connection.fetchval(INSERT, tenant_id, name) is True
            await add_accounts(PostgresBook(connection, tenant_id))
    return opened


async def add_accounts(book: PostgresBook) -> None:
    """The standard accounts whose codes nobody has."""
    events = []
    for command in chart.opening(book.tenant_id):
        try:
            await book.claim("account-code", command.code, command.account_id)
        except Claimed:
            continue
        events += [
            Append(kind="account", stream_id=command.account_id, version=1, event=event)
            for event in account.decide(None, command)
        ]
    await book.append(events, actor="opening")
