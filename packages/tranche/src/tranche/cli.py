"""The command line: every command and its words. `entry.py` is the program, and reads the urgent one itself."""

import json
import math
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from tranche import answer, cli_evidence, cli_site, language, settings
from tranche import plan as plans
from tranche.answer import show_json
from tranche.asking import (
    OneLine,
    json_option,
    path_of,
    reason_option,
    rollout_option,
    site_option,
    why_option,
)
from tranche.asking import here_of as _here
from tranche.cli_simulate import simulate
from tranche.ports import Recorded
from tranche.progress import Progress, State
from tranche.shape import FileRefused
from tranche.story import line, told

if TYPE_CHECKING:
    from tranche.lint import Finding


def run(arguments: list[str]) -> int:
    """One command; its exit code. Errors are one line on standard error."""
    try:
        return answer.code_of(lambda: cli.main(args=arguments, prog_name="tranche", standalone_mode=False))
    except click.ClickException as error:
        return answer.say(f"usage: {error.format_message()}", answer.USAGE)
    except click.Abort:
        return answer.say(answer.INTERRUPTED, answer.REFUSED)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="tranche", prog_name="tranche")
def cli() -> None:
    """Take a service to production in tranches, and take it back when the new version is worse.

    Exit codes: 0 done, 1 refused, 2 usage (a plan or site that cannot work counts as usage), 3 fault.
    """


@cli.group()
def plan() -> None:
    """Check plans, and print their language."""


@plan.command("check")
@click.argument("file", type=click.Path(path_type=Path))
@site_option
@json_option
def plan_check(file: Path, site_file: Path | None, as_json: bool) -> int:
    """Refuse, with file and line, a plan that cannot work; warn of what is likely not meant.

    With a site also what the plan needs and the site lacks. Exits 0 with warnings, 2 when anything is refused.
    """
    from tranche.lint import Severity, checked, text_of_check

    try:
        read, _ = language.load(file)
    except FileRefused as refusal:
        if not as_json:
            raise
        show_json(checked(str(file), None, [], refusal))
        return answer.USAGE
    found = _findings(read, site_file)
    if as_json:
        show_json(checked(str(file), read, found))
    else:
        click.echo(text_of_check(str(file), read, found))
    return answer.USAGE if any(each.severity is Severity.REFUSED for each in found) else 0


def _findings(read: plans.Plan, site_file: Path | None) -> "list[Finding]":
    """What is wrong with the plan, and, where a site is named, with the two together."""
    from tranche.lint import lint

    found = lint(read, now=datetime.now(UTC))
    path = site_file or settings.from_environment().site
    if path is None:
        return found
    from tranche import site, wiring

    return found + wiring.findings(read, site.load(path))


@plan.command("schema")
def plan_schema() -> None:
    """Print the plan language as JSON Schema, for editors."""
    show_json(language.json_schema())


@cli.command()
@click.argument("plan_file", type=click.Path(path_type=Path))
@click.option("--version", "version", required=True, help="The version that is to replace blue's.")
@click.option("--hotfix", type=OneLine(), help="Why it may go forward in times that the plan freezes.")
@site_option
@json_option
def start(plan_file: Path, version: str, hotfix: str | None, site_file: Path | None, as_json: bool) -> int:
    """Record a new rollout and run its controller until it ends.

    Exits 0 when the rollout is complete, 1 when it was rolled back.
    """
    from tranche.lint import refuse

    read, text = language.load(plan_file)
    refuse(_findings(read, site_file), str(plan_file))
    here = _here(site_file, "start", *(("hotfix",) if hotfix is not None else ()))
    if here.signer is not None:
        here.signer.sign(b"")  # a key that cannot be used is mended before there is a rollout, not after
    _take_control(here)
    try:
        progress = here.desk.start(
            read, text=text, file=str(plan_file), version=version, actor=here.actor, hotfix=hotfix
        )
        return _control(here, progress, as_json)
    finally:
        here.control.release()


@cli.command()
@click.option("--standby", is_flag=True, help="Wait for as long as another controller works on it.")
@site_option
@json_option
def control(standby: bool, site_file: Path | None, as_json: bool) -> int:
    """Take over a recorded rollout, as after a crash, and run its controller until it ends."""
    from tranche.desk import NothingToControl

    here = _here(site_file)
    _take_control(here, wait_s=math.inf if standby else 0.2)
    try:
        progress = here.desk.caught_up()
        if progress.is_over and standby:
            return _ended(progress)
        if progress.is_over:
            raise NothingToControl(f"'{progress.rollout}' is {progress.state.value}; start the next one")
        return _control(here, progress, as_json)
    finally:
        here.control.release()


def _take_control(here: Any, wait_s: float = 0.2) -> None:
    from tranche.desk import ControllerRunning

    if not here.control.acquire(wait_s=wait_s):
        raise ControllerRunning


def _control(here: Any, progress: Progress, as_json: bool) -> int:
    from tranche import wiring
    from tranche.page import event_json

    def tell(recorded: Recorded) -> None:
        if as_json:
            click.echo(json.dumps(event_json(recorded)))
        elif told([recorded]):
            click.echo(line(recorded))

    def stop(number: int, frame: object) -> None:  # noqa: ARG001 - the signature of signal handlers
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    while True:
        progress, has_lost_lease = wiring.run(here, progress, tell)
        if has_lost_lease:
            click.echo("tranche: the lease is lost; standing by", err=True)
            _take_control(here, wait_s=math.inf)
            progress = here.desk.progress(progress.rollout)
        if progress.is_over or not has_lost_lease:
            return _ended(progress)


def _ended(progress: Progress) -> int:
    return 0 if progress.state is State.COMPLETED else answer.REFUSED


@cli.command()
@site_option
@rollout_option
@json_option
def status(site_file: Path | None, rollout: str | None, as_json: bool) -> None:
    """Where the rollout stands."""
    document = _here(site_file).desk.status(rollout)
    if as_json:
        show_json(document)
        return
    from tranche.page import text_of_status

    click.echo(text_of_status(document))


@cli.command()
@site_option
@rollout_option
@json_option
def watch(site_file: Path | None, rollout: str | None, as_json: bool) -> None:
    """The live view; ends when the rollout does. Without a terminal, one line a change."""
    import time

    from rich.console import Console

    from tranche.watch import WIDTH
    from tranche.watch import watch as show

    desk = _here(site_file).desk
    name = desk.name(rollout)
    console = (
        Console(width=max(WIDTH, 100)) if sys.stdout.isatty() and not as_json else Console(file=sys.stderr)
    )
    last = show(lambda: (desk.status(name), desk.events(name)), time.sleep, console=console)
    if as_json:
        show_json(last)


@cli.command()
@site_option
@reason_option
@json_option
def pause(site_file: Path | None, reason: str, as_json: bool) -> None:
    """Stop the way forward; limits go on watching."""
    here = _here(site_file)
    answer.report(here.desk.pause(reason=reason, actor=here.actor), as_json=as_json)


@cli.command()
@site_option
@reason_option
@json_option
def resume(site_file: Path | None, reason: str, as_json: bool) -> None:
    """Open the way forward again."""
    here = _here(site_file)
    answer.report(here.desk.resume(reason=reason, actor=here.actor), as_json=as_json)


@cli.command()
@site_option
@reason_option
@json_option
def advance(site_file: Path | None, reason: str, as_json: bool) -> None:
    """End the dwell of this phase early. Gates, requirements and missing data are not overridden."""
    here = _here(site_file)
    answer.report(here.desk.advance(reason=reason, actor=here.actor), as_json=as_json)


@cli.command()
@site_option
@why_option
@json_option
def hotfix(site_file: Path | None, reason: str, as_json: bool) -> None:
    """Let this rollout go forward in times that its plan freezes. Everything else stands."""
    here = _here(site_file)
    answer.report(here.desk.hotfix(reason=reason, actor=here.actor), as_json=as_json)


@cli.command()
@click.option(
    "--version", "version", required=True, help="The build that takes the place of the present one."
)
@site_option
@reason_option
@json_option
def retarget(version: str, site_file: Path | None, reason: str, as_json: bool) -> None:
    """Roll out another build from here: through staging, then this phase anew. Users are on blue meanwhile."""
    here = _here(site_file)
    answer.report(here.desk.retarget(version=version, reason=reason, actor=here.actor), as_json=as_json)


@cli.command()
@site_option
@why_option
@json_option
def retire(site_file: Path | None, reason: str, as_json: bool) -> None:
    """Stop blue for good, once the rollout is complete. There is no going back then."""
    from tranche import wiring

    here = _here(site_file)
    news = wiring.telling(here)
    answer.report(wiring.retire(here, reason=reason, tell=news.start), as_json=as_json)
    news.join()


@cli.command()
@click.argument("gate", required=False)
@click.option("--evidence", help="The digest of what you have seen; without it, it is shown.")
@site_option
@reason_option
@json_option
def approve(
    gate: str | None, evidence: str | None, site_file: Path | None, reason: str, as_json: bool
) -> None:
    """Show what waits for an approval; with --evidence, say yes to it. Not by the one who started it."""
    from tranche.page import text_of_cases

    here = _here(site_file, "status" if evidence is None else "approve")
    desk = here.desk
    if evidence is None:
        cases = desk.case(gate)
        if as_json:
            show_json(cases)
        else:
            click.echo(text_of_cases(desk.name(), cases))
        return
    answer.report(
        desk.approve(gate=gate, evidence=evidence, reason=reason, actor=here.actor), as_json=as_json
    )


@cli.command()
@click.argument("gate", required=False)
@site_option
@why_option
@json_option
def revoke(gate: str | None, site_file: Path | None, reason: str, as_json: bool) -> None:
    """Take every approval of a gate back, whoever gave it; the phase waits for a new one."""
    here = _here(site_file)
    answer.report(here.desk.revoke(gate=gate, reason=reason, actor=here.actor), as_json=as_json)


@cli.command()
@site_option
@why_option
@click.option("--force", is_flag=True, help="Even past the plan's point of no return.")
@json_option
def rollback(site_file: Path | None, reason: str, force: bool, as_json: bool) -> None:
    """Take all users back to blue, now. Works with the controller dead, and where the event log cannot be used."""
    from tranche.rollback import roll_back

    roll_back(path_of(site_file), reason=reason, force=force, as_json=as_json)


@cli.command()
@site_option
@rollout_option
@click.option("--all", "everything", is_flag=True, help="Also the events that say nothing new to people.")
@json_option
def history(site_file: Path | None, rollout: str | None, everything: bool, as_json: bool) -> None:
    """Every event, as it was recorded."""
    from tranche.page import event_json

    events = _here(site_file).desk.events(rollout)
    if as_json:
        show_json([event_json(recorded) for recorded in events])
        return
    for recorded in events if everything else told(events):
        click.echo(line(recorded))


@cli.command()
@site_option
@rollout_option
@json_option
def why(site_file: Path | None, rollout: str | None, as_json: bool) -> None:
    """The present verdict and the last decisions, with their numbers."""
    from tranche.page import explanation, text_of_explanation

    desk = _here(site_file).desk
    document = explanation(desk.status(rollout), desk.observed(), desk.events(rollout))
    if as_json:
        show_json(document)
    else:
        click.echo(text_of_explanation(document))


@cli.command()
@click.option("--user", help="As the token's claim has it; of a visitor, their cookie.")
@click.option("--internal", is_flag=True, help="The user's token says they are internal.")
@click.option("--users-file", type=click.File(encoding="utf-8"), help="Many users, one a line; - reads them.")
@site_option
@rollout_option
@json_option
def who(
    user: str | None,
    internal: bool,
    users_file: IO[str] | None,
    site_file: Path | None,
    rollout: str | None,
    as_json: bool,
) -> None:
    """Which version this user meets, and since when; of many, from which weight on each is on green."""
    from tranche import page

    if (user is None) == (users_file is None) or (internal and user is None):
        raise click.UsageError("who? Give --user NAME, with --internal or without, or --users-file FILE")
    progress = _here(site_file).desk.progress(rollout)
    if users_file is not None:
        document, words = page.where_they_stand(progress, _names(users_file)), page.text_of_places
    else:
        document, words = page.who_is(progress, user=str(user), internal=internal), page.text_of_who
    if as_json:
        show_json(document)
    else:
        click.echo(words(document))


def _names(file: IO[str]) -> list[str]:
    try:
        names = [name for name in file.read().splitlines() if name]
    except UnicodeDecodeError:
        raise click.UsageError(f"expected a user a line in UTF-8 in {file.name}, found other bytes") from None
    if not names:
        raise click.UsageError(f"expected a user a line in {file.name}, found none")
    return names


for command in (
    cli_site.token,
    cli_site.notify,
    cli_site.serve,
    cli_site.traffic,
    cli_evidence.evidence,
    simulate,
):
    cli.add_command(command)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
