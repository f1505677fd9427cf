"""Commands on a company's tax codes and on who it is to the tax authority; and what the codes of a document are."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import msgspec

from finance import pack, policy, tax, taxing
from finance.clerk import Clerk, Sheet
from finance.invoice import Line
from finance.ports import Caller
from finance.refusal import TaxCodeUnknown, TaxPackUnknown
from finance.taxation import Levy


async def levies(sheet: Sheet, codes: Iterable[str], day: date) -> dict[str, Levy]:
    """The codes as they are on a day, and stay so until the end. Asked before the first number is drawn.

    Raises:
        Refused: one is unknown, inactive, or not valid on the day.
    """
    found: dict[str, Levy] = {}
    streams = {code: tax.stream(sheet.book.tenant_id, code) for code in sorted(set(codes))}
    await sheet.foresee({"tax": streams.values()})
    for code, stream_id in streams.items():
        one: tax.Tax | None = await sheet.find("tax", stream_id)
        if one is None:
            raise TaxCodeUnknown(f"Found '{code[:40]}'.")
        found[code] = one.on(day)
    return found


def codes_of(lines: Sequence[Line]) -> set[str]:
    return {code for line in lines for code in line.tax_codes}


async def taxed(sheet: Sheet, terms: Any, *, day: date, side: str, currency: str) -> Any:
    """The terms of an invoice or voucher, with the taxes of its day worked out.

    Raises:
        Refused: a code of it may not be used.
    """
    lines = taxing.levied(
        terms.lines,
        await levies(sheet, codes_of(terms.lines), day),
        side=side,
        currency=currency,
        prices=terms.prices,
        rounding=terms.rounding,
    )
    return msgspec.structs.replace(terms, lines=lines)


async def confirmed(sheet: Sheet, lines: Sequence[Line], day: date) -> None:
    """That a draft's codes may still be used on its day, and say what they said.

    Raises:
        Refused: one may not, or does not.
    """
    taxing.unchanged(lines, await levies(sheet, codes_of(lines), day))


@dataclass(frozen=True, slots=True)
class Taxes:
    """Each command waits for those who rely on what it changes."""

    clerk: Clerk

    async def define(self, caller: Caller, key: str, command: tax.Define) -> tax.Tax:
        return await self._decide(caller, key, command.code, command)

    async def change(
        self, caller: Caller, key: str, code: str, command: tax.SetRate | tax.Deactivate | tax.Reactivate
    ) -> tax.Tax:
        return await self._decide(caller, key, code, command)

    async def _decide(self, caller: Caller, key: str, code: str, command: tax.Command) -> tax.Tax:
        stream_id = tax.stream(caller.tenant_id, code)

        async def work(sheet: Sheet) -> tuple[str, Any]:
            found = await sheet.find("tax", stream_id, exclusively=True)
            if found is None and not isinstance(command, tax.Define):
                raise TaxCodeUnknown(f"Found '{code[:40]}'.")
            return "tax", sheet.decide("tax", stream_id, command)

        made: tax.Tax = await self.clerk.run(caller, key, [str(type(command)), code, command], work)
        return made

    async def adopt(self, caller: Caller, key: str, name: str) -> policy.Policy:
        """Take over a tax pack: its codes that the company does not have yet, and what it asks of numbers.

        Codes that are there stay as they are. Adopting a pack again adds what a newer release has more.

        Raises:
            TaxPackUnknown: there is none of this name.
        """
        found = pack.load(name)
        if found is None:
            raise TaxPackUnknown(f"Expected one of {', '.join(pack.PACKS)}, found '{name[:40]}'.")
        stream_id = policy.stream(caller.tenant_id)

        async def work(sheet: Sheet) -> tuple[str, Any]:
            await sheet.find("policy", stream_id, exclusively=True)
            for one in sorted(found.codes, key=lambda code: code.code):
                code_id = tax.stream(caller.tenant_id, one.code)
                if await sheet.find("tax", code_id, exclusively=True) is None:
                    sheet.decide("tax", code_id, one.command())
            adopted = policy.TaxPackAdopted(
                pack=found.name,
                tax_invoice_form=found.tax_invoice.form,
                tax_invoice_series=found.tax_invoice.series,
                tin_digits=found.tin_digits,
                bin_digits=found.bin_digits,
            )
            return "policy", sheet.decide("policy", stream_id, policy.AdoptTaxPack(adopted=adopted))

        made: policy.Policy = await self.clerk.run(caller, key, ["adopt_tax_pack", name], work)
        return made
