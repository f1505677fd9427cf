"""`tranche rollback`, whoever has read its words."""

from pathlib import Path

from tranche import answer, site, wiring
from tranche.ports import LogFault


def roll_back(site_file: Path, *, reason: str, force: bool, as_json: bool) -> None:
    """Take all users back, say so, and have people told where no controller does; without the log where it is away.

    Raises:
        Refused, Fault: as `Desk.roll_back` and `wiring.take_back`, and for who may not, or a site that cannot be read.
    """
    read = site.load(site_file)
    asker = wiring.admitted(read, "rollback")
    try:
        here = wiring.installation(read).asked_by(asker)
    except LogFault as fault:
        taken = wiring.take_back(read, asker, reason=reason, force=force, because=fault)
        answer.report(taken, as_json=as_json)
        return
    news = wiring.telling(here)
    answer.report(wiring.roll_back(here, reason=reason, force=force, tell=news.start), as_json=as_json)
    if news.ident is not None:
        news.join()
