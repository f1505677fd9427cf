"""Commands that close and reopen: fiscal periods, and the tax lock."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from finance import fiscal, period, policy, year
from finance.clerk import Clerk, Sheet
from finance.ports import Caller


@dataclass(frozen=True, slots=True)
class Closing:
    """Each command waits for those who post into what it closes; whoever comes later is refused."""

    clerk: Clerk

    async def close_period(self, caller: Caller, key: str, name: str, *, to: str) -> period.Period:
        return await self._move(caller, key, period.Close(period=name, to=to))

    async def reopen_period(self, caller: Caller, key: str, name: str, *, reason: str) -> period.Period:
        return await self._move(caller, key, period.Reopen(period=name, reason=reason))

    async def _move(self, caller: Caller, key: str, command: period.Command) -> period.Period:
        stream_id = period.stream(caller.tenant_id, command.period)
        year_id = year.stream(caller.tenant_id, fiscal.year(fiscal.days_of(command.period)[0]))

        async def work(sheet: Sheet) -> tuple[str, Any]:
            its_year = await sheet.find("year", year_id)
            await sheet.find("period", stream_id, exclusively=True)
            moved = sheet.decide("period", stream_id, command)
            year.admit(its_year, command)
            return "period", moved

        found: period.Period = await self.clerk.run(caller, key, [str(type(command)), command], work)
        return found

    async def lock_taxes(self, caller: Caller, key: str, *, through: date) -> policy.Policy:
        return await self.decide(caller, key, policy.LockTaxes(through=through))

    async def unlock_taxes(
        self, caller: Caller, key: str, *, through: date | None, reason: str
    ) -> policy.Policy:
        return await self.decide(caller, key, policy.UnlockTaxes(through=through, reason=reason))

    async def decide(self, caller: Caller, key: str, command: policy.Command) -> policy.Policy:
        """Let the company's policy decide."""
        stream_id = policy.stream(caller.tenant_id)

        async def work(sheet: Sheet) -> tuple[str, Any]:
            await sheet.find("policy", stream_id, exclusively=True)
            return "policy", sheet.decide("policy", stream_id, command)

        found: policy.Policy = await self.clerk.run(caller, key, [str(type(command)), command], work)
        return found
