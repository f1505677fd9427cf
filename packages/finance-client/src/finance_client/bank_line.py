"""A line of a bank, as it is shown on its own and beside the entry that it is."""

from datetime import date

from finance_client.value import Answer, Money


class BankLine(Answer, frozen=True, kw_only=True):
    """Money that a bank booked. It is a fact, and never changes."""

    id: str
    account_id: str
    booked_on: date
    amount: Money
    reference: str
    text: str
    is_matched: bool
    matched_line_ids: tuple[str, ...]
    payment_ids: tuple[str, ...]
    journal_ids: tuple[str, ...]
    version: int
