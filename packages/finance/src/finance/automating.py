"""Commands on templates: journal entries that come again and again."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from finance import fiscal, posting, template
from finance.approving import agreed
from finance.clerk import Clerk, Sheet, uncontrolled
from finance.ports import Caller
from finance.refusal import DateMalformed


@dataclass(frozen=True, slots=True)
class Automating:
    """A due day, its entry and its reversal stand or fall together, so that nobody posts a due day twice."""

    clerk: Clerk

    async def create(self, caller: Caller, key: str, terms: template.Terms) -> template.Template:
        async def work(sheet: Sheet) -> tuple[str, Any]:
            template_id = self.clerk.new_id()
            command = template.Create(template_id=template_id, terms=terms)
            made = sheet.decide("template", template_id, command)
            uncontrolled(caller.tenant_id, (line.account_id for line in made.terms.lines))
            return "template", made

        found: template.Template = await self.clerk.run(caller, key, ["create_template", terms], work)
        return found

    async def approve(self, caller: Caller, key: str, template_id: str) -> template.Template:
        """Let it be run, as soon as enough people say so."""

        async def work(sheet: Sheet) -> tuple[str, Any]:
            draft: template.Template = await sheet.load("template", template_id)
            await agreed(self.clerk, sheet, "template", template_id, draft.terms.schedule.starts_on)
            command = template.Approve(approved_by=caller.user_id)
            return "template", sheet.decide("template", template_id, command)

        request = ["approve_template", template_id]
        found: template.Template = await self.clerk.run(caller, key, request, work)
        return found

    async def end(self, caller: Caller, key: str, template_id: str, *, reason: str) -> template.Template:
        async def work(sheet: Sheet) -> tuple[str, Any]:
            await sheet.load("template", template_id)
            return "template", sheet.decide("template", template_id, template.End(reason=reason))

        request = ["end_template", template_id, reason]
        found: template.Template = await self.clerk.run(caller, key, request, work)
        return found

    async def run(self, caller: Caller, key: str, template_id: str, through: date) -> template.Template:
        """Post every day that is due up to `through`, in order; all of them, or none and the refusal of the first.

        Two that do it at once append to the same stream: the slower one loads again and finds nothing due.

        Raises:
            DateMalformed: a day to come, which only a dry run may ask for.
        """
        today = fiscal.today(self.clerk.clock.now())
        if through > today and not caller.rehearsing:
            raise DateMalformed(f"Expected a day up to {today}, found {through}; ask with a dry run.")

        async def work(sheet: Sheet) -> tuple[str, Any]:
            found: template.Template = await sheet.load("template", template_id)
            days = list(found.due_days(through))
            await self._admit(sheet, found, days)
            for day in days:
                await self._post(sheet, template_id, day)
            if not days:
                template.active(found)
            return "template", sheet.states[template_id]

        request = ["run_template", template_id, through]
        done: template.Template = await self.clerk.run(caller, key, request, work)
        return done

    async def _admit(self, sheet: Sheet, found: template.Template, days: list[date]) -> None:
        """Ask all periods, tax locks and rates before the first number is drawn."""
        probe = found
        for day in days:
            made, taken = template.entry(probe, day)
            taxed = made is not None and posting.touches_tax(sheet.book.tenant_id, made.lines)
            await sheet.admit(day, taxed=taxed)
            await sheet.rate(found.currency, day)
            back = template.taken_back_on(found, day)
            if back is not None:
                await sheet.admit(back, taxed=taxed)
            probe = template.evolve(probe, template.Ran(due_on=day, depreciated_minor=taken))

    async def _post(self, sheet: Sheet, template_id: str, day: date) -> None:
        found: template.Template = sheet.states[template_id]
        made, taken = template.entry(found, day)
        reversal_id = None
        if made is not None:
            await self.clerk.enter(sheet, made)
            back = template.taken_back_on(found, day)
            if back is not None:
                reversal = await self.clerk.reverse(sheet, made.journal_id, back, document_id=None)
                reversal_id = reversal.id
        command = template.Run(
            due_on=day,
            journal_id=None if made is None else made.journal_id,
            reversal_id=reversal_id,
            depreciated_minor=taken,
        )
        sheet.decide("template", template_id, command, effective=day)
