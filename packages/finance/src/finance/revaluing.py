"""Commands that show other currencies at the rate of a day, and take that back to do it again."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from finance import journal, revaluation
from finance.approving import undoing, whole, worked_out
from finance.clerk import Clerk, Sheet
from finance.journal import Journal
from finance.ports import Caller
from finance.refusal import CurrenciesNotRevalued, CurrenciesRevaluedAlready, DateMalformed, NothingToRevalue
from finance.revaluation import ONE_DAY, Item
from finance.text import sized


@dataclass(frozen=True, slots=True)
class Revaluing:
    """An entry and its reversal on the next day stand or fall together. Both days must be open.

    Who does it holds the day's first entry that is not there yet: whoever is slower waits, and finds it posted.
    """

    clerk: Clerk

    async def revalue(self, caller: Caller, key: str, day: date) -> Journal:
        """Post what money, receivables and payables in other currencies are worth more or less at the rate of a day.

        Where it takes several people, they ask for the same, and the answer is a draft that is kept nowhere.

        Raises:
            CurrenciesRevaluedAlready: it stands.
            NothingToRevalue: nothing would be posted.
            RateMissing: of a currency that is held.
            DateMalformed: a day to come.
        """

        async def work(sheet: Sheet) -> tuple[str, Any]:
            if day > sheet.today:
                raise DateMalformed(f"Expected a day up to {sheet.today}, found {day}.")
            number, standing = await self._last(sheet, day)
            if standing is not None:
                raise CurrenciesRevaluedAlready(f"{standing[0].number} did on {day}.")
            following = day + ONE_DAY
            for one in (day, following):
                await sheet.admit(one, taxed=False)
            items = await self._items(sheet, day)
            journal_id = revaluation.entry_id(caller.tenant_id, day, number)
            made = revaluation.entry(caller.tenant_id, day, items, journal_id=journal_id)
            if not made.lines:
                raise NothingToRevalue(f"Found {len(items)} such amounts on {day}, each worth what it was.")
            draft = journal.evolve(None, journal.decide(None, made)[0])
            act = f"revalue {day}: {'; '.join(one.told for one in items if one.difference_minor)}"
            about = whole("journal", draft, day, worth_minor=draft.worth_minor, act=act)
            await worked_out(self.clerk, sheet, about, draft)
            await self.clerk.enter(sheet, made)
            await self.clerk.reverse(sheet, journal_id, following, document_id=made.document_id)
            return "journal", sheet.states[journal_id]

        found: Journal = await self.clerk.run(caller, key, ["revalue_currencies", day], work)
        return found

    async def undo(self, caller: Caller, key: str, day: date, *, reason: str) -> Journal:
        """Reverse the reversal and then the entry, each on its own day; the day can be revalued anew.

        Answers with the entry that takes the first one back; with the reversal, as it was, until enough people agree.

        Raises:
            CurrenciesNotRevalued: nothing stands.
        """

        async def work(sheet: Sheet) -> tuple[str, Any]:
            _, standing = await self._last(sheet, day)
            if standing is None:
                raise CurrenciesNotRevalued(f"Nothing stands on {day}.")
            made, back = standing
            told = sized(reason, "reason", 10, 500)
            for one in (day, back.journal_date):
                await sheet.admit(one, taxed=False)
            act = f"undo the revaluation of {day}"
            await undoing(
                self.clerk, sheet, whole("journal", back, day, worth_minor=back.worth_minor, act=act)
            )
            owner = back.document_id
            await self.clerk.reverse(sheet, back.id, back.journal_date, document_id=owner, reason=told)
            mirror = journal.mirror(made, journal_id=self.clerk.new_id(), on=day)
            return "journal", await self.clerk.enter(sheet, mirror)

        found: Journal = await self.clerk.run(caller, key, ["undo_revaluation", day, reason], work)
        return found

    async def _last(self, sheet: Sheet, day: date) -> tuple[int, tuple[Journal, Journal] | None]:
        """The day's entry that stands, with its reversal; and its number, or that of the next one where none stands."""
        number = 1
        while True:
            one = revaluation.entry_id(sheet.book.tenant_id, day, number)
            made: Journal | None = await sheet.find("journal", one, exclusively=True)
            if made is None:
                return number, None
            back: Journal = await sheet.load("journal", str(made.reversed_by_id))
            if back.status == "POSTED":
                return number, (made, back)
            number += 1

    async def _items(self, sheet: Sheet, day: date) -> list[Item]:
        """What is held in other currencies at the end of a day, at the rate of that day."""
        sums = await sheet.book.nets(None, day)
        accounts = await sheet.book.load("account", sorted({account_id for account_id, _ in sums}))
        items = []
        for one in revaluation.monetary(sheet.book.tenant_id, sums, accounts):
            if revaluation.shown(one, {}):
                rate = await sheet.rate(one.currency, day)
                assert rate is not None, "the books' own currency is left out"  # noqa: S101 - a bug, not a refusal
                items.append(Item(holding=one, rate=rate))
        return items
