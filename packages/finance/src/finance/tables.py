"""Commands on a company's dated tables: exchange rates."""

from dataclasses import dataclass
from typing import Any

from finance import rate
from finance.clerk import Clerk, Sheet
from finance.ports import Caller


@dataclass(frozen=True, slots=True)
class Tables:
    """Each command waits for those who rely on what it changes."""

    clerk: Clerk

    async def set_rate(self, caller: Caller, key: str, currency: str, quote: rate.Quote) -> rate.Rate:
        command = rate.Enter(currency=currency, quote=quote)
        stream_id = rate.stream(caller.tenant_id, currency)

        async def work(sheet: Sheet) -> tuple[str, Any]:
            await sheet.find("rate", stream_id, exclusively=True)
            return "rate", sheet.decide("rate", stream_id, command)

        found: rate.Rate = await self.clerk.run(caller, key, ["set_rate", command], work)
        return found
