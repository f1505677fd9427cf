"""Opens the books of tenants: a row that says they are kept, and the standard chart as events. Once each."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from finance import account, chart
from finance.adapters.postgres.store import TENANT_SETTING, PostgresBook
from finance.ports import Append
from kit.database import tenant_transaction

if TYPE_CHECKING:
    from kit.database import Pool

INSERT = """
INSERT INTO finance_log.tenants (tenant_id, name) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING true
"""


async def open_books(pool: "Pool", tenants: Mapping[str, str]) -> int:
    """Open the books of tenants (names by id) that have none; returns how many. Safe to repeat."""
    opened = 0
    for tenant_id, name in tenants.items():
        async with tenant_transaction(pool, TENANT_SETTING, tenant_id) as connection:
            if await connection.fetchval(INSERT, tenant_id, name) is None:
                continue
            book = PostgresBook(connection, tenant_id)
            commands = chart.opening(tenant_id)
            for command in commands:
                await book.claim("account-code", command.code, command.account_id)
            events = [
                Append(kind="account", stream_id=command.account_id, version=1, event=event)
                for command in commands
                for event in account.decide(None, command)
            ]
            await book.append(events, actor="opening")
            opened += 1
    return opened
