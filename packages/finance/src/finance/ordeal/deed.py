"""What may be asked of the model, verb by verb: every reason against it, and otherwise what becomes of the company."""

from collections.abc import Callable
from typing import Any, Final

from finance.ordeal import abroad, house, trade
from finance.ordeal.model import Company, Reasons, Who

DEEDS: Final[dict[str, Callable[..., Reasons]]] = {
    deed.__name__: deed
    for deed in (
        house.open_account,
        house.close_account,
        house.write,
        house.add_line,
        house.book,
        house.reverse,
        house.set_rate,
        house.close_period,
        house.open_period,
        house.lock_taxes,
        house.unlock_taxes,
        house.close_year,
        house.open_year,
        house.set_rule,
        house.adopt,
        house.set_tax,
        house.turn_tax,
        house.plan,
        house.adopt_plan,
        house.run,
        house.end_plan,
        abroad.revalue,
        abroad.undo_revaluation,
        trade.draft,
        trade.redraft,
        trade.approve,
        trade.cancel,
        trade.pay,
        trade.complete,
        trade.fail,
        trade.take_back,
        trade.allocate,
        trade.unallocate,
        trade.settle,
        trade.withdraw,
    )
}


def attempt(company: Company, who: Who, verb: str, given: dict[str, Any]) -> tuple[Reasons, Company]:
    """All reasons to refuse it; without any, the company as it is afterwards, otherwise as it was.

    What others have to agree to first leaves a yes and nothing else.
    """
    tried = company.copy()
    tried.touched = {}
    why = DEEDS[verb](tried, who, **given)
    if why:
        return why, company
    if tried.waits is None:
        return why, tried
    name, yes = tried.waits
    kept = company.copy()
    kept.yes[name], kept.touched = yes, {name: None}
    return why, kept
