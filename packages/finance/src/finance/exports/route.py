"""`GET /exports/<report>.<format>`: the same token, the same tenant and the same rules as GraphQL has."""

import asyncio
from typing import IO, Final

from prometheus_client import Counter
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from finance.exports.catalogue import MEDIA_TYPES, find, read
from finance.exports.making import Made, make
from finance.graphql.context import Context
from finance.graphql.permission import demand_export
from finance.ports import Fault
from kit.telemetry import log

CHUNK_BYTES: Final = 65_536
AT_ONCE: Final = 2
"""Files that one process makes at a time; others wait, so that users who read and write are not held up."""
PATIENCE_S: Final = 20.0
MADE = Counter("finance_exports_total", "Files made, by what of and as what.", ["export", "format"])


class ExportsBusy(Fault):
    """As many files are being made as may be at a time; try again."""

    code = "exports-busy"


class Attachment(Response):
    """A file that is sent and then closed, however the sending ends."""

    def __init__(self, made: Made, media_type: str) -> None:
        super().__init__(media_type=None)
        self._file: IO[bytes] = made.file
        size = self._file.seek(0, 2)
        self._file.seek(0)
        self.headers.update(
            {
                "content-type": media_type,
                "content-length": str(size),
                "content-disposition": f'attachment; filename="{made.name}"',
                "cache-control": "no-store",
                "x-content-type-options": "nosniff",
            }
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's
        with self._file:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            while chunk := await asyncio.to_thread(self._file.read, CHUNK_BYTES):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})


class Desk:
    """Makes files for whoever may have them, a few at a time."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def serve(
        self, name: str, file_format: str, asked: list[tuple[str, str]], context: Context
    ) -> Attachment:
        """The answer to a request for a file.

        Raises:
            ExportUnknown: there is no such export.
            PermissionMissing: the caller may not have it.
            Refused: the rules say no.
            Fault: the world did not do it, or too many files are being made.
        """
        export = find(name, file_format)
        demand_export(context.caller, export.field)
        given = read(export, asked)
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._turns.acquire()
        except TimeoutError:
            raise ExportsBusy(f"{AT_ONCE} files are being made") from None
        try:
            made = await make(export, file_format, given, context)
        finally:
            self._turns.release()
        MADE.labels(name, file_format).inc()
        log().info("exported", export=name, format=file_format, by=context.caller.user_id)
        return Attachment(made, MEDIA_TYPES[file_format])
