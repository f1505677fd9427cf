"""Opens the books of tenants: a row that says they are kept, and the standard chart as events."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import msgspec

from finance import account, authority, chart
from finance.adapters.postgres.store import TENANT_SETTING, PostgresBook
from finance.ports import Append, Book, Claimed
from kit.database import tenant_transaction

if TYPE_CHECKING:
    from kit.database import Pool

INSERT = """
INSERT INTO finance_log.tenants (tenant_id, name) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING true
"""


OPENER = "opening"


async def open_books(pool: "Pool", tenants: Mapping[str, str], *, alone: Collection[str] = ()) -> int:
    """Open the books of tenants (names by id) that have none, and give the others the standard accounts they lack.

    New books begin with four eyes, but for those of tenants that one person keeps `alone`. Books opened before stay
    as they are.

    Returns how many were opened. Safe to repeat. A code that a tenant gave to an account of its own stays with it;
    the standard account is then opened under the next free code below, for posting rules know it by its id.
    """
    opened = 0
    for tenant_id, name in tenants.items():
        async with tenant_transaction(pool, TENANT_SETTING, tenant_id) as connection:
            new = await connection.fetchval(INSERT, tenant_id, name) is True
            opened += new
            book = PostgresBook(connection, tenant_id)
            await add_accounts(book)
            if new and tenant_id not in alone:
                await add_authority(book)
    return opened


async def add_accounts(book: Book) -> None:
    """The standard accounts that are not there yet."""
    await book.hold(["opening"], exclusively=True)
    commands = chart.opening(book.tenant_id)
    there = await book.load("account", [command.account_id for command in commands])
    events = []
    for command in commands:
        if command.account_id in there:
            continue
        code = await free_code(book, command)
        events += [
            Append(kind="account", stream_id=command.account_id, version=1, event=event)
            for event in account.decide(None, msgspec.structs.replace(command, code=code))
        ]
    await book.append(events, actor=OPENER)


async def add_authority(book: Book) -> None:
    """The rule that is safe for a company nothing is known of."""
    safe = authority.RuleSet(rule=authority.SAFE, reason="what books are opened with")
    stream_id = authority.stream(book.tenant_id)
    event = Append(kind="authority", stream_id=stream_id, version=1, event=safe)
    await book.append([event], actor=OPENER)


async def free_code(book: Book, command: account.Create) -> str:
    """The account's own code, or the first of 4900-01 to 4900-99 that nobody has; it is taken.

    Raises:
        Claimed: all are taken.
    """
    for code in (command.code, *(f"{command.code}-{number:02d}" for number in range(1, 100))):
        try:
            await book.claim("account-code", code, command.account_id)
        except Claimed:
            continue
        return code
    raise Claimed(f"{command.code}-99", command.account_id)
