"""PostgreSQL for a program that does not wait in coroutines: one connection, asked from any thread.

asyncpg runs in an event loop of its own thread. A connection that broke is opened anew at the next question; the one
that broke it is a fault, for nobody knows whether its transaction was committed.
"""

import asyncio
import contextlib
import threading
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, TypeVar

import asyncpg

from tranche.ports import Conflict, LogFault

CONNECT_S: Final = 5.0
ANSWER_S: Final = 5.0
"""How long a statement may take; a lock that is held longer is a fault, not a wait."""

FAILURES: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection that was cut in the middle of a statement
)

Result = TypeVar("Result")
Work = Callable[["asyncpg.Connection[Any]"], Awaitable[Result]]


class Database:
    """A database, of which `where` is shown and the address is not: it holds a password.

    Its connection is closed when nobody has it any more, and when the program ends.
    """

    def __init__(self, url: Callable[[], str], where: str) -> None:
        self._link = Link(url, where)
        self.close: Callable[[], None] = weakref.finalize(self, self._link.close)

    def transaction(self, work: Work[Result]) -> Result:
        """Run `work` in one transaction, to its commit.

        Raises:
            LogFault: the database could not be reached, or refused; also what `work` raises of ours.
        """
        return self._link.ask(self._link.transaction(work))


class Link:
    """The connection, and the loop it lives in."""

    def __init__(self, url: Callable[[], str], where: str) -> None:
        self._url, self._where = url, where
        self._connection: asyncpg.Connection[Any] | None = None
        self._turn = asyncio.Lock()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="postgres", daemon=True)
        self._thread.start()

    def ask(self, question: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(question, self._loop).result()

    def close(self) -> None:
        self.ask(self._drop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def transaction(self, work: Work[Result]) -> Result:
        async with self._turn:
            try:
                connection = await self._connected()
                async with connection.transaction():
                    return await work(connection)
            except asyncpg.UniqueViolationError as error:
                raise Conflict("somebody appended meanwhile; read again") from error
            except FAILURES as error:
                await self._drop()
                told = f"the event log in {self._where} cannot be used ({type(error).__name__}: {error})"
                raise LogFault(f"{told}; look at the database") from error

    async def _connected(self) -> "asyncpg.Connection[Any]":
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(
                self._url(), timeout=CONNECT_S, command_timeout=ANSWER_S, statement_cache_size=32
            )
        return self._connection

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(*FAILURES):
                await connection.close(timeout=1.0)
