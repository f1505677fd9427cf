"""`tranche rollback`, whoever has read its words."""

from pathlib import Path

from tranche import answer, site, wiring


def roll_back(site_file: Path, *, reason: str, force: bool, as_json: bool) -> None:
    """Take all users back, say so, and have people told where no controller does.

    Raises:
        Refused, Fault: as `Desk.roll_back`, and for who may not, or a site that cannot be read.
    """
    here = wiring.asked(site.load(site_file), "rollback")
    news = wiring.telling(here)
    progress = wiring.roll_back(here, reason=reason, force=force, actor=here.actor, tell=news.start)
    answer.report(progress, as_json=as_json)
    if news.ident is not None:
        news.join()
