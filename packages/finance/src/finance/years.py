"""Commands that close a fiscal year and take its closing back: each is one transaction, all of it or nothing."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from finance import chart, fiscal, period, year
from finance.clerk import Clerk, Sheet
from finance.money import BASE
from finance.ports import Caller
from finance.refusal import YearOutOfOrder
from finance.year import Net

EARNING = frozenset({"REVENUE", "EXPENSE"})


@dataclass(frozen=True, slots=True)
class Years:
    """Each holds all twelve periods alone: it waits for those who post into them, and whoever comes later waits."""

    clerk: Clerk

    async def close(self, caller: Caller, key: str, name: str, *, to: str = year.CLOSED) -> year.Year:
        """Post the closing entries and close the twelve periods; or, LOCKED, lock them for good.

        Closing a closed year changes nothing: who was cut off asks again. A period that was closed before is opened
        for the closing entry and closed after it, in the same transaction.

        Raises:
            YearOutOfOrder: years before it still have earnings of their own; or it is closed and took entries since,
                as a release before this one reopened its periods one by one.
            PeriodLocked: its last period is, and the year is not closed.
        """
        year_id = year.stream(caller.tenant_id, name)

        async def work(sheet: Sheet) -> tuple[str, Any]:
            found = await sheet.find("year", year_id, exclusively=True)
            periods = await self._periods(sheet, name)
            if year.status_of(found) == year.OPEN:
                await self._close(sheet, name, year_id, periods)
            elif any(one.minor or one.base_minor for one in await self._nets(sheet, *span(name))):
                raise YearOutOfOrder(
                    f"{name} took entries after it was closed; reopen it, and close it again."
                )
            for one, stream_id in periods.items():
                steps = (period.CLOSED, period.LOCKED) if to == year.LOCKED else (period.CLOSED,)
                for step in steps:
                    if period.ORDER.index(status(sheet, stream_id)) < period.ORDER.index(step):
                        sheet.decide("period", stream_id, period.Close(period=one, to=step))
            if to == year.LOCKED:
                sheet.decide("year", year_id, year.Lock(fiscal_year=name))
            return "year", sheet.states[year_id]

        made: year.Year = await self.clerk.run(caller, key, ["close_year", name, to], work)
        return made

    async def _close(self, sheet: Sheet, name: str, year_id: str, periods: dict[str, str]) -> None:
        tenant, first = sheet.book.tenant_id, fiscal.first_day(name)
        before = await self._nets(sheet, None, first - timedelta(days=1))
        if any(one.minor or one.base_minor for one in before):
            raise YearOutOfOrder(f"Close what is before {first} first.")
        nets = await self._nets(sheet, *span(name))
        self._open_last(sheet, name, periods)
        entries = year.entries(
            nets,
            fiscal_year=name,
            year_id=year_id,
            earnings_id=chart.account_id(tenant, chart.RETAINED_EARNINGS),
            new_id=self.clerk.new_id,
        )
        for entry in entries:
            await self.clerk.enter(sheet, entry)
        ids = tuple(entry.journal_id for entry in entries)
        sheet.decide("year", year_id, year.Close(fiscal_year=name, journal_ids=ids))

    async def reopen(self, caller: Caller, key: str, name: str, *, reason: str) -> year.Year:
        """Reverse the closing entries on their day; the year's last period is open then, the others stay closed.

        Raises:
            YearNotClosed: there is nothing to take back.
            YearOutOfOrder: the next year is closed.
            PeriodLocked: the year is locked, or its last period is.
        """
        tenant = caller.tenant_id
        year_id = year.stream(tenant, name)
        next_name = fiscal.year(fiscal.last_day(name) + timedelta(days=1))

        async def work(sheet: Sheet) -> tuple[str, Any]:
            found = await sheet.find("year", year_id, exclusively=True)
            following = await sheet.find("year", year.stream(tenant, next_name))
            periods = await self._periods(sheet, name)
            closed = year.reversible(found, name)
            if year.status_of(following) != year.OPEN:
                raise YearOutOfOrder(f"{next_name} is closed; reopen it first.")
            for one in closed.journal_ids:
                await sheet.load("journal", one)
            self._open_last(sheet, name, periods)
            day = fiscal.last_day(name)
            mirrors = [
                await self.clerk.reverse(sheet, one, day, document_id=year_id) for one in closed.journal_ids
            ]
            ids = tuple(mirror.id for mirror in mirrors)
            command = year.Reopen(fiscal_year=name, reason=reason, reversing_journal_ids=ids)
            return "year", sheet.decide("year", year_id, command)

        made: year.Year = await self.clerk.run(caller, key, ["reopen_year", name, reason], work)
        return made

    async def _periods(self, sheet: Sheet, name: str) -> dict[str, str]:
        """The streams of the twelve periods by name; held alone until the end."""
        periods = {one: period.stream(sheet.book.tenant_id, one) for one in fiscal.periods(name)}
        for stream_id in periods.values():
            await sheet.find("period", stream_id, exclusively=True)
        return periods

    def _open_last(self, sheet: Sheet, name: str, periods: dict[str, str]) -> None:
        """Open the last period for what the year's end posts."""
        last, stream_id = list(periods.items())[-1]
        if status(sheet, stream_id) != period.OPEN:
            command = period.Reopen(period=last, reason=f"the year's end of {name}")
            sheet.decide("period", stream_id, command)

    async def _nets(self, sheet: Sheet, first: date | None, last: date) -> list[Net]:
        """What accounts of revenue and expense hold, each in its own currency and in that of the books."""
        sums = await sheet.book.nets(first, last)
        accounts = await sheet.book.load("account", sorted({account_id for account_id, _ in sums}))
        made: dict[str, Net] = {}
        for (account_id, currency), (minor, base_minor) in sorted(sums.items()):
            one = accounts[account_id]
            if one.account_type not in EARNING:
                continue
            was = made.get(account_id)
            own = minor if currency == one.currency != BASE else 0
            made[account_id] = Net(
                account_id=account_id,
                currency=one.currency,
                minor=own + (was.minor if was else 0),
                base_minor=base_minor + (was.base_minor if was else 0),
            )
        return list(made.values())


def span(name: str) -> tuple[date, date]:
    """The first and the last day of a fiscal year."""
    return fiscal.first_day(name), fiscal.last_day(name)


def status(sheet: Sheet, stream_id: str) -> str:
    found: period.Period | None = sheet.states.get(stream_id)
    return period.OPEN if found is None else found.status
