"""The command line. Exit 0 done, 1 refused, 2 usage, 3 fault - decided here, in `main`, and nowhere else."""

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from tranche import access, language, routes, settings
from tranche import plan as plans
from tranche.ports import Colour, Fault, Recorded
from tranche.progress import Progress, State
from tranche.refusal import Refused
from tranche.shape import FileRefused
from tranche.story import line, told

EXIT_REFUSED, EXIT_USAGE, EXIT_FAULT = 1, 2, 3

Command = TypeVar("Command", bound=Callable[..., Any])


def main() -> None:
    """The program."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """One command; its exit code. Errors are one line on standard error."""
    try:
        code = cli.main(args=arguments, prog_name="tranche", standalone_mode=False)
    except (FileRefused, settings.UnknownSetting) as refusal:
        return _say(str(refusal), EXIT_USAGE)
    except Refused as refusal:
        return _say(f"refused ({refusal.code}): {refusal}", EXIT_REFUSED)
    except Fault as fault:
        return _say(f"fault: {fault}", EXIT_FAULT)
    except click.ClickException as error:
        return _say(f"usage: {error.format_message()}", EXIT_USAGE)
    except (click.Abort, KeyboardInterrupt):
        return _say("interrupted; traffic stays as it is", EXIT_REFUSED)
    except BrokenPipeError:
        return 0
    return code if isinstance(code, int) else 0


def _say(text: str, code: int) -> int:
    click.echo(f"tranche: {text}", err=True)
    return code


def site_option(command: Command) -> Command:
    return click.option(
        "--site", "site_file", type=click.Path(path_type=Path), help="The site file; else TRANCHE_SITE."
    )(command)


def json_option(command: Command) -> Command:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def rollout_option(command: Command) -> Command:
    return click.option("--rollout", help="A rollout by name; else the latest.")(command)


class OneLine(click.ParamType[str]):
    """What a person says, as it is kept for ever and shown to others: bytes that are no text are not."""

    name = "text"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ARG002 - the type's signature
        return plans.plain(value)


def reason_option(command: Command) -> Command:
    return click.option("--reason", default="", type=OneLine(), help="Why, for the record.")(command)


def why_option(command: Command) -> Command:
    return click.option("--reason", required=True, type=OneLine(), help="Why, for the record.")(command)


def _site(site_file: Path | None) -> Any:
    from tranche import site

    path = site_file or settings.from_environment().site
    if path is None:
        raise click.UsageError("which site? Give --site FILE or set TRANCHE_SITE")
    return site.load(path)


def _asked_by(site: Any, *verbs: str) -> str:
    """Who asks: the holder of the token where the site asks for one, and only if they may.

    The verb is the command's own, unless others are named. Programs that are started later do not inherit the token.
    """
    from tranche import wiring

    asked, door = settings.from_environment(), wiring.door(site)
    own = click.get_current_context().command_path.partition(" ")[2]
    token = asked.token.read() if asked.token is not None and site.access is not None else None
    os.environ.pop("TRANCHE_TOKEN", None)
    names = [str(door.admit(verb, token=token, otherwise=asked.actor)) for verb in verbs or (own,)]
    return names[0]


def _here(site_file: Path | None, *verbs: str) -> Any:
    from dataclasses import replace

    from tranche import wiring

    site = _site(site_file)
    actor = _asked_by(site, *verbs)
    return replace(wiring.installation(site), actor=actor)


def _print(document: object) -> None:
    click.echo(json.dumps(document, indent=1))


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
@json_option
def plan_check(file: Path, as_json: bool) -> None:
    """Refuse, with file and line, a plan that cannot work."""
    read, _ = language.load(file)
    undone = [f"{phase.name}: gate '{gate.name}' ({gate.kind})" for phase, gate in plans.undone_gates(read)]
    if as_json:
        phases = [
            {"name": phase.name, "weight_percent": phase.weight_percent, "dwell_s": phase.dwell_s}
            for phase in read.phases
        ]
        _print({"plan": read.name, "digest": read.digest, "phases": phases, "cannot_tell": undone})
        return
    click.echo(f"{file}: plan '{read.name}' can be carried out, {read.digest}")
    for number, phase in enumerate(read.phases):
        if number:
            click.echo(
                f"  {phase.name:<24} {phase.weight_percent:>5g} %  at least {plans.duration(phase.dwell_s)}"
            )
    for told_gate in undone:
        click.echo(f"  note: {told_gate} answers 'cannot tell' in this release; the rollout stops there")


@plan.command("schema")
def plan_schema() -> None:
    """Print the plan language as JSON Schema, for editors."""
    _print(language.json_schema())


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
    read, text = language.load(plan_file)
    here = _here(site_file, "start", *(("hotfix",) if hotfix is not None else ()))
    routes.chosen(here.site.notify, read)
    _take_control(here)
    try:
        progress = here.desk.start(
            read, text=text, file=str(plan_file), version=version, actor=here.actor, hotfix=hotfix
        )
        return _control(here, progress, as_json)
    finally:
        here.control.release()


@cli.command()
@site_option
@json_option
def control(site_file: Path | None, as_json: bool) -> int:
    """Take over a recorded rollout, as after a crash, and run its controller until it ends."""
    from tranche.desk import NothingToControl

    here = _here(site_file)
    _take_control(here)
    try:
        progress = here.desk.progress()
        if progress.is_finished:
            raise NothingToControl(f"'{progress.rollout}' is {progress.state.value}; start the next one")
        return _control(here, progress, as_json)
    finally:
        here.control.release()


def _take_control(here: Any) -> None:
    from tranche.desk import ControllerRunning

    if not here.control.acquire(wait_s=0.2):
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
    ended = wiring.run(here, progress, tell)
    return 0 if ended.state is State.COMPLETED else EXIT_REFUSED


@cli.command()
@site_option
@rollout_option
@json_option
def status(site_file: Path | None, rollout: str | None, as_json: bool) -> None:
    """Where the rollout stands."""
    document = _here(site_file).desk.status(rollout)
    if as_json:
        _print(document)
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
        _print(last)


@cli.command()
@site_option
@reason_option
@json_option
def pause(site_file: Path | None, reason: str, as_json: bool) -> None:
    """Stop the way forward; limits go on watching."""
    here = _here(site_file)
    _report(here.desk.pause(reason=reason, actor=here.actor), as_json)


@cli.command()
@site_option
@reason_option
@json_option
def resume(site_file: Path | None, reason: str, as_json: bool) -> None:
    """Open the way forward again."""
    here = _here(site_file)
    _report(here.desk.resume(reason=reason, actor=here.actor), as_json)


@cli.command()
@site_option
@reason_option
@json_option
def advance(site_file: Path | None, reason: str, as_json: bool) -> None:
    """End the dwell of this phase early. Gates, requirements and missing data are not overridden."""
    here = _here(site_file)
    _report(here.desk.advance(reason=reason, actor=here.actor), as_json)


@cli.command()
@site_option
@why_option
@json_option
def hotfix(site_file: Path | None, reason: str, as_json: bool) -> None:
    """Let this rollout go forward in times that its plan freezes. Everything else stands."""
    here = _here(site_file)
    _report(here.desk.hotfix(reason=reason, actor=here.actor), as_json)


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
    _report(here.desk.retarget(version=version, reason=reason, actor=here.actor), as_json)


@cli.command()
@site_option
@why_option
@json_option
def retire(site_file: Path | None, reason: str, as_json: bool) -> None:
    """Stop blue for good, once the rollout is complete. There is no going back then."""
    from tranche import wiring

    here = _here(site_file)
    _report(wiring.retire(here, reason=reason, actor=here.actor), as_json)


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
            _print(cases)
        else:
            click.echo(text_of_cases(desk.name(), cases))
        return
    _report(desk.approve(gate=gate, evidence=evidence, reason=reason, actor=here.actor), as_json)


@cli.command()
@click.argument("gate", required=False)
@site_option
@why_option
@json_option
def revoke(gate: str | None, site_file: Path | None, reason: str, as_json: bool) -> None:
    """Take every approval of a gate back, whoever gave it; the phase waits for a new one."""
    here = _here(site_file)
    _report(here.desk.revoke(gate=gate, reason=reason, actor=here.actor), as_json)


@cli.command()
@site_option
@why_option
@click.option("--force", is_flag=True, help="Even past the plan's point of no return.")
@json_option
def rollback(site_file: Path | None, reason: str, force: bool, as_json: bool) -> None:
    """Take all users back to blue, now. Works with the controller dead."""
    from tranche import wiring

    here = _here(site_file)
    taken_back = wiring.roll_back(here, reason=reason, force=force, actor=here.actor)
    _report(taken_back, as_json)


def _report(progress: Progress, as_json: bool) -> None:
    from tranche.page import report

    if as_json:
        _print(report(progress))
        return
    told_state = progress.state.value.replace("_", " ")
    click.echo(f"{progress.rollout}: {told_state}, {progress.stay.name}")


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
        _print([event_json(recorded) for recorded in events])
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
        _print(document)
    else:
        click.echo(text_of_explanation(document))


@cli.command()
@click.option("--user", required=True, help="The user's identifier, as the token's claim has it.")
@click.option("--internal", is_flag=True, help="The user's token says they are internal.")
@site_option
@rollout_option
@json_option
def who(user: str, internal: bool, site_file: Path | None, rollout: str | None, as_json: bool) -> None:
    """Which version this user meets, and since when."""
    from tranche.page import text_of_who, who_is

    document = who_is(_here(site_file).desk.progress(rollout), user=user, internal=internal)
    if as_json:
        _print(document)
    else:
        click.echo(text_of_who(document))


@cli.group()
def token() -> None:
    """Who may do what, where the site asks for tokens."""


@token.command("create")
@click.argument("name")
@click.option(
    "--role", type=click.Choice([role.value for role in access.Role]), required=True, help="What for."
)
@click.option(
    "--days", type=click.IntRange(1, 3660), default=90, show_default=True, help="How long it counts."
)
@site_option
@json_option
def token_create(name: str, role: str, days: int, site_file: Path | None, as_json: bool) -> None:
    """Make a token for somebody, and show it once. The first is an admin's, made by whoever may write the file."""
    from datetime import timedelta

    from tranche import wiring

    site = _site(site_file)
    by = _asked_by(site)
    lasts = timedelta(days=days)
    made = wiring.door(site).create(name=name, role=access.Role(role), lasts=lasts, by=by)
    if as_json:
        _print({"name": name, "role": role, "token": made})
        return
    click.echo(made)
    click.echo(f"for '{name}' as {role}, for {days} days; it is not shown again", err=True)


@token.command("list")
@site_option
@json_option
def token_list(site_file: Path | None, as_json: bool) -> None:
    """Every token there was, and which count."""
    from tranche import wiring
    from tranche.page import text_of_tokens, tokens_json

    site = _site(site_file)
    _asked_by(site)
    tokens = tokens_json(wiring.door(site).tokens())
    if as_json:
        _print(tokens)
    else:
        click.echo(text_of_tokens(tokens))


@token.command("revoke")
@click.argument("name")
@site_option
@json_option
def token_revoke(name: str, site_file: Path | None, as_json: bool) -> None:
    """Let a token count no longer, from now on."""
    from tranche import wiring

    site = _site(site_file)
    _asked_by(site)
    wiring.door(site).revoke(name)
    if as_json:
        _print({"name": name, "counts": False})
    else:
        click.echo(f"the token of '{name}' counts no longer")


@cli.group()
def notify() -> None:
    """Who is told the news."""


@notify.command("test")
@click.argument("route")
@site_option
@json_option
def notify_test(route: str, site_file: Path | None, as_json: bool) -> None:
    """Send a test message on a route of the site, once; of an incident, also its end."""
    from tranche import wiring

    site = _site(site_file)
    _asked_by(site)
    sent = wiring.send_test(site, route)
    if as_json:
        _print({"route": route, "sent": [news.key for news in sent]})
    else:
        click.echo(f"sent to '{route}'; look whether it has arrived")


@cli.command()
@click.option(
    "--listen",
    default="127.0.0.1:8730",
    show_default=True,
    help="host:port; beyond loopback only with tokens.",
)
@site_option
@json_option
def serve(listen: str, site_file: Path | None, as_json: bool) -> None:
    """Serve the API over HTTP (docs/api.md) until it is stopped."""
    from tranche import wiring

    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise click.UsageError(f"expected an address such as 127.0.0.1:8730, found '{listen}'")
    path = site_file or settings.from_environment().site
    here = _here(site_file)
    try:
        server = wiring.api(here, str(path), host=host, port=int(port))
    except ModuleNotFoundError as error:
        raise click.UsageError(f"the API needs {error.name}; install 'tranche[api]'") from None

    def ready(address: str) -> None:
        if as_json:
            click.echo(json.dumps({"listen": address, "openapi": f"{address}/v1/openapi.json"}))
        else:
            click.echo(f"listening on {address}; {address}/v1/openapi.json says what there is")

    server(ready)


@cli.group()
def traffic() -> None:
    """The data plane's own files."""


@traffic.command("config")
@site_option
@json_option
def traffic_config(site_file: Path | None, as_json: bool) -> None:
    """Write the bootstrap and the first routes: everybody on blue."""
    from tranche import wiring

    site = _site(site_file)
    _asked_by(site)
    wiring.write_traffic_config(site)
    if as_json:
        _print({"directory": str(site.traffic.directory), "listen": site.traffic.listen})
    else:
        click.echo(f"written to {site.traffic.directory}; everybody is on {Colour.BLUE.value}")


if __name__ == "__main__":
    main()
