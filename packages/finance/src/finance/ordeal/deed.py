"""What may be asked of the model, verb by verb: every reason against it, and otherwise what becomes of the company."""

from collections.abc import Callable
from typing import Any, Final

from finance.ordeal import abroad, house, trade, treasury
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
        treasury.bring,
        treasury.match,
        treasury.unmatch,
        treasury.reconcile,
        treasury.amend,
        treasury.attach,
    )
}


def foreseen(company: Company, who: Who, verb: str, given: dict[str, Any]) -> tuple[Reasons, Company]:
    """All reasons to refuse it; without any, the company as it is once all agree, otherwise as it was."""
    tried = company.copy()
    tried.touched = {}
    why = DEEDS[verb](tried, who, **given)
    return why, company if why else tried


def attempt(company: Company, who: Who, verb: str, given: dict[str, Any]) -> tuple[Reasons, Company]:
    """As `foreseen`; but what others have to agree to first leaves a yes and nothing else."""
    why, tried = foreseen(company, who, verb, given)
    return why, tried.waits or tried
