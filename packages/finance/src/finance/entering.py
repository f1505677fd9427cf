"""Makes an entry that a person wrote binding, and with it the match that it was drafted for."""

from collections.abc import Collection

from finance import bankline, journal, pairing
from finance.approving import agreed
from finance.clerk import Clerk, Sheet
from finance.taxes import levies


async def posted(clerk: Clerk, sheet: Sheet, journal_id: str, *, makers: Collection[str] = ()) -> None:
    """Post what a person wrote, once nobody else has to agree; nobody is asked to agree to what cannot be posted.

    Tax codes on its lines must be valid on its day, as those of documents. What was drafted for lines of a bank is
    matched with them. `makers` as in `agreed`.
    """
    entry: journal.Journal = sheet.states[journal_id]
    pair = None
    if entry.status == "DRAFT":
        journal.balanced(entry)
        pair = await drafted_for(clerk, sheet, entry)
    await agreed(clerk, sheet, "journal", journal_id, entry.journal_date, makers=makers)
    if entry.status == "DRAFT":
        codes = (line.tax_code for line in entry.lines if line.tax_code is not None)
        await levies(sheet, codes, entry.journal_date)
    await clerk.post(sheet, journal_id)
    if pair is not None:
        await pairing.tell(clerk, sheet, pair)


async def drafted_for(clerk: Clerk, sheet: Sheet, entry: journal.Journal) -> pairing.Pair | None:
    """The match that posting a draft will make; None where it was not drafted for lines of a bank.

    Raises:
        Refused: it no longer ties with them, or they are matched with something else meanwhile.
    """
    if not entry.bank_line_ids:
        return None
    match = bankline.Matched(
        match_id=clerk.new_id(), line_ids=entry.bank_line_ids, payment_ids=(), journal_ids=(entry.id,)
    )
    return await pairing.weigh(sheet, match, draft=True)
